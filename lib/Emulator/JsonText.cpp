//===- JsonText.cpp - Writing and reading flat JSON -------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Options are keys with a number or a truth value, so reading needs neither
// nesting nor escapes; everything else is refused by name.
//
//===----------------------------------------------------------------------===//

#include "JsonText.h"

#include <charconv>
#include <cstdio>

using namespace ropewalk::emulator;

std::string ropewalk::emulator::quoted(std::string_view text) {
  std::string result = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') {
      result += '\\';
      result += c;
    } else if (uint8_t(c) < 0x20) {
      char code[8];
      std::snprintf(code, sizeof code, "\\u%04x", unsigned(uint8_t(c)));
      result += code;
    } else {
      result += c;
    }
  }
  return result + '"';
}

namespace {

struct Flag {
  const char *key;
  bool LaunchOptions::*value;
};

const Flag flags[] = {
    {"check_uninitialized_memory", &LaunchOptions::checkUninitializedMemory},
    {"check_uninitialized_registers",
     &LaunchOptions::checkUninitializedRegisters},
    {"check_races", &LaunchOptions::checkRaces},
};

class OptionsParser {
public:
  OptionsParser(std::string_view text, LaunchOptions &options)
      : text(text), options(options) {}

  std::string run() {
    if (!consume('{'))
      return "expected an object";
    if (consume('}'))
      return end();
    do {
      std::string key;
      if (!consume('"'))
        return "expected a key in quotes";
      while (position < text.size() && text[position] != '"')
        key += text[position++];
      if (!consume('"') || !consume(':'))
        return "expected ':' after key '" + key + "'";
      if (std::string reason = value(key); !reason.empty())
        return reason;
    } while (consume(','));
    if (!consume('}'))
      return "expected ',' or '}'";
    return end();
  }

private:
  void skip() {
    while (position < text.size() &&
           std::string_view(" \t\r\n").find(text[position]) !=
               std::string_view::npos)
      ++position;
  }
  bool consume(char c) {
    skip();
    if (position >= text.size() || text[position] != c)
      return false;
    ++position;
    return true;
  }
  std::string end() {
    skip();
    return position == text.size() ? "" : "text after the object";
  }
  bool word(std::string_view expected) {
    if (text.substr(position, expected.size()) != expected)
      return false;
    position += expected.size();
    return true;
  }

  std::string value(const std::string &key) {
    skip();
    for (const Flag &flag : flags)
      if (key == flag.key) {
        bool isTrue = word("true");
        options.*flag.value = isTrue;
        return isTrue || word("false")
                   ? ""
                   : "key '" + key + "' is not true or false";
      }
    constexpr uint64_t noLimit = ~uint64_t(0);
    if (key == "threads")
      return number(key, 1024, options.threads);
    if (key == "instruction_budget")
      return number(key, noLimit, options.instructionBudget);
    if (key == "schedule_seed")
      return number(key, noLimit, options.scheduleSeed);
    if (key == "registers_per_thread")
      return number(key, 255, options.registersPerThread);
    return "unknown key '" + key + "'";
  }

  template <class T>
  std::string number(const std::string &key, uint64_t most, T &result) {
    uint64_t parsed = 0;
    const char *last = text.data() + text.size();
    auto [stop, code] = std::from_chars(text.data() + position, last, parsed);
    if (code != std::errc())
      return "key '" + key + "' is not a number from 0 on";
    position = size_t(stop - text.data());
    if (parsed > most)
      return "key '" + key + "' is " + std::to_string(parsed) + ", more than " +
             std::to_string(most);
    result = T(parsed);
    return "";
  }

  std::string_view text;
  LaunchOptions &options;
  size_t position = 0;
};

/// The number, or null where it does not apply.
std::string orNull(int64_t value) {
  return value < 0 ? "null" : std::to_string(value);
}

} // namespace

std::string ropewalk::emulator::parseOptions(std::string_view text,
                                             LaunchOptions &options) {
  return OptionsParser(text, options).run();
}

std::string ropewalk::emulator::reportJson(const Report &report,
                                           std::string_view output) {
  std::string text = "{\"kind\": " + quoted(name(report.kind)) +
                     ", \"kernel\": " + quoted(report.kernel) +
                     ", \"detail\": " + quoted(report.detail) +
                     ", \"line\": " + std::to_string(report.location.line) +
                     ", \"column\": " + std::to_string(report.location.column) +
                     ", \"source\": " + quoted(report.source) +
                     ", \"inlined_at\": [";
  for (const std::string &caller : report.inlinedAt)
    text += (&caller == report.inlinedAt.data() ? "" : ", ") + quoted(caller);
  text += "], \"block\": ";
  if (report.block >= 0)
    text += "[" + std::to_string(report.blockIndex.x) + ", " +
            std::to_string(report.blockIndex.y) + ", " +
            std::to_string(report.blockIndex.z) + "]";
  else
    text += "null";
  text += ", \"warp\": " + orNull(report.warp) +
          ", \"lane\": " + orNull(report.lane) + ", \"address\": " +
          (report.hasAddress ? std::to_string(report.address) : "null") +
          ", \"other\": ";
  const Report::Party &other = report.other;
  if (other.block >= 0)
    text += "{\"block\": " + std::to_string(other.block) +
            ", \"warp\": " + orNull(other.warp) +
            ", \"lane\": " + orNull(other.lane) +
            ", \"line\": " + std::to_string(other.location.line) +
            ", \"column\": " + std::to_string(other.location.column) +
            ", \"source\": " + quoted(other.source) + "}";
  else
    text += "null";
  return text + ", \"output\": " + quoted(output) +
         ", \"text\": " + quoted(report.str()) + "}";
}
