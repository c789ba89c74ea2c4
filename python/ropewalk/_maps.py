"""Position maps: which positions the rotation of queries and keys uses.

With i and j the positions of query and key, j <= i, a map cuts the keys of a
query into runs and says which positions rotate them there.
"""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import numpy as np

from ._arrays import integer_array


class PositionMap:
    """Base of all position maps.

    A parameter is an integer or, in `ropewalk.attention`, an array of integers: [B],
    one for each batch item, or [B, Hkv], one for each item and KV head (either axis
    may be 1).
    """

    def _parameters(self) -> dict[str, Any]:
        raise NotImplementedError

    def _text(self, values: dict[str, str]) -> str:
        """The attribute with the given texts as parameters."""
        raise NotImplementedError

    def open_text(self) -> str:
        """The attribute with `?` for every parameter that is given here."""
        return self._text(dict.fromkeys(self._parameters(), "?"))

    def constant_text(self) -> str:
        """The attribute with numbers. Raises ValueError where one is an array."""
        values = {}
        for name, value in self._parameters().items():
            array = integer_array(value, name)
            if array.size != 1:
                raise ValueError(
                    f"{name}: a model's map expects one number (maps may differ by layer), "
                    f"got shape {list(array.shape)}"
                )
            values[name] = str(int(array.reshape(())))
        return self._text(values)

    def operands(self, batch: int, kv_heads: int) -> dict[str, np.ndarray]:
        """Values of the parameters, each [B|1, Hkv|1] int64."""
        result = {}
        for name, value in self._parameters().items():
            array = integer_array(value, name)
            if array.ndim > 2:
                raise ValueError(f"{name}: expected a number, [B] or [B, Hkv], got shape {list(array.shape)}")
            if array.ndim == 0:
                array = array.reshape(1, 1)
            elif array.ndim == 1:
                array = array.reshape(-1, 1)
            if array.shape[0] not in (1, batch) or array.shape[1] not in (1, kv_heads):
                raise ValueError(
                    f"{name}: expected a number, [B] or [B, Hkv] with B = {batch} and Hkv = {kv_heads}, "
                    f"got shape {list(np.shape(value))}"
                )
            result[name] = np.ascontiguousarray(array)
        return result


def _check_minimum(name: str, value: Any, minimum: int) -> None:
    array = integer_array(value, name)
    if array.size == 0:
        raise ValueError(f"{name}: expected at least one value")
    if int(array.min()) < minimum:
        raise ValueError(f"{name}: expected at least {minimum}, got {int(array.min())}")


@dataclasses.dataclass(frozen=True, eq=False)
class Identity(PositionMap):
    """Plain rotary attention: (i, j)."""

    def _parameters(self) -> dict[str, Any]:
        return {}

    def _text(self, values: dict[str, str]) -> str:
        return "#rope.identity"


@dataclasses.dataclass(frozen=True, eq=False)
class SelfExtend(PositionMap):
    """The newest `window` keys at their positions, older ones in groups.

    i - j < window: (i, j), else (i // group + window - window // group, j // group).
    """

    group: Any
    window: Any

    def __post_init__(self) -> None:
        _check_minimum("group", self.group, 1)
        _check_minimum("window", self.window, 0)

    def _parameters(self) -> dict[str, Any]:
        return {"group": self.group, "window": self.window}

    def _text(self, values: dict[str, str]) -> str:
        return f"#rope.self_extend<group = {values['group']}, window = {values['window']}>"


@dataclasses.dataclass(frozen=True, eq=False)
class ReRoPE(PositionMap):
    """The newest `window` keys at their positions, older ones all `window` away."""

    window: Any

    def __post_init__(self) -> None:
        _check_minimum("window", self.window, 0)

    def _parameters(self) -> dict[str, Any]:
        return {"window": self.window}

    def _text(self, values: dict[str, str]) -> str:
        return f"#rope.rerope<window = {values['window']}>"


@dataclasses.dataclass(frozen=True, eq=False)
class Sliding(PositionMap):
    """The newest `window` keys and no others."""

    window: Any

    def __post_init__(self) -> None:
        _check_minimum("window", self.window, 0)

    def _parameters(self) -> dict[str, Any]:
        return {"window": self.window}

    def _text(self, values: dict[str, str]) -> str:
        return f"#rope.sliding<window = {values['window']}>"


class Segments(PositionMap):
    """The open form: segments from the newest keys to the oldest, written out.

    `text` is the attribute `#rope.segments<...>` or what stands between < and >:

        Segments("[group = ?, window = 64], from (i - window + 1) query (i) key (j), "
                 "from (0) query (i floordiv group + window - window floordiv group) key (j floordiv group)",
                 group=[4, 8])

    The parameters that are `?` in the text are keyword arguments here, with the
    shapes that PositionMap describes.
    """

    def __init__(self, text: str, **parameters: Any) -> None:
        text = text.strip()
        if not text.startswith("#"):
            text = f"#rope.segments<{text}>"
        self.text = text
        head = re.match(r"#rope\.segments<\s*\[([^\]]*)\]", text)
        declared = dict(re.findall(r"([A-Za-z_]\w*)\s*=\s*(\?|-?\d+)", head.group(1) if head else ""))
        wanted = [name for name, value in declared.items() if value == "?"]
        if sorted(wanted) != sorted(parameters):
            raise TypeError(
                f"expected values for the parameters that are ? in the text ({', '.join(wanted) or 'none'}), "
                f"got {', '.join(parameters) or 'none'}"
            )
        for name, value in parameters.items():
            integer_array(value, name)
        self._values = {name: parameters[name] for name in wanted}

    def __repr__(self) -> str:
        values = "".join(f", {name}={value!r}" for name, value in self._values.items())
        return f"Segments({self.text!r}{values})"

    def _parameters(self) -> dict[str, Any]:
        return self._values

    def _text(self, values: dict[str, str]) -> str:
        if not values:
            return self.text
        head = re.match(r"(#rope\.segments<\s*\[)([^\]]*)\]", self.text)
        assert head is not None
        inner = re.sub(
            r"([A-Za-z_]\w*)(\s*=\s*)\?", lambda match: match[1] + match[2] + values[match[1]], head.group(2)
        )
        return head.group(1) + inner + self.text[head.end() - 1 :]


def check_map(value: Any, name: str = "position_map") -> PositionMap:
    """`value`, if it is a position map. Raises TypeError."""
    if isinstance(value, PositionMap):
        return value
    raise TypeError(f"{name}: expected a position map such as ropewalk.SelfExtend(8, 1024), got {value!r}")
