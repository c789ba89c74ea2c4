//===- ShadowLoops.h - Checks of whole warps --------------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The shadow of shared memory (SharedMemory.h) for accesses by all lanes of a
// warp at a time. Each function either finds that nothing can conflict, records
// the access and returns true, or changes nothing and returns false: then
// SharedMemory::access decides, lane by lane.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_LIB_EMULATOR_SHADOWLOOPS_H
#define ROPEWALK_LIB_EMULATOR_SHADOWLOOPS_H

#include "Lanes.h"

namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA {

/// An access of a warp on its way through the shadow.
struct WarpAccess {
  SharedMemory &shared;
  const View &view;
  uint32_t tag = 0;
  bool isWrite = false;
  bool isStrong = false;
  /// Tracks that the access is recorded in and that it has to look at.
  SharedMemory::Track *track = nullptr;
  bool checks[SharedMemory::TrackKinds] = {};

  WarpAccess(SharedMemory &shared, const View &view, uint32_t tag, bool isWrite,
             bool isStrong)
      : shared(shared), view(view), tag(tag), isWrite(isWrite),
        isStrong(isStrong) {
    using S = SharedMemory;
    if (!isWrite || isStrong) {
      S::TrackKind kind = isWrite    ? S::StrongWrite
                          : isStrong ? S::StrongRead
                                     : S::WeakRead;
      track = &shared.track(kind, view.plane);
      track->latest = shared.latest[kind] = view.epoch;
    }
    for (unsigned kind = 0; kind < S::TrackKinds; ++kind)
      checks[kind] = !shared.used[kind].empty() &&
                     shared.latest[kind] >= view.floor &&
                     (kind == S::StrongWrite || isWrite) &&
                     (!isStrong || kind == S::WeakRead);
  }
};

/// Bits of the lanes by cell, where each lane has `1 << shift` cells.
struct LaneBitsOfCells {
  uint32_t bits[5][32 * 16];
  constexpr LaneBitsOfCells() : bits() {
    for (unsigned shift = 0; shift < 5; ++shift)
      for (unsigned i = 0; i < 32u << shift; ++i)
        bits[shift][i] = uint32_t(1) << (i >> shift);
  }
};
inline constexpr LaneBitsOfCells laneBitsOfCells;

/// 32 lanes one after the other, from cell `first` on; each has 1 << `shift`
/// cells.
ROPEWALK_INLINE bool recordRun(WarpAccess &a, uint32_t first, unsigned shift) {
  using V = Vec<uint32_t>;
  SharedMemory &s = a.shared;
  const View &view = a.view;
  const uint32_t *bits = laneBitsOfCells.bits[shift];
  const uint32_t count = 32u << shift;
  Time *time = s.writers.time.data() + first;
  uint32_t *lanes = s.writers.lanes.data() + first;
  uint32_t *tag = s.writers.tag.data() + first;
  V late = 0;
  if (s.mayBeWritten(first, count, view.floor))
    for (uint32_t i = 0; i < count; i += 32)
      late |= as<V>(load<uint32_t>(time + i) >= view.floor);
  if (maskOf(late != 0u)) {
    for (uint32_t i = 0; i < count; i += 32) {
      V plane = load<uint32_t>(tag + i) >> TagPlaneShift, least;
      V of = load<uint32_t>(lanes + i), own = load<uint32_t>(bits + i);
      for (unsigned j = 0; j < 32; ++j)
        least[j] = view.least[plane[j]];
      V when = load<uint32_t>(time + i);
      auto isMine = a.isWrite ? of == own : (of & own) != 0u;
      auto isOwn = (plane == view.plane) & (isMine | (when < view.leastOwn));
      if (maskOf(((when < least) | isOwn) == 0))
        return false;
    }
  }
  for (unsigned kind = 0; kind < SharedMemory::TrackKinds; ++kind) {
    if (!a.checks[kind])
      continue;
    for (const SharedMemory::Track *track : s.used[kind]) {
      bool isOwn = track->plane == view.plane;
      Time least = isOwn ? view.leastOwn : view.least[track->plane];
      if (track->latest < least)
        continue;
      V unknown = 0;
      for (uint32_t i = 0; i < count; i += 32) {
        V others = load<uint32_t>(track->cells.lanes.data() + first + i);
        if (isOwn)
          others &= ~load<uint32_t>(bits + i);
        V when = load<uint32_t>(track->cells.time.data() + first + i);
        unknown |= as<V>((when >= least) & (others != 0u));
      }
      if (maskOf(unknown != 0u))
        return false;
    }
  }
  if (a.track) {
    time = a.track->cells.time.data() + first;
    lanes = a.track->cells.lanes.data() + first;
    tag = a.track->cells.tag.data() + first;
  } else {
    s.noteWrite(first, count, view.epoch);
  }
  const V now = view.epoch, word = a.tag;
  for (uint32_t i = 0; i < count; i += 32) {
    V own = load<uint32_t>(bits + i);
    if (a.track)
      own |=
          load<uint32_t>(time + i) == now ? load<uint32_t>(lanes + i) : (V)(0u);
    std::memcpy(time + i, &now, sizeof now);
    std::memcpy(lanes + i, &own, sizeof own);
    std::memcpy(tag + i, &word, sizeof word);
  }
  return true;
}

/// `Count` cells of one lane, or of several lanes that access the same cells.
template <unsigned Count>
ROPEWALK_INLINE bool recordCells(WarpAccess &a, uint32_t first, uint32_t own) {
  SharedMemory &s = a.shared;
  const View &view = a.view;
  Time *time = s.writers.time.data() + first;
  uint32_t *lanes = s.writers.lanes.data() + first;
  uint32_t *tag = s.writers.tag.data() + first;
  // Lanes that access together do not know of each other's earlier accesses.
  const uint32_t known = own & (own - 1) ? 0 : own;
  if (s.mayBeWritten(first, Count, view.floor))
    for (unsigned i = 0; i < Count; ++i) {
      uint32_t plane = tag[i] >> TagPlaneShift;
      bool isMine = a.isWrite ? lanes[i] == known : (own & ~lanes[i]) == 0;
      bool isOwn = plane == view.plane && (isMine || time[i] < view.leastOwn);
      if (time[i] >= view.least[plane] && !isOwn)
        return false;
    }
  for (unsigned kind = 0; kind < SharedMemory::TrackKinds; ++kind) {
    if (!a.checks[kind])
      continue;
    for (const SharedMemory::Track *track : s.used[kind]) {
      bool isOwn = track->plane == view.plane;
      Time least = isOwn ? view.leastOwn : view.least[track->plane];
      if (track->latest < least)
        continue;
      uint32_t mine = isOwn ? known : 0, unknown = 0;
      const Time *when = track->cells.time.data() + first;
      const uint32_t *of = track->cells.lanes.data() + first;
      for (unsigned i = 0; i < Count; ++i)
        unknown |= uint32_t(when[i] >= least) & uint32_t((of[i] & ~mine) != 0);
      if (unknown)
        return false;
    }
  }
  if (!a.track) {
    for (unsigned i = 0; i < Count; ++i) {
      time[i] = view.epoch;
      lanes[i] = own;
      tag[i] = a.tag;
    }
    s.noteWrite(first, Count, view.epoch);
    return true;
  }
  time = a.track->cells.time.data() + first;
  lanes = a.track->cells.lanes.data() + first;
  tag = a.track->cells.tag.data() + first;
  for (unsigned i = 0; i < Count; ++i) {
    lanes[i] = (time[i] == view.epoch ? lanes[i] : 0) | own;
    time[i] = view.epoch;
    tag[i] = a.tag;
  }
  return true;
}

ROPEWALK_INLINE bool recordCells(WarpAccess &a, uint32_t first, uint32_t count,
                                 uint32_t own) {
  switch (count) {
  case 1:
    return recordCells<1>(a, first, own);
  case 2:
    return recordCells<2>(a, first, own);
  case 4:
    return recordCells<4>(a, first, own);
  case 8:
    return recordCells<8>(a, first, own);
  case 16:
    return recordCells<16>(a, first, own);
  default:
    return false;
  }
}

template <unsigned N>
using CellVector = uint32_t __attribute__((ext_vector_type(N)));
template <unsigned N>
ROPEWALK_INLINE CellVector<N> loadCells(const uint32_t *from) {
  CellVector<N> cells;
  std::memcpy(&cells, from, sizeof cells);
  return cells;
}
template <unsigned N>
ROPEWALK_INLINE void storeCells(uint32_t *to, CellVector<N> cells) {
  std::memcpy(to, &cells, sizeof cells);
}
template <unsigned N> ROPEWALK_INLINE bool hasAny(CellVector<N> cells) {
  return __builtin_reduce_or(cells) != 0;
}

/// Calls `f.template operator()<N>(i)` for parts of N cells from i on, until
/// it returns false. Parts may overlap.
template <class F> ROPEWALK_INLINE bool forParts(uint32_t count, F f) {
  auto inParts = [&]<unsigned N>() ROPEWALK_INLINE_LAMBDA {
    uint32_t i = 0;
    for (; i + N <= count; i += N)
      if (!f.template operator()<N>(i))
        return false;
    return i == count || f.template operator()<N>(count - N);
  };
  return count >= 16  ? inParts.template operator()<16>()
         : count >= 8 ? inParts.template operator()<8>()
         : count >= 4 ? inParts.template operator()<4>()
                      : inParts.template operator()<1>();
}

/// Whether the lanes of some cells know who wrote them.
template <unsigned N>
ROPEWALK_INLINE bool areWritersKnown(const WarpAccess &a, uint32_t first,
                                     const uint32_t *all,
                                     const uint32_t *single) {
  using V = CellVector<N>;
  const SharedMemory &s = a.shared;
  const View &view = a.view;
  V when = loadCells<N>(s.writers.time.data() + first);
  V late = as<V>(when >= view.floor);
  if (!hasAny<N>(late))
    return true;
  V plane = loadCells<N>(s.writers.tag.data() + first) >> TagPlaneShift, least;
  V of = loadCells<N>(s.writers.lanes.data() + first);
  for (unsigned i = 0; i < N; ++i)
    least[i] = view.least[plane[i]];
  V isMine = a.isWrite ? as<V>(of == loadCells<N>(single))
                       : as<V>((loadCells<N>(all) & ~of) == 0u);
  V isOwn = as<V>(plane == view.plane) & (isMine | as<V>(when < view.leastOwn));
  return !hasAny<N>(as<V>(when >= least) & ~isOwn);
}

/// Accesses of a warp in a known pattern, with the base at cell `base`. Stores
/// must be distinct.
ROPEWALK_INLINE bool recordPattern(WarpAccess &a, AddressPattern &pattern,
                                   uint32_t base) {
  SharedMemory &s = a.shared;
  const View &view = a.view;
  const AddressPattern::CellLanes &cells = pattern.cells(s.shift);
  const uint32_t *all = cells.all.data(), *single = cells.single.data();
  auto forRuns = [&](auto f) ROPEWALK_INLINE_LAMBDA {
    uint32_t done = 0;
    for (const AddressPattern::Run &run : pattern.runs) {
      uint32_t count = run.bytes >> s.shift;
      if (!f(base + (run.offset >> s.shift), count, done))
        return false;
      done += count;
    }
    return true;
  };
  const AddressPattern::Run &last = pattern.runs.back();
  uint32_t low = base + (pattern.runs.front().offset >> s.shift);
  uint32_t span = base + ((last.offset + last.bytes) >> s.shift) - low;
  if (s.mayBeWritten(low, span, view.floor) &&
      !forRuns([&](uint32_t first, uint32_t count,
                   uint32_t done) ROPEWALK_INLINE_LAMBDA {
        return forParts(count,
                        [&]<unsigned N>(uint32_t i) ROPEWALK_INLINE_LAMBDA {
                          return areWritersKnown<N>(
                              a, first + i, all + done + i, single + done + i);
                        });
      }))
    return false;
  for (unsigned kind = 0; kind < SharedMemory::TrackKinds; ++kind) {
    if (!a.checks[kind])
      continue;
    for (const SharedMemory::Track *track : s.used[kind]) {
      bool isOwn = track->plane == view.plane;
      Time least = isOwn ? view.leastOwn : view.least[track->plane];
      if (track->latest < least)
        continue;
      const Time *when = track->cells.time.data();
      const uint32_t *of = track->cells.lanes.data();
      if (!forRuns([&](uint32_t first, uint32_t count,
                       uint32_t done) ROPEWALK_INLINE_LAMBDA {
            return forParts(count, [&]<unsigned N>(
                                       uint32_t i) ROPEWALK_INLINE_LAMBDA {
              using V = CellVector<N>;
              V others = loadCells<N>(of + first + i);
              if (isOwn)
                others &= ~loadCells<N>(single + done + i);
              return !hasAny<N>(as<V>(loadCells<N>(when + first + i) >= least) &
                                as<V>(others != 0u));
            });
          }))
        return false;
    }
  }
  Cells &target = a.track ? a.track->cells : s.writers;
  if (!a.track)
    s.noteWrite(low, span, view.epoch);
  Time *time = target.time.data();
  uint32_t *lanes = target.lanes.data(), *tag = target.tag.data();
  forRuns([&](uint32_t first, uint32_t count,
              uint32_t done) ROPEWALK_INLINE_LAMBDA {
    return forParts(count, [&]<unsigned N>(uint32_t i) ROPEWALK_INLINE_LAMBDA {
      using V = CellVector<N>;
      uint32_t at = first + i;
      V own = loadCells<N>(all + done + i);
      if (a.track)
        own |= loadCells<N>(time + at) == view.epoch ? loadCells<N>(lanes + at)
                                                     : (V)(0u);
      storeCells<N>(time + at, (V)(view.epoch));
      storeCells<N>(lanes + at, own);
      storeCells<N>(tag + at, (V)(a.tag));
      return true;
    });
  });
  return true;
}

} // namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA

#endif // ROPEWALK_LIB_EMULATOR_SHADOWLOOPS_H
