//===- ThreeTier.td - A position map that the tree does not know -*- tablegen -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

include "Ropewalk/IR/RopeInterfaces.td"
include "mlir/IR/AttrTypeBase.td"

def Tiers_Dialect : Dialect {
  let name = "tiers";
  let cppNamespace = "::tiers";
  let useDefaultAttributePrinterParser = 1;
}

def Tiers_ThreeAttr : AttrDef<Tiers_Dialect, "Three",
    [DeclareAttrInterfaceMethods<PositionMapAttrInterface>]> {
  let mnemonic = "three";
  let description = [{
    keys >= i - near + 1   : (i, j)
    keys >= i - middle + 1 : (i floordiv g + near - near floordiv g, j floordiv g)
    rest                   : (i floordiv h + near - near floordiv g
                                + middle floordiv g - middle floordiv h,
                              j floordiv h)
  }];
  let parameters = (ins "int64_t":$near, "int64_t":$middle, "int64_t":$g,
                        "int64_t":$h);
  let assemblyFormat = "`<` struct(params) `>`";
}
