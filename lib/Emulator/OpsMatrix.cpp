//===- OpsMatrix.cpp - Matrix fragments in shared memory --------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// ldmatrix, stmatrix and movmatrix.
//
//===----------------------------------------------------------------------===//

#include "LaneWise.h"

namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA {

void addMatrixOpcodes(OpcodeTable &) {}

} // namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA

#include "LanesEnd.h"
