//===- OpsWmma.cpp - wmma.mma -----------------------------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Fragments are those of mma.sync (see OpsWmmaMemory.cpp), whatever the layout
// in memory was, so a product is one of blocks of 16 rows and 8 columns. Sums
// are formed as in OpsMma.cpp.
//
//===----------------------------------------------------------------------===//

#include "MatrixFlags.h"
#include "Rounding.h"
#include "Wmma.h"

namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA {

namespace {

using S = ScalarType;

/// Inst::data above that of MatrixShape.
enum WmmaFlags : uint32_t {
  WmmaRowBlocksShift = 20,    ///< Blocks of 16 rows; 1 for 8 rows.
  WmmaColumnBlocksShift = 22, ///< Blocks of 8 columns.
  WmmaHalfSource = 1 << 25,   ///< C is f16; D may be another.
  WmmaPadded = 1 << 26,       ///< A and B have 8 registers.
  WmmaRoundingShift = 28,
};

/// f16, bf16, tf32 and 8-bit integers.
bool multiplyBlocks(Warp &warp, const Inst &inst, uint32_t) {
  const MatrixShape shape = MatrixShape::unpack(inst.data);
  const unsigned rowBlocks = inst.data >> WmmaRowBlocksShift & 3;
  const unsigned columnBlocks = inst.data >> WmmaColumnBlocksShift & 7;
  const bool isHalfSource = inst.data & WmmaHalfSource;
  const bool isPadded = inst.data & WmmaPadded;
  const unsigned perCore = coreElements(shape.a), k = shape.cores * perCore;
  const unsigned rows = shape.isHalf ? 1 : 2, blocks = rowBlocks * columnBlocks;
  const unsigned perResult =
      shape.accumulator == Accumulator::Half ? rows : 2 * rows;
  const unsigned perSource = isHalfSource ? rows : 2 * rows;
  const Ref *results = operandsOf(warp, inst);
  const Ref *a = results + blocks * perResult;
  const Ref *b = a + (isPadded ? 8 : rowBlocks * rows * shape.cores);
  const Ref *c = b + (isPadded ? 8 : columnBlocks * shape.cores);

  constexpr unsigned BlockElements = 8 * TileRows;
  alignas(64) float tileA[2][16 * TileRows], tileB[32 * 16];
  alignas(64) float d[4 * BlockElements];
  alignas(64) int32_t sums[4 * BlockElements];
  for (unsigned i = 0; i < rowBlocks; ++i)
    for (unsigned core = 0; core < shape.cores; ++core, a += rows)
      widenA(shape.a, rowOf(warp, a[0]),
             shape.isHalf ? nullptr : rowOf(warp, a[1]),
             tileA[i] + core * perCore * TileRows);
  for (unsigned i = 0; i < columnBlocks; ++i)
    for (unsigned core = 0; core < shape.cores; ++core, ++b)
      widenB(shape.b, rowOf(warp, *b), tileB + i * 8 * k + core * perCore, k);
  for (unsigned i = 0; i < blocks; ++i, c += perSource) {
    float *block = d + i * BlockElements;
    if (shape.accumulator == Accumulator::Integer) {
      std::memset(block, 0, BlockElements * sizeof(float));
      loadAccumulators<int32_t>(warp, c, shape.isHalf,
                                sums + i * BlockElements);
    } else if (isHalfSource) {
      loadHalfAccumulators(warp, c, shape.isHalf, block);
    } else {
      loadAccumulators<float>(warp, c, shape.isHalf, block);
    }
  }
  const unsigned columns = 8 * columnBlocks;
  for (unsigned i = 0; i < rowBlocks; ++i)
    multiplyTile(tileA[i], tileB, k, columns, k,
                 d + i * columnBlocks * BlockElements);
  if (shape.accumulator == Accumulator::Integer)
    addProducts(d, 8 * blocks, shape.saturates, sums);
  else
    canonicalizeTile(d, 8 * blocks);
  for (unsigned i = 0; i < blocks; ++i, results += perResult) {
    if (shape.accumulator == Accumulator::Integer)
      storeAccumulators<int32_t>(warp, results, shape.isHalf,
                                 sums + i * BlockElements);
    else if (shape.accumulator == Accumulator::Half)
      storeHalfAccumulators(warp, results, shape.isHalf, d + i * BlockElements);
    else
      storeAccumulators<float>(warp, results, shape.isHalf,
                               d + i * BlockElements);
  }
  alignas(64) uint32_t countsA[16], countsB[16];
  countB(tileB, k, columns, k, countsB);
  uint64_t useful = 0;
  for (unsigned i = 0; i < rowBlocks; ++i) {
    countA(tileA[i], k, countsA);
    useful += usefulProducts(countsA, countsB, k);
  }
  countProducts(warp, uint64_t(rowBlocks) * rows * 8 * columns * k, useful);
  return true;
}

/// f64 in another rounding mode than to nearest.
bool multiplyRounded(Warp &warp, const Inst &inst, uint32_t) {
  const Ref *operands = operandsOf(warp, inst);
  double a[32], b[32], d[2][32];
  std::memcpy(a, rowOf(warp, operands[2]), sizeof a);
  std::memcpy(b, rowOf(warp, operands[3]), sizeof b);
  uint64_t useful = 0;
  for (unsigned j = 0; j < 2; ++j) {
    std::memcpy(d[j], rowOf(warp, operands[4 + j]), sizeof d[j]);
    for (unsigned lane = 0; lane < 32; ++lane)
      for (unsigned k = 0; k < 4; ++k) {
        double x = a[lane / 4 * 4 + k], y = b[(lane % 4 * 2 + j) * 4 + k];
        useful += x != 0 && y != 0;
        d[j][lane] = roundedDouble('f', x, y, d[j][lane],
                                   Rounding(inst.data >> WmmaRoundingShift));
      }
  }
  for (unsigned j = 0; j < 2; ++j)
    std::memcpy(lanes<double>(warp, operands[j]), d[j], sizeof d[j]);
  countProducts(warp, 256, useful);
  return true;
}

struct NamedForm {
  const char *shape;
  const char *group;
  WmmaForm form;
};
const NamedForm forms[] = {
    {"m16n16k16", "f16", {16, 16, 16, 16, true}},
    {"m32n8k16", "f16", {32, 8, 16, 16, true}},
    {"m8n32k16", "f16", {8, 32, 16, 16, true}},
    {"m16n16k16", "bf16", {16, 16, 16, 16, false}},
    {"m32n8k16", "bf16", {32, 8, 16, 16, false}},
    {"m8n32k16", "bf16", {8, 32, 16, 16, false}},
    {"m16n16k16", "int8", {16, 16, 16, 8, false}},
    {"m32n8k16", "int8", {32, 8, 16, 8, false}},
    {"m8n32k16", "int8", {8, 32, 16, 8, false}},
    {"m16n16k8", "tf32", {16, 16, 8, 32, false}},
    {"m8n8k32", "int4", {8, 8, 32, 4, false}},
    {"m8n8k128", "b1", {8, 8, 128, 1, false}},
    {"m8n8k4", "f64", {8, 8, 4, 64, false}},
};

/// Whether accumulators of `type` go with factors of `group`.
bool accumulates(const std::string &type, const std::string &group) {
  if (group == "f16")
    return type == "f16" || type == "f32";
  if (group == "bf16" || group == "tf32")
    return type == "f32";
  return type == (group == "f64" ? "f64" : "s32");
}

bool decodeMultiply(InstDecoder &d, Inst &inst) {
  MatrixShape shape;
  int operation = d.takeOneOf({"xor", "and"});
  if (operation >= 0 && !d.take("popc"))
    return d.fail("expected '.popc'");
  shape.isXor = operation == 0;
  if (!d.take("sync") || !d.take("aligned"))
    return d.fail("expected '.sync.aligned'");
  int layoutA = d.takeOneOf({"row", "col"});
  int layoutB = d.takeOneOf({"row", "col"});
  if (layoutA < 0 || layoutB < 0)
    return d.fail("expected the layouts of A and B");
  const std::string shapeName = d.peek();
  if (shapeName.empty() || !d.take(shapeName.c_str()))
    return d.fail("a shape is missing");
  const char *const roundings[] = {"rn", "rz", "rm", "rp"};
  int rounding = -1;
  auto takeRounding = [&] {
    for (int i = 0; i < 4 && rounding < 0; ++i)
      if (d.take(roundings[i]))
        rounding = i;
  };
  takeRounding();
  // D and C are named alone where A and B are f16.
  std::string typeD = d.peek();
  if (typeD.empty() || !d.take(typeD.c_str()))
    return d.fail("a type is missing");
  std::string group = "f16", groupB = "f16";
  bool isLong = !d.peek(1).empty() && d.peek(1) != "satfinite";
  if (isLong && (!takeFactorType(d, shape.a, group) ||
                 !takeFactorType(d, shape.b, groupB)))
    return false;
  std::string typeC = d.peek();
  if (typeC.empty() || !d.take(typeC.c_str()))
    return d.fail("the type of C is missing");
  if (group != groupB ||
      (group == "f16" && (shape.a != TensorType::F16 || isLong)))
    return d.fail("the types of A and B do not go together");
  WmmaForm form;
  if (!findWmmaForm(shapeName, group, form))
    return d.unsupported("shape '." + shapeName + "' with these types");
  if (!accumulates(typeD, group) || !accumulates(typeC, group))
    return d.fail("the types of C and D do not go with those of A and B");
  if (form.bits < 8 && (layoutA != 0 || layoutB != 1))
    return d.fail("expected the layouts '.row.col'");
  if ((operation >= 0) != (group == "b1"))
    return d.fail(group == "b1" ? "expected '.xor.popc' or '.and.popc'"
                                : "'.popc' goes with single bits only");
  shape.saturates = d.take("satfinite");
  if (shape.saturates && (group == "b1" || typeD != "s32"))
    return d.unsupported("'.satfinite' with these types");
  takeRounding();
  if (rounding >= 0 && group != "f64")
    return d.fail("a rounding goes with '.f64' only");
  if (!d.finish(4))
    return false;

  unsigned rowBlocks = std::max(form.m / 16, 1u), columnBlocks = form.n / 8;
  unsigned rows = form.m == 8 ? 1 : 2;
  shape.isHalf = form.m == 8;
  shape.cores = form.bits == 64 ? 1 : form.k * form.bits / 128;
  shape.accumulator = typeD == "s32"   ? Accumulator::Integer
                      : typeD == "f16" ? Accumulator::Half
                                       : Accumulator::Float;
  inst.kind = InstKind::Aligned;
  inst.cls = InstClass::Matrix;
  inst.data = shape.pack();
  if (group == "f64" && rounding > 0) {
    inst.handler = &multiplyRounded;
    const Rounding modes[] = {Rounding::NearestEven, Rounding::Zero,
                              Rounding::Down, Rounding::Up};
    inst.data = uint32_t(modes[rounding]) << WmmaRoundingShift;
  } else if (group == "f64") {
    inst.handler = &multiplyDouble;
  } else if (group == "b1") {
    inst.handler = &multiplyBits;
  } else if (group == "int4") {
    inst.handler = &multiplyAny;
  } else {
    inst.handler = &multiplyBlocks;
    inst.data |= rowBlocks << WmmaRowBlocksShift |
                 columnBlocks << WmmaColumnBlocksShift |
                 (typeC == "f16" ? WmmaHalfSource : 0) |
                 (form.isPadded ? WmmaPadded : 0);
  }
  auto scalar = [](const std::string &type) {
    return type == "f32" ? S::F32 : type == "f64" ? S::F64 : S::B32;
  };
  auto registers = [&](const std::string &type) {
    return form.m * form.n / (type == "f16" ? 64 : 32);
  };
  S factor = group == "f64" ? S::F64 : S::B32;
  unsigned countA = form.isPadded ? 8 : rowBlocks * rows * shape.cores;
  unsigned countB = form.isPadded ? 8 : columnBlocks * shape.cores;
  return d.vectorDestination(0, scalar(typeD), registers(typeD), inst) &&
         d.vectorSource(1, factor, countA, inst) &&
         d.vectorSource(2, factor, countB, inst) &&
         d.vectorSource(3, scalar(typeC), registers(typeC), inst);
}

} // namespace

bool findWmmaForm(const std::string &shape, const std::string &group,
                  WmmaForm &form) {
  for (const NamedForm &candidate : forms)
    if (shape == candidate.shape && group == candidate.group) {
      form = candidate.form;
      return true;
    }
  return false;
}

bool findWmmaAccumulator(const std::string &shape, const std::string &type,
                         WmmaForm &form) {
  for (const NamedForm &candidate : forms)
    if (shape == candidate.shape && accumulates(type, candidate.group)) {
      form = candidate.form;
      return true;
    }
  return false;
}

bool decodeWmma(InstDecoder &d, Inst &inst) {
  if (d.take("load"))
    return decodeWmmaMemory(d, inst, true);
  if (d.take("store"))
    return decodeWmmaMemory(d, inst, false);
  if (d.take("mma"))
    return decodeMultiply(d, inst);
  return d.fail("expected '.load', '.store' or '.mma'");
}

} // namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA

#include "LanesEnd.h"
