"""The emulator's kernels on the chip, where there is one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from gpu_support import find_gpu

HERE = Path(__file__).parent


@pytest.mark.parametrize("file", ["test_emulate_cuda.py", "test_emulate_triton.py"])
def test_same_results_on_a_gpu(file):
    """Guards that what passes in the emulator passes on a GPU, against the same references."""
    gpu, reason = find_gpu()
    if gpu is None:
        pytest.skip(reason)
    environment = {**os.environ, "ROPEWALK_TEST_DEVICE": "gpu"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", HERE / file]
    run = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout[-4000:]
    assert " passed" in run.stdout
