//===- WeightStore.h - The weights of a session -----------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Finds every weight that some entries take in a checkpoint and puts it where
// the program can use it: in a program on host memory the mapped file itself
// where type and alignment allow it, otherwise a copy, converted if need be.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_LIB_RUNTIME_WEIGHTSTORE_H
#define ROPEWALK_LIB_RUNTIME_WEIGHTSTORE_H

#include "Ropewalk/Runtime/Session.h"

#include <map>
#include <utility>

namespace ropewalk::runtime {

class WeightStore {
public:
  explicit WeightStore(Program &program) : program(program) {}
  ~WeightStore();
  WeightStore(const WeightStore &) = delete;
  WeightStore &operator=(const WeightStore &) = delete;

  /// Binds the weights of `entries`; `checkpoint` may be null if there are
  /// none. The mappings of the checkpoint must outlive the store.
  Status bind(std::span<const size_t> entries, const Checkpoint *checkpoint,
              const SessionOptions &options);

  /// The bound tensor of an argument of kind weight.
  const TensorView &find(const Argument &argument) const {
    return weights.at({argument.name, argument.type});
  }

  size_t copiedBytes() const { return copied; }
  size_t mappedBytes() const { return mapped; }

private:
  /// An entry may take a weight as it is stored, another one widened.
  using Key = std::pair<std::string, ElementType>;

  Status bindOne(const Argument &argument, const StoredTensor &tensor,
                 const SessionOptions &options, Progress &progress);
  Status copyIn(uint64_t destination, const StoredTensor &tensor,
                ElementType type, const SessionOptions &options,
                Progress &progress);

  Program &program;
  std::map<Key, TensorView> weights;
  std::vector<uint64_t> owned;
  size_t copied = 0, mapped = 0;
};

} // namespace ropewalk::runtime

#endif // ROPEWALK_LIB_RUNTIME_WEIGHTSTORE_H
