# Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""PTX by hand for the tests of ropewalk.emulate; ptxas accepts all of it."""

from __future__ import annotations


def module(parameters: str, body: str, *, target: str = "sm_80", version: str = "8.0", name: str = "k",
           before: str = "") -> str:
    """A module with one entry."""
    return f""".version {version}
.target {target}
.address_size 64
{before}
.visible .entry {name}({parameters})
{{
  .reg .pred %p<8>;
  .reg .b16 %h<8>;
  .reg .b32 %r<32>;
  .reg .f32 %f<8>;
  .reg .b64 %d<16>;
{body}
  ret;
}}
"""


# %r1: index of the thread in a grid of one dimension; %d8: four times that.
INDEX = """  mov.u32 %r20, %ctaid.x;
  mov.u32 %r21, %ntid.x;
  mov.u32 %r22, %tid.x;
  mad.lo.s32 %r1, %r20, %r21, %r22;
  mul.wide.u32 %d8, %r1, 4;
"""

SAXPY = module(".param .u64 x, .param .u64 y, .param .f32 a, .param .u32 n", INDEX + """
  ld.param.u32 %r2, [n];
  setp.ge.u32 %p1, %r1, %r2;
  @%p1 bra done;
  ld.param.u64 %d1, [x];
  ld.param.u64 %d2, [y];
  ld.param.f32 %f1, [a];
  add.s64 %d1, %d1, %d8;
  add.s64 %d2, %d2, %d8;
  ld.global.f32 %f2, [%d1];
  ld.global.f32 %f3, [%d2];
  fma.rn.f32 %f4, %f1, %f2, %f3;
  st.global.f32 [%d2], %f4;
done:
""", name="saxpy")

# y[i] = x[i] + 1
INCREMENT = module(".param .u64 x, .param .u64 y", INDEX + """
  ld.param.u64 %d1, [x];
  ld.param.u64 %d2, [y];
  add.s64 %d1, %d1, %d8;
  add.s64 %d2, %d2, %d8;
  ld.global.u32 %r2, [%d1];
  add.u32 %r2, %r2, 1;
  st.global.u32 [%d2], %r2;
""")

# out[block] = sum of a block's elements, through dynamic shared memory. The barrier
# of the loop can be left out.
SUM_BODY = INDEX + """
  ld.param.u64 %d1, [x];
  add.s64 %d1, %d1, %d8;
  ld.global.u32 %r2, [%d1];
  shl.b32 %r3, %r22, 2;
  mov.u32 %r4, buffer;
  add.u32 %r4, %r4, %r3;
  st.shared.u32 [%r4], %r2;
  bar.sync 0;
  shr.u32 %r5, %r21, 1;
loop:
  setp.eq.u32 %p1, %r5, 0;
  @%p1 bra write;
  setp.ge.u32 %p2, %r22, %r5;
  @%p2 bra next;
  shl.b32 %r6, %r5, 2;
  add.u32 %r6, %r4, %r6;
  ld.shared.u32 %r7, [%r6];
  ld.shared.u32 %r8, [%r4];
  add.u32 %r8, %r8, %r7;
  st.shared.u32 [%r4], %r8;
next:
  bar.sync 0;
  shr.u32 %r5, %r5, 1;
  bra loop;
write:
  setp.ne.u32 %p3, %r22, 0;
  @%p3 bra done;
  ld.param.u64 %d2, [out];
  mul.wide.u32 %d3, %r20, 4;
  add.s64 %d2, %d2, %d3;
  ld.shared.u32 %r9, [%r4];
  st.global.u32 [%d2], %r9;
done:
"""
SUM_PARAMETERS = ".param .u64 x, .param .u64 out"
SHARED = ".extern .shared .align 16 .b8 buffer[];"
SUM = module(SUM_PARAMETERS, SUM_BODY, before=SHARED)


def store(parameter: str, load: str, size: int) -> str:
    """A kernel that writes its second parameter to the first."""
    register = {1: "%r1", 2: "%h1", 4: "%r1", 8: "%d2"}[size]
    return module(f".param .u64 out, .param {parameter} v", f"""
  ld.param.u64 %d1, [out];
  ld.param.{load} {register}, [v];
  st.global.{load} [%d1], {register};
""")


def line_of(text: str, part: str) -> int:
    """The number of the first line with `part` in it."""
    return next(number for number, line in enumerate(text.split("\n"), 1) if part in line)
