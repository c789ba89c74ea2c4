//===- Registration.h - What this project registers --------- -*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_PIPELINES_REGISTRATION_H
#define ROPEWALK_PIPELINES_REGISTRATION_H

namespace mlir {
class DialectRegistry;
} // namespace mlir

namespace ropewalk {

/// Adds the project's dialects and the external models of their interfaces.
void registerDialects(mlir::DialectRegistry &registry);

/// Registers the project's passes and pipelines for textual use.
void registerPasses();

/// Everything that a process which compiles needs: the project's dialects and
/// upstream's, with their interfaces and translations.
void registerAll(mlir::DialectRegistry &registry);

} // namespace ropewalk

#endif // ROPEWALK_PIPELINES_REGISTRATION_H
