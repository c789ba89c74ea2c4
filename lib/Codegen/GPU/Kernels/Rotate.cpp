//===- Rotate.cpp - Every distinct rotation of queries or keys --*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// x [B, H, S, D] is read once and written once for each position map. A thread
// handles a few pairs (c, c + P) of one row, or a few of the dimensions that
// are not rotated. The rotation by position p is the complex product of
// high[p / 4096] and low[p mod 4096]: two table rows instead of a sine, exact
// to a few units in the last place at any position.
//
// The position of row s is offset + s + position offset; rows at negative
// positions are padding and are rotated as if at 0, so that every row below the
// length is written.
//
//===----------------------------------------------------------------------===//

#include "Kernels.h"

using namespace mlir;
using namespace ropewalk::codegen;

namespace {

/// log2 of the rows of the low table.
constexpr int64_t kTableBits = 12;
constexpr int64_t kTableRows = int64_t(1) << kTableBits;
constexpr int64_t kPositions = kTableRows * kTableRows;

struct MapParam {
  Val pointer, itemStride, headStride, pairStride;
};

} // namespace

unsigned RotateKernel::vector() const {
  return (rotaryDim / 2) % 4 == 0 && headDim % 4 == 0 ? 4 : 1;
}

int64_t RotateKernel::threadsPerRow() const {
  return (rotaryDim / 2 + headDim - rotaryDim) / vector();
}

std::string RotateKernel::key() const {
  std::string key = "rotate " + text(type) + " d" + std::to_string(headDim) +
                    " r" + std::to_string(rotaryDim) + " g" +
                    std::to_string(headsPerKV) + " ";
  for (bool pair : byPair)
    key += pair ? 'p' : '-';
  for (PerItem kind : {offset, positionOffset, length})
    key += std::to_string(static_cast<int>(kind));
  for (AffineMap map : maps)
    key += " " + text(map);
  return key;
}

KernelInfo RotateKernel::build(gpu::GPUModuleOp module, StringRef name) const {
  KernelBuilder k(module, name, kThreads);
  int64_t pairs = rotaryDim / 2;
  unsigned width = vector();

  Val x = k.pointerParam("x", true);
  Vals outputs;
  for (size_t i = 0; i < maps.size(); ++i)
    outputs.push_back(k.pointerParam("out" + std::to_string(i), false));
  Val low = k.pointerParam("low", true), high = k.pointerParam("high", true);
  Val items = k.i32Param("items"), heads = k.i32Param("heads"),
      rows = k.i32Param("rows");
  PerItemParam offsets(k, offset, "offset");
  PerItemParam positionOffsets(k, positionOffset, "position_offset");
  PerItemParam lengths(k, length, "length");
  SmallVector<MapParam> params;
  for (auto [index, pair] : llvm::enumerate(byPair)) {
    std::string prefix = "p" + std::to_string(index);
    params.push_back({k.pointerParam(prefix, true),
                      k.i64Param(prefix + "_item"),
                      k.i64Param(prefix + "_head"),
                      pair ? k.i64Param(prefix + "_pair") : Val()});
  }

  int64_t perRow = threadsPerRow();
  // Blocks along x share an item and a head.
  Val index = k.blockId(0) * kThreads + k.threadId();
  Val row = index / perRow;
  Val group = index % perRow;
  Val item = k.blockId(1) / heads;
  Val head = k.blockId(1) % heads;
  Val inside = (row < rows) & (item < items);
  if (!lengths.isAbsent())
    inside = inside & (k.toI64(row) < lengths.get(k, item));
  k.ifThen(inside, [&] {
    Val base = (k.toI64(k.blockId(1)) * k.toI64(rows) + k.toI64(row)) * headDim;
    auto copy = [&] {
      Val column = group * width - k.i32(pairs) + rotaryDim;
      Val value = k.load(x, base + k.toI64(column), type, width);
      for (Val output : outputs)
        k.store(value, output, base + k.toI64(column));
    };
    auto rotate = [&] {
      Val pair = group * width;
      Vals first = k.unpack(k.load(x, base + k.toI64(pair), type, width));
      Vals second =
          k.unpack(k.load(x, base + k.toI64(pair) + pairs, type, width));
      Val position =
          offsets.get(k, item) + k.toI64(row) + positionOffsets.get(k, item);
      position = k.max(position, k.i64(0));
      Val kvHead = head / headsPerKV;
      bool anyByPair = llvm::is_contained(byPair, true);
      auto parameters = [&](unsigned lane) {
        Vals values;
        for (MapParam &param : params) {
          Val at = k.toI64(item) * param.itemStride +
                   k.toI64(kvHead) * param.headStride;
          if (param.pairStride)
            at = at + k.toI64(pair + lane) * param.pairStride;
          values.push_back(k.load(param.pointer, at, k.i64Type()));
        }
        return values;
      };
      // cos and sin of `count` pairs from `lane` on at one position.
      auto angles = [&](AffineMap map, unsigned lane, unsigned count,
                        Vals &cosines, Vals &sines) {
        // A map says nothing of a segment that holds no key of this row, so
        // its value may lie outside the tables there.
        Val mapped = k.expandMin(map, position, parameters(lane));
        mapped = k.min(k.max(mapped, k.i64(0)), k.i64(kPositions - 1));
        auto fetch = [&](Val table, Val entry) {
          Val at = (entry * pairs + k.toI64(pair + lane)) * 2;
          Vals numbers;
          unsigned step = count == 4 ? 4 : 2;
          for (unsigned i = 0; i < 2 * count; i += step)
            numbers.append(k.unpack(k.load(table, at + i, k.f32Type(), step)));
          return numbers;
        };
        Vals coarse = fetch(high, mapped / kTableRows);
        Vals fine = fetch(low, mapped % kTableRows);
        for (unsigned i = 0; i < count; ++i) {
          Val a = coarse[2 * i], b = coarse[2 * i + 1];
          Val c = fine[2 * i], d = fine[2 * i + 1];
          cosines.push_back(a * c - b * d);
          sines.push_back(a * d + b * c);
        }
      };
      for (auto [map, output] : llvm::zip(maps, outputs)) {
        Vals cosines, sines;
        if (anyByPair)
          for (unsigned lane = 0; lane < width; ++lane)
            angles(map, lane, 1, cosines, sines);
        else
          angles(map, 0, width, cosines, sines);
        Vals real, imaginary;
        for (unsigned i = 0; i < width; ++i) {
          real.push_back(first[i] * cosines[i] - second[i] * sines[i]);
          imaginary.push_back(second[i] * cosines[i] + first[i] * sines[i]);
        }
        k.store(k.pack(real), output, base + k.toI64(pair));
        k.store(k.pack(imaginary), output, base + k.toI64(pair) + pairs);
      }
    };
    if (headDim == rotaryDim) {
      rotate();
      return;
    }
    k.ifElse(
        group * width < pairs,
        [&] {
          rotate();
          return Vals();
        },
        [&] {
          copy();
          return Vals();
        });
  });
  KernelInfo info = k.finish();
  info.summary = std::to_string(maps.size()) + " rotations of " +
                 (headsPerKV == 1 ? "keys" : "queries");
  return info;
}
