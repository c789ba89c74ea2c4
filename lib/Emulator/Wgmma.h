//===- Wgmma.h - Matrix multiplication by a warpgroup -----------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Each warp of a warpgroup multiplies its own 16 rows. What wgmma reads from
// shared memory is checked when it is issued; its registers are written when
// the warp waits for its group, and are not the program's own until then.
//
// For each register that holds an accumulator or a fragment of A of some wgmma
// (a held register), a warp remembers the newest operation and the newest
// instruction that used it. Operations are numbered in the order of issue, so
// that one number tells which are complete. Time advances with each
// wgmma.fence: what happened since the last one is not ordered before a wgmma.
//
// Compilers put moves between a fence and a wgmma, and the assembler makes them
// disappear. So a move counts as an access only while an operation has the
// register, and after a wait: what a program does with its results between a
// wait and the next wgmma needs a fence.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_LIB_EMULATOR_WGMMA_H
#define ROPEWALK_LIB_EMULATOR_WGMMA_H

#include "Execution.h"

#include <deque>

namespace ropewalk::emulator {

/// The held registers of a kernel.
struct HeldRegisters {
  std::vector<std::string> names;
  /// Numbers of the registers in Program::operands, by place there; NoRow for
  /// what is not held.
  std::vector<uint32_t> numbers;
  /// What another instruction does to held registers: a range of `lists`, reads
  /// before writes. Its own handler runs after the check.
  struct Touch {
    Handler handler = nullptr;
    uint32_t begin = 0;
    uint16_t reads = 0, writes = 0;
  };
  std::vector<Touch> touches; ///< By instruction.
  std::vector<uint32_t> lists;
};

/// A wgmma under way.
struct WgmmaOperation {
  const Inst *inst = nullptr;
  uint64_t a = 0, b = 0;    ///< Descriptors.
  bool accumulates = false; ///< Or starts from zero.
};

/// One warp's operations and held registers.
struct WgmmaState {
  struct Use {
    uint64_t accumulator = 0;     ///< Newest operation that writes it.
    uint64_t fragment = 0;        ///< Newest operation that reads A from it.
    const Inst *adder = nullptr;  ///< The wgmma of `accumulator`.
    uint32_t shape = 0;           ///< Its shape.
    const Inst *access = nullptr; ///< Newest other instruction.
    uint64_t added = 0, accessed = 0;
  };
  std::vector<Use> uses; ///< By held register.
  std::deque<WgmmaOperation> pending;
  std::deque<uint64_t> groups; ///< The last operation of each pending group.
  uint64_t issued = 0;
  uint64_t computed = 0;     ///< Operations whose results are in the registers.
  uint64_t completed = 0;    ///< Operations that this warp has waited for.
  std::vector<Time> commits; ///< When each group was committed.
  uint64_t now = 0, fence = 0; ///< A fence at time 0 is none.
  bool hasWaited = false;      ///< For some operation, since the last fence.

  /// An operation that is not complete.
  const Inst &operation(uint64_t number) const {
    return *pending[size_t(number - completed - 1)].inst;
  }
};

/// Finds the held registers of decoded code and puts the checks before the
/// handlers of other instructions. \p reads and \p writes list registers by
/// instruction, \p rows has their places.
void findHeldRegisters(Program &program,
                       const std::vector<std::vector<uint32_t>> &reads,
                       const std::vector<std::vector<uint32_t>> &writes,
                       const std::vector<uint32_t> &rows,
                       const std::vector<std::string> &names);

/// Checks the registers of a wgmma, the first `accumulators` of its operands
/// being those of D, and puts it under way. `shape` is equal for instructions
/// that may follow each other on one accumulator. Returns false after a report.
bool issueOperation(Warp &warp, const WgmmaOperation &operation,
                    unsigned accumulators, uint32_t shape);

} // namespace ropewalk::emulator

#endif // ROPEWALK_LIB_EMULATOR_WGMMA_H
