//===- Barrier.cpp - Barriers of a block -----------------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Named barriers count warps, as the hardware does. Every warp that comes
// releases what it knows into the past of the barrier; those that wait take
// that past as their clock.
//
//===----------------------------------------------------------------------===//

#include "Cluster.h"

#include <algorithm>
#include <bit>

using namespace ropewalk::emulator;

namespace {

uint32_t lowest(uint32_t mask) { return uint32_t(std::countr_zero(mask)); }

} // namespace

std::string ropewalk::emulator::hexMask(uint32_t mask) {
  static const char digits[] = "0123456789abcdef";
  std::string text = "0x";
  for (int shift = 28; shift >= 0; shift -= 4)
    text += digits[mask >> shift & 15];
  return text;
}

bool Block::arrive(Warp &warp, const Inst &inst, uint32_t mask) {
  auto value = [&](Ref ref, uint32_t lane) {
    return reinterpret_cast<const uint32_t *>(warp.bank[ref.bank] +
                                              ref.offset)[lane];
  };
  int lane = int(lowest(mask));
  if (mask != warp.live)
    return fail(warp, inst, ReportKind::BarrierDivergence, lane,
                "is reached by lanes " + hexMask(mask) +
                    " of the warp while lanes " + hexMask(warp.live & ~mask) +
                    " are elsewhere");
  uint32_t id = value(inst.op[1], lane);
  uint32_t threads = inst.data & BarrierHasCount ? value(inst.op[2], lane) : 0;
  for (uint32_t rest = mask; rest; rest &= rest - 1) {
    uint32_t other = lowest(rest);
    if (value(inst.op[1], other) != id ||
        (inst.data & BarrierHasCount && value(inst.op[2], other) != threads))
      return fail(warp, inst, ReportKind::BarrierDivergence, int(other),
                  "names different barriers or counts in one warp");
  }
  if (id >= std::size(barriers))
    return fail(warp, inst, ReportKind::BarrierDivergence, lane,
                "names barrier " + std::to_string(id) + " of 16");
  if (inst.data & BarrierHasCount &&
      (threads == 0 || threads % 32 || threads / 32 > warps.size()))
    return fail(warp, inst, ReportKind::BarrierDivergence, lane,
                "expects " + std::to_string(threads) +
                    " threads, which is no multiple of 32 up to those of the "
                    "block's " +
                    std::to_string(warps.size()) + " warps");
  Barrier &barrier = barriers[id];
  uint32_t bit = uint32_t(1) << warp.index;
  if (barrier.arrived == 0) {
    barrier.clear();
    barrier.expected = threads / 32;
  } else if (barrier.expected != threads / 32) {
    return fail(warp, inst, ReportKind::BarrierDivergence, lane,
                "expects " + std::to_string(threads) + " threads at barrier " +
                    std::to_string(id) +
                    ", but warps that came before expect " +
                    std::to_string(barrier.expected * 32) + " (0: all)");
  }
  if (barrier.arrived & bit)
    return fail(warp, inst, ReportKind::BarrierDivergence, lane,
                "arrives at barrier " + std::to_string(id) +
                    " a second time before it completes");
  ++worker.counters.barriers;
  ++cluster.progress;
  barrier.arrived |= bit;
  if (inst.data & (BarrierReduceAnd | BarrierReduceOr | BarrierReducePopc)) {
    uint32_t predicate = warp.predicate(inst.op[3]);
    predicate = inst.data & BarrierNegated ? ~predicate : predicate;
    barrier.trueCount += uint32_t(std::popcount(predicate & mask));
    barrier.laneCount += uint32_t(std::popcount(mask));
  }
  cluster.ordering.release(warp, mask, barrier.past);
  if (inst.data & BarrierArrive) {
    advance(warp);
  } else {
    barrier.waiting |= bit;
    warp.state = Warp::AtBarrier;
    warp.barrierId = id;
  }
  updateBarrier(barrier);
  return true;
}

void Block::advance(Warp &warp) {
  Split &split = warp.splits[warp.current];
  if (++split.pc == split.reconverge)
    leave(warp, warp.current);
}

void Block::updateBarrier(Barrier &barrier) {
  if (barrier.arrived == 0)
    return;
  uint32_t expected = barrier.expected;
  if (expected == 0)
    for (const Warp &warp : warps)
      expected += warp.state != Warp::Done;
  if (uint32_t(std::popcount(barrier.arrived)) < expected)
    return;
  cluster.ordering.completeBarrier(*this, barrier.waiting, barrier.past);
  for (uint32_t rest = barrier.waiting; rest; rest &= rest - 1) {
    Warp &warp = warps[lowest(rest)];
    const Split &split = warp.splits[warp.current];
    const Inst &inst = program.code[split.pc];
    std::byte *row = warp.bank[0] + inst.op[0].offset;
    uint32_t *target = reinterpret_cast<uint32_t *>(row);
    bool isTrue = inst.data & BarrierReduceAnd
                      ? barrier.trueCount == barrier.laneCount
                      : barrier.trueCount > 0;
    if (inst.data & BarrierReducePopc) {
      for (uint32_t lanes = split.mask; lanes; lanes &= lanes - 1)
        target[lowest(lanes)] = barrier.trueCount;
    } else if (inst.data & (BarrierReduceAnd | BarrierReduceOr) &&
               inst.op[0].offset != NoRow) {
      *target = (*target & ~split.mask) | (isTrue ? split.mask : 0);
    }
    warp.state = Warp::Ready;
    advance(warp);
  }
  barrier.clear();
}

void Block::updateBarriers() {
  for (Barrier &barrier : barriers)
    updateBarrier(barrier);
}
