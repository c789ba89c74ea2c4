# Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Guards that what a kernel prints reaches Python, with a result and with an error."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from emulate_ptx import module

BEFORE = """.extern .func (.param .b32 r) vprintf(.param .b64 format, .param .b64 values);
.global .align 1 .b8 text[10] = {98, 108, 111, 99, 107, 32, 37, 100, 10, 0};"""
# printf("block %d\\n", blockIdx.x)
PRINT = """
  .local .align 8 .b8 values[8];
  mov.u32 %r1, %ctaid.x;
  mov.u64 %d1, values;
  st.local.u32 [%d1], %r1;
  cvta.local.u64 %d1, %d1;
  mov.u64 %d2, text;
  cvta.global.u64 %d2, %d2;
  {
    .param .b64 format;
    st.param.b64 [format], %d2;
    .param .b64 arguments;
    st.param.b64 [arguments], %d1;
    .param .b32 r;
    call.uni (r), vprintf, (format, arguments);
  }
"""


def test_output(rw: SimpleNamespace) -> None:
    """By block, whatever the threads; nothing for a kernel that is silent."""
    text = module("", PRINT, before=BEFORE)
    for threads in (1, 2):
        assert rw.emulate(text, None, 3, 1, [], threads=threads).output == "block 0\nblock 1\nblock 2\n"
    assert rw.emulate(module("", ""), None, 1, 1, []).output == ""


def test_output_before_a_fault(rw: SimpleNamespace) -> None:
    """It often says why; also when the fault is seen after the launch, and in a mutation test."""
    text = module("", PRINT + "  trap;", before=BEFORE)
    for run in (rw.emulate, rw.mutate):
        with pytest.raises(rw.EmulationError) as caught:
            run(text, None, 1, 1, [])
        assert caught.value.kind == "trap" and caught.value.output == "block 0\n"
    x = np.zeros(1, np.int32)
    x.flags.writeable = False
    text = module(".param .u64 x", PRINT + "  ld.param.u64 %d3, [x]; st.global.u32 [%d3], 1;", before=BEFORE)
    with pytest.raises(rw.EmulationError) as caught:
        rw.emulate(text, None, 1, 1, [x])
    assert caught.value.kind == "read-only-write" and caught.value.output == "block 0\n"
