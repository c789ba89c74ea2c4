//===- SharedOperand.h - Addresses in shared memory -------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Address operands of instructions that have several of them and work lane by
// lane. Operand `slot` of an instruction has its base in Inst::op[slot] and its
// displacement as a constant in Inst::list[slot]; bits of Inst::data say what
// kind of address it is.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_LIB_EMULATOR_SHAREDOPERAND_H
#define ROPEWALK_LIB_EMULATOR_SHAREDOPERAND_H

#include "Cluster.h"
#include "Lanes.h"

namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA {

/// Where the address operand of a slot may point.
enum class AddressKind : uint8_t {
  Global,        ///< .global
  Generic,       ///< Generic, to be in shared memory.
  GenericGlobal, ///< Generic, to be in global memory.
  SharedBlock,   ///< .shared::cta
  SharedCluster  ///< .shared::cluster
};

/// Bits of Inst::data, for slots 0 to 3; the handler's own ones come after.
enum OperandFlags : uint32_t {
  OperandNarrow = 1,       ///< 32-bit base.
  OperandGeneric = 1 << 4, ///< Counts from the start of all windows.
  OperandOwn = 1 << 8,     ///< Not in another block's memory.
  OperandFlagShift = 12,   ///< First bit of the handler.
};

/// A block's shared memory and the offset there.
struct SharedPlace {
  Block *block = nullptr;
  uint64_t offset = 0;
};

ROPEWALK_INLINE bool addressOperand(InstDecoder &d, unsigned index,
                                    unsigned slot, AddressKind kind,
                                    Inst &inst) {
  bool isShared = kind >= AddressKind::SharedBlock;
  Space space = isShared                      ? Space::Shared
                : kind == AddressKind::Global ? Space::Global
                                              : Space::Generic;
  uint32_t bytes = 0;
  int64_t offset = 0;
  if (!d.address(index, space, inst.op[slot], bytes, offset))
    return false;
  inst.list[slot] = d.constant(uint64_t(offset), 8);
  if (bytes == 4)
    inst.data |= OperandNarrow << slot;
  if (kind == AddressKind::Generic || kind == AddressKind::GenericGlobal)
    inst.data |= OperandGeneric << slot;
  if (kind == AddressKind::SharedBlock)
    inst.data |= OperandOwn << slot;
  return true;
}

/// The address as the program gives it.
ROPEWALK_INLINE uint64_t laneAddress(Warp &warp, const Inst &inst,
                                     unsigned slot, unsigned lane) {
  uint64_t offset = *lanes<uint64_t>(warp, inst.list[slot]);
  if (inst.data & OperandNarrow << slot)
    return uint32_t(lanes<uint32_t>(warp, inst.op[slot])[lane] + offset);
  return lanes<uint64_t>(warp, inst.op[slot])[lane] + offset;
}

ROPEWALK_INLINE Vec<uint64_t> laneAddresses(Warp &warp, const Inst &inst,
                                            unsigned slot) {
  uint64_t offset = *lanes<uint64_t>(warp, inst.list[slot]);
  if (inst.data & OperandNarrow << slot)
    return __builtin_convertvector(
        get<uint32_t>(warp, inst.op[slot]) + uint32_t(offset), Vec<uint64_t>);
  return get<uint64_t>(warp, inst.op[slot]) + offset;
}

/// Finds the place in shared memory. Returns false after a report.
ROPEWALK_INLINE bool sharedPlace(Warp &warp, const Inst &inst, unsigned slot,
                                 unsigned lane, SharedPlace &place) {
  uint64_t address = laneAddress(warp, inst, slot, lane);
  bool isGeneric = inst.data & OperandGeneric << slot;
  bool isOwn = inst.data & OperandOwn << slot;
  if (!findSharedPlace(warp, inst, lane, address, isGeneric, isOwn, place.block,
                       place.offset))
    return false;
  if (place.block == warp.block || !place.block->hasExited()) [[likely]]
    return true;
  return warp.block->failAt(
      warp, inst, ReportKind::ClusterMisuse, int(lane), address,
      "needs the shared memory of block " + std::to_string(place.block->index) +
          ", which has exited");
}

} // namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA

#endif // ROPEWALK_LIB_EMULATOR_SHAREDOPERAND_H
