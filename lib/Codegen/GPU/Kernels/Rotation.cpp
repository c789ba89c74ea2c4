//===- Rotation.cpp - Rotating rows inside a kernel -------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Rotation.h"

using namespace mlir;
using namespace ropewalk::codegen;

namespace {

/// Rows of either table.
constexpr int64_t kTableRows = 4096;
constexpr int64_t kPositions = kTableRows * kTableRows;

} // namespace

Rotation::Rotation(KernelBuilder &k, int64_t headDim, int64_t rotaryDim,
                   ArrayRef<bool> byPair)
    : k(k), headDim(headDim), rotaryDim(rotaryDim), byPair(byPair) {}

unsigned Rotation::groupWidth(int64_t headDim, int64_t rotaryDim) {
  return (rotaryDim / 2) % 4 == 0 && headDim % 4 == 0 ? 4 : 1;
}

int64_t Rotation::groupsPerRow(int64_t headDim, int64_t rotaryDim) {
  return (headDim - rotaryDim / 2) / groupWidth(headDim, rotaryDim);
}

void Rotation::declareTables() {
  low = k.pointerParam("low", true);
  high = k.pointerParam("high", true);
}

void Rotation::declareParams() {
  for (auto [index, pair] : llvm::enumerate(byPair)) {
    std::string prefix = "p" + std::to_string(index);
    params.push_back({k.pointerParam(prefix, true),
                      k.i64Param(prefix + "_item"),
                      k.i64Param(prefix + "_head"),
                      pair ? k.i64Param(prefix + "_pair") : Val()});
  }
}

Vals Rotation::parameters(Val item, Val kvHead, Val pair) const {
  Vals values;
  for (const MapParam &param : params) {
    Val at =
        k.toI64(item) * param.itemStride + k.toI64(kvHead) * param.headStride;
    if (param.pairStride && pair)
      at = at + k.toI64(pair) * param.pairStride;
    values.push_back(k.load(param.pointer, at, k.i64Type()));
  }
  return values;
}

void Rotation::split(Val group, llvm::function_ref<void()> rotated,
                     llvm::function_ref<void()> copied) const {
  if (headDim == rotaryDim)
    return rotated();
  auto branch = [](llvm::function_ref<void()> body) {
    return [body] {
      body();
      return Vals();
    };
  };
  k.ifElse(group * width() < rotaryDim / 2, branch(rotated), branch(copied));
}

Rotation::Group Rotation::loadPairs(Val x, Val base, Val group,
                                    Type type) const {
  Val at = base + k.toI64(group * width());
  return {k.unpack(k.load(x, at, type, width())),
          k.unpack(k.load(x, at + rotaryDim / 2, type, width()))};
}

Rotation::Group Rotation::rotate(const Group &pairs, Val group, Val item,
                                 Val kvHead, Position position) const {
  Val pair = group * width();
  Vals cosines, sines;
  // cos and sin of `count` pairs from `lane` on at one position.
  auto angles = [&](unsigned lane, unsigned count) {
    // A map says nothing of a segment that holds no key of this row, so its
    // value may lie outside the tables there.
    Val mapped = position(parameters(item, kvHead, pair + lane));
    mapped = k.min(k.max(mapped, k.i64(0)), k.i64(kPositions - 1));
    auto fetch = [&](Val table, Val entry) {
      Val at = (entry * (rotaryDim / 2) + k.toI64(pair + lane)) * 2;
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
  if (llvm::is_contained(byPair, true))
    for (unsigned lane = 0; lane < width(); ++lane)
      angles(lane, 1);
  else
    angles(0, width());
  Group result;
  for (unsigned i = 0; i < width(); ++i) {
    result.first.push_back(pairs.first[i] * cosines[i] -
                           pairs.second[i] * sines[i]);
    result.second.push_back(pairs.second[i] * cosines[i] +
                            pairs.first[i] * sines[i]);
  }
  return result;
}

void Rotation::storePairs(const Group &pairs, Val out, Val base,
                          Val group) const {
  Val column = group * width();
  if (base.type().isInteger(64))
    column = k.toI64(column);
  k.store(k.pack(pairs.first), out, base + column);
  k.store(k.pack(pairs.second), out, base + column + rotaryDim / 2);
}

Val Rotation::copiedColumn(Val group) const {
  return group * width() + rotaryDim / 2;
}
