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
// View::least counts only agents that have made an access (`touched`), so that
// lanes that do not exist or only compute never make others look unordered. An
// agent's first access comes after a tick: it is later than every bound that
// was computed without it.
//
//===----------------------------------------------------------------------===//

#include "Cluster.h"
#include "HostClones.h"

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

/// The minimum over the touched lanes of each plane, at most `now`.
ROPEWALK_HOST_CLONES
void minima(const Time *known, const uint32_t *touched, Time now, Time *least,
            size_t planes) {
  for (size_t plane = 0; plane < planes; ++plane) {
    uint32_t mask = touched[plane];
    Time minimum = now;
    for (uint32_t lane = 0; lane < 32; ++lane) {
      Time time = mask >> lane & 1 ? known[plane * 32 + lane] : now;
      minimum = std::min(minimum, time);
    }
    least[plane] = minimum;
  }
}

Time leastOf(const Time *known, uint32_t lanes, Time now) {
  Time minimum = now;
  for (; lanes; lanes &= lanes - 1)
    minimum = std::min(minimum, known[std::countr_zero(lanes)]);
  return minimum;
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

/// What a group of lanes knows of other warps.
struct Ordering::Clock {
  uint32_t references = 1;
  uint64_t id = 0; ///< Of this content.
  std::vector<Time> known;
  std::vector<Time> fenced; ///< Empty as long as there was no fence.
  std::vector<Time> over;   ///< Empty as long as everything is visible, too.
  /// See View; `fencedLeast` has for planes of the generic proxy what is
  /// fenced; `overLeast` has what is over, `fencedOverLeast` for planes of the
  /// async proxy only.
  std::vector<Time> least, fencedLeast, overLeast, fencedOverLeast;
  Time floor = 0;
  bool hasLeast = false, hasFencedLeast = false, hasOverLeast = false;

  void forgetLeast() { hasLeast = hasFencedLeast = hasOverLeast = false; }
};

struct Ordering::Group {
  uint32_t lanes = 0;
  Clock *clock = nullptr;
  uint64_t id = 0; ///< Of what the group knows.
  Time known[EgoCount][32];
  Time fenced[2][32]; ///< Thread and Copy.
};

struct Ordering::WarpClock {
  uint32_t index = 0;
  bool isDirty = true;
  View view;
  std::vector<Group> groups;
  std::vector<Time> merged; ///< View::least where there are several groups.
  Time own[EgoCount][32];   ///< What a lane knows of its own egos.
  Time ownFenced[2][32];    ///< And of its own writes.
  struct Commit {
    Time time;
    uint32_t lanes;
  };
  std::vector<Commit> commits[EgoCount]; ///< Ends of groups, oldest first.
  /// The latest acquire, for lanes that do the same one after the other.
  uint64_t acquiredFrom = 0, acquiredAs = 0;
  Past acquired;
};

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

void Ordering::findLeast(const Time *known, Time *least) const {
  minima(known, touched.data(), now, least, threadPlanes);
  for (uint32_t plane = threadPlanes; plane < planeCount; ++plane)
    least[plane] = touched[plane] ? known[agentOf(plane, 0)] : now;
}

void Ordering::refresh(Clock &clock) {
  if (clock.hasLeast)
    return;
  clock.hasLeast = true;
  clock.least.resize(planeCount + 1);
  findLeast(clock.known.data(), clock.least.data());
  clock.floor = *std::min_element(clock.least.begin(), clock.least.end() - 1);
  // The last plane stands for several writers, which need a closer look.
  clock.least[planeCount] = 0;
}

void Ordering::refreshOver(Clock &clock) {
  refresh(clock);
  if (clock.hasOverLeast)
    return;
  clock.hasOverLeast = true;
  std::vector<Time> over = clock.known;
  join(over, clock.over);
  clock.overLeast = clock.least;
  findLeast(over.data(), clock.overLeast.data());
}

void Ordering::refresh(WarpClock &warp) {
  warp.isDirty = false;
  View &view = warp.view;
  uint32_t lanes = touched[view.plane];
  Clock &first = *warp.groups[0].clock;
  refresh(first);
  view.floor = first.floor;
  view.least = first.least.data();
  view.leastOwn = now;
  for (const Group &group : warp.groups) {
    view.leastOwn =
        std::min(view.leastOwn, leastOf(group.known[0], lanes, now));
    if (group.clock == &first)
      continue;
    refresh(*group.clock);
    if (view.least != warp.merged.data()) {
      warp.merged = first.least;
      view.least = warp.merged.data();
    }
    view.floor = std::min(view.floor, group.clock->floor);
    for (uint32_t plane = 0; plane < planeCount; ++plane)
      warp.merged[plane] =
          std::min(warp.merged[plane], group.clock->least[plane]);
  }
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

Ordering::WarpClock &Ordering::of(const Warp &warp) const {
  return const_cast<WarpClock &>(warps[indexOf(warp)]);
}

const Ordering::Group &Ordering::groupOf(const WarpClock &warp,
                                         unsigned lane) const {
  for (const Group &group : warp.groups)
    if (group.lanes >> lane & 1)
      return group;
  return warp.groups[0];
}

Time Ordering::tick(WarpClock &warp) {
  warp.view.epoch = ++now;
  return now;
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

//===----------------------------------------------------------------------===//
// Questions of the shadows
//===----------------------------------------------------------------------===//

uint32_t Ordering::planeOf(const Actor &actor) const {
  if (actor.operation >= 0)
    return threadPlanes + uint32_t(actor.operation);
  // An ego that the program does not declare shares the last operation's.
  unsigned ego = unsigned(actor.ego);
  return egoRank[ego] == ~uint32_t(0) ? planeCount - 1
                                      : planeOf(indexOf(*actor.warp), ego);
}

Ordering::Party Ordering::partyOf(uint32_t plane) const {
  if (plane >= threadPlanes)
    return {operationWarp[plane - threadPlanes], Ego::Bulk, true};
  return {plane % warpCount, Ego(egos[plane / warpCount]), false};
}

const View &Ordering::view(const Warp &w) {
  WarpClock &warp = of(w);
  if (warp.isDirty)
    refresh(warp);
  return warp.view;
}

Time Ordering::touch(const Actor &actor) {
  WarpClock &warp = of(*actor.warp);
  uint32_t plane = planeOf(actor);
  uint32_t bit = plane < threadPlanes ? uint32_t(1) << actor.lane : 1;
  if (!(touched[plane] & bit)) {
    touched[plane] |= bit;
    if (plane == warp.view.plane)
      warp.view.touched |= bit;
    tick(warp);
  }
  return warp.view.epoch;
}

Time Ordering::touch(const Warp &w, uint32_t lanes) {
  WarpClock &warp = of(w);
  if (lanes & ~warp.view.touched) {
    warp.view.touched |= lanes;
    touched[warp.view.plane] |= lanes;
    tick(warp);
  }
  return warp.view.epoch;
}

bool Ordering::knows(const Warp &w, unsigned lane, uint32_t plane,
                     unsigned other, Time time) const {
  const WarpClock &warp = of(w);
  if (plane < threadPlanes && plane % warpCount == warp.index) {
    unsigned ego = egos[plane / warpCount];
    if (other == lane && (ego == 0 || time < warp.own[ego][lane]))
      return true;
    return time < groupOf(warp, lane).known[ego][other];
  }
  return time < groupOf(warp, lane).clock->known[agentOf(plane, other)];
}

bool Ordering::knowsByClock(const Warp &warp, unsigned lane, uint32_t plane,
                            unsigned other, Time time) const {
  return time < groupOf(of(warp), lane).clock->known[agentOf(plane, other)];
}

uint64_t Ordering::clockOf(const Warp &warp, unsigned lane) const {
  return groupOf(of(warp), lane).clock->id;
}

uint64_t Ordering::groupIdOf(const Warp &warp, unsigned lane) const {
  return groupOf(of(warp), lane).id;
}

bool Ordering::isFenced(const Warp &w, unsigned lane, uint32_t plane,
                        unsigned other, Time time) const {
  if (time < startTime)
    return true;
  const WarpClock &warp = of(w);
  const Group &group = groupOf(warp, lane);
  if (plane % warpCount == warp.index) {
    unsigned ego = egos[plane / warpCount];
    if (other == lane && time < warp.ownFenced[ego][lane])
      return true;
    return time < group.fenced[ego][other];
  }
  const std::vector<Time> &fenced = group.clock->fenced;
  return !fenced.empty() && time < fenced[agentOf(plane, other)];
}

bool Ordering::isOver(const Warp &w, unsigned lane, uint32_t plane,
                      unsigned other, Time time) const {
  const std::vector<Time> &over = groupOf(of(w), lane).clock->over;
  return (!over.empty() && time < over[agentOf(plane, other)]) ||
         knows(w, lane, plane, other, time);
}

const Time *Ordering::fencedLeast(const Warp &w, unsigned lane, bool isWrite) {
  Clock &clock = *groupOf(of(w), lane).clock;
  bool takesOver = isWrite && !clock.over.empty();
  if (!clock.hasFencedLeast) {
    refresh(clock);
    clock.hasFencedLeast = true;
    clock.fencedLeast = clock.least;
    uint32_t generic = warpCount * (egoRank[1] == ~uint32_t(0) ? 1 : 2);
    if (clock.fenced.empty())
      std::fill_n(clock.fencedLeast.begin(), generic, startTime);
    else
      minima(clock.fenced.data(), touched.data(), now, clock.fencedLeast.data(),
             generic);
    if (!clock.over.empty()) {
      refreshOver(clock);
      clock.fencedOverLeast = clock.overLeast;
      std::copy_n(clock.fencedLeast.begin(), generic,
                  clock.fencedOverLeast.begin());
    }
  }
  return takesOver ? clock.fencedOverLeast.data() : clock.fencedLeast.data();
}

const Time *Ordering::overLeast(const Warp &w, unsigned lane) {
  Clock &clock = *groupOf(of(w), lane).clock;
  if (clock.over.empty()) {
    refresh(clock);
    return clock.least.data();
  }
  refreshOver(clock);
  return clock.overLeast.data();
}
