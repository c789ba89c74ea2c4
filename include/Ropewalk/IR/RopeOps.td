//===- RopeOps.td - Operations of the rope dialect -------- -*- tablegen -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_IR_ROPEOPS_TD
#define ROPEWALK_IR_ROPEOPS_TD

include "Ropewalk/IR/RopeAttrs.td"
include "mlir/Interfaces/DestinationStyleOpInterface.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

class Rope_Op<string opMnemonic, list<Trait> traits = []>
    : Op<Rope_Dialect, opMnemonic,
         !listconcat(traits, [
           Pure, DestinationStyleOpInterface,
           DeclareOpInterfaceMethods<ReifyRankedShapedTypeOpInterface,
                                     ["reifyResultShapes"]>])>;

// One value for all batch items, or one for each.
def Rope_PerItem : AnyTypeOf<[I64, 1DTensorOf<[I64]>],
                             "i64 or a 1-D tensor of i64">;
// A run-time parameter of a position map.
def Rope_MapOperand
    : AnyTypeOf<[I64, TensorRankOf<[I64], [1, 2, 3]>],
                "i64 or a tensor of i64 of rank 1 to 3">;

def Rope_AttentionOp : Rope_Op<"attention", [AttrSizedOperandSegments]> {
  let summary = "attention over un-rotated queries and keys";
  let description = [{
    Sizes: query [B, Hq, Sq, D], key [B, Hkv, Skv, D], value [B, Hkv, Skv, Dv],
    output [B, Hq, Sq, Dv], log-sum-exp [B, Hq, Sq]. Query head h attends to KV
    head h floordiv (Hq / Hkv).

    Row r of item b is in slot s = query_offset[b] + query_start + r, column c
    is slot t = key_start + c. A slot's position is the slot +
    position_offset[b] (negative: left padding), or what `query_positions` and
    `key_positions` say. With i and j the positions of s and t:

        score = softcap(scale * <R(p_q) q, R(p_k) k>) + bias

    where the segment of `map` that holds j says p_q and p_k, R is the rotation
    of `rotary`, and softcap(x) = c * tanh(x / c). A key counts where
    t < key_length[b] (default Skv), i >= 0, j >= 0, its segment is not masked
    and, if `causal`, j <= i. The output is softmax(score) * value over the keys
    that count, under one softmax; a row without any is 0, and its log-sum-exp
    -inf.

    `parameters` are the values of the map's parameters that are `?`, in their
    order: i64, [B|1], [B|1, Hkv|1] or [B|1, Hkv|1, P|1] with P = rotary dim / 2.
    `sequence_length` is the length that length-dependent frequencies look at.

    Constraints:
    (C1) the sizes Hq, Hkv, D and Dv are static and not 0;
    (C2) query, key, value and output have the same batch size;
    (C3) key and value have the same heads, and Hq is a multiple of Hkv;
    (C4) key and value have the same number of slots;
    (C5) query and key have the same head dimension, at least the rotary's;
    (C6) output 0 is [B, Hq, Sq, Dv], output 1, if there is one, is the
         log-sum-exp, f32 [B, Hq, Sq]; results have the types of the outputs;
    (C7) bias is [B|1, Hq|1, Sq, Skv];
    (C8) query_offset, key_length, position_offset and sequence_length are i64
         or i64 [B];
    (C9) there is one parameter operand for each `?` of the map;
    (C10) parameter operands are [B|1, Hkv|1, P|1] or a leading part of it, and
          a parameter that a `from` uses has no axis of pairs;
    (C11) inverse_frequencies is [Hkv|1, P];
    (C12) a map that moves positions needs causal;
    (C13) scale is finite, softcap finite and greater than 0;
    (C14) query_positions is [B|1, Sq], key_positions is [B|1, Skv], both or
          none are there, and with them neither query_offset, position_offset,
          query_start nor key_start.
  }];
  let arguments = (ins
    4DTensorOf<[AnyFloat]>:$query,
    4DTensorOf<[AnyFloat]>:$key,
    4DTensorOf<[AnyFloat]>:$value,
    Optional<4DTensorOf<[AnyFloat]>>:$bias,
    Optional<Rope_PerItem>:$query_offset,
    Optional<Rope_PerItem>:$key_length,
    Optional<Rope_PerItem>:$position_offset,
    Optional<Rope_PerItem>:$sequence_length,
    Variadic<Rope_MapOperand>:$parameters,
    Optional<2DTensorOf<[F32, F64]>>:$inverse_frequencies,
    Optional<Index>:$query_start,
    Optional<Index>:$key_start,
    Optional<2DTensorOf<[I64]>>:$query_positions,
    Optional<2DTensorOf<[I64]>>:$key_positions,
    Variadic<TensorRankOf<[AnyFloat], [3, 4]>>:$outputs,
    Rope_PositionMap:$map,
    Rope_RotaryAttr:$rotary,
    F64Attr:$scale,
    UnitAttr:$causal,
    OptionalAttr<F64Attr>:$softcap);
  let results = (outs Variadic<TensorRankOf<[AnyFloat], [3, 4]>>:$results);
  let assemblyFormat = [{
    $map `rotary` $rotary `scale` $scale (`causal` $causal^)?
    (`softcap` $softcap^)?
    `query` `(` $query `:` type($query) `)`
    `key` `(` $key `:` type($key) `)`
    `value` `(` $value `:` type($value) `)`
    (`bias` `(` $bias^ `:` type($bias) `)`)?
    (`query_offset` `(` $query_offset^ `:` type($query_offset) `)`)?
    (`key_length` `(` $key_length^ `:` type($key_length) `)`)?
    (`position_offset` `(` $position_offset^ `:` type($position_offset) `)`)?
    (`sequence_length` `(` $sequence_length^ `:` type($sequence_length) `)`)?
    (`parameters` `(` $parameters^ `:` type($parameters) `)`)?
    (`inverse_frequencies` `(` $inverse_frequencies^ `:`
                               type($inverse_frequencies) `)`)?
    (`query_start` `(` $query_start^ `)`)? (`key_start` `(` $key_start^ `)`)?
    (`query_positions` `(` $query_positions^ `:` type($query_positions) `)`)?
    (`key_positions` `(` $key_positions^ `:` type($key_positions) `)`)?
    `outs` `(` $outputs `:` type($outputs) `)` attr-dict `->` type($results)
  }];
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    ::mlir::MutableOperandRange getDpsInitsMutable() {
      return getOutputsMutable();
    }
    ::mlir::Value getOutput() { return getOutputs().front(); }
    /// The init of the log-sum-exp, or null.
    ::mlir::Value getLse() {
      return getOutputs().size() > 1 ? getOutputs()[1] : ::mlir::Value();
    }
    int64_t getNumQueryHeads() { return getQuery().getType().getDimSize(1); }
    int64_t getNumKVHeads() { return getKey().getType().getDimSize(1); }
    int64_t getHeadDim() { return getQuery().getType().getDimSize(3); }
    int64_t getValueDim() { return getValue().getType().getDimSize(3); }
  }];
}

def Rope_RotateOp : Rope_Op<"rotate"> {
  let summary = "rotation of a tensor at given positions";
  let description = [{
    input [B, H, S, D] rotated at positions [B|1, S]: row s of item b has the
    position positions[b, s]. Dimensions beyond the rotary's are copied.

    Constraints:
    (C1) the head dimension is static and at least the rotary's;
    (C2) positions is [B|1, S];
    (C3) output has the sizes of the input, result the type of the output.
  }];
  let arguments = (ins
    4DTensorOf<[AnyFloat]>:$input,
    2DTensorOf<[I64]>:$positions,
    4DTensorOf<[AnyFloat]>:$output,
    Rope_RotaryAttr:$rotary);
  let results = (outs 4DTensorOf<[AnyFloat]>:$result);
  let assemblyFormat = [{
    $rotary `ins` `(` $input `:` type($input) `)`
    `positions` `(` $positions `:` type($positions) `)`
    `outs` `(` $output `:` type($output) `)` attr-dict `->` type($result)
  }];
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    ::mlir::MutableOperandRange getDpsInitsMutable() {
      return getOutputMutable();
    }
  }];
}

def Rope_UpdateCacheOp : Rope_Op<"update_cache"> {
  let summary = "writes new rows into a cache";
  let description = [{
    rows [B, H, S, D] go to the slots offset[b] + 0 ... offset[b] + S - 1 of
    cache [B, H, C, D]; the other slots keep their value. The caller sees to
    0 <= offset[b] and offset[b] + S <= C.

    Constraints:
    (C1) rows and cache have the same batch size, heads, head dimension and
         element type;
    (C2) offset is i64 or i64 [B];
    (C3) the result has the type of the cache.
  }];
  let arguments = (ins
    4DTensorOf<[AnyFloat]>:$rows,
    Rope_PerItem:$offset,
    4DTensorOf<[AnyFloat]>:$cache);
  let results = (outs 4DTensorOf<[AnyFloat]>:$result);
  let assemblyFormat = [{
    `rows` `(` $rows `:` type($rows) `)` `offset` `(` $offset `:` type($offset) `)`
    `outs` `(` $cache `:` type($cache) `)` attr-dict `->` type($result)
  }];
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    ::mlir::MutableOperandRange getDpsInitsMutable() {
      return getCacheMutable();
    }
  }];
}

#endif // ROPEWALK_IR_ROPEOPS_TD
