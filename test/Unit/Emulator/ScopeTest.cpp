//===- ScopeTest.cpp - Scopes of barriers between blocks --------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Guards what operations on mbarriers order between blocks of a cluster: with
// cluster scope on both sides everything, with less only that buffers may be
// overwritten; that the end of a copy needs no more than a wait of block scope;
// and what a relaxed arrival at the cluster's barrier orders.
//
//===----------------------------------------------------------------------===//

#include "AsyncHarness.h"

using namespace ropewalk::emulator;

namespace {

/// `text` without the wait of that label: a poll that is not repeated may still
/// succeed.
std::string without(const std::string &text, const std::string &label) {
  size_t begin = text.find(label + ": mbarrier.try_wait");
  std::string last = "bra " + label + ";\n";
  size_t end = text.find(last, begin);
  EXPECT_NE(end, std::string::npos) << label;
  return text.substr(0, begin) + text.substr(end + last.size());
}

struct ScopeTest : AsyncTest {
  void SetUp() override {
    std::vector<uint32_t> values(256);
    for (uint32_t i = 0; i < 256; ++i)
      values[i] = 1000 + i;
    input = upload(values);
    output = upload(std::vector<uint32_t>(256, 0));
  }
  /// Two blocks of one warp. The thread is %r10, the rank %r11, the block's own
  /// data and barriers are at %r1 and %r2, those of the other block at %r3 and
  /// %r4; the input is at %d1, the output at %d2. %p0 holds in thread 0, %p1 in
  /// the block of rank 0. All barriers expect one arrival.
  static std::string text(const std::string &body) {
    return hopperText(
        "ld.param.u64 %d1, [p0]; ld.param.u64 %d2, [p1];\n"
        "mov.u32 %r1, data; mov.u32 %r2, bars;\n"
        "mov.u32 %r10, %tid.x; mov.u32 %r11, %cluster_ctarank;\n"
        "setp.eq.u32 %p0, %r10, 0; setp.eq.u32 %p1, %r11, 0;\n"
        "xor.b32 %r12, %r11, 1;\n"
        "mapa.shared::cluster.u32 %r3, %r1, %r12;\n"
        "mapa.shared::cluster.u32 %r4, %r2, %r12;\n"
        "@%p0 mbarrier.init.shared::cta.b64 [%r2], 1;\n"
        "@%p0 mbarrier.init.shared::cta.b64 [%r2+8], 1;\n"
        "barrier.cluster.arrive.aligned; barrier.cluster.wait.aligned;\n" +
            body +
            "END: bar.warp.sync 0xffffffff;\n"
            "barrier.cluster.arrive.aligned; barrier.cluster.wait.aligned;\n",
        2, ".shared .align 128 .b8 data[1024];\n.shared .align 8 .b64 bars[2];",
        ".reqnctapercluster 2");
  }
  void clean(const std::string &text) {
    expectClean(text, {2}, {32}, arguments(input, output));
  }
  void report(const std::string &text, const std::string &part,
              ReportKind kind = ReportKind::SharedRace) {
    expectReportAlways(text, {2}, {32}, arguments(input, output), kind, part);
  }

  uint64_t input = 0, output = 0;
};

const std::string arrive = "mbarrier.arrive.release.cluster.shared::cluster.b64"
                           " _, [%r4];\n";
const std::string wait =
    "W: mbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 %p5, [%r2], "
    "0;\n@!%p5 bra W;\n";

/// Rank 1 writes to rank 0 and arrives there; rank 0 waits and reads.
const std::string pass = "@!%p0 bra END;\n@%p1 bra READ;\n"
                         "st.shared::cluster.u32 [%r3], 5;\n" +
                         arrive + "bra END;\nREAD:\n" + wait +
                         "ld.shared.u32 %r20, [%r1];\n"
                         "st.global.u32 [%d2], %r20;\n";

/// Rank 0 writes to its own memory, and rank 1 reads that memory when it has
/// been told.
const std::string fetch = "@!%p0 bra END;\n@!%p1 bra READ;\n"
                          "st.shared.u32 [%r1], 5;\n" +
                          arrive + "bra END;\nREAD:\n" + wait +
                          "ld.shared::cluster.u32 %r20, [%r3];\n"
                          "st.global.u32 [%d2], %r20;\n";

TEST_F(ScopeTest, DataNeedsClusterScopeOnBothSides) {
  for (const std::string &body : {pass, fetch}) {
    expectClean(text(body), {2}, {32}, arguments(input, output),
                [&] { EXPECT_EQ(download<uint32_t>(output, 1)[0], 5u); });
    for (const char *part : {"release.cluster", "acquire.cluster"}) {
      std::string narrow = part;
      narrow.replace(narrow.find("cluster"), 7, "cta");
      report(replaced(text(body), part, narrow), "and nothing orders the two");
      // Without a scope it is that of the block.
      report(replaced(text(body), std::string(".") + part, ""),
             "and nothing orders the two");
    }
  }
}

TEST_F(ScopeTest, FencesNeedClusterScopeToo) {
  std::string relaxed = replaced(
      replaced(replaced(text(pass), "release.cluster", "relaxed.cluster"),
               "acquire.cluster", "relaxed.cluster"),
      "mbarrier.arrive.",
      "fence.acq_rel.cluster; // first\n"
      "mbarrier.arrive.");
  relaxed = replaced(relaxed, "@!%p5 bra W;\n",
                     "@!%p5 bra W;\nfence.acq_rel.cluster; // second\n");
  clean(relaxed);
  for (const char *which : {"; // first", "; // second"})
    report(replaced(relaxed, std::string("cluster") + which,
                    std::string("cta") + which),
           "and nothing orders the two");
  report(replaced(relaxed, "try_wait.parity.relaxed.cluster",
                  "try_wait.parity.relaxed.cta"),
         "and nothing orders the two");
  report(replaced(relaxed, "arrive.relaxed.cluster", "arrive.relaxed.cta"),
         "and nothing orders the two");
}

/// Rank 1 reads its own memory and tells rank 0, which then overwrites it, with
/// operations of block scope as the pipelines of libraries have them.
const std::string overwrite =
    "ld.global.u32 %r21, [%d1];\n"
    "@%p1 bra NEXT;\n@%p0 st.shared.u32 [%r1], %r21;\nNEXT:\n"
    "barrier.cluster.arrive.aligned; barrier.cluster.wait.aligned;\n"
    "@!%p0 bra END;\n@%p1 bra WRITE;\n"
    "READ ld.shared.u32 %r20, [%r1]; st.global.u32 [%d2], %r20;\n"
    "mbarrier.arrive.shared::cluster.b64 _, [%r4];\nbra END;\nWRITE:\n"
    "W: mbarrier.try_wait.parity.shared::cta.b64 %p5, [%r2], 0;\n"
    "@!%p5 bra W;\n"
    "COPY\n";
const std::string bulkCopy =
    "fence.proxy.async;\n"
    "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes "
    "[%r3], [%d1], 16, [%r4];\n";

TEST_F(ScopeTest, BuffersThatHaveBeenReadMayBeOverwritten) {
  for (const std::string &copy :
       {std::string("st.shared::cluster.u32 [%r3], %r21;"),
        // The barrier of rank 1 expects the bytes already.
        bulkCopy}) {
    bool isBulk = copy == bulkCopy;
    std::string body = replaced(overwrite, "COPY", copy);
    body = replaced(
        body, "READ ",
        isBulk ? "mbarrier.arrive.expect_tx.shared::cta.b64 _, [%r2], 16;\n"
               : "");
    if (isBulk)
      body = replaced(body, "bra END;\nWRITE:",
                      "V: mbarrier.try_wait.parity.shared::cta.b64 %p6, "
                      "[%r2], 0;\n@!%p6 bra V;\n"
                      "ld.shared.u32 %r22, [%r1]; st.global.u32 [%d2], %r22;\n"
                      "bra END;\nWRITE:");
    clean(text(body));
    // A wait that does not come before the write.
    std::vector<ReportKind> kinds{ReportKind::SharedRace,
                                  ReportKind::AsyncHazard};
    expectReportAlways(without(text(body), "W"), {2}, {32},
                       arguments(input, output), kinds, "");
    // A relaxed arrival says nothing of what came before.
    expectReportAlways(replaced(text(body), "mbarrier.arrive.shared::cluster",
                                "mbarrier.arrive.relaxed.cta.shared::cluster"),
                       {2}, {32}, arguments(input, output), kinds, "");
    // What has been stored and not read may still be on its way.
    expectReportAlways(
        replaced(text(body), "ld.shared.u32 %r20, [%r1]; st.global.u32",
                 "st.shared.u32 [%r1], 77; mov.u32 %r20, 0; st.global.u32"),
        {2}, {32}, arguments(input, output), kinds, "");
  }
}

/// Rank 0 copies to both blocks twice; between the two it waits for both to
/// have read the first. Waits have block scope throughout.
const std::string multicast =
    "mov.u16 %h1, 3; mov.u32 %r30, 0;\n"
    "@%p0 mbarrier.arrive.expect_tx.shared::cta.b64 _, [%r2], 128;\n"
    "barrier.cluster.arrive.aligned; barrier.cluster.wait.aligned;\n"
    "and.pred %p2, %p0, %p1;\n"
    "AGAIN:\n"
    "@%p2 cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes"
    ".multicast::cluster [%r1], [%d1], 128, [%r2], %h1;\n"
    "W: mbarrier.try_wait.parity.shared::cta.b64 %p5, [%r2], %r30;\n"
    "@!%p5 bra W;\n"
    "shl.b32 %r20, %r10, 2; add.u32 %r20, %r1, %r20; ld.shared.u32 %r21, "
    "[%r20];\n"
    "mul.wide.u32 %d3, %r10, 4; add.s64 %d3, %d2, %d3;\n"
    "@%p1 st.global.u32 [%d3], %r21;\n"
    "@!%p1 st.global.u32 [%d3+128], %r21;\n"
    "setp.eq.u32 %p3, %r30, 1; @%p3 bra END;\n"
    "bar.warp.sync 0xffffffff; // all have read\n"
    "@%p0 mbarrier.arrive.expect_tx.shared::cta.b64 _, [%r2], 128;\n"
    "not.pred %p4, %p1; and.pred %p4, %p4, %p0;\n"
    "@%p4 mbarrier.arrive.shared::cluster.b64 _, [%r4+8];\n"
    "mov.u32 %r30, 1;\n"
    "@!%p2 bra AGAIN;\n"
    "V: mbarrier.try_wait.parity.shared::cta.b64 %p6, [%r2+8], 0;\n"
    "@!%p6 bra V;\n"
    "bra AGAIN;\n";

TEST_F(ScopeTest, CopiesToManyBlocksNeedNoClusterScope) {
  expectClean(text(multicast), {2}, {32}, arguments(input, output), [&] {
    auto got = download<uint32_t>(output, 64);
    for (uint32_t i = 0; i < 64; ++i)
      ASSERT_EQ(got[i], 1000 + i % 32);
  });
  // The second copy does not wait for the readers of the other block.
  expectReportAlways(
      without(text(multicast), "V"), {2}, {32}, arguments(input, output),
      std::vector<ReportKind>{ReportKind::AsyncHazard, ReportKind::SharedRace},
      "");
  // One lane arrives for others that it knows nothing of.
  expectReportAlways(
      replaced(text(multicast), "bar.warp.sync 0xffffffff; // all have read",
               ""),
      {2}, {32}, arguments(input, output),
      std::vector<ReportKind>{ReportKind::AsyncHazard, ReportKind::SharedRace},
      "");
}

// Guards the same in global memory.
TEST_F(ScopeTest, GlobalMemory) {
  std::string message =
      replaced(replaced(pass, "st.shared::cluster.u32 [%r3], 5",
                        "st.global.u32 "
                        "[%d1], 5"),
               "ld.shared.u32 %r20, [%r1]", "ld.global.u32 %r20, [%d1]");
  clean(text(message));
  std::string reuse = replaced(
      replaced(pass, "st.shared::cluster.u32 [%r3], 5;",
               "ld.global.u32 %r20, [%d1]; st.global.u32 [%d2+4], %r20;"),
      "ld.shared.u32 %r20, [%r1];\n",
      "mov.u32 %r20, 3; st.global.u32 [%d1], "
      "%r20;\n");
  clean(text(reuse));
  for (const char *part : {"release.cluster", "acquire.cluster"}) {
    std::string narrow = replaced(part, "cluster", "cta");
    report(replaced(text(message), part, narrow), "and nothing orders the two",
           ReportKind::GlobalRace);
    clean(replaced(text(reuse), part, narrow));
  }
  report(without(text(reuse), "W"), "and nothing orders the two",
         ReportKind::GlobalRace);
}

// What is over for one thread is so for those that it synchronizes with.
TEST_F(ScopeTest, WhatIsOverIsHandedOn) {
  std::string body =
      replaced(replaced(overwrite, "READ ", ""), "COPY",
               "mbarrier.arrive.shared::cta.b64 _, [%r2+8];\nbra END;\n");
  // Lane 1 of rank 0 writes when lane 0 says so.
  body = replaced(body, "@!%p0 bra END;\n@%p1 bra WRITE;\n",
                  "setp.eq.u32 %p3, %r10, 1; and.pred %p3, %p3, %p1;\n"
                  "@%p3 bra THIRD;\n@!%p0 bra END;\n@%p1 bra WRITE;\n");
  body += "THIRD:\n"
          "V: mbarrier.try_wait.parity.shared::cta.b64 %p6, [%r2+8], 0;\n"
          "@!%p6 bra V;\nst.shared::cluster.u32 [%r3], %r21;\n";
  clean(text(body));
  report(without(text(body), "V"), "races");
}

TEST_F(ScopeTest, WaitsAreForBarriersOfTheOwnBlock) {
  report(text("cvt.u64.u32 %d4, %r2; cvta.shared.u64 %d4, %d4;\n"
              "mapa.u64 %d5, %d4, 1;\n"
              "@%p1 mbarrier.try_wait.parity.b64 %p5, [%d5], 0;\n"),
         "waits for an mbarrier of block 1", ReportKind::ClusterMisuse);
}

/// Data through the memory of the other block and the cluster's barrier.
const std::string clusterBarrier =
    "@%p0 st.shared::cluster.u32 [%r3], 5;\n"
    "FENCE\nbarrier.cluster.arrive.SEM.aligned; // the arrival\n"
    "barrier.cluster.wait.acquire.aligned;\n"
    "ld.shared.u32 %r20, [%r1]; @%p0 st.global.u32 [%d2], %r20;\n";

TEST_F(ScopeTest, RelaxedArrivalsAtTheClustersBarrier) {
  auto with = [&](const char *fence, const char *semantics) {
    std::string body =
        replaced(replaced(clusterBarrier, "FENCE", fence), "SEM", semantics);
    // Both blocks write the same number.
    return text(replaced(body, "@%p0 st.global", "@%p2 st.global")
                    .insert(0, "and.pred %p2, %p0, %p1;\n"));
  };
  clean(with("", "release"));
  clean(with("fence.acq_rel.cluster;", "relaxed"));
  report(with("", "relaxed"), "and nothing orders the two");
  report(with("fence.acq_rel.cta;", "relaxed"), "and nothing orders the two");
  // Within the block, its scope is enough.
  std::string own =
      replaced(with("fence.acq_rel.cta;", "relaxed"),
               "st.shared::cluster.u32 [%r3]", "st.shared.u32 [%r1]");
  clean(own);
  report(replaced(own, "fence.acq_rel.cta;", ""), "and nothing orders the two");
}

} // namespace
