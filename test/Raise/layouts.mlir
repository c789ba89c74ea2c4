// Tensors without an axis of items and with tokens before heads: operands and
// output are brought into the order of rope.attention. The halves are rotated
// by two products each instead of a swap.
//
// RUN: ropewalk-opt %s --rope-raise-attention --verify-diagnostics | FileCheck %s

// CHECK-LABEL: func.func @tokens_before_heads
//  CHECK-SAME: (%[[Q:.*]]: tensor<6x2x8xf32>, %[[K:.*]]: tensor<6x8xf32>, %[[V:.*]]: tensor<6x4xf32>)
//   CHECK-DAG: %[[QT:.*]] = linalg.transpose ins(%[[Q]] : tensor<6x2x8xf32>) outs({{.*}} : tensor<2x6x8xf32>) permutation = [1, 0, 2]
//   CHECK-DAG: %[[Q4:.*]] = tensor.expand_shape %[[QT]] {{\[}}[0, 1], [2], [3]] output_shape [1, 2, 6, 8]
//   CHECK-DAG: %[[K4:.*]] = tensor.expand_shape %[[K]] {{\[}}[0, 1, 2], [3]] output_shape [1, 1, 6, 8]
//   CHECK-DAG: %[[V4:.*]] = tensor.expand_shape %[[V]] {{\[}}[0, 1, 2], [3]] output_shape [1, 1, 6, 4]
//       CHECK: %[[O4:.*]] = rope.attention #rope.identity rotary <theta = 10000.0, dim = 8> scale 1.000000e+00 causal
//  CHECK-SAME:   query(%[[Q4]] : {{.*}}) key(%[[K4]] : {{.*}}) value(%[[V4]] : {{.*}})
//       CHECK: %[[OT:.*]] = linalg.transpose ins(%[[O4]] : tensor<1x2x6x4xf32>) outs({{.*}} : tensor<6x1x2x4xf32>) permutation = [2, 0, 1, 3]
//       CHECK: %[[O:.*]] = tensor.collapse_shape %[[OT]] {{\[}}[0], [1, 2], [3]] : tensor<6x1x2x4xf32> into tensor<6x2x4xf32>
//       CHECK: return %[[O]]

func.func @tokens_before_heads(%q: tensor<6x2x8xf32>, %k: tensor<6x8xf32>, %v: tensor<6x4xf32>) -> tensor<6x2x4xf32> {
  %zero = arith.constant 0.0 : f32
  %like_angles = tensor.empty() : tensor<6x4xf32>
  %like_q_half = tensor.empty() : tensor<6x2x4xf32>
  %like_scores = tensor.empty() : tensor<2x6x6xf32>

  %inverse_frequencies = arith.constant dense<[1.0, 0.1, 0.01, 0.001]> : tensor<4xf32>
  %positions = arith.constant dense<[0, 1, 2, 3, 4, 5]> : tensor<6xi32>
  %angles = linalg.generic {
      indexing_maps = [affine_map<(s, c) -> (s)>, affine_map<(s, c) -> (c)>, affine_map<(s, c) -> (s, c)>],
      iterator_types = ["parallel", "parallel"]}
      ins(%positions, %inverse_frequencies : tensor<6xi32>, tensor<4xf32>) outs(%like_angles : tensor<6x4xf32>) {
  ^bb0(%position: i32, %frequency: f32, %out: f32):
    %number = arith.sitofp %position : i32 to f32
    %angle = arith.mulf %number, %frequency : f32
    linalg.yield %angle : f32
  } -> tensor<6x4xf32>
  %cos = math.cos %angles : tensor<6x4xf32>
  %sin = math.sin %angles : tensor<6x4xf32>

  %cos_q = linalg.broadcast ins(%cos : tensor<6x4xf32>) outs(%like_q_half : tensor<6x2x4xf32>) dimensions = [1]
  %sin_q = linalg.broadcast ins(%sin : tensor<6x4xf32>) outs(%like_q_half : tensor<6x2x4xf32>) dimensions = [1]
  %q_low = tensor.extract_slice %q[0, 0, 0] [6, 2, 4] [1, 1, 1] : tensor<6x2x8xf32> to tensor<6x2x4xf32>
  %q_high = tensor.extract_slice %q[0, 0, 4] [6, 2, 4] [1, 1, 1] : tensor<6x2x8xf32> to tensor<6x2x4xf32>
  %q_0 = arith.mulf %q_low, %cos_q : tensor<6x2x4xf32>
  %q_1 = arith.mulf %q_high, %sin_q : tensor<6x2x4xf32>
  %q_2 = arith.subf %q_0, %q_1 : tensor<6x2x4xf32>
  %q_3 = arith.mulf %q_high, %cos_q : tensor<6x2x4xf32>
  %q_4 = arith.mulf %q_low, %sin_q : tensor<6x2x4xf32>
  %q_5 = arith.addf %q_3, %q_4 : tensor<6x2x4xf32>
  %q_rotated = tensor.concat dim(2) %q_2, %q_5 : (tensor<6x2x4xf32>, tensor<6x2x4xf32>) -> tensor<6x2x8xf32>

  %k_low = tensor.extract_slice %k[0, 0] [6, 4] [1, 1] : tensor<6x8xf32> to tensor<6x4xf32>
  %k_high = tensor.extract_slice %k[0, 4] [6, 4] [1, 1] : tensor<6x8xf32> to tensor<6x4xf32>
  %k_0 = arith.mulf %k_low, %cos : tensor<6x4xf32>
  %k_1 = arith.mulf %k_high, %sin : tensor<6x4xf32>
  %k_2 = arith.subf %k_0, %k_1 : tensor<6x4xf32>
  %k_3 = arith.mulf %k_high, %cos : tensor<6x4xf32>
  %k_4 = arith.mulf %k_low, %sin : tensor<6x4xf32>
  %k_5 = arith.addf %k_3, %k_4 : tensor<6x4xf32>
  %k_rotated = tensor.concat dim(1) %k_2, %k_5 : (tensor<6x4xf32>, tensor<6x4xf32>) -> tensor<6x8xf32>

  %scores_init = linalg.fill ins(%zero : f32) outs(%like_scores : tensor<2x6x6xf32>) -> tensor<2x6x6xf32>
  %scores = linalg.contract indexing_maps = [affine_map<(h, i, j, d) -> (i, h, d)>, affine_map<(h, i, j, d) -> (j, d)>, affine_map<(h, i, j, d) -> (h, i, j)>]
      ins(%q_rotated, %k_rotated : tensor<6x2x8xf32>, tensor<6x8xf32>) outs(%scores_init : tensor<2x6x6xf32>) -> tensor<2x6x6xf32>
  %masked = linalg.generic {
      indexing_maps = [affine_map<(h, i, j) -> (h, i, j)>, affine_map<(h, i, j) -> (h, i, j)>],
      iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%scores : tensor<2x6x6xf32>) outs(%like_scores : tensor<2x6x6xf32>) {
  ^bb0(%score: f32, %out: f32):
    %lowest = arith.constant 0xFF800000 : f32
    %i = linalg.index 1 : index
    %j = linalg.index 2 : index
    %future = arith.cmpi ugt, %j, %i : index
    %value = arith.select %future, %lowest, %score : f32
    linalg.yield %value : f32
  } -> tensor<2x6x6xf32>
  %weights = linalg.softmax dimension(2) ins(%masked : tensor<2x6x6xf32>) outs(%like_scores : tensor<2x6x6xf32>) -> tensor<2x6x6xf32>

  %like_output = tensor.empty() : tensor<6x2x4xf32>
  %output_init = linalg.fill ins(%zero : f32) outs(%like_output : tensor<6x2x4xf32>) -> tensor<6x2x4xf32>
  %output = linalg.contract indexing_maps = [affine_map<(h, i, d, j) -> (h, i, j)>, affine_map<(h, i, d, j) -> (j, d)>, affine_map<(h, i, d, j) -> (i, h, d)>]
      ins(%weights, %v : tensor<2x6x6xf32>, tensor<6x4xf32>) outs(%output_init : tensor<6x2x4xf32>) -> tensor<6x2x4xf32>
  return %output : tensor<6x2x4xf32>
}
