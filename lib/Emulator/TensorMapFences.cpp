//===- TensorMapFences.cpp - Order of tensor maps' changes ------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// See TensorMapFences.h. Maps change rarely: lists are short, and those that
// are not forget what is oldest in favour of the program.
//
//===----------------------------------------------------------------------===//

#include "TensorMapFences.h"
#include "Cluster.h"
#include "Ropewalk/Emulator/TensorMap.h"

#include <algorithm>
#include <bit>

using namespace ropewalk::emulator;

namespace {

constexpr size_t MaxReleases = 64, MaxAcquires = 4096;

uint64_t clusterOf(const Warp &warp) { return warp.block->cluster.index; }

/// The writes of the map that a lane of the actor's cluster may know of.
std::vector<GlobalShadow::Record> writesOf(const Actor &actor,
                                           uint64_t address) {
  std::vector<GlobalShadow::Record> writes;
  Block &block = *actor.warp->block;
  Buffer *buffer = block.launch.memory->find(address);
  if (buffer && buffer->contains(address, TensorMapBytes))
    block.worker.shadow->listWrites(block.cluster.ordering, *buffer,
                                    address - buffer->base, TensorMapBytes,
                                    writes);
  return writes;
}

/// Of the same cluster if they do not communicate.
uint64_t clusterOf(const Actor &actor, const GlobalShadow::Record &write) {
  return actor.warp->block->worker.shadow->order ? write.cluster - 1
                                                 : clusterOf(*actor.warp);
}

/// Whether the actor's lane knows one of the lanes' doing.
bool knowsEvent(const Actor &actor, uint64_t cluster, uint32_t plane,
                uint32_t lanes, Time time) {
  const Warp &warp = *actor.warp;
  Cluster &own = warp.block->cluster;
  GlobalOrder *order = warp.block->worker.order.get();
  for (; lanes; lanes &= lanes - 1) {
    unsigned lane = unsigned(std::countr_zero(lanes));
    if (cluster == own.index &&
        own.ordering.knows(warp, actor.lane, plane, lane, time))
      return true;
    if (order && order->knows(own.index, own.ordering, warp, actor.lane,
                              cluster, plane, lane, time))
      return true;
  }
  return false;
}

/// The narrowest scope that holds both a thread of the actor's cluster and one
/// of a plane of `cluster`.
Scope between(const Actor &actor, uint64_t cluster, uint32_t plane) {
  const Block &block = *actor.warp->block;
  if (cluster != block.cluster.index)
    return Scope::Device;
  uint32_t warp = block.cluster.ordering.partyOf(plane).warp;
  return warp / uint32_t(block.warps.size()) == block.rank ? Scope::Block
                                                           : Scope::Cluster;
}

bool isSame(const std::vector<GlobalShadow::Record> &a,
            const std::vector<GlobalShadow::Record> &b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const auto &x, const auto &y) {
                      return x.cluster == y.cluster && x.time == y.time &&
                             x.lanes == y.lanes && x.tag == y.tag;
                    });
}

} // namespace

void TensorMapFences::clear() {
  releases.clear();
  forgotten.clear();
  maps.clear();
}

void TensorMapFences::release(Warp &warp, uint32_t lanes, Scope scope) {
  Ordering &ordering = warp.block->cluster.ordering;
  Time time = ordering.advance(warp);
  while (lanes) {
    Release release;
    release.fence = {clusterOf(warp), ordering.view(warp).plane, 0, time,
                     scope};
    uint32_t part = ordering.capture(warp, lanes, release.past);
    ordering.addLanes(ordering.indexOf(warp), part, time, release.past);
    release.fence.lanes = part;
    lanes &= ~part;
    releases.push_back(std::move(release));
  }
  while (releases.size() > MaxReleases) {
    const Fence &oldest = releases.front().fence;
    Time &before = forgotten[oldest.cluster];
    before = std::max(before, oldest.time);
    releases.erase(releases.begin());
  }
}

bool TensorMapFences::knows(const Actor &actor, const Fence &fence) const {
  return fence.scope >= between(actor, fence.cluster, fence.plane) &&
         knowsEvent(actor, fence.cluster, fence.plane, fence.lanes, fence.time);
}

bool TensorMapFences::isReleased(const Actor &actor,
                                 const GlobalShadow::Record &write,
                                 Scope scope) const {
  const Ordering &ordering = actor.warp->block->cluster.ordering;
  uint64_t cluster = clusterOf(actor, write);
  if (auto found = forgotten.find(cluster);
      found != forgotten.end() && write.time < found->second)
    return true;
  uint32_t plane = planeOfTag(write.tag);
  // Many writers of the same: the lists would have to be kept for it.
  if (plane >= ordering.planes() || ordering.partyOf(plane).isAsyncProxy())
    return true;
  for (const Release &release : releases) {
    if (release.fence.cluster != cluster || !knows(actor, release.fence) ||
        scope < between(actor, cluster, release.fence.plane))
      continue;
    const std::vector<Time> &known = release.past.known;
    bool isBefore = true;
    for (uint32_t rest = write.lanes; rest; rest &= rest - 1) {
      uint32_t agent =
          ordering.agentOf(plane, unsigned(std::countr_zero(rest)));
      isBefore &= agent < known.size() && write.time < known[agent];
    }
    if (isBefore)
      return true;
  }
  return false;
}

void TensorMapFences::acquire(const Actor &actor, uint64_t address, Time time,
                              Scope scope) {
  const Ordering &ordering = actor.warp->block->cluster.ordering;
  Writes writes = writesOf(actor, address);
  // What is not ordered before the fence is not acquired by it; a use of the
  // map then finds it to be a race or another write than this.
  for (const GlobalShadow::Record &write : writes)
    if (planeOfTag(write.tag) < ordering.planes() &&
        !knowsEvent(actor, clusterOf(actor, write), planeOfTag(write.tag),
                    write.lanes, write.time))
      return;
  if (writes.empty())
    return;
  bool released =
      std::all_of(writes.begin(), writes.end(), [&](const auto &write) {
        return isReleased(actor, write, scope);
      });
  Map &map = maps[address];
  std::vector<Acquire> &acquires = map.acquires;
  std::erase_if(acquires, [&](const Acquire &old) {
    return !isSame(old.writes, writes);
  });
  uint32_t plane = ordering.indexOf(*actor.warp);
  uint32_t bit = uint32_t(1) << actor.lane;
  for (Acquire &old : acquires) {
    const Fence &fence = old.fence;
    if (fence.cluster != clusterOf(*actor.warp) || fence.plane != plane ||
        old.isReleased != released)
      continue;
    if (fence.lanes & bit && fence.scope >= scope)
      return;
    if (fence.time == time && fence.scope == scope) {
      old.fence.lanes |= bit;
      return;
    }
  }
  map.isLost |= acquires.size() == MaxAcquires;
  if (!map.isLost)
    acquires.push_back({{clusterOf(*actor.warp), plane, bit, time, scope},
                        std::move(writes),
                        released});
}

bool TensorMapFences::check(const Actor &actor, uint64_t address) const {
  const Block &block = *actor.warp->block;
  Writes writes = writesOf(actor, address);
  if (writes.empty())
    return true;
  bool isAcquired = false;
  if (auto found = maps.find(address); found != maps.end()) {
    if (found->second.isLost)
      return true;
    for (const Acquire &acquire : found->second.acquires) {
      if (!isSame(acquire.writes, writes) || !knows(actor, acquire.fence))
        continue;
      if (acquire.isReleased)
        return true;
      isAcquired = true;
    }
  }
  Conflict conflict;
  conflict.kind = isAcquired ? Conflict::Unreleased : Conflict::Unacquired;
  conflict.tag = writes.back().tag;
  conflict.lanes = writes.back().lanes;
  conflict.address = address;
  if (block.worker.shadow->order)
    conflict.cluster = int64_t(writes.back().cluster) - 1;
  return reportConflict(Accessor(actor, block.cluster.ordering, false),
                        Space::Global, conflict);
}
