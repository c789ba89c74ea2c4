//===- CInterface.cpp - The emulator for C ----------------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Handles around Module and Device; what has structure goes out as JSON.
//
//===----------------------------------------------------------------------===//

#include "CHandles.h"
#include "JsonText.h"
#include "Ropewalk/Emulator/Profile.h"
#include "Ropewalk/Emulator/TensorMap.h"

#include <atomic>
#include <cstring>
#include <new>

using namespace ropewalk::emulator;

namespace {

/// Passes on what a memory operation of the device says.
int check(RopewalkPtxDevice *device, bool succeeded) {
  return succeeded ? 0 : fail(device->device.error());
}

/// "[x, y, z]", or null where there is no such bound.
std::string boundText(Dim3 bound) {
  if (!bound.count())
    return "null";
  return "[" + std::to_string(bound.x) + ", " + std::to_string(bound.y) + ", " +
         std::to_string(bound.z) + "]";
}

const char *truth(bool value) { return value ? "true" : "false"; }

std::string describe(const Parameter &parameter) {
  return "{\"name\": " + quoted(parameter.name) +
         ", \"type\": " + quoted(parameter.type) +
         ", \"pointer\": " + truth(parameter.isPointer) +
         ", \"size\": " + std::to_string(parameter.size) +
         ", \"alignment\": " + std::to_string(parameter.alignment) + "}";
}

std::string describe(const KernelInfo &info) {
  std::string text =
      "{\"name\": " + quoted(info.name) +
      ", \"static_shared\": " + std::to_string(info.staticSharedBytes) +
      ", \"local\": " + std::to_string(info.localBytes) +
      ", \"dynamic_shared\": " + truth(info.usesDynamicShared) +
      ", \"max_threads\": " + boundText(info.maxThreads) +
      ", \"required_threads\": " + boundText(info.requiredThreads) +
      ", \"required_cluster\": " + boundText(info.requiredCluster) +
      ", \"parameters\": [";
  for (const Parameter &parameter : info.parameters)
    text += (&parameter == info.parameters.data() ? "" : ", ") +
            describe(parameter);
  return text + "]}";
}

std::string describe(const Module &module) {
  std::string text =
      "{\"target\": " + quoted(module.target()) + ", \"entries\": [";
  for (const Kernel &kernel : module.kernels())
    text += (&kernel == module.kernels().data() ? "" : ", ") +
            describe(kernel.info);
  return text + "]}";
}

} // namespace

namespace {
thread_local std::string lastError;
} // namespace

int ropewalk::emulator::fail(std::string message, int code) {
  lastError = std::move(message);
  return code;
}

int ropewalk::emulator::missing(const char *argument, int code) {
  return fail(std::string("argument '") + argument +
                  "': expected a pointer, got null",
              code);
}

int ropewalk::emulator::checkCall(const RopewalkPtxDevice *device,
                                  const RopewalkPtxModule *module, size_t entry,
                                  const uint32_t *grid, const uint32_t *block) {
  if (!device || !module || !grid || !block)
    return missing(!device   ? "device"
                   : !module ? "module"
                   : !grid   ? "grid"
                             : "block",
                   2);
  size_t count = module->module->kernels().size();
  if (entry >= count)
    return fail("entry " + std::to_string(entry) + " of " +
                    std::to_string(count) + " entries",
                2);
  return 0;
}

std::string ropewalk::emulator::collectArguments(
    const void *const *arguments, const size_t *sizes, size_t count,
    std::vector<std::span<const std::byte>> &values) {
  if (count && (!arguments || !sizes))
    return std::string("argument '") + (arguments ? "sizes" : "arguments") +
           "': expected a pointer, got null";
  for (size_t i = 0; i < count; ++i) {
    if (!arguments[i] && sizes[i])
      return "argument " + std::to_string(i) + ": expected a pointer, got null";
    values.push_back({static_cast<const std::byte *>(arguments[i]), sizes[i]});
  }
  return {};
}

const char *ropewalk_ptx_error(void) { return lastError.c_str(); }

int ropewalk_ptx_load(const char *text, size_t size, const char *chip,
                      RopewalkPtxModule **module) {
  if (!text)
    return missing("text");
  if (!module)
    return missing("module");
  *module = nullptr;
  Error error;
  auto parsed = Module::parse({text, size}, error);
  if (!parsed)
    return fail(error.str());
  std::string reason;
  if (chip && !targetRunsOn(parsed->target(), chip, reason))
    return fail(reason);
  std::string description = describe(*parsed);
  *module = new RopewalkPtxModule{
      std::move(parsed), {text, size}, std::move(description)};
  return 0;
}

void ropewalk_ptx_unload(RopewalkPtxModule *module) { delete module; }

const char *ropewalk_ptx_describe(const RopewalkPtxModule *module) {
  return module ? module->description.c_str() : "{}";
}

RopewalkPtxDevice *ropewalk_ptx_device_create(void) {
  return new (std::nothrow) RopewalkPtxDevice;
}

void ropewalk_ptx_device_free(RopewalkPtxDevice *device) { delete device; }

int ropewalk_ptx_alloc(RopewalkPtxDevice *device, size_t bytes,
                       uint64_t *address) {
  if (!device)
    return missing("device");
  if (!address)
    return missing("address");
  *address = device->device.allocate(bytes);
  return check(device, *address != 0);
}

int ropewalk_ptx_release(RopewalkPtxDevice *device, uint64_t address) {
  if (!device)
    return missing("device");
  return check(device, device->device.free(address));
}

int ropewalk_ptx_copy_in(RopewalkPtxDevice *device, uint64_t destination,
                         const void *source, size_t bytes) {
  if (!device)
    return missing("device");
  if (!source && bytes)
    return missing("source");
  return check(device, device->device.copyIn(destination, source, bytes));
}

int ropewalk_ptx_copy_out(RopewalkPtxDevice *device, void *destination,
                          uint64_t source, size_t bytes) {
  if (!device)
    return missing("device");
  if (!destination && bytes)
    return missing("destination");
  return check(device, device->device.copyOut(destination, source, bytes));
}

int ropewalk_ptx_launch(RopewalkPtxDevice *device,
                        const RopewalkPtxModule *module, size_t entry,
                        const uint32_t grid[3], const uint32_t block[3],
                        const uint32_t *cluster, size_t shared,
                        const void *const *arguments, const size_t *sizes,
                        size_t count, const char *options, unsigned flags,
                        const char **json) {
  if (!json)
    return missing("json", 2);
  *json = nullptr;
  if (int code = checkCall(device, module, entry, grid, block))
    return code;
  std::vector<std::span<const std::byte>> values;
  if (std::string reason = collectArguments(arguments, sizes, count, values);
      !reason.empty())
    return fail(reason, 2);
  if (flags & ~unsigned(ROPEWALK_PTX_PROFILE))
    return fail("flags: expected 0 or " + std::to_string(ROPEWALK_PTX_PROFILE) +
                    ", got " + std::to_string(flags),
                2);
  const std::vector<Kernel> &kernels = module->module->kernels();
  LaunchOptions launchOptions;
  if (options)
    if (std::string reason = parseOptions(options, launchOptions);
        !reason.empty())
      return fail("options of the launch: " + reason, 2);
  if (cluster)
    launchOptions.cluster = dimensions(cluster);
  if (launchOptions.cluster.count() == 0)
    return fail("cluster: expected three extents of at least 1, or null", 2);
  launchOptions.cancel = &device->cancel;
  LaunchResult result =
      device->device.launch(kernels[entry], dimensions(grid), dimensions(block),
                            shared, values, launchOptions);
  if (!result) {
    device->json = reportJson(result.report(), result.output);
    fail(result.report().str());
    *json = device->json.c_str();
    return 1;
  }
  const Counters &counters = result.counters();
  std::string text = counters.table(), rows;
  if (flags & ROPEWALK_PTX_PROFILE) {
    Profile profile(counters, kernels[entry], module->text);
    text += "\n" + profile.table();
    rows = ", \"profile\": " + profile.json();
  }
  device->json = "{\"counters\": " + counters.json() +
                 ", \"text\": " + quoted(text) +
                 ", \"output\": " + quoted(result.output) + rows + "}";
  *json = device->json.c_str();
  return 0;
}

void ropewalk_ptx_cancel(RopewalkPtxDevice *device) {
  if (device)
    device->cancel = true;
}

int ropewalk_ptx_tensor_map(int type, uint32_t rank, uint64_t address,
                            const uint64_t *dims, const uint64_t *strides,
                            const uint32_t *box,
                            const uint32_t *element_strides, int interleave,
                            int swizzle, int promotion, int fill, void *out) {
  if (!dims || !box || !out)
    return missing(!dims ? "dims" : !box ? "box" : "out");
  if (rank > 1 && !strides)
    return missing("strides");
  // `encode` has these in a byte and could not name what the caller gave.
  constexpr int types = int(TensorMapType::Count);
  const struct {
    const char *name;
    int value, count;
  } numbers[] = {{"type", type, types},
                 {"interleave", interleave, 3},
                 {"swizzle", swizzle, 4},
                 {"promotion", promotion, 4},
                 {"fill", fill, 2}};
  for (auto &number : numbers)
    if (number.value < 0 || number.value >= number.count)
      return fail(std::string("tensor map: ") + number.name + " is " +
                  std::to_string(number.value) + ", expected 0 to " +
                  std::to_string(number.count - 1));
  TensorMap map;
  map.type = TensorMapType(type);
  map.rank = rank;
  map.address = address;
  // Of a rank that `encode` refuses nobody knows how long the arrays are.
  for (uint32_t i = 0; i < (rank <= 5 ? rank : 0); ++i) {
    map.dims[i] = dims[i];
    if (i)
      map.strides[i] = strides[i - 1];
    map.box[i] = box[i];
    if (element_strides)
      map.elementStrides[i] = element_strides[i];
  }
  map.interleave = TensorMapInterleave(interleave);
  map.swizzle = TensorMapSwizzle(swizzle);
  map.fill = TensorMapFill(fill);
  // As counted by the driver: none, 64, 128 and 256 bytes.
  static const uint32_t promotions[] = {0, 64, 128, 256};
  map.promotion = promotions[promotion];
  std::byte bytes[TensorMapBytes];
  if (std::string reason = encode(map, bytes); !reason.empty())
    return fail(reason);
  std::memcpy(out, bytes, sizeof bytes);
  return 0;
}
