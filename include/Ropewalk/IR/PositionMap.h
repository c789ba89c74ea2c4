//===- PositionMap.h - Segments of a position map -------- -*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The structures through which the rest of the compiler sees a position map.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_IR_POSITIONMAP_H
#define ROPEWALK_IR_POSITIONMAP_H

#include "mlir/IR/AffineMap.h"
#include "mlir/Support/LLVM.h"

#include <cstdint>
#include <optional>
#include <string>

namespace ropewalk::rope {

/// A parameter of a position map.
struct MapParameter {
  std::string name;
  /// The constant, or nullopt where the value comes at run time.
  std::optional<int64_t> value;
  /// Smallest value allowed.
  int64_t minimum = 0;
};

/// A run of keys that share one pair of position functions.
///
/// The segment holds the keys [from(i), from(i) of the segment before it),
/// clamped to [0, that]; the first one ends at the causal limit i + 1.
struct Segment {
  /// (i)[parameters] -> results; the first key is the minimum of the results.
  mlir::AffineMap from;
  /// (i)[parameters] -> results; the query's position is their minimum. Null
  /// where the segment is masked.
  mlir::AffineMap query;
  /// (j)[parameters] -> the key's position. Null where the segment is masked.
  mlir::AffineMap key;
  bool masked = false;
};

/// Evaluates `map` at `dimension` with the given parameters: the minimum of its
/// results. nullopt where an intermediate value overflows 64 bits or a divisor
/// is not positive.
std::optional<int64_t> evaluate(mlir::AffineMap map, int64_t dimension,
                                mlir::ArrayRef<int64_t> parameters);

} // namespace ropewalk::rope

#endif // ROPEWALK_IR_POSITIONMAP_H
