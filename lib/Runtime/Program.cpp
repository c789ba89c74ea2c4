//===- Program.cpp - A compiled model that can be run -----------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Binding goes over the shapes twice: a bare symbol may stand after an
// expression that uses it.
//
//===----------------------------------------------------------------------===//

#include "Ropewalk/Runtime/Program.h"

#include <cstdlib>
#include <cstring>

using namespace ropewalk::runtime;

namespace {

constexpr std::string_view kKindNames[] = {"input", "weight", "cache",
                                           "parameter"};

/// Alignment of host memory: a cache line, and enough for any vector load.
constexpr size_t kAlignment = 64;

void *pointer(uint64_t address) {
  return reinterpret_cast<void *>(static_cast<uintptr_t>(address));
}

} // namespace

std::string_view ropewalk::runtime::name(ArgumentKind kind) {
  return kKindNames[static_cast<size_t>(kind)];
}

std::optional<ArgumentKind>
ropewalk::runtime::parseArgumentKind(std::string_view name) {
  for (size_t i = 0; i < std::size(kKindNames); ++i)
    if (kKindNames[i] == name)
      return static_cast<ArgumentKind>(i);
  return std::nullopt;
}

const Argument *EntrySignature::findArgument(std::string_view argument) const {
  for (const Argument &candidate : arguments)
    if (candidate.name == argument)
      return &candidate;
  return nullptr;
}

int EntrySignature::findResult(std::string_view result) const {
  for (size_t i = 0; i < results.size(); ++i)
    if (results[i].name == result)
      return static_cast<int>(i);
  return -1;
}

Result<Bindings>
ropewalk::runtime::bindSizes(const EntrySignature &entry,
                             std::span<const TensorView> arguments) {
  if (arguments.size() != entry.arguments.size())
    return Error("entry '", entry.name, "' takes ", entry.arguments.size(),
                 " arguments, found ", arguments.size());
  Bindings bindings;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const Argument &argument = entry.arguments[i];
    const std::vector<int64_t> &shape = arguments[i].shape;
    if (shape.size() != argument.shape.size())
      return Error("entry '", entry.name, "', argument '", argument.name,
                   "': expected ", argument.shape.size(), " dimensions, found ",
                   shape.size());
    for (size_t d = 0; d < shape.size(); ++d) {
      if (shape[d] < 0)
        return Error("entry '", entry.name, "', argument '", argument.name,
                     "', dimension ", d, ": ", shape[d], " is negative");
      std::string_view symbol = argument.shape[d].asSymbol();
      if (!symbol.empty() && !bindings.find(symbol))
        bindings.set(symbol, shape[d]);
    }
  }
  for (size_t i = 0; i < arguments.size(); ++i) {
    const Argument &argument = entry.arguments[i];
    for (size_t d = 0; d < argument.shape.size(); ++d) {
      Result<int64_t> expected = argument.shape[d].evaluate(bindings);
      if (!expected)
        return expected.error().in(concat("entry '", entry.name,
                                          "', argument '", argument.name,
                                          "', dimension ", d));
      if (*expected != arguments[i].shape[d])
        return Error("entry '", entry.name, "', argument '", argument.name,
                     "', dimension ", d, ": expected ", *expected, " (",
                     argument.shape[d].text(), "), found ",
                     arguments[i].shape[d]);
    }
  }
  return bindings;
}

Result<std::vector<int64_t>>
ropewalk::runtime::evaluateShape(std::span<const Expression> shape,
                                 const Bindings &bindings) {
  std::vector<int64_t> sizes;
  for (const Expression &dimension : shape) {
    Result<int64_t> size = dimension.evaluate(bindings);
    if (!size)
      return size.error();
    if (*size < 0)
      return Error("dimension ", dimension.text(), " is negative: ", *size);
    sizes.push_back(*size);
  }
  return sizes;
}

Program::~Program() = default;

const EntrySignature *Program::findEntry(std::string_view name) const {
  for (const EntrySignature &entry : entries())
    if (entry.name == name)
      return &entry;
  return nullptr;
}

//===----------------------------------------------------------------------===//
// HostProgram
//===----------------------------------------------------------------------===//

HostProgram::~HostProgram() {
  for (const auto &[address, bytes] : allocations)
    std::free(pointer(address));
}

Result<uint64_t> HostProgram::allocate(size_t bytes) {
  size_t rounded = (bytes + kAlignment - 1) / kAlignment * kAlignment;
  void *memory =
      rounded < bytes
          ? nullptr
          : std::aligned_alloc(kAlignment, rounded ? rounded : kAlignment);
  if (!memory)
    return Error("cannot allocate ", bytes, " bytes of host memory");
  auto address = static_cast<uint64_t>(reinterpret_cast<uintptr_t>(memory));
  allocations.emplace(address, bytes);
  return address;
}

Status HostProgram::release(uint64_t address) {
  auto it = allocations.find(address);
  if (it == allocations.end())
    return Error("cannot release address ", address,
                 ": it was not allocated here");
  std::free(pointer(address));
  allocations.erase(it);
  return success();
}

Status HostProgram::write(uint64_t destination, const void *source,
                          size_t bytes) {
  if (bytes)
    std::memcpy(pointer(destination), source, bytes);
  return success();
}

Status HostProgram::read(void *destination, uint64_t source, size_t bytes) {
  if (bytes)
    std::memcpy(destination, pointer(source), bytes);
  return success();
}

Status HostProgram::copy(uint64_t destination, uint64_t source, size_t bytes) {
  return write(destination, pointer(source), bytes);
}

Status HostProgram::fill(uint64_t destination, uint8_t value, size_t bytes) {
  if (bytes)
    std::memset(pointer(destination), value, bytes);
  return success();
}
