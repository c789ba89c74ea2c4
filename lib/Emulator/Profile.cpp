//===- Profile.cpp - Where a launch spends its instructions -----*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Counts by instruction become counts by line. The listing shows hot lines in
// the order of the text, with a mark where lines between them are left out.
//
//===----------------------------------------------------------------------===//

#include "Ropewalk/Emulator/Profile.h"
#include "JsonText.h"
#include "Program.h"

#include <cstdarg>
#include <cstdio>
#include <map>

using namespace ropewalk::emulator;

namespace {

using ull = unsigned long long;

__attribute__((format(printf, 2, 3))) void append(std::string &text,
                                                  const char *format, ...) {
  char line[256];
  va_list arguments;
  va_start(arguments, format);
  int length = std::vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
  if (length > 0)
    text.append(line, std::min(size_t(length), sizeof line - 1));
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view blanks = " \t\r";
  size_t first = text.find_first_not_of(blanks);
  if (first == std::string_view::npos)
    return {};
  return text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

/// The lines of `ptx` that are keys of `wanted`.
void takeTexts(std::string_view ptx, std::map<uint32_t, ProfileLine> &wanted) {
  uint32_t number = 1;
  auto next = wanted.begin();
  while (!ptx.empty() && next != wanted.end()) {
    size_t end = ptx.find('\n');
    if (next->first == number) {
      next->second.text = trimmed(ptx.substr(0, end));
      ++next;
    }
    if (end == std::string_view::npos)
      break;
    ptx.remove_prefix(end + 1);
    ++number;
  }
}

void appendHeading(std::string &text, const char *first) {
  append(text, "\n%8s %14s %16s %10s %12s %12s %12s %12s\n", first, "warps",
         "lanes", "divergent", "requests", "sectors", "transactions",
         "conflicts");
}

void appendFigures(std::string &text, const ProfileLine &line) {
  const LineTraffic &traffic = line.traffic;
  append(text, " %14llu %16llu %10llu %12llu %12llu %12llu %12llu",
         ull(line.warps), ull(line.lanes), ull(traffic.divergentBranches),
         ull(traffic.globalRequests + traffic.sharedRequests),
         ull(traffic.globalSectors), ull(traffic.sharedTransactions),
         ull(traffic.sharedConflicts));
}

double perWarp(uint64_t lanes, uint64_t warps) {
  return warps ? double(lanes) / double(warps) : 0;
}

/// What is special about a line: "2.0 sectors/request, 96 conflicts".
std::string remarks(const ProfileLine &line) {
  const LineTraffic &traffic = line.traffic;
  std::string text;
  if (traffic.globalRequests)
    append(text, ", %.1f sectors/request",
           perWarp(traffic.globalSectors, traffic.globalRequests));
  if (traffic.sharedConflicts)
    append(text, ", bank conflicts %llu", ull(traffic.sharedConflicts));
  if (traffic.divergentBranches)
    append(text, ", divergent %llu", ull(traffic.divergentBranches));
  double lanes = perWarp(line.lanes, line.warps);
  if (lanes < 32)
    append(text, ", %.1f lanes/warp", lanes);
  return text.empty() ? text : "  // " + text.substr(2);
}

} // namespace

Profile::Profile(const Counters &given, const Kernel &kernel,
                 std::string_view ptx)
    : counters(given) {
  std::map<uint32_t, ProfileLine> byLine;
  const std::vector<Inst> &code = kernel.program->code;
  for (size_t i = 0; i < counters.lines.size() && i < code.size(); ++i) {
    const LineCount &count = counters.lines[i];
    if (!count.warpInstructions)
      continue;
    auto [found, isNew] = byLine.try_emplace(count.line);
    ProfileLine &line = found->second;
    if (isNew) {
      line.line = count.line;
      line.cls = count.cls;
      line.source = sourceOf(*kernel.module, code[i], /*withColumn=*/false);
    }
    line.warps += count.warpInstructions;
    line.lanes += count.laneInstructions;
    line.traffic += count.traffic;
  }
  takeTexts(ptx, byLine);
  for (auto &[number, line] : byLine)
    entries.push_back(std::move(line));
}

std::vector<ProfileLine> Profile::bySource() const {
  std::vector<ProfileLine> sources;
  std::map<std::string_view, size_t> index;
  for (const ProfileLine &line : entries) {
    if (line.source.empty())
      continue;
    auto [found, isNew] = index.try_emplace(line.source, sources.size());
    if (isNew) {
      sources.push_back(line);
      continue;
    }
    ProfileLine &sum = sources[found->second];
    sum.warps += line.warps;
    sum.lanes += line.lanes;
    sum.traffic += line.traffic;
  }
  return sources;
}

double Profile::share(uint64_t warps) const {
  return counters.warpInstructions
             ? double(warps) / double(counters.warpInstructions)
             : 0;
}

std::string Profile::table() const {
  std::string text;
  append(text, "%-16s %14s %7s %16s %6s\n", "class", "warps", "share", "lanes",
         "l/w");
  for (size_t i = 0; i < size_t(InstClass::Count); ++i) {
    uint64_t warps = counters.warpByClass[i], lanes = counters.laneByClass[i];
    if (warps)
      append(text, "%-16s %14llu %6.2f%% %16llu %6.1f\n", name(InstClass(i)),
             ull(warps), 100 * share(warps), ull(lanes), perWarp(lanes, warps));
  }
  std::vector<ProfileLine> sources = bySource();
  if (!sources.empty()) {
    appendHeading(text, "share");
    for (const ProfileLine &line : sources) {
      append(text, "%7.2f%%", 100 * share(line.warps));
      appendFigures(text, line);
      text += "  " + line.source + "\n";
    }
  }
  appendHeading(text, "line");
  for (const ProfileLine &line : entries) {
    append(text, "%8u", line.line);
    appendFigures(text, line);
    text += "\n";
  }
  append(text, "\n%7s %8s\n", "share", "line");
  uint32_t last = 0;
  bool isFirst = true;
  for (const ProfileLine &line : entries) {
    if (share(line.warps) < 0.01)
      continue;
    if (!isFirst && line.line != last + 1)
      append(text, "%16s\n", "...");
    append(text, "%6.2f%% %8u  ", 100 * share(line.warps), line.line);
    text += line.text + remarks(line) + "\n";
    last = line.line;
    isFirst = false;
  }
  return text;
}

std::string Profile::json() const {
  std::string text =
      "{\"warp_instructions\": " + std::to_string(counters.warpInstructions) +
      ", \"classes\": {";
  bool isFirst = true;
  for (size_t i = 0; i < size_t(InstClass::Count); ++i) {
    if (!counters.warpByClass[i])
      continue;
    append(text, "%s\"%s\": {\"warps\": %llu, \"lanes\": %llu}",
           isFirst ? "" : ", ", name(InstClass(i)),
           ull(counters.warpByClass[i]), ull(counters.laneByClass[i]));
    isFirst = false;
  }
  text += "}, \"lines\": [";
  for (const ProfileLine &line : entries) {
    const LineTraffic &traffic = line.traffic;
    text += &line == entries.data() ? "" : ", ";
    append(text, "{\"line\": %u, \"text\": ", line.line);
    text += quoted(line.text) + ", \"source\": " + quoted(line.source);
    append(text, ", \"class\": \"%s\", \"warps\": %llu, \"lanes\": %llu",
           name(line.cls), ull(line.warps), ull(line.lanes));
    append(text,
           ", \"share\": %.6f, \"divergent_branches\": %llu, "
           "\"global_requests\": %llu, \"global_sectors\": %llu",
           share(line.warps), ull(traffic.divergentBranches),
           ull(traffic.globalRequests), ull(traffic.globalSectors));
    append(text,
           ", \"shared_requests\": %llu, \"shared_transactions\": %llu, "
           "\"shared_conflicts\": %llu}",
           ull(traffic.sharedRequests), ull(traffic.sharedTransactions),
           ull(traffic.sharedConflicts));
  }
  return text + "]}";
}
