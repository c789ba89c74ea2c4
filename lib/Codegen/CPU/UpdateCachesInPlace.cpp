//===- UpdateCachesInPlace.cpp - Caches as arguments -----------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Ropewalk/Codegen/CPU/Passes.h"

#include "Ropewalk/IR/Rope.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

namespace ropewalk {
#define GEN_PASS_DEF_UPDATECACHESINPLACEPASS
#include "Ropewalk/Codegen/CPU/Passes.h.inc"
} // namespace ropewalk

using namespace mlir;
using namespace ropewalk;

namespace {

/// The buffer that a value is another view of the whole of.
Value wholeBuffer(Value value) {
  while (auto cast = value.getDefiningOp<memref::CastOp>())
    value = cast.getSource();
  return value;
}

void updateInPlace(func::FuncOp function) {
  llvm::BitVector dropped(function.getNumResults());
  llvm::SmallVector<unsigned> targets(function.getNumResults());
  for (unsigned result = 0; result < function.getNumResults(); ++result) {
    auto name =
        function.getResultAttrOfType<StringAttr>(result, rope::kNameAttr);
    if (!name)
      continue;
    for (unsigned index = 0; index < function.getNumArguments(); ++index) {
      auto kind = function.getArgAttrOfType<StringAttr>(index, rope::kKindAttr);
      if (kind && kind.getValue() == "cache" &&
          function.getArgAttr(index, rope::kNameAttr) == name) {
        dropped.set(result);
        targets[result] = index;
      }
    }
  }
  if (dropped.none())
    return;
  function.walk([&](func::ReturnOp op) {
    OpBuilder b(op);
    for (unsigned result : dropped.set_bits()) {
      Value source = op.getOperand(result);
      Value target = function.getArgument(targets[result]);
      if (wholeBuffer(source) != target)
        memref::CopyOp::create(b, op.getLoc(), source, target);
    }
    op->eraseOperands(dropped);
  });
  (void)function.eraseResults(dropped);
}

struct UpdateCachesInPlacePass final
    : ropewalk::impl::UpdateCachesInPlacePassBase<UpdateCachesInPlacePass> {
  using Base::Base;

  void runOnOperation() override {
    for (auto function : getOperation().getOps<func::FuncOp>())
      if (function.isPublic() && !function.isExternal())
        updateInPlace(function);
  }
};

} // namespace
