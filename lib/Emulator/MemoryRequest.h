//===- MemoryRequest.h - A memory access under way --------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What the files behind resolve() (MemoryAccess.h) share: the request and the
// steps that spaces have in common.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_LIB_EMULATOR_MEMORYREQUEST_H
#define ROPEWALK_LIB_EMULATOR_MEMORYREQUEST_H

#include "Cluster.h"
#include "MemoryAccess.h"

namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA {

using Addresses = Vec<uint64_t>;

struct Request {
  Warp &warp;
  const Inst &inst;
  uint32_t mask;
  AccessKind kind;
  uint32_t bytes;
  StoreValues values;
  Addresses address;
  uint64_t low = 0, high = 0; ///< Least and greatest address.
  bool isContiguous = false;
  /// Set by findPattern; null if the addresses have no known pattern.
  AddressPattern *pattern = nullptr;
  /// The flags of a copy do not say whether it is strong: it is not.
  bool isCopy = false;

  bool isUniform() const { return low == high; }
  bool isStrong() const {
    return !isCopy && (inst.data & MemoryStrong || kind == AccessKind::Atomic);
  }
  Scope scope() const {
    uint32_t scope = inst.data >> MemoryScopeShift & 3;
    return !isStrong() ? Scope::Weak : scope ? Scope(scope) : Scope::Device;
  }
  bool isSimple() const { return isContiguous || isUniform(); }
  /// What the offsets of a pattern are relative to.
  uint64_t base(PatternGrain grain) const {
    return low & ~(uint64_t(grain) - 1);
  }
  uint64_t at(unsigned lane) const {
    return reinterpret_cast<const uint64_t *>(&address)[lane];
  }
};

/// Sets the report of the request's block. Returns false.
bool report(const Request &r, ReportKind kind, unsigned lane, Space space,
            const std::string &detail);
bool checkAlignment(const Request &r, Space space);
/// The first lane whose bytes are not all set in `valid`, or 32. Byte 0 of the
/// marks belongs to address `base`.
unsigned findInvalid(const Request &r, const uint8_t *valid, uint64_t base);
void markValid(const Request &r, uint8_t *valid, uint64_t base);
/// Sets the bounds of a new request and finds out its form.
void finishRequest(Request &r);
/// Adds the lanes of a part of an access.
void merge(Access &access, const Access &part, uint32_t lanes);
/// What a strong access does to the causality order; an atomic one only notes
/// where it is, as its effect is known later. `rank` is that of the block whose
/// shared memory it is, or Location::Global.
void synchronize(const Request &r, uint32_t rank, Access &access);
/// Whether strong stores of the warp publish what a fence has captured.
bool hasFences(const Request &r);

/// Whether all lanes store the same bytes.
bool storesSame(const Request &r);

/// Finds the pattern of addresses that are not simple.
void findPattern(Request &r, PatternGrain grain);

// Traffic of memory (RequestTraffic.cpp).

/// Transactions of shared memory, and what they would be without conflicts of
/// banks.
struct BankTraffic {
  uint32_t transactions = 0, ideal = 0;
};
BankTraffic countBanks(const Request &r);
/// Distinct 32-byte sectors of the request.
uint32_t countSectors(const Request &r);
void countGlobal(const Request &r);
void countShared(const Request &r);

// The spaces. False after a report.
bool resolveGlobal(Request &r, Access &access);
/// Shared memory with the ranks of blocks in the addresses.
bool resolveCluster(Request &r, Space space, Access &access);

} // namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA

#endif // ROPEWALK_LIB_EMULATOR_MEMORYREQUEST_H
