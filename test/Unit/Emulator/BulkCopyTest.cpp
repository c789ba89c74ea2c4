//===- BulkCopyTest.cpp - Tests of bulk copies ------------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// cp.async.bulk and cp.reduce.async.bulk within one block: a pipeline of a
// producer and consumers, stores and reductions, and what goes wrong where one
// line is missing.
//
//===----------------------------------------------------------------------===//

#include "AsyncHarness.h"

#include <bit>
#include <cmath>
#include <numeric>

using namespace ropewalk::emulator;

namespace {

struct BulkCopyTest : AsyncTest {
  /// A body with the input in %d1, the output in %d2, the thread in %r10, 8 KiB
  /// of shared memory at %r1 and barriers at %r2.
  static std::string text(const std::string &body) {
    return hopperText("ld.param.u64 %d1, [p0];\n"
                      "ld.param.u64 %d2, [p1];\n"
                      "mov.u32 %r1, data; mov.u32 %r2, bars;\n"
                      "mov.u32 %r10, %tid.x;\n" +
                          body,
                      2,
                      ".shared .align 128 .b8 data[8192];\n"
                      ".shared .align 8 .b64 bars[8];");
  }
  static std::vector<uint32_t> numbers(size_t count) {
    std::vector<uint32_t> values(count);
    std::iota(values.begin(), values.end(), 1000u);
    return values;
  }
};

/// Warp 0 copies 10 tiles of 512 bytes into two stages; 96 threads sum up their
/// column of all tiles. Barriers: full 0, full 1, empty 0, empty 1.
const char *pipelineBody = R"(
    setp.eq.u32 %p1, %r10, 0;
    @!%p1 bra READY;
    mbarrier.init.shared::cta.b64 [%r2], 1;
    mbarrier.init.shared::cta.b64 [%r2+8], 1;
    mbarrier.init.shared::cta.b64 [%r2+16], 3;
    mbarrier.init.shared::cta.b64 [%r2+24], 3;
    fence.mbarrier_init.release.cluster;
  READY:
    bar.sync 0;
    mov.u32 %r20, 0; // tile
    mov.u32 %r21, 0; // stage
    mov.u32 %r22, 0; // parity of full
    mov.u32 %r23, 1; // parity of empty
    setp.ge.u32 %p2, %r10, 32;
    @%p2 bra CONSUMER;
    @!%p1 bra DONE;
  PRODUCER:
    shl.b32 %r24, %r21, 3; add.u32 %r24, %r2, %r24;
  EMPTY:
    mbarrier.try_wait.parity.shared::cta.b64 %p3, [%r24+16], %r23;
    @!%p3 bra EMPTY;
    mbarrier.arrive.expect_tx.shared::cta.b64 _, [%r24], 512;
    shl.b32 %r25, %r21, 9; add.u32 %r25, %r1, %r25;
    mul.wide.u32 %d3, %r20, 512; add.s64 %d3, %d1, %d3;
    cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%r25], [%d3], 512, [%r24];
    add.u32 %r20, %r20, 1;
    xor.b32 %r21, %r21, 1;
    setp.eq.u32 %p4, %r21, 0;
    @%p4 xor.b32 %r23, %r23, 1;
    setp.lt.u32 %p5, %r20, 10;
    @%p5 bra PRODUCER;
    bra DONE;
  CONSUMER:
    sub.u32 %r30, %r10, 32; shl.b32 %r31, %r30, 2; and.b32 %r32, %r30, 31;
    setp.eq.u32 %p6, %r32, 0;
    mov.u32 %r33, 0;
  NEXT:
    shl.b32 %r24, %r21, 3; add.u32 %r24, %r2, %r24;
  FULL:
    mbarrier.try_wait.parity.shared::cta.b64 %p3, [%r24], %r22;
    @!%p3 bra FULL;
    shl.b32 %r25, %r21, 9; add.u32 %r25, %r1, %r25; add.u32 %r25, %r25, %r31;
    ld.shared.u32 %r34, [%r25];
    add.u32 %r33, %r33, %r34;
    bar.warp.sync 0xffffffff;
    @%p6 mbarrier.arrive.shared::cta.b64 _, [%r24+16];
    add.u32 %r20, %r20, 1;
    xor.b32 %r21, %r21, 1;
    setp.eq.u32 %p4, %r21, 0;
    @%p4 xor.b32 %r22, %r22, 1;
    setp.lt.u32 %p5, %r20, 10;
    @%p5 bra NEXT;
    mul.wide.u32 %d4, %r30, 4; add.s64 %d4, %d2, %d4;
    st.global.u32 [%d4], %r33;
  DONE:
)";

TEST_F(BulkCopyTest, APipelineOfProducerAndConsumers) {
  auto in = numbers(10 * 128);
  uint64_t input = upload(in), output = upload(std::vector<uint32_t>(96, 0));
  std::string whole = text(pipelineBody);
  expectClean(whole, {1}, {128}, arguments(input, output), [&] {
    auto sums = download<uint32_t>(output, 96);
    for (uint32_t t = 0; t < 96; ++t) {
      uint32_t expected = 0;
      for (uint32_t tile = 0; tile < 10; ++tile)
        expected += in[tile * 128 + t];
      ASSERT_EQ(sums[t], expected) << t;
    }
  });
  auto result = runSeed(whole, {1}, {128}, arguments(input, output));
  ASSERT_RAN(result);
  EXPECT_EQ(result.counters().bulkCopies, 10u);
  EXPECT_EQ(result.counters().bulkBytes, 5120u);

  auto args = arguments(input, output);
  // Nobody expects the bytes: more complete than are expected, and the phase
  // of a stage ends with the arrival alone or not at all.
  std::string arrive = "mbarrier.arrive.expect_tx.shared::cta.b64 _, [%r24], "
                       "512;";
  expectReport(replaced(whole, arrive,
                        "mbarrier.arrive.expect_tx.shared::cta.b64 _, [%r24], "
                        "1024;"),
               {1}, {128}, args, ReportKind::Deadlock,
               "and 512 bytes are outstanding");
  expectReport(replaced(whole, arrive,
                        "mbarrier.expect_tx.shared::cta.b64 [%r24], 512;"),
               {1}, {128}, args, ReportKind::Deadlock,
               "where 0 of 1 arrivals have come and 0 bytes are outstanding");
  // A consumer that starts with the other parity does not wait at all.
  expectReportAlways(replaced(whole, "mov.u32 %r22, 0;", "mov.u32 %r22, 1;"),
                     {1}, {128}, args,
                     std::vector<ReportKind>{ReportKind::AsyncHazard,
                                             ReportKind::UninitializedMemory},
                     "ld.shared.u32");
  // A producer that does waits for ever.
  expectReport(replaced(whole, "mov.u32 %r23, 1;", "mov.u32 %r23, 0;"), {1},
               {128}, args, ReportKind::Deadlock,
               "mbarrier at offset 8208, in phase 0 (parity 0), where 0 of 3 "
               "arrivals");
  // One lane arrives before the others of its warp have read.
  expectReportAlways(
      replaced(whole, "bar.warp.sync 0xffffffff;", ""), {1}, {128}, args,
      std::vector<ReportKind>{ReportKind::SharedRace, ReportKind::AsyncHazard},
      "ld.shared.u32");
  // The producer does not wait for the consumers.
  expectReportAlways(replaced(whole, "@!%p3 bra EMPTY;", ""), {1}, {128}, args,
                     std::vector<ReportKind>{ReportKind::SharedRace,
                                             ReportKind::AsyncHazard,
                                             ReportKind::MbarrierMisuse},
                     "");
}

TEST_F(BulkCopyTest, AMissingExpectation) {
  // With as many bytes expected as come, but by nobody: a phase ends with its
  // arrival, before the copy.
  std::string body = R"(
    setp.ne.u32 %p1, %r10, 0;
    @%p1 bra DONE;
    mbarrier.init.shared::cta.b64 [%r2], 1;
    fence.mbarrier_init.release.cluster;
    mbarrier.arrive.expect_tx.shared::cta.b64 _, [%r2], 64;
    cp.async.bulk.shared::cta.global.mbarrier::complete_tx::bytes [%r1], [%d1], 64, [%r2];
  WAIT:
    mbarrier.try_wait.parity.shared::cta.b64 %p3, [%r2], 0;
    @!%p3 bra WAIT;
    ld.shared.u32 %r20, [%r1+60];
    st.global.u32 [%d2], %r20;
  DONE:
  )";
  uint64_t input = upload(numbers(16)), output = upload(numbers(1));
  expectClean(text(body), {1}, {32}, arguments(input, output),
              [&] { EXPECT_EQ(download<uint32_t>(output, 1)[0], 1015u); });
  expectReportAlways(text(replaced(body,
                                   "arrive.expect_tx.shared::cta.b64 _, "
                                   "[%r2], 64;",
                                   "arrive.shared::cta.b64 _, [%r2];")),
                     {1}, {32}, arguments(input, output),
                     ReportKind::AsyncHazard, "");
  // The copy goes on when the block is gone.
  std::string wait = "@!%p3 bra WAIT;\n    ld.shared.u32 %r20, [%r1+60];";
  // Some schedules let it end before; nobody could know.
  expectReportAlways(text(replaced(body, wait, "mov.u32 %r20, 0;")), {1}, {32},
                     arguments(input, output), ReportKind::AsyncHazard,
                     "block 0");
}

/// Threads fill 1 KiB of shared memory and thread 0 stores it as a bulk copy.
const char *storeBody = R"(
    setp.eq.u32 %p1, %r10, 0;
    shl.b32 %r11, %r10, 4; add.u32 %r12, %r1, %r11;
    mov.u32 %r20, %r10; add.u32 %r21, %r10, 100;
    st.shared.v4.u32 [%r12], {%r20, %r21, %r20, %r21};
    fence.proxy.async.shared::cta;
    bar.sync 0;
    @!%p1 bra STORED;
    cp.async.bulk.global.shared::cta.bulk_group [%d2], [%r1], 1024;
    cp.async.bulk.commit_group;
    cp.async.bulk.wait_group.read 0;
  STORED:
    bar.sync 0;
    st.shared.u32 [%r12], 5;
)";

TEST_F(BulkCopyTest, StoresFromSharedMemory) {
  uint64_t input = upload(numbers(1));
  uint64_t output = upload(std::vector<uint32_t>(256, 0));
  auto args = arguments(input, output);
  expectClean(text(storeBody), {1}, {64}, args, [&] {
    auto got = download<uint32_t>(output, 256);
    for (uint32_t i = 0; i < 256; ++i)
      ASSERT_EQ(got[i], i / 4 + (i % 2 ? 100 : 0)) << i;
  });
  expectReportAlways(
      text(replaced(storeBody, "fence.proxy.async.shared::cta;", "")), {1},
      {64}, args, ReportKind::ProxyRace, "cp.async.bulk.global");
  // Overwriting what is still being read.
  expectReportAlways(
      text(replaced(storeBody, "cp.async.bulk.wait_group.read 0;", "")), {1},
      {64}, args, ReportKind::AsyncHazard, "st.shared.u32");
  expectReportAlways(
      text(replaced(storeBody, "wait_group.read 0;", "wait_group.read 1;")),
      {1}, {64}, args, ReportKind::AsyncHazard, "st.shared.u32");
  // The other threads do not know of the wait of thread 0.
  expectReportAlways(
      text(replaced(storeBody, "STORED:\n    bar.sync 0;", "STORED:\n")), {1},
      {64}, args,
      std::vector<ReportKind>{ReportKind::AsyncHazard, ReportKind::SharedRace},
      "st.shared.u32");
}

// Guards that lanes which all issue the same copy, as kernels of CuTe do, are
// no race, and those that copy others to the same place are one.
TEST_F(BulkCopyTest, LanesMayStoreTheSame) {
  std::string body = R"(
    shl.b32 %r11, %r10, 4; add.u32 %r12, %r1, %r11; mov.u32 %r13, 7;
    st.shared.v4.u32 [%r12], {%r13, %r13, %r13, %r13};
    fence.proxy.async;
    bar.sync 0;
    setp.lt.u32 %p1, %r10, 32;
    @!%p1 bra STORED;
    mov.u32 %r14, %r1; mov.u64 %d3, %d2;
    cp.async.bulk.global.shared::cta.bulk_group [%d3], [%r14], 256;
    cp.async.bulk.commit_group;
    cp.async.bulk.wait_group.read 0;
    add.u32 %r14, %r14, 256; add.s64 %d3, %d3, 256;
    cp.async.bulk.global.shared::cta.bulk_group [%d3], [%r14], 256;
    cp.async.bulk.commit_group;
    cp.async.bulk.wait_group 0;
  STORED:
  )";
  uint64_t input = upload(numbers(1));
  uint64_t output = upload(std::vector<uint32_t>(128, 0));
  auto args = arguments(input, output);
  expectClean(text(body), {1}, {64}, args, [&] {
    for (uint32_t value : download<uint32_t>(output, 128))
      ASSERT_EQ(value, 7u);
  });
  expectReportAlways(text(replaced(body, "mov.u32 %r14, %r1;",
                                   "and.b32 %r14, %r11, 16; "
                                   "add.u32 %r14, %r14, %r1;")),
                     {1}, {64}, args, ReportKind::AsyncHazard,
                     "may still write");
  expectReportAlways(text(replaced(body, "mov.u64 %d3, %d2;",
                                   "cvt.u64.u32 %d3, %r11; "
                                   "add.s64 %d3, %d3, %d2;")),
                     {1}, {64}, args, ReportKind::AsyncHazard,
                     "may still write");
  // Both warps.
  expectReportAlways(text(replaced(body, "%r10, 32;", "%r10, 64;")), {1}, {64},
                     args, ReportKind::AsyncHazard, "may still write");
}

TEST_F(BulkCopyTest, AFullWaitShowsTheResult) {
  std::string body = std::string(storeBody) +
                     "@%p1 ld.global.u32 %r30, [%d2+4];\n"
                     "@%p1 st.global.u32 [%d1], %r30;\n";
  uint64_t input = upload(numbers(1));
  uint64_t output = upload(std::vector<uint32_t>(256, 0));
  auto args = arguments(input, output);
  expectClean(text(replaced(body, "wait_group.read 0", "wait_group 0")), {1},
              {64}, args,
              [&] { EXPECT_EQ(download<uint32_t>(input, 1)[0], 100u); });
}

TEST_F(BulkCopyTest, StoresMayOutliveTheirBlock) {
  std::string body = R"(
    st.shared.v4.u32 [%r1], {%r10, %r10, %r10, %r10};
    fence.proxy.async;
    cp.async.bulk.global.shared::cta.bulk_group [%d2], [%r1], 16;
    cp.async.bulk.commit_group;
  )";
  uint64_t input = upload(numbers(1)), output = upload(numbers(4));
  auto args = arguments(input, output);
  std::string work = "mov.u32 %r20, 0; LOOP: add.u32 %r20, %r20, 1;"
                     "nanosleep.u32 1; setp.lt.u32 %p1, %r20, 100;"
                     "@%p1 bra LOOP;";
  for (std::string end :
       {std::string(), work, std::string("cp.async.bulk.wait_group.read 0;")})
    expectClean(text(body + end), {1}, {1}, args, [&] {
      EXPECT_EQ(download<uint32_t>(output, 4), std::vector<uint32_t>(4, 0));
    });
}

TEST_F(BulkCopyTest, CopiesWithHintsAndPrefetches) {
  std::string body = R"(
    mov.u64 %d8, 0;
    cp.async.bulk.prefetch.L2.global [%d1], 64;
    cp.async.bulk.prefetch.L2.global.L2::cache_hint [%d1], 32, %d8;
    mbarrier.init.shared::cta.b64 [%r2], 1;
    mbarrier.arrive.expect_tx.shared::cta.b64 _, [%r2], 64;
    cp.async.bulk.shared::cta.global.mbarrier::complete_tx::bytes.L2::cache_hint [%r1], [%d1+16], 48, [%r2], %d8;
    cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes.L2::cache_hint [%r1+48], [%d1], 16, [%r2], %d8;
  WAIT:
    mbarrier.try_wait.parity.shared::cta.b64 %p3, [%r2], 0;
    @!%p3 bra WAIT;
    fence.proxy.async;
    cp.async.bulk.global.shared::cta.bulk_group.L2::cache_hint [%d2], [%r1], 64, %d8;
    cp.async.bulk.commit_group;
    cp.async.bulk.wait_group 0;
  )";
  uint64_t input = upload(numbers(16)), output = upload(numbers(16));
  expectClean(text(body), {1}, {1}, arguments(input, output), [&] {
    auto got = download<uint32_t>(output, 16);
    for (uint32_t i = 0; i < 16; ++i)
      ASSERT_EQ(got[i], 1000 + (i + 4) % 16);
  });
}

TEST_F(BulkCopyTest, AReadWaitTakesTheSourceAsItWas) {
  // The thread overwrites the source in the same turn, long before the copy
  // completes by itself.
  std::string body = R"(
    mov.u32 %r20, 7;
    st.shared.v4.u32 [%r1], {%r20, %r20, %r20, %r20};
    fence.proxy.async.shared::cta;
    cp.async.bulk.global.shared::cta.bulk_group [%d2], [%r1], 16;
    cp.async.bulk.commit_group;
    cp.async.bulk.wait_group.read 0;
    st.shared.u32 [%r1], 8;
    cp.async.bulk.wait_group 0;
  )";
  uint64_t input = upload(numbers(1)), output = upload(numbers(4));
  expectClean(text(body), {1}, {1}, arguments(input, output),
              [&] { EXPECT_EQ(download<uint32_t>(output, 1)[0], 7u); });
}

TEST_F(BulkCopyTest, CopiesCompleteWhileTheProgramIsBusy) {
  // Nobody is ever idle: each round of the loop writes to memory. So it is time
  // that completes the copy, and not that everybody waits for it.
  std::string body = R"(
    mbarrier.init.shared::cta.b64 [%r2], 1;
    mbarrier.arrive.expect_tx.shared::cta.b64 _, [%r2], 16;
    cp.async.bulk.shared::cta.global.mbarrier::complete_tx::bytes [%r1], [%d1], 16, [%r2];
    mov.u32 %r20, 0;
  LOOP:
    add.u32 %r20, %r20, 1;
    st.shared.u32 [%r1+64], %r20;
    mbarrier.test_wait.parity.shared::cta.b64 %p1, [%r2], 0;
    @%p1 bra DONE;
    setp.lt.u32 %p2, %r20, 1000;
    @%p2 bra LOOP;
  WAIT: // so that nothing is under way at the end
    mbarrier.try_wait.parity.shared::cta.b64 %p1, [%r2], 0;
    @!%p1 bra WAIT;
  DONE:
    st.global.u32 [%d2], %r20;
  )";
  uint64_t input = upload(numbers(4)), output = upload(numbers(1));
  expectClean(text(body), {1}, {1}, arguments(input, output),
              [&] { EXPECT_LT(download<uint32_t>(output, 1)[0], 1000u); });
}

TEST_F(BulkCopyTest, GroupsAreCountedByThread) {
  // Two groups: after waiting for all but one, the second is still under way.
  std::string body = R"(
    st.shared.v4.u32 [%r1], {%r10, %r10, %r10, %r10};
    st.shared.v4.u32 [%r1+16], {%r10, %r10, %r10, %r10};
    fence.proxy.async.shared::cta;
    cp.async.bulk.global.shared::cta.bulk_group [%d2], [%r1], 16;
    cp.async.bulk.commit_group;
    cp.async.bulk.global.shared::cta.bulk_group [%d2+16], [%r1+16], 16;
    cp.async.bulk.commit_group;
    cp.async.bulk.wait_group.read 1;
    st.shared.u32 [%r1+PLACE], 1;
    cp.async.bulk.wait_group 0;
  )";
  uint64_t input = upload(numbers(1)), output = upload(numbers(8));
  auto args = arguments(input, output);
  expectClean(text(replaced(body, "PLACE", "0")), {1}, {1}, args);
  expectReportAlways(text(replaced(body, "PLACE", "16")), {1}, {1}, args,
                     ReportKind::AsyncHazard, "st.shared.u32");
}

struct ReductionCase {
  const char *operation; ///< Including the type.
  std::vector<uint64_t> old, value, expected;
  uint32_t bytes; ///< Of an element.
};

uint64_t f(float value) { return std::bit_cast<uint32_t>(value); }
uint64_t g(double value) { return std::bit_cast<uint64_t>(value); }

TEST_F(BulkCopyTest, Reduces) {
  const uint64_t top = 0x80000000, all = 0xffffffff;
  const uint64_t wideTop = uint64_t(1) << 63;
  // Halves: 0x3c00 is 1, 0x4000 is 2, 0x0001 the least subnormal, 0x7c00
  // infinity, 0x7e00 a NaN. bf16: 0x3f80 is 1, 0x4000 is 2.
  std::vector<ReductionCase> cases = {
      {"add.u32", {1, all}, {2, 3}, {3, 2}, 4},
      {"add.s32", {1, top}, {all, all}, {0, 0x7fffffff}, 4},
      {"add.u64", {all, ~0ull}, {1, 1}, {all + 1, 0}, 8},
      {"min.u32", {1, top}, {2, 7}, {1, 7}, 4},
      {"min.s32", {1, top}, {2, 7}, {1, top}, 4},
      {"max.u32", {1, top}, {2, 7}, {2, top}, 4},
      {"max.s32", {1, top}, {2, 7}, {2, 7}, 4},
      {"min.u64", {1, wideTop}, {2, 7}, {1, 7}, 8},
      {"min.s64", {1, wideTop}, {2, 7}, {1, wideTop}, 8},
      {"max.u64", {1, wideTop}, {2, 7}, {2, wideTop}, 8},
      {"max.s64", {1, wideTop}, {2, 7}, {2, 7}, 8},
      {"inc.u32", {4, 5, 6, 0}, {5, 5, 5, 0}, {5, 0, 0, 0}, 4},
      {"dec.u32", {4, 0, 6, 5}, {5, 5, 5, 5}, {3, 5, 5, 4}, 4},
      {"and.b32", {0xf0}, {0x3c}, {0x30}, 4},
      {"or.b32", {0xf0}, {0x3c}, {0xfc}, 4},
      {"xor.b32", {0xf0}, {0x3c}, {0xcc}, 4},
      {"and.b64", {wideTop | 6}, {wideTop | 3}, {wideTop | 2}, 8},
      {"or.b64", {wideTop | 6}, {3}, {wideTop | 7}, 8},
      {"xor.b64", {wideTop | 6}, {wideTop | 3}, {5}, 8},
      {"add.f32",
       {f(1.5f), f(0x1p-149f), f(INFINITY)},
       {f(2.25f), f(0x1p-149f), f(-INFINITY)},
       {f(3.75f), f(0x1p-148f), 0x7fffffff},
       4},
      {"add.f64", {g(1.5)}, {g(-2.25)}, {g(-0.75)}, 8},
      {"add.noftz.f16",
       {0x3c00, 0x0001, 0x7bff, 0x3c00},
       {0x4000, 0x0001, 0x7bff, 0x1000}, // 1 + 2^-11 is a tie to even
       {0x4200, 0x0002, 0x7c00, 0x3c00},
       2},
      {"add.noftz.bf16",
       {0x3f80, 0x0001, 0x3f80},
       {0x4000, 0x0001, 0x3c40}, // 1 + 3 * 2^-8: up to 1 + 2 * 2^-7
       {0x4040, 0x0002, 0x3f82},
       2},
      {"min.f16",
       {0x3c00, 0xbc00, 0x8000, 0x7e00, 0x7e00},
       {0x4000, 0x3c00, 0x0000, 0x3c00, 0x7e00},
       {0x3c00, 0xbc00, 0x8000, 0x3c00, 0x7fff},
       2},
      {"max.bf16",
       {0x3f80, 0xbf80, 0x8000},
       {0x4000, 0x7fc0, 0x0000},
       {0x4000, 0xbf80, 0x0000},
       2},
  };
  uint64_t value = device.allocate(16), target = device.allocate(16);
  for (const ReductionCase &test : cases) {
    // Elements beyond those of the case are zero.
    std::vector<std::byte> olds(16), values(16), expected(16);
    for (size_t i = 0; i < test.old.size(); ++i) {
      std::memcpy(&olds[i * test.bytes], &test.old[i], test.bytes);
      std::memcpy(&values[i * test.bytes], &test.value[i], test.bytes);
      std::memcpy(&expected[i * test.bytes], &test.expected[i], test.bytes);
    }
    ASSERT_LE(test.old.size() * test.bytes, 16u);
    size_t used = test.old.size() * test.bytes;
    std::string body =
        std::string("ld.global.v4.u32 {%r20, %r21, %r22, %r23}, [%d1];\n"
                    "st.shared.v4.u32 [%r1], {%r20, %r21, %r22, %r23};\n"
                    "fence.proxy.async;\n"
                    "cp.reduce.async.bulk.global.shared::cta.bulk_group.") +
        test.operation +
        " [%d2], [%r1], 16;\n"
        "cp.async.bulk.commit_group; cp.async.bulk.wait_group 0;\n";
    ASSERT_TRUE(device.copyIn(target, olds.data(), 16));
    ASSERT_TRUE(device.copyIn(value, values.data(), 16));
    auto result = runSeed(text(body), {1}, {1}, arguments(value, target));
    ASSERT_RAN(result);
    std::vector<std::byte> got(16);
    ASSERT_TRUE(device.copyOut(got.data(), target, 16));
    EXPECT_EQ(std::memcmp(got.data(), expected.data(), used), 0)
        << test.operation;
  }
}

TEST_F(BulkCopyTest, BlocksReduceIntoOnePlace) {
  // 24 blocks add 1, 2, 3, 4 to the same four words.
  std::string body = R"(
    mov.u32 %r20, 1; mov.u32 %r21, 2; mov.u32 %r22, 3; mov.u32 %r23, 4;
    st.shared.v4.u32 [%r1], {%r20, %r21, %r22, %r23};
    fence.proxy.async.shared::cta;
    cp.reduce.async.bulk.global.shared::cta.bulk_group.add.u32 [%d2], [%r1], 16;
    cp.async.bulk.commit_group;
    cp.async.bulk.wait_group 0;
  )";
  uint64_t input = upload(numbers(1));
  for (uint64_t seed : seeds) {
    uint64_t output = upload(std::vector<uint32_t>(4, 0));
    auto result =
        runSeed(text(body), {24}, {1}, arguments(input, output), seed);
    ASSERT_RAN(result);
    EXPECT_EQ(download<uint32_t>(output, 4),
              (std::vector<uint32_t>{24, 48, 72, 96}));
  }
}

TEST_F(BulkCopyTest, ReportsMisuse) {
  uint64_t input = upload(numbers(16)), output = upload(numbers(16));
  auto expect = [&](const std::string &code, ReportKind kind,
                    const char *part) {
    expectReport(text("mbarrier.init.shared::cta.b64 [%r2], 1;\n"
                      "mov.u32 %r3, 24; mov.u32 %r4, 128;\n" +
                      code),
                 {1}, {1}, arguments(input, output), kind, part);
  };
  std::string load =
      "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes ";
  std::string store = "cp.async.bulk.global.shared::cta.bulk_group ";
  expect(load + "[%r1+8], [%d1], 16, [%r2];", ReportKind::Misaligned,
         "destination address is not a multiple of 16");
  expect(load + "[%r1], [%d1+8], 16, [%r2];", ReportKind::Misaligned,
         "source address is not a multiple of 16");
  expect(load + "[%r1], [%d1], %r3, [%r2];", ReportKind::Misaligned,
         "copies 24 bytes, which is no multiple of 16");
  expect(load + "[%r1], [%d1], %r4, [%r2];", ReportKind::OutOfBounds, "");
  expect(load + "[%r1+16384], [%d1], 16, [%r2];", ReportKind::OutOfBounds,
         "shared memory");
  expect(load + "[%r1], [%d1], 16, [%r2+8];", ReportKind::MbarrierMisuse,
         "finds no mbarrier there");
  expect(load + "[%r2], [%d1], 16, [%r2];", ReportKind::MbarrierMisuse,
         "writes to an mbarrier object");
  expect(store + "[%d2], [%r2], 16;", ReportKind::MbarrierMisuse,
         "reads from an mbarrier object");
  expect(store + "[%d2], [%r1], 16;", ReportKind::UninitializedMemory, "");
  expect("cp.async.bulk.prefetch.L2.global [%d1], %r3;", ReportKind::Misaligned,
         "prefetches 24 bytes");
  expect("cp.async.bulk.prefetch.L2.global [%d1], %r4;",
         ReportKind::OutOfBounds, "");
  expect("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes"
         ".multicast::cluster [%r1], [%d1], 16, [%r2], 2;",
         ReportKind::ClusterMisuse,
         "has the block mask 2 in a cluster of 1 blocks");
  // The barrier goes away under the copy.
  expect(load + "[%r1], [%d1], 16, [%r2]; mbarrier.inval.shared.b64 [%r2];",
         ReportKind::MbarrierMisuse, "while it is in use");
}

TEST_F(BulkCopyTest, RefusesOtherForms) {
  auto refuse = [&](const std::string &code, const char *part) {
    expectRefused(text(code), part);
  };
  std::string load =
      "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes";
  std::string store = "cp.async.bulk.global.shared::cta.bulk_group";
  std::string reduce = "cp.reduce.async.bulk.global.shared::cta.bulk_group";
  refuse(store + ".cp_mask [%d2], [%r1], 16, %h1;", "'.cp_mask'");
  refuse(store + ".multicast::cluster [%d2], [%r1], 16;",
         "'.multicast::cluster'");
  refuse(load + ".ignore_oob [%r1], [%d1], 16, 0, 0, [%r2];", "'.ignore_oob'");
  refuse(load + " [%r1], [%d1], 16;", "expected 4 operands, found 3");
  refuse(load + " [%r1], [%d1], 16, [%r2], %d8;",
         "expected 4 operands, found 5");
  refuse(load + ".L2::cache_hint [%r1], [%d1], 16, [%r2];",
         "expected 5 operands, found 4");
  refuse(load + ".multicast::cluster [%r1], [%d1], 16, [%r2], %r3;",
         "4 bytes for a .u16");
  refuse("cp.async.bulk.shared::cluster.global.bulk_group [%r1], [%d1], 16;",
         "expected '.mbarrier::complete_tx::bytes'");
  refuse("cp.async.bulk.global.shared::cta.mbarrier::complete_tx::bytes [%d1],"
         " [%r1], 16, [%r2];",
         "expected '.bulk_group'");
  refuse("cp.async.bulk.global.global.bulk_group [%d1], [%d2], 16;",
         "a copy between these state spaces");
  refuse("cp.async.bulk.shared::cta.shared::cta.mbarrier::complete_tx::bytes "
         "[%r1], [%r1], 16, [%r2];",
         "a copy between these state spaces");
  refuse("cp.async.bulk.local.global.bulk_group [%d1], [%d2], 16;", "'.local'");
  refuse("cp.async.bulk.wait_group.write 0;", "'.write'");
  refuse("cp.async.bulk.wait_group %r1;", "expected an integer constant");
  refuse("cp.async.bulk.prefetch.L1.global [%d1], 16;",
         "expected '.L2.global'");
  refuse(reduce + ".add.s64 [%d1], [%r1], 16;", "the reduction of type '.s64'");
  refuse(reduce + ".add.f16 [%d1], [%r1], 16;", "'.noftz' belongs to");
  refuse(reduce + ".add.noftz.f32 [%d1], [%r1], 16;", "'.noftz' belongs to");
  refuse(reduce + ".min.f32 [%d1], [%r1], 16;", "the reduction of type '.f32'");
  refuse(reduce + ".exch.b32 [%d1], [%r1], 16;", "'.exch'");
  refuse("cp.reduce.async.bulk.shared::cluster.shared::cta."
         "mbarrier::complete_tx::bytes.and.b64 [%r1], [%r1], 16, [%r2];",
         "the reduction of type '.b64'");
  refuse("cp.reduce.async.bulk.shared::cluster.global."
         "mbarrier::complete_tx::bytes.add.u32 [%r1], [%d1], 16, [%r2];",
         "a copy between these state spaces");
}

TEST_F(BulkCopyTest, FencesOfProxies) {
  std::string body = R"(
    fence.proxy.alias;
    fence.proxy.async;
    fence.proxy.async.global;
    fence.proxy.async.shared::cluster;
    fence.proxy.tensormap::generic.release.gpu;
    fence.proxy.tensormap::generic.acquire.sys [%d1], 128;
    fence.proxy.async::generic.acquire.sync_restrict::shared::cluster.cluster;
    fence.proxy.async::generic.release.sync_restrict::shared::cta.cluster;
    griddepcontrol.launch_dependents;
    griddepcontrol.wait;
  )";
  uint64_t input = upload(numbers(32)), output = upload(numbers(1));
  expectClean(text(body), {1}, {32}, arguments(input, output));
  expectReport(text("fence.proxy.tensormap::generic.acquire.gpu [%d1+16], "
                    "128;"),
               {1}, {1}, arguments(input, output), ReportKind::OutOfBounds, "");
  auto refuse = [&](const char *code, const char *part) {
    expectRefused(text(code), part);
  };
  refuse("fence.proxy.async.local;", "'.local'");
  refuse("fence.proxy.generic;", "'.generic'");
  refuse("fence.proxy.tensormap::generic.acquire.gpu [%d1], 64;",
         "expected a size of 128, found 64");
  refuse("fence.proxy.tensormap::generic.release;", "expected a scope");
  refuse("fence.proxy.async::generic.acquire.sync_restrict::shared::cta."
         "cluster;",
         "expected '.sync_restrict::shared::cluster'");
  refuse("fence.mbarrier_init.release.gpu;", "expected '.release.cluster'");
  refuse("griddepcontrol.launch;", "'.launch'");
}

} // namespace
