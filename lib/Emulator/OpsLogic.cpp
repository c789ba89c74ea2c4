//===- OpsLogic.cpp - Logic, shifts and bit fields --------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// and, or, xor, not, cnot, shl, shr, shf, bfe, bfi, bfind, clz, popc, brev,
// lop3, prmt. Shift counts beyond the width are clamped, as PTX says.
//
//===----------------------------------------------------------------------===//

#include "LaneWise.h"

namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA {

namespace {

using S = ScalarType;

template <class T> struct And {
  using Type = T;
  static ROPEWALK_INLINE Vec<T> apply(Vec<T> a, Vec<T> b) { return a & b; }
};
template <class T> struct Or {
  using Type = T;
  static ROPEWALK_INLINE Vec<T> apply(Vec<T> a, Vec<T> b) { return a | b; }
};
template <class T> struct Xor {
  using Type = T;
  static ROPEWALK_INLINE Vec<T> apply(Vec<T> a, Vec<T> b) { return a ^ b; }
};
template <class T> struct Not {
  using Type = T;
  static ROPEWALK_INLINE Vec<T> apply(Vec<T> a) { return ~a; }
};

enum PredicateFlags { NegateFirst = 1, NegateSecond = 2 };

template <int Kind>
bool predicateLogic(Warp &warp, const Inst &inst, uint32_t mask) {
  uint32_t a = warp.predicate(inst.op[1]);
  a = inst.data & NegateFirst ? ~a : a;
  uint32_t b = 0;
  if (Kind < 3) {
    b = warp.predicate(inst.op[2]);
    b = inst.data & NegateSecond ? ~b : b;
  }
  uint32_t result = Kind == 0   ? a & b
                    : Kind == 1 ? a | b
                    : Kind == 2 ? a ^ b
                                : ~a;
  putPredicate(warp, inst.op[0], result, mask);
  return true;
}

bool decodePredicateLogic(InstDecoder &d, Inst &inst, int kind) {
  bool negated = false;
  unsigned count = kind == 3 ? 1 : 2;
  if (!d.finish(count + 1) ||
      !d.predicateDestination(d.operand(0), inst.op[0]) ||
      !d.predicateSource(1, inst.op[1], negated))
    return false;
  inst.data = negated ? NegateFirst : 0;
  if (count == 2) {
    if (!d.predicateSource(2, inst.op[2], negated))
      return false;
    inst.data |= negated ? NegateSecond : 0;
  }
  static const Handler handlers[] = {&predicateLogic<0>, &predicateLogic<1>,
                                     &predicateLogic<2>, &predicateLogic<3>};
  inst.handler = handlers[kind];
  return true;
}

bool decodeLogic(InstDecoder &d, Inst &inst) {
  const std::string &base = d.base();
  int kind = base == "and" ? 0 : base == "or" ? 1 : base == "xor" ? 2 : 3;
  if (d.take("pred"))
    return decodePredicateLogic(d, inst, kind);
  ScalarType type;
  unsigned count = kind == 3 ? 1 : 2;
  if (!d.requireType(type, {S::B16, S::B32, S::B64}) || !d.finish(count + 1) ||
      !d.destination(0, type, inst.op[0]) || !d.source(1, type, inst.op[1]) ||
      (count == 2 && !d.source(2, type, inst.op[2])))
    return false;
#define ROPEWALK_LOGIC(T)                                                      \
  {                                                                            \
    &binary<And<T>>, &binary<Or<T>>, &binary<Xor<T>>, &unary<Not<T>>           \
  }
  static const Handler handlers[3][4] = {ROPEWALK_LOGIC(uint16_t),
                                         ROPEWALK_LOGIC(uint32_t),
                                         ROPEWALK_LOGIC(uint64_t)};
  inst.handler = handlers[type == S::B16 ? 0 : type == S::B32 ? 1 : 2][kind];
  return true;
}

template <class T> struct CNot {
  using Type = T;
  static ROPEWALK_INLINE Vec<T> apply(Vec<T> a) {
    return a == T(0) ? (Vec<T>)(T(1)) : (Vec<T>)(T(0));
  }
};

bool decodeCNot(InstDecoder &d, Inst &inst) {
  ScalarType type;
  if (!d.requireType(type, {S::B16, S::B32, S::B64}) || !d.finish(2) ||
      !d.destination(0, type, inst.op[0]) || !d.source(1, type, inst.op[1]))
    return false;
  inst.handler = type == S::B16   ? Handler(&unary<CNot<uint16_t>>)
                 : type == S::B32 ? Handler(&unary<CNot<uint32_t>>)
                                  : Handler(&unary<CNot<uint64_t>>);
  return true;
}

template <class T, bool Left>
bool shift(Warp &warp, const Inst &inst, uint32_t mask) {
  constexpr uint32_t width = sizeof(T) * 8;
  Vec<T> a = get<T>(warp, inst.op[1]);
  Vec<uint32_t> count = get<uint32_t>(warp, inst.op[2]);
  Vec<T> result;
  if (Left) {
    uint32_t inRange = maskOf(count < width);
    Vec<T> by = __builtin_convertvector(count & (width - 1), Vec<T>);
    result = select<T>(inRange, a << by, (Vec<T>)(T(0)));
  } else if (std::is_signed_v<T>) {
    count = count < width ? count : (Vec<uint32_t>)(width - 1);
    result = a >> __builtin_convertvector(count, Vec<T>);
  } else {
    uint32_t inRange = maskOf(count < width);
    Vec<T> by = __builtin_convertvector(count & (width - 1), Vec<T>);
    result = select<T>(inRange, a >> by, (Vec<T>)(T(0)));
  }
  put<T>(warp, inst.op[0], result, mask);
  return true;
}

bool decodeShift(InstDecoder &d, Inst &inst) {
  bool isLeft = d.base() == "shl";
  ScalarType type;
  if (isLeft ? !d.requireType(type, {S::B16, S::B32, S::B64})
             : !d.requireType(type, {S::B16, S::B32, S::B64, S::U16, S::U32,
                                     S::U64, S::S16, S::S32, S::S64}))
    return false;
  if (!d.finish(3) || !d.destination(0, type, inst.op[0]) ||
      !d.source(1, type, inst.op[1]) || !d.source(2, S::U32, inst.op[2]))
    return false;
  bool isSigned = type == S::S16 || type == S::S32 || type == S::S64;
  switch (sizeOf(type)) {
  case 2:
    inst.handler = isLeft     ? Handler(&shift<uint16_t, true>)
                   : isSigned ? Handler(&shift<int16_t, false>)
                              : Handler(&shift<uint16_t, false>);
    break;
  case 4:
    inst.handler = isLeft     ? Handler(&shift<uint32_t, true>)
                   : isSigned ? Handler(&shift<int32_t, false>)
                              : Handler(&shift<uint32_t, false>);
    break;
  default:
    inst.handler = isLeft     ? Handler(&shift<uint64_t, true>)
                   : isSigned ? Handler(&shift<int64_t, false>)
                              : Handler(&shift<uint64_t, false>);
  }
  return true;
}

template <bool Left, bool Wrap> struct Funnel {
  static ROPEWALK_INLINE uint32_t lane(const Inst &, uint32_t a, uint32_t b,
                                       uint32_t c) {
    uint32_t n = Wrap ? c & 31 : c < 32 ? c : 32;
    uint64_t pair = uint64_t(b) << 32 | a;
    return Left ? uint32_t((pair << n) >> 32) : uint32_t(pair >> n);
  }
};

bool decodeFunnel(InstDecoder &d, Inst &inst) {
  int side = d.takeOneOf({"l", "r"});
  int mode = d.takeOneOf({"clamp", "wrap"});
  if (side < 0 || mode < 0)
    return d.fail("expected '.l' or '.r' and '.clamp' or '.wrap'");
  ScalarType type;
  if (!d.requireType(type, {S::B32}) || !d.finish(4) ||
      !d.destination(0, type, inst.op[0]) || !d.source(1, type, inst.op[1]) ||
      !d.source(2, type, inst.op[2]) || !d.source(3, type, inst.op[3]))
    return false;
  using U = uint32_t;
  static const Handler handlers[2][2] = {
      {&ternaryLanes<Funnel<true, false>, U, U, U, U>,
       &ternaryLanes<Funnel<true, true>, U, U, U, U>},
      {&ternaryLanes<Funnel<false, false>, U, U, U, U>,
       &ternaryLanes<Funnel<false, true>, U, U, U, U>}};
  inst.handler = handlers[side][mode];
  return true;
}

template <class T> struct BitField {
  static ROPEWALK_INLINE T lane(const Inst &, T a, uint32_t b, uint32_t c) {
    constexpr uint32_t msb = sizeof(T) * 8 - 1;
    uint32_t pos = b & 0xff, len = c & 0xff;
    if (len == 0)
      return 0;
    using U = UIntOf<T>;
    uint32_t top = std::min(pos + len - 1, msb);
    bool sign = std::is_signed_v<T> && (U(a) >> top & 1);
    U field = pos > msb ? 0 : U(a) >> pos;
    uint32_t bits = pos > msb ? 0 : std::min(len, msb + 1 - pos);
    U kept = bits == 0 ? 0 : ~U(0) >> (msb + 1 - bits);
    return T((field & kept) | (sign ? ~kept : 0));
  }
};

template <class T> struct BitInsert {
  static ROPEWALK_INLINE T insert(T a, T b, uint32_t c, uint32_t d) {
    constexpr uint32_t msb = sizeof(T) * 8 - 1;
    uint32_t pos = c & 0xff, len = d & 0xff;
    if (pos > msb || len == 0)
      return b;
    uint32_t bits = std::min(len, msb + 1 - pos);
    T kept = (~T(0) >> (msb + 1 - bits)) << pos;
    return (b & ~kept) | ((a << pos) & kept);
  }
};

template <class T> bool bitInsert(Warp &warp, const Inst &inst, uint32_t mask) {
  T *result = lanes<T>(warp, inst.op[0]);
  const T *a = lanes<T>(warp, inst.op[1]);
  const T *b = lanes<T>(warp, inst.op[2]);
  const uint32_t *c = lanes<uint32_t>(warp, inst.op[3]);
  const uint32_t *d = lanes<uint32_t>(warp, inst.op[4]);
  forLanes(mask, [&](unsigned i) {
    result[i] = BitInsert<T>::insert(a[i], b[i], c[i], d[i]);
  });
  return true;
}

bool decodeBitField(InstDecoder &d, Inst &inst) {
  ScalarType type;
  if (!d.requireType(type, {S::U32, S::S32, S::U64, S::S64}) || !d.finish(4) ||
      !d.destination(0, type, inst.op[0]) || !d.source(1, type, inst.op[1]) ||
      !d.source(2, S::U32, inst.op[2]) || !d.source(3, S::U32, inst.op[3]))
    return false;
  using U = uint32_t;
  inst.handler =
      type == S::U32
          ? Handler(&ternaryLanes<BitField<uint32_t>, uint32_t, uint32_t, U, U>)
      : type == S::S32
          ? Handler(&ternaryLanes<BitField<int32_t>, int32_t, int32_t, U, U>)
      : type == S::U64
          ? Handler(&ternaryLanes<BitField<uint64_t>, uint64_t, uint64_t, U, U>)
          : Handler(&ternaryLanes<BitField<int64_t>, int64_t, int64_t, U, U>);
  return true;
}

bool decodeBitInsert(InstDecoder &d, Inst &inst) {
  ScalarType type;
  if (!d.requireType(type, {S::B32, S::B64}) || !d.finish(5) ||
      !d.destination(0, type, inst.op[0]) || !d.source(1, type, inst.op[1]) ||
      !d.source(2, type, inst.op[2]) || !d.source(3, S::U32, inst.op[3]) ||
      !d.source(4, S::U32, inst.op[4]))
    return false;
  inst.handler = type == S::B32 ? Handler(&bitInsert<uint32_t>)
                                : Handler(&bitInsert<uint64_t>);
  return true;
}

template <class T> struct BitFind {
  static ROPEWALK_INLINE uint32_t lane(const Inst &inst, T a) {
    UIntOf<T> bits = UIntOf<T>(a);
    if (std::is_signed_v<T> && a < 0)
      bits = UIntOf<T>(~bits);
    if (bits == 0)
      return ~uint32_t(0);
    uint32_t zeros = uint32_t(std::countl_zero(bits));
    return inst.data ? zeros : uint32_t(sizeof(T) * 8) - 1 - zeros;
  }
};
template <class T> struct CountZeros {
  static ROPEWALK_INLINE uint32_t lane(const Inst &, T a) {
    return uint32_t(std::countl_zero(a));
  }
};
template <class T> struct CountOnes {
  static ROPEWALK_INLINE uint32_t lane(const Inst &, T a) {
    return uint32_t(std::popcount(a));
  }
};
template <class T> struct Reverse {
  static ROPEWALK_INLINE T lane(const Inst &, T a) {
    return sizeof(T) == 4 ? T(__builtin_bitreverse32(uint32_t(a)))
                          : T(__builtin_bitreverse64(a));
  }
};

bool decodeBitCount(InstDecoder &d, Inst &inst) {
  const std::string &base = d.base();
  ScalarType type;
  if (base == "bfind") {
    inst.data = d.take("shiftamt");
    if (!d.requireType(type, {S::U32, S::S32, S::U64, S::S64}))
      return false;
  } else if (!d.requireType(type, {S::B32, S::B64})) {
    return false;
  }
  if (!d.finish(2) ||
      !d.destination(0, base == "brev" ? type : S::U32, inst.op[0]) ||
      !d.source(1, type, inst.op[1]))
    return false;
  bool isWide = sizeOf(type) == 8;
  using U = uint32_t;
  using W = uint64_t;
  if (base == "clz")
    inst.handler = isWide ? Handler(&unaryLanes<CountZeros<W>, U, W>)
                          : Handler(&unaryLanes<CountZeros<U>, U, U>);
  else if (base == "popc")
    inst.handler = isWide ? Handler(&unaryLanes<CountOnes<W>, U, W>)
                          : Handler(&unaryLanes<CountOnes<U>, U, U>);
  else if (base == "brev")
    inst.handler = isWide ? Handler(&unaryLanes<Reverse<W>, W, W>)
                          : Handler(&unaryLanes<Reverse<U>, U, U>);
  else if (type == S::S32 || type == S::S64)
    inst.handler = isWide ? Handler(&unaryLanes<BitFind<int64_t>, U, int64_t>)
                          : Handler(&unaryLanes<BitFind<int32_t>, U, int32_t>);
  else
    inst.handler = isWide ? Handler(&unaryLanes<BitFind<W>, U, W>)
                          : Handler(&unaryLanes<BitFind<U>, U, U>);
  return true;
}

/// Inst::data of lop3 beside the table.
enum LogicFlags : uint32_t {
  LogicOr = 1 << 8,
  LogicAnd = 1 << 9,
  LogicNegated = 1 << 10, ///< The predicate that is combined.
};

ROPEWALK_INLINE Vec<uint32_t> lookUp(Warp &warp, const Inst &inst) {
  Vec<uint32_t> a = get<uint32_t>(warp, inst.op[1]);
  Vec<uint32_t> b = get<uint32_t>(warp, inst.op[2]);
  Vec<uint32_t> c = get<uint32_t>(warp, inst.op[3]);
  Vec<uint32_t> result = 0;
  for (unsigned term = 0; term < 8; ++term)
    if (inst.data >> term & 1)
      result |= (term & 4 ? a : ~a) & (term & 2 ? b : ~b) & (term & 1 ? c : ~c);
  return result;
}

bool lop3(Warp &warp, const Inst &inst, uint32_t mask) {
  put<uint32_t>(warp, inst.op[0], lookUp(warp, inst), mask);
  return true;
}

/// Also tells whether the result is not zero, combined with a predicate.
bool lop3Predicate(Warp &warp, const Inst &inst, uint32_t mask) {
  Vec<uint32_t> result = lookUp(warp, inst);
  uint32_t q = warp.predicate(inst.op[4]);
  q = inst.data & LogicNegated ? ~q : q;
  uint32_t isSet = maskOf(result != 0u);
  putPredicate(warp, inst.list[0], inst.data & LogicOr ? isSet | q : isSet & q,
               mask);
  if (inst.op[0].offset != NoRow)
    put<uint32_t>(warp, inst.op[0], result, mask);
  return true;
}

bool decodeLop3(InstDecoder &d, Inst &inst) {
  ScalarType type;
  int64_t table = 0;
  int combination = d.takeOneOf({"or", "and"});
  bool combines = combination >= 0;
  if (!d.requireType(type, {S::B32}) || !d.finish(combines ? 6 : 5) ||
      !d.source(1, type, inst.op[1]) || !d.source(2, type, inst.op[2]) ||
      !d.source(3, type, inst.op[3]) || !d.immediate(4, table))
    return false;
  if (table < 0 || table > 255)
    return d.failAt(d.operand(4), "truth table outside of 0 to 255");
  inst.data = uint32_t(table);
  if (!combines) {
    inst.handler = &lop3;
    return d.destination(0, type, inst.op[0]);
  }
  OperandSyntax first = d.operand(0);
  bool negated = false;
  uint32_t bytes = 0;
  if (first.pairIndex == -1)
    return d.failAt(first, "expected '|' and a predicate");
  if (!d.pairDestination(first, inst.list[0]) ||
      !d.predicateSource(5, inst.op[4], negated))
    return false;
  first.pairIndex = -1;
  if (!d.wideDestination(first, type, inst.op[0], bytes))
    return false;
  if (bytes != 4)
    return d.failAt(first, "expected a register of 4 bytes");
  inst.data |=
      (combination == 0 ? LogicOr : LogicAnd) | (negated ? LogicNegated : 0);
  inst.handler = &lop3Predicate;
  return true;
}

enum PermuteMode { Default, F4E, B4E, Rc8, Ecl, Ecr, Rc16 };

struct Permute {
  static ROPEWALK_INLINE uint32_t lane(const Inst &inst, uint32_t a, uint32_t b,
                                       uint32_t c) {
    uint64_t bytes = uint64_t(b) << 32 | a;
    uint32_t result = 0;
    uint32_t n = c & 3;
    for (uint32_t i = 0; i < 4; ++i) {
      uint32_t selector;
      switch (inst.data) {
      case F4E:
        selector = n + i;
        break;
      case B4E:
        selector = (n - i) & 7;
        break;
      case Rc8:
        selector = n;
        break;
      case Ecl:
        selector = std::max(n, i);
        break;
      case Ecr:
        selector = std::min(n, i);
        break;
      case Rc16:
        selector = (n & 1) * 2 + (i & 1);
        break;
      default:
        selector = c >> (i * 4) & 15;
        break;
      }
      uint32_t byte = uint32_t(bytes >> ((selector & 7) * 8)) & 0xff;
      if (selector & 8)
        byte = byte & 0x80 ? 0xff : 0;
      result |= byte << (i * 8);
    }
    return result;
  }
};

bool decodePermute(InstDecoder &d, Inst &inst) {
  ScalarType type;
  if (!d.requireType(type, {S::B32}))
    return false;
  inst.data =
      uint32_t(d.takeOneOf({"f4e", "b4e", "rc8", "ecl", "ecr", "rc16"}) + 1);
  inst.cls = InstClass::Move;
  if (!d.finish(4) || !d.destination(0, type, inst.op[0]) ||
      !d.source(1, type, inst.op[1]) || !d.source(2, type, inst.op[2]) ||
      !d.source(3, type, inst.op[3]))
    return false;
  using U = uint32_t;
  inst.handler = &ternaryLanes<Permute, U, U, U, U>;
  return true;
}

} // namespace

void addLogicOpcodes(OpcodeTable &table) {
  for (const char *base : {"and", "or", "xor", "not"})
    table[base] = &decodeLogic;
  table["cnot"] = &decodeCNot;
  table["shl"] = &decodeShift;
  table["shr"] = &decodeShift;
  table["shf"] = &decodeFunnel;
  table["bfe"] = &decodeBitField;
  table["bfi"] = &decodeBitInsert;
  for (const char *base : {"bfind", "clz", "popc", "brev"})
    table[base] = &decodeBitCount;
  table["lop3"] = &decodeLop3;
  table["prmt"] = &decodePermute;
}

} // namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA

#include "LanesEnd.h"
