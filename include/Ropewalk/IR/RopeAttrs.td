//===- RopeAttrs.td - Attributes of the rope dialect ------ -*- tablegen -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_IR_ROPEATTRS_TD
#define ROPEWALK_IR_ROPEATTRS_TD

include "Ropewalk/IR/RopeBase.td"
include "Ropewalk/IR/RopeInterfaces.td"
include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"

class Rope_Attr<string name, string attrMnemonic, list<Trait> traits = []>
    : AttrDef<Rope_Dialect, name, traits> {
  let mnemonic = attrMnemonic;
}

//===----------------------------------------------------------------------===//
// Rotary embedding
//===----------------------------------------------------------------------===//

def Rope_LayoutHalf : I32EnumAttrCase<"half", 0>;
def Rope_Layout : I32EnumAttr<"RotaryLayout", "how the pairs of a head lie",
                              [Rope_LayoutHalf]> {
  let cppNamespace = "::ropewalk::rope";
}

def Rope_RotaryAttr : Rope_Attr<"Rotary", "rotary"> {
  let summary = "a rotary embedding: its frequencies and layout";
  let description = [{
    The rotation of pair c at position p has the angle p * f_c with
    f_c = theta^(-2c/dim), changed by `scaling` if there is one. In the layout
    `half` the pair c is (x_c, x_{c + dim/2}). Dimensions from `dim` on are not
    rotated.

    (R1) `theta` is finite and greater than 0;
    (R2) `dim` is even and at least 2;
    (R3) `scaling` implements RotaryScalingAttrInterface.

    Example: `#rope.rotary<theta = 10000.0, dim = 64>`
  }];
  let parameters = (ins
    APFloatParameter<"base of the frequencies">:$theta,
    "int64_t":$dim,
    DefaultValuedParameter<"::ropewalk::rope::RotaryLayout",
                           "::ropewalk::rope::RotaryLayout::half">:$layout,
    OptionalParameter<"::mlir::Attribute">:$scaling);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    /// The inverse frequencies in radians per position, [dim / 2].
    ::llvm::SmallVector<double> getInverseFrequencies() const;
    /// The factor on cos and sin of query and of key.
    double getRotationFactor() const;
    int64_t getNumPairs() const { return getDim() / 2; }
  }];
}

def Rope_YarnAttr : Rope_Attr<"Yarn", "yarn",
    [DeclareAttrInterfaceMethods<RotaryScalingAttrInterface>]> {
  let summary = "YaRN: interpolation by parts and a temperature";
  let description = [{
    Pairs that turn more than `beta_fast` times over the `original` length keep
    their frequency, pairs that turn less than `beta_slow` times are divided by
    `factor`, with a linear ramp over the pairs between. cos and sin are
    multiplied by `attention_factor` (0.1 ln(factor) + 1 where it is absent).
    `truncate` rounds the ends of the ramp outwards to whole pairs.

    (Y1) `factor` is finite and at least 1;
    (Y2) `original` is at least 1;
    (Y3) `beta_fast` and `beta_slow` are finite, greater than 0, and
         `beta_fast` is not less than `beta_slow`;
    (Y4) `attention_factor` is finite and greater than 0.

    Example: `#rope.yarn<factor = 4.0, original = 32768>`
  }];
  let parameters = (ins
    APFloatParameter<"trained to target length">:$factor,
    "int64_t":$original,
    DefaultValuedParameter<"::llvm::APFloat", "::llvm::APFloat(32.0)">:$beta_fast,
    DefaultValuedParameter<"::llvm::APFloat", "::llvm::APFloat(1.0)">:$beta_slow,
    OptionalParameter<"std::optional<::llvm::APFloat>">:$attention_factor,
    DefaultValuedParameter<"bool", "true">:$truncate);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
}

//===----------------------------------------------------------------------===//
// Position maps
//===----------------------------------------------------------------------===//

// A parameter of a map: a constant, or `?` for a run-time operand
// (ShapedType::kDynamic in C++).
class Rope_MapAttr<string name, string attrMnemonic,
                   list<string> overridden = []>
    : Rope_Attr<name, attrMnemonic,
                [DeclareAttrInterfaceMethods<PositionMapAttrInterface,
                                             overridden>]>;

def Rope_IdentityAttr : Rope_MapAttr<"Identity", "identity"> {
  let summary = "plain rotary attention";
  let description = [{
    keys >= 0 : (i, j)
  }];
}

def Rope_SelfExtendAttr : Rope_MapAttr<"SelfExtend", "self_extend"> {
  let summary = "exact positions nearby, grouped positions beyond";
  let description = [{
    keys >= i - window + 1 : (i, j)
    rest                   : (i floordiv group + window - window floordiv group,
                              j floordiv group)

    (M3) `group` is at least 1, `window` at least 0.
  }];
  let parameters = (ins "int64_t":$group, "int64_t":$window);
  let assemblyFormat = [{
    `<` `group` `=` custom<MapParameter>($group) `,`
        `window` `=` custom<MapParameter>($window) `>`
  }];
  let genVerifyDecl = 1;
}

def Rope_ReRopeAttr : Rope_MapAttr<"ReRope", "rerope"> {
  let summary = "exact positions nearby, one distance beyond";
  let description = [{
    keys >= i - window + 1 : (i, j)
    rest                   : (window, 0)

    (M3) `window` is at least 0.
  }];
  let parameters = (ins "int64_t":$window);
  let assemblyFormat = "`<` `window` `=` custom<MapParameter>($window) `>`";
  let genVerifyDecl = 1;
}

def Rope_SlidingAttr : Rope_MapAttr<"Sliding", "sliding"> {
  let summary = "the newest keys only";
  let description = [{
    keys >= i - window + 1 : (i, j)
    rest                   : masked

    (M3) `window` is at least 0.
  }];
  let parameters = (ins "int64_t":$window);
  let assemblyFormat = "`<` `window` `=` custom<MapParameter>($window) `>`";
  let genVerifyDecl = 1;
}

def Rope_SegmentsAttr : Rope_MapAttr<"Segments", "segments", ["getUnit"]> {
  let summary = "the open form: segments written out";
  let description = [{
    Segments from the newest keys to the oldest, over named parameters. `i` is
    the position of the query, `j` that of the key.

    ```mlir
    #rope.segments<[group = 8, window = ?],
      from (i - window + 1) query (i) key (j),
      from (0) query (i floordiv group + window - window floordiv group)
               key (j floordiv group)>
    ```

    A segment holds the keys [from(i), from of the segment before it); the
    first ends at i + 1. Several expressions in `from` or `query` mean their
    minimum. `masked` in the place of query and key leaves the keys out.
    `unit = u` before the first segment measures positions in 1/u.

    (M1) every `from` does not decrease with i, proved by closure over + - *
         min and floordiv by something positive (mod is refused there);
    (M2) the `from` of the last segment is 0;
    (M3) parameters are at least their minimum: 0, and 1 where they divide;
    (M4) no relative position query - key is negative, as far as a search over
         positions with constant parameters refutes it;
    (M5) every segment has `from`, and `query` with `key`, or `masked`; names of
         parameters are distinct and none is `i` or `j`; `unit` is at least 1.
  }];
  let parameters = (ins
    ArrayRefParameter<"::mlir::StringAttr">:$names,
    ArrayRefParameter<"int64_t">:$values,
    ArrayRefParameter<"::mlir::AffineMap">:$from,
    ArrayRefParameter<"::mlir::AffineMap">:$query,
    ArrayRefParameter<"::mlir::AffineMap">:$key,
    "int64_t":$positionUnit);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
}

def Rope_PositionMap
    : Attr<CPred<"::llvm::isa<::ropewalk::rope::PositionMapAttrInterface>($_self)">,
           "position map"> {
  let storageType = "::ropewalk::rope::PositionMapAttrInterface";
  let returnType = "::ropewalk::rope::PositionMapAttrInterface";
  let convertFromStorage = "$_self";
}

#endif // ROPEWALK_IR_ROPEATTRS_TD
