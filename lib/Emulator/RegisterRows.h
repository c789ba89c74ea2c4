//===- RegisterRows.h - Rows of the register file ---------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// PTX has a new register for almost every value. Registers that are never live
// together share a row, so that a warp's register file stays in the caches of
// the host.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_LIB_EMULATOR_REGISTERROWS_H
#define ROPEWALK_LIB_EMULATOR_REGISTERROWS_H

#include "Program.h"

namespace ropewalk::emulator {

struct RowRequest {
  uint32_t bytes = 64; ///< Of the row.
  /// Of one lane; 0 for a predicate. Only registers with lanes of one size
  /// share a row: with others, lanes that have diverged would overwrite each
  /// other.
  uint32_t laneBytes = 0;
  bool isPinned = false; ///< Has a row of its own for the whole kernel.
};

/// Returns the row offset of each register and sets `totalBytes`. \p reads and
/// \p writes list registers by instruction of `program`.
std::vector<uint32_t>
assignRows(const Program &program,
           const std::vector<std::vector<uint32_t>> &reads,
           const std::vector<std::vector<uint32_t>> &writes,
           const std::vector<RowRequest> &registers, uint32_t &totalBytes);

} // namespace ropewalk::emulator

#endif // ROPEWALK_LIB_EMULATOR_REGISTERROWS_H
