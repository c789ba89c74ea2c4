//===- BulkCopy.h - Bulk copies under way -----------------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What cp.async.bulk, cp.reduce.async.bulk and their tensor forms have in
// common: pieces of memory that are checked and recorded when the copy is
// issued, and moved when it completes.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_LIB_EMULATOR_BULKCOPY_H
#define ROPEWALK_LIB_EMULATOR_BULKCOPY_H

#include "Cluster.h"

namespace ropewalk::emulator {

struct BulkCopy {
  enum Completion : uint8_t {
    OnMbarrier, ///< complete_tx on the mbarrier(s) of the destination.
    OnGroup     ///< A bulk group of the issuing thread.
  };
  enum class Reduction : uint8_t {
    None,
    Add,
    Min,
    Max,
    Inc,
    Dec,
    And,
    Or,
    Xor
  };

  /// A place: global memory where `block` is null, else shared memory of that
  /// block of the cluster. `address` is the offset in the space.
  struct Place {
    Block *block = nullptr;
    uint64_t address = 0;
    bool operator==(const Place &) const = default;
  };
  struct Piece {
    Place destination, source;
    uint32_t bytes = 0;
    /// Bytes that do not exist in the source: `source` is not read, and the
    /// destination gets `fill` repeated (a value of `fillBytes` bytes).
    bool isFill = false;
    uint64_t fill = 0;
    uint32_t fillBytes = 1;
    bool operator==(const Piece &) const = default;
  };

  Warp *warp = nullptr;
  const Inst *inst = nullptr;
  unsigned lane = 0;
  Completion completion = OnGroup;
  /// Barriers to signal, each with the bytes that arrive in its block.
  struct Signal {
    Place barrier;
    uint32_t bytes = 0;
  };
  std::vector<Signal> signals;
  std::vector<Piece> pieces;
  Reduction reduction = Reduction::None;
  ScalarType type = ScalarType::None; ///< Of a reduction.
};

/// Checks and records all accesses of `copy` and puts it under way. Returns
/// false after a report.
bool startBulkCopy(BulkCopy copy);

/// Appends the blocks of a multicast, a bit of `mask` each. False after a
/// report.
bool findMulticast(Warp &warp, const Inst &inst, unsigned lane, uint32_t mask,
                   std::vector<Block *> &blocks);

/// Checks that the actor's lane may name the mbarrier, for a copy that will
/// signal it. False after a report.
bool announceTransaction(const Actor &actor, Block &owner, uint64_t address);
/// Signals that `bytes` of an announced copy have arrived at the mbarrier
/// (complete_tx). `past` is what a waiter then knows. False after a report by
/// `actor`.
bool completeTransaction(const Actor &actor, Block &owner, uint64_t address,
                         uint32_t bytes, const Past &past);

/// Reduces `bytes` of elements of `type` into `target`.
void reduceBytes(BulkCopy::Reduction reduction, ScalarType type,
                 std::byte *target, const std::byte *source, uint32_t bytes);

} // namespace ropewalk::emulator

#endif // ROPEWALK_LIB_EMULATOR_BULKCOPY_H
