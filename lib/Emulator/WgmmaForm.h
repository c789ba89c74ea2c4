//===- WgmmaForm.h - Decoded form of wgmma ----------------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Inst::data of wgmma.mma_async, whose op[0] is scale-d, op[1] and op[2] the
// descriptors; the registers in Program::operands are those of D, then A.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_LIB_EMULATOR_WGMMAFORM_H
#define ROPEWALK_LIB_EMULATOR_WGMMAFORM_H

#include "MatrixFlags.h"

namespace ropewalk::emulator {
struct MatrixLayout;
} // namespace ropewalk::emulator

namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA {

struct WgmmaForm {
  TensorType a = TensorType::F16, b = TensorType::F16;
  Accumulator accumulator = Accumulator::Float;
  bool isBits = false; ///< Single-bit types instead of `a` and `b`.
  bool saturates = false;
  bool negates = false; ///< The product of imm-scale-a and imm-scale-b is -1.
  bool hasFragments = false; ///< A comes from registers.
  bool isMMajor = false, isNMajor = false;
  unsigned n = 8;

  /// Registers of D.
  unsigned registers() const {
    return accumulator == Accumulator::Half ? n / 4 : n / 2;
  }
  unsigned groups() const { return n / 8; }
  /// Elements along k.
  unsigned depth() const { return isBits ? 256 : 2 * coreElements(a); }

  uint32_t pack() const {
    return uint32_t(a) | uint32_t(b) << 4 | uint32_t(accumulator) << 8 |
           uint32_t(isBits) << 12 | uint32_t(saturates) << 13 |
           uint32_t(negates) << 14 | uint32_t(hasFragments) << 15 |
           uint32_t(isMMajor) << 16 | uint32_t(isNMajor) << 17 | n << 20;
  }
  static WgmmaForm unpack(uint32_t data) {
    WgmmaForm form;
    form.a = TensorType(data & 15);
    form.b = TensorType(data >> 4 & 15);
    form.accumulator = Accumulator(data >> 8 & 15);
    form.isBits = data >> 12 & 1;
    form.saturates = data >> 13 & 1;
    form.negates = data >> 14 & 1;
    form.hasFragments = data >> 15 & 1;
    form.isMMajor = data >> 16 & 1;
    form.isNMajor = data >> 17 & 1;
    form.n = data >> 20;
    return form;
  }
};

/// Checks and records that the warp's wgmma reads groups `first` to `first` +
/// `count` of 8 rows or columns. Returns false after a report.
bool readMatrix(Warp &warp, const Inst &inst, const MatrixLayout &layout,
                unsigned first, unsigned count);

/// Executes the warp's operations up to number `last`, which then are still in
/// the hands of the tensor cores as far as the warp may know.
void computeOperations(Warp &warp, uint64_t last);
/// Likewise; the warp has waited for them.
void completeOperations(Warp &warp, uint64_t last);

} // namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA

#endif // ROPEWALK_LIB_EMULATOR_WGMMAFORM_H
