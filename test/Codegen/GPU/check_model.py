"""Runs a whole tiny model on the emulator and compares logits with numpy in float64.

Random weights in f32, bf16 or f16; the reference reads the same rounded weights and
computes everything in float64. Sizes are chosen to leave partial tiles everywhere.
Prefill of an uneven batch, then a chunk, then single tokens, under a map and without.
Usage: check_model.py SOURCE_ROOT TARGET DIRECTORY
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

VOCABULARY, HIDDEN, INNER, LAYERS = 101, 72, 100, 2
# Query heads, KV heads and head dimension by type of weights.
HEADS, KV_HEADS, SIZE = 0, 0, 0
ATTENTION = {"F32": (6, 2, 24), "BF16": (7, 1, 64), "F16": (4, 2, 128)}
THETA, EPSILON = 10000.0, 1e-5
GROUP, WINDOW = 3, 7


def shapes() -> dict[str, tuple[int, ...]]:
    """Names and shapes of the weights, [out, in] for linear layers."""
    result: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (VOCABULARY, HIDDEN)}
    for layer in range(LAYERS):
        prefix = f"model.layers.{layer}."
        for name, out in (("q", HEADS * SIZE), ("k", KV_HEADS * SIZE), ("v", KV_HEADS * SIZE)):
            result[prefix + f"self_attn.{name}_proj.weight"] = (out, HIDDEN)
            result[prefix + f"self_attn.{name}_proj.bias"] = (out,)
        result[prefix + "self_attn.o_proj.weight"] = (HIDDEN, HEADS * SIZE)
        result[prefix + "mlp.gate_proj.weight"] = (INNER, HIDDEN)
        result[prefix + "mlp.up_proj.weight"] = (INNER, HIDDEN)
        result[prefix + "mlp.down_proj.weight"] = (HIDDEN, INNER)
        result[prefix + "input_layernorm.weight"] = (HIDDEN,)
        result[prefix + "post_attention_layernorm.weight"] = (HIDDEN,)
    result["model.norm.weight"] = (HIDDEN,)
    result["lm_head.weight"] = (VOCABULARY, HIDDEN)
    return result


def write(directory: Path, dtype: str) -> dict[str, np.ndarray]:
    """Writes a checkpoint; returns its weights as float64."""
    rng = np.random.default_rng(3)
    directory.mkdir(parents=True, exist_ok=True)
    config = {
        "model_type": "qwen2", "vocab_size": VOCABULARY, "hidden_size": HIDDEN, "intermediate_size": INNER,
        "num_hidden_layers": LAYERS, "num_attention_heads": HEADS, "num_key_value_heads": KV_HEADS,
        "head_dim": SIZE, "max_position_embeddings": 4096, "hidden_act": "silu", "rms_norm_eps": EPSILON,
        "rope_theta": THETA, "tie_word_embeddings": False,
    }
    (directory / "config.json").write_text(json.dumps(config))
    header, body, weights, offset = {}, [], {}, 0
    for name, shape in shapes().items():
        x = rng.standard_normal(shape).astype(np.float32)
        x = 1 + 0.1 * x if "norm" in name else x * (0.3 if len(shape) == 1 else 1.3 / np.sqrt(shape[-1]))
        x = x.astype(np.float32)
        if dtype == "BF16":
            bits = x.view(np.uint32)
            raw = ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)
            weights[name] = (raw.astype(np.uint32) << 16).view(np.float32).astype(np.float64)
        elif dtype == "F16":
            raw = x.astype(np.float16)
            weights[name] = raw.astype(np.float64)
        else:
            raw = x
            weights[name] = x.astype(np.float64)
        data = raw.tobytes()
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [offset, offset + len(data)]}
        offset += len(data)
        body.append(data)
    text = json.dumps(header).encode()
    (directory / "model.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + b"".join(body))
    return weights


def rotate(x: np.ndarray, position: np.ndarray) -> np.ndarray:
    half = SIZE // 2
    angle = position[..., None] * THETA ** (-2.0 * np.arange(half) / SIZE)
    return np.concatenate(
        [x[..., :half] * np.cos(angle) - x[..., half:] * np.sin(angle),
         x[..., half:] * np.cos(angle) + x[..., :half] * np.sin(angle)], -1)


def norm(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + EPSILON) * weight


def forward(w: dict[str, np.ndarray], ids: np.ndarray, extended: bool) -> np.ndarray:
    """ids [S] to logits [S, V]."""
    count = len(ids)
    i, j = np.arange(count)[:, None], np.arange(count)[None, :]
    i, j = np.broadcast_arrays(i, j)
    near = (i - j < WINDOW) | (not extended)
    at_q = np.where(near, i, i // GROUP + WINDOW - WINDOW // GROUP)
    at_k = np.where(near, j, j // GROUP)
    x = w["model.embed_tokens.weight"][ids]
    for layer in range(LAYERS):
        p = f"model.layers.{layer}."
        n = norm(x, w[p + "input_layernorm.weight"])
        q, k, v = (
            (n @ w[p + f"self_attn.{name}_proj.weight"].T + w[p + f"self_attn.{name}_proj.bias"]).reshape(count, -1, SIZE)
            for name in "qkv"
        )
        heads = []
        for h in range(HEADS):
            g = h // (HEADS // KV_HEADS)
            turned_q = rotate(np.broadcast_to(q[:, None, h], (count, count, SIZE)), at_q)
            turned_k = rotate(np.broadcast_to(k[None, :, g], (count, count, SIZE)), at_k)
            score = np.where(j <= i, (turned_q * turned_k).sum(-1) / np.sqrt(SIZE), -np.inf)
            weight = np.exp(score - score.max(-1, keepdims=True))
            heads.append(weight / weight.sum(-1, keepdims=True) @ v[:, g])
        x = x + np.concatenate(heads, -1) @ w[p + "self_attn.o_proj.weight"].T
        n = norm(x, w[p + "post_attention_layernorm.weight"])
        gate = n @ w[p + "mlp.gate_proj.weight"].T
        up = n @ w[p + "mlp.up_proj.weight"].T
        x = x + (gate / (1 + np.exp(-gate)) * up) @ w[p + "mlp.down_proj.weight"].T
    return norm(x, w["model.norm.weight"]) @ w["lm_head.weight"].T


def main() -> None:
    global HEADS, KV_HEADS, SIZE
    source, target, directory = sys.argv[1], "emulate:" + sys.argv[2], Path(sys.argv[3])
    sys.path.insert(0, source + "/python")
    import ropewalk

    rng = np.random.default_rng(5)
    worst = 0.0

    def compare(got: np.ndarray, want: np.ndarray, what: str) -> None:
        nonlocal worst
        error = np.abs(got - want).max() / np.abs(want).max()
        assert error < 5e-6, (what, error)
        worst = max(worst, error)

    def tokens(count: int) -> np.ndarray:
        return rng.integers(0, VOCABULARY, count)

    for dtype, (HEADS, KV_HEADS, SIZE) in ATTENTION.items():
        model_directory = directory / dtype
        weights = write(model_directory, dtype)
        for extended in (True, False):
            position_map = ropewalk.SelfExtend(GROUP, WINDOW) if extended else None
            with ropewalk.load(model_directory, position_map=position_map, target=target, capacity=8) as model:
                rows = [tokens(67), tokens(31)]
                got = model.logits([list(map(int, row)) for row in rows])
                for index, row in enumerate(rows):
                    compare(np.asarray(got[index])[: len(row)], forward(weights, row, extended), f"{dtype} batch")
                # The batch goes on by one token: the shorter row is padded on the left.
                more = [np.append(row, tokens(1)) for row in rows]
                got = model.append([[int(row[-1])] for row in more], rows="all")
                for index, row in enumerate(more):
                    compare(np.asarray(got[index]), forward(weights, row, extended)[-1:], f"{dtype} padded")
                # Long enough for several parts of the keys.
                ids = tokens(273)
                want = forward(weights, ids, extended)
                model.truncate()
                start = 0
                for chunk in (259, 10, *[1] * 4):
                    got = model.append([list(map(int, ids[start : start + chunk]))], rows="all")
                    compare(np.asarray(got)[0], want[start : start + chunk], f"{dtype} at {start}")
                    start += chunk
    print(f"logits agree on {target}, largest relative error {worst:.1e}")


main()
