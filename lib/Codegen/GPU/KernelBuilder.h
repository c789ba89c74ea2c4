//===- KernelBuilder.h - Building one kernel as MLIR ------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A kernel is an llvm.func with nvvm.kernel whose body is made of arith, scf
// and math on scalars, llvm loads and stores, and nvvm for what the machine
// adds. `Val` gives a value arithmetic operators, so that the index arithmetic
// of a kernel reads like arithmetic; integers are signed, and an operator takes
// operands of one type (or an integer literal).
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_LIB_CODEGEN_GPU_KERNELBUILDER_H
#define ROPEWALK_LIB_CODEGEN_GPU_KERNELBUILDER_H

#include "Ropewalk/Codegen/GPU/LaunchPlan.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/STLFunctionalExtras.h"

namespace ropewalk::codegen {

class KernelBuilder;

/// A value with arithmetic.
class Val {
public:
  Val() = default;
  Val(mlir::Value value, KernelBuilder *builder)
      : value(value), builder(builder) {}
  operator mlir::Value() const { return value; }
  mlir::Type type() const { return value.getType(); }
  explicit operator bool() const { return static_cast<bool>(value); }

  Val operator+(Val other) const;
  Val operator-(Val other) const;
  Val operator*(Val other) const;
  /// Signed division and remainder of integers, division of floats.
  Val operator/(Val other) const;
  Val operator%(Val other) const;
  Val operator<(Val other) const;
  Val operator<=(Val other) const;
  Val operator>(Val other) const;
  Val operator>=(Val other) const;
  Val operator==(Val other) const;
  Val operator&(Val other) const;
  Val operator|(Val other) const;
  Val operator+(int64_t other) const;
  Val operator-(int64_t other) const;
  Val operator*(int64_t other) const;
  Val operator/(int64_t other) const;
  Val operator%(int64_t other) const;
  Val operator<(int64_t other) const;
  Val operator>=(int64_t other) const;
  Val operator==(int64_t other) const;

private:
  mlir::Value value;
  KernelBuilder *builder = nullptr;
};

using Vals = llvm::SmallVector<Val>;

class KernelBuilder {
public:
  /// Starts a kernel named `name` at the end of `module`, for blocks of
  /// `threads` threads.
  KernelBuilder(mlir::gpu::GPUModuleOp module, llvm::StringRef name,
                unsigned threads);

  /// Asks the assembler for registers with which `blocks` blocks fit on a
  /// multiprocessor. Without that it aims at more blocks for a small kernel and
  /// may spill for it.
  void setMinimumBlocks(unsigned blocks);

  /// Ends the kernel and describes it.
  KernelInfo finish();

  //===--- Parameters -----------------------------------------------------===//
  /// A pointer to global memory that no other pointer of the kernel reaches,
  /// aligned to 16.
  Val pointerParam(llvm::StringRef name, bool readOnly);
  Val i32Param(llvm::StringRef name);
  Val i64Param(llvm::StringRef name);
  Val f32Param(llvm::StringRef name);

  //===--- Constants and types --------------------------------------------===//
  Val i32(int64_t value);
  Val i64(int64_t value);
  Val f32(double value);
  Val constantLike(mlir::Type type, int64_t value);
  Val wrap(mlir::Value value) { return Val(value, this); }
  mlir::Type i32Type() { return b.getI32Type(); }
  mlir::Type i64Type() { return b.getI64Type(); }
  mlir::Type f32Type() { return b.getF32Type(); }

  //===--- Arithmetic -----------------------------------------------------===//
  Val fma(Val x, Val y, Val z);
  Val min(Val x, Val y);
  Val max(Val x, Val y);
  Val select(Val condition, Val x, Val y);
  Val toI64(Val x);
  Val toI32(Val x);
  /// 2^x to 2 units in the last place.
  Val exp2(Val x);
  Val log2(Val x);
  Val reciprocal(Val x);
  /// bf16, f16 and f32 to f32.
  Val extendToF32(Val x);
  /// floor(x / y) and x - y * floor(x / y) for y > 0, any x.
  Val floorDiv(Val x, Val y);
  Val floorMod(Val x, Val y);
  /// Expands an expression of (dimension)[symbols] in i64.
  Val expand(mlir::AffineExpr expr, Val dimension, llvm::ArrayRef<Val> symbols);
  /// The minimum of the results of `map`.
  Val expandMin(mlir::AffineMap map, Val dimension,
                llvm::ArrayRef<Val> symbols);

  //===--- Memory ---------------------------------------------------------===//
  /// Loads `count` (1, 2, 4) elements at `pointer` + `index` elements; the
  /// address is aligned to all of them. The result is a vector where count > 1.
  Val load(Val pointer, Val index, mlir::Type element, unsigned count = 1);
  void store(Val value, Val pointer, Val index);
  /// Address of element `index`.
  Val address(Val pointer, Val index, mlir::Type element);
  /// Shared memory of `bytes` bytes, aligned to 16.
  Val shared(int64_t bytes);
  Val extract(Val vector, unsigned index);
  Val pack(llvm::ArrayRef<Val> elements);
  Vals unpack(Val value);
  /// A vector (or scalar, count 1) of zeros.
  Val zeros(mlir::Type element, unsigned count);

  //===--- Threads --------------------------------------------------------===//
  Val threadId();
  Val blockId(unsigned axis);
  Val gridSize(unsigned axis);
  void barrier();
  /// The value of the lane whose number differs by `mask`.
  Val shuffleXor(Val value, unsigned mask);

  //===--- Control flow ---------------------------------------------------===//
  /// for (iv = lower; iv < upper; iv += step). Returns the carried values.
  Vals loop(Val lower, Val upper, Val step, llvm::ArrayRef<Val> initial,
            llvm::function_ref<Vals(Val, llvm::ArrayRef<Val>)> body);
  void loop(Val lower, Val upper, Val step, llvm::function_ref<void(Val)> body);
  void ifThen(Val condition, llvm::function_ref<void()> body);
  Vals ifElse(Val condition, llvm::function_ref<Vals()> then,
              llvm::function_ref<Vals()> otherwise);

  mlir::ImplicitLocOpBuilder b;

private:
  Val intrinsic(llvm::StringRef name, Val x);
  Val addParam(llvm::StringRef name, mlir::Type type, ParamType kind,
               bool readOnly);

  mlir::gpu::GPUModuleOp module;
  mlir::LLVM::LLVMFuncOp function;
  mlir::Block *entry = nullptr;
  KernelInfo info;
  llvm::SmallVector<bool> readOnly;
};

} // namespace ropewalk::codegen

#endif // ROPEWALK_LIB_CODEGEN_GPU_KERNELBUILDER_H
