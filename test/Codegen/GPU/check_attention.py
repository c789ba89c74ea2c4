"""Runs attention kernels on the emulator and compares them with numpy in float64.

The reference evaluates the definition, one score at a time in a matrix: positions of
every query and key by the method's formula, rotation by cos and sin of float64 angles,
one softmax. The emulator stops at accesses out of bounds, uninitialized reads and races.
Usage: check_attention.py SOURCE_ROOT TARGET
"""

from __future__ import annotations

import sys
from typing import Any, Callable

import numpy as np

# (i, j, parameters) -> query position, key position, visible; all [Sq, Skv] integers.
Map = Callable[[np.ndarray, np.ndarray, dict[str, Any]], tuple[np.ndarray, np.ndarray, np.ndarray]]


def self_extend(i: np.ndarray, j: np.ndarray, p: dict[str, Any]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    near = i - j < p["window"]
    shifted = i // p["group"] + p["window"] - p["window"] // p["group"]
    return np.where(near, i, shifted), np.where(near, j, j // p["group"]), np.ones_like(near)


def rerope(i: np.ndarray, j: np.ndarray, p: dict[str, Any]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    near = i - j < p["window"]
    return np.where(near, i, p["window"]), np.where(near, j, 0), np.ones_like(near)


def sliding(i: np.ndarray, j: np.ndarray, p: dict[str, Any]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return i, j, i - j < p["window"]


def identity(i: np.ndarray, j: np.ndarray, p: dict[str, Any]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return i, j, np.ones_like(i == j)


def rotate(x: np.ndarray, position: np.ndarray, dim: int, theta: float) -> np.ndarray:
    """x [..., D] rotated at position [...], pairs (c, c + dim / 2)."""
    half = dim // 2
    frequency = theta ** (-2.0 * np.arange(half) / dim)
    angle = position[..., None].astype(np.float64) * frequency
    first, second = x[..., :half], x[..., half:dim]
    return np.concatenate(
        [
            first * np.cos(angle) - second * np.sin(angle),
            second * np.cos(angle) + first * np.sin(angle),
            x[..., dim:],
        ],
        axis=-1,
    )


def reference(q: np.ndarray, k: np.ndarray, v: np.ndarray, method: Map, parameters: dict[str, Any], dim: int,
              offset: np.ndarray, length: np.ndarray, shift: np.ndarray, causal: bool, softcap: float | None,
              bias: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """q [B, Hq, Sq, D], k [B, Hkv, Skv, D], v [B, Hkv, Skv, Dv] -> output, log-sum-exp."""
    q, k, v = (x.astype(np.float64) for x in (q, k, v))
    items, heads, rows, size = q.shape
    kv_heads, slots = k.shape[1], k.shape[2]
    output = np.zeros((items, heads, rows, v.shape[3]))
    lse = np.full((items, heads, rows), -np.inf)
    for b in range(items):
        i = (offset[b] + np.arange(rows) + shift[b])[:, None] + np.zeros((1, slots), np.int64)
        j = (np.arange(slots) + shift[b])[None, :] + np.zeros((rows, 1), np.int64)
        for h in range(heads):
            g = h // (heads // kv_heads)
            here = {name: value[b % value.shape[0], g % value.shape[1]] for name, value in parameters.items()}
            at_q, at_k, visible = method(i, j, here)
            visible = visible & (i >= 0) & (j >= 0) & (np.arange(slots) < length[b])[None, :]
            if causal:
                visible = visible & (j <= i)
            turned_q = rotate(np.broadcast_to(q[b, h][:, None], (rows, slots, size)), at_q, dim, 10000.0)
            turned_k = rotate(np.broadcast_to(k[b, g][None], (rows, slots, size)), at_k, dim, 10000.0)
            score = (turned_q * turned_k).sum(-1) / np.sqrt(size)
            if softcap:
                score = softcap * np.tanh(score / softcap)
            if bias is not None:
                score = score + bias[b % bias.shape[0], h % bias.shape[1]]
            score = np.where(visible, score, -np.inf)
            for r in range(rows):
                top = score[r].max()
                if top == -np.inf:
                    continue
                weight = np.exp(score[r] - top)
                output[b, h, r] = weight @ v[b, g] / weight.sum()
                lse[b, h, r] = top + np.log(weight.sum())
    return output, lse


def main() -> None:
    sys.path.insert(0, sys.argv[1] + "/python")
    import ropewalk

    target = "emulate:" + sys.argv[2]
    rng = np.random.default_rng(7)
    grid = np.array
    # method, map, parameters [B|1, Hkv|1], B, Hq, Hkv, Sq, Skv, D, Dv, rotary dim, offset, length, shift, extras
    cases: list[tuple[Any, ...]] = [
        # Head dimensions with every way of splitting columns; tiles on both sides of a cut.
        (self_extend, {"group": grid([[3]]), "window": grid([[10]])}, 1, 2, 1, 70, 70, 64, 64, 64, [0], [70], [0], {}),
        (self_extend, {"group": grid([[4]]), "window": grid([[32]])}, 1, 2, 2, 100, 100, 128, 128, 128, [0], [100], [0], {}),
        (self_extend, {"group": grid([[8]]), "window": grid([[0]])}, 1, 1, 1, 40, 40, 80, 80, 40, [0], [40], [0], {}),
        (identity, {}, 1, 1, 1, 33, 33, 8, 8, 8, [0], [33], [0], {}),
        (identity, {}, 1, 1, 1, 33, 33, 96, 32, 32, [0], [33], [0], {}),
        (rerope, {"window": grid([[5]])}, 1, 1, 1, 50, 50, 16, 24, 16, [0], [50], [0], {}),
        (sliding, {"window": grid([[7]])}, 1, 1, 1, 65, 65, 32, 64, 32, [0], [65], [0], {}),
        (sliding, {"window": grid([[0]])}, 1, 1, 1, 3, 3, 32, 32, 32, [0], [3], [0], {}),
        # Parameters by item and by KV head, chunks at offsets, lengths below the capacity, left padding.
        (self_extend, {"group": grid([[2, 5], [7, 1]]), "window": grid([[8, 20]])}, 2, 6, 2, 9, 60, 16, 16, 16,
         [30, 45], [39, 54], [0, -11], {}),
        (self_extend, {"group": grid([[3], [4]]), "window": grid([[6], [16]])}, 2, 4, 2, 40, 48, 16, 16, 16,
         [0, 0], [40, 40], [-17, 0], {"lse": True}),
        # One new token: decode.
        (self_extend, {"group": grid([[4]]), "window": grid([[16]])}, 2, 4, 2, 1, 90, 64, 64, 64, [77, 31], [78, 32], [0, -3], {}),
        (rerope, {"window": grid([[9]])}, 1, 7, 1, 1, 40, 64, 64, 64, [39], [40], [0], {"lse": True}),
        # Positions beyond the low table.
        (self_extend, {"group": grid([[5]]), "window": grid([[13]])}, 2, 2, 1, 40, 40, 32, 32, 32, [0, 0], [40, 40],
         [4090, 12345678], {}),
        # Not causal, softcap, bias.
        (identity, {}, 1, 2, 1, 20, 37, 32, 32, 32, [0], [30], [0], {"causal": False}),
        (self_extend, {"group": grid([[2]]), "window": grid([[4]])}, 1, 2, 1, 20, 20, 32, 32, 32, [0], [20], [0],
         {"softcap": 1.5, "lse": True}),
        (self_extend, {"group": grid([[2]]), "window": grid([[4]])}, 2, 2, 1, 20, 40, 32, 32, 32, [0, 20], [20, 40], [0, 0],
         {"bias": (1, 2)}),
        (identity, {}, 2, 2, 1, 20, 40, 32, 32, 32, [0, 20], [20, 40], [0, 0], {"bias": (2, 1), "lse": True}),
    ]
    worst = 0.0
    for method, parameters, items, heads, kv_heads, rows, slots, size, value_size, dim, offset, length, shift, extras in cases:
        q = rng.standard_normal((items, heads, rows, size), np.float32) * 2
        k = rng.standard_normal((items, kv_heads, slots, size), np.float32) * 2
        v = rng.standard_normal((items, kv_heads, slots, value_size), np.float32)
        extras = dict(extras)
        bias = None
        if "bias" in extras:
            bias = rng.standard_normal((*extras["bias"], rows, slots)).astype(np.float32)
            bias[:, :, ::3, ::5] = -np.inf
        # What lies beyond the length must not matter.
        for b in range(items):
            k[b, :, length[b]:] = np.nan
            v[b, :, length[b]:] = np.nan
        position_map = {
            self_extend: lambda p: ropewalk.SelfExtend(p["group"], p["window"]),
            rerope: lambda p: ropewalk.ReRoPE(p["window"]),
            sliding: lambda p: ropewalk.Sliding(p["window"]),
            identity: lambda p: ropewalk.Identity(),
        }[method](parameters)
        causal = extras.get("causal", True)
        got, got_lse = ropewalk.attention(
            q, k, v, position_map=position_map, rotary=ropewalk.Rotary(theta=10000.0, dim=dim),
            query_offset=np.array(offset), key_length=np.array(length), position_offset=np.array(shift),
            causal=causal, softcap=extras.get("softcap"), bias=bias, return_lse=True, target=target,
        )
        want, want_lse = reference(q, np.nan_to_num(k), np.nan_to_num(v), method, parameters, dim, np.array(offset),
                                   np.array(length), np.array(shift), causal, extras.get("softcap"), bias)
        error = np.abs(got - want).max()
        finite = np.isfinite(want_lse)
        assert (np.isfinite(got_lse) == finite).all(), (method.__name__, extras)
        error_lse = np.abs(got_lse[finite] - want_lse[finite]).max(initial=0.0)
        assert error < 2e-5 and error_lse < 2e-5, (method.__name__, size, extras, error, error_lse)
        worst = max(worst, error)
    print(f"{len(cases)} cases on {target}, largest error {worst:.1e}")


main()
