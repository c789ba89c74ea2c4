// A map from another plugin goes the whole way: it parses, verifies, extends and
// decomposes without the tree knowing it.
//
// RUN: ropewalk-opt %s --load-dialect-plugin=%build/lib/ThreeTierPlugin.so | FileCheck %s --check-prefix=PARSE
// RUN: ropewalk-opt %s --load-dialect-plugin=%build/lib/ThreeTierPlugin.so --rope-decompose-attention | FileCheck %s
// RUN: mlir-opt %s --load-dialect-plugin=%plugin --load-dialect-plugin=%build/lib/ThreeTierPlugin.so \
// RUN:   --pass-pipeline="builtin.module(rope-decompose-attention)" 2>&1 | FileCheck %s

// PARSE: rope.attention #tiers.three<near = 4, middle = 12, g = 3, h = 5>
// CHECK-NOT: Failed to load
// CHECK-LABEL: func @attention
// CHECK-NOT: rope.attention
// CHECK: arith.divsi
func.func @attention(%q: tensor<1x2x8x8xf32>) -> tensor<1x2x8x8xf32> {
  %0 = rope.attention #tiers.three<near = 4, middle = 12, g = 3, h = 5> rotary <theta = 500.0, dim = 8> scale 1.0 causal
      query(%q : tensor<1x2x8x8xf32>) key(%q : tensor<1x2x8x8xf32>) value(%q : tensor<1x2x8x8xf32>)
      outs(%q : tensor<1x2x8x8xf32>) -> tensor<1x2x8x8xf32>
  return %0 : tensor<1x2x8x8xf32>
}
