//===- OpsProxyFence.cpp - Fences between proxies ---------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// fence.proxy and fence.mbarrier_init. Between virtual addresses of the same
// memory there is nothing to do, as every access sees one memory.
//
//===----------------------------------------------------------------------===//

#include "Cluster.h"
#include "Lanes.h"

namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA {

namespace {

using S = ScalarType;

bool nothing(Warp &, const Inst &, uint32_t) { return true; }

bool fenceProxy(Warp &warp, const Inst &, uint32_t mask) {
  warp.block->cluster.ordering.fenceProxy(warp, mask);
  return true;
}

bool fenceInit(Warp &warp, const Inst &, uint32_t mask) {
  fenceMbarrierInit(warp, mask);
  return true;
}

bool releaseTensorMaps(Warp &warp, const Inst &inst, uint32_t mask) {
  if (warp.block->worker.shadow)
    warp.block->worker.tensorMapFences.release(warp, mask, Scope(inst.data));
  return true;
}

/// The tensor map at the address is 128 bytes of global memory.
bool acquireTensorMap(Warp &warp, const Inst &inst, uint32_t mask) {
  const uint64_t *base = lanes<uint64_t>(warp, inst.op[0]);
  Time time = warp.block->cluster.ordering.advance(warp);
  for (; mask; mask &= mask - 1) {
    unsigned lane = unsigned(std::countr_zero(mask));
    uint64_t address = base[lane] + uint64_t(inst.offset);
    std::string reason;
    if (!warp.block->launch.memory->findRange(address, 128, reason))
      return warp.block->failAt(warp, inst, ReportKind::OutOfBounds, int(lane),
                                address, reason);
    if (warp.block->worker.shadow)
      warp.block->worker.tensorMapFences.acquire({&warp, &inst, lane}, address,
                                                 time, Scope(inst.data));
  }
  return true;
}

bool decodeTensorMapFence(InstDecoder &d, Inst &inst) {
  Scope scope = Scope::Block;
  if (d.take("release")) {
    inst.handler = &releaseTensorMaps;
    if (!takeTensorMapScope(d, scope) || !d.finish(0))
      return false;
    inst.data = uint32_t(scope);
    return true;
  }
  if (!d.take("acquire"))
    return d.fail("expected '.acquire' or '.release'");
  uint32_t bytes = 0;
  int64_t size = 0;
  if (!takeTensorMapScope(d, scope) || !d.finish(2) ||
      !d.address(0, Space::Generic, inst.op[0], bytes, inst.offset) ||
      !d.immediate(1, size))
    return false;
  if (size != 128)
    return d.failAt(d.operand(1),
                    "expected a size of 128, found " + std::to_string(size));
  inst.handler = &acquireTensorMap;
  inst.data = uint32_t(scope);
  return true;
}

bool decodeRestrictedFence(InstDecoder &d, Inst &inst) {
  inst.handler = &fenceProxy;
  bool isAcquire = d.take("acquire");
  if (!isAcquire && !d.take("release"))
    return d.fail("expected '.acquire' or '.release'");
  const char *where = isAcquire ? "sync_restrict::shared::cluster"
                                : "sync_restrict::shared::cta";
  if (!d.take(where))
    return d.fail(std::string("expected '.") + where + "'");
  if (!d.take("cluster"))
    return d.fail("expected '.cluster' as the scope");
  return d.finish(0);
}

} // namespace

bool takeTensorMapScope(InstDecoder &d, Scope &scope) {
  int found = d.takeOneOf({"cta", "cluster", "gpu", "sys"});
  scope = found == 0   ? Scope::Block
          : found == 1 ? Scope::Cluster
                       : Scope::Device;
  return found >= 0 || d.fail("expected a scope");
}

bool decodeProxyFence(InstDecoder &d, Inst &inst) {
  inst.cls = InstClass::Barrier;
  if (d.take("mbarrier_init")) {
    inst.handler = &fenceInit;
    if (!d.take("release") || !d.take("cluster"))
      return d.fail("expected '.release.cluster'");
    return d.finish(0);
  }
  if (!d.take("proxy"))
    return d.unsupported("modifier '." + d.peek() + "'");
  if (d.take("alias")) {
    inst.handler = &nothing;
    return d.finish(0);
  }
  if (d.take("tensormap::generic"))
    return decodeTensorMapFence(d, inst);
  if (d.take("async::generic"))
    return decodeRestrictedFence(d, inst);
  if (!d.take("async"))
    return d.unsupported("modifier '." + d.peek() + "'");
  inst.handler = &fenceProxy;
  d.takeOneOf({"global", "shared::cta", "shared::cluster"});
  return d.finish(0);
}

} // namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA

#include "LanesEnd.h"
