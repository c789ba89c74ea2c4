//===- Session.cpp - Running tokens through a model -------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// All calls come down to `forward`: tokens are checked, padded on the left to
// one length and run in chunks over the caches; a consumer takes what it needs
// of each chunk's logits while they lie in the program's memory, so no more
// than one chunk of them exists.
//
//===----------------------------------------------------------------------===//

#include "SessionState.h"

#include <algorithm>
#include <cmath>
#include <limits>

using namespace ropewalk::runtime;

//===----------------------------------------------------------------------===//
// Tokens
//===----------------------------------------------------------------------===//

Status Session::State::checkIds(std::span<const int32_t> ids, int64_t batch,
                                int64_t length,
                                std::span<const int64_t> lengths) const {
  int64_t count;
  if (batch < 1 || length < 1)
    return Error("ids: expected at least one sequence and one token, found "
                 "shape [",
                 batch, ", ", length, "]");
  if (__builtin_mul_overflow(batch, length, &count) ||
      static_cast<size_t>(count) != ids.size())
    return Error("ids: shape [", batch, ", ", length, "] does not match ",
                 ids.size(), " ids");
  if (!lengths.empty() && lengths.size() != static_cast<size_t>(batch))
    return Error("lengths: expected ", batch, " values, found ",
                 lengths.size());
  for (size_t b = 0; b < lengths.size(); ++b)
    if (lengths[b] < 1 || lengths[b] > length)
      return Error("lengths[", b, "] is ", lengths[b], ", expected 1 to ",
                   length);
  for (int64_t b = 0; b < batch; ++b) {
    int64_t tokens = lengths.empty() ? length : lengths[static_cast<size_t>(b)];
    for (int64_t s = 0; s < tokens; ++s) {
      int32_t id = ids[static_cast<size_t>(b * length + s)];
      if (id < 0 || id >= vocabulary)
        return Error("ids[", b, ", ", s, "] is ", id, ", expected 0 to ",
                     vocabulary - 1);
    }
  }
  return success();
}

Result<PaddedTokens> Session::State::pad(const TokenBatch &tokens) const {
  if (Status status =
          checkIds(tokens.ids, tokens.batch, tokens.length, tokens.lengths);
      !status)
    return status.error();
  PaddedTokens padded;
  padded.batch = tokens.batch;
  padded.length =
      tokens.lengths.empty()
          ? tokens.length
          : *std::max_element(tokens.lengths.begin(), tokens.lengths.end());
  padded.ids.resize(static_cast<size_t>(padded.batch * padded.length));
  for (int64_t b = 0; b < padded.batch; ++b) {
    int64_t count = tokens.lengths.empty()
                        ? tokens.length
                        : tokens.lengths[static_cast<size_t>(b)];
    padded.padding.push_back(padded.length - count);
    std::copy_n(tokens.ids.begin() + b * tokens.length, count,
                padded.ids.begin() + (b + 1) * padded.length - count);
  }
  return padded;
}

//===----------------------------------------------------------------------===//
// Running
//===----------------------------------------------------------------------===//

void Session::State::reset() {
  length = batch = 0;
  padding.clear();
}

Status Session::State::forward(const PaddedTokens &tokens,
                               const Consumer &consume) {
  bool padded = std::any_of(tokens.padding.begin(), tokens.padding.end(),
                            [](int64_t columns) { return columns > 0; });
  if (length > 0) {
    if (caches.empty())
      return Error("the program has no caches, so a sequence cannot be "
                   "continued");
    if (tokens.batch != batch)
      return Error("ids: expected ", batch,
                   " sequences as in the calls before, found ", tokens.batch);
    if (padded)
      return Error(
          "lengths: only the first tokens of a sequence may be padded");
  }
  if (padded)
    for (const auto *entry : {&prefill, &decode, &general})
      if (*entry && !(*entry)->hasPositionOffset)
        return Error("sequences of unequal length need the input "
                     "'position_offset', which entry '",
                     program->entries()[(*entry)->index].name,
                     "' does not have");
  Status status = forwardChunks(tokens, consume);
  if (!status)
    reset();
  return status;
}

Status Session::State::reserve(const PaddedTokens &tokens) {
  int64_t needed = length + tokens.length;
  int64_t limit = program->maximumCapacity();
  if (needed > limit)
    return Error("the sequence needs ", needed,
                 " slots, the program has at "
                 "most ",
                 limit);
  int64_t capacity = std::max(caches.capacity(), options.capacity);
  if (needed > capacity)
    capacity = std::min(std::max(needed, 2 * capacity), limit);
  return caches.reserve(tokens.batch, capacity, /*keep=*/length > 0);
}

Status Session::State::forwardChunks(const PaddedTokens &tokens,
                                     const Consumer &consume) {
  if (Status status = reserve(tokens); !status)
    return status;
  if (length == 0) {
    batch = tokens.batch;
    padding = tokens.padding;
  }
  // Without an entry for several tokens they run one by one; without caches
  // they cannot be cut at all.
  int64_t chunk = prefill || general ? options.chunk : 1;
  if (caches.empty())
    chunk = tokens.length;
  for (int64_t first = 0; first < tokens.length; first += chunk) {
    if (isCancelled())
      return Error("cancelled");
    int64_t count = std::min(chunk, tokens.length - first);
    Result<TensorView> logits = runChunk(tokens, first, count);
    if (!logits)
      return logits.error();
    length += count;
    if (Status status = consume({first, count, std::move(*logits)}); !status)
      return status;
    if (tokens.length > 1)
      report("prefill", first + count, tokens.length);
  }
  return success();
}

Result<TensorView> Session::State::input(std::string_view name,
                                         const void *data, size_t bytes,
                                         std::vector<int64_t> shape) {
  InputBuffer &buffer = inputs[std::string(name)];
  if (buffer.bytes < bytes || buffer.address == 0) {
    Result<uint64_t> address = program->allocate(bytes);
    if (!address)
      return address.error().in(concat("input '", name, "'"));
    if (buffer.address)
      (void)program->release(buffer.address);
    buffer = {*address, bytes};
  }
  if (Status status = program->write(buffer.address, data, bytes); !status)
    return status.error().in(concat("input '", name, "'"));
  return TensorView{buffer.address, std::move(shape)};
}

Result<TensorView> Session::State::runChunk(const PaddedTokens &tokens,
                                            int64_t first, int64_t count) {
  const std::optional<Entry> *order[] = {&prefill, &general, &decode};
  if (count == 1) {
    order[0] = &decode;
    order[2] = &prefill;
  }
  const Entry &entry =
      *order[0] ? **order[0] : (*order[1] ? **order[1] : **order[2]);

  std::vector<int32_t> ids;
  std::vector<int64_t> queryOffset(static_cast<size_t>(batch), length);
  std::vector<int64_t> positionOffset;
  for (int64_t b = 0; b < batch; ++b) {
    auto begin = tokens.ids.begin() + b * tokens.length + first;
    ids.insert(ids.end(), begin, begin + count);
    positionOffset.push_back(-padding[static_cast<size_t>(b)]);
  }

  const EntrySignature &signature = program->entries()[entry.index];
  std::vector<TensorView> arguments;
  for (const Argument &argument : signature.arguments) {
    Result<TensorView> view = TensorView{};
    switch (argument.kind) {
    case ArgumentKind::Input:
      if (argument.name == "ids")
        view = input("ids", ids.data(), 4 * ids.size(), {batch, count});
      else
        view = input(argument.name,
                     argument.name == "query_offset" ? queryOffset.data()
                                                     : positionOffset.data(),
                     8 * queryOffset.size(), {batch});
      break;
    case ArgumentKind::Weight:
      view = weights.find(argument);
      break;
    case ArgumentKind::Cache:
      view = caches.find(argument.name);
      break;
    case ArgumentKind::Parameter: {
      auto it = parameters.find(argument.name);
      if (it == parameters.end())
        return Error("parameter '", argument.name, "' has not been set");
      view = it->second.view;
      break;
    }
    }
    if (!view)
      return view.error();
    arguments.push_back(std::move(*view));
  }
  Result<std::vector<TensorView>> results =
      program->run(entry.index, arguments);
  if (!results)
    return results.error();
  TensorView logits = std::move((*results)[static_cast<size_t>(entry.logits)]);
  if (logits.shape != std::vector<int64_t>{batch, count, vocabulary})
    return Error("entry '", signature.name,
                 "', result 'logits': expected "
                 "shape [",
                 batch, ", ", count, ", ", vocabulary, "], found ",
                 toString(logits.shape));
  return logits;
}

Status Session::State::readRows(const TensorView &logits, int64_t row,
                                int64_t rows, float *destination) {
  auto bytes = static_cast<size_t>(vocabulary) * sizeof(float);
  return program->read(destination,
                       logits.address + static_cast<uint64_t>(row) * bytes,
                       static_cast<size_t>(rows) * bytes);
}

//===----------------------------------------------------------------------===//
// Public functions
//===----------------------------------------------------------------------===//

void Session::reset() { state->reset(); }

Status Session::truncate(int64_t length) {
  if (length < 0 || length > state->length)
    return Error("cannot go back to slot ", length, ", the sequence has ",
                 state->length);
  if (length == 0)
    state->reset();
  state->length = length;
  return success();
}

Result<std::vector<float>> Session::append(const TokenBatch &tokens,
                                           Rows rows) {
  if (!tokens.lengths.empty() && state->length > 0)
    return Error("lengths: only the first tokens of a sequence may be padded");
  Result<PaddedTokens> padded = state->pad(tokens);
  if (!padded)
    return padded.error();
  int64_t vocabulary = state->vocabulary;
  std::vector<float> output;
  int64_t size = tokens.batch;
  if (rows == Rows::None)
    size = 0;
  else if (rows == Rows::All)
    size *= tokens.length; // checked by `pad`
  if (__builtin_mul_overflow(size, vocabulary, &size) ||
      size > std::numeric_limits<int64_t>::max() / 4)
    return Error("the logits do not fit into 63 bits");
  output.resize(static_cast<size_t>(size));

  Status status = state->forward(*padded, [&](const State::Chunk &chunk) {
    for (int64_t b = 0; b < padded->batch; ++b) {
      if (rows == Rows::None)
        break;
      if (rows == Rows::Last) {
        if (chunk.first + chunk.count < padded->length)
          break;
        if (Status status =
                state->readRows(chunk.logits, (b + 1) * chunk.count - 1, 1,
                                output.data() + b * vocabulary);
            !status)
          return status;
        continue;
      }
      // Back to where the tokens stand in the caller's batch.
      int64_t padding = padded->padding[static_cast<size_t>(b)];
      int64_t skip = std::clamp<int64_t>(padding - chunk.first, 0, chunk.count);
      int64_t column = chunk.first + skip - padding;
      if (skip == chunk.count)
        continue;
      if (Status status = state->readRows(
              chunk.logits, b * chunk.count + skip, chunk.count - skip,
              output.data() + (b * tokens.length + column) * vocabulary);
          !status)
        return status;
    }
    return success();
  });
  if (!status)
    return status.error();
  return output;
}

Result<std::vector<float>> Session::logits(const TokenBatch &tokens) {
  reset();
  return append(tokens, Rows::All);
}

namespace {

/// -log softmax(row)[target]
double negativeLogLikelihood(const std::vector<float> &row, int32_t target) {
  double maximum = -std::numeric_limits<double>::infinity();
  for (float value : row)
    maximum = std::max(maximum, static_cast<double>(value));
  double sum = 0;
  for (float value : row)
    sum += std::exp(static_cast<double>(value) - maximum);
  return std::log(sum) + maximum -
         static_cast<double>(row[static_cast<size_t>(target)]);
}

/// Smallest index of the largest value; -1 if there is a NaN.
int64_t argmax(std::span<const float> row) {
  size_t best = 0;
  for (size_t i = 0; i < row.size(); ++i) {
    if (std::isnan(row[i]))
      return -1;
    if (row[i] > row[best])
      best = i;
  }
  return static_cast<int64_t>(best);
}

} // namespace

Result<std::vector<double>> Session::score(std::span<const int32_t> ids) {
  reset();
  auto count = static_cast<int64_t>(ids.size());
  if (Status status = state->checkIds(ids, 1, count, {}); !status)
    return status.error();
  std::vector<double> scores;
  if (count == 1)
    return scores;
  // What follows the last token is not asked for.
  Result<PaddedTokens> padded =
      state->pad(TokenBatch::single(ids.first(ids.size() - 1)));
  if (!padded)
    return padded.error();
  std::vector<float> row(static_cast<size_t>(state->vocabulary));
  Status status = state->forward(*padded, [&](const State::Chunk &chunk) {
    for (int64_t s = 0; s < chunk.count; ++s) {
      if (Status status = state->readRows(chunk.logits, s, 1, row.data());
          !status)
        return status;
      int64_t token = chunk.first + s + 1;
      double score =
          negativeLogLikelihood(row, ids[static_cast<size_t>(token)]);
      if (std::isnan(score))
        return Status(
            Error("the logits after token ", token - 1, " are not finite"));
      scores.push_back(score);
    }
    return success();
  });
  if (!status)
    return status.error();
  return scores;
}

Result<std::vector<std::vector<int32_t>>>
Session::generate(const TokenBatch &prompts, const GenerateOptions &options) {
  reset();
  if (options.maxNewTokens < 0)
    return Error("option 'maxNewTokens': expected at least 0, found ",
                 options.maxNewTokens);
  if (Status status = state->checkIds(prompts.ids, prompts.batch,
                                      prompts.length, prompts.lengths);
      !status)
    return status.error();
  auto batch = static_cast<size_t>(prompts.batch);
  auto vocabulary = static_cast<size_t>(state->vocabulary);
  std::vector<std::vector<int32_t>> output(batch);
  if (options.maxNewTokens == 0)
    return output;
  std::vector<int32_t> next(batch);
  std::vector<bool> finished(batch);
  Result<std::vector<float>> logits = append(prompts, Rows::Last);
  for (int64_t step = 1;; ++step) {
    if (!logits)
      return logits.error();
    for (size_t b = 0; b < batch; ++b) {
      // A finished sequence repeats its last token; nobody looks at it.
      if (finished[b])
        continue;
      int64_t best =
          argmax(std::span(*logits).subspan(b * vocabulary, vocabulary));
      if (best < 0) {
        reset();
        return Error("the logits of sequence ", b, " have a NaN at new token ",
                     step - 1);
      }
      next[b] = static_cast<int32_t>(best);
      output[b].push_back(next[b]);
      finished[b] = std::find(options.stopIds.begin(), options.stopIds.end(),
                              next[b]) != options.stopIds.end();
      if (options.onToken && !options.onToken(static_cast<int64_t>(b), next[b]))
        return output;
    }
    state->report("generate", step, options.maxNewTokens);
    if (step == options.maxNewTokens ||
        std::find(finished.begin(), finished.end(), false) == finished.end())
      return output;
    logits = append({next, prompts.batch, 1, {}}, Rows::Last);
  }
}
