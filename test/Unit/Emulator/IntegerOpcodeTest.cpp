//===- IntegerOpcodeTest.cpp - Integer instructions on edge values -*- C++
//-*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Expected values follow the PTX documentation, computed by hand.
//
//===----------------------------------------------------------------------===//

#include "OpcodeHarness.h"

using namespace ropewalk::emulator;

namespace {

constexpr uint64_t M32 = 0xffffffff;
constexpr uint64_t M64 = ~uint64_t(0);

// Guards wrap-around and saturation.
TEST_F(OpcodeTest, AddAndSubtract) {
  check("add.s32 %r0, %r1, %r2;", 'r',
        {{0x7fffffff, 1, 0, 0x80000000}, {5, M32, 0, 4}});
  check("add.sat.s32 %r0, %r1, %r2;", 'r',
        {{0x7fffffff, 1, 0, 0x7fffffff}, {0x80000000, M32, 0, 0x80000000}});
  check("sub.sat.s32 %r0, %r1, %r2;", 'r',
        {{0x80000000, 1, 0, 0x80000000}, {7, 9, 0, M32 - 1}});
  check("sub.u16 %h0, %h1, %h2;", 'h', {{1, 2, 0, 0xffff}});
  check("add.u64 %d0, %d1, %d2;", 'd', {{M64, 2, 0, 1}});
}

// Guards the halves of products and their extension.
TEST_F(OpcodeTest, Multiply) {
  check("mul.lo.s32 %r0, %r1, %r2;", 'r', {{0x10001, 0x10001, 0, 0x20001}});
  check("mul.hi.s32 %r0, %r1, %r2;", 'r',
        {{M32, M32, 0, 0}, {M32, 1, 0, M32}, {0x80000000, 2, 0, M32}});
  check("mul.hi.u32 %r0, %r1, %r2;", 'r', {{M32, M32, 0, 0xfffffffe}});
  check("mul.hi.u64 %d0, %d1, %d2;", 'd', {{M64, M64, 0, M64 - 1}});
  check("mul.hi.s64 %d0, %d1, %d2;", 'd', {{M64, 5, 0, M64}});
  check("mul.wide.s32 %d0, %r1, %r2;", 'd', {{M32, 3, 0, M64 - 2}});
  check("mul.wide.u32 %d0, %r1, %r2;", 'd', {{M32, 3, 0, 0x2fffffffd}});
  check("mul.wide.u16 %r0, %h1, %h2;", 'r', {{0xffff, 0xffff, 0, 0xfffe0001}});
  check("mad.lo.s32 %r0, %r1, %r2, %r3;", 'r', {{7, 6, 5, 47}});
  check("mad.wide.s32 %d0, %r1, %r2, %d3;", 'd', {{M32, 2, 1, M64}});
  check("mad.hi.u32 %r0, %r1, %r2, %r3;", 'r', {{M32, M32, 3, 1}});
  check("mul24.lo.u32 %r0, %r1, %r2;", 'r', {{0xff000002, 3, 0, 6}});
  check("sad.u32 %r0, %r1, %r2, %r3;", 'r', {{3, 10, 1, 8}, {10, 3, 1, 8}});
}

// Guards division by zero, by -1 and signs of remainders.
TEST_F(OpcodeTest, Divide) {
  check("div.s32 %r0, %r1, %r2;", 'r',
        {{7, M32 - 1, 0, M32 - 2},
         {0x80000000, M32, 0, 0x80000000},
         {5, 0, 0, M32}});
  check("rem.s32 %r0, %r1, %r2;", 'r',
        {{M32 - 6, 3, 0, M32}, {0x80000000, M32, 0, 0}, {5, 0, 0, 5}});
  check("div.u64 %d0, %d1, %d2;", 'd', {{M64, 10, 0, M64 / 10}});
  check("div.s64 %d0, %d1, %d2;", 'd',
        {{uint64_t(1) << 63, M64, 0, uint64_t(1) << 63},
         {M64 - 8, 2, 0, M64 - 3}});
  check("rem.u64 %d0, %d1, %d2;", 'd', {{M64, 10, 0, 5}});
  check("div.u16 %h0, %h1, %h2;", 'h', {{65535, 256, 0, 255}});
}

// Guards the order of signed and unsigned numbers.
TEST_F(OpcodeTest, MinMaxAbsNeg) {
  check("min.s32 %r0, %r1, %r2;", 'r', {{M32, 1, 0, M32}});
  check("min.u32 %r0, %r1, %r2;", 'r', {{M32, 1, 0, 1}});
  check("max.s64 %d0, %d1, %d2;", 'd', {{M64, 1, 0, 1}});
  check("max.u16 %h0, %h1, %h2;", 'h', {{0xffff, 1, 0, 0xffff}});
  check("abs.s32 %r0, %r1;", 'r',
        {{M32, 0, 0, 1}, {0x80000000, 0, 0, 0x80000000}});
  check("neg.s16 %h0, %h1;", 'h', {{1, 0, 0, 0xffff}});
}

// Guards that counts from the width on are clamped, also beyond 32 and 64.
TEST_F(OpcodeTest, ShiftsClampTheirCount) {
  check("shl.b32 %r0, %r1, %r2;", 'r',
        {{1, 31, 0, 0x80000000}, {1, 32, 0, 0}, {1, M32, 0, 0}});
  check("shr.s32 %r0, %r1, %r2;", 'r',
        {{0x80000000, 31, 0, M32}, {0x80000000, 99, 0, M32}, {4, 64, 0, 0}});
  check("shr.u32 %r0, %r1, %r2;", 'r',
        {{0x80000000, 31, 0, 1}, {0x80000000, 32, 0, 0}});
  check("shl.b64 %d0, %d1, %r2;", 'd', {{1, 63, 0, 1ull << 63}, {1, 64, 0, 0}});
  check("shr.s64 %d0, %d1, %r2;", 'd', {{1ull << 63, 200, 0, M64}});
  check("shl.b16 %h0, %h1, %r2;", 'h', {{1, 15, 0, 0x8000}, {1, 16, 0, 0}});
  check("shr.s16 %h0, %h1, %r2;", 'h', {{0x8000, 20, 0, 0xffff}});
  check("shf.l.wrap.b32 %r0, %r1, %r2, %r3;", 'r',
        {{0x80000000, 1, 1, 3}, {5, 9, 32, 9}});
  check("shf.l.clamp.b32 %r0, %r1, %r2, %r3;", 'r', {{5, 9, 40, 5}});
  check("shf.r.wrap.b32 %r0, %r1, %r2, %r3;", 'r', {{0, 1, 1, 0x80000000}});
  check("shf.r.clamp.b32 %r0, %r1, %r2, %r3;", 'r', {{5, 9, 32, 9}});
}

// Guards logic, lop3's table and prmt's modes.
TEST_F(OpcodeTest, LogicAndBytes) {
  check("and.b32 %r0, %r1, %r2;", 'r', {{0xf0f0, 0xff00, 0, 0xf000}});
  check("xor.b64 %d0, %d1, %d2;", 'd', {{M64, 1, 0, M64 - 1}});
  check("not.b16 %h0, %h1;", 'h', {{1, 0, 0, 0xfffe}});
  check("cnot.b32 %r0, %r1;", 'r', {{0, 0, 0, 1}, {7, 0, 0, 0}});
  // (a & b) | (~a & c) has the table 0xca.
  check("lop3.b32 %r0, %r1, %r2, %r3, 0xca;", 'r',
        {{0xff00ff00, 0x12345678, 0x9abcdef0, 0x12bc56f0}});
  check("prmt.b32 %r0, %r1, %r2, %r3;", 'r',
        {{0x03020100, 0x07060504, 0x7531, 0x07050301},
         {0x000000f0, 0, 0x8888, M32}});
  check("prmt.b32.f4e %r0, %r1, %r2, %r3;", 'r',
        {{0x03020100, 0x07060504, 1, 0x04030201}});
  check("prmt.b32.rc8 %r0, %r1, %r2, %r3;", 'r',
        {{0x03020100, 0, 2, 0x02020202}});
}

// Guards bit fields, also those that reach past the end.
TEST_F(OpcodeTest, BitFields) {
  check("bfe.u32 %r0, %r1, %r2, %r3;", 'r',
        {{0xabcd1234, 8, 8, 0x12},
         {0xabcd1234, 24, 16, 0xab},
         {0xabcd1234, 40, 4, 0},
         {0xabcd1234, 0, 0, 0},
         {0xabcd1234, 0, 32, 0xabcd1234}});
  check("bfe.s32 %r0, %r1, %r2, %r3;", 'r',
        {{0xf00, 8, 4, M32}, {0xf00, 8, 5, 0xf}, {0x80000000, 40, 4, M32}});
  check("bfi.b32 %r0, %r1, %r2, 8, 4;", 'r', {{0xff, 0, 0, 0xf00}});
  check("bfi.b64 %d0, %d1, %d2, 60, 8;", 'd',
        {{0xab, 0, 0, 0xb000000000000000}});
  check("bfind.u32 %r0, %r1;", 'r', {{0, 0, 0, M32}, {0x10, 0, 0, 4}});
  check("bfind.s32 %r0, %r1;", 'r', {{M32, 0, 0, M32}, {M32 - 4, 0, 0, 2}});
  check("bfind.shiftamt.u32 %r0, %r1;", 'r', {{0x10, 0, 0, 27}});
  check("clz.b32 %r0, %r1;", 'r', {{0, 0, 0, 32}, {1, 0, 0, 31}});
  check("clz.b64 %r0, %d1;", 'r', {{0, 0, 0, 64}});
  check("popc.b64 %r0, %d1;", 'r', {{M64, 0, 0, 64}});
  check("brev.b32 %r0, %r1;", 'r', {{1, 0, 0, 0x80000000}});
}

// Guards comparisons of both signs and the combination with a predicate.
TEST_F(OpcodeTest, CompareIntegers) {
  check("setp.lt.s32 %p0, %r1, %r2;", 'p', {{M32, 0, 0, 1}, {0, M32, 0, 0}});
  check("setp.lt.u32 %p0, %r1, %r2;", 'p', {{M32, 0, 0, 0}});
  check("setp.hs.u64 %p0, %d1, %d2;", 'p', {{M64, M64, 0, 1}});
  check("setp.eq.and.b32 %p0, %r1, %r2, %p3;", 'p',
        {{1, 1, 1, 1}, {1, 1, 0, 0}, {1, 2, 1, 0}});
  check("setp.eq.or.b32 %p0, %r1, %r2, !%p3;", 'p', {{1, 2, 0, 1}});
  check("setp.eq.xor.b32 %p4|%p0, %r1, %r2, %p3;", 'p',
        {{1, 1, 1, 1}, {1, 2, 1, 0}});
  check("selp.b32 %r0, %r1, %r2, %p3;", 'r', {{8, 9, 1, 8}, {8, 9, 0, 9}});
  check("slct.u32.s32 %r0, %r1, %r2, %r3;", 'r', {{8, 9, M32, 9}});
  check("set.lt.u32.s32 %r0, %r1, %r2;", 'r', {{1, 2, 0, M32}, {2, 1, 0, 0}});
  check("set.lt.f32.s32 %r0, %r1, %r2;", 'r', {{1, 2, 0, f(1)}});
}

// Guards extension and truncation between registers of different widths.
TEST_F(OpcodeTest, ConvertIntegers) {
  check("cvt.s64.s32 %d0, %r1;", 'd', {{M32, 0, 0, M64}});
  check("cvt.u64.u32 %d0, %r1;", 'd', {{M32, 0, 0, M32}});
  check("cvt.s32.s8 %r0, %r1;", 'r', {{0x1ff, 0, 0, M32}, {0x7f, 0, 0, 127}});
  check("cvt.u32.u8 %r0, %r1;", 'r', {{0x1ff, 0, 0, 255}});
  check("cvt.sat.u8.s32 %r0, %r1;", 'r', {{M32, 0, 0, 0}, {300, 0, 0, 255}});
  check("cvt.sat.s8.s32 %r0, %r1;", 'r',
        {{300, 0, 0, 127}, {M32 - 999, 0, 0, 0xffffff80}});
  check("cvt.sat.s32.u32 %r0, %r1;", 'r', {{M32, 0, 0, 0x7fffffff}});
  check("cvt.sat.u16.s64 %h0, %d1;", 'h',
        {{M64, 0, 0, 0}, {1 << 20, 0, 0, 0xffff}});
}

// Guards packing in both directions.
TEST_F(OpcodeTest, MovePacked) {
  check("mov.b64 %d0, {%r1, %r2};", 'd', {{1, 2, 0, 0x200000001}});
  check("mov.b32 %r0, {%h1, %h2};", 'r', {{1, 2, 0, 0x20001}});
  check("mov.b64 {%r5, %r0}, %d1;", 'r', {{0x200000001, 0, 0, 2}});
  check("mov.b64 {_, %r0}, %d1;", 'r', {{0x200000001, 0, 0, 2}});
  check("mov.b64 %d0, {%h1, %h2, %h3, %h1};", 'd',
        {{1, 2, 3, 0x0001000300020001}});
}

} // namespace
