//===- OpsCopy.cpp - Asynchronous copies of threads -------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// cp.async and what waits for it. One operation under way stands for one
// instruction of a warp; lanes have groups of their own (AsyncGroups). The
// bulk forms are decoded in OpsBulkCopy.cpp and OpsTensorCopy.cpp.
//
//===----------------------------------------------------------------------===//

#include "MemoryRequest.h"
#include "ShadowLoops.h"
#include "SharedOperand.h"

#include <optional>

namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA {

namespace {

using S = ScalarType;

enum CopyFlags : uint32_t {
  MayIgnore = 1 << OperandFlagShift, ///< op[3] is the predicate ignore-src.
  IgnoreNegated = MayIgnore << 1,
  RaisesPending = MayIgnore << 2, ///< Not .noinc.
};

/// The copies of an instruction's lanes.
struct LaneCopies {
  uint64_t target[32], source[32]; ///< Host addresses.
  uint8_t bytes[32];               ///< The rest is zero.
  uint32_t lanes = 0, size = 0;

  bool complete() const {
    for (uint32_t rest = lanes; rest; rest &= rest - 1) {
      unsigned lane = unsigned(std::countr_zero(rest));
      std::byte *to = reinterpret_cast<std::byte *>(target[lane]);
      const void *from = reinterpret_cast<const void *>(source[lane]);
      if (bytes[lane] == 16 && size == 16) {
        std::memcpy(to, from, 16);
        continue;
      }
      if (bytes[lane])
        std::memcpy(to, from, bytes[lane]);
      std::memset(to + bytes[lane], 0, size - bytes[lane]);
    }
    return true;
  }
};

/// Checks and records the sources; the addresses are in `r`. Lanes that read
/// whole sources are one load of the warp; sources in part are rare.
bool readSources(Request &r, LaneCopies &copies) {
  uint32_t whole =
      maskOf(load<uint8_t>(copies.bytes) == uint8_t(copies.size)) & r.mask;
  if (whole == r.mask) {
    Access access;
    finishRequest(r);
    if (!resolveGlobal(r, access))
      return false;
    std::memcpy(copies.source, access.host, sizeof copies.source);
    return true;
  }
  finishRequest(r);
  if (!checkAlignment(r, Space::Global))
    return false;
  countGlobal(r);
  for (uint32_t rest = r.mask; rest; rest &= rest - 1) {
    unsigned lane = unsigned(std::countr_zero(rest));
    std::byte *host = accessGlobal({&r.warp, &r.inst, lane, Ego::Copy},
                                   r.at(lane), copies.bytes[lane], false);
    if (!host)
      return false;
    copies.source[lane] = reinterpret_cast<uint64_t>(host);
  }
  return true;
}

/// Checks and records the writes to the block's shared memory.
bool writeTargets(Request &r, LaneCopies &copies) {
  Warp &warp = r.warp;
  Block &block = *warp.block;
  SharedMemory &shared = block.shared;
  Ordering &ordering = block.cluster.ordering;
  finishRequest(r);
  if (!checkAlignment(r, Space::Shared))
    return false;
  bool isInside = r.high + r.bytes <= shared.size;
  bool isDone = false,
       isFast = isInside && shared.checksRaces && r.bytes >> shared.shift != 0;
  if (block.touchesMbarrier(r.low, r.high - r.low + r.bytes)) [[unlikely]]
    for (uint32_t rest = r.mask; rest; rest &= rest - 1) {
      unsigned lane = unsigned(std::countr_zero(rest));
      if (block.touchesMbarrier(r.at(lane), r.bytes))
        return report(r, ReportKind::MbarrierMisuse, lane, Space::Shared,
                      "there is an mbarrier object");
    }
  if (!r.isSimple() && isInside)
    findPattern(r, PatternGrain::Word);
  countShared(r);
  uint32_t shift = 0;
  std::optional<WarpAccess> a;
  if (isFast) {
    ordering.touch(warp, r.mask, Ego::Copy);
    uint32_t plane = ordering.planeOf({&warp, &r.inst, 0, Ego::Copy});
    a.emplace(shared, ordering.view(warp), tagOf(plane, Scope::Weak, r.inst),
              true, false);
    shift = unsigned(std::countr_zero(r.bytes)) - shared.shift;
    isDone = r.isContiguous
                 ? recordRun(*a, uint32_t(r.low) >> shared.shift, shift)
                 : r.pattern && r.pattern->isDistinct &&
                       recordPattern(*a, *r.pattern,
                                     uint32_t(r.base(PatternGrain::Word)) >>
                                         shared.shift);
  }
  isDone |= isInside && !shared.checksRaces;
  for (uint32_t rest = isDone ? 0 : r.mask; rest; rest &= rest - 1) {
    unsigned lane = unsigned(std::countr_zero(rest));
    if (isFast && recordCells(*a, uint32_t(r.at(lane)) >> shared.shift,
                              uint32_t(1) << shift, uint32_t(1) << lane))
      continue;
    if (!accessShared({&warp, &r.inst, lane, Ego::Copy}, block, r.at(lane),
                      r.bytes, true))
      return false;
  }
  if (shared.checksValid)
    markValid(r, shared.valid.data(), 0);
  Addresses host = r.address + reinterpret_cast<uint64_t>(shared.data.data());
  std::memcpy(copies.target, &host, sizeof host);
  return true;
}

bool copy(Warp &warp, const Inst &inst, uint32_t mask) {
  Block &block = *warp.block;
  uint32_t size = inst.count;
  auto copies = std::make_shared<LaneCopies>();
  copies->lanes = mask;
  copies->size = size;
  uint32_t ignored =
      inst.data & MayIgnore
          ? warp.predicate(inst.op[3]) ^ (inst.data & IgnoreNegated ? ~0u : 0)
          : 0;
  Vec<uint32_t> bytes = select<uint32_t>(ignored, (Vec<uint32_t>)(0u),
                                         get<uint32_t>(warp, inst.op[2]));
  Addresses from = laneAddresses(warp, inst, 1);
  Addresses to = laneAddresses(warp, inst, 0);
  uint32_t outside = maskOf(to >> ClusterRankShift != 0ull) & mask;
  uint32_t tooMany = maskOf(bytes > size) & mask;
  for (uint32_t rest = outside | tooMany; rest; rest &= rest - 1) {
    unsigned lane = unsigned(std::countr_zero(rest));
    if (outside >> lane & 1) {
      SharedPlace place;
      if (!sharedPlace(warp, inst, 0, lane, place))
        return false;
      to[lane] = place.offset;
    }
    if (tooMany >> lane & 1)
      return block.fail(warp, inst, ReportKind::OutOfBounds, int(lane),
                        "reads " + std::to_string(bytes[lane]) +
                            " bytes for a destination of " +
                            std::to_string(size));
  }
  Vec<uint8_t> narrow = __builtin_convertvector(bytes, Vec<uint8_t>);
  std::memcpy(copies->bytes, &narrow, sizeof narrow);
  uint32_t readers = maskOf(bytes != 0u) & mask;
  Request source{warp, inst, readers, AccessKind::Load, size, nullptr, from};
  Request target{warp, inst, mask, AccessKind::Store, size, nullptr, to};
  source.isCopy = target.isCopy = true;
  if ((readers && !readSources(source, *copies)) ||
      !writeTargets(target, *copies))
    return false;
  block.worker.counters.asyncCopyBytes += uint64_t(std::popcount(mask)) * size;
  warp.copyGroups.add(
      block.cluster.async.add([copies] { return copies->complete(); }), mask);
  return true;
}

bool commit(Warp &warp, const Inst &, uint32_t mask) {
  warp.copyGroups.commit(mask);
  warp.block->cluster.ordering.commit(warp, mask, Ego::Copy);
  return true;
}

/// wait_group; wait_all closes the open group first (`count` = 1).
bool await(Warp &warp, const Inst &inst, uint32_t mask) {
  Cluster &cluster = warp.block->cluster;
  bool isAll = inst.count == 1;
  if (isAll)
    warp.copyGroups.commit(mask);
  if (!warp.copyGroups.await(cluster.async, mask, inst.data, false))
    return false;
  cluster.ordering.awaitGroups(warp, mask, Ego::Copy, inst.data, isAll);
  return true;
}

bool arriveAfterCopies(Warp &warp, const Inst &inst, uint32_t mask) {
  struct Late {
    Actor actor;
    SharedPlace place;
    Past past;
  };
  auto arrivals = std::make_shared<std::vector<Late>>();
  Cluster &cluster = warp.block->cluster;
  std::vector<AsyncQueue::Ticket> before;
  for (uint32_t rest = mask; rest; rest &= rest - 1) {
    unsigned lane = unsigned(std::countr_zero(rest));
    Late late{{&warp, &inst, lane}, {}, {}};
    if (!sharedPlace(warp, inst, 0, lane, late.place))
      return false;
    bool isThere =
        inst.data & RaisesPending
            ? raisePending(late.actor, *late.place.block, late.place.offset)
            : accessMbarrier(late.actor, *late.place.block,
                             late.place.offset) != nullptr;
    if (!isThere)
      return false;
    cluster.ordering.releaseEgo(warp, lane, Ego::Copy, late.past);
    arrivals->push_back(std::move(late));
  }
  warp.copyGroups.list(mask, before);
  cluster.async.add([arrivals, before = std::move(before), &cluster] {
    for (AsyncQueue::Ticket ticket : before)
      if (!cluster.async.complete(ticket))
        return false;
    for (const Late &late : *arrivals)
      if (!arriveLate(late.actor, *late.place.block, late.place.offset,
                      late.past))
        return false;
    return true;
  });
  return true;
}

/// Hints in any order. Returns whether a cache policy follows as an operand.
bool takeHints(InstDecoder &d) {
  bool hasPolicy = false;
  while (true) {
    if (!hasPolicy && d.take("L2::cache_hint"))
      hasPolicy = true;
    else if (d.takeOneOf({"L2::64B", "L2::128B", "L2::256B"}) < 0)
      return hasPolicy;
  }
}

bool decodeLaneCopy(InstDecoder &d, Inst &inst) {
  bool isGlobalOnly = d.take("cg");
  if (!isGlobalOnly && !d.take("ca"))
    return d.unsupported("modifier '." + d.peek() + "'");
  if (d.takeOneOf({"shared", "shared::cta"}) < 0 || !d.take("global"))
    return d.fail("expected '.shared.global'");
  bool hasPolicy = takeHints(d);
  int64_t size = 0;
  if (!d.finish(hasPolicy ? 4 : 3, hasPolicy ? 5 : 4) ||
      !addressOperand(d, 0, 0, AddressKind::SharedBlock, inst) ||
      !addressOperand(d, 1, 1, AddressKind::Global, inst) ||
      !d.immediate(2, size))
    return false;
  if (isGlobalOnly ? size != 16 : size != 4 && size != 8 && size != 16)
    return d.failAt(d.operand(2), std::string("expected ") +
                                      (isGlobalOnly ? "16" : "4, 8 or 16") +
                                      " bytes, found " + std::to_string(size));
  inst.cls = InstClass::GlobalLoad;
  inst.count = uint8_t(size);
  inst.handler = &copy;
  d.program().egos |= 1u << unsigned(Ego::Copy);
  unsigned count = d.operandCount() - hasPolicy;
  Ref policy;
  if (hasPolicy && !d.source(count, S::B64, policy))
    return false;
  inst.op[2] = d.constant(uint64_t(size), 4);
  if (count == 3)
    return true;
  if (!d.isPredicate(d.operand(3)))
    return d.source(3, S::U32, inst.op[2]);
  bool isNegated = false;
  inst.data |= MayIgnore;
  if (!d.predicateSource(3, inst.op[3], isNegated))
    return false;
  if (isNegated)
    inst.data |= IgnoreNegated;
  return true;
}

bool decodeArrive(InstDecoder &d, Inst &inst) {
  inst.cls = InstClass::Barrier;
  inst.handler = &arriveAfterCopies;
  d.program().egos |= 1u << unsigned(Ego::Copy);
  if (!d.take("arrive"))
    return d.unsupported("modifier '." + d.peek() + "'");
  if (!d.take("noinc"))
    inst.data |= RaisesPending;
  AddressKind kind = d.takeOneOf({"shared", "shared::cta"}) >= 0
                         ? AddressKind::SharedBlock
                         : AddressKind::Generic;
  ScalarType type;
  return d.requireType(type, {S::B64}) && d.finish(1) &&
         addressOperand(d, 0, 0, kind, inst);
}

bool decodeCopy(InstDecoder &d, Inst &inst) {
  // "bulk" and "tensor" stand behind "async" or "reduce.async".
  size_t first = d.peek() == "reduce" ? 2 : 1;
  if (d.peek(first) == "bulk") {
    bool isTensor =
        d.peek(first + 1) == "tensor" ||
        (d.peek(first + 1) == "prefetch" && d.peek(first + 2) == "tensor");
    return isTensor ? decodeTensorCopy(d, inst) : decodeBulkCopy(d, inst);
  }
  if (!d.take("async"))
    return d.unsupported("modifier '." + d.peek() + "'");
  if (d.take("mbarrier"))
    return decodeArrive(d, inst);
  inst.cls = InstClass::Control;
  if (d.take("commit_group")) {
    inst.handler = &commit;
    d.program().egos |= 1u << unsigned(Ego::Copy);
    return d.finish(0);
  }
  if (d.take("wait_all")) {
    inst.handler = &await;
    return d.finish(0);
  }
  if (d.take("wait_group")) {
    inst.handler = &await;
    inst.count = 0;
    int64_t pending = 0;
    if (!d.finish(1) || !d.immediate(0, pending))
      return false;
    if (pending < 0 || pending > int64_t(~uint32_t(0)))
      return d.failAt(d.operand(0), "expected a number of groups, found " +
                                        std::to_string(pending));
    inst.data = uint32_t(pending);
    return true;
  }
  return decodeLaneCopy(d, inst);
}

} // namespace

void addCopyOpcodes(OpcodeTable &table) { table["cp"] = &decodeCopy; }

} // namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA

#include "LanesEnd.h"
