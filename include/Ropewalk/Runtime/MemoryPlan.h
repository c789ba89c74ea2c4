//===- MemoryPlan.h - Places temporaries in one arena -----------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Temporaries of a launch plan live from their first write to their last read.
// Those whose lifetimes do not meet may share memory.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_RUNTIME_MEMORYPLAN_H
#define ROPEWALK_RUNTIME_MEMORYPLAN_H

#include "Ropewalk/Runtime/Result.h"

#include <cstdint>
#include <span>
#include <vector>

namespace ropewalk::runtime {

/// A temporary: it needs `bytes` at all times in [first, last].
struct MemoryRequest {
  int64_t bytes = 0;
  int64_t first = 0, last = 0;
};

struct MemoryPlan {
  static constexpr int64_t kAlignment = 256;

  /// Offset of every request, a multiple of kAlignment.
  std::vector<int64_t> offsets;
  /// Bytes of the arena.
  int64_t total = 0;
  /// Most bytes (each request rounded up to kAlignment) that live at one time:
  /// no plan needs less.
  int64_t peak = 0;

  /// Share of one of `tokens` tokens in the arena.
  double bytesPerToken(int64_t tokens) const {
    return tokens > 0 ? static_cast<double>(total) / static_cast<double>(tokens)
                      : 0;
  }

  /// Plans in O(n^2). Errors: a negative size, a total that does not fit into
  /// 63 bits.
  static Result<MemoryPlan> make(std::span<const MemoryRequest> requests);
};

} // namespace ropewalk::runtime

#endif // ROPEWALK_RUNTIME_MEMORYPLAN_H
