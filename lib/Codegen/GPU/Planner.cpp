//===- Planner.cpp - From a graph to buffers and launches -------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The function is walked once per entry point. An operation that computes is a
// root and becomes launches; reshapes are the same buffer under another shape;
// tensor.empty and linalg.fill are no buffers unless something reads them; a
// cache that is updated keeps its argument's buffer.
//
// The plan is made in the symbols of the arguments' shapes. The decode entry is
// the same walk with one new token for each item: other kernels for the
// contractions, and 1 in the place of S at the end.
//
//===----------------------------------------------------------------------===//

#include "Planner.h"

#include "Ropewalk/Codegen/GPU/Artifact.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace ropewalk;
using namespace ropewalk::codegen;

StringRef codegen::stringify(ParamType type) {
  switch (type) {
  case ParamType::Pointer:
    return "ptr";
  case ParamType::I32:
    return "i32";
  case ParamType::I64:
    return "i64";
  case ParamType::F32:
    return "f32";
  }
  llvm_unreachable("every type has a name");
}

StringRef codegen::elementName(Type type) {
  if (type.isF32())
    return "f32";
  if (type.isBF16())
    return "bf16";
  if (type.isF16())
    return "f16";
  if (type.isF64())
    return "f64";
  if (type.isInteger(64))
    return "i64";
  if (type.isInteger(32))
    return "i32";
  if (type.isInteger(16))
    return "i16";
  if (type.isInteger(8))
    return "i8";
  return "";
}

int64_t codegen::elementBytes(Type type) {
  return type.getIntOrFloatBitWidth() / 8;
}

TypedAttr codegen::splatOf(Value tensor) {
  if (auto fill = tensor.getDefiningOp<linalg::FillOp>()) {
    TypedAttr value;
    if (matchPattern(fill.value(), m_Constant(&value)))
      return value;
    return {};
  }
  SplatElementsAttr splat;
  if (matchPattern(tensor, m_Constant(&splat)))
    return cast<TypedAttr>(splat.getSplatValue<Attribute>());
  return {};
}

//===----------------------------------------------------------------------===//
// Buffers and launches
//===----------------------------------------------------------------------===//

unsigned EntryPlanner::addBuffer(PlanBuffer buffer) {
  entry.buffers.push_back(std::move(buffer));
  return entry.buffers.size() - 1;
}

unsigned EntryPlanner::addWorkspace(SizeExpr bytes) {
  PlanBuffer buffer;
  buffer.bytes = std::move(bytes);
  return addBuffer(std::move(buffer));
}

FailureOr<unsigned> EntryPlanner::addResultBuffer(Value tensor) {
  FailureOr<Shape> shape = sizes.shape(tensor);
  if (failed(shape))
    return failure();
  Type element = getElementTypeOrSelf(tensor.getType());
  unsigned buffer =
      addWorkspace(product(*shape) * SizeExpr(elementBytes(element)));
  buffers[tensor] = buffer;
  return buffer;
}

unsigned EntryPlanner::addConstant(Attribute value, Type type, StringRef name) {
  PlanConstant constant;
  constant.type = elementName(getElementTypeOrSelf(type)).str();
  if (auto elements = dyn_cast<DenseElementsAttr>(value)) {
    constant.shape.assign(elements.getType().getShape().begin(),
                          elements.getType().getShape().end());
    if (isa<FloatType>(elements.getElementType()))
      for (APFloat number : elements.getValues<APFloat>())
        constant.floats.push_back(number.convertToDouble());
    else
      for (APInt number : elements.getValues<APInt>())
        constant.integers.push_back(number.getSExtValue());
  } else {
    constant.shape = {1};
    if (auto number = dyn_cast<FloatAttr>(value))
      constant.floats.push_back(number.getValueAsDouble());
    else
      constant.integers.push_back(cast<IntegerAttr>(value).getInt());
  }
  // Equal constants are one, whatever they are called.
  auto it = llvm::find_if(plan.constants, [&](const PlanConstant &other) {
    return other.type == constant.type && other.shape == constant.shape &&
           other.integers == constant.integers &&
           other.floats == constant.floats;
  });
  unsigned index = it - plan.constants.begin();
  if (it == plan.constants.end()) {
    constant.name = (name + "." + Twine(index)).str();
    plan.constants.push_back(std::move(constant));
  }
  for (auto [number, buffer] : llvm::enumerate(entry.buffers))
    if (buffer.kind == PlanBuffer::Kind::Constant && buffer.index == index)
      return number;
  PlanBuffer buffer;
  buffer.kind = PlanBuffer::Kind::Constant;
  buffer.index = index;
  return addBuffer(std::move(buffer));
}

FailureOr<unsigned> EntryPlanner::bufferOf(Value value) {
  if (stale.contains(value)) {
    emitError(value.getLoc())
        << "is read after it was updated in place; read the updated value";
    return failure();
  }
  if (auto it = buffers.find(value); it != buffers.end())
    return it->second;
  if (auto argument = dyn_cast<BlockArgument>(value)) {
    PlanBuffer buffer;
    buffer.kind = PlanBuffer::Kind::Argument;
    buffer.index = argument.getArgNumber();
    return buffers[value] = addBuffer(std::move(buffer));
  }
  Attribute constant;
  if (matchPattern(value, m_Constant(&constant))) {
    Type element = getElementTypeOrSelf(value.getType());
    if (!element.isF32() && !element.isInteger(32) && !element.isInteger(64)) {
      emitError(value.getLoc())
          << "constant of type " << value.getType()
          << ": expected elements of type f32, i32 or i64";
      return failure();
    }
    return buffers[value] = addConstant(constant, value.getType(), "constant");
  }
  Operation *op = value.getDefiningOp();
  Value source;
  if (auto expand = dyn_cast<tensor::ExpandShapeOp>(op))
    source = expand.getSrc();
  else if (auto collapse = dyn_cast<tensor::CollapseShapeOp>(op))
    source = collapse.getSrc();
  else if (auto cast = dyn_cast<tensor::CastOp>(op))
    source = cast.getSource();
  if (source) {
    FailureOr<unsigned> buffer = bufferOf(source);
    if (succeeded(buffer))
      buffers[value] = *buffer;
    return buffer;
  }
  if (auto fill = dyn_cast<linalg::FillOp>(op)) {
    if (failed(planElementwise(cast<linalg::LinalgOp>(op))))
      return failure();
    return buffers[value];
  }
  return op->emitOpError() << "has no buffer: its result is read uninitialized "
                              "or the operation is not supported on GPUs";
}

void EntryPlanner::addLaunch(Operation *op, Launch launch) {
  int64_t number = entry.launches.size();
  for (unsigned read : launch.reads) {
    PlanBuffer &buffer = entry.buffers[read];
    buffer.last = std::max(buffer.last, number);
  }
  for (unsigned write : launch.writes) {
    PlanBuffer &buffer = entry.buffers[write];
    if (buffer.first < 0)
      buffer.first = number;
    buffer.last = std::max(buffer.last, number);
    if (buffer.kind == PlanBuffer::Kind::Argument)
      entry.arguments[buffer.index].updated = true;
  }
  // For people and tests: which kernels an operation became.
  StringRef attribute = isDecode ? "decode_kernels" : "kernels";
  SmallVector<Attribute> names;
  if (auto old = op->getAttrOfType<ArrayAttr>(attribute))
    llvm::append_range(names, old);
  names.push_back(
      StringAttr::get(op->getContext(), plan.kernels[launch.kernel].name));
  op->setAttr(attribute, ArrayAttr::get(op->getContext(), names));
  entry.launches.push_back(std::move(launch));
}

void EntryPlanner::addCheck(std::string expression, std::string message) {
  for (const PlanCheck &check : entry.checks)
    if (check.expression == expression)
      return;
  entry.checks.push_back({std::move(expression), std::move(message)});
}

void EntryPlanner::addLimit(const SizeExpr &size, int64_t limit,
                            StringRef what) {
  addCheck(size.str() + "<=" + std::to_string(limit),
           what.str() + " is at most " + std::to_string(limit));
}

//===----------------------------------------------------------------------===//
// The walk
//===----------------------------------------------------------------------===//

LogicalResult EntryPlanner::planArguments() {
  if (failed(sizes.initialize()))
    return failure();
  for (BlockArgument argument : function.getArguments()) {
    unsigned number = argument.getArgNumber();
    PlanArgument planned;
    auto name = function.getArgAttrOfType<StringAttr>(number, rope::kNameAttr);
    auto kind = function.getArgAttrOfType<StringAttr>(number, rope::kKindAttr);
    planned.name = name ? name.str() : "arg" + std::to_string(number);
    planned.kind = kind ? kind.str() : "input";
    Type element = getElementTypeOrSelf(argument.getType());
    planned.type = elementName(element).str();
    if (planned.type.empty())
      return function.emitError()
             << "argument '" << planned.name << "' has elements of type "
             << element << ", which no artifact can take";
    if (isa<RankedTensorType>(argument.getType())) {
      FailureOr<Shape> shape = sizes.shape(argument);
      if (failed(shape))
        return failure();
      planned.shape.assign(shape->begin(), shape->end());
    }
    entry.arguments.push_back(std::move(planned));
  }
  for (const PlanArgument &argument : entry.arguments)
    for (const SizeExpr &size : argument.shape)
      if (std::string symbol = size.str();
          !size.asConstant() && !llvm::is_contained(entry.sizes, symbol))
        entry.sizes.push_back(symbol);
  auto has = [&](StringRef symbol) {
    return llvm::is_contained(entry.sizes, symbol);
  };
  if (has(kBatchSize))
    entry.checks.push_back({"B>=1", "the batch has at least 1 item"});
  if (has(kTokens))
    entry.checks.push_back({"S>=1", "there is at least 1 token"});
  if (has(kTokens) && has(kCapacity))
    entry.checks.push_back(
        {"C>=S", "the caches have room for the tokens of one call"});
  return success();
}

LogicalResult EntryPlanner::planOperation(Operation *op) {
  if (isa<tensor::EmptyOp, tensor::DimOp, tensor::ExpandShapeOp,
          tensor::CollapseShapeOp, tensor::CastOp, linalg::FillOp>(op))
    return success();
  if (op->hasTrait<OpTrait::ConstantLike>())
    return success();
  if (auto attention = dyn_cast<rope::AttentionOp>(op))
    return planAttention(attention);
  if (auto update = dyn_cast<rope::UpdateCacheOp>(op))
    return planUpdateCache(update);
  if (auto linalgOp = dyn_cast<linalg::LinalgOp>(op))
    return planLinalg(linalgOp);
  if (auto returnOp = dyn_cast<func::ReturnOp>(op))
    return planResults(returnOp);
  // Arithmetic of sizes is evaluated where it is used.
  if (op->getNumResults() == 1 && op->getResult(0).getType().isIntOrIndex() &&
      isMemoryEffectFree(op))
    return success();
  return op->emitOpError() << "is not supported on GPUs";
}

LogicalResult EntryPlanner::planResults(func::ReturnOp op) {
  for (auto [number, value] : llvm::enumerate(op.getOperands())) {
    auto name =
        function.getResultAttrOfType<StringAttr>(number, rope::kNameAttr);
    FailureOr<unsigned> buffer = bufferOf(value);
    FailureOr<Shape> shape = sizes.shape(value);
    if (failed(buffer) || failed(shape))
      return failure();
    PlanBuffer &planned = entry.buffers[*buffer];
    if (planned.kind == PlanBuffer::Kind::Argument) {
      const PlanArgument &argument = entry.arguments[planned.index];
      if (argument.kind != "cache" || (name && name != argument.name))
        return op.emitOpError()
               << "operand " << number << " is the argument '" << argument.name
               << "', expected a computed tensor or an "
                  "updated cache under its own name";
      continue;
    }
    if (planned.kind != PlanBuffer::Kind::Workspace)
      return op.emitOpError()
             << "operand " << number << " is a constant, expected a computed "
             << "tensor";
    PlanResult result;
    result.name = name ? name.str() : "result" + std::to_string(number);
    result.type = elementName(getElementTypeOrSelf(value.getType())).str();
    result.shape.assign(shape->begin(), shape->end());
    result.buffer = *buffer;
    entry.results.push_back(std::move(result));
  }
  return success();
}

void EntryPlanner::finishLifetimes() {
  int64_t end = static_cast<int64_t>(entry.launches.size()) - 1;
  for (const PlanResult &result : entry.results)
    entry.buffers[result.buffer].last = end;
}

/// One new token for each item.
void EntryPlanner::specialize() {
  auto apply = [&](SizeExpr &expr) { expr = expr.substitute(kTokens, 1); };
  for (PlanArgument &argument : entry.arguments)
    llvm::for_each(argument.shape, apply);
  for (PlanResult &result : entry.results)
    llvm::for_each(result.shape, apply);
  for (PlanBuffer &buffer : entry.buffers)
    apply(buffer.bytes);
  for (Launch &launch : entry.launches) {
    for (GridSize &size : launch.grid)
      apply(size.size);
    for (LaunchArg &arg : launch.args)
      apply(arg.value);
  }
  llvm::erase(entry.sizes, kTokens.str());
  llvm::erase_if(entry.checks, [](const PlanCheck &check) {
    return StringRef(check.expression).contains(kTokens);
  });
}

LogicalResult EntryPlanner::run() {
  if (!function.getBody().hasOneBlock())
    return function.emitError() << "expected one block";
  if (failed(planArguments()))
    return failure();
  for (Operation &op : function.getBody().front())
    if (failed(planOperation(&op)))
      return failure();
  finishLifetimes();
  if (isDecode)
    specialize();
  return success();
}

LogicalResult codegen::formKernels(ModuleOp module, LaunchPlan &plan) {
  auto functions = llvm::to_vector(module.getOps<func::FuncOp>());
  if (functions.size() != 1)
    return module.emitError()
           << "expected one function, got " << functions.size();
  OpBuilder builder = OpBuilder::atBlockEnd(module.getBody());
  auto kernels = gpu::GPUModuleOp::create(builder, module.getLoc(), "kernels");
  KernelTable table(kernels, plan);
  for (bool isDecode : {false, true}) {
    // Without a number of new tokens there is nothing to specialize.
    if (isDecode && !llvm::is_contained(plan.entries[0].sizes, kTokens))
      break;
    PlanEntry entry;
    entry.name = isDecode ? "decode" : "prefill";
    if (failed(EntryPlanner(functions[0], table, plan, entry, isDecode).run()))
      return failure();
    plan.entries.push_back(std::move(entry));
  }
  return success();
}
