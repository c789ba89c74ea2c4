//===- OpsAsyncStore.cpp - Stores that signal a barrier ---------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// st.async and red.async to the shared memory of a block of the cluster. They
// act in the generic proxy, at some time before their mbarrier learns of it.
//
//===----------------------------------------------------------------------===//

#include "BulkCopy.h"
#include "SharedOperand.h"

namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA {

namespace {

using S = ScalarType;
using Reduction = BulkCopy::Reduction;

/// Slots of the address operands.
enum Slot : unsigned { Destination, Barrier };

/// Inst::count is the number of elements, Inst::target their type and
/// Inst::offset the reduction.
bool storeLane(Warp &warp, const Inst &inst, unsigned lane) {
  SharedPlace place, barrier;
  if (!sharedPlace(warp, inst, Destination, lane, place) ||
      !sharedPlace(warp, inst, Barrier, lane, barrier))
    return false;
  ScalarType type = ScalarType(inst.target);
  Reduction reduction = Reduction(inst.offset);
  uint32_t size = sizeOf(type), bytes = size * inst.count;
  if (place.block != barrier.block)
    return warp.block->failAt(
        warp, inst, ReportKind::ClusterMisuse, int(lane), barrier.offset,
        "stores to block " + std::to_string(place.block->index) +
            " and signals a barrier of block " +
            std::to_string(barrier.block->index));
  if (place.offset % bytes)
    return warp.block->failAt(
        warp, inst, ReportKind::Misaligned, int(lane), place.offset,
        "destination address is not a multiple of " + std::to_string(bytes));
  if (place.block->touchesMbarrier(place.offset, bytes))
    return warp.block->failAt(warp, inst, ReportKind::MbarrierMisuse, int(lane),
                              place.offset, "writes to an mbarrier object");
  Actor thread{&warp, &inst, lane};
  Cluster &cluster = warp.block->cluster;
  int32_t operation = cluster.ordering.beginOperation(warp, lane);
  Actor actor{&warp, &inst, lane, Ego::Thread, operation};
  if (!announceTransaction(thread, *barrier.block, barrier.offset))
    return false;
  actor.isAtomic = reduction != Reduction::None;
  if (actor.isAtomic &&
      !accessShared(actor, *place.block, place.offset, bytes, false))
    return false;
  std::byte *target =
      accessShared(actor, *place.block, place.offset, bytes, true);
  if (!target)
    return false;
  std::array<std::byte, 16> value;
  for (unsigned part = 0; part < inst.count; ++part) {
    Ref ref = warp.block->program.operands[inst.extra + part];
    std::memcpy(value.data() + part * size,
                lanes<std::byte>(warp, ref) + lane * size, size);
  }
  cluster.async.add([=, &cluster] {
    if (reduction == Reduction::None)
      std::memcpy(target, value.data(), bytes);
    else
      reduceBytes(reduction, type, target, value.data(), bytes);
    Past past;
    cluster.ordering.endOperation(operation, past);
    return completeTransaction(thread, *barrier.block, barrier.offset, bytes,
                               past);
  });
  return true;
}

bool store(Warp &warp, const Inst &inst, uint32_t mask) {
  for (; mask; mask &= mask - 1)
    if (!storeLane(warp, inst, unsigned(std::countr_zero(mask))))
      return false;
  return true;
}

bool decodeOperands(InstDecoder &d, Inst &inst, AddressKind kind,
                    ScalarType type, unsigned count) {
  inst.cls = InstClass::SharedStore;
  inst.handler = &store;
  inst.count = uint8_t(count);
  inst.target = int32_t(type);
  if (sizeOf(type) * count > 16)
    return d.unsupported("an access of more than 16 bytes");
  return d.finish(3) && addressOperand(d, 0, Destination, kind, inst) &&
         addressOperand(d, 2, Barrier, kind, inst) &&
         d.vectorSource(1, type, count, inst);
}

AddressKind takeSpace(InstDecoder &d) {
  return d.take("shared::cluster") ? AddressKind::SharedCluster
                                   : AddressKind::Generic;
}

bool decodeStore(InstDecoder &d, Inst &inst) {
  d.take("weak");
  AddressKind kind = takeSpace(d);
  if (!d.take("mbarrier::complete_tx::bytes"))
    return d.unsupported("modifier '." + d.peek() + "'");
  unsigned count = d.take("v2") ? 2 : d.take("v4") ? 4 : 1;
  ScalarType type;
  return d.requireType(type, {S::B32, S::B64, S::U32, S::U64, S::S32, S::S64,
                              S::F32, S::F64}) &&
         decodeOperands(d, inst, kind, type, count);
}

bool decodeReduction(InstDecoder &d, Inst &inst) {
  if (!d.take("relaxed") || !d.take("cluster"))
    return d.unsupported("modifier '." + d.peek() + "'");
  AddressKind kind = takeSpace(d);
  if (!d.take("mbarrier::complete_tx::bytes"))
    return d.unsupported("modifier '." + d.peek() + "'");
  int found =
      d.takeOneOf({"add", "min", "max", "inc", "dec", "and", "or", "xor"});
  if (found < 0)
    return d.unsupported("modifier '." + d.peek() + "'");
  Reduction reduction = Reduction(found + 1);
  inst.offset = int64_t(reduction);
  ScalarType type;
  bool ok = false;
  switch (reduction) {
  case Reduction::Add:
    ok = d.requireType(type, {S::U32, S::S32, S::U64, S::S64});
    break;
  case Reduction::Min:
  case Reduction::Max:
    ok = d.requireType(type, {S::U32, S::S32});
    break;
  case Reduction::Inc:
  case Reduction::Dec:
    ok = d.requireType(type, {S::U32});
    break;
  default:
    ok = d.requireType(type, {S::B32});
    break;
  }
  return ok && decodeOperands(d, inst, kind, type, 1);
}

} // namespace

bool decodeAsyncStore(InstDecoder &d, Inst &inst) {
  return d.base() == "st" ? decodeStore(d, inst) : decodeReduction(d, inst);
}

} // namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA

#include "LanesEnd.h"
