//===- ThreeTier.cpp - A position map that the tree does not know -*- C++
//-*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// All that a new method takes: an attribute that lists its segments. Built as a
// plugin, it proves that no pass, kernel or run-time function knows the maps by
// name.
//
//===----------------------------------------------------------------------===//

#include "Ropewalk/IR/Rope.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "mlir/Tools/Plugins/DialectPlugin.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/Compiler.h"

#include "ThreeTierDialect.h.inc"
#define GET_ATTRDEF_CLASSES
#include "ThreeTierAttrs.h.inc"

using namespace mlir;
using namespace ropewalk::rope;

#include "ThreeTierDialect.cpp.inc"
#define GET_ATTRDEF_CLASSES
#include "ThreeTierAttrs.cpp.inc"

void tiers::TiersDialect::initialize() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "ThreeTierAttrs.cpp.inc"
      >();
}

// A back end makes parameters run-time values: kDynamic stands for one.
static std::optional<int64_t> constantOrRunTime(int64_t value) {
  return ShapedType::isDynamic(value) ? std::nullopt : std::optional(value);
}

SmallVector<MapParameter> tiers::ThreeAttr::getMapParameters() const {
  return {{"near", constantOrRunTime(getNear()), 0},
          {"middle", constantOrRunTime(getMiddle()), 0},
          {"g", constantOrRunTime(getG()), 1},
          {"h", constantOrRunTime(getH()), 1}};
}

SmallVector<Segment> tiers::ThreeAttr::getSegments() const {
  AffineExpr x = getAffineDimExpr(0, getContext());
  AffineExpr near = getAffineSymbolExpr(0, getContext());
  AffineExpr middle = getAffineSymbolExpr(1, getContext());
  AffineExpr g = getAffineSymbolExpr(2, getContext());
  AffineExpr h = getAffineSymbolExpr(3, getContext());
  auto function = [](AffineExpr expr) { return AffineMap::get(1, 4, expr); };
  AffineExpr shift = near - near.floorDiv(g);
  return {{function(x - near + 1), function(x), function(x)},
          {function(x - middle + 1), function(x.floorDiv(g) + shift),
           function(x.floorDiv(g))},
          {function(getAffineConstantExpr(0, getContext())),
           function(x.floorDiv(h) + shift + middle.floorDiv(g) -
                    middle.floorDiv(h)),
           function(x.floorDiv(h))}};
}

Attribute tiers::ThreeAttr::withParameters(
    ArrayRef<std::optional<int64_t>> values) const {
  return get(getContext(), values[0].value_or(ShapedType::kDynamic),
             values[1].value_or(ShapedType::kDynamic),
             values[2].value_or(ShapedType::kDynamic),
             values[3].value_or(ShapedType::kDynamic));
}

extern "C" LLVM_ATTRIBUTE_WEAK DialectPluginLibraryInfo
mlirGetDialectPluginInfo() {
  return {MLIR_PLUGIN_API_VERSION, "three-tier", "0.1",
          [](DialectRegistry *registry) {
            registry->insert<tiers::TiersDialect>();
          }};
}
