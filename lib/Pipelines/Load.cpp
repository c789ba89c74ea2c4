//===- Load.cpp - From a model directory to a session -----------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Ropewalk/Pipelines/Load.h"

#include "Ropewalk/IR/Rope.h"
#include "Ropewalk/Import/Import.h"
#include "Ropewalk/Pipelines/Registration.h"
#include "Ropewalk/Transforms/Passes.h"
#include "Ropewalk/Transforms/PositionReach.h"
#include "mlir/AsmParser/AsmParser.h"
#include "mlir/Pass/PassManager.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

#include <algorithm>

using namespace mlir;
using namespace ropewalk;
using rope::PositionMapAttrInterface;
using runtime::Error;
using runtime::Result;

//===----------------------------------------------------------------------===//
// Context and diagnostics
//===----------------------------------------------------------------------===//

std::unique_ptr<MLIRContext> ropewalk::createContext() {
  DialectRegistry registry;
  registerAll(registry);
  auto context =
      std::make_unique<MLIRContext>(registry, MLIRContext::Threading::DISABLED);
  context->loadDialect<rope::RopeDialect>();
  // A user of the driver or the library did not write the operations.
  context->printOpOnDiagnostic(false);
  return context;
}

DiagnosticCollector::DiagnosticCollector(MLIRContext *context)
    : handler(context, [this](Diagnostic &diagnostic) {
        std::string text = diagnostic.str();
        for (Diagnostic &note : diagnostic.getNotes())
          text += " (" + note.str() + ")";
        // A file is part of the message only through the location; a text that
        // was parsed is its own file name.
        auto file = dyn_cast<FileLineColLoc>(diagnostic.getLocation());
        if (file && !file.getFilename().strref().starts_with("#"))
          text = (file.getFilename().strref() + ":" + Twine(file.getLine()) +
                  ": " + text)
                     .str();
        else if (auto name = dyn_cast<NameLoc>(diagnostic.getLocation()))
          text = (name.getName().strref() + ": " + text).str();
        if (diagnostic.getSeverity() == DiagnosticSeverity::Error)
          errorList.push_back(std::move(text));
        else if (diagnostic.getSeverity() == DiagnosticSeverity::Warning)
          warningList.push_back(std::move(text));
        return success();
      }) {}

std::string DiagnosticCollector::errors(StringRef otherwise) const {
  return errorList.empty() ? otherwise.str() : llvm::join(errorList, "\n");
}

std::string DiagnosticCollector::firstError(StringRef otherwise) const {
  if (errorList.size() < 2)
    return errors(otherwise);
  return errorList.front() + " (and " + std::to_string(errorList.size() - 1) +
         " more of this kind)";
}

//===----------------------------------------------------------------------===//
// Position maps
//===----------------------------------------------------------------------===//

static std::string print(Attribute attribute) {
  std::string text;
  llvm::raw_string_ostream(text) << attribute;
  return text;
}

/// Parses a map without run-time parameters.
static Result<PositionMapAttrInterface> parseClosedMap(MLIRContext *context,
                                                       StringRef text) {
  DiagnosticCollector diagnostics(context);
  Attribute attribute = parseAttribute(text, context);
  if (!attribute)
    return Error("position map '", text.str(),
                 "': ", diagnostics.errors("not an attribute"));
  auto map = dyn_cast<PositionMapAttrInterface>(attribute);
  if (!map)
    return Error("'", text.str(), "' is not a position map");
  for (const rope::MapParameter &parameter : map.getMapParameters())
    if (!parameter.value)
      return Error("position map '", text.str(), "': the parameter '",
                   parameter.name,
                   "' has no value; a model needs a number for it");
  return map;
}

Result<std::vector<std::string>>
ropewalk::extendLayers(ModuleOp module, ArrayRef<std::string> maps) {
  MLIRContext *context = module.getContext();
  SmallVector<rope::AttentionOp> layers;
  module.walk([&](rope::AttentionOp op) { layers.push_back(op); });
  if (maps.size() > 1 && maps.size() != layers.size())
    return Error("position maps: expected one or ", layers.size(),
                 ", one for each layer, got ", maps.size());
  // The layers of each map, as the pass takes them.
  llvm::MapVector<Attribute, std::string> chosen;
  for (size_t layer = 0; layer < layers.size() && !maps.empty(); ++layer) {
    StringRef text = maps.size() == 1 ? maps[0] : maps[layer];
    if (text.trim().empty())
      continue;
    auto map = parseClosedMap(context, text);
    if (!map)
      return map.error();
    if (isPlainRotary(*map))
      continue;
    std::string &list = chosen[*map];
    list += (list.empty() ? "" : ",") + std::to_string(layer);
  }
  for (auto &[map, list] : chosen) {
    ExtendPassOptions options;
    options.map = print(map);
    options.layers = list;
    PassManager manager(context, ModuleOp::getOperationName());
    manager.addPass(createExtendPass(options));
    DiagnosticCollector diagnostics(context);
    if (failed(manager.run(module)))
      return Error(diagnostics.firstError("cannot change the position map"));
  }
  std::vector<std::string> result;
  for (rope::AttentionOp op : layers)
    result.push_back(print(op.getMap()));
  return result;
}

Result<ImportedModel> ropewalk::importExtended(MLIRContext *context,
                                               StringRef directory,
                                               ArrayRef<std::string> maps) {
  ImportedModel model;
  {
    DiagnosticCollector diagnostics(context);
    model.module = importModel(context, directory);
    if (!model.module)
      return Error(diagnostics.errors(directory.str() + ": cannot import"));
    model.warnings = diagnostics.warnings();
  }
  auto extended = extendLayers(*model.module, maps);
  if (!extended)
    return extended.error();
  model.maps = *std::move(extended);
  return model;
}

Result<std::string>
ropewalk::composeMap(StringRef method,
                     ArrayRef<std::pair<std::string, int64_t>> parameters) {
  if (method.empty() || !llvm::all_of(method, [](char c) {
        return llvm::isAlnum(c) || c == '_' || c == '.';
      }))
    return Error("'", method.str(), "' is not the name of a position map");
  std::unique_ptr<MLIRContext> context = createContext();
  // Attributes with a declared format want their parameters in its order.
  std::vector<std::pair<std::string, int64_t>> order(parameters);
  llvm::sort(order);
  std::string name =
      method.contains('.') ? method.str() : ("rope." + method).str();
  std::optional<Error> first;
  do {
    std::string text = "#" + name;
    if (!order.empty())
      text +=
          "<" +
          llvm::join(llvm::map_range(order,
                                     [](const auto &parameter) {
                                       return parameter.first + " = " +
                                              std::to_string(parameter.second);
                                     }),
                     ", ") +
          ">";
    auto map = parseClosedMap(context.get(), text);
    if (map)
      return text;
    if (!first)
      first = map.error();
  } while (std::next_permutation(order.begin(), order.end()));
  return *first;
}

//===----------------------------------------------------------------------===//
// Loading
//===----------------------------------------------------------------------===//

namespace {

/// Announces a stage of one unit; false when the caller has cancelled.
bool announce(const runtime::SessionOptions &options, std::string_view stage,
              int64_t done) {
  if (options.progress)
    options.progress({stage, done, 1});
  return !options.cancel || !options.cancel->load();
}

/// The program in an artifact directory, on the target's device.
Result<std::unique_ptr<runtime::Program>>
loadArtifact(StringRef path, const LoadOptions &options) {
  if (!options.maps.empty())
    return Error(path.str(), ": an artifact has its position maps already; "
                             "give them when it is compiled");
  if (options.target.kind == Target::Kind::CPU)
    return Error(path.str(), ": an artifact for GPUs runs on the targets cuda "
                             "and emulate:CHIP, not on cpu");
  Result<runtime::DevicePtr> device =
      createDevice(options.target, options.threads);
  if (!device)
    return device.error();
  auto program = runtime::ArtifactProgram::load(path.str(), *std::move(device));
  if (!program)
    return program.error();
  return *std::move(program);
}

} // namespace

Result<LoadedModel> ropewalk::loadModel(StringRef path,
                                        const LoadOptions &options) {
  const Error cancelled("cancelled");
  if (!llvm::sys::fs::is_directory(path))
    return Error(path.str(), ": expected a directory with a model or an "
                             "artifact");
  SmallString<128> manifest(path);
  llvm::sys::path::append(manifest, "manifest.json");

  LoadedModel model;
  std::unique_ptr<runtime::Program> program;
  std::string checkpointDirectory = path.str();
  if (llvm::sys::fs::exists(manifest)) {
    auto artifact = loadArtifact(path, options);
    if (!artifact)
      return artifact.error();
    program = *std::move(artifact);
    if (!options.weights.empty())
      checkpointDirectory = options.weights;
  } else {
    if (!options.weights.empty())
      return Error("option 'weights': a model directory has its own weights");
    if (!announce(options.session, "import", 0))
      return cancelled;
    std::unique_ptr<MLIRContext> context = createContext();
    auto imported = importExtended(context.get(), path, options.maps);
    if (!imported)
      return imported.error();
    model.maps = std::move(imported->maps);
    model.warnings = std::move(imported->warnings);
    if (!announce(options.session, "import", 1) ||
        !announce(options.session, "compile", 0))
      return cancelled;
    DiagnosticCollector diagnostics(context.get());
    auto compiled = compileProgram(std::move(imported->module), options.target,
                                   options.threads);
    if (!compiled)
      return compiled.error();
    program = *std::move(compiled);
    if (!announce(options.session, "compile", 1))
      return cancelled;
  }
  model.description = program->modelDescription();
  auto checkpoint = runtime::Checkpoint::open(checkpointDirectory);
  if (!checkpoint)
    return checkpoint.error();
  auto session = runtime::Session::create(std::move(program), *checkpoint,
                                          options.session);
  if (!session)
    return session.error();
  model.session = *std::move(session);
  return model;
}
