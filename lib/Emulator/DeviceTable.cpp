//===- DeviceTable.cpp - The emulator as a device table ---------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Launches run at once, so synchronizing has nothing left to wait for. Errors
// are texts in the device, as the table asks.
//
//===----------------------------------------------------------------------===//

#include "JsonText.h"
#include "Ropewalk/Emulator/Device.h"

#include <map>

using namespace ropewalk::emulator;

namespace {

struct TableDevice {
  RopewalkDevice table{};
  Device device;
  std::string chip, name, error, countersText;
  LaunchOptions options;
  std::map<const void *, std::shared_ptr<const Module>> modules;
  std::map<const void *, const void *> kernels; ///< Kernel to its module.
  Counters counters;

  int fail(std::string message) {
    error = std::move(message);
    return 1;
  }
};

TableDevice &device(void *self) { return *static_cast<TableDevice *>(self); }

const char *lastError(void *self) { return device(self).error.c_str(); }
const char *deviceName(void *self) { return device(self).name.c_str(); }
const char *deviceChip(void *self) { return device(self).chip.c_str(); }

int allocate(void *self, size_t bytes, uint64_t *address) {
  TableDevice &d = device(self);
  *address = 0;
  if (bytes == 0)
    return d.fail("cannot allocate 0 bytes");
  *address = d.device.allocate(bytes);
  return *address ? 0 : d.fail(d.device.error());
}

int release(void *self, uint64_t address) {
  TableDevice &d = device(self);
  return d.device.free(address) ? 0 : d.fail(d.device.error());
}

int copyIn(void *self, uint64_t destination, const void *source, size_t bytes) {
  TableDevice &d = device(self);
  return d.device.copyIn(destination, source, bytes)
             ? 0
             : d.fail("copy to the device: " + d.device.error());
}

int copyOut(void *self, void *destination, uint64_t source, size_t bytes) {
  TableDevice &d = device(self);
  return d.device.copyOut(destination, source, bytes)
             ? 0
             : d.fail("copy from the device: " + d.device.error());
}

int copy(void *self, uint64_t destination, uint64_t source, size_t bytes) {
  TableDevice &d = device(self);
  return d.device.copy(destination, source, bytes)
             ? 0
             : d.fail("copy on the device: " + d.device.error());
}

int fill(void *self, uint64_t destination, uint8_t value, size_t bytes) {
  TableDevice &d = device(self);
  return d.device.fill(destination, value, bytes)
             ? 0
             : d.fail("fill: " + d.device.error());
}

int loadModule(void *self, const char *ptx, size_t size, void **module) {
  TableDevice &d = device(self);
  *module = nullptr;
  Error error;
  auto loaded = Module::parse({ptx, size}, error);
  if (!loaded)
    return d.fail("PTX module: " + error.str());
  std::string reason;
  if (!targetRunsOn(loaded->target(), d.chip, reason))
    return d.fail("PTX module: " + reason);
  if (!d.device.load(*loaded))
    return d.fail("PTX module: " + d.device.error());
  *module = const_cast<Module *>(loaded.get());
  d.modules[*module] = std::move(loaded);
  return 0;
}

int unloadModule(void *self, void *module) {
  TableDevice &d = device(self);
  auto found = d.modules.find(module);
  if (found == d.modules.end())
    return d.fail("unload of a module that is not loaded");
  d.device.unload(*found->second);
  std::erase_if(d.kernels,
                [&](const auto &entry) { return entry.second == module; });
  d.modules.erase(found);
  return 0;
}

int getKernel(void *self, void *module, const char *name, void **kernel) {
  TableDevice &d = device(self);
  *kernel = nullptr;
  auto found = d.modules.find(module);
  if (found == d.modules.end())
    return d.fail("kernel of a module that is not loaded");
  const Kernel *entry = found->second->find(name);
  if (!entry)
    return d.fail("module has no entry '" + std::string(name) + "'");
  *kernel = const_cast<Kernel *>(entry);
  d.kernels[*kernel] = module;
  return 0;
}

int launch(void *self, void *kernel, const uint32_t grid[3],
           const uint32_t block[3], uint32_t shared, void *const *arguments) {
  TableDevice &d = device(self);
  if (!d.kernels.count(kernel))
    return d.fail("launch of a kernel that is not loaded");
  const Kernel &entry = *static_cast<const Kernel *>(kernel);
  std::vector<std::span<const std::byte>> values;
  for (size_t i = 0; i < entry.info.parameters.size(); ++i)
    values.push_back({static_cast<const std::byte *>(arguments[i]),
                      entry.info.parameters[i].size});
  LaunchResult result = d.device.launch(entry, {grid[0], grid[1], grid[2]},
                                        {block[0], block[1], block[2]}, shared,
                                        values, d.options);
  if (!result)
    return d.fail(result.report().str());
  d.counters += result.counters();
  return 0;
}

int synchronize(void *) { return 0; }

void destroy(RopewalkDevice *table) {
  delete static_cast<TableDevice *>(table->self);
}

thread_local std::string creationError;

} // namespace

extern "C" int ropewalk_emulator_create(const char *chip,
                                        const char *options_json,
                                        RopewalkDevice **out) {
  *out = nullptr;
  std::string reason;
  if (!chip || !targetRunsOn(chip, chip, reason)) {
    creationError = chip ? reason : "no chip given";
    return 1;
  }
  auto created = std::make_unique<TableDevice>();
  if (options_json) {
    reason = parseOptions(options_json, created->options);
    if (!reason.empty()) {
      creationError = "options of the emulator: " + reason;
      return 1;
    }
  }
  created->chip = chip;
  created->name = std::string("emulator ") + chip;
  RopewalkDevice &table = created->table;
  table.version = ROPEWALK_DEVICE_VERSION;
  table.self = created.get();
  table.last_error = lastError;
  table.name = deviceName;
  table.chip = deviceChip;
  table.alloc = allocate;
  table.release = release;
  table.copy_in = copyIn;
  table.copy_out = copyOut;
  table.copy = copy;
  table.fill = fill;
  table.load_module = loadModule;
  table.unload_module = unloadModule;
  table.get_kernel = getKernel;
  table.launch = launch;
  table.synchronize = synchronize;
  table.destroy = destroy;
  *out = &created.release()->table;
  return 0;
}

extern "C" const char *ropewalk_emulator_error(void) {
  return creationError.c_str();
}

extern "C" const char *ropewalk_emulator_counters(RopewalkDevice *table,
                                                  int reset) {
  TableDevice &d = device(table->self);
  d.countersText = d.counters.json();
  if (reset)
    d.counters = Counters();
  return d.countersText.c_str();
}
