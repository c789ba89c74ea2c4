//===- Inspect.cpp - ropewalk inspect ---------------------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Shows what is in an artifact: its kernels with what the assembler said of
// them, the launches of each entry, and the memory that a length needs.
//
//===----------------------------------------------------------------------===//

#include "Subcommands.h"

#include "Ropewalk/Runtime/Manifest.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/raw_ostream.h"

#include <algorithm>
#include <map>

using llvm::StringRef;
using ropewalk::runtime::Bindings;
using ropewalk::runtime::Expression;
using ropewalk::runtime::Manifest;
using ropewalk::runtime::Result;

namespace {

constexpr llvm::StringLiteral usage =
    "usage: ropewalk inspect DIR [--length N] [--batch N] [--chunk N]\n"
    "\n"
    "Shows the artifact in DIR: kernels with registers, spilled bytes, stack "
    "and\n"
    "shared memory, launches of each entry, and memory.\n"
    "\n"
    "  --length N   slots of the caches (default 32768)\n"
    "  --batch N    sequences at once (default 1)\n"
    "  --chunk N    tokens of a sequence that run at once (default 512)\n";

class Inspector {
public:
  Inspector(const Manifest &manifest, int64_t length, int64_t batch,
            int64_t chunk)
      : manifest(manifest), length(length), batch(batch), chunk(chunk) {}

  bool print();

private:
  void printKernels();
  bool printEntry(size_t number);
  bool printMemory();
  /// Sizes: B and C as asked for, S a chunk, what else there is 1.
  Bindings bind(size_t entry) const;
  bool evaluate(const Expression &expression, const Bindings &bindings,
                int64_t &value);
  bool bytesOf(const ropewalk::runtime::Argument &argument,
               const Bindings &bindings, int64_t &bytes);
  /// The most bytes of temporaries that live at once.
  bool workspace(size_t entry, int64_t &peak);

  const Manifest &manifest;
  int64_t length, batch, chunk;
};

std::string field(const std::optional<int64_t> &value) {
  return value ? std::to_string(*value) : "-";
}

std::string megabytes(int64_t bytes) {
  std::string text;
  llvm::raw_string_ostream(text)
      << llvm::format("%.2f MB", static_cast<double>(bytes) / 1e6);
  return text;
}

bool Inspector::evaluate(const Expression &expression, const Bindings &bindings,
                         int64_t &value) {
  Result<int64_t> result = expression.evaluate(bindings);
  if (!result) {
    llvm::errs() << "error: " << result.error().message() << "\n";
    return false;
  }
  value = *result;
  return true;
}

Bindings Inspector::bind(size_t entry) const {
  Bindings bindings;
  for (const std::string &symbol : manifest.entries[entry].sizes)
    bindings.set(symbol, symbol == "B"   ? batch
                         : symbol == "C" ? length
                         : symbol == "S" ? std::min(chunk, length)
                                         : 1);
  return bindings;
}

bool Inspector::bytesOf(const ropewalk::runtime::Argument &argument,
                        const Bindings &bindings, int64_t &bytes) {
  bytes = static_cast<int64_t>(ropewalk::runtime::byteSize(argument.type));
  for (const Expression &size : argument.shape) {
    int64_t value = 0;
    if (!evaluate(size, bindings, value))
      return false;
    bytes *= value;
  }
  return true;
}

void Inspector::printKernels() {
  llvm::outs() << manifest.kernels.size() << " kernels for " << manifest.target
               << "\n"
               << "  name                threads  registers  spilled  stack  "
                  "shared  parameters\n";
  for (const Manifest::Kernel &kernel : manifest.kernels)
    llvm::outs() << "  " << llvm::left_justify(kernel.name, 20)
                 << llvm::right_justify(std::to_string(kernel.block[0]), 7)
                 << llvm::right_justify(field(kernel.registers), 11)
                 << llvm::right_justify(field(kernel.spillBytes), 9)
                 << llvm::right_justify(field(kernel.stackBytes), 7)
                 << llvm::right_justify(std::to_string(kernel.staticShared), 8)
                 << llvm::right_justify(
                        std::to_string(kernel.parameters.size()), 12)
                 << "\n";
}

bool Inspector::printEntry(size_t number) {
  const Manifest::Entry &entry = manifest.entries[number];
  llvm::outs() << "\nentry " << manifest.signatures[number].name << ": "
               << entry.launches.size() << " launches, sizes "
               << llvm::join(entry.sizes, ", ") << "\n"
               << "  kernel              launches  blocks of the first\n";
  std::map<size_t, std::pair<size_t, const Manifest::Launch *>> byKernel;
  for (const Manifest::Launch &launch : entry.launches) {
    auto &[count, first] = byKernel[launch.kernel];
    if (count++ == 0)
      first = &launch;
  }
  Bindings bindings = bind(number);
  for (const auto &[kernel, use] : byKernel) {
    llvm::outs() << "  "
                 << llvm::left_justify(manifest.kernels[kernel].name, 20)
                 << llvm::right_justify(std::to_string(use.first), 8) << "  ";
    const char *separator = "";
    for (const Expression &size : use.second->grid) {
      int64_t value = 0;
      if (!evaluate(size, bindings, value))
        return false;
      llvm::outs() << separator << size.text();
      if (!size.asConstant())
        llvm::outs() << " = " << value;
      separator = " x ";
    }
    llvm::outs() << "\n";
  }
  return true;
}

bool Inspector::workspace(size_t number, int64_t &peak) {
  const Manifest::Entry &entry = manifest.entries[number];
  Bindings bindings = bind(number);
  std::vector<int64_t> change(entry.launches.size() + 1, 0);
  for (const Manifest::Buffer &buffer : entry.buffers) {
    if (buffer.kind != Manifest::Buffer::Kind::Temporary)
      continue;
    int64_t bytes = 0;
    if (!evaluate(buffer.bytes, bindings, bytes))
      return false;
    change[buffer.first] += bytes;
    change[buffer.last + 1] -= bytes;
  }
  peak = 0;
  int64_t live = 0;
  for (int64_t each : change)
    peak = std::max(peak, live += each);
  return true;
}

bool Inspector::printMemory() {
  if (manifest.entries.empty())
    return true;
  using ropewalk::runtime::ArgumentKind;
  Bindings bindings = bind(0);
  int64_t weights = 0, caches = 0;
  for (const auto &argument : manifest.signatures[0].arguments) {
    int64_t bytes = 0;
    if (!bytesOf(argument, bindings, bytes))
      return false;
    if (argument.kind == ArgumentKind::Weight)
      weights += bytes;
    else if (argument.kind == ArgumentKind::Cache)
      caches += bytes;
  }
  int64_t tables = 0;
  for (const Manifest::Table &table : manifest.tables)
    tables +=
        2 * 4096 * 8 * static_cast<int64_t>(table.inverseFrequencies.size());
  llvm::outs() << "\nmemory for " << batch << " x " << length << " tokens\n"
               << "  weights              " << megabytes(weights) << "\n"
               << "  caches               " << megabytes(caches) << "  ("
               << caches / std::max<int64_t>(1, batch * length)
               << " bytes per token)\n"
               << "  rotary tables        " << megabytes(tables) << "\n";
  for (size_t number = 0; number < manifest.entries.size(); ++number) {
    int64_t peak = 0;
    if (!workspace(number, peak))
      return false;
    llvm::outs() << "  "
                 << llvm::left_justify(
                        "temporaries, " + manifest.signatures[number].name, 21)
                 << megabytes(peak) << "\n";
  }
  return true;
}

bool Inspector::print() {
  printKernels();
  for (size_t number = 0; number < manifest.entries.size(); ++number)
    if (!printEntry(number))
      return false;
  return printMemory();
}

} // namespace

int inspectMain(int argc, char **argv) {
  std::string directory;
  int64_t length = 32768, batch = 1, chunk = 512;
  for (int i = 1; i < argc; ++i) {
    StringRef argument = argv[i];
    if (argument == "--help" || argument == "-h") {
      llvm::outs() << usage;
      return 0;
    }
    int64_t *number = argument == "--length"  ? &length
                      : argument == "--batch" ? &batch
                      : argument == "--chunk" ? &chunk
                                              : nullptr;
    if (number) {
      if (++i == argc || StringRef(argv[i]).getAsInteger(10, *number) ||
          *number < 1) {
        llvm::errs() << "error: " << argument
                     << " expects a number of at least 1\n";
        return 2;
      }
    } else if (argument.starts_with("-") || !directory.empty()) {
      llvm::errs() << "error: unexpected argument '" << argument << "'\n"
                   << usage;
      return 2;
    } else {
      directory = argument;
    }
  }
  if (directory.empty()) {
    llvm::errs() << "error: expected the directory of an artifact\n" << usage;
    return 2;
  }
  Result<Manifest> manifest = Manifest::load(directory);
  if (!manifest) {
    llvm::errs() << "error: " << manifest.error().message() << "\n";
    return 1;
  }
  return Inspector(*manifest, length, batch, chunk).print() ? 0 : 1;
}
