//===- Config.h - a model's configuration -----------------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What the importer needs to know of a Hugging Face `config.json`, read in both
// spellings of the rotary parameters: `rope_theta` with `rope_scaling`, and
// `rope_parameters` of transformers 5 and later.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_IMPORT_CONFIG_H
#define ROPEWALK_IMPORT_CONFIG_H

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/JSON.h"
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace ropewalk {

/// YaRN frequency scaling. `attentionFactor` is the resolved value: cos and sin
/// of queries and keys are both multiplied by it.
struct YarnConfig {
  double factor = 1.0;
  int64_t originalLength = 0;
  double betaFast = 32.0;
  double betaSlow = 1.0;
  double attentionFactor = 1.0;
  bool truncate = true;
};

/// A decoder-only transformer with rotary grouped-query attention, RMSNorm and
/// a SwiGLU feed-forward, as `qwen2` and `llama` configurations describe it.
struct ModelConfig {
  std::string modelType;
  int64_t vocabularySize = 0;
  int64_t hiddenSize = 0;
  int64_t intermediateSize = 0;
  int64_t layers = 0;
  int64_t heads = 0;
  int64_t kvHeads = 0;
  int64_t headDim = 0;
  int64_t maxPositions = 0;
  double normEpsilon = 1e-6;
  bool tiedEmbeddings = false;
  bool qkvBias = false;
  bool outputBias = false;
  bool mlpBias = false;
  double theta = 10000.0;
  std::optional<YarnConfig> yarn;

  /// Keys that change nothing here but that a user may expect to.
  std::vector<std::string> warnings;

  /// The number of positions at which the model, with its own frequency
  /// scaling, is meant to work.
  int64_t getTrainedLength() const;
};

/// Reads the text of a JSON object from an untrusted source: of bounded depth,
/// because the parser recurses. `file` names it in errors.
llvm::Expected<llvm::json::Object> parseJsonObject(llvm::StringRef text,
                                                   llvm::StringRef file);

/// The same for the file at `path`, of bounded size.
llvm::Expected<llvm::json::Object> readJsonObject(llvm::StringRef path);

/// Reads the text of a configuration. `file` names it in errors, each of which
/// gives the key, what was expected and what is there.
llvm::Expected<ModelConfig> parseModelConfig(llvm::StringRef text,
                                             llvm::StringRef file);

/// Reads the file at `path`.
llvm::Expected<ModelConfig> readModelConfig(llvm::StringRef path);

} // namespace ropewalk

#endif // ROPEWALK_IMPORT_CONFIG_H
