//===- SessionSetupTest.cpp - Tests of what sessions take and refuse *- C++
//-*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Guards how weights reach a program (in place, converted, uploaded once) and
// that wrong checkpoints, programs, parameters and tokens are refused with a
// message that says what was expected.
//
//===----------------------------------------------------------------------===//

#include "SessionFixture.h"

using namespace ropewalk::runtime;
using namespace ropewalk::runtime::test;

namespace {

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
