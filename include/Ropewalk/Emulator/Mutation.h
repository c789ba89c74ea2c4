//===- Mutation.h - Kernels with one synchronization less -------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A mutation test of a kernel: takes one synchronization away, or makes it
// weaker, and runs what is left. A mutant that nobody notices stands for a
// synchronization that the kernel does not need, or for a mistake that the
// emulator does not see.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_EMULATOR_MUTATION_H
#define ROPEWALK_EMULATOR_MUTATION_H

#include "Ropewalk/Emulator/Emulator.h"

#include <functional>

namespace ropewalk::emulator {

/// A change of one instruction of a PTX text.
struct Mutant {
  SourceLocation location; ///< Of the opcode.
  std::string text;        ///< The instruction, in one line.
  std::string mutation;    ///< "deleted", ".acquire -> .relaxed"
  /// `length` characters at `offset` become `replacement`. Ordered by offset.
  struct Edit {
    size_t offset = 0, length = 0;
    std::string replacement;
  };
  std::vector<Edit> edits;
};

/// The mutants of everything that `entry` executes, functions that it calls
/// included, in the order of the text: each synchronization deleted, waits for
/// groups with one more group left pending, and memory orders and scopes one
/// step weaker. Sets `error` and returns nothing if the text does not load or
/// has no such entry.
std::vector<Mutant> listMutants(std::string_view ptx, std::string_view entry,
                                Error &error);

/// The text with the mutant's edits. No line moves.
std::string applyMutant(std::string_view ptx, const Mutant &mutant);

enum class MutantOutcome : uint8_t {
  Reported,    ///< The sanitizer stopped the kernel.
  Deadlock,    ///< It did not end, which counts as reported.
  WrongResult, ///< It ended with other results.
  Unnoticed,   ///< It ended with the right results under every seed.
  Invalid,     ///< The text does not load.
  NotExecuted  ///< The kernel does not come to the instruction.
};
constexpr size_t MutantOutcomeCount = 6;

/// "reported", "deadlock", "wrong result", "unnoticed", "invalid" or "not
/// executed".
const char *name(MutantOutcome outcome);

struct MutationRow {
  Mutant mutant;
  MutantOutcome outcome = MutantOutcome::NotExecuted;
  uint64_t seed = 0;  ///< The schedule that showed it.
  Report report;      ///< Of Reported and Deadlock.
  std::string detail; ///< Why Invalid, or where the result differs.

  /// "reported: shared-race", "deadlock", ...
  std::string outcomeText() const;
};

struct MutationTable {
  std::vector<MutationRow> rows;
  /// The unmutated kernel's report if it has one, and then no rows.
  std::optional<Report> failure;
  /// What its printf had written by then.
  std::string output;
  /// Why there are no rows, if not for a report.
  std::string reason;

  size_t count(MutantOutcome outcome) const;
  /// "12 mutants: 9 reported, 1 deadlock, ...".
  std::string summary() const;
  /// The head of the table and one of its rows, as lines.
  static std::string header();
  static std::string line(const MutationRow &row);
  std::string json() const;
};

/// A buffer whose elements are compared as floating-point numbers.
struct FloatBuffer {
  enum Type : uint8_t { F16, BF16, F32, F64 };
  uint64_t address = 0;
  uint64_t bytes = 0;
  Type type = F32;
};

struct MutationOptions {
  /// Of every run. The seed is not looked at, and the budget of a mutant is 20
  /// times what the kernel executes, and at least 2^20.
  LaunchOptions launch;
  /// Schedules: 0 to seeds - 1. At least 1.
  unsigned seeds = 4;
  /// Elements of `floats` may differ by `tolerance` * max(1, |expected|).
  /// Everything else is compared bit by bit.
  double tolerance = 0;
  std::vector<FloatBuffer> floats;
  /// Called for each row as soon as it is there; may be empty.
  std::function<void(const MutationRow &)> onRow;
};

/// Runs `entry` of `ptx` and all of its mutants on the device's memory, which
/// is as before afterwards. Expected are the buffers that the unmutated kernel
/// leaves under schedule 0; global variables of the module are not compared.
MutationTable mutate(Device &device, std::string_view ptx,
                     std::string_view entry, Dim3 grid, Dim3 block,
                     size_t dynamicShared,
                     std::span<const std::span<const std::byte>> arguments,
                     const MutationOptions &options = {});

} // namespace ropewalk::emulator

#endif // ROPEWALK_EMULATOR_MUTATION_H
