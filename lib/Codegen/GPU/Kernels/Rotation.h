//===- Rotation.h - Rotating rows inside a kernel ---------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_LIB_CODEGEN_GPU_ROTATION_H
#define ROPEWALK_LIB_CODEGEN_GPU_ROTATION_H

#include "Kernels.h"

namespace ropewalk::codegen {

/// A row of D elements is cut into groups: first those of a few pairs
/// (c, c + P), then those of a few elements that are not rotated. The rotation
/// by position p is the complex product of high[p / 4096] and low[p mod 4096]:
/// two table rows instead of a sine, exact to a few units in the last place at
/// any position.
class Rotation {
public:
  Rotation(KernelBuilder &k, int64_t headDim, int64_t rotaryDim,
           llvm::ArrayRef<bool> byPair);

  /// Pairs, or elements that are not rotated, of a group.
  static unsigned groupWidth(int64_t headDim, int64_t rotaryDim);
  static int64_t groupsPerRow(int64_t headDim, int64_t rotaryDim);

  /// Declares the parameters low and high.
  void declareTables();
  /// Declares for each parameter of the map a pointer and its strides (i64) of
  /// item, head and, if it has that axis, pair.
  void declareParams();

  /// The map's parameters; those by pair are loaded for `pair`, or for the
  /// first one.
  Vals parameters(Val item, Val kvHead, Val pair = Val()) const;

  /// The position of a row, from the map's parameters.
  using Position = llvm::function_ref<Val(llvm::ArrayRef<Val>)>;

  struct Group {
    /// Equal lengths; `second` is empty where nothing is rotated.
    Vals first, second;
  };
  /// Calls `rotated` for a group of pairs, `copied` for another one.
  void split(Val group, llvm::function_ref<void()> rotated,
             llvm::function_ref<void()> copied) const;
  Group loadPairs(Val x, Val base, Val group, mlir::Type type) const;
  Group rotate(const Group &pairs, Val group, Val item, Val kvHead,
               Position position) const;
  void storePairs(const Group &pairs, Val out, Val base, Val group) const;
  /// Column of the first element of a group that is not rotated.
  Val copiedColumn(Val group) const;
  unsigned width() const { return groupWidth(headDim, rotaryDim); }

private:
  KernelBuilder &k;
  int64_t headDim, rotaryDim;
  llvm::ArrayRef<bool> byPair;
  Val low, high;
  struct MapParam {
    Val pointer, itemStride, headStride, pairStride;
  };
  llvm::SmallVector<MapParam, 2> params;
};

} // namespace ropewalk::codegen

#endif // ROPEWALK_LIB_CODEGEN_GPU_ROTATION_H
