//===- Checkpoint.cpp - the weights of a model ------------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The names are those of Hugging Face's state dictionaries. A linear layer's
// weight is [out, in].
//
//===----------------------------------------------------------------------===//

#include "Checkpoint.h"
#include "Ropewalk/Runtime/SafeTensors.h"
#include "mlir/IR/Builders.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/ADT/Twine.h"
#include "llvm/Support/Errc.h"

using namespace llvm;

namespace ropewalk {
namespace {

struct WeightSpec {
  std::string name;
  std::vector<int64_t> shape;
};

std::vector<WeightSpec> listWeights(const ModelConfig &config) {
  std::vector<WeightSpec> specs;
  auto add = [&](const Twine &name, std::vector<int64_t> shape) {
    specs.push_back({name.str(), std::move(shape)});
  };
  auto addLinear = [&](const std::string &name, int64_t out, int64_t in,
                       bool bias) {
    add(name + ".weight", {out, in});
    if (bias)
      add(name + ".bias", {out});
  };
  int64_t hidden = config.hiddenSize, inner = config.intermediateSize;
  int64_t queries = config.heads * config.headDim;
  int64_t keys = config.kvHeads * config.headDim;
  add("model.embed_tokens.weight", {config.vocabularySize, hidden});
  for (int64_t layer = 0; layer < config.layers; ++layer) {
    std::string prefix = "model.layers." + std::to_string(layer) + ".";
    std::string attention = prefix + "self_attn.", mlp = prefix + "mlp.";
    add(prefix + "input_layernorm.weight", {hidden});
    addLinear(attention + "q_proj", queries, hidden, config.qkvBias);
    addLinear(attention + "k_proj", keys, hidden, config.qkvBias);
    addLinear(attention + "v_proj", keys, hidden, config.qkvBias);
    addLinear(attention + "o_proj", hidden, queries, config.outputBias);
    add(prefix + "post_attention_layernorm.weight", {hidden});
    addLinear(mlp + "gate_proj", inner, hidden, config.mlpBias);
    addLinear(mlp + "up_proj", inner, hidden, config.mlpBias);
    addLinear(mlp + "down_proj", hidden, inner, config.mlpBias);
  }
  add("model.norm.weight", {hidden});
  if (!config.tiedEmbeddings)
    add("lm_head.weight", {config.vocabularySize, hidden});
  return specs;
}

Error failure(const Twine &message) {
  return createStringError(errc::invalid_argument, message);
}

/// The name of the file that holds `tensor`, for errors.
std::string fileOf(const runtime::Checkpoint &checkpoint,
                   const std::string &tensor) {
  for (const runtime::TensorFile &file : checkpoint.files())
    if (file.find(tensor))
      return file.path();
  return checkpoint.directory();
}

mlir::Type elementType(mlir::MLIRContext *context, runtime::ElementType type) {
  mlir::Builder builder(context);
  switch (type) {
  case runtime::ElementType::F32:
    return builder.getF32Type();
  case runtime::ElementType::F16:
    return builder.getF16Type();
  case runtime::ElementType::BF16:
    return builder.getBF16Type();
  default:
    return {};
  }
}

/// Old checkpoints store what every reader computes from the configuration.
bool isDerived(StringRef name) {
  return name.ends_with(".rotary_emb.inv_freq");
}

/// One warning for all tensors that `specs` does not name.
void warnOfUnused(const runtime::Checkpoint &checkpoint,
                  const ModelConfig &config, ArrayRef<WeightSpec> specs,
                  std::vector<std::string> &warnings) {
  StringSet<> used;
  for (const WeightSpec &spec : specs)
    used.insert(spec.name);
  constexpr size_t maxShown = 8;
  SmallVector<StringRef> unused;
  for (const auto &[name, tensor] : checkpoint.tensors()) {
    if (used.contains(name) || isDerived(name))
      continue;
    if (config.tiedEmbeddings && name == "lm_head.weight") {
      warnings.push_back(fileOf(checkpoint, name) +
                         ": lm_head.weight: ignored, config.json has "
                         "tie_word_embeddings: true");
      continue;
    }
    unused.push_back(name);
  }
  if (unused.empty())
    return;
  size_t shown = std::min(unused.size(), maxShown);
  std::string text = checkpoint.directory() + ": " +
                     std::to_string(unused.size()) +
                     " tensors are not part of the model: " +
                     llvm::join(ArrayRef(unused).take_front(shown), ", ");
  if (shown < unused.size())
    text += ", ...";
  warnings.push_back(std::move(text));
}

} // namespace

Expected<std::vector<Weight>> checkWeights(mlir::MLIRContext *context,
                                           const ModelConfig &config,
                                           StringRef directory,
                                           std::vector<std::string> &warnings) {
  runtime::Result<runtime::Checkpoint> checkpoint =
      runtime::Checkpoint::open(directory.str());
  if (!checkpoint)
    return failure(checkpoint.error().message());

  std::vector<WeightSpec> specs = listWeights(config);
  std::vector<Weight> weights;
  weights.reserve(specs.size());
  for (WeightSpec &spec : specs) {
    const runtime::StoredTensor *tensor = checkpoint->find(spec.name);
    if (!tensor)
      return failure(directory + ": " + spec.name +
                     ": expected a tensor of shape " +
                     runtime::toString(spec.shape) + ", got no such tensor");
    if (tensor->shape != spec.shape)
      return failure(fileOf(*checkpoint, spec.name) + ": " + spec.name +
                     ": expected shape " + runtime::toString(spec.shape) +
                     ", got " + runtime::toString(tensor->shape));
    mlir::Type type = elementType(context, tensor->type);
    if (!type)
      return failure(fileOf(*checkpoint, spec.name) + ": " + spec.name +
                     ": expected dtype F32, F16 or BF16, got " +
                     StringRef(runtime::safeTensorsName(tensor->type)));
    weights.push_back(
        {spec.name, mlir::RankedTensorType::get(spec.shape, type)});
  }
  warnOfUnused(*checkpoint, config, specs, warnings);
  return weights;
}

} // namespace ropewalk
