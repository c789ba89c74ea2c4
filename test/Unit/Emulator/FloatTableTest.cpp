//===- FloatTableTest.cpp - Float instructions in all roundings -*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// f32 and f64 against exact arithmetic with one rounding; the approximations
// against double or wider within the errors that PTX documents.
//
//===----------------------------------------------------------------------===//

#include "ExactFloat.h"
#include "OpcodeHarness.h"

#include <cmath>

using namespace ropewalk::emulator;
using namespace ropewalk::emulator::exact;

namespace {

constexpr uint64_t NaN32 = 0x7fffffff, NaN64 = 0x7ff8000000000000;

const struct {
  const char *name;
  Mode mode;
} modes[] = {{"rn", Mode::Nearest},
             {"rz", Mode::Zero},
             {"rm", Mode::Down},
             {"rp", Mode::Up}};

/// A number or one of the values without digits.
struct Result {
  enum { Number, Infinity, NotANumber } kind = Number;
  bool isNegative = false; ///< Of infinity and of zero.
  Value value{0, 0};
};

Result read(uint64_t bits, Format format) {
  Result result;
  result.isNegative = bits & format.sign();
  result.kind = format.isNaN(bits)        ? Result::NotANumber
                : format.isInfinite(bits) ? Result::Infinity
                                          : Result::Number;
  if (result.kind == Result::Number)
    result.value = decode(bits, format);
  return result;
}

bool isZero(const Result &r) {
  return r.kind == Result::Number && r.value.digits == 0;
}

uint64_t write(const Result &r, Format format, Mode mode) {
  uint64_t sign = r.isNegative ? format.sign() : 0;
  if (r.kind == Result::NotANumber)
    return format.mantissaBits == 23 ? NaN32 : NaN64;
  if (r.kind == Result::Infinity)
    return sign | format.infinity();
  return encode(r.value, format, mode, sign);
}

Result times(const Result &a, const Result &b) {
  Result r;
  r.isNegative = a.isNegative != b.isNegative;
  if (a.kind == Result::NotANumber || b.kind == Result::NotANumber ||
      (a.kind == Result::Infinity && isZero(b)) ||
      (b.kind == Result::Infinity && isZero(a)))
    r.kind = Result::NotANumber;
  else if (a.kind == Result::Infinity || b.kind == Result::Infinity)
    r.kind = Result::Infinity;
  else
    r.value = {a.value.digits * b.value.digits,
               a.value.exponent + b.value.exponent};
  return r;
}

Result plus(const Result &a, const Result &b, Mode mode) {
  if (a.kind == Result::NotANumber || b.kind == Result::NotANumber)
    return {Result::NotANumber};
  if (a.kind == Result::Infinity && b.kind == Result::Infinity &&
      a.isNegative != b.isNegative)
    return {Result::NotANumber};
  if (a.kind == Result::Infinity)
    return a;
  if (b.kind == Result::Infinity)
    return b;
  Result r;
  r.value = add(a.value, b.value);
  // A zero sum of different signs is negative in one mode only.
  r.isNegative =
      a.isNegative == b.isNegative ? a.isNegative : mode == Mode::Down;
  if (r.value.digits)
    r.isNegative = r.value.digits < 0;
  return r;
}

/// The quotient cut to more digits than any format has, with a last digit that
/// tells whether something is left.
Result over(const Result &a, const Result &b) {
  Result r;
  r.isNegative = a.isNegative != b.isNegative;
  bool bothInfinite = a.kind == Result::Infinity && b.kind == Result::Infinity;
  if (a.kind == Result::NotANumber || b.kind == Result::NotANumber ||
      bothInfinite || (isZero(a) && isZero(b)))
    return {Result::NotANumber};
  if (a.kind == Result::Infinity || isZero(b)) {
    r.kind = Result::Infinity;
    return r;
  }
  if (b.kind == Result::Infinity || isZero(a))
    return r;
  UWide p = UWide(a.value.digits < 0 ? -a.value.digits : a.value.digits);
  UWide q = UWide(b.value.digits < 0 ? -b.value.digits : b.value.digits);
  int shift = 0;
  while (!(p >> 125))
    p <<= 1, ++shift;
  Wide digits = Wide(p / q) | Wide(p % q != 0);
  // Subnormal divisors leave enough digits all the same.
  r.value = {r.isNegative ? -digits : digits,
             a.value.exponent - shift - b.value.exponent};
  return r;
}

Result root(const Result &a) {
  if (isZero(a) || a.kind == Result::NotANumber)
    return a;
  if (a.isNegative)
    return {Result::NotANumber};
  if (a.kind == Result::Infinity)
    return a;
  UWide p = UWide(a.value.digits);
  int exponent = a.value.exponent;
  while (!(p >> 124))
    p <<= 1, --exponent;
  if (exponent & 1)
    p <<= 1, --exponent;
  UWide result = 0;
  for (int bit = 63; bit >= 0; --bit)
    if (UWide next = result | UWide(1) << bit; next * next <= p)
      result = next;
  Result r;
  r.value = {Wide(result << 1 | (result * result != p)), exponent / 2 - 1};
  return r;
}

uint64_t flush32(uint64_t bits) {
  return bits & 0x7f800000 ? bits : bits & 0x80000000;
}
uint64_t saturate32(uint64_t bits) {
  return F32.isNaN(bits) || bits >> 31 ? 0 : std::min(bits, f(1));
}

struct FloatTableTest : OpcodeTest {
  std::mt19937_64 random{23};

  /// Numbers of near exponents, with the special values among them.
  uint64_t operand(Format format, int spread) {
    uint64_t digits = random() & ((uint64_t(1) << format.mantissaBits) - 1);
    if (random() % 4 == 0)
      digits &= digits << random() % format.mantissaBits;
    uint64_t field = uint64_t(format.bias() - spread +
                              int(random() % unsigned(2 * spread + 1)));
    uint64_t sign = random() % 2 ? format.sign() : 0;
    switch (random() % 24) {
    case 0:
      return sign;
    case 1:
      return sign | format.infinity();
    case 2:
      return sign | format.infinity() | 1;
    default:
      return sign | field << format.mantissaBits | digits;
    }
  }

  /// Compares in both formats and all modes. NaN in f64 may have any digits.
  template <class F>
  void compare(const std::string &opcode, const std::string &suffix,
               unsigned sources, int spread, F expected) {
    for (Format format : {F32, F64}) {
      bool isSingle = format.mantissaBits == 23;
      bool onlySingle = suffix.size() > 0;
      if (onlySingle && !isSingle)
        continue;
      bool flushes = suffix.find("ftz") != std::string::npos;
      bool saturates = suffix.find("sat") != std::string::npos;
      for (auto &mode : modes) {
        std::vector<Row> rows;
        while (rows.size() < 300) {
          uint64_t v[3];
          Result r[3];
          for (int i = 0; i < 3; ++i) {
            v[i] = operand(format, spread);
            r[i] = read(flushes ? flush32(v[i]) : v[i], format);
          }
          uint64_t want =
              write(expected(r[0], r[1], r[2], mode.mode), format, mode.mode);
          if (!isSingle && want == NaN64)
            continue;
          want = flushes ? flush32(want) : want;
          rows.push_back(
              {v[0], v[1], v[2], saturates ? saturate32(want) : want});
        }
        char letter = isSingle ? 'r' : 'd';
        std::string code =
            opcode + "." + mode.name + suffix + (isSingle ? ".f32 " : ".f64 ");
        for (unsigned i = 0; i <= sources; ++i)
          code += std::string(i ? ", %" : "%") + letter + std::to_string(i);
        check(code + ";", letter, rows);
      }
    }
  }
};

// Guards the four operations and fma in all roundings, with flushed subnormals
// and results clamped to [0, 1].
TEST_F(FloatTableTest, ArithmeticInAllModes) {
  for (const char *suffix : {"", ".ftz", ".sat", ".ftz.sat"}) {
    compare("add", suffix, 2, 25, [](Result a, Result b, Result, Mode mode) {
      return plus(a, b, mode);
    });
    compare("sub", suffix, 2, 25, [](Result a, Result b, Result, Mode mode) {
      b.isNegative ^= true;
      b.value.digits = -b.value.digits;
      return plus(a, b, mode);
    });
    compare("mul", suffix, 2, 60,
            [](Result a, Result b, Result, Mode) { return times(a, b); });
    for (const char *opcode : {"fma", "mad"})
      compare(opcode, suffix, 3, 5,
              [](Result a, Result b, Result c, Mode mode) {
                return plus(times(a, b), c, mode);
              });
  }
}

// Guards division, reciprocals and roots in all roundings.
TEST_F(FloatTableTest, QuotientsAndRootsInAllModes) {
  for (const char *suffix : {"", ".ftz"}) {
    compare("div", suffix, 2, 62,
            [](Result a, Result b, Result, Mode) { return over(a, b); });
    compare("rcp", suffix, 1, 126, [](Result a, Result, Result, Mode) {
      Result one;
      one.value = {1, 0};
      return over(one, a);
    });
    compare("sqrt", suffix, 1, 126,
            [](Result a, Result, Result, Mode) { return root(a); });
  }
}

// Guards ends of the range: overflow, gradual underflow and the flush.
TEST_F(FloatTableTest, EndsOfTheRange) {
  uint64_t most = 0x7f7fffff, least = 1, normal = 0x00800000, inf = 0x7f800000,
           sign = 0x80000000;
  check("mul.rn.f32 %r0, %r1, %r2;", 'r',
        {{most, f(2), 0, inf},
         {normal, f(0.5f), 0, normal >> 1},
         {least, f(0.5f), 0, 0},
         {least, f(0.75f), 0, 1},
         {least | sign, f(0.5f), 0, sign}});
  check("mul.rz.f32 %r0, %r1, %r2;", 'r',
        {{most, f(2), 0, most}, {least, f(0.75f), 0, 0}});
  check("mul.rp.f32 %r0, %r1, %r2;", 'r',
        {{most | sign, f(2), 0, most | sign}, {least, f(0.5f), 0, 1}});
  check("mul.rm.f32 %r0, %r1, %r2;", 'r',
        {{most | sign, f(2), 0, inf | sign},
         {least | sign, f(0.5f), 0, 1 | sign}});
  check("mul.rn.ftz.f32 %r0, %r1, %r2;", 'r',
        {{normal, f(0.5f), 0, 0}, {least, most, 0, 0}});
  check("add.rm.f32 %r0, %r1, %r2;", 'r',
        {{f(1), f(-1), 0, sign}, {0, sign, 0, sign}});
  check("add.rn.f32 %r0, %r1, %r2;", 'r',
        {{f(1), f(-1), 0, 0}, {0, sign, 0, 0}, {sign, sign, 0, sign}});
}

// Guards every comparison of floats, ordered and not, in all types.
TEST_F(FloatTableTest, Comparisons) {
  const struct {
    const char *name;
    int holds; ///< Bits: less, equal, greater, unordered.
  } rows[] = {{"eq", 2},   {"ne", 5},   {"lt", 1},   {"le", 3},  {"gt", 4},
              {"ge", 6},   {"equ", 10}, {"neu", 13}, {"ltu", 9}, {"leu", 11},
              {"gtu", 12}, {"geu", 14}, {"num", 7},  {"nan", 8}};
  const struct {
    const char *name;
    Format format;
    char letter;
  } types[] = {{"f16", F16, 'h'},
               {"bf16", BF16, 'h'},
               {"f32", F32, 'r'},
               {"f64", F64, 'd'}};
  for (auto &type : types) {
    std::vector<std::pair<uint64_t, uint64_t>> pairs;
    Format format = type.format;
    uint64_t one = uint64_t(format.bias()) << format.mantissaBits;
    std::vector<uint64_t> values = {
        0, 1, one, one + 1, format.infinity(), format.infinity() | 1};
    for (size_t i = values.size(); i-- > 0;)
      values.push_back(values[i] | format.sign());
    for (uint64_t a : values)
      for (uint64_t b : values)
        pairs.push_back({a, b});
    auto order = [&](uint64_t a, uint64_t b) {
      if (format.isNaN(a) || format.isNaN(b))
        return 8;
      auto key = [&](uint64_t v) {
        int64_t size = int64_t(format.size(v));
        return v & format.sign() ? -size : size;
      };
      return key(a) < key(b) ? 1 : key(a) == key(b) ? 2 : 4;
    };
    for (auto &row : rows) {
      std::vector<Row> table;
      for (auto [a, b] : pairs)
        table.push_back({a, b, 0, (row.holds & order(a, b)) != 0});
      std::string operands =
          std::string(", %") + type.letter + "1, %" + type.letter + "2;";
      std::string suffix = std::string(row.name) + "." + type.name;
      check("setp." + suffix + " %p0" + operands, 'p', table);
      for (Row &entry : table)
        entry.expected = entry.expected ? 0xffffffff : 0;
      check("set." + std::string(row.name) + ".u32." + type.name + " %r0" +
                operands,
            'r', table);
    }
  }
}

struct Approximation {
  const char *code;
  double (*reference)(double);
  double low, high, relative, absolute;
};

// Guards the approximations over their whole range, within what PTX documents.
TEST_F(FloatTableTest, Approximations) {
  const Approximation rows[] = {
      {"ex2.approx.f32", std::exp2, -126, 128, 0x1p-22, 0},
      {"ex2.approx.ftz.f32", std::exp2, -126, 128, 0x1p-22, 0},
      {"lg2.approx.f32", std::log2, 0x1p-126, 0x1p126, 0x1p-22, 0x1p-22},
      {"sin.approx.f32", std::sin, -6.28, 6.28, 0, 0x1p-20},
      {"cos.approx.f32", std::cos, -6.28, 6.28, 0, 0x1p-20},
      {"tanh.approx.f32", std::tanh, -10, 10, 0x1p-11, 0},
      {"rcp.approx.f32", [](double x) { return 1 / x; }, -0x1p120, 0x1p120,
       0x1p-23, 0},
      {"sqrt.approx.f32", std::sqrt, 0, 0x1p120, 0x1p-23, 0},
      {"rsqrt.approx.f32", [](double x) { return 1 / std::sqrt(x); }, 0x1p-100,
       0x1p100, 0x1.126p-23, 0},
  };
  std::uniform_real_distribution<double> unit(0, 1);
  for (const Approximation &row : rows) {
    std::vector<Row> table;
    for (int i = 0; i < 900; ++i) {
      double u = unit(random);
      double x = row.low + u * (row.high - row.low);
      if (row.high > 1e20) // Spread over exponents.
        x = std::exp2(std::log2(row.high) * (2 * u - 1)) *
            (row.low < 0 && i % 2 ? -1 : 1);
      table.push_back({f(float(x)), 0, 0, 0});
    }
    auto got = results(std::string(row.code) + " %r0, %r1;", 'r', table);
    for (size_t i = 0; i < table.size(); ++i) {
      double x = std::bit_cast<float>(uint32_t(table[i].a));
      double want = row.reference(x);
      if (std::fabs(want) < 0x1p-126 || std::fabs(want) > 0x1p127)
        continue;
      EXPECT_NEAR(std::bit_cast<float>(uint32_t(got[i])), want,
                  row.relative * std::fabs(want) + row.absolute)
          << row.code << " " << x;
    }
  }
}

// Guards zeros, infinities and NaN of the approximations.
TEST_F(FloatTableTest, ApproximationsOfSpecialValues) {
  uint64_t inf = f(INFINITY), minus = f(-INFINITY), nan = 0x7fc00000,
           zero = f(-0.0f);
  auto table = [&](const char *opcode, std::vector<uint64_t> expected) {
    std::vector<Row> rows;
    const uint64_t values[] = {0, zero, inf, minus, nan};
    for (size_t i = 0; i < expected.size(); ++i)
      rows.push_back({values[i], 0, 0, expected[i]});
    check(std::string(opcode) + " %r0, %r1;", 'r', rows);
  };
  table("ex2.approx.f32", {f(1), f(1), inf, 0, NaN32});
  table("lg2.approx.f32", {minus, minus, inf, NaN32, NaN32});
  table("sin.approx.f32", {0, zero, NaN32, NaN32, NaN32});
  table("cos.approx.f32", {f(1), f(1), NaN32, NaN32, NaN32});
  table("tanh.approx.f32", {0, zero, f(1), f(-1), NaN32});
  table("rcp.approx.f32", {inf, minus, 0, zero, NaN32});
  table("sqrt.approx.f32", {0, zero, inf, NaN32, NaN32});
  table("rsqrt.approx.f32", {inf, minus, 0, NaN32, NaN32});
  // Subnormal sources are flushed, and only with the modifier.
  check("lg2.approx.ftz.f32 %r0, %r1;", 'r', {{1, 0, 0, minus}});
  check("lg2.approx.f32 %r0, %r1;", 'r', {{1, 0, 0, f(-149)}});
  check("rcp.approx.ftz.f32 %r0, %r1;", 'r', {{1, 0, 0, inf}});
  check("ex2.approx.ftz.f32 %r0, %r1;", 'r', {{f(-130), 0, 0, 0}});
  check("ex2.approx.f32 %r0, %r1;", 'r', {{f(-130), 0, 0, f(0x1p-130f)}});
}

// Guards approximations on halves: rounded once from the exact value.
TEST_F(FloatTableTest, ApproximationsOfHalves) {
  const struct {
    const char *code;
    double (*reference)(double);
    Format format;
  } rows[] = {{"ex2.approx.f16", std::exp2, F16},
              {"tanh.approx.f16", std::tanh, F16},
              {"ex2.approx.ftz.bf16", std::exp2, BF16},
              {"tanh.approx.bf16", std::tanh, BF16}};
  for (auto &row : rows) {
    std::vector<Row> table, packed;
    for (int i = 0; i < 900; ++i) {
      uint64_t bits =
          operand(row.format, row.format.mantissaBits == 10 ? 4 : 6);
      if (!row.format.isNaN(bits))
        table.push_back({bits, 0, 0, 0});
    }
    for (size_t i = 0; i + 1 < table.size(); i += 2)
      packed.push_back({table[i].a | table[i + 1].a << 16, 0, 0, 0});
    auto got = results(std::string(row.code) + " %h0, %h1;", 'h', table);
    auto pairs = results(std::string(row.code) + "x2 %r0, %r1;", 'r', packed);
    auto number = [&](uint64_t bits) {
      if (row.format.isInfinite(bits))
        return bits & 0x8000 ? -double(INFINITY) : double(INFINITY);
      Value value = decode(bits, row.format);
      return std::ldexp(double(value.digits), value.exponent);
    };
    double unit = std::ldexp(1, -row.format.mantissaBits);
    for (size_t i = 0; i < table.size(); ++i) {
      double want = row.reference(number(table[i].a));
      double least = std::ldexp(1, 1 - row.format.bias());
      if (std::isfinite(want) && want < 60000)
        EXPECT_NEAR(number(got[i]), want,
                    unit * std::max(std::fabs(want), least))
            << row.code << " " << number(table[i].a);
      uint64_t half = pairs[std::min(i / 2, pairs.size() - 1)];
      if (i / 2 < pairs.size())
        EXPECT_EQ(i % 2 ? half >> 16 : half & 0xffff, got[i]);
    }
  }
}

// Guards the properties of numbers.
TEST_F(FloatTableTest, Properties) {
  const char *const names[] = {"finite",     "infinite", "number",
                               "notanumber", "normal",   "subnormal"};
  for (Format format : {F32, F64}) {
    std::string type =
        format.mantissaBits == 23 ? ".f32 %p0, %r1;" : ".f64 %p0, %d1;";
    const struct {
      uint64_t size;
      int holds;                 ///< A bit for each name.
    } values[] = {{0, 0b010101}, // Zeros are normal numbers in PTX.
                  {1, 0b100101},
                  {(uint64_t(1) << format.mantissaBits) - 1, 0b100101},
                  {uint64_t(1) << format.mantissaBits, 0b010101},
                  {format.infinity() - 1, 0b010101},
                  {format.infinity(), 0b000110},
                  {format.infinity() + 1, 0b001000}};
    for (int i = 0; i < 6; ++i) {
      std::vector<Row> rows;
      for (auto &value : values)
        for (uint64_t sign : {uint64_t(0), format.sign()})
          rows.push_back(
              {value.size | sign, 0, 0, uint64_t(value.holds >> i & 1)});
      check(std::string("testp.") + names[i] + type, 'p', rows);
    }
  }
}

} // namespace
