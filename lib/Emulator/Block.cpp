//===- Block.cpp - Running a block ------------------------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Warps in turn, and the lanes of a warp in splits; see Execution.h.
//
//===----------------------------------------------------------------------===//

#include "Cluster.h"
#include "Warpgroup.h"

#include <algorithm>
#include <bit>

using namespace ropewalk::emulator;

Worker::Worker(const Launch &launch)
    : warpCount(launch.program->code.size()),
      laneCount(launch.program->code.size()),
      lineTraffic(launch.program->code.size()),
      cache(launch.program->code.size()), patterns(launch.program->code.size()),
      order(launch.program->communicates ? new GlobalOrder : nullptr),
      shadow(launch.options.checkRaces ? new GlobalShadow(order.get())
                                       : nullptr) {}

Block::Block(Cluster &cluster, uint32_t rank)
    : cluster(cluster), rank(rank), launch(cluster.launch),
      program(*cluster.launch.program), worker(cluster.worker) {}

void Block::start(Dim3 place) {
  position = place;
  index =
      (uint64_t(place.z) * launch.grid.y + place.y) * launch.grid.x + place.x;
  uint32_t threads = uint32_t(launch.block.count());
  uint32_t warpCount = (threads + 31) / 32;
  // Rows start at multiples of 64 within a block of registers.
  size_t rowBytes = (size_t(program.registerBytes) + 63) / 64 * 64;
  registers.assign(rowBytes * warpCount + 64, std::byte(0));
  uintptr_t first = (reinterpret_cast<uintptr_t>(registers.data()) + 63) & ~63;
  shared.reset(launch.allocatedShared(), cluster.ordering,
               launch.options.checkRaces,
               launch.options.checkUninitializedMemory);
  // Cooperative groups clear single bits of what system software has left.
  if (launch.reservedShared && launch.options.checkUninitializedMemory)
    std::fill_n(shared.valid.begin() + launch.reservedOffset(),
                launch.reservedShared, 1);
  local.assign(size_t(launch.localStride()) * warpCount * 32, std::byte(0));
  localValid.assign(launch.options.checkUninitializedMemory ? local.size() : 0,
                    0);
  warps.resize(warpCount);
  for (uint32_t i = 0; i < warpCount; ++i) {
    Warp &warp = warps[i];
    warp.bank[0] = reinterpret_cast<std::byte *>(first) + rowBytes * i;
    warp.bank[1] = const_cast<std::byte *>(program.constants.data());
    warp.block = this;
    warp.index = i;
    uint32_t count = std::min<uint32_t>(threads - i * 32, 32);
    warp.lanes = count == 32 ? ~uint32_t(0) : (uint32_t(1) << count) - 1;
    warp.live = warp.lanes;
    warp.state = Warp::Ready;
    warp.carry = 0;
    warp.isBlocked = warp.yields = false;
    warp.vainAt = ~uint64_t(0);
    warp.splits.assign(1, Split());
    warp.splits[0].state = Split::Running;
    warp.splits[0].mask = warp.lanes;
    warp.current = 0;
    warp.initialized.assign(program.trackedCount, 0);
    warp.copyGroups.clear();
    warp.bulkGroups.clear();
    warp.poll = MbarrierPoll();
    warp.clusterArrived = 0;
    std::fill(std::begin(warp.clusterWaits), std::end(warp.clusterWaits), 0);
    setSpecials(warp);
  }
  for (Barrier &barrier : barriers)
    barrier.clear();
  if (program.usesWarpgroups)
    startWarpgroups(*this);
  mbarriers.clear();
  flights.clear();
  hadFlights = false;
  ended.clear();
  executed = clockReads = 0;
  report = Report();
}

/// Of the chip that the code is for: an H100 or an A100.
static uint32_t multiprocessors(const Launch &launch) {
  return launch.kernel->module->target.substr(0, 5) == "sm_90" ? 132 : 108;
}

void Block::setSpecials(Warp &warp) {
  for (auto [special, offset] : program.specials) {
    uint32_t *row = reinterpret_cast<uint32_t *>(warp.bank[0] + offset);
    for (uint32_t lane = 0; lane < 32; ++lane) {
      uint32_t thread = warp.index * 32 + lane;
      const Dim3 &size = launch.block;
      uint32_t bit = uint32_t(1) << lane;
      uint32_t value = 0;
      switch (special) {
      case SpecialRegister::TidX:
        value = thread % size.x;
        break;
      case SpecialRegister::TidY:
        value = thread / size.x % size.y;
        break;
      case SpecialRegister::TidZ:
        value = thread / size.x / size.y;
        break;
      case SpecialRegister::NtidX:
        value = size.x;
        break;
      case SpecialRegister::NtidY:
        value = size.y;
        break;
      case SpecialRegister::NtidZ:
        value = size.z;
        break;
      case SpecialRegister::CtaidX:
        value = position.x;
        break;
      case SpecialRegister::CtaidY:
        value = position.y;
        break;
      case SpecialRegister::CtaidZ:
        value = position.z;
        break;
      case SpecialRegister::NctaidX:
        value = launch.grid.x;
        break;
      case SpecialRegister::NctaidY:
        value = launch.grid.y;
        break;
      case SpecialRegister::NctaidZ:
        value = launch.grid.z;
        break;
      case SpecialRegister::LaneId:
        value = lane;
        break;
      case SpecialRegister::WarpId:
        value = warp.index;
        break;
      case SpecialRegister::NwarpId:
        value = uint32_t(warps.size());
        break;
      case SpecialRegister::LanemaskEq:
        value = bit;
        break;
      case SpecialRegister::LanemaskLe:
        value = bit | (bit - 1);
        break;
      case SpecialRegister::LanemaskLt:
        value = bit - 1;
        break;
      case SpecialRegister::LanemaskGe:
        value = ~(bit - 1);
        break;
      case SpecialRegister::LanemaskGt:
        value = ~(bit | (bit - 1));
        break;
      case SpecialRegister::DynamicSharedSize:
        value = launch.dynamicShared;
        break;
      case SpecialRegister::TotalSharedSize:
        value = launch.sharedBytes;
        break;
      case SpecialRegister::SmId:
        value = uint32_t(index % multiprocessors(launch));
        break;
      case SpecialRegister::NsmId:
        value = multiprocessors(launch);
        break;
      case SpecialRegister::ClusterIdX:
        value = position.x / launch.cluster.x;
        break;
      case SpecialRegister::ClusterIdY:
        value = position.y / launch.cluster.y;
        break;
      case SpecialRegister::ClusterIdZ:
        value = position.z / launch.cluster.z;
        break;
      case SpecialRegister::NclusterIdX:
        value = launch.grid.x / launch.cluster.x;
        break;
      case SpecialRegister::NclusterIdY:
        value = launch.grid.y / launch.cluster.y;
        break;
      case SpecialRegister::NclusterIdZ:
        value = launch.grid.z / launch.cluster.z;
        break;
      case SpecialRegister::ClusterCtaidX:
        value = clusterPosition.x;
        break;
      case SpecialRegister::ClusterCtaidY:
        value = clusterPosition.y;
        break;
      case SpecialRegister::ClusterCtaidZ:
        value = clusterPosition.z;
        break;
      case SpecialRegister::ClusterNctaidX:
        value = launch.cluster.x;
        break;
      case SpecialRegister::ClusterNctaidY:
        value = launch.cluster.y;
        break;
      case SpecialRegister::ClusterNctaidZ:
        value = launch.cluster.z;
        break;
      case SpecialRegister::ClusterCtaRank:
        value = rank;
        break;
      case SpecialRegister::ClusterNctaRank:
        value = uint32_t(launch.cluster.count());
        break;
      case SpecialRegister::ReservedBegin:
      case SpecialRegister::ReservedFirst:
        value = launch.reservedOffset();
        break;
      case SpecialRegister::ReservedEnd:
        value = launch.reservedOffset() + launch.reservedShared;
        break;
      case SpecialRegister::ReservedSecond:
        value = launch.reservedOffset() + launch.reservedShared / 2;
        break;
      case SpecialRegister::WorkspaceHigh:
        value = uint32_t(launch.workspace >> 32);
        break;
      case SpecialRegister::WorkspaceLow:
        value = uint32_t(launch.workspace);
        break;
      case SpecialRegister::IsExplicitCluster: {
        const KernelInfo &info = launch.kernel->info;
        bool isExplicit = launch.cluster.count() > 1 ||
                          info.requiredCluster.count() ||
                          info.hasExplicitCluster;
        value = isExplicit ? ~uint32_t(0) : 0;
        break;
      }
      }
      row[lane] = value;
    }
  }
}

bool Block::fail(const Warp &warp, const Inst &inst, ReportKind kind, int lane,
                 std::string detail) {
  report.kind = kind;
  report.kernel = launch.kernel->info.name;
  report.detail = "'" + program.opcodes[inst.id] + "' " + std::move(detail);
  report.location = inst.location;
  report.source = sourceOf(*launch.kernel->module, inst);
  report.inlinedAt = callersOf(*launch.kernel->module, inst);
  report.block = int64_t(index);
  report.blockIndex = position;
  report.warp = int(warp.index);
  report.lane = lane;
  return false;
}

bool Block::failAt(const Warp &warp, const Inst &inst, ReportKind kind,
                   int lane, uint64_t address, std::string detail) {
  report.hasAddress = true;
  report.address = address;
  return fail(warp, inst, kind, lane, std::move(detail));
}

bool Block::checkRegisters(Warp &warp, const Inst &inst, uint32_t mask) {
  const uint32_t *list = program.tracked.data() + inst.trackBegin;
  uint32_t clean = ~uint32_t(0);
  uint32_t culprit = 0;
  for (unsigned i = 0; i < inst.trackReads; ++i) {
    uint32_t missing = mask & ~warp.initialized[list[i]];
    if (i + inst.trackOptional >= inst.trackReads)
      missing &= warp.predicate(inst.optionalWhere) ^ inst.optionalFlip;
    clean &= ~missing;
    if (missing)
      culprit = list[i];
  }
  if (!inst.copiesBits && (mask & ~clean))
    return fail(warp, inst, ReportKind::UninitializedRegister,
                std::countr_zero(mask & ~clean),
                "reads register " + program.trackedNames[culprit] +
                    " before it is written");
  // A shuffle may write what it reads; its handler sees to both.
  if (inst.kind == InstKind::WarpSync && inst.trackOptional)
    return true;
  uint32_t after = inst.copiesBits ? clean : ~uint32_t(0);
  for (unsigned i = 0; i < inst.trackWrites; ++i) {
    uint32_t &bits = warp.initialized[list[inst.trackReads + i]];
    bits = (bits & ~mask) | (after & mask);
  }
  return true;
}

Block::WarpStatus Block::runWarp(Warp &warp, uint64_t quantum) {
  const Inst *code = program.code.data();
  const bool checksRegisters = launch.options.checkUninitializedRegisters;
  Counters &counters = worker.counters;
  if (warp.splits[warp.current].state != Split::Running && !select(warp)) {
    bool failed = false;
    if (!wake(warp, failed) || !select(warp))
      return failed ? WarpFailed : WarpBlocked;
  }
  uint64_t left = quantum;
  while (true) {
    // A straight run of one split.
    Split *split = &warp.splits[warp.current];
    int32_t pc = split->pc;
    const int32_t meet = split->reconverge;
    const uint32_t active = split->mask;
    bool switches = false;
    while (!switches) {
      if (left == 0) {
        split->pc = pc;
        executed += quantum;
        rotate(warp);
        return WarpYielded;
      }
      --left;
      const Inst &inst = code[pc];
      uint32_t mask = active;
      if (inst.guard != NoRow)
        mask &= warp.predicate(inst.guard) ^ inst.guardFlip;
      ++worker.warpCount[pc];
      worker.laneCount[pc] += uint32_t(std::popcount(mask));
      if (checksRegisters && (inst.trackReads | inst.trackWrites))
          [[unlikely]] {
        // A guard is read by all active lanes.
        uint32_t readers = inst.kind == InstKind::Branch ? active : mask;
        if (readers && !checkRegisters(warp, inst, readers))
          return WarpFailed;
      }
      switch (inst.kind) {
      case InstKind::Plain:
        if (mask && !inst.handler(warp, inst, mask)) [[unlikely]]
          return WarpFailed;
        ++pc;
        break;
      case InstKind::Branch: {
        ++counters.branches;
        uint32_t others = active & ~mask;
        if (others == 0 || inst.target == pc + 1) {
          pc = inst.target;
        } else if (mask == 0) {
          ++pc;
        } else {
          ++counters.divergentBranches;
          ++worker.lineTraffic[pc].divergentBranches;
          split->pc = pc;
          diverge(warp, inst.reconverge, inst.target, mask, pc + 1, others);
          switches = true;
          continue;
        }
        break;
      }
      case InstKind::IndexedBranch: {
        // One side of the lanes that go where the first goes, one of the rest,
        // which comes here again.
        ++counters.branches;
        if (mask != active)
          return fail(warp, inst, ReportKind::Unsupported,
                      std::countr_zero(active & ~mask),
                      "under a guard that not all lanes pass"),
                 WarpFailed;
        const uint32_t *indices = reinterpret_cast<const uint32_t *>(
            warp.bank[inst.op[1].bank] + inst.op[1].offset);
        unsigned first = unsigned(std::countr_zero(mask));
        uint32_t same = 0;
        for (uint32_t rest = mask; rest; rest &= rest - 1) {
          unsigned lane = unsigned(std::countr_zero(rest));
          if (indices[lane] >= inst.targets.size())
            return fail(warp, inst, ReportKind::OutOfBounds, int(lane),
                        "index " + std::to_string(indices[lane]) + " of " +
                            std::to_string(inst.targets.size()) + " targets"),
                   WarpFailed;
          if (indices[lane] == indices[first])
            same |= uint32_t(1) << lane;
        }
        int32_t target = int32_t(inst.targets[indices[first]]);
        if (same != mask) {
          ++counters.divergentBranches;
          ++worker.lineTraffic[pc].divergentBranches;
          split->pc = pc;
          // The rest returns to this instruction.
          diverge(warp, inst.reconverge, target, same, pc, mask & ~same);
          switches = true;
          continue;
        }
        pc = target;
        break;
      }
      case InstKind::Exit: {
        if (mask == 0) {
          ++pc;
          break;
        }
        warp.live &= ~mask;
        for (int32_t up = warp.current; up >= 0; up = warp.splits[up].parent)
          warp.splits[up].mask &= ~mask;
        if (split->mask) {
          split->pc = pc + 1;
          if (split->pc == meet)
            leave(warp, warp.current);
        } else {
          leave(warp, warp.current);
        }
        switches = true;
        continue;
      }
      case InstKind::Barrier:
        if (mask == 0) {
          ++pc;
          break;
        }
        split->pc = pc;
        if (mask != warp.live && mask == active) {
          // Counted when it gets through.
          --worker.warpCount[pc];
          worker.laneCount[pc] -= uint32_t(std::popcount(mask));
          split->state = Split::Held;
          switches = true;
          continue;
        }
        if (!arrive(warp, inst, mask))
          return WarpFailed;
        if (warp.state == Warp::AtBarrier) {
          executed += quantum - left;
          return WarpBlocked;
        }
        pc = split->pc;
        switches = split->state != Split::Running;
        continue;
      case InstKind::Together:
        if (mask && mask != warp.live && mask == active) {
          --worker.warpCount[pc];
          worker.laneCount[pc] -= uint32_t(std::popcount(mask));
          split->pc = pc;
          split->state = Split::Held;
          switches = true;
          continue;
        }
        [[fallthrough]];
      case InstKind::Waiting:
        if (mask) {
          if (!inst.handler(warp, inst, mask)) [[unlikely]]
            return WarpFailed;
          if (warp.isBlocked) {
            // Counted once, when it gets through.
            --worker.warpCount[pc];
            worker.laneCount[pc] -= uint32_t(std::popcount(mask));
            split->pc = pc;
            executed += quantum - left;
            if (!rotate(warp)) {
              // A barrier of the cluster may wait for no others.
              if (!retire(warp))
                return WarpBlocked;
              ++cluster.progress;
            }
            warp.isBlocked = false;
            return WarpYielded;
          }
        }
        ++pc;
        break;
      case InstKind::Aligned:
        if (mask == ~uint32_t(0)) [[likely]] {
          if (!inst.handler(warp, inst, mask)) [[unlikely]]
            return WarpFailed;
          ++pc;
          break;
        }
        if (mask == 0) {
          ++pc;
          break;
        }
        if (warp.live != ~uint32_t(0) || mask != active)
          return fail(warp, inst, ReportKind::WarpSync, std::countr_zero(~mask),
                      "needs all 32 lanes of the warp, and this one does not "
                      "take part"),
                 WarpFailed;
        split->pc = pc;
        split->member = ~uint32_t(0);
        split->state = Split::Parked;
        switches = true;
        continue;
      case InstKind::WarpSync: {
        if (mask == 0) {
          ++pc;
          break;
        }
        const uint32_t *members = reinterpret_cast<const uint32_t *>(
            warp.bank[inst.member.bank] + inst.member.offset);
        uint32_t member = members[std::countr_zero(mask)];
        uint32_t same = 0;
        for (uint32_t lane = 0; lane < 32; ++lane)
          same |= uint32_t(members[lane] == member) << lane;
        if ((mask & ~same) == 0 && (member & warp.live) == mask) [[likely]] {
          if (!inst.handler(warp, inst, mask))
            return WarpFailed;
          ++pc;
          break;
        }
        split->pc = pc;
        bool failed = false;
        if (synchronizeGroups(warp, inst, mask, failed)) {
          ++pc;
          break;
        }
        if (failed)
          return WarpFailed;
        switches = true;
        continue;
      }
      }
      if (pc == meet) {
        split->pc = pc;
        leave(warp, warp.current);
        switches = true;
      }
      if (warp.yields) [[unlikely]] {
        quantum -= left;
        left = 0;
        warp.yields = false;
      }
    }
    if (select(warp))
      continue;
    if (warp.live == 0) {
      warp.state = Warp::Done;
      executed += quantum - left;
      return warpgroups && !leaveWarpgroup(warp) ? WarpFailed : WarpBlocked;
    }
    bool failed = false;
    if (wake(warp, failed) && select(warp))
      continue;
    if (failed)
      return WarpFailed;
    return fail(warp, code[0], ReportKind::Deadlock, -1,
                "lost its lanes; this is a defect of the emulator"),
           WarpFailed;
  }
}
