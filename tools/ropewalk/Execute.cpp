//===- Execute.cpp - ropewalk execute ---------------------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Compiles a module for this machine and calls one function on tensors in .npy
// files (version 1.0 or 2.0 of NumPy's format, C order, little endian). bf16,
// which NumPy lacks, is read and written as <u2.
//
//===----------------------------------------------------------------------===//

#include "Subcommands.h"

#include "Ropewalk/Pipelines/CPUPipeline.h"
#include "Ropewalk/Pipelines/Registration.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Parser/Parser.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/ToolOutputFile.h"
#include "llvm/Support/raw_ostream.h"

#include <chrono>
#include <cstring>

using namespace mlir;
using ropewalk::runtime::ElementType;
using ropewalk::runtime::Error;
using ropewalk::runtime::Result;

namespace {

constexpr llvm::StringLiteral usage =
    "usage: ropewalk execute FILE [--entry NAME] [--in NAME=FILE.npy ...]\n"
    "                        [--out DIR] [--threads N] [--repeat N]\n"
    "                        [--definition] [--vector-bytes N]\n"
    "                        [--llvm-ir FILE]\n"
    "\n"
    "Compiles the MLIR module FILE for this machine and calls one of its\n"
    "functions.\n"
    "\n"
    "  --entry NAME       the function (default: the only one)\n"
    "  --in NAME=FILE     the tensor for the argument whose rope.name is NAME\n"
    "  --out DIR          where to write the results, one NAME.npy for each "
    "result\n"
    "                     and each updated cache\n"
    "  --threads N        threads of a run (default: one for each processor)\n"
    "  --repeat N         run N times and print each time in seconds\n"
    "  --definition       use the definition of attention, not the tiled code\n"
    "  --vector-bytes N   bytes of a vector of the tiled code: 16, 32 or 64\n"
    "                     (default: what this machine has)\n"
    "  --llvm-ir FILE     write the optimized LLVM IR\n";

/// A tensor read from a file, aligned.
struct Tensor {
  std::unique_ptr<llvm::WritableMemoryBuffer> memory;
  ropewalk::runtime::TensorView view;
};

std::optional<StringRef> numpyType(ElementType type) {
  switch (type) {
  case ElementType::F32:
    return StringRef("<f4");
  case ElementType::F64:
    return StringRef("<f8");
  case ElementType::F16:
    return StringRef("<f2");
  case ElementType::BF16:
    return StringRef("<u2");
  case ElementType::I64:
    return StringRef("<i8");
  case ElementType::I32:
    return StringRef("<i4");
  case ElementType::I16:
    return StringRef("<i2");
  case ElementType::I8:
    return StringRef("|i1");
  default:
    return std::nullopt;
  }
}

/// The text after `'key':` in the header of a .npy file.
StringRef headerField(StringRef header, StringRef key) {
  auto [before, after] = header.split(("'" + key + "':").str());
  return after.ltrim();
}

Result<Tensor> readTensor(StringRef path,
                          const ropewalk::runtime::Argument &argument) {
  auto file = llvm::MemoryBuffer::getFile(path, /*IsText=*/false,
                                          /*RequiresNullTerminator=*/false);
  if (!file)
    return Error("cannot read '", path.str(), "': ", file.getError().message());
  StringRef bytes = (*file)->getBuffer();
  if (!bytes.starts_with("\x93NUMPY") || bytes.size() < 12 ||
      (bytes[6] != 1 && bytes[6] != 2))
    return Error("'", path.str(), "' is no .npy file of version 1.0 or 2.0");
  size_t start = bytes[6] == 1 ? 10 : 12;
  size_t length = 0;
  for (size_t i = start; i-- > 8;)
    length = length << 8 | static_cast<uint8_t>(bytes[i]);
  if (bytes.size() - start < length)
    return Error("the header of '", path.str(), "' is cut off");
  StringRef header = bytes.substr(start, length);
  StringRef data = bytes.substr(start + length);

  StringRef type = headerField(header, "descr").substr(1);
  type = type.take_until([](char c) { return c == '\''; });
  std::optional<StringRef> expected = numpyType(argument.type);
  if (!expected || type != *expected)
    return Error("'", path.str(), "' has elements of ", type.str(),
                 ", argument '", argument.name, "' expects ",
                 expected ? expected->str() : std::string("another type"));
  if (!headerField(header, "fortran_order").starts_with("False"))
    return Error("'", path.str(), "' is in Fortran order, expected C order");
  StringRef list = headerField(header, "shape");
  if (!list.consume_front("("))
    return Error("'", path.str(), "' has no shape");
  Tensor tensor;
  SmallVector<StringRef> sizes;
  list.take_until([](char c) { return c == ')'; }).split(sizes, ',', -1, false);
  size_t count = 1;
  for (StringRef size : sizes) {
    int64_t value;
    if (size.trim().empty())
      continue;
    if (size.trim().getAsInteger(10, value) || value < 0)
      return Error("'", path.str(), "' has a bad shape");
    tensor.view.shape.push_back(value);
    count *= value;
  }
  size_t needed = count * ropewalk::runtime::byteSize(argument.type);
  if (data.size() != needed)
    return Error("'", path.str(), "' holds ", data.size(),
                 " bytes of data, expected ", needed);
  tensor.memory = llvm::WritableMemoryBuffer::getNewUninitMemBuffer(
      needed, "", llvm::Align(64));
  memcpy(tensor.memory->getBufferStart(), data.data(), needed);
  tensor.view.address =
      reinterpret_cast<uint64_t>(tensor.memory->getBufferStart());
  return tensor;
}

ropewalk::runtime::Status
writeTensor(StringRef path, ElementType type,
            const ropewalk::runtime::TensorView &view) {
  std::optional<StringRef> descr = numpyType(type);
  if (!descr)
    return Error("results of this type cannot be written");
  std::error_code code;
  llvm::ToolOutputFile file(path, code, llvm::sys::fs::OF_None);
  if (code)
    return Error("cannot write '", path.str(), "': ", code.message());
  std::string header =
      "{'descr': '" + descr->str() + "', 'fortran_order': False, 'shape': (";
  size_t bytes = ropewalk::runtime::byteSize(type);
  for (int64_t size : view.shape) {
    header += std::to_string(size) + ",";
    bytes *= size;
  }
  header += "), }";
  header.resize((10 + header.size() + 64) / 64 * 64 - 11, ' ');
  header += '\n';
  file.os() << "\x93NUMPY" << '\1' << '\0' << char(header.size() & 255)
            << char(header.size() >> 8) << header
            << StringRef(reinterpret_cast<const char *>(view.address), bytes);
  file.keep();
  return ropewalk::runtime::success();
}

struct Request {
  StringRef file, entry, output, llvmIR;
  llvm::StringMap<StringRef> inputs;
  unsigned threads = 0, repeat = 1, vectorBytes = 0;
  bool isTimed = false;
  bool definition = false;
};

ropewalk::runtime::Status execute(const Request &request) {
  DialectRegistry registry;
  ropewalk::registerAll(registry);
  MLIRContext context(registry, MLIRContext::Threading::DISABLED);
  OwningOpRef<ModuleOp> module =
      parseSourceFile<ModuleOp>(request.file, &context);
  if (!module)
    return Error("'", request.file.str(), "' is no valid module");
  ropewalk::CPUProgramOptions options;
  options.threads = request.threads;
  options.tileAttention = !request.definition;
  options.vectorBytes = request.vectorBytes;
  std::string ir;
  if (!request.llvmIR.empty())
    options.llvmIR = &ir;
  auto program = ropewalk::createCPUProgram(std::move(module), options);
  if (!program)
    return program.error();
  if (!request.llvmIR.empty()) {
    std::error_code code;
    llvm::raw_fd_ostream os(request.llvmIR, code);
    if (code)
      return Error("cannot write '", request.llvmIR.str(),
                   "': ", code.message());
    os << ir;
  }

  auto entries = (*program)->entries();
  const auto *entry = request.entry.empty() && entries.size() == 1
                          ? &entries.front()
                          : (*program)->findEntry(request.entry.str());
  if (!entry)
    return Error("there is no function '", request.entry.str(),
                 "'; name one "
                 "with --entry");
  std::vector<Tensor> tensors;
  std::vector<ropewalk::runtime::TensorView> views;
  for (const auto &argument : entry->arguments) {
    auto input = request.inputs.find(argument.name);
    if (input == request.inputs.end())
      return Error("argument '", argument.name, "' has no --in");
    auto tensor = readTensor(input->second, argument);
    if (!tensor)
      return tensor.error();
    tensors.push_back(std::move(*tensor));
    views.push_back(tensors.back().view);
  }
  for (const auto &input : request.inputs)
    if (!entry->findArgument(input.first().str()))
      return Error("'", entry->name, "' has no argument '", input.first().str(),
                   "'");
  std::vector<ropewalk::runtime::TensorView> results;
  for (unsigned i = 0; i < request.repeat; ++i) {
    auto start = std::chrono::steady_clock::now();
    auto run = (*program)->run(entry - entries.data(), views);
    if (!run)
      return run.error();
    results = std::move(*run);
    std::chrono::duration<double> seconds =
        std::chrono::steady_clock::now() - start;
    if (request.isTimed)
      llvm::outs() << llvm::format("%.6f\n", seconds.count());
  }
  if (request.output.empty())
    return ropewalk::runtime::success();
  if (std::error_code code = llvm::sys::fs::create_directories(request.output))
    return Error("cannot make '", request.output.str(), "': ", code.message());
  auto write = [&](StringRef name, ElementType type,
                   const ropewalk::runtime::TensorView &view) {
    SmallString<128> path(request.output);
    llvm::sys::path::append(path, name + ".npy");
    return writeTensor(path, type, view);
  };
  for (size_t i = 0; i < results.size(); ++i)
    if (auto status =
            write(entry->results[i].name, entry->results[i].type, results[i]);
        !status)
      return status;
  for (size_t i = 0; i < views.size(); ++i)
    if (entry->arguments[i].updated)
      if (auto status = write(entry->arguments[i].name,
                              entry->arguments[i].type, views[i]);
          !status)
        return status;
  return ropewalk::runtime::success();
}

} // namespace

int executeMain(int argc, char **argv) {
  Request request;
  auto fail = [](const Twine &message) {
    llvm::errs() << "error: " << message << "\n";
    return 2;
  };
  for (int i = 1; i < argc; ++i) {
    StringRef argument = argv[i];
    if (argument == "-h" || argument == "--help") {
      llvm::outs() << usage;
      return 0;
    }
    if (argument == "--definition") {
      request.definition = true;
      continue;
    }
    if (!argument.starts_with("--")) {
      if (!request.file.empty())
        return fail("unexpected argument '" + argument + "'");
      request.file = argument;
      continue;
    }
    if (++i == argc)
      return fail(argument + " expects a value");
    StringRef value = argv[i];
    if (argument == "--entry") {
      request.entry = value;
    } else if (argument == "--out") {
      request.output = value;
    } else if (argument == "--llvm-ir") {
      request.llvmIR = value;
    } else if (argument == "--in") {
      auto [name, path] = value.split('=');
      if (name.empty() || path.empty())
        return fail("--in expects NAME=FILE.npy, got '" + value + "'");
      request.inputs[name] = path;
    } else if (argument == "--threads" || argument == "--repeat" ||
               argument == "--vector-bytes") {
      unsigned number;
      if (value.getAsInteger(10, number) || number > 4096)
        return fail(argument + " expects a number up to 4096, got '" + value +
                    "'");
      if (argument == "--threads")
        request.threads = number;
      else if (argument == "--vector-bytes")
        request.vectorBytes = number;
      else
        request.repeat = std::max(1u, number), request.isTimed = true;
    } else {
      return fail("unknown option '" + argument + "'");
    }
  }
  if (request.file.empty())
    return fail("expected a file\n" + usage);
  if (auto status = execute(request); !status) {
    llvm::errs() << "error: " << status.error().message() << "\n";
    return 1;
  }
  return 0;
}
