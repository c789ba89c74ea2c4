//===- OpsHalf.cpp - Arithmetic on f16 and bf16 -----------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// add, sub, mul, fma, neg, abs, min, max, single and packed. Sums and products
// of narrow numbers in f32 are rounded once more without harm, as f32 has more
// than twice their digits; fma goes through double rounded to odd.
//
//===----------------------------------------------------------------------===//

#include "FloatModifiers.h"
#include "LaneWise.h"

namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA {

namespace {

using S = ScalarType;

template <bool IsBFloat> struct Format {
  static constexpr uint16_t Exponent = IsBFloat ? 0x7f80 : 0x7c00;
  static constexpr FloatFormat Layout = IsBFloat ? BFloat : Half;

  static ROPEWALK_INLINE float decode(uint16_t bits) {
    if (IsBFloat)
      return std::bit_cast<float>(uint32_t(bits) << 16);
    return float(std::bit_cast<_Float16>(bits));
  }
  static ROPEWALK_INLINE uint16_t encode(float value) {
    if (value != value)
      return 0x7fff;
    if (!IsBFloat)
      return std::bit_cast<uint16_t>(_Float16(value));
    uint32_t bits = std::bit_cast<uint32_t>(value);
    return uint16_t((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
  }
  static ROPEWALK_INLINE uint16_t flushBits(uint16_t bits) {
    return bits & Exponent ? bits : bits & 0x8000;
  }
  static ROPEWALK_INLINE bool isNaN(uint16_t bits) {
    return (bits & 0x7fff) > Exponent;
  }
};

enum HalfOperation { Add, Sub, Mul, Fma, Neg, Abs, Min, Max };

template <bool IsBFloat, int Operation>
ROPEWALK_INLINE uint16_t element(const Inst &inst, uint16_t a, uint16_t b,
                                 uint16_t c) {
  using F = Format<IsBFloat>;
  bool flushes = inst.data & FloatFlush;
  if (flushes) {
    a = F::flushBits(a);
    b = F::flushBits(b);
    c = F::flushBits(c);
  }
  if (Operation == Neg)
    return a ^ 0x8000;
  if (Operation == Abs)
    return a & 0x7fff;
  uint16_t result = 0;
  if (Operation == Min || Operation == Max) {
    uint16_t sign = (a ^ b) & 0x8000;
    if (inst.data & FloatXorSign)
      a &= 0x7fff, b &= 0x7fff;
    float x = F::decode(a), y = F::decode(b);
    bool isMin = Operation == Min;
    if (F::isNaN(a) || F::isNaN(b)) {
      if ((F::isNaN(a) && F::isNaN(b)) || inst.data & FloatNaN)
        return 0x7fff;
      result = F::isNaN(a) ? b : a;
    } else if (x == y) {
      result = isMin ? a | b : a & b;
    } else {
      result = (x < y) == isMin ? a : b;
    }
    if (inst.data & FloatXorSign)
      result |= sign;
    return result;
  }
  if (Operation == Fma) {
    double wide = fmaToOdd(F::decode(a), F::decode(b), F::decode(c));
    result = uint16_t(encodeFloat(wide, F::Layout, Rounding::NearestEven));
  } else {
    float x = F::decode(a), y = F::decode(b);
    float sum = Operation == Add ? x + y : Operation == Sub ? x - y : x * y;
    result = F::encode(sum);
  }
  if (flushes)
    result = F::flushBits(result);
  if (inst.data & FloatSaturate) {
    uint16_t one = IsBFloat ? 0x3f80 : 0x3c00;
    result = F::isNaN(result) || result & 0x8000 ? 0
             : result > one                      ? one
                                                 : result;
  }
  if (inst.data & FloatRelu && !F::isNaN(result) && result & 0x8000)
    result = 0;
  return result;
}

/// One element a lane, or two in the packed form (Inst::count).
template <bool IsBFloat, int Operation>
bool halfOperation(Warp &warp, const Inst &inst, uint32_t mask) {
  constexpr unsigned sources = Operation == Fma                       ? 3
                               : Operation == Neg || Operation == Abs ? 1
                                                                      : 2;
  uint16_t *result = lanes<uint16_t>(warp, inst.op[0]);
  const uint16_t *a = lanes<uint16_t>(warp, inst.op[1]);
  const uint16_t *b = sources > 1 ? lanes<uint16_t>(warp, inst.op[2]) : a;
  const uint16_t *c = sources > 2 ? lanes<uint16_t>(warp, inst.op[3]) : a;
  unsigned count = inst.count;
  forLanes(mask, [&](unsigned lane) {
    for (unsigned i = lane * count; i < (lane + 1) * count; ++i)
      result[i] = element<IsBFloat, Operation>(inst, a[i], b[i], c[i]);
  });
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
  unsigned sources = operation == Fma                       ? 3
                     : operation == Neg || operation == Abs ? 1
                                                            : 2;
  if (!d.finish(sources + 1) || !d.destination(0, type, inst.op[0]))
    return false;
  for (unsigned i = 1; i <= sources; ++i)
    if (!d.source(i, type, inst.op[i]))
      return false;
  inst.count = sizeOf(type) == 4 ? 2 : 1;
  static const Handler handlers[8][2] = {
      {&halfOperation<false, Add>, &halfOperation<true, Add>},
      {&halfOperation<false, Sub>, &halfOperation<true, Sub>},
      {&halfOperation<false, Mul>, &halfOperation<true, Mul>},
      {&halfOperation<false, Fma>, &halfOperation<true, Fma>},
      {&halfOperation<false, Neg>, &halfOperation<true, Neg>},
      {&halfOperation<false, Abs>, &halfOperation<true, Abs>},
      {&halfOperation<false, Min>, &halfOperation<true, Min>},
      {&halfOperation<false, Max>, &halfOperation<true, Max>}};
  inst.handler = handlers[operation][isBFloat];
  return true;
}

void addHalfOpcodes(OpcodeTable &) {
  // All opcodes are shared with integers; see addIntegerOpcodes.
}

} // namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA

#include "LanesEnd.h"
