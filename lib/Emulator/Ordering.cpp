//===- Ordering.cpp - What happened before what -----------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Clocks are shared until they change (Clock::references). A barrier of the
// block hands its Past on as the new clock of all that waited, so that it costs
// one pass over the agents and not one for each warp.
//
//===----------------------------------------------------------------------===//

#include "HostClones.h"
#include "OrderingClocks.h"

#include <algorithm>
#include <bit>

using namespace ropewalk::emulator;

namespace {

/// Operations under way that have an agent of their own.
constexpr uint32_t Operations = 64;
/// When time starts anew at the next cluster.
constexpr Time LateTime = Time(1) << 31;

ROPEWALK_HOST_CLONES
void raise(Time *into, const Time *from, size_t count) {
  for (size_t i = 0; i < count; ++i)
    into[i] = std::max(into[i], from[i]);
}

ROPEWALK_HOST_CLONES
bool covers(const Time *clock, const Time *past, size_t count) {
  uint32_t beyond = 0;
  for (size_t i = 0; i < count; ++i)
    beyond |= uint32_t(past[i] > clock[i]);
  return !beyond;
}

void join(std::vector<Time> &into, const std::vector<Time> &from) {
  if (into.size() < from.size())
    into.resize(from.size());
  raise(into.data(), from.data(), from.size());
}

template <class F> void forLanesOf(uint32_t mask, F function) {
  for (; mask; mask &= mask - 1)
    function(unsigned(std::countr_zero(mask)));
}

} // namespace

Ordering::Ordering() = default;
Ordering::~Ordering() = default;

//===----------------------------------------------------------------------===//
// Clocks
//===----------------------------------------------------------------------===//

Ordering::Clock *Ordering::newClock() {
  if (spare.empty()) {
    clocks.push_back(std::make_unique<Clock>());
    spare.push_back(clocks.back().get());
  }
  Clock *clock = spare.back();
  spare.pop_back();
  clock->references = 1;
  clock->id = nextId++;
  clock->forgetLeast();
  return clock;
}

Ordering::Clock *Ordering::copyOf(const Clock &from) {
  Clock *clock = newClock();
  clock->known = from.known;
  clock->fenced = from.fenced;
  clock->over = from.over;
  return clock;
}

void Ordering::drop(Clock *clock) {
  if (--clock->references == 0)
    spare.push_back(clock);
}

Ordering::Clock &Ordering::change(Clock *&clock) {
  if (clock->references > 1) {
    Clock *mine = copyOf(*clock);
    drop(clock);
    clock = mine;
  }
  clock->id = nextId++;
  clock->forgetLeast();
  return *clock;
}

void Ordering::reset(uint32_t threads, uint32_t egoBits, bool checksOrder) {
  checks = checksOrder;
  if (now > LateTime)
    now = 0;
  startTime = ++now;
  warpCount = threads / 32;
  egos.clear();
  for (unsigned ego = 0; ego < EgoCount; ++ego)
    if (ego == 0 || egoBits >> ego & 1) {
      egoRank[ego] = uint32_t(egos.size());
      egos.push_back(ego);
    } else {
      egoRank[ego] = ~uint32_t(0);
    }
  threadPlanes = warpCount * uint32_t(egos.size());
  planeCount = threadPlanes + Operations;
  agentCount = threadPlanes * 32 + Operations;
  busy = 0;
  operationWarp.assign(Operations, 0);
  if (!checks)
    return;
  touched.assign(planeCount, 0);
  spare.clear();
  for (auto &clock : clocks)
    spare.push_back(clock.get());
  Clock *initial = newClock();
  initial->known.assign(agentCount, startTime);
  initial->fenced.clear();
  initial->over.clear();
  initial->references = warpCount;
  warps.resize(warpCount);
  for (uint32_t i = 0; i < warpCount; ++i) {
    WarpClock &warp = warps[i];
    warp.index = i;
    warp.isDirty = true;
    warp.view = View();
    warp.view.plane = i;
    warp.view.epoch = startTime;
    warp.groups.resize(1);
    Group &group = warp.groups[0];
    group.lanes = ~uint32_t(0);
    group.clock = initial;
    group.id = nextId++;
    for (unsigned ego : egos) {
      std::fill_n(group.known[ego], 32, startTime);
      std::fill_n(warp.own[ego], 32, startTime);
      warp.commits[ego].clear();
    }
    std::fill_n(group.fenced[0], 64, startTime);
    std::fill_n(warp.ownFenced[0], 64, startTime);
    warp.acquiredFrom = 0;
  }
}

//===----------------------------------------------------------------------===//
// Groups
//===----------------------------------------------------------------------===//

uint32_t Ordering::indexOf(const Warp &warp) const {
  return warp.block->rank * uint32_t(warp.block->warps.size()) + warp.index;
}

void Ordering::split(WarpClock &warp, uint32_t lanes) {
  for (size_t i = 0, count = warp.groups.size(); i < count; ++i) {
    uint32_t inside = warp.groups[i].lanes & lanes;
    if (!inside || inside == warp.groups[i].lanes)
      continue;
    Group part = warp.groups[i];
    part.lanes = inside;
    part.id = nextId++;
    ++part.clock->references;
    warp.groups[i].lanes &= ~lanes;
    warp.groups.push_back(part);
  }
}

/// What a group knows beside its clock.
void Ordering::addOwn(const WarpClock &warp, const Group &group,
                      Past &past) const {
  if (past.fenced.empty() && !group.clock->fenced.empty())
    past.fenced.resize(agentCount);
  for (unsigned ego : egos) {
    uint32_t agent = agentOf(planeOf(warp.index, ego), 0);
    raise(past.known.data() + agent, group.known[ego], 32);
    if (ego < 2 && !past.fenced.empty())
      raise(past.fenced.data() + agent, group.fenced[ego], 32);
  }
}

//===----------------------------------------------------------------------===//
// Releases and acquires
//===----------------------------------------------------------------------===//

void Ordering::release(Warp &w, uint32_t lanes, Past &past) {
  if (!checks)
    return;
  WarpClock &warp = of(w);
  past.known.resize(agentCount);
  for (const Group &group : warp.groups) {
    if (!(group.lanes & lanes))
      continue;
    if (past.base != group.clock->id) {
      join(past.known, group.clock->known);
      join(past.fenced, group.clock->fenced);
      join(past.over, group.clock->over);
      past.base = group.clock->id;
    }
    addOwn(warp, group, past);
  }
  Time time = tick(warp);
  addLanes(warp.index, lanes, time, past);
}

uint32_t Ordering::capture(const Warp &w, uint32_t lanes, Past &past) const {
  if (!checks)
    return lanes;
  const WarpClock &warp = of(w);
  const Group &group = groupOf(warp, unsigned(std::countr_zero(lanes)));
  past.known.resize(agentCount);
  join(past.known, group.clock->known);
  join(past.fenced, group.clock->fenced);
  join(past.over, group.clock->over);
  addOwn(warp, group, past);
  return lanes & group.lanes;
}

Time Ordering::advance(Warp &warp) { return checks ? tick(of(warp)) : 0; }

void Ordering::addLanes(uint32_t index, uint32_t lanes, Time time,
                        Past &past) const {
  if (!checks)
    return;
  const WarpClock &warp = warps[index];
  for (unsigned ego : egos) {
    uint32_t agent = agentOf(planeOf(warp.index, ego), 0);
    Time *known = past.known.data() + agent;
    if (ego == 0 && lanes == ~uint32_t(0))
      for (unsigned lane = 0; lane < 32; ++lane)
        known[lane] = std::max(known[lane], time);
    else
      forLanesOf(lanes, [&](unsigned lane) {
        known[lane] =
            std::max(known[lane], ego == 0 ? time : warp.own[ego][lane]);
      });
    if (ego >= 2 || past.fenced.empty())
      continue;
    Time *fenced = past.fenced.data() + agent;
    forLanesOf(lanes, [&](unsigned lane) {
      fenced[lane] = std::max(fenced[lane], warp.ownFenced[ego][lane]);
    });
  }
}

void Ordering::acquire(Warp &w, uint32_t lanes, const Past &past) {
  if (!checks || past.isEmpty())
    return;
  WarpClock &warp = of(w);
  warp.isDirty = true;
  for (unsigned ego : egos) {
    const Time *known =
        past.known.data() + agentOf(planeOf(warp.index, ego), 0);
    forLanesOf(lanes, [&](unsigned lane) {
      warp.own[ego][lane] = std::max(warp.own[ego][lane], known[lane]);
    });
  }
  if (std::has_single_bit(lanes)) {
    // The same acquire as that of the lane before: the lanes stay together.
    for (Group &from : warp.groups) {
      if (!(from.lanes & lanes) || from.id != warp.acquiredFrom ||
          past.known != warp.acquired.known ||
          past.fenced != warp.acquired.fenced ||
          past.over != warp.acquired.over)
        continue;
      for (Group &to : warp.groups) {
        if (to.id != warp.acquiredAs)
          continue;
        to.lanes |= lanes;
        if (from.lanes &= ~lanes)
          return;
        drop(from.clock);
        if (&from != &warp.groups.back())
          from = warp.groups.back();
        warp.groups.pop_back();
        return;
      }
    }
    const Group &from = groupOf(warp, unsigned(std::countr_zero(lanes)));
    warp.acquiredFrom = 0;
    if (from.lanes != lanes) {
      warp.acquiredFrom = from.id;
      warp.acquired = past;
    }
  }
  split(warp, lanes);
  for (Group &group : warp.groups) {
    if (!(group.lanes & lanes))
      continue;
    if (!covers(group.clock->known.data(), past.known.data(),
                past.known.size()))
      join(change(group.clock).known, past.known);
    if (!past.fenced.empty() &&
        (group.clock->fenced.empty() ||
         !covers(group.clock->fenced.data(), past.fenced.data(),
                 past.fenced.size())))
      join(change(group.clock).fenced, past.fenced);
    addOver(group, past.over);
    for (unsigned ego : egos) {
      uint32_t agent = agentOf(planeOf(warp.index, ego), 0);
      raise(group.known[ego], past.known.data() + agent, 32);
      if (ego < 2 && !past.fenced.empty())
        raise(group.fenced[ego], past.fenced.data() + agent, 32);
    }
    group.id = warp.acquiredAs = nextId++;
  }
}

void Ordering::addOver(Group &group, const std::vector<Time> &over) {
  if (over.empty() ||
      covers(group.clock->known.data(), over.data(), over.size()) ||
      (!group.clock->over.empty() &&
       covers(group.clock->over.data(), over.data(), over.size())))
    return;
  join(change(group.clock).over, over);
}

void Ordering::acquireOver(Warp &w, uint32_t lanes, const Past &past) {
  if (!checks || past.isEmpty())
    return;
  WarpClock &warp = of(w);
  warp.isDirty = true;
  split(warp, lanes);
  for (Group &group : warp.groups) {
    if (!(group.lanes & lanes))
      continue;
    addOver(group, past.known);
    addOver(group, past.over);
    group.id = nextId++;
  }
}

void Ordering::completeBarrier(Block &block, uint32_t mask, Past &past) {
  if (!checks || past.isEmpty())
    return;
  Clock *clock = newClock();
  std::swap(clock->known, past.known);
  std::swap(clock->fenced, past.fenced);
  std::swap(clock->over, past.over);
  past.clear();
  clock->references = uint32_t(std::popcount(mask));
  forLanesOf(mask, [&](unsigned index) {
    WarpClock &warp = of(block.warps[index]);
    warp.isDirty = true;
    for (Group &group : warp.groups)
      drop(group.clock);
    warp.groups.resize(1);
    Group &group = warp.groups[0];
    group.lanes = ~uint32_t(0);
    group.clock = clock;
    group.id = nextId++;
    for (unsigned ego : egos) {
      uint32_t agent = agentOf(planeOf(warp.index, ego), 0);
      std::copy_n(clock->known.data() + agent, 32, group.known[ego]);
      if (ego < 2 && !clock->fenced.empty())
        std::copy_n(clock->fenced.data() + agent, 32, group.fenced[ego]);
    }
  });
  if (clock->references == 0)
    spare.push_back(clock);
}

void Ordering::synchronizeWarp(Warp &w, uint32_t lanes) {
  if (!checks)
    return;
  WarpClock &warp = of(w);
  warp.isDirty = true;
  // Lanes that do not exist or have left stay with the others.
  if (!(w.live & ~lanes))
    lanes = ~uint32_t(0);
  split(warp, lanes);
  Group *first = nullptr;
  for (size_t i = 0; i < warp.groups.size();) {
    Group &group = warp.groups[i];
    if (!(group.lanes & lanes)) {
      ++i;
      continue;
    }
    if (!first) {
      first = &group;
      ++i;
      continue;
    }
    if (group.clock->id != first->clock->id) {
      Clock &clock = change(first->clock);
      join(clock.known, group.clock->known);
      join(clock.fenced, group.clock->fenced);
      join(clock.over, group.clock->over);
    }
    for (unsigned ego : egos)
      raise(first->known[ego], group.known[ego], 32);
    raise(first->fenced[0], group.fenced[0], 64);
    first->lanes |= group.lanes;
    drop(group.clock);
    if (i + 1 < warp.groups.size())
      group = warp.groups.back();
    warp.groups.pop_back();
  }
  first->id = nextId++;
  Time time = tick(warp);
  if (lanes == ~uint32_t(0))
    std::fill_n(first->known[0], 32, time);
  else
    forLanesOf(lanes, [&](unsigned lane) { first->known[0][lane] = time; });
  for (unsigned ego : egos) {
    if (ego > 0)
      forLanesOf(lanes, [&](unsigned lane) {
        first->known[ego][lane] =
            std::max(first->known[ego][lane], warp.own[ego][lane]);
      });
    if (ego < 2)
      forLanesOf(lanes, [&](unsigned lane) {
        first->fenced[ego][lane] =
            std::max(first->fenced[ego][lane], warp.ownFenced[ego][lane]);
      });
  }
}

void Ordering::fenceProxy(Warp &w, uint32_t lanes) {
  if (!checks)
    return;
  WarpClock &warp = of(w);
  if (!(w.live & ~lanes))
    lanes = ~uint32_t(0);
  split(warp, lanes);
  Time time = tick(warp);
  for (Group &group : warp.groups) {
    if (!(group.lanes & lanes))
      continue;
    if (group.clock->fenced != group.clock->known) {
      Clock &clock = change(group.clock);
      clock.fenced = clock.known;
      warp.isDirty = true;
    }
    group.id = nextId++;
    for (unsigned ego : egos)
      if (ego < 2)
        std::copy_n(group.known[ego], 32, group.fenced[ego]);
  }
  forLanesOf(lanes, [&](unsigned lane) {
    warp.ownFenced[0][lane] = time;
    if (egoRank[1] != ~uint32_t(0))
      warp.ownFenced[1][lane] = warp.own[1][lane];
  });
}

//===----------------------------------------------------------------------===//
// Egos and operations
//===----------------------------------------------------------------------===//

Time Ordering::commit(Warp &w, uint32_t lanes, Ego ego) {
  if (!checks || egoRank[unsigned(ego)] == ~uint32_t(0))
    return 0;
  WarpClock &warp = of(w);
  Time time = tick(warp);
  warp.commits[unsigned(ego)].push_back({time, lanes});
  return time;
}

void Ordering::addCommit(const Warp &warp, Time time, Past &past) const {
  constexpr unsigned ego = unsigned(Ego::Matrix);
  if (!checks || egoRank[ego] == ~uint32_t(0))
    return;
  past.known.resize(agentCount);
  past.known[agentOf(planeOf(indexOf(warp), ego), 0)] = time;
}

void Ordering::awaitGroups(Warp &w, uint32_t lanes, Ego ego, uint32_t pending,
                           bool open) {
  if (!checks || egoRank[unsigned(ego)] == ~uint32_t(0))
    return;
  WarpClock &warp = of(w);
  std::vector<WarpClock::Commit> &commits = warp.commits[unsigned(ego)];
  Time *own = warp.own[unsigned(ego)];
  if (open) {
    Time time = tick(warp);
    forLanesOf(lanes, [&](unsigned lane) { own[lane] = time; });
    for (WarpClock::Commit &commit : commits)
      commit.lanes &= ~lanes;
  } else {
    uint32_t left[32], waiting = lanes;
    std::fill_n(left, 32, pending);
    for (size_t i = commits.size(); i-- > 0;) {
      WarpClock::Commit &commit = commits[i];
      uint32_t over = commit.lanes & lanes & ~waiting;
      forLanesOf(commit.lanes & waiting, [&](unsigned lane) {
        if (left[lane]) {
          --left[lane];
          return;
        }
        own[lane] = std::max(own[lane], commit.time);
        over |= uint32_t(1) << lane;
      });
      waiting &= ~over;
      commit.lanes &= ~over;
    }
  }
  std::erase_if(commits,
                [](const WarpClock::Commit &commit) { return !commit.lanes; });
  // The whole warp waits for what is lane 0's: any lane may tell others.
  if (ego == Ego::Matrix)
    for (Group &group : warp.groups)
      if (group.lanes & lanes) {
        Time &known = group.known[unsigned(ego)][0];
        known = std::max(known, own[0]);
        group.id = nextId++;
      }
}

void Ordering::releaseEgo(Warp &w, unsigned lane, Ego ego, Past &past) {
  if (!checks || egoRank[unsigned(ego)] == ~uint32_t(0))
    return;
  WarpClock &warp = of(w);
  past.known.resize(agentCount);
  past.known[agentOf(planeOf(warp.index, unsigned(ego)), lane)] = tick(warp);
}

int32_t Ordering::beginOperation(Warp &w, unsigned) {
  if (!checks)
    return 0;
  WarpClock &warp = of(w);
  tick(warp);
  for (uint32_t i = 0; i < Operations; ++i) {
    nextOperation = (nextOperation + 1) % Operations;
    if (!(busy >> nextOperation & 1))
      break;
  }
  busy |= uint64_t(1) << nextOperation;
  operationWarp[nextOperation] = warp.index;
  return int32_t(nextOperation);
}

void Ordering::endOperation(int32_t operation, Past &past) {
  if (!checks || operation < 0)
    return;
  busy &= ~(uint64_t(1) << operation);
  past.known.resize(agentCount);
  past.known[agentOf(threadPlanes + uint32_t(operation), 0)] = ++now;
}
