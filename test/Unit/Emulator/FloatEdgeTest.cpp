//===- FloatEdgeTest.cpp - Pairs of edge values of floats -------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Arithmetic, order and choice on every pair of edge values: zeros, subnormals,
// the ends of the normal numbers, infinities, and quiet and signaling NaN of
// both signs. Expected values are those of the host's floats, or follow the
// PTX documentation bit by bit.
//
//===----------------------------------------------------------------------===//

#include "ExactFloat.h"
#include "OpcodeHarness.h"

#include <cmath>

using namespace ropewalk::emulator;
using namespace ropewalk::emulator::exact;

namespace {

struct Type {
  const char *name;
  Format format;
  char letter;
  uint64_t nan; ///< The canonical one; f64 has none.

  std::string operands(unsigned sources) const {
    std::string text;
    for (unsigned i = 0; i <= sources; ++i)
      text += (i ? std::string(", %") : std::string(" %")) + letter +
              std::to_string(i);
    return text + ";";
  }
  std::vector<uint64_t> edges() const {
    uint64_t one = uint64_t(format.bias()) << format.mantissaBits;
    uint64_t normal = uint64_t(1) << format.mantissaBits;
    // Half of the least normal number and its distance to the next are
    // results for .ftz to flush.
    std::vector<uint64_t> values = {0,
                                    1,
                                    normal - 1,
                                    normal,
                                    normal + 1,
                                    one - normal,
                                    one,
                                    one + 1,
                                    one + normal / 2,
                                    format.infinity() - 1,
                                    format.infinity(),
                                    format.infinity() + 1,
                                    format.infinity() + normal / 2};
    for (size_t i = values.size(); i-- > 0;)
      values.push_back(values[i] | format.sign());
    return values;
  }
  uint64_t flush(uint64_t bits) const {
    bool isSmall = format.size(bits) >> format.mantissaBits == 0;
    return isSmall ? bits & format.sign() : bits;
  }
  double number(uint64_t bits) const {
    double sign = bits & format.sign() ? -1 : 1;
    if (format.isNaN(bits))
      return NAN;
    if (format.isInfinite(bits))
      return sign * INFINITY;
    Value value = decode(bits, format);
    return value.digits ? std::ldexp(double(value.digits), value.exponent)
                        : sign * 0.0;
  }
};
const Type F16Type{"f16", F16, 'h', 0x7fff},
    BF16Type{"bf16", BF16, 'h', 0x7fff}, F32Type{"f32", F32, 'r', 0x7fffffff},
    F64Type{"f64", F64, 'd', 0x7ff8000000000000};
const Type types[] = {F16Type, BF16Type, F32Type, F64Type};

struct FloatEdgeTest : OpcodeTest {
  /// Runs `code` on all pairs; where `type` has no canonical NaN, any will do.
  template <class F>
  void pairs(const std::string &code, const Type &type, F expected) {
    std::vector<Row> rows;
    for (uint64_t a : type.edges())
      for (uint64_t b : type.edges())
        rows.push_back({a, b, 0, expected(a, b)});
    auto got = results(code + type.operands(2), type.letter, rows);
    for (size_t i = 0; i < rows.size(); ++i) {
      uint64_t want = rows[i].expected;
      if (type.letter == 'd' && F64.isNaN(want))
        EXPECT_TRUE(F64.isNaN(got[i]))
            << code << std::hex << " a 0x" << rows[i].a << " b 0x" << rows[i].b;
      else
        EXPECT_EQ(got[i], want)
            << code << std::hex << " a 0x" << rows[i].a << " b 0x" << rows[i].b;
    }
  }
};

template <class T, class F> uint64_t onHost(F apply, uint64_t a, uint64_t b) {
  using U = std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t>;
  T result = apply(std::bit_cast<T>(U(a)), std::bit_cast<T>(U(b)));
  if (result != result)
    return sizeof(T) == 4 ? F32Type.nan : F64Type.nan;
  return std::bit_cast<U>(result);
}

const auto sum = [](auto a, auto b) { return a + b; };
const auto difference = [](auto a, auto b) { return a - b; };
const auto product = [](auto a, auto b) { return a * b; };
const auto quotient = [](auto a, auto b) { return a / b; };

uint64_t saturate(uint64_t bits) {
  return F32.isNaN(bits) || bits >> 31 ? 0 : std::min(bits, f(1));
}

// Guards f32 and f64 on every pair, with subnormals kept and flushed.
TEST_F(FloatEdgeTest, Arithmetic) {
  auto compare = [&](const char *opcode, auto apply) {
    std::string name = opcode;
    pairs(name + ".rn.f64", F64Type,
          [&](uint64_t a, uint64_t b) { return onHost<double>(apply, a, b); });
    pairs(name + ".rn.f32", F32Type,
          [&](uint64_t a, uint64_t b) { return onHost<float>(apply, a, b); });
    auto flushed = [&](uint64_t a, uint64_t b) {
      return F32Type.flush(
          onHost<float>(apply, F32Type.flush(a), F32Type.flush(b)));
    };
    pairs(name + ".rn.ftz.f32", F32Type, flushed);
    if (name == "div")
      return;
    pairs(name + ".rn.ftz.sat.f32", F32Type,
          [&](uint64_t a, uint64_t b) { return saturate(flushed(a, b)); });
  };
  compare("add", sum);
  compare("sub", difference);
  compare("mul", product);
  compare("div", quotient);
}

// Guards the quotients that are the same whatever the approximation is: those
// of zeros, infinities and NaN.
TEST_F(FloatEdgeTest, ApproximateQuotients) {
  uint64_t inf = F32.infinity(), sign = F32.sign(), nan = F32Type.nan;
  std::vector<Row> rows = {
      {f(1), 0, 0, inf},           {f(1), sign, 0, inf | sign},
      {f(-1), 0, 0, inf | sign},   {0, 0, 0, nan},
      {sign, 0, 0, nan},           {inf, inf, 0, nan},
      {inf, inf | sign, 0, nan},   {inf, 0, 0, inf},
      {inf, sign, 0, inf | sign},  {f(2), inf, 0, 0},
      {f(2), inf | sign, 0, sign}, {0, f(-3), 0, sign},
      {inf + 1, f(1), 0, nan},     {f(1), nan, 0, nan}};
  for (const char *code : {"div.approx.f32", "div.approx.ftz.f32",
                           "div.full.f32", "div.full.ftz.f32"})
    check(std::string(code) + " %r0, %r1, %r2;", 'r', rows);
  rows = {{1, f(1), 0, 0},
          {1 | sign, f(1), 0, sign},
          {f(1), 1, 0, inf},
          {f(-1), 1, 0, inf | sign},
          {1, 1, 0, nan}};
  for (const char *code : {"div.approx.ftz.f32", "div.full.ftz.f32"})
    check(std::string(code) + " %r0, %r1, %r2;", 'r', rows);
}

// Guards signed zeros and NaN of min and max with every modifier.
TEST_F(FloatEdgeTest, MinMax) {
  for (const Type &type : types)
    for (bool isMin : {true, false})
      for (int form = 0; form < 8; ++form) {
        bool flushes = form & 1, keepsNaN = form & 2, takesSign = form & 4;
        if (flushes && type.format.exponentBits != 5 && type.letter != 'r')
          continue;
        if (type.letter == 'd' && form)
          continue;
        std::string code = std::string(isMin ? "min" : "max") +
                           (flushes ? ".ftz" : "") + (keepsNaN ? ".NaN" : "") +
                           (takesSign ? ".xorsign.abs" : "") + "." + type.name;
        pairs(code, type, [&](uint64_t a, uint64_t b) {
          if (flushes)
            a = type.flush(a), b = type.flush(b);
          uint64_t sign = type.format.sign();
          uint64_t both = takesSign ? (a ^ b) & sign : 0;
          if (takesSign)
            a &= ~sign, b &= ~sign;
          bool isNaNA = type.format.isNaN(a), isNaNB = type.format.isNaN(b);
          if ((isNaNA && isNaNB) || (keepsNaN && (isNaNA || isNaNB)))
            return type.nan;
          if (isNaNA || isNaNB)
            return (isNaNA ? b : a) | both;
          double x = type.number(a), y = type.number(b);
          // -0 lies below +0.
          bool isLess = x < y || (x == y && (a & sign) > (b & sign));
          return (isLess == isMin ? a : b) | both;
        });
      }
}

// Guards that the flush is of sources and results of f16, and that .sat turns
// NaN into +0.
TEST_F(FloatEdgeTest, Halves) {
  uint64_t sign = F16.sign(), one = 0x3c00;
  auto exactly = [&](uint64_t a, uint64_t b, bool isProduct) -> uint64_t {
    double x = F16Type.number(a), y = F16Type.number(b);
    double result = isProduct ? x * y : x + y;
    if (result != result)
      return F16Type.nan;
    uint64_t resultSign = std::signbit(result) ? sign : 0;
    if (std::isinf(result))
      return resultSign | F16.infinity();
    // Both are exact in f64: at most 22 digits, or exponents 40 apart.
    int exponent;
    double digits = std::frexp(result, &exponent);
    return encode({Wide(std::ldexp(digits, 53)), exponent - 53}, F16,
                  Mode::Nearest, resultSign);
  };
  auto saturated = [&](uint64_t v) {
    return F16.isNaN(v) || v & sign ? 0 : std::min(v, one);
  };
  for (bool isProduct : {false, true}) {
    std::string opcode = isProduct ? "mul" : "add";
    auto flushed = [&](uint64_t a, uint64_t b) {
      return F16Type.flush(
          exactly(F16Type.flush(a), F16Type.flush(b), isProduct));
    };
    pairs(opcode + ".f16", F16Type,
          [&](uint64_t a, uint64_t b) { return exactly(a, b, isProduct); });
    pairs(opcode + ".ftz.f16", F16Type, flushed);
    pairs(opcode + ".sat.f16", F16Type, [&](uint64_t a, uint64_t b) {
      return saturated(exactly(a, b, isProduct));
    });
    pairs(opcode + ".ftz.sat.f16", F16Type,
          [&](uint64_t a, uint64_t b) { return saturated(flushed(a, b)); });
  }
  pairs("sub.ftz.f16", F16Type, [&](uint64_t a, uint64_t b) {
    a = F16Type.flush(a), b = F16Type.flush(b);
    return F16.isNaN(b) ? F16Type.nan
                        : F16Type.flush(exactly(a, b ^ sign, false));
  });
  check("add.sat.f16x2 %r0, %r1, %r2;", 'r',
        {{0x7e003c00, 0x3c003c00, 0, 0x00003c00},
         {0xbc007c00, 0x0000fc00, 0, 0},
         {0x7c003800, 0x3c000000, 0, 0x3c003800}});
  check("fma.rn.sat.f16x2 %r0, %r1, %r2, %r3;", 'r',
        {{0x7c003c00, 0x00004000, 0x3c003c00, 0x00003c00}});
  // .relu turns what is negative into +0, but keeps NaN.
  check("fma.rn.relu.f16 %h0, %h1, %h2, %h3;", 'h',
        {{0x7e00, one, one, 0x7fff},
         {0xfc00, one, one, 0},
         {sign, one, sign, 0}});
}

// Guards signs: of NaN only that it stays one.
TEST_F(FloatEdgeTest, Signs) {
  for (const Type &type : types) {
    bool mayFlush = type.letter == 'r' || type.format.exponentBits == 5;
    for (bool isAbs : {false, true})
      for (bool flushes : {false, true}) {
        if (flushes && !mayFlush)
          continue;
        std::vector<Row> rows;
        for (uint64_t a : type.edges()) {
          uint64_t value = flushes ? type.flush(a) : a;
          uint64_t sign = type.format.sign();
          rows.push_back({a, 0, 0, isAbs ? value & ~sign : value ^ sign});
        }
        std::string code = std::string(isAbs ? "abs" : "neg") +
                           (flushes ? ".ftz." : ".") + type.name +
                           type.operands(1);
        auto got = results(code, type.letter, rows);
        for (size_t i = 0; i < rows.size(); ++i)
          if (type.format.isNaN(rows[i].a))
            EXPECT_TRUE(type.format.isNaN(got[i])) << code;
          else
            EXPECT_EQ(got[i], rows[i].expected) << code << " row " << i;
      }
  }
  // The sign of a and all other bits of b, of NaN too.
  for (const Type *type : {&F32Type, &F64Type}) {
    std::vector<Row> rows;
    uint64_t sign = type->format.sign();
    for (uint64_t a : type->edges())
      for (uint64_t b : type->edges())
        rows.push_back({a, b, 0, (a & sign) | (b & ~sign)});
    check(std::string("copysign.") + type->name + type->operands(2),
          type->letter, rows);
  }
}

// Guards comparisons that flush their sources, and both results of one.
TEST_F(FloatEdgeTest, Comparisons) {
  const struct {
    const char *name;
    int holds; ///< Bits: less, equal, greater, unordered.
  } comparisons[] = {{"eq", 2},  {"ne", 5},   {"lt", 1},   {"le", 3},
                     {"gt", 4},  {"ge", 6},   {"equ", 10}, {"neu", 13},
                     {"ltu", 9}, {"leu", 11}, {"gtu", 12}, {"geu", 14},
                     {"num", 7}, {"nan", 8}};
  for (const Type &type : types) {
    bool mayFlush = type.letter == 'r' || type.format.exponentBits == 5;
    bool isHalf = type.letter == 'h';
    std::string sources =
        std::string(", %") + type.letter + "1, %" + type.letter + "2";
    std::string suffix = std::string(mayFlush ? ".ftz" : "");
    for (auto &comparison : comparisons) {
      std::string name = comparison.name;
      std::vector<Row> words, sets;
      for (uint64_t a : type.edges())
        for (uint64_t b : type.edges()) {
          double x = type.number(mayFlush ? type.flush(a) : a);
          double y = type.number(mayFlush ? type.flush(b) : b);
          int order = x < y ? 1 : x == y ? 2 : x > y ? 4 : 8;
          bool holds = comparison.holds & order, third = b & 1;
          uint64_t second = third || !holds ? 2 : 0;
          words.push_back(
              {a, b, third, (third || holds) + (isHalf ? 0 : second)});
          sets.push_back({a, b, 0, holds ? f(1) : 0});
        }
      // The second predicate is that of the opposite, also of NaN; halves
      // have none.
      std::string code = "mov.u32 %r5, 0; setp." + name + ".or" + suffix + "." +
                         type.name + (isHalf ? " %p1" : " %p1|%p2") + sources +
                         ", %p3; selp.u32 %r4, 1, 0, %p1; ";
      check(code + (isHalf ? "" : "selp.u32 %r5, 2, 0, %p2; ") +
                "add.u32 %r0, %r4, %r5;",
            'r', words);
      if (!isHalf)
        check("set." + name + suffix + ".f32." + type.name + " %r0" + sources +
                  ";",
              'r', sets);
    }
  }
  for (const char *type : {"f16", "bf16"}) {
    Error error;
    std::string opcode = std::string("setp.lt.") + type;
    auto module =
        Module::parse(entryText(opcode + " %p1|%p2, %h1, %h2;", 1), error);
    EXPECT_EQ(module ? "accepted" : error.message,
              "'" + opcode +
                  "': a second predicate on half-precision types is not "
                  "supported");
  }
}

// Guards choices: by the sign of a word or of a float, where -0 and a flushed
// subnormal are not negative and NaN takes the second; bits stay as they are.
TEST_F(FloatEdgeTest, Choices) {
  const uint64_t a = 0x7ff0000112348001, b = 0xfff00002ff81fc01;
  const struct {
    const char *type;
    char letter;
  } results[] = {{"b16", 'h'}, {"u16", 'h'}, {"s16", 'h'}, {"b32", 'r'},
                 {"u32", 'r'}, {"s32", 'r'}, {"f32", 'r'}, {"b64", 'd'},
                 {"u64", 'd'}, {"s64", 'd'}, {"f64", 'd'}};
  for (auto &result : results) {
    uint64_t mask = result.letter == 'h'   ? 0xffff
                    : result.letter == 'r' ? 0xffffffff
                                           : ~uint64_t(0);
    std::string operands = std::string(" %") + result.letter + "0, %" +
                           result.letter + "1, %" + result.letter + "2, ";
    auto table = [&](const std::string &code, auto isFirst,
                     std::vector<uint64_t> controls) {
      std::vector<Row> rows;
      for (uint64_t c : controls)
        rows.push_back({a, b, c, (isFirst(c) ? a : b) & mask});
      check(code, result.letter, rows);
    };
    std::string name = result.type;
    table("selp." + name + operands + "%p3;", [](uint64_t c) { return c != 0; },
          {0, 1});
    table("slct." + name + ".s32" + operands + "%r3;",
          [](uint64_t c) { return int32_t(c) >= 0; },
          {0, 1, 0x7fffffff, 0x80000000, 0xffffffff});
    table(
        "slct." + name + ".f32" + operands + "%r3;",
        [](uint64_t c) { return F32Type.number(c) >= 0; }, F32Type.edges());
    table(
        "slct.ftz." + name + ".f32" + operands + "%r3;",
        [](uint64_t c) { return F32Type.number(F32Type.flush(c)) >= 0; },
        F32Type.edges());
  }
  for (const char *code : {"selp.f16", "selp.bf16"}) {
    Error error;
    auto module = Module::parse(
        entryText(std::string(code) + " %h0, %h1, %h2, %p3;", 1), error);
    EXPECT_FALSE(bool(module)) << code;
    EXPECT_NE(error.message.find(code), std::string::npos) << error.message;
  }
}

} // namespace
