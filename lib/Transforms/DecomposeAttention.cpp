//===- DecomposeAttention.cpp - rope.attention by definition ---*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// For every distinct query map of the segments Q is rotated once, for every
// distinct key map K; every pair of them that a segment uses gives one tensor
// of raw scores. An elementwise operation then evaluates the cuts of each row,
// takes each element's score from the pair of its segment, and masks; one
// softmax and one contraction with V follow.
//
// The maximum starts from the lowest finite number: a row with nothing to
// attend to has probabilities exp(-inf - finite) = 0, a sum of 0 and no NaN.
// The sum is compared with 0 and not tested for being positive, so that NaN
// in the inputs stays NaN in the output.
//
//===----------------------------------------------------------------------===//

#include "Ropewalk/Transforms/AttentionEmission.h"
#include "Ropewalk/Transforms/Passes.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/PatternMatch.h"

namespace ropewalk {
#define GEN_PASS_DEF_DECOMPOSEATTENTIONPASS
#include "Ropewalk/Transforms/Passes.h.inc"
} // namespace ropewalk

using namespace mlir;
using namespace ropewalk;

namespace {

/// The position maps of a segment that is not masked.
using MapPair = std::pair<AffineMap, AffineMap>;

class Decomposition {
public:
  Decomposition(rope::AttentionOp op, OpBuilder &b)
      : op(op), b(b), loc(op.getLoc()), emitter(op),
        type(emitter.computeType()) {}

  SmallVector<Value> run();

private:
  Value floatConstant(OpBuilder &b, double value) {
    return arith::ConstantOp::create(b, loc, b.getFloatAttr(type, value));
  }
  Value indexConstant(OpBuilder &b, int64_t value) {
    return arith::ConstantIndexOp::create(b, loc, value);
  }
  Value lowest(OpBuilder &b) {
    return arith::ConstantOp::create(
        b, loc,
        b.getFloatAttr(type, APFloat::getLargest(type.getFloatSemantics(),
                                                 /*Negative=*/true)));
  }
  Value negativeInfinity(OpBuilder &b) {
    return floatConstant(b, -std::numeric_limits<double>::infinity());
  }
  Value filled(ArrayRef<OpFoldResult> sizes, Value value) {
    Value empty = tensor::EmptyOp::create(b, loc, sizes, type);
    return linalg::FillOp::create(b, loc, value, empty).getResult(0);
  }
  AffineMap mapOf(ArrayRef<AffineExpr> exprs, unsigned dims) {
    return AffineMap::get(dims, 0, exprs, b.getContext());
  }

  Value emitScores(Value query, Value key);
  Value emitLogits(ArrayRef<MapPair> pairs, ArrayRef<Value> scores);
  Value emitLogit(OpBuilder &b, ArrayRef<MapPair> pairs, ValueRange scores);
  Value reduce(Value input, Value init, bool isMaximum);

  rope::AttentionOp op;
  OpBuilder &b;
  Location loc;
  AttentionEmitter emitter;
  FloatType type;
};

/// <q, k> for all heads, [B, Hq, Sq, Skv]; head h reads KV head h / group.
Value Decomposition::emitScores(Value query, Value key) {
  SmallVector<OpFoldResult> sizes = tensor::getMixedSizes(b, loc, query);
  sizes[3] = tensor::getMixedSize(b, loc, key, 2);
  Value init = filled(sizes, floatConstant(b, 0));
  SmallVector<AffineExpr> d(5);
  bindDimsList(b.getContext(), MutableArrayRef<AffineExpr>(d));
  AffineExpr kvHead = d[1].floorDiv(emitter.groupSize());
  SmallVector<utils::IteratorType> iterators(5, utils::IteratorType::parallel);
  iterators[4] = utils::IteratorType::reduction;
  return linalg::GenericOp::create(
             b, loc, init.getType(), ValueRange{query, key}, ValueRange{init},
             ArrayRef<AffineMap>{mapOf({d[0], d[1], d[2], d[4]}, 5),
                                 mapOf({d[0], kvHead, d[3], d[4]}, 5),
                                 mapOf({d[0], d[1], d[2], d[3]}, 5)},
             iterators,
             [&](OpBuilder &b, Location loc, ValueRange args) {
               Value product = arith::MulFOp::create(b, loc, args[0], args[1]);
               Value sum = arith::AddFOp::create(b, loc, args[2], product);
               linalg::YieldOp::create(b, loc, sum);
             })
      .getResult(0);
}

/// The body of the choice between scores: one element of the logits.
Value Decomposition::emitLogit(OpBuilder &b, ArrayRef<MapPair> pairs,
                               ValueRange scores) {
  Value item = linalg::IndexOp::create(b, loc, 0);
  Value head = linalg::IndexOp::create(b, loc, 1);
  Value row = linalg::IndexOp::create(b, loc, 2);
  Value column = linalg::IndexOp::create(b, loc, 3);
  Value kvHead = arith::DivUIOp::create(b, loc, head,
                                        indexConstant(b, emitter.groupSize()));
  Value i = emitter.position(b, Side::Query, item, row);
  Value j = emitter.position(b, Side::Key, item, column);

  // Bounds fall from segment to segment, so the last segment whose end lies
  // beyond the key is the one that holds it.
  Value masked = negativeInfinity(b), score = masked;
  Value no = arith::ConstantOp::create(b, loc, b.getBoolAttr(false));
  Value yes = arith::ConstantOp::create(b, loc, b.getBoolAttr(true));
  Value counts = no;
  SmallVector<Value> parameters = emitter.parameters(b, item, kvHead, {});
  SmallVector<Value> cuts = emitter.cuts(b, i, parameters);
  auto less = [&](Value a, Value c) -> Value {
    return arith::CmpIOp::create(b, loc, arith::CmpIPredicate::slt, a, c);
  };
  Value end = emitter.newestEnd(b, i);
  for (auto [segment, from] : llvm::zip_equal(emitter.segments(), cuts)) {
    Value inside = less(j, end);
    counts = arith::SelectOp::create(b, loc, inside, segment.masked ? no : yes,
                                     counts);
    if (!segment.masked) {
      MapPair pair(segment.query, segment.key);
      score = arith::SelectOp::create(
          b, loc, inside, scores[llvm::find(pairs, pair) - pairs.begin()],
          score);
    }
    end = from;
  }
  score = arith::MulFOp::create(
      b, loc, score, floatConstant(b, op.getScale().convertToDouble()));
  if (auto cap = op.getSoftcap()) {
    Value c = floatConstant(b, cap->convertToDouble());
    Value ratio = arith::DivFOp::create(b, loc, score, c);
    score =
        arith::MulFOp::create(b, loc, c, math::TanhOp::create(b, loc, ratio));
  }
  if (Value bias = op.getBias()) {
    SmallVector<Value> indices = {item, head, row, column};
    auto biasType = cast<RankedTensorType>(bias.getType());
    for (unsigned axis : {0u, 1u}) {
      if (biasType.getDimSize(axis) == 1) {
        indices[axis] = indexConstant(b, 0);
      } else if (biasType.isDynamicDim(axis)) {
        Value one = arith::CmpIOp::create(
            b, loc, arith::CmpIPredicate::eq,
            tensor::DimOp::create(b, loc, bias, axis), indexConstant(b, 1));
        indices[axis] = arith::SelectOp::create(
            b, loc, one, indexConstant(b, 0), indices[axis]);
      }
    }
    Value added = tensor::ExtractOp::create(b, loc, bias, indices);
    score = arith::AddFOp::create(b, loc, score,
                                  emitFloatCast(b, loc, added, type));
  }

  auto both = [&](Value a, Value c) {
    return arith::AndIOp::create(b, loc, a, c).getResult();
  };
  Value zero = indexConstant(b, 0);
  auto notNegative = [&](Value a) -> Value {
    return arith::CmpIOp::create(b, loc, arith::CmpIPredicate::sge, a, zero);
  };
  counts = both(counts, both(notNegative(i), notNegative(j)));
  if (Value keyLength = op.getKeyLength()) {
    Value slot = arith::AddIOp::create(
        b, loc, emitter.firstSlot(b, Side::Key, item), column);
    counts = both(counts, less(slot, emitter.perItem(b, keyLength, item)));
  }
  return arith::SelectOp::create(b, loc, counts, score, masked);
}

Value Decomposition::emitLogits(ArrayRef<MapPair> pairs,
                                ArrayRef<Value> scores) {
  SmallVector<OpFoldResult> sizes =
      tensor::getMixedSizes(b, loc, op.getQuery());
  sizes[3] = tensor::getMixedSize(b, loc, op.getKey(), 2);
  Value init = tensor::EmptyOp::create(b, loc, sizes, type);
  SmallVector<AffineMap> maps(scores.size() + 1, b.getMultiDimIdentityMap(4));
  SmallVector<utils::IteratorType> iterators(4, utils::IteratorType::parallel);
  return linalg::GenericOp::create(
             b, loc, init.getType(), ValueRange(scores), ValueRange{init}, maps,
             iterators,
             [&](OpBuilder &b, Location loc, ValueRange args) {
               linalg::YieldOp::create(b, loc,
                                       emitLogit(b, pairs, args.drop_back()));
             })
      .getResult(0);
}

/// Maximum or sum over the keys.
Value Decomposition::reduce(Value input, Value init, bool isMaximum) {
  AffineMap identity = b.getMultiDimIdentityMap(4);
  SmallVector<utils::IteratorType> iterators(4, utils::IteratorType::parallel);
  iterators[3] = utils::IteratorType::reduction;
  return linalg::GenericOp::create(
             b, loc, init.getType(), ValueRange{input}, ValueRange{init},
             ArrayRef<AffineMap>{identity, identity.dropResult(3)}, iterators,
             [&](OpBuilder &b, Location loc, ValueRange args) {
               Value value =
                   isMaximum
                       ? arith::MaximumFOp::create(b, loc, args[1], args[0])
                             .getResult()
                       : arith::AddFOp::create(b, loc, args[1], args[0])
                             .getResult();
               linalg::YieldOp::create(b, loc, value);
             })
      .getResult(0);
}

SmallVector<Value> Decomposition::run() {
  llvm::SmallMapVector<AffineMap, Value, 2> queries, keys;
  for (AffineMap map : emitter.distinctMaps(Side::Query))
    queries[map] =
        emitRotation(b, loc, op.getQuery(), emitter.tables(b, Side::Query, map),
                     emitter.groupSize(), type);
  for (AffineMap map : emitter.distinctMaps(Side::Key))
    keys[map] = emitRotation(b, loc, op.getKey(),
                             emitter.tables(b, Side::Key, map), 1, type);
  SmallVector<MapPair> pairs;
  SmallVector<Value> scores;
  for (const rope::Segment &segment : emitter.segments()) {
    MapPair pair(segment.query, segment.key);
    if (segment.masked || llvm::is_contained(pairs, pair))
      continue;
    pairs.push_back(pair);
    scores.push_back(emitScores(queries[segment.query], keys[segment.key]));
  }
  Value logits = emitLogits(pairs, scores);

  SmallVector<OpFoldResult> rowSizes =
      tensor::getMixedSizes(b, loc, op.getQuery());
  rowSizes.pop_back();
  Value maximum = reduce(logits, filled(rowSizes, lowest(b)), true);
  AffineMap identity = b.getMultiDimIdentityMap(4);
  AffineMap rowMap = identity.dropResult(3);
  SmallVector<utils::IteratorType> parallel4(4, utils::IteratorType::parallel);
  auto exponentials = linalg::GenericOp::create(
      b, loc, logits.getType(), ValueRange{logits, maximum},
      ValueRange{tensor::EmptyOp::create(
          b, loc, tensor::getMixedSizes(b, loc, logits), type)},
      ArrayRef<AffineMap>{identity, rowMap, identity}, parallel4,
      [&](OpBuilder &b, Location loc, ValueRange args) {
        Value shifted = arith::SubFOp::create(b, loc, args[0], args[1]);
        linalg::YieldOp::create(
            b, loc, math::ExpOp::create(b, loc, shifted).getResult());
      });
  Value weights = exponentials.getResult(0);
  Value zero = floatConstant(b, 0);
  Value sum = reduce(weights, filled(rowSizes, zero), false);

  auto isZero = [&](OpBuilder &b, Value value) -> Value {
    return arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OEQ, value,
                                 floatConstant(b, 0));
  };
  // Weights times values, then the division by the sum.
  SmallVector<OpFoldResult> outSizes = rowSizes;
  outSizes.push_back(b.getIndexAttr(op.getValueDim()));
  Value init = filled(outSizes, zero);
  SmallVector<AffineExpr> d(5);
  bindDimsList(b.getContext(), MutableArrayRef<AffineExpr>(d));
  AffineExpr kvHead = d[1].floorDiv(emitter.groupSize());
  SmallVector<utils::IteratorType> iterators(5, utils::IteratorType::parallel);
  iterators[4] = utils::IteratorType::reduction;
  auto product = linalg::GenericOp::create(
      b, loc, init.getType(), ValueRange{weights, op.getValue()},
      ValueRange{init},
      ArrayRef<AffineMap>{mapOf({d[0], d[1], d[2], d[4]}, 5),
                          mapOf({d[0], kvHead, d[4], d[3]}, 5),
                          mapOf({d[0], d[1], d[2], d[3]}, 5)},
      iterators, [&](OpBuilder &b, Location loc, ValueRange args) {
        Value value = emitFloatCast(b, loc, args[1], type);
        Value term = arith::MulFOp::create(b, loc, args[0], value);
        // Slots that do not count may hold anything.
        Value none = isZero(b, args[0]);
        term = arith::SelectOp::create(b, loc, none, floatConstant(b, 0), term);
        linalg::YieldOp::create(
            b, loc, arith::AddFOp::create(b, loc, args[2], term).getResult());
      });
  SmallVector<Value> results;
  auto output = linalg::GenericOp::create(
      b, loc, op.getOutput().getType(), ValueRange{product.getResult(0), sum},
      ValueRange{op.getOutput()},
      ArrayRef<AffineMap>{identity, rowMap, identity}, parallel4,
      [&](OpBuilder &b, Location loc, ValueRange args) {
        Value quotient = arith::DivFOp::create(b, loc, args[0], args[1]);
        Value value = arith::SelectOp::create(b, loc, isZero(b, args[1]),
                                              floatConstant(b, 0), quotient);
        linalg::YieldOp::create(
            b, loc, emitFloatCast(b, loc, value, args[2].getType()));
      });
  results.push_back(output.getResult(0));
  if (Value lse = op.getLse()) {
    AffineMap rows = b.getMultiDimIdentityMap(3);
    auto logSum = linalg::GenericOp::create(
        b, loc, lse.getType(), ValueRange{maximum, sum}, ValueRange{lse},
        ArrayRef<AffineMap>{rows, rows, rows},
        SmallVector<utils::IteratorType>(3, utils::IteratorType::parallel),
        [&](OpBuilder &b, Location loc, ValueRange args) {
          Value total = arith::AddFOp::create(
              b, loc, args[0], math::LogOp::create(b, loc, args[1]));
          Value value = arith::SelectOp::create(b, loc, isZero(b, args[1]),
                                                negativeInfinity(b), total);
          linalg::YieldOp::create(
              b, loc, emitFloatCast(b, loc, value, args[2].getType()));
        });
    results.push_back(logSum.getResult(0));
  }
  return results;
}

struct DecomposeAttentionPass final
    : ropewalk::impl::DecomposeAttentionPassBase<DecomposeAttentionPass> {
  using Base::Base;

  void runOnOperation() override {
    SmallVector<rope::AttentionOp> ops;
    getOperation()->walk([&](rope::AttentionOp op) { ops.push_back(op); });
    IRRewriter rewriter(&getContext());
    for (rope::AttentionOp op : ops) {
      rewriter.setInsertionPoint(op);
      rewriter.replaceOp(op, Decomposition(op, rewriter).run());
    }
  }
};

} // namespace
