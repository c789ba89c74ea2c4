//===- Frequencies.cpp - Frequencies from constants ------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Reads the inverse frequencies of a rotary embedding from a constant and finds
// the base they come from.
//
// Exporters hold float32 values of theta^(-2c/dim), computed as
// 1 / theta^e with e = 2c/dim rounded to float32. Three roundings and the
// effect of e's rounding, ln(theta) * e * 2^-24, bound the relative error of a
// value. The base of the last value is known best; among the roundings of it
// to 1, 2, ... decimal digits the first that explains all values is taken.
//
//===----------------------------------------------------------------------===//

#include "Matcher.h"

#include "mlir/IR/AsmState.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "mlir/IR/Matchers.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/raw_ostream.h"

#include <cmath>
#include <cstdlib>
#include <cstring>

using namespace mlir;

namespace ropewalk {

std::string formatNumber(double number) {
  std::string text;
  llvm::raw_string_ostream(text) << llvm::format("%.9g", number);
  return text;
}

FailureOr<SmallVector<double>> readConstant(IndexSpace &space,
                                            const Element &element,
                                            AffineExpr variable, int64_t count,
                                            std::string &reason) {
  ElementsAttr attr;
  if (!matchPattern(element.tensor, m_Constant(&attr))) {
    reason = "they are not a constant";
    return failure();
  }
  auto type = dyn_cast<RankedTensorType>(attr.getType());
  if (!type || !isa<Float32Type, Float64Type>(type.getElementType())) {
    reason = llvm::formatv("they have the type {0}, expected f32 or f64",
                           attr.getType())
                 .str();
    return failure();
  }
  bool isDouble = type.getElementType().isF64();
  auto dense = dyn_cast<DenseElementsAttr>(attr);
  ArrayRef<char> data;
  if (auto resource = dyn_cast<DenseResourceElementsAttr>(attr)) {
    auto *blob = resource.getRawHandle().getBlob();
    if (!blob) {
      reason = llvm::formatv("the data of resource '{0}' was elided",
                             resource.getRawHandle().getKey())
                   .str();
      return failure();
    }
    data = blob->getData();
    if (data.size() != size_t(type.getNumElements()) * (isDouble ? 8 : 4)) {
      reason = llvm::formatv("resource '{0}' has {1} bytes, expected {2}",
                             resource.getRawHandle().getKey(), data.size(),
                             type.getNumElements() * (isDouble ? 8 : 4))
                   .str();
      return failure();
    }
  } else if (!dense) {
    reason = "their constant is neither dense nor a resource";
    return failure();
  }

  AffineExpr position = space.linearize(element.indices, type.getShape());
  SmallVector<double> values;
  for (int64_t i = 0; i < count; ++i) {
    std::optional<int64_t> at = space.evaluate(position, variable, i);
    if (!at || *at < 0 || *at >= type.getNumElements()) {
      reason = "their index is " + space.print(position) + ", expected " +
               space.print(variable);
      return failure();
    }
    if (dense) {
      values.push_back(
          (*(dense.getValues<APFloat>().begin() + *at)).convertToDouble());
    } else if (isDouble) {
      double value;
      std::memcpy(&value, data.data() + *at * sizeof(value), sizeof(value));
      values.push_back(value);
    } else {
      float value;
      std::memcpy(&value, data.data() + *at * sizeof(value), sizeof(value));
      values.push_back(value);
    }
  }
  return values;
}

FailureOr<double> findTheta(ArrayRef<double> frequencies, std::string &reason) {
  int64_t count = frequencies.size();
  if (count < 2) {
    reason = "one frequency does not tell its base";
    return failure();
  }
  for (auto [pair, value] : llvm::enumerate(frequencies)) {
    if (std::isfinite(value) && value > 0)
      continue;
    reason = ("inverse frequency " + Twine(pair) + " is " +
              formatNumber(value) + ", expected more than 0")
                 .str();
    return failure();
  }
  double exponent = double(count - 1) / count;
  double estimate = std::pow(frequencies.back(), -1 / exponent);
  // The first pair that `theta` does not explain, or -1.
  auto findDifference = [&](double theta) -> int64_t {
    for (int64_t pair = 0; pair < count; ++pair) {
      double power = double(pair) / count;
      double expected = std::pow(theta, -power);
      double tolerance = (4 + std::abs(std::log(theta)) * power) * 0x1p-24;
      if (!(std::abs(frequencies[pair] - expected) <= tolerance * expected))
        return pair;
    }
    return -1;
  };
  for (int digits = 1; digits <= 9; ++digits) {
    std::string decimal;
    llvm::raw_string_ostream(decimal)
        << llvm::format("%.*e", digits - 1, estimate);
    double theta = std::strtod(decimal.c_str(), nullptr);
    if (std::isfinite(theta) && theta > 0 && findDifference(theta) < 0)
      return theta;
  }
  int64_t pair = findDifference(estimate);
  if (pair < 0)
    return estimate;
  reason = ("the inverse frequencies are not theta^(-2c/" + Twine(2 * count) +
            ") for any theta: with theta = " + formatNumber(estimate) +
            ", that of pair " + Twine(pair) + " is " +
            formatNumber(frequencies[pair]) + ", expected " +
            formatNumber(std::pow(estimate, -double(pair) / count)))
               .str();
  return failure();
}

} // namespace ropewalk
