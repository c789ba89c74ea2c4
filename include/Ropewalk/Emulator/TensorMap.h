//===- TensorMap.h - Tensor maps for bulk copies ----------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The object that a kernel hands to cp.async.bulk.tensor: a tensor in global
// memory and the box of it that one copy moves. On a GPU it is made by
// cuTensorMapEncodeTiled and opaque; here it has the same size and alignment
// and a form of its own, which tells itself from other bytes.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_EMULATOR_TENSORMAP_H
#define ROPEWALK_EMULATOR_TENSORMAP_H

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace ropewalk::emulator {

constexpr size_t TensorMapBytes = 128;
/// The first bytes, which hold everything; the others have no meaning.
constexpr size_t TensorMapUsedBytes = 64;
constexpr size_t TensorMapAlignment = 64;

/// In the order of CUtensorMapDataType; the packed types are not there.
enum class TensorMapType : uint8_t {
  U8,
  U16,
  U32,
  S32,
  U64,
  S64,
  F16,
  F32,
  F64,
  BF16,
  F32Ftz,
  TF32,
  TF32Ftz,
  Count
};

/// "u8", "bf16", "f32.ftz" and so on.
const char *name(TensorMapType type);
/// Count if there is no type of that name.
TensorMapType tensorMapType(std::string_view name);
uint32_t sizeOf(TensorMapType type);
bool isFloat(TensorMapType type);

/// Pattern in which 16-byte pieces of a box's rows lie in shared memory.
enum class TensorMapSwizzle : uint8_t { None, B32, B64, B128 };
enum class TensorMapInterleave : uint8_t { None, B16, B32 };
/// What elements outside of the tensor read as.
enum class TensorMapFill : uint8_t { Zero, Nan };

/// The arguments of cuTensorMapEncodeTiled, innermost dimension first. Elements
/// past `rank` are not looked at.
struct TensorMap {
  TensorMapType type = TensorMapType::U8;
  uint32_t rank = 1;
  uint64_t address = 0;  ///< Device address of element 0.
  uint64_t dims[5] = {}; ///< In elements.
  /// In bytes. strides[0] is the size of an element: `decode` sets it and
  /// `encode` does not look at it.
  uint64_t strides[5] = {};
  uint32_t box[5] = {}; ///< In elements.
  /// Every elementStrides[i]-th element of the box is copied; the first one is
  /// ignored, as dimension 0 has no such step.
  uint32_t elementStrides[5] = {1, 1, 1, 1, 1};
  TensorMapSwizzle swizzle = TensorMapSwizzle::None;
  TensorMapFill fill = TensorMapFill::Zero;
  TensorMapInterleave interleave = TensorMapInterleave::None;
  /// Bytes that the second-level cache fetches: 0, 64, 128 or 256. A hint.
  uint32_t promotion = 0;

  /// Elements of dimension `i` that one copy moves.
  uint32_t boxCount(uint32_t i) const {
    return i ? (box[i] + elementStrides[i] - 1) / elementStrides[i] : box[0];
  }
};

/// Writes the object. Returns an empty text, or the rule that `map` breaks.
std::string encode(const TensorMap &map, std::byte (&out)[TensorMapBytes]);

/// Reads an object. Returns false, and says why in `reason`, if these bytes are
/// none that `encode` wrote.
bool decode(const std::byte *in, TensorMap &map, std::string &reason);

/// Fields that tensormap.replace names.
enum class TensorMapField : uint8_t {
  GlobalAddress,
  Rank,
  BoxDim,
  GlobalDim,
  GlobalStride,
  ElementStride,
  ElementType,
  InterleaveLayout,
  SwizzleMode,
  FillMode
};

/// Replaces one field of an object, or of zero bytes. `ordinal` is the
/// dimension (of strides, the dimension less one) and `value` what PTX gives
/// for the field: the rank less one, the number of an element type in the order
/// of PTX. The object as a whole may then break a rule, which `decode` finds.
/// Returns an empty text, or why nothing was changed.
std::string replace(std::byte *object, TensorMapField field, uint32_t ordinal,
                    uint64_t value);

/// The type behind a number of tensormap.replace.tile.elemtype; Count if it is
/// none of the types above.
TensorMapType tensorMapTypeOfPtx(uint32_t number);

} // namespace ropewalk::emulator

#endif // ROPEWALK_EMULATOR_TENSORMAP_H
