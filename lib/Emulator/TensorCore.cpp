//===- TensorCore.cpp - Matrix tiles of tensor core instructions *- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// See TensorCore.h for the arrangement.
//
//===----------------------------------------------------------------------===//

#include "TileKernels.h"
#include "Widen.h"

namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA {

void widenA(TensorType type, const void *top, const void *bottom, float *a) {
  Vec<uint32_t> lower = {};
  if (bottom)
    lower = load<uint32_t>(bottom);
  withType(type, [&](auto tag) {
    widenColumns<tag()>(load<uint32_t>(top), lower, a);
  });
}

void widenB(TensorType type, const void *core, float *b, unsigned stride) {
  withType(type, [&](auto tag) { widenCore<tag()>(core, b, stride); });
}

void multiplyTile(const float *a, const float *b, unsigned stride, unsigned n,
                  unsigned k, float *d) {
  multiply<float>(a, b, stride, n, k, d);
}
void multiplyTile(const double *a, const double *b, unsigned stride, unsigned n,
                  unsigned k, double *d) {
  multiply<double>(a, b, stride, n, k, d);
}

void addProducts(const float *products, unsigned n, bool saturates,
                 int32_t *d) {
  for (unsigned j = 0; j < n; ++j) {
    Column<float> product;
    Column<int32_t> sum;
    std::memcpy(&product, products + j * TileRows, sizeof product);
    std::memcpy(&sum, d + j * TileRows, sizeof sum);
    Column<int32_t> exact = __builtin_convertvector(product, Column<int32_t>);
    if (saturates)
      sum = __builtin_elementwise_add_sat(sum, exact);
    else
      sum = as<Column<int32_t>>(as<Column<uint32_t>>(sum) +
                                as<Column<uint32_t>>(exact));
    std::memcpy(d + j * TileRows, &sum, sizeof sum);
  }
}

void countA(const float *a, unsigned k, uint32_t *counts) {
  countColumns<float>(a, k, counts);
}
void countA(const double *a, unsigned k, uint32_t *counts) {
  countColumns<double>(a, k, counts);
}
void countB(const float *b, unsigned stride, unsigned n, unsigned k,
            uint32_t *counts) {
  countAllRows<float>(b, stride, n, k, counts);
}
void countB(const double *b, unsigned stride, unsigned n, unsigned k,
            uint32_t *counts) {
  countAllRows<double>(b, stride, n, k, counts);
}

void canonicalizeTile(float *d, unsigned n) {
  for (unsigned j = 0; j < n; ++j) {
    Column<float> column;
    std::memcpy(&column, d + j * TileRows, sizeof column);
    column = column == column
                 ? column
                 : as<Column<float>>((Column<int32_t>)(0x7fffffff));
    std::memcpy(d + j * TileRows, &column, sizeof column);
  }
}

void loadHalfAccumulators(const Warp &warp, const Ref *rows, bool isHalf,
                          float *d) {
  Vec<uint32_t> bottom = {};
  if (!isHalf)
    bottom = get<uint32_t>(warp, rows[1]);
  widenColumns<TensorType::F16>(get<uint32_t>(warp, rows[0]), bottom, d);
}

void storeHalfAccumulators(Warp &warp, const Ref *rows, bool isHalf,
                           const float *d) {
  Column<uint32_t> pairs[4];
  for (unsigned t = 0; t < 4; ++t) {
    Column<float> even, odd;
    std::memcpy(&even, d + 2 * t * TileRows, sizeof even);
    std::memcpy(&odd, d + (2 * t + 1) * TileRows, sizeof odd);
    pairs[t] = halfBits(even) | halfBits(odd) << 16;
  }
  Vec<uint32_t> top, bottom;
  scatterColumns<uint32_t>(pairs, top, bottom);
  put<uint32_t>(warp, rows[0], top, ~uint32_t(0));
  if (!isHalf)
    put<uint32_t>(warp, rows[1], bottom, ~uint32_t(0));
}

} // namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA

#include "LanesEnd.h"
