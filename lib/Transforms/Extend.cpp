//===- Extend.cpp - give attention another position map ---------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The map is parsed from text, so no method is known here: what can be extended
// and what cannot follows from the segments of the old and the new map.
//
// First every chosen layer of every function is checked, then all change:
//
//   1. collect the attention ops of each function and choose by number
//   2. check each op, and each function that would get arguments
//   3. bind parameters: constants in the attribute, or one argument for each
//   4. set map and parameter operands, with a remark
//
//===----------------------------------------------------------------------===//

#include "Ropewalk/IR/Rope.h"
#include "Ropewalk/Transforms/Passes.h"
#include "Ropewalk/Transforms/PositionReach.h"
#include "mlir/AsmParser/AsmParser.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/Remarks.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/FunctionInterfaces.h"
#include "llvm/ADT/BitVector.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/CommandLine.h"

namespace ropewalk {
#define GEN_PASS_DEF_EXTENDPASS
#include "Ropewalk/Transforms/Passes.h.inc"
} // namespace ropewalk

using namespace mlir;
using namespace ropewalk;
using rope::AttentionOp;
using rope::PositionMapAttrInterface;

namespace {

/// Positions are below 2^24 in kernels; a longer report would not be true.
constexpr int64_t maxReportLength = 1 << 24;
constexpr int64_t maxLayers = 1 << 16;

struct ExtendPass final : ropewalk::impl::ExtendPassBase<ExtendPass> {
  using Base::Base;

  LogicalResult initialize(MLIRContext *context) override;
  void runOnOperation() override;

private:
  LogicalResult parseMap(MLIRContext *context);
  LogicalResult parseLayers(MLIRContext *context);

  /// A function, and its attention ops with the number of their layer.
  struct Function {
    FunctionOpInterface op;
    SmallVector<std::pair<int64_t, AttentionOp>> layers;
  };
  FailureOr<SmallVector<Function>> chooseLayers();
  LogicalResult checkAttention(AttentionOp op);
  LogicalResult checkFunction(FunctionOpInterface function);
  void extend(Function &function);
  void report(int64_t layer, AttentionOp op, Attribute before);

  std::string argumentName(StringRef parameter) {
    return (name + "." + parameter).str();
  }

  /// The map as it was given, and as the ops get it.
  PositionMapAttrInterface givenMap, boundMap;
  /// At `report-length`, if that is asked for.
  std::optional<int64_t> largestPosition;
  /// Empty: all layers.
  llvm::BitVector chosen;
  /// By trained length: the length up to which the map is plain.
  DenseMap<int64_t, std::optional<int64_t>> plainLengths;
};

/// The trained length that the nearest operation around `op` states.
std::optional<int64_t> findTrainedLength(Operation *op) {
  for (; op; op = op->getParentOp()) {
    auto model = op->getAttrOfType<DictionaryAttr>(rope::kModelAttr);
    if (!model)
      continue;
    if (auto length = model.getAs<IntegerAttr>("trained_length"))
      return length.getInt();
  }
  return std::nullopt;
}

} // namespace

//===----------------------------------------------------------------------===//
// Options
//===----------------------------------------------------------------------===//

LogicalResult ExtendPass::parseMap(MLIRContext *context) {
  auto fail = [&](const Twine &message) {
    return emitError(UnknownLoc::get(context)) << "rope-extend: " << message;
  };
  if (map.empty() == method.empty())
    return fail("expected one of the options 'map' and 'method'");
  if (!values.empty() && method.empty())
    return fail("the option 'values' needs the option 'method'");
  std::string text = map;
  if (!method.empty()) {
    text = "#rope." + method;
    if (!values.empty())
      text += "<" + values + ">";
  }
  Attribute attribute = parseAttribute(text, context);
  if (!attribute)
    return fail("'" + text + "' is not an attribute");
  givenMap = dyn_cast<PositionMapAttrInterface>(attribute);
  if (!givenMap)
    return fail("'" + text + "' is not a position map");

  boundMap = givenMap;
  if (parameters == ParameterBinding::runtime) {
    SmallVector<std::optional<int64_t>> open(
        givenMap.getMapParameters().size());
    boundMap = cast<PositionMapAttrInterface>(givenMap.withParameters(open));
  }
  if (name.empty())
    return fail("the option 'name' expects a name that is not empty");
  if (int64_t length = reportLength; length < 0 || length > maxReportLength)
    return fail("the option 'report-length' expects a length from 0 to " +
                Twine(maxReportLength) + ", got " + Twine(length));
  return success();
}

LogicalResult ExtendPass::parseLayers(MLIRContext *context) {
  chosen.clear();
  if (layers.empty())
    return success();
  SmallVector<StringRef> ranges;
  StringRef(layers).split(ranges, ',');
  for (StringRef range : ranges) {
    range = range.trim();
    auto [first, last] = range.split('-');
    bool isRange = range.contains('-');
    unsigned begin = 0, end = 0;
    if (first.trim().getAsInteger(10, begin) ||
        (isRange && last.trim().getAsInteger(10, end)) ||
        (isRange && end < begin) || std::max(begin, end) >= maxLayers)
      return emitError(UnknownLoc::get(context))
             << "rope-extend: the option 'layers' expects numbers and ranges "
                "such as 0-3,7, got '"
             << layers << "'";
    if (!isRange)
      end = begin;
    if (chosen.size() <= end)
      chosen.resize(end + 1);
    chosen.set(begin, end + 1);
  }
  return success();
}

/// Runs before passes run in parallel: an attribute may load its dialect.
LogicalResult ExtendPass::initialize(MLIRContext *context) {
  plainLengths.clear();
  return success(succeeded(parseMap(context)) &&
                 succeeded(parseLayers(context)));
}

//===----------------------------------------------------------------------===//
// Checks
//===----------------------------------------------------------------------===//

FailureOr<SmallVector<ExtendPass::Function>> ExtendPass::chooseLayers() {
  llvm::MapVector<Operation *, SmallVector<AttentionOp>> byFunction;
  WalkResult result = getOperation().walk([&](AttentionOp op) {
    auto function = op->getParentOfType<FunctionOpInterface>();
    if (!function) {
      op.emitError("expected a function around attention that is extended");
      return WalkResult::interrupt();
    }
    byFunction[function].push_back(op);
    return WalkResult::advance();
  });
  if (result.wasInterrupted())
    return failure();
  if (byFunction.empty())
    return getOperation().emitError(
        "expected rope.attention to extend, got none: import or raise makes "
        "it");
  SmallVector<Function> functions;
  for (auto &[op, attentions] : byFunction) {
    auto function = cast<FunctionOpInterface>(op);
    int64_t count = attentions.size();
    if (int last = chosen.find_last(); last >= count)
      return function.emitError("expected layers below ")
             << count << ", the number of attention ops in '"
             << function.getName() << "', got layer " << last;
    Function &entry = functions.emplace_back(Function{function, {}});
    for (auto [layer, attention] : llvm::enumerate(attentions))
      if (chosen.empty() || (layer < chosen.size() && chosen.test(layer)))
        entry.layers.emplace_back(layer, attention);
  }
  return functions;
}

LogicalResult ExtendPass::checkAttention(AttentionOp op) {
  PositionMapAttrInterface before = op.getMap();
  if (!isPlainRotary(before))
    return op.emitError("cannot be extended: expected plain rotary attention, "
                        "got ")
           << before << ", which "
           << (leavesKeysOut(before) ? "leaves keys out" : "moves positions");
  if (op.getQueryPositions() || op.getKeyPositions())
    return op.emitError(
        "cannot be extended: expected positions that follow the slots, got "
        "explicit query_positions and key_positions");
  if (!op.getCausal() && rope::movesPositions(givenMap))
    return op.emitError("cannot be extended: ")
           << givenMap
           << " moves positions, which is defined for causal attention only";

  std::optional<int64_t> trained = findTrainedLength(op);
  if (!trained || *trained < 1)
    return success();
  auto [entry, isNew] = plainLengths.try_emplace(*trained);
  if (isNew)
    entry->second = plainLength(givenMap, *trained + 1);
  if (entry->second && *entry->second > *trained)
    return op.emitError("cannot be extended: ")
           << givenMap
           << " is plain rotary attention up to a length of at least "
           << *entry->second << ", beyond the trained length " << *trained
           << ": relative positions leave the trained ones before it changes "
              "anything";
  return success();
}

/// Whether `function` can get an argument for each run-time parameter.
LogicalResult ExtendPass::checkFunction(FunctionOpInterface function) {
  SmallVector<std::string> names;
  for (const rope::MapParameter &parameter : boundMap.getMapParameters())
    if (!parameter.value)
      names.push_back(argumentName(parameter.name));
  if (names.empty())
    return success();
  for (unsigned i = 0, e = function.getNumArguments(); i != e; ++i) {
    auto other = function.getArgAttrOfType<StringAttr>(i, rope::kNameAttr);
    if (other && llvm::is_contained(names, other.getValue()))
      return function.emitError("cannot get an argument named '")
             << other.getValue() << "': argument " << i
             << " has that name (the option 'name' gives another)";
  }
  std::optional<SymbolTable::UseRange> uses =
      SymbolTable::getSymbolUses(function, getOperation());
  if (!uses)
    return function.emitError("cannot get arguments for run-time parameters: "
                              "its uses are not known");
  if (!uses->empty()) {
    InFlightDiagnostic error = function.emitError(
        "cannot get arguments for run-time parameters: it is used by name");
    error.attachNote((*uses->begin()).getUser()->getLoc()) << "used here";
    return error;
  }
  return success();
}

//===----------------------------------------------------------------------===//
// The change
//===----------------------------------------------------------------------===//

void ExtendPass::report(int64_t layer, AttentionOp op, Attribute before) {
  std::string text;
  llvm::raw_string_ostream(text) << "layer " << layer << ": " << before
                                 << " becomes " << Attribute(boundMap);
  remark::passed(op.getLoc(),
                 remark::RemarkOpts::name("extended").category("rope-extend"))
      << text;
  int64_t length = reportLength;
  if (length == 0)
    return;
  InFlightDiagnostic remark = op.emitRemark("layer ") << layer << ": ";
  if (!largestPosition) {
    remark << "the largest relative position at length " << length
           << " depends on run-time parameters or overflows";
    return;
  }
  remark << "the largest relative position at length " << length << " is "
         << *largestPosition;
  if (givenMap.getUnit() != 1)
    remark << "/" << givenMap.getUnit();
  if (std::optional<int64_t> trained = findTrainedLength(op))
    remark << ", trained " << *trained - 1;
}

void ExtendPass::extend(Function &function) {
  OpBuilder builder(&getContext());
  auto type = RankedTensorType::get(
      {ShapedType::kDynamic, ShapedType::kDynamic}, builder.getI64Type());
  SmallVector<Value> operands;
  for (const rope::MapParameter &parameter : boundMap.getMapParameters()) {
    if (parameter.value)
      continue;
    StringAttr argument = builder.getStringAttr(argumentName(parameter.name));
    auto attributes = builder.getDictionaryAttr(
        {builder.getNamedAttr(rope::kNameAttr, argument),
         builder.getNamedAttr(rope::kKindAttr,
                              builder.getStringAttr("parameter"))});
    unsigned index = function.op.getNumArguments();
    (void)function.op.insertArgument(index, type, attributes,
                                     NameLoc::get(argument));
    operands.push_back(function.op.getArgument(index));
  }
  for (auto [layer, op] : function.layers) {
    Attribute before = op.getMap();
    op.setMapAttr(boundMap);
    op.getParametersMutable().assign(operands);
    report(layer, op, before);
    ++numExtended;
  }
}

void ExtendPass::runOnOperation() {
  FailureOr<SmallVector<Function>> functions = chooseLayers();
  if (failed(functions))
    return signalPassFailure();
  bool extendable = true;
  for (Function &function : *functions) {
    for (auto [layer, op] : function.layers)
      extendable &= succeeded(checkAttention(op));
    extendable &= succeeded(checkFunction(function.op));
  }
  if (!extendable)
    return signalPassFailure();
  if (reportLength != 0)
    largestPosition = largestRelativePosition(givenMap, reportLength);
  for (Function &function : *functions)
    extend(function);
}
