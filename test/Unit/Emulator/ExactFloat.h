//===- ExactFloat.h - Floats as integers with 128 bits ----------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Reference arithmetic for tests: values are exact, and one function rounds
// them to a format in any mode.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_UNIT_EMULATOR_EXACTFLOAT_H
#define ROPEWALK_UNIT_EMULATOR_EXACTFLOAT_H

#include <algorithm>
#include <cstdint>

namespace ropewalk::emulator::exact {

using Wide = __int128;
using UWide = unsigned __int128;

enum class Mode { Nearest, Zero, Down, Up, Away };

struct Format {
  int exponentBits, mantissaBits;

  int bias() const { return (1 << (exponentBits - 1)) - 1; }
  uint64_t sign() const { return uint64_t(1) << (exponentBits + mantissaBits); }
  uint64_t infinity() const {
    return ((uint64_t(1) << exponentBits) - 1) << mantissaBits;
  }
  uint64_t size(uint64_t bits) const { return bits & (sign() - 1); }
  bool isNaN(uint64_t bits) const { return size(bits) > infinity(); }
  bool isInfinite(uint64_t bits) const { return size(bits) == infinity(); }
};
constexpr Format F16{5, 10}, BF16{8, 7}, F32{8, 23}, F64{11, 52};

/// value = digits * 2^exponent
struct Value {
  Wide digits;
  int exponent;
};

inline Value decode(uint64_t bits, Format format) {
  int field = int(format.size(bits) >> format.mantissaBits);
  Wide digits = bits & ((uint64_t(1) << format.mantissaBits) - 1);
  if (field)
    digits |= uint64_t(1) << format.mantissaBits;
  int exponent = std::max(field, 1) - format.bias() - format.mantissaBits;
  return {bits & format.sign() ? -digits : digits, exponent};
}

/// The exponents must lie close enough for 128 bits.
inline Value add(Value a, Value b) {
  if (a.digits == 0 || b.digits == 0)
    return a.digits ? a : b;
  if (a.exponent < b.exponent)
    std::swap(a, b);
  return {(a.digits << (a.exponent - b.exponent)) + b.digits, b.exponent};
}

/// size * 2^-drop rounded to an integer; `isNegative` for the directed modes.
inline UWide roundShift(UWide size, int drop, bool isNegative, Mode mode) {
  if (drop <= 0)
    return size << -drop;
  UWide kept = drop < 128 ? size >> drop : 0;
  UWide rest = drop < 128 ? size - (kept << drop) : size;
  UWide half = drop <= 128 ? UWide(1) << (drop - 1) : 0;
  // Beyond 128 digits everything lies below one half.
  bool isAbove = half && rest > half, isTie = half && rest == half;
  switch (mode) {
  case Mode::Nearest:
    return kept + (isAbove || (isTie && (kept & 1)));
  case Mode::Away:
    return kept + (isAbove || isTie);
  case Mode::Down:
    return kept + (isNegative && rest);
  case Mode::Up:
    return kept + (!isNegative && rest);
  default:
    return kept;
  }
}

/// A zero gets the sign `zeroSign`.
inline uint64_t encode(Value value, Format format, Mode mode = Mode::Nearest,
                       uint64_t zeroSign = 0) {
  bool isNegative = value.digits < 0;
  uint64_t sign = isNegative ? format.sign() : 0;
  UWide size = isNegative ? -UWide(value.digits) : UWide(value.digits);
  if (size == 0)
    return zeroSign;
  int top = 0;
  while (top < 127 && size >> (top + 1))
    ++top;
  int least = 1 - format.bias() - format.mantissaBits;
  int last = std::max(top + value.exponent - format.mantissaBits, least);
  UWide kept = roundShift(size, last - value.exponent, isNegative, mode);
  UWide bits = (UWide(uint64_t(last - least)) << format.mantissaBits) + kept;
  if (bits >= format.infinity()) {
    bool toInfinity = mode == Mode::Nearest || mode == Mode::Away ||
                      mode == (isNegative ? Mode::Down : Mode::Up);
    return sign | (format.infinity() - !toInfinity);
  }
  return sign | uint64_t(bits);
}

} // namespace ropewalk::emulator::exact

#endif // ROPEWALK_UNIT_EMULATOR_EXACTFLOAT_H
