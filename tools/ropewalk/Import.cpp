//===- Import.cpp - ropewalk import -----------------------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Writes the graph of a Hugging Face model directory as MLIR text. Values and
// locations carry the names of the layers.
//
//===----------------------------------------------------------------------===//

#include "Ropewalk/Import/Import.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/OperationSupport.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/ToolOutputFile.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;

namespace {

constexpr llvm::StringLiteral usage =
    "usage: ropewalk import DIR [-o FILE] [--function NAME] [--no-locations]\n"
    "\n"
    "Imports the model in DIR, a Hugging Face directory with config.json and\n"
    "*.safetensors (model types qwen2 and llama), as one MLIR function. "
    "Weights\n"
    "stay in DIR.\n"
    "\n"
    "  -o FILE          where to write the module (default: -, standard "
    "output)\n"
    "  --function NAME  name of the function (default: forward)\n"
    "  --no-locations   leave out the locations, which name the layers\n";

} // namespace

int importMain(int argc, char **argv) {
  ropewalk::ImportOptions options;
  StringRef directory, output = "-";
  bool locations = true;
  for (int i = 1; i < argc; ++i) {
    StringRef argument = argv[i];
    if (argument == "-h" || argument == "--help") {
      llvm::outs() << usage;
      return 0;
    }
    if (argument == "--no-locations") {
      locations = false;
    } else if (argument == "-o" || argument == "--function") {
      if (++i == argc) {
        llvm::errs() << "error: " << argument << " expects a value\n";
        return 2;
      }
      if (argument == "-o")
        output = argv[i];
      else
        options.function = argv[i];
    } else if (argument.starts_with("-") || !directory.empty()) {
      llvm::errs() << "error: unexpected argument '" << argument << "'\n"
                   << usage;
      return 2;
    } else {
      directory = argument;
    }
  }
  if (directory.empty()) {
    llvm::errs() << "error: expected the directory of a model\n" << usage;
    return 2;
  }

  MLIRContext context(MLIRContext::Threading::DISABLED);
  // The default handler shows errors only.
  ScopedDiagnosticHandler handler(&context, [](Diagnostic &diagnostic) {
    bool isError = diagnostic.getSeverity() == DiagnosticSeverity::Error;
    llvm::errs() << (isError ? "error: " : "warning: ") << diagnostic << "\n";
    return success();
  });
  OwningOpRef<ModuleOp> module =
      ropewalk::importModel(&context, directory, options);
  if (!module)
    return 1;
  std::error_code code;
  llvm::ToolOutputFile file(output, code, llvm::sys::fs::OF_None);
  if (code) {
    llvm::errs() << "error: " << output << ": " << code.message() << "\n";
    return 1;
  }
  OpPrintingFlags flags;
  flags.printNameLocAsPrefix();
  if (locations)
    flags.enableDebugInfo(/*enable=*/true, /*prettyForm=*/false);
  module->print(file.os(), flags);
  file.os() << "\n";
  file.os().flush();
  if (file.os().has_error()) {
    llvm::errs() << "error: " << output << ": " << file.os().error().message()
                 << "\n";
    file.os().clear_error();
    return 1;
  }
  file.keep();
  return 0;
}
