//===- GPUPipeline.cpp - From a graph to an artifact ------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// prepare  parameters of maps become operands, elementwise chains fuse
// form     kernels by structure, and the plan of their launches
// lower    kernels to the LLVM dialect
// emit     LLVM IR, O3, PTX
// assemble registers, spills and warnings by ptxas, where there is one
//
//===----------------------------------------------------------------------===//

#include "Ropewalk/Pipelines/GPUPipeline.h"

#include "Ropewalk/Codegen/CPU/Passes.h"
#include "Ropewalk/Codegen/GPU/Artifact.h"
#include "Ropewalk/Codegen/Passes.h"
#include "Ropewalk/IR/Rope.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Transforms/Passes.h"
#include "llvm/Support/Format.h"

#include <chrono>

using namespace mlir;
using namespace ropewalk;

void ropewalk::buildGPUPreparation(OpPassManager &manager) {
  OpPassManager &graph = manager.nest<func::FuncOp>();
  graph.addPass(createParametrizeMapsPass());
  graph.addPass(createFuseParallelOpsPass());
  graph.addPass(createCanonicalizerPass());
  graph.addPass(createCSEPass());
}

/// Kernels to the LLVM dialect.
static void buildLowering(OpPassManager &manager) {
  OpPassManager &kernels = manager.nest<gpu::GPUModuleOp>();
  kernels.addPass(createCSEPass());
  kernels.addPass(createLowerKernelsPass());
  kernels.addPass(createCanonicalizerPass());
  kernels.addPass(createCSEPass());
}

void ropewalk::buildGPUPipeline(OpPassManager &manager) {
  buildGPUPreparation(manager);
  manager.addPass(createFormKernelsPass());
  buildLowering(manager);
}

void ropewalk::registerGPUPipeline() {
  PassPipelineRegistration<>("rope-gpu",
                             "a graph to GPU kernels in the LLVM dialect",
                             buildGPUPipeline);
}

namespace {

/// Prints how long stages take.
class Stages {
public:
  explicit Stages(llvm::raw_ostream *os) : os(os) {}
  void end(StringRef name) {
    auto now = std::chrono::steady_clock::now();
    if (os)
      *os << llvm::format("%-10s", name.str().c_str())
          << llvm::format("%8.3f s\n",
                          std::chrono::duration<double>(now - last).count());
    last = now;
  }

private:
  llvm::raw_ostream *os;
  std::chrono::steady_clock::time_point last = std::chrono::steady_clock::now();
};

} // namespace

FailureOr<GPUCode> ropewalk::compileForGPU(ModuleOp module,
                                           const GPUPipelineOptions &options) {
  if (failed(codegen::checkTarget(module.getLoc(), options.chip)))
    return failure();
  // Kernels are made outside of passes here, so nothing else loads these.
  module.getContext()
      ->loadDialect<arith::ArithDialect, gpu::GPUDialect, LLVM::LLVMDialect,
                    math::MathDialect, NVVM::NVVMDialect, scf::SCFDialect>();
  Stages stages(options.times);
  auto run = [&](void (*build)(OpPassManager &)) {
    PassManager manager(module.getContext(), ModuleOp::getOperationName());
    build(manager);
    return manager.run(module);
  };
  GPUCode code;
  code.plan.target = options.chip;
  if (failed(run(buildGPUPreparation)))
    return failure();
  stages.end("prepare");
  if (failed(codegen::formKernels(module, code.plan)))
    return failure();
  stages.end("form");
  if (failed(run(buildLowering)))
    return failure();
  stages.end("lower");
  FailureOr<std::string> ptx = codegen::emitPTX(module, options.chip);
  if (failed(ptx))
    return failure();
  code.ptx = std::move(*ptx);
  stages.end("emit");
  if (options.assemble) {
    if (failed(codegen::assemble(module.getLoc(), code.ptx, code.plan)))
      return failure();
    stages.end("assemble");
  }
  return code;
}

FailureOr<codegen::LaunchPlan>
ropewalk::compileToArtifact(ModuleOp module, const GPUPipelineOptions &options,
                            StringRef directory) {
  FailureOr<GPUCode> code = compileForGPU(module, options);
  if (failed(code))
    return failure();
  if (failed(codegen::writeArtifact(
          module.getLoc(), directory, code->ptx, code->plan,
          module->getAttrOfType<DictionaryAttr>(rope::kModelAttr))))
    return failure();
  return std::move(code->plan);
}

runtime::Status ropewalk::writeArtifact(OwningOpRef<ModuleOp> module,
                                        StringRef directory,
                                        const GPUPipelineOptions &options) {
  std::string first;
  ScopedDiagnosticHandler handler(
      module->getContext(), [&](Diagnostic &diagnostic) {
        if (diagnostic.getSeverity() == DiagnosticSeverity::Error &&
            first.empty())
          first = diagnostic.str();
        return failure();
      });
  if (failed(compileToArtifact(*module, options, directory)))
    return runtime::Error("cannot compile for ", options.chip, ": ",
                          first.empty() ? "a pass failed" : first);
  return runtime::success();
}
