//===- Device.h - The emulator as a device table ----------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The emulator behind the runtime's table of device functions.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_EMULATOR_DEVICE_H
#define ROPEWALK_EMULATOR_DEVICE_H

#include "Ropewalk/Runtime/Device.h"

#ifdef __cplusplus
extern "C" {
#endif

/// Creates an emulated device of the given chip ("sm_80", "sm_90a"). Modules
/// whose .target that chip cannot run are refused. `options_json` is null or an
/// object with any of
///   "threads": host threads for blocks, 0 for all cores (default 1),
///   "instruction_budget": warp instructions per block,
///   "schedule_seed": 0 (default) for a fixed order of warps; other numbers
///                    choose another,
///   "registers_per_thread": when a kernel starts, for setmaxnreg,
///   "check_uninitialized_memory", "check_uninitialized_registers",
///   "check_races": true (default) or false.
/// Returns 0 on success. On failure returns nonzero, `*out` is null and
/// `ropewalk_emulator_error` describes the reason.
int ropewalk_emulator_create(const char *chip, const char *options_json,
                             RopewalkDevice **out);

/// Why the last `ropewalk_emulator_create` of this thread failed; never null.
const char *ropewalk_emulator_error(void);

/// The counters of the device's launches since its creation or the last call
/// with `reset` nonzero, as JSON. Valid until the next call on the device.
const char *ropewalk_emulator_counters(RopewalkDevice *device, int reset);

#ifdef __cplusplus
} // extern "C"
#endif

#endif // ROPEWALK_EMULATOR_DEVICE_H
