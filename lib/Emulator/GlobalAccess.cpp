//===- GlobalAccess.cpp - Accesses to global memory -------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Lanes in one buffer take a few vector instructions; everything else goes lane
// by lane.
//
//===----------------------------------------------------------------------===//

#include "MemoryRequest.h"

namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA {

bool resolveGlobal(Request &r, Access &access) {
  Block &block = *r.warp.block;
  DeviceMemory &memory = *block.launch.memory;
  if (!checkAlignment(r, Space::Global))
    return false;
  Buffer *&cached = block.worker.cache[r.inst.id];
  uint64_t span = r.high - r.low + r.bytes;
  Buffer *buffer = cached;
  if (!buffer || !buffer->contains(r.low, span))
    buffer = memory.find(r.low);
  bool checks = block.launch.options.checkUninitializedMemory;
  if (buffer && buffer->data && buffer->contains(r.low, span)) [[likely]] {
    cached = buffer;
    if (buffer->valid) {
      if (r.kind != AccessKind::Store && checks) {
        unsigned lane = findInvalid(r, buffer->valid, buffer->base);
        if (lane < 32)
          return report(r, ReportKind::UninitializedMemory, lane, Space::Global,
                        memory.describe(r.at(lane), r.bytes));
      }
      if (r.kind != AccessKind::Load)
        markValid(r, buffer->valid, buffer->base);
    }
    Addresses host =
        r.address + (reinterpret_cast<uint64_t>(buffer->data) - buffer->base);
    std::memcpy(access.host, &host, sizeof host);
    countGlobal(r);
    if (r.isStrong())
      synchronize(r, Location::Global, access);
    return true;
  }
  // Lanes in different buffers, or a bad address.
  for (uint32_t rest = r.mask; rest; rest &= rest - 1) {
    unsigned lane = std::countr_zero(rest);
    uint64_t address = r.at(lane);
    buffer = memory.find(address);
    bool isInside = buffer && buffer->contains(address, r.bytes);
    if (!isInside || !buffer->data)
      return report(
          r, isInside ? ReportKind::UseAfterFree : ReportKind::OutOfBounds,
          lane, Space::Global, memory.describe(address, r.bytes));
    uint64_t offset = address - buffer->base;
    if (buffer->valid) {
      if (r.kind != AccessKind::Store && checks &&
          std::memchr(buffer->valid + offset, 0, r.bytes))
        return report(r, ReportKind::UninitializedMemory, lane, Space::Global,
                      memory.describe(address, r.bytes));
      if (r.kind != AccessKind::Load)
        std::memset(buffer->valid + offset, 1, r.bytes);
    }
    access.host[lane] = reinterpret_cast<uint64_t>(buffer->data + offset);
  }
  access.isContiguous = access.isUniform = false;
  countGlobal(r);
  if (r.isStrong())
    synchronize(r, Location::Global, access);
  return true;
}

} // namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA

#include "LanesEnd.h"
