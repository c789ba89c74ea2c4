//===- Artifact.h - From a graph to PTX and a manifest ----------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_CODEGEN_GPU_ARTIFACT_H
#define ROPEWALK_CODEGEN_GPU_ARTIFACT_H

#include "Ropewalk/Codegen/GPU/LaunchPlan.h"
#include "mlir/IR/BuiltinOps.h"

namespace ropewalk::codegen {

/// Chips that code can be made for.
llvm::ArrayRef<llvm::StringRef> supportedTargets();

/// Fails, with a diagnostic at `loc` that lists what is supported, unless
/// `target` is one of them.
mlir::LogicalResult checkTarget(mlir::Location loc, llvm::StringRef target);

/// Makes kernels in a new gpu.module "kernels" of `module`, and the plan of
/// their launches. Failures are diagnostics at the operation at fault.
mlir::LogicalResult formKernels(mlir::ModuleOp module, LaunchPlan &plan);

/// Translates the lowered gpu.module "kernels" of `module` to PTX for
/// `target`.
mlir::FailureOr<std::string> emitPTX(mlir::ModuleOp module,
                                     llvm::StringRef target);

/// Assembles `ptx` with ptxas where one is found, and fills in the resources of
/// the plan's kernels. Every error and warning of the assembler is an error at
/// `loc`. Without an assembler the plan gets a note.
mlir::LogicalResult assemble(mlir::Location loc, llvm::StringRef ptx,
                             LaunchPlan &plan);

/// Writes kernels.ptx, the host library and manifest.json to `directory`, which
/// is created.
/// `model` is the dictionary that describes the model, or null.
mlir::LogicalResult writeArtifact(mlir::Location loc, llvm::StringRef directory,
                                  llvm::StringRef ptx, const LaunchPlan &plan,
                                  mlir::DictionaryAttr model);

/// The text of the manifest.
std::string manifestText(const LaunchPlan &plan, mlir::DictionaryAttr model);

} // namespace ropewalk::codegen

#endif // ROPEWALK_CODEGEN_GPU_ARTIFACT_H
