//===- Random.h - Random numbers of schedules -------------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// SplitMix64: the same numbers on every host, for schedules that replay.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_LIB_EMULATOR_RANDOM_H
#define ROPEWALK_LIB_EMULATOR_RANDOM_H

#include <cstdint>

namespace ropewalk::emulator {

struct Random {
  uint64_t state = 0;

  uint64_t next() {
    uint64_t z = state += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
  }
  /// In [0, bound), bound > 0.
  uint64_t below(uint64_t bound) { return next() % bound; }
};

} // namespace ropewalk::emulator

#endif // ROPEWALK_LIB_EMULATOR_RANDOM_H
