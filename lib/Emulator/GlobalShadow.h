//===- GlobalShadow.h - Races in global memory ------------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What one host thread knows of accesses to global memory, by pages that are
// made on first use. A cell, of 4 bytes or less like those of shared memory
// (SharedMemory.h), has one record for each of some layers: the last weak
// write, two weak reads and two strong writes of different planes, and the last
// strong read. The rules of conflict are those of shared memory. Of more than
// two readers that nothing orders with each other, the first two are kept: a
// later writer that is one of them meets the other.
//
// Where blocks do not communicate, the next cluster takes over the pages, whose
// records are older than its start and say nothing; conflicts between clusters
// are the matter of ClusterRaces.h. Where they do, clusters run interleaved on
// one host thread: a record names its cluster, and the order between clusters
// is found through the flags that they have met at (GlobalOrder). A write that
// the async proxy reads in another cluster is not checked for a proxy fence.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_LIB_EMULATOR_GLOBALSHADOW_H
#define ROPEWALK_LIB_EMULATOR_GLOBALSHADOW_H

#include "Memory.h"
#include "RaceReport.h"

#include <memory>
#include <unordered_map>

namespace ropewalk::emulator {

class GlobalOrder;

class GlobalShadow {
public:
  static constexpr unsigned PageShift = 13;
  static constexpr uint64_t PageBytes = uint64_t(1) << PageShift;

  enum LayerKind : uint8_t {
    Write,
    Read,
    OtherRead,
    StrongWrite,
    OtherStrongWrite,
    StrongRead,
    LayerKinds
  };
  struct Layer {
    std::vector<Time> time;
    std::vector<uint32_t> lanes, tag;
    std::vector<uint32_t> cluster; ///< Linear index + 1, if they communicate.

    bool isUsed() const { return !time.empty(); }
  };
  struct Record {
    uint32_t cluster = 0;
    Time time = 0;
    uint32_t lanes = 0, tag = 0;
  };
  struct Page {
    uint32_t shift = 2; ///< Bytes of a cell are 1 << shift.
    Layer layers[LayerKinds];
    std::unordered_map<uint32_t, std::vector<Record>> several;
  };

  /// `order` is null if clusters do not communicate.
  explicit GlobalShadow(GlobalOrder *order) : order(order) {}

  /// A cluster starts.
  void start(const Ordering &ordering);
  /// The page of the offset in the buffer.
  Page &page(const Buffer &buffer, uint64_t offset) {
    if (buffer.index < tables.size()) [[likely]] {
      auto &table = tables[buffer.index];
      uint64_t number = offset >> PageShift;
      if (number < table.size() && table[number]) [[likely]]
        return *table[number];
    }
    return addPage(buffer, offset);
  }
  /// The layer, with its cells.
  Layer &use(Page &page, LayerKind kind) {
    Layer &layer = page.layers[kind];
    return layer.isUsed() ? layer : addLayer(page, kind);
  }
  void refine(Page &page, uint64_t addressAndBytes);

  /// Checks an access of the buffer's bytes from `offset` on and records it.
  /// False on a conflict.
  bool access(const Accessor &a, const Buffer &buffer, uint64_t offset,
              uint32_t bytes, Conflict &conflict);
  /// Whether the present cluster has itself written all bytes in the mask of
  /// the word at `offset`. For clusters that do not communicate.
  bool isOwnWrite(const Buffer &buffer, uint64_t offset, uint32_t mask);
  /// Appends the distinct writes that the bytes hold, as far as the clusters
  /// that run can know of them.
  void listWrites(const Ordering &ordering, const Buffer &buffer,
                  uint64_t offset, uint32_t bytes, std::vector<Record> &list);

  GlobalOrder *const order;

private:
  Page &addPage(const Buffer &buffer, uint64_t offset);
  void recycle();
  Layer &addLayer(Page &page, LayerKind kind);
  Record at(const Page &page, LayerKind kind, uint32_t cell) const;
  Standing standing(const Accessor &a, const Record &record, bool wrote,
                    bool any) const;
  bool isStrongPair(const Accessor &a, const Record &record) const;
  bool checkLayer(const Accessor &a, const Page &page, LayerKind kind,
                  uint32_t cell, Conflict &conflict) const;
  bool checkCell(const Accessor &a, const Page &page, uint32_t cell,
                 const std::byte *present, bool &isSame,
                 Conflict &conflict) const;
  bool checkRange(const Accessor &a, const Page &page, uint32_t first,
                  uint32_t count) const;
  void put(Page &page, LayerKind kind, uint32_t cell, const Record &record);
  void record(const Accessor &a, Page &page, uint32_t cell, bool isSame);

  std::vector<std::vector<Page *>> tables; ///< By buffer.
  std::vector<std::unique_ptr<Page>> pages;
  /// Where pages are in `tables`, and those that are not, by shift.
  std::vector<std::pair<uint32_t, uint64_t>> places;
  std::vector<Page *> spare[3];
  size_t bytesUsed = 0;
  Time lastStart = 0;
};

} // namespace ropewalk::emulator

#endif // ROPEWALK_LIB_EMULATOR_GLOBALSHADOW_H
