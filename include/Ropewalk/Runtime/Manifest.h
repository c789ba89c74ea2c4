//===- Manifest.h - The description of a compiled artifact ------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// manifest.json of an artifact directory, as a structure: kernels, constants,
// rotary tables and, per entry, the plan of launches over buffers. Parsing is
// strict: every key is checked, an unknown key, version or format is refused,
// and a message begins with the path of what is wrong
// ("entries[0].launches[3].args[2]: ...").
//
// Kernels, constants, tables and arguments are referred to by name in the file
// and by index here. A buffer's number is its index in `buffers`.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_RUNTIME_MANIFEST_H
#define ROPEWALK_RUNTIME_MANIFEST_H

#include "Ropewalk/Runtime/Program.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ropewalk::runtime {

struct Manifest {
  static constexpr std::string_view kFormat = "ropewalk.artifact";
  static constexpr int64_t kVersion = 1;

  enum class ParameterType : uint8_t { Pointer, I32, I64, F32 };

  struct KernelParameter {
    std::string name;
    ParameterType type = ParameterType::Pointer;
  };

  struct Kernel {
    std::string name;
    /// Index into `modules`.
    size_t module = 0;
    std::array<int64_t, 3> block = {1, 1, 1};
    /// Bytes of static shared memory.
    int64_t staticShared = 0;
    /// What the assembler reported, where one was run.
    std::optional<int64_t> registers, spillBytes, stackBytes;
    std::vector<KernelParameter> parameters;
  };

  struct Constant {
    std::string name;
    ElementType type = ElementType::I64;
    std::vector<int64_t> shape;
    /// Dense, row-major.
    std::vector<std::byte> data;
  };

  /// A rotary embedding, from which the two-level table is made (Rotary.h).
  struct Table {
    std::string name;
    /// One per rotary pair.
    std::vector<double> inverseFrequencies;
    double attentionFactor = 1;
    /// Positions are multiples of 1/unit.
    int64_t unit = 1;
  };

  struct Buffer {
    enum class Kind : uint8_t { Argument, Constant, Table, Temporary };
    Kind kind = Kind::Temporary;
    /// Index of the argument, constant or table.
    size_t index = 0;
    /// The coarse level of a table instead of the fine one.
    bool high = false;
    /// Of a temporary: its size, and the launches of its first write and its
    /// last read.
    Expression bytes;
    int64_t first = 0, last = 0;
  };

  struct LaunchArgument {
    ParameterType type = ParameterType::Pointer;
    /// Of a pointer.
    size_t buffer = 0;
    /// Of a pointer its offset in bytes; of an integer its value.
    Expression value;
    float number = 0;
  };

  struct Launch {
    /// Index into `kernels`.
    size_t kernel = 0;
    std::array<Expression, 3> grid;
    std::array<int64_t, 3> block = {1, 1, 1};
    /// Bytes of dynamic shared memory.
    Expression shared;
    std::vector<LaunchArgument> arguments;
    /// Buffers.
    std::vector<size_t> reads, writes;
  };

  /// A condition on the sizes; 0 is failure.
  struct Check {
    Expression expression;
    std::string message;
  };

  struct Entry {
    /// Names of the sizes that the arguments' shapes bind.
    std::vector<std::string> sizes;
    std::vector<Buffer> buffers;
    /// Of every result of the signature, its buffer.
    std::vector<size_t> resultBuffers;
    std::vector<Launch> launches;
    std::vector<Check> checks;
  };

  std::string producer;
  /// Chip that the modules were made for: "sm_80", "sm_90a", ...
  std::string target;
  /// The JSON object that describes the model, as text.
  std::string model = "{}";
  /// Plain file names, relative to the manifest.
  std::vector<std::string> modules;
  std::vector<Kernel> kernels;
  std::vector<Constant> constants;
  std::vector<Table> tables;
  /// Signatures and plans of the entries, in the same order.
  std::vector<EntrySignature> signatures;
  std::vector<Entry> entries;

  /// Parses the text of a manifest. References are resolved; whether the plan
  /// makes sense is `validate`'s business.
  static Result<Manifest> parse(std::string_view text);

  /// Reads, parses and validates DIRECTORY/manifest.json; errors name the file.
  static Result<Manifest> load(const std::string &directory);

  /// Checks what a correct compiler guarantees, so that a wrong or damaged plan
  /// is refused before it runs: every launch passes what its kernel takes and
  /// fits into a block, every buffer is written before it is read and used only
  /// within its lifetime, nothing writes to what is read-only, results are
  /// written, and expressions use only the entry's sizes.
  Status validate() const;
};

} // namespace ropewalk::runtime

#endif // ROPEWALK_RUNTIME_MANIFEST_H
