//===- HostCode.h - LLVM dialect to machine code ---------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_CODEGEN_CPU_HOSTCODE_H
#define ROPEWALK_CODEGEN_CPU_HOSTCODE_H

#include "Ropewalk/Runtime/Result.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/Support/MemoryBuffer.h"

#include <memory>
#include <string>

namespace ropewalk {

struct HostCodeOptions {
  /// 0 to 3.
  unsigned optimizationLevel = 3;
  /// Processor to compile for; empty: the one this runs on.
  std::string cpu;
  /// If set, receives the optimized LLVM IR as text.
  std::string *llvmIR = nullptr;
};

/// Bytes of the widest vector register of the processor this runs on: 16, 32 or
/// 64.
unsigned hostVectorBytes();

/// Compiles a module of the LLVM dialect into a relocatable object for this
/// machine's architecture. Function `packed` names of `entries` are added: for
/// each entry E a function `ropewalk_entry_E(void **arguments)` that calls
/// `_mlir_ciface_E` with them.
runtime::Result<std::unique_ptr<llvm::MemoryBuffer>>
compileToObject(mlir::ModuleOp module, llvm::ArrayRef<std::string> entries,
                const HostCodeOptions &options);

} // namespace ropewalk

#endif // ROPEWALK_CODEGEN_CPU_HOSTCODE_H
