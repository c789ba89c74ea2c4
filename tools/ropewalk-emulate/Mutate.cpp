//===- Mutate.cpp - The mutation test of a kernel ---------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Mutation.h on the command line. The type of an array's elements is in the
// header of its file.
//
//===----------------------------------------------------------------------===//

#include "Mutate.h"
#include "Ropewalk/Emulator/Mutation.h"

#include <cstdio>

using namespace ropewalk::emulator;

namespace {

/// The buffers whose files hold floating-point numbers.
std::vector<FloatBuffer> findFloats(const std::vector<Argument> &arguments) {
  struct Kind {
    const char *description;
    FloatBuffer::Type type;
  };
  static const Kind kinds[] = {{"'<f2'", FloatBuffer::F16},
                               {"'<f4'", FloatBuffer::F32},
                               {"'<f8'", FloatBuffer::F64}};
  std::vector<FloatBuffer> floats;
  for (const Argument &argument : arguments)
    for (const Kind &kind : kinds)
      if (argument.address &&
          argument.header.find(kind.description) != std::string::npos)
        floats.push_back({argument.address, argument.size, kind.type});
  return floats;
}

} // namespace

std::string runMutants(const Options &options, const Kernel &kernel,
                       const std::string &ptx, Device &device,
                       const std::vector<Argument> &arguments,
                       const std::vector<std::span<const std::byte>> &values) {
  MutationOptions mutation;
  mutation.launch = options.launch;
  mutation.seeds = options.mutateSeeds;
  mutation.tolerance = options.tolerance;
  mutation.floats = findFloats(arguments);
  bool isJson = options.mutate == "json";
  bool isFirst = true;
  if (!isJson)
    mutation.onRow = [&](const MutationRow &row) {
      if (isFirst)
        std::fputs(MutationTable::header().c_str(), stdout);
      isFirst = false;
      std::fputs(MutationTable::line(row).c_str(), stdout);
      std::fflush(stdout);
    };
  MutationTable table = mutate(device, ptx, kernel.info.name, options.grid,
                               options.block, options.shared, values, mutation);
  if (table.failure)
    return table.failure->str();
  if (!table.reason.empty())
    return table.reason;
  std::printf("%s\n", isJson ? table.json().c_str() : table.summary().c_str());
  return {};
}
