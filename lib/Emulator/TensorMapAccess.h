//===- TensorMapAccess.h - Tensor maps in memory ----------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What a lane finds at the address of a tensor map, with the checks of the map
// and of the tensor that it describes.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_LIB_EMULATOR_TENSORMAPACCESS_H
#define ROPEWALK_LIB_EMULATOR_TENSORMAPACCESS_H

#include "Ordering.h"
#include "Ropewalk/Emulator/TensorMap.h"

namespace ropewalk::emulator {

/// Reads the tensor map at a generic address. Returns false after a report: in
/// shared or local memory, out of bounds, not aligned, no tensor map.
bool readTensorMap(const Actor &actor, uint64_t address, TensorMap &map);

/// Checks that `map` has `rank` dimensions and that its whole tensor lies in
/// one live buffer. Returns false after a report.
bool checkTensor(const Actor &actor, uint64_t address, const TensorMap &map,
                 uint32_t rank);

/// Replaces a field of the tensor map at an address of shared memory of the
/// actor's block or of global memory. Returns false after a report.
bool replaceTensorMapField(const Actor &actor, bool isShared, uint64_t address,
                           TensorMapField field, uint32_t ordinal,
                           uint64_t value);

} // namespace ropewalk::emulator

#endif // ROPEWALK_LIB_EMULATOR_TENSORMAPACCESS_H
