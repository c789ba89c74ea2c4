//===- TileKernels.h - Loops over matrix tiles ------------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The bodies of multiplyTile, countA and countB, for handlers that know K.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_LIB_EMULATOR_TILEKERNELS_H
#define ROPEWALK_LIB_EMULATOR_TILEKERNELS_H

#include "TensorCore.h"

namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA {

/// Columns of D that are kept in registers at a time.
template <class T>
constexpr unsigned BlockColumns =
#if defined(ROPEWALK_EMULATOR_V4)
    8;
#else
    sizeof(T) == 4 ? 4 : 2;
#endif

template <class T>
ROPEWALK_INLINE void multiply(const T *a, const T *b, unsigned stride,
                              unsigned n, unsigned k, T *d) {
  constexpr unsigned Block = BlockColumns<T>;
  for (unsigned first = 0; first < n; first += Block) {
    Column<T> sums[Block];
    std::memcpy(sums, d + first * TileRows, sizeof sums);
    const T *columns = b + first * stride;
    for (unsigned i = 0; i < k; ++i) {
      Column<T> column;
      std::memcpy(&column, a + i * TileRows, sizeof column);
#pragma unroll
      for (unsigned j = 0; j < Block; ++j)
        sums[j] = __builtin_elementwise_fma(
            column, (Column<T>)(columns[j * stride + i]), sums[j]);
    }
    std::memcpy(d + first * TileRows, sums, sizeof sums);
  }
}

template <class T>
ROPEWALK_INLINE void countColumns(const T *a, unsigned k, uint32_t *counts) {
  for (unsigned i = 0; i < k; ++i) {
    Column<T> column;
    std::memcpy(&column, a + i * TileRows, sizeof column);
    counts[i] = uint32_t(std::popcount(__builtin_bit_cast(
        uint16_t, __builtin_convertvector(column != T(0), Column<bool>))));
  }
}

/// `Width` values of k at a time.
template <unsigned Width, class T>
ROPEWALK_INLINE void countRows(const T *b, unsigned stride, unsigned n,
                               uint32_t *counts) {
  using Row = T __attribute__((ext_vector_type(Width)));
  using Counts = IntOf<T> __attribute__((ext_vector_type(Width)));
  Counts sum = 0;
  for (unsigned j = 0; j < n; ++j) {
    Row row;
    std::memcpy(&row, b + j * stride, sizeof row);
    sum -= row != T(0);
  }
  using Result = uint32_t __attribute__((ext_vector_type(Width)));
  Result result = __builtin_convertvector(sum, Result);
  std::memcpy(counts, &result, sizeof result);
}

template <class T>
ROPEWALK_INLINE void countAllRows(const T *b, unsigned stride, unsigned n,
                                  unsigned k, uint32_t *counts) {
  unsigned i = 0;
  for (; i + 16 <= k; i += 16)
    countRows<16>(b + i, stride, n, counts + i);
  for (; i + 4 <= k; i += 4)
    countRows<4>(b + i, stride, n, counts + i);
}

} // namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA

#endif // ROPEWALK_LIB_EMULATOR_TILEKERNELS_H
