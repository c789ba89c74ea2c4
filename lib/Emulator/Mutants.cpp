//===- Mutants.cpp - Changes that take synchronization away -----*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Works on the tokens of the text, so that one change hits all copies that the
// inliner makes of an instruction. The decoded code only tells which
// instructions belong to the entry.
//
//===----------------------------------------------------------------------===//

#include "Lexer.h"
#include "Program.h"
#include "Ropewalk/Emulator/Mutation.h"

#include <algorithm>
#include <charconv>
#include <set>

using namespace ropewalk::emulator;

namespace {

/// One instruction in the text.
struct Statement {
  SourceLocation location;
  size_t begin = 0;  ///< Offset of the guard, or of the opcode.
  size_t opcode = 0; ///< Offset behind the guard.
  size_t end = 0;    ///< Behind the ';'.
  std::string base;
  std::vector<std::string> modifiers;
  std::vector<std::string> operands;

  bool has(std::string_view modifier) const {
    return std::find(modifiers.begin(), modifiers.end(), modifier) !=
           modifiers.end();
  }
  /// Whether the modifiers begin with these.
  bool starts(std::initializer_list<std::string_view> names) const {
    return names.size() <= modifiers.size() &&
           std::equal(names.begin(), names.end(), modifiers.begin());
  }
};

class Lister {
public:
  Lister(std::string_view ptx, bool hasClusters)
      : ptx(ptx), hasClusters(hasClusters) {}

  void list(const Statement &s, const Statement *next);
  std::vector<Mutant> mutants;

private:
  void add(const Statement &s, std::string mutation, std::string replacement);
  void remove(const Statement &s) { add(s, "deleted", ""); }
  /// Exchanges a modifier, or drops it if `to` is empty.
  void exchange(const Statement &s, std::string_view from, std::string_view to);
  void awaitOneMore(const Statement &s);
  void weaken(const Statement &s);
  void listBarrier(const Statement &s, const Statement *next);
  void listClusterBarrier(const Statement &s, const Statement *next);
  void listMbarrier(const Statement &s);
  void listFence(const Statement &s);
  void listCopy(const Statement &s);
  void listMatrix(const Statement &s);

  std::string_view ptx;
  bool hasClusters;
};

/// The statement with other modifiers and operands.
std::string write(const Statement &s, const std::vector<std::string> &modifiers,
                  const std::vector<std::string> &operands) {
  std::string text = s.base;
  for (const std::string &modifier : modifiers)
    text += "." + modifier;
  for (size_t i = 0; i < operands.size(); ++i)
    text += (i ? ", " : " ") + operands[i];
  return text + ";";
}

/// Without line breaks, comments and double spaces.
std::string oneLine(std::string_view text) {
  std::string line;
  for (char c : text) {
    bool isSpace = c == ' ' || c == '\t' || c == '\n' || c == '\r';
    if (!isSpace)
      line += c;
    else if (!line.empty() && line.back() != ' ')
      line += ' ';
  }
  return line;
}

void Lister::add(const Statement &s, std::string mutation,
                 std::string replacement) {
  Mutant &mutant = mutants.emplace_back();
  mutant.location = s.location;
  mutant.text = oneLine(ptx.substr(s.begin, s.end - s.begin));
  mutant.mutation = std::move(mutation);
  // A deleted instruction takes its guard with it.
  size_t begin = replacement.empty() ? s.begin : s.opcode;
  mutant.edits.push_back({begin, s.end - begin, std::move(replacement)});
}

void Lister::exchange(const Statement &s, std::string_view from,
                      std::string_view to) {
  auto modifiers = s.modifiers;
  auto found = std::find(modifiers.begin(), modifiers.end(), from);
  if (to.empty())
    modifiers.erase(found);
  else
    *found = to;
  add(s,
      "." + std::string(from) +
          (to.empty() ? " dropped" : " -> ." + std::string(to)),
      write(s, modifiers, s.operands));
}

void Lister::awaitOneMore(const Statement &s) {
  uint32_t pending = 0;
  if (s.operands.size() != 1)
    return;
  const std::string &text = s.operands[0];
  if (std::from_chars(text.data(), text.data() + text.size(), pending).ptr !=
      text.data() + text.size())
    return;
  std::string more = std::to_string(pending + 1);
  add(s, text + " -> " + more, write(s, s.modifiers, {more}));
}

void Lister::weaken(const Statement &s) {
  for (const char *order : {"acq_rel", "acquire", "release"})
    if (s.base != "fence" && s.has(order))
      exchange(s, order, "relaxed");
  if (s.has("sc"))
    exchange(s, "sc", "acq_rel");
  if (s.has("volatile"))
    exchange(s, "volatile", "");
  if (s.has("sys"))
    exchange(s, "sys", "gpu");
  if (s.has("gpu"))
    exchange(s, "gpu", hasClusters ? "cluster" : "cta");
  if (s.has("cluster"))
    exchange(s, "cluster", "cta");
}

void Lister::listClusterBarrier(const Statement &s, const Statement *next) {
  remove(s);
  if (!s.has("arrive"))
    return;
  if (s.has("release")) {
    exchange(s, "release", "relaxed");
  } else if (!s.has("relaxed")) {
    auto modifiers = s.modifiers;
    modifiers.insert(
        std::find(modifiers.begin(), modifiers.end(), "arrive") + 1, "relaxed");
    add(s, ".release -> .relaxed", write(s, modifiers, s.operands));
  }
  if (!next)
    return;
  add(s, "deleted with line " + std::to_string(next->location.line), "");
  mutants.back().edits.push_back({next->begin, next->end - next->begin, ""});
}

void Lister::listBarrier(const Statement &s, const Statement *next) {
  if (s.starts({"cluster"}))
    return listClusterBarrier(s, next);
  if (!s.has("red"))
    return remove(s);
  // What a thread has found itself stands for what all have found.
  if (s.operands.size() < 3)
    return;
  std::string value = s.operands.back();
  bool isNegated = value[0] == '!';
  if (isNegated)
    value.erase(0, 1);
  const std::string &result = s.operands[0];
  add(s, "deleted",
      s.has("popc") ? "selp.u32 " + result +
                          (isNegated ? ", 0, 1, " : ", 1, 0, ") + value + ";"
      : isNegated   ? "not.pred " + result + ", " + value + ";"
                    : "mov.pred " + result + ", " + value + ";");
}

void Lister::listMbarrier(const Statement &s) {
  if (s.starts({"test_wait"}) || s.starts({"try_wait"})) {
    if (!s.operands.empty())
      add(s, "always true", "setp.eq.u32 " + s.operands[0] + ", 0, 0;");
  } else if (s.starts({"arrive"}) || s.starts({"arrive_drop"})) {
    bool hasState =
        !s.operands.empty() && s.operands[0] != "_" && s.operands[0][0] != '[';
    add(s, "deleted",
        hasState ? "mov.b64 " + s.operands[0] + ", 0;" : std::string());
    if (s.has("expect_tx") && s.operands.size() > 1) {
      auto modifiers = s.modifiers;
      std::erase(modifiers, "expect_tx");
      auto operands = s.operands;
      operands.pop_back();
      add(s, ".expect_tx dropped", write(s, modifiers, operands));
    }
  } else if (s.starts({"expect_tx"})) {
    remove(s);
  } else {
    return;
  }
  weaken(s);
}

void Lister::listFence(const Statement &s) {
  remove(s);
  if (s.base == "membar") {
    if (s.has("sys"))
      exchange(s, "sys", "gl");
    if (s.has("gl"))
      exchange(s, "gl", "cta");
  } else if (!s.has("proxy") && !s.has("mbarrier_init")) {
    weaken(s);
  }
}

void Lister::listCopy(const Statement &s) {
  if (s.starts({"async", "commit_group"}) ||
      s.starts({"async", "bulk", "commit_group"}) ||
      s.starts({"async", "mbarrier", "arrive"}))
    return remove(s);
  if (s.starts({"async", "wait_all"})) {
    remove(s);
    add(s, "-> wait_group 1", "cp.async.wait_group 1;");
  } else if (s.starts({"async", "wait_group"}) ||
             s.starts({"async", "bulk", "wait_group"})) {
    remove(s);
    awaitOneMore(s);
    if (s.has("bulk") && !s.has("read")) {
      auto modifiers = s.modifiers;
      modifiers.push_back("read");
      add(s, ".read added", write(s, modifiers, s.operands));
    }
  }
}

void Lister::listMatrix(const Statement &s) {
  if (s.starts({"fence"}) || s.starts({"commit_group"}))
    return remove(s);
  if (!s.starts({"wait_group"}))
    return;
  remove(s);
  awaitOneMore(s);
}

void Lister::list(const Statement &s, const Statement *next) {
  if (s.base == "bar" || s.base == "barrier")
    listBarrier(s, next);
  else if (s.base == "mbarrier")
    listMbarrier(s);
  else if (s.base == "fence" || s.base == "membar")
    listFence(s);
  else if (s.base == "cp")
    listCopy(s);
  else if (s.base == "wgmma")
    listMatrix(s);
  else if (s.base == "griddepcontrol" && s.starts({"wait"}))
    remove(s);
  else if ((s.base == "ld" || s.base == "st" || s.base == "atom" ||
            s.base == "red") &&
           !s.has("async"))
    weaken(s);
}

class StatementReader {
public:
  StatementReader(std::string_view ptx, const std::vector<Token> &tokens)
      : ptx(ptx), tokens(tokens) {}

  /// Reads the statement whose opcode is token `first`.
  Statement read(size_t first) const;

private:
  size_t begin(const Token &token) const {
    size_t offset = size_t(token.text.data() - ptx.data());
    // The dot, quotes and the like are not in the text of a token.
    return token.kind == TokenKind::Dot || token.kind == TokenKind::String
               ? offset - 1
               : offset;
  }
  size_t end(const Token &token) const {
    return size_t(token.text.data() + token.text.size() - ptx.data()) +
           (token.kind == TokenKind::String);
  }

  std::string_view ptx;
  const std::vector<Token> &tokens;
};

Statement StatementReader::read(size_t first) const {
  Statement s;
  const Token &opcode = tokens[first];
  s.location = opcode.location;
  s.begin = s.opcode = begin(opcode);
  s.base = opcode.text;
  // "@p" or "@!p" before it.
  size_t guard =
      first >= 2 && tokens[first - 2].is('@') ? first - 2
      : first >= 3 && tokens[first - 2].is('!') && tokens[first - 3].is('@')
          ? first - 3
          : first;
  s.begin = begin(tokens[guard]);
  size_t i = first + 1;
  for (; tokens[i].kind == TokenKind::Dot; ++i)
    s.modifiers.emplace_back(tokens[i].text);
  // Operands between commas outside of brackets.
  int depth = 0;
  size_t operand = 0;
  bool isOpen = false;
  for (; tokens[i].kind != TokenKind::End; ++i) {
    const Token &token = tokens[i];
    bool ends = depth == 0 && (token.is(',') || token.is(';'));
    if (ends && isOpen)
      s.operands.push_back(
          oneLine(ptx.substr(operand, end(tokens[i - 1]) - operand)));
    if (depth == 0 && token.is(';')) {
      s.end = end(token);
      break;
    }
    if (ends)
      isOpen = false;
    else if (!isOpen) {
      isOpen = true;
      operand = begin(token);
    }
    if (token.is('[') || token.is('{') || token.is('('))
      ++depth;
    if (token.is(']') || token.is('}') || token.is(')'))
      --depth;
  }
  return s;
}

bool isClusterBarrier(const Statement &s, std::string_view what) {
  return s.base == "barrier" && s.starts({"cluster", what});
}

} // namespace

std::vector<Mutant> ropewalk::emulator::listMutants(std::string_view ptx,
                                                    std::string_view entry,
                                                    Error &error) {
  auto module = Module::parse(ptx, error);
  std::vector<Token> tokens;
  if (!module || !lex(ptx, tokens, error))
    return {};
  const Kernel *kernel = module->find(entry);
  if (!kernel) {
    error = {"no entry '" + std::string(entry) + "'", {}};
    return {};
  }
  error = {};
  std::set<std::pair<uint32_t, uint32_t>> places;
  for (const Inst &inst : kernel->program->code)
    places.insert({inst.location.line, inst.location.column});
  StatementReader reader(ptx, tokens);
  std::vector<Statement> statements;
  for (size_t i = 0; i < tokens.size(); ++i) {
    const Token &token = tokens[i];
    if (token.kind == TokenKind::Identifier &&
        places.count({token.location.line, token.location.column}))
      if (Statement s = reader.read(i); s.end)
        statements.push_back(std::move(s));
  }
  std::string reason;
  Lister lister(ptx, targetRunsOn("sm_90", module->target(), reason));
  for (size_t i = 0; i < statements.size(); ++i) {
    const Statement *next = nullptr;
    if (isClusterBarrier(statements[i], "arrive"))
      for (size_t j = i + 1; j < statements.size() && !next; ++j)
        if (isClusterBarrier(statements[j], "wait"))
          next = &statements[j];
    lister.list(statements[i], next);
  }
  return std::move(lister.mutants);
}

std::string ropewalk::emulator::applyMutant(std::string_view ptx,
                                            const Mutant &mutant) {
  std::string text;
  size_t at = 0;
  for (const Mutant::Edit &edit : mutant.edits) {
    text += ptx.substr(at, edit.offset - at);
    text += edit.replacement;
    // Line breaks stay, so that reports name the lines of the kernel.
    for (char c : ptx.substr(edit.offset, edit.length))
      if (c == '\n')
        text += c;
    at = edit.offset + edit.length;
  }
  return text += ptx.substr(at);
}
