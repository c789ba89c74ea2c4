// RUN: ropewalk-opt %s -rope-declare-entries -rope-update-caches-in-place -rope-lower-matmul-to-calls -rope-lower-linalg-to-parallel-loops | FileCheck %s

// CHECK: func.func private @ropewalk_matmul_bf16(i64, i64, i64, i64, i64, i64, i64, i64, i64)

// The cache is dropped from the results, another buffer is copied into it.
// CHECK-LABEL: func.func @caches
// CHECK-SAME: %[[A:[^:]*]]: memref<4xf32>
// CHECK-SAME: %[[B:[^:]*]]: memref<4xf32>
// CHECK-SAME: -> (memref<4xf32> {rope.name = "y"})
// CHECK-SAME: llvm.emit_c_interface
func.func @caches(%a: memref<4xf32> {rope.name = "a", rope.kind = "cache"},
                  %b: memref<4xf32> {rope.name = "b", rope.kind = "cache"},
                  %x: memref<4xf32> {rope.name = "x"})
    -> (memref<4xf32> {rope.name = "y"}, memref<4xf32> {rope.name = "a"},
        memref<4xf32> {rope.name = "b"}) {
  // CHECK-NEXT: memref.alloc
  %y = memref.alloc() : memref<4xf32>
  // The copy became a loop; nothing was copied into %a.
  // CHECK: scf.for
  // CHECK-NOT: memref.store {{.*}}, %[[A]]
  // CHECK: memref.store {{.*}}, %[[B]]
  // CHECK-NOT: scf.for
  // CHECK: return
  return %y, %a, %x : memref<4xf32>, memref<4xf32>, memref<4xf32>
}

#a = affine_map<(m, n, k) -> (m, k)>
#b = affine_map<(m, n, k) -> (n, k)>
#bt = affine_map<(m, n, k) -> (k, n)>
#c = affine_map<(m, n, k) -> (m, n)>

// CHECK-LABEL: func.func private @product
func.func private @product(%a: memref<?x8xf32>, %b: memref<4x8xbf16>, %c: memref<?x4xf32>) {
  // CHECK: call @ropewalk_matmul_bf16
  // CHECK-NOT: scf
  linalg.generic {indexing_maps = [#a, #b, #c], iterator_types = ["parallel", "parallel", "reduction"]}
    ins(%a, %b : memref<?x8xf32>, memref<4x8xbf16>) outs(%c : memref<?x4xf32>) {
  ^bb0(%x: f32, %y: bf16, %o: f32):
    %e = arith.extf %y : bf16 to f32
    %p = arith.mulf %x, %e : f32
    %s = arith.addf %o, %p : f32
    linalg.yield %s : f32
  }
  return
}

// Another layout is no call: two outer loops in parallel, a relaxed sum inside.
// CHECK-LABEL: func.func private @other_layout
func.func private @other_layout(%a: memref<?x8xf32>, %b: memref<8x4xf32>, %c: memref<?x4xf32>) {
  // CHECK-NOT: call
  // CHECK: scf.parallel
  // CHECK: scf.for
  // CHECK: arith.addf {{.*}} fastmath<reassoc,contract>
  linalg.generic {indexing_maps = [#a, #bt, #c], iterator_types = ["parallel", "parallel", "reduction"]}
    ins(%a, %b : memref<?x8xf32>, memref<8x4xf32>) outs(%c : memref<?x4xf32>) {
  ^bb0(%x: f32, %y: f32, %o: f32):
    %p = arith.mulf %x, %y : f32
    %s = arith.addf %o, %p : f32
    linalg.yield %s : f32
  }
  return
}

// A maximum is no sum of products.
// CHECK-LABEL: func.func private @other_body
func.func private @other_body(%a: memref<?x8xf32>, %b: memref<4x8xf32>, %c: memref<?x4xf32>) {
  // CHECK-NOT: call
  // CHECK: arith.maximumf
  linalg.generic {indexing_maps = [#a, #b, #c], iterator_types = ["parallel", "parallel", "reduction"]}
    ins(%a, %b : memref<?x8xf32>, memref<4x8xf32>) outs(%c : memref<?x4xf32>) {
  ^bb0(%x: f32, %y: f32, %o: f32):
    %p = arith.mulf %x, %y : f32
    %s = arith.maximumf %o, %p : f32
    linalg.yield %s : f32
  }
  return
}

// Elementwise: rows in parallel, columns in order for the vectorizer.
// CHECK-LABEL: func.func private @elementwise
func.func private @elementwise(%x: memref<?x8xf32>, %y: memref<?x8xf32>) {
  // CHECK: scf.parallel (%{{.*}}) = (%{{.*}}) to (%{{.*}})
  // CHECK-NEXT: scf.for
  // CHECK-NOT: fastmath
  linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>],
                  iterator_types = ["parallel", "parallel"]}
    ins(%x : memref<?x8xf32>) outs(%y : memref<?x8xf32>) {
  ^bb0(%u: f32, %o: f32):
    %s = arith.addf %u, %u : f32
    linalg.yield %s : f32
  }
  return
}
