"""Running and scoring models with their tokenizers: python -m ropewalk run | score."""

from __future__ import annotations

import argparse
import itertools
import json
import math
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import ropewalk

from . import _library


class _UsageError(Exception):
    """Arguments that do not fit together."""


class Text:
    """Text to ids and back, as the files of a model say.

    Bytes where config.json has "ropewalk_vocabulary": "bytes", otherwise the
    tokenizer.json of the directory, read by the package tokenizers.
    """

    def __init__(self, directory: Path) -> None:
        self.stop_ids: list[int] = []
        self.is_bytes = False
        self._tokenizer: Any = None
        for name in ("config.json", "generation_config.json"):
            file = directory / name
            if name != "config.json" and not file.exists():
                continue
            try:
                values = json.loads(file.read_text())
            except (ValueError, RecursionError) as error:
                raise ropewalk.RopewalkError(f"{file}: not valid JSON: {error}") from None
            if not isinstance(values, dict):
                raise ropewalk.RopewalkError(f"{file}: expected a JSON object, got {type(values).__name__}")
            self.is_bytes |= values.get("ropewalk_vocabulary") == "bytes"
            ids = values.get("eos_token_id")
            ids = ids if isinstance(ids, list) else [] if ids is None else [ids]
            if not all(isinstance(each, int) and not isinstance(each, bool) and 0 <= each < 2**31 for each in ids):
                raise ropewalk.RopewalkError(f"{file}: eos_token_id: expected a token id or a list of them, got {ids}")
            self.stop_ids += ids
        self._file = directory / "tokenizer.json"

    def _open(self) -> Any:
        if self._tokenizer is None:
            if not self._file.is_file():
                raise ropewalk.RopewalkError(f"{self._file}: there is no tokenizer; give token ids with --ids")
            try:
                import tokenizers
            except ImportError as error:
                raise ropewalk.RopewalkError(
                    "text needs the package tokenizers (pip install tokenizers); or give token ids with --ids"
                ) from error
            self._tokenizer = tokenizers.Tokenizer.from_file(str(self._file))
        return self._tokenizer

    def encode(self, text: bytes) -> list[int]:
        """The ids of a text."""
        if self.is_bytes:
            return list(text)
        return self._open().encode(text.decode()).ids

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids; what is not complete yet is left out."""
        if self.is_bytes:
            return bytes(ids).decode(errors="replace").rstrip("\ufffd")
        return self._open().decode(list(ids)).rstrip("\ufffd")


def read_ids(file: str) -> list[int]:
    """Ids of a file ("-": standard input), separated by white space or commas."""
    name = "standard input" if file == "-" else file
    words = re.split(r"[\s,]+", (sys.stdin.read() if file == "-" else Path(file).read_text()).strip())
    try:
        return [int(word) for word in words if word]
    except ValueError:
        bad = next(word for word in words if not re.fullmatch(r"[+-]?\d+", word))
        raise ropewalk.RopewalkError(f"{name}: expected token ids, numbers, got {bad[:40]!r}") from None


def show_progress(stage: str, done: int, total: int) -> None:
    """A line on a terminal."""
    if stage == "generate":
        return
    end = done == total
    count = f" {done}/{total}" if total > 1 else ""
    sys.stderr.write("\r\033[K" + ("" if end else f"{stage}{count}"))
    sys.stderr.flush()


def _map(arguments: argparse.Namespace, parameters: list[str]) -> list[str] | str | None:
    """The position map that the arguments say."""
    if arguments.map and arguments.method:
        raise _UsageError("expected --map or --method, got both")
    values: dict[str, int] = {}
    for name in ("map", "method"):
        if "" in (getattr(arguments, name) or [] if name == "map" else [getattr(arguments, name)]):
            # An unset variable of the shell must not turn an option off.
            raise _UsageError(f"--{name} expects a value, got an empty one")
    words = list(parameters)
    while words:
        word = words.pop(0)
        name, equals, value = word.partition("=")
        if not arguments.method or not name.startswith("--"):
            raise _UsageError(f"unknown argument {word!r}")
        if not equals:
            if not words:
                raise _UsageError(f"{word} expects a value")
            value = words.pop(0)
        if not value.isdecimal():
            raise _UsageError(f"{name} expects an integer of at least 0, got {value!r}")
        if name[2:] in values:
            raise _UsageError(f"{name} is given twice")
        values[name[2:]] = int(value)
    if not arguments.method:
        maps = arguments.map or []
        return maps if len(maps) > 1 else (maps[0] if maps else None)
    return _library.call_for_text("ropewalk_map_compose", arguments.method.encode(), json.dumps(values).encode())


def _load(arguments: argparse.Namespace, position_map: list[str] | str | None) -> ropewalk.Model:
    ropewalk.set_threads(arguments.threads)
    progress = show_progress if sys.stderr.isatty() else None
    model = ropewalk.load(
        arguments.directory,
        position_map=position_map,
        target=arguments.target,
        weights=arguments.weights,
        chunk=arguments.chunk,
        progress=progress,
    )
    for warning in model.info["warnings"]:
        print(f"warning: {warning}", file=sys.stderr)
    return model


def _input_ids(arguments: argparse.Namespace, text: Text, given: bytes | None) -> list[int]:
    ids = read_ids(arguments.ids) if given is None else text.encode(given)
    if not ids:
        raise ropewalk.RopewalkError("expected at least one token, got none")
    return ids


def run(arguments: argparse.Namespace, position_map: list[str] | str | None) -> int:
    """Continues a prompt, always by the most likely token."""
    text = Text(Path(arguments.weights or arguments.directory))
    given = None if arguments.prompt is None else arguments.prompt.encode(errors="surrogateescape")
    ids = _input_ids(arguments, text, given)
    new: list[int] = []
    shown = ""

    def on_token(_: int, token: int) -> None:
        nonlocal shown
        new.append(token)
        if given is None:
            sys.stdout.write(f"{' ' if len(new) > 1 else ''}{token}")
        else:
            # A text is decoded from its beginning: a token alone may not be text.
            whole = text.decode([*ids, *new])[len(text.decode(ids)) :]
            sys.stdout.write(whole[len(shown) :])
            shown = whole
        sys.stdout.flush()

    with _load(arguments, position_map) as model:
        stop_ids = [] if arguments.ignore_eos else text.stop_ids
        model.generate(ids, arguments.max_new_tokens, stop_ids=stop_ids, on_token=on_token)
    print()
    return 0


def score(arguments: argparse.Namespace, position_map: list[str] | str | None) -> int:
    """Negative log likelihood of a sequence by position."""
    text = Text(Path(arguments.weights or arguments.directory))
    given = None if arguments.text is None else Path(arguments.text).read_bytes()
    ids = _input_ids(arguments, text, given)
    if len(ids) < 2:
        raise ropewalk.RopewalkError("expected at least two tokens, got one")
    count = len(ids) - 1
    buckets = min(8, count) if arguments.buckets is None else arguments.buckets
    if not 1 <= buckets <= count:
        raise _UsageError(f"--buckets expects an integer from 1 to {count}, got {buckets}")
    with _load(arguments, position_map) as model:
        values = model.score(ids)
        info = model.info
    edges = [count * b // buckets for b in range(buckets + 1)]
    rows = [
        {"first": low + 1, "last": high, "nll": float(np.mean(values[low:high]))}
        for low, high in itertools.pairwise(edges)
    ]
    mean = float(np.mean(values))
    if arguments.json:
        result = {
            "tokens": len(ids),
            "nll": mean,
            "perplexity": math.exp(mean),
            "buckets": rows,
            "maps": info["maps"],
            "device": info["device"],
        }
        print(json.dumps(result, indent=2))
        return 0
    print("positions          tokens       nll")
    for row in rows:
        print(f"{row['first']:8d}-{row['last']:<8d} {row['last'] - row['first'] + 1:7d} {row['nll']:9.4f}")
    print(f"all               {count:7d} {mean:9.4f}")
    return 0


def make_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m ropewalk", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    functions: dict[str, Callable[..., int]] = {"run": run, "score": score}
    made = {name: commands.add_parser(name, help=function.__doc__) for name, function in functions.items()}
    for name, command in made.items():
        command.set_defaults(function=functions[name])
        command.add_argument("directory", help="Hugging Face directory (qwen2, llama) or artifact")
        command.add_argument("--map", action="append", help="position map, an attribute; once, or once for each layer")
        command.add_argument(
            "--method", help="position map by its name; further options are its parameters: --group 8 --window 64"
        )
        command.add_argument("--target", default="cpu", help="cpu, cuda, emulate:sm_80, ...")
        command.add_argument("--weights", help="directory of the checkpoint of an artifact")
        command.add_argument("--threads", type=int, default=0, help="default 0: one per processor")
        command.add_argument("--chunk", type=int, default=512, help="tokens that run at once")
    source = made["run"].add_mutually_exclusive_group(required=True)
    source.add_argument("--prompt", help="text")
    source.add_argument("--ids", help="file of token ids, - for standard input; the output is ids too")
    made["run"].add_argument("--max-new-tokens", type=int, default=64)
    made["run"].add_argument("--ignore-eos", action="store_true", help="do not stop at the model's last tokens")
    source = made["score"].add_mutually_exclusive_group(required=True)
    source.add_argument("--text", help="file of text")
    source.add_argument("--ids", help="file of token ids, - for standard input")
    made["score"].add_argument("--buckets", type=int)
    made["score"].add_argument("--json", action="store_true")
    return parser


def main() -> int:
    """Returns the exit status: 0 done, 1 failed, 2 wrong usage, 130 interrupted."""
    parser = make_parser()
    arguments, rest = parser.parse_known_args()
    try:
        return arguments.function(arguments, _map(arguments, rest))
    except _UsageError as error:
        parser.error(str(error))
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except (ropewalk.RopewalkError, OSError, ValueError, NotImplementedError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
