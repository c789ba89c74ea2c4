//===- Expression.h - Integer expressions of sizes --------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The expressions that a manifest uses for shapes, grids, sizes and checks:
//
//   comparison := sum [(">=" | "<=" | ">" | "<" | "==") sum]
//   sum        := product (("+" | "-") product)*
//   product    := unary (("*" | "/" | "%") unary)*
//   unary      := "-" unary | primary
//   primary    := integer | symbol | "(" comparison ")"
//               | ("ceildiv" | "min" | "max") "(" comparison, ... ")"
//
// Values are 64-bit. "/" and "%" round towards minus infinity. Overflow,
// division by zero and a symbol without a value are errors that quote the text
// and give the column (from 1).
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_RUNTIME_EXPRESSION_H
#define ROPEWALK_RUNTIME_EXPRESSION_H

#include "Ropewalk/Runtime/Result.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ropewalk::runtime {

/// Values of symbols. A handful of names, so a list.
class Bindings {
public:
  Bindings() = default;
  Bindings(std::initializer_list<std::pair<std::string, int64_t>> values)
      : values(values) {}

  /// Null when `symbol` has no value.
  const int64_t *find(std::string_view symbol) const;
  /// Sets or replaces the value of `symbol`.
  void set(std::string_view symbol, int64_t value);

  auto begin() const { return values.begin(); }
  auto end() const { return values.end(); }
  bool operator==(const Bindings &other) const = default;

private:
  std::vector<std::pair<std::string, int64_t>> values;
};

/// A parsed expression. Immutable; cheap enough to copy.
class Expression {
public:
  /// The constant 0.
  Expression() : Expression(constant(0)) {}

  /// Parses `text`; the error quotes it and gives the column.
  static Result<Expression> parse(std::string_view text);
  static Expression constant(int64_t value);
  /// `name` is a letter or underscore followed by such and digits.
  static Expression symbol(std::string_view name);

  Result<int64_t> evaluate(const Bindings &bindings) const;

  /// The source text.
  const std::string &text() const { return source; }
  /// The value when the text is an integer literal.
  std::optional<int64_t> asConstant() const;
  /// The name when the text is a bare symbol, empty otherwise.
  std::string_view asSymbol() const;
  /// Names of all symbols, each once, in order of appearance.
  std::vector<std::string> symbols() const;

private:
  friend class ExpressionParser;
  enum class Kind : uint8_t {
    Constant,
    Symbol,
    Negate,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    CeilDivide,
    Minimum,
    Maximum,
    GreaterEqual,
    LessEqual,
    Greater,
    Less,
    Equal,
  };
  /// Nodes are stored in evaluation (postfix) order.
  struct Node {
    Kind kind;
    int32_t column;
    int64_t value;
    std::string name;
  };
  struct Empty {};
  explicit Expression(Empty) {}

  std::string source;
  std::vector<Node> nodes;
};

} // namespace ropewalk::runtime

#endif // ROPEWALK_RUNTIME_EXPRESSION_H
