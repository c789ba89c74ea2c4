// The attention from which every near miss differs in one thing: 2 items, 4
// query heads over 2 KV heads, 6 tokens, 8 channels, theta 10000. It is raised.
//
// RUN: ropewalk-opt %s --rope-raise-attention --verify-diagnostics | FileCheck %s

// CHECK-LABEL: func.func @attention
//  CHECK-SAME: (%[[Q:.*]]: tensor<2x4x6x8xf32>, %[[K:.*]]: tensor<2x2x6x8xf32>, %[[V:.*]]: tensor<2x2x6x8xf32>)
//  CHECK-NEXT: %[[INIT:.*]] = tensor.empty() : tensor<2x4x6x8xf32>
//  CHECK-NEXT: %[[OUT:.*]] = rope.attention #rope.identity rotary <theta = 10000.0, dim = 8> scale 2.500000e-01 causal
//  CHECK-SAME:   query(%[[Q]] : tensor<2x4x6x8xf32>) key(%[[K]] : tensor<2x2x6x8xf32>) value(%[[V]] : tensor<2x2x6x8xf32>) outs(%[[INIT]] :
//  CHECK-NEXT: return %[[OUT]]

#scores_q = affine_map<(b, h, i, j, d) -> (b, h, i, d)>
#scores_k = affine_map<(b, h, i, j, d) -> (b, h, j, d)>
#scores = affine_map<(b, h, i, j, d) -> (b, h, i, j)>
#output_p = affine_map<(b, h, i, d, j) -> (b, h, i, j)>
#output_v = affine_map<(b, h, i, d, j) -> (b, h, j, d)>
#output = affine_map<(b, h, i, d, j) -> (b, h, i, d)>

func.func @attention(%q: tensor<2x4x6x8xf32>, %k: tensor<2x2x6x8xf32>, %v: tensor<2x2x6x8xf32>) -> tensor<2x4x6x8xf32> {
  %zero = arith.constant 0.0 : f32
  %minus_infinity = arith.constant 0xFF800000 : f32
  %like_q = tensor.empty() : tensor<2x4x6x8xf32>
  %like_k = tensor.empty() : tensor<2x2x6x8xf32>
  %like_repeated = tensor.empty() : tensor<2x2x2x6x8xf32>
  %like_scores = tensor.empty() : tensor<2x4x6x6xf32>
  %like_rows = tensor.empty() : tensor<2x4x6xf32>
  %like_angles = tensor.empty() : tensor<6x4xf32>
  %like_mask = tensor.empty() : tensor<6x6xf32>

  // Angles, cos and sin.
  %inverse_frequencies = arith.constant dense<[1.0, 0.1, 0.01, 0.001]> : tensor<4xf32>
  %half_angles = linalg.generic {
      indexing_maps = [affine_map<(s, c) -> (c)>, affine_map<(s, c) -> (s, c)>],
      iterator_types = ["parallel", "parallel"]}
      ins(%inverse_frequencies : tensor<4xf32>) outs(%like_angles : tensor<6x4xf32>) {
  ^bb0(%frequency: f32, %out: f32):
    %slot = linalg.index 0 : index
    %position = arith.index_cast %slot : index to i64
    %number = arith.sitofp %position : i64 to f32
    %angle = arith.mulf %number, %frequency : f32
    linalg.yield %angle : f32
  } -> tensor<6x4xf32>
  %angles = tensor.concat dim(1) %half_angles, %half_angles : (tensor<6x4xf32>, tensor<6x4xf32>) -> tensor<6x8xf32>
  %cos = math.cos %angles : tensor<6x8xf32>
  %sin = math.sin %angles : tensor<6x8xf32>

  // Rotation of the queries.
  %cos_q = linalg.broadcast ins(%cos : tensor<6x8xf32>) outs(%like_q : tensor<2x4x6x8xf32>) dimensions = [0, 1]
  %sin_q = linalg.broadcast ins(%sin : tensor<6x8xf32>) outs(%like_q : tensor<2x4x6x8xf32>) dimensions = [0, 1]
  %q_low = tensor.extract_slice %q[0, 0, 0, 0] [2, 4, 6, 4] [1, 1, 1, 1] : tensor<2x4x6x8xf32> to tensor<2x4x6x4xf32>
  %q_high = tensor.extract_slice %q[0, 0, 0, 4] [2, 4, 6, 4] [1, 1, 1, 1] : tensor<2x4x6x8xf32> to tensor<2x4x6x4xf32>
  %q_minus = arith.negf %q_high : tensor<2x4x6x4xf32>
  %q_swapped = tensor.concat dim(3) %q_minus, %q_low : (tensor<2x4x6x4xf32>, tensor<2x4x6x4xf32>) -> tensor<2x4x6x8xf32>
  %q_cos = arith.mulf %q, %cos_q : tensor<2x4x6x8xf32>
  %q_sin = arith.mulf %q_swapped, %sin_q : tensor<2x4x6x8xf32>
  %q_rotated = arith.addf %q_cos, %q_sin : tensor<2x4x6x8xf32>

  // Rotation of the keys.
  %cos_k = linalg.broadcast ins(%cos : tensor<6x8xf32>) outs(%like_k : tensor<2x2x6x8xf32>) dimensions = [0, 1]
  %sin_k = linalg.broadcast ins(%sin : tensor<6x8xf32>) outs(%like_k : tensor<2x2x6x8xf32>) dimensions = [0, 1]
  %k_low = tensor.extract_slice %k[0, 0, 0, 0] [2, 2, 6, 4] [1, 1, 1, 1] : tensor<2x2x6x8xf32> to tensor<2x2x6x4xf32>
  %k_high = tensor.extract_slice %k[0, 0, 0, 4] [2, 2, 6, 4] [1, 1, 1, 1] : tensor<2x2x6x8xf32> to tensor<2x2x6x4xf32>
  %k_minus = arith.negf %k_high : tensor<2x2x6x4xf32>
  %k_swapped = tensor.concat dim(3) %k_minus, %k_low : (tensor<2x2x6x4xf32>, tensor<2x2x6x4xf32>) -> tensor<2x2x6x8xf32>
  %k_cos = arith.mulf %k, %cos_k : tensor<2x2x6x8xf32>
  %k_sin = arith.mulf %k_swapped, %sin_k : tensor<2x2x6x8xf32>
  %k_rotated = arith.addf %k_cos, %k_sin : tensor<2x2x6x8xf32>

  // KV head h of query heads 2 h and 2 h + 1.
  %k_repeated = linalg.broadcast ins(%k_rotated : tensor<2x2x6x8xf32>) outs(%like_repeated : tensor<2x2x2x6x8xf32>) dimensions = [2]
  %k_heads = tensor.collapse_shape %k_repeated [[0], [1, 2], [3], [4]] : tensor<2x2x2x6x8xf32> into tensor<2x4x6x8xf32>
  %v_repeated = linalg.broadcast ins(%v : tensor<2x2x6x8xf32>) outs(%like_repeated : tensor<2x2x2x6x8xf32>) dimensions = [2]
  %v_heads = tensor.collapse_shape %v_repeated [[0], [1, 2], [3], [4]] : tensor<2x2x2x6x8xf32> into tensor<2x4x6x8xf32>

  // Scores.
  %scores_init = linalg.fill ins(%zero : f32) outs(%like_scores : tensor<2x4x6x6xf32>) -> tensor<2x4x6x6xf32>
  %products = linalg.contract indexing_maps = [#scores_q, #scores_k, #scores]
      ins(%q_rotated, %k_heads : tensor<2x4x6x8xf32>, tensor<2x4x6x8xf32>) outs(%scores_init : tensor<2x4x6x6xf32>) -> tensor<2x4x6x6xf32>
  %scale = arith.constant dense<0.25> : tensor<2x4x6x6xf32>
  %scaled = arith.mulf %products, %scale : tensor<2x4x6x6xf32>

  // Mask.
  %mask = linalg.generic {
      indexing_maps = [affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]}
      outs(%like_mask : tensor<6x6xf32>) {
  ^bb0(%out: f32):
    %lowest = arith.constant -3.40282347E+38 : f32
    %i = linalg.index 0 : index
    %j = linalg.index 1 : index
    %keep = arith.cmpi sle, %j, %i : index
    %value = arith.select %keep, %zero, %lowest : f32
    linalg.yield %value : f32
  } -> tensor<6x6xf32>
  %mask_all = linalg.broadcast ins(%mask : tensor<6x6xf32>) outs(%like_scores : tensor<2x4x6x6xf32>) dimensions = [0, 1]
  %masked = arith.addf %scaled, %mask_all : tensor<2x4x6x6xf32>

  // Softmax.
  %max_init = linalg.fill ins(%minus_infinity : f32) outs(%like_rows : tensor<2x4x6xf32>) -> tensor<2x4x6xf32>
  %max = linalg.reduce {arith.maximumf} ins(%masked : tensor<2x4x6x6xf32>) outs(%max_init : tensor<2x4x6xf32>) dimensions = [3]
  %max_all = linalg.broadcast ins(%max : tensor<2x4x6xf32>) outs(%like_scores : tensor<2x4x6x6xf32>) dimensions = [3]
  %shifted = arith.subf %masked, %max_all : tensor<2x4x6x6xf32>
  %exponentials = math.exp %shifted : tensor<2x4x6x6xf32>
  %sum_init = linalg.fill ins(%zero : f32) outs(%like_rows : tensor<2x4x6xf32>) -> tensor<2x4x6xf32>
  %sum = linalg.reduce {arith.addf} ins(%exponentials : tensor<2x4x6x6xf32>) outs(%sum_init : tensor<2x4x6xf32>) dimensions = [3]
  %sum_all = linalg.broadcast ins(%sum : tensor<2x4x6xf32>) outs(%like_scores : tensor<2x4x6x6xf32>) dimensions = [3]
  %weights = arith.divf %exponentials, %sum_all : tensor<2x4x6x6xf32>

  // Output.
  %output_init = linalg.fill ins(%zero : f32) outs(%like_q : tensor<2x4x6x8xf32>) -> tensor<2x4x6x8xf32>
  %output = linalg.contract indexing_maps = [#output_p, #output_v, #output]
      ins(%weights, %v_heads : tensor<2x4x6x6xf32>, tensor<2x4x6x8xf32>) outs(%output_init : tensor<2x4x6x8xf32>) -> tensor<2x4x6x8xf32>
  return %output : tensor<2x4x6x8xf32>
}
