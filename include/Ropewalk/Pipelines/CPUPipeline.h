//===- CPUPipeline.h - From a graph to code for this machine ---*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_PIPELINES_CPUPIPELINE_H
#define ROPEWALK_PIPELINES_CPUPIPELINE_H

#include "Ropewalk/Runtime/Program.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassOptions.h"
#include "llvm/Support/MemoryBuffer.h"

#include <memory>
#include <string>

namespace ropewalk {

/// Options of the textual pipeline `rope-cpu`.
struct CPUPipelineOptions
    : public mlir::PassPipelineOptions<CPUPipelineOptions> {
  Option<unsigned> vectorBytes{
      *this, "vector-bytes",
      llvm::cl::desc("bytes of a vector register: 16, 32 or 64"),
      llvm::cl::init(64)};
  Option<bool> tileAttention{
      *this, "tile-attention",
      llvm::cl::desc("make tiled vector code for rope.attention; its "
                     "definition otherwise"),
      llvm::cl::init(true)};
  Option<bool> parallel{*this, "parallel",
                        llvm::cl::desc("run outer loops in several threads"),
                        llvm::cl::init(true)};
};

/// Adds the passes from tensors, linalg and rope to the LLVM dialect.
void buildCPUPipeline(mlir::OpPassManager &manager,
                      const CPUPipelineOptions &options);

/// Registers `rope-cpu`.
void registerCPUPipeline();

struct CPUProgramOptions {
  /// Threads of a run; 0 is one for each processor.
  unsigned threads = 0;
  /// Tiled vector code for attention; its definition otherwise.
  bool tileAttention = true;
  /// Bytes of the vectors of tiled code: 16, 32 or 64; 0 is what this machine
  /// has.
  unsigned vectorBytes = 0;
  /// LLVM's level, 0 to 3.
  unsigned optimizationLevel = 3;
  /// If set, receives the optimized LLVM IR.
  std::string *llvmIR = nullptr;
};

/// Compiles a module for this machine and links it into this process. The
/// module is consumed. Diagnostics go to the context; the error is their
/// summary.
runtime::Result<std::unique_ptr<runtime::Program>>
createCPUProgram(mlir::OwningOpRef<mlir::ModuleOp> module,
                 const CPUProgramOptions &options);

/// Compiles a module to a relocatable object for this machine's architecture.
runtime::Result<std::unique_ptr<llvm::MemoryBuffer>>
createCPUObject(mlir::OwningOpRef<mlir::ModuleOp> module,
                const CPUProgramOptions &options);

} // namespace ropewalk

#endif // ROPEWALK_PIPELINES_CPUPIPELINE_H
