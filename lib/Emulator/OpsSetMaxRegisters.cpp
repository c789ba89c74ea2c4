//===- OpsSetMaxRegisters.cpp - Registers from warp to warp -----*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// setmaxnreg. The emulator itself needs no registers: it keeps the accounts,
// and a warp that asks for more than there is waits as on the chip.
//
//===----------------------------------------------------------------------===//

#include "Cluster.h"
#include "Warpgroup.h"

#include "Lanes.h"

namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA {

namespace {

constexpr uint32_t WarpLanes = 32, Least = 24, Most = 256;

bool fail(Warp &warp, const Inst &inst, const std::string &detail) {
  return warp.block->fail(warp, inst, ReportKind::RegisterBudget, -1, detail);
}

bool setMaxRegisters(Warp &warp, const Inst &inst, uint32_t mask) {
  Block &block = *warp.block;
  Warpgroups &groups = *block.warpgroups;
  uint32_t wanted = inst.data, &have = groups.registers[warp.index];
  bool increases = inst.count != 0;
  if (mask != ~uint32_t(0))
    return block.fail(warp, inst, ReportKind::WarpSync, std::countr_zero(~mask),
                      "needs all 32 lanes of the warp, and this one does not "
                      "take part");
  if (groups.initialRegisters == 0)
    return fail(warp, inst,
                "has no effect in a kernel with neither .maxnreg nor .maxntid "
                "and launched without a number of registers: nobody knows what "
                "a thread has");
  if (increases ? wanted < have : wanted > have)
    return fail(warp, inst,
                "asks for " + std::to_string(wanted) +
                    " registers a thread, but the threads have " +
                    std::to_string(have));
  if (increases) {
    uint64_t needed = uint64_t(wanted - have) * WarpLanes;
    // What there is if all other warps go down as far as they can.
    uint64_t others = block.warps.size() - 1;
    uint64_t all =
        uint64_t(groups.initialRegisters) * WarpLanes * block.warps.size();
    if (uint64_t(wanted) * WarpLanes + others * Least * WarpLanes > all)
      return fail(warp, inst,
                  "asks for " + std::to_string(wanted) +
                      " registers a thread, more than the block's " +
                      std::to_string(all) + " can ever give");
    if (groups.pool < needed) {
      warp.isBlocked = true;
      return true;
    }
    groups.pool -= needed;
  } else {
    groups.pool += uint64_t(have - wanted) * WarpLanes;
    ++block.cluster.progress;
  }
  have = wanted;
  return stepWarpgroup(warp, inst);
}

bool decodeSetMaxRegisters(InstDecoder &d, Inst &inst) {
  inst.kind = InstKind::Waiting;
  inst.cls = InstClass::Control;
  inst.movesRegisters = true;
  inst.handler = &setMaxRegisters;
  d.program().usesWarpgroups = true;
  int action = d.takeOneOf({"dec", "inc"});
  if (action < 0)
    return d.fail("expected '.inc' or '.dec'");
  if (!d.take("sync") || !d.take("aligned") || !d.take("u32"))
    return d.fail("expected '.sync.aligned.u32'");
  inst.count = uint8_t(action);
  int64_t value = 0;
  if (!d.finish(1) || !d.immediate(0, value))
    return false;
  if (value < Least || value > Most || value % 8)
    return d.fail("expected a multiple of 8 from 24 to 256, found " +
                  std::to_string(value));
  inst.data = uint32_t(value);
  Program &program = d.program();
  if (action)
    program.leastIncrease = std::min(program.leastIncrease, inst.data);
  else
    program.mostDecrease = std::max(program.mostDecrease, inst.data);
  return true;
}

} // namespace

void addRegisterOpcodes(OpcodeTable &table) {
  table["setmaxnreg"] = &decodeSetMaxRegisters;
}

} // namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA

#include "LanesEnd.h"
