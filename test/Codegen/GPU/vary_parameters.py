"""Gives every rope.attention of a graph its own parameters for each KV head.

Usage: vary_parameters.py INPUT OUTPUT
"""

from __future__ import annotations

import re
import sys


def main() -> None:
    source, target = sys.argv[1:]
    layer = 0
    lines = []
    with open(source) as file:
        for line in file:
            if "rope.attention #rope.identity" in line:
                for name, scale in (("group", 1), ("window", 16)):
                    values = [scale * (2 + layer + head) for head in range(4)]
                    lines.append(f"    %{name}{layer} = arith.constant dense<{[values]}> : tensor<1x4xi64>\n")
                line = line.replace("#rope.identity", "#rope.self_extend<group = ?, window = ?>")
                line = re.sub(
                    r" outs\(",
                    f" parameters(%group{layer}, %window{layer} : tensor<1x4xi64>, tensor<1x4xi64>) outs(",
                    line,
                )
                layer += 1
            lines.append(line)
    assert layer > 0, "no attention found"
    with open(target, "w") as file:
        file.writelines(lines)


main()
