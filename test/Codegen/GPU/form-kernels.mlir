// RUN: ropewalk-opt %s -split-input-file -pass-pipeline='builtin.module(func.func(rope-parametrize-maps),rope-form-kernels)' | FileCheck %s

// Kernels are keyed by structure: two layers whose maps differ in their
// parameters, and parameters per KV head beside one for all, share kernels.

// CHECK-LABEL: func.func @share
// CHECK: rope.attention {{.*}}group = ?
// CHECK-SAME: , kernels = ["rotate_0", "rotate_1", "attention_0"]
// CHECK: rope.attention
// CHECK-SAME: , kernels = ["rotate_0", "rotate_1", "attention_0"]
// CHECK: rope.attention
// CHECK-SAME: , kernels = ["rotate_0", "rotate_1", "attention_0"]
// CHECK: gpu.module @kernels
// Shared memory is the only global state.
// CHECK-COUNT-10: llvm.mlir.global internal @{{.*}}_shared{{[0-9]+}}() {addr_space = 3
// CHECK-NOT: llvm.mlir.global
// CHECK: llvm.func @rotate_0(%{{[^:]+}}: !llvm.ptr<1> {llvm.align = 16 : i64, llvm.noalias, llvm.readonly}
// CHECK-SAME: nvvm.kernel, nvvm.reqntid = array<i32: 256, 1, 1>
// CHECK: llvm.func @rotate_1
// CHECK: llvm.func @attention_0
// CHECK: llvm.func @decode_attention_0
// CHECK: llvm.func @merge_0
// CHECK-NOT: llvm.func
#rotary = #rope.rotary<theta = 10000.0, dim = 16>
func.func @share(
    %q: tensor<?x4x?x16xf32> {rope.kind = "input", rope.name = "q"},
    %k: tensor<?x2x?x16xf32> {rope.kind = "cache", rope.name = "k"},
    %init: tensor<?x4x?x16xf32> {rope.kind = "input", rope.name = "init"})
    -> tensor<?x4x?x16xf32> {
  %0 = rope.attention #rope.self_extend<group = 8, window = 1024> rotary #rotary scale 0.25 causal
    query(%q : tensor<?x4x?x16xf32>) key(%k : tensor<?x2x?x16xf32>) value(%k : tensor<?x2x?x16xf32>)
    outs(%init : tensor<?x4x?x16xf32>) -> tensor<?x4x?x16xf32>
  %1 = rope.attention #rope.self_extend<group = 3, window = 17> rotary #rotary scale 0.5 causal
    query(%0 : tensor<?x4x?x16xf32>) key(%k : tensor<?x2x?x16xf32>) value(%k : tensor<?x2x?x16xf32>)
    outs(%init : tensor<?x4x?x16xf32>) -> tensor<?x4x?x16xf32>
  %group = arith.constant dense<[[2, 5]]> : tensor<1x2xi64>
  %2 = rope.attention #rope.self_extend<group = ?, window = 64> rotary #rotary scale 0.5 causal
    query(%1 : tensor<?x4x?x16xf32>) key(%k : tensor<?x2x?x16xf32>) value(%k : tensor<?x2x?x16xf32>)
    parameters(%group : tensor<1x2xi64>)
    outs(%init : tensor<?x4x?x16xf32>) -> tensor<?x4x?x16xf32>
  return %2 : tensor<?x4x?x16xf32>
}

// -----

// Another list of segments is another structure; where it asks for the same
// rotation of queries and keys, one kernel does both. A parameter by rotary pair
// changes the rotations and not the attention.

// CHECK-LABEL: func.func @differ
// CHECK: , kernels = ["rotate_0", "rotate_1", "attention_0"]
// CHECK: , kernels = ["rotate_2", "rotate_2", "attention_1"]
// CHECK: , kernels = ["rotate_3", "rotate_4", "attention_0"]
func.func @differ(
    %q: tensor<1x1x?x16xf32> {rope.kind = "input"},
    %k: tensor<1x1x?x16xf32> {rope.kind = "cache"},
    %init: tensor<1x1x?x16xf32> {rope.kind = "input"}) -> tensor<1x1x?x16xf32> {
  %0 = rope.attention #rope.self_extend<group = 8, window = 4> rotary <theta = 10000.0, dim = 16> scale 1.0 causal
    query(%q : tensor<1x1x?x16xf32>) key(%k : tensor<1x1x?x16xf32>) value(%k : tensor<1x1x?x16xf32>)
    outs(%init : tensor<1x1x?x16xf32>) -> tensor<1x1x?x16xf32>
  %1 = rope.attention #rope.identity rotary <theta = 10000.0, dim = 16> scale 1.0 causal
    query(%0 : tensor<1x1x?x16xf32>) key(%k : tensor<1x1x?x16xf32>) value(%k : tensor<1x1x?x16xf32>)
    outs(%init : tensor<1x1x?x16xf32>) -> tensor<1x1x?x16xf32>
  %group = arith.constant dense<[[[1, 1, 2, 2, 4, 4, 8, 8]]]> : tensor<1x1x8xi64>
  %2 = rope.attention #rope.self_extend<group = ?, window = 4> rotary <theta = 10000.0, dim = 16> scale 1.0 causal
    query(%1 : tensor<1x1x?x16xf32>) key(%k : tensor<1x1x?x16xf32>) value(%k : tensor<1x1x?x16xf32>)
    parameters(%group : tensor<1x1x8xi64>)
    outs(%init : tensor<1x1x?x16xf32>) -> tensor<1x1x?x16xf32>
  return %2 : tensor<1x1x?x16xf32>
}

// -----

// Loop nests of different ranks share a kernel where they collapse to the same
// loops; a constant in the body makes another one. One new token takes the
// matvec kernel.

// CHECK-LABEL: func.func @nests
// CHECK: linalg.generic {{.*}}decode_kernels = ["elementwise_0"], kernels = ["elementwise_0"]
// CHECK: linalg.generic {{.*}}kernels = ["elementwise_0"]
// CHECK: linalg.generic {{.*}}kernels = ["elementwise_1"]
// CHECK: linalg.generic {{.*}}decode_kernels = ["matvec_0"], kernels = ["matmul_0"]
#two = affine_map<(a, b) -> (a, b)>
#three = affine_map<(a, b, c) -> (a, b, c)>
func.func @nests(
    %x: tensor<?x?x32xf32> {rope.kind = "input"},
    %y: tensor<?x32xf32> {rope.kind = "input"},
    %w: tensor<48x32xbf16> {rope.kind = "weight"}) -> (tensor<?x?x32xf32>, tensor<?x32xf32>, tensor<?x48xf32>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %b = tensor.dim %x, %c0 : tensor<?x?x32xf32>
  %s = tensor.dim %x, %c1 : tensor<?x?x32xf32>
  %e3 = tensor.empty(%b, %s) : tensor<?x?x32xf32>
  %0 = linalg.generic {indexing_maps = [#three, #three], iterator_types = ["parallel", "parallel", "parallel"]}
    ins(%x : tensor<?x?x32xf32>) outs(%e3 : tensor<?x?x32xf32>) {
  ^bb0(%in: f32, %out: f32):
    %two = arith.constant 2.0 : f32
    %r = arith.mulf %in, %two : f32
    linalg.yield %r : f32
  } -> tensor<?x?x32xf32>
  %e2 = tensor.empty(%b) : tensor<?x32xf32>
  %1 = linalg.generic {indexing_maps = [#two, #two], iterator_types = ["parallel", "parallel"]}
    ins(%y : tensor<?x32xf32>) outs(%e2 : tensor<?x32xf32>) {
  ^bb0(%in: f32, %out: f32):
    %two = arith.constant 2.0 : f32
    %r = arith.mulf %in, %two : f32
    linalg.yield %r : f32
  } -> tensor<?x32xf32>
  %2 = linalg.generic {indexing_maps = [#two, #two], iterator_types = ["parallel", "parallel"]}
    ins(%1 : tensor<?x32xf32>) outs(%e2 : tensor<?x32xf32>) {
  ^bb0(%in: f32, %out: f32):
    %three = arith.constant 3.0 : f32
    %r = arith.mulf %in, %three : f32
    linalg.yield %r : f32
  } -> tensor<?x32xf32>
  %zero = arith.constant 0.0 : f32
  %e48 = tensor.empty(%b) : tensor<?x48xf32>
  %fill = linalg.fill ins(%zero : f32) outs(%e48 : tensor<?x48xf32>) -> tensor<?x48xf32>
  %3 = linalg.generic {indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>,
                                        affine_map<(m, n, k) -> (m, n)>],
                       iterator_types = ["parallel", "parallel", "reduction"]}
    ins(%2, %w : tensor<?x32xf32>, tensor<48x32xbf16>) outs(%fill : tensor<?x48xf32>) {
  ^bb0(%l: f32, %r: bf16, %acc: f32):
    %wide = arith.extf %r : bf16 to f32
    %term = arith.mulf %l, %wide : f32
    %sum = arith.addf %acc, %term : f32
    linalg.yield %sum : f32
  } -> tensor<?x48xf32>
  return %0, %2, %3 : tensor<?x?x32xf32>, tensor<?x32xf32>, tensor<?x48xf32>
}
