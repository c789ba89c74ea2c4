//===- ClusterRaces.h - Conflicts between clusters --------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Races between the clusters of a launch whose blocks do not communicate: any
// two clusters that touch a word, of which one writes it, unless both write the
// same. Clusters run on several host threads in any order, and yet the finding
// is to be the same for every number of threads.
//
// Let the clusters have run in the order of their index: then the first report
// is about the lowest cluster F that conflicts with a lower one. For each word
// it is enough to keep the lowest cluster that writes it, W, and the two lowest
// that read it: every pair of clusters that could give a word its F consists of
// W and another of these or a second writer, and whichever of a pair comes
// second in time finds the other one there. So conflicts are not reported when
// they are met but collected; the launch goes on until all clusters up to the
// lowest F found so far are done; and of the conflicts of that F the one at the
// lowest address is reported, with the first access of each side to the word.
// A failure of another kind in cluster F itself comes before.
//
// A record has bits for the bytes of the word. Clusters that touch different
// bytes do not conflict; of these, one more than fits goes unseen.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_LIB_EMULATOR_CLUSTERRACES_H
#define ROPEWALK_LIB_EMULATOR_CLUSTERRACES_H

#include "Memory.h"

#include <atomic>
#include <functional>
#include <mutex>
#include <optional>
#include <vector>

namespace ropewalk::emulator {

struct Launch;

class ClusterRaces {
public:
  static constexpr unsigned PageShift = 13;
  static constexpr uint64_t PageBytes = uint64_t(1) << PageShift;
  static constexpr uint32_t PageWords = uint32_t(PageBytes / 4);
  /// Words that are summed up for readers.
  static constexpr uint32_t ChunkWords = 32;

  /// Who touched a word: cluster + 1 (27 bits), warp in the cluster (9), lane
  /// or 32 for several (6), instruction (18), bytes (4). 0 for nobody.
  using Record = uint64_t;
  static constexpr unsigned ClusterShift = 37;
  static constexpr uint64_t MaxClusters = (uint64_t(1) << 27) - 2;
  static Record make(uint64_t cluster, uint32_t warp, uint32_t lane,
                     uint32_t inst, uint32_t bytes) {
    return (cluster + 1) << ClusterShift | uint64_t(warp) << 28 |
           uint64_t(lane) << 22 | uint64_t(inst) << 4 | bytes;
  }
  static uint64_t clusterOf(Record record) {
    return (record >> ClusterShift) - 1;
  }

  struct Page {
    std::mutex mutex;
    // Null until there is a record of the kind.
    std::atomic<Record *> writer{nullptr}, readers[2] = {nullptr, nullptr};
    /// What the writer wrote to each word first, and whether it wrote something
    /// else too or what it wrote is not known.
    uint32_t *values = nullptr;
    uint64_t varied[PageWords / 64] = {};
    /// For each chunk: the greatest cluster + 1 among the second readers of its
    /// words, if all words have whole ones; else 0.
    std::atomic<uint32_t> done[PageWords / ChunkWords] = {};
  };

  /// `isParallel`: several host threads.
  ClusterRaces(const Launch &launch, bool isParallel);
  ~ClusterRaces();

  Page &page(const Buffer &buffer, uint64_t offset);
  /// Makes what a page lacks.
  void addReaders(Page &page, unsigned slot);
  void addWriter(Page &page);

  /// Whether a read by the cluster of words of the page adds nothing: they are
  /// read by two lower clusters, or have been by itself, and nobody else has
  /// written them.
  static bool isSettled(const Page &page, uint32_t first, uint32_t count,
                        uint64_t cluster);
  /// A cluster reads or writes `count` words of a page, from `first` on; word i
  /// by `records[i]`. `address` is that of the page. `isOwnWrite` says whether
  /// the cluster has written word i itself, so that it reads what it wrote.
  /// Returns the index of the first word that a higher cluster has written, or
  /// `count`.
  uint32_t read(Page &page, uint64_t address, uint32_t first, uint32_t count,
                const Record *records,
                const std::function<bool(uint32_t)> &isOwnWrite);
  /// `values[i]` is what the store writes to word i, if `values` is not null.
  void write(Page &page, uint64_t address, uint32_t first, uint32_t count,
             const Record *records, const uint32_t *values);

  const bool isParallel;

  /// Clusters from this one on need not run any more.
  uint64_t limit() const { return lowest.load(std::memory_order_relaxed) + 1; }
  /// The lowest cluster with a conflict.
  uint64_t failing() const { return lowest.load(); }
  /// The report of that conflict.
  Report report() const;
  /// The report of a read by `cluster` of bytes that it found uninitialized, if
  /// a lower cluster writes them; else none.
  std::optional<Report> reportOfRead(uint64_t cluster, const Report &read);

private:
  struct Side {
    Record record = 0;
    bool isWrite = false;
  };
  /// `address` is that of the word.
  void collect(uint64_t address, Side a, Side b);
  Report makeReport(uint64_t address, const Side &high, const Side &low) const;

  const Launch &launch;
  struct Table {
    std::atomic<std::atomic<Page *> *> pages{nullptr};
    size_t count = 0;
  };
  std::vector<Table> tables; ///< By buffer.
  std::mutex mutex;
  std::atomic<uint64_t> lowest;
  uint64_t address = 0;
  Side high, low;
};

} // namespace ropewalk::emulator

#endif // ROPEWALK_LIB_EMULATOR_CLUSTERRACES_H
