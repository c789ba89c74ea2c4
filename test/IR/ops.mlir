// Round trip of every operation and attribute, through the pretty form, the
// generic form and bytecode.
//
// RUN: ropewalk-opt %s | FileCheck %s
// RUN: ropewalk-opt %s | ropewalk-opt | FileCheck %s
// RUN: ropewalk-opt %s --mlir-print-op-generic | ropewalk-opt | FileCheck %s
// RUN: ropewalk-opt %s --emit-bytecode | ropewalk-opt | FileCheck %s

// CHECK-LABEL: func @attention_identity
// CHECK: rope.attention #rope.identity rotary <theta = 10000.0, dim = 64> scale 1.250000e-01 causal query(%{{.+}} : tensor<1x4x?x64xf32>) key(%{{.+}} : tensor<1x2x?x64xf32>) value(%{{.+}} : tensor<1x2x?x64xf32>) outs(%{{.+}} : tensor<1x4x?x64xf32>) -> tensor<1x4x?x64xf32>
func.func @attention_identity(%q: tensor<1x4x?x64xf32>, %k: tensor<1x2x?x64xf32>,
                              %v: tensor<1x2x?x64xf32>, %o: tensor<1x4x?x64xf32>) -> tensor<1x4x?x64xf32> {
  %0 = rope.attention #rope.identity rotary <theta = 1.0e4, dim = 64> scale 0.125 causal
      query(%q : tensor<1x4x?x64xf32>) key(%k : tensor<1x2x?x64xf32>) value(%v : tensor<1x2x?x64xf32>)
      outs(%o : tensor<1x4x?x64xf32>) -> tensor<1x4x?x64xf32>
  return %0 : tensor<1x4x?x64xf32>
}

// Every optional operand is there.
// CHECK-LABEL: func @attention_all_operands
// CHECK: rope.attention #rope.self_extend<group = ?, window = ?>
// CHECK-SAME: softcap 3.000000e+01
// CHECK-SAME: bias(
// CHECK-SAME: query_offset(
// CHECK-SAME: key_length(
// CHECK-SAME: position_offset(
// CHECK-SAME: sequence_length(
// CHECK-SAME: parameters(%{{[^)]+}}, %{{[^)]+}} : tensor<?x2xi64>, i64)
// CHECK-SAME: inverse_frequencies(
// CHECK-SAME: query_start(%{{[^)]+}}) key_start(%{{[^)]+}})
// CHECK-SAME: outs(%{{.+}}, %{{.+}} : tensor<?x4x?x64xf32>, tensor<?x4x?xf32>) -> tensor<?x4x?x64xf32>, tensor<?x4x?xf32>
func.func @attention_all_operands(
    %q: tensor<?x4x?x64xf32>, %k: tensor<?x2x?x64xf16>, %v: tensor<?x2x?x64xf16>, %o: tensor<?x4x?x64xf32>, %l: tensor<?x4x?xf32>,
    %bias: tensor<1x1x?x?xf32>, %qo: tensor<?xi64>, %kl: tensor<?xi64>, %po: i64, %sl: i64, %g: tensor<?x2xi64>, %w: i64,
    %f: tensor<2x32xf64>, %qs: index, %ks: index) -> (tensor<?x4x?x64xf32>, tensor<?x4x?xf32>) {
  %0:2 = rope.attention #rope.self_extend<group = ?, window = ?> rotary <theta = 1000000.0, dim = 64> scale 0.125 causal softcap 30.0
      query(%q : tensor<?x4x?x64xf32>) key(%k : tensor<?x2x?x64xf16>) value(%v : tensor<?x2x?x64xf16>)
      bias(%bias : tensor<1x1x?x?xf32>) query_offset(%qo : tensor<?xi64>) key_length(%kl : tensor<?xi64>)
      position_offset(%po : i64) sequence_length(%sl : i64) parameters(%g, %w : tensor<?x2xi64>, i64)
      inverse_frequencies(%f : tensor<2x32xf64>) query_start(%qs) key_start(%ks)
      outs(%o, %l : tensor<?x4x?x64xf32>, tensor<?x4x?xf32>) -> tensor<?x4x?x64xf32>, tensor<?x4x?xf32>
  return %0#0, %0#1 : tensor<?x4x?x64xf32>, tensor<?x4x?xf32>
}

// CHECK-LABEL: func @attention_positions
// CHECK: query_positions(%{{.+}} : tensor<1x8xi64>) key_positions(%{{.+}} : tensor<1x16xi64>)
func.func @attention_positions(%q: tensor<1x2x8x8xf32>, %k: tensor<1x2x16x8xf32>, %v: tensor<1x2x16x4xf32>, %o: tensor<1x2x8x4xf32>,
                               %qp: tensor<1x8xi64>, %kp: tensor<1x16xi64>) -> tensor<1x2x8x4xf32> {
  %0 = rope.attention #rope.sliding<window = 4> rotary <theta = 500.0, dim = 4> scale 1.0
      query(%q : tensor<1x2x8x8xf32>) key(%k : tensor<1x2x16x8xf32>) value(%v : tensor<1x2x16x4xf32>)
      query_positions(%qp : tensor<1x8xi64>) key_positions(%kp : tensor<1x16xi64>)
      outs(%o : tensor<1x2x8x4xf32>) -> tensor<1x2x8x4xf32>
  return %0 : tensor<1x2x8x4xf32>
}

// CHECK-LABEL: func @rotate
// CHECK: rope.rotate <theta = 1000000.0, dim = 32, scaling = #rope.yarn<factor = 4.0, original = 32768>> ins(%{{.+}} : tensor<?x2x?x64xf32>) positions(%{{.+}} : tensor<1x?xi64>) outs(%{{.+}} : tensor<?x2x?x64xf32>) -> tensor<?x2x?x64xf32>
func.func @rotate(%x: tensor<?x2x?x64xf32>, %p: tensor<1x?xi64>, %o: tensor<?x2x?x64xf32>) -> tensor<?x2x?x64xf32> {
  %0 = rope.rotate <theta = 1.0e6, dim = 32, scaling = #rope.yarn<factor = 4.0, original = 32768>>
      ins(%x : tensor<?x2x?x64xf32>) positions(%p : tensor<1x?xi64>) outs(%o : tensor<?x2x?x64xf32>) -> tensor<?x2x?x64xf32>
  return %0 : tensor<?x2x?x64xf32>
}

// CHECK-LABEL: func @update_cache
// CHECK: rope.update_cache rows(%{{.+}} : tensor<?x2x?x64xf32>) offset(%{{.+}} : tensor<?xi64>) outs(%{{.+}} : tensor<?x2x?x64xf32>) -> tensor<?x2x?x64xf32>
func.func @update_cache(%r: tensor<?x2x?x64xf32>, %off: tensor<?xi64>, %c: tensor<?x2x?x64xf32>) -> tensor<?x2x?x64xf32> {
  %0 = rope.update_cache rows(%r : tensor<?x2x?x64xf32>) offset(%off : tensor<?xi64>) outs(%c : tensor<?x2x?x64xf32>) -> tensor<?x2x?x64xf32>
  return %0 : tensor<?x2x?x64xf32>
}

// CHECK-LABEL: func @names
// CHECK-SAME: {rope.kind = "weight", rope.name = "w"}
// CHECK-SAME: -> (f32 {rope.name = "y"})
func.func @names(%w: f32 {rope.name = "w", rope.kind = "weight"}) -> (f32 {rope.name = "y"}) {
  return %w : f32
}
