//===- WgmmaDescriptor.cpp - Matrices of wgmma in shared memory -*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Swizzling permutes the chunks of a line. Where a whole line of chunks is
// read, it is one piece.
//
//===----------------------------------------------------------------------===//

#include "WgmmaDescriptor.h"

#include <algorithm>

using namespace ropewalk::emulator;

MatrixLayout::MatrixLayout(uint64_t descriptor, bool isMNMajor)
    : isMNMajor(isMNMajor) {
  // By mode: none, 128, 64, 32 bytes.
  static const uint32_t widths[] = {0, 3, 2, 1};
  auto field = [&](unsigned shift) {
    return uint32_t(descriptor >> shift & 0x3fff) << 4;
  };
  uint32_t width = widths[descriptor >> 62], leading = field(16),
           stride = field(32);
  start = field(0);
  base = uint32_t(descriptor >> 49 & 7);
  mask = (1 << width) - 1;
  pitch = 16 << width;
  bool isSwizzled = width != 0;
  groupShift = isSwizzled && isMNMajor ? width : 0;
  outerStride = isSwizzled && isMNMajor ? leading : stride;
  coreStride = !isSwizzled ? leading : isMNMajor ? stride : 16;
}

unsigned ropewalk::emulator::findRuns(const MatrixLayout &layout,
                                      unsigned first, unsigned count,
                                      MemoryRuns &runs) {
  unsigned size = 0;
  auto add = [&](uint32_t address, uint32_t bytes) {
    if (size && runs[size - 1].address + runs[size - 1].bytes == address)
      runs[size - 1].bytes += bytes;
    else
      runs[size++] = {address, bytes};
  };
  unsigned end = first + count;
  // Chunks that are side by side before the swizzle.
  unsigned across = layout.mask == 0   ? 1
                    : layout.isMNMajor ? layout.mask + 1
                                       : WgmmaCores;
  bool isGroups = layout.isMNMajor && layout.mask;
  unsigned steps = layout.isMNMajor || !layout.mask ? WgmmaCores : 1;
  for (unsigned group = first; group < end;) {
    unsigned width = across;
    if (isGroups)
      width = std::min(across - group % across, end - group);
    for (unsigned k = 0; k < steps; ++k)
      for (unsigned line = 0; line < 8; ++line) {
        uint32_t address = layout.core(group, k) + line * layout.pitch;
        // An aligned set of chunks, permuted within itself.
        if ((width & (width - 1)) == 0 && address % (16 * width) == 0 &&
            width <= layout.mask + 1) {
          uint32_t flipped = layout.swizzle(address);
          add(flipped & ~(16 * width - 1), 16 * width);
          continue;
        }
        for (unsigned i = 0; i < width; ++i)
          add(layout.swizzle(address + 16 * i), 16);
      }
    group += isGroups ? width : 1;
  }
  return size;
}
