//===- RopeBase.td - The rope dialect ---------------- -*- tablegen -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_IR_ROPEBASE_TD
#define ROPEWALK_IR_ROPEBASE_TD

include "mlir/IR/OpBase.td"

def Rope_Dialect : Dialect {
  let name = "rope";
  let cppNamespace = "::ropewalk::rope";
  let summary = "attention with rotary position embedding and a position map";
  let description = [{
    Attention over un-rotated queries and keys. Which positions their rotation
    uses is an attribute, the *position map*: a list of segments of keys, each
    with a position for the query and a position for the key as integer
    functions of their own index, under one softmax.

    Discardable attributes:
    - `rope.name` (string) on arguments and results of functions: the name by
      which a caller binds a tensor;
    - `rope.kind` on arguments: `"input"`, `"weight"`, `"cache"` (updated in
      place) or `"parameter"`;
    - `rope.model` (dictionary) on modules: what is known of the model.
  }];
  let useDefaultAttributePrinterParser = 1;
  let hasOperationAttrVerify = 1;
  let hasRegionArgAttrVerify = 1;
  let hasRegionResultAttrVerify = 1;
}

#endif // ROPEWALK_IR_ROPEBASE_TD
