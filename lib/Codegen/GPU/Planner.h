//===- Planner.h - From a graph to kernels and launches ---------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_LIB_CODEGEN_GPU_PLANNER_H
#define ROPEWALK_LIB_CODEGEN_GPU_PLANNER_H

#include "Kernels/Kernels.h"
#include "SizeAnalysis.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/StringMap.h"

namespace ropewalk::codegen {

/// Kernels by their key. Equal keys share one function.
class KernelTable {
public:
  KernelTable(mlir::gpu::GPUModuleOp module, LaunchPlan &plan)
      : module(module), plan(plan) {}

  /// Index of the kernel; builds it at first use, named KIND_N.
  template <typename Kernel>
  unsigned get(llvm::StringRef kind, const Kernel &kernel) {
    auto [it, isNew] = byKey.try_emplace(kernel.key(), plan.kernels.size());
    if (isNew) {
      std::string name = (kind + "_" + llvm::Twine(counts[kind]++)).str();
      plan.kernels.push_back(kernel.build(module, name));
    }
    return it->second;
  }

private:
  mlir::gpu::GPUModuleOp module;
  LaunchPlan &plan;
  llvm::StringMap<unsigned> byKey;
  llvm::StringMap<unsigned> counts;
};

/// Plans one entry point: every root operation of the function becomes one or
/// more launches, every tensor between them a buffer.
class EntryPlanner {
public:
  EntryPlanner(mlir::func::FuncOp function, KernelTable &table,
               LaunchPlan &plan, PlanEntry &entry, bool isDecode)
      : function(function), table(table), plan(plan), entry(entry),
        sizes(function), isDecode(isDecode) {}

  mlir::LogicalResult run();

private:
  // Planner.cpp
  mlir::LogicalResult planArguments();
  mlir::LogicalResult planResults(mlir::func::ReturnOp op);
  mlir::LogicalResult planOperation(mlir::Operation *op);
  void finishLifetimes();
  void specialize();
  mlir::FailureOr<unsigned> bufferOf(mlir::Value value);
  unsigned addBuffer(PlanBuffer buffer);
  mlir::FailureOr<unsigned> addResultBuffer(mlir::Value tensor);
  unsigned addWorkspace(SizeExpr bytes);
  unsigned addConstant(mlir::Attribute value, mlir::Type type,
                       llvm::StringRef name);
  void addLaunch(mlir::Operation *op, Launch launch);
  void addCheck(std::string expression, std::string message);
  void addLimit(const SizeExpr &size, int64_t limit, llvm::StringRef what);

  // PlanLinalg.cpp
  mlir::LogicalResult planLinalg(mlir::linalg::LinalgOp op);
  mlir::LogicalResult planMatmul(mlir::linalg::LinalgOp op);
  mlir::LogicalResult planElementwise(mlir::linalg::LinalgOp op);
  mlir::LogicalResult planReduction(mlir::linalg::LinalgOp op);

  // PlanAttention.cpp
  mlir::LogicalResult planAttention(rope::AttentionOp op);

  // PlanRope.cpp
  mlir::LogicalResult planUpdateCache(rope::UpdateCacheOp op);
  mlir::FailureOr<PerItem> perItem(mlir::Value value, Launch &launch);
  unsigned tableOf(rope::RotaryAttr rotary, int64_t unit);

  friend class AttentionPlanner;
  friend class NestPlanner;

  mlir::func::FuncOp function;
  KernelTable &table;
  LaunchPlan &plan;
  PlanEntry &entry;
  SizeAnalysis sizes;
  bool isDecode;

  llvm::DenseMap<mlir::Value, unsigned> buffers;
  /// Tensors whose buffer has been overwritten in place since.
  llvm::DenseSet<mlir::Value> stale;
  llvm::DenseMap<std::pair<unsigned, unsigned>, unsigned> tableBuffers;
};

/// Name of an element type in a manifest; empty if it has none.
llvm::StringRef elementName(mlir::Type type);
int64_t elementBytes(mlir::Type type);

/// The constant that fills a tensor: linalg.fill or a splat; null otherwise.
mlir::TypedAttr splatOf(mlir::Value tensor);

} // namespace ropewalk::codegen

#endif // ROPEWALK_LIB_CODEGEN_GPU_PLANNER_H
