//===- Matcher.h - Parts of the attention matcher --------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_LIB_RAISE_MATCHER_H
#define ROPEWALK_LIB_RAISE_MATCHER_H

#include "Ropewalk/Raise/AttentionMatch.h"
#include "Ropewalk/Raise/Elements.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/Twine.h"

namespace ropewalk {

/// Either of the two tensors whose product the scores are.
struct ScoreSide {
  /// "query" or "key".
  llvm::StringRef name;
  /// The rotated tensor's element; depends on `channel`.
  const Expression *element = nullptr;
  /// The product of query and key.
  mlir::Operation *product = nullptr;
  /// Expected indices of the un-rotated tensor, without the channel.
  mlir::AffineExpr batch, head, slot;
  /// Expected sizes of batch, heads and slots.
  int64_t numItems = 0, numHeads = 0, numSlots = 0;
};

/// The rotation of one side.
struct RotationMatch {
  AttentionOperand operand;
  /// Factor that is not part of the rotation.
  double factor = 1;
  /// Angle per position of each pair.
  llvm::SmallVector<double> frequencies;
  /// The operation that multiplies positions and frequencies.
  mlir::Operation *angle = nullptr;
};

/// The parts share the expressions, and the first miss.
class Matcher {
public:
  explicit Matcher(mlir::MLIRContext *context)
      : space(context), elements(space) {}

  AttentionResult match(mlir::Operation *softmaxSum);

private:
  mlir::LogicalResult miss(mlir::Operation *op, const llvm::Twine &reason);
  /// Expands `expression`, and remembers that the operations it comes through
  /// belong to the attention.
  const Expression *expandOwned(const Expression *expression);
  void own(const Expression *expression);
  std::string describe(const Expression *expression);

  // RootMatch.cpp
  /// Finds the product of the weights, which come from `softmaxSum`, and
  /// values.
  mlir::LogicalResult findRoot(mlir::Operation *softmaxSum);
  /// Gives the loops of the root variables, and finds its two factors.
  mlir::LogicalResult bindLoops(mlir::Operation *softmaxSum);

  // ScoreMatch.cpp
  mlir::LogicalResult matchSoftmax(const Expression *weights,
                                   const Expression *&scores);
  mlir::LogicalResult matchScores(const Expression *scores,
                                  const Expression *&product);
  mlir::LogicalResult matchMask(const Expression *mask, mlir::Operation *op);
  mlir::LogicalResult matchCondition(const Expression *condition,
                                     mlir::Operation *op);
  // AttentionMatch.cpp
  mlir::LogicalResult matchSides(const Expression *product);
  mlir::LogicalResult checkUses(mlir::Operation *softmaxSum);

  // RotationMatch.cpp
  mlir::FailureOr<RotationMatch> matchRotation(const ScoreSide &side,
                                               mlir::AffineExpr channel,
                                               int64_t numChannels);
  struct Term;
  struct Angle;
  mlir::LogicalResult collectTerms(const ScoreSide &side, const Expression *sum,
                                   llvm::SmallVectorImpl<Term> &terms);
  mlir::LogicalResult matchTerm(const ScoreSide &side, Term &term);
  mlir::LogicalResult matchAngle(const ScoreSide &side,
                                 const Expression *expression,
                                 mlir::AffineExpr pair, int64_t numPairs,
                                 llvm::SmallVectorImpl<double> &frequencies);
  const Expression *findTrigonometric(const Expression *expression,
                                      double &factor);

  // Operands.cpp
  /// The tensor of `view`, if its element is [batch, head, slot, channel] in
  /// some order of axes.
  mlir::FailureOr<AttentionOperand> findOperand(const ScoreSide &side,
                                                const Element &view,
                                                mlir::AffineExpr channel,
                                                int64_t numChannels);

  IndexSpace space;
  Elements elements;
  AttentionMatch result;
  AttentionMiss firstMiss;
  llvm::SetVector<mlir::Operation *> owned;

  /// Variables: item, query head, query row, key, channel of the value.
  mlir::AffineExpr item, head, row, key, channel;
  int64_t numItems = 1, numHeads = 1, numRows = 1, numKeys = 1,
          numValueChannels = 1;
  const Expression *weights = nullptr, *values = nullptr;
  bool isCausal = false;
};

/// `number` with up to nine digits, as few as it needs.
std::string formatNumber(double number);

/// The values of a constant along `variable` in [0, count), or the reason why
/// they cannot be read.
mlir::FailureOr<llvm::SmallVector<double>>
readConstant(IndexSpace &space, const Element &element,
             mlir::AffineExpr variable, int64_t count, std::string &reason);

/// The base theta for which frequencies[c] = theta^(-2c/dim) within the
/// rounding of a float32 computation, or the reason why there is none.
mlir::FailureOr<double> findTheta(llvm::ArrayRef<double> frequencies,
                                  std::string &reason);

} // namespace ropewalk

#endif // ROPEWALK_LIB_RAISE_MATCHER_H
