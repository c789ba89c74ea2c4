//===- TensorCore.h - Matrix tiles of tensor core instructions --*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What mma, wmma and wgmma share: D[16][N] += A[16][K] * B[K][N].
//
// Registers and shared memory hold A and B as core matrices: 8 rows of 16
// bytes, the rows being rows of A or columns of B, the bytes running along k. A
// register of a fragment is one core matrix, as lane i holds bytes 4 * (i % 4)
// to + 3 of row i / 4. All types of at most 32 bits are widened to f32, where
// the products of floats are exact, and so are the sums of integers: 256
// products of two 8-bit factors stay below 2^24.
//
// Widened tiles are arranged for vectors of 16 rows:
//   A  a[k * 16 + m]        one vector a column
//   B  b[n * stride + k]    read as scalars
//   D  d[n * 16 + m]        one vector a column
// All three are aligned to 64 bytes.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_LIB_EMULATOR_TENSORCORE_H
#define ROPEWALK_LIB_EMULATOR_TENSORCORE_H

#include "Lanes.h"

namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA {

constexpr unsigned TileRows = 16;
constexpr unsigned CoreBytes = 128;

/// Types of A and B that are widened to f32.
enum class TensorType : uint8_t {
  F16,
  BF16,
  TF32, ///< The upper 19 bits of 32.
  E4M3,
  E5M2,
  S8,
  U8,
  S4,
  U4
};
/// Elements of one row of a core matrix.
constexpr unsigned coreElements(TensorType type) {
  return type == TensorType::TF32                           ? 4
         : type <= TensorType::BF16                         ? 8
         : type == TensorType::S4 || type == TensorType::U4 ? 32
                                                            : 16;
}

/// One column of 16 rows.
template <class T> using Column = T __attribute__((ext_vector_type(16)));

/// Widens rows 0 to 7 (`top`) and 8 to 15 (`bottom`, null for rows of zeros) of
/// coreElements(type) columns of A to `a`.
void widenA(TensorType type, const void *top, const void *bottom, float *a);
/// Widens 8 columns of B, coreElements(type) long, to b[n * stride + k].
void widenB(TensorType type, const void *core, float *b, unsigned stride);

/// D += A * B for `n` columns, a multiple of 8, of any `k`: k ascending, each
/// step one fused multiply-add that rounds to nearest even.
void multiplyTile(const float *a, const float *b, unsigned stride, unsigned n,
                  unsigned k, float *d);
void multiplyTile(const double *a, const double *b, unsigned stride, unsigned n,
                  unsigned k, double *d);

/// Adds sums of products that multiplyTile computed from zero to integer
/// accumulators; wraps around, or saturates.
void addProducts(const float *products, unsigned n, bool saturates, int32_t *d);

/// Number of nonzero elements of A, or of `n` columns of B, by k. `k` is a
/// multiple of 4.
void countA(const float *a, unsigned k, uint32_t *counts);
void countA(const double *a, unsigned k, uint32_t *counts);
void countB(const float *b, unsigned stride, unsigned n, unsigned k,
            uint32_t *counts);
void countB(const double *b, unsigned stride, unsigned n, unsigned k,
            uint32_t *counts);
/// Multiply-adds whose two factors are both nonzero.
inline uint64_t usefulProducts(const uint32_t *countsA, const uint32_t *countsB,
                               unsigned k) {
  uint64_t sum = 0;
  for (unsigned i = 0; i < k; ++i)
    sum += countsA[i] * countsB[i];
  return sum;
}

/// Puts the canonical NaN of the hardware in place of every other.
void canonicalizeTile(float *d, unsigned n);

} // namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA

#endif // ROPEWALK_LIB_EMULATOR_TENSORCORE_H
