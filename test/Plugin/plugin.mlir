// The plugin in stock mlir-opt: the dialect parses and verifies, the passes run.
// mlir-opt exits with 0 where a plugin cannot be loaded, hence the check of what
// it prints.
//
// RUN: mlir-opt %s --load-dialect-plugin=%plugin \
// RUN:   --pass-pipeline="builtin.module(rope-decompose-rotate)" 2>&1 | FileCheck %s
// RUN: mlir-opt %s --load-dialect-plugin=%plugin --load-pass-plugin=%plugin \
// RUN:   --pass-pipeline="builtin.module(rope-decompose-rotate)" 2>&1 | FileCheck %s

// CHECK-NOT: Failed to load
// CHECK-LABEL: func @rotate
// CHECK-NOT: rope.rotate
// CHECK: math.cos
// CHECK-LABEL: func @kept
// CHECK: rope.attention #rope.self_extend<group = 4, window = 8>
func.func @rotate(%x: tensor<1x2x8x8xf32>, %p: tensor<1x8xi64>) -> tensor<1x2x8x8xf32> {
  %0 = rope.rotate <theta = 500.0, dim = 8> ins(%x : tensor<1x2x8x8xf32>) positions(%p : tensor<1x8xi64>) outs(%x : tensor<1x2x8x8xf32>) -> tensor<1x2x8x8xf32>
  return %0 : tensor<1x2x8x8xf32>
}
func.func @kept(%q: tensor<1x2x8x8xf32>) -> tensor<1x2x8x8xf32> {
  %0 = rope.attention #rope.self_extend<group = 4, window = 8> rotary <theta = 500.0, dim = 8> scale 1.0 causal
      query(%q : tensor<1x2x8x8xf32>) key(%q : tensor<1x2x8x8xf32>) value(%q : tensor<1x2x8x8xf32>)
      outs(%q : tensor<1x2x8x8xf32>) -> tensor<1x2x8x8xf32>
  return %0 : tensor<1x2x8x8xf32>
}
