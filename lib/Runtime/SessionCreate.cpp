//===- SessionCreate.cpp - Setting up a session -----------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Checks that the entries of a program follow the session's convention, binds
// weights and sets parameters.
//
//===----------------------------------------------------------------------===//

#include "SessionState.h"

#include "Ropewalk/Runtime/Rotary.h"

#include <cstring>

using namespace ropewalk::runtime;

namespace {

struct KnownInput {
  std::string_view name;
  ElementType type;
  size_t rank;
  bool required;
};

constexpr KnownInput kInputs[] = {
    {"ids", ElementType::I32, 2, true},
    {"query_offset", ElementType::I64, 1, true},
    {"position_offset", ElementType::I64, 1, false},
};

Status checkInputs(const EntrySignature &entry) {
  for (const Argument &argument : entry.arguments) {
    if (argument.kind != ArgumentKind::Input)
      continue;
    const KnownInput *known = nullptr;
    for (const KnownInput &candidate : kInputs)
      if (candidate.name == argument.name)
        known = &candidate;
    if (!known)
      return Error("entry '", entry.name, "' takes the input '", argument.name,
                   "', which a session does not have (it has ids, "
                   "query_offset and position_offset)");
    if (argument.type != known->type || argument.shape.size() != known->rank)
      return Error("entry '", entry.name, "', input '", argument.name,
                   "': expected ", name(known->type), " with ", known->rank,
                   " dimensions, found ", name(argument.type), " with ",
                   argument.shape.size());
  }
  for (const KnownInput &known : kInputs) {
    const Argument *argument = entry.findArgument(known.name);
    if (known.required && (!argument || argument->kind != ArgumentKind::Input))
      return Error("entry '", entry.name, "' has no input '", known.name, "'");
  }
  return success();
}

} // namespace

Status Session::State::addEntry(std::optional<Entry> &slot,
                                std::string_view name) {
  std::span<const EntrySignature> entries = program->entries();
  for (size_t i = 0; i < entries.size(); ++i) {
    const EntrySignature &entry = entries[i];
    if (entry.name != name)
      continue;
    if (Status status = checkInputs(entry); !status)
      return status;
    int logits = entry.findResult("logits");
    if (logits < 0)
      return Error("entry '", name, "' has no result 'logits'");
    const ResultSignature &result = entry.results[static_cast<size_t>(logits)];
    std::optional<int64_t> columns =
        result.shape.size() == 3 ? result.shape[2].asConstant() : std::nullopt;
    if (result.type != ElementType::F32 || !columns || *columns < 1)
      return Error("entry '", name,
                   "', result 'logits': expected f32 [B, S, V] "
                   "with a constant V");
    if (vocabulary >= 0 && *columns != vocabulary)
      return Error("entry '", name, "', result 'logits': V is ", *columns,
                   ", in another entry it is ", vocabulary);
    vocabulary = *columns;
    if (Status status = caches.declare(
            entry, entry.findArgument("ids")->shape[0].asSymbol());
        !status)
      return status;
    slot = Entry{i, logits, entry.findArgument("position_offset") != nullptr};
  }
  return success();
}

Status Session::State::findEntries() {
  for (auto [slot, name] :
       {std::pair(&prefill, "prefill"), std::pair(&decode, "decode"),
        std::pair(&general, "forward")})
    if (Status status = addEntry(*slot, name); !status)
      return status;
  if (prefill || decode || general)
    return success();
  std::string names;
  for (const EntrySignature &entry : program->entries())
    names += concat(names.empty() ? "" : ", ", entry.name);
  return Error("the program has none of the entries prefill, decode and "
               "forward; it has: ",
               names.empty() ? "none" : names);
}

Session::State::~State() {
  for (const auto &[name, parameter] : parameters)
    (void)program->release(parameter.view.address);
  for (const auto &[name, buffer] : inputs)
    (void)program->release(buffer.address);
}

Session::Session(std::unique_ptr<State> state) : state(std::move(state)) {}

Session::~Session() = default;

Result<std::unique_ptr<Session>>
Session::createImpl(std::shared_ptr<Program> program,
                    const Checkpoint *checkpoint, SessionOptions options) {
  if (!program)
    return Error("a session needs a program");
  if (options.chunk < 1)
    return Error("option 'chunk': expected at least 1, found ", options.chunk);
  if (options.capacity < 1 || options.capacity > program->maximumCapacity())
    return Error("option 'capacity': expected 1 to ",
                 program->maximumCapacity(), ", found ", options.capacity);
  auto state = std::make_unique<State>(std::move(program), std::move(options));
  if (checkpoint)
    state->checkpoint = *checkpoint;
  if (Status status = state->findEntries(); !status)
    return status.error();
  std::vector<size_t> used;
  for (const auto *entry : {&state->prefill, &state->decode, &state->general})
    if (*entry)
      used.push_back((*entry)->index);
  if (Status status = state->weights.bind(used, checkpoint, state->options);
      !status)
    return status.error();
  return std::unique_ptr<Session>(new Session(std::move(state)));
}

Result<std::unique_ptr<Session>>
Session::create(std::shared_ptr<Program> program, const Checkpoint &checkpoint,
                SessionOptions options) {
  return createImpl(std::move(program), &checkpoint, std::move(options));
}

Result<std::unique_ptr<Session>>
Session::create(std::shared_ptr<Program> program, SessionOptions options) {
  return createImpl(std::move(program), nullptr, std::move(options));
}

//===----------------------------------------------------------------------===//
// Parameters
//===----------------------------------------------------------------------===//

namespace {

/// Checks integer values against [minimum, 2^24).
Status checkValues(const Argument &argument, const void *data, size_t count) {
  bool wide = argument.type == ElementType::I64;
  if (!wide && argument.type != ElementType::I32)
    return success();
  int64_t minimum = argument.minimum.value_or(0);
  for (size_t i = 0; i < count; ++i) {
    int64_t value;
    if (wide) {
      std::memcpy(&value, static_cast<const char *>(data) + 8 * i, 8);
    } else {
      int32_t narrow;
      std::memcpy(&narrow, static_cast<const char *>(data) + 4 * i, 4);
      value = narrow;
    }
    if (value < minimum || value >= kRotaryPositions)
      return Error("element ", i, " is ", value, ", expected ", minimum, " to ",
                   kRotaryPositions - 1);
  }
  return success();
}

} // namespace

Status Session::setParameter(std::string_view name, ElementType type,
                             std::span<const int64_t> shape, const void *data) {
  const Argument *argument = nullptr;
  std::string where = concat("parameter '", name, "'");
  std::optional<int64_t> bytes = byteSize(type, shape);
  for (const auto *entry : {&state->prefill, &state->decode, &state->general}) {
    if (!*entry)
      continue;
    const Argument *found =
        state->program->entries()[(*entry)->index].findArgument(name);
    if (!found || found->kind != ArgumentKind::Parameter)
      continue;
    argument = found;
    if (found->type != type)
      return Error(where, ": expected elements of type ",
                   runtime::name(found->type), ", found ", runtime::name(type));
    bool fits = found->shape.size() == shape.size();
    for (size_t d = 0; fits && d < shape.size(); ++d)
      fits = found->shape[d].asConstant().value_or(shape[d]) == shape[d];
    if (!fits || !bytes) {
      std::string expected;
      for (const Expression &dimension : found->shape)
        expected += concat(expected.empty() ? "" : ", ", dimension.text());
      return Error(where, ": expected shape [", expected, "], found ",
                   toString(shape));
    }
    if (Status status = checkValues(
            *found, data, static_cast<size_t>(*bytes) / byteSize(type));
        !status)
      return status.error().in(where);
  }
  if (!argument)
    return Error("the program has no ", where);

  Result<uint64_t> address =
      state->program->allocate(static_cast<size_t>(*bytes));
  if (!address)
    return address.error().in(where);
  if (Status status =
          state->program->write(*address, data, static_cast<size_t>(*bytes));
      !status) {
    (void)state->program->release(*address);
    return status.error().in(where);
  }
  State::Parameter &slot = state->parameters[std::string(name)];
  if (slot.view.address)
    (void)state->program->release(slot.view.address);
  slot = {type, {*address, {shape.begin(), shape.end()}}};
  return success();
}

//===----------------------------------------------------------------------===//
// Properties
//===----------------------------------------------------------------------===//

Program &Session::program() { return *state->program; }
int64_t Session::vocabularySize() const { return state->vocabulary; }
int64_t Session::length() const { return state->length; }
int64_t Session::batch() const { return state->batch; }
int64_t Session::capacity() const { return state->caches.capacity(); }

MemoryReport Session::memory() const {
  return {state->weights.copiedBytes(), state->weights.mappedBytes(),
          state->caches.bytes(), state->caches.bytesPerSlot(),
          state->program->residentBytes()};
}
