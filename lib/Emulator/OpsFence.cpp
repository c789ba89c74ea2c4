//===- OpsFence.cpp - Memory fences -----------------------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// fence and membar. All accesses are carried out in order on one view of
// memory, so that a fence only matters to the causality order.
//
//===----------------------------------------------------------------------===//

#include "Cluster.h"
#include "Lanes.h"

namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA {

namespace {

/// Inst::data: the scope, and which halves the fence has.
enum FenceFlags : uint32_t {
  FenceScopeMask = 3,
  FenceAcquires = 4,
  FenceReleases = 8
};

bool fence(Warp &warp, const Inst &inst, uint32_t mask) {
  if (warp.block->launch.options.checkRaces)
    warp.block->cluster.sync.fence(
        warp, mask, Scope(inst.data & FenceScopeMask),
        inst.data & FenceAcquires, inst.data & FenceReleases);
  return true;
}

bool setFence(InstDecoder &d, Inst &inst, Scope scope, uint32_t halves) {
  inst.cls = InstClass::Barrier;
  inst.handler = &fence;
  inst.data = uint32_t(scope) | halves;
  d.program().usesFences = d.program().synchronizes = true;
  return d.finish(0);
}

bool decodeMemoryBarrier(InstDecoder &d, Inst &inst) {
  int level = d.takeOneOf({"cta", "gl", "sys"});
  if (level < 0)
    return d.unsupported("modifier '." + d.peek() + "'");
  return setFence(d, inst, level ? Scope::Device : Scope::Block,
                  FenceAcquires | FenceReleases);
}

bool decodeFence(InstDecoder &d, Inst &inst) {
  if (d.peek().substr(0, 5) == "proxy" || d.peek() == "mbarrier_init")
    return decodeProxyFence(d, inst);
  int kind = d.takeOneOf({"sc", "acq_rel", "acquire", "release"});
  uint32_t halves = kind == 2   ? FenceAcquires
                    : kind == 3 ? FenceReleases
                                : FenceAcquires | FenceReleases;
  // Restricted to the shared memory of a cluster, which only weakens it.
  if (kind == 2 && d.take("sync_restrict::shared::cluster")) {
    if (!d.take("cluster"))
      return d.fail("expected '.cluster' as the scope");
    return setFence(d, inst, Scope::Cluster, halves);
  }
  if (kind == 3 && d.take("sync_restrict::shared::cta")) {
    if (!d.take("cluster"))
      return d.fail("expected '.cluster' as the scope");
    return setFence(d, inst, Scope::Cluster, halves);
  }
  int scope = d.takeOneOf({"cta", "cluster", "gpu", "sys"});
  if (scope < 0)
    return d.peek().empty() ? d.fail("expected a scope")
                            : d.unsupported("modifier '." + d.peek() + "'");
  static const Scope scopes[] = {Scope::Block, Scope::Cluster, Scope::Device,
                                 Scope::Device};
  return setFence(d, inst, scopes[scope], halves);
}

} // namespace

void addFenceOpcodes(OpcodeTable &table) {
  table["membar"] = &decodeMemoryBarrier;
  table["fence"] = &decodeFence;
}

} // namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA

#include "LanesEnd.h"
