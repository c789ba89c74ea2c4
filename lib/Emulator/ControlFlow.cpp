//===- ControlFlow.cpp - Analyses of the control flow -----------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Post-dominators by the iteration of Cooper, Harvey and Kennedy on the
// reversed graph. Initialization is a forward problem: a register is surely
// initialized where it is so on every path; a move hands on the state of its
// source.
//
//===----------------------------------------------------------------------===//

#include "ControlFlow.h"
#include "FlowGraph.h"

#include <algorithm>

using namespace ropewalk::emulator;

namespace {

/// Immediate post-dominator by block; the exit for those that have none.
std::vector<uint32_t> postDominators(const FlowGraph &graph) {
  // Reverse post-order of the reversed graph, from the exit.
  std::vector<uint32_t> order, number(graph.exit + 1, ~uint32_t(0));
  std::vector<std::pair<uint32_t, size_t>> stack{{graph.exit, 0}};
  std::vector<bool> seen(graph.exit + 1, false);
  seen[graph.exit] = true;
  while (!stack.empty()) {
    auto &[block, edge] = stack.back();
    if (edge < graph.predecessors[block].size()) {
      uint32_t next = graph.predecessors[block][edge++];
      if (!seen[next]) {
        seen[next] = true;
        stack.push_back({next, 0});
      }
    } else {
      number[block] = uint32_t(order.size());
      order.push_back(block);
      stack.pop_back();
    }
  }
  std::vector<uint32_t> result(graph.exit + 1, ~uint32_t(0));
  result[graph.exit] = graph.exit;
  for (bool changed = true; changed;) {
    changed = false;
    for (size_t i = order.size(); i-- > 0;) {
      uint32_t block = order[i];
      if (block == graph.exit)
        continue;
      uint32_t best = ~uint32_t(0);
      for (uint32_t next : graph.successors[block]) {
        if (result[next] == ~uint32_t(0))
          continue;
        if (best == ~uint32_t(0)) {
          best = next;
          continue;
        }
        uint32_t a = best, b = next;
        while (a != b) {
          while (number[a] < number[b])
            a = result[a];
          while (number[b] < number[a])
            b = result[b];
        }
        best = a;
      }
      if (best != result[block]) {
        result[block] = best;
        changed = true;
      }
    }
  }
  return result;
}

} // namespace

void ropewalk::emulator::findReconvergence(Program &program) {
  FlowGraph graph = buildFlowGraph(program);
  std::vector<uint32_t> immediate = postDominators(graph);
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
  while (!work.empty()) {
    uint32_t block = work.back();
    work.pop_back();
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
  for (bool again = true; again;) {
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
