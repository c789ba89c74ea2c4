//===- GlobalShadow.cpp - Races in global memory ----------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Accesses to global memory that are no loads or stores of a warp.
//
//===----------------------------------------------------------------------===//

#include "Cluster.h"

using namespace ropewalk::emulator;

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
