//===- Emulator.h - Device memory and launches ------------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A device that executes PTX on the host. Memory is a set of tracked buffers at
// 64-bit device addresses that are never reused and do not touch, so stale and
// stray addresses are caught. One device is used from one thread at a time.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_EMULATOR_EMULATOR_H
#define ROPEWALK_EMULATOR_EMULATOR_H

#include "Ropewalk/Emulator/Counters.h"
#include "Ropewalk/Emulator/Module.h"

#include <atomic>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <variant>

namespace ropewalk::emulator {

enum class ReportKind : uint8_t {
  InvalidLaunch,
  OutOfBounds,
  Misaligned,
  UseAfterFree,
  UninitializedMemory,
  UninitializedRegister,
  SharedRace,
  BarrierDivergence,
  Deadlock,
  InstructionBudget,
  Trap,
  WarpSync, ///< A .sync instruction with a wrong member mask.
  ReadOnlyWrite,
  Unsupported,
  GlobalRace,
  ProxyRace,       ///< A proxy fence is missing between two accesses.
  AsyncHazard,     ///< A result used, or a source changed, before the wait.
  MbarrierMisuse,  ///< Wrong count or phase, or no barrier there.
  TensorMapMisuse, ///< A tensor map that does not fit its use.
  RegisterBudget,  ///< setmaxnreg beyond what the block has.
  ClusterMisuse,   ///< A rank that is not there, a block that has exited.
  RegisterHazard,  ///< A register in the hands of an asynchronous operation.
  Cancelled,       ///< See LaunchOptions::cancel.
};

/// Lower-case name with dashes, "out-of-bounds" for example.
const char *name(ReportKind kind);

/// Why a launch stopped. `lane` is the lowest lane at fault; -1 where a lane,
/// a warp or a block does not apply.
struct Report {
  ReportKind kind = ReportKind::InvalidLaunch;
  std::string kernel;
  std::string detail;
  SourceLocation location;
  int64_t block = -1; ///< Linear index, x fastest.
  Dim3 blockIndex{0, 0, 0};
  int warp = -1;
  int lane = -1;
  bool hasAddress = false;
  uint64_t address = 0;
  /// Source file and position of the instruction, from .loc; "" if unknown.
  std::string source;
  /// Where that code was inlined, likewise; the innermost place first.
  std::vector<std::string> inlinedAt;
  /// The other party of a race or hazard; block -1 if there is none, lane -1
  /// where all lanes of the warp took part.
  struct Party {
    int64_t block = -1;
    int warp = -1;
    int lane = -1;
    SourceLocation location;
    std::string source; ///< As that of the report.
  } other;

  /// The report in one line (more for a deadlock: one per waiting warp).
  std::string str() const;
};

struct LaunchOptions {
  /// Host threads that blocks are spread over; 0 means one per host core.
  /// Kernels with atomics on global memory run on one, so that results do not
  /// depend on timing.
  unsigned threads = 1;
  /// Warp instructions that one block may execute.
  uint64_t instructionBudget = uint64_t(1) << 40;
  bool checkUninitializedMemory = true;
  bool checkUninitializedRegisters = true;
  bool checkRaces = true;
  /// 0 runs warps in a fixed order. Other values choose the order of warps, the
  /// length of their turns and the delay of asynchronous operations.
  uint64_t scheduleSeed = 0;
  /// Blocks of a cluster; 1x1x1 leaves it to the kernel's own declaration.
  Dim3 cluster;
  /// Registers of a thread when the kernel starts, for setmaxnreg; 0 takes what
  /// the kernel's bounds leave to a thread of the chip.
  uint32_t registersPerThread = 0;
  /// Becomes true when the launch has to end early, with the report Cancelled.
  const std::atomic<bool> *cancel = nullptr;
};

/// Counters of a launch that ended well, or the report of one that did not.
class LaunchResult {
public:
  LaunchResult(Counters counters) : value(std::move(counters)) {}
  LaunchResult(Report report) : value(std::move(report)) {}

  explicit operator bool() const { return value.index() == 0; }
  const Counters &counters() const { return *std::get_if<Counters>(&value); }
  const Report &report() const { return *std::get_if<Report>(&value); }
  /// What the kernel's printf wrote, by block in the order of the grid; also
  /// the text up to a failure.
  std::string output;

private:
  std::variant<Counters, Report> value;
};

struct DeviceMemory;
struct MemoryImage;

class Device {
public:
  Device();
  ~Device();
  Device(const Device &) = delete;
  Device &operator=(const Device &) = delete;

  /// Memory operations return false, and `error()` says why, on a bad range.
  /// `allocate` returns an address aligned to 256, or 0 when the host has no
  /// memory left.
  uint64_t allocate(size_t bytes);
  bool free(uint64_t address);
  bool copyIn(uint64_t destination, const void *source, size_t bytes);
  bool copyOut(void *destination, uint64_t source, size_t bytes);
  bool copy(uint64_t destination, uint64_t source, size_t bytes);
  bool fill(uint64_t destination, uint8_t value, size_t bytes);
  const std::string &error() const { return lastError; }

  /// Creates the module's global variables with their initial values. A launch
  /// does it on first use.
  bool load(const Module &module);
  /// Frees the module's global variables.
  void unload(const Module &module);
  /// Address and size in bytes of a global variable of a loaded module.
  std::optional<std::pair<uint64_t, size_t>>
  findGlobal(const Module &module, std::string_view name) const;

  /// Runs `kernel` to its end. `arguments[i]` holds the bytes of parameter i;
  /// `dynamicShared` is in bytes.
  LaunchResult launch(const Kernel &kernel, Dim3 grid, Dim3 block,
                      size_t dynamicShared,
                      std::span<const std::span<const std::byte>> arguments,
                      const LaunchOptions &options = {});

  /// Keeps what all buffers hold; null if the host has no memory left.
  /// `restore` brings it back, and takes away the buffers and modules that are
  /// not in the image.
  std::shared_ptr<const MemoryImage> save() const;
  bool restore(const MemoryImage &image);

private:
  bool load(const ModuleData &module);

  std::unique_ptr<DeviceMemory> memory;
  std::string lastError;
};

} // namespace ropewalk::emulator

#endif // ROPEWALK_EMULATOR_EMULATOR_H
