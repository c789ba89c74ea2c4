//===- RopeInterfaces.td - Interfaces of rope attributes --- -*- tablegen -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_IR_ROPEINTERFACES_TD
#define ROPEWALK_IR_ROPEINTERFACES_TD

include "mlir/IR/OpBase.td"

def PositionMapAttrInterface : AttrInterface<"PositionMapAttrInterface"> {
  let cppNamespace = "::ropewalk::rope";
  let description = [{
    A position map: which positions the rotation of a query and of a key use.
    Whoever compiles a map asks for its segments and never for its name, so a
    new method is one attribute that implements this interface.
  }];
  let methods = [
    InterfaceMethod<[{
      The map's parameters in the order of the symbols of its segments.
    }], "::llvm::SmallVector<::ropewalk::rope::MapParameter>",
    "getMapParameters">,
    InterfaceMethod<[{
      The segments from the newest keys to the oldest. The affine maps have one
      dimension (the position of the query, or of the key) and one symbol for
      each parameter, also where the parameter is constant.
    }], "::llvm::SmallVector<::ropewalk::rope::Segment>", "getSegments">,
    InterfaceMethod<[{
      The same map with other values of its parameters (nullopt: run-time).
    }], "::mlir::Attribute", "withParameters",
    (ins "::llvm::ArrayRef<std::optional<int64_t>>":$values)>,
    InterfaceMethod<[{
      Rotation angles are multiples of 1/unit: position / unit.
    }], "int64_t", "getUnit", (ins), [{}], [{ return 1; }]>,
  ];
}

def RotaryScalingAttrInterface : AttrInterface<"RotaryScalingAttrInterface"> {
  let cppNamespace = "::ropewalk::rope";
  let description = [{
    A change of the frequencies of a rotary embedding, and of its magnitude.
  }];
  let methods = [
    InterfaceMethod<[{
      Changes the inverse frequencies theta^(-2c/dim) of pairs c = 0, 1, ...
    }], "void", "scaleFrequencies",
    (ins "double":$theta, "int64_t":$dim,
         "::llvm::MutableArrayRef<double>":$inverseFrequencies)>,
    InterfaceMethod<[{
      The factor on cos and sin of query and of key.
    }], "double", "getRotationFactor">,
  ];
}

#endif // ROPEWALK_IR_ROPEINTERFACES_TD
