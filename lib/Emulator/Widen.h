//===- Widen.h - Narrow types of tensor cores to f32 ------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Conversions of vectors of 32-bit words that hold packed elements, the lowest
// bits first. All are exact, subnormal numbers included. The two 8-bit float
// formats go through f16, for which hosts have an instruction that knows no
// slow path for subnormal numbers: e5m2 is the upper half of an f16, and the
// bits of an e4m3, moved into place, make an f16 of 2^-8 of its value.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_LIB_EMULATOR_WIDEN_H
#define ROPEWALK_LIB_EMULATOR_WIDEN_H

#include "Fragments.h"

namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA {

/// Calls `function` with the type as a compile-time constant.
template <class F> ROPEWALK_INLINE void withType(TensorType type, F function) {
  using enum TensorType;
  switch (type) {
  case F16:
    return function(std::integral_constant<TensorType, F16>());
  case BF16:
    return function(std::integral_constant<TensorType, BF16>());
  case TF32:
    return function(std::integral_constant<TensorType, TF32>());
  case E4M3:
    return function(std::integral_constant<TensorType, E4M3>());
  case E5M2:
    return function(std::integral_constant<TensorType, E5M2>());
  case S8:
    return function(std::integral_constant<TensorType, S8>());
  case U8:
    return function(std::integral_constant<TensorType, U8>());
  case S4:
    return function(std::integral_constant<TensorType, S4>());
  case U4:
    return function(std::integral_constant<TensorType, U4>());
  }
}

ROPEWALK_INLINE Column<float> halfToFloat(Column<uint16_t> bits) {
  return __builtin_convertvector(as<Column<_Float16>>(bits), Column<float>);
}
/// Rounds to nearest even; the upper halves of the words are 0.
ROPEWALK_INLINE Column<uint32_t> halfBits(Column<float> value) {
  Column<uint16_t> bits =
      as<Column<uint16_t>>(__builtin_convertvector(value, Column<_Float16>));
  // The canonical NaN of f16.
  bits = __builtin_convertvector(value != value, Column<int16_t>) != 0
             ? Column<uint16_t>(0x7fff)
             : bits;
  return __builtin_convertvector(bits, Column<uint32_t>);
}

/// Element `index` of each word.
template <TensorType Type>
ROPEWALK_INLINE Column<float> widenElement(Column<uint32_t> words,
                                           unsigned index) {
  using enum TensorType;
  constexpr unsigned Bits = 128 / coreElements(Type);
  if constexpr (Type == TF32)
    return as<Column<float>>(words & 0xffffe000u);
  if constexpr (Type == BF16)
    return as<Column<float>>(index ? words & 0xffff0000u : words << 16);
  Column<uint32_t> low = words >> (index * Bits);
  if constexpr (Type == F16)
    return halfToFloat(__builtin_convertvector(low, Column<uint16_t>));
  if constexpr (Type == E5M2)
    return halfToFloat(
        __builtin_convertvector((low & 255u) << 8, Column<uint16_t>));
  if constexpr (Type == E4M3) {
    Column<uint32_t> half = (low & 127u) << 7 | (low & 128u) << 8;
    Column<float> value =
        halfToFloat(__builtin_convertvector(half, Column<uint16_t>)) * 256.0f;
    return (low & 127u) == 127u
               ? as<Column<float>>(Column<uint32_t>(0x7fffffff))
               : value;
  }
  if constexpr (Type == U8 || Type == U4)
    return __builtin_convertvector(low & ((1u << Bits) - 1), Column<float>);
  return __builtin_convertvector(
      as<Column<int32_t>>(words << (32 - Bits - index * Bits)) >> (32 - Bits),
      Column<float>);
}

/// Columns of A from two core matrices.
template <TensorType Type>
ROPEWALK_INLINE void widenColumns(Vec<uint32_t> top, Vec<uint32_t> bottom,
                                  float *a) {
  constexpr unsigned PerWord = coreElements(Type) / 4;
  Column<uint32_t> words[4];
  gatherColumns<uint32_t>(top, bottom, words);
  if constexpr (Type == TensorType::F16) {
    // One permutation splits the halves of all words.
    for (unsigned t = 0; t < 4; ++t) {
      Vec<uint16_t> halves = as<Vec<uint16_t>>(words[t]);
      halves = __builtin_shufflevector(
          halves, halves, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28,
          30, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
      Column<float> low = halfToFloat(halves.lo), high = halfToFloat(halves.hi);
      std::memcpy(a + 2 * t * TileRows, &low, sizeof low);
      std::memcpy(a + (2 * t + 1) * TileRows, &high, sizeof high);
    }
    return;
  }
#pragma unroll
  for (unsigned t = 0; t < 4; ++t)
#pragma unroll
    for (unsigned i = 0; i < PerWord; ++i) {
      Column<float> column = widenElement<Type>(words[t], i);
      std::memcpy(a + (t * PerWord + i) * TileRows, &column, sizeof column);
    }
}

/// 8 columns of B from a core matrix.
template <TensorType Type>
ROPEWALK_INLINE void widenCore(const void *core, float *b, unsigned stride) {
  constexpr unsigned PerRow = coreElements(Type), PerWord = PerRow / 4;
  // Consecutive elements of 16 words or 16 elements at a time.
  const std::byte *bytes = static_cast<const std::byte *>(core);
  if constexpr (Type == TensorType::F16) {
    for (unsigned pair = 0; pair < 4; ++pair) {
      Column<uint16_t> bits;
      std::memcpy(&bits, bytes + pair * 32, sizeof bits);
      Column<float> value = halfToFloat(bits);
      std::memcpy(b + 2 * pair * stride, &value, 32);
      std::memcpy(b + (2 * pair + 1) * stride,
                  reinterpret_cast<const std::byte *>(&value) + 32, 32);
    }
    return;
  }
  for (unsigned half = 0; half < 2; ++half) {
    Column<uint32_t> words;
    std::memcpy(&words, bytes + half * 64, sizeof words);
    alignas(64) float elements[PerWord][TileRows];
    for (unsigned i = 0; i < PerWord; ++i) {
      Column<float> value = widenElement<Type>(words, i);
      std::memcpy(elements[i], &value, sizeof value);
    }
    for (unsigned row = 0; row < 4; ++row)
      for (unsigned k = 0; k < PerRow; ++k)
        b[(half * 4 + row) * stride + k] =
            elements[k % PerWord][row * 4 + k / PerWord];
  }
}

} // namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA

#endif // ROPEWALK_LIB_EMULATOR_WIDEN_H
