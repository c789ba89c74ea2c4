//===- UpdateCache.cpp - New rows of a cache, in place ----------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Row s of item b and head h goes to slot offset[b] + s. A row outside the
// cache is dropped: the host checks the capacity, and no launch writes beyond
// a buffer whatever an offset holds.
//
//===----------------------------------------------------------------------===//

#include "Kernels.h"

using namespace mlir;
using namespace ropewalk::codegen;

PerItemParam::PerItemParam(KernelBuilder &k, PerItem kind, StringRef name)
    : kind(kind) {
  if (kind == PerItem::Scalar)
    param = k.i64Param(name);
  else if (kind == PerItem::Tensor)
    param = k.pointerParam(name, true);
}

Val PerItemParam::get(KernelBuilder &k, Val item) const {
  if (kind == PerItem::Absent)
    return k.i64(0);
  if (kind == PerItem::Scalar)
    return param;
  return k.load(param, item, k.i64Type());
}

std::string UpdateCacheKernel::key() const {
  return "update_cache " + text(type) + " d" + std::to_string(headDim) + " " +
         std::to_string(static_cast<int>(offset));
}

KernelInfo UpdateCacheKernel::build(gpu::GPUModuleOp module,
                                    StringRef name) const {
  KernelBuilder k(module, name, kThreads);
  Val rows = k.pointerParam("rows", true);
  Val cache = k.pointerParam("cache", false);
  PerItemParam offsets(k, offset, "offset");
  Val heads = k.i32Param("heads"), newRows = k.i32Param("rows"),
      slots = k.i32Param("slots"), items = k.i32Param("items");

  int64_t perRow = headDim / vector();
  Val index = k.blockId(0) * kThreads + k.threadId();
  Val row = index / perRow;
  Val column = index % perRow * vector();
  k.ifThen(row < items * heads * newRows, [&] {
    Val itemAndHead = row / newRows;
    Val item = itemAndHead / heads;
    Val slot = offsets.get(k, item) + k.toI64(row % newRows);
    k.ifThen((slot >= 0) & (slot < k.toI64(slots)), [&] {
      Val value = k.load(rows, k.toI64(row) * headDim + k.toI64(column), type,
                         vector());
      Val target = (k.toI64(itemAndHead) * k.toI64(slots) + slot) * headDim +
                   k.toI64(column);
      k.store(value, cache, target);
    });
  });
  KernelInfo info = k.finish();
  info.summary = "cache[b,h,offset[b]+s] = rows[b,h,s]";
  return info;
}
