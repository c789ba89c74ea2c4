//===- SessionTest.cpp - Tests of sessions ----------------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Guards chunked prefill, decode, padding, growing caches, scores, generation
// and the binding of weights, on a tiny model (FakeModel.h) whose definition is
// evaluated independently in float64, token by token, without cache, chunks or
// padding.
//
//===----------------------------------------------------------------------===//

#include "Ropewalk/Runtime/Session.h"

#include "FakeModel.h"

#include <cmath>

using namespace ropewalk::runtime;
using namespace ropewalk::runtime::test;

namespace {

constexpr float kBias = 0.03125f;

std::vector<int32_t> sequence(size_t length, int32_t seed = 3) {
  std::vector<int32_t> ids;
  for (size_t i = 0; i < length; ++i)
    ids.push_back(static_cast<int32_t>((seed + 5 * i + i * i / 3) % 7));
  return ids;
}

class SessionTest : public testing::Test {
protected:
  /// A session over the artifact with entries prefill and, unless told
  /// otherwise, decode.
  std::unique_ptr<Session> open(SessionOptions options = {},
                                bool withDecode = true, bool narrow = false) {
    defineModelKernels(fake);
    directory.write("manifest.json", modelManifest(withDecode));
    directory.write("kernels.ptx", "text");
    directory.write("model.safetensors", modelCheckpoint(narrow));
    auto program = ArtifactProgram::load(directory.path, makeFakeDevice(fake));
    EXPECT_TRUE(program) << messageOf(program);
    artifact = program ? program->get() : nullptr;
    return finish(program ? std::shared_ptr<Program>(std::move(*program))
                          : nullptr,
                  std::move(options));
  }

  std::unique_ptr<Session> openHost(SessionOptions options = {},
                                    bool narrow = false) {
    directory.write("model.safetensors", modelCheckpoint(narrow));
    auto program = std::make_shared<HostModel>();
    host = program.get();
    return finish(std::move(program), std::move(options));
  }

  std::unique_ptr<Session> finish(std::shared_ptr<Program> program,
                                  SessionOptions options) {
    Result<Checkpoint> opened = Checkpoint::open(directory.path);
    EXPECT_TRUE(opened) << messageOf(opened);
    checkpoint = *opened;
    auto session =
        Session::create(std::move(program), *opened, std::move(options));
    EXPECT_TRUE(session) << messageOf(session);
    if (!session)
      return nullptr;
    int64_t shape[] = {1};
    Status status =
        (*session)->setParameter("bias", ElementType::F32, shape, &kBias);
    EXPECT_TRUE(status) << messageOf(status);
    return std::move(*session);
  }

  FakeState fake;
  TemporaryDirectory directory;
  ArtifactProgram *artifact = nullptr;
  HostModel *host = nullptr;
  std::optional<Checkpoint> checkpoint;
};

/// The rows of `actual` beginning at `row` are the reference's rows
/// [first, first + count).
void expectRows(const std::vector<float> &actual, size_t row,
                const std::vector<int32_t> &ids, size_t first, size_t count) {
  std::vector<double> expected = referenceLogits(ids, kBias);
  ASSERT_LE((row + count) * 7, actual.size());
  for (size_t i = 0; i < count * 7; ++i)
    ASSERT_NEAR(actual[row * 7 + i], expected[first * 7 + i],
                1e-4 * (1 + std::abs(expected[first * 7 + i])))
        << "row " << i / 7 << " column " << i % 7;
}

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

//===----------------------------------------------------------------------===//
// Weights
//===----------------------------------------------------------------------===//

/// On host memory a weight of the right type is the mapped file itself.
TEST_F(SessionTest, MapsWeightsInPlace) {
  auto session = openHost();
  ASSERT_TRUE(session->logits(TokenBatch::single(sequence(3))));
  EXPECT_EQ(host->embeddingAddress,
            reinterpret_cast<uintptr_t>(checkpoint->find("embedding")->data));
  EXPECT_EQ(session->memory().mappedWeights, 56u);
  EXPECT_EQ(session->memory().weights, 0u);
}

TEST_F(SessionTest, ConvertsWeights) {
  std::vector<int32_t> ids = sequence(6);
  auto session = openHost({}, /*narrow=*/true);
  Result<std::vector<float>> logits = session->logits(TokenBatch::single(ids));
  ASSERT_TRUE(logits) << messageOf(logits);
  expectRows(*logits, 0, ids, 0, 6);
  EXPECT_EQ(session->memory().mappedWeights, 0u);
  EXPECT_EQ(session->memory().weights, 56u);

  session = open({}, true, /*narrow=*/true);
  logits = session->logits(TokenBatch::single(ids));
  ASSERT_TRUE(logits) << messageOf(logits);
  expectRows(*logits, 0, ids, 0, 6);
}

/// Both entries share one upload.
TEST_F(SessionTest, UploadsWeightsOnce) {
  auto session = open();
  EXPECT_EQ(fake.bytesIn, 56u + sizeof(kBias));
  EXPECT_EQ(session->memory().weights, 56u);
}

/// A file may place a tensor at an odd address.
TEST_F(SessionTest, CopiesUnalignedWeights) {
  directory.write(
      "model.safetensors",
      safeTensors({{"pad", "U8", {1}, "x"},
                   {"embedding", "F32", {7, 1}, bytesOf(kEmbedding)},
                   {"head", "F32", {7}, bytesOf(kHead)}}));
  auto session = finish(std::make_shared<HostModel>(), {});
  EXPECT_EQ(session->memory().weights, 56u);
  std::vector<int32_t> ids = sequence(4);
  Result<std::vector<float>> logits = session->logits(TokenBatch::single(ids));
  ASSERT_TRUE(logits) << messageOf(logits);
  expectRows(*logits, 0, ids, 0, 4);
}

TEST_F(SessionTest, RefusesWrongWeights) {
  struct Case {
    std::vector<TestTensor> tensors;
    std::string message;
  } cases[] = {
      {{{"embedding", "F32", {7, 1}, bytesOf(kEmbedding)}},
       ": the checkpoint has no tensor 'head'"},
      {{{"embedding", "F32", {7}, bytesOf(kEmbedding)},
        {"head", "F32", {7}, bytesOf(kHead)}},
       ": tensor 'embedding': the program takes shape [7, 1], found [7]"},
      {{{"embedding", "I32", {7, 1}, bytesOf(kEmbedding)},
        {"head", "F32", {7}, bytesOf(kHead)}},
       ": tensor 'embedding': the program takes f32, found i32, which is not "
       "converted (only f16 and bf16 to f32 are)"},
  };
  for (const Case &test : cases) {
    directory.write("model.safetensors", safeTensors(test.tensors));
    Result<Checkpoint> opened = Checkpoint::open(directory.path);
    ASSERT_TRUE(opened) << messageOf(opened);
    EXPECT_EQ(
        messageOf(Session::create(std::make_shared<HostModel>(), *opened)),
        directory.path + test.message);
  }
  EXPECT_EQ(messageOf(Session::create(std::make_shared<HostModel>())),
            "entry 'forward' takes the weight 'embedding', but no checkpoint "
            "is given");
}

//===----------------------------------------------------------------------===//
// Refusals
//===----------------------------------------------------------------------===//

TEST_F(SessionTest, RefusesBadTokens) {
  auto session = open();
  std::vector<int32_t> ids = {0, 1, 2, 3, 7, 5};
  EXPECT_EQ(messageOf(session->logits({ids, 2, 3, {}})),
            "ids[1, 1] is 7, expected 0 to 6");
  EXPECT_EQ(messageOf(session->score(ids)), "ids[0, 4] is 7, expected 0 to 6");
  EXPECT_EQ(messageOf(session->generate({ids, 2, 3, {}}, {})),
            "ids[1, 1] is 7, expected 0 to 6");
  ids[4] = -1;
  EXPECT_EQ(messageOf(session->append({ids, 2, 3, {}})),
            "ids[1, 1] is -1, expected 0 to 6");
  // What lies behind a row's length is not looked at.
  std::vector<int64_t> lengths = {3, 1};
  EXPECT_TRUE(session->logits({ids, 2, 3, lengths}));
  lengths = {3, 4};
  EXPECT_EQ(messageOf(session->logits({ids, 2, 3, lengths})),
            "lengths[1] is 4, expected 1 to 3");
  lengths = {0, 1};
  EXPECT_EQ(messageOf(session->logits({ids, 2, 3, lengths})),
            "lengths[0] is 0, expected 1 to 3");
  lengths = {1};
  EXPECT_EQ(messageOf(session->logits({ids, 2, 3, lengths})),
            "lengths: expected 2 values, found 1");
  EXPECT_EQ(messageOf(session->logits({ids, 2, 4, {}})),
            "ids: shape [2, 4] does not match 6 ids");
  EXPECT_EQ(messageOf(session->logits({ids, 0, 4, {}})),
            "ids: expected at least one sequence and one token, found shape "
            "[0, 4]");
  EXPECT_EQ(messageOf(session->score({})),
            "ids: expected at least one sequence and one token, found shape "
            "[1, 0]");
}

TEST_F(SessionTest, RefusesBadContinuations) {
  auto session = open();
  std::vector<int32_t> ids = {0, 1, 2, 3};
  std::vector<int64_t> lengths = {2, 1};
  ASSERT_TRUE(session->append({ids, 2, 2, lengths}));
  EXPECT_EQ(messageOf(session->append({ids, 1, 4, {}})),
            "ids: expected 2 sequences as in the calls before, found 1");
  EXPECT_EQ(messageOf(session->append({ids, 2, 2, lengths})),
            "lengths: only the first tokens of a sequence may be padded");
  // A refused call leaves the sequence as it was.
  EXPECT_EQ(session->length(), 2);
  EXPECT_TRUE(session->append({ids, 2, 2, {}}));
}

TEST_F(SessionTest, RefusesLongSequences) {
  class Small final : public Program {
  public:
    std::span<const EntrySignature> entries() const override {
      return model.entries();
    }
    std::string deviceName() const override { return "small"; }
    int64_t maximumCapacity() const override { return 10; }
    bool isHostMemory() const override { return true; }
    Result<uint64_t> allocate(size_t bytes) override {
      return model.allocate(bytes);
    }
    Status release(uint64_t a) override { return model.release(a); }
    Status write(uint64_t d, const void *s, size_t n) override {
      return model.write(d, s, n);
    }
    Status read(void *d, uint64_t s, size_t n) override {
      return model.read(d, s, n);
    }
    Status copy(uint64_t d, uint64_t s, size_t n) override {
      return model.copy(d, s, n);
    }
    Status fill(uint64_t d, uint8_t v, size_t n) override {
      return model.fill(d, v, n);
    }
    Result<std::vector<TensorView>>
    run(size_t index, std::span<const TensorView> arguments) override {
      return model.run(index, arguments);
    }
    HostModel model;
  };
  directory.write("model.safetensors", modelCheckpoint());
  auto session = finish(std::make_shared<Small>(), {.capacity = 8});
  ASSERT_TRUE(session->logits(TokenBatch::single(sequence(10))));
  EXPECT_EQ(session->capacity(), 10);
  EXPECT_EQ(messageOf(session->logits(TokenBatch::single(sequence(11)))),
            "the sequence needs 11 slots, the program has at most 10");
  EXPECT_EQ(messageOf(Session::create(std::make_shared<Small>(), *checkpoint)),
            "option 'capacity': expected 1 to 10, found 512");
  EXPECT_EQ(messageOf(Session::create(std::make_shared<Small>(), *checkpoint,
                                      {.capacity = 1, .chunk = 0})),
            "option 'chunk': expected at least 1, found 0");
}

TEST_F(SessionTest, ChecksParameters) {
  directory.write("model.safetensors", modelCheckpoint());
  Result<Checkpoint> opened = Checkpoint::open(directory.path);
  ASSERT_TRUE(opened) << messageOf(opened);
  auto model = std::make_shared<HostModel>();
  model->signature.arguments.push_back(
      {.name = "group",
       .kind = ArgumentKind::Parameter,
       .type = ElementType::I64,
       .shape = {Expression::symbol("B"), Expression::constant(2)},
       .minimum = 1});
  auto session = Session::create(model, *opened);
  ASSERT_TRUE(session) << messageOf(session);
  EXPECT_EQ(messageOf((*session)->logits(TokenBatch::single(sequence(3)))),
            "parameter 'bias' has not been set");
  int64_t one[] = {1}, pair[] = {1, 2}, wrong[] = {1, 3};
  float bias = 0;
  ASSERT_TRUE((*session)->setParameter("bias", ElementType::F32, one, &bias));
  int64_t groups[] = {8, 1};
  EXPECT_TRUE(
      (*session)->setParameter("group", ElementType::I64, pair, groups));
  EXPECT_TRUE((*session)->logits(TokenBatch::single(sequence(3))));
  EXPECT_EQ(messageOf((*session)->setParameter("group", ElementType::I64, wrong,
                                               groups)),
            "parameter 'group': expected shape [B, 2], found [1, 3]");
  EXPECT_EQ(messageOf((*session)->setParameter("group", ElementType::I32, pair,
                                               groups)),
            "parameter 'group': expected elements of type i64, found i32");
  groups[1] = 0;
  EXPECT_EQ(messageOf((*session)->setParameter("group", ElementType::I64, pair,
                                               groups)),
            "parameter 'group': element 1 is 0, expected 1 to 16777215");
  groups[1] = 1 << 24;
  EXPECT_EQ(messageOf((*session)->setParameter("group", ElementType::I64, pair,
                                               groups)),
            "parameter 'group': element 1 is 16777216, expected 1 to 16777215");
  EXPECT_EQ(messageOf((*session)->setParameter("window", ElementType::I64, pair,
                                               groups)),
            "the program has no parameter 'window'");
  // One row of parameters does not serve two sequences.
  std::vector<int32_t> ids = {1, 2};
  EXPECT_EQ(messageOf((*session)->logits({ids, 2, 1, {}})),
            "entry 'forward', argument 'group', dimension 0: expected 2 (B), "
            "found 1");
}

/// Programs that do not follow the convention are refused when the session is
/// made.
TEST_F(SessionTest, RefusesOtherPrograms) {
  directory.write("model.safetensors", modelCheckpoint());
  Result<Checkpoint> opened = Checkpoint::open(directory.path);
  ASSERT_TRUE(opened) << messageOf(opened);
  auto refuse = [&](auto change) {
    auto model = std::make_shared<HostModel>();
    change(model->signature);
    return messageOf(Session::create(model, *opened));
  };
  EXPECT_EQ(refuse([](EntrySignature &s) { s.name = "attention"; }),
            "the program has none of the entries prefill, decode and forward; "
            "it has: attention");
  EXPECT_EQ(refuse([](EntrySignature &s) { s.arguments[2].name = "mask"; }),
            "entry 'forward' takes the input 'mask', which a session does not "
            "have (it has ids, query_offset and position_offset)");
  EXPECT_EQ(refuse([](EntrySignature &s) {
              s.arguments.erase(s.arguments.begin() + 1);
            }),
            "entry 'forward' has no input 'query_offset'");
  EXPECT_EQ(
      refuse([](EntrySignature &s) { s.arguments[0].type = ElementType::I64; }),
      "entry 'forward', input 'ids': expected i32 with 2 dimensions, "
      "found i64 with 2");
  EXPECT_EQ(refuse([](EntrySignature &s) { s.results[0].name = "hidden"; }),
            "entry 'forward' has no result 'logits'");
  EXPECT_EQ(refuse([](EntrySignature &s) {
              s.results[0].shape[2] = Expression::symbol("C");
            }),
            "entry 'forward', result 'logits': expected f32 [B, S, V] with a "
            "constant V");
  EXPECT_EQ(refuse([](EntrySignature &s) {
              s.arguments[3].shape[2] = Expression::constant(64);
            }),
            "entry 'forward', cache 'cache': its shape has no symbol for the "
            "capacity");
  EXPECT_EQ(refuse([](EntrySignature &s) {
              s.arguments[3].shape[1] = Expression::symbol("H");
            }),
            "entry 'forward', cache 'cache': its shape has the symbols 'H' and "
            "'C', expected only the capacity");
  EXPECT_EQ(messageOf(Session::create(nullptr, *opened)),
            "a session needs a program");

  // Padding needs positions.
  auto model = std::make_shared<HostModel>();
  model->signature.arguments.erase(model->signature.arguments.begin() + 2);
  auto session = Session::create(model, *opened);
  ASSERT_TRUE(session) << messageOf(session);
  std::vector<int32_t> ids = {1, 2, 3, 4};
  std::vector<int64_t> lengths = {2, 1};
  EXPECT_EQ(messageOf((*session)->logits({ids, 2, 2, lengths})),
            "sequences of unequal length need the input 'position_offset', "
            "which entry 'forward' does not have");
}

/// A failing device leaves a session that can be used again.
TEST_F(SessionTest, SurvivesFailures) {
  auto session = open({.capacity = 4});
  std::vector<int32_t> ids = sequence(6);
  for (const char *function :
       {"alloc", "fill", "launch", "copy_out", "synchronize"}) {
    fake.failing = function;
    Result<std::vector<float>> logits =
        session->logits(TokenBatch::single(ids));
    EXPECT_FALSE(logits) << function;
    EXPECT_EQ(session->length(), 0);
    fake.failing.clear();
    logits = session->logits(TokenBatch::single(ids));
    ASSERT_TRUE(logits) << function << ": " << messageOf(logits);
    expectRows(*logits, 0, ids, 0, 6);
    // Next time there is something to allocate again.
    session.reset();
    session = open({.capacity = 4});
  }
  // In the middle of growing.
  ASSERT_TRUE(session->append(TokenBatch::single(std::span(ids).first(4))));
  fake.failing = "copy";
  EXPECT_EQ(
      messageOf(session->append(TokenBatch::single(std::span(ids).subspan(4)))),
      "cache 'cache': cannot copy 48 bytes on the device: it broke");
  fake.failing.clear();
  Result<std::vector<float>> logits = session->logits(TokenBatch::single(ids));
  ASSERT_TRUE(logits) << messageOf(logits);
  expectRows(*logits, 0, ids, 0, 6);
}

} // namespace
