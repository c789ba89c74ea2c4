//===- Fragments.h - Matrices in the registers of a warp --------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Lane 4 * g + t of an accumulator holds row g (or g + 8) and columns 2 * t and
// 2 * t + 1 of 8 columns. A register row is thus an 8 x 4 matrix, and turning
// two of them into 4 columns of 16 rows is a transposition; the same one
// arranges the 32-bit words of core matrices of A.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_LIB_EMULATOR_FRAGMENTS_H
#define ROPEWALK_LIB_EMULATOR_FRAGMENTS_H

#include "TensorCore.h"

namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA {

/// columns[t] = top[4 * g + t] for g < 8, then bottom[4 * g + t].
template <class T>
ROPEWALK_INLINE void gatherColumns(Vec<T> top, Vec<T> bottom,
                                   Column<T> (&columns)[4]) {
  auto even = [](Vec<T> rows) {
    return __builtin_shufflevector(rows, rows, 0, 4, 8, 12, 16, 20, 24, 28, 1,
                                   5, 9, 13, 17, 21, 25, 29);
  };
  auto odd = [](Vec<T> rows) {
    return __builtin_shufflevector(rows, rows, 2, 6, 10, 14, 18, 22, 26, 30, 3,
                                   7, 11, 15, 19, 23, 27, 31);
  };
  auto low = [](Column<T> a, Column<T> b) {
    return __builtin_shufflevector(a, b, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19,
                                   20, 21, 22, 23);
  };
  auto high = [](Column<T> a, Column<T> b) {
    return __builtin_shufflevector(a, b, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25,
                                   26, 27, 28, 29, 30, 31);
  };
  Column<T> top01 = even(top), top23 = odd(top);
  Column<T> bottom01 = even(bottom), bottom23 = odd(bottom);
  columns[0] = low(top01, bottom01);
  columns[1] = high(top01, bottom01);
  columns[2] = low(top23, bottom23);
  columns[3] = high(top23, bottom23);
}

/// The inverse of gatherColumns.
template <class T>
ROPEWALK_INLINE void scatterColumns(const Column<T> (&columns)[4], Vec<T> &top,
                                    Vec<T> &bottom) {
  auto low = [](Column<T> a, Column<T> b) {
    return __builtin_shufflevector(a, b, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19,
                                   20, 21, 22, 23);
  };
  auto high = [](Column<T> a, Column<T> b) {
    return __builtin_shufflevector(a, b, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25,
                                   26, 27, 28, 29, 30, 31);
  };
  auto rows = [](Column<T> c01, Column<T> c23) {
    return __builtin_shufflevector(c01, c23, 0, 8, 16, 24, 1, 9, 17, 25, 2, 10,
                                   18, 26, 3, 11, 19, 27, 4, 12, 20, 28, 5, 13,
                                   21, 29, 6, 14, 22, 30, 7, 15, 23, 31);
  };
  top = rows(low(columns[0], columns[1]), low(columns[2], columns[3]));
  bottom = rows(high(columns[0], columns[1]), high(columns[2], columns[3]));
}

/// Accumulators of 8 columns: rows[0] and [1] hold rows 0 to 7, [2] and [3]
/// rows 8 to 15, which are zeros if `isHalf` (shapes of 8 rows).
template <class T>
ROPEWALK_INLINE void loadAccumulators(const Warp &warp, const Ref *rows,
                                      bool isHalf, T *d) {
  for (unsigned j = 0; j < 2; ++j) {
    Column<T> columns[4];
    gatherColumns<T>(get<T>(warp, rows[j]),
                     isHalf ? Vec<T>(T(0)) : get<T>(warp, rows[2 + j]),
                     columns);
    for (unsigned t = 0; t < 4; ++t)
      std::memcpy(d + (2 * t + j) * TileRows, &columns[t], sizeof columns[t]);
  }
}
template <class T>
ROPEWALK_INLINE void storeAccumulators(Warp &warp, const Ref *rows, bool isHalf,
                                       const T *d) {
  for (unsigned j = 0; j < 2; ++j) {
    Column<T> columns[4];
    for (unsigned t = 0; t < 4; ++t)
      std::memcpy(&columns[t], d + (2 * t + j) * TileRows, sizeof columns[t]);
    Vec<T> top, bottom;
    scatterColumns<T>(columns, top, bottom);
    put<T>(warp, rows[j], top, ~uint32_t(0));
    if (!isHalf)
      put<T>(warp, rows[2 + j], bottom, ~uint32_t(0));
  }
}

/// Accumulators of 8 columns in f16: rows[0] holds rows 0 to 7, rows[1] rows 8
/// to 15, two columns in each register. Storing rounds to nearest even.
void loadHalfAccumulators(const Warp &warp, const Ref *rows, bool isHalf,
                          float *d);
void storeHalfAccumulators(Warp &warp, const Ref *rows, bool isHalf,
                           const float *d);

} // namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA

#endif // ROPEWALK_LIB_EMULATOR_FRAGMENTS_H
