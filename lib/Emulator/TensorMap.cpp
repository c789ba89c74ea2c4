//===- TensorMap.cpp - Tensor maps for bulk copies --------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The rules are those that the CUDA driver documents. Strides need not grow
// with the dimension: the documentation only shows such strides, the driver
// takes any. Of the 128 bytes the first 64 hold everything, packed, with a
// magic number and a checksum, so that a map which a kernel or a copy has
// damaged is told from one that was never there. The others mean nothing, as on
// a GPU: kernels of CuTe copy the first half of a map only.
//
//===----------------------------------------------------------------------===//

#include "Ropewalk/Emulator/TensorMap.h"

#include <bit>
#include <cstring>
#include <iterator>

using namespace ropewalk::emulator;

namespace {

struct TypeInfo {
  const char *name;
  uint32_t size;
  bool isFloat;
};

const TypeInfo types[] = {
    {"u8", 1, false},     {"u16", 2, false},    {"u32", 4, false},
    {"s32", 4, false},    {"u64", 8, false},    {"s64", 8, false},
    {"f16", 2, true},     {"f32", 4, true},     {"f64", 8, true},
    {"bf16", 2, true},    {"f32.ftz", 4, true}, {"tf32", 4, true},
    {"tf32.ftz", 4, true}};
static_assert(std::size(types) == size_t(TensorMapType::Count));

/// What the bytes hold. Zeros stand for what has not been set yet.
struct Encoded {
  uint16_t magic;
  uint16_t kinds; ///< type, rank, swizzle, fill, promotion: 4, 3, 2, 1, 2 bits
  uint32_t checksum;
  uint8_t box[5];            ///< Bits 0 to 7.
  uint8_t elementStrides[3]; ///< Four bits each.
  uint64_t address;
  uint32_t dims[5];    ///< Bits 0 to 31.
  uint32_t strides[4]; ///< Bits 4 to 35.
  uint16_t high;       ///< The bit of each box, then of each dimension.
  uint16_t strideHigh; ///< Four bits each.
};
static_assert(sizeof(Encoded) == TensorMapUsedBytes);

constexpr uint16_t Magic = 0x4d54; // "TM"

/// FNV-1a of everything but the checksum, folded.
uint32_t checksum(Encoded encoded) {
  encoded.checksum = 0;
  unsigned char bytes[sizeof encoded];
  std::memcpy(bytes, &encoded, sizeof bytes);
  uint64_t hash = 0xcbf29ce484222325;
  for (unsigned char byte : bytes)
    hash = (hash ^ byte) * 0x100000001b3;
  return uint32_t(hash ^ hash >> 32);
}

/// The fields have to fit their bits.
Encoded pack(const TensorMap &map) {
  Encoded encoded{};
  encoded.magic = Magic;
  unsigned promotion = map.promotion ? std::countr_zero(map.promotion) - 5 : 0;
  encoded.kinds =
      uint16_t(unsigned(map.type) | map.rank << 4 | unsigned(map.swizzle) << 7 |
               unsigned(map.fill) << 9 | promotion << 10);
  encoded.address = map.address;
  for (uint32_t i = 0; i < 5; ++i) {
    encoded.box[i] = uint8_t(map.box[i]);
    encoded.elementStrides[i / 2] |=
        uint8_t(map.elementStrides[i] << i % 2 * 4);
    encoded.dims[i] = uint32_t(map.dims[i]);
    encoded.high |= uint16_t((map.box[i] >> 8) << i);
    encoded.high |= uint16_t((map.dims[i] >> 32) << (5 + i));
    if (i) {
      encoded.strides[i - 1] = uint32_t(map.strides[i] >> 4);
      encoded.strideHigh |= uint16_t((map.strides[i] >> 36) << (i - 1) * 4);
    }
  }
  encoded.checksum = checksum(encoded);
  return encoded;
}

/// Returns an empty text, or why these bytes are no map.
std::string unpack(const std::byte *in, TensorMap &map) {
  Encoded encoded;
  std::memcpy(&encoded, in, sizeof encoded);
  if (encoded.magic != Magic)
    return "these 128 bytes are no tensor map";
  if (encoded.checksum != checksum(encoded))
    return "the tensor map was changed after it was made";
  map = TensorMap();
  map.type = TensorMapType(encoded.kinds & 15);
  map.rank = encoded.kinds >> 4 & 7;
  map.swizzle = TensorMapSwizzle(encoded.kinds >> 7 & 3);
  map.fill = TensorMapFill(encoded.kinds >> 9 & 1);
  unsigned promotion = encoded.kinds >> 10 & 3;
  map.promotion = promotion ? 32u << promotion : 0;
  map.address = encoded.address;
  map.strides[0] = sizeOf(map.type);
  for (uint32_t i = 0; i < 5; ++i) {
    map.box[i] = encoded.box[i] | uint32_t(encoded.high >> i & 1) << 8;
    map.elementStrides[i] = encoded.elementStrides[i / 2] >> i % 2 * 4 & 15;
    map.dims[i] = encoded.dims[i] | uint64_t(encoded.high >> (5 + i) & 1) << 32;
    if (i)
      map.strides[i] = uint64_t(encoded.strides[i - 1]) << 4 |
                       uint64_t(encoded.strideHigh >> (i - 1) * 4 & 15) << 36;
  }
  return {};
}

/// "box[1] is 300: expected ..."
std::string wrong(const std::string &what, uint64_t value,
                  const std::string &expected) {
  return "tensor map: " + what + " is " + std::to_string(value) +
         ", expected " + expected;
}

std::string element(const char *array, uint32_t i) {
  return std::string(array) + "[" + std::to_string(i) + "]";
}

uint32_t bytesOf(TensorMapSwizzle swizzle) { return 16u << unsigned(swizzle); }

/// Types that change the values they copy, in ways that are not documented.
bool changesValues(TensorMapType type) {
  return type == TensorMapType::F32Ftz || type == TensorMapType::TF32 ||
         type == TensorMapType::TF32Ftz;
}

std::string checkKinds(const TensorMap &map) {
  if (map.type >= TensorMapType::Count)
    return wrong("type", uint64_t(map.type), "a type of 0 to 12");
  if (changesValues(map.type))
    return std::string("tensor map: type ") + name(map.type) +
           " is not supported: how it rounds is not documented";
  if (map.rank < 1 || map.rank > 5)
    return wrong("rank", map.rank, "1 to 5");
  if (map.interleave > TensorMapInterleave::B32)
    return wrong("interleave", uint64_t(map.interleave), "0, 1 or 2");
  if (map.interleave != TensorMapInterleave::None) {
    if (map.rank < 3)
      return wrong("rank", map.rank, "at least 3 for interleaved layouts");
    return std::string("tensor map: interleave ") +
           (map.interleave == TensorMapInterleave::B16 ? "16B" : "32B") +
           " is not supported";
  }
  if (map.swizzle > TensorMapSwizzle::B128)
    return wrong("swizzle", uint64_t(map.swizzle), "0 to 3");
  if (map.fill > TensorMapFill::Nan)
    return wrong("fill", uint64_t(map.fill), "0 or 1");
  if (map.fill == TensorMapFill::Nan && !isFloat(map.type))
    return std::string("tensor map: fill with NaN needs a floating-point "
                       "type, got ") +
           name(map.type);
  if (map.promotion != 0 && map.promotion != 64 && map.promotion != 128 &&
      map.promotion != 256)
    return wrong("promotion", map.promotion, "0, 64, 128 or 256 bytes");
  return {};
}

std::string check(const TensorMap &map) {
  if (std::string reason = checkKinds(map); !reason.empty())
    return reason;
  if (map.address == 0 || map.address % 16)
    return wrong("address", map.address, "a multiple of 16 that is not 0");
  constexpr uint64_t mostElements = uint64_t(1) << 32;
  constexpr uint64_t strideLimit = uint64_t(1) << 40;
  for (uint32_t i = 0; i < map.rank; ++i) {
    if (map.dims[i] < 1 || map.dims[i] > mostElements)
      return wrong(element("dims", i), map.dims[i], "1 to 2^32");
    if (i && (map.strides[i] % 16 || map.strides[i] >= strideLimit))
      return wrong(element("strides", i), map.strides[i],
                   "a multiple of 16 bytes below 2^40");
    if (map.box[i] < 1 || map.box[i] > 256)
      return wrong(element("box", i), map.box[i], "1 to 256");
    if (i && (map.elementStrides[i] < 1 || map.elementStrides[i] > 8))
      return wrong(element("elementStrides", i), map.elementStrides[i],
                   "1 to 8");
  }
  uint32_t inner = map.box[0] * sizeOf(map.type);
  if (inner % 16)
    return wrong("inner dimension of the box in bytes", inner,
                 "a multiple of 16");
  if (map.swizzle != TensorMapSwizzle::None && inner > bytesOf(map.swizzle))
    return wrong("inner dimension of the box in bytes", inner,
                 "at most the " + std::to_string(bytesOf(map.swizzle)) +
                     " of the swizzle");
  return {};
}

} // namespace

const char *ropewalk::emulator::name(TensorMapType type) {
  return type < TensorMapType::Count ? types[size_t(type)].name : "unknown";
}

TensorMapType ropewalk::emulator::tensorMapType(std::string_view text) {
  for (size_t i = 0; i < std::size(types); ++i)
    if (text == types[i].name)
      return TensorMapType(i);
  return TensorMapType::Count;
}

uint32_t ropewalk::emulator::sizeOf(TensorMapType type) {
  return type < TensorMapType::Count ? types[size_t(type)].size : 0;
}

bool ropewalk::emulator::isFloat(TensorMapType type) {
  return type < TensorMapType::Count && types[size_t(type)].isFloat;
}

std::string ropewalk::emulator::encode(const TensorMap &map,
                                       std::byte (&out)[TensorMapBytes]) {
  if (std::string reason = check(map); !reason.empty())
    return reason;
  // What has no meaning is not kept: equal maps are equal bytes.
  TensorMap kept = map;
  for (uint32_t i = 0; i < 5; ++i) {
    if (i >= map.rank)
      kept.dims[i] = kept.strides[i] = kept.box[i] = kept.elementStrides[i] = 0;
    if (i == 0)
      kept.elementStrides[i] = 1;
  }
  Encoded encoded = pack(kept);
  std::memset(out, 0, sizeof out);
  std::memcpy(out, &encoded, sizeof encoded);
  return {};
}

bool ropewalk::emulator::decode(const std::byte *in, TensorMap &map,
                                std::string &reason) {
  reason = unpack(in, map);
  if (!reason.empty())
    return false;
  for (uint32_t i = map.rank; i < 5; ++i)
    map.elementStrides[i] = 1;
  // A checksum is no proof: what comes out obeys the rules in any case.
  reason = check(map);
  return reason.empty();
}

TensorMapType ropewalk::emulator::tensorMapTypeOfPtx(uint32_t number) {
  using T = TensorMapType;
  static const T order[] = {T::U8,   T::U16,  T::U32,    T::S32,    T::U64,
                            T::S64,  T::F16,  T::F32,    T::F32Ftz, T::F64,
                            T::BF16, T::TF32, T::TF32Ftz};
  return number < std::size(order) ? order[number] : T::Count;
}

std::string ropewalk::emulator::replace(std::byte *object, TensorMapField field,
                                        uint32_t ordinal, uint64_t value) {
  TensorMap map;
  static const std::byte zeros[TensorMapUsedBytes] = {};
  if (std::memcmp(object, zeros, sizeof zeros) == 0) {
    map.rank = 0;
    for (uint32_t &stride : map.elementStrides)
      stride = 0;
  } else if (std::string reason = unpack(object, map); !reason.empty()) {
    return reason;
  }
  // Programs that replace several fields pass through maps that break rules of
  // the whole; only what no map can have is refused.
  auto tooLarge = [&](const std::string &what, const std::string &limit) {
    return wrong(what, value, "at most " + limit);
  };
  switch (field) {
  case TensorMapField::GlobalAddress:
    map.address = value;
    break;
  case TensorMapField::Rank:
    if (value > 4)
      return wrong("rank", value + 1, "1 to 5");
    map.rank = uint32_t(value + 1);
    break;
  case TensorMapField::BoxDim:
    if (value > 256)
      return tooLarge(element("box", ordinal), "256");
    map.box[ordinal] = uint32_t(value);
    break;
  case TensorMapField::GlobalDim:
    if (value > uint64_t(1) << 32)
      return tooLarge(element("dims", ordinal), "2^32");
    map.dims[ordinal] = value;
    break;
  case TensorMapField::GlobalStride:
    if (value % 16 || value >= uint64_t(1) << 40)
      return wrong(element("strides", ordinal + 1), value,
                   "a multiple of 16 bytes below 2^40");
    map.strides[ordinal + 1] = value;
    break;
  case TensorMapField::ElementStride:
    if (ordinal && value > 8)
      return tooLarge(element("elementStrides", ordinal), "8");
    map.elementStrides[ordinal] = ordinal ? uint32_t(value) : 1;
    break;
  case TensorMapField::ElementType:
    map.type = tensorMapTypeOfPtx(uint32_t(value));
    break;
  case TensorMapField::InterleaveLayout:
    if (value)
      return wrong("interleave", value, "0: interleaving is not supported");
    break;
  case TensorMapField::SwizzleMode:
    if (value > uint64_t(TensorMapSwizzle::B128))
      return wrong("swizzle", value, "0 to 3");
    map.swizzle = TensorMapSwizzle(value);
    break;
  case TensorMapField::FillMode:
    if (value > uint64_t(TensorMapFill::Nan))
      return wrong("fill", value, "0 or 1");
    map.fill = TensorMapFill(value);
    break;
  }
  Encoded encoded = pack(map);
  std::memcpy(object, &encoded, sizeof encoded);
  return {};
}
