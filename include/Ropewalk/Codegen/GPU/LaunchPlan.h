//===- LaunchPlan.h - Kernels and the order of their launches ---*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What the GPU back end makes of a graph: kernels, keyed by structure, and for
// each entry point the buffers and the launches in order. The manifest of an
// artifact is this structure as JSON.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_CODEGEN_GPU_LAUNCHPLAN_H
#define ROPEWALK_CODEGEN_GPU_LAUNCHPLAN_H

#include "Ropewalk/Codegen/GPU/SizeExpr.h"
#include "mlir/Support/LLVM.h"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace ropewalk::codegen {

enum class ParamType { Pointer, I32, I64, F32 };

/// "ptr", "i32", "i64" or "f32".
llvm::StringRef stringify(ParamType type);

struct KernelParam {
  std::string name;
  ParamType type;
};

/// What an assembler said of a kernel.
struct KernelResources {
  int64_t registers = 0;
  int64_t spillBytes = 0;
  int64_t stackBytes = 0;
};

struct KernelInfo {
  std::string name;
  /// Threads of a block, one-dimensional.
  unsigned threads = 0;
  int64_t sharedBytes = 0;
  std::vector<KernelParam> params;
  /// What the kernel does, for people.
  std::string summary;
  /// Empty where no assembler has run.
  std::optional<KernelResources> resources;
};

/// A tensor that the artifact itself holds.
struct PlanConstant {
  std::string name;
  /// "i32", "i64" or "f32".
  std::string type;
  std::vector<int64_t> shape;
  std::vector<int64_t> integers;
  std::vector<double> floats;
};

/// A two-level table of rotations, made on the host.
struct PlanTable {
  std::string name;
  std::vector<double> inverseFrequencies;
  double attentionFactor = 1.0;
  int64_t unit = 1;
};

struct PlanBuffer {
  enum class Kind { Argument, Constant, TableLow, TableHigh, Workspace };
  Kind kind = Kind::Workspace;
  /// Index of the argument, constant or table.
  unsigned index = 0;
  /// Workspace: size, and the launches of the first write and the last read.
  SizeExpr bytes;
  int64_t first = -1;
  int64_t last = -1;
};

/// ceildiv(size, divisor).
struct GridSize {
  SizeExpr size = 1;
  int64_t divisor = 1;
};

struct LaunchArg {
  ParamType type = ParamType::Pointer;
  unsigned buffer = 0;
  /// Pointer: byte offset. I32, I64: value.
  SizeExpr value;
  double number = 0.0;
  /// Where it is set, the text of an integer that is no polynomial.
  std::string text;

  static LaunchArg pointer(unsigned buffer, SizeExpr offset = 0) {
    return {ParamType::Pointer, buffer, std::move(offset), 0.0, {}};
  }
  static LaunchArg i32(SizeExpr value) {
    return {ParamType::I32, 0, std::move(value), 0.0, {}};
  }
  static LaunchArg i64(SizeExpr value) {
    return {ParamType::I64, 0, std::move(value), 0.0, {}};
  }
  static LaunchArg f32(double number) {
    return {ParamType::F32, 0, SizeExpr(), number, {}};
  }
};

struct Launch {
  /// Index of the kernel.
  unsigned kernel = 0;
  std::array<GridSize, 3> grid;
  std::vector<LaunchArg> args;
  std::vector<unsigned> reads, writes;
};

struct PlanArgument {
  std::string name;
  std::string kind;
  std::string type;
  std::vector<SizeExpr> shape;
  bool updated = false;
  /// Smallest value allowed, of a parameter.
  std::optional<int64_t> minimum;
};

struct PlanResult {
  std::string name;
  std::string type;
  std::vector<SizeExpr> shape;
  unsigned buffer = 0;
};

struct PlanCheck {
  std::string expression;
  std::string message;
};

struct PlanEntry {
  std::string name;
  std::vector<std::string> sizes;
  std::vector<PlanArgument> arguments;
  std::vector<PlanResult> results;
  std::vector<PlanBuffer> buffers;
  std::vector<Launch> launches;
  std::vector<PlanCheck> checks;
};

struct LaunchPlan {
  std::string target;
  std::vector<KernelInfo> kernels;
  std::vector<PlanConstant> constants;
  std::vector<PlanTable> tables;
  std::vector<PlanEntry> entries;
  /// Remarks for the user: why a field is missing, for example.
  std::vector<std::string> notes;
};

} // namespace ropewalk::codegen

#endif // ROPEWALK_CODEGEN_GPU_LAUNCHPLAN_H
