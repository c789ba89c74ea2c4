//===- OpsSpecial.cpp - Special functions -----------------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// rcp, sqrt, rsqrt, ex2, lg2, sin, cos, tanh. The approximate forms are
// computed in double and rounded once, which lies well inside of the errors
// that PTX documents (2 ulp for ex2, 2^-22 for lg2, 2^-20.5 for sin and cos,
// 2^-11 for tanh).
//
//===----------------------------------------------------------------------===//

#include "FloatModifiers.h"
#include "LaneWise.h"

namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA {

namespace {

using S = ScalarType;

struct Reciprocal {
  static ROPEWALK_INLINE Vec<float> apply(Vec<float> a) { return 1.0f / a; }
};
struct SquareRoot {
  static ROPEWALK_INLINE Vec<float> apply(Vec<float> a) {
    return __builtin_elementwise_sqrt(a);
  }
};
struct ReciprocalRoot {
  static ROPEWALK_INLINE Vec<float> apply(Vec<float> a) {
    Vec<double> wide = __builtin_convertvector(a, Vec<double>);
    wide = 1.0 / __builtin_elementwise_sqrt(wide);
    return __builtin_convertvector(wide, Vec<float>);
  }
};
/// 2^x = 2^n 2^f with n the nearest integer; the series of 2^f to the eighth
/// power has a relative error below 2^-31.
struct Exp2 {
  static ROPEWALK_INLINE Vec<float> apply(Vec<float> a) {
    Vec<double> x = __builtin_convertvector(a, Vec<double>);
    x = x > -160.0 ? x : (Vec<double>)(-160.0);
    x = x < 140.0 ? x : (Vec<double>)(140.0);
    const double magic = 0x1.8p52;
    Vec<double> shifted = x + magic;
    Vec<double> n = shifted - magic;
    Vec<double> f = x - n;
    static constexpr double terms[] = {
        0x1.62c0223a5c822p-20, // ln2^8 / 8!
        0x1.ffcbfc588b0c5p-17, 0x1.430912f86c786p-13,
        0x1.5d87fe78a6730p-10, 0x1.3b2ab6fba4e77p-7,
        0x1.c6b08d704a0bfp-5,  0x1.ebfbdff82c58ep-3,
        0x1.62e42fefa39efp-1,  1.0};
    Vec<double> p = terms[0];
    for (unsigned i = 1; i < 9; ++i)
      p = __builtin_elementwise_fma(p, f, (Vec<double>)(terms[i]));
    Vec<int64_t> exponent = (as<Vec<int64_t>>(shifted) << 52);
    Vec<double> scaled = as<Vec<double>>(as<Vec<int64_t>>(p) + exponent);
    Vec<float> result = __builtin_convertvector(scaled, Vec<float>);
    return a == a ? result : a;
  }
};

template <class Op>
bool vectorFunction(Warp &warp, const Inst &inst, uint32_t mask) {
  Vec<float> a = get<float>(warp, inst.op[1]);
  if (inst.data & FloatFlush)
    a = flush(a);
  Vec<float> result = canonical(Op::apply(a));
  if (inst.data & FloatFlush)
    result = flush(result);
  put<float>(warp, inst.op[0], result, mask);
  return true;
}

template <double (*Function)(double)>
bool scalarFunction(Warp &warp, const Inst &inst, uint32_t mask) {
  float *result = lanes<float>(warp, inst.op[0]);
  const float *a = lanes<float>(warp, inst.op[1]);
  forLanes(mask, [&](unsigned i) {
    float x = inst.data & FloatFlush ? flush(a[i]) : a[i];
    float r = float(Function(double(x)));
    if (r != r)
      r = std::bit_cast<float>(0x7fffffff);
    result[i] = inst.data & FloatFlush ? flush(r) : r;
  });
  return true;
}

template <double (*Function)(double), uint8_t ExponentBits, bool Packed>
bool halfFunction(Warp &warp, const Inst &inst, uint32_t mask) {
  constexpr FloatFormat format = ExponentBits == 5 ? Half : BFloat;
  unsigned count = Packed ? 2 : 1;
  uint16_t *result = lanes<uint16_t>(warp, inst.op[0]);
  const uint16_t *a = lanes<uint16_t>(warp, inst.op[1]);
  forLanes(mask, [&](unsigned i) {
    for (unsigned part = 0; part < count; ++part) {
      unsigned at = i * count + part;
      uint32_t bits = a[at];
      auto flushBits = [&](uint32_t value) {
        bool isSmall = !(value & (ExponentBits == 5 ? 0x7c00 : 0x7f80));
        return inst.data & FloatFlush && isSmall ? value & 0x8000 : value;
      };
      double value = decodeFloat(flushBits(bits), format);
      uint32_t r = encodeFloat(Function(value), format, Rounding::NearestEven);
      result[at] = uint16_t(flushBits(r));
    }
  });
  return true;
}

template <class T, char Name>
bool roundedFunction(Warp &warp, const Inst &inst, uint32_t mask) {
  T *result = lanes<T>(warp, inst.op[0]);
  const T *a = lanes<T>(warp, inst.op[1]);
  Rounding mode = roundingOf(inst.data);
  bool flushes = inst.data & FloatFlush;
  forLanes(mask, [&](unsigned i) {
    T x = a[i], r;
    if constexpr (sizeof(T) == 4) {
      x = flushes ? flush(x) : x;
      r = Name == '/' ? roundedFloat('/', 1, x, 0, mode)
                      : roundedFloat('s', x, 0, 0, mode);
      if (r != r)
        r = std::bit_cast<float>(0x7fffffff);
      r = flushes ? flush(r) : r;
    } else {
      r = Name == '/' ? roundedDouble('/', 1, x, 0, mode)
                      : roundedDouble('s', x, 0, 0, mode);
    }
    result[i] = r;
  });
  return true;
}

double reciprocalRoot(double x) { return 1.0 / std::sqrt(x); }
double exp2Wide(double x) { return std::exp2(x); }
double log2Wide(double x) { return std::log2(x); }
double sinWide(double x) { return std::sin(x); }
double cosWide(double x) { return std::cos(x); }
double tanhWide(double x) { return std::tanh(x); }

/// The f64 approximations look at the upper 32 bits of a number and give as
/// many; the lower ones are 0.
template <bool Root>
bool approximateDouble(Warp &warp, const Inst &inst, uint32_t mask) {
  uint64_t *result = lanes<uint64_t>(warp, inst.op[0]);
  const uint64_t *a = lanes<uint64_t>(warp, inst.op[1]);
  constexpr uint64_t upper = ~uint64_t(0xffffffff);
  auto flushWide = [&](double x) {
    return inst.data & FloatFlush && std::fabs(x) < 0x1p-1022
               ? std::copysign(0.0, x)
               : x;
  };
  forLanes(mask, [&](unsigned i) {
    double x = std::bit_cast<double>(a[i]);
    if (x == x)
      x = std::bit_cast<double>(a[i] & upper);
    x = flushWide(x);
    double r = flushWide(Root ? reciprocalRoot(x) : 1.0 / x);
    uint64_t bits = std::bit_cast<uint64_t>(r);
    // Rounded to the kept bits; infinities have none of the others.
    result[i] = r != r ? 0x7ff8000000000000 : (bits + 0x80000000) & upper;
  });
  return true;
}

bool unaryOperands(InstDecoder &d, Inst &inst, ScalarType type) {
  inst.cls = InstClass::Special;
  return d.finish(2) && d.destination(0, type, inst.op[0]) &&
         d.source(1, type, inst.op[1]);
}

bool decodeRoot(InstDecoder &d, Inst &inst) {
  const std::string &base = d.base();
  bool isRcp = base == "rcp", isRsqrt = base == "rsqrt";
  bool isApprox = d.take("approx");
  if (!isApprox && (isRsqrt || !takeRounding(d, inst.data)))
    return d.fail(isRsqrt ? "expected '.approx'"
                          : "expected '.approx' or a rounding mode");
  if (d.take("ftz"))
    inst.data |= FloatFlush;
  ScalarType type;
  if (!d.requireType(type, {S::F32, S::F64}))
    return false;
  if (type == S::F64 && ((inst.data & FloatFlush) && !isApprox))
    return d.unsupported("'.ftz' on .f64");
  if (type == S::F64 && isApprox && isRcp && !(inst.data & FloatFlush))
    return d.fail("'.approx' on .f64 needs '.ftz'");
  if (type == S::F64 && isApprox && base == "sqrt")
    return d.unsupported("'.approx' on .f64");
  if (!unaryOperands(d, inst, type))
    return false;
  if (type == S::F64) {
    if (isApprox)
      inst.handler =
          isRsqrt ? &approximateDouble<true> : &approximateDouble<false>;
    else
      inst.handler =
          isRcp ? &roundedFunction<double, '/'> : &roundedFunction<double, 's'>;
    return true;
  }
  bool isNearest = roundingOf(inst.data) == Rounding::NearestEven;
  if (isRsqrt)
    inst.handler = &vectorFunction<ReciprocalRoot>;
  else if (isRcp)
    inst.handler =
        isNearest ? &vectorFunction<Reciprocal> : &roundedFunction<float, '/'>;
  else
    inst.handler =
        isNearest ? &vectorFunction<SquareRoot> : &roundedFunction<float, 's'>;
  return true;
}

bool decodeTranscendental(InstDecoder &d, Inst &inst) {
  const std::string &base = d.base();
  if (!d.take("approx"))
    return d.fail("expected '.approx'");
  if (d.take("ftz"))
    inst.data |= FloatFlush;
  bool hasHalf = base == "ex2" || base == "tanh";
  ScalarType type;
  if (!(hasHalf ? d.requireType(type,
                                {S::F32, S::F16, S::F16x2, S::BF16, S::BF16x2})
                : d.requireType(type, {S::F32})) ||
      !unaryOperands(d, inst, type))
    return false;
  if (base == "tanh" && (inst.data & FloatFlush))
    return d.unsupported("'.ftz' on 'tanh'");
  if (base == "ex2" && (type == S::BF16 || type == S::BF16x2) &&
      !(inst.data & FloatFlush))
    return d.fail("'ex2' on bf16 needs '.ftz'");
  if ((type == S::F16 || type == S::F16x2) && (inst.data & FloatFlush))
    return d.unsupported("'.ftz' on f16");
  bool isExp = base == "ex2";
  switch (type) {
  case S::F16:
    inst.handler = isExp ? &halfFunction<exp2Wide, 5, false>
                         : &halfFunction<tanhWide, 5, false>;
    return true;
  case S::F16x2:
    inst.handler = isExp ? &halfFunction<exp2Wide, 5, true>
                         : &halfFunction<tanhWide, 5, true>;
    return true;
  case S::BF16:
    inst.handler = isExp ? &halfFunction<exp2Wide, 8, false>
                         : &halfFunction<tanhWide, 8, false>;
    return true;
  case S::BF16x2:
    inst.handler = isExp ? &halfFunction<exp2Wide, 8, true>
                         : &halfFunction<tanhWide, 8, true>;
    return true;
  default:
    break;
  }
  inst.handler = isExp           ? &vectorFunction<Exp2>
                 : base == "lg2" ? &scalarFunction<log2Wide>
                 : base == "sin" ? &scalarFunction<sinWide>
                 : base == "cos" ? &scalarFunction<cosWide>
                                 : &scalarFunction<tanhWide>;
  return true;
}

} // namespace

void addSpecialOpcodes(OpcodeTable &table) {
  for (const char *base : {"rcp", "sqrt", "rsqrt"})
    table[base] = &decodeRoot;
  for (const char *base : {"ex2", "lg2", "sin", "cos", "tanh"})
    table[base] = &decodeTranscendental;
}

} // namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA

#include "LanesEnd.h"
