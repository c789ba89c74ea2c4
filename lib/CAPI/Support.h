//===- Support.h - Parts of the C interface ---------------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_LIB_CAPI_SUPPORT_H
#define ROPEWALK_LIB_CAPI_SUPPORT_H

#include "Ropewalk/Runtime/Result.h"
#include "llvm/Support/JSON.h"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace ropewalk::capi {

/// Keeps the message for ropewalk_last_error and returns the code of a failure:
/// ROPEWALK_CANCELLED for the error "cancelled", ROPEWALK_ERROR otherwise.
int fail(const runtime::Error &error);

/// A copy that ropewalk_string_free releases.
char *copyText(const std::string &text);

/// The product of sizes that a caller gave, or nothing where one is negative or
/// the product times 8 does not fit into 63 bits.
std::optional<int64_t> countElements(std::initializer_list<int64_t> sizes);

/// Reads a JSON object of options. The first failure is kept, later reads give
/// defaults, and `finish` reports it, or a key that nobody asked for.
class OptionReader {
public:
  /// Null is the empty object. `what` names it in errors.
  OptionReader(const char *text, llvm::StringRef what);

  std::string text(llvm::StringRef key, llvm::StringRef otherwise);
  int64_t integer(llvm::StringRef key, int64_t otherwise, int64_t minimum,
                  int64_t maximum);
  bool boolean(llvm::StringRef key, bool otherwise);
  /// Absent and null are nothing.
  std::optional<double> number(llvm::StringRef key);
  /// A text or an array of texts; absent and null are none.
  std::vector<std::string> texts(llvm::StringRef key);
  /// An array of two flags, 0 or 1; absent and null are nothing.
  std::optional<std::array<bool, 2>> flags(llvm::StringRef key);

  /// All keys that are left, each with an integer.
  std::vector<std::pair<std::string, int64_t>> integers();

  /// Keeps a failure that has to do with an option.
  void fail(const llvm::Twine &message);
  runtime::Status finish();

private:
  /// Takes the value of a key out of the object.
  std::optional<llvm::json::Value> take(llvm::StringRef key);
  void mismatch(llvm::StringRef key, llvm::StringRef expected,
                const llvm::json::Value &value);

  std::string what;
  llvm::json::Object object;
  std::optional<std::string> failure;
};

} // namespace ropewalk::capi

#endif // ROPEWALK_LIB_CAPI_SUPPORT_H
