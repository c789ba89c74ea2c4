//===- TensorCopy.h - The bytes that a tensor copy moves --------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What a tensor map and the coordinates of a box mean in bytes: which ones of
// global memory go with which ones of shared memory.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_LIB_EMULATOR_TENSORCOPY_H
#define ROPEWALK_LIB_EMULATOR_TENSORCOPY_H

#include "Ropewalk/Emulator/TensorMap.h"

#include <span>
#include <vector>

namespace ropewalk::emulator {

/// Every 16 bits of an element that lies outside of the tensor, with the fill
/// mode NaN. PTX names this value OOB-NaN and does not give its bits; these are
/// the ones seen on sm_90. They are a NaN in every floating-point type.
constexpr uint16_t OutOfBoundsNan = 0x7ff7;

/// Bytes of a run that is contiguous on both sides.
struct TensorPiece {
  uint64_t global = 0; ///< Device address; 0 outside of the tensor.
  uint32_t shared = 0; ///< Offset in shared memory.
  uint32_t bytes = 0;
  bool isFill = false; ///< Outside of the tensor.
};

/// Where the byte at `address` of an unswizzled layout lies.
uint32_t swizzle(TensorMapSwizzle mode, uint32_t address);

/// Bytes that one copy moves and that an mbarrier counts, those outside of the
/// tensor included.
uint32_t boxBytes(const TensorMap &map);

/// Bytes of shared memory from the address of the copy to the end of the box.
/// More than boxBytes where rows are shorter than the pattern of the swizzle: a
/// row then takes the place of a whole pattern.
uint32_t boxSpan(const TensorMap &map);

/// Bytes from element 0 to the end of dimensions 0 to `dimension`; the largest
/// number if that is more than 2^64 - 1.
uint64_t tensorBytes(const TensorMap &map, uint32_t dimension);

/// Appends the pieces of the box at `coordinates` (one for each dimension) and
/// the shared offset `shared`, a multiple of 128. Innermost dimension first;
/// neighbours are merged. Elements outside of the tensor become fill pieces if
/// `fills`, else they are left out.
void appendPieces(const TensorMap &map, std::span<const int32_t> coordinates,
                  uint32_t shared, bool fills,
                  std::vector<TensorPiece> &pieces);

} // namespace ropewalk::emulator

#endif // ROPEWALK_LIB_EMULATOR_TENSORCOPY_H
