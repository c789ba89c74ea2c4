//===- Matmul.cpp - Matrix products for compiled code ----------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// B is a weight as checkpoints store it, [N, K] with K contiguous. For many
// rows of A a panel of two vectors' worth of B's rows is packed, transposed and
// extended to f32, so that the inner kernel multiplies broadcast elements of A
// with vectors of consecutive columns of C; its tile of C stays in registers
// over a block of K. For few rows (decode) every element of B is used only a
// few times, packing would cost more than the product: there, vectors run along
// K and are summed at the end.
//
// Everything is a template over a description of the vector registers, compiled
// once for each and chosen by what the processor has.
//
//===----------------------------------------------------------------------===//

#include "Ropewalk/Codegen/CPU/Matmul.h"

#include "Ropewalk/Runtime/ElementType.h"

#include <algorithm>
#include <cstring>
#include <immintrin.h>
#include <memory>

namespace {

/// Columns of K that are packed at once: the panel stays in the first cache.
constexpr int64_t blockK = 256;
/// Rows of A that a task covers.
constexpr int64_t blockM = 192;
/// Up to this many rows, vectors run along K.
constexpr int64_t fewRows = 4;

/// Vectors of `Bytes` bytes; the packed kernel covers `Rows` rows of A.
template <int Bytes, int Rows> struct Machine {
  static constexpr int width = Bytes / 4;
  static constexpr int rows = Rows;
  static constexpr int columns = 2 * width;
  typedef float Vector __attribute__((vector_size(Bytes), aligned(4)));
};
using Wide = Machine<64, 12>;
using Middle = Machine<32, 6>;
using Narrow = Machine<16, 6>;

/// Element types of B. f16 and bf16 are both 16-bit patterns.
struct F32 {
  using Storage = float;
  static float load(float x) { return x; }
};
struct BF16 {
  using Storage = uint16_t;
  static float load(uint16_t x) { return ropewalk::runtime::bfloatToFloat(x); }
};
struct F16 {
  using Storage = uint16_t;
  static float load(uint16_t x) { return ropewalk::runtime::halfToFloat(x); }
};

struct Problem {
  int64_t m, n, k;
  const float *a;
  int64_t lda;
  const void *b;
  int64_t ldb;
  float *c;
  int64_t ldc;
};

/// The panel columns [n0, n0 + columns) x [k0, k0 + depth) of B as
/// packed[depth][columns], zero where B ends.
template <typename M, typename T>
inline __attribute__((always_inline)) void
pack(const Problem &p, int64_t n0, int64_t k0, int64_t depth, float *packed) {
  auto *b = static_cast<const typename T::Storage *>(p.b);
  int64_t count = std::min<int64_t>(M::columns, p.n - n0);
  for (int64_t j = 0; j < count; ++j) {
    const auto *row = b + (n0 + j) * p.ldb + k0;
    for (int64_t l = 0; l < depth; ++l)
      packed[l * M::columns + j] = T::load(row[l]);
  }
  for (int64_t j = count; j < M::columns; ++j)
    for (int64_t l = 0; l < depth; ++l)
      packed[l * M::columns + j] = 0;
}

/// Rows x columns of C += A * packed, in registers.
template <typename M, int Rows>
inline __attribute__((always_inline)) void
tile(int64_t depth, const float *a, int64_t lda, const float *packed, float *c,
     int64_t ldc) {
  using Vector = typename M::Vector;
  Vector sums[Rows][2];
  for (int i = 0; i < Rows; ++i)
    for (int j = 0; j < 2; ++j)
      memcpy(&sums[i][j], c + i * ldc + j * M::width, sizeof(Vector));
  for (int64_t l = 0; l < depth; ++l) {
    Vector b[2];
    memcpy(b, packed + l * M::columns, sizeof b);
#pragma GCC unroll 16
    for (int i = 0; i < Rows; ++i) {
      float x = a[i * lda + l];
      sums[i][0] += x * b[0];
      sums[i][1] += x * b[1];
    }
  }
  for (int i = 0; i < Rows; ++i)
    for (int j = 0; j < 2; ++j)
      memcpy(c + i * ldc + j * M::width, &sums[i][j], sizeof(Vector));
}

/// One tile whose columns may end inside, with `Rows` or less rows.
template <typename M, int Rows>
inline __attribute__((always_inline)) void
anyTile(int64_t rows, int64_t columns, int64_t depth, const float *a,
        int64_t lda, const float *packed, float *c, int64_t ldc) {
  if constexpr (Rows > 0) {
    if (rows < Rows)
      return anyTile<M, Rows - 1>(rows, columns, depth, a, lda, packed, c, ldc);
    if (columns == M::columns)
      return tile<M, Rows>(depth, a, lda, packed, c, ldc);
    float part[Rows * M::columns] = {};
    for (int64_t i = 0; i < Rows; ++i)
      for (int64_t j = 0; j < columns; ++j)
        part[i * M::columns + j] = c[i * ldc + j];
    tile<M, Rows>(depth, a, lda, packed, part, M::columns);
    for (int64_t i = 0; i < Rows; ++i)
      for (int64_t j = 0; j < columns; ++j)
        c[i * ldc + j] = part[i * M::columns + j];
  }
}

/// The task (m0, n0): all of K for some rows and a panel of columns.
template <typename M, typename T>
inline __attribute__((always_inline)) void panelTask(const Problem &p,
                                                     int64_t m0, int64_t n0) {
  alignas(64) float packed[blockK * M::columns];
  int64_t end = std::min(p.m, m0 + blockM);
  int64_t columns = std::min<int64_t>(M::columns, p.n - n0);
  for (int64_t k0 = 0; k0 < p.k; k0 += blockK) {
    int64_t depth = std::min(blockK, p.k - k0);
    pack<M, T>(p, n0, k0, depth, packed);
    for (int64_t i = m0; i < end; i += M::rows)
      anyTile<M, M::rows>(std::min<int64_t>(M::rows, end - i), columns, depth,
                          p.a + i * p.lda + k0, p.lda, packed,
                          p.c + i * p.ldc + n0, p.ldc);
  }
}

/// C[i, n0 .. n1) for up to `fewRows` rows, vectors along K.
template <typename M, typename T, int Rows>
inline __attribute__((always_inline)) void dots(const Problem &p, int64_t n0,
                                                int64_t n1) {
  using Vector = typename M::Vector;
  auto *b = static_cast<const typename T::Storage *>(p.b);
  int64_t vectors = p.k / M::width * M::width;
  for (int64_t j = n0; j < n1; ++j) {
    const auto *row = b + j * p.ldb;
    Vector sums[Rows] = {};
    for (int64_t l = 0; l < vectors; l += M::width) {
      Vector x;
      if constexpr (std::is_same_v<T, F32>)
        memcpy(&x, row + l, sizeof x);
      else
        for (int e = 0; e < M::width; ++e)
          x[e] = T::load(row[l + e]);
      for (int i = 0; i < Rows; ++i) {
        Vector y;
        memcpy(&y, p.a + i * p.lda + l, sizeof y);
        sums[i] += x * y;
      }
    }
    for (int i = 0; i < Rows; ++i) {
      float sum = 0;
      for (int e = 0; e < M::width; ++e)
        sum += sums[i][e];
      for (int64_t l = vectors; l < p.k; ++l)
        sum += T::load(row[l]) * p.a[i * p.lda + l];
      p.c[i * p.ldc + j] += sum;
    }
  }
}

template <typename M, typename T>
inline __attribute__((always_inline)) void anyDots(const Problem &p, int64_t n0,
                                                   int64_t n1) {
  switch (p.m) {
  case 1:
    return dots<M, T, 1>(p, n0, n1);
  case 2:
    return dots<M, T, 2>(p, n0, n1);
  case 3:
    return dots<M, T, 3>(p, n0, n1);
  default:
    return dots<M, T, 4>(p, n0, n1);
  }
}

// One entry to each for every kind of registers; what is inlined into it is
// compiled for the target it names.
#define VARIANT(NAME, MACHINE, TARGET)                                         \
  template <typename T> struct NAME {                                          \
    static constexpr int columns = MACHINE::columns;                           \
    TARGET static void panel(const Problem &p, int64_t m0, int64_t n0) {       \
      panelTask<MACHINE, T>(p, m0, n0);                                        \
    }                                                                          \
    TARGET static void few(const Problem &p, int64_t n0, int64_t n1) {         \
      anyDots<MACHINE, T>(p, n0, n1);                                          \
    }                                                                          \
  };
VARIANT(OnAVX512, Wide,
        __attribute__((target("avx512f,avx512vl,avx512bw,fma"))))
VARIANT(OnAVX2, Middle, __attribute__((target("avx2,fma"))))
VARIANT(OnSSE, Narrow, )
#undef VARIANT

template <typename Variant> void runOn(const Problem &p) {
  if (p.m <= fewRows) {
    // Enough columns for a task that is worth a thread.
    int64_t step = std::max<int64_t>(16, 65536 / std::max<int64_t>(1, p.k));
    int64_t tasks = (p.n + step - 1) / step;
#pragma omp parallel for schedule(static) if (tasks > 1)
    for (int64_t task = 0; task < tasks; ++task)
      Variant::few(p, task * step, std::min(p.n, (task + 1) * step));
    return;
  }
  int64_t panels = (p.n + Variant::columns - 1) / Variant::columns;
  int64_t blocks = (p.m + blockM - 1) / blockM;
#pragma omp parallel for schedule(static) if (panels * blocks > 1)
  for (int64_t task = 0; task < panels * blocks; ++task)
    Variant::panel(p, task % blocks * blockM, task / blocks * Variant::columns);
}

template <typename T> void run(const Problem &p) {
  if (p.m <= 0 || p.n <= 0 || p.k <= 0)
    return;
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("avx512bw"))
    return runOn<OnAVX512<T>>(p);
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
    return runOn<OnAVX2<T>>(p);
  runOn<OnSSE<T>>(p);
}

} // namespace

void ropewalk_matmul_f32(int64_t m, int64_t n, int64_t k, const float *a,
                         int64_t lda, const float *b, int64_t ldb, float *c,
                         int64_t ldc) {
  run<F32>({m, n, k, a, lda, b, ldb, c, ldc});
}

void ropewalk_matmul_bf16(int64_t m, int64_t n, int64_t k, const float *a,
                          int64_t lda, const uint16_t *b, int64_t ldb, float *c,
                          int64_t ldc) {
  run<BF16>({m, n, k, a, lda, b, ldb, c, ldc});
}

void ropewalk_matmul_f16(int64_t m, int64_t n, int64_t k, const float *a,
                         int64_t lda, const uint16_t *b, int64_t ldb, float *c,
                         int64_t ldc) {
  run<F16>({m, n, k, a, lda, b, ldb, c, ldc});
}
