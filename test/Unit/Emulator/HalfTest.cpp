//===- HalfTest.cpp - f16 and bf16 against exact arithmetic -----*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Random operands, subnormals and infinities among them, against integer
// arithmetic with 128 bits and one rounding.
//
//===----------------------------------------------------------------------===//

#include "ExactFloat.h"
#include "OpcodeHarness.h"

using namespace ropewalk::emulator;
using namespace ropewalk::emulator::exact;

namespace {

constexpr uint32_t CanonicalNaN = 0x7fff;

/// a * b + c; `hasSum` is false for a product alone.
uint32_t fused(uint32_t a, uint32_t b, uint32_t c, Format format,
               bool hasSum = true) {
  if (format.isNaN(a) || format.isNaN(b) || (hasSum && format.isNaN(c)))
    return CanonicalNaN;
  uint32_t sign = (a ^ b) & 0x8000;
  bool isInfinite = format.isInfinite(a) || format.isInfinite(b);
  if (isInfinite && ((a & 0x7fff) == 0 || (b & 0x7fff) == 0))
    return CanonicalNaN;
  if (hasSum && format.isInfinite(c))
    return isInfinite && sign != (c & 0x8000) ? CanonicalNaN : c;
  if (isInfinite)
    return sign | uint32_t(format.infinity());
  Value x = decode(a, format), y = decode(b, format);
  Value product{x.digits * y.digits, x.exponent + y.exponent};
  if (!hasSum)
    return uint32_t(encode(product, format, Mode::Nearest, sign));
  // A zero sum is negative only if both parts are.
  return uint32_t(encode(add(product, decode(c, format)), format, Mode::Nearest,
                         sign & c & 0x8000));
}

struct HalfTest : OpcodeTest {
  std::mt19937 random{7};

  uint32_t operand(Format format) {
    uint32_t bits = random() & 0xffff;
    if (format.exponentBits == 8 && random() % 8) {
      // Exponents close enough for 128 bits.
      uint32_t field = 127 - 20 + random() % 40;
      bits = (bits & 0x807f) | field << 7;
    }
    if (random() % 16 == 0)
      bits = (bits & 0x8000) | (random() % 2 ? 0 : uint32_t(format.infinity()));
    return bits;
  }

  /// Whether all exponents fit the reference.
  static bool fits(Format format, uint32_t a, uint32_t b, uint32_t c) {
    if (format.exponentBits == 5)
      return true;
    int x = decode(a, format).exponent, y = decode(b, format).exponent;
    return std::abs(x + y - decode(c, format).exponent) < 90 &&
           std::abs(x - y) < 90;
  }

  template <class F>
  void compare(const std::string &opcode, unsigned sources, Format format,
               F expected) {
    std::string type = format.exponentBits == 5 ? "f16" : "bf16";
    std::vector<Row> rows, pairs;
    while (rows.size() < 1000) {
      uint32_t a = operand(format), b = operand(format), c = operand(format);
      if (fits(format, a, b, c))
        rows.push_back({a, b, c, expected(a, b, c)});
    }
    for (size_t i = 0; i + 1 < rows.size(); i += 2)
      pairs.push_back({rows[i].a | rows[i + 1].a << 16,
                       rows[i].b | rows[i + 1].b << 16,
                       rows[i].c | rows[i + 1].c << 16,
                       rows[i].expected | rows[i + 1].expected << 16});
    std::string list, packedList;
    for (unsigned i = 1; i <= sources; ++i) {
      list += ", %h" + std::to_string(i);
      packedList += ", %r" + std::to_string(i);
    }
    check(opcode + "." + type + " %h0" + list + ";", 'h', rows);
    check(opcode + "." + type + "x2 %r0" + packedList + ";", 'r', pairs);
  }
};

constexpr uint32_t One16 = 0x3c00, OneB = 0x3f80;

// Guards that each operation rounds once.
TEST_F(HalfTest, ArithmeticRoundsOnce) {
  for (Format format : {F16, BF16}) {
    uint32_t one = format.exponentBits == 5 ? One16 : OneB;
    compare("add.rn", 2, format, [&](uint32_t a, uint32_t b, uint32_t) {
      return fused(a, one, b, format);
    });
    compare("sub", 2, format, [&](uint32_t a, uint32_t b, uint32_t) {
      return fused(a, one, b ^ 0x8000, format);
    });
    compare("mul.rn", 2, format, [&](uint32_t a, uint32_t b, uint32_t) {
      return fused(a, b, 0, format, false);
    });
    compare("fma.rn", 3, format, [&](uint32_t a, uint32_t b, uint32_t c) {
      return fused(a, b, c, format);
    });
    compare("fma.rn.relu", 3, format, [&](uint32_t a, uint32_t b, uint32_t c) {
      uint32_t result = fused(a, b, c, format);
      return result & 0x8000 ? 0 : result;
    });
  }
}

// Guards the flush of subnormal sources and results, and the clamp to [0, 1].
TEST_F(HalfTest, FlushAndSaturate) {
  auto flush = [](uint32_t bits) {
    return bits & 0x7c00 ? bits : bits & 0x8000;
  };
  compare("fma.rn.ftz", 3, F16, [&](uint32_t a, uint32_t b, uint32_t c) {
    return flush(fused(flush(a), flush(b), flush(c), F16));
  });
  compare("mul.sat", 2, F16, [&](uint32_t a, uint32_t b, uint32_t) {
    uint32_t result = fused(a, b, 0, F16, false);
    return result & 0x8000 || F16.isNaN(result) ? 0 : std::min(result, One16);
  });
}

// Guards order, signed zeros and NaN in min and max.
TEST_F(HalfTest, MinMax) {
  for (Format format : {F16, BF16}) {
    // Sign and magnitude, so that -0 lies below +0.
    auto key = [](uint32_t bits) {
      return bits & 0x8000 ? -int(bits & 0x7fff) - 1 : int(bits);
    };
    auto least = [&](uint32_t a, uint32_t b) {
      return format.isNaN(a)   ? format.isNaN(b) ? CanonicalNaN : b
             : format.isNaN(b) ? a
             : key(a) < key(b) ? a
                               : b;
    };
    compare("min", 2, format,
            [&](uint32_t a, uint32_t b, uint32_t) { return least(a, b); });
    compare("max", 2, format, [&](uint32_t a, uint32_t b, uint32_t) {
      uint32_t result = least(a ^ 0x8000, b ^ 0x8000);
      return result == CanonicalNaN ? result : result ^ 0x8000;
    });
    compare("min.NaN", 2, format, [&](uint32_t a, uint32_t b, uint32_t) {
      return format.isNaN(a) || format.isNaN(b) ? CanonicalNaN : least(a, b);
    });
    compare("max.xorsign.abs", 2, format,
            [&](uint32_t a, uint32_t b, uint32_t) {
              uint32_t sign = (a ^ b) & 0x8000, x = a & 0x7fff, y = b & 0x7fff;
              if (format.isNaN(x) && format.isNaN(y))
                return CanonicalNaN;
              return sign | (format.isNaN(x)   ? y
                             : format.isNaN(y) ? x
                                               : std::max(x, y));
            });
    compare("neg", 1, format,
            [&](uint32_t a, uint32_t, uint32_t) { return a ^ 0x8000; });
    compare("abs", 1, format,
            [&](uint32_t a, uint32_t, uint32_t) { return a & 0x7fff; });
  }
}

// Guards sums whose last digit, beyond those of f32, decides a tie: rounded to
// f32 first, each would be the tie itself and go to the other side.
TEST_F(HalfTest, TiesThatSingleWouldMake) {
  check("fma.rn.f16 %h0, %h1, %h2, %h3;", 'h',
        {// 1 + 2^-10 + 2^-11 (1 - 2^-20) lies below the tie.
         {0x1001, 0x3bfe, 0x3c01, 0x3c01},
         {0x9001, 0x3bfe, 0xbc01, 0xbc01},
         // 1 + 2^-11 (1 + 2^-18) lies above it.
         {0x2784, 0x2442, 0x3c00, 0x3c01},
         {0x2784, 0xa442, 0xbc00, 0xbc01}});
}

// Guards the ends of bf16's range, which are those of f32; the results are
// those of rational arithmetic.
TEST_F(HalfTest, EndsOfTheRange) {
  check("mul.bf16 %h0, %h1, %h2;", 'h',
        {{0x1e81, 0x1d81, 0, 1}, // A little above half of the least number.
         {0x1e80, 0x1d80, 0, 0}, // Exactly half of it: to even.
         {0x1e81, 0x1dc1, 0, 1},
         {0x1dff, 0x1dff, 0, 0},
         {0x0101, 0x3e80, 0, 0x40},
         {0x0001, 0x4300, 0, 0x80}});
  check("fma.rn.bf16 %h0, %h1, %h2, %h3;", 'h',
        {{0x1a00, 0x1a00, 0x0001, 0x0001},
         {0x1e00, 0x1e00, 0x0001, 0x0002}, // A tie among subnormals.
         {0x1e01, 0x1e00, 0x0003, 0x0004},
         {0x7f7f, 0x4000, 0xff7f, 0x7f7f}, // The product alone overflows.
         {0x7f7f, 0x7f7f, 0xff7f, 0x7f80},
         {0x7f7f, 0x3f80, 0x7680, 0x7f7f},
         {0x7f7f, 0x3f80, 0x7b00, 0x7f80}}); // The last tie goes to infinity.
}

// Guards the forms that PTX does not have for these types.
TEST_F(HalfTest, RefusedForms) {
  auto errorOf = [](const std::string &body) {
    Error error;
    auto module = Module::parse(entryText(body, 1), error);
    return module ? "accepted" : error.message;
  };
  EXPECT_EQ(errorOf("add.ftz.bf16 %h1, %h2, %h3;"),
            "'add.ftz.bf16': '.ftz' or '.sat' on bf16 is not supported");
  EXPECT_EQ(errorOf("fma.f16 %h1, %h2, %h3, %h4;"),
            "'fma.f16': expected '.rn'");
  EXPECT_EQ(errorOf("fma.rn.sat.relu.f16 %h1, %h2, %h3, %h4;"),
            "'fma.rn.sat.relu.f16': '.sat' and '.relu' exclude each other");
  EXPECT_EQ(errorOf("fma.rn.oob.f16 %h1, %h2, %h3, %h4;"),
            "'fma.rn.oob.f16': modifier '.oob' is not supported");
  EXPECT_EQ(errorOf("div.f16 %h1, %h2, %h3;"),
            "'div.f16': 'div' on half-precision types is not supported");
  EXPECT_EQ(errorOf("add.f32.f16 %r1, %h2, %r3;"),
            "'add.f32.f16': modifier '.f32' is not supported");
  EXPECT_EQ(errorOf("ex2.approx.bf16 %h1, %h2;"),
            "'ex2.approx.bf16': 'ex2' on bf16 needs '.ftz'");
  EXPECT_EQ(errorOf("ex2.approx.ftz.f16 %h1, %h2;"),
            "'ex2.approx.ftz.f16': '.ftz' on f16 is not supported");
}

} // namespace
