//===- Wmma.h - Shapes of wmma ----------------------------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What wmma.load, wmma.store and wmma.mma agree on.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_LIB_EMULATOR_WMMA_H
#define ROPEWALK_LIB_EMULATOR_WMMA_H

#include "Lanes.h"

namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA {

struct WmmaForm {
  unsigned m = 0, n = 0, k = 0;
  unsigned bits = 0;     ///< Of an element of A and B.
  bool isPadded = false; ///< Fragments of A and B have 8 registers (f16).
};

/// `group` as from takeFactorType. Returns false if there is no such shape.
bool findWmmaForm(const std::string &shape, const std::string &group,
                  WmmaForm &form);
/// The same by the type of the accumulators: "f16", "f32", "s32" or "f64". Only
/// m and n are meant.
bool findWmmaAccumulator(const std::string &shape, const std::string &type,
                         WmmaForm &form);

/// The rest of wmma.load or wmma.store.
bool decodeWmmaMemory(InstDecoder &d, Inst &inst, bool isLoad);
bool decodeWmma(InstDecoder &d, Inst &inst);

} // namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA

#endif // ROPEWALK_LIB_EMULATOR_WMMA_H
