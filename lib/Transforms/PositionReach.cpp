//===- PositionReach.cpp - how far a position map reaches -------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The rows of a sequence are walked in order. In a segment the keys of a row
// are [begin, end), and both bounds never decrease from row to row. Hence
//
// - the smallest key position of the row comes from a queue whose positions
//   rise and whose front leaves when `begin` passes it;
// - relative positions are i - j exactly if key(j) - j is one number over
//   [begin, end), namely query(i) - i; for each key the start of the run of
//   equal numbers that ends there is enough to see that.
//
//===----------------------------------------------------------------------===//

#include "Ropewalk/Transforms/PositionReach.h"
#include "llvm/Support/MathExtras.h"
#include <algorithm>
#include <deque>
#include <vector>

using namespace mlir;
using namespace ropewalk;
using rope::PositionMapAttrInterface;
using rope::Segment;

namespace {

/// A map whose parameters are all constant.
struct ConstantMap {
  SmallVector<Segment> segments;
  SmallVector<int64_t> parameters;
  int64_t unit;

  static std::optional<ConstantMap> get(PositionMapAttrInterface map) {
    ConstantMap result{map.getSegments(), {}, map.getUnit()};
    for (const rope::MapParameter &parameter : map.getMapParameters()) {
      if (!parameter.value)
        return std::nullopt;
      result.parameters.push_back(*parameter.value);
    }
    return result;
  }

  /// Sets `begins`, one for each segment, to the first keys for query `i`.
  bool findBegins(int64_t i, SmallVectorImpl<int64_t> &begins) const {
    int64_t end = i + 1;
    begins.clear();
    for (const Segment &segment : segments) {
      std::optional<int64_t> from = rope::evaluate(segment.from, i, parameters);
      if (!from)
        return false;
      end = std::clamp<int64_t>(*from, 0, end);
      begins.push_back(end);
    }
    return true;
  }
};

/// a - unit * b, or nothing if that overflows.
std::optional<int64_t> offsetFrom(std::optional<int64_t> a, int64_t unit,
                                  int64_t b) {
  int64_t product, result;
  if (!a || llvm::MulOverflow(unit, b, product) ||
      llvm::SubOverflow(*a, product, result))
    return std::nullopt;
  return result;
}

/// The numbers key(j) - unit * j of one segment, and the start of the run of
/// equal ones that ends at each j.
struct KeyOffsets {
  std::vector<int64_t> offset, runStart;

  bool growTo(int64_t size, const Segment &segment, const ConstantMap &map) {
    for (int64_t j = static_cast<int64_t>(offset.size()); j < size; ++j) {
      std::optional<int64_t> value = offsetFrom(
          rope::evaluate(segment.key, j, map.parameters), map.unit, j);
      if (!value)
        return false;
      runStart.push_back(j > 0 && offset.back() == *value ? runStart.back()
                                                          : j);
      offset.push_back(*value);
    }
    return true;
  }
};

/// The smallest key position over a window of keys that only moves forwards.
class SmallestKey {
public:
  /// Moves the window to [begin, end) and returns its smallest key position;
  /// nullopt on overflow. The window is not empty.
  std::optional<int64_t> moveTo(int64_t begin, int64_t end,
                                const Segment &segment,
                                const ConstantMap &map) {
    next = std::max(next, begin);
    for (; next < end; ++next) {
      std::optional<int64_t> position =
          rope::evaluate(segment.key, next, map.parameters);
      if (!position)
        return std::nullopt;
      while (!queue.empty() && queue.back().second >= *position)
        queue.pop_back();
      queue.emplace_back(next, *position);
    }
    while (queue.front().first < begin)
      queue.pop_front();
    return queue.front().second;
  }

private:
  /// Keys with their positions; both rise.
  std::deque<std::pair<int64_t, int64_t>> queue;
  int64_t next = 0;
};

} // namespace

bool ropewalk::leavesKeysOut(PositionMapAttrInterface map) {
  return llvm::any_of(map.getSegments(),
                      [](const Segment &segment) { return segment.masked; });
}

bool ropewalk::isPlainRotary(PositionMapAttrInterface map) {
  return !leavesKeysOut(map) && !rope::movesPositions(map);
}

std::optional<int64_t> ropewalk::plainLength(PositionMapAttrInterface attribute,
                                             int64_t limit) {
  std::optional<ConstantMap> map = ConstantMap::get(attribute);
  if (!map)
    return std::nullopt;
  std::vector<KeyOffsets> offsets(map->segments.size());
  SmallVector<int64_t> begins;
  for (int64_t i = 0; i < limit; ++i) {
    if (!map->findBegins(i, begins))
      return std::nullopt;
    int64_t end = i + 1;
    for (auto [segment, keys, begin] :
         llvm::zip(map->segments, offsets, begins)) {
      if (begin == end)
        continue;
      if (segment.masked)
        return i;
      std::optional<int64_t> query = offsetFrom(
          rope::evaluate(segment.query, i, map->parameters), map->unit, i);
      if (!query || !keys.growTo(end, segment, *map))
        return std::nullopt;
      if (keys.runStart[end - 1] > begin || keys.offset[end - 1] != *query)
        return i;
      end = begin;
    }
  }
  return limit;
}

std::optional<int64_t>
ropewalk::largestRelativePosition(PositionMapAttrInterface attribute,
                                  int64_t length) {
  std::optional<ConstantMap> map = ConstantMap::get(attribute);
  if (!map)
    return std::nullopt;
  std::vector<SmallestKey> keys(map->segments.size());
  SmallVector<int64_t> begins;
  int64_t largest = -1;
  for (int64_t i = 0; i < length; ++i) {
    if (!map->findBegins(i, begins))
      return std::nullopt;
    int64_t end = i + 1;
    for (auto [segment, smallest, begin] :
         llvm::zip(map->segments, keys, begins)) {
      if (!segment.masked && begin != end) {
        std::optional<int64_t> query =
            rope::evaluate(segment.query, i, map->parameters);
        std::optional<int64_t> key = smallest.moveTo(begin, end, segment, *map);
        int64_t relative;
        if (!query || !key || llvm::SubOverflow(*query, *key, relative))
          return std::nullopt;
        largest = std::max(largest, relative);
      }
      end = begin;
    }
  }
  return largest;
}
