//===- Json.h - JSON values for strict readers ------------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A parsed document that keeps what strict checking needs: the order of keys,
// the difference between integers and other numbers, and the refusal of
// repeated keys and excessive nesting. The text is read by nlohmann/json's SAX
// parser.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_LIB_RUNTIME_JSON_H
#define ROPEWALK_LIB_RUNTIME_JSON_H

#include "Ropewalk/Runtime/Result.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ropewalk::runtime {

struct JsonMember;

struct JsonValue {
  enum class Kind : uint8_t {
    Null,
    Boolean,
    Integer, ///< fits into int64_t
    Number,  ///< any other number
    String,
    Array,
    Object,
  };

  Kind kind = Kind::Null;
  bool boolean = false;
  int64_t integer = 0;
  /// Value of Integer and Number.
  double number = 0;
  std::string string;
  std::vector<JsonValue> elements;
  /// In the order of the text; keys are unique.
  std::vector<JsonMember> members;

  /// Null when this is no object or has no such key.
  const JsonValue *find(std::string_view key) const;
  /// "an integer", "an object", ... for diagnostics.
  std::string_view kindName() const;
};

struct JsonMember {
  std::string key;
  JsonValue value;
};

/// Parses a complete document. The error says where and why it failed.
Result<JsonValue> parseJson(std::string_view text);

/// Writes `value` as compact JSON.
std::string toText(const JsonValue &value);

} // namespace ropewalk::runtime

#endif // ROPEWALK_LIB_RUNTIME_JSON_H
