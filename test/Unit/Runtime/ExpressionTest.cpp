//===- ExpressionTest.cpp - Tests of size expressions -----------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Guards precedence, rounding, the errors of evaluation and the columns in
// messages. Expected values are computed by hand.
//
//===----------------------------------------------------------------------===//

#include "Ropewalk/Runtime/Expression.h"

#include "Support.h"

using namespace ropewalk::runtime;
using namespace ropewalk::runtime::test;

namespace {

const Bindings kSizes = {{"B", 3}, {"S", 130}, {"big", INT64_MAX}, {"z", 0}};

struct Value {
  const char *text;
  int64_t value;
};

TEST(Expression, Values) {
  const Value cases[] = {
      {"42", 42},
      {"B", 3},
      {"1+2*3", 7},
      {"(1+2)*3", 9},
      {"10-3-2", 5},
      {"100/7/2", 7},
      {"2*7%4", 2},
      {" ceildiv( B*S , 64 ) ", 7},
      {"ceildiv(128,64)", 2},
      {"min(5,3,4)", 3},
      {"max(5,7,B)", 7},
      {"max(2)", 2},
      {"min(B,2)*max(S,200)+1", 401},
      {"-B+1", -2},
      {"--B", 3},
      {"2--3", 5},
      // Rounding towards minus infinity, whatever the signs.
      {"(-7)/2", -4},
      {"7/(-2)", -4},
      {"(-7)/(-2)", 3},
      {"(-8)/2", -4},
      {"(-7)%4", 1},
      {"7%(-4)", -1},
      {"(-8)%4", 0},
      {"ceildiv(-7,2)", -3},
      {"ceildiv(7,-2)", -3},
      {"ceildiv(-7,-2)", 4},
      {"big/(-1)", -INT64_MAX},
      {"(-big-1)%(-1)", 0},
      {"S>=130", 1},
      {"S>130", 0},
      {"S<=129", 0},
      {"S<131", 1},
      {"S==130", 1},
      {"B*S==390", 1},
      {"(S>1)*(B>1)", 1},
      {"big", INT64_MAX},
      {"-big-1", INT64_MIN},
      {"4*_x2", 8},
  };
  Bindings sizes = kSizes;
  sizes.set("_x2", 5);
  sizes.set("_x2", 2);
  for (const Value &test : cases) {
    Result<Expression> expression = Expression::parse(test.text);
    ASSERT_TRUE(expression) << messageOf(expression);
    Result<int64_t> value = expression->evaluate(sizes);
    ASSERT_TRUE(value) << messageOf(value);
    EXPECT_EQ(*value, test.value) << test.text;
    EXPECT_EQ(expression->text(), test.text);
  }
}

struct Failure {
  const char *text;
  const char *message; // after "expression 'TEXT', column "
};

TEST(Expression, SyntaxErrors) {
  const Failure cases[] = {
      {"", "1: expected a number, a symbol or '(', found the end"},
      {"B*", "3: expected a number, a symbol or '(', found the end"},
      {"B S", "3: expected an operator or the end, found 'S'"},
      {"1 < 2 < 3", "7: expected an operator or the end, found '<'"},
      {"(B", "3: expected ')', found the end"},
      {"B$", "2: expected an operator or the end, found '$'"},
      {"1+floor(B)",
       "3: unknown function 'floor', expected ceildiv, min or max"},
      {"ceildiv(B)", "1: ceildiv takes 2 arguments, found 1"},
      {"ceildiv(B,1,2)", "1: ceildiv takes 2 arguments, found 3"},
      {"min()", "5: expected a number, a symbol or '(', found ')'"},
      {"min(1;2)", "6: expected ',' or ')', found ';'"},
      {"9223372036854775808", "1: the number does not fit into 64 bits"},
      {"B*99999999999999999999999", "3: the number does not fit into 64 bits"},
  };
  for (const Failure &test : cases)
    EXPECT_EQ(messageOf(Expression::parse(test.text)),
              concat("expression '", test.text, "', column ", test.message));
}

/// The parser's stack is bounded.
TEST(Expression, NestingIsLimited) {
  for (std::string open : {"(", "-", "min("}) {
    std::string text;
    for (int i = 0; i < 100000; ++i)
      text += open;
    std::string message = messageOf(Expression::parse(text + "1"));
    EXPECT_TRUE(message.ends_with("nested too deeply"));
  }
}

TEST(Expression, EvaluationErrors) {
  const Failure cases[] = {
      {"B*N", "3: symbol 'N' has no value"},
      {"B/z", "2: division of 3 by zero"},
      {"1+B%(S-130)", "4: division of 3 by zero"},
      {"ceildiv(S,z)", "1: division of 130 by zero"},
      {"big+1", "4: 9223372036854775807 + 1 overflows 64 bits"},
      {"-big-2", "5: -9223372036854775807 - 2 overflows 64 bits"},
      {"B * big", "3: 3 * 9223372036854775807 overflows 64 bits"},
      {"-(-big-1)", "1: -(-9223372036854775808) overflows 64 bits"},
      {"(-big-1)/(-1)", "9: -9223372036854775808 / -1 overflows 64 bits"},
  };
  for (const Failure &test : cases) {
    Result<Expression> expression = Expression::parse(test.text);
    ASSERT_TRUE(expression) << messageOf(expression);
    EXPECT_EQ(messageOf(expression->evaluate(kSizes)),
              concat("expression '", test.text, "', column ", test.message));
  }
}

TEST(Expression, Leaves) {
  EXPECT_EQ(Expression::constant(-5).asConstant(), -5);
  EXPECT_EQ(Expression::constant(-5).text(), "-5");
  EXPECT_EQ(Expression::symbol("B").asSymbol(), "B");
  EXPECT_EQ(Expression::symbol("B").asConstant(), std::nullopt);
  EXPECT_EQ(Expression::parse("1+B*S-B")->symbols(),
            (std::vector<std::string>{"B", "S"}));
  EXPECT_EQ(Expression::parse("B+0")->asSymbol(), "");
  EXPECT_EQ(Expression().asConstant(), 0);
}

} // namespace
