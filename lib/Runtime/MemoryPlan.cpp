//===- MemoryPlan.cpp - Places temporaries in one arena ---------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Greedy by size: the largest request is placed first. Each goes into the
// smallest gap that holds it between the requests which are already placed and
// live at the same time, or behind all of them.
//
//===----------------------------------------------------------------------===//

#include "Ropewalk/Runtime/MemoryPlan.h"

#include <algorithm>
#include <limits>
#include <map>
#include <numeric>

using namespace ropewalk::runtime;

namespace {

struct Range {
  int64_t begin, end;
};

/// Offset of the smallest gap of at least `size` bytes between `occupied`,
/// which is sorted here.
int64_t findGap(std::vector<Range> &occupied, int64_t size) {
  std::sort(occupied.begin(), occupied.end(),
            [](const Range &a, const Range &b) { return a.begin < b.begin; });
  int64_t end = 0, best = -1;
  int64_t bestSize = std::numeric_limits<int64_t>::max();
  for (const Range &range : occupied) {
    int64_t gap = range.begin - end;
    if (gap >= size && gap < bestSize) {
      best = end;
      bestSize = gap;
    }
    end = std::max(end, range.end);
  }
  return best >= 0 ? best : end;
}

} // namespace

Result<MemoryPlan> MemoryPlan::make(std::span<const MemoryRequest> requests) {
  MemoryPlan plan;
  plan.offsets.resize(requests.size());
  std::vector<int64_t> sizes;
  int64_t sum = 0;
  for (const MemoryRequest &request : requests) {
    if (request.bytes < 0)
      return Error("a temporary of ", request.bytes, " bytes");
    int64_t size;
    if (__builtin_add_overflow(request.bytes, kAlignment - 1, &size) ||
        __builtin_add_overflow(sum, size, &sum))
      return Error("the temporaries do not fit into 63 bits");
    sizes.push_back(size / kAlignment * kAlignment);
  }

  std::vector<size_t> order(requests.size());
  std::iota(order.begin(), order.end(), size_t(0));
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return sizes[a] != sizes[b] ? sizes[a] > sizes[b] : a < b;
  });
  std::vector<Range> occupied;
  for (size_t placed = 0; placed < order.size(); ++placed) {
    size_t current = order[placed];
    const MemoryRequest &request = requests[current];
    if (sizes[current] == 0)
      continue;
    occupied.clear();
    for (size_t i = 0; i < placed; ++i) {
      const MemoryRequest &other = requests[order[i]];
      if (other.first <= request.last && request.first <= other.last)
        occupied.push_back(
            {plan.offsets[order[i]], plan.offsets[order[i]] + sizes[order[i]]});
    }
    plan.offsets[current] = findGap(occupied, sizes[current]);
    plan.total = std::max(plan.total, plan.offsets[current] + sizes[current]);
  }

  // Peak: sum of what begins and ends, over time. What ends at t still lives
  // at t, so it leaves at t + 1.
  std::map<int64_t, int64_t> changes;
  for (size_t i = 0; i < requests.size(); ++i) {
    changes[requests[i].first] += sizes[i];
    if (requests[i].last != std::numeric_limits<int64_t>::max())
      changes[requests[i].last + 1] -= sizes[i];
  }
  int64_t live = 0;
  for (auto [time, change] : changes) {
    live += change;
    plan.peak = std::max(plan.peak, live);
  }
  return plan;
}
