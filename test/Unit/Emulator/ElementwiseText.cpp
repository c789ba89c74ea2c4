//===- ElementwiseText.cpp - PTX of gathers and elementwise kernels -*- C++
//-*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What the NVPTX backend makes of plain kernels for sm_80.
//
//===----------------------------------------------------------------------===//

#include "KernelText.h"

// y[i, c] = x[index[i / r], c] * rsqrt(|w[c]|) in 64-bit arithmetic with
// division.
const char *const gatherPTX = R"ptx(.version 7.0
.target sm_80
.address_size 64
.visible .entry gather(
  .param .u64 .ptr .global .align 1 gather_param_0,
  .param .u64 .ptr .global .align 1 gather_param_1,
  .param .u64 .ptr .global .align 1 gather_param_2,
  .param .u64 .ptr .global .align 1 gather_param_3,
  .param .u64 gather_param_4,
  .param .u64 gather_param_5,
  .param .u64 gather_param_6
)
{
  .reg .pred   %p<4>;
  .reg .b32   %r<14>;
  .reg .b64   %rd<31>;
  ld.param.b64   %rd7, [gather_param_4];
  mov.u32   %r1, %ctaid.x;
  mul.wide.u32   %rd9, %r1, 128;
  mov.u32   %r2, %tid.x;
  cvt.u64.u32   %rd10, %r2;
  ld.param.b64   %rd11, [gather_param_5];
  add.s64   %rd1, %rd9, %rd10;
  mul.lo.s64   %rd12, %rd11, %rd7;
  setp.ge.s64   %p1, %rd1, %rd12;
  @%p1 bra   $L__BB3_8;
  ld.param.b64   %rd8, [gather_param_6];
  or.b64   %rd13, %rd1, %rd7;
  and.b64   %rd14, %rd13, -4294967296;
  setp.ne.b64   %p2, %rd14, 0;
  @%p2 bra   $L__BB3_3;
  bra.uni   $L__BB3_2;
$L__BB3_3:
  div.s64   %rd29, %rd1, %rd7;
  bra.uni   $L__BB3_4;
$L__BB3_2:
  cvt.u32.u64   %r3, %rd7;
  cvt.u32.u64   %r4, %rd1;
  div.u32   %r5, %r4, %r3;
  cvt.u64.u32   %rd29, %r5;
$L__BB3_4:
  ld.param.b64   %rd6, [gather_param_3];
  ld.param.b64   %rd5, [gather_param_2];
  ld.param.b64   %rd4, [gather_param_1];
  ld.param.b64   %rd3, [gather_param_0];
  mul.lo.s64   %rd15, %rd29, %rd7;
  sub.s64   %rd2, %rd1, %rd15;
  or.b64   %rd16, %rd29, %rd8;
  and.b64   %rd17, %rd16, -4294967296;
  setp.ne.b64   %p3, %rd17, 0;
  @%p3 bra   $L__BB3_6;
  bra.uni   $L__BB3_5;
$L__BB3_6:
  div.s64   %rd30, %rd29, %rd8;
  bra.uni   $L__BB3_7;
$L__BB3_5:
  cvt.u32.u64   %r6, %rd8;
  cvt.u32.u64   %r7, %rd29;
  div.u32   %r8, %r7, %r6;
  cvt.u64.u32   %rd30, %r8;
$L__BB3_7:
  shl.b64   %rd18, %rd30, 3;
  add.s64   %rd19, %rd4, %rd18;
  ld.global.nc.b64   %rd20, [%rd19];
  mul.lo.s64   %rd21, %rd20, %rd7;
  shl.b64   %rd22, %rd21, 2;
  add.s64   %rd23, %rd3, %rd22;
  shl.b64   %rd24, %rd2, 2;
  add.s64   %rd25, %rd23, %rd24;
  ld.global.nc.b32   %r9, [%rd25];
  add.s64   %rd26, %rd5, %rd24;
  ld.global.nc.b32   %r10, [%rd26];
  abs.f32   %r11, %r10;
  rsqrt.approx.f32   %r12, %r11;
  mul.rn.f32   %r13, %r9, %r12;
  shl.b64   %rd27, %rd1, 2;
  add.s64   %rd28, %rd6, %rd27;
  st.global.b32   [%rd28], %r13;
$L__BB3_8:
  ret;
}
)ptx";

// Lane-dependent loop lengths, nested branches and early exits.
const char *const collatzPTX = R"ptx(.version 7.0
.target sm_80
.address_size 64
.visible .entry collatz(
  .param .u64 .ptr .global .align 1 collatz_param_0,
  .param .u64 .ptr .global .align 1 collatz_param_1,
  .param .u32 collatz_param_2
)
{
  .reg .pred   %p<8>;
  .reg .b32   %r<9>;
  .reg .b64   %rd<8>;
  mov.u32   %r3, %ctaid.x;
  shl.b32   %r4, %r3, 6;
  ld.param.b32   %r5, [collatz_param_2];
  mov.u32   %r6, %tid.x;
  add.s32   %r1, %r4, %r6;
  setp.ge.u32   %p1, %r1, %r5;
  @%p1 bra   $L__BB4_10;
  ld.param.b64   %rd3, [collatz_param_1];
  ld.param.b64   %rd2, [collatz_param_0];
  cvt.u64.u32   %rd1, %r1;
  mul.wide.u32   %rd4, %r1, 4;
  add.s64   %rd5, %rd2, %rd4;
  ld.global.nc.b32   %r2, [%rd5];
  mov.b32   %r8, -1;
  setp.eq.b32   %p2, %r2, 0;
  @%p2 bra   $L__BB4_9;
  mov.b32   %r8, 0;
  setp.eq.b32   %p3, %r2, 1;
  @%p3 bra   $L__BB4_9;
  bra.uni   $L__BB4_3;
$L__BB4_7:
  shr.u32   %r2, %r2, 1;
$L__BB4_8:
  add.s32   %r8, %r8, 1;
  setp.eq.b32   %p7, %r2, 1;
  @%p7 bra   $L__BB4_9;
$L__BB4_3:
  and.b32   %r7, %r2, 1;
  setp.ne.b32   %p4, %r7, 0;
  not.pred   %p5, %p4;
  @%p5 bra   $L__BB4_7;
  setp.lt.u32   %p6, %r2, 1000001;
  @%p6 bra   $L__BB4_6;
  bra.uni   $L__BB4_5;
$L__BB4_6:
  mad.lo.s32   %r2, %r2, 3, 1;
  bra.uni   $L__BB4_8;
$L__BB4_5:
  or.b32   %r8, %r8, -2147483648;
$L__BB4_9:
  shl.b64   %rd6, %rd1, 2;
  add.s64   %rd7, %rd3, %rd6;
  st.global.b32   [%rd7], %r8;
$L__BB4_10:
  ret;
}
)ptx";

// bf16 rounding and widening, 4 elements a thread.
const char *const roundtripPTX = R"ptx(.version 7.1
.target sm_80
.address_size 64
.visible .entry roundtrip(
  .param .u64 .ptr .global .align 1 roundtrip_param_0,
  .param .u64 .ptr .global .align 1 roundtrip_param_1
)
{
  .reg .b16   %rs<9>;
  .reg .b32   %r<21>;
  .reg .b64   %rd<6>;
  ld.param.b64   %rd1, [roundtrip_param_0];
  ld.param.b64   %rd2, [roundtrip_param_1];
  mov.u32   %r1, %ctaid.x;
  shl.b32   %r2, %r1, 6;
  mov.u32   %r3, %tid.x;
  add.s32   %r4, %r2, %r3;
  mul.wide.u32   %rd3, %r4, 16;
  add.s64   %rd4, %rd1, %rd3;
  ld.global.nc.v4.b32   {%r5, %r6, %r7, %r8}, [%rd4];
  cvt.rn.bf16.f32   %rs1, %r5;
  cvt.rn.f16.f32   %rs2, %r5;
  cvt.f32.bf16   %r9, %rs1;
  cvt.f32.f16   %r10, %rs2;
  add.rn.f32   %r11, %r9, %r10;
  cvt.rn.bf16.f32   %rs3, %r6;
  cvt.rn.f16.f32   %rs4, %r6;
  cvt.f32.bf16   %r12, %rs3;
  cvt.f32.f16   %r13, %rs4;
  add.rn.f32   %r14, %r12, %r13;
  cvt.rn.bf16.f32   %rs5, %r7;
  cvt.rn.f16.f32   %rs6, %r7;
  cvt.f32.bf16   %r15, %rs5;
  cvt.f32.f16   %r16, %rs6;
  add.rn.f32   %r17, %r15, %r16;
  cvt.rn.bf16.f32   %rs7, %r8;
  cvt.rn.f16.f32   %rs8, %r8;
  cvt.f32.bf16   %r18, %rs7;
  cvt.f32.f16   %r19, %rs8;
  add.rn.f32   %r20, %r18, %r19;
  add.s64   %rd5, %rd2, %rd3;
  st.global.v4.b32   [%rd5], {%r11, %r14, %r17, %r20};
  ret;
}
)ptx";
