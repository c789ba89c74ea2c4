//===- OpsMma.cpp - Matrix multiplication by a warp -------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// mma.sync. In all shapes A consists of core matrices (see TensorCore.h), one a
// register, rows 0 to 7 and 8 to 15 in turn, then along k; so does B along k.
//
// Floats: products are exact and are added to the accumulator in f32, k
// ascending, each addition rounded to nearest even; an f16 result is rounded
// once at the end. Hardware aligns and truncates in ways that PTX leaves open.
// Integers are exact and wrap around, or are clamped once at the end.
//
//===----------------------------------------------------------------------===//

#include "MatrixFlags.h"
#include "TileKernels.h"
#include "Widen.h"
#include "Wmma.h"

namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA {

using S = ScalarType;
using enum TensorType;

/// Any types and shape.
bool multiplyAny(Warp &warp, const Inst &inst, uint32_t) {
  const MatrixShape shape = MatrixShape::unpack(inst.data);
  const Ref *operands = operandsOf(warp, inst);
  const unsigned perCore = coreElements(shape.a), k = shape.cores * perCore;
  const unsigned rowsA = shape.isHalf ? 1 : 2;
  const unsigned results =
      shape.accumulator == Accumulator::Half ? rowsA : 2 * rowsA;
  alignas(64) float a[64 * TileRows], b[8 * 64], d[8 * TileRows];
  const Ref *source = operands + results;
  for (unsigned i = 0; i < shape.cores; ++i, source += rowsA)
    widenA(shape.a, rowOf(warp, source[0]),
           shape.isHalf ? nullptr : rowOf(warp, source[1]),
           a + i * perCore * TileRows);
  for (unsigned i = 0; i < shape.cores; ++i, ++source)
    widenB(shape.b, rowOf(warp, *source), b + i * perCore, k);
  switch (shape.accumulator) {
  case Accumulator::Float:
    loadAccumulators<float>(warp, source, shape.isHalf, d);
    multiplyTile(a, b, k, 8, k, d);
    canonicalizeTile(d, 8);
    storeAccumulators<float>(warp, operands, shape.isHalf, d);
    break;
  case Accumulator::Half:
    loadHalfAccumulators(warp, source, shape.isHalf, d);
    multiplyTile(a, b, k, 8, k, d);
    storeHalfAccumulators(warp, operands, shape.isHalf, d);
    break;
  case Accumulator::Integer: {
    alignas(64) int32_t sums[8 * TileRows];
    std::memset(d, 0, sizeof d);
    multiplyTile(a, b, k, 8, k, d);
    loadAccumulators<int32_t>(warp, source, shape.isHalf, sums);
    addProducts(d, 8, shape.saturates, sums);
    storeAccumulators<int32_t>(warp, operands, shape.isHalf, sums);
    break;
  }
  }
  alignas(64) uint32_t countsA[64], countsB[64];
  countA(a, k, countsA);
  countB(b, k, 8, k, countsB);
  countProducts(warp, uint64_t(k) * 64 * rowsA,
                usefulProducts(countsA, countsB, k));
  return true;
}

bool multiplyDouble(Warp &warp, const Inst &inst, uint32_t) {
  const MatrixShape shape = MatrixShape::unpack(inst.data);
  const Ref *operands = operandsOf(warp, inst);
  const unsigned k = shape.cores * 4, rowsA = shape.isHalf ? 1 : 2;
  alignas(64) double a[16 * TileRows], b[8 * 16], d[8 * TileRows];
  const Ref *source = operands + 2 * rowsA;
  for (unsigned i = 0; i < shape.cores; ++i, source += rowsA) {
    Column<double> columns[4];
    gatherColumns<double>(get<double>(warp, source[0]),
                          shape.isHalf ? Vec<double>(0.0)
                                       : get<double>(warp, source[1]),
                          columns);
    std::memcpy(a + i * 4 * TileRows, columns, sizeof columns);
  }
  for (unsigned i = 0; i < shape.cores; ++i, ++source)
    for (unsigned n = 0; n < 8; ++n)
      std::memcpy(b + n * k + i * 4, rowOf(warp, *source) + n * 32, 32);
  loadAccumulators<double>(warp, source, shape.isHalf, d);
  multiplyTile(a, b, k, 8, k, d);
  storeAccumulators<double>(warp, operands, shape.isHalf, d);
  uint32_t countsA[16], countsB[16];
  countA(a, k, countsA);
  countB(b, k, 8, k, countsB);
  countProducts(warp, uint64_t(k) * 64 * rowsA,
                usefulProducts(countsA, countsB, k));
  return true;
}

/// Single bits: population counts of 32-bit words of the inner dimension.
bool multiplyBits(Warp &warp, const Inst &inst, uint32_t) {
  const MatrixShape shape = MatrixShape::unpack(inst.data);
  const Ref *operands = operandsOf(warp, inst);
  const unsigned rowsA = shape.isHalf ? 1 : 2;
  const Ref *sourceA = operands + 2 * rowsA;
  const Ref *sourceB = sourceA + shape.cores * rowsA;
  alignas(64) int32_t d[8 * TileRows];
  loadAccumulators<int32_t>(warp, sourceB + shape.cores, shape.isHalf, d);
  Column<uint32_t> both = 0;
  for (unsigned i = 0; i < shape.cores; ++i) {
    Column<uint32_t> words[4];
    gatherColumns<uint32_t>(get<uint32_t>(warp, sourceA[i * rowsA]),
                            shape.isHalf
                                ? Vec<uint32_t>(0)
                                : get<uint32_t>(warp, sourceA[i * rowsA + 1]),
                            words);
    uint32_t columns[32];
    std::memcpy(columns, rowOf(warp, sourceB[i]), sizeof columns);
    for (unsigned n = 0; n < 8; ++n) {
      Column<uint32_t> sum;
      std::memcpy(&sum, d + n * TileRows, sizeof sum);
      for (unsigned t = 0; t < 4; ++t) {
        uint32_t word = columns[4 * n + t];
        Column<uint32_t> ones = __builtin_elementwise_popcount(words[t] & word);
        both += ones;
        sum += shape.isXor ? __builtin_elementwise_popcount(words[t] ^ word)
                           : ones;
      }
      std::memcpy(d + n * TileRows, &sum, sizeof sum);
    }
  }
  storeAccumulators<int32_t>(warp, operands, shape.isHalf, d);
  countProducts(warp, uint64_t(shape.cores) * 128 * 64 * rowsA,
                __builtin_reduce_add(both));
  return true;
}

namespace {

struct TypeName {
  const char *name;
  TensorType type;
  const char *group;
};
const TypeName typeNames[] = {
    {"f16", F16, "f16"},   {"bf16", BF16, "bf16"}, {"tf32", TF32, "tf32"},
    {"e4m3", E4M3, "fp8"}, {"e5m2", E5M2, "fp8"},  {"s8", S8, "int8"},
    {"u8", U8, "int8"},    {"s4", S4, "int4"},     {"u4", U4, "int4"},
    {"b1", S8, "b1"},      {"f64", S8, "f64"},
};

} // namespace

bool takeFactorType(InstDecoder &d, TensorType &type, std::string &group) {
  for (const TypeName &entry : typeNames)
    if (d.take(entry.name)) {
      type = entry.type;
      group = entry.group;
      return true;
    }
  return d.unsupported("type '." + d.peek() + "' of a factor");
}

namespace {

/// Nonzero elements of 8 rows of a core matrix of f16, bf16 or tf32, by k.
template <TensorType Type>
ROPEWALK_INLINE auto countCore(const std::byte *top, const std::byte *bottom) {
  using Element = std::conditional_t<Type == TF32, uint32_t, uint16_t>;
  constexpr unsigned Count = CoreBytes / sizeof(Element);
  using Core = Element __attribute__((ext_vector_type(Count)));
  // Without the sign and what is cut off.
  constexpr Element magnitude = Type == TF32 ? 0x7fffe000 : 0x7fff;
  auto nonzero = [](const std::byte *row) {
    Core core;
    std::memcpy(&core, row, sizeof core);
    return (core & magnitude) != Element(0) ? Core(1) : Core(0);
  };
  Core counts = nonzero(top);
  if (bottom)
    counts += nonzero(bottom);
  using Half = Element __attribute__((ext_vector_type(Count / 2)));
  using Quarter = Element __attribute__((ext_vector_type(Count / 4)));
  Half half = counts.lo + counts.hi;
  Quarter quarter = half.lo + half.hi;
  return quarter.lo + quarter.hi;
}

/// The multiply-adds of A and B, core matrices in registers, whose factors are
/// both nonzero.
template <TensorType Type, unsigned Cores>
ROPEWALK_INLINE uint64_t countUseful(const Warp &warp, const Ref *a,
                                     const Ref *b) {
  decltype(countCore<Type>(nullptr, nullptr)) sum = 0;
#pragma unroll
  for (unsigned i = 0; i < Cores; ++i)
    sum += countCore<Type>(rowOf(warp, a[2 * i]), rowOf(warp, a[2 * i + 1])) *
           countCore<Type>(rowOf(warp, b[i]), nullptr);
  return __builtin_reduce_add(sum);
}

/// The common types, 16 rows, f32 accumulators.
template <TensorType Type, unsigned Cores>
bool multiplyFloat(Warp &warp, const Inst &inst, uint32_t) {
  constexpr unsigned PerCore = coreElements(Type), K = Cores * PerCore;
  const Ref *operands = operandsOf(warp, inst);
  alignas(64) float a[K * TileRows], b[8 * K], d[8 * TileRows];
  const Ref *source = operands + 4;
#pragma unroll
  for (unsigned i = 0; i < Cores; ++i)
    widenColumns<Type>(get<uint32_t>(warp, source[2 * i]),
                       get<uint32_t>(warp, source[2 * i + 1]),
                       a + i * PerCore * TileRows);
  source += 2 * Cores;
#pragma unroll
  for (unsigned i = 0; i < Cores; ++i)
    widenCore<Type>(rowOf(warp, source[i]), b + i * PerCore, K);
  source += Cores;
  loadAccumulators<float>(warp, source, false, d);
  multiply<float>(a, b, K, 8, K, d);
  canonicalizeTile(d, 8);
  storeAccumulators<float>(warp, operands, false, d);
  countProducts(
      warp, K * 128,
      countUseful<Type, Cores>(warp, operands + 4, operands + 4 + 2 * Cores));
  return true;
}

struct Form {
  const char *shape;
  const char *a; ///< Class of the types of A and B.
  bool isHalf;
  unsigned cores;
};
const Form forms[] = {
    {"m16n8k8", "f16", false, 1},   {"m16n8k16", "f16", false, 2},
    {"m16n8k8", "bf16", false, 1},  {"m16n8k16", "bf16", false, 2},
    {"m16n8k4", "tf32", false, 1},  {"m16n8k8", "tf32", false, 2},
    {"m16n8k16", "fp8", false, 1},  {"m16n8k32", "fp8", false, 2},
    {"m8n8k16", "int8", true, 1},   {"m16n8k16", "int8", false, 1},
    {"m16n8k32", "int8", false, 2}, {"m8n8k32", "int4", true, 1},
    {"m16n8k32", "int4", false, 1}, {"m16n8k64", "int4", false, 2},
    {"m8n8k128", "b1", true, 1},    {"m16n8k128", "b1", false, 1},
    {"m16n8k256", "b1", false, 2},  {"m8n8k4", "f64", true, 1},
    {"m16n8k4", "f64", false, 1},   {"m16n8k8", "f64", false, 2},
    {"m16n8k16", "f64", false, 4},
};

/// Registers of D, A, B, C.
bool decodeOperands(InstDecoder &d, Inst &inst, const MatrixShape &shape,
                    S factor, S accumulator) {
  unsigned rows = shape.isHalf ? 1 : 2;
  unsigned results = shape.accumulator == Accumulator::Half ? rows : 2 * rows;
  inst.kind = InstKind::Aligned;
  inst.cls = InstClass::Matrix;
  inst.data = shape.pack();
  return d.vectorDestination(0, accumulator, results, inst) &&
         d.vectorSource(1, factor, rows * shape.cores, inst) &&
         d.vectorSource(2, factor, shape.cores, inst) &&
         d.vectorSource(3, accumulator, results, inst);
}

void chooseFloatHandler(Inst &inst, const MatrixShape &shape) {
  inst.handler = &multiplyAny;
  if (shape.isHalf || shape.accumulator != Accumulator::Float)
    return;
  bool isLong = shape.cores == 2;
  if (shape.a == F16)
    inst.handler = isLong ? &multiplyFloat<F16, 2> : &multiplyFloat<F16, 1>;
  else if (shape.a == BF16)
    inst.handler = isLong ? &multiplyFloat<BF16, 2> : &multiplyFloat<BF16, 1>;
  else if (shape.a == TF32)
    inst.handler = isLong ? &multiplyFloat<TF32, 2> : &multiplyFloat<TF32, 1>;
}

bool decodeMma(InstDecoder &d, Inst &inst) {
  if (d.peek() == "sp" || d.peek() == "sp::ordered_metadata")
    return d.unsupported("sparse 'mma." + d.peek() + "'");
  if (!d.take("sync") || !d.take("aligned"))
    return d.fail("expected '.sync.aligned'");
  const std::string shapeName = d.peek();
  if (shapeName.empty() || !d.take(shapeName.c_str()))
    return d.fail("a shape is missing");
  int layoutA = d.takeOneOf({"row", "col"});
  int layoutB = d.takeOneOf({"row", "col"});
  if (layoutA < 0 || layoutB < 0)
    return d.fail("expected the layouts of A and B, '.row.col'");
  if (d.peek().starts_with("kind::") || d.peek() == "block_scale")
    return d.unsupported("modifier '." + d.peek() + "'");
  bool isClamped = d.take("satfinite");
  int result = d.takeOneOf({"f32", "f16", "s32", "f64"});
  if (result < 0)
    return d.unsupported("type '." + d.peek() + "' of D");
  MatrixShape shape;
  std::string group, groupB;
  if (!takeFactorType(d, shape.a, group) || !takeFactorType(d, shape.b, groupB))
    return false;
  if (group != groupB ||
      (group.find("int") == group.npos && group != "fp8" && shape.a != shape.b))
    return d.fail("the types of A and B do not go together");
  const Form *form = nullptr;
  for (const Form &candidate : forms)
    if (shapeName == candidate.shape && group == candidate.a)
      form = &candidate;
  if (!form)
    return d.unsupported("shape '." + shapeName + "' with these types");
  if (layoutA != 0 || layoutB != 1)
    return d.fail("expected the layouts '.row.col'");
  bool isInteger = group.starts_with("int") || group == "b1";
  bool mayBeHalf = group == "f16" || group == "fp8";
  if (result != (isInteger        ? 2
                 : group == "f64" ? 3
                                  : 0) &&
      !(mayBeHalf && result == 1))
    return d.fail("the type of D does not go with those of A and B");
  if (!d.take(result == 0   ? "f32"
              : result == 1 ? "f16"
              : result == 2 ? "s32"
                            : "f64"))
    return d.fail("expected the type of C to be that of D");
  if (isClamped && !group.starts_with("int"))
    return d.fail("'.satfinite' goes with integers of 4 and 8 bits only");
  shape.isHalf = form->isHalf;
  shape.cores = form->cores;
  shape.saturates = isClamped;
  shape.accumulator = isInteger     ? Accumulator::Integer
                      : result == 1 ? Accumulator::Half
                                    : Accumulator::Float;
  if (group == "b1") {
    shape.isXor = d.take("xor");
    if ((!shape.isXor && !d.take("and")) || !d.take("popc"))
      return d.fail("expected '.xor.popc' or '.and.popc'");
  }
  if (!d.finish(4))
    return false;
  if (group == "f64") {
    inst.handler = &multiplyDouble;
    return decodeOperands(d, inst, shape, S::F64, S::F64);
  }
  if (group == "b1")
    inst.handler = &multiplyBits;
  else
    chooseFloatHandler(inst, shape);
  return decodeOperands(d, inst, shape, S::B32,
                        isInteger     ? S::S32
                        : result == 1 ? S::B32
                                      : S::F32);
}

} // namespace

void addMmaOpcodes(OpcodeTable &table) {
  table["mma"] = &decodeMma;
  table["wmma"] = &decodeWmma;
}

} // namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA

#include "LanesEnd.h"
