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

#include "MemoryRequest.h"

namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA {

namespace {

const char *verb(AccessKind kind) {
  return kind == AccessKind::Load    ? "load"
         : kind == AccessKind::Store ? "store"
                                     : "atomic operation";
}

template <unsigned N> using Bytes = uint8_t __attribute__((ext_vector_type(N)));

/// The least of each N-th byte, and `least`; `bytes` is N or more.
template <unsigned N>
ROPEWALK_INLINE Bytes<N> leastOf(Bytes<N> least, const uint8_t *first,
                                 uint32_t bytes) {
  Bytes<N> some;
  for (uint32_t i = 0; i + N <= bytes; i += N) {
    std::memcpy(&some, first + i, N);
    least = __builtin_elementwise_min(least, some);
  }
  std::memcpy(&some, first + bytes - N, N);
  return __builtin_elementwise_min(least, some);
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

} // namespace

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

unsigned findInvalid(const Request &r, const uint8_t *valid, uint64_t base) {
  if (r.isContiguous || r.isUniform()) {
    uint64_t span = r.high - r.low + r.bytes;
    if (!std::memchr(valid + (r.low - base), 0, span))
      return 32;
  } else if (r.pattern) {
    const uint8_t *start = valid + (r.base(r.pattern->grain) - base);
    Bytes<32> least = 255;
    Bytes<8> leastOfShort = 255;
    bool isInvalid = false;
    for (const AddressPattern::Run &run : r.pattern->runs) {
      const uint8_t *marks = start + run.offset;
      if (run.bytes > 128)
        isInvalid |= std::memchr(marks, 0, run.bytes) != nullptr;
      else if (run.bytes >= 32)
        least = leastOf<32>(least, marks, run.bytes);
      else if (run.bytes >= 8)
        leastOfShort = leastOf<8>(leastOfShort, marks, run.bytes);
      else
        isInvalid |= hasZero(marks, run.bytes);
    }
    isInvalid |= __builtin_reduce_min(least) == 0 ||
                 __builtin_reduce_min(leastOfShort) == 0;
    if (!isInvalid)
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
  if (r.pattern) {
    uint8_t *start = valid + (r.base(r.pattern->grain) - base);
    for (const AddressPattern::Run &run : r.pattern->runs)
      std::memset(start + run.offset, 1, run.bytes);
    return;
  }
  forLanes(r.mask, [&](unsigned lane) {
    std::memset(valid + (r.at(lane) - base), 1, r.bytes);
  });
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

bool storesSame(const Request &r) {
  if (std::has_single_bit(r.mask))
    return true;
  if (!r.values.read)
    return false;
  std::byte first[16], other[16];
  r.values.read(r.warp, r.inst, std::countr_zero(r.mask), first);
  for (uint32_t rest = r.mask & (r.mask - 1); rest; rest &= rest - 1) {
    r.values.read(r.warp, r.inst, std::countr_zero(rest), other);
    if (std::memcmp(first, other, r.bytes))
      return false;
  }
  return true;
}

void findPattern(Request &r, PatternGrain grain) {
  std::unique_ptr<PatternCache> &cache =
      r.warp.block->worker.patterns[r.inst.id];
  if (!cache)
    cache = std::make_unique<PatternCache>();
  if (!cache->isWorthwhile())
    return;
  uint64_t base = r.base(grain);
  if ((r.high - base) >> 32)
    return;
  Vec<uint32_t> offsets =
      __builtin_convertvector(r.address - base, Vec<uint32_t>);
  for (unsigned i = 0; i < PatternCache::Ways; ++i) {
    unsigned way = (cache->latest + i) % PatternCache::Ways;
    AddressPattern &pattern = cache->ways[way];
    if (pattern.mask != r.mask || pattern.bytes != r.bytes ||
        pattern.grain != grain ||
        maskOf(load<uint32_t>(pattern.offsets) != offsets))
      continue;
    cache->latest = uint8_t(way);
    cache->vain = 0;
    if (!pattern.isKnown) {
      pattern.build();
      if (grain == PatternGrain::Word) {
        BankTraffic traffic = countBanks(r);
        pattern.transactions = traffic.transactions;
        pattern.ideal = traffic.ideal;
      } else {
        pattern.sectors = countSectors(r);
      }
    }
    r.pattern = &pattern;
    return;
  }
  AddressPattern &pattern = cache->ways[cache->next];
  cache->latest = cache->next;
  cache->next = uint8_t((cache->next + 1) % PatternCache::Ways);
  std::memcpy(pattern.offsets, &offsets, sizeof offsets);
  pattern.mask = r.mask;
  pattern.bytes = r.bytes;
  pattern.grain = grain;
  pattern.isKnown = false;
}

void merge(Access &access, const Access &part, uint32_t lanes) {
  access.isContiguous = part.isContiguous;
  access.isUniform = part.isUniform;
  access.hasPlaces |= part.hasPlaces;
  access.sharedLanes |= part.sharedLanes;
  forLanes(lanes, [&](unsigned lane) {
    access.host[lane] = part.host[lane];
    if (part.hasPlaces) {
      access.rank[lane] = part.rank[lane];
      access.place[lane] = part.place[lane];
    }
  });
}

bool hasFences(const Request &r) {
  return r.warp.block->program.usesFences &&
         r.warp.block->cluster.sync.hasFences(r.warp);
}

void synchronize(const Request &r, uint32_t rank, Access &access) {
  Block &block = *r.warp.block;
  if (!block.program.synchronizes || !block.launch.options.checkRaces)
    return;
  if (r.kind == AccessKind::Atomic) {
    access.hasPlaces = true;
    forLanes(r.mask, [&](unsigned lane) {
      access.rank[lane] = rank;
      access.place[lane] = r.at(lane);
    });
    return;
  }
  SyncLocations &sync = block.cluster.sync;
  if (r.kind == AccessKind::Load && r.isUniform()) {
    sync.read(r.warp, r.mask, {rank, r.low, r.bytes}, r.scope(),
              r.inst.data & MemoryAcquire);
    return;
  }
  forLanes(r.mask, [&](unsigned lane) {
    Location location{rank, r.at(lane), r.bytes};
    if (r.kind == AccessKind::Load)
      sync.read(r.warp, uint32_t(1) << lane, location, r.scope(),
                r.inst.data & MemoryAcquire);
    else
      sync.write(r.warp, lane, location, r.scope(),
                 r.inst.data & MemoryRelease);
  });
}

namespace {

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
  if (r.kind == AccessKind::Atomic)
    return report(r, ReportKind::Unsupported, std::countr_zero(r.mask), space,
                  "only global and shared memory have atomic operations");
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
    if (space == Space::Local) {
      uint64_t first =
          (uint64_t(r.warp.index) * 32 + lane) * block.launch.localStride();
      data = block.local.data() + first;
      if (!block.localValid.empty()) {
        uint8_t *valid = block.localValid.data() + first + address;
        if (r.kind != AccessKind::Load)
          std::memset(valid, 1, r.bytes);
        else if (std::memchr(valid, 0, r.bytes))
          return report(r, ReportKind::UninitializedMemory, lane, space,
                        "the thread has not written these bytes");
      }
    }
    access.host[lane] = reinterpret_cast<uint64_t>(data + address);
  }
  if (!checkAlignment(r, space))
    return false;
  if (space == Space::Local)
    access.isContiguous = access.isUniform = false;
  return true;
}

bool resolveIn(Request &r, Space space, Access &access) {
  access.isContiguous = r.isContiguous;
  access.isUniform = r.isUniform();
  switch (space) {
  case Space::Global:
    return resolveGlobal(r, access);
  case Space::Shared:
  case Space::SharedCluster:
    return resolveCluster(r, space, access);
  default:
    return resolveSmall(r, space, access);
  }
}

Space spaceOf(uint64_t address) {
  uint64_t window = (address - SharedWindow) / WindowBytes;
  static const Space spaces[] = {Space::SharedCluster, Space::Local,
                                 Space::Const, Space::Param};
  return address >= SharedWindow && window < 4 ? spaces[window] : Space::Global;
}

/// Lanes in several spaces: one request for each.
bool resolveGeneric(Request &r, Access &access) {
  Space space = spaceOf(r.low);
  if (space == spaceOf(r.high)) {
    r.address -= windowOf(space);
    r.low -= windowOf(space);
    r.high -= windowOf(space);
    return resolveIn(r, space, access);
  }
  for (uint32_t rest = r.mask; rest;) {
    space = spaceOf(r.at(std::countr_zero(rest)));
    uint32_t group = 0;
    forLanes(rest, [&](unsigned lane) {
      if (spaceOf(r.at(lane)) == space)
        group |= uint32_t(1) << lane;
    });
    Request part{r.warp, r.inst, group, r.kind, r.bytes, r.values, r.address};
    part.isCopy = r.isCopy;
    part.address -= windowOf(space);
    finishRequest(part);
    Access partial;
    if (!resolveIn(part, space, partial))
      return false;
    merge(access, partial, group);
    rest &= ~group;
  }
  access.isContiguous = access.isUniform = false;
  return true;
}

/// A strong load that finds what it found before is a poll.
void notePoll(const Request &r, const Access &access) {
  uint64_t state = r.mask;
  forLanes(r.mask, [&](unsigned lane) {
    uint64_t value[2] = {0, 0};
    std::memcpy(value, reinterpret_cast<const void *>(access.host[lane]),
                r.bytes);
    state = mixState(state ^ access.host[lane]);
    state = mixState(state ^ value[0] ^ value[1] << 1);
  });
  if (r.warp.block->cluster.sync.repeats(r.warp, r.inst, state))
    r.warp.yields = true;
}

} // namespace

bool takeScope(InstDecoder &d, Inst &inst) {
  int scope = d.takeOneOf({"cta", "cluster", "gpu", "sys"});
  if (scope < 0)
    return false;
  static const Scope scopes[] = {Scope::Block, Scope::Cluster, Scope::Device,
                                 Scope::Device};
  inst.data |= uint32_t(scopes[scope]) << MemoryScopeShift;
  return true;
}

bool resolve(Warp &warp, const Inst &inst, uint32_t mask, AccessKind kind,
             uint32_t bytes, Access &access, StoreValues values) {
  if (kind == AccessKind::Store)
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
  if (!(space == Space::Generic ? resolveGeneric(r, access)
                                : resolveIn(r, space, access)))
    return false;
  if (inst.data & MemoryStrong && kind == AccessKind::Load) [[unlikely]]
    notePoll(r, access);
  return true;
}

} // namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA

#include "LanesEnd.h"
