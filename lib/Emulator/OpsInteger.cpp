//===- OpsInteger.cpp - Integer arithmetic ----------------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// add, sub, mul, mad, div, rem, abs, neg, min, max, sad, and the products of 24
// bits on integers; OpsExtended.cpp has the forms with a carry. PTX leaves
// division by zero open; like the hardware it gives all ones, and the remainder
// the dividend.
//
//===----------------------------------------------------------------------===//

#include "LaneWise.h"

namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA {

namespace {

template <class T> using UVec = Vec<UIntOf<T>>;

template <class T> struct Add {
  using Type = T;
  static ROPEWALK_INLINE Vec<T> apply(Vec<T> a, Vec<T> b) {
    return as<Vec<T>>(as<UVec<T>>(a) + as<UVec<T>>(b));
  }
};
template <class T> struct Sub {
  using Type = T;
  static ROPEWALK_INLINE Vec<T> apply(Vec<T> a, Vec<T> b) {
    return as<Vec<T>>(as<UVec<T>>(a) - as<UVec<T>>(b));
  }
};
template <class T> struct MulLo {
  using Type = T;
  static ROPEWALK_INLINE Vec<T> apply(Vec<T> a, Vec<T> b) {
    return as<Vec<T>>(as<UVec<T>>(a) * as<UVec<T>>(b));
  }
};
template <class T> struct MadLo {
  using Type = T;
  static ROPEWALK_INLINE Vec<T> apply(Vec<T> a, Vec<T> b, Vec<T> c) {
    return as<Vec<T>>(as<UVec<T>>(a) * as<UVec<T>>(b) + as<UVec<T>>(c));
  }
};
template <class T> struct Min {
  using Type = T;
  static ROPEWALK_INLINE Vec<T> apply(Vec<T> a, Vec<T> b) {
    return a < b ? a : b;
  }
};
template <class T> struct Max {
  using Type = T;
  static ROPEWALK_INLINE Vec<T> apply(Vec<T> a, Vec<T> b) {
    return a > b ? a : b;
  }
};
template <class T> struct Neg {
  using Type = T;
  static ROPEWALK_INLINE Vec<T> apply(Vec<T> a) {
    return as<Vec<T>>(UIntOf<T>(0) - as<UVec<T>>(a));
  }
};
template <class T> struct Abs {
  using Type = T;
  static ROPEWALK_INLINE Vec<T> apply(Vec<T> a) {
    return a < T(0) ? Neg<T>::apply(a) : a;
  }
};
struct AddSaturating {
  using Type = int32_t;
  static ROPEWALK_INLINE Vec<int32_t> apply(Vec<int32_t> a, Vec<int32_t> b) {
    return __builtin_elementwise_add_sat(a, b);
  }
};
struct SubSaturating {
  using Type = int32_t;
  static ROPEWALK_INLINE Vec<int32_t> apply(Vec<int32_t> a, Vec<int32_t> b) {
    return __builtin_elementwise_sub_sat(a, b);
  }
};

template <class T> struct Div {
  static ROPEWALK_INLINE T lane(const Inst &, T a, T b) {
    if (b == 0)
      return T(-1);
    if (std::is_signed_v<T> && b == T(-1))
      return T(0 - UIntOf<T>(a));
    return T(a / b);
  }
};
template <class T> struct Rem {
  static ROPEWALK_INLINE T lane(const Inst &, T a, T b) {
    if (b == 0)
      return a;
    if (std::is_signed_v<T> && b == T(-1))
      return 0;
    return T(a % b);
  }
};

/// Twice the width of T.
template <class T>
using WideOf = std::conditional_t<
    std::is_same_v<T, uint16_t>, uint32_t,
    std::conditional_t<
        std::is_same_v<T, int16_t>, int32_t,
        std::conditional_t<
            std::is_same_v<T, uint32_t>, uint64_t,
            std::conditional_t<
                std::is_same_v<T, int32_t>, int64_t,
                std::conditional_t<std::is_same_v<T, uint64_t>,
                                   unsigned __int128, __int128>>>>>;

template <class T> bool mulWide(Warp &warp, const Inst &inst, uint32_t mask) {
  using W = WideOf<T>;
  Vec<W> a = __builtin_convertvector(get<T>(warp, inst.op[1]), Vec<W>);
  Vec<W> b = __builtin_convertvector(get<T>(warp, inst.op[2]), Vec<W>);
  put<W>(warp, inst.op[0], MulLo<W>::apply(a, b), mask);
  return true;
}
template <class T> bool madWide(Warp &warp, const Inst &inst, uint32_t mask) {
  using W = WideOf<T>;
  Vec<W> a = __builtin_convertvector(get<T>(warp, inst.op[1]), Vec<W>);
  Vec<W> b = __builtin_convertvector(get<T>(warp, inst.op[2]), Vec<W>);
  put<W>(warp, inst.op[0], MadLo<W>::apply(a, b, get<W>(warp, inst.op[3])),
         mask);
  return true;
}
template <class T> struct MulHi {
  static ROPEWALK_INLINE T lane(const Inst &, T a, T b) {
    return T((WideOf<T>(a) * WideOf<T>(b)) >> (sizeof(T) * 8));
  }
};
template <class T> struct MadHi {
  static ROPEWALK_INLINE T lane(const Inst &inst, T a, T b, T c) {
    return T(UIntOf<T>(MulHi<T>::lane(inst, a, b)) + UIntOf<T>(c));
  }
};
template <class T> struct Sad {
  using Type = T;
  static ROPEWALK_INLINE Vec<T> apply(Vec<T> a, Vec<T> b, Vec<T> c) {
    return Add<T>::apply(c, a < b ? Sub<T>::apply(b, a) : Sub<T>::apply(a, b));
  }
};
/// The high half of the product plus c, saturated.
struct MadHiSaturating {
  static ROPEWALK_INLINE int32_t lane(const Inst &, int32_t a, int32_t b,
                                      int32_t c) {
    int64_t sum = (int64_t(a) * b >> 32) + c;
    return int32_t(std::clamp<int64_t>(sum, INT32_MIN, INT32_MAX));
  }
};

/// Products of the low 24 bits, sign- or zero-extended: their low 32 bits or
/// bits 16 to 47.
template <class T> ROPEWALK_INLINE T product24(T a, T b, bool high) {
  using W = WideOf<T>;
  auto cut = [](T value) { return T(T(UIntOf<T>(value) << 8) >> 8); };
  W product = W(cut(a)) * W(cut(b));
  return T(high ? product >> 16 : product);
}
enum Product24Flags { High24 = 1, Saturate24 = 2 };
template <class T> struct Mul24 {
  static ROPEWALK_INLINE T lane(const Inst &inst, T a, T b) {
    return product24(a, b, inst.data & High24);
  }
};
template <class T> struct Mad24 {
  static ROPEWALK_INLINE T lane(const Inst &inst, T a, T b, T c) {
    T product = product24(a, b, inst.data & High24);
    if (inst.data & Saturate24)
      return T(std::clamp<int64_t>(int64_t(product) + int64_t(c), INT32_MIN,
                                   INT32_MAX));
    return T(UIntOf<T>(product) + UIntOf<T>(c));
  }
};

using S = ScalarType;

#define ROPEWALK_BY_TYPE(type, FORM)                                           \
  ((type) == S::U16   ? Handler(FORM(uint16_t))                                \
   : (type) == S::S16 ? Handler(FORM(int16_t))                                 \
   : (type) == S::U32 ? Handler(FORM(uint32_t))                                \
   : (type) == S::S32 ? Handler(FORM(int32_t))                                 \
   : (type) == S::U64 ? Handler(FORM(uint64_t))                                \
                      : Handler(FORM(int64_t)))

#define ROPEWALK_ADD(T) &binary<Add<T>>
#define ROPEWALK_SUB(T) &binary<Sub<T>>
#define ROPEWALK_MIN(T) &binary<Min<T>>
#define ROPEWALK_MAX(T) &binary<Max<T>>
#define ROPEWALK_MULLO(T) &binary<MulLo<T>>
#define ROPEWALK_MADLO(T) &ternary<MadLo<T>>
#define ROPEWALK_SAD(T) &ternary<Sad<T>>
#define ROPEWALK_DIV(T) (&binaryLanes<Div<T>, T, T, T>)
#define ROPEWALK_REM(T) (&binaryLanes<Rem<T>, T, T, T>)
#define ROPEWALK_MULHI(T) (&binaryLanes<MulHi<T>, T, T, T>)
#define ROPEWALK_MADHI(T) (&ternaryLanes<MadHi<T>, T, T, T, T>)

bool sources(InstDecoder &d, Inst &inst, ScalarType type, unsigned count) {
  for (unsigned i = 1; i <= count; ++i)
    if (!d.source(i, type, inst.op[i]))
      return false;
  return true;
}

ScalarType widened(ScalarType type) {
  switch (type) {
  case S::U16:
    return S::U32;
  case S::S16:
    return S::S32;
  case S::U32:
    return S::U64;
  default:
    return S::S64;
  }
}

bool decodeMultiply(InstDecoder &d, Inst &inst) {
  bool adds = d.base() == "mad";
  int part = d.takeOneOf({"lo", "hi", "wide"});
  if (part < 0)
    return d.fail("expected '.lo', '.hi' or '.wide'");
  if (adds && part < 2 && d.peek() == "cc")
    return decodeCarry(d, inst, part == 1);
  ScalarType type;
  unsigned count = adds ? 3 : 2;
  if (adds && part == 1 && d.take("sat")) {
    using I = int32_t;
    inst.handler = &ternaryLanes<MadHiSaturating, I, I, I, I>;
    return d.requireType(type, {S::S32}) && d.finish(4) &&
           d.destination(0, type, inst.op[0]) && sources(d, inst, type, 3);
  }
  if (!d.requireType(type, {S::U16, S::S16, S::U32, S::S32, S::U64, S::S64}) ||
      !d.finish(count + 1))
    return false;
  if (part == 2) {
    if (sizeOf(type) == 8)
      return d.unsupported("'.wide' of a 64-bit type");
    if (!d.destination(0, widened(type), inst.op[0]) ||
        !sources(d, inst, type, 2) ||
        (adds && !d.source(3, widened(type), inst.op[3])))
      return false;
    switch (type) {
    case S::U16:
      inst.handler = adds ? &madWide<uint16_t> : &mulWide<uint16_t>;
      break;
    case S::S16:
      inst.handler = adds ? &madWide<int16_t> : &mulWide<int16_t>;
      break;
    case S::U32:
      inst.handler = adds ? &madWide<uint32_t> : &mulWide<uint32_t>;
      break;
    default:
      inst.handler = adds ? &madWide<int32_t> : &mulWide<int32_t>;
      break;
    }
    return true;
  }
  if (!d.destination(0, type, inst.op[0]) || !sources(d, inst, type, count))
    return false;
  if (part == 0)
    inst.handler = adds ? ROPEWALK_BY_TYPE(type, ROPEWALK_MADLO)
                        : ROPEWALK_BY_TYPE(type, ROPEWALK_MULLO);
  else
    inst.handler = adds ? ROPEWALK_BY_TYPE(type, ROPEWALK_MADHI)
                        : ROPEWALK_BY_TYPE(type, ROPEWALK_MULHI);
  return true;
}

bool decodeMul24(InstDecoder &d, Inst &inst) {
  ScalarType type;
  bool adds = d.base() == "mad24";
  int part = d.takeOneOf({"lo", "hi"});
  if (part < 0)
    return d.fail("expected '.lo' or '.hi'");
  bool saturates = adds && part == 1 && d.take("sat");
  inst.data = (part ? High24 : 0) | (saturates ? Saturate24 : 0);
  if (!(saturates ? d.requireType(type, {S::S32})
                  : d.requireType(type, {S::U32, S::S32})) ||
      !d.finish(adds ? 4 : 3) || !d.destination(0, type, inst.op[0]) ||
      !sources(d, inst, type, adds ? 3 : 2))
    return false;
  using U = uint32_t;
  using I = int32_t;
  if (adds)
    inst.handler = type == S::U32
                       ? Handler(&ternaryLanes<Mad24<U>, U, U, U, U>)
                       : Handler(&ternaryLanes<Mad24<I>, I, I, I, I>);
  else
    inst.handler = type == S::U32 ? Handler(&binaryLanes<Mul24<U>, U, U, U>)
                                  : Handler(&binaryLanes<Mul24<I>, I, I, I>);
  return true;
}

} // namespace

bool decodeIntegerArithmetic(InstDecoder &d, Inst &inst) {
  const std::string &base = d.base();
  if (base == "mul" || base == "mad")
    return decodeMultiply(d, inst);
  if ((base == "add" || base == "sub") && d.peek() == "cc")
    return decodeCarry(d, inst, false);
  if (d.lastType() == S::U16x2 || d.lastType() == S::S16x2 ||
      ((base == "min" || base == "max") && d.peek() == "relu"))
    return decodePackedInteger(d, inst);
  bool isUnary = base == "abs" || base == "neg";
  bool saturates = (base == "add" || base == "sub") && d.take("sat");
  ScalarType type;
  if (isUnary || saturates) {
    if (saturates ? !d.requireType(type, {S::S32})
                  : !d.requireType(type, {S::S16, S::S32, S::S64}))
      return false;
  } else if (!d.requireType(type,
                            {S::U16, S::S16, S::U32, S::S32, S::U64, S::S64})) {
    return false;
  }
  unsigned count = isUnary ? 1 : base == "sad" ? 3 : 2;
  if (!d.finish(count + 1) || !d.destination(0, type, inst.op[0]) ||
      !sources(d, inst, type, count))
    return false;
  if (saturates)
    inst.handler = base == "add" ? Handler(&binary<AddSaturating>)
                                 : Handler(&binary<SubSaturating>);
  else if (base == "add")
    inst.handler = ROPEWALK_BY_TYPE(type, ROPEWALK_ADD);
  else if (base == "sub")
    inst.handler = ROPEWALK_BY_TYPE(type, ROPEWALK_SUB);
  else if (base == "min")
    inst.handler = ROPEWALK_BY_TYPE(type, ROPEWALK_MIN);
  else if (base == "max")
    inst.handler = ROPEWALK_BY_TYPE(type, ROPEWALK_MAX);
  else if (base == "sad")
    inst.handler = ROPEWALK_BY_TYPE(type, ROPEWALK_SAD);
  else if (base == "div")
    inst.handler = ROPEWALK_BY_TYPE(type, ROPEWALK_DIV);
  else if (base == "rem")
    inst.handler = ROPEWALK_BY_TYPE(type, ROPEWALK_REM);
  else if (type == S::S16)
    inst.handler = base == "abs" ? Handler(&unary<Abs<int16_t>>)
                                 : Handler(&unary<Neg<int16_t>>);
  else if (type == S::S32)
    inst.handler = base == "abs" ? Handler(&unary<Abs<int32_t>>)
                                 : Handler(&unary<Neg<int32_t>>);
  else
    inst.handler = base == "abs" ? Handler(&unary<Abs<int64_t>>)
                                 : Handler(&unary<Neg<int64_t>>);
  return true;
}

namespace {

/// Opcodes that integers share with floats: the type decides.
bool decodeArithmetic(InstDecoder &d, Inst &inst) {
  switch (d.lastType()) {
  case S::F32:
  case S::F64:
    inst.cls = d.lastType() == S::F32 ? InstClass::Float32 : InstClass::Float64;
    if (d.base() == "div")
      inst.cls = InstClass::Special;
    return decodeFloatArithmetic(d, inst);
  case S::F16:
  case S::F16x2:
  case S::BF16:
  case S::BF16x2:
    inst.cls = InstClass::Float16;
    return decodeHalfArithmetic(d, inst);
  default:
    if (d.base() == "fma")
      return d.fail("expected a float type");
    return decodeIntegerArithmetic(d, inst);
  }
}

} // namespace

void addIntegerOpcodes(OpcodeTable &table) {
  for (const char *base : {"add", "sub", "mul", "mad", "fma", "div", "rem",
                           "abs", "neg", "min", "max"})
    table[base] = &decodeArithmetic;
  table["sad"] = &decodeIntegerArithmetic;
  table["mul24"] = &decodeMul24;
  table["mad24"] = &decodeMul24;
}

} // namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA

#include "LanesEnd.h"
