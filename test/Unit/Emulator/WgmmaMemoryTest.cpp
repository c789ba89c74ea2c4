//===- WgmmaMemoryTest.cpp - Shared memory that wgmma reads -----*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Guards that the reads of wgmma are part of the order of the block: matrices
// that no fence has shown to the async proxy, that change while they are read,
// that nobody wrote. Each kernel runs once it waits.
//
//===----------------------------------------------------------------------===//

#include "WgmmaModel.h"

using namespace ropewalk::emulator;

namespace {

const std::string Fence = "wgmma.fence.sync.aligned;\n";
const std::string Commit = "wgmma.commit_group.sync.aligned;\n";
const std::string Barrier = "bar.sync 0;\n";
std::string wait(unsigned pending) {
  return "wgmma.wait_group.sync.aligned " + std::to_string(pending) + ";\n";
}

struct WgmmaMemoryTest : Fixture {
  /// A is at 0, B at 8192, both K-major with a swizzle of 128 bytes; `step`
  /// counts their 32 bytes of k.
  static std::string multiply(unsigned d = 0, unsigned step = 0) {
    return "mov.b64 %d4, " + hex(LayoutModel().descriptor(step * 32)) +
           "; mov.b64 %d5, " +
           hex(LayoutModel{true, 128, 8192}.descriptor(step * 32)) +
           ";\nwgmma.mma_async.sync.aligned.m64n8k16.f32.f16.f16 " +
           WgmmaText::list("%r", 4, d) + ", %d4, %d5, 1, 1, 1, 0, 0;\n";
  }
  /// All threads write 4 bytes each, from `address` on.
  static std::string write(unsigned address) {
    return "shl.b32 %t1, %t0, 2; mov.u32 %t3, memory; add.u32 %t3, %t3, %t1;\n"
           "st.shared.b32 [%t3+" +
           std::to_string(address) + "], %t0;\n";
  }

  LaunchResult launch(const std::string &body, bool hasProxyFence = true,
                      unsigned written = 16384,
                      const LaunchOptions &options = {},
                      unsigned threads = 128) {
    WgmmaText kernel;
    kernel.results = 8;
    kernel.memoryBytes = written;
    kernel.hasProxyFence = hasProxyFence;
    kernel.body = body;
    std::vector<uint8_t> memory(16384, 0);
    std::vector<uint32_t> d(threads * 16, 0);
    uint64_t image = upload(memory), results = upload(d), a = upload(d);
    return run(kernel.text(), {1}, {threads}, arguments(image, results, a),
               16384, options);
  }
  void expectClean(const std::string &body) {
    for (uint64_t seed = 0; seed < 4; ++seed) {
      LaunchOptions options;
      options.scheduleSeed = seed;
      auto outcome = launch(body, true, 16384, options);
      EXPECT_TRUE(outcome) << body << outcome.report().str();
    }
  }
  void expect(const LaunchResult &outcome, ReportKind kind,
              const std::string &detail) {
    ASSERT_FALSE(outcome);
    EXPECT_EQ(outcome.report().kind, kind) << outcome.report().str();
    EXPECT_NE(outcome.report().detail.find(detail), std::string::npos)
        << outcome.report().str();
  }
};

TEST_F(WgmmaMemoryTest, NeedsAProxyFenceAfterWrites) {
  const std::string body = Fence + multiply() + Commit + wait(0);
  expectClean(body);
  expect(launch(body, false), ReportKind::ProxyRace,
         "no fence.proxy.async stands between them");
  // A write after the fence.
  expect(launch(write(8192) + Barrier + body), ReportKind::ProxyRace,
         "no fence.proxy.async stands between them");
  expectClean(write(8192) + "fence.proxy.async;\n" + Barrier + body);
  // A fence that no barrier hands on to the other warps.
  expect(launch(write(8192) + "fence.proxy.async;\n" + body),
         ReportKind::SharedRace, "and nothing orders the two");
}

TEST_F(WgmmaMemoryTest, FindsMatricesThatChangeBeforeTheWait) {
  const std::string start = Fence + multiply() + Commit;
  // B, which all warps read.
  expect(launch(start + Barrier + write(8192) + wait(0)),
         ReportKind::AsyncHazard,
         "overwrites bytes that "
         "'wgmma.mma_async.sync.aligned.m64n8k16.f32."
         "f16.f16' of line ");
  expectClean(start + wait(0) + Barrier + write(8192));
  // One warp's wait is enough for the operation of all four.
  expectClean(start + Barrier + wait(0) + write(8192));
  // Another warpgroup may still be before its wait.
  const std::string second = "setp.lt.u32 %p1, %t0, 128;\n@%p1 bra SKIP;\n" +
                             wait(0) + write(8192 - 512) + "SKIP:\n";
  expect(launch(start + Barrier + second, true, 16384, {}, 256),
         ReportKind::AsyncHazard, "may still read");
  auto outcome =
      launch(start + wait(0) + Barrier + second, true, 16384, {}, 256);
  EXPECT_TRUE(outcome) << outcome.report().str();
  // The rest of the rows: bytes 32 to 127.
  expectClean(start +
              "mov.u32 %t3, memory;\nst.shared.b32 [%t3+8224], 1;\n"
              "st.shared.b32 [%t3+96], 1;\n" +
              wait(0));
}

TEST_F(WgmmaMemoryTest, KnowsThatAllLanesHaveWaited) {
  // A warp's own 16 rows of A, 2048 bytes each.
  const std::string own =
      "shr.u32 %t1, %t0, 5; shl.b32 %t1, %t1, 11; mov.u32 %t2, %laneid;\n"
      "mad.lo.u32 %t1, %t2, 64, %t1; mov.u32 %t3, memory;\n"
      "add.u32 %t3, %t3, %t1; st.shared.b32 [%t3], %t0;\n";
  const std::string start = Fence + multiply() + Commit;
  expect(launch(start + own + wait(0)), ReportKind::AsyncHazard,
         "may still read");
  expectClean(start + wait(0) + own);
}

TEST_F(WgmmaMemoryTest, KnowsWhichGroupsHaveRead) {
  const std::string two =
      Fence + multiply(0, 0) + Commit + multiply(4, 1) + Commit;
  // The first 32 bytes of row 0 of B, then the next.
  const std::string first = "mov.u32 %t3, memory;\n"
                            "setp.eq.u32 %p1, %t0, 0;\n"
                            "@%p1 st.shared.b32 [%t3+8192], 1;\n";
  const std::string second = "mov.u32 %t3, memory;\n"
                             "setp.eq.u32 %p1, %t0, 0;\n"
                             "@%p1 st.shared.b32 [%t3+8224], 1;\n";
  expectClean(two + wait(1) + Barrier + first + wait(0));
  expect(launch(two + wait(1) + Barrier + second + wait(0)),
         ReportKind::AsyncHazard, "may still read");
  expectClean(two + wait(0) + Barrier + second);
  expect(launch(two + wait(2) + Barrier + first + wait(0)),
         ReportKind::AsyncHazard, "may still read");
}

TEST_F(WgmmaMemoryTest, FindsMatricesThatNobodyWrote) {
  const std::string body = Fence + multiply() + Commit + wait(0);
  expect(launch(body, true, 8192 + 512), ReportKind::UninitializedMemory,
         "no thread has written these bytes of .shared memory");
  auto outcome = launch(body, true, 8192 + 1024);
  EXPECT_TRUE(outcome) << outcome.report().str();
}

} // namespace
