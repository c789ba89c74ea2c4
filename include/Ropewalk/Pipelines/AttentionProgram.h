//===- AttentionProgram.h - Attention on its own ----------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// One rope.attention as a program: what a library call compiles once for each
// structure of its arguments.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_PIPELINES_ATTENTIONPROGRAM_H
#define ROPEWALK_PIPELINES_ATTENTIONPROGRAM_H

#include "Ropewalk/Pipelines/Target.h"
#include "Ropewalk/Runtime/Program.h"

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace ropewalk {

/// Everything that the code depends on. Sizes B, Sq and Skv, the values of
/// operands and of the map's parameters that are `?` come at run time.
struct AttentionStructure {
  runtime::ElementType type = runtime::ElementType::F32;
  int64_t queryHeads = 0;
  int64_t kvHeads = 0;
  int64_t headDim = 0;
  int64_t valueDim = 0;
  /// Texts of attributes.
  std::string map;
  std::string rotary;
  double scale = 1.0;
  bool causal = true;
  std::optional<double> softcap;
  /// Whether there is a bias, and whether it has the axes B and Hq.
  std::optional<std::array<bool, 2>> biasAxes;
  bool lse = false;
  bool queryOffset = false;
  bool keyLength = false;
  bool positionOffset = false;
};

struct AttentionProgram {
  struct Parameter {
    std::string name;
    int64_t minimum;
  };
  std::unique_ptr<runtime::Program> program;
  /// The map's parameters that are `?`, in their order.
  std::vector<Parameter> parameters;
};

/// Compiles the program, whose first entry is the attention. Its arguments,
/// those that there are, in this order: query, key, value, bias, query_offset,
/// key_length, position_offset (i64 [B]), parameter.NAME (i64 [B|1, Hkv|1]);
/// its results: output, lse.
runtime::Result<AttentionProgram>
compileAttention(const AttentionStructure &structure, const Target &target,
                 unsigned threads);

} // namespace ropewalk

#endif // ROPEWALK_PIPELINES_ATTENTIONPROGRAM_H
