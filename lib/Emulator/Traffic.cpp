//===- Traffic.cpp - Sectors and banks of an access -------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// See Traffic.h.
//
//===----------------------------------------------------------------------===//

#include "Traffic.h"

#include <algorithm>
#include <bit>

using namespace ropewalk::emulator;

void ropewalk::emulator::countGlobalLoad(Warp &warp, const Inst &inst,
                                         const uint64_t (&addresses)[32],
                                         uint32_t lanes, uint32_t bytes) {
  uint64_t sectors[32];
  unsigned count = 0;
  for (uint32_t rest = lanes; rest; rest &= rest - 1)
    sectors[count++] = addresses[std::countr_zero(rest)] >> 5;
  if (!std::is_sorted(sectors, sectors + count))
    std::sort(sectors, sectors + count);
  uint64_t distinct = uint64_t(std::unique(sectors, sectors + count) - sectors);
  Worker &worker = warp.block->worker;
  ++worker.counters.globalLoadRequests;
  worker.counters.globalLoadBytes += uint64_t(count) * bytes;
  worker.counters.globalLoadSectors += distinct;
  ++worker.lineTraffic[inst.id].globalRequests;
  worker.lineTraffic[inst.id].globalSectors += distinct;
}

void ropewalk::emulator::countSharedStore(Warp &warp, const Inst &inst,
                                          const uint64_t (&addresses)[32],
                                          uint32_t lanes, uint32_t bytes) {
  unsigned phases = bytes <= 4 ? 1 : bytes / 4, width = 32 / phases;
  uint32_t transactions = 0, ideal = 0;
  for (unsigned first = 0; first < 32; first += width) {
    // The distinct words of the phase, bank by bank.
    uint64_t words[32];
    unsigned count = 0;
    for (unsigned lane = first; lane < first + width; ++lane) {
      if (!(lanes >> lane & 1))
        continue;
      for (uint32_t at = 0; at < std::max(bytes, 4u); at += 4)
        words[count++] = (addresses[lane] + at) / 4;
    }
    std::sort(words, words + count);
    uint64_t *end = std::unique(words, words + count);
    uint32_t depth[32] = {}, most = 0;
    for (uint64_t *word = words; word != end; ++word)
      most = std::max(most, ++depth[*word & 31]);
    transactions += most;
    ideal += count > 0;
  }
  Worker &worker = warp.block->worker;
  ++worker.counters.sharedStoreRequests;
  worker.counters.sharedStoreTransactions += transactions;
  worker.counters.sharedStoreConflicts += transactions - ideal;
  LineTraffic &line = worker.lineTraffic[inst.id];
  ++line.sharedRequests;
  line.sharedTransactions += transactions;
  line.sharedConflicts += transactions - ideal;
}
