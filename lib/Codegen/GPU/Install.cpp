//===- Install.cpp - Files that lie beside this code ------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Install.h"

#include "llvm/ADT/SmallString.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

#include <dlfcn.h>

std::string ropewalk::codegen::findInstalledFolder(llvm::StringRef name) {
  // This code is in a tool in bin/ or in a shared library in lib/.
  static const char anchor = 0;
  Dl_info info;
  if (!dladdr(&anchor, &info) || !info.dli_fname)
    return "";
  llvm::SmallString<128> path(info.dli_fname);
  // A tool that was found on the PATH is known by its bare name here.
  if (!path.str().contains('/'))
    path = llvm::sys::fs::getMainExecutable(nullptr, nullptr);
  if (llvm::sys::fs::make_absolute(path))
    return "";
  llvm::sys::path::remove_filename(path);
  llvm::sys::path::remove_filename(path);
  llvm::sys::path::append(path, name);
  return std::string(path);
}
