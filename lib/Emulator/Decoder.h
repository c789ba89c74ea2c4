//===- Decoder.h - From syntax to decoded code ------------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A table maps each opcode to the function that decodes it and chooses its
// handler. Modifiers are consumed in the order of the text; one that is left
// over is an error, so nothing is ever ignored. The table exists once for each
// instruction set of the host (see Lanes.h).
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_LIB_EMULATOR_DECODER_H
#define ROPEWALK_LIB_EMULATOR_DECODER_H

#include "Program.h"

#include <initializer_list>
#include <map>

namespace ropewalk::emulator {

class FunctionDecoder;

/// Decodes one instruction. Every accessor that fails has set the error.
class InstDecoder {
public:
  InstDecoder(FunctionDecoder &parent, const InstructionSyntax &syntax)
      : parent(parent), syntax(syntax) {}

  // Modifiers, in order.
  bool take(const char *modifier);
  /// Takes any one of the modifiers; -1 if none is next.
  int takeOneOf(std::initializer_list<const char *> modifiers);
  /// The next modifier as a type; None if it is none.
  ScalarType takeType();
  /// Takes a type that must be one of `allowed`.
  bool requireType(ScalarType &type, std::initializer_list<ScalarType> allowed);
  /// The last modifier that is a type; None if there is none.
  ScalarType lastType() const;
  /// Checks that no modifier is left and that there are `least` to `most`
  /// operands (`most` = 0: exactly `least`).
  bool finish(unsigned least, unsigned most = 0);
  /// The next modifier, or one further on; an empty text if there is none.
  const std::string &peek(size_t ahead = 0) const;

  // Operands.
  unsigned operandCount() const;
  const OperandSyntax &operand(unsigned index) const;
  bool isRegister(unsigned index) const;
  bool isSink(unsigned index) const;
  bool isVector(unsigned index) const;
  /// Bytes of the register; 0 for predicates and other operands.
  uint32_t registerBytes(const OperandSyntax &operand) const;
  bool isPredicate(const OperandSyntax &operand) const;
  /// A source of exactly the size of `type`.
  bool source(const OperandSyntax &operand, ScalarType type, Ref &ref);
  bool source(unsigned index, ScalarType type, Ref &ref);
  /// A source whose register may be wider than `type`; sets the bytes of a
  /// lane in its row.
  bool wideSource(const OperandSyntax &operand, ScalarType type, Ref &ref,
                  uint32_t &bytes);
  bool destination(const OperandSyntax &operand, ScalarType type, Ref &ref);
  bool destination(unsigned index, ScalarType type, Ref &ref);
  bool wideDestination(const OperandSyntax &operand, ScalarType type, Ref &ref,
                       uint32_t &bytes);
  bool predicateSource(unsigned index, Ref &ref, bool &negated);
  bool predicateDestination(const OperandSyntax &operand, Ref &ref);
  /// The "q" of "p|q"; NoRow if there is none or a sink.
  bool pairDestination(const OperandSyntax &operand, Ref &ref);
  bool label(unsigned index, int32_t &target);
  bool targetList(unsigned index, std::vector<uint32_t> &targets);
  bool immediate(unsigned index, int64_t &value);
  /// Base register or constant of an address, as a row of `bytes` a lane, and
  /// displacement.
  bool address(unsigned index, Space space, Ref &ref, uint32_t &bytes,
               int64_t &offset);
  Ref constant(uint64_t bits, uint32_t bytes);
  /// Appends to the operands of `inst` in Program::operands. All calls for one
  /// instruction must follow each other.
  void addExtra(Inst &inst, Ref ref);
  /// Requires a vector of exactly `count` registers of the size of `type` and
  /// appends them with addExtra, as sources or destinations.
  bool vectorSource(unsigned index, ScalarType type, unsigned count,
                    Inst &inst);
  bool vectorDestination(unsigned index, ScalarType type, unsigned count,
                         Inst &inst);

  bool fail(const std::string &message);
  bool failAt(const OperandSyntax &operand, const std::string &message);
  bool unsupported(const std::string &what);

  const std::string &base() const { return syntax.base; }
  Program &program();
  const ModuleData &module() const;

private:
  /// The parts of a vector, each made a Ref by `resolve`, go to addExtra.
  template <class Resolve>
  bool vectorOperand(unsigned index, unsigned count, Inst &inst,
                     Resolve resolve);

  /// The row of a special register that a block sets up at its start.
  Ref special(SpecialRegister value);

  FunctionDecoder &parent;
  const InstructionSyntax &syntax;
  size_t cursor = 0;
};

using InstFunction = bool (*)(InstDecoder &decoder, Inst &inst);
using OpcodeTable = std::map<std::string, InstFunction, std::less<>>;

/// The table for this host; null if the host lacks what the library needs, and
/// then `reason` says what.
const OpcodeTable *opcodeTable(std::string &reason);

class FunctionDecoder {
public:
  FunctionDecoder(const FunctionSyntax &function, const ModuleData &module,
                  const OpcodeTable &table, Program &program, Error &error)
      : function(function), module(module), table(table), program(program),
        error(error) {}

  bool run();

private:
  friend class InstDecoder;

  /// A row for each register.
  bool layoutRegisters();
  /// Starts the program anew, with rows that registers share.
  void shareRows();
  bool decodeAll();
  void read(int32_t index);
  void write(int32_t index);
  bool decode(const InstructionSyntax &syntax, uint32_t id);

  const FunctionSyntax &function;
  const ModuleData &module;
  const OpcodeTable &table;
  Program &program;
  Error &error;
  std::vector<uint32_t> rows; ///< By register.
  std::map<std::pair<uint64_t, uint32_t>, uint32_t> constants;
  std::map<SpecialRegister, uint32_t> specials;
  std::vector<std::vector<uint32_t>> reads, writes; ///< By instruction.
  size_t targetCount = 0;                           ///< Of indexed branches.
};

} // namespace ropewalk::emulator

#endif // ROPEWALK_LIB_EMULATOR_DECODER_H
