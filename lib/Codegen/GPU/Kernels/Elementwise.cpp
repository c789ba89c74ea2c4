//===- Elementwise.cpp - Elementwise loop nests -----------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A nest that collapses to one loop is split flat over threads. Otherwise a
// warp takes a row, that is a point of all loops but the last, so that the
// divisions that find it are by 32-bit numbers and the same in all lanes, and
// its lanes run along the last loop with vector accesses.
//
//===----------------------------------------------------------------------===//

#include "Kernels.h"

using namespace mlir;
using namespace ropewalk::codegen;

std::string ElementwiseKernel::key() const {
  return "elementwise " + std::to_string(numLoops) + " v" +
         std::to_string(vector) + " in " + codegen::text(inputs) + "out " +
         codegen::text(outputs) + body.text();
}

KernelInfo ElementwiseKernel::build(gpu::GPUModuleOp module,
                                    StringRef name) const {
  KernelBuilder k(module, name, kThreads);
  NestParams params(k, numLoops, inputs, outputs, body);

  // Computes `vector` elements from `indices` on.
  auto point = [&](ArrayRef<Val> indices) {
    SmallVector<Vals> loaded = params.load(k, indices, vector);
    SmallVector<Vals> results(outputs.size());
    for (unsigned lane = 0; lane < vector; ++lane) {
      Vals at(indices);
      if (lane > 0)
        at.back() = at.back() + lane;
      Vals values = llvm::map_to_vector(
          loaded, [&](const Vals &elements) { return elements[lane]; });
      for (auto [number, value] : llvm::enumerate(params.emit(k, at, values)))
        results[number].push_back(value);
    }
    for (auto [number, elements] : llvm::enumerate(results))
      k.store(k.pack(elements), params.outputPointers[number],
              params.outputOffset(k, number, indices));
  };

  Val thread = k.threadId();
  if (numLoops == 1) {
    Val index = (k.toI64(k.blockId(0)) * kThreads + k.toI64(thread)) * vector;
    k.ifThen(index < params.innerSize(k), [&] { point({index}); });
  } else {
    Val row = k.blockId(0) * kRows + thread / 32;
    k.ifThen(row < params.rows(k), [&] {
      Vals indices = params.rowIndices(k, row);
      Val inner =
          k.toI64(k.blockId(1)) * rowElements() + k.toI64(thread % 32) * vector;
      indices.push_back(inner);
      k.ifThen(inner < params.innerSize(k), [&] { point(indices); });
    });
  }
  KernelInfo info = k.finish();
  for (Operation &op : body.block->without_terminator())
    info.summary +=
        (info.summary.empty() ? "" : " ") + op.getName().stripDialect().str();
  info.summary = std::to_string(numLoops) +
                 " loops: " + (info.summary.empty() ? "copy" : info.summary);
  return info;
}
