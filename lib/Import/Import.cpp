//===- Import.cpp - a model directory as a graph ----------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Ropewalk/Import/Import.h"
#include "Checkpoint.h"
#include "Model.h"
#include "Ropewalk/Import/Config.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/Verifier.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

using namespace mlir;

namespace ropewalk {

OwningOpRef<ModuleOp> importModel(MLIRContext *context, StringRef directory,
                                  const ImportOptions &options) {
  Location loc = UnknownLoc::get(context);
  auto fail = [&](llvm::Error error) -> OwningOpRef<ModuleOp> {
    emitError(loc) << llvm::toString(std::move(error));
    return nullptr;
  };
  if (!llvm::sys::fs::is_directory(directory)) {
    emitError(loc) << directory
                   << ": expected a directory with config.json and "
                      "model.safetensors";
    return nullptr;
  }
  llvm::SmallString<128> path(directory);
  llvm::sys::path::append(path, "config.json");
  llvm::Expected<ModelConfig> config = readModelConfig(path);
  if (!config)
    return fail(config.takeError());
  std::vector<std::string> warnings = config->warnings;
  llvm::Expected<std::vector<Weight>> weights =
      checkWeights(context, *config, directory, warnings);
  if (!weights)
    return fail(weights.takeError());
  for (const std::string &warning : warnings)
    emitWarning(loc) << warning;

  OwningOpRef<ModuleOp> module =
      buildModel(context, *config, *weights, options.function);
  if (failed(verify(*module)))
    return nullptr;
  return module;
}

} // namespace ropewalk
