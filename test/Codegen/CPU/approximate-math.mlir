// exp and tanh of f32 become arithmetic, scalar or vector; other types and
// functions stay, because polynomials of f32 would not be right for them.
//
// RUN: ropewalk-opt %s --rope-approximate-math | FileCheck %s

// CHECK-LABEL: func @expanded
// CHECK-NOT: math.exp
// CHECK-NOT: math.tanh
// CHECK: return
func.func @expanded(%x: f32, %v: vector<8xf32>) -> (f32, vector<8xf32>) {
  %0 = math.exp %x : f32
  %1 = math.tanh %v : vector<8xf32>
  return %0, %1 : f32, vector<8xf32>
}

// CHECK-LABEL: func @kept
// CHECK: math.exp %{{.*}} : f64
// CHECK: math.cos %{{.*}} : f32
func.func @kept(%x: f64, %y: f32) -> (f64, f32) {
  %0 = math.exp %x : f64
  %1 = math.cos %y : f32
  return %0, %1 : f64, f32
}
