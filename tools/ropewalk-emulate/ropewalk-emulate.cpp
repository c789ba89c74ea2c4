//===- ropewalk-emulate.cpp - Run a PTX kernel on the host ------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Loads a PTX file, sets up the arguments, launches one entry on the emulator
// and prints the counters. A fault of the kernel is printed with its PTX line
// and the exit code is 1; bad usage exits with 2.
//
//===----------------------------------------------------------------------===//

#include "Npy.h"
#include "Ropewalk/Emulator/Emulator.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

using namespace ropewalk::emulator;

namespace {

const char usage[] =
    R"(usage: ropewalk-emulate FILE.ptx [options]

Runs one entry of a PTX module on the host and prints what it did.

  --list                    print the module's entries and exit
  --entry NAME              entry to run (default: the only one)
  --grid X[,Y[,Z]]          blocks (default 1)
  --block X[,Y[,Z]]         threads of a block (default 1)
  --shared BYTES            dynamic shared memory (default 0)
  --arg VALUE               next argument; VALUE is one of
      i32:N u32:N i64:N u64:N f32:X f64:X     a scalar
      buffer:FILE.npy[:out=FILE.npy]          a buffer with the array's data
      zeros:BYTES[:out=FILE]                  a buffer of zeros
      alloc:BYTES[:out=FILE]                  an uninitialized buffer
    A buffer passes its device address. `out` writes it after the run, with the
    header of the input where there was one and raw bytes otherwise.
  --counters text|json|none what to print (default text)
  --lines                   also print the counts of each PTX line
  --threads N               host threads, 0 for all cores (default 1)
  --budget N                warp instructions that a block may execute
  --chip NAME               refuse modules that this chip cannot run
  --no-memory-check         allow reads of uninitialized memory
  --no-register-check       allow reads of uninitialized registers
  --no-race-check           allow races in shared memory
  --help
)";

int usageError(const std::string &message) {
  std::fprintf(stderr, "ropewalk-emulate: %s (see --help)\n", message.c_str());
  return 2;
}

int failure(const std::string &message) {
  std::fprintf(stderr, "ropewalk-emulate: %s\n", message.c_str());
  return 1;
}

template <class T> bool parseNumber(std::string_view text, T &value) {
  auto [end, code] =
      std::from_chars(text.data(), text.data() + text.size(), value);
  return code == std::errc() && end == text.data() + text.size();
}

bool parseDimensions(std::string_view text, Dim3 &dims) {
  uint32_t *parts[] = {&dims.x, &dims.y, &dims.z};
  dims = {1, 1, 1};
  for (unsigned i = 0; i < 3; ++i) {
    size_t comma = text.find(',');
    if (!parseNumber(text.substr(0, comma), *parts[i]) || *parts[i] == 0)
      return false;
    if (comma == std::string_view::npos)
      return true;
    text.remove_prefix(comma + 1);
  }
  return false;
}

struct Argument {
  std::vector<std::byte> bytes;
  // Of a buffer:
  uint64_t address = 0;
  size_t size = 0;
  std::string output, header;
};

template <class T> bool setScalar(std::string_view text, Argument &argument) {
  T value;
  if (!parseNumber(text, value))
    return false;
  argument.bytes.resize(sizeof value);
  std::memcpy(argument.bytes.data(), &value, sizeof value);
  return true;
}

/// Returns an empty text, or why the argument is bad.
std::string parseArgument(std::string_view text, Device &device,
                          Argument &argument) {
  std::string all(text);
  size_t colon = text.find(':');
  if (colon == std::string_view::npos)
    return "argument '" + all + "' has no ':'";
  std::string_view kind = text.substr(0, colon), rest = text.substr(colon + 1);
  bool isScalar = true, ok = false;
  if (kind == "i32")
    ok = setScalar<int32_t>(rest, argument);
  else if (kind == "u32")
    ok = setScalar<uint32_t>(rest, argument);
  else if (kind == "i64")
    ok = setScalar<int64_t>(rest, argument);
  else if (kind == "u64")
    ok = setScalar<uint64_t>(rest, argument);
  else if (kind == "f32")
    ok = setScalar<float>(rest, argument);
  else if (kind == "f64")
    ok = setScalar<double>(rest, argument);
  else
    isScalar = false;
  if (isScalar)
    return ok ? "" : "argument '" + all + "' is no number of its type";
  if (size_t out = rest.rfind(":out="); out != std::string_view::npos) {
    argument.output = rest.substr(out + 5);
    rest = rest.substr(0, out);
  }
  if (kind == "zeros" || kind == "alloc") {
    if (!parseNumber(rest, argument.size) || argument.size == 0)
      return "argument '" + all + "' needs a number of bytes";
    argument.address = device.allocate(argument.size);
    if (!argument.address)
      return device.error();
    if (kind == "zeros")
      device.fill(argument.address, 0, argument.size);
  } else if (kind == "buffer") {
    std::vector<char> data;
    std::string reason = readNpy(std::string(rest), argument.header, data);
    if (!reason.empty())
      return reason;
    argument.size = data.size();
    argument.address = device.allocate(data.size());
    if (!argument.address)
      return device.error();
    device.copyIn(argument.address, data.data(), data.size());
  } else {
    return "argument '" + all + "' has unknown kind '" + std::string(kind) +
           "'";
  }
  argument.bytes.resize(8);
  std::memcpy(argument.bytes.data(), &argument.address, 8);
  return "";
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
  return text;
}

struct Options {
  std::string file, entry, counters = "text", chip;
  Dim3 grid, block;
  size_t shared = 0;
  std::vector<std::string> arguments;
  LaunchOptions launch;
  bool list = false, lines = false, help = false;
};

/// Returns an empty text, or what is wrong.
std::string parseOptions(int count, char **values, Options &options) {
  for (int i = 1; i < count; ++i) {
    std::string_view option = values[i];
    if (option == "--help") {
      options.help = true;
      return "";
    }
    if (option == "--list")
      options.list = true;
    else if (option == "--lines")
      options.lines = true;
    else if (option == "--no-memory-check")
      options.launch.checkUninitializedMemory = false;
    else if (option == "--no-register-check")
      options.launch.checkUninitializedRegisters = false;
    else if (option == "--no-race-check")
      options.launch.checkRaces = false;
    else if (option.substr(0, 2) != "--") {
      if (!options.file.empty())
        return "second file '" + std::string(option) + "'";
      options.file = option;
    } else {
      static const std::string_view known[] = {
          "--entry",    "--grid",    "--block",  "--shared", "--arg",
          "--counters", "--threads", "--budget", "--chip"};
      if (std::find(std::begin(known), std::end(known), option) ==
          std::end(known))
        return "unknown option '" + std::string(option) + "'";
      if (i + 1 == count)
        return "option '" + std::string(option) + "' needs a value";
      std::string_view value = values[++i];
      bool ok = true;
      if (option == "--entry")
        options.entry = value;
      else if (option == "--grid")
        ok = parseDimensions(value, options.grid);
      else if (option == "--block")
        ok = parseDimensions(value, options.block);
      else if (option == "--shared")
        ok = parseNumber(value, options.shared);
      else if (option == "--arg")
        options.arguments.emplace_back(value);
      else if (option == "--threads")
        ok = parseNumber(value, options.launch.threads);
      else if (option == "--budget")
        ok = parseNumber(value, options.launch.instructionBudget);
      else if (option == "--chip")
        options.chip = value;
      else {
        options.counters = value;
        ok = value == "text" || value == "json" || value == "none";
      }
      if (!ok)
        return "bad value '" + std::string(value) + "' of option '" +
               std::string(option) + "'";
    }
  }
  return options.file.empty() ? "no PTX file given" : "";
}

int runKernel(const Options &options, const Kernel &kernel) {
  Device device;
  std::vector<Argument> arguments(options.arguments.size());
  std::vector<std::span<const std::byte>> values;
  for (size_t i = 0; i < arguments.size(); ++i) {
    std::string reason =
        parseArgument(options.arguments[i], device, arguments[i]);
    if (!reason.empty())
      return usageError(reason);
    values.push_back(arguments[i].bytes);
  }
  LaunchResult result = device.launch(kernel, options.grid, options.block,
                                      options.shared, values, options.launch);
  if (!result)
    return failure(options.file + ": " + result.report().str());
  for (const Argument &argument : arguments) {
    if (argument.output.empty())
      continue;
    std::vector<char> data(argument.size);
    if (!device.copyOut(data.data(), argument.address, data.size()))
      return failure(device.error());
    std::ofstream stream(argument.output, std::ios::binary);
    stream << argument.header;
    stream.write(data.data(), std::streamsize(data.size()));
    if (!stream.flush())
      return failure("cannot write '" + argument.output + "'");
  }
  const Counters &counters = result.counters();
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
  // A directory opens and fails at the first read, by an exception.
  std::error_code code;
  if (std::filesystem::is_directory(options.file, code))
    return failure("'" + options.file +
                   "' is a directory; give its kernels.ptx");
  std::ifstream stream(options.file, std::ios::binary);
  if (!stream)
    return failure("cannot read '" + options.file + "'");
  std::string text((std::istreambuf_iterator<char>(stream)),
                   std::istreambuf_iterator<char>());
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
                      std::to_string(module->kernels().size()) +
                      " entries: name one with --entry");
  if (!kernel)
    return failure(options.file + ": no entry '" + options.entry + "'");
  return runKernel(options, *kernel);
}
