//===- ParserOperands.cpp - The PTX parser: operands ------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Registers, constants, addresses, vectors and what names stand for.
//
//===----------------------------------------------------------------------===//

#include "Parser.h"

#include <algorithm>
#include <charconv>

using namespace ropewalk::emulator;

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
      std::vector<Register> &registers = function->registers;
      auto [place, isNew] =
          family->second.registers.insert({number, int32_t(registers.size())});
      if (isNew)
        registers.push_back({std::string(text), family->second.type});
      entry.index = place->second;
      return entry;
    }
  }
  auto found = moduleNames.find(text);
  if (found == moduleNames.end())
    return std::nullopt;
  return found->second;
}

int32_t Parser::lookupRegister(std::string_view text) {
  auto found = lookup(text);
  return found && found->kind == Name::Register ? found->index : -1;
}

bool Parser::parseOffset(int64_t &value) {
  while (peek().is('+') || peek().is('-')) {
    const Token sign = next();
    Constant term;
    if (!parseExpression(term, 11))
      return false;
    if (term.isFloat())
      return fail(sign, "expected an integer offset");
    value = int64_t(sign.is('-') ? uint64_t(value) - term.bits
                                 : uint64_t(value) + term.bits);
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

/// "v.x" of a vector register, or all of its registers.
bool Parser::parseComponent(const Name &found, OperandSyntax &operand) {
  if (peek().kind != TokenKind::Dot) {
    operand.kind = OperandSyntax::Vector;
    for (uint32_t i = 0; i < found.count; ++i) {
      OperandSyntax &part = operand.parts.emplace_back();
      part.kind = OperandSyntax::RegisterName;
      part.index = found.index + int32_t(i);
      part.location = operand.location;
    }
    return true;
  }
  const Token component = next();
  size_t index = component.text.size() == 1
                     ? std::string_view("xyzwrgba").find(component.text[0])
                     : std::string_view::npos;
  if (index == std::string_view::npos || index % 4 >= found.count)
    return fail(component, "vector of " + std::to_string(found.count) +
                               " registers has no component " +
                               describe(component));
  operand.kind = OperandSyntax::RegisterName;
  operand.index = found.index + int32_t(index % 4);
  operand.text.clear();
  return parsePair(operand);
}

/// "a[2]": adds the place of the element.
bool Parser::parseElement(const Name &found, OperandSyntax &operand) {
  size_t level = 0;
  while (consume('[')) {
    const Token at = peek();
    Constant index;
    if (level == found.strides.size())
      return fail(at, "'" + operand.text + "' has fewer indices");
    if (at.kind == TokenKind::Identifier && at.text != "WARP_SZ")
      return fail(at, "index " + describe(at) +
                          " in a register: compute the address instead");
    if (!parseExpression(index) || !expect(']', "after an index"))
      return false;
    if (index.isFloat())
      return fail(at, "expected an integer as index");
    operand.value += int64_t(index.bits * found.strides[level++]);
    namesElement = true;
  }
  return true;
}

/// Notes that the function needs the variable.
void Parser::useAddress(const Name &found, OperandSyntax &operand) {
  operand.kind = OperandSyntax::Address;
  operand.space = found.space;
  operand.isDynamicShared = found.isDynamicShared;
  operand.value = int64_t(found.offset);
  operand.index = found.index;
  if (found.isParameter)
    namesParameter = true;
  if (found.space != Space::Shared)
    return;
  std::vector<uint32_t> &used = function->shared;
  if (std::find(used.begin(), used.end(), uint32_t(found.index)) == used.end())
    used.push_back(uint32_t(found.index));
}

bool Parser::parseName(OperandSyntax &operand) {
  const Token token = next();
  std::string text(token.text);
  if (text == "_") {
    operand.kind = OperandSyntax::Sink;
    return parsePair(operand);
  }
  auto found = lookup(text);
  operand.text = text;
  if (found && found->kind == Name::Address) {
    if (found->isExternal)
      return fail(token,
                  "external variable '" + text + "' has no definition here");
    useAddress(*found, operand);
    return parseElement(*found, operand) && parseOffset(operand.value);
  }
  if (found && found->kind == Name::Vector)
    return parseComponent(*found, operand);
  if (found) {
    operand.text.clear();
    operand.kind = OperandSyntax::RegisterName;
    operand.index = found->index;
    // "r.b0", "r.h10": parts of a register, for video instructions.
    if (peek().kind == TokenKind::Dot) {
      const Token part = next();
      bool isPart =
          part.text.size() > 1 && part.text.size() < 6 &&
          (part.text[0] == 'b' || part.text[0] == 'h') &&
          part.text.find_first_not_of("01234567", 1) == std::string_view::npos;
      if (!isPart)
        return fail(part, "register " + describe(token) +
                              " is no vector and has no component " +
                              describe(part));
      operand.text = part.text;
    }
    return parsePair(operand);
  }
  if (text[0] == '%') {
    operand.kind = OperandSyntax::Special;
    if (peek().kind == TokenKind::Dot)
      operand.text += "." + std::string(next().text);
    return true;
  }
  operand.kind = OperandSyntax::Symbol;
  operand.index = scope;
  return true;
}

bool Parser::parseAddressOperand(OperandSyntax &operand) {
  operand.kind = OperandSyntax::Memory;
  OperandSyntax base;
  base.location = peek().location;
  if (peek().kind == TokenKind::Identifier && peek().text != "WARP_SZ") {
    if (!parseName(base))
      return false;
    if (base.kind != OperandSyntax::RegisterName &&
        base.kind != OperandSyntax::Address)
      return failAt(base.location,
                    "unknown name '" + base.text + "' in an address");
    if (base.kind == OperandSyntax::RegisterName && !parseOffset(operand.value))
      return false;
  } else {
    Constant value;
    if (!parseExpression(value))
      return false;
    if (value.isFloat())
      return failAt(base.location, "float constant as an address");
    base.kind = OperandSyntax::Immediate;
    base.value = int64_t(value.bits);
  }
  operand.parts.push_back(std::move(base));
  // Instructions on tensors list coordinates after the address.
  ++nesting;
  while (consume(','))
    if (!parseOperand(operand.parts.emplace_back()))
      return false;
  --nesting;
  if (!expect(']', "after an address"))
    return false;
  // All threads of the warp read the same: a hint of ld.
  if (peek().isDot("unified")) {
    operand.text = "unified";
    advance();
  }
  return true;
}

bool Parser::parseOperand(OperandSyntax &operand) {
  const Token token = peek();
  operand.location = token.location;
  if (nesting > 16)
    return fail(token, "operand is nested too deep");
  if (consume('['))
    return parseAddressOperand(operand);
  if (token.is('{') || (token.is('(') && inCall)) {
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
  if (token.is('!') && peek(1).kind == TokenKind::Identifier) {
    next();
    if (!parseName(operand) || (operand.kind != OperandSyntax::RegisterName &&
                                operand.kind != OperandSyntax::Special))
      return fail(token, "expected a predicate after '!'");
    operand.negated = true;
    return true;
  }
  if (token.is('-') && peek(1).kind == TokenKind::Identifier &&
      peek(1).text != "WARP_SZ") {
    next();
    operand.negated = true;
    if (!parseName(operand) || operand.kind != OperandSyntax::RegisterName)
      return fail(token, "expected a register after '-'");
    return true;
  }
  if (token.kind == TokenKind::Identifier && token.text != "WARP_SZ")
    return parseName(operand);
  if (!startsExpression())
    return fail(token, "expected an operand, found " + describe(token));
  Constant value;
  if (!parseExpression(value))
    return false;
  operand.kind = value.kind == Constant::Single   ? OperandSyntax::Float32Bits
                 : value.kind == Constant::Double ? OperandSyntax::Float64Bits
                                                  : OperandSyntax::Immediate;
  operand.value = int64_t(value.bits);
  return true;
}
