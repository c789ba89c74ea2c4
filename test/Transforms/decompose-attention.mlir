// RUN: ropewalk-opt %s -rope-decompose-attention -canonicalize -cse -split-input-file | FileCheck %s

// The definition: one rotation for each distinct position function, one tensor
// of scores for each pair of them, a choice by the segments, one softmax.

// CHECK-LABEL: func.func @identity
// CHECK-SAME: %[[Q:.*]]: tensor<1x4x6x8xf32>, %[[K:.*]]: tensor<1x2x6x8xf32>, %[[V:.*]]: tensor<1x2x6x8xf32>
func.func @identity(%q: tensor<1x4x6x8xf32>, %k: tensor<1x2x6x8xf32>,
                    %v: tensor<1x2x6x8xf32>) -> tensor<1x4x6x8xf32> {
  // Angles are made in f64, rounded once; both sides share the table.
  // CHECK: %[[TABLES:.*]]:2 = linalg.generic
  // CHECK: arith.mulf {{.*}} : f64
  // CHECK: math.cos {{.*}} : f64
  // CHECK: math.sin {{.*}} : f64
  // CHECK: arith.truncf {{.*}} : f64 to f32
  // CHECK-NOT: math.cos
  // One tensor of scores, KV heads by index: K is not repeated.
  // CHECK: linalg.generic {indexing_maps = [#{{.*}}, #[[$GROUPED:.*]], #{{.*}}], iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction"]}
  // CHECK-SAME: tensor<1x4x6x8xf32>, tensor<1x2x6x8xf32>) outs({{.*}} : tensor<1x4x6x6xf32>)
  // One softmax: a maximum, the exponentials, a sum.
  // CHECK: arith.maximumf
  // CHECK: math.exp
  // CHECK-NOT: math.exp
  // CHECK: arith.divf
  %e = tensor.empty() : tensor<1x4x6x8xf32>
  %r = rope.attention #rope.identity rotary #rope.rotary<theta = 10000.0, dim = 8>
    scale 0.5 causal
    query(%q : tensor<1x4x6x8xf32>) key(%k : tensor<1x2x6x8xf32>)
    value(%v : tensor<1x2x6x8xf32>)
    outs(%e : tensor<1x4x6x8xf32>) -> tensor<1x4x6x8xf32>
  // CHECK-NOT: rope.attention
  return %r : tensor<1x4x6x8xf32>
}

// -----

// Two query maps and two key maps, two pairs of them, a run-time parameter.
// CHECK-LABEL: func.func @two_segments
// CHECK-SAME: %[[GROUP:[^:]*]]: tensor<?xi64>
func.func @two_segments(%q: tensor<?x1x?x8xf32>, %k: tensor<?x1x?x8xf32>,
    %v: tensor<?x1x?x8xf32>, %group: tensor<?xi64>, %e: tensor<?x1x?x8xf32>)
    -> tensor<?x1x?x8xf32> {
  // A table for each distinct function of i or j.
  // CHECK: math.cos
  // The parameter is read for each item, never below its minimum.
  // CHECK: tensor.extract %[[GROUP]][%{{.*}}] : tensor<?xi64>
  // CHECK: arith.maxsi
  // CHECK: math.cos
  // CHECK-COUNT-2: iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction"]
  // CHECK-COUNT-1: math.exp
  // CHECK-NOT: math.exp
  %r = rope.attention #rope.self_extend<group = ?, window = 4>
    rotary #rope.rotary<theta = 10000.0, dim = 8> scale 0.5 causal
    query(%q : tensor<?x1x?x8xf32>) key(%k : tensor<?x1x?x8xf32>)
    value(%v : tensor<?x1x?x8xf32>) parameters(%group : tensor<?xi64>)
    outs(%e : tensor<?x1x?x8xf32>) -> tensor<?x1x?x8xf32>
  return %r : tensor<?x1x?x8xf32>
}

// -----

// A masked segment has no scores of its own.
// CHECK-LABEL: func.func @masked
func.func @masked(%q: tensor<1x1x6x8xf32>, %k: tensor<1x1x6x8xf32>,
    %v: tensor<1x1x6x8xf32>, %e: tensor<1x1x6x8xf32>) -> tensor<1x1x6x8xf32> {
  // CHECK-COUNT-1: iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction"]} ins({{.*}}) outs({{.*}} : tensor<1x1x6x6xf32>)
  // CHECK: arith.select
  %r = rope.attention #rope.sliding<window = 4>
    rotary #rope.rotary<theta = 10000.0, dim = 8> scale 0.5 causal
    query(%q : tensor<1x1x6x8xf32>) key(%k : tensor<1x1x6x8xf32>)
    value(%v : tensor<1x1x6x8xf32>)
    outs(%e : tensor<1x1x6x8xf32>) -> tensor<1x1x6x8xf32>
  return %r : tensor<1x1x6x8xf32>
}

// -----

// The computation is in f64 where the query is; the log-sum-exp is a result.
// CHECK-LABEL: func.func @f64
func.func @f64(%q: tensor<1x1x6x8xf64>, %k: tensor<1x1x6x8xf16>,
    %v: tensor<1x1x6x8xf16>, %e: tensor<1x1x6x8xf64>, %l: tensor<1x1x6xf32>)
    -> (tensor<1x1x6x8xf64>, tensor<1x1x6xf32>) {
  // CHECK-NOT: arith.truncf {{.*}} : f64 to f32
  // CHECK: arith.extf {{.*}} : f16 to f64
  // CHECK: math.exp {{.*}} : f64
  // CHECK: math.log {{.*}} : f64
  %r:2 = rope.attention #rope.identity rotary #rope.rotary<theta = 10000.0, dim = 8>
    scale 0.5 causal
    query(%q : tensor<1x1x6x8xf64>) key(%k : tensor<1x1x6x8xf16>)
    value(%v : tensor<1x1x6x8xf16>)
    outs(%e, %l : tensor<1x1x6x8xf64>, tensor<1x1x6xf32>)
    -> tensor<1x1x6x8xf64>, tensor<1x1x6xf32>
  return %r#0, %r#1 : tensor<1x1x6x8xf64>, tensor<1x1x6xf32>
}
