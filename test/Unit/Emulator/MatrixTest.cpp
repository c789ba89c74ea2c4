//===- MatrixTest.cpp - ldmatrix, stmatrix and movmatrix --------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// One warp, 32 rows of 8 elements. The fragment layout is that of the PTX ISA:
// thread T holds elements 2 * (T % 4) and + 1 of row T / 4, of the transposed
// matrix with .trans.
//
//===----------------------------------------------------------------------===//

#include "Harness.h"

using namespace ropewalk::emulator;

namespace {

/// How the shared address is written down.
enum class Form { Narrow, Wide, Generic };

struct MatrixTest : Fixture {
  Counters last;

  static std::string registers(unsigned count) {
    std::string text = "{";
    for (unsigned i = 0; i < count; ++i)
      text += (i ? ", %r" : "%r") + std::to_string(10 + i);
    return text + "}";
  }

  /// Lane L's row is at s + (L ^ `flip`) * `stride` + `shift`, in %r3, %d3 or,
  /// generic, %d4.
  static std::string head(unsigned stride, unsigned flip, unsigned shift) {
    return ".shared .align 128 .b8 s[8192];\n"
           "mov.u32 %r1, %tid.x; mov.u32 %r2, s;\nxor.b32 %r4, %r1, " +
           std::to_string(flip) + ";\nmad.lo.u32 %r3, %r4, " +
           std::to_string(stride) + ", %r2;\nadd.u32 %r3, %r3, " +
           std::to_string(shift) +
           ";\ncvt.u64.u32 %d3, %r3; cvta.shared.u64 %d4, %d3;\n"
           "ld.param.u64 %d1, [p0]; mul.wide.u32 %d2, %r1, 4;\n"
           "add.s64 %d1, %d1, %d2;\n";
  }
  static std::string address(Form form) {
    return form == Form::Narrow ? "[%r3]"
           : form == Form::Wide ? "[%d3]"
                                : "[%d4]";
  }
  static std::string opcode(const std::string &base, unsigned count,
                            bool transposes, Form form) {
    return base + ".sync.aligned.m8n8.x" + std::to_string(count) +
           (transposes ? ".trans" : "") +
           (form == Form::Narrow ? ".shared"
            : form == Form::Wide ? ".shared::cta"
                                 : "") +
           ".b16 ";
  }
  /// Element `column` of the row of lane `lane`.
  static uint16_t element(unsigned lane, unsigned column) {
    return uint16_t(lane * 256 + column * 17 + 3);
  }
  /// What thread `lane` holds in register `i` after a load.
  static uint32_t fragment(unsigned i, unsigned lane, bool transposes) {
    unsigned row = lane / 4, column = lane % 4 * 2;
    uint32_t low = transposes ? element(8 * i + column, row)
                              : element(8 * i + row, column);
    uint32_t high = transposes ? element(8 * i + column + 1, row)
                               : element(8 * i + row, column + 1);
    return low | high << 16;
  }

  LaunchResult launch(const std::string &body, uint64_t memory,
                      uint32_t threads = 32,
                      const LaunchOptions &options = {}) {
    // stmatrix is of sm_90.
    std::string text = entryText(body, 1);
    text.replace(text.find("sm_80"), 5, "sm_90");
    auto result = run(text, {1}, {threads}, arguments(memory), 0, options);
    if (result)
      last = result.counters();
    return result;
  }

  /// Rows of shared memory as the warp stores them: each lane its own.
  static std::string fillRows() {
    std::string text = "shl.b32 %r5, %r1, 8; add.u32 %r5, %r5, 3;\n";
    for (unsigned column = 0; column < 8; ++column)
      text += "add.u32 %r6, %r5, " + std::to_string(column * 17) +
              "; cvt.u16.u32 %h1, %r6; st.shared.b16 [%r3+" +
              std::to_string(column * 2) + "], %h1;\n";
    return text;
  }

  void expectFault(const LaunchResult &result, ReportKind kind,
                   const std::string &part, int lane = -1) {
    ASSERT_FALSE(bool(result)) << "the planted fault was not found";
    EXPECT_EQ(result.report().kind, kind) << result.report().str();
    EXPECT_NE(result.report().str().find(part), std::string::npos)
        << result.report().str();
    if (lane >= 0)
      EXPECT_EQ(result.report().lane, lane);
  }
};

// Guards which lane's row goes where, for every number of matrices and form of
// address, and that lanes beyond the rows need no valid address.
TEST_F(MatrixTest, Load) {
  for (unsigned count : {1u, 2u, 4u})
    for (bool transposes : {false, true})
      for (Form form : {Form::Narrow, Form::Wide, Form::Generic}) {
        SCOPED_TRACE(opcode("ldmatrix", count, transposes, form));
        std::string body = head(80, 5, 16) + fillRows();
        if (count < 4)
          body += "setp.ge.u32 %p1, %r1, " + std::to_string(8 * count) +
                  ";\n@%p1 mov.u32 %r3, 0xffffff01; @%p1 mov.u64 %d3, 7;\n"
                  "@%p1 mov.u64 %d4, 7;\n";
        body += opcode("ldmatrix", count, transposes, form) + registers(count) +
                ", " + address(form) + ";\n";
        for (unsigned i = 0; i < count; ++i)
          body += "st.global.b32 [%d1+" + std::to_string(i * 128) + "], %r" +
                  std::to_string(10 + i) + ";\n";
        uint64_t memory = device.allocate(512);
        ASSERT_RAN(launch(body, memory));
        auto got = download<uint32_t>(memory, count * 32);
        for (unsigned i = 0; i < count; ++i)
          for (unsigned lane = 0; lane < 32; ++lane)
            ASSERT_EQ(got[i * 32 + lane], fragment(i, lane, transposes))
                << "register " << i << " lane " << lane;
        EXPECT_EQ(last.warpByClass[size_t(InstClass::SharedLoad)], 1u);
      }
}

// Guards the inverse.
TEST_F(MatrixTest, Store) {
  for (unsigned count : {1u, 2u, 4u})
    for (bool transposes : {false, true})
      for (Form form : {Form::Narrow, Form::Wide, Form::Generic}) {
        SCOPED_TRACE(opcode("stmatrix", count, transposes, form));
        std::string body = head(80, 5, 16);
        for (unsigned i = 0; i < count; ++i)
          body += "ld.global.b32 %r" + std::to_string(10 + i) + ", [%d1+" +
                  std::to_string(i * 128) + "];\n";
        body += opcode("stmatrix", count, transposes, form) + address(form) +
                ", " + registers(count) +
                ";\nmul.wide.u32 %d2, %r1, 12; add.s64 %d1, %d1, %d2;\n"
                "setp.lt.u32 %p1, %r1, " +
                std::to_string(8 * count) +
                ";\n@%p1 ld.shared.v4.b32 {%r20, %r21, %r22, %r23}, [%r3];\n"
                "@%p1 st.global.v4.b32 [%d1+512], {%r20, %r21, %r22, %r23};\n";
        std::vector<uint32_t> memory(256);
        for (unsigned i = 0; i < 4; ++i)
          for (unsigned lane = 0; lane < 32; ++lane)
            memory[i * 32 + lane] = fragment(i, lane, transposes);
        uint64_t place = upload(memory);
        ASSERT_RAN(launch(body, place));
        auto got = download<uint16_t>(place, 512);
        for (unsigned lane = 0; lane < 8 * count; ++lane)
          for (unsigned column = 0; column < 8; ++column)
            ASSERT_EQ(got[256 + lane * 8 + column], element(lane, column))
                << "row " << lane << " column " << column;
        EXPECT_EQ(last.warpByClass[size_t(InstClass::SharedStore)], 1u);
      }
}

TEST_F(MatrixTest, Move) {
  std::string body = "mov.u32 %r1, %tid.x; ld.param.u64 %d1, [p0];\n"
                     "mul.wide.u32 %d2, %r1, 4; add.s64 %d1, %d1, %d2;\n"
                     "ld.global.b32 %r2, [%d1];\n"
                     "movmatrix.sync.aligned.m8n8.trans.b16 %r3, %r2;\n"
                     "st.global.b32 [%d1], %r3;\n";
  std::vector<uint32_t> memory(32);
  for (unsigned lane = 0; lane < 32; ++lane)
    memory[lane] = fragment(0, lane, false);
  uint64_t place = upload(memory);
  ASSERT_RAN(launch(body, place));
  memory = download<uint32_t>(place, 32);
  for (unsigned lane = 0; lane < 32; ++lane)
    EXPECT_EQ(memory[lane], fragment(0, lane, true)) << "lane " << lane;
}

// Guards transactions: 8 rows in different banks take one, rows 128 bytes
// apart one each.
TEST_F(MatrixTest, BankConflicts) {
  struct Case {
    unsigned stride, count, transactions, conflicts;
  };
  for (Case c : {Case{16, 1, 1, 0}, Case{16, 4, 4, 0}, Case{128, 1, 8, 7},
                 Case{128, 4, 32, 28}, Case{144, 4, 4, 0}, Case{32, 2, 4, 2}}) {
    std::string body =
        head(c.stride, 0, 0) + opcode("stmatrix", 4, false, Form::Narrow) +
        "[%r3], {" + "%r1, %r1, %r1, %r1};\n" +
        opcode("ldmatrix", c.count, false, Form::Narrow) + registers(c.count) +
        ", [%r3];\n" + opcode("stmatrix", c.count, false, Form::Narrow) +
        "[%r3], " + registers(c.count) + ";\n";
    std::string first = head(c.stride, 0, 0) +
                        opcode("stmatrix", 4, false, Form::Narrow) +
                        "[%r3], {%r1, %r1, %r1, %r1};\n";
    ASSERT_RAN(launch(first, 0));
    Counters before = last;
    ASSERT_RAN(launch(body, 0));
    EXPECT_EQ(last.sharedLoadRequests, 1u);
    EXPECT_EQ(last.sharedLoadTransactions, c.transactions) << c.stride;
    EXPECT_EQ(last.sharedLoadConflicts, c.conflicts) << c.stride;
    EXPECT_EQ(last.sharedStoreTransactions - before.sharedStoreTransactions,
              c.transactions)
        << c.stride;
    EXPECT_EQ(last.sharedStoreConflicts - before.sharedStoreConflicts,
              c.conflicts)
        << c.stride;
  }
}

// Guards alignment, bounds and spaces of row addresses.
TEST_F(MatrixTest, BadAddresses) {
  std::string load =
      opcode("ldmatrix", 2, false, Form::Narrow) + registers(2) + ", ";
  std::string store = opcode("stmatrix", 2, false, Form::Narrow);
  std::string written = head(16, 0, 0) + fillRows();
  ASSERT_RAN(launch(written + load + "[%r3];", 0));
  expectFault(launch(written + load + "[%r3+8];", 0), ReportKind::Misaligned,
              "address is not a multiple of 16", 0);
  expectFault(launch(written + store + "[%r3+4], {%r1, %r1};", 0),
              ReportKind::Misaligned, "address is not a multiple of 16", 0);
  // 8192 bytes end at row 512; lanes 12 to 15 lie beyond.
  expectFault(launch(written + load + "[%r3+8000];", 0),
              ReportKind::OutOfBounds, "16 bytes beyond the block's 8192", 12);
  expectFault(launch(written + store + "[%r3+8000], {%r1, %r1};", 0),
              ReportKind::OutOfBounds, "16 bytes beyond the block's 8192", 12);
  uint64_t memory = device.allocate(512);
  device.fill(memory, 0, 512);
  load = opcode("ldmatrix", 2, false, Form::Generic) + registers(2) + ", ";
  std::string mixed = "setp.eq.u32 %p1, %r1, 3; ld.param.u64 %d5, [p0];\n"
                      "@%p1 mov.u64 %d4, %d5;\n";
  expectFault(launch(written + mixed + load + "[%d4];", memory),
              ReportKind::OutOfBounds, "not in the block's shared memory", 3);
  std::string local = ".local .align 16 .b8 l[16];\nmov.b64 %d4, l; "
                      "cvta.local.u64 %d4, %d4;\n";
  expectFault(launch(written + local + load + "[%d4];", memory),
              ReportKind::OutOfBounds, "not in the block's shared memory", 0);
}

// Guards that rows are checked for marks and races as other accesses are.
TEST_F(MatrixTest, UninitializedRowsAndRaces) {
  std::string load =
      opcode("ldmatrix", 1, false, Form::Narrow) + registers(1) + ", [%r3];\n";
  std::string store =
      opcode("stmatrix", 1, false, Form::Narrow) + "[%r3], {%r1};\n";
  ASSERT_RAN(launch(head(16, 0, 0) + store + load, 0));
  expectFault(launch(head(16, 0, 0) + load, 0), ReportKind::UninitializedMemory,
              "no thread has written these bytes", 0);
  // Both warps use the same rows.
  std::string both = head(16, 0, 0) + "and.b32 %r4, %r1, 31;\n"
                                      "mad.lo.u32 %r3, %r4, 16, %r2;\n";
  expectFault(launch(both + store, 0, 64), ReportKind::SharedRace,
              "races with an access of warp");
  std::string turns =
      both + "setp.lt.u32 %p1, %r1, 32;\n@!%p1 bra R;\n" + store + "R:\n";
  ASSERT_RAN(launch(turns + "bar.sync 0;\n" + load, 0, 64));
  expectFault(launch(turns + load, 0, 64), ReportKind::SharedRace,
              "races with an access of warp");
}

// Guards that an address register counts only in the lanes that have a row, and
// those of the elements in all lanes.
TEST_F(MatrixTest, AddressesOfTheLanesWithRows) {
  for (unsigned count : {1u, 2u, 4u})
    for (const std::string base : {"ldmatrix", "stmatrix"}) {
      auto body = [&](unsigned lanes, const std::string &set) {
        return head(16, 0, 0) + fillRows() +
               "bar.warp.sync 0xffffffff;\nsetp.lt.u32 %p1, %r1, " +
               std::to_string(lanes) + ";\n@%p1 mov.u32 %r7, %r3;\n" + set +
               opcode(base, count, false, Form::Narrow) +
               (base == "ldmatrix" ? registers(count) + ", [%r7];\n"
                                   : "[%r7], " + registers(count) + ";\n");
      };
      std::string all, some;
      for (unsigned i = 0; i < count; ++i) {
        std::string move = "mov.u32 %r" + std::to_string(10 + i) + ", 0;\n";
        all += move;
        some += "@%p1 " + move;
      }
      ASSERT_RAN(launch(body(8 * count, all), 0));
      expectFault(launch(body(8 * count - 1, all), 0),
                  ReportKind::UninitializedRegister,
                  "reads register %r7 before it is written",
                  int(8 * count - 1));
      if (base == "stmatrix" && count < 4)
        expectFault(launch(body(8 * count, some), 0),
                    ReportKind::UninitializedRegister, "reads register %r1",
                    int(8 * count));
    }
}

// Guards .aligned: all 32 lanes or a report.
TEST_F(MatrixTest, DivergentLanes) {
  std::string setup = head(16, 0, 0) + fillRows() +
                      "setp.lt.u32 %p1, %r1, 8; mov.u32 %r10, 0;\n";
  for (const std::string &instruction :
       {opcode("ldmatrix", 1, false, Form::Narrow) + "{%r10}, [%r3];\n",
        opcode("stmatrix", 1, false, Form::Narrow) + "[%r3], {%r10};\n",
        std::string("movmatrix.sync.aligned.m8n8.trans.b16 %r11, %r10;\n")}) {
    ASSERT_RAN(launch(setup + instruction, 0));
    expectFault(launch(setup + "@%p1 " + instruction, 0), ReportKind::WarpSync,
                "needs all 32 lanes of the warp", 8);
  }
}

// Guards that what is not supported, or no PTX, is refused by its name.
TEST_F(MatrixTest, Refusals) {
  auto expect = [&](const std::string &instruction, const std::string &part) {
    Error error;
    auto module = Module::parse(entryText(instruction, 1), error);
    std::string message = module ? "accepted" : error.message;
    EXPECT_NE(message.find(part), std::string::npos) << instruction << "\n"
                                                     << message;
  };
  expect("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%r1, %r2}, [%r3];",
         "accepted");
  expect("ldmatrix.sync.aligned.m16n16.x1.trans.shared.b8 {%r1, %r2}, [%r3];",
         "shape '.m16n16' is not supported");
  expect("ldmatrix.sync.aligned.m8n16.x1.shared.b8x16.b6x16_p32 {%r1}, [%r3];",
         "shape '.m8n16' is not supported");
  expect("stmatrix.sync.aligned.m16n8.x1.trans.shared.b8 [%r3], {%r1};",
         "shape '.m16n8' is not supported");
  expect("ldmatrix.sync.aligned.m8n8.x3.shared.b16 {%r1, %r2}, [%r3];",
         "expected '.x1', '.x2' or '.x4'");
  expect("ldmatrix.sync.aligned.m8n8.x2.global.b16 {%r1, %r2}, [%d3];",
         "modifier '.global' is not supported");
  expect("ldmatrix.sync.aligned.m8n8.x2.shared::cluster.b16 {%r1, %r2}, [%r3];",
         "modifier '.shared::cluster' is not supported");
  expect("ldmatrix.sync.aligned.m8n8.x2.shared.b8 {%r1, %r2}, [%r3];",
         "modifier '.b8' is not supported");
  expect("ldmatrix.aligned.m8n8.x2.shared.b16 {%r1, %r2}, [%r3];",
         "expected '.sync.aligned'");
  expect("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%r1, %r2}, [%r3];",
         "expected a vector of 4 registers");
  expect("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%r1, %d2}, [%r3];",
         "register of 8 bytes for a .b32");
  expect("ldmatrix.sync.aligned.m8n8.x2.b16 {%r1, %r2}, [%r3];",
         "32-bit address of .generic memory");
  expect("movmatrix.sync.aligned.m8n8.b16 %r1, %r2;", "expected '.trans.b16'");
  expect("movmatrix.sync.aligned.m16n8.trans.b16 %r1, %r2;",
         "shape '.m16n8' is not supported");
}

} // namespace
