//===- AsyncCopyTest.cpp - Tests of cp.async --------------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// cp.async: what arrives, when it may be read, what its traffic is, and a
// report wherever a program reads or overwrites too early.
//
//===----------------------------------------------------------------------===//

#include "AsyncHarness.h"

#include <numeric>

using namespace ropewalk::emulator;

namespace {

struct AsyncCopyTest : AsyncTest {
  /// A body with the input in %d1, the output in %d2, the thread in %r10 and
  /// 8 KiB of shared memory at %r1.
  static std::string text(const std::string &body,
                          const std::string &target = "sm_80") {
    std::string text = hopperText("ld.param.u64 %d1, [p0];\n"
                                  "ld.param.u64 %d2, [p1];\n"
                                  "mov.u32 %r1, data;\n"
                                  "mov.u32 %r10, %tid.x;\n" +
                                      body,
                                  2, ".shared .align 128 .b8 data[8192];\n");
    return replaced(text, "sm_90a", target);
  }
  static std::vector<uint32_t> numbers(size_t count) {
    std::vector<uint32_t> values(count);
    std::iota(values.begin(), values.end(), 1000u);
    return values;
  }
};

/// Thread t copies 16 bytes and stores them to the output.
const char *copyBody = R"(
    shl.b32 %r11, %r10, 4; add.u32 %r12, %r1, %r11;
    cvt.u64.u32 %d3, %r11; add.s64 %d4, %d1, %d3; add.s64 %d5, %d2, %d3;
    cp.async.cg.shared.global [%r12], [%d4], 16;
    cp.async.commit_group;
    cp.async.wait_group 0;
    ld.shared.v4.u32 {%r20, %r21, %r22, %r23}, [%r12];
    st.global.v4.u32 [%d5], {%r20, %r21, %r22, %r23};
)";

TEST_F(AsyncCopyTest, CopiesAndCounts) {
  auto in = numbers(256);
  uint64_t input = upload(in), output = upload(std::vector<uint32_t>(256, 0));
  expectClean(text(copyBody), {1}, {64}, arguments(input, output),
              [&] { EXPECT_EQ(download<uint32_t>(output, 256), in); });
  auto result = runSeed(text(copyBody), {1}, {64}, arguments(input, output));
  ASSERT_RAN(result);
  // Two warps, each 512 bytes: 16 sectors, 4 transactions of 128 bytes.
  const Counters &counters = result.counters();
  EXPECT_EQ(counters.asyncCopyBytes, 1024u);
  EXPECT_EQ(counters.globalLoadRequests, 2u);
  EXPECT_EQ(counters.globalLoadBytes, 1024u);
  EXPECT_EQ(counters.globalLoadSectors, 32u);
  EXPECT_EQ(counters.sharedStoreRequests, 2u);
  EXPECT_EQ(counters.sharedStoreTransactions, 8u);
  EXPECT_EQ(counters.sharedStoreConflicts, 0u);
  EXPECT_NE(counters.json().find("\"async_copy_bytes\": 1024"),
            std::string::npos);
}

TEST_F(AsyncCopyTest, CountsConflictsAndSectors) {
  // Lane i writes 4 bytes at 8 * i of shared memory, which are 16 banks, and
  // reads at 64 * i of global memory, each in a sector of its own.
  std::string body = R"(
    shl.b32 %r11, %r10, 3; add.u32 %r12, %r1, %r11;
    shl.b32 %r11, %r10, 6; cvt.u64.u32 %d3, %r11; add.s64 %d4, %d1, %d3;
    cp.async.ca.shared.global [%r12], [%d4], 4;
    cp.async.wait_all;
  )";
  uint64_t input = upload(numbers(512)), output = upload(numbers(1));
  auto result = runSeed(text(body), {1}, {32}, arguments(input, output));
  ASSERT_RAN(result);
  const Counters &counters = result.counters();
  EXPECT_EQ(counters.globalLoadSectors, 32u);
  EXPECT_EQ(counters.sharedStoreTransactions, 2u);
  EXPECT_EQ(counters.sharedStoreConflicts, 1u);
  bool isFound = false;
  for (const LineCount &line : counters.lines)
    if (line.traffic.globalSectors == 32) {
      isFound = true;
      EXPECT_EQ(line.traffic.sharedConflicts, 1u);
    }
  EXPECT_TRUE(isFound);
}

TEST_F(AsyncCopyTest, TakesAllSizesAndHints) {
  // Each form copies to a place of its own; src-size and ignore-src zero what
  // they leave out. %r13 = 8, %p1 is true.
  struct Form {
    const char *code;
    std::vector<uint32_t> expected;
  };
  std::vector<Form> forms = {
      {"cp.async.ca.shared.global [%r12], [%d1], 4;", {1000}},
      {"cp.async.ca.shared::cta.global [%r12], [%d1+8], 8;", {1002, 1003}},
      {"cp.async.ca.shared.global.L2::64B [%r12], [%d1], 16;",
       {1000, 1001, 1002, 1003}},
      {"cp.async.cg.shared.global.L2::128B [%r12], [%d1], 16, %r13;",
       {1000, 1001, 0, 0}},
      {"cp.async.cg.shared.global.L2::256B [%r12], [%d1], 16, 4;",
       {1000, 0, 0, 0}},
      {"cp.async.cg.shared.global [%r12], [%d9], 16, 0;", {0, 0, 0, 0}},
      {"cp.async.cg.shared.global [%r12], [%d1], 16, 16;",
       {1000, 1001, 1002, 1003}},
      {"cp.async.ca.shared.global [%r12], [%d9], 8, %p1;", {0, 0}},
      {"cp.async.ca.shared.global [%r12], [%d1], 8, !%p1;", {1000, 1001}},
      {"cp.async.cg.shared.global.L2::cache_hint [%r12], [%d1+16], 16, %d8;",
       {1004, 1005, 1006, 1007}},
      {"cp.async.cg.shared.global.L2::cache_hint.L2::128B [%r12], [%d1], 16, "
       "%r13, %d8;",
       {1000, 1001, 0, 0}},
  };
  uint64_t input = upload(numbers(16));
  for (const Form &form : forms) {
    std::string body = "mov.u32 %r12, %r1; mov.u32 %r13, 8; mov.u64 %d8, 0; "
                       "mov.u64 %d9, 64; setp.eq.u32 %p1, %r10, 0;\n" +
                       std::string(form.code) + "\ncp.async.wait_all;\n";
    for (size_t i = 0; i < form.expected.size(); ++i)
      body += "ld.shared.u32 %r20, [data+" + std::to_string(i * 4) +
              "]; st.global.u32 [%d2+" + std::to_string(i * 4) + "], %r20;\n";
    uint64_t output = upload(std::vector<uint32_t>(4, ~0u));
    auto result = runSeed(text(body), {1}, {1}, arguments(input, output));
    ASSERT_TRUE(bool(result)) << form.code << result.report().str();
    auto got = download<uint32_t>(output, form.expected.size());
    EXPECT_EQ(got, form.expected) << form.code;
  }
}

TEST_F(AsyncCopyTest, WaitsForOldGroupsOnly) {
  // Four groups of one copy each; after waiting for all but the newest two,
  // the first two may be read and the third not.
  std::string body = "cp.async.wait_group 7;\n";
  for (int i = 0; i < 4; ++i)
    body += "cp.async.ca.shared.global [%r1+" + std::to_string(i * 16) +
            "], [%d1+" + std::to_string(i * 16) +
            "], 16; cp.async.commit_group;\n";
  body += "cp.async.wait_group 2;\n"
          "ld.shared.u32 %r20, [%r1+16]; st.global.u32 [%d2], %r20;\n";
  uint64_t input = upload(numbers(16)), output = upload(numbers(1));
  expectClean(text(body), {1}, {1}, arguments(input, output),
              [&] { EXPECT_EQ(download<uint32_t>(output, 1)[0], 1004u); });
  std::string late = "ld.shared.u32 %r20, [%r1+32];";
  expectReportAlways(text(body + late), {1}, {1}, arguments(input, output),
                     ReportKind::AsyncHazard, "ld.shared.u32");
  expectClean(text(body + "cp.async.wait_group 1;" + late), {1}, {1},
              arguments(input, output));
  // An empty group counts as one.
  expectReportAlways(
      text(replaced(body, "cp.async.wait_group 2;",
                    "cp.async.commit_group; cp.async.wait_group 4;")),
      {1}, {1}, arguments(input, output), ReportKind::AsyncHazard, "");
}

TEST_F(AsyncCopyTest, LanesHaveGroupsOfTheirOwn) {
  // Odd lanes make one more group: waiting for all but one leaves their second
  // copy under way, and nothing of the even ones.
  std::string body = R"(
    shl.b32 %r11, %r10, 4; add.u32 %r12, %r1, %r11;
    and.b32 %r13, %r10, 1; setp.eq.u32 %p2, %r13, 1;
    cp.async.cg.shared.global [%r12], [%d1], 16;
    cp.async.commit_group;
    @!%p2 bra SKIP;
    cp.async.cg.shared.global [%r12+512], [%d1], 16;
    cp.async.commit_group;
    cp.async.wait_group 1;
    bra JOIN;
  SKIP:
    cp.async.wait_group 0;
  JOIN:
    ld.shared.u32 %r20, [%r12];
    mul.wide.u32 %d3, %r10, 4; add.s64 %d3, %d2, %d3;
    st.global.u32 [%d3], %r20;
    @%p2 ld.shared.u32 %r21, [%r12+512];
  )";
  uint64_t input = upload(numbers(16)), output = upload(numbers(32));
  expectReportAlways(text(body), {1}, {32}, arguments(input, output),
                     ReportKind::AsyncHazard, "ld.shared.u32");
  expectClean(text(replaced(body, "wait_group 1", "wait_group 0")), {1}, {32},
              arguments(input, output), [&] {
                EXPECT_EQ(download<uint32_t>(output, 32),
                          std::vector<uint32_t>(32, 1000));
              });
}

/// Two buffers of 512 bytes: while one is summed up, the next is copied. Lane i
/// copies 16 bytes and reads those of the opposite lane of its warp or block.
const char *pipelineBody = R"(
    shl.b32 %r11, %r10, 4;
    sub.u32 %r12, 1008, %r11;
    cvt.u64.u32 %d3, %r11; add.s64 %d4, %d1, %d3;
    mov.u32 %r40, 0; mov.u32 %r41, 0;
    add.u32 %r13, %r1, %r11;
    cp.async.cg.shared.global [%r13], [%d4], 16;
    cp.async.commit_group;
  LOOP:
    add.u32 %r42, %r40, 1;
    setp.lt.u32 %p1, %r42, 8;
    and.b32 %r43, %r42, 1; shl.b32 %r43, %r43, 10; add.u32 %r13, %r1, %r43;
    add.u32 %r13, %r13, %r11;
    mul.wide.u32 %d5, %r42, 1024; add.s64 %d5, %d4, %d5;
    @%p1 cp.async.cg.shared.global [%r13], [%d5], 16;
    cp.async.commit_group;
    cp.async.wait_group 1;
    bar.sync 0; // full
    and.b32 %r43, %r40, 1; shl.b32 %r43, %r43, 10; add.u32 %r13, %r1, %r43;
    add.u32 %r13, %r13, %r12;
    ld.shared.u32 %r20, [%r13];
    add.u32 %r41, %r41, %r20;
    bar.sync 0; // empty
    mov.u32 %r40, %r42;
    @%p1 bra LOOP;
    mul.wide.u32 %d5, %r10, 4; add.s64 %d5, %d2, %d5;
    st.global.u32 [%d5], %r41;
)";

TEST_F(AsyncCopyTest, ADoubleBufferedPipeline) {
  auto in = numbers(8 * 256);
  uint64_t input = upload(in), output = upload(std::vector<uint32_t>(64, 0));
  std::string whole = text(pipelineBody);
  expectClean(whole, {1}, {64}, arguments(input, output), [&] {
    auto sums = download<uint32_t>(output, 64);
    for (uint32_t t = 0; t < 64; ++t) {
      uint32_t expected = 0;
      for (uint32_t step = 0; step < 8; ++step)
        expected += in[step * 256 + (63 - t) * 4];
      ASSERT_EQ(sums[t], expected) << t;
    }
  });
  // The place may also be one that nothing has been copied to so far.
  auto expectFault = [&](const char *line, const char *other) {
    expectReportAlways(replaced(whole, line, other), {1}, {64},
                       arguments(input, output),
                       std::vector<ReportKind>{ReportKind::AsyncHazard,
                                               ReportKind::UninitializedMemory},
                       "ld.shared.u32");
  };
  // Not waiting, or for one group too few, reads what is under way.
  expectFault("cp.async.wait_group 1;", "");
  expectFault("cp.async.wait_group 1;", "cp.async.wait_group 2;");
  // A thread's wait says nothing of the copies of others.
  expectFault("bar.sync 0; // full", "");
  // The next copy overwrites what others still read.
  expectReportAlways(
      replaced(whole, "bar.sync 0; // empty", ""), {1}, {64},
      arguments(input, output),
      std::vector<ReportKind>{ReportKind::SharedRace, ReportKind::AsyncHazard},
      "cp.async");
}

TEST_F(AsyncCopyTest, ArrivesAtABarrier) {
  // Every thread waits for the barrier that all copies arrive at, and reads
  // what another thread's copy brought.
  std::string body = R"(
    setp.eq.u32 %p2, %r10, 0;
    @%p2 mbarrier.init.shared.b64 [%r1+4096], COUNT;
    bar.sync 0;
    shl.b32 %r11, %r10, 4; add.u32 %r12, %r1, %r11;
    cvt.u64.u32 %d3, %r11; add.s64 %d4, %d1, %d3;
    cp.async.cg.shared.global [%r12], [%d4], 16;
    ARRIVE
  WAIT:
    mbarrier.test_wait.parity.shared.b64 %p1, [%r1+4096], 0;
    @!%p1 bra WAIT;
    xor.b32 %r12, %r11, 1008; add.u32 %r12, %r12, %r1;
    ld.shared.u32 %r20, [%r12];
    mul.wide.u32 %d5, %r10, 4; add.s64 %d5, %d2, %d5;
    st.global.u32 [%d5], %r20;
  )";
  auto in = numbers(256);
  uint64_t input = upload(in), output = upload(std::vector<uint32_t>(64, 0));
  std::string counted =
      replaced(replaced(body, "COUNT", "64"), "ARRIVE",
               "cp.async.mbarrier.arrive.noinc.shared.b64 [%r1+4096];");
  std::string netted =
      replaced(replaced(body, "COUNT", "64"), "ARRIVE",
               "cp.async.mbarrier.arrive.shared::cta.b64 [%r1+4096];\n"
               "mbarrier.arrive.shared.b64 _, [%r1+4096];");
  for (const std::string &form : {counted, netted})
    expectClean(text(form), {1}, {64}, arguments(input, output), [&] {
      auto got = download<uint32_t>(output, 64);
      for (uint32_t t = 0; t < 64; ++t)
        ASSERT_EQ(got[t], in[(t ^ 63) * 4]);
    });
  // An ordinary arrival does not wait for the copies.
  expectReportAlways(
      text(replaced(replaced(body, "COUNT", "64"), "ARRIVE",
                    "mbarrier.arrive.shared.b64 _, [%r1+4096];")),
      {1}, {64}, arguments(input, output), ReportKind::AsyncHazard, "");
  // With one arrival too few nobody knows of the last copy, and with one too
  // many there is no end.
  expectReportAlways(text(replaced(counted, "], 64;", "], 63;")), {1}, {64},
                     arguments(input, output), ReportKind::AsyncHazard, "");
  expectReport(text(replaced(counted, "], 64;", "], 65;")), {1}, {64},
               arguments(input, output), ReportKind::Deadlock,
               "where 64 of 65 arrivals have come");
}

TEST_F(AsyncCopyTest, ReportsMisuse) {
  uint64_t input = upload(numbers(16)), output = upload(numbers(1));
  auto expect = [&](const char *code, ReportKind kind, const char *part) {
    expectReport(text(code), {1}, {1}, arguments(input, output), kind, part);
  };
  expect("cp.async.cg.shared.global [%r1+8], [%d1], 16;",
         ReportKind::Misaligned,
         "store in .shared memory: address is not a multiple of 16");
  expect("cp.async.ca.shared.global [%r1], [%d1+4], 8;", ReportKind::Misaligned,
         "load in .global memory: address is not a multiple of 8");
  expect("mov.u32 %r3, 12; cp.async.ca.shared.global [%r1], [%d1], 8, %r3;",
         ReportKind::OutOfBounds, "reads 12 bytes for a destination of 8");
  expect("cp.async.cg.shared.global [%r1+8192], [%d1], 16;",
         ReportKind::OutOfBounds, "shared memory");
  expect("cp.async.cg.shared.global [%r1], [%d1+64], 16;",
         ReportKind::OutOfBounds, "");
  expect("mbarrier.init.shared.b64 [%r1], 1;"
         "cp.async.cg.shared.global [%r1], [%d1], 16;",
         ReportKind::MbarrierMisuse, "there is an mbarrier object");
  uint64_t empty = device.allocate(64);
  expectReport(text("cp.async.cg.shared.global [%r1], [%d1], 16;"), {1}, {1},
               arguments(empty, output), ReportKind::UninitializedMemory, "");
}

TEST_F(AsyncCopyTest, ReportsWritesToAPlaceUnderWay) {
  uint64_t input = upload(numbers(16)), output = upload(numbers(1));
  std::string copy = "cp.async.cg.shared.global [%r1], [%d1], 16;\n";
  for (const char *write : {"st.shared.u32 [%r1+4], 1;",
                            "cp.async.ca.shared.global [%r1+4], [%d1], 4;"})
    expectReportAlways(text(copy + write + "cp.async.wait_all;"), {1}, {1},
                       arguments(input, output), ReportKind::AsyncHazard, "");
  expectClean(text(copy + "cp.async.wait_all; st.shared.u32 [%r1+4], 1;"), {1},
              {1}, arguments(input, output));
}

/// A copy reads weakly, whatever the form of its addresses: with a strong store
/// it races like with any other. All lanes or one, in a row or not.
TEST_F(AsyncCopyTest, ReadsAreWeak) {
  uint64_t input = upload(numbers(512)), output = upload(numbers(1));
  for (const char *target : {"%r12", "%d12"})
    for (const char *stride : {"4", "5"})
      for (const char *lanes : {"32", "1"})
        for (bool isOrdered : {false, true}) {
          std::string body =
              std::string("shl.b32 %r11, %r10, ") + stride +
              "; add.u32 %r12, %r1, %r11; cvt.u64.u32 %d12, %r12;\n"
              "cvt.u64.u32 %d3, %r11; add.s64 %d4, %d1, %d3;\n"
              "setp.lt.u32 %p1, %r10, " +
              lanes +
              "; setp.eq.u32 %p2, %r10, 32;\n"
              "@%p1 cp.async.ca.shared.global [" +
              target +
              "], [%d4], 16;\n"
              "cp.async.wait_all;\n" +
              (isOrdered ? "bar.sync 0;\n" : "") +
              "@%p2 st.volatile.global.u32 [%d1+4], %r10;";
          if (isOrdered)
            expectClean(text(body), {1}, {64}, arguments(input, output));
          else
            expectReportAlways(text(body), {1}, {64}, arguments(input, output),
                               ReportKind::GlobalRace, "races with");
        }
}

TEST_F(AsyncCopyTest, RefusesOtherForms) {
  auto refuse = [&](const char *code, const char *part) {
    expectRefused(text(code), part);
  };
  refuse("cp.async.cg.shared.global [%r1], [%d1], 8;",
         "expected 16 bytes, found 8");
  refuse("cp.async.ca.shared.global [%r1], [%d1], 32;",
         "expected 4, 8 or 16 bytes, found 32");
  refuse("cp.async.ca.shared.global [%r1], [%d1], %r2;",
         "expected an integer constant");
  refuse("cp.async.ca.shared::cluster.global [%r1], [%d1], 4;",
         "expected '.shared.global'");
  refuse("cp.async.ca.global.shared [%d1], [%r1], 4;",
         "expected '.shared.global'");
  refuse("cp.async.shared.global [%r1], [%d1], 4;", "'.shared'");
  refuse("cp.async.ca.shared.global.L2::cache_hint [%r1], [%d1], 4;",
         "expected 4 to 5 operands, found 3");
  refuse("cp.async.ca.shared.global.L1::evict_last [%r1], [%d1], 4;",
         "'.L1::evict_last'");
  refuse("cp.async.wait_group %r1;", "expected an integer constant");
  refuse("cp.async.wait_group -1;", "expected a number of groups, found -1");
  refuse("cp.async.mbarrier.complete.b64 [%d1];", "'.complete'");
  refuse("cp.sync.ca.shared.global [%r1], [%d1], 4;", "'.sync'");
}

} // namespace
