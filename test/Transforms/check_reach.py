"""Compares rope-extend's statements about maps with every pair of positions.

Each map is written twice: as an attribute, and here as a function of the pair
(query i, key j) from the published definition of the method. From the second
follow, by brute force, the largest relative position at a length and whether
the map is plain rotary attention at a length; the compiler's remark and refusal
must say the same.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction

# (i, j) -> relative position, or None where the key is not seen.
Relative = Callable[[int, int], Fraction | int | None]


def self_extend(group: int, window: int) -> Relative:
    """Floor positions beyond the window, shifted to join it."""

    def relative(i: int, j: int) -> int:
        if i - j < window:
            return i - j
        return i // group - j // group + window - window // group

    return relative


def rerope(window: int) -> Relative:
    """Distances are cut off at the window."""
    return lambda i, j: min(i - j, window)


def leaky_rerope(window: int, factor: int) -> Relative:
    """Distances beyond the window grow by 1 / factor."""

    def relative(i: int, j: int) -> Fraction | int:
        d = i - j
        return d if d < window else window + Fraction(d - window, factor)

    return relative


def sliding(window: int) -> Relative:
    """The newest keys."""
    return lambda i, j: i - j if i - j < window else None


def lm_infinite(sinks: int, window: int, limit: int) -> Relative:
    """The newest keys and the first ones."""

    def relative(i: int, j: int) -> int | None:
        if i - j < window:
            return i - j
        return min(i - j, limit) if j < sinks else None

    return relative


def dual_chunk(stride: int, chunk: int) -> Relative:
    """Positions start anew in each chunk; the chunk before is continued."""

    def relative(i: int, j: int) -> int:
        apart = i // stride - j // stride
        if apart == 0:
            return i - j
        if apart == 1:
            return min(i % stride + stride, chunk) - j % stride
        return min(2 * stride - 1, chunk) - j % stride

    return relative


def falling_keys(i: int, j: int) -> int | None:
    """Four keys, of which the smallest position is not always the first."""
    return i + 8 - j % 6 if i - j < 4 else None


MAPS: list[tuple[str, Relative]] = [
    ("#rope.self_extend<group = 4, window = 16>", self_extend(4, 16)),
    ("#rope.self_extend<group = 5, window = 13>", self_extend(5, 13)),
    ("#rope.self_extend<group = 1, window = 7>", self_extend(1, 7)),
    ("#rope.self_extend<group = 3, window = 0>", self_extend(3, 0)),
    ("#rope.rerope<window = 12>", rerope(12)),
    ("#rope.sliding<window = 9>", sliding(9)),
    ("#rope.sliding<window = 0>", sliding(0)),
    (
        "#rope.segments<[w = 8], unit = 3, from (i - w + 1) query (i * 3)"
        " key (j * 3), from (0) query (i + w * 2) key (j)>",
        leaky_rerope(8, 3),
    ),
    (
        "#rope.segments<[g = 3, w = 8, m = 20], from (i - w + 1) query (i) key (j),"
        " from (g) masked, from (i - m) query (i) key (j),"
        " from (0) query (m) key (0)>",
        lm_infinite(3, 8, 20),
    ),
    (
        "#rope.segments<[s = 6, c = 8], from ((i floordiv s) * s) query (i mod s)"
        " key (j mod s), from ((i floordiv s) * s - s) query (i mod s + s, c)"
        " key (j mod s), from (0) query (s * 2 - 1, c) key (j mod s)>",
        dual_chunk(6, 8),
    ),
    (
        "#rope.segments<from (i - 3) query (i + 8) key (j mod 6), from (0) masked>",
        falling_keys,
    ),
]
LENGTHS = (1, 13, 97)
TRAINED = tuple(range(1, 24))

FUNCTION = """
  func.func @f(%q: tensor<1x2x?x8xf32>) -> tensor<1x2x?x8xf32> {
    %0 = rope.attention #rope.identity rotary <theta = 1.0e4, dim = 8> scale 0.5
        causal query(%q : tensor<1x2x?x8xf32>) key(%q : tensor<1x2x?x8xf32>)
        value(%q : tensor<1x2x?x8xf32>) outs(%q : tensor<1x2x?x8xf32>)
        -> tensor<1x2x?x8xf32>
    return %0 : tensor<1x2x?x8xf32>
  }
"""


def run(module: str, options: str) -> str:
    """Standard error of the pass on `module`."""
    command = ["ropewalk-opt", f"--rope-extend={options}", "-o", "/dev/null"]
    return subprocess.run(
        command, input=module, capture_output=True, text=True, check=False
    ).stderr


def pairs(length: int):
    """All (i, j) with j <= i < length."""
    return ((i, j) for i in range(length) for j in range(i + 1))


def main() -> int:
    """Returns the number of disagreements."""
    failures = 0

    def check(what: str, expected: object, got: object) -> None:
        nonlocal failures
        if expected != got:
            failures += 1
            print(f"{what}: expected {expected}, got {got}")

    for text, relative in MAPS:
        for length in LENGTHS:
            output = run(FUNCTION, f'map="{text}" report-length={length}')
            match = re.search(rf"at length {length} is (-?\d+(?:/\d+)?)", output)
            seen = [r for i, j in pairs(length) if (r := relative(i, j)) is not None]
            check(
                f"{text}: largest relative position at length {length}",
                max(seen, default=-1),
                Fraction(match[1]) if match else output,
            )
        # One module for each trained length, all in one run.
        modules = "".join(
            f"module attributes {{rope.model = {{trained_length = {trained}}}}}"
            f" {{{FUNCTION}}}\n"
            for trained in TRAINED
        )
        output = run(modules, f'map="{text}"')
        refused = {int(n) for n in re.findall(r"the trained length (\d+):", output)}
        plain = {
            trained
            for trained in TRAINED
            if all(relative(i, j) == i - j for i, j in pairs(trained + 1))
        }
        check(f"{text}: trained lengths at which it is refused", plain, refused)
    print(f"{len(MAPS)} maps, {failures} disagreements")
    return failures


if __name__ == "__main__":
    sys.exit(min(main(), 1))
