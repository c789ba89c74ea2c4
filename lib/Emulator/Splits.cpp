//===- Splits.cpp - The lanes of a warp apart and together ------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// How splits come and go; see Execution.h. Lanes at a ".sync" instruction are
// grouped by the value of their member mask: a group whose live lanes are all
// there goes through, the others park until theirs come. A barrier of the block
// wants all live lanes of the warp: a split that comes there alone is held
// while the others run, for they may exit, or come to the same instruction.
// Lanes that wait for others only to exit with them count as exited.
//
//===----------------------------------------------------------------------===//

#include "Cluster.h"

#include <algorithm>
#include <bit>

using namespace ropewalk::emulator;

int32_t Block::addSplit(Warp &warp, const Split &split) {
  for (size_t i = 0; i < warp.splits.size(); ++i)
    if (warp.splits[i].state == Split::Free) {
      warp.splits[i] = split;
      return int32_t(i);
    }
  warp.splits.push_back(split);
  return int32_t(warp.splits.size()) - 1;
}

void Block::diverge(Warp &warp, int32_t meet, int32_t pc, uint32_t taken,
                    int32_t otherPc, uint32_t others) {
  // The current split stands at the branch with mask taken | others.
  Split &split = warp.splits[warp.current];
  int32_t parent = warp.current;
  struct Side {
    int32_t pc;
    uint32_t mask;
  } sides[2] = {{pc, taken}, {otherPc, others}};
  if (meet < 0 || meet == split.reconverge) {
    // The children would meet where this split ends anyway: they take its
    // place, which keeps loops from nesting deeper with each round.
    meet = split.reconverge;
    parent = split.parent;
    Split child = split;
    child.children = 0;
    bool isFirst = true;
    for (Side side : sides) {
      if (side.pc == meet)
        continue; // Arrived: its lanes wait in the parent's mask.
      child.pc = side.pc;
      child.mask = side.mask;
      if (isFirst) {
        warp.splits[warp.current] = child;
      } else {
        if (parent >= 0)
          ++warp.splits[parent].children;
        addSplit(warp, child);
      }
      isFirst = false;
    }
    return;
  }
  split.state = Split::Waiting;
  split.pc = meet;
  split.children = 0;
  Split child;
  child.state = Split::Running;
  child.reconverge = meet;
  child.parent = parent;
  int32_t next = -1;
  for (Side side : sides) {
    if (side.pc == meet)
      continue;
    child.pc = side.pc;
    child.mask = side.mask;
    ++warp.splits[parent].children;
    int32_t added = addSplit(warp, child);
    next = next < 0 ? added : next;
  }
  warp.current = next;
}

void Block::leave(Warp &warp, int32_t index) {
  while (index >= 0) {
    Split &split = warp.splits[index];
    int32_t parent = split.parent;
    split.state = Split::Free;
    if (parent < 0)
      return;
    Split &above = warp.splits[parent];
    if (--above.children > 0)
      return;
    if (above.mask == 0) { // All of its lanes have exited.
      index = parent;
      continue;
    }
    if (above.pc == above.reconverge) {
      index = parent;
      continue;
    }
    above.state = Split::Running;
    return;
  }
}

bool Block::select(Warp &warp) {
  // The newest first: inner regions finish before outer ones go on.
  for (size_t i = warp.splits.size(); i-- > 0;)
    if (warp.splits[i].state == Split::Running) {
      warp.current = int32_t(i);
      return true;
    }
  return false;
}

bool Block::rotate(Warp &warp) {
  size_t count = warp.splits.size();
  for (size_t i = 1; i < count; ++i) {
    size_t next = (size_t(warp.current) + i) % count;
    if (warp.splits[next].state == Split::Running) {
      warp.current = int32_t(next);
      return true;
    }
  }
  return false;
}

bool Block::releaseParked(Warp &warp, bool &failed) {
  failed = false;
  for (Split &first : warp.splits) {
    if (first.state != Split::Parked)
      continue;
    const Inst &inst = program.code[first.pc];
    bool anywhere = inst.data == 1 && inst.cls == InstClass::Barrier;
    uint32_t present = 0;
    auto joins = [&](const Split &other) {
      if (other.state != Split::Parked || other.member != first.member)
        return false;
      const Inst &there = program.code[other.pc];
      return other.pc == first.pc ||
             (anywhere && there.data == 1 && there.cls == InstClass::Barrier);
    };
    for (const Split &other : warp.splits)
      if (joins(other))
        present |= other.mask;
    if (first.member & warp.live & ~present)
      continue;
    if (!inst.handler(warp, inst, present)) {
      failed = true;
      return false;
    }
    std::vector<int32_t> released;
    for (size_t i = 0; i < warp.splits.size(); ++i)
      if (joins(warp.splits[i]))
        released.push_back(int32_t(i));
    for (int32_t i : released)
      warp.splits[i].state = Split::Running;
    for (int32_t i : released)
      if (++warp.splits[i].pc == warp.splits[i].reconverge)
        leave(warp, i);
    return true;
  }
  return false;
}

bool Block::synchronizeGroups(Warp &warp, const Inst &inst, uint32_t mask,
                              bool &failed) {
  const uint32_t *members = reinterpret_cast<const uint32_t *>(
      warp.bank[inst.member.bank] + inst.member.offset);
  const uint32_t active = warp.splits[warp.current].mask;
  std::vector<std::pair<uint32_t, uint32_t>> waiting; // Lanes, members.
  uint32_t waits = 0;
  failed = true;
  for (uint32_t rest = mask; rest;) {
    uint32_t member = members[std::countr_zero(rest)], group = 0;
    for (uint32_t lanes = rest; lanes; lanes &= lanes - 1)
      if (members[std::countr_zero(lanes)] == member)
        group |= lanes & -lanes;
    rest &= ~group;
    if (uint32_t outside = group & ~member)
      return fail(warp, inst, ReportKind::WarpSync, std::countr_zero(outside),
                  "is executed by a lane outside of its member mask " +
                      hexMask(member));
    uint32_t missing = member & warp.live & ~group;
    if (missing == 0) {
      if (!inst.handler(warp, inst, group))
        return false;
      continue;
    }
    if (uint32_t different = missing & mask) {
      int lane = std::countr_zero(different);
      return fail(warp, inst, ReportKind::WarpSync, lane,
                  "is executed with the member mask " + hexMask(members[lane]) +
                      ", but lane " + std::to_string(std::countr_zero(group)) +
                      " expects this lane in its mask " + hexMask(member));
    }
    if (uint32_t absent = missing & active)
      return fail(warp, inst, ReportKind::WarpSync, std::countr_zero(absent),
                  "is not executed by a lane of its member mask " +
                      hexMask(member));
    waiting.push_back({group, member});
    waits |= group;
  }
  failed = false;
  if (waiting.empty())
    return true;
  // The others are through, or have nothing to do here, and meet these lanes
  // behind the instruction.
  int32_t pc = int32_t(inst.id);
  if (waits != active || waiting.size() > 1)
    diverge(warp, pc + 1, pc, waits, pc + 1, active & ~waits);
  Split park = warp.splits[warp.current];
  park.state = Split::Parked;
  for (size_t i = 0; i < waiting.size(); ++i) {
    park.mask = waiting[i].first;
    park.member = waiting[i].second;
    if (i == 0) {
      warp.splits[warp.current] = park;
      continue;
    }
    if (park.parent >= 0)
      ++warp.splits[park.parent].children;
    addSplit(warp, park);
  }
  return false;
}

bool Block::releaseHeld(Warp &warp) {
  for (size_t i = 0; i < warp.splits.size(); ++i) {
    if (warp.splits[i].state != Split::Held)
      continue;
    // Paths without a common place before the end of the kernel may still have
    // come to the same barrier.
    auto joins = [&](const Split &other) {
      const Split &first = warp.splits[i];
      return other.state == Split::Held && other.pc == first.pc &&
             other.parent == first.parent &&
             other.reconverge == first.reconverge;
    };
    uint32_t present = 0;
    for (const Split &other : warp.splits)
      if (joins(other))
        present |= other.mask;
    if (present != warp.live)
      return false;
    for (size_t j = i + 1; j < warp.splits.size(); ++j)
      if (joins(warp.splits[j])) {
        if (warp.splits[j].parent >= 0)
          --warp.splits[size_t(warp.splits[j].parent)].children;
        warp.splits[j].state = Split::Free;
      }
    warp.splits[i].mask = present;
    warp.splits[i].state = Split::Running;
    return true;
  }
  return false;
}

bool Block::retire(Warp &warp) {
  bool any = false;
  for (size_t i = 0; i < warp.splits.size(); ++i) {
    const Split &split = warp.splits[i];
    if (split.state != Split::Waiting)
      continue;
    const Inst &inst = program.code[size_t(split.pc)];
    if (inst.kind != InstKind::Exit || inst.guard != NoRow)
      continue;
    uint32_t idle = split.mask;
    for (const Split &child : warp.splits)
      if (child.state != Split::Free && child.parent == int32_t(i))
        idle &= ~child.mask;
    if (idle == 0)
      continue;
    any = true;
    ++worker.warpCount[inst.id];
    worker.laneCount[inst.id] += uint32_t(std::popcount(idle));
    warp.live &= ~idle;
    for (int32_t up = int32_t(i); up >= 0; up = warp.splits[size_t(up)].parent)
      warp.splits[size_t(up)].mask &= ~idle;
  }
  return any;
}

bool Block::wake(Warp &warp, bool &failed) {
  failed = false;
  do {
    // Those released may have come to where they wait for others parked.
    while (releaseParked(warp, failed))
      if (select(warp))
        return true;
    if (failed)
      return false;
    if (releaseHeld(warp))
      return true;
  } while (retire(warp));
  // A barrier says more than an instruction of the warp.
  auto stuck = std::max_element(
      warp.splits.begin(), warp.splits.end(),
      [](const Split &a, const Split &b) {
        auto rank = [](const Split &split) {
          bool isHeld = split.state == Split::Held;
          return isHeld || split.state == Split::Parked
                     ? 1 + 32 * isHeld + (32 - std::countr_zero(split.mask))
                     : 0;
        };
        return rank(a) < rank(b);
      });
  if (stuck->state != Split::Held && stuck->state != Split::Parked)
    return false;
  const Inst &inst = program.code[size_t(stuck->pc)];
  failed = true;
  if (stuck->state == Split::Parked)
    return fail(warp, inst, ReportKind::Deadlock, std::countr_zero(stuck->mask),
                "waits for lanes of its member mask that never come");
  // Says who is missing.
  warp.current = int32_t(stuck - warp.splits.begin());
  return inst.kind == InstKind::Barrier ? arrive(warp, inst, stuck->mask)
                                        : inst.handler(warp, inst, stuck->mask);
}
