// Loops are made of operations on buffers only; tensors are an error with a hint.
//
// RUN: not ropewalk-opt %s --rope-lower-linalg-to-parallel-loops 2>&1 | FileCheck %s

// CHECK: error: 'linalg.fill' op cannot be lowered to loops: its operands must be buffers, got tensors (bufferize first)
func.func @tensors(%x: f32, %t: tensor<4xf32>) -> tensor<4xf32> {
  %0 = linalg.fill ins(%x : f32) outs(%t : tensor<4xf32>) -> tensor<4xf32>
  return %0 : tensor<4xf32>
}
