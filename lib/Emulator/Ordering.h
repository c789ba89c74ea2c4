//===- Ordering.h - What happened before what -------------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Causality order within a cluster, tracked for each thread and not for each
// warp. Every access is made by an agent at a time. The agents of a thread are
// the thread itself and its asynchronous alter egos, whose accesses the thread
// does not know of before it has waited for them; operations that complete on
// an mbarrier are agents of their own. A thread's clock holds, for each agent,
// the time before which everything that the agent did is known to the thread.
// A release adds the clock of a thread to a Past; an acquire adds a Past to the
// clock of a thread.
//
// Each clock has a second half, `fenced`: what is known of writes through the
// generic proxy and also visible to the async proxy. A proxy fence copies the
// first half into the second.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_LIB_EMULATOR_ORDERING_H
#define ROPEWALK_LIB_EMULATOR_ORDERING_H

#include <cstddef>
#include <cstdint>
#include <vector>

namespace ropewalk::emulator {

struct Warp;
struct Inst;
struct Block;

using Time = uint32_t;

/// In which role of a thread an access is made.
enum class Ego : uint8_t {
  Thread,   ///< The thread itself; generic proxy.
  Copy,     ///< Its cp.async, by group; generic proxy.
  Bulk,     ///< Its bulk copies in bulk groups; async proxy.
  BulkRead, ///< The reading of the sources of those copies; async proxy.
  Matrix,   ///< Its wgmma, for the whole warp (lane 0); async proxy.
  Count
};

/// The past of some threads, as a barrier hands it on.
struct Past {
  std::vector<Time> known, fenced; ///< By agent; empty for no past.

  bool isEmpty() const { return known.empty(); }
  void clear() {
    known.clear();
    fenced.clear();
  }
};

/// Who makes an access.
struct Actor {
  Warp *warp = nullptr;
  const Inst *inst = nullptr;
  unsigned lane = 0;
  Ego ego = Ego::Thread;
  /// The operation's own agent (Ordering::beginOperation); -1 for an ego. The
  /// ego then only tells the proxy.
  int32_t operation = -1;
  /// An atomic access: no race with other ones (cp.reduce.async.bulk).
  bool isAtomic = false;
};

/// The clocks of a cluster's threads. Lanes are masks of the warp's lanes.
class Ordering {
public:
  /// Forgets everything. `threads` counts all lanes of the cluster's warps;
  /// `egos` has a bit for each Ego that the program uses.
  void reset(uint32_t threads, uint32_t egos, bool checks);

  void release(Warp &warp, uint32_t lanes, Past &past);
  void acquire(Warp &warp, uint32_t lanes, const Past &past);
  /// bar.warp.sync.
  void synchronizeWarp(Warp &warp, uint32_t lanes);
  /// fence.proxy.async.
  void fenceProxy(Warp &warp, uint32_t lanes);

  /// Closes the open group of each lane's `ego`.
  void commit(Warp &warp, uint32_t lanes, Ego ego);
  /// The lanes know all but their newest `pending` groups. With `open` also
  /// the one that is not yet closed (cp.async.wait_all).
  void awaitGroups(Warp &warp, uint32_t lanes, Ego ego, uint32_t pending,
                   bool open = false);
  /// Releases into `past` what the lane's `ego` has done up to now and closes
  /// its group (cp.async.mbarrier.arrive).
  void releaseEgo(Warp &warp, unsigned lane, Ego ego, Past &past);

  /// An operation that completes on an mbarrier: an agent that knows what the
  /// issuing lane knows.
  int32_t beginOperation(Warp &warp, unsigned lane);
  /// The operation has completed: adds its accesses to `past`.
  void endOperation(int32_t operation, Past &past);
};

/// Checked access to the shared memory of `owner`, of a block of the actor's
/// cluster: bounds, initialization, races, proxies. Records it. Returns the
/// host address, or null after a report. The alignment is the caller's matter.
std::byte *accessShared(const Actor &actor, Block &owner, uint64_t address,
                        uint32_t bytes, bool isWrite);
/// Likewise for global memory.
std::byte *accessGlobal(const Actor &actor, uint64_t address, uint32_t bytes,
                        bool isWrite);

} // namespace ropewalk::emulator

#endif // ROPEWALK_LIB_EMULATOR_ORDERING_H
