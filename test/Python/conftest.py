"""Where the tests find what they test.

ROPEWALK_BUILD            build directory (default: build in the source tree)
ROPEWALK_TEST_ALL         run the full product of combinations
ROPEWALK_SHARED_MODELS    directory with further models
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
BUILD = Path(os.environ.get("ROPEWALK_BUILD", ROOT / "build")).resolve()
os.environ.setdefault("ROPEWALK_LIBRARY", str(BUILD / "lib" / "libropewalk-c.so"))
sys.path.insert(0, str(ROOT / "python"))


@pytest.fixture(scope="session")
def rw():
    """The package, with its library loaded; with ROPEWALK_TEST_DEVICE=gpu, a GPU in the emulator's place."""
    if os.environ.get("ROPEWALK_TEST_DEVICE") == "gpu":
        from gpu_support import find_gpu

        gpu, reason = find_gpu()
        if gpu is None:
            pytest.skip(reason)
        return gpu
    if not Path(os.environ["ROPEWALK_LIBRARY"]).is_file():
        pytest.skip(f"{os.environ['ROPEWALK_LIBRARY']} is not built")
    import ropewalk

    ropewalk.version()
    return ropewalk


@pytest.fixture(scope="session")
def demo_model() -> Path:
    """The directory of the demo model."""
    directory = ROOT / "examples" / "demo-model"
    if not (directory / "model.safetensors").is_file():
        pytest.skip(f"{directory} has no model.safetensors")
    return directory


@pytest.fixture(scope="session")
def demo_text() -> bytes:
    """A held-out text of the demo model's kind, of 4 L = 1024 bytes."""
    sys.path.insert(0, str(ROOT / "python" / "demo"))
    import text

    data, _ = text.document(1_000_000, 1024)
    return data.tobytes()


@pytest.fixture(scope="session")
def driver() -> Path:
    """The driver's executable."""
    path = BUILD / "bin" / "ropewalk"
    if not path.is_file():
        pytest.skip(f"{path} is not built")
    return path
