//===- AttentionTile.h - A tile of queries over its keys --------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What the attention kernels share: the walk of one block over the keys of its
// rows. How rows lie in queries, where rotated queries and keys come from and
// what becomes of the result is up to the kernel.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_LIB_CODEGEN_GPU_ATTENTIONTILE_H
#define ROPEWALK_LIB_CODEGEN_GPU_ATTENTIONTILE_H

#include "Kernels.h"

namespace ropewalk::codegen {

class AttentionTile {
public:
  /// `rows` is a multiple of 8; the block has 4 * rows threads.
  AttentionTile(KernelBuilder &k, const AttentionKernel &kernel, int64_t rows);
  virtual ~AttentionTile() = default;
  /// Builds the kernel's body.
  void build();

protected:
  static constexpr int64_t kKeys = AttentionKernel::kKeys;

  /// Declares all parameters, those below among them.
  virtual void declareParams() = 0;
  /// Sets what the block works on.
  virtual void locate() = 0;
  /// The parameters of the map for this item and KV head, i64.
  virtual Vals mapParameters() = 0;
  /// The position of a row of the tile that exists.
  virtual Val positionOf(Val row) = 0;
  /// Fills `sharedQuery` with the rotation that `segment` uses.
  virtual void loadQueries(Val segment) = 0;
  /// Called at the start of a segment that has keys, before `stageKeys`.
  virtual void enterSegment(Val segment) {}
  /// Fills `sharedKey` with kKeys rows from `firstSlot` on in the rotation that
  /// `segment` uses, zeros outside of [lowSlot, highSlot), after a barrier.
  virtual void stageKeys(Val segment, Val firstSlot) = 0;
  /// Whether V travels to registers while the scores are computed; otherwise it
  /// is loaded after them, which takes fewer registers.
  virtual bool prefetchesValues() { return true; }
  /// Restricts the slots [begin, end) that the block visits.
  virtual void clip(Val &begin, Val &end) {}
  /// Adds to the scores of rows 4 ty + i and keys tx + 16 j, at [2 i + j].
  virtual void addBias(llvm::MutableArrayRef<Val> scores, Val firstSlot) {}
  /// `maximum` and `sum` of row 4 ty + i (in units of log2 e, `sum` complete)
  /// and its un-normalized output.
  virtual void finishRow(Val row, Val maximum, Val sum,
                         llvm::ArrayRef<Val> output) = 0;

  /// Stores a row's output, times `factor`, from `base` on.
  void storeOutput(llvm::ArrayRef<Val> output, Val factor, Val pointer,
                   Val base);
  Vals fetchTile(Val pointer, Val base, Val firstSlot, int64_t rowSize);
  void putTile(llvm::ArrayRef<Val> tile, int64_t rowSize, int64_t pitch);

  KernelBuilder &k;
  const AttentionKernel &kernel;

  // Tile constants.
  int64_t rows, threads, dim, valueDim;
  /// Floats of a row in shared memory. Four more than needed: loads of a
  /// quarter-warp then meet all banks once.
  int64_t queryPitch, scorePitch, valuePitch;
  /// Columns of the output that a thread handles: `chunks` runs of `width`.
  int64_t width, chunks;

  // Parameters that every kernel declares.
  Val value, keyRows, scale;

  // Shared memory.
  Val sharedQuery, sharedKey, sharedScore;

  // Place of the block and the thread; `locate` sets from `lastRow` on.
  Val thread, ty, tx;
  Val lastRow;
  /// First element of the item and head in V.
  Val valueBase;
  /// Slots that hold keys are [lowSlot, highSlot), i64.
  Val lowSlot, highSlot, positionOffset;

private:
  void computeCuts();
  Val cut(Val line, Val row) {
    return k.load(cuts, line * rows + row, k.i32Type());
  }
  Vals computeScores(Val firstSlot);
  Vals visit(Val segment, Val firstSlot, Val masked, llvm::ArrayRef<Val> state);

  /// Line s has the slot where segment s - 1 of a row begins and segment s
  /// ends.
  Val cuts;
};

/// `values[indices[segment]]` for a segment known at run time.
Val selectBySegment(KernelBuilder &k, llvm::ArrayRef<Val> values,
                    llvm::ArrayRef<int> indices, Val segment);

} // namespace ropewalk::codegen

#endif // ROPEWALK_LIB_CODEGEN_GPU_ATTENTIONTILE_H
