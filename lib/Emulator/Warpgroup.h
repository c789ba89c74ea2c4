//===- Warpgroup.h - Four warps that act as one -----------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The warps of a warpgroup have to execute the same wgmma and setmaxnreg in the
// same order. The first warp that comes writes a step down, the others compare.
//
// setmaxnreg moves registers between the threads of a warp and the block's
// pool, which is empty when the block starts.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_LIB_EMULATOR_WARPGROUP_H
#define ROPEWALK_LIB_EMULATOR_WARPGROUP_H

#include "Wgmma.h"

namespace ropewalk::emulator {

constexpr unsigned GroupWarps = 4;

struct Warpgroup {
  struct Step {
    const Inst *inst;
    uint32_t warp; ///< That wrote it down.
    uint64_t a, b; ///< Descriptors of a wgmma.
    bool accumulates;
  };
  std::deque<Step> steps; ///< Those that not all warps have executed.
  uint64_t first = 0;     ///< Number of steps[0].
  uint64_t position[GroupWarps] = {};
};

/// A block's warpgroups and what setmaxnreg distributes.
struct Warpgroups {
  std::vector<Warpgroup> groups;
  std::vector<WgmmaState> warps;
  uint32_t initialRegisters = 0;   ///< Of a thread; 0 if unknown.
  std::vector<uint32_t> registers; ///< Of a thread, by warp.
  uint64_t pool = 0;               ///< Registers of whole warps.
};

/// Sets up the warpgroups of a block whose warps exist.
void startWarpgroups(Block &block);
/// The warp executes an instruction that all warps of its group have to
/// execute. Returns false after a report.
bool stepWarpgroup(Warp &warp, const Inst &inst,
                   const WgmmaOperation &operation = {});
/// The warp has ended. Returns false after a report.
bool leaveWarpgroup(Warp &warp);

/// Why a warp waits at a setmaxnreg; empty for other instructions.
std::string describeRegisterWait(const Warp &warp, const Inst &inst);

} // namespace ropewalk::emulator

#endif // ROPEWALK_LIB_EMULATOR_WARPGROUP_H
