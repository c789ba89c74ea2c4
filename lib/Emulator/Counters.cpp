//===- Counters.cpp - Exact counts of a launch ------------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Sums, a table for people and JSON for programs.
//
//===----------------------------------------------------------------------===//

#include "Ropewalk/Emulator/Counters.h"

#include <cstdio>

using namespace ropewalk::emulator;

namespace {

constexpr size_t Classes = size_t(InstClass::Count);

struct Figure {
  const char *name;
  uint64_t Counters::*value;
};

const Figure figures[] = {
    {"blocks", &Counters::blocks},
    {"warps", &Counters::warps},
    {"warp_instructions", &Counters::warpInstructions},
    {"lane_instructions", &Counters::laneInstructions},
    {"global_load_requests", &Counters::globalLoadRequests},
    {"global_load_bytes", &Counters::globalLoadBytes},
    {"global_load_sectors", &Counters::globalLoadSectors},
    {"global_store_requests", &Counters::globalStoreRequests},
    {"global_store_bytes", &Counters::globalStoreBytes},
    {"global_store_sectors", &Counters::globalStoreSectors},
    {"shared_load_requests", &Counters::sharedLoadRequests},
    {"shared_load_transactions", &Counters::sharedLoadTransactions},
    {"shared_load_conflicts", &Counters::sharedLoadConflicts},
    {"shared_store_requests", &Counters::sharedStoreRequests},
    {"shared_store_transactions", &Counters::sharedStoreTransactions},
    {"shared_store_conflicts", &Counters::sharedStoreConflicts},
    {"async_copy_bytes", &Counters::asyncCopyBytes},
    {"bulk_copies", &Counters::bulkCopies},
    {"bulk_bytes", &Counters::bulkBytes},
    {"barriers", &Counters::barriers},
    {"branches", &Counters::branches},
    {"divergent_branches", &Counters::divergentBranches},
    {"tensor_flops", &Counters::tensorFlops},
    {"useful_tensor_flops", &Counters::usefulTensorFlops},
};

} // namespace

const char *ropewalk::emulator::name(InstClass cls) {
  static const char *const names[Classes] = {
      "integer",       "float32",      "float16",        "float64",
      "special",       "matrix",       "conversion",     "compare",
      "move",          "global-load",  "global-store",   "shared-load",
      "shared-store",  "local-access", "parameter-load", "atomic",
      "warp-exchange", "barrier",      "control"};
  return names[size_t(cls)];
}

LineTraffic &LineTraffic::operator+=(const LineTraffic &other) {
  globalRequests += other.globalRequests;
  globalSectors += other.globalSectors;
  sharedRequests += other.sharedRequests;
  sharedTransactions += other.sharedTransactions;
  sharedConflicts += other.sharedConflicts;
  divergentBranches += other.divergentBranches;
  return *this;
}

Counters &Counters::operator+=(const Counters &other) {
  for (const Figure &figure : figures)
    this->*figure.value += other.*figure.value;
  for (size_t i = 0; i < Classes; ++i) {
    warpByClass[i] += other.warpByClass[i];
    laneByClass[i] += other.laneByClass[i];
  }
  // Lines of different kernels have nothing to add up.
  if (lines.empty()) {
    lines = other.lines;
  } else if (lines.size() == other.lines.size()) {
    for (size_t i = 0; i < lines.size(); ++i) {
      lines[i].warpInstructions += other.lines[i].warpInstructions;
      lines[i].laneInstructions += other.lines[i].laneInstructions;
      lines[i].traffic += other.lines[i].traffic;
    }
  } else if (!other.lines.empty()) {
    lines.clear();
  }
  return *this;
}

bool Counters::operator==(const Counters &other) const {
  for (const Figure &figure : figures)
    if (this->*figure.value != other.*figure.value)
      return false;
  return warpByClass == other.warpByClass && laneByClass == other.laneByClass;
}

std::string Counters::table() const {
  std::string text;
  char line[160];
  for (const Figure &figure : figures) {
    std::snprintf(line, sizeof line, "%-28s %20llu\n", figure.name,
                  (unsigned long long)(this->*figure.value));
    text += line;
  }
  std::snprintf(line, sizeof line, "%-28s %20s %20s\n", "class", "warps",
                "lanes");
  text += line;
  for (size_t i = 0; i < Classes; ++i) {
    if (!warpByClass[i])
      continue;
    std::snprintf(line, sizeof line, "%-28s %20llu %20llu\n",
                  name(InstClass(i)), (unsigned long long)warpByClass[i],
                  (unsigned long long)laneByClass[i]);
    text += line;
  }
  return text;
}

std::string Counters::json() const {
  std::string text = "{";
  for (const Figure &figure : figures)
    text += std::string("\"") + figure.name +
            "\": " + std::to_string(this->*figure.value) + ", ";
  text += "\"classes\": {";
  for (size_t i = 0; i < Classes; ++i)
    text += std::string(i ? ", " : "") + "\"" + name(InstClass(i)) +
            "\": {\"warps\": " + std::to_string(warpByClass[i]) +
            ", \"lanes\": " + std::to_string(laneByClass[i]) + "}";
  return text + "}}";
}
