//===- TensorCopy.cpp - The bytes that a tensor copy moves ------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A box is a list of rows, the runs of its dimension 0. A row lies within the
// tensor, outside of it, or has an end outside. In shared memory rows follow
// each other; a swizzle then exchanges 16-byte chunks within each line of 128
// bytes, by an exclusive or of address bits 4 to 6 with bits 7 to 9. So the
// pattern belongs to the address and not to the row. Within a line that is one
// number x, and runs of x & -x bytes stay together.
//
//===----------------------------------------------------------------------===//

#include "TensorCopy.h"

#include <algorithm>

using namespace ropewalk::emulator;

namespace {

constexpr uint32_t Line = 128;

/// Bits that the exclusive or with `address` flips within a line.
uint32_t flippedBits(TensorMapSwizzle mode, uint32_t address) {
  uint32_t chunks = (1u << unsigned(mode)) - 1; // 0, 1, 3, 7
  return (address / Line & chunks) * 16;
}

/// Bytes after which the pattern of a line repeats.
uint32_t patternBytes(TensorMapSwizzle mode) { return 16u << unsigned(mode); }

uint32_t rowBytes(const TensorMap &map) {
  return map.box[0] * sizeOf(map.type);
}

uint32_t rowPitch(const TensorMap &map) {
  return map.swizzle == TensorMapSwizzle::None
             ? rowBytes(map)
             : std::max(rowBytes(map), patternBytes(map.swizzle));
}

uint32_t rowCount(const TensorMap &map) {
  uint32_t count = 1;
  for (uint32_t i = 1; i < map.rank; ++i)
    count *= map.boxCount(i);
  return count;
}

class Builder {
public:
  Builder(TensorMapSwizzle mode, std::vector<TensorPiece> &pieces)
      : mode(mode), pieces(pieces), first(pieces.size()) {}

  /// `shared` is the address before swizzling.
  void data(uint64_t global, uint32_t shared, uint32_t bytes) {
    while (bytes) {
      uint32_t flipped = flippedBits(mode, shared);
      uint32_t together = flipped ? flipped & -flipped : Line;
      uint32_t part = std::min(bytes, together - shared % together);
      add({global, shared ^ flipped, part, false});
      global += part;
      shared += part;
      bytes -= part;
    }
  }

  void fill(uint32_t shared, uint32_t bytes) {
    while (bytes) {
      uint32_t pattern = patternBytes(mode),
               flipped = flippedBits(mode, shared);
      uint32_t part = std::min(bytes, Line - shared % Line);
      // Whole patterns only exchange equal bytes.
      if (flipped && (shared % pattern || part < pattern)) {
        uint32_t together = flipped & -flipped;
        part = std::min(part, together - shared % together);
      } else if (flipped) {
        part -= part % pattern;
        flipped = 0;
      }
      add({0, shared ^ flipped, part, true});
      shared += part;
      bytes -= part;
    }
  }

private:
  void add(TensorPiece piece) {
    if (pieces.size() > first) {
      TensorPiece &last = pieces.back();
      if (last.isFill == piece.isFill &&
          last.shared + last.bytes == piece.shared &&
          (piece.isFill || last.global + last.bytes == piece.global)) {
        last.bytes += piece.bytes;
        return;
      }
    }
    pieces.push_back(piece);
  }

  TensorMapSwizzle mode;
  std::vector<TensorPiece> &pieces;
  size_t first;
};

} // namespace

uint32_t ropewalk::emulator::swizzle(TensorMapSwizzle mode, uint32_t address) {
  return address ^ flippedBits(mode, address);
}

uint32_t ropewalk::emulator::boxBytes(const TensorMap &map) {
  return rowBytes(map) * rowCount(map);
}

uint32_t ropewalk::emulator::boxSpan(const TensorMap &map) {
  return rowPitch(map) * rowCount(map);
}

uint64_t ropewalk::emulator::tensorBytes(const TensorMap &map,
                                         uint32_t dimension) {
  constexpr uint64_t most = ~uint64_t(0);
  uint64_t bytes = map.dims[0] * sizeOf(map.type); // At most 2^35.
  for (uint32_t i = 1; i <= dimension && i < map.rank; ++i) {
    uint64_t steps = map.dims[i] - 1, more;
    if (__builtin_mul_overflow(steps, map.strides[i], &more) ||
        __builtin_add_overflow(bytes, more, &bytes))
      return most;
  }
  return bytes;
}

void ropewalk::emulator::appendPieces(const TensorMap &map,
                                      std::span<const int32_t> coordinates,
                                      uint32_t shared, bool fills,
                                      std::vector<TensorPiece> &pieces) {
  const uint32_t size = sizeOf(map.type), bytes = rowBytes(map);
  const uint32_t pitch = rowPitch(map), rows = rowCount(map);
  // The part of a row that dimension 0 leaves inside.
  auto inside = [&](int64_t element) {
    return uint32_t(std::clamp<int64_t>(element, 0, map.box[0])) * size;
  };
  const uint32_t begin = inside(-int64_t(coordinates[0]));
  const uint32_t end =
      std::max(begin, inside(int64_t(map.dims[0]) - coordinates[0]));
  const uint64_t firstByte =
      map.address + uint64_t(int64_t(coordinates[0]) * int64_t(size));
  Builder builder(map.swizzle, pieces);
  uint32_t index[5] = {};
  for (uint32_t row = 0; row < rows; ++row, shared += pitch) {
    uint64_t global = firstByte;
    bool isInside = begin < end;
    for (uint32_t i = 1; i < map.rank; ++i) {
      int64_t place =
          coordinates[i] + int64_t(index[i]) * map.elementStrides[i];
      isInside &= place >= 0 && uint64_t(place) < map.dims[i];
      global += uint64_t(place) * map.strides[i];
    }
    if (isInside) {
      if (fills)
        builder.fill(shared, begin);
      builder.data(global + begin, shared + begin, end - begin);
      if (fills)
        builder.fill(shared + end, bytes - end);
    } else if (fills) {
      builder.fill(shared, bytes);
    }
    for (uint32_t i = 1; i < map.rank && ++index[i] == map.boxCount(i); ++i)
      index[i] = 0;
  }
}
