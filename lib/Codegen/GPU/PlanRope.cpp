//===- PlanRope.cpp - Kernels of rope operations ----------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// rope.attention becomes three launches: all distinct rotations of the queries
// that the map's segments use, those of the keys, and the attention over the
// segments. Parameters of the map come from device memory per item and KV head,
// so maps that differ only in them share kernels.
//
//===----------------------------------------------------------------------===//

#include "Planner.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include <cmath>

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

namespace {

/// A parameter of a map in device memory: [B|1, Hkv|1, P|1].
struct MapOperand {
  unsigned buffer = 0;
  LaunchArg itemStride = LaunchArg::i64(0), headStride = LaunchArg::i64(0),
            pairStride = LaunchArg::i64(0);
  bool byPair = false;

  void addTo(Launch &launch, bool withPair) const {
    launch.args.push_back(LaunchArg::pointer(buffer));
    launch.args.push_back(itemStride);
    launch.args.push_back(headStride);
    if (withPair && byPair)
      launch.args.push_back(pairStride);
    launch.reads.push_back(buffer);
  }
};

/// Index of `map` in `maps`, appended if it is new.
int indexOf(SmallVector<AffineMap> &maps, AffineMap map) {
  auto *it = llvm::find(maps, map);
  if (it == maps.end())
    it = &(maps.push_back(map), maps.back());
  return it - maps.begin();
}

/// What the kernels do not do yet.
LogicalResult checkSupported(rope::AttentionOp op) {
  auto refuse = [&](StringRef what) {
    return op.emitOpError() << what << " is not supported on GPUs";
  };
  if (op.getInverseFrequencies())
    return refuse("'inverse_frequencies'");
  if (op.getQueryStart() || op.getKeyStart())
    return refuse("'query_start' or 'key_start'");
  if (op.getQueryPositions() || op.getKeyPositions())
    return refuse("'query_positions'");
  SmallVector<Value> tensors = {op.getQuery(), op.getKey(), op.getValue(),
                                op.getOutput()};
  if (op.getBias())
    tensors.push_back(op.getBias());
  if (op.getLse())
    tensors.push_back(op.getLse());
  for (Value value : tensors)
    if (Type element = getElementTypeOrSelf(value.getType()); !element.isF32())
      return op.emitOpError() << "has an operand with elements of type "
                              << element << ", expected f32 on GPUs";
  for (int64_t dim : {op.getHeadDim(), op.getValueDim()})
    if (dim % 8 != 0 || dim > 128)
      return op.emitOpError() << "has a head dimension of " << dim
                              << ", expected a multiple of 8 up to 128";
  return success();
}

} // namespace

LogicalResult EntryPlanner::planAttention(rope::AttentionOp op) {
  if (failed(checkSupported(op)))
    return failure();
  rope::PositionMapAttrInterface map = op.getMap();
  auto parameters = map.getMapParameters();
  SmallVector<rope::Segment> segments = map.getSegments();
  int64_t heads = op.getNumQueryHeads(), kvHeads = op.getNumKVHeads();

  // Parameters: constants of the map and operands, in the order of symbols.
  SmallVector<MapOperand, 2> operands;
  unsigned nextOperand = 0;
  for (const rope::MapParameter &parameter : parameters) {
    MapOperand &operand = operands.emplace_back();
    if (parameter.value) {
      Type type = IntegerType::get(op.getContext(), 64);
      operand.buffer = addConstant(IntegerAttr::get(type, *parameter.value),
                                   type, parameter.name);
      continue;
    }
    Value value = op.getParameters()[nextOperand++];
    Attribute constant;
    if (matchPattern(value, m_Constant(&constant))) {
      operand.buffer = addConstant(constant, value.getType(), parameter.name);
    } else {
      FailureOr<unsigned> buffer = bufferOf(value);
      if (failed(buffer))
        return failure();
      operand.buffer = *buffer;
      if (const PlanBuffer &planned = entry.buffers[*buffer];
          planned.kind == PlanBuffer::Kind::Argument) {
        std::optional<int64_t> &minimum =
            entry.arguments[planned.index].minimum;
        minimum =
            std::max(minimum.value_or(parameter.minimum), parameter.minimum);
      }
    }
    auto type = dyn_cast<RankedTensorType>(value.getType());
    if (!type)
      continue;
    FailureOr<Shape> shape = sizes.shape(value);
    if (failed(shape))
      return failure();
    Shape strides = denseStrides(*shape);
    SizeExpr wanted[] = {(*sizes.shape(op.getQuery()))[0], SizeExpr(kvHeads),
                         SizeExpr(op.getRotary().getNumPairs())};
    auto stride = [&](unsigned dim) {
      if (dim >= shape->size() || (*shape)[dim] == SizeExpr(1))
        return LaunchArg::i64(0);
      LaunchArg arg = LaunchArg::i64(strides[dim]);
      const SizeExpr &size = (*shape)[dim];
      if (size == wanted[dim])
        return arg;
      // Known at run time only: 1, and then the axis is broadcast, or all.
      std::string text = size.str();
      arg.text = "(" + text + ">1)*(" + strides[dim].str() + ")";
      addCheck("(" + text + "==1)+(" + text + "==" + wanted[dim].str() + ")>=1",
               "a parameter has one value for all, or one for each item, KV "
               "head and pair");
      return arg;
    };
    operand.itemStride = stride(0);
    operand.headStride = stride(1);
    operand.pairStride = stride(2);
    operand.byPair = shape->size() > 2 && (*shape)[2] != SizeExpr(1);
  }

  FailureOr<Shape> queryShape = sizes.shape(op.getQuery()),
                   keyShape = sizes.shape(op.getKey());
  FailureOr<unsigned> query = bufferOf(op.getQuery()),
                      key = bufferOf(op.getKey()),
                      value = bufferOf(op.getValue());
  if (failed(queryShape) || failed(keyShape) || failed(query) || failed(key) ||
      failed(value))
    return failure();
  SizeExpr items = (*queryShape)[0], queryRows = (*queryShape)[2],
           keyRows = (*keyShape)[2];
  addLimit(items * SizeExpr(heads), 65535, "the number of heads of a batch");

  // Which rotations there are, and which one a segment uses.
  SmallVector<AffineMap> queryMaps, keyMaps;
  AttentionKernel attention;
  for (const rope::Segment &segment : segments) {
    attention.queryIndex.push_back(
        segment.masked ? -1 : indexOf(queryMaps, segment.query));
    attention.keyIndex.push_back(
        segment.masked ? -1 : indexOf(keyMaps, segment.key));
  }
  unsigned rotary = tableOf(op.getRotary(), map.getUnit());
  auto tableBuffer = [&](PlanBuffer::Kind kind) {
    auto [it, isNew] = tableBuffers.try_emplace(
        {rotary, static_cast<unsigned>(kind)}, entry.buffers.size());
    if (isNew) {
      PlanBuffer buffer;
      buffer.kind = kind;
      buffer.index = rotary;
      addBuffer(std::move(buffer));
    }
    return it->second;
  };
  unsigned low = tableBuffer(PlanBuffer::Kind::TableLow),
           high = tableBuffer(PlanBuffer::Kind::TableHigh);

  auto planRotation = [&](ArrayRef<AffineMap> maps, unsigned source,
                          int64_t numHeads, SizeExpr rows, Value offset,
                          Value length) -> FailureOr<SmallVector<unsigned>> {
    RotateKernel kernel;
    kernel.maps.assign(maps.begin(), maps.end());
    kernel.type = Float32Type::get(op.getContext());
    kernel.headDim = op.getHeadDim();
    kernel.rotaryDim = op.getRotary().getDim();
    kernel.headsPerKV = numHeads / kvHeads;
    for (const MapOperand &operand : operands)
      kernel.byPair.push_back(operand.byPair);
    Launch launch;
    launch.args.push_back(LaunchArg::pointer(source));
    launch.reads.push_back(source);
    SmallVector<unsigned> outputs;
    for (size_t i = 0; i < maps.size(); ++i) {
      unsigned output = addWorkspace(items * SizeExpr(numHeads) * rows *
                                     SizeExpr(4 * op.getHeadDim()));
      outputs.push_back(output);
      launch.writes.push_back(output);
      launch.args.push_back(LaunchArg::pointer(output));
    }
    for (unsigned buffer : {low, high}) {
      launch.args.push_back(LaunchArg::pointer(buffer));
      launch.reads.push_back(buffer);
    }
    for (const SizeExpr &size : {items, SizeExpr(numHeads), rows})
      launch.args.push_back(LaunchArg::i32(size));
    FailureOr<PerItem> offsetKind = perItem(offset, launch),
                       positionKind = perItem(op.getPositionOffset(), launch),
                       lengthKind = perItem(length, launch);
    if (failed(offsetKind) || failed(positionKind) || failed(lengthKind))
      return failure();
    kernel.offset = *offsetKind;
    kernel.positionOffset = *positionKind;
    kernel.length = *lengthKind;
    for (const MapOperand &operand : operands)
      operand.addTo(launch, /*withPair=*/true);
    launch.kernel = table.get("rotate", kernel);
    launch.grid[0] = {rows * SizeExpr(kernel.threadsPerRow()),
                      RotateKernel::kThreads};
    launch.grid[1] = {items * SizeExpr(numHeads), 1};
    addLaunch(op, std::move(launch));
    return outputs;
  };
  if (queryMaps.empty())
    return op.emitOpError() << "has a map whose segments are all masked";
  auto queries = planRotation(queryMaps, *query, heads, queryRows,
                              op.getQueryOffset(), Value());
  if (failed(queries))
    return failure();
  auto keys =
      planRotation(keyMaps, *key, kvHeads, keyRows, Value(), op.getKeyLength());
  FailureOr<unsigned> result = addResultBuffer(op->getResult(0));
  if (failed(keys) || failed(result))
    return failure();

  attention.segments = segments;
  attention.numParameters = parameters.size();
  attention.numQueries = queryMaps.size();
  attention.numKeys = keyMaps.size();
  attention.headDim = op.getHeadDim();
  attention.valueDim = op.getValueDim();
  attention.headsPerKV = heads / kvHeads;
  attention.causal = op.getCausal();
  double scale = op.getScale().convertToDouble() * M_LOG2E;
  if (std::optional<APFloat> softcap = op.getSoftcap()) {
    attention.softcap = softcap->convertToDouble();
    scale = op.getScale().convertToDouble() / *attention.softcap;
  }
  Launch launch;
  auto read = [&](unsigned buffer) {
    launch.args.push_back(LaunchArg::pointer(buffer));
    launch.reads.push_back(buffer);
  };
  llvm::for_each(*queries, read);
  llvm::for_each(*keys, read);
  read(*value);
  launch.args.push_back(LaunchArg::pointer(*result));
  launch.writes.push_back(*result);
  for (const SizeExpr &size : {SizeExpr(heads), queryRows, keyRows})
    launch.args.push_back(LaunchArg::i32(size));
  launch.args.push_back(LaunchArg::f32(scale));
  FailureOr<PerItem> offsetKind = perItem(op.getQueryOffset(), launch),
                     positionKind = perItem(op.getPositionOffset(), launch),
                     lengthKind = perItem(op.getKeyLength(), launch);
  if (failed(offsetKind) || failed(positionKind) || failed(lengthKind))
    return failure();
  attention.offset = *offsetKind;
  attention.positionOffset = *positionKind;
  attention.length = *lengthKind;
  for (const MapOperand &operand : operands)
    operand.addTo(launch, /*withPair=*/false);
  if (Value bias = op.getBias()) {
    FailureOr<Shape> shape = sizes.shape(bias);
    FailureOr<unsigned> buffer = bufferOf(bias);
    if (failed(shape) || failed(buffer))
      return failure();
    read(*buffer);
    Shape strides = denseStrides(*shape);
    for (unsigned dim : {0, 1})
      launch.args.push_back(LaunchArg::i64(
          (*shape)[dim] == SizeExpr(1) ? SizeExpr(0) : strides[dim]));
    attention.hasBias = true;
  }
  if (op.getLse()) {
    FailureOr<unsigned> buffer = addResultBuffer(op->getResult(1));
    if (failed(buffer))
      return failure();
    launch.args.push_back(LaunchArg::pointer(*buffer));
    launch.writes.push_back(*buffer);
    attention.hasLogSumExp = true;
  }
  launch.kernel = table.get("attention", attention);
  launch.grid[0] = {queryRows, attention.queries()};
  launch.grid[1] = {items * SizeExpr(heads), 1};
  addLaunch(op, std::move(launch));
  return success();
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
