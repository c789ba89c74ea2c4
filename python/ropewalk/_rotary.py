"""Rotary embeddings: frequencies and their scaling."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

_YARN_KEYS = {
    "factor",
    "original_max_position_embeddings",
    "attention_factor",
    "beta_fast",
    "beta_slow",
    "mscale",
    "mscale_all_dim",
    "truncate",
}


def number(value: float) -> str:
    """A number as MLIR writes it: with a point."""
    text = repr(float(value))
    mantissa, mark, exponent = text.partition("e")
    return (mantissa if "." in mantissa else mantissa + ".0") + mark + exponent


def _finite(name: str, value: Any, minimum: float = 0.0, strict: bool = True) -> float:
    good = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    if not good or value < minimum or (strict and value == minimum):
        bound = f"greater than {minimum:g}" if strict else f"of at least {minimum:g}"
        raise ValueError(f"{name}: expected a finite number {bound}, got {value!r}")
    return float(value)


@dataclasses.dataclass(frozen=True)
class Rotary:
    """A rotary embedding.

    Pair c of a head is rotated by p * theta ** (-2 c / dim) at position p, changed by
    `scaling`.

    theta: base of the frequencies.
    dim: how many dimensions of a head are rotated; default: all of them.
    layout: "half", pairs (c, c + dim / 2).
    scaling: what Hugging Face calls rope_parameters (or rope_scaling), with rope_type
        "default" or "yarn". rope_theta in it must agree with `theta`.
    trained_length: the length that scaling starts from where `scaling` does not say
        original_max_position_embeddings.
    query_scale: scaling of queries by their position is not supported.
    """

    theta: float
    dim: int | None = None
    layout: str = "half"
    scaling: Mapping[str, Any] | None = None
    trained_length: int | None = None
    query_scale: Any = None

    def __post_init__(self) -> None:
        _finite("theta", self.theta)
        if self.dim is not None and (not isinstance(self.dim, int) or self.dim < 2 or self.dim % 2):
            raise ValueError(f"dim: expected an even integer of at least 2, got {self.dim!r}")
        if self.layout != "half":
            raise NotImplementedError(f"layout: only 'half' is supported, got {self.layout!r}")
        if self.query_scale is not None:
            raise NotImplementedError(
                f"query_scale: scaling of queries by their position is not supported, got {self.query_scale!r}"
            )
        if self.trained_length is not None and (not isinstance(self.trained_length, int) or self.trained_length < 1):
            raise ValueError(f"trained_length: expected an integer of at least 1, got {self.trained_length!r}")
        self._scaling_text()

    def _scaling_text(self) -> str | None:
        """The scaling attribute, or None."""
        if self.scaling is None:
            return None
        if not isinstance(self.scaling, Mapping):
            raise TypeError(f"scaling: expected a dictionary like rope_parameters, got {self.scaling!r}")
        keys = {key: value for key, value in self.scaling.items() if value is not None}
        kinds = {keys.pop(key) for key in ("rope_type", "type") if key in keys}
        if len(kinds) > 1:
            raise ValueError(f"scaling: rope_type and type differ: {sorted(map(str, kinds))}")
        kind = kinds.pop() if kinds else "default"
        theta = keys.pop("rope_theta", self.theta)
        if theta != self.theta:
            raise ValueError(f"scaling: rope_theta is {theta!r}, but theta is {self.theta!r}")
        if kind not in ("default", "yarn"):
            raise NotImplementedError(f"scaling: rope_type 'default' and 'yarn' are supported, got {kind!r}")
        unknown = sorted(set(keys) - (_YARN_KEYS if kind == "yarn" else set()))
        if unknown:
            raise ValueError(f"scaling: unknown key {unknown[0]!r} for rope_type {kind!r}")
        if kind == "default":
            return None
        return self._yarn_text(keys)

    def _yarn_text(self, keys: dict[str, Any]) -> str:
        if "factor" not in keys:
            raise ValueError("scaling: expected the key 'factor'")
        factor = _finite("scaling: factor", keys["factor"], 1.0, strict=False)
        original = keys.get("original_max_position_embeddings", self.trained_length)
        if original is None:
            raise ValueError("scaling: expected the key 'original_max_position_embeddings', or trained_length")
        if not isinstance(original, int) or original < 1:
            raise ValueError(
                f"scaling: original_max_position_embeddings: expected an integer of at least 1, got {original!r}"
            )
        attention_factor = keys.get("attention_factor")
        if attention_factor is None:
            # As Hugging Face has it: with both, their ratio; otherwise the usual temperature.
            def temperature(scale: float) -> float:
                return 0.1 * scale * math.log(factor) + 1.0 if factor > 1 else 1.0

            both = keys.get("mscale") and keys.get("mscale_all_dim")
            attention_factor = (
                temperature(keys["mscale"]) / temperature(keys["mscale_all_dim"]) if both else temperature(1.0)
            )
        attention_factor = _finite("scaling: attention_factor", attention_factor)
        fast = _finite("scaling: beta_fast", keys.get("beta_fast", 32.0))
        slow = _finite("scaling: beta_slow", keys.get("beta_slow", 1.0))
        truncate = keys.get("truncate", True)
        if not isinstance(truncate, bool):
            raise TypeError(f"scaling: truncate: expected true or false, got {truncate!r}")
        return (
            f"#rope.yarn<factor = {number(factor)}, original = {original}, beta_fast = {number(fast)}, "
            f"beta_slow = {number(slow)}, attention_factor = {number(attention_factor)}, "
            f"truncate = {'true' if truncate else 'false'}>"
        )

    def text(self, head_dim: int) -> str:
        """The attribute, for heads of `head_dim`. Raises ValueError."""
        dim = head_dim if self.dim is None else self.dim
        if dim > head_dim:
            raise ValueError(f"rotary: dim is {dim}, but heads have only {head_dim} dimensions")
        if dim % 2:
            raise ValueError(f"rotary: heads of {head_dim} dimensions have no pairs; give an even dim")
        scaling = self._scaling_text()
        suffix = f", scaling = {scaling}" if scaling else ""
        return f"#rope.rotary<theta = {number(self.theta)}, dim = {dim}{suffix}>"
