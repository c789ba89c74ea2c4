//===- OpsCacheHints.cpp - Instructions for caches --------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// prefetch, prefetchu, applypriority, createpolicy and discard. There are no
// caches, so that all but discard do nothing: that one leaves its bytes
// undefined, which is a write.
//
//===----------------------------------------------------------------------===//

#include "MemoryAccess.h"

namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA {

namespace {

using S = ScalarType;

/// Bytes that discard and applypriority work on, and their alignment.
constexpr uint32_t LineBytes = 128;

bool nothing(Warp &, const Inst &, uint32_t) { return true; }

bool setHint(Inst &inst) {
  inst.cls = InstClass::Control;
  inst.handler = &nothing;
  return true;
}

bool decodePrefetch(InstDecoder &d, Inst &inst) {
  if (d.peek() == "tensormap" || d.peek(1) == "tensormap")
    return decodeTensorMapPrefetch(d, inst);
  uint32_t bytes = 0;
  setHint(inst);
  Space space = d.take("global")  ? Space::Global
                : d.take("local") ? Space::Local
                                  : Space::Generic;
  bool hasPriority = space == Space::Global &&
                     d.takeOneOf({"L2::evict_last", "L2::evict_normal"}) >= 0;
  if (!hasPriority && d.takeOneOf({"L1", "L2"}) < 0)
    return d.fail("expected '.L1' or '.L2'");
  return d.finish(1) && d.address(0, space, inst.op[0], bytes, inst.offset);
}

bool decodeUniformPrefetch(InstDecoder &d, Inst &inst) {
  uint32_t bytes = 0;
  setHint(inst);
  if (!d.take("L1"))
    return d.fail("expected '.L1'");
  return d.finish(1) &&
         d.address(0, Space::Generic, inst.op[0], bytes, inst.offset);
}

/// [a], 128 in global memory.
bool decodeLine(InstDecoder &d, Inst &inst, const char *what) {
  inst.cls = InstClass::Control;
  Space space = d.take("global") ? Space::Global : Space::Generic;
  if (!d.take(what))
    return d.fail(std::string("expected '.") + what + "'");
  uint32_t bytes = 0;
  int64_t size = 0;
  if (!d.finish(2) || !d.address(0, space, inst.op[0], bytes, inst.offset) ||
      !d.immediate(1, size))
    return false;
  if (size != LineBytes)
    return d.failAt(d.operand(1),
                    "expected a size of 128, found " + std::to_string(size));
  return true;
}

/// The address of the lane's line; false after a report.
bool findLine(Warp &warp, const Inst &inst, unsigned lane, uint64_t &address) {
  address = lanes<uint64_t>(warp, inst.op[0])[lane] + uint64_t(inst.offset);
  if (address % LineBytes)
    return warp.block->failAt(warp, inst, ReportKind::Misaligned, int(lane),
                              address, "address is not a multiple of 128");
  std::string reason;
  if (!warp.block->launch.memory->findRange(address, LineBytes, reason))
    return warp.block->failAt(warp, inst, ReportKind::OutOfBounds, int(lane),
                              address, reason);
  return true;
}

bool applyPriority(Warp &warp, const Inst &inst, uint32_t mask) {
  for (; mask; mask &= mask - 1) {
    uint64_t address;
    if (!findLine(warp, inst, unsigned(std::countr_zero(mask)), address))
      return false;
  }
  return true;
}

bool discard(Warp &warp, const Inst &inst, uint32_t mask) {
  DeviceMemory &memory = *warp.block->launch.memory;
  for (; mask; mask &= mask - 1) {
    unsigned lane = unsigned(std::countr_zero(mask));
    uint64_t address;
    if (!findLine(warp, inst, lane, address))
      return false;
    std::byte *host =
        accessGlobal({&warp, &inst, lane}, address, LineBytes, true);
    if (!host)
      return false;
    std::memset(host, 0xcd, LineBytes);
    memory.markInvalid(*memory.find(address), address, LineBytes);
  }
  return true;
}

bool decodeApplyPriority(InstDecoder &d, Inst &inst) {
  inst.handler = &applyPriority;
  return decodeLine(d, inst, "L2::evict_normal");
}

bool decodeDiscard(InstDecoder &d, Inst &inst) {
  inst.handler = &discard;
  // The marks of a buffer may have to be made, which one thread alone can do.
  d.program().communicates = true;
  return decodeLine(d, inst, "L2");
}

/// A policy is opaque; only its hints would look into it.
bool createPolicy(Warp &warp, const Inst &inst, uint32_t mask) {
  put<uint64_t>(warp, inst.op[0], (Vec<uint64_t>)(0x12f0000000000000), mask);
  return true;
}

bool takePriorities(InstDecoder &d) {
  if (d.takeOneOf({"L2::evict_last", "L2::evict_normal", "L2::evict_first",
                   "L2::evict_unchanged"}) < 0)
    return d.fail("expected a primary priority");
  d.takeOneOf({"L2::evict_first", "L2::evict_unchanged"});
  return true;
}

bool decodeCreatePolicy(InstDecoder &d, Inst &inst) {
  inst.cls = InstClass::Move;
  inst.handler = &createPolicy;
  if (d.take("cvt")) {
    if (!d.take("L2"))
      return d.fail("expected '.L2'");
    return d.take("b64") && d.finish(2) &&
           d.destination(0, S::B64, inst.op[0]) &&
           d.source(1, S::B64, inst.op[1]);
  }
  if (d.take("fractional")) {
    if (!takePriorities(d))
      return false;
    if (!d.take("b64"))
      return d.fail("expected '.b64'");
    return d.finish(1, 2) && d.destination(0, S::B64, inst.op[0]) &&
           (d.operandCount() == 1 || d.source(1, S::F32, inst.op[1]));
  }
  if (!d.take("range"))
    return d.fail("expected '.fractional', '.range' or '.cvt'");
  Space space = d.take("global") ? Space::Global : Space::Generic;
  uint32_t bytes = 0;
  int64_t offset = 0;
  if (!takePriorities(d))
    return false;
  if (!d.take("b64"))
    return d.fail("expected '.b64'");
  return d.finish(4) && d.destination(0, S::B64, inst.op[0]) &&
         d.address(1, space, inst.op[1], bytes, offset) &&
         d.source(2, S::B32, inst.op[2]) && d.source(3, S::B32, inst.op[3]);
}

} // namespace

void addCacheHintOpcodes(OpcodeTable &table) {
  table["prefetch"] = &decodePrefetch;
  table["prefetchu"] = &decodeUniformPrefetch;
  table["applypriority"] = &decodeApplyPriority;
  table["discard"] = &decodeDiscard;
  table["createpolicy"] = &decodeCreatePolicy;
}

} // namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA

#include "LanesEnd.h"
