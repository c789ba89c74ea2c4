//===- MemoryAccess.h - Checked addresses of a warp -------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Turns the addresses of a load, store or atomic into host addresses. All
// checks of the sanitizer and all counts of memory traffic happen here.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_LIB_EMULATOR_MEMORYACCESS_H
#define ROPEWALK_LIB_EMULATOR_MEMORYACCESS_H

#include "Lanes.h"

namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA {

enum class AccessKind : uint8_t { Load, Store, Atomic };

/// Inst::data of memory instructions.
enum MemoryFlags : uint32_t {
  MemoryStrong = 1,     ///< Volatile, relaxed, acquire or release.
  MemorySigned = 2,     ///< Loads extend the sign.
  MemoryNarrowBase = 4, ///< The base is a 32-bit register.
  MemoryReadOnly = 8,   ///< Nothing writes there as long as the kernel runs.
  MemorySpaceShift = 8,
  MemoryScopeShift = 12, ///< Of a strong access; 0 stands for the widest.
  MemoryAcquire = 1 << 14,
  MemoryRelease = 1 << 15,
  MemoryBytesShift = 16, ///< Bytes of one element.
};

struct Access {
  /// Host address by lane; meaningful for lanes of the mask.
  alignas(64) uint64_t host[32];
  /// Lane i is at `host[0]` + i times the size of the access, all lanes live.
  bool isContiguous = false;
  bool isUniform = false;   ///< All lanes have one address.
  uint32_t sharedLanes = 0; ///< Lanes whose address is in shared memory.
  /// Where each lane's flag is, if the access is atomic and may synchronize:
  /// the rank in the cluster or Location::Global, and the address there.
  bool hasPlaces = false;
  uint32_t rank[32];
  uint64_t place[32];
};

/// A step of a hash of what a warp has seen.
ROPEWALK_INLINE uint64_t mixState(uint64_t state) {
  state *= 0x9e3779b97f4a7c15;
  return state ^ state >> 29;
}

/// Takes ".cta", ".cluster", ".gpu" or ".sys" into Inst::data. Returns false,
/// without an error, if none of them is next.
bool takeScope(InstDecoder &d, Inst &inst);

/// Writes what a lane stores to `out`.
using ValueReader = void (*)(Warp &warp, const Inst &inst, unsigned lane,
                             std::byte *out);

/// What a store writes. `row`, unless null, is the register of a store of one
/// word a lane.
struct StoreValues {
  ValueReader read;
  const uint32_t *row;

  StoreValues(ValueReader read = nullptr, const uint32_t *row = nullptr)
      : read(read), row(row) {}
};

/// Checks the access of `bytes` (1 to 16) a lane. Returns false after a report.
/// With `values`, lanes that store the same bytes do not race with each other.
bool resolve(Warp &warp, const Inst &inst, uint32_t mask, AccessKind kind,
             uint32_t bytes, Access &access, StoreValues values = {});

} // namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA

#endif // ROPEWALK_LIB_EMULATOR_MEMORYACCESS_H
