//===- SharedMemory.cpp - Shared memory with its sanitizer ------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// See SharedMemory.h for the rules. Most accesses meet only records that the
// bounds of View::least show to be known; loops over the cells find that out,
// and only the others are looked at one by one and lane by lane.
//
//===----------------------------------------------------------------------===//

#include "SharedMemory.h"
#include "Cluster.h"
#include "HostClones.h"

#include <algorithm>
#include <bit>
#include <cstring>

using namespace ropewalk::emulator;

namespace {

/// Whether a record is not known by the bounds. `own` is the lane's bit if its
/// own accesses count as known, else 0.
ROPEWALK_HOST_CLONES
bool anyUnknown(const Time *time, const uint32_t *lanes, const uint32_t *tag,
                size_t count, const Time *least, Time floor, uint32_t plane,
                uint32_t own, bool isWrite) {
  uint32_t late = 0;
  for (size_t i = 0; i < count; ++i)
    late |= uint32_t(time[i] >= floor);
  if (!late)
    return false;
  // All written by one plane, like the tile of a copy.
  uint32_t differs = 0;
  Time latest = 0;
  for (size_t i = 0; i < count; ++i) {
    differs |= (tag[i] ^ tag[0]) >> TagPlaneShift;
    latest = std::max(latest, time[i]);
  }
  if (!differs && latest < least[planeOfTag(tag[0])])
    return false;
  uint32_t unknown = 0;
  for (size_t i = 0; i < count; ++i) {
    uint32_t others = isWrite ? lanes[i] ^ own : ~lanes[i] & own;
    uint32_t isOwn = uint32_t(planeOfTag(tag[i]) == plane) &
                     uint32_t(own != 0) & uint32_t(others == 0);
    unknown |= uint32_t(time[i] >= least[planeOfTag(tag[i])]) & (isOwn ^ 1);
  }
  return unknown;
}

/// Likewise for the track of one plane. Lanes in `own` count as known.
ROPEWALK_HOST_CLONES
bool anyUnknownIn(const Time *time, const uint32_t *lanes, size_t count,
                  Time least, uint32_t own) {
  uint32_t unknown = 0;
  for (size_t i = 0; i < count; ++i)
    unknown |= uint32_t(time[i] >= least) & uint32_t((lanes[i] & ~own) != 0);
  return unknown;
}

/// Adds the lane to the lanes of the present time.
ROPEWALK_HOST_CLONES
void mark(Time *time, uint32_t *lanes, uint32_t *tag, size_t count, Time epoch,
          uint32_t bit, uint32_t word) {
  for (size_t i = 0; i < count; ++i) {
    lanes[i] = (time[i] == epoch ? lanes[i] : 0) | bit;
    time[i] = epoch;
    tag[i] = word;
  }
}

template <class T> void repeat(std::vector<T> &values, uint32_t parts) {
  std::vector<T> finer(values.size() * parts);
  for (size_t i = 0; i < finer.size(); ++i)
    finer[i] = values[i / parts];
  values = std::move(finer);
}

/// Cells behind the end, for loops that work on many at a time.
constexpr size_t Tail = 512;

} // namespace

void Cells::assign(size_t count) {
  time.assign(count, 0);
  lanes.assign(count, 0);
  tag.assign(count, 0);
}

void Cells::refine(uint32_t parts) {
  repeat(time, parts);
  repeat(lanes, parts);
  repeat(tag, parts);
}

void SharedMemory::reset(uint32_t bytes, const Ordering &ordering, bool races,
                         bool validity) {
  // A tail of one vector, so that fast paths may read past the end.
  data.assign(bytes + 64, std::byte(0));
  valid.assign(validity ? bytes + 64 : 0, 0);
  checksRaces = races;
  checksValid = validity;
  severalPlane = ordering.planes();
  hasVisitors = false;
  several.clear();
  if (!checksRaces) {
    size = bytes;
    return;
  }
  // Records of earlier clusters are older than all that this one asks for.
  if (size != bytes || writers.time.empty() || ordering.start() < lastStart ||
      tracks[0].size() != severalPlane) {
    shift = 2;
    cellCount = (size_t(bytes) + 3) / 4 + Tail;
    writers.assign(cellCount);
    lastWrite.assign((cellCount << 2 >> AreaShift) + 1, 0);
    for (unsigned kind = 0; kind < TrackKinds; ++kind) {
      tracks[kind].clear();
      tracks[kind].resize(severalPlane);
      used[kind].clear();
      latest[kind] = 0;
    }
  }
  size = bytes;
  lastStart = ordering.start();
}

SharedMemory::Track &SharedMemory::addTrack(TrackKind kind, uint32_t plane) {
  tracks[kind][plane] = std::make_unique<Track>();
  Track &track = *tracks[kind][plane];
  track.plane = plane;
  track.cells.assign(cellCount);
  used[kind].push_back(&track);
  return track;
}

void SharedMemory::refine(uint64_t addressAndBytes) {
  uint32_t wanted =
      std::min<uint32_t>(shift, uint32_t(std::countr_zero(addressAndBytes)));
  if (wanted == shift)
    return;
  uint32_t parts = uint32_t(1) << (shift - wanted);
  writers.refine(parts);
  for (unsigned kind = 0; kind < TrackKinds; ++kind)
    for (Track *track : used[kind])
      track->cells.refine(parts);
  std::unordered_map<uint32_t, std::vector<Writer>> finer;
  for (auto &[cell, list] : several)
    for (uint32_t part = 0; part < parts; ++part)
      finer[cell * parts + part] = list;
  several = std::move(finer);
  cellCount *= parts;
  shift = wanted;
}

bool SharedMemory::checkFast(const Accessor &a, const Time *least, Time floor,
                             uint32_t first, uint32_t count) const {
  bool isThread = a.actor.ego == Ego::Thread && a.actor.operation < 0;
  uint32_t own = isThread ? a.bit() : 0;
  if (anyUnknown(&writers.time[first], &writers.lanes[first],
                 &writers.tag[first], count, least, floor, a.plane, own,
                 a.isWrite))
    return false;
  bool isStrong = a.actor.scope != Scope::Weak;
  const Time *leastReads =
      a.isWrite ? a.ordering.overLeast(*a.actor.warp, a.actor.lane) : least;
  for (unsigned kind = 0; kind < TrackKinds; ++kind) {
    const Time *bounds = kind == StrongWrite ? least : leastReads;
    if (used[kind].empty() || latest[kind] < floor ||
        (!a.isWrite && kind != StrongWrite) ||
        (isStrong && kind != WeakRead && !hasVisitors))
      continue;
    for (const Track *track : used[kind])
      if (track->latest >= bounds[track->plane] &&
          anyUnknownIn(&track->cells.time[first], &track->cells.lanes[first],
                       count, bounds[track->plane],
                       track->plane == a.plane ? own : 0))
        return false;
  }
  return true;
}

bool SharedMemory::checkTracks(const Accessor &a, TrackKind kind, uint32_t cell,
                               Conflict &conflict) const {
  for (const Track *track : used[kind]) {
    Time time = track->cells.time[cell];
    uint32_t lanes = track->cells.lanes[cell], tag = track->cells.tag[cell];
    if (time < a.ordering.start() || isMorallyStrong(a, tag))
      continue;
    bool wrote = kind == StrongWrite;
    for (uint32_t rest = lanes; rest; rest &= rest - 1) {
      unsigned lane = unsigned(std::countr_zero(rest));
      Standing standing = standingOf(a, track->plane, lane, time, wrote);
      if (standing == Standing::Known)
        continue;
      conflict.kind = standing == Standing::Unfenced ? Conflict::Unfenced
                                                     : Conflict::Unordered;
      conflict.otherWrote = wrote;
      conflict.tag = tag;
      conflict.lanes = uint32_t(1) << lane;
      return false;
    }
  }
  return true;
}

bool SharedMemory::checkCell(const Accessor &a, uint32_t cell, bool &isSame,
                             Conflict &conflict) const {
  isSame = false;
  Writer last{writers.time[cell], writers.lanes[cell], writers.tag[cell]};
  if (last.time >= a.ordering.start()) {
    const Writer *list = &last;
    size_t count = 1;
    if (planeOfTag(last.tag) == severalPlane) {
      const std::vector<Writer> &all = several.at(cell);
      list = all.data();
      count = all.size();
    }
    // Lanes that wrote the same need to be known all by a writer, and one of
    // them by a reader.
    Standing standing = a.isWrite ? Standing::Known : Standing::Unknown;
    for (size_t i = 0; i < count; ++i) {
      Standing one = standingOf(a, list[i].tag, list[i].lanes, list[i].time,
                                true, !a.isWrite);
      if (a.isWrite ? one >= standing : one <= standing) {
        standing = one;
        last = list[i];
      }
    }
    if (standing == Standing::Unknown && a.isWrite && a.values &&
        !a.isAsyncProxy) {
      uint32_t bytes = uint32_t(1) << shift;
      isSame =
          !std::memcmp(data.data() + (size_t(cell) << shift), a.values, bytes);
    }
    if (standing != Standing::Known && !isSame) {
      conflict.kind = standing == Standing::Unfenced ? Conflict::Unfenced
                                                     : Conflict::Unordered;
      conflict.otherWrote = true;
      conflict.tag = last.tag;
      conflict.lanes =
          last.lanes & ~a.bit() ? last.lanes & ~a.bit() : last.lanes;
      return false;
    }
  }
  // Who has read these bytes reads the same after the store.
  return checkTracks(a, StrongWrite, cell, conflict) &&
         (!a.isWrite || ((isSame || checkTracks(a, WeakRead, cell, conflict)) &&
                         checkTracks(a, StrongRead, cell, conflict)));
}

void SharedMemory::addWriter(const Accessor &a, uint32_t cell) {
  uint32_t tag = tagOf(a.plane, a.actor.scope, *a.actor.inst);
  Time &time = writers.time[cell];
  uint32_t &lanes = writers.lanes[cell], &last = writers.tag[cell];
  if (planeOfTag(last) == a.plane && time == a.epoch) {
    lanes |= a.bit();
    return;
  }
  std::vector<Writer> &list = several[cell];
  if (planeOfTag(last) != severalPlane) {
    list.assign(1, {time, lanes, last});
    last = severalPlane << TagPlaneShift;
  }
  for (Writer &writer : list)
    if (planeOfTag(writer.tag) == a.plane && writer.time == a.epoch) {
      writer.lanes |= a.bit();
      return;
    }
  // Writers that everybody knows have nothing to say any more.
  std::erase_if(list, [&](const Writer &writer) {
    return writer.lanes == a.bit() && planeOfTag(writer.tag) == a.plane;
  });
  list.push_back({a.epoch, a.bit(), tag});
  time = std::max(time, a.epoch);
  noteWrite(cell, 1, a.epoch);
}

void SharedMemory::record(const Accessor &a, uint32_t first, uint32_t count) {
  bool isStrong = a.actor.scope != Scope::Weak;
  uint32_t tag = tagOf(a.plane, a.actor.scope, *a.actor.inst);
  if (a.isWrite && !isStrong) {
    std::fill_n(&writers.time[first], count, a.epoch);
    std::fill_n(&writers.lanes[first], count, a.bit());
    std::fill_n(&writers.tag[first], count, tag);
    noteWrite(first, count, a.epoch);
    return;
  }
  TrackKind kind = a.isWrite ? StrongWrite : isStrong ? StrongRead : WeakRead;
  Track &mine = track(kind, a.plane);
  mark(&mine.cells.time[first], &mine.cells.lanes[first],
       &mine.cells.tag[first], count, a.epoch, a.bit(), tag);
  mine.latest = std::max(mine.latest, a.epoch);
  latest[kind] = std::max(latest[kind], a.epoch);
}

bool SharedMemory::access(const Accessor &access, uint32_t address,
                          uint32_t bytes, Conflict &conflict) {
  Accessor a = access;
  refine(uint64_t(address) | bytes);
  const Warp &warp = *a.actor.warp;
  hasVisitors |= &warp.block->shared != this;
  const View &view = a.ordering.view(warp);
  const Time *least =
      a.isAsyncProxy ? a.ordering.fencedLeast(warp, a.actor.lane, a.isWrite)
                     : view.least;
  // What is known is not yet fenced.
  Time floor = a.isAsyncProxy ? a.ordering.start() : view.floor;
  uint32_t first = address >> shift, count = bytes >> shift;
  if (checkFast(a, least, floor, first, count)) {
    record(a, first, count);
    return true;
  }
  for (uint32_t cell = first; cell < first + count; ++cell) {
    bool isSame;
    if (!checkCell(a, cell, isSame, conflict)) {
      conflict.address = uint64_t(cell) << shift;
      return false;
    }
    if (isSame)
      addWriter(a, cell);
    else
      record(a, cell, 1);
    if (a.values)
      a.values += size_t(1) << shift;
  }
  return true;
}

std::byte *ropewalk::emulator::accessShared(const Actor &actor, Block &owner,
                                            uint64_t address, uint32_t bytes,
                                            bool isWrite) {
  Block &block = *actor.warp->block;
  SharedMemory &shared = owner.shared;
  if (address + bytes > shared.size || address > shared.size) {
    block.failAt(*actor.warp, *actor.inst, ReportKind::OutOfBounds,
                 int(actor.lane), address,
                 std::to_string(bytes) + " bytes beyond the block's " +
                     std::to_string(shared.size) + " bytes of shared memory");
    return nullptr;
  }
  if (shared.checksValid && isWrite)
    std::memset(shared.valid.data() + address, 1, bytes);
  if (shared.checksValid && !isWrite &&
      std::memchr(shared.valid.data() + address, 0, bytes)) {
    block.failAt(*actor.warp, *actor.inst, ReportKind::UninitializedMemory,
                 int(actor.lane), address,
                 "no thread has written these bytes of .shared memory");
    return nullptr;
  }
  if (shared.checksRaces && bytes) {
    Conflict conflict;
    Accessor accessor(actor, block.cluster.ordering, isWrite);
    if (!shared.access(accessor, uint32_t(address), bytes, conflict)) {
      reportConflict(accessor, Space::Shared, conflict);
      return nullptr;
    }
  }
  return shared.data.data() + address;
}
