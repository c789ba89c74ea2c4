//===- OpsCompare.cpp - Comparisons and selections --------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// setp, set, selp, slct, testp. Ordered comparisons are false and unordered
// ones true when a source is NaN.
//
//===----------------------------------------------------------------------===//

#include "FloatModifiers.h"
#include "HalfVectors.h"
#include "LaneWise.h"

namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA {

namespace {

using S = ScalarType;

enum Comparison : uint32_t {
  Eq,
  Ne,
  Lt,
  Le,
  Gt,
  Ge,
  Equ,
  Neu,
  Ltu,
  Leu,
  Gtu,
  Geu,
  Num,
  Nan
};

/// Inst::data: the comparison, then these.
enum CompareFlags : uint32_t {
  CompareMask = 15,
  CompareFlush = 1 << 4,
  CombineNone = 0 << 5,
  CombineAnd = 1 << 5,
  CombineOr = 2 << 5,
  CombineXor = 3 << 5,
  CombineMask = 3 << 5,
  NegateThird = 1 << 7,
};

template <class T>
ROPEWALK_INLINE uint32_t compare(uint32_t kind, Vec<T> a, Vec<T> b) {
  switch (kind) {
  case Eq:
    return maskOf(a == b);
  case Ne:
    if constexpr (std::is_floating_point_v<T>)
      return maskOf(a < b) | maskOf(a > b);
    return maskOf(a != b);
  case Lt:
    return maskOf(a < b);
  case Le:
    return maskOf(a <= b);
  case Gt:
    return maskOf(a > b);
  case Ge:
    return maskOf(a >= b);
  case Equ:
    return ~(maskOf(a < b) | maskOf(a > b));
  case Neu:
    return maskOf(a != b);
  case Ltu:
    return ~maskOf(a >= b);
  case Leu:
    return ~maskOf(a > b);
  case Gtu:
    return ~maskOf(a <= b);
  case Geu:
    return ~maskOf(a < b);
  case Num:
    return maskOf(a == a) & maskOf(b == b);
  default:
    return maskOf(a != a) | maskOf(b != b);
  }
}

ROPEWALK_INLINE uint32_t combine(Warp &warp, const Inst &inst, uint32_t value) {
  if (!(inst.data & CombineMask))
    return value;
  uint32_t c = warp.predicate(inst.op[4]);
  c = inst.data & NegateThird ? ~c : c;
  switch (inst.data & CombineMask) {
  case CombineAnd:
    return value & c;
  case CombineOr:
    return value | c;
  default:
    return value ^ c;
  }
}

/// f16 or bf16 as the type of a source.
template <bool IsBFloat> struct HalfSource {};

/// The lanes' results of the comparison alone.
template <class T> struct Compare {
  static ROPEWALK_INLINE uint32_t rows(Warp &warp, const Inst &inst) {
    Vec<T> a = get<T>(warp, inst.op[2]), b = get<T>(warp, inst.op[3]);
    if constexpr (std::is_same_v<T, float>)
      if (inst.data & CompareFlush)
        a = flush(a), b = flush(b);
    return compare<T>(inst.data & CompareMask, a, b);
  }
};

template <bool IsBFloat>
ROPEWALK_INLINE uint32_t compareHalves(const Inst &inst, Halves a, Halves b) {
  using F = HalfFormat<IsBFloat>;
  if (inst.data & CompareFlush)
    a = F::flush(a), b = F::flush(b);
  return compare<float>(inst.data & CompareMask, F::widen(a), F::widen(b));
}

template <bool IsBFloat> struct Compare<HalfSource<IsBFloat>> {
  static ROPEWALK_INLINE uint32_t rows(Warp &warp, const Inst &inst) {
    return compareHalves<IsBFloat>(inst, get<uint16_t>(warp, inst.op[2]),
                                   get<uint16_t>(warp, inst.op[3]));
  }
};

/// The elements of packed rows, lower or upper halves.
ROPEWALK_INLINE Halves halvesOf(Warp &warp, Ref ref, bool upper) {
  Vec<uint32_t> both = get<uint32_t>(warp, ref);
  return __builtin_convertvector(upper ? both >> 16 : both, Halves);
}

template <class T> bool setp(Warp &warp, const Inst &inst, uint32_t mask) {
  uint32_t value = Compare<T>::rows(warp, inst);
  uint32_t first = combine(warp, inst, value);
  uint32_t second = combine(warp, inst, ~value);
  putPredicate(warp, inst.op[0], first, mask);
  putPredicate(warp, inst.op[1], second, mask);
  return true;
}

/// The second predicate is the upper half's, not the opposite.
template <bool IsBFloat>
bool setpPacked(Warp &warp, const Inst &inst, uint32_t mask) {
  uint32_t results[2];
  for (int part = 0; part < 2; ++part)
    results[part] =
        combine(warp, inst,
                compareHalves<IsBFloat>(inst, halvesOf(warp, inst.op[2], part),
                                        halvesOf(warp, inst.op[3], part)));
  putPredicate(warp, inst.op[0], results[0], mask);
  putPredicate(warp, inst.op[1], results[1], mask);
  return true;
}

/// What `set` writes for true, in Inst::offset; 0 stands for false.
template <class T> bool set(Warp &warp, const Inst &inst, uint32_t mask) {
  uint32_t value = combine(warp, inst, Compare<T>::rows(warp, inst));
  uint32_t yes = uint32_t(inst.offset);
  if (inst.count == 2)
    put<uint16_t>(
        warp, inst.op[0],
        select<uint16_t>(value, (Halves)(uint16_t(yes)), (Halves)(uint16_t(0))),
        mask);
  else
    put<uint32_t>(
        warp, inst.op[0],
        select<uint32_t>(value, (Vec<uint32_t>)(yes), (Vec<uint32_t>)(0u)),
        mask);
  return true;
}

template <bool IsBFloat>
bool setPacked(Warp &warp, const Inst &inst, uint32_t mask) {
  Vec<uint32_t> result = 0u;
  for (int part = 0; part < 2; ++part) {
    uint32_t value =
        combine(warp, inst,
                compareHalves<IsBFloat>(inst, halvesOf(warp, inst.op[2], part),
                                        halvesOf(warp, inst.op[3], part)));
    uint32_t yes = (uint32_t(inst.offset) & 0xffff) << (part * 16);
    result |=
        select<uint32_t>(value, (Vec<uint32_t>)(yes), (Vec<uint32_t>)(0u));
  }
  put<uint32_t>(warp, inst.op[0], result, mask);
  return true;
}

bool isPackedHalf(ScalarType t) { return t == S::F16x2 || t == S::BF16x2; }
bool isHalf(ScalarType t) {
  return t == S::F16 || t == S::BF16 || isPackedHalf(t);
}

/// Takes the type of a result of `set` and what it writes for true.
bool takeResult(InstDecoder &d, Inst &inst, ScalarType &result) {
  if (!d.requireType(result, {S::U16, S::S16, S::U32, S::S32, S::F16, S::BF16,
                              S::F16x2, S::BF16x2, S::F32}))
    return false;
  inst.offset = result == S::F32                         ? 0x3f800000
                : result == S::F16 || result == S::F16x2 ? 0x3c003c00
                : isHalf(result)                         ? 0x3f803f80
                                                         : 0xffffffff;
  inst.count = uint8_t(sizeOf(result));
  return true;
}

/// Which results go with which sources.
bool checkResult(InstDecoder &d, ScalarType result, ScalarType type) {
  bool isInteger = result == S::U32 || result == S::S32;
  bool isShort = result == S::U16 || result == S::S16;
  bool fits;
  if (isPackedHalf(type))
    fits = isInteger || result == type;
  else if (type == S::F16 || type == S::BF16)
    fits = isInteger || isShort || result == type;
  else
    fits =
        isInteger || result == S::F32 || result == S::F16 || result == S::BF16;
  return fits || d.unsupported(std::string("'set' of a .") + name(result) +
                               " from a ." + name(type));
}

bool takeComparison(InstDecoder &d, Inst &inst, ScalarType &type, bool isSet) {
  int kind = d.takeOneOf({"eq", "ne", "lt", "le", "gt", "ge", "equ", "neu",
                          "ltu", "leu", "gtu", "geu", "num", "nan"});
  bool isUnsigned = false;
  if (kind < 0) {
    kind = d.takeOneOf({"lo", "ls", "hi", "hs"});
    isUnsigned = true;
    if (kind < 0)
      return d.fail("expected a comparison");
    kind += Lt;
  }
  inst.data = uint32_t(kind);
  int combination = d.takeOneOf({"and", "or", "xor"});
  if (combination >= 0)
    inst.data |= uint32_t(combination + 1) << 5;
  if (d.take("ftz"))
    inst.data |= CompareFlush;
  ScalarType result = S::None;
  if (isSet && !takeResult(d, inst, result))
    return false;
  if (!d.requireType(type, {S::B16, S::B32, S::B64, S::U16, S::U32, S::U64,
                            S::S16, S::S32, S::S64, S::F16, S::BF16, S::F16x2,
                            S::BF16x2, S::F32, S::F64}))
    return false;
  if (isSet && !checkResult(d, result, type))
    return false;
  bool isFloat = type == S::F32 || type == S::F64 || isHalf(type);
  bool isBits = type == S::B16 || type == S::B32 || type == S::B64;
  bool isSigned = type == S::S16 || type == S::S32 || type == S::S64;
  if ((!isFloat && kind >= int(Equ)) || (isBits && kind > int(Ne)) ||
      (isUnsigned && (isFloat || isSigned || isBits)))
    return d.fail(std::string("comparison does not apply to .") + name(type));
  if ((inst.data & CompareFlush) && type != S::F32 && type != S::F16 &&
      type != S::F16x2)
    return d.unsupported(std::string("'.ftz' on .") + name(type));
  bool combines = combination >= 0;
  if (!d.finish(combines ? 4 : 3))
    return false;
  if (!d.source(1, type, inst.op[2]) || !d.source(2, type, inst.op[3]))
    return false;
  if (combines) {
    bool negated = false;
    if (!d.predicateSource(3, inst.op[4], negated))
      return false;
    inst.data |= negated ? NegateThird : 0;
  }
  inst.cls = InstClass::Compare;
  return !isSet || d.destination(0, result, inst.op[0]);
}

/// The instance of a template for the type of the sources.
#define ROPEWALK_BY_SOURCE(TYPE, FORM)                                         \
  switch (TYPE) {                                                              \
  case S::B16:                                                                 \
  case S::U16:                                                                 \
    inst.handler = &FORM<uint16_t>;                                            \
    break;                                                                     \
  case S::S16:                                                                 \
    inst.handler = &FORM<int16_t>;                                             \
    break;                                                                     \
  case S::B32:                                                                 \
  case S::U32:                                                                 \
    inst.handler = &FORM<uint32_t>;                                            \
    break;                                                                     \
  case S::S32:                                                                 \
    inst.handler = &FORM<int32_t>;                                             \
    break;                                                                     \
  case S::B64:                                                                 \
  case S::U64:                                                                 \
    inst.handler = &FORM<uint64_t>;                                            \
    break;                                                                     \
  case S::S64:                                                                 \
    inst.handler = &FORM<int64_t>;                                             \
    break;                                                                     \
  case S::F16:                                                                 \
    inst.handler = &FORM<HalfSource<false>>;                                   \
    break;                                                                     \
  case S::BF16:                                                                \
    inst.handler = &FORM<HalfSource<true>>;                                    \
    break;                                                                     \
  case S::F16x2:                                                               \
    inst.handler = &FORM##Packed<false>;                                       \
    break;                                                                     \
  case S::BF16x2:                                                              \
    inst.handler = &FORM##Packed<true>;                                        \
    break;                                                                     \
  case S::F32:                                                                 \
    inst.handler = &FORM<float>;                                               \
    break;                                                                     \
  default:                                                                     \
    inst.handler = &FORM<double>;                                              \
    break;                                                                     \
  }

bool decodeSetp(InstDecoder &d, Inst &inst) {
  ScalarType type;
  if (!takeComparison(d, inst, type, false))
    return false;
  OperandSyntax first = d.operand(0);
  // Only pairs of halves have one result each.
  if ((type == S::F16 || type == S::BF16) && first.pairIndex != -1)
    return d.unsupported("a second predicate on half-precision types");
  if (!d.pairDestination(first, inst.op[1]))
    return false;
  first.pairIndex = -1;
  if (!d.predicateDestination(first, inst.op[0]))
    return false;
  ROPEWALK_BY_SOURCE(type, setp)
  return true;
}

bool decodeSet(InstDecoder &d, Inst &inst) {
  ScalarType type;
  if (!takeComparison(d, inst, type, true))
    return false;
  ROPEWALK_BY_SOURCE(type, set)
  return true;
}

template <class T> bool selp(Warp &warp, const Inst &inst, uint32_t mask) {
  uint32_t c = warp.predicate(inst.op[3]);
  put<T>(warp, inst.op[0],
         select<T>(c, get<T>(warp, inst.op[1]), get<T>(warp, inst.op[2])),
         mask);
  return true;
}

bool decodeSelp(InstDecoder &d, Inst &inst) {
  ScalarType type;
  bool negated = false;
  if (!d.requireType(type, {S::B16, S::B32, S::B64, S::U16, S::U32, S::U64,
                            S::S16, S::S32, S::S64, S::F32, S::F64}) ||
      !d.finish(4) || !d.destination(0, type, inst.op[0]) ||
      !d.source(1, type, inst.op[1]) || !d.source(2, type, inst.op[2]) ||
      !d.predicateSource(3, inst.op[3], negated))
    return false;
  if (negated)
    return d.failAt(d.operand(3), "negated predicate");
  inst.cls = InstClass::Compare;
  inst.handler = sizeOf(type) == 2   ? Handler(&selp<uint16_t>)
                 : sizeOf(type) == 4 ? Handler(&selp<uint32_t>)
                                     : Handler(&selp<uint64_t>);
  return true;
}

template <class T, class C>
bool slct(Warp &warp, const Inst &inst, uint32_t mask) {
  Vec<C> c = get<C>(warp, inst.op[3]);
  if constexpr (std::is_same_v<C, float>)
    if (inst.data & FloatFlush)
      c = flush(c);
  put<T>(warp, inst.op[0],
         select<T>(maskOf(c >= C(0)), get<T>(warp, inst.op[1]),
                   get<T>(warp, inst.op[2])),
         mask);
  return true;
}

bool decodeSlct(InstDecoder &d, Inst &inst) {
  if (d.take("ftz"))
    inst.data |= FloatFlush;
  ScalarType type, control;
  if (!d.requireType(type, {S::B16, S::B32, S::B64, S::U16, S::U32, S::U64,
                            S::S16, S::S32, S::S64, S::F32, S::F64}) ||
      !d.requireType(control, {S::S32, S::F32}) || !d.finish(4) ||
      !d.destination(0, type, inst.op[0]) || !d.source(1, type, inst.op[1]) ||
      !d.source(2, type, inst.op[2]) || !d.source(3, control, inst.op[3]))
    return false;
  inst.cls = InstClass::Compare;
  bool byFloat = control == S::F32;
  if (sizeOf(type) == 2)
    inst.handler = byFloat ? Handler(&slct<uint16_t, float>)
                           : Handler(&slct<uint16_t, int32_t>);
  else if (sizeOf(type) == 4)
    inst.handler = byFloat ? Handler(&slct<uint32_t, float>)
                           : Handler(&slct<uint32_t, int32_t>);
  else
    inst.handler = byFloat ? Handler(&slct<uint64_t, float>)
                           : Handler(&slct<uint64_t, int32_t>);
  return true;
}

template <class T> bool testp(Warp &warp, const Inst &inst, uint32_t mask) {
  Vec<T> a = __builtin_elementwise_abs(get<T>(warp, inst.op[1]));
  const T infinity = std::numeric_limits<T>::infinity();
  const T least = std::numeric_limits<T>::min();
  uint32_t result = 0;
  switch (inst.data) {
  case 0: // finite
    result = maskOf(a < infinity);
    break;
  case 1: // infinite
    result = maskOf(a == infinity);
    break;
  case 2: // number
    result = maskOf(a == a);
    break;
  case 3: // notanumber
    result = maskOf(a != a);
    break;
  case 4: // normal, which PTX says of zeros too
    result = (maskOf(a >= least) & maskOf(a < infinity)) | maskOf(a == T(0));
    break;
  default: // subnormal
    result = maskOf(a < least) & maskOf(a > T(0));
    break;
  }
  putPredicate(warp, inst.op[0], result, mask);
  return true;
}

bool decodeTestp(InstDecoder &d, Inst &inst) {
  int kind = d.takeOneOf(
      {"finite", "infinite", "number", "notanumber", "normal", "subnormal"});
  if (kind < 0)
    return d.fail("expected a property");
  inst.data = uint32_t(kind);
  ScalarType type;
  if (!d.requireType(type, {S::F32, S::F64}) || !d.finish(2) ||
      !d.predicateDestination(d.operand(0), inst.op[0]) ||
      !d.source(1, type, inst.op[1]))
    return false;
  inst.cls = InstClass::Compare;
  inst.handler =
      type == S::F32 ? Handler(&testp<float>) : Handler(&testp<double>);
  return true;
}

} // namespace

void addCompareOpcodes(OpcodeTable &table) {
  table["setp"] = &decodeSetp;
  table["set"] = &decodeSet;
  table["selp"] = &decodeSelp;
  table["slct"] = &decodeSlct;
  table["testp"] = &decodeTestp;
}

} // namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA

#include "LanesEnd.h"
