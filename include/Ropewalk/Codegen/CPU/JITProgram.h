//===- JITProgram.h - A program compiled in this process -------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_CODEGEN_CPU_JITPROGRAM_H
#define ROPEWALK_CODEGEN_CPU_JITPROGRAM_H

#include "Ropewalk/Runtime/Program.h"
#include "llvm/Support/MemoryBuffer.h"

#include <memory>
#include <string>
#include <vector>

namespace ropewalk {

/// Links `object` (made by compileToObject) into this process and makes its
/// entries callable. `threads` is the number of threads that a run uses, 0 for
/// one per processor. `description` is the JSON object of the model. Errors:
/// symbols of the object that this process does not provide, by name.
runtime::Result<std::unique_ptr<runtime::Program>>
createJITProgram(std::unique_ptr<llvm::MemoryBuffer> object,
                 std::vector<runtime::EntrySignature> signatures,
                 unsigned threads, std::string description);

} // namespace ropewalk

#endif // ROPEWALK_CODEGEN_CPU_JITPROGRAM_H
