//===- SyncLocations.cpp - Flags in memory ----------------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// See SyncLocations.h. Polls make most of the work, so that a warp remembers
// how much of the sequence at a location it has acquired.
//
//===----------------------------------------------------------------------===//

#include "SyncLocations.h"
#include "Cluster.h"

#include <algorithm>
#include <bit>
#include <unordered_set>

using namespace ropewalk::emulator;

namespace {

/// Sequences that a warp keeps for later fences, fences that it keeps for later
/// stores, and how far back a sequence is searched for an earlier one. Beyond,
/// order is assumed, not races.
constexpr size_t MaxPending = 64, MaxFences = 16;
constexpr unsigned MaxSearch = 64;
/// Releases that a counter keeps whose modifications acquire the earlier ones.
constexpr uint32_t MaxLength = 256;
/// Locations whose acquired releases a warp remembers.
constexpr size_t MaxSeen = 8;

void raise(std::vector<Time> &into, const std::vector<Time> &from) {
  if (into.size() < from.size())
    into.resize(from.size());
  for (size_t i = 0; i < from.size(); ++i)
    into[i] = std::max(into[i], from[i]);
}

bool continues(const Release *sequence, const Release *earlier) {
  for (unsigned i = 0; sequence && i < MaxSearch; ++i) {
    if (sequence == earlier)
      return true;
    sequence = sequence->previous.get();
  }
  return false;
}

} // namespace

Release::~Release() {
  // Not by recursion: sequences of counters are long.
  Sequence next = std::move(previous);
  while (next && next.use_count() == 1) {
    Sequence after = std::move(const_cast<Release &>(*next).previous);
    next = std::move(after);
  }
}

//===----------------------------------------------------------------------===//
// Between clusters
//===----------------------------------------------------------------------===//

void GlobalOrder::add(uint64_t cluster, Acquisition acquisition) {
  log[cluster].push_back(std::move(acquisition));
}

template <class F>
void GlobalOrder::collect(uint64_t cluster, F isKnown, Knowledge &knowledge) {
  std::unordered_set<uint64_t> releases;
  std::unordered_map<uint64_t, std::vector<bool>> done;
  std::vector<uint64_t> work;
  auto follow = [&](uint64_t from, size_t i) {
    const Acquisition &acquisition = log[from][i];
    std::vector<bool> &marks = done[from];
    marks.resize(log[from].size());
    if (marks[i])
      return;
    marks[i] = true;
    for (const Release *release = acquisition.sequence.get();
         release && release->id > acquisition.until;
         release = release->next()) {
      if (release->scope != Scope::Device || release->cluster == from ||
          !releases.insert(release->id).second)
        continue;
      raise(knowledge[release->cluster], release->past.known);
      work.push_back(release->cluster);
    }
  };
  for (size_t i = 0; i < log[cluster].size(); ++i)
    if (isKnown(log[cluster][i]))
      follow(cluster, i);
  while (!work.empty()) {
    uint64_t next = work.back();
    work.pop_back();
    auto found = log.find(next);
    if (found == log.end())
      continue;
    for (size_t i = 0; i < found->second.size(); ++i) {
      const Acquisition &acquisition = found->second[i];
      const std::vector<Time> &known = knowledge[next];
      bool isVisible = false;
      for (uint32_t rest = acquisition.lanes; rest; rest &= rest - 1)
        isVisible |= acquisition.time <
                     known[acquisition.plane * 32 + std::countr_zero(rest)];
      if (isVisible)
        follow(next, i);
    }
  }
}

template <class F>
const GlobalOrder::Knowledge &
GlobalOrder::update(Cached &cached, uint64_t cluster, uint64_t key, F isKnown) {
  size_t acquisitions = log[cluster].size();
  if (cached.key != key || cached.acquisitions != acquisitions) {
    cached.key = key;
    cached.acquisitions = acquisitions;
    cached.knowledge.clear();
    collect(cluster, isKnown, cached.knowledge);
  }
  return cached.knowledge;
}

bool GlobalOrder::knows(uint64_t cluster, Ordering &ordering, const Warp &warp,
                        unsigned lane, uint64_t other, uint32_t plane,
                        unsigned agent, Time time) {
  auto covers = [&](const Knowledge &knowledge) {
    auto found = knowledge.find(other);
    return found != knowledge.end() &&
           time < found->second[ordering.agentOf(plane, agent)];
  };
  auto anyLane = [](uint32_t lanes, auto function) {
    for (; lanes; lanes &= lanes - 1)
      if (function(unsigned(std::countr_zero(lanes))))
        return true;
    return false;
  };
  if (covers(update(byClock[cluster], cluster, ordering.clockOf(warp, lane),
                    [&](const Acquisition &a) {
                      return anyLane(a.lanes, [&](unsigned l) {
                        return ordering.knowsByClock(warp, lane, a.plane, l,
                                                     a.time);
                      });
                    })))
    return true;
  uint64_t key = ordering.groupIdOf(warp, lane) * 32 + lane;
  return covers(
      update(byLane[cluster], cluster, key, [&](const Acquisition &a) {
        return anyLane(a.lanes, [&](unsigned l) {
          return ordering.knows(warp, lane, a.plane, l, a.time);
        });
      }));
}

//===----------------------------------------------------------------------===//
// Locations
//===----------------------------------------------------------------------===//

void SyncLocations::reset(uint64_t clusterIndex, GlobalOrder *order) {
  index = clusterIndex;
  global = order;
  shared.clear();
  warps.clear();
}

SyncLocations::WarpState &SyncLocations::stateOf(const Warp &warp) {
  uint32_t place = cluster.ordering.indexOf(warp);
  if (place >= warps.size())
    warps.resize(place + 1);
  return warps[place];
}

GlobalOrder::Flags &SyncLocations::flagsOf(const Location &location) {
  return location.rank == Location::Global && global ? global->flags : shared;
}

uint64_t SyncLocations::keyOf(const Location &location, uint64_t word) {
  return location.rank == Location::Global
             ? word
             : uint64_t(location.rank + 1) << 48 | word;
}

void SyncLocations::sequencesAt(const Location &location,
                                std::vector<Sequence> &list) {
  GlobalOrder::Flags &flags = flagsOf(location);
  uint64_t end = location.address + location.bytes;
  for (uint64_t word = location.address / 4; word * 4 < end; ++word) {
    auto found = flags.find(keyOf(location, word));
    if (found == flags.end())
      continue;
    for (uint64_t byte = std::max(word * 4, location.address);
         byte < std::min(end, word * 4 + 4); ++byte) {
      const Sequence &sequence = found->second[byte & 3];
      if (sequence &&
          std::find(list.begin(), list.end(), sequence) == list.end())
        list.push_back(sequence);
    }
  }
}

void SyncLocations::put(const Location &location, const Sequence &sequence) {
  GlobalOrder::Flags &flags = flagsOf(location);
  uint64_t end = location.address + location.bytes;
  for (uint64_t word = location.address / 4; word * 4 < end; ++word) {
    uint64_t key = keyOf(location, word);
    if (!sequence && !flags.count(key))
      continue;
    std::array<Sequence, 4> &bytes = flags[key];
    for (uint64_t byte = std::max(word * 4, location.address);
         byte < std::min(end, word * 4 + 4); ++byte)
      bytes[byte & 3] = sequence;
  }
}

bool SyncLocations::reaches(const Release &release, const Warp &warp,
                            Scope scope) const {
  if (release.cluster != index)
    return release.scope == Scope::Device && scope == Scope::Device;
  return release.block == warp.block->rank ||
         (release.scope >= Scope::Cluster && scope >= Scope::Cluster);
}

void SyncLocations::acquire(Warp &warp, uint32_t lanes,
                            const Location &location, const Sequence &sequence,
                            Scope scope) {
  WarpState &state = stateOf(warp);
  uint64_t key = keyOf(location, location.address);
  Seen *seen = nullptr;
  for (Seen &entry : state.seen)
    if (entry.key == key && entry.scope == scope && !(lanes & ~entry.lanes))
      seen = &entry;
  uint64_t until = seen ? seen->id : 0;
  bool crosses = false;
  const Release *release = sequence.get();
  while (release && release->id > until) {
    if (!reaches(*release, warp, scope) && !release->isCut) {
      release = release->previous.get();
      continue;
    }
    if (release->cluster == index)
      cluster.ordering.acquire(warp, lanes, release->past);
    else
      crosses = true;
    release = release->next();
  }
  if (crosses && global) {
    const View &view = cluster.ordering.view(warp);
    global->add(index, {view.plane, lanes, view.epoch, sequence, until});
  }
  if (seen) {
    seen->id = std::max(until, sequence->id);
    return;
  }
  if (state.seen.size() == MaxSeen)
    state.seen.erase(state.seen.begin());
  state.seen.push_back({lanes, scope, key, sequence->id});
}

uint32_t SyncLocations::knowers(const Warp &warp, uint32_t lanes,
                                uint32_t otherWarp, uint32_t others,
                                Time time) {
  // The planes of threads come first.
  Ordering &ordering = cluster.ordering;
  if (time < ordering.view(warp).least[otherWarp])
    return lanes;
  uint32_t result = 0;
  for (uint32_t rest = lanes; rest; rest &= rest - 1) {
    unsigned lane = unsigned(std::countr_zero(rest));
    for (uint32_t more = others; more; more &= more - 1)
      if (ordering.knows(warp, lane, otherWarp,
                         unsigned(std::countr_zero(more)), time)) {
        result |= uint32_t(1) << lane;
        break;
      }
  }
  return result;
}

void SyncLocations::addPending(Warp &warp, Pending entry) {
  std::vector<Pending> &pending = stateOf(warp).pending;
  for (Pending &old : pending)
    if (old.location.rank == entry.location.rank &&
        old.location.address == entry.location.address &&
        old.time == entry.time &&
        (old.sequence == entry.sequence ||
         (!(old.lanes & ~entry.lanes) &&
          continues(entry.sequence.get(), old.sequence.get())))) {
      old.lanes |= entry.lanes;
      old.sequence = std::move(entry.sequence);
      return;
    }
  pending.push_back(std::move(entry));
  if (pending.size() <= MaxPending)
    return;
  Pending oldest = std::move(pending.front());
  pending.erase(pending.begin());
  for (const auto &block : cluster.blocks)
    for (Warp &other : block->warps)
      acquire(other, ~uint32_t(0), oldest.location, oldest.sequence,
              Scope::Device);
}

void SyncLocations::read(Warp &warp, uint32_t lanes, const Location &location,
                         Scope scope, bool acquires) {
  std::vector<Sequence> list;
  sequencesAt(location, list);
  for (const Sequence &sequence : list) {
    if (acquires)
      acquire(warp, lanes, location, sequence, scope);
    if ((acquires && scope == Scope::Device) ||
        !cluster.launch.program->usesFences)
      continue;
    Time time = cluster.ordering.view(warp).epoch;
    addPending(warp, {lanes, time, location, sequence});
  }
}

Sequence SyncLocations::makeRelease(const Warp &warp, Scope scope, Past past,
                                    Sequence previous, bool acquired) {
  uint64_t &counter = global ? global->nextRelease : nextRelease;
  if (previous && previous.use_count() == 1 && previous->cluster == index &&
      previous->block == warp.block->rank && previous->scope == scope) {
    // Nobody has seen the sequence end there: one release stands for both.
    Release &last = const_cast<Release &>(*previous);
    addPast(last.past, past);
    last.id = counter++;
    last.isCumulative |= acquired && last.isDeviceWide;
    return previous;
  }
  auto release = std::make_shared<Release>();
  release->id = counter++;
  release->cluster = index;
  release->block = warp.block->rank;
  release->scope = scope;
  release->isDeviceWide =
      scope == Scope::Device && (!previous || previous->isDeviceWide);
  release->isCumulative = acquired && release->isDeviceWide;
  release->past = std::move(past);
  if (previous && previous->length == MaxLength && release->isCumulative) {
    release->isCut = true;
    return release;
  }
  release->length =
      previous ? std::min(previous->length, MaxLength - 1) + 1 : 1;
  release->previous = std::move(previous);
  return release;
}

void SyncLocations::addKnown(Warp &warp, uint32_t lanes, uint32_t place,
                             const Fence &fence, Past &past) {
  uint32_t known = 0;
  for (uint32_t rest = fence.lanes; rest; rest &= rest - 1)
    if (knowers(warp, lanes, place, rest & -rest, fence.time))
      known |= rest & -rest;
  if (!known)
    return;
  addPast(past, *fence.past);
  cluster.ordering.addLanes(place, known, fence.time, past);
}

Sequence SyncLocations::publish(Warp &warp, unsigned lane, Scope scope,
                                bool releases, Sequence previous,
                                bool acquired) {
  // What fences have captured, by scope.
  Past captured[4];
  for (uint32_t place = 0; place < warps.size(); ++place)
    for (const Fence &fence : warps[place].fences)
      if (!releases || fence.scope > scope)
        addKnown(warp, uint32_t(1) << lane, place, fence,
                 captured[unsigned(fence.scope)]);
  for (Scope level : {Scope::Block, Scope::Cluster, Scope::Device})
    if (Past &past = captured[unsigned(level)]; !past.isEmpty())
      previous = makeRelease(warp, level, std::move(past), std::move(previous));
  if (!releases)
    return previous;
  Past past;
  cluster.ordering.release(warp, uint32_t(1) << lane, past);
  return makeRelease(warp, scope, std::move(past), std::move(previous),
                     acquired);
}

void SyncLocations::write(Warp &warp, unsigned lane, const Location &location,
                          Scope scope, bool releases) {
  put(location, publish(warp, lane, scope, releases, nullptr));
}

void SyncLocations::modify(Warp &warp, unsigned lane, const Location &location,
                           Scope scope, bool acquires, bool releases,
                           bool reads) {
  if (reads)
    read(warp, uint32_t(1) << lane, location, scope, acquires);
  if (!releases && !cluster.launch.program->usesFences)
    return;
  Sequence previous;
  {
    std::vector<Sequence> list;
    sequencesAt(location, list);
    if (!list.empty())
      previous = list.front();
  }
  put(location, nullptr);
  put(location, publish(warp, lane, scope, releases, std::move(previous),
                        reads && acquires && scope == Scope::Device));
}

void SyncLocations::fence(Warp &warp, uint32_t lanes, Scope scope,
                          bool acquires, bool releases) {
  stateOf(warp);
  for (uint32_t place = 0; acquires && place < warps.size(); ++place)
    for (const Pending &entry : warps[place].pending)
      if (uint32_t mine = knowers(warp, lanes, place, entry.lanes, entry.time))
        acquire(warp, mine, entry.location, entry.sequence, scope);
  for (uint32_t place = 0; acquires && place < warps.size(); ++place)
    for (const Wait &wait : warps[place].waits)
      if (uint32_t mine = scope < wait.scope ? 0
                                             : knowers(warp, lanes, place,
                                                       wait.lanes, wait.time))
        cluster.ordering.acquire(warp, mine, wait.past);
  if (!releases)
    return;
  std::vector<Fence> &fences = stateOf(warp).fences;
  Time time = cluster.ordering.advance(warp);
  for (uint32_t rest = lanes; rest;) {
    Fence fence;
    fence.scope = scope;
    fence.time = time;
    fence.past = std::make_shared<Past>();
    fence.lanes = cluster.ordering.capture(warp, rest, *fence.past);
    rest &= ~fence.lanes;
    fences.push_back(std::move(fence));
  }
  // Older fences stand for those that know only of them. Of very many, two
  // become one that is as early as the first and knows as much as both.
  while (fences.size() > MaxFences) {
    Fence &first = fences[0], &second = fences[1];
    second.lanes |= first.lanes;
    second.scope = std::max(second.scope, first.scope);
    second.time = first.time;
    addPast(*second.past, *first.past);
    fences.erase(fences.begin());
  }
}

void SyncLocations::addFences(Warp &warp, uint32_t lanes, Scope scope,
                              Past &past) {
  for (uint32_t place = 0; place < warps.size(); ++place)
    for (const Fence &fence : warps[place].fences)
      if (fence.scope >= scope)
        addKnown(warp, lanes, place, fence, past);
}

void SyncLocations::noteWait(Warp &warp, uint32_t lanes, Scope scope,
                             const Past &past) {
  if (!cluster.launch.program->usesFences || past.isEmpty())
    return;
  std::vector<Wait> &waits = stateOf(warp).waits;
  Time time = cluster.ordering.view(warp).epoch;
  auto found = std::find_if(waits.begin(), waits.end(), [&](const Wait &wait) {
    return wait.lanes == lanes && wait.scope == scope && wait.time == time;
  });
  if (found != waits.end()) {
    addPast(found->past, past);
    return;
  }
  waits.push_back({lanes, scope, time, past});
  if (waits.size() <= MaxPending)
    return;
  // Two become one that is as early as the first.
  Wait &first = waits[0], &second = waits[1];
  second.lanes |= first.lanes;
  second.scope = std::min(second.scope, first.scope);
  second.time = first.time;
  addPast(second.past, first.past);
  waits.erase(waits.begin());
}

bool SyncLocations::hasFences(const Warp &warp) const {
  uint32_t place = cluster.ordering.indexOf(warp);
  return place < warps.size() && !warps[place].fences.empty();
}

Time SyncLocations::storeTime(const Warp &warp, unsigned lane,
                              Time epoch) const {
  uint32_t place = cluster.ordering.indexOf(warp);
  if (place >= warps.size())
    return epoch;
  Time latest = 0;
  for (const Fence &fence : warps[place].fences)
    if (fence.lanes >> lane & 1)
      latest = std::max(latest, fence.time);
  return latest ? std::min(epoch, latest - 1) : epoch;
}

bool SyncLocations::repeats(const Warp &warp, const Inst &inst,
                            uint64_t state) {
  WarpState &of = stateOf(warp);
  Poll &poll = of.polls[inst.id % 4];
  bool isSame = poll.inst == &inst && poll.state == state;
  poll = {&inst, state};
  if (isSame)
    of.polled = &inst;
  return isSame;
}
