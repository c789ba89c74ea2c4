"""Checks what a manifest promises, from the text of manifest.json and kernels.ptx alone.

Kernels of the manifest are the entries of the PTX, with as many parameters; every
buffer's lifetime covers its uses; buffers that live at once are what launches may use;
caches are updated in place; the expressions use the entry's sizes.
Usage: check_manifest.py [--maximum-kernels N] [--constants N] [--resources] DIR ...
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path
from typing import Any

WIDTHS = {"ptr": "u64", "i64": "u64", "i32": "u32", "f32": "f32"}


def check_ptx(manifest: dict[str, Any], ptx: str) -> None:
    entries = {}
    for match in re.finditer(r"\.visible \.entry (\w+)\((.*?)\)\n(.*?)\n\{", ptx, re.S):
        types = re.findall(r"\.param \.(\w+)", match[2])
        entries[match[1]] = (types, match[3])
    assert set(entries) == {kernel["name"] for kernel in manifest["kernels"]}
    for kernel in manifest["kernels"]:
        types, directives = entries[kernel["name"]]
        wanted = [WIDTHS[parameter["type"]] for parameter in kernel["params"]]
        assert [t.replace("b", "u") for t in types] == wanted or types == wanted, kernel["name"]
        assert f".reqntid {kernel['block'][0]}, 1, 1" in directives, kernel["name"]
        shared = sum(
            int(size) for size in re.findall(rf"\.shared \.align 16 \.b8 {kernel['name']}_shared\d+\[(\d+)\]", ptx)
        )
        assert shared <= kernel["static_shared"] <= 48 * 1024, (kernel["name"], shared)


def check_entry(manifest: dict[str, Any], entry: dict[str, Any]) -> None:
    kernels = {kernel["name"]: kernel for kernel in manifest["kernels"]}
    arguments = {argument["name"]: argument for argument in entry["arguments"]}
    written: set[int] = set()
    expressions = [check["expression"] for check in entry["checks"]]
    for number, launch in enumerate(entry["launches"]):
        kernel = kernels[launch["kernel"]]
        kinds = ["ptr" if "buffer" in arg else next(iter(arg)) for arg in launch["args"]]
        assert kinds == [parameter["type"] for parameter in kernel["params"]], (number, launch["kernel"])
        pointers = {arg["buffer"] for arg in launch["args"] if "buffer" in arg}
        assert pointers == set(launch["reads"]) | set(launch["writes"]), number
        for index in launch["reads"]:
            buffer = entry["buffers"][index]
            if "bytes" in buffer:
                assert index in written and buffer["first"] <= number <= buffer["last"], (number, index)
        for index in launch["writes"]:
            buffer = entry["buffers"][index]
            written.add(index)
            if "bytes" in buffer:
                assert buffer["first"] <= number <= buffer["last"], (number, index)
            else:
                argument = arguments[buffer["argument"]]
                assert argument["kind"] == "cache" and argument["updated"], (number, index)
        # A kernel's pointers do not alias.
        assert not set(launch["reads"]) & set(launch["writes"]), number
        expressions += launch["grid"] + [arg[kind] for arg in launch["args"] for kind in ("i32", "i64") if kind in arg]
    for argument in entry["arguments"]:
        if argument["kind"] == "cache":
            assert argument.get("updated"), argument["name"]
    for result in entry["results"]:
        buffer = entry["buffers"][result["buffer"]]
        assert result["buffer"] in written and buffer["last"] == len(entry["launches"]) - 1
    names = set(entry["sizes"]) | {"ceildiv"}
    for expression in expressions:
        assert set(re.findall(r"[A-Za-z_]\w*", expression)) <= names, expression


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--maximum-kernels", type=int)
    parser.add_argument("--constants", type=int)
    parser.add_argument("--resources", action="store_true")
    parser.add_argument("directories", nargs="+")
    options = parser.parse_args()
    for directory in options.directories:
        manifest = json.loads((Path(directory) / "manifest.json").read_text())
        ptx = (Path(directory) / "kernels.ptx").read_text()
        check_ptx(manifest, ptx)
        assert [entry["name"] for entry in manifest["entries"]] == ["prefill", "decode"]
        for entry in manifest["entries"]:
            check_entry(manifest, entry)
        assert "S" not in manifest["entries"][1]["sizes"]
        if options.maximum_kernels is not None:
            assert len(manifest["kernels"]) <= options.maximum_kernels, len(manifest["kernels"])
        if options.constants is not None:
            assert len(manifest["constants"]) == options.constants, len(manifest["constants"])
        if options.resources:
            for kernel in manifest["kernels"]:
                assert 0 < kernel["registers"] <= 255, kernel["name"]
                assert kernel["spill_bytes"] == 0 and kernel["stack_bytes"] == 0, kernel["name"]


main()
