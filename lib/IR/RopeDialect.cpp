//===- RopeDialect.cpp - The rope dialect ------------------ -*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Ropewalk/IR/Rope.h"

#include "AttrAssembly.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "mlir/Interfaces/FunctionInterfaces.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace ropewalk::rope;

#include "Ropewalk/IR/RopeAttrInterfaces.cpp.inc"
#include "Ropewalk/IR/RopeDialect.cpp.inc"
#include "Ropewalk/IR/RopeEnums.cpp.inc"
#define GET_ATTRDEF_CLASSES
#include "Ropewalk/IR/RopeAttrs.cpp.inc"

void RopeDialect::initialize() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "Ropewalk/IR/RopeAttrs.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "Ropewalk/IR/RopeOps.cpp.inc"
      >();
}

LogicalResult RopeDialect::verifyOperationAttribute(Operation *op,
                                                    NamedAttribute attribute) {
  if (attribute.getName() == kModelAttr) {
    if (!isa<DictionaryAttr>(attribute.getValue()))
      return op->emitError()
             << "'" << kModelAttr << "' expects a dictionary, got "
             << attribute.getValue();
    return success();
  }
  return op->emitError() << "'" << attribute.getName().getValue()
                         << "' is not an attribute of operations in the "
                            "dialect 'rope'";
}

static LogicalResult verifyName(Operation *op, NamedAttribute attribute) {
  auto name = dyn_cast<StringAttr>(attribute.getValue());
  if (!name || name.empty())
    return op->emitError() << "'" << kNameAttr
                           << "' expects a string that is not empty, got "
                           << attribute.getValue();
  return success();
}

LogicalResult RopeDialect::verifyRegionArgAttribute(Operation *op, unsigned,
                                                    unsigned argument,
                                                    NamedAttribute attribute) {
  if (attribute.getName() == kNameAttr)
    return verifyName(op, attribute);
  if (attribute.getName() == kKindAttr) {
    auto kind = dyn_cast<StringAttr>(attribute.getValue());
    if (!kind || !llvm::is_contained({"input", "weight", "cache", "parameter"},
                                     kind.getValue()))
      return op->emitError()
             << "'" << kKindAttr << "' of argument " << argument
             << " expects \"input\", \"weight\", \"cache\" or \"parameter\", "
                "got "
             << attribute.getValue();
    return success();
  }
  return op->emitError() << "'" << attribute.getName().getValue()
                         << "' is not an attribute of arguments in the dialect "
                            "'rope'";
}

LogicalResult
RopeDialect::verifyRegionResultAttribute(Operation *op, unsigned, unsigned,
                                         NamedAttribute attribute) {
  if (attribute.getName() == kNameAttr)
    return verifyName(op, attribute);
  return op->emitError() << "'" << attribute.getName().getValue()
                         << "' is not an attribute of results in the dialect "
                            "'rope'";
}
