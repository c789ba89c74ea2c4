//===- InstructionSet.h - The opcodes of PTX --------------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Which opcodes there are, and what becomes of each. A test compares the list
// with the table that decodes.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_LIB_EMULATOR_INSTRUCTIONSET_H
#define ROPEWALK_LIB_EMULATOR_INSTRUCTIONSET_H

#include <span>
#include <string_view>

namespace ropewalk::emulator {

struct InstructionInfo {
  const char *opcode; ///< The first word of the instruction.
  const char *family;
  bool isCovered;
  const char *text; ///< The covered forms, or why there are none.
};

/// All opcodes of PTX ISA 9.0 by family.
std::span<const InstructionInfo> instructionSet();

/// Why the emulator has no instructions that begin with `opcode`; null if it
/// has some or PTX has none.
const char *refusalOf(std::string_view opcode);

} // namespace ropewalk::emulator

#endif // ROPEWALK_LIB_EMULATOR_INSTRUCTIONSET_H
