//===- ManifestValidate.cpp - Checks of a launch plan -----------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// One pass over the launches of an entry in their order keeps, per temporary,
// whether it has been written; reads of what has not been and uses outside the
// declared lifetime are found on the way.
//
//===----------------------------------------------------------------------===//

#include "Ropewalk/Runtime/Manifest.h"

#include <algorithm>

using namespace ropewalk::runtime;

namespace {

constexpr int64_t kMaximumThreads = 1024;
constexpr int64_t kMaximumBlockDepth = 64;

std::string_view name(Manifest::ParameterType type) {
  switch (type) {
  case Manifest::ParameterType::Pointer:
    return "ptr";
  case Manifest::ParameterType::I32:
    return "i32";
  case Manifest::ParameterType::I64:
    return "i64";
  case Manifest::ParameterType::F32:
    return "f32";
  }
  return "";
}

bool contains(const std::vector<size_t> &list, size_t element) {
  return std::find(list.begin(), list.end(), element) != list.end();
}

Status checkBlock(const std::array<int64_t, 3> &block,
                  const std::string &path) {
  for (int64_t extent : block)
    if (extent > kMaximumThreads)
      return Error(path, ": ", toString(block), " is above the limit of ",
                   kMaximumThreads, " threads");
  if (block[0] * block[1] * block[2] > kMaximumThreads)
    return Error(path, ": ", toString(block), " has ",
                 block[0] * block[1] * block[2],
                 " threads, above the limit of ", kMaximumThreads);
  if (block[2] > kMaximumBlockDepth)
    return Error(path, ": ", toString(block),
                 " is above the limit of 64 in its last extent");
  return success();
}

class EntryValidator {
public:
  EntryValidator(const Manifest &manifest, size_t index)
      : manifest(manifest), signature(manifest.signatures[index]),
        entry(manifest.entries[index]), path(concat("entries[", index, "]")),
        written(entry.buffers.size()) {}

  Status run();

private:
  Status checkSymbols(const Expression &expression, const std::string &where);
  Status checkArguments();
  Status checkBuffers();
  Status checkLaunch(size_t index);
  Status checkLaunchArguments(const Manifest::Launch &launch,
                              const std::string &where);
  Status checkUse(size_t buffer, size_t launch, bool write,
                  const std::string &where);
  Status checkResults();

  bool isTemporary(size_t buffer) const {
    return entry.buffers[buffer].kind == Manifest::Buffer::Kind::Temporary;
  }

  const Manifest &manifest;
  const EntrySignature &signature;
  const Manifest::Entry &entry;
  std::string path;
  std::vector<bool> written;
};

Status EntryValidator::checkSymbols(const Expression &expression,
                                    const std::string &where) {
  for (const std::string &symbol : expression.symbols())
    if (std::find(entry.sizes.begin(), entry.sizes.end(), symbol) ==
        entry.sizes.end())
      return Error(where, ": symbol '", symbol,
                   "' is not among the sizes of the entry");
  return success();
}

Status EntryValidator::checkArguments() {
  std::vector<std::string_view> bound;
  for (size_t i = 0; i < signature.arguments.size(); ++i) {
    const Argument &argument = signature.arguments[i];
    std::string where = concat(path, ".arguments[", i, "]");
    if (argument.updated && argument.kind != ArgumentKind::Cache)
      return Error(where, ": '", argument.name,
                   "' is updated, but only a cache may be, found kind ",
                   name(argument.kind));
    for (size_t d = 0; d < argument.shape.size(); ++d) {
      if (Status status =
              checkSymbols(argument.shape[d], concat(where, ".shape[", d, "]"));
          !status)
        return status;
      if (std::string_view symbol = argument.shape[d].asSymbol();
          !symbol.empty())
        bound.push_back(symbol);
    }
  }
  for (size_t i = 0; i < entry.sizes.size(); ++i)
    if (std::find(bound.begin(), bound.end(), entry.sizes[i]) == bound.end())
      return Error(path, ".sizes[", i, "]: no argument has '", entry.sizes[i],
                   "' as a dimension of its shape");
  for (size_t i = 0; i < entry.checks.size(); ++i)
    if (Status status =
            checkSymbols(entry.checks[i].expression,
                         concat(path, ".checks[", i, "].expression"));
        !status)
      return status;
  return success();
}

Status EntryValidator::checkBuffers() {
  for (size_t i = 0; i < entry.buffers.size(); ++i) {
    const Manifest::Buffer &buffer = entry.buffers[i];
    if (!isTemporary(i)) {
      written[i] = true;
      continue;
    }
    std::string where = concat(path, ".buffers[", i, "]");
    if (Status status = checkSymbols(buffer.bytes, where + ".bytes"); !status)
      return status;
    if (buffer.first > buffer.last)
      return Error(where, ": its first launch ", buffer.first,
                   " is after its last launch ", buffer.last);
    if (static_cast<size_t>(buffer.last) >= entry.launches.size())
      return Error(where, ": there is no launch ", buffer.last,
                   ", the entry has ", entry.launches.size());
  }
  return success();
}

Status EntryValidator::checkLaunchArguments(const Manifest::Launch &launch,
                                            const std::string &where) {
  const Manifest::Kernel &kernel = manifest.kernels[launch.kernel];
  if (launch.arguments.size() != kernel.parameters.size())
    return Error(where, ".args: kernel '", kernel.name, "' takes ",
                 kernel.parameters.size(), " arguments, found ",
                 launch.arguments.size());
  std::vector<size_t> passed;
  for (size_t i = 0; i < launch.arguments.size(); ++i) {
    const Manifest::LaunchArgument &argument = launch.arguments[i];
    const Manifest::KernelParameter &parameter = kernel.parameters[i];
    std::string at = concat(where, ".args[", i, "]");
    if (argument.type != parameter.type)
      return Error(at, ": kernel '", kernel.name, "' takes ",
                   name(parameter.type), " '", parameter.name, "', found ",
                   name(argument.type));
    if (Status status = checkSymbols(argument.value, at); !status)
      return status;
    if (argument.type != Manifest::ParameterType::Pointer)
      continue;
    passed.push_back(argument.buffer);
    if (!contains(launch.reads, argument.buffer) &&
        !contains(launch.writes, argument.buffer))
      return Error(at, ": buffer ", argument.buffer,
                   " is neither in reads nor in writes");
  }
  for (const auto &[list, key] : {std::pair(&launch.reads, ".reads"),
                                  std::pair(&launch.writes, ".writes")})
    for (size_t i = 0; i < list->size(); ++i)
      if (!contains(passed, (*list)[i]))
        return Error(where, key, "[", i, "]: buffer ", (*list)[i],
                     " is not among the arguments");
  return success();
}

/// One read or write of a buffer by launch `launch`.
Status EntryValidator::checkUse(size_t number, size_t launch, bool write,
                                const std::string &where) {
  const Manifest::Buffer &buffer = entry.buffers[number];
  if (isTemporary(number)) {
    if (!write && !written[number])
      return Error(where, ": buffer ", number, " is read before it is written");
    auto index = static_cast<int64_t>(launch);
    if (index < buffer.first || index > buffer.last)
      return Error(where, ": buffer ", number, " is used by launch ", launch,
                   ", outside its lifetime from ", buffer.first, " to ",
                   buffer.last);
    return success();
  }
  if (!write)
    return success();
  if (buffer.kind == Manifest::Buffer::Kind::Argument) {
    const Argument &argument = signature.arguments[buffer.index];
    if (argument.updated)
      return success();
    return Error(where, ": buffer ", number, " is the argument '",
                 argument.name, "', which is not marked as updated");
  }
  return Error(where, ": buffer ", number, " is a ",
               buffer.kind == Manifest::Buffer::Kind::Table ? "table"
                                                            : "constant",
               " and cannot be written");
}

Status EntryValidator::checkLaunch(size_t index) {
  const Manifest::Launch &launch = entry.launches[index];
  const Manifest::Kernel &kernel = manifest.kernels[launch.kernel];
  std::string where = concat(path, ".launches[", index, "]");
  if (Status status = checkBlock(launch.block, where + ".block"); !status)
    return status;
  if (launch.block != kernel.block)
    return Error(where, ".block: expected ", toString(kernel.block),
                 ", the block of kernel '", kernel.name, "', found ",
                 toString(launch.block));
  for (size_t d = 0; d < 3; ++d) {
    std::string at = concat(where, ".grid[", d, "]");
    if (Status status = checkSymbols(launch.grid[d], at); !status)
      return status;
    if (std::optional<int64_t> extent = launch.grid[d].asConstant();
        extent && *extent < 1)
      return Error(at, ": expected at least 1, found ", *extent);
  }
  if (Status status = checkSymbols(launch.shared, where + ".shared"); !status)
    return status;
  if (Status status = checkLaunchArguments(launch, where); !status)
    return status;
  for (size_t i = 0; i < launch.reads.size(); ++i)
    if (Status status = checkUse(launch.reads[i], index, /*write=*/false,
                                 concat(where, ".reads[", i, "]"));
        !status)
      return status;
  for (size_t i = 0; i < launch.writes.size(); ++i) {
    if (Status status = checkUse(launch.writes[i], index, /*write=*/true,
                                 concat(where, ".writes[", i, "]"));
        !status)
      return status;
    written[launch.writes[i]] = true;
  }
  return success();
}

Status EntryValidator::checkResults() {
  for (size_t i = 0; i < signature.results.size(); ++i) {
    std::string where = concat(path, ".results[", i, "]");
    const ResultSignature &result = signature.results[i];
    for (size_t d = 0; d < result.shape.size(); ++d)
      if (Status status =
              checkSymbols(result.shape[d], concat(where, ".shape[", d, "]"));
          !status)
        return status;
    size_t buffer = entry.resultBuffers[i];
    if (!isTemporary(buffer))
      return Error(where, ".buffer: buffer ", buffer,
                   " is not a buffer of the plan's own");
    if (!written[buffer])
      return Error(where, ".buffer: no launch writes buffer ", buffer);
  }
  for (size_t i = 0; i < signature.arguments.size(); ++i) {
    const Argument &argument = signature.arguments[i];
    if (!argument.updated)
      continue;
    bool found = false;
    for (const Manifest::Launch &launch : entry.launches)
      for (size_t buffer : launch.writes)
        found |=
            entry.buffers[buffer].kind == Manifest::Buffer::Kind::Argument &&
            entry.buffers[buffer].index == i;
    if (!found)
      return Error(path, ".arguments[", i, "]: '", argument.name,
                   "' is marked as updated, but no launch writes it");
  }
  return success();
}

Status EntryValidator::run() {
  if (Status status = checkArguments(); !status)
    return status;
  if (Status status = checkBuffers(); !status)
    return status;
  for (size_t i = 0; i < entry.launches.size(); ++i)
    if (Status status = checkLaunch(i); !status)
      return status;
  return checkResults();
}

} // namespace

Status Manifest::validate() const {
  for (size_t i = 0; i < kernels.size(); ++i)
    if (Status status =
            checkBlock(kernels[i].block, concat("kernels[", i, "].block"));
        !status)
      return status;
  for (size_t i = 0; i < entries.size(); ++i)
    if (Status status = EntryValidator(*this, i).run(); !status)
      return status;
  return success();
}
