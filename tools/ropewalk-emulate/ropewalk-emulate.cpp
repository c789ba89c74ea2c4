//===- ropewalk-emulate.cpp - Run a PTX kernel on the host ------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Loads a PTX file, sets up the arguments, launches one entry on the emulator
// and prints what its printf wrote, then the counters. A fault of the kernel is
// printed with its PTX line and the exit code is 1; bad usage exits with 2.
//
//===----------------------------------------------------------------------===//

#include "Arguments.h"
#include "Mutate.h"
#include "Options.h"
#include "Ropewalk/Emulator/Profile.h"

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>

using namespace ropewalk::emulator;

namespace {

int usageError(const std::string &message) {
  std::fprintf(stderr, "ropewalk-emulate: %s (see --help)\n", message.c_str());
  return 2;
}

int failure(const std::string &message) {
  std::fprintf(stderr, "ropewalk-emulate: %s\n", message.c_str());
  return 1;
}

std::string describe(const Kernel &kernel) {
  const KernelInfo &info = kernel.info;
  std::string text = info.name + "(";
  for (const Parameter &parameter : info.parameters)
    text += (&parameter == info.parameters.data() ? "" : ", ") +
            parameter.type + (parameter.isPointer ? "* " : " ") +
            parameter.name;
  text += "), static shared " + std::to_string(info.staticSharedBytes) +
          " bytes, local " + std::to_string(info.localBytes) + " bytes";
  if (info.usesDynamicShared)
    text += ", dynamic shared";
  if (info.maxThreads.count())
    text += ", at most " + std::to_string(info.maxThreads.count()) + " threads";
  if (info.requiredCluster.count())
    text += ", clusters of " + std::to_string(info.requiredCluster.count());
  return text;
}

/// "one, two", or "no entries".
std::string entryNames(const Module &module) {
  std::string names;
  for (const Kernel &kernel : module.kernels())
    names += (names.empty() ? "" : ", ") + kernel.info.name;
  return names.empty() ? "no entries" : names;
}

/// Returns an empty text, or why the file cannot be read.
std::string readText(const std::string &file, std::string &text) {
  if (file == "-") {
    text.assign(std::istreambuf_iterator<char>(std::cin), {});
    return {};
  }
  // A directory opens and fails at the first read, by an exception.
  std::error_code code;
  if (std::filesystem::is_directory(file, code))
    return "'" + file + "' is a directory; give its kernels.ptx";
  std::ifstream stream(file, std::ios::binary);
  if (!stream)
    return "cannot read '" + file + "'";
  text.assign(std::istreambuf_iterator<char>(stream), {});
  return {};
}

void printCounters(const Options &options, const Counters &counters,
                   const Kernel &kernel, const std::string &ptx) {
  if (options.counters == "text")
    std::fputs(counters.table().c_str(), stdout);
  else if (options.counters == "json")
    std::printf("%s\n", counters.json().c_str());
  if (options.lines) {
    std::printf("%8s %16s %16s\n", "line", "warps", "lanes");
    for (const LineCount &line : counters.lines)
      std::printf("%8u %16llu %16llu\n", line.line,
                  (unsigned long long)line.warpInstructions,
                  (unsigned long long)line.laneInstructions);
  }
  if (options.profile.empty())
    return;
  Profile profile(counters, kernel, ptx);
  if (options.profile == "json")
    std::printf("%s\n", profile.json().c_str());
  else
    std::fputs(profile.table().c_str(), stdout);
}

int runKernel(const Options &options, const Kernel &kernel,
              const std::string &ptx) {
  Device device;
  std::vector<Argument> arguments;
  for (const std::string &text : options.arguments)
    if (std::string reason = addArgument(text, device, arguments);
        !reason.empty())
      return usageError(reason);
  std::vector<std::span<const std::byte>> values;
  if (std::string reason = bindArguments(kernel, device, arguments, values);
      !reason.empty())
    return usageError(reason);
  if (!options.mutate.empty()) {
    std::string reason =
        runMutants(options, kernel, ptx, device, arguments, values);
    return reason.empty() ? 0 : failure(options.file + ": " + reason);
  }
  LaunchResult result = device.launch(kernel, options.grid, options.block,
                                      options.shared, values, options.launch);
  // Also the text before a fault, which is often why it was printed.
  std::fwrite(result.output.data(), 1, result.output.size(), stdout);
  std::fflush(stdout);
  if (!result)
    return failure(options.file + ": " + result.report().str());
  if (std::string reason = writeOutputs(device, arguments); !reason.empty())
    return failure(reason);
  printCounters(options, result.counters(), kernel, ptx);
  return 0;
}

} // namespace

int main(int count, char **values) {
  Options options;
  std::string reason = parseOptions(count, values, options);
  if (options.help) {
    std::fputs(usage, stdout);
    return 0;
  }
  if (!reason.empty())
    return usageError(reason);
  if (options.instructions) {
    std::fputs(describeInstructionSet().c_str(), stdout);
    return 0;
  }
  std::string text;
  reason = readText(options.file, text);
  if (!reason.empty())
    return failure(reason);
  Error error;
  auto module = Module::parse(text, error);
  if (!module)
    return failure(options.file + ":" + error.str());
  if (!options.chip.empty() &&
      !targetRunsOn(module->target(), options.chip, reason))
    return failure(options.file + ": " + reason);
  if (options.list) {
    for (const Kernel &kernel : module->kernels())
      std::printf("%s\n", describe(kernel).c_str());
    return 0;
  }
  const Kernel *kernel = nullptr;
  if (!options.entry.empty())
    kernel = module->find(options.entry);
  else if (module->kernels().size() == 1)
    kernel = &module->kernels()[0];
  else
    return usageError("the module has " +
                      std::to_string(module->kernels().size()) + " entries (" +
                      entryNames(*module) + "): name one with --entry");
  if (!kernel)
    return failure(options.file + ": no entry '" + options.entry + "', but " +
                   entryNames(*module));
  return runKernel(options, *kernel, text);
}
