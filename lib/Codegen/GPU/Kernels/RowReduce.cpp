//===- RowReduce.cpp - Reductions of rows -----------------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The last loop is reduced. Every thread combines the elements that it meets,
// from the neutral element on; five shuffles combine a warp. Long rows take a
// block, whose warps meet in shared memory; short rows take a warp each.
//
//===----------------------------------------------------------------------===//

#include "Kernels.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/IRMapping.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace ropewalk::codegen;

std::string RowReduceKernel::key() const {
  std::string result = isWide ? "row_reduce wide " : "row_reduce ";
  llvm::raw_string_ostream os(result);
  os << numLoops << " v" << vector << " in " << codegen::text(inputs)
     << outputType << " from " << initial << " " << body.text();
  return result;
}

KernelInfo RowReduceKernel::build(gpu::GPUModuleOp module,
                                  StringRef name) const {
  KernelBuilder k(module, name, kThreads);
  NestOperand output;
  output.type = outputType;
  output.uses.assign(numLoops, false);
  NestParams params(k, numLoops, inputs, output, body);

  auto combine = [&](Val left, Val right) {
    IRMapping mapping;
    mapping.map(combiner->getOperand(0), left);
    mapping.map(combiner->getOperand(1), right);
    return k.wrap(k.b.clone(*combiner, mapping)->getResult(0));
  };
  auto combineWarp = [&](Val value) {
    for (unsigned mask = 16; mask > 0; mask /= 2)
      value = combine(value, k.shuffleXor(value, mask));
    return value;
  };
  auto constant = [&](TypedAttr attribute) {
    return k.wrap(arith::ConstantOp::create(k.b, attribute));
  };
  auto finish = [&](Val value, Val row) {
    if (initial != neutral)
      value = combine(constant(initial), value);
    k.store(value, params.outputPointers[0], k.toI64(row));
  };
  auto partial = [&](Val row, Val first, int64_t stride) {
    Vals rowIndices = params.rowIndices(k, row);
    return k.loop(k.toI64(first) * vector, params.innerSize(k),
                  k.i64(stride * vector), {constant(neutral)},
                  [&](Val inner, ArrayRef<Val> carried) -> Vals {
                    Vals indices = rowIndices;
                    indices.push_back(inner);
                    SmallVector<Vals> loaded = params.load(k, indices, vector);
                    Val sum = carried[0];
                    for (unsigned lane = 0; lane < vector; ++lane) {
                      Vals at = indices;
                      if (lane > 0)
                        at.back() = at.back() + lane;
                      Vals values = llvm::map_to_vector(
                          loaded, [&](const Vals &each) { return each[lane]; });
                      sum = params.emit(k, at, values, sum)[0];
                    }
                    return {sum};
                  })[0];
  };

  Val thread = k.threadId();
  if (isWide) {
    Val row = k.blockId(0);
    Val shared = k.shared(8 * outputType.getIntOrFloatBitWidth() / 8);
    Val sum = combineWarp(partial(row, thread, kThreads));
    k.ifThen(thread % 32 == 0, [&] { k.store(sum, shared, thread / 32); });
    k.barrier();
    k.ifThen(thread == 0, [&] {
      Val total = k.load(shared, k.i32(0), outputType);
      for (int warp = 1; warp < 8; ++warp)
        total = combine(total, k.load(shared, k.i32(warp), outputType));
      finish(total, row);
    });
  } else {
    Val row = k.blockId(0) * rowsPerBlock() + thread / 32;
    // Uniform in a warp: the shuffles see all lanes.
    k.ifThen(row < params.rows(k), [&] {
      Val sum = combineWarp(partial(row, thread % 32, 32));
      k.ifThen(thread % 32 == 0, [&] { finish(sum, row); });
    });
  }
  KernelInfo info = k.finish();
  for (Operation &op : body.block->without_terminator())
    info.summary += " " + op.getName().stripDialect().str();
  info.summary = "row reduction:" + info.summary;
  return info;
}
