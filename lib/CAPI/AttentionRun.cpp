//===- AttentionRun.cpp - Runs of attention ---------------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A run finds its tensors by name, checks every size and every value that an
// address depends on, and brings what is not dense, or not in the program's
// memory, there and back.
//
//===----------------------------------------------------------------------===//

#include "AttentionHandle.h"
#include "Support.h"

#include "Ropewalk-c/Ropewalk.h"
#include "llvm/ADT/STLExtras.h"

#include <cstring>
#include <list>
#include <map>
#include <mutex>

using namespace ropewalk;
using namespace ropewalk::capi;
using runtime::ElementType;
using runtime::Error;
using runtime::Result;
using runtime::Status;

namespace {

/// Positions are below this.
constexpr int64_t maxPosition = int64_t(1) << 24;

std::optional<ElementType> elementType(int32_t type) {
  switch (type) {
  case ROPEWALK_F16:
    return ElementType::F16;
  case ROPEWALK_BF16:
    return ElementType::BF16;
  case ROPEWALK_F32:
    return ElementType::F32;
  case ROPEWALK_F64:
    return ElementType::F64;
  case ROPEWALK_I32:
    return ElementType::I32;
  case ROPEWALK_I64:
    return ElementType::I64;
  }
  return std::nullopt;
}

/// Copies between dense memory and a strided tensor.
void copyStrided(const RopewalkTensor &tensor, std::byte *dense, bool toDense,
                 size_t element) {
  int64_t offset = 0;
  std::vector<int64_t> index(tensor.rank, 0);
  int64_t count = 1;
  for (int32_t i = 0; i < tensor.rank; ++i)
    count *= tensor.shape[i];
  auto *strided = static_cast<std::byte *>(tensor.data);
  for (int64_t n = 0; n < count; ++n) {
    if (toDense)
      std::memcpy(dense, strided + offset, element);
    else
      std::memcpy(strided + offset, dense, element);
    dense += element;
    for (int32_t i = tensor.rank; i-- > 0;) {
      offset += tensor.strides[i];
      if (++index[i] < tensor.shape[i])
        break;
      offset -= tensor.strides[i] * tensor.shape[i];
      index[i] = 0;
    }
  }
}

bool isDense(const RopewalkTensor &tensor, size_t element) {
  if (!tensor.strides)
    return true;
  int64_t expected = element;
  for (int32_t i = tensor.rank; i-- > 0;) {
    if (tensor.shape[i] != 1 && tensor.strides[i] != expected)
      return false;
    expected *= tensor.shape[i];
  }
  return true;
}

/// One run: the tensors by name, and memory of the program to be released.
class Run {
public:
  Run(Compiled &compiled) : compiled(compiled) {}
  ~Run() {
    for (uint64_t address : owned)
      (void)program().release(address);
  }

  Status collect(const RopewalkTensor *tensors, size_t count);
  Status execute();

private:
  runtime::Program &program() { return *compiled.attention.program; }
  const RopewalkTensor *find(const std::string &name) const {
    auto found = byName.find(name);
    return found == byName.end() ? nullptr : found->second;
  }
  Status checkShapes();
  Status checkShape(const std::string &name, ElementType type,
                    std::vector<std::pair<std::string, int64_t>> axes);
  Result<std::vector<int64_t>> readIntegers(const std::string &name);
  Status checkValues();
  Result<runtime::TensorView> bring(const RopewalkTensor &tensor);
  Status fetch(const RopewalkTensor &tensor, const runtime::TensorView &view);

  Compiled &compiled;
  std::map<std::string, const RopewalkTensor *> byName;
  int64_t batch = 0, rows = 0, slots = 0;
  std::vector<uint64_t> owned;
  std::list<std::vector<std::byte>> copies;
};

Status Run::collect(const RopewalkTensor *tensors, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    const RopewalkTensor &tensor = tensors[i];
    if (!tensor.name)
      return Error("tensor ", i, " has no name");
    std::string name = tensor.name;
    if (!elementType(tensor.type))
      return Error(name, ": ", tensor.type, " is not an element type");
    if (tensor.rank < 0 || (tensor.rank > 0 && !tensor.shape))
      return Error(name, ": expected a rank of at least 0 and a shape");
    int64_t elements = 1;
    for (int32_t axis = 0; axis < tensor.rank; ++axis) {
      std::optional<int64_t> next =
          countElements({elements, tensor.shape[axis]});
      if (!next)
        return Error(name, ": size ", tensor.shape[axis], " of axis ", axis,
                     " is negative or too large");
      elements = *next;
    }
    if (elements > 0 && !tensor.data)
      return Error(name, ": expected data, got null");
    if (!byName.emplace(name, &tensor).second)
      return Error(name, ": given twice");
  }
  return runtime::success();
}

/// Axes are named sizes; a negative one means 1 or the size.
Status Run::checkShape(const std::string &name, ElementType type,
                       std::vector<std::pair<std::string, int64_t>> axes) {
  const RopewalkTensor *tensor = find(name);
  if (!tensor)
    return Error("expected the tensor '", name, "'");
  std::string expected;
  bool good = tensor->rank == static_cast<int32_t>(axes.size());
  for (auto [axis, pair] : llvm::enumerate(axes)) {
    auto [symbol, size] = pair;
    bool broadcast = size < 0;
    size = broadcast ? -size - 1 : size;
    expected += (axis ? ", " : "") + symbol + " = " +
                (broadcast ? "1 or " : "") + std::to_string(size);
    good = good && (tensor->shape[axis] == size ||
                    (broadcast && tensor->shape[axis] == 1));
  }
  if (!good)
    return Error(
        name, ": expected shape [", expected, "], got ",
        runtime::toString({tensor->shape, static_cast<size_t>(tensor->rank)}));
  if (*elementType(tensor->type) != type)
    return Error(name, ": expected elements of type ", runtime::name(type),
                 ", got ", runtime::name(*elementType(tensor->type)));
  return runtime::success();
}

Status Run::checkShapes() {
  const AttentionStructure &s = compiled.structure;
  const RopewalkTensor *query = find("query"), *key = find("key");
  if (query && query->rank == 4) {
    batch = query->shape[0];
    rows = query->shape[2];
  }
  if (key && key->rank == 4)
    slots = key->shape[2];
  auto broadcast = [](int64_t size) { return -size - 1; };
  using Axes = std::vector<std::pair<std::string, int64_t>>;
  struct Expected {
    std::string name;
    bool present;
    ElementType type;
    Axes axes;
  };
  std::vector<Expected> all = {
      {"query",
       true,
       s.type,
       {{"B", batch}, {"Hq", s.queryHeads}, {"Sq", rows}, {"D", s.headDim}}},
      {"key",
       true,
       s.type,
       {{"B", batch}, {"Hkv", s.kvHeads}, {"Skv", slots}, {"D", s.headDim}}},
      {"value",
       true,
       s.type,
       {{"B", batch}, {"Hkv", s.kvHeads}, {"Skv", slots}, {"Dv", s.valueDim}}},
      {"output",
       true,
       s.type,
       {{"B", batch}, {"Hq", s.queryHeads}, {"Sq", rows}, {"Dv", s.valueDim}}},
      {"lse",
       s.lse,
       ElementType::F32,
       {{"B", batch}, {"Hq", s.queryHeads}, {"Sq", rows}}},
      {"query_offset", s.queryOffset, ElementType::I64, {{"B", batch}}},
      {"key_length", s.keyLength, ElementType::I64, {{"B", batch}}},
      {"position_offset", s.positionOffset, ElementType::I64, {{"B", batch}}},
  };
  if (s.biasAxes)
    all.push_back({"bias",
                   true,
                   s.type,
                   {{"B", (*s.biasAxes)[0] ? batch : 1},
                    {"Hq", (*s.biasAxes)[1] ? s.queryHeads : 1},
                    {"Sq", rows},
                    {"Skv", slots}}});
  for (const AttentionProgram::Parameter &parameter :
       compiled.attention.parameters)
    all.push_back({"parameter." + parameter.name,
                   true,
                   ElementType::I64,
                   {{"B", broadcast(batch)}, {"Hkv", broadcast(s.kvHeads)}}});
  size_t known = 0;
  for (const Expected &expected : all) {
    if (!expected.present)
      continue;
    ++known;
    if (Status status = checkShape(expected.name, expected.type, expected.axes);
        !status)
      return status;
  }
  if (byName.size() > known)
    for (const auto &[name, tensor] : byName)
      if (llvm::none_of(all, [&](const Expected &expected) {
            return expected.present && expected.name == name;
          }))
        return Error(name, ": the structure has no such tensor");
  return runtime::success();
}

Result<std::vector<int64_t>> Run::readIntegers(const std::string &name) {
  const RopewalkTensor &tensor = *find(name);
  int64_t count = 1;
  for (int32_t axis = 0; axis < tensor.rank; ++axis)
    count *= tensor.shape[axis];
  std::vector<int64_t> values(count);
  auto *dense = reinterpret_cast<std::byte *>(values.data());
  if (count == 0)
    return values;
  if (isDense(tensor, sizeof(int64_t)))
    std::memcpy(dense, tensor.data, count * sizeof(int64_t));
  else
    copyStrided(tensor, dense, /*toDense=*/true, sizeof(int64_t));
  return values;
}

Status Run::checkValues() {
  const AttentionStructure &s = compiled.structure;
  auto checkRange = [&](const std::string &name, int64_t minimum,
                        int64_t maximum) -> Status {
    auto values = readIntegers(name);
    if (!values)
      return values.error();
    for (auto [index, value] : llvm::enumerate(*values))
      if (value < minimum || value > maximum)
        return Error(name, ": element ", index, " is ", value, ", expected ",
                     minimum, " to ", maximum);
    return runtime::success();
  };
  // With these bounds no position reaches the largest one.
  if (rows > maxPosition || slots > maxPosition)
    return Error("expected at most ", maxPosition, " slots, got ",
                 std::max(rows, slots));
  if (s.queryOffset)
    if (Status status = checkRange("query_offset", 0, maxPosition - rows);
        !status)
      return status;
  if (s.keyLength)
    if (Status status = checkRange("key_length", 0, slots); !status)
      return status;
  if (s.positionOffset) {
    int64_t last = slots;
    if (s.queryOffset) {
      auto offsets = readIntegers("query_offset");
      if (!offsets)
        return offsets.error();
      for (int64_t offset : *offsets)
        last = std::max(last, offset + rows);
    }
    last = std::max(last, rows);
    if (Status status =
            checkRange("position_offset", -maxPosition, maxPosition - last);
        !status)
      return status;
  }
  for (const AttentionProgram::Parameter &parameter :
       compiled.attention.parameters)
    if (Status status = checkRange("parameter." + parameter.name,
                                   parameter.minimum, maxPosition - 1);
        !status)
      return status;
  return runtime::success();
}

/// Makes a dense tensor in the program's memory.
Result<runtime::TensorView> Run::bring(const RopewalkTensor &tensor) {
  size_t element = runtime::byteSize(*elementType(tensor.type));
  runtime::TensorView view;
  view.shape.assign(tensor.shape, tensor.shape + tensor.rank);
  size_t bytes = element;
  for (int64_t size : view.shape)
    bytes *= size;
  const void *data = tensor.data;
  if (bytes > 0 && !isDense(tensor, element)) {
    copies.emplace_back(bytes);
    copyStrided(tensor, copies.back().data(), /*toDense=*/true, element);
    data = copies.back().data();
  }
  if (program().isHostMemory() && bytes > 0 &&
      reinterpret_cast<uintptr_t>(data) % element == 0) {
    view.address = reinterpret_cast<uint64_t>(data);
    return view;
  }
  auto address = program().allocate(bytes);
  if (!address)
    return address.error();
  owned.push_back(*address);
  view.address = *address;
  if (bytes > 0)
    if (Status status = program().write(*address, data, bytes); !status)
      return status.error();
  return view;
}

Status Run::fetch(const RopewalkTensor &tensor,
                  const runtime::TensorView &view) {
  size_t element = runtime::byteSize(*elementType(tensor.type));
  size_t bytes = element;
  for (int64_t size : view.shape)
    bytes *= size;
  if (isDense(tensor, element))
    return program().read(tensor.data, view.address, bytes);
  std::vector<std::byte> dense(bytes);
  if (Status status = program().read(dense.data(), view.address, bytes);
      !status)
    return status;
  copyStrided(tensor, dense.data(), /*toDense=*/false, element);
  return runtime::success();
}

Status Run::execute() {
  if (Status status = checkShapes(); !status)
    return status;
  if (Status status = checkValues(); !status)
    return status;
  // Nothing to write.
  if (batch == 0 || rows == 0)
    return runtime::success();
  std::lock_guard<std::mutex> lock(compiled.mutex);
  // What is compiled for a device may have a second entry, for one row.
  if (program().entries().empty())
    return Error("the program has no entry");
  const runtime::EntrySignature *entry = &program().entries().front();
  std::vector<runtime::TensorView> arguments;
  for (const runtime::Argument &argument : entry->arguments) {
    const RopewalkTensor *tensor = find(argument.name);
    if (!tensor)
      return Error("the program wants a tensor '", argument.name, "'");
    auto view = bring(*tensor);
    if (!view)
      return view.error();
    arguments.push_back(*std::move(view));
  }
  auto results = program().run(0, arguments);
  if (!results)
    return results.error();
  for (const char *name : {"output", "lse"}) {
    const RopewalkTensor *tensor = find(name);
    int index = entry->findResult(name);
    if (!tensor)
      continue;
    if (index < 0)
      return Error("the program has no result '", name, "'");
    if (Status status = fetch(*tensor, (*results)[index]); !status)
      return status;
  }
  return runtime::success();
}

} // namespace

int ropewalk_attention_run(RopewalkAttention *attention,
                           const RopewalkTensor *tensors, size_t count) {
  if (!attention)
    return fail(Error("argument 'attention': expected a pointer, got null"));
  if (!tensors && count > 0)
    return fail(Error("argument 'tensors': expected a pointer, got null"));
  Run run(*attention->compiled);
  if (Status status = run.collect(tensors, count); !status)
    return fail(status.error());
  if (Status status = run.execute(); !status)
    return fail(status.error());
  return ROPEWALK_OK;
}
