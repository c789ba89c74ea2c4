//===- Inliner.cpp - Calls of device functions ------------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Each call site gets its own copy of the callee's instructions, registers and
// local variables, so that reports find the first use of a register that the
// callee has not written. A return becomes a branch to the instruction after
// the call, where lanes that return in different places meet. Variables that
// carry arguments stand for the callee's parameters themselves; registers and
// constants as arguments are stored to a variable of their own first.
//
//===----------------------------------------------------------------------===//

#include "Inliner.h"

#include <algorithm>
#include <unordered_set>

using namespace ropewalk::emulator;

namespace {

// Of a kernel once its calls are inlined. Few lines of calls of calls would
// else fill the host's memory.
constexpr size_t MostInstructions = size_t(1) << 20;
constexpr size_t MostRegisters = size_t(1) << 22;
constexpr size_t MostVariables = size_t(1) << 18;
constexpr size_t MostTargets = size_t(1) << 20;
constexpr size_t MostDepth = 200;

uint64_t alignTo(uint64_t value, uint64_t alignment) {
  return (value + alignment - 1) / alignment * alignment;
}

/// A type of the same size that any instruction takes.
const char *bitsOf(ScalarType type) {
  switch (sizeOf(type)) {
  case 1:
    return "b8";
  case 2:
    return "b16";
  case 4:
    return "b32";
  case 8:
    return "b64";
  case 16:
    return "b128";
  default:
    return "pred";
  }
}

class Inliner {
public:
  Inliner(FunctionSyntax &entry, const std::vector<FunctionSyntax> &functions,
          const ModuleData &module, Error &error)
      : entry(entry), functions(functions), module(module), error(error) {}

  bool run() {
    std::vector<InstructionSyntax> body = std::move(entry.body);
    bool hasCalls = std::any_of(body.begin(), body.end(),
                                [](auto &i) { return i.base == "call"; });
    if (!hasCalls) {
      entry.body = std::move(body);
    } else {
      auto targets = std::move(entry.branchTargets);
      entry.body.clear();
      entry.branchTargets.clear();
      Instance top;
      for (size_t i = 0; i < entry.registers.size(); ++i)
        top.registers.push_back(int32_t(i));
      for (size_t i = 0; i < entry.locals.size(); ++i)
        top.locals.push_back(int32_t(i));
      stack.push_back(&entry);
      sharedSet.insert(entry.shared.begin(), entry.shared.end());
      if (!copyBody(body, targets, top))
        return false;
    }
    keepUsedRegisters();
    return layout();
  }

private:
  /// One copy of a body: where its registers, variables and instructions went.
  struct Instance {
    std::vector<int32_t> registers, locals;
    std::vector<uint32_t> places;
    /// Emitted instructions whose labels still count in the callee's body.
    std::vector<uint32_t> emitted;
    std::vector<uint32_t> returns; ///< Branches to the end.
    size_t firstTargets = 0;
  };

  bool fail(const InstructionSyntax &at, const std::string &message) {
    error = {"'" + at.opcode() + "': " + message, at.location};
    return false;
  }

  /// Appends an instruction that stands for part of `origin`.
  InstructionSyntax &emit(const InstructionSyntax &origin, const char *base,
                          std::vector<std::string> modifiers) {
    InstructionSyntax &added = entry.body.emplace_back();
    added.base = base;
    added.modifiers = std::move(modifiers);
    added.location = origin.location;
    added.source = origin.source;
    added.shown = origin.opcode();
    return added;
  }

  void rename(OperandSyntax &operand, const Instance &instance) const {
    if (operand.kind == OperandSyntax::RegisterName)
      operand.index = instance.registers[operand.index];
    else if (operand.kind == OperandSyntax::Address &&
             operand.space == Space::Local)
      operand.index = instance.locals[operand.index];
    else if (operand.kind == OperandSyntax::Label && operand.index <= -2)
      operand.index -= int32_t(instance.firstTargets);
    if (operand.pairIndex >= 0)
      operand.pairIndex = instance.registers[operand.pairIndex];
    for (OperandSyntax &part : operand.parts)
      rename(part, instance);
  }

  bool copyBody(const std::vector<InstructionSyntax> &body,
                const std::vector<std::vector<uint32_t>> &targets,
                Instance &instance);
  bool expandCall(InstructionSyntax call);
  bool expandExternal(InstructionSyntax &call, const FunctionSyntax &callee,
                      std::vector<OperandSyntax> &results,
                      std::vector<OperandSyntax> &arguments);
  bool bind(const InstructionSyntax &call, const FunctionSyntax &callee,
            const Formal &formal, const OperandSyntax &actual, bool isResult,
            Instance &instance);
  void transfer(const InstructionSyntax &call, const FunctionSyntax &callee,
                const Formal &formal, const OperandSyntax &actual,
                bool isResult, const Instance &instance);
  /// A variable that carries an argument or result.
  bool isParameter(const OperandSyntax &operand) const {
    return operand.kind == OperandSyntax::Address &&
           operand.space == Space::Local && operand.value == 0 &&
           entry.locals[operand.index].space == Space::Param;
  }
  const FunctionSyntax *find(const std::string &text) const;
  int32_t addLocal(const Variable &variable);
  void keepUsedRegisters();
  bool layout();

  FunctionSyntax &entry;
  const std::vector<FunctionSyntax> &functions;
  const ModuleData &module;
  Error &error;
  std::vector<const FunctionSyntax *> stack;
  std::unordered_set<uint32_t> sharedSet; ///< Those of entry.shared.
  size_t targetCount = 0;                 ///< In entry.branchTargets.
};

const FunctionSyntax *Inliner::find(const std::string &text) const {
  // An alias names a function, not another alias.
  auto alias = module.aliases.find(text);
  auto found = module.functions.find(
      alias == module.aliases.end() ? text : alias->second);
  return found == module.functions.end() ? nullptr : &functions[found->second];
}

int32_t Inliner::addLocal(const Variable &variable) {
  entry.locals.push_back(variable);
  return int32_t(entry.locals.size()) - 1;
}

bool Inliner::copyBody(const std::vector<InstructionSyntax> &body,
                       const std::vector<std::vector<uint32_t>> &targets,
                       Instance &instance) {
  instance.firstTargets = entry.branchTargets.size();
  entry.branchTargets.insert(entry.branchTargets.end(), targets.begin(),
                             targets.end());
  bool isCallee = stack.size() > 1;
  for (const InstructionSyntax &syntax : body) {
    instance.places.push_back(uint32_t(entry.body.size()));
    if (entry.body.size() > MostInstructions)
      return fail(syntax, "kernel '" + entry.info.name + "' has more than " +
                              std::to_string(MostInstructions) +
                              " instructions once its calls are inlined");
    InstructionSyntax copy = syntax;
    if (copy.guard >= 0)
      copy.guard = instance.registers[copy.guard];
    for (OperandSyntax &operand : copy.operands)
      rename(operand, instance);
    if (copy.base == "call") {
      if (!expandCall(std::move(copy)))
        return false;
      continue;
    }
    if (isCallee && copy.base == "ret" && copy.operands.empty()) {
      copy.shown = copy.opcode();
      copy.base = "bra";
      std::erase_if(copy.modifiers, [](auto &m) { return m == "uni"; });
      copy.operands.emplace_back().kind = OperandSyntax::Label;
      instance.returns.push_back(uint32_t(entry.body.size()));
    } else {
      instance.emitted.push_back(uint32_t(entry.body.size()));
    }
    entry.body.push_back(std::move(copy));
  }
  uint32_t end = uint32_t(entry.body.size());
  instance.places.push_back(end);
  for (uint32_t at : instance.emitted)
    for (OperandSyntax &operand : entry.body[at].operands)
      if (operand.kind == OperandSyntax::Label && operand.index >= 0)
        operand.index = int32_t(instance.places[operand.index]);
  for (uint32_t at : instance.returns)
    entry.body[at].operands[0].index = int32_t(end);
  for (size_t i = 0; i < targets.size(); ++i)
    for (uint32_t &target : entry.branchTargets[instance.firstTargets + i])
      target = instance.places[target];
  return true;
}

/// Makes the callee's parameter the caller's variable, or gives it a variable
/// or register of its own.
bool Inliner::bind(const InstructionSyntax &call, const FunctionSyntax &callee,
                   const Formal &formal, const OperandSyntax &actual,
                   bool isResult, Instance &instance) {
  bool isVariable = isParameter(actual);
  const char *what = isResult ? "result of '" : "argument of '";
  if (isVariable && entry.locals[actual.index].size != formal.size)
    return fail(call, what + callee.info.name + "' has " +
                          std::to_string(formal.size) + " bytes, '" +
                          actual.text + "' has " +
                          std::to_string(entry.locals[actual.index].size));
  bool isValue = actual.kind == OperandSyntax::RegisterName ||
                 (isResult ? actual.kind == OperandSyntax::Sink
                           : actual.kind == OperandSyntax::Immediate ||
                                 actual.kind == OperandSyntax::Float32Bits ||
                                 actual.kind == OperandSyntax::Float64Bits ||
                                 actual.kind == OperandSyntax::Address);
  if (!isVariable && (!isValue || (formal.isArray && !formal.isRegister)))
    return fail(call, std::string("unexpected form of ") + what +
                          callee.info.name + "'");
  if (actual.kind == OperandSyntax::RegisterName) {
    // A register of 16 bits also holds a byte.
    const Register &reg = entry.registers[actual.index];
    uint64_t size = sizeOf(reg.type);
    if (size != formal.size && !(formal.size == 1 && size == 2))
      return fail(call, what + callee.info.name + "' has " +
                            std::to_string(formal.size) + " bytes, '" +
                            reg.name + "' has " + std::to_string(size));
  }
  if (formal.isRegister)
    return true;
  const Variable &variable = callee.locals[formal.index];
  instance.locals[formal.index] =
      isVariable ? actual.index : addLocal(variable);
  if (isVariable) {
    uint32_t &alignment = entry.locals[actual.index].alignment;
    alignment = std::max(alignment, variable.alignment);
  }
  return true;
}

/// Moves a value between a register or constant of the caller and the callee's
/// parameter.
void Inliner::transfer(const InstructionSyntax &call,
                       const FunctionSyntax &callee, const Formal &formal,
                       const OperandSyntax &actual, bool isResult,
                       const Instance &instance) {
  bool isVariable = isParameter(actual);
  if (actual.kind == OperandSyntax::Sink || (isVariable && !formal.isRegister))
    return;
  OperandSyntax inner;
  if (formal.isRegister) {
    inner.kind = OperandSyntax::RegisterName;
    inner.index = instance.registers[formal.index];
  } else {
    inner.kind = OperandSyntax::Memory;
    OperandSyntax &base = inner.parts.emplace_back();
    base.kind = OperandSyntax::Address;
    base.space = Space::Local;
    base.index = instance.locals[formal.index];
    base.text = callee.locals[formal.index].name;
  }
  OperandSyntax outer = actual;
  if (isVariable) {
    outer = OperandSyntax();
    outer.kind = OperandSyntax::Memory;
    outer.parts.push_back(actual);
  }
  outer.location = inner.location = SourceLocation();
  bool toMemory = (isResult ? outer : inner).kind == OperandSyntax::Memory;
  bool fromMemory = (isResult ? inner : outer).kind == OperandSyntax::Memory;
  const char *base = toMemory ? "st" : fromMemory ? "ld" : "mov";
  // Constants of a move take the type that they were written for.
  std::string type = formal.isRegister && !isVariable ? name(formal.type)
                                                      : bitsOf(formal.type);
  std::vector<std::string> modifiers{type};
  if (toMemory || fromMemory)
    modifiers.insert(modifiers.begin(), "local");
  InstructionSyntax &added = emit(call, base, std::move(modifiers));
  added.operands.push_back(isResult ? std::move(outer) : std::move(inner));
  added.operands.push_back(isResult ? std::move(inner) : std::move(outer));
}

bool Inliner::expandCall(InstructionSyntax call) {
  // call{.uni} (results), name, (arguments), prototype;
  std::vector<OperandSyntax> results, arguments;
  size_t next = 0;
  auto takeList = [&](std::vector<OperandSyntax> &list) {
    if (next >= call.operands.size() ||
        call.operands[next].kind != OperandSyntax::List)
      return;
    list = std::move(call.operands[next++].parts);
  };
  takeList(results);
  if (next >= call.operands.size())
    return fail(call, "expected the name of a function");
  const OperandSyntax &target = call.operands[next++];
  if (target.kind == OperandSyntax::RegisterName)
    return fail(call, "indirect call through register '" +
                          entry.registers[target.index].name +
                          "' is not supported");
  if (target.kind != OperandSyntax::Symbol)
    return fail(call, "expected the name of a function");
  std::string text = target.text;
  takeList(arguments);
  if (next != call.operands.size())
    return fail(call, "unexpected operands after the arguments");
  for (const std::string &modifier : call.modifiers)
    if (modifier != "uni")
      return fail(call, "modifier '." + modifier + "' is not supported");
  const FunctionSyntax *callee = find(text);
  if (!callee)
    return fail(call, "call of '" + text + "', which is not declared");
  auto check = [&](const char *what, size_t given, size_t wanted) {
    return given == wanted ||
           fail(call, "'" + text + "' has " + std::to_string(wanted) + " " +
                          what + ", the call has " + std::to_string(given));
  };
  if (!check("results", results.size(), callee->results.size()) ||
      !check("arguments", arguments.size(), callee->arguments.size()))
    return false;
  // Lanes that the guard holds back meet the others after the call.
  uint32_t skip = ~uint32_t(0);
  if (call.guard >= 0 || callee->hasBody) {
    skip = uint32_t(entry.body.size());
    InstructionSyntax &branch = emit(call, "bra", {});
    branch.guard = call.guard;
    branch.guardNegated = !call.guardNegated;
    OperandSyntax &label = branch.operands.emplace_back();
    label.kind = OperandSyntax::Label;
    label.index = int32_t(skip) + 1;
  }
  bool isGuarded = call.guard >= 0;
  call.guard = -1;
  if (!callee->hasBody) {
    if (!expandExternal(call, *callee, results, arguments))
      return false;
  } else {
    if (std::find(stack.begin(), stack.end(), callee) != stack.end())
      return fail(call, "recursive call of '" + text + "' is not supported");
    if (stack.size() >= MostDepth)
      return fail(call, "calls nest deeper than " + std::to_string(MostDepth));
    Instance instance;
    for (const Register &reg : callee->registers) {
      instance.registers.push_back(int32_t(entry.registers.size()));
      entry.registers.push_back(reg);
    }
    auto bound = [&](size_t count, size_t most, const char *what) {
      return count <= most ||
             fail(call, "kernel '" + entry.info.name + "' has more than " +
                            std::to_string(most) + " " + what +
                            " once its calls are inlined");
    };
    for (const std::vector<uint32_t> &targets : callee->branchTargets)
      targetCount += targets.size() + 1;
    if (!bound(entry.registers.size(), MostRegisters, "registers") ||
        !bound(entry.locals.size() + callee->locals.size(), MostVariables,
               "local variables") ||
        !bound(targetCount, MostTargets, "targets of indexed branches"))
      return false;
    instance.locals.assign(callee->locals.size(), -1);
    for (size_t i = 0; i < results.size(); ++i)
      if (!bind(call, *callee, callee->results[i], results[i], true, instance))
        return false;
    for (size_t i = 0; i < arguments.size(); ++i)
      if (!bind(call, *callee, callee->arguments[i], arguments[i], false,
                instance))
        return false;
    for (size_t i = 0; i < callee->locals.size(); ++i)
      if (instance.locals[i] < 0)
        instance.locals[i] = addLocal(callee->locals[i]);
    for (uint32_t shared : callee->shared)
      if (sharedSet.insert(shared).second)
        entry.shared.push_back(shared);
    for (size_t i = 0; i < arguments.size(); ++i)
      transfer(call, *callee, callee->arguments[i], arguments[i], false,
               instance);
    stack.push_back(callee);
    if (!copyBody(callee->body, callee->branchTargets, instance))
      return false;
    stack.pop_back();
    for (size_t i = 0; i < results.size(); ++i)
      transfer(call, *callee, callee->results[i], results[i], true, instance);
  }
  if (isGuarded)
    entry.body[skip].operands[0].index = int32_t(entry.body.size());
  return true;
}

/// Leaves the call, its arguments and result in fresh registers.
bool Inliner::expandExternal(InstructionSyntax &call,
                             const FunctionSyntax &callee,
                             std::vector<OperandSyntax> &results,
                             std::vector<OperandSyntax> &arguments) {
  const std::string &text = callee.info.name;
  if (text != "__assertfail" && text != "vprintf")
    return fail(call,
                "call of external function '" + text + "' is not supported");
  Instance instance;
  auto addRegister = [&](const Formal &formal) {
    OperandSyntax operand;
    operand.kind = OperandSyntax::RegisterName;
    operand.index = int32_t(entry.registers.size());
    entry.registers.push_back(
        {"of '" + text + "'", scalarType(bitsOf(formal.type))});
    instance.registers.push_back(operand.index);
    return operand;
  };
  InstructionSyntax kept = call;
  kept.operands.clear();
  OperandSyntax symbol;
  symbol.kind = OperandSyntax::Symbol;
  symbol.text = text;
  kept.operands.push_back(symbol);
  auto asRegister = [&](Formal formal) {
    formal.isRegister = true;
    formal.index = int32_t(instance.registers.size());
    return formal;
  };
  std::vector<Formal> outputs;
  for (bool isResult : {true, false}) {
    const std::vector<Formal> &formals =
        isResult ? callee.results : callee.arguments;
    std::vector<OperandSyntax> &actuals = isResult ? results : arguments;
    for (size_t i = 0; i < formals.size(); ++i) {
      if (formals[i].isArray)
        return fail(call, "array as a parameter of '" + text + "'");
      Formal formal = asRegister(formals[i]);
      if (!bind(call, callee, formal, actuals[i], isResult, instance))
        return false;
      kept.operands.push_back(addRegister(formal));
      if (isResult)
        outputs.push_back(formal);
      else
        transfer(call, callee, formal, actuals[i], false, instance);
    }
  }
  entry.body.push_back(std::move(kept));
  for (size_t i = 0; i < outputs.size(); ++i)
    transfer(call, callee, outputs[i], results[i], true, instance);
  return true;
}

/// Registers that no instruction names take no rows.
void Inliner::keepUsedRegisters() {
  std::vector<int32_t> renamed(entry.registers.size(), -1);
  std::vector<Register> kept;
  auto use = [&](int32_t &index) {
    if (index < 0)
      return;
    if (renamed[index] < 0) {
      renamed[index] = int32_t(kept.size());
      kept.push_back(entry.registers[index]);
    }
    index = renamed[index];
  };
  auto visit = [&](auto &self, OperandSyntax &operand) -> void {
    if (operand.kind == OperandSyntax::RegisterName)
      use(operand.index);
    use(operand.pairIndex);
    for (OperandSyntax &part : operand.parts)
      self(self, part);
  };
  for (InstructionSyntax &instruction : entry.body) {
    use(instruction.guard);
    for (OperandSyntax &operand : instruction.operands)
      visit(visit, operand);
  }
  entry.registers = std::move(kept);
}

bool Inliner::layout() {
  KernelInfo &info = entry.info;
  auto place = [&](const Variable &variable, uint32_t &end, uint64_t limit) {
    uint64_t offset = alignTo(end, variable.alignment);
    if (variable.size > limit || offset + variable.size > limit) {
      error = {std::string(".") + name(variable.space) +
                   " variables of kernel '" + info.name + "' take more than " +
                   std::to_string(limit) + " bytes",
               variable.location};
      return false;
    }
    end = uint32_t(offset + variable.size);
    return true;
  };
  std::vector<uint64_t> localOffsets;
  for (const Variable &variable : entry.locals) {
    if (!place(variable, info.localBytes, 1 << 19))
      return false;
    localOffsets.push_back(info.localBytes - variable.size);
  }
  std::map<int32_t, uint64_t> sharedOffsets;
  for (uint32_t index : entry.shared) {
    const Variable &variable = module.shared[index];
    if (variable.size == 0) {
      info.usesDynamicShared = true;
      entry.dynamicSharedAlignment =
          std::max(entry.dynamicSharedAlignment, variable.alignment);
      continue;
    }
    // 1 MiB leaves room for any shared memory.
    if (!place(variable, info.staticSharedBytes, 1 << 20))
      return false;
    sharedOffsets[int32_t(index)] = info.staticSharedBytes - variable.size;
  }
  auto visit = [&](auto &self, OperandSyntax &operand) -> void {
    if (operand.kind == OperandSyntax::Address) {
      if (operand.space == Space::Local)
        operand.value += int64_t(localOffsets[operand.index]);
      else if (operand.space == Space::Shared && !operand.isDynamicShared)
        operand.value += int64_t(sharedOffsets[operand.index]);
    }
    for (OperandSyntax &part : operand.parts)
      self(self, part);
  };
  for (InstructionSyntax &instruction : entry.body)
    for (OperandSyntax &operand : instruction.operands)
      visit(visit, operand);
  return true;
}

} // namespace

bool ropewalk::emulator::inlineCalls(
    FunctionSyntax &entry, const std::vector<FunctionSyntax> &functions,
    const ModuleData &module, Error &error) {
  return Inliner(entry, functions, module, error).run();
}
