//===- AddressPattern.cpp - Recurring addresses of a warp -------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// See AddressPattern.h. Patterns are looked up in MemoryAccess.cpp.
//
//===----------------------------------------------------------------------===//

#include "AddressPattern.h"

#include <algorithm>
#include <bit>

using namespace ropewalk::emulator;

void AddressPattern::build() {
  uint64_t order[32]; // Offset, then lane.
  unsigned count = 0;
  for (uint32_t rest = mask; rest; rest &= rest - 1) {
    unsigned lane = unsigned(std::countr_zero(rest));
    order[count++] = uint64_t(offsets[lane]) << 5 | lane;
  }
  std::sort(order, order + count);
  runs.clear();
  pieceLanes.clear();
  for (CellLanes &cells : cellLanes) {
    cells.all.clear();
    cells.single.clear();
  }
  uint32_t last = 0;
  for (unsigned i = 0; i < count; ++i) {
    uint32_t offset = uint32_t(order[i] >> 5), bit = uint32_t(1)
                                                     << (order[i] & 31);
    if (i == 0 || offset != last) {
      if (i == 0 || offset != last + bytes)
        runs.push_back({offset, 0, uint32_t(pieceLanes.size()), 0, 0});
      runs.back().bytes += bytes;
      runs.back().firstLanes |= bit;
      pieceLanes.push_back(0);
      last = offset;
    }
    runs.back().lanes |= bit;
    pieceLanes.back() |= bit;
  }
  isDistinct = pieceLanes.size() == count;
  isKnown = true;
}

const AddressPattern::CellLanes &AddressPattern::addCells(uint32_t shift) {
  CellLanes &cells = cellLanes[shift];
  for (uint32_t lanes : pieceLanes) {
    cells.all.insert(cells.all.end(), bytes >> shift, lanes);
    cells.single.insert(cells.single.end(), bytes >> shift,
                        std::has_single_bit(lanes) ? lanes : 0);
  }
  return cells;
}
