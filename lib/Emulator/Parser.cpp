//===- Parser.cpp - The PTX parser: module scope ----------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Directives, variables of the module and the debug sections that are read
// over.
//
//===----------------------------------------------------------------------===//

#include "Parser.h"
#include "Requirements.h"

#include <algorithm>
#include <atomic>
#include <cstring>

using namespace ropewalk::emulator;

std::string Error::str() const {
  return std::to_string(location.line) + ":" + std::to_string(location.column) +
         ": " + message;
}

std::string Parser::describe(const Token &token) {
  switch (token.kind) {
  case TokenKind::End:
    return "the end of the text";
  case TokenKind::Dot:
    return "'." + std::string(token.text) + "'";
  case TokenKind::String:
    return "a string";
  default:
    return "'" + std::string(token.text) + "'";
  }
}

bool Parser::failAt(SourceLocation location, std::string message) {
  error = {std::move(message), location};
  return false;
}

bool Parser::fail(const Token &token, std::string message) {
  return failAt(token.location, std::move(message));
}

bool Parser::expect(char c, const char *where) {
  if (consume(c))
    return true;
  return fail(peek(), std::string("expected '") + c + "' " + where +
                          ", found " + describe(peek()));
}

bool Parser::parseModule() {
  if (!peek().isDot("version"))
    return fail(peek(), "expected '.version' at the start of the module, "
                        "found " +
                            describe(peek()));
  while (peek().kind != TokenKind::End)
    if (!parseDirective())
      return false;
  if (module.target.empty())
    return fail(peek(), "module has no '.target'");
  // Every module gets its own range of addresses, so that code can hold the
  // addresses of its variables and several modules share a device.
  static std::atomic<uint64_t> nextBase{uint64_t(1) << 44};
  module.globalBytes = (module.globalBytes + 255) & ~uint64_t(255);
  module.globalBase =
      nextBase.fetch_add(module.globalBytes + (uint64_t(1) << 20));
  resolveAddresses();
  return true;
}

void Parser::resolveAddresses() {
  for (const PendingAddress &entry : pendingAddresses) {
    uint64_t value = entry.value + (entry.isGlobal ? module.globalBase : 0);
    value >>= entry.shift;
    Variable &variable = entry.inConstants ? module.constants[entry.variable]
                                           : module.globals[entry.variable];
    std::memcpy(variable.initial.data() + entry.position, &value, entry.bytes);
    if (entry.inConstants)
      std::memcpy(module.constantBytes.data() + variable.offset +
                      entry.position,
                  &value, entry.bytes);
  }
}

bool Parser::parseTarget() {
  const Token &token = next();
  if (token.kind != TokenKind::Identifier)
    return fail(token,
                "expected a chip after '.target', found " + describe(token));
  module.target = token.text;
  SourceLocation location = token.location;
  while (consume(',')) {
    const Token &option = next();
    if (option.kind != TokenKind::Identifier)
      return fail(option, "expected an option after ',' in '.target', found " +
                              describe(option));
    if (option.text != "debug" && option.text != "texmode_independent" &&
        option.text != "texmode_unified")
      return fail(option, "unsupported target option " + describe(option));
  }
  std::string message;
  return readTarget(module, message) || failAt(location, message);
}

bool Parser::requireDirective(const Token &token) {
  std::string message;
  return meets(module, requirementOfDirective(token.text), message) ||
         fail(token, describe(token) + " " + message);
}

bool Parser::parseFile() {
  // .file N "name" [, timestamp, size]
  const Token number = next();
  if (number.kind != TokenKind::Integer || number.value > 0xffffffff)
    return fail(number,
                "expected a number after '.file', found " + describe(number));
  const Token text = next();
  if (text.kind != TokenKind::String)
    return fail(text,
                "expected a file name after '.file', found " + describe(text));
  module.files[uint32_t(number.value)] = text.text;
  for (int i = 0; i < 2 && consume(','); ++i)
    if (const Token &token = next(); token.kind != TokenKind::Integer)
      return fail(token, "expected a number after ',' in '.file', found " +
                             describe(token));
  return true;
}

bool Parser::parseAlias() {
  std::string names[2];
  for (int i = 0; i < 2; ++i) {
    const Token &token = next();
    if (token.kind != TokenKind::Identifier)
      return fail(token, "expected the name of a function after '.alias', "
                         "found " +
                             describe(token));
    names[i] = token.text;
    if (!expect(i ? ';' : ',', "in '.alias'"))
      return false;
  }
  module.aliases[names[0]] = names[1];
  module.functionNames.insert(
      {names[0], uint32_t(module.functionNames.size())});
  return true;
}

bool Parser::parsePragma() {
  do {
    if (const Token &token = next(); token.kind != TokenKind::String)
      return fail(token, "expected a string after '.pragma', found " +
                             describe(token));
  } while (consume(','));
  return expect(';', "after '.pragma'");
}

bool Parser::parseDirective() {
  const Token &token = next();
  if (token.is(';'))
    return true;
  if (token.kind != TokenKind::Dot)
    return fail(token, "expected a directive, found " + describe(token));
  if (!requireDirective(token))
    return false;
  std::string_view text = token.text;
  if (text == "version") {
    const Token &number = next();
    if (number.kind != TokenKind::Float64 && number.kind != TokenKind::Integer)
      return fail(number,
                  "expected a version number, found " + describe(number));
    module.version = number.text;
    return true;
  }
  if (text == "target")
    return parseTarget();
  if (text == "address_size") {
    const Token &size = next();
    if (size.kind != TokenKind::Integer || size.value != 64)
      return fail(size, "address size must be 64, found " + describe(size));
    return true;
  }
  if (text == "file")
    return parseFile();
  if (text == "alias")
    return parseAlias();
  if (text == "pragma")
    return parsePragma();
  if (text == "section")
    return skipDebugSection();

  // Linkage, then a function or a variable.
  bool isExternal = false;
  const Token *kind = &token;
  while (kind->isDot("visible") || kind->isDot("extern") ||
         kind->isDot("weak") || kind->isDot("common")) {
    isExternal |= kind->isDot("extern");
    kind = &next();
  }
  if (kind->isDot("entry"))
    return parseFunction(/*isEntry=*/true, isExternal);
  if (kind->isDot("func"))
    return parseFunction(/*isEntry=*/false, isExternal);
  if (kind->isDot("global"))
    return parseModuleVariables(Space::Global, isExternal);
  if (kind->isDot("const"))
    return parseModuleVariables(Space::Const, isExternal);
  if (kind->isDot("shared"))
    return parseModuleVariables(Space::Shared, isExternal);
  return fail(*kind, "unsupported directive " + describe(*kind));
}

bool Parser::skipDebugSection() {
  next();
  if (!peek().is('{'))
    return fail(peek(),
                "expected '{' after '.section', found " + describe(peek()));
  return skipBraces();
}

bool Parser::skipBraces() {
  const Token open = peek();
  int depth = 0;
  do {
    const Token &token = peek();
    if (token.kind == TokenKind::End)
      return fail(open, "'{' is not closed");
    depth += token.is('{');
    depth -= token.is('}');
    advance();
  } while (depth > 0);
  return true;
}

bool Parser::parseModuleVariables(Space space, bool isExternal) {
  if (peek().is('['))
    return fail(peek(), "banks of constant memory are not supported");
  Variable declared;
  declared.space = space;
  declared.isExternal = isExternal;
  if (!parseVariableType(declared))
    return false;
  do {
    Variable variable = declared;
    variableAddresses.clear();
    if (!parseDeclarator(variable) || !addModuleVariable(std::move(variable)))
      return false;
  } while (consume(','));
  return expect(';', "after a variable");
}

namespace {

uint64_t alignTo(uint64_t value, uint64_t alignment) {
  return (value + alignment - 1) / alignment * alignment;
}

} // namespace

bool Parser::addModuleVariable(Variable variable) {
  auto known = moduleNames.find(variable.name);
  // A declaration may stand before the definition.
  if (known != moduleNames.end() &&
      (!known->second.isExternal || known->second.space != variable.space)) {
    if (variable.isExternal && known->second.space == variable.space)
      return true;
    return failAt(variable.location,
                  "variable '" + variable.name + "' is defined twice");
  }
  Name entry;
  entry.kind = Name::Address;
  entry.space = variable.space;
  uint64_t stride = sizeOf(variable.type) * variable.vectorLength;
  for (size_t i = variable.extents.size(); i-- > 0;) {
    entry.strides.insert(entry.strides.begin(), stride);
    stride *= variable.extents[i];
  }
  if (variable.space == Space::Shared) {
    if (variable.isExternal && variable.size != 0)
      return failAt(variable.location, "external shared variable '" +
                                           variable.name +
                                           "' must be an array without a size");
    entry.index = int32_t(module.shared.size());
    entry.isDynamicShared = variable.size == 0;
    moduleNames[variable.name] = entry;
    module.shared.push_back(std::move(variable));
    return true;
  }
  entry.isExternal = variable.isExternal;
  if (variable.isExternal) { // An error only where it is used.
    moduleNames[variable.name] = entry;
    return true;
  }
  bool isConst = variable.space == Space::Const;
  uint64_t end = isConst ? module.constantBytes.size() : module.globalBytes;
  // Global variables lie apart, so that an access beyond one is none to the
  // next.
  constexpr uint64_t gap = 1024;
  variable.offset =
      alignTo(isConst || module.globals.empty() ? end : end + gap,
              isConst ? variable.alignment
                      : std::max<uint64_t>(variable.alignment, 256));
  entry.offset = variable.offset;
  moduleNames[variable.name] = entry;
  for (PendingAddress &address : variableAddresses) {
    address.inConstants = isConst;
    address.variable =
        uint32_t(isConst ? module.constants.size() : module.globals.size());
    pendingAddresses.push_back(address);
  }
  if (isConst) {
    if (variable.offset + variable.size > (1 << 16))
      return failAt(variable.location,
                    "constant variables take more than 65536 bytes");
    module.constantBytes.resize(variable.offset + variable.size);
    std::copy(variable.initial.begin(), variable.initial.end(),
              module.constantBytes.begin() + variable.offset);
    module.constants.push_back(std::move(variable));
    return true;
  }
  module.globalBytes = variable.offset + variable.size;
  if (module.globalBytes > (uint64_t(1) << 40))
    return failAt(variable.location, "global variables take more than a "
                                     "terabyte");
  module.globals.push_back(std::move(variable));
  return true;
}

bool ropewalk::emulator::parsePTX(std::string_view text, ModuleData &module,
                                  std::vector<FunctionSyntax> &functions,
                                  Error &error) {
  std::vector<Token> tokens;
  if (!lex(text, tokens, error))
    return false;
  return Parser(std::move(tokens), module, functions, error).parseModule();
}
