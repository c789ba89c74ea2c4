//===- Checkpoint.h - the weights of a model --------------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_LIB_IMPORT_CHECKPOINT_H
#define ROPEWALK_LIB_IMPORT_CHECKPOINT_H

#include "Ropewalk/Import/Config.h"
#include "mlir/IR/BuiltinTypes.h"
#include "llvm/Support/Error.h"
#include <string>
#include <vector>

namespace ropewalk {

/// A tensor of the checkpoint, in its shape and element type there.
struct Weight {
  std::string name;
  mlir::RankedTensorType type;
};

/// Checks the tensors of `directory` against what `config` asks for: none is
/// missing, each has its shape and is F32, F16 or BF16. Returns them in the
/// order of the graph. Tensors that the model does not use become a warning.
llvm::Expected<std::vector<Weight>>
checkWeights(mlir::MLIRContext *context, const ModelConfig &config,
             llvm::StringRef directory, std::vector<std::string> &warnings);

} // namespace ropewalk

#endif // ROPEWALK_LIB_IMPORT_CHECKPOINT_H
