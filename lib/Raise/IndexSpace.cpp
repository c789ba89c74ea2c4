//===- IndexSpace.cpp - Arithmetic on bounded indices ----------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// An expression is a constant plus a sum of integer multiples of atoms. The
// quotient of such a sum by m > 0 takes out the terms that m divides; the rest
// has bounds, and where they lie within one multiple of m the quotient of the
// rest is a constant. Only otherwise does a floordiv or mod remain as an atom.
// Two more rules undo what collapsing after expanding leaves:
//   m * (x floordiv m) + x mod m = x,    (x floordiv a) floordiv b = x floordiv
//   ab.
//
//===----------------------------------------------------------------------===//

#include "Ropewalk/Raise/IndexSpace.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/raw_ostream.h"

#include <numeric>

using namespace mlir;

namespace ropewalk {

AffineExpr IndexSpace::addVariable(int64_t size, StringRef name) {
  if (size == 1)
    return getConstant(0);
  AffineExpr variable = getAffineDimExpr(sizes.size(), context);
  sizes.push_back(size);
  names.push_back(name.str());
  // Terms stand in the order in which variables were added.
  getAtom(variable);
  return variable;
}

AffineExpr IndexSpace::getConstant(int64_t value) const {
  return getAffineConstantExpr(value, context);
}

AffineExpr IndexSpace::simplify(AffineExpr expr) {
  return toExpr(toLinear(expr));
}

AffineExpr IndexSpace::replace(AffineExpr expr, ArrayRef<AffineExpr> values) {
  return simplify(expr.replaceDims(values));
}

AffineExpr IndexSpace::substitute(AffineExpr expr, AffineExpr variable,
                                  AffineExpr value) {
  if (!dependsOn(expr, variable))
    return expr;
  return simplify(expr.replace(variable, value));
}

AffineExpr IndexSpace::linearize(ArrayRef<AffineExpr> indices,
                                 ArrayRef<int64_t> shape) {
  AffineExpr position = getConstant(0);
  for (auto [index, size] : llvm::zip_equal(indices, shape))
    position = position * size + index;
  return simplify(position);
}

SmallVector<AffineExpr> IndexSpace::delinearize(AffineExpr position,
                                                ArrayRef<int64_t> shape) {
  SmallVector<AffineExpr> indices(shape.size());
  Linear rest = toLinear(position);
  for (size_t axis = shape.size(); axis-- > 0;) {
    if (axis == 0) {
      indices[axis] = toExpr(rest);
      break;
    }
    auto [quotient, remainder] = divide(rest, shape[axis]);
    indices[axis] = toExpr(remainder);
    rest = quotient;
  }
  return indices;
}

std::pair<int64_t, int64_t> IndexSpace::getBounds(AffineExpr expr) {
  return getBounds(toLinear(expr));
}

std::optional<int64_t>
IndexSpace::evaluate(AffineExpr expr, AffineExpr variable, int64_t value) {
  AffineExpr result = substitute(expr, variable, getConstant(value));
  if (auto constant = dyn_cast<AffineConstantExpr>(result))
    return constant.getValue();
  return std::nullopt;
}

bool IndexSpace::dependsOn(AffineExpr expr, AffineExpr variable) {
  auto dim = dyn_cast<AffineDimExpr>(variable);
  return dim && expr.isFunctionOfDim(dim.getPosition());
}

bool IndexSpace::isSupported(AffineExpr expr) {
  if (isa<AffineDimExpr, AffineConstantExpr>(expr))
    return true;
  auto binary = dyn_cast<AffineBinaryOpExpr>(expr);
  if (!binary || !isSupported(binary.getLHS()))
    return false;
  if (expr.getKind() == AffineExprKind::Add)
    return isSupported(binary.getRHS());
  auto constant = dyn_cast<AffineConstantExpr>(binary.getRHS());
  if (!constant || expr.getKind() == AffineExprKind::CeilDiv)
    return false;
  return expr.getKind() == AffineExprKind::Mul || constant.getValue() > 0;
}

std::string IndexSpace::print(AffineExpr expr) const {
  std::string text;
  llvm::raw_string_ostream os(text);
  auto write = [&](auto &self, AffineExpr part, bool nested) -> void {
    if (auto dim = dyn_cast<AffineDimExpr>(part)) {
      os << names[dim.getPosition()];
      return;
    }
    auto binary = dyn_cast<AffineBinaryOpExpr>(part);
    if (!binary) {
      os << part;
      return;
    }
    AffineExpr lhs = binary.getLHS(), rhs = binary.getRHS();
    if (nested)
      os << '(';
    if (part.getKind() == AffineExprKind::Add) {
      self(self, lhs, false);
      auto constant = dyn_cast<AffineConstantExpr>(rhs);
      auto product = dyn_cast<AffineBinaryOpExpr>(rhs);
      if (constant && constant.getValue() < 0) {
        os << " - " << -constant.getValue();
      } else if (product && product.getKind() == AffineExprKind::Mul &&
                 product.getRHS() == -1) {
        os << " - ";
        self(self, product.getLHS(), true);
      } else {
        os << " + ";
        self(self, rhs, false);
      }
    } else if (part.getKind() == AffineExprKind::Mul) {
      if (rhs == -1) {
        os << '-';
      } else {
        self(self, rhs, true);
        os << " * ";
      }
      self(self, lhs, true);
    } else {
      self(self, lhs, true);
      os << (part.getKind() == AffineExprKind::Mod ? " mod " : " floordiv ");
      self(self, rhs, true);
    }
    if (nested)
      os << ')';
  };
  write(write, expr, false);
  return text;
}

unsigned IndexSpace::getAtom(AffineExpr expr) {
  auto [it, inserted] = atomIds.try_emplace(expr, atoms.size());
  if (inserted)
    atoms.push_back(expr);
  return it->second;
}

void IndexSpace::addTerm(Linear &sum, unsigned atom, int64_t coefficient) {
  auto *it =
      llvm::lower_bound(sum.terms, atom, [](const auto &term, unsigned id) {
        return term.first < id;
      });
  if (it == sum.terms.end() || it->first != atom) {
    if (coefficient != 0)
      sum.terms.insert(it, {atom, coefficient});
    return;
  }
  it->second += coefficient;
  if (it->second == 0)
    sum.terms.erase(it);
}

void IndexSpace::add(Linear &sum, const Linear &other, int64_t factor) {
  for (auto [atom, coefficient] : other.terms)
    addTerm(sum, atom, coefficient * factor);
  sum.constant += other.constant * factor;
}

IndexSpace::Linear IndexSpace::toLinear(AffineExpr expr) {
  Linear result;
  if (auto constant = dyn_cast<AffineConstantExpr>(expr)) {
    result.constant = constant.getValue();
    return result;
  }
  auto binary = dyn_cast<AffineBinaryOpExpr>(expr);
  if (!binary) {
    addTerm(result, getAtom(expr), 1);
    return result;
  }
  auto constant = dyn_cast<AffineConstantExpr>(binary.getRHS());
  switch (expr.getKind()) {
  case AffineExprKind::Add:
    result = toLinear(binary.getLHS());
    add(result, toLinear(binary.getRHS()), 1);
    recombine(result);
    return result;
  case AffineExprKind::Mul:
    if (!constant)
      break;
    add(result, toLinear(binary.getLHS()), constant.getValue());
    return result;
  case AffineExprKind::FloorDiv:
  case AffineExprKind::Mod: {
    if (!constant || constant.getValue() <= 0)
      break;
    auto [quotient, remainder] =
        divide(toLinear(binary.getLHS()), constant.getValue());
    return expr.getKind() == AffineExprKind::Mod ? remainder : quotient;
  }
  default:
    break;
  }
  addTerm(result, getAtom(expr), 1);
  return result;
}

AffineExpr IndexSpace::toExpr(const Linear &linear) {
  AffineExpr expr = getConstant(0);
  for (auto [atom, coefficient] : linear.terms)
    expr = expr + atoms[atom] * coefficient;
  return expr + linear.constant;
}

std::pair<IndexSpace::Linear, IndexSpace::Linear>
IndexSpace::divide(const Linear &linear, int64_t divisor) {
  if (divisor == 1)
    return {linear, Linear()};
  Linear quotient, rest;
  for (auto [atom, coefficient] : linear.terms) {
    if (coefficient % divisor == 0)
      addTerm(quotient, atom, coefficient / divisor);
    else
      addTerm(rest, atom, coefficient);
  }
  quotient.constant = llvm::divideFloorSigned(linear.constant, divisor);
  rest.constant = linear.constant - quotient.constant * divisor;

  auto [least, greatest] = getBounds(rest);
  int64_t multiple = llvm::divideFloorSigned(least, divisor);
  if (multiple == llvm::divideFloorSigned(greatest, divisor)) {
    quotient.constant += multiple;
    rest.constant -= multiple * divisor;
    return {quotient, rest};
  }

  // The quotient of what is left is an atom, in lowest terms.
  int64_t common = divisor;
  for (auto [atom, coefficient] : rest.terms)
    common = std::gcd(common, coefficient);
  Linear reduced;
  for (auto [atom, coefficient] : rest.terms)
    addTerm(reduced, atom, coefficient / common);
  reduced.constant = llvm::divideFloorSigned(rest.constant, common);
  int64_t offset = rest.constant - reduced.constant * common;
  AffineExpr dividend = toExpr(reduced);
  int64_t denominator = divisor / common;

  AffineExpr modDividend = dividend, divDividend = dividend;
  int64_t divDenominator = denominator;
  if (auto inner = dyn_cast<AffineBinaryOpExpr>(dividend)) {
    auto constant = dyn_cast<AffineConstantExpr>(inner.getRHS());
    if (constant && inner.getKind() == AffineExprKind::FloorDiv) {
      divDividend = inner.getLHS();
      divDenominator = constant.getValue() * denominator;
    } else if (constant && inner.getKind() == AffineExprKind::Mod &&
               constant.getValue() % denominator == 0) {
      modDividend = inner.getLHS();
    }
  }
  addTerm(quotient,
          getAtom(getAffineBinaryOpExpr(AffineExprKind::FloorDiv, divDividend,
                                        getConstant(divDenominator))),
          1);
  Linear remainder;
  addTerm(remainder,
          getAtom(getAffineBinaryOpExpr(AffineExprKind::Mod, modDividend,
                                        getConstant(denominator))),
          common);
  remainder.constant = offset;
  return {quotient, remainder};
}

void IndexSpace::recombine(Linear &linear) {
  for (auto [atom, coefficient] :
       SmallVector<std::pair<unsigned, int64_t>>(linear.terms)) {
    auto mod = dyn_cast<AffineBinaryOpExpr>(atoms[atom]);
    if (!mod || mod.getKind() != AffineExprKind::Mod)
      continue;
    auto divisor = cast<AffineConstantExpr>(mod.getRHS());
    AffineExpr quotient = getAffineBinaryOpExpr(AffineExprKind::FloorDiv,
                                                mod.getLHS(), mod.getRHS());
    auto found = atomIds.find(quotient);
    if (found == atomIds.end())
      continue;
    unsigned id = found->second;
    int64_t wanted = coefficient * divisor.getValue();
    if (!llvm::is_contained(linear.terms, std::make_pair(id, wanted)))
      continue;
    addTerm(linear, atom, -coefficient);
    addTerm(linear, id, -wanted);
    add(linear, toLinear(mod.getLHS()), coefficient);
  }
}

std::pair<int64_t, int64_t> IndexSpace::getBounds(const Linear &linear) {
  int64_t least = linear.constant, greatest = linear.constant;
  for (auto [atom, coefficient] : linear.terms) {
    int64_t low = 0, high = 0;
    AffineExpr expr = atoms[atom];
    if (auto dim = dyn_cast<AffineDimExpr>(expr)) {
      high = sizes[dim.getPosition()] - 1;
    } else {
      auto binary = cast<AffineBinaryOpExpr>(expr);
      int64_t divisor = cast<AffineConstantExpr>(binary.getRHS()).getValue();
      if (expr.getKind() == AffineExprKind::Mod) {
        high = divisor - 1;
      } else {
        std::tie(low, high) = getBounds(toLinear(binary.getLHS()));
        low = llvm::divideFloorSigned(low, divisor);
        high = llvm::divideFloorSigned(high, divisor);
      }
    }
    least += coefficient * (coefficient > 0 ? low : high);
    greatest += coefficient * (coefficient > 0 ? high : low);
  }
  return {least, greatest};
}

} // namespace ropewalk
