//===- SharedMemory.cpp - Shared memory with its sanitizer ------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// See SharedMemory.h for the rule.
//
//===----------------------------------------------------------------------===//

#include "SharedMemory.h"

#include <algorithm>
#include <bit>
#include <cstring>

using namespace ropewalk::emulator;

namespace {

constexpr uint32_t TimeShift = 8;
constexpr uint32_t StrongBit = 1 << 7;
constexpr uint32_t MaxTime = (1 << 24) - 2;

} // namespace

void SharedMemory::reset(uint32_t bytes, uint32_t warps, bool races,
                         bool validity) {
  size = bytes;
  warpCount = warps;
  checksRaces = races && warps > 1;
  checksValid = validity;
  // A tail of one vector, so that fast paths may read past the end.
  data.assign(bytes + 64, std::byte(0));
  valid.assign(checksValid ? bytes + 64 : 0, 0);
  size_t words = checksRaces ? (bytes + 3) / 4 + 32 : 0;
  writer.assign(words, 0);
  readTime.assign(words, 0);
  readers.assign(words, 0);
  writtenBytes.assign(words, 0);
  readBytes.assign(words, 0);
  now = 1;
  std::memset(known, 0, sizeof known);
  for (uint32_t warp = 0; warp < MaxWarps; ++warp)
    known[warp][warp] = ~uint32_t(0);
  for (uint32_t warp = 0; warp < warps; ++warp)
    updateSettled(warp);
}

void SharedMemory::updateSettled(uint32_t warp) {
  uint32_t least = ~uint32_t(0);
  for (uint32_t other = 0; other < warpCount; ++other)
    if (other != warp)
      least = std::min(least, known[warp][other]);
  settled[warp] = least;
}

void SharedMemory::tick() {
  if (++now < MaxTime)
    return;
  // The clock is about to overflow its field: forget the past.
  std::fill(writer.begin(), writer.end(), 0);
  std::fill(readers.begin(), readers.end(), 0);
  std::fill(readTime.begin(), readTime.end(), 0);
  now = 1;
  for (uint32_t warp = 0; warp < warpCount; ++warp) {
    for (uint32_t other = 0; other < warpCount; ++other)
      if (other != warp)
        known[warp][other] = 0;
    updateSettled(warp);
  }
}

void SharedMemory::release(uint32_t warp, uint32_t (&joined)[MaxWarps]) {
  if (!checksRaces)
    return;
  tick();
  for (uint32_t other = 0; other < warpCount; ++other)
    if (other != warp)
      joined[other] = std::max(joined[other], known[warp][other]);
  joined[warp] = now;
}

void SharedMemory::synchronize(uint32_t mask, uint32_t (&joined)[MaxWarps]) {
  if (!checksRaces)
    return;
  tick();
  for (uint32_t rest = mask; rest; rest &= rest - 1) {
    uint32_t warp = std::countr_zero(rest);
    for (uint32_t other = 0; other < warpCount; ++other)
      if (other != warp)
        joined[other] = std::max(joined[other], known[warp][other]);
    joined[warp] = now;
  }
  for (uint32_t rest = mask; rest; rest &= rest - 1) {
    uint32_t warp = std::countr_zero(rest);
    for (uint32_t other = 0; other < warpCount; ++other)
      if (other != warp)
        known[warp][other] = joined[other];
    updateSettled(warp);
  }
}

inline int SharedMemory::racingWriter(uint32_t warp, uint32_t word,
                                      uint8_t touched, bool strong) const {
  uint32_t tag = writer[word];
  if (!tag || (tag >> TimeShift) < settled[warp])
    return -1;
  uint32_t other = (tag & (StrongBit - 1)) - 1;
  bool races = other != warp && (tag >> TimeShift) >= known[warp][other] &&
               (writtenBytes[word] & touched) && !(strong && (tag & StrongBit));
  return races ? int(other) : -1;
}

int SharedMemory::read(uint32_t warp, uint32_t address, uint32_t bytes,
                       bool strong) {
  uint32_t end = address + bytes;
  for (uint32_t word = address / 4; word * 4 < end; ++word) {
    uint32_t first = std::max(address, word * 4) - word * 4;
    uint32_t last = std::min(end, word * 4 + 4) - word * 4;
    uint8_t touched = uint8_t((1 << last) - (1 << first));
    if (int other = racingWriter(warp, word, touched, strong); other >= 0)
      return other;
    if (strong)
      // A flag that is polled may be written at any time: strong reads leave
      // no trace for later writers.
      continue;
    if (readTime[word] != now) {
      readTime[word] = now;
      readers[word] = 0;
      readBytes[word] = 0;
    }
    readers[word] |= uint32_t(1) << warp;
    readBytes[word] |= touched;
  }
  return -1;
}

int SharedMemory::write(uint32_t warp, uint32_t address, uint32_t bytes,
                        bool strong) {
  uint32_t end = address + bytes;
  for (uint32_t word = address / 4; word * 4 < end; ++word) {
    uint32_t first = std::max(address, word * 4) - word * 4;
    uint32_t last = std::min(end, word * 4 + 4) - word * 4;
    uint8_t touched = uint8_t((1 << last) - (1 << first));
    if (int other = racingWriter(warp, word, touched, strong); other >= 0)
      return other;
    uint32_t tag = writer[word];
    uint32_t others = readers[word] & ~(uint32_t(1) << warp);
    if (others && readTime[word] >= settled[warp] &&
        (readBytes[word] & touched)) {
      for (; others; others &= others - 1) {
        uint32_t other = std::countr_zero(others);
        if (readTime[word] >= known[warp][other])
          return int(other);
      }
    }
    uint32_t mine = now << TimeShift | (strong ? StrongBit : 0) | (warp + 1);
    writtenBytes[word] =
        tag == mine ? uint8_t(writtenBytes[word] | touched) : touched;
    writer[word] = mine;
  }
  return -1;
}
