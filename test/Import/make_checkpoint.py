#!/usr/bin/env python3
"""Writes a Hugging Face model directory for the tests of the importer.

The tensors have the names and shapes of the model type and no data: the file
is as long as its header says, but sparse, so that models of any size cost a few
kilobytes. This script lists the tensors on its own, from the state dictionaries
of the model classes, and shares nothing with the importer.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path

BYTES = {"F32": 4, "F16": 2, "BF16": 2, "F64": 8, "I8": 1, "F8_E4M3": 1}

TINY = {
    "vocab_size": 96,
    "hidden_size": 32,
    "intermediate_size": 80,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "hidden_act": "silu",
    "rms_norm_eps": 1e-6,
    "tie_word_embeddings": False,
}

SHAPES = {
    "tiny": TINY,
    "qwen2.5-7b": TINY
    | {
        "vocab_size": 152064,
        "hidden_size": 3584,
        "intermediate_size": 18944,
        "num_hidden_layers": 28,
        "num_attention_heads": 28,
        "num_key_value_heads": 4,
        "max_position_embeddings": 32768,
        "rope_theta": 1000000.0,
    },
}


def tensors(config: dict) -> dict[str, list[int]]:
    """Names and shapes ([out, in] for linear layers) of the weights."""
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    heads = config["num_attention_heads"]
    kv_heads = config.get("num_key_value_heads") or heads
    head_dim = config.get("head_dim") or hidden // heads
    llama = config["model_type"] == "llama"
    qkv_bias = config.get("attention_bias", False) if llama else True
    out_bias = llama and config.get("attention_bias", False)
    mlp_bias = llama and config.get("mlp_bias", False)
    result = {"model.embed_tokens.weight": [config["vocab_size"], hidden]}

    def linear(name: str, out: int, inputs: int, bias: bool) -> None:
        result[f"{name}.weight"] = [out, inputs]
        if bias:
            result[f"{name}.bias"] = [out]

    for layer in range(config["num_hidden_layers"]):
        prefix = f"model.layers.{layer}"
        result[f"{prefix}.input_layernorm.weight"] = [hidden]
        result[f"{prefix}.post_attention_layernorm.weight"] = [hidden]
        for name, out in (("q", heads), ("k", kv_heads), ("v", kv_heads)):
            linear(f"{prefix}.self_attn.{name}_proj", out * head_dim, hidden, qkv_bias)
        linear(f"{prefix}.self_attn.o_proj", hidden, heads * head_dim, out_bias)
        linear(f"{prefix}.mlp.gate_proj", inner, hidden, mlp_bias)
        linear(f"{prefix}.mlp.up_proj", inner, hidden, mlp_bias)
        linear(f"{prefix}.mlp.down_proj", hidden, inner, mlp_bias)
    result["model.norm.weight"] = [hidden]
    if not config.get("tie_word_embeddings"):
        result["lm_head.weight"] = [config["vocab_size"], hidden]
    return result


def write_safetensors(path: Path, entries: dict[str, tuple[str, list[int]]]) -> None:
    """Writes a header for name -> (dtype, shape) and a hole for the data."""
    header, offset = {}, 0
    for name, (dtype, shape) in entries.items():
        size = math.prod(shape) * BYTES[dtype]
        header[name] = {
            "dtype": dtype,
            "shape": shape,
            "data_offsets": [offset, offset + size],
        }
        offset += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + offset)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--type", default="qwen2", choices=("qwen2", "llama"))
    parser.add_argument("--shape", default="tiny", choices=SHAPES)
    parser.add_argument("--dtype", default="F32", choices=BYTES)
    parser.add_argument("--shards", type=int, default=1)
    parser.add_argument(
        "--config", default="{}", help="JSON object merged into config.json"
    )
    parser.add_argument(
        "--remove", default=[], action="append", help="key to leave out of config.json"
    )
    parser.add_argument(
        "--tensor",
        default=[],
        action="append",
        help="NAME=DTYPE:SHAPE adds or replaces a tensor, NAME= drops it",
    )
    arguments = parser.parse_args()

    config = SHAPES[arguments.shape] | {"model_type": arguments.type}
    config |= json.loads(arguments.config)
    entries = {
        name: (arguments.dtype, shape) for name, shape in tensors(config).items()
    }
    for change in arguments.tensor:
        name, _, value = change.partition("=")
        if value:
            dtype, _, shape = value.partition(":")
            entries[name] = (dtype, [int(size) for size in shape.split(",")])
        else:
            del entries[name]
    for key in arguments.remove:
        del config[key]

    directory = arguments.directory
    directory.mkdir(parents=True, exist_ok=True)
    for old in (*directory.glob("*.safetensors"), *directory.glob("*.json")):
        old.unlink()
    (directory / "config.json").write_text(json.dumps(config, indent=1))
    if arguments.shards == 1:
        write_safetensors(directory / "model.safetensors", entries)
        return
    names = list(entries)
    weight_map = {}
    for shard in range(arguments.shards):
        file = f"model-{shard + 1:05}-of-{arguments.shards:05}.safetensors"
        part = names[shard :: arguments.shards]
        write_safetensors(directory / file, {name: entries[name] for name in part})
        weight_map |= dict.fromkeys(part, file)
    index = {"metadata": {}, "weight_map": weight_map}
    (directory / "model.safetensors.index.json").write_text(json.dumps(index))


if __name__ == "__main__":
    main()
