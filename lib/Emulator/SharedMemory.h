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
// Time is the number of barriers that completed in the block. For each 4-byte
// word the shadow holds the last writer (time, warp, bytes) and the readers at
// the latest time of reading. known[w][v] is the time before which everything
// that warp v did happened before what w does now; a barrier takes the maximum
// over the warps that took part. An access races with an earlier one of another
// warp v at time t unless t < known[w][v]. This is exact for barriers of the
// whole block; with barriers of a part of the warps a race may go unseen when a
// later reader replaces an earlier one, but no report is ever false.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_LIB_EMULATOR_SHAREDMEMORY_H
#define ROPEWALK_LIB_EMULATOR_SHAREDMEMORY_H

#include <cstddef>
#include <cstdint>
#include <vector>

namespace ropewalk::emulator {

constexpr uint32_t MaxWarps = 32;

struct SharedMemory {
  void reset(uint32_t bytes, uint32_t warpCount, bool checkRaces,
             bool checkValid);

  /// Adds the past of `warp`, which goes on without waiting, to `joined`.
  void release(uint32_t warp, uint32_t (&joined)[MaxWarps]);
  /// Orders the warps in `mask` (a bit each), which all wait, after each
  /// other's past and after `joined`.
  void synchronize(uint32_t mask, uint32_t (&joined)[MaxWarps]);

  /// The warp of an earlier access that races with this one; -1 for none.
  /// Records the access. `bytes` <= 16, inside of memory. Strong accesses
  /// (atomic, volatile, relaxed) do not race with each other.
  int read(uint32_t warp, uint32_t address, uint32_t bytes, bool strong);
  int write(uint32_t warp, uint32_t address, uint32_t bytes, bool strong);

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

  /// Writer of a word: time << 8 | strong << 7 | warp + 1; 0 for none.
  std::vector<uint32_t> writer;
  std::vector<uint32_t> readTime;
  std::vector<uint32_t> readers; ///< Warps, a bit each.
  std::vector<uint8_t> writtenBytes, readBytes;
  uint32_t now = 1;
  uint32_t known[MaxWarps][MaxWarps];
  /// min over v != w of known[w][v]: anything earlier is no race.
  uint32_t settled[MaxWarps];
  uint32_t warpCount = 0;

private:
  void tick();
  void updateSettled(uint32_t warp);
  /// The warp whose write of a touched byte of `word` races with an access of
  /// `warp`; -1 for none.
  int racingWriter(uint32_t warp, uint32_t word, uint8_t touched,
                   bool strong) const;
};

} // namespace ropewalk::emulator

#endif // ROPEWALK_LIB_EMULATOR_SHAREDMEMORY_H
