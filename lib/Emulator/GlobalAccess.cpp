//===- GlobalAccess.cpp - Accesses to global memory -------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Lanes in one buffer take a few vector instructions; everything else goes lane
// by lane.
//
//===----------------------------------------------------------------------===//

#include "ClusterRaces.h"
#include "GlobalLoops.h"
#include "MemoryRequest.h"

namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA {

namespace {

using Record = ClusterRaces::Record;

/// Words that one request may touch in a row.
constexpr uint32_t MaxWords = 32 * 16 / 4 + 1;

/// Carries out the stores of the lanes before `lane`, from `stored` on, so that
/// they count as what is there.
void storeBefore(const Request &r, const Buffer &buffer, unsigned lane,
                 unsigned &stored) {
  std::byte values[16];
  for (; stored < lane; ++stored)
    if (r.mask >> stored & 1 && buffer.contains(r.at(stored), r.bytes)) {
      r.values.read(r.warp, r.inst, stored, values);
      std::memcpy(buffer.data + (r.at(stored) - buffer.base), values, r.bytes);
    }
}

/// The access of one lane that the loops could not settle.
bool checkLane(const Request &r, const Buffer &buffer, unsigned lane,
               unsigned &stored) {
  Block &block = *r.warp.block;
  std::byte values[16];
  Actor actor{&r.warp, &r.inst, lane};
  actor.scope = r.scope();
  Accessor a(actor, block.cluster.ordering, r.kind != AccessKind::Load);
  if (r.isStrong() && a.isWrite && hasFences(r))
    a.epoch = block.cluster.sync.storeTime(r.warp, lane, a.epoch);
  if (r.values.read) {
    storeBefore(r, buffer, lane, stored);
    r.values.read(r.warp, r.inst, lane, values);
    a.values = values;
  }
  Conflict conflict;
  return block.worker.shadow->access(a, buffer, r.at(lane) - buffer.base,
                                     r.bytes, conflict) ||
         reportConflict(a, Space::Global, conflict);
}

template <bool HasClusters>
bool checkShadow(const Request &r, const Buffer &buffer) {
  Block &block = *r.warp.block;
  Ordering &ordering = block.cluster.ordering;
  GlobalShadow &shadow = *block.worker.shadow;
  ordering.touch(r.warp, r.mask);
  const View &view = ordering.view(r.warp);
  const bool isWrite = r.kind != AccessKind::Load;
  const GlobalAccess a{shadow, view, tagOf(view.plane, Scope::Weak, r.inst),
                       uint32_t(block.cluster.index + 1), isWrite};
  constexpr uint64_t inPage = GlobalShadow::PageBytes - 1;
  const unsigned size = std::countr_zero(r.bytes);
  uint64_t low = r.low - buffer.base, high = r.high - buffer.base + r.bytes - 1;
  auto pageOf = [&](uint64_t offset) -> GlobalShadow::Page & {
    GlobalShadow::Page &page = shadow.page(buffer, offset);
    if (size < page.shift) [[unlikely]]
      shadow.refine(page, r.bytes);
    return page;
  };
  if (!r.isStrong() && (r.isContiguous || r.isUniform()) &&
      low >> GlobalShadow::PageShift == high >> GlobalShadow::PageShift) {
    GlobalShadow::Page &page = pageOf(low);
    unsigned shift = size - page.shift;
    uint32_t first = uint32_t(low & inPage) >> page.shift;
    if (r.isContiguous) {
      TableBits bits{laneBitsOfCells.bits[shift]};
      if (recordGlobal<HasClusters>(a, page, first, 32u << shift, bits, bits))
        return true;
    } else {
      bool isSeveral = !std::has_single_bit(r.mask);
      if ((!isWrite || !isSeveral || storesSame(r)) &&
          recordGlobal<HasClusters>(a, page, first, 1u << shift,
                                    EqualBits{r.mask},
                                    EqualBits{isSeveral ? 0 : r.mask}))
        return true;
    }
  }
  uint32_t left = r.mask;
  if (!r.isStrong() && r.pattern && (!isWrite || r.pattern->isDistinct)) {
    left = 0;
    low = r.base(PatternGrain::Sector) - buffer.base;
    for (const AddressPattern::Run &run : r.pattern->runs) {
      // Runs may go on in another page.
      uint32_t pieces = 0;
      for (uint32_t done = 0; done < run.bytes;) {
        uint64_t offset = low + run.offset + done;
        GlobalShadow::Page &page = pageOf(offset);
        uint32_t bytes = uint32_t(std::min<uint64_t>(
            run.bytes - done, GlobalShadow::PageBytes - (offset & inPage)));
        const auto &cells = r.pattern->cells(page.shift);
        size_t cell = (size_t(run.firstPiece) * r.bytes + done) >> page.shift;
        if (!recordGlobal<HasClusters>(
                a, page, uint32_t(offset & inPage) >> page.shift,
                bytes >> page.shift, TableBits{cells.all.data() + cell},
                TableBits{cells.single.data() + cell}))
          pieces = run.lanes;
        done += bytes;
      }
      left |= pieces;
    }
  }
  unsigned stored = 0;
  for (uint32_t rest = left; rest; rest &= rest - 1) {
    unsigned lane = unsigned(std::countr_zero(rest));
    uint64_t offset = r.at(lane) - buffer.base;
    if (!r.isStrong()) {
      GlobalShadow::Page &page = pageOf(offset);
      uint32_t first = uint32_t(offset & inPage) >> page.shift;
      EqualBits bit{uint32_t(1) << lane};
      if (recordGlobal<HasClusters>(a, page, first, r.bytes >> page.shift, bit,
                                    bit))
        continue;
    }
    if (!checkLane(r, buffer, lane, stored))
      return false;
  }
  return true;
}

/// The words from `address` on that the lanes in `mask` touch, all in one page,
/// with the records of who does.
struct Words {
  uint64_t address = 0;
  uint32_t count = 0;
  Record records[MaxWords];
  uint32_t values[MaxWords];
};

void collectWords(const Request &r, uint32_t mask, uint64_t low, uint64_t high,
                  Words &words) {
  const Block &block = *r.warp.block;
  words.address = low & ~uint64_t(3);
  words.count = uint32_t((high - words.address) / 4 + 1);
  std::fill_n(words.records, words.count, 0);
  std::fill_n(words.values, words.count, 0);
  uint32_t warp = block.cluster.ordering.indexOf(r.warp);
  uint32_t inst = std::min(r.inst.id, TagInstMask);
  forLanes(mask, [&](unsigned lane) {
    uint64_t address = r.at(lane);
    std::byte values[16];
    if (r.values.read)
      r.values.read(r.warp, r.inst, lane, values);
    for (uint32_t done = 0; done < r.bytes;) {
      uint32_t at = uint32_t(address + done - words.address);
      if (address + done < low || address + done > high) {
        ++done;
        continue;
      }
      uint32_t part = std::min<uint32_t>(r.bytes - done, 4 - at % 4);
      uint32_t bytes = ((uint32_t(1) << part) - 1) << at % 4;
      Record &record = words.records[at / 4];
      record = record ? ClusterRaces::make(block.cluster.index, warp, 32, inst,
                                           uint32_t(record & 15) | bytes)
                      : ClusterRaces::make(block.cluster.index, warp, lane,
                                           inst, bytes);
      if (r.values.read)
        std::memcpy(reinterpret_cast<std::byte *>(words.values) + at,
                    values + done, part);
      done += part;
    }
  });
}

/// Whether all records are of nobody or of the cluster.
ROPEWALK_INLINE bool areOwn(const Record *records, uint32_t count,
                            uint64_t cluster) {
  uint64_t others = 0;
  for (uint32_t i = 0; i < count; ++i)
    others |=
        uint64_t((records[i] >> ClusterRaces::ClusterShift) - 1 != cluster) &
        uint64_t(records[i] != 0);
  return !others;
}

/// 32 lanes in a row of whole words that nobody else has written, or written
/// and read. `base` is the record of lane 0 and `shift` tells the words of a
/// lane. Otherwise changes nothing and returns false.
bool recordRun(ClusterRaces &races, ClusterRaces::Page &page, uint32_t first,
               uint32_t count, Record base, unsigned shift,
               const uint32_t *values) {
  uint64_t cluster = ClusterRaces::clusterOf(base);
  const Record *writers = page.writer.load(std::memory_order_relaxed);
  if (writers && !areOwn(writers + first, count, cluster))
    return false;
  if (writers && !values) {
    // What the cluster has written itself is no read; parts are left to others.
    uint64_t used = 0, unused = 0;
    for (uint32_t i = 0; i < count; ++i) {
      used |= writers[first + i];
      unused |= uint64_t((~writers[first + i] & 15) != 0);
    }
    if (used)
      return !unused;
  }
  Record *target = nullptr;
  if (values) {
    for (const auto &readers : page.readers)
      if (readers.load() && !areOwn(readers.load() + first, count, cluster))
        return false;
    if (!writers)
      races.addWriter(page);
    target = page.writer.load() + first;
    uint64_t used = 0, isPart = 0;
    for (uint32_t i = 0; i < count; ++i) {
      used |= target[i];
      isPart |= ~target[i] & 15;
    }
    if (used && isPart)
      return false;
    if (used) {
      // Its own words once more: with the same values or not.
      Vec<uint32_t> before = load<uint32_t>(page.values + first);
      uint64_t differs = maskOf(before != load<uint32_t>(values));
      page.varied[first / 64] |= differs << first % 64;
      if (first % 64 > 32)
        page.varied[first / 64 + 1] |= differs >> (64 - first % 64);
      return true;
    }
    std::memcpy(page.values + first, values, count * 4);
  } else {
    for (unsigned slot = 0; slot < 2 && !target; ++slot) {
      if (!page.readers[slot].load())
        races.addReaders(page, slot);
      Record *readers = page.readers[slot].load() + first;
      uint64_t used = 0, notLower = 0;
      for (uint32_t i = 0; i < count; ++i) {
        used |= readers[i];
        notLower |=
            uint64_t(readers[i] >> ClusterRaces::ClusterShift > cluster) |
            uint64_t(readers[i] == 0);
      }
      if (!used)
        target = readers;
      else if (notLower)
        return false;
    }
    if (!target)
      return false;
  }
  // Whole, as ClusterRaces::isSettled reads them without the mutex.
  for (uint32_t i = 0; i < count; ++i)
    __atomic_store_n(target + i, base + (uint64_t(i >> shift) << 22),
                     __ATOMIC_RELAXED);
  return true;
}

/// The part of a request that lies in one page, from byte `low` to byte `high`.
bool checkClusters(const Request &r, uint32_t mask, Buffer &buffer,
                   uint64_t low, uint64_t high) {
  Block &block = *r.warp.block;
  ClusterRaces &races = *block.launch.races;
  uint64_t offset = low - buffer.base;
  ClusterRaces::Page &page = races.page(buffer, offset);
  uint32_t first = uint32_t(offset % ClusterRaces::PageBytes / 4);
  uint32_t count =
      uint32_t((high - buffer.base) % ClusterRaces::PageBytes / 4) - first + 1;
  bool isWrite = r.kind != AccessKind::Load;
  if (!isWrite &&
      ClusterRaces::isSettled(page, first, count, block.cluster.index))
    return true;
  // A whole request of whole words.
  if (r.isContiguous && r.bytes >= 4 && low == r.low &&
      high == r.high + r.bytes - 1 && (!isWrite || r.values.row)) {
    std::unique_lock<std::mutex> lock(page.mutex, std::defer_lock);
    if (races.isParallel)
      lock.lock();
    Record base = ClusterRaces::make(block.cluster.index,
                                     block.cluster.ordering.indexOf(r.warp), 0,
                                     std::min(r.inst.id, TagInstMask), 15);
    if (recordRun(races, page, first, count, base,
                  unsigned(std::countr_zero(r.bytes)) - 2,
                  isWrite ? r.values.row : nullptr))
      return true;
  }
  Words words;
  collectWords(r, mask, low, high, words);
  uint64_t start = words.address - uint64_t(first) * 4;
  if (isWrite) {
    races.write(page, start, first, count, words.records,
                r.values.read ? words.values : nullptr);
    return true;
  }
  uint32_t higher =
      races.read(page, start, first, count, words.records, [&](uint32_t word) {
        return block.worker.shadow->isOwnWrite(
            buffer, words.address + word * 4 - buffer.base,
            uint32_t(words.records[word] & 15));
      });
  // A higher cluster has run already and initialized what this one reads.
  uint8_t stamp = block.launch.validStamp;
  for (uint32_t word = higher; word < count && stamp > 1 && buffer.valid;
       ++word) {
    uint64_t address = words.address + word * 4;
    uint8_t *valid = buffer.valid + (address - buffer.base);
    if (std::memchr(valid, stamp, std::min<uint64_t>(4, buffer.size)) &&
        block.launch.options.checkUninitializedMemory)
      return report(r, ReportKind::UninitializedMemory,
                    unsigned(std::countr_zero(mask)), Space::Global,
                    "a higher block writes these bytes, if at all");
    break;
  }
  return true;
}

bool checkClusters(const Request &r, uint32_t mask, Buffer &buffer) {
  auto forPages = [&](uint32_t lanes, uint64_t low, uint64_t high) {
    while (low <= high) {
      uint64_t offset = low - buffer.base;
      uint64_t end = std::min(
          high,
          low + (ClusterRaces::PageBytes - offset % ClusterRaces::PageBytes) -
              1);
      if (!checkClusters(r, lanes, buffer, low, end))
        return false;
      low = end + 1;
    }
    return true;
  };
  if (mask == r.mask && r.isSimple())
    return forPages(mask, r.low, r.high + r.bytes - 1);
  // Words of different lanes are independent of each other, and of several
  // lanes that read the same the first one counts. Where a read may be reported
  // itself, it has to be by lane.
  bool isWrite = r.kind != AccessKind::Load;
  if (r.pattern && mask == r.mask && r.bytes >= 4 &&
      (isWrite ? r.pattern->isDistinct
               : !buffer.valid || r.warp.block->launch.validStamp == 1)) {
    uint64_t base = r.base(PatternGrain::Sector);
    for (const AddressPattern::Run &run : r.pattern->runs)
      if (!forPages(run.firstLanes, base + run.offset,
                    base + run.offset + run.bytes - 1))
        return false;
    return true;
  }
  for (uint32_t rest = mask; rest; rest &= rest - 1) {
    unsigned lane = unsigned(std::countr_zero(rest));
    if (!forPages(uint32_t(1) << lane, r.at(lane), r.at(lane) + r.bytes - 1))
      return false;
  }
  return true;
}

/// Loads through the cache that is not coherent: no order helps them.
bool checkReadOnly(const Request &r, Buffer &buffer) {
  Block &block = *r.warp.block;
  Ordering &ordering = block.cluster.ordering;
  GlobalShadow &shadow = *block.worker.shadow;
  uint64_t low = r.low - buffer.base, high = r.high - buffer.base + r.bytes - 1;
  if (low >> GlobalShadow::PageShift == high >> GlobalShadow::PageShift) {
    const GlobalShadow::Layer *layers = shadow.page(buffer, low).layers;
    if (!layers[GlobalShadow::Write].isUsed() &&
        !layers[GlobalShadow::StrongWrite].isUsed())
      return true;
  }
  std::vector<GlobalShadow::Record> writes;
  for (uint32_t rest = r.mask; rest; rest &= rest - 1) {
    unsigned lane = unsigned(std::countr_zero(rest));
    shadow.listWrites(ordering, buffer, r.at(lane) - buffer.base, r.bytes,
                      writes);
    if (writes.empty())
      continue;
    Conflict conflict;
    conflict.kind = Conflict::Constant;
    conflict.tag = writes.back().tag;
    conflict.lanes = writes.back().lanes;
    conflict.address = r.at(lane);
    if (shadow.order)
      conflict.cluster = int64_t(writes.back().cluster) - 1;
    Actor actor{&r.warp, &r.inst, lane};
    return reportConflict(Accessor(actor, ordering, false), Space::Global,
                          conflict);
  }
  return true;
}

bool checkRaces(const Request &r, Buffer &buffer) {
  const Block &block = *r.warp.block;
  if (!block.worker.shadow)
    return true;
  if (r.inst.data & MemoryReadOnly && r.kind == AccessKind::Load && !r.isCopy &&
      !checkReadOnly(r, buffer))
    return false;
  if (!(block.worker.order ? checkShadow<true>(r, buffer)
                           : checkShadow<false>(r, buffer)))
    return false;
  return !block.launch.races || checkClusters(r, r.mask, buffer);
}

/// Marks bytes as initialized, also by which launch if others run at the same
/// time.
void markGlobal(const Request &r, Buffer &buffer) {
  uint8_t stamp = r.warp.block->launch.validStamp;
  if (stamp == 1)
    return markValid(r, buffer.valid, buffer.base);
  auto mark = [&](uint64_t address, uint64_t bytes) {
    uint8_t *valid = buffer.valid + (address - buffer.base);
    for (uint64_t i = 0; i < bytes; ++i)
      valid[i] = valid[i] ? valid[i] : stamp;
  };
  if (r.isContiguous)
    return mark(r.low, r.high - r.low + r.bytes);
  forLanes(r.mask, [&](unsigned lane) { mark(r.at(lane), r.bytes); });
}

/// A request whose lanes all lie in one buffer.
bool resolveInBuffer(Request &r, Buffer &buffer, Access &access) {
  if (buffer.valid) {
    if (r.kind != AccessKind::Store &&
        r.warp.block->launch.options.checkUninitializedMemory) {
      unsigned lane = findInvalid(r, buffer.valid, buffer.base);
      if (lane < 32)
        return report(
            r, ReportKind::UninitializedMemory, lane, Space::Global,
            r.warp.block->launch.memory->describe(r.at(lane), r.bytes));
    }
  }
  // Marks come last: a lower block on another host thread that finds one also
  // finds the record of who made it, and knows that it was too early.
  if (!checkRaces(r, buffer))
    return false;
  if (buffer.valid && r.kind != AccessKind::Load)
    markGlobal(r, buffer);
  Addresses host =
      r.address + (reinterpret_cast<uint64_t>(buffer.data) - buffer.base);
  std::memcpy(access.host, &host, sizeof host);
  return true;
}

} // namespace

bool resolveGlobal(Request &r, Access &access) {
  Block &block = *r.warp.block;
  DeviceMemory &memory = *block.launch.memory;
  if (!checkAlignment(r, Space::Global))
    return false;
  if (!r.isSimple())
    findPattern(r, PatternGrain::Sector);
  Buffer *&cached = block.worker.cache[r.inst.id];
  uint64_t span = r.high - r.low + r.bytes;
  Buffer *buffer = cached;
  if (!buffer || !buffer->contains(r.low, span))
    buffer = memory.find(r.low);
  if (buffer && buffer->data && buffer->contains(r.low, span)) [[likely]] {
    cached = buffer;
    if (!resolveInBuffer(r, *buffer, access))
      return false;
  } else {
    // Lanes in different buffers, or a bad address.
    for (uint32_t rest = r.mask; rest;) {
      unsigned first = unsigned(std::countr_zero(rest));
      buffer = memory.find(r.at(first));
      bool isInside = buffer && buffer->contains(r.at(first), r.bytes);
      if (!isInside || !buffer->data)
        return report(
            r, isInside ? ReportKind::UseAfterFree : ReportKind::OutOfBounds,
            first, Space::Global, memory.describe(r.at(first), r.bytes));
      uint32_t group = 0;
      forLanes(rest, [&](unsigned lane) {
        group |= uint32_t(buffer->contains(r.at(lane), r.bytes)) << lane;
      });
      Request part{r.warp, r.inst, group, r.kind, r.bytes, r.values, r.address};
      part.isCopy = r.isCopy;
      finishRequest(part);
      Access partial;
      if (!resolveInBuffer(part, *buffer, partial))
        return false;
      merge(access, partial, group);
      rest &= ~group;
    }
    access.isContiguous = access.isUniform = false;
  }
  countGlobal(r);
  if (r.isStrong())
    synchronize(r, Location::Global, access);
  return true;
}

} // namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA

#include "LanesEnd.h"
