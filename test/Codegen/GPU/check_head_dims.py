"""Compiles attention for many head dimensions and targets; fails where a kernel spills."""

import json
import subprocess
import sys
from pathlib import Path

GRAPH = """
func.func @forward(%q: tensor<?x8x?xDxf32> {{rope.name = "q", rope.kind = "input"}},
                   %k: tensor<?x2x?xDxf32> {{rope.name = "k", rope.kind = "input"}},
                   %v: tensor<?x2x?xDxf32> {{rope.name = "v", rope.kind = "input"}})
    -> (tensor<?x8x?xDxf32> {{rope.name = "out"}}) {{
  %c0 = arith.constant 0 : index
  %c2 = arith.constant 2 : index
  %b = tensor.dim %q, %c0 : tensor<?x8x?xDxf32>
  %s = tensor.dim %q, %c2 : tensor<?x8x?xDxf32>
  %o = tensor.empty(%b, %s) : tensor<?x8x?xDxf32>
  %r = rope.attention #rope.self_extend<group = 4, window = 64> rotary <theta = 10000.0, dim = {dim}> scale 0.125 causal
      query(%q : tensor<?x8x?xDxf32>) key(%k : tensor<?x2x?xDxf32>) value(%v : tensor<?x2x?xDxf32>)
      outs(%o : tensor<?x8x?xDxf32>) -> tensor<?x8x?xDxf32>
  return %r : tensor<?x8x?xDxf32>
}}
"""


def main() -> int:
    """The first argument is a scratch folder."""
    scratch = Path(sys.argv[1])
    scratch.mkdir(parents=True, exist_ok=True)
    wrong, kernels = [], 0
    for dim in (8, 16, 24, 32, 40, 64, 80, 96, 128):
        graph = scratch / f"d{dim}.mlir"
        graph.write_text(GRAPH.format(dim=dim).replace("xDx", f"x{dim}x"))
        for chip in ("sm_80", "sm_86", "sm_89", "sm_90a"):
            out = scratch / f"{chip}-d{dim}"
            subprocess.run(["ropewalk", "compile", graph, "--target", chip, "-o", out], check=True)
            if not (out / "libropewalk-host.so").is_file():
                wrong.append(f"{out}: no host library beside the artifact of a tool on the PATH")
            for kernel in json.loads((out / "manifest.json").read_text())["kernels"]:
                kernels += 1
                if kernel["spill_bytes"] or kernel["stack_bytes"] or not kernel["registers"]:
                    wrong.append(f"{chip} d{dim} {kernel['name']}: {kernel['registers']} registers, "
                                 f"{kernel['spill_bytes']} spilled, {kernel['stack_bytes']} stack")
    print("\n".join(wrong) if wrong else f"{kernels} kernels without spills")
    return 1 if wrong or kernels < 36 * 3 else 0


if __name__ == "__main__":
    sys.exit(main())
