//===- Registration.h - What this project registers --------- -*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_PIPELINES_REGISTRATION_H
#define ROPEWALK_PIPELINES_REGISTRATION_H

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

namespace mlir {
class DialectRegistry;
} // namespace mlir

namespace ropewalk {

/// Adds the project's dialects and the external models of their interfaces.
void registerDialects(mlir::DialectRegistry &registry);

/// Registers the project's passes and pipelines for textual use.
void registerPasses();

/// Everything that a process which compiles needs: the project's dialects and
/// upstream's, with their interfaces and translations, and those of the plugins
/// loaded so far.
void registerAll(mlir::DialectRegistry &registry);

/// Loads a dialect plugin of MLIR for all later calls of registerAll in this
/// process; a plugin with position maps needs nothing else. The library stays
/// loaded. Thread-safe.
llvm::Error loadDialectPlugin(llvm::StringRef path);

} // namespace ropewalk

#endif // ROPEWALK_PIPELINES_REGISTRATION_H
