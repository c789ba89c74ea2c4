//===- FlowGraph.cpp - Basic blocks of a kernel -----------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A block ends at a branch, an exit, or before the target of a branch.
//
//===----------------------------------------------------------------------===//

#include "FlowGraph.h"

#include <algorithm>

using namespace ropewalk::emulator;

namespace {

bool endsBlock(const Inst &inst) {
  return inst.kind == InstKind::Branch ||
         inst.kind == InstKind::IndexedBranch || inst.kind == InstKind::Exit;
}

} // namespace

FlowGraph ropewalk::emulator::buildFlowGraph(const Program &program) {
  uint32_t count = uint32_t(program.code.size());
  std::vector<bool> leads(count + 1, false);
  leads[0] = true;
  auto target = [&](int64_t index) {
    return uint32_t(std::min<int64_t>(index, count - 1));
  };
  for (const Inst &inst : program.code) {
    if (!endsBlock(inst))
      continue;
    leads[inst.id + 1] = true;
    if (inst.target >= 0)
      leads[target(inst.target)] = true;
    for (uint32_t other : inst.targets)
      leads[target(other)] = true;
  }
  FlowGraph graph;
  graph.blockOf.resize(count);
  for (uint32_t i = 0; i < count; ++i) {
    if (leads[i])
      graph.starts.push_back(i);
    graph.blockOf[i] = uint32_t(graph.starts.size()) - 1;
  }
  graph.exit = uint32_t(graph.starts.size());
  graph.successors.resize(graph.exit + 1);
  graph.predecessors.resize(graph.exit + 1);
  for (uint32_t block = 0; block < graph.exit; ++block) {
    uint32_t last = graph.end(block) - 1;
    const Inst &inst = program.code[last];
    std::vector<uint32_t> &next = graph.successors[block];
    bool isGuarded = inst.guard != NoRow;
    if (inst.kind == InstKind::Branch)
      next.push_back(graph.blockOf[target(inst.target)]);
    for (uint32_t other : inst.targets)
      next.push_back(graph.blockOf[target(other)]);
    if (inst.kind == InstKind::Exit)
      next.push_back(graph.exit);
    if (!endsBlock(inst) || isGuarded)
      next.push_back(last + 1 < count ? graph.blockOf[last + 1] : graph.exit);
    for (uint32_t successor : next)
      graph.predecessors[successor].push_back(block);
  }
  return graph;
}
