// RUN: ropewalk-opt %s -rope-tile-attention -canonicalize -cse -split-input-file 2>/dev/null | FileCheck %s
// RUN: ropewalk-opt %s -rope-tile-attention -split-input-file 2>&1 >/dev/null | FileCheck %s --check-prefix=REMARK
// RUN: ropewalk-opt %s -rope-tile-attention=vector-bytes=32 -canonicalize -split-input-file 2>/dev/null | FileCheck %s --check-prefix=NARROW
// RUN: not ropewalk-opt %s -rope-tile-attention=vector-bytes=24 -split-input-file 2>&1 >/dev/null | FileCheck %s --check-prefix=BYTES
// RUN: not ropewalk-opt %s -rope-tile-attention=tile-keys=40 -split-input-file 2>&1 >/dev/null | FileCheck %s --check-prefix=KEYS

// BYTES: vector-bytes must be 16, 32 or 64, got 24
// KEYS: tile-queries must be a multiple of 8 and tile-keys a multiple of 32, got 32 and 40

// Two segments: two loops over tiles of keys in one parallel loop, one softmax
// state through both, K transposed once for each key map before it.
// CHECK-LABEL: func.func @two_segments
// NARROW-LABEL: func.func @two_segments
func.func @two_segments(%q: tensor<?x4x?x32xf32>, %k: tensor<?x2x?x32xf32>,
    %v: tensor<?x2x?x32xf32>, %e: tensor<?x4x?x32xf32>) -> tensor<?x4x?x32xf32> {
  // CHECK-COUNT-2: tensor<?x2x32x?xf32>
  // CHECK: scf.forall
  // CHECK: iter_args({{.*}}) -> (tensor<32xf32>, tensor<32xf32>, tensor<32x32xf32>, tensor<32x128xf32>, tensor<32xf32>)
  // CHECK: vector.fma {{.*}} : vector<16xf32>
  // CHECK: math.exp {{.*}} : vector<16xf32>
  // CHECK: vector.fma {{.*}} : vector<16xf32>
  // CHECK: iter_args({{.*}}) -> (tensor<32xf32>, tensor<32xf32>, tensor<32x32xf32>, tensor<32x128xf32>, tensor<32xf32>)
  // CHECK: tensor.parallel_insert_slice
  // NARROW: vector.fma {{.*}} : vector<8xf32>
  // NARROW-NOT: vector<16xf32>
  %r = rope.attention #rope.self_extend<group = 4, window = 64>
    rotary #rope.rotary<theta = 10000.0, dim = 32> scale 0.17 causal
    query(%q : tensor<?x4x?x32xf32>) key(%k : tensor<?x2x?x32xf32>)
    value(%v : tensor<?x2x?x32xf32>)
    outs(%e : tensor<?x4x?x32xf32>) -> tensor<?x4x?x32xf32>
  // CHECK-NOT: rope.attention
  return %r : tensor<?x4x?x32xf32>
}

// -----

// Masked keys are not visited: one loop.
// CHECK-LABEL: func.func @masked
func.func @masked(%q: tensor<1x1x?x32xf32>, %k: tensor<1x1x?x32xf32>,
    %v: tensor<1x1x?x32xf32>, %e: tensor<1x1x?x32xf32>) -> tensor<1x1x?x32xf32> {
  // CHECK: scf.forall
  // CHECK-COUNT-1: iter_args({{.*}}) -> (tensor<32xf32>, tensor<32xf32>, tensor<32x32xf32>, tensor<32x128xf32>, tensor<32xf32>)
  // CHECK: tensor.parallel_insert_slice
  %r = rope.attention #rope.sliding<window = 64>
    rotary #rope.rotary<theta = 10000.0, dim = 32> scale 0.17 causal
    query(%q : tensor<1x1x?x32xf32>) key(%k : tensor<1x1x?x32xf32>)
    value(%v : tensor<1x1x?x32xf32>)
    outs(%e : tensor<1x1x?x32xf32>) -> tensor<1x1x?x32xf32>
  return %r : tensor<1x1x?x32xf32>
}

// -----

// What is not covered stays, with the reason.
// REMARK: remark: rope.attention is not tiled: it computes in f64
// CHECK-LABEL: func.func @f64
func.func @f64(%q: tensor<1x1x6x8xf64>, %k: tensor<1x1x6x8xf64>,
    %v: tensor<1x1x6x8xf64>, %e: tensor<1x1x6x8xf64>) -> tensor<1x1x6x8xf64> {
  // CHECK: rope.attention
  %r = rope.attention #rope.identity rotary #rope.rotary<theta = 10000.0, dim = 8>
    scale 0.5 causal
    query(%q : tensor<1x1x6x8xf64>) key(%k : tensor<1x1x6x8xf64>)
    value(%v : tensor<1x1x6x8xf64>)
    outs(%e : tensor<1x1x6x8xf64>) -> tensor<1x1x6x8xf64>
  return %r : tensor<1x1x6x8xf64>
}

// -----

// REMARK: remark: rope.attention is not tiled: its positions are explicit, so a segment's keys need not be contiguous
// CHECK-LABEL: func.func @explicit
func.func @explicit(%q: tensor<1x1x6x8xf32>, %k: tensor<1x1x6x8xf32>,
    %v: tensor<1x1x6x8xf32>, %p: tensor<1x6xi64>, %e: tensor<1x1x6x8xf32>)
    -> tensor<1x1x6x8xf32> {
  // CHECK: rope.attention
  %r = rope.attention #rope.identity rotary #rope.rotary<theta = 10000.0, dim = 8>
    scale 0.5 causal
    query(%q : tensor<1x1x6x8xf32>) key(%k : tensor<1x1x6x8xf32>)
    value(%v : tensor<1x1x6x8xf32>)
    query_positions(%p : tensor<1x6xi64>) key_positions(%p : tensor<1x6xi64>)
    outs(%e : tensor<1x1x6x8xf32>) -> tensor<1x1x6x8xf32>
  return %r : tensor<1x1x6x8xf32>
}
