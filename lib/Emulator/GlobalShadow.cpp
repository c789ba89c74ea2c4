//===- GlobalShadow.cpp - Races in global memory ----------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// See GlobalShadow.h. The loops for whole warps are in GlobalAccess.cpp.
//
//===----------------------------------------------------------------------===//

#include "GlobalShadow.h"
#include "Cluster.h"
#include "ClusterRaces.h"

#include <algorithm>
#include <bit>

using namespace ropewalk::emulator;

namespace {

/// Pages of finished clusters are thrown away beyond that.
constexpr size_t MaxBytes = size_t(256) << 20;

template <class T> void repeat(std::vector<T> &values, uint32_t parts) {
  std::vector<T> finer(values.size() * parts);
  for (size_t i = 0; i < finer.size(); ++i)
    finer[i] = values[i / parts];
  values = std::move(finer);
}

constexpr GlobalShadow::LayerKind otherOf(GlobalShadow::LayerKind kind) {
  return kind == GlobalShadow::Read ? GlobalShadow::OtherRead
                                    : GlobalShadow::OtherStrongWrite;
}

} // namespace

void GlobalShadow::recycle() {
  for (auto [buffer, number] : places) {
    Page *&page = tables[buffer][number];
    page->several.clear();
    spare[page->shift].push_back(page);
    page = nullptr;
  }
  places.clear();
}

void GlobalShadow::start(const Ordering &ordering) {
  if (!order) {
    recycle();
    if (ordering.start() < lastStart || bytesUsed > MaxBytes) {
      for (auto &list : spare)
        list.clear();
      pages.clear();
      bytesUsed = 0;
    }
  }
  lastStart = ordering.start();
}

GlobalShadow::Page &GlobalShadow::addPage(const Buffer &buffer,
                                          uint64_t offset) {
  if (buffer.index >= tables.size())
    tables.resize(buffer.index + 1);
  std::vector<Page *> &table = tables[buffer.index];
  uint64_t number = offset >> PageShift;
  if (table.empty())
    table.resize((buffer.size >> PageShift) + 1);
  // Coarse cells first.
  for (unsigned shift = 3; shift-- > 0 && !table[number];)
    if (!spare[shift].empty()) {
      table[number] = spare[shift].back();
      spare[shift].pop_back();
    }
  if (!table[number]) {
    pages.push_back(std::make_unique<Page>());
    table[number] = pages.back().get();
  }
  places.push_back({buffer.index, number});
  return *table[number];
}

GlobalShadow::Layer &GlobalShadow::addLayer(Page &page, LayerKind kind) {
  Layer &layer = page.layers[kind];
  size_t cells = PageBytes >> page.shift;
  layer.time.assign(cells, 0);
  layer.lanes.assign(cells, 0);
  layer.tag.assign(cells, 0);
  layer.cluster.assign(order ? cells : 0, 0);
  bytesUsed += cells * (order ? 16 : 12);
  return layer;
}

void GlobalShadow::refine(Page &page, uint64_t addressAndBytes) {
  uint32_t wanted = std::min<uint32_t>(
      page.shift, uint32_t(std::countr_zero(addressAndBytes)));
  if (wanted == page.shift)
    return;
  uint32_t parts = uint32_t(1) << (page.shift - wanted);
  for (Layer &layer : page.layers) {
    bytesUsed += layer.time.size() * (parts - 1) * (order ? 16 : 12);
    repeat(layer.time, parts);
    repeat(layer.lanes, parts);
    repeat(layer.tag, parts);
    repeat(layer.cluster, parts);
  }
  std::unordered_map<uint32_t, std::vector<Record>> finer;
  for (auto &[cell, list] : page.several)
    for (uint32_t part = 0; part < parts; ++part)
      finer[cell * parts + part] = list;
  page.several = std::move(finer);
  page.shift = wanted;
}

GlobalShadow::Record GlobalShadow::at(const Page &page, LayerKind kind,
                                      uint32_t cell) const {
  const Layer &layer = page.layers[kind];
  if (!layer.isUsed())
    return {};
  return {order ? layer.cluster[cell] : 1, layer.time[cell], layer.lanes[cell],
          layer.tag[cell]};
}

Standing GlobalShadow::standing(const Accessor &a, const Record &record,
                                bool wrote, bool any) const {
  if (!order)
    return record.time < a.ordering.start()
               ? Standing::Known
               : standingOf(a, record.tag, record.lanes, record.time, wrote,
                            any);
  if (record.cluster == 0)
    return Standing::Known;
  const Cluster &cluster = a.actor.warp->block->cluster;
  if (record.cluster == cluster.index + 1)
    return standingOf(a, record.tag, record.lanes, record.time, wrote, any);
  for (uint32_t rest = record.lanes; rest; rest &= rest - 1) {
    bool knows =
        order->knows(cluster.index, a.ordering, *a.actor.warp, a.actor.lane,
                     record.cluster - 1, planeOfTag(record.tag),
                     unsigned(std::countr_zero(rest)), record.time);
    if (knows == any)
      return any ? Standing::Known : Standing::Unknown;
  }
  return any ? Standing::Unknown : Standing::Known;
}

bool GlobalShadow::isStrongPair(const Accessor &a, const Record &record) const {
  if (order && record.cluster != a.actor.warp->block->cluster.index + 1)
    return a.actor.scope == Scope::Device &&
           scopeOfTag(record.tag) == Scope::Device;
  return isMorallyStrong(a, record.tag);
}

bool GlobalShadow::checkLayer(const Accessor &a, const Page &page,
                              LayerKind kind, uint32_t cell,
                              Conflict &conflict) const {
  Record record = at(page, kind, cell);
  bool wrote = kind == StrongWrite || kind == OtherStrongWrite;
  if (record.lanes == 0 || isStrongPair(a, record))
    return true;
  for (uint32_t rest = record.lanes; rest; rest &= rest - 1) {
    Record one = record;
    one.lanes = rest & -rest;
    Standing found = standing(a, one, wrote, true);
    if (found == Standing::Known)
      continue;
    conflict.kind =
        found == Standing::Unfenced ? Conflict::Unfenced : Conflict::Unordered;
    conflict.otherWrote = wrote;
    conflict.tag = record.tag;
    conflict.lanes = one.lanes;
    conflict.cluster = order ? int64_t(record.cluster) - 1 : -1;
    return false;
  }
  return true;
}

bool GlobalShadow::checkCell(const Accessor &a, const Page &page, uint32_t cell,
                             const std::byte *present, bool &isSame,
                             Conflict &conflict) const {
  isSame = false;
  Record last = at(page, Write, cell);
  if (last.lanes) {
    const Record *list = &last;
    size_t count = 1;
    if (planeOfTag(last.tag) == a.ordering.planes()) {
      const std::vector<Record> &all = page.several.at(cell);
      list = all.data();
      count = all.size();
    }
    // Who wrote the same needs to be known in whole by a writer, and one of
    // them by a reader.
    Standing found = a.isWrite ? Standing::Known : Standing::Unknown;
    for (size_t i = 0; i < count; ++i) {
      Standing one = standing(a, list[i], true, !a.isWrite);
      if (a.isWrite ? one >= found : one <= found) {
        found = one;
        last = list[i];
      }
    }
    if (found == Standing::Unknown && a.isWrite && a.values && !a.isAsyncProxy)
      isSame = !std::memcmp(present, a.values, size_t(1) << page.shift);
    if (found != Standing::Known && !isSame) {
      conflict.kind = found == Standing::Unfenced ? Conflict::Unfenced
                                                  : Conflict::Unordered;
      conflict.otherWrote = true;
      conflict.tag = last.tag;
      conflict.lanes =
          last.lanes & ~a.bit() ? last.lanes & ~a.bit() : last.lanes;
      conflict.cluster = order ? int64_t(last.cluster) - 1 : -1;
      return false;
    }
  }
  if (!checkLayer(a, page, StrongWrite, cell, conflict) ||
      !checkLayer(a, page, OtherStrongWrite, cell, conflict))
    return false;
  if (!a.isWrite)
    return true;
  // Who has read these bytes reads the same after the store.
  return (isSame || (checkLayer(a, page, Read, cell, conflict) &&
                     checkLayer(a, page, OtherRead, cell, conflict))) &&
         checkLayer(a, page, StrongRead, cell, conflict);
}

void GlobalShadow::put(Page &page, LayerKind kind, uint32_t cell,
                       const Record &record) {
  Layer &layer = use(page, kind);
  bool joins = layer.time[cell] == record.time &&
               planeOfTag(layer.tag[cell]) == planeOfTag(record.tag) &&
               (!order || layer.cluster[cell] == record.cluster);
  layer.lanes[cell] =
      record.lanes | (joins && kind != Write ? layer.lanes[cell] : 0);
  layer.time[cell] = record.time;
  layer.tag[cell] = record.tag;
  if (order)
    layer.cluster[cell] = record.cluster;
}

void GlobalShadow::record(const Accessor &a, Page &page, uint32_t cell,
                          bool isSame) {
  bool isStrong = a.actor.scope != Scope::Weak;
  uint32_t cluster =
      order ? uint32_t(a.actor.warp->block->cluster.index + 1) : 1;
  Record mine{cluster, a.epoch, a.bit(),
              tagOf(a.plane, a.actor.scope, *a.actor.inst)};
  if (isSame) {
    Record last = at(page, Write, cell);
    bool isMine = last.cluster == mine.cluster && last.time == mine.time &&
                  planeOfTag(last.tag) == a.plane;
    if (isMine || (!order && last.time < a.ordering.start())) {
      mine.lanes |= isMine ? last.lanes : 0;
      put(page, Write, cell, mine);
      return;
    }
    std::vector<Record> &list = page.several[cell];
    if (planeOfTag(last.tag) != a.ordering.planes())
      list.assign(1, last);
    std::erase_if(list, [&](const Record &record) {
      return record.cluster == mine.cluster && record.lanes == mine.lanes &&
             planeOfTag(record.tag) == a.plane;
    });
    list.push_back(mine);
    Layer &layer = page.layers[Write];
    layer.tag[cell] = a.ordering.planes() << TagPlaneShift;
    layer.time[cell] = std::max(layer.time[cell], mine.time);
    return;
  }
  if (a.isWrite && !isStrong)
    return put(page, Write, cell, mine);
  if (!a.isWrite && isStrong)
    return put(page, StrongRead, cell, mine);
  LayerKind kind = a.isWrite ? StrongWrite : Read;
  // The record of the same plane or one that says nothing any more.
  for (LayerKind place : {kind, otherOf(kind)}) {
    Record old = at(page, place, cell);
    bool isMine = old.cluster == mine.cluster && planeOfTag(old.tag) == a.plane;
    if (old.lanes == 0 || isMine ||
        standing(a, old, a.isWrite, false) == Standing::Known)
      return put(page, place, cell, mine);
  }
}

bool GlobalShadow::checkRange(const Accessor &a, const Page &page,
                              uint32_t first, uint32_t count) const {
  // Nobody has written there, and nobody is about to.
  for (unsigned kind = 0; kind < LayerKinds; ++kind)
    if (page.layers[kind].isUsed() &&
        (a.isWrite || kind == Write || kind == StrongWrite ||
         kind == OtherStrongWrite)) {
      const Layer &layer = page.layers[kind];
      uint32_t any = 0;
      for (uint32_t i = first; i < first + count; ++i)
        any |= order ? layer.cluster[i]
                     : uint32_t(layer.time[i] >= a.ordering.start());
      if (any)
        return false;
    }
  return true;
}

bool GlobalShadow::access(const Accessor &access, const Buffer &buffer,
                          uint64_t offset, uint32_t bytes, Conflict &conflict) {
  Accessor a = access;
  while (bytes) {
    Page &page = this->page(buffer, offset);
    uint32_t inPage = uint32_t(offset & (PageBytes - 1));
    uint32_t part = std::min(bytes, uint32_t(PageBytes) - inPage);
    refine(page, uint64_t(inPage) | part);
    uint32_t first = inPage >> page.shift, count = part >> page.shift;
    bool isClear = checkRange(a, page, first, count);
    for (uint32_t cell = first; cell < first + count; ++cell) {
      bool isSame = false;
      uint64_t place = (offset - inPage) + (uint64_t(cell) << page.shift);
      if (!isClear &&
          !checkCell(a, page, cell, buffer.data + place, isSame, conflict)) {
        conflict.address = buffer.base + place;
        return false;
      }
      record(a, page, cell, isSame);
      if (a.values)
        a.values += size_t(1) << page.shift;
    }
    offset += part;
    bytes -= part;
  }
  return true;
}

bool GlobalShadow::isOwnWrite(const Buffer &buffer, uint64_t offset,
                              uint32_t mask) {
  Page &page = this->page(buffer, offset);
  for (; mask; mask &= mask - 1) {
    uint64_t byte = offset + uint32_t(std::countr_zero(mask));
    Record record =
        at(page, Write, uint32_t(byte & (PageBytes - 1)) >> page.shift);
    if (!record.lanes || record.time < lastStart)
      return false;
  }
  return true;
}

void GlobalShadow::listWrites(const Ordering &ordering, const Buffer &buffer,
                              uint64_t offset, uint32_t bytes,
                              std::vector<Record> &list) {
  auto add = [&](Record record, const Page &page, uint32_t cell) {
    // Of several writers of the same the latest stands for all.
    if (planeOfTag(record.tag) == ordering.planes())
      for (const Record &one : page.several.at(cell))
        if (planeOfTag(record.tag) == ordering.planes() ||
            one.time >= record.time)
          record = one;
    if (!record.lanes ||
        (order ? record.cluster == 0 : record.time < ordering.start()))
      return;
    for (const Record &old : list)
      if (old.cluster == record.cluster && old.time == record.time &&
          old.lanes == record.lanes && old.tag == record.tag)
        return;
    list.push_back(record);
  };
  for (uint64_t end = offset + bytes; offset < end;) {
    const Page &page = this->page(buffer, offset);
    uint32_t cell = uint32_t(offset & (PageBytes - 1)) >> page.shift;
    for (LayerKind kind : {Write, StrongWrite, OtherStrongWrite})
      add(at(page, kind, cell), page, cell);
    offset = (offset >> page.shift << page.shift) + (1 << page.shift);
  }
}

namespace {

/// Records an access by bytes for the order between clusters.
void recordClusters(const Accessor &a, const Buffer &buffer, uint64_t offset,
                    uint32_t bytes) {
  Block &block = *a.actor.warp->block;
  ClusterRaces &races = *block.launch.races;
  uint64_t cluster = block.cluster.index;
  uint32_t warp = a.ordering.indexOf(*a.actor.warp);
  uint32_t inst = std::min(a.actor.inst->id, TagInstMask);
  std::vector<ClusterRaces::Record> records;
  for (uint64_t end = offset + bytes; offset < end;) {
    uint64_t stop = std::min(end, (offset / ClusterRaces::PageBytes + 1) *
                                      ClusterRaces::PageBytes);
    ClusterRaces::Page &page = races.page(buffer, offset);
    uint32_t first = uint32_t(offset % ClusterRaces::PageBytes / 4);
    records.clear();
    uint64_t word = offset / 4 * 4, start = word;
    for (; word < stop; word += 4) {
      uint32_t mask = 15;
      if (word < offset)
        mask &= 15u << (offset - word);
      if (word + 4 > stop)
        mask &= 15u >> (word + 4 - stop);
      records.push_back(
          ClusterRaces::make(cluster, warp, a.actor.lane, inst, mask));
    }
    uint64_t pageAddress = buffer.base + start - uint64_t(first) * 4;
    uint32_t count = uint32_t(records.size());
    if (a.isWrite)
      races.write(page, pageAddress, first, count, records.data(), nullptr);
    else if (!ClusterRaces::isSettled(page, first, count, cluster))
      races.read(page, pageAddress, first, count, records.data(),
                 [&](uint32_t i) {
                   return block.worker.shadow->isOwnWrite(
                       buffer, start + i * 4, uint32_t(records[i] & 15));
                 });
    offset = stop;
  }
}

} // namespace

std::byte *ropewalk::emulator::accessGlobal(const Actor &actor,
                                            uint64_t address, uint32_t bytes,
                                            bool isWrite) {
  Block &block = *actor.warp->block;
  DeviceMemory &memory = *block.launch.memory;
  std::string reason;
  Buffer *buffer = memory.findRange(address, bytes, reason);
  if (!buffer) {
    block.failAt(*actor.warp, *actor.inst, ReportKind::OutOfBounds,
                 int(actor.lane), address, reason);
    return nullptr;
  }
  uint64_t offset = address - buffer->base;
  if (buffer->valid && !isWrite &&
      block.launch.options.checkUninitializedMemory &&
      std::memchr(buffer->valid + offset, 0, bytes)) {
    block.failAt(*actor.warp, *actor.inst, ReportKind::UninitializedMemory,
                 int(actor.lane), address, memory.describe(address, bytes));
    return nullptr;
  }
  if (block.worker.shadow && bytes) {
    Conflict conflict;
    Accessor accessor(actor, block.cluster.ordering, isWrite);
    if (!block.worker.shadow->access(accessor, *buffer, offset, bytes,
                                     conflict)) {
      reportConflict(accessor, Space::Global, conflict);
      return nullptr;
    }
    if (block.launch.races)
      recordClusters(accessor, *buffer, offset, bytes);
  }
  // After the record, as in GlobalAccess.cpp.
  if (buffer->valid && isWrite)
    for (uint32_t i = 0; i < bytes; ++i)
      if (!buffer->valid[offset + i])
        buffer->valid[offset + i] = block.launch.validStamp;
  return buffer->data + offset;
}
