//===- Module.h - A parsed PTX module ---------------------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A PTX module, parsed and decoded once. Everything in its text that the
// emulator does not implement is an error here, never at run time. A module is
// immutable and is shared by any number of devices and launches.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_EMULATOR_MODULE_H
#define ROPEWALK_EMULATOR_MODULE_H

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace ropewalk::emulator {

/// A place in a PTX text; both numbers start at 1, 0 means unknown.
struct SourceLocation {
  uint32_t line = 0;
  uint32_t column = 0;
};

/// Why a PTX text was refused.
struct Error {
  std::string message;
  SourceLocation location;

  /// "line:column: message".
  std::string str() const;
};

/// Extents of a grid, or of a block in threads.
struct Dim3 {
  uint32_t x = 1, y = 1, z = 1;

  uint64_t count() const { return uint64_t(x) * y * z; }
};

/// One parameter of a kernel. Sizes are in bytes.
struct Parameter {
  std::string name;
  std::string type; ///< PTX type without the dot: "u64", "f32", "b8".
  bool isPointer = false;
  uint32_t size = 0;
  uint32_t alignment = 1;
  uint32_t offset = 0; ///< In the kernel's parameter block.
};

/// What a launch has to know of a kernel.
struct KernelInfo {
  std::string name;
  std::vector<Parameter> parameters;
  uint32_t parameterBytes = 0;
  uint32_t staticSharedBytes = 0;
  bool usesDynamicShared = false;
  uint32_t localBytes = 0; ///< Per thread.
  /// From .maxntid and .reqntid; a count of 0 means no bound.
  Dim3 maxThreads{0, 0, 0};
  Dim3 requiredThreads{0, 0, 0};
  /// From .reqnctapercluster, in blocks; a count of 0 means none.
  Dim3 requiredCluster{0, 0, 0};
  uint32_t maxClusterRank = 0;     ///< .maxclusterrank; 0 means no bound.
  bool hasExplicitCluster = false; ///< .explicitcluster
  /// .minnctapersm and .maxnreg; 0 means none. They change no result.
  uint32_t minBlocksPerMultiprocessor = 0;
  uint32_t maxRegisters = 0;
};

struct Program;
struct ModuleData;

/// A kernel: its description and its decoded code. Lives as long as its module.
struct Kernel {
  KernelInfo info;
  std::unique_ptr<const Program> program;
  const ModuleData *module = nullptr;

  Kernel();
  Kernel(Kernel &&) noexcept;
  ~Kernel();
};

/// A loaded PTX text.
class Module {
public:
  /// Parses and decodes `ptx`. Returns null and sets `error` on failure.
  static std::shared_ptr<const Module> parse(std::string_view ptx,
                                             Error &error);
  ~Module();

  const std::vector<Kernel> &kernels() const { return entries; }
  /// Null if there is no entry of that name.
  const Kernel *find(std::string_view name) const;
  /// The chip after .target, "sm_80" for example.
  const std::string &target() const;
  const ModuleData &data() const { return *contents; }

private:
  Module();

  std::unique_ptr<ModuleData> contents;
  std::vector<Kernel> entries;
};

/// A Markdown table of all opcodes of PTX ISA 9.0: family, whether the emulator
/// executes them, and in which forms or why not.
std::string describeInstructionSet();

/// Whether code for `target` runs on `chip` ("sm_80", "sm_90a"). Otherwise says
/// why in `reason`.
bool targetRunsOn(std::string_view target, std::string_view chip,
                  std::string &reason);

} // namespace ropewalk::emulator

#endif // ROPEWALK_EMULATOR_MODULE_H
