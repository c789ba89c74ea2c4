//===- Program.h - A compiled model that can be run -------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What a session needs of a compiled model, wherever it runs: entry points with
// typed, symbolically shaped arguments, memory that they can work on, and a way
// to call them. A program holds no weights and no caches; the caller owns all
// arguments, the program owns the results until its next run.
//
// Tensors are dense and row-major. An address belongs to the program's memory;
// in a program with `isHostMemory()` it is a pointer, and memory of the caller
// (a mapped file) may be passed as an argument where it is.
//
// A program is used from one thread at a time.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_RUNTIME_PROGRAM_H
#define ROPEWALK_RUNTIME_PROGRAM_H

#include "Ropewalk/Runtime/ElementType.h"
#include "Ropewalk/Runtime/Expression.h"
#include "Ropewalk/Runtime/Result.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace ropewalk::runtime {

enum class ArgumentKind : uint8_t {
  Input,     ///< given anew at every call (token ids, offsets)
  Weight,    ///< a tensor of the checkpoint, read only
  Cache,     ///< state between calls; read, and written when `updated`
  Parameter, ///< a run-time parameter of a position map, read only
};

/// "input", "weight", "cache" or "parameter".
std::string_view name(ArgumentKind kind);
std::optional<ArgumentKind> parseArgumentKind(std::string_view name);

/// An argument of an entry.
struct Argument {
  std::string name;
  ArgumentKind kind = ArgumentKind::Input;
  ElementType type = ElementType::F32;
  /// A bare symbol is bound by the concrete shape; other expressions must agree
  /// with it.
  std::vector<Expression> shape;
  /// A cache that the entry writes in place.
  bool updated = false;
  /// Smallest value that a parameter may have, where the program knows one.
  std::optional<int64_t> minimum;
};

/// A result of an entry. Updated caches are not results.
struct ResultSignature {
  std::string name;
  ElementType type = ElementType::F32;
  std::vector<Expression> shape;
};

/// The signature of an entry point.
struct EntrySignature {
  std::string name;
  std::vector<Argument> arguments;
  std::vector<ResultSignature> results;

  /// Null when there is no such argument.
  const Argument *findArgument(std::string_view argument) const;
  /// Index of a result; -1 when there is none of that name.
  int findResult(std::string_view result) const;
};

/// A dense row-major tensor in a program's memory.
struct TensorView {
  uint64_t address = 0;
  std::vector<int64_t> shape;
};

/// Binds the symbols of `entry` to the shapes of `arguments` (in the order of
/// the signature): first every bare symbol, then all expressions are compared.
/// Errors name the argument, its dimension, the expected and the actual size.
Result<Bindings> bindSizes(const EntrySignature &entry,
                           std::span<const TensorView> arguments);

/// Evaluates a symbolic shape; a negative dimension is an error.
Result<std::vector<int64_t>> evaluateShape(std::span<const Expression> shape,
                                           const Bindings &bindings);

class Program {
public:
  virtual ~Program();

  /// Entry points; fixed during the life of the program.
  virtual std::span<const EntrySignature> entries() const = 0;
  /// Null when there is no such entry.
  const EntrySignature *findEntry(std::string_view name) const;

  /// Where it runs, for reports: "cpu" or "emulator sm_80" for example.
  virtual std::string deviceName() const = 0;
  /// The JSON object that describes the model (vocabulary_size, layers, ...);
  /// "{}" when nothing is known. Informative.
  virtual std::string modelDescription() const { return "{}"; }
  /// Largest number of slots of a cache, 2^24 in programs that rotate with
  /// tables.
  virtual int64_t maximumCapacity() const { return int64_t(1) << 24; }

  //===--------------------------------------------------------------------===//
  // Memory
  //===--------------------------------------------------------------------===//

  /// Whether addresses are pointers of this process.
  virtual bool isHostMemory() const = 0;
  /// At least `bytes` bytes, aligned to 64 at least; contents are undefined.
  /// Zero bytes are allowed and give an address that may only be released.
  virtual Result<uint64_t> allocate(size_t bytes) = 0;
  /// Releases what `allocate` gave.
  virtual Status release(uint64_t address) = 0;
  virtual Status write(uint64_t destination, const void *source,
                       size_t bytes) = 0;
  virtual Status read(void *destination, uint64_t source, size_t bytes) = 0;
  /// Within the program's memory; the ranges do not overlap.
  virtual Status copy(uint64_t destination, uint64_t source, size_t bytes) = 0;
  virtual Status fill(uint64_t destination, uint8_t value, size_t bytes) = 0;
  /// Memory that the program itself holds: temporaries, constants, tables.
  virtual size_t residentBytes() const { return 0; }

  //===--------------------------------------------------------------------===//
  // Execution
  //===--------------------------------------------------------------------===//

  /// Runs the entry `index` of `entries()` on `arguments`, in the order of its
  /// signature, and waits for it. Shapes are checked against the signature.
  /// Updated caches are written in place. The results are in the order of the
  /// signature, in the program's memory, valid until the next call of `run`
  /// and not to be released by the caller.
  virtual Result<std::vector<TensorView>>
  run(size_t index, std::span<const TensorView> arguments) = 0;
};

/// The memory half of a program whose memory is this process's own.
class HostProgram : public Program {
public:
  ~HostProgram() override;
  bool isHostMemory() const final { return true; }
  Result<uint64_t> allocate(size_t bytes) final;
  Status release(uint64_t address) final;
  Status write(uint64_t destination, const void *source, size_t bytes) final;
  Status read(void *destination, uint64_t source, size_t bytes) final;
  Status copy(uint64_t destination, uint64_t source, size_t bytes) final;
  Status fill(uint64_t destination, uint8_t value, size_t bytes) final;

private:
  std::unordered_map<uint64_t, size_t> allocations;
};

} // namespace ropewalk::runtime

#endif // ROPEWALK_RUNTIME_PROGRAM_H
