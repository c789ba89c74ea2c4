"""Graphs that differ from a raised attention in one thing, and why each is not raised.

    python near_misses.py attention.mlir

Every entry of ``NEAR_MISSES`` edits attention.mlir and says on which line rope-raise-attention
must give up, and with which words. An edit whose text is not found exactly once is an error, so
that no near miss turns into the attention itself when that file changes. ``VARIANTS`` are edits
after which the attention is raised all the same.
"""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass
class NearMiss:
    """An edit of the attention: ``edits`` are (old text, new text), each old text unique."""

    name: str
    edits: list[tuple[str, str]]
    line: str  # text of the line at which the pass gives up
    reason: str  # part of its remark


@dataclass
class Variant:
    """An edit after which the attention is raised, with ``expected`` in the result."""

    name: str
    edits: list[tuple[str, str]]
    expected: str


Q = "tensor<2x4x6x8xf32>"
K = "tensor<2x2x6x8xf32>"
SCORES = "tensor<2x4x6x6xf32>"
ROWS = "tensor<2x4x6xf32>"
MASKED = f"%masked = arith.addf %scaled, %mask_all : {SCORES}"
WEIGHTS = f"%weights = arith.divf %exponentials, %sum_all : {SCORES}"
RETURN = f"return %output : {Q}"
POSITION = "%number = arith.sitofp %position : i64 to f32"
SLOT = "%position = arith.index_cast %slot : index to i64"
KEEP = "%keep = arith.cmpi sle, %j, %i : index"
FREQUENCIES = "dense<[1.0, 0.1, 0.01, 0.001]>"


def key_angles(position: str, frequencies: str = FREQUENCIES) -> list[tuple[str, str]]:
    """Gives the keys angles of their own: ``position`` computes %p from the i64 %s."""
    text = f"""
  %key_frequencies = arith.constant {frequencies} : tensor<4xf32>
  %key_half = linalg.generic {{
      indexing_maps = [affine_map<(s, c) -> (c)>, affine_map<(s, c) -> (s, c)>],
      iterator_types = ["parallel", "parallel"]}}
      ins(%key_frequencies : tensor<4xf32>) outs(%like_angles : tensor<6x4xf32>) {{
  ^bb0(%frequency: f32, %out: f32):
    %slot = linalg.index 0 : index
    %s = arith.index_cast %slot : index to i64
    {position}
    %number = arith.sitofp %p : i64 to f32
    %angle = arith.mulf %number, %frequency : f32
    linalg.yield %angle : f32
  }} -> tensor<6x4xf32>
  %key_angles = tensor.concat dim(1) %key_half, %key_half : (tensor<6x4xf32>, tensor<6x4xf32>) -> tensor<6x8xf32>
  %key_cos = math.cos %key_angles : tensor<6x8xf32>
  %key_sin = math.sin %key_angles : tensor<6x8xf32>
"""
    return [
        ("  // Rotation of the keys.\n", text),
        ("%cos_k = linalg.broadcast ins(%cos ", "%cos_k = linalg.broadcast ins(%key_cos "),
        ("%sin_k = linalg.broadcast ins(%sin ", "%sin_k = linalg.broadcast ins(%key_sin "),
    ]


ARGUMENTS = f"%q: {Q}, %k: {K}, %v: {K})"

NEAR_MISSES = [
    # Rotation.
    NearMiss(
        "the other half is negated",
        [
            ("%q_minus = arith.negf %q_high", "%q_minus = arith.negf %q_low"),
            ("concat dim(3) %q_minus, %q_low", "concat dim(3) %q_high, %q_minus"),
        ],
        "%q_sin = ",
        "rotated with the factors cos + sin in the first half and + cos - sin in the second",
    ),
    NearMiss(
        "both halves are negated",
        [("concat dim(3) %q_minus, %q_low", "concat dim(3) %q_minus, %q_low_minus"),
         ("%q_swapped = ", "%q_low_minus = arith.negf %q_low : tensor<2x4x6x4xf32>\n  %q_swapped = ")],
        "%q_sin = ",
        "+ cos - sin in the second",
    ),
    NearMiss(
        "no half is negated",
        [("concat dim(3) %k_minus, %k_low", "concat dim(3) %k_high, %k_low")],
        "%k_sin = ",
        "the key is rotated with the factors cos + sin in the first half",
    ),
    NearMiss(
        "halves are not swapped",
        [("concat dim(3) %k_minus, %k_low", "concat dim(3) %k_neg_low, %k_high"),
         ("%k_swapped = ", "%k_neg_low = arith.negf %k_low : tensor<2x2x6x4xf32>\n  %k_swapped = ")],
        "%k_sin = ",
        "reads index c of axis 3, expected c + 4: its halves are not swapped",
    ),
    NearMiss(
        "halves overlap",
        [("%q_high = tensor.extract_slice %q[0, 0, 0, 4]", "%q_high = tensor.extract_slice %q[0, 0, 0, 3]")],
        "%q_sin = ",
        "reads index c + 3 of axis 3, expected c + 4",
    ),
    NearMiss(
        "the products with cos and sin read different tensors",
        [(ARGUMENTS, f"%q: {Q}, %k: {K}, %v: {K}, %other: {Q})"),
         ("%q_cos = arith.mulf %q,", "%q_cos = arith.mulf %other,")],
        "%q_sin = ",
        "the products with cos and with sin of the query read different tensors",
    ),
    NearMiss(
        "the rotated half comes from another row",
        [("%k_low = tensor.extract_slice %k[", "%k_low = tensor.extract_slice %v[")],
        "%k_sin = ",
        "the products with cos and with sin of the key read different tensors",
    ),
    NearMiss(
        "cos and sin change places",
        [("%cos = math.cos", "%cos = math.sin"), ("%sin = math.sin", "%sin = math.cos")],
        "%q_sin = ",
        "the un-rotated query of item b, query head h (head h of 4), slot i, channel c is read at [b, h, i, c + 4]",
    ),
    NearMiss(
        "two cosines",
        [("%sin = math.sin", "%sin = math.cos")],
        "%q_cos = ",
        "the query is not rotated: both products are with cos",
    ),
    NearMiss(
        "the query is not rotated",
        [("ins(%q_rotated, %k_heads :", "ins(%q, %k_heads :")],
        "%products = ",
        "the query is not rotated: expected a product with cos plus a product with sin, found argument #0",
    ),
    NearMiss(
        "the key is not rotated",
        [("broadcast ins(%k_rotated :", "broadcast ins(%k :")],
        "%products = ",
        "the key is not rotated: expected a product with cos plus a product with sin, found argument #1",
    ),
    NearMiss(
        "only the product with cos",
        [("ins(%q_rotated, %k_heads :", "ins(%q_cos, %k_heads :")],
        "%q_cos = ",
        "the query is not rotated: expected a product with cos plus a product with sin, found a product",
    ),
    NearMiss(
        "sin is longer than cos",
        [("%sin = math.sin %angles : tensor<6x8xf32>",
          "%two = arith.constant dense<2.0> : tensor<6x8xf32>\n  %sine = math.sin %angles : tensor<6x8xf32>\n"
          "  %sin = arith.mulf %sine, %two : tensor<6x8xf32>")],
        "%q_sin = ",
        "cos -2 * sin in the first half and + cos 2 * sin in the second",
    ),
    # Positions and frequencies.
    NearMiss(
        "keys are one position further",
        key_angles("%one = arith.constant 1 : i64\n    %p = arith.addi %s, %one : i64"),
        "%key_half = ",
        "the position of the key in slot j is j + 1, expected j",
    ),
    NearMiss(
        "keys have grouped positions",
        key_angles("%two = arith.constant 2 : i64\n    %p = arith.muli %s, %two : i64"),
        "%key_half = ",
        "the position of the key in slot j is 2 * j, expected j",
    ),
    NearMiss(
        "positions start at 3",
        [(POSITION, "%three = arith.constant 3 : i64\n    %moved = arith.addi %position, %three : i64\n"
          "    %number = arith.sitofp %moved : i64 to f32")],
        "%half_angles = ",
        "the position of the query in slot i is i + 3, expected i",
    ),
    NearMiss(
        "positions are an argument",
        [(ARGUMENTS, f"%q: {Q}, %k: {K}, %v: {K}, %positions: tensor<6xi64>)"),
         (SLOT, "%position = tensor.extract %positions[%slot] : tensor<6xi64>")],
        "%half_angles = ",
        "the positions of the query are not proved to be 0, 1, 2, ...: they come from argument #3",
    ),
    NearMiss(
        "positions are counted along the pairs",
        [("%slot = linalg.index 0 : index", "%slot = linalg.index 1 : index")],
        "%half_angles = ",
        "the position of the query in slot i is c, expected i",
    ),
    NearMiss(
        "keys have another theta",
        key_angles("%zero_i64 = arith.constant 0 : i64\n    %p = arith.addi %s, %zero_i64 : i64",
                   "dense<[1.0, 0.2, 0.04, 0.008]>"),
        "%key_half = ",
        "query and key are rotated with different frequencies: that of pair 1 is 0.10",
    ),
    NearMiss(
        "frequencies without a theta",
        [(FREQUENCIES, "dense<[1.0, 0.1, 0.02, 0.001]>")],
        "%half_angles = ",
        "the inverse frequencies are not theta^(-2c/8) for any theta",
    ),
    NearMiss(
        "scaled frequencies",
        [(FREQUENCIES, "dense<[0.5, 0.05, 0.005, 0.0005]>")],
        "%half_angles = ",
        "the inverse frequencies are not theta^(-2c/8) for any theta",
    ),
    NearMiss(
        "a frequency a little off",
        [(FREQUENCIES, "dense<[1.0, 0.1, 0.01001, 0.001]>")],
        "%half_angles = ",
        "that of pair 2 is 0.01",
    ),
    NearMiss(
        "frequencies in the opposite order",
        [(FREQUENCIES, "dense<[0.001, 0.01, 0.1, 1.0]>")],
        "%half_angles = ",
        "the inverse frequencies are not theta^(-2c/8) for any theta",
    ),
    NearMiss(
        "frequencies are an argument",
        [(ARGUMENTS, f"%q: {Q}, %k: {K}, %v: {K}, %inverse_frequencies: tensor<4xf32>)"),
         (f"%inverse_frequencies = arith.constant {FREQUENCIES} : tensor<4xf32>\n", "\n")],
        "%half_angles = ",
        "the inverse frequencies cannot be read: they are not a constant",
    ),
    NearMiss(
        "elided frequencies",
        [(FREQUENCIES, "dense_resource<__elided__>")],
        "%inverse_frequencies = ",
        "the inverse frequencies cannot be read: the data of resource '__elided__' was elided",
    ),
    NearMiss(
        "the two halves have different angles",
        [("concat dim(1) %half_angles, %half_angles", "concat dim(1) %half_angles, %twice"),
         ("%angles = tensor", "%twice = arith.addf %half_angles, %half_angles : tensor<6x4xf32>\n  %angles = tensor")],
        "%twice = ",
        "the rotary angle is computed from a sum",
    ),
    # Heads and items.
    NearMiss(
        "query head h reads KV head h mod 2",
        [("outs(%like_repeated : tensor<2x2x2x6x8xf32>) dimensions = [2]\n  %k_heads",
          "outs(%like_repeated : tensor<2x2x2x6x8xf32>) dimensions = [1]\n  %k_heads")],
        "%k_cos = ",
        "the un-rotated key of item b, query head h (head h floordiv 2 of 2), slot j, channel c is read at [b, h mod 2, j, c]",
    ),
    NearMiss(
        "values of query head h are those of KV head h mod 2",
        [("outs(%like_repeated : tensor<2x2x2x6x8xf32>) dimensions = [2]\n  %v_heads",
          "outs(%like_repeated : tensor<2x2x2x6x8xf32>) dimensions = [1]\n  %v_heads")],
        "%k_cos = ",
        "the un-rotated key of item b, query head h (head h of 4), slot j, channel c is read at [b, h floordiv 2, j, c]",
    ),
    NearMiss(
        "all items attend to the keys of item 0",
        [("ins(%k_rotated :", "ins(%k_shared :"),
         ("  // KV head h of",
          f"""  %k_first = tensor.extract_slice %k_rotated[0, 0, 0, 0] [1, 2, 6, 8] [1, 1, 1, 1] : {K} to tensor<2x6x8xf32>
  %k_shared = linalg.broadcast ins(%k_first : tensor<2x6x8xf32>) outs(%like_k : {K}) dimensions = [0]
  // KV head h of""")],
        "%k_cos = ",
        "the un-rotated key of item b, query head h (head h floordiv 2 of 2), slot j, channel c is read at [0, h floordiv 2, j, c]",
    ),
    # Scale and mask.
    NearMiss(
        "the scale is applied twice",
        [("%scaled = arith.mulf %products, %scale", f"%once = arith.mulf %products, %scale : {SCORES}\n"
          "  %scaled = arith.mulf %scale, %once")],
        "%once = ",
        "the scores are scaled twice, by 0.25 and then by 0.25, expected one scale",
    ),
    NearMiss(
        "the scale depends on the row",
        [("%scale = arith.constant dense<0.25> : tensor<2x4x6x6xf32>\n",
          f"%scale = linalg.broadcast ins(%row_scale : tensor<6xf32>) outs(%like_scores : {SCORES}) dimensions = [0, 1, 3]\n"),
         (ARGUMENTS, f"%q: {Q}, %k: {K}, %v: {K}, %row_scale: tensor<6xf32>)")],
        "%scaled = ",
        "the scores are scaled by argument #3, expected a constant",
    ),
    NearMiss(
        "the logits are capped",
        [("%scaled = arith.mulf %products, %scale", "%capped = math.tanh %products : tensor<2x4x6x6xf32>\n"
          "  %scaled = arith.mulf %capped, %scale")],
        "%capped = ",
        "stands a result of 'math.tanh', expected only constant factors and a mask",
    ),
    NearMiss(
        "no mask",
        [(MASKED, f"%none = arith.constant dense<0.0> : {SCORES}\n  %masked = arith.addf %scaled, %none : {SCORES}")],
        "%products = ",
        "the attention is not causal: no mask stands between",
    ),
    NearMiss(
        "the mask keeps every key",
        [(KEEP, "%keep = arith.constant true")],
        "%masked = ",
        "the attention is not causal: its mask keeps every key",
    ),
    NearMiss(
        "the mask drops the own key",
        [(KEEP, "%keep = arith.cmpi slt, %j, %i : index")],
        "%mask = ",
        "it keeps key j of query i where i - j - 1 >= 0, expected i - j >= 0",
    ),
    NearMiss(
        "the mask shows the next key",
        [(KEEP, "%one = arith.constant 1 : index\n    %next = arith.addi %i, %one : index\n"
          "    %keep = arith.cmpi sle, %j, %next : index")],
        "%mask = ",
        "it keeps key j of query i where i - j + 1 >= 0",
    ),
    NearMiss(
        "the mask shows the future",
        [(KEEP, "%keep = arith.cmpi sge, %j, %i : index")],
        "%mask = ",
        "it keeps key j of query i where -i + j >= 0",
    ),
    NearMiss(
        "the values of the mask change places",
        [("arith.select %keep, %zero, %lowest", "arith.select %keep, %lowest, %zero")],
        "%mask = ",
        "it keeps key j of query i where -i + j - 1 >= 0",
    ),
    NearMiss(
        "the mask is a sliding window",
        [(KEEP, "%past = arith.cmpi sle, %j, %i : index\n    %three = arith.constant 3 : index\n"
          "    %oldest = arith.subi %i, %three : index\n    %near = arith.cmpi sgt, %j, %oldest : index\n"
          "    %keep = arith.andi %past, %near : i1")],
        "%mask = ",
        "the mask drops more keys than a causal one",
    ),
    NearMiss(
        "the mask is an argument",
        [(ARGUMENTS, f"%q: {Q}, %k: {K}, %v: {K}, %given: tensor<6x6xf32>)"),
         ("broadcast ins(%mask :", "broadcast ins(%given :")],
        "%masked = ",
        "the mask is not proved to be causal: it is argument #3",
    ),
    NearMiss(
        "a weak mask",
        [("%lowest = arith.constant -3.40282347E+38 : f32", "%lowest = arith.constant -10000.0 : f32")],
        "%mask = ",
        "masked keys get -10000",
    ),
    NearMiss(
        "the mask is scaled away",
        [(MASKED, f"%tiny = arith.constant dense<1.0e-30> : {SCORES}\n  %sum_1 = arith.addf %scaled, %mask_all : {SCORES}\n"
          f"  %masked = arith.mulf %sum_1, %tiny : {SCORES}")],
        "%mask = ",
        "masked keys get -340282348, expected at most -1e30",
    ),
    NearMiss(
        "the mask comes after the softmax",
        [(MASKED, f"%masked = arith.addf %scaled, %scaled_zero : {SCORES}"),
         ("  // Mask.\n", f"  %scaled_zero = arith.constant dense<0.0> : {SCORES}\n"),
         (WEIGHTS, f"%all_weights = arith.divf %exponentials, %sum_all : {SCORES}\n"
          f"  %weights = arith.addf %all_weights, %mask_all : {SCORES}")],
        "%weights = ",
        "the factor of the values is not exp(x) / sum of exp(x) but a sum",
    ),
    # Softmax.
    NearMiss(
        "weights are scaled after the softmax",
        [(WEIGHTS, f"%all_weights = arith.divf %exponentials, %sum_all : {SCORES}\n"
          f"  %half = arith.constant dense<0.5> : {SCORES}\n"
          f"  %weights = arith.mulf %all_weights, %half : {SCORES}")],
        "%weights = ",
        "the factor of the values is not exp(x) / sum of exp(x) but a product",
    ),
    NearMiss(
        "the softmax runs over the queries",
        [("outs(%max_init : tensor<2x4x6xf32>) dimensions = [3]", "outs(%max_init : tensor<2x4x6xf32>) dimensions = [2]"),
         ("broadcast ins(%max : tensor<2x4x6xf32>) outs(%like_scores : tensor<2x4x6x6xf32>) dimensions = [3]",
          "broadcast ins(%max : tensor<2x4x6xf32>) outs(%like_scores : tensor<2x4x6x6xf32>) dimensions = [2]"),
         ("outs(%sum_init : tensor<2x4x6xf32>) dimensions = [3]", "outs(%sum_init : tensor<2x4x6xf32>) dimensions = [2]"),
         ("broadcast ins(%sum : tensor<2x4x6xf32>) outs(%like_scores : tensor<2x4x6x6xf32>) dimensions = [3]",
          "broadcast ins(%sum : tensor<2x4x6xf32>) outs(%like_scores : tensor<2x4x6x6xf32>) dimensions = [2]")],
        "%max = ",
        "the maximum of the scores is taken over the queries, expected over the keys",
    ),
    NearMiss(
        "only the sum runs over the queries",
        [("outs(%sum_init : tensor<2x4x6xf32>) dimensions = [3]", "outs(%sum_init : tensor<2x4x6xf32>) dimensions = [2]")],
        "%sum = ",
        "the sum of the exponentials is taken of another value than the one it is used with",
    ),
    NearMiss(
        "the maximum is that of the unmasked scores",
        [("ins(%masked : tensor<2x4x6x6xf32>) outs(%max_init", "ins(%scaled : tensor<2x4x6x6xf32>) outs(%max_init")],
        "%max = ",
        "the maximum of the scores is taken of another value than the one it is used with",
    ),
    NearMiss(
        "the sum is that of other exponentials",
        [("%sum = linalg.reduce {arith.addf} ins(%exponentials :", f"%others = math.exp %masked : {SCORES}\n"
          "  %sum = linalg.reduce {arith.addf} ins(%others :")],
        "%sum = ",
        "the sum of the exponentials is taken of another value",
    ),
    NearMiss(
        "no maximum is subtracted",
        [("%exponentials = math.exp %shifted", "%exponentials = math.exp %masked")],
        "%exponentials = ",
        "the maximum of the scores is not subtracted before the exponential",
    ),
    NearMiss(
        "the maximum starts at 0",
        [("%max_init = linalg.fill ins(%minus_infinity :", "%max_init = linalg.fill ins(%zero :")],
        "%max = ",
        "the maximum of the scores starts at the constant 0",
    ),
    NearMiss(
        "the sum starts at 1",
        [("%sum_init = linalg.fill ins(%zero :", "%one = arith.constant 1.0 : f32\n  %sum_init = linalg.fill ins(%one :")],
        "%sum = ",
        "the sum of the exponentials does not start at 0",
    ),
    NearMiss(
        "weights are normalised after the product",
        [("ins(%weights, %v_heads :", "ins(%exponentials, %v_heads :"),
         (RETURN, f"%sum_q = linalg.broadcast ins(%sum : {ROWS}) outs(%like_q : {Q}) dimensions = [3]\n"
          f"  %normalised = arith.divf %output, %sum_q : {Q}\n  return %normalised : {Q}")],
        "%sum = ",
        "no product with values follows the sum of exponentials",
    ),
    # Uses.
    NearMiss(
        "the scores are returned too",
        [(f"-> {Q} {{", f"-> ({Q}, {SCORES}) {{"), (RETURN, f"return %output, %masked : {Q}, {SCORES}")],
        "return",
        "the scores or weights of the attention have another use here",
    ),
    NearMiss(
        "the weights are returned too",
        [(f"-> {Q} {{", f"-> ({Q}, {SCORES}) {{"), (RETURN, f"return %output, %weights : {Q}, {SCORES}")],
        "return",
        "the scores or weights of the attention have another use here",
    ),
    NearMiss(
        "the weights are multiplied twice",
        [(RETURN, f"""%output_2 = linalg.contract indexing_maps = [#output_p, #output_v, #output]
      ins(%weights, %k_heads : {SCORES}, {Q}) outs(%output : {Q}) -> {Q}
  return %output_2 : {Q}""")],
        "%output",
        "the weights of one softmax are multiplied twice",
    ),
    NearMiss(
        "something is added to the output",
        [("outs(%output_init : tensor<2x4x6x8xf32>)", "outs(%q : tensor<2x4x6x8xf32>)")],
        "%output = ",
        "something is added to the product of weights and values",
    ),
    NearMiss(
        "something is added to the scores inside the product",
        [(ARGUMENTS, f"%q: {Q}, %k: {K}, %v: {K}, %bias: {SCORES})"), ("outs(%scores_init :", "outs(%bias :")],
        "%products = ",
        "the scores are not a plain sum of products of query and key",
    ),
    NearMiss(
        "no values follow",
        [(f"-> {Q} {{", f"-> {SCORES} {{"), (RETURN, f"return %weights : {SCORES}")],
        "%sum = ",
        "no product with values follows the sum of exponentials",
    ),
]

VARIANTS = [
    Variant(
        "a factor of 1 is no scale",
        [("%scaled = arith.mulf %products, %scale", f"%one = arith.constant dense<1.0> : {SCORES}\n"
          f"  %once = arith.mulf %products, %scale : {SCORES}\n"
          "  %scaled = arith.mulf %one, %once")],
        "scale 2.500000e-01 causal",
    ),
    Variant(
        "scales on query and key multiply with that on the scores",
        [("ins(%q_rotated, %k_heads :", "ins(%q_scaled, %k_heads :"),
         ("  // Scores.\n", f"  %half = arith.constant dense<0.5> : {Q}\n"
          f"  %q_scaled = arith.mulf %q_rotated, %half : {Q}\n")],
        "scale 1.250000e-01 causal",
    ),
    Variant(
        "commuted operands",
        [(MASKED, f"%masked = arith.addf %mask_all, %scaled : {SCORES}"),
         ("%q_cos = arith.mulf %q, %cos_q", "%q_cos = arith.mulf %cos_q, %q"),
         ("%q_rotated = arith.addf %q_cos, %q_sin", "%q_rotated = arith.addf %q_sin, %q_cos")],
        "rope.attention",
    ),
    Variant(
        "the lowest finite number as first maximum, minus infinity in the mask",
        [("%minus_infinity = arith.constant 0xFF800000", "%minus_infinity = arith.constant -3.40282347E+38"),
         ("%lowest = arith.constant -3.40282347E+38", "%lowest = arith.constant 0xFF800000")],
        "rope.attention",
    ),
    Variant(
        "a window longer than the sequence is no window",
        [(KEEP, "%past = arith.cmpi sle, %j, %i : index\n    %six = arith.constant 6 : index\n"
          "    %oldest = arith.subi %i, %six : index\n    %near = arith.cmpi sgt, %j, %oldest : index\n"
          "    %keep = arith.andi %past, %near : i1")],
        "rope.attention",
    ),
    Variant(
        "a multiplication by the reciprocal of the sum",
        [(WEIGHTS, f"%ones = arith.constant dense<1.0> : {SCORES}\n  %inverse = arith.divf %ones, %sum_all : {SCORES}\n"
          f"  %weights = arith.mulf %inverse, %exponentials : {SCORES}")],
        "rope.attention",
    ),
    Variant(
        "linalg.softmax",
        [(WEIGHTS, f"%weights = linalg.softmax dimension(3) ins(%masked : {SCORES}) outs(%like_scores : {SCORES}) -> {SCORES}")],
        "rope.attention",
    ),
    Variant(
        "insertion of slices in the place of concatenation",
        [("%q_swapped = tensor.concat dim(3) %q_minus, %q_low : (tensor<2x4x6x4xf32>, tensor<2x4x6x4xf32>) -> tensor<2x4x6x8xf32>",
          f"""%q_part = tensor.insert_slice %q_minus into %like_q[0, 0, 0, 0] [2, 4, 6, 4] [1, 1, 1, 1] : tensor<2x4x6x4xf32> into {Q}
  %q_swapped = tensor.insert_slice %q_low into %q_part[0, 0, 0, 4] [2, 4, 6, 4] [1, 1, 1, 1] : tensor<2x4x6x4xf32> into {Q}""")],
        "rope.attention",
    ),
    Variant(
        "values that all items share",
        [("broadcast ins(%v :", "broadcast ins(%v_shared :"),
         ("  // KV head h of",
          f"""  %v_first = tensor.extract_slice %v[0, 0, 0, 0] [1, 2, 6, 8] [1, 1, 1, 1] : {K} to tensor<2x6x8xf32>
  %v_shared = linalg.broadcast ins(%v_first : tensor<2x6x8xf32>) outs(%like_k : {K}) dimensions = [0]
  // KV head h of""")],
        "value(%broadcasted :",
    ),
    Variant(
        "theta 500000",
        [(FREQUENCIES, "dense<[1.0, 0.0376060309, 0.00141421356, 5.31829589E-5]>")],
        "rotary <theta = 500000.0, dim = 8>",
    ),
]


def apply(text: str, case: NearMiss | Variant) -> str:
    """Returns ``text`` with the edits of ``case``; each must apply at exactly one place."""
    for old, new in case.edits:
        if text.count(old) != 1:
            raise SystemExit(f"{case.name}: {text.count(old)} places for the edit of {old!r}")
        text = text.replace(old, new)
    return text


def raise_attention(text: str) -> tuple[str, str]:
    """Runs the pass; returns the resulting graph and what it reported."""
    command = ["ropewalk-opt", "--rope-raise-attention", "-"]
    process = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    if process.returncode:
        raise SystemExit(f"ropewalk-opt failed on\n{text}\n{process.stderr}")
    return process.stdout, process.stderr


def check_near_miss(text: str, case: NearMiss) -> str:
    """Returns what is wrong with the pass's answer, or an empty string."""
    edited = apply(text, case)
    graph, report = raise_attention(edited)
    if "rope.attention" in graph:
        return "it is raised"
    remark = re.match(r"<stdin>:(\d+):\d+: remark: attention not raised: (.*)", report)
    if not remark:
        return f"no remark but {report!r}"
    line = edited.splitlines()[int(remark[1]) - 1]
    if case.reason not in remark[2]:
        return f"the reason is {remark[2]!r}, expected {case.reason!r}"
    if not line.strip().startswith(case.line):
        return f"the remark is at {line.strip()!r}, expected {case.line!r}"
    return ""


def check_variant(text: str, case: Variant) -> str:
    """Returns what is wrong with the pass's answer, or an empty string."""
    graph, report = raise_attention(apply(text, case))
    return "" if case.expected in graph else report or graph


def main() -> None:
    text = Path(sys.argv[1]).read_text()
    cases = [(case, check_near_miss) for case in NEAR_MISSES]
    cases += [(case, check_variant) for case in VARIANTS]
    failures = 0
    for case, check in cases:
        problem = check(text, case)
        failures += bool(problem)
        if problem:
            print(f"{case.name}: {problem}")
    print(f"{len(NEAR_MISSES)} near misses, {len(VARIANTS)} variants, {failures} failures")
    sys.exit(failures > 0)


if __name__ == "__main__":
    main()
