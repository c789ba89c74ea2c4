//===- Lexer.cpp - PTX tokens -----------------------------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A hand-written scanner. A dot glues to the name after it, so that opcodes are
// an identifier followed by Dot tokens and '.shared::cta' is one token.
//
//===----------------------------------------------------------------------===//

#include "Lexer.h"

#include <bit>
#include <charconv>

using namespace ropewalk::emulator;

namespace {

bool isDigit(char c) { return c >= '0' && c <= '9'; }
bool isAlpha(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
bool startsName(char c) {
  return isAlpha(c) || c == '_' || c == '$' || c == '%';
}
bool continuesName(char c) {
  return isAlpha(c) || isDigit(c) || c == '_' || c == '$';
}

class Scanner {
public:
  Scanner(std::string_view text, std::vector<Token> &tokens, Error &error)
      : text(text), tokens(tokens), error(error) {}

  bool run() {
    while (true) {
      if (!skipBlank())
        return false;
      if (position >= text.size()) {
        push(TokenKind::End, position, position);
        return true;
      }
      if (!scanToken())
        return false;
    }
  }

private:
  char at(size_t index) const {
    return index < text.size() ? text[index] : '\0';
  }
  SourceLocation here(size_t index) const {
    return {line, uint32_t(index - lineStart + 1)};
  }
  bool fail(size_t index, std::string message) {
    error = {std::move(message), here(index)};
    return false;
  }
  void push(TokenKind kind, size_t begin, size_t end, uint64_t value = 0) {
    tokens.push_back(
        {kind, text.substr(begin, end - begin), value, here(begin)});
  }

  bool skipBlank() {
    while (position < text.size()) {
      char c = text[position];
      if (c == '\n') {
        ++position;
        ++line;
        lineStart = position;
      } else if (c == ' ' || c == '\t' || c == '\r') {
        ++position;
      } else if (c == '/' && at(position + 1) == '/') {
        while (position < text.size() && text[position] != '\n')
          ++position;
      } else if (c == '/' && at(position + 1) == '*') {
        size_t begin = position;
        size_t end = text.find("*/", position + 2);
        if (end == std::string_view::npos)
          return fail(begin, "comment is not closed");
        for (; position < end + 2; ++position)
          if (text[position] == '\n') {
            ++line;
            lineStart = position + 1;
          }
      } else if (c == '\0' && position + 1 == text.size()) {
        ++position; // The terminator that C interfaces count in the size.
      } else {
        break;
      }
    }
    return true;
  }

  bool scanToken() {
    size_t begin = position;
    char c = text[position];
    if (startsName(c) && (c != '%' || continuesName(at(position + 1)))) {
      ++position;
      while (continuesName(at(position)))
        ++position;
      push(TokenKind::Identifier, begin, position);
      return true;
    }
    // ".5" is a number where no modifier can stand.
    if (c == '.' && isDigit(at(position + 1)) &&
        (begin == 0 || !continuesName(text[begin - 1])))
      return scanFraction(begin);
    if (c == '.' && (continuesName(at(position + 1)))) {
      ++position;
      while (continuesName(at(position)) ||
             (at(position) == ':' && at(position + 1) == ':' &&
              continuesName(at(position + 2)))) {
        position += at(position) == ':' ? 2 : 1;
      }
      push(TokenKind::Dot, begin + 1, position);
      tokens.back().location = here(begin);
      return true;
    }
    if (isDigit(c))
      return scanNumber();
    if (c == '"') {
      size_t end = begin + 1;
      while (end < text.size() && text[end] != '"' && text[end] != '\n')
        ++end;
      if (at(end) != '"')
        return fail(begin, "string is not closed");
      push(TokenKind::String, begin + 1, end);
      position = end + 1;
      return true;
    }
    if (std::string_view("{}()[]<>,;:=+-*/!@|&~^?%").find(c) !=
        std::string_view::npos) {
      push(TokenKind::Punctuation, begin, begin + 1);
      ++position;
      return true;
    }
    static const char digits[] = "0123456789abcdef";
    uint8_t byte = uint8_t(c);
    return fail(begin, std::string("unexpected character with code 0x") +
                           digits[byte >> 4] + digits[byte & 15]);
  }

  bool scanHexBits(size_t begin, unsigned digits, TokenKind kind) {
    uint64_t value = 0;
    auto *first = text.data() + begin + 2;
    auto *last = text.data() + std::min(text.size(), begin + 2 + digits);
    auto [end, code] = std::from_chars(first, last, value, 16);
    if (code != std::errc() || end != first + digits)
      return fail(begin, "expected " + std::to_string(digits) +
                             " hexadecimal digits in a float constant");
    position = begin + 2 + digits;
    push(kind, begin, position, value);
    return checkEnd(begin);
  }

  bool checkEnd(size_t begin) {
    if (continuesName(at(position)))
      return fail(begin, "number runs into a name");
    return true;
  }

  bool scanFraction(size_t begin) {
    const char *stop = text.data() + text.size();
    double number = 0;
    auto [tail, status] = std::from_chars(text.data() + begin, stop, number);
    if (status != std::errc())
      return fail(begin, "bad float constant");
    position = tail - text.data();
    push(TokenKind::Float64, begin, position, std::bit_cast<uint64_t>(number));
    return checkEnd(begin);
  }

  bool scanNumber() {
    size_t begin = position;
    char next = at(begin + 1);
    if (text[begin] == '0' && (next == 'f' || next == 'F'))
      return scanHexBits(begin, 8, TokenKind::Float32);
    if (text[begin] == '0' && (next == 'd' || next == 'D'))
      return scanHexBits(begin, 16, TokenKind::Float64);
    int base = 10;
    size_t first = begin;
    if (text[begin] == '0' && (next == 'x' || next == 'X')) {
      base = 16;
      first += 2;
    } else if (text[begin] == '0' && (next == 'b' || next == 'B')) {
      base = 2;
      first += 2;
    } else if (text[begin] == '0' && isDigit(next)) {
      base = 8;
    }
    uint64_t value = 0;
    const char *stop = text.data() + text.size();
    auto [end, code] = std::from_chars(text.data() + first, stop, value, base);
    if (code != std::errc())
      return fail(begin, "bad integer constant");
    position = end - text.data();
    if (base == 10 || base == 8) {
      char after = at(position + 1);
      bool fraction =
          at(position) == '.' && (isDigit(after) || !continuesName(after));
      bool exponent = at(position) == 'e' || at(position) == 'E';
      if (fraction || exponent)
        return scanFraction(begin);
    }
    if (at(position) == 'U')
      ++position;
    push(TokenKind::Integer, begin, position, value);
    return checkEnd(begin);
  }

  std::string_view text;
  std::vector<Token> &tokens;
  Error &error;
  size_t position = 0;
  uint32_t line = 1;
  size_t lineStart = 0;
};

} // namespace

bool ropewalk::emulator::lex(std::string_view text, std::vector<Token> &tokens,
                             Error &error) {
  return Scanner(text, tokens, error).run();
}
