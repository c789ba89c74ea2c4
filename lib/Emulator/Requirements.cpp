//===- Requirements.cpp - Targets and versions that PTX needs ---*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A row is a pattern: an opcode, or "*" for any, and modifiers that must occur
// in this order, with others between them. "a|b" is one or the other. An
// instruction needs the most of all rows that match it. Where the PTX
// documentation and the assembler (ptxas of CUDA 13.0) differ, the assembler is
// right: what it accepts must load here.
//
//===----------------------------------------------------------------------===//

#include "Requirements.h"

#include <algorithm>
#include <charconv>
#include <span>
#include <unordered_map>

using namespace ropewalk::emulator;

namespace {

struct Row {
  const char *pattern;
  unsigned chip, version;
};

const Row rows[] = {
    // Any instruction that names memory or an order.
    {"*.shared::cluster", 900, 78},
    {"ld|st|atom|red|cvta|isspacep|ldmatrix|stmatrix|mbarrier.shared::cta", 0,
     78},
    {"cp.async.mbarrier.shared::cta", 0, 78},
    {"*.param::entry|param::func", 0, 83},
    {"*.L2::cache_hint", 800, 74},
    {"ld|st|atom|red.acquire|release|relaxed|acq_rel|weak|mmio", 700, 60},
    {"ld|st.mmio", 700, 82},
    {"ld|st|atom|red|fence|membar.cluster", 900, 78},
    {"atom|red.cta|gpu|sys", 600, 50},
    {"ld|st|atom|mov.b128", 700, 83},
    // Integers.
    {"add|min|max.u16x2|s16x2", 900, 80},
    {"min|max.relu.s32", 900, 80},
    {"dp4a", 610, 50},
    {"dp2a", 610, 50},
    {"bmsk", 700, 76},
    {"szext", 700, 76},
    {"lop3", 500, 43},
    {"lop3.or|and", 700, 82},
    // Floats.
    {"add|sub|mul|fma|neg|set|setp.f16|f16x2", 530, 42},
    {"abs.f16|f16x2", 530, 65},
    {"abs|neg|fma|min|max.bf16|bf16x2", 800, 70},
    {"min|max.f16|f16x2", 800, 70},
    {"min|max.NaN", 800, 70},
    {"min|max.xorsign", 860, 72},
    {"fma.relu", 800, 70},
    {"add|sub|mul|set|setp|ex2|tanh.bf16|bf16x2", 900, 78},
    {"set.u16|s16|u32|s32.f16|f16x2", 530, 65},
    {"ex2|tanh.f16|f16x2", 750, 70},
    {"tanh", 750, 70},
    // Conversions.
    {"cvt.bf16.f32", 800, 70},
    {"cvt.f32.bf16", 800, 71},
    {"cvt.bf16.u8|s8|u16|s16|u32|s32|u64|s64|f16|bf16|f64", 900, 78},
    {"cvt.u8|s8|u16|s16|u32|s32|u64|s64|f16|bf16|f64.bf16", 900, 78},
    {"cvt.f16x2|bf16x2", 800, 70},
    {"cvt.relu.f16", 800, 70},
    {"cvt.tf32", 800, 70},
    {"cvt.rn|rz.tf32", 900, 78},
    {"cvt.e4m3x2|e5m2x2", 890, 78},
    {"cvt.satfinite.f16.f32", 700, 81},
    {"cvt.satfinite.bf16|tf32|f16x2|bf16x2.f32", 800, 81},
    {"cvt.pack", 720, 65},
    {"cvt.pack.u2|s2|u4|s4", 750, 65},
    {"cvta|isspacep.param|param::entry", 700, 77},
    // Memory and its caches.
    {"ld|st.L1::evict_normal|L1::evict_unchanged|L1::evict_first|"
     "L1::evict_last|L1::no_allocate",
     700, 74},
    {"ld.L2::64B|L2::128B", 750, 74},
    {"ld.L2::256B", 800, 74},
    {"st.async", 900, 81},
    {"red.async", 900, 81},
    {"atom|red.add.f64", 600, 50},
    {"atom|red.f16x2", 600, 62},
    {"atom|red.noftz.f16", 700, 63},
    {"atom|red.bf16|bf16x2", 900, 78},
    {"atom|red.v2|v4|v8", 900, 81},
    {"atom.cas.b16", 700, 63},
    {"mapa", 900, 78},
    {"getctarank", 900, 78},
    {"prefetch.L2::evict_last|L2::evict_normal", 800, 74},
    {"prefetch.tensormap", 900, 80},
    {"applypriority", 800, 74},
    {"discard", 800, 74},
    {"createpolicy", 800, 74},
    // Asynchronous copies.
    {"cp", 800, 70},
    {"cp.async.L2::64B|L2::128B|L2::256B", 800, 74},
    {"cp.async|reduce.bulk", 900, 80},
    {"cp.reduce", 900, 80},
    {"cp.async.bulk.shared::cta.global", 900, 86},
    {"tensormap", 900, 83},
    {"tensormap.replace", 901, 83},
    // Synchronization.
    {"mbarrier", 800, 70},
    {"mbarrier.test_wait.parity", 800, 71},
    {"mbarrier.try_wait", 900, 78},
    {"mbarrier.expect_tx", 900, 80},
    {"mbarrier.complete_tx", 900, 80},
    {"mbarrier.acquire|release", 800, 80},
    {"mbarrier.cluster", 900, 80},
    {"mbarrier.relaxed", 900, 80},
    {"mbarrier.arrive|arrive_drop|test_wait|try_wait.relaxed", 900, 86},
    {"mbarrier.shared::cluster", 900, 80},
    {"bar|barrier.cta", 0, 78},
    {"barrier.cluster", 900, 78},
    {"barrier.cluster.acquire|release|relaxed", 900, 80},
    {"fence", 700, 60},
    {"fence.sync_restrict::shared::cta|sync_restrict::shared::cluster", 900,
     86},
    {"fence.proxy.alias", 700, 75},
    {"fence.proxy.async", 900, 80},
    {"fence.proxy.async::generic", 900, 86},
    {"fence.proxy.tensormap::generic", 900, 83},
    {"fence.mbarrier_init", 900, 80},
    {"griddepcontrol", 900, 78},
    // Exchange in a warp.
    {"activemask", 0, 62},
    {"match", 700, 60},
    {"redux", 800, 70},
    {"elect", 900, 80},
    // Matrices.
    {"ldmatrix", 750, 65},
    {"stmatrix", 900, 78},
    {"movmatrix", 750, 78},
    {"mma", 700, 64},
    {"mma.m16n8k8|m8n8k16|m8n8k32", 750, 65},
    {"mma.m8n8k128", 750, 70},
    {"mma.bf16|tf32", 800, 70},
    {"mma.m16n8k16|m16n8k32|m16n8k64|m16n8k128|m16n8k256", 800, 70},
    {"mma.f64", 800, 70},
    {"mma.m16n8k4|m16n8k8|m16n8k16.f64", 900, 78},
    {"mma.and", 800, 71},
    {"mma.e4m3|e5m2", 890, 84},
    {"mma.m16n8k16.e4m3|e5m2", 890, 87},
    {"mma.m16n8k32.f16.e4m3|e5m2", 890, 87},
    {"wmma", 700, 60},
    {"wmma.aligned", 700, 63},
    {"wmma.u8|s8", 720, 63},
    {"wmma.s32", 720, 63},
    {"wmma.m8n8k32|m8n8k128", 750, 63},
    {"wmma.bf16|tf32|f64", 800, 70},
    {"wmma.m16n16k8|m8n8k4", 800, 70},
    {"wmma.and", 800, 71},
    {"wgmma", 901, 80},
    {"wgmma.u8.s8", 901, 84},
    {"wgmma.s8.u8", 901, 84},
    // Control.
    {"nanosleep", 700, 62},
    {"setmaxnreg", 901, 80},
};

const Row registers[] = {
    {"%clusterid", 900, 78},
    {"%nclusterid", 900, 78},
    {"%cluster_ctaid", 900, 78},
    {"%cluster_nctaid", 900, 78},
    {"%cluster_ctarank", 900, 78},
    {"%cluster_nctarank", 900, 78},
    {"%is_explicit_cluster", 900, 78},
    {"%aggr_smem_size", 900, 81},
    {"%reserved_smem_offset", 800, 76},
    {"%current_graph_exec", 500, 80},
};

const Row directives[] = {
    {"reqnctapercluster", 900, 78},
    {"explicitcluster", 900, 78},
    {"maxclusterrank", 900, 78},
    {"b128", 700, 83},
    {"alias", 300, 63},
    {"noreturn", 300, 64},
};

/// The versions of the PTX ISA in which targets appeared.
const Row targets[] = {
    {"sm_70", 700, 60}, {"sm_72", 720, 61}, {"sm_75", 750, 63},
    {"sm_80", 800, 70}, {"sm_86", 860, 71}, {"sm_87", 870, 74},
    {"sm_89", 890, 78}, {"sm_90", 900, 78}, {"sm_90a", 901, 80},
};

/// The part of `text` before the first `separator`, which it loses.
std::string_view split(std::string_view &text, char separator) {
  size_t end = std::min(text.find(separator), text.size());
  std::string_view part = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return part;
}

bool isOneOf(std::string_view words, std::string_view word) {
  while (!words.empty())
    if (split(words, '|') == word)
      return true;
  return false;
}

bool matches(std::string_view pattern,
             const std::vector<std::string> &modifiers) {
  size_t next = 0;
  while (!pattern.empty()) {
    std::string_view words = split(pattern, '.');
    while (next < modifiers.size() && !isOneOf(words, modifiers[next]))
      ++next;
    if (next >= modifiers.size())
      return false;
    ++next;
  }
  return true;
}

struct Rule {
  std::string_view modifiers;
  Requirement requirement;
};

/// The rows by opcode, without it.
const std::unordered_map<std::string_view, std::vector<Rule>> &rules() {
  static const auto table = [] {
    std::unordered_map<std::string_view, std::vector<Rule>> result;
    for (const Row &row : rows) {
      std::string_view pattern = row.pattern;
      std::string_view opcodes = split(pattern, '.');
      while (!opcodes.empty())
        result[split(opcodes, '|')].push_back(
            {pattern, {row.chip, row.version}});
    }
    return result;
  }();
  return table;
}

Requirement find(std::span<const Row> table, std::string_view name,
                 bool isPrefix) {
  Requirement result;
  for (const Row &row : table)
    if (std::string_view text = row.pattern;
        name == text ||
        (isPrefix && name.size() > text.size() &&
         name.substr(0, text.size()) == text &&
         (name[text.size()] == '.' || name[text.size()] == '_')))
      result.raise({row.chip, row.version});
  return result;
}

std::string describeVersion(unsigned version) {
  return std::to_string(version / 10) + "." + std::to_string(version % 10);
}

/// "7.8" as 78; 0 if it is none.
unsigned parseVersion(std::string_view text) {
  unsigned major = 0, minor = 0;
  const char *last = text.data() + text.size();
  auto [dot, code] = std::from_chars(text.data(), last, major);
  if (code != std::errc() || dot == last || *dot != '.')
    return 0;
  auto [end, minorCode] = std::from_chars(dot + 1, last, minor);
  if (minorCode != std::errc() || end != last || major > 99 || minor > 9)
    return 0;
  return major * 10 + minor;
}

} // namespace

void Requirement::raise(const Requirement &other) {
  chip = std::max(chip, other.chip);
  version = std::max(version, other.version);
}

Requirement
ropewalk::emulator::requirementOf(const InstructionSyntax &instruction) {
  Requirement result;
  for (std::string_view opcode :
       {std::string_view(instruction.base), std::string_view("*")})
    if (auto found = rules().find(opcode); found != rules().end())
      for (const Rule &rule : found->second)
        if (matches(rule.modifiers, instruction.modifiers))
          result.raise(rule.requirement);
  // A count of arrivals without ".noComplete".
  if (instruction.base == "mbarrier" && instruction.operands.size() == 3 &&
      !instruction.modifiers.empty() &&
      isOneOf("arrive|arrive_drop", instruction.modifiers[0]) &&
      !matches("noComplete", instruction.modifiers))
    result.raise({900, 78});
  auto raiseFor = [&](const OperandSyntax &operand) {
    if (operand.kind == OperandSyntax::Special)
      result.raise(requirementOfRegister(operand.text));
  };
  for (const OperandSyntax &operand : instruction.operands) {
    raiseFor(operand);
    for (const OperandSyntax &part : operand.parts)
      raiseFor(part);
  }
  return result;
}

Requirement ropewalk::emulator::requirementOf(std::string_view opcode) {
  Requirement result;
  if (auto found = rules().find(opcode); found != rules().end())
    for (const Rule &rule : found->second)
      if (rule.modifiers.empty())
        result.raise(rule.requirement);
  return result;
}

Requirement ropewalk::emulator::requirementOfRegister(std::string_view name) {
  return find(registers, name, /*isPrefix=*/true);
}

Requirement ropewalk::emulator::requirementOfDirective(std::string_view name) {
  return find(directives, name, /*isPrefix=*/false);
}

std::string ropewalk::emulator::describeChip(unsigned chip) {
  std::string name = "sm_" + std::to_string(chip / 10);
  return chip % 10 ? name + "a" : name + " or higher";
}

bool ropewalk::emulator::readTarget(ModuleData &module, std::string &message) {
  module.versionNumber = parseVersion(module.version);
  if (module.versionNumber == 0) {
    message = "'" + module.version +
              "' is no version of the PTX ISA: expected one like 8.0";
    return false;
  }
  std::string_view text = module.target;
  unsigned number = 0;
  if (text.substr(0, 3) == "sm_") {
    const char *last = text.data() + text.size();
    auto [end, code] = std::from_chars(text.data() + 3, last, number);
    bool hasSuffix = end + 1 == last && (*end == 'a' || *end == 'f');
    if (code != std::errc() || number > 999 || !(end == last || hasSuffix))
      number = 0;
    module.targetNumber = number * 10 + hasSuffix;
  }
  if (number < 10) {
    message = "unknown target '" + module.target +
              "': expected a name like sm_80 or sm_90a";
    return false;
  }
  Requirement least = find(targets, text, /*isPrefix=*/false);
  if (module.versionNumber < least.version) {
    message = "PTX ISA " + module.version + " has no target '" + module.target +
              "', which needs " + describeVersion(least.version) + " or later";
    return false;
  }
  return true;
}

bool ropewalk::emulator::meets(const ModuleData &module,
                               const Requirement &requirement,
                               std::string &message) {
  // What only sm_90a has may be elsewhere or nowhere on later chips; the
  // assembler for those knows, and they are not emulated.
  if (module.targetNumber < requirement.chip ||
      (requirement.chip % 10 && module.targetNumber % 10 == 0)) {
    message = "needs .target " + describeChip(requirement.chip) + ", found " +
              module.target;
    return false;
  }
  if (module.versionNumber < requirement.version) {
    message = "needs PTX ISA " + describeVersion(requirement.version) +
              " or later, found .version " + module.version;
    return false;
  }
  return true;
}
