//===- Elements.h - Elements of tensors as expressions ---------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What one element of a tensor is, as a scalar expression over elements of
// other tensors. `read` follows operations that only move elements; `expand`
// goes one computing operation further, on demand. So a matcher walks the
// scalar data flow and never sees how a graph was cut into operations, in which
// shapes its tensors lie, or how they were transposed and broadcast on the way.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_RAISE_ELEMENTS_H
#define ROPEWALK_RAISE_ELEMENTS_H

#include "Ropewalk/Raise/IndexSpace.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/IR/Value.h"

#include <deque>

namespace ropewalk {

/// The element of `tensor` at `indices`.
struct Element {
  mlir::Value tensor;
  llvm::SmallVector<mlir::AffineExpr> indices;
};

/// An immutable expression, owned by an Elements object.
struct Expression {
  enum class Kind {
    Number,    ///< `number`
    Integer,   ///< `integer`; also i1
    Index,     ///< `index`, an integer
    Read,      ///< an element of a tensor: `views.back()`
    Scalar,    ///< `scalar`, a value that no tensor holds
    Operation, ///< `opcode` of `operands`
    Reduction, ///< `opcode` over `variables` of operands[0], from operands[1]
  };
  enum class Opcode {
    Add,
    Sub,
    Mul,
    Div,
    Neg,
    Exp,
    Cos,
    Sin,
    Max,
    Select,
    And,
    Or,
    Not,
    NonNegative, ///< operands[0] is an Index; true where it is >= 0
    ToFloat,     ///< signed integer to float
    Other,       ///< `operation`, compared by name and attributes
  };

  Kind kind;
  Opcode opcode = Opcode::Other;
  llvm::SmallVector<const Expression *, 3> operands;
  double number = 0;
  int64_t integer = 0;
  mlir::AffineExpr index;
  mlir::Value scalar;
  mlir::Operation *operation = nullptr;
  llvm::SmallVector<mlir::AffineExpr, 1> variables;
  /// Of a Read: the elements it passes on the way through operations that only
  /// move elements, from the one asked for to the one that no such operation
  /// defines.
  llvm::SmallVector<Element> views;
  /// The operation on tensors that computes the expression; null for constants.
  mlir::Operation *origin = nullptr;

  bool is(Opcode code) const {
    return kind == Kind::Operation && opcode == code;
  }
  bool isNumber(double value) const {
    return kind == Kind::Number && number == value;
  }
  bool isRead() const { return kind == Kind::Read; }
  const Element &getElement() const { return views.back(); }
};

/// Makes and owns expressions over the variables of one index space.
class Elements {
public:
  explicit Elements(IndexSpace &space) : space(space) {}
  IndexSpace &getSpace() { return space; }

  /// The element of `tensor` at `indices`: a Read, or a constant.
  const Expression *read(mlir::Value tensor,
                         llvm::ArrayRef<mlir::AffineExpr> indices);

  /// A Read as what the operation behind it computes; `expression` itself if it
  /// is no Read or nothing is known of that operation.
  const Expression *expand(const Expression *expression);

  /// The same through one computing operation only. The result is again a Read
  /// where the operation does nothing, as adding zero does.
  const Expression *expandOnce(const Expression *expression);

  /// Expands all Reads inside that can be, except below reductions. Null if the
  /// result would have more than `limit` nodes.
  const Expression *expandAll(const Expression *expression,
                              unsigned limit = 10000);

  /// `expression` with `variable` replaced by `value`.
  const Expression *substitute(const Expression *expression,
                               mlir::AffineExpr variable,
                               mlir::AffineExpr value);

  /// True if both are the same for all values of the variables, as far as the
  /// same operations on the same elements, up to commutation, show it.
  bool areEqual(const Expression *lhs, const Expression *rhs,
                unsigned depth = 64);

  /// True if `variable` occurs in an index of `expression`.
  bool dependsOn(const Expression *expression, mlir::AffineExpr variable);

  const Expression *makeNumber(double value);
  const Expression *makeInteger(int64_t value);
  const Expression *makeIndex(mlir::AffineExpr index);
  const Expression *makeOperation(Expression::Opcode opcode,
                                  llvm::ArrayRef<const Expression *> operands,
                                  mlir::Operation *origin,
                                  mlir::Operation *operation = nullptr);

private:
  /// How the loops of a linalg operation run for one element of a result.
  struct Iteration {
    llvm::SmallVector<mlir::AffineExpr> loops;
    llvm::SmallVector<mlir::AffineExpr, 1> reductions;
  };

  Expression &allocate(Expression::Kind kind);
  bool step(Element &element);
  const Expression *getConstant(const Element &element);
  mlir::FailureOr<Iteration> iterate(mlir::linalg::LinalgOp op, unsigned result,
                                     llvm::ArrayRef<mlir::AffineExpr> indices);
  mlir::FailureOr<llvm::SmallVector<mlir::AffineExpr>>
  getOperandIndices(mlir::linalg::LinalgOp op, mlir::OpOperand &operand,
                    const Iteration &iteration);
  const Expression *expandLinalg(mlir::linalg::LinalgOp op, unsigned result,
                                 llvm::ArrayRef<mlir::AffineExpr> indices);
  const Expression *expandSoftmax(mlir::linalg::SoftmaxOp op,
                                  llvm::ArrayRef<mlir::AffineExpr> indices);
  const Expression *evaluateBody(mlir::Value value, mlir::linalg::LinalgOp op,
                                 const Iteration &iteration);
  const Expression *evaluateScalar(mlir::Value value);
  const Expression *rebuild(const Expression *expression,
                            llvm::ArrayRef<const Expression *> operands);
  const Expression *apply(mlir::Operation *op,
                          llvm::ArrayRef<const Expression *> operands,
                          mlir::Operation *origin);
  const Expression *compare(mlir::Operation *op,
                            llvm::ArrayRef<const Expression *> operands,
                            mlir::Operation *origin);

  IndexSpace &space;
  std::deque<Expression> expressions;
  llvm::DenseMap<mlir::Value, llvm::SmallVector<const Expression *>> reads;
  llvm::DenseMap<const Expression *, const Expression *> expansions;
};

} // namespace ropewalk

#endif // ROPEWALK_RAISE_ELEMENTS_H
