//===- ropewalk.cpp - The driver -------------------------- -*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// One subcommand a file; this one finds the subcommand.
//
//===----------------------------------------------------------------------===//

#include "Subcommands.h"

#include "Ropewalk/Pipelines/Registration.h"

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/InitLLVM.h"
#include "llvm/Support/raw_ostream.h"

namespace {
struct Subcommand {
  llvm::StringRef name;
  int (*run)(int argc, char **argv);
  llvm::StringRef summary;
};

constexpr Subcommand subcommands[] = {
#define ROPEWALK_SUBCOMMAND(NAME, FUNCTION, SUMMARY) {NAME, FUNCTION, SUMMARY},
#include "Subcommands.def"
};
} // namespace

static void printUsage(llvm::raw_ostream &os) {
  os << "usage: ropewalk SUBCOMMAND [ARGUMENT ...]\n\n"
        "An MLIR compiler for rotary attention.\n\nsubcommands:\n";
  for (const Subcommand &subcommand : subcommands)
    os << "  " << llvm::left_justify(subcommand.name, 10) << subcommand.summary
       << "\n";
  os << "\n'ropewalk SUBCOMMAND --help' tells more.\n"
        "\n  --load-dialect-plugin=FILE  before SUBCOMMAND: loads an MLIR "
        "plugin, "
        "with\n                              position maps of its own for "
        "example\n";
}

int main(int argc, char **argv) {
  llvm::InitLLVM init(argc, argv);
  constexpr llvm::StringLiteral pluginFlag = "--load-dialect-plugin=";
  while (argc > 1 && llvm::StringRef(argv[1]).starts_with(pluginFlag)) {
    llvm::StringRef path =
        llvm::StringRef(argv[1]).drop_front(pluginFlag.size());
    if (llvm::Error error = ropewalk::loadDialectPlugin(path)) {
      llvm::errs() << "ropewalk: plugin '" << path
                   << "': " << llvm::toString(std::move(error)) << "\n";
      return 1;
    }
    argv[1] = argv[0];
    --argc;
    ++argv;
  }
  if (argc < 2) {
    printUsage(llvm::errs());
    return 2;
  }
  llvm::StringRef name = argv[1];
  if (name == "--help" || name == "-h" || name == "help") {
    printUsage(llvm::outs());
    return 0;
  }
  if (name == "--version") {
    llvm::outs() << "ropewalk " << ROPEWALK_VERSION << " (LLVM "
                 << ROPEWALK_LLVM_VERSION << ")\n";
    return 0;
  }
  for (const Subcommand &subcommand : subcommands)
    if (subcommand.name == name)
      return subcommand.run(argc - 1, argv + 1);
  llvm::errs() << "ropewalk: unknown subcommand '" << name << "'\n";
  printUsage(llvm::errs());
  return 2;
}
