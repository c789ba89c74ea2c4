//===- ArtifactProgram.h - Runs an artifact on a device ---------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A program made of an artifact directory (manifest.json and PTX modules) and a
// device. Modules, constants and rotary tables are uploaded once. Temporaries
// live in one arena that is kept between calls and grows on demand; results are
// read where the last kernel left them.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_RUNTIME_ARTIFACTPROGRAM_H
#define ROPEWALK_RUNTIME_ARTIFACTPROGRAM_H

#include "Ropewalk/Runtime/Device.h"
#include "Ropewalk/Runtime/LaunchPlan.h"
#include "Ropewalk/Runtime/Manifest.h"
#include "Ropewalk/Runtime/Program.h"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace ropewalk::runtime {

struct DeviceDeleter {
  void operator()(RopewalkDevice *device) const { device->destroy(device); }
};
using DevicePtr = std::unique_ptr<RopewalkDevice, DeviceDeleter>;

/// Whether PTX for `target` runs on `chip`: "sm_80" on that and all later
/// chips, "sm_90a" on that chip only, "sm_100f" within its family.
bool isCompatible(std::string_view target, std::string_view chip);

struct ArtifactOptions {
  /// Waits after every launch, so that an error names the launch that caused
  /// it.
  bool synchronizeLaunches = false;
  /// Called before every launch with its entry, its number and the name of its
  /// kernel; for tools. May be empty.
  std::function<void(std::string_view, size_t, std::string_view)> onLaunch;
};

class ArtifactProgram final : public Program {
public:
  /// Loads `directory` onto `device`. Errors: the manifest is refused, a module
  /// cannot be read or loaded, a kernel is not in its module, the device has
  /// another table version or another chip than the artifact's target.
  static Result<std::unique_ptr<ArtifactProgram>>
  load(const std::string &directory, DevicePtr device,
       ArtifactOptions options = {});

  /// The same from memory: `modules` are the PTX texts of manifest.modules.
  static Result<std::unique_ptr<ArtifactProgram>>
  create(Manifest manifest, const std::vector<std::string> &modules,
         DevicePtr device, ArtifactOptions options = {});

  ~ArtifactProgram() override;

  const Manifest &manifest() const { return description; }
  RopewalkDevice &device() { return *dev; }
  /// Bytes of the arena.
  size_t arenaBytes() const { return arenaSize; }
  /// The plan of the entry's last run; null before the first.
  const LaunchPlan *lastPlan(size_t index) const {
    return plans[index] ? &*plans[index] : nullptr;
  }

  std::span<const EntrySignature> entries() const override {
    return description.signatures;
  }
  std::string deviceName() const override;
  std::string modelDescription() const override { return description.model; }
  int64_t maximumCapacity() const override;

  bool isHostMemory() const override { return false; }
  Result<uint64_t> allocate(size_t bytes) override;
  Status release(uint64_t address) override;
  Status write(uint64_t destination, const void *source, size_t bytes) override;
  Status read(void *destination, uint64_t source, size_t bytes) override;
  Status copy(uint64_t destination, uint64_t source, size_t bytes) override;
  Status fill(uint64_t destination, uint8_t value, size_t bytes) override;
  size_t residentBytes() const override { return constantBytes + arenaSize; }

  Result<std::vector<TensorView>>
  run(size_t index, std::span<const TensorView> arguments) override;

private:
  struct Table {
    uint64_t low = 0, high = 0;
  };

  ArtifactProgram(Manifest manifest, DevicePtr device, ArtifactOptions options);
  Status loadModules(const std::vector<std::string> &texts);
  Status uploadConstants();
  Result<uint64_t> upload(const void *data, size_t bytes);
  Status growArena(size_t bytes);
  Status launch(const std::string &entry, size_t number,
                const LaunchPlan::Launch &launch,
                std::span<const uint64_t> buffers);
  Status check(int code, std::string_view what) const;

  Manifest description;
  DevicePtr dev;
  ArtifactOptions options;
  std::vector<void *> modules, kernels;
  std::vector<uint64_t> constants;
  std::vector<Table> tables;
  std::vector<std::optional<LaunchPlan>> plans;
  uint64_t arena = 0;
  size_t arenaSize = 0, constantBytes = 0;
};

} // namespace ropewalk::runtime

#endif // ROPEWALK_RUNTIME_ARTIFACTPROGRAM_H
