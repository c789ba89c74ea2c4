//===- AttentionProgram.cpp - Attention on its own --------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The function is built with dynamic sizes and with one tensor for each operand
// that the structure has, and compiled like a model.
//
//===----------------------------------------------------------------------===//

#include "Ropewalk/Pipelines/AttentionProgram.h"

#include "Ropewalk/IR/Rope.h"
#include "Ropewalk/Pipelines/Load.h"
#include "mlir/AsmParser/AsmParser.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Verifier.h"

using namespace mlir;
using namespace ropewalk;
using rope::PositionMapAttrInterface;
using runtime::Error;
using runtime::Result;

namespace {

constexpr int64_t dynamic = ShapedType::kDynamic;

/// Parses an attribute of class `T`; `what` names it in errors.
template <typename T>
Result<T> parseAs(MLIRContext *context, StringRef text, StringRef what) {
  DiagnosticCollector diagnostics(context);
  Attribute attribute = parseAttribute(text, context);
  if (!attribute)
    return Error(what.str(), " '", text.str(),
                 "': ", diagnostics.errors("not an attribute"));
  if (auto value = dyn_cast<T>(attribute))
    return value;
  return Error("'", text.str(), "' is not a ", what.str());
}

/// Builds the function.
class FunctionBuilder {
public:
  FunctionBuilder(MLIRContext *context, const AttentionStructure &structure,
                  PositionMapAttrInterface map, rope::RotaryAttr rotary)
      : structure(structure), map(map), rotary(rotary), b(context),
        loc(NameLoc::get(StringAttr::get(context, "attention"))) {}

  OwningOpRef<ModuleOp> build();

private:
  void addArgument(const std::string &name, Type type, StringRef kind) {
    types.push_back(type);
    argumentAttributes.push_back(b.getDictionaryAttr(
        {b.getNamedAttr(rope::kNameAttr, b.getStringAttr(name)),
         b.getNamedAttr(rope::kKindAttr, b.getStringAttr(kind))}));
  }
  RankedTensorType tensor(ArrayRef<int64_t> shape, Type element) {
    return RankedTensorType::get(shape, element);
  }
  void declareArguments();

  const AttentionStructure &structure;
  PositionMapAttrInterface map;
  rope::RotaryAttr rotary;
  OpBuilder b;
  Location loc;
  Type element;
  SmallVector<Type> types;
  SmallVector<Attribute> argumentAttributes;
};

void FunctionBuilder::declareArguments() {
  const AttentionStructure &s = structure;
  addArgument("query",
              tensor({dynamic, s.queryHeads, dynamic, s.headDim}, element),
              "input");
  // Keys and values have a size of their own, as caches have.
  addArgument("key", tensor({dynamic, s.kvHeads, dynamic, s.headDim}, element),
              "cache");
  addArgument("value",
              tensor({dynamic, s.kvHeads, dynamic, s.valueDim}, element),
              "cache");
  if (s.biasAxes)
    addArgument("bias",
                tensor({(*s.biasAxes)[0] ? dynamic : 1,
                        (*s.biasAxes)[1] ? s.queryHeads : 1, dynamic, dynamic},
                       element),
                "input");
  Type perItem = tensor({dynamic}, b.getI64Type());
  if (s.queryOffset)
    addArgument("query_offset", perItem, "input");
  if (s.keyLength)
    addArgument("key_length", perItem, "input");
  if (s.positionOffset)
    addArgument("position_offset", perItem, "input");
  for (const rope::MapParameter &parameter : map.getMapParameters())
    if (!parameter.value)
      addArgument("parameter." + parameter.name,
                  tensor({dynamic, dynamic}, b.getI64Type()), "parameter");
}

OwningOpRef<ModuleOp> FunctionBuilder::build() {
  const AttentionStructure &s = structure;
  element = s.type == runtime::ElementType::F64 ? Type(b.getF64Type())
                                                : Type(b.getF32Type());
  declareArguments();
  RankedTensorType outputType =
      tensor({dynamic, s.queryHeads, dynamic, s.valueDim}, element);
  RankedTensorType lseType =
      tensor({dynamic, s.queryHeads, dynamic}, b.getF32Type());
  SmallVector<Type> resultTypes = {outputType};
  if (s.lse)
    resultTypes.push_back(lseType);

  OwningOpRef<ModuleOp> module = ModuleOp::create(loc);
  b.setInsertionPointToEnd(module->getBody());
  auto function = func::FuncOp::create(b, loc, "attention",
                                       b.getFunctionType(types, resultTypes));
  function.setAllArgAttrs(argumentAttributes);
  function.setResultAttr(0, rope::kNameAttr, b.getStringAttr("output"));
  if (s.lse)
    function.setResultAttr(1, rope::kNameAttr, b.getStringAttr("lse"));
  Block *body = function.addEntryBlock();
  b.setInsertionPointToEnd(body);

  size_t next = 0;
  auto take = [&](bool present) {
    return present ? body->getArgument(next++) : Value();
  };
  Value query = take(true), key = take(true), value = take(true);
  Value bias = take(s.biasAxes.has_value());
  Value queryOffset = take(s.queryOffset), keyLength = take(s.keyLength),
        positionOffset = take(s.positionOffset);
  ValueRange parameters = body->getArguments().drop_front(next);

  Value batch = tensor::DimOp::create(b, loc, query, 0);
  Value rows = tensor::DimOp::create(b, loc, query, 2);
  SmallVector<Value> inits = {
      tensor::EmptyOp::create(b, loc, outputType, ValueRange{batch, rows})};
  if (s.lse)
    inits.push_back(
        tensor::EmptyOp::create(b, loc, lseType, ValueRange{batch, rows}));
  auto op = rope::AttentionOp::create(
      b, loc, resultTypes, query, key, value, bias, queryOffset, keyLength,
      positionOffset, /*sequence_length=*/Value(), parameters,
      /*inverse_frequencies=*/Value(), /*query_start=*/Value(),
      /*key_start=*/Value(), /*query_positions=*/Value(),
      /*key_positions=*/Value(), inits, map, rotary, b.getF64FloatAttr(s.scale),
      s.causal ? b.getUnitAttr() : UnitAttr(),
      s.softcap ? b.getF64FloatAttr(*s.softcap) : FloatAttr());
  func::ReturnOp::create(b, loc, op.getResults());
  return module;
}

} // namespace

Result<AttentionProgram>
ropewalk::compileAttention(const AttentionStructure &structure,
                           const Target &target, unsigned threads) {
  if (structure.type != runtime::ElementType::F32 &&
      structure.type != runtime::ElementType::F64)
    return Error("type: expected f32 or f64, got ",
                 runtime::name(structure.type));
  for (auto [name, size] : {std::pair{"query_heads", structure.queryHeads},
                            std::pair{"kv_heads", structure.kvHeads},
                            std::pair{"head_dim", structure.headDim},
                            std::pair{"value_dim", structure.valueDim}})
    if (size < 1 || size > (int64_t(1) << 20))
      return Error(name, ": expected 1 to 2^20, got ", size);

  std::unique_ptr<MLIRContext> context = createContext();
  context->loadDialect<arith::ArithDialect, func::FuncDialect,
                       linalg::LinalgDialect, tensor::TensorDialect>();
  auto map = parseAs<PositionMapAttrInterface>(context.get(), structure.map,
                                               "position map");
  if (!map)
    return map.error();
  auto rotary = parseAs<rope::RotaryAttr>(context.get(), structure.rotary,
                                          "rotary embedding");
  if (!rotary)
    return rotary.error();

  AttentionProgram result;
  for (const rope::MapParameter &parameter : (*map).getMapParameters())
    if (!parameter.value)
      result.parameters.push_back({parameter.name, parameter.minimum});
  OwningOpRef<ModuleOp> module =
      FunctionBuilder(context.get(), structure, *map, *rotary).build();
  DiagnosticCollector diagnostics(context.get());
  if (failed(verify(*module)))
    return Error(diagnostics.errors("the structure is not valid"));
  auto program = compileProgram(std::move(module), target, threads);
  if (!program)
    return program.error();
  result.program = *std::move(program);
  return result;
}
