//===- MatmulText.cpp - PTX of a tiled matrix multiplication ----*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What the NVPTX backend makes of a plain kernel for sm_80.
//
//===----------------------------------------------------------------------===//

#include "KernelText.h"

// C[M,N] = A[M,K] B[K,N]; 32x32 tiles, 8x32 threads, 4 rows a thread.
const char *const matmulPTX = R"ptx(.version 7.0
.target sm_80
.address_size 64
.visible .shared .align 4 .b8 As[4096];
.visible .shared .align 4 .b8 Bs[4096];
.visible .entry matmul(
  .param .u64 .ptr .global .align 1 matmul_param_0,
  .param .u64 .ptr .global .align 1 matmul_param_1,
  .param .u64 .ptr .global .align 1 matmul_param_2,
  .param .u32 matmul_param_3,
  .param .u32 matmul_param_4,
  .param .u32 matmul_param_5
)
{
  .reg .pred   %p<33>;
  .reg .b32   %r<54>;
  .reg .b64   %rd<74>;
  ld.param.b32   %r13, [matmul_param_5];
  ld.param.b32   %r12, [matmul_param_4];
  ld.param.b32   %r11, [matmul_param_3];
  ld.param.b64   %rd27, [matmul_param_2];
  mov.u32   %r1, %tid.x;
  mov.u32   %r2, %tid.y;
  mov.u32   %r14, %ctaid.y;
  shl.b32   %r3, %r14, 5;
  mov.u32   %r15, %ctaid.x;
  shl.b32   %r4, %r15, 5;
  setp.gt.s32   %p1, %r13, 0;
  @%p1 bra   $L__BB0_11;
  bra.uni   $L__BB0_1;
$L__BB0_11:
  ld.param.b64   %rd26, [matmul_param_1];
  ld.param.b64   %rd25, [matmul_param_0];
  add.s32   %r40, %r4, %r1;
  cvt.u64.u32   %rd69, %r1;
  mul.wide.u32   %rd28, %r1, 4;
  add.s64   %rd1, %rd25, %rd28;
  cvt.u64.u32   %rd71, %r12;
  cvt.u64.u32   %rd70, %r4;
  mul.wide.u32   %rd29, %r4, 4;
  add.s64   %rd30, %rd26, %rd29;
  add.s64   %rd2, %rd30, %rd28;
  shl.b32   %r17, %r2, 5;
  add.s32   %r41, %r2, %r3;
  cvt.u64.u32   %rd68, %r41;
  mul.wide.u32   %rd3, %r41, %r13;
  add.s32   %r18, %r17, %r1;
  mul.wide.u32   %rd31, %r18, 4;
  mov.b64   %rd32, As;
  add.s64   %rd4, %rd32, %rd31;
  mov.b64   %rd33, Bs;
  add.s64   %rd5, %rd33, %rd31;
  add.s32   %r5, %r41, 8;
  mul.wide.u32   %rd6, %r5, %r13;
  add.s32   %r6, %r41, 16;
  mul.wide.u32   %rd7, %r6, %r13;
  add.s32   %r7, %r41, 24;
  mul.wide.u32   %rd8, %r7, %r13;
  mul.wide.u32   %rd34, %r2, 128;
  add.s64   %rd35, %rd34, %rd32;
  add.s64   %rd9, %rd35, 2048;
  add.s64   %rd10, %rd33, %rd28;
  mov.b32   %r8, 0;
  mov.b32   %r16, 0f00000000;
  setp.lt.s32   %p2, %r41, %r11;
  shl.b64   %rd37, %rd3, 2;
  setp.ge.s32   %p5, %r40, %r12;
  setp.ge.s32   %p9, %r5, %r11;
  shl.b64   %rd41, %rd6, 2;
  setp.ge.s32   %p13, %r6, %r11;
  shl.b64   %rd45, %rd7, 2;
  shl.b64   %rd49, %rd8, 2;
  mov.b32   %r50, %r16;
  mov.b32   %r51, %r16;
  mov.b32   %r52, %r16;
  mov.b32   %r53, %r16;
$L__BB0_12:
  add.s32   %r9, %r8, %r1;
  setp.lt.s32   %p3, %r9, %r13;
  mul.wide.u32   %rd36, %r8, 4;
  add.s64   %rd11, %rd1, %rd36;
  and.pred   %p4, %p2, %p3;
  mov.b32   %r42, %r16;
  @%p4 bra   $L__BB0_13;
  bra.uni   $L__BB0_14;
$L__BB0_13:
  add.s64   %rd12, %rd11, %rd37;
  ld.global.nc.b32   %r42, [%rd12];
$L__BB0_14:
  st.shared.b32   [%rd4], %r42;
  add.s32   %r10, %r2, %r8;
  setp.ge.s32   %p6, %r10, %r13;
  mov.b32   %r44, 0f00000000;
  or.pred   %p7, %p6, %p5;
  mov.b32   %r43, %r44;
  @%p7 bra   $L__BB0_16;
  cvt.u64.u32   %rd38, %r10;
  mul.lo.s64   %rd39, %rd38, %rd71;
  shl.b64   %rd40, %rd39, 2;
  add.s64   %rd15, %rd2, %rd40;
  ld.global.nc.b32   %r43, [%rd15];
$L__BB0_16:
  setp.ge.s32   %p8, %r9, %r13;
  st.shared.b32   [%rd5], %r43;
  or.pred   %p10, %p9, %p8;
  @%p10 bra   $L__BB0_18;
  add.s64   %rd16, %rd11, %rd41;
  ld.global.nc.b32   %r44, [%rd16];
$L__BB0_18:
  st.shared.b32   [%rd4+1024], %r44;
  add.s32   %r19, %r10, 8;
  setp.ge.s32   %p11, %r19, %r13;
  mov.b32   %r46, 0f00000000;
  or.pred   %p12, %p11, %p5;
  mov.b32   %r45, %r46;
  @%p12 bra   $L__BB0_20;
  cvt.u64.u32   %rd42, %r19;
  mul.lo.s64   %rd43, %rd42, %rd71;
  shl.b64   %rd44, %rd43, 2;
  add.s64   %rd17, %rd2, %rd44;
  ld.global.nc.b32   %r45, [%rd17];
$L__BB0_20:
  st.shared.b32   [%rd5+1024], %r45;
  or.pred   %p14, %p13, %p8;
  @%p14 bra   $L__BB0_22;
  add.s64   %rd18, %rd11, %rd45;
  ld.global.nc.b32   %r46, [%rd18];
$L__BB0_22:
  st.shared.b32   [%rd4+2048], %r46;
  add.s32   %r20, %r10, 16;
  setp.ge.s32   %p15, %r20, %r13;
  mov.b32   %r48, 0f00000000;
  or.pred   %p16, %p15, %p5;
  mov.b32   %r47, %r48;
  @%p16 bra   $L__BB0_24;
  cvt.u64.u32   %rd46, %r20;
  mul.lo.s64   %rd47, %rd46, %rd71;
  shl.b64   %rd48, %rd47, 2;
  add.s64   %rd19, %rd2, %rd48;
  ld.global.nc.b32   %r47, [%rd19];
$L__BB0_24:
  setp.ge.s32   %p17, %r7, %r11;
  st.shared.b32   [%rd5+2048], %r47;
  or.pred   %p18, %p17, %p8;
  @%p18 bra   $L__BB0_26;
  add.s64   %rd20, %rd11, %rd49;
  ld.global.nc.b32   %r48, [%rd20];
$L__BB0_26:
  st.shared.b32   [%rd4+3072], %r48;
  add.s32   %r21, %r10, 24;
  setp.ge.s32   %p19, %r21, %r13;
  mov.b32   %r49, 0f00000000;
  or.pred   %p20, %p19, %p5;
  @%p20 bra   $L__BB0_28;
  cvt.u64.u32   %rd50, %r21;
  mul.lo.s64   %rd51, %rd50, %rd71;
  shl.b64   %rd52, %rd51, 2;
  add.s64   %rd21, %rd2, %rd52;
  ld.global.nc.b32   %r49, [%rd21];
$L__BB0_28:
  st.shared.b32   [%rd5+3072], %r49;
  bar.sync   0;
  mov.b64   %rd73, 0;
  mov.b64   %rd72, %rd9;
$L__BB0_29:
  add.s64   %rd53, %rd10, %rd73;
  ld.shared.b32   %r22, [%rd53];
  ld.shared.b32   %r23, [%rd72+-2048];
  fma.rn.f32   %r24, %r23, %r22, %r50;
  ld.shared.b32   %r25, [%rd72+-1024];
  fma.rn.f32   %r26, %r25, %r22, %r51;
  ld.shared.b32   %r27, [%rd72];
  fma.rn.f32   %r28, %r27, %r22, %r52;
  ld.shared.b32   %r29, [%rd72+1024];
  fma.rn.f32   %r30, %r29, %r22, %r53;
  ld.shared.b32   %r31, [%rd53+128];
  ld.shared.b32   %r32, [%rd72+-2044];
  fma.rn.f32   %r50, %r32, %r31, %r24;
  ld.shared.b32   %r33, [%rd72+-1020];
  fma.rn.f32   %r51, %r33, %r31, %r26;
  ld.shared.b32   %r34, [%rd72+4];
  fma.rn.f32   %r52, %r34, %r31, %r28;
  ld.shared.b32   %r35, [%rd72+1028];
  fma.rn.f32   %r53, %r35, %r31, %r30;
  add.s64   %rd73, %rd73, 256;
  cvt.u32.u64   %r36, %rd73;
  add.s64   %rd72, %rd72, 8;
  setp.eq.b32   %p21, %r36, 4096;
  @%p21 bra   $L__BB0_30;
  bra.uni   $L__BB0_29;
$L__BB0_30:
  bar.sync   0;
  add.s32   %r8, %r8, 32;
  setp.lt.s32   %p22, %r8, %r13;
  @%p22 bra   $L__BB0_12;
  bra.uni   $L__BB0_2;
$L__BB0_1:
  add.s32   %r41, %r3, %r2;
  add.s32   %r40, %r4, %r1;
  cvt.u64.u32   %rd71, %r12;
  cvt.u64.u32   %rd70, %r4;
  cvt.u64.u32   %rd69, %r1;
  cvt.u64.u32   %rd68, %r41;
  mov.b32   %r50, 0f00000000;
  mov.b32   %r51, %r50;
  mov.b32   %r52, %r50;
  mov.b32   %r53, %r50;
$L__BB0_2:
  setp.lt.s32   %p23, %r40, %r12;
  shl.b64   %rd54, %rd70, 2;
  add.s64   %rd55, %rd27, %rd54;
  shl.b64   %rd56, %rd69, 2;
  add.s64   %rd13, %rd55, %rd56;
  setp.lt.s32   %p24, %r41, %r11;
  and.pred   %p25, %p24, %p23;
  @%p25 bra   $L__BB0_3;
  bra.uni   $L__BB0_4;
$L__BB0_3:
  mul.lo.s64   %rd57, %rd71, %rd68;
  shl.b64   %rd58, %rd57, 2;
  add.s64   %rd14, %rd13, %rd58;
  st.global.b32   [%rd14], %r50;
$L__BB0_4:
  setp.ge.s32   %p26, %r40, %r12;
  add.s32   %r37, %r41, 8;
  setp.ge.s32   %p27, %r37, %r11;
  or.pred   %p28, %p27, %p26;
  @%p28 bra   $L__BB0_6;
  cvt.u64.u32   %rd59, %r37;
  mul.lo.s64   %rd60, %rd71, %rd59;
  shl.b64   %rd61, %rd60, 2;
  add.s64   %rd22, %rd13, %rd61;
  st.global.b32   [%rd22], %r51;
$L__BB0_6:
  add.s32   %r38, %r41, 16;
  setp.ge.s32   %p29, %r38, %r11;
  or.pred   %p30, %p29, %p26;
  @%p30 bra   $L__BB0_8;
  cvt.u64.u32   %rd62, %r38;
  mul.lo.s64   %rd63, %rd71, %rd62;
  shl.b64   %rd64, %rd63, 2;
  add.s64   %rd23, %rd13, %rd64;
  st.global.b32   [%rd23], %r52;
$L__BB0_8:
  add.s32   %r39, %r41, 24;
  setp.ge.s32   %p31, %r39, %r11;
  or.pred   %p32, %p31, %p26;
  @%p32 bra   $L__BB0_10;
  cvt.u64.u32   %rd65, %r39;
  mul.lo.s64   %rd66, %rd71, %rd65;
  shl.b64   %rd67, %rd66, 2;
  add.s64   %rd24, %rd13, %rd67;
  st.global.b32   [%rd24], %r53;
$L__BB0_10:
  ret;
}
)ptx";
