//===- Syntax.h - PTX as parsed ---------------------------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The parsed form of a module: declarations with their layout, and instructions
// with opcode and operands still in the words of the text.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_LIB_EMULATOR_SYNTAX_H
#define ROPEWALK_LIB_EMULATOR_SYNTAX_H

#include "Ropewalk/Emulator/Module.h"

namespace ropewalk::emulator {

enum class ScalarType : uint8_t {
  None,
  Pred,
  B8,
  B16,
  B32,
  B64,
  B128,
  U8,
  U16,
  U32,
  U64,
  S8,
  S16,
  S32,
  S64,
  F16,
  F16x2,
  BF16,
  BF16x2,
  F32,
  F64
};

/// None if `name` is no scalar type.
ScalarType scalarType(std::string_view name);
/// Bytes; 0 for None and Pred.
uint32_t sizeOf(ScalarType type);
const char *name(ScalarType type);

enum class Space : uint8_t {
  Generic,
  Global,
  Shared,
  Local,
  Const,
  Param,
};
const char *name(Space space);

/// A declared variable. `offset` counts from the start of its space.
struct Variable {
  std::string name;
  Space space = Space::Global;
  ScalarType type = ScalarType::None;
  uint64_t size = 0;
  uint32_t alignment = 1;
  uint64_t offset = 0;
  bool isExternal = false; ///< Size known only at launch or not at all.
  std::vector<uint8_t> initial;
  /// Addresses of other variables inside `initial`, 8 bytes each.
  struct Address {
    uint64_t position;
    std::string symbol;
    uint64_t addend;
    bool generic;
    SourceLocation location;
  };
  std::vector<Address> addresses;
  SourceLocation location;
};

struct Register {
  std::string name;
  ScalarType type = ScalarType::None;
};

struct OperandSyntax {
  enum Kind : uint8_t {
    RegisterName, ///< `index`
    Immediate,    ///< `value`, two's complement
    Float32Bits,
    Float64Bits,
    Label,   ///< `index`: instruction
    Address, ///< `space`, `value`: a variable plus an offset
    Symbol,  ///< `text`: a name that is none of these
    Special, ///< `text`: "%tid.x"
    Vector,  ///< `parts`
    Memory,  ///< [parts[0] + value]
    Sink,    ///< "_"
    List     ///< ( ... ) of a call
  };
  Kind kind = Immediate;
  bool negated = false; ///< "!p"
  Space space = Space::Generic;
  /// The address counts from the start of dynamic shared memory.
  bool isDynamicShared = false;
  int32_t index = -1;
  int32_t pairIndex = -1; ///< "p|q": register of q; -2 for a sink.
  int64_t value = 0;
  std::string text;
  std::vector<OperandSyntax> parts;
  SourceLocation location;
};

struct InstructionSyntax {
  int32_t guard = -1; ///< Register of @p.
  bool guardNegated = false;
  std::string base;
  std::vector<std::string> modifiers;
  std::vector<OperandSyntax> operands;
  SourceLocation location;

  std::string opcode() const;
};

struct FunctionSyntax {
  KernelInfo info;
  bool isEntry = false;
  std::vector<Register> registers;
  std::vector<InstructionSyntax> body;
  uint32_t dynamicSharedAlignment = 1;
  /// Targets of the function's .branchtargets lists, as instructions.
  std::vector<std::vector<uint32_t>> branchTargets;
};

/// Everything of a module but the decoded code.
struct ModuleData {
  std::string version;
  std::string target;
  std::vector<Variable> globals; ///< .global, at `globalBase` + offset
  std::vector<Variable> constants;
  std::vector<Variable> shared; ///< Module scope.
  std::vector<uint8_t> constantBytes;
  uint64_t globalBase = 0;
  uint64_t globalBytes = 0;
};

/// Parses `text` into `module` and `functions` (entries only; the bodies of
/// device functions, which no supported instruction reaches, are skipped).
bool parsePTX(std::string_view text, ModuleData &module,
              std::vector<FunctionSyntax> &functions, Error &error);

} // namespace ropewalk::emulator

#endif // ROPEWALK_LIB_EMULATOR_SYNTAX_H
