//===- Compile.cpp - ropewalk compile ---------------------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Imports a model, extends its attention if a map is asked for, and writes the
// artifact: PTX and the plan of its launches.
//
//===----------------------------------------------------------------------===//

#include "Subcommands.h"

#include "Ropewalk/Codegen/GPU/Artifact.h"
#include "Ropewalk/Import/Import.h"
#include "Ropewalk/Pipelines/GPUPipeline.h"
#include "Ropewalk/Pipelines/Registration.h"
#include "Ropewalk/Transforms/Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Support/Timing.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/SourceMgr.h"
#include "llvm/Support/raw_ostream.h"

#include <chrono>

using namespace mlir;

namespace {

constexpr llvm::StringLiteral usage =
    "usage: ropewalk compile MODEL --target CHIP -o DIR [MAP] [OPTION ...]\n"
    "\n"
    "Compiles MODEL, a Hugging Face directory or a graph that 'ropewalk "
    "import'\n"
    "wrote, to an artifact: DIR/kernels.ptx and DIR/manifest.json, the plan "
    "of\n"
    "their launches.\n"
    "\n"
    "  --target CHIP      sm_80, sm_86, sm_89 or sm_90a\n"
    "  -o DIR             where to write the artifact; created if need be\n"
    "\n"
    "The position map of attention (default: the model's own):\n"
    "  --method NAME      a method of the dialect, such as self_extend; every\n"
    "  --PARAMETER VALUE  parameter of it is an option: --group 8 --window "
    "1024;\n"
    "                     '?' leaves the value to run time\n"
    "  --map ATTRIBUTE    the same in one: '#rope.self_extend<group = 8, "
    "window =\n"
    "                     1024>'\n"
    "  --layers RANGES    layers that get the map, such as 0-3,7 (default: "
    "all)\n"
    "  --runtime          make all parameters arguments, [items or 1, KV heads "
    "or 1]\n"
    "\n"
    "  --no-ptxas         do not run ptxas\n"
    "  --time             print how long each stage takes\n";

struct Options {
  std::string model, target, output, map, method, layers;
  SmallVector<std::string> values;
  bool isRuntime = false, runsPtxas = true, isTimed = false;
};

int usageError(const llvm::Twine &message) {
  llvm::errs() << "error: " << message << "\n\n" << usage;
  return 2;
}

/// Returns the exit status on an error, 0 to go on.
int parse(int argc, char **argv, Options &options) {
  SmallVector<std::pair<std::string, std::string>> parameters;
  for (int i = 1; i < argc; ++i) {
    StringRef argument = argv[i];
    if (argument == "--runtime")
      options.isRuntime = true;
    else if (argument == "--no-ptxas")
      options.runsPtxas = false;
    else if (argument == "--time")
      options.isTimed = true;
    else if (argument.starts_with("-") && argument.size() > 1) {
      StringRef value;
      if (size_t equals = argument.find('='); equals != StringRef::npos) {
        value = argument.substr(equals + 1);
        argument = argument.take_front(equals);
      } else if (++i < argc) {
        value = argv[i];
      } else {
        return usageError(argument + " expects a value");
      }
      if (value.empty())
        return usageError(argument + " expects a value, got an empty one");
      if (argument == "--target")
        options.target = value;
      else if (argument == "-o")
        options.output = value;
      else if (argument == "--map")
        options.map = value;
      else if (argument == "--method")
        options.method = value;
      else if (argument == "--layers")
        options.layers = value;
      else if (argument.consume_front("--"))
        parameters.emplace_back(argument, value);
      else
        return usageError("unknown option '" + argument + "'");
    } else if (options.model.empty()) {
      options.model = argument;
    } else {
      return usageError("unexpected argument '" + argument + "'");
    }
  }
  if (options.model.empty())
    return usageError("expected a model");
  if (options.target.empty())
    return usageError("expected --target, one of " +
                      llvm::join(ropewalk::codegen::supportedTargets(), ", "));
  if (options.output.empty())
    return usageError("expected -o");
  if (!options.map.empty() && !options.method.empty())
    return usageError("--map and --method exclude each other");
  if (options.method.empty() && !parameters.empty())
    return usageError("unknown option '--" + parameters.front().first +
                      "' (parameters of a map need --method)");
  if (options.method.empty() && options.map.empty() &&
      (options.isRuntime || !options.layers.empty()))
    return usageError("--runtime and --layers need --method or --map");
  for (auto &[name, value] : parameters)
    options.values.push_back(name + " = " + value);
  return 0;
}

OwningOpRef<ModuleOp> load(MLIRContext &context, const Options &options) {
  if (llvm::sys::fs::is_directory(options.model))
    return ropewalk::importModel(&context, options.model);
  return parseSourceFile<ModuleOp>(options.model, &context);
}

LogicalResult extend(ModuleOp module, const Options &options) {
  if (options.method.empty() && options.map.empty())
    return success();
  ropewalk::ExtendPassOptions extendOptions;
  extendOptions.map = options.map;
  extendOptions.method = options.method;
  extendOptions.values = llvm::join(options.values, ", ");
  extendOptions.layers = options.layers;
  if (options.isRuntime)
    extendOptions.parameters = ropewalk::ParameterBinding::runtime;
  PassManager manager(module.getContext(), ModuleOp::getOperationName());
  manager.addPass(ropewalk::createExtendPass(extendOptions));
  return manager.run(module);
}

} // namespace

int compileMain(int argc, char **argv) {
  for (int i = 1; i < argc; ++i)
    if (StringRef(argv[i]) == "--help" || StringRef(argv[i]) == "-h") {
      llvm::outs() << usage;
      return 0;
    }
  Options options;
  if (int status = parse(argc, argv, options))
    return status;

  DialectRegistry registry;
  ropewalk::registerAll(registry);
  MLIRContext context(registry, MLIRContext::Threading::DISABLED);
  llvm::SourceMgr sources;
  SourceMgrDiagnosticHandler handler(sources, &context);
  Location unknown = UnknownLoc::get(&context);
  if (failed(ropewalk::codegen::checkTarget(unknown, options.target)))
    return 2;

  auto start = std::chrono::steady_clock::now();
  auto last = start;
  auto endStage = [&](const char *name) {
    auto now = std::chrono::steady_clock::now();
    if (options.isTimed)
      llvm::errs() << llvm::format(
          "%-10s%8.3f s\n", name,
          std::chrono::duration<double>(now - last).count());
    last = now;
  };
  OwningOpRef<ModuleOp> module = load(context, options);
  if (!module)
    return 1;
  endStage("import");
  if (failed(extend(*module, options)))
    return 1;
  endStage("extend");
  ropewalk::GPUPipelineOptions pipeline;
  pipeline.chip = options.target;
  pipeline.assemble = options.runsPtxas;
  if (options.isTimed)
    pipeline.times = &llvm::errs();
  FailureOr<ropewalk::codegen::LaunchPlan> plan =
      ropewalk::compileToArtifact(*module, pipeline, options.output);
  if (failed(plan))
    return 1;
  last = start;
  endStage("total");
  for (const std::string &note : plan->notes)
    llvm::errs() << "note: " << note << "\n";
  llvm::outs() << options.output << ": " << plan->kernels.size()
               << " kernels for " << plan->target;
  for (const auto &entry : plan->entries)
    llvm::outs() << ", " << entry.name << " " << entry.launches.size()
                 << " launches";
  llvm::outs() << "\n";
  return 0;
}
