#map = affine_map<(d0) -> (d0)>
#map1 = affine_map<(d0, d1, d2) -> (d0, d1)>
#map2 = affine_map<(d0, d1, d2) -> (d0, d1, d2)>
#map3 = affine_map<(d0, d1, d2, d3) -> (d0, d1, 0, d3)>
#map4 = affine_map<(d0, d1, d2, d3) -> (d0, d1, d2, 0)>
#map5 = affine_map<(d0, d1, d2, d3) -> (d0, d1, d2, d3)>
#map6 = affine_map<(d0, d1, d2, d3) -> ()>
#map7 = affine_map<(d0, d1, d2, d3) -> (0, 0, 0, 0)>
#map8 = affine_map<(d0, d1, d2, d3) -> (0, 0, 0, d3)>
#map9 = affine_map<(d0, d1, d2) -> (d0, d1, 0)>
#map10 = affine_map<(d0, d1, d2) -> (d2)>
#map11 = affine_map<(d0, d1) -> (d0, d1)>
#map12 = affine_map<(d0, d1) -> (d1)>
#map13 = affine_map<(d0, d1, d2, d3) -> (d0, 0, d2, d3)>
#map14 = affine_map<(d0, d1, d2, d3, d4) -> (d0, d1, d3, d4)>
#map15 = affine_map<(d0, d1, d2, d3, d4) -> (d0, d1, d2, d3, d4)>
#map16 = affine_map<(d0, d1, d2, d3) -> (d0, d1, d2)>
module {
  func.func @main(%arg0: tensor<1x20xi64>, %arg1: tensor<96x64xf32>, %arg2: tensor<64x64xf32>, %arg3: tensor<64xf32>, %arg4: tensor<32x64xf32>, %arg5: tensor<32xf32>, %arg6: tensor<32x64xf32>, %arg7: tensor<32xf32>, %arg8: tensor<64x64xf32>, %arg9: tensor<96x64xf32>, %arg10: tensor<96x64xf32>, %arg11: tensor<64x96xf32>, %arg12: tensor<64xf32>, %arg13: tensor<64xf32>, %arg14: tensor<64x64xf32>, %arg15: tensor<64xf32>, %arg16: tensor<32x64xf32>, %arg17: tensor<32xf32>, %arg18: tensor<32x64xf32>, %arg19: tensor<32xf32>, %arg20: tensor<64x64xf32>, %arg21: tensor<96x64xf32>, %arg22: tensor<96x64xf32>, %arg23: tensor<64x96xf32>, %arg24: tensor<64xf32>, %arg25: tensor<64xf32>, %arg26: tensor<64xf32>, %arg27: tensor<96x64xf32>) -> tensor<1x20x96xf32> {
    %c2_i64 = arith.constant 2 : i64
    %c0_i64 = arith.constant 0 : i64
    %c96 = arith.constant 96 : index
    %cst = arith.constant 0.000000e+00 : f32
    %cst_0 = arith.constant 0xFF800000 : f32
    %cst_1 = arith.constant 1.000000e+00 : f32
    %cst_2 = arith.constant dense<-3.40282347E+38> : tensor<f32>
    %cst_3 = arith.constant dense<0.000000e+00> : tensor<f32>
    %cst_4 = arith.constant dense<true> : tensor<i1>
    %cst_5 = arith.constant 9.9999999999999995E-7 : f64
    %cst_6 = arith.constant dense_resource<torch_tensor_8_torch.float32> : tensor<8xf32>
    %true = arith.constant true
    %cst_7 = arith.constant 6.400000e+01 : f32
    %cst_8 = arith.constant 2.500000e-01 : f32
    %0 = tensor.empty() : tensor<20xi64>
    %1 = linalg.generic {indexing_maps = [#map], iterator_types = ["parallel"]} outs(%0 : tensor<20xi64>) {
    ^bb0(%out: i64):
      %155 = linalg.index 0 : index
      %156 = arith.index_cast %155 : index to i64
      linalg.yield %156 : i64
    } -> tensor<20xi64>
    %2 = tensor.empty() : tensor<1x20x64xf32>
    %3 = linalg.generic {indexing_maps = [#map1, #map2], iterator_types = ["parallel", "parallel", "parallel"]} ins(%arg0 : tensor<1x20xi64>) outs(%2 : tensor<1x20x64xf32>) {
    ^bb0(%in: i64, %out: f32):
      %155 = arith.index_cast %in : i64 to index
      %156 = linalg.index 2 : index
      %157 = arith.cmpi slt, %155, %c96 : index
      cf.assert %157, "index must be smaller than dim size"
      %158 = arith.cmpi sge, %in, %c0_i64 : i64
      cf.assert %158, "index must be larger or equal to 0"
      %extracted = tensor.extract %arg1[%155, %156] : tensor<96x64xf32>
      linalg.yield %extracted : f32
    } -> tensor<1x20x64xf32>
    %4 = tensor.empty() : tensor<1xi64>
    %5 = linalg.generic {indexing_maps = [#map], iterator_types = ["parallel"]} outs(%4 : tensor<1xi64>) {
    ^bb0(%out: i64):
      linalg.yield %c0_i64 : i64
    } -> tensor<1xi64>
    %expanded = tensor.expand_shape %5 [[0, 1, 2, 3]] output_shape [1, 1, 1, 1] : tensor<1xi64> into tensor<1x1x1x1xi64>
    %expanded_9 = tensor.expand_shape %1 [[0, 1, 2, 3]] output_shape [1, 1, 20, 1] : tensor<20xi64> into tensor<1x1x20x1xi64>
    %expanded_10 = tensor.expand_shape %1 [[0, 1, 2, 3]] output_shape [1, 1, 1, 20] : tensor<20xi64> into tensor<1x1x1x20xi64>
    %6 = tensor.empty() : tensor<1x1x20x20xi1>
    %7 = linalg.generic {indexing_maps = [#map3, #map4, #map5], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%expanded_10, %expanded_9 : tensor<1x1x1x20xi64>, tensor<1x1x20x1xi64>) outs(%6 : tensor<1x1x20x20xi1>) {
    ^bb0(%in: i64, %in_88: i64, %out: i1):
      %155 = arith.cmpi sle, %in, %in_88 : i64
      linalg.yield %155 : i1
    } -> tensor<1x1x20x20xi1>
    %8 = linalg.generic {indexing_maps = [#map6, #map5, #map5], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%cst_4, %7 : tensor<i1>, tensor<1x1x20x20xi1>) outs(%6 : tensor<1x1x20x20xi1>) {
    ^bb0(%in: i1, %in_88: i1, %out: i1):
      %155 = arith.andi %in, %in_88 : i1
      linalg.yield %155 : i1
    } -> tensor<1x1x20x20xi1>
    %9 = tensor.empty() : tensor<1x1x1x20xi1>
    %10 = linalg.generic {indexing_maps = [#map7, #map8, #map5], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%expanded, %expanded_10 : tensor<1x1x1x1xi64>, tensor<1x1x1x20xi64>) outs(%9 : tensor<1x1x1x20xi1>) {
    ^bb0(%in: i64, %in_88: i64, %out: i1):
      linalg.yield %true : i1
    } -> tensor<1x1x1x20xi1>
    %11 = linalg.generic {indexing_maps = [#map5, #map3, #map5], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%8, %10 : tensor<1x1x20x20xi1>, tensor<1x1x1x20xi1>) outs(%6 : tensor<1x1x20x20xi1>) {
    ^bb0(%in: i1, %in_88: i1, %out: i1):
      %155 = arith.andi %in, %in_88 : i1
      linalg.yield %155 : i1
    } -> tensor<1x1x20x20xi1>
    %12 = tensor.empty() : tensor<1x1x20x20xf32>
    %13 = linalg.generic {indexing_maps = [#map5, #map6, #map6, #map5], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%11, %cst_3, %cst_2 : tensor<1x1x20x20xi1>, tensor<f32>, tensor<f32>) outs(%12 : tensor<1x1x20x20xf32>) {
    ^bb0(%in: i1, %in_88: f32, %in_89: f32, %out: f32):
      %155 = arith.select %in, %in_88, %in_89 : f32
      linalg.yield %155 : f32
    } -> tensor<1x1x20x20xf32>
    %expanded_11 = tensor.expand_shape %1 [[0, 1, 2]] output_shape [1, 20, 1] : tensor<20xi64> into tensor<1x20x1xi64>
    %14 = tensor.empty() : tensor<1x20x1xf32>
    %15 = linalg.generic {indexing_maps = [#map2, #map2], iterator_types = ["parallel", "parallel", "parallel"]} ins(%expanded_11 : tensor<1x20x1xi64>) outs(%14 : tensor<1x20x1xf32>) {
    ^bb0(%in: i64, %out: f32):
      %155 = arith.sitofp %in : i64 to f32
      linalg.yield %155 : f32
    } -> tensor<1x20x1xf32>
    %16 = tensor.empty() : tensor<1x20x8xf32>
    %17 = linalg.generic {indexing_maps = [#map9, #map10, #map2], iterator_types = ["parallel", "parallel", "parallel"]} ins(%15, %cst_6 : tensor<1x20x1xf32>, tensor<8xf32>) outs(%16 : tensor<1x20x8xf32>) {
    ^bb0(%in: f32, %in_88: f32, %out: f32):
      %155 = arith.mulf %in, %in_88 : f32
      linalg.yield %155 : f32
    } -> tensor<1x20x8xf32>
    %concat = tensor.concat dim(2) %17, %17 : (tensor<1x20x8xf32>, tensor<1x20x8xf32>) -> tensor<1x20x16xf32>
    %18 = tensor.empty() : tensor<1x20x16xf32>
    %19 = linalg.generic {indexing_maps = [#map2, #map2], iterator_types = ["parallel", "parallel", "parallel"]} ins(%concat : tensor<1x20x16xf32>) outs(%18 : tensor<1x20x16xf32>) {
    ^bb0(%in: f32, %out: f32):
      %155 = math.cos %in : f32
      linalg.yield %155 : f32
    } -> tensor<1x20x16xf32>
    %20 = linalg.generic {indexing_maps = [#map2, #map2], iterator_types = ["parallel", "parallel", "parallel"]} ins(%concat : tensor<1x20x16xf32>) outs(%18 : tensor<1x20x16xf32>) {
    ^bb0(%in: f32, %out: f32):
      %155 = math.sin %in : f32
      linalg.yield %155 : f32
    } -> tensor<1x20x16xf32>
    %21 = linalg.generic {indexing_maps = [#map2, #map2], iterator_types = ["parallel", "parallel", "parallel"]} ins(%3 : tensor<1x20x64xf32>) outs(%2 : tensor<1x20x64xf32>) {
    ^bb0(%in: f32, %out: f32):
      %155 = math.fpowi %in, %c2_i64 : f32, i64
      linalg.yield %155 : f32
    } -> tensor<1x20x64xf32>
    %22 = linalg.fill ins(%cst : f32) outs(%14 : tensor<1x20x1xf32>) -> tensor<1x20x1xf32>
    %23 = linalg.generic {indexing_maps = [#map2, #map9], iterator_types = ["parallel", "parallel", "reduction"]} ins(%21 : tensor<1x20x64xf32>) outs(%22 : tensor<1x20x1xf32>) {
    ^bb0(%in: f32, %out: f32):
      %155 = arith.addf %in, %out : f32
      linalg.yield %155 : f32
    } -> tensor<1x20x1xf32>
    %24 = linalg.generic {indexing_maps = [#map2, #map2], iterator_types = ["parallel", "parallel", "parallel"]} ins(%23 : tensor<1x20x1xf32>) outs(%14 : tensor<1x20x1xf32>) {
    ^bb0(%in: f32, %out: f32):
      %155 = arith.divf %in, %cst_7 : f32
      linalg.yield %155 : f32
    } -> tensor<1x20x1xf32>
    %25 = linalg.generic {indexing_maps = [#map2, #map2], iterator_types = ["parallel", "parallel", "parallel"]} ins(%24 : tensor<1x20x1xf32>) outs(%14 : tensor<1x20x1xf32>) {
    ^bb0(%in: f32, %out: f32):
      %155 = arith.truncf %cst_5 : f64 to f32
      %156 = arith.addf %in, %155 : f32
      linalg.yield %156 : f32
    } -> tensor<1x20x1xf32>
    %26 = linalg.generic {indexing_maps = [#map2, #map2], iterator_types = ["parallel", "parallel", "parallel"]} ins(%25 : tensor<1x20x1xf32>) outs(%14 : tensor<1x20x1xf32>) {
    ^bb0(%in: f32, %out: f32):
      %155 = math.rsqrt %in : f32
      linalg.yield %155 : f32
    } -> tensor<1x20x1xf32>
    %27 = linalg.generic {indexing_maps = [#map2, #map9, #map2], iterator_types = ["parallel", "parallel", "parallel"]} ins(%3, %26 : tensor<1x20x64xf32>, tensor<1x20x1xf32>) outs(%2 : tensor<1x20x64xf32>) {
    ^bb0(%in: f32, %in_88: f32, %out: f32):
      %155 = arith.mulf %in, %in_88 : f32
      linalg.yield %155 : f32
    } -> tensor<1x20x64xf32>
    %28 = linalg.generic {indexing_maps = [#map10, #map2, #map2], iterator_types = ["parallel", "parallel", "parallel"]} ins(%arg12, %27 : tensor<64xf32>, tensor<1x20x64xf32>) outs(%2 : tensor<1x20x64xf32>) {
    ^bb0(%in: f32, %in_88: f32, %out: f32):
      %155 = arith.mulf %in, %in_88 : f32
      linalg.yield %155 : f32
    } -> tensor<1x20x64xf32>
    %collapsed = tensor.collapse_shape %28 [[0, 1], [2]] : tensor<1x20x64xf32> into tensor<20x64xf32>
    %29 = tensor.empty() : tensor<64x64xf32>
    %transposed = linalg.transpose ins(%arg2 : tensor<64x64xf32>) outs(%29 : tensor<64x64xf32>) permutation = [1, 0] 
    %30 = tensor.empty() : tensor<20x64xf32>
    %31 = linalg.fill ins(%cst : f32) outs(%30 : tensor<20x64xf32>) -> tensor<20x64xf32>
    %32 = linalg.matmul ins(%collapsed, %transposed : tensor<20x64xf32>, tensor<64x64xf32>) outs(%31 : tensor<20x64xf32>) -> tensor<20x64xf32>
    %33 = linalg.generic {indexing_maps = [#map11, #map12, #map11], iterator_types = ["parallel", "parallel"]} ins(%32, %arg3 : tensor<20x64xf32>, tensor<64xf32>) outs(%30 : tensor<20x64xf32>) {
    ^bb0(%in: f32, %in_88: f32, %out: f32):
      %155 = arith.addf %in, %in_88 : f32
      linalg.yield %155 : f32
    } -> tensor<20x64xf32>
    %expanded_12 = tensor.expand_shape %33 [[0, 1], [2, 3]] output_shape [1, 20, 4, 16] : tensor<20x64xf32> into tensor<1x20x4x16xf32>
    %34 = tensor.empty() : tensor<1x4x20x16xf32>
    %transposed_13 = linalg.transpose ins(%expanded_12 : tensor<1x20x4x16xf32>) outs(%34 : tensor<1x4x20x16xf32>) permutation = [0, 2, 1, 3] 
    %35 = tensor.empty() : tensor<64x32xf32>
    %transposed_14 = linalg.transpose ins(%arg4 : tensor<32x64xf32>) outs(%35 : tensor<64x32xf32>) permutation = [1, 0] 
    %36 = tensor.empty() : tensor<20x32xf32>
    %37 = linalg.fill ins(%cst : f32) outs(%36 : tensor<20x32xf32>) -> tensor<20x32xf32>
    %38 = linalg.matmul ins(%collapsed, %transposed_14 : tensor<20x64xf32>, tensor<64x32xf32>) outs(%37 : tensor<20x32xf32>) -> tensor<20x32xf32>
    %39 = linalg.generic {indexing_maps = [#map11, #map12, #map11], iterator_types = ["parallel", "parallel"]} ins(%38, %arg5 : tensor<20x32xf32>, tensor<32xf32>) outs(%36 : tensor<20x32xf32>) {
    ^bb0(%in: f32, %in_88: f32, %out: f32):
      %155 = arith.addf %in, %in_88 : f32
      linalg.yield %155 : f32
    } -> tensor<20x32xf32>
    %expanded_15 = tensor.expand_shape %39 [[0, 1], [2, 3]] output_shape [1, 20, 2, 16] : tensor<20x32xf32> into tensor<1x20x2x16xf32>
    %40 = tensor.empty() : tensor<1x2x20x16xf32>
    %transposed_16 = linalg.transpose ins(%expanded_15 : tensor<1x20x2x16xf32>) outs(%40 : tensor<1x2x20x16xf32>) permutation = [0, 2, 1, 3] 
    %transposed_17 = linalg.transpose ins(%arg6 : tensor<32x64xf32>) outs(%35 : tensor<64x32xf32>) permutation = [1, 0] 
    %41 = linalg.matmul ins(%collapsed, %transposed_17 : tensor<20x64xf32>, tensor<64x32xf32>) outs(%37 : tensor<20x32xf32>) -> tensor<20x32xf32>
    %42 = linalg.generic {indexing_maps = [#map11, #map12, #map11], iterator_types = ["parallel", "parallel"]} ins(%41, %arg7 : tensor<20x32xf32>, tensor<32xf32>) outs(%36 : tensor<20x32xf32>) {
    ^bb0(%in: f32, %in_88: f32, %out: f32):
      %155 = arith.addf %in, %in_88 : f32
      linalg.yield %155 : f32
    } -> tensor<20x32xf32>
    %expanded_18 = tensor.expand_shape %42 [[0, 1], [2, 3]] output_shape [1, 20, 2, 16] : tensor<20x32xf32> into tensor<1x20x2x16xf32>
    %transposed_19 = linalg.transpose ins(%expanded_18 : tensor<1x20x2x16xf32>) outs(%40 : tensor<1x2x20x16xf32>) permutation = [0, 2, 1, 3] 
    %expanded_20 = tensor.expand_shape %19 [[0], [1, 2], [3]] output_shape [1, 1, 20, 16] : tensor<1x20x16xf32> into tensor<1x1x20x16xf32>
    %expanded_21 = tensor.expand_shape %20 [[0], [1, 2], [3]] output_shape [1, 1, 20, 16] : tensor<1x20x16xf32> into tensor<1x1x20x16xf32>
    %43 = linalg.generic {indexing_maps = [#map5, #map13, #map5], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%transposed_13, %expanded_20 : tensor<1x4x20x16xf32>, tensor<1x1x20x16xf32>) outs(%34 : tensor<1x4x20x16xf32>) {
    ^bb0(%in: f32, %in_88: f32, %out: f32):
      %155 = arith.mulf %in, %in_88 : f32
      linalg.yield %155 : f32
    } -> tensor<1x4x20x16xf32>
    %extracted_slice = tensor.extract_slice %transposed_13[0, 0, 0, 0] [1, 4, 20, 8] [1, 1, 1, 1] : tensor<1x4x20x16xf32> to tensor<1x4x20x8xf32>
    %extracted_slice_22 = tensor.extract_slice %transposed_13[0, 0, 0, 8] [1, 4, 20, 8] [1, 1, 1, 1] : tensor<1x4x20x16xf32> to tensor<1x4x20x8xf32>
    %44 = tensor.empty() : tensor<1x4x20x8xf32>
    %45 = linalg.generic {indexing_maps = [#map5, #map5], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%extracted_slice_22 : tensor<1x4x20x8xf32>) outs(%44 : tensor<1x4x20x8xf32>) {
    ^bb0(%in: f32, %out: f32):
      %155 = arith.negf %in : f32
      linalg.yield %155 : f32
    } -> tensor<1x4x20x8xf32>
    %concat_23 = tensor.concat dim(3) %45, %extracted_slice : (tensor<1x4x20x8xf32>, tensor<1x4x20x8xf32>) -> tensor<1x4x20x16xf32>
    %46 = linalg.generic {indexing_maps = [#map5, #map13, #map5], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%concat_23, %expanded_21 : tensor<1x4x20x16xf32>, tensor<1x1x20x16xf32>) outs(%34 : tensor<1x4x20x16xf32>) {
    ^bb0(%in: f32, %in_88: f32, %out: f32):
      %155 = arith.mulf %in, %in_88 : f32
      linalg.yield %155 : f32
    } -> tensor<1x4x20x16xf32>
    %47 = linalg.generic {indexing_maps = [#map5, #map5, #map5], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%43, %46 : tensor<1x4x20x16xf32>, tensor<1x4x20x16xf32>) outs(%34 : tensor<1x4x20x16xf32>) {
    ^bb0(%in: f32, %in_88: f32, %out: f32):
      %155 = arith.addf %in, %in_88 : f32
      linalg.yield %155 : f32
    } -> tensor<1x4x20x16xf32>
    %48 = linalg.generic {indexing_maps = [#map5, #map13, #map5], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%transposed_16, %expanded_20 : tensor<1x2x20x16xf32>, tensor<1x1x20x16xf32>) outs(%40 : tensor<1x2x20x16xf32>) {
    ^bb0(%in: f32, %in_88: f32, %out: f32):
      %155 = arith.mulf %in, %in_88 : f32
      linalg.yield %155 : f32
    } -> tensor<1x2x20x16xf32>
    %extracted_slice_24 = tensor.extract_slice %transposed_16[0, 0, 0, 0] [1, 2, 20, 8] [1, 1, 1, 1] : tensor<1x2x20x16xf32> to tensor<1x2x20x8xf32>
    %extracted_slice_25 = tensor.extract_slice %transposed_16[0, 0, 0, 8] [1, 2, 20, 8] [1, 1, 1, 1] : tensor<1x2x20x16xf32> to tensor<1x2x20x8xf32>
    %49 = tensor.empty() : tensor<1x2x20x8xf32>
    %50 = linalg.generic {indexing_maps = [#map5, #map5], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%extracted_slice_25 : tensor<1x2x20x8xf32>) outs(%49 : tensor<1x2x20x8xf32>) {
    ^bb0(%in: f32, %out: f32):
      %155 = arith.negf %in : f32
      linalg.yield %155 : f32
    } -> tensor<1x2x20x8xf32>
    %concat_26 = tensor.concat dim(3) %50, %extracted_slice_24 : (tensor<1x2x20x8xf32>, tensor<1x2x20x8xf32>) -> tensor<1x2x20x16xf32>
    %51 = linalg.generic {indexing_maps = [#map5, #map13, #map5], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%concat_26, %expanded_21 : tensor<1x2x20x16xf32>, tensor<1x1x20x16xf32>) outs(%40 : tensor<1x2x20x16xf32>) {
    ^bb0(%in: f32, %in_88: f32, %out: f32):
      %155 = arith.mulf %in, %in_88 : f32
      linalg.yield %155 : f32
    } -> tensor<1x2x20x16xf32>
    %52 = linalg.generic {indexing_maps = [#map5, #map5, #map5], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%48, %51 : tensor<1x2x20x16xf32>, tensor<1x2x20x16xf32>) outs(%40 : tensor<1x2x20x16xf32>) {
    ^bb0(%in: f32, %in_88: f32, %out: f32):
      %155 = arith.addf %in, %in_88 : f32
      linalg.yield %155 : f32
    } -> tensor<1x2x20x16xf32>
    %53 = tensor.empty() : tensor<1x2x2x20x16xf32>
    %54 = linalg.generic {indexing_maps = [#map14, #map15], iterator_types = ["parallel", "parallel", "parallel", "parallel", "parallel"]} ins(%52 : tensor<1x2x20x16xf32>) outs(%53 : tensor<1x2x2x20x16xf32>) {
    ^bb0(%in: f32, %out: f32):
      linalg.yield %in : f32
    } -> tensor<1x2x2x20x16xf32>
    %collapsed_27 = tensor.collapse_shape %54 [[0], [1, 2], [3], [4]] : tensor<1x2x2x20x16xf32> into tensor<1x4x20x16xf32>
    %55 = linalg.generic {indexing_maps = [#map14, #map15], iterator_types = ["parallel", "parallel", "parallel", "parallel", "parallel"]} ins(%transposed_19 : tensor<1x2x20x16xf32>) outs(%53 : tensor<1x2x2x20x16xf32>) {
    ^bb0(%in: f32, %out: f32):
      linalg.yield %in : f32
    } -> tensor<1x2x2x20x16xf32>
    %56 = tensor.empty() : tensor<1x4x16x20xf32>
    %transposed_28 = linalg.transpose ins(%collapsed_27 : tensor<1x4x20x16xf32>) outs(%56 : tensor<1x4x16x20xf32>) permutation = [0, 1, 3, 2] 
    %collapsed_29 = tensor.collapse_shape %47 [[0, 1], [2], [3]] : tensor<1x4x20x16xf32> into tensor<4x20x16xf32>
    %collapsed_30 = tensor.collapse_shape %transposed_28 [[0, 1], [2], [3]] : tensor<1x4x16x20xf32> into tensor<4x16x20xf32>
    %57 = tensor.empty() : tensor<4x20x20xf32>
    %58 = linalg.fill ins(%cst : f32) outs(%57 : tensor<4x20x20xf32>) -> tensor<4x20x20xf32>
    %59 = linalg.batch_matmul ins(%collapsed_29, %collapsed_30 : tensor<4x20x16xf32>, tensor<4x16x20xf32>) outs(%58 : tensor<4x20x20xf32>) -> tensor<4x20x20xf32>
    %expanded_31 = tensor.expand_shape %59 [[0, 1], [2], [3]] output_shape [1, 4, 20, 20] : tensor<4x20x20xf32> into tensor<1x4x20x20xf32>
    %60 = tensor.empty() : tensor<1x4x20x20xf32>
    %61 = linalg.generic {indexing_maps = [#map5, #map5], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%expanded_31 : tensor<1x4x20x20xf32>) outs(%60 : tensor<1x4x20x20xf32>) {
    ^bb0(%in: f32, %out: f32):
      %155 = arith.mulf %in, %cst_8 : f32
      linalg.yield %155 : f32
    } -> tensor<1x4x20x20xf32>
    %62 = linalg.generic {indexing_maps = [#map5, #map13, #map5], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%61, %13 : tensor<1x4x20x20xf32>, tensor<1x1x20x20xf32>) outs(%60 : tensor<1x4x20x20xf32>) {
    ^bb0(%in: f32, %in_88: f32, %out: f32):
      %155 = arith.addf %in, %in_88 : f32
      linalg.yield %155 : f32
    } -> tensor<1x4x20x20xf32>
    %63 = tensor.empty() : tensor<1x4x20xi64>
    %64 = linalg.fill ins(%c0_i64 : i64) outs(%63 : tensor<1x4x20xi64>) -> tensor<1x4x20xi64>
    %65 = tensor.empty() : tensor<1x4x20xf32>
    %66 = linalg.fill ins(%cst_0 : f32) outs(%65 : tensor<1x4x20xf32>) -> tensor<1x4x20xf32>
    %67:2 = linalg.generic {indexing_maps = [#map5, #map16, #map16], iterator_types = ["parallel", "parallel", "parallel", "reduction"]} ins(%62 : tensor<1x4x20x20xf32>) outs(%66, %64 : tensor<1x4x20xf32>, tensor<1x4x20xi64>) {
    ^bb0(%in: f32, %out: f32, %out_88: i64):
      %155 = linalg.index 3 : index
      %156 = arith.index_cast %155 : index to i64
      %157 = arith.maximumf %in, %out : f32
      %158 = arith.cmpf ogt, %in, %out : f32
      %159 = arith.select %158, %156, %out_88 : i64
      linalg.yield %157, %159 : f32, i64
    } -> (tensor<1x4x20xf32>, tensor<1x4x20xi64>)
    %expanded_32 = tensor.expand_shape %67#0 [[0], [1], [2, 3]] output_shape [1, 4, 20, 1] : tensor<1x4x20xf32> into tensor<1x4x20x1xf32>
    %68 = linalg.generic {indexing_maps = [#map5, #map4, #map5], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%62, %expanded_32 : tensor<1x4x20x20xf32>, tensor<1x4x20x1xf32>) outs(%60 : tensor<1x4x20x20xf32>) {
    ^bb0(%in: f32, %in_88: f32, %out: f32):
      %155 = arith.subf %in, %in_88 : f32
      linalg.yield %155 : f32
    } -> tensor<1x4x20x20xf32>
    %69 = linalg.generic {indexing_maps = [#map5, #map5], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%68 : tensor<1x4x20x20xf32>) outs(%60 : tensor<1x4x20x20xf32>) {
    ^bb0(%in: f32, %out: f32):
      %155 = math.exp %in : f32
      linalg.yield %155 : f32
    } -> tensor<1x4x20x20xf32>
    %70 = tensor.empty() : tensor<1x4x20x1xf32>
    %71 = linalg.fill ins(%cst : f32) outs(%70 : tensor<1x4x20x1xf32>) -> tensor<1x4x20x1xf32>
    %72 = linalg.generic {indexing_maps = [#map5, #map4], iterator_types = ["parallel", "parallel", "parallel", "reduction"]} ins(%69 : tensor<1x4x20x20xf32>) outs(%71 : tensor<1x4x20x1xf32>) {
    ^bb0(%in: f32, %out: f32):
      %155 = arith.addf %in, %out : f32
      linalg.yield %155 : f32
    } -> tensor<1x4x20x1xf32>
    %73 = linalg.generic {indexing_maps = [#map5, #map4, #map5], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%69, %72 : tensor<1x4x20x20xf32>, tensor<1x4x20x1xf32>) outs(%60 : tensor<1x4x20x20xf32>) {
    ^bb0(%in: f32, %in_88: f32, %out: f32):
      %155 = arith.divf %in, %in_88 : f32
      linalg.yield %155 : f32
    } -> tensor<1x4x20x20xf32>
    %collapsed_33 = tensor.collapse_shape %73 [[0, 1], [2], [3]] : tensor<1x4x20x20xf32> into tensor<4x20x20xf32>
    %collapsed_34 = tensor.collapse_shape %55 [[0, 1, 2], [3], [4]] : tensor<1x2x2x20x16xf32> into tensor<4x20x16xf32>
    %74 = tensor.empty() : tensor<4x20x16xf32>
    %75 = linalg.fill ins(%cst : f32) outs(%74 : tensor<4x20x16xf32>) -> tensor<4x20x16xf32>
    %76 = linalg.batch_matmul ins(%collapsed_33, %collapsed_34 : tensor<4x20x20xf32>, tensor<4x20x16xf32>) outs(%75 : tensor<4x20x16xf32>) -> tensor<4x20x16xf32>
    %expanded_35 = tensor.expand_shape %76 [[0, 1], [2], [3]] output_shape [1, 4, 20, 16] : tensor<4x20x16xf32> into tensor<1x4x20x16xf32>
    %77 = tensor.empty() : tensor<1x20x4x16xf32>
    %transposed_36 = linalg.transpose ins(%expanded_35 : tensor<1x4x20x16xf32>) outs(%77 : tensor<1x20x4x16xf32>) permutation = [0, 2, 1, 3] 
    %transposed_37 = linalg.transpose ins(%arg8 : tensor<64x64xf32>) outs(%29 : tensor<64x64xf32>) permutation = [1, 0] 
    %collapsed_38 = tensor.collapse_shape %transposed_36 [[0, 1], [2, 3]] : tensor<1x20x4x16xf32> into tensor<20x64xf32>
    %78 = linalg.matmul ins(%collapsed_38, %transposed_37 : tensor<20x64xf32>, tensor<64x64xf32>) outs(%31 : tensor<20x64xf32>) -> tensor<20x64xf32>
    %expanded_39 = tensor.expand_shape %78 [[0, 1], [2]] output_shape [1, 20, 64] : tensor<20x64xf32> into tensor<1x20x64xf32>
    %79 = linalg.generic {indexing_maps = [#map2, #map2, #map2], iterator_types = ["parallel", "parallel", "parallel"]} ins(%3, %expanded_39 : tensor<1x20x64xf32>, tensor<1x20x64xf32>) outs(%2 : tensor<1x20x64xf32>) {
    ^bb0(%in: f32, %in_88: f32, %out: f32):
      %155 = arith.addf %in, %in_88 : f32
      linalg.yield %155 : f32
    } -> tensor<1x20x64xf32>
    %80 = linalg.generic {indexing_maps = [#map2, #map2], iterator_types = ["parallel", "parallel", "parallel"]} ins(%79 : tensor<1x20x64xf32>) outs(%2 : tensor<1x20x64xf32>) {
    ^bb0(%in: f32, %out: f32):
      %155 = math.fpowi %in, %c2_i64 : f32, i64
      linalg.yield %155 : f32
    } -> tensor<1x20x64xf32>
    %81 = linalg.generic {indexing_maps = [#map2, #map9], iterator_types = ["parallel", "parallel", "reduction"]} ins(%80 : tensor<1x20x64xf32>) outs(%22 : tensor<1x20x1xf32>) {
    ^bb0(%in: f32, %out: f32):
      %155 = arith.addf %in, %out : f32
      linalg.yield %155 : f32
    } -> tensor<1x20x1xf32>
    %82 = linalg.generic {indexing_maps = [#map2, #map2], iterator_types = ["parallel", "parallel", "parallel"]} ins(%81 : tensor<1x20x1xf32>) outs(%14 : tensor<1x20x1xf32>) {
    ^bb0(%in: f32, %out: f32):
      %155 = arith.divf %in, %cst_7 : f32
      linalg.yield %155 : f32
    } -> tensor<1x20x1xf32>
    %83 = linalg.generic {indexing_maps = [#map2, #map2], iterator_types = ["parallel", "parallel", "parallel"]} ins(%82 : tensor<1x20x1xf32>) outs(%14 : tensor<1x20x1xf32>) {
    ^bb0(%in: f32, %out: f32):
      %155 = arith.truncf %cst_5 : f64 to f32
      %156 = arith.addf %in, %155 : f32
      linalg.yield %156 : f32
    } -> tensor<1x20x1xf32>
    %84 = linalg.generic {indexing_maps = [#map2, #map2], iterator_types = ["parallel", "parallel", "parallel"]} ins(%83 : tensor<1x20x1xf32>) outs(%14 : tensor<1x20x1xf32>) {
    ^bb0(%in: f32, %out: f32):
      %155 = math.rsqrt %in : f32
      linalg.yield %155 : f32
    } -> tensor<1x20x1xf32>
    %85 = linalg.generic {indexing_maps = [#map2, #map9, #map2], iterator_types = ["parallel", "parallel", "parallel"]} ins(%79, %84 : tensor<1x20x64xf32>, tensor<1x20x1xf32>) outs(%2 : tensor<1x20x64xf32>) {
    ^bb0(%in: f32, %in_88: f32, %out: f32):
      %155 = arith.mulf %in, %in_88 : f32
      linalg.yield %155 : f32
    } -> tensor<1x20x64xf32>
    %86 = linalg.generic {indexing_maps = [#map10, #map2, #map2], iterator_types = ["parallel", "parallel", "parallel"]} ins(%arg13, %85 : tensor<64xf32>, tensor<1x20x64xf32>) outs(%2 : tensor<1x20x64xf32>) {
    ^bb0(%in: f32, %in_88: f32, %out: f32):
      %155 = arith.mulf %in, %in_88 : f32
      linalg.yield %155 : f32
    } -> tensor<1x20x64xf32>
    %87 = tensor.empty() : tensor<64x96xf32>
    %transposed_40 = linalg.transpose ins(%arg9 : tensor<96x64xf32>) outs(%87 : tensor<64x96xf32>) permutation = [1, 0] 
    %collapsed_41 = tensor.collapse_shape %86 [[0, 1], [2]] : tensor<1x20x64xf32> into tensor<20x64xf32>
    %88 = tensor.empty() : tensor<20x96xf32>
    %89 = linalg.fill ins(%cst : f32) outs(%88 : tensor<20x96xf32>) -> tensor<20x96xf32>
    %90 = linalg.matmul ins(%collapsed_41, %transposed_40 : tensor<20x64xf32>, tensor<64x96xf32>) outs(%89 : tensor<20x96xf32>) -> tensor<20x96xf32>
    %expanded_42 = tensor.expand_shape %90 [[0, 1], [2]] output_shape [1, 20, 96] : tensor<20x96xf32> into tensor<1x20x96xf32>
    %91 = tensor.empty() : tensor<1x20x96xf32>
    %92 = linalg.generic {indexing_maps = [#map2, #map2], iterator_types = ["parallel", "parallel", "parallel"]} ins(%expanded_42 : tensor<1x20x96xf32>) outs(%91 : tensor<1x20x96xf32>) {
    ^bb0(%in: f32, %out: f32):
      %155 = arith.negf %in : f32
      %156 = math.exp %155 : f32
      %157 = arith.addf %156, %cst_1 : f32
      %158 = arith.divf %cst_1, %157 : f32
      linalg.yield %158 : f32
    } -> tensor<1x20x96xf32>
    %93 = linalg.generic {indexing_maps = [#map2, #map2, #map2], iterator_types = ["parallel", "parallel", "parallel"]} ins(%expanded_42, %92 : tensor<1x20x96xf32>, tensor<1x20x96xf32>) outs(%91 : tensor<1x20x96xf32>) {
    ^bb0(%in: f32, %in_88: f32, %out: f32):
      %155 = arith.mulf %in, %in_88 : f32
      linalg.yield %155 : f32
    } -> tensor<1x20x96xf32>
    %transposed_43 = linalg.transpose ins(%arg10 : tensor<96x64xf32>) outs(%87 : tensor<64x96xf32>) permutation = [1, 0] 
    %94 = linalg.matmul ins(%collapsed_41, %transposed_43 : tensor<20x64xf32>, tensor<64x96xf32>) outs(%89 : tensor<20x96xf32>) -> tensor<20x96xf32>
    %expanded_44 = tensor.expand_shape %94 [[0, 1], [2]] output_shape [1, 20, 96] : tensor<20x96xf32> into tensor<1x20x96xf32>
    %95 = linalg.generic {indexing_maps = [#map2, #map2, #map2], iterator_types = ["parallel", "parallel", "parallel"]} ins(%93, %expanded_44 : tensor<1x20x96xf32>, tensor<1x20x96xf32>) outs(%91 : tensor<1x20x96xf32>) {
    ^bb0(%in: f32, %in_88: f32, %out: f32):
      %155 = arith.mulf %in, %in_88 : f32
      linalg.yield %155 : f32
    } -> tensor<1x20x96xf32>
    %96 = tensor.empty() : tensor<96x64xf32>
    %transposed_45 = linalg.transpose ins(%arg11 : tensor<64x96xf32>) outs(%96 : tensor<96x64xf32>) permutation = [1, 0] 
    %collapsed_46 = tensor.collapse_shape %95 [[0, 1], [2]] : tensor<1x20x96xf32> into tensor<20x96xf32>
    %97 = linalg.matmul ins(%collapsed_46, %transposed_45 : tensor<20x96xf32>, tensor<96x64xf32>) outs(%31 : tensor<20x64xf32>) -> tensor<20x64xf32>
    %expanded_47 = tensor.expand_shape %97 [[0, 1], [2]] output_shape [1, 20, 64] : tensor<20x64xf32> into tensor<1x20x64xf32>
    %98 = linalg.generic {indexing_maps = [#map2, #map2, #map2], iterator_types = ["parallel", "parallel", "parallel"]} ins(%79, %expanded_47 : tensor<1x20x64xf32>, tensor<1x20x64xf32>) outs(%2 : tensor<1x20x64xf32>) {
    ^bb0(%in: f32, %in_88: f32, %out: f32):
      %155 = arith.addf %in, %in_88 : f32
      linalg.yield %155 : f32
    } -> tensor<1x20x64xf32>
    %99 = linalg.generic {indexing_maps = [#map2, #map2], iterator_types = ["parallel", "parallel", "parallel"]} ins(%98 : tensor<1x20x64xf32>) outs(%2 : tensor<1x20x64xf32>) {
    ^bb0(%in: f32, %out: f32):
      %155 = math.fpowi %in, %c2_i64 : f32, i64
      linalg.yield %155 : f32
    } -> tensor<1x20x64xf32>
    %100 = linalg.generic {indexing_maps = [#map2, #map9], iterator_types = ["parallel", "parallel", "reduction"]} ins(%99 : tensor<1x20x64xf32>) outs(%22 : tensor<1x20x1xf32>) {
    ^bb0(%in: f32, %out: f32):
      %155 = arith.addf %in, %out : f32
      linalg.yield %155 : f32
    } -> tensor<1x20x1xf32>
    %101 = linalg.generic {indexing_maps = [#map2, #map2], iterator_types = ["parallel", "parallel", "parallel"]} ins(%100 : tensor<1x20x1xf32>) outs(%14 : tensor<1x20x1xf32>) {
    ^bb0(%in: f32, %out: f32):
      %155 = arith.divf %in, %cst_7 : f32
      linalg.yield %155 : f32
    } -> tensor<1x20x1xf32>
    %102 = linalg.generic {indexing_maps = [#map2, #map2], iterator_types = ["parallel", "parallel", "parallel"]} ins(%101 : tensor<1x20x1xf32>) outs(%14 : tensor<1x20x1xf32>) {
    ^bb0(%in: f32, %out: f32):
      %155 = arith.truncf %cst_5 : f64 to f32
      %156 = arith.addf %in, %155 : f32
      linalg.yield %156 : f32
    } -> tensor<1x20x1xf32>
    %103 = linalg.generic {indexing_maps = [#map2, #map2], iterator_types = ["parallel", "parallel", "parallel"]} ins(%102 : tensor<1x20x1xf32>) outs(%14 : tensor<1x20x1xf32>) {
    ^bb0(%in: f32, %out: f32):
      %155 = math.rsqrt %in : f32
      linalg.yield %155 : f32
    } -> tensor<1x20x1xf32>
    %104 = linalg.generic {indexing_maps = [#map2, #map9, #map2], iterator_types = ["parallel", "parallel", "parallel"]} ins(%98, %103 : tensor<1x20x64xf32>, tensor<1x20x1xf32>) outs(%2 : tensor<1x20x64xf32>) {
    ^bb0(%in: f32, %in_88: f32, %out: f32):
      %155 = arith.mulf %in, %in_88 : f32
      linalg.yield %155 : f32
    } -> tensor<1x20x64xf32>
    %105 = linalg.generic {indexing_maps = [#map10, #map2, #map2], iterator_types = ["parallel", "parallel", "parallel"]} ins(%arg24, %104 : tensor<64xf32>, tensor<1x20x64xf32>) outs(%2 : tensor<1x20x64xf32>) {
    ^bb0(%in: f32, %in_88: f32, %out: f32):
      %155 = arith.mulf %in, %in_88 : f32
      linalg.yield %155 : f32
    } -> tensor<1x20x64xf32>
    %collapsed_48 = tensor.collapse_shape %105 [[0, 1], [2]] : tensor<1x20x64xf32> into tensor<20x64xf32>
    %transposed_49 = linalg.transpose ins(%arg14 : tensor<64x64xf32>) outs(%29 : tensor<64x64xf32>) permutation = [1, 0] 
    %106 = linalg.matmul ins(%collapsed_48, %transposed_49 : tensor<20x64xf32>, tensor<64x64xf32>) outs(%31 : tensor<20x64xf32>) -> tensor<20x64xf32>
    %107 = linalg.generic {indexing_maps = [#map11, #map12, #map11], iterator_types = ["parallel", "parallel"]} ins(%106, %arg15 : tensor<20x64xf32>, tensor<64xf32>) outs(%30 : tensor<20x64xf32>) {
    ^bb0(%in: f32, %in_88: f32, %out: f32):
      %155 = arith.addf %in, %in_88 : f32
      linalg.yield %155 : f32
    } -> tensor<20x64xf32>
    %expanded_50 = tensor.expand_shape %107 [[0, 1], [2, 3]] output_shape [1, 20, 4, 16] : tensor<20x64xf32> into tensor<1x20x4x16xf32>
    %transposed_51 = linalg.transpose ins(%expanded_50 : tensor<1x20x4x16xf32>) outs(%34 : tensor<1x4x20x16xf32>) permutation = [0, 2, 1, 3] 
    %transposed_52 = linalg.transpose ins(%arg16 : tensor<32x64xf32>) outs(%35 : tensor<64x32xf32>) permutation = [1, 0] 
    %108 = linalg.matmul ins(%collapsed_48, %transposed_52 : tensor<20x64xf32>, tensor<64x32xf32>) outs(%37 : tensor<20x32xf32>) -> tensor<20x32xf32>
    %109 = linalg.generic {indexing_maps = [#map11, #map12, #map11], iterator_types = ["parallel", "parallel"]} ins(%108, %arg17 : tensor<20x32xf32>, tensor<32xf32>) outs(%36 : tensor<20x32xf32>) {
    ^bb0(%in: f32, %in_88: f32, %out: f32):
      %155 = arith.addf %in, %in_88 : f32
      linalg.yield %155 : f32
    } -> tensor<20x32xf32>
    %expanded_53 = tensor.expand_shape %109 [[0, 1], [2, 3]] output_shape [1, 20, 2, 16] : tensor<20x32xf32> into tensor<1x20x2x16xf32>
    %transposed_54 = linalg.transpose ins(%expanded_53 : tensor<1x20x2x16xf32>) outs(%40 : tensor<1x2x20x16xf32>) permutation = [0, 2, 1, 3] 
    %transposed_55 = linalg.transpose ins(%arg18 : tensor<32x64xf32>) outs(%35 : tensor<64x32xf32>) permutation = [1, 0] 
    %110 = linalg.matmul ins(%collapsed_48, %transposed_55 : tensor<20x64xf32>, tensor<64x32xf32>) outs(%37 : tensor<20x32xf32>) -> tensor<20x32xf32>
    %111 = linalg.generic {indexing_maps = [#map11, #map12, #map11], iterator_types = ["parallel", "parallel"]} ins(%110, %arg19 : tensor<20x32xf32>, tensor<32xf32>) outs(%36 : tensor<20x32xf32>) {
    ^bb0(%in: f32, %in_88: f32, %out: f32):
      %155 = arith.addf %in, %in_88 : f32
      linalg.yield %155 : f32
    } -> tensor<20x32xf32>
    %expanded_56 = tensor.expand_shape %111 [[0, 1], [2, 3]] output_shape [1, 20, 2, 16] : tensor<20x32xf32> into tensor<1x20x2x16xf32>
    %transposed_57 = linalg.transpose ins(%expanded_56 : tensor<1x20x2x16xf32>) outs(%40 : tensor<1x2x20x16xf32>) permutation = [0, 2, 1, 3] 
    %112 = linalg.generic {indexing_maps = [#map5, #map13, #map5], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%transposed_51, %expanded_20 : tensor<1x4x20x16xf32>, tensor<1x1x20x16xf32>) outs(%34 : tensor<1x4x20x16xf32>) {
    ^bb0(%in: f32, %in_88: f32, %out: f32):
      %155 = arith.mulf %in, %in_88 : f32
      linalg.yield %155 : f32
    } -> tensor<1x4x20x16xf32>
    %extracted_slice_58 = tensor.extract_slice %transposed_51[0, 0, 0, 0] [1, 4, 20, 8] [1, 1, 1, 1] : tensor<1x4x20x16xf32> to tensor<1x4x20x8xf32>
    %extracted_slice_59 = tensor.extract_slice %transposed_51[0, 0, 0, 8] [1, 4, 20, 8] [1, 1, 1, 1] : tensor<1x4x20x16xf32> to tensor<1x4x20x8xf32>
    %113 = linalg.generic {indexing_maps = [#map5, #map5], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%extracted_slice_59 : tensor<1x4x20x8xf32>) outs(%44 : tensor<1x4x20x8xf32>) {
    ^bb0(%in: f32, %out: f32):
      %155 = arith.negf %in : f32
      linalg.yield %155 : f32
    } -> tensor<1x4x20x8xf32>
    %concat_60 = tensor.concat dim(3) %113, %extracted_slice_58 : (tensor<1x4x20x8xf32>, tensor<1x4x20x8xf32>) -> tensor<1x4x20x16xf32>
    %114 = linalg.generic {indexing_maps = [#map5, #map13, #map5], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%concat_60, %expanded_21 : tensor<1x4x20x16xf32>, tensor<1x1x20x16xf32>) outs(%34 : tensor<1x4x20x16xf32>) {
    ^bb0(%in: f32, %in_88: f32, %out: f32):
      %155 = arith.mulf %in, %in_88 : f32
      linalg.yield %155 : f32
    } -> tensor<1x4x20x16xf32>
    %115 = linalg.generic {indexing_maps = [#map5, #map5, #map5], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%112, %114 : tensor<1x4x20x16xf32>, tensor<1x4x20x16xf32>) outs(%34 : tensor<1x4x20x16xf32>) {
    ^bb0(%in: f32, %in_88: f32, %out: f32):
      %155 = arith.addf %in, %in_88 : f32
      linalg.yield %155 : f32
    } -> tensor<1x4x20x16xf32>
    %116 = linalg.generic {indexing_maps = [#map5, #map13, #map5], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%transposed_54, %expanded_20 : tensor<1x2x20x16xf32>, tensor<1x1x20x16xf32>) outs(%40 : tensor<1x2x20x16xf32>) {
    ^bb0(%in: f32, %in_88: f32, %out: f32):
      %155 = arith.mulf %in, %in_88 : f32
      linalg.yield %155 : f32
    } -> tensor<1x2x20x16xf32>
    %extracted_slice_61 = tensor.extract_slice %transposed_54[0, 0, 0, 0] [1, 2, 20, 8] [1, 1, 1, 1] : tensor<1x2x20x16xf32> to tensor<1x2x20x8xf32>
    %extracted_slice_62 = tensor.extract_slice %transposed_54[0, 0, 0, 8] [1, 2, 20, 8] [1, 1, 1, 1] : tensor<1x2x20x16xf32> to tensor<1x2x20x8xf32>
    %117 = linalg.generic {indexing_maps = [#map5, #map5], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%extracted_slice_62 : tensor<1x2x20x8xf32>) outs(%49 : tensor<1x2x20x8xf32>) {
    ^bb0(%in: f32, %out: f32):
      %155 = arith.negf %in : f32
      linalg.yield %155 : f32
    } -> tensor<1x2x20x8xf32>
    %concat_63 = tensor.concat dim(3) %117, %extracted_slice_61 : (tensor<1x2x20x8xf32>, tensor<1x2x20x8xf32>) -> tensor<1x2x20x16xf32>
    %118 = linalg.generic {indexing_maps = [#map5, #map13, #map5], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%concat_63, %expanded_21 : tensor<1x2x20x16xf32>, tensor<1x1x20x16xf32>) outs(%40 : tensor<1x2x20x16xf32>) {
    ^bb0(%in: f32, %in_88: f32, %out: f32):
      %155 = arith.mulf %in, %in_88 : f32
      linalg.yield %155 : f32
    } -> tensor<1x2x20x16xf32>
    %119 = linalg.generic {indexing_maps = [#map5, #map5, #map5], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%116, %118 : tensor<1x2x20x16xf32>, tensor<1x2x20x16xf32>) outs(%40 : tensor<1x2x20x16xf32>) {
    ^bb0(%in: f32, %in_88: f32, %out: f32):
      %155 = arith.addf %in, %in_88 : f32
      linalg.yield %155 : f32
    } -> tensor<1x2x20x16xf32>
    %120 = linalg.generic {indexing_maps = [#map14, #map15], iterator_types = ["parallel", "parallel", "parallel", "parallel", "parallel"]} ins(%119 : tensor<1x2x20x16xf32>) outs(%53 : tensor<1x2x2x20x16xf32>) {
    ^bb0(%in: f32, %out: f32):
      linalg.yield %in : f32
    } -> tensor<1x2x2x20x16xf32>
    %collapsed_64 = tensor.collapse_shape %120 [[0], [1, 2], [3], [4]] : tensor<1x2x2x20x16xf32> into tensor<1x4x20x16xf32>
    %121 = linalg.generic {indexing_maps = [#map14, #map15], iterator_types = ["parallel", "parallel", "parallel", "parallel", "parallel"]} ins(%transposed_57 : tensor<1x2x20x16xf32>) outs(%53 : tensor<1x2x2x20x16xf32>) {
    ^bb0(%in: f32, %out: f32):
      linalg.yield %in : f32
    } -> tensor<1x2x2x20x16xf32>
    %transposed_65 = linalg.transpose ins(%collapsed_64 : tensor<1x4x20x16xf32>) outs(%56 : tensor<1x4x16x20xf32>) permutation = [0, 1, 3, 2] 
    %collapsed_66 = tensor.collapse_shape %115 [[0, 1], [2], [3]] : tensor<1x4x20x16xf32> into tensor<4x20x16xf32>
    %collapsed_67 = tensor.collapse_shape %transposed_65 [[0, 1], [2], [3]] : tensor<1x4x16x20xf32> into tensor<4x16x20xf32>
    %122 = linalg.batch_matmul ins(%collapsed_66, %collapsed_67 : tensor<4x20x16xf32>, tensor<4x16x20xf32>) outs(%58 : tensor<4x20x20xf32>) -> tensor<4x20x20xf32>
    %expanded_68 = tensor.expand_shape %122 [[0, 1], [2], [3]] output_shape [1, 4, 20, 20] : tensor<4x20x20xf32> into tensor<1x4x20x20xf32>
    %123 = linalg.generic {indexing_maps = [#map5, #map5], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%expanded_68 : tensor<1x4x20x20xf32>) outs(%60 : tensor<1x4x20x20xf32>) {
    ^bb0(%in: f32, %out: f32):
      %155 = arith.mulf %in, %cst_8 : f32
      linalg.yield %155 : f32
    } -> tensor<1x4x20x20xf32>
    %124 = linalg.generic {indexing_maps = [#map5, #map13, #map5], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%123, %13 : tensor<1x4x20x20xf32>, tensor<1x1x20x20xf32>) outs(%60 : tensor<1x4x20x20xf32>) {
    ^bb0(%in: f32, %in_88: f32, %out: f32):
      %155 = arith.addf %in, %in_88 : f32
      linalg.yield %155 : f32
    } -> tensor<1x4x20x20xf32>
    %125:2 = linalg.generic {indexing_maps = [#map5, #map16, #map16], iterator_types = ["parallel", "parallel", "parallel", "reduction"]} ins(%124 : tensor<1x4x20x20xf32>) outs(%66, %64 : tensor<1x4x20xf32>, tensor<1x4x20xi64>) {
    ^bb0(%in: f32, %out: f32, %out_88: i64):
      %155 = linalg.index 3 : index
      %156 = arith.index_cast %155 : index to i64
      %157 = arith.maximumf %in, %out : f32
      %158 = arith.cmpf ogt, %in, %out : f32
      %159 = arith.select %158, %156, %out_88 : i64
      linalg.yield %157, %159 : f32, i64
    } -> (tensor<1x4x20xf32>, tensor<1x4x20xi64>)
    %expanded_69 = tensor.expand_shape %125#0 [[0], [1], [2, 3]] output_shape [1, 4, 20, 1] : tensor<1x4x20xf32> into tensor<1x4x20x1xf32>
    %126 = linalg.generic {indexing_maps = [#map5, #map4, #map5], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%124, %expanded_69 : tensor<1x4x20x20xf32>, tensor<1x4x20x1xf32>) outs(%60 : tensor<1x4x20x20xf32>) {
    ^bb0(%in: f32, %in_88: f32, %out: f32):
      %155 = arith.subf %in, %in_88 : f32
      linalg.yield %155 : f32
    } -> tensor<1x4x20x20xf32>
    %127 = linalg.generic {indexing_maps = [#map5, #map5], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%126 : tensor<1x4x20x20xf32>) outs(%60 : tensor<1x4x20x20xf32>) {
    ^bb0(%in: f32, %out: f32):
      %155 = math.exp %in : f32
      linalg.yield %155 : f32
    } -> tensor<1x4x20x20xf32>
    %128 = linalg.generic {indexing_maps = [#map5, #map4], iterator_types = ["parallel", "parallel", "parallel", "reduction"]} ins(%127 : tensor<1x4x20x20xf32>) outs(%71 : tensor<1x4x20x1xf32>) {
    ^bb0(%in: f32, %out: f32):
      %155 = arith.addf %in, %out : f32
      linalg.yield %155 : f32
    } -> tensor<1x4x20x1xf32>
    %129 = linalg.generic {indexing_maps = [#map5, #map4, #map5], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%127, %128 : tensor<1x4x20x20xf32>, tensor<1x4x20x1xf32>) outs(%60 : tensor<1x4x20x20xf32>) {
    ^bb0(%in: f32, %in_88: f32, %out: f32):
      %155 = arith.divf %in, %in_88 : f32
      linalg.yield %155 : f32
    } -> tensor<1x4x20x20xf32>
    %collapsed_70 = tensor.collapse_shape %129 [[0, 1], [2], [3]] : tensor<1x4x20x20xf32> into tensor<4x20x20xf32>
    %collapsed_71 = tensor.collapse_shape %121 [[0, 1, 2], [3], [4]] : tensor<1x2x2x20x16xf32> into tensor<4x20x16xf32>
    %130 = linalg.batch_matmul ins(%collapsed_70, %collapsed_71 : tensor<4x20x20xf32>, tensor<4x20x16xf32>) outs(%75 : tensor<4x20x16xf32>) -> tensor<4x20x16xf32>
    %expanded_72 = tensor.expand_shape %130 [[0, 1], [2], [3]] output_shape [1, 4, 20, 16] : tensor<4x20x16xf32> into tensor<1x4x20x16xf32>
    %transposed_73 = linalg.transpose ins(%expanded_72 : tensor<1x4x20x16xf32>) outs(%77 : tensor<1x20x4x16xf32>) permutation = [0, 2, 1, 3] 
    %transposed_74 = linalg.transpose ins(%arg20 : tensor<64x64xf32>) outs(%29 : tensor<64x64xf32>) permutation = [1, 0] 
    %collapsed_75 = tensor.collapse_shape %transposed_73 [[0, 1], [2, 3]] : tensor<1x20x4x16xf32> into tensor<20x64xf32>
    %131 = linalg.matmul ins(%collapsed_75, %transposed_74 : tensor<20x64xf32>, tensor<64x64xf32>) outs(%31 : tensor<20x64xf32>) -> tensor<20x64xf32>
    %expanded_76 = tensor.expand_shape %131 [[0, 1], [2]] output_shape [1, 20, 64] : tensor<20x64xf32> into tensor<1x20x64xf32>
    %132 = linalg.generic {indexing_maps = [#map2, #map2, #map2], iterator_types = ["parallel", "parallel", "parallel"]} ins(%98, %expanded_76 : tensor<1x20x64xf32>, tensor<1x20x64xf32>) outs(%2 : tensor<1x20x64xf32>) {
    ^bb0(%in: f32, %in_88: f32, %out: f32):
      %155 = arith.addf %in, %in_88 : f32
      linalg.yield %155 : f32
    } -> tensor<1x20x64xf32>
    %133 = linalg.generic {indexing_maps = [#map2, #map2], iterator_types = ["parallel", "parallel", "parallel"]} ins(%132 : tensor<1x20x64xf32>) outs(%2 : tensor<1x20x64xf32>) {
    ^bb0(%in: f32, %out: f32):
      %155 = math.fpowi %in, %c2_i64 : f32, i64
      linalg.yield %155 : f32
    } -> tensor<1x20x64xf32>
    %134 = linalg.generic {indexing_maps = [#map2, #map9], iterator_types = ["parallel", "parallel", "reduction"]} ins(%133 : tensor<1x20x64xf32>) outs(%22 : tensor<1x20x1xf32>) {
    ^bb0(%in: f32, %out: f32):
      %155 = arith.addf %in, %out : f32
      linalg.yield %155 : f32
    } -> tensor<1x20x1xf32>
    %135 = linalg.generic {indexing_maps = [#map2, #map2], iterator_types = ["parallel", "parallel", "parallel"]} ins(%134 : tensor<1x20x1xf32>) outs(%14 : tensor<1x20x1xf32>) {
    ^bb0(%in: f32, %out: f32):
      %155 = arith.divf %in, %cst_7 : f32
      linalg.yield %155 : f32
    } -> tensor<1x20x1xf32>
    %136 = linalg.generic {indexing_maps = [#map2, #map2], iterator_types = ["parallel", "parallel", "parallel"]} ins(%135 : tensor<1x20x1xf32>) outs(%14 : tensor<1x20x1xf32>) {
    ^bb0(%in: f32, %out: f32):
      %155 = arith.truncf %cst_5 : f64 to f32
      %156 = arith.addf %in, %155 : f32
      linalg.yield %156 : f32
    } -> tensor<1x20x1xf32>
    %137 = linalg.generic {indexing_maps = [#map2, #map2], iterator_types = ["parallel", "parallel", "parallel"]} ins(%136 : tensor<1x20x1xf32>) outs(%14 : tensor<1x20x1xf32>) {
    ^bb0(%in: f32, %out: f32):
      %155 = math.rsqrt %in : f32
      linalg.yield %155 : f32
    } -> tensor<1x20x1xf32>
    %138 = linalg.generic {indexing_maps = [#map2, #map9, #map2], iterator_types = ["parallel", "parallel", "parallel"]} ins(%132, %137 : tensor<1x20x64xf32>, tensor<1x20x1xf32>) outs(%2 : tensor<1x20x64xf32>) {
    ^bb0(%in: f32, %in_88: f32, %out: f32):
      %155 = arith.mulf %in, %in_88 : f32
      linalg.yield %155 : f32
    } -> tensor<1x20x64xf32>
    %139 = linalg.generic {indexing_maps = [#map10, #map2, #map2], iterator_types = ["parallel", "parallel", "parallel"]} ins(%arg25, %138 : tensor<64xf32>, tensor<1x20x64xf32>) outs(%2 : tensor<1x20x64xf32>) {
    ^bb0(%in: f32, %in_88: f32, %out: f32):
      %155 = arith.mulf %in, %in_88 : f32
      linalg.yield %155 : f32
    } -> tensor<1x20x64xf32>
    %transposed_77 = linalg.transpose ins(%arg21 : tensor<96x64xf32>) outs(%87 : tensor<64x96xf32>) permutation = [1, 0] 
    %collapsed_78 = tensor.collapse_shape %139 [[0, 1], [2]] : tensor<1x20x64xf32> into tensor<20x64xf32>
    %140 = linalg.matmul ins(%collapsed_78, %transposed_77 : tensor<20x64xf32>, tensor<64x96xf32>) outs(%89 : tensor<20x96xf32>) -> tensor<20x96xf32>
    %expanded_79 = tensor.expand_shape %140 [[0, 1], [2]] output_shape [1, 20, 96] : tensor<20x96xf32> into tensor<1x20x96xf32>
    %141 = linalg.generic {indexing_maps = [#map2, #map2], iterator_types = ["parallel", "parallel", "parallel"]} ins(%expanded_79 : tensor<1x20x96xf32>) outs(%91 : tensor<1x20x96xf32>) {
    ^bb0(%in: f32, %out: f32):
      %155 = arith.negf %in : f32
      %156 = math.exp %155 : f32
      %157 = arith.addf %156, %cst_1 : f32
      %158 = arith.divf %cst_1, %157 : f32
      linalg.yield %158 : f32
    } -> tensor<1x20x96xf32>
    %142 = linalg.generic {indexing_maps = [#map2, #map2, #map2], iterator_types = ["parallel", "parallel", "parallel"]} ins(%expanded_79, %141 : tensor<1x20x96xf32>, tensor<1x20x96xf32>) outs(%91 : tensor<1x20x96xf32>) {
    ^bb0(%in: f32, %in_88: f32, %out: f32):
      %155 = arith.mulf %in, %in_88 : f32
      linalg.yield %155 : f32
    } -> tensor<1x20x96xf32>
    %transposed_80 = linalg.transpose ins(%arg22 : tensor<96x64xf32>) outs(%87 : tensor<64x96xf32>) permutation = [1, 0] 
    %143 = linalg.matmul ins(%collapsed_78, %transposed_80 : tensor<20x64xf32>, tensor<64x96xf32>) outs(%89 : tensor<20x96xf32>) -> tensor<20x96xf32>
    %expanded_81 = tensor.expand_shape %143 [[0, 1], [2]] output_shape [1, 20, 96] : tensor<20x96xf32> into tensor<1x20x96xf32>
    %144 = linalg.generic {indexing_maps = [#map2, #map2, #map2], iterator_types = ["parallel", "parallel", "parallel"]} ins(%142, %expanded_81 : tensor<1x20x96xf32>, tensor<1x20x96xf32>) outs(%91 : tensor<1x20x96xf32>) {
    ^bb0(%in: f32, %in_88: f32, %out: f32):
      %155 = arith.mulf %in, %in_88 : f32
      linalg.yield %155 : f32
    } -> tensor<1x20x96xf32>
    %transposed_82 = linalg.transpose ins(%arg23 : tensor<64x96xf32>) outs(%96 : tensor<96x64xf32>) permutation = [1, 0] 
    %collapsed_83 = tensor.collapse_shape %144 [[0, 1], [2]] : tensor<1x20x96xf32> into tensor<20x96xf32>
    %145 = linalg.matmul ins(%collapsed_83, %transposed_82 : tensor<20x96xf32>, tensor<96x64xf32>) outs(%31 : tensor<20x64xf32>) -> tensor<20x64xf32>
    %expanded_84 = tensor.expand_shape %145 [[0, 1], [2]] output_shape [1, 20, 64] : tensor<20x64xf32> into tensor<1x20x64xf32>
    %146 = linalg.generic {indexing_maps = [#map2, #map2, #map2], iterator_types = ["parallel", "parallel", "parallel"]} ins(%132, %expanded_84 : tensor<1x20x64xf32>, tensor<1x20x64xf32>) outs(%2 : tensor<1x20x64xf32>) {
    ^bb0(%in: f32, %in_88: f32, %out: f32):
      %155 = arith.addf %in, %in_88 : f32
      linalg.yield %155 : f32
    } -> tensor<1x20x64xf32>
    %147 = linalg.generic {indexing_maps = [#map2, #map2], iterator_types = ["parallel", "parallel", "parallel"]} ins(%146 : tensor<1x20x64xf32>) outs(%2 : tensor<1x20x64xf32>) {
    ^bb0(%in: f32, %out: f32):
      %155 = math.fpowi %in, %c2_i64 : f32, i64
      linalg.yield %155 : f32
    } -> tensor<1x20x64xf32>
    %148 = linalg.generic {indexing_maps = [#map2, #map9], iterator_types = ["parallel", "parallel", "reduction"]} ins(%147 : tensor<1x20x64xf32>) outs(%22 : tensor<1x20x1xf32>) {
    ^bb0(%in: f32, %out: f32):
      %155 = arith.addf %in, %out : f32
      linalg.yield %155 : f32
    } -> tensor<1x20x1xf32>
    %149 = linalg.generic {indexing_maps = [#map2, #map2], iterator_types = ["parallel", "parallel", "parallel"]} ins(%148 : tensor<1x20x1xf32>) outs(%14 : tensor<1x20x1xf32>) {
    ^bb0(%in: f32, %out: f32):
      %155 = arith.divf %in, %cst_7 : f32
      linalg.yield %155 : f32
    } -> tensor<1x20x1xf32>
    %150 = linalg.generic {indexing_maps = [#map2, #map2], iterator_types = ["parallel", "parallel", "parallel"]} ins(%149 : tensor<1x20x1xf32>) outs(%14 : tensor<1x20x1xf32>) {
    ^bb0(%in: f32, %out: f32):
      %155 = arith.truncf %cst_5 : f64 to f32
      %156 = arith.addf %in, %155 : f32
      linalg.yield %156 : f32
    } -> tensor<1x20x1xf32>
    %151 = linalg.generic {indexing_maps = [#map2, #map2], iterator_types = ["parallel", "parallel", "parallel"]} ins(%150 : tensor<1x20x1xf32>) outs(%14 : tensor<1x20x1xf32>) {
    ^bb0(%in: f32, %out: f32):
      %155 = math.rsqrt %in : f32
      linalg.yield %155 : f32
    } -> tensor<1x20x1xf32>
    %152 = linalg.generic {indexing_maps = [#map2, #map9, #map2], iterator_types = ["parallel", "parallel", "parallel"]} ins(%146, %151 : tensor<1x20x64xf32>, tensor<1x20x1xf32>) outs(%2 : tensor<1x20x64xf32>) {
    ^bb0(%in: f32, %in_88: f32, %out: f32):
      %155 = arith.mulf %in, %in_88 : f32
      linalg.yield %155 : f32
    } -> tensor<1x20x64xf32>
    %153 = linalg.generic {indexing_maps = [#map10, #map2, #map2], iterator_types = ["parallel", "parallel", "parallel"]} ins(%arg26, %152 : tensor<64xf32>, tensor<1x20x64xf32>) outs(%2 : tensor<1x20x64xf32>) {
    ^bb0(%in: f32, %in_88: f32, %out: f32):
      %155 = arith.mulf %in, %in_88 : f32
      linalg.yield %155 : f32
    } -> tensor<1x20x64xf32>
    %transposed_85 = linalg.transpose ins(%arg27 : tensor<96x64xf32>) outs(%87 : tensor<64x96xf32>) permutation = [1, 0] 
    %collapsed_86 = tensor.collapse_shape %153 [[0, 1], [2]] : tensor<1x20x64xf32> into tensor<20x64xf32>
    %154 = linalg.matmul ins(%collapsed_86, %transposed_85 : tensor<20x64xf32>, tensor<64x96xf32>) outs(%89 : tensor<20x96xf32>) -> tensor<20x96xf32>
    %expanded_87 = tensor.expand_shape %154 [[0, 1], [2]] output_shape [1, 20, 96] : tensor<20x96xf32> into tensor<1x20x96xf32>
    return %expanded_87 : tensor<1x20x96xf32>
  }
}

{-#
  dialect_resources: {
    builtin: {
      torch_tensor_8_torch.float32: "0x040000000000803F9BE8A13ECDCCCC3DE386013D0AD7233C383E4F3B6F12833A60CBA539"
    }
  }
#-}
