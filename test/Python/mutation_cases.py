"""The launches behind the tables of mutants.

They are those of other tests, with sizes at which every instruction runs that a launch
can make run: more tiles than a pipeline has stages, last tiles in part. A kernel whose
instructions need several launches is there with each of them; the best outcome counts.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import BUILD, ROOT
from mutation_support import Row, rows_of
from record_launches import record_launches

Tables = dict[str, list[Row]]

#: Schedules of each run.
SEEDS = 3


# Our own kernels.

#: By artifact: options of the checkpoint, None for the demo model, and the map.
ARTIFACTS = {
    # Two segments of some tiles each.
    "demo": (None, "#rope.self_extend<group = 4, window = 40>"),
    # A masked segment between two others, rows of 1024 elements that a block adds up, and
    # head dimensions that are no multiple of a vector's.
    "wide": ({"hidden_size": 1024, "intermediate_size": 48, "num_hidden_layers": 1, "num_attention_heads": 3,
              "num_key_value_heads": 1, "head_dim": 40},
             "#rope.segments<from (i - 39) query (i) key (j), from (20) masked, from (0) query (40) key (0)>"),
}


def make_checkpoint(directory: Path, config: dict) -> None:
    """A checkpoint of bfloat16 weights, random and small."""
    subprocess.run([sys.executable, ROOT / "test" / "Import" / "make_checkpoint.py", directory, "--dtype", "BF16",
                    "--config", json.dumps(config)], check=True)
    with (directory / "model.safetensors").open("r+b") as file:
        begin = 8 + int.from_bytes(file.read(8), "little")
        count = (file.seek(0, 2) - begin) // 2
        file.seek(begin)
        values = np.random.default_rng(0).standard_normal(count, np.float32) * np.float32(0.05)
        file.write((values.view(np.uint32) >> 16).astype(np.uint16).tobytes())


def own(rw: SimpleNamespace) -> Tables:
    """The kernels of artifacts, launched as when a model reads 100 tokens and writes two."""
    driver = BUILD / "bin" / "ropewalk"
    if not driver.is_file():
        pytest.skip(f"{driver} is not built")
    tables: Tables = {}
    for name, (config, position_map) in ARTIFACTS.items():
        with tempfile.TemporaryDirectory() as scratch:
            model = Path(scratch) / "model"
            if config is None:
                model = ROOT / "examples" / "demo-model"
            else:
                make_checkpoint(model, config)
            for chip in ("sm_80", "sm_90a"):
                out = Path(scratch) / chip
                subprocess.run([driver, "compile", model, "--target", chip, "--map", position_map, "--no-ptxas", "-o",
                                out], check=True, capture_output=True)
                text = (out / "kernels.ptx").read_text()
                kernels = json.loads((out / "manifest.json").read_text())["kernels"]
                launches = record_launches(out, model, chip, 100)
                assert set(launches) == {kernel["name"] for kernel in kernels}
                for entry, launch in launches.items():
                    tables[f"{chip} {name} {entry}"] = rows_of(
                        rw.mutate(text, *launch, seeds=SEEDS, tolerance=1e-4).mutants)
    return tables


GROUPS = {"own": own}
