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

#include "Memory.h"
#include "Parser.h"

#include <bit>
#include <cstring>

using namespace ropewalk::emulator;

namespace {

/// Bytes of a module's initial values up to the last one that is given.
constexpr uint64_t MostInitial = uint64_t(1) << 30;

} // namespace

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

bool Parser::parseAttributes() {
  // (.managed) or (.unified(uuid1, uuid2)): both only tell which addresses the
  // host sees, which here are the device's own.
  if (!expect('(', "after '.attribute'"))
    return false;
  do {
    const Token &token = next();
    if (token.isDot("unified")) {
      if (!expect('(', "after '.unified'"))
        return false;
      for (int i = 0; i < 2; ++i) {
        if (const Token &part = next(); part.kind != TokenKind::Integer)
          return fail(part, "expected a number in '.unified', found " +
                                describe(part));
        if (!expect(i ? ')' : ',', "in '.unified'"))
          return false;
      }
    } else if (!token.isDot("managed")) {
      return fail(token, "unsupported variable attribute " + describe(token));
    }
  } while (consume(','));
  return expect(')', "after attributes");
}

bool Parser::parseVariable(Space space, bool isExternal, Variable &variable) {
  variable.space = space;
  variable.isExternal = isExternal;
  return parseVariableType(variable) && parseDeclarator(variable);
}

bool Parser::parseVariableType(Variable &variable) {
  uint32_t alignment = 0;
  bool isPointer = false;
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
      if (variable.space != Space::Param)
        return fail(token, "'.ptr' outside of parameters");
      isPointer = true;
    } else if (isPointer && (token.isDot("global") || token.isDot("shared") ||
                             token.isDot("const") || token.isDot("local") ||
                             token.isDot("param") || token.isDot("generic"))) {
      continue;
    } else if (token.isDot("attribute")) {
      if (!parseAttributes())
        return false;
    } else if (token.isDot("v2") || token.isDot("v4")) {
      variable.vectorLength = uint32_t(token.text[1] - '0');
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
  if (variable.type == ScalarType::None)
    return fail(peek(),
                "expected the type of a variable, found " + describe(peek()));
  variable.alignment =
      alignment ? alignment : sizeOf(variable.type) * variable.vectorLength;
  return true;
}

bool Parser::parseDeclarator(Variable &variable) {
  const Token &nameToken = next();
  if (nameToken.kind != TokenKind::Identifier)
    return fail(nameToken, "expected the name of a variable, found " +
                               describe(nameToken));
  variable.name = nameToken.text;
  variable.location = nameToken.location;
  variable.size = uint64_t(sizeOf(variable.type)) * variable.vectorLength;
  while (consume('[')) {
    uint64_t extent = 0;
    if (!peek().is(']')) {
      const Token &token = peek();
      if (token.kind == TokenKind::Integer && token.value == 0)
        next();
      else if (!parsePositive(extent, uint64_t(1) << 40, "an extent"))
        return false;
      if (extent && variable.size > (uint64_t(1) << 40) / extent)
        return fail(token, "variable '" + variable.name + "' is too large");
    } else if (!variable.extents.empty()) {
      return fail(peek(), "only the first extent may be missing");
    }
    if (variable.extents.size() == 16)
      return fail(nameToken, "array of more than 16 dimensions");
    variable.extents.push_back(extent);
    variable.size *= extent;
    if (!expect(']', "after an extent"))
      return false;
  }
  return !peek().is('=') || parseInitializer(variable);
}

bool Parser::parseInitializer(Variable &variable) {
  const Token equals = next();
  if (variable.space != Space::Global && variable.space != Space::Const)
    return fail(equals, std::string(".") + name(variable.space) +
                            " variables have no initial value");
  std::vector<uint64_t> extents = variable.extents;
  if (variable.vectorLength > 1)
    extents.push_back(variable.vectorLength);
  uint64_t offset = 0;
  bool isBraced = extents.empty() && consume('{');
  if (!parseInitialValue(variable, extents, 0, offset) ||
      (isBraced && !expect('}', "after an initial value")))
    return false;
  if (!variable.extents.empty() && variable.extents[0] == 0) {
    // The list says how long the array is.
    uint64_t stride = sizeOf(variable.type) * variable.vectorLength;
    for (size_t i = 1; i < variable.extents.size(); ++i)
      stride *= variable.extents[i];
    variable.size = offset;
    variable.extents[0] = stride ? offset / stride : 0;
  }
  return true;
}

/// Advances `offset` over the value, filled up with zeros to its full size.
bool Parser::parseInitialValue(Variable &variable,
                               const std::vector<uint64_t> &extents,
                               size_t level, uint64_t &offset) {
  uint32_t size = sizeOf(variable.type);
  if (level == extents.size()) {
    // The bytes up to the last value that is given; zeros follow.
    if (size_t before = variable.initial.size(); offset + size > before) {
      initialBytes += offset + size - before;
      if (offset > MostInitial || initialBytes > MostInitial)
        return fail(peek(), "initial values take more than " +
                                std::to_string(MostInitial) + " bytes");
      variable.initial.resize(offset + size);
    }
    if (!parseInitialElement(variable, offset))
      return false;
    offset += size;
    return true;
  }
  if (!expect('{', "before the initial value of an array"))
    return false;
  bool isOpen = extents[level] == 0 && level == 0;
  uint64_t stride = size, begin = offset;
  for (size_t i = level + 1; i < extents.size(); ++i)
    stride *= extents[i];
  for (uint64_t count = 0; !consume('}'); ++count) {
    if (count && !expect(',', "between initial values"))
      return false;
    if (peek().is('}'))
      continue;
    if (isOpen ? offset > (uint64_t(1) << 32) : count == extents[level])
      return fail(peek(), "more initial values than '" + variable.name +
                              "' has room for");
    if (!parseInitialValue(variable, extents, level + 1, offset))
      return false;
    offset = begin + (count + 1) * stride;
  }
  if (!isOpen)
    offset = begin + extents[level] * stride;
  return true;
}

bool Parser::parseInitialElement(Variable &variable, uint64_t offset) {
  const Token token = peek();
  uint32_t size = sizeOf(variable.type);
  if (token.kind == TokenKind::Identifier && token.text != "WARP_SZ") {
    if (size != 8)
      return fail(token, "address as initial value of a type of " +
                             std::to_string(size) + " bytes");
    return parseInitialAddress(variable, offset, 0);
  }
  if (token.kind == TokenKind::Integer && peek(1).is('(')) {
    // One byte of an address: 0xff00(name).
    next();
    unsigned shift = token.value ? unsigned(std::countr_zero(token.value)) : 64;
    if (size != 1 || shift > 56 || shift % 8 || token.value >> shift != 0xff)
      return fail(token, "mask of an address must select one byte of it for a "
                         "type of one byte");
    next();
    return parseInitialAddress(variable, offset, shift) &&
           expect(')', "after the address behind a mask");
  }
  nesting = 0;
  Constant value;
  if (!parseExpression(value))
    return false;
  uint64_t bits = value.bits;
  bool isFloat =
      variable.type == ScalarType::F32 || variable.type == ScalarType::F64;
  if (isFloat || value.isFloat()) {
    bool isWide = isFloat ? variable.type == ScalarType::F64 : size == 8;
    // Bits given with all their digits pass through untouched.
    if (value.kind == Constant::Single && !isWide)
      bits = value.bits;
    else if (value.kind == Constant::Double && isWide)
      bits = value.bits;
    else if (isWide)
      bits = std::bit_cast<uint64_t>(value.number());
    else
      bits = std::bit_cast<uint32_t>(float(value.number()));
    if (!isFloat && variable.type != ScalarType::B32 &&
        variable.type != ScalarType::B64)
      return fail(token,
                  std::string("float constant for a .") + name(variable.type));
  }
  std::memcpy(variable.initial.data() + offset, &bits,
              std::min<uint32_t>(size, 8));
  return true;
}

bool Parser::parseInitialAddress(Variable &variable, uint64_t offset,
                                 unsigned shift) {
  bool isGeneric = peek().text == "generic" && peek(1).is('(');
  if (isGeneric) {
    next();
    next();
  }
  const Token symbol = next();
  auto found = moduleNames.find(symbol.text);
  if (auto callee = module.functionNames.find(symbol.text);
      found == moduleNames.end() && callee != module.functionNames.end()) {
    // Tables of functions may stand in a module that never calls through them:
    // each function gets an address where nothing else is.
    uint64_t value = ParamWindow + WindowBytes + 16 * uint64_t(callee->second);
    variableAddresses.push_back({false, 0, offset, value, false,
                                 uint8_t(sizeOf(variable.type)),
                                 uint8_t(shift)});
    return !isGeneric || expect(')', "after 'generic(' and a name");
  }
  if (found == moduleNames.end() || found->second.isExternal ||
      (found->second.space != Space::Global &&
       found->second.space != Space::Const))
    return fail(symbol, "initial value names " + describe(symbol) +
                            ", which is no global or constant variable");
  int64_t addend = 0;
  if (isGeneric &&
      (!parseOffset(addend) || !expect(')', "after 'generic(' and a name")))
    return false;
  if (!parseOffset(addend))
    return false;
  bool isGlobal = found->second.space == Space::Global;
  uint64_t value = found->second.offset + uint64_t(addend);
  if (!isGlobal && isGeneric)
    value += windowOf(Space::Const);
  variableAddresses.push_back({false, 0, offset, value, isGlobal,
                               uint8_t(sizeOf(variable.type)), uint8_t(shift)});
  return true;
}

ScalarType ropewalk::emulator::scalarType(std::string_view text) {
  for (int i = int(ScalarType::Pred); i <= int(ScalarType::S16x2); ++i)
    if (text == name(ScalarType(i)))
      return ScalarType(i);
  return ScalarType::None;
}

const char *ropewalk::emulator::name(ScalarType type) {
  static const char *const names[] = {
      "none",  "pred", "b8",     "b16", "b32", "b64",   "b128", "u8",
      "u16",   "u32",  "u64",    "s8",  "s16", "s32",   "s64",  "f16",
      "f16x2", "bf16", "bf16x2", "f32", "f64", "u16x2", "s16x2"};
  return names[size_t(type)];
}

uint32_t ropewalk::emulator::sizeOf(ScalarType type) {
  static const uint8_t sizes[] = {0, 0, 1, 2, 4, 8, 16, 1, 2, 4, 8, 1,
                                  2, 4, 8, 2, 4, 2, 4,  4, 8, 4, 4};
  return sizes[size_t(type)];
}

const char *ropewalk::emulator::name(Space space) {
  static const char *const names[] = {"generic",        "global", "shared",
                                      "local",          "const",  "param",
                                      "shared::cluster"};
  return names[size_t(space)];
}

std::string InstructionSyntax::opcode() const {
  if (!shown.empty())
    return shown;
  std::string text = base;
  for (const std::string &modifier : modifiers)
    text += "." + modifier;
  return text;
}
