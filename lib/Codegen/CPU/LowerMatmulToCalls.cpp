//===- LowerMatmulToCalls.cpp - Library calls for products -----*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Addresses are passed as 64-bit integers, which C's calling conventions treat
// as pointers. What is no such product stays as it is.
//
//===----------------------------------------------------------------------===//

#include "Ropewalk/Codegen/CPU/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/PatternMatch.h"

namespace ropewalk {
#define GEN_PASS_DEF_LOWERMATMULTOCALLSPASS
#include "Ropewalk/Codegen/CPU/Passes.h.inc"
} // namespace ropewalk

using namespace mlir;

namespace {

/// The name of the function that computes `op`, or why there is none.
FailureOr<StringRef> functionFor(linalg::LinalgOp op, StringRef &reason) {
  auto fail = [&](StringRef text) -> FailureOr<StringRef> {
    reason = text;
    return failure();
  };
  if (op.getNumDpsInputs() != 2 || op.getNumDpsInits() != 1 ||
      op.getNumLoops() != 3)
    return fail("it has not two inputs, one output and three loops");
  if (!op.hasPureBufferSemantics())
    return fail("it is not on buffers");
  SmallVector<utils::IteratorType> iterators = op.getIteratorTypesArray();
  if (iterators[0] != utils::IteratorType::parallel ||
      iterators[1] != utils::IteratorType::parallel ||
      iterators[2] != utils::IteratorType::reduction)
    return fail("its loops are not two parallel ones and a reduction");
  MLIRContext *context = op.getContext();
  AffineExpr m, n, k;
  bindDims(context, m, n, k);
  SmallVector<AffineMap> maps = op.getIndexingMapsArray();
  if (maps[0] != AffineMap::get(3, 0, {m, k}, context) ||
      maps[1] != AffineMap::get(3, 0, {n, k}, context) ||
      maps[2] != AffineMap::get(3, 0, {m, n}, context))
    return fail("its operands are not (m, k), (n, k) and (m, n)");

  Block *body = op.getBlock();
  auto yield = cast<linalg::YieldOp>(body->getTerminator());
  auto add = yield.getOperand(0).getDefiningOp<arith::AddFOp>();
  if (!add)
    return fail("its body is no sum of products");
  Value sum = body->getArgument(2);
  Value term = add.getLhs() == sum ? add.getRhs() : add.getLhs();
  auto product = term.getDefiningOp<arith::MulFOp>();
  if ((add.getLhs() != sum && add.getRhs() != sum) || !product)
    return fail("its body is no sum of products");
  auto argumentOf = [&](Value value) -> Value {
    if (auto extension = value.getDefiningOp<arith::ExtFOp>())
      return extension.getIn();
    return value;
  };
  Value lhs = argumentOf(product.getLhs()), rhs = argumentOf(product.getRhs());
  if (lhs != body->getArgument(0))
    std::swap(lhs, rhs);
  if (lhs != body->getArgument(0) || rhs != body->getArgument(1))
    return fail("its body is no product of its inputs");
  if (!lhs.getType().isF32() || !sum.getType().isF32())
    return fail("the first input and the output are not f32");
  for (Value operand : op->getOperands()) {
    SmallVector<int64_t> strides;
    int64_t offset;
    if (failed(cast<MemRefType>(operand.getType())
                   .getStridesAndOffset(strides, offset)) ||
        strides[1] != 1)
      return fail("the last axis of an operand is not contiguous");
  }
  if (rhs.getType().isF32())
    return StringRef("ropewalk_matmul_f32");
  if (rhs.getType().isBF16())
    return StringRef("ropewalk_matmul_bf16");
  if (rhs.getType().isF16())
    return StringRef("ropewalk_matmul_f16");
  return fail("the second input is not f32, f16 or bf16");
}

void replaceByCall(RewriterBase &rewriter, ModuleOp module, linalg::LinalgOp op,
                   StringRef name) {
  Location loc = op.getLoc();
  Type i64 = rewriter.getI64Type();
  auto callee = module.lookupSymbol<func::FuncOp>(name);
  if (!callee) {
    OpBuilder::InsertionGuard guard(rewriter);
    rewriter.setInsertionPointToStart(module.getBody());
    callee = func::FuncOp::create(
        rewriter, module.getLoc(), name,
        rewriter.getFunctionType(SmallVector<Type>(9, i64), {}));
    callee.setPrivate();
  }
  rewriter.setInsertionPoint(op);
  auto integer = [&](Value value) -> Value {
    return arith::IndexCastOp::create(rewriter, loc, i64, value);
  };
  SmallVector<Value> address, row;
  for (Value operand : op->getOperands()) {
    auto type = cast<MemRefType>(operand.getType());
    auto metadata =
        memref::ExtractStridedMetadataOp::create(rewriter, loc, operand);
    Value base =
        memref::ExtractAlignedPointerAsIndexOp::create(rewriter, loc, operand);
    Value bytes = arith::MulIOp::create(
        rewriter, loc, metadata.getOffset(),
        arith::ConstantIndexOp::create(rewriter, loc,
                                       type.getElementTypeBitWidth() / 8));
    address.push_back(
        integer(arith::AddIOp::create(rewriter, loc, base, bytes)));
    row.push_back(integer(metadata.getStrides()[0]));
  }
  auto size = [&](unsigned operand, unsigned axis) {
    return integer(
        memref::DimOp::create(rewriter, loc, op->getOperand(operand), axis));
  };
  SmallVector<Value> arguments = {size(0, 0), size(1, 0), size(0, 1),
                                  address[0], row[0],     address[1],
                                  row[1],     address[2], row[2]};
  func::CallOp::create(rewriter, loc, callee, arguments);
  rewriter.eraseOp(op);
}

struct LowerMatmulToCallsPass final
    : ropewalk::impl::LowerMatmulToCallsPassBase<LowerMatmulToCallsPass> {
  using Base::Base;

  void runOnOperation() override {
    SmallVector<linalg::LinalgOp> ops;
    getOperation().walk([&](linalg::LinalgOp op) { ops.push_back(op); });
    IRRewriter rewriter(&getContext());
    for (linalg::LinalgOp op : ops) {
      StringRef reason;
      FailureOr<StringRef> name = functionFor(op, reason);
      if (succeeded(name))
        replaceByCall(rewriter, getOperation(), op, *name);
    }
  }
};

} // namespace
