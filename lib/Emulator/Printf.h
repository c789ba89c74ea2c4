//===- Printf.h - Text that kernels write -----------------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What the device functions vprintf and __assertfail need: bytes behind generic
// addresses and C format strings.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_LIB_EMULATOR_PRINTF_H
#define ROPEWALK_LIB_EMULATOR_PRINTF_H

#include "Execution.h"

namespace ropewalk::emulator {

/// Copies `bytes` from a generic address as the thread of `lane` sees it.
/// False if they are not all there. Checks and counts nothing else.
bool peekGeneric(const Warp &warp, unsigned lane, uint64_t address,
                 uint64_t bytes, void *target);

/// The text that ends with a zero byte at a generic address, at most 4096
/// bytes of it; false if there is none.
bool peekText(const Warp &warp, unsigned lane, uint64_t address,
              std::string &text);

/// Formats like C's printf with the arguments packed at the generic address
/// `arguments`, each at a multiple of its size. Sets `count` to the number of
/// arguments. On failure returns false and `output` says why.
bool formatText(const Warp &warp, unsigned lane, const std::string &format,
                uint64_t arguments, std::string &output, int &count);

} // namespace ropewalk::emulator

#endif // ROPEWALK_LIB_EMULATOR_PRINTF_H
