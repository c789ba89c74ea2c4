//===- PositionMaps.cpp - The maps that have a name --------- -*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Every map here is its parameters and its segments, nothing else. Definitions:
// docs/Rationale.md.
//
//===----------------------------------------------------------------------===//

#include "AttrAssembly.h"
#include "Ropewalk/IR/Rope.h"
#include "mlir/IR/BuiltinTypeInterfaces.h"

using namespace mlir;
using namespace ropewalk::rope;

//===----------------------------------------------------------------------===//
// Parameters
//===----------------------------------------------------------------------===//

ParseResult ropewalk::rope::parseMapParameter(AsmParser &parser,
                                              int64_t &value) {
  if (succeeded(parser.parseOptionalQuestion())) {
    value = ShapedType::kDynamic;
    return success();
  }
  SMLoc location = parser.getCurrentLocation();
  if (failed(parser.parseInteger(value)))
    return failure();
  if (ShapedType::isDynamic(value))
    return parser.emitError(location, "integer out of range for a parameter");
  return success();
}

ParseResult ropewalk::rope::parseMapParameter(AsmParser &parser,
                                              FailureOr<int64_t> &value) {
  int64_t number = 0;
  if (failed(parseMapParameter(parser, number)))
    return failure();
  value = number;
  return success();
}

void ropewalk::rope::printMapParameter(AsmPrinter &printer, int64_t value) {
  if (ShapedType::isDynamic(value))
    printer << "?";
  else
    printer << value;
}

static std::optional<int64_t> toOptional(int64_t value) {
  return ShapedType::isDynamic(value) ? std::nullopt : std::optional(value);
}
static int64_t fromOptional(std::optional<int64_t> value) {
  return value.value_or(ShapedType::kDynamic);
}

/// M3 of the named maps.
static LogicalResult verifyMinimum(function_ref<InFlightDiagnostic()> emitError,
                                   StringRef map, StringRef name, int64_t value,
                                   int64_t minimum) {
  if (ShapedType::isDynamic(value) || value >= minimum)
    return success();
  return emitError() << "parameter '" << name << "' of " << map
                     << " must be at least " << minimum << ", got " << value;
}

//===----------------------------------------------------------------------===//
// Segments
//===----------------------------------------------------------------------===//

namespace {
/// Shorthand for the expressions of one map.
struct Expressions {
  Expressions(MLIRContext *context, unsigned numParameters)
      : context(context), numParameters(numParameters),
        position(getAffineDimExpr(0, context)) {}

  AffineExpr parameter(unsigned index) const {
    return getAffineSymbolExpr(index, context);
  }
  AffineMap function(AffineExpr expr) const {
    return AffineMap::get(1, numParameters, expr);
  }
  AffineMap zero() const { return function(getAffineConstantExpr(0, context)); }
  /// The newest `window` keys at their own positions.
  Segment neighbors(AffineExpr window) const {
    return {function(position - window + 1), function(position),
            function(position)};
  }
  Segment rest(AffineMap query, AffineMap key) const {
    return {zero(), query, key};
  }
  Segment maskedRest() const { return {zero(), {}, {}, /*masked=*/true}; }

  MLIRContext *context;
  unsigned numParameters;
  AffineExpr position;
};
} // namespace

SmallVector<MapParameter> IdentityAttr::getMapParameters() const { return {}; }
SmallVector<Segment> IdentityAttr::getSegments() const {
  Expressions e(getContext(), 0);
  return {e.rest(e.function(e.position), e.function(e.position))};
}
Attribute IdentityAttr::withParameters(ArrayRef<std::optional<int64_t>>) const {
  return *this;
}

LogicalResult
SelfExtendAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                       int64_t group, int64_t window) {
  // M3
  return success(
      succeeded(verifyMinimum(emitError, "self_extend", "group", group, 1)) &&
      succeeded(verifyMinimum(emitError, "self_extend", "window", window, 0)));
}
SmallVector<MapParameter> SelfExtendAttr::getMapParameters() const {
  return {{"group", toOptional(getGroup()), 1},
          {"window", toOptional(getWindow()), 0}};
}
SmallVector<Segment> SelfExtendAttr::getSegments() const {
  Expressions e(getContext(), 2);
  AffineExpr group = e.parameter(0), window = e.parameter(1);
  return {e.neighbors(window),
          e.rest(e.function(e.position.floorDiv(group) + window -
                            window.floorDiv(group)),
                 e.function(e.position.floorDiv(group)))};
}
Attribute
SelfExtendAttr::withParameters(ArrayRef<std::optional<int64_t>> values) const {
  return get(getContext(), fromOptional(values[0]), fromOptional(values[1]));
}

LogicalResult ReRopeAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                                 int64_t window) {
  // M3
  return verifyMinimum(emitError, "rerope", "window", window, 0);
}
SmallVector<MapParameter> ReRopeAttr::getMapParameters() const {
  return {{"window", toOptional(getWindow()), 0}};
}
SmallVector<Segment> ReRopeAttr::getSegments() const {
  Expressions e(getContext(), 1);
  return {e.neighbors(e.parameter(0)),
          e.rest(e.function(e.parameter(0)), e.zero())};
}
Attribute
ReRopeAttr::withParameters(ArrayRef<std::optional<int64_t>> values) const {
  return get(getContext(), fromOptional(values[0]));
}

LogicalResult SlidingAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                                  int64_t window) {
  // M3
  return verifyMinimum(emitError, "sliding", "window", window, 0);
}
SmallVector<MapParameter> SlidingAttr::getMapParameters() const {
  return {{"window", toOptional(getWindow()), 0}};
}
SmallVector<Segment> SlidingAttr::getSegments() const {
  Expressions e(getContext(), 1);
  return {e.neighbors(e.parameter(0)), e.maskedRest()};
}
Attribute
SlidingAttr::withParameters(ArrayRef<std::optional<int64_t>> values) const {
  return get(getContext(), fromOptional(values[0]));
}
