//===- TensorMapFenceTest.cpp - Maps that a kernel changes ------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Guards that a tensor map which a kernel has written needs both fences of its
// proxy before a copy uses it, on the way from the writer to the user, with
// scopes that reach, and after each change anew.
//
//===----------------------------------------------------------------------===//

#include "TensorHarness.h"

using namespace ropewalk::emulator;

namespace {

const std::string release = "fence.proxy.tensormap::generic.release.gpu;\n";
const std::string acquire =
    "fence.proxy.tensormap::generic.acquire.gpu [%d1], 128;\n";

struct TensorMapFenceTest : TensorTest {
  void SetUp() override {
    std::vector<uint8_t> tensor = randomBytes(8192, 1);
    box = plane(upload(tensor), 64, 64, 64, 16);
    MapObject map = object(box.map);
    std::vector<uint8_t> bytes(256);
    std::memcpy(bytes.data() + 64, map.data(), map.size());
    place = upload(bytes) + 64;
    input = upload(randomBytes(BoxRoom, 2));
    output = upload(std::vector<uint8_t>(BoxRoom));
  }

  /// Loads a box by the map in global memory at %d1 after `code`; thread 0,
  /// where %p1 holds, issues the copy. %p7 holds in thread 32.
  std::string text(const std::string &code) const {
    return replaced(loadText(2), "@!%p1 bra WAIT;\n",
                    "mov.u64 %d1, " + std::to_string(place) +
                        ";\nsetp.eq.u32 %p7, %r10, 32;\n" + code +
                        "@!%p1 bra WAIT;\n");
  }
  void clean(const std::string &code) {
    expectClean(text(code), {1}, {64}, args());
  }
  void missing(const std::string &code, const std::string &fence,
               const std::string &writer =
                   "tensormap.replace.tile.swizzle_mode.global.b1024.b32") {
    expectReportAlways(text(code), {1}, {64}, args(), ReportKind::ProxyRace,
                       "finds its tensor map, which '" + writer + "' of line ");
    expectReport(text(code), {1}, {64}, args(), ReportKind::ProxyRace,
                 "no fence.proxy.tensormap::generic." + fence + " stands");
  }
  Arguments args() {
    return arguments(object(box.map), input, uploadPlace(box), output);
  }

  BoxCase box;
  uint64_t place = 0, input = 0, output = 0;
};

const std::string change =
    "tensormap.replace.tile.swizzle_mode.global.b1024.b32 [%d1], 0;\n";

TEST_F(TensorMapFenceTest, AThreadNeedsBothFencesForItsOwnChange) {
  clean("");
  clean("@%p1 " + change + "@%p1 " + release + "@%p1 " + acquire);
  missing("@%p1 " + change + "@%p1 " + release, "acquire");
  missing("@%p1 " + change + "@%p1 " + acquire, "release");
  missing("@%p1 " + change, "acquire");
  // In the other order they say nothing.
  missing("@%p1 " + change + "@%p1 " + acquire + "@%p1 " + release, "release");
  missing("@%p1 " + release + "@%p1 " + change + "@%p1 " + acquire, "release");
  missing("@%p1 " + release + "@%p1 " + acquire + "@%p1 " + change, "acquire");
  // Nor do those of the other proxy.
  missing("@%p1 " + change + "@%p1 fence.proxy.async;\n", "acquire");
}

TEST_F(TensorMapFenceTest, StoresCount) {
  const std::string store = "ld.global.u32 %r40, [%d1+64];\n"
                            "@%p1 st.global.u32 [%d1+64], %r40;\n";
  // The load would race with the store of another thread.
  const std::string code = replaced(store, "ld.", "@%p1 ld.");
  clean(code + "@%p1 " + release + "@%p1 " + acquire);
  missing(code + "@%p1 " + release, "acquire", "st.global.u32");
  missing(code + "@%p1 " + acquire, "release", "st.global.u32");
}

TEST_F(TensorMapFenceTest, FencesOfOtherThreadsCountIfOrdered) {
  // Thread 32 changes the map, thread 0 uses it.
  const std::string theirs = "@%p7 " + change;
  const std::string barrier = "bar.sync 0;\n";
  clean(theirs + "@%p7 " + release + barrier + "@%p1 " + acquire);
  clean(theirs + "@%p7 " + release + barrier + acquire);
  // A thread that knows of the change may release it, and acquire it for
  // those that it meets.
  clean(theirs + barrier + "@%p1 " + release + "@%p1 " + acquire);
  clean(theirs + "@%p7 " + release + "@%p7 " + acquire + barrier);
  missing(theirs + barrier + "@%p1 " + acquire, "release");
  missing(theirs + "@%p7 " + release + barrier, "acquire");
  missing(theirs + "@%p7 " + release + barrier + "@%p7 " + acquire, "acquire");
  // Of another map.
  missing(theirs + "@%p7 " + release + barrier + "@%p1 " +
              replaced(acquire, "[%d1]", "[%d1+64]"),
          "acquire");
  // Without a barrier the change itself is a race.
  expectReportAlways(
      text(theirs + "@%p7 " + release + "@%p1 " + acquire), {1}, {64}, args(),
      std::vector<ReportKind>{ReportKind::GlobalRace, ReportKind::ProxyRace},
      "");
}

TEST_F(TensorMapFenceTest, EachChangeNeedsItsOwn) {
  const std::string whole = "@%p1 " + change + "@%p1 " + release;
  const std::string twice = whole + "@%p1 " + acquire + whole;
  clean(twice + "@%p1 " + acquire);
  missing(twice, "acquire");
  // Many changes between, so that fences are forgotten.
  std::string many;
  for (unsigned i = 0; i < 100; ++i)
    many += whole + "@%p1 " + acquire;
  clean(many);
  missing(many + whole, "acquire");
}

TEST_F(TensorMapFenceTest, CopiesOfMapsRelease) {
  // A map that is made in shared memory: thread 0 has a copy there.
  std::string copy = "add.u32 %r43, %r1, 16384; setp.lt.u32 %p6, %r10, 32;\n";
  for (unsigned at = 0; at < 128; at += 8)
    copy += "@%p1 ld.global.u64 %d10, [%d1+" + std::to_string(at) +
            "]; @%p1 st.shared.u64 [%r43+" + std::to_string(at) + "], %d10;\n";
  copy += "@!%p6 bra COPIED;\nbar.warp.sync 0xffffffff;\n"
          "tensormap.cp_fenceproxy.global.shared::cta.tensormap::generic."
          "release.gpu.sync.aligned [%d1], [%r43], 128;\nCOPIED:\n";
  clean(copy + "bar.sync 0;\n" + acquire);
  clean(copy + "@%p1 " + acquire);
  const char *writer = "tensormap.cp_fenceproxy.global.shared::cta."
                       "tensormap::generic.release.gpu.sync.aligned";
  missing(copy + "bar.sync 0;\n", "acquire", writer);
  // The whole warp makes the copy, and thread 0 alone has written its source.
  const std::string meeting = "bar.warp.sync 0xffffffff;\n";
  std::string alone = copy;
  alone.erase(alone.find(meeting), meeting.size());
  expectReport(text(alone + "bar.sync 0;\n" + acquire), {1}, {64}, args(),
               ReportKind::SharedRace, "tensormap.cp_fenceproxy");
  missing(copy + "bar.sync 0;\n@%p7 " + acquire, "acquire", writer);
}

// Guards that a map is copied by its first half, as kernels of CuTe do, whether
// in global memory or through shared memory; and not by less.
TEST_F(TensorMapFenceTest, TheFirstHalfIsTheMap) {
  auto copy = [](unsigned bytes, const std::string &to) {
    std::string code = "add.u32 %r43, %r1, 31744; bar.sync 0;\n";
    for (unsigned at = 0; at < bytes; at += 8)
      code += "@%p1 ld.param.u64 %d10, [map+" + std::to_string(at) +
              "]; @%p1 st." + to + "+" + std::to_string(at) + "], %d10;\n";
    return code;
  };
  const std::string own =
      "@%p1 " + change + "@%p1 " + release + "@%p1 " + acquire;
  place = device.allocate(256) + 64;
  clean(copy(64, "global.u64 [%d1") + own);
  place = device.allocate(256) + 64;
  expectReport(text(copy(56, "global.u64 [%d1") + own), {1}, {64}, args(),
               ReportKind::UninitializedMemory,
               "tensormap.replace.tile.swizzle_mode");
  // Shared memory is filled here, so that only the bounds count.
  const std::string publish =
      "setp.lt.u32 %p6, %r10, 32; @!%p6 bra COPIED;\n"
      "bar.warp.sync 0xffffffff;\n"
      "tensormap.cp_fenceproxy.global.shared::cta.tensormap::generic."
      "release.gpu.sync.aligned [%d1], [%r43], 128;\nCOPIED:\n@%p1 " +
      acquire;
  clean(copy(64, "shared.u64 [%r43") + publish);
  expectReport(
      replaced(text(copy(64, "shared.u64 [%r43") + publish), "31744", "32768"),
      {1}, {64}, args(),
      std::vector<ReportKind>{ReportKind::OutOfBounds,
                              ReportKind::MbarrierMisuse},
      "");
}

TEST_F(TensorMapFenceTest, ScopesReachOtherBlocks) {
  // Rank 1 of a cluster changes the map that rank 0 uses.
  std::string body = "mov.u32 %r41, %cluster_ctarank;\n"
                     "setp.eq.u32 %p8, %r41, 1; and.pred %p8, %p8, %p1;\n"
                     "@%p8 " +
                     change + "@%p8 " + release +
                     "barrier.cluster.arrive.aligned;\n"
                     "barrier.cluster.wait.aligned;\n" +
                     acquire +
                     "@%p8 exit;\nsetp.eq.u32 %p9, %r41, 1;\n"
                     "@%p9 exit;\n";
  std::string whole =
      replaced(text(body), ")\n\n{", ")\n.reqnctapercluster 2\n{");
  expectClean(whole, {2}, {64}, args());
  expectClean(replaced(replaced(whole, "release.gpu", "release.cluster"),
                       "acquire.gpu", "acquire.cluster"),
              {2}, {64}, args());
  expectReportAlways(replaced(whole, "release.gpu", "release.cta"), {2}, {64},
                     args(), ReportKind::ProxyRace, "generic.release stands");
  expectReportAlways(replaced(whole, "acquire.gpu", "acquire.cta"), {2}, {64},
                     args(), ReportKind::ProxyRace, "generic.release stands");
}

TEST_F(TensorMapFenceTest, BlocksThatCommunicate) {
  // Block 1 changes the map and raises a flag in global memory.
  uint64_t flag = upload(std::vector<uint32_t>(1, 0));
  std::string body = "mov.u32 %r41, %ctaid.x; setp.eq.u32 %p8, %r41, 1;\n"
                     "mov.u64 %d12, " +
                     std::to_string(flag) +
                     ";\n@!%p8 bra USE;\n@!%p1 bra GONE;\n" + change + release +
                     "st.release.gpu.global.u32 [%d12], 1;\nGONE: exit;\n"
                     "USE:\nld.acquire.gpu.global.u32 %r42, [%d12];\n"
                     "setp.eq.u32 %p9, %r42, 0; @%p9 bra USE;\n" +
                     acquire;
  auto reset = [&] {
    uint32_t zero = 0;
    device.copyIn(flag, &zero, sizeof zero);
  };
  expectClean(text(body), {2}, {64}, args(), reset);
  for (const std::string &part : {release, acquire})
    for (uint64_t seed : seeds) {
      reset();
      expectReport(replaced(text(body), part, ""), {2}, {64}, args(),
                   ReportKind::ProxyRace,
                   part == release ? "generic.release stands"
                                   : "generic.acquire stands",
                   seed);
    }
}

} // namespace
