//===- OrderingClocks.h - What threads know, inside -------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The parts of Ordering that only its own files see.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_LIB_EMULATOR_ORDERINGCLOCKS_H
#define ROPEWALK_LIB_EMULATOR_ORDERINGCLOCKS_H

#include "Cluster.h"

namespace ropewalk::emulator {

/// What a group of lanes knows of other warps.
struct Ordering::Clock {
  uint32_t references = 1;
  uint64_t id = 0; ///< Of this content.
  std::vector<Time> known;
  std::vector<Time> fenced; ///< Empty as long as there was no fence.
  std::vector<Time> over;   ///< Empty as long as everything is visible, too.
  /// See View; `fencedLeast` has for planes of the generic proxy what is
  /// fenced; `overLeast` has what is over, `fencedOverLeast` for planes of the
  /// async proxy only.
  std::vector<Time> least, fencedLeast, overLeast, fencedOverLeast;
  Time floor = 0;
  bool hasLeast = false, hasFencedLeast = false, hasOverLeast = false;

  void forgetLeast() { hasLeast = hasFencedLeast = hasOverLeast = false; }
};

struct Ordering::Group {
  uint32_t lanes = 0;
  Clock *clock = nullptr;
  uint64_t id = 0; ///< Of what the group knows.
  Time known[EgoCount][32];
  Time fenced[2][32]; ///< Thread and Copy.
};

struct Ordering::WarpClock {
  uint32_t index = 0;
  bool isDirty = true;
  View view;
  std::vector<Group> groups;
  std::vector<Time> merged; ///< View::least where there are several groups.
  Time own[EgoCount][32];   ///< What a lane knows of its own egos.
  Time ownFenced[2][32];    ///< And of its own writes.
  struct Commit {
    Time time;
    uint32_t lanes;
  };
  std::vector<Commit> commits[EgoCount]; ///< Ends of groups, oldest first.
  /// The latest acquire, for lanes that do the same one after the other.
  uint64_t acquiredFrom = 0, acquiredAs = 0;
  Past acquired;
};

inline Ordering::WarpClock &Ordering::of(const Warp &warp) const {
  uint32_t size = uint32_t(warp.block->warps.size());
  return const_cast<WarpClock &>(warps[warp.block->rank * size + warp.index]);
}

inline const Ordering::Group &Ordering::groupOf(const WarpClock &warp,
                                                unsigned lane) const {
  for (const Group &group : warp.groups)
    if (group.lanes >> lane & 1)
      return group;
  return warp.groups[0];
}

inline Time Ordering::tick(WarpClock &warp) {
  warp.view.epoch = ++now;
  return now;
}

} // namespace ropewalk::emulator

#endif // ROPEWALK_LIB_EMULATOR_ORDERINGCLOCKS_H
