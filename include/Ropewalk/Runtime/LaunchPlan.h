//===- LaunchPlan.h - An entry of a manifest at given sizes -----*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Evaluates everything in an entry that depends on sizes and on nothing else:
// grids, scalars, offsets and the placement of temporaries. No device is
// needed, so tools can show the plan, and the executor keeps it from call to
// call while the sizes stay the same, as they do between decode steps.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_RUNTIME_LAUNCHPLAN_H
#define ROPEWALK_RUNTIME_LAUNCHPLAN_H

#include "Ropewalk/Runtime/Manifest.h"
#include "Ropewalk/Runtime/MemoryPlan.h"

#include <cstdint>
#include <vector>

namespace ropewalk::runtime {

struct LaunchPlan {
  struct Argument {
    Manifest::ParameterType type;
    /// Of a pointer: the buffer and the offset in it, in bytes.
    size_t buffer;
    int64_t offset;
    /// Of a scalar: its bytes, from the first one on.
    uint64_t bits;
  };

  struct Launch {
    size_t kernel;
    uint32_t grid[3];
    uint32_t block[3];
    uint32_t shared;
    std::vector<Argument> arguments;
  };

  /// The sizes that the plan is for.
  Bindings sizes;
  /// Per buffer of the entry.
  std::vector<int64_t> bufferBytes;
  /// Per buffer; meaningful for temporaries: the offset in the arena.
  std::vector<int64_t> arenaOffsets;
  MemoryPlan memory;
  std::vector<Launch> launches;
  std::vector<std::vector<int64_t>> resultShapes;

  /// Makes the plan of entry `index` of a valid manifest. Errors: a check of
  /// the entry fails, an expression cannot be evaluated, a value is outside
  /// what a launch can express, an offset lies outside its buffer, a result
  /// does not fit into its buffer.
  static Result<LaunchPlan> make(const Manifest &manifest, size_t index,
                                 const Bindings &sizes);
};

} // namespace ropewalk::runtime

#endif // ROPEWALK_RUNTIME_LAUNCHPLAN_H
