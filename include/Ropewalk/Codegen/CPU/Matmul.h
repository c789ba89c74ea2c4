//===- Matmul.h - Matrix products for compiled code ------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The products of activations with weights, called by compiled code. The C
// linkage and the plain types are what that code can name.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_CODEGEN_CPU_MATMUL_H
#define ROPEWALK_CODEGEN_CPU_MATMUL_H

#include <cstdint>

extern "C" {

/// C += A * transpose(B) for row-major A [M, K], B [N, K], C [M, N] with rows
/// lda, ldb and ldc elements apart. Sums are f32. Any size may be 0. Uses
/// the threads that OpenMP gives.
void ropewalk_matmul_f32(int64_t m, int64_t n, int64_t k, const float *a,
                         int64_t lda, const float *b, int64_t ldb, float *c,
                         int64_t ldc);
/// The same with B of bf16 or f16 (bit patterns), extended exactly.
void ropewalk_matmul_bf16(int64_t m, int64_t n, int64_t k, const float *a,
                          int64_t lda, const uint16_t *b, int64_t ldb, float *c,
                          int64_t ldc);
void ropewalk_matmul_f16(int64_t m, int64_t n, int64_t k, const float *a,
                         int64_t lda, const uint16_t *b, int64_t ldb, float *c,
                         int64_t ldc);
}

#endif // ROPEWALK_CODEGEN_CPU_MATMUL_H
