//===- Model.cpp - Models in the C interface --------------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Support.h"

#include "Ropewalk-c/Ropewalk.h"
#include "Ropewalk/Pipelines/GPUPipeline.h"
#include "Ropewalk/Pipelines/Load.h"
#include "mlir/IR/OperationSupport.h"
#include "llvm/Support/raw_ostream.h"

#include <atomic>
#include <cstring>
#include <mutex>

using namespace ropewalk;
using namespace ropewalk::capi;
using runtime::Error;
using runtime::Session;
using runtime::TokenBatch;

struct RopewalkModel {
  LoadedModel loaded;
  std::string target;
  RopewalkProgressFunction progress = nullptr;
  void *user = nullptr;
  std::atomic<bool> cancel = false;
  /// Held during a call.
  std::mutex mutex;

  Session &session() { return *loaded.session; }

  void report(const runtime::Progress &now) {
    if (progress && progress(user, std::string(now.stage).c_str(), now.done,
                             now.total) != 0)
      cancel = true;
  }
};

namespace {

/// One call of a model: the lock, and a cancel flag that starts anew.
class Call {
public:
  explicit Call(RopewalkModel &model) : lock(model.mutex) {
    model.cancel = false;
  }

private:
  std::lock_guard<std::mutex> lock;
};

int missing(const char *name) {
  return fail(Error("argument '", name, "': expected a pointer, got null"));
}

/// The arguments of a call as a batch; they are checked as far as the session
/// does not.
runtime::Result<TokenBatch> readBatch(const int32_t *ids, int64_t batch,
                                      int64_t length, const int64_t *lengths) {
  std::optional<int64_t> count = countElements({batch, length});
  if (!count || *count == 0)
    return Error("ids: expected at least one sequence and one token, got "
                 "shape [",
                 batch, ", ", length, "]");
  if (!ids)
    return Error("argument 'ids': expected a pointer, got null");
  TokenBatch tokens;
  tokens.ids = {ids, static_cast<size_t>(*count)};
  tokens.batch = batch;
  tokens.length = length;
  if (lengths)
    tokens.lengths = {lengths, static_cast<size_t>(batch)};
  return tokens;
}

void copyOut(const std::vector<float> &values, float *output) {
  if (!values.empty())
    std::memcpy(output, values.data(), values.size() * sizeof(float));
}

} // namespace

//===----------------------------------------------------------------------===//
// Import and compilation
//===----------------------------------------------------------------------===//

int ropewalk_import(const char *directory, char **mlir) {
  if (!directory)
    return missing("directory");
  if (!mlir)
    return missing("mlir");
  std::unique_ptr<mlir::MLIRContext> context = createContext();
  auto imported = importExtended(context.get(), directory, {});
  if (!imported)
    return fail(imported.error());
  std::string text;
  llvm::raw_string_ostream os(text);
  imported->module->print(os, mlir::OpPrintingFlags().printNameLocAsPrefix());
  os << "\n";
  *mlir = copyText(text);
  return *mlir ? ROPEWALK_OK : fail(Error("out of memory"));
}

int ropewalk_compile(const char *directory, const char *options,
                     const char *output) {
  if (!directory)
    return missing("directory");
  if (!output)
    return missing("output");
  OptionReader reader(options, "options");
  std::string chip = reader.text("target", "sm_80");
  std::vector<std::string> maps = reader.texts("maps");
  if (runtime::Status status = reader.finish(); !status)
    return fail(status.error());
  std::unique_ptr<mlir::MLIRContext> context = createContext();
  auto imported = importExtended(context.get(), directory, maps);
  if (!imported)
    return fail(imported.error());
  DiagnosticCollector diagnostics(context.get());
  GPUPipelineOptions pipeline;
  pipeline.chip = chip;
  if (runtime::Status status =
          writeArtifact(std::move(imported->module), output, pipeline);
      !status)
    return fail(Error(diagnostics.errors(status.error().message())));
  return ROPEWALK_OK;
}

int ropewalk_map_compose(const char *method, const char *parameters,
                         char **map) {
  if (!method)
    return missing("method");
  if (!map)
    return missing("map");
  OptionReader reader(parameters, "parameters");
  std::vector<std::pair<std::string, int64_t>> values = reader.integers();
  if (runtime::Status status = reader.finish(); !status)
    return fail(status.error());
  auto text = composeMap(method, values);
  if (!text)
    return fail(text.error());
  *map = copyText(*text);
  return *map ? ROPEWALK_OK : fail(Error("out of memory"));
}

//===----------------------------------------------------------------------===//
// Models
//===----------------------------------------------------------------------===//

int ropewalk_model_load(const char *path, const char *options,
                        RopewalkProgressFunction progress, void *user,
                        RopewalkModel **model) {
  if (!path)
    return missing("path");
  if (!model)
    return missing("model");
  LoadOptions load;
  OptionReader reader(options, "options");
  auto target = Target::parse(reader.text("target", "cpu"));
  if (!target)
    reader.fail(target.error().message());
  load.maps = reader.texts("maps");
  load.weights = reader.text("weights", "");
  load.threads = reader.integer("threads", 0, 0, 4096);
  constexpr int64_t slots = int64_t(1) << 24;
  load.session.capacity =
      reader.integer("capacity", load.session.capacity, 1, slots);
  load.session.chunk = reader.integer("chunk", load.session.chunk, 1, slots);
  if (runtime::Status status = reader.finish(); !status)
    return fail(status.error());
  load.target = *target;

  auto result = std::make_unique<RopewalkModel>();
  result->target = target->str();
  result->progress = progress;
  result->user = user;
  load.session.cancel = &result->cancel;
  load.session.progress = [self = result.get()](const runtime::Progress &now) {
    self->report(now);
  };
  auto loaded = loadModel(path, load);
  if (!loaded)
    return fail(loaded.error());
  result->loaded = *std::move(loaded);
  *model = result.release();
  return ROPEWALK_OK;
}

void ropewalk_model_free(RopewalkModel *model) { delete model; }

int ropewalk_model_set_progress(RopewalkModel *model,
                                RopewalkProgressFunction progress, void *user) {
  if (!model)
    return missing("model");
  Call call(*model);
  model->progress = progress;
  model->user = user;
  return ROPEWALK_OK;
}

void ropewalk_model_cancel(RopewalkModel *model) {
  if (model)
    model->cancel = true;
}

int ropewalk_model_info(RopewalkModel *model, char **json) {
  if (!model)
    return missing("model");
  if (!json)
    return missing("json");
  Call call(*model);
  Session &session = model->session();
  runtime::MemoryReport memory = session.memory();
  llvm::json::Object info;
  llvm::Expected<llvm::json::Value> description =
      llvm::json::parse(model->loaded.description);
  if (description)
    info["model"] = std::move(*description);
  else
    llvm::consumeError(description.takeError());
  info["maps"] = llvm::json::Array(model->loaded.maps);
  info["warnings"] = llvm::json::Array(model->loaded.warnings);
  info["target"] = model->target;
  info["device"] = session.program().deviceName();
  info["vocabulary_size"] = session.vocabularySize();
  info["capacity"] = session.capacity();
  info["length"] = session.length();
  info["batch"] = session.batch();
  info["memory"] = llvm::json::Object{
      {"weights", static_cast<int64_t>(memory.weights)},
      {"mapped_weights", static_cast<int64_t>(memory.mappedWeights)},
      {"caches", static_cast<int64_t>(memory.caches)},
      {"cache_per_token", static_cast<int64_t>(memory.cachePerToken)},
      {"program", static_cast<int64_t>(memory.program)}};
  *json =
      copyText(llvm::formatv("{0}", llvm::json::Value(std::move(info))).str());
  return *json ? ROPEWALK_OK : fail(Error("out of memory"));
}

int ropewalk_model_logits(RopewalkModel *model, const int32_t *ids,
                          int64_t batch, int64_t length, const int64_t *lengths,
                          float *logits) {
  if (!model)
    return missing("model");
  if (!logits)
    return missing("logits");
  auto tokens = readBatch(ids, batch, length, lengths);
  if (!tokens)
    return fail(tokens.error());
  Call call(*model);
  auto result = model->session().logits(*tokens);
  if (!result)
    return fail(result.error());
  copyOut(*result, logits);
  return ROPEWALK_OK;
}

int ropewalk_model_score(RopewalkModel *model, const int32_t *ids,
                         int64_t count, double *nll) {
  if (!model)
    return missing("model");
  if (!nll && count > 1)
    return missing("nll");
  auto tokens = readBatch(ids, 1, count, nullptr);
  if (!tokens)
    return fail(tokens.error());
  Call call(*model);
  auto result = model->session().score(tokens->ids);
  if (!result)
    return fail(result.error());
  if (!result->empty())
    std::memcpy(nll, result->data(), result->size() * sizeof(double));
  return ROPEWALK_OK;
}

int ropewalk_model_generate(RopewalkModel *model, const int32_t *ids,
                            int64_t batch, int64_t length,
                            const int64_t *lengths, int64_t max_new_tokens,
                            const int32_t *stop_ids, int64_t stop_count,
                            RopewalkTokenFunction on_token, void *user,
                            int32_t *tokens, int64_t *counts) {
  if (!model)
    return missing("model");
  if (!tokens && max_new_tokens > 0)
    return missing("tokens");
  if (!counts)
    return missing("counts");
  if (stop_count < 0 || (stop_count > 0 && !stop_ids))
    return fail(Error("stop_ids: expected ", stop_count, " values"));
  auto prompts = readBatch(ids, batch, length, lengths);
  if (!prompts)
    return fail(prompts.error());
  if (!countElements({batch, max_new_tokens}))
    return fail(
        Error("max_new_tokens: expected at least 0, got ", max_new_tokens));
  runtime::GenerateOptions options;
  options.maxNewTokens = max_new_tokens;
  if (stop_count)
    options.stopIds.assign(stop_ids, stop_ids + stop_count);
  if (on_token)
    options.onToken = [&](int64_t sequence, int32_t token) {
      return on_token(user, sequence, token) == 0;
    };
  Call call(*model);
  auto result = model->session().generate(*prompts, options);
  if (!result)
    return fail(result.error());
  for (int64_t b = 0; b < batch; ++b) {
    const std::vector<int32_t> &sequence = (*result)[b];
    counts[b] = sequence.size();
    if (!sequence.empty())
      std::memcpy(tokens + b * max_new_tokens, sequence.data(),
                  sequence.size() * sizeof(int32_t));
  }
  return ROPEWALK_OK;
}

int ropewalk_model_append(RopewalkModel *model, const int32_t *ids,
                          int64_t batch, int64_t length, const int64_t *lengths,
                          int rows, float *logits) {
  if (!model)
    return missing("model");
  if (rows != ROPEWALK_ROWS_NONE && rows != ROPEWALK_ROWS_LAST &&
      rows != ROPEWALK_ROWS_ALL)
    return fail(Error("rows: expected 0, 1 or 2, got ", rows));
  if (!logits && rows != ROPEWALK_ROWS_NONE)
    return missing("logits");
  auto tokens = readBatch(ids, batch, length, lengths);
  if (!tokens)
    return fail(tokens.error());
  Call call(*model);
  auto result =
      model->session().append(*tokens, static_cast<Session::Rows>(rows));
  if (!result)
    return fail(result.error());
  copyOut(*result, logits);
  return ROPEWALK_OK;
}

int ropewalk_model_truncate(RopewalkModel *model, int64_t length) {
  if (!model)
    return missing("model");
  Call call(*model);
  if (runtime::Status status = model->session().truncate(length); !status)
    return fail(status.error());
  return ROPEWALK_OK;
}
