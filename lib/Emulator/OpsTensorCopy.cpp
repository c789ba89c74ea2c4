//===- OpsTensorCopy.cpp - Bulk copies of tensors ---------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// cp.async.bulk.tensor, cp.reduce.async.bulk.tensor and
// cp.async.bulk.prefetch.tensor.
//
//===----------------------------------------------------------------------===//

#include "Lanes.h"

namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA {

bool decodeTensorCopy(InstDecoder &d, Inst &) {
  return d.unsupported("a bulk copy of a tensor");
}

} // namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA

#include "LanesEnd.h"
