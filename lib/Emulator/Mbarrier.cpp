//===- Mbarrier.cpp - Barrier objects in shared memory ----------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// See Mbarrier.h. The state that an arrival returns holds the pending count in
// bits 0 to 19, the place of the object (offset / 8 + 1) in bits 20 to 39 and
// the phase above, so that a state of another barrier or of a phase long gone
// is told from a good one.
//
//===----------------------------------------------------------------------===//

#include "Mbarrier.h"
#include "BulkCopy.h"

#include <algorithm>
#include <bit>

using namespace ropewalk::emulator;

namespace {

/// What the bytes of an object hold.
constexpr uint64_t Pattern = 0x6d62617272696572;

constexpr unsigned PlaceShift = 20, PhaseShift = 40;
constexpr uint64_t PhaseMask = (uint64_t(1) << 24) - 1;

bool misuse(const Actor &actor, uint64_t address, std::string detail) {
  return actor.warp->block->failAt(*actor.warp, *actor.inst,
                                   ReportKind::MbarrierMisuse, int(actor.lane),
                                   address, std::move(detail));
}

std::string initialized(const Mbarrier &barrier) {
  return "the barrier that line " + std::to_string(barrier.location.line) +
         " initialized";
}

void raise(std::vector<Time> &into, const std::vector<Time> &from) {
  into.resize(std::max(into.size(), from.size()));
  for (size_t i = 0; i < from.size(); ++i)
    into[i] = std::max(into[i], from[i]);
}

/// Goes on to the next phase if nothing is outstanding.
void update(Block &owner, Mbarrier &barrier) {
  ++owner.cluster.progress;
  if (barrier.pending || barrier.tx)
    return;
  ++barrier.phase;
  barrier.pending = barrier.total = barrier.expected;
  barrier.past[barrier.phase & 1].clear();
}

uint64_t stateOf(const Mbarrier &barrier) {
  return barrier.pending | uint64_t(barrier.offset / 8 + 1) << PlaceShift |
         (barrier.phase & PhaseMask) << PhaseShift;
}

/// Finds the object for an operation whose right to touch it has been checked.
Mbarrier *findLive(const Actor &actor, Block &owner, uint64_t address) {
  if (Mbarrier *barrier = owner.mbarriers.find(address))
    return barrier;
  if (Mbarrier *other = owner.mbarriers.overlapping(address, MbarrierBytes))
    misuse(actor, address,
           "needs a multiple of 8, the address of an mbarrier; there is one "
           "at offset " +
               std::to_string(other->offset));
  else
    misuse(actor, address,
           "finds no mbarrier there: it was never initialized, or it was "
           "invalidated");
  return nullptr;
}

bool changeBytes(const Actor &actor, Block &, uint64_t address,
                 Mbarrier &barrier, int64_t bytes) {
  int64_t sum = barrier.tx + bytes;
  if (bytes < -int64_t(MaxMbarrierCount) || bytes > MaxMbarrierCount ||
      sum < -int64_t(MaxMbarrierCount) || sum > MaxMbarrierCount)
    return misuse(actor, address,
                  "changes the outstanding bytes of " + initialized(barrier) +
                      " from " + std::to_string(barrier.tx) + " by " +
                      std::to_string(bytes) + ", beyond the limit of " +
                      std::to_string(MaxMbarrierCount));
  barrier.tx = int32_t(sum);
  return true;
}

bool arrive(const Actor &actor, uint64_t address, Mbarrier &barrier,
            const Arrival &arrival) {
  if (arrival.count == 0 || arrival.count > MaxMbarrierCount)
    return misuse(actor, address,
                  "arrives " + std::to_string(arrival.count) +
                      " times, which is not in 1 to " +
                      std::to_string(MaxMbarrierCount));
  if (arrival.count > barrier.pending)
    return misuse(actor, address,
                  "arrives " + std::to_string(arrival.count) + " times at " +
                      initialized(barrier) + ", which is in " +
                      barrier.state());
  if (arrival.drops && arrival.count >= barrier.expected)
    return misuse(actor, address,
                  "leaves no arrivals for the next phases of " +
                      initialized(barrier) + ": it expects " +
                      std::to_string(barrier.expected) + " and " +
                      std::to_string(arrival.count) + " are dropped");
  if (!arrival.mayComplete && arrival.count == barrier.pending &&
      barrier.tx == 0)
    return misuse(actor, address,
                  "completes phase " + std::to_string(barrier.phase) + " of " +
                      initialized(barrier) + " though it says .noComplete");
  barrier.pending -= arrival.count;
  if (arrival.drops)
    barrier.expected -= arrival.count;
  return true;
}

} // namespace

std::string Mbarrier::state() const {
  return "phase " + std::to_string(phase) + " (parity " +
         std::to_string(phase & 1) + "), where " +
         std::to_string(total - pending) + " of " + std::to_string(total) +
         " arrivals have come and " + std::to_string(tx) +
         " bytes are outstanding";
}

Mbarrier *MbarrierTable::find(uint64_t offset) {
  for (Mbarrier &barrier : objects)
    if (barrier.offset == offset)
      return &barrier;
  return nullptr;
}

Mbarrier *MbarrierTable::overlapping(uint64_t offset, uint64_t bytes) {
  // The first that ends after the start of the range.
  auto found = std::upper_bound(objects.begin(), objects.end(), offset,
                                [](uint64_t place, const Mbarrier &barrier) {
                                  return place < barrier.offset + MbarrierBytes;
                                });
  return found != objects.end() && found->offset < offset + bytes ? &*found
                                                                  : nullptr;
}

Mbarrier &MbarrierTable::add(uint32_t offset) {
  auto place = std::lower_bound(objects.begin(), objects.end(), offset,
                                [](const Mbarrier &barrier, uint32_t value) {
                                  return barrier.offset < value;
                                });
  Mbarrier &barrier = *objects.emplace(place);
  barrier.offset = offset;
  return barrier;
}

void MbarrierTable::remove(uint32_t offset) {
  std::erase_if(objects, [&](const Mbarrier &barrier) {
    return barrier.offset == offset;
  });
}

bool Block::touchesMbarrier(uint64_t offset, uint64_t bytes) {
  return !mbarriers.objects.empty() && mbarriers.overlapping(offset, bytes);
}

bool ropewalk::emulator::knowsTouches(const Actor &actor, Block &owner,
                                      const Mbarrier &barrier,
                                      Report::Party &other) {
  Cluster &cluster = owner.cluster;
  for (uint32_t warp = 0; warp < barrier.touches.size(); ++warp) {
    const Mbarrier::Touch &touch = barrier.touches[warp];
    // Pipelines of the CUDA library count down warp by warp, by a lane that a
    // match.any.sync elects. That orders no memory, but the operations of the
    // other lanes are over: to know of one lane is enough.
    bool isKnown = touch.lanes == 0;
    for (unsigned lane = 0; lane < 32 && !isKnown; ++lane)
      isKnown = cluster.ordering.isOver(*actor.warp, actor.lane, warp, lane,
                                        touch.time);
    if (isKnown)
      continue;
    uint32_t warps = uint32_t(owner.warps.size());
    other = {int64_t(cluster.blocks[warp / warps]->index), int(warp % warps),
             int(std::countr_zero(touch.lanes)), touch.inst->location,
             sourceOf(*owner.launch.kernel->module, *touch.inst)};
    return false;
  }
  return true;
}

namespace {

std::string sourceOfInit(const Block &owner, const Mbarrier &barrier) {
  for (const Inst &inst : owner.program.code)
    if (inst.location.line == barrier.location.line &&
        inst.location.column == barrier.location.column)
      return sourceOf(*owner.launch.kernel->module, inst);
  return {};
}

/// Whether the lane knows of the initialization.
bool knowsInit(const Actor &actor, Block &owner, uint64_t address,
               const Mbarrier &barrier) {
  const Warp &warp = *actor.warp;
  if ((barrier.isFenced &&
       warp.clusterWaits[actor.lane] > barrier.fencePhase) ||
      owner.cluster.ordering.knows(warp, actor.lane, barrier.initWarp,
                                   barrier.initLane, barrier.initTime))
    return true;
  Block &block = *warp.block;
  block.report.other = {
      int64_t(owner.index), int(barrier.initWarp % owner.warps.size()),
      int(barrier.initLane), barrier.location, sourceOfInit(owner, barrier)};
  return block.failAt(
      warp, *actor.inst, ReportKind::SharedRace, int(actor.lane), address,
      "uses " + initialized(barrier) + ", and nothing orders the two");
}

bool isInside(const Actor &actor, Block &owner, uint64_t address) {
  if (address + MbarrierBytes <= owner.shared.size)
    return true;
  return actor.warp->block->failAt(
      *actor.warp, *actor.inst, ReportKind::OutOfBounds, int(actor.lane),
      address,
      "needs an mbarrier in the block's " + std::to_string(owner.shared.size) +
          " bytes of shared memory");
}

} // namespace

Mbarrier *ropewalk::emulator::accessMbarrier(const Actor &actor, Block &owner,
                                             uint64_t address) {
  if (!isInside(actor, owner, address))
    return nullptr;
  Mbarrier *barrier = findLive(actor, owner, address);
  Ordering &ordering = owner.cluster.ordering;
  if (!barrier || !owner.launch.options.checkRaces)
    return barrier;
  if (!knowsInit(actor, owner, address, *barrier))
    return nullptr;
  uint32_t index = ordering.indexOf(*actor.warp);
  if (barrier->touches.size() <= index)
    barrier->touches.resize(index + 1);
  Mbarrier::Touch &touch = barrier->touches[index];
  uint32_t bit = uint32_t(1) << actor.lane;
  Time time = ordering.touch(*actor.warp, bit);
  touch.lanes = (touch.time == time ? touch.lanes : 0) | bit;
  touch.time = time;
  touch.inst = actor.inst;
  return barrier;
}

bool ropewalk::emulator::initMbarrier(const Actor &actor, Block &owner,
                                      uint64_t address, uint32_t count) {
  if (address % MbarrierBytes)
    return misuse(actor, address,
                  "needs a multiple of 8 as the address of an mbarrier");
  if (count == 0 || count > MaxMbarrierCount)
    return misuse(actor, address,
                  "expects " + std::to_string(count) +
                      " arrivals, which is not in 1 to " +
                      std::to_string(MaxMbarrierCount));
  if (Mbarrier *old = owner.mbarriers.find(address))
    return misuse(actor, address,
                  "initializes " + initialized(*old) +
                      " again without mbarrier.inval; it is in " +
                      old->state());
  std::byte *host = accessShared(actor, owner, address, MbarrierBytes, true);
  if (!host)
    return false;
  std::memcpy(host, &Pattern, sizeof Pattern);
  Mbarrier &barrier = owner.mbarriers.add(uint32_t(address));
  barrier.expected = barrier.pending = barrier.total = count;
  Ordering &ordering = owner.cluster.ordering;
  barrier.initWarp = ordering.indexOf(*actor.warp);
  barrier.initLane = actor.lane;
  barrier.initTime =
      owner.launch.options.checkRaces
          ? ordering.touch(*actor.warp, uint32_t(1) << actor.lane)
          : 0;
  barrier.location = actor.inst->location;
  ++owner.cluster.progress;
  return true;
}

bool ropewalk::emulator::invalidateMbarrier(const Actor &actor, Block &owner,
                                            uint64_t address) {
  Mbarrier *barrier = accessMbarrier(actor, owner, address);
  if (!barrier)
    return false;
  if (barrier->tx || barrier->announced)
    return misuse(actor, address,
                  "invalidates " + initialized(*barrier) +
                      " while it is in use: it is in " + barrier->state());
  Report::Party other;
  if (owner.launch.options.checkRaces &&
      !knowsTouches(actor, owner, *barrier, other)) {
    Block &block = *actor.warp->block;
    block.report.other = other;
    return block.failAt(*actor.warp, *actor.inst, ReportKind::SharedRace,
                        int(actor.lane), address,
                        "invalidates " + initialized(*barrier) +
                            ", which another lane uses, and nothing orders "
                            "the two");
  }
  if (!accessShared(actor, owner, address, MbarrierBytes, true))
    return false;
  owner.mbarriers.remove(uint32_t(address));
  if (owner.shared.checksValid)
    std::memset(owner.shared.valid.data() + address, 0, MbarrierBytes);
  ++owner.cluster.progress;
  return true;
}

bool ropewalk::emulator::arriveAtMbarrier(const Actor &actor, Block &owner,
                                          uint64_t address,
                                          const Arrival &arrival,
                                          uint64_t *state) {
  Mbarrier *barrier = accessMbarrier(actor, owner, address);
  if (!barrier || (arrival.expects && !changeBytes(actor, owner, address,
                                                   *barrier, arrival.bytes)))
    return false;
  uint64_t before = stateOf(*barrier);
  if (!arrive(actor, address, *barrier, arrival))
    return false;
  Mbarrier::Arrivals &arrivals = barrier->past[barrier->phase & 1];
  bool isOwn = actor.warp->block == &owner;
  Past &past = isOwn                             ? arrivals.own
               : arrival.scope == Scope::Cluster ? arrivals.cluster
                                                 : arrivals.narrow;
  uint32_t bit = uint32_t(1) << actor.lane;
  if (arrival.releases)
    owner.cluster.ordering.release(*actor.warp, bit, past);
  else
    owner.cluster.sync.addFences(*actor.warp, bit,
                                 isOwn ? Scope::Block : Scope::Cluster, past);
  if (state)
    *state = before;
  update(owner, *barrier);
  return true;
}

bool ropewalk::emulator::addTransaction(const Actor &actor, Block &owner,
                                        uint64_t address, int64_t bytes) {
  Mbarrier *barrier = accessMbarrier(actor, owner, address);
  if (!barrier || !changeBytes(actor, owner, address, *barrier, bytes))
    return false;
  update(owner, *barrier);
  return true;
}

bool ropewalk::emulator::announceTransaction(const Actor &actor, Block &owner,
                                             uint64_t address) {
  if (!isInside(actor, owner, address))
    return false;
  Mbarrier *barrier = findLive(actor, owner, address);
  if (!barrier || (owner.launch.options.checkRaces &&
                   !knowsInit(actor, owner, address, *barrier)))
    return false;
  ++barrier->announced;
  return true;
}

bool ropewalk::emulator::completeTransaction(const Actor &actor, Block &owner,
                                             uint64_t address, uint32_t bytes,
                                             const Past &past) {
  Mbarrier *barrier = findLive(actor, owner, address);
  if (!barrier ||
      !changeBytes(actor, owner, address, *barrier, -int64_t(bytes)))
    return false;
  --barrier->announced;
  addPast(barrier->past[barrier->phase & 1].own, past);
  update(owner, *barrier);
  return true;
}

bool ropewalk::emulator::raisePending(const Actor &actor, Block &owner,
                                      uint64_t address) {
  Mbarrier *barrier = accessMbarrier(actor, owner, address);
  if (!barrier)
    return false;
  if (barrier->pending == MaxMbarrierCount)
    return misuse(actor, address,
                  "raises the outstanding arrivals of " +
                      initialized(*barrier) + " beyond the limit of " +
                      std::to_string(MaxMbarrierCount));
  ++barrier->pending;
  ++barrier->total;
  return true;
}

bool ropewalk::emulator::arriveLate(const Actor &actor, Block &owner,
                                    uint64_t address, const Past &past) {
  Mbarrier *barrier = findLive(actor, owner, address);
  if (!barrier || !arrive(actor, address, *barrier, Arrival()))
    return false;
  addPast(barrier->past[barrier->phase & 1].own, past);
  update(owner, *barrier);
  return true;
}

bool ropewalk::emulator::testMbarrier(Warp &warp, const Inst &inst,
                                      uint32_t lanes, uint64_t address,
                                      const Awaiting &wait, bool &isOver) {
  Block &owner = *warp.block;
  uint64_t key = wait.key;
  Actor actor{&warp, &inst, unsigned(std::countr_zero(lanes))};
  Mbarrier *barrier = accessMbarrier(actor, owner, address);
  if (!barrier)
    return false;
  if (wait.isParity) {
    if (key > 1)
      return misuse(actor, address,
                    "waits for parity " + std::to_string(key) +
                        ", which is neither 0 nor 1");
    isOver = (barrier->phase & 1) != key;
  } else {
    if ((key >> PlaceShift & MaxMbarrierCount) != barrier->offset / 8 + 1)
      return misuse(actor, address,
                    "waits with a state that no arrival at " +
                        initialized(*barrier) + " returned");
    uint64_t age = (barrier->phase - (key >> PhaseShift)) & PhaseMask;
    if (age > 1)
      return misuse(actor, address,
                    "waits for phase " + std::to_string(key >> PhaseShift) +
                        " of " + initialized(*barrier) + ", which is in " +
                        barrier->state() +
                        ": neither the current nor the previous phase");
    isOver = age == 1;
  }
  if (!isOver) {
    // The other lanes are checked when the wait succeeds.
    warp.poll = {&inst, &owner, barrier->offset, wait.isParity,
                 wait.isParity ? key : key >> PhaseShift};
    return true;
  }
  warp.poll = MbarrierPoll();
  for (uint32_t rest = lanes & (lanes - 1); rest; rest &= rest - 1) {
    actor.lane = unsigned(std::countr_zero(rest));
    if (!accessMbarrier(actor, owner, address))
      return false;
  }
  if (barrier->phase == 0)
    return true;
  const Mbarrier::Arrivals &past = barrier->past[(barrier->phase - 1) & 1];
  Ordering &ordering = owner.cluster.ordering;
  bool isWide = wait.scope == Scope::Cluster;
  if (!wait.acquires) {
    owner.cluster.sync.noteWait(warp, lanes, Scope::Block, past.own);
    if (isWide)
      owner.cluster.sync.noteWait(warp, lanes, Scope::Cluster, past.cluster);
    return true;
  }
  ordering.acquire(warp, lanes, past.own);
  if (isWide)
    ordering.acquire(warp, lanes, past.cluster);
  else
    ordering.acquireOver(warp, lanes, past.cluster);
  ordering.acquireOver(warp, lanes, past.narrow);
  return true;
}

uint32_t ropewalk::emulator::pendingCount(uint64_t state) {
  return uint32_t(state & MaxMbarrierCount);
}

void ropewalk::emulator::addPast(Past &into, const Past &from) {
  raise(into.known, from.known);
  raise(into.fenced, from.fenced);
  raise(into.over, from.over);
}

void ropewalk::emulator::fenceMbarrierInit(Warp &warp, uint32_t lanes) {
  uint32_t index = warp.block->cluster.ordering.indexOf(warp);
  for (Mbarrier &barrier : warp.block->mbarriers.objects) {
    if (barrier.initWarp != index || !(lanes >> barrier.initLane & 1) ||
        barrier.isFenced)
      continue;
    barrier.isFenced = true;
    // The lane's next arrival: an arrival without its wait came before.
    barrier.fencePhase = warp.clusterWaits[barrier.initLane] +
                         (warp.clusterArrived >> barrier.initLane & 1);
  }
}
