//===- Target.h - Where a program runs --------------------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The targets that users name, and compilation of a module for one of them into
// a program that runs in this process.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_PIPELINES_TARGET_H
#define ROPEWALK_PIPELINES_TARGET_H

#include "Ropewalk/Runtime/ArtifactProgram.h"
#include "Ropewalk/Runtime/Result.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

#include <memory>
#include <string>

namespace ropewalk {

/// "cpu", "emulate:CHIP", "cuda" or "cuda:N".
struct Target {
  enum class Kind { CPU, Emulator, CUDA };

  Kind kind = Kind::CPU;
  /// Of an emulator: "sm_80".
  std::string chip;
  /// Of a CUDA device, from 0.
  int ordinal = 0;

  static runtime::Result<Target> parse(llvm::StringRef text);
  std::string str() const;
};

/// The device behind a target that is not the CPU. `threads` is for the
/// emulator, 0 for one per processor.
runtime::Result<runtime::DevicePtr> createDevice(const Target &target,
                                                 unsigned threads);

/// Compiles `module`, which is consumed. An artifact for a device exists for a
/// moment in a temporary directory. `threads` is what a run uses on this
/// machine's processors, 0 for one per processor. Diagnostics go to the
/// context.
runtime::Result<std::unique_ptr<runtime::Program>>
compileProgram(mlir::OwningOpRef<mlir::ModuleOp> module, const Target &target,
               unsigned threads);

} // namespace ropewalk

#endif // ROPEWALK_PIPELINES_TARGET_H
