//===- ClusterRaces.cpp - Conflicts between clusters ------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// See ClusterRaces.h. A page is changed under its mutex. A read that finds its
// words settled takes no lock: should a lower cluster write them at the same
// time, that one conflicts with the two lower readers.
//
//===----------------------------------------------------------------------===//

#include "ClusterRaces.h"
#include "Execution.h"
#include "RaceReport.h"

#include <algorithm>
#include <bit>
#include <tuple>

using namespace ropewalk::emulator;

using Record = ClusterRaces::Record;

namespace {

Record load(const Record *record) {
  return __atomic_load_n(record, __ATOMIC_RELAXED);
}
void store(Record *record, Record value) {
  __atomic_store_n(record, value, __ATOMIC_RELAXED);
}

uint32_t bytesOf(Record record) { return uint32_t(record & 15); }
/// The bits of a word that stand for these bytes.
uint32_t bitsOf(uint32_t bytes) {
  static constexpr uint32_t table[4] = {0, 0xff, 0xff00, 0xffff};
  return table[bytes & 3] | table[bytes >> 2] << 16;
}

/// Holds the page's mutex if there is anybody else.
class Guard {
public:
  Guard(std::mutex &mutex, bool isParallel)
      : mutex(isParallel ? &mutex : nullptr) {
    if (this->mutex)
      this->mutex->lock();
  }
  ~Guard() {
    if (mutex)
      mutex->unlock();
  }

private:
  std::mutex *mutex;
};

} // namespace

ClusterRaces::ClusterRaces(const Launch &launch, bool isParallel)
    : isParallel(isParallel), launch(launch), tables(launch.memory->nextIndex),
      lowest(MaxClusters) {}

ClusterRaces::~ClusterRaces() {
  for (Table &table : tables) {
    std::atomic<Page *> *pages = table.pages;
    for (size_t i = 0; pages && i < table.count; ++i) {
      Page *page = pages[i].load();
      if (!page)
        continue;
      for (void *piece :
           {(void *)page->writer.load(), (void *)page->readers[0].load(),
            (void *)page->readers[1].load(), (void *)page->values})
        if (piece)
          launch.memory->pieces.give(piece);
      delete page;
    }
    delete[] pages;
  }
}

ClusterRaces::Page &ClusterRaces::page(const Buffer &buffer, uint64_t offset) {
  Table &table = tables[buffer.index];
  std::atomic<Page *> *pages = table.pages.load(std::memory_order_acquire);
  if (pages)
    if (Page *page = pages[offset >> PageShift].load(std::memory_order_acquire))
      return *page;
  std::lock_guard<std::mutex> lock(mutex);
  if (!table.pages.load()) {
    table.count = (buffer.size >> PageShift) + 1;
    table.pages.store(new std::atomic<Page *>[table.count](),
                      std::memory_order_release);
  }
  std::atomic<Page *> &place = table.pages.load()[offset >> PageShift];
  if (!place.load())
    place.store(new Page, std::memory_order_release);
  return *place.load();
}

void ClusterRaces::addReaders(Page &page, unsigned slot) {
  static_assert(PageWords * sizeof(Record) == PiecePool::PieceBytes);
  page.readers[slot].store(static_cast<Record *>(launch.memory->pieces.take()),
                           std::memory_order_release);
}

void ClusterRaces::addWriter(Page &page) {
  page.values = static_cast<uint32_t *>(launch.memory->pieces.take());
  page.writer.store(static_cast<Record *>(launch.memory->pieces.take()),
                    std::memory_order_release);
}

bool ClusterRaces::isSettled(const Page &page, uint32_t first, uint32_t count,
                             uint64_t cluster) {
  bool isDone = true;
  for (uint32_t chunk = first / ChunkWords;
       chunk <= (first + count - 1) / ChunkWords; ++chunk) {
    uint32_t last = page.done[chunk].load(std::memory_order_relaxed);
    isDone &= last != 0 && last <= cluster + 1;
  }
  if (!isDone) {
    const Record *one = page.readers[0].load(std::memory_order_acquire);
    const Record *two = page.readers[1].load(std::memory_order_acquire);
    if (!one)
      return false;
    for (uint32_t i = first; i < first + count; ++i) {
      Record lower = load(one + i), upper = two ? load(two + i) : 0;
      bool isMine = lower && clusterOf(lower) == cluster;
      bool areLower =
          upper && clusterOf(upper) <= cluster && bytesOf(upper) == 15;
      if (bytesOf(lower) != 15 || !(isMine || areLower))
        return false;
    }
  }
  const Record *writers = page.writer.load(std::memory_order_acquire);
  if (!writers)
    return true;
  // Written by nobody else.
  uint64_t others = 0;
  for (uint32_t i = first; i < first + count; ++i) {
    Record writer = load(writers + i);
    others |= writer && clusterOf(writer) != cluster;
  }
  return !others;
}

uint32_t ClusterRaces::read(Page &page, uint64_t pageAddress, uint32_t first,
                            uint32_t count, const Record *records,
                            const std::function<bool(uint32_t)> &isOwnWrite) {
  Guard guard(page.mutex, isParallel);
  uint64_t cluster = clusterOf(records[0]);
  uint32_t higher = count;
  if (const Record *writers = page.writer)
    for (uint32_t i = 0; i < count; ++i) {
      Record writer = writers[first + i];
      if (!writer || clusterOf(writer) == cluster ||
          !(bytesOf(writer) & bytesOf(records[i])) || isOwnWrite(i))
        continue;
      if (clusterOf(writer) > cluster)
        higher = std::min(higher, i);
      collect(pageAddress + (first + i) * 4, {records[i], false},
              {writer, true});
    }
  // The slots are made when somebody needs them.
  auto slotOf = [&](unsigned number) {
    if (!page.readers[number].load(std::memory_order_relaxed))
      addReaders(page, number);
    return page.readers[number].load(std::memory_order_relaxed);
  };
  bool hasChanged = false;
  for (uint32_t i = 0; i < count; ++i) {
    // What the cluster has written itself is no read.
    if (page.writer.load() && isOwnWrite(i))
      continue;
    Record mine = records[i];
    for (unsigned number = 0; number < 2; ++number) {
      Record *place = slotOf(number) + first + i;
      Record old = *place;
      if (old == 0 || clusterOf(old) == cluster) {
        Record value = old ? old | bytesOf(mine) : mine;
        hasChanged |= value != old;
        store(place, value);
        break;
      }
      if (clusterOf(mine) < clusterOf(old)) {
        hasChanged = true;
        store(place, mine);
        mine = old;
      }
    }
  }
  const Record *one = page.readers[0], *two = page.readers[1];
  if (!hasChanged || !two)
    return higher;
  for (uint32_t chunk = first / ChunkWords;
       chunk <= (first + count - 1) / ChunkWords; ++chunk) {
    uint64_t last = 0;
    bool isWhole = true;
    for (uint32_t i = chunk * ChunkWords; i < (chunk + 1) * ChunkWords; ++i) {
      isWhole &= two[i] && (one[i] & two[i] & 15) == 15;
      last = std::max(last, two[i] >> ClusterShift);
    }
    page.done[chunk].store(isWhole ? uint32_t(last) : 0,
                           std::memory_order_relaxed);
  }
  return higher;
}

void ClusterRaces::write(Page &page, uint64_t pageAddress, uint32_t first,
                         uint32_t count, const Record *records,
                         const uint32_t *values) {
  Guard guard(page.mutex, isParallel);
  if (!page.writer.load())
    addWriter(page);
  Record *writers = page.writer;
  for (uint32_t i = 0; i < count; ++i) {
    uint32_t word = first + i;
    Record mine = records[i], old = writers[word];
    uint32_t bits = bitsOf(bytesOf(mine)), value = values ? values[i] : 0;
    uint64_t &varied = page.varied[word / 64];
    uint64_t mark = uint64_t(1) << word % 64;
    uint64_t address = pageAddress + word * 4;
    uint32_t common = bitsOf(bytesOf(mine) & bytesOf(old));
    bool isSame =
        values && !(varied & mark) && !((page.values[word] ^ value) & common);
    if (old && clusterOf(old) == clusterOf(mine)) {
      if (!isSame)
        varied |= mark;
      page.values[word] = (page.values[word] & ~bits) | (value & bits);
      store(writers + word, old | bytesOf(mine));
    } else {
      if (common && !isSame)
        collect(address, {mine, true}, {old, true});
      if (!old || clusterOf(mine) < clusterOf(old)) {
        page.values[word] = value & bits;
        varied = values ? varied & ~mark : varied | mark;
        store(writers + word, mine);
      }
    }
    for (const std::atomic<Record *> &readers : page.readers) {
      Record reader = readers.load() ? readers.load()[word] : 0;
      if (reader && clusterOf(reader) != clusterOf(mine) &&
          bytesOf(reader) & bytesOf(mine))
        collect(address, {mine, true}, {reader, false});
    }
  }
}

void ClusterRaces::collect(uint64_t wordAddress, Side a, Side b) {
  if (clusterOf(a.record) < clusterOf(b.record))
    std::swap(a, b);
  uint64_t failing = clusterOf(a.record);
  if (failing > lowest.load(std::memory_order_relaxed))
    return;
  uint32_t common = bytesOf(a.record) & bytesOf(b.record);
  wordAddress += uint32_t(std::countr_zero(common));
  std::lock_guard<std::mutex> lock(mutex);
  if (failing > lowest.load() ||
      (high.record && failing == lowest.load() && wordAddress > address))
    return;
  auto key = [](const Side &h, const Side &l) {
    return std::tuple(h.isWrite, clusterOf(l.record), l.isWrite);
  };
  // The first access of each side comes first, so that equal ones stay.
  if (high.record && failing == lowest.load() && wordAddress == address &&
      key(a, b) >= key(high, low))
    return;
  lowest = failing;
  address = wordAddress;
  high = a;
  low = b;
}

Report ClusterRaces::makeReport(uint64_t place, const Side &mine,
                                const Side &other) const {
  const Program &program = *launch.program;
  uint32_t warps = uint32_t((launch.block.count() + 31) / 32);
  auto warpOf = [](Record record) { return uint32_t(record >> 28 & 511); };
  auto instOf = [&](Record record) -> const Inst * {
    uint32_t inst = uint32_t(record >> 4 & TagInstMask);
    return inst != TagInstMask ? &program.code[inst] : nullptr;
  };
  auto laneOf = [](Record record) {
    int lane = int(record >> 22 & 63);
    return lane < 32 ? lane : -1;
  };
  auto blockOf = [&](Record record) {
    return blockIndexOf(launch, clusterOf(record), warpOf(record) / warps);
  };
  Report report;
  report.kind = ReportKind::GlobalRace;
  report.kernel = launch.kernel->info.name;
  report.hasAddress = true;
  report.address = place;
  report.block = blockOf(mine.record);
  uint64_t block = uint64_t(report.block);
  const Dim3 &grid = launch.grid;
  report.blockIndex = {uint32_t(block % grid.x),
                       uint32_t(block / grid.x % grid.y),
                       uint32_t(block / grid.x / grid.y)};
  report.warp = int(warpOf(mine.record) % warps);
  report.lane = laneOf(mine.record);
  report.other.block = blockOf(other.record);
  report.other.warp = int(warpOf(other.record) % warps);
  report.other.lane = laneOf(other.record);
  std::string text = "another access";
  if (const Inst *inst = instOf(other.record)) {
    report.other.location = inst->location;
    report.other.source = sourceOf(*launch.kernel->module, *inst);
    text = "'" + program.opcodes[inst->id] + "' of line " +
           std::to_string(inst->location.line);
  }
  if (const Inst *inst = instOf(mine.record)) {
    report.location = inst->location;
    report.source = sourceOf(*launch.kernel->module, *inst);
    report.inlinedAt = callersOf(*launch.kernel->module, *inst);
    report.detail = "'" + program.opcodes[inst->id] + "' ";
  }
  report.detail += "in .global memory races with an access of warp " +
                   std::to_string(report.other.warp) + " of block " +
                   std::to_string(report.other.block) + ": it " +
                   (mine.isWrite ? "writes" : "reads") + " bytes that " + text +
                   (other.isWrite ? " writes" : " reads") +
                   ", and nothing orders the two";
  return report;
}

Report ClusterRaces::report() const { return makeReport(address, high, low); }

std::optional<Report> ClusterRaces::reportOfRead(uint64_t cluster,
                                                 const Report &read) {
  if (read.kind != ReportKind::UninitializedMemory || !read.hasAddress)
    return std::nullopt;
  Buffer *buffer = launch.memory->find(read.address);
  if (!buffer || !buffer->contains(read.address, 1) ||
      buffer->index >= tables.size())
    return std::nullopt;
  // A lane reads at most 16 bytes.
  uint64_t first = (read.address - buffer->base) / 4 * 4;
  for (uint64_t at = first; at < first + 16 && at < buffer->size; at += 4) {
    const Record *writers = page(*buffer, at).writer.load();
    Record writer = writers ? writers[at % PageBytes / 4] : 0;
    if (!writer || clusterOf(writer) >= cluster)
      continue;
    Report report = makeReport(read.address, {writer, true}, {writer, true});
    Report result = read;
    result.kind = ReportKind::GlobalRace;
    result.other = report.other;
    size_t end = read.detail.find("' ");
    result.detail =
        read.detail.substr(0, end == std::string::npos ? 0 : end + 2);
    result.detail += "in .global memory races with an access of warp " +
                     std::to_string(report.other.warp) + " of block " +
                     std::to_string(report.other.block) +
                     ": it reads bytes that line " +
                     std::to_string(report.other.location.line) +
                     " writes, and nothing orders the two";
    return result;
  }
  return std::nullopt;
}
