//===- SizeExpr.cpp - Polynomials of symbolic sizes -------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Ropewalk/Codegen/GPU/SizeExpr.h"

#include "llvm/ADT/STLExtras.h"

using namespace ropewalk::codegen;

SizeExpr SizeExpr::symbol(llvm::StringRef name) {
  SizeExpr result;
  result.terms[{name.str()}] = 1;
  return result;
}

SizeExpr SizeExpr::operator+(const SizeExpr &other) const {
  SizeExpr result = *this;
  for (const auto &[monomial, coefficient] : other.terms)
    if ((result.terms[monomial] += coefficient) == 0)
      result.terms.erase(monomial);
  return result;
}

SizeExpr SizeExpr::operator-(const SizeExpr &other) const {
  return *this + other * SizeExpr(-1);
}

SizeExpr SizeExpr::operator*(const SizeExpr &other) const {
  SizeExpr result;
  for (const auto &[left, leftCoefficient] : terms) {
    for (const auto &[right, rightCoefficient] : other.terms) {
      Monomial product = left;
      product.insert(product.end(), right.begin(), right.end());
      llvm::sort(product);
      if ((result.terms[product] += leftCoefficient * rightCoefficient) == 0)
        result.terms.erase(product);
    }
  }
  return result;
}

std::optional<int64_t> SizeExpr::asConstant() const {
  if (terms.empty())
    return 0;
  if (terms.size() == 1 && terms.begin()->first.empty())
    return terms.begin()->second;
  return std::nullopt;
}

bool SizeExpr::isMultipleOf(int64_t divisor) const {
  return llvm::all_of(
      terms, [&](const auto &term) { return term.second % divisor == 0; });
}

SizeExpr SizeExpr::substitute(llvm::StringRef symbol, int64_t value) const {
  SizeExpr result;
  for (const auto &[monomial, coefficient] : terms) {
    SizeExpr product(coefficient);
    for (const std::string &factor : monomial)
      product = product *
                (factor == symbol ? SizeExpr(value) : SizeExpr::symbol(factor));
    result = result + product;
  }
  return result;
}

std::optional<SizeExpr> SizeExpr::divideExactly(const SizeExpr &divisor) const {
  if (terms.empty())
    return SizeExpr();
  if (divisor.terms.size() != 1)
    return *this == divisor ? std::optional<SizeExpr>(1) : std::nullopt;
  const auto &[by, scale] = *divisor.terms.begin();
  SizeExpr result;
  for (const auto &[monomial, coefficient] : terms) {
    if (coefficient % scale != 0)
      return std::nullopt;
    Monomial rest = monomial;
    for (const std::string &factor : by) {
      auto it = llvm::find(rest, factor);
      if (it == rest.end())
        return std::nullopt;
      rest.erase(it);
    }
    result.terms[rest] = coefficient / scale;
  }
  return result;
}

std::string SizeExpr::str() const {
  if (terms.empty())
    return "0";
  std::string text;
  // Terms of highest degree first; the constant comes last.
  for (auto it = terms.rbegin(); it != terms.rend(); ++it) {
    const auto &[monomial, coefficient] = *it;
    if (coefficient < 0)
      text += '-';
    else if (!text.empty())
      text += '+';
    int64_t magnitude = coefficient < 0 ? -coefficient : coefficient;
    bool needsStar = false;
    if (magnitude != 1 || monomial.empty()) {
      text += std::to_string(magnitude);
      needsStar = true;
    }
    for (const std::string &factor : monomial) {
      if (needsStar)
        text += '*';
      text += factor;
      needsStar = true;
    }
  }
  return text;
}
