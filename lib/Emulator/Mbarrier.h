//===- Mbarrier.h - Barrier objects in shared memory ------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The state of an mbarrier object is kept beside shared memory, by the offset
// of the object; the eight bytes themselves hold a pattern that means nothing.
// A phase is complete when neither arrivals nor bytes of transactions are
// outstanding. What an arrival releases is collected for the current phase, and
// a wait that succeeds acquires what was collected for the previous one.
//
// Only threads of the block that has the object wait for it. An arrival from
// another block orders memory if both operations are of cluster scope. If not,
// the waiter gets to know only that what came before is over (Ordering.h), as
// the accesses of a thread are performed before it arrives: libraries release
// the buffers of pipelines so, with operations of the default scope, .cta. The
// end of a copy counts as an event in the block that it signals, whoever has
// issued the copy.
//
// An operation has to know of the initialization, or it races with it; an
// invalidation has to know of all operations. Both is checked here and not in
// the shadow of shared memory, where an object is written by its initialization
// and invalidation only.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_LIB_EMULATOR_MBARRIER_H
#define ROPEWALK_LIB_EMULATOR_MBARRIER_H

#include "Ordering.h"

#include "Ropewalk/Emulator/Emulator.h"

#include <string>

namespace ropewalk::emulator {

/// Limits of PTX for all counts of an mbarrier object.
constexpr uint32_t MaxMbarrierCount = (1 << 20) - 1;
constexpr uint32_t MbarrierBytes = 8;

struct Mbarrier {
  uint32_t offset = 0;
  uint32_t expected = 0;  ///< Arrivals of the next phase.
  uint32_t total = 0;     ///< Arrivals of the current phase, for reports.
  uint32_t pending = 0;   ///< Arrivals that are outstanding.
  int32_t tx = 0;         ///< Bytes that are outstanding.
  uint32_t announced = 0; ///< Copies under way that will signal it.
  uint64_t phase = 0;     ///< Completed phases.
  struct Arrivals {
    Past own;     ///< From the block itself.
    Past cluster; ///< From other blocks, of cluster scope.
    Past narrow;  ///< From other blocks, of block scope.

    void clear() {
      own.clear();
      cluster.clear();
      narrow.clear();
    }
  };
  Arrivals past[2]; ///< Of the current and the previous phase, by parity.

  /// The initialization: who, when, where.
  uint32_t initWarp = 0; ///< Of the cluster's.
  uint32_t initLane = 0;
  Time initTime = 0;
  SourceLocation location;
  /// The latest operations, by warp of the cluster.
  struct Touch {
    Time time = 0;
    uint32_t lanes = 0;
    const Inst *inst = nullptr;
  };
  std::vector<Touch> touches;
  /// After fence.mbarrier_init: the phase of barrier.cluster whose arrival
  /// publishes the initialization even if it is relaxed.
  bool isFenced = false;
  uint64_t fencePhase = 0;

  /// "phase 3 (parity 1), where 1 of 2 arrivals have come and 4096 bytes are
  /// outstanding".
  std::string state() const;
};

/// The barrier objects of a block, ordered by offset.
class MbarrierTable {
public:
  void clear() { objects.clear(); }
  Mbarrier *find(uint64_t offset);
  /// One that shares bytes with the range; null if there is none.
  Mbarrier *overlapping(uint64_t offset, uint64_t bytes);
  Mbarrier &add(uint32_t offset);
  void remove(uint32_t offset);

  std::vector<Mbarrier> objects;
};

/// The wait that a warp tried last, if it failed; for reports.
struct MbarrierPoll {
  const Inst *inst = nullptr;
  Block *owner = nullptr;
  uint32_t offset = 0;
  bool isParity = false;
  uint64_t awaited = 0; ///< The parity or the phase.

  /// "parity 1" or "phase 3".
  std::string text() const {
    return (isParity ? "parity " : "phase ") + std::to_string(awaited);
  }
};

/// What an arrive-on operation does besides counting.
struct Arrival {
  uint32_t count = 1;
  bool expects = false; ///< First expects `bytes`.
  uint32_t bytes = 0;
  bool drops = false; ///< Lowers the arrivals of the next phases.
  bool mayComplete = true;
  bool releases = true;
  Scope scope = Scope::Block;
};

/// What a wait does besides waiting.
struct Awaiting {
  uint64_t key = 0;      ///< A state that an arrival returned, or a parity.
  bool isParity = false; ///< Which of both.
  bool acquires = true;
  Scope scope = Scope::Block;
};

// Operations of the actor's lane on the object at `address` in the shared
// memory of `owner`. They return false after a report.
bool initMbarrier(const Actor &actor, Block &owner, uint64_t address,
                  uint32_t count);
bool invalidateMbarrier(const Actor &actor, Block &owner, uint64_t address);
/// `state`, unless null, becomes the state before the arrival.
bool arriveAtMbarrier(const Actor &actor, Block &owner, uint64_t address,
                      const Arrival &arrival, uint64_t *state);
/// expect_tx for a positive and complete_tx for a negative number of bytes.
bool addTransaction(const Actor &actor, Block &owner, uint64_t address,
                    int64_t bytes);
/// Whether the phase is over that the key names, for all `lanes` at once. The
/// object is in the warp's own block.
bool testMbarrier(Warp &warp, const Inst &inst, uint32_t lanes,
                  uint64_t address, const Awaiting &wait, bool &isOver);
/// The arrivals outstanding before the one that returned `state`.
uint32_t pendingCount(uint64_t state);

/// Checks that there is an object that the actor's lane may operate on, and
/// that it operates on it; null after a report.
Mbarrier *accessMbarrier(const Actor &actor, Block &owner, uint64_t address);
/// Whether the actor's lane knows of all operations of other warps on the
/// object; if not, says which one is unknown.
bool knowsTouches(const Actor &actor, Block &owner, const Mbarrier &barrier,
                  Report::Party &other);
/// An arrival of cp.async.mbarrier.arrive: `raisePending` when it is issued
/// and, once the copies are complete, `arriveLate`.
bool raisePending(const Actor &actor, Block &owner, uint64_t address);
bool arriveLate(const Actor &actor, Block &owner, uint64_t address,
                const Past &past);
/// Adds `from` to `into`.
void addPast(Past &into, const Past &from);
/// fence.mbarrier_init by the lanes.
void fenceMbarrierInit(Warp &warp, uint32_t lanes);

} // namespace ropewalk::emulator

#endif // ROPEWALK_LIB_EMULATOR_MBARRIER_H
