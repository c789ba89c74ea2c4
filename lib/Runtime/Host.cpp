//===- Host.cpp - The C interface of the host library -----------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Ropewalk-c/Host.h"

#include "Ropewalk/Runtime/ArtifactProgram.h"
#include "Ropewalk/Runtime/CudaDevice.h"
#include "Ropewalk/Runtime/Session.h"

#include <algorithm>

using namespace ropewalk::runtime;

struct RopewalkHost {
  std::unique_ptr<Session> session;
  std::string device;
};

namespace {

thread_local std::string lastError;

int fail(const Error &error) {
  lastError = error.message();
  return 1;
}

int missing(const char *name) {
  return fail(Error("argument '", name, "': expected a pointer, got null"));
}

/// Sizes come from C and are multiplied: none may be negative or huge.
Status checkSize(const char *name, int64_t size) {
  constexpr int64_t limit = int64_t(1) << 31;
  if (size < 1 || size >= limit)
    return Error("argument '", name, "': expected 1 to ", limit - 1, ", got ",
                 size);
  return success();
}

Result<std::unique_ptr<Session>> openSession(const char *artifact,
                                             const char *weights,
                                             DevicePtr device,
                                             SessionOptions options) {
  auto program = ArtifactProgram::load(artifact, std::move(device));
  if (!program)
    return program.error();
  auto checkpoint = Checkpoint::open(weights);
  if (!checkpoint)
    return checkpoint.error();
  return Session::create(std::shared_ptr<Program>(std::move(*program)),
                         *checkpoint, std::move(options));
}

} // namespace

const char *ropewalk_host_last_error(void) { return lastError.c_str(); }

int ropewalk_host_open(const char *artifact, const char *weights,
                       RopewalkDevice *device, int ordinal, int64_t capacity,
                       int64_t chunk, RopewalkHost **host) {
  DevicePtr owned(device);
  if (!artifact)
    return missing("artifact");
  if (!weights)
    return missing("weights");
  if (!host)
    return missing("host");
  SessionOptions options;
  if (capacity != 0) {
    if (auto status = checkSize("capacity", capacity); !status)
      return fail(status.error());
    options.capacity = capacity;
  }
  if (chunk != 0) {
    if (auto status = checkSize("chunk", chunk); !status)
      return fail(status.error());
    options.chunk = chunk;
  }
  if (!owned) {
    RopewalkCudaOptions cuda = {ordinal};
    RopewalkDevice *created = nullptr;
    if (ropewalk_cuda_create(&cuda, &created))
      return fail(Error(ropewalk_cuda_last_error()));
    owned.reset(created);
  }
  auto session =
      openSession(artifact, weights, std::move(owned), std::move(options));
  if (!session)
    return fail(session.error());
  std::string name = (*session)->program().deviceName();
  *host = new RopewalkHost{std::move(*session), std::move(name)};
  return 0;
}

void ropewalk_host_close(RopewalkHost *host) { delete host; }

const char *ropewalk_host_device(RopewalkHost *host) {
  return host ? host->device.c_str() : "";
}

int64_t ropewalk_host_vocabulary(RopewalkHost *host) {
  return host ? host->session->vocabularySize() : 0;
}

int ropewalk_host_parameter(RopewalkHost *host, const char *name,
                            const int64_t *values, const int64_t *shape,
                            int rank) {
  if (!host)
    return missing("host");
  if (!name)
    return missing("name");
  if (!values)
    return missing("values");
  if (rank < 0 || rank > 3 || (rank > 0 && !shape))
    return fail(
        Error("argument 'rank': expected 0 to 3 and a shape, got ", rank));
  auto status = host->session->setParameter(
      name, ElementType::I64, {shape, static_cast<size_t>(rank)}, values);
  return status ? 0 : fail(status.error());
}

int ropewalk_host_logits(RopewalkHost *host, const int32_t *ids, int64_t batch,
                         int64_t length, float *logits) {
  if (!host)
    return missing("host");
  if (!ids)
    return missing("ids");
  if (!logits)
    return missing("logits");
  for (auto [name, size] : {std::pair("batch", batch), {"length", length}})
    if (auto status = checkSize(name, size); !status)
      return fail(status.error());
  TokenBatch tokens{{ids, static_cast<size_t>(batch * length)}, batch, length};
  auto result = host->session->logits(tokens);
  if (!result)
    return fail(result.error());
  std::copy(result->begin(), result->end(), logits);
  return 0;
}

int ropewalk_host_score(RopewalkHost *host, const int32_t *ids, int64_t count,
                        double *nll) {
  if (!host)
    return missing("host");
  if (!ids)
    return missing("ids");
  if (!nll)
    return missing("nll");
  if (auto status = checkSize("count", count); !status)
    return fail(status.error());
  auto result = host->session->score({ids, static_cast<size_t>(count)});
  if (!result)
    return fail(result.error());
  std::copy(result->begin(), result->end(), nll);
  return 0;
}

int ropewalk_host_generate(RopewalkHost *host, const int32_t *ids,
                           int64_t count, int64_t max_new_tokens,
                           int32_t *tokens) {
  if (!host)
    return missing("host");
  if (!ids)
    return missing("ids");
  if (!tokens)
    return missing("tokens");
  for (auto [name, size] :
       {std::pair("count", count), {"max_new_tokens", max_new_tokens}})
    if (auto status = checkSize(name, size); !status)
      return fail(status.error());
  GenerateOptions options;
  options.maxNewTokens = max_new_tokens;
  auto result = host->session->generate(
      TokenBatch::single({ids, static_cast<size_t>(count)}), options);
  if (!result)
    return fail(result.error());
  std::copy(result->front().begin(), result->front().end(), tokens);
  return 0;
}
