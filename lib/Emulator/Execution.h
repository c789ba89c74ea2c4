//===- Execution.h - The state of running blocks ----------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A block is run by one host thread, its warps in turn. A warp's lanes are
// grouped in splits: a diverging branch makes the current split wait at the
// immediate post-dominator and puts its lanes into two children; a child that
// reaches that place melts into its parent. Splits rather than a stack, so that
// one which waits at a warp-level barrier lets its siblings catch up.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_LIB_EMULATOR_EXECUTION_H
#define ROPEWALK_LIB_EMULATOR_EXECUTION_H

#include "AddressPattern.h"
#include "AsyncQueue.h"
#include "ClusterRaces.h"
#include "GlobalShadow.h"
#include "Mbarrier.h"
#include "Memory.h"
#include "Ordering.h"
#include "Program.h"
#include "SharedMemory.h"
#include "SyncLocations.h"
#include "TensorMapFences.h"

#include <cstring>

namespace ropewalk::emulator {

struct Block;
struct Cluster;
struct Warpgroups;

struct Split {
  enum State : uint8_t {
    Free,
    Running,
    Waiting,
    Parked, ///< For lanes of its member mask.
    Held    ///< At a barrier, while other lanes of the warp run.
  };
  State state = Free;
  int32_t pc = 0;
  int32_t reconverge = -1;
  int32_t parent = -1;
  int32_t children = 0;
  uint32_t mask = 0;
  uint32_t member = 0; ///< Of the warp-level barrier where it is parked.
};

struct Warp {
  enum State : uint8_t { Ready, AtBarrier, Done };

  std::byte *bank[2] = {nullptr, nullptr};
  Block *block = nullptr;
  uint32_t index = 0;
  uint32_t lanes = 0; ///< Lanes that exist.
  uint32_t live = 0;  ///< Lanes that have not exited.
  State state = Ready;
  uint32_t barrierId = 0;
  uint32_t carry = 0;     ///< The flag of add.cc and its like, a bit a lane.
  bool isBlocked = false; ///< See InstKind::Waiting.
  /// Set by a handler whose warp has nothing to do until others have run: a
  /// failed poll. Ends the turn after the instruction.
  bool yields = false;
  /// Cluster::progress when the warp last polled in vain.
  uint64_t vainAt = ~uint64_t(0);
  std::vector<Split> splits;
  int32_t current = 0;
  std::vector<uint32_t> initialized;  ///< By tracked register, a bit a lane.
  AsyncGroups copyGroups, bulkGroups; ///< Of cp.async and of bulk copies.
  MbarrierPoll poll;
  /// Lanes that have arrived at barrier.cluster and not yet waited, and the
  /// waits of each lane, which are the phases that it knows to be complete.
  uint32_t clusterArrived = 0;
  uint32_t clusterWaits[32] = {};

  uint32_t &predicate(uint32_t offset) {
    return *reinterpret_cast<uint32_t *>(bank[0] + offset);
  }
  uint32_t predicate(Ref ref) const {
    return *reinterpret_cast<const uint32_t *>(bank[ref.bank] + ref.offset);
  }
};

struct Barrier {
  uint32_t expected = 0; ///< Warps; 0 for all that have not exited.
  uint32_t arrived = 0;  ///< Warps, a bit each; 0 while nobody is there.
  uint32_t waiting = 0;  ///< Those that wait.
  uint32_t trueCount = 0, laneCount = 0; ///< Of a reduction.
  Past past;                             ///< Of all that have come.

  void clear() {
    expected = arrived = waiting = trueCount = laneCount = 0;
    past.clear();
  }
};

/// Everything that is the same for all blocks of a launch.
struct Launch {
  const Kernel *kernel = nullptr;
  const Program *program = nullptr;
  DeviceMemory *memory = nullptr;
  LaunchOptions options;
  Dim3 grid, block;
  std::vector<std::byte> parameters;
  uint32_t sharedBytes = 0;
  uint32_t dynamicShared = 0;
  /// Bytes of shared memory behind `sharedBytes` that kernels which ask for it
  /// find reserved for system software.
  uint32_t reservedShared = 0;
  Dim3 cluster;           ///< Blocks of a cluster.
  uint64_t workspace = 0; ///< Of the grid, for kernels that look for one.
  /// Null unless races between clusters are checked that do not communicate.
  ClusterRaces *races = nullptr;
  /// Marks bytes that this launch initializes; 1 if it is not to be told.
  uint8_t validStamp = 1;

  uint32_t reservedOffset() const { return (sharedBytes + 15) & ~15u; }
  uint32_t allocatedShared() const {
    return reservedShared ? reservedOffset() + reservedShared : sharedBytes;
  }
  /// Bytes from one thread's local memory to the next one's: accesses aligned
  /// in PTX are aligned on the host, too.
  uint64_t localStride() const {
    return (uint64_t(kernel->info.localBytes) + 15) & ~uint64_t(15);
  }
};

/// What one host thread keeps between blocks.
struct Worker {
  explicit Worker(const Launch &launch);

  Counters counters;
  std::vector<uint64_t> warpCount, laneCount; ///< By instruction.
  std::vector<LineTraffic> lineTraffic;       ///< By instruction.
  std::vector<Buffer *> cache;                ///< Last buffer by instruction.
  /// By instruction; null for those without any.
  std::vector<std::unique_ptr<PatternCache>> patterns;
  /// What printf wrote, with the index of the block.
  std::vector<std::pair<uint64_t, std::string>> printed;
  size_t printedBytes = 0;
  /// Null unless the blocks communicate.
  std::unique_ptr<GlobalOrder> order;
  std::unique_ptr<GlobalShadow> shadow; ///< Null unless races are checked.
  TensorMapFences tensorMapFences;      ///< Needs `shadow`.
};

struct Block {
  enum WarpStatus { WarpBlocked, WarpYielded, WarpFailed };

  Block(Cluster &cluster, uint32_t rank);

  /// Sets up the block at `position` of the grid.
  void start(Dim3 position);
  /// Runs a warp until it waits or ends, or for `quantum` instructions.
  WarpStatus runWarp(Warp &warp, uint64_t quantum);
  /// A warp has ended: barriers that wait for everybody may be complete.
  void updateBarriers();

  /// Sets the report. Returns false, as handlers do.
  bool fail(const Warp &warp, const Inst &inst, ReportKind kind, int lane,
            std::string detail);
  bool failAt(const Warp &warp, const Inst &inst, ReportKind kind, int lane,
              uint64_t address, std::string detail);
  bool hasExited() const {
    for (const Warp &warp : warps)
      if (warp.state != Warp::Done)
        return false;
    return true;
  }
  /// All warps have ended, `last` as the last one: nothing may be under way in
  /// the block's shared memory. Returns false after a report.
  bool checkExit(Warp &last);
  /// Whether an mbarrier object shares bytes with the range of shared memory.
  bool touchesMbarrier(uint64_t offset, uint64_t bytes);

  Cluster &cluster;
  const uint32_t rank; ///< In the cluster.
  const Launch &launch;
  const Program &program;
  Worker &worker;
  uint64_t index = 0;            ///< In the grid, x fastest.
  Dim3 clusterPosition{0, 0, 0}; ///< In the cluster.
  Dim3 position{0, 0, 0};
  std::vector<Warp> warps;
  std::vector<std::byte> registers;
  SharedMemory shared;
  std::vector<std::byte> local;    ///< By thread.
  std::vector<uint8_t> localValid; ///< Empty if that is not checked.
  Barrier barriers[16];
  std::shared_ptr<Warpgroups> warpgroups; ///< Null without wgmma, setmaxnreg.
  MbarrierTable mbarriers;
  /// Bulk copies under way that read or write `shared`.
  struct Flight {
    const void *copy = nullptr;
    Actor actor;
    bool reads = false;
    bool inGroup = false; ///< Of a bulk group, not of an mbarrier.
  };
  std::vector<Flight> flights;
  bool hadFlights = false;
  /// What no longer goes on in `shared` though nobody has acquired it; see
  /// ClusterBarrier::relaxed.
  Past ended;
  uint64_t executed = 0;
  uint64_t clockReads = 0; ///< See readClock in OpsMove.cpp.
  Report report;

private:
  bool checkRegisters(Warp &warp, const Inst &inst, uint32_t mask);
  /// The current split goes on in two places; they become one at `meet` (-1 is
  /// where this split ends).
  void diverge(Warp &warp, int32_t meet, int32_t pc, uint32_t taken,
               int32_t otherPc, uint32_t others);
  int32_t addSplit(Warp &warp, const Split &split);
  /// The current split has reached its place of reconvergence or its end.
  void leave(Warp &warp, int32_t split);
  /// Makes a running split current; false if there is none.
  bool select(Warp &warp);
  /// Makes another running split current at the end of a turn, so that lanes
  /// which wait in a loop for others of their warp do not keep them from
  /// running; false if there is no other.
  bool rotate(Warp &warp);
  /// Lets splits go on that wait for each other at a warp-level barrier.
  bool releaseParked(Warp &warp, bool &failed);
  /// Lets lanes go on to a barrier where nobody of the warp is left elsewhere.
  bool releaseHeld(Warp &warp);
  /// Lets lanes exit that wait for others at the end of the kernel; false if
  /// there are none.
  bool retire(Warp &warp);
  /// No split of the warp is running: makes some run, or reports why those that
  /// wait for each other never will.
  bool wake(Warp &warp, bool &failed);
  /// A ".sync" instruction of the current split whose lanes are not simply all
  /// of one member mask. Returns whether all lanes in `mask` are through.
  bool synchronizeGroups(Warp &warp, const Inst &inst, uint32_t mask,
                         bool &failed);
  bool arrive(Warp &warp, const Inst &inst, uint32_t mask);
  /// Completes the barrier if everybody is there.
  void updateBarrier(Barrier &barrier);
  /// Steps the warp's current split over a barrier.
  void advance(Warp &warp);
  void setSpecials(Warp &warp);
};

/// "0x0000ffff".
std::string hexMask(uint32_t mask);

/// Operands of a barrier instruction, in Inst::data.
enum BarrierFlags : uint32_t {
  BarrierArrive = 1,
  BarrierHasCount = 2,
  BarrierReduceAnd = 4,
  BarrierReduceOr = 8,
  BarrierReducePopc = 16,
  BarrierNegated = 32,
};

} // namespace ropewalk::emulator

#endif // ROPEWALK_LIB_EMULATOR_EXECUTION_H
