//===- OpsMma.cpp - Matrix multiplication by a warp -------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// mma and wmma.
//
//===----------------------------------------------------------------------===//

#include "LaneWise.h"

namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA {

void addMmaOpcodes(OpcodeTable &) {}

} // namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA

#include "LanesEnd.h"
