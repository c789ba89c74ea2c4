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


def broken(demo_model: Path, directory: Path, config: str) -> Path:
    """The demo model with another config.json."""
    shutil.copy(demo_model / "model.safetensors", directory)
    (directory / "config.json").write_text(config)
    return directory


@pytest.mark.parametrize(("config", "message"), [
    ("[" * 100_000, "nested"),
    ("[]", "expected a JSON object"),
    ("", "not valid JSON"),
    ('{"eos_token_id": "x", "ropewalk_vocabulary": "bytes"}', "eos_token_id"),
    ('{"eos_token_id": [1, [2]], "ropewalk_vocabulary": "bytes"}', "eos_token_id"),
])
def test_broken_configurations(demo_model: Path, tmp_path: Path, config: str, message: str) -> None:
    """What reads a configuration first says what is wrong with it, and never crashes."""
    directory = broken(demo_model, tmp_path, config)
    for words in (("run", directory, "--prompt", "a"), ("score", directory, "--text", directory / "config.json")):
        driver = subprocess.run([BUILD / "bin" / "ropewalk", *words], capture_output=True, text=True)
        assert driver.returncode == 1, driver.stderr
        assert message in driver.stderr and "config.json" in driver.stderr
        package = command(*words)
        assert package.returncode == 1 and "Traceback" not in package.stderr
        assert "config.json" in package.stderr


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    """Not its tokenizer."""
    words = ("run", tmp_path / "nowhere", "--prompt", "a")
    for result in (subprocess.run([BUILD / "bin" / "ropewalk", *words], capture_output=True, text=True), command(*words)):
        assert result.returncode == 1
        assert "nowhere/config.json" in result.stderr and "o such file" in result.stderr


@pytest.mark.parametrize("words", [("--map", ""), ("--method", "")])
def test_an_empty_option_is_refused(demo_model: Path, tmp_path: Path, words: tuple[str, str]) -> None:
    """An unset variable of the shell must not turn the map off."""
    run_words = ("run", demo_model, "--prompt", "a", *words)
    compile_words = ("compile", demo_model, "--target", "sm_80", "-o", tmp_path / "out", *words)
    results = [subprocess.run([BUILD / "bin" / "ropewalk", *given], capture_output=True, text=True)
               for given in (run_words, compile_words)] + [command(*run_words)]
    assert all(result.returncode == 2 and "empty" in result.stderr for result in results), results


def test_an_artifact_takes_text(demo_model: Path, tmp_path: Path) -> None:
    """The vocabulary is that of the checkpoint."""
    driver = BUILD / "bin" / "ropewalk"
    subprocess.run([driver, "compile", demo_model, "--target", "sm_80", "-o", tmp_path / "out"], check=True)
    result = subprocess.run([driver, "run", tmp_path / "out", "--weights", demo_model, "--target", "emulate:sm_80",
                             "--prompt", "Note Rodaw: ltal. Ask Rodaw: ", "--max-new-tokens", "4"],
                            capture_output=True, text=True)
    assert "ltal" in result.stdout, result.stderr
