//===- ControlFlow.cpp - Analyses of the control flow -----------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Post-dominators by the algorithm of Lengauer and Tarjan with path
// compression, whose time is bounded for every graph. Initialization is a
// forward problem: a register is surely initialized where it is so on every
// path; a move hands on the state of its source.
//
//===----------------------------------------------------------------------===//

#include "ControlFlow.h"
#include "FlowGraph.h"

#include <algorithm>

using namespace ropewalk::emulator;

namespace {

constexpr uint32_t None = ~uint32_t(0);

/// Immediate post-dominator by block: the dominators of the reversed graph.
/// None for blocks that never come to the exit.
class PostDominators {
public:
  explicit PostDominators(const FlowGraph &graph) : graph(graph) { search(); }

  std::vector<uint32_t> run() {
    // In numbers of the search, from here on.
    uint32_t count = uint32_t(order.size());
    std::vector<uint32_t> dominator(count, 0);
    std::vector<std::vector<uint32_t>> bucket(count);
    for (uint32_t w = count; w-- > 1;) {
      for (uint32_t next : graph.successors[order[w]])
        if (number[next] != None)
          semi[w] = std::min(semi[w], semi[evaluate(number[next])]);
      bucket[semi[w]].push_back(w);
      ancestor[w] = parent[w];
      for (uint32_t v : bucket[parent[w]]) {
        uint32_t u = evaluate(v);
        dominator[v] = semi[u] < semi[v] ? u : parent[w];
      }
      bucket[parent[w]].clear();
    }
    std::vector<uint32_t> result(graph.exit + 1, None);
    result[graph.exit] = graph.exit;
    for (uint32_t w = 1; w < count; ++w) {
      if (dominator[w] != semi[w])
        dominator[w] = dominator[dominator[w]];
      result[order[w]] = order[dominator[w]];
    }
    return result;
  }

private:
  /// Depth first from the exit, against the edges.
  void search() {
    number.assign(graph.exit + 1, None);
    std::vector<std::pair<uint32_t, size_t>> stack;
    auto visit = [&](uint32_t block, uint32_t from) {
      number[block] = uint32_t(order.size());
      order.push_back(block);
      parent.push_back(from);
      stack.push_back({block, 0});
    };
    visit(graph.exit, 0);
    while (!stack.empty()) {
      auto &[block, edge] = stack.back();
      if (edge == graph.predecessors[block].size()) {
        stack.pop_back();
        continue;
      }
      uint32_t from = number[block];
      if (uint32_t next = graph.predecessors[block][edge++];
          number[next] == None)
        visit(next, from);
    }
    ancestor.assign(order.size(), None);
    for (uint32_t i = 0; i < order.size(); ++i) {
      semi.push_back(i);
      label.push_back(i);
    }
  }

  /// The node with the least semidominator on the way up to the root of the
  /// forest, which is not part of it. Halves the ways that it goes.
  uint32_t evaluate(uint32_t v) {
    if (ancestor[v] == None)
      return v;
    path.clear();
    for (uint32_t u = v; ancestor[ancestor[u]] != None; u = ancestor[u])
      path.push_back(u);
    while (!path.empty()) {
      uint32_t u = path.back(), above = ancestor[u];
      path.pop_back();
      if (semi[label[above]] < semi[label[u]])
        label[u] = label[above];
      ancestor[u] = ancestor[above];
    }
    return label[v];
  }

  const FlowGraph &graph;
  std::vector<uint32_t> order, parent; ///< By number.
  std::vector<uint32_t> number;        ///< By block; None if not reached.
  std::vector<uint32_t> semi, label, ancestor, path;
};

} // namespace

void ropewalk::emulator::findReconvergence(Program &program) {
  FlowGraph graph = buildFlowGraph(program);
  std::vector<uint32_t> immediate = PostDominators(graph).run();
  for (Inst &inst : program.code) {
    if (inst.kind != InstKind::Branch && inst.kind != InstKind::IndexedBranch)
      continue;
    uint32_t meet = immediate[graph.blockOf[inst.id]];
    inst.reconverge = meet >= graph.exit ? -1 : int32_t(graph.starts[meet]);
  }
}

void ropewalk::emulator::findUninitialized(
    Program &program, const std::vector<std::vector<uint32_t>> &reads,
    const std::vector<std::vector<uint32_t>> &writes,
    const std::vector<std::string> &names) {
  FlowGraph graph = buildFlowGraph(program);
  size_t words = (names.size() + 63) / 64;
  using Bits = std::vector<uint64_t>;
  // Where the analysis takes too much, every register that is read is in doubt.
  constexpr uint64_t maxWords = uint64_t(1) << 24, maxSteps = uint64_t(1) << 28;
  bool isKnown = graph.exit * uint64_t(words) <= maxWords;
  uint64_t steps = 0;
  if (!isKnown)
    words = 0;
  // Sets of surely initialized registers at the start of each block.
  std::vector<Bits> in(graph.exit, Bits(words, ~uint64_t(0)));
  std::vector<bool> reached(graph.exit, false);
  std::fill(in[0].begin(), in[0].end(), 0);
  auto test = [](const Bits &bits, uint32_t index) {
    return bits[index / 64] >> (index % 64) & 1;
  };
  auto apply = [&](uint32_t id, Bits &state) {
    const Inst &inst = program.code[id];
    bool isClean = true;
    if (inst.copiesBits)
      for (uint32_t source : reads[id])
        isClean &= test(state, source) != 0;
    for (uint32_t target : writes[id]) {
      uint64_t bit = uint64_t(1) << (target % 64);
      if (inst.copiesBits && !isClean && inst.guard == NoRow)
        state[target / 64] &= ~bit;
      else if (isClean && inst.guard == NoRow)
        state[target / 64] |= bit;
      else if (!isClean)
        state[target / 64] &= ~bit;
    }
  };
  std::vector<uint32_t> work{0};
  reached[0] = true;
  while (isKnown && !work.empty()) {
    uint32_t block = work.back();
    work.pop_back();
    steps += (words + 1) * (graph.successors[block].size() + 1) +
             (graph.end(block) - graph.starts[block]);
    isKnown = steps <= maxSteps;
    Bits state = in[block];
    for (uint32_t id = graph.starts[block]; id < graph.end(block); ++id)
      apply(id, state);
    for (uint32_t next : graph.successors[block]) {
      if (next == graph.exit)
        continue;
      bool changed = !reached[next];
      reached[next] = true;
      for (size_t i = 0; i < words; ++i) {
        uint64_t merged = in[next][i] & state[i];
        changed |= merged != in[next][i];
        in[next][i] = merged;
      }
      if (changed)
        work.push_back(next);
    }
  }
  // A register is tracked if some read or copy meets it in doubt.
  std::vector<uint32_t> number(names.size(), ~uint32_t(0));
  auto track = [&](uint32_t index) {
    if (number[index] != ~uint32_t(0))
      return;
    number[index] = program.trackedCount++;
    program.trackedNames.push_back(names[index]);
  };
  for (size_t id = 0; !isKnown && id < reads.size(); ++id) {
    for (uint32_t index : reads[id])
      track(index);
    if (program.code[id].copiesBits)
      for (uint32_t index : writes[id])
        track(index);
  }
  for (bool again = isKnown; again;) {
    again = false;
    uint32_t before = program.trackedCount;
    for (uint32_t block = 0; block < graph.exit; ++block) {
      if (!reached[block])
        continue;
      Bits state = in[block];
      for (uint32_t id = graph.starts[block]; id < graph.end(block); ++id) {
        bool copiesDoubt = false;
        for (uint32_t index : reads[id])
          if (!test(state, index)) {
            track(index);
            copiesDoubt |= program.code[id].copiesBits;
          }
        if (copiesDoubt)
          for (uint32_t index : writes[id])
            track(index);
        apply(id, state);
      }
    }
    again = program.trackedCount != before;
  }
  if (program.trackedCount == 0)
    return;
  for (Inst &inst : program.code) {
    inst.trackBegin = uint32_t(program.tracked.size());
    size_t firm = reads[inst.id].size() - inst.optionalReads;
    for (size_t i = 0; i < reads[inst.id].size(); ++i)
      if (uint32_t tracked = number[reads[inst.id][i]];
          tracked != ~uint32_t(0)) {
        program.tracked.push_back(tracked);
        ++inst.trackReads;
        inst.trackOptional += i >= firm;
      }
    for (uint32_t index : writes[inst.id])
      if (number[index] != ~uint32_t(0)) {
        program.tracked.push_back(number[index]);
        ++inst.trackWrites;
      }
  }
}
