//===- OrderingQueries.cpp - Questions of the shadows -----------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What an access needs to know of the order: whether single agents are known,
// and bounds for many at a time.
//
// View::least counts only agents that have made an access (`touched`), so that
// lanes that do not exist or only compute never make others look unordered. An
// agent's first access comes after a tick: it is later than every bound that
// was computed without it.
//
//===----------------------------------------------------------------------===//

#include "HostClones.h"
#include "OrderingClocks.h"

#include <algorithm>
#include <bit>

using namespace ropewalk::emulator;

namespace {

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

} // namespace

//===----------------------------------------------------------------------===//
// Bounds
//===----------------------------------------------------------------------===//

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
  for (size_t i = 0; i < clock.over.size(); ++i)
    over[i] = std::max(over[i], clock.over[i]);
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

//===----------------------------------------------------------------------===//
// Agents
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

Time Ordering::touch(const Warp &w, uint32_t lanes, Ego ego) {
  uint32_t plane = planeOf({.warp = const_cast<Warp *>(&w), .ego = ego});
  WarpClock &warp = of(w);
  if (plane == warp.view.plane)
    return touch(w, lanes);
  // Agents that are no lanes of a warp have one bit.
  uint32_t bits = plane < threadPlanes ? lanes : 1;
  if (bits & ~touched[plane]) {
    touched[plane] |= bits;
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
