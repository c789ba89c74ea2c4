//===- SegmentsAttr.cpp - The open form of a position map --- -*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Assembly and verification of #rope.segments, whose expressions are written
// with the names of its parameters.
//
//===----------------------------------------------------------------------===//

#include "AttrAssembly.h"
#include "Ropewalk/IR/Rope.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"

#include <set>

using namespace mlir;
using namespace ropewalk::rope;

//===----------------------------------------------------------------------===//
// Interface
//===----------------------------------------------------------------------===//

/// True if `symbol` stands in a divisor somewhere in `expr`.
static bool divides(AffineExpr expr, unsigned symbol) {
  auto binary = dyn_cast<AffineBinaryOpExpr>(expr);
  if (!binary)
    return false;
  bool isDivision = expr.getKind() == AffineExprKind::FloorDiv ||
                    expr.getKind() == AffineExprKind::CeilDiv ||
                    expr.getKind() == AffineExprKind::Mod;
  return (isDivision && binary.getRHS().isFunctionOfSymbol(symbol)) ||
         divides(binary.getLHS(), symbol) || divides(binary.getRHS(), symbol);
}

SmallVector<MapParameter> SegmentsAttr::getMapParameters() const {
  SmallVector<MapParameter> parameters;
  for (auto [index, name, value] : llvm::enumerate(getNames(), getValues())) {
    bool isDivisor = false;
    for (ArrayRef<AffineMap> maps : {getFrom(), getQuery(), getKey()})
      for (AffineMap map : maps)
        if (map)
          for (AffineExpr expr : map.getResults())
            isDivisor |= divides(expr, index);
    parameters.push_back(
        {name.str(),
         ShapedType::isDynamic(value) ? std::nullopt : std::optional(value),
         isDivisor ? 1 : 0});
  }
  return parameters;
}

SmallVector<Segment> SegmentsAttr::getSegments() const {
  SmallVector<Segment> segments;
  for (auto [from, query, key] : llvm::zip(getFrom(), getQuery(), getKey()))
    segments.push_back({from, query, key, /*masked=*/!query});
  return segments;
}

Attribute
SegmentsAttr::withParameters(ArrayRef<std::optional<int64_t>> values) const {
  SmallVector<int64_t> numbers;
  for (std::optional<int64_t> value : values)
    numbers.push_back(value.value_or(ShapedType::kDynamic));
  return get(getContext(), getNames(), numbers, getFrom(), getQuery(), getKey(),
             getPositionUnit());
}

int64_t SegmentsAttr::getUnit() const { return getPositionUnit(); }

//===----------------------------------------------------------------------===//
// Verification
//===----------------------------------------------------------------------===//

namespace {
/// A search for a pair of positions at a negative distance.
class DistanceSearch {
public:
  DistanceSearch(ArrayRef<Segment> segments, ArrayRef<int64_t> parameters)
      : segments(segments), parameters(parameters) {}

  struct Finding {
    unsigned segment;
    int64_t query, key, distance;
  };

  /// Looks at every pair of small positions, and at the ends of each segment
  /// for larger ones: expressions are piecewise linear with the parameters as
  /// periods, so their neighborhood is where an end can go wrong.
  std::optional<Finding> run() const {
    std::set<int64_t> queries;
    for (int64_t i = 0; i < kDense; ++i)
      queries.insert(i);
    for (int64_t parameter : parameters)
      for (int64_t multiple : {1, 2, 3})
        for (int64_t offset = -2; offset <= 2; ++offset)
          if (parameter <= kLimit / 4 && parameter * multiple + offset >= 0)
            queries.insert(parameter * multiple + offset);
    queries.insert({1000, 4095, 4096, 65537, kLimit});
    for (int64_t i : queries)
      if (auto finding = lookAt(i))
        return finding;
    return std::nullopt;
  }

private:
  static constexpr int64_t kDense = 96;
  static constexpr int64_t kLimit = int64_t(1) << 22;

  std::optional<Finding> lookAt(int64_t i) const {
    int64_t end = i + 1;
    for (auto [index, segment] : llvm::enumerate(segments)) {
      auto from = evaluate(segment.from, i, parameters);
      if (!from)
        return std::nullopt;
      int64_t begin = std::max<int64_t>(0, std::min(*from, end));
      if (!segment.masked && begin < end) {
        auto query = evaluate(segment.query, i, parameters);
        for (int64_t j = begin; j < end; ++j) {
          if (end - begin > 2 * kDense && j == begin + kDense)
            j = end - kDense;
          auto key = evaluate(segment.key, j, parameters);
          if (query && key && *query < *key)
            return Finding{static_cast<unsigned>(index), i, j, *query - *key};
        }
      }
      end = begin;
    }
    return std::nullopt;
  }

  ArrayRef<Segment> segments;
  ArrayRef<int64_t> parameters;
};
} // namespace

LogicalResult SegmentsAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                                   ArrayRef<StringAttr> names,
                                   ArrayRef<int64_t> values,
                                   ArrayRef<AffineMap> from,
                                   ArrayRef<AffineMap> query,
                                   ArrayRef<AffineMap> key, int64_t unit) {
  // M5
  if (unit < 1)
    return emitError() << "unit of segments must be at least 1, got " << unit;
  if (names.size() != values.size())
    return emitError() << "segments have " << names.size() << " names for "
                       << values.size() << " parameters";
  std::set<StringRef> seen = {"i", "j"};
  for (StringAttr name : names)
    if (!seen.insert(name.getValue()).second)
      return emitError() << "name '" << name.getValue()
                         << "' of a parameter is taken already";
  if (from.empty() || from.size() != query.size() || from.size() != key.size())
    return emitError() << "segments must be at least one and complete, got "
                       << from.size() << " from, " << query.size()
                       << " query and " << key.size() << " key";
  MLIRContext *context = from.front().getContext();
  for (unsigned index = 0; index < from.size(); ++index) {
    if (!query[index] != !key[index])
      return emitError() << "segment " << index
                         << " must have both query and key, or be masked";
    for (AffineMap map : {from[index], query[index], key[index]})
      if (map &&
          (map.getNumDims() != 1 || map.getNumSymbols() != names.size() ||
           map.getNumResults() == 0))
        return emitError() << "segment " << index
                           << " must have maps of one dimension and "
                           << names.size() << " symbols, got "
                           << AffineMapAttr::get(map);
    if (key[index] && key[index].getNumResults() != 1)
      return emitError() << "segment " << index
                         << " must have one key position, got "
                         << key[index].getNumResults();
  }
  auto attribute =
      SegmentsAttr::get(context, names, values, from, query, key, unit);
  SmallVector<MapParameter> parameters = attribute.getMapParameters();
  // M3
  SmallVector<int64_t> minimums, constants;
  for (const MapParameter &parameter : parameters) {
    minimums.push_back(parameter.value.value_or(parameter.minimum));
    if (!parameter.value)
      continue;
    constants.push_back(*parameter.value);
    if (*parameter.value < parameter.minimum)
      return emitError() << "parameter '" << parameter.name
                         << "' of segments must be at least "
                         << parameter.minimum << ", got " << *parameter.value;
  }
  // M1
  for (auto [index, map] : llvm::enumerate(from))
    for (AffineExpr expr : map.getResults()) {
      std::string reason;
      if (!isNonDecreasing(expr, minimums, reason))
        return emitError() << "from of segment " << index
                           << " must not decrease with i, but " << reason;
    }
  // M2
  AffineExpr last = from.back().getResult(0);
  if (from.back().getNumResults() != 1 ||
      last != getAffineConstantExpr(0, context))
    return emitError() << "from of the last segment, " << from.size() - 1
                       << ", must be 0";
  // M4
  if (constants.size() == parameters.size()) {
    SmallVector<Segment> segments = attribute.getSegments();
    if (auto finding = DistanceSearch(segments, constants).run())
      return emitError() << "relative position of segment " << finding->segment
                         << " must not be negative, got " << finding->distance
                         << " at i = " << finding->query
                         << ", j = " << finding->key;
  }
  return success();
}

//===----------------------------------------------------------------------===//
// Assembly
//===----------------------------------------------------------------------===//

Attribute SegmentsAttr::parse(AsmParser &parser, Type) {
  Builder builder(parser.getContext());
  SmallVector<StringAttr> names;
  SmallVector<int64_t> values;
  SmallVector<AffineMap> from, query, key;
  int64_t unit = 1;

  SMLoc location = parser.getCurrentLocation();
  auto parseParameter = [&]() -> ParseResult {
    StringRef name;
    int64_t value;
    if (parser.parseKeyword(&name) || parser.parseEqual() ||
        parseMapParameter(parser, value))
      return failure();
    names.push_back(builder.getStringAttr(name));
    values.push_back(value);
    return success();
  };
  if (parser.parseLess())
    return {};
  if (parser.parseCommaSeparatedList(AsmParser::Delimiter::OptionalSquare,
                                     parseParameter))
    return {};
  if (!names.empty() && parser.parseComma())
    return {};
  if (succeeded(parser.parseOptionalKeyword("unit"))) {
    if (parser.parseEqual() || parser.parseInteger(unit) || parser.parseComma())
      return {};
  }

  // Reads `(expr, ...)` over the given name for dimension 0.
  auto parseFunction = [&](StringRef dimension, AffineMap &map) -> ParseResult {
    SmallVector<std::pair<StringRef, AffineExpr>> symbols;
    symbols.emplace_back(dimension, builder.getAffineDimExpr(0));
    for (auto [index, name] : llvm::enumerate(names))
      symbols.emplace_back(name.getValue(), builder.getAffineSymbolExpr(index));
    SmallVector<AffineExpr> results;
    if (parser.parseCommaSeparatedList(
            AsmParser::Delimiter::Paren, [&]() -> ParseResult {
              return parser.parseAffineExpr(symbols, results.emplace_back());
            }))
      return failure();
    map = AffineMap::get(1, names.size(), results, parser.getContext());
    return success();
  };
  auto parseSegment = [&]() -> ParseResult {
    AffineMap function;
    if (parser.parseKeyword("from") || parseFunction("i", function))
      return failure();
    from.push_back(function);
    if (succeeded(parser.parseOptionalKeyword("masked"))) {
      query.push_back({});
      key.push_back({});
      return success();
    }
    if (parser.parseKeyword("query") || parseFunction("i", function))
      return failure();
    query.push_back(function);
    if (parser.parseKeyword("key") || parseFunction("j", function))
      return failure();
    key.push_back(function);
    return success();
  };
  if (parser.parseCommaSeparatedList(parseSegment) || parser.parseGreater())
    return {};
  return parser.getChecked<SegmentsAttr>(
      location, parser.getContext(), ArrayRef<StringAttr>(names),
      ArrayRef<int64_t>(values), ArrayRef<AffineMap>(from),
      ArrayRef<AffineMap>(query), ArrayRef<AffineMap>(key), unit);
}

namespace {
/// Prints expressions with names in the place of d0 and s0, s1, ...
class NamedExprPrinter {
public:
  NamedExprPrinter(AsmPrinter &printer, StringRef dimension,
                   ArrayRef<StringAttr> names)
      : printer(printer), dimension(dimension), names(names) {}

  void printFunction(AffineMap map) {
    printer << "(";
    llvm::interleaveComma(map.getResults(), printer, [&](AffineExpr expr) {
      print(expr, /*tight=*/false);
    });
    printer << ")";
  }

private:
  /// `tight`: the context binds more tightly than a sum.
  void print(AffineExpr expr, bool tight) {
    if (auto constant = dyn_cast<AffineConstantExpr>(expr)) {
      printer << constant.getValue();
      return;
    }
    if (isa<AffineDimExpr>(expr)) {
      printer << dimension;
      return;
    }
    if (auto symbol = dyn_cast<AffineSymbolExpr>(expr)) {
      printer << names[symbol.getPosition()].getValue();
      return;
    }
    auto binary = cast<AffineBinaryOpExpr>(expr);
    bool isSum = expr.getKind() == AffineExprKind::Add;
    // The grammar has no precedence between * and floordiv to rely on, so
    // every product within a product gets its parentheses.
    bool parenthesize = tight;
    if (parenthesize)
      printer << "(";
    if (isSum)
      printSum(binary);
    else {
      print(binary.getLHS(), /*tight=*/true);
      printer << spelling(expr.getKind());
      print(binary.getRHS(), /*tight=*/true);
    }
    if (parenthesize)
      printer << ")";
  }

  void printSum(AffineBinaryOpExpr sum) {
    printSummand(sum.getLHS());
    AffineExpr rhs = sum.getRHS();
    if (auto constant = dyn_cast<AffineConstantExpr>(rhs);
        constant && constant.getValue() < 0 &&
        constant.getValue() != std::numeric_limits<int64_t>::min()) {
      printer << " - " << -constant.getValue();
      return;
    }
    if (auto product = dyn_cast<AffineBinaryOpExpr>(rhs);
        product && product.getKind() == AffineExprKind::Mul)
      if (auto factor = dyn_cast<AffineConstantExpr>(product.getRHS());
          factor && factor.getValue() == -1) {
        printer << " - ";
        print(product.getLHS(), /*tight=*/true);
        return;
      }
    printer << " + ";
    printSummand(rhs);
  }

  void printSummand(AffineExpr expr) {
    auto binary = dyn_cast<AffineBinaryOpExpr>(expr);
    if (binary && binary.getKind() == AffineExprKind::Add) {
      printSum(binary);
      return;
    }
    print(expr, /*tight=*/false);
  }

  static StringRef spelling(AffineExprKind kind) {
    switch (kind) {
    case AffineExprKind::Mul:
      return " * ";
    case AffineExprKind::FloorDiv:
      return " floordiv ";
    case AffineExprKind::CeilDiv:
      return " ceildiv ";
    default:
      return " mod ";
    }
  }

  AsmPrinter &printer;
  StringRef dimension;
  ArrayRef<StringAttr> names;
};
} // namespace

void SegmentsAttr::print(AsmPrinter &printer) const {
  printer << "<";
  if (!getNames().empty()) {
    printer << "[";
    llvm::interleaveComma(llvm::zip(getNames(), getValues()), printer,
                          [&](auto parameter) {
                            auto [name, value] = parameter;
                            printer << name.getValue() << " = ";
                            printMapParameter(printer, value);
                          });
    printer << "], ";
  }
  if (getPositionUnit() != 1)
    printer << "unit = " << getPositionUnit() << ", ";
  NamedExprPrinter ofQuery(printer, "i", getNames());
  NamedExprPrinter ofKey(printer, "j", getNames());
  llvm::interleaveComma(getSegments(), printer, [&](const Segment &segment) {
    printer << "from ";
    ofQuery.printFunction(segment.from);
    if (segment.masked) {
      printer << " masked";
      return;
    }
    printer << " query ";
    ofQuery.printFunction(segment.query);
    printer << " key ";
    ofKey.printFunction(segment.key);
  });
  printer << ">";
}
