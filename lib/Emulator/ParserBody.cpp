//===- ParserBody.cpp - The PTX parser: bodies of functions -----*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Registers, local and shared variables, labels and instructions. Braces inside
// a body open a scope of their own for all of these names.
//
//===----------------------------------------------------------------------===//

#include "Parser.h"

#include <charconv>

using namespace ropewalk::emulator;

bool Parser::Scope::isMember(std::string_view text) const {
  size_t digits = text.find_last_not_of("0123456789") + 1;
  auto family = families.find(text.substr(0, digits));
  uint64_t number = 0;
  return family != families.end() && digits < text.size() &&
         std::from_chars(text.data() + digits, text.data() + text.size(),
                         number)
                 .ec == std::errc() &&
         number < family->second.count;
}

bool Parser::addName(const std::string &text, Name entry,
                     SourceLocation location) {
  Scope &target = scopes[scope];
  if (target.isMember(text) || !target.names.insert({text, entry}).second)
    return failAt(location, "'" + text + "' is declared twice");
  return true;
}

bool Parser::parseBody(FunctionSyntax &target) {
  function = &target;
  scopes.clear();
  pendingTargets.clear();
  source = SourcePlace();
  callerOfPlace.clear();
  next(); // '{'
  scopes.emplace_back();
  scope = 0;
  for (const Parameter &parameter : target.info.parameters) {
    Name entry;
    entry.kind = Name::Address;
    entry.space = Space::Param;
    entry.offset = parameter.offset;
    if (!addName(parameter.name, entry, target.location))
      return false;
  }
  for (const std::vector<Formal> *formals :
       {&target.results, &target.arguments})
    for (const Formal &formal : *formals) {
      Name entry;
      entry.index = formal.index;
      if (!formal.isRegister) {
        entry.kind = Name::Address;
        entry.space = Space::Local;
        entry.isParameter = true;
      }
      const std::string &text = formal.isRegister
                                    ? target.registers[formal.index].name
                                    : target.locals[formal.index].name;
      if (!addName(text, entry, target.location))
        return false;
    }
  while (scope >= 0) {
    const Token token = peek();
    if (token.kind == TokenKind::End)
      return fail(token, "body of '" + target.info.name + "' is not closed");
    if (consume('{')) {
      // Every name is looked for in all scopes around it.
      int depth = scopes[scope].depth + 1;
      if (depth > 200)
        return fail(token, "scopes nest deeper than 200");
      scopes.emplace_back().parent = scope;
      scope = int(scopes.size()) - 1;
      scopes[scope].depth = depth;
    } else if (consume('}')) {
      scope = scopes[scope].parent;
    } else if (consume(';')) {
      continue;
    } else if (token.kind == TokenKind::Dot) {
      if (!parseBodyDirective())
        return false;
    } else if (token.kind == TokenKind::Identifier && peek(1).is(':')) {
      if (!parseLabel())
        return false;
    } else if (!parseInstruction()) {
      return false;
    }
  }
  return resolveLabels();
}

bool Parser::parseLabel() {
  const Token token = next();
  next(); // ':'
  if (peek().isDot("callprototype") || peek().isDot("calltargets")) {
    // They describe indirect calls, which are errors of their own.
    while (!peek().is(';') && peek().kind != TokenKind::End)
      next();
    return expect(';', "after the description of a call");
  }
  if (!peek().isDot("branchtargets")) {
    if (!scopes[scope]
             .labels
             .insert({std::string(token.text), uint32_t(function->body.size())})
             .second)
      return fail(token, "label " + describe(token) + " is defined twice");
    return true;
  }
  next();
  std::vector<std::pair<std::string, int>> labels;
  do {
    const Token &label = next();
    if (label.kind != TokenKind::Identifier)
      return fail(label, "expected a label, found " + describe(label));
    labels.push_back({std::string(label.text), scope});
  } while (consume(','));
  if (!expect(';', "after '.branchtargets'"))
    return false;
  uint32_t index = uint32_t(pendingTargets.size());
  scopes[scope].targetLists[std::string(token.text)] = index;
  pendingTargets.push_back({token.location.line, std::move(labels)});
  return true;
}

bool Parser::parseLocation(const Token &token) {
  // .loc file line column [, function_name label [+ n], inlined_at f l c]
  auto numbers = [&](uint32_t *values) {
    for (int i = 0; i < 3; ++i) {
      const Token &number = next();
      if (number.kind != TokenKind::Integer || number.value > 0xffffffff)
        return fail(number, "expected three numbers after '" +
                                std::string(token.text) + "', found " +
                                describe(number));
      values[i] = uint32_t(number.value);
    }
    return true;
  };
  uint32_t place[3], caller[3];
  if (!numbers(place))
    return false;
  source = {place[0], place[1], place[2]};
  while (consume(',')) {
    const Token attribute = next();
    if (attribute.text == "function_name") {
      int64_t ignored = 0;
      if (const Token &label = next(); label.kind != TokenKind::Identifier)
        return fail(label, "expected a label after 'function_name', found " +
                               describe(label));
      if (!parseOffset(ignored))
        return false;
    } else if (attribute.text == "inlined_at") {
      if (!numbers(caller))
        return false;
      // The call was inlined itself where an earlier .loc says so.
      auto outer = callerOfPlace.find({caller[0], caller[1], caller[2], 0});
      uint32_t next = outer == callerOfPlace.end() ? 0 : outer->second;
      auto [entry, isNew] =
          callerIndex.insert({{caller[0], caller[1], caller[2], next},
                              uint32_t(module.callers.size() + 1)});
      if (isNew)
        module.callers.push_back({caller[0], caller[1], caller[2], next});
      source.caller = entry->second;
    } else {
      return fail(attribute, "expected 'function_name' or 'inlined_at' in "
                             "'.loc', found " +
                                 describe(attribute));
    }
  }
  callerOfPlace[{source.file, source.line, source.column, 0}] = source.caller;
  return true;
}

bool Parser::parseBodyVariables(Space space, bool isParameter) {
  Variable declared;
  declared.space = isParameter ? Space::Param : space;
  if (!parseVariableType(declared))
    return false;
  do {
    Variable variable = declared;
    if (!parseDeclarator(variable))
      return false;
    // What the hardware addresses; 1 MiB leaves room for any shared memory.
    uint64_t limit = space == Space::Shared ? 1 << 20 : 1 << 19;
    if (variable.size > limit)
      return failAt(variable.location, std::string(".") + name(declared.space) +
                                           " variables take more than " +
                                           std::to_string(limit) + " bytes");
    Name entry;
    entry.kind = Name::Address;
    entry.space = space;
    entry.isParameter = isParameter;
    uint64_t stride = uint64_t(sizeOf(variable.type)) * variable.vectorLength;
    for (size_t i = variable.extents.size(); i-- > 0;) {
      entry.strides.insert(entry.strides.begin(), stride);
      stride *= variable.extents[i];
    }
    SourceLocation location = variable.location;
    std::string text = variable.name;
    if (space == Space::Shared) {
      entry.index = int32_t(module.shared.size());
      function->shared.push_back(uint32_t(entry.index));
      module.shared.push_back(std::move(variable));
    } else {
      entry.index = int32_t(function->locals.size());
      function->locals.push_back(std::move(variable));
    }
    if (!addName(text, entry, location))
      return false;
  } while (consume(','));
  return expect(';', "after a variable");
}

bool Parser::parseBodyDirective() {
  const Token token = next();
  if (token.isDot("reg"))
    return parseRegisters();
  if (token.isDot("loc"))
    return parseLocation(token);
  if (token.isDot("pragma"))
    return parsePragma();
  if (token.isDot("shared"))
    return parseBodyVariables(Space::Shared, false);
  if (token.isDot("local"))
    return parseBodyVariables(Space::Local, false);
  if (token.isDot("param"))
    return parseBodyVariables(Space::Local, true);
  return fail(token,
              "unsupported directive " + describe(token) + " in a function");
}

bool Parser::parseRegisters() {
  uint32_t length = 1;
  if (peek().isDot("v2") || peek().isDot("v4"))
    length = uint32_t(next().text[1] - '0');
  const Token typeToken = next();
  ScalarType type = typeToken.kind == TokenKind::Dot
                        ? scalarType(typeToken.text)
                        : ScalarType::None;
  if (type == ScalarType::None || (length > 1 && type == ScalarType::Pred))
    return fail(typeToken, "unsupported register type " + describe(typeToken));
  if (!requireDirective(typeToken))
    return false;
  Scope &target = scopes[scope];
  do {
    const Token nameToken = next();
    if (nameToken.kind != TokenKind::Identifier)
      return fail(nameToken, "expected the name of a register, found " +
                                 describe(nameToken));
    std::string text(nameToken.text);
    uint64_t count = 1;
    bool isFamily = consume('<');
    if (isFamily) {
      if (length > 1)
        return fail(nameToken, "family of vector registers");
      if (!parsePositive(count, 1 << 20, "a number of registers") ||
          !expect('>', "after a number of registers"))
        return false;
    }
    int32_t first = int32_t(function->registers.size());
    if (isFamily) {
      if (!target.families.insert({text, {count, type, {}}}).second)
        return fail(nameToken, "'" + text + "<' is declared twice");
      // The family has 'a0', 'a1' and so on, and leaves 'a' to others.
      for (auto name = target.names.lower_bound(text);
           name != target.names.end() && name->first.starts_with(text); ++name)
        if (target.isMember(name->first))
          return fail(nameToken, "'" + name->first + "' is declared twice");
      continue;
    }
    Name entry;
    entry.kind = length > 1 ? Name::Vector : Name::Register;
    entry.index = first;
    entry.count = length;
    if (!addName(text, entry, nameToken.location))
      return false;
    for (uint32_t i = 0; i < length; ++i)
      function->registers.push_back(
          {length > 1 ? text + "." + "xyzw"[i] : text, type});
  } while (consume(','));
  return expect(';', "after registers");
}

bool Parser::parseInstruction() {
  InstructionSyntax instruction;
  nesting = 0;
  namesParameter = namesElement = false;
  if (consume('@')) {
    instruction.guardNegated = consume('!');
    const Token guard = next();
    if (guard.kind == TokenKind::Identifier)
      instruction.guard = lookupRegister(guard.text);
    if (instruction.guard < 0 ||
        function->registers[instruction.guard].type != ScalarType::Pred)
      return fail(guard,
                  "expected a predicate after '@', found " + describe(guard));
  }
  const Token opcode = next();
  instruction.location = opcode.location;
  instruction.source = source;
  if (opcode.kind != TokenKind::Identifier)
    return fail(opcode, "expected an instruction, found " + describe(opcode));
  instruction.base = opcode.text;
  inCall = instruction.base == "call";
  while (peek().kind == TokenKind::Dot)
    instruction.modifiers.emplace_back(next().text);
  while (!consume(';')) {
    if (peek().kind == TokenKind::End)
      return fail(peek(), "expected ';' after an instruction, found the end of "
                          "the text");
    if (!instruction.operands.empty() && !expect(',', "between operands"))
      return false;
    if (!parseOperand(instruction.operands.emplace_back()))
      return false;
  }
  if (!finishInstruction(instruction))
    return false;
  function->body.push_back(std::move(instruction));
  return true;
}

/// Variables in the .param space of bodies and device functions are local
/// memory once calls are inlined, so loads and stores become local ones.
bool Parser::finishInstruction(InstructionSyntax &instruction) {
  const std::string &base = instruction.base;
  bool accesses = base == "ld" || base == "st";
  if (namesElement && (accesses || base == "atom" || base == "red"))
    for (OperandSyntax &operand : instruction.operands)
      if (operand.kind == OperandSyntax::Address) {
        // "a[1]" without further brackets is the memory there.
        OperandSyntax memory;
        memory.kind = OperandSyntax::Memory;
        memory.location = operand.location;
        memory.parts.push_back(operand);
        operand = std::move(memory);
      }
  if (!accesses) {
    if (namesParameter && base != "call" &&
        (function->isEntry || base != "mov"))
      return failAt(instruction.location,
                    "'" + instruction.opcode() +
                        "': names a parameter of a call or function");
    return true;
  }
  const OperandSyntax *memory = nullptr;
  for (const OperandSyntax &operand : instruction.operands)
    if (operand.kind == OperandSyntax::Memory)
      memory = &operand;
  std::string *space = nullptr;
  for (std::string &modifier : instruction.modifiers)
    if (modifier == "param" || modifier == "param::func")
      space = &modifier;
  bool isParameter = memory && namesParameter &&
                     memory->parts[0].kind == OperandSyntax::Address;
  if (isParameter && !space)
    return failAt(memory->parts[0].location,
                  "'" + instruction.opcode() + "': '" + memory->parts[0].text +
                      "' lies in .param memory");
  bool isComputed = memory && !function->isEntry &&
                    memory->parts[0].kind == OperandSyntax::RegisterName;
  if (space && (isParameter || isComputed)) {
    instruction.shown = instruction.opcode();
    *space = "local";
  }
  return true;
}

std::optional<uint32_t> Parser::lookupLabel(std::string_view text,
                                            int from) const {
  for (int i = from; i >= 0; i = scopes[i].parent)
    if (auto found = scopes[i].labels.find(text);
        found != scopes[i].labels.end())
      return found->second;
  return std::nullopt;
}

bool Parser::resolveLabels(OperandSyntax &operand) {
  if (operand.kind != OperandSyntax::Symbol)
    return true;
  if (auto label = lookupLabel(operand.text, operand.index)) {
    operand.kind = OperandSyntax::Label;
    operand.index = int32_t(*label);
    return true;
  }
  for (int i = operand.index; i >= 0; i = scopes[i].parent)
    if (auto found = scopes[i].targetLists.find(operand.text);
        found != scopes[i].targetLists.end()) {
      operand.kind = OperandSyntax::Label;
      operand.index = -2 - int32_t(found->second);
      return true;
    }
  return true; // The decoder says what it expected instead.
}

bool Parser::resolveLabels() {
  for (InstructionSyntax &instruction : function->body)
    for (OperandSyntax &operand : instruction.operands)
      if (!resolveLabels(operand))
        return false;
  for (auto &[line, labels] : pendingTargets) {
    std::vector<uint32_t> &targets = function->branchTargets.emplace_back();
    for (auto &[text, from] : labels) {
      auto label = lookupLabel(text, from);
      if (!label)
        return failAt({line, 1}, "unknown label '" + text + "'");
      targets.push_back(*label);
    }
  }
  return true;
}
