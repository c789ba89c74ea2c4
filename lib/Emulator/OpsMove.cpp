//===- OpsMove.cpp - Moves and address conversion ---------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// mov with packing, vectors and clocks, cvta, isspacep.
//
//===----------------------------------------------------------------------===//

#include "Cluster.h"
#include "LaneWise.h"

namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA {

namespace {

using S = ScalarType;

template <class T> bool move(Warp &warp, const Inst &inst, uint32_t mask) {
  put<T>(warp, inst.op[0], get<T>(warp, inst.op[1]), mask);
  return true;
}

bool movePredicate(Warp &warp, const Inst &inst, uint32_t mask) {
  uint32_t value = warp.predicate(inst.op[1]);
  putPredicate(warp, inst.op[0], inst.data ? ~value : value, mask);
  return true;
}

/// Two parts of T make up a register of W.
template <class T, class W>
bool packPair(Warp &warp, const Inst &inst, uint32_t mask) {
  Vec<W> low = __builtin_convertvector(get<T>(warp, inst.list[0]), Vec<W>);
  Vec<W> high = __builtin_convertvector(get<T>(warp, inst.list[1]), Vec<W>);
  put<W>(warp, inst.op[0], low | high << W(sizeof(T) * 8), mask);
  return true;
}
template <class T, class W>
bool unpackPair(Warp &warp, const Inst &inst, uint32_t mask) {
  Vec<W> whole = get<W>(warp, inst.op[1]);
  if (inst.list[0].offset != NoRow)
    put<T>(warp, inst.list[0], __builtin_convertvector(whole, Vec<T>), mask);
  if (inst.list[1].offset != NoRow)
    put<T>(warp, inst.list[1],
           __builtin_convertvector(whole >> W(sizeof(T) * 8), Vec<T>), mask);
  return true;
}

/// Parts of T make up a register of `count` times their size.
template <class T> bool pack(Warp &warp, const Inst &inst, uint32_t mask) {
  T *whole = lanes<T>(warp, inst.op[0]);
  unsigned count = inst.count;
  T values[4][32];
  for (unsigned part = 0; part < count; ++part)
    std::memcpy(values[part], lanes<T>(warp, inst.list[part]),
                sizeof values[part]);
  forLanes(mask, [&](unsigned i) {
    for (unsigned part = 0; part < count; ++part)
      whole[i * count + part] = values[part][i];
  });
  return true;
}

template <class T> bool unpack(Warp &warp, const Inst &inst, uint32_t mask) {
  unsigned count = inst.count;
  T whole[4 * 32];
  std::memcpy(whole, lanes<T>(warp, inst.op[1]), sizeof(T) * 32 * count);
  for (unsigned part = 0; part < count; ++part) {
    if (inst.list[part].offset == NoRow)
      continue;
    T *target = lanes<T>(warp, inst.list[part]);
    forLanes(mask, [&](unsigned i) { target[i] = whole[i * count + part]; });
  }
  return true;
}

bool moveWide(Warp &warp, const Inst &inst, uint32_t mask) {
  std::byte *target = lanes<std::byte>(warp, inst.op[0]);
  const std::byte *source = lanes<std::byte>(warp, inst.op[1]);
  forLanes(mask, [&](unsigned i) {
    std::memcpy(target + i * 16, source + i * 16, 16);
  });
  return true;
}

/// The lower half of a special register.
bool moveLow(Warp &warp, const Inst &inst, uint32_t mask) {
  put<uint16_t>(
      warp, inst.op[0],
      __builtin_convertvector(get<uint32_t>(warp, inst.op[1]), Vec<uint16_t>),
      mask);
  return true;
}

/// Registers of one size to registers of the same size, in Program::operands:
/// all sources, then all destinations.
template <class T>
bool moveVector(Warp &warp, const Inst &inst, uint32_t mask) {
  const Ref *refs = warp.block->program.operands.data() + inst.extra;
  unsigned count = inst.extraCount / 2;
  Vec<T> values[4];
  for (unsigned i = 0; i < count; ++i)
    values[i] = get<T>(warp, refs[i]);
  for (unsigned i = 0; i < count; ++i)
    put<T>(warp, refs[count + i], values[i], mask);
  return true;
}

/// Time passes with the block's instructions: one unit each, counted when a
/// warp's turn ends, and one for each look at the clock, so that a loop which
/// waits for the clock comes to its end.
bool readClock(Warp &warp, const Inst &inst, uint32_t mask) {
  uint64_t now = warp.block->executed + ++warp.block->clockReads;
  if (inst.data & 1)
    put<uint64_t>(warp, inst.op[0], (Vec<uint64_t>)(now), mask);
  else
    put<uint32_t>(warp, inst.op[0],
                  (Vec<uint32_t>)(uint32_t(inst.data & 2 ? now >> 32 : now)),
                  mask);
  return true;
}

ScalarType bitsOf(uint32_t bytes) {
  return bytes == 1   ? S::B8
         : bytes == 2 ? S::B16
         : bytes == 4 ? S::B32
         : bytes == 8 ? S::B64
                      : S::B128;
}

bool decodePacking(InstDecoder &d, Inst &inst, ScalarType type, bool packs) {
  const OperandSyntax &vector = d.operand(packs ? 1 : 0);
  size_t count = vector.parts.size();
  uint32_t bytes = sizeOf(type);
  if ((count != 2 && count != 4) || bytes < count || bytes / count > 8)
    return d.failAt(vector, "vector of " + std::to_string(count) +
                                " elements for a ." + name(type));
  ScalarType part = bitsOf(uint32_t(bytes / count));
  inst.count = uint8_t(count);
  if (!(packs ? d.destination(0, type, inst.op[0])
              : d.source(1, type, inst.op[1])))
    return false;
  for (size_t i = 0; i < count; ++i) {
    const OperandSyntax &element = vector.parts[i];
    uint32_t ignored = 0;
    if (packs ? !d.source(element, part, inst.list[i])
              : !d.wideDestination(element, part, inst.list[i], ignored))
      return false;
    if (!packs && ignored != sizeOf(part))
      return d.failAt(element,
                      std::string("expected a register of a .") + name(part));
  }
  if (count == 2 && sizeOf(part) == 2) {
    inst.handler =
        packs ? &packPair<uint16_t, uint32_t> : &unpackPair<uint16_t, uint32_t>;
    return true;
  }
  if (count == 2 && sizeOf(part) == 4) {
    inst.handler =
        packs ? &packPair<uint32_t, uint64_t> : &unpackPair<uint32_t, uint64_t>;
    return true;
  }
  switch (sizeOf(part)) {
  case 1:
    inst.handler = packs ? &pack<uint8_t> : &unpack<uint8_t>;
    break;
  case 2:
    inst.handler = packs ? &pack<uint16_t> : &unpack<uint16_t>;
    break;
  case 4:
    inst.handler = packs ? &pack<uint32_t> : &unpack<uint32_t>;
    break;
  default:
    inst.handler = packs ? &pack<uint64_t> : &unpack<uint64_t>;
    break;
  }
  return true;
}

/// mov.v2 and mov.v4 between vectors of registers, or from a special register
/// of four components.
bool decodeVectorMove(InstDecoder &d, Inst &inst, unsigned count) {
  ScalarType type;
  if (!d.requireType(type,
                     {S::B16, S::B32, S::B64, S::U16, S::U32, S::U64, S::S16,
                      S::S32, S::S64, S::F16, S::BF16, S::F32, S::F64}) ||
      !d.finish(2))
    return false;
  const OperandSyntax &source = d.operand(1);
  if (source.kind == OperandSyntax::Special) {
    for (unsigned i = 0; i < count; ++i) {
      OperandSyntax component = source;
      component.text += std::string(".") + "xyzw"[i];
      Ref ref;
      if (!d.source(component, type, ref))
        return false;
      d.addExtra(inst, ref);
    }
  } else if (!d.isVector(1)) {
    return d.failAt(source, "expected a vector of registers");
  } else if (!d.vectorSource(1, type, count, inst)) {
    return false;
  }
  if (!d.isVector(0))
    return d.failAt(d.operand(0), "expected a vector of registers");
  if (!d.vectorDestination(0, type, count, inst))
    return false;
  inst.handler = sizeOf(type) == 2   ? Handler(&moveVector<uint16_t>)
                 : sizeOf(type) == 4 ? Handler(&moveVector<uint32_t>)
                                     : Handler(&moveVector<uint64_t>);
  return true;
}

/// Takes a move from a register that changes by itself. Returns whether it is
/// one; then `isGood` tells whether it is right.
bool decodeClock(InstDecoder &d, Inst &inst, ScalarType type, bool &isGood) {
  static const struct {
    const char *name;
    uint32_t data; ///< 1: 64 bits, 2: the upper half.
  } clocks[] = {{"%clock", 0},          {"%clock_hi", 2},
                {"%clock64", 1},        {"%globaltimer", 1},
                {"%globaltimer_lo", 0}, {"%globaltimer_hi", 2}};
  const OperandSyntax &source = d.operand(1);
  if (source.kind != OperandSyntax::Special)
    return false;
  for (auto &clock : clocks) {
    if (source.text != clock.name)
      continue;
    inst.data = clock.data;
    inst.copiesBits = false;
    inst.handler = &readClock;
    uint32_t bytes = clock.data & 1 ? 8 : 4;
    isGood =
        sizeOf(type) == bytes
            ? d.destination(0, type, inst.op[0])
            : d.failAt(source, "special register " + source.text + " has " +
                                   std::to_string(bytes * 8) + " bits");
    return true;
  }
  return false;
}

bool decodeMove(InstDecoder &d, Inst &inst) {
  inst.cls = InstClass::Move;
  inst.copiesBits = true;
  if (d.take("pred")) {
    bool negated = false;
    if (!d.finish(2) || !d.predicateDestination(d.operand(0), inst.op[0]) ||
        !d.predicateSource(1, inst.op[1], negated))
      return false;
    inst.data = negated;
    inst.handler = &movePredicate;
    return true;
  }
  int vector = d.takeOneOf({"v2", "v4"});
  if (vector >= 0)
    return decodeVectorMove(d, inst, vector ? 4 : 2);
  ScalarType type;
  if (!d.requireType(type, {S::B16, S::B32, S::B64, S::B128, S::U16, S::U32,
                            S::U64, S::S16, S::S32, S::S64, S::F16, S::BF16,
                            S::F16x2, S::BF16x2, S::F32, S::F64}) ||
      !d.finish(2))
    return false;
  if (d.isVector(0) || d.isVector(1))
    return decodePacking(d, inst, type, d.isVector(1));
  bool isGood = false;
  if (decodeClock(d, inst, type, isGood))
    return isGood;
  if (sizeOf(type) == 2 && d.operand(1).kind == OperandSyntax::Special) {
    inst.handler = &moveLow;
    return d.destination(0, type, inst.op[0]) &&
           d.source(1, S::U32, inst.op[1]);
  }
  if (!d.destination(0, type, inst.op[0]) || !d.source(1, type, inst.op[1]))
    return false;
  switch (sizeOf(type)) {
  case 2:
    inst.handler = &move<uint16_t>;
    break;
  case 4:
    inst.handler = &move<uint32_t>;
    break;
  case 8:
    inst.handler = &move<uint64_t>;
    break;
  default:
    inst.handler = &moveWide;
    break;
  }
  return true;
}

template <class T> bool addWindow(Warp &warp, const Inst &inst, uint32_t mask) {
  put<T>(warp, inst.op[0], get<T>(warp, inst.op[1]) + T(inst.offset), mask);
  return true;
}

/// `isCluster` tells .shared::cluster from the memory of the block.
bool takeSpace(InstDecoder &d, Space &space, bool &isCluster) {
  static const struct {
    const char *name;
    Space space;
  } names[] = {{"global", Space::Global},          {"shared", Space::Shared},
               {"shared::cta", Space::Shared},     {"local", Space::Local},
               {"shared::cluster", Space::Shared}, {"const", Space::Const},
               {"param::entry", Space::Param},     {"param", Space::Param}};
  isCluster = d.peek() == "shared::cluster";
  for (auto &entry : names)
    if (d.take(entry.name)) {
      space = entry.space;
      return true;
    }
  return d.fail("expected a state space");
}

bool decodeAddressConversion(InstDecoder &d, Inst &inst) {
  bool toSpace = d.take("to"), isCluster = false;
  Space space;
  ScalarType type;
  // A block's memory has the same addresses in its cluster's window.
  if (!takeSpace(d, space, isCluster) || !d.requireType(type, {S::U64}) ||
      !d.finish(2) || !d.destination(0, type, inst.op[0]) ||
      !d.source(1, type, inst.op[1]))
    return false;
  inst.cls = InstClass::Move;
  inst.offset = int64_t(toSpace ? -windowOf(space) : windowOf(space));
  inst.handler = inst.offset ? &addWindow<uint64_t> : &move<uint64_t>;
  return true;
}

/// Bit of Inst::data beside the space.
constexpr uint32_t InCluster = 16;

bool isInSpace(Warp &warp, const Inst &inst, uint32_t mask) {
  Vec<uint64_t> a = get<uint64_t>(warp, inst.op[1]);
  Space space = Space(inst.data & 15);
  uint64_t window = windowOf(space);
  uint32_t result = 0;
  if (space == Space::Global) {
    result = ~maskOf(a - SharedWindow < 4 * WindowBytes);
  } else {
    result = maskOf(a - window < WindowBytes);
    if (space == Space::Shared && !(inst.data & InCluster)) {
      Vec<uint64_t> owner = (a - window) >> uint64_t(ClusterRankShift);
      result &= maskOf(owner == 0ull) |
                maskOf(owner == uint64_t(warp.block->rank) + 1);
    }
  }
  putPredicate(warp, inst.op[0], result, mask);
  return true;
}

bool decodeIsInSpace(InstDecoder &d, Inst &inst) {
  Space space;
  bool isCluster = false;
  if (!takeSpace(d, space, isCluster) || !d.finish(2) ||
      !d.predicateDestination(d.operand(0), inst.op[0]) ||
      !d.source(1, S::U64, inst.op[1]))
    return false;
  inst.cls = InstClass::Compare;
  inst.data = uint32_t(space) | (isCluster ? InCluster : 0);
  inst.handler = &isInSpace;
  return true;
}

} // namespace

void addMoveOpcodes(OpcodeTable &table) {
  table["mov"] = &decodeMove;
  table["cvta"] = &decodeAddressConversion;
  table["isspacep"] = &decodeIsInSpace;
}

} // namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA

#include "LanesEnd.h"
