//===- SafeTensors.h - Mapped checkpoints -----------------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Reads safetensors files, single or sharded, by mapping them. Opening parses
// and checks the headers completely and touches no tensor data, so it takes
// milliseconds whatever the size of the model. The pages of a tensor are read
// by the operating system when they are used.
//
// A file is: 8 bytes little-endian length N of the header, N bytes of JSON
//   {"name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, ...,
//    "__metadata__": {"key": "text"}}
// and the data, which the tensors cover without holes and without overlap.
// A directory holds model.safetensors, or model.safetensors.index.json with
// {"weight_map": {"name": "file of the shard"}}.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_RUNTIME_SAFETENSORS_H
#define ROPEWALK_RUNTIME_SAFETENSORS_H

#include "Ropewalk/Runtime/ElementType.h"
#include "Ropewalk/Runtime/Result.h"

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace ropewalk::runtime {

/// A tensor inside a mapped file, row-major and dense.
struct StoredTensor {
  ElementType type;
  std::vector<int64_t> shape;
  /// Valid as long as the file or checkpoint (or a copy of it) lives; aligned
  /// only as the file happens to be.
  const std::byte *data;
  /// Bytes: the product of `shape` times the size of an element.
  size_t size;
  /// Position of the data in its file, in bytes from the beginning.
  size_t fileOffset;
};

/// Names in ascending order; lookup by std::string_view.
using StoredTensorMap = std::map<std::string, StoredTensor, std::less<>>;

/// One mapped *.safetensors file. Copies share the mapping.
class TensorFile {
public:
  /// Maps `path` and checks its header. Errors: the file cannot be read, is
  /// shorter than its header says, the header is not the JSON described above,
  /// a name or key occurs twice, a dtype is unknown, shape and data_offsets
  /// disagree, or the tensors do not cover the data exactly once.
  static Result<TensorFile> open(const std::string &path);

  const std::string &path() const;
  const StoredTensorMap &tensors() const;
  /// Null when there is no such tensor.
  const StoredTensor *find(std::string_view name) const;
  /// The text pairs of "__metadata__".
  const std::map<std::string, std::string, std::less<>> &metadata() const;

private:
  struct State;
  explicit TensorFile(std::shared_ptr<const State> state);
  std::shared_ptr<const State> state;
};

/// All tensors of a checkpoint directory. Copies share the mappings.
class Checkpoint {
public:
  /// Opens DIR/model.safetensors or, if there is none, the shards that
  /// DIR/model.safetensors.index.json lists. Errors: as for TensorFile, a
  /// shard that is missing or not a plain file name, a tensor that the index
  /// places in a shard which lacks it.
  static Result<Checkpoint> open(const std::string &directory);

  const std::string &directory() const;
  const std::vector<TensorFile> &files() const;
  const StoredTensorMap &tensors() const;
  /// Null when there is no such tensor.
  const StoredTensor *find(std::string_view name) const;
  /// As `find`, with an error that names the directory and the tensor.
  Result<const StoredTensor *> get(std::string_view name) const;
  /// Bytes of all tensors.
  size_t totalSize() const;

private:
  struct State;
  explicit Checkpoint(std::shared_ptr<const State> state);
  std::shared_ptr<const State> state;
};

} // namespace ropewalk::runtime

#endif // ROPEWALK_RUNTIME_SAFETENSORS_H
