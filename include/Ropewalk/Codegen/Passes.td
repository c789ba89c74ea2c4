//===- Passes.td - Passes that make code -------------- -*- tablegen -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_CODEGEN_PASSES_TD
#define ROPEWALK_CODEGEN_PASSES_TD

include "mlir/Pass/PassBase.td"

def ParametrizeMapsPass : Pass<"rope-parametrize-maps"> {
  let summary = "make the constant parameters of position maps operands";
  let description = [{
    Every constant parameter of the map of a `rope.attention` becomes `?` and a
    constant operand, so that maps which differ in their parameters only are one
    structure, and code made for one serves all.

    ```mlir
    rope.attention #rope.sliding<window = 512> ...
    // becomes
    %window = arith.constant 512 : i64
    rope.attention #rope.sliding<window = ?> ... parameters(%window : i64) ...
    ```

    Preserves numerics: yes.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect"];
}

def FormKernelsPass : Pass<"rope-form-kernels", "::mlir::ModuleOp"> {
  let summary = "build the GPU kernels of a graph";
  let description = [{
    Makes a `gpu.module @kernels` with one kernel for each structure among the
    module's root operations (contractions, loop nests, reductions, rotations,
    attention, updates of caches), and lists on every root operation the kernels
    that it became: `kernels` for many new tokens, `decode_kernels`
    for one. Kernels are keyed by structure and never by a parameter's value, a
    layer or a weight's name.

    Kernels are `llvm.func` with bodies of arith, scf, math, llvm and nvvm.

    ```mlir
    %o = rope.attention #rope.self_extend<group = ?, window = ?> ...
    // becomes
    %o = rope.attention #rope.self_extend<group = ?, window = ?> ...
           {kernels = ["rotate_0", "rotate_1", "attention_0"]}
    gpu.module @kernels {
      llvm.func @rotate_0(%x: !llvm.ptr<1>, ...) attributes {nvvm.kernel, ...}
      ...
    ```

    Preserves numerics: no, sums are reordered; exp2 and rsqrt are approximate to 2
    units in the last place.
  }];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::gpu::GPUDialect",
    "::mlir::LLVM::LLVMDialect", "::mlir::math::MathDialect",
    "::mlir::NVVM::NVVMDialect", "::mlir::scf::SCFDialect"];
}

def LowerKernelsPass : Pass<"rope-lower-kernels", "::mlir::gpu::GPUModuleOp"> {
  let summary = "lower kernels to the LLVM dialect";
  let description = [{
    Turns the arith, math, scf and index operations of kernels into the LLVM
    dialect. math functions become instructions of the machine or short
    sequences of them, so that no call of a device library is left: exp, log and
    their bases by ex2.approx and lg2.approx, rsqrt by rsqrt.approx, tanh by exp,
    erf by a rational approximation.

    ```mlir
    %y = math.rsqrt %x : f32
    // becomes
    %y = llvm.call_intrinsic "llvm.nvvm.rsqrt.approx.f"(%x) : (f32) -> f32
    ```

    Preserves numerics: no, approximations to a few units in the last place.
  }];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::cf::ControlFlowDialect",
    "::mlir::LLVM::LLVMDialect", "::mlir::math::MathDialect",
    "::mlir::NVVM::NVVMDialect", "::mlir::vector::VectorDialect"];
}

#endif // ROPEWALK_CODEGEN_PASSES_TD
