//===- RaceReport.h - Accesses in conflict ----------------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What the shadows of shared and global memory have in common: the access that
// is checked, the tag of one that was recorded, and the report of two that
// conflict.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_LIB_EMULATOR_RACEREPORT_H
#define ROPEWALK_LIB_EMULATOR_RACEREPORT_H

#include "Ordering.h"
#include "Syntax.h"

namespace ropewalk::emulator {

struct Launch;

/// An access of one lane, on its way through a shadow.
struct Accessor {
  Actor actor;
  Ordering &ordering;
  uint32_t plane = 0;
  Time epoch = 0;
  bool isWrite = false;
  bool isAsyncProxy = false;
  /// What a store is going to write; null if that is not known. Stores of the
  /// bytes that are there already race with nobody's store.
  const std::byte *values = nullptr;

  Accessor(const Actor &actor, Ordering &ordering, bool isWrite);
  uint32_t bit() const { return uint32_t(1) << actor.lane; }
};

/// Plane, scope and instruction of a recorded access in one word.
constexpr unsigned TagPlaneShift = 20, TagScopeShift = 18;
constexpr uint32_t TagInstMask = (uint32_t(1) << TagScopeShift) - 1;
uint32_t tagOf(uint32_t plane, Scope scope, const Inst &inst);
inline uint32_t planeOfTag(uint32_t tag) { return tag >> TagPlaneShift; }
inline Scope scopeOfTag(uint32_t tag) {
  return Scope(tag >> TagScopeShift & 3);
}

/// A recorded access that conflicts with the one that is checked.
struct Conflict {
  enum Kind : uint8_t {
    Unordered,
    Unfenced,   ///< No proxy fence.
    Unreleased, ///< Of a tensor map: no releasing proxy fence,
    Unacquired, ///< or no acquiring one.
    Constant    ///< Read as constant.
  };
  Kind kind = Unordered;
  bool otherWrote = true;
  uint32_t tag = 0;
  uint32_t lanes = 0;
  uint64_t address = 0;
  int64_t cluster = -1; ///< Linear index; -1 for the actor's own.
};

/// How the agents of a recorded access relate to what a lane knows.
enum class Standing : uint8_t { Known, Unfenced, Unknown };
/// Of one agent.
Standing standingOf(const Accessor &a, uint32_t plane, unsigned lane, Time time,
                    bool isWrite);
/// Of the best agent (`any`) or of the worst.
Standing standingOf(const Accessor &a, uint32_t tag, uint32_t lanes, Time time,
                    bool isWrite, bool any);

/// Whether both accesses are strong and their scopes include each other.
bool isMorallyStrong(const Accessor &a, uint32_t tag);

/// Linear index in the grid of the block with that rank in a cluster.
int64_t blockIndexOf(const Launch &launch, uint64_t cluster, uint32_t rank);

/// Sets the report of the actor's block. Returns false.
bool reportConflict(const Accessor &a, Space space, const Conflict &conflict);

} // namespace ropewalk::emulator

#endif // ROPEWALK_LIB_EMULATOR_RACEREPORT_H
