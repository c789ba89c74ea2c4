//===- Load.h - From a model directory to a session -------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What the driver and the C interface share: import, position maps,
// compilation and a session with the weights, in one call.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_PIPELINES_LOAD_H
#define ROPEWALK_PIPELINES_LOAD_H

#include "Ropewalk/Pipelines/Target.h"
#include "Ropewalk/Runtime/Session.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/MLIRContext.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace ropewalk {

/// A context that has everything registered and uses no threads of its own.
std::unique_ptr<mlir::MLIRContext> createContext();

/// Keeps the diagnostics of a context while it lives, instead of printing them.
class DiagnosticCollector {
public:
  explicit DiagnosticCollector(mlir::MLIRContext *context);

  const std::vector<std::string> &warnings() const { return warningList; }
  /// All errors, one a line with their notes, or `otherwise` if there are none.
  std::string errors(llvm::StringRef otherwise) const;
  /// The first error and how many more there are, where they are alike.
  std::string firstError(llvm::StringRef otherwise) const;

private:
  std::vector<std::string> errorList, warningList;
  mlir::ScopedDiagnosticHandler handler;
};

/// Puts the attention of the layers under other position maps. `maps` is empty
/// (nothing changes), or has one attribute text for all layers or one for each.
/// An empty text and plain rotary attention leave a layer as it is. On success
/// returns the map of every layer. Errors: a text that is no position map, a
/// parameter that is `?`, another number of maps than layers, a layer that
/// cannot take its map.
runtime::Result<std::vector<std::string>>
extendLayers(mlir::ModuleOp module, llvm::ArrayRef<std::string> maps);

/// A model directory as a module under the given maps.
struct ImportedModel {
  mlir::OwningOpRef<mlir::ModuleOp> module;
  /// The map of every layer.
  std::vector<std::string> maps;
  std::vector<std::string> warnings;
};
runtime::Result<ImportedModel> importExtended(mlir::MLIRContext *context,
                                              llvm::StringRef directory,
                                              llvm::ArrayRef<std::string> maps);

/// The text of the map with mnemonic `method` (a map of the dialect rope, or
/// DIALECT.METHOD) and the given parameters, in whatever order the attribute
/// wants them. Errors: there is no such map, or it has other parameters.
runtime::Result<std::string>
composeMap(llvm::StringRef method,
           llvm::ArrayRef<std::pair<std::string, int64_t>> parameters);

struct LoadOptions {
  Target target;
  /// As for `extendLayers`. An artifact has its maps already.
  std::vector<std::string> maps;
  /// Directory of the checkpoint of an artifact; empty: the artifact's own.
  std::string weights;
  /// Threads of a run on this machine's processors; 0: one per processor.
  unsigned threads = 0;
  /// Capacity, chunk, progress and cancellation. Progress also has the stages
  /// "import" and "compile", of one unit each.
  runtime::SessionOptions session;
};

struct LoadedModel {
  std::unique_ptr<runtime::Session> session;
  /// The JSON object that describes the model.
  std::string description;
  /// The map of every layer; empty for an artifact.
  std::vector<std::string> maps;
  /// What the import remarked.
  std::vector<std::string> warnings;
};

/// Loads the Hugging Face directory or the artifact (a directory with
/// manifest.json) at `path`. The error is "cancelled" when the cancel flag of
/// the session's options turned true.
runtime::Result<LoadedModel> loadModel(llvm::StringRef path,
                                       const LoadOptions &options);

} // namespace ropewalk

#endif // ROPEWALK_PIPELINES_LOAD_H
