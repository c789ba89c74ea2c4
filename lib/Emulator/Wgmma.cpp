//===- Wgmma.cpp - Matrix multiplication by a warpgroup ---------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The registers of operations under way; see Wgmma.h. Only instructions that
// touch a held register pay for the check: their handler is replaced.
//
//===----------------------------------------------------------------------===//

#include "Warpgroup.h"

#include <algorithm>
#include <bit>
#include <unordered_map>
#include <utility>

using namespace ropewalk::emulator;

namespace {

WgmmaState &stateOf(const Warp &warp) {
  return warp.block->warpgroups->warps[warp.index];
}

std::string nameLine(const Inst &inst) {
  return "line " + std::to_string(inst.location.line);
}

bool reportHeld(Warp &warp, const Inst &inst, int lane, const char *verb,
                uint32_t number, uint64_t holder) {
  Block &block = *warp.block;
  const Inst &other = stateOf(warp).operation(holder);
  block.report.other = {int64_t(block.index), int(warp.index), -1,
                        other.location,
                        sourceOf(*block.launch.kernel->module, other)};
  return block.fail(warp, inst, ReportKind::RegisterHazard, lane,
                    std::string(verb) + " register " +
                        block.program.held->names[number] +
                        ", which is in the hands of the wgmma of " +
                        nameLine(other) + " until a wgmma.wait_group");
}

/// Handler of instructions that touch held registers.
bool checkTouch(Warp &warp, const Inst &inst, uint32_t mask) {
  const HeldRegisters &held = *warp.block->program.held;
  const HeldRegisters::Touch &touch = held.touches[inst.id];
  WgmmaState &state = stateOf(warp);
  const uint32_t *list = held.lists.data() + touch.begin;
  for (unsigned i = 0; i < unsigned(touch.reads) + touch.writes; ++i) {
    WgmmaState::Use &use = state.uses[list[i]];
    uint64_t holder = std::max(use.accumulator, use.fragment);
    if (holder > state.completed) [[unlikely]]
      return reportHeld(warp, inst, std::countr_zero(mask),
                        i < touch.reads ? "reads" : "writes", list[i], holder);
    if (!inst.copiesBits || state.hasWaited) {
      use.access = &inst;
      use.accessed = state.now;
    }
  }
  return touch.handler(warp, inst, mask);
}

} // namespace

void ropewalk::emulator::findHeldRegisters(
    Program &program, const std::vector<std::vector<uint32_t>> &reads,
    const std::vector<std::vector<uint32_t>> &writes,
    const std::vector<uint32_t> &rows, const std::vector<std::string> &names) {
  auto held = std::make_shared<HeldRegisters>();
  held->numbers.assign(program.operands.size(), NoRow);
  std::unordered_map<uint32_t, uint32_t> byRow;
  for (const Inst &inst : program.code) {
    if (!inst.holdsRegisters)
      continue;
    for (uint32_t i = inst.extra; i < inst.extra + inst.extraCount; ++i) {
      Ref ref = program.operands[i];
      if (ref.bank == 0)
        held->numbers[i] =
            byRow.insert({ref.offset, uint32_t(byRow.size())}).first->second;
    }
  }
  if (byRow.empty())
    return;
  held->names.resize(byRow.size());
  held->touches.resize(program.code.size());
  for (Inst &inst : program.code) {
    HeldRegisters::Touch touch;
    touch.begin = uint32_t(held->lists.size());
    auto collect = [&](const std::vector<uint32_t> &registers) {
      uint16_t count = 0;
      for (uint32_t index : registers)
        if (auto found = byRow.find(rows[index]); found != byRow.end()) {
          held->names[found->second] = names[index];
          held->lists.push_back(found->second);
          ++count;
        }
      return count;
    };
    touch.reads = collect(reads[inst.id]);
    touch.writes = collect(writes[inst.id]);
    if (inst.holdsRegisters || !inst.handler || touch.reads + touch.writes == 0)
      continue;
    touch.handler = std::exchange(inst.handler, &checkTouch);
    held->touches[inst.id] = touch;
  }
  program.held = std::move(held);
}

bool ropewalk::emulator::issueOperation(Warp &warp,
                                        const WgmmaOperation &operation,
                                        unsigned accumulators, uint32_t shape) {
  Block &block = *warp.block;
  WgmmaState &state = stateOf(warp);
  const HeldRegisters &held = *block.program.held;
  const Inst &inst = *operation.inst;
  if (state.fence == 0)
    return block.fail(warp, inst, ReportKind::RegisterHazard, -1,
                      "is not preceded by a wgmma.fence");
  auto reportUnfenced = [&](uint32_t number, const Inst &other) {
    block.report.other = {int64_t(block.index), int(warp.index), -1,
                          other.location,
                          sourceOf(*block.launch.kernel->module, other)};
    return block.fail(warp, inst, ReportKind::RegisterHazard, -1,
                      "uses register " + held.names[number] + ", which the '" +
                          block.program.opcodes[other.id] + "' of " +
                          nameLine(other) +
                          " has used since the last wgmma.fence");
  };
  uint64_t number = state.issued + 1;
  const uint32_t *numbers = held.numbers.data() + inst.extra;
  for (unsigned i = 0; i < inst.extraCount; ++i) {
    if (numbers[i] == NoRow)
      continue;
    WgmmaState::Use &use = state.uses[numbers[i]];
    if (use.access && use.accessed >= state.fence)
      return reportUnfenced(numbers[i], *use.access);
    bool isAccumulator = i < accumulators;
    uint64_t holder = isAccumulator ? use.fragment : use.accumulator;
    if (holder > state.completed)
      return reportHeld(warp, inst, -1, isAccumulator ? "adds to" : "reads",
                        numbers[i], holder);
    if (!isAccumulator) {
      use.fragment = number;
      continue;
    }
    if (use.adder && use.added >= state.fence && use.shape != shape)
      return reportUnfenced(numbers[i], *use.adder);
    use.accumulator = number;
    use.adder = &inst;
    use.shape = shape;
    use.added = state.now;
  }
  state.issued = number;
  state.pending.push_back(operation);
  return true;
}
