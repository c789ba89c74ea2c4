//===- SharedMemory.h - Shared memory with its sanitizer --------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Shared memory of a block, with shadow state for races and uninitialized
// reads.
//
// The shadow is kept by cell: a word of 4 bytes or, from the first narrower
// access on, 2 bytes or 1. A cell holds the last weak write: its time, its
// lanes and a tag (RaceReport.h). Weak reads, strong reads and strong writes
// are kept beside, in one track of cells for each plane that makes some, so
// that each of many readers has its place: a cell of a track holds the latest
// time and the lanes of that time. An access conflicts with
//
//   weak read      writes of both kinds
//   strong read    weak writes
//   weak write     everything
//   strong write   weak writes and weak reads
//
// that its lane does not know (Ordering.h); strong accesses whose scopes do not
// include each other count as weak. Lanes that store the same bytes without
// order do no harm: `several` then holds all writers, and a reader has to know
// one of them. Two things go unseen: a read replaces an earlier one of another
// lane of its warp, also where nothing orders the two; and so does a strong
// write. No report is ever false.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_LIB_EMULATOR_SHAREDMEMORY_H
#define ROPEWALK_LIB_EMULATOR_SHAREDMEMORY_H

#include "RaceReport.h"

#include <unordered_map>

namespace ropewalk::emulator {

constexpr uint32_t MaxWarps = 32;

/// Recorded accesses, by cell.
struct Cells {
  std::vector<Time> time;
  std::vector<uint32_t> lanes, tag;

  void assign(size_t count);
  /// Makes `parts` cells of each.
  void refine(uint32_t parts);
};

struct SharedMemory {
  enum TrackKind : uint8_t { WeakRead, StrongRead, StrongWrite, TrackKinds };
  struct Track {
    uint32_t plane = 0;
    Time latest = 0;
    Cells cells;
  };

  /// `planes` and `start` are those of the cluster's Ordering.
  void reset(uint32_t bytes, const Ordering &ordering, bool checkRaces,
             bool checkValid);

  /// Checks the access for races and records it. False on a conflict.
  bool access(const Accessor &a, uint32_t address, uint32_t bytes,
              Conflict &conflict);
  /// Makes cells that an access of this address and size has for itself.
  void refine(uint64_t addressAndBytes);
  Track &track(TrackKind kind, uint32_t plane) {
    Track *track = tracks[kind][plane].get();
    return track ? *track : addTrack(kind, plane);
  }

  bool isValid(uint32_t address, uint32_t bytes) const {
    for (uint32_t i = 0; i < bytes; ++i)
      if (!valid[address + i])
        return false;
    return true;
  }

  std::vector<std::byte> data;
  std::vector<uint8_t> valid;
  uint32_t size = 0;
  bool checksRaces = true;
  bool checksValid = true;

  /// Weak writes may be no earlier than `time` in some of the cells.
  bool mayBeWritten(uint32_t first, uint32_t count, Time time) const {
    uint32_t late = 0;
    for (size_t i = areaOf(first), end = areaOf(first + count - 1); i <= end;
         ++i)
      late |= uint32_t(lastWrite[i] >= time);
    return late;
  }
  void noteWrite(uint32_t first, uint32_t count, Time time) {
    for (size_t i = areaOf(first), end = areaOf(first + count - 1); i <= end;
         ++i)
      lastWrite[i] = lastWrite[i] < time ? time : lastWrite[i];
  }

  uint32_t shift = 2; ///< Bytes of a cell are 1 << shift.
  Cells writers;
  std::vector<Track *> used[TrackKinds];
  Time latest[TrackKinds] = {}; ///< The greatest of all tracks of a kind.
  /// Threads of other blocks have been here.
  bool hasVisitors = false;

private:
  static constexpr unsigned AreaShift = 10;
  size_t areaOf(uint32_t cell) const {
    return size_t(cell) << shift >> AreaShift;
  }

  struct Writer {
    Time time;
    uint32_t lanes, tag;
  };

  Track &addTrack(TrackKind kind, uint32_t plane);
  bool checkFast(const Accessor &a, const Time *least, Time floor,
                 uint32_t first, uint32_t count) const;
  bool checkCell(const Accessor &a, uint32_t cell, bool &isSame,
                 Conflict &conflict) const;
  bool checkTracks(const Accessor &a, TrackKind kind, uint32_t cell,
                   Conflict &conflict) const;
  void record(const Accessor &a, uint32_t first, uint32_t count);
  void addWriter(const Accessor &a, uint32_t cell);

  std::vector<Time> lastWrite; ///< The latest one, by area.
  size_t cellCount = 0;
  Time lastStart = 0;
  uint32_t severalPlane = 0;
  std::vector<std::unique_ptr<Track>> tracks[TrackKinds]; ///< By plane.
  std::unordered_map<uint32_t, std::vector<Writer>> several;
};

} // namespace ropewalk::emulator

#endif // ROPEWALK_LIB_EMULATOR_SHAREDMEMORY_H
