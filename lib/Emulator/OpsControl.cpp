//===- OpsControl.cpp - Control flow and barriers ---------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// bra, brx, ret, exit, trap, bar, barrier, nanosleep. The block executes
// branches and barriers itself; here they are only decoded.
//
//===----------------------------------------------------------------------===//

#include "Cluster.h"
#include "LaneWise.h"

namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA {

namespace {

using S = ScalarType;

/// Gives way: who sleeps waits for somebody.
bool sleep(Warp &warp, const Inst &, uint32_t) {
  warp.yields = true;
  return true;
}

bool decodeBranch(InstDecoder &d, Inst &inst) {
  inst.cls = InstClass::Control;
  inst.kind = InstKind::Branch;
  d.take("uni");
  return d.finish(1) && d.label(0, inst.target);
}

bool decodeIndexedBranch(InstDecoder &d, Inst &inst) {
  inst.cls = InstClass::Control;
  inst.kind = InstKind::IndexedBranch;
  if (!d.take("idx"))
    return d.fail("expected '.idx'");
  d.take("uni");
  return d.finish(2) && d.source(0, S::U32, inst.op[1]) &&
         d.targetList(1, inst.targets);
}

bool decodeExit(InstDecoder &d, Inst &inst) {
  inst.cls = InstClass::Control;
  inst.kind = InstKind::Exit;
  if (d.base() == "ret")
    d.take("uni");
  return d.finish(0);
}

bool trap(Warp &warp, const Inst &inst, uint32_t mask) {
  return warp.block->fail(warp, inst, ReportKind::Trap, std::countr_zero(mask),
                          "the kernel executed a trap");
}

bool decodeTrap(InstDecoder &d, Inst &inst) {
  inst.cls = InstClass::Control;
  inst.handler = &trap;
  return d.finish(0);
}

bool synchronizeWarp(Warp &warp, const Inst &, uint32_t mask) {
  warp.block->cluster.ordering.synchronizeWarp(warp, mask);
  return true;
}

bool decodeWarpBarrier(InstDecoder &d, Inst &inst) {
  inst.kind = InstKind::WarpSync;
  inst.cls = InstClass::Barrier;
  inst.handler = &synchronizeWarp;
  inst.data = 1; // Lanes may wait at different instructions.
  if (!d.take("sync"))
    return d.fail("expected '.sync'");
  return d.finish(1) && d.source(0, S::B32, inst.member);
}

bool decodeBarrier(InstDecoder &d, Inst &inst) {
  inst.cls = InstClass::Barrier;
  bool isOld = d.base() == "bar";
  if (isOld && d.take("warp"))
    return decodeWarpBarrier(d, inst);
  if (!isOld && d.take("cluster"))
    return decodeClusterBarrier(d, inst);
  d.take("cta");
  int kind = d.takeOneOf({"sync", "arrive", "red"});
  if (kind < 0)
    return d.unsupported("modifier '." + d.peek() + "'");
  int reduction = -1;
  if (kind == 2 && isOld)
    reduction = d.takeOneOf({"and", "or", "popc"});
  if (!isOld) {
    if (kind == 2)
      reduction = d.takeOneOf({"and", "or", "popc"});
    d.take("aligned");
  }
  inst.kind = InstKind::Barrier;
  inst.data = kind == 1 ? BarrierArrive : 0;
  unsigned next = 0;
  if (kind == 2) {
    if (reduction < 0)
      return d.fail("expected '.and', '.or' or '.popc'");
    if (!d.take(reduction == 2 ? "u32" : "pred"))
      return d.fail("expected a type");
    // d, a {, b}, {!}c
    if (!d.finish(3, 4) ||
        !(reduction == 2 ? d.destination(0, S::U32, inst.op[0])
                         : d.predicateDestination(d.operand(0), inst.op[0])))
      return false;
    bool negated = false;
    if (!d.predicateSource(d.operandCount() - 1, inst.op[3], negated))
      return false;
    inst.data |= (reduction == 0   ? BarrierReduceAnd
                  : reduction == 1 ? BarrierReduceOr
                                   : BarrierReducePopc) |
                 (negated ? BarrierNegated : 0);
    next = 1;
  } else if (!(kind == 1 ? d.finish(2) : d.finish(1, 2))) {
    return false;
  }
  if (!d.source(next, S::U32, inst.op[1]))
    return false;
  unsigned last = d.operandCount() - (kind == 2 ? 1 : 0);
  if (next + 1 < last) {
    inst.data |= BarrierHasCount;
    return d.source(next + 1, S::U32, inst.op[2]);
  }
  return true;
}

bool decodeSleep(InstDecoder &d, Inst &inst) {
  ScalarType type;
  inst.cls = InstClass::Control;
  inst.handler = &sleep;
  return d.requireType(type, {S::U32}) && d.finish(1) &&
         d.source(0, type, inst.op[1]);
}

} // namespace

void addControlOpcodes(OpcodeTable &table) {
  table["bra"] = &decodeBranch;
  table["brx"] = &decodeIndexedBranch;
  table["ret"] = &decodeExit;
  table["exit"] = &decodeExit;
  table["trap"] = &decodeTrap;
  table["bar"] = &decodeBarrier;
  table["barrier"] = &decodeBarrier;
  table["nanosleep"] = &decodeSleep;
}

} // namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA

#include "LanesEnd.h"
