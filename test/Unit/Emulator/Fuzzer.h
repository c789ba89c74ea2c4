//===- Fuzzer.h - Hostile PTX texts -----------------------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A case is a function of a seed and a number: a text of the corpus, or a new
// one put together from statements of the tests, then a few mutations. What it
// is launched with comes from the same random numbers.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_UNIT_EMULATOR_FUZZER_H
#define ROPEWALK_UNIT_EMULATOR_FUZZER_H

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ropewalk::emulator::fuzz {

/// Splitmix64: the same numbers on every host.
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
  bool oneIn(uint64_t n) { return below(n) == 0; }
  template <class T> const T &pick(const std::vector<T> &from) {
    return from[below(from.size())];
  }
};

struct Corpus {
  std::vector<std::string> texts; ///< Whole modules.
  /// Single instructions that are valid in a body of `bodyText`, and others.
  std::vector<std::string> statements, strange;
};

/// Reads modules from `folders` (*.ptx) and modules and instructions from the
/// string literals of the tests (*.cpp) in `testFolder`.
Corpus collect(const std::vector<std::string> &folders,
               const std::string &testFolder);

/// An entry with registers, memory and initial values that the statements of
/// tests are likely to name.
std::string bodyText(const std::string &body);

/// The text of case `number`.
std::string makeCase(const Corpus &corpus, Random &random);

/// A number at the edge of some type, as a PTX constant.
std::string edgeNumber(Random &random);

/// Parses `text` and launches all of its entries. Returns a word for the
/// outcome: "refused", "report" or "ran".
const char *execute(const std::string &text, Random &random);

} // namespace ropewalk::emulator::fuzz

#endif // ROPEWALK_UNIT_EMULATOR_FUZZER_H
