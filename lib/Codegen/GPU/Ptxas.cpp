//===- Ptxas.cpp - What the assembler says of kernels -----------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// ptxas is looked for in $ROPEWALK_PTXAS, in $CUDA_HOME/bin, on the PATH and in
// the folder of the project's tools, where the set-up links one. It is not
// needed to make an artifact, since drivers assemble PTX themselves, but where
// there is one its report goes into the manifest, and what it complains about
// is an error.
//
//===----------------------------------------------------------------------===//

#include "Install.h"
#include "Ropewalk/Codegen/GPU/Artifact.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FileUtilities.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Program.h"
#include "llvm/Support/Regex.h"
#include <cstdlib>

using namespace mlir;
using namespace ropewalk;
using namespace ropewalk::codegen;

namespace {

std::string findAssembler() {
  if (const char *path = std::getenv("ROPEWALK_PTXAS"))
    return path;
  SmallVector<std::string> folders;
  if (const char *home = std::getenv("CUDA_HOME"))
    folders.push_back(std::string(home) + "/bin");
  for (const std::string &folder : folders)
    if (auto found = llvm::sys::findProgramByName("ptxas", {folder}))
      return *found;
  if (auto found = llvm::sys::findProgramByName("ptxas"))
    return *found;
  if (auto found =
          llvm::sys::findProgramByName("ptxas", {findInstalledFolder("bin")}))
    return *found;
  return "";
}

/// Reads the report of `ptxas -v`.
llvm::StringMap<KernelResources> parseReport(StringRef report) {
  llvm::StringMap<KernelResources> result;
  llvm::Regex entry("Compiling entry function '([^']+)'");
  llvm::Regex frame("([0-9]+) bytes stack frame, ([0-9]+) bytes spill stores, "
                    "([0-9]+) bytes spill loads");
  llvm::Regex used("Used ([0-9]+) registers");
  KernelResources *current = nullptr;
  SmallVector<StringRef> lines, match;
  report.split(lines, '\n');
  auto number = [](StringRef text) {
    int64_t value = 0;
    text.getAsInteger(10, value);
    return value;
  };
  for (StringRef line : lines) {
    if (entry.match(line, &match))
      current = &result[match[1]];
    else if (current && frame.match(line, &match)) {
      current->stackBytes = number(match[1]);
      current->spillBytes = number(match[2]) + number(match[3]);
    } else if (current && used.match(line, &match)) {
      current->registers = number(match[1]);
    }
  }
  return result;
}

} // namespace

LogicalResult codegen::assemble(Location loc, StringRef ptx, LaunchPlan &plan) {
  std::string assembler = findAssembler();
  if (assembler.empty()) {
    plan.notes.push_back("no ptxas was found: registers, spills and stack of "
                         "kernels are not known");
    return success();
  }
  SmallString<128> source, log;
  if (std::error_code code =
          llvm::sys::fs::createTemporaryFile("ropewalk", "ptx", source))
    return emitError(loc) << "cannot make a temporary file: " << code.message();
  llvm::FileRemover removeSource(source);
  if (std::error_code code =
          llvm::sys::fs::createTemporaryFile("ropewalk", "log", log))
    return emitError(loc) << "cannot make a temporary file: " << code.message();
  llvm::FileRemover removeLog(log);
  {
    std::error_code code;
    llvm::raw_fd_ostream os(source, code);
    os << ptx;
    os.close();
    if (code || os.has_error()) {
      os.clear_error();
      return emitError(loc) << "cannot write " << source;
    }
  }
  std::string arch = "-arch=" + plan.target;
  StringRef arguments[] = {assembler, "-v", arch, source, "-o", "/dev/null"};
  std::optional<StringRef> redirects[] = {std::nullopt, StringRef(log),
                                          StringRef(log)};
  std::string error;
  int status = llvm::sys::ExecuteAndWait(assembler, arguments, std::nullopt,
                                         redirects, 0, 0, &error);
  auto buffer = llvm::MemoryBuffer::getFile(log);
  StringRef report = buffer ? (*buffer)->getBuffer() : StringRef();
  if (status != 0)
    return emitError(loc) << assembler << " failed: "
                          << (error.empty() ? report.rtrim()
                                            : StringRef(error));
  SmallVector<StringRef> lines;
  report.split(lines, '\n');
  for (StringRef line : lines)
    if (line.contains_insensitive("warning"))
      return emitError(loc) << assembler << ": " << line.trim();
  llvm::StringMap<KernelResources> resources = parseReport(report);
  for (KernelInfo &kernel : plan.kernels) {
    auto it = resources.find(kernel.name);
    if (it == resources.end())
      return emitError(loc) << assembler << " reported nothing of the kernel '"
                            << kernel.name << "'";
    kernel.resources = it->second;
  }
  return success();
}
