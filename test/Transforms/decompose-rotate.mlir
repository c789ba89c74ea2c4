// RUN: ropewalk-opt %s -rope-decompose-rotate | FileCheck %s

// CHECK-LABEL: func.func @partial
// CHECK-SAME: %[[X:.*]]: tensor<2x3x5x12xf16>, %[[P:.*]]: tensor<1x5xi64>
func.func @partial(%x: tensor<2x3x5x12xf16>, %p: tensor<1x5xi64>,
                   %e: tensor<2x3x5x12xf16>) -> tensor<2x3x5x12xf16> {
  // One table for all items and heads, in f64 until the end.
  // CHECK: %[[T:.*]]:2 = linalg.generic
  // CHECK: math.cos {{.*}} : f64
  // CHECK: -> (tensor<1x1x5x4xf32>, tensor<1x1x5x4xf32>)
  // Halves of the 8 rotated dimensions, then the 4 others.
  // CHECK-DAG: tensor.extract_slice %[[X]][0, 0, 0, 0] [2, 3, 5, 4]
  // CHECK-DAG: tensor.extract_slice %[[X]][0, 0, 0, 4] [2, 3, 5, 4]
  // CHECK: arith.subf {{.*}} : f32
  // CHECK: arith.addf {{.*}} : f32
  // CHECK: tensor.extract_slice %[[X]][0, 0, 0, 8] [2, 3, 5, 4]
  // CHECK: arith.truncf {{.*}} : f32 to f16
  // CHECK-NOT: rope.rotate
  %y = rope.rotate #rope.rotary<theta = 10000.0, dim = 8>
    ins(%x : tensor<2x3x5x12xf16>) positions(%p : tensor<1x5xi64>)
    outs(%e : tensor<2x3x5x12xf16>) -> tensor<2x3x5x12xf16>
  return %y : tensor<2x3x5x12xf16>
}
