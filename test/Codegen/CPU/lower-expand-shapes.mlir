// A group with two dynamic sizes, which expand-strided-metadata alone cannot
// lower, takes its sizes from the op and its strides from them.
//
// RUN: ropewalk-opt %s --rope-lower-expand-shapes | FileCheck %s
// RUN: ropewalk-opt %s --rope-lower-expand-shapes --expand-strided-metadata | FileCheck %s --check-prefix=LOWERED

// LOWERED-NOT: memref.expand_shape

// CHECK-LABEL: func @rows_to_batch_and_sequence
// CHECK-SAME: (%[[X:.+]]: memref<?x32xf32>, %[[B:.+]]: index, %[[S:.+]]: index)
// CHECK: %[[BUFFER:[^,]+]], %{{.*}}:2, %[[STRIDES:.+]]:2 = memref.extract_strided_metadata %[[X]]
// CHECK: %[[STRIDE:.+]] = arith.muli %[[STRIDES]]#0, %[[S]]
// CHECK: memref.reinterpret_cast %[[BUFFER]] to offset: [0], sizes: [%[[B]], %[[S]], 4, 8], strides: [%[[STRIDE]], 32, 8, 1]
func.func @rows_to_batch_and_sequence(%x: memref<?x32xf32>, %b: index, %s: index) -> memref<?x?x4x8xf32> {
  %0 = memref.expand_shape %x [[0, 1], [2, 3]] output_shape [%b, %s, 4, 8] : memref<?x32xf32> into memref<?x?x4x8xf32>
  return %0 : memref<?x?x4x8xf32>
}

// CHECK-LABEL: func @strided
// CHECK-SAME: (%[[X:.+]]: memref<?x?xf32, strided<[?, ?], offset: ?>>, %[[B:.+]]: index, %[[S:.+]]: index, %[[N:.+]]: index)
// CHECK: %[[BUFFER:[^,]+]], %[[OFFSET:[^,]+]], %{{.*}}:2, %[[STRIDES:.+]]:2 = memref.extract_strided_metadata %[[X]]
// CHECK: %[[STRIDE:.+]] = arith.muli %[[STRIDES]]#0, %[[S]]
// CHECK: memref.reinterpret_cast %[[BUFFER]] to offset: [%[[OFFSET]]], sizes: [%[[B]], %[[S]], %[[N]]], strides: [%[[STRIDE]], %[[STRIDES]]#0, %[[STRIDES]]#1]
func.func @strided(%x: memref<?x?xf32, strided<[?, ?], offset: ?>>, %b: index, %s: index, %n: index) -> memref<?x?x?xf32, strided<[?, ?, ?], offset: ?>> {
  %0 = memref.expand_shape %x [[0, 1], [2]] output_shape [%b, %s, %n] : memref<?x?xf32, strided<[?, ?], offset: ?>> into memref<?x?x?xf32, strided<[?, ?, ?], offset: ?>>
  return %0 : memref<?x?x?xf32, strided<[?, ?, ?], offset: ?>>
}

// One dynamic size is upstream's business.
// CHECK-LABEL: func @one_dynamic_size
// CHECK: memref.expand_shape
func.func @one_dynamic_size(%x: memref<?x32xf32>, %b: index) -> memref<?x3x32xf32> {
  %0 = memref.expand_shape %x [[0, 1], [2]] output_shape [%b, 3, 32] : memref<?x32xf32> into memref<?x3x32xf32>
  return %0 : memref<?x3x32xf32>
}
