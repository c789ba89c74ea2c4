//===- FormKernels.cpp - The kernels of a graph, as a pass ------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Ropewalk/Codegen/GPU/Artifact.h"
#include "Ropewalk/Codegen/Passes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

namespace ropewalk {
#define GEN_PASS_DEF_FORMKERNELSPASS
#include "Ropewalk/Codegen/Passes.h.inc"
} // namespace ropewalk

using namespace mlir;
using namespace ropewalk;

namespace {

struct FormKernelsPass final
    : ropewalk::impl::FormKernelsPassBase<FormKernelsPass> {
  using Base::Base;

  void runOnOperation() override {
    codegen::LaunchPlan plan;
    if (failed(codegen::formKernels(getOperation(), plan)))
      signalPassFailure();
  }
};

} // namespace
