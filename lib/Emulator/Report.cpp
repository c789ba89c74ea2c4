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

#include "Program.h"
#include "Ropewalk/Emulator/Emulator.h"

#include <cstdio>

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

std::string ropewalk::emulator::sourceOf(const ModuleData &module,
                                         const Inst &inst, bool withColumn) {
  auto file = module.files.find(inst.sourceFile);
  if (!inst.sourceLine || file == module.files.end())
    return {};
  std::string text = file->second + ":" + std::to_string(inst.sourceLine);
  if (withColumn && inst.sourceColumn)
    text += ":" + std::to_string(inst.sourceColumn);
  return text;
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
  if (hasAddress) {
    char hex[24];
    std::snprintf(hex, sizeof hex, "0x%llx", (unsigned long long)address);
    place += std::string(", address ") + hex;
  }
  if (!source.empty())
    place += " (" + source + ")";
  text += place + ": " + detail;
  if (other.block >= 0) {
    text += "; the other party: block " + std::to_string(other.block);
    if (other.warp >= 0)
      text += ", warp " + std::to_string(other.warp);
    if (other.lane >= 0)
      text += ", lane " + std::to_string(other.lane);
    if (other.location.line)
      text += ", line " + std::to_string(other.location.line);
  }
  return text;
}
