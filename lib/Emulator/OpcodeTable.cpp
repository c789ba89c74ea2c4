//===- OpcodeTable.cpp - All opcodes ----------------------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The one place where the families of instructions meet.
//
//===----------------------------------------------------------------------===//

#include "Lanes.h"

namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA {

const OpcodeTable *buildTable() {
  static const OpcodeTable *table = [] {
    auto *result = new OpcodeTable;
    addIntegerOpcodes(*result);
    addLogicOpcodes(*result);
    addFloatOpcodes(*result);
    addSpecialOpcodes(*result);
    addHalfOpcodes(*result);
    addCompareOpcodes(*result);
    addMoveOpcodes(*result);
    addConvertOpcodes(*result);
    addMemoryOpcodes(*result);
    addAtomicOpcodes(*result);
    addWarpOpcodes(*result);
    addControlOpcodes(*result);
    addCallOpcodes(*result);
    addFenceOpcodes(*result);
    addCacheHintOpcodes(*result);
    addExtendedOpcodes(*result);
    addVideoOpcodes(*result);
    addMatrixOpcodes(*result);
    addMmaOpcodes(*result);
    addWgmmaOpcodes(*result);
    addMbarrierOpcodes(*result);
    addCopyOpcodes(*result);
    addTensorMapOpcodes(*result);
    addClusterOpcodes(*result);
    return result;
  }();
  return table;
}

} // namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA

#include "LanesEnd.h"
