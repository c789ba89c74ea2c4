//===- OpsMove.cpp - Moves and address conversion ---------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// mov with packing and unpacking, cvta, isspacep.
//
//===----------------------------------------------------------------------===//

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
  if ((count != 2 && count != 4) || bytes / count < 2 || bytes / count > 8)
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
  switch (sizeOf(part)) {
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
  ScalarType type;
  if (!d.requireType(type, {S::B16, S::B32, S::B64, S::B128, S::U16, S::U32,
                            S::U64, S::S16, S::S32, S::S64, S::F16, S::BF16,
                            S::F16x2, S::BF16x2, S::F32, S::F64}) ||
      !d.finish(2))
    return false;
  if (d.isVector(0) || d.isVector(1))
    return decodePacking(d, inst, type, d.isVector(1));
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
    return d.unsupported("a 128-bit move between registers");
  }
  return true;
}

template <class T> bool addWindow(Warp &warp, const Inst &inst, uint32_t mask) {
  put<T>(warp, inst.op[0], get<T>(warp, inst.op[1]) + T(inst.offset), mask);
  return true;
}

bool takeSpace(InstDecoder &d, Space &space) {
  static const struct {
    const char *name;
    Space space;
  } names[] = {{"global", Space::Global},      {"shared", Space::Shared},
               {"shared::cta", Space::Shared}, {"local", Space::Local},
               {"const", Space::Const},        {"param", Space::Param},
               {"param::entry", Space::Param}};
  for (auto &entry : names)
    if (d.take(entry.name)) {
      space = entry.space;
      return true;
    }
  return d.fail("expected a state space");
}

bool decodeAddressConversion(InstDecoder &d, Inst &inst) {
  bool toSpace = d.take("to");
  Space space;
  ScalarType type;
  if (!takeSpace(d, space) || !d.requireType(type, {S::U64}) || !d.finish(2) ||
      !d.destination(0, type, inst.op[0]) || !d.source(1, type, inst.op[1]))
    return false;
  inst.cls = InstClass::Move;
  inst.offset = int64_t(toSpace ? -windowOf(space) : windowOf(space));
  inst.handler = &addWindow<uint64_t>;
  return true;
}

bool isInSpace(Warp &warp, const Inst &inst, uint32_t mask) {
  Vec<uint64_t> a = get<uint64_t>(warp, inst.op[1]);
  uint64_t window = windowOf(Space(inst.data));
  uint32_t result = window ? maskOf(a - window < WindowBytes)
                           : ~(maskOf(a - SharedWindow < 4 * WindowBytes));
  putPredicate(warp, inst.op[0], result, mask);
  return true;
}

bool decodeIsInSpace(InstDecoder &d, Inst &inst) {
  Space space;
  if (!takeSpace(d, space) || !d.finish(2) ||
      !d.predicateDestination(d.operand(0), inst.op[0]) ||
      !d.source(1, S::U64, inst.op[1]))
    return false;
  inst.cls = InstClass::Compare;
  inst.data = uint32_t(space);
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
