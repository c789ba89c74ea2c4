//===- WgmmaTile.cpp - The multiplication of wgmma --------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Operations of a warp, one after the other, with the arithmetic of mma (see
// OpsMma.cpp). The accumulators stay in a tile for as long as operations follow
// each other on the same registers.
//
//===----------------------------------------------------------------------===//

#include "Warpgroup.h"
#include "WgmmaDescriptor.h"

#include "TileKernels.h"
#include "WgmmaForm.h"
#include "Widen.h"

namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA {

namespace {

constexpr unsigned MaxN = 256, MaxDepth = 32, Words = 8;

using Chunk = uint32_t __attribute__((ext_vector_type(4)));

ROPEWALK_INLINE Chunk loadChunk(const std::byte *address) {
  Chunk chunk;
  std::memcpy(&chunk, address, sizeof chunk);
  return chunk;
}

/// Makes 8 lines along k of an MN-major core matrix of 16-bit elements.
ROPEWALK_INLINE void transposeCore(Chunk (&core)[8]) {
  using Elements = uint16_t __attribute__((ext_vector_type(64)));
  Elements all;
  std::memcpy(&all, core, sizeof all);
  all = __builtin_shufflevector(
      all, all, 0, 8, 16, 24, 32, 40, 48, 56, 1, 9, 17, 25, 33, 41, 49, 57, 2,
      10, 18, 26, 34, 42, 50, 58, 3, 11, 19, 27, 35, 43, 51, 59, 4, 12, 20, 28,
      36, 44, 52, 60, 5, 13, 21, 29, 37, 45, 53, 61, 6, 14, 22, 30, 38, 46, 54,
      62, 7, 15, 23, 31, 39, 47, 55, 63);
  std::memcpy(core, &all, sizeof all);
}

/// The 8 lines of a core matrix, along k in either case.
ROPEWALK_INLINE void readCore(const std::byte *memory,
                              const MatrixLayout &layout, unsigned group,
                              unsigned k, Chunk (&core)[8]) {
  uint32_t first = layout.core(group, k);
#pragma unroll
  for (unsigned line = 0; line < 8; ++line)
    core[line] =
        loadChunk(memory + layout.swizzle(first + line * layout.pitch));
  if (layout.isMNMajor)
    transposeCore(core);
}

/// Widens a line of a core matrix.
template <TensorType Type>
ROPEWALK_INLINE void widenChunk(Chunk chunk, float *to) {
  using enum TensorType;
  constexpr unsigned Count = coreElements(Type);
  using Floats = float __attribute__((ext_vector_type(Count)));
  using Words = uint32_t __attribute__((ext_vector_type(Count)));
  Floats value;
  if constexpr (Type == TF32) {
    value = as<Floats>(chunk & 0xffffe000u);
  } else if constexpr (Type == F16 || Type == BF16) {
    using Halves = uint16_t __attribute__((ext_vector_type(Count)));
    using Float16s = _Float16 __attribute__((ext_vector_type(Count)));
    if constexpr (Type == F16)
      value = __builtin_convertvector(as<Float16s>(chunk), Floats);
    else
      value =
          as<Floats>(__builtin_convertvector(as<Halves>(chunk), Words) << 16);
  } else if constexpr (Type == S8) {
    using Bytes = int8_t __attribute__((ext_vector_type(Count)));
    value = __builtin_convertvector(as<Bytes>(chunk), Floats);
  } else if constexpr (Type == U8) {
    using Bytes = uint8_t __attribute__((ext_vector_type(Count)));
    value = __builtin_convertvector(as<Bytes>(chunk), Floats);
  } else {
    using Bytes = uint8_t __attribute__((ext_vector_type(Count)));
    value =
        widenElement<Type>(__builtin_convertvector(as<Bytes>(chunk), Words), 0);
  }
  std::memcpy(to, &value, sizeof value);
}

/// The rows of A that the warp multiplies, core matrices with rows 0 to 7 and 8
/// to 15 in turn, then along k; as fragments in registers are.
struct FragmentsA {
  FragmentsA(const Warp &warp, const WgmmaOperation &operation,
             const WgmmaForm &form) {
    if (form.hasFragments) {
      const Ref *rows = operandsOf(warp, *operation.inst) + form.registers();
      for (unsigned i = 0; i < 4; ++i)
        cores[i] = get<uint32_t>(warp, rows[i]);
      return;
    }
    const MatrixLayout layout(operation.a, form.isMMajor);
    const std::byte *memory = warp.block->shared.data.data();
    for (unsigned i = 0; i < 4; ++i) {
      Chunk core[8];
      readCore(memory, layout, warp.index % GroupWarps * 2 + i % 2, i / 2,
               core);
      std::memcpy(&cores[i], core, sizeof core);
    }
  }

  Vec<uint32_t> cores[4];
};

class Multiplier {
public:
  explicit Multiplier(Warp &warp)
      : warp(warp), memory(warp.block->shared.data.data()) {}

  void multiply(const WgmmaOperation &operation);
  /// Writes the tile to its registers.
  void store();

private:
  void load(const WgmmaOperation &operation);
  template <TensorType Type> void widenMatrix(const MatrixLayout &layout);
  void multiplyWide(const WgmmaOperation &operation);
  void multiplyBits(const WgmmaOperation &operation);
  bool hasRegistersOf(const Inst &inst, const WgmmaForm &other) const;

  Warp &warp;
  const std::byte *memory;
  const Inst *owner = nullptr; ///< Whose registers the tile holds.
  WgmmaForm form;              ///< Of the operation at hand.
  uint64_t useful = 0;

  alignas(64) float tile[MaxN * TileRows];
  alignas(64) int32_t sums[MaxN * TileRows]; ///< The tile of integers.
  alignas(64) float b[MaxN * MaxDepth];
};

bool Multiplier::hasRegistersOf(const Inst &inst,
                                const WgmmaForm &other) const {
  if (!owner)
    return false;
  WgmmaForm mine = WgmmaForm::unpack(owner->data);
  return mine.accumulator == other.accumulator && mine.n == other.n &&
         std::memcmp(operandsOf(warp, *owner), operandsOf(warp, inst),
                     other.registers() * sizeof(Ref)) == 0;
}

void Multiplier::load(const WgmmaOperation &operation) {
  const Inst &inst = *operation.inst;
  // Each result in half precision is rounded.
  bool isThere =
      hasRegistersOf(inst, form) && (form.accumulator != Accumulator::Half);
  if (!isThere) {
    store();
    owner = &inst;
  }
  const Ref *rows = operandsOf(warp, inst);
  unsigned columns = 8 * TileRows;
  switch (form.accumulator) {
  case Accumulator::Float:
    if (!operation.accumulates)
      std::memset(tile, 0, form.n * TileRows * sizeof *tile);
    else if (!isThere)
      for (unsigned i = 0; i < form.groups(); ++i)
        loadAccumulators<float>(warp, rows + 4 * i, false, tile + i * columns);
    break;
  case Accumulator::Half:
    if (!operation.accumulates)
      std::memset(tile, 0, form.n * TileRows * sizeof *tile);
    else
      for (unsigned i = 0; i < form.groups(); ++i)
        loadHalfAccumulators(warp, rows + 2 * i, false, tile + i * columns);
    break;
  case Accumulator::Integer:
    if (!operation.accumulates)
      std::memset(sums, 0, form.n * TileRows * sizeof *sums);
    else if (!isThere)
      for (unsigned i = 0; i < form.groups(); ++i)
        loadAccumulators<int32_t>(warp, rows + 4 * i, false,
                                  sums + i * columns);
    break;
  }
}

void Multiplier::store() {
  if (!owner)
    return;
  WgmmaForm mine = WgmmaForm::unpack(owner->data);
  const Ref *rows = operandsOf(warp, *owner);
  unsigned columns = 8 * TileRows;
  if (mine.accumulator == Accumulator::Float)
    canonicalizeTile(tile, mine.n);
  for (unsigned i = 0; i < mine.groups(); ++i)
    switch (mine.accumulator) {
    case Accumulator::Float:
      storeAccumulators<float>(warp, rows + 4 * i, false, tile + i * columns);
      break;
    case Accumulator::Half:
      storeHalfAccumulators(warp, rows + 2 * i, false, tile + i * columns);
      break;
    case Accumulator::Integer:
      storeAccumulators<int32_t>(warp, rows + 4 * i, false, sums + i * columns);
      break;
    }
  owner = nullptr;
}

template <TensorType Type>
void Multiplier::widenMatrix(const MatrixLayout &layout) {
  constexpr unsigned Count = coreElements(Type), Depth = WgmmaCores * Count;
  float *to = b;
  for (unsigned group = 0; group < form.groups(); ++group) {
    Chunk cores[WgmmaCores][8];
    for (unsigned k = 0; k < WgmmaCores; ++k)
      readCore(memory, layout, group, k, cores[k]);
    for (unsigned line = 0; line < 8; ++line)
      for (unsigned k = 0; k < WgmmaCores; ++k, to += Count)
        widenChunk<Type>(cores[k][line], to);
  }
  static_assert(Depth <= MaxDepth);
}

void Multiplier::multiplyWide(const WgmmaOperation &operation) {
  unsigned depth = form.depth();
  alignas(64) float a[MaxDepth * TileRows];
  FragmentsA fragments(warp, operation, form);
  for (unsigned k = 0; k < WgmmaCores; ++k)
    widenA(form.a, &fragments.cores[2 * k], &fragments.cores[2 * k + 1],
           a + k * depth / WgmmaCores * TileRows);
  if (form.negates)
    for (unsigned i = 0; i < depth * TileRows; ++i)
      a[i] = -a[i];
  const MatrixLayout layout(operation.b, form.isNMajor);
  withType(form.b, [&](auto type) {
    if constexpr (type() < TensorType::S4) // The smaller ones do not occur.
      widenMatrix<type()>(layout);
  });
  if (form.accumulator == Accumulator::Integer) {
    std::memset(tile, 0, form.n * TileRows * sizeof *tile);
    multiplyTile(a, b, depth, form.n, depth, tile);
    addProducts(tile, form.n, form.saturates, sums);
  } else {
    multiplyTile(a, b, depth, form.n, depth, tile);
  }
  alignas(64) uint32_t countsA[MaxDepth], countsB[MaxDepth];
  countA(a, depth, countsA);
  countB(b, depth, form.n, depth, countsB);
  useful += usefulProducts(countsA, countsB, depth);
}

void Multiplier::multiplyBits(const WgmmaOperation &operation) {
  Column<uint32_t> a[Words];
  FragmentsA fragments(warp, operation, form);
  for (unsigned k = 0; k < WgmmaCores; ++k) {
    Column<uint32_t> columns[4];
    gatherColumns<uint32_t>(fragments.cores[2 * k], fragments.cores[2 * k + 1],
                            columns);
    std::memcpy(a + 4 * k, columns, sizeof columns);
  }
  const MatrixLayout layout(operation.b, false);
  for (unsigned group = 0; group < form.groups(); ++group) {
    Chunk cores[WgmmaCores][8];
    for (unsigned k = 0; k < WgmmaCores; ++k)
      readCore(memory, layout, group, k, cores[k]);
    for (unsigned column = 0; column < 8; ++column) {
      Column<uint32_t> count = 0;
      for (unsigned word = 0; word < Words; ++word)
        count += __builtin_elementwise_popcount(
            a[word] & cores[word / 4][column][word % 4]);
      useful += __builtin_reduce_add(count);
      int32_t *target = sums + (group * 8 + column) * TileRows;
      Column<uint32_t> sum;
      std::memcpy(&sum, target, sizeof sum);
      sum += count;
      std::memcpy(target, &sum, sizeof sum);
    }
  }
}

void Multiplier::multiply(const WgmmaOperation &operation) {
  form = WgmmaForm::unpack(operation.inst->data);
  load(operation);
  if (form.isBits)
    multiplyBits(operation);
  else
    multiplyWide(operation);
  warp.block->worker.counters.usefulTensorFlops += 2 * useful;
  useful = 0;
}

} // namespace

void computeOperations(Warp &warp, uint64_t last) {
  WgmmaState &state = warp.block->warpgroups->warps[warp.index];
  if (state.computed >= last)
    return;
  Multiplier multiplier(warp);
  for (; state.computed < last; ++state.computed)
    multiplier.multiply(
        state.pending[size_t(state.computed - state.completed)]);
  multiplier.store();
}

void completeOperations(Warp &warp, uint64_t last) {
  computeOperations(warp, last);
  WgmmaState &state = warp.block->warpgroups->warps[warp.index];
  for (; state.completed < last; ++state.completed)
    state.pending.pop_front();
}

} // namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA

#include "LanesEnd.h"
