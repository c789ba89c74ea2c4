//===- Rotary.h - Tables of rotations ---------------------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The cosine and sine of a rotation by position p are the complex product
//
//   high[p / 4096] * low[p % 4096]      0 <= p < 2^24
//
// of two tables made in float64 and rounded to f32: low holds positions 0 to
// 4095, multiplied by the attention factor, high their multiples of 4096. The
// product is as accurate as f32 allows at every position, where an f32 angle
// would have lost all its fraction bits.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_RUNTIME_ROTARY_H
#define ROPEWALK_RUNTIME_ROTARY_H

#include <cstdint>
#include <span>
#include <vector>

namespace ropewalk::runtime {

inline constexpr int64_t kRotaryLevel = 4096;
/// Positions are below this.
inline constexpr int64_t kRotaryPositions = kRotaryLevel * kRotaryLevel;

/// One level: f32 [4096, P, 2], cosine before sine, where P is the number of
/// inverse frequencies. The angle at position p is p * frequency / unit;
/// `attentionFactor` multiplies the low level only.
std::vector<float> makeRotaryTable(std::span<const double> inverseFrequencies,
                                   double attentionFactor, int64_t unit,
                                   bool high);

} // namespace ropewalk::runtime

#endif // ROPEWALK_RUNTIME_ROTARY_H
