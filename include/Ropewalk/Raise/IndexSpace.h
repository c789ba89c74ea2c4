//===- IndexSpace.h - Arithmetic on bounded indices ------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Affine expressions over variables with known ranges, in a canonical form.
// Knowing the ranges is what turns the index of a chain of reshapes back into
// something short: with h in [0, 4), (4 b + h) floordiv 4 is b.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_RAISE_INDEXSPACE_H
#define ROPEWALK_RAISE_INDEXSPACE_H

#include "mlir/IR/AffineExpr.h"
#include "mlir/Support/LLVM.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/SmallVector.h"

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

namespace ropewalk {

/// A set of index variables 0 <= v < size. The affine dimensions of all
/// expressions passed to one space are its variables; two expressions that are
/// equal for all values have, for the forms that reshapes produce, the same
/// simplified expression. Every expression must satisfy `isSupported`.
class IndexSpace {
public:
  explicit IndexSpace(mlir::MLIRContext *context) : context(context) {}

  /// Adds a variable in [0, size); a variable of size 1 is the constant 0.
  mlir::AffineExpr addVariable(int64_t size, llvm::StringRef name);

  mlir::AffineExpr getConstant(int64_t value) const;

  /// The canonical form of `expr`.
  mlir::AffineExpr simplify(mlir::AffineExpr expr);

  /// `expr` with its dimensions replaced by `values`, in canonical form. An
  /// absent value (null) must not be used by `expr`.
  mlir::AffineExpr replace(mlir::AffineExpr expr,
                           llvm::ArrayRef<mlir::AffineExpr> values);

  /// `expr` with `variable` replaced by `value`, in canonical form.
  mlir::AffineExpr substitute(mlir::AffineExpr expr, mlir::AffineExpr variable,
                              mlir::AffineExpr value);

  /// Row-major position of `indices` in `shape`.
  mlir::AffineExpr linearize(llvm::ArrayRef<mlir::AffineExpr> indices,
                             llvm::ArrayRef<int64_t> shape);

  /// Indices of row-major position `position` in `shape`.
  llvm::SmallVector<mlir::AffineExpr>
  delinearize(mlir::AffineExpr position, llvm::ArrayRef<int64_t> shape);

  /// Smallest and largest value, possibly not tight.
  std::pair<int64_t, int64_t> getBounds(mlir::AffineExpr expr);

  /// The value of `expr` where `variable` is `value`, if it uses no other.
  std::optional<int64_t> evaluate(mlir::AffineExpr expr,
                                  mlir::AffineExpr variable, int64_t value);

  /// True if `expr` uses `variable`.
  static bool dependsOn(mlir::AffineExpr expr, mlir::AffineExpr variable);

  /// True if `expr` is made of dimensions and constants with +, and with *,
  /// floordiv and mod by a (positive, for the last two) constant.
  static bool isSupported(mlir::AffineExpr expr);

  /// `expr` with the names of the variables.
  std::string print(mlir::AffineExpr expr) const;

private:
  /// constant + sum of coefficient * atom, atoms in the order of their ids. An
  /// atom is a variable, a floordiv or a mod.
  struct Linear {
    llvm::SmallVector<std::pair<unsigned, int64_t>> terms;
    int64_t constant = 0;
  };

  unsigned getAtom(mlir::AffineExpr expr);
  void add(Linear &sum, const Linear &other, int64_t factor);
  void addTerm(Linear &sum, unsigned atom, int64_t coefficient);
  Linear toLinear(mlir::AffineExpr expr);
  mlir::AffineExpr toExpr(const Linear &linear);
  /// Quotient and remainder by a positive constant.
  std::pair<Linear, Linear> divide(const Linear &linear, int64_t divisor);
  void recombine(Linear &linear);
  std::pair<int64_t, int64_t> getBounds(const Linear &linear);

  mlir::MLIRContext *context;
  llvm::SmallVector<int64_t> sizes;
  llvm::SmallVector<std::string> names;
  llvm::SmallVector<mlir::AffineExpr> atoms;
  llvm::DenseMap<mlir::AffineExpr, unsigned> atomIds;
};

} // namespace ropewalk

#endif // ROPEWALK_RAISE_INDEXSPACE_H
