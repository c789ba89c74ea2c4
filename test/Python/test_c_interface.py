# Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Guards the C interface as C sees it: a C99 program that links to the library."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent

PROGRAM = r"""
#include "Ropewalk-c/Ropewalk.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

static int print_token(void *user, int64_t sequence, int32_t token) {
  (void)sequence;
  ++*(int *)user;
  putchar(token);
  return 0;
}

static int check(int status, const char *what) {
  if (status != ROPEWALK_OK)
    printf("%s: status %d: %s\n", what, status, ropewalk_last_error());
  return status;
}

static int run_attention(void) {
  RopewalkAttention *attention = 0;
  if (check(ropewalk_attention_compile(
                "{\"query_heads\": 1, \"kv_heads\": 1, \"head_dim\": 2, \"lse\": true,"
                " \"map\": \"#rope.sliding<window = ?>\","
                " \"rotary\": \"#rope.rotary<theta = 1.0, dim = 2>\"}",
                &attention),
            "compile"))
    return 1;
  /* Keys of zeros weigh all values alike; strides reverse the slots of v. */
  float q[6] = {1, 2, 3, 4, 5, 6}, k[6] = {0}, v[3] = {4, 2, 1}, out[3], lse[3];
  int64_t two[4] = {1, 1, 3, 2}, one[4] = {1, 1, 3, 1}, rows[3] = {1, 1, 3};
  int64_t reversed[4] = {12, 12, -4, 4}, single[2] = {1, 1}, window = 2;
  RopewalkTensor tensors[] = {
      {"query", q, ROPEWALK_F32, 4, two, 0},    {"key", k, ROPEWALK_F32, 4, two, 0},
      {"value", &v[2], ROPEWALK_F32, 4, one, reversed}, {"output", out, ROPEWALK_F32, 4, one, 0},
      {"lse", lse, ROPEWALK_F32, 3, rows, 0},
      {"parameter.window", &window, ROPEWALK_I64, 2, single, 0}};
  (void)reversed;
  int status = ropewalk_attention_run(attention, tensors, 6);
  /* value_dim defaults to head_dim, which is 2. */
  printf("refused: %s\n", status == ROPEWALK_ERROR ? ropewalk_last_error() : "nothing");
  ropewalk_attention_free(attention);
  if (check(ropewalk_attention_compile(
                "{\"query_heads\": 1, \"kv_heads\": 1, \"head_dim\": 2, \"value_dim\": 1, \"lse\": true,"
                " \"map\": \"#rope.sliding<window = ?>\","
                " \"rotary\": \"#rope.rotary<theta = 1.0, dim = 2>\"}",
                &attention),
            "compile") ||
      check(ropewalk_attention_run(attention, tensors, 6), "run"))
    return 1;
  printf("attention: %.4f %.4f %.4f, %.4f %.4f\n", out[0], out[1], out[2], lse[0], lse[1]);
  ropewalk_attention_free(attention);
  return 0;
}

int main(int argc, char **argv) {
  (void)argc;
  RopewalkModel *model = 0;
  printf("version %s, error '%s'\n", ropewalk_version(), ropewalk_last_error());
  if (ropewalk_model_load("/nowhere", 0, 0, 0, &model) != ROPEWALK_ERROR || model)
    return 1;
  printf("error '%s'\n", ropewalk_last_error());
  if (check(ropewalk_model_load(argv[1],
                                "{\"maps\": \"#rope.self_extend<group = 8, window = 64>\", \"threads\": 1}",
                                0, 0, &model),
            "load"))
    return 1;
  const char *prompt = "Note Rodaw: ltal. Ask Rodaw: ";
  int32_t ids[64], tokens[5];
  int64_t length = (int64_t)strlen(prompt), count;
  for (int64_t i = 0; i < length; ++i)
    ids[i] = (unsigned char)prompt[i];
  int calls = 0;
  printf("text '");
  if (check(ropewalk_model_generate(model, ids, 1, length, 0, 5, 0, 0, print_token, &calls, tokens, &count),
            "generate"))
    return 1;
  printf("', %d calls, %d tokens\n", calls, (int)count);
  double nll[63];
  if (check(ropewalk_model_score(model, ids, length, nll), "score"))
    return 1;
  printf("finite %d\n", isfinite(nll[0]) && isfinite(nll[length - 2]));
  ropewalk_model_free(model);
  return run_attention();
}
"""


def test_a_program_in_c(rw, demo_model: Path, tmp_path: Path) -> None:
    compiler = next((name for name in ("clang-22", "clang", "gcc", "cc") if shutil.which(name)), None)
    if compiler is None:
        pytest.skip("no C compiler")
    library = rw.library_path()
    source, program = tmp_path / "program.c", tmp_path / "program"
    source.write_text(PROGRAM)
    flags = ["-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror", f"-I{ROOT / 'include'}"]
    built = subprocess.run(
        [compiler, *flags, source, "-o", program, library, f"-Wl,-rpath,{library.parent}", "-lm"],
        check=False,
        capture_output=True,
        text=True,
    )
    assert built.returncode == 0, built.stderr
    done = subprocess.run([program, demo_model], check=False, capture_output=True, text=True, timeout=120)
    assert done.stdout.splitlines() == [
        f"version {rw.__version__}, error ''",
        "error '/nowhere: expected a directory with a model or an artifact'",
        "text 'ltal.', 5 calls, 5 tokens",
        "finite 1",
        "refused: value: expected shape [B = 1, Hkv = 1, Skv = 3, Dv = 2], got [1, 1, 3, 1]",
        "attention: 1.0000 1.5000 3.0000, 0.0000 0.6931",
    ], done.stdout + done.stderr
    assert done.returncode == 0
