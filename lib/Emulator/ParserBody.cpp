//===- ParserBody.cpp - The PTX parser: bodies of functions -----*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Registers, local and shared variables, labels, instructions and operands.
// Braces inside a body open a scope of their own for all of these names.
//
//===----------------------------------------------------------------------===//

#include "Parser.h"

#include <charconv>

using namespace ropewalk::emulator;

bool Parser::parseBody(FunctionSyntax &target) {
  function = &target;
  scopes.clear();
  pendingTargets.clear();
  next(); // '{'
  scopes.emplace_back();
  scope = 0;
  Scope &top = scopes[0];
  for (const Parameter &parameter : target.info.parameters) {
    Name entry;
    entry.kind = Name::Address;
    entry.space = Space::Param;
    entry.offset = parameter.offset;
    top.names[parameter.name] = entry;
  }
  while (scope >= 0) {
    const Token token = peek();
    if (token.kind == TokenKind::End)
      return fail(token, "body of '" + target.info.name + "' is not closed");
    if (consume('{')) {
      if (scopes.size() > 100000)
        return fail(token, "too many scopes");
      scopes.emplace_back().parent = scope;
      scope = int(scopes.size()) - 1;
    } else if (consume('}')) {
      scope = scopes[scope].parent;
    } else if (consume(';')) {
      continue;
    } else if (token.kind == TokenKind::Dot) {
      if (!parseBodyDirective())
        return false;
    } else if (token.kind == TokenKind::Identifier && peek(1).is(':')) {
      next();
      next();
      if (peek().isDot("branchtargets")) {
        next();
        std::vector<std::pair<std::string, int>> labels;
        do {
          const Token &label = next();
          if (label.kind != TokenKind::Identifier)
            return fail(label, "expected a label, found " + describe(label));
          labels.push_back({std::string(label.text), scope});
        } while (consume(','));
        if (!expect(';', "after '.branchtargets'"))
          return false;
        uint32_t index = uint32_t(pendingTargets.size());
        scopes[scope].targetLists[std::string(token.text)] = index;
        pendingTargets.push_back({token.location.line, std::move(labels)});
      } else if (!scopes[scope]
                      .labels
                      .insert({std::string(token.text),
                               uint32_t(target.body.size())})
                      .second) {
        return fail(token, "label " + describe(token) + " is defined twice");
      }
    } else if (!parseInstruction()) {
      return false;
    }
  }
  return resolveLabels();
}

bool Parser::parseBodyDirective() {
  const Token token = next();
  if (token.isDot("reg"))
    return parseRegisters();
  if (token.isDot("loc")) {
    // .loc file line column [, function_name label, inlined_at ...]
    for (int i = 0; i < 3; ++i)
      if (next().kind != TokenKind::Integer)
        return fail(token, "expected three numbers after '.loc'");
    while (consume(',')) {
      next();
      while (peek().kind != TokenKind::End && !peek().is(',') &&
             peek().location.line == token.location.line)
        next();
    }
    return true;
  }
  if (token.isDot("pragma")) {
    while (peek().kind == TokenKind::String || peek().is(','))
      next();
    return expect(';', "after '.pragma'");
  }
  if (token.isDot("shared") || token.isDot("local")) {
    bool isShared = token.isDot("shared");
    Variable variable;
    if (!parseVariable(isShared ? Space::Shared : Space::Local, false,
                       variable))
      return false;
    uint32_t &end =
        isShared ? function->info.staticSharedBytes : function->info.localBytes;
    uint64_t offset = (uint64_t(end) + variable.alignment - 1) /
                      variable.alignment * variable.alignment;
    // What the hardware addresses; 1 MiB leaves room for any shared memory.
    uint64_t limit = isShared ? 1 << 20 : 1 << 19;
    if (variable.size > limit || offset + variable.size > limit)
      return failAt(variable.location, std::string(".") + name(variable.space) +
                                           " variables take more than " +
                                           std::to_string(limit) + " bytes");
    end = uint32_t(offset + variable.size);
    Name entry;
    entry.kind = Name::Address;
    entry.space = variable.space;
    entry.offset = offset;
    if (!scopes[scope].names.insert({variable.name, entry}).second)
      return failAt(variable.location,
                    "'" + variable.name + "' is declared twice");
    return expect(';', "after a variable");
  }
  if (token.isDot("param"))
    return fail(token, "'.param' in a function: calls of device functions are "
                       "not supported");
  return fail(token,
              "unsupported directive " + describe(token) + " in a function");
}

bool Parser::parseRegisters() {
  const Token typeToken = next();
  ScalarType type = typeToken.kind == TokenKind::Dot
                        ? scalarType(typeToken.text)
                        : ScalarType::None;
  if (type == ScalarType::None)
    return fail(typeToken, "unsupported register type " + describe(typeToken));
  Scope &target = scopes[scope];
  do {
    const Token nameToken = next();
    if (nameToken.kind != TokenKind::Identifier)
      return fail(nameToken, "expected the name of a register, found " +
                                 describe(nameToken));
    std::string text(nameToken.text);
    uint64_t count = 1;
    bool isFamily = consume('<');
    if (isFamily) {
      if (!parsePositive(count, 1 << 20, "a number of registers") ||
          !expect('>', "after a number of registers"))
        return false;
    }
    if (function->registers.size() + count > (1 << 21))
      return fail(nameToken, "too many registers");
    int32_t first = int32_t(function->registers.size());
    if (target.names.count(text) || target.families.count(text))
      return fail(nameToken, "'" + text + "' is declared twice");
    if (isFamily) {
      target.families[text] = {first, count};
      for (uint64_t i = 0; i < count; ++i)
        function->registers.push_back({text + std::to_string(i), type});
    } else {
      Name entry;
      entry.kind = Name::Register;
      entry.index = first;
      target.names[text] = entry;
      function->registers.push_back({text, type});
    }
  } while (consume(','));
  return expect(';', "after registers");
}

std::optional<Parser::Name> Parser::lookup(std::string_view text) {
  // "%r12" splits into the family "%r" and the number 12.
  size_t digits = text.size();
  while (digits > 0 && text[digits - 1] >= '0' && text[digits - 1] <= '9')
    --digits;
  uint64_t number = 0;
  bool hasNumber =
      digits < text.size() &&
      std::from_chars(text.data() + digits, text.data() + text.size(), number)
              .ec == std::errc() &&
      (text[digits] != '0' || digits + 1 == text.size());
  for (int i = scope; i >= 0; i = scopes[i].parent) {
    if (auto found = scopes[i].names.find(text); found != scopes[i].names.end())
      return found->second;
    if (!hasNumber)
      continue;
    auto family = scopes[i].families.find(text.substr(0, digits));
    if (family != scopes[i].families.end() && number < family->second.count) {
      Name entry;
      entry.index = family->second.first + int32_t(number);
      return entry;
    }
  }
  if (auto found = moduleNames.find(text); found != moduleNames.end())
    return found->second;
  auto shared = moduleShared.find(text);
  if (shared == moduleShared.end())
    return std::nullopt;
  const Variable &variable = shared->second;
  Name entry;
  entry.kind = Name::Address;
  entry.space = Space::Shared;
  if (variable.size == 0) {
    entry.isDynamicShared = true;
    function->info.usesDynamicShared = true;
    function->dynamicSharedAlignment =
        std::max(function->dynamicSharedAlignment, variable.alignment);
  } else {
    uint64_t offset =
        (function->info.staticSharedBytes + uint64_t(variable.alignment) - 1) /
        variable.alignment * variable.alignment;
    if (variable.size > (1 << 20) || offset + variable.size > (1 << 20)) {
      error = {".shared variables take more than 1048576 bytes",
               variable.location};
      return std::nullopt;
    }
    entry.offset = offset;
    function->info.staticSharedBytes = uint32_t(offset + variable.size);
    scopes[0].names[variable.name] = entry;
  }
  return entry;
}

int32_t Parser::lookupRegister(std::string_view text) {
  auto found = lookup(text);
  return found && found->kind == Name::Register ? found->index : -1;
}

bool Parser::parseOffset(int64_t &value) {
  while (peek().is('+') || peek().is('-')) {
    bool isNegative = next().is('-');
    isNegative ^= consume('-');
    const Token &token = next();
    if (token.kind != TokenKind::Integer)
      return fail(token,
                  "expected an integer offset, found " + describe(token));
    value = int64_t(isNegative ? uint64_t(value) - token.value
                               : uint64_t(value) + token.value);
  }
  return true;
}

bool Parser::parsePair(OperandSyntax &operand) {
  if (!consume('|'))
    return true;
  const Token second = next();
  bool isName = second.kind == TokenKind::Identifier;
  operand.pairIndex = isName && second.text == "_"
                          ? -2
                          : lookupRegister(isName ? second.text : "");
  if (operand.pairIndex == -1)
    return fail(second,
                "expected a register after '|', found " + describe(second));
  return true;
}

bool Parser::parseName(OperandSyntax &operand) {
  const Token token = next();
  std::string text(token.text);
  if (text == "_") {
    operand.kind = OperandSyntax::Sink;
    return parsePair(operand);
  }
  auto found = lookup(text);
  if (found && found->kind == Name::Address) {
    operand.kind = OperandSyntax::Address;
    operand.space = found->space;
    operand.isDynamicShared = found->isDynamicShared;
    operand.value = int64_t(found->offset);
    operand.text = text;
    return parseOffset(operand.value);
  }
  if (found) {
    operand.kind = OperandSyntax::RegisterName;
    operand.index = found->index;
    if (peek().kind == TokenKind::Dot)
      return fail(peek(), "components of vector registers are not supported");
    return parsePair(operand);
  }
  if (text[0] == '%') {
    operand.kind = OperandSyntax::Special;
    if (peek().kind == TokenKind::Dot)
      text += "." + std::string(next().text);
  } else {
    operand.kind = OperandSyntax::Symbol;
    operand.index = scope;
  }
  operand.text = text;
  return true;
}

bool Parser::parseAddressOperand(OperandSyntax &operand) {
  operand.kind = OperandSyntax::Memory;
  OperandSyntax base;
  base.location = peek().location;
  if (peek().kind == TokenKind::Identifier) {
    if (!parseName(base))
      return false;
    if (base.kind != OperandSyntax::RegisterName &&
        base.kind != OperandSyntax::Address)
      return failAt(base.location,
                    "unknown name '" + base.text + "' in an address");
    if (base.kind == OperandSyntax::RegisterName && !parseOffset(operand.value))
      return false;
  } else {
    uint64_t bits = 0;
    if (!parseConstant(ScalarType::U64, bits))
      return false;
    base.kind = OperandSyntax::Immediate;
    base.value = int64_t(bits);
  }
  operand.parts.push_back(std::move(base));
  return expect(']', "after an address");
}

bool Parser::parseOperand(OperandSyntax &operand) {
  const Token token = peek();
  operand.location = token.location;
  if (nesting > 16)
    return fail(token, "operand is nested too deep");
  if (consume('['))
    return parseAddressOperand(operand);
  if (token.is('{') || token.is('(')) {
    next();
    char close = token.is('{') ? '}' : ')';
    operand.kind = token.is('{') ? OperandSyntax::Vector : OperandSyntax::List;
    ++nesting;
    while (!consume(close)) {
      if (!operand.parts.empty() && !expect(',', "between operands"))
        return false;
      if (!parseOperand(operand.parts.emplace_back()))
        return false;
    }
    --nesting;
    return true;
  }
  if (consume('!')) {
    if (peek().kind != TokenKind::Identifier || !parseName(operand) ||
        operand.kind != OperandSyntax::RegisterName)
      return fail(token, "expected a predicate after '!'");
    operand.negated = true;
    return true;
  }
  if (token.kind == TokenKind::Identifier)
    return parseName(operand);
  bool isNegative = token.is('-');
  const Token &number = peek(isNegative);
  if (number.kind == TokenKind::Float32 || number.kind == TokenKind::Float64) {
    bool isSingle = number.kind == TokenKind::Float32;
    operand.kind =
        isSingle ? OperandSyntax::Float32Bits : OperandSyntax::Float64Bits;
    uint64_t sign = isSingle ? uint64_t(1) << 31 : uint64_t(1) << 63;
    operand.value = int64_t(isNegative ? number.value ^ sign : number.value);
    position += isNegative + 1;
    return true;
  }
  bool isComplement = !isNegative && token.is('~');
  const Token &integer = peek(isNegative || isComplement);
  if (integer.kind != TokenKind::Integer)
    return fail(token, "expected an operand, found " + describe(token));
  operand.kind = OperandSyntax::Immediate;
  uint64_t value = integer.value;
  operand.value = int64_t(isNegative ? -value : isComplement ? ~value : value);
  position += (isNegative || isComplement) + 1;
  return true;
}

bool Parser::parseInstruction() {
  InstructionSyntax instruction;
  nesting = 0;
  if (consume('@')) {
    instruction.guardNegated = consume('!');
    const Token guard = next();
    if (guard.kind == TokenKind::Identifier)
      instruction.guard = lookupRegister(guard.text);
    if (instruction.guard < 0 ||
        function->registers[instruction.guard].type != ScalarType::Pred)
      return fail(guard,
                  "expected a predicate after '@', found " + describe(guard));
  }
  const Token opcode = next();
  instruction.location = opcode.location;
  if (opcode.kind != TokenKind::Identifier)
    return fail(opcode, "expected an instruction, found " + describe(opcode));
  instruction.base = opcode.text;
  while (peek().kind == TokenKind::Dot)
    instruction.modifiers.emplace_back(next().text);
  while (!consume(';')) {
    if (peek().kind == TokenKind::End)
      return fail(peek(), "expected ';' after an instruction, found the end of "
                          "the text");
    if (!instruction.operands.empty() && !expect(',', "between operands"))
      return false;
    if (!parseOperand(instruction.operands.emplace_back()))
      return false;
  }
  function->body.push_back(std::move(instruction));
  return true;
}

std::optional<uint32_t> Parser::lookupLabel(std::string_view text,
                                            int from) const {
  for (int i = from; i >= 0; i = scopes[i].parent)
    if (auto found = scopes[i].labels.find(text);
        found != scopes[i].labels.end())
      return found->second;
  return std::nullopt;
}

bool Parser::resolveLabels(OperandSyntax &operand) {
  if (operand.kind != OperandSyntax::Symbol)
    return true;
  if (auto label = lookupLabel(operand.text, operand.index)) {
    operand.kind = OperandSyntax::Label;
    operand.index = int32_t(*label);
    return true;
  }
  for (int i = operand.index; i >= 0; i = scopes[i].parent)
    if (auto found = scopes[i].targetLists.find(operand.text);
        found != scopes[i].targetLists.end()) {
      operand.kind = OperandSyntax::Label;
      operand.index = -2 - int32_t(found->second);
      return true;
    }
  return true; // The decoder says what it expected instead.
}

bool Parser::resolveLabels() {
  for (InstructionSyntax &instruction : function->body)
    for (OperandSyntax &operand : instruction.operands)
      if (!resolveLabels(operand))
        return false;
  for (auto &[line, labels] : pendingTargets) {
    std::vector<uint32_t> &targets = function->branchTargets.emplace_back();
    for (auto &[text, from] : labels) {
      auto label = lookupLabel(text, from);
      if (!label)
        return failAt({line, 1}, "unknown label '" + text + "'");
      targets.push_back(*label);
    }
  }
  return true;
}
