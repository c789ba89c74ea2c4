//===- OpsWarp.cpp - Exchange between the lanes of a warp -------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// shfl, vote, redux, match, elect, activemask, bar.warp.sync. The block has
// made sure that all lanes of the mask have the same member mask and that every
// live lane of it is among them.
//
//===----------------------------------------------------------------------===//

#include "LaneWise.h"
#include "Random.h"

namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA {

namespace {

using S = ScalarType;

enum ShuffleMode : uint32_t { Up, Down, Butterfly, Indexed };

/// The lanes of `sources`, by lane of the mask, have written the register that
/// a shuffle is about to read; it then writes its own.
bool checkShuffled(Warp &warp, const Inst &inst, uint32_t mask,
                   const uint32_t (&sources)[32]) {
  Block &block = *warp.block;
  if (!block.launch.options.checkUninitializedRegisters)
    return true;
  const uint32_t *tracked = block.program.tracked.data() + inst.trackBegin;
  uint32_t source = tracked[inst.trackReads - 1];
  for (uint32_t rest = mask; rest; rest &= rest - 1) {
    uint32_t lane = uint32_t(std::countr_zero(rest));
    if (warp.initialized[source] >> sources[lane] & 1)
      continue;
    return block.fail(
        warp, inst, ReportKind::UninitializedRegister, int(sources[lane]),
        "reads register " + block.program.trackedNames[source] +
            " before it is written, for lane " + std::to_string(lane));
  }
  for (unsigned i = 0; i < inst.trackWrites; ++i)
    warp.initialized[tracked[inst.trackReads + i]] |= mask;
  return true;
}

bool shuffle(Warp &warp, const Inst &inst, uint32_t mask) {
  uint32_t values[32], results[32], sources[32];
  std::memcpy(values, lanes<uint32_t>(warp, inst.op[2]), sizeof values);
  const uint32_t *b = lanes<uint32_t>(warp, inst.op[3]);
  const uint32_t *c = lanes<uint32_t>(warp, inst.op[4]);
  uint32_t inRange = 0, bad = 0;
  for (uint32_t i = 0; i < 32; ++i) {
    uint32_t segment = c[i] >> 8 & 31, clamp = c[i] & 31, by = b[i] & 31;
    uint32_t last = (i & segment) | (clamp & ~segment);
    uint32_t source = 0;
    bool valid = false;
    switch (inst.data) {
    case Up:
      source = i - by;
      valid = int32_t(source) >= int32_t(last);
      break;
    case Down:
      source = i + by;
      valid = source <= last;
      break;
    case Butterfly:
      source = i ^ by;
      valid = source <= last;
      break;
    default:
      source = (i & segment) | (by & ~segment);
      valid = source <= last;
      break;
    }
    source = valid ? source & 31 : i;
    inRange |= uint32_t(valid) << i;
    bad |= uint32_t(!(mask >> source & 1)) << i;
    results[i] = values[source];
    sources[i] = source;
  }
  if (bad &= mask) [[unlikely]]
    return warp.block->fail(warp, inst, ReportKind::WarpSync,
                            std::countr_zero(bad),
                            "reads a lane that does not take part");
  if (inst.trackOptional && !checkShuffled(warp, inst, mask, sources))
      [[unlikely]]
    return false;
  put<uint32_t>(warp, inst.op[0], load<uint32_t>(results), mask);
  putPredicate(warp, inst.op[1], inRange, mask);
  return true;
}

bool decodeMember(InstDecoder &d, unsigned index, Inst &inst) {
  inst.kind = InstKind::WarpSync;
  inst.cls = InstClass::WarpExchange;
  return d.source(index, S::B32, inst.member);
}

bool decodeShuffle(InstDecoder &d, Inst &inst) {
  if (!d.take("sync"))
    return d.unsupported("'shfl' without '.sync'");
  int mode = d.takeOneOf({"up", "down", "bfly", "idx"});
  if (mode < 0)
    return d.fail("expected '.up', '.down', '.bfly' or '.idx'");
  inst.data = uint32_t(mode);
  ScalarType type;
  if (!d.requireType(type, {S::B32}) || !d.finish(5) ||
      !d.pairDestination(d.operand(0), inst.op[1]))
    return false;
  OperandSyntax first = d.operand(0);
  first.pairIndex = -1;
  inst.handler = &shuffle;
  if (!d.destination(first, type, inst.op[0]) ||
      !d.source(2, type, inst.op[3]) || !d.source(3, type, inst.op[4]) ||
      !decodeMember(d, 4, inst))
    return false;
  // Only lanes whose value some lane takes read it, which the handler checks:
  // here it counts nowhere.
  inst.optionalReads = d.isRegister(1);
  inst.optionalWhere = d.constant(0, 4);
  return d.source(1, type, inst.op[2]);
}

enum VoteKind : uint32_t { All, Any, Uniform, Ballot, VoteNegated = 8 };

bool vote(Warp &warp, const Inst &inst, uint32_t mask) {
  uint32_t value = warp.predicate(inst.op[1]);
  value = (inst.data & VoteNegated ? ~value : value) & mask;
  bool result = false;
  switch (inst.data & 7) {
  case All:
    result = value == mask;
    break;
  case Any:
    result = value != 0;
    break;
  case Uniform:
    result = value == 0 || value == mask;
    break;
  default:
    put<uint32_t>(warp, inst.op[0], (Vec<uint32_t>)(value), mask);
    return true;
  }
  putPredicate(warp, inst.op[0], result ? ~uint32_t(0) : 0, mask);
  return true;
}

bool decodeVote(InstDecoder &d, Inst &inst) {
  if (!d.take("sync"))
    return d.unsupported("'vote' without '.sync'");
  int kind = d.takeOneOf({"all", "any", "uni", "ballot"});
  if (kind < 0)
    return d.fail("expected '.all', '.any', '.uni' or '.ballot'");
  if (!d.take(kind == 3 ? "b32" : "pred"))
    return d.fail(kind == 3 ? "expected '.b32'" : "expected '.pred'");
  bool negated = false;
  if (!d.finish(3) ||
      !(kind == 3 ? d.destination(0, S::B32, inst.op[0])
                  : d.predicateDestination(d.operand(0), inst.op[0])) ||
      !d.predicateSource(1, inst.op[1], negated))
    return false;
  inst.data = uint32_t(kind) | (negated ? VoteNegated : 0);
  inst.handler = &vote;
  return decodeMember(d, 2, inst);
}

enum ReduceKind : uint32_t { Add, MinU, MaxU, MinS, MaxS, And, Or, Xor };

bool reduce(Warp &warp, const Inst &inst, uint32_t mask) {
  const uint32_t *a = lanes<uint32_t>(warp, inst.op[1]);
  uint32_t result = a[std::countr_zero(mask)];
  forLanes(mask & (mask - 1), [&](unsigned i) {
    uint32_t x = a[i];
    switch (inst.data) {
    case Add:
      result += x;
      break;
    case MinU:
      result = std::min(result, x);
      break;
    case MaxU:
      result = std::max(result, x);
      break;
    case MinS:
      result = uint32_t(std::min(int32_t(result), int32_t(x)));
      break;
    case MaxS:
      result = uint32_t(std::max(int32_t(result), int32_t(x)));
      break;
    case And:
      result &= x;
      break;
    case Or:
      result |= x;
      break;
    default:
      result ^= x;
      break;
    }
  });
  put<uint32_t>(warp, inst.op[0], (Vec<uint32_t>)(result), mask);
  return true;
}

bool decodeReduce(InstDecoder &d, Inst &inst) {
  if (!d.take("sync"))
    return d.fail("expected '.sync'");
  int kind = d.takeOneOf({"add", "min", "max", "and", "or", "xor"});
  if (kind < 0)
    return d.fail("expected an operation");
  ScalarType type;
  if (!(kind < 3 ? d.requireType(type, {S::U32, S::S32})
                 : d.requireType(type, {S::B32})) ||
      !d.finish(3) || !d.destination(0, type, inst.op[0]) ||
      !d.source(1, type, inst.op[1]))
    return false;
  bool isSigned = type == S::S32;
  static const ReduceKind kinds[] = {Add, MinU, MaxU, And, Or, Xor};
  inst.data = kind == 1 && isSigned   ? MinS
              : kind == 2 && isSigned ? MaxS
                                      : kinds[kind];
  inst.handler = &reduce;
  return decodeMember(d, 2, inst);
}

template <class T, bool IsAll>
bool match(Warp &warp, const Inst &inst, uint32_t mask) {
  T values[32];
  std::memcpy(values, lanes<T>(warp, inst.op[2]), sizeof values);
  uint32_t results[32] = {};
  forLanes(mask, [&](unsigned i) {
    forLanes(mask, [&](unsigned j) {
      results[i] |= uint32_t(values[i] == values[j]) << j;
    });
  });
  if (IsAll) {
    bool same = results[std::countr_zero(mask)] == mask;
    put<uint32_t>(warp, inst.op[0], (Vec<uint32_t>)(same ? mask : 0u), mask);
    putPredicate(warp, inst.op[1], same ? ~uint32_t(0) : 0, mask);
    return true;
  }
  put<uint32_t>(warp, inst.op[0], load<uint32_t>(results), mask);
  return true;
}

bool decodeMatch(InstDecoder &d, Inst &inst) {
  int kind = d.takeOneOf({"any", "all"});
  if (kind < 0 || !d.take("sync"))
    return d.fail("expected '.any.sync' or '.all.sync'");
  ScalarType type;
  if (!d.requireType(type, {S::B32, S::B64}) || !d.finish(3))
    return false;
  OperandSyntax first = d.operand(0);
  inst.op[1] = {NoRow, 0};
  if (kind == 1 && !d.pairDestination(first, inst.op[1]))
    return false;
  if (kind == 1)
    first.pairIndex = -1;
  if (!d.destination(first, S::B32, inst.op[0]) ||
      !d.source(1, type, inst.op[2]))
    return false;
  bool isWide = type == S::B64;
  if (kind == 1)
    inst.handler = isWide ? &match<uint64_t, true> : &match<uint32_t, true>;
  else
    inst.handler = isWide ? &match<uint64_t, false> : &match<uint32_t, false>;
  return decodeMember(d, 2, inst);
}

bool elect(Warp &warp, const Inst &inst, uint32_t mask) {
  // PTX only says that lanes which meet again elect the same one. The schedule
  // of seed 0 is that of a GPU.
  uint32_t rest = mask;
  if (uint64_t seed = warp.block->launch.options.scheduleSeed)
    for (uint64_t skip = Random{seed ^ mask}.below(std::popcount(mask)); skip;
         --skip)
      rest &= rest - 1;
  uint32_t leader = uint32_t(std::countr_zero(rest));
  if (inst.op[0].offset != NoRow)
    put<uint32_t>(warp, inst.op[0], (Vec<uint32_t>)(leader), mask);
  putPredicate(warp, inst.op[1], uint32_t(1) << leader, mask);
  return true;
}

bool decodeElect(InstDecoder &d, Inst &inst) {
  if (!d.take("sync") || !d.finish(2))
    return d.fail("expected '.sync' and two operands");
  OperandSyntax first = d.operand(0);
  uint32_t bytes = 0;
  if (!d.pairDestination(first, inst.op[1]))
    return false;
  first.pairIndex = -1;
  inst.handler = &elect;
  return d.wideDestination(first, S::B32, inst.op[0], bytes) &&
         decodeMember(d, 1, inst);
}

bool activeMask(Warp &warp, const Inst &inst, uint32_t mask) {
  put<uint32_t>(warp, inst.op[0], (Vec<uint32_t>)(mask), mask);
  return true;
}

bool decodeActiveMask(InstDecoder &d, Inst &inst) {
  ScalarType type;
  inst.cls = InstClass::WarpExchange;
  inst.handler = &activeMask;
  return d.requireType(type, {S::B32}) && d.finish(1) &&
         d.destination(0, type, inst.op[0]);
}

} // namespace

void addWarpOpcodes(OpcodeTable &table) {
  table["shfl"] = &decodeShuffle;
  table["vote"] = &decodeVote;
  table["redux"] = &decodeReduce;
  table["match"] = &decodeMatch;
  table["elect"] = &decodeElect;
  table["activemask"] = &decodeActiveMask;
}

} // namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA

#include "LanesEnd.h"
