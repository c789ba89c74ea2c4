//===- Expression.cpp - Integer expressions of sizes ------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A recursive descent parser appends nodes in postfix order; evaluation runs
// over them with a stack. The nesting is limited so that a hostile manifest
// cannot exhaust the parser's stack.
//
//===----------------------------------------------------------------------===//

#include "Ropewalk/Runtime/Expression.h"

#include <algorithm>
#include <limits>

using namespace ropewalk::runtime;

namespace {

constexpr int kMaximumNesting = 64;

bool isDigit(char c) { return c >= '0' && c <= '9'; }
bool isNameStart(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

Error errorAt(std::string_view text, int64_t column, std::string_view reason) {
  return Error("expression '", text, "', column ", column, ": ", reason);
}

} // namespace

//===----------------------------------------------------------------------===//
// Bindings
//===----------------------------------------------------------------------===//

const int64_t *Bindings::find(std::string_view symbol) const {
  for (const auto &[name, value] : values)
    if (name == symbol)
      return &value;
  return nullptr;
}

void Bindings::set(std::string_view symbol, int64_t value) {
  for (auto &[name, old] : values) {
    if (name == symbol) {
      old = value;
      return;
    }
  }
  values.emplace_back(symbol, value);
}

//===----------------------------------------------------------------------===//
// Parsing
//===----------------------------------------------------------------------===//

namespace ropewalk::runtime {

/// Every function returns whether it succeeded; the first failure is kept.
class ExpressionParser {
public:
  explicit ExpressionParser(std::string_view text) : text(text) {}

  Result<Expression> parse() {
    result.source = text;
    if (!parseComparison())
      return errorAt(text, errorColumn, reason);
    skipSpace();
    if (position != text.size()) {
      fail(concat("expected an operator or the end, found '", text[position],
                  "'"));
      return errorAt(text, errorColumn, reason);
    }
    return std::move(result);
  }

private:
  using Kind = Expression::Kind;

  void skipSpace() {
    while (position < text.size() && text[position] == ' ')
      ++position;
  }

  bool consume(std::string_view token) {
    skipSpace();
    if (!text.substr(position).starts_with(token))
      return false;
    position += token.size();
    return true;
  }

  int32_t column() {
    skipSpace();
    return static_cast<int32_t>(position) + 1;
  }

  bool fail(std::string message) {
    reason = std::move(message);
    errorColumn = column();
    return false;
  }

  bool failExpected(std::string_view what) {
    skipSpace();
    if (position == text.size())
      return fail(concat("expected ", what, ", found the end"));
    return fail(concat("expected ", what, ", found '", text[position], "'"));
  }

  void emit(Kind kind, int32_t at, int64_t value = 0, std::string name = {}) {
    result.nodes.push_back({kind, at, value, std::move(name)});
  }

  bool parseComparison() {
    if (!parseSum())
      return false;
    static constexpr std::pair<std::string_view, Kind> kOperators[] = {
        {">=", Kind::GreaterEqual}, {"<=", Kind::LessEqual},
        {"==", Kind::Equal},        {">", Kind::Greater},
        {"<", Kind::Less},
    };
    int32_t at = column();
    for (auto [token, kind] : kOperators) {
      if (!consume(token))
        continue;
      if (!parseSum())
        return false;
      emit(kind, at);
      return true;
    }
    return true;
  }

  bool parseSum() {
    if (!parseProduct())
      return false;
    while (true) {
      int32_t at = column();
      Kind kind;
      if (consume("+"))
        kind = Kind::Add;
      else if (consume("-"))
        kind = Kind::Subtract;
      else
        return true;
      if (!parseProduct())
        return false;
      emit(kind, at);
    }
  }

  bool parseProduct() {
    if (!parseUnary())
      return false;
    while (true) {
      int32_t at = column();
      Kind kind;
      if (consume("*"))
        kind = Kind::Multiply;
      else if (consume("/"))
        kind = Kind::Divide;
      else if (consume("%"))
        kind = Kind::Remainder;
      else
        return true;
      if (!parseUnary())
        return false;
      emit(kind, at);
    }
  }

  bool parseUnary() {
    int32_t at = column();
    if (!consume("-"))
      return parsePrimary();
    if (++nesting > kMaximumNesting)
      return fail("nested too deeply");
    if (!parseUnary())
      return false;
    --nesting;
    emit(Kind::Negate, at);
    return true;
  }

  bool parsePrimary() {
    int32_t at = column();
    if (consume("(")) {
      if (++nesting > kMaximumNesting)
        return fail("nested too deeply");
      if (!parseComparison())
        return false;
      --nesting;
      return consume(")") || failExpected("')'");
    }
    if (position < text.size() && isDigit(text[position]))
      return parseInteger(at);
    if (position == text.size() || !isNameStart(text[position]))
      return failExpected("a number, a symbol or '('");
    size_t begin = position;
    while (position < text.size() &&
           (isNameStart(text[position]) || isDigit(text[position])))
      ++position;
    std::string_view name = text.substr(begin, position - begin);
    if (!consume("(")) {
      emit(Kind::Symbol, at, 0, std::string(name));
      return true;
    }
    return parseCall(name, at);
  }

  bool parseInteger(int32_t at) {
    int64_t value = 0;
    size_t begin = position;
    for (; position < text.size() && isDigit(text[position]); ++position) {
      if (__builtin_mul_overflow(value, int64_t(10), &value) ||
          __builtin_add_overflow(value, int64_t(text[position] - '0'),
                                 &value)) {
        position = begin;
        return fail("the number does not fit into 64 bits");
      }
    }
    emit(Kind::Constant, at, value);
    return true;
  }

  /// The arguments after "name(".
  bool parseCall(std::string_view name, int32_t at) {
    Kind kind;
    if (name == "ceildiv")
      kind = Kind::CeilDivide;
    else if (name == "min")
      kind = Kind::Minimum;
    else if (name == "max")
      kind = Kind::Maximum;
    else {
      position = static_cast<size_t>(at) - 1;
      return fail(concat("unknown function '", name,
                         "', expected ceildiv, min or max"));
    }
    if (++nesting > kMaximumNesting)
      return fail("nested too deeply");
    int count = 0;
    do {
      if (!parseComparison())
        return false;
      if (++count > 1)
        emit(kind, at);
    } while (consume(","));
    --nesting;
    if (!consume(")"))
      return failExpected("',' or ')'");
    if (kind == Kind::CeilDivide && count != 2) {
      position = static_cast<size_t>(at) - 1;
      return fail(concat("ceildiv takes 2 arguments, found ", count));
    }
    return true;
  }

  std::string_view text;
  size_t position = 0;
  int nesting = 0;
  Expression result{Expression::Empty()};
  std::string reason;
  int32_t errorColumn = 1;
};

} // namespace ropewalk::runtime

Result<Expression> Expression::parse(std::string_view text) {
  return ExpressionParser(text).parse();
}

Expression Expression::constant(int64_t value) {
  Expression result{Empty()};
  result.source = std::to_string(value);
  result.nodes.push_back({Kind::Constant, 1, value, {}});
  return result;
}

Expression Expression::symbol(std::string_view name) {
  Expression result{Empty()};
  result.source = name;
  result.nodes.push_back({Kind::Symbol, 1, 0, std::string(name)});
  return result;
}

//===----------------------------------------------------------------------===//
// Evaluation
//===----------------------------------------------------------------------===//

namespace {

/// Quotient rounded towards minus infinity; the caller excludes a zero divisor
/// and overflow.
int64_t floorDivide(int64_t a, int64_t b) {
  int64_t quotient = a / b;
  return quotient - (a % b != 0 && (a < 0) != (b < 0));
}

} // namespace

Result<int64_t> Expression::evaluate(const Bindings &bindings) const {
  // The common cases are leaves.
  if (nodes.size() == 1 && nodes[0].kind == Kind::Constant)
    return nodes[0].value;

  std::vector<int64_t> stack;
  stack.reserve(nodes.size());
  for (const Node &node : nodes) {
    if (node.kind == Kind::Constant) {
      stack.push_back(node.value);
      continue;
    }
    if (node.kind == Kind::Symbol) {
      const int64_t *value = bindings.find(node.name);
      if (!value)
        return errorAt(source, node.column,
                       concat("symbol '", node.name, "' has no value"));
      stack.push_back(*value);
      continue;
    }

    auto overflow = [&](std::string_view operation) {
      return errorAt(source, node.column,
                     concat(operation, " overflows 64 bits"));
    };
    int64_t b = stack.back();
    stack.pop_back();
    if (node.kind == Kind::Negate) {
      if (__builtin_sub_overflow(int64_t(0), b, &b))
        return overflow("-(" + std::to_string(b) + ")");
      stack.push_back(b);
      continue;
    }

    int64_t a = stack.back();
    int64_t &result = stack.back();
    switch (node.kind) {
    case Kind::Add:
      if (__builtin_add_overflow(a, b, &result))
        return overflow(concat(a, " + ", b));
      break;
    case Kind::Subtract:
      if (__builtin_sub_overflow(a, b, &result))
        return overflow(concat(a, " - ", b));
      break;
    case Kind::Multiply:
      if (__builtin_mul_overflow(a, b, &result))
        return overflow(concat(a, " * ", b));
      break;
    case Kind::Divide:
    case Kind::Remainder:
    case Kind::CeilDivide:
      if (b == 0)
        return errorAt(source, node.column,
                       concat("division of ", a, " by zero"));
      if (b == -1) {
        // The only quotient that can overflow.
        if (node.kind == Kind::Remainder)
          result = 0;
        else if (__builtin_sub_overflow(int64_t(0), a, &result))
          return overflow(concat(a, " / -1"));
        break;
      }
      if (node.kind == Kind::Divide)
        result = floorDivide(a, b);
      else if (node.kind == Kind::Remainder)
        result = a % b + ((a % b != 0 && (a < 0) != (b < 0)) ? b : 0);
      else
        result = floorDivide(a, b) + (a % b != 0);
      break;
    case Kind::Minimum:
      result = std::min(a, b);
      break;
    case Kind::Maximum:
      result = std::max(a, b);
      break;
    case Kind::GreaterEqual:
      result = a >= b;
      break;
    case Kind::LessEqual:
      result = a <= b;
      break;
    case Kind::Greater:
      result = a > b;
      break;
    case Kind::Less:
      result = a < b;
      break;
    case Kind::Equal:
      result = a == b;
      break;
    case Kind::Constant:
    case Kind::Symbol:
    case Kind::Negate:
      break; // handled above
    }
  }
  return stack.back();
}

std::optional<int64_t> Expression::asConstant() const {
  if (nodes.size() == 1 && nodes[0].kind == Kind::Constant)
    return nodes[0].value;
  return std::nullopt;
}

std::string_view Expression::asSymbol() const {
  if (nodes.size() == 1 && nodes[0].kind == Kind::Symbol)
    return nodes[0].name;
  return {};
}

std::vector<std::string> Expression::symbols() const {
  std::vector<std::string> names;
  for (const Node &node : nodes)
    if (node.kind == Kind::Symbol &&
        std::find(names.begin(), names.end(), node.name) == names.end())
      names.push_back(node.name);
  return names;
}
