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
// takes any. 128 bytes: magic number, small fields, address, dimensions,
// strides, box, steps, and a checksum in the last eight, so that a map which a
// kernel or a copy has damaged is told from one that was never there.
//
//===----------------------------------------------------------------------===//

#include "Ropewalk/Emulator/TensorMap.h"

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

/// What the 128 bytes hold.
struct Encoded {
  uint64_t magic;
  uint8_t type, rank, swizzle, fill;
  uint32_t promotion;
  uint64_t address;
  uint64_t dims[5];
  uint64_t strides[4];
  uint16_t box[5];
  uint8_t elementStrides[5];
  uint8_t unused[9];
  uint64_t checksum;
};
static_assert(sizeof(Encoded) == TensorMapBytes);

constexpr uint64_t Magic = 0x31504d5457504f52; // "ROPWTMP1"

/// FNV-1a over everything before the checksum.
uint64_t checksum(const Encoded &encoded) {
  unsigned char bytes[sizeof encoded];
  std::memcpy(bytes, &encoded, sizeof bytes);
  uint64_t hash = 0xcbf29ce484222325;
  for (size_t i = 0; i < offsetof(Encoded, checksum); ++i)
    hash = (hash ^ bytes[i]) * 0x100000001b3;
  return hash;
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
  Encoded encoded{};
  encoded.magic = Magic;
  encoded.type = uint8_t(map.type);
  encoded.rank = uint8_t(map.rank);
  encoded.swizzle = uint8_t(map.swizzle);
  encoded.fill = uint8_t(map.fill);
  encoded.promotion = map.promotion;
  encoded.address = map.address;
  for (uint32_t i = 0; i < map.rank; ++i) {
    encoded.dims[i] = map.dims[i];
    if (i)
      encoded.strides[i - 1] = map.strides[i];
    encoded.box[i] = uint16_t(map.box[i]);
    encoded.elementStrides[i] = uint8_t(i ? map.elementStrides[i] : 1);
  }
  encoded.checksum = checksum(encoded);
  std::memcpy(out, &encoded, sizeof encoded);
  return {};
}

bool ropewalk::emulator::decode(const std::byte *in, TensorMap &map,
                                std::string &reason) {
  Encoded encoded;
  std::memcpy(&encoded, in, sizeof encoded);
  if (encoded.magic != Magic) {
    reason = "these 128 bytes are no tensor map";
    return false;
  }
  if (encoded.checksum != checksum(encoded)) {
    reason = "the tensor map was changed after it was made";
    return false;
  }
  map = TensorMap();
  map.type = TensorMapType(encoded.type);
  map.rank = encoded.rank;
  map.address = encoded.address;
  map.swizzle = TensorMapSwizzle(encoded.swizzle);
  map.fill = TensorMapFill(encoded.fill);
  map.promotion = encoded.promotion;
  map.strides[0] = sizeOf(map.type);
  for (uint32_t i = 0; i < 5; ++i) {
    map.dims[i] = encoded.dims[i];
    if (i)
      map.strides[i] = encoded.strides[i - 1];
    map.box[i] = encoded.box[i];
    map.elementStrides[i] =
        i < map.rank ? encoded.elementStrides[i] : uint32_t(1);
  }
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
  Encoded encoded;
  std::memcpy(&encoded, object, sizeof encoded);
  static const std::byte zeros[TensorMapBytes] = {};
  if (std::memcmp(object, zeros, sizeof zeros) == 0)
    encoded.magic = Magic;
  else if (encoded.magic != Magic)
    return "these 128 bytes are no tensor map";
  else if (encoded.checksum != checksum(encoded))
    return "the tensor map was changed after it was made";
  // What fits its place is kept, even if it is wrong: programs that replace
  // several fields pass through maps that break rules.
  auto tooLarge = [&](const std::string &what, uint64_t limit) {
    return wrong(what, value, "at most " + std::to_string(limit));
  };
  switch (field) {
  case TensorMapField::GlobalAddress:
    encoded.address = value;
    break;
  case TensorMapField::Rank:
    if (value > 4)
      return wrong("rank", value + 1, "1 to 5");
    encoded.rank = uint8_t(value + 1);
    break;
  case TensorMapField::BoxDim:
    if (value > UINT16_MAX)
      return tooLarge(element("box", ordinal), 256);
    encoded.box[ordinal] = uint16_t(value);
    break;
  case TensorMapField::GlobalDim:
    encoded.dims[ordinal] = value;
    break;
  case TensorMapField::GlobalStride:
    encoded.strides[ordinal] = value;
    break;
  case TensorMapField::ElementStride:
    if (value > UINT8_MAX)
      return tooLarge(element("elementStrides", ordinal), 8);
    encoded.elementStrides[ordinal] = uint8_t(ordinal ? value : 1);
    break;
  case TensorMapField::ElementType:
    encoded.type = uint8_t(tensorMapTypeOfPtx(uint32_t(value)));
    break;
  case TensorMapField::InterleaveLayout:
    if (value)
      return wrong("interleave", value, "0: interleaving is not supported");
    break;
  case TensorMapField::SwizzleMode:
    if (value > uint64_t(TensorMapSwizzle::B128))
      return wrong("swizzle", value, "0 to 3");
    encoded.swizzle = uint8_t(value);
    break;
  case TensorMapField::FillMode:
    if (value > uint64_t(TensorMapFill::Nan))
      return wrong("fill", value, "0 or 1");
    encoded.fill = uint8_t(value);
    break;
  }
  encoded.checksum = checksum(encoded);
  std::memcpy(object, &encoded, sizeof encoded);
  return {};
}
