//===- ElementType.cpp - Types of tensor elements ---------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Conversions work on bit patterns and need no hardware support. A half is
// 1 sign, 5 exponent (bias 15) and 10 mantissa bits; a float has 1, 8 (bias
// 127) and 23; a bfloat is the upper half of a float.
//
//===----------------------------------------------------------------------===//

#include "Ropewalk/Runtime/ElementType.h"

#include <bit>
#include <cstring>

using namespace ropewalk::runtime;

namespace {

struct TypeInfo {
  ElementType type;
  uint8_t size;
  std::string_view name;
  std::string_view safeTensorsName;
};

/// Indexed by ElementType.
constexpr TypeInfo kTypes[] = {
    {ElementType::Bool, 1, "i1", "BOOL"},
    {ElementType::U8, 1, "u8", "U8"},
    {ElementType::I8, 1, "i8", "I8"},
    {ElementType::F8E5M2, 1, "f8E5M2", "F8_E5M2"},
    {ElementType::F8E4M3, 1, "f8E4M3FN", "F8_E4M3"},
    {ElementType::U16, 2, "u16", "U16"},
    {ElementType::I16, 2, "i16", "I16"},
    {ElementType::F16, 2, "f16", "F16"},
    {ElementType::BF16, 2, "bf16", "BF16"},
    {ElementType::U32, 4, "u32", "U32"},
    {ElementType::I32, 4, "i32", "I32"},
    {ElementType::F32, 4, "f32", "F32"},
    {ElementType::U64, 8, "u64", "U64"},
    {ElementType::I64, 8, "i64", "I64"},
    {ElementType::F64, 8, "f64", "F64"},
};

const TypeInfo &info(ElementType type) {
  return kTypes[static_cast<size_t>(type)];
}

} // namespace

size_t ropewalk::runtime::byteSize(ElementType type) { return info(type).size; }

std::string_view ropewalk::runtime::name(ElementType type) {
  return info(type).name;
}

std::string_view ropewalk::runtime::safeTensorsName(ElementType type) {
  return info(type).safeTensorsName;
}

std::optional<ElementType>
ropewalk::runtime::parseElementType(std::string_view name) {
  for (const TypeInfo &candidate : kTypes)
    if (candidate.name == name)
      return candidate.type;
  return std::nullopt;
}

std::optional<ElementType>
ropewalk::runtime::parseSafeTensorsType(std::string_view name) {
  for (const TypeInfo &candidate : kTypes)
    if (candidate.safeTensorsName == name)
      return candidate.type;
  return std::nullopt;
}

std::optional<int64_t>
ropewalk::runtime::byteSize(ElementType type, std::span<const int64_t> shape) {
  int64_t size = static_cast<int64_t>(byteSize(type));
  for (int64_t dimension : shape)
    if (dimension < 0 || __builtin_mul_overflow(size, dimension, &size))
      return std::nullopt;
  return size;
}

std::string ropewalk::runtime::toString(std::span<const int64_t> shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i)
    text += concat(i ? ", " : "", shape[i]);
  return text + "]";
}

float ropewalk::runtime::halfToFloat(uint16_t bits) {
  uint32_t sign = uint32_t(bits & 0x8000) << 16;
  uint32_t exponent = (bits >> 10) & 0x1f;
  uint32_t mantissa = bits & 0x3ff;
  if (exponent == 0x1f)
    return std::bit_cast<float>(sign | 0x7f800000 | mantissa << 13);
  if (exponent != 0)
    return std::bit_cast<float>(sign | (exponent + 112) << 23 | mantissa << 13);
  // Zero and subnormals: mantissa * 2^-24, exact in f32.
  float magnitude = static_cast<float>(mantissa) * 0x1p-24f;
  return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(magnitude));
}

float ropewalk::runtime::bfloatToFloat(uint16_t bits) {
  return std::bit_cast<float>(uint32_t(bits) << 16);
}

uint16_t ropewalk::runtime::floatToHalf(float value) {
  uint32_t bits = std::bit_cast<uint32_t>(value);
  uint16_t sign = static_cast<uint16_t>((bits >> 16) & 0x8000);
  uint32_t magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000)
    return sign | 0x7e00 | static_cast<uint16_t>((magnitude >> 13) & 0x3ff);
  // 65520 is halfway between the largest half and the next power of two.
  if (magnitude >= 0x477ff000)
    return sign | 0x7c00;
  if (magnitude < 0x38800000) {
    // Below the smallest normal half the last place is 2^-24: let the
    // addition of 0.5, whose last place is 2^-24 too, do the rounding.
    float shifted = std::bit_cast<float>(magnitude) + 0.5f;
    return sign |
           static_cast<uint16_t>(std::bit_cast<uint32_t>(shifted) - 0x3f000000);
  }
  uint32_t odd = (magnitude >> 13) & 1;
  magnitude += 0xfff + odd - (uint32_t(112) << 23);
  return sign | static_cast<uint16_t>(magnitude >> 13);
}

uint16_t ropewalk::runtime::floatToBfloat(float value) {
  uint32_t bits = std::bit_cast<uint32_t>(value);
  if ((bits & 0x7fffffff) > 0x7f800000)
    return static_cast<uint16_t>(bits >> 16) | 0x40;
  return static_cast<uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

bool ropewalk::runtime::isConvertible(ElementType from, ElementType to) {
  return from == to || (to == ElementType::F32 && (from == ElementType::F16 ||
                                                   from == ElementType::BF16));
}

void ropewalk::runtime::convertElements(ElementType from, const void *source,
                                        ElementType to, void *destination,
                                        size_t count) {
  if (from == to) {
    if (count)
      std::memcpy(destination, source, count * byteSize(from));
    return;
  }
  const char *in = static_cast<const char *>(source);
  char *out = static_cast<char *>(destination);
  auto widen = [&](auto convert) {
    for (size_t i = 0; i < count; ++i) {
      uint16_t bits;
      std::memcpy(&bits, in + 2 * i, 2);
      float value = convert(bits);
      std::memcpy(out + 4 * i, &value, 4);
    }
  };
  if (from == ElementType::F16)
    widen(halfToFloat);
  else
    widen(bfloatToFloat);
}
