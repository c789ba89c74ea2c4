//===- TensorMapFences.h - Order of tensor maps' changes --------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A copy reads its tensor map through a proxy of its own, which need not see
// what the generic proxy has written even where the write is ordered before.
// Between a write of a map in global memory and its use there have to be, each
// ordered before the next,
//
//   a fence.proxy.tensormap::generic.release, which tensormap.cp_fenceproxy
//     contains, of a thread that knows of the write, and
//   a fence.proxy.tensormap::generic.acquire of the map's 128 bytes,
//
// with scopes that reach from one to the other. The writes are those that the
// shadow of global memory has recorded. A fence that acquires keeps what it has
// found there: as long as a use finds the same, no other write has come in
// between.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_LIB_EMULATOR_TENSORMAPFENCES_H
#define ROPEWALK_LIB_EMULATOR_TENSORMAPFENCES_H

#include "GlobalShadow.h"

#include <map>

namespace ropewalk::emulator {

/// Of the clusters that one worker runs.
class TensorMapFences {
public:
  /// Forgets everything: the next cluster is another world.
  void clear();
  void release(Warp &warp, uint32_t lanes, Scope scope);
  /// By one lane, of the map at a global address. Many lanes that do the same
  /// do it one after the other at the `time` that Ordering::advance returned.
  void acquire(const Actor &actor, uint64_t address, Time time, Scope scope);
  /// Whether the actor's lane may use the map. False after a report.
  bool check(const Actor &actor, uint64_t address) const;

private:
  using Writes = std::vector<GlobalShadow::Record>;
  /// A fence of some lanes of a plane.
  struct Fence {
    uint64_t cluster = 0;
    uint32_t plane = 0, lanes = 0;
    Time time = 0;
    Scope scope = Scope::Block;
  };
  struct Release {
    Fence fence;
    Past past; ///< What its lanes know.
  };
  struct Acquire {
    Fence fence;
    Writes writes;
    bool isReleased = false; ///< All of them.
  };

  bool knows(const Actor &actor, const Fence &fence) const;
  bool isReleased(const Actor &actor, const GlobalShadow::Record &write,
                  Scope scope) const;

  std::vector<Release> releases; ///< Oldest first.
  /// By cluster: writes before that time count as released, as the fence that
  /// may have released them has been forgotten.
  std::map<uint64_t, Time> forgotten;
  struct Map {
    std::vector<Acquire> acquires; ///< That have found the same.
    bool isLost = false;           ///< Too many: no longer checked.
  };
  std::unordered_map<uint64_t, Map> maps; ///< By address.
};

} // namespace ropewalk::emulator

#endif // ROPEWALK_LIB_EMULATOR_TENSORMAPFENCES_H
