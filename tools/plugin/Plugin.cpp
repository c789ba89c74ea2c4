//===- Plugin.cpp - The project as a plugin of mlir-opt ----- -*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// One shared object for both plugin flags of mlir-opt. The dialect's entry
// point registers the passes too, so that --load-dialect-plugin alone is
// enough; registering twice would be an error, hence the flag.
//
//===----------------------------------------------------------------------===//

#include "Ropewalk/Pipelines/Registration.h"

#include "mlir/IR/DialectRegistry.h"
#include "mlir/Tools/Plugins/DialectPlugin.h"
#include "mlir/Tools/Plugins/PassPlugin.h"
#include "llvm/Support/Compiler.h"

static void registerPassesOnce() {
  static bool done = false;
  if (!done)
    ropewalk::registerPasses();
  done = true;
}

extern "C" LLVM_ATTRIBUTE_WEAK mlir::DialectPluginLibraryInfo
mlirGetDialectPluginInfo() {
  return {MLIR_PLUGIN_API_VERSION, "ropewalk", "0.1",
          [](mlir::DialectRegistry *registry) {
            ropewalk::registerDialects(*registry);
            registerPassesOnce();
          }};
}

extern "C" LLVM_ATTRIBUTE_WEAK mlir::PassPluginLibraryInfo
mlirGetPassPluginInfo() {
  return {MLIR_PLUGIN_API_VERSION, "ropewalk", "0.1", registerPassesOnce};
}
