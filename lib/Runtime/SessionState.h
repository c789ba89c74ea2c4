//===- SessionState.h - What is behind a session ----------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Shared by the files that implement Session.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_LIB_RUNTIME_SESSIONSTATE_H
#define ROPEWALK_LIB_RUNTIME_SESSIONSTATE_H

#include "CacheStore.h"
#include "Ropewalk/Runtime/Session.h"
#include "WeightStore.h"

#include <map>

namespace ropewalk::runtime {

/// A token batch that has been checked and padded on the left.
struct PaddedTokens {
  int64_t batch = 1;
  /// Columns; that of the longest row.
  int64_t length = 0;
  /// [batch, length]; padding is id 0.
  std::vector<int32_t> ids;
  /// Columns of padding in front of every row.
  std::vector<int64_t> padding;
};

struct Session::State {
  State(std::shared_ptr<Program> program, SessionOptions options)
      : program(std::move(program)), options(std::move(options)),
        weights(*this->program), caches(*this->program) {}
  ~State();

  /// An entry that follows the convention.
  struct Entry {
    size_t index;
    int logits;
    bool hasPositionOffset;
  };

  /// Logits of the columns [first, first + count) of the padded tokens.
  struct Chunk {
    int64_t first, count;
    TensorView logits; // [B, count, V]
  };
  using Consumer = std::function<Status(const Chunk &)>;

  struct Parameter {
    ElementType type;
    TensorView view;
  };

  // SessionCreate.cpp
  Status findEntries();
  Status addEntry(std::optional<Entry> &slot, std::string_view name);

  // Session.cpp
  Status checkIds(std::span<const int32_t> ids, int64_t batch, int64_t length,
                  std::span<const int64_t> lengths) const;
  Result<PaddedTokens> pad(const TokenBatch &tokens) const;
  /// Appends the tokens chunk by chunk. `consume` sees every chunk's logits.
  Status forward(const PaddedTokens &tokens, const Consumer &consume);
  Status forwardChunks(const PaddedTokens &tokens, const Consumer &consume);
  Result<TensorView> runChunk(const PaddedTokens &tokens, int64_t first,
                              int64_t count);
  Status reserve(const PaddedTokens &tokens);
  /// Writes a small input into the program's memory.
  Result<TensorView> input(std::string_view name, const void *data,
                           size_t bytes, std::vector<int64_t> shape);
  /// Copies `rows` consecutive rows of logits out, row 0 being number `row` of
  /// the flattened [B * S, V].
  Status readRows(const TensorView &logits, int64_t row, int64_t rows,
                  float *destination);
  void reset();
  bool isCancelled() const { return options.cancel && options.cancel->load(); }
  void report(std::string_view stage, int64_t done, int64_t total) const {
    if (options.progress)
      options.progress({stage, done, total});
  }

  std::shared_ptr<Program> program;
  SessionOptions options;
  std::optional<Checkpoint> checkpoint;
  WeightStore weights;
  CacheStore caches;
  std::optional<Entry> prefill, decode, general;
  int64_t vocabulary = -1;

  std::map<std::string, Parameter, std::less<>> parameters;
  struct InputBuffer {
    uint64_t address = 0;
    size_t bytes = 0;
  };
  std::map<std::string, InputBuffer, std::less<>> inputs;

  /// Slots used so far, sequences, and the padding of each of them.
  int64_t length = 0, batch = 0;
  std::vector<int64_t> padding;
};

} // namespace ropewalk::runtime

#endif // ROPEWALK_LIB_RUNTIME_SESSIONSTATE_H
