//===- TensorMapTest.cpp - Tensor maps for bulk copies ----------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Every rule of the encoder, at its limit and one beyond, and what the decoder
// makes of bytes that are no map.
//
//===----------------------------------------------------------------------===//

#include "Ropewalk/Emulator/TensorMap.h"

#include <cstring>
#include <functional>
#include <gtest/gtest.h>

using namespace ropewalk::emulator;

namespace {

/// A bf16 matrix of 100 rows of 72, in boxes of 16 rows of 64.
TensorMap matrix() {
  TensorMap map;
  map.type = TensorMapType::BF16;
  map.rank = 2;
  map.address = 0x1000000010;
  map.dims[0] = 72;
  map.dims[1] = 100;
  map.strides[1] = 144;
  map.box[0] = 64;
  map.box[1] = 16;
  map.swizzle = TensorMapSwizzle::B128;
  map.fill = TensorMapFill::Nan;
  map.promotion = 128;
  return map;
}

std::string reasonOf(const TensorMap &map) {
  std::byte bytes[TensorMapBytes];
  return encode(map, bytes);
}

/// Changes the matrix and gives the encoder's answer.
std::string with(const std::function<void(TensorMap &)> &change) {
  TensorMap map = matrix();
  change(map);
  return reasonOf(map);
}

// Guards the way there and back, of every field.
TEST(TensorMapTest, DecodesWhatWasEncoded) {
  TensorMap map = matrix();
  map.rank = 5;
  for (uint32_t i = 0; i < 5; ++i) {
    map.dims[i] = i == 3 ? uint64_t(1) << 32 : 100 + i;
    map.strides[i] = i == 4 ? (uint64_t(1) << 40) - 16 : 256 * (i + 1);
    map.box[i] = i == 2 ? 256 : 8 * (i + 1);
    map.elementStrides[i] = i == 2 ? 8 : i + 1;
  }
  std::byte bytes[TensorMapBytes];
  ASSERT_EQ(encode(map, bytes), "");
  TensorMap read;
  std::string reason;
  ASSERT_TRUE(decode(bytes, read, reason)) << reason;
  EXPECT_EQ(read.type, TensorMapType::BF16);
  EXPECT_EQ(read.rank, 5u);
  EXPECT_EQ(read.address, 0x1000000010u);
  EXPECT_EQ(read.swizzle, TensorMapSwizzle::B128);
  EXPECT_EQ(read.fill, TensorMapFill::Nan);
  EXPECT_EQ(read.promotion, 128u);
  EXPECT_EQ(read.strides[0], 2u);
  for (uint32_t i = 0; i < 5; ++i) {
    EXPECT_EQ(read.dims[i], map.dims[i]);
    EXPECT_EQ(read.box[i], map.box[i]);
    if (i) {
      EXPECT_EQ(read.strides[i], map.strides[i]);
      EXPECT_EQ(read.elementStrides[i], map.elementStrides[i]);
    }
  }
  // 256 elements in steps of 8; dimension 0 has no steps.
  EXPECT_EQ(read.boxCount(2), 32u);
  EXPECT_EQ(read.boxCount(1), 8u);
  EXPECT_EQ(read.boxCount(0), 8u);
  // 24 elements in steps of 5: 0, 5, 10, 15, 20.
  read.box[4] = 24;
  EXPECT_EQ(read.boxCount(4), 5u);
}

// Guards that what has no meaning changes nothing: equal maps, equal bytes.
TEST(TensorMapTest, IgnoresWhatItDoesNotLookAt) {
  TensorMap map = matrix();
  std::byte first[TensorMapBytes], second[TensorMapBytes];
  ASSERT_EQ(encode(map, first), "");
  map.strides[0] = 77;
  map.elementStrides[0] = 100;
  map.dims[2] = map.box[3] = 12345;
  ASSERT_EQ(encode(map, second), "");
  EXPECT_EQ(std::memcmp(first, second, TensorMapBytes), 0);
}

// Guards each rule on kinds.
TEST(TensorMapTest, RefusesKindsThatDoNotFit) {
  EXPECT_EQ(reasonOf(matrix()), "");
  using M = TensorMap;
  EXPECT_EQ(with([](M &m) { m.type = TensorMapType(13); }),
            "tensor map: type is 13, expected a type of 0 to 12");
  for (auto type :
       {TensorMapType::F32Ftz, TensorMapType::TF32, TensorMapType::TF32Ftz})
    EXPECT_EQ(with([&](M &m) { m.type = type; }),
              std::string("tensor map: type ") + name(type) +
                  " is not supported: how it rounds is not documented");
  EXPECT_EQ(with([](M &m) { m.rank = 0; }),
            "tensor map: rank is 0, expected 1 to 5");
  EXPECT_EQ(with([](M &m) { m.rank = 6; }),
            "tensor map: rank is 6, expected 1 to 5");
  EXPECT_EQ(with([](M &m) { m.interleave = TensorMapInterleave::B16; }),
            "tensor map: rank is 2, expected at least 3 for interleaved "
            "layouts");
  auto interleaved = [](TensorMapInterleave kind) {
    return with([&](M &m) {
      m.rank = 3;
      m.dims[2] = m.box[2] = 1;
      m.interleave = kind;
    });
  };
  EXPECT_EQ(interleaved(TensorMapInterleave::None), "");
  EXPECT_EQ(interleaved(TensorMapInterleave::B16),
            "tensor map: interleave 16B is not supported");
  EXPECT_EQ(interleaved(TensorMapInterleave::B32),
            "tensor map: interleave 32B is not supported");
  EXPECT_EQ(interleaved(TensorMapInterleave(3)),
            "tensor map: interleave is 3, expected 0, 1 or 2");
  EXPECT_EQ(with([](M &m) { m.swizzle = TensorMapSwizzle(4); }),
            "tensor map: swizzle is 4, expected 0 to 3");
  EXPECT_EQ(with([](M &m) { m.fill = TensorMapFill(2); }),
            "tensor map: fill is 2, expected 0 or 1");
  EXPECT_EQ(with([](M &m) { m.type = TensorMapType::U16; }),
            "tensor map: fill with NaN needs a floating-point type, got u16");
  EXPECT_EQ(with([](M &m) { m.promotion = 32; }),
            "tensor map: promotion is 32, expected 0, 64, 128 or 256 bytes");
}

// Guards each rule on numbers, at its limits.
TEST(TensorMapTest, RefusesNumbersThatDoNotFit) {
  using M = TensorMap;
  EXPECT_EQ(with([](M &m) { m.address = 0; }),
            "tensor map: address is 0, expected a multiple of 16 that is not "
            "0");
  EXPECT_NE(with([](M &m) { m.address += 8; }), "");
  EXPECT_EQ(with([](M &m) { m.dims[1] = 0; }),
            "tensor map: dims[1] is 0, expected 1 to 2^32");
  EXPECT_EQ(with([](M &m) { m.dims[0] = uint64_t(1) << 32; }), "");
  EXPECT_EQ(with([](M &m) { m.dims[0] = (uint64_t(1) << 32) + 1; }),
            "tensor map: dims[0] is 4294967297, expected 1 to 2^32");
  EXPECT_EQ(with([](M &m) { m.strides[1] = 152; }),
            "tensor map: strides[1] is 152, expected a multiple of 16 bytes "
            "below 2^40");
  EXPECT_EQ(with([](M &m) { m.strides[1] = (uint64_t(1) << 40) - 16; }), "");
  EXPECT_NE(with([](M &m) { m.strides[1] = uint64_t(1) << 40; }), "");
  EXPECT_EQ(with([](M &m) { m.box[1] = 0; }),
            "tensor map: box[1] is 0, expected 1 to 256");
  EXPECT_EQ(with([](M &m) { m.box[1] = 256; }), "");
  EXPECT_EQ(with([](M &m) { m.box[1] = 257; }),
            "tensor map: box[1] is 257, expected 1 to 256");
  EXPECT_EQ(with([](M &m) { m.elementStrides[1] = 8; }), "");
  EXPECT_EQ(with([](M &m) { m.elementStrides[1] = 9; }),
            "tensor map: elementStrides[1] is 9, expected 1 to 8");
  EXPECT_EQ(with([](M &m) { m.elementStrides[1] = 0; }),
            "tensor map: elementStrides[1] is 0, expected 1 to 8");
  EXPECT_EQ(with([](M &m) { m.box[0] = 60; }),
            "tensor map: inner dimension of the box in bytes is 120, expected "
            "a multiple of 16");
}

// Guards that a row of the box fits into the swizzle: 32, 64 and 128 bytes.
TEST(TensorMapTest, RefusesRowsWiderThanTheSwizzle) {
  const TensorMapSwizzle kinds[] = {
      TensorMapSwizzle::B32, TensorMapSwizzle::B64, TensorMapSwizzle::B128};
  for (uint32_t i = 0; i < 3; ++i) {
    uint32_t bytes = 32u << i;
    auto row = [&](uint32_t wide) {
      return with([&](TensorMap &m) {
        m.swizzle = kinds[i];
        m.box[0] = wide / 2;
      });
    };
    EXPECT_EQ(row(bytes), "");
    EXPECT_EQ(row(16), "");
    EXPECT_EQ(row(bytes + 16),
              "tensor map: inner dimension of the box in bytes is " +
                  std::to_string(bytes + 16) + ", expected at most the " +
                  std::to_string(bytes) + " of the swizzle");
  }
  EXPECT_EQ(with([](TensorMap &m) {
              m.swizzle = TensorMapSwizzle::None;
              m.box[0] = 256;
            }),
            "");
}

// Guards that garbage, and a map changed in a single bit of its first half, are
// told.
TEST(TensorMapTest, TellsGarbage) {
  TensorMap map;
  std::string reason;
  std::byte bytes[TensorMapBytes] = {};
  EXPECT_FALSE(decode(bytes, map, reason));
  EXPECT_EQ(reason, "these 128 bytes are no tensor map");
  ASSERT_EQ(encode(matrix(), bytes), "");
  for (size_t bit = 0; bit < TensorMapUsedBytes * 8; ++bit) {
    bytes[bit / 8] ^= std::byte(1 << bit % 8);
    EXPECT_FALSE(decode(bytes, map, reason)) << bit;
    EXPECT_EQ(reason, bit < 16 ? "these 128 bytes are no tensor map"
                               : "the tensor map was changed after it was "
                                 "made");
    bytes[bit / 8] ^= std::byte(1 << bit % 8);
  }
  // The second half may hold anything.
  std::memset(bytes + TensorMapUsedBytes, 0xa5,
              TensorMapBytes - TensorMapUsedBytes);
  EXPECT_TRUE(decode(bytes, map, reason));
}

// Guards names, which command lines and Python use.
TEST(TensorMapTest, NamesTypes) {
  for (unsigned i = 0; i < unsigned(TensorMapType::Count); ++i)
    EXPECT_EQ(tensorMapType(name(TensorMapType(i))), TensorMapType(i));
  EXPECT_EQ(tensorMapType("f8"), TensorMapType::Count);
  EXPECT_STREQ(name(TensorMapType(99)), "unknown");
  EXPECT_EQ(sizeOf(TensorMapType::S64), 8u);
  EXPECT_EQ(sizeOf(TensorMapType(99)), 0u);
  EXPECT_TRUE(isFloat(TensorMapType::BF16));
  EXPECT_FALSE(isFloat(TensorMapType::S32));
}

} // namespace
