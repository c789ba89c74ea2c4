# Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Guards `python -m ropewalk`: text through a tokenizer, ids without one, errors, and Ctrl-C of the driver."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import BUILD, ROOT

ENVIRONMENT = dict(os.environ, PYTHONPATH=str(ROOT / "python"))


def command(*arguments: object) -> subprocess.CompletedProcess:
    """Runs python -m ropewalk."""
    return subprocess.run([sys.executable, "-m", "ropewalk", *map(str, arguments)], capture_output=True, text=True,
                          env=ENVIRONMENT)


@pytest.fixture(scope="module")
def tokenized_model(demo_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo model without its byte vocabulary, with a tokenizer.json that has one token a byte."""
    tokenizers = pytest.importorskip("tokenizers")
    directory = tmp_path_factory.mktemp("tokenized")
    config = (demo_model / "config.json").read_text().replace('"ropewalk_vocabulary": "bytes",', "")
    (directory / "config.json").write_text(config)
    shutil.copy(demo_model / "model.safetensors", directory)
    vocabulary = {chr(byte): byte for byte in range(128)} | {f"<{byte}>": byte for byte in range(128, 256)}
    model = tokenizers.models.WordLevel(vocabulary, unk_token="<255>")
    tokenizer = tokenizers.Tokenizer(model)
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Split("", "isolated")
    tokenizer.decoder = tokenizers.decoders.Fuse()
    tokenizer.save(str(directory / "tokenizer.json"))
    return directory


def test_text_through_a_tokenizer(tokenized_model: Path) -> None:
    """The continuation is text, and the right one."""
    result = command("run", tokenized_model, "--prompt", "Note Rodaw: ltal. Ask Rodaw: ", "--max-new-tokens", 4)
    assert result.returncode == 0, result.stderr
    assert "ltal" in result.stdout.replace(" ", "")


def test_ids_without_a_tokenizer(tokenized_model: Path, tmp_path: Path) -> None:
    """Ids go in and out, and a prompt of text is refused with that advice."""
    directory = tmp_path / "plain"
    shutil.copytree(tokenized_model, directory)
    (directory / "tokenizer.json").unlink()
    prompt = tmp_path / "ids.txt"
    prompt.write_text(" ".join(str(byte) for byte in b"Note Rodaw: ltal. Ask Rodaw: "))
    driver = subprocess.run([BUILD / "bin" / "ropewalk", "run", directory, "--ids", prompt, "--max-new-tokens", "4"],
                            capture_output=True, text=True)
    assert driver.returncode == 0, driver.stderr
    assert driver.stdout.split() == [str(byte) for byte in b"ltal"]
    refused = subprocess.run([BUILD / "bin" / "ropewalk", "run", directory, "--prompt", "Note"], capture_output=True, text=True)
    assert refused.returncode != 0 and "--ids" in refused.stderr
    refused = command("run", directory, "--prompt", "Note")
    assert refused.returncode != 0
    assert "tokenizer.json" in refused.stderr and "Traceback" not in refused.stderr


@pytest.mark.parametrize(("arguments", "message"), [
    (("run", "/nonexistent", "--prompt", "x"), "/nonexistent"),
    (("run", ROOT / "examples" / "demo-model", "--prompt", "x", "--map", "#rope.nothing"), "nothing"),
    (("score", ROOT / "examples" / "demo-model", "--ids", "/nonexistent"), "/nonexistent"),
])
def test_errors(arguments: tuple, message: str) -> None:
    """One line that names what is wrong, no traceback."""
    result = command(*arguments)
    assert result.returncode != 0
    assert message in result.stderr and "Traceback" not in result.stderr


def test_interrupt(demo_model: Path, tmp_path: Path) -> None:
    """Ctrl-C ends the driver with status 130 and without a crash."""
    ids = tmp_path / "ids.txt"
    ids.write_text(" ".join(map(str, np.random.default_rng(0).integers(0, 256, 60_000))))
    process = subprocess.Popen([BUILD / "bin" / "ropewalk", "score", demo_model, "--ids", ids], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
    time.sleep(8)  # past compilation, long before the end of quadratic work
    assert process.poll() is None, "it must still be running"
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert output == ""
