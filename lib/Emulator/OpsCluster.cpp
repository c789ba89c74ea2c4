//===- OpsCluster.cpp - Blocks of a cluster ---------------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// mapa, getctarank, barrier.cluster and griddepcontrol. Launches follow each
// other, so there is no dependency on another grid left to wait for.
//
//===----------------------------------------------------------------------===//

#include "SharedOperand.h"

namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA {

namespace {

using S = ScalarType;

enum ClusterFlags : uint32_t {
  IsGeneric = 1,
  IsRelaxed = 2,
  IsAligned = 4,
};

/// T is the type of an address.
template <class T>
bool mapAddress(Warp &warp, const Inst &inst, uint32_t mask) {
  Block &block = *warp.block;
  const T *source = lanes<T>(warp, inst.op[1]);
  const uint32_t *rank = lanes<uint32_t>(warp, inst.op[2]);
  T *target = lanes<T>(warp, inst.op[0]);
  bool isGeneric = inst.data & IsGeneric;
  for (; mask; mask &= mask - 1) {
    unsigned lane = unsigned(std::countr_zero(mask));
    Block *owner = nullptr;
    uint64_t offset = 0;
    if (!findSharedPlace(warp, inst, lane, uint64_t(source[lane]), isGeneric,
                         false, owner, offset))
      return false;
    if (rank[lane] >= block.cluster.blocks.size())
      return block.fail(warp, inst, ReportKind::ClusterMisuse, int(lane),
                        "names rank " + std::to_string(rank[lane]) + " of " +
                            std::to_string(block.cluster.blocks.size()) +
                            " blocks of the cluster");
    target[lane] = T((isGeneric ? SharedWindow : 0) +
                     (uint64_t(rank[lane] + 1) << ClusterRankShift) + offset);
  }
  return true;
}

template <class T> bool findRank(Warp &warp, const Inst &inst, uint32_t mask) {
  const T *source = lanes<T>(warp, inst.op[1]);
  uint32_t *target = lanes<uint32_t>(warp, inst.op[0]);
  for (; mask; mask &= mask - 1) {
    unsigned lane = unsigned(std::countr_zero(mask));
    Block *owner = nullptr;
    uint64_t offset = 0;
    if (!findSharedPlace(warp, inst, lane, uint64_t(source[lane]),
                         inst.data & IsGeneric, false, owner, offset))
      return false;
    target[lane] = owner->rank;
  }
  return true;
}

/// Whether the lanes are all that the warp has, if they need to be.
bool checkAligned(Warp &warp, const Inst &inst, uint32_t mask) {
  if (!(inst.data & IsAligned) || mask == warp.live)
    return true;
  return warp.block->fail(warp, inst, ReportKind::BarrierDivergence,
                          std::countr_zero(warp.live & ~mask),
                          "is '.aligned' and not reached by all lanes of the "
                          "warp together");
}

bool arriveAtCluster(Warp &warp, const Inst &inst, uint32_t mask) {
  if (!checkAligned(warp, inst, mask))
    return false;
  if (uint32_t twice = mask & warp.clusterArrived)
    return warp.block->fail(warp, inst, ReportKind::ClusterMisuse,
                            std::countr_zero(twice),
                            "arrives a second time without a "
                            "'barrier.cluster.wait' in between");
  Cluster &cluster = warp.block->cluster;
  ++warp.block->worker.counters.barriers;
  ClusterBarrier &barrier = cluster.barrier;
  unsigned parity = barrier.phase & 1;
  if (inst.data & IsRelaxed) {
    cluster.ordering.release(warp, mask, barrier.relaxed[parity]);
    cluster.sync.addFences(warp, mask, Scope::Cluster, barrier.past[parity]);
    std::vector<Past> &narrow = barrier.narrow[parity];
    narrow.resize(cluster.blocks.size());
    cluster.sync.addFences(warp, mask, Scope::Block, narrow[warp.block->rank]);
  } else {
    cluster.ordering.release(warp, mask, barrier.past[parity]);
  }
  warp.clusterArrived |= mask;
  cluster.updateBarrier();
  return true;
}

bool waitForCluster(Warp &warp, const Inst &inst, uint32_t mask) {
  if (!checkAligned(warp, inst, mask))
    return false;
  if (uint32_t early = mask & ~warp.clusterArrived)
    return warp.block->fail(warp, inst, ReportKind::ClusterMisuse,
                            std::countr_zero(early),
                            "waits without a 'barrier.cluster.arrive' before");
  ClusterBarrier &barrier = warp.block->cluster.barrier;
  // All lanes wait for the phase after the ones that they have waited for.
  unsigned first = unsigned(std::countr_zero(mask));
  uint64_t phase = warp.clusterWaits[first];
  if (barrier.phase == phase)
    warp.block->cluster.updateBarrier(); // Others may have exited.
  if (barrier.phase == phase) {
    warp.isBlocked = true;
    return true;
  }
  Ordering &ordering = warp.block->cluster.ordering;
  ordering.acquire(warp, mask, barrier.past[phase & 1]);
  if (const std::vector<Past> &narrow = barrier.narrow[phase & 1];
      !narrow.empty())
    ordering.acquire(warp, mask, narrow[warp.block->rank]);
  addPast(warp.block->ended, barrier.relaxed[phase & 1]);
  warp.clusterArrived &= ~mask;
  forLanes(mask, [&](unsigned lane) { ++warp.clusterWaits[lane]; });
  return true;
}

bool nothing(Warp &, const Inst &, uint32_t) { return true; }

bool decodeMapAddress(InstDecoder &d, Inst &inst) {
  inst.cls = InstClass::Move;
  bool isShared = d.take("shared::cluster");
  ScalarType type;
  if (!d.requireType(type, {S::U32, S::U64}))
    return false;
  if (type == S::U32 && !isShared)
    return d.unsupported("a generic address of 32 bits");
  inst.data = isShared ? 0 : IsGeneric;
  inst.handler = type == S::U32 ? &mapAddress<uint32_t> : &mapAddress<uint64_t>;
  return d.finish(3) && d.destination(0, type, inst.op[0]) &&
         d.source(1, type, inst.op[1]) && d.source(2, S::U32, inst.op[2]);
}

bool decodeRank(InstDecoder &d, Inst &inst) {
  inst.cls = InstClass::Move;
  bool isShared = d.take("shared::cluster");
  ScalarType type;
  if (!d.requireType(type, {S::U32, S::U64}))
    return false;
  if (type == S::U32 && !isShared)
    return d.unsupported("a generic address of 32 bits");
  inst.data = isShared ? 0 : IsGeneric;
  inst.handler = type == S::U32 ? &findRank<uint32_t> : &findRank<uint64_t>;
  return d.finish(2) && d.destination(0, S::U32, inst.op[0]) &&
         d.source(1, type, inst.op[1]);
}

bool decodeGridControl(InstDecoder &d, Inst &inst) {
  inst.cls = InstClass::Control;
  inst.handler = &nothing;
  if (d.takeOneOf({"launch_dependents", "wait"}) < 0)
    return d.unsupported("modifier '." + d.peek() + "'");
  return d.finish(0);
}

} // namespace

bool decodeClusterBarrier(InstDecoder &d, Inst &inst) {
  inst.cls = InstClass::Barrier;
  if (d.take("arrive")) {
    inst.handler = &arriveAtCluster;
    if (d.take("relaxed"))
      inst.data |= IsRelaxed;
    else
      d.take("release");
  } else if (d.take("wait")) {
    inst.handler = &waitForCluster;
    inst.kind = InstKind::Waiting;
    d.take("acquire");
  } else {
    return d.unsupported("modifier '." + d.peek() + "'");
  }
  if (d.take("aligned")) {
    inst.data |= IsAligned;
    inst.kind = InstKind::Together;
  }
  return d.finish(0);
}

void addClusterOpcodes(OpcodeTable &table) {
  table["mapa"] = &decodeMapAddress;
  table["getctarank"] = &decodeRank;
  table["griddepcontrol"] = &decodeGridControl;
}

} // namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA

#include "LanesEnd.h"
