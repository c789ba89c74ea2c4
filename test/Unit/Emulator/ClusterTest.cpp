//===- ClusterTest.cpp - Tests of blocks in clusters ------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Places and ranks, barrier.cluster, memory of other blocks, barriers and
// copies across blocks, and blocks that leave too early.
//
//===----------------------------------------------------------------------===//

#include "AsyncHarness.h"

#include <numeric>

using namespace ropewalk::emulator;

namespace {

struct ClusterTest : AsyncTest {
  /// A body for clusters of `size` blocks in x, with the input in %d1, the
  /// output in %d2, the thread in %r10, its rank in %r11, 4 KiB of shared
  /// memory at %r1 and barriers at %r2. %p0 is set in thread 0, %p1 and %p2 in
  /// the blocks of rank 0 and 1.
  static std::string text(const std::string &body, unsigned size = 2) {
    return hopperText("ld.param.u64 %d1, [p0];\n"
                      "ld.param.u64 %d2, [p1];\n"
                      "mov.u32 %r1, data; mov.u32 %r2, bars;\n"
                      "mov.u32 %r10, %tid.x; mov.u32 %r11, %cluster_ctarank;\n"
                      "setp.eq.u32 %p0, %r10, 0;\n"
                      "setp.eq.u32 %p1, %r11, 0; setp.eq.u32 %p2, %r11, 1;\n" +
                          body,
                      2,
                      ".shared .align 128 .b8 data[4096];\n"
                      ".shared .align 8 .b64 bars[4];",
                      ".reqnctapercluster " + std::to_string(size));
  }
  static std::vector<uint32_t> numbers(size_t count) {
    std::vector<uint32_t> values(count);
    std::iota(values.begin(), values.end(), 1000u);
    return values;
  }
  std::vector<ReportKind> races{ReportKind::SharedRace,
                                ReportKind::UninitializedMemory};
};

const char *sync = "barrier.cluster.arrive.aligned;\n"
                   "barrier.cluster.wait.aligned;\n";

TEST_F(ClusterTest, PlacesAndRanks) {
  // 2 x 2 blocks a cluster, 4 x 2 blocks: every block writes where it is, and
  // the ranks that it reads off addresses of its peers.
  std::string body = R"(
    mov.u32 %r20, %ctaid.y; mov.u32 %r21, %nctaid.x; mov.u32 %r22, %ctaid.x;
    mad.lo.u32 %r20, %r20, %r21, %r22;
    mul.wide.u32 %d3, %r20, 64; add.s64 %d3, %d2, %d3;
    mov.u32 %r23, %clusterid.x; st.global.u32 [%d3], %r23;
    mov.u32 %r23, %nclusterid.x; st.global.u32 [%d3+4], %r23;
    mov.u32 %r23, %cluster_ctaid.x; st.global.u32 [%d3+8], %r23;
    mov.u32 %r23, %cluster_ctaid.y; st.global.u32 [%d3+12], %r23;
    mov.u32 %r23, %cluster_nctarank; st.global.u32 [%d3+16], %r23;
    st.global.u32 [%d3+20], %r11;
    mapa.shared::cluster.u32 %r24, %r1, 3;
    getctarank.shared::cluster.u32 %r23, %r24; st.global.u32 [%d3+24], %r23;
    getctarank.shared::cluster.u32 %r23, %r1; st.global.u32 [%d3+28], %r23;
    cvt.u64.u32 %d4, %r1; cvta.shared.u64 %d5, %d4;
    mov.u32 %r25, 2;
    mapa.u64 %d6, %d5, %r25;
    getctarank.u64 %r23, %d6; st.global.u32 [%d3+32], %r23;
    mapa.shared::cluster.u64 %d7, %d4, 1;
    getctarank.shared::cluster.u64 %r23, %d7; st.global.u32 [%d3+36], %r23;
    // An address of a peer may be mapped again.
    mapa.shared::cluster.u32 %r24, %r24, 1;
    getctarank.shared::cluster.u32 %r23, %r24; st.global.u32 [%d3+40], %r23;
  )";
  uint64_t input = upload(numbers(1));
  uint64_t output = upload(std::vector<uint32_t>(8 * 16, 0));
  std::string whole =
      replaced(text(body), ".reqnctapercluster 2", ".reqnctapercluster 2, 2");
  expectClean(whole, {4, 2}, {1}, arguments(input, output), [&] {
    auto got = download<uint32_t>(output, 8 * 16);
    for (uint32_t y = 0; y < 2; ++y)
      for (uint32_t x = 0; x < 4; ++x) {
        uint32_t rank = y * 2 + x % 2;
        std::vector<uint32_t> expected{x / 2, 2,    x % 2, y, 4, rank,
                                       3,     rank, 2,     1, 1};
        auto first = got.begin() + (y * 4 + x) * 16;
        EXPECT_EQ(std::vector<uint32_t>(first, first + 11), expected);
      }
  });
}

/// Each thread reads what its neighbour of the next block has written.
const char *exchangeBody = R"(
    mul.lo.u32 %r20, %r11, 100; add.u32 %r20, %r20, %r10;
    shl.b32 %r21, %r10, 2; add.u32 %r22, %r1, %r21;
    st.shared.u32 [%r22], %r20;
    barrier.cluster.arrive.release.aligned; // written
    barrier.cluster.wait.acquire.aligned; // written
    add.u32 %r23, %r11, 1; and.b32 %r23, %r23, 3;
    mapa.shared::cluster.u32 %r24, %r22, %r23;
    ld.shared::cluster.u32 %r25, [%r24];
    barrier.cluster.arrive; // read
    barrier.cluster.wait; // read
    mul.lo.u32 %r26, %r11, 64; add.u32 %r26, %r26, %r10;
    mul.wide.u32 %d3, %r26, 4; add.s64 %d3, %d2, %d3;
    st.global.u32 [%d3], %r25;
)";

TEST_F(ClusterTest, BlocksReadEachOthersMemory) {
  uint64_t input = upload(numbers(1));
  uint64_t output = upload(std::vector<uint32_t>(256, 0));
  auto args = arguments(input, output);
  std::string whole = text(exchangeBody, 4);
  expectClean(whole, {4}, {64}, args, [&] {
    auto got = download<uint32_t>(output, 256);
    for (uint32_t i = 0; i < 256; ++i)
      ASSERT_EQ(got[i], (i / 64 + 1) % 4 * 100 + i % 64);
  });
  std::string unsynced =
      replaced(replaced(whole,
                        "barrier.cluster.wait.acquire.aligned; // "
                        "written",
                        ""),
               "barrier.cluster.arrive.release.aligned; // written", "");
  expectReportAlways(unsynced, {4}, {64}, args, races, "ld.shared::cluster");
  expectReportAlways(replaced(whole, "arrive.release", "arrive.relaxed"), {4},
                     {64}, args, ReportKind::SharedRace,
                     "'ld.shared::cluster.u32'");
  // A fence releases what a relaxed arrival does not.
  expectClean(replaced(whole, "barrier.cluster.arrive.release.aligned;",
                       "fence.acq_rel.cluster; "
                       "barrier.cluster.arrive.relaxed.aligned;"),
              {4}, {64}, args);
  // A block may be gone while another one still reads its memory.
  std::string early =
      replaced(replaced(whole, "barrier.cluster.wait; // read", ""),
               "barrier.cluster.arrive; // read", "");
  expectReportAlways(early, {4}, {64}, args, ReportKind::ClusterMisuse,
                     "block");
  // To stay until all have arrived is enough, whatever they release.
  expectClean(replaced(whole, "barrier.cluster.arrive; // read",
                       "barrier.cluster.arrive.relaxed;"),
              {4}, {64}, args);
}

TEST_F(ClusterTest, ReducesIntoOneBlock) {
  // 4 blocks of 64 threads add their numbers to a word of rank 0.
  std::string body = R"(
    @%p0 st.shared.u32 [%r1], 0;
    barrier.cluster.arrive.aligned;
    barrier.cluster.wait.aligned;
    mapa.shared::cluster.u32 %r20, %r1, 0;
    mad.lo.u32 %r21, %r11, 64, %r10;
    red.relaxed.cluster.shared::cluster.add.u32 [%r20], %r21;
    barrier.cluster.arrive.aligned;
    barrier.cluster.wait.aligned;
    and.pred %p3, %p0, %p1;
    @%p3 ld.shared.u32 %r22, [%r1];
    @%p3 st.global.u32 [%d2], %r22;
  )";
  uint64_t input = upload(numbers(1)), output = upload(numbers(1));
  expectClean(text(body, 4), {4}, {64}, arguments(input, output), [&] {
    EXPECT_EQ(download<uint32_t>(output, 1)[0], 255u * 256 / 2);
  });
}

TEST_F(ClusterTest, ExitedThreadsAreNotWaitedFor) {
  // Half of the threads of rank 1 leave at once, others between their arrival
  // and the wait.
  std::string body = R"(
    setp.ge.u32 %p3, %r10, 32;
    and.pred %p3, %p3, %p2;
    @%p3 ret;
    barrier.cluster.arrive;
    setp.eq.u32 %p4, %r10, 5;
    @%p4 ret;
    barrier.cluster.wait;
    barrier.cluster.arrive;
    barrier.cluster.wait;
    mad.lo.u32 %r20, %r11, 64, %r10;
    mul.wide.u32 %d3, %r20, 4; add.s64 %d3, %d2, %d3;
    st.global.u32 [%d3], %r10;
  )";
  uint64_t input = upload(numbers(1));
  uint64_t output = upload(std::vector<uint32_t>(128, ~0u));
  expectClean(text(body), {2}, {64}, arguments(input, output), [&] {
    auto got = download<uint32_t>(output, 128);
    for (uint32_t i = 0; i < 128; ++i)
      ASSERT_EQ(got[i], i >= 96 || i % 64 == 5 ? ~0u : i % 64);
  });
}

TEST_F(ClusterTest, ReportsMisuseOfTheBarrier) {
  uint64_t input = upload(numbers(1)), output = upload(numbers(1));
  auto args = arguments(input, output);
  auto expect = [&](const std::string &body, ReportKind kind,
                    const char *part) {
    expectReportAlways(text(body), {2}, {64}, args, kind, part);
  };
  expect("barrier.cluster.arrive; barrier.cluster.arrive;",
         ReportKind::ClusterMisuse,
         "arrives a second time without a 'barrier.cluster.wait'");
  expect("barrier.cluster.wait;", ReportKind::ClusterMisuse,
         "waits without a 'barrier.cluster.arrive' before");
  expect(std::string(sync) + "barrier.cluster.wait;", ReportKind::ClusterMisuse,
         "waits without");
  expect("@%p0 barrier.cluster.arrive.aligned;", ReportKind::BarrierDivergence,
         "is '.aligned' and not reached by all lanes of the warp together");
  // Rank 1 waits for a barrier of its own that nobody else comes to.
  expect("setp.lt.u32 %p3, %r10, 32; and.pred %p3, %p3, %p2;\n"
         "@%p3 bar.sync 1, 64;\n" +
             std::string(sync),
         ReportKind::Deadlock, "waits at 'barrier.cluster.wait.aligned'");
  expect("mapa.shared::cluster.u32 %r20, %r1, 2;", ReportKind::ClusterMisuse,
         "names rank 2 of 2 blocks of the cluster");
  expect("mapa.u64 %d5, %d1, 0;", ReportKind::OutOfBounds,
         "needs an address in shared memory");
  expect("add.u32 %r20, %r1, 0x5000000; getctarank.shared::cluster.u32 %r21, "
         "%r20;",
         ReportKind::ClusterMisuse, "needs the shared memory of rank 4");
  expect("mapa.shared::cluster.u32 %r20, %r2, 1;\n"
         "@%p1 mbarrier.init.shared::cta.b64 [%r20], 1;",
         ReportKind::ClusterMisuse,
         "needs an address in the block's own shared memory, found one of "
         "block 1");
  auto refuse = [&](const char *code, const char *part) {
    expectRefused(text(code), part);
  };
  refuse("barrier.cluster.arrive.acquire;", "'.acquire'");
  refuse("barrier.cluster.wait.release;", "'.release'");
  refuse("barrier.cluster.sync;", "'.sync'");
  refuse("barrier.cluster.arrive 0;", "expected 0 operands, found 1");
  refuse("mapa.u32 %r20, %r1, 0;", "a generic address of 32 bits");
  refuse("mapa.shared::cta.u32 %r20, %r1, 0;", "'.shared::cta'");
  refuse("getctarank.u32 %r20, %r1;", "a generic address of 32 bits");
}

/// Rank 1 stores to rank 0 and arrives at its barrier. SYNC makes the barrier
/// known.
const char *remoteArriveBody = R"(
    and.pred %p3, %p0, %p1;
    @%p3 mbarrier.init.shared::cta.b64 [%r2], 32;
    FENCE
    SYNC
    setp.ge.u32 %p4, %r10, 32;
    @%p4 bra DONE;
    @%p2 bra REMOTE;
  WAIT:
    mbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 %p5, [%r2], 0;
    @!%p5 bra WAIT;
    shl.b32 %r20, %r10, 2; add.u32 %r20, %r1, %r20;
    ld.shared.u32 %r21, [%r20];
    mul.wide.u32 %d3, %r10, 4; add.s64 %d3, %d2, %d3;
    st.global.u32 [%d3], %r21;
    bra DONE;
  REMOTE:
    mapa.shared::cluster.u32 %r22, %r1, 0; mapa.shared::cluster.u32 %r23, %r2, 0;
    shl.b32 %r20, %r10, 2; add.u32 %r20, %r22, %r20;
    st.shared::cluster.u32 [%r20], %r10;
    mbarrier.arrive.release.cluster.shared::cluster.b64 _, [%r23];
  DONE:
)";

TEST_F(ClusterTest, ArrivesAtABarrierOfAnotherBlock) {
  uint64_t input = upload(numbers(1)), output = upload(numbers(32));
  auto args = arguments(input, output);
  auto whole = [&](const char *fence, const char *arrive) {
    return text(replaced(replaced(remoteArriveBody, "FENCE", fence), "SYNC",
                         std::string(arrive) + "\nbarrier.cluster.wait;"));
  };
  auto check = [&] {
    auto got = download<uint32_t>(output, 32);
    for (uint32_t i = 0; i < 32; ++i)
      ASSERT_EQ(got[i], i);
  };
  const char *fence = "@%p3 fence.mbarrier_init.release.cluster;";
  expectClean(whole("", "barrier.cluster.arrive;"), {2}, {64}, args, check);
  expectClean(whole(fence, "barrier.cluster.arrive.relaxed;"), {2}, {64}, args,
              check);
  expectReportAlways(whole("", "barrier.cluster.arrive.relaxed;"), {2}, {64},
                     args, ReportKind::SharedRace,
                     "uses the barrier that line 18 initialized, and nothing "
                     "orders the two");
  // A fence by another thread than the initializing one says nothing.
  expectReportAlways(whole("@!%p0 fence.mbarrier_init.release.cluster;",
                           "barrier.cluster.arrive.relaxed;"),
                     {2}, {64}, args, ReportKind::SharedRace,
                     "uses the barrier");
  expectReportAlways(text(replaced(replaced(remoteArriveBody, "FENCE", fence),
                                   "SYNC", "bar.sync 0;")),
                     {2}, {64}, args,
                     std::vector<ReportKind>{ReportKind::SharedRace,
                                             ReportKind::MbarrierMisuse,
                                             ReportKind::ClusterMisuse},
                     "");
  for (const char *part : {"acquire.cluster.shared", "release.cluster.shared"})
    expectReportAlways(replaced(whole("", "barrier.cluster.arrive;"), part,
                                "relaxed.cluster.shared"),
                       {2}, {64}, args, ReportKind::SharedRace,
                       "'ld.shared.u32'");
}

TEST_F(ClusterTest, ABlockMustOutliveArrivalsAtItsBarriers) {
  // Rank 0 exits without waiting for the arrival of rank 1.
  std::string body = R"(
    and.pred %p3, %p0, %p1;
    @%p3 mbarrier.init.shared::cta.b64 [%r2], 2;
    barrier.cluster.arrive; barrier.cluster.wait;
    mapa.shared::cluster.u32 %r23, %r2, 0;
    @%p2 mbarrier.arrive.release.cluster.shared::cluster.b64 _, [%r23];
    STAY
  )";
  uint64_t input = upload(numbers(1)), output = upload(numbers(1));
  auto args = arguments(input, output);
  expectReportAlways(text(replaced(body, "STAY", "")), {2}, {1}, args,
                     ReportKind::ClusterMisuse, "block 0");
  expectClean(text(replaced(body, "STAY", sync)), {2}, {1}, args);
}

/// Rank 0 copies 256 bytes to all blocks; each expects them.
const char *multicastBody = R"(
    @!%p0 bra READY;
    mbarrier.init.shared::cta.b64 [%r2+8], 1;
    fence.mbarrier_init.release.cluster;
    mbarrier.arrive.expect_tx.shared::cta.b64 _, [%r2+8], 256;
  READY:
    barrier.cluster.arrive.relaxed.aligned;
    barrier.cluster.wait.aligned;
    and.pred %p3, %p0, %p1;
    mov.u16 %h1, 7;
    @%p3 cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster [%r1+512], [%d1], 256, [%r2+8], %h1;
    bar.sync 0; // own barrier
  WAIT:
    mbarrier.try_wait.parity.shared::cta.b64 %p5, [%r2+8], 0;
    @!%p5 bra WAIT;
    shl.b32 %r20, %r10, 2; add.u32 %r20, %r1, %r20;
    ld.shared.u32 %r21, [%r20+512];
    mad.lo.u32 %r22, %r11, 64, %r10;
    mul.wide.u32 %d3, %r22, 4; add.s64 %d3, %d2, %d3;
    st.global.u32 [%d3], %r21;
)";

TEST_F(ClusterTest, Multicasts) {
  auto in = numbers(64);
  uint64_t input = upload(in);
  uint64_t output = upload(std::vector<uint32_t>(192, 0));
  auto args = arguments(input, output);
  std::string whole = text(multicastBody, 3);
  expectClean(whole, {3}, {64}, args, [&] {
    auto got = download<uint32_t>(output, 192);
    for (uint32_t i = 0; i < 192; ++i)
      ASSERT_EQ(got[i], in[i % 64]);
  });
  auto result = runSeed(whole, {3}, {64}, args);
  ASSERT_RAN(result);
  EXPECT_EQ(result.counters().bulkCopies, 1u);
  EXPECT_EQ(result.counters().bulkBytes, 768u);
  expectReport(replaced(whole, "mov.u16 %h1, 7;", "mov.u16 %h1, 3;"), {3}, {64},
               args, ReportKind::Deadlock,
               "block 2, warp 0 polls at "
               "'mbarrier.try_wait.parity.shared::cta.b64'");
  expectReportAlways(replaced(whole, "mov.u16 %h1, 7;", "mov.u16 %h1, 8;"), {3},
                     {64}, args, ReportKind::ClusterMisuse,
                     "has the block mask 8 in a cluster of 3 blocks");
  expectReportAlways(replaced(whole, "mov.u16 %h1, 7;", "mov.u16 %h1, 0;"), {3},
                     {64}, args, ReportKind::ClusterMisuse,
                     "has the block mask 0");
  // The other blocks' barriers have to be known to the issuer.
  expectReportAlways(
      replaced(whole, "fence.mbarrier_init.release.cluster;", ""), {3}, {64},
      args, ReportKind::SharedRace, "uses the barrier");
  // Somebody has to wait.
  expectReportAlways(replaced(replaced(whole, "@!%p5 bra WAIT;", ""),
                              "ld.shared.u32 %r21, [%r20+512];",
                              "mov.u32 %r21, 0;"),
                     {3}, {64}, args,
                     std::vector<ReportKind>{ReportKind::AsyncHazard,
                                             ReportKind::ClusterMisuse},
                     "exit");
}

/// Rank 1 stores 16 bytes a thread to rank 0 and adds to a sum there.
const char *asyncStoreBody = R"(
    @!%p0 bra READY;
    mbarrier.init.shared::cta.b64 [%r2], 1;
    st.shared.u32 [%r1+1024], 7;
    mbarrier.arrive.expect_tx.shared::cta.b64 _, [%r2], 640;
  READY:
    barrier.cluster.arrive.aligned;
    barrier.cluster.wait.aligned;
    @%p1 bra WAIT;
    mapa.shared::cluster.u32 %r20, %r1, 0; mapa.shared::cluster.u32 %r21, %r2, 0;
    shl.b32 %r22, %r10, 4; add.u32 %r22, %r20, %r22;
    add.u32 %r23, %r10, 100; add.u32 %r24, %r10, 200;
    st.async.weak.shared::cluster.mbarrier::complete_tx::bytes.v4.b32 [%r22], {%r10, %r23, %r24, %r10}, [%r21];
    red.async.relaxed.cluster.shared::cluster.mbarrier::complete_tx::bytes.add.u32 [%r20+1024], %r10, [%r21];
    bra DONE;
  WAIT:
    mbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 %p5, [%r2], 0;
    @!%p5 bra WAIT;
    shl.b32 %r22, %r10, 4; add.u32 %r22, %r1, %r22;
    ld.shared.v4.u32 {%r23, %r24, %r25, %r26}, [%r22];
    ld.shared.u32 %r27, [%r1+1024];
    add.u32 %r23, %r23, %r24; add.u32 %r25, %r25, %r27; add.u32 %r23, %r23, %r25;
    mul.wide.u32 %d3, %r10, 4; add.s64 %d3, %d2, %d3;
    st.global.u32 [%d3], %r23;
  DONE:
)";

TEST_F(ClusterTest, StoresThatSignalABarrier) {
  uint64_t input = upload(numbers(1)), output = upload(numbers(32));
  auto args = arguments(input, output);
  std::string whole = text(asyncStoreBody);
  expectClean(whole, {2}, {32}, args, [&] {
    auto got = download<uint32_t>(output, 32);
    for (uint32_t i = 0; i < 32; ++i)
      ASSERT_EQ(got[i], 3 * i + 300 + 7 + 31 * 32 / 2);
  });
  expectReportAlways(replaced(whole, "@!%p5 bra WAIT;", ""), {2}, {32}, args,
                     std::vector<ReportKind>{ReportKind::AsyncHazard,
                                             ReportKind::UninitializedMemory},
                     "ld.shared");
  expectReportAlways(replaced(whole, "parity.acquire", "parity.relaxed"), {2},
                     {32}, args, ReportKind::AsyncHazard, "ld.shared");
  expectReportAlways(replaced(whole, "%r10}, [%r21];", "%r10}, [%r2];"), {2},
                     {32}, args, ReportKind::ClusterMisuse,
                     "stores to block 0 and signals a barrier of block 1");
  expectReportAlways(replaced(whole, "v4.b32 [%r22]", "v4.b32 [%r22+8]"), {2},
                     {32}, args, ReportKind::Misaligned,
                     "destination address is not a multiple of 16");
  expectReportAlways(replaced(whole, "v4.b32 [%r22]", "v4.b32 [%r21+16]"), {2},
                     {1}, args, ReportKind::Deadlock, "");
  expectReportAlways(replaced(whole, "add.u32 [%r20+1024]", "add.u32 [%r21]"),
                     {2}, {1}, args, ReportKind::MbarrierMisuse,
                     "writes to an mbarrier object");
}

TEST_F(ClusterTest, AsyncStoresOfAllTypes) {
  // Thread 0 of rank 1 fills 16 bytes of rank 0, which are compared as words.
  struct Form {
    std::string code;
    unsigned bytes;
    std::vector<uint32_t> expected;
  };
  std::string st = "st.async.shared::cluster.mbarrier::complete_tx::bytes";
  std::string red = "red.async.relaxed.cluster.shared::cluster.mbarrier::"
                    "complete_tx::bytes";
  // %r30 = 12, %r31 = -3, %d30 = 1 << 33 | 5, %f1 = 1.5f; memory holds 10, -2,
  // 5, 0.
  std::vector<Form> forms = {
      {st + ".b32 [%r20], %r30, [%r21];", 4, {12, -2u, 5, 0}},
      {st + ".s32 [%r20+4], %r31, [%r21];", 4, {10, -3u, 5, 0}},
      {st + ".f32 [%r20], %f1, [%r21];", 4, {0x3fc00000, -2u, 5, 0}},
      {st + ".u64 [%r20+8], %d30, [%r21];", 8, {10, -2u, 5, 2}},
      {st + ".v2.b64 [%r20], {%d30, %d30}, [%r21];", 16, {5, 2, 5, 2}},
      {st + ".v2.u32 [%r20], {%r30, %r31}, [%r21];", 8, {12, -3u, 5, 0}},
      {"st.async.weak.mbarrier::complete_tx::bytes.b32 [%d20], %r30, [%d21];",
       4,
       {12, -2u, 5, 0}},
      {red + ".add.u32 [%r20], %r30, [%r21];", 4, {22, -2u, 5, 0}},
      {red + ".add.s32 [%r20], %r31, [%r21];", 4, {7, -2u, 5, 0}},
      {red + ".add.u64 [%r20+8], %d30, [%r21];", 8, {10, -2u, 10, 2}},
      {red + ".min.s32 [%r20+4], %r31, [%r21];", 4, {10, -3u, 5, 0}},
      {red + ".min.u32 [%r20+4], %r30, [%r21];", 4, {10, 12, 5, 0}},
      {red + ".max.s32 [%r20], %r31, [%r21];", 4, {10, -2u, 5, 0}},
      {red + ".max.u32 [%r20], %r30, [%r21];", 4, {12, -2u, 5, 0}},
      {red + ".inc.u32 [%r20], %r30, [%r21];", 4, {11, -2u, 5, 0}},
      {red + ".dec.u32 [%r20+12], %r30, [%r21];", 4, {10, -2u, 5, 12}},
      {red + ".and.b32 [%r20], %r30, [%r21];", 4, {8, -2u, 5, 0}},
      {red + ".or.b32 [%r20], %r30, [%r21];", 4, {14, -2u, 5, 0}},
      {red + ".xor.b32 [%r20], %r30, [%r21];", 4, {6, -2u, 5, 0}},
  };
  uint64_t input = upload(numbers(1));
  for (const Form &form : forms) {
    std::string body = R"(
    mov.u32 %r30, 12; mov.s32 %r31, -3; mov.u64 %d30, 0x200000005;
    mov.f32 %f1, 0f3fc00000;
    mov.u32 %r32, 10; mov.s32 %r33, -2; mov.u32 %r34, 5; mov.u32 %r35, 0;
    st.shared.v4.u32 [%r1], {%r32, %r33, %r34, %r35};
    mbarrier.init.shared::cta.b64 [%r2], 1;
    mbarrier.arrive.expect_tx.shared::cta.b64 _, [%r2], )" +
                       std::to_string(form.bytes) + R"(;
    barrier.cluster.arrive.aligned;
    barrier.cluster.wait.aligned;
    @%p1 bra WAIT;
    mapa.shared::cluster.u32 %r20, %r1, 0; mapa.shared::cluster.u32 %r21, %r2, 0;
    cvt.u64.u32 %d20, %r20; cvta.shared.u64 %d20, %d20;
    cvt.u64.u32 %d21, %r21; cvta.shared.u64 %d21, %d21;
    )" + form.code + R"(
    bra DONE;
  WAIT:
    mbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 %p5, [%r2], 0;
    @!%p5 bra WAIT;
    ld.shared.v4.u32 {%r23, %r24, %r25, %r26}, [%r1];
    st.global.v4.u32 [%d2], {%r23, %r24, %r25, %r26};
  DONE:
    )";
    uint64_t output = upload(std::vector<uint32_t>(4, 0));
    auto result = runSeed(text(body), {2}, {1}, arguments(input, output));
    ASSERT_TRUE(bool(result)) << form.code << result.report().str();
    EXPECT_EQ(download<uint32_t>(output, 4), form.expected) << form.code;
  }
  auto refuse = [&](const std::string &code, const char *part) {
    expectRefused(text(code), part);
  };
  refuse(st + ".v4.b64 [%r20], {%d1, %d1, %d1, %d1}, [%r21];",
         "an access of more than 16 bytes");
  refuse(st + ".b16 [%r20], %h1, [%r21];", "'.b16'");
  refuse("st.async.release.sys.global.u32 [%d1], %r1;", "'.release'");
  refuse(red + ".add.f32 [%r20], %f1, [%r21];", "'.f32'");
  refuse(red + ".exch.b32 [%r20], %r1, [%r21];", "'.exch'");
  refuse("red.async.relaxed.gpu.global.add.u32 [%d1], %r1;", "'.gpu'");
}

/// Rank 1 copies, or reduces, 64 bytes of its memory into that of rank 0.
const char *pushBody = R"(
    setp.lt.u32 %p3, %r10, 16;
    shl.b32 %r20, %r10, 2; add.u32 %r20, %r1, %r20;
    mul.lo.u32 %r21, %r11, 50; add.u32 %r21, %r21, %r10;
    @%p3 st.shared.u32 [%r20], %r21;
    fence.proxy.async;
    @!%p0 bra READY;
    mbarrier.init.shared::cta.b64 [%r2], 1;
    mbarrier.arrive.expect_tx.shared::cta.b64 _, [%r2], 64;
  READY:
    barrier.cluster.arrive.aligned;
    barrier.cluster.wait.aligned;
    @%p1 bra WAIT;
    @!%p0 bra DONE;
    mapa.shared::cluster.u32 %r22, %r1, 0; mapa.shared::cluster.u32 %r23, %r2, 0;
    OPERATION [%r22], [%r1], 64, [%r23];
    bra DONE;
  WAIT:
    mbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 %p5, [%r2], 0;
    @!%p5 bra WAIT;
    @%p3 ld.shared.u32 %r24, [%r20];
    mul.wide.u32 %d3, %r10, 4; add.s64 %d3, %d2, %d3;
    @%p3 st.global.u32 [%d3], %r24;
  DONE:
    barrier.cluster.arrive; // leave
    barrier.cluster.wait; // leave
)";

TEST_F(ClusterTest, BulkCopiesBetweenBlocks) {
  uint64_t input = upload(numbers(1)), output = upload(numbers(16));
  auto args = arguments(input, output);
  std::string copy = text(replaced(pushBody, "OPERATION",
                                   "cp.async.bulk.shared::cluster.shared::cta."
                                   "mbarrier::complete_tx::bytes"));
  std::string add = text(
      replaced(pushBody, "OPERATION",
               "cp.reduce.async.bulk.shared::cluster.shared::cta.mbarrier::"
               "complete_tx::bytes.add.u32"));
  expectClean(copy, {2}, {32}, args, [&] {
    auto got = download<uint32_t>(output, 16);
    for (uint32_t i = 0; i < 16; ++i)
      ASSERT_EQ(got[i], 50 + i);
  });
  expectClean(add, {2}, {32}, args, [&] {
    auto got = download<uint32_t>(output, 16);
    for (uint32_t i = 0; i < 16; ++i)
      ASSERT_EQ(got[i], 50 + 2 * i);
  });
  expectReportAlways(replaced(copy, "fence.proxy.async;", ""), {2}, {32}, args,
                     ReportKind::ProxyRace, "cp.async.bulk");
  expectReportAlways(
      replaced(copy, "@!%p5 bra WAIT;", ""), {2}, {32}, args,
      std::vector<ReportKind>{ReportKind::AsyncHazard, ReportKind::SharedRace},
      "ld.shared.u32");
  // Rank 1 may leave before its memory has been read.
  expectReportAlways(
      replaced(replaced(copy, "barrier.cluster.wait; // leave", ""),
               "barrier.cluster.arrive; // leave", ""),
      {2}, {32}, args,
      std::vector<ReportKind>{ReportKind::AsyncHazard,
                              ReportKind::ClusterMisuse},
      "block 1");
}

} // namespace
