//===- MemoryImage.h - What device memory holds -----------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A copy of the buffers of a device, for Device::save and comparisons.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_LIB_EMULATOR_MEMORYIMAGE_H
#define ROPEWALK_LIB_EMULATOR_MEMORYIMAGE_H

#include "Memory.h"

#include <cstdlib>

namespace ropewalk::emulator {

struct MemoryImage {
  struct Free {
    void operator()(void *pointer) const { std::free(pointer); }
  };
  struct Content {
    uint64_t size = 0;
    std::unique_ptr<std::byte, Free> data; ///< Null once freed.
    std::unique_ptr<uint8_t, Free> valid;  ///< As in Buffer.
  };
  std::map<uint64_t, Content> buffers; ///< By base.
  std::set<uint64_t> modules;
  uint64_t nextAddress = 0;
};

} // namespace ropewalk::emulator

#endif // ROPEWALK_LIB_EMULATOR_MEMORYIMAGE_H
