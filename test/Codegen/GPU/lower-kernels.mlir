// Everything in a kernel becomes the LLVM dialect, and functions become
// instructions: a call of a device library would have nobody to answer it.
//
// RUN: ropewalk-opt %s --split-input-file --verify-diagnostics --pass-pipeline="builtin.module(gpu.module(rope-lower-kernels))" | FileCheck %s

// CHECK-LABEL: llvm.func @functions
// CHECK-NOT: math.
// CHECK-NOT: arith.
// CHECK-NOT: scf.
// CHECK-NOT: __nv_
// CHECK: llvm.call_intrinsic "llvm.nvvm.ex2.approx.ftz.f32"
// CHECK: llvm.call_intrinsic "llvm.nvvm.lg2.approx.f"
// CHECK: llvm.call_intrinsic "llvm.nvvm.rsqrt.approx.f"
// CHECK: llvm.intr.copysign
// CHECK: llvm.cond_br
gpu.module @kernels {
  llvm.func @functions(%x: f32, %n: i32) -> f32 attributes {nvvm.kernel} {
    %0 = math.exp %x : f32
    %1 = math.log %0 : f32
    %2 = math.rsqrt %1 : f32
    %3 = math.tanh %2 : f32
    %c0 = arith.constant 0 : i32
    %c1 = arith.constant 1 : i32
    %sum = scf.for %i = %c0 to %n step %c1 iter_args(%a = %3) -> f32 : i32 {
      %b = arith.addf %a, %x : f32
      scf.yield %b : f32
    }
    llvm.return %sum : f32
  }
}

// -----

// What has no instruction is an error, not a call.
gpu.module @kernels {
  llvm.func @refused(%x: f32) -> f32 attributes {nvvm.kernel} {
    // expected-error @+1 {{failed to legalize operation 'math.acosh'}}
    %0 = math.acosh %x : f32
    llvm.return %0 : f32
  }
}
