//===- Mutation.cpp - Kernels with one synchronization less -----*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A mutant runs under one schedule after the other until the sanitizer reports
// something: a report says more than a wrong result. The unmutated kernel has
// to end well, and with the same results, under all of them.
//
//===----------------------------------------------------------------------===//

#include "Ropewalk/Emulator/Mutation.h"
#include "JsonText.h"
#include "MemoryImage.h"
#include "Program.h"
#include "Rounding.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <map>

using namespace ropewalk::emulator;

namespace {

/// Warp instructions that a mutant may execute, as a multiple of the kernel's.
constexpr uint64_t BudgetFactor = 20;
/// At least these, which polls may need under another schedule.
constexpr uint64_t LeastBudget = uint64_t(1) << 20;

double element(FloatBuffer::Type type, const std::byte *data) {
  switch (type) {
  case FloatBuffer::F16:
  case FloatBuffer::BF16: {
    uint16_t bits;
    std::memcpy(&bits, data, sizeof bits);
    return decodeFloat(bits, type == FloatBuffer::F16 ? Half : BFloat);
  }
  case FloatBuffer::F32: {
    float value;
    std::memcpy(&value, data, sizeof value);
    return value;
  }
  case FloatBuffer::F64:
    break;
  }
  double value;
  std::memcpy(&value, data, sizeof value);
  return value;
}

size_t sizeOf(FloatBuffer::Type type) {
  return type == FloatBuffer::F64 ? 8 : type == FloatBuffer::F32 ? 4 : 2;
}

bool isClose(double value, double expected, double tolerance) {
  if (value == expected || (value != value && expected != expected))
    return true;
  return std::fabs(value - expected) <=
         tolerance * std::max(1.0, std::fabs(expected));
}

Report outOfMemory() {
  Report report;
  report.kind = ReportKind::InvalidLaunch;
  report.detail = "the host has no memory left for copies of the buffers";
  return report;
}

class Runner {
public:
  Runner(Device &device, std::string_view entry, Dim3 grid, Dim3 block,
         size_t shared, std::span<const std::span<const std::byte>> arguments,
         const MutationOptions &options)
      : device(device), entry(entry), grid(grid), block(block), shared(shared),
        arguments(arguments), options(options) {}
  ~Runner() {
    if (before)
      device.restore(*before);
  }

  /// Runs the unmutated kernel; sets the table's failure or reason.
  bool runOriginal(std::string_view ptx, MutationTable &table);
  void runMutant(std::string_view ptx, MutationRow &row);

private:
  LaunchResult run(const Kernel &kernel, uint64_t seed);
  /// Where memory differs from what is expected; empty if nowhere.
  std::string difference() const;
  std::string difference(uint64_t base, const MemoryImage::Content &expected,
                         const MemoryImage::Content &found) const;

  Device &device;
  std::string_view entry;
  Dim3 grid, block;
  size_t shared;
  std::span<const std::span<const std::byte>> arguments;
  const MutationOptions &options;
  std::shared_ptr<const MemoryImage> before, expected;
  uint64_t budget = 0; ///< Of a mutant.
  /// Executions by lanes, by place in the text.
  std::map<std::pair<uint32_t, uint32_t>, uint64_t> executed;
};

LaunchResult Runner::run(const Kernel &kernel, uint64_t seed) {
  if (!device.restore(*before))
    return outOfMemory();
  LaunchOptions launch = options.launch;
  launch.scheduleSeed = seed;
  if (budget)
    launch.instructionBudget = budget;
  return device.launch(kernel, grid, block, shared, arguments, launch);
}

std::string Runner::difference(uint64_t base,
                               const MemoryImage::Content &expected,
                               const MemoryImage::Content &found) const {
  const FloatBuffer *floats = nullptr;
  for (const FloatBuffer &candidate : options.floats)
    if (candidate.address >= base && candidate.address - base < expected.size)
      floats = &candidate;
  uint64_t begin = floats ? floats->address - base : 0;
  uint64_t end = floats ? std::min(begin + floats->bytes, expected.size) : 0;
  const std::byte *e = expected.data.get(), *f = found.data.get();
  for (uint64_t i = 0; i < expected.size;) {
    size_t size = i >= begin && i < end ? sizeOf(floats->type) : 1;
    if (size > end - i)
      size = 1;
    if (std::memcmp(e + i, f + i, size) != 0) {
      std::string place = "byte " + std::to_string(i) + " of the buffer of " +
                          std::to_string(expected.size) + " bytes";
      if (size == 1)
        return place + " is " + std::to_string(unsigned(f[i])) + ", expected " +
               std::to_string(unsigned(e[i]));
      double want = element(floats->type, e + i);
      double got = element(floats->type, f + i);
      if (!isClose(got, want, options.tolerance)) {
        char text[96];
        std::snprintf(text, sizeof text, " is %g, expected %g", got, want);
        return place + text;
      }
    }
    i += size;
  }
  return {};
}

std::string Runner::difference() const {
  auto found = device.save();
  if (!found)
    return outOfMemory().detail;
  for (const auto &[base, content] : expected->buffers) {
    // Only what was there before: addresses of others may be different.
    if (!before->buffers.count(base))
      continue;
    const MemoryImage::Content &now = found->buffers.at(base);
    if (!content.data || !now.data ||
        std::memcmp(content.data.get(), now.data.get(), content.size) == 0)
      continue;
    if (std::string text = difference(base, content, now); !text.empty())
      return text;
  }
  return {};
}

bool Runner::runOriginal(std::string_view ptx, MutationTable &table) {
  Error error;
  auto module = Module::parse(ptx, error);
  const Kernel *kernel = module ? module->find(entry) : nullptr;
  if (!kernel) {
    table.reason =
        module ? "no entry '" + std::string(entry) + "'" : error.str();
    return false;
  }
  if (!(before = device.save())) {
    table.failure = outOfMemory();
    return false;
  }
  for (uint64_t seed = 0; seed < options.seeds; ++seed) {
    LaunchResult result = run(*kernel, seed);
    if (!result) {
      table.failure = result.report();
      table.output = std::move(result.output);
      return false;
    }
    if (seed == 0) {
      if (!(expected = device.save())) {
        table.failure = outOfMemory();
        return false;
      }
      const auto &code = kernel->program->code;
      for (size_t i = 0; i < code.size(); ++i)
        executed[{code[i].location.line, code[i].location.column}] +=
            result.counters().lines[i].laneInstructions;
      budget = std::max<uint64_t>(
          LeastBudget, result.counters().warpInstructions * BudgetFactor);
      continue;
    }
    if (std::string text = difference(); !text.empty()) {
      table.reason = "the kernel's own results depend on the schedule: under "
                     "seed " +
                     std::to_string(seed) + " " + text +
                     "; allow for it with a tolerance";
      return false;
    }
  }
  return true;
}

void Runner::runMutant(std::string_view ptx, MutationRow &row) {
  const SourceLocation &place = row.mutant.location;
  if (executed[{place.line, place.column}] == 0)
    return;
  Error error;
  auto module = Module::parse(applyMutant(ptx, row.mutant), error);
  const Kernel *kernel = module ? module->find(entry) : nullptr;
  if (!kernel) {
    row.outcome = MutantOutcome::Invalid;
    row.detail = error.str();
    return;
  }
  row.outcome = MutantOutcome::Unnoticed;
  for (uint64_t seed = 0; seed < options.seeds; ++seed) {
    LaunchResult result = run(*kernel, seed);
    if (!result) {
      ReportKind kind = result.report().kind;
      bool isStuck =
          kind == ReportKind::Deadlock || kind == ReportKind::InstructionBudget;
      row.outcome = isStuck ? MutantOutcome::Deadlock : MutantOutcome::Reported;
      row.report = result.report();
      row.seed = seed;
      row.detail.clear();
      return;
    }
    if (row.outcome == MutantOutcome::WrongResult)
      continue;
    if (row.detail = difference(); !row.detail.empty()) {
      row.outcome = MutantOutcome::WrongResult;
      row.seed = seed;
    }
  }
}

bool isCancelled(const MutationOptions &options) {
  return options.launch.cancel && options.launch.cancel->load();
}

} // namespace

const char *ropewalk::emulator::name(MutantOutcome outcome) {
  static const char *const names[] = {"reported",  "deadlock", "wrong result",
                                      "unnoticed", "invalid",  "not executed"};
  static_assert(std::size(names) == MutantOutcomeCount);
  return names[size_t(outcome)];
}

std::string MutationRow::outcomeText() const {
  std::string text = name(outcome);
  if (outcome == MutantOutcome::Reported)
    text += std::string(": ") + ropewalk::emulator::name(report.kind);
  if (outcome == MutantOutcome::Deadlock &&
      report.kind == ReportKind::InstructionBudget)
    text += ": does not end";
  return text;
}

size_t MutationTable::count(MutantOutcome outcome) const {
  return size_t(
      std::count_if(rows.begin(), rows.end(), [&](const MutationRow &row) {
        return row.outcome == outcome;
      }));
}

std::string MutationTable::summary() const {
  std::string text = std::to_string(rows.size()) +
                     (rows.size() == 1 ? " mutant: " : " mutants: ");
  for (size_t i = 0; i < MutantOutcomeCount; ++i)
    text += (i ? ", " : "") + std::to_string(count(MutantOutcome(i))) + " " +
            name(MutantOutcome(i));
  return text;
}

std::string MutationTable::header() {
  return "  line  outcome                            mutation                  "
         "instruction\n";
}

std::string MutationTable::line(const MutationRow &row) {
  char text[128];
  std::snprintf(text, sizeof text, "%6u  %-33s  %-24s  ",
                row.mutant.location.line, row.outcomeText().c_str(),
                row.mutant.mutation.c_str());
  return text + row.mutant.text + "\n";
}

std::string MutationTable::json() const {
  std::string text = "{\"mutants\": [";
  for (const MutationRow &row : rows) {
    bool hasReport = row.outcome == MutantOutcome::Reported ||
                     row.outcome == MutantOutcome::Deadlock;
    bool hasSeed = hasReport || row.outcome == MutantOutcome::WrongResult;
    text += (&row == rows.data() ? "" : ", ");
    text +=
        "{\"line\": " + std::to_string(row.mutant.location.line) +
        ", \"column\": " + std::to_string(row.mutant.location.column) +
        ", \"text\": " + quoted(row.mutant.text) +
        ", \"mutation\": " + quoted(row.mutant.mutation) +
        ", \"outcome\": " + quoted(name(row.outcome)) + ", \"kind\": " +
        (hasReport ? quoted(ropewalk::emulator::name(row.report.kind))
                   : "null") +
        ", \"seed\": " + (hasSeed ? std::to_string(row.seed) : "null") +
        ", \"detail\": " + quoted(hasReport ? row.report.str() : row.detail) +
        "}";
  }
  text += "], \"summary\": {";
  for (size_t i = 0; i < MutantOutcomeCount; ++i)
    text += (i ? ", " : "") + quoted(name(MutantOutcome(i))) + ": " +
            std::to_string(count(MutantOutcome(i)));
  return text + "}}";
}

MutationTable ropewalk::emulator::mutate(
    Device &device, std::string_view ptx, std::string_view entry, Dim3 grid,
    Dim3 block, size_t dynamicShared,
    std::span<const std::span<const std::byte>> arguments,
    const MutationOptions &options) {
  MutationTable table;
  if (options.seeds == 0) {
    table.reason = "seeds: expected at least 1, got 0";
    return table;
  }
  Runner runner(device, entry, grid, block, dynamicShared, arguments, options);
  if (!runner.runOriginal(ptx, table))
    return table;
  Error error;
  for (Mutant &mutant : listMutants(ptx, entry, error)) {
    MutationRow &row = table.rows.emplace_back();
    row.mutant = std::move(mutant);
    runner.runMutant(ptx, row);
    if (isCancelled(options)) {
      table.rows.clear();
      table.failure = Report();
      table.failure->kind = ReportKind::Cancelled;
      table.failure->kernel = entry;
      table.failure->detail = "the test was cancelled";
      return table;
    }
    if (options.onRow)
      options.onRow(row);
  }
  return table;
}
