//===- AddressPattern.h - Recurring addresses of a warp ---------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The lanes of a load or store mostly lie to each other as they did when the
// warp, or another one, last executed it: rows of a tile, a few values for many
// lanes each. What follows from that alone is found out once: the traffic, and
// which lanes access what. Accesses are aligned, so that two lanes access
// either the same bytes, a piece, or have none in common; pieces that follow
// each other make up a run.
//
// A pattern is worked out when it is met for the second time, so that addresses
// that never recur cost no more than the comparison.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_LIB_EMULATOR_ADDRESSPATTERN_H
#define ROPEWALK_LIB_EMULATOR_ADDRESSPATTERN_H

#include <cstdint>
#include <memory>
#include <vector>

namespace ropewalk::emulator {

/// Shared memory is counted by words, global memory by sectors: offsets are
/// relative to the least address, rounded down to a multiple of that.
enum class PatternGrain : uint32_t { Word = 4, Sector = 32 };

struct AddressPattern {
  struct Run {
    uint32_t offset = 0, bytes = 0; ///< From the base.
    uint32_t firstPiece = 0;
    uint32_t lanes = 0;      ///< Of all its pieces.
    uint32_t firstLanes = 0; ///< The lowest one of each piece.
  };

  /// By lane; lanes outside of the mask have that of the first one in it.
  alignas(64) uint32_t offsets[32] = {};
  uint32_t mask = 0, bytes = 0; ///< `bytes` of a lane; 0 for no pattern.
  PatternGrain grain = PatternGrain::Word;
  bool isKnown = false;    ///< What follows is valid.
  bool isDistinct = false; ///< No two lanes access the same bytes.

  uint32_t transactions = 0, ideal = 0; ///< Of PatternGrain::Word.
  uint32_t sectors = 0;                 ///< Of PatternGrain::Sector.
  std::vector<Run> runs;                ///< By address.
  std::vector<uint32_t> pieceLanes;     ///< By piece.

  /// By cell of `1 << shift` bytes, run after run: its lanes, and the lane if
  /// it is the only one, else 0.
  struct CellLanes {
    std::vector<uint32_t> all, single;
  };
  const CellLanes &cells(uint32_t shift) {
    return cellLanes[shift].all.empty() ? addCells(shift) : cellLanes[shift];
  }

  /// Finds runs and pieces.
  void build();

private:
  const CellLanes &addCells(uint32_t shift);

  CellLanes cellLanes[3];
};

/// The last patterns of an instruction.
struct PatternCache {
  static constexpr unsigned Ways = 4;
  AddressPattern ways[Ways];
  uint8_t latest = 0; ///< The one used last.
  uint8_t next = 0;   ///< The one to be replaced.
  /// Requests since one had a pattern. Of instructions whose addresses seem
  /// random only every 16th request is looked at.
  uint32_t vain = 0;

  bool isWorthwhile() {
    ++vain;
    return vain < 64 || vain % 16 == 0;
  }
};

} // namespace ropewalk::emulator

#endif // ROPEWALK_LIB_EMULATOR_ADDRESSPATTERN_H
