//===- SizeExpr.h - Polynomials of symbolic sizes ---------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Sizes, strides and byte counts of a launch plan are polynomials with integer
// coefficients in a few symbols (B, S, C). The form is canonical, so that equal
// sizes compare equal however a graph wrote them.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_CODEGEN_GPU_SIZEEXPR_H
#define ROPEWALK_CODEGEN_GPU_SIZEEXPR_H

#include "llvm/ADT/StringRef.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace ropewalk::codegen {

class SizeExpr {
public:
  /// A sorted list of symbols, with repetition; empty for the constant term.
  using Monomial = std::vector<std::string>;

  SizeExpr() = default;
  SizeExpr(int64_t constant) {
    if (constant != 0)
      terms[{}] = constant;
  }
  static SizeExpr symbol(llvm::StringRef name);

  SizeExpr operator+(const SizeExpr &other) const;
  SizeExpr operator-(const SizeExpr &other) const;
  SizeExpr operator*(const SizeExpr &other) const;
  bool operator==(const SizeExpr &other) const { return terms == other.terms; }
  bool operator!=(const SizeExpr &other) const { return !(*this == other); }

  std::optional<int64_t> asConstant() const;
  bool isZero() const { return terms.empty(); }
  /// True where the value is a multiple of `divisor` for all sizes.
  bool isMultipleOf(int64_t divisor) const;
  /// The polynomial with `value` in the place of a symbol.
  SizeExpr substitute(llvm::StringRef symbol, int64_t value) const;
  /// The quotient where the division is exact for all sizes.
  std::optional<SizeExpr> divideExactly(const SizeExpr &divisor) const;
  /// Text in the manifest's expression language.
  std::string str() const;

private:
  std::map<Monomial, int64_t> terms;
};

} // namespace ropewalk::codegen

#endif // ROPEWALK_CODEGEN_GPU_SIZEEXPR_H
