//===- WgmmaDescriptor.h - Matrices of wgmma in shared memory ---*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A matrix in shared memory consists of core matrices of 8 lines of 16 bytes (a
// chunk each). If it is K-major, a line is a row of A or a column of B, and the
// bytes run along k; if it is MN-major, a line is one k, and the bytes run
// along the rows of A or the columns of B. Either way there is a core matrix
// for each 8 rows or columns and each 16 bytes (K-major) or 8 elements
// (MN-major) of k.
//
// In units of the descriptor's fields, with W chunks across the swizzled width
// of 16 * W bytes, line i of the core matrix at (8 rows g, k-core c) is at
//   no swizzle           g * stride + c * leading + i * 16
//   K-major, swizzled    g * stride + c * 16 + i * 16 * W
//   MN-major, swizzled   g % W * 16 + g / W * leading + c * stride + i * 16 * W
// from the start address. Then bits 4 and up of the sum, log2(W) of them, are
// flipped by its bits 7 and up less the base offset.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_LIB_EMULATOR_WGMMADESCRIPTOR_H
#define ROPEWALK_LIB_EMULATOR_WGMMADESCRIPTOR_H

#include <cstdint>

namespace ropewalk::emulator {

/// Core matrices along k of every wgmma.
constexpr unsigned WgmmaCores = 2;
/// Where the chunks of some rows of A or columns of B are.
struct MatrixLayout {
  /// Bits that must be 0 in a descriptor.
  static constexpr uint64_t Reserved =
      ~(uint64_t(0x3fff) | 0x3fffull << 16 | 0x3fffull << 32 | 7ull << 49 |
        3ull << 62);

  MatrixLayout(uint64_t descriptor, bool isMNMajor);

  /// Address of a core matrix before the swizzle.
  uint32_t core(unsigned group, unsigned k) const {
    uint32_t outer = group >> groupShift, inner = group - (outer << groupShift);
    return start + outer * outerStride + inner * 16 + k * coreStride;
  }
  uint32_t swizzle(uint32_t address) const {
    return address ^ (((address >> 7) - base) & mask) << 4;
  }
  uint32_t chunk(unsigned group, unsigned k, unsigned line) const {
    return swizzle(core(group, k) + line * pitch);
  }

  uint32_t start, base, mask, pitch;
  uint32_t groupShift, outerStride, coreStride;
  bool isMNMajor;
};

} // namespace ropewalk::emulator

#endif // ROPEWALK_LIB_EMULATOR_WGMMADESCRIPTOR_H
