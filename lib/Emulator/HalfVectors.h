//===- HalfVectors.h - f16 and bf16 on 32 lanes -----------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Widening, and narrowing with one rounding. A value that was rounded to odd in
// a format with at least two more digits rounds to nearest as the exact value
// would.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_LIB_EMULATOR_HALFVECTORS_H
#define ROPEWALK_LIB_EMULATOR_HALFVECTORS_H

#include "Lanes.h"

namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA {

using Halves = Vec<uint16_t>;

/// The sum's neighbour with an odd last digit, unless nothing was lost. `lost`
/// is the exact sum less `sum`.
template <class T> ROPEWALK_INLINE Vec<T> toOdd(Vec<T> sum, Vec<T> lost) {
  using I = IntOf<T>;
  Vec<I> bits = as<Vec<I>>(sum);
  // Away from zero where sum and loss have one sign.
  Vec<I> step =
      (as<Vec<I>>(lost) ^ bits) < I(0) ? (Vec<I>)(I(-1)) : (Vec<I>)(I(1));
  Vec<I> odd = (bits & I(1)) != I(0) ? bits : bits + step;
  // Infinities and NaN have no loss that is a number.
  Vec<T> zero = T(0);
  return ((lost < zero) | (lost > zero)) ? as<Vec<T>>(odd) : sum;
}

/// a + b rounded to odd; a zero sum is exact and keeps its sign.
template <class T> ROPEWALK_INLINE Vec<T> addToOdd(Vec<T> a, Vec<T> b) {
  Vec<T> sum = a + b;
  Vec<T> part = sum - a;
  Vec<T> lost = (a - (sum - part)) + (b - part);
  return toOdd<T>(sum, lost);
}

/// A double that is rounded to odd, rounded to odd once more.
ROPEWALK_INLINE Vec<float> narrowToOdd(Vec<double> value) {
  Vec<float> nearest = __builtin_convertvector(value, Vec<float>);
  Vec<double> back = __builtin_convertvector(nearest, Vec<double>);
  // The largest finite numbers lie an infinity away from an infinity.
  Vec<double> lost = value - back;
  Vec<int64_t> sign = as<Vec<int64_t>>(lost) >> int64_t(63);
  Vec<float> direction = __builtin_convertvector(
      lost == 0.0 ? (Vec<int64_t>)(0) : (sign | int64_t(1)), Vec<float>);
  direction = __builtin_convertvector(lost != lost, Vec<int32_t>) != 0
                  ? (Vec<float>)(0.0f)
                  : direction;
  return toOdd<float>(nearest, direction);
}

template <bool IsBFloat> struct HalfFormat {
  static constexpr uint16_t Exponent = IsBFloat ? 0x7f80 : 0x7c00;
  static constexpr uint16_t One = IsBFloat ? 0x3f80 : 0x3c00;

  static ROPEWALK_INLINE Vec<float> widen(Halves bits) {
    if constexpr (IsBFloat)
      return as<Vec<float>>(__builtin_convertvector(bits, Vec<uint32_t>) << 16);
    else
      return __builtin_convertvector(as<Vec<_Float16>>(bits), Vec<float>);
  }
  /// To nearest, ties to even; the canonical NaN.
  static ROPEWALK_INLINE Halves narrow(Vec<float> value) {
    Halves bits;
    if constexpr (IsBFloat) {
      Vec<uint32_t> wide = as<Vec<uint32_t>>(value);
      wide = (wide + 0x7fffu + (wide >> 16 & 1u)) >> 16;
      bits = __builtin_convertvector(wide, Halves);
    } else {
      bits = as<Halves>(__builtin_convertvector(value, Vec<_Float16>));
    }
    return select<uint16_t>(maskOf(value == value), bits,
                            (Halves)(uint16_t(0x7fff)));
  }
  static ROPEWALK_INLINE Halves flush(Halves bits) {
    return (bits & Exponent) == uint16_t(0) ? bits & uint16_t(0x8000) : bits;
  }
  /// Lanes are all ones for NaN.
  static ROPEWALK_INLINE Vec<int16_t> isNaN(Halves bits) {
    return (bits & uint16_t(0x7fff)) > Exponent;
  }
};

} // namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA

#endif // ROPEWALK_LIB_EMULATOR_HALFVECTORS_H
