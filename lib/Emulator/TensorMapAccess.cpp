//===- TensorMapAccess.cpp - Tensor maps in memory --------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A map in global memory is read like any other memory, so that one which
// another thread is writing is a race.
//
//===----------------------------------------------------------------------===//

#include "TensorMapAccess.h"
#include "Cluster.h"
#include "TensorCopy.h"

using namespace ropewalk::emulator;

namespace {

bool report(const Actor &actor, ReportKind kind, uint64_t address,
            const std::string &detail) {
  return actor.warp->block->failAt(*actor.warp, *actor.inst, kind,
                                   int(actor.lane), address, detail);
}

bool misuse(const Actor &actor, uint64_t address, const std::string &detail) {
  return report(actor, ReportKind::TensorMapMisuse, address, detail);
}

bool isIn(Space space, uint64_t address) {
  return address - windowOf(space) < WindowBytes;
}

/// The host address of a map, or null after a report.
const std::byte *findMap(const Actor &actor, uint64_t address) {
  Block &block = *actor.warp->block;
  for (Space space : {Space::Shared, Space::Local})
    if (isIn(space, address)) {
      misuse(actor, address,
             std::string("needs a tensor map in .global, .param or .const "
                         "memory, found an address in .") +
                 name(space) + " memory");
      return nullptr;
    }
  for (Space space : {Space::Param, Space::Const}) {
    if (!isIn(space, address))
      continue;
    const std::byte *data = reinterpret_cast<const std::byte *>(
        block.program.constantMemory.data());
    uint64_t size = block.program.constantMemory.size();
    if (space == Space::Param) {
      data = block.launch.parameters.data();
      size = block.launch.parameters.size();
    }
    uint64_t offset = address - windowOf(space);
    if (offset + TensorMapBytes <= size)
      return data + offset;
    report(actor, ReportKind::OutOfBounds, address,
           "reads a tensor map of 128 bytes at offset " +
               std::to_string(offset) + " of the " + std::to_string(size) +
               " bytes of ." + name(space) + " memory");
    return nullptr;
  }
  DeviceMemory &memory = *block.launch.memory;
  std::string reason;
  if (!memory.findRange(address, TensorMapBytes, reason)) {
    report(actor, ReportKind::OutOfBounds, address, reason);
    return nullptr;
  }
  return accessGlobal(actor, address, TensorMapUsedBytes, false);
}

std::string shape(const uint64_t *dims, uint32_t rank) {
  std::string text;
  for (uint32_t i = 0; i < rank; ++i)
    text += (i ? "x" : "") + std::to_string(dims[i]);
  return text;
}

} // namespace

bool ropewalk::emulator::readTensorMap(const Actor &actor, uint64_t address,
                                       TensorMap &map) {
  if (address % TensorMapAlignment)
    return misuse(actor, address,
                  "needs a tensor map at a multiple of " +
                      std::to_string(TensorMapAlignment) + ", found address " +
                      hex(address));
  const std::byte *data = findMap(actor, address);
  if (!data)
    return false;
  std::string reason;
  return decode(data, map, reason) ||
         misuse(actor, address, "finds no usable tensor map: " + reason);
}

bool ropewalk::emulator::checkTensor(const Actor &actor, uint64_t address,
                                     const TensorMap &map, uint32_t rank) {
  if (map.rank != rank)
    return misuse(actor, address,
                  "needs a tensor map of " + std::to_string(rank) +
                      " dimensions, found one of " + std::to_string(map.rank));
  Block &block = *actor.warp->block;
  DeviceMemory &memory = *block.launch.memory;
  Buffer *buffer = memory.find(map.address);
  std::string what = std::string("the tensor map's tensor of ") +
                     shape(map.dims, rank) + " elements of type " +
                     name(map.type) + " at " + hex(map.address);
  if (!buffer || !buffer->contains(map.address, 1))
    return misuse(actor, address, what + " is in no buffer");
  if (!buffer->data)
    return report(actor, ReportKind::UseAfterFree, map.address,
                  what + " lies in a buffer that has been freed");
  uint64_t room = buffer->size - (map.address - buffer->base);
  for (uint32_t i = 0; i < rank; ++i)
    if (uint64_t bytes = tensorBytes(map, i); bytes > room)
      return misuse(
          actor, address,
          what + " leaves its buffer in dimension " + std::to_string(i) + ": " +
              std::to_string(map.dims[i]) + " elements " +
              std::to_string(map.strides[i]) + " bytes apart end at byte " +
              (bytes == ~uint64_t(0) ? "2^64" : std::to_string(bytes)) +
              ", the buffer has " + std::to_string(room) + " there");
  return true;
}

bool ropewalk::emulator::replaceTensorMapField(const Actor &actor,
                                               bool isShared, uint64_t address,
                                               TensorMapField field,
                                               uint32_t ordinal,
                                               uint64_t value) {
  if (address % TensorMapAlignment)
    return misuse(actor, address,
                  "needs a tensor map at a multiple of " +
                      std::to_string(TensorMapAlignment) + ", found address " +
                      hex(address));
  Block &block = *actor.warp->block;
  std::byte *data = nullptr;
  for (bool isWrite : {false, true})
    if (!(data = isShared ? accessShared(actor, block, address,
                                         TensorMapUsedBytes, isWrite)
                          : accessGlobal(actor, address, TensorMapUsedBytes,
                                         isWrite)))
      return false;
  ++block.cluster.progress;
  std::string reason = replace(data, field, ordinal, value);
  return reason.empty() || misuse(actor, address, reason);
}
