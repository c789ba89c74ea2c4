//===- OpsConvert.cpp - Conversions -----------------------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// cvt among integers and floats with all roundings and saturation, and the
// packed forms that put two f32 into one f16x2 or bf16x2. One generic handler
// works lane by lane over the types; the conversions of hot loops have vector
// handlers.
//
//===----------------------------------------------------------------------===//

#include "FloatModifiers.h"
#include "LaneWise.h"

namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA {

namespace {

using S = ScalarType;

bool isInteger(ScalarType t) { return t >= S::U8 && t <= S::S64; }
bool isSigned(ScalarType t) { return t >= S::S8 && t <= S::S64; }
bool isFloat(ScalarType t) {
  return t == S::F16 || t == S::BF16 || t == S::F32 || t == S::F64;
}

/// Inst::data beside the flags of floats.
enum ConvertFlags : uint32_t {
  ConvertIntegral = 1 << 12, ///< .rni, .rzi, ...
};

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
  if (inst.data & FloatRelu && value < 0)
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

/// bf16 is the upper half of f32.
bool widenBFloat(Warp &warp, const Inst &inst, uint32_t mask) {
  Vec<uint32_t> bits =
      __builtin_convertvector(get<uint16_t>(warp, inst.op[1]), Vec<uint32_t>)
      << 16;
  put<float>(warp, inst.op[0], canonical(as<Vec<float>>(bits)), mask);
  return true;
}

ROPEWALK_INLINE Vec<uint32_t> nearestBFloat(Vec<float> value) {
  Vec<uint32_t> bits = as<Vec<uint32_t>>(value);
  Vec<uint32_t> rounded = (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16;
  return value == value ? rounded : (Vec<uint32_t>)(0x7fffu);
}
bool narrowBFloat(Warp &warp, const Inst &inst, uint32_t mask) {
  put<uint16_t>(warp, inst.op[0],
                __builtin_convertvector(
                    nearestBFloat(get<float>(warp, inst.op[1])), Vec<uint16_t>),
                mask);
  return true;
}

bool widenHalf(Warp &warp, const Inst &inst, uint32_t mask) {
  Vec<_Float16> value = get<_Float16>(warp, inst.op[1]);
  put<float>(warp, inst.op[0],
             canonical(__builtin_convertvector(value, Vec<float>)), mask);
  return true;
}
bool narrowHalf(Warp &warp, const Inst &inst, uint32_t mask) {
  Vec<float> value = get<float>(warp, inst.op[1]);
  Vec<uint16_t> bits =
      as<Vec<uint16_t>>(__builtin_convertvector(value, Vec<_Float16>));
  bits = select<uint16_t>(maskOf(value == value), bits,
                          (Vec<uint16_t>)(uint16_t(0x7fff)));
  put<uint16_t>(warp, inst.op[0], bits, mask);
  return true;
}

/// Two f32 into one packed register: the first source goes to the upper half.
bool convertPair(Warp &warp, const Inst &inst, uint32_t mask) {
  Shape shape = shapeOf(inst);
  if (shape.to == S::BF16 && roundingOf(inst.data) == Rounding::NearestEven &&
      !(inst.data & (FloatRelu | FloatSaturate))) {
    put<uint32_t>(warp, inst.op[0],
                  nearestBFloat(get<float>(warp, inst.op[1])) << 16 |
                      nearestBFloat(get<float>(warp, inst.op[2])),
                  mask);
    return true;
  }
  uint32_t *target = lanes<uint32_t>(warp, inst.op[0]);
  const float *a = lanes<float>(warp, inst.op[1]);
  const float *b = lanes<float>(warp, inst.op[2]);
  forLanes(mask, [&](unsigned i) {
    uint32_t high = uint32_t(floatToFloat(a[i], inst, shape));
    uint32_t low = uint32_t(floatToFloat(b[i], inst, shape));
    target[i] = high << 16 | low;
  });
  return true;
}

Handler integerHandler(Shape shape) {
  if (shape.toBytes != sizeOf(shape.to) ||
      shape.fromBytes != sizeOf(shape.from))
    return nullptr;
  bool isSignedSource = isSigned(shape.from);
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
    return nullptr;
  }
}

bool decodePair(InstDecoder &d, Inst &inst, Shape shape) {
  if (inst.data & (uint32_t(FloatFlush) | ConvertIntegral))
    return d.unsupported("this modifier of a packed conversion");
  if (!d.finish(3) || !d.destination(0, S::B32, inst.op[0]) ||
      !d.source(1, S::F32, inst.op[1]) || !d.source(2, S::F32, inst.op[2]))
    return false;
  std::memcpy(&inst.offset, &shape, sizeof shape);
  inst.handler = &convertPair;
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
  if (d.take("relu"))
    inst.data |= FloatRelu;
  if (d.take("satfinite"))
    return d.unsupported("modifier '.satfinite'");
  if (d.take("sat"))
    inst.data |= FloatSaturate;
  if (d.peek() == "tf32") {
    bool isAway = roundingOf(inst.data) == Rounding::NearestAway;
    d.take("tf32");
    ScalarType from;
    if (!hasRounding || !isAway || (inst.data & ~(7u << FloatRoundingShift)))
      return d.unsupported("this form of a conversion to .tf32");
    if (!d.requireType(from, {S::F32}) || !d.finish(2) ||
        !d.destination(0, S::B32, inst.op[0]) ||
        !d.source(1, S::F32, inst.op[1]))
      return false;
    inst.handler = [](Warp &warp, const Inst &inst, uint32_t mask) {
      Vec<float> value = get<float>(warp, inst.op[1]);
      Vec<uint32_t> bits = as<Vec<uint32_t>>(value);
      Vec<uint32_t> rounded = (bits + 0x1000u) & 0xffffe000u;
      Vec<float> infinity = as<Vec<float>>((Vec<uint32_t>)(0x7f800000u));
      rounded = __builtin_elementwise_abs(value) < infinity ? rounded : bits;
      put<uint32_t>(warp, inst.op[0],
                    value == value ? rounded : (Vec<uint32_t>)(0x7fffffffu),
                    mask);
      return true;
    };
    return true;
  }
  Shape shape{};
  shape.to = d.takeType();
  shape.from = d.takeType();
  if (shape.to == S::F16x2 || shape.to == S::BF16x2) {
    if (shape.from != S::F32 || !hasRounding)
      return d.unsupported("this form of a packed conversion");
    shape.to = shape.to == S::F16x2 ? S::F16 : S::BF16;
    return decodePair(d, inst, shape);
  }
  bool toInteger = isInteger(shape.to), fromInteger = isInteger(shape.from);
  if ((!toInteger && !isFloat(shape.to)) ||
      (!fromInteger && !isFloat(shape.from)))
    return d.unsupported(d.peek().empty() ? "this pair of types"
                                          : "modifier '." + d.peek() + "'");
  bool narrows =
      isFloat(shape.to) && isFloat(shape.from) &&
      (sizeOf(shape.to) < sizeOf(shape.from) ||
       (shape.to != shape.from && sizeOf(shape.to) == sizeOf(shape.from)));
  if (toInteger && !fromInteger && integral < 0)
    return d.fail("conversion to an integer needs .rni, .rzi, .rmi or .rpi");
  if (!toInteger && fromInteger && !hasRounding)
    return d.fail("conversion of an integer needs a rounding mode");
  if (narrows && !hasRounding)
    return d.fail("narrowing conversion needs a rounding mode");
  if (toInteger && fromInteger && (hasRounding || integral >= 0))
    return d.fail("rounding mode between integers");
  if (integral >= 0 && !toInteger && shape.to != shape.from)
    return d.fail("integral rounding between different types");
  if ((inst.data & FloatRelu) && (!narrows || sizeOf(shape.to) != 2))
    return d.unsupported("modifier '.relu' here");
  if ((inst.data & FloatFlush) && shape.to != S::F32 && shape.from != S::F32)
    return d.fail("'.ftz' without an .f32");
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
  if (toInteger && fromInteger && !(inst.data & FloatSaturate)) {
    if (Handler fast = integerHandler(shape))
      inst.handler = fast;
  } else if (isExact && shape.to == S::F32 && shape.from == S::BF16 &&
             !(inst.data & (FloatFlush | FloatSaturate))) {
    inst.handler = &widenBFloat;
  } else if (isExact && shape.to == S::BF16 && shape.from == S::F32 &&
             inst.data == 0) {
    inst.handler = &narrowBFloat;
  } else if (isExact && shape.to == S::F32 && shape.from == S::F16 &&
             !(inst.data & (FloatFlush | FloatSaturate))) {
    inst.handler = &widenHalf;
  } else if (isExact && shape.to == S::F16 && shape.from == S::F32 &&
             inst.data == 0) {
    inst.handler = &narrowHalf;
  }
  return true;
}

} // namespace

void addConvertOpcodes(OpcodeTable &table) { table["cvt"] = &decodeConvert; }

} // namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA

#include "LanesEnd.h"
