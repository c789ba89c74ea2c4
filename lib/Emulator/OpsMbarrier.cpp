//===- OpsMbarrier.cpp - Barrier objects in shared memory -------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// mbarrier. Lanes act one after the other, the lowest first. A wait that fails
// ends the warp's turn, whether or not the program could do something else.
//
//===----------------------------------------------------------------------===//

#include "SharedOperand.h"

namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA {

namespace {

using S = ScalarType;

enum MbarrierFlags : uint32_t {
  IsParity = 1 << OperandFlagShift,
  IsRelaxed = IsParity << 1,
  Expects = IsParity << 2,
  Drops = IsParity << 3,
  NoComplete = IsParity << 4,
  Completes = IsParity << 5, ///< complete_tx
  IsWide = IsParity << 6,    ///< Of cluster scope.
};

bool initialize(Warp &warp, const Inst &inst, uint32_t mask) {
  const uint32_t *count = lanes<uint32_t>(warp, inst.op[1]);
  for (; mask; mask &= mask - 1) {
    unsigned lane = unsigned(std::countr_zero(mask));
    SharedPlace place;
    if (!sharedPlace(warp, inst, 0, lane, place) ||
        !initMbarrier({&warp, &inst, lane}, *place.block, place.offset,
                      count[lane]))
      return false;
  }
  return true;
}

bool invalidate(Warp &warp, const Inst &inst, uint32_t mask) {
  for (; mask; mask &= mask - 1) {
    unsigned lane = unsigned(std::countr_zero(mask));
    SharedPlace place;
    if (!sharedPlace(warp, inst, 0, lane, place) ||
        !invalidateMbarrier({&warp, &inst, lane}, *place.block, place.offset))
      return false;
  }
  return true;
}

bool arriveOn(Warp &warp, const Inst &inst, uint32_t mask) {
  const uint32_t *count = lanes<uint32_t>(warp, inst.op[2]);
  uint64_t *state =
      inst.op[1].offset == NoRow ? nullptr : lanes<uint64_t>(warp, inst.op[1]);
  Arrival arrival;
  arrival.expects = inst.data & Expects;
  arrival.drops = inst.data & Drops;
  arrival.mayComplete = !(inst.data & NoComplete);
  arrival.releases = !(inst.data & IsRelaxed);
  arrival.scope = inst.data & IsWide ? Scope::Cluster : Scope::Block;
  for (; mask; mask &= mask - 1) {
    unsigned lane = unsigned(std::countr_zero(mask));
    SharedPlace place;
    if (!sharedPlace(warp, inst, 0, lane, place))
      return false;
    if (state && place.block != warp.block)
      return warp.block->failAt(warp, inst, ReportKind::ClusterMisuse,
                                int(lane), place.offset,
                                "returns no state of the mbarrier of block " +
                                    std::to_string(place.block->index));
    (arrival.expects ? arrival.bytes : arrival.count) = count[lane];
    if (!arriveAtMbarrier({&warp, &inst, lane}, *place.block, place.offset,
                          arrival, state ? state + lane : nullptr))
      return false;
  }
  return true;
}

bool transact(Warp &warp, const Inst &inst, uint32_t mask) {
  const uint32_t *bytes = lanes<uint32_t>(warp, inst.op[1]);
  for (; mask; mask &= mask - 1) {
    unsigned lane = unsigned(std::countr_zero(mask));
    SharedPlace place;
    int64_t change = bytes[lane];
    if (!sharedPlace(warp, inst, 0, lane, place) ||
        !addTransaction({&warp, &inst, lane}, *place.block, place.offset,
                        inst.data & Completes ? -change : change))
      return false;
  }
  return true;
}

bool test(Warp &warp, const Inst &inst, uint32_t mask) {
  uint32_t over = 0;
  Awaiting wait;
  wait.isParity = inst.data & IsParity;
  wait.acquires = !(inst.data & IsRelaxed);
  wait.scope = inst.data & IsWide ? Scope::Cluster : Scope::Block;
  for (uint32_t rest = mask; rest;) {
    // The lanes that wait for the same as the first of the rest.
    unsigned lane = unsigned(std::countr_zero(rest));
    auto keyOf = [&](unsigned i) {
      return inst.data & IsParity ? lanes<uint32_t>(warp, inst.op[2])[i]
                                  : lanes<uint64_t>(warp, inst.op[2])[i];
    };
    uint64_t address = laneAddress(warp, inst, 0, lane), key = keyOf(lane);
    uint32_t same = 0;
    forLanes(rest, [&](unsigned i) {
      if (laneAddress(warp, inst, 0, i) == address && keyOf(i) == key)
        same |= uint32_t(1) << i;
    });
    SharedPlace place;
    bool isOver = false;
    wait.key = key;
    if (!sharedPlace(warp, inst, 0, lane, place))
      return false;
    if (place.block != warp.block)
      return warp.block->failAt(warp, inst, ReportKind::ClusterMisuse,
                                int(lane), place.offset,
                                "waits for an mbarrier of block " +
                                    std::to_string(place.block->index) +
                                    ", only those of its own may be");
    if (!testMbarrier(warp, inst, same, place.offset, wait, isOver))
      return false;
    if (isOver)
      over |= same;
    rest &= ~same;
  }
  putPredicate(warp, inst.op[1], over, mask);
  warp.yields |= over != mask;
  return true;
}

bool countPending(Warp &warp, const Inst &inst, uint32_t mask) {
  const uint64_t *state = lanes<uint64_t>(warp, inst.op[1]);
  uint32_t *count = lanes<uint32_t>(warp, inst.op[0]);
  forLanes(mask,
           [&](unsigned lane) { count[lane] = pendingCount(state[lane]); });
  return true;
}

/// {.sem.scope}{.space} in either order, as assemblers have them. Sets the kind
/// of address; .shared::cluster only if `mayBeRemote`.
bool takeWhereAndHow(InstDecoder &d, Inst &inst, AddressKind &kind,
                     bool mayBeRemote, const char *semantics) {
  kind = AddressKind::Generic;
  bool hasSemantics = false, hasSpace = false;
  while (true) {
    if (!hasSemantics && semantics &&
        (d.peek() == semantics || d.peek() == "relaxed")) {
      hasSemantics = true;
      if (!d.take(semantics)) {
        d.take("relaxed");
        inst.data |= IsRelaxed;
      }
      int scope = d.takeOneOf({"cta", "cluster"});
      if (scope < 0)
        return d.fail("expected '.cta' or '.cluster' as the scope");
      if (scope == 1)
        inst.data |= IsWide;
    } else if (!hasSpace && d.takeOneOf({"shared", "shared::cta"}) >= 0) {
      hasSpace = true;
      kind = AddressKind::SharedBlock;
    } else if (!hasSpace && mayBeRemote && d.take("shared::cluster")) {
      hasSpace = true;
      kind = AddressKind::SharedCluster;
    } else {
      return true;
    }
  }
}

bool decodeArrive(InstDecoder &d, Inst &inst) {
  bool expects = false;
  if (d.take("expect_tx")) {
    expects = true;
    inst.data |= Expects;
  } else if (d.take("noComplete")) {
    inst.data |= NoComplete;
  }
  bool needsCount = expects || inst.data & NoComplete;
  AddressKind kind;
  ScalarType type;
  if (!takeWhereAndHow(d, inst, kind, true, "release") ||
      !d.requireType(type, {S::B64}) ||
      !(needsCount ? d.finish(3) : d.finish(2, 3)) ||
      !addressOperand(d, 1, 0, kind, inst))
    return false;
  inst.op[1] = {NoRow, 0};
  if (!d.isSink(0)) {
    if (kind == AddressKind::SharedCluster)
      return d.failAt(d.operand(0),
                      "a barrier in .shared::cluster returns no state: "
                      "expected '_'");
    if (!d.destination(0, S::B64, inst.op[1]))
      return false;
  }
  inst.handler = &arriveOn;
  if (d.operandCount() == 3)
    return d.source(2, S::U32, inst.op[2]);
  inst.op[2] = d.constant(1, 4);
  return true;
}

bool decodeTest(InstDecoder &d, Inst &inst, bool mayHint) {
  if (d.take("parity"))
    inst.data |= IsParity;
  AddressKind kind;
  ScalarType type;
  Ref hint;
  if (!takeWhereAndHow(d, inst, kind, false, "acquire") ||
      !d.requireType(type, {S::B64}) || !d.finish(3, mayHint ? 4 : 3) ||
      !d.predicateDestination(d.operand(0), inst.op[1]) ||
      !addressOperand(d, 1, 0, kind, inst) ||
      !d.source(2, inst.data & IsParity ? S::U32 : S::B64, inst.op[2]))
    return false;
  inst.handler = &test;
  return d.operandCount() == 3 || d.source(3, S::U32, hint);
}

bool decodeMbarrier(InstDecoder &d, Inst &inst) {
  inst.cls = InstClass::Barrier;
  AddressKind kind;
  ScalarType type;
  if (d.take("arrive"))
    return decodeArrive(d, inst);
  if (d.take("arrive_drop")) {
    inst.data |= Drops;
    return decodeArrive(d, inst);
  }
  if (d.take("test_wait"))
    return decodeTest(d, inst, false);
  if (d.take("try_wait"))
    return decodeTest(d, inst, true);
  if (d.peek() == "expect_tx" || d.peek() == "complete_tx") {
    if (!d.take("expect_tx") && d.take("complete_tx"))
      inst.data |= Completes;
    inst.handler = &transact;
    return takeWhereAndHow(d, inst, kind, true, "relaxed") &&
           d.requireType(type, {S::B64}) && d.finish(2) &&
           addressOperand(d, 0, 0, kind, inst) &&
           d.source(1, S::U32, inst.op[1]);
  }
  if (d.take("init")) {
    inst.handler = &initialize;
    return takeWhereAndHow(d, inst, kind, false, nullptr) &&
           d.requireType(type, {S::B64}) && d.finish(2) &&
           addressOperand(d, 0, 0, kind, inst) &&
           d.source(1, S::U32, inst.op[1]);
  }
  if (d.take("inval")) {
    inst.handler = &invalidate;
    return takeWhereAndHow(d, inst, kind, false, nullptr) &&
           d.requireType(type, {S::B64}) && d.finish(1) &&
           addressOperand(d, 0, 0, kind, inst);
  }
  if (d.take("pending_count")) {
    inst.handler = &countPending;
    return d.requireType(type, {S::B64}) && d.finish(2) &&
           d.destination(0, S::U32, inst.op[0]) &&
           d.source(1, S::B64, inst.op[1]);
  }
  return d.unsupported("modifier '." + d.peek() + "'");
}

} // namespace

void addMbarrierOpcodes(OpcodeTable &table) {
  table["mbarrier"] = &decodeMbarrier;
}

} // namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA

#include "LanesEnd.h"
