//===- Memory.h - Device memory ---------------------------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Buffers at addresses that are never reused. A freed buffer leaves its record
// behind, so that a use after free is told from an address out of bounds. One
// byte of `valid` stands for each byte of a buffer that the host did not fill
// completely; bytes and not bits, as blocks on several host threads set them.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_LIB_EMULATOR_MEMORY_H
#define ROPEWALK_LIB_EMULATOR_MEMORY_H

#include "Ropewalk/Emulator/Emulator.h"
#include "Syntax.h"

#include <map>
#include <mutex>
#include <set>
#include <vector>

namespace ropewalk::emulator {

/// Generic addresses: shared, local, constant and parameter memory appear at
/// fixed windows, everything else is global.
constexpr uint64_t WindowBytes = uint64_t(1) << 32;
constexpr uint64_t SharedWindow = uint64_t(0x7f00) << 32;
constexpr uint64_t LocalWindow = SharedWindow + WindowBytes;
constexpr uint64_t ConstWindow = LocalWindow + WindowBytes;
constexpr uint64_t ParamWindow = ConstWindow + WindowBytes;

/// First address of `space` as a generic address; 0 for Global and Generic.
uint64_t windowOf(Space space);

/// "0x1f", as reports write addresses.
std::string hex(uint64_t value);

struct Buffer {
  uint32_t index = 0; ///< In the order of allocation.
  uint64_t base = 0;
  uint64_t size = 0;
  std::byte *data = nullptr; ///< Null once freed.
  uint8_t *valid = nullptr;  ///< Null when every byte is initialized.

  bool contains(uint64_t address, uint64_t bytes) const {
    return address >= base && bytes <= size && address - base <= size - bytes;
  }
};

/// Zeroed pieces of memory of one size that launches need again and again.
class PiecePool {
public:
  static constexpr size_t PieceBytes = 1 << 14;

  PiecePool() = default;
  PiecePool(const PiecePool &) = delete;
  PiecePool &operator=(const PiecePool &) = delete;
  ~PiecePool();

  void *take();
  void give(void *piece);

private:
  std::mutex mutex;
  std::vector<void *> spare;
};

struct DeviceMemory {
  DeviceMemory() = default;
  DeviceMemory(const DeviceMemory &) = delete;
  DeviceMemory &operator=(const DeviceMemory &) = delete;
  ~DeviceMemory();

  /// Null if the host has no memory left.
  Buffer *allocate(uint64_t bytes);
  Buffer *allocateAt(uint64_t base, uint64_t bytes);
  void release(Buffer &buffer);

  /// The buffer, live or freed, with the greatest base not above `address`.
  Buffer *find(uint64_t address);
  /// A live buffer that holds the whole range; otherwise null, and `reason`
  /// describes what is there.
  Buffer *findRange(uint64_t address, uint64_t bytes, std::string &reason);
  void markValid(Buffer &buffer, uint64_t address, uint64_t bytes);
  void markInvalid(Buffer &buffer, uint64_t address, uint64_t bytes);
  /// What `address` points at, for messages.
  std::string describe(uint64_t address, uint64_t bytes);

  std::map<uint64_t, Buffer> buffers;
  PiecePool pieces;
  uint32_t nextIndex = 0;
  uint32_t launches = 0; ///< Counted by those that mark bytes.
  uint64_t nextAddress = uint64_t(1) << 36;
  /// Loaded modules by ModuleData::globalBase, which is unique.
  std::set<uint64_t> modules;
};

} // namespace ropewalk::emulator

#endif // ROPEWALK_LIB_EMULATOR_MEMORY_H
