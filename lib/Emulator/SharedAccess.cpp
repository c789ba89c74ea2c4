//===- SharedAccess.cpp - Accesses to shared memory -------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Bounds, initialization and races of the shared memory of a block or of others
// of its cluster.
//
//===----------------------------------------------------------------------===//

#include "MemoryRequest.h"
#include "ShadowLoops.h"

namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA {

namespace {

/// The access of one lane that the loops could not settle. Stores of the lanes
/// before `lane`, from `stored` on, are carried out first: they count as what
/// is there.
bool checkLane(const Request &r, Block &owner, unsigned lane,
               unsigned &stored) {
  std::byte values[16];
  Actor actor{&r.warp, &r.inst, lane};
  actor.scope = r.scope();
  Accessor a(actor, r.warp.block->cluster.ordering, r.kind != AccessKind::Load);
  if (r.isStrong() && a.isWrite && hasFences(r))
    a.epoch = r.warp.block->cluster.sync.storeTime(r.warp, lane, a.epoch);
  if (r.values.read) {
    for (; stored < lane; ++stored)
      if (r.mask >> stored & 1) {
        r.values.read(r.warp, r.inst, stored, values);
        std::memcpy(owner.shared.data.data() + r.at(stored), values, r.bytes);
      }
    r.values.read(r.warp, r.inst, lane, values);
    a.values = values;
  }
  Conflict conflict;
  return owner.shared.access(a, uint32_t(r.at(lane)), r.bytes, conflict) ||
         reportConflict(a, Space::Shared, conflict);
}

bool checkRaces(const Request &r, Block &owner) {
  SharedMemory &shared = owner.shared;
  Ordering &ordering = r.warp.block->cluster.ordering;
  const bool isWrite = r.kind != AccessKind::Load, isStrong = r.isStrong();
  if (r.bytes >> shared.shift == 0)
    shared.refine(r.bytes);
  ordering.touch(r.warp, r.mask);
  shared.hasVisitors |= r.warp.block != &owner;
  const View &view = ordering.view(r.warp);
  WarpAccess a(shared, view, tagOf(view.plane, r.scope(), r.inst), isWrite,
               isStrong);
  // After a fence, strong stores are recorded at times of their own.
  bool isFast =
      !isStrong || (!shared.hasVisitors && !(isWrite && hasFences(r)));
  unsigned shift = std::countr_zero(r.bytes) - shared.shift;
  if (isFast && r.isContiguous &&
      recordRun(a, uint32_t(r.low) >> shared.shift, shift))
    return true;
  uint32_t count = uint32_t(1) << shift;
  if (isFast && r.isUniform() && (!isWrite || isStrong || storesSame(r)) &&
      recordCells(a, uint32_t(r.low) >> shared.shift, count, r.mask))
    return true;
  if (isFast && r.pattern && (!isWrite || r.pattern->isDistinct) &&
      recordPattern(a, *r.pattern,
                    uint32_t(r.base(PatternGrain::Word)) >> shared.shift))
    return true;
  unsigned stored = 0;
  for (uint32_t rest = r.mask; rest; rest &= rest - 1) {
    unsigned lane = std::countr_zero(rest);
    if (isFast && recordCells(a, uint32_t(r.at(lane)) >> shared.shift, count,
                              uint32_t(1) << lane))
      continue;
    if (!checkLane(r, owner, lane, stored))
      return false;
  }
  return true;
}

bool reportBeyond(const Request &r, unsigned lane, const Block &owner) {
  return report(
      r, ReportKind::OutOfBounds, lane, Space::Shared,
      std::to_string(r.bytes) + " bytes beyond the " +
          (r.warp.block == &owner
               ? std::string("block's ")
               : "other block " + std::to_string(owner.index) + "'s ") +
          std::to_string(owner.shared.size) + " bytes of shared memory");
}

bool resolveShared(Request &r, Access &access, Block &owner) {
  SharedMemory &shared = owner.shared;
  if (r.low + r.bytes > shared.size || r.high + r.bytes > shared.size ||
      r.high >= WindowBytes) [[unlikely]] {
    for (uint32_t rest = r.mask; rest; rest &= rest - 1) {
      unsigned lane = std::countr_zero(rest);
      if (r.at(lane) >= WindowBytes || r.at(lane) + r.bytes > shared.size)
        return reportBeyond(r, lane, owner);
    }
  }
  if (!checkAlignment(r, Space::Shared))
    return false;
  if (owner.touchesMbarrier(r.low, r.high - r.low + r.bytes)) [[unlikely]]
    for (uint32_t rest = r.mask; rest; rest &= rest - 1) {
      unsigned lane = std::countr_zero(rest);
      if (owner.touchesMbarrier(r.at(lane), r.bytes))
        return report(r, ReportKind::MbarrierMisuse, lane, Space::Shared,
                      "there is an mbarrier object");
    }
  if (!r.isSimple())
    findPattern(r, PatternGrain::Word);
  if (shared.checksValid) {
    if (r.kind != AccessKind::Store) {
      unsigned lane = findInvalid(r, shared.valid.data(), 0);
      if (lane < 32)
        return report(r, ReportKind::UninitializedMemory, lane, Space::Shared,
                      "no thread has written these bytes");
    }
    if (r.kind != AccessKind::Load)
      markValid(r, shared.valid.data(), 0);
  }
  if (shared.checksRaces && !checkRaces(r, owner))
    return false;
  countShared(r);
  Addresses host = r.address + reinterpret_cast<uint64_t>(shared.data.data());
  std::memcpy(access.host, &host, sizeof host);
  access.sharedLanes = r.mask;
  if (r.isStrong())
    synchronize(r, owner.rank, access);
  return true;
}

/// The block of the lane's address, whose place becomes `offset`; null after a
/// report.
Block *findOwner(const Request &r, unsigned lane, Space space,
                 uint64_t &offset) {
  Block &block = *r.warp.block;
  const auto &blocks = block.cluster.blocks;
  uint64_t rank = r.at(lane) >> ClusterRankShift;
  // Without other blocks in reach a wild address is just that.
  bool isOwn = rank == 0 || rank == block.rank + 1;
  if (r.at(lane) >= WindowBytes ||
      (!isOwn && (space == Space::Shared || blocks.size() == 1))) {
    reportBeyond(r, lane, block);
    return nullptr;
  }
  Block *owner = nullptr;
  if (!findSharedPlace(r.warp, r.inst, lane, r.at(lane), false, false, owner,
                       offset))
    return nullptr;
  if (owner != &block && owner->hasExited()) {
    report(r, ReportKind::ClusterMisuse, lane, Space::SharedCluster,
           "block " + std::to_string(owner->index) +
               ", whose memory this is, has exited");
    return nullptr;
  }
  return owner;
}

} // namespace

bool resolveCluster(Request &r, Space space, Access &access) {
  if (r.high + r.bytes <= uint64_t(1) << ClusterRankShift) [[likely]]
    return resolveShared(r, access, *r.warp.block);
  Block *owners[32];
  uint64_t offsets[32];
  for (uint32_t rest = r.mask; rest; rest &= rest - 1) {
    unsigned lane = unsigned(std::countr_zero(rest));
    owners[lane] = findOwner(r, lane, space, offsets[lane]);
    if (!owners[lane])
      return false;
  }
  for (uint32_t rest = r.mask; rest;) {
    Block *owner = owners[std::countr_zero(rest)];
    uint32_t group = 0;
    forLanes(rest, [&](unsigned lane) {
      group |= uint32_t(owners[lane] == owner) << lane;
    });
    Request part{r.warp,
                 r.inst,
                 group,
                 r.kind,
                 r.bytes,
                 r.values,
                 load<uint64_t>(offsets)};
    part.isCopy = r.isCopy;
    finishRequest(part);
    Access partial;
    if (!resolveShared(part, partial, *owner))
      return false;
    if (group == r.mask) {
      partial.isContiguous = part.isContiguous;
      partial.isUniform = part.isUniform();
    }
    merge(access, partial, group);
    if (group == r.mask)
      return true;
    rest &= ~group;
  }
  access.isContiguous = access.isUniform = false;
  return true;
}

} // namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA

#include "LanesEnd.h"
