//===- Passes.td - Code for processors --------------- -*- tablegen -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_CODEGEN_CPU_PASSES_TD
#define ROPEWALK_CODEGEN_CPU_PASSES_TD

include "mlir/Pass/PassBase.td"

def TileAttentionPass : Pass<"rope-tile-attention"> {
  let summary = "lower rope.attention to vector code over tiles";
  let description = [{
    Rewrites `rope.attention` into a parallel loop over (batch item, query head,
    tile of queries) and, inside, one loop over tiles of keys for each segment
    of the position map, with one online softmax. Only the keys that a segment
    holds for some row of the tile are visited. K is rotated and transposed once
    for each distinct key position, before the loop. No other temporary grows
    with the number of keys.

    Operations that this form does not cover (computation in f64, explicit
    positions) stay as they are, with a remark, for `rope-decompose-attention`.

    ```mlir
    %o = rope.attention #rope.sliding<window = 4> ... query(%q : ...) ...
    // becomes
    %kt = ...  // K rotated and transposed, once for each key position
    %o = scf.forall (%b, %h, %tile) ... {
      %acc:3 = scf.for %keys = ... iter_args(%output, %maximum, %sum) {
        // scores by vector.fma, mask, exp, output by vector.fma
    ```

    Preserves numerics: no, sums are reordered and contracted, the softmax is
    online.
  }];
  let dependentDialects = [
    "::mlir::affine::AffineDialect", "::mlir::arith::ArithDialect",
    "::mlir::linalg::LinalgDialect", "::mlir::math::MathDialect",
    "::mlir::scf::SCFDialect", "::mlir::tensor::TensorDialect",
    "::mlir::vector::VectorDialect"];
  let options = [
    Option<"vectorBytes", "vector-bytes", "unsigned", "64",
           "bytes of a vector register: 16, 32 or 64">,
    Option<"tileQueries", "tile-queries", "unsigned", "32",
           "queries of a tile, a multiple of 8">,
    Option<"tileKeys", "tile-keys", "unsigned", "128",
           "keys of a tile, a multiple of two vectors of f32">];
}

def FuseParallelOpsPass : Pass<"rope-fuse-parallel-ops"> {
  let summary = "fuse elementwise operations on tensors";
  let description = [{
    Fuses a `linalg.generic` of parallel loops into the parallel one that is its
    only user and reads it without broadcast, so nothing is computed twice.

    ```mlir
    %a = linalg.generic {parallel} ins(%x) { arith.negf }
    %b = linalg.generic {parallel} ins(%a, %y) { arith.addf }
    // becomes
    %b = linalg.generic {parallel} ins(%x, %y) { arith.negf, arith.addf }
    ```

    Preserves numerics: yes.
  }];
  let dependentDialects = ["::mlir::affine::AffineDialect",
                           "::mlir::linalg::LinalgDialect"];
}

def DeclareEntriesPass : Pass<"rope-declare-entries", "::mlir::ModuleOp"> {
  let summary = "prepare public functions for calls from C";
  let description = [{
    Public functions get a C interface, and their arguments are marked as
    writable (caches) or not (all others) for bufferization.

    ```mlir
    func.func @forward(%k: tensor<?xf32> {rope.kind = "cache"}, %x: tensor<?xf32>)
    // becomes
    func.func @forward(%k: tensor<?xf32> {bufferization.writable = true, ...},
                       %x: tensor<?xf32> {bufferization.writable = false})
      attributes {llvm.emit_c_interface}
    ```

    Preserves numerics: yes.
  }];
  let dependentDialects = ["::mlir::bufferization::BufferizationDialect",
                           "::mlir::LLVM::LLVMDialect"];
}

def UpdateCachesInPlacePass
    : Pass<"rope-update-caches-in-place", "::mlir::ModuleOp"> {
  let summary = "turn updated caches from results into arguments";
  let description = [{
    After bufferization: every result of a public function that has the
    `rope.name` of a cache argument is removed. Where the function returns
    another buffer than the argument's, it is copied there.

    ```mlir
    func.func @f(%k: memref<?xf32> {rope.kind = "cache", rope.name = "k"})
        -> (memref<4xf32>, memref<?xf32> {rope.name = "k"}) {
      return %logits, %k : ...
    // becomes
    func.func @f(%k: memref<?xf32> {rope.kind = "cache", rope.name = "k"})
        -> memref<4xf32> {
      return %logits : ...
    ```

    Preserves numerics: yes.
  }];
  let dependentDialects = ["::mlir::memref::MemRefDialect"];
}

def LowerMatmulToCallsPass
    : Pass<"rope-lower-matmul-to-calls", "::mlir::ModuleOp"> {
  let summary = "call the library for products with weights";
  let description = [{
    After bufferization: a `linalg.generic` that is C[m, n] += A[m, k] * B[n, k]
    with f32 sums, B of f32, f16 or bf16 and rows without gaps becomes a call
    of `ropewalk_matmul_<type>`.

    ```mlir
    linalg.generic {(m, n, k) -> (m, k), (n, k), (m, n)}
      ins(%a : memref<?x64xf32>, %b : memref<32x64xbf16>) outs(%c)
    // becomes
    func.call @ropewalk_matmul_bf16(%m, %n, %k, %a, ..., %b, ..., %c, ...)
    ```

    Preserves numerics: no, sums are reordered and contracted.
  }];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::func::FuncDialect",
    "::mlir::memref::MemRefDialect"];
}

def LowerLinalgToParallelLoopsPass
    : Pass<"rope-lower-linalg-to-parallel-loops"> {
  let summary = "lower linalg to loops, the outer ones parallel";
  let description = [{
    After bufferization: every linalg operation becomes loops. Outside other
    parallel loops its leading parallel loops but for the innermost loop become
    one `scf.parallel`; the innermost loop is left to LLVM's vectorizer. Sums
    along reduction loops are marked as reassociable and contractible.

    ```mlir
    linalg.generic {parallel, parallel, parallel} ins(%x : memref<?x?x8xf32>)
      outs(%y : memref<?x?x8xf32>)
    // becomes
    scf.parallel (%ij) = (0) to (%d0 * %d1) step (1) {
      scf.for %k = 0 to 8 step 1 { ... }
    ```

    Preserves numerics: no, sums are reordered and contracted.
  }];
  let dependentDialects = [
    "::mlir::affine::AffineDialect", "::mlir::arith::ArithDialect",
    "::mlir::memref::MemRefDialect", "::mlir::scf::SCFDialect"];
}

def TuneParallelLoopsPass : Pass<"rope-tune-parallel-loops"> {
  let summary = "balance OpenMP loops, run short ones serially";
  let description = [{
    Work-sharing loops get a guided schedule (tiles of causal attention differ
    in work), and a parallel region with one iteration runs on the thread that
    meets it.

    ```mlir
    omp.parallel { omp.wsloop { omp.loop_nest (%i) = (%from) to (%to) ... } }
    // becomes
    %several = arith.cmpi slt, %from + %step, %to
    omp.parallel if(%several) { omp.wsloop schedule(guided) { ... } }
    ```

    Preserves numerics: yes.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect"];
}

def ApproximateMathPass : Pass<"rope-approximate-math"> {
  let summary = "expand exp and tanh of f32 into arithmetic";
  let description = [{
    Expands `math.exp` and `math.tanh` of f32, scalar or vector, into
    polynomials, so that loops over them vectorize.

    ```mlir
    %y = math.exp %x : vector<8xf32>
    // becomes
    %n = math.floor (%x * log2(e))   %r = %x - %n * ln(2)
    %y = (polynomial of %r by math.fma) * (2^%n by shifting into the exponent)
    ```

    Preserves numerics: no, exp and tanh to a few units in the last place.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect",
                           "::mlir::math::MathDialect",
                           "::mlir::vector::VectorDialect"];
}

def LowerExpandShapesPass : Pass<"rope-lower-expand-shapes"> {
  let summary = "lower memref.expand_shape with several dynamic sizes in a group";
  let description = [{
    Rewrites a `memref.expand_shape` that splits one dimension into more than
    one dynamic size into `memref.reinterpret_cast` with the sizes that the op
    names; `expand-strided-metadata` lowers all others and crashes at these.

    ```mlir
    memref.expand_shape %x [[0, 1]] output_shape [%a, %b]
      : memref<?xf32> into memref<?x?xf32>
    // becomes
    memref.reinterpret_cast %x to offset: [0], sizes: [%a, %b], strides: [%b, 1]
    ```

    Preserves numerics: yes.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect",
                           "::mlir::memref::MemRefDialect"];
}

#endif // ROPEWALK_CODEGEN_CPU_PASSES_TD
