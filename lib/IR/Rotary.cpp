//===- Rotary.cpp - Rotary embeddings and their scaling ----- -*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "AttrAssembly.h"
#include "Ropewalk/IR/Rope.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/SmallString.h"

#include <cmath>

using namespace mlir;
using namespace ropewalk::rope;

//===----------------------------------------------------------------------===//
// Numbers in assembly
//===----------------------------------------------------------------------===//

ParseResult ropewalk::rope::parseDouble(AsmParser &parser,
                                        llvm::APFloat &value) {
  // The lexer takes a number without a point for an integer.
  bool negative = succeeded(parser.parseOptionalMinus());
  APInt integer;
  OptionalParseResult parsed = parser.parseOptionalInteger(integer);
  if (parsed.has_value()) {
    if (failed(*parsed))
      return failure();
    value = llvm::APFloat(llvm::APFloat::IEEEdouble());
    value.convertFromAPInt(integer, /*IsSigned=*/true,
                           llvm::APFloat::rmNearestTiesToEven);
  } else {
    double number;
    if (failed(parser.parseFloat(number)))
      return failure();
    value = llvm::APFloat(number);
  }
  if (negative)
    value.changeSign();
  return success();
}

void ropewalk::rope::printDouble(AsmPrinter &printer,
                                 const llvm::APFloat &value) {
  SmallString<32> text;
  value.toString(text, /*FormatPrecision=*/0, /*FormatMaxPadding=*/8);
  StringRef digits = text;
  printer << digits;
  if (digits.find_first_of(".eE") == StringRef::npos)
    printer << ".0";
}

//===----------------------------------------------------------------------===//
// RotaryAttr
//===----------------------------------------------------------------------===//

LogicalResult RotaryAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                                 llvm::APFloat theta, int64_t dim,
                                 RotaryLayout layout, Attribute scaling) {
  // R1
  if (!theta.isFinite() || theta.isNegative() || theta.isZero())
    return emitError() << "theta of rotary must be finite and greater than 0, "
                          "got "
                       << theta.convertToDouble();
  // R2
  if (dim < 2 || dim % 2 != 0)
    return emitError() << "dim of rotary must be even and at least 2, got "
                       << dim;
  // R3
  if (scaling && !isa<RotaryScalingAttrInterface>(scaling))
    return emitError() << "scaling of rotary must be a rotary scaling "
                          "attribute, got "
                       << scaling;
  return success();
}

Attribute RotaryAttr::parse(AsmParser &parser, Type) {
  llvm::APFloat theta(0.0);
  int64_t dim = 0;
  RotaryLayout layout = RotaryLayout::half;
  Attribute scaling;
  SMLoc location = parser.getCurrentLocation();
  if (parser.parseLess() || parser.parseKeyword("theta") ||
      parser.parseEqual() || parseDouble(parser, theta) ||
      parser.parseComma() || parser.parseKeyword("dim") ||
      parser.parseEqual() || parser.parseInteger(dim))
    return {};
  while (succeeded(parser.parseOptionalComma())) {
    SMLoc keyLocation = parser.getCurrentLocation();
    StringRef key;
    if (parser.parseKeyword(&key) || parser.parseEqual())
      return {};
    if (key == "layout") {
      StringRef value;
      SMLoc valueLocation = parser.getCurrentLocation();
      if (parser.parseKeyword(&value))
        return {};
      std::optional<RotaryLayout> parsed = symbolizeRotaryLayout(value);
      if (!parsed) {
        parser.emitError(valueLocation)
            << "layout of rotary expects half, got '" << value << "'";
        return {};
      }
      layout = *parsed;
    } else if (key == "scaling") {
      if (parser.parseAttribute(scaling))
        return {};
    } else {
      parser.emitError(keyLocation)
          << "unknown key '" << key
          << "' of rotary, expected layout or scaling";
      return {};
    }
  }
  if (parser.parseGreater())
    return {};
  return parser.getChecked<RotaryAttr>(location, parser.getContext(), theta,
                                       dim, layout, scaling);
}

void RotaryAttr::print(AsmPrinter &printer) const {
  printer << "<theta = ";
  printDouble(printer, getTheta());
  printer << ", dim = " << getDim();
  if (getLayout() != RotaryLayout::half)
    printer << ", layout = " << stringifyRotaryLayout(getLayout());
  if (getScaling())
    printer << ", scaling = " << getScaling();
  printer << ">";
}

SmallVector<double> RotaryAttr::getInverseFrequencies() const {
  double theta = getTheta().convertToDouble();
  SmallVector<double> frequencies(getNumPairs());
  for (auto [pair, frequency] : llvm::enumerate(frequencies))
    frequency = std::pow(theta, -2.0 * static_cast<double>(pair) /
                                    static_cast<double>(getDim()));
  if (Attribute scaling = getScaling())
    cast<RotaryScalingAttrInterface>(scaling).scaleFrequencies(theta, getDim(),
                                                               frequencies);
  return frequencies;
}

double RotaryAttr::getRotationFactor() const {
  Attribute scaling = getScaling();
  return scaling ? cast<RotaryScalingAttrInterface>(scaling).getRotationFactor()
                 : 1.0;
}

//===----------------------------------------------------------------------===//
// YarnAttr
//===----------------------------------------------------------------------===//

static bool isPositive(const llvm::APFloat &value) {
  return value.isFinite() && !value.isNegative() && !value.isZero();
}

LogicalResult YarnAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                               llvm::APFloat factor, int64_t original,
                               llvm::APFloat betaFast, llvm::APFloat betaSlow,
                               std::optional<llvm::APFloat> attentionFactor,
                               bool truncate) {
  // Y1
  if (!factor.isFinite() || factor < llvm::APFloat(1.0))
    return emitError() << "factor of yarn must be finite and at least 1, got "
                       << factor.convertToDouble();
  // Y2
  if (original < 1)
    return emitError() << "original of yarn must be at least 1, got "
                       << original;
  // Y3
  if (!isPositive(betaFast) || !isPositive(betaSlow) || betaFast < betaSlow)
    return emitError() << "beta_fast and beta_slow of yarn must be finite, "
                          "greater than 0 and in falling order, got "
                       << betaFast.convertToDouble() << " and "
                       << betaSlow.convertToDouble();
  // Y4
  if (attentionFactor && !isPositive(*attentionFactor))
    return emitError() << "attention_factor of yarn must be finite and greater "
                          "than 0, got "
                       << attentionFactor->convertToDouble();
  return success();
}

Attribute YarnAttr::parse(AsmParser &parser, Type) {
  llvm::APFloat factor(0.0), betaFast(32.0), betaSlow(1.0), number(0.0);
  std::optional<llvm::APFloat> attentionFactor;
  int64_t original = 0;
  bool truncate = true;
  SmallVector<StringRef, 6> seen;
  auto parseKey = [&]() -> ParseResult {
    StringRef key;
    SMLoc location = parser.getCurrentLocation();
    if (parser.parseKeyword(&key) || parser.parseEqual())
      return failure();
    if (llvm::is_contained(seen, key))
      return parser.emitError(location) << "key '" << key << "' given twice";
    seen.push_back(key);
    if (key == "factor")
      return parseDouble(parser, factor);
    if (key == "original")
      return parser.parseInteger(original);
    if (key == "beta_fast")
      return parseDouble(parser, betaFast);
    if (key == "beta_slow")
      return parseDouble(parser, betaSlow);
    if (key == "attention_factor") {
      if (parseDouble(parser, number))
        return failure();
      attentionFactor = number;
      return success();
    }
    if (key == "truncate") {
      StringRef value;
      SMLoc valueLocation = parser.getCurrentLocation();
      if (parser.parseKeyword(&value))
        return failure();
      if (value != "true" && value != "false")
        return parser.emitError(valueLocation)
               << "truncate of yarn expects true or false, got '" << value
               << "'";
      truncate = value == "true";
      return success();
    }
    return parser.emitError(location)
           << "unknown key '" << key
           << "' of yarn, expected factor, original, beta_fast, beta_slow, "
              "attention_factor or truncate";
  };
  SMLoc location = parser.getCurrentLocation();
  if (parser.parseCommaSeparatedList(AsmParser::Delimiter::LessGreater,
                                     parseKey))
    return {};
  for (StringRef required : {"factor", "original"})
    if (!llvm::is_contained(seen, required)) {
      parser.emitError(location) << "yarn needs '" << required << "'";
      return {};
    }
  return parser.getChecked<YarnAttr>(location, parser.getContext(), factor,
                                     original, betaFast, betaSlow,
                                     attentionFactor, truncate);
}

void YarnAttr::print(AsmPrinter &printer) const {
  printer << "<factor = ";
  printDouble(printer, getFactor());
  printer << ", original = " << getOriginal();
  if (getBetaFast() != llvm::APFloat(32.0)) {
    printer << ", beta_fast = ";
    printDouble(printer, getBetaFast());
  }
  if (getBetaSlow() != llvm::APFloat(1.0)) {
    printer << ", beta_slow = ";
    printDouble(printer, getBetaSlow());
  }
  if (getAttentionFactor()) {
    printer << ", attention_factor = ";
    printDouble(printer, *getAttentionFactor());
  }
  if (!getTruncate())
    printer << ", truncate = false";
  printer << ">";
}

void YarnAttr::scaleFrequencies(double theta, int64_t dim,
                                MutableArrayRef<double> frequencies) const {
  // The pair that turns `rotations` times over the original length, as a real
  // number (YaRN, Peng et al. 2023, section 3.2).
  auto pairOf = [&](double rotations) {
    return static_cast<double>(dim) *
           std::log(static_cast<double>(getOriginal()) /
                    (rotations * 2.0 * M_PI)) /
           (2.0 * std::log(theta));
  };
  double low = pairOf(getBetaFast().convertToDouble());
  double high = pairOf(getBetaSlow().convertToDouble());
  if (getTruncate()) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  // The upper clamp runs over dimensions while the ramp runs over pairs: this
  // is how checkpoints were trained.
  low = std::max(low, 0.0);
  high = std::min(high, static_cast<double>(dim - 1));
  if (low == high)
    high += 0.001;
  double factor = getFactor().convertToDouble();
  for (auto [pair, frequency] : llvm::enumerate(frequencies)) {
    double ramp = (static_cast<double>(pair) - low) / (high - low);
    ramp = std::min(std::max(ramp, 0.0), 1.0);
    frequency = frequency / factor * ramp + frequency * (1.0 - ramp);
  }
}

double YarnAttr::getRotationFactor() const {
  if (getAttentionFactor())
    return getAttentionFactor()->convertToDouble();
  return 0.1 * std::log(getFactor().convertToDouble()) + 1.0;
}
