//===- AttrAssembly.h - Directives of attribute assembly ---- -*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_LIB_IR_ATTRASSEMBLY_H
#define ROPEWALK_LIB_IR_ATTRASSEMBLY_H

#include "mlir/IR/OpImplementation.h"
#include "llvm/ADT/APFloat.h"

namespace ropewalk::rope {

/// A parameter of a map: an integer, or `?` (ShapedType::kDynamic).
mlir::ParseResult parseMapParameter(mlir::AsmParser &parser, int64_t &value);
void printMapParameter(mlir::AsmPrinter &printer, int64_t value);

/// A double, written with or without a decimal point.
mlir::ParseResult parseDouble(mlir::AsmParser &parser, llvm::APFloat &value);
void printDouble(mlir::AsmPrinter &printer, const llvm::APFloat &value);

// The directives of attribute formats hand over the result in a FailureOr.
mlir::ParseResult parseMapParameter(mlir::AsmParser &parser,
                                    mlir::FailureOr<int64_t> &value);

} // namespace ropewalk::rope

#endif // ROPEWALK_LIB_IR_ATTRASSEMBLY_H
