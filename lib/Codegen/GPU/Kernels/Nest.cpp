//===- Nest.cpp - What elementwise loops and reductions share ---*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A loop nest over contiguous tensors: offsets from strides, the scalar body
// cloned at a point, tensor.extract as a gather with its indices clamped to the
// tensor, so that no index in a user's tensor reaches other memory.
//
//===----------------------------------------------------------------------===//

#include "Kernels.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/IRMapping.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace ropewalk::codegen;

std::string ropewalk::codegen::text(Type type) {
  std::string result;
  llvm::raw_string_ostream(result) << type;
  return result;
}

std::string ropewalk::codegen::text(AffineMap map) {
  std::string result;
  llvm::raw_string_ostream(result) << map;
  return result;
}

std::string ropewalk::codegen::text(ArrayRef<NestOperand> operands) {
  std::string result;
  for (const NestOperand &operand : operands) {
    result += text(operand.type) + (operand.isContiguous ? "c" : "s");
    for (bool used : operand.uses)
      result += used ? '1' : '0';
    result += ' ';
  }
  return result;
}

std::string NestBody::text() const {
  std::string result;
  llvm::raw_string_ostream os(result);
  llvm::DenseMap<Value, unsigned> numbers;
  auto name = [&](Value value) {
    if (auto it = numbers.find(value); it != numbers.end()) {
      os << " %" << it->second;
      return;
    }
    Attribute constant;
    if (matchPattern(value, m_Constant(&constant)))
      os << " " << constant;
    else if (auto it = llvm::find(scalars, value); it != scalars.end())
      os << " s" << (it - scalars.begin());
    else if (auto it = llvm::find(gathers, value); it != gathers.end())
      os << " g" << (it - gathers.begin()) << ":"
         << cast<RankedTensorType>(value.getType()).getRank();
  };
  for (BlockArgument argument : block->getArguments()) {
    unsigned index = argument.getArgNumber();
    numbers[argument] = index;
    const Argument &meaning = arguments[index];
    os << "%" << index << ":" << argument.getType() << "=";
    if (meaning.constant)
      os << meaning.constant << ";";
    else
      os << meaning.input << ",s" << meaning.scalar << ";";
  }
  for (Operation &op : *block) {
    if (isa<arith::ConstantOp>(op))
      continue;
    os << op.getName();
    for (Value operand : op.getOperands())
      name(operand);
    if (auto index = dyn_cast<linalg::IndexOp>(op))
      os << " " << loopOf[index.getDim()];
    else
      os << op.getAttrDictionary();
    if (Attribute properties = op.getPropertiesAsAttribute())
      if (!isa<linalg::IndexOp>(op))
        os << properties;
    for (Value value : op.getResults()) {
      numbers[value] = numbers.size();
      os << ":" << value.getType();
    }
    os << ";";
  }
  return result;
}

NestParams::NestParams(KernelBuilder &k, unsigned numLoops,
                       ArrayRef<NestOperand> inputs,
                       ArrayRef<NestOperand> outputs, const NestBody &body)
    : numLoops(numLoops), inputs(inputs), outputs(outputs), body(body) {
  for (size_t i = 0; i < inputs.size(); ++i)
    inputPointers.push_back(k.pointerParam("in" + std::to_string(i), true));
  for (size_t i = 0; i < outputs.size(); ++i)
    outputPointers.push_back(k.pointerParam("out" + std::to_string(i), false));
  for (size_t i = 0; i < body.gathers.size(); ++i)
    gatherPointers.push_back(
        k.pointerParam("gather" + std::to_string(i), true));
  for (unsigned loop = 0; loop < numLoops; ++loop) {
    std::string name = "size" + std::to_string(loop);
    sizes.push_back(numLoops == 1 ? k.i64Param(name) : k.i32Param(name));
  }
  auto declareStrides = [&](ArrayRef<NestOperand> operands, StringRef prefix,
                            SmallVector<Vals> &strides) {
    for (auto [number, operand] : llvm::enumerate(operands)) {
      Vals &list = strides.emplace_back();
      for (unsigned loop = 0; loop < numLoops; ++loop) {
        bool passed = operand.uses[loop] &&
                      !(loop + 1 == numLoops && operand.isContiguous);
        list.push_back(passed ? k.i64Param((prefix + std::to_string(number) +
                                            "_" + std::to_string(loop))
                                               .str())
                              : Val());
      }
    }
  };
  declareStrides(inputs, "in", inputStrides);
  declareStrides(outputs, "out", outputStrides);
  for (auto [number, gather] : llvm::enumerate(body.gathers)) {
    Vals &list = gatherSizes.emplace_back();
    for (int64_t dim = 0;
         dim < cast<RankedTensorType>(gather.getType()).getRank(); ++dim)
      list.push_back(k.i64Param("gather" + std::to_string(number) + "_" +
                                std::to_string(dim)));
  }
  for (size_t i = 0; i < body.scalars.size(); ++i)
    scalars.push_back(k.i64Param("scalar" + std::to_string(i)));
}

Val NestParams::rows(KernelBuilder &k) const {
  Val result = k.i32(1);
  for (Val size : ArrayRef<Val>(sizes).drop_back())
    result = result * size;
  return result;
}

Vals NestParams::rowIndices(KernelBuilder &k, Val row) const {
  Vals indices(numLoops - 1);
  for (int loop = static_cast<int>(numLoops) - 2; loop > 0; --loop) {
    indices[loop] = k.toI64(row % sizes[loop]);
    row = row / sizes[loop];
  }
  if (numLoops > 1)
    indices[0] = k.toI64(row);
  return indices;
}

Val NestParams::offset(KernelBuilder &k, const NestOperand &operand,
                       ArrayRef<Val> strides, ArrayRef<Val> indices) const {
  Val result = k.i64(0);
  for (unsigned loop = 0; loop < numLoops; ++loop)
    if (operand.uses[loop])
      result = result +
               (strides[loop] ? indices[loop] * strides[loop] : indices[loop]);
  return result;
}

Val NestParams::outputOffset(KernelBuilder &k, unsigned number,
                             ArrayRef<Val> indices) const {
  return offset(k, outputs[number], outputStrides[number], indices);
}

SmallVector<Vals> NestParams::load(KernelBuilder &k, ArrayRef<Val> indices,
                                   unsigned vector) const {
  SmallVector<Vals> result;
  for (auto [number, operand] : llvm::enumerate(inputs)) {
    Val at = offset(k, operand, inputStrides[number], indices);
    bool isVector = operand.uses.back() && vector > 1;
    Vals elements = k.unpack(
        k.load(inputPointers[number], at, operand.type, isVector ? vector : 1));
    Val first = elements[0];
    if (!isVector)
      elements.append(vector - 1, first);
    result.push_back(std::move(elements));
  }
  return result;
}

Vals NestParams::emit(KernelBuilder &k, ArrayRef<Val> indices,
                      ArrayRef<Val> values, Val accumulator) const {
  IRMapping mapping;
  auto asType = [&](Val wide, Type type) -> Value {
    if (isa<IndexType>(type))
      return arith::IndexCastOp::create(k.b, type, wide);
    if (type.isInteger(64))
      return wide;
    return arith::TruncIOp::create(k.b, type, wide);
  };
  for (BlockArgument argument : body.block->getArguments()) {
    const NestBody::Argument &meaning = body.arguments[argument.getArgNumber()];
    Value value = accumulator;
    if (meaning.input >= 0)
      value = values[meaning.input];
    else if (meaning.constant)
      value = arith::ConstantOp::create(k.b, meaning.constant);
    else if (meaning.scalar >= 0)
      value = asType(scalars[meaning.scalar], argument.getType());
    if (value)
      mapping.map(argument, value);
  }
  for (auto [scalar, param] : llvm::zip(body.scalars, scalars))
    mapping.map(scalar, asType(param, scalar.getType()));

  for (Operation &op : body.block->without_terminator()) {
    for (Value operand : op.getOperands())
      if (TypedAttr constant; !mapping.contains(operand) &&
                              matchPattern(operand, m_Constant(&constant)))
        mapping.map(operand, arith::ConstantOp::create(k.b, constant));
    if (auto index = dyn_cast<linalg::IndexOp>(op)) {
      int loop = body.loopOf[index.getDim()];
      Val at = loop < 0 ? k.i64(0) : indices[loop];
      mapping.map(index.getResult(),
                  asType(at, IndexType::get(k.b.getContext())));
      continue;
    }
    if (auto extract = dyn_cast<tensor::ExtractOp>(op)) {
      unsigned number =
          llvm::find(body.gathers, extract.getTensor()) - body.gathers.begin();
      Val at = k.i64(0);
      for (auto [index, size] :
           llvm::zip(extract.getIndices(), gatherSizes[number])) {
        Val wide = k.wrap(arith::IndexCastOp::create(k.b, k.i64Type(),
                                                     mapping.lookup(index)));
        wide = k.max(k.min(wide, size - 1), k.i64(0));
        at = at * size + wide;
      }
      mapping.map(extract.getResult(),
                  k.load(gatherPointers[number], at, extract.getType()));
      continue;
    }
    k.b.clone(op, mapping);
  }
  Vals results;
  for (Value operand : body.block->getTerminator()->getOperands()) {
    TypedAttr constant;
    if (!mapping.contains(operand) &&
        matchPattern(operand, m_Constant(&constant)))
      mapping.map(operand, arith::ConstantOp::create(k.b, constant));
    results.push_back(k.wrap(mapping.lookup(operand)));
  }
  return results;
}
