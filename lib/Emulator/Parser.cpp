//===- Parser.cpp - The PTX parser: module scope ----------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Directives, function headers and the debug sections that are read over.
//
//===----------------------------------------------------------------------===//

#include "Parser.h"

#include <algorithm>
#include <atomic>

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
  return true;
}

bool Parser::parseTarget() {
  const Token &token = next();
  if (token.kind != TokenKind::Identifier)
    return fail(token,
                "expected a chip after '.target', found " + describe(token));
  module.target = token.text;
  while (consume(',')) {
    const Token &option = next();
    if (option.kind != TokenKind::Identifier)
      return fail(option, "expected an option after ',' in '.target', found " +
                              describe(option));
    if (option.text != "debug" && option.text != "texmode_independent" &&
        option.text != "texmode_unified")
      return fail(option, "unsupported target option " + describe(option));
  }
  return true;
}

bool Parser::parseDirective() {
  const Token &token = next();
  if (token.kind != TokenKind::Dot)
    return fail(token, "expected a directive, found " + describe(token));
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
  if (text == "file") {
    // .file N "name" [, timestamp, size]
    if (next().kind != TokenKind::Integer)
      return fail(token, "expected a number after '.file'");
    if (next().kind != TokenKind::String)
      return fail(token, "expected a file name after '.file'");
    while (consume(','))
      next();
    return true;
  }
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
    return parseModuleVariable(Space::Global, isExternal);
  if (kind->isDot("const"))
    return parseModuleVariable(Space::Const, isExternal);
  if (kind->isDot("shared"))
    return parseModuleVariable(Space::Shared, isExternal);
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

bool Parser::parseBounds(Dim3 &bounds) {
  uint64_t values[3] = {1, 1, 1};
  for (unsigned i = 0; i < 3; ++i) {
    if (i > 0 && !consume(','))
      break;
    if (!parsePositive(values[i], 1 << 30, "a number of threads"))
      return false;
  }
  bounds = {uint32_t(values[0]), uint32_t(values[1]), uint32_t(values[2])};
  return true;
}

bool Parser::parseParameters(FunctionSyntax &target) {
  if (!consume('('))
    return true;
  uint64_t offset = 0;
  while (!consume(')')) {
    if (!target.info.parameters.empty() && !expect(',', "between parameters"))
      return false;
    if (!peek().isDot("param"))
      return fail(peek(), "expected '.param', found " + describe(peek()));
    next();
    Variable variable;
    Parameter parameter;
    // The pointer attributes stand between type and name, so the variable
    // parser leaves them to this flag.
    size_t begin = position;
    if (!parseVariable(Space::Param, false, variable))
      return false;
    for (size_t i = begin; i < position; ++i)
      parameter.isPointer |= tokens[i].isDot("ptr");
    offset = (offset + variable.alignment - 1) / variable.alignment *
             variable.alignment;
    parameter.name = variable.name;
    parameter.type = name(variable.type);
    parameter.size = uint32_t(variable.size);
    parameter.alignment = variable.alignment;
    parameter.offset = uint32_t(offset);
    offset += variable.size;
    if (offset > 32764)
      return failAt(variable.location, "parameters take " +
                                           std::to_string(offset) +
                                           " bytes, more than 32764");
    target.info.parameters.push_back(std::move(parameter));
  }
  target.info.parameterBytes = uint32_t(offset);
  return true;
}

bool Parser::parseFunction(bool isEntry, bool isExternal) {
  FunctionSyntax parsed;
  parsed.isEntry = isEntry;
  if (!isEntry && peek().is('(')) { // Return value.
    FunctionSyntax ignored;
    if (!parseParameters(ignored))
      return false;
  }
  const Token &nameToken = next();
  if (nameToken.kind != TokenKind::Identifier)
    return fail(nameToken,
                "expected a function name, found " + describe(nameToken));
  parsed.info.name = nameToken.text;
  if (!parseParameters(parsed))
    return false;
  while (peek().kind == TokenKind::Dot) {
    const Token &token = next();
    if (token.isDot("maxntid")) {
      if (!parseBounds(parsed.info.maxThreads))
        return false;
    } else if (token.isDot("reqntid")) {
      if (!parseBounds(parsed.info.requiredThreads))
        return false;
    } else if (token.isDot("minnctapersm") || token.isDot("maxnreg") ||
               token.isDot("maxnctapersm") || token.isDot("maxclusterrank")) {
      uint64_t value = 0;
      if (!parsePositive(value, 1 << 30, "a number"))
        return false;
      if (token.isDot("minnctapersm"))
        parsed.info.minBlocksPerMultiprocessor = uint32_t(value);
      else if (token.isDot("maxnreg"))
        parsed.info.maxRegisters = uint32_t(value);
      else if (token.isDot("maxclusterrank"))
        parsed.info.maxClusterRank = uint32_t(value);
    } else if (token.isDot("reqnctapercluster")) {
      if (!parseBounds(parsed.info.requiredCluster))
        return false;
    } else if (token.isDot("explicitcluster")) {
      parsed.info.hasExplicitCluster = true;
    } else if (token.isDot("pragma")) {
      while (peek().kind == TokenKind::String || peek().is(','))
        next();
      if (!expect(';', "after '.pragma'"))
        return false;
    } else if (!token.isDot("noreturn")) {
      return fail(token, "unsupported directive " + describe(token));
    }
  }
  if (consume(';'))
    return true; // A declaration.
  if (isExternal || !peek().is('{'))
    return fail(peek(), "expected ';' or a body after the header of '" +
                            parsed.info.name + "', found " + describe(peek()));
  if (!isEntry)
    return skipBraces();
  for (const FunctionSyntax &other : functions)
    if (other.info.name == parsed.info.name)
      return fail(nameToken,
                  "entry '" + parsed.info.name + "' is defined twice");
  functions.push_back(std::move(parsed));
  return parseBody(functions.back());
}

bool Parser::parseModuleVariable(Space space, bool isExternal) {
  while (true) {
    Variable variable;
    if (!parseVariable(space, isExternal, variable))
      return false;
    if (moduleNames.count(variable.name) || moduleShared.count(variable.name))
      return failAt(variable.location,
                    "variable '" + variable.name + "' is defined twice");
    if (space == Space::Shared) {
      if (variable.isExternal && variable.size != 0)
        return failAt(variable.location,
                      "external shared variable '" + variable.name +
                          "' must be an array without a size");
      moduleShared[variable.name] = variable;
    } else {
      if (variable.isExternal)
        return failAt(variable.location, "external variable '" + variable.name +
                                             "' has no definition here");
      bool isConst = space == Space::Const;
      uint64_t end = isConst ? module.constantBytes.size() : module.globalBytes;
      variable.offset = (end + variable.alignment - 1) / variable.alignment *
                        variable.alignment;
      Name entry;
      entry.kind = Name::Address;
      entry.space = space;
      entry.offset = variable.offset;
      moduleNames[variable.name] = entry;
      if (isConst) {
        if (variable.offset + variable.size > (1 << 16))
          return failAt(variable.location,
                        "constant variables take more than 65536 bytes");
        if (!variable.addresses.empty())
          return failAt(variable.addresses[0].location,
                        "addresses in the initial value of a constant "
                        "variable are not supported");
        module.constantBytes.resize(variable.offset + variable.size);
        std::copy(variable.initial.begin(), variable.initial.end(),
                  module.constantBytes.begin() + variable.offset);
        module.constants.push_back(std::move(variable));
      } else {
        module.globalBytes = variable.offset + variable.size;
        if (module.globalBytes > (uint64_t(1) << 40))
          return failAt(variable.location,
                        "global variables take more than a terabyte");
        module.globals.push_back(std::move(variable));
      }
    }
    if (peek().is(','))
      return fail(peek(), "several variables in one declaration are not "
                          "supported");
    return expect(';', "after a variable");
  }
}

bool ropewalk::emulator::parsePTX(std::string_view text, ModuleData &module,
                                  std::vector<FunctionSyntax> &functions,
                                  Error &error) {
  std::vector<Token> tokens;
  if (!lex(text, tokens, error))
    return false;
  return Parser(std::move(tokens), module, functions, error).parseModule();
}
