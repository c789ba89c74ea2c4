//===- ElementTypeTest.cpp - Tests of element conversions -------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Guards the conversions between 16-bit floats and f32. The reference is the
// definition of the formats, evaluated in double precision, over every 16-bit
// input and over all boundaries between neighbouring 16-bit values.
//
//===----------------------------------------------------------------------===//

#include "Ropewalk/Runtime/ElementType.h"

#include <bit>
#include <cmath>
#include <gtest/gtest.h>
#include <limits>
#include <vector>

using namespace ropewalk::runtime;

namespace {

/// Value of a finite number with `mantissaBits` stored bits of mantissa.
double decode(uint16_t bits, int exponentBits, int mantissaBits) {
  int exponent = (bits >> mantissaBits) & ((1 << exponentBits) - 1);
  int mantissa = bits & ((1 << mantissaBits) - 1);
  int bias = (1 << (exponentBits - 1)) - 1;
  double sign = bits & 0x8000 ? -1.0 : 1.0;
  if (exponent == 0)
    return sign * std::ldexp(mantissa, 1 - bias - mantissaBits);
  return sign * std::ldexp(mantissa + (1 << mantissaBits),
                           exponent - bias - mantissaBits);
}

struct Format {
  const char *name;
  int exponentBits, mantissaBits;
  float (*widen)(uint16_t);
  uint16_t (*narrow)(float);

  uint16_t infinity() const {
    return static_cast<uint16_t>(((1 << exponentBits) - 1) << mantissaBits);
  }
};

class ConversionTest : public testing::TestWithParam<Format> {};

/// Every 16-bit pattern widens to its exact value and narrows back to itself.
TEST_P(ConversionTest, AllInputsRoundTrip) {
  const Format &format = GetParam();
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    uint16_t input = static_cast<uint16_t>(bits);
    uint16_t magnitude = input & 0x7fff;
    float wide = format.widen(input);
    ASSERT_EQ(std::signbit(wide), input >= 0x8000) << bits;
    if (magnitude > format.infinity()) {
      ASSERT_TRUE(std::isnan(wide)) << bits;
      uint16_t quiet = static_cast<uint16_t>(1 << (format.mantissaBits - 1));
      ASSERT_EQ(format.narrow(wide), input | quiet) << bits;
      continue;
    }
    if (magnitude == format.infinity())
      ASSERT_TRUE(std::isinf(wide)) << bits;
    else
      ASSERT_EQ(static_cast<double>(wide),
                decode(input, format.exponentBits, format.mantissaBits))
          << bits;
    ASSERT_EQ(format.narrow(wide), input) << bits;
  }
}

/// Between neighbours, narrowing takes the nearer one and, in the middle, the
/// even one; this covers subnormals, carries into the exponent and overflow.
TEST_P(ConversionTest, RoundsToNearestEven) {
  const Format &format = GetParam();
  for (uint32_t bits = 0; bits < format.infinity(); ++bits) {
    uint16_t low = static_cast<uint16_t>(bits), high = low + 1;
    double lowValue = decode(low, format.exponentBits, format.mantissaBits);
    double highValue = decode(high, format.exponentBits, format.mantissaBits);
    float middle = static_cast<float>((lowValue + highValue) / 2);
    // An f32 holds every middle exactly, the subnormal ones too.
    ASSERT_EQ(static_cast<double>(middle), (lowValue + highValue) / 2);
    uint16_t even = low % 2 ? high : low;
    for (uint16_t sign : {uint16_t(0), uint16_t(0x8000)}) {
      float s = sign ? -1.0f : 1.0f;
      float inf = std::numeric_limits<float>::infinity();
      ASSERT_EQ(format.narrow(s * middle), sign | even) << bits;
      ASSERT_EQ(format.narrow(s * std::nextafterf(middle, 0.0f)), sign | low)
          << bits;
      ASSERT_EQ(format.narrow(s * std::nextafterf(middle, inf)), sign | high)
          << bits;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Formats, ConversionTest,
    testing::Values(Format{"f16", 5, 10, halfToFloat, floatToHalf},
                    Format{"bf16", 8, 7, bfloatToFloat, floatToBfloat}),
    [](const auto &info) { return info.param.name; });

TEST(ElementType, NarrowingOverflowsToInfinity) {
  EXPECT_EQ(floatToHalf(65519.996f), 0x7bff);
  EXPECT_EQ(floatToHalf(65520.0f), 0x7c00);
  EXPECT_EQ(floatToHalf(-1e30f), 0xfc00);
  EXPECT_EQ(floatToBfloat(std::numeric_limits<float>::max()), 0x7f80);
}

/// Bulk conversion accepts addresses that a safetensors file may give.
TEST(ElementType, ConvertsUnalignedData) {
  std::vector<char> in(1 + 6), out(3 + 12);
  const uint16_t values[] = {0x3f80, 0xc040, 0x0000};
  std::copy_n(reinterpret_cast<const char *>(values), 6, in.data() + 1);
  convertElements(ElementType::BF16, in.data() + 1, ElementType::F32,
                  out.data() + 3, 3);
  float result[3];
  std::copy_n(out.data() + 3, 12, reinterpret_cast<char *>(result));
  EXPECT_EQ(result[0], 1.0f);
  EXPECT_EQ(result[1], -3.0f);
  EXPECT_EQ(result[2], 0.0f);
}

TEST(ElementType, NamesAreBijective) {
  for (int i = 0; i <= static_cast<int>(ElementType::F64); ++i) {
    auto type = static_cast<ElementType>(i);
    EXPECT_EQ(parseElementType(name(type)), type);
    EXPECT_EQ(parseSafeTensorsType(safeTensorsName(type)), type);
  }
  EXPECT_EQ(parseElementType("f128"), std::nullopt);
  EXPECT_EQ(parseElementType("F32"), std::nullopt);
}

/// A shape from a damaged file must not wrap around to a small size.
TEST(ElementType, SizesDoNotOverflow) {
  std::vector<int64_t> shape = {int64_t(1) << 31, int64_t(1) << 31, 2};
  EXPECT_EQ(byteSize(ElementType::I8, shape), std::nullopt);
  shape = {3, 0, 5};
  EXPECT_EQ(byteSize(ElementType::F32, shape), 0);
  shape = {2, -1};
  EXPECT_EQ(byteSize(ElementType::F32, shape), std::nullopt);
  EXPECT_EQ(byteSize(ElementType::F64, {}), 8);
}

} // namespace
