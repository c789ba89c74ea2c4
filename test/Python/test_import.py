"""The imported graph against the Hugging Face model it was imported from.

Guards the graph of lib/Import (norms, biases, grouped heads, YaRN, tied
embeddings, cache and offsets) and the arguments that rope-extend adds. The
models are tiny, with random weights, and saved by transformers itself.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the reference is a PyTorch model")
transformers = pytest.importorskip(
    "transformers", reason="the reference is a Hugging Face model"
)

BIN = Path(os.environ.get("ROPEWALK_BUILD", "build")).absolute() / "bin"
BATCH, LENGTH, CHUNK, CAPACITY, PADDING = 2, 17, 11, 32, 3

SIZES = {
    "vocab_size": 61,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "rms_norm_eps": 1e-5,
    "initializer_range": 0.3,
    "attn_implementation": "eager",
}
YARN = {
    "rope_type": "yarn",
    "rope_theta": 500.0,
    "factor": 4.0,
    "original_max_position_embeddings": 16,
}
CASES = {
    "qwen2-tied": ("qwen2", {"tie_word_embeddings": True}),
    "qwen2-yarn": ("qwen2", {"rope_parameters": YARN}),
    "llama": ("llama", {"num_key_value_heads": 4}),
    "llama-biases-head-dim": (
        "llama",
        {"attention_bias": True, "mlp_bias": True, "head_dim": 16},
    ),
}


def make_model(case: str, directory: Path):
    """Saves the case's model in `directory` and returns it, in float32."""
    kind, changes = CASES[case]
    torch.manual_seed(7)
    config = transformers.AutoConfig.for_model(kind, **(SIZES | changes))
    model = transformers.AutoModelForCausalLM.from_config(
        config, dtype=torch.float32
    ).eval()
    with torch.no_grad():
        for name, tensor in model.named_parameters():
            if name.endswith("bias"):
                tensor.normal_(0.0, 0.5)
            elif "norm" in name:
                tensor.uniform_(0.5, 1.5)
    model.save_pretrained(directory)
    return model


def import_graph(directory: Path) -> Path:
    """The MLIR file of the model in `directory`."""
    graph = directory / "model.mlir"
    subprocess.run([BIN / "ropewalk", "import", directory, "-o", graph], check=True)
    return graph


class Graph:
    """An imported graph with the caches of one batch."""

    def __init__(self, graph: Path, model, scratch: Path) -> None:
        self.graph, self.scratch = graph, scratch
        scratch.mkdir()
        config = model.config
        head_dim = getattr(config, "head_dim", None) or (
            config.hidden_size // config.num_attention_heads
        )
        shape = (BATCH, config.num_key_value_heads, CAPACITY, head_dim)
        self.inputs = {
            name: tensor.detach().numpy() for name, tensor in model.state_dict().items()
        }
        if config.tie_word_embeddings:
            del self.inputs["lm_head.weight"]
        self.caches = [
            f"layers.{layer}.{kind}_cache"
            for layer in range(config.num_hidden_layers)
            for kind in ("key", "value")
        ]
        # What stands in free slots must not matter.
        self.inputs |= {
            name: np.full(shape, 1e3, dtype=np.float32) for name in self.caches
        }

    def run(self, ids: np.ndarray, offset: int, **more: np.ndarray) -> np.ndarray:
        """Logits [B, S, V] for ids [B, S] in the slots from `offset` on."""
        inputs = self.inputs | {
            "ids": ids.astype(np.int32),
            "query_offset": np.full(BATCH, offset, dtype=np.int64),
            "position_offset": np.zeros(BATCH, dtype=np.int64),
        }
        inputs |= more
        command = [BIN / "ropewalk", "execute", self.graph, "--definition"]
        for name, array in inputs.items():
            file = self.scratch / f"{name}.npy"
            np.save(file, np.ascontiguousarray(array))
            command += ["--in", f"{name}={file}"]
        out = self.scratch / "out"
        subprocess.run([*command, "--threads", "1", "--out", out], check=True)
        for name in self.caches:
            self.inputs[name] = np.load(out / f"{name}.npy")
        return np.load(out / "logits.npy")

    def run_in_parts(self, ids: np.ndarray, **more: np.ndarray) -> np.ndarray:
        """Logits of a chunk from the start, a chunk after it and one token."""
        cuts = (0, CHUNK, LENGTH - 1, LENGTH)
        parts = [
            self.run(ids[:, begin:end], begin, **more)
            for begin, end in zip(cuts, cuts[1:])
        ]
        return np.concatenate(parts, axis=1)


def random_ids(model) -> np.ndarray:
    """Token ids [B, LENGTH]."""
    generator = np.random.default_rng(3)
    return generator.integers(0, model.config.vocab_size, (BATCH, LENGTH))


@pytest.mark.parametrize("case", CASES)
def test_logits(case: str, tmp_path: Path) -> None:
    """Chunks and decode give the logits of the whole sequence at once."""
    model = make_model(case, tmp_path / "model")
    ids = random_ids(model)
    graph = Graph(import_graph(tmp_path / "model"), model, tmp_path / "run")
    got = graph.run_in_parts(ids)
    with torch.no_grad():
        expected = model(torch.tensor(ids)).logits.numpy()
    assert expected.std() > 0.3
    np.testing.assert_allclose(got, expected, atol=2e-4, rtol=2e-4)


def test_left_padding(tmp_path: Path) -> None:
    """A negative position_offset is left padding: earlier slots do not count."""
    model = make_model("qwen2-tied", tmp_path / "model")
    ids = random_ids(model)
    graph = Graph(import_graph(tmp_path / "model"), model, tmp_path / "run")
    shift = np.array([0, -PADDING], dtype=np.int64)
    got = graph.run_in_parts(ids, position_offset=shift)
    with torch.no_grad():
        whole = model(torch.tensor(ids[:1])).logits.numpy()
        short = model(torch.tensor(ids[1:, PADDING:])).logits.numpy()
    np.testing.assert_allclose(got[:1], whole, atol=2e-4, rtol=2e-4)
    np.testing.assert_allclose(got[1:, PADDING:], short, atol=2e-4, rtol=2e-4)


def test_extended_parameters(tmp_path: Path) -> None:
    """Run-time parameters, one per batch item, mean what constants mean.

    Item 0 gets group 1, which is plain attention, so Hugging Face's logits;
    item 1 gets group 4, so the logits of the graph with 4 in the attribute.
    """
    model = make_model("qwen2-tied", tmp_path / "model")
    ids = random_ids(model)
    plain = import_graph(tmp_path / "model")

    def extend(name: str, options: str) -> Graph:
        output = tmp_path / f"{name}.mlir"
        option = f"--rope-extend=method=self_extend {options}"
        subprocess.run(
            [BIN / "ropewalk-opt", plain, option, "-o", output], check=True
        )
        return Graph(output, model, tmp_path / name)

    values = 'values="group = 4, window = 6"'
    constant = extend("constant", values).run(ids, 0)
    runtime = extend("runtime", values + " parameters=runtime").run(
        ids,
        0,
        **{
            "map.group": np.array([[1], [4]], dtype=np.int64),
            "map.window": np.array([[6]], dtype=np.int64),
        },
    )
    with torch.no_grad():
        expected = model(torch.tensor(ids)).logits.numpy()
    np.testing.assert_allclose(runtime[0], expected[0], atol=2e-4, rtol=2e-4)
    np.testing.assert_allclose(runtime[1], constant[1], atol=1e-5, rtol=1e-5)
    assert np.abs(constant[1] - expected[1]).max() > 1e-2
