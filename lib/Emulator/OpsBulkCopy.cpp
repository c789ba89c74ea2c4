//===- OpsBulkCopy.cpp - Bulk copies ----------------------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// cp.async.bulk and cp.reduce.async.bulk without tensors, and the groups of
// bulk copies. Each lane makes a copy of its own; BulkCopy.cpp carries it out.
//
//===----------------------------------------------------------------------===//

#include "BulkCopy.h"
#include "SharedOperand.h"

namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA {

namespace {

using S = ScalarType;
using Reduction = BulkCopy::Reduction;

/// Slots of the address operands.
enum Slot : unsigned { Destination, Source, Barrier };

enum BulkFlags : uint32_t {
  FromShared = 1 << OperandFlagShift,
  ToShared = FromShared << 1,
  IsMulticast = FromShared << 2, ///< op[4] is the mask of blocks.
  IsRead = FromShared << 3,      ///< wait_group.read
};

constexpr uint32_t BulkAlignment = 16;

/// A place of shared or global memory, with its alignment checked.
bool bulkPlace(Warp &warp, const Inst &inst, unsigned slot, unsigned lane,
               bool isShared, BulkCopy::Place &place) {
  if (isShared) {
    SharedPlace shared;
    if (!sharedPlace(warp, inst, slot, lane, shared))
      return false;
    place = {shared.block, shared.offset};
  } else {
    place = {nullptr, laneAddress(warp, inst, slot, lane)};
  }
  if (place.address % BulkAlignment == 0)
    return true;
  return warp.block->failAt(
      warp, inst, ReportKind::Misaligned, int(lane), place.address,
      std::string(slot == Source ? "source" : "destination") +
          " address is not a multiple of " + std::to_string(BulkAlignment));
}

bool copyLane(Warp &warp, const Inst &inst, unsigned lane) {
  BulkCopy copy;
  copy.warp = &warp;
  copy.inst = &inst;
  copy.lane = lane;
  copy.reduction = Reduction(inst.count);
  copy.type = ScalarType(inst.target);
  bool isToShared = inst.data & ToShared;
  BulkCopy::Place destination, source;
  if (!bulkPlace(warp, inst, Destination, lane, isToShared, destination) ||
      !bulkPlace(warp, inst, Source, lane, inst.data & FromShared, source))
    return false;
  uint32_t bytes = lanes<uint32_t>(warp, inst.op[3])[lane];
  if (bytes % BulkAlignment)
    return warp.block->fail(warp, inst, ReportKind::Misaligned, int(lane),
                            "copies " + std::to_string(bytes) +
                                " bytes, which is no multiple of " +
                                std::to_string(BulkAlignment));
  std::vector<Block *> blocks{destination.block};
  if (inst.data & IsMulticast) {
    blocks.clear();
    if (!findMulticast(warp, inst, lane,
                       lanes<uint16_t>(warp, inst.op[4])[lane], blocks))
      return false;
  }
  if (isToShared) {
    SharedPlace barrier;
    if (!sharedPlace(warp, inst, Barrier, lane, barrier))
      return false;
    if (!(inst.data & IsMulticast) && barrier.block != destination.block)
      return warp.block->failAt(
          warp, inst, ReportKind::ClusterMisuse, int(lane), barrier.offset,
          "copies to block " + std::to_string(destination.block->index) +
              " and signals a barrier of block " +
              std::to_string(barrier.block->index));
    copy.completion = BulkCopy::OnMbarrier;
    for (Block *block : blocks)
      copy.signals.push_back({{block, barrier.offset}, bytes});
  }
  for (Block *block : blocks)
    if (bytes)
      copy.pieces.push_back({{block, destination.address}, source, bytes});
  return startBulkCopy(std::move(copy));
}

bool copy(Warp &warp, const Inst &inst, uint32_t mask) {
  for (; mask; mask &= mask - 1)
    if (!copyLane(warp, inst, unsigned(std::countr_zero(mask))))
      return false;
  return true;
}

bool prefetch(Warp &warp, const Inst &inst, uint32_t mask) {
  const uint32_t *bytes = lanes<uint32_t>(warp, inst.op[3]);
  for (; mask; mask &= mask - 1) {
    unsigned lane = unsigned(std::countr_zero(mask));
    BulkCopy::Place place;
    if (!bulkPlace(warp, inst, Source, lane, false, place))
      return false;
    if (bytes[lane] % BulkAlignment)
      return warp.block->fail(warp, inst, ReportKind::Misaligned, int(lane),
                              "prefetches " + std::to_string(bytes[lane]) +
                                  " bytes, which is no multiple of " +
                                  std::to_string(BulkAlignment));
    std::string reason;
    if (bytes[lane] && !warp.block->launch.memory->findRange(
                           place.address, bytes[lane], reason))
      return warp.block->failAt(warp, inst, ReportKind::OutOfBounds, int(lane),
                                place.address, reason);
  }
  return true;
}

bool commit(Warp &warp, const Inst &, uint32_t mask) {
  Ordering &ordering = warp.block->cluster.ordering;
  warp.bulkGroups.commit(mask);
  ordering.commit(warp, mask, Ego::Bulk);
  ordering.commit(warp, mask, Ego::BulkRead);
  return true;
}

bool await(Warp &warp, const Inst &inst, uint32_t mask) {
  Cluster &cluster = warp.block->cluster;
  uint32_t pending = uint32_t(inst.offset);
  bool isRead = inst.data & IsRead;
  if (!warp.bulkGroups.await(cluster.async, mask, pending, isRead))
    return false;
  cluster.ordering.awaitGroups(warp, mask, Ego::BulkRead, pending);
  if (!isRead)
    cluster.ordering.awaitGroups(warp, mask, Ego::Bulk, pending);
  return true;
}

constexpr uint32_t GroupEgos =
    1u << unsigned(Ego::Bulk) | 1u << unsigned(Ego::BulkRead);

bool decodeGroups(InstDecoder &d, Inst &inst) {
  inst.cls = InstClass::Control;
  d.program().egos |= GroupEgos;
  if (d.take("commit_group")) {
    inst.handler = &commit;
    return d.finish(0);
  }
  if (!d.take("wait_group"))
    return d.unsupported("modifier '." + d.peek() + "'");
  inst.handler = &await;
  if (d.take("read"))
    inst.data |= IsRead;
  if (!d.finish(1) || !d.immediate(0, inst.offset))
    return false;
  if (inst.offset < 0 || inst.offset > int64_t(~uint32_t(0)))
    return d.failAt(d.operand(0), "expected a number of groups, found " +
                                      std::to_string(inst.offset));
  return true;
}

bool decodePrefetch(InstDecoder &d, Inst &inst) {
  inst.cls = InstClass::Control;
  inst.handler = &prefetch;
  if (!d.take("L2") || !d.take("global"))
    return d.fail("expected '.L2.global'");
  bool hasPolicy = d.take("L2::cache_hint");
  Ref policy;
  return d.finish(hasPolicy ? 3 : 2) &&
         addressOperand(d, 0, Source, AddressKind::Global, inst) &&
         d.source(1, S::U32, inst.op[3]) &&
         (!hasPolicy || d.source(2, S::B64, policy));
}

/// Whether PTX has the reduction of this type to this memory.
bool isReduction(Reduction reduction, ScalarType type, bool isToShared) {
  bool isWord = type == S::U32 || type == S::S32;
  switch (reduction) {
  case Reduction::Add:
    return isWord || type == S::U64 ||
           (!isToShared && (type == S::F32 || type == S::F64 ||
                            type == S::F16 || type == S::BF16));
  case Reduction::Min:
  case Reduction::Max:
    return isWord || (!isToShared && (type == S::U64 || type == S::S64 ||
                                      type == S::F16 || type == S::BF16));
  case Reduction::Inc:
  case Reduction::Dec:
    return type == S::U32;
  default:
    return type == S::B32 || (!isToShared && type == S::B64);
  }
}

bool takeReduction(InstDecoder &d, Inst &inst, bool isToShared) {
  int found =
      d.takeOneOf({"add", "min", "max", "inc", "dec", "and", "or", "xor"});
  if (found < 0)
    return d.unsupported("modifier '." + d.peek() + "'");
  Reduction reduction = Reduction(found + 1);
  bool keepsSubnormals = d.take("noftz");
  ScalarType type = d.takeType();
  if (!isReduction(reduction, type, isToShared))
    return d.unsupported(std::string("the reduction of type '.") + name(type) +
                         "'");
  bool isHalf = type == S::F16 || type == S::BF16;
  if (keepsSubnormals != (isHalf && reduction == Reduction::Add))
    return d.fail("'.noftz' belongs to '.add' of '.f16' and '.bf16', and only "
                  "there");
  inst.count = uint8_t(reduction);
  inst.target = int32_t(type);
  if (!isToShared)
    d.program().communicates = true;
  return true;
}

bool decodeTransfer(InstDecoder &d, Inst &inst, bool isReduction) {
  inst.handler = &copy;
  inst.count = 0;
  AddressKind destination = AddressKind::Global;
  if (d.take("shared::cluster"))
    destination = AddressKind::SharedCluster;
  else if (!isReduction && d.take("shared::cta"))
    destination = AddressKind::SharedBlock;
  else if (!d.take("global"))
    return d.unsupported("modifier '." + d.peek() + "'");
  bool isToShared = destination != AddressKind::Global;
  AddressKind source = AddressKind::Global;
  if (d.take("shared::cta"))
    source = AddressKind::SharedBlock;
  else if (!d.take("global"))
    return d.unsupported("modifier '." + d.peek() + "'");
  bool isFromShared = source != AddressKind::Global;
  bool isBad = isToShared
                   ? isFromShared && destination == AddressKind::SharedBlock
                   : !isFromShared;
  if (isBad || (isReduction && !isFromShared))
    return d.unsupported("a copy between these state spaces");
  const char *completion =
      isToShared ? "mbarrier::complete_tx::bytes" : "bulk_group";
  if (!d.take(completion))
    return d.fail(std::string("expected '.") + completion + "'");
  bool isMulticast = false, hasPolicy = false;
  while (true) {
    if (!isMulticast && !isFromShared &&
        destination == AddressKind::SharedCluster &&
        d.take("multicast::cluster"))
      isMulticast = true;
    else if (!hasPolicy && !(isToShared && isFromShared) &&
             d.take("L2::cache_hint"))
      hasPolicy = true;
    else
      break;
  }
  if (isReduction && !takeReduction(d, inst, isToShared))
    return false;
  unsigned next = 3;
  if (!d.finish(3 + isToShared + isMulticast + hasPolicy) ||
      !addressOperand(d, 0, Destination, destination, inst) ||
      !addressOperand(d, 1, Source, source, inst) ||
      !d.source(2, S::U32, inst.op[3]))
    return false;
  if (isToShared && !addressOperand(d, next++, Barrier, destination, inst))
    return false;
  if (isMulticast && !d.source(next++, S::U16, inst.op[4]))
    return false;
  Ref policy;
  if (hasPolicy && !d.source(next, S::B64, policy))
    return false;
  inst.data |= (isToShared ? ToShared : 0) | (isFromShared ? FromShared : 0) |
               (isMulticast ? IsMulticast : 0);
  inst.cls = isFromShared ? InstClass::SharedLoad : InstClass::GlobalLoad;
  if (!isToShared)
    d.program().egos |= GroupEgos;
  return true;
}

} // namespace

bool decodeBulkCopy(InstDecoder &d, Inst &inst) {
  bool isReduction = d.take("reduce");
  d.take("async");
  d.take("bulk");
  if (!isReduction) {
    if (d.take("prefetch"))
      return decodePrefetch(d, inst);
    if (d.peek() == "commit_group" || d.peek() == "wait_group")
      return decodeGroups(d, inst);
  }
  return decodeTransfer(d, inst, isReduction);
}

} // namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA

#include "LanesEnd.h"
