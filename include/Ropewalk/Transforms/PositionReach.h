//===- PositionReach.h - how far a position map reaches ---------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Questions about a position map that are answered by evaluating its segments
// over the rows of a causal sequence, in time linear in its length.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_TRANSFORMS_POSITIONREACH_H
#define ROPEWALK_TRANSFORMS_POSITIONREACH_H

#include "Ropewalk/IR/Rope.h"
#include <cstdint>
#include <optional>

namespace ropewalk {

/// True where every query sees every key, both at their own positions.
bool isPlainRotary(rope::PositionMapAttrInterface map);

/// True where some segment of the map is masked.
bool leavesKeysOut(rope::PositionMapAttrInterface map);

/// The largest length, up to `limit`, at which causal attention under `map` is
/// plain rotary attention: no key is left out and every relative position is
/// i - j. nullopt where a parameter is not constant or a position overflows.
std::optional<int64_t> plainLength(rope::PositionMapAttrInterface map,
                                   int64_t limit);

/// The largest relative position of a query and a key in a causal sequence of
/// `length` tokens, in 1 / map.getUnit(); negative where no key is seen.
/// nullopt as above.
std::optional<int64_t>
largestRelativePosition(rope::PositionMapAttrInterface map, int64_t length);

} // namespace ropewalk

#endif // ROPEWALK_TRANSFORMS_POSITIONREACH_H
