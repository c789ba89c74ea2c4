//===- Support.cpp - Parts of the C interface -------------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Support.h"

#include "Ropewalk-c/Ropewalk.h"
#include "Ropewalk/Import/Config.h"
#include "Ropewalk/Pipelines/Registration.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/raw_ostream.h"

#include <cstdlib>
#include <cstring>
#include <limits>

using namespace ropewalk;
using namespace ropewalk::capi;
using runtime::Error;

static std::string &lastError() {
  thread_local std::string text;
  return text;
}

const char *ropewalk_version(void) { return ROPEWALK_VERSION; }

const char *ropewalk_last_error(void) { return lastError().c_str(); }

void ropewalk_string_free(char *text) { std::free(text); }

int ropewalk_load_plugin(const char *path) {
  if (!path)
    return capi::fail(Error("argument 'path': expected a text, got null"));
  if (llvm::Error error = loadDialectPlugin(path))
    return capi::fail(
        Error("plugin '", path, "': ", llvm::toString(std::move(error))));
  return ROPEWALK_OK;
}

int capi::fail(const Error &error) {
  lastError() = error.message();
  return error.message() == "cancelled" ? ROPEWALK_CANCELLED : ROPEWALK_ERROR;
}

char *capi::copyText(const std::string &text) {
  char *copy = static_cast<char *>(std::malloc(text.size() + 1));
  if (copy)
    std::memcpy(copy, text.c_str(), text.size() + 1);
  return copy;
}

std::optional<int64_t>
capi::countElements(std::initializer_list<int64_t> sizes) {
  int64_t count = 1;
  for (int64_t size : sizes)
    if (size < 0 || __builtin_mul_overflow(count, size, &count) ||
        count > std::numeric_limits<int64_t>::max() / 8)
      return std::nullopt;
  return count;
}

//===----------------------------------------------------------------------===//
// OptionReader
//===----------------------------------------------------------------------===//

OptionReader::OptionReader(const char *text, llvm::StringRef what)
    : what(what.str()) {
  if (!text)
    return;
  llvm::Expected<llvm::json::Object> parsed = parseJsonObject(text, what);
  if (parsed) {
    object = std::move(*parsed);
    return;
  }
  // The parser's text ends in a full stop or not as it happens.
  failure =
      llvm::StringRef(llvm::toString(parsed.takeError())).rtrim('.').str();
}

void OptionReader::fail(const llvm::Twine &message) {
  if (!failure)
    failure = (what + ": " + message).str();
}

void OptionReader::mismatch(llvm::StringRef key, llvm::StringRef expected,
                            const llvm::json::Value &value) {
  fail("'" + key + "' expects " + expected + ", got " +
       llvm::formatv("{0}", value).str());
}

std::optional<llvm::json::Value> OptionReader::take(llvm::StringRef key) {
  auto found = object.find(key);
  if (found == object.end())
    return std::nullopt;
  llvm::json::Value value = std::move(found->second);
  object.erase(found);
  if (value.kind() == llvm::json::Value::Null)
    return std::nullopt;
  return value;
}

std::string OptionReader::text(llvm::StringRef key, llvm::StringRef otherwise) {
  std::optional<llvm::json::Value> value = take(key);
  if (!value)
    return otherwise.str();
  if (std::optional<llvm::StringRef> text = value->getAsString())
    return text->str();
  mismatch(key, "a text", *value);
  return otherwise.str();
}

int64_t OptionReader::integer(llvm::StringRef key, int64_t otherwise,
                              int64_t minimum, int64_t maximum) {
  std::optional<llvm::json::Value> value = take(key);
  if (!value)
    return otherwise;
  std::optional<int64_t> integer = value->getAsInteger();
  if (integer && *integer >= minimum && *integer <= maximum)
    return *integer;
  mismatch(key,
           "an integer from " + std::to_string(minimum) + " to " +
               std::to_string(maximum),
           *value);
  return otherwise;
}

bool OptionReader::boolean(llvm::StringRef key, bool otherwise) {
  std::optional<llvm::json::Value> value = take(key);
  if (!value)
    return otherwise;
  if (std::optional<bool> boolean = value->getAsBoolean())
    return *boolean;
  mismatch(key, "true or false", *value);
  return otherwise;
}

std::optional<double> OptionReader::number(llvm::StringRef key) {
  std::optional<llvm::json::Value> value = take(key);
  if (!value)
    return std::nullopt;
  std::optional<double> number = value->getAsNumber();
  if (!number)
    mismatch(key, "a number", *value);
  return number;
}

std::vector<std::string> OptionReader::texts(llvm::StringRef key) {
  std::optional<llvm::json::Value> value = take(key);
  if (!value)
    return {};
  if (std::optional<llvm::StringRef> text = value->getAsString())
    return {text->str()};
  std::vector<std::string> result;
  llvm::json::Array *array = value->getAsArray();
  if (array)
    for (const llvm::json::Value &element : *array)
      if (std::optional<llvm::StringRef> text = element.getAsString())
        result.push_back(text->str());
  if (!array || result.size() != array->size())
    mismatch(key, "a text or an array of texts", *value);
  return result;
}

std::optional<std::array<bool, 2>> OptionReader::flags(llvm::StringRef key) {
  std::optional<llvm::json::Value> value = take(key);
  if (!value)
    return std::nullopt;
  llvm::json::Array *array = value->getAsArray();
  std::array<bool, 2> result = {};
  bool good = array && array->size() == 2;
  for (size_t i = 0; good && i < 2; ++i) {
    std::optional<int64_t> flag = (*array)[i].getAsInteger();
    good = flag && (*flag == 0 || *flag == 1);
    result[i] = good && *flag == 1;
  }
  if (good)
    return result;
  mismatch(key, "an array of two numbers, 0 or 1", *value);
  return std::nullopt;
}

std::vector<std::pair<std::string, int64_t>> OptionReader::integers() {
  std::vector<std::pair<std::string, int64_t>> result;
  for (const auto &[key, value] : object)
    if (std::optional<int64_t> integer = value.getAsInteger())
      result.emplace_back(key.str(), *integer);
    else
      mismatch(key, "an integer", value);
  object.clear();
  return result;
}

runtime::Status OptionReader::finish() {
  if (!failure && !object.empty())
    fail("unknown key '" + object.begin()->first.str() + "'");
  if (failure)
    return Error(*failure);
  return runtime::success();
}
