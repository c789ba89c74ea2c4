//===- PlanRope.cpp - Kernels of rope operations ----------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What all rope operations need, and updates of caches. Attention has a file of
// its own.
//
//===----------------------------------------------------------------------===//

#include "Planner.h"

using namespace mlir;
using namespace ropewalk;
using namespace ropewalk::codegen;

/// Adds the argument for a value that is absent, scalar or per item.
FailureOr<PerItem> EntryPlanner::perItem(Value value, Launch &launch) {
  if (!value)
    return PerItem::Absent;
  if (isa<RankedTensorType>(value.getType())) {
    FailureOr<unsigned> buffer = bufferOf(value);
    if (failed(buffer))
      return failure();
    launch.args.push_back(LaunchArg::pointer(*buffer));
    launch.reads.push_back(*buffer);
    return PerItem::Tensor;
  }
  FailureOr<SizeExpr> expr = sizes.scalar(value);
  if (failed(expr))
    return failure();
  launch.args.push_back(LaunchArg::i64(*expr));
  return PerItem::Scalar;
}

unsigned EntryPlanner::tableOf(rope::RotaryAttr rotary, int64_t unit) {
  PlanTable wanted;
  SmallVector<double> frequencies = rotary.getInverseFrequencies();
  wanted.inverseFrequencies.assign(frequencies.begin(), frequencies.end());
  wanted.attentionFactor = rotary.getRotationFactor();
  wanted.unit = unit;
  for (auto [index, other] : llvm::enumerate(plan.tables))
    if (other.inverseFrequencies == wanted.inverseFrequencies &&
        other.attentionFactor == wanted.attentionFactor && other.unit == unit)
      return index;
  wanted.name = "rotary" + std::to_string(plan.tables.size());
  plan.tables.push_back(std::move(wanted));
  return plan.tables.size() - 1;
}

LogicalResult EntryPlanner::planUpdateCache(rope::UpdateCacheOp op) {
  FailureOr<Shape> rowsShape = sizes.shape(op.getRows()),
                   cacheShape = sizes.shape(op.getCache());
  FailureOr<unsigned> rows = bufferOf(op.getRows()),
                      cache = bufferOf(op.getCache());
  if (failed(rowsShape) || failed(cacheShape) || failed(rows) || failed(cache))
    return failure();
  const PlanBuffer &buffer = entry.buffers[*cache];
  bool isCache = buffer.kind == PlanBuffer::Kind::Argument
                     ? entry.arguments[buffer.index].kind == "cache"
                     : buffer.kind == PlanBuffer::Kind::Workspace;
  if (!isCache)
    return op.emitOpError()
           << "updates a constant or an argument that is not of kind 'cache'";

  UpdateCacheKernel kernel;
  kernel.type = getElementTypeOrSelf(op.getRows().getType());
  if (!kernel.type.isF32())
    return op.emitOpError() << "has elements of type " << kernel.type
                            << ", expected f32 on GPUs";
  std::optional<int64_t> headDim = (*rowsShape)[3].asConstant();
  if (!headDim)
    return op.emitOpError() << "has a dynamic head dimension";
  kernel.headDim = *headDim;
  Launch launch;
  launch.args = {LaunchArg::pointer(*rows), LaunchArg::pointer(*cache)};
  launch.reads = {*rows};
  launch.writes = {*cache};
  FailureOr<PerItem> offset = perItem(op.getOffset(), launch);
  if (failed(offset))
    return failure();
  kernel.offset = *offset;
  SizeExpr numRows = product(ArrayRef(*rowsShape).drop_back());
  for (const SizeExpr &size :
       {(*rowsShape)[1], (*rowsShape)[2], (*cacheShape)[2], (*rowsShape)[0]})
    launch.args.push_back(LaunchArg::i32(size));
  launch.kernel = table.get("update_cache", kernel);
  launch.grid[0] = {numRows * SizeExpr(*headDim / kernel.vector()),
                    UpdateCacheKernel::kThreads};
  addLaunch(op, std::move(launch));
  buffers[op.getResult()] = *cache;
  stale.insert(op.getCache());
  return success();
}
