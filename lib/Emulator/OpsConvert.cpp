//===- OpsConvert.cpp - Conversions -----------------------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// cvt among integers and floats with all roundings and saturation. One generic
// handler works lane by lane over the types; the conversions of hot loops have
// vector handlers. Narrow and packed floats are in OpsNarrow.cpp.
//
//===----------------------------------------------------------------------===//

#include "ConvertModifiers.h"
#include "LaneWise.h"

namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA {

namespace {

using S = ScalarType;

bool isInteger(ScalarType t) { return t >= S::U8 && t <= S::S64; }
bool isSigned(ScalarType t) { return t >= S::S8 && t <= S::S64; }
bool isFloat(ScalarType t) {
  return t == S::F16 || t == S::BF16 || t == S::F32 || t == S::F64;
}

/// Types and row widths travel in the unused parts of the instruction.
struct Shape {
  ScalarType to, from;
  uint8_t toBytes, fromBytes;
};
Shape shapeOf(const Inst &inst) {
  Shape shape;
  std::memcpy(&shape, &inst.offset, sizeof shape);
  return shape;
}

int64_t readInteger(const std::byte *row, unsigned lane, ScalarType type,
                    unsigned bytes) {
  uint64_t bits = 0;
  std::memcpy(&bits, row + lane * bytes, bytes);
  unsigned shift = 64 - sizeOf(type) * 8;
  return isSigned(type) ? int64_t(bits << shift) >> shift
                        : int64_t(bits << shift >> shift);
}

void writeBits(std::byte *row, unsigned lane, uint64_t bits, unsigned bytes) {
  std::memcpy(row + lane * bytes, &bits, bytes);
}

/// Sign- or zero-extends the low bits of a result to its register.
uint64_t extend(uint64_t bits, ScalarType type) {
  unsigned shift = 64 - sizeOf(type) * 8;
  return isSigned(type) ? uint64_t(int64_t(bits << shift) >> shift)
                        : bits << shift >> shift;
}

uint64_t saturateInteger(int64_t value, bool fromUnsigned, ScalarType to) {
  unsigned bits = sizeOf(to) * 8;
  if (isSigned(to)) {
    int64_t most = int64_t((uint64_t(1) << (bits - 1)) - 1), least = -most - 1;
    if (fromUnsigned)
      return uint64_t(value) > uint64_t(most) ? uint64_t(most)
                                              : uint64_t(value);
    return uint64_t(value > most ? most : value < least ? least : value);
  }
  uint64_t most = bits == 64 ? ~uint64_t(0) : (uint64_t(1) << bits) - 1;
  if (!fromUnsigned && value < 0)
    return 0;
  return uint64_t(value) > most ? most : uint64_t(value);
}

uint64_t floatToInteger(double value, const Inst &inst, Shape shape) {
  unsigned bits = sizeOf(shape.to) * 8;
  if (std::isnan(value)) {
    bool isZero = shape.from != S::F64 && bits < 64;
    return isZero ? 0 : uint64_t(1) << (bits - 1);
  }
  value = roundIntegral(value, roundingOf(inst.data));
  if (isSigned(shape.to)) {
    double limit = std::ldexp(1.0, int(bits) - 1);
    if (value >= limit)
      return (uint64_t(1) << (bits - 1)) - 1;
    if (value < -limit)
      return extend(uint64_t(1) << (bits - 1), shape.to);
    return uint64_t(int64_t(value));
  }
  if (value <= 0)
    return 0;
  if (value >= std::ldexp(1.0, int(bits)))
    return bits == 64 ? ~uint64_t(0) : (uint64_t(1) << bits) - 1;
  return uint64_t(value);
}

FloatFormat formatOf(ScalarType type) {
  return type == S::F16 ? Half : type == S::BF16 ? BFloat : Single;
}

uint64_t encode(double value, ScalarType type, Rounding mode) {
  if (type == S::F64)
    return std::bit_cast<uint64_t>(value);
  return encodeFloat(value, formatOf(type), mode);
}

/// An integer rounded to odd in double, so that narrower formats round once.
double integerToOdd(int64_t value, bool isUnsigned) {
  bool negative = !isUnsigned && value < 0;
  uint64_t magnitude = negative ? 0 - uint64_t(value) : uint64_t(value);
  int spare = 64 - std::countl_zero(magnitude | 1) - 53;
  if (spare > 0) {
    uint64_t lost = magnitude & ((uint64_t(1) << spare) - 1);
    magnitude =
        (magnitude >> spare << spare) | (lost ? uint64_t(1) << spare : 0);
  }
  return negative ? -double(magnitude) : double(magnitude);
}

uint64_t integerToFloat(int64_t value, const Inst &inst, Shape shape) {
  Rounding mode = roundingOf(inst.data);
  bool isUnsigned = !isSigned(shape.from);
  if (shape.to != S::F64)
    return encodeFloat(integerToOdd(value, isUnsigned), formatOf(shape.to),
                       mode);
  uint64_t magnitude =
      !isUnsigned && value < 0 ? 0 - uint64_t(value) : uint64_t(value);
  bool negative = !isUnsigned && value < 0;
  // The halves are exact; their sum rounds once in the mode asked for.
  double high = double(magnitude >> 32) * 0x1p32;
  double low = double(magnitude & 0xffffffff);
  if (negative)
    high = -high, low = -low;
  return std::bit_cast<uint64_t>(roundedDouble('+', high, low, 0, mode));
}

double flushDouble(double value, ScalarType type) {
  double least = type == S::F16 ? 0x1p-14 : type == S::F64 ? 0 : 0x1p-126;
  return std::fabs(value) < least ? std::copysign(0.0, value) : value;
}

uint64_t floatToFloat(double value, const Inst &inst, Shape shape) {
  if (inst.data & FloatFlush && shape.from == S::F32)
    value = flushDouble(value, S::F32);
  if (inst.data & ConvertIntegral && std::isfinite(value))
    value = roundIntegral(value, roundingOf(inst.data));
  if (inst.data & FloatSaturate)
    value = !(value > 0) ? 0 : value > 1 ? 1 : value;
  if (inst.data & FloatRelu && std::signbit(value))
    value = 0;
  uint64_t bits = encode(value, shape.to, roundingOf(inst.data));
  if (inst.data & FloatFlush && shape.to == S::F32)
    bits = bits & 0x7f800000 ? bits : bits & 0x80000000;
  return bits;
}

double readFloat(const std::byte *row, unsigned lane, ScalarType type,
                 unsigned bytes) {
  if (type == S::F64) {
    double value;
    std::memcpy(&value, row + lane * 8, 8);
    return value;
  }
  uint32_t bits = 0;
  std::memcpy(&bits, row + lane * bytes, sizeOf(type));
  return type == S::F32 ? double(std::bit_cast<float>(bits))
                        : decodeFloat(bits, formatOf(type));
}

bool convert(Warp &warp, const Inst &inst, uint32_t mask) {
  Shape shape = shapeOf(inst);
  std::byte *target = lanes<std::byte>(warp, inst.op[0]);
  const std::byte *source = lanes<std::byte>(warp, inst.op[1]);
  std::byte copy[256];
  if (target == source) {
    std::memcpy(copy, source, size_t(shape.fromBytes) * 32);
    source = copy;
  }
  forLanes(mask, [&](unsigned i) {
    uint64_t bits;
    if (isInteger(shape.from)) {
      int64_t value = readInteger(source, i, shape.from, shape.fromBytes);
      if (!isInteger(shape.to)) {
        bits = integerToFloat(value, inst, shape);
        if (inst.data & FloatSaturate)
          bits = encode(value > 0 || (!isSigned(shape.from) && value) ? 1 : 0,
                        shape.to, Rounding::NearestEven);
      } else {
        bits = uint64_t(value);
        if (inst.data & FloatSaturate)
          bits = saturateInteger(value, !isSigned(shape.from), shape.to);
        bits = extend(bits, shape.to);
      }
    } else {
      double value = readFloat(source, i, shape.from, shape.fromBytes);
      if (inst.data & FloatFlush && isInteger(shape.to))
        value = flushDouble(value, shape.from);
      bits = isInteger(shape.to)
                 ? extend(floatToInteger(value, inst, shape), shape.to)
                 : floatToFloat(value, inst, shape);
    }
    writeBits(target, i, bits, shape.toBytes);
  });
  return true;
}

template <class To, class From>
bool convertIntegers(Warp &warp, const Inst &inst, uint32_t mask) {
  put<To>(warp, inst.op[0],
          __builtin_convertvector(get<From>(warp, inst.op[1]), Vec<To>), mask);
  return true;
}

/// Any two widths of rows and types, with or without saturation.
template <class To, class From>
bool resizeIntegers(Warp &warp, const Inst &inst, uint32_t mask) {
  Shape shape = shapeOf(inst);
  Vec<uint64_t> value =
      __builtin_convertvector(get<From>(warp, inst.op[1]), Vec<uint64_t>);
  uint64_t shift = 64 - sizeOf(shape.from) * 8;
  bool fromSigned = isSigned(shape.from), toSigned = isSigned(shape.to);
  Vec<int64_t> wide = as<Vec<int64_t>>(value << shift);
  wide = fromSigned ? wide >> int64_t(shift)
                    : as<Vec<int64_t>>(as<Vec<uint64_t>>(wide) >> shift);
  unsigned bits = sizeOf(shape.to) * 8;
  if (inst.data & FloatSaturate) {
    uint64_t most = ~uint64_t(0) >> (64 - bits + (toSigned ? 1 : 0));
    Vec<uint64_t> plain = as<Vec<uint64_t>>(wide);
    if (fromSigned) {
      int64_t least = toSigned ? -int64_t(most) - 1 : 0;
      // All signed values lie below the largest of 64 unsigned bits.
      if (most >> 63 == 0)
        wide = wide > int64_t(most) ? (Vec<int64_t>)(int64_t(most)) : wide;
      wide = wide < least ? (Vec<int64_t>)(least) : wide;
    } else {
      plain = plain > most ? (Vec<uint64_t>)(most) : plain;
      wide = as<Vec<int64_t>>(plain);
    }
  }
  uint64_t drop = 64 - bits;
  value = as<Vec<uint64_t>>(wide) << drop;
  value = toSigned ? as<Vec<uint64_t>>(as<Vec<int64_t>>(value) >> int64_t(drop))
                   : value >> drop;
  put<To>(warp, inst.op[0], __builtin_convertvector(value, Vec<To>), mask);
  return true;
}

/// Saturates; NaN becomes 0. `Mode` is a Rounding.
template <class To, class From, Rounding Mode>
bool floatToIntegers(Warp &warp, const Inst &inst, uint32_t mask) {
  Vec<From> value = get<From>(warp, inst.op[1]);
  if constexpr (sizeof(From) == 4)
    if (inst.data & FloatFlush)
      value = flush(value);
  switch (Mode) {
  case Rounding::NearestEven:
    value = __builtin_elementwise_roundeven(value);
    break;
  case Rounding::Down:
    value = __builtin_elementwise_floor(value);
    break;
  case Rounding::Up:
    value = __builtin_elementwise_ceil(value);
    break;
  default:
    value = __builtin_elementwise_trunc(value);
    break;
  }
  constexpr To most = std::numeric_limits<To>::max();
  constexpr To least = std::numeric_limits<To>::min();
  // The first number beyond the range is a power of two, so it is exact.
  constexpr From end = From(uint64_t(most) / 2 + 1) * 2;
  Vec<From> inside = value < end ? value : (Vec<From>)(From(0));
  inside = inside >= From(least) ? inside : (Vec<From>)(From(0));
  Vec<To> result = __builtin_convertvector(inside, Vec<To>);
  result = select<To>(maskOf(value >= end), (Vec<To>)(most), result);
  result = select<To>(maskOf(value < From(least)), (Vec<To>)(least), result);
  if (std::is_same_v<From, double>) // NaN of f64 has the sign bit alone.
    result = select<To>(maskOf(value != value),
                        (Vec<To>)(To(UIntOf<To>(1) << (sizeof(To) * 8 - 1))),
                        result);
  put<To>(warp, inst.op[0], result, mask);
  return true;
}

template <class To, class From>
bool integersToFloat(Warp &warp, const Inst &inst, uint32_t mask) {
  put<To>(warp, inst.op[0],
          __builtin_convertvector(get<From>(warp, inst.op[1]), Vec<To>), mask);
  return true;
}

bool widenFloat(Warp &warp, const Inst &inst, uint32_t mask) {
  Vec<float> value = get<float>(warp, inst.op[1]);
  if (inst.data & FloatFlush)
    value = flush(value);
  Vec<double> wide = __builtin_convertvector(value, Vec<double>);
  if (inst.data & FloatSaturate)
    wide = saturate<double>(wide);
  put<double>(warp, inst.op[0], wide, mask);
  return true;
}

bool narrowDouble(Warp &warp, const Inst &inst, uint32_t mask) {
  Vec<float> value = canonical(
      __builtin_convertvector(get<double>(warp, inst.op[1]), Vec<float>));
  if (inst.data & FloatFlush)
    value = flush(value);
  if (inst.data & FloatSaturate)
    value = saturate<float>(value);
  put<float>(warp, inst.op[0], value, mask);
  return true;
}

Handler integerHandler(const Inst &inst, Shape shape) {
  bool isSignedSource = isSigned(shape.from);
  bool isExact = shape.toBytes == sizeOf(shape.to) &&
                 shape.fromBytes == sizeOf(shape.from);
  if (isExact && !(inst.data & FloatSaturate)) {
    switch (shape.fromBytes * 16 + shape.toBytes) {
    case 4 * 16 + 8:
      return isSignedSource ? Handler(&convertIntegers<int64_t, int32_t>)
                            : Handler(&convertIntegers<uint64_t, uint32_t>);
    case 8 * 16 + 4:
      return &convertIntegers<uint32_t, uint64_t>;
    case 2 * 16 + 4:
      return isSignedSource ? Handler(&convertIntegers<int32_t, int16_t>)
                            : Handler(&convertIntegers<uint32_t, uint16_t>);
    case 4 * 16 + 2:
      return &convertIntegers<uint16_t, uint32_t>;
    default:
      break;
    }
  }
#define ROPEWALK_RESIZE(FROM)                                                  \
  {                                                                            \
    &resizeIntegers<uint8_t, FROM>, &resizeIntegers<uint16_t, FROM>,           \
        &resizeIntegers<uint32_t, FROM>, &resizeIntegers<uint64_t, FROM>       \
  }
  static const Handler handlers[4][4] = {
      ROPEWALK_RESIZE(uint8_t), ROPEWALK_RESIZE(uint16_t),
      ROPEWALK_RESIZE(uint32_t), ROPEWALK_RESIZE(uint64_t)};
  return handlers[std::countr_zero(shape.fromBytes)]
                 [std::countr_zero(shape.toBytes)];
}

template <class To, class From> Handler toIntegerByMode(Rounding mode) {
  switch (mode) {
  case Rounding::NearestEven:
    return &floatToIntegers<To, From, Rounding::NearestEven>;
  case Rounding::Zero:
    return &floatToIntegers<To, From, Rounding::Zero>;
  case Rounding::Down:
    return &floatToIntegers<To, From, Rounding::Down>;
  default:
    return &floatToIntegers<To, From, Rounding::Up>;
  }
}

/// A vector handler for registers of exactly the types' sizes; null if there
/// is none.
Handler exactHandler(const Inst &inst, Shape shape) {
  Rounding mode = roundingOf(inst.data);
  bool isNearest = mode == Rounding::NearestEven;
  bool isIntegral = inst.data & ConvertIntegral;
  ScalarType to = shape.to, from = shape.from;
  if (from == S::F32 && to == S::S32)
    return toIntegerByMode<int32_t, float>(mode);
  if (from == S::F32 && to == S::U32)
    return toIntegerByMode<uint32_t, float>(mode);
  if (from == S::F64 && to == S::S32)
    return toIntegerByMode<int32_t, double>(mode);
  if (from == S::F64 && to == S::S64)
    return toIntegerByMode<int64_t, double>(mode);
  if (isInteger(from) && isNearest && !(inst.data & FloatSaturate)) {
    if (to == S::F32)
      return from == S::S32   ? Handler(&integersToFloat<float, int32_t>)
             : from == S::U32 ? Handler(&integersToFloat<float, uint32_t>)
                              : nullptr;
    if (to == S::F64)
      return from == S::S32   ? Handler(&integersToFloat<double, int32_t>)
             : from == S::U32 ? Handler(&integersToFloat<double, uint32_t>)
             : from == S::S64 ? Handler(&integersToFloat<double, int64_t>)
                              : nullptr;
  }
  if (isIntegral || isInteger(to) || isInteger(from))
    return nullptr;
  if (to == S::F32 && (from == S::F16 || from == S::BF16))
    return wideningHandler(from);
  if (from == S::F32 && (to == S::F16 || to == S::BF16))
    return narrowingHandler(inst, to);
  if (from == S::F32 && to == S::F64)
    return &widenFloat;
  return from == S::F64 && to == S::F32 && isNearest ? &narrowDouble : nullptr;
}

/// Checks which modifiers go with the pair of types.
bool checkModifiers(InstDecoder &d, const Inst &inst, Shape shape,
                    bool hasRounding, bool isIntegral) {
  bool toInteger = isInteger(shape.to), fromInteger = isInteger(shape.from);
  auto isNarrowFloat = [](ScalarType t) { return t == S::F16 || t == S::BF16; };
  bool narrows =
      isFloat(shape.to) && isFloat(shape.from) &&
      (sizeOf(shape.to) < sizeOf(shape.from) ||
       (shape.to != shape.from && sizeOf(shape.to) == sizeOf(shape.from)));
  if (toInteger && !fromInteger && !isIntegral)
    return d.fail("conversion to an integer needs .rni, .rzi, .rmi or .rpi");
  if (!toInteger && fromInteger && !hasRounding)
    return d.fail("conversion of an integer needs a rounding mode");
  // Between f16 and bf16 the default is the nearest.
  bool isAcross = isNarrowFloat(shape.to) && isNarrowFloat(shape.from) &&
                  shape.to != shape.from;
  if (narrows && !hasRounding && !isAcross)
    return d.fail("narrowing conversion needs a rounding mode");
  if (isAcross && (inst.data & FloatSaturate))
    return d.fail("'.sat' between .f16 and .bf16");
  if (toInteger && fromInteger && (hasRounding || isIntegral))
    return d.fail("rounding mode between integers");
  unsigned kept = sizeOf(shape.to) * 8 - isSigned(shape.to);
  unsigned given = sizeOf(shape.from) * 8 - isSigned(shape.from);
  if (toInteger && fromInteger && (inst.data & FloatSaturate) &&
      kept >= given && isSigned(shape.to) >= isSigned(shape.from))
    return d.fail("'.sat' between types that saturate nothing");
  if (isIntegral && !toInteger && shape.to != shape.from)
    return d.fail("integral rounding between different types");
  if (hasRounding && !narrows && !fromInteger)
    return d.fail("rounding mode of an exact conversion");
  bool isF32ToHalf = isNarrowFloat(shape.to) && shape.from == S::F32;
  Rounding mode = roundingOf(inst.data);
  if ((inst.data & (uint32_t(FloatRelu) | ConvertFinite)) &&
      (!isF32ToHalf ||
       (mode != Rounding::NearestEven && mode != Rounding::Zero)))
    return d.unsupported("modifier '.relu' or '.satfinite' here");
  if (mode == Rounding::NearestAway)
    return d.unsupported("modifier '.rna' here");
  if ((inst.data & FloatFlush) && shape.to != S::F32 && shape.from != S::F32)
    return d.fail("'.ftz' without an .f32");
  return true;
}

bool decodeConvert(InstDecoder &d, Inst &inst) {
  inst.cls = InstClass::Conversion;
  int integral = d.takeOneOf({"rni", "rzi", "rmi", "rpi"});
  bool hasRounding = false;
  if (integral >= 0)
    inst.data |= ConvertIntegral | uint32_t(integral) << FloatRoundingShift;
  else if (d.take("rna"))
    hasRounding = true, inst.data |= uint32_t(Rounding::NearestAway)
                                     << FloatRoundingShift;
  else
    hasRounding = takeRounding(d, inst.data);
  if (d.take("ftz"))
    inst.data |= FloatFlush;
  // Both orders occur in PTX.
  for (int i = 0; i < 2; ++i) {
    if (d.take("relu"))
      inst.data |= FloatRelu;
    if (d.take("satfinite"))
      inst.data |= ConvertFinite;
  }
  if (d.take("sat"))
    inst.data |= FloatSaturate;
  bool isGood = false;
  if (decodeNarrow(d, inst, hasRounding, isGood))
    return isGood;
  Shape shape{};
  shape.to = d.takeType();
  shape.from = d.takeType();
  bool toInteger = isInteger(shape.to), fromInteger = isInteger(shape.from);
  if ((!toInteger && !isFloat(shape.to)) ||
      (!fromInteger && !isFloat(shape.from)))
    return d.unsupported(d.peek().empty() ? "this pair of types"
                                          : "modifier '." + d.peek() + "'");
  if (!checkModifiers(d, inst, shape, hasRounding, integral >= 0))
    return false;
  uint32_t toBytes = 0, fromBytes = 0;
  if (!d.finish(2) ||
      !d.wideDestination(d.operand(0), shape.to, inst.op[0], toBytes) ||
      !d.wideSource(d.operand(1), shape.from, inst.op[1], fromBytes))
    return false;
  if (inst.op[0].offset == NoRow)
    return d.failAt(d.operand(0), "'_' as a destination");
  if (toBytes > 8 || fromBytes > 8)
    return d.unsupported("a 128-bit register");
  shape.toBytes = uint8_t(toBytes);
  shape.fromBytes = uint8_t(fromBytes);
  std::memcpy(&inst.offset, &shape, sizeof shape);
  inst.handler = &convert;
  bool isExact = toBytes == sizeOf(shape.to) && fromBytes == sizeOf(shape.from);
  Handler fast = nullptr;
  if (toInteger && fromInteger)
    fast = integerHandler(inst, shape);
  else if (isExact)
    fast = exactHandler(inst, shape);
  inst.handler = fast ? fast : &convert;
  return true;
}

} // namespace

void addConvertOpcodes(OpcodeTable &table) { table["cvt"] = &decodeConvert; }

} // namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA

#include "LanesEnd.h"
