// RUN: ropewalk-opt %s -rope-cpu | FileCheck %s
// RUN: ropewalk-opt %s -rope-cpu=parallel=false | FileCheck %s --check-prefix=SERIAL

// The whole way to the LLVM dialect: short regions run serially, others have a
// guided schedule; no function of a mathematical library is left but those of
// angles.

// CHECK-LABEL: llvm.func @forward
// CHECK: omp.parallel if(
// CHECK: omp.wsloop schedule(guided)
// CHECK-NOT: expf
// CHECK-NOT: rope.
// CHECK: llvm.func @_mlir_ciface_forward
// SERIAL-NOT: omp.
func.func @forward(%q: tensor<?x4x?x32xf32>, %k: tensor<?x2x?x32xf32>,
    %v: tensor<?x2x?x32xf32>, %o: tensor<?xi64>) -> tensor<?x4x?x32xf32> {
  %c0 = arith.constant 0 : index
  %c2 = arith.constant 2 : index
  %b = tensor.dim %q, %c0 : tensor<?x4x?x32xf32>
  %s = tensor.dim %q, %c2 : tensor<?x4x?x32xf32>
  %e = tensor.empty(%b, %s) : tensor<?x4x?x32xf32>
  %r = rope.attention #rope.self_extend<group = 4, window = 64>
    rotary #rope.rotary<theta = 10000.0, dim = 32> scale 0.17 causal
    query(%q : tensor<?x4x?x32xf32>) key(%k : tensor<?x2x?x32xf32>)
    value(%v : tensor<?x2x?x32xf32>) query_offset(%o : tensor<?xi64>)
    outs(%e : tensor<?x4x?x32xf32>) -> tensor<?x4x?x32xf32>
  return %r : tensor<?x4x?x32xf32>
}
