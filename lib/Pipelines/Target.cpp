//===- Target.cpp - Where a program runs ------------------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// For a device, the artifact is written to a temporary directory, loaded, and
// removed: a program keeps nothing on disk. So what runs in this process is
// what `ropewalk compile` writes.
//
//===----------------------------------------------------------------------===//

#include "Ropewalk/Pipelines/Target.h"

#include "Ropewalk/Codegen/GPU/Artifact.h"
#include "Ropewalk/Emulator/Device.h"
#include "Ropewalk/Pipelines/CPUPipeline.h"
#include "Ropewalk/Pipelines/GPUPipeline.h"
#include "Ropewalk/Runtime/CudaDevice.h"
#include "llvm/ADT/ScopeExit.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"

using namespace mlir;
using namespace ropewalk;
using runtime::DevicePtr;
using runtime::Error;
using runtime::Result;

Result<Target> Target::parse(StringRef text) {
  Target target;
  if (text == "cpu")
    return target;
  auto [kind, detail] = text.split(':');
  if (kind == "emulate" && !detail.empty()) {
    target.kind = Kind::Emulator;
    target.chip = detail.str();
    return target;
  }
  if (text == "cuda" ||
      (kind == "cuda" && !detail.getAsInteger(10, target.ordinal) &&
       target.ordinal >= 0)) {
    target.kind = Kind::CUDA;
    return target;
  }
  return Error("target: expected cpu, cuda, cuda:N or emulate:CHIP (sm_80, "
               "sm_90a), got '",
               text.str(), "'");
}

std::string Target::str() const {
  switch (kind) {
  case Kind::CPU:
    return "cpu";
  case Kind::Emulator:
    return "emulate:" + chip;
  case Kind::CUDA:
    return ordinal ? "cuda:" + std::to_string(ordinal) : "cuda";
  }
  llvm_unreachable("covered switch");
}

Result<DevicePtr> ropewalk::createDevice(const Target &target,
                                         unsigned threads) {
  RopewalkDevice *device = nullptr;
  if (target.kind == Target::Kind::CUDA) {
    RopewalkCudaOptions options = {};
    options.ordinal = target.ordinal;
    if (ropewalk_cuda_create(&options, &device) != 0)
      return Error("target ", target.str(), ": ", ropewalk_cuda_last_error());
    return DevicePtr(device);
  }
  if (target.kind == Target::Kind::Emulator) {
    std::string options = "{\"threads\": " + std::to_string(threads) + "}";
    if (ropewalk_emulator_create(target.chip.c_str(), options.c_str(),
                                 &device) != 0)
      return Error("target ", target.str(), ": ", ropewalk_emulator_error());
    return DevicePtr(device);
  }
  return Error("target ", target.str(), ": there is no such device");
}

/// The newest chip that code is made for and that `chip` can run.
static Result<std::string> chooseChip(StringRef chip) {
  std::string chosen;
  for (StringRef candidate : codegen::supportedTargets())
    if (runtime::isCompatible(candidate.str(), chip.str()))
      chosen = candidate.str();
  if (chosen.empty())
    return Error("chip ", chip.str(), ": code is made for ",
                 llvm::join(codegen::supportedTargets(), ", "));
  return chosen;
}

/// Compiles for `device`, through an artifact that exists only meanwhile.
static Result<std::unique_ptr<runtime::Program>>
compileForDevice(OwningOpRef<ModuleOp> module, DevicePtr device) {
  Result<std::string> chip = chooseChip(device->chip(device->self));
  if (!chip)
    return chip.error();
  SmallString<128> directory;
  if (std::error_code code =
          llvm::sys::fs::createUniqueDirectory("ropewalk", directory))
    return Error("cannot create a temporary directory: ", code.message());
  auto remove = llvm::scope_exit(
      [&] { (void)llvm::sys::fs::remove_directories(directory); });
  GPUPipelineOptions options;
  options.chip = *chip;
  // The device compiles the PTX itself.
  options.assemble = false;
  if (runtime::Status status =
          writeArtifact(std::move(module), directory, options);
      !status)
    return status.error();
  auto program =
      runtime::ArtifactProgram::load(directory.str().str(), std::move(device));
  if (!program)
    return program.error();
  return *std::move(program);
}

Result<std::unique_ptr<runtime::Program>>
ropewalk::compileProgram(OwningOpRef<ModuleOp> module, const Target &target,
                         unsigned threads) {
  if (target.kind == Target::Kind::CPU) {
    CPUProgramOptions options;
    options.threads = threads;
    return createCPUProgram(std::move(module), options);
  }
  Result<DevicePtr> device = createDevice(target, threads);
  if (!device)
    return device.error();
  return compileForDevice(std::move(module), *std::move(device));
}
