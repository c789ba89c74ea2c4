//===- Passes.td - Transformations of graphs --------- -*- tablegen -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_TRANSFORMS_PASSES_TD
#define ROPEWALK_TRANSFORMS_PASSES_TD

include "mlir/Pass/PassBase.td"

def DecomposeAttentionPass : Pass<"rope-decompose-attention"> {
  let summary = "replace rope.attention by its definition on tensors";
  let description = [{
    Rewrites every `rope.attention` into linalg, arith and math on tensors. The
    result is the definition of the operation, for any position map: for each
    distinct key position and query position of the map's segments a table of
    cos and sin and one rotation, for each pair of them one tensor of scores,
    the choice between them for each element by the segments, and one softmax.

    Angles are made in float64 and rounded to the type of the computation, which
    is f64 if the query is, and f32 otherwise. Scores are held for all queries
    and keys at once: `rope-tile-attention` makes code for long sequences.

    ```mlir
    %o = rope.attention #rope.sliding<window = 4> rotary <...> scale 0.25 causal
           query(%q : ...) key(%k : ...) value(%v : ...) outs(%init : ...)
    // becomes
    %table = linalg.generic {...}  // math.cos, math.sin of f64, rounded
    %qr = linalg.generic ins(%q, %table)    %kr = linalg.generic ins(%k, %table)
    %s = linalg.generic ins(%qr, %kr)       // scores, -inf where masked
    %m = linalg.generic ins(%s)             // maximum of a row
    %p = linalg.generic ins(%s, %m)         // exp
    %o = linalg.generic ins(%p, %v)         // sum, divided by that of %p
    ```

    Preserves numerics: yes, this is the definition.
  }];
  let dependentDialects = [
    "::mlir::affine::AffineDialect", "::mlir::arith::ArithDialect",
    "::mlir::linalg::LinalgDialect", "::mlir::math::MathDialect",
    "::mlir::tensor::TensorDialect"];
}

def DecomposeRotatePass : Pass<"rope-decompose-rotate"> {
  let summary = "replace rope.rotate by its definition on tensors";
  let description = [{
    Rewrites every `rope.rotate` into a table of cos and sin, made in float64,
    and an elementwise rotation.

    ```mlir
    %y = rope.rotate <theta = 5.0e2, dim = 8> ins(%x : ...) positions(%p : ...)
           outs(%init : ...)
    // becomes
    %table = linalg.generic ins(%p)     // math.cos, math.sin of f64, rounded
    %y = linalg.generic ins(%x, %table) // x_c cos - x_d sin, x_d cos + x_c sin
    ```

    Preserves numerics: yes, this is the definition.
  }];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::linalg::LinalgDialect",
    "::mlir::math::MathDialect", "::mlir::tensor::TensorDialect"];
}

def DecomposeUpdateCachePass : Pass<"rope-decompose-update-cache"> {
  let summary = "replace rope.update_cache by insertions of slices";
  let description = [{
    Rewrites every `rope.update_cache` into a loop over the batch items that
    inserts the rows of an item into its slots, which bufferizes in place.

    ```mlir
    %c1 = rope.update_cache rows(%r : ...) offset(%o : tensor<?xi64>)
            outs(%c : ...)
    // becomes
    %c1 = scf.for %b = ... iter_args(%a = %c) {
      %slot = tensor.extract %o[%b]
      %row = tensor.extract_slice %r[%b, 0, 0, 0] ...
      %next = tensor.insert_slice %row into %a[%b, 0, %slot, 0] ...
    ```

    Preserves numerics: yes, it only copies.
  }];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::scf::SCFDialect",
    "::mlir::tensor::TensorDialect"];
}

def ExtendPass : Pass<"rope-extend", "::mlir::ModuleOp"> {
  let summary = "give attention another position map";
  let description = [{
    Replaces the map of plain rotary attention by the given one, in the chosen
    layers. This is the only pass that makes a model another function, and no
    pipeline runs it unless a map is asked for.

    The layers of a function are its `rope.attention` ops in their order. The
    map is given as an attribute, `map="#rope.self_extend<group = 8, window =
    1024>"`, or in two parts that are put together to one, `method=self_extend
    values="group = 8, window = 1024"`.

    With `parameters=runtime`, and for each parameter that is `?` in the map,
    the function gets an argument `tensor<?x?xi64>`, [B|1, Hkv|1], that all
    chosen layers share, named `NAME.PARAMETER` in its `rope.name`.

    ```mlir
    %o = rope.attention #rope.identity rotary <theta = 1.0e4, dim = 64> ...
    // becomes
    %o = rope.attention #rope.self_extend<group = 8, window = 1024>
           rotary <theta = 1.0e4, dim = 64> ...
    ```

    If one chosen layer cannot take the map, the reason is an error at that
    layer and nothing changes: its map is not plain rotary attention already
    (a sliding-window layer, a layer extended before); it is not causal and the
    map moves positions; its positions are explicit operands; or the map still
    is plain rotary attention beyond the module's `trained_length`, so that
    relative positions leave the trained ones before it changes anything.

    Remarks of the category `rope-extend` tell each change. `report-length`
    adds a remark at each layer with the largest relative position that occurs
    at that length.

    Preserves numerics: no, it changes the function of the model.
  }];
  let dependentDialects = ["::ropewalk::rope::RopeDialect"];
  let options = [
    Option<"map", "map", "std::string", /*default=*/"",
           "Position map, an attribute in MLIR syntax">,
    Option<"method", "method", "std::string", /*default=*/"",
           "Mnemonic of a map of the dialect rope, in place of `map`">,
    Option<"values", "values", "std::string", /*default=*/"",
           "With `method`: what stands between < and > in the attribute">,
    Option<"layers", "layers", "std::string", /*default=*/"",
           "Layers that get the map, such as 0-3,7 (default: all)">,
    Option<"parameters", "parameters", "::ropewalk::ParameterBinding",
           /*default=*/"::ropewalk::ParameterBinding::constant",
           "Where parameters stand", [{::llvm::cl::values(
             clEnumValN(::ropewalk::ParameterBinding::constant, "constant",
                        "in the attribute"),
             clEnumValN(::ropewalk::ParameterBinding::runtime, "runtime",
                        "in arguments of the function"))}]>,
    Option<"name", "name", "std::string", /*default=*/"\"map\"",
           "First part of the names of run-time parameters">,
    Option<"reportLength", "report-length", "int64_t", /*default=*/"0",
           "Report the largest relative position at this length (0: do not)">];
  let statistics = [
    Statistic<"numExtended", "num-extended", "Attention ops with a new map">];
}

#endif // ROPEWALK_TRANSFORMS_PASSES_TD
