//===- Cluster.cpp - Blocks that run together -------------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Warps run in rounds, each for one turn. Without a seed the order is fixed and
// turns are long; a seed shuffles each round and draws the length of each turn.
// When a round lets nobody go on, asynchronous operations complete early; when
// there are none left, nobody ever will: a deadlock, reported with the place
// where each warp waits.
//
//===----------------------------------------------------------------------===//

#include "Cluster.h"
#include "MemoryAccess.h"
#include "Warpgroup.h"

#include <algorithm>
#include <bit>

using namespace ropewalk::emulator;

namespace {

/// Warp instructions of one turn. Turns end, so that a warp which waits for
/// another in a loop does not keep it from running.
constexpr uint64_t Turn = 4096;
/// Longest turn under a seed: short turns interleave more finely.
constexpr uint64_t SeededTurn = 64;

/// Of a load or an atomic operation that the warp is about to repeat, for the
/// lowest lane that does.
uint64_t polledAddress(const Warp &warp, const Inst &load) {
  const Split &split = warp.splits[size_t(warp.current)];
  uint32_t lanes = split.mask ? split.mask : warp.live;
  size_t lane = size_t(std::countr_zero(lanes ? lanes : 1));
  const std::byte *row = warp.bank[load.op[0].bank] + load.op[0].offset;
  if (load.data & ROPEWALK_EMULATOR_ISA::MemoryNarrowBase)
    return uint64_t(reinterpret_cast<const uint32_t *>(row)[lane]) +
           uint64_t(load.offset);
  return reinterpret_cast<const uint64_t *>(row)[lane] + uint64_t(load.offset);
}

} // namespace

Cluster::Cluster(const Launch &launch, Worker &worker)
    : launch(launch), worker(worker) {
  for (uint32_t rank = 0; rank < launch.cluster.count(); ++rank)
    blocks.push_back(std::make_unique<Block>(*this, rank));
}

void Cluster::start(uint64_t linear) {
  index = linear;
  const Dim3 &size = launch.cluster;
  uint64_t across = launch.grid.x / size.x, down = launch.grid.y / size.y;
  Dim3 place{uint32_t(index % across), uint32_t(index / across % down),
             uint32_t(index / across / down)};
  uint64_t seed = launch.options.scheduleSeed;
  random.state = seed + index * 0x632be59bd9b4e019;
  async.reset(seed ? random.next() | 1 : 0);
  barrier = ClusterBarrier();
  lastStore = nullptr;
  progress = executed = 0;
  uint32_t warpCount = uint32_t((launch.block.count() + 31) / 32);
  ordering.reset(uint32_t(blocks.size()) * warpCount * 32, launch.program->egos,
                 launch.options.checkRaces);
  sync.reset(index, worker.order.get());
  if (worker.shadow)
    worker.shadow->start(ordering);
  if (!worker.order)
    worker.tensorMapFences.clear();
  order.clear();
  for (uint32_t rank = 0; rank < blocks.size(); ++rank) {
    Dim3 inside{rank % size.x, rank / size.x % size.y, rank / size.x / size.y};
    Block &block = *blocks[rank];
    block.clusterPosition = inside;
    block.start({place.x * size.x + inside.x, place.y * size.y + inside.y,
                 place.z * size.z + inside.z});
    for (Warp &warp : block.warps)
      order.push_back(&warp);
  }
}

bool Cluster::runWarp(Warp &warp, Round &round) {
  Block &block = *warp.block;
  round.anyLeft |= warp.state != Warp::Done;
  if (warp.state != Warp::Ready)
    return true;
  warp.isBlocked = false;
  uint64_t turn =
      launch.options.scheduleSeed ? 1 + random.below(SeededTurn) : Turn;
  uint64_t before = block.executed;
  Block::WarpStatus status = block.runWarp(warp, turn);
  executed += block.executed - before;
  if (status == Block::WarpFailed)
    return false;
  round.anyReady |= !warp.isBlocked;
  // A poll ends the turn early. Under a seed many turns end before they come to
  // it, so what counts is that nothing has changed since the warp polled.
  if (status == Block::WarpYielded && block.executed - before < turn)
    warp.vainAt = progress;
  round.onlyPolls &= warp.isBlocked || warp.vainAt == progress;
  if (warp.state == Warp::Done) {
    ++progress;
    block.updateBarriers();
    if (block.hasExited() && !block.checkExit(warp))
      return false;
  }
  if (block.executed <= launch.options.instructionBudget)
    return true;
  const Inst &inst =
      block.program.code[size_t(warp.splits[size_t(warp.current)].pc)];
  return block.fail(warp, inst, ReportKind::InstructionBudget, -1,
                    "is where the block has used up its budget of " +
                        std::to_string(launch.options.instructionBudget) +
                        " warp instructions");
}

bool Cluster::runRound(Round &round) {
  if (launch.options.scheduleSeed)
    for (size_t i = order.size(); i > 1; --i)
      std::swap(order[i - 1], order[random.below(i)]);
  for (Warp *warp : order)
    if (!runWarp(*warp, round))
      return false;
  return async.advance();
}

Cluster::Status Cluster::run(uint64_t quantum) {
  uint64_t end = executed + quantum;
  while (true) {
    uint64_t before = progress;
    Round round;
    if (!runRound(round))
      return Failed;
    if (!round.anyLeft) {
      while (!async.isEmpty())
        if (!async.completeNext())
          return Failed;
      return Finished;
    }
    if (progress == before && (!round.anyReady || round.onlyPolls)) {
      if (!async.isEmpty()) {
        if (!async.completeNext())
          return Failed;
        continue;
      }
      if (round.anyReady)
        return Idle;
      reportDeadlock();
      return Failed;
    }
    if (executed >= end)
      return Yielded;
  }
}

const Report &Cluster::report() const {
  for (const auto &block : blocks)
    if (block->report.block >= 0)
      return block->report;
  return blocks[0]->report;
}

void Cluster::reportDeadlock() {
  Block *first = nullptr;
  std::string list;
  for (const auto &block : blocks)
    for (const Warp &warp : block->warps) {
      if (warp.state == Warp::Done)
        continue;
      const Inst &inst =
          block->program.code[size_t(warp.splits[size_t(warp.current)].pc)];
      std::string place = "line " + std::to_string(inst.location.line);
      std::string what;
      ReportKind kind = ReportKind::Deadlock;
      const Inst *at = &inst;
      uint64_t address = 0;
      const Mbarrier *polled =
          warp.poll.inst ? warp.poll.owner->mbarriers.find(warp.poll.offset)
                         : nullptr;
      if (warp.state == Warp::Ready && !warp.isBlocked && polled) {
        what = "waits for " + warp.poll.text() + " of the mbarrier at offset " +
               std::to_string(polled->offset) +
               (warp.poll.owner == block.get()
                    ? std::string()
                    : " of block " + std::to_string(warp.poll.owner->index)) +
               ", which is in " + polled->state() +
               " and nobody is left who could complete it";
        place = "polls at '" + block->program.opcodes[warp.poll.inst->id] +
                "', line " + std::to_string(warp.poll.inst->location.line) +
                ": waits for " + warp.poll.text() +
                " of the mbarrier at offset " + std::to_string(polled->offset) +
                ", in " + polled->state();
      } else if (warp.state == Warp::AtBarrier) {
        const Barrier &barrier = block->barriers[warp.barrierId];
        place =
            "waits at barrier " + std::to_string(warp.barrierId) + ", " + place;
        what = "waits at barrier " + std::to_string(warp.barrierId) + " with " +
               std::to_string(std::popcount(barrier.arrived)) + " of " +
               std::to_string(barrier.expected) +
               " warps there and nobody left who could come";
      } else {
        place = std::string(warp.isBlocked ? "waits" : "polls") + " at '" +
                block->program.opcodes[inst.id] + "', " + place;
        what = describeRegisterWait(warp, inst);
        const Inst *load = warp.isBlocked ? nullptr : sync.polled(warp);
        if (!what.empty()) {
          kind = ReportKind::RegisterBudget;
        } else if (load) {
          at = load;
          address = polledAddress(warp, *load);
          what = "polls a value that nobody is left to change";
          place = "polls at '" + block->program.opcodes[load->id] + "', line " +
                  std::to_string(load->location.line) + ": address " +
                  hex(address);
        } else {
          what = "waits for something that nobody is left to do";
        }
      }
      // Others wait for the warp that waits for registers.
      if (!first || (kind == ReportKind::RegisterBudget &&
                     first->report.kind != ReportKind::RegisterBudget)) {
        if (first)
          first->report = Report();
        first = block.get();
        if (at == &inst)
          block->fail(warp, polled ? *warp.poll.inst : inst, kind, -1, what);
        else
          block->failAt(warp, *at, kind, -1, address, what);
      }
      list +=
          "\n  " +
          (blocks.size() > 1 ? "block " + std::to_string(block->index) + ", "
                             : std::string()) +
          "warp " + std::to_string(warp.index) + " " + place;
    }
  if (first)
    first->report.detail += list;
}

void Cluster::updateBarrier() {
  for (const auto &block : blocks)
    for (const Warp &warp : block->warps) {
      // Nobody is a phase ahead: lanes that have arrived have not waited.
      if (warp.live & ~warp.clusterArrived)
        return;
      for (uint32_t rest = warp.live; rest; rest &= rest - 1)
        if (warp.clusterWaits[std::countr_zero(rest)] != barrier.phase)
          return; // Arrived in the previous phase.
    }
  ++barrier.phase;
  barrier.past[barrier.phase & 1].clear();
  barrier.relaxed[barrier.phase & 1].clear();
  barrier.narrow[barrier.phase & 1].clear();
  ++progress;
}

bool ropewalk::emulator::findSharedPlace(Warp &warp, const Inst &inst,
                                         unsigned lane, uint64_t address,
                                         bool isGeneric, bool isOwn,
                                         Block *&owner, uint64_t &offset) {
  Block &block = *warp.block;
  uint64_t inside = isGeneric ? address - SharedWindow : address;
  if (inside >= WindowBytes)
    return block.failAt(warp, inst, ReportKind::OutOfBounds, int(lane), address,
                        "needs an address in shared memory");
  uint64_t place = inside >> ClusterRankShift;
  offset = inside & ((uint64_t(1) << ClusterRankShift) - 1);
  uint64_t rank = place ? place - 1 : block.rank;
  const auto &blocks = block.cluster.blocks;
  if (rank >= blocks.size())
    return block.failAt(warp, inst, ReportKind::ClusterMisuse, int(lane),
                        address,
                        "needs the shared memory of rank " +
                            std::to_string(rank) + ", but the cluster has " +
                            std::to_string(blocks.size()) + " blocks");
  owner = blocks[size_t(rank)].get();
  if (isOwn && owner != &block)
    return block.failAt(warp, inst, ReportKind::ClusterMisuse, int(lane),
                        address,
                        "needs an address in the block's own shared memory, "
                        "found one of block " +
                            std::to_string(owner->index));
  return true;
}
