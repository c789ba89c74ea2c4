//===- ConvertModifiers.h - What conversions share --------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Bits of Inst::data of a cvt beside those of floats, and the parts of the
// decoder that lie in different files.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_LIB_EMULATOR_CONVERTMODIFIERS_H
#define ROPEWALK_LIB_EMULATOR_CONVERTMODIFIERS_H

#include "FloatModifiers.h"

namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA {

enum ConvertFlags : uint32_t {
  ConvertIntegral = 1 << 12, ///< .rni, .rzi, ...
  ConvertFinite = 1 << 13,   ///< .satfinite
};

/// Decodes conversions to packed and other formats that are no scalar types.
/// Returns whether the next modifier names one; then `isGood` tells whether
/// the instruction is right.
bool decodeNarrow(InstDecoder &d, Inst &inst, bool hasRounding, bool &isGood);

/// f32 to f16 or bf16; null if the modifiers need another way.
Handler narrowingHandler(const Inst &inst, ScalarType to);
/// f16 or bf16 to f32.
Handler wideningHandler(ScalarType from);

} // namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA

#endif // ROPEWALK_LIB_EMULATOR_CONVERTMODIFIERS_H
