//===- Attention.cpp - Attention over the segments of a map -----*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A block owns a tile of queries of one head and walks the keys from the newest
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

#include "Kernels.h"

#include "llvm/Support/MathExtras.h"
#include <cmath>

using namespace mlir;
using namespace ropewalk::codegen;

namespace {

constexpr int64_t kKeys = AttentionKernel::kKeys;
/// Any score is larger, and its difference to a score is finite.
constexpr double kInitialMaximum = -1.0e30;

class AttentionBuilder {
public:
  AttentionBuilder(KernelBuilder &k, const AttentionKernel &kernel);
  void build();

private:
  void declareParams();
  void locate();
  void computeCuts();
  Val cut(Val line, Val row) {
    return k.load(cuts, line * rows + row, k.i32Type());
  }
  Val selectPointer(ArrayRef<Val> pointers, ArrayRef<int> indices, Val segment);
  Vals fetchTile(Val pointer, Val base, Val firstSlot, int64_t dim);
  void putTile(ArrayRef<Val> tile, int64_t dim, int64_t pitch);
  void loadQueries(Val segment);
  Vals computeScores(Val firstSlot);
  void addBias(MutableArrayRef<Val> scores, Val firstSlot);
  Vals visit(Val segment, Val firstSlot, Val keyPointer, Val masked,
             ArrayRef<Val> state);
  void writeOutput(ArrayRef<Val> state);

  KernelBuilder &k;
  const AttentionKernel &kernel;

  // Tile constants.
  int64_t rows, dim, valueDim, threads;
  int64_t queryPitch, scorePitch, valuePitch;
  /// Columns of the output that a thread handles: `chunks` runs of `width`.
  int64_t width, chunks;

  // Parameters.
  Vals queries, keys;
  Val bias, biasItem, biasHead, logSumExp;
  Val value, out, heads, queryRows, keyRows, scale;
  std::optional<PerItemParam> offsets, positionOffsets, lengths;
  struct MapParam {
    Val pointer, itemStride, headStride;
  };
  SmallVector<MapParam> params;

  // Shared memory.
  Val sharedQuery, sharedKey, sharedScore, cuts;

  // Place of the block and the thread.
  Val thread, ty, tx, item, kvHead, row0, lastRow;
  /// First elements of the item and head in q and out, in K and in V.
  Val queryBase, keyBase, valueBase, biasBase;
  /// Slots that hold keys are [lowSlot, highSlot).
  Val lowSlot, highSlot, positionOffset, firstPosition;
};

AttentionBuilder::AttentionBuilder(KernelBuilder &k,
                                   const AttentionKernel &kernel)
    : k(k), kernel(kernel), rows(kernel.queries()), dim(kernel.headDim),
      valueDim(kernel.valueDim), threads(kernel.threads()), queryPitch(dim + 4),
      scorePitch(kKeys + 4), valuePitch(valueDim + 4) {
  width = valueDim % 64 == 0 ? 4 : valueDim % 32 == 0 ? 2 : 1;
  chunks = llvm::divideCeil(valueDim, 16 * width);
}

void AttentionBuilder::declareParams() {
  for (unsigned i = 0; i < kernel.numQueries; ++i)
    queries.push_back(k.pointerParam("q" + std::to_string(i), true));
  for (unsigned i = 0; i < kernel.numKeys; ++i)
    keys.push_back(k.pointerParam("k" + std::to_string(i), true));
  value = k.pointerParam("v", true);
  out = k.pointerParam("out", false);
  heads = k.i32Param("heads");
  queryRows = k.i32Param("query_rows");
  keyRows = k.i32Param("key_rows");
  scale = k.f32Param("scale");
  offsets.emplace(k, kernel.offset, "offset");
  positionOffsets.emplace(k, kernel.positionOffset, "position_offset");
  lengths.emplace(k, kernel.length, "length");
  for (unsigned i = 0; i < kernel.numParameters; ++i) {
    std::string prefix = "p" + std::to_string(i);
    params.push_back({k.pointerParam(prefix, true),
                      k.i64Param(prefix + "_item"),
                      k.i64Param(prefix + "_head")});
  }
  if (kernel.hasBias) {
    bias = k.pointerParam("bias", true);
    biasItem = k.i64Param("bias_item");
    biasHead = k.i64Param("bias_head");
  }
  if (kernel.hasLogSumExp)
    logSumExp = k.pointerParam("lse", false);
}

void AttentionBuilder::locate() {
  thread = k.threadId();
  ty = thread / 16;
  tx = thread % 16;
  item = k.blockId(1) / heads;
  Val head = k.blockId(1) % heads;
  kvHead = head / kernel.headsPerKV;
  if (kernel.hasBias)
    biasBase = k.toI64(item) * biasItem + k.toI64(head) * biasHead;
  // Later tiles have more keys: they start first.
  row0 = (k.gridSize(0) - 1 - k.blockId(0)) * rows;
  lastRow = k.min(row0 + rows, queryRows) - 1 - row0;

  queryBase = k.toI64(k.blockId(1)) * k.toI64(queryRows);
  Val kvIndex = item * (heads / kernel.headsPerKV) + kvHead;
  keyBase = k.toI64(kvIndex) * k.toI64(keyRows) * dim;
  valueBase = k.toI64(kvIndex) * k.toI64(keyRows) * valueDim;

  positionOffset = positionOffsets->get(k, item);
  firstPosition = offsets->get(k, item) + k.toI64(row0) + positionOffset;
  Val length = k.toI64(keyRows);
  if (!lengths->isAbsent())
    length = k.min(length, lengths->get(k, item));
  lowSlot = k.max(k.i64(0) - positionOffset, k.i64(0));
  highSlot = length;
}

/// Fills the table of cuts: line 0 is where the newest segment ends.
void AttentionBuilder::computeCuts() {
  k.ifThen(thread < rows, [&] {
    Vals symbols;
    for (MapParam &param : params)
      symbols.push_back(k.load(param.pointer,
                               k.toI64(item) * param.itemStride +
                                   k.toI64(kvHead) * param.headStride,
                               k.i64Type()));
    // Rows beyond the last one repeat it: their results are not stored.
    Val position = firstPosition + k.toI64(k.min(thread, lastRow));
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

Val AttentionBuilder::selectPointer(ArrayRef<Val> pointers,
                                    ArrayRef<int> indices, Val segment) {
  Val result = pointers[0];
  for (auto [number, index] : llvm::enumerate(indices))
    if (index > 0)
      result = k.select(segment == static_cast<int64_t>(number),
                        pointers[index], result);
  return result;
}

/// Loads this thread's part of `kKeys` rows from `firstSlot` on, four elements
/// a time; zeros outside [lowSlot, highSlot), where memory may hold anything.
Vals AttentionBuilder::fetchTile(Val pointer, Val base, Val firstSlot,
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

void AttentionBuilder::putTile(ArrayRef<Val> tile, int64_t rowSize,
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

void AttentionBuilder::loadQueries(Val segment) {
  Val pointer = selectPointer(queries, kernel.queryIndex, segment);
  int64_t perRow = dim / 4, total = rows * perRow;
  // The tile of the segment before may still be in use.
  k.barrier();
  k.loop(thread, k.i32(total), k.i32(threads), [&](Val index) {
    Val row = k.min(index / perRow, lastRow);
    Val column = index % perRow * 4;
    Val part = k.load(pointer,
                      (queryBase + k.toI64(row0 + row)) * dim + k.toI64(column),
                      k.f32Type(), 4);
    k.store(part, sharedQuery, index / perRow * queryPitch + column);
  });
}

/// Four rows times two keys of scaled scores, in units of log2 e.
Vals AttentionBuilder::computeScores(Val firstSlot) {
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

void AttentionBuilder::addBias(MutableArrayRef<Val> scores, Val firstSlot) {
  for (int i = 0; i < 4; ++i) {
    Val row = row0 + k.min(ty * 4 + i, lastRow);
    Val rowBase = biasBase + k.toI64(row) * k.toI64(keyRows);
    for (int j = 0; j < 2; ++j) {
      // What lies beyond the last slot is masked.
      Val slot = k.min(firstSlot + tx + 16 * j, keyRows - 1);
      Val each = k.load(bias, rowBase + k.toI64(slot), k.f32Type());
      scores[2 * i + j] = k.fma(each, k.f32(M_LOG2E), scores[2 * i + j]);
    }
  }
}

/// State: maximum and sum of four rows, then the outputs, row by row.
Vals AttentionBuilder::visit(Val segment, Val firstSlot, Val keyPointer,
                             Val masked, ArrayRef<Val> state) {
  Vals keyTile = fetchTile(keyPointer, keyBase, firstSlot, dim);
  // The buffer may still hold the V that other warps multiply.
  k.barrier();
  putTile(keyTile, dim, queryPitch);
  k.barrier();
  Vals valueTile = fetchTile(value, valueBase, firstSlot, valueDim);
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

void AttentionBuilder::writeOutput(ArrayRef<Val> state) {
  int64_t perRow = width * chunks;
  for (int i = 0; i < 4; ++i) {
    Val sum = state[4 + i];
    for (unsigned mask = 8; mask > 0; mask /= 2)
      sum = sum + k.shuffleXor(sum, mask);
    Val inverse = k.select(sum > k.f32(0.0), k.reciprocal(sum), k.f32(0.0));
    Val row = ty * 4 + i;
    k.ifThen(row <= lastRow, [&] {
      if (kernel.hasLogSumExp)
        k.ifThen(tx == 0, [&] {
          Val total = (state[i] + k.log2(sum)) * k.f32(M_LN2);
          k.store(k.select(sum > k.f32(0.0), total, k.f32(-INFINITY)),
                  logSumExp, queryBase + k.toI64(row0 + row));
        });
      for (int64_t chunk = 0; chunk < chunks; ++chunk) {
        Val column = tx * width + chunk * 16 * width;
        Vals parts;
        for (int64_t j = 0; j < width; ++j)
          parts.push_back(state[8 + i * perRow + chunk * width + j] * inverse);
        auto put = [&] {
          k.store(k.pack(parts), out,
                  (queryBase + k.toI64(row0 + row)) * valueDim +
                      k.toI64(column));
        };
        if ((chunk + 1) * 16 * width > valueDim)
          k.ifThen(column < valueDim, put);
        else
          put();
      }
    });
  }
}

void AttentionBuilder::build() {
  declareParams();
  sharedQuery = k.shared(rows * queryPitch * 4);
  sharedKey = k.shared(kKeys * std::max(queryPitch, valuePitch) * 4);
  sharedScore = k.shared(rows * scorePitch * 4);
  int64_t numSegments = kernel.segments.size();
  cuts = k.shared((numSegments + 1) * rows * 4);
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
        // A masked segment has no visits.
        for (auto [number, each] : llvm::enumerate(kernel.segments))
          if (each.masked)
            end = k.select(segment == static_cast<int64_t>(number), begin, end);
        return k.ifElse(
            begin < end,
            [&] {
              loadQueries(segment);
              Val keyPointer = selectPointer(keys, kernel.keyIndex, segment);
              Val newest = (end - 1) / kKeys, oldest = begin / kKeys;
              return k.loop(k.i32(0), newest - oldest + 1, k.i32(1), in,
                            [&](Val number, ArrayRef<Val> carried) {
                              Val firstSlot = (newest - number) * kKeys;
                              Val masked = (firstSlot < fullBegin) |
                                           (firstSlot + kKeys > fullEnd);
                              return visit(segment, firstSlot, keyPointer,
                                           masked, carried);
                            });
            },
            [&] { return Vals(in); });
      });
  writeOutput(state);
}

} // namespace

std::string AttentionKernel::key() const {
  std::string key = "attention d" + std::to_string(headDim) + " v" +
                    std::to_string(valueDim) + " g" +
                    std::to_string(headsPerKV) + " p" +
                    std::to_string(numParameters) + (causal ? " causal " : " ");
  if (softcap)
    key += "softcap" + std::to_string(*softcap) + " ";
  key += hasBias ? "bias " : "";
  key += hasLogSumExp ? "lse " : "";
  for (PerItem kind : {offset, positionOffset, length})
    key += std::to_string(static_cast<int>(kind));
  for (auto [index, segment] : llvm::enumerate(segments))
    key += " " + text(segment.from) + ":" + std::to_string(queryIndex[index]) +
           "," + std::to_string(keyIndex[index]);
  return key;
}

KernelInfo AttentionKernel::build(gpu::GPUModuleOp module,
                                  StringRef name) const {
  KernelBuilder k(module, name, threads());
  AttentionBuilder(k, *this).build();
  KernelInfo info = k.finish();
  info.summary = "attention of " + std::to_string(segments.size()) +
                 " segments, " + std::to_string(queries()) + " queries x " +
                 std::to_string(kKeys) + " keys";
  return info;
}
