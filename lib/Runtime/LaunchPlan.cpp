//===- LaunchPlan.cpp - An entry of a manifest at given sizes ---*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Results are kept alive to the end of the plan whatever the manifest says of
// their last use, because the caller reads them afterwards.
//
//===----------------------------------------------------------------------===//

#include "Ropewalk/Runtime/LaunchPlan.h"

#include "Ropewalk/Runtime/Rotary.h"

#include <algorithm>
#include <cstring>
#include <limits>

using namespace ropewalk::runtime;

namespace {

constexpr int64_t kMaximumGrid[3] = {(int64_t(1) << 31) - 1, 65535, 65535};
constexpr int64_t kMaximumShared = 1 << 20;

template <typename T> uint64_t bitsOf(T value) {
  uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof(T));
  return bits;
}

/// "B=1, S=5"
std::string describe(const Bindings &sizes) {
  std::string text;
  for (const auto &[name, value] : sizes)
    text += concat(text.empty() ? "" : ", ", name, "=", value);
  return text;
}

/// Evaluates and checks the range.
Result<int64_t> evaluate(const Expression &expression, const Bindings &sizes,
                         int64_t minimum, int64_t maximum,
                         std::string_view where) {
  Result<int64_t> value = expression.evaluate(sizes);
  if (!value)
    return value.error().in(where);
  if (*value < minimum || *value > maximum)
    return Error(where, ": '", expression.text(), "' is ", *value,
                 ", expected ", minimum, " to ", maximum, " (", describe(sizes),
                 ")");
  return value;
}

class Planner {
public:
  Planner(const Manifest &manifest, size_t index, const Bindings &sizes)
      : manifest(manifest), signature(manifest.signatures[index]),
        entry(manifest.entries[index]), sizes(sizes) {
    plan.sizes = sizes;
  }

  Result<LaunchPlan> run() {
    for (const Manifest::Check &check : entry.checks) {
      Result<int64_t> value = check.expression.evaluate(sizes);
      if (!value)
        return value.error();
      if (*value == 0)
        return Error(check.message, " ('", check.expression.text(),
                     "' does not hold for ", describe(sizes), ")");
    }
    if (Status status = sizeBuffers(); !status)
      return status.error();
    if (Status status = placeTemporaries(); !status)
      return status.error();
    for (size_t i = 0; i < entry.launches.size(); ++i)
      if (Status status = planLaunch(i); !status)
        return status.error();
    if (Status status = shapeResults(); !status)
      return status.error();
    return std::move(plan);
  }

private:
  Status sizeBuffers();
  Status placeTemporaries();
  Status planLaunch(size_t index);
  Result<LaunchPlan::Argument> planArgument(const Manifest::LaunchArgument &a,
                                            std::string_view where);
  Status shapeResults();

  const Manifest &manifest;
  const EntrySignature &signature;
  const Manifest::Entry &entry;
  const Bindings &sizes;
  LaunchPlan plan;
};

Status Planner::sizeBuffers() {
  for (size_t i = 0; i < entry.buffers.size(); ++i) {
    const Manifest::Buffer &buffer = entry.buffers[i];
    int64_t bytes = 0;
    switch (buffer.kind) {
    case Manifest::Buffer::Kind::Argument: {
      const Argument &argument = signature.arguments[buffer.index];
      Result<std::vector<int64_t>> shape = evaluateShape(argument.shape, sizes);
      if (!shape)
        return shape.error().in(concat("argument '", argument.name, "'"));
      std::optional<int64_t> size = byteSize(argument.type, *shape);
      if (!size)
        return Error("argument '", argument.name, "': shape ", toString(*shape),
                     " does not fit into 63 bits");
      bytes = *size;
      break;
    }
    case Manifest::Buffer::Kind::Constant:
      bytes =
          static_cast<int64_t>(manifest.constants[buffer.index].data.size());
      break;
    case Manifest::Buffer::Kind::Table:
      bytes = kRotaryLevel * 2 * static_cast<int64_t>(sizeof(float)) *
              static_cast<int64_t>(
                  manifest.tables[buffer.index].inverseFrequencies.size());
      break;
    case Manifest::Buffer::Kind::Temporary: {
      Result<int64_t> size =
          evaluate(buffer.bytes, sizes, 0, std::numeric_limits<int64_t>::max(),
                   concat("buffer ", i));
      if (!size)
        return size.error();
      bytes = *size;
      break;
    }
    }
    plan.bufferBytes.push_back(bytes);
  }
  return success();
}

Status Planner::placeTemporaries() {
  std::vector<MemoryRequest> requests;
  std::vector<size_t> numbers;
  for (size_t i = 0; i < entry.buffers.size(); ++i) {
    const Manifest::Buffer &buffer = entry.buffers[i];
    if (buffer.kind != Manifest::Buffer::Kind::Temporary)
      continue;
    bool isResult =
        std::find(entry.resultBuffers.begin(), entry.resultBuffers.end(), i) !=
        entry.resultBuffers.end();
    int64_t last =
        isResult ? static_cast<int64_t>(entry.launches.size()) : buffer.last;
    requests.push_back({plan.bufferBytes[i], buffer.first, last});
    numbers.push_back(i);
  }
  Result<MemoryPlan> memory = MemoryPlan::make(requests);
  if (!memory)
    return memory.error();
  plan.memory = std::move(*memory);
  plan.arenaOffsets.resize(entry.buffers.size());
  for (size_t i = 0; i < numbers.size(); ++i)
    plan.arenaOffsets[numbers[i]] = plan.memory.offsets[i];
  return success();
}

Result<LaunchPlan::Argument>
Planner::planArgument(const Manifest::LaunchArgument &argument,
                      std::string_view where) {
  LaunchPlan::Argument result{argument.type, argument.buffer, 0, 0};
  switch (argument.type) {
  case Manifest::ParameterType::Pointer: {
    Result<int64_t> offset = evaluate(argument.value, sizes, 0,
                                      plan.bufferBytes[argument.buffer], where);
    if (!offset)
      return offset.error();
    result.offset = *offset;
    break;
  }
  case Manifest::ParameterType::I32: {
    Result<int64_t> value =
        evaluate(argument.value, sizes, std::numeric_limits<int32_t>::min(),
                 std::numeric_limits<int32_t>::max(), where);
    if (!value)
      return value.error();
    result.bits = bitsOf(static_cast<int32_t>(*value));
    break;
  }
  case Manifest::ParameterType::I64: {
    Result<int64_t> value = argument.value.evaluate(sizes);
    if (!value)
      return value.error().in(where);
    result.bits = bitsOf(*value);
    break;
  }
  case Manifest::ParameterType::F32:
    result.bits = bitsOf(argument.number);
    break;
  }
  return result;
}

Status Planner::planLaunch(size_t index) {
  const Manifest::Launch &launch = entry.launches[index];
  std::string where =
      concat("launch ", index, " (", manifest.kernels[launch.kernel].name, ")");
  LaunchPlan::Launch result;
  result.kernel = launch.kernel;
  for (size_t d = 0; d < 3; ++d) {
    Result<int64_t> extent = evaluate(launch.grid[d], sizes, 1, kMaximumGrid[d],
                                      concat(where, ", grid ", d));
    if (!extent)
      return extent.error();
    result.grid[d] = static_cast<uint32_t>(*extent);
    result.block[d] = static_cast<uint32_t>(launch.block[d]);
  }
  Result<int64_t> shared = evaluate(launch.shared, sizes, 0, kMaximumShared,
                                    where + ", shared memory");
  if (!shared)
    return shared.error();
  result.shared = static_cast<uint32_t>(*shared);
  for (size_t i = 0; i < launch.arguments.size(); ++i) {
    Result<LaunchPlan::Argument> argument =
        planArgument(launch.arguments[i], concat(where, ", argument ", i));
    if (!argument)
      return argument.error();
    result.arguments.push_back(*argument);
  }
  plan.launches.push_back(std::move(result));
  return success();
}

Status Planner::shapeResults() {
  for (size_t i = 0; i < signature.results.size(); ++i) {
    const ResultSignature &result = signature.results[i];
    Result<std::vector<int64_t>> shape = evaluateShape(result.shape, sizes);
    if (!shape)
      return shape.error().in(concat("result '", result.name, "'"));
    std::optional<int64_t> bytes = byteSize(result.type, *shape);
    int64_t available = plan.bufferBytes[entry.resultBuffers[i]];
    if (!bytes || *bytes > available)
      return Error("result '", result.name, "': shape ", toString(*shape),
                   " of ", name(result.type), " does not fit into buffer ",
                   entry.resultBuffers[i], " of ", available, " bytes");
    plan.resultShapes.push_back(std::move(*shape));
  }
  return success();
}

} // namespace

Result<LaunchPlan> LaunchPlan::make(const Manifest &manifest, size_t index,
                                    const Bindings &sizes) {
  Result<LaunchPlan> plan = Planner(manifest, index, sizes).run();
  if (!plan)
    return plan.error().in(
        concat("entry '", manifest.signatures[index].name, "'"));
  return plan;
}
