//===- Module.cpp - Loading a module ----------------------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Parses, decodes every entry and keeps the result.
//
//===----------------------------------------------------------------------===//

#include "Ropewalk/Emulator/Module.h"
#include "Decoder.h"
#include "Inliner.h"

#include <algorithm>
#include <charconv>

using namespace ropewalk::emulator;

Kernel::Kernel() = default;
Kernel::Kernel(Kernel &&) noexcept = default;
Kernel::~Kernel() = default;
Module::Module() : contents(std::make_unique<ModuleData>()) {}
Module::~Module() = default;

std::shared_ptr<const Module> Module::parse(std::string_view ptx,
                                            Error &error) {
  std::string reason;
  const OpcodeTable *table = opcodeTable(reason);
  if (!table) {
    error = {reason, {}};
    return nullptr;
  }
  std::shared_ptr<Module> module(new Module());
  std::vector<FunctionSyntax> functions;
  if (!parsePTX(ptx, *module->contents, functions, error))
    return nullptr;
  // Of all entries, what calls have been replaced by.
  constexpr size_t mostInlined = size_t(1) << 22;
  size_t inlined = 0;
  for (FunctionSyntax &function : functions) {
    if (!function.isEntry)
      continue;
    size_t before = function.body.size();
    if (!inlineCalls(function, functions, *module->contents, error))
      return nullptr;
    inlined += function.body.size() - std::min(before, function.body.size());
    if (inlined > mostInlined) {
      error = {"the entries up to '" + function.info.name +
                   "' have more than " + std::to_string(mostInlined) +
                   " instructions of inlined calls",
               function.location};
      return nullptr;
    }
    auto program = std::make_unique<Program>();
    FunctionDecoder decoder(function, *module->contents, *table, *program,
                            error);
    if (!decoder.run())
      return nullptr;
    Kernel &kernel = module->entries.emplace_back();
    kernel.info = function.info;
    kernel.program = std::move(program);
    kernel.module = module->contents.get();
    function.body.clear(); // Entries may be many and large.
  }
  return module;
}

const Kernel *Module::find(std::string_view name) const {
  for (const Kernel &kernel : entries)
    if (kernel.info.name == name)
      return &kernel;
  return nullptr;
}

const std::string &Module::target() const { return contents->target; }

namespace {

struct Chip {
  unsigned number = 0;
  char suffix = 0; ///< 'a', 'f' or 0.
};

bool parseChip(std::string_view text, Chip &chip) {
  if (text.substr(0, 3) != "sm_")
    return false;
  const char *first = text.data() + 3, *last = text.data() + text.size();
  auto [end, code] = std::from_chars(first, last, chip.number);
  if (code != std::errc() || end == first || chip.number < 10)
    return false;
  if (end == last)
    return true;
  chip.suffix = *end;
  return end + 1 == last && (chip.suffix == 'a' || chip.suffix == 'f');
}

} // namespace

bool ropewalk::emulator::targetRunsOn(std::string_view target,
                                      std::string_view chip,
                                      std::string &reason) {
  Chip wanted, present;
  std::string pair =
      "'" + std::string(target) + "' on '" + std::string(chip) + "'";
  bool isChip = parseChip(chip, present);
  if (!isChip || !parseChip(target, wanted)) {
    reason = std::string(isChip ? "target" : "chip") +
             ": expected a name like sm_80 or sm_90a, got '" +
             std::string(isChip ? target : chip) + "'";
    return false;
  }
  if (wanted.suffix == 'a' &&
      (wanted.number != present.number || present.suffix != 'a')) {
    reason = "cannot run " + pair +
             ": architecture-specific code runs only "
             "on its own chip";
    return false;
  }
  if (wanted.suffix == 'f' &&
      (wanted.number / 10 != present.number / 10 ||
       wanted.number > present.number || present.suffix == 0)) {
    reason = "cannot run " + pair +
             ": family-specific code runs only in its "
             "own family";
    return false;
  }
  if (wanted.number > present.number) {
    reason = "cannot run " + pair + ": the code is for a later chip";
    return false;
  }
  return true;
}
