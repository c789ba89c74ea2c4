//===- Lexer.h - PTX tokens -------------------------------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Splits a PTX text into tokens. Comments disappear; every token knows its
// place.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_LIB_EMULATOR_LEXER_H
#define ROPEWALK_LIB_EMULATOR_LEXER_H

#include "Ropewalk/Emulator/Module.h"

namespace ropewalk::emulator {

enum class TokenKind : uint8_t {
  Identifier, ///< Names, also "%r1" and "$L__BB0_1".
  Dot,        ///< ".name": a directive, a modifier or a component.
  Integer,
  Float32, ///< 0fXXXXXXXX; bits in `value`.
  Float64, ///< 0dXXXXXXXXXXXXXXXX or decimal; bits in `value`.
  String,
  Punctuation, ///< One character, in `text`.
  End
};

struct Token {
  TokenKind kind = TokenKind::End;
  std::string_view text; ///< Without the dot for Dot, the quotes for String.
  uint64_t value = 0;
  SourceLocation location;

  bool is(char c) const {
    return kind == TokenKind::Punctuation && text.size() == 1 && text[0] == c;
  }
  bool isDot(std::string_view name) const {
    return kind == TokenKind::Dot && text == name;
  }
};

/// Returns false and sets `error` at the first bad character or number. The
/// tokens point into `text`.
bool lex(std::string_view text, std::vector<Token> &tokens, Error &error);

} // namespace ropewalk::emulator

#endif // ROPEWALK_LIB_EMULATOR_LEXER_H
