//===- Json.cpp - JSON values for strict readers ----------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The SAX handler keeps a stack of the containers that are open. Keys of an
// open object are kept in a hash set so that a large header is checked for
// repetitions in linear time.
//
//===----------------------------------------------------------------------===//

#include "Json.h"

#include <limits>
#include <nlohmann/json.hpp>
#include <unordered_set>

using namespace ropewalk::runtime;

namespace {

/// Deeper documents than this are refused: no file of ours needs more, and
/// destroying a value recurses.
constexpr size_t kMaximumDepth = 64;

class Handler {
public:
  using Json = nlohmann::json;

  bool null() { return add({}); }
  bool boolean(bool value) {
    JsonValue result;
    result.kind = JsonValue::Kind::Boolean;
    result.boolean = value;
    return add(std::move(result));
  }
  bool number_integer(int64_t value) {
    JsonValue result;
    result.kind = JsonValue::Kind::Integer;
    result.integer = value;
    result.number = static_cast<double>(value);
    return add(std::move(result));
  }
  bool number_unsigned(uint64_t value) {
    if (value <= uint64_t(std::numeric_limits<int64_t>::max()))
      return number_integer(static_cast<int64_t>(value));
    return number_float(static_cast<double>(value), {});
  }
  bool number_float(double value, const std::string &) {
    JsonValue result;
    result.kind = JsonValue::Kind::Number;
    result.number = value;
    return add(std::move(result));
  }
  bool string(std::string &value) {
    JsonValue result;
    result.kind = JsonValue::Kind::String;
    result.string = std::move(value);
    return add(std::move(result));
  }
  bool binary(std::vector<uint8_t> &) { return fail("unexpected binary data"); }

  bool start_object(size_t) { return open(JsonValue::Kind::Object); }
  bool start_array(size_t) { return open(JsonValue::Kind::Array); }
  bool end_object() { return close(); }
  bool end_array() { return close(); }
  bool key(std::string &value) {
    if (!levels.back().keys.insert(value).second)
      return fail(concat("key '", value, "' occurs twice in one object"));
    levels.back().key = std::move(value);
    return true;
  }

  bool parse_error(size_t position, const std::string &,
                   const nlohmann::detail::exception &exception) {
    // "[json.exception.parse_error.101] parse error at line 1, column 2: ..."
    std::string_view what = exception.what();
    if (size_t end = what.find("] "); what.starts_with('[') && end != what.npos)
      what.remove_prefix(end + 2);
    if (what.starts_with("parse error"))
      return fail(std::string(what));
    return fail(concat("at byte ", position, ": ", what));
  }

  JsonValue root;
  std::string error;

private:
  struct Level {
    JsonValue value;
    std::string key;
    std::unordered_set<std::string> keys;
  };

  bool fail(std::string message) {
    if (error.empty())
      error = std::move(message);
    return false;
  }

  bool add(JsonValue value) {
    if (levels.empty()) {
      root = std::move(value);
      return true;
    }
    Level &level = levels.back();
    if (level.value.kind == JsonValue::Kind::Object)
      level.value.members.push_back({std::move(level.key), std::move(value)});
    else
      level.value.elements.push_back(std::move(value));
    return true;
  }

  bool open(JsonValue::Kind kind) {
    if (levels.size() == kMaximumDepth)
      return fail(concat("more than ", kMaximumDepth,
                         " levels of nested arrays and objects"));
    levels.emplace_back().value.kind = kind;
    return true;
  }

  bool close() {
    JsonValue value = std::move(levels.back().value);
    levels.pop_back();
    return add(std::move(value));
  }

  std::vector<Level> levels;
};

nlohmann::json toNlohmann(const JsonValue &value) {
  switch (value.kind) {
  case JsonValue::Kind::Null:
    return nullptr;
  case JsonValue::Kind::Boolean:
    return value.boolean;
  case JsonValue::Kind::Integer:
    return value.integer;
  case JsonValue::Kind::Number:
    return value.number;
  case JsonValue::Kind::String:
    return value.string;
  case JsonValue::Kind::Array: {
    nlohmann::json result = nlohmann::json::array();
    for (const JsonValue &element : value.elements)
      result.push_back(toNlohmann(element));
    return result;
  }
  case JsonValue::Kind::Object: {
    nlohmann::json result = nlohmann::json::object();
    for (const auto &[key, member] : value.members)
      result.emplace(key, toNlohmann(member));
    return result;
  }
  }
  return nullptr;
}

} // namespace

const JsonValue *JsonValue::find(std::string_view key) const {
  for (const auto &[name, value] : members)
    if (name == key)
      return &value;
  return nullptr;
}

std::string_view JsonValue::kindName() const {
  switch (kind) {
  case Kind::Null:
    return "null";
  case Kind::Boolean:
    return "a boolean";
  case Kind::Integer:
    return "an integer";
  case Kind::Number:
    return "a number that is no 64-bit integer";
  case Kind::String:
    return "a string";
  case Kind::Array:
    return "an array";
  case Kind::Object:
    return "an object";
  }
  return "null";
}

Result<JsonValue> ropewalk::runtime::parseJson(std::string_view text) {
  Handler handler;
  if (!nlohmann::json::sax_parse(text.begin(), text.end(), &handler))
    return Error(handler.error.empty() ? "invalid JSON" : handler.error);
  return std::move(handler.root);
}

std::string ropewalk::runtime::toText(const JsonValue &value) {
  return toNlohmann(value).dump();
}
