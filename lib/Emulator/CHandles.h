//===- CHandles.h - What the handles of the C interface are -----*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Shared by the files that implement CEmulator.h.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_LIB_EMULATOR_CHANDLES_H
#define ROPEWALK_LIB_EMULATOR_CHANDLES_H

#include "Ropewalk/Emulator/CEmulator.h"
#include "Ropewalk/Emulator/Emulator.h"

#include <atomic>

struct RopewalkPtxModule {
  std::shared_ptr<const ropewalk::emulator::Module> module;
  std::string text, description;
};

struct RopewalkPtxDevice {
  ropewalk::emulator::Device device;
  std::atomic<bool> cancel{false};
  std::string json;
};

namespace ropewalk::emulator {

/// Keeps the message for ropewalk_ptx_error; returns `code`.
int fail(std::string message, int code = 1);
/// Fails because a pointer is null.
int missing(const char *argument, int code = 1);

/// Returns an empty text, or which pointer is null.
std::string collectArguments(const void *const *arguments, const size_t *sizes,
                             size_t count,
                             std::vector<std::span<const std::byte>> &values);

/// Checks what a launch and a mutation test have in common. Returns 0, or fails
/// with 2.
int checkCall(const RopewalkPtxDevice *device, const RopewalkPtxModule *module,
              size_t entry, const uint32_t *grid, const uint32_t *block);

inline Dim3 dimensions(const uint32_t *values) {
  return {values[0], values[1], values[2]};
}

} // namespace ropewalk::emulator

#endif // ROPEWALK_LIB_EMULATOR_CHANDLES_H
