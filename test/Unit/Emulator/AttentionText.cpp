//===- AttentionText.cpp - PTX of softmax and attention ---------*- C++ -*-===//
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

// Softmax of rows of n floats, one block of 256 a row.
const char *const softmaxPTX = R"ptx(.version 7.0
.target sm_80
.address_size 64
.visible .shared .align 4 .b8 red[32];
.visible .entry softmax(
  .param .u64 .ptr .global .align 1 softmax_param_0,
  .param .u64 .ptr .global .align 1 softmax_param_1,
  .param .u32 softmax_param_2
)
{
  .reg .pred   %p<6>;
  .reg .b32   %r<72>;
  .reg .b64   %rd<20>;
  ld.param.b32   %r6, [softmax_param_2];
  ld.param.b64   %rd4, [softmax_param_0];
  mov.u32   %r71, %tid.x;
  mov.u32   %r7, %ctaid.x;
  cvt.u64.u32   %rd1, %r7;
  cvt.s64.s32   %rd2, %r6;
  setp.ge.s32   %p1, %r71, %r6;
  mov.b32   %r67, 0fFF800000;
  mul.lo.s64   %rd14, %rd2, %rd1;
  mul.wide.u32   %rd15, %r71, 4;
  @%p1 bra   $L__BB1_3;
  shl.b64   %rd6, %rd14, 2;
  add.s64   %rd7, %rd6, %rd15;
  add.s64   %rd16, %rd4, %rd7;
  mov.b32   %r67, 0fFF800000;
  mov.b32   %r68, %r71;
$L__BB1_2:
  ld.global.nc.b32   %r8, [%rd16];
  max.f32   %r67, %r67, %r8;
  add.s32   %r68, %r68, 256;
  add.s64   %rd16, %rd16, 1024;
  setp.lt.s32   %p2, %r68, %r6;
  @%p2 bra   $L__BB1_2;
$L__BB1_3:
  shfl.sync.bfly.b32   %r9, %r67, 16, 31, -1;
  max.f32   %r10, %r67, %r9;
  shfl.sync.bfly.b32   %r11, %r10, 8, 31, -1;
  max.f32   %r12, %r10, %r11;
  shfl.sync.bfly.b32   %r13, %r12, 4, 31, -1;
  max.f32   %r14, %r12, %r13;
  shfl.sync.bfly.b32   %r15, %r14, 2, 31, -1;
  max.f32   %r16, %r14, %r15;
  shfl.sync.bfly.b32   %r17, %r16, 1, 31, -1;
  and.b32   %r1, %r71, 31;
  setp.eq.b32   %p3, %r1, 0;
  shr.u32   %r18, %r71, 5;
  mul.wide.u32   %rd8, %r18, 4;
  mov.b64   %rd9, red;
  add.s64   %rd3, %rd9, %rd8;
  @%p3 bra   $L__BB1_4;
  bra.uni   $L__BB1_5;
$L__BB1_4:
  max.f32   %r2, %r16, %r17;
  st.shared.b32   [%rd3], %r2;
$L__BB1_5:
  bar.sync   0;
  ld.shared.b32   %r19, [red];
  ld.shared.b32   %r20, [red+4];
  max.f32   %r21, %r19, %r20;
  ld.shared.b32   %r22, [red+8];
  max.f32   %r23, %r21, %r22;
  ld.shared.b32   %r24, [red+12];
  max.f32   %r25, %r23, %r24;
  ld.shared.b32   %r26, [red+16];
  max.f32   %r27, %r25, %r26;
  ld.shared.b32   %r28, [red+20];
  max.f32   %r29, %r27, %r28;
  ld.shared.b32   %r30, [red+24];
  max.f32   %r31, %r29, %r30;
  ld.shared.b32   %r32, [red+28];
  max.f32   %r3, %r31, %r32;
  bar.sync   0;
  mov.b32   %r70, 0f00000000;
  @%p1 bra   $L__BB1_8;
  shl.b64   %rd10, %rd14, 2;
  add.s64   %rd11, %rd10, %rd15;
  add.s64   %rd17, %rd4, %rd11;
  mov.b32   %r70, 0f00000000;
  mov.b32   %r69, %r71;
$L__BB1_7:
  ld.global.nc.b32   %r33, [%rd17];
  sub.rn.f32   %r34, %r33, %r3;
  mul.rn.f32   %r35, %r34, 0f3FB8AA3B;
  ex2.approx.ftz.f32   %r36, %r35;
  add.rn.f32   %r70, %r70, %r36;
  add.s32   %r69, %r69, 256;
  add.s64   %rd17, %rd17, 1024;
  setp.lt.s32   %p4, %r69, %r6;
  @%p4 bra   $L__BB1_7;
$L__BB1_8:
  shfl.sync.bfly.b32   %r37, %r70, 16, 31, -1;
  add.rn.f32   %r38, %r70, %r37;
  shfl.sync.bfly.b32   %r39, %r38, 8, 31, -1;
  add.rn.f32   %r40, %r38, %r39;
  shfl.sync.bfly.b32   %r41, %r40, 4, 31, -1;
  add.rn.f32   %r42, %r40, %r41;
  shfl.sync.bfly.b32   %r43, %r42, 2, 31, -1;
  add.rn.f32   %r44, %r42, %r43;
  shfl.sync.bfly.b32   %r45, %r44, 1, 31, -1;
  @%p3 bra   $L__BB1_9;
  bra.uni   $L__BB1_10;
$L__BB1_9:
  add.rn.f32   %r4, %r44, %r45;
  st.shared.b32   [%rd3], %r4;
$L__BB1_10:
  bar.sync   0;
  @%p1 bra   $L__BB1_13;
  ld.param.b64   %rd5, [softmax_param_1];
  ld.shared.b32   %r46, [red];
  add.rn.f32   %r47, %r46, 0f00000000;
  ld.shared.b32   %r48, [red+4];
  add.rn.f32   %r49, %r47, %r48;
  ld.shared.b32   %r50, [red+8];
  add.rn.f32   %r51, %r49, %r50;
  ld.shared.b32   %r52, [red+12];
  add.rn.f32   %r53, %r51, %r52;
  ld.shared.b32   %r54, [red+16];
  add.rn.f32   %r55, %r53, %r54;
  ld.shared.b32   %r56, [red+20];
  add.rn.f32   %r57, %r55, %r56;
  ld.shared.b32   %r58, [red+24];
  add.rn.f32   %r59, %r57, %r58;
  ld.shared.b32   %r60, [red+28];
  add.rn.f32   %r61, %r59, %r60;
  rcp.rn.f32   %r5, %r61;
  shl.b64   %rd12, %rd14, 2;
  add.s64   %rd13, %rd12, %rd15;
  add.s64   %rd19, %rd4, %rd13;
  add.s64   %rd18, %rd5, %rd13;
$L__BB1_12:
  ld.global.nc.b32   %r62, [%rd19];
  sub.rn.f32   %r63, %r62, %r3;
  mul.rn.f32   %r64, %r63, 0f3FB8AA3B;
  ex2.approx.ftz.f32   %r65, %r64;
  mul.rn.f32   %r66, %r5, %r65;
  st.global.b32   [%rd18], %r66;
  add.s32   %r71, %r71, 256;
  add.s64   %rd19, %rd19, 1024;
  add.s64   %rd18, %rd18, 1024;
  setp.lt.s32   %p5, %r71, %r6;
  @%p5 bra   $L__BB1_12;
$L__BB1_13:
  ret;
}
)ptx";

// Causal attention, one warp a query, head dimension 64, online softmax over
// keys.
const char *const attentionPTX = R"ptx(.version 7.0
.target sm_80
.address_size 64
.visible .entry attention(
  .param .u64 .ptr .global .align 1 attention_param_0,
  .param .u64 .ptr .global .align 1 attention_param_1,
  .param .u64 .ptr .global .align 1 attention_param_2,
  .param .u64 .ptr .global .align 1 attention_param_3,
  .param .u32 attention_param_4,
  .param .f32 attention_param_5
)
{
  .reg .pred   %p<3>;
  .reg .b32   %r<43>;
  .reg .b64   %rd<15>;
  mov.u32   %r1, %tid.x;
  mov.u32   %r7, %ctaid.x;
  shl.b32   %r8, %r7, 2;
  shr.u32   %r9, %r1, 5;
  ld.param.b32   %r10, [attention_param_4];
  add.s32   %r2, %r8, %r9;
  setp.ge.s32   %p1, %r2, %r10;
  @%p1 bra   $L__BB2_4;
  ld.param.b32   %r6, [attention_param_5];
  ld.param.b64   %rd5, [attention_param_3];
  ld.param.b64   %rd4, [attention_param_2];
  ld.param.b64   %rd3, [attention_param_1];
  ld.param.b64   %rd2, [attention_param_0];
  and.b32   %r11, %r1, 31;
  mul.wide.u32   %rd6, %r2, 64;
  cvt.u64.u32   %rd7, %r11;
  or.b64   %rd1, %rd6, %rd7;
  shl.b64   %rd8, %rd1, 2;
  add.s64   %rd9, %rd2, %rd8;
  ld.global.nc.b32   %r3, [%rd9];
  ld.global.nc.b32   %r4, [%rd9+128];
  add.s32   %r38, %r2, 1;
  mul.wide.u32   %rd10, %r11, 4;
  or.b64   %rd11, %rd10, 128;
  add.s64   %rd14, %rd3, %rd11;
  add.s64   %rd13, %rd4, %rd11;
  mov.b32   %r40, 0f00000000;
  mov.b32   %r39, 0fF149F2CA;
  mov.b32   %r41, %r40;
  mov.b32   %r42, %r40;
$L__BB2_2:
  ld.global.nc.b32   %r12, [%rd14+-128];
  ld.global.nc.b32   %r13, [%rd14];
  mul.rn.f32   %r14, %r4, %r13;
  fma.rn.f32   %r15, %r3, %r12, %r14;
  shfl.sync.bfly.b32   %r16, %r15, 16, 31, -1;
  add.rn.f32   %r17, %r16, %r15;
  shfl.sync.bfly.b32   %r18, %r17, 8, 31, -1;
  add.rn.f32   %r19, %r18, %r17;
  shfl.sync.bfly.b32   %r20, %r19, 4, 31, -1;
  add.rn.f32   %r21, %r20, %r19;
  shfl.sync.bfly.b32   %r22, %r21, 2, 31, -1;
  add.rn.f32   %r23, %r22, %r21;
  shfl.sync.bfly.b32   %r24, %r23, 1, 31, -1;
  add.rn.f32   %r25, %r24, %r23;
  mul.rn.f32   %r26, %r6, %r25;
  mul.rn.f32   %r27, %r26, 0f3FB8AA3B;
  max.f32   %r5, %r39, %r27;
  sub.rn.f32   %r28, %r39, %r5;
  ex2.approx.ftz.f32   %r29, %r28;
  sub.rn.f32   %r30, %r27, %r5;
  ex2.approx.ftz.f32   %r31, %r30;
  fma.rn.f32   %r40, %r40, %r29, %r31;
  ld.global.nc.b32   %r32, [%rd13+-128];
  mul.rn.f32   %r33, %r31, %r32;
  fma.rn.f32   %r41, %r41, %r29, %r33;
  ld.global.nc.b32   %r34, [%rd13];
  mul.rn.f32   %r35, %r31, %r34;
  fma.rn.f32   %r42, %r42, %r29, %r35;
  add.s32   %r38, %r38, -1;
  add.s64   %rd14, %rd14, 256;
  add.s64   %rd13, %rd13, 256;
  setp.eq.b32   %p2, %r38, 0;
  mov.b32   %r39, %r5;
  @%p2 bra   $L__BB2_3;
  bra.uni   $L__BB2_2;
$L__BB2_3:
  div.rn.f32   %r36, %r41, %r40;
  add.s64   %rd12, %rd5, %rd8;
  st.global.b32   [%rd12], %r36;
  div.rn.f32   %r37, %r42, %r40;
  st.global.b32   [%rd12+128], %r37;
$L__BB2_4:
  ret;
}
)ptx";
