//===- Model.h - a model's graph --------------------------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_LIB_IMPORT_MODEL_H
#define ROPEWALK_LIB_IMPORT_MODEL_H

#include "Checkpoint.h"
#include "Ropewalk/Import/Config.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

namespace ropewalk {

/// The module that Import.h describes, for weights that fit `config`.
mlir::OwningOpRef<mlir::ModuleOp> buildModel(mlir::MLIRContext *context,
                                             const ModelConfig &config,
                                             llvm::ArrayRef<Weight> weights,
                                             llvm::StringRef function);

} // namespace ropewalk

#endif // ROPEWALK_LIB_IMPORT_MODEL_H
