//===- Attention.cpp - Attention over the segments of a map -----*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A block owns a tile of consecutive queries of one head. All rotations of Q
// and K that the segments use lie in memory; which one a visit reads is a
// pointer.
//
//===----------------------------------------------------------------------===//

#include "AttentionTile.h"

#include <cmath>

using namespace mlir;
using namespace ropewalk::codegen;

namespace {

class TiledAttention final : public AttentionTile {
public:
  TiledAttention(KernelBuilder &k, const AttentionKernel &kernel)
      : AttentionTile(k, kernel, kernel.queries()) {}

private:
  void declareParams() override;
  void locate() override;
  Vals mapParameters() override;
  Val positionOf(Val row) override { return firstPosition + k.toI64(row); }
  void loadQueries(Val segment) override;
  void enterSegment(Val segment) override {
    keyPointer = selectBySegment(k, keys, kernel.keyIndex, segment);
  }
  void stageKeys(Val segment, Val firstSlot) override {
    Vals tile = fetchTile(keyPointer, keyBase, firstSlot, dim);
    k.barrier();
    putTile(tile, dim, queryPitch);
  }
  void addBias(MutableArrayRef<Val> scores, Val firstSlot) override;
  void finishRow(Val row, Val maximum, Val sum, ArrayRef<Val> output) override;

  // Parameters.
  Vals queries, keys;
  Val out, heads, queryRows, bias, biasItem, biasHead, logSumExp;
  std::optional<PerItemParam> offsets, positionOffsets, lengths;
  struct MapParam {
    Val pointer, itemStride, headStride;
  };
  SmallVector<MapParam> params;

  Val item, kvHead, row0, keyPointer, firstPosition;
  /// First row of the item and head in q and out; first element in K and in the
  /// bias.
  Val queryBase, keyBase, biasBase;
};

void TiledAttention::declareParams() {
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

void TiledAttention::locate() {
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

Vals TiledAttention::mapParameters() {
  Vals symbols;
  for (MapParam &param : params)
    symbols.push_back(k.load(param.pointer,
                             k.toI64(item) * param.itemStride +
                                 k.toI64(kvHead) * param.headStride,
                             k.i64Type()));
  return symbols;
}

void TiledAttention::loadQueries(Val segment) {
  Val pointer = selectBySegment(k, queries, kernel.queryIndex, segment);
  int64_t perRow = dim / 4, total = rows * perRow;
  k.loop(thread, k.i32(total), k.i32(threads), [&](Val index) {
    Val row = k.min(index / perRow, lastRow);
    Val column = index % perRow * 4;
    Val part = k.load(pointer,
                      (queryBase + k.toI64(row0 + row)) * dim + k.toI64(column),
                      k.f32Type(), 4);
    k.store(part, sharedQuery, index / perRow * queryPitch + column);
  });
}

void TiledAttention::addBias(MutableArrayRef<Val> scores, Val firstSlot) {
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

void TiledAttention::finishRow(Val row, Val maximum, Val sum,
                               ArrayRef<Val> output) {
  Val target = queryBase + k.toI64(row0 + row);
  if (kernel.hasLogSumExp)
    k.ifThen(tx == 0, [&] {
      Val total = (maximum + k.log2(sum)) * k.f32(M_LN2);
      k.store(k.select(sum > k.f32(0.0), total, k.f32(-INFINITY)), logSumExp,
              target);
    });
  Val inverse = k.select(sum > k.f32(0.0), k.reciprocal(sum), k.f32(0.0));
  storeOutput(output, inverse, out, target * valueDim);
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
  k.setMinimumBlocks(2);
  TiledAttention(k, *this).build();
  KernelInfo info = k.finish();
  info.summary = "attention of " + std::to_string(segments.size()) +
                 " segments, " + std::to_string(queries()) + " queries x " +
                 std::to_string(kKeys) + " keys";
  return info;
}
