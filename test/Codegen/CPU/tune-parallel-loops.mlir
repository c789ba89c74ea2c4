// A loop gets a guided schedule, and its region an if clause that is false for one
// iteration; a region whose bounds are made inside stays as it is.
//
// RUN: ropewalk-opt %s --convert-scf-to-openmp --rope-tune-parallel-loops | FileCheck %s

// CHECK-LABEL: func @tuned
// CHECK-SAME: (%{{.*}}: memref<?xf32>, %[[TO:.*]]: index)
// CHECK: %[[NEXT:.*]] = arith.addi
// CHECK: %[[SEVERAL:.*]] = arith.cmpi slt, %[[NEXT]], %[[TO]]
// CHECK: omp.parallel if(%[[SEVERAL]])
// CHECK: omp.wsloop schedule(guided)
func.func @tuned(%m: memref<?xf32>, %to: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %zero = arith.constant 0.0 : f32
  scf.parallel (%i) = (%c0) to (%to) step (%c1) {
    memref.store %zero, %m[%i] : memref<?xf32>
  }
  return
}

// CHECK-LABEL: func @inside
// CHECK: omp.parallel {
// CHECK: omp.wsloop {
func.func @inside(%m: memref<?xf32>) {
  omp.parallel {
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %to = memref.dim %m, %c0 : memref<?xf32>
    omp.wsloop {
      omp.loop_nest (%i) : index = (%c0) to (%to) step (%c1) {
        %zero = arith.constant 0.0 : f32
        memref.store %zero, %m[%i] : memref<?xf32>
        omp.yield
      }
    }
    omp.terminator
  }
  return
}
