//===- ParserExpression.cpp - The PTX parser: constants ---------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Constant expressions by precedence climbing, with C's operators. Integers
// have 64 bits, signed unless they say otherwise or do not fit; every operator
// but a shift is unsigned if one of its operands is; comparisons give signed 0
// or 1; an operation on floats is done in double.
//
//===----------------------------------------------------------------------===//

#include "Parser.h"

#include <bit>

using namespace ropewalk::emulator;

double Parser::Constant::number() const {
  switch (kind) {
  case Signed:
    return double(int64_t(bits));
  case Unsigned:
    return double(bits);
  case Single:
    return double(std::bit_cast<float>(uint32_t(bits)));
  default:
    return std::bit_cast<double>(bits);
  }
}

bool Parser::startsExpression() const {
  const Token &token = peek();
  return token.kind == TokenKind::Integer || token.kind == TokenKind::Float32 ||
         token.kind == TokenKind::Float64 || token.is('-') || token.is('+') ||
         token.is('~') || token.is('!') || token.is('(') ||
         (token.kind == TokenKind::Identifier && token.text == "WARP_SZ");
}

bool Parser::parsePrimary(Constant &value) {
  const Token token = next();
  switch (token.kind) {
  case TokenKind::Integer:
    value.bits = token.value;
    value.kind = token.text.back() == 'U' || token.value >> 63
                     ? Constant::Unsigned
                     : Constant::Signed;
    return true;
  case TokenKind::Float32:
    value = {Constant::Single, token.value};
    return true;
  case TokenKind::Float64:
    value = {Constant::Double, token.value};
    return true;
  default:
    break;
  }
  if (token.kind == TokenKind::Identifier && token.text == "WARP_SZ") {
    value = {Constant::Signed, 32};
    return true;
  }
  if (token.is('('))
    return parseExpression(value) && expect(')', "in a constant expression");
  return fail(token, "expected a constant, found " + describe(token));
}

bool Parser::parseUnary(Constant &value) {
  const Token token = peek();
  if (++nesting > 200)
    return fail(token, "expression is nested too deep");
  bool isCast = token.is('(') && (peek(1).isDot("s64") || peek(1).isDot("u64"));
  if (isCast) {
    next();
    bool toSigned = next().isDot("s64");
    if (!expect(')', "after the type of a cast") || !parseUnary(value))
      return false;
    if (value.isFloat())
      return fail(token, "cast of a float constant to an integer");
    value.kind = toSigned ? Constant::Signed : Constant::Unsigned;
  } else if (token.is('-') || token.is('+') || token.is('~') || token.is('!')) {
    next();
    if (!parseUnary(value))
      return false;
    if (value.isFloat() && (token.is('~') || token.is('!')))
      return fail(token, "operator '" + std::string(token.text) +
                             "' on a float constant");
    if (token.is('-'))
      value.bits = value.kind == Constant::Single ? value.bits ^ 0x80000000
                   : value.kind == Constant::Double
                       ? value.bits ^ (uint64_t(1) << 63)
                       : 0 - value.bits;
    else if (token.is('~'))
      value.bits = ~value.bits;
    else if (token.is('!'))
      value = {Constant::Signed, value.bits == 0};
  } else if (!parsePrimary(value)) {
    return false;
  }
  --nesting;
  return true;
}

/// Precedence of the operator that comes next; -1 if there is none. The
/// scanner splits operators of two characters.
int Parser::precedence(std::string &symbol) const {
  const Token &first = peek(), &second = peek(1);
  if (first.kind != TokenKind::Punctuation)
    return -1;
  symbol = first.text;
  bool isPair = second.kind == TokenKind::Punctuation &&
                first.text.data() + 1 == second.text.data();
  if (isPair) {
    std::string pair = symbol + std::string(second.text);
    static const struct {
      const char *text;
      int value;
    } pairs[] = {{"||", 2}, {"&&", 3}, {"==", 7}, {"!=", 7},
                 {"<=", 8}, {">=", 8}, {"<<", 9}, {">>", 9}};
    for (auto &entry : pairs)
      if (pair == entry.text) {
        symbol = pair;
        return entry.value;
      }
  }
  switch (symbol[0]) {
  case '?':
    return 1;
  case '|':
    return 4;
  case '^':
    return 5;
  case '&':
    return 6;
  case '<':
  case '>':
    return 8;
  case '+':
  case '-':
    return 10;
  case '*':
  case '/':
  case '%':
    return 11;
  default:
    return -1;
  }
}

bool Parser::applyOperator(const Token &at, const std::string &symbol,
                           Constant &left, const Constant &right) {
  auto flag = [&](bool value) { left = {Constant::Signed, value}; };
  if (left.isFloat() || right.isFloat()) {
    double a = left.number(), b = right.number();
    auto number = [&](double value) {
      left = {Constant::Double, std::bit_cast<uint64_t>(value)};
    };
    if (symbol == "+")
      number(a + b);
    else if (symbol == "-")
      number(a - b);
    else if (symbol == "*")
      number(a * b);
    else if (symbol == "/")
      number(a / b);
    else if (symbol == "<")
      flag(a < b);
    else if (symbol == ">")
      flag(a > b);
    else if (symbol == "<=")
      flag(a <= b);
    else if (symbol == ">=")
      flag(a >= b);
    else if (symbol == "==")
      flag(a == b);
    else if (symbol == "!=")
      flag(a != b);
    else
      return fail(at, "operator '" + symbol + "' on a float constant");
    return true;
  }
  uint64_t a = left.bits, b = right.bits;
  int64_t p = int64_t(a), q = int64_t(b);
  bool isUnsigned =
      left.kind == Constant::Unsigned || right.kind == Constant::Unsigned;
  auto whole = [&](uint64_t value) {
    left = {isUnsigned ? Constant::Unsigned : Constant::Signed, value};
  };
  if ((symbol == "/" || symbol == "%") && b == 0)
    return fail(at, "division by zero in a constant expression");
  if (symbol == "||")
    flag(a || b);
  else if (symbol == "&&")
    flag(a && b);
  else if (symbol == "|")
    whole(a | b);
  else if (symbol == "^")
    whole(a ^ b);
  else if (symbol == "&")
    whole(a & b);
  else if (symbol == "==")
    flag(a == b);
  else if (symbol == "!=")
    flag(a != b);
  else if (symbol == "<")
    flag(isUnsigned ? a < b : p < q);
  else if (symbol == ">")
    flag(isUnsigned ? a > b : p > q);
  else if (symbol == "<=")
    flag(isUnsigned ? a <= b : p <= q);
  else if (symbol == ">=")
    flag(isUnsigned ? a >= b : p >= q);
  else if (symbol == "<<")
    left.bits = b < 64 ? a << b : 0;
  else if (symbol == ">>" && left.kind == Constant::Signed)
    left.bits = uint64_t(p >> (b < 64 ? b : 63));
  else if (symbol == ">>")
    left.bits = b < 64 ? a >> b : 0;
  else if (symbol == "+")
    whole(a + b);
  else if (symbol == "-")
    whole(a - b);
  else if (symbol == "*")
    whole(a * b);
  else if (symbol == "/")
    whole(isUnsigned ? a / b : q == -1 ? 0 - a : uint64_t(p / q));
  else
    whole(isUnsigned ? a % b : q == -1 ? 0 : uint64_t(p % q));
  return true;
}

bool Parser::parseExpression(Constant &value, int least) {
  if (!parseUnary(value))
    return false;
  std::string symbol;
  while (true) {
    int level = precedence(symbol);
    if (level < 0 || level < least)
      return true;
    const Token at = next();
    if (symbol.size() == 2)
      next();
    if (symbol == "?") {
      Constant first, second;
      if (value.isFloat())
        return fail(at, "operator '?' on a float constant");
      if (++nesting > 200)
        return fail(at, "expression is nested too deep");
      if (!parseExpression(first) || !expect(':', "after '?' and a constant") ||
          !parseExpression(second, 1))
        return false;
      --nesting;
      value = value.bits ? first : second;
      continue;
    }
    Constant right;
    if (++nesting > 200)
      return fail(at, "expression is nested too deep");
    if (!parseExpression(right, level + 1) ||
        !applyOperator(at, symbol, value, right))
      return false;
    --nesting;
  }
}
