//===- OpsNarrow.cpp - Conversions to and from narrow floats ----*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// cvt between f32 and f16, bf16, their packed forms, tf32, e4m3x2 and e5m2x2,
// and the packing of saturated integers. All on whole vectors.
//
//===----------------------------------------------------------------------===//

#include "ConvertModifiers.h"
#include "HalfVectors.h"

namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA {

namespace {

using S = ScalarType;
using Words = Vec<uint32_t>;
using Floats = Vec<float>;

ROPEWALK_INLINE Words bitsOf(Floats value) { return as<Words>(value); }

/// f32 to f16 or bf16 with the modifiers in `data`: to nearest even or to zero.
template <bool IsBFloat>
ROPEWALK_INLINE Halves narrow(uint32_t data, Floats value) {
  using F = HalfFormat<IsBFloat>;
  if (data & FloatFlush)
    value = flush(value);
  Halves bits = F::narrow(value);
  if (roundingOf(data) == Rounding::Zero) {
    // Where rounding to nearest went away from zero, one step back.
    Floats size = __builtin_elementwise_abs(value);
    Floats got = __builtin_elementwise_abs(F::widen(bits));
    bits = __builtin_convertvector(got > size, Vec<int16_t>) != int16_t(0)
               ? bits - uint16_t(1)
               : bits;
  }
  if (data & ConvertFinite) {
    Halves sign = bits & uint16_t(0x8000);
    bits = (bits & uint16_t(0x7fff)) == F::Exponent
               ? sign | uint16_t(F::Exponent - 1)
               : bits;
  }
  if (data & FloatRelu)
    bits = as<Vec<int16_t>>(bits) < int16_t(0) ? (Halves)(uint16_t(0)) : bits;
  return bits;
}

template <bool IsBFloat>
bool narrowSingle(Warp &warp, const Inst &inst, uint32_t mask) {
  put<uint16_t>(warp, inst.op[0],
                narrow<IsBFloat>(inst.data, get<float>(warp, inst.op[1])),
                mask);
  return true;
}

/// The first source goes to the upper half.
template <bool IsBFloat>
bool narrowPair(Warp &warp, const Inst &inst, uint32_t mask) {
  Halves high = narrow<IsBFloat>(inst.data, get<float>(warp, inst.op[1]));
  Halves low = narrow<IsBFloat>(inst.data, get<float>(warp, inst.op[2]));
  put<uint32_t>(warp, inst.op[0],
                __builtin_convertvector(high, Words) << 16 |
                    __builtin_convertvector(low, Words),
                mask);
  return true;
}

template <bool IsBFloat>
bool widenSingle(Warp &warp, const Inst &inst, uint32_t mask) {
  Floats value =
      canonical(HalfFormat<IsBFloat>::widen(get<uint16_t>(warp, inst.op[1])));
  if (IsBFloat && (inst.data & FloatFlush))
    value = flush(value);
  if (inst.data & FloatSaturate)
    value = saturate<float>(value);
  put<float>(warp, inst.op[0], value, mask);
  return true;
}

/// tf32: the upper 19 bits of an f32; the others are 0.
bool narrowTensor(Warp &warp, const Inst &inst, uint32_t mask) {
  Floats value = get<float>(warp, inst.op[1]);
  Words bits = bitsOf(value), rounded = bits;
  switch (roundingOf(inst.data)) {
  case Rounding::NearestAway:
    rounded = bits + 0x1000u;
    break;
  case Rounding::NearestEven:
    rounded = bits + 0xfffu + (bits >> 13 & 1u);
    break;
  default:
    break;
  }
  rounded &= 0xffffe000u;
  Words size = bits & 0x7fffffffu;
  rounded = size < 0x7f800000u ? rounded : bits;
  if (inst.data & ConvertFinite)
    rounded = (rounded & 0x7fffffffu) >= 0x7f800000u
                  ? (bits & 0x80000000u) | 0x7f7fe000u
                  : rounded;
  if (inst.data & FloatRelu)
    rounded = as<Vec<int32_t>>(rounded) < 0 ? (Words)(0u) : rounded;
  rounded = size > 0x7f800000u ? (Words)(0x7fffffffu) : rounded;
  put<uint32_t>(warp, inst.op[0], rounded, mask);
  return true;
}

/// f32 to e4m3 or e5m2, to nearest even, saturated to the largest number.
template <bool IsE5>
ROPEWALK_INLINE Words narrowByte(uint32_t data, Floats value) {
  constexpr unsigned mantissa = IsE5 ? 2 : 3, bias = IsE5 ? 15 : 7;
  constexpr unsigned drop = 23 - mantissa;
  const float most = IsE5 ? 57344.0f : 448.0f;
  const float leastNormal = IsE5 ? 0x1p-14f : 0x1p-6f;
  // In the sum with this number the last digit counts least subnormals.
  const float magic = IsE5 ? 0x1p7f : 0x1p14f;
  Words bits = bitsOf(value), sign = bits >> 31 << 7;
  Floats size = __builtin_elementwise_abs(value);
  Vec<int32_t> isNaN = value != value;
  Floats clamped = size < most ? size : (Floats)(most);
  Words wide = bitsOf(clamped);
  Words normal =
      (wide + ((1u << (drop - 1)) - 1) + (wide >> drop & 1u)) >> drop;
  normal -= (127u - bias) << mantissa;
  Words subnormal = bitsOf(clamped + magic) - bitsOf((Floats)(magic));
  Words result = sign | (clamped < leastNormal ? subnormal : normal);
  if (data & FloatRelu)
    result = as<Vec<int32_t>>(bits) < 0 ? (Words)(0u) : result;
  return isNaN ? (Words)(0x7fu) : result;
}

template <bool IsE5>
bool narrowBytes(Warp &warp, const Inst &inst, uint32_t mask) {
  Words high = narrowByte<IsE5>(inst.data, get<float>(warp, inst.op[1]));
  Words low = narrowByte<IsE5>(inst.data, get<float>(warp, inst.op[2]));
  put<uint16_t>(warp, inst.op[0],
                __builtin_convertvector(high << 8 | low, Halves), mask);
  return true;
}

template <bool IsE5>
bool narrowPacked(Warp &warp, const Inst &inst, uint32_t mask) {
  using F = HalfFormat<false>;
  Words both = get<uint32_t>(warp, inst.op[1]);
  Words high = narrowByte<IsE5>(
      inst.data, F::widen(__builtin_convertvector(both >> 16, Halves)));
  Words low = narrowByte<IsE5>(inst.data,
                               F::widen(__builtin_convertvector(both, Halves)));
  put<uint16_t>(warp, inst.op[0],
                __builtin_convertvector(high << 8 | low, Halves), mask);
  return true;
}

template <bool IsE5>
ROPEWALK_INLINE Halves widenByte(uint32_t data, Halves byte) {
  using F = HalfFormat<false>;
  Halves sign = (byte & uint16_t(0x80)) << uint16_t(8);
  Halves size = byte & uint16_t(0x7f);
  Halves bits;
  if constexpr (IsE5) {
    bits = byte << uint16_t(8);
    bits = size > uint16_t(0x7c) ? (Halves)(uint16_t(0x7fff)) : bits;
  } else {
    // The exponents' biases differ by 8; f16 holds all values as normal ones.
    Floats value = F::widen(size << uint16_t(7)) * 256.0f;
    bits = sign | F::narrow(value);
    bits = size == uint16_t(0x7f) ? (Halves)(uint16_t(0x7fff)) : bits;
  }
  if (data & FloatRelu)
    bits = as<Vec<int16_t>>(bits) < int16_t(0) ? (Halves)(uint16_t(0)) : bits;
  return bits;
}

template <bool IsE5>
bool widenBytes(Warp &warp, const Inst &inst, uint32_t mask) {
  Halves both = get<uint16_t>(warp, inst.op[1]);
  Halves high = widenByte<IsE5>(inst.data, both >> uint16_t(8));
  Halves low = widenByte<IsE5>(inst.data, both & uint16_t(0xff));
  put<uint32_t>(warp, inst.op[0],
                __builtin_convertvector(high, Words) << 16 |
                    __builtin_convertvector(low, Words),
                mask);
  return true;
}

/// Two saturated integers below what was there.
bool packIntegers(Warp &warp, const Inst &inst, uint32_t mask) {
  unsigned bits = inst.data & 31;
  bool isSigned = inst.data & 32;
  int32_t most = int32_t((1u << (bits - isSigned)) - 1);
  int32_t least = isSigned ? -most - 1 : 0;
  auto cut = [&](Ref ref) {
    Vec<int32_t> value = get<int32_t>(warp, ref);
    value = value > most ? (Vec<int32_t>)(most) : value;
    value = value < least ? (Vec<int32_t>)(least) : value;
    return as<Words>(value) & ((1u << bits) - 1);
  };
  Words packed = cut(inst.op[1]) << bits | cut(inst.op[2]);
  if (bits < 16)
    packed |= get<uint32_t>(warp, inst.op[3]) << (2 * bits);
  put<uint32_t>(warp, inst.op[0], packed, mask);
  return true;
}

/// cvt.pack.sat.convertType.s32{.b32}
bool decodePack(InstDecoder &d, Inst &inst) {
  if (!d.take("sat"))
    return d.fail("expected '.sat'");
  static const char *const names[] = {"u16", "s16", "u8", "s8",
                                      "u4",  "s4",  "u2", "s2"};
  int kind = -1;
  for (int i = 0; i < 8 && kind < 0; ++i)
    if (d.take(names[i]))
      kind = i;
  if (kind < 0)
    return d.unsupported("modifier '." + d.peek() + "'");
  ScalarType type;
  bool isWide = kind < 2;
  if (!d.requireType(type, {S::S32}) ||
      (!isWide && !d.requireType(type, {S::B32})) ||
      !d.finish(isWide ? 3 : 4) || !d.destination(0, S::B32, inst.op[0]) ||
      !d.source(1, S::S32, inst.op[1]) || !d.source(2, S::S32, inst.op[2]) ||
      (!isWide && !d.source(3, S::B32, inst.op[3])))
    return false;
  inst.data = (16u >> kind / 2) | (kind % 2 ? 32 : 0);
  inst.handler = &packIntegers;
  return true;
}

bool decodeTensor(InstDecoder &d, Inst &inst, bool hasRounding) {
  ScalarType from;
  Rounding mode = roundingOf(inst.data);
  bool isAway = mode == Rounding::NearestAway;
  if (!hasRounding || mode == Rounding::Down || mode == Rounding::Up)
    return d.fail("conversion to .tf32 needs .rna, .rn or .rz");
  if (inst.data & (uint32_t(FloatFlush | FloatSaturate) | ConvertIntegral))
    return d.unsupported("modifier '.ftz' or '.sat' with .tf32");
  if (isAway && (inst.data & FloatRelu))
    return d.unsupported("'.relu' with '.rna'");
  // A form of later chips.
  if (!isAway && (inst.data & ConvertFinite))
    return d.unsupported("'.satfinite' without '.rna'");
  inst.handler = &narrowTensor;
  return d.requireType(from, {S::F32}) && d.finish(2) &&
         d.destination(0, S::B32, inst.op[0]) &&
         d.source(1, S::F32, inst.op[1]);
}

bool isNearest(const Inst &inst, bool hasRounding) {
  return hasRounding && roundingOf(inst.data) == Rounding::NearestEven;
}

/// To e4m3x2 or e5m2x2.
bool decodeBytes(InstDecoder &d, Inst &inst, bool hasRounding, bool isE5) {
  if (!isNearest(inst, hasRounding) || !(inst.data & ConvertFinite) ||
      (inst.data & (uint32_t(FloatFlush | FloatSaturate) | ConvertIntegral)))
    return d.fail("conversion to 8-bit floats needs '.rn.satfinite'");
  ScalarType from;
  if (!d.requireType(from, {S::F32, S::F16x2}))
    return false;
  if (from == S::F32) {
    inst.handler = isE5 ? &narrowBytes<true> : &narrowBytes<false>;
    return d.finish(3) && d.destination(0, S::B16, inst.op[0]) &&
           d.source(1, S::F32, inst.op[1]) && d.source(2, S::F32, inst.op[2]);
  }
  inst.handler = isE5 ? &narrowPacked<true> : &narrowPacked<false>;
  return d.finish(2) && d.destination(0, S::B16, inst.op[0]) &&
         d.source(1, S::B32, inst.op[1]);
}

/// From e4m3x2 or e5m2x2 to f16x2.
bool decodeWidening(InstDecoder &d, Inst &inst, bool hasRounding, bool isE5) {
  if (!isNearest(inst, hasRounding) ||
      (inst.data & ~uint32_t(FloatRelu | 7 << FloatRoundingShift)))
    return d.fail("conversion from 8-bit floats takes '.rn' and '.relu' only");
  inst.handler = isE5 ? &widenBytes<true> : &widenBytes<false>;
  return d.finish(2) && d.destination(0, S::B32, inst.op[0]) &&
         d.source(1, S::B16, inst.op[1]);
}

bool decodePair(InstDecoder &d, Inst &inst, bool hasRounding, bool isBFloat) {
  if (!isBFloat)
    if (int kind = d.takeOneOf({"e4m3x2", "e5m2x2"}); kind >= 0)
      return decodeWidening(d, inst, hasRounding, kind == 1);
  ScalarType from;
  Rounding mode = roundingOf(inst.data);
  if (!d.requireType(from, {S::F32}))
    return false;
  if (!hasRounding || (mode != Rounding::NearestEven && mode != Rounding::Zero))
    return d.fail("packed conversion needs '.rn' or '.rz'");
  if (inst.data & (uint32_t(FloatFlush | FloatSaturate) | ConvertIntegral))
    return d.unsupported("modifier '.ftz' or '.sat' of a packed conversion");
  inst.handler = isBFloat ? &narrowPair<true> : &narrowPair<false>;
  return d.finish(3) && d.destination(0, S::B32, inst.op[0]) &&
         d.source(1, S::F32, inst.op[1]) && d.source(2, S::F32, inst.op[2]);
}

} // namespace

Handler narrowingHandler(const Inst &inst, ScalarType to) {
  Rounding mode = roundingOf(inst.data);
  if ((inst.data & (uint32_t(FloatSaturate) | ConvertIntegral)) ||
      (mode != Rounding::NearestEven && mode != Rounding::Zero))
    return nullptr;
  return to == S::BF16 ? &narrowSingle<true> : &narrowSingle<false>;
}

Handler wideningHandler(ScalarType from) {
  return from == S::BF16 ? &widenSingle<true> : &widenSingle<false>;
}

bool decodeNarrow(InstDecoder &d, Inst &inst, bool hasRounding, bool &isGood) {
  if (inst.data == 0 && d.take("pack"))
    isGood = decodePack(d, inst);
  else if (d.take("tf32"))
    isGood = decodeTensor(d, inst, hasRounding);
  else if (int kind = d.takeOneOf({"e4m3x2", "e5m2x2"}); kind >= 0)
    isGood = decodeBytes(d, inst, hasRounding, kind == 1);
  else if (int kind = d.takeOneOf({"f16x2", "bf16x2"}); kind >= 0)
    isGood = decodePair(d, inst, hasRounding, kind == 1);
  else
    return false;
  return true;
}

} // namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA

#include "LanesEnd.h"
