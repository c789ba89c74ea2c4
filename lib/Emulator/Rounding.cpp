//===- Rounding.cpp - Float formats and roundings ---------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The volatile variables keep the arithmetic between the two changes of the
// rounding mode.
//
//===----------------------------------------------------------------------===//

#include "Rounding.h"

#include <bit>
#include <cfenv>
#include <cmath>

using namespace ropewalk::emulator;

namespace {

int environmentMode(Rounding mode) {
  switch (mode) {
  case Rounding::Zero:
    return FE_TOWARDZERO;
  case Rounding::Down:
    return FE_DOWNWARD;
  case Rounding::Up:
    return FE_UPWARD;
  default:
    return FE_TONEAREST;
  }
}

template <class T>
__attribute__((noinline)) T rounded(char operation, T a, T b, T c,
                                    Rounding mode) {
  volatile T x = a, y = b, z = c, result;
  std::fesetround(environmentMode(mode));
  T p = x, q = y, r = z;
  switch (operation) {
  case '+':
    result = p + q;
    break;
  case '-':
    result = p - q;
    break;
  case '*':
    result = p * q;
    break;
  case '/':
    result = p / q;
    break;
  case 's':
    result = std::sqrt(p);
    break;
  default:
    result = std::fma(p, q, r);
    break;
  }
  std::fesetround(FE_TONEAREST);
  return result;
}

} // namespace

float ropewalk::emulator::roundedFloat(char operation, float a, float b,
                                       float c, Rounding mode) {
  return rounded<float>(operation, a, b, c, mode);
}

double ropewalk::emulator::roundedDouble(char operation, double a, double b,
                                         double c, Rounding mode) {
  return rounded<double>(operation, a, b, c, mode);
}

uint32_t ropewalk::emulator::encodeFloat(double value, FloatFormat format,
                                         Rounding mode) {
  const int mantissa = format.mantissaBits;
  const int bias = (1 << (format.exponentBits - 1)) - 1;
  const uint32_t infinity = ((1u << format.exponentBits) - 1) << mantissa;
  const uint32_t sign =
      std::signbit(value) ? 1u << (format.exponentBits + mantissa) : 0;
  if (std::isnan(value))
    return format.nan;
  double magnitude = std::fabs(value);
  if (std::isinf(value))
    return sign | infinity;
  if (magnitude == 0)
    return sign;
  int exponent = std::ilogb(magnitude);
  // Weight of the last kept bit; subnormals share the smallest.
  int last = std::max(exponent, 1 - bias) - mantissa;
  double scaled = std::ldexp(magnitude, -last); // < 2^(mantissa + 1), exact
  double kept = std::floor(scaled);
  double rest = scaled - kept;
  bool up = false;
  switch (mode) {
  case Rounding::NearestEven:
    up = rest > 0.5 || (rest == 0.5 && std::fmod(kept, 2.0) != 0);
    break;
  case Rounding::NearestAway:
    up = rest >= 0.5;
    break;
  case Rounding::Zero:
    break;
  case Rounding::Down:
    up = sign && rest > 0;
    break;
  case Rounding::Up:
    up = !sign && rest > 0;
    break;
  }
  uint64_t digits = uint64_t(kept) + up;
  // The hidden bit carries into the exponent field by itself.
  int field = last + mantissa + bias; // 1 for subnormals
  uint64_t bits = (uint64_t(field - 1) << mantissa) + digits;
  if (bits >= infinity) {
    bool toInfinity =
        mode == Rounding::NearestEven || mode == Rounding::NearestAway ||
        (mode == Rounding::Up && !sign) || (mode == Rounding::Down && sign);
    return sign | (toInfinity ? infinity : infinity - 1);
  }
  return sign | uint32_t(bits);
}

double ropewalk::emulator::decodeFloat(uint32_t bits, FloatFormat format) {
  const int mantissa = format.mantissaBits;
  const int bias = (1 << (format.exponentBits - 1)) - 1;
  uint32_t field = bits >> mantissa & ((1u << format.exponentBits) - 1);
  uint32_t digits = bits & ((1u << mantissa) - 1);
  bool sign = bits >> (format.exponentBits + mantissa) & 1;
  double value;
  if (field == (1u << format.exponentBits) - 1)
    value = digits ? std::nan("") : INFINITY;
  else if (field == 0)
    value = std::ldexp(double(digits), 1 - bias - mantissa);
  else
    value = std::ldexp(double(digits | 1u << mantissa),
                       int(field) - bias - mantissa);
  return sign ? -value : value;
}

double ropewalk::emulator::fmaToOdd(double a, double b, double c) {
  // The product of two narrow numbers is exact; two-sum finds what the sum
  // loses.
  double product = a * b;
  double sum = product + c;
  if (!std::isfinite(sum))
    return sum;
  double part = sum - product;
  double lost = (product - (sum - part)) + (c - part);
  uint64_t bits = std::bit_cast<uint64_t>(sum);
  if (lost != 0 && !(bits & 1))
    bits += (lost > 0) == (sum > 0) ? 1 : uint64_t(-1);
  return std::bit_cast<double>(bits);
}

double ropewalk::emulator::roundIntegral(double value, Rounding mode) {
  switch (mode) {
  case Rounding::Zero:
    return std::trunc(value);
  case Rounding::Down:
    return std::floor(value);
  case Rounding::Up:
    return std::ceil(value);
  case Rounding::NearestAway:
    return std::round(value);
  default:
    break;
  }
  double down = std::floor(value);
  double rest = value - down;
  bool up = rest > 0.5 || (rest == 0.5 && std::fmod(down, 2.0) != 0);
  // Keeps the sign of zero.
  return std::copysign(up ? down + 1 : down, value);
}
