//===- MatrixFlags.h - Decoded form of mma and wmma.mma ---------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Inst::data of the instructions that multiply, and what handlers share.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_LIB_EMULATOR_MATRIXFLAGS_H
#define ROPEWALK_LIB_EMULATOR_MATRIXFLAGS_H

#include "Fragments.h"

namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA {

enum class Accumulator : uint8_t { Float, Half, Integer };

/// Inst::data. The operands in Program::operands are D, A, B, C.
struct MatrixShape {
  TensorType a = TensorType::F16, b = TensorType::F16;
  Accumulator accumulator = Accumulator::Float;
  bool isHalf = false; ///< 8 rows instead of 16.
  bool saturates = false;
  bool isXor = false; ///< Of single-bit types, otherwise "and".
  unsigned cores = 1; ///< Core matrices along k.

  uint32_t pack() const {
    return uint32_t(a) | uint32_t(b) << 4 | uint32_t(accumulator) << 8 |
           uint32_t(isHalf) << 12 | uint32_t(saturates) << 13 |
           uint32_t(isXor) << 14 | cores << 16;
  }
  static MatrixShape unpack(uint32_t data) {
    MatrixShape shape;
    shape.a = TensorType(data & 15);
    shape.b = TensorType(data >> 4 & 15);
    shape.accumulator = Accumulator(data >> 8 & 15);
    shape.isHalf = data >> 12 & 1;
    shape.saturates = data >> 13 & 1;
    shape.isXor = data >> 14 & 1;
    shape.cores = data >> 16 & 15;
    return shape;
  }
};

ROPEWALK_INLINE const Ref *operandsOf(const Warp &warp, const Inst &inst) {
  return warp.block->program.operands.data() + inst.extra;
}
ROPEWALK_INLINE const std::byte *rowOf(const Warp &warp, Ref ref) {
  return warp.bank[ref.bank] + ref.offset;
}
ROPEWALK_INLINE void countProducts(Warp &warp, uint64_t all, uint64_t useful) {
  Counters &counters = warp.block->worker.counters;
  counters.tensorFlops += 2 * all;
  counters.usefulTensorFlops += 2 * useful;
}

// Handlers that mma and wmma.mma share; one block of 8 columns.
bool multiplyAny(Warp &warp, const Inst &inst, uint32_t mask);
bool multiplyDouble(Warp &warp, const Inst &inst, uint32_t mask);
bool multiplyBits(Warp &warp, const Inst &inst, uint32_t mask);
/// Takes a type of A or B. `group` names the types that go together: "f16",
/// "bf16", "tf32", "fp8", "int8", "int4", "b1" or "f64".
bool takeFactorType(InstDecoder &d, TensorType &type, std::string &group);

} // namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA

#endif // ROPEWALK_LIB_EMULATOR_MATRIXFLAGS_H
