//===- Registration.cpp - What this project registers ------- -*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Ropewalk/Pipelines/Registration.h"

#include "Ropewalk/Codegen/CPU/Passes.h"
#include "Ropewalk/Codegen/Passes.h"
#include "Ropewalk/IR/Rope.h"
#include "Ropewalk/Pipelines/CPUPipeline.h"
#include "Ropewalk/Pipelines/GPUPipeline.h"
#include "Ropewalk/Raise/Passes.h"
#include "Ropewalk/Transforms/Passes.h"
#include "mlir/InitAllDialects.h"
#include "mlir/InitAllExtensions.h"
#include "mlir/Target/LLVMIR/Dialect/All.h"
#include "mlir/Tools/Plugins/DialectPlugin.h"

#include <mutex>

using namespace mlir;

void ropewalk::registerDialects(DialectRegistry &registry) {
  registry.insert<rope::RopeDialect>();
}

void ropewalk::registerPasses() {
  registerRopewalkRaisePasses();
  registerRopewalkTransformsPasses();
  registerRopewalkCodegenCPUPasses();
  registerCPUPipeline();
  registerRopewalkCodegenPasses();
  registerGPUPipeline();
}

namespace {
/// The plugins of the process; a context made later gets all of them.
struct Plugins {
  static Plugins &get() {
    static Plugins plugins;
    return plugins;
  }
  std::mutex mutex;
  SmallVector<DialectPlugin> loaded;
};
} // namespace

llvm::Error ropewalk::loadDialectPlugin(StringRef path) {
  llvm::Expected<DialectPlugin> plugin = DialectPlugin::load(path.str());
  if (!plugin)
    return plugin.takeError();
  Plugins &plugins = Plugins::get();
  std::lock_guard<std::mutex> lock(plugins.mutex);
  // Loading again is harmless, registering a dialect twice is not.
  if (llvm::none_of(plugins.loaded, [&](const DialectPlugin &other) {
        return other.getFilename() == plugin->getFilename();
      }))
    plugins.loaded.push_back(*plugin);
  return llvm::Error::success();
}

void ropewalk::registerAll(DialectRegistry &registry) {
  registerAllDialects(registry);
  registerAllExtensions(registry);
  registerAllToLLVMIRTranslations(registry);
  registerDialects(registry);
  Plugins &plugins = Plugins::get();
  std::lock_guard<std::mutex> lock(plugins.mutex);
  for (DialectPlugin &plugin : plugins.loaded)
    plugin.registerDialectRegistryCallbacks(registry);
}
