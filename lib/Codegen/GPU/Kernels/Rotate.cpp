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
// are not rotated (Rotation.h).
//
// The position of row s is offset + s + position offset; rows at negative
// positions are padding and are rotated as if at 0, so that every row below the
// length is written.
//
//===----------------------------------------------------------------------===//

#include "Rotation.h"

using namespace mlir;
using namespace ropewalk::codegen;

int64_t RotateKernel::threadsPerRow() const {
  return Rotation::groupsPerRow(headDim, rotaryDim);
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
  Rotation rotation(k, headDim, rotaryDim, byPair);
  Val x = k.pointerParam("x", true);
  Vals outputs;
  for (size_t i = 0; i < maps.size(); ++i)
    outputs.push_back(k.pointerParam("out" + std::to_string(i), false));
  rotation.declareTables();
  Val items = k.i32Param("items"), heads = k.i32Param("heads"),
      rows = k.i32Param("rows");
  PerItemParam offsets(k, offset, "offset");
  PerItemParam positionOffsets(k, positionOffset, "position_offset");
  PerItemParam lengths(k, length, "length");
  rotation.declareParams();

  // Blocks along x share an item and a head.
  Val index = k.blockId(0) * kThreads + k.threadId();
  Val row = index / threadsPerRow();
  Val group = index % threadsPerRow();
  Val item = k.blockId(1) / heads;
  Val kvHead = k.blockId(1) % heads / headsPerKV;
  Val inside = (row < rows) & (item < items);
  if (!lengths.isAbsent())
    inside = inside & (k.toI64(row) < lengths.get(k, item));
  k.ifThen(inside, [&] {
    Val base = (k.toI64(k.blockId(1)) * k.toI64(rows) + k.toI64(row)) * headDim;
    auto rotate = [&] {
      Rotation::Group pairs = rotation.loadPairs(x, base, group, type);
      Val position =
          offsets.get(k, item) + k.toI64(row) + positionOffsets.get(k, item);
      position = k.max(position, k.i64(0));
      for (auto [map, output] : llvm::zip(maps, outputs)) {
        Rotation::Group rotated = rotation.rotate(
            pairs, group, item, kvHead, [&, map = map](ArrayRef<Val> symbols) {
              return k.expandMin(map, position, symbols);
            });
        rotation.storePairs(rotated, output, base, group);
      }
    };
    auto copy = [&] {
      Val at = base + k.toI64(rotation.copiedColumn(group));
      Val value = k.load(x, at, type, rotation.width());
      for (Val output : outputs)
        k.store(value, output, at);
    };
    rotation.split(group, rotate, copy);
  });
  KernelInfo info = k.finish();
  info.summary = std::to_string(maps.size()) + " rotations of " +
                 (headsPerKV == 1 ? "keys" : "queries");
  return info;
}
