//===- PlanLinalg.cpp - Kernels of linalg operations ------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A contraction (m, k) x (n, k) -> (m, n) has kernels of its own. Any other
// operation is a loop nest over dense tensors: loops of one iteration go away,
// adjacent loops along which every tensor is contiguous become one, and what is
// left decides the kernel, so that operations of different ranks share it.
//
//===----------------------------------------------------------------------===//

#include "Planner.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace ropewalk;
using namespace ropewalk::codegen;

namespace ropewalk::codegen {

/// The loop nest of an operation.
class NestPlanner {
public:
  NestPlanner(EntryPlanner &planner, linalg::LinalgOp op)
      : planner(planner), op(op) {}

  /// Finds operands, body and loops. Parallel loops come first.
  LogicalResult analyze();

  /// The last loop reads all tensors that use it contiguously, and `count`
  /// elements are aligned.
  unsigned vectorWidth() const;
  /// Appends arguments for the parameters that NestParams declares.
  LogicalResult addArguments(Launch &launch, ArrayRef<unsigned> outputs,
                             bool outputsHaveStrides);

  struct Operand {
    Value value;
    NestOperand nest;
    /// By collapsed loop.
    Shape strides;
  };
  struct Loop {
    SizeExpr size;
    utils::IteratorType kind;
    /// Original loops merged into it.
    SmallVector<unsigned> members;
  };

  SmallVector<Operand> inputs, outputs;
  SmallVector<Loop> loops;
  NestBody body;

private:
  LogicalResult addOperand(SmallVector<Operand> &list, Value value,
                           AffineMap map);
  LogicalResult analyzeBody();
  void collapse();

  EntryPlanner &planner;
  linalg::LinalgOp op;
};

} // namespace ropewalk::codegen

LogicalResult NestPlanner::addOperand(SmallVector<Operand> &list, Value value,
                                      AffineMap map) {
  Type element = getElementTypeOrSelf(value.getType());
  if (elementName(element).empty())
    return op.emitOpError() << "has an operand with elements of type "
                            << element << ", which is not supported on GPUs";
  FailureOr<Shape> shape = planner.sizes.shape(value);
  if (failed(shape))
    return failure();
  Shape dense = denseStrides(*shape);
  Operand operand;
  operand.value = value;
  operand.nest.type = element;
  operand.strides.assign(op.getNumLoops(), SizeExpr(0));
  for (auto [expr, stride, size] : llvm::zip(map.getResults(), dense, *shape)) {
    if (auto dim = dyn_cast<AffineDimExpr>(expr)) {
      SizeExpr &sum = operand.strides[dim.getPosition()];
      sum = sum + stride;
      Loop &loop = loops[dim.getPosition()];
      if (loop.size.isZero())
        loop.size = size;
    } else if (!isa<AffineConstantExpr>(expr) ||
               cast<AffineConstantExpr>(expr).getValue() != 0) {
      return op.emitOpError()
             << "has the indexing map " << AffineMapAttr::get(map)
             << ", expected dimensions and 0 as its results";
    }
  }
  list.push_back(std::move(operand));
  return success();
}

LogicalResult NestPlanner::analyze() {
  for (utils::IteratorType kind : op.getIteratorTypesArray())
    loops.push_back({SizeExpr(0), kind, {}});
  for (auto [number, loop] : llvm::enumerate(loops))
    loop.members.push_back(number);

  // Outputs first: they say the sizes of the parallel loops.
  for (OpOperand &init : op.getDpsInitsMutable())
    if (failed(
            addOperand(outputs, init.get(), op.getMatchingIndexingMap(&init))))
      return failure();
  body.block = op.getBlock();
  for (OpOperand *input : op.getDpsInputOperands()) {
    NestBody::Argument meaning;
    Value value = input->get();
    if (!isa<RankedTensorType>(value.getType())) {
      TypedAttr constant;
      if (matchPattern(value, m_Constant(&constant))) {
        meaning.constant = constant;
      } else {
        if (!value.getType().isIntOrIndex() || !planner.sizes.isSize(value))
          return op.emitOpError()
                 << "has a scalar operand that is neither a constant nor "
                    "computed from sizes";
        meaning.scalar = body.scalars.size();
        body.scalars.push_back(value);
      }
    } else if (TypedAttr splat = splatOf(value)) {
      meaning.constant = splat;
      // The map still says sizes of loops.
      SmallVector<Operand> unused;
      if (failed(addOperand(unused, value, op.getMatchingIndexingMap(input))))
        return failure();
    } else {
      meaning.input = inputs.size();
      if (failed(addOperand(inputs, value, op.getMatchingIndexingMap(input))))
        return failure();
    }
    body.arguments.push_back(meaning);
  }
  for (OpOperand &init : op.getDpsInitsMutable()) {
    NestBody::Argument meaning;
    BlockArgument argument = op.getMatchingBlockArgument(&init);
    if (!argument.use_empty() && op.getNumReductionLoops() == 0) {
      meaning.constant = splatOf(init.get());
      if (!meaning.constant) {
        meaning.input = inputs.size();
        if (failed(addOperand(inputs, init.get(),
                              op.getMatchingIndexingMap(&init))))
          return failure();
      }
    }
    body.arguments.push_back(meaning);
  }
  if (failed(analyzeBody()))
    return failure();
  collapse();
  return success();
}

LogicalResult NestPlanner::analyzeBody() {
  for (Operation &each : *body.block) {
    if (each.getNumRegions() > 0)
      return each.emitOpError() << "is not supported in a body on GPUs";
    if (!isa<linalg::IndexOp, linalg::YieldOp, tensor::ExtractOp>(each) &&
        !isa_and_nonnull<arith::ArithDialect, math::MathDialect>(
            each.getDialect()))
      return each.emitOpError() << "is not supported in a body on GPUs";
    for (Value operand : each.getOperands()) {
      if (operand.getParentBlock() == body.block ||
          matchPattern(operand, m_Constant()))
        continue;
      if (isa<RankedTensorType>(operand.getType())) {
        if (!llvm::is_contained(body.gathers, operand))
          body.gathers.push_back(operand);
        continue;
      }
      if (!operand.getType().isIntOrIndex() || !planner.sizes.isSize(operand))
        return each.emitOpError()
               << "takes a value from outside that is neither a constant nor "
                  "computed from sizes";
      if (!llvm::is_contained(body.scalars, operand))
        body.scalars.push_back(operand);
    }
  }
  return success();
}

void NestPlanner::collapse() {
  llvm::SmallDenseSet<unsigned> indexed;
  for (auto index : body.block->getOps<linalg::IndexOp>())
    indexed.insert(index.getDim());

  // Parallel loops in the order of the first output's dimensions, then the
  // others, then reductions.
  SmallVector<unsigned> order;
  AffineMap map = op.getMatchingIndexingMap(op.getDpsInitOperand(0));
  for (AffineExpr expr : map.getResults())
    if (auto dim = dyn_cast<AffineDimExpr>(expr))
      if (!llvm::is_contained(order, dim.getPosition()))
        order.push_back(dim.getPosition());
  for (utils::IteratorType kind :
       {utils::IteratorType::parallel, utils::IteratorType::reduction})
    for (unsigned loop = 0; loop < loops.size(); ++loop)
      if (loops[loop].kind == kind && !llvm::is_contained(order, loop))
        order.push_back(loop);

  SmallVector<Operand *> operands;
  for (Operand &operand : inputs)
    operands.push_back(&operand);
  for (Operand &operand : outputs)
    operands.push_back(&operand);

  SmallVector<Loop> merged;
  SmallVector<Shape> strides(operands.size());
  for (unsigned number : order) {
    const Loop &loop = loops[number];
    if (loop.kind == utils::IteratorType::parallel && loop.size == SizeExpr(1))
      continue;
    bool joins = !merged.empty() && merged.back().kind == loop.kind &&
                 !indexed.contains(number) &&
                 !indexed.contains(merged.back().members.back());
    if (joins)
      for (auto [index, operand] : llvm::enumerate(operands))
        joins &= strides[index].back() == operand->strides[number] * loop.size;
    if (joins) {
      merged.back().size = merged.back().size * loop.size;
      merged.back().members.push_back(number);
      for (auto [index, operand] : llvm::enumerate(operands))
        strides[index].back() = operand->strides[number];
      continue;
    }
    merged.push_back(loop);
    for (auto [index, operand] : llvm::enumerate(operands))
      strides[index].push_back(operand->strides[number]);
  }
  if (merged.empty()) {
    merged.push_back({SizeExpr(1), utils::IteratorType::parallel, {}});
    for (Shape &list : strides)
      list.push_back(0);
  }

  body.loopOf.assign(loops.size(), -1);
  for (auto [number, loop] : llvm::enumerate(merged))
    for (unsigned member : loop.members)
      body.loopOf[member] = number;
  loops = std::move(merged);
  for (auto [index, operand] : llvm::enumerate(operands)) {
    operand->strides = strides[index];
    for (const SizeExpr &stride : operand->strides)
      operand->nest.uses.push_back(!stride.isZero());
    operand->nest.isContiguous = operand->strides.back() == SizeExpr(1);
  }
}

unsigned NestPlanner::vectorWidth() const {
  if (!loops.back().size.isMultipleOf(4))
    return 1;
  for (const SmallVector<Operand> *list : {&inputs, &outputs})
    for (const Operand &operand : *list) {
      if (!operand.nest.uses.back())
        continue;
      if (!operand.nest.isContiguous || elementBytes(operand.nest.type) > 4)
        return 1;
      for (const SizeExpr &stride : ArrayRef(operand.strides).drop_back())
        if (!stride.isMultipleOf(4))
          return 1;
    }
  return 4;
}

LogicalResult NestPlanner::addArguments(Launch &launch,
                                        ArrayRef<unsigned> outputBuffers,
                                        bool outputsHaveStrides) {
  for (Operand &input : inputs) {
    FailureOr<unsigned> buffer = planner.bufferOf(input.value);
    if (failed(buffer))
      return failure();
    launch.reads.push_back(*buffer);
    launch.args.push_back(LaunchArg::pointer(*buffer));
  }
  for (unsigned buffer : outputBuffers) {
    launch.writes.push_back(buffer);
    launch.args.push_back(LaunchArg::pointer(buffer));
  }
  for (Value gather : body.gathers) {
    FailureOr<unsigned> buffer = planner.bufferOf(gather);
    if (failed(buffer))
      return failure();
    launch.reads.push_back(*buffer);
    launch.args.push_back(LaunchArg::pointer(*buffer));
  }
  for (const Loop &loop : loops)
    launch.args.push_back(loops.size() == 1 ? LaunchArg::i64(loop.size)
                                            : LaunchArg::i32(loop.size));
  auto addStrides = [&](ArrayRef<Operand> operands) {
    for (const Operand &operand : operands)
      for (unsigned loop = 0; loop < loops.size(); ++loop)
        if (operand.nest.uses[loop] &&
            !(loop + 1 == loops.size() && operand.nest.isContiguous))
          launch.args.push_back(LaunchArg::i64(operand.strides[loop]));
  };
  addStrides(inputs);
  if (outputsHaveStrides)
    addStrides(outputs);
  for (Value gather : body.gathers) {
    FailureOr<Shape> shape = planner.sizes.shape(gather);
    if (failed(shape))
      return failure();
    for (const SizeExpr &size : *shape)
      launch.args.push_back(LaunchArg::i64(size));
  }
  for (Value scalar : body.scalars) {
    FailureOr<SizeExpr> value = planner.sizes.scalar(scalar);
    if (failed(value))
      return failure();
    launch.args.push_back(LaunchArg::i64(*value));
  }
  return success();
}

//===----------------------------------------------------------------------===//
// Elementwise operations and reductions
//===----------------------------------------------------------------------===//

static SmallVector<NestOperand> nests(ArrayRef<NestPlanner::Operand> operands) {
  return llvm::map_to_vector(operands, [](const NestPlanner::Operand &operand) {
    return operand.nest;
  });
}

static SizeExpr rowsOf(const NestPlanner &nest) {
  SizeExpr rows = 1;
  for (const NestPlanner::Loop &loop : ArrayRef(nest.loops).drop_back())
    rows = rows * loop.size;
  return rows;
}

LogicalResult EntryPlanner::planElementwise(linalg::LinalgOp op) {
  NestPlanner nest(*this, op);
  if (failed(nest.analyze()))
    return failure();
  ElementwiseKernel kernel;
  kernel.numLoops = nest.loops.size();
  kernel.inputs = nests(nest.inputs);
  kernel.outputs = nests(nest.outputs);
  kernel.body = nest.body;
  kernel.vector = nest.vectorWidth();

  Launch launch;
  SmallVector<unsigned> results;
  for (Value result : op->getResults()) {
    FailureOr<unsigned> buffer = addResultBuffer(result);
    if (failed(buffer))
      return failure();
    results.push_back(*buffer);
  }
  if (failed(nest.addArguments(launch, results, /*outputsHaveStrides=*/true)))
    return failure();
  launch.kernel = table.get("elementwise", kernel);
  const SizeExpr &inner = nest.loops.back().size;
  if (kernel.numLoops == 1) {
    launch.grid[0] = {inner, kernel.flatElements()};
  } else {
    launch.grid[0] = {rowsOf(nest), ElementwiseKernel::kRows};
    launch.grid[1] = {inner, kernel.rowElements()};
    if (!inner.asConstant())
      addLimit(inner, 65535 * kernel.rowElements(), "the length of a row");
  }
  addLaunch(op, std::move(launch));
  return success();
}

LogicalResult EntryPlanner::planReduction(linalg::LinalgOp op) {
  NestPlanner nest(*this, op);
  if (failed(nest.analyze()))
    return failure();
  if (op->getNumResults() != 1)
    return op.emitOpError()
           << "reduces to " << op->getNumResults() << " results, expected 1";
  unsigned reductions = llvm::count_if(nest.loops, [](const auto &loop) {
    return loop.kind == utils::IteratorType::reduction;
  });
  if (reductions != 1)
    return op.emitOpError() << "reduces " << reductions
                            << " loops that are not contiguous, expected 1";
  const NestPlanner::Operand &output = nest.outputs[0];
  SizeExpr expected = 1;
  for (int loop = static_cast<int>(nest.loops.size()) - 2; loop >= 0; --loop) {
    if (output.strides[loop] != expected)
      return op.emitOpError() << "has an output that is not dense";
    expected = expected * nest.loops[loop].size;
  }

  RowReduceKernel kernel;
  Value accumulator = op.getRegionOutputArgs()[0];
  Value yielded = op.getBlock()->getTerminator()->getOperand(0);
  Operation *combiner = yielded.getDefiningOp();
  if (!combiner || !accumulator.hasOneUse() ||
      *accumulator.user_begin() != combiner || combiner->getNumOperands() != 2)
    return op.emitOpError() << "has a body that does not end by combining its "
                               "output with one value";
  std::optional<TypedAttr> neutral = arith::getNeutralElement(combiner);
  if (!neutral)
    return op.emitOpError() << "combines with '" << combiner->getName()
                            << "', which has no neutral element known";
  kernel.initial = splatOf(op.getDpsInitOperand(0)->get());
  if (!kernel.initial)
    return op.emitOpError() << "starts from a tensor, expected a constant fill";
  // Both zeros are neutral for a sum that starts from one of them.
  if (auto zero = dyn_cast<FloatAttr>(*neutral);
      zero && zero.getValue().isZero())
    if (auto start = dyn_cast<FloatAttr>(kernel.initial);
        start && start.getValue().isZero())
      neutral = kernel.initial;
  kernel.neutral = *neutral;
  kernel.combiner = combiner;
  kernel.numLoops = nest.loops.size();
  kernel.inputs = nests(nest.inputs);
  kernel.outputType = output.nest.type;
  kernel.body = nest.body;
  // Alignment does not concern the output.
  nest.outputs[0].strides.back() = 0;
  kernel.vector = nest.vectorWidth();
  std::optional<int64_t> length = nest.loops.back().size.asConstant();
  kernel.isWide = !length || *length >= 1024;

  Launch launch;
  FailureOr<unsigned> result = addResultBuffer(op->getResult(0));
  if (failed(result) ||
      failed(nest.addArguments(launch, *result, /*outputsHaveStrides=*/false)))
    return failure();
  launch.kernel = table.get("row_reduce", kernel);
  launch.grid[0] = {rowsOf(nest), kernel.rowsPerBlock()};
  addLaunch(op, std::move(launch));
  return success();
}

//===----------------------------------------------------------------------===//
// Contractions
//===----------------------------------------------------------------------===//

/// Looks through extensions to a block argument.
static BlockArgument argumentOf(Value value) {
  while (auto extend = value.getDefiningOp<arith::ExtFOp>())
    value = extend.getIn();
  return dyn_cast<BlockArgument>(value);
}

/// True for out(m, n) = sum over k of lhs(m, k) * rhs(n, k) from 0 in f32.
static bool isContraction(linalg::LinalgOp op) {
  if (op.getNumLoops() != 3 || op.getNumReductionLoops() != 1 ||
      op.getNumDpsInputs() != 2 || op.getNumDpsInits() != 1)
    return false;
  MLIRContext *context = op->getContext();
  SmallVector<AffineMap> maps = op.getIndexingMapsArray();
  AffineExpr m, n, k;
  bindDims(context, m, n, k);
  auto map = [&](AffineExpr first, AffineExpr second) {
    return AffineMap::get(3, 0, {first, second}, context);
  };
  if (maps[0] != map(m, k) || maps[1] != map(n, k) || maps[2] != map(m, n))
    return false;
  auto element = [&](unsigned operand) {
    return getElementTypeOrSelf(op->getOperand(operand).getType());
  };
  Type rhs = element(1);
  if (!element(0).isF32() || !element(2).isF32() ||
      !(rhs.isF32() || rhs.isBF16() || rhs.isF16()))
    return false;
  auto initial = dyn_cast_or_null<FloatAttr>(splatOf(op->getOperand(2)));
  if (!initial || !initial.getValue().isZero())
    return false;
  Block *block = op.getBlock();
  auto sum =
      block->getTerminator()->getOperand(0).getDefiningOp<arith::AddFOp>();
  if (!sum)
    return false;
  Value left = sum.getLhs(), right = sum.getRhs();
  if (right == block->getArgument(2))
    std::swap(left, right);
  auto term = right.getDefiningOp<arith::MulFOp>();
  if (left != block->getArgument(2) || !term)
    return false;
  BlockArgument first = argumentOf(term.getLhs()),
                second = argumentOf(term.getRhs());
  return first && second && first.getArgNumber() + second.getArgNumber() == 1;
}

LogicalResult EntryPlanner::planMatmul(linalg::LinalgOp op) {
  FailureOr<Shape> left = sizes.shape(op->getOperand(0)),
                   right = sizes.shape(op->getOperand(1));
  FailureOr<unsigned> leftBuffer = bufferOf(op->getOperand(0)),
                      rightBuffer = bufferOf(op->getOperand(1)),
                      result = addResultBuffer(op->getResult(0));
  if (failed(left) || failed(right) || failed(leftBuffer) ||
      failed(rightBuffer) || failed(result))
    return failure();
  SizeExpr m = (*left)[0], n = (*right)[0], k = (*left)[1];

  MatmulKernel kernel;
  kernel.rhsType = getElementTypeOrSelf(op->getOperand(1).getType());
  kernel.vectorK = k.isMultipleOf(4) ? 4 : 1;
  kernel.isMatvec = isDecode;
  Launch launch;
  launch.kernel = table.get(isDecode ? "matvec" : "matmul", kernel);
  if (isDecode) {
    launch.grid[0] = {n, MatmulKernel::kMatvecColumns};
    launch.grid[1] = {m, 1};
  } else {
    launch.grid[0] = {n, MatmulKernel::kTile};
    launch.grid[1] = {m, MatmulKernel::kTile};
  }
  SizeExpr rows = isDecode ? m.substitute(kTokens, 1) : m;
  if (!rows.asConstant())
    addLimit(rows, 65535 * launch.grid[1].divisor, "the number of tokens");
  launch.args = {LaunchArg::pointer(*leftBuffer),
                 LaunchArg::pointer(*rightBuffer),
                 LaunchArg::pointer(*result),
                 LaunchArg::i32(m),
                 LaunchArg::i32(n),
                 LaunchArg::i32(k)};
  launch.reads = {*leftBuffer, *rightBuffer};
  launch.writes = {*result};
  addLaunch(op, std::move(launch));
  return success();
}

LogicalResult EntryPlanner::planLinalg(linalg::LinalgOp op) {
  if (!op.hasPureTensorSemantics())
    return op.emitOpError() << "expected tensors, got memrefs";
  if (isContraction(op))
    return planMatmul(op);
  if (op.getNumReductionLoops() == 0)
    return planElementwise(op);
  return planReduction(op);
}
