"""Numbers of a raised graph: torch-mlir's export of a tiny Qwen2, whose logits PyTorch computed.

Guards that rope-raise-attention changes no number, and that the raised graph is fit for what it
is raised for: another position map gives what a model with that map computes. The references are
PyTorch's logits (written by test/Raise/export_qwen2.py) and a float64 model in this file.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
BIN = ROOT / "build" / "bin"
INPUTS = ROOT / "test" / "Raise" / "Inputs"
sys.path.insert(0, str(ROOT / "test" / "Raise"))

from export_qwen2 import make_weights  # noqa: E402

HEADS, KV_HEADS, HEAD_DIM, THETA, EPSILON = 4, 2, 16, 10000.0, 1e-6
# float32 logits of size 2 after two layers; PyTorch differs from the float64 model by 2e-6.
TOLERANCE = 2e-5


class Model:
    """The stored export: its graph, inputs and PyTorch's logits."""

    def __init__(self) -> None:
        stored = np.load(INPUTS / "qwen2_eager.npz")
        self.ids: np.ndarray = stored["ids"]  # [1, S], int64
        self.logits: np.ndarray = stored["logits"]  # [1, S, V]
        self.names: list[str] = stored["names"].tolist()
        shapes = [tuple(map(int, shape.split())) for shape in stored["shapes"]]
        self.weights = dict(zip(self.names, make_weights(self.names, shapes), strict=True))

    def graph(self) -> str:
        """Returns the exported graph with its arguments and its result named.

        The two range checks of the embedding are left out: code for them calls puts and abort,
        which compiled graphs are not linked to.
        """
        text = (INPUTS / "qwen2_eager.mlir").read_text()
        text, count = re.subn(r"\n *cf\.assert [^\n]*", "", text)
        assert count == 2
        names = ["ids", *self.names]
        text, count = re.subn(
            r"%arg(\d+): (tensor<[^>]*>)(?=[,)])",
            lambda match: f'%arg{match[1]}: {match[2]} {{rope.name = "{names[int(match[1])]}"}}',
            text,
        )
        assert count == len(names)
        text, count = re.subn(r"\) -> (tensor<1x20x96xf32>) \{", r') -> (\1 {rope.name = "logits"}) {', text)
        assert count == 1
        return text


@pytest.fixture(scope="module")
def model() -> Model:
    return Model()


def transform(text: str, *passes: str) -> str:
    """Returns the graph after ``passes``."""
    process = subprocess.run(
        [BIN / "ropewalk-opt", *passes], input=text, capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, process.stderr
    return process.stdout


def execute(text: str, model: Model, directory: Path, *options: str) -> np.ndarray:
    """Runs the graph on the model's ids and weights; returns its logits [1, S, V]."""
    (directory / "graph.mlir").write_text(text)
    command = [BIN / "ropewalk", "execute", directory / "graph.mlir", "--threads", "1"]
    for name, array in {"ids": model.ids, **model.weights}.items():
        np.save(directory / f"{name}.npy", array)
        command += ["--in", f"{name}={directory / name}.npy"]
    command += ["--out", directory / "out", *options]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr
    return np.load(directory / "out" / "logits.npy")


def rotate(x: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Rotates x [H, S, D], halves paired, at positions [S]."""
    half = x.shape[-1] // 2
    angle = positions[:, None] * THETA ** (-2.0 * np.arange(half) / x.shape[-1])
    low, high = x[..., :half], x[..., half:]
    return np.concatenate(
        [low * np.cos(angle) - high * np.sin(angle), high * np.cos(angle) + low * np.sin(angle)], axis=-1
    )


def reference(model: Model, group: int, window: int) -> np.ndarray:
    """Logits [1, S, V] in float64 of a Qwen2 with SelfExtend, from its definition.

    A key fewer than ``window`` positions back is seen at its true distance, an older one at
    i // G + w - w // G - j // G.
    """
    weights = {name: weight.astype(np.float64) for name, weight in model.weights.items()}

    def linear(x: np.ndarray, name: str) -> np.ndarray:
        return x @ weights[name + ".weight"].T + weights.get(name + ".bias", 0.0)

    def norm(x: np.ndarray, name: str) -> np.ndarray:
        return x / np.sqrt((x * x).mean(-1, keepdims=True) + EPSILON) * weights[name + ".weight"]

    def split(x: np.ndarray, heads: int) -> np.ndarray:
        return x.reshape(len(x), heads, HEAD_DIM).transpose(1, 0, 2)

    x = weights["model.embed_tokens.weight"][model.ids[0]]
    length = len(x)
    near = np.arange(length)
    distance = near[:, None] - near[None, :]
    for layer in range(2):
        prefix = f"model.layers.{layer}."
        y = norm(x, prefix + "input_layernorm")
        q = split(linear(y, prefix + "self_attn.q_proj"), HEADS)
        k = split(linear(y, prefix + "self_attn.k_proj"), KV_HEADS).repeat(HEADS // KV_HEADS, 0)
        v = split(linear(y, prefix + "self_attn.v_proj"), KV_HEADS).repeat(HEADS // KV_HEADS, 0)
        exact = rotate(q, near) @ rotate(k, near).transpose(0, 2, 1)
        far = near // group + window - window // group
        grouped = rotate(q, far) @ rotate(k, near // group).transpose(0, 2, 1)
        scores = np.where(distance < window, exact, grouped) / np.sqrt(HEAD_DIM)
        scores = np.where(distance >= 0, scores, -np.inf)
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        scores /= scores.sum(-1, keepdims=True)
        x = x + linear((scores @ v).transpose(1, 0, 2).reshape(length, -1), prefix + "self_attn.o_proj")
        y = norm(x, prefix + "post_attention_layernorm")
        gate = linear(y, prefix + "mlp.gate_proj")
        gate = gate / (1.0 + np.exp(-gate))
        x = x + linear(gate * linear(y, prefix + "mlp.up_proj"), prefix + "mlp.down_proj")
    return linear(norm(x, "model.norm"), "lm_head")[None]


def test_reference_is_pytorch(model: Model) -> None:
    """The float64 model with a window longer than the text is what PyTorch computes."""
    np.testing.assert_allclose(reference(model, 4, 20), model.logits, atol=TOLERANCE, rtol=0)


def test_exported_graph(model: Model, tmp_path: Path) -> None:
    """Without raising, the export runs and gives PyTorch's logits."""
    np.testing.assert_allclose(execute(model.graph(), model, tmp_path), model.logits, atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("options", [[], ["--definition"]], ids=["tiled", "definition"])
def test_raised_graph(model: Model, tmp_path: Path, options: list[str]) -> None:
    """Raised, both layers are rope.attention and the logits are PyTorch's."""
    raised = transform(model.graph(), "--rope-raise-attention")
    assert raised.count("rope.attention #rope.identity") == 2
    logits = execute(raised, model, tmp_path, *options)
    np.testing.assert_allclose(logits, model.logits, atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("before", ["--linalg-fuse-elementwise-ops", "--linalg-fold-unit-extent-dims"])
def test_raised_after_other_passes(model: Model, tmp_path: Path, before: str) -> None:
    """Raised from a graph that other passes have rewritten, the logits are PyTorch's."""
    raised = transform(model.graph(), before, "--rope-raise-attention")
    assert raised.count("rope.attention #rope.identity") == 2
    logits = execute(raised, model, tmp_path)
    np.testing.assert_allclose(logits, model.logits, atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("group, window", [(4, 20), (3, 64)])
def test_extended_beyond_the_text(model: Model, tmp_path: Path, group: int, window: int) -> None:
    """With a window that covers the text, SelfExtend changes no logit."""
    extend = f"--rope-extend=map=#rope.self_extend<group={group},window={window}>"
    extended = transform(model.graph(), "--rope-raise-attention", extend)
    assert extended.count("#rope.self_extend") > 0
    logits = execute(extended, model, tmp_path)
    np.testing.assert_allclose(logits, model.logits, atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("group, window", [(4, 8), (2, 5), (3, 1), (1, 6)])
def test_extended(model: Model, tmp_path: Path, group: int, window: int) -> None:
    """With a shorter window, the logits are those of SelfExtend, and not PyTorch's."""
    extend = f"--rope-extend=map=#rope.self_extend<group={group},window={window}>"
    extended = transform(model.graph(), "--rope-raise-attention", extend)
    logits = execute(extended, model, tmp_path)
    expected = reference(model, group, window)
    np.testing.assert_allclose(logits, expected, atol=TOLERANCE, rtol=0)
    changed = np.abs(expected - model.logits).max()
    assert (changed > 100 * TOLERANCE) == (group > 1)
