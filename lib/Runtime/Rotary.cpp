//===- Rotary.cpp - Tables of rotations -------------------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Angles reach 2^24 radians; the library's cosine and sine reduce them exactly,
// so the error is that of the float64 product, below 2^-29.
//
//===----------------------------------------------------------------------===//

#include "Ropewalk/Runtime/Rotary.h"

#include <cmath>

std::vector<float>
ropewalk::runtime::makeRotaryTable(std::span<const double> inverseFrequencies,
                                   double attentionFactor, int64_t unit,
                                   bool high) {
  std::vector<float> table;
  table.reserve(kRotaryLevel * inverseFrequencies.size() * 2);
  double factor = high ? 1.0 : attentionFactor;
  for (int64_t row = 0; row < kRotaryLevel; ++row) {
    auto position = static_cast<double>(high ? row * kRotaryLevel : row);
    for (double frequency : inverseFrequencies) {
      double angle = position * frequency / static_cast<double>(unit);
      table.push_back(static_cast<float>(std::cos(angle) * factor));
      table.push_back(static_cast<float>(std::sin(angle) * factor));
    }
  }
  return table;
}
