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

#include <map>

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
  F64,
  U16x2,
  S16x2
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
  SharedCluster, ///< Of any block of the cluster.
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
  uint32_t vectorLength = 1;     ///< Of ".v2" and ".v4".
  std::vector<uint64_t> extents; ///< Outermost first; 0 for "[]".
  bool isExternal = false;       ///< Size known only at launch or not at all.
  std::vector<uint8_t> initial;
  SourceLocation location;
};

struct Register {
  std::string name;
  ScalarType type = ScalarType::None;
};

/// Where .loc says that an instruction comes from: `file` is a key of
/// ModuleData::files; line 0 means unknown.
struct SourcePlace {
  uint32_t file = 0;
  uint32_t line = 0;
  uint32_t column = 0;
  /// Where it was inlined: 1 + index in ModuleData::callers, 0 for nowhere.
  uint32_t caller = 0;
};

struct OperandSyntax {
  enum Kind : uint8_t {
    RegisterName, ///< `index`, `text`: a part of it, "b0"
    Immediate,    ///< `value`, two's complement
    Float32Bits,
    Float64Bits,
    Label,   ///< `index`: instruction
    Address, ///< `space`, `value`: a variable plus an offset; see `index`
    Symbol,  ///< `text`: a name that is none of these
    Special, ///< `text`: "%tid.x"
    Vector,  ///< `parts`
    Memory,  ///< [parts[0] + value], or [parts[0] + value, parts[1]]
    Sink,    ///< "_"
    List     ///< ( ... ) of a call
  };
  Kind kind = Immediate;
  bool negated = false; ///< "!p" or "-r"
  Space space = Space::Generic;
  /// The address counts from the start of dynamic shared memory.
  bool isDynamicShared = false;
  /// Beside the above: of an Address in local or shared memory the variable,
  /// until calls are inlined and `value` counts from the start of the space.
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
  SourcePlace source;
  std::string shown; ///< The opcode of the text if another one stands for it.

  std::string opcode() const;
};

/// A parameter or result of a device function.
struct Formal {
  bool isRegister = false;
  int32_t index = -1; ///< In `registers` or `locals` of the function.
  ScalarType type = ScalarType::None;
  uint64_t size = 0;
  bool isArray = false;
};

struct FunctionSyntax {
  KernelInfo info; ///< Of a device function only the name.
  bool isEntry = false;
  bool hasBody = false;
  SourceLocation location;
  std::vector<Formal> results, arguments; ///< Of a device function.
  std::vector<Register> registers;
  std::vector<InstructionSyntax> body;
  /// Variables of .local memory, and those of .param memory in bodies and
  /// headers of device functions, which live there too.
  std::vector<Variable> locals;
  /// Entries of ModuleData::shared that the function declares or names.
  std::vector<uint32_t> shared;
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
  std::vector<Variable> shared; ///< Of the module and of all functions.
  std::vector<uint8_t> constantBytes;
  uint64_t globalBase = 0;
  uint64_t globalBytes = 0;
  std::map<uint32_t, std::string> files; ///< By the number of .file.
  /// Places of calls that were inlined, each before what is inlined there.
  std::vector<SourcePlace> callers;
  std::map<std::string, std::string, std::less<>> aliases;
  /// Declared device functions, numbered.
  std::map<std::string, uint32_t, std::less<>> functionNames;
  /// By name, the device function that is called: an index into what
  /// `parsePTX` makes. The definition if there is one.
  std::map<std::string, uint32_t, std::less<>> functions;
  unsigned versionNumber = 0; ///< 78 for 7.8.
  unsigned targetNumber = 0;  ///< 900 for sm_90, 901 for sm_90a.
};

/// Parses `text` into `module` and `functions`: entries, device functions and
/// declarations, in the order of the text.
bool parsePTX(std::string_view text, ModuleData &module,
              std::vector<FunctionSyntax> &functions, Error &error);

} // namespace ropewalk::emulator

#endif // ROPEWALK_LIB_EMULATOR_SYNTAX_H
