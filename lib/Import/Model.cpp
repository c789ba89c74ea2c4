//===- Model.cpp - a model's graph ------------------------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// One function for prefill, chunked prefill and decode: they differ in S and in
// query_offset only.
//
//   x = embedding(ids)                                    [B * S, hidden]
//   for each layer:
//     n = rms_norm(x)
//     q, k, v = heads(linear(n))                          [B, H, S, D]
//     key_cache, value_cache = update_cache(k, v) at query_offset
//     x += linear(merge(rope.attention(q, key_cache, value_cache)))
//     n = rms_norm(x)
//     x += linear(silu(linear(n)) * linear(n))
//   logits = linear(rms_norm(x))                          [B, S, vocabulary]
//
// The cache has C slots of which query_offset + S are valid.
//
//===----------------------------------------------------------------------===//

#include "Model.h"
#include "GraphBuilder.h"
#include "Ropewalk/IR/Rope.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "llvm/ADT/StringMap.h"
#include <cmath>

using namespace mlir;

namespace ropewalk {
namespace {

class ModelBuilder {
public:
  ModelBuilder(MLIRContext *context, const ModelConfig &config,
               ArrayRef<Weight> weights)
      : config(config), weights(weights), builder(context), graph(builder) {}

  OwningOpRef<ModuleOp> build(StringRef name);

private:
  Location named(const Twine &name) {
    return NameLoc::get(builder.getStringAttr(name));
  }
  Value weight(const Twine &name) { return values.lookup(name.str()); }

  void createFunction(StringRef name);
  void computeSizes();
  Value attention(const std::string &layer, Value x);
  Value mlp(const std::string &layer, Value x);
  Value linear(const Twine &name, Value x);
  Value rmsNorm(const Twine &name, Value x);
  rope::RotaryAttr rotary();
  DictionaryAttr describe();

  const ModelConfig &config;
  ArrayRef<Weight> weights;
  OpBuilder builder;
  GraphBuilder graph;
  /// Arguments by their rope.name.
  llvm::StringMap<Value> values;
  rope::RotaryAttr rotaryAttr;
  Value queryOffset, positionOffset, keyLength;
  /// The updated caches, in the order of the arguments.
  SmallVector<Value> caches;
};

/// The layer's name without the prefix "model." that the state dictionary has.
std::string layerName(int64_t index) {
  return "layers." + std::to_string(index);
}

void ModelBuilder::createFunction(StringRef name) {
  SmallVector<Type> types, resultTypes;
  SmallVector<DictionaryAttr> attributes, resultAttributes;
  SmallVector<Location> locations;
  auto addArgument = [&](const std::string &argument, Type type,
                         StringRef kind) {
    types.push_back(type);
    attributes.push_back(builder.getDictionaryAttr(
        {builder.getNamedAttr(rope::kNameAttr, builder.getStringAttr(argument)),
         builder.getNamedAttr(rope::kKindAttr, builder.getStringAttr(kind))}));
    locations.push_back(named(argument));
  };
  auto addResult = [&](const std::string &result, Type type) {
    resultTypes.push_back(type);
    resultAttributes.push_back(builder.getDictionaryAttr(
        builder.getNamedAttr(rope::kNameAttr, builder.getStringAttr(result))));
  };
  constexpr int64_t any = ShapedType::kDynamic;
  addArgument("ids", RankedTensorType::get({any, any}, builder.getI32Type()),
              "input");
  auto perItem = RankedTensorType::get({any}, builder.getI64Type());
  addArgument("query_offset", perItem, "input");
  addArgument("position_offset", perItem, "input");
  addResult("logits", RankedTensorType::get({any, any, config.vocabularySize},
                                            builder.getF32Type()));
  auto cache = RankedTensorType::get({any, config.kvHeads, any, config.headDim},
                                     builder.getF32Type());
  for (int64_t layer = 0; layer < config.layers; ++layer) {
    for (StringRef suffix : {".key_cache", ".value_cache"}) {
      std::string cacheName = layerName(layer) + suffix.str();
      addArgument(cacheName, cache, "cache");
      addResult(cacheName, cache);
    }
  }
  for (const Weight &weight : weights)
    addArgument(weight.name, weight.type, "weight");

  auto function = func::FuncOp::create(
      builder, named(name), name, builder.getFunctionType(types, resultTypes));
  function.setAllArgAttrs(attributes);
  function.setAllResultAttrs(resultAttributes);
  Block *block = builder.createBlock(&function.getBody(), {}, types, locations);
  for (auto [argument, dictionary] :
       llvm::zip(block->getArguments(), attributes))
    values[dictionary.getAs<StringAttr>(rope::kNameAttr)] = argument;
}

void ModelBuilder::computeSizes() {
  Value ids = values.lookup("ids");
  auto size = [&](StringRef name, int64_t dimension) -> Value {
    Value index = arith::ConstantIndexOp::create(
        builder, named("dim" + Twine(dimension)), dimension);
    return tensor::DimOp::create(builder, named(name), ids, index);
  };
  Value batch = size("batch", 0), sequence = size("sequence", 1);
  Value rows = arith::MulIOp::create(builder, named("rows"), batch, sequence);
  graph.setSizes(named("sizes"), batch, sequence, rows);
  queryOffset = values.lookup("query_offset");
  positionOffset = values.lookup("position_offset");
  Value added = arith::IndexCastOp::create(builder, named("added"),
                                           builder.getI64Type(), sequence);
  keyLength = graph.addScalar(named("key_length"), queryOffset, added);
}

rope::RotaryAttr ModelBuilder::rotary() {
  Attribute scaling;
  if (const std::optional<YarnConfig> &yarn = config.yarn)
    scaling = rope::YarnAttr::get(
        builder.getContext(), APFloat(yarn->factor), yarn->originalLength,
        APFloat(yarn->betaFast), APFloat(yarn->betaSlow),
        APFloat(yarn->attentionFactor), yarn->truncate);
  return rope::RotaryAttr::get(builder.getContext(), APFloat(config.theta),
                               config.headDim, rope::RotaryLayout::half,
                               scaling);
}

Value ModelBuilder::linear(const Twine &name, Value x) {
  std::string prefix = ("model." + name).str();
  return graph.linear(named(name), x, weight(prefix + ".weight"),
                      weight(prefix + ".bias"));
}

Value ModelBuilder::rmsNorm(const Twine &name, Value x) {
  return graph.rmsNorm(named(name), x, weight("model." + name + ".weight"),
                       config.normEpsilon);
}

Value ModelBuilder::attention(const std::string &layer, Value x) {
  std::string prefix = layer + ".self_attn";
  Location loc = named(prefix);
  auto heads = [&](StringRef projection, int64_t count) {
    std::string name = prefix + "." + projection.str();
    return graph.splitHeads(named(name), linear(name, x), count,
                            config.headDim);
  };
  Value query = heads("q_proj", config.heads);
  Value key = heads("k_proj", config.kvHeads);
  Value value = heads("v_proj", config.kvHeads);
  auto update = [&](StringRef cacheName, Value rows) {
    std::string name = layer + "." + cacheName.str();
    Value cache = values.lookup(name);
    caches.push_back(rope::UpdateCacheOp::create(builder, named(name),
                                                 cache.getType(), rows,
                                                 queryOffset, cache)
                         .getResult());
    return caches.back();
  };
  Value keys = update("key_cache", key);
  Value values = update("value_cache", value);
  Value init = graph.emptyHeads(loc, config.heads, config.headDim);
  auto map = cast<rope::PositionMapAttrInterface>(
      rope::IdentityAttr::get(builder.getContext()));
  double scale = 1.0 / std::sqrt(static_cast<double>(config.headDim));
  auto op = rope::AttentionOp::create(
      builder, loc, init.getType(), query, keys, values, /*bias=*/Value(),
      queryOffset, keyLength, positionOffset, /*sequence_length=*/Value(),
      /*parameters=*/ValueRange(), /*inverse_frequencies=*/Value(),
      /*query_start=*/Value(), /*key_start=*/Value(),
      /*query_positions=*/Value(), /*key_positions=*/Value(), init, map,
      rotaryAttr, builder.getF64FloatAttr(scale), builder.getUnitAttr(),
      /*softcap=*/FloatAttr());
  Value merged = graph.mergeHeads(loc, op.getResult(0));
  return linear(prefix + ".o_proj", merged);
}

Value ModelBuilder::mlp(const std::string &layer, Value x) {
  std::string prefix = layer + ".mlp";
  Value gate = linear(prefix + ".gate_proj", x);
  Value up = linear(prefix + ".up_proj", x);
  return linear(prefix + ".down_proj", graph.swiglu(named(prefix), gate, up));
}

DictionaryAttr ModelBuilder::describe() {
  auto integer = [&](StringRef name, int64_t value) {
    return builder.getNamedAttr(name, builder.getI64IntegerAttr(value));
  };
  return builder.getDictionaryAttr(
      {builder.getNamedAttr("model_type",
                            builder.getStringAttr(config.modelType)),
       integer("vocabulary_size", config.vocabularySize),
       integer("hidden_size", config.hiddenSize),
       integer("intermediate_size", config.intermediateSize),
       integer("layers", config.layers), integer("heads", config.heads),
       integer("kv_heads", config.kvHeads), integer("head_dim", config.headDim),
       integer("trained_length", config.getTrainedLength())});
}

OwningOpRef<ModuleOp> ModelBuilder::build(StringRef name) {
  OwningOpRef<ModuleOp> module = ModuleOp::create(named(config.modelType));
  module.get()->setAttr(rope::kModelAttr, describe());
  builder.setInsertionPointToEnd(module->getBody());
  createFunction(name);
  computeSizes();
  rotaryAttr = rotary();

  Value ids = tensor::CollapseShapeOp::create(
      builder, named("tokens"), values.lookup("ids"),
      ArrayRef<ReassociationIndices>{{0, 1}});
  Value table = weight("model.embed_tokens.weight");
  Value x = graph.embedding(named("embed_tokens"), ids, table);
  for (int64_t index = 0; index < config.layers; ++index) {
    std::string layer = layerName(index);
    Value normal = rmsNorm(layer + ".input_layernorm", x);
    x = graph.add(named(layer + ".self_attn.residual"), x,
                  attention(layer, normal));
    normal = rmsNorm(layer + ".post_attention_layernorm", x);
    x = graph.add(named(layer + ".mlp.residual"), x, mlp(layer, normal));
  }
  Value normal = rmsNorm("norm", x);
  Value head = config.tiedEmbeddings ? table : weight("lm_head.weight");
  Value logits = graph.splitRows(
      named("logits"), graph.linear(named("lm_head"), normal, head, Value()));
  SmallVector<Value> results = {logits};
  llvm::append_range(results, caches);
  func::ReturnOp::create(builder, named("return"), results);
  return module;
}

} // namespace

OwningOpRef<ModuleOp> buildModel(MLIRContext *context,
                                 const ModelConfig &config,
                                 ArrayRef<Weight> weights, StringRef function) {
  context->loadDialect<arith::ArithDialect, func::FuncDialect,
                       linalg::LinalgDialect, math::MathDialect,
                       rope::RopeDialect, tensor::TensorDialect>();
  return ModelBuilder(context, config, weights).build(function);
}

} // namespace ropewalk
