//===- PlanAttention.cpp - Kernels of rope.attention ------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// For several queries an item there are three launches: all distinct rotations
// of the queries that the map's segments use, those of the keys, and the
// attention over the segments. For one query keys are rotated where they are
// read: attention over parts of the keys, and the merge of the parts.
// Parameters of the map come from device memory per item and KV head, so maps
// that differ only in them share kernels.
//
//===----------------------------------------------------------------------===//

#include "Planner.h"

#include <cmath>

using namespace mlir;
using namespace ropewalk;
using namespace ropewalk::codegen;

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

namespace ropewalk::codegen {

class AttentionPlanner {
public:
  AttentionPlanner(EntryPlanner &planner, rope::AttentionOp op)
      : planner(planner), op(op), map(op.getMap()) {}

  LogicalResult plan();

private:
  LogicalResult collectParameters();
  LogicalResult collectBuffers();
  LogicalResult collectMaps();
  unsigned tableBuffer(PlanBuffer::Kind kind);
  FailureOr<SmallVector<unsigned>> planRotation(ArrayRef<AffineMap> maps,
                                                unsigned source,
                                                int64_t numHeads, SizeExpr rows,
                                                Value offset, Value length);
  LogicalResult planTiled();
  LogicalResult planDecode();
  LogicalResult addPerItem(Launch &launch);
  /// Arguments of `buffer` as something that the launch reads, or writes.
  static void read(Launch &launch, unsigned buffer) {
    launch.args.push_back(LaunchArg::pointer(buffer));
    launch.reads.push_back(buffer);
  }
  static void write(Launch &launch, unsigned buffer) {
    launch.args.push_back(LaunchArg::pointer(buffer));
    launch.writes.push_back(buffer);
  }

  EntryPlanner &planner;
  rope::AttentionOp op;
  rope::PositionMapAttrInterface map;
  SmallVector<MapOperand, 2> operands;
  SmallVector<AffineMap> queryMaps, keyMaps;
  AttentionKernel attention;
  double scale = 1.0;
  SizeExpr items, queryRows, keyRows;
  int64_t heads = 0, kvHeads = 0;
  unsigned query = 0, key = 0, value = 0, rotary = 0;
};

} // namespace ropewalk::codegen

LogicalResult AttentionPlanner::collectBuffers() {
  FailureOr<Shape> queryShape = planner.sizes.shape(op.getQuery()),
                   keyShape = planner.sizes.shape(op.getKey());
  FailureOr<unsigned> queryBuffer = planner.bufferOf(op.getQuery()),
                      keyBuffer = planner.bufferOf(op.getKey()),
                      valueBuffer = planner.bufferOf(op.getValue());
  if (failed(queryShape) || failed(keyShape) || failed(queryBuffer) ||
      failed(keyBuffer) || failed(valueBuffer))
    return failure();
  query = *queryBuffer;
  key = *keyBuffer;
  value = *valueBuffer;
  items = (*queryShape)[0];
  queryRows = (*queryShape)[2];
  keyRows = (*keyShape)[2];
  heads = op.getNumQueryHeads();
  kvHeads = op.getNumKVHeads();
  planner.addLimit(items * SizeExpr(heads), 65535,
                   "the number of heads of a batch");
  return success();
}

/// Parameters: constants of the map and operands, in the order of symbols.
LogicalResult AttentionPlanner::collectParameters() {
  unsigned nextOperand = 0;
  for (const rope::MapParameter &parameter : map.getMapParameters()) {
    MapOperand &operand = operands.emplace_back();
    if (parameter.value) {
      Type type = IntegerType::get(op.getContext(), 64);
      operand.buffer = planner.addConstant(
          IntegerAttr::get(type, *parameter.value), type, parameter.name);
      continue;
    }
    Value value = op.getParameters()[nextOperand++];
    Attribute constant;
    if (matchPattern(value, m_Constant(&constant))) {
      operand.buffer =
          planner.addConstant(constant, value.getType(), parameter.name);
    } else {
      FailureOr<unsigned> buffer = planner.bufferOf(value);
      if (failed(buffer))
        return failure();
      operand.buffer = *buffer;
      if (const PlanBuffer &planned = planner.entry.buffers[*buffer];
          planned.kind == PlanBuffer::Kind::Argument) {
        std::optional<int64_t> &minimum =
            planner.entry.arguments[planned.index].minimum;
        minimum =
            std::max(minimum.value_or(parameter.minimum), parameter.minimum);
      }
    }
    auto type = dyn_cast<RankedTensorType>(value.getType());
    if (!type)
      continue;
    FailureOr<Shape> shape = planner.sizes.shape(value);
    if (failed(shape))
      return failure();
    Shape strides = denseStrides(*shape);
    SizeExpr wanted[] = {items, SizeExpr(kvHeads),
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
      planner.addCheck(
          "(" + text + "==1)+(" + text + "==" + wanted[dim].str() + ")>=1",
          "a parameter has one value for all, or one for each item, KV "
          "head and pair");
      return arg;
    };
    operand.itemStride = stride(0);
    operand.headStride = stride(1);
    operand.pairStride = stride(2);
    operand.byPair = shape->size() > 2 && (*shape)[2] != SizeExpr(1);
  }
  return success();
}

/// Which rotations there are, and which one a segment uses.
LogicalResult AttentionPlanner::collectMaps() {
  attention.segments = map.getSegments();
  for (const rope::Segment &segment : attention.segments) {
    attention.queryIndex.push_back(
        segment.masked ? -1 : indexOf(queryMaps, segment.query));
    attention.keyIndex.push_back(
        segment.masked ? -1 : indexOf(keyMaps, segment.key));
  }
  if (queryMaps.empty())
    return op.emitOpError() << "has a map whose segments are all masked";
  attention.numParameters = operands.size();
  attention.numQueries = queryMaps.size();
  attention.numKeys = keyMaps.size();
  attention.headDim = op.getHeadDim();
  attention.valueDim = op.getValueDim();
  attention.headsPerKV = heads / kvHeads;
  attention.causal = op.getCausal();
  scale = op.getScale().convertToDouble() * M_LOG2E;
  if (std::optional<APFloat> softcap = op.getSoftcap()) {
    attention.softcap = softcap->convertToDouble();
    scale = op.getScale().convertToDouble() / *attention.softcap;
  }
  rotary = planner.tableOf(op.getRotary(), map.getUnit());
  return success();
}

unsigned AttentionPlanner::tableBuffer(PlanBuffer::Kind kind) {
  auto [it, isNew] = planner.tableBuffers.try_emplace(
      {rotary, static_cast<unsigned>(kind)}, planner.entry.buffers.size());
  if (isNew) {
    PlanBuffer buffer;
    buffer.kind = kind;
    buffer.index = rotary;
    planner.addBuffer(std::move(buffer));
  }
  return it->second;
}

LogicalResult AttentionPlanner::addPerItem(Launch &launch) {
  FailureOr<PerItem> offset = planner.perItem(op.getQueryOffset(), launch),
                     position = planner.perItem(op.getPositionOffset(), launch),
                     length = planner.perItem(op.getKeyLength(), launch);
  if (failed(offset) || failed(position) || failed(length))
    return failure();
  attention.offset = *offset;
  attention.positionOffset = *position;
  attention.length = *length;
  return success();
}

FailureOr<SmallVector<unsigned>>
AttentionPlanner::planRotation(ArrayRef<AffineMap> maps, unsigned source,
                               int64_t numHeads, SizeExpr rows, Value offset,
                               Value length) {
  RotateKernel kernel;
  kernel.maps.assign(maps.begin(), maps.end());
  kernel.type = Float32Type::get(op.getContext());
  kernel.headDim = op.getHeadDim();
  kernel.rotaryDim = op.getRotary().getDim();
  kernel.headsPerKV = numHeads / kvHeads;
  for (const MapOperand &operand : operands)
    kernel.byPair.push_back(operand.byPair);
  Launch launch;
  read(launch, source);
  SmallVector<unsigned> outputs;
  for (size_t i = 0; i < maps.size(); ++i) {
    outputs.push_back(planner.addWorkspace(items * SizeExpr(numHeads) * rows *
                                           SizeExpr(4 * op.getHeadDim())));
    write(launch, outputs.back());
  }
  read(launch, tableBuffer(PlanBuffer::Kind::TableLow));
  read(launch, tableBuffer(PlanBuffer::Kind::TableHigh));
  for (const SizeExpr &size : {items, SizeExpr(numHeads), rows})
    launch.args.push_back(LaunchArg::i32(size));
  FailureOr<PerItem> offsetKind = planner.perItem(offset, launch),
                     positionKind =
                         planner.perItem(op.getPositionOffset(), launch),
                     lengthKind = planner.perItem(length, launch);
  if (failed(offsetKind) || failed(positionKind) || failed(lengthKind))
    return failure();
  kernel.offset = *offsetKind;
  kernel.positionOffset = *positionKind;
  kernel.length = *lengthKind;
  for (const MapOperand &operand : operands)
    operand.addTo(launch, /*withPair=*/true);
  launch.kernel = planner.table.get("rotate", kernel);
  launch.grid[0] = {rows * SizeExpr(kernel.threadsPerRow()),
                    RotateKernel::kThreads};
  launch.grid[1] = {items * SizeExpr(numHeads), 1};
  planner.addLaunch(op, std::move(launch));
  return outputs;
}

LogicalResult AttentionPlanner::planTiled() {
  auto queries = planRotation(queryMaps, query, heads, queryRows,
                              op.getQueryOffset(), Value());
  if (failed(queries))
    return failure();
  auto keys =
      planRotation(keyMaps, key, kvHeads, keyRows, Value(), op.getKeyLength());
  FailureOr<unsigned> result = planner.addResultBuffer(op->getResult(0));
  if (failed(keys) || failed(result))
    return failure();

  Launch launch;
  for (unsigned buffer : *queries)
    read(launch, buffer);
  for (unsigned buffer : *keys)
    read(launch, buffer);
  read(launch, value);
  write(launch, *result);
  for (const SizeExpr &size : {SizeExpr(heads), queryRows, keyRows})
    launch.args.push_back(LaunchArg::i32(size));
  launch.args.push_back(LaunchArg::f32(scale));
  if (failed(addPerItem(launch)))
    return failure();
  for (const MapOperand &operand : operands)
    operand.addTo(launch, /*withPair=*/false);
  if (Value bias = op.getBias()) {
    FailureOr<Shape> shape = planner.sizes.shape(bias);
    FailureOr<unsigned> buffer = planner.bufferOf(bias);
    if (failed(shape) || failed(buffer))
      return failure();
    read(launch, *buffer);
    Shape strides = denseStrides(*shape);
    for (unsigned dim : {0, 1})
      launch.args.push_back(LaunchArg::i64(
          (*shape)[dim] == SizeExpr(1) ? SizeExpr(0) : strides[dim]));
    attention.hasBias = true;
  }
  if (op.getLse()) {
    FailureOr<unsigned> buffer = planner.addResultBuffer(op->getResult(1));
    if (failed(buffer))
      return failure();
    write(launch, *buffer);
    attention.hasLogSumExp = true;
  }
  launch.kernel = planner.table.get("attention", attention);
  launch.grid[0] = {queryRows, attention.queries()};
  launch.grid[1] = {items * SizeExpr(heads), 1};
  planner.addLaunch(op, std::move(launch));
  return success();
}

LogicalResult AttentionPlanner::planDecode() {
  DecodeAttentionKernel kernel;
  kernel.queryMaps = queryMaps;
  kernel.keyMaps = keyMaps;
  kernel.rotaryDim = op.getRotary().getDim();
  for (const MapOperand &operand : operands)
    kernel.byPair.push_back(operand.byPair);

  // The number of parts is no polynomial, so it is a symbol that is its own
  // definition in the manifest's language.
  constexpr int64_t slots = DecodeAttentionKernel::kPartSlots;
  SizeExpr slotCount = keyRows.substitute(kTokens, 1);
  std::optional<int64_t> constant = slotCount.asConstant();
  SizeExpr parts = constant
                       ? SizeExpr((*constant + slots - 1) / slots)
                       : SizeExpr::symbol("ceildiv(" + slotCount.str() + "," +
                                          std::to_string(slots) + ")");
  unsigned partial = planner.addWorkspace(items * SizeExpr(heads) * parts *
                                          SizeExpr(4 * op.getValueDim())),
           statistics = planner.addWorkspace(items * SizeExpr(heads) * parts *
                                             SizeExpr(8));
  FailureOr<unsigned> result = planner.addResultBuffer(op->getResult(0));
  if (failed(result))
    return failure();

  Launch launch;
  read(launch, query);
  read(launch, key);
  read(launch, value);
  write(launch, partial);
  write(launch, statistics);
  read(launch, tableBuffer(PlanBuffer::Kind::TableLow));
  read(launch, tableBuffer(PlanBuffer::Kind::TableHigh));
  for (const SizeExpr &size : {SizeExpr(heads), keyRows})
    launch.args.push_back(LaunchArg::i32(size));
  launch.args.push_back(LaunchArg::f32(scale));
  if (failed(addPerItem(launch)))
    return failure();
  for (const MapOperand &operand : operands)
    operand.addTo(launch, /*withPair=*/true);
  kernel.attention = attention;
  launch.kernel = planner.table.get("decode_attention", kernel);
  launch.grid[0] = {parts, 1};
  launch.grid[1] = {items * SizeExpr(kvHeads), 1};
  planner.addLaunch(op, std::move(launch));

  MergeKernel mergeKernel;
  mergeKernel.valueDim = op.getValueDim();
  Launch merge;
  read(merge, partial);
  read(merge, statistics);
  write(merge, *result);
  merge.args.push_back(LaunchArg::i32(parts));
  merge.kernel = planner.table.get("merge", mergeKernel);
  merge.grid[0] = {items * SizeExpr(heads), 1};
  planner.addLaunch(op, std::move(merge));
  return success();
}

LogicalResult AttentionPlanner::plan() {
  if (failed(checkSupported(op)) || failed(collectBuffers()) ||
      failed(collectParameters()) || failed(collectMaps()))
    return failure();
  bool isOneQuery = planner.isDecode && queryRows.substitute(kTokens, 1) == 1;
  if (isOneQuery && !op.getBias() && !op.getLse() &&
      attention.headsPerKV <= DecodeAttentionKernel::kMaximumRows)
    return planDecode();
  return planTiled();
}

LogicalResult EntryPlanner::planAttention(rope::AttentionOp op) {
  return AttentionPlanner(*this, op).plan();
}
