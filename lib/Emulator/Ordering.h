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
// first half into the second. A third part, `over`, is what is known to have
// been performed though its effects need not be visible: what is handed on
// between blocks by a barrier operation whose scope does not reach the other
// block. That is enough to overwrite bytes that have been read, or that a bulk
// copy has written, and for nothing else.
//
// There is one count of time for a cluster. It advances at each release and the
// like; a warp records its accesses at the time of its own last such event, its
// epoch. Time never runs backwards while a host thread runs one cluster after
// the other, so that records of earlier clusters are older than the start of
// the present one and count as known to all.
//
// Lanes of a warp that know the same form a group and share a clock, which
// groups of other warps share too after a barrier of the block. What a group
// knows of the lanes of its own warp stands in the group, as bar.warp.sync
// changes only that; what a lane knows of its own egos stands beside. 32
// agents, those of one ego of one warp, are a plane; an operation is a plane of
// its own.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_LIB_EMULATOR_ORDERING_H
#define ROPEWALK_LIB_EMULATOR_ORDERING_H

#include <cstddef>
#include <cstdint>
#include <memory>
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
constexpr unsigned EgoCount = unsigned(Ego::Count);

/// Threads that a strong access synchronizes with. Weak accesses have none.
enum class Scope : uint8_t { Weak, Block, Cluster, Device };

/// The past of some threads, as a barrier hands it on.
struct Past {
  std::vector<Time> known, fenced; ///< By agent; empty for no past.
  std::vector<Time> over;          ///< Likewise; what is only over.
  /// The clock that a release has added to it last (0 for none), so that
  /// threads which share a clock add it once.
  uint64_t base = 0;

  bool isEmpty() const { return known.empty(); }
  void clear() {
    known.clear();
    fenced.clear();
    over.clear();
    base = 0;
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
  /// A strong access other than an atomic one.
  Scope scope = Scope::Weak;
};

/// What the lanes of a warp know, in the form that checks of many words at a
/// time need. Everything in it is a lower bound for all lanes.
struct View {
  Time floor = 0;     ///< Everything earlier is known.
  Time leastOwn = 0;  ///< Everything earlier of the warp's own lanes is known.
  Time epoch = 0;     ///< Time of the warp's accesses.
  uint32_t plane = 0; ///< Of the warp's threads.
  uint32_t touched = 0; ///< Lanes that have made an access.
  /// By plane; of its touched agents the earliest time that is not known.
  const Time *least = nullptr;
};

/// The clocks of a cluster's threads. Lanes are masks of the warp's lanes.
class Ordering {
public:
  Ordering();
  ~Ordering();

  /// Forgets everything. `threads` counts all lanes of the cluster's warps;
  /// `egos` has a bit for each Ego that the program uses.
  void reset(uint32_t threads, uint32_t egos, bool checks);

  void release(Warp &warp, uint32_t lanes, Past &past);
  void acquire(Warp &warp, uint32_t lanes, const Past &past);
  /// The lanes get to know only that `past` is over.
  void acquireOver(Warp &warp, uint32_t lanes, const Past &past);
  /// All live lanes of the block's `warps` (a bit each) have released into
  /// `past` and done nothing since: they acquire it. Clears `past`.
  void completeBarrier(Block &block, uint32_t warps, Past &past);
  /// bar.warp.sync.
  void synchronizeWarp(Warp &warp, uint32_t lanes);
  /// fence.proxy.async.
  void fenceProxy(Warp &warp, uint32_t lanes);

  /// Closes the open group of each lane's `ego`. Returns when: what the ego did
  /// before is in it or in an earlier one.
  Time commit(Warp &warp, uint32_t lanes, Ego ego);
  /// Adds to `past` the groups of wgmma that the warp committed up to `time`.
  void addCommit(const Warp &warp, Time time, Past &past) const;
  /// The lanes know all but their newest `pending` groups. With `open` also
  /// the one that is not yet closed (cp.async.wait_all).
  void awaitGroups(Warp &warp, uint32_t lanes, Ego ego, uint32_t pending,
                   bool open = false);
  /// Releases into `past` what the lane's `ego` has done up to now and closes
  /// its group (cp.async.mbarrier.arrive).
  void releaseEgo(Warp &warp, unsigned lane, Ego ego, Past &past);

  /// An operation that completes on an mbarrier: an agent that knows what the
  /// issuing lane knows. Of very many at a time, some share an agent.
  int32_t beginOperation(Warp &warp, unsigned lane);
  /// The operation has completed: adds its accesses to `past`.
  void endOperation(int32_t operation, Past &past);

  // For the shadows of memory.

  /// Everything earlier belongs to another cluster or launch.
  Time start() const { return startTime; }
  uint32_t planes() const { return planeCount; }
  uint32_t planeOf(const Actor &actor) const;
  /// The present view of the warp.
  const View &view(const Warp &warp);
  /// Before an access of the actor, or of the warp's own lanes: returns its
  /// time.
  Time touch(const Actor &actor);
  Time touch(const Warp &warp, uint32_t lanes);
  Time touch(const Warp &warp, uint32_t lanes, Ego ego);
  /// Whether the warp's lane knows what agent `other` of `plane` did at `time`.
  bool knows(const Warp &warp, unsigned lane, uint32_t plane, unsigned other,
             Time time) const;
  /// Whether a clock that the lane shares with other warps knows it, and which
  /// clock that is.
  bool knowsByClock(const Warp &warp, unsigned lane, uint32_t plane,
                    unsigned other, Time time) const;
  uint64_t clockOf(const Warp &warp, unsigned lane) const;
  /// Names what the lane's group knows.
  uint64_t groupIdOf(const Warp &warp, unsigned lane) const;
  /// Adds to `past` what the lowest of the lanes and others know in common.
  /// Returns those others of `lanes`, with that one.
  uint32_t capture(const Warp &warp, uint32_t lanes, Past &past) const;
  /// What the warp does from now on is later than the time returned.
  Time advance(Warp &warp);
  /// Adds what the lanes of the warp with that index did before `time`.
  void addLanes(uint32_t warp, uint32_t lanes, Time time, Past &past) const;
  /// Of the agent in a Past.
  uint32_t agentOf(uint32_t plane, unsigned lane) const {
    return plane < threadPlanes ? plane * 32 + lane : threadPlanes * 31 + plane;
  }
  /// Whether that is also fenced. For planes of the generic proxy.
  bool isFenced(const Warp &warp, unsigned lane, uint32_t plane, unsigned other,
                Time time) const;
  /// Whether it is over, known or not.
  bool isOver(const Warp &warp, unsigned lane, uint32_t plane, unsigned other,
              Time time) const;
  /// Like View::least, for the async proxy and one lane, which is going to read
  /// or to write.
  const Time *fencedLeast(const Warp &warp, unsigned lane,
                          bool isWrite = false);
  /// Like View::least, for one lane that is going to overwrite what was read.
  const Time *overLeast(const Warp &warp, unsigned lane);

  /// What a plane stands for. `warp` counts the cluster's warps.
  struct Party {
    uint32_t warp = 0;
    Ego ego = Ego::Thread;
    bool isOperation = false;
    bool isAsyncProxy() const { return isOperation || ego > Ego::Copy; }
  };
  Party partyOf(uint32_t plane) const;
  /// Index in the cluster.
  uint32_t indexOf(const Warp &warp) const;

private:
  struct Clock;
  struct Group;
  struct WarpClock;

  Clock *newClock();
  Clock *copyOf(const Clock &clock);
  void drop(Clock *clock);
  /// Makes `clock` one that only the caller has, to be changed.
  Clock &change(Clock *&clock);
  void findLeast(const Time *known, Time *least) const;
  void refresh(Clock &clock);
  void refreshOver(Clock &clock);
  void refresh(WarpClock &warp);
  WarpClock &of(const Warp &warp) const;
  const Group &groupOf(const WarpClock &warp, unsigned lane) const;
  Time tick(WarpClock &warp);
  /// Splits groups so that each lies inside or outside of `lanes`.
  void split(WarpClock &warp, uint32_t lanes);
  void addOver(Group &group, const std::vector<Time> &over);
  void addOwn(const WarpClock &warp, const Group &group, Past &past) const;
  uint32_t planeOf(uint32_t warp, unsigned ego) const {
    return egoRank[ego] * warpCount + warp;
  }

  bool checks = false;
  Time now = 0, startTime = 0;
  uint32_t warpCount = 0, threadPlanes = 0, planeCount = 0, agentCount = 0;
  uint32_t egoRank[EgoCount] = {};
  std::vector<unsigned> egos; ///< Those in use.
  uint64_t nextId = 1;
  std::vector<std::unique_ptr<Clock>> clocks;
  std::vector<Clock *> spare;
  std::vector<WarpClock> warps;
  std::vector<uint32_t> touched; ///< By plane, a bit a lane.
  uint64_t busy = 0;             ///< Operations under way.
  uint32_t nextOperation = 0;
  std::vector<uint32_t> operationWarp; ///< Issuer of each operation.
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
