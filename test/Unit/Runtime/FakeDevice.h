//===- FakeDevice.h - A device on host memory -------------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A table of device functions whose kernels are C++ callbacks found by name. A
// "module" is any text. Memory is the process's own, every allocation by
// itself, so that the address sanitizer sees what a kernel does outside of it;
// fresh memory is filled with a pattern that is a NaN in every float type.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_TEST_UNIT_RUNTIME_FAKEDEVICE_H
#define ROPEWALK_TEST_UNIT_RUNTIME_FAKEDEVICE_H

#include "Ropewalk/Runtime/ArtifactProgram.h"

#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace ropewalk::runtime::test {

/// What a kernel sees of its launch.
struct FakeLaunch {
  std::vector<uint32_t> grid, block;
  uint32_t shared;
  void *const *arguments;

  template <typename T> T scalar(size_t index) const {
    T value;
    std::memcpy(&value, arguments[index], sizeof(T));
    return value;
  }
  template <typename T> T *pointer(size_t index) const {
    return reinterpret_cast<T *>(
        static_cast<uintptr_t>(scalar<uint64_t>(index)));
  }
};

using FakeKernel = std::function<void(const FakeLaunch &)>;

/// Observations and settings; outlives the device.
struct FakeState {
  std::map<std::string, FakeKernel> kernels;
  std::string chip = "sm_90a";
  /// Name of the table function that fails from now on; empty for none.
  std::string failing;

  std::map<uint64_t, size_t> allocations;
  std::vector<std::string> launches;
  size_t bytesIn = 0;
  int loadedModules = 0;
  bool destroyed = false;
};

namespace detail {

inline FakeState &state(void *self) { return *static_cast<FakeState *>(self); }

inline int fails(void *self, const char *function) {
  return state(self).failing == function;
}

inline void *pointer(uint64_t address) {
  return reinterpret_cast<void *>(static_cast<uintptr_t>(address));
}

} // namespace detail

inline DevicePtr makeFakeDevice(FakeState &fake) {
  using namespace detail;
  auto *table = new RopewalkDevice{};
  table->version = ROPEWALK_DEVICE_VERSION;
  table->self = &fake;
  table->last_error = [](void *) { return "it broke"; };
  table->name = [](void *) { return "fake"; };
  table->chip = [](void *self) { return state(self).chip.c_str(); };
  table->alloc = [](void *self, size_t bytes, uint64_t *address) {
    if (bytes == 0 || fails(self, "alloc"))
      return 1;
    size_t rounded = (bytes + 255) / 256 * 256;
    void *memory = std::aligned_alloc(256, rounded);
    std::memset(memory, 0xff, rounded);
    *address = reinterpret_cast<uintptr_t>(memory);
    state(self).allocations[*address] = bytes;
    return 0;
  };
  table->release = [](void *self, uint64_t address) {
    if (!state(self).allocations.erase(address))
      return 1;
    std::free(pointer(address));
    return 0;
  };
  table->copy_in = [](void *self, uint64_t destination, const void *source,
                      size_t bytes) {
    std::memcpy(pointer(destination), source, bytes);
    state(self).bytesIn += bytes;
    return fails(self, "copy_in");
  };
  table->copy_out = [](void *self, void *destination, uint64_t source,
                       size_t bytes) {
    std::memcpy(destination, pointer(source), bytes);
    return fails(self, "copy_out");
  };
  table->copy = [](void *self, uint64_t destination, uint64_t source,
                   size_t bytes) {
    std::memcpy(pointer(destination), pointer(source), bytes);
    return fails(self, "copy");
  };
  table->fill = [](void *self, uint64_t destination, uint8_t value,
                   size_t bytes) {
    std::memset(pointer(destination), value, bytes);
    return fails(self, "fill");
  };
  table->load_module = [](void *self, const char *, size_t, void **module) {
    if (fails(self, "load_module"))
      return 1;
    ++state(self).loadedModules;
    *module = self;
    return 0;
  };
  table->unload_module = [](void *self, void *) {
    --state(self).loadedModules;
    return 0;
  };
  table->get_kernel = [](void *self, void *, const char *name, void **kernel) {
    auto it = state(self).kernels.find(name);
    if (it == state(self).kernels.end())
      return 1;
    *kernel = &*it;
    return 0;
  };
  table->launch = [](void *self, void *kernel, const uint32_t grid[3],
                     const uint32_t block[3], uint32_t shared,
                     void *const *arguments) {
    auto &[name, function] =
        *static_cast<std::pair<const std::string, FakeKernel> *>(kernel);
    if (fails(self, "launch"))
      return 1;
    state(self).launches.push_back(name);
    function({{grid, grid + 3}, {block, block + 3}, shared, arguments});
    return 0;
  };
  table->synchronize = [](void *self) { return fails(self, "synchronize"); };
  table->destroy = [](RopewalkDevice *device) {
    FakeState &fake = state(device->self);
    fake.destroyed = true;
    for (auto [address, bytes] : fake.allocations)
      std::free(pointer(address));
    delete device;
  };
  return DevicePtr(table);
}

} // namespace ropewalk::runtime::test

#endif // ROPEWALK_TEST_UNIT_RUNTIME_FAKEDEVICE_H
