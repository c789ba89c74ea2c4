//===- Kernels.h - The kinds of kernels -------------------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// For each kind of kernel a structure that says which one of the kind is meant,
// with `key()`: two kernels are the same exactly if their keys are. Structures
// hold no value of a map's parameter, no layer and no name of a weight; sizes
// only where they decide how the kernel is built.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_LIB_CODEGEN_GPU_KERNELS_H
#define ROPEWALK_LIB_CODEGEN_GPU_KERNELS_H

#include "../KernelBuilder.h"
#include "Ropewalk/IR/Rope.h"

namespace ropewalk::codegen {

//===----------------------------------------------------------------------===//
// Contractions: out[m, n] = sum over k of lhs[m, k] * rhs[n, k], f32
//===----------------------------------------------------------------------===//

struct MatmulKernel {
  /// f32, bf16 or f16.
  mlir::Type rhsType;
  /// Elements of a vector access along k: 4, or 1 where k is no multiple of 4.
  unsigned vectorK = 4;
  /// One warp for each output instead of one block for each 64 x 64 tile.
  bool isMatvec = false;

  static constexpr int64_t kTile = 64;
  static constexpr int64_t kMatvecColumns = 8;

  std::string key() const;
  /// Parameters: lhs, rhs, out, m, n, k (i32).
  KernelInfo build(mlir::gpu::GPUModuleOp module, llvm::StringRef name) const;
};

//===----------------------------------------------------------------------===//
// Elementwise loops and reductions of rows
//===----------------------------------------------------------------------===//

/// How a loop nest reads or writes one tensor.
struct NestOperand {
  mlir::Type type;
  /// By loop: true where the tensor has that dimension. The innermost loop has
  /// stride 1 where it is used and `isContiguous`.
  llvm::SmallVector<bool> uses;
  bool isContiguous = false;
};

/// The scalar computation of a loop nest: a block with one argument for each
/// operand. Values that it takes from outside are constants, or scalars that
/// become parameters.
struct NestBody {
  mlir::Block *block = nullptr;
  /// What an argument of the block stands for: an input, a constant, a scalar,
  /// or (none of them) the running value of a reduction.
  struct Argument {
    int input = -1;
    mlir::TypedAttr constant;
    int scalar = -1;
  };
  llvm::SmallVector<Argument> arguments;
  /// Scalars (i32, i64, index) that the host passes, in order.
  llvm::SmallVector<mlir::Value> scalars;
  /// Tensors that the body indexes itself (tensor.extract), in order.
  llvm::SmallVector<mlir::Value> gathers;
  /// For each original loop: the collapsed loop whose index it is, or -1 for a
  /// loop of one iteration.
  llvm::SmallVector<int> loopOf;

  /// Text that is equal for equal computations.
  std::string text() const;
};

/// The parameters that elementwise kernels and row reductions share, and the
/// code around the body of either.
class NestParams {
public:
  NestParams(KernelBuilder &k, unsigned numLoops,
             llvm::ArrayRef<NestOperand> inputs,
             llvm::ArrayRef<NestOperand> outputs, const NestBody &body);

  /// Splits the number of a row into the indices of all loops but the last.
  Vals rowIndices(KernelBuilder &k, Val row) const;
  Val rows(KernelBuilder &k) const;
  /// The last loop's size as i64.
  Val innerSize(KernelBuilder &k) const { return k.toI64(sizes.back()); }
  /// Loads `vector` elements of each input from `indices` on (i64).
  llvm::SmallVector<Vals> load(KernelBuilder &k, llvm::ArrayRef<Val> indices,
                               unsigned vector) const;
  /// Where the output `number` has the element at `indices`.
  Val outputOffset(KernelBuilder &k, unsigned number,
                   llvm::ArrayRef<Val> indices) const;
  /// Computes the body at one point: `inputs` one scalar each, `accumulator`
  /// for an argument of the block that no input stands for.
  Vals emit(KernelBuilder &k, llvm::ArrayRef<Val> indices,
            llvm::ArrayRef<Val> inputs, Val accumulator = Val()) const;

  Vals outputPointers;

private:
  Val offset(KernelBuilder &k, const NestOperand &operand,
             llvm::ArrayRef<Val> strides, llvm::ArrayRef<Val> indices) const;

  unsigned numLoops;
  llvm::ArrayRef<NestOperand> inputs, outputs;
  const NestBody &body;
  Vals inputPointers, gatherPointers, sizes, scalars;
  llvm::SmallVector<Vals> inputStrides, outputStrides, gatherSizes;
};

/// Text of the operands for keys.
std::string text(llvm::ArrayRef<NestOperand> operands);

struct ElementwiseKernel {
  unsigned numLoops = 1;
  llvm::SmallVector<NestOperand> inputs, outputs;
  NestBody body;
  /// Elements that a thread handles at once along the innermost loop.
  unsigned vector = 1;

  static constexpr unsigned kThreads = 256;
  /// One loop: elements of a block.
  int64_t flatElements() const { return kThreads * vector; }
  /// More loops: a warp for each row, and so much of the innermost loop.
  static constexpr int64_t kRows = 8;
  int64_t rowElements() const { return 32 * vector; }

  std::string key() const;
  /// Parameters: inputs, outputs, gathers (pointers); sizes of the loops (i32;
  /// a single loop: i64); strides (i64) of inputs and outputs for each loop
  /// used, the innermost only where it is not contiguous; sizes (i64) of the
  /// gathered tensors; scalars (i64).
  KernelInfo build(mlir::gpu::GPUModuleOp module, llvm::StringRef name) const;
};

struct RowReduceKernel {
  unsigned numLoops = 2;
  llvm::SmallVector<NestOperand> inputs;
  mlir::Type outputType;
  NestBody body;
  /// The operation that combines partial results.
  mlir::Operation *combiner = nullptr;
  mlir::TypedAttr neutral;
  /// The value to start from.
  mlir::TypedAttr initial;
  /// A block for each row instead of a warp.
  bool isWide = true;
  unsigned vector = 1;

  static constexpr unsigned kThreads = 256;
  int64_t rowsPerBlock() const { return isWide ? 1 : 8; }

  std::string key() const;
  /// Parameters as for ElementwiseKernel; the last loop is the reduction, the
  /// output is contiguous.
  KernelInfo build(mlir::gpu::GPUModuleOp module, llvm::StringRef name) const;
};

//===----------------------------------------------------------------------===//
// Attention
//===----------------------------------------------------------------------===//

/// A value of rope.attention that is absent, one scalar, or one for each item.
enum class PerItem { Absent, Scalar, Tensor };

/// Writes rotations of a tensor x [B, H, S, D] to workspaces: one for each
/// position map in `maps`.
struct RotateKernel {
  /// (position)[parameters] -> the minimum of the results.
  llvm::SmallVector<mlir::AffineMap> maps;
  mlir::Type type;
  int64_t headDim = 0;
  int64_t rotaryDim = 0;
  /// Query heads for each KV head (parameters are per KV head); 1 for keys.
  int64_t headsPerKV = 1;
  /// For each parameter: whether it has an axis of pairs.
  llvm::SmallVector<bool> byPair;
  PerItem offset = PerItem::Absent, positionOffset = PerItem::Absent,
          length = PerItem::Absent;

  static constexpr unsigned kThreads = 256;
  /// Threads for each row of D elements.
  int64_t threadsPerRow() const;

  std::string key() const;
  /// Parameters: x, outputs..., low, high; items, heads, rows (i32); offset,
  /// positionOffset, length (pointer or i64, if present); for each parameter
  /// pointer and strides (i64) of item, head and, if by pair, pair.
  KernelInfo build(mlir::gpu::GPUModuleOp module, llvm::StringRef name) const;
};

struct AttentionKernel {
  llvm::SmallVector<rope::Segment> segments;
  unsigned numParameters = 0;
  /// By segment: which rotation of q and of k it uses; -1 where masked.
  llvm::SmallVector<int> queryIndex, keyIndex;
  unsigned numQueries = 1, numKeys = 1;
  int64_t headDim = 0, valueDim = 0;
  int64_t headsPerKV = 1;
  bool causal = true;
  std::optional<double> softcap;
  bool hasBias = false, hasLogSumExp = false;
  PerItem offset = PerItem::Absent, positionOffset = PerItem::Absent,
          length = PerItem::Absent;

  static constexpr int64_t kKeys = 32;
  int64_t queries() const { return headDim <= 64 && valueDim <= 64 ? 64 : 32; }
  /// A thread has four rows and a sixteenth of their columns.
  unsigned threads() const { return queries() * 4; }

  std::string key() const;
  /// Parameters: queries..., keys..., value, out; heads, queryRows, keyRows
  /// (i32); scale (f32: scale * log2 e, or scale / softcap); offset,
  /// positionOffset, length (if present); parameters: pointer, strides (i64) of
  /// item and head; the bias with strides of item and head, the log-sum-exp (if
  /// there are).
  KernelInfo build(mlir::gpu::GPUModuleOp module, llvm::StringRef name) const;
};

/// Attention of one query for each item, from un-rotated queries and keys, over
/// parts of the keys: the query heads of a KV head are the rows of a tile, and
/// every block leaves the un-normalized output of its part.
struct DecodeAttentionKernel {
  AttentionKernel attention;
  llvm::SmallVector<mlir::AffineMap> queryMaps, keyMaps;
  int64_t rotaryDim = 0;
  llvm::SmallVector<bool> byPair;

  /// Slots of a part.
  static constexpr int64_t kPartSlots = 256;
  /// Query heads of a KV head that fit into a tile.
  static constexpr int64_t kMaximumRows = 64;
  int64_t rows() const {
    int64_t heads = attention.headsPerKV;
    return heads <= 16 ? 16 : heads <= 32 ? 32 : 64;
  }

  std::string key() const;
  /// Parameters: query, key, value; partial [items, heads, parts, Dv] and its
  /// statistics [items, heads, parts, 2] (maximum and sum, in units of log2 e);
  /// low, high; heads, keyRows (i32); scale (f32); offset, positionOffset,
  /// length (if present); for each parameter pointer and strides (i64). The
  /// grid is parts x (items * KV heads).
  KernelInfo build(mlir::gpu::GPUModuleOp module, llvm::StringRef name) const;
};

/// Merges the parts of DecodeAttentionKernel.
struct MergeKernel {
  int64_t valueDim = 0;
  static constexpr unsigned kThreads = 256;

  std::string key() const { return "merge " + std::to_string(valueDim); }
  /// Parameters: partial, statistics, out; parts (i32). One block for each item
  /// and head.
  KernelInfo build(mlir::gpu::GPUModuleOp module, llvm::StringRef name) const;
};

struct UpdateCacheKernel {
  mlir::Type type;
  int64_t headDim = 0;
  PerItem offset = PerItem::Tensor;

  static constexpr unsigned kThreads = 256;
  unsigned vector() const { return headDim % 4 == 0 ? 4 : 1; }

  std::string key() const;
  /// Parameters: rows, cache, offset; heads, rows, slots, items (i32).
  KernelInfo build(mlir::gpu::GPUModuleOp module, llvm::StringRef name) const;
};

/// Loads a per-item value as i64: zero where absent.
class PerItemParam {
public:
  PerItemParam(KernelBuilder &k, PerItem kind, llvm::StringRef name);
  Val get(KernelBuilder &k, Val item) const;
  bool isAbsent() const { return kind == PerItem::Absent; }

private:
  PerItem kind;
  Val param;
};

/// Text of an affine map for keys.
std::string text(mlir::AffineMap map);
/// Text of a type for keys.
std::string text(mlir::Type type);

} // namespace ropewalk::codegen

#endif // ROPEWALK_LIB_CODEGEN_GPU_KERNELS_H
