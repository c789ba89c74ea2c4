//===- MutationTest.cpp - Tests of mutation tests ---------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Which changes are made to which instruction, and small kernels whose table
// is known.
//
//===----------------------------------------------------------------------===//

#include "Ropewalk/Emulator/Mutation.h"
#include "AsyncHarness.h"
#include "Ropewalk/Emulator/CEmulator.h"

using namespace ropewalk::emulator;

namespace {

struct MutationTest : Fixture {
  /// "mutation: what stands in the place of the instruction", by mutant.
  static std::vector<std::string> changes(const std::string &instruction,
                                          bool isHopper = true) {
    std::string before = "mov.u32 %r1, data; mov.u32 %r2, bar; mov.u64 %d1, 0; "
                         "mov.u32 %r3, 0; setp.eq.u32 %p1, %r3, 0;\n";
    std::string shared = ".shared .align 16 .b8 data[64];\n"
                         ".shared .align 8 .b64 bar;";
    std::string text =
        isHopper
            ? hopperText(before + instruction + " // end\n", 0, shared)
            : entryText(before + instruction + " // end\nret;\n", 0, shared);
    Error error;
    std::vector<std::string> result;
    for (const Mutant &mutant : listMutants(text, "k", error)) {
      std::string changed = applyMutant(text, mutant);
      EXPECT_TRUE(Module::parse(changed, error))
          << mutant.mutation << ": " << error.str() << "\n"
          << changed;
      size_t begin = changed.find("setp.eq.u32 %p1, %r3, 0;\n") + 25;
      result.push_back(mutant.mutation + ": " +
                       changed.substr(begin, changed.find(" // end") - begin));
      EXPECT_EQ(std::count(changed.begin(), changed.end(), '\n'),
                std::count(text.begin(), text.end(), '\n'));
    }
    EXPECT_EQ(error.message, "") << text;
    return result;
  }
  static void expect(const std::string &instruction,
                     const std::vector<std::string> &expected) {
    EXPECT_EQ(changes(instruction), expected) << instruction;
  }

  MutationTable table(const std::string &text, Dim3 grid, Dim3 block,
                      const Arguments &args,
                      const MutationOptions &options = {}) {
    return mutate(device, text, "k", grid, block, 0, args.spans(), options);
  }
  /// "mutation of text: outcome".
  static std::vector<std::string> rows(const MutationTable &table) {
    EXPECT_EQ(table.reason, "");
    EXPECT_FALSE(table.failure) << table.failure->str();
    std::vector<std::string> result;
    for (const MutationRow &row : table.rows)
      result.push_back(row.mutant.mutation + " of " + row.mutant.text + " " +
                       row.outcomeText());
    return result;
  }
};

TEST_F(MutationTest, ListsBarriers) {
  expect("bar.sync 0;", {"deleted: "});
  expect("@!%p1 bar.sync 0, 64;", {"deleted: "});
  expect("bar.arrive 1, 64;", {"deleted: "});
  expect("barrier.cta.sync.aligned 0;", {"deleted: "});
  expect("bar.warp.sync 0xffffffff;", {"deleted: "});
  expect("bar.red.and.pred %p2, 0, %p1;", {"deleted: mov.pred %p2, %p1;"});
  expect("bar.red.or.pred %p2, 0, !%p1;", {"deleted: not.pred %p2, %p1;"});
  expect("bar.red.popc.u32 %r4, 0, %p1;",
         {"deleted: selp.u32 %r4, 1, 0, %p1;"});
  expect("bar.red.popc.u32 %r4, 0, !%p1;",
         {"deleted: selp.u32 %r4, 0, 1, %p1;"});
  expect("barrier.cluster.arrive.aligned; bar.sync 0; "
         "barrier.cluster.wait.acquire.aligned;",
         {"deleted:  bar.sync 0; barrier.cluster.wait.acquire.aligned;",
          ".release -> .relaxed: barrier.cluster.arrive.relaxed.aligned; "
          "bar.sync 0; barrier.cluster.wait.acquire.aligned;",
          "deleted with line 11:  bar.sync 0; ",
          "deleted: barrier.cluster.arrive.aligned;  "
          "barrier.cluster.wait.acquire.aligned;",
          "deleted: barrier.cluster.arrive.aligned; bar.sync 0; "});
  expect(
      "barrier.cluster.arrive.release;",
      {"deleted: ", ".release -> .relaxed: barrier.cluster.arrive.relaxed;"});
  expect("barrier.cluster.arrive.relaxed;", {"deleted: "});
  expect("griddepcontrol.wait;", {"deleted: "});
  expect("griddepcontrol.launch_dependents;", {});
}

TEST_F(MutationTest, ListsMbarriers) {
  expect("mbarrier.arrive.shared::cta.b64 _, [%r2];", {"deleted: "});
  expect("mbarrier.arrive.shared::cta.b64 %d2, [%r2];",
         {"deleted: mov.b64 %d2, 0;"});
  expect(
      "@%p1 mbarrier.arrive.release.cluster.shared::cluster.b64 _, [%r2], 2;",
      {"deleted: ",
       ".release -> .relaxed: @%p1 mbarrier.arrive.relaxed.cluster.shared::"
       "cluster.b64 _, [%r2], 2;",
       ".cluster -> .cta: @%p1 mbarrier.arrive.release.cta.shared::cluster."
       "b64 _, [%r2], 2;"});
  expect("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%r2+0], %r3;",
         {"deleted: ",
          ".expect_tx dropped: mbarrier.arrive.shared::cta.b64 _, [%r2+0];"});
  expect("mbarrier.expect_tx.relaxed.cta.shared::cta.b64 [%r2], 16;",
         {"deleted: "});
  expect("@%p1 mbarrier.try_wait.parity.shared::cta.b64 %p2, [%r2], 0, 100;",
         {"always true: @%p1 setp.eq.u32 %p2, 0, 0;"});
  expect(
      "mbarrier.test_wait.acquire.cta.shared::cta.b64 %p2, [%r2], %d1;",
      {"always true: setp.eq.u32 %p2, 0, 0;",
       ".acquire -> .relaxed: mbarrier.test_wait.relaxed.cta.shared::cta.b64 "
       "%p2, [%r2], %d1;"});
  expect("mbarrier.init.shared::cta.b64 [%r2], 1;", {});
  expect("mbarrier.inval.shared::cta.b64 [%r2];", {});
}

TEST_F(MutationTest, ListsFencesAndOrders) {
  expect("fence.acq_rel.cta;", {"deleted: "});
  expect("fence.sc.cluster;", {"deleted: ",
                               ".sc -> .acq_rel: "
                               "fence.acq_rel.cluster;",
                               ".cluster -> .cta: fence.sc.cta;"});
  expect("fence.acq_rel.sys;",
         {"deleted: ", ".sys -> .gpu: fence.acq_rel.gpu;"});
  expect("fence.acq_rel.gpu;",
         {"deleted: ", ".gpu -> .cluster: fence.acq_rel.cluster;"});
  EXPECT_EQ(changes("fence.acq_rel.gpu;", false),
            (std::vector<std::string>{"deleted: ",
                                      ".gpu -> .cta: fence.acq_rel.cta;"}));
  expect("membar.sys;", {"deleted: ", ".sys -> .gl: membar.gl;"});
  expect("membar.gl;", {"deleted: ", ".gl -> .cta: membar.cta;"});
  expect("membar.cta;", {"deleted: "});
  expect("fence.proxy.async;", {"deleted: "});
  expect("fence.mbarrier_init.release.cluster;", {"deleted: "});
  expect("fence.proxy.tensormap::generic.release.gpu;", {"deleted: "});
  expect("ld.acquire.gpu.global.u32 %r4, [%d1];",
         {".acquire -> .relaxed: ld.relaxed.gpu.global.u32 %r4, [%d1];",
          ".gpu -> .cluster: ld.acquire.cluster.global.u32 %r4, [%d1];"});
  expect("st.release.sys.global.u32 [%d1], %r3;",
         {".release -> .relaxed: st.relaxed.sys.global.u32 [%d1], %r3;",
          ".sys -> .gpu: st.release.gpu.global.u32 [%d1], %r3;"});
  expect("st.volatile.global.u32 [%d1], %r3;",
         {".volatile dropped: st.global.u32 [%d1], %r3;"});
  expect("atom.acq_rel.gpu.global.add.u32 %r4, [%d1], %r3;",
         {".acq_rel -> .relaxed: atom.relaxed.gpu.global.add.u32 %r4, [%d1], "
          "%r3;",
          ".gpu -> .cluster: atom.acq_rel.cluster.global.add.u32 %r4, [%d1], "
          "%r3;"});
  expect("red.relaxed.gpu.global.add.u32 [%d1], %r3;",
         {".gpu -> .cluster: red.relaxed.cluster.global.add.u32 [%d1], %r3;"});
  expect("ld.global.u32 %r4, [%d1]; atom.global.add.u32 %r4, [%d1], %r3;", {});
}

TEST_F(MutationTest, ListsCopiesAndMatrices) {
  expect("cp.async.commit_group;", {"deleted: "});
  expect("cp.async.wait_group 1;",
         {"deleted: ", "1 -> 2: cp.async.wait_group 2;"});
  expect("cp.async.wait_all;",
         {"deleted: ", "-> wait_group 1: cp.async.wait_group 1;"});
  expect("cp.async.mbarrier.arrive.noinc.shared::cta.b64 [%r2];",
         {"deleted: "});
  expect("cp.async.bulk.commit_group;", {"deleted: "});
  expect("cp.async.bulk.wait_group.read 0;",
         {"deleted: ", "0 -> 1: cp.async.bulk.wait_group.read 1;"});
  expect("cp.async.bulk.wait_group 0;",
         {"deleted: ", "0 -> 1: cp.async.bulk.wait_group 1;",
          ".read added: cp.async.bulk.wait_group.read 0;"});
  expect("cp.async.ca.shared.global [%r1], [%d1], 16;", {});
  expect("wgmma.fence.sync.aligned;", {"deleted: "});
  expect("wgmma.commit_group.sync.aligned;", {"deleted: "});
  expect("wgmma.wait_group.sync.aligned 0;",
         {"deleted: ", "0 -> 1: wgmma.wait_group.sync.aligned 1;"});
}

/// What the text looks like makes no difference.
TEST_F(MutationTest, ReadsInstructionsWhereverTheyStand) {
  std::string text = hopperText("L1: @!%p1\n  bar . sync\t0 /* c; */ ,\n 64;"
                                "bar.sync 1; // bar.sync 2;\n",
                                0);
  Error error;
  auto mutants =
      listMutants(replaced(text, "bar . sync", "bar.sync"), "k", error);
  ASSERT_EQ(mutants.size(), 2u) << error.str();
  EXPECT_EQ(mutants[0].location.line, mutants[1].location.line - 1);
  EXPECT_EQ(mutants[1].text, "bar.sync 1;");
  EXPECT_EQ(listMutants("bar.sync 0;", "k", error).size(), 0u);
  EXPECT_NE(error.message, "");
  EXPECT_EQ(listMutants(hopperText("", 0), "other", error).size(), 0u);
  EXPECT_EQ(error.message, "no entry 'other'");
}

/// Every copy that the inliner makes changes, and code of others does not
/// count.
TEST_F(MutationTest, FollowsCalls) {
  std::string text = hopperText("call sync; call sync;", 0,
                                ".func sync() { bar.sync 0; ret; }\n"
                                ".func other() { bar.sync 1; ret; }\n");
  Error error;
  auto mutants = listMutants(text, "k", error);
  ASSERT_EQ(mutants.size(), 1u) << error.str();
  EXPECT_EQ(applyMutant(text, mutants[0]), replaced(text, "bar.sync 0;", ""));
}

/// 64 threads reverse an array through shared memory.
const char *reverseBody = R"(
    ld.param.u64 %d1, [p0]; ld.param.u64 %d2, [p1];
    mov.u32 %r1, %tid.x; mul.wide.u32 %d3, %r1, 4; add.s64 %d4, %d1, %d3;
    ld.global.u32 %r5, [%d4];
    mov.u32 %r2, data; shl.b32 %r3, %r1, 2; add.u32 %r3, %r2, %r3;
    st.shared.u32 [%r3], %r5;
    bar.sync 0;
    xor.b32 %r4, %r1, 63; shl.b32 %r4, %r4, 2; add.u32 %r4, %r2, %r4;
    ld.shared.u32 %r6, [%r4];
    bar.sync 1;
    add.s64 %d5, %d2, %d3;
    st.global.u32 [%d5], %r6;
    setp.gt.u32 %p1, %r1, 100;
    @%p1 bar.sync 2;
)";

TEST_F(MutationTest, TellsNeededFromRedundantBarriers) {
  std::vector<uint32_t> values(64);
  for (uint32_t i = 0; i < 64; ++i)
    values[i] = i * 3;
  uint64_t in = upload(values), out = device.allocate(256);
  std::string text =
      hopperText(reverseBody, 2, ".shared .align 4 .b8 data[256];");
  auto args = arguments(in, out);
  std::vector<std::string> seen;
  MutationOptions options;
  options.onRow = [&](const MutationRow &row) {
    seen.push_back(row.mutant.text);
  };
  MutationTable result = table(text, {1}, {64}, args, options);
  EXPECT_EQ(rows(result),
            (std::vector<std::string>{
                "deleted of bar.sync 0; reported: uninitialized-memory",
                "deleted of bar.sync 1; unnoticed",
                "deleted of @%p1 bar.sync 2; not executed"}));
  EXPECT_EQ(seen, (std::vector<std::string>{"bar.sync 0;", "bar.sync 1;",
                                            "@%p1 bar.sync 2;"}));
  EXPECT_EQ(result.summary(), "3 mutants: 1 reported, 0 deadlock, 0 wrong "
                              "result, 1 unnoticed, 0 invalid, 1 not executed");
  EXPECT_NE(result.rows[0].report.str().find("no thread has written"),
            std::string::npos);
  // Memory is as before: nothing has written the output.
  EXPECT_EQ(download<uint32_t>(in, 64), values);
  EXPECT_EQ(download<uint32_t>(out, 64), std::vector<uint32_t>(64, 0));
  std::string reader = hopperText("ld.param.u64 %d1, [p0]; "
                                  "ld.global.u32 %r1, [%d1];",
                                  1);
  auto read = run(reader, {1}, {1}, arguments(out));
  ASSERT_FALSE(bool(read));
  EXPECT_EQ(read.report().kind, ReportKind::UninitializedMemory);
  EXPECT_EQ(device.allocate(16), out + 1280);
}

/// Without the sanitizer's help, only results are left.
TEST_F(MutationTest, ComparesResults) {
  uint64_t in = upload(std::vector<uint32_t>(64, 5)),
           out = upload(std::vector<uint32_t>(64, 0));
  std::string text =
      hopperText(reverseBody, 2, ".shared .align 4 .b8 data[256];");
  auto args = arguments(in, out);
  MutationOptions options;
  options.launch.checkRaces = options.launch.checkUninitializedMemory = false;
  MutationTable result = table(text, {1}, {64}, args, options);
  ASSERT_EQ(rows(result)[0], "deleted of bar.sync 0; wrong result");
  EXPECT_EQ(result.rows[0].seed, 0u);
  EXPECT_EQ(result.rows[0].detail, "byte 0 of the buffer of 256 bytes is 0, "
                                   "expected 5");
  // As floats, 5 is next to 0: 7e-45.
  options.floats = {{out, 256, FloatBuffer::F32}};
  EXPECT_EQ(rows(table(text, {1}, {64}, args, options))[0],
            "deleted of bar.sync 0; wrong result");
  options.tolerance = 1e-40;
  EXPECT_EQ(rows(table(text, {1}, {64}, args, options))[0],
            "deleted of bar.sync 0; unnoticed");
  // The last element is none of these.
  options.floats = {{out, 252, FloatBuffer::F32}};
  EXPECT_EQ(table(text, {1}, {64}, args, options).rows[0].detail,
            "byte 252 of the buffer of 256 bytes is 0, expected 5");
}

/// A producer warp that waits for its consumer, and the other way around.
TEST_F(MutationTest, FindsDeadlocks) {
  std::string text = hopperText(R"(
    ld.param.u64 %d1, [p0];
    mov.u32 %r1, %tid.x; mov.u32 %r2, bar; mov.u32 %r3, data;
    setp.eq.u32 %p1, %r1, 0;
    @%p1 mbarrier.init.shared::cta.b64 [%r2], 32;
    bar.sync 0;
    setp.ge.u32 %p2, %r1, 32;
    @%p2 bra CONSUMER;
    shl.b32 %r4, %r1, 2; add.u32 %r4, %r3, %r4;
    st.shared.u32 [%r4], %r1;
    mbarrier.arrive.shared::cta.b64 _, [%r2];
    bra DONE;
  CONSUMER:
    mbarrier.try_wait.parity.shared::cta.b64 %p3, [%r2], 0;
    @!%p3 bra CONSUMER;
    sub.u32 %r1, %r1, 32; shl.b32 %r4, %r1, 2; add.u32 %r4, %r3, %r4;
    ld.shared.u32 %r5, [%r4];
    cvt.u64.u32 %d2, %r1; shl.b64 %d2, %d2, 2; add.s64 %d2, %d1, %d2;
    st.global.u32 [%d2], %r5;
  DONE:
)",
                                1,
                                ".shared .align 8 .b64 bar; .shared .align 4 "
                                ".b8 data[128];");
  uint64_t out = upload(std::vector<uint32_t>(32, 0));
  auto result = rows(table(text, {1}, {64}, arguments(out)));
  ASSERT_EQ(result.size(), 3u);
  EXPECT_NE(result[0].find("deleted of bar.sync 0; reported: "),
            std::string::npos)
      << result[0];
  EXPECT_EQ(result[1], "deleted of mbarrier.arrive.shared::cta.b64 _, [%r2]; "
                       "deadlock");
  EXPECT_NE(
      result[2].find("always true of mbarrier.try_wait.parity.shared::cta."
                     "b64 %p3, [%r2], 0; reported: "),
      std::string::npos)
      << result[2];
}

/// A block that would poll for ever ends by its budget.
TEST_F(MutationTest, EndsLoopsThatDoNot) {
  std::string text = hopperText(R"(
    mov.u32 %r1, %tid.x; mov.u32 %r2, data; setp.eq.u32 %p1, %r1, 0;
    st.volatile.shared.u32 [%r2], 0;
    bar.sync 0;
    bar.red.popc.u32 %r5, 0, 1;
    setp.ge.u32 %p2, %r5, 64;
  LOOP:
    @!%p2 bra LOOP;
)",
                                0, ".shared .align 4 .b8 data[4];");
  auto result = rows(table(text, {1}, {64}, arguments()));
  ASSERT_EQ(result.size(), 3u);
  EXPECT_EQ(result[2],
            "deleted of bar.red.popc.u32 %r5, 0, 1; deadlock: does not end");
}

TEST_F(MutationTest, SaysWhyThereIsNoTable) {
  std::string racy = hopperText("mov.u32 %r1, %tid.x; mov.u32 %r2, data; "
                                "st.shared.u32 [%r2], %r1;",
                                0, ".shared .align 4 .b8 data[4];");
  auto result = table(racy, {1}, {64}, arguments());
  EXPECT_TRUE(result.rows.empty());
  ASSERT_TRUE(result.failure);
  EXPECT_EQ(result.failure->kind, ReportKind::SharedRace);
  MutationOptions none;
  none.seeds = 0;
  EXPECT_EQ(table(racy, {1}, {64}, arguments(), none).reason,
            "seeds: expected at least 1, got 0");
  EXPECT_NE(table("bar", {1}, {64}, arguments()).reason, "");
  EXPECT_EQ(
      table(replaced(racy, ".entry k", ".entry m"), {1}, {64}, arguments())
          .reason,
      "no entry 'k'");
  // Whoever comes last decides.
  uint64_t out = upload(std::vector<uint32_t>(1, 0));
  std::string late = hopperText("ld.param.u64 %d1, [p0]; mov.u32 %r1, %tid.x; "
                                "atom.global.exch.b32 %r2, [%d1], %r1;",
                                1);
  EXPECT_NE(
      table(late, {1}, {128}, arguments(out))
          .reason.find(
              "the kernel's own results depend on the schedule: under seed 1 "
              "byte 0 of the buffer of 4 bytes is "),
      std::string::npos);
  std::atomic<bool> cancel{true};
  MutationOptions cancelled;
  cancelled.launch.cancel = &cancel;
  result = table(late, {1}, {128}, arguments(out), cancelled);
  ASSERT_TRUE(result.failure);
  EXPECT_EQ(result.failure->kind, ReportKind::Cancelled);
}

TEST_F(MutationTest, WritesJson) {
  uint64_t in = upload(std::vector<uint32_t>(64, 5)),
           out = upload(std::vector<uint32_t>(64, 0));
  std::string text =
      hopperText(reverseBody, 2, ".shared .align 4 .b8 data[256];");
  std::string json = table(text, {1}, {64}, arguments(in, out)).json();
  EXPECT_NE(json.find("\"text\": \"bar.sync 0;\", \"mutation\": \"deleted\", "
                      "\"outcome\": \"reported\", \"kind\": "
                      "\"uninitialized-memory\", \"seed\": 0, \"detail\": "
                      "\"uninitialized-memory: kernel 'k', line "),
            std::string::npos)
      << json;
  EXPECT_NE(
      json.find("\"outcome\": \"not executed\", \"kind\": null, \"seed\": "
                "null, \"detail\": \"\"}], \"summary\": {\"reported\": 1, "
                "\"deadlock\": 0, \"wrong result\": 0, \"unnoticed\": 1, "
                "\"invalid\": 0, \"not executed\": 1}}"),
      std::string::npos)
      << json;
}

TEST_F(MutationTest, CallsFromC) {
  std::string text =
      hopperText(reverseBody, 2, ".shared .align 4 .b8 data[256];");
  RopewalkPtxModule *module = nullptr;
  ASSERT_EQ(ropewalk_ptx_load(text.data(), text.size(), nullptr, &module), 0);
  RopewalkPtxDevice *device = ropewalk_ptx_device_create();
  uint64_t in = 0, out = 0;
  std::vector<float> values(64, 5);
  ASSERT_EQ(ropewalk_ptx_alloc(device, 256, &in), 0);
  ASSERT_EQ(ropewalk_ptx_alloc(device, 256, &out), 0);
  ASSERT_EQ(ropewalk_ptx_copy_in(device, in, values.data(), 256), 0);
  const void *arguments[] = {&in, &out};
  const size_t sizes[] = {8, 8};
  const uint32_t grid[] = {1, 1, 1}, block[] = {64, 1, 1};
  const char *json = nullptr;
  auto call = [&](const char *options, unsigned seeds, double tolerance,
                  const RopewalkPtxFloats *floats, size_t floatCount) {
    return ropewalk_ptx_mutate(device, module, 0, grid, block, nullptr, 0,
                               arguments, sizes, 2, options, seeds, tolerance,
                               floats, floatCount, &json);
  };
  ASSERT_EQ(call(nullptr, 2, 0, nullptr, 0), 0) << ropewalk_ptx_error();
  EXPECT_NE(std::string(json).find("\"kind\": \"uninitialized-memory\""),
            std::string::npos)
      << json;
  // 5 and 0 are close, if 6 is the tolerance.
  const char *unchecked = "{\"check_races\": false, "
                          "\"check_uninitialized_memory\": false}";
  RopewalkPtxFloats floats{out, 256, 2};
  ASSERT_EQ(call(unchecked, 1, 0, &floats, 1), 0);
  EXPECT_NE(std::string(json).find("\"wrong result\": 1,"), std::string::npos)
      << json;
  ASSERT_EQ(call(unchecked, 1, 6, &floats, 1), 0);
  EXPECT_NE(std::string(json).find("\"wrong result\": 0, \"unnoticed\": 2"),
            std::string::npos)
      << json;
  // The kernel itself reads what nobody has written.
  std::swap(arguments[0], arguments[1]);
  EXPECT_EQ(call(nullptr, 1, 0, nullptr, 0), 1);
  EXPECT_NE(std::string(json).find("\"kind\": \"uninitialized-memory\""),
            std::string::npos);
  std::swap(arguments[0], arguments[1]);
  auto expectWrong = [&](int status, const std::string &part) {
    EXPECT_EQ(status, 2);
    EXPECT_EQ(json, nullptr);
    EXPECT_NE(std::string(ropewalk_ptx_error()).find(part), std::string::npos)
        << ropewalk_ptx_error();
  };
  expectWrong(call(nullptr, 0, 0, nullptr, 0), "seeds: expected at least 1");
  expectWrong(call(nullptr, 1, -1, nullptr, 0), "tolerance: expected a number");
  expectWrong(call(nullptr, 1, 0, nullptr, 1), "argument 'floats'");
  floats.type = 4;
  expectWrong(call(nullptr, 1, 0, &floats, 1),
              "floats 0: type is 4, expected 0 to 3");
  expectWrong(call("{\"what\": 1}", 1, 0, nullptr, 0),
              "options of the launch: ");
  arguments[1] = nullptr;
  expectWrong(call(nullptr, 1, 0, nullptr, 0),
              "argument 1: expected a pointer, got null");
  EXPECT_EQ(ropewalk_ptx_mutate(device, module, 0, grid, block, nullptr, 0,
                                arguments, sizes, 2, nullptr, 1, 0, nullptr, 0,
                                nullptr),
            2);
  ropewalk_ptx_device_free(device);
  ropewalk_ptx_unload(module);
}

} // namespace
