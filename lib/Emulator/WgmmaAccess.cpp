//===- WgmmaAccess.cpp - Checked matrices in shared memory ------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A matrix is many small pieces, each of which accessShared would check at a
// price of its own. The common case, pieces that one agent has written, which
// the warp knows of through a fence, is checked and recorded here in a few
// vector instructions; everything else, reports included, is left to
// accessShared.
//
//===----------------------------------------------------------------------===//

#include "Cluster.h"
#include "RaceReport.h"
#include "WgmmaDescriptor.h"

#include "WgmmaForm.h"

namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA {

namespace {

class MatrixReader {
public:
  MatrixReader(Warp &warp, const Inst &inst);

  /// Reads a multiple of 16 bytes. Returns false after a report.
  ROPEWALK_INLINE bool read(uint32_t address, uint32_t bytes) {
    uint32_t done = 0;
    if (isFast && uint64_t(address) + bytes <= shared.size) [[likely]] {
      while (done + 32 <= bytes && readCells<8>(address + done))
        done += 32;
      if (done + 16 <= bytes && readCells<4>(address + done))
        done += 16;
    }
    return done == bytes ||
           accessShared(actor, block, address + done, bytes - done, false);
  }

private:
  template <unsigned Count> bool readCells(uint32_t address);

  Actor actor;
  Block &block;
  SharedMemory &shared;
  bool isFast = false;
  const Time *least = nullptr;
  Cells *cells = nullptr; ///< Of the reads of the warp's wgmmas.
  Time epoch = 0;
  uint32_t tag = 0;
};

MatrixReader::MatrixReader(Warp &warp, const Inst &inst)
    : actor{&warp, &inst, 0, Ego::Matrix}, block(*warp.block),
      shared(block.shared) {
  if (!shared.checksRaces) {
    isFast = true;
    return;
  }
  if (shared.shift != 2)
    return;
  Ordering &ordering = block.cluster.ordering;
  uint32_t plane = ordering.planeOf(actor);
  epoch = ordering.touch(actor);
  tag = tagOf(plane, Scope::Weak, inst);
  least = ordering.fencedLeast(warp, actor.lane);
  for (const SharedMemory::Track *track :
       shared.used[SharedMemory::StrongWrite])
    if (track->latest >= least[track->plane])
      return;
  SharedMemory::Track &track = shared.track(SharedMemory::WeakRead, plane);
  track.latest = std::max(track.latest, epoch);
  Time &latest = shared.latest[SharedMemory::WeakRead];
  latest = std::max(latest, epoch);
  cells = &track.cells;
  isFast = true;
}

/// Reads `Count` cells of 4 bytes; false if that needs a closer look.
template <unsigned Count>
ROPEWALK_INLINE bool MatrixReader::readCells(uint32_t address) {
  using Words = uint32_t __attribute__((ext_vector_type(Count)));
  using Bytes = uint8_t __attribute__((ext_vector_type(Count * 4)));
  if (shared.checksValid) {
    Bytes valid;
    std::memcpy(&valid, shared.valid.data() + address, sizeof valid);
    if (__builtin_reduce_min(valid) == 0) [[unlikely]]
      return false;
  }
  if (!cells)
    return true;
  uint32_t first = address / 4;
  Words time, writers;
  std::memcpy(&time, shared.writers.time.data() + first, sizeof time);
  std::memcpy(&writers, shared.writers.tag.data() + first, sizeof writers);
  Words planes = writers >> TagPlaneShift;
  auto unknown = (time >= least[planes[0]]) | (planes != planes[0]);
  if (__builtin_reduce_or(unknown)) [[unlikely]]
    return false;
  Words now = epoch, lanes = 1, word = tag;
  std::memcpy(cells->time.data() + first, &now, sizeof now);
  std::memcpy(cells->lanes.data() + first, &lanes, sizeof lanes);
  std::memcpy(cells->tag.data() + first, &word, sizeof word);
  return true;
}

} // namespace

bool readMatrix(Warp &warp, const Inst &inst, const MatrixLayout &layout,
                unsigned first, unsigned count) {
  MatrixReader reader(warp, inst);
  const unsigned end = first + count, across = layout.mask + 1;
  if (layout.mask == 0) {
    for (unsigned group = first; group < end; ++group)
      for (unsigned k = 0; k < WgmmaCores; ++k)
        if (!reader.read(layout.core(group, k), CoreBytes))
          return false;
    return true;
  }
  // Chunks that are side by side before the swizzle, which permutes them within
  // an aligned set of their number.
  const unsigned steps = layout.isMNMajor ? WgmmaCores : 1;
  for (unsigned group = first, width; group < end;
       group += layout.isMNMajor ? width : 1) {
    width = layout.isMNMajor ? std::min(across - group % across, end - group)
                             : WgmmaCores;
    bool isSet = std::has_single_bit(width);
    for (unsigned k = 0; k < steps; ++k) {
      uint32_t address = layout.core(group, k);
      if (isSet && address % (16 * width) == 0) [[likely]] {
        for (unsigned line = 0; line < 8; ++line, address += layout.pitch)
          if (!reader.read(layout.swizzle(address) & ~(16 * width - 1),
                           16 * width))
            return false;
        continue;
      }
      for (unsigned line = 0; line < 8; ++line, address += layout.pitch)
        for (unsigned i = 0; i < width; ++i)
          if (!reader.read(layout.swizzle(address + 16 * i), 16))
            return false;
    }
  }
  return true;
}

} // namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA

#include "LanesEnd.h"
