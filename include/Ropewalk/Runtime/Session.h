//===- Session.h - Running a language model ---------------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A program with its weights, caches and parameters, and the loops that users
// want: logits, scores, greedy generation, step by step use of the cache.
//
// The entries of the program follow one convention: inputs "ids" [B, S] i32,
// "query_offset" [B] i64 (the cache slot of the first token) and, optionally,
// "position_offset" [B] i64 (the position of slot 0; minus the padding of a
// sequence), caches whose shape has one more symbol, the capacity, parameters,
// weights named as in the checkpoint, and the result "logits" [B, S, V] f32.
// One token runs the entry "decode", more run "prefill", each if there is one;
// otherwise "forward" runs.
//
// Sequences of unequal length in one batch are padded on the left, inside: all
// of them end in the same slot, and slots before the first token have negative
// positions, which no attention sees.
//
// Ids outside [0, V) are an error before anything runs. After any other error
// or a cancellation the sequence is forgotten, as after `reset`.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_RUNTIME_SESSION_H
#define ROPEWALK_RUNTIME_SESSION_H

#include "Ropewalk/Runtime/Program.h"
#include "Ropewalk/Runtime/Result.h"
#include "Ropewalk/Runtime/SafeTensors.h"

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ropewalk::runtime {

/// What a long call is doing: `stage` is "weights" (units are bytes), "prefill"
/// or "generate" (units are tokens of one sequence).
struct Progress {
  std::string_view stage;
  int64_t done;
  int64_t total;
};

struct SessionOptions {
  /// Slots of the caches at the beginning; they grow on demand.
  int64_t capacity = 512;
  /// Longest piece of a sequence that runs at once.
  int64_t chunk = 512;
  /// Called from the calling thread; may be empty.
  std::function<void(const Progress &)> progress = {};
  /// Looked at between runs; when it turns true the call ends with the error
  /// "cancelled". May be null. Must outlive the session.
  const std::atomic<bool> *cancel = nullptr;
};

/// Token ids of a batch, row-major [batch, length].
struct TokenBatch {
  std::span<const int32_t> ids;
  int64_t batch = 1;
  int64_t length = 0;
  /// When not empty: row b has its tokens in its first lengths[b] columns,
  /// 1 <= lengths[b] <= length; what follows is ignored.
  std::span<const int64_t> lengths = {};

  /// One sequence.
  static TokenBatch single(std::span<const int32_t> ids) {
    return {ids, 1, static_cast<int64_t>(ids.size()), {}};
  }
};

struct GenerateOptions {
  int64_t maxNewTokens = 64;
  /// Tokens that end a sequence; the one that did is part of the output.
  std::vector<int32_t> stopIds;
  /// Called with (sequence, token) as soon as a token is known; returning false
  /// ends the generation with what there is. May be empty.
  std::function<bool(int64_t, int32_t)> onToken;
};

/// Memory of a session, in bytes of the program's memory.
struct MemoryReport {
  /// Weights that were copied or uploaded.
  size_t weights = 0;
  /// Weights that are used in the mapped files.
  size_t mappedWeights = 0;
  size_t caches = 0;
  /// What one more slot of the caches costs, for one sequence.
  size_t cachePerToken = 0;
  /// Temporaries, constants and tables of the program.
  size_t program = 0;
};

class Session {
public:
  /// Binds every weight of the entries that it uses. Errors: an entry does not
  /// follow the convention, a weight is missing or has another shape or a type
  /// that cannot be converted, memory. The session keeps both objects alive.
  static Result<std::unique_ptr<Session>>
  create(std::shared_ptr<Program> program, const Checkpoint &checkpoint,
         SessionOptions options = {});
  /// For programs without weights.
  static Result<std::unique_ptr<Session>>
  create(std::shared_ptr<Program> program, SessionOptions options = {});
  ~Session();

  Program &program();
  /// V: ids are in [0, V), logits have V columns.
  int64_t vocabularySize() const;
  /// Tokens in the cache, padding included.
  int64_t length() const;
  /// Sequences in the cache.
  int64_t batch() const;
  /// Slots of the caches.
  int64_t capacity() const;
  MemoryReport memory() const;

  /// Sets the run-time parameter `name` of a position map for all later runs;
  /// `data` is dense and row-major and has the parameter's type. Every
  /// parameter must be set once before the first run. Integer values must be in
  /// [minimum, 2^24).
  Status setParameter(std::string_view name, ElementType type,
                      std::span<const int64_t> shape, const void *data);

  //===--------------------------------------------------------------------===//
  // Whole sequences; each call starts a new one.
  //===--------------------------------------------------------------------===//

  /// Logits of every token: f32 [B, S, V], zero where `lengths` says that
  /// there is no token.
  Result<std::vector<float>> logits(const TokenBatch &tokens);

  /// Negative log likelihood, in nats, of every token after the first: S - 1
  /// values for S ids, log-softmax in float64. Holds one chunk of logits at a
  /// time.
  Result<std::vector<double>> score(std::span<const int32_t> ids);

  /// Greedy continuation (the smallest id wins a tie): the new tokens of every
  /// sequence.
  Result<std::vector<std::vector<int32_t>>>
  generate(const TokenBatch &prompts, const GenerateOptions &options);

  //===--------------------------------------------------------------------===//
  // Step by step.
  //===--------------------------------------------------------------------===//

  /// Forgets the sequence; caches and parameters stay allocated.
  void reset();

  enum class Rows : uint8_t {
    None, ///< nothing, only the caches are filled
    Last, ///< of every sequence's last token: [B, V]
    All,  ///< of every token: [B, S, V]
  };

  /// Appends tokens to the sequences in the cache and returns the logits that
  /// `rows` asks for. The first call after a reset sets the batch size; only
  /// that one may have `lengths`.
  Result<std::vector<float>> append(const TokenBatch &tokens,
                                    Rows rows = Rows::Last);

  /// Goes back to the first `length` slots; 0 is `reset`.
  Status truncate(int64_t length);

private:
  struct State;
  static Result<std::unique_ptr<Session>>
  createImpl(std::shared_ptr<Program> program, const Checkpoint *checkpoint,
             SessionOptions options);
  explicit Session(std::unique_ptr<State> state);
  std::unique_ptr<State> state;
};

} // namespace ropewalk::runtime

#endif // ROPEWALK_RUNTIME_SESSION_H
