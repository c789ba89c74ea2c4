//===- MemoryAccess.cpp - Checked addresses of a warp -----------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The common cases, 32 consecutive or 32 equal addresses in one buffer, take a
// few vector instructions; everything else goes lane by lane.
//
//===----------------------------------------------------------------------===//

#include "MemoryAccess.h"
#include "Cluster.h"
#include "ShadowLoops.h"

namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA {

namespace {

using Addresses = Vec<uint64_t>;

struct Request {
  Warp &warp;
  const Inst &inst;
  uint32_t mask;
  AccessKind kind;
  uint32_t bytes;
  ValueReader values;
  Addresses address;
  uint64_t low = 0, high = 0; ///< Least and greatest address.
  bool isContiguous = false;

  bool isUniform() const { return low == high; }
  bool isStrong() const {
    return inst.data & MemoryStrong || kind == AccessKind::Atomic;
  }
  Scope scope() const {
    uint32_t scope = inst.data >> MemoryScopeShift & 3;
    return !isStrong() ? Scope::Weak : scope ? Scope(scope) : Scope::Device;
  }
  uint64_t at(unsigned lane) const {
    return reinterpret_cast<const uint64_t *>(&address)[lane];
  }
};

const char *verb(AccessKind kind) {
  return kind == AccessKind::Load    ? "load"
         : kind == AccessKind::Store ? "store"
                                     : "atomic operation";
}

bool report(const Request &r, ReportKind kind, unsigned lane, Space space,
            const std::string &detail) {
  return r.warp.block->failAt(r.warp, r.inst, kind, int(lane), r.at(lane),
                              std::string(verb(r.kind)) + " in ." +
                                  name(space) + " memory: " + detail);
}

bool checkAlignment(const Request &r, Space space) {
  uint64_t low = r.bytes - 1;
  uint32_t bad = maskOf((r.address & low) != 0ull) & r.mask;
  if (!bad) [[likely]]
    return true;
  unsigned lane = std::countr_zero(bad);
  return report(r, ReportKind::Misaligned, lane, space,
                "address is not a multiple of " + std::to_string(r.bytes));
}

/// Whether one of 1, 2, 4, 8 or 16 bytes is 0.
ROPEWALK_INLINE bool hasZero(const uint8_t *first, uint32_t bytes) {
  if (bytes < 8) {
    uint32_t unset = 0;
    for (uint32_t i = 0; i < bytes; ++i)
      unset |= first[i] == 0;
    return unset;
  }
  uint64_t low, high;
  std::memcpy(&low, first, 8);
  std::memcpy(&high, first + bytes - 8, 8);
  constexpr uint64_t ones = 0x0101010101010101;
  return (((low - ones) & ~low) | ((high - ones) & ~high)) & ones << 7;
}

/// The first lane whose bytes are not all set in `valid`, or 32.
unsigned findInvalid(const Request &r, const uint8_t *valid, uint64_t base) {
  if (r.isContiguous || r.isUniform()) {
    uint64_t span = r.high - r.low + r.bytes;
    if (!std::memchr(valid + (r.low - base), 0, span))
      return 32;
  }
  for (uint32_t rest = r.mask; rest; rest &= rest - 1) {
    unsigned lane = std::countr_zero(rest);
    const uint8_t *first = valid + (r.at(lane) - base);
    if (hasZero(first, r.bytes))
      return lane;
  }
  return 32;
}

void markValid(const Request &r, uint8_t *valid, uint64_t base) {
  if (r.isContiguous || r.isUniform()) {
    std::memset(valid + (r.low - base), 1, r.high - r.low + r.bytes);
    return;
  }
  forLanes(r.mask, [&](unsigned lane) {
    std::memset(valid + (r.at(lane) - base), 1, r.bytes);
  });
}

/// Distinct 32-byte sectors of the request.
uint64_t countSectors(const Request &r) {
  if (r.isContiguous || r.isUniform())
    return ((r.high + r.bytes - 1) >> 5) - (r.low >> 5) + 1;
  uint64_t sectors[32];
  unsigned count = 0;
  bool isSorted = true;
  forLanes(r.mask, [&](unsigned lane) {
    uint64_t sector = r.at(lane) >> 5;
    if (count && sectors[count - 1] == sector)
      return;
    isSorted &= !count || sectors[count - 1] < sector;
    sectors[count++] = sector;
  });
  // Aligned accesses of at most 16 bytes never straddle sectors.
  if (isSorted)
    return count;
  std::sort(sectors, sectors + count);
  return uint64_t(std::unique(sectors, sectors + count) - sectors);
}

void countGlobal(const Request &r) {
  Counters &counters = r.warp.block->worker.counters;
  uint64_t moved = uint64_t(std::popcount(r.mask)) * r.bytes;
  uint64_t sectors = countSectors(r);
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

bool resolveGlobal(Request &r, Access &access) {
  Block &block = *r.warp.block;
  DeviceMemory &memory = *block.launch.memory;
  if (!checkAlignment(r, Space::Global))
    return false;
  Buffer *&cached = block.worker.cache[r.inst.id];
  uint64_t span = r.high - r.low + r.bytes;
  Buffer *buffer = cached;
  if (!buffer || !buffer->contains(r.low, span))
    buffer = memory.find(r.low);
  bool checks = block.launch.options.checkUninitializedMemory;
  if (buffer && buffer->data && buffer->contains(r.low, span)) [[likely]] {
    cached = buffer;
    if (buffer->valid) {
      if (r.kind != AccessKind::Store && checks) {
        unsigned lane = findInvalid(r, buffer->valid, buffer->base);
        if (lane < 32)
          return report(r, ReportKind::UninitializedMemory, lane, Space::Global,
                        memory.describe(r.at(lane), r.bytes));
      }
      if (r.kind != AccessKind::Load)
        markValid(r, buffer->valid, buffer->base);
    }
    Addresses host =
        r.address + (reinterpret_cast<uint64_t>(buffer->data) - buffer->base);
    std::memcpy(access.host, &host, sizeof host);
    countGlobal(r);
    return true;
  }
  // Lanes in different buffers, or a bad address.
  for (uint32_t rest = r.mask; rest; rest &= rest - 1) {
    unsigned lane = std::countr_zero(rest);
    uint64_t address = r.at(lane);
    buffer = memory.find(address);
    bool isInside = buffer && buffer->contains(address, r.bytes);
    if (!isInside || !buffer->data)
      return report(
          r, isInside ? ReportKind::UseAfterFree : ReportKind::OutOfBounds,
          lane, Space::Global, memory.describe(address, r.bytes));
    uint64_t offset = address - buffer->base;
    if (buffer->valid) {
      if (r.kind != AccessKind::Store && checks &&
          std::memchr(buffer->valid + offset, 0, r.bytes))
        return report(r, ReportKind::UninitializedMemory, lane, Space::Global,
                      memory.describe(address, r.bytes));
      if (r.kind != AccessKind::Load)
        std::memset(buffer->valid + offset, 1, r.bytes);
    }
    access.host[lane] = reinterpret_cast<uint64_t>(buffer->data + offset);
  }
  access.isContiguous = access.isUniform = false;
  countGlobal(r);
  return true;
}

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

void countShared(const Request &r) {
  Counters &counters = r.warp.block->worker.counters;
  unsigned phases = r.bytes <= 4 ? 1 : r.bytes / 4;
  unsigned width = 32 / phases;
  uint32_t transactions = 0, ideal = 0;
  bool isSimple = r.isContiguous || r.isUniform();
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
    ++ideal;
    uint32_t banks = 0;
    if (!isSimple && r.bytes >= 4)
      for (unsigned lane = 0; lane < width; ++lane)
        banks |= bits[phase * width + lane];
    if (isSimple || std::popcount(banks) == std::popcount(lanes))
      ++transactions;
    else
      transactions += countBank(r, phase * width, (phase + 1) * width);
  }
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

/// Whether all lanes store the same bytes.
bool storesSame(const Request &r) {
  if (std::has_single_bit(r.mask))
    return true;
  if (!r.values)
    return false;
  std::byte first[16], other[16];
  r.values(r.warp, r.inst, std::countr_zero(r.mask), first);
  for (uint32_t rest = r.mask & (r.mask - 1); rest; rest &= rest - 1) {
    r.values(r.warp, r.inst, std::countr_zero(rest), other);
    if (std::memcmp(first, other, r.bytes))
      return false;
  }
  return true;
}

/// The access of one lane that the loops could not settle. Stores of the lanes
/// before `lane`, from `stored` on, are carried out first: they count as what
/// is there.
bool checkLane(const Request &r, Block &owner, unsigned lane,
               unsigned &stored) {
  std::byte values[16];
  Actor actor{&r.warp, &r.inst, lane};
  actor.scope = r.scope();
  Accessor a(actor, r.warp.block->cluster.ordering, r.kind != AccessKind::Load);
  if (r.values) {
    for (; stored < lane; ++stored)
      if (r.mask >> stored & 1) {
        r.values(r.warp, r.inst, stored, values);
        std::memcpy(owner.shared.data.data() + r.at(stored), values, r.bytes);
      }
    r.values(r.warp, r.inst, lane, values);
    a.values = values;
  }
  Conflict conflict;
  return owner.shared.access(a, uint32_t(r.at(lane)), r.bytes, conflict) ||
         reportConflict(a, Space::Shared, conflict);
}

bool checkRaces(const Request &r, Block &owner) {
  SharedMemory &shared = owner.shared;
  Ordering &ordering = r.warp.block->cluster.ordering;
  const bool isWrite = r.kind != AccessKind::Load, isStrong = r.isStrong();
  if (r.bytes >> shared.shift == 0)
    shared.refine(r.bytes);
  ordering.touch(r.warp, r.mask);
  shared.hasVisitors |= r.warp.block != &owner;
  const View &view = ordering.view(r.warp);
  WarpAccess a(shared, view, tagOf(view.plane, r.scope(), r.inst), isWrite,
               isStrong);
  bool isFast = !isStrong || !shared.hasVisitors;
  unsigned shift = std::countr_zero(r.bytes) - shared.shift;
  if (isFast && r.isContiguous &&
      recordRun(a, uint32_t(r.low) >> shared.shift, shift))
    return true;
  uint32_t count = uint32_t(1) << shift;
  if (isFast && r.isUniform() && (!isWrite || isStrong || storesSame(r)) &&
      recordCells(a, uint32_t(r.low) >> shared.shift, count, r.mask))
    return true;
  unsigned stored = 0;
  for (uint32_t rest = r.mask; rest; rest &= rest - 1) {
    unsigned lane = std::countr_zero(rest);
    if (isFast && recordCells(a, uint32_t(r.at(lane)) >> shared.shift, count,
                              uint32_t(1) << lane))
      continue;
    if (!checkLane(r, owner, lane, stored))
      return false;
  }
  return true;
}

bool resolveShared(Request &r, Access &access, Block &owner) {
  SharedMemory &shared = owner.shared;
  if (r.low + r.bytes > shared.size || r.high + r.bytes > shared.size ||
      r.high >= WindowBytes) [[unlikely]] {
    for (uint32_t rest = r.mask; rest; rest &= rest - 1) {
      unsigned lane = std::countr_zero(rest);
      if (r.at(lane) >= WindowBytes || r.at(lane) + r.bytes > shared.size)
        return report(r, ReportKind::OutOfBounds, lane, Space::Shared,
                      std::to_string(r.bytes) + " bytes beyond the block's " +
                          std::to_string(shared.size) +
                          " bytes of shared memory");
    }
  }
  if (!checkAlignment(r, Space::Shared))
    return false;
  if (owner.touchesMbarrier(r.low, r.high - r.low + r.bytes)) [[unlikely]]
    for (uint32_t rest = r.mask; rest; rest &= rest - 1) {
      unsigned lane = std::countr_zero(rest);
      if (owner.touchesMbarrier(r.at(lane), r.bytes))
        return report(r, ReportKind::MbarrierMisuse, lane, Space::Shared,
                      "there is an mbarrier object");
    }
  if (shared.checksValid) {
    if (r.kind != AccessKind::Store) {
      unsigned lane = findInvalid(r, shared.valid.data(), 0);
      if (lane < 32)
        return report(r, ReportKind::UninitializedMemory, lane, Space::Shared,
                      "no thread has written these bytes");
    }
    if (r.kind != AccessKind::Load)
      markValid(r, shared.valid.data(), 0);
  }
  if (shared.checksRaces && !checkRaces(r, owner))
    return false;
  countShared(r);
  Addresses host = r.address + reinterpret_cast<uint64_t>(shared.data.data());
  std::memcpy(access.host, &host, sizeof host);
  return true;
}

/// Parameters, constants and the thread's local memory.
bool resolveSmall(Request &r, Space space, Access &access) {
  Block &block = *r.warp.block;
  const std::byte *data = nullptr;
  uint64_t size = 0;
  switch (space) {
  case Space::Param:
    data = block.launch.parameters.data();
    size = block.launch.parameters.size();
    break;
  case Space::Const:
    data = reinterpret_cast<const std::byte *>(
        block.program.constantMemory.data());
    size = block.program.constantMemory.size();
    break;
  default:
    size = block.launch.kernel->info.localBytes;
    break;
  }
  if (r.kind != AccessKind::Load && space != Space::Local)
    return report(r, ReportKind::ReadOnlyWrite, std::countr_zero(r.mask), space,
                  "this memory is read-only");
  for (uint32_t rest = r.mask; rest; rest &= rest - 1) {
    unsigned lane = std::countr_zero(rest);
    uint64_t address = r.at(lane);
    if (address >= WindowBytes || address + r.bytes > size)
      return report(r, ReportKind::OutOfBounds, lane, space,
                    std::to_string(r.bytes) + " bytes beyond its " +
                        std::to_string(size) + " bytes");
    if (space == Space::Local)
      data = block.local.data() + (uint64_t(r.warp.index) * 32 + lane) * size;
    access.host[lane] = reinterpret_cast<uint64_t>(data + address);
  }
  if (!checkAlignment(r, space))
    return false;
  if (space == Space::Local)
    access.isContiguous = access.isUniform = false;
  return true;
}

void finishRequest(Request &r) {
  // Lanes outside of the mask take the first lane's address, so that extremes
  // and vector arithmetic see only addresses of the mask.
  if (r.mask != ~uint32_t(0)) {
    uint64_t first = r.at(std::countr_zero(r.mask));
    r.address = select<uint64_t>(r.mask, r.address, (Addresses)(first));
  }
  r.low = __builtin_reduce_min(r.address);
  r.high = __builtin_reduce_max(r.address);
  Addresses lane;
  for (unsigned i = 0; i < 32; ++i)
    lane[i] = i;
  r.isContiguous =
      r.mask == ~uint32_t(0) &&
      maskOf(r.address == r.address[0] + lane * uint64_t(r.bytes)) ==
          ~uint32_t(0);
}

bool resolveIn(Request &r, Space space, Access &access) {
  access.isContiguous = r.isContiguous;
  access.isUniform = r.isUniform();
  switch (space) {
  case Space::Global:
    return resolveGlobal(r, access);
  case Space::Shared:
    return resolveShared(r, access, *r.warp.block);
  default:
    return resolveSmall(r, space, access);
  }
}

Space spaceOf(uint64_t address) {
  uint64_t window = (address - SharedWindow) / WindowBytes;
  static const Space spaces[] = {Space::Shared, Space::Local, Space::Const,
                                 Space::Param};
  return address >= SharedWindow && window < 4 ? spaces[window] : Space::Global;
}

} // namespace

bool resolve(Warp &warp, const Inst &inst, uint32_t mask, AccessKind kind,
             uint32_t bytes, Access &access, ValueReader values) {
  if (kind != AccessKind::Load)
    ++warp.block->cluster.progress;
  Addresses address;
  if (inst.data & MemoryNarrowBase)
    address = __builtin_convertvector(
        get<uint32_t>(warp, inst.op[0]) + uint32_t(inst.offset), Addresses);
  else
    address = get<uint64_t>(warp, inst.op[0]) + uint64_t(inst.offset);
  Request r{warp, inst, mask, kind, bytes, values, address};
  finishRequest(r);
  Space space = Space(inst.data >> MemorySpaceShift & 15);
  if (space != Space::Generic)
    return resolveIn(r, space, access);
  space = spaceOf(r.low);
  if (space == spaceOf(r.high)) {
    r.address -= windowOf(space);
    r.low -= windowOf(space);
    r.high -= windowOf(space);
    return resolveIn(r, space, access);
  }
  // Lanes in several spaces: one request for each.
  for (uint32_t rest = mask; rest;) {
    space = spaceOf(r.at(std::countr_zero(rest)));
    uint32_t group = 0;
    forLanes(rest, [&](unsigned lane) {
      if (spaceOf(r.at(lane)) == space)
        group |= uint32_t(1) << lane;
    });
    Request part{warp, inst, group, kind, bytes, values, r.address};
    part.address -= windowOf(space);
    finishRequest(part);
    Access partial;
    if (!resolveIn(part, space, partial))
      return false;
    forLanes(group,
             [&](unsigned lane) { access.host[lane] = partial.host[lane]; });
    rest &= ~group;
  }
  access.isContiguous = access.isUniform = false;
  return true;
}

} // namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA

#include "LanesEnd.h"
