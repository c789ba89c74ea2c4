//===- Import.h - a model directory as a graph ------------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_IMPORT_IMPORT_H
#define ROPEWALK_IMPORT_IMPORT_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "llvm/ADT/StringRef.h"
#include <string>

namespace ropewalk {

struct ImportOptions {
  /// Name of the function.
  std::string function = "forward";
};

/// Imports the Hugging Face model in `directory` (config.json, and
/// model.safetensors or its shards) as a module with one function:
///
///   ids [B, S] i32, query_offset [B] i64, position_offset [B] i64,
///   layers.N.key_cache and layers.N.value_cache [B, Hkv, C, D] f32 by layer,
///   weights in the checkpoint's shapes and types
///   -> logits [B, S, V] f32, then the caches with the new keys and values
///
/// Keys are cached un-rotated. Names stand in the attribute rope.name, what is
/// known of the model in the module's rope.model. Only headers are read: no
/// weight becomes a constant of the module.
///
/// Errors and warnings are diagnostics of `context` that name the file and the
/// key or tensor. The result is null after an error. Loads the dialects that it
/// needs.
mlir::OwningOpRef<mlir::ModuleOp>
importModel(mlir::MLIRContext *context, llvm::StringRef directory,
            const ImportOptions &options = {});

} // namespace ropewalk

#endif // ROPEWALK_IMPORT_IMPORT_H
