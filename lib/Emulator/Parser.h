//===- Parser.h - The PTX parser --------------------------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Recursive descent over the tokens. Names are resolved while reading, as PTX
// demands declaration before use; labels are resolved at the end of a function.
// Module-scope shared variables take space only in kernels that name them.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_LIB_EMULATOR_PARSER_H
#define ROPEWALK_LIB_EMULATOR_PARSER_H

#include "Lexer.h"
#include "Syntax.h"

#include <map>
#include <optional>

namespace ropewalk::emulator {

class Parser {
public:
  Parser(std::vector<Token> tokens, ModuleData &module,
         std::vector<FunctionSyntax> &functions, Error &error)
      : tokens(std::move(tokens)), module(module), functions(functions),
        error(error) {}

  bool parseModule();

private:
  /// What a name stands for inside a function.
  struct Name {
    enum { Register, Address } kind = Register;
    int32_t index = -1;
    Space space = Space::Generic;
    uint64_t offset = 0;
    bool isDynamicShared = false;
  };
  struct Scope {
    std::map<std::string, Name, std::less<>> names;
    /// Families "%r<100>": prefix to (first register, count, type).
    struct Family {
      int32_t first;
      uint64_t count;
    };
    std::map<std::string, Family, std::less<>> families;
    std::map<std::string, uint32_t, std::less<>> labels;
    std::map<std::string, uint32_t, std::less<>> targetLists;
    int parent = -1;
  };

  // Tokens.
  const Token &peek(size_t ahead = 0) const {
    return tokens[std::min(position + ahead, tokens.size() - 1)];
  }
  const Token &next() { return tokens[advance()]; }
  size_t advance() {
    size_t current = position;
    if (position + 1 < tokens.size())
      ++position;
    return current;
  }
  bool consume(char c) {
    if (!peek().is(c))
      return false;
    advance();
    return true;
  }
  bool expect(char c, const char *where);
  bool fail(const Token &token, std::string message);
  bool failAt(SourceLocation location, std::string message);
  static std::string describe(const Token &token);

  // Module scope (Parser.cpp).
  bool parseDirective();
  bool parseTarget();
  bool skipDebugSection();
  bool skipBraces();
  bool parseFunction(bool isEntry, bool isExternal);
  bool parseParameters(FunctionSyntax &function);
  bool parseBounds(Dim3 &bounds);
  bool parseModuleVariable(Space space, bool isExternal);

  // Variables (ParserVariables.cpp).
  bool parseVariable(Space space, bool isExternal, Variable &variable);
  bool parseInitializer(Variable &variable);
  bool parseInitialValue(Variable &variable, uint64_t &position);
  bool parseConstant(ScalarType type, uint64_t &bits);
  bool parsePositive(uint64_t &value, uint64_t limit, const char *what);
  bool parseAlignment(uint32_t &alignment);

  // Bodies (ParserBody.cpp).
  bool parseBody(FunctionSyntax &function);
  bool parseBodyDirective();
  bool parseRegisters();
  bool parseInstruction();
  bool parseOperand(OperandSyntax &operand);
  bool parseAddressOperand(OperandSyntax &operand);
  bool parsePair(OperandSyntax &operand);
  bool parseName(OperandSyntax &operand);
  bool parseOffset(int64_t &value);
  bool resolveLabels();
  bool resolveLabels(OperandSyntax &operand);
  std::optional<Name> lookup(std::string_view text);
  int32_t lookupRegister(std::string_view text);
  std::optional<uint32_t> lookupLabel(std::string_view text, int scope) const;

  std::vector<Token> tokens;
  size_t position = 0;
  ModuleData &module;
  std::vector<FunctionSyntax> &functions;
  Error &error;

  FunctionSyntax *function = nullptr;
  std::vector<Scope> scopes;
  int scope = -1;
  std::map<std::string, Name, std::less<>> moduleNames;
  /// Module-scope shared variables by name; used ones move to a function.
  std::map<std::string, Variable, std::less<>> moduleShared;
  std::vector<std::pair<uint32_t, std::vector<std::pair<std::string, int>>>>
      pendingTargets;
  int nesting = 0;
};

} // namespace ropewalk::emulator

#endif // ROPEWALK_LIB_EMULATOR_PARSER_H
