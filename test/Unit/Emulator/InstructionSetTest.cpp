//===- InstructionSetTest.cpp - The list of opcodes is true -----*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The list that is shown to users against the table that decodes.
//
//===----------------------------------------------------------------------===//

#include "InstructionSet.h"
#include "Decoder.h"
#include "Harness.h"

#include <set>

using namespace ropewalk::emulator;

namespace {

std::string errorOf(const std::string &instruction) {
  Error error;
  auto module = Module::parse(entryText(instruction, 1), error);
  return module ? "accepted" : error.message;
}

// Guards that covered opcodes are those that decode, neither more nor fewer.
TEST(InstructionSetTest, AgreesWithTheDecoder) {
  std::string reason;
  const OpcodeTable *table = opcodeTable(reason);
  ASSERT_TRUE(table) << reason;
  std::set<std::string> covered, all;
  for (const InstructionInfo &info : instructionSet()) {
    EXPECT_TRUE(all.insert(info.opcode).second) << info.opcode << " twice";
    EXPECT_NE(info.text[0], '\0') << info.opcode;
    if (info.isCovered)
      covered.insert(info.opcode);
  }
  std::set<std::string> decoded;
  for (const auto &[opcode, function] : *table)
    decoded.insert(opcode);
  EXPECT_EQ(covered, decoded);
}

// Guards that every other opcode of PTX is refused by its name with the reason
// of the list, and that a covered one is not refused as a whole.
TEST(InstructionSetTest, RefusalsNameTheOpcode) {
  for (const InstructionInfo &info : instructionSet()) {
    std::string opcode = info.opcode;
    std::string refusal = "instruction '" + opcode + "' is not supported";
    std::string got = errorOf(opcode + ";");
    if (info.isCovered)
      EXPECT_EQ(got.find(refusal), std::string::npos) << got;
    else
      EXPECT_EQ(got, refusal + ": " + info.text);
  }
  EXPECT_EQ(errorOf("tex.1d.v4.f32.s32 {%r1, %r2, %r3, %r4}, [%d1, {%r5}];"),
            "instruction 'tex.1d.v4.f32.s32' is not supported: textures and "
            "surfaces are not emulated");
  EXPECT_EQ(errorOf("tcgen05.wait::ld.sync.aligned;"),
            "instruction 'tcgen05.wait::ld.sync.aligned' is not supported: of "
            "chips later than sm_90a");
}

// Guards that the printed list is a table with a row for each opcode.
TEST(InstructionSetTest, PrintsATable) {
  std::string text = describeInstructionSet();
  EXPECT_EQ(text.find("| opcode |"), 0u);
  EXPECT_NE(text.find("| `fma` | float arithmetic | yes | f32 and f64"),
            std::string::npos);
  EXPECT_NE(text.find("| `tex` | textures and surfaces | no | "),
            std::string::npos);
  EXPECT_EQ(size_t(std::count(text.begin(), text.end(), '\n')),
            instructionSet().size() + 2);
  EXPECT_EQ(size_t(std::count(text.begin(), text.end(), '|')),
            (instructionSet().size() + 2) * 5);
}

} // namespace
