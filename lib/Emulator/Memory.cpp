//===- Memory.cpp - Device memory -------------------------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Allocation by a bump pointer with gaps between buffers; contents come from
// the host's zero pages, so large untouched buffers cost nothing.
//
//===----------------------------------------------------------------------===//

#include "Memory.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>

using namespace ropewalk::emulator;

std::string ropewalk::emulator::hex(uint64_t value) {
  char text[24];
  std::snprintf(text, sizeof text, "0x%llx", (unsigned long long)value);
  return text;
}

uint64_t ropewalk::emulator::windowOf(Space space) {
  switch (space) {
  case Space::Shared:
  case Space::SharedCluster:
    return SharedWindow;
  case Space::Local:
    return LocalWindow;
  case Space::Const:
    return ConstWindow;
  case Space::Param:
    return ParamWindow;
  default:
    return 0;
  }
}

PiecePool::~PiecePool() {
  for (void *piece : spare)
    std::free(piece);
}

void *PiecePool::take() {
  void *piece = nullptr;
  {
    std::lock_guard<std::mutex> lock(mutex);
    if (!spare.empty()) {
      piece = spare.back();
      spare.pop_back();
    }
  }
  if (piece)
    return std::memset(piece, 0, PieceBytes);
  piece = std::calloc(PieceBytes, 1);
  if (!piece)
    std::abort(); // Like new without exceptions.
  return piece;
}

void PiecePool::give(void *piece) {
  constexpr size_t most = (size_t(64) << 20) / PieceBytes;
  std::lock_guard<std::mutex> lock(mutex);
  if (spare.size() < most)
    spare.push_back(piece);
  else
    std::free(piece);
}

DeviceMemory::~DeviceMemory() {
  for (auto &[base, buffer] : buffers)
    release(buffer);
}

Buffer *DeviceMemory::allocateAt(uint64_t base, uint64_t bytes) {
  Buffer buffer;
  buffer.index = nextIndex++;
  buffer.base = base;
  buffer.size = bytes;
  buffer.data = static_cast<std::byte *>(std::calloc(bytes ? bytes : 1, 1));
  buffer.valid = static_cast<uint8_t *>(std::calloc(bytes ? bytes : 1, 1));
  if (!buffer.data || !buffer.valid) {
    std::free(buffer.data);
    std::free(buffer.valid);
    return nullptr;
  }
  return &(buffers[base] = buffer);
}

Buffer *DeviceMemory::allocate(uint64_t bytes) {
  constexpr uint64_t limit = uint64_t(1) << 43;
  if (bytes > limit || nextAddress + bytes > limit)
    return nullptr;
  Buffer *buffer = allocateAt(nextAddress, bytes);
  if (buffer)
    nextAddress += (bytes + 1024 + 255) / 256 * 256;
  return buffer;
}

void DeviceMemory::release(Buffer &buffer) {
  std::free(buffer.data);
  std::free(buffer.valid);
  buffer.data = nullptr;
  buffer.valid = nullptr;
}

Buffer *DeviceMemory::find(uint64_t address) {
  auto after = buffers.upper_bound(address);
  return after == buffers.begin() ? nullptr : &std::prev(after)->second;
}

Buffer *DeviceMemory::findRange(uint64_t address, uint64_t bytes,
                                std::string &reason) {
  Buffer *buffer = find(address);
  if (buffer && buffer->data && buffer->contains(address, bytes))
    return buffer;
  reason = describe(address, bytes);
  return nullptr;
}

void DeviceMemory::markValid(Buffer &buffer, uint64_t address, uint64_t bytes) {
  if (!buffer.valid)
    return;
  if (address == buffer.base && bytes == buffer.size) {
    std::free(buffer.valid);
    buffer.valid = nullptr;
    return;
  }
  std::memset(buffer.valid + (address - buffer.base), 1, bytes);
}

void DeviceMemory::markInvalid(Buffer &buffer, uint64_t address,
                               uint64_t bytes) {
  // Where every byte was initialized there is no room for marks: the host's
  // memory permitting, it is made now.
  if (!buffer.valid) {
    buffer.valid = static_cast<uint8_t *>(std::malloc(buffer.size));
    if (!buffer.valid)
      return;
    std::memset(buffer.valid, 1, buffer.size);
  }
  std::memset(buffer.valid + (address - buffer.base), 0, bytes);
}

std::string DeviceMemory::describe(uint64_t address, uint64_t bytes) {
  std::string access = std::to_string(bytes) + " bytes at " + hex(address);
  Buffer *buffer = find(address);
  if (!buffer || address - buffer->base > buffer->size + (1 << 24))
    return access + " are in no buffer";
  std::string what = std::string(buffer->data ? "" : "freed ") + "buffer of " +
                     std::to_string(buffer->size) + " bytes at " +
                     hex(buffer->base);
  uint64_t offset = address - buffer->base;
  if (offset < buffer->size)
    return access + " are at offset " + std::to_string(offset) + " of the " +
           what;
  return access + " are " + std::to_string(offset - buffer->size) +
         " bytes past the end of the " + what;
}
