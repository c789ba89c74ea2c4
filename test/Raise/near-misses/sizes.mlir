// Attentions whose sizes are declined before anything else is looked at.
//
// RUN: ropewalk-opt %s --rope-raise-attention --split-input-file --verify-diagnostics | FileCheck %s --implicit-check-not=rope.attention

#q = affine_map<(b, i, j, d) -> (b, i, d)>
#k = affine_map<(b, i, j, d) -> (b, j, d)>
#s = affine_map<(b, i, j, d) -> (b, i, j)>

// 6 queries look at 9 keys of another sequence.
// CHECK-LABEL: @other_sequence
func.func @other_sequence(%q: tensor<2x6x8xf32>, %k: tensor<2x9x8xf32>, %v: tensor<2x9x8xf32>) -> tensor<2x6x8xf32> {
  %zero = arith.constant 0.0 : f32
  %like_scores = tensor.empty() : tensor<2x6x9xf32>
  %like_q = tensor.empty() : tensor<2x6x8xf32>
  %scores_init = linalg.fill ins(%zero : f32) outs(%like_scores : tensor<2x6x9xf32>) -> tensor<2x6x9xf32>
  // expected-remark @+1 {{attention not raised: 6 queries attend to 9 keys, expected the same number}}
  %scores = linalg.contract indexing_maps = [#q, #k, #s]
      ins(%q, %k : tensor<2x6x8xf32>, tensor<2x9x8xf32>) outs(%scores_init : tensor<2x6x9xf32>) -> tensor<2x6x9xf32>
  %mask = linalg.generic {indexing_maps = [affine_map<(b, i, j) -> (b, i, j)>], iterator_types = ["parallel", "parallel", "parallel"]}
      outs(%like_scores : tensor<2x6x9xf32>) {
  ^bb0(%out: f32):
    %lowest = arith.constant 0xFF800000 : f32
    %i = linalg.index 1 : index
    %j = linalg.index 2 : index
    %keep = arith.cmpi ule, %j, %i : index
    %value = arith.select %keep, %zero, %lowest : f32
    linalg.yield %value : f32
  } -> tensor<2x6x9xf32>
  %masked = arith.addf %scores, %mask : tensor<2x6x9xf32>
  %weights = linalg.softmax dimension(2) ins(%masked : tensor<2x6x9xf32>) outs(%like_scores : tensor<2x6x9xf32>) -> tensor<2x6x9xf32>
  %output_init = linalg.fill ins(%zero : f32) outs(%like_q : tensor<2x6x8xf32>) -> tensor<2x6x8xf32>
  %output = linalg.batch_matmul ins(%weights, %v : tensor<2x6x9xf32>, tensor<2x9x8xf32>) outs(%output_init : tensor<2x6x8xf32>) -> tensor<2x6x8xf32>
  return %output : tensor<2x6x8xf32>
}

// -----

// CHECK-LABEL: @dynamic
func.func @dynamic(%scores: tensor<2x?x?xf32>, %max: tensor<2x?x?xf32>, %v: tensor<2x?x8xf32>,
                   %sum_init: tensor<2x?xf32>, %like_scores: tensor<2x?x?xf32>, %output_init: tensor<2x?x8xf32>) -> tensor<2x?x8xf32> {
  %shifted = arith.subf %scores, %max : tensor<2x?x?xf32>
  %exponentials = math.exp %shifted : tensor<2x?x?xf32>
  %sum = linalg.reduce {arith.addf} ins(%exponentials : tensor<2x?x?xf32>) outs(%sum_init : tensor<2x?xf32>) dimensions = [2]
  %sum_all = linalg.broadcast ins(%sum : tensor<2x?xf32>) outs(%like_scores : tensor<2x?x?xf32>) dimensions = [2]
  %weights = arith.divf %exponentials, %sum_all : tensor<2x?x?xf32>
  // expected-remark @+1 {{attention not raised: the product of weights and values has dynamic sizes}}
  %output = linalg.batch_matmul ins(%weights, %v : tensor<2x?x?xf32>, tensor<2x?x8xf32>) outs(%output_init : tensor<2x?x8xf32>) -> tensor<2x?x8xf32>
  return %output : tensor<2x?x8xf32>
}

// -----

// The exponential of a SiLU is no softmax: nothing is said.
// CHECK-LABEL: @silu
func.func @silu(%x: tensor<6x8xf32>, %w: tensor<8x8xf32>, %init: tensor<6x8xf32>) -> tensor<6x8xf32> {
  %one = arith.constant dense<1.0> : tensor<6x8xf32>
  %minus = arith.negf %x : tensor<6x8xf32>
  %exp = math.exp %minus : tensor<6x8xf32>
  %sum = arith.addf %exp, %one : tensor<6x8xf32>
  %silu = arith.divf %x, %sum : tensor<6x8xf32>
  %y = linalg.matmul ins(%silu, %w : tensor<6x8xf32>, tensor<8x8xf32>) outs(%init : tensor<6x8xf32>) -> tensor<6x8xf32>
  return %y : tensor<6x8xf32>
}
