//===- Signature.cpp - Entry points of a module ----------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Ropewalk/Codegen/CPU/Signature.h"

#include "Ropewalk/IR/Rope.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace ropewalk;
using runtime::ArgumentKind;
using runtime::ElementType;
using runtime::Error;
using runtime::Expression;
using runtime::Result;

namespace {

std::optional<ElementType> elementType(Type type) {
  if (type.isF32())
    return ElementType::F32;
  if (type.isF64())
    return ElementType::F64;
  if (type.isF16())
    return ElementType::F16;
  if (type.isBF16())
    return ElementType::BF16;
  if (type.isSignlessInteger(64))
    return ElementType::I64;
  if (type.isSignlessInteger(32))
    return ElementType::I32;
  if (type.isSignlessInteger(16))
    return ElementType::I16;
  if (type.isSignlessInteger(8))
    return ElementType::I8;
  return std::nullopt;
}

std::string text(Type type) {
  std::string text;
  llvm::raw_string_ostream(text) << type;
  return text;
}

/// A symbol made of a tensor's name and an axis.
std::string ownSymbol(StringRef name, int64_t axis) {
  std::string symbol = "n_";
  for (char c : name)
    symbol += llvm::isAlnum(c) ? c : '_';
  return symbol + "_" + std::to_string(axis);
}

std::string symbolOf(StringRef name, std::optional<ArgumentKind> kind,
                     int64_t axis, int64_t rank) {
  bool isCache = kind == ArgumentKind::Cache;
  if (name == "ids")
    return axis == 0 ? "B" : axis == 1 ? "S" : ownSymbol(name, axis);
  if (isCache)
    return axis == 0 ? "B" : axis == 2 ? "C" : ownSymbol(name, axis);
  if (name == "logits" && !kind)
    return axis == 0 ? "B" : axis == 1 ? "S" : ownSymbol(name, axis);
  if ((name == "query_offset" || name == "position_offset") && rank == 1)
    return "B";
  return ownSymbol(name, axis);
}

/// Type and shape of a tensor.
Result<std::vector<Expression>> readType(Type type, StringRef name,
                                         std::optional<ArgumentKind> kind,
                                         ElementType &element) {
  Type scalar = type;
  std::vector<Expression> shape;
  if (auto tensor = dyn_cast<RankedTensorType>(type)) {
    scalar = tensor.getElementType();
    for (auto [axis, size] : llvm::enumerate(tensor.getShape()))
      shape.push_back(
          ShapedType::isDynamic(size)
              ? Expression::symbol(symbolOf(name, kind, axis, tensor.getRank()))
              : Expression::constant(size));
  } else if (!type.isIntOrFloat()) {
    return Error("'", name.str(), "' is of type ", text(type),
                 ", expected a ranked tensor");
  }
  std::optional<ElementType> found = elementType(scalar);
  if (!found)
    return Error("'", name.str(), "' is of type ", text(type),
                 ", expected elements of f64, f32, f16, bf16, i64, i32, i16 "
                 "or i8");
  element = *found;
  return shape;
}

Result<runtime::EntrySignature> readSignature(func::FuncOp function) {
  runtime::EntrySignature signature;
  signature.name = function.getName().str();
  auto fail = [&](const Error &error) {
    return error.in("function '" + signature.name + "'");
  };
  llvm::StringSet<> names;
  for (auto [index, type] : llvm::enumerate(function.getArgumentTypes())) {
    runtime::Argument argument;
    auto name = function.getArgAttrOfType<StringAttr>(index, rope::kNameAttr);
    argument.name = name ? name.str() : "arg" + std::to_string(index);
    if (!names.insert(argument.name).second)
      return fail(Error("two arguments are named '", argument.name, "'"));
    if (auto kind =
            function.getArgAttrOfType<StringAttr>(index, rope::kKindAttr)) {
      std::optional<ArgumentKind> parsed =
          runtime::parseArgumentKind(kind.str());
      if (!parsed)
        return fail(Error("'", argument.name, "' has the kind '", kind.str(),
                          "', expected input, weight, cache or parameter"));
      argument.kind = *parsed;
    }
    Result<std::vector<Expression>> shape =
        readType(type, argument.name, argument.kind, argument.type);
    if (!shape)
      return fail(shape.error());
    argument.shape = std::move(*shape);
    signature.arguments.push_back(std::move(argument));
  }
  for (auto [index, type] : llvm::enumerate(function.getResultTypes())) {
    runtime::ResultSignature result;
    auto name =
        function.getResultAttrOfType<StringAttr>(index, rope::kNameAttr);
    result.name = name ? name.str() : "result" + std::to_string(index);
    auto cache = llvm::find_if(signature.arguments,
                               [&](const runtime::Argument &argument) {
                                 return argument.name == result.name &&
                                        argument.kind == ArgumentKind::Cache;
                               });
    if (cache != signature.arguments.end()) {
      cache->updated = true;
      continue;
    }
    Result<std::vector<Expression>> shape =
        readType(type, result.name, std::nullopt, result.type);
    if (!shape)
      return fail(shape.error());
    if (!isa<RankedTensorType>(type))
      return fail(Error("result '", result.name, "' is no tensor"));
    result.shape = std::move(*shape);
    signature.results.push_back(std::move(result));
  }
  return signature;
}

} // namespace

Result<std::vector<runtime::EntrySignature>>
ropewalk::readSignatures(ModuleOp module) {
  std::vector<runtime::EntrySignature> signatures;
  for (auto function : module.getOps<func::FuncOp>()) {
    if (function.isExternal() || !function.isPublic())
      continue;
    Result<runtime::EntrySignature> signature = readSignature(function);
    if (!signature)
      return signature.error();
    // Smallest values of parameters, where attentions use them directly.
    function.walk([&](rope::AttentionOp op) {
      auto operands = op.getParameters();
      unsigned next = 0;
      for (const rope::MapParameter &parameter : op.getMap().getMapParameters())
        if (!parameter.value) {
          auto argument = dyn_cast<BlockArgument>(operands[next++]);
          if (argument && argument.getOwner() == &function.getBody().front()) {
            auto &minimum =
                signature->arguments[argument.getArgNumber()].minimum;
            minimum = std::max(minimum.value_or(parameter.minimum),
                               parameter.minimum);
          }
        }
    });
    signatures.push_back(std::move(*signature));
  }
  if (signatures.empty())
    return Error("the module has no public function with a body");
  return signatures;
}
