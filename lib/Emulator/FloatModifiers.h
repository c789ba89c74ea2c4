//===- FloatModifiers.h - Modifiers of float instructions -------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The bits of Inst::data that float handlers share.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_LIB_EMULATOR_FLOATMODIFIERS_H
#define ROPEWALK_LIB_EMULATOR_FLOATMODIFIERS_H

#include "Lanes.h"
#include "Rounding.h"

namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA {

enum FloatFlags : uint32_t {
  FloatFlush = 1,    ///< .ftz
  FloatSaturate = 2, ///< .sat
  FloatNaN = 4,      ///< .NaN
  FloatXorSign = 8,  ///< .xorsign.abs
  FloatRelu = 16,    ///< .relu
};
constexpr unsigned FloatRoundingShift = 8;

ROPEWALK_INLINE Rounding roundingOf(uint32_t data) {
  return Rounding(data >> FloatRoundingShift & 7);
}

/// Takes .rn, .rz, .rm or .rp; false if none is next.
bool takeRounding(InstDecoder &d, uint32_t &data);

} // namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA

#endif // ROPEWALK_LIB_EMULATOR_FLOATMODIFIERS_H
