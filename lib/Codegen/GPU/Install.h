//===- Install.h - Files that lie beside this code --------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_LIB_CODEGEN_GPU_INSTALL_H
#define ROPEWALK_LIB_CODEGEN_GPU_INSTALL_H

#include "llvm/ADT/StringRef.h"

#include <string>

namespace ropewalk::codegen {

/// The folder `name` ("bin" or "lib") of the tree of folders that holds the
/// running tool or library, wherever it was put; empty if unknown.
std::string findInstalledFolder(llvm::StringRef name);

} // namespace ropewalk::codegen

#endif // ROPEWALK_LIB_CODEGEN_GPU_INSTALL_H
