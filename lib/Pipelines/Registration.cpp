//===- Registration.cpp - What this project registers ------- -*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Ropewalk/Pipelines/Registration.h"

#include "Ropewalk/Codegen/CPU/Passes.h"
#include "Ropewalk/Codegen/Passes.h"
#include "Ropewalk/IR/Rope.h"
#include "Ropewalk/Pipelines/CPUPipeline.h"
#include "Ropewalk/Pipelines/GPUPipeline.h"
#include "Ropewalk/Raise/Passes.h"
#include "Ropewalk/Transforms/Passes.h"
#include "mlir/InitAllDialects.h"
#include "mlir/InitAllExtensions.h"
#include "mlir/Target/LLVMIR/Dialect/All.h"

using namespace mlir;

void ropewalk::registerDialects(DialectRegistry &registry) {
  registry.insert<rope::RopeDialect>();
}

void ropewalk::registerPasses() {
  registerRopewalkRaisePasses();
  registerRopewalkTransformsPasses();
  registerRopewalkCodegenCPUPasses();
  registerCPUPipeline();
  registerRopewalkCodegenPasses();
  registerGPUPipeline();
}

void ropewalk::registerAll(DialectRegistry &registry) {
  registerAllDialects(registry);
  registerAllExtensions(registry);
  registerAllToLLVMIRTranslations(registry);
  registerDialects(registry);
}
