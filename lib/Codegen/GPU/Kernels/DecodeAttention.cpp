//===- DecodeAttention.cpp - One query over parts of the keys ---*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A block owns the query heads of one KV head as the rows of a tile, and one
// part of the slots. Queries and keys are read as they lie in memory and are
// rotated on the way to shared memory, so one new token costs one pass over the
// cache and leaves nothing behind but a partial output for each part. The merge
// adds parts up by their maxima and sums.
//
//===----------------------------------------------------------------------===//

#include "AttentionTile.h"
#include "Rotation.h"

using namespace mlir;
using namespace ropewalk::codegen;

namespace {

class DecodeAttention final : public AttentionTile {
public:
  DecodeAttention(KernelBuilder &k, const DecodeAttentionKernel &kernel)
      : AttentionTile(k, kernel.attention, kernel.rows()), decode(kernel),
        rotation(k, kernel.attention.headDim, kernel.rotaryDim, kernel.byPair) {
  }

private:
  void declareParams() override;
  void locate() override;
  Vals mapParameters() override { return rotation.parameters(item, kvHead); }
  Val positionOf(Val row) override { return position; }
  void loadQueries(Val segment) override;
  void stageKeys(Val segment, Val firstSlot) override;
  // Many small blocks hide the latency of loads better than registers do.
  bool prefetchesValues() override { return false; }
  void clip(Val &begin, Val &end) override {
    begin = k.max(begin, partBegin);
    end = k.min(end, partBegin + DecodeAttentionKernel::kPartSlots);
  }
  void finishRow(Val row, Val maximum, Val sum, ArrayRef<Val> output) override;
  /// Rotates row `row` of x at `base` by the map that `segment` uses into row
  /// `row` of `shared`.
  void rotateRow(Val x, Val base, Val group, Val at, ArrayRef<AffineMap> maps,
                 ArrayRef<int> indices, Val segment, Val shared, Val row);

  const DecodeAttentionKernel &decode;
  Rotation rotation;
  Val query, key, partial, statistics, heads;
  std::optional<PerItemParam> offsets, positionOffsets, lengths;
  Val item, kvHead, position, partBegin, queryBase, keyBase;
};

void DecodeAttention::declareParams() {
  query = k.pointerParam("q", true);
  key = k.pointerParam("k", true);
  value = k.pointerParam("v", true);
  partial = k.pointerParam("partial", false);
  statistics = k.pointerParam("statistics", false);
  rotation.declareTables();
  heads = k.i32Param("heads");
  keyRows = k.i32Param("key_rows");
  scale = k.f32Param("scale");
  offsets.emplace(k, kernel.offset, "offset");
  positionOffsets.emplace(k, kernel.positionOffset, "position_offset");
  lengths.emplace(k, kernel.length, "length");
  rotation.declareParams();
}

void DecodeAttention::locate() {
  int64_t perKV = kernel.headsPerKV;
  Val kvHeads = heads / perKV;
  item = k.blockId(1) / kvHeads;
  kvHead = k.blockId(1) % kvHeads;
  lastRow = k.i32(perKV - 1);
  partBegin = k.blockId(0) * DecodeAttentionKernel::kPartSlots;
  queryBase = k.toI64(k.blockId(1)) * perKV;
  keyBase = k.toI64(k.blockId(1)) * k.toI64(keyRows) * dim;
  valueBase = k.toI64(k.blockId(1)) * k.toI64(keyRows) * valueDim;
  positionOffset = positionOffsets->get(k, item);
  position = offsets->get(k, item) + positionOffset;
  lowSlot = k.max(k.i64(0) - positionOffset, k.i64(0));
  highSlot = k.toI64(keyRows);
  if (!lengths->isAbsent())
    highSlot = k.min(highSlot, lengths->get(k, item));
}

void DecodeAttention::rotateRow(Val x, Val base, Val group, Val at,
                                ArrayRef<AffineMap> maps, ArrayRef<int> indices,
                                Val segment, Val shared, Val row) {
  Val target = row * queryPitch;
  auto rotated = [&] {
    Rotation::Group pairs = rotation.loadPairs(x, base, group, k.f32Type());
    Val clamped = k.max(at, k.i64(0));
    pairs =
        rotation.rotate(pairs, group, item, kvHead, [&](ArrayRef<Val> symbols) {
          Vals positions = llvm::map_to_vector(maps, [&](AffineMap map) {
            return k.expandMin(map, clamped, symbols);
          });
          return selectBySegment(k, positions, indices, segment);
        });
    rotation.storePairs(pairs, shared, target, group);
  };
  auto copied = [&] {
    Val column = rotation.copiedColumn(group);
    k.store(k.load(x, base + k.toI64(column), k.f32Type(), rotation.width()),
            shared, target + column);
  };
  rotation.split(group, rotated, copied);
}

void DecodeAttention::loadQueries(Val segment) {
  int64_t groups = Rotation::groupsPerRow(dim, decode.rotaryDim);
  k.loop(thread, k.i32(rows * groups), k.i32(threads), [&](Val index) {
    Val row = index / groups;
    Val source = queryBase + k.toI64(k.min(row, lastRow));
    rotateRow(query, source * dim, index % groups, position, decode.queryMaps,
              kernel.queryIndex, segment, sharedQuery, row);
  });
}

void DecodeAttention::stageKeys(Val segment, Val firstSlot) {
  int64_t groups = Rotation::groupsPerRow(dim, decode.rotaryDim);
  k.barrier();
  k.loop(thread, k.i32(kKeys * groups), k.i32(threads), [&](Val index) {
    Val row = index / groups, group = index % groups;
    // Slots without keys repeat one that has a key: their scores are masked,
    // and there is one, since a block visits only tiles with keys.
    Val slot = k.toI64(firstSlot + row);
    slot = k.max(k.min(slot, highSlot - 1), lowSlot);
    rotateRow(key, keyBase + slot * dim, group, slot + positionOffset,
              decode.keyMaps, kernel.keyIndex, segment, sharedKey, row);
  });
}

void DecodeAttention::finishRow(Val row, Val maximum, Val sum,
                                ArrayRef<Val> output) {
  Val target = (queryBase + k.toI64(row)) * k.toI64(k.gridSize(0)) +
               k.toI64(k.blockId(0));
  k.ifThen(tx == 0,
           [&] { k.store(k.pack({maximum, sum}), statistics, target * 2); });
  // The merge does not read the output of a part without keys.
  k.ifThen(sum > k.f32(0.0), [&] {
    storeOutput(output, k.f32(1.0), partial, target * valueDim);
  });
}

} // namespace

std::string DecodeAttentionKernel::key() const {
  std::string key =
      "decode " + attention.key() + " r" + std::to_string(rotaryDim) + " ";
  for (bool pair : byPair)
    key += pair ? 'p' : '-';
  for (AffineMap map : queryMaps)
    key += " " + text(map);
  for (AffineMap map : keyMaps)
    key += " " + text(map);
  return key;
}

KernelInfo DecodeAttentionKernel::build(gpu::GPUModuleOp module,
                                        StringRef name) const {
  KernelBuilder k(module, name, 4 * rows());
  k.setMinimumBlocks(4);
  DecodeAttention(k, *this).build();
  KernelInfo info = k.finish();
  info.summary = "attention of one query in " +
                 std::to_string(attention.segments.size()) +
                 " segments, by parts of the keys";
  return info;
}

KernelInfo MergeKernel::build(gpu::GPUModuleOp module, StringRef name) const {
  constexpr int64_t warps = kThreads / 32;
  KernelBuilder k(module, name, kThreads);
  Val partial = k.pointerParam("partial", true);
  Val statistics = k.pointerParam("statistics", true);
  Val out = k.pointerParam("out", false);
  Val parts = k.i32Param("parts");

  // A warp takes every eighth part, a lane four columns.
  Val warp = k.threadId() / 32, lane = k.threadId() % 32;
  Val column = lane * 4;
  Val isActive = column < valueDim;
  Val base = k.toI64(k.blockId(0)) * k.toI64(parts);
  Val zero = k.f32(0.0);
  auto join = [&](ArrayRef<Val> state, Val maximum, Val sum,
                  llvm::function_ref<Vals()> load) {
    // A part without keys has no output.
    return k.ifElse(
        sum > zero,
        [&] {
          Val top = k.max(state[0], maximum);
          Val mine = k.exp2(state[0] - top), other = k.exp2(maximum - top);
          Vals result = {top, state[1] * mine + sum * other};
          for (auto [old, added] : llvm::zip(state.drop_front(2), load()))
            result.push_back(old * mine + added * other);
          return result;
        },
        [&] { return Vals(state); });
  };
  auto guarded = [&](Val pointer, Val at) {
    return k.unpack(k.ifElse(
        isActive,
        [&]() -> Vals { return {k.load(pointer, at, k.f32Type(), 4)}; },
        [&]() -> Vals { return {k.zeros(k.f32Type(), 4)}; })[0]);
  };
  Vals initial = {k.f32(-1.0e30), zero, zero, zero, zero, zero};
  Vals state = k.loop(
      warp, parts, k.i32(warps), initial, [&](Val part, ArrayRef<Val> carried) {
        Val at = base + k.toI64(part);
        Val pair = k.load(statistics, at * 2, k.f32Type(), 2);
        return join(carried, k.extract(pair, 0), k.extract(pair, 1), [&] {
          return guarded(partial, at * valueDim + k.toI64(column));
        });
      });

  Val sharedOutput = k.shared(warps * 128 * 4);
  Val sharedStatistics = k.shared(warps * 2 * 4);
  k.store(k.pack(ArrayRef<Val>(state).drop_front(2)), sharedOutput,
          warp * 128 + column);
  k.ifThen(lane == 0, [&] {
    k.store(k.pack({state[0], state[1]}), sharedStatistics, warp * 2);
  });
  k.barrier();
  k.ifThen(warp == 0, [&] {
    Vals total = state;
    for (int64_t other = 1; other < warps; ++other) {
      Val pair = k.load(sharedStatistics, k.i32(other * 2), k.f32Type(), 2);
      total = join(total, k.extract(pair, 0), k.extract(pair, 1), [&] {
        return k.unpack(
            k.load(sharedOutput, column + other * 128, k.f32Type(), 4));
      });
    }
    Val inverse = k.select(total[1] > zero, k.reciprocal(total[1]), zero);
    Vals output;
    for (Val each : ArrayRef<Val>(total).drop_front(2))
      output.push_back(each * inverse);
    k.ifThen(isActive, [&] {
      k.store(k.pack(output), out,
              k.toI64(k.blockId(0)) * valueDim + k.toI64(column));
    });
  });
  KernelInfo info = k.finish();
  info.summary = "merge of parts";
  return info;
}
