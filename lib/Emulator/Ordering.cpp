//===- Ordering.cpp - What happened before what -----------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// See Ordering.h.
//
//===----------------------------------------------------------------------===//

#include "Ordering.h"
#include "Execution.h"

#include <cstring>

using namespace ropewalk::emulator;

void Ordering::reset(uint32_t, uint32_t, bool) {}
void Ordering::release(Warp &, uint32_t, Past &) {}
void Ordering::acquire(Warp &, uint32_t, const Past &) {}
void Ordering::synchronizeWarp(Warp &, uint32_t) {}
void Ordering::fenceProxy(Warp &, uint32_t) {}
void Ordering::commit(Warp &, uint32_t, Ego) {}
void Ordering::awaitGroups(Warp &, uint32_t, Ego, uint32_t, bool) {}
void Ordering::releaseEgo(Warp &, unsigned, Ego, Past &) {}
int32_t Ordering::beginOperation(Warp &, unsigned) { return 0; }
void Ordering::endOperation(int32_t, Past &) {}

std::byte *ropewalk::emulator::accessShared(const Actor &actor, Block &owner,
                                            uint64_t address, uint32_t bytes,
                                            bool isWrite) {
  Block &block = *actor.warp->block;
  SharedMemory &shared = owner.shared;
  if (address + bytes > shared.size || address > shared.size) {
    block.failAt(*actor.warp, *actor.inst, ReportKind::OutOfBounds,
                 int(actor.lane), address,
                 std::to_string(bytes) + " bytes beyond the block's " +
                     std::to_string(shared.size) + " bytes of shared memory");
    return nullptr;
  }
  if (shared.checksValid && isWrite)
    std::memset(shared.valid.data() + address, 1, bytes);
  if (shared.checksValid && !isWrite &&
      !shared.isValid(uint32_t(address), bytes)) {
    block.failAt(*actor.warp, *actor.inst, ReportKind::UninitializedMemory,
                 int(actor.lane), address,
                 "no thread has written these bytes of .shared memory");
    return nullptr;
  }
  return shared.data.data() + address;
}

std::byte *ropewalk::emulator::accessGlobal(const Actor &actor,
                                            uint64_t address, uint32_t bytes,
                                            bool isWrite) {
  Block &block = *actor.warp->block;
  DeviceMemory &memory = *block.launch.memory;
  std::string reason;
  Buffer *buffer = memory.findRange(address, bytes, reason);
  if (!buffer) {
    block.failAt(*actor.warp, *actor.inst, ReportKind::OutOfBounds,
                 int(actor.lane), address, reason);
    return nullptr;
  }
  uint64_t offset = address - buffer->base;
  if (buffer->valid && isWrite)
    std::memset(buffer->valid + offset, 1, bytes);
  if (buffer->valid && !isWrite &&
      block.launch.options.checkUninitializedMemory &&
      std::memchr(buffer->valid + offset, 0, bytes)) {
    block.failAt(*actor.warp, *actor.inst, ReportKind::UninitializedMemory,
                 int(actor.lane), address, memory.describe(address, bytes));
    return nullptr;
  }
  return buffer->data + offset;
}
