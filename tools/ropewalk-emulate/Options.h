//===- Options.h - The command line of the emulator -------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_TOOLS_EMULATE_OPTIONS_H
#define ROPEWALK_TOOLS_EMULATE_OPTIONS_H

#include "Ropewalk/Emulator/Emulator.h"

#include <charconv>
#include <string_view>

extern const char usage[];

struct Options {
  std::string file; ///< "-" is the standard input.
  std::string entry, counters, chip;
  std::string profile; ///< "", "text" or "json".
  std::string mutate;  ///< "", "text" or "json".
  unsigned mutateSeeds = 4;
  double tolerance = 0;
  ropewalk::emulator::Dim3 grid, block;
  size_t shared = 0;
  std::vector<std::string> arguments;
  ropewalk::emulator::LaunchOptions launch;
  bool list = false, lines = false, help = false, instructions = false;
};

/// Returns an empty text, or what is wrong.
std::string parseOptions(int count, char **values, Options &options);

/// Reads a whole number or, for a floating-point \p T, a number.
template <class T> bool parseNumber(std::string_view text, T &value) {
  auto [end, code] =
      std::from_chars(text.data(), text.data() + text.size(), value);
  return code == std::errc() && end == text.data() + text.size();
}

#endif // ROPEWALK_TOOLS_EMULATE_OPTIONS_H
