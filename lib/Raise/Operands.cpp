//===- Operands.cpp - Tensors that are query, key or value ------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Among the tensors that an element passes on its way, the one whose axes are
// item, head, slot and channel.
//
//===----------------------------------------------------------------------===//

#include "Matcher.h"

#include "mlir/IR/BuiltinTypes.h"

using namespace mlir;

namespace ropewalk {

FailureOr<AttentionOperand> Matcher::findOperand(const ScoreSide &side,
                                                 const Element &view,
                                                 AffineExpr channel,
                                                 int64_t numChannels) {
  const std::pair<AffineExpr, int64_t> axes[] = {{side.batch, side.numItems},
                                                 {side.head, side.numHeads},
                                                 {side.slot, side.numSlots},
                                                 {channel, numChannels}};
  auto type = dyn_cast<RankedTensorType>(view.tensor.getType());
  if (!type || !type.hasStaticShape() || type.getRank() > 4)
    return failure();
  AttentionOperand operand = {view.tensor, {}};
  llvm::SmallBitVector used(type.getRank());
  for (auto [number, axis] : llvm::enumerate(axes)) {
    int64_t found = -1;
    for (int64_t i = 0; i < type.getRank() && found < 0; ++i)
      if (!used.test(i) && view.indices[i] == axis.first &&
          type.getDimSize(i) == axis.second)
        found = i;
    if (found >= 0)
      used.set(found);
    else if (number >= 2 || axis.second != 1)
      break;
    operand.permutation.push_back(found);
  }
  if (operand.permutation.size() == 4 && used.all())
    return operand;
  return failure();
}

} // namespace ropewalk
