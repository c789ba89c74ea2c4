//===- CMutation.cpp - Mutation tests for C ---------------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Mutation.h behind CEmulator.h.
//
//===----------------------------------------------------------------------===//

#include "CHandles.h"
#include "JsonText.h"
#include "Ropewalk/Emulator/Mutation.h"

using namespace ropewalk::emulator;

namespace {

/// Returns an empty text, or which float buffer is wrong.
std::string collectFloats(const RopewalkPtxFloats *floats, size_t count,
                          std::vector<FloatBuffer> &buffers) {
  if (count && !floats)
    return "argument 'floats': expected a pointer, got null";
  for (size_t i = 0; i < count; ++i) {
    if (floats[i].type < 0 || floats[i].type > int(FloatBuffer::F64))
      return "floats " + std::to_string(i) + ": type is " +
             std::to_string(floats[i].type) + ", expected 0 to 3";
    buffers.push_back({floats[i].address, floats[i].bytes,
                       FloatBuffer::Type(floats[i].type)});
  }
  return {};
}

} // namespace

int ropewalk_ptx_mutate(RopewalkPtxDevice *device,
                        const RopewalkPtxModule *module, size_t entry,
                        const uint32_t grid[3], const uint32_t block[3],
                        const uint32_t *cluster, size_t shared,
                        const void *const *arguments, const size_t *sizes,
                        size_t count, const char *options, unsigned seeds,
                        double tolerance, const RopewalkPtxFloats *floats,
                        size_t float_count, const char **json) {
  if (!json)
    return missing("json", 2);
  *json = nullptr;
  if (int code = checkCall(device, module, entry, grid, block))
    return code;
  const std::vector<Kernel> &kernels = module->module->kernels();
  MutationOptions mutation;
  std::vector<std::span<const std::byte>> values;
  std::string reason = collectArguments(arguments, sizes, count, values);
  if (reason.empty())
    reason = collectFloats(floats, float_count, mutation.floats);
  if (reason.empty() && !(tolerance >= 0))
    reason = "tolerance: expected a number of at least 0";
  if (reason.empty() && options &&
      !(reason = parseOptions(options, mutation.launch)).empty())
    reason = "options of the launch: " + reason;
  if (!reason.empty())
    return fail(reason, 2);
  if (cluster)
    mutation.launch.cluster = dimensions(cluster);
  if (mutation.launch.cluster.count() == 0)
    return fail("cluster: expected three extents of at least 1, or null", 2);
  mutation.launch.cancel = &device->cancel;
  mutation.seeds = seeds;
  mutation.tolerance = tolerance;
  MutationTable table =
      mutate(device->device, module->text, kernels[entry].info.name,
             dimensions(grid), dimensions(block), shared, values, mutation);
  if (!table.reason.empty())
    return fail(table.reason, 2);
  device->json =
      table.failure ? reportJson(*table.failure, table.output) : table.json();
  *json = device->json.c_str();
  return table.failure ? fail(table.failure->str()) : 0;
}
