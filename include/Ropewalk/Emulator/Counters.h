//===- Counters.h - Exact counts of a launch --------------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What a launch did, counted exactly. All figures are sums over blocks, so they
// depend neither on the number of host threads nor on timing.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_EMULATOR_COUNTERS_H
#define ROPEWALK_EMULATOR_COUNTERS_H

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace ropewalk::emulator {

/// Classes of instructions. One instruction belongs to exactly one class.
enum class InstClass : uint8_t {
  Integer,    ///< Integer arithmetic, logic and shifts.
  Float32,    ///< add, sub, mul, fma, min, max, abs, neg on f32.
  Float16,    ///< Arithmetic on f16, bf16 and their packed forms.
  Float64,    ///< Arithmetic on f64.
  Special,    ///< Approximate functions, division, square root.
  Matrix,     ///< mma, wmma.mma, wgmma.mma_async.
  Conversion, ///< cvt.
  Compare,    ///< setp, set, selp, slct, testp.
  Move,       ///< mov, cvta, prmt and packing.
  GlobalLoad,
  GlobalStore,
  SharedLoad,
  SharedStore,
  LocalAccess,
  ParameterLoad, ///< ld.param and ld.const.
  Atomic,
  WarpExchange, ///< shfl, vote, redux, match, activemask.
  Barrier,      ///< bar, barrier, membar, fence.
  Control,      ///< bra, ret, exit, trap, nanosleep.
  Count
};

/// Lower-case name with dashes, "global-load" for example.
const char *name(InstClass cls);

/// Memory traffic and divergence of one instruction; the figures are those of
/// Counters, loads and stores together.
struct LineTraffic {
  uint64_t globalRequests = 0, globalSectors = 0;
  uint64_t sharedRequests = 0, sharedTransactions = 0, sharedConflicts = 0;
  uint64_t divergentBranches = 0;

  LineTraffic &operator+=(const LineTraffic &other);
};

/// Counts of one instruction of the kernel.
struct LineCount {
  uint32_t line = 0;
  uint64_t warpInstructions = 0;
  uint64_t laneInstructions = 0;
  InstClass cls = InstClass::Integer;
  LineTraffic traffic;
};

struct Counters {
  uint64_t blocks = 0;
  uint64_t warps = 0;
  uint64_t warpInstructions = 0;
  uint64_t laneInstructions = 0;
  std::array<uint64_t, size_t(InstClass::Count)> warpByClass{};
  std::array<uint64_t, size_t(InstClass::Count)> laneByClass{};

  /// A request is one load or store instruction of one warp; sectors are the
  /// distinct aligned 32-byte pieces that a request touches.
  uint64_t globalLoadRequests = 0, globalLoadBytes = 0, globalLoadSectors = 0;
  uint64_t globalStoreRequests = 0, globalStoreBytes = 0,
           globalStoreSectors = 0;
  /// A transaction reads or writes at most one 4-byte word of each of the 32
  /// banks. Conflicts are the transactions beyond those that the access width
  /// needs (1 for up to 4 bytes a lane, 2 for 8, 4 for 16).
  uint64_t sharedLoadRequests = 0, sharedLoadTransactions = 0,
           sharedLoadConflicts = 0;
  uint64_t sharedStoreRequests = 0, sharedStoreTransactions = 0,
           sharedStoreConflicts = 0;
  /// Bytes that cp.async writes to shared memory; bulk copies of threads and
  /// the bytes that these write, which no load or store counts.
  uint64_t asyncCopyBytes = 0, bulkCopies = 0, bulkBytes = 0;
  uint64_t barriers = 0; ///< Arrivals of warps at block barriers.
  uint64_t branches = 0; ///< Branch instructions of warps.
  uint64_t divergentBranches = 0;
  /// Operations of tensor cores: 2 * M * N * K of every instruction, and twice
  /// the multiply-adds among them whose two factors are both nonzero.
  uint64_t tensorFlops = 0, usefulTensorFlops = 0;

  /// One entry for each executed instruction, in the order of the text.
  std::vector<LineCount> lines;

  Counters &operator+=(const Counters &other);
  bool operator==(const Counters &other) const;

  std::string table() const;
  std::string json() const;
};

} // namespace ropewalk::emulator

#endif // ROPEWALK_EMULATOR_COUNTERS_H
