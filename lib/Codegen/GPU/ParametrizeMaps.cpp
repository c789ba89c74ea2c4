//===- ParametrizeMaps.cpp - Parameters of maps as operands -----*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Ropewalk/Codegen/Passes.h"
#include "Ropewalk/IR/Rope.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

namespace ropewalk {
#define GEN_PASS_DEF_PARAMETRIZEMAPSPASS
#include "Ropewalk/Codegen/Passes.h.inc"
} // namespace ropewalk

using namespace mlir;
using namespace ropewalk;

namespace {

struct ParametrizeMapsPass final
    : ropewalk::impl::ParametrizeMapsPassBase<ParametrizeMapsPass> {
  using Base::Base;

  void runOnOperation() override {
    getOperation()->walk([](rope::AttentionOp op) {
      rope::PositionMapAttrInterface map = op.getMap();
      auto parameters = map.getMapParameters();
      if (llvm::none_of(parameters,
                        [](const auto &each) { return each.value; }))
        return;
      OpBuilder builder(op);
      SmallVector<Value> operands;
      auto given = op.getParameters().begin();
      for (const rope::MapParameter &parameter : parameters)
        operands.push_back(
            parameter.value ? arith::ConstantOp::create(
                                  builder, op.getLoc(),
                                  builder.getI64IntegerAttr(*parameter.value))
                                  .getResult()
                            : *given++);
      SmallVector<std::optional<int64_t>> none(parameters.size());
      op.getParametersMutable().assign(operands);
      op.setMapAttr(
          cast<rope::PositionMapAttrInterface>(map.withParameters(none)));
    });
  }
};

} // namespace
