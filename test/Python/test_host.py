# Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Guards the host library: an artifact runs without the compiler, and gives the CPU's numbers."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("ROPEWALK_BUILD", ROOT / "build"))
MODEL = ROOT / "examples" / "demo-model"
HOST = ROOT / "python" / "ropewalk" / "host.py"


def host(*arguments: object) -> subprocess.CompletedProcess:
    """Runs host.py."""
    return subprocess.run([sys.executable, HOST, *map(str, arguments)], capture_output=True, text=True)


def compile_extended(chip: str, out: Path) -> None:
    """The demo model with SelfExtend as an artifact for the chip."""
    subprocess.run([BUILD / "bin" / "ropewalk", "compile", MODEL, "--target", chip, "--method", "self_extend",
                    "--group", "8", "--window", "64", "-o", out], check=True)


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """An sm_80 artifact of the demo model, and the logits of the CPU for it."""
    folder = tmp_path_factory.mktemp("artifact")
    compile_extended("sm_80", folder / "out")
    expected = folder / "expected.npz"
    recorded = host("record", folder / "out", "--weights", MODEL, "--map", "#rope.self_extend<group = 8, window = 64>",
                    "--expected", expected)
    assert recorded.returncode == 0, recorded.stderr
    return folder / "out", expected


@pytest.mark.parametrize("chip", ["sm_80", "sm_90a"])
def test_emulator_gives_the_numbers_of_the_cpu(artifact: tuple[Path, Path], tmp_path: Path, chip: str) -> None:
    """Prefill of 300 tokens, past the trained 256, and decode."""
    out, expected = artifact
    if chip != "sm_80":
        out = tmp_path / "out"
        compile_extended(chip, out)
    checked = host("check", out, "--weights", MODEL, "--expected", expected, "--emulate", chip)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "decoded tokens agree" in checked.stdout


def test_host_library_needs_neither_mlir_nor_llvm(artifact: tuple[Path, Path]) -> None:
    """What the artifact carries must run on a machine that has only a driver."""
    dynamic = subprocess.run(["readelf", "-d", artifact[0] / "libropewalk-host.so"], capture_output=True, text=True,
                             check=True).stdout
    assert "NEEDED" in dynamic
    assert "MLIR" not in dynamic and "LLVM" not in dynamic


def test_a_wrong_map_is_noticed(artifact: tuple[Path, Path], tmp_path: Path) -> None:
    """The check can fail: an artifact with another map gives other numbers."""
    other = tmp_path / "plain"
    subprocess.run([BUILD / "bin" / "ropewalk", "compile", MODEL, "--target", "sm_80", "-o", other], check=True)
    checked = host("check", other, "--weights", MODEL, "--expected", artifact[1], "--emulate", "sm_80")
    assert checked.returncode == 1
    assert "differ" in checked.stdout


@pytest.mark.parametrize(("damage", "message"), [
    ("chip", "is sm_80"),
    ("manifest", "manifest.json"),
    ("ptx", "kernels.ptx"),
    ("weights", "config.json-less"),
])
def test_errors_name_what_is_wrong(artifact: tuple[Path, Path], tmp_path: Path, damage: str, message: str) -> None:
    """Bad input ends in an error, never in a crash."""
    out, weights, chip = tmp_path / "out", MODEL, "sm_80"
    shutil.copytree(artifact[0], out)
    if damage == "chip":
        subprocess.run([BUILD / "bin" / "ropewalk", "compile", MODEL, "--target", "sm_90a", "-o", out], check=True)
    elif damage == "manifest":
        (out / "manifest.json").write_text("{")
    elif damage == "ptx":
        (out / "kernels.ptx").unlink()
    else:
        weights, message = tmp_path, str(tmp_path)
    checked = host("check", out, "--weights", weights, "--expected", artifact[1], "--emulate", chip)
    assert checked.returncode == 1
    assert "Traceback" not in checked.stderr and message in checked.stderr


def test_gpu_gives_the_numbers_of_the_cpu(artifact: tuple[Path, Path]) -> None:
    """The same artifact through libcuda."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        pytest.skip("no GPU: libcuda.so.1 is not there")
    if driver.cuInit(0) != 0:
        pytest.skip("no GPU: the driver finds none")
    checked = host("check", artifact[0], "--weights", MODEL, "--expected", artifact[1])
    assert checked.returncode == 0, checked.stdout + checked.stderr
