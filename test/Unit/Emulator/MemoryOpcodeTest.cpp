//===- MemoryOpcodeTest.cpp - Loads, stores and cache hints -----*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The forms of ld and st: widths, vectors, hints, strong accesses, the shared
// memory of other blocks; instructions for caches; and what is refused.
//
//===----------------------------------------------------------------------===//

#include "OpcodeHarness.h"

using namespace ropewalk::emulator;

namespace {

struct MemoryTest : OpcodeTest {
  void expectFault(const LaunchResult &result, ReportKind kind,
                   const std::string &part) {
    ASSERT_FALSE(bool(result)) << "the planted fault was not found";
    EXPECT_EQ(result.report().kind, kind) << result.report().str();
    EXPECT_NE(result.report().str().find(part), std::string::npos)
        << result.report().str();
  }
  LaunchResult runBody(const std::string &body, uint32_t threads = 32,
                       const std::string &before = "") {
    return run(entryText(body, 1, before), {1}, {threads},
               arguments(device.allocate(1 << 14)));
  }
};

// Guards extension of narrow elements to wide registers, and back.
TEST_F(MemoryTest, Widths) {
  uint64_t value = 0x89abcdef01f2f384;
  check("ld.global.u8 %r0, [%d31];", 'r', {{value, 0, 0, 0x84}});
  check("ld.global.s8 %r0, [%d31];", 'r', {{value, 0, 0, 0xffffff84}});
  check("ld.global.b8 %h0, [%d31+1];", 'h', {{value, 0, 0, 0xf3}});
  check("ld.global.s16 %d0, [%d31];", 'd', {{value, 0, 0, 0xfffffffffffff384}});
  check("ld.global.u16 %d0, [%d31];", 'd', {{value, 0, 0, 0xf384}});
  check("ld.global.s32 %d0, [%d31+4];", 'd',
        {{value, 0, 0, 0xffffffff89abcdef}});
  check("ld.global.u32 %d0, [%d31+4];", 'd', {{value, 0, 0, 0x89abcdef}});
  check("st.global.b8 [%d31], %d2; ld.global.b64 %d0, [%d31];", 'd',
        {{value, 0x1234, 0, 0x89abcdef01f2f334}});
  check("st.global.b16 [%d31+2], %r2; ld.global.b64 %d0, [%d31];", 'd',
        {{value, 0x91234, 0, 0x89abcdef1234f384}});
  check("st.global.u8 [%d31], 255; ld.global.s8 %r0, [%d31];", 'r',
        {{value, 0, 0, 0xffffffff}});
  check("ld.global.v2.u16 {%r0, %r5}, [%d31+4];", 'r', {{value, 0, 0, 0xcdef}});
  check("ld.global.v4.b8 {%h4, %h5, %h6, %h0}, [%d31];", 'h',
        {{value, 0, 0, 0x01}});
  check("ld.global.v2.b64 {_, %d0}, [%d31];", 'd', {{1, value, 0, value}});
  check("st.global.v2.b64 [%d31], {%d3, %d2}; ld.global.b64 %d0, [%d31];", 'd',
        {{1, 2, 3, 3}});
}

// Guards elements of 16 bytes.
TEST_F(MemoryTest, Quads) {
  std::string regs = ".reg .b128 %q<4>; .shared .align 16 .b8 s[1024];\n"
                     "mov.u32 %r9, s; shl.b32 %r8, %r30, 4;\n"
                     "add.u32 %r9, %r9, %r8;\n";
  check(regs + "ld.global.b128 %q1, [%d31]; st.shared.b128 [%r9], %q1;\n"
               "ld.shared.b64 %d0, [%r9+8];",
        'd', {{1, 2, 0, 2}, {3, 4, 0, 4}});
  check(regs + "mov.b128 %q1, {%d2, %d1}; st.relaxed.gpu.global.b128 [%d31], "
               "%q1;\nld.volatile.global.b128 %q2, [%d31]; mov.b128 {%d0, "
               "%d4}, %q2;",
        'd', {{1, 2, 0, 2}});
}

// Guards that hints, also those with a policy, change nothing.
TEST_F(MemoryTest, HintsChangeNothing) {
  std::string policy =
      "createpolicy.fractional.L2::evict_first.b64 %d20, 1.0;\n"
      "createpolicy.fractional.L2::evict_last.L2::evict_unchanged.b64 %d21;\n"
      "createpolicy.range.global.L2::evict_last.L2::evict_first.b64 %d22, "
      "[%d31], 0x100000, 0x200000;\ncreatepolicy.cvt.L2.b64 %d23, %d22;\n";
  for (const char *load :
       {"ld.global.L1::no_allocate.L2::128B.b64 %d0, [%d31];",
        "ld.global.nc.L1::evict_last.b64 %d0, [%d31];",
        "ld.global.ca.nc.b64 %d0, [%d31];", "ld.global.cv.b64 %d0, [%d31];",
        "ld.weak.global.lu.b64 %d0, [%d31];",
        "ld.global.L2::cache_hint.b64 %d0, [%d31], %d20;",
        "ld.global.nc.L1::no_allocate.L2::cache_hint.L2::256B.b64 %d0, [%d31], "
        "%d21;",
        "ld.relaxed.gpu.global.L1::evict_first.L2::cache_hint.b64 %d0, [%d31], "
        "%d23;",
        "ld.global.b64 %d0, [%d31].unified;", "ldu.global.b64 %d0, [%d31];",
        "ld.acquire.sys.b64 %d0, [%d31];", "ld.volatile.b64 %d0, [%d31];"})
    check(policy + load, 'd', {{7, 0, 0, 7}});
  for (const char *store :
       {"st.global.wt.b64 [%d31], %d2;", "st.global.cg.b64 [%d31], %d2;",
        "st.global.L1::no_allocate.b64 [%d31], %d2;",
        "st.global.L2::cache_hint.b64 [%d31], %d2, %d22;",
        "st.release.cluster.global.L1::evict_last.b64 [%d31], %d2;",
        "st.volatile.global.b64 [%d31], %d2;", "st.weak.b64 [%d31], %d2;"})
    check(policy + store + " ld.global.b64 %d0, [%d31];", 'd', {{7, 9, 0, 9}});
  ASSERT_RAN(runBody("ld.param.u64 %d1, [p0];\nprefetch.global.L2 [%d1];\n"
                     "prefetch.L1 [%d1]; prefetchu.L1 [%d1];\n"
                     "prefetch.global.L2::evict_last [%d1];\n"
                     "prefetch.global.L2::evict_normal [%d1+512];\n"
                     ".local .align 8 .b8 l[8]; prefetch.local.L1 [l];\n"
                     "applypriority.global.L2::evict_normal [%d1+128], 128;\n"
                     "applypriority.L2::evict_normal [%d1], 128;\n"));
}

// Guards that discarded bytes are undefined until they are written.
TEST_F(MemoryTest, Discard) {
  std::string body = "ld.param.u64 %d1, [p0]; mov.u32 %r1, %tid.x;\n"
                     "mul.wide.u32 %d2, %r1, 128; add.s64 %d1, %d1, %d2;\n"
                     "st.global.u32 [%d1], 5;\n";
  ASSERT_RAN(runBody(body + "ld.global.u32 %r2, [%d1];\n"));
  expectFault(runBody(body + "discard.global.L2 [%d1], 128;\n"
                             "ld.global.u32 %r2, [%d1];\n"),
              ReportKind::UninitializedMemory, "ld.global");
  ASSERT_RAN(runBody(body + "discard.L2 [%d1], 128;\nst.global.u32 [%d1], 6;\n"
                            "ld.global.u32 %r2, [%d1];\n"));
  // Also in a buffer that the host has filled.
  uint64_t filled = upload(std::vector<uint32_t>(32, 1));
  expectFault(run(entryText("ld.param.u64 %d1, [p0];\n"
                            "discard.global.L2 [%d1], 128;\n"
                            "ld.global.u32 %r2, [%d1+8];\n",
                            1),
                  {1}, {1}, arguments(filled)),
              ReportKind::UninitializedMemory, "ld.global");
  expectFault(runBody("ld.param.u64 %d1, [p0];\ndiscard.global.L2 [%d1+64], "
                      "128;\n",
                      1),
              ReportKind::Misaligned, "multiple of 128");
  expectFault(runBody("mov.b64 %d1, 4096;\napplypriority.L2::evict_normal "
                      "[%d1], 128;\n",
                      1),
              ReportKind::OutOfBounds, "no buffer");
}

// Guards bytes of local memory that the thread has not written.
TEST_F(MemoryTest, UninitializedLocal) {
  std::string local = ".local .align 8 .b8 l[16];\n";
  ASSERT_RAN(runBody(local + "st.local.v2.u32 [l], {1, 2};\n"
                             "ld.local.u64 %d1, [l];\n"));
  expectFault(runBody(local + "st.local.u32 [l], 1;\nld.local.u64 %d1, [l];\n"),
              ReportKind::UninitializedMemory, "the thread has not written");
  // One thread's write is not another's.
  expectFault(runBody(local + "mov.u32 %r1, %tid.x; setp.lt.u32 %p1, %r1, 5;\n"
                              "@%p1 st.local.u32 [l], 1;\n"
                              "mov.b64 %d1, l; cvta.local.u64 %d1, %d1;\n"
                              "ld.u32 %r2, [%d1];\n"),
              ReportKind::UninitializedMemory, "lane 5");
  LaunchOptions options;
  options.checkUninitializedMemory = false;
  ASSERT_RAN(run(entryText(local + "ld.local.u32 %r1, [l];\n", 0), {1}, {32},
                 Arguments(), 0, options));
}

/// Four blocks in clusters of two; each block's s holds its index in every
/// word. `body` runs between two barriers of the cluster.
std::string clusterText(const std::string &body) {
  return ".version 8.0\n.target sm_90a\n.address_size 64\n"
         ".visible .entry k(.param .u64 p0)\n.reqnctapercluster 2\n{\n"
         ".reg .pred %p<9>; .reg .b32 %r<30>; .reg .b64 %d<20>;\n"
         ".shared .align 16 .b8 s[128]; .shared .u32 flag;\n"
         "st.shared.u32 [flag], 0;\n"
         "mov.u32 %r1, %tid.x; mov.u32 %r2, %ctaid.x;\n"
         "mov.u32 %r3, %cluster_ctarank; xor.b32 %r4, %r3, 1;\n"
         "mov.u32 %r5, s; shl.b32 %r6, %r1, 2; add.u32 %r5, %r5, %r6;\n"
         "mapa.shared::cluster.u32 %r7, %r5, %r4;\n"
         "mapa.shared::cluster.u32 %r8, %r5, %r3;\n"
         "st.shared.u32 [%r5], %r2;\n"
         "barrier.cluster.arrive.aligned; barrier.cluster.wait.aligned;\n" +
         body +
         "barrier.cluster.arrive.aligned; barrier.cluster.wait.aligned;\n"
         "ld.param.u64 %d1, [p0]; mad.lo.u32 %r20, %r2, 32, %r1;\n"
         "mul.wide.u32 %d2, %r20, 4; add.s64 %d1, %d1, %d2;\n"
         "st.global.u32 [%d1], %r10;\n}\n";
}

// Guards loads, stores and atomics in the other block's shared memory.
TEST_F(MemoryTest, SharedMemoryOfTheCluster) {
  uint64_t out = device.allocate(4 * 32 * 4);
  auto results = [&](const std::string &body) {
    auto result = run(clusterText(body), {4}, {32}, arguments(out));
    EXPECT_TRUE(bool(result)) << result.report().str();
    auto all = download<uint32_t>(out, 128);
    std::vector<uint32_t> last;
    for (int block = 0; block < 4; ++block)
      last.push_back(all[size_t(block) * 32 + 31]);
    return last;
  };
  using V = std::vector<uint32_t>;
  EXPECT_EQ(results("ld.shared::cluster.u32 %r10, [%r7];\n"), (V{1, 0, 3, 2}));
  EXPECT_EQ(results("ld.shared::cluster.u32 %r10, [%r8];\n"), (V{0, 1, 2, 3}));
  EXPECT_EQ(results("ld.shared::cluster.u32 %r10, [s];\n"), (V{0, 1, 2, 3}));
  EXPECT_EQ(results("ld.shared.u32 %r10, [%r8];\n"), (V{0, 1, 2, 3}));
  // Each lane another block.
  EXPECT_EQ(results("and.b32 %r11, %r1, 1; setp.eq.u32 %p1, %r11, 0;\n"
                    "selp.b32 %r12, %r7, %r8, %p1;\n"
                    "ld.shared::cluster.u32 %r10, [%r12];\n"
                    "shfl.sync.idx.b32 %r10, %r10, 6, 31, -1;\n"),
            (V{1, 0, 3, 2}));
  // Generic addresses.
  EXPECT_EQ(results("cvt.u64.u32 %d5, %r5; cvta.shared.u64 %d5, %d5;\n"
                    "mapa.u64 %d6, %d5, %r4; ld.u32 %r10, [%d6];\n"),
            (V{1, 0, 3, 2}));
  EXPECT_EQ(results("st.shared::cluster.u32 [%r7], 77;\n"
                    "barrier.cluster.arrive.aligned;\n"
                    "barrier.cluster.wait.aligned;\n"
                    "ld.shared.u32 %r10, [%r5];\n"),
            (V{77, 77, 77, 77}));
  EXPECT_EQ(results("atom.shared::cluster.add.u32 %r10, [%r7], 10;\n"
                    "barrier.cluster.arrive.aligned;\n"
                    "barrier.cluster.wait.aligned;\n"
                    "ld.shared.u32 %r11, [%r5];\n"
                    "mad.lo.u32 %r10, %r11, 100, %r10;\n"),
            (V{1001, 1100, 1203, 1302}));
}

// Guards order between blocks of a cluster, and scopes.
TEST_F(MemoryTest, RacesInTheCluster) {
  uint64_t out = device.allocate(4 * 32 * 4);
  auto launch = [&](const std::string &body, uint64_t seed) {
    LaunchOptions options;
    options.scheduleSeed = seed;
    return run(clusterText(body + "mov.u32 %r10, 0;\n"), {4}, {32},
               arguments(out), 0, options);
  };
  std::string rank0 = "setp.eq.u32 %p1, %r3, 0; setp.ne.u32 %p2, %r3, 0;\n";
  for (uint64_t seed : {0, 1, 2, 3, 4}) {
    expectFault(launch(rank0 + "@%p1 st.shared::cluster.u32 [%r7], 5;\n"
                               "@%p2 ld.shared.u32 %r11, [%r5];\n",
                       seed),
                ReportKind::SharedRace, "races with");
    expectFault(launch("st.shared::cluster.u32 [%r7], %r2;\n"
                       "st.shared.u32 [%r5], 9;\n",
                       seed),
                ReportKind::SharedRace, "races with");
    // Scopes: .cta does not reach the other block.
    ASSERT_RAN(launch("red.relaxed.cluster.shared::cluster.add.u32 [%r7], 1;\n"
                      "red.relaxed.cluster.shared.add.u32 [%r5], 1;\n",
                      seed));
    expectFault(launch("red.relaxed.cluster.shared::cluster.add.u32 [%r7], 1;\n"
                       "red.relaxed.cta.shared.add.u32 [%r5], 1;\n",
                       seed),
                ReportKind::SharedRace, "scopes do not include each other");
    // A flag of rank 0 for rank 1.
    auto flag = [&](const std::string &give, const std::string &wait) {
      return launch(
          rank0 +
              "@%p2 bra WAIT;\nst.shared::cluster.u32 [%r7], 50;\n"
              "bar.warp.sync -1;\nmov.u32 %r11, flag;\n"
              "mapa.shared::cluster.u32 %r12, %r11, %r4;\n"
              "setp.eq.u32 %p3, %r1, 0;\n@%p3 " +
              give + " [%r12], 99;\nbra DONE;\nWAIT:\n" + wait +
              " %r13, [flag];\nsetp.ne.u32 %p4, %r13, 99;\n@%p4 bra WAIT;\n"
              "ld.shared.u32 %r16, [s+4];\nDONE:\n",
          seed);
    };
    std::string release = "st.release.cluster.shared::cluster.u32",
                acquire = "ld.acquire.cluster.shared.u32";
    ASSERT_RAN(flag(release, acquire));
    ASSERT_RAN(flag("fence.acq_rel.cluster;\n@%p3 "
                    "st.relaxed.cluster.shared::cluster.u32",
                    acquire));
    for (auto [give, wait] :
         {std::pair{release, std::string("ld.acquire.cta.shared.u32")},
          {release, std::string("ld.relaxed.cluster.shared.u32")},
          {std::string("st.release.cta.shared::cluster.u32"), acquire},
          {std::string("st.relaxed.cluster.shared::cluster.u32"), acquire},
          {std::string("fence.acq_rel.cta;\n@%p3 "
                       "st.relaxed.cluster.shared::cluster.u32"),
           acquire}})
      expectFault(flag(give, wait), ReportKind::SharedRace, "races with");
  }
}

// Guards ranks that are not there, and blocks that have exited.
TEST_F(MemoryTest, ClusterMisuse) {
  uint64_t out = device.allocate(4 * 32 * 4);
  auto launch = [&](const std::string &body) {
    return run(clusterText(body + "mov.u32 %r10, 0;\n"), {4}, {32},
               arguments(out));
  };
  expectFault(launch("mov.u32 %r11, 0x05000000;\n"
                     "ld.shared::cluster.u32 %r10, [%r11];\n"),
              ReportKind::ClusterMisuse, "rank 4");
  expectFault(launch("ld.shared::cluster.u32 %r10, [%r7+132];\n"),
              ReportKind::OutOfBounds, "132 bytes of shared memory");
  expectFault(launch("ld.shared.u32 %r10, [%r7];\n"), ReportKind::OutOfBounds,
              "bytes of shared memory");
  // Rank 1 leaves; rank 0 comes back to it.
  std::string text = clusterText("");
  size_t at = text.find("ld.param.u64 %d1");
  text.insert(at, "setp.ne.u32 %p1, %r3, 0;\n@%p1 bra END;\n"
                  "mov.u32 %r20, 0;\nL:\nadd.u32 %r20, %r20, 1;\n"
                  "setp.lt.u32 %p2, %r20, 100000;\n@%p2 bra L;\n"
                  "ld.shared::cluster.u32 %r10, [%r7];\nEND:\n"
                  "mov.u32 %r10, 1;\n");
  expectFault(run(text, {4}, {32}, arguments(out)), ReportKind::ClusterMisuse,
              "has exited");
}

// Guards what PTX does not have on these chips, by its name.
TEST(MemoryRefusals, AreNamed) {
  auto expect = [](const std::string &line, const std::string &part) {
    Error error;
    auto module = Module::parse(entryText(line, 1), error);
    std::string message = module ? "accepted" : error.message;
    EXPECT_NE(message.find(part), std::string::npos) << line << "\n" << message;
  };
  expect("ld.global.v4.b64 {%d1, %d2, %d3, %d4}, [%d5];", "more than 16 bytes");
  expect("ld.global.v8.b32 {%r1, %r2}, [%d5];", "modifier '.v8'");
  expect("ld.mmio.relaxed.sys.global.u32 %r1, [%d5];", "modifier '.mmio'");
  expect("st.mmio.relaxed.sys.global.u32 [%d5], %r1;", "modifier '.mmio'");
  expect("ld.relaxed.global.u32 %r1, [%d5];", "expected a scope");
  expect("ld.release.gpu.global.u32 %r1, [%d5];", "modifier '.release'");
  expect("st.acquire.gpu.global.u32 [%d5], %r1;", "modifier '.acquire'");
  expect("ld.volatile.local.u32 %r1, [%d5];", "strong access to .local");
  expect("st.global.L2::128B.u32 [%d5], %r1;", "modifier '.L2::128B'");
  expect("ld.global.L2::evict_first.u32 %r1, [%d5];",
         "modifier '.L2::evict_first'");
  expect("ld.global.L2::cache_hint.u32 %r1, [%d5];", "expected 3 operands");
  expect("ld.global.u32 %r1, [%d5], %d6;", "expected 2 operands");
  expect("st.const.u32 [%d5], %r1;", "state space '.const'");
  expect("ldu.shared.u32 %r1, [%d5];", "'ldu' of .shared");
  expect("ldu.relaxed.gpu.global.u32 %r1, [%d5];", "modifier '.relaxed'");
  expect("st.global.u32 [%d5].unified, %r1;", "'.unified' is for 'ld'");
  expect("prefetch.global.L3 [%d5];", "expected '.L1' or '.L2'");
  expect("prefetchu.L2 [%d5];", "expected '.L1'");
  expect("discard.global.L2 [%d5], 64;", "expected a size of 128, found 64");
  expect("discard.shared.L2 [%d5], 128;", "expected '.L2'");
  expect("createpolicy.fractional.L2::evict_soon.b64 %d1;",
         "expected a primary priority");
  expect("createpolicy.linear.b64 %d1;", "expected '.fractional'");
}

} // namespace
