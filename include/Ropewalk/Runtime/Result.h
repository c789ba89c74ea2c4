//===- Result.h - A value or the reason why there is none -------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Functions of the runtime and of the emulator report failures by value; no
// exception crosses their interfaces. A message starts in lower case, has no
// full stop at its end, and names the file, key or operand with what was
// expected and what was found.
//
//   Result<Checkpoint> checkpoint = Checkpoint::open(directory);
//   if (!checkpoint)
//     return checkpoint.error();
//   use(*checkpoint);
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_RUNTIME_RESULT_H
#define ROPEWALK_RUNTIME_RESULT_H

#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

namespace ropewalk::runtime {

namespace detail {
inline void appendPart(std::string &text, std::string_view part) {
  text += part;
}
inline void appendPart(std::string &text, char part) { text += part; }
template <typename T>
  requires std::is_arithmetic_v<T>
void appendPart(std::string &text, T part) {
  text += std::to_string(part);
}
} // namespace detail

/// The text of all parts, numbers in decimal.
template <typename... Parts> std::string concat(const Parts &...parts) {
  std::string text;
  (detail::appendPart(text, parts), ...);
  return text;
}

/// The reason for a failure.
class Error {
public:
  /// An error whose message is all `parts` in a row.
  template <typename... Parts>
    requires(sizeof...(Parts) > 0 &&
             !(std::is_same_v<std::remove_cvref_t<Parts>, Error> || ...))
  explicit Error(const Parts &...parts) : text(concat(parts...)) {}

  const std::string &message() const { return text; }

  /// The same error with "context: " in front of its message.
  Error in(std::string_view context) const {
    return Error(context, ": ", text);
  }

private:
  std::string text;
};

/// A `T`, or the error that prevented it.
template <typename T> class [[nodiscard]] Result {
public:
  Result(T value) : state(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state(std::in_place_index<1>, std::move(error)) {}
  /// Converting, so that a `unique_ptr<Derived>` is a result of `Base`.
  template <typename U>
    requires(std::is_convertible_v<U &&, T> &&
             !std::is_same_v<std::remove_cvref_t<U>, T> &&
             !std::is_same_v<std::remove_cvref_t<U>, Error> &&
             !std::is_same_v<std::remove_cvref_t<U>, Result>)
  Result(U &&value) : state(std::in_place_index<0>, std::forward<U>(value)) {}

  explicit operator bool() const { return state.index() == 0; }

  /// The value; only when there is one.
  T &operator*() & { return *std::get_if<0>(&state); }
  const T &operator*() const & { return *std::get_if<0>(&state); }
  T &&operator*() && { return std::move(*std::get_if<0>(&state)); }
  T *operator->() { return std::get_if<0>(&state); }
  const T *operator->() const { return std::get_if<0>(&state); }

  /// The error; only when there is one.
  const Error &error() const { return *std::get_if<1>(&state); }

private:
  std::variant<T, Error> state;
};

/// Success, or the error that prevented it.
template <> class [[nodiscard]] Result<void> {
public:
  Result() = default;
  Result(Error error) : state(std::move(error)) {}

  explicit operator bool() const { return state.index() == 0; }
  const Error &error() const { return *std::get_if<1>(&state); }

private:
  std::variant<std::monostate, Error> state;
};

using Status = Result<void>;

inline Status success() { return Status(); }

} // namespace ropewalk::runtime

#endif // ROPEWALK_RUNTIME_RESULT_H
