//===- TensorReference.h - Matrices for tests of tensor cores ---*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Matrices of bit patterns, their values, and products computed one element at
// a time. Nothing here is shared with the emulator.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_UNIT_EMULATOR_TENSORREFERENCE_H
#define ROPEWALK_UNIT_EMULATOR_TENSORREFERENCE_H

#include "Harness.h"

#include <bit>
#include <cmath>

namespace ropewalk::emulator {

inline unsigned bitsOf(const std::string &type) {
  if (type == "f64")
    return 64;
  if (type == "f32" || type == "tf32" || type == "s32")
    return 32;
  if (type == "f16" || type == "bf16")
    return 16;
  if (type == "s4" || type == "u4")
    return 4;
  return type == "b1" ? 1 : 8;
}

/// A float with `exponent` and `mantissa` bits. `hasInfinity` is false for
/// e4m3, whose only special pattern is NaN with all bits set.
inline double decodeFloatBits(uint64_t bits, int exponent, int mantissa,
                              bool hasInfinity = true) {
  uint64_t fraction = bits & ((uint64_t(1) << mantissa) - 1);
  int field = int(bits >> mantissa) & ((1 << exponent) - 1);
  double sign = bits >> (exponent + mantissa) & 1 ? -1 : 1;
  int bias = (1 << (exponent - 1)) - 1;
  if (field == (1 << exponent) - 1) {
    if (hasInfinity)
      return fraction ? NAN : sign * INFINITY;
    if (fraction == (uint64_t(1) << mantissa) - 1)
      return NAN;
  }
  if (field == 0)
    return sign * std::ldexp(double(fraction), 1 - bias - mantissa);
  return sign * std::ldexp(double(fraction | uint64_t(1) << mantissa),
                           field - bias - mantissa);
}

inline double decodeBits(const std::string &type, uint64_t bits) {
  if (type == "f64")
    return std::bit_cast<double>(bits);
  if (type == "f32")
    return std::bit_cast<float>(uint32_t(bits));
  if (type == "tf32")
    return decodeFloatBits(bits >> 13, 8, 10);
  if (type == "f16")
    return decodeFloatBits(bits, 5, 10);
  if (type == "bf16")
    return decodeFloatBits(bits, 8, 7);
  if (type == "e5m2")
    return decodeFloatBits(bits, 5, 2);
  if (type == "e4m3")
    return decodeFloatBits(bits, 4, 3, false);
  if (type == "s8")
    return int8_t(bits);
  if (type == "s32")
    return int32_t(uint32_t(bits));
  if (type == "s4")
    return int(bits & 15) - (bits & 8 ? 16 : 0);
  return double(bits); // u8, u4, b1
}

enum class Values { Small, Random, Sparse, Edge };

/// Bit patterns of a matrix.
struct Matrix {
  std::string type;
  unsigned rows = 0, columns = 0;
  std::vector<uint64_t> bits;

  Matrix(const std::string &type, unsigned rows, unsigned columns)
      : type(type), rows(rows), columns(columns), bits(rows * columns) {}

  uint64_t &at(unsigned row, unsigned column) {
    return bits[row * columns + column];
  }
  double value(unsigned row, unsigned column) const {
    return decodeBits(type, bits[row * columns + column]);
  }

  void fill(Values values, std::mt19937 &engine) {
    const uint64_t sign = uint64_t(1) << (bitsOf(type) - 1);
    std::vector<uint64_t> pool = integers();
    std::vector<uint64_t> edges = special();
    for (uint64_t &element : bits) {
      uint64_t small = pool[engine() % pool.size()];
      switch (values) {
      case Values::Small:
        element = small;
        break;
      case Values::Sparse:
        // Zeros of both signs.
        element = engine() % 3 ? (engine() % 2 && isFloat() ? sign : 0) : small;
        break;
      case Values::Random:
        element = random(engine);
        break;
      case Values::Edge:
        element = engine() % 8 ? small : edges[engine() % edges.size()];
        break;
      }
    }
  }

  bool isFloat() const {
    return type[0] != 's' && type[0] != 'u' && type != "b1";
  }

private:
  /// All patterns with an integral value of at most 7, or a few.
  std::vector<uint64_t> integers() const {
    std::vector<uint64_t> pool;
    if (bitsOf(type) <= 16) {
      for (uint64_t pattern = 0; pattern >> bitsOf(type) == 0; ++pattern) {
        double value = decodeBits(type, pattern);
        if (std::fabs(value) <= 7 && value == std::floor(value))
          pool.push_back(pattern);
      }
      return pool;
    }
    for (int value = -7; value <= 7; ++value)
      pool.push_back(type == "s32" ? uint32_t(value)
                     : type == "f64"
                         ? std::bit_cast<uint64_t>(double(value))
                         : uint64_t(std::bit_cast<uint32_t>(float(value))));
    return pool;
  }
  /// Limits, infinities and NaN.
  std::vector<uint64_t> special() const {
    if (type == "f16")
      return {0x7c00, 0xfc00, 0x7e01, 0x7bff, 0xfbff, 0x0001, 0x83ff, 0x0400};
    if (type == "bf16")
      return {0x7f80, 0xff80, 0x7fc1, 0x7f7f, 0xff7f, 0x0001, 0x807f, 0x0080};
    if (type == "e5m2")
      return {0x7c, 0xfc, 0x7e, 0x7b, 0xfb, 0x01, 0x83, 0x04};
    if (type == "e4m3")
      return {0x7f, 0xff, 0x7e, 0xfe, 0x01, 0x87, 0x08, 0x78};
    if (type == "f32" || type == "tf32")
      return {0x7f800000, 0xff800000, 0x7fc12345, 0x7f7fffff,
              0xff7fffff, 0x00003000, 0x80800000, 0x3f801fff};
    if (type == "f64")
      return {0x7ff0000000000000, 0xfff0000000000000, 0x7fefffffffffffff,
              0x0000000000000001};
    if (type == "s32")
      return {0x7fffffff, 0x80000000, 0x7ffffff0, 0x8000000f};
    uint64_t all = (uint64_t(1) << bitsOf(type)) - 1;
    return {all, all >> 1, (all >> 1) + 1};
  }
  uint64_t random(std::mt19937 &engine) const {
    double value = std::uniform_real_distribution<double>(-1, 1)(engine);
    uint32_t single = std::bit_cast<uint32_t>(float(value));
    if (type == "f16")
      return std::bit_cast<uint16_t>(_Float16(float(value)));
    if (type == "bf16")
      return single >> 16;
    if (type == "f32" || type == "tf32")
      return single;
    if (type == "f64")
      return std::bit_cast<uint64_t>(value);
    if (type == "e5m2" || type == "e4m3") {
      uint64_t pattern = engine() & 0xff;
      return std::isfinite(decodeBits(type, pattern)) ? pattern : 0x38;
    }
    return engine() & (bitsOf(type) == 32 ? 0xffffffff
                                          : (uint64_t(1) << bitsOf(type)) - 1);
  }
};

/// Twice the number of products of two nonzero factors.
inline uint64_t usefulFlops(const Matrix &a, const Matrix &b) {
  uint64_t sum = 0;
  for (unsigned m = 0; m < a.rows; ++m)
    for (unsigned n = 0; n < b.columns; ++n)
      for (unsigned k = 0; k < a.columns; ++k)
        sum += a.value(m, k) != 0 && b.value(k, n) != 0;
  return 2 * sum;
}

/// The bits of one element of A * B + C. `operation` is "xor" or "and" for
/// single bits.
inline uint64_t referenceElement(const Matrix &a, const Matrix &b,
                                 const Matrix &c, unsigned m, unsigned n,
                                 bool saturates, const std::string &operation) {
  if (c.type == "s32") {
    int64_t sum = int64_t(c.value(m, n));
    for (unsigned k = 0; k < a.columns; ++k) {
      int64_t x = int64_t(a.value(m, k)), y = int64_t(b.value(k, n));
      sum += operation == "xor" ? x ^ y : x * y;
    }
    if (saturates)
      sum = std::min<int64_t>(std::max<int64_t>(sum, INT32_MIN), INT32_MAX);
    return uint32_t(sum);
  }
  if (c.type == "f64") {
    double sum = c.value(m, n);
    for (unsigned k = 0; k < a.columns; ++k)
      sum = std::fma(a.value(m, k), b.value(k, n), sum);
    return std::bit_cast<uint64_t>(sum);
  }
  float sum = float(c.value(m, n));
  for (unsigned k = 0; k < a.columns; ++k)
    sum = std::fmaf(float(a.value(m, k)), float(b.value(k, n)), sum);
  if (c.type == "f16")
    return std::isnan(sum) ? 0x7fff : std::bit_cast<uint16_t>(_Float16(sum));
  return std::isnan(sum) ? 0x7fffffff : std::bit_cast<uint32_t>(sum);
}

/// How far an element may be from the product in f64: the errors of the sum in
/// f32 in whatever order, and of rounding to the type of C.
inline double toleranceOf(const Matrix &a, const Matrix &b, const Matrix &c,
                          unsigned m, unsigned n) {
  double size = std::fabs(c.value(m, n));
  for (unsigned k = 0; k < a.columns; ++k)
    size += std::fabs(a.value(m, k) * b.value(k, n));
  double unit = c.type == "f64" ? 0x1p-53 : 0x1p-24;
  return size * (unit * (a.columns + 1) + (c.type == "f16" ? 0x1p-11 : 0)) +
         0x1p-25;
}

} // namespace ropewalk::emulator

#endif // ROPEWALK_UNIT_EMULATOR_TENSORREFERENCE_H
