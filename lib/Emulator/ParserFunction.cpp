//===- ParserFunction.cpp - The PTX parser: heads of functions --*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Names, parameters and directives of entries and device functions. The
// parameters of an entry make up a block that the launch fills; those of a
// device function are registers or variables in the caller's local memory.
//
//===----------------------------------------------------------------------===//

#include "Parser.h"

using namespace ropewalk::emulator;

bool Parser::parseBounds(Dim3 &bounds) {
  uint64_t values[3] = {1, 1, 1};
  for (unsigned i = 0; i < 3; ++i) {
    if (i > 0 && !consume(','))
      break;
    if (!parsePositive(values[i], 1 << 30, "an extent"))
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

bool Parser::parseFormal(FunctionSyntax &target, std::vector<Formal> &formals) {
  const Token kind = next();
  Formal formal;
  if (kind.isDot("reg")) {
    const Token type = next();
    formal.isRegister = true;
    formal.type =
        type.kind == TokenKind::Dot ? scalarType(type.text) : ScalarType::None;
    if (formal.type == ScalarType::None)
      return fail(type, "unsupported register type " + describe(type));
    const Token nameToken = next();
    if (nameToken.kind != TokenKind::Identifier)
      return fail(nameToken, "expected the name of a register, found " +
                                 describe(nameToken));
    formal.index = int32_t(target.registers.size());
    formal.size = sizeOf(formal.type);
    target.registers.push_back({std::string(nameToken.text), formal.type});
  } else if (kind.isDot("param")) {
    Variable variable;
    if (!parseVariable(Space::Param, false, variable))
      return false;
    if (variable.size > (1 << 16))
      return failAt(variable.location,
                    "parameter of more than 65536 bytes of a function");
    formal.index = int32_t(target.locals.size());
    formal.type = variable.type;
    formal.size = variable.size;
    formal.isArray = !variable.extents.empty() || variable.vectorLength > 1;
    target.locals.push_back(std::move(variable));
  } else {
    return fail(kind, "expected '.param' or '.reg', found " + describe(kind));
  }
  formals.push_back(formal);
  return true;
}

bool Parser::parseFormals(FunctionSyntax &target,
                          std::vector<Formal> &formals) {
  if (!consume('('))
    return true;
  while (!consume(')')) {
    if (!formals.empty() && !expect(',', "between parameters"))
      return false;
    if (!parseFormal(target, formals))
      return false;
  }
  return true;
}

bool Parser::parseFunctionDirectives(FunctionSyntax &parsed) {
  KernelInfo &info = parsed.info;
  while (peek().kind == TokenKind::Dot) {
    const Token &token = next();
    uint64_t value = 0;
    if (!requireDirective(token))
      return false;
    if (token.isDot("maxntid")) {
      if (!parseBounds(info.maxThreads))
        return false;
    } else if (token.isDot("reqntid")) {
      if (!parseBounds(info.requiredThreads))
        return false;
    } else if (token.isDot("reqnctapercluster")) {
      if (!parseBounds(info.requiredCluster))
        return false;
    } else if (token.isDot("minnctapersm") || token.isDot("maxnreg") ||
               token.isDot("maxnctapersm") || token.isDot("maxclusterrank")) {
      if (!parsePositive(value, 1 << 30, "a number"))
        return false;
      if (token.isDot("minnctapersm"))
        info.minBlocksPerMultiprocessor = uint32_t(value);
      else if (token.isDot("maxnreg"))
        info.maxRegisters = uint32_t(value);
      else if (token.isDot("maxclusterrank"))
        info.maxClusterRank = uint32_t(value);
    } else if (token.isDot("explicitcluster")) {
      info.hasExplicitCluster = true;
    } else if (token.isDot("pragma")) {
      if (!parsePragma())
        return false;
    } else if (!token.isDot("noreturn")) {
      return fail(token, "unsupported directive " + describe(token));
    }
  }
  return true;
}

bool Parser::parseFunction(bool isEntry, bool isExternal) {
  FunctionSyntax parsed;
  parsed.isEntry = isEntry;
  if (peek().isDot("attribute")) {
    next();
    if (!parseAttributes())
      return false;
  }
  if (!isEntry && !parseFormals(parsed, parsed.results))
    return false;
  const Token nameToken = next();
  if (nameToken.kind != TokenKind::Identifier)
    return fail(nameToken,
                "expected a function name, found " + describe(nameToken));
  parsed.info.name = nameToken.text;
  parsed.location = nameToken.location;
  if (!(isEntry ? parseParameters(parsed)
                : parseFormals(parsed, parsed.arguments)) ||
      !parseFunctionDirectives(parsed))
    return false;
  if (!isEntry)
    module.functionNames.insert(
        {parsed.info.name, uint32_t(module.functionNames.size())});
  if (consume(';')) { // A declaration.
    if (!isEntry) {
      module.functions.insert({parsed.info.name, uint32_t(functions.size())});
      functions.push_back(std::move(parsed));
    }
    return true;
  }
  if (isExternal || !peek().is('{'))
    return fail(peek(), "expected ';' or a body after the header of '" +
                            parsed.info.name + "', found " + describe(peek()));
  if (!defined.insert(parsed.info.name).second)
    return fail(nameToken, std::string(isEntry ? "entry '" : "function '") +
                               parsed.info.name + "' is defined twice");
  parsed.hasBody = true;
  if (!isEntry)
    module.functions[parsed.info.name] = uint32_t(functions.size());
  functions.push_back(std::move(parsed));
  return parseBody(functions.back());
}
