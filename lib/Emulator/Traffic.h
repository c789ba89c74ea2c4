//===- Traffic.h - Sectors and banks of an access ---------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Counts the memory traffic of copies that go around the registers as that of
// loads and stores is counted (Counters.h).
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_LIB_EMULATOR_TRAFFIC_H
#define ROPEWALK_LIB_EMULATOR_TRAFFIC_H

#include "Execution.h"

namespace ropewalk::emulator {

/// One instruction's access of `bytes` (1 to 16, a power of two) at the
/// addresses of `lanes`, which are multiples of `bytes`. At least one lane.
void countGlobalLoad(Warp &warp, const Inst &inst,
                     const uint64_t (&addresses)[32], uint32_t lanes,
                     uint32_t bytes);
void countSharedStore(Warp &warp, const Inst &inst,
                      const uint64_t (&addresses)[32], uint32_t lanes,
                      uint32_t bytes);

} // namespace ropewalk::emulator

#endif // ROPEWALK_LIB_EMULATOR_TRAFFIC_H
