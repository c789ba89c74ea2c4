//===- OpsCopy.cpp - Asynchronous copies ------------------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// cp.async, cp.async.bulk and cp.async.bulk.tensor.
//
//===----------------------------------------------------------------------===//

#include "LaneWise.h"

namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA {

void addCopyOpcodes(OpcodeTable &) {}

} // namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA

#include "LanesEnd.h"
