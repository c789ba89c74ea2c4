//===- ParserVariables.cpp - The PTX parser: variables ----------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Declarations of variables and parameters with alignment, type, extents and
// initial values.
//
//===----------------------------------------------------------------------===//

#include "Parser.h"

#include <bit>
#include <cstring>

using namespace ropewalk::emulator;

bool Parser::parsePositive(uint64_t &value, uint64_t limit, const char *what) {
  const Token &token = next();
  if (token.kind != TokenKind::Integer || token.value == 0 ||
      token.value > limit)
    return fail(token, std::string("expected ") + what + " from 1 to " +
                           std::to_string(limit) + ", found " +
                           describe(token));
  value = token.value;
  return true;
}

bool Parser::parseAlignment(uint32_t &alignment) {
  const Token at = peek();
  uint64_t value = 0;
  if (!parsePositive(value, 1 << 16, "an alignment"))
    return false;
  if (!std::has_single_bit(value))
    return fail(at, "alignment " + std::to_string(value) +
                        " is not a power of two");
  alignment = uint32_t(value);
  return true;
}

bool Parser::parseVariable(Space space, bool isExternal, Variable &variable) {
  variable.space = space;
  variable.isExternal = isExternal;
  uint32_t alignment = 0;
  bool isPointer = false;
  uint64_t vectorLength = 1;
  while (peek().kind == TokenKind::Dot) {
    const Token &token = next();
    if (token.isDot("align")) {
      // After .ptr it speaks of the memory pointed to.
      uint32_t value = 0;
      if (!parseAlignment(value))
        return false;
      if (!isPointer)
        alignment = value;
    } else if (token.isDot("ptr")) {
      if (space != Space::Param)
        return fail(token, "'.ptr' outside of parameters");
      isPointer = true;
    } else if (isPointer && (token.isDot("global") || token.isDot("shared") ||
                             token.isDot("const") || token.isDot("local"))) {
      continue;
    } else if (token.isDot("attribute")) {
      return fail(token, "variable attributes are not supported");
    } else if (token.isDot("v2") || token.isDot("v4")) {
      vectorLength = token.text[1] - '0';
    } else if (ScalarType type = scalarType(token.text);
               type != ScalarType::None && type != ScalarType::Pred) {
      if (variable.type != ScalarType::None)
        return fail(token, "second type " + describe(token) + " of a variable");
      variable.type = type;
    } else {
      return fail(token, "unsupported attribute " + describe(token) +
                             " of a variable");
    }
  }
  const Token &nameToken = next();
  if (nameToken.kind != TokenKind::Identifier)
    return fail(nameToken, "expected the name of a variable, found " +
                               describe(nameToken));
  variable.name = nameToken.text;
  variable.location = nameToken.location;
  if (variable.type == ScalarType::None)
    return fail(nameToken, "variable '" + variable.name + "' has no type");
  uint64_t element = sizeOf(variable.type) * vectorLength;
  variable.alignment = alignment ? alignment : uint32_t(element);
  variable.size = element;
  while (consume('[')) {
    if (consume(']')) {
      variable.size = 0;
      continue;
    }
    uint64_t extent = 0;
    const Token &token = peek();
    if (token.kind == TokenKind::Integer && token.value == 0) {
      next();
    } else if (!parsePositive(extent, uint64_t(1) << 40, "an extent")) {
      return false;
    }
    if (extent && variable.size > (uint64_t(1) << 40) / extent)
      return fail(token, "variable '" + variable.name + "' is too large");
    variable.size *= extent;
    if (!expect(']', "after an extent"))
      return false;
  }
  if (peek().is('='))
    return parseInitializer(variable);
  return true;
}

bool Parser::parseInitializer(Variable &variable) {
  const Token equals = next();
  if (variable.space != Space::Global && variable.space != Space::Const)
    return fail(equals, std::string(".") + name(variable.space) +
                            " variables have no initial value");
  if (variable.size > (uint64_t(1) << 32))
    return fail(equals, "initial value of more than 4 GiB");
  variable.initial.assign(variable.size, 0);
  uint64_t offset = 0;
  nesting = 0;
  return parseInitialValue(variable, offset);
}

bool Parser::parseInitialValue(Variable &variable, uint64_t &offset) {
  const Token token = peek();
  if (consume('{')) {
    if (++nesting > 8)
      return fail(token, "initial value is nested too deep");
    while (!consume('}')) {
      if (!parseInitialValue(variable, offset))
        return false;
      if (!peek().is('}') && !expect(',', "between initial values"))
        return false;
    }
    --nesting;
    return true;
  }
  uint32_t size = sizeOf(variable.type);
  if (offset + size > variable.initial.size())
    return fail(token, "more initial values than '" + variable.name +
                           "' has room for");
  bool isGeneric = token.kind == TokenKind::Identifier &&
                   token.text == "generic" && peek(1).is('(');
  if (token.kind == TokenKind::Identifier) {
    if (size != 8)
      return fail(token, "address as initial value of a type of " +
                             std::to_string(size) + " bytes");
    if (isGeneric) {
      next();
      next();
    }
    const Token symbol = next();
    auto found = moduleNames.find(symbol.text);
    if (found == moduleNames.end() || found->second.space != Space::Global)
      return fail(symbol, "initial value names " + describe(symbol) +
                              ", which is no global variable");
    if (isGeneric && !expect(')', "after 'generic(' and a name"))
      return false;
    int64_t addend = 0;
    if (!parseOffset(addend))
      return false;
    variable.addresses.push_back({offset, std::string(symbol.text),
                                  found->second.offset + uint64_t(addend),
                                  isGeneric, symbol.location});
    offset += 8;
    return true;
  }
  uint64_t bits = 0;
  if (!parseConstant(variable.type, bits))
    return false;
  std::memcpy(variable.initial.data() + offset, &bits,
              std::min<uint32_t>(size, 8));
  offset += size;
  return true;
}

bool Parser::parseConstant(ScalarType type, uint64_t &bits) {
  bool isNegative = consume('-');
  const Token &token = next();
  bool wantsDouble = type == ScalarType::F64 || type == ScalarType::B64;
  bool isFloatType = type == ScalarType::F32 || type == ScalarType::F64;
  switch (token.kind) {
  case TokenKind::Integer:
    bits = isNegative ? -token.value : token.value;
    if (isFloatType) {
      double number = double(int64_t(bits));
      bits = type == ScalarType::F64 ? std::bit_cast<uint64_t>(number)
                                     : std::bit_cast<uint32_t>(float(number));
    }
    return true;
  case TokenKind::Float32: {
    float number = std::bit_cast<float>(uint32_t(token.value));
    number = isNegative ? -number : number;
    bits = wantsDouble && isFloatType ? std::bit_cast<uint64_t>(double(number))
                                      : std::bit_cast<uint32_t>(number);
    return true;
  }
  case TokenKind::Float64: {
    double number = std::bit_cast<double>(token.value);
    number = isNegative ? -number : number;
    bits = wantsDouble ? std::bit_cast<uint64_t>(number)
                       : std::bit_cast<uint32_t>(float(number));
    return true;
  }
  default:
    return fail(token, "expected a constant, found " + describe(token));
  }
}

ScalarType ropewalk::emulator::scalarType(std::string_view text) {
  for (int i = int(ScalarType::Pred); i <= int(ScalarType::F64); ++i)
    if (text == name(ScalarType(i)))
      return ScalarType(i);
  return ScalarType::None;
}

const char *ropewalk::emulator::name(ScalarType type) {
  static const char *const names[] = {
      "none", "pred", "b8",    "b16",  "b32",    "b64", "b128",
      "u8",   "u16",  "u32",   "u64",  "s8",     "s16", "s32",
      "s64",  "f16",  "f16x2", "bf16", "bf16x2", "f32", "f64"};
  return names[size_t(type)];
}

uint32_t ropewalk::emulator::sizeOf(ScalarType type) {
  static const uint8_t sizes[] = {0, 0, 1, 2, 4, 8, 16, 1, 2, 4, 8,
                                  1, 2, 4, 8, 2, 4, 2,  4, 4, 8};
  return sizes[size_t(type)];
}

const char *ropewalk::emulator::name(Space space) {
  static const char *const names[] = {"generic", "global", "shared",
                                      "local",   "const",  "param"};
  return names[size_t(space)];
}

std::string InstructionSyntax::opcode() const {
  std::string text = base;
  for (const std::string &modifier : modifiers)
    text += "." + modifier;
  return text;
}
