//===- MemoryImage.cpp - What device memory holds ---------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Saving and restoring. Addresses are part of an image: what is allocated after
// `restore` gets the address that it would have got before.
//
//===----------------------------------------------------------------------===//

#include "MemoryImage.h"

#include <cstring>

using namespace ropewalk::emulator;

namespace {

/// A copy of `size` bytes from malloc; null if there is no memory left.
template <class T> T *copyOf(const T *source, size_t size) {
  T *copy = static_cast<T *>(std::malloc(size ? size : 1));
  if (copy)
    std::memcpy(copy, source, size);
  return copy;
}

/// Makes `target` hold what `source` holds, which may be null.
template <class T> bool bringBack(T *&target, const T *source, size_t size) {
  if (!source || !target) {
    std::free(target);
    target = source ? copyOf(source, size) : nullptr;
    return target || !source;
  }
  std::memcpy(target, source, size);
  return true;
}

} // namespace

std::shared_ptr<const MemoryImage> Device::save() const {
  auto image = std::make_shared<MemoryImage>();
  image->modules = memory->modules;
  image->nextAddress = memory->nextAddress;
  for (const auto &[base, buffer] : memory->buffers) {
    MemoryImage::Content &content = image->buffers[base];
    content.size = buffer.size;
    if (buffer.data)
      content.data.reset(copyOf(buffer.data, buffer.size));
    if (buffer.valid)
      content.valid.reset(copyOf(buffer.valid, buffer.size));
    if (!content.data != !buffer.data || !content.valid != !buffer.valid)
      return nullptr;
  }
  return image;
}

bool Device::restore(const MemoryImage &image) {
  for (auto entry = memory->buffers.begin(); entry != memory->buffers.end();) {
    Buffer &buffer = entry->second;
    auto found = image.buffers.find(entry->first);
    if (found == image.buffers.end()) {
      memory->release(buffer);
      entry = memory->buffers.erase(entry);
      continue;
    }
    ++entry;
    const MemoryImage::Content &content = found->second;
    if (!bringBack(buffer.data, content.data.get(), content.size) ||
        !bringBack(buffer.valid, content.valid.get(), content.size)) {
      lastError = "the host has no memory left";
      return false;
    }
  }
  memory->modules = image.modules;
  memory->nextAddress = image.nextAddress;
  return true;
}
