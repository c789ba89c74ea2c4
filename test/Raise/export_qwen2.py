"""Exports a tiny Qwen2 model to linalg on tensors, for the tests of rope-raise-attention.

    python export_qwen2.py Inputs

writes ``qwen2_eager.mlir``, the graph exactly as the exporter prints it, and
``qwen2_eager.npz``: token ids, the names and shapes of the weights in the order
of the graph's arguments, and the logits that PyTorch computes. The weights
themselves are not stored: ``make_weights`` gives them again, bit for bit.

Needs torch 2.13, transformers 5.23 and torch-mlir 20261001; reading the files
back needs numpy only.

What the export takes care of:
- the weights are arguments of the graph (``torch.func.functional_call``), not
  constants of it;
- position ids and a mask of ones are passed inside the wrapper. With neither,
  transformers looks for packed sequences, and torch-mlir prints its cumulative
  sum as ``tm_tensor.scan``, which stock MLIR cannot parse;
- ``_non_persistent_buffers_set`` of every module is emptied after the export,
  or the importer does not find the rotary embedding's buffer;
- the inverse frequencies stay a constant of the graph, from which the
  compiler reads them.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

SEQUENCE = 20
VOCABULARY = 96
SEED = 20


def make_weights(names: list[str], shapes: list[tuple[int, ...]]) -> list[np.ndarray]:
    """Returns float32 weights for the given names and shapes, the same at every call.

    Norm weights lie in [0.5, 1.5); the others in [-0.35, 0.35), wide enough that attention
    is far from uniform and a wrong position shows in the logits. A legacy ``RandomState`` is
    used because its stream never changes between versions of numpy.
    """
    state = np.random.RandomState(SEED)
    weights = []
    for name, shape in zip(names, shapes, strict=True):
        values = state.uniform(-0.5, 0.5, shape)
        values = 1.0 + values if "norm" in name else 0.7 * values
        weights.append(values.astype(np.float32))
    return weights


def make_ids() -> np.ndarray:
    """Returns token ids, int64 of shape [1, SEQUENCE]."""
    return np.random.RandomState(SEED + 1).randint(0, VOCABULARY, (1, SEQUENCE))


def export(directory: Path) -> None:
    """Writes ``qwen2_eager.mlir`` and ``qwen2_eager.npz`` to ``directory``."""
    import torch
    from torch_mlir import fx
    from transformers import Qwen2Config, Qwen2ForCausalLM

    config = Qwen2Config(
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        intermediate_size=96,
        vocab_size=VOCABULARY,
        max_position_embeddings=64,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
        tie_word_embeddings=False,
        use_cache=False,
        attn_implementation="eager",
    )
    model = Qwen2ForCausalLM(config).eval()
    names = [name for name, _ in model.named_parameters()]
    shapes = [tuple(parameter.shape) for parameter in model.parameters()]
    weights = [torch.from_numpy(weight) for weight in make_weights(names, shapes)]
    ids = torch.from_numpy(make_ids())

    class Functional(torch.nn.Module):
        """The model as a function of the ids [1, S] and its weights."""

        def forward(self, ids: torch.Tensor, *weights: torch.Tensor) -> torch.Tensor:
            length = ids.shape[1]
            arguments = {
                "position_ids": torch.arange(length)[None],
                "attention_mask": torch.ones(1, length, dtype=torch.long),
            }
            parameters = dict(zip(names, weights, strict=True))
            return torch.func.functional_call(model, parameters, (ids,), arguments).logits

    with torch.no_grad():
        logits = Functional()(ids, *weights).numpy()
        program = torch.export.export(Functional(), (ids, *weights), strict=False)
    for module in program.graph_module.modules():
        if hasattr(module, "_non_persistent_buffers_set"):
            module._non_persistent_buffers_set.clear()
    graph = fx.export_and_import(program, output_type="linalg-on-tensors")

    directory.mkdir(parents=True, exist_ok=True)
    (directory / "qwen2_eager.mlir").write_text(str(graph))
    np.savez_compressed(
        directory / "qwen2_eager.npz",
        ids=ids.numpy(),
        names=np.array(names),
        shapes=np.array([" ".join(map(str, shape)) for shape in shapes]),
        logits=logits,
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("directory", type=Path, help="where the two files are written")
    export(parser.parse_args().directory)
