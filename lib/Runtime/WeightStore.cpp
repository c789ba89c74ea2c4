//===- WeightStore.cpp - The weights of a session ---------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// All weights are checked before the first one is copied, so that a wrong
// checkpoint is refused at once and not after minutes of uploading.
//
//===----------------------------------------------------------------------===//

#include "WeightStore.h"

#include <algorithm>

using namespace ropewalk::runtime;

namespace {

/// Elements that are copied between two looks at the cancel flag.
constexpr size_t kPiece = size_t(4) << 20;

bool isCancelled(const SessionOptions &options) {
  return options.cancel && options.cancel->load();
}

/// Checks that the stored tensor can serve as the argument.
Status checkWeight(const EntrySignature &entry, const Argument &argument,
                   const StoredTensor &tensor, const Checkpoint &checkpoint) {
  Result<std::vector<int64_t>> shape = evaluateShape(argument.shape, {});
  if (!shape)
    return shape.error().in(concat("entry '", entry.name, "', weight '",
                                   argument.name, "': shape is not constant"));
  if (*shape != tensor.shape)
    return Error(checkpoint.directory(), ": tensor '", argument.name,
                 "': the program takes shape ", toString(*shape), ", found ",
                 toString(tensor.shape));
  if (!isConvertible(tensor.type, argument.type))
    return Error(checkpoint.directory(), ": tensor '", argument.name,
                 "': the program takes ", name(argument.type), ", found ",
                 name(tensor.type),
                 ", which is not converted (only f16 and bf16 to f32 are)");
  return success();
}

} // namespace

WeightStore::~WeightStore() {
  for (uint64_t address : owned)
    (void)program.release(address);
}

Status WeightStore::bind(std::span<const size_t> entries,
                         const Checkpoint *checkpoint,
                         const SessionOptions &options) {
  std::map<Key, std::pair<const Argument *, const StoredTensor *>> needed;
  Progress progress{"weights", 0, 0};
  for (size_t index : entries) {
    const EntrySignature &entry = program.entries()[index];
    for (const Argument &argument : entry.arguments) {
      if (argument.kind != ArgumentKind::Weight)
        continue;
      if (!checkpoint)
        return Error("entry '", entry.name, "' takes the weight '",
                     argument.name, "', but no checkpoint is given");
      Result<const StoredTensor *> tensor = checkpoint->get(argument.name);
      if (!tensor)
        return tensor.error();
      if (Status status = checkWeight(entry, argument, **tensor, *checkpoint);
          !status)
        return status;
      if (needed
              .emplace(Key(argument.name, argument.type),
                       std::pair(&argument, *tensor))
              .second)
        progress.total += static_cast<int64_t>((*tensor)->size);
    }
  }
  for (const auto &[key, pair] : needed)
    if (Status status = bindOne(*pair.first, *pair.second, options, progress);
        !status)
      return status;
  return success();
}

Status WeightStore::bindOne(const Argument &argument,
                            const StoredTensor &tensor,
                            const SessionOptions &options, Progress &progress) {
  if (isCancelled(options))
    return Error("cancelled");
  TensorView view;
  view.shape = tensor.shape;
  auto address = reinterpret_cast<uintptr_t>(tensor.data);
  if (program.isHostMemory() && tensor.type == argument.type &&
      address % byteSize(tensor.type) == 0) {
    view.address = static_cast<uint64_t>(address);
    mapped += tensor.size;
    progress.done += static_cast<int64_t>(tensor.size);
  } else {
    size_t bytes =
        tensor.size / byteSize(tensor.type) * byteSize(argument.type);
    Result<uint64_t> allocated = program.allocate(bytes);
    if (!allocated)
      return allocated.error().in(concat("weight '", argument.name, "'"));
    owned.push_back(*allocated);
    copied += bytes;
    view.address = *allocated;
    if (Status status =
            copyIn(*allocated, tensor, argument.type, options, progress);
        !status)
      return status.error().in(concat("weight '", argument.name, "'"));
  }
  weights.emplace(Key(argument.name, argument.type), std::move(view));
  if (options.progress)
    options.progress(progress);
  return success();
}

Status WeightStore::copyIn(uint64_t destination, const StoredTensor &tensor,
                           ElementType type, const SessionOptions &options,
                           Progress &progress) {
  size_t from = byteSize(tensor.type), to = byteSize(type);
  size_t count = tensor.size / from;
  std::vector<std::byte> staging;
  if (tensor.type != type && !program.isHostMemory())
    staging.resize(std::min(count, kPiece) * to);
  for (size_t begin = 0; begin < count; begin += kPiece) {
    if (isCancelled(options))
      return Error("cancelled");
    size_t piece = std::min(kPiece, count - begin);
    const std::byte *source = tensor.data + begin * from;
    uint64_t target = destination + begin * to;
    if (program.isHostMemory()) {
      convertElements(tensor.type, source, type,
                      reinterpret_cast<void *>(static_cast<uintptr_t>(target)),
                      piece);
    } else {
      if (tensor.type != type) {
        convertElements(tensor.type, source, type, staging.data(), piece);
        source = staging.data();
      }
      if (Status status = program.write(target, source, piece * to); !status)
        return status;
    }
    progress.done += static_cast<int64_t>(piece * from);
    if (options.progress && begin + piece < count)
      options.progress(progress);
  }
  return success();
}
