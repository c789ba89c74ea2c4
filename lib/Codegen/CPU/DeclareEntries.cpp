//===- DeclareEntries.cpp - Entry points for C -----------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Ropewalk/Codegen/CPU/Passes.h"

#include "Ropewalk/IR/Rope.h"
#include "mlir/Dialect/Bufferization/IR/BufferizableOpInterface.h"
#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

namespace ropewalk {
#define GEN_PASS_DEF_DECLAREENTRIESPASS
#include "Ropewalk/Codegen/CPU/Passes.h.inc"
} // namespace ropewalk

using namespace mlir;
using namespace ropewalk;

namespace {

struct DeclareEntriesPass final
    : ropewalk::impl::DeclareEntriesPassBase<DeclareEntriesPass> {
  using Base::Base;

  void runOnOperation() override {
    Builder b(&getContext());
    for (auto function : getOperation().getOps<func::FuncOp>()) {
      if (!function.isPublic() || function.isExternal())
        continue;
      function->setAttr(LLVM::LLVMDialect::getEmitCWrapperAttrName(),
                        b.getUnitAttr());
      for (unsigned i = 0; i < function.getNumArguments(); ++i) {
        if (!isa<TensorType>(function.getArgumentTypes()[i]))
          continue;
        auto kind = function.getArgAttrOfType<StringAttr>(i, rope::kKindAttr);
        bool writable = kind && kind.getValue() == "cache";
        function.setArgAttr(
            i, bufferization::BufferizationDialect::kWritableAttrName,
            b.getBoolAttr(writable));
      }
    }
  }
};

} // namespace
