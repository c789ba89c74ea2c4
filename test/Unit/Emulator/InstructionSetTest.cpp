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

std::set<std::string, std::less<>> executed;

/// The opcode of an instruction without its modifiers.
std::string_view baseOf(std::string_view opcode) {
  return opcode.substr(0, opcode.find('.'));
}

// Guards that tests execute each opcode of the list: no test can claim it, the
// counters of launches say it. Only a run of all tests can tell.
class Coverage : public testing::Environment {
public:
  void TearDown() override {
    const testing::UnitTest &all = *testing::UnitTest::GetInstance();
    if (all.test_to_run_count() != all.total_test_count())
      return;
    for (const InstructionInfo &info : instructionSet())
      if (info.isCovered)
        EXPECT_TRUE(executed.count(info.opcode))
            << "no test executes '" << info.opcode << "'";
  }
};

[[maybe_unused]] testing::Environment *const coverage =
    testing::AddGlobalTestEnvironment(new Coverage);

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
  EXPECT_NE(text.find("| `fma` | float arithmetic | any | yes | f32 and f64"),
            std::string::npos);
  EXPECT_NE(text.find("| `elect` | exchange in a warp | sm_90 or higher | yes"),
            std::string::npos);
  EXPECT_NE(text.find("| `tex` | textures and surfaces | - | no | "),
            std::string::npos);
  EXPECT_EQ(size_t(std::count(text.begin(), text.end(), '\n')),
            instructionSet().size() + 2);
  EXPECT_EQ(size_t(std::count(text.begin(), text.end(), '|')),
            (instructionSet().size() + 2) * 6);
}

} // namespace

void ropewalk::emulator::noteExecuted(const Kernel &kernel,
                                      const LaunchResult &result) {
  if (!result) {
    // Counters end with the launch, and these end it.
    for (std::string_view last : {"trap", "brkpt"})
      if (result.report().detail.find("'" + std::string(last)) == 0)
        executed.emplace(last);
    return;
  }
  const std::vector<LineCount> &lines = result.counters().lines;
  ASSERT_EQ(lines.size(), kernel.program->opcodes.size());
  for (size_t i = 0; i < lines.size(); ++i)
    if (lines[i].laneInstructions > 0)
      executed.emplace(baseOf(kernel.program->opcodes[i]));
}
