//===- RequestTraffic.cpp - Counts of memory traffic ------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Sectors of global memory and banks of shared memory.
//
//===----------------------------------------------------------------------===//

#include "MemoryRequest.h"

namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA {

namespace {

/// Transactions of the lanes [first, last): the most distinct words that fall
/// into one bank.
uint32_t countBank(const Request &r, unsigned first, unsigned last) {
  uint32_t words[32 * 4], next[32 * 4], used = 0;
  int32_t head[32];
  uint8_t depth[32];
  std::memset(head, -1, sizeof head);
  std::memset(depth, 0, sizeof depth);
  uint32_t most = 0;
  uint32_t perLane = std::max<uint32_t>(r.bytes / 4, 1);
  for (unsigned lane = first; lane < last; ++lane) {
    if (!(r.mask >> lane & 1))
      continue;
    uint32_t word = uint32_t(r.at(lane)) >> 2;
    for (uint32_t i = 0; i < perLane; ++i, ++word) {
      uint32_t bank = word & 31;
      int32_t entry = head[bank];
      while (entry >= 0 && words[entry] != word)
        entry = int32_t(next[entry]);
      if (entry >= 0)
        continue;
      words[used] = word;
      next[used] = uint32_t(head[bank]);
      head[bank] = int32_t(used++);
      most = std::max<uint32_t>(most, ++depth[bank]);
    }
  }
  return most;
}

/// By lane, the bit of the aligned piece of 128 bytes that it accesses; 0 for
/// lanes that do not take part. Lanes with different bits share no bank.
Vec<uint32_t> bankBits(const Request &r) {
  unsigned shift = unsigned(std::countr_zero(r.bytes));
  Vec<uint32_t> piece =
      __builtin_convertvector(r.address, Vec<uint32_t>) >> shift &
      (uint32_t(128) >> shift) - 1;
  return select<uint32_t>(r.mask, Vec<uint32_t>(1) << piece, Vec<uint32_t>(0));
}

} // namespace

uint32_t countSectors(const Request &r) {
  if (r.isSimple())
    return uint32_t(((r.high + r.bytes - 1) >> 5) - (r.low >> 5) + 1);
  // Aligned accesses of at most 16 bytes never straddle sectors. Those seen are
  // kept in a table of 64 places, each in the first free one from where its
  // hash points.
  constexpr uint64_t free = ~uint64_t(0);
  uint64_t seen[64], last = free;
  std::fill_n(seen, 64, free);
  uint32_t count = 0;
  forLanes(r.mask, [&](unsigned lane) {
    uint64_t sector = r.at(lane) >> 5;
    if (sector == last)
      return;
    last = sector;
    uint32_t place = uint32_t(sector * 0x9e3779b97f4a7c15 >> 58);
    while (seen[place] != sector) {
      if (seen[place] == free) {
        seen[place] = sector;
        ++count;
        return;
      }
      place = (place + 1) % 64;
    }
  });
  return count;
}

void countGlobal(const Request &r) {
  Counters &counters = r.warp.block->worker.counters;
  uint64_t moved = uint64_t(std::popcount(r.mask)) * r.bytes;
  uint64_t sectors = r.pattern ? r.pattern->sectors : countSectors(r);
  LineTraffic &line = r.warp.block->worker.lineTraffic[r.inst.id];
  uint64_t requests = r.kind == AccessKind::Atomic ? 2 : 1;
  line.globalRequests += requests;
  line.globalSectors += requests * sectors;
  if (r.kind != AccessKind::Store) {
    ++counters.globalLoadRequests;
    counters.globalLoadBytes += moved;
    counters.globalLoadSectors += sectors;
  }
  if (r.kind != AccessKind::Load) {
    ++counters.globalStoreRequests;
    counters.globalStoreBytes += moved;
    counters.globalStoreSectors += sectors;
  }
}

BankTraffic countBanks(const Request &r) {
  unsigned phases = r.bytes <= 4 ? 1 : r.bytes / 4;
  unsigned width = 32 / phases;
  BankTraffic traffic;
  bool isSimple = r.isSimple();
  alignas(64) uint32_t bits[32];
  if (!isSimple && r.bytes >= 4) {
    Vec<uint32_t> all = bankBits(r);
    std::memcpy(bits, &all, sizeof bits);
  }
  for (unsigned phase = 0; phase < phases; ++phase) {
    uint32_t lanes =
        phases == 1 ? r.mask
                    : r.mask >> (phase * width) & ((uint32_t(1) << width) - 1);
    if (!lanes)
      continue;
    ++traffic.ideal;
    uint32_t banks = 0;
    if (!isSimple && r.bytes >= 4)
      for (unsigned lane = 0; lane < width; ++lane)
        banks |= bits[phase * width + lane];
    if (isSimple || std::popcount(banks) == std::popcount(lanes))
      ++traffic.transactions;
    else
      traffic.transactions += countBank(r, phase * width, (phase + 1) * width);
  }
  return traffic;
}

void countShared(const Request &r) {
  Counters &counters = r.warp.block->worker.counters;
  auto [transactions, ideal] =
      r.pattern ? BankTraffic{r.pattern->transactions, r.pattern->ideal}
                : countBanks(r);
  LineTraffic &line = r.warp.block->worker.lineTraffic[r.inst.id];
  ++line.sharedRequests;
  line.sharedTransactions += transactions;
  line.sharedConflicts += transactions - ideal;
  if (r.kind == AccessKind::Load) {
    ++counters.sharedLoadRequests;
    counters.sharedLoadTransactions += transactions;
    counters.sharedLoadConflicts += transactions - ideal;
  } else {
    ++counters.sharedStoreRequests;
    counters.sharedStoreTransactions += transactions;
    counters.sharedStoreConflicts += transactions - ideal;
  }
}

} // namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA

#include "LanesEnd.h"
