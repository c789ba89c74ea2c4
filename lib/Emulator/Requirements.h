//===- Requirements.h - Targets and versions that PTX needs -----*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What the .target and the .version of a module must be for an instruction, a
// special register or a directive. A text that asks for less than it uses does
// not assemble, so it is refused when it is loaded.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_LIB_EMULATOR_REQUIREMENTS_H
#define ROPEWALK_LIB_EMULATOR_REQUIREMENTS_H

#include "Syntax.h"

namespace ropewalk::emulator {

/// A chip and a version of the PTX ISA; 0 where any will do. Chips count as
/// 900 for sm_90 and 901 for sm_90a, versions as 78 for 7.8.
struct Requirement {
  unsigned chip = 0;
  unsigned version = 0;

  void raise(const Requirement &other);
};

/// The least that executes the instruction.
Requirement requirementOf(const InstructionSyntax &instruction);
/// The least of all forms of an opcode.
Requirement requirementOf(std::string_view opcode);
/// Of a special register by its name with "%".
Requirement requirementOfRegister(std::string_view name);
/// Of a directive of a kernel or of a type, by its name without the dot.
Requirement requirementOfDirective(std::string_view name);

/// "sm_90a", "sm_80 or higher".
std::string describeChip(unsigned chip);

/// Sets the numbers of `module` from its texts. False with a message if there
/// is no such target or version, or not the target in the version.
bool readTarget(ModuleData &module, std::string &message);

/// Whether the module meets the requirement; otherwise sets the message.
bool meets(const ModuleData &module, const Requirement &requirement,
           std::string &message);

} // namespace ropewalk::emulator

#endif // ROPEWALK_LIB_EMULATOR_REQUIREMENTS_H
