//===- LowerKernels.cpp - Kernels to the LLVM dialect -----------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// First math functions that upstream would turn into calls of a device library
// are replaced by intrinsics of the machine, then everything goes to the LLVM
// dialect with upstream's patterns.
//
//===----------------------------------------------------------------------===//

#include "Ropewalk/Codegen/Passes.h"
#include "mlir/Conversion/ArithToLLVM/ArithToLLVM.h"
#include "mlir/Conversion/ControlFlowToLLVM/ControlFlowToLLVM.h"
#include "mlir/Conversion/IndexToLLVM/IndexToLLVM.h"
#include "mlir/Conversion/LLVMCommon/TypeConverter.h"
#include "mlir/Conversion/MathToLLVM/MathToLLVM.h"
#include "mlir/Conversion/SCFToControlFlow/SCFToControlFlow.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Transforms/Passes.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Math/Transforms/Passes.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Transforms/DialectConversion.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include <cmath>

namespace ropewalk {
#define GEN_PASS_DEF_LOWERKERNELSPASS
#include "Ropewalk/Codegen/Passes.h.inc"
} // namespace ropewalk

using namespace mlir;
using namespace ropewalk;

namespace {

Value f32Constant(OpBuilder &b, Location loc, double value) {
  return arith::ConstantOp::create(b, loc, b.getF32FloatAttr(value));
}

Value callIntrinsic(OpBuilder &b, Location loc, StringRef name, Value x) {
  return LLVM::CallIntrinsicOp::create(b, loc, x.getType(),
                                       b.getStringAttr(name), ValueRange{x})
      .getResult(0);
}

Value exp2Of(OpBuilder &b, Location loc, Value x) {
  return callIntrinsic(b, loc, "llvm.nvvm.ex2.approx.ftz.f32", x);
}

Value expOf(OpBuilder &b, Location loc, Value x) {
  return exp2Of(b, loc,
                arith::MulFOp::create(b, loc, x, f32Constant(b, loc, M_LOG2E)));
}

/// Replaces a math operation on f32 by what `Emit` makes of its operand.
template <typename Op, Value (*Emit)(OpBuilder &, Location, Value)>
struct LowerMath final : OpRewritePattern<Op> {
  using OpRewritePattern<Op>::OpRewritePattern;
  LogicalResult matchAndRewrite(Op op,
                                PatternRewriter &rewriter) const override {
    if (!op.getType().isF32())
      return rewriter.notifyMatchFailure(op, "not on f32");
    rewriter.replaceOp(op, Emit(rewriter, op.getLoc(), op.getOperand()));
    return success();
  }
};

Value logOf(OpBuilder &b, Location loc, Value x) {
  Value log2 = callIntrinsic(b, loc, "llvm.nvvm.lg2.approx.f", x);
  return arith::MulFOp::create(b, loc, log2, f32Constant(b, loc, M_LN2));
}

Value log2Of(OpBuilder &b, Location loc, Value x) {
  return callIntrinsic(b, loc, "llvm.nvvm.lg2.approx.f", x);
}

Value rsqrtOf(OpBuilder &b, Location loc, Value x) {
  return callIntrinsic(b, loc, "llvm.nvvm.rsqrt.approx.f", x);
}

/// sign(x) (1 - e^(-2|x|)) / (1 + e^(-2|x|)).
Value tanhOf(OpBuilder &b, Location loc, Value x) {
  Value magnitude = math::AbsFOp::create(b, loc, x);
  Value power = expOf(
      b, loc,
      arith::MulFOp::create(b, loc, magnitude, f32Constant(b, loc, -2.0)));
  Value one = f32Constant(b, loc, 1.0);
  Value quotient =
      arith::DivFOp::create(b, loc, arith::SubFOp::create(b, loc, one, power),
                            arith::AddFOp::create(b, loc, one, power));
  return math::CopySignOp::create(b, loc, quotient, x);
}

struct LowerKernelsPass final
    : ropewalk::impl::LowerKernelsPassBase<LowerKernelsPass> {
  using Base::Base;

  void runOnOperation() override {
    if (failed(lowerMath()) || failed(lowerToLLVM()) || failed(checkLowered()))
      signalPassFailure();
  }

  LogicalResult lowerMath() {
    RewritePatternSet patterns(&getContext());
    patterns.add<LowerMath<math::ExpOp, expOf>, LowerMath<math::Exp2Op, exp2Of>,
                 LowerMath<math::LogOp, logOf>, LowerMath<math::Log2Op, log2Of>,
                 LowerMath<math::RsqrtOp, rsqrtOf>,
                 LowerMath<math::TanhOp, tanhOf>>(&getContext());
    populatePolynomialApproximateErfPattern(patterns);
    return applyPatternsGreedily(getOperation(), std::move(patterns));
  }

  LogicalResult lowerToLLVM() {
    RewritePatternSet structured(&getContext());
    populateSCFToControlFlowConversionPatterns(structured);
    ConversionTarget flat(getContext());
    flat.addIllegalDialect<scf::SCFDialect>();
    flat.markUnknownOpDynamicallyLegal([](Operation *) { return true; });
    if (failed(applyPartialConversion(getOperation(), flat,
                                      std::move(structured))))
      return failure();

    LowerToLLVMOptions options(&getContext());
    options.overrideIndexBitwidth(64);
    LLVMTypeConverter converter(&getContext(), options);
    RewritePatternSet patterns(&getContext());
    arith::populateArithToLLVMConversionPatterns(converter, patterns);
    cf::populateControlFlowToLLVMConversionPatterns(converter, patterns);
    index::populateIndexToLLVMConversionPatterns(converter, patterns);
    populateMathToLLVMConversionPatterns(converter, patterns);
    ConversionTarget target(getContext());
    target.addIllegalDialect<arith::ArithDialect, cf::ControlFlowDialect,
                             math::MathDialect>();
    target.addLegalDialect<LLVM::LLVMDialect, NVVM::NVVMDialect>();
    target.markUnknownOpDynamicallyLegal([](Operation *) { return true; });
    return applyPartialConversion(getOperation(), target, std::move(patterns));
  }

  /// Intrinsics that the machine has no instruction for would become calls of a
  /// library that nothing links.
  LogicalResult checkLowered() {
    WalkResult result = getOperation()->walk([](Operation *op) {
      if (isa<LLVM::SinOp, LLVM::CosOp, LLVM::PowOp, LLVM::ExpOp, LLVM::LogOp,
              LLVM::Exp2Op, LLVM::Log2Op, LLVM::Log10Op, LLVM::TanhOp,
              LLVM::TanOp>(op)) {
        op->emitOpError() << "has no instruction on GPUs";
        return WalkResult::interrupt();
      }
      return WalkResult::advance();
    });
    return failure(result.wasInterrupted());
  }
};

} // namespace
