//===- AttentionHandle.h - What an attention handle holds -------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_LIB_CAPI_ATTENTIONHANDLE_H
#define ROPEWALK_LIB_CAPI_ATTENTIONHANDLE_H

#include "Ropewalk/Pipelines/AttentionProgram.h"

#include <memory>
#include <mutex>

namespace ropewalk::capi {

struct Compiled {
  AttentionStructure structure;
  AttentionProgram attention;
  /// Held during a run.
  std::mutex mutex;
};

} // namespace ropewalk::capi

struct RopewalkAttention {
  std::shared_ptr<ropewalk::capi::Compiled> compiled;
};

#endif // ROPEWALK_LIB_CAPI_ATTENTIONHANDLE_H
