//===- Rounding.h - Float formats and roundings -----------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Scalar helpers for what the host has no instruction for: arithmetic in other
// rounding modes than to-nearest, and encoding a double in a narrow format.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_LIB_EMULATOR_ROUNDING_H
#define ROPEWALK_LIB_EMULATOR_ROUNDING_H

#include <cstdint>

namespace ropewalk::emulator {

enum class Rounding : uint8_t {
  NearestEven,
  Zero,
  Down,
  Up,
  NearestAway, ///< Conversions only.
};

/// Arithmetic of the host in a rounding mode. `operation` is one of + - * / f
/// (a * b + c) and s (square root of a).
float roundedFloat(char operation, float a, float b, float c, Rounding mode);
double roundedDouble(char operation, double a, double b, double c,
                     Rounding mode);

/// A binary float format with IEEE infinities and NaN.
struct FloatFormat {
  uint8_t exponentBits;
  uint8_t mantissaBits;
  uint32_t nan; ///< The canonical NaN.
};
constexpr FloatFormat Half{5, 10, 0x7fff};
constexpr FloatFormat BFloat{8, 7, 0x7fff};
constexpr FloatFormat Single{8, 23, 0x7fffffff};
constexpr FloatFormat TFloat32{8, 10, 0x3ffff};

/// Rounds `value` to `format` and returns its bits. Overflow goes to infinity
/// or the largest number as the mode says.
uint32_t encodeFloat(double value, FloatFormat format, Rounding mode);
double decodeFloat(uint32_t bits, FloatFormat format);

/// a * b + c rounded to odd in double: a second rounding to a format of at
/// most 50 bits is then exact.
double fmaToOdd(double a, double b, double c);

/// Rounds to an integral value.
double roundIntegral(double value, Rounding mode);

} // namespace ropewalk::emulator

#endif // ROPEWALK_LIB_EMULATOR_ROUNDING_H
