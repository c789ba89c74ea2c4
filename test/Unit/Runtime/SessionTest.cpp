//===- SessionTest.cpp - Tests of sessions ----------------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Guards chunked prefill, decode, padding, growing caches, scores and
// generation, on a tiny model (FakeModel.h) whose definition is
// evaluated independently in float64, token by token, without cache, chunks or
// padding.
//
//===----------------------------------------------------------------------===//

#include "SessionFixture.h"

using namespace ropewalk::runtime;
using namespace ropewalk::runtime::test;

namespace {

//===----------------------------------------------------------------------===//
// Logits
//===----------------------------------------------------------------------===//

TEST_F(SessionTest, LogitsOfOneSequence) {
  auto session = open();
  EXPECT_EQ(session->vocabularySize(), 7);
  std::vector<int32_t> ids = sequence(20);
  Result<std::vector<float>> logits = session->logits(TokenBatch::single(ids));
  ASSERT_TRUE(logits) << messageOf(logits);
  ASSERT_EQ(logits->size(), 20u * 7);
  expectRows(*logits, 0, ids, 0, 20);
  EXPECT_EQ(session->length(), 20);
  // Another sequence is not influenced by the one before.
  std::vector<int32_t> other = sequence(5, 1);
  logits = session->logits(TokenBatch::single(other));
  ASSERT_TRUE(logits) << messageOf(logits);
  expectRows(*logits, 0, other, 0, 5);
}

/// Chunks do not change the result, and one token goes to "decode".
TEST_F(SessionTest, ChunksAndEntries) {
  std::vector<int32_t> ids = sequence(13);
  auto session = open({.chunk = 4});
  fake.launches.clear();
  Result<std::vector<float>> logits = session->logits(TokenBatch::single(ids));
  ASSERT_TRUE(logits) << messageOf(logits);
  expectRows(*logits, 0, ids, 0, 13);
  // 4 + 4 + 4 + 1 tokens, three launches each.
  EXPECT_EQ(fake.launches.size(), 12u);
  ASSERT_NE(artifact->lastPlan(0), nullptr);
  ASSERT_NE(artifact->lastPlan(1), nullptr);
  EXPECT_EQ(*artifact->lastPlan(0)->sizes.find("S"), 4);

  // Without "decode", "prefill" takes single tokens too.
  session.reset();
  session = open({.chunk = 4}, /*withDecode=*/false);
  logits = session->logits(TokenBatch::single(ids));
  ASSERT_TRUE(logits) << messageOf(logits);
  expectRows(*logits, 0, ids, 0, 13);

  // "forward" takes everything.
  session = openHost({.chunk = 4});
  logits = session->logits(TokenBatch::single(ids));
  ASSERT_TRUE(logits) << messageOf(logits);
  expectRows(*logits, 0, ids, 0, 13);
  EXPECT_EQ(host->lengths, (std::vector<int64_t>{4, 4, 4, 1}));
}

/// A program with nothing but "decode" gets the tokens one by one.
TEST_F(SessionTest, DecodeAlone) {
  auto model = std::make_shared<HostModel>();
  model->signature.name = "decode";
  directory.write("model.safetensors", modelCheckpoint());
  auto session = finish(model, {});
  std::vector<int32_t> ids = sequence(3);
  Result<std::vector<float>> logits = session->logits(TokenBatch::single(ids));
  ASSERT_TRUE(logits) << messageOf(logits);
  expectRows(*logits, 0, ids, 0, 3);
  EXPECT_EQ(model->lengths, (std::vector<int64_t>{1, 1, 1}));
}

/// Unequal lengths are padded inside: every row is as if it were alone, and
/// stands where the caller's tokens stand.
TEST_F(SessionTest, BatchOfUnequalLengths) {
  for (int64_t chunk : {1, 2, 3, 100}) {
    auto session = open({.chunk = chunk});
    std::vector<std::vector<int32_t>> rows = {sequence(3, 2), sequence(7, 5),
                                              sequence(1, 4)};
    std::vector<int64_t> lengths = {3, 7, 1};
    std::vector<int32_t> ids(3 * 9, 6);
    for (size_t b = 0; b < 3; ++b)
      std::copy(rows[b].begin(), rows[b].end(),
                ids.begin() + static_cast<ptrdiff_t>(b) * 9);
    Result<std::vector<float>> logits = session->logits({ids, 3, 9, lengths});
    ASSERT_TRUE(logits) << messageOf(logits);
    ASSERT_EQ(logits->size(), 3u * 9 * 7);
    for (size_t b = 0; b < 3; ++b) {
      expectRows(*logits, b * 9, rows[b], 0, rows[b].size());
      for (size_t i = (b * 9 + rows[b].size()) * 7; i < (b + 1) * 9 * 7; ++i)
        ASSERT_EQ((*logits)[i], 0.0f);
    }
    EXPECT_EQ(session->length(), 7);
  }
}

//===----------------------------------------------------------------------===//
// Step by step
//===----------------------------------------------------------------------===//

TEST_F(SessionTest, AppendContinues) {
  auto session = open();
  std::vector<int32_t> ids = sequence(12);
  std::span<const int32_t> all = ids;
  Result<std::vector<float>> logits =
      session->append(TokenBatch::single(all.first(5)));
  ASSERT_TRUE(logits) << messageOf(logits);
  ASSERT_EQ(logits->size(), 7u);
  expectRows(*logits, 0, ids, 4, 1);
  logits = session->append(TokenBatch::single(all.subspan(5, 1)),
                           Session::Rows::None);
  ASSERT_TRUE(logits) << messageOf(logits);
  EXPECT_TRUE(logits->empty());
  logits =
      session->append(TokenBatch::single(all.subspan(6)), Session::Rows::All);
  ASSERT_TRUE(logits) << messageOf(logits);
  expectRows(*logits, 0, ids, 6, 6);
  EXPECT_EQ(session->length(), 12);

  // Going back overwrites what followed.
  ASSERT_TRUE(session->truncate(4));
  std::vector<int32_t> branch(ids.begin(), ids.begin() + 4);
  branch.push_back(6);
  logits = session->append(TokenBatch::single(std::span(branch).last(1)));
  ASSERT_TRUE(logits) << messageOf(logits);
  expectRows(*logits, 0, branch, 4, 1);
  EXPECT_EQ(messageOf(session->truncate(6)),
            "cannot go back to slot 6, the sequence has 5");
  session->reset();
  EXPECT_EQ(session->length(), 0);
}

/// Growing keeps the contents of all rows of all heads.
TEST_F(SessionTest, CachesGrow) {
  auto session = open({.capacity = 4});
  std::vector<int32_t> a = sequence(40, 1), b = sequence(40, 2);
  EXPECT_EQ(session->capacity(), 0);
  std::vector<int64_t> capacities;
  for (size_t i = 0; i < 40; ++i) {
    std::vector<int32_t> pair = {a[i], b[i]};
    Result<std::vector<float>> logits = session->append({pair, 2, 1, {}});
    ASSERT_TRUE(logits) << messageOf(logits);
    expectRows(*logits, 0, a, i, 1);
    expectRows(*logits, 1, b, i, 1);
    if (capacities.empty() || capacities.back() != session->capacity())
      capacities.push_back(session->capacity());
  }
  EXPECT_EQ(capacities, (std::vector<int64_t>{4, 8, 16, 32, 64}));
  MemoryReport memory = session->memory();
  EXPECT_EQ(memory.caches, 2u * 2 * 64 * 3 * 4);
  EXPECT_EQ(memory.cachePerToken, 2u * 3 * 4);
  // A new sequence keeps the room, another batch size does not.
  session->reset();
  ASSERT_TRUE(session->append(TokenBatch::single(a)));
  EXPECT_EQ(session->capacity(), 64);
  EXPECT_EQ(session->memory().caches, 2u * 64 * 3 * 4);
}

/// Kernels read whole tiles of keys and mask what is not there; a NaN in fresh
/// memory would survive the mask.
TEST_F(SessionTest, UnusedSlotsAreZero) {
  auto session = open({.capacity = 4});
  auto attendKernel = fake.kernels["attend"];
  int64_t unused = 0;
  fake.kernels["attend"] = [&](const FakeLaunch &l) {
    int64_t capacity = l.scalar<int64_t>(2);
    int64_t length = l.pointer<int64_t>(3)[0] + l.scalar<int32_t>(1);
    for (int64_t h = 0; h < kHeads; ++h)
      for (int64_t i = length * kHeadSize; i < capacity * kHeadSize; ++i) {
        ASSERT_EQ(l.pointer<float>(5)[h * capacity * kHeadSize + i], 0.0f);
        ++unused;
      }
    attendKernel(l);
  };
  std::vector<int32_t> ids = sequence(9);
  for (size_t i = 0; i < ids.size(); i += 3)
    ASSERT_TRUE(
        session->append(TokenBatch::single(std::span(ids).subspan(i, 3))));
  // Three runs with 4, 8 and 16 slots.
  EXPECT_EQ(unused, kHeads * kHeadSize * (1 + 2 + 7));
}

TEST_F(SessionTest, FreesItsMemory) {
  auto session = open({.capacity = 2});
  ASSERT_TRUE(session->logits(TokenBatch::single(sequence(9))));
  EXPECT_FALSE(fake.allocations.empty());
  session.reset();
  EXPECT_TRUE(fake.destroyed);
  EXPECT_TRUE(fake.allocations.empty());
}

//===----------------------------------------------------------------------===//
// Scores
//===----------------------------------------------------------------------===//

TEST_F(SessionTest, Score) {
  std::vector<int32_t> ids = sequence(11);
  std::vector<double> logits = referenceLogits(ids, kBias);
  for (int64_t chunk : {1, 3, 100}) {
    auto session = open({.chunk = chunk});
    Result<std::vector<double>> scores = session->score(ids);
    ASSERT_TRUE(scores) << messageOf(scores);
    ASSERT_EQ(scores->size(), 10u);
    for (size_t t = 0; t < 10; ++t) {
      double sum = 0;
      for (size_t v = 0; v < 7; ++v)
        sum += std::exp(logits[t * 7 + v]);
      double expected =
          std::log(sum) - logits[t * 7 + static_cast<size_t>(ids[t + 1])];
      EXPECT_NEAR((*scores)[t], expected, 1e-4 * (1 + expected)) << t;
    }
  }
  auto session = open();
  Result<std::vector<double>> one = session->score(std::span(ids).first(1));
  ASSERT_TRUE(one) << messageOf(one);
  EXPECT_TRUE(one->empty());
}

/// Large logits must not overflow on the way, NaN must not become a score.
TEST_F(SessionTest, ScoreOfExtremeLogits) {
  auto session = open();
  float bias = 1e30f;
  int64_t shape[] = {1};
  ASSERT_TRUE(session->setParameter("bias", ElementType::F32, shape, &bias));
  std::vector<int32_t> ids = {0, 6, 6};
  Result<std::vector<double>> scores = session->score(ids);
  ASSERT_TRUE(scores) << messageOf(scores);
  EXPECT_EQ(*scores, (std::vector<double>{0, 0}));
  bias = std::nanf("");
  ASSERT_TRUE(session->setParameter("bias", ElementType::F32, shape, &bias));
  EXPECT_EQ(messageOf(session->score(ids)),
            "the logits after token 0 are not finite");
  EXPECT_EQ(messageOf(session->generate(TokenBatch::single(ids), {})),
            "the logits of sequence 0 have a NaN at new token 0");
  EXPECT_EQ(session->length(), 0);
}

//===----------------------------------------------------------------------===//
// Generation
//===----------------------------------------------------------------------===//

/// Greedy continuation by the definition.
std::vector<int32_t> referenceGenerate(std::vector<int32_t> ids, int64_t count,
                                       int32_t stop) {
  std::vector<int32_t> output;
  while (static_cast<int64_t>(output.size()) < count) {
    std::vector<double> logits = referenceLogits(ids, kBias);
    auto row = logits.end() - 7;
    auto next = static_cast<int32_t>(std::max_element(row, logits.end()) - row);
    ids.push_back(next);
    output.push_back(next);
    if (next == stop)
      break;
  }
  return output;
}

TEST_F(SessionTest, GenerateBatch) {
  auto session = open({.capacity = 8, .chunk = 3});
  std::vector<std::vector<int32_t>> prompts = {{1, 1, 4}, {2, 0, 5, 5, 6}, {4}};
  std::vector<int32_t> ids(3 * 5);
  std::vector<int64_t> lengths;
  for (size_t b = 0; b < 3; ++b) {
    std::copy(prompts[b].begin(), prompts[b].end(),
              ids.begin() + static_cast<ptrdiff_t>(b) * 5);
    lengths.push_back(static_cast<int64_t>(prompts[b].size()));
  }
  std::vector<std::vector<int32_t>> streamed(3);
  GenerateOptions options;
  options.maxNewTokens = 9;
  options.onToken = [&](int64_t b, int32_t token) {
    streamed[static_cast<size_t>(b)].push_back(token);
    return true;
  };
  auto output = session->generate({ids, 3, 5, lengths}, options);
  ASSERT_TRUE(output) << messageOf(output);
  for (size_t b = 0; b < 3; ++b)
    EXPECT_EQ((*output)[b], referenceGenerate(prompts[b], 9, -1)) << b;
  EXPECT_EQ(streamed, *output);
}

TEST_F(SessionTest, GenerateStops) {
  auto session = open();
  std::vector<std::vector<int32_t>> prompts = {{1, 1, 4}, {2, 0, 5}};
  std::vector<int32_t> ids = {1, 1, 4, 2, 0, 5};
  // The first token of the second sequence ends it at once.
  int32_t stop = referenceGenerate(prompts[1], 1, -1)[0];
  GenerateOptions options;
  options.maxNewTokens = 6;
  options.stopIds = {stop};
  auto output = session->generate({ids, 2, 3, {}}, options);
  ASSERT_TRUE(output) << messageOf(output);
  EXPECT_EQ((*output)[0], referenceGenerate(prompts[0], 6, stop));
  EXPECT_EQ((*output)[1], std::vector<int32_t>{stop});
  EXPECT_GT((*output)[0].size(), 1u) << "the sequences end together, which "
                                        "tests nothing: change the prompts";

  // A callback can end it.
  int calls = 0;
  options.onToken = [&](int64_t, int32_t) { return ++calls < 2; };
  options.stopIds.clear();
  output = session->generate({ids, 2, 3, {}}, options);
  ASSERT_TRUE(output) << messageOf(output);
  EXPECT_EQ(calls, 2);
  EXPECT_EQ((*output)[0].size() + (*output)[1].size(), 2u);

  options.maxNewTokens = 0;
  output = session->generate({ids, 2, 3, {}}, options);
  ASSERT_TRUE(output) << messageOf(output);
  EXPECT_TRUE((*output)[0].empty());
  options.maxNewTokens = -1;
  EXPECT_EQ(messageOf(session->generate({ids, 2, 3, {}}, options)),
            "option 'maxNewTokens': expected at least 0, found -1");
}

TEST_F(SessionTest, ProgressAndCancel) {
  std::atomic<bool> cancel = false;
  std::vector<std::string> seen;
  SessionOptions options;
  options.chunk = 4;
  options.cancel = &cancel;
  options.progress = [&](const Progress &p) {
    seen.push_back(concat(p.stage, " ", p.done, "/", p.total));
    if (p.stage == "prefill" && p.done == 8)
      cancel = true;
  };
  auto session = open(options);
  EXPECT_EQ(messageOf(session->logits(TokenBatch::single(sequence(10)))),
            "cancelled");
  EXPECT_EQ(seen, (std::vector<std::string>{"weights 28/56", "weights 56/56",
                                            "prefill 4/10", "prefill 8/10"}));
  EXPECT_EQ(session->length(), 0);
  cancel = false;
  EXPECT_TRUE(session->logits(TokenBatch::single(sequence(7))));
  cancel = true;
  seen.clear();
  EXPECT_EQ(messageOf(Session::create(std::make_shared<HostModel>(),
                                      *checkpoint, options)),
            "cancelled");
}

} // namespace
