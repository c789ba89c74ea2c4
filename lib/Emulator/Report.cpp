//===- Report.cpp - Texts of reports ----------------------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// One line that names everything needed to find the fault.
//
//===----------------------------------------------------------------------===//

#include "Memory.h"
#include "Program.h"
#include "Ropewalk/Emulator/Emulator.h"

using namespace ropewalk::emulator;

const char *ropewalk::emulator::name(ReportKind kind) {
  static const char *const names[] = {"invalid-launch",
                                      "out-of-bounds",
                                      "misaligned",
                                      "use-after-free",
                                      "uninitialized-memory",
                                      "uninitialized-register",
                                      "shared-race",
                                      "barrier-divergence",
                                      "deadlock",
                                      "instruction-budget",
                                      "trap",
                                      "warp-sync",
                                      "read-only-write",
                                      "unsupported",
                                      "global-race",
                                      "proxy-race",
                                      "async-hazard",
                                      "mbarrier-misuse",
                                      "tensor-map-misuse",
                                      "register-budget",
                                      "cluster-misuse",
                                      "register-hazard",
                                      "cancelled"};
  return names[size_t(kind)];
}

namespace {

/// "file.cu:12:5"; "" if unknown.
std::string textOf(const ModuleData &module, const SourcePlace &place,
                   bool withColumn) {
  auto file = module.files.find(place.file);
  if (!place.line || file == module.files.end())
    return {};
  std::string text = file->second + ":" + std::to_string(place.line);
  if (withColumn && place.column)
    text += ":" + std::to_string(place.column);
  return text;
}

/// Callers that a report names.
constexpr size_t MaxCallers = 16;

} // namespace

std::string ropewalk::emulator::sourceOf(const ModuleData &module,
                                         const Inst &inst, bool withColumn) {
  return textOf(module, {inst.sourceFile, inst.sourceLine, inst.sourceColumn},
                withColumn);
}

std::vector<std::string> ropewalk::emulator::callersOf(const ModuleData &module,
                                                       const Inst &inst) {
  std::vector<std::string> list;
  for (uint32_t next = inst.sourceCaller; next && list.size() < MaxCallers;) {
    const SourcePlace &place = module.callers[next - 1];
    if (std::string text = textOf(module, place, true); !text.empty())
      list.push_back(std::move(text));
    next = place.caller;
  }
  return list;
}

std::string Report::str() const {
  std::string text = name(kind);
  text += ": ";
  std::string place = "kernel '" + kernel + "'";
  if (location.line)
    place += ", line " + std::to_string(location.line);
  if (block >= 0)
    place += ", block (" + std::to_string(blockIndex.x) + ", " +
             std::to_string(blockIndex.y) + ", " +
             std::to_string(blockIndex.z) + ")";
  if (warp >= 0)
    place += ", warp " + std::to_string(warp);
  if (lane >= 0)
    place += ", lane " + std::to_string(lane);
  if (hasAddress)
    place += ", address " + hex(address);
  if (!source.empty()) {
    place += " (" + source;
    for (const std::string &caller : inlinedAt)
      place += ", inlined at " + caller;
    place += ")";
  }
  text += place + ": " + detail;
  if (other.block >= 0) {
    text += "; the other party: block " + std::to_string(other.block);
    if (other.warp >= 0)
      text += ", warp " + std::to_string(other.warp);
    if (other.lane >= 0)
      text += ", lane " + std::to_string(other.lane);
    if (other.location.line)
      text += ", line " + std::to_string(other.location.line);
    if (!other.source.empty())
      text += " (" + other.source + ")";
  }
  return text;
}
