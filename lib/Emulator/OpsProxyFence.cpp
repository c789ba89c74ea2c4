//===- OpsProxyFence.cpp - Fences between proxies ---------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// fence.proxy and fence.mbarrier_init.
//
//===----------------------------------------------------------------------===//

#include "Lanes.h"

namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA {

bool decodeProxyFence(InstDecoder &d, Inst &) {
  return d.unsupported("modifier '." + d.peek() + "'");
}

} // namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA

#include "LanesEnd.h"
