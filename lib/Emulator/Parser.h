//===- Parser.h - The PTX parser --------------------------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Recursive descent over the tokens. Names are resolved while reading, as PTX
// demands declaration before use; labels are resolved at the end of a function,
// and places in shared and local memory once calls are inlined: module-scope
// shared variables take space only in kernels that name them.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_LIB_EMULATOR_PARSER_H
#define ROPEWALK_LIB_EMULATOR_PARSER_H

#include "Lexer.h"
#include "Syntax.h"

#include <array>
#include <map>
#include <optional>
#include <set>
#include <unordered_map>

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
    enum { Register, Vector, Address } kind = Register;
    int32_t index = -1; ///< Register, or variable of the function or module.
    uint32_t count = 1; ///< Registers of a vector.
    Space space = Space::Generic;
    uint64_t offset = 0;
    bool isDynamicShared = false;
    /// A .param variable of a body or device function, in .local memory here.
    bool isParameter = false;
    bool isExternal = false;       ///< Without a definition.
    std::vector<uint64_t> strides; ///< Bytes, by index of the array.
  };
  /// A number in the source, with the type that PTX gives it.
  struct Constant {
    enum { Signed, Unsigned, Single, Double } kind = Signed;
    uint64_t bits = 0;

    bool isFloat() const { return kind >= Single; }
    double number() const;
  };
  struct Scope {
    std::map<std::string, Name, std::less<>> names;
    /// Families "%r<100>" by prefix. Registers are made when they are first
    /// named: a declaration costs nothing.
    struct Family {
      uint64_t count;
      ScalarType type;
      std::unordered_map<uint64_t, int32_t> registers;
    };
    std::map<std::string, Family, std::less<>> families;
    /// Whether the name is one of a family.
    bool isMember(std::string_view text) const;
    std::map<std::string, uint32_t, std::less<>> labels;
    std::map<std::string, uint32_t, std::less<>> targetLists;
    int parent = -1;
    int depth = 0;
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
  /// Checks that the module's target and version have the directive or type.
  bool requireDirective(const Token &token);
  bool parseFile();
  bool parseAlias();
  bool parsePragma();
  bool skipDebugSection();
  bool skipBraces();
  bool parseModuleVariables(Space space, bool isExternal);
  bool addModuleVariable(Variable variable);
  void resolveAddresses();

  // Headers of functions (ParserFunction.cpp).
  bool parseFunction(bool isEntry, bool isExternal);
  bool parseParameters(FunctionSyntax &function);
  bool parseFormals(FunctionSyntax &function, std::vector<Formal> &formals);
  bool parseFormal(FunctionSyntax &function, std::vector<Formal> &formals);
  bool parseFunctionDirectives(FunctionSyntax &function);
  bool parseBounds(Dim3 &bounds);

  // Variables (ParserVariables.cpp).
  bool parseVariable(Space space, bool isExternal, Variable &variable);
  bool parseVariableType(Variable &variable);
  bool parseDeclarator(Variable &variable);
  bool parseAttributes();
  bool parseInitializer(Variable &variable);
  bool parseInitialValue(Variable &variable,
                         const std::vector<uint64_t> &extents, size_t level,
                         uint64_t &offset);
  bool parseInitialElement(Variable &variable, uint64_t offset);
  bool parseInitialAddress(Variable &variable, uint64_t offset, unsigned shift);
  bool parsePositive(uint64_t &value, uint64_t limit, const char *what);
  bool parseAlignment(uint32_t &alignment);

  // Constant expressions (ParserExpression.cpp).
  bool startsExpression() const;
  bool parseExpression(Constant &value, int least = 0);
  bool parseUnary(Constant &value);
  bool parsePrimary(Constant &value);
  int precedence(std::string &symbol) const;
  bool applyOperator(const Token &at, const std::string &symbol, Constant &left,
                     const Constant &right);

  // Bodies (ParserBody.cpp).
  bool parseBody(FunctionSyntax &function);
  bool parseLabel();
  bool parseBodyDirective();
  bool parseBodyVariables(Space space, bool isParameter);
  bool parseLocation(const Token &token);
  bool parseRegisters();
  bool addName(const std::string &text, Name name, SourceLocation location);
  bool parseInstruction();
  bool finishInstruction(InstructionSyntax &instruction);
  bool resolveLabels();
  bool resolveLabels(OperandSyntax &operand);
  std::optional<uint32_t> lookupLabel(std::string_view text, int scope) const;

  // Operands (ParserOperands.cpp).
  bool parseOperand(OperandSyntax &operand);
  bool parseAddressOperand(OperandSyntax &operand);
  bool parsePair(OperandSyntax &operand);
  bool parseName(OperandSyntax &operand);
  bool parseComponent(const Name &name, OperandSyntax &operand);
  bool parseElement(const Name &name, OperandSyntax &operand);
  bool parseOffset(int64_t &value);
  void useAddress(const Name &name, OperandSyntax &operand);
  std::optional<Name> lookup(std::string_view text);
  int32_t lookupRegister(std::string_view text);

  std::vector<Token> tokens;
  size_t position = 0;
  ModuleData &module;
  std::vector<FunctionSyntax> &functions;
  Error &error;

  FunctionSyntax *function = nullptr;
  std::vector<Scope> scopes;
  int scope = -1;
  std::map<std::string, Name, std::less<>> moduleNames;
  std::set<std::string> defined; ///< Functions with a body.
  uint64_t initialBytes = 0;     ///< Of the initial values so far.
  /// Addresses inside of initial values, which are known at the end: `bytes`
  /// of the value shifted right by `shift`.
  struct PendingAddress {
    bool inConstants;
    uint32_t variable; ///< In ModuleData::globals or ::constants.
    uint64_t position;
    uint64_t value;
    bool isGlobal; ///< The value counts from the start of global variables.
    uint8_t bytes, shift;
  };
  std::vector<PendingAddress> pendingAddresses, variableAddresses;
  std::vector<std::pair<uint32_t, std::vector<std::pair<std::string, int>>>>
      pendingTargets;
  SourcePlace source; ///< Of the last .loc.
  using PlaceKey = std::array<uint32_t, 4>;
  /// By file, line and column, the caller of the last .loc that names them.
  std::map<PlaceKey, uint32_t> callerOfPlace;
  std::map<PlaceKey, uint32_t> callerIndex; ///< By the members of the caller.
  int nesting = 0;
  bool inCall = false; ///< Parentheses list arguments.
  /// What the operands of the current instruction name.
  bool namesParameter = false, namesElement = false;
};

} // namespace ropewalk::emulator

#endif // ROPEWALK_LIB_EMULATOR_PARSER_H
