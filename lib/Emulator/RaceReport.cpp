//===- RaceReport.cpp - Accesses in conflict --------------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Rules and texts of conflicts.
//
//===----------------------------------------------------------------------===//

#include "RaceReport.h"
#include "Cluster.h"

#include <algorithm>
#include <bit>

using namespace ropewalk::emulator;

Accessor::Accessor(const Actor &actor, Ordering &ordering, bool isWrite)
    : actor(actor), ordering(ordering), plane(ordering.planeOf(actor)),
      epoch(ordering.touch(actor)), isWrite(isWrite),
      isAsyncProxy(actor.ego > Ego::Copy) {
  if (actor.isAtomic && actor.scope == Scope::Weak)
    this->actor.scope = Scope::Device;
}

uint32_t ropewalk::emulator::tagOf(uint32_t plane, Scope scope,
                                   const Inst &inst) {
  return plane << TagPlaneShift | uint32_t(scope) << TagScopeShift |
         std::min(inst.id, TagInstMask);
}

Standing ropewalk::emulator::standingOf(const Accessor &a, uint32_t plane,
                                        unsigned lane, Time time,
                                        bool isWrite) {
  const Warp &warp = *a.actor.warp;
  bool knows = a.ordering.knows(warp, a.actor.lane, plane, lane, time);
  // Two threads of a cluster may have met in another one.
  const Cluster &cluster = warp.block->cluster;
  if (!knows && warp.block->worker.order)
    knows = warp.block->worker.order->knows(cluster.index, a.ordering, warp,
                                            a.actor.lane, cluster.index, plane,
                                            lane, time);
  bool isOtherAsync = a.ordering.partyOf(plane).isAsyncProxy();
  // What is over can be overwritten, but for stores that may still be on their
  // way.
  if (!knows && a.isWrite && (!isWrite || isOtherAsync))
    knows = a.ordering.isOver(warp, a.actor.lane, plane, lane, time);
  // Only what the generic proxy has written needs a fence.
  if (!a.isAsyncProxy || !isWrite || isOtherAsync)
    return knows ? Standing::Known : Standing::Unknown;
  if (a.ordering.isFenced(warp, a.actor.lane, plane, lane, time))
    return Standing::Known;
  return knows ? Standing::Unfenced : Standing::Unknown;
}

Standing ropewalk::emulator::standingOf(const Accessor &a, uint32_t tag,
                                        uint32_t lanes, Time time, bool isWrite,
                                        bool any) {
  uint32_t plane = planeOfTag(tag);
  Standing result = any ? Standing::Unknown : Standing::Known;
  if (plane >= a.ordering.planes())
    return result;
  for (; lanes; lanes &= lanes - 1) {
    Standing one =
        standingOf(a, plane, unsigned(std::countr_zero(lanes)), time, isWrite);
    result = any ? std::min(result, one) : std::max(result, one);
  }
  return result;
}

bool ropewalk::emulator::isMorallyStrong(const Accessor &a, uint32_t tag) {
  Scope mine = a.actor.scope, other = scopeOfTag(tag);
  if (mine == Scope::Weak || other == Scope::Weak)
    return false;
  if (mine >= Scope::Cluster && other >= Scope::Cluster)
    return true;
  uint32_t warps = uint32_t(a.actor.warp->block->warps.size());
  return a.ordering.partyOf(planeOfTag(tag)).warp / warps ==
         a.actor.warp->block->rank;
}

int64_t ropewalk::emulator::blockIndexOf(const Launch &launch, uint64_t cluster,
                                         uint32_t rank) {
  const Dim3 &size = launch.cluster, &grid = launch.grid;
  uint64_t across = grid.x / size.x, down = grid.y / size.y;
  uint64_t x = cluster % across * size.x + rank % size.x;
  uint64_t y = cluster / across % down * size.y + rank / size.x % size.y;
  uint64_t z = cluster / across / down * size.z + rank / size.x / size.y;
  return int64_t((z * grid.y + y) * grid.x + x);
}

bool ropewalk::emulator::reportConflict(const Accessor &a, Space space,
                                        const Conflict &conflict) {
  Block &block = *a.actor.warp->block;
  Ordering::Party party = a.ordering.partyOf(planeOfTag(conflict.tag));
  uint32_t warps = uint32_t(block.warps.size());
  uint32_t inst = conflict.tag & TagInstMask;
  bool isKnown = inst < block.program.code.size() && inst != TagInstMask;
  std::string other = "another access";
  Report::Party &reported = block.report.other;
  reported = Report::Party();
  uint64_t cluster =
      conflict.cluster < 0 ? block.cluster.index : uint64_t(conflict.cluster);
  reported.block = blockIndexOf(block.launch, cluster, party.warp / warps);
  reported.warp = int(party.warp % warps);
  if (party.ego != Ego::Matrix && std::has_single_bit(conflict.lanes))
    reported.lane = std::countr_zero(conflict.lanes);
  if (isKnown) {
    reported.location = block.program.code[inst].location;
    reported.source =
        sourceOf(*block.launch.kernel->module, block.program.code[inst]);
    other = "'" + block.program.opcodes[inst] + "'";
    if (reported.location.line)
      other += " of line " + std::to_string(reported.location.line);
  }
  bool isAsync = party.isOperation || party.ego != Ego::Thread;
  ReportKind kind =
      space == Space::Global ? ReportKind::GlobalRace : ReportKind::SharedRace;
  std::string text;
  if (conflict.kind == Conflict::Unfenced) {
    kind = ReportKind::ProxyRace;
    text =
        "accesses, through the async proxy, bytes that " + other +
        " has written through the generic proxy; no fence.proxy.async stands "
        "between them";
  } else if (conflict.kind == Conflict::Constant) {
    text = "reads as constant what " + other +
           " has written, which no order makes visible to it";
  } else if (conflict.kind != Conflict::Unordered) {
    kind = ReportKind::ProxyRace;
    text = "finds its tensor map, which " + other +
           " has written through the generic proxy; no "
           "fence.proxy.tensormap::generic." +
           (conflict.kind == Conflict::Unreleased ? "release" : "acquire") +
           " stands between the write and the use of the map, with a scope "
           "that both threads are in";
  } else if (isAsync) {
    kind = ReportKind::AsyncHazard;
    text = !a.isWrite
               ? "reads bytes that " + other + " may not have written yet"
           : conflict.otherWrote
               ? "overwrites bytes that " + other + " may still write"
               : "overwrites bytes that " + other + " may still read";
  } else {
    text = "races with an access of warp " + std::to_string(reported.warp) +
           (reported.block == int64_t(block.index)
                ? std::string()
                : " of block " + std::to_string(reported.block)) +
           ": it " + (a.isWrite ? "writes" : "reads") + " bytes that " + other +
           (conflict.otherWrote ? " writes" : " reads") +
           ", and nothing orders the two";
    if (a.actor.scope != Scope::Weak && scopeOfTag(conflict.tag) != Scope::Weak)
      text += ": their scopes do not include each other";
  }
  return block.failAt(*a.actor.warp, *a.actor.inst, kind, int(a.actor.lane),
                      conflict.address,
                      std::string("in .") + name(space) + " memory " + text);
}
