"""Attention under a position map in float64, from the definition and nothing else.

Each pair of a query and a key is rotated by its relative position; there are no
rotated tensors, segments or tiles here.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import numpy as np

# A map: positions i [Sq, 1] and j [1, Skv] and the parameters of an item and
# head -> relative positions [Sq, Skv] and which keys are seen.
MapFunction = Callable[..., tuple[np.ndarray, np.ndarray]]


def identity(i: np.ndarray, j: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return i - j, np.ones_like(i - j, bool)


def self_extend(i: np.ndarray, j: np.ndarray, group: int, window: int) -> tuple[np.ndarray, np.ndarray]:
    grouped = i // group + window - window // group - j // group
    return np.where(i - j < window, i - j, grouped), np.ones_like(i - j, bool)


def rerope(i: np.ndarray, j: np.ndarray, window: int) -> tuple[np.ndarray, np.ndarray]:
    return np.where(i - j < window, i - j, window), np.ones_like(i - j, bool)


def sliding(i: np.ndarray, j: np.ndarray, window: int) -> tuple[np.ndarray, np.ndarray]:
    return i - j, i - j < window


def lm_infinite(i: np.ndarray, j: np.ndarray, window: int, first: int, limit: int) -> tuple[np.ndarray, np.ndarray]:
    return np.where(i - j < window, i - j, np.minimum(i - j, limit)), (i - j < window) | (j < first)


def dual_chunk(i: np.ndarray, j: np.ndarray, chunk: int, local: int) -> tuple[np.ndarray, np.ndarray]:
    behind = i // chunk - j // chunk
    query = np.where(
        behind == 0, i % chunk, np.where(behind == 1, np.minimum(i % chunk + chunk, chunk + local), 2 * chunk - 1)
    )
    query = np.where(behind >= 2, np.minimum(2 * chunk - 1, chunk + local), query)
    return query - j % chunk, np.ones_like(i - j, bool)


@dataclasses.dataclass
class Frequencies:
    """Inverse frequencies [P] and the factor on cos and sin of queries and keys."""

    inverse: np.ndarray
    factor: float = 1.0


def plain_frequencies(theta: float, dim: int) -> Frequencies:
    return Frequencies(theta ** (-np.arange(0, dim, 2, dtype=np.float64) / dim))


def yarn_frequencies(
    theta: float, dim: int, factor: float, original: int, fast: float = 32.0, slow: float = 1.0
) -> Frequencies:
    """YaRN as its paper has it, with the ends of the ramp on whole pairs."""
    plain = plain_frequencies(theta, dim).inverse

    def pair_of(turns: float) -> float:
        return dim * math.log(original / (2 * math.pi * turns)) / (2 * math.log(theta))

    low = max(math.floor(pair_of(fast)), 0)
    high = min(math.ceil(pair_of(slow)), dim - 1)
    ramp = np.clip((np.arange(dim // 2) - low) / max(high - low, 0.001), 0, 1)
    return Frequencies(plain * (1 - ramp) + plain / factor * ramp, 0.1 * math.log(factor) + 1)


def attention(
    q: np.ndarray,
    k: np.ndarray,
    v: np.ndarray,
    map_function: MapFunction,
    parameters: dict[str, np.ndarray],
    frequencies: Frequencies,
    *,
    scale: float,
    query_offset: np.ndarray,
    key_length: np.ndarray,
    position_offset: np.ndarray,
    causal: bool = True,
    softcap: float | None = None,
    bias: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Output [B, Hq, Sq, Dv] and log-sum-exp [B, Hq, Sq].

    q [B, Hq, Sq, D], k [B, Hkv, Skv, D], v [B, Hkv, Skv, Dv]; operands [B]; parameters
    [B, Hkv]; bias [B or 1, Hq or 1, Sq, Skv].
    """
    q, k, v = (x.astype(np.float64) for x in (q, k, v))
    batch, query_heads, rows, _ = q.shape
    kv_heads, slots = k.shape[1:3]
    pairs = len(frequencies.inverse)
    output = np.zeros((batch, query_heads, rows, v.shape[3]))
    lse = np.full((batch, query_heads, rows), -np.inf)
    for b in range(batch):
        i = (query_offset[b] + np.arange(rows) + position_offset[b])[:, None]
        j = (np.arange(slots) + position_offset[b])[None, :]
        for h in range(query_heads):
            kv = h // (query_heads // kv_heads)
            relative, seen = map_function(i, j, **{name: int(value[b, kv]) for name, value in parameters.items()})
            seen = seen & (np.arange(slots) < key_length[b])[None, :] & (j >= 0) & (i >= 0)
            if causal:
                seen = seen & (j <= i)
            angle = relative[..., None] * frequencies.inverse
            q1, q2 = q[b, h, :, None, :pairs], q[b, h, :, None, pairs : 2 * pairs]
            k1, k2 = k[b, kv, None, :, :pairs], k[b, kv, None, :, pairs : 2 * pairs]
            rotated = np.cos(angle) * (q1 * k1 + q2 * k2) + np.sin(angle) * (q1 * k2 - q2 * k1)
            score = rotated.sum(-1) * frequencies.factor**2
            score = score + q[b, h, :, 2 * pairs :] @ k[b, kv, :, 2 * pairs :].T
            score = score * scale
            if softcap is not None:
                score = softcap * np.tanh(score / softcap)
            if bias is not None:
                score = score + bias[b % bias.shape[0], h % bias.shape[1]]
            for r in range(rows):
                if seen[r].any():
                    row = score[r, seen[r]]
                    weights = np.exp(row - row.max())
                    output[b, h, r] = weights / weights.sum() @ v[b, kv, seen[r]]
                    lse[b, h, r] = row.max() + np.log(weights.sum())
    return output, lse
