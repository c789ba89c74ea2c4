//===- OpsCluster.cpp - Blocks of a cluster ---------------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// mapa, getctarank and barrier.cluster.
//
//===----------------------------------------------------------------------===//

#include "LaneWise.h"

namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA {

void addClusterOpcodes(OpcodeTable &) {}

} // namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA

#include "LanesEnd.h"
