//===- RegisterRows.cpp - Rows of the register file -------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Liveness by block, then a linear scan over the order of the code: a register
// owns its row from the first to the last instruction where it is live. Each
// lane follows one path through the code and writes only its own part of a row,
// so what holds for one thread holds for a warp that has diverged.
//
//===----------------------------------------------------------------------===//

#include "RegisterRows.h"
#include "FlowGraph.h"

#include <algorithm>
#include <map>
#include <queue>

using namespace ropewalk::emulator;

namespace {

/// Bits of all sets of a function beyond which every register gets its own row:
/// sharing is not worth the memory of the analysis then.
constexpr uint64_t MaxBits = uint64_t(1) << 29;
/// Words of sets that the analysis looks at before it gives up likewise: flow
/// graphs that no compiler makes need many rounds.
constexpr uint64_t MaxSteps = uint64_t(1) << 28;

using Lists = std::vector<std::vector<uint32_t>>;

struct Interval {
  uint32_t first = ~uint32_t(0), last = 0;

  void extend(uint32_t from, uint32_t to) {
    first = std::min(first, from);
    last = std::max(last, to);
  }
  bool isEmpty() const { return first > last; }
};

/// Empty if it takes too long.
std::vector<Interval> findIntervals(const Program &program,
                                    const FlowGraph &graph, const Lists &reads,
                                    const Lists &writes, size_t count) {
  size_t words = (count + 63) / 64;
  using Bits = std::vector<uint64_t>;
  auto test = [](const Bits &bits, uint32_t index) {
    return bits[index / 64] >> (index % 64) & 1;
  };
  auto set = [](Bits &bits, uint32_t index) {
    bits[index / 64] |= uint64_t(1) << (index % 64);
  };
  std::vector<Bits> uses(graph.exit, Bits(words)), kills(uses), in(uses);
  std::vector<Interval> intervals(count);
  for (uint32_t block = 0; block < graph.exit; ++block)
    for (uint32_t id = graph.starts[block]; id < graph.end(block); ++id) {
      for (uint32_t index : reads[id]) {
        if (!test(kills[block], index))
          set(uses[block], index);
        intervals[index].extend(id, id);
      }
      for (uint32_t index : writes[id]) {
        intervals[index].extend(id, id);
        // A write under a guard leaves the other lanes' value alive.
        if (program.code[id].guard != NoRow) {
          if (!test(kills[block], index))
            set(uses[block], index);
        } else {
          set(kills[block], index);
        }
      }
    }
  std::vector<uint32_t> work;
  std::vector<bool> queued(graph.exit, true);
  for (uint32_t block = 0; block < graph.exit; ++block)
    work.push_back(block);
  Bits out(words);
  auto collect = [&](uint32_t block) {
    std::fill(out.begin(), out.end(), 0);
    for (uint32_t next : graph.successors[block])
      if (next != graph.exit)
        for (size_t i = 0; i < words; ++i)
          out[i] |= in[next][i];
  };
  uint64_t steps = 0;
  while (!work.empty()) {
    uint32_t block = work.back();
    work.pop_back();
    queued[block] = false;
    steps += (words + 1) * (graph.successors[block].size() + 1);
    if (steps > MaxSteps)
      return {};
    collect(block);
    bool changed = false;
    for (size_t i = 0; i < words; ++i) {
      uint64_t value = uses[block][i] | (out[i] & ~kills[block][i]);
      changed |= value != in[block][i];
      in[block][i] = value;
    }
    if (changed)
      for (uint32_t before : graph.predecessors[block])
        if (!queued[before]) {
          queued[before] = true;
          work.push_back(before);
        }
  }
  auto forBits = [&](const Bits &bits, auto function) {
    for (size_t i = 0; i < words; ++i)
      for (uint64_t rest = bits[i]; rest; rest &= rest - 1)
        function(uint32_t(i * 64) + uint32_t(__builtin_ctzll(rest)));
  };
  for (uint32_t block = 0; block < graph.exit; ++block) {
    uint32_t first = graph.starts[block], last = graph.end(block) - 1;
    forBits(in[block],
            [&](uint32_t index) { intervals[index].extend(first, first); });
    collect(block);
    forBits(out, [&](uint32_t index) { intervals[index].extend(last, last); });
  }
  return intervals;
}

} // namespace

std::vector<uint32_t> ropewalk::emulator::assignRows(
    const Program &program, const Lists &reads, const Lists &writes,
    const std::vector<RowRequest> &registers, uint32_t &totalBytes) {
  FlowGraph graph = buildFlowGraph(program);
  std::vector<Interval> intervals;
  uint64_t bits = uint64_t(graph.exit) * 3 * registers.size();
  bool shares = bits < MaxBits;
  if (shares) {
    intervals = findIntervals(program, graph, reads, writes, registers.size());
    shares = intervals.size() == registers.size();
  }
  std::vector<uint32_t> rows(registers.size(), 0);
  uint64_t end = 0;
  auto fresh = [&](uint32_t bytes) {
    uint64_t offset = end;
    end += bytes;
    return uint32_t(offset);
  };
  std::vector<uint32_t> order;
  for (uint32_t i = 0; i < registers.size(); ++i) {
    if (!shares || registers[i].isPinned)
      rows[i] = fresh(registers[i].bytes);
    else if (!intervals[i].isEmpty())
      order.push_back(i);
  }
  std::sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
    return intervals[a].first < intervals[b].first;
  });
  // Rows in use by their last instruction; free ones by the size of their
  // lanes, the latest first.
  using Used = std::pair<uint32_t, uint32_t>;
  std::priority_queue<Used, std::vector<Used>, std::greater<>> used;
  std::map<uint32_t, std::vector<uint32_t>> free;
  for (uint32_t index : order) {
    const Interval &interval = intervals[index];
    // A row whose last reader is this instruction stays taken: handlers may
    // write a result before they have read all operands.
    while (!used.empty() && used.top().first < interval.first) {
      uint32_t done = used.top().second;
      used.pop();
      free[registers[done].laneBytes].push_back(rows[done]);
    }
    std::vector<uint32_t> &spare = free[registers[index].laneBytes];
    if (spare.empty()) {
      rows[index] = fresh(registers[index].bytes);
    } else {
      rows[index] = spare.back();
      spare.pop_back();
    }
    used.push({interval.last, index});
  }
  totalBytes = uint32_t(std::min<uint64_t>(end, ~uint32_t(0)));
  return rows;
}
