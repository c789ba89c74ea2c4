//===- ElementType.h - Types of tensor elements -----------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The element types that a checkpoint may hold, with their two spellings
// ("BF16" in safetensors files, "bf16" in manifests and signatures), and the
// conversions between the floating point types of weights and f32.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_RUNTIME_ELEMENTTYPE_H
#define ROPEWALK_RUNTIME_ELEMENTTYPE_H

#include "Ropewalk/Runtime/Result.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace ropewalk::runtime {

enum class ElementType : uint8_t {
  Bool,
  U8,
  I8,
  F8E5M2,
  F8E4M3,
  U16,
  I16,
  F16,
  BF16,
  U32,
  I32,
  F32,
  U64,
  I64,
  F64,
};

/// Bytes of one element: 1, 2, 4 or 8.
size_t byteSize(ElementType type);
/// Name in signatures and manifests: "f32", "bf16", "i64", ...
std::string_view name(ElementType type);
/// Name in safetensors files: "F32", "BF16", "I64", ...
std::string_view safeTensorsName(ElementType type);
std::optional<ElementType> parseElementType(std::string_view name);
std::optional<ElementType> parseSafeTensorsType(std::string_view name);

/// Bytes of a tensor; nothing when a dimension is negative or the size does
/// not fit into 63 bits.
std::optional<int64_t> byteSize(ElementType type,
                                std::span<const int64_t> shape);

/// "[2, 3]"
std::string toString(std::span<const int64_t> shape);

//===----------------------------------------------------------------------===//
// Conversions. Widening is exact and keeps the sign and payload of a NaN;
// narrowing rounds to nearest, ties to even, overflows to infinity and turns
// every NaN into a quiet one of the same sign.
//===----------------------------------------------------------------------===//

float halfToFloat(uint16_t bits);
float bfloatToFloat(uint16_t bits);
uint16_t floatToHalf(float value);
uint16_t floatToBfloat(float value);

/// Whether `convertElements` can turn `from` into `to`: equal types, and f16
/// or bf16 into f32. Narrowing a weight would change the model, so it is not
/// done.
bool isConvertible(ElementType from, ElementType to);

/// Converts `count` elements; neither pointer needs to be aligned. The ranges
/// do not overlap. Requires isConvertible(from, to).
void convertElements(ElementType from, const void *source, ElementType to,
                     void *destination, size_t count);

} // namespace ropewalk::runtime

#endif // ROPEWALK_RUNTIME_ELEMENTTYPE_H
