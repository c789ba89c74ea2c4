//===- OpsFloat.cpp - Arithmetic on f32 and f64 -----------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// add, sub, mul, fma, mad, div, min, max, neg, abs, copysign. Rounding to
// nearest is done on vectors; the other modes lane by lane.
//
//===----------------------------------------------------------------------===//

#include "FloatModifiers.h"
#include "LaneWise.h"

namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA {

namespace {

using S = ScalarType;

template <class T> struct Add {
  using Type = T;
  static constexpr char Name = '+';
  static ROPEWALK_INLINE Vec<T> apply(Vec<T> a, Vec<T> b) { return a + b; }
};
template <class T> struct Sub {
  using Type = T;
  static constexpr char Name = '-';
  static ROPEWALK_INLINE Vec<T> apply(Vec<T> a, Vec<T> b) { return a - b; }
};
template <class T> struct Mul {
  using Type = T;
  static constexpr char Name = '*';
  static ROPEWALK_INLINE Vec<T> apply(Vec<T> a, Vec<T> b) { return a * b; }
};
template <class T> struct Div {
  using Type = T;
  static constexpr char Name = '/';
  static ROPEWALK_INLINE Vec<T> apply(Vec<T> a, Vec<T> b) { return a / b; }
};
/// Of a divisor beyond 2^126 the approximate division takes the reciprocal 0.
template <class T> struct DivApprox {
  using Type = T;
  static constexpr char Name = '/';
  static ROPEWALK_INLINE Vec<T> apply(Vec<T> a, Vec<T> b) {
    Vec<T> magnitude = __builtin_elementwise_abs(b);
    Vec<T> sign = __builtin_elementwise_copysign((Vec<T>)(T(0)), b);
    Vec<T> huge = a * sign;
    Vec<T> result = a / b;
    result = magnitude > T(0x1p126) ? huge : result;
    return magnitude == std::numeric_limits<T>::infinity() ? a / b : result;
  }
};

template <class T> ROPEWALK_INLINE Vec<T> canonicalNaN() {
  using U = UIntOf<T>;
  return as<Vec<T>>(
      (Vec<U>)(sizeof(T) == 4 ? U(0x7fffffff) : U(0x7ff8000000000000)));
}

template <class T, bool IsMin> struct MinMax {
  using Type = T;
  static ROPEWALK_INLINE Vec<T> apply(Vec<T> a, Vec<T> b) {
    using U = Vec<UIntOf<T>>;
    Vec<T> result = IsMin ? (a < b ? a : b) : (a > b ? a : b);
    // Zeros of both signs: -0 is less than +0.
    U ua = as<U>(a), ub = as<U>(b);
    result = a == b ? as<Vec<T>>(IsMin ? ua | ub : ua & ub) : result;
    result = a != a ? b : b != b ? a : result;
    return result;
  }
};

template <class Op>
bool floatBinary(Warp &warp, const Inst &inst, uint32_t mask) {
  using T = typename Op::Type;
  Vec<T> a = get<T>(warp, inst.op[1]), b = get<T>(warp, inst.op[2]);
  if constexpr (sizeof(T) == 4)
    if (inst.data & FloatFlush)
      a = flush(a), b = flush(b);
  Vec<T> result = canonical(Op::apply(a, b));
  if constexpr (sizeof(T) == 4) {
    if (inst.data & FloatFlush)
      result = flush(result);
    if (inst.data & FloatSaturate)
      result = saturate<T>(result);
  }
  put<T>(warp, inst.op[0], result, mask);
  return true;
}

template <class T>
bool fusedMultiplyAdd(Warp &warp, const Inst &inst, uint32_t mask) {
  Vec<T> a = get<T>(warp, inst.op[1]), b = get<T>(warp, inst.op[2]),
         c = get<T>(warp, inst.op[3]);
  if constexpr (sizeof(T) == 4)
    if (inst.data & FloatFlush)
      a = flush(a), b = flush(b), c = flush(c);
  Vec<T> result = canonical(__builtin_elementwise_fma(a, b, c));
  if constexpr (sizeof(T) == 4) {
    if (inst.data & FloatFlush)
      result = flush(result);
    if (inst.data & FloatSaturate)
      result = saturate<T>(result);
  }
  put<T>(warp, inst.op[0], result, mask);
  return true;
}

/// Modes other than to-nearest.
template <class T, char Name>
bool roundedOperation(Warp &warp, const Inst &inst, uint32_t mask) {
  Rounding mode = roundingOf(inst.data);
  bool flushes = inst.data & FloatFlush;
  T *result = lanes<T>(warp, inst.op[0]);
  const T *a = lanes<T>(warp, inst.op[1]);
  const T *b = lanes<T>(warp, inst.op[2]);
  const T *c = Name == 'f' ? lanes<T>(warp, inst.op[3]) : b;
  forLanes(mask, [&](unsigned i) {
    T x = a[i], y = b[i], z = c[i], r;
    if constexpr (sizeof(T) == 4) {
      if (flushes)
        x = flush(x), y = flush(y), z = flush(z);
      r = roundedFloat(Name, x, y, z, mode);
      if (r != r)
        r = std::bit_cast<float>(0x7fffffff);
      if (flushes)
        r = flush(r);
      if (inst.data & FloatSaturate)
        r = !(r > 0) ? 0 : r > 1 ? 1 : r;
    } else {
      r = roundedDouble(Name, x, y, z, mode);
    }
    result[i] = r;
  });
  return true;
}

template <class T, bool IsMin>
bool minMax(Warp &warp, const Inst &inst, uint32_t mask) {
  Vec<T> a = get<T>(warp, inst.op[1]), b = get<T>(warp, inst.op[2]);
  if constexpr (sizeof(T) == 4)
    if (inst.data & FloatFlush)
      a = flush(a), b = flush(b);
  using U = Vec<UIntOf<T>>;
  U signs =
      (as<U>(a) ^ as<U>(b)) & UIntOf<T>(UIntOf<T>(1) << (sizeof(T) * 8 - 1));
  if (inst.data & FloatXorSign) {
    a = __builtin_elementwise_abs(a);
    b = __builtin_elementwise_abs(b);
  }
  Vec<T> result = MinMax<T, IsMin>::apply(a, b);
  if (inst.data & FloatXorSign)
    result = as<Vec<T>>(as<U>(result) | signs);
  result = result == result ? result : canonicalNaN<T>();
  if (inst.data & FloatNaN) {
    result = a == a ? result : canonicalNaN<T>();
    result = b == b ? result : canonicalNaN<T>();
  }
  put<T>(warp, inst.op[0], result, mask);
  return true;
}

template <class T, bool IsAbs>
bool signOperation(Warp &warp, const Inst &inst, uint32_t mask) {
  Vec<T> a = get<T>(warp, inst.op[1]);
  if constexpr (sizeof(T) == 4)
    if (inst.data & FloatFlush)
      a = flush(a);
  using U = UIntOf<T>;
  constexpr U sign = U(1) << (sizeof(T) * 8 - 1);
  Vec<U> bits = as<Vec<U>>(a);
  bits = IsAbs ? bits & U(~sign) : bits ^ sign;
  put<T>(warp, inst.op[0], as<Vec<T>>(bits), mask);
  return true;
}

template <class T> bool copySign(Warp &warp, const Inst &inst, uint32_t mask) {
  // PTX copies the sign of a into b.
  put<T>(warp, inst.op[0],
         __builtin_elementwise_copysign(get<T>(warp, inst.op[2]),
                                        get<T>(warp, inst.op[1])),
         mask);
  return true;
}

bool operands(InstDecoder &d, Inst &inst, ScalarType type, unsigned count) {
  if (!d.finish(count + 1) || !d.destination(0, type, inst.op[0]))
    return false;
  for (unsigned i = 1; i <= count; ++i)
    if (!d.source(i, type, inst.op[i]))
      return false;
  return true;
}

template <template <class> class Op>
bool chooseBinary(Inst &inst, ScalarType type) {
  bool isNearest = roundingOf(inst.data) == Rounding::NearestEven;
  if (type == S::F32)
    inst.handler = isNearest
                       ? Handler(&floatBinary<Op<float>>)
                       : Handler(&roundedOperation<float, Op<float>::Name>);
  else
    inst.handler = isNearest
                       ? Handler(&floatBinary<Op<double>>)
                       : Handler(&roundedOperation<double, Op<double>::Name>);
  return true;
}

bool decodeMinMax(InstDecoder &d, Inst &inst) {
  bool isMin = d.base() == "min";
  if (d.take("ftz"))
    inst.data |= FloatFlush;
  if (d.take("NaN"))
    inst.data |= FloatNaN;
  if (d.take("xorsign")) {
    if (!d.take("abs"))
      return d.fail("expected '.abs' after '.xorsign'");
    inst.data |= FloatXorSign;
  }
  ScalarType type;
  if (!(inst.data ? d.requireType(type, {S::F32})
                  : d.requireType(type, {S::F32, S::F64})) ||
      !operands(d, inst, type, 2))
    return false;
  if (type == S::F32)
    inst.handler =
        isMin ? Handler(&minMax<float, true>) : Handler(&minMax<float, false>);
  else
    inst.handler = isMin ? Handler(&minMax<double, true>)
                         : Handler(&minMax<double, false>);
  return true;
}

bool decodeCopySign(InstDecoder &d, Inst &inst) {
  ScalarType type;
  if (!d.requireType(type, {S::F32, S::F64}) || !operands(d, inst, type, 2))
    return false;
  inst.cls = type == S::F32 ? InstClass::Float32 : InstClass::Float64;
  inst.handler =
      type == S::F32 ? Handler(&copySign<float>) : Handler(&copySign<double>);
  return true;
}

bool decodeDiv(InstDecoder &d, Inst &inst) {
  ScalarType type;
  int approximation = d.takeOneOf({"approx", "full"});
  if (approximation < 0 && !takeRounding(d, inst.data))
    return d.fail("expected '.approx', '.full' or a rounding mode");
  if (d.take("ftz"))
    inst.data |= FloatFlush;
  bool onlySingle = approximation >= 0 || (inst.data & FloatFlush);
  if (!(onlySingle ? d.requireType(type, {S::F32})
                   : d.requireType(type, {S::F32, S::F64})) ||
      !operands(d, inst, type, 2))
    return false;
  if (approximation == 0) {
    inst.handler = &floatBinary<DivApprox<float>>;
    return true;
  }
  return chooseBinary<Div>(inst, type);
}

} // namespace

bool takeRounding(InstDecoder &d, uint32_t &data) {
  int mode = d.takeOneOf({"rn", "rz", "rm", "rp"});
  if (mode < 0)
    return false;
  data |= uint32_t(mode) << FloatRoundingShift;
  return true;
}

bool decodeFloatArithmetic(InstDecoder &d, Inst &inst) {
  const std::string &base = d.base();
  if (base == "min" || base == "max")
    return decodeMinMax(d, inst);
  if (base == "div")
    return decodeDiv(d, inst);
  ScalarType type;
  if (base == "neg" || base == "abs") {
    if (d.take("ftz"))
      inst.data |= FloatFlush;
    if (!(inst.data ? d.requireType(type, {S::F32})
                    : d.requireType(type, {S::F32, S::F64})) ||
        !operands(d, inst, type, 1))
      return false;
    bool isAbs = base == "abs";
    if (type == S::F32)
      inst.handler = isAbs ? Handler(&signOperation<float, true>)
                           : Handler(&signOperation<float, false>);
    else
      inst.handler = isAbs ? Handler(&signOperation<double, true>)
                           : Handler(&signOperation<double, false>);
    return true;
  }
  bool fuses = base == "fma" || base == "mad";
  if (base == "rem")
    return d.unsupported("'rem' on floats");
  if (!takeRounding(d, inst.data) && fuses)
    return d.fail("expected a rounding mode");
  if (d.take("ftz"))
    inst.data |= FloatFlush;
  if (d.take("sat"))
    inst.data |= FloatSaturate;
  bool onlySingle = inst.data & (FloatFlush | FloatSaturate);
  if (!(onlySingle ? d.requireType(type, {S::F32})
                   : d.requireType(type, {S::F32, S::F64})) ||
      !operands(d, inst, type, fuses ? 3 : 2))
    return false;
  if (fuses) {
    bool isNearest = roundingOf(inst.data) == Rounding::NearestEven;
    if (type == S::F32)
      inst.handler = isNearest ? Handler(&fusedMultiplyAdd<float>)
                               : Handler(&roundedOperation<float, 'f'>);
    else
      inst.handler = isNearest ? Handler(&fusedMultiplyAdd<double>)
                               : Handler(&roundedOperation<double, 'f'>);
    return true;
  }
  if (base == "add")
    return chooseBinary<Add>(inst, type);
  if (base == "sub")
    return chooseBinary<Sub>(inst, type);
  return chooseBinary<Mul>(inst, type);
}

void addFloatOpcodes(OpcodeTable &table) {
  // add, sub, ... are shared with integers; see addIntegerOpcodes.
  table["copysign"] = &decodeCopySign;
}

} // namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA

#include "LanesEnd.h"
