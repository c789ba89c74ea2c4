# Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Guards the numbers of whole models against Hugging Face's.

Hugging Face makes rotary angles in float32, which is wrong by more than our tolerance at far positions; its rotary
table is replaced by one made in float64 wherever a text is longer than 256 tokens.
"""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

TOLERANCE = 2e-4
SHAPE = dict(vocab_size=160, hidden_size=56, intermediate_size=96, num_hidden_layers=2, num_attention_heads=7,
             num_key_value_heads=1, max_position_embeddings=4096, initializer_range=0.3)
YARN = {"rope_type": "yarn", "rope_theta": 10000.0, "factor": 4.0, "original_max_position_embeddings": 1024}


def make(directory: Path, kind: str, dtype: torch.dtype = torch.float32, **changes: object) -> object:
    """A random model of `kind` in `directory`; returned in float32, with the weights that the file has."""
    torch.manual_seed(7)
    config_type, model_type = {
        "qwen2": (transformers.Qwen2Config, transformers.Qwen2ForCausalLM),
        "llama": (transformers.LlamaConfig, transformers.LlamaForCausalLM),
    }[kind]
    config = config_type(**{**SHAPE, **changes}, attn_implementation="eager")
    model = model_type(config).eval()
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.normal_(parameter, std=0.3)
    model.to(dtype).save_pretrained(directory)
    # Read anew: casting the model back would keep rotary frequencies rounded to 16 bits.
    return model_type.from_pretrained(directory, dtype=torch.float32, attn_implementation="eager").eval()


def rotary_in_float64(model: object) -> None:
    """Replaces the rotary table by one computed in float64."""
    embedding = model.model.rotary_emb
    factor = embedding.attention_scaling
    config = model.config
    dim = config.hidden_size // config.num_attention_heads
    theta = config.rope_parameters["rope_theta"]
    frequencies = theta ** (-torch.arange(0, dim, 2, dtype=torch.float64) / dim)
    if config.rope_parameters["rope_type"] == "yarn":
        # Pairs between 32 and 1 turns over the original length are interpolated by a ramp (YaRN, section 3.2).
        original, stretch = config.rope_parameters["original_max_position_embeddings"], config.rope_parameters["factor"]
        low, high = (dim * np.log(original / (turns * 2 * np.pi)) / (2 * np.log(theta)) for turns in (32, 1))
        low, high = max(np.floor(low), 0), min(np.ceil(high), dim - 1)
        ramp = ((torch.arange(dim // 2, dtype=torch.float64) - low) / (high - low)).clamp(0, 1)
        frequencies = frequencies / stretch * ramp + frequencies * (1 - ramp)
        assert (frequencies - embedding.inv_freq).abs().max() < 1e-6

    def forward(hidden: torch.Tensor, position_ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        angles = position_ids[..., None].double() * frequencies
        angles = torch.cat([angles, angles], -1)
        return (angles.cos() * factor).to(hidden.dtype), (angles.sin() * factor).to(hidden.dtype)

    embedding.forward = forward


def self_extend(model: object, group: int, window: int) -> None:
    """The simplest patch: scores of both rotations, chosen by distance, under one softmax."""
    embedding = model.model.rotary_emb
    module = __import__(type(model).__module__, fromlist=["rotate_half"])

    def rotate(x: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        cos, sin = embedding(x, positions[None])
        return x * cos[:, None] + module.rotate_half(x) * sin[:, None]

    for layer in model.model.layers:
        attention = layer.self_attn

        def forward(hidden_states: torch.Tensor, *_: object, attention: object = attention,
                    **__: object) -> tuple[torch.Tensor, None]:
            batch, length, _width = hidden_states.shape
            q, k, v = (projection(hidden_states).view(batch, length, -1, attention.head_dim).transpose(1, 2)
                       for projection in (attention.q_proj, attention.k_proj, attention.v_proj))
            repeat = q.shape[1] // k.shape[1]
            k, v = k.repeat_interleave(repeat, 1), v.repeat_interleave(repeat, 1)
            i = torch.arange(length)
            near = rotate(q, i) @ rotate(k, i).transpose(-1, -2)
            far = rotate(q, i // group + window - window // group) @ rotate(k, i // group).transpose(-1, -2)
            distance = i[:, None] - i[None, :]
            scores = torch.where(distance < window, near, far) * attention.scaling
            weights = scores.masked_fill(distance < 0, float("-inf")).softmax(-1)
            output = (weights @ v).transpose(1, 2).reshape(batch, length, -1)
            return attention.o_proj(output), None

        attention.forward = forward


def token_ids(length: int, batch: int = 1) -> np.ndarray:
    """Random ids [batch, length]."""
    return np.random.default_rng(length).integers(0, SHAPE["vocab_size"], (batch, length)).astype(np.int32)


def reference(model: object, ids: np.ndarray) -> np.ndarray:
    """Hugging Face's logits."""
    with torch.no_grad():
        return model(torch.from_numpy(ids).long()).logits.numpy()


CASES = [
    pytest.param("qwen2", torch.float32, {"tie_word_embeddings": True}, id="qwen2-tied"),
    pytest.param("qwen2", torch.bfloat16, {"num_attention_heads": 4, "num_key_value_heads": 2, "hidden_size": 64},
                 id="qwen2-untied-bf16"),
    pytest.param("qwen2", torch.float32, {"rope_parameters": YARN}, id="qwen2-yarn"),
    pytest.param("llama", torch.float16, {"tie_word_embeddings": False}, id="llama-f16"),
    pytest.param("llama", torch.float32, {"attention_bias": True, "mlp_bias": True, "tie_word_embeddings": True},
                 id="llama-biases-tied"),
]


@pytest.mark.parametrize(("kind", "dtype", "changes"), CASES)
def test_unpatched(rw: SimpleNamespace, tmp_path: Path, kind: str, dtype: torch.dtype, changes: dict) -> None:
    """Hugging Face as it is, up to 256 positions."""
    model = make(tmp_path, kind, dtype, **changes)
    ids = token_ids(256, batch=2)
    logits = rw.load(tmp_path).logits(ids)
    expected = reference(model, ids)
    assert np.abs(expected).max() > 3, "the logits must be of order 10 for the tolerance to mean something"
    assert np.abs(logits - expected).max() < TOLERANCE


@pytest.mark.parametrize(("kind", "dtype", "changes"), CASES)
def test_float64_rotary(rw: SimpleNamespace, tmp_path: Path, kind: str, dtype: torch.dtype, changes: dict) -> None:
    """Up to 1500 positions, with an exact rotary table."""
    model = make(tmp_path, kind, dtype, **changes)
    rotary_in_float64(model)
    ids = token_ids(1500)
    assert np.abs(rw.load(tmp_path).logits(ids) - reference(model, ids)).max() < TOLERANCE


def test_4096_positions(rw: SimpleNamespace, tmp_path: Path, record_property: object) -> None:
    """The whole trained length; the gap without the exact table is Hugging Face's float32 angles."""
    model = make(tmp_path, "qwen2")
    ids = token_ids(4096)
    logits = rw.load(tmp_path).logits(ids)
    unpatched = np.abs(logits - reference(model, ids)).max()
    rotary_in_float64(model)
    patched = np.abs(logits - reference(model, ids)).max()
    record_property("unpatched", float(unpatched))
    record_property("patched", float(patched))
    print(f"4096 positions: {patched:.2e} from the float64 table, {unpatched:.2e} from float32 angles")
    assert patched < TOLERANCE
    assert unpatched > 2 * patched


@pytest.mark.parametrize("kind", ["qwen2", "llama"])
@pytest.mark.parametrize(("group", "window"), [(4, 64), (7, 100), (3, 1)])
def test_self_extend(rw: SimpleNamespace, tmp_path: Path, kind: str, group: int, window: int) -> None:
    """SelfExtend against the simplest patch of Hugging Face's model."""
    model = make(tmp_path, kind)
    rotary_in_float64(model)
    self_extend(model, group, window)
    ids = token_ids(700, batch=2)
    logits = rw.load(tmp_path, position_map=rw.SelfExtend(group, window)).logits(ids)
    assert np.abs(logits - reference(model, ids)).max() < TOLERANCE


def test_the_patch_changes_something(rw: SimpleNamespace, tmp_path: Path) -> None:
    """The comparison above can fail: without the map the logits differ visibly."""
    model = make(tmp_path, "qwen2")
    rotary_in_float64(model)
    self_extend(model, 4, 64)
    ids = token_ids(700)
    assert np.abs(rw.load(tmp_path).logits(ids) - reference(model, ids)).max() > 0.1
