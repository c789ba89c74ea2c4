//===- SyncLocations.h - Flags in memory ------------------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Synchronization through memory: release and acquire patterns of PTX. A strong
// store with .release, or one after a fence, leaves a Release at its location;
// an atomic operation continues the release sequence there, and any other
// strong store ends it. A strong load with .acquire, or one before a fence,
// acquires the whole sequence. Both sides count only if their scopes include
// each other.
//
// A fence captures what its lanes know; a later strong store publishes that and
// not what the lanes did in between. The store itself counts as done before the
// fence, being a part of the pattern. By the letter of the memory model the
// parts of a pattern belong to one thread. Programs rely on more: all threads
// of a block write and fence, meet at a barrier, and then one of them stores
// the flag; or one reads it, and after the barrier all of them fence. As a
// fence makes its thread's writes visible before anything that is ordered after
// it, a strong store publishes what every fence has captured that its thread
// knows of, and a fence acquires what every strong load has found that its
// lanes know of.
//
// Within a cluster an acquire raises the clocks (Ordering.h). Between clusters
// there are no common clocks: each cluster keeps a list of its acquisitions,
// and GlobalOrder follows them when an access meets a record of another
// cluster. The total order of fence.sc is not used: a program cannot tell it
// without strong accesses that order it anyway.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_LIB_EMULATOR_SYNCLOCATIONS_H
#define ROPEWALK_LIB_EMULATOR_SYNCLOCATIONS_H

#include "Ordering.h"

#include <array>
#include <memory>
#include <unordered_map>

namespace ropewalk::emulator {

struct Cluster;

struct Release {
  uint64_t id = 0; ///< In the order of their making.
  uint64_t cluster = 0;
  uint32_t block = 0; ///< Rank.
  Scope scope = Scope::Block;
  /// This and all earlier ones of the sequence are of device scope.
  bool isDeviceWide = false;
  /// Its thread had acquired the whole sequence, so that who acquires this
  /// release need not go on to the earlier ones: a counter that many threads
  /// modify would else cost each of them the work of all before.
  bool isCumulative = false;
  /// Earlier releases have been forgotten.
  bool isCut = false;
  uint32_t length = 1; ///< Of the sequence, about.
  Past past;
  std::shared_ptr<const Release> previous; ///< Of the release sequence.

  /// The one before, unless this one stands for it.
  const Release *next() const {
    return isCumulative ? nullptr : previous.get();
  }
  ~Release();
};
using Sequence = std::shared_ptr<const Release>;

/// Order between the clusters that a worker runs interleaved.
class GlobalOrder {
public:
  /// By address / 4, for each byte.
  using Flags = std::unordered_map<uint64_t, std::array<Sequence, 4>>;

  /// Lanes of a cluster's plane have acquired a sequence, down to the release
  /// `until`, which they have known before.
  struct Acquisition {
    uint32_t plane = 0, lanes = 0;
    Time time = 0;
    Sequence sequence;
    uint64_t until = 0;
  };
  void add(uint64_t cluster, Acquisition acquisition);

  /// Whether the lane of a warp of `cluster` knows what an agent of another
  /// cluster did at `time`.
  bool knows(uint64_t cluster, Ordering &ordering, const Warp &warp,
             unsigned lane, uint64_t other, uint32_t plane, unsigned agent,
             Time time);

  Flags flags;
  uint64_t nextRelease = 1;

private:
  /// What is known of each cluster.
  using Knowledge = std::unordered_map<uint64_t, std::vector<Time>>;
  struct Cached {
    uint64_t key = 0;
    size_t acquisitions = 0;
    Knowledge knowledge;
  };
  template <class F>
  void collect(uint64_t cluster, F isKnown, Knowledge &knowledge);
  template <class F>
  const Knowledge &update(Cached &cached, uint64_t cluster, uint64_t key,
                          F isKnown);

  std::unordered_map<uint64_t, std::vector<Acquisition>> log;
  /// By cluster: through clocks that warps share, and of the last lane that
  /// needed more.
  std::unordered_map<uint64_t, Cached> byClock, byLane;
};

/// A place in memory: shared memory of the block of a rank, or global memory.
struct Location {
  static constexpr uint32_t Global = ~uint32_t(0);
  uint32_t rank = Global;
  uint64_t address = 0;
  uint32_t bytes = 4;
};

class SyncLocations {
public:
  explicit SyncLocations(Cluster &cluster) : cluster(cluster) {}

  /// `global` is null if the program does not communicate between clusters.
  void reset(uint64_t clusterIndex, GlobalOrder *global);

  void fence(Warp &warp, uint32_t lanes, Scope scope, bool acquires,
             bool releases);
  void read(Warp &warp, uint32_t lanes, const Location &location, Scope scope,
            bool acquires);
  void write(Warp &warp, unsigned lane, const Location &location, Scope scope,
             bool releases);
  /// A read and a write that belong together. `reads`: the program gets to know
  /// what was read.
  void modify(Warp &warp, unsigned lane, const Location &location, Scope scope,
              bool acquires, bool releases, bool reads);
  /// Adds to `past` what fences of at least that scope have released for the
  /// lanes: that is what a relaxed arrival at a barrier hands on.
  void addFences(Warp &warp, uint32_t lanes, Scope scope, Past &past);
  /// The lanes have seen, by a relaxed wait, a barrier that hands on `past`,
  /// which a later fence of at least that scope may acquire.
  void noteWait(Warp &warp, uint32_t lanes, Scope scope, const Past &past);
  /// The time at which a strong store of the lane is recorded.
  Time storeTime(const Warp &warp, unsigned lane, Time epoch) const;
  bool hasFences(const Warp &warp) const;
  /// Whether the warp did just the same, with the same result, when it executed
  /// the instruction before. `state` is a hash of what it did.
  bool repeats(const Warp &warp, const Inst &inst, uint64_t state);
  /// The strong load or atomic operation of the warp that last did so; null if
  /// none has.
  const Inst *polled(const Warp &warp) { return stateOf(warp).polled; }

private:
  /// What a fence captured; `past` holds what its lanes have in common.
  struct Fence {
    uint32_t lanes = 0;
    Scope scope = Scope::Block;
    Time time = 0;
    std::shared_ptr<Past> past;
  };
  /// A sequence that lanes have read and that a fence may acquire.
  struct Pending {
    uint32_t lanes = 0;
    Time time = 0;
    Location location;
    Sequence sequence;
  };
  /// The newest release that lanes have acquired at a location.
  struct Seen {
    uint32_t lanes = 0;
    Scope scope = Scope::Block;
    uint64_t key = 0, id = 0;
  };
  /// A barrier that lanes have seen by a relaxed wait.
  struct Wait {
    uint32_t lanes = 0;
    Scope scope = Scope::Block;
    Time time = 0;
    Past past;
  };
  struct Poll {
    const Inst *inst = nullptr;
    uint64_t state = 0;
  };
  struct WarpState {
    std::vector<Fence> fences; ///< Oldest first.
    std::vector<Pending> pending;
    std::vector<Seen> seen;
    std::vector<Wait> waits;
    Poll polls[4];
    const Inst *polled = nullptr;
  };

  WarpState &stateOf(const Warp &warp);
  /// Those of `lanes` that know what one of `others` of another warp, or of
  /// their own, did at `time`.
  uint32_t knowers(const Warp &warp, uint32_t lanes, uint32_t otherWarp,
                   uint32_t others, Time time);
  void addPending(Warp &warp, Pending entry);
  /// Adds what lanes of the fence captured of which one of `lanes` knows; the
  /// fence is of the warp with the index `place`.
  void addKnown(Warp &warp, uint32_t lanes, uint32_t place, const Fence &fence,
                Past &past);
  GlobalOrder::Flags &flagsOf(const Location &location);
  static uint64_t keyOf(const Location &location, uint64_t word);
  /// The distinct sequences at the bytes of a location.
  void sequencesAt(const Location &location, std::vector<Sequence> &list);
  void put(const Location &location, const Sequence &sequence);
  /// Whether a release of that scope reaches the warp's own scope.
  bool reaches(const Release &release, const Warp &warp, Scope scope) const;
  void acquire(Warp &warp, uint32_t lanes, const Location &location,
               const Sequence &sequence, Scope scope);
  /// `acquired`: the lane has acquired all of `previous` at device scope.
  Sequence publish(Warp &warp, unsigned lane, Scope scope, bool releases,
                   Sequence previous, bool acquired = false);
  Sequence makeRelease(const Warp &warp, Scope scope, Past past,
                       Sequence previous, bool acquired = false);

  Cluster &cluster;
  uint64_t index = 0;
  GlobalOrder *global = nullptr;
  GlobalOrder::Flags shared;
  uint64_t nextRelease = 1;
  std::vector<WarpState> warps; ///< By index in the cluster.
};

} // namespace ropewalk::emulator

#endif // ROPEWALK_LIB_EMULATOR_SYNCLOCATIONS_H
