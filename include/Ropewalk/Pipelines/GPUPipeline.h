//===- GPUPipeline.h - From a graph to an artifact --------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_PIPELINES_GPUPIPELINE_H
#define ROPEWALK_PIPELINES_GPUPIPELINE_H

#include "Ropewalk/Codegen/GPU/LaunchPlan.h"
#include "Ropewalk/Runtime/Result.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "mlir/Pass/PassManager.h"

namespace ropewalk {

/// Adds the passes from tensors, linalg and rope to what kernels are formed of.
void buildGPUPreparation(mlir::OpPassManager &manager);

/// Adds the passes from a graph to kernels in the LLVM dialect.
void buildGPUPipeline(mlir::OpPassManager &manager);

/// Registers `rope-gpu`.
void registerGPUPipeline();

struct GPUPipelineOptions {
  /// One of codegen::supportedTargets().
  std::string chip = "sm_80";
  /// Run ptxas where there is one.
  bool assemble = true;
  /// If set, receives one line for each stage with the time it took.
  llvm::raw_ostream *times = nullptr;
};

/// What compileForGPU makes.
struct GPUCode {
  codegen::LaunchPlan plan;
  std::string ptx;
};

/// Compiles the graph in `module`, which is changed. Diagnostics tell what
/// failed.
mlir::FailureOr<GPUCode> compileForGPU(mlir::ModuleOp module,
                                       const GPUPipelineOptions &options);

/// Compiles the graph in `module` and writes the artifact to `directory`.
/// The plan that was written is the result.
mlir::FailureOr<codegen::LaunchPlan>
compileToArtifact(mlir::ModuleOp module, const GPUPipelineOptions &options,
                  llvm::StringRef directory);

/// The same with the first diagnostic as the error; the module is consumed.
runtime::Status writeArtifact(mlir::OwningOpRef<mlir::ModuleOp> module,
                              llvm::StringRef directory,
                              const GPUPipelineOptions &options);

} // namespace ropewalk

#endif // ROPEWALK_PIPELINES_GPUPIPELINE_H
