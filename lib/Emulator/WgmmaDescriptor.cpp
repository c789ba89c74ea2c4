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
