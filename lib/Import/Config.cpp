//===- Config.cpp - a model's configuration ---------------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Reads config.json. Sizes must be there; what Hugging Face's model classes
// leave to a default that does not depend on the model (epsilon, theta, biases)
// may be absent or null. Every key that would make the model another function
// than the imported graph is an error, never ignored.
//
// A reader keeps the first error, so that reading is a list of keys and not a
// ladder of checks.
//
//===----------------------------------------------------------------------===//

#include "Ropewalk/Import/Config.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/ADT/Twine.h"
#include "llvm/Support/Errc.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/raw_ostream.h"
#include <cmath>
#include <limits>

using namespace llvm;

namespace ropewalk {
namespace {

/// No tensor dimension is larger: sizes are 32-bit in kernels.
constexpr int64_t maxSize = std::numeric_limits<int32_t>::max();

/// A configuration is some hundred bytes of a few nested objects; larger or
/// deeper ones would only exhaust memory or the stack of the parser.
constexpr uint64_t maxFileBytes = 16 << 20;
constexpr int maxNesting = 64;

std::string show(const json::Value &value) {
  std::string text = formatv("{0}", value).str();
  if (text.size() <= 80)
    return text;
  // Cut before a character, not within its UTF-8 bytes.
  size_t end = 77;
  while (end > 0 && (text[end] & 0xc0) == 0x80)
    --end;
  return text.substr(0, end) + "...";
}

std::string show(double value) {
  std::string text;
  raw_string_ostream(text) << format("%g", value);
  return text;
}

/// Reads keys of one JSON object; the first failure is kept.
class Reader {
public:
  Reader(StringRef file, const json::Object &object, std::string prefix,
         std::string &failure)
      : file(file), object(object), prefix(std::move(prefix)),
        failure(failure) {}

  bool failed() const { return !failure.empty(); }

  void fail(StringRef key, const Twine &message) {
    if (failure.empty())
      failure = (file + ": " + prefix + key + ": " + message).str();
  }

  void expected(StringRef key, const Twine &what) {
    const json::Value *value = object.get(key);
    fail(key, "expected " + what + ", got " +
                  (value ? show(*value) : std::string("no such key")));
  }

  /// The value at `key`; absent and null are the same.
  const json::Value *find(StringRef key) const {
    const json::Value *value = object.get(key);
    return value && value->kind() != json::Value::Null ? value : nullptr;
  }

  std::optional<int64_t> optionalInteger(StringRef key, int64_t min,
                                         int64_t max = maxSize) {
    const json::Value *value = find(key);
    if (!value)
      return std::nullopt;
    std::optional<int64_t> result = value->getAsInteger();
    if (!result || *result < min || *result > max) {
      expected(key, formatv("an integer in [{0}, {1}]", min, max));
      return std::nullopt;
    }
    return result;
  }

  int64_t integer(StringRef key, int64_t min, int64_t max = maxSize) {
    std::optional<int64_t> result = optionalInteger(key, min, max);
    if (!result)
      expected(key, formatv("an integer in [{0}, {1}]", min, max));
    return result.value_or(min);
  }

  /// A finite number that is greater than `above`.
  std::optional<double> optionalNumber(StringRef key, double above) {
    const json::Value *value = find(key);
    if (!value)
      return std::nullopt;
    std::optional<double> result = value->getAsNumber();
    if (!result || !std::isfinite(*result) || !(*result > above)) {
      expected(key, "a number greater than " + show(above));
      return std::nullopt;
    }
    return result;
  }

  bool boolean(StringRef key, bool absent) {
    const json::Value *value = find(key);
    if (!value)
      return absent;
    std::optional<bool> result = value->getAsBoolean();
    if (!result)
      expected(key, "true or false");
    return result.value_or(absent);
  }

  std::optional<StringRef> optionalString(StringRef key) {
    const json::Value *value = find(key);
    if (!value)
      return std::nullopt;
    std::optional<StringRef> result = value->getAsString();
    if (!result)
      expected(key, "a string");
    return result;
  }

  StringRef file;
  const json::Object &object;
  std::string prefix;

private:
  std::string &failure;
};

/// The object that describes the rotary embedding, in either spelling.
const json::Object *findRotary(Reader &config, StringRef &key) {
  const json::Value *scaling = config.find("rope_scaling");
  const json::Value *parameters = config.find("rope_parameters");
  if (scaling && parameters && *scaling != *parameters) {
    config.fail("rope_parameters",
                "expected the value of rope_scaling, " + show(*scaling) +
                    ", or only one of the two keys, got " + show(*parameters));
    return nullptr;
  }
  key = parameters ? "rope_parameters" : "rope_scaling";
  const json::Value *value = parameters ? parameters : scaling;
  if (!value)
    return nullptr;
  const json::Object *object = value->getAsObject();
  if (!object) {
    config.expected(key, "an object or null");
    return nullptr;
  }
  for (const auto &entry : *object) {
    if (entry.second.getAsObject()) {
      config.fail(key, "expected one set of rotary parameters for all layers, "
                       "got an object under '" +
                           StringRef(entry.first) + "'");
      return nullptr;
    }
  }
  return object;
}

/// YaRN's default for the factor on cos and sin at scale `factor`.
double temperature(double factor, double mscale) {
  return factor <= 1.0 ? 1.0 : 0.1 * mscale * std::log(factor) + 1.0;
}

YarnConfig readYarn(Reader &rotary, int64_t maxPositions) {
  YarnConfig yarn;
  yarn.originalLength =
      rotary.optionalInteger("original_max_position_embeddings", 1)
          .value_or(maxPositions);
  std::optional<double> factor = rotary.optionalNumber("factor", 0.0);
  yarn.factor = factor.value_or(static_cast<double>(maxPositions) /
                                static_cast<double>(yarn.originalLength));
  if (yarn.factor < 1.0) {
    if (factor)
      rotary.expected("factor", "a number of at least 1");
    else
      rotary.fail("factor",
                  "expected a number of at least 1, got none, and "
                  "max_position_embeddings / original_max_position_embeddings "
                  "is " +
                      show(yarn.factor));
  }
  yarn.betaFast = rotary.optionalNumber("beta_fast", 0.0).value_or(32.0);
  yarn.betaSlow = rotary.optionalNumber("beta_slow", 0.0).value_or(1.0);
  if (yarn.betaFast < yarn.betaSlow)
    rotary.expected("beta_fast",
                    "a number of at least beta_slow = " + show(yarn.betaSlow));
  yarn.truncate = rotary.boolean("truncate", true);

  std::optional<double> given = rotary.optionalNumber("attention_factor", 0.0);
  // Zero, for these two, means the same as absent.
  constexpr double any = -std::numeric_limits<double>::max();
  double mscale = rotary.optionalNumber("mscale", any).value_or(0.0);
  double mscaleAll = rotary.optionalNumber("mscale_all_dim", any).value_or(0.0);
  if (given)
    yarn.attentionFactor = *given;
  else if (mscale != 0.0 && mscaleAll != 0.0)
    yarn.attentionFactor =
        temperature(yarn.factor, mscale) / temperature(yarn.factor, mscaleAll);
  else
    yarn.attentionFactor = temperature(yarn.factor, 1.0);
  if (!(yarn.attentionFactor > 0.0) || !std::isfinite(yarn.attentionFactor))
    rotary.fail("mscale", "expected a positive attention factor, got " +
                              show(yarn.attentionFactor));

  double length = static_cast<double>(yarn.originalLength) * yarn.factor;
  if (length > static_cast<double>(maxSize))
    rotary.fail("factor", "expected factor * original_max_position_embeddings "
                          "of at most " +
                              Twine(maxSize) + ", got " + show(length));
  return yarn;
}

void readRotary(Reader &config, ModelConfig &model, std::string &failure) {
  std::optional<double> theta = config.optionalNumber("rope_theta", 1.0);
  StringRef key;
  const json::Object *object = findRotary(config, key);
  if (object) {
    Reader rotary(config.file, *object, (key + ".").str(), failure);
    std::optional<double> inner = rotary.optionalNumber("rope_theta", 1.0);
    if (theta && inner && *theta != *inner)
      rotary.expected("rope_theta",
                      "the value of the key rope_theta outside it, " +
                          show(*theta));
    if (inner)
      theta = inner;
    std::optional<StringRef> type = rotary.optionalString("rope_type");
    std::optional<StringRef> oldType = rotary.optionalString("type");
    if (type && oldType && *type != *oldType)
      rotary.expected("type", "the value of rope_type, \"" + *type + "\"");
    if (!type)
      type = oldType;
    StringRef typeKey = object->get("rope_type") ? "rope_type" : "type";
    if (std::optional<double> part =
            rotary.optionalNumber("partial_rotary_factor", 0.0);
        part && *part != 1.0)
      rotary.expected("partial_rotary_factor", "1");

    static const StringSet<> common = {"rope_type", "type", "rope_theta",
                                       "partial_rotary_factor"};
    static const StringSet<> ofYarn = {
        "factor",    "original_max_position_embeddings",
        "beta_fast", "beta_slow",
        "truncate",  "attention_factor",
        "mscale",    "mscale_all_dim"};
    bool isYarn = type && *type == "yarn";
    if (isYarn)
      model.yarn = readYarn(rotary, model.maxPositions);
    else if (!type && object->get("factor"))
      rotary.expected("rope_type", "\"default\" or \"yarn\"");
    else if (type && *type != "default")
      rotary.expected(typeKey, "\"default\" or \"yarn\"");
    SmallVector<StringRef> unused;
    for (const auto &entry : *object) {
      StringRef name = entry.first;
      if (!common.contains(name) && !(isYarn && ofYarn.contains(name)))
        unused.push_back(name);
    }
    llvm::sort(unused);
    for (StringRef name : unused)
      model.warnings.push_back((config.file + ": " + key + "." + name +
                                ": ignored, rotary parameters of this type "
                                "have no such key")
                                   .str());
  }
  if (std::optional<double> part =
          config.optionalNumber("partial_rotary_factor", 0.0);
      part && *part != 1.0)
    config.expected("partial_rotary_factor", "1");
  model.theta = theta.value_or(10000.0);
}

/// Refuses what would make the attention of some layer other than full.
void checkLayerTypes(Reader &config, const ModelConfig &model) {
  if (config.boolean("use_sliding_window", false))
    config.expected("use_sliding_window", "false");
  const json::Value *types = config.find("layer_types");
  if (!types)
    return;
  const json::Array *array = types->getAsArray();
  if (!array || static_cast<int64_t>(array->size()) != model.layers) {
    config.expected(
        "layer_types",
        formatv("an array of num_hidden_layers = {0} strings", model.layers));
    return;
  }
  for (auto [layer, type] : llvm::enumerate(*array)) {
    if (type.getAsString() != StringRef("full_attention")) {
      config.fail("layer_types",
                  formatv("expected \"full_attention\" for layer {0}, got {1}",
                          layer, show(type)));
      return;
    }
  }
}

ModelConfig readModel(Reader &config, std::string &failure) {
  ModelConfig model;
  std::optional<StringRef> type = config.optionalString("model_type");
  bool isQwen2 = type == StringRef("qwen2");
  bool isLlama = type == StringRef("llama");
  if (!isQwen2 && !isLlama) {
    config.expected("model_type", "\"qwen2\" or \"llama\"");
    return model;
  }
  model.modelType = type->str();
  // The values under these two are not what the graph would read.
  if (config.find("quantization_config"))
    config.fail("quantization_config",
                "expected an unquantized checkpoint, got " +
                    show(*config.find("quantization_config")));
  if (std::optional<StringRef> act = config.optionalString("hidden_act");
      act != StringRef("silu"))
    config.expected("hidden_act", "\"silu\"");

  model.vocabularySize = config.integer("vocab_size", 1);
  model.hiddenSize = config.integer("hidden_size", 1);
  model.intermediateSize = config.integer("intermediate_size", 1);
  model.layers = config.integer("num_hidden_layers", 1, 4096);
  model.heads = config.integer("num_attention_heads", 1, 65536);
  model.maxPositions = config.integer("max_position_embeddings", 1);
  // Qwen2's class default is 32 whatever the number of heads, which no
  // checkpoint means.
  if (isQwen2 && !config.object.get("num_key_value_heads"))
    config.expected("num_key_value_heads", "an integer or null");
  model.kvHeads = config.optionalInteger("num_key_value_heads", 1, 65536)
                      .value_or(model.heads);
  if (config.failed())
    return model;
  if (model.heads % model.kvHeads != 0)
    config.expected(
        "num_key_value_heads",
        formatv("a divisor of num_attention_heads = {0}", model.heads));

  std::optional<int64_t> headDim = config.optionalInteger("head_dim", 2, 65536);
  if (!headDim && model.hiddenSize % model.heads != 0)
    config.expected("hidden_size", formatv("a multiple of num_attention_heads "
                                           "= {0}, as there is no head_dim",
                                           model.heads));
  model.headDim = headDim.value_or(model.hiddenSize / model.heads);
  if (model.headDim % 2 != 0 || model.headDim == 0)
    config.fail(headDim ? "head_dim" : "hidden_size",
                formatv("expected an even number of dimensions per head, got "
                        "{0}",
                        model.headDim));
  if (model.heads * model.headDim > maxSize)
    config.fail("num_attention_heads",
                formatv("expected num_attention_heads * head_dim of at most "
                        "{0}, got {1}",
                        maxSize, model.heads * model.headDim));

  model.normEpsilon = config.optionalNumber("rms_norm_eps", 0.0).value_or(1e-6);
  model.tiedEmbeddings = config.boolean("tie_word_embeddings", false);
  model.qkvBias = isQwen2;
  if (isLlama) {
    model.qkvBias = model.outputBias = config.boolean("attention_bias", false);
    model.mlpBias = config.boolean("mlp_bias", false);
  }
  readRotary(config, model, failure);
  checkLayerTypes(config, model);
  if (config.find("dual_chunk_attention_config"))
    model.warnings.push_back(
        (config.file +
         ": dual_chunk_attention_config: ignored, attention is imported with "
         "plain rotary positions; ask for the position map with rope-extend")
            .str());
  return model;
}

/// Whether brackets outside strings nest deeper than `maxNesting`.
bool nestsTooDeep(StringRef text) {
  int depth = 0;
  bool inString = false;
  for (size_t i = 0, e = text.size(); i != e; ++i) {
    char c = text[i];
    if (inString) {
      if (c == '\\')
        ++i;
      else if (c == '"')
        inString = false;
      if (i >= e)
        break;
      continue;
    }
    if (c == '"')
      inString = true;
    else if (c == '{' || c == '[')
      ++depth;
    else if (c == '}' || c == ']')
      --depth;
    if (depth > maxNesting)
      return true;
  }
  return false;
}

} // namespace

int64_t ModelConfig::getTrainedLength() const {
  if (!yarn)
    return maxPositions;
  return static_cast<int64_t>(
      std::floor(static_cast<double>(yarn->originalLength) * yarn->factor));
}

Expected<json::Object> parseJsonObject(StringRef text, StringRef file) {
  if (nestsTooDeep(text))
    return createStringError(errc::invalid_argument,
                             "%s: expected at most %d nested objects",
                             file.str().c_str(), maxNesting);
  Expected<json::Value> root = json::parse(text);
  if (!root)
    return createStringError(errc::invalid_argument, "%s: not valid JSON: %s",
                             file.str().c_str(),
                             toString(root.takeError()).c_str());
  json::Object *object = root->getAsObject();
  if (!object)
    return createStringError(errc::invalid_argument,
                             "%s: expected a JSON object, got %s",
                             file.str().c_str(), show(*root).c_str());
  return std::move(*object);
}

Expected<ModelConfig> parseModelConfig(StringRef text, StringRef file) {
  Expected<json::Object> object = parseJsonObject(text, file);
  if (!object)
    return object.takeError();
  std::string failure;
  Reader config(file, *object, "", failure);
  ModelConfig model = readModel(config, failure);
  if (!failure.empty())
    return createStringError(errc::invalid_argument, Twine(failure));
  return model;
}

static Expected<std::unique_ptr<MemoryBuffer>> readSmallFile(StringRef path) {
  ErrorOr<std::unique_ptr<MemoryBuffer>> buffer = MemoryBuffer::getFile(path);
  if (std::error_code code = buffer.getError())
    return createStringError(code, "%s: %s", path.str().c_str(),
                             code.message().c_str());
  if ((*buffer)->getBufferSize() > maxFileBytes)
    return createStringError(
        errc::file_too_large, "%s: expected at most %llu bytes, got %llu",
        path.str().c_str(), static_cast<unsigned long long>(maxFileBytes),
        static_cast<unsigned long long>((*buffer)->getBufferSize()));
  return std::move(*buffer);
}

Expected<json::Object> readJsonObject(StringRef path) {
  auto buffer = readSmallFile(path);
  if (!buffer)
    return buffer.takeError();
  return parseJsonObject((*buffer)->getBuffer(), path);
}

Expected<ModelConfig> readModelConfig(StringRef path) {
  auto buffer = readSmallFile(path);
  if (!buffer)
    return buffer.takeError();
  return parseModelConfig((*buffer)->getBuffer(), path);
}

} // namespace ropewalk
