//===- OpsExtended.cpp - Carries, dot products, masks -----------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// add, sub and mad with a carry in the warp's flags, the packed integers of
// sm_90, dp4a, dp2a, bmsk, szext, fns, and the instructions for debuggers.
//
//===----------------------------------------------------------------------===//

#include "LaneWise.h"

namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA {

namespace {

using S = ScalarType;

enum CarryFlags : uint32_t {
  CarryIn = 1,
  CarryOut = 2,
  CarrySubtract = 4, ///< The flag is a borrow.
  CarryMultiply = 8, ///< Source 1 times source 2, plus source 3.
  CarryHigh = 16,    ///< The upper half of the product.
};

template <class T>
ROPEWALK_INLINE Vec<UIntOf<T>> productOf(Warp &warp, const Inst &inst) {
  using U = UIntOf<T>;
  if (!(inst.data & CarryHigh))
    return get<U>(warp, inst.op[1]) * get<U>(warp, inst.op[2]);
  using W = std::conditional_t<
      sizeof(T) == 4,
      std::conditional_t<std::is_signed_v<T>, int64_t, uint64_t>,
      std::conditional_t<std::is_signed_v<T>, __int128, unsigned __int128>>;
  const T *a = lanes<T>(warp, inst.op[1]), *b = lanes<T>(warp, inst.op[2]);
  Vec<U> result;
  for (unsigned i = 0; i < 32; ++i)
    result[i] = U(W(a[i]) * W(b[i]) >> (sizeof(T) * 8));
  return result;
}

template <class T> bool carry(Warp &warp, const Inst &inst, uint32_t mask) {
  using U = UIntOf<T>;
  bool multiplies = inst.data & CarryMultiply;
  Vec<U> a = multiplies ? productOf<T>(warp, inst) : get<U>(warp, inst.op[1]);
  Vec<U> b = get<U>(warp, inst.op[multiplies ? 3 : 2]);
  uint32_t flags = inst.data & CarryIn ? warp.carry : 0;
  Vec<U> in = select<U>(flags, (Vec<U>)(U(1)), (Vec<U>)(U(0)));
  Vec<U> part, result;
  uint32_t out;
  if (inst.data & CarrySubtract) {
    part = a - b;
    result = part - in;
    out = maskOf(a < b) | maskOf(part < in);
  } else {
    part = a + b;
    result = part + in;
    out = maskOf(part < a) | maskOf(result < part);
  }
  put<U>(warp, inst.op[0], result, mask);
  if (inst.data & CarryOut)
    warp.carry = (warp.carry & ~mask) | (out & mask);
  return true;
}

/// addc, subc and madc.
bool decodeCarryIn(InstDecoder &d, Inst &inst) {
  bool high = false;
  inst.data = CarryIn;
  if (d.base() == "madc") {
    int part = d.takeOneOf({"lo", "hi"});
    if (part < 0)
      return d.fail("expected '.lo' or '.hi'");
    high = part == 1;
  }
  return decodeCarry(d, inst, high);
}

/// Halves of a word as 16-bit integers; `Operation` is 0 for add, 1 for min,
/// 2 for max.
template <class T, int Operation>
bool packedInteger(Warp &warp, const Inst &inst, uint32_t mask) {
  Vec<T> results[2];
  for (unsigned part = 0; part < 2; ++part) {
    Ref first = inst.op[1], second = inst.op[2];
    first.offset += part * uint32_t(sizeof(Vec<T>));
    second.offset += part * uint32_t(sizeof(Vec<T>));
    Vec<T> a = get<T>(warp, first), b = get<T>(warp, second);
    Vec<T> result = Operation == 0   ? a + b
                    : Operation == 1 ? (a < b ? a : b)
                                     : (a > b ? a : b);
    if (inst.data) // .relu
      result = result > T(0) ? result : (Vec<T>)(T(0));
    results[part] = result;
  }
  put<uint32_t>(warp, inst.op[0], load<uint32_t>(results), mask);
  return true;
}

template <bool IsMin>
bool clampedMinMax(Warp &warp, const Inst &inst, uint32_t mask) {
  using V = Vec<int32_t>;
  V a = get<int32_t>(warp, inst.op[1]), b = get<int32_t>(warp, inst.op[2]);
  V result = IsMin ? (a < b ? a : b) : (a > b ? a : b);
  put<int32_t>(warp, inst.op[0], result > 0 ? result : (V)(0), mask);
  return true;
}

enum DotFlags : uint32_t {
  DotSignedFirst = 1,
  DotSignedSecond = 2,
  DotUpper = 4, ///< dp2a.hi
};

ROPEWALK_INLINE Vec<int32_t> field(Vec<uint32_t> word, unsigned at,
                                   unsigned bits, bool isSigned) {
  Vec<uint32_t> up = word << (32 - at - bits);
  return isSigned ? as<Vec<int32_t>>(up) >> int32_t(32 - bits)
                  : as<Vec<int32_t>>(up >> (32 - bits));
}

template <unsigned Parts>
bool dotProduct(Warp &warp, const Inst &inst, uint32_t mask) {
  Vec<uint32_t> a = get<uint32_t>(warp, inst.op[1]);
  Vec<uint32_t> b = get<uint32_t>(warp, inst.op[2]);
  Vec<uint32_t> sum = get<uint32_t>(warp, inst.op[3]);
  constexpr unsigned bits = 32 / Parts;
  unsigned skip = inst.data & DotUpper ? 16 : 0;
  for (unsigned i = 0; i < Parts; ++i) {
    Vec<int32_t> x = field(a, i * bits, bits, inst.data & DotSignedFirst);
    Vec<int32_t> y = field(b, skip + i * 8, 8, inst.data & DotSignedSecond);
    sum += as<Vec<uint32_t>>(x) * as<Vec<uint32_t>>(y);
  }
  put<uint32_t>(warp, inst.op[0], sum, mask);
  return true;
}

bool decodeDotProduct(InstDecoder &d, Inst &inst) {
  bool isPair = d.base() == "dp2a";
  if (isPair) {
    int part = d.takeOneOf({"lo", "hi"});
    if (part < 0)
      return d.fail("expected '.lo' or '.hi'");
    inst.data = part ? DotUpper : 0;
  }
  ScalarType first, second;
  if (!d.requireType(first, {S::U32, S::S32}) ||
      !d.requireType(second, {S::U32, S::S32}) || !d.finish(4) ||
      !d.destination(0, S::B32, inst.op[0]))
    return false;
  for (unsigned i = 1; i <= 3; ++i)
    if (!d.source(i, S::B32, inst.op[i]))
      return false;
  inst.data |= (first == S::S32 ? DotSignedFirst : 0) |
               (second == S::S32 ? DotSignedSecond : 0);
  inst.handler = isPair ? &dotProduct<2> : &dotProduct<4>;
  return true;
}

/// Inst::data of bmsk and szext.
enum MaskFlags : uint32_t { MaskClamps = 1, MaskSigned = 2 };

struct BitMask {
  static ROPEWALK_INLINE uint32_t lane(const Inst &inst, uint32_t a,
                                       uint32_t b) {
    bool clamps = inst.data & MaskClamps;
    if (clamps && a >= 32)
      return 0;
    uint32_t begin = a & 31, width = b & 31;
    uint32_t end = clamps && b >= 32 ? 32 : begin + width;
    uint32_t above = ~uint32_t(0) << begin;
    return end >= 32 ? above : above & ~(~uint32_t(0) << end);
  }
};

struct Extend {
  static ROPEWALK_INLINE uint32_t lane(const Inst &inst, uint32_t a,
                                       uint32_t b) {
    if (inst.data & MaskClamps && b >= 32)
      return a;
    uint32_t width = b & 31;
    if (width == 0)
      return 0;
    uint32_t up = a << (32 - width);
    return inst.data & MaskSigned ? uint32_t(int32_t(up) >> (32 - width))
                                  : up >> (32 - width);
  }
};

bool decodeMask(InstDecoder &d, Inst &inst) {
  bool extends = d.base() == "szext";
  int mode = d.takeOneOf({"clamp", "wrap"});
  if (mode < 0)
    return d.fail("expected '.clamp' or '.wrap'");
  ScalarType type;
  if (!(extends ? d.requireType(type, {S::U32, S::S32})
                : d.requireType(type, {S::B32})) ||
      !d.finish(3) || !d.destination(0, type, inst.op[0]) ||
      !d.source(1, type, inst.op[1]) || !d.source(2, S::U32, inst.op[2]))
    return false;
  inst.data = (mode == 0 ? MaskClamps : 0) | (type == S::S32 ? MaskSigned : 0);
  using U = uint32_t;
  inst.handler = extends ? Handler(&binaryLanes<Extend, U, U, U>)
                         : Handler(&binaryLanes<BitMask, U, U, U>);
  return true;
}

/// The bit `offset` steps from bit `base` on. PTX leaves bases beyond 31 open;
/// here they find nothing.
struct FindNth {
  static ROPEWALK_INLINE uint32_t lane(const Inst &, uint32_t mask,
                                       uint32_t base, int32_t offset) {
    if (base > 31)
      return ~uint32_t(0);
    if (offset == 0)
      return mask >> base & 1 ? base : ~uint32_t(0);
    int step = offset > 0 ? 1 : -1;
    uint32_t left = offset > 0 ? uint32_t(offset) : 0 - uint32_t(offset);
    for (int at = int(base); at >= 0 && at < 32; at += step)
      if ((mask >> at & 1) && --left == 0)
        return uint32_t(at);
    return ~uint32_t(0);
  }
};

bool decodeFindNth(InstDecoder &d, Inst &inst) {
  ScalarType type;
  using U = uint32_t;
  inst.handler = &ternaryLanes<FindNth, U, U, U, int32_t>;
  return d.requireType(type, {S::B32}) && d.finish(4) &&
         d.destination(0, type, inst.op[0]) && d.source(1, type, inst.op[1]) &&
         d.source(2, type, inst.op[2]) && d.source(3, S::S32, inst.op[3]);
}

bool breakpoint(Warp &warp, const Inst &inst, uint32_t mask) {
  return warp.block->fail(warp, inst, ReportKind::Trap, std::countr_zero(mask),
                          "the kernel reached a breakpoint");
}

bool decodeBreakpoint(InstDecoder &d, Inst &inst) {
  inst.cls = InstClass::Control;
  inst.handler = &breakpoint;
  return d.finish(0);
}

/// Counters of a profiler that is not there: nothing can tell.
bool decodeEvent(InstDecoder &d, Inst &inst) {
  inst.cls = InstClass::Control;
  inst.handler = [](Warp &, const Inst &, uint32_t) { return true; };
  bool isMask = d.take("mask");
  int64_t value = 0;
  if (!d.finish(1) || !d.immediate(0, value))
    return false;
  int64_t most = isMask ? 0xffff : 15;
  return (value >= 0 && value <= most) ||
         d.failAt(d.operand(0),
                  "event outside of 0 to " + std::to_string(most));
}

} // namespace

bool decodeCarry(InstDecoder &d, Inst &inst, bool high) {
  const std::string &base = d.base();
  bool multiplies = base == "mad" || base == "madc";
  if (d.take("cc"))
    inst.data |= CarryOut;
  if (base == "sub" || base == "subc")
    inst.data |= CarrySubtract;
  inst.data |= (multiplies ? CarryMultiply : 0) | (high ? CarryHigh : 0);
  ScalarType type;
  unsigned count = multiplies ? 3 : 2;
  if (!d.requireType(type, {S::U32, S::S32, S::U64, S::S64}) ||
      !d.finish(count + 1) || !d.destination(0, type, inst.op[0]))
    return false;
  for (unsigned i = 1; i <= count; ++i)
    if (!d.source(i, type, inst.op[i]))
      return false;
  inst.handler = type == S::U32   ? &carry<uint32_t>
                 : type == S::S32 ? &carry<int32_t>
                 : type == S::U64 ? &carry<uint64_t>
                                  : &carry<int64_t>;
  return true;
}

bool decodePackedInteger(InstDecoder &d, Inst &inst) {
  const std::string &base = d.base();
  int operation = base == "add"   ? 0
                  : base == "min" ? 1
                  : base == "max" ? 2
                                  : -1;
  if (operation < 0)
    return d.unsupported("'" + base + "' on packed integers");
  bool isClamped = operation > 0 && d.take("relu");
  ScalarType type;
  if (!(isClamped ? d.requireType(type, {S::S16x2, S::S32})
                  : d.requireType(type, {S::U16x2, S::S16x2})))
    return false;
  // PTX writes it on both sides of the type.
  isClamped |= operation > 0 && type == S::S16x2 && d.take("relu");
  if (!d.finish(3) || !d.destination(0, type, inst.op[0]) ||
      !d.source(1, type, inst.op[1]) || !d.source(2, type, inst.op[2]))
    return false;
  inst.data = isClamped;
  if (type == S::S32) {
    inst.handler =
        operation == 1 ? &clampedMinMax<true> : &clampedMinMax<false>;
    return true;
  }
  static const Handler handlers[3][2] = {
      {&packedInteger<uint16_t, 0>, &packedInteger<uint16_t, 0>},
      {&packedInteger<uint16_t, 1>, &packedInteger<int16_t, 1>},
      {&packedInteger<uint16_t, 2>, &packedInteger<int16_t, 2>}};
  inst.handler = handlers[operation][type == S::S16x2];
  return true;
}

void addExtendedOpcodes(OpcodeTable &table) {
  for (const char *base : {"addc", "subc", "madc"})
    table[base] = &decodeCarryIn;
  table["dp4a"] = &decodeDotProduct;
  table["dp2a"] = &decodeDotProduct;
  table["bmsk"] = &decodeMask;
  table["szext"] = &decodeMask;
  table["fns"] = &decodeFindNth;
  table["brkpt"] = &decodeBreakpoint;
  table["pmevent"] = &decodeEvent;
}

} // namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA

#include "LanesEnd.h"
