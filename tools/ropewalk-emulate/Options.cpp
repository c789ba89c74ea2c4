//===- Options.cpp - The command line of the emulator -----------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Flags and options with a value are tables; everything else is the file.
//
//===----------------------------------------------------------------------===//

#include "Options.h"

using namespace ropewalk::emulator;

const char usage[] =
    R"(usage: ropewalk-emulate FILE.ptx [options]

Runs one entry of a PTX module on the host and prints what its printf wrote, then
what it did. FILE may be '-', the standard input.

  --list                    print the module's entries and exit
  --instructions            print which of PTX's opcodes are executed, in which
                            forms, and exit; needs no FILE
  --entry NAME              entry to run (default: the only one)
  --grid X[,Y[,Z]]          blocks (default 1)
  --block X[,Y[,Z]]         threads of a block (default 1)
  --cluster X[,Y[,Z]]       blocks of a cluster (default: as the kernel says)
  --shared BYTES            dynamic shared memory (default 0)
  --arg VALUE               next argument; VALUE is one of
      i32:N u32:N i64:N u64:N f32:X f64:X     a scalar
      bytes:HEX                               a value of any size, "0a1b"
      buffer:FILE.npy[:out=FILE]              a buffer with the array's data
      zeros:BYTES[:out=FILE]                  a buffer of zeros
      alloc:BYTES[:out=FILE]                  an uninitialized buffer
      tensormap:SOURCE,box=AxB...             a tensor map, see below
    A number must be of the kind that the parameter has, float or integer; bytes
    give any bits. A buffer passes its device address. `out` writes it after the run, with the
    header of the input where there was one and raw bytes otherwise.
  --counters text|json|none what to print (default text; none with --profile)
  --lines                   also print the counts of each PTX line
  --profile[=text|json]     print counts by class and by line, and the hot lines
  --mutate[=text|json]      run the entry with one synchronization deleted or
                            weakened at a time, and print who notices
  --mutate-seeds N          schedules of each such run, 0 to N - 1 (default 4)
  --tolerance X             results of floating-point type that differ by at most
                            X * max(1, |expected|) are right (default 0)
  --threads N               host threads, 0 for all cores (default 1)
  --schedule-seed N         0 (default) runs warps in a fixed order, other
                            numbers in one of their own
  --budget N                warp instructions that a block may execute (default
                            2^40)
  --registers N             registers of a thread when the kernel starts, for
                            setmaxnreg (default: by the kernel's bounds)
  --chip NAME               refuse modules that this chip cannot run
  --no-memory-check         allow reads of uninitialized memory
  --no-register-check       allow reads of uninitialized registers
  --no-race-check           allow races
  --help

A tensor map has the arguments of cuTensorMapEncodeTiled, innermost dimension
first. SOURCE is FILE.npy, 'zeros', 'alloc', or @N: the buffer of argument N,
counted from 0. The rest is separated by commas:
  box=64x16                 the box that one copy moves (required)
  shape=256x128             default: that of the file
  type=bf16                 u8, u16, u32, s32, u64, s64, f16, f32, f64 or bf16;
                            default: that of the file
  strides=512               bytes, without the innermost; default: no gaps
  steps=1x2                 every n-th element of the box; default: all
  swizzle=128B              none (default), 32B, 64B or 128B
  fill=nan                  zero (default) or nan
  out=FILE                  as for buffers
)";

namespace {

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

bool parseProfile(std::string_view value, Options &options) {
  options.profile = value;
  return value == "text" || value == "json";
}

bool parseMutate(std::string_view value, Options &options) {
  options.mutate = value;
  return value == "text" || value == "json";
}

/// Sets what a flag without value stands for; false if there is none.
bool setFlag(std::string_view option, Options &options) {
  if (option == "--help")
    options.help = true;
  else if (option == "--list")
    options.list = true;
  else if (option == "--instructions")
    options.instructions = true;
  else if (option == "--lines")
    options.lines = true;
  else if (option == "--profile")
    options.profile = "text";
  else if (option == "--mutate")
    options.mutate = "text";
  else if (option == "--no-memory-check")
    options.launch.checkUninitializedMemory = false;
  else if (option == "--no-register-check")
    options.launch.checkUninitializedRegisters = false;
  else if (option == "--no-race-check")
    options.launch.checkRaces = false;
  else
    return false;
  return true;
}

using Setter = bool (*)(std::string_view, Options &);

/// How the value of an option is taken; null if there is no such option.
Setter setterOf(std::string_view option) {
  struct Entry {
    std::string_view name;
    Setter set;
  };
  static const Entry entries[] = {
      {"--entry",
       [](std::string_view v, Options &o) {
         o.entry = v;
         return true;
       }},
      {"--grid", [](std::string_view v,
                    Options &o) { return parseDimensions(v, o.grid); }},
      {"--block", [](std::string_view v,
                     Options &o) { return parseDimensions(v, o.block); }},
      {"--cluster",
       [](std::string_view v, Options &o) {
         return parseDimensions(v, o.launch.cluster);
       }},
      {"--shared",
       [](std::string_view v, Options &o) { return parseNumber(v, o.shared); }},
      {"--arg",
       [](std::string_view v, Options &o) {
         o.arguments.emplace_back(v);
         return true;
       }},
      {"--counters",
       [](std::string_view v, Options &o) {
         o.counters = v;
         return v == "text" || v == "json" || v == "none";
       }},
      {"--threads",
       [](std::string_view v, Options &o) {
         return parseNumber(v, o.launch.threads);
       }},
      {"--schedule-seed",
       [](std::string_view v, Options &o) {
         return parseNumber(v, o.launch.scheduleSeed);
       }},
      {"--mutate-seeds",
       [](std::string_view v, Options &o) {
         return parseNumber(v, o.mutateSeeds) && o.mutateSeeds >= 1;
       }},
      {"--tolerance",
       [](std::string_view v, Options &o) {
         return parseNumber(v, o.tolerance) && o.tolerance >= 0;
       }},
      {"--budget",
       [](std::string_view v, Options &o) {
         return parseNumber(v, o.launch.instructionBudget);
       }},
      {"--registers",
       [](std::string_view v, Options &o) {
         return parseNumber(v, o.launch.registersPerThread) &&
                o.launch.registersPerThread <= 255;
       }},
      {"--chip",
       [](std::string_view v, Options &o) {
         o.chip = v;
         return true;
       }},
  };
  for (const Entry &entry : entries)
    if (entry.name == option)
      return entry.set;
  return nullptr;
}

} // namespace

std::string parseOptions(int count, char **values, Options &options) {
  for (int i = 1; i < count; ++i) {
    std::string_view option = values[i];
    if (setFlag(option, options)) {
      if (options.help)
        return "";
      continue;
    }
    if (option.substr(0, 2) != "--") {
      if (!options.file.empty())
        return "second file '" + std::string(option) + "'";
      options.file = option;
      continue;
    }
    std::string_view value;
    Setter set = setterOf(option);
    if (option.starts_with("--profile=")) {
      value = option.substr(10);
      option = "--profile";
      set = parseProfile;
    } else if (option.starts_with("--mutate=")) {
      value = option.substr(9);
      option = "--mutate";
      set = parseMutate;
    } else if (!set) {
      return "unknown option '" + std::string(option) + "'";
    } else if (i + 1 == count) {
      return "option '" + std::string(option) + "' needs a value";
    } else {
      value = values[++i];
    }
    if (!set(value, options))
      return "bad value '" + std::string(value) + "' of option '" +
             std::string(option) + "'";
  }
  if (options.counters.empty())
    options.counters = options.profile.empty() ? "text" : "none";
  if (options.file.empty() && !options.instructions)
    return "no PTX file given";
  return "";
}
