//===- Warpgroup.cpp - Four warps that act as one ---------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// See Warpgroup.h.
//
//===----------------------------------------------------------------------===//

#include "Warpgroup.h"

#include <algorithm>

using namespace ropewalk::emulator;

namespace {

/// What a thread of the chip has when the kernel starts, from its bounds. They
/// only say what there is room for; the assembler knows what setmaxnreg needs
/// and gives a thread no more than an increase asks for.
uint32_t registersFromBounds(const Launch &launch) {
  constexpr uint64_t registersOfProcessor = 65536, mostOfThread = 256;
  const KernelInfo &info = launch.kernel->info;
  if (launch.options.registersPerThread)
    return launch.options.registersPerThread;
  if (info.maxRegisters)
    return info.maxRegisters;
  uint64_t threads = info.requiredThreads.count() ? info.requiredThreads.count()
                                                  : info.maxThreads.count();
  if (threads == 0)
    return 0;
  threads = (threads + 31) / 32 * 32;
  threads *= std::max<uint64_t>(info.minBlocksPerMultiprocessor, 1);
  uint32_t most =
      uint32_t(std::min(registersOfProcessor / threads, mostOfThread) & ~7);
  uint32_t least = launch.program->mostDecrease;
  return std::max(least, std::min(most, launch.program->leastIncrease));
}

} // namespace

void ropewalk::emulator::startWarpgroups(Block &block) {
  block.warpgroups = std::make_shared<Warpgroups>();
  Warpgroups &table = *block.warpgroups;
  size_t warps = block.warps.size();
  table.groups.resize((warps + GroupWarps - 1) / GroupWarps);
  table.warps.resize(warps);
  if (block.program.held)
    for (WgmmaState &state : table.warps)
      state.uses.resize(block.program.held->names.size());
  table.initialRegisters = registersFromBounds(block.launch);
  table.registers.assign(warps, table.initialRegisters);
}

bool ropewalk::emulator::stepWarpgroup(Warp &warp, const Inst &inst,
                                       const WgmmaOperation &operation) {
  Block &block = *warp.block;
  Warpgroup &group = block.warpgroups->groups[warp.index / GroupWarps];
  auto fail = [&](const std::string &detail) {
    return block.fail(warp, inst, ReportKind::WarpSync, -1, detail);
  };
  uint32_t base = warp.index / GroupWarps * GroupWarps;
  if (base + GroupWarps > block.warps.size())
    return fail("needs a warpgroup of 4 warps, but the block has only " +
                std::to_string(block.warps.size() - base) + " from warp " +
                std::to_string(base) + " on");
  uint64_t &position = group.position[warp.index - base];
  size_t place = size_t(position - group.first);
  if (place == group.steps.size()) {
    for (uint32_t i = 0; i < GroupWarps; ++i)
      if (block.warps[base + i].state == Warp::Done)
        return fail("is executed after warp " + std::to_string(base + i) +
                    " of its warpgroup has exited");
    group.steps.push_back(
        {&inst, warp.index, operation.a, operation.b, operation.accumulates});
  } else {
    const Warpgroup::Step &step = group.steps[place];
    std::string other = "warp " + std::to_string(step.warp);
    if (step.inst != &inst) {
      block.report.other = {int64_t(block.index), int(step.warp), -1,
                            step.inst->location,
                            sourceOf(*block.launch.kernel->module, *step.inst)};
      return fail("is executed where " + other +
                  " of its warpgroup executes '" +
                  block.program.opcodes[step.inst->id] + "' of line " +
                  std::to_string(step.inst->location.line));
    }
    if (step.a != operation.a || step.b != operation.b)
      return fail("has other matrix descriptors than in " + other +
                  " of its warpgroup");
    if (step.accumulates != operation.accumulates)
      return fail("has another scale-d than in " + other + " of its warpgroup");
  }
  ++position;
  while (!group.steps.empty() &&
         *std::min_element(group.position, group.position + GroupWarps) >
             group.first) {
    group.steps.pop_front();
    ++group.first;
  }
  return true;
}

bool ropewalk::emulator::leaveWarpgroup(Warp &warp) {
  Block &block = *warp.block;
  Warpgroup &group = block.warpgroups->groups[warp.index / GroupWarps];
  uint64_t position = group.position[warp.index % GroupWarps];
  if (position == group.first + group.steps.size())
    return true;
  const Warpgroup::Step &step = group.steps[size_t(position - group.first)];
  return block.fail(block.warps[step.warp], *step.inst, ReportKind::WarpSync,
                    -1,
                    "is not executed by warp " + std::to_string(warp.index) +
                        " of the warpgroup, which has exited");
}

std::string ropewalk::emulator::describeRegisterWait(const Warp &warp,
                                                     const Inst &inst) {
  const Block &block = *warp.block;
  if (!inst.movesRegisters)
    return {};
  const Warpgroups &groups = *block.warpgroups;
  return "waits for " + std::to_string(inst.data) +
         " registers a thread, has " +
         std::to_string(groups.registers[warp.index]) +
         ", and nobody is left who could add to the pool of " +
         std::to_string(groups.pool) + " registers";
}
