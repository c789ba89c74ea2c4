//===- OpsHalf.cpp - Arithmetic on f16 and bf16 -----------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// add, sub, mul, fma, neg, abs, min, max, single and packed, on whole vectors.
// Where one rounding of f32 could spoil the next one, the first is to odd.
//
//===----------------------------------------------------------------------===//

#include "FloatModifiers.h"
#include "HalfVectors.h"
#include "LaneWise.h"

namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA {

namespace {

using S = ScalarType;

enum HalfOperation { Add, Sub, Mul, Fma, Neg, Abs, Min, Max };

constexpr unsigned sourcesOf(int operation) {
  return operation == Fma ? 3 : operation == Neg || operation == Abs ? 1 : 2;
}

ROPEWALK_INLINE Vec<double> asDouble(Vec<float> value) {
  return __builtin_convertvector(value, Vec<double>);
}

template <bool IsBFloat, bool IsMin>
ROPEWALK_INLINE Halves minMax(uint32_t data, Halves a, Halves b) {
  using F = HalfFormat<IsBFloat>;
  Halves sign = (a ^ b) & uint16_t(0x8000);
  if (data & FloatXorSign) {
    a &= uint16_t(0x7fff);
    b &= uint16_t(0x7fff);
  }
  // As integers, numbers of both formats order by magnitude.
  Vec<int16_t> x = as<Vec<int16_t>>(a), y = as<Vec<int16_t>>(b);
  x = x < int16_t(0) ? int16_t(0x8000) - x - int16_t(1) : x;
  y = y < int16_t(0) ? int16_t(0x8000) - y - int16_t(1) : y;
  Vec<int16_t> isLess = IsMin ? x < y : x > y;
  Halves result = isLess ? a : b;
  Vec<int16_t> aNaN = F::isNaN(a), bNaN = F::isNaN(b);
  result = aNaN ? b : bNaN ? a : result;
  if (data & FloatXorSign)
    result |= sign;
  Vec<int16_t> isNaN = data & FloatNaN ? aNaN | bNaN : aNaN & bNaN;
  return isNaN ? (Halves)(uint16_t(0x7fff)) : result;
}

template <bool IsBFloat, int Operation>
ROPEWALK_INLINE Halves calculate(uint32_t data, Halves a, Halves b, Halves c) {
  using F = HalfFormat<IsBFloat>;
  if (data & FloatFlush) {
    a = F::flush(a);
    b = F::flush(b);
    c = F::flush(c);
  }
  if constexpr (Operation == Neg)
    return a ^ uint16_t(0x8000);
  if constexpr (Operation == Abs)
    return a & uint16_t(0x7fff);
  if constexpr (Operation == Min || Operation == Max)
    return minMax<IsBFloat, Operation == Min>(data, a, b);
  Vec<float> x = F::widen(a), y = F::widen(b), result;
  if constexpr (Operation == Add) {
    result = x + y;
  } else if constexpr (Operation == Sub) {
    result = x - y;
  } else if constexpr (Operation == Mul) {
    // Exact in f32 but for products of bf16 so small that they become 0.
    result = x * y;
  } else if constexpr (IsBFloat) {
    result = narrowToOdd(
        addToOdd<double>(asDouble(x) * asDouble(y), asDouble(F::widen(c))));
  } else {
    result = addToOdd<float>(x * y, F::widen(c));
  }
  Halves bits = F::narrow(result);
  if (data & FloatFlush)
    bits = F::flush(bits);
  if (data & FloatSaturate) {
    Vec<int16_t> isNaN = F::isNaN(bits);
    Vec<int16_t> value = as<Vec<int16_t>>(bits);
    value = value < int16_t(F::One) ? value : (Vec<int16_t>)(int16_t(F::One));
    value = ((value < int16_t(0)) | isNaN) ? (Vec<int16_t>)(int16_t(0)) : value;
    bits = as<Halves>(value);
  }
  if (data & FloatRelu)
    bits = as<Vec<int16_t>>(bits) < int16_t(0) ? (Halves)(uint16_t(0)) : bits;
  return bits;
}

/// One element a lane.
template <bool IsBFloat, int Operation>
bool single(Warp &warp, const Inst &inst, uint32_t mask) {
  constexpr unsigned sources = sourcesOf(Operation);
  Halves a = get<uint16_t>(warp, inst.op[1]);
  Halves b = sources > 1 ? get<uint16_t>(warp, inst.op[2]) : a;
  Halves c = sources > 2 ? get<uint16_t>(warp, inst.op[3]) : a;
  put<uint16_t>(warp, inst.op[0],
                calculate<IsBFloat, Operation>(inst.data, a, b, c), mask);
  return true;
}

/// Two elements a lane: a row holds twice as many.
template <bool IsBFloat, int Operation>
bool packed(Warp &warp, const Inst &inst, uint32_t mask) {
  constexpr unsigned sources = sourcesOf(Operation);
  auto half = [&](unsigned index, unsigned part) {
    Ref ref = inst.op[index];
    ref.offset += part * uint32_t(sizeof(Halves));
    return get<uint16_t>(warp, ref);
  };
  Halves results[2];
  for (unsigned part = 0; part < 2; ++part) {
    Halves a = half(1, part);
    Halves b = sources > 1 ? half(2, part) : a;
    Halves c = sources > 2 ? half(3, part) : a;
    results[part] = calculate<IsBFloat, Operation>(inst.data, a, b, c);
  }
  put<uint32_t>(warp, inst.op[0], load<uint32_t>(results), mask);
  return true;
}

} // namespace

bool decodeHalfArithmetic(InstDecoder &d, Inst &inst) {
  static const char *const names[] = {"add", "sub", "mul", "fma",
                                      "neg", "abs", "min", "max"};
  int operation = -1;
  for (int i = 0; i < 8; ++i)
    if (d.base() == names[i])
      operation = i;
  if (operation < 0)
    return d.unsupported("'" + d.base() + "' on half-precision types");
  if (operation <= Fma && !d.take("rn") && operation == Fma)
    return d.fail("expected '.rn'");
  if (d.take("ftz"))
    inst.data |= FloatFlush;
  if (operation <= Fma && d.take("sat"))
    inst.data |= FloatSaturate;
  if (operation == Fma && d.take("relu"))
    inst.data |= FloatRelu;
  if (operation >= Min && d.take("NaN"))
    inst.data |= FloatNaN;
  if (operation >= Min && d.take("xorsign")) {
    if (!d.take("abs"))
      return d.fail("expected '.abs' after '.xorsign'");
    inst.data |= FloatXorSign;
  }
  ScalarType type;
  if (!d.requireType(type, {S::F16, S::F16x2, S::BF16, S::BF16x2}))
    return false;
  bool isBFloat = type == S::BF16 || type == S::BF16x2;
  if (isBFloat && (inst.data & (FloatFlush | FloatSaturate)))
    return d.unsupported("'.ftz' or '.sat' on bf16");
  if ((inst.data & FloatSaturate) && (inst.data & FloatRelu))
    return d.fail("'.sat' and '.relu' exclude each other");
  unsigned sources = sourcesOf(operation);
  if (!d.finish(sources + 1) || !d.destination(0, type, inst.op[0]))
    return false;
  for (unsigned i = 1; i <= sources; ++i)
    if (!d.source(i, type, inst.op[i]))
      return false;
#define ROPEWALK_HALF(OPERATION)                                               \
  {                                                                            \
    &single<false, OPERATION>, &single<true, OPERATION>,                       \
        &packed<false, OPERATION>, &packed<true, OPERATION>                    \
  }
  static const Handler handlers[8][4] = {
      ROPEWALK_HALF(Add), ROPEWALK_HALF(Sub), ROPEWALK_HALF(Mul),
      ROPEWALK_HALF(Fma), ROPEWALK_HALF(Neg), ROPEWALK_HALF(Abs),
      ROPEWALK_HALF(Min), ROPEWALK_HALF(Max)};
  bool isPacked = sizeOf(type) == 4;
  inst.handler = handlers[operation][isPacked * 2 + isBFloat];
  return true;
}

void addHalfOpcodes(OpcodeTable &) {
  // All opcodes are shared with integers; see addIntegerOpcodes.
}

} // namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA

#include "LanesEnd.h"
