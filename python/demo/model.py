# Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A small Qwen2 in plain PyTorch.

Parameters carry the names that Hugging Face's Qwen2 gives them, so a state dict
is the checkpoint. How attention treats positions is the caller's: ``forward``
takes a function from unrotated (q, k, v) to the attention's output.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Attention = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(q [B, H, T, D], k [B, Hkv, T, D], v [B, Hkv, T, D]), none of them rotated, to
[B, H, T, D]."""


@dataclass(frozen=True)
class Config:
    """The architecture, in the words of Hugging Face's Qwen2 configuration."""

    vocab_size: int = 256
    hidden_size: int = 128
    num_hidden_layers: int = 4
    num_attention_heads: int = 4
    num_key_value_heads: int = 2
    head_dim: int = 32
    intermediate_size: int = 384
    max_position_embeddings: int = 256
    rope_theta: float = 500.0
    rms_norm_eps: float = 1e-6

    def to_json(self) -> str:
        """The whole config.json of a checkpoint."""
        rest = {
            "architectures": ["Qwen2ForCausalLM"],
            "model_type": "qwen2",
            "hidden_act": "silu",
            "attention_dropout": 0.0,
            "initializer_range": 0.02,
            "tie_word_embeddings": True,
            "use_cache": True,
            "use_sliding_window": False,
            "bos_token_id": None,
            "eos_token_id": None,
            "torch_dtype": "float32",
            # Not Hugging Face's: a token is a byte, so no tokenizer is needed.
            "ropewalk_vocabulary": "bytes",
        }
        return json.dumps(rest | asdict(self), indent=2) + "\n"

    @staticmethod
    def read(path: Path) -> Config:
        """Reads a config.json; keys that are not fields are ignored."""
        raw = json.loads(path.read_text())
        return Config(**{k: raw[k] for k in Config.__dataclass_fields__ if k in raw})


def rotary_table(positions: Tensor, config: Config, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    """cos and sin at integer ``positions`` [T], computed in float64: [T, D]."""
    dim = config.head_dim
    exponent = torch.arange(0, dim, 2, dtype=torch.float64) / dim
    angle = positions.double()[:, None] * config.rope_theta ** (-exponent)
    angle = torch.cat((angle, angle), -1)
    return angle.cos().to(dtype), angle.sin().to(dtype)


def rotate(x: Tensor, table: tuple[Tensor, Tensor]) -> Tensor:
    """Rotates x [..., T, D] by (cos, sin) [T, D]; pairs are (c, c + D/2)."""
    cos, sin = table
    low, high = x.chunk(2, -1)
    return x * cos + torch.cat((-high, low), -1) * sin


class RMSNorm(nn.Module):
    def __init__(self, size: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return self.weight * (x * torch.rsqrt(x.square().mean(-1, True) + self.eps))


class SelfAttention(nn.Module):
    def __init__(self, c: Config) -> None:
        super().__init__()
        self.config = c
        queries = c.num_attention_heads * c.head_dim
        keys = c.num_key_value_heads * c.head_dim
        self.q_proj = nn.Linear(c.hidden_size, queries)
        self.k_proj = nn.Linear(c.hidden_size, keys)
        self.v_proj = nn.Linear(c.hidden_size, keys)
        self.o_proj = nn.Linear(queries, c.hidden_size, bias=False)

    def forward(self, x: Tensor, attend: Attention) -> Tensor:
        def heads(y: Tensor) -> Tensor:
            return y.unflatten(-1, (-1, self.config.head_dim)).transpose(1, 2)

        y = attend(heads(self.q_proj(x)), heads(self.k_proj(x)), heads(self.v_proj(x)))
        return self.o_proj(y.transpose(1, 2).flatten(2))


class MLP(nn.Module):
    def __init__(self, c: Config) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(c.hidden_size, c.intermediate_size, bias=False)
        self.up_proj = nn.Linear(c.hidden_size, c.intermediate_size, bias=False)
        self.down_proj = nn.Linear(c.intermediate_size, c.hidden_size, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Layer(nn.Module):
    def __init__(self, c: Config) -> None:
        super().__init__()
        self.self_attn = SelfAttention(c)
        self.mlp = MLP(c)
        self.input_layernorm = RMSNorm(c.hidden_size, c.rms_norm_eps)
        self.post_attention_layernorm = RMSNorm(c.hidden_size, c.rms_norm_eps)

    def forward(self, x: Tensor, attend: Attention) -> Tensor:
        x = x + self.self_attn(self.input_layernorm(x), attend)
        return x + self.mlp(self.post_attention_layernorm(x))


class Decoder(nn.Module):
    def __init__(self, c: Config) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(c.vocab_size, c.hidden_size)
        self.layers = nn.ModuleList(Layer(c) for _ in range(c.num_hidden_layers))
        self.norm = RMSNorm(c.hidden_size, c.rms_norm_eps)


class Qwen2(nn.Module):
    """Qwen2ForCausalLM with tied embeddings."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.model = Decoder(config)

    def initialize(self, generator: torch.Generator) -> None:
        """Small random weights; what writes to the residual stream starts
        smaller still, by the number of writers."""
        writers = math.sqrt(2 * self.config.num_hidden_layers)
        with torch.no_grad():
            for name, p in self.named_parameters():
                if name.endswith("embed_tokens.weight"):
                    p.normal_(0, 0.02, generator=generator)
                elif name.endswith("proj.weight"):
                    std = 0.5 / math.sqrt(p.shape[1])
                    if name.endswith(("o_proj.weight", "down_proj.weight")):
                        std /= writers
                    p.normal_(0, std, generator=generator)
                elif name.endswith("bias"):
                    p.zero_()

    def forward(self, tokens: Tensor, attend: Attention) -> Tensor:
        """tokens int64 [B, T] to logits [B, T, vocab]."""
        x = self.model.embed_tokens(tokens)
        for layer in self.model.layers:
            x = layer(x, attend)
        return F.linear(self.model.norm(x), self.model.embed_tokens.weight)
