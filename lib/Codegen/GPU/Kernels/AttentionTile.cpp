//===- AttentionTile.cpp - A tile of queries over its keys ------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A block owns a tile of rows of one KV head and walks the keys from the newest
// to the oldest under one online softmax.
//
// First the cuts between segments are evaluated for every row of the tile: row
// r of `cuts` line s holds the slot where segment s - 1 of that row begins and
// segment s ends. `from` does not decrease along rows, so a segment touches the
// slots from the cut of the first row to the cut of the last one, and owns for
// every row those from the cut of the last to that of the first. Then there is
// one loop nest over (segment, key tile): the rotation of Q and of K, bounds
// and masks are values of it, so the body is there once, whatever the number of
// segments. A tile that a cut crosses is visited once on either side.
//
// A tile: scores of (rows 4 ty + 0..3) x (keys tx + 16 j) per thread from Q and
// K in shared memory, row maxima by shuffles over the 16 lanes of a row,
// P through shared memory, then P V for (rows 4 ty + 0..3) x (some columns).
// K and V take turns in one buffer; V is on its way to registers while the
// scores are computed.
//
// The running maximum starts finite, so a score of -inf always gives weight 0,
// and a row with nothing to attend to ends with sum 0 and output 0.
//
//===----------------------------------------------------------------------===//

#include "AttentionTile.h"

#include "llvm/Support/MathExtras.h"
#include <cmath>

using namespace mlir;
using namespace ropewalk::codegen;

/// Any score is larger, and its difference to a score is finite.
static constexpr double kInitialMaximum = -1.0e30;

AttentionTile::AttentionTile(KernelBuilder &k, const AttentionKernel &kernel,
                             int64_t rows)
    : k(k), kernel(kernel), rows(rows), threads(4 * rows), dim(kernel.headDim),
      valueDim(kernel.valueDim), queryPitch(dim + 4), scorePitch(kKeys + 4),
      valuePitch(valueDim + 4) {
  width = valueDim % 64 == 0 ? 4 : valueDim % 32 == 0 ? 2 : 1;
  chunks = llvm::divideCeil(valueDim, 16 * width);
}

Val ropewalk::codegen::selectBySegment(KernelBuilder &k, ArrayRef<Val> values,
                                       ArrayRef<int> indices, Val segment) {
  Val result = values[0];
  for (auto [number, index] : llvm::enumerate(indices))
    if (index > 0)
      result = k.select(segment == static_cast<int64_t>(number), values[index],
                        result);
  return result;
}

/// Fills the table of cuts: line 0 is where the newest segment ends.
void AttentionTile::computeCuts() {
  k.ifThen(thread < rows, [&] {
    Vals symbols = mapParameters();
    // Rows beyond the last one repeat it: their results are not stored.
    Val position = positionOf(k.min(thread, lastRow));
    auto put = [&](int64_t line, Val slot) {
      slot = k.max(k.min(slot, highSlot), lowSlot);
      k.store(k.toI32(slot), cuts, k.i32(line * rows) + thread);
    };
    // A padding row (negative position) has nothing: all its cuts are lowSlot.
    Val limit = kernel.causal ? position + 1 : highSlot + positionOffset;
    limit = k.select(position < 0, k.i64(0), limit);
    put(0, limit - positionOffset);
    for (auto [index, segment] : llvm::enumerate(kernel.segments)) {
      Val from = k.expandMin(segment.from, position, symbols);
      limit = k.max(k.min(from, limit), k.i64(0));
      put(index + 1, limit - positionOffset);
    }
  });
  k.barrier();
}

/// Loads this thread's part of `kKeys` rows from `firstSlot` on, four elements
/// a time; zeros outside [lowSlot, highSlot), where memory may hold anything.
Vals AttentionTile::fetchTile(Val pointer, Val base, Val firstSlot,
                              int64_t rowSize) {
  Vals parts;
  int64_t perRow = rowSize / 4, total = kKeys * perRow;
  for (int64_t start = 0; start < total; start += threads) {
    Val index = thread + start;
    Val slot = firstSlot + index / perRow;
    Val column = index % perRow * 4;
    Val inside = (k.toI64(slot) >= lowSlot) & (k.toI64(slot) < highSlot);
    if (start + threads > total)
      inside = inside & (index < total);
    parts.push_back(k.ifElse(
        inside,
        [&]() -> Vals {
          return {k.load(pointer,
                         base + k.toI64(slot) * rowSize + k.toI64(column),
                         k.f32Type(), 4)};
        },
        [&]() -> Vals { return {k.zeros(k.f32Type(), 4)}; })[0]);
  }
  return parts;
}

void AttentionTile::putTile(ArrayRef<Val> tile, int64_t rowSize,
                            int64_t pitch) {
  int64_t perRow = rowSize / 4, total = kKeys * perRow;
  for (auto [number, part] : llvm::enumerate(tile)) {
    int64_t start = number * threads;
    Val index = thread + start;
    Val slot = index / perRow * pitch + index % perRow * 4;
    if (start + threads > total)
      k.ifThen(index < total,
               [&, part = part] { k.store(part, sharedKey, slot); });
    else
      k.store(part, sharedKey, slot);
  }
}

/// Four rows times two keys of scaled scores, in units of log2 e.
Vals AttentionTile::computeScores(Val firstSlot) {
  Vals initial(8, k.f32(0.0));
  Vals scores = k.loop(
      k.i32(0), k.i32(dim), k.i32(4), initial, [&](Val at, ArrayRef<Val> in) {
        Vals acc(in), left, right;
        for (int i = 0; i < 4; ++i)
          left.push_back(k.load(sharedQuery, (ty * 4 + i) * queryPitch + at,
                                k.f32Type(), 4));
        for (int j = 0; j < 2; ++j)
          right.push_back(k.load(sharedKey, (tx + 16 * j) * queryPitch + at,
                                 k.f32Type(), 4));
        for (int c = 0; c < 4; ++c)
          for (int i = 0; i < 4; ++i)
            for (int j = 0; j < 2; ++j)
              acc[2 * i + j] = k.fma(k.extract(left[i], c),
                                     k.extract(right[j], c), acc[2 * i + j]);
        return acc;
      });
  for (Val &score : scores) {
    score = score * scale;
    if (kernel.softcap) {
      // cap * tanh(x / cap) with tanh(y) = 1 - 2 / (1 + e^(2y)); `scale` holds
      // the division by the cap.
      Val power = k.exp2(score * k.f32(2.0 * M_LOG2E));
      Val tanh = k.f32(1.0) - k.f32(2.0) / (power + k.f32(1.0));
      score = tanh * k.f32(*kernel.softcap * M_LOG2E);
    }
  }
  if (kernel.hasBias)
    addBias(scores, firstSlot);
  return scores;
}

/// State: maximum and sum of four rows, then the outputs, row by row.
Vals AttentionTile::visit(Val segment, Val firstSlot, Val masked,
                          ArrayRef<Val> state) {
  // The barrier in here is for the V in the buffer that other warps multiply,
  // and for their weights.
  stageKeys(segment, firstSlot);
  k.barrier();
  auto fetchValues = [&] {
    return fetchTile(value, valueBase, firstSlot, valueDim);
  };
  Vals valueTile;
  if (prefetchesValues())
    valueTile = fetchValues();
  Vals scores = computeScores(firstSlot);
  scores = k.ifElse(
      masked,
      [&] {
        Vals result;
        Val minusInfinity = k.f32(-INFINITY);
        for (int i = 0; i < 4; ++i) {
          Val low = cut(segment + 1, ty * 4 + i),
              high = cut(segment, ty * 4 + i);
          for (int j = 0; j < 2; ++j) {
            Val slot = firstSlot + tx + 16 * j;
            result.push_back(k.select((slot >= low) & (slot < high),
                                      scores[2 * i + j], minusInfinity));
          }
        }
        return result;
      },
      [&] { return scores; });

  Vals next(state);
  Vals factors;
  for (int i = 0; i < 4; ++i) {
    Val rowMaximum = k.max(scores[2 * i], scores[2 * i + 1]);
    for (unsigned mask = 8; mask > 0; mask /= 2)
      rowMaximum = k.max(rowMaximum, k.shuffleXor(rowMaximum, mask));
    Val maximum = k.max(state[i], rowMaximum);
    Val factor = k.exp2(state[i] - maximum);
    Val sum = state[4 + i] * factor;
    for (int j = 0; j < 2; ++j) {
      Val weight = k.exp2(scores[2 * i + j] - maximum);
      sum = sum + weight;
      k.store(weight, sharedScore, (ty * 4 + i) * scorePitch + tx + 16 * j);
    }
    next[i] = maximum;
    next[4 + i] = sum;
    factors.push_back(factor);
  }
  if (!prefetchesValues())
    valueTile = fetchValues();
  k.barrier();
  putTile(valueTile, valueDim, valuePitch);
  k.barrier();

  int64_t perRow = width * chunks;
  Vals outputs(next.begin() + 8, next.end());
  for (int i = 0; i < 4; ++i)
    for (int64_t j = 0; j < perRow; ++j)
      outputs[i * perRow + j] = outputs[i * perRow + j] * factors[i];
  outputs = k.loop(
      k.i32(0), k.i32(kKeys), k.i32(4), outputs, [&](Val at, ArrayRef<Val> in) {
        Vals acc(in), weights;
        for (int i = 0; i < 4; ++i)
          weights.push_back(k.load(sharedScore, (ty * 4 + i) * scorePitch + at,
                                   k.f32Type(), 4));
        for (int key = 0; key < 4; ++key) {
          for (int64_t chunk = 0; chunk < chunks; ++chunk) {
            Val column = tx * width + chunk * 16 * width;
            if ((chunk + 1) * 16 * width > valueDim)
              column = k.min(column, k.i32(valueDim - width));
            Val part = k.load(sharedKey, (at + key) * valuePitch + column,
                              k.f32Type(), width);
            for (int i = 0; i < 4; ++i)
              for (int64_t j = 0; j < width; ++j) {
                Val &slot = acc[i * perRow + chunk * width + j];
                slot =
                    k.fma(k.extract(weights[i], key), k.extract(part, j), slot);
              }
          }
        }
        return acc;
      });
  llvm::copy(outputs, next.begin() + 8);
  return next;
}

void AttentionTile::storeOutput(ArrayRef<Val> output, Val factor, Val pointer,
                                Val base) {
  for (int64_t chunk = 0; chunk < chunks; ++chunk) {
    Val column = tx * width + chunk * 16 * width;
    Vals parts;
    for (int64_t j = 0; j < width; ++j)
      parts.push_back(output[chunk * width + j] * factor);
    auto put = [&] { k.store(k.pack(parts), pointer, base + k.toI64(column)); };
    if ((chunk + 1) * 16 * width > valueDim)
      k.ifThen(column < valueDim, put);
    else
      put();
  }
}

void AttentionTile::build() {
  declareParams();
  sharedQuery = k.shared(rows * queryPitch * 4);
  sharedKey = k.shared(kKeys * std::max(queryPitch, valuePitch) * 4);
  sharedScore = k.shared(rows * scorePitch * 4);
  int64_t numSegments = kernel.segments.size();
  cuts = k.shared((numSegments + 1) * rows * 4);
  thread = k.threadId();
  ty = thread / 16;
  tx = thread % 16;
  locate();
  computeCuts();

  Vals state;
  for (int i = 0; i < 4; ++i)
    state.push_back(k.f32(kInitialMaximum));
  state.append(4 + 4 * width * chunks, k.f32(0.0));
  state = k.loop(
      k.i32(0), k.i32(numSegments), k.i32(1), state,
      [&](Val segment, ArrayRef<Val> in) {
        Val begin = cut(segment + 1, k.i32(0)), end = cut(segment, lastRow);
        Val fullBegin = cut(segment + 1, lastRow),
            fullEnd = cut(segment, k.i32(0));
        clip(begin, end);
        // A masked segment has no visits.
        for (auto [number, each] : llvm::enumerate(kernel.segments))
          if (each.masked)
            end = k.select(segment == static_cast<int64_t>(number), begin, end);
        return k.ifElse(
            begin < end,
            [&] {
              enterSegment(segment);
              // No barrier before: a segment has at least one visit, and in it
              // two barriers follow the last use of Q.
              loadQueries(segment);
              Val newest = (end - 1) / kKeys, oldest = begin / kKeys;
              return k.loop(k.i32(0), newest - oldest + 1, k.i32(1), in,
                            [&](Val number, ArrayRef<Val> carried) {
                              Val firstSlot = (newest - number) * kKeys;
                              Val masked = (firstSlot < fullBegin) |
                                           (firstSlot + kKeys > fullEnd);
                              return visit(segment, firstSlot, masked, carried);
                            });
            },
            [&] { return Vals(in); });
      });
  int64_t perRow = width * chunks;
  for (int i = 0; i < 4; ++i) {
    Val sum = state[4 + i];
    for (unsigned mask = 8; mask > 0; mask /= 2)
      sum = sum + k.shuffleXor(sum, mask);
    Val row = ty * 4 + i;
    k.ifThen(row <= lastRow, [&] {
      finishRow(row, state[i], sum,
                ArrayRef<Val>(state).slice(8 + i * perRow, perRow));
    });
  }
}
