//===- ArtifactProgram.cpp - Runs an artifact on a device -------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A run binds the sizes, makes the launch plan or takes the one of the last run
// if the sizes are the same, resolves every buffer to an address and launches.
//
//===----------------------------------------------------------------------===//

#include "Ropewalk/Runtime/ArtifactProgram.h"

#include "Ropewalk/Runtime/Rotary.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>
#include <iterator>
#include <limits>

using namespace ropewalk::runtime;

namespace {

/// Number and suffix of "sm_90a"; nothing if it is no such text.
std::optional<std::pair<int, char>> parseChip(std::string_view text) {
  if (!text.starts_with("sm_"))
    return std::nullopt;
  text.remove_prefix(3);
  int number = 0;
  auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), number);
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  if (error != std::errc() || text.size() > 1)
    return std::nullopt;
  return std::pair(number, text.empty() ? '\0' : text[0]);
}

} // namespace

bool ropewalk::runtime::isCompatible(std::string_view target,
                                     std::string_view chip) {
  auto wanted = parseChip(target), present = parseChip(chip);
  if (!wanted || !present)
    return false;
  if (wanted->second == 'a')
    return *wanted == *present;
  if (wanted->second == 'f' && wanted->first / 10 != present->first / 10)
    return false;
  return present->first >= wanted->first;
}

//===----------------------------------------------------------------------===//
// Loading
//===----------------------------------------------------------------------===//

ArtifactProgram::ArtifactProgram(Manifest manifest, DevicePtr device,
                                 ArtifactOptions options)
    : description(std::move(manifest)), dev(std::move(device)),
      options(std::move(options)), plans(description.entries.size()) {}

ArtifactProgram::~ArtifactProgram() {
  // The device's own end frees what a failing call leaves behind.
  for (void *module : modules)
    dev->unload_module(dev->self, module);
  for (uint64_t address : constants)
    dev->release(dev->self, address);
  for (const Table &table : tables) {
    if (table.low)
      dev->release(dev->self, table.low);
    if (table.high)
      dev->release(dev->self, table.high);
  }
  if (arena)
    dev->release(dev->self, arena);
}

Result<std::unique_ptr<ArtifactProgram>>
ArtifactProgram::load(const std::string &directory, DevicePtr device,
                      ArtifactOptions options) {
  Result<Manifest> manifest = Manifest::load(directory);
  if (!manifest)
    return manifest.error();
  std::vector<std::string> texts;
  for (const std::string &file : manifest->modules) {
    std::string path = directory + "/" + file;
    std::ifstream stream(path, std::ios::binary);
    if (!stream)
      return Error(path, ": cannot open: ", std::strerror(errno));
    texts.emplace_back(std::istreambuf_iterator<char>(stream),
                       std::istreambuf_iterator<char>());
  }
  auto program = create(std::move(*manifest), texts, std::move(device),
                        std::move(options));
  if (!program)
    return program.error().in(directory);
  return program;
}

Result<std::unique_ptr<ArtifactProgram>>
ArtifactProgram::create(Manifest manifest,
                        const std::vector<std::string> &modules,
                        DevicePtr device, ArtifactOptions options) {
  if (!device)
    return Error("there is no device to load the artifact onto");
  if (device->version != ROPEWALK_DEVICE_VERSION) {
    Error error("the device has table version ", device->version, ", expected ",
                ROPEWALK_DEVICE_VERSION);
    // A table of another layout must not be called, not even to free it.
    (void)device.release();
    return error;
  }
  if (Status status = manifest.validate(); !status)
    return status.error();
  if (modules.size() != manifest.modules.size())
    return Error("expected the text of ", manifest.modules.size(),
                 " modules, found ", modules.size());
  const char *chip = device->chip(device->self);
  if (!isCompatible(manifest.target, chip))
    return Error("the artifact is for ", manifest.target, ", the device '",
                 device->name(device->self), "' is ", chip);
  std::unique_ptr<ArtifactProgram> program(new ArtifactProgram(
      std::move(manifest), std::move(device), std::move(options)));
  if (Status status = program->loadModules(modules); !status)
    return status.error();
  if (Status status = program->uploadConstants(); !status)
    return status.error();
  return program;
}

Status ArtifactProgram::check(int code, std::string_view what) const {
  if (code == 0)
    return success();
  return Error(what, ": ", dev->last_error(dev->self));
}

Status ArtifactProgram::loadModules(const std::vector<std::string> &texts) {
  for (size_t i = 0; i < texts.size(); ++i) {
    void *module = nullptr;
    if (Status status = check(dev->load_module(dev->self, texts[i].data(),
                                               texts[i].size(), &module),
                              "module '" + description.modules[i] + "'");
        !status)
      return status;
    modules.push_back(module);
  }
  for (const Manifest::Kernel &kernel : description.kernels) {
    void *handle = nullptr;
    if (Status status = check(dev->get_kernel(dev->self, modules[kernel.module],
                                              kernel.name.c_str(), &handle),
                              concat("kernel '", kernel.name, "' of module '",
                                     description.modules[kernel.module], "'"));
        !status)
      return status;
    kernels.push_back(handle);
  }
  return success();
}

Result<uint64_t> ArtifactProgram::upload(const void *data, size_t bytes) {
  Result<uint64_t> address = allocate(bytes);
  if (!address)
    return address;
  if (Status status = write(*address, data, bytes); !status) {
    (void)release(*address);
    return status.error();
  }
  constantBytes += bytes;
  return address;
}

Status ArtifactProgram::uploadConstants() {
  for (const Manifest::Constant &constant : description.constants) {
    Result<uint64_t> address =
        upload(constant.data.data(), constant.data.size());
    if (!address)
      return address.error().in(concat("constant '", constant.name, "'"));
    constants.push_back(*address);
  }
  for (const Manifest::Table &table : description.tables) {
    Table &uploaded = tables.emplace_back();
    for (bool high : {false, true}) {
      std::vector<float> values = makeRotaryTable(
          table.inverseFrequencies, table.attentionFactor, table.unit, high);
      Result<uint64_t> address =
          upload(values.data(), values.size() * sizeof(float));
      if (!address)
        return address.error().in(concat("table '", table.name, "'"));
      (high ? uploaded.high : uploaded.low) = *address;
    }
  }
  return success();
}

std::string ArtifactProgram::deviceName() const { return dev->name(dev->self); }

int64_t ArtifactProgram::maximumCapacity() const {
  return description.tables.empty() ? std::numeric_limits<int32_t>::max()
                                    : kRotaryPositions;
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

Result<uint64_t> ArtifactProgram::allocate(size_t bytes) {
  uint64_t address = 0;
  if (Status status =
          check(dev->alloc(dev->self, std::max<size_t>(bytes, 1), &address),
                concat("cannot allocate ", bytes, " bytes of device memory"));
      !status)
    return status.error();
  return address;
}

Status ArtifactProgram::release(uint64_t address) {
  return check(dev->release(dev->self, address),
               "cannot release device memory");
}

Status ArtifactProgram::write(uint64_t destination, const void *source,
                              size_t bytes) {
  if (bytes == 0)
    return success();
  return check(dev->copy_in(dev->self, destination, source, bytes),
               concat("cannot copy ", bytes, " bytes to the device"));
}

Status ArtifactProgram::read(void *destination, uint64_t source, size_t bytes) {
  if (bytes == 0)
    return success();
  return check(dev->copy_out(dev->self, destination, source, bytes),
               concat("cannot copy ", bytes, " bytes from the device"));
}

Status ArtifactProgram::copy(uint64_t destination, uint64_t source,
                             size_t bytes) {
  if (bytes == 0)
    return success();
  return check(dev->copy(dev->self, destination, source, bytes),
               concat("cannot copy ", bytes, " bytes on the device"));
}

Status ArtifactProgram::fill(uint64_t destination, uint8_t value,
                             size_t bytes) {
  if (bytes == 0)
    return success();
  return check(dev->fill(dev->self, destination, value, bytes),
               concat("cannot fill ", bytes, " bytes on the device"));
}

Status ArtifactProgram::growArena(size_t bytes) {
  if (bytes <= arenaSize)
    return success();
  // Released first: the two would not always fit side by side.
  if (arena) {
    uint64_t old = std::exchange(arena, 0);
    arenaSize = 0;
    if (Status status = release(old); !status)
      return status;
  }
  Result<uint64_t> address = allocate(bytes);
  if (!address)
    return address.error().in("temporaries");
  arena = *address;
  arenaSize = bytes;
  return success();
}

//===----------------------------------------------------------------------===//
// Execution
//===----------------------------------------------------------------------===//

Status ArtifactProgram::launch(const std::string &entry, size_t number,
                               const LaunchPlan::Launch &launch,
                               std::span<const uint64_t> buffers) {
  const std::string &kernel = description.kernels[launch.kernel].name;
  if (options.onLaunch)
    options.onLaunch(entry, number, kernel);
  std::vector<uint64_t> values;
  values.reserve(launch.arguments.size());
  std::vector<void *> pointers;
  for (const LaunchPlan::Argument &argument : launch.arguments) {
    if (argument.type == Manifest::ParameterType::Pointer)
      values.push_back(buffers[argument.buffer] +
                       static_cast<uint64_t>(argument.offset));
    else
      values.push_back(argument.bits);
    pointers.push_back(&values.back());
  }
  int code = dev->launch(dev->self, kernels[launch.kernel], launch.grid,
                         launch.block, launch.shared, pointers.data());
  if (code == 0 && options.synchronizeLaunches)
    code = dev->synchronize(dev->self);
  if (code == 0)
    return success();
  return Error("entry '", entry, "', launch ", number, " (", kernel,
               "): ", dev->last_error(dev->self));
}

Result<std::vector<TensorView>>
ArtifactProgram::run(size_t index, std::span<const TensorView> arguments) {
  if (index >= description.entries.size())
    return Error("there is no entry ", index, ", the program has ",
                 description.entries.size());
  const EntrySignature &signature = description.signatures[index];
  const Manifest::Entry &entry = description.entries[index];
  Result<Bindings> sizes = bindSizes(signature, arguments);
  if (!sizes)
    return sizes.error();
  if (!plans[index] || !(plans[index]->sizes == *sizes)) {
    Result<LaunchPlan> made = LaunchPlan::make(description, index, *sizes);
    if (!made)
      return made.error();
    plans[index] = std::move(*made);
  }
  const LaunchPlan &plan = *plans[index];
  if (Status status = growArena(static_cast<size_t>(plan.memory.total));
      !status)
    return status.error();

  std::vector<uint64_t> buffers;
  for (size_t i = 0; i < entry.buffers.size(); ++i) {
    const Manifest::Buffer &buffer = entry.buffers[i];
    switch (buffer.kind) {
    case Manifest::Buffer::Kind::Argument:
      buffers.push_back(arguments[buffer.index].address);
      break;
    case Manifest::Buffer::Kind::Constant:
      buffers.push_back(constants[buffer.index]);
      break;
    case Manifest::Buffer::Kind::Table:
      buffers.push_back(buffer.high ? tables[buffer.index].high
                                    : tables[buffer.index].low);
      break;
    case Manifest::Buffer::Kind::Temporary:
      buffers.push_back(arena + static_cast<uint64_t>(plan.arenaOffsets[i]));
      break;
    }
  }
  for (size_t i = 0; i < plan.launches.size(); ++i)
    if (Status status = launch(signature.name, i, plan.launches[i], buffers);
        !status)
      return status.error();
  if (Status status = check(dev->synchronize(dev->self),
                            concat("entry '", signature.name, "'"));
      !status)
    return status.error();

  std::vector<TensorView> results;
  for (size_t i = 0; i < signature.results.size(); ++i)
    results.push_back({buffers[entry.resultBuffers[i]], plan.resultShapes[i]});
  return results;
}
