//===- AsyncHarness.h - Launches with asynchronous operations ---*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Kernels for sm_90a, run under several schedules, and reports by kind and
// text. With ROPEWALK_PTX_DUMP set to a directory every text is written there,
// for an assembler to look at.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_UNIT_EMULATOR_ASYNCHARNESS_H
#define ROPEWALK_UNIT_EMULATOR_ASYNCHARNESS_H

#include "Harness.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <functional>

namespace ropewalk::emulator {

/// Like entryText, for sm_90a. `directives` stand behind the parameters.
inline std::string hopperText(const std::string &body, unsigned pointers,
                              const std::string &before = "",
                              const std::string &directives = "") {
  std::string text = ".version 8.6\n.target sm_90a\n.address_size 64\n" +
                     before + "\n.visible .entry k(";
  for (unsigned i = 0; i < pointers; ++i)
    text += (i ? ", " : "") + std::string(".param .u64 p") + std::to_string(i);
  return text + ")\n" + directives +
         "\n{\n.reg .pred %p<20>; .reg .b16 %h<40>; .reg .b32 %r<60>; "
         ".reg .b64 %d<60>; .reg .f32 %f<40>;\n" +
         body + "\nret;\n}\n";
}

/// Replaces every `from` in `text`; there must be at least one.
inline std::string replaced(std::string text, const std::string &from,
                            const std::string &to) {
  size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << "no '" << from << "' in\n" << text;
  for (; at != std::string::npos; at = text.find(from, at + to.size()))
    text.replace(at, from.size(), to);
  return text;
}

struct AsyncTest : Fixture {
  static constexpr uint64_t seeds[] = {0, 1, 2, 3, 4, 5, 6, 7};

  LaunchResult runSeed(const std::string &text, Dim3 grid, Dim3 block,
                       const Arguments &args, uint64_t seed = 0) {
    if (const char *directory = std::getenv("ROPEWALK_PTX_DUMP"))
      std::ofstream(std::string(directory) + "/" +
                    std::to_string(std::hash<std::string>()(text)) + ".ptx")
          << text;
    LaunchOptions options;
    options.scheduleSeed = seed;
    return run(text, grid, block, args, 0, options);
  }

  /// The launch ends well under every schedule, and `check` holds after it.
  void expectClean(
      const std::string &text, Dim3 grid, Dim3 block, const Arguments &args,
      const std::function<void()> &check = [] {}) {
    for (uint64_t seed : seeds) {
      auto result = runSeed(text, grid, block, args, seed);
      ASSERT_TRUE(bool(result))
          << "seed " << seed << ": " << result.report().str() << "\n"
          << text;
      check();
    }
  }

  /// The launch ends with a report of one of the kinds, whose text holds
  /// `part`.
  void expectReport(const std::string &text, Dim3 grid, Dim3 block,
                    const Arguments &args, std::vector<ReportKind> kinds,
                    const std::string &part, uint64_t seed = 0) {
    auto result = runSeed(text, grid, block, args, seed);
    ASSERT_FALSE(bool(result)) << "seed " << seed << "\n" << text;
    EXPECT_TRUE(std::find(kinds.begin(), kinds.end(), result.report().kind) !=
                kinds.end())
        << "seed " << seed << ": " << result.report().str() << "\n"
        << text;
    EXPECT_NE(result.report().str().find(part), std::string::npos)
        << result.report().str() << "\nhas no '" << part << "'";
  }
  void expectReport(const std::string &text, Dim3 grid, Dim3 block,
                    const Arguments &args, ReportKind kind,
                    const std::string &part, uint64_t seed = 0) {
    expectReport(text, grid, block, args, std::vector<ReportKind>{kind}, part,
                 seed);
  }
  /// Under every schedule; which of two accesses comes first, and with it the
  /// kind of the report, may depend on it.
  template <class Kinds>
  void expectReportAlways(const std::string &text, Dim3 grid, Dim3 block,
                          const Arguments &args, Kinds kinds,
                          const std::string &part) {
    for (uint64_t seed : seeds)
      expectReport(text, grid, block, args, kinds, part, seed);
  }

  /// The text is refused with a message that holds `part`.
  void expectRefused(const std::string &text, const std::string &part) {
    Error error;
    auto module = Module::parse(text, error);
    EXPECT_FALSE(module) << text;
    EXPECT_NE(error.message.find(part), std::string::npos)
        << error.message << "\nhas no '" << part << "'";
  }
};

} // namespace ropewalk::emulator

#endif // ROPEWALK_UNIT_EMULATOR_ASYNCHARNESS_H
