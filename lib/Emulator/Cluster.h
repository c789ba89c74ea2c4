//===- Cluster.h - Blocks that run together ---------------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A cluster is what one host thread runs: one block where the launch has no
// clusters. It owns the schedule, the causality order and the asynchronous
// operations of its blocks.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_LIB_EMULATOR_CLUSTER_H
#define ROPEWALK_LIB_EMULATOR_CLUSTER_H

#include "AsyncQueue.h"
#include "Execution.h"
#include "SyncLocations.h"

#include <memory>

namespace ropewalk::emulator {

/// Places of other blocks of a cluster in 32-bit shared addresses: an address
/// made by mapa has the block's rank + 1 above this bit, one of the block's own
/// memory has 0 there.
constexpr unsigned ClusterRankShift = 24;

/// barrier.cluster.
struct ClusterBarrier {
  uint64_t phase = 0; ///< Completed phases.
  Past past[2];       ///< Of the current and the previous phase, by parity.
  /// Of relaxed arrivals after fences of block scope, by rank.
  std::vector<Past> narrow[2];
  /// Of relaxed arrivals. Nobody acquires it, but a block that has waited for
  /// them knows that nothing of theirs goes on in its memory.
  Past relaxed[2];
};

struct Cluster {
  enum Status {
    Finished,
    Yielded,
    Idle, ///< Every warp polls for something that others have to do.
    Failed
  };

  Cluster(const Launch &launch, Worker &worker);

  /// Sets up the cluster of linear index `index`.
  void start(uint64_t index);
  /// Runs for about `quantum` warp instructions.
  Status run(uint64_t quantum);
  /// Sets the report of the first block: nobody can go on.
  void reportDeadlock();
  /// Of the block that failed.
  const Report &report() const;
  /// Goes on to the next phase of barrier.cluster if every thread that has not
  /// exited has arrived.
  void updateBarrier();

  const Launch &launch;
  Worker &worker;
  std::vector<std::unique_ptr<Block>> blocks; ///< By rank.
  uint64_t index = 0; ///< Linear, in the grid of clusters.
  Ordering ordering;
  SyncLocations sync{*this};
  AsyncQueue async;
  ClusterBarrier barrier;
  std::shared_ptr<void> lastStore; ///< A bulk copy; see startBulkCopy.
  /// Counts everything that may let another warp go on.
  uint64_t progress = 0;
  uint64_t executed = 0;

private:
  struct Round {
    bool anyLeft = false, anyReady = false, onlyPolls = true;
  };
  bool runRound(Round &round);
  bool runWarp(Warp &warp, Round &round);

  std::vector<Warp *> order;
  Random random;
};

/// The block whose shared memory an address of a lane lies in, and the offset
/// there. `isGeneric`: the address counts from the start of all windows.
/// `isOwn`: it has to be in the warp's own block. Returns false after a report.
bool findSharedPlace(Warp &warp, const Inst &inst, unsigned lane,
                     uint64_t address, bool isGeneric, bool isOwn,
                     Block *&owner, uint64_t &offset);

} // namespace ropewalk::emulator

#endif // ROPEWALK_LIB_EMULATOR_CLUSTER_H
