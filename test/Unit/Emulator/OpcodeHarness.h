//===- OpcodeHarness.h - One instruction on a table of operands -*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Every row of a table is one lane. Registers %d1 to %d3, %r1 to %r3 and %h1 to
// %h3 hold the operands with 64, 32 and 16 bits, %f-like use is by bits; the
// result is %d0, %r0, %h0 or %p0.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_UNIT_EMULATOR_OPCODEHARNESS_H
#define ROPEWALK_UNIT_EMULATOR_OPCODEHARNESS_H

#include "Harness.h"

#include <bit>

namespace ropewalk::emulator {

struct Row {
  uint64_t a, b, c, expected;
};

inline uint64_t f(float value) { return std::bit_cast<uint32_t>(value); }
inline uint64_t g(double value) { return std::bit_cast<uint64_t>(value); }

struct OpcodeTest : Fixture {
  LaunchResult run(const std::string &text, Dim3 grid, Dim3 block,
                   const Arguments &args, size_t shared = 0,
                   const LaunchOptions &options = {}) {
    return Fixture::run(hopperText(text), grid, block, args, shared, options);
  }

  /// Runs `code` on each row and returns the results. `result` is the letter
  /// of the register that holds it.
  std::vector<uint64_t> results(const std::string &code, char result,
                                const std::vector<Row> &rows) {
    std::string body = "mov.u32 %r30, %tid.x;\n"
                       "mul.wide.u32 %d30, %r30, 32;\n"
                       "ld.param.u64 %d31, [p0];\n"
                       "add.s64 %d31, %d31, %d30;\n"
                       "ld.global.u64 %d1, [%d31];\n"
                       "ld.global.u64 %d2, [%d31+8];\n"
                       "ld.global.u64 %d3, [%d31+16];\n";
    for (char i : {'1', '2', '3'})
      body += std::string("cvt.u32.u64 %r") + i + ", %d" + i +
              "; cvt.u16.u64 %h" + i + ", %d" + i + ";\n";
    body += "setp.ne.u64 %p3, %d3, 0;\n" + code + "\n";
    if (result == 'h')
      body += "cvt.u64.u16 %d0, %h0;\n";
    else if (result == 'r')
      body += "cvt.u64.u32 %d0, %r0;\n";
    else if (result == 'p')
      body += "selp.u64 %d0, 1, 0, %p0;\n";
    body += "st.global.u64 [%d31+24], %d0;\nret;\n";
    std::vector<uint64_t> memory;
    for (const Row &row : rows)
      memory.insert(memory.end(), {row.a, row.b, row.c, 0});
    uint64_t address = upload(memory);
    auto outcome = run(entryText(body, 1), {1}, {uint32_t(rows.size())},
                       arguments(address));
    EXPECT_TRUE(bool(outcome)) << code << "\n" << outcome.report().str();
    memory = download<uint64_t>(address, memory.size());
    std::vector<uint64_t> got;
    for (size_t i = 0; i < rows.size(); ++i)
      got.push_back(memory[i * 4 + 3]);
    return got;
  }

  void check(const std::string &code, char result,
             const std::vector<Row> &rows) {
    auto got = results(code, result, rows);
    for (size_t i = 0; i < rows.size(); ++i)
      EXPECT_EQ(got[i], rows[i].expected)
          << code << " row " << i << std::hex << " a 0x" << rows[i].a << " b 0x"
          << rows[i].b << " c 0x" << rows[i].c << " got 0x" << got[i]
          << " want 0x" << rows[i].expected;
  }
};

} // namespace ropewalk::emulator

#endif // ROPEWALK_UNIT_EMULATOR_OPCODEHARNESS_H
