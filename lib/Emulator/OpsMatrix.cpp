//===- OpsMatrix.cpp - Matrix fragments in shared memory --------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// ldmatrix, stmatrix and movmatrix on 8 x 8 matrices of 16-bit elements. Lane
// 4 * g + t of a register holds elements 2 * t and 2 * t + 1 of row g: the
// register is the matrix, row by row. Lanes 8 * i to 8 * i + 7 give the
// addresses of the rows of matrix i, and an access is one of 16 bytes by as
// many lanes as there are rows.
//
//===----------------------------------------------------------------------===//

#include "MemoryAccess.h"

namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA {

namespace {

/// Above the bits of MemoryFlags that an address needs.
constexpr uint32_t MatrixTransposed = 1 << 16;

using Elements = uint16_t __attribute__((ext_vector_type(64)));

template <unsigned Count>
using Part = uint16_t __attribute__((ext_vector_type(Count)));

ROPEWALK_INLINE Part<8> loadRow(uint64_t host) {
  Part<8> row;
  std::memcpy(&row, reinterpret_cast<const void *>(host), sizeof row);
  return row;
}
ROPEWALK_INLINE Part<16> concatenate(Part<8> a, Part<8> b) {
  Part<16> result;
  result.lo = a;
  result.hi = b;
  return result;
}
ROPEWALK_INLINE Part<32> concatenate(Part<16> a, Part<16> b) {
  Part<32> result;
  result.lo = a;
  result.hi = b;
  return result;
}
ROPEWALK_INLINE Elements concatenate(Part<32> a, Part<32> b) {
  Elements result;
  result.lo = a;
  result.hi = b;
  return result;
}

ROPEWALK_INLINE Elements transpose(Elements matrix) {
  return __builtin_shufflevector(
      matrix, matrix, 0, 8, 16, 24, 32, 40, 48, 56, 1, 9, 17, 25, 33, 41, 49,
      57, 2, 10, 18, 26, 34, 42, 50, 58, 3, 11, 19, 27, 35, 43, 51, 59, 4, 12,
      20, 28, 36, 44, 52, 60, 5, 13, 21, 29, 37, 45, 53, 61, 6, 14, 22, 30, 38,
      46, 54, 62, 7, 15, 23, 31, 39, 47, 55, 63);
}

/// The lanes that give addresses of rows.
constexpr uint32_t lanesOfRows(unsigned count) {
  return count == 4 ? ~uint32_t(0) : (uint32_t(1) << 8 * count) - 1;
}

/// A generic address may lie anywhere, but these instructions know only the
/// block's shared memory.
bool resolveRows(Warp &warp, const Inst &inst, AccessKind kind,
                 Access &access) {
  uint32_t mask = lanesOfRows(inst.count);
  if (Space(inst.data >> MemorySpaceShift & 15) == Space::Generic) {
    Vec<uint64_t> address =
        get<uint64_t>(warp, inst.op[0]) + uint64_t(inst.offset);
    uint32_t outside = maskOf(address - SharedWindow >= WindowBytes) & mask;
    if (outside) {
      unsigned lane = std::countr_zero(outside);
      return warp.block->failAt(warp, inst, ReportKind::OutOfBounds, int(lane),
                                address[lane],
                                "has the generic address of a row that is not "
                                "in the block's shared memory");
    }
  }
  return resolve(warp, inst, mask, kind, 16, access);
}

template <unsigned Count>
bool loadMatrix(Warp &warp, const Inst &inst, uint32_t) {
  Access access;
  if (!resolveRows(warp, inst, AccessKind::Load, access))
    return false;
  for (unsigned i = 0; i < Count; ++i) {
    std::byte *target = lanes<std::byte>(warp, inst.list[i]);
    const uint64_t *rows = access.host + 8 * i;
    Elements matrix = concatenate(
        concatenate(concatenate(loadRow(rows[0]), loadRow(rows[1])),
                    concatenate(loadRow(rows[2]), loadRow(rows[3]))),
        concatenate(concatenate(loadRow(rows[4]), loadRow(rows[5])),
                    concatenate(loadRow(rows[6]), loadRow(rows[7]))));
    if (inst.data & MatrixTransposed)
      matrix = transpose(matrix);
    std::memcpy(target, &matrix, sizeof matrix);
  }
  return true;
}

template <unsigned Count>
bool storeMatrix(Warp &warp, const Inst &inst, uint32_t) {
  Access access;
  if (!resolveRows(warp, inst, AccessKind::Store, access))
    return false;
  for (unsigned i = 0; i < Count; ++i) {
    Elements matrix;
    std::memcpy(&matrix, lanes<std::byte>(warp, inst.list[i]), sizeof matrix);
    if (inst.data & MatrixTransposed)
      matrix = transpose(matrix);
    for (unsigned row = 0; row < 8; ++row)
      std::memcpy(reinterpret_cast<void *>(access.host[8 * i + row]),
                  reinterpret_cast<const std::byte *>(&matrix) + row * 16, 16);
  }
  return true;
}

bool moveMatrix(Warp &warp, const Inst &inst, uint32_t) {
  Elements matrix;
  std::memcpy(&matrix, lanes<std::byte>(warp, inst.op[1]), sizeof matrix);
  matrix = transpose(matrix);
  std::memcpy(lanes<std::byte>(warp, inst.op[0]), &matrix, sizeof matrix);
  return true;
}

bool takeSyncAligned(InstDecoder &d) {
  return (d.take("sync") && d.take("aligned")) ||
         d.fail("expected '.sync.aligned'");
}

bool decodeLoadStore(InstDecoder &d, Inst &inst) {
  bool isLoad = d.base() == "ldmatrix";
  if (!takeSyncAligned(d))
    return false;
  if (!d.take("m8n8"))
    return d.unsupported("shape '." + d.peek() + "'");
  int log = d.takeOneOf({"x1", "x2", "x4"});
  if (log < 0)
    return d.fail("expected '.x1', '.x2' or '.x4'");
  unsigned count = 1u << log;
  if (d.take("trans"))
    inst.data |= MatrixTransposed;
  Space space = Space::Generic;
  if (d.takeOneOf({"shared", "shared::cta"}) >= 0)
    space = Space::Shared;
  if (!d.take("b16"))
    return d.unsupported("modifier '." + d.peek() + "'");
  if (!d.finish(2))
    return false;
  inst.kind = InstKind::Aligned;
  inst.cls = isLoad ? InstClass::SharedLoad : InstClass::SharedStore;
  inst.count = uint8_t(count);
  inst.data |= uint32_t(space) << MemorySpaceShift;
  const OperandSyntax &value = d.operand(isLoad ? 0 : 1);
  bool isVector = value.kind == OperandSyntax::Vector;
  if (isVector ? value.parts.size() != count : count != 1)
    return d.failAt(value, "expected a vector of " + std::to_string(count) +
                               " registers");
  for (unsigned i = 0; i < count; ++i) {
    const OperandSyntax &element = isVector ? value.parts[i] : value;
    if (!(isLoad ? d.destination(element, ScalarType::B32, inst.list[i])
                 : d.source(element, ScalarType::B32, inst.list[i])))
      return false;
  }
  // The address comes last, as it counts only in the lanes that have a row.
  uint32_t baseBytes = 0;
  const OperandSyntax &address = d.operand(isLoad ? 1 : 0);
  if (!d.address(isLoad ? 1 : 0, space, inst.op[0], baseBytes, inst.offset))
    return false;
  if (baseBytes == 4)
    inst.data |= MemoryNarrowBase;
  if (address.kind == OperandSyntax::Memory) {
    inst.optionalReads = 1;
    inst.optionalWhere = d.constant(lanesOfRows(count), 4);
  }
  if (isLoad)
    inst.handler = count == 1   ? &loadMatrix<1>
                   : count == 2 ? &loadMatrix<2>
                                : &loadMatrix<4>;
  else
    inst.handler = count == 1   ? &storeMatrix<1>
                   : count == 2 ? &storeMatrix<2>
                                : &storeMatrix<4>;
  return true;
}

bool decodeMove(InstDecoder &d, Inst &inst) {
  if (!takeSyncAligned(d))
    return false;
  if (!d.take("m8n8"))
    return d.unsupported("shape '." + d.peek() + "'");
  if (!d.take("trans") || !d.take("b16"))
    return d.fail("expected '.trans.b16'");
  inst.kind = InstKind::Aligned;
  inst.cls = InstClass::WarpExchange;
  inst.handler = &moveMatrix;
  return d.finish(2) && d.destination(0, ScalarType::B32, inst.op[0]) &&
         d.source(1, ScalarType::B32, inst.op[1]);
}

} // namespace

void addMatrixOpcodes(OpcodeTable &table) {
  table["ldmatrix"] = &decodeLoadStore;
  table["stmatrix"] = &decodeLoadStore;
  table["movmatrix"] = &decodeMove;
}

} // namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA

#include "LanesEnd.h"
