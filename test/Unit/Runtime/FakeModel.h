//===- FakeModel.h - A tiny language model with a cache ---------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Small enough to be computed by hand and sensitive to everything that a
// session has to get right: which tokens are in the cache, at which slots and
// positions, what is padding, and every weight. Each head h and dimension d of
// the cache's slot j holds (h + 1) * (d + 1) * embedding[id_j], and
//
//   context(i) = sum over slots j <= i with p_j >= 0 of
//                  (p_j + 1) * sum_{h,d} cache[h, j, d] / 18
//   logits(i, v) = context(i) * head[v] + bias * (p_i + 1) * v
//
// where p = slot + position_offset and bias is a run-time parameter. It exists
// as kernels of an artifact and as a host program.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_TEST_UNIT_RUNTIME_FAKEMODEL_H
#define ROPEWALK_TEST_UNIT_RUNTIME_FAKEMODEL_H

#include "FakeDevice.h"
#include "Support.h"

#include "Ropewalk/Runtime/SafeTensors.h"

namespace ropewalk::runtime::test {

inline constexpr int64_t kVocabulary = 7, kHeads = 2, kHeadSize = 3;
inline const std::vector<float> kEmbedding = {0.5f,  -1.0f, 2.0f, 0.25f,
                                              -0.5f, 1.5f,  1.0f};
inline const std::vector<float> kHead = {0.5f,  -0.25f, 0.125f, 1.0f,
                                         -1.0f, 0.75f,  0.0f};

/// The definition, for one sequence: f64 [S, V].
inline std::vector<double> referenceLogits(const std::vector<int32_t> &ids,
                                           double bias) {
  std::vector<double> logits;
  double context = 0;
  for (size_t i = 0; i < ids.size(); ++i) {
    context += (static_cast<double>(i) + 1) *
               static_cast<double>(kEmbedding[static_cast<size_t>(ids[i])]);
    for (size_t v = 0; v < kHead.size(); ++v)
      logits.push_back(context * static_cast<double>(kHead[v]) +
                       bias * static_cast<double>((i + 1) * v));
  }
  return logits;
}

struct ModelSizes {
  int64_t batch, length, capacity;
};

inline void appendTokens(ModelSizes n, const int32_t *ids,
                         const int64_t *queryOffset, const float *embedding,
                         float *cache) {
  for (int64_t b = 0; b < n.batch; ++b)
    for (int64_t h = 0; h < kHeads; ++h)
      for (int64_t s = 0; s < n.length; ++s)
        for (int64_t d = 0; d < kHeadSize; ++d)
          cache[((b * kHeads + h) * n.capacity + queryOffset[b] + s) *
                    kHeadSize +
                d] = static_cast<float>((h + 1) * (d + 1)) *
                     embedding[ids[b * n.length + s]];
}

inline void attend(ModelSizes n, const int64_t *queryOffset,
                   const int64_t *positionOffset, const float *cache,
                   float *context) {
  for (int64_t b = 0; b < n.batch; ++b)
    for (int64_t s = 0; s < n.length; ++s) {
      float sum = 0;
      for (int64_t j = 0; j <= queryOffset[b] + s; ++j) {
        int64_t position = j + positionOffset[b];
        if (position < 0)
          continue;
        for (int64_t h = 0; h < kHeads; ++h)
          for (int64_t d = 0; d < kHeadSize; ++d)
            sum += static_cast<float>(position + 1) *
                   cache[((b * kHeads + h) * n.capacity + j) * kHeadSize + d] /
                   18;
      }
      context[b * n.length + s] = sum;
    }
}

inline void project(ModelSizes n, const int64_t *queryOffset,
                    const int64_t *positionOffset, const float *context,
                    const float *head, const float *bias, float *logits) {
  for (int64_t b = 0; b < n.batch; ++b)
    for (int64_t s = 0; s < n.length; ++s)
      for (int64_t v = 0; v < kVocabulary; ++v) {
        int64_t position = queryOffset[b] + s + positionOffset[b];
        logits[(b * n.length + s) * kVocabulary + v] =
            context[b * n.length + s] * head[v] +
            bias[0] * static_cast<float>((position + 1) * v);
      }
}

/// Tensors of the model's checkpoint in f32, or in bf16 (all its values are
/// exact in both).
inline std::string modelCheckpoint(bool narrow = false) {
  auto encode = [&](const std::vector<float> &values) {
    if (!narrow)
      return bytesOf(values);
    std::vector<uint16_t> bits;
    for (float value : values)
      bits.push_back(floatToBfloat(value));
    return bytesOf(bits);
  };
  const char *type = narrow ? "BF16" : "F32";
  return safeTensors({{"embedding", type, {kVocabulary, 1}, encode(kEmbedding)},
                      {"head", type, {kVocabulary}, encode(kHead)}});
}

//===----------------------------------------------------------------------===//
// As an artifact
//===----------------------------------------------------------------------===//

/// An entry of the manifest; `length` is the text of its S dimension.
inline std::string modelEntry(const std::string &name,
                              const std::string &length,
                              const std::string &sizes) {
  return R"json({"name":")json" + name + R"json(","sizes":[)json" + sizes +
         R"json(],
    "arguments":[
      {"name":"ids","kind":"input","type":"i32","shape":["B",)json" +
         length + R"json(]},
      {"name":"query_offset","kind":"input","type":"i64","shape":["B"]},
      {"name":"position_offset","kind":"input","type":"i64","shape":["B"]},
      {"name":"cache","kind":"cache","type":"f32","shape":["B",2,"C",3],
       "updated":true},
      {"name":"embedding","kind":"weight","type":"f32","shape":[7,1]},
      {"name":"head","kind":"weight","type":"f32","shape":[7]},
      {"name":"bias","kind":"parameter","type":"f32","shape":[1]}],
    "results":[{"name":"logits","type":"f32","shape":["B",)json" +
         length + R"json(,7],"buffer":8}],
    "buffers":[{"argument":"ids"},{"argument":"query_offset"},
      {"argument":"position_offset"},{"argument":"cache"},
      {"argument":"embedding"},{"argument":"head"},{"argument":"bias"},
      {"bytes":"4*B*)json" +
         (length == "\"S\"" ? "S" : length) + R"json(","first":1,"last":2},
      {"bytes":"28*B*)json" +
         (length == "\"S\"" ? "S" : length) + R"json(","first":2,"last":2}],
    "launches":[
      {"kernel":"append","grid":["ceildiv(B,2)","1",1],"block":[32,1,1],
       "args":[{"i32":"B"},{"i32":)json" +
         length + R"json(},{"i64":"C"},{"buffer":0,"offset":"0"},{"buffer":1},
               {"buffer":4},{"buffer":3}],
       "reads":[0,1,4],"writes":[3]},
      {"kernel":"attend","grid":["B",1,1],"block":[64,2,1],"shared":"64*B",
       "args":[{"i32":"B"},{"i32":)json" +
         length + R"json(},{"i64":"C"},{"buffer":1},{"buffer":2},{"buffer":3},
               {"buffer":7}],
       "reads":[1,2,3],"writes":[7]},
      {"kernel":"project","grid":["B",1,1],"block":[128,1,1],
       "args":[{"i32":"B"},{"i32":)json" +
         length + R"json(},{"i64":"C"},{"buffer":1},{"buffer":2},{"buffer":7},
               {"buffer":5},{"buffer":6},{"buffer":8}],
       "reads":[1,2,5,6,7],"writes":[8]}],
    "checks":[{"expression":"C>=1","message":"there is no room"}]})json";
}

inline std::string modelManifest(bool withDecode = true) {
  return R"({"format":"ropewalk.artifact","version":1,"producer":"test",
  "target":"sm_80","model":{"layers":1},
  "modules":[{"file":"kernels.ptx"}],
  "kernels":[
    {"name":"append","module":0,"block":[32,1,1],"static_shared":0,
     "registers":40,"spill_bytes":null,
     "params":[{"name":"batch","type":"i32"},{"name":"length","type":"i32"},
       {"name":"capacity","type":"i64"},{"name":"ids","type":"ptr"},
       {"name":"offset","type":"ptr"},{"name":"embedding","type":"ptr"},
       {"name":"cache","type":"ptr"}]},
    {"name":"attend","module":0,"block":[64,2,1],"static_shared":1024,
     "params":[{"name":"batch","type":"i32"},{"name":"length","type":"i32"},
       {"name":"capacity","type":"i64"},{"name":"offset","type":"ptr"},
       {"name":"position","type":"ptr"},{"name":"cache","type":"ptr"},
       {"name":"context","type":"ptr"}]},
    {"name":"project","module":0,"block":[128,1,1],"static_shared":0,
     "params":[{"name":"batch","type":"i32"},{"name":"length","type":"i32"},
       {"name":"capacity","type":"i64"},{"name":"offset","type":"ptr"},
       {"name":"position","type":"ptr"},{"name":"context","type":"ptr"},
       {"name":"head","type":"ptr"},{"name":"bias","type":"ptr"},
       {"name":"logits","type":"ptr"}]}],
  "entries":[)" +
         modelEntry("prefill", "\"S\"", R"("B","S","C")") +
         (withDecode ? "," + modelEntry("decode", "1", R"("B","C")") : "") +
         "]}";
}

inline void defineModelKernels(FakeState &fake) {
  auto sizes = [](const FakeLaunch &l) {
    return ModelSizes{l.scalar<int32_t>(0), l.scalar<int32_t>(1),
                      l.scalar<int64_t>(2)};
  };
  fake.kernels["append"] = [=](const FakeLaunch &l) {
    appendTokens(sizes(l), l.pointer<int32_t>(3), l.pointer<int64_t>(4),
                 l.pointer<float>(5), l.pointer<float>(6));
  };
  fake.kernels["attend"] = [=](const FakeLaunch &l) {
    attend(sizes(l), l.pointer<int64_t>(3), l.pointer<int64_t>(4),
           l.pointer<float>(5), l.pointer<float>(6));
  };
  fake.kernels["project"] = [=](const FakeLaunch &l) {
    project(sizes(l), l.pointer<int64_t>(3), l.pointer<int64_t>(4),
            l.pointer<float>(5), l.pointer<float>(6), l.pointer<float>(7),
            l.pointer<float>(8));
  };
}

//===----------------------------------------------------------------------===//
// As a host program
//===----------------------------------------------------------------------===//

/// One entry "forward" on host memory.
class HostModel final : public HostProgram {
public:
  HostModel() {
    signature = Manifest::parse(modelManifest(false))->signatures[0];
    signature.name = "forward";
  }

  std::span<const EntrySignature> entries() const override {
    return {&signature, 1};
  }
  std::string deviceName() const override { return "test"; }

  Result<std::vector<TensorView>>
  run(size_t, std::span<const TensorView> arguments) override {
    if (Result<Bindings> sizes = bindSizes(signature, arguments); !sizes)
      return sizes.error();
    auto at = [&](size_t i) {
      return reinterpret_cast<void *>(
          static_cast<uintptr_t>(arguments[i].address));
    };
    embeddingAddress = arguments[4].address;
    ModelSizes n = {arguments[0].shape[0], arguments[0].shape[1],
                    arguments[3].shape[2]};
    auto *offset = static_cast<int64_t *>(at(1));
    auto *position = static_cast<int64_t *>(at(2));
    auto *cache = static_cast<float *>(at(3));
    context.resize(static_cast<size_t>(n.batch * n.length));
    logits.resize(static_cast<size_t>(n.batch * n.length * kVocabulary));
    appendTokens(n, static_cast<int32_t *>(at(0)), offset,
                 static_cast<float *>(at(4)), cache);
    attend(n, offset, position, cache, context.data());
    project(n, offset, position, context.data(), static_cast<float *>(at(5)),
            static_cast<float *>(at(6)), logits.data());
    lengths.push_back(n.length);
    return std::vector<TensorView>{{reinterpret_cast<uintptr_t>(logits.data()),
                                    {n.batch, n.length, kVocabulary}}};
  }

  EntrySignature signature;
  std::vector<float> context, logits;
  uint64_t embeddingAddress = 0;
  /// S of every run.
  std::vector<int64_t> lengths;
};

} // namespace ropewalk::runtime::test

#endif // ROPEWALK_TEST_UNIT_RUNTIME_FAKEMODEL_H
