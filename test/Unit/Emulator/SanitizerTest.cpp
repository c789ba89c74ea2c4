//===- SanitizerTest.cpp - Planted faults and their clean twins -*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Each class of report is provoked once by a small kernel, and the same kernel
// without the fault runs. Also the places that a report names.
//
//===----------------------------------------------------------------------===//

#include "Harness.h"

using namespace ropewalk::emulator;

namespace {

struct SanitizerTest : Fixture {
  /// Runs `body` on one block of `threads` with the address p0.
  LaunchResult runBody(const std::string &body, uint32_t threads,
                       uint64_t address, const std::string &before = "",
                       const LaunchOptions &options = {}) {
    return run(entryText(body, 1, before), {1}, {threads}, arguments(address),
               0, options);
  }
  void expectFault(const LaunchResult &result, ReportKind kind) {
    ASSERT_FALSE(bool(result)) << "the planted fault was not found";
    EXPECT_EQ(result.report().kind, kind) << result.report().str();
  }
  uint64_t zeros(size_t bytes) {
    uint64_t address = device.allocate(bytes);
    device.fill(address, 0, bytes);
    return address;
  }
};

const std::string threadAddress = "ld.param.u64 %d1, [p0];\n"
                                  "mov.u32 %r1, %tid.x;\n"
                                  "mul.wide.u32 %d2, %r1, 4;\n"
                                  "add.s64 %d1, %d1, %d2;\n";

// Guards bounds of global buffers, and what the report names.
TEST_F(SanitizerTest, GlobalOutOfBounds) {
  std::string body = threadAddress + "ld.global.u32 %r2, [%d1];\n";
  ASSERT_RAN(runBody(body, 64, zeros(256)));
  uint64_t address = zeros(4 * 37);
  auto result = runBody(body, 64, address);
  expectFault(result, ReportKind::OutOfBounds);
  const Report &report = result.report();
  EXPECT_EQ(report.warp, 1);
  EXPECT_EQ(report.lane, 5);
  EXPECT_EQ(report.block, 0);
  EXPECT_EQ(report.address, address + 37 * 4);
  EXPECT_EQ(report.location.line, 12u);
  EXPECT_NE(report.str().find("0 bytes past the end of the buffer of 148"),
            std::string::npos)
      << report.str();
  expectFault(runBody("st.global.u32 [0], 1;", 1, address),
              ReportKind::OutOfBounds);
}

// Guards that global variables have bounds of their own.
TEST_F(SanitizerTest, GlobalVariablesHaveBounds) {
  auto launch = [&](const std::string &place) {
    return run(".version 8.0\n.target sm_80\n.address_size 64\n"
               ".global .b32 a[3] = {1, 2, 3};\n.global .b32 b[4];\n"
               ".visible .entry k()\n{\n.reg .b32 %r; .reg .b64 %d;\n"
               "mov.u64 %d, b;\nld.global.u32 %r, [" +
                   place + "];\nret;\n}\n",
               {1}, {1}, {});
  };
  for (const char *place : {"a", "a+8", "b", "%d+12"})
    ASSERT_RAN(launch(place));
  for (const char *place : {"a+12", "a-4", "%d-4", "b+16"})
    expectFault(launch(place), ReportKind::OutOfBounds);
}

// Guards that a variable without elements has a place of its own, too.
TEST_F(SanitizerTest, EmptyGlobalVariables) {
  Error error;
  auto module = Module::parse(".version 8.0\n.target sm_80\n.address_size 64\n"
                              ".global .b32 a[0];\n.global .b32 b[2];\n",
                              error);
  ASSERT_TRUE(module) << error.str();
  ASSERT_TRUE(device.load(*module)) << device.error();
  EXPECT_NE(device.findGlobal(*module, "a")->first,
            device.findGlobal(*module, "b")->first);
}

// Guards shared, local and parameter bounds.
TEST_F(SanitizerTest, OtherSpacesOutOfBounds) {
  std::string before = ".shared .align 4 .b8 s[128];";
  std::string body = "mov.u32 %r1, %tid.x; shl.b32 %r2, %r1, 2;\n"
                     "mov.u32 %r3, s; add.u32 %r3, %r3, %r2;\n"
                     "st.shared.u32 [%r3], %r1;\n";
  ASSERT_RAN(runBody(body, 32, 0, before));
  expectFault(runBody(body, 33, 0, before), ReportKind::OutOfBounds);
  body = ".local .align 8 .b8 l[16];\nmov.b64 %d1, l; cvta.local.u64 %d2, %d1;"
         "\nst.u32 [%d2+12], 1; ld.local.u32 %r2, [%d1+";
  ASSERT_RAN(runBody(body + "12];", 32, 0));
  expectFault(runBody(body + "16];", 32, 0), ReportKind::OutOfBounds);
  ASSERT_RAN(runBody("ld.param.u32 %r1, [p0+4];", 1, 0));
  expectFault(runBody("ld.param.u32 %r1, [p0+8];", 1, 0),
              ReportKind::OutOfBounds);
}

// Guards alignment of scalar and vector accesses.
TEST_F(SanitizerTest, Misaligned) {
  uint64_t address = zeros(64);
  std::string body = "ld.param.u64 %d1, [p0];\nld.global.v4.u32 {%r1, %r2, "
                     "%r3, %r4}, [%d1+";
  ASSERT_RAN(runBody(body + "16];", 1, address));
  expectFault(runBody(body + "8];", 1, address), ReportKind::Misaligned);
}

// Guards that addresses of freed buffers stay known.
TEST_F(SanitizerTest, UseAfterFree) {
  std::string body = threadAddress + "ld.global.u32 %r2, [%d1];\n";
  uint64_t address = zeros(128);
  ASSERT_RAN(runBody(body, 32, address));
  ASSERT_TRUE(device.free(address));
  zeros(128);
  expectFault(runBody(body, 32, address), ReportKind::UseAfterFree);
  EXPECT_FALSE(device.free(address));
  EXPECT_EQ(device.error(), "buffer is freed a second time");
}

// Guards byte-wise marks of global memory, copies of them, and the switch.
TEST_F(SanitizerTest, UninitializedGlobal) {
  std::string body = threadAddress + "ld.global.u32 %r2, [%d1];\n";
  uint64_t address = device.allocate(128);
  std::vector<uint8_t> bytes(127);
  device.copyIn(address, bytes.data(), bytes.size());
  auto result = runBody(body, 32, address);
  expectFault(result, ReportKind::UninitializedMemory);
  EXPECT_EQ(result.report().lane, 31);
  uint64_t copy = zeros(128);
  device.copy(copy, address, 128);
  expectFault(runBody(body, 32, copy), ReportKind::UninitializedMemory);
  LaunchOptions options;
  options.checkUninitializedMemory = false;
  ASSERT_RAN(runBody(body, 32, address, "", options));
  ASSERT_RAN(runBody(threadAddress + "st.global.u32 [%d1], 7;\n", 32, address));
  ASSERT_RAN(runBody(body, 32, address));
}

// Guards marks of shared memory.
TEST_F(SanitizerTest, UninitializedShared) {
  std::string before = ".shared .align 4 .b8 s[128];";
  std::string store = "st.shared.u16 [s+2], 1; st.shared.u16 [s], 1;";
  ASSERT_RAN(runBody(store + "ld.shared.u32 %r1, [s];", 32, 0, before));
  expectFault(
      runBody("st.shared.u16 [s+2], 1; ld.shared.u32 %r1, [s];", 32, 0, before),
      ReportKind::UninitializedMemory);
}

// Guards registers that only some paths write, also through moves.
TEST_F(SanitizerTest, UninitializedRegister) {
  std::string body = "mov.u32 %r1, %tid.x; setp.lt.u32 %p1, %r1, 16;\n"
                     "@%p1 mov.u32 %r2, 5;\n";
  auto result = runBody(body + "add.u32 %r3, %r2, 1;", 32, 0);
  expectFault(result, ReportKind::UninitializedRegister);
  EXPECT_EQ(result.report().lane, 16);
  EXPECT_NE(result.report().str().find("%r2"), std::string::npos);
  ASSERT_RAN(runBody(body + "@%p1 add.u32 %r3, %r2, 1;", 32, 0));
  ASSERT_RAN(
      runBody(body + "@!%p1 mov.u32 %r2, 6; add.u32 %r3, %r2, 1;", 32, 0));
  // A move hands the state on and is no use by itself.
  ASSERT_RAN(runBody(body + "mov.u32 %r4, %r2;", 32, 0));
  expectFault(runBody(body + "mov.u32 %r4, %r2; add.u32 %r3, %r4, 1;", 32, 0),
              ReportKind::UninitializedRegister);
}

// Guards all three kinds of races and barriers that prevent them.
TEST_F(SanitizerTest, SharedRaces) {
  std::string before = ".shared .align 4 .b8 s[512];";
  // Each thread touches its own word, then that of the other warp.
  std::string head = "mov.u32 %r1, %tid.x; shl.b32 %r2, %r1, 2;\n"
                     "xor.b32 %r3, %r2, 128; mov.u32 %r9, s;\n"
                     "add.u32 %r2, %r2, %r9; add.u32 %r3, %r3, %r9;\n";
  std::string storeOwn = "st.shared.u32 [%r2], %r1;\n";
  std::string loadOwn = "ld.shared.u32 %r4, [%r2];\n";
  std::string loadOther = "ld.shared.u32 %r4, [%r3];\n";
  std::string storeOther = "st.shared.u32 [%r3], %r1;\n";
  std::string barrier = "bar.sync 0;\n";
  ASSERT_RAN(runBody(head + storeOwn + barrier + loadOther, 64, 0, before));
  auto result = runBody(head + storeOwn + loadOwn + loadOther, 64, 0, before);
  // Warp 0 runs first and finds nothing written there yet.
  ASSERT_FALSE(bool(result));
  result =
      runBody(head + storeOwn + barrier + loadOther + storeOwn, 64, 0, before);
  expectFault(result, ReportKind::SharedRace);
  EXPECT_EQ(result.report().warp + result.report().other.warp, 1);
  ASSERT_RAN(runBody(head + storeOwn + barrier + loadOther + barrier + storeOwn,
                     64, 0, before));
  expectFault(runBody(head + storeOwn + storeOther, 64, 0, before),
              ReportKind::SharedRace);
  ASSERT_RAN(runBody(head + storeOwn + barrier + storeOther, 64, 0, before));
  // Atomics do not race with each other.
  ASSERT_RAN(
      runBody(head + storeOwn + barrier + "atom.shared.add.u32 %r5, [s], 1;",
              64, 0, before));
  // Neighbouring bytes of one word are no race.
  ASSERT_RAN(runBody("mov.u32 %r1, %tid.x; mov.u32 %r9, s;\n"
                     "add.u32 %r2, %r1, %r9; cvt.u16.u32 %h1, %r1;\n"
                     "st.shared.u8 [%r2], %h1; ld.shared.u8 %h2, [%r2];",
                     33, 0, before));
  LaunchOptions options;
  options.checkRaces = false;
  ASSERT_RAN(runBody(head + storeOwn + storeOther, 64, 0, before, options));
}

// Guards the order that barriers of a part of the warps make, and only that.
TEST_F(SanitizerTest, NamedBarriersOrderTheirWarps) {
  std::string before = ".shared .align 4 .b8 s[512];";
  // Warp 0 produces and arrives, warp 1 waits and consumes.
  std::string head = "mov.u32 %r1, %tid.x; shr.u32 %r2, %r1, 5;\n"
                     "setp.eq.u32 %p1, %r2, 0;\n@%p1 bra PRODUCE;\n"
                     "bar.sync 1, 64;\nld.shared.u32 %r3, [s];\nret;\n"
                     "PRODUCE:\nst.shared.u32 [s], 7;\n";
  ASSERT_RAN(runBody(head + "bar.arrive 1, 64;\n", 64, 0, before));
  // What the producer writes after it arrived is not ordered.
  expectFault(runBody(head + "bar.arrive 1, 64;\nst.shared.u32 [s], 8;\n", 64,
                      0, before),
              ReportKind::SharedRace);
}

// Guards barriers that a part of a warp reaches.
TEST_F(SanitizerTest, BarrierDivergence) {
  std::string head = "mov.u32 %r1, %tid.x; setp.lt.u32 %p1, %r1, ";
  ASSERT_RAN(runBody(head + "64;\n@%p1 bar.sync 0;", 64, 0));
  auto result = runBody(head + "16;\n@%p1 bar.sync 0;", 64, 0);
  expectFault(result, ReportKind::BarrierDivergence);
  EXPECT_EQ(result.report().location.line, 9u);
}

// Guards that a deadlock ends and lists who waits where.
TEST_F(SanitizerTest, Deadlock) {
  std::string body = "mov.u32 %r1, %tid.x; setp.lt.u32 %p1, %r1, 32;\n"
                     "@%p1 bra A;\nbar.sync 1, 96;\nret;\nA:\nbar.sync 2, 96;";
  auto result = runBody(body, 64, 0);
  expectFault(result, ReportKind::BarrierDivergence); // 96 of 64 threads.
  result = runBody(body, 96, 0);
  expectFault(result, ReportKind::Deadlock);
  for (const char *part : {"warp 0 waits at barrier 2, line 13",
                           "warp 1 waits at barrier 1, line 10",
                           "warp 2 waits at barrier 1, line 10"})
    EXPECT_NE(result.report().str().find(part), std::string::npos)
        << result.report().str();
  // Warps that have ended do not count at a barrier of all.
  ASSERT_RAN(runBody("mov.u32 %r1, %tid.x; setp.lt.u32 %p1, %r1, 32;\n"
                     "@%p1 bra A;\nret;\nA:\nbar.sync 0;",
                     96, 0));
}

// Guards that hangs become errors.
TEST_F(SanitizerTest, InstructionBudget) {
  LaunchOptions options;
  options.instructionBudget = 100000;
  expectFault(runBody("A: bra.uni A;", 32, 0, "", options),
              ReportKind::InstructionBudget);
}

TEST_F(SanitizerTest, TrapIsReported) {
  expectFault(runBody("trap;", 1, 0), ReportKind::Trap);
}

// Guards .sync instructions whose member mask is wrong.
TEST_F(SanitizerTest, MemberMasks) {
  std::string shuffle = "mov.u32 %r1, %tid.x; shfl.sync.idx.b32 %r2, %r1, ";
  ASSERT_RAN(runBody(shuffle + "3, 31, -1;", 32, 0));
  // Lane 20 of a warp of 16 lanes does not exist.
  expectFault(runBody(shuffle + "20, 31, -1;", 16, 0), ReportKind::WarpSync);
  expectFault(runBody(shuffle + "3, 31, 0xffff;", 32, 0), ReportKind::WarpSync);
}

// Guards launches that cannot run.
TEST_F(SanitizerTest, InvalidLaunches) {
  auto module = parse(entryText("ret;", 1));
  const Kernel &kernel = module->kernels()[0];
  Arguments none, one = arguments(uint64_t(0)), narrow = arguments(0);
  auto detail = [&](Dim3 grid, Dim3 block, const Arguments &args) {
    auto result = device.launch(kernel, grid, block, 0, args.spans());
    return result ? std::string("ran") : result.report().detail;
  };
  EXPECT_EQ(detail({1}, {32}, one), "ran");
  EXPECT_EQ(detail({1}, {32}, none), "expected 1 arguments, found 0");
  EXPECT_EQ(detail({1}, {32}, narrow),
            "argument 0 ('p0') has 4 bytes, expected 8");
  EXPECT_EQ(detail({1}, {1025}, one),
            "block 1025x1x1 exceeds 1024x1024x64 or 1024 threads");
  EXPECT_EQ(detail({0}, {1}, one), "grid 0x1x1 or block 1x1x1 is empty");
}

// Guards shared memory that no chip has.
TEST_F(SanitizerTest, TooMuchSharedMemory) {
  auto launch = [&](uint32_t fixed, size_t dynamic) {
    return run(
        entryText("mov.u32 %r1, s;", 0,
                  ".shared .align 16 .b8 s[" + std::to_string(fixed) + "];"),
        {1}, {1}, Arguments(), dynamic);
  };
  ASSERT_RAN(launch(16, 232448 - 16));
  ASSERT_RAN(launch(232448, 0));
  auto result = launch(16, 232448);
  expectFault(result, ReportKind::InvalidLaunch);
  EXPECT_EQ(result.report().detail,
            "shared memory of 232448 dynamic and 16 static bytes is more than "
            "the 232448 that a block may have");
  expectFault(launch(232464, 0), ReportKind::InvalidLaunch);
  expectFault(launch(16, ~size_t(0)), ReportKind::InvalidLaunch);
}

// Guards that the report of a warp that waits in a loop names what it polls.
TEST_F(SanitizerTest, DeadlockNamesThePolledAddress) {
  std::string loop = "ld.param.u64 %d1, [p0];\nL:\n";
  uint64_t address = zeros(64);
  char hex[24];
  std::snprintf(hex, sizeof hex, "0x%llx", (unsigned long long)address + 8);
  for (const char *poll :
       {"ld.volatile.global.u32 %r2, [%d1+8];",
        "add.s64 %d2, %d1, 8; atom.global.cas.b32 %r2, [%d2], 1, 0;",
        "ld.acquire.gpu.u32 %r2, [%d1+8];"}) {
    std::string body = loop + poll + "\nsetp.eq.s32 %p1, %r2, 0; @%p1 bra L;";
    auto result = runBody(body, 32, address);
    expectFault(result, ReportKind::Deadlock);
    const Report &report = result.report();
    std::string text = report.str();
    EXPECT_EQ(report.location.line, 10u) << text;
    EXPECT_TRUE(report.hasAddress) << text;
    EXPECT_EQ(report.address, address + 8) << text;
    EXPECT_NE(text.find("polls a value that nobody is left to change"),
              std::string::npos)
        << text;
    EXPECT_NE(text.find(std::string(", line 10: address ") + hex),
              std::string::npos)
        << text;
  }
  // A flag in shared memory, at its offset.
  auto result = runBody("mov.u32 %r1, s; st.shared.u32 [%r1+4], 0;\nL:\n"
                        "ld.volatile.shared.u32 %r2, [%r1+4];\n"
                        "setp.eq.s32 %p1, %r2, 0; @%p1 bra L;",
                        1, 0, ".shared .align 4 .b8 s[8];");
  expectFault(result, ReportKind::Deadlock);
  EXPECT_EQ(result.report().address, 4u) << result.report().str();
}

// Guards that the report of the lowest failing block is returned.
TEST_F(SanitizerTest, ReportsAreIndependentOfThreads) {
  std::string body = "mov.u32 %r1, %ctaid.x; setp.lt.u32 %p1, %r1, 7;\n"
                     "@%p1 bra E;\ntrap;\nE: ret;";
  for (unsigned threads : {1u, 3u}) {
    LaunchOptions options;
    options.threads = threads;
    auto result = run(entryText(body, 0), {40}, {32}, Arguments(), 0, options);
    expectFault(result, ReportKind::Trap);
    EXPECT_EQ(result.report().block, 7);
  }
}

} // namespace
