//===- Profile.h - Where a launch spends its instructions -------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The counters of a launch by line of the PTX text. Figures are counts, not
// times: shares are of the warp instructions of the launch.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_EMULATOR_PROFILE_H
#define ROPEWALK_EMULATOR_PROFILE_H

#include "Ropewalk/Emulator/Counters.h"
#include "Ropewalk/Emulator/Module.h"

#include <string_view>

namespace ropewalk::emulator {

/// A line of the text that was executed; several instructions of one line add
/// up.
struct ProfileLine {
  uint32_t line = 0;
  InstClass cls = InstClass::Integer; ///< Of its first instruction.
  uint64_t warps = 0;                 ///< Warp instructions.
  uint64_t lanes = 0;
  LineTraffic traffic;
  std::string text;   ///< Without blanks around it.
  std::string source; ///< "kernel.cu:12", from .loc; "" if unknown.
};

class Profile {
public:
  /// `counters` are of a launch of `kernel`, `ptx` is the text that its module
  /// was parsed from.
  Profile(const Counters &counters, const Kernel &kernel, std::string_view ptx);

  /// In the order of the text.
  const std::vector<ProfileLine> &lines() const { return entries; }

  /// Classes; lines of the source, where .loc tells them; PTX lines; and those
  /// of at least one percent as a listing.
  std::string table() const;
  /// {"warp_instructions", "classes": {NAME: {"warps", "lanes"}}, "lines":
  /// [{"line", "text", "source", "class", "warps", "lanes", "share",
  /// "divergent_branches", "global_requests", "global_sectors",
  /// "shared_requests", "shared_transactions", "shared_conflicts"}]}
  std::string json() const;

private:
  /// Sums of lines with one source, in the order of the text; `line` is that of
  /// the first.
  std::vector<ProfileLine> bySource() const;
  double share(uint64_t warps) const;

  Counters counters;
  std::vector<ProfileLine> entries;
};

} // namespace ropewalk::emulator

#endif // ROPEWALK_EMULATOR_PROFILE_H
