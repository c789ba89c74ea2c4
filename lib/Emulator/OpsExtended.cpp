//===- OpsExtended.cpp - Extended integer arithmetic ------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// add.cc, madc, dp4a, bmsk, fns and their kind.
//
//===----------------------------------------------------------------------===//

#include "LaneWise.h"

namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA {

void addExtendedOpcodes(OpcodeTable &) {}

} // namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA

#include "LanesEnd.h"
