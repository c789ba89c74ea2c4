//===- RopeOps.cpp - Verification of the operations --------- -*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Ropewalk/IR/Rope.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Builders.h"

#include <cmath>

using namespace mlir;
using namespace ropewalk::rope;

#define GET_OP_CLASSES
#include "Ropewalk/IR/RopeOps.cpp.inc"

//===----------------------------------------------------------------------===//
// Helpers
//===----------------------------------------------------------------------===//

/// True unless both sizes are static and differ.
static bool agree(int64_t a, int64_t b) {
  return ShapedType::isDynamic(a) || ShapedType::isDynamic(b) || a == b;
}
/// The same where a size of 1 is broadcast.
static bool broadcasts(int64_t size, int64_t target) {
  return size == 1 || agree(size, target);
}

static std::string spellSize(int64_t size) {
  return ShapedType::isDynamic(size) ? "?" : std::to_string(size);
}
static std::string spellShape(ArrayRef<int64_t> shape) {
  std::string text = "[";
  llvm::raw_string_ostream os(text);
  llvm::interleaveComma(shape, os, [&](int64_t s) { os << spellSize(s); });
  return text + "]";
}

static LogicalResult verifyPerItem(Operation *op, Value value, StringRef name,
                                   int64_t batch, StringRef constraint) {
  if (!value)
    return success();
  auto type = dyn_cast<RankedTensorType>(value.getType());
  if (!type || agree(type.getDimSize(0), batch))
    return success();
  return op->emitOpError() << "(" << constraint << ") " << name
                           << " must be i64 or have the batch size "
                           << spellSize(batch) << ", got "
                           << spellSize(type.getDimSize(0));
}

/// Sizes of the inits, which results of operations in destination-passing
/// style share.
static LogicalResult reifyInits(Operation *op, OpBuilder &builder,
                                ReifiedRankedShapedTypeDims &shapes) {
  auto destination = cast<DestinationStyleOpInterface>(op);
  for (Value init : destination.getDpsInits())
    shapes.push_back(tensor::getMixedSizes(builder, op->getLoc(), init));
  return success();
}

//===----------------------------------------------------------------------===//
// AttentionOp
//===----------------------------------------------------------------------===//

static LogicalResult verifyAttentionShapes(AttentionOp op) {
  RankedTensorType query = op.getQuery().getType();
  RankedTensorType key = op.getKey().getType();
  RankedTensorType value = op.getValue().getType();
  int64_t batch = query.getDimSize(0), rows = query.getDimSize(2);
  int64_t slots = key.getDimSize(2);

  if (op.getOutputs().empty() || op.getOutputs().size() > 2 ||
      op.getOutputs().size() != op.getResults().size())
    return op.emitOpError()
           << "(C6) must have one output or two, and as many results, got "
           << op.getOutputs().size() << " and " << op.getResults().size();
  auto output = cast<RankedTensorType>(op.getOutput().getType());

  // C1
  for (auto [name, size] :
       {std::pair("heads of query", query.getDimSize(1)),
        std::pair("heads of key", key.getDimSize(1)),
        std::pair("head dimension of query", query.getDimSize(3)),
        std::pair("head dimension of value", value.getDimSize(3))})
    if (ShapedType::isDynamic(size) || size == 0)
      return op.emitOpError()
             << "(C1) " << name << " must be static and not 0, got "
             << spellSize(size);
  // C2
  for (auto [name, type] : {std::pair("key", key), std::pair("value", value),
                            std::pair("output", output)})
    if (!agree(type.getDimSize(0), batch))
      return op.emitOpError()
             << "(C2) " << name << " must have the batch size of query, "
             << spellSize(batch) << ", got " << spellSize(type.getDimSize(0));
  // C3
  if (!agree(key.getDimSize(1), value.getDimSize(1)))
    return op.emitOpError()
           << "(C3) value must have the heads of key, " << key.getDimSize(1)
           << ", got " << spellSize(value.getDimSize(1));
  if (op.getNumQueryHeads() % op.getNumKVHeads() != 0)
    return op.emitOpError()
           << "(C3) heads of query must be a multiple of " << op.getNumKVHeads()
           << ", got " << op.getNumQueryHeads();
  // C4
  if (!agree(slots, value.getDimSize(2)))
    return op.emitOpError()
           << "(C4) value must have the slots of key, " << spellSize(slots)
           << ", got " << spellSize(value.getDimSize(2));
  // C5
  if (!agree(op.getHeadDim(), key.getDimSize(3)))
    return op.emitOpError()
           << "(C5) key must have the head dimension of query, "
           << op.getHeadDim() << ", got " << spellSize(key.getDimSize(3));
  if (op.getHeadDim() < op.getRotary().getDim())
    return op.emitOpError()
           << "(C5) head dimension of query must be at least that of rotary, "
           << op.getRotary().getDim() << ", got " << op.getHeadDim();
  // C6
  SmallVector<int64_t> expected = {batch, op.getNumQueryHeads(), rows,
                                   op.getValueDim()};
  for (auto [index, init] : llvm::enumerate(op.getOutputs())) {
    auto type = cast<RankedTensorType>(init.getType());
    ArrayRef<int64_t> sizes = ArrayRef(expected).take_front(index == 0 ? 4 : 3);
    if (type.getRank() != static_cast<int64_t>(sizes.size()) ||
        !llvm::all_of(llvm::zip(type.getShape(), sizes), [](auto pair) {
          return agree(std::get<0>(pair), std::get<1>(pair));
        }))
      return op.emitOpError() << "(C6) output " << index << " must be "
                              << spellShape(sizes) << ", got " << type;
    if (index == 1 && !type.getElementType().isF32())
      return op.emitOpError()
             << "(C6) output 1, the log-sum-exp, must be f32, got "
             << type.getElementType();
    Type result = op.getResults()[index].getType();
    if (result != type)
      return op.emitOpError()
             << "(C6) result " << index << " must have the type of its output, "
             << type << ", got " << result;
  }
  // C7
  if (Value bias = op.getBias()) {
    ArrayRef<int64_t> shape = cast<RankedTensorType>(bias.getType()).getShape();
    if (!broadcasts(shape[0], batch) ||
        !broadcasts(shape[1], op.getNumQueryHeads()) ||
        !agree(shape[2], rows) || !agree(shape[3], slots))
      return op.emitOpError()
             << "(C7) bias must be [" << spellSize(batch) << "|1, "
             << op.getNumQueryHeads() << "|1, " << spellSize(rows) << ", "
             << spellSize(slots) << "], got " << spellShape(shape);
  }
  return success();
}

static LogicalResult verifyMapParameters(AttentionOp op) {
  PositionMapAttrInterface map = op.getMap();
  int64_t batch = op.getQuery().getType().getDimSize(0);
  int64_t pairs = op.getRotary().getNumPairs();
  SmallVector<unsigned> runTime;
  SmallVector<MapParameter> parameters = map.getMapParameters();
  for (auto [index, parameter] : llvm::enumerate(parameters))
    if (!parameter.value)
      runTime.push_back(index);
  // C9
  if (runTime.size() != op.getParameters().size())
    return op.emitOpError() << "(C9) must have one operand for each of the "
                            << runTime.size() << " run-time parameters of "
                            << map << ", got " << op.getParameters().size();
  // C10
  for (auto [index, value] : llvm::zip(runTime, op.getParameters())) {
    auto type = dyn_cast<RankedTensorType>(value.getType());
    if (!type)
      continue;
    int64_t limits[] = {batch, op.getNumKVHeads(), pairs};
    for (auto [axis, size] : llvm::enumerate(type.getShape()))
      if (!broadcasts(size, limits[axis]))
        return op.emitOpError()
               << "(C10) parameter '" << parameters[index].name << "' must be ["
               << spellSize(batch) << "|1, " << op.getNumKVHeads() << "|1, "
               << pairs << "|1], got " << spellShape(type.getShape());
    if (type.getRank() == 3 && type.getDimSize(2) != 1 &&
        isUsedByCuts(map, index))
      return op.emitOpError()
             << "(C10) parameter '" << parameters[index].name
             << "' cuts segments and must have no axis of pairs, got "
             << spellShape(type.getShape());
  }
  return success();
}

LogicalResult AttentionOp::verify() {
  if (failed(verifyAttentionShapes(*this)))
    return failure();
  int64_t batch = getQuery().getType().getDimSize(0);
  // C8
  for (auto [name, value] : {std::pair("query_offset", getQueryOffset()),
                             std::pair("key_length", getKeyLength()),
                             std::pair("position_offset", getPositionOffset()),
                             std::pair("sequence_length", getSequenceLength())})
    if (failed(verifyPerItem(*this, value, name, batch, "C8")))
      return failure();
  // C9, C10
  if (failed(verifyMapParameters(*this)))
    return failure();
  // C11
  if (Value frequencies = getInverseFrequencies()) {
    ArrayRef<int64_t> shape =
        cast<RankedTensorType>(frequencies.getType()).getShape();
    if (!broadcasts(shape[0], getNumKVHeads()) ||
        !agree(shape[1], getRotary().getNumPairs()))
      return emitOpError() << "(C11) inverse_frequencies must be ["
                           << getNumKVHeads() << "|1, "
                           << getRotary().getNumPairs() << "], got "
                           << spellShape(shape);
  }
  // C12
  if (!getCausal() && movesPositions(getMap()))
    return emitOpError() << "(C12) a map that moves positions needs 'causal', "
                            "got "
                         << getMap();
  // C13
  if (!getScale().isFinite())
    return emitOpError() << "(C13) scale must be finite, got "
                         << getScale().convertToDouble();
  if (std::optional<llvm::APFloat> softcap = getSoftcap();
      softcap &&
      (!softcap->isFinite() || softcap->isNegative() || softcap->isZero()))
    return emitOpError() << "(C13) softcap must be finite and greater than 0, "
                            "got "
                         << softcap->convertToDouble();
  // C14
  Value queryPositions = getQueryPositions(), keyPositions = getKeyPositions();
  if (!queryPositions != !keyPositions)
    return emitOpError() << "(C14) query_positions and key_positions must both "
                            "be there or none, got only "
                         << (queryPositions ? "query_positions"
                                            : "key_positions");
  if (!queryPositions)
    return success();
  for (auto [name, value] : {std::pair("query_offset", getQueryOffset()),
                             std::pair("position_offset", getPositionOffset()),
                             std::pair("query_start", Value(getQueryStart())),
                             std::pair("key_start", Value(getKeyStart()))})
    if (value)
      return emitOpError() << "(C14) explicit positions exclude " << name;
  for (auto [name, value, size] :
       {std::tuple("query_positions", queryPositions,
                   getQuery().getType().getDimSize(2)),
        std::tuple("key_positions", keyPositions,
                   getKey().getType().getDimSize(2))}) {
    ArrayRef<int64_t> shape =
        cast<RankedTensorType>(value.getType()).getShape();
    if (!broadcasts(shape[0], batch) || !agree(shape[1], size))
      return emitOpError() << "(C14) " << name << " must be ["
                           << spellSize(batch) << "|1, " << spellSize(size)
                           << "], got " << spellShape(shape);
  }
  return success();
}

LogicalResult
AttentionOp::reifyResultShapes(OpBuilder &builder,
                               ReifiedRankedShapedTypeDims &shapes) {
  return reifyInits(*this, builder, shapes);
}

//===----------------------------------------------------------------------===//
// RotateOp
//===----------------------------------------------------------------------===//

LogicalResult RotateOp::verify() {
  RankedTensorType input = getInput().getType();
  // C1
  int64_t headDim = input.getDimSize(3);
  if (ShapedType::isDynamic(headDim) || headDim < getRotary().getDim())
    return emitOpError()
           << "(C1) head dimension of input must be static and at "
              "least "
           << getRotary().getDim() << ", got " << spellSize(headDim);
  // C2
  ArrayRef<int64_t> positions = getPositions().getType().getShape();
  if (!broadcasts(positions[0], input.getDimSize(0)) ||
      !agree(positions[1], input.getDimSize(2)))
    return emitOpError() << "(C2) positions must be ["
                         << spellSize(input.getDimSize(0)) << "|1, "
                         << spellSize(input.getDimSize(2)) << "], got "
                         << spellShape(positions);
  // C3
  RankedTensorType output = getOutput().getType();
  if (!llvm::all_of(llvm::zip(output.getShape(), input.getShape()),
                    [](auto pair) {
                      return agree(std::get<0>(pair), std::get<1>(pair));
                    }))
    return emitOpError() << "(C3) output must be "
                         << spellShape(input.getShape()) << ", got "
                         << spellShape(output.getShape());
  if (getResult().getType() != output)
    return emitOpError() << "(C3) result must have the type of output, "
                         << output << ", got " << getResult().getType();
  return success();
}

LogicalResult RotateOp::reifyResultShapes(OpBuilder &builder,
                                          ReifiedRankedShapedTypeDims &shapes) {
  return reifyInits(*this, builder, shapes);
}

//===----------------------------------------------------------------------===//
// UpdateCacheOp
//===----------------------------------------------------------------------===//

LogicalResult UpdateCacheOp::verify() {
  RankedTensorType rows = getRows().getType(), cache = getCache().getType();
  // C1
  for (auto [name, axis] : {std::pair("batch size", 0), std::pair("heads", 1),
                            std::pair("head dimension", 3)})
    if (!agree(rows.getDimSize(axis), cache.getDimSize(axis)))
      return emitOpError() << "(C1) rows must have the " << name
                           << " of cache, " << spellSize(cache.getDimSize(axis))
                           << ", got " << spellSize(rows.getDimSize(axis));
  if (rows.getElementType() != cache.getElementType())
    return emitOpError() << "(C1) rows must have the element type of cache, "
                         << cache.getElementType() << ", got "
                         << rows.getElementType();
  // C2
  if (failed(verifyPerItem(*this, getOffset(), "offset", cache.getDimSize(0),
                           "C2")))
    return failure();
  // C3
  if (getResult().getType() != cache)
    return emitOpError() << "(C3) result must have the type of cache, " << cache
                         << ", got " << getResult().getType();
  return success();
}

LogicalResult
UpdateCacheOp::reifyResultShapes(OpBuilder &builder,
                                 ReifiedRankedShapedTypeDims &shapes) {
  return reifyInits(*this, builder, shapes);
}
