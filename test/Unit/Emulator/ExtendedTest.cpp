//===- ExtendedTest.cpp - Carries, dot products, masks, moves ---*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Expected values are computed as the PTX documentation describes the
// instructions, or by hand.
//
//===----------------------------------------------------------------------===//

#include "OpcodeHarness.h"

#include <cmath>

using namespace ropewalk::emulator;

namespace {

struct ExtendedTest : OpcodeTest {
  std::mt19937_64 random{3};

  /// Operands with many ones, zeros and ends of ranges among them.
  uint64_t operand() {
    switch (random() % 6) {
    case 0:
      return random() % 4;
    case 1:
      return ~(random() % 4);
    case 2:
      return uint64_t(1) << random() % 64;
    case 3:
      return (uint64_t(1) << random() % 64) - 1;
    default:
      return random();
    }
  }

  template <class F>
  void compare(const std::string &code, char result, F expected) {
    std::vector<Row> rows;
    for (int i = 0; i < 800; ++i) {
      uint64_t a = operand(), b = operand(), c = operand();
      rows.push_back({a, b, c, expected(a, b, c)});
    }
    check(code, result, rows);
  }
};

using U32 = uint32_t;
using U128 = unsigned __int128;

std::string errorOf(const std::string &body) {
  Error error;
  auto module = Module::parse(entryText(body, 1), error);
  return module ? "accepted" : error.message;
}

// Guards chains of carries and borrows, with 32 and 64 bits, and that a guard
// keeps the flag of other lanes.
TEST_F(ExtendedTest, CarriesAndBorrows) {
  compare("mov.b64 {%r4, %r5}, %d1; mov.b64 {%r6, %r7}, %d2;\n"
          "add.cc.u32 %r4, %r4, %r6; addc.u32 %r5, %r5, %r7;\n"
          "mov.b64 %d0, {%r4, %r5};",
          'd', [](uint64_t a, uint64_t b, uint64_t) { return a + b; });
  compare("mov.b64 {%r4, %r5}, %d1; mov.b64 {%r6, %r7}, %d2;\n"
          "sub.cc.s32 %r4, %r4, %r6; subc.s32 %r5, %r5, %r7;\n"
          "mov.b64 %d0, {%r4, %r5};",
          'd', [](uint64_t a, uint64_t b, uint64_t) { return a - b; });
  // The upper word of three, so that a carry passes through the middle one.
  compare("add.cc.u64 %d4, %d1, %d2; addc.cc.u64 %d4, %d2, %d3;\n"
          "addc.u64 %d0, 0, 0;",
          'd', [](uint64_t a, uint64_t b, uint64_t c) {
            uint64_t low = uint64_t((U128(a) + b) >> 64);
            return uint64_t((U128(b) + c + low) >> 64);
          });
  compare("sub.cc.u64 %d4, %d1, %d2; subc.cc.s64 %d4, %d2, %d3;\n"
          "subc.u64 %d0, 0, 0;",
          'd', [](uint64_t a, uint64_t b, uint64_t c) {
            U128 low = a < b;
            return b < c + low ? ~uint64_t(0) : 0;
          });
  check("setp.eq.u32 %p1, %r3, 1; mov.u32 %r4, -1; add.cc.u32 %r5, %r1, 1;\n"
        "@%p1 add.cc.u32 %r5, 0, 0; addc.u32 %r0, 0, 0;",
        'r', {{~0ull, 0, 0, 1}, {~0ull, 0, 1, 0}, {5, 0, 0, 0}});
}

// Guards products with a carry: 64 x 64 bits out of four of 32.
TEST_F(ExtendedTest, ProductsWithCarry) {
  const char *product =
      "mov.b64 {%r4, %r5}, %d1; mov.b64 {%r6, %r7}, %d2;\n"
      "mul.lo.u32 %r10, %r4, %r6; mul.hi.u32 %r11, %r4, %r6;\n"
      "mad.lo.cc.u32 %r11, %r5, %r6, %r11; madc.hi.u32 %r12, %r5, %r6, 0;\n"
      "mad.lo.cc.u32 %r11, %r4, %r7, %r11; madc.hi.cc.u32 %r12, %r4, %r7, "
      "%r12;\naddc.u32 %r13, 0, 0;\n"
      "mad.lo.cc.u32 %r12, %r5, %r7, %r12; madc.hi.u32 %r13, %r5, %r7, %r13;\n";
  compare(std::string(product) + "mov.b64 %d0, {%r10, %r11};", 'd',
          [](uint64_t a, uint64_t b, uint64_t) { return a * b; });
  compare(std::string(product) + "mov.b64 %d0, {%r12, %r13};", 'd',
          [](uint64_t a, uint64_t b, uint64_t) {
            return uint64_t(U128(a) * b >> 64);
          });
  compare("mad.hi.cc.s64 %d4, %d1, %d2, %d3; addc.u64 %d0, 0, 0;", 'd',
          [](uint64_t a, uint64_t b, uint64_t c) {
            uint64_t high = uint64_t(__int128(int64_t(a)) * int64_t(b) >> 64);
            return uint64_t(high + c < c);
          });
  compare("mad.hi.sat.s32 %r0, %r1, %r2, %r3;", 'r',
          [](uint64_t a, uint64_t b, uint64_t c) {
            int64_t sum = (int64_t(int32_t(a)) * int32_t(b) >> 32) + int32_t(c);
            return uint64_t(
                U32(std::clamp<int64_t>(sum, INT32_MIN, INT32_MAX)));
          });
}

// Guards the products of 24 bits and their upper halves.
TEST_F(ExtendedTest, ProductsOf24Bits) {
  auto cut = [](uint64_t v) { return int64_t(int32_t(U32(v) << 8) >> 8); };
  auto plain = [](uint64_t v) { return v & 0xffffff; };
  compare("mul24.lo.u32 %r0, %r1, %r2;", 'r',
          [&](uint64_t a, uint64_t b, uint64_t) {
            return uint64_t(U32(plain(a) * plain(b)));
          });
  compare("mul24.hi.u32 %r0, %r1, %r2;", 'r',
          [&](uint64_t a, uint64_t b, uint64_t) {
            return uint64_t(U32(plain(a) * plain(b) >> 16));
          });
  compare("mul24.hi.s32 %r0, %r1, %r2;", 'r',
          [&](uint64_t a, uint64_t b, uint64_t) {
            return uint64_t(U32(cut(a) * cut(b) >> 16));
          });
  compare("mad24.lo.s32 %r0, %r1, %r2, %r3;", 'r',
          [&](uint64_t a, uint64_t b, uint64_t c) {
            return uint64_t(U32(uint64_t(cut(a) * cut(b)) + c));
          });
  compare("mad24.hi.sat.s32 %r0, %r1, %r2, %r3;", 'r',
          [&](uint64_t a, uint64_t b, uint64_t c) {
            int64_t sum = int64_t(int32_t(cut(a) * cut(b) >> 16)) + int32_t(c);
            return uint64_t(
                U32(std::clamp<int64_t>(sum, INT32_MIN, INT32_MAX)));
          });
}

// Guards halves of words as integers, and the clamp at 0.
TEST_F(ExtendedTest, PackedIntegers) {
  auto pair = [](auto operation) {
    return [=](uint64_t a, uint64_t b, uint64_t) {
      uint64_t low = uint16_t(operation(uint16_t(a), uint16_t(b)));
      uint64_t high = uint16_t(operation(uint16_t(a >> 16), uint16_t(b >> 16)));
      return high << 16 | low;
    };
  };
  using I16 = int16_t;
  using U16 = uint16_t;
  compare("add.u16x2 %r0, %r1, %r2;", 'r',
          pair([](U16 a, U16 b) { return a + b; }));
  compare("add.s16x2 %r0, %r1, %r2;", 'r',
          pair([](U16 a, U16 b) { return a + b; }));
  compare("min.u16x2 %r0, %r1, %r2;", 'r',
          pair([](U16 a, U16 b) { return std::min(a, b); }));
  compare("max.u16x2 %r0, %r1, %r2;", 'r',
          pair([](U16 a, U16 b) { return std::max(a, b); }));
  compare("min.s16x2 %r0, %r1, %r2;", 'r',
          pair([](U16 a, U16 b) { return std::min(I16(a), I16(b)); }));
  compare("max.relu.s16x2 %r0, %r1, %r2;", 'r', pair([](U16 a, U16 b) {
            return std::max<int>(0, std::max(I16(a), I16(b)));
          }));
  compare("min.s16x2.relu %r0, %r1, %r2;", 'r', pair([](U16 a, U16 b) {
            return std::max<int>(0, std::min(I16(a), I16(b)));
          }));
  compare("min.relu.s32 %r0, %r1, %r2;", 'r',
          [](uint64_t a, uint64_t b, uint64_t) {
            return uint64_t(std::max(0, std::min(int32_t(a), int32_t(b))));
          });
  EXPECT_EQ(errorOf("sub.u16x2 %r1, %r2, %r3;"),
            "'sub.u16x2': 'sub' on packed integers is not supported");
  EXPECT_EQ(errorOf("max.relu.u32 %r1, %r2, %r3;"),
            "'max.relu.u32': modifier '.u32' is not supported");
}

// Guards the four combinations of signs of dot products.
TEST_F(ExtendedTest, DotProducts) {
  auto field = [](uint64_t word, int at, int bits, bool isSigned) {
    int64_t value = int64_t(U32(word) >> at & ((1u << bits) - 1));
    return isSigned && value >> (bits - 1) ? value - (1 << bits) : value;
  };
  for (bool x : {false, true})
    for (bool y : {false, true}) {
      std::string types =
          std::string(x ? ".s32" : ".u32") + (y ? ".s32" : ".u32");
      compare("dp4a" + types + " %r0, %r1, %r2, %r3;", 'r',
              [&](uint64_t a, uint64_t b, uint64_t c) {
                int64_t sum = int64_t(U32(c));
                for (int i = 0; i < 32; i += 8)
                  sum += field(a, i, 8, x) * field(b, i, 8, y);
                return uint64_t(U32(sum));
              });
      for (bool high : {false, true})
        compare(std::string("dp2a") + (high ? ".hi" : ".lo") + types +
                    " %r0, %r1, %r2, %r3;",
                'r', [&](uint64_t a, uint64_t b, uint64_t c) {
                  int64_t sum = int64_t(U32(c));
                  for (int i = 0; i < 2; ++i)
                    sum += field(a, i * 16, 16, x) *
                           field(b, (high ? 16 : 0) + i * 8, 8, y);
                  return uint64_t(U32(sum));
                });
    }
}

// Guards masks and extensions whose position or width leaves the word.
TEST_F(ExtendedTest, MasksAndExtensions) {
  check("bmsk.clamp.b32 %r0, %r1, %r2;", 'r',
        {{1, 2, 0, 6},
         {0, 0, 0, 0},
         {0, 32, 0, 0xffffffff},
         {4, 99, 0, 0xfffffff0},
         {32, 1, 0, 0},
         {31, 1, 0, 0x80000000},
         {20, 20, 0, 0xfff00000}});
  check("bmsk.wrap.b32 %r0, %r1, %r2;", 'r',
        {{1, 2, 0, 6},
         {33, 34, 0, 6},
         {0, 32, 0, 0},
         {5, 32, 0, 0},
         {20, 20, 0, 0xfff00000}});
  check("szext.clamp.s32 %r0, %r1, %r2;", 'r',
        {{0xff, 8, 0, 0xffffffff},
         {0x7f, 8, 0, 0x7f},
         {0xff, 0, 0, 0},
         {0x80000001, 32, 0, 0x80000001},
         {0x80000001, 40, 0, 0x80000001}});
  check("szext.wrap.s32 %r0, %r1, %r2;", 'r',
        {{0xff, 40, 0, 0xffffffff}, {0xff, 32, 0, 0}});
  check("szext.clamp.u32 %r0, %r1, %r2;", 'r',
        {{0xfff, 8, 0, 0xff}, {0xffffffff, 33, 0, 0xffffffff}});
  check("szext.wrap.u32 %r0, %r1, %r2;", 'r', {{0xffffffff, 0, 0, 0}});
  check("fns.b32 %r0, %r1, %r2, %r3;", 'r',
        {{0xaaaaaaaa, 3, 1, 3},
         {0xaaaaaaaa, 3, ~0ull, 3},
         {0xaaaaaaaa, 2, 1, 3},
         {0xaaaaaaaa, 2, ~0ull, 1},
         {0xaaaaaaaa, 2, 4, 9},
         {0xaaaaaaaa, 3, 0, 3},
         {0xaaaaaaaa, 2, 0, 0xffffffff},
         {0xaaaaaaaa, 0, 17, 0xffffffff},
         {0xaaaaaaaa, 0, 0x80000000, 0xffffffff}});
  EXPECT_EQ(errorOf("bmsk.b32 %r1, %r2, %r3;"),
            "'bmsk.b32': expected '.clamp' or '.wrap'");
}

// Guards lop3 with a predicate, also without the word itself.
TEST_F(ExtendedTest, LogicWithPredicate) {
  check("setp.ne.u32 %p1, %r3, 0; lop3.or.b32 %r0|%p0, %r1, %r2, 0, 0xc0, %p1; "
        "selp.u32 %r4, 100, 200, %p0; add.u32 %r0, %r0, %r4;",
        'r', {{6, 3, 0, 102}, {4, 3, 0, 200}, {4, 3, 1, 100}});
  check("setp.ne.u32 %p1, %r3, 0; lop3.and.b32 _|%p0, %r1, %r2, 0, 0xc0, !%p1;",
        'p', {{6, 3, 0, 1}, {4, 3, 0, 0}, {6, 3, 1, 0}});
  EXPECT_EQ(errorOf("lop3.or.b32 %r0, %r1, %r2, 0, 0xc0, %p1;"),
            "'lop3.or.b32': expected '|' and a predicate");
}

// Guards comparisons of halves into predicates and words.
TEST_F(ExtendedTest, CompareHalves) {
  uint64_t one = 0x3c00, two = 0x4000, nan = 0x7e00;
  check("setp.lt.f16x2 %p0|%p1, %r1, %r2; selp.u32 %r4, 2, 0, %p1; selp.u32 "
        "%r0, 1, 0, %p0; add.u32 %r0, %r0, %r4;",
        'r',
        {{one | two << 16, two | one << 16, 0, 1},
         {two | one << 16, one | two << 16, 0, 2},
         {nan | one << 16, one | two << 16, 0, 2}});
  check("setp.ltu.and.bf16x2 %p1|%p0, %r1, %r2, %p3;", 'p',
        {{0x7fc0ull << 16, 0, 1, 1}, {0x7fc0ull << 16, 0, 0, 0}});
  check("set.eq.f16x2.f16x2 %r0, %r1, %r2;", 'r',
        {{one | two << 16, one | one << 16, 0, one}});
  check("set.ne.bf16x2.bf16x2 %r0, %r1, %r2;", 'r',
        {{0x3f80ull << 16, 0, 0, 0x3f80ull << 16}});
  check("set.eq.u32.f16x2 %r0, %r1, %r2;", 'r',
        {{one | two << 16, two | two << 16, 0, 0xffff0000}});
  check("set.lt.f16.f32 %h0, %r1, %r2;", 'h',
        {{f(1), f(2), 0, one}, {f(2), f(1), 0, 0}});
  check("set.lt.bf16.s64 %h0, %d1, %d2;", 'h', {{~0ull, 0, 0, 0x3f80}});
  check("set.gt.u16.f16 %h0, %h1, %h2;", 'h',
        {{two, one, 0, 0xffff}, {nan, one, 0, 0}});
  check("set.gt.or.s32.bf16 %r0, %h1, %h2, !%p3;", 'r',
        {{0x3f80, 0x4000, 0, 0xffffffff}, {0x3f80, 0x4000, 1, 0}});
  check("set.eq.ftz.f16.f16 %h0, %h1, %h2;", 'h', {{1, 0, 0, one}});
  EXPECT_EQ(errorOf("set.lt.f32.f16 %r1, %h1, %h2;"),
            "'set.lt.f32.f16': 'set' of a .f32 from a .f16 is not supported");
  EXPECT_EQ(errorOf("setp.lt.ftz.bf16x2 %p1|%p2, %r1, %r2;"),
            "'setp.lt.ftz.bf16x2': '.ftz' on .bf16x2 is not supported");
}

// Guards bytes, words of 128 bits and vectors in moves.
TEST_F(ExtendedTest, Moves) {
  check(".reg .b8 %b<4>; cvt.u8.u32 %b0, %r1; cvt.u8.u32 %b1, %r2; mov.b32 "
        "%r0, {%b0, %b1, %b1, %b0};",
        'r', {{0x12, 0x34, 0, 0x12343412}});
  check(".reg .b8 %b<4>; mov.b32 {_, %b1, _, %b3}, %r1; mov.b16 %h0, {%b3, "
        "%b1};",
        'h', {{0x11223344, 0, 0, 0x3311}});
  check(".reg .b128 %q<3>; mov.b128 %q1, {%d1, %d2}; mov.b128 %q2, %q1; "
        "mov.b128 {_, %d0}, %q2;",
        'd', {{1, 77, 0, 77}});
  check(".reg .b128 %q<3>; mov.b128 %q1, {%r1, %r2, %r3, %r1}; mov.b128 {%r4, "
        "%r5, %r6, %r7}, %q1; mad.lo.u32 %r0, %r6, 10, %r7;",
        'r', {{1, 2, 3, 31}});
  check("mov.v2.b64 {%d4, %d5}, {%d2, %d1}; mov.v2.b64 {%d4, %d5}, {%d5, %d4}; "
        "sub.u64 %d0, %d4, %d5;",
        'd', {{100, 1, 0, 99}});
  check("mov.u16 %h0, %ntid.x;", 'h', {{0, 0, 0, 1}});
  check("mov.b32 {%h1, %h0}, %r1;", 'h', {{0x12345678, 0, 0, 0x1234}});
  EXPECT_EQ(errorOf("mov.b32 %r1, {%h1, %h2, %h3};"),
            "'mov.b32': vector of 3 elements for a .b32");
  EXPECT_EQ(errorOf("mov.v4.u32 {%r1, %r2}, %tid;"),
            "'mov.v4.u32': expected a vector of 4 registers");
}

// Guards special registers that are constant for one block of one cluster.
TEST_F(ExtendedTest, SpecialRegisters) {
  const std::pair<const char *, uint64_t> words[] = {
      {"%nsmid", 132},         {"%smid", 0},
      {"%clusterid.x", 0},     {"%nclusterid.x", 1},
      {"%cluster_ctaid.y", 0}, {"%cluster_nctaid.z", 1},
      {"%cluster_ctarank", 0}, {"%cluster_nctarank", 1},
      {"%aggr_smem_size", 0},  {"%envreg7", 0},
      {"%gridid", 1},          {"%reserved_smem_offset_cap", 1024},
      {"%tid.w", 0},           {"%nctaid.w", 0}};
  for (auto &[name, value] : words)
    check(std::string("mov.u32 %r0, ") + name + ";", 'r', {{0, 0, 0, value}});
  check("mov.u64 %d0, %gridid;", 'd', {{0, 0, 0, 1}});
  check("mov.u64 %d0, %current_graph_exec;", 'd', {{0, 0, 0, 0}});
  check("mov.pred %p0, %is_explicit_cluster;", 'p', {{0, 0, 0, 0}});
  EXPECT_EQ(errorOf("mov.u32 %r1, %pm0;"),
            "'mov.u32': special register or undeclared register '%pm0' is not "
            "supported");
  EXPECT_EQ(errorOf("mov.u32 %r1, %envreg32;"),
            "'mov.u32': special register or undeclared register '%envreg32' is "
            "not supported");
  EXPECT_EQ(errorOf("mov.u32 %r1, %clock64;"),
            "'mov.u32': special register %clock64 has 64 bits");
  EXPECT_EQ(errorOf("add.u32 %r1, %clock, 1;"),
            "'add.u32': special register %clock is only read by a move of its "
            "size");
}

// Guards the shared memory of system software, which follows the block's own.
TEST_F(ExtendedTest, ReservedSharedMemory) {
  uint64_t output = upload(std::vector<uint32_t>(8, 0));
  auto launch = [&](const std::string &body, size_t dynamic) {
    return run(entryText("ld.param.u64 %d1, [p0];\n" + body, 1,
                         ".shared .align 4 .b8 s[20];\n"
                         ".extern .shared .align 16 .b8 d[];"),
               {1}, {1}, arguments(output), dynamic);
  };
  std::string body = "mov.u32 %r1, %reserved_smem_offset_begin;\n"
                     "mov.u32 %r2, %reserved_smem_offset_end;\n"
                     "mov.u32 %r3, %reserved_smem_offset_0;\n"
                     "mov.u32 %r4, %reserved_smem_offset_1;\n"
                     "mov.u32 %r5, %total_smem_size;\n"
                     "st.shared.u32 [%r1], 5; st.shared.u32 [%r2+-4], 6;\n"
                     "st.shared.u32 [d], 7; st.shared.u32 [s+16], 8;\n"
                     "ld.shared.u32 %r6, [%r1]; ld.shared.u32 %r7, [%r2+-4];\n"
                     "st.global.v4.u32 [%d1], {%r1, %r2, %r3, %r4};\n"
                     "st.global.v4.u32 [%d1+16], {%r5, %r6, %r7, %r7};\n";
  auto result = launch(body, 100);
  ASSERT_RAN(result);
  EXPECT_EQ(download<uint32_t>(output, 7),
            (std::vector<uint32_t>{144, 1168, 144, 656, 132, 5, 6}));
  // It holds something, other than memory of the block, and has an end.
  result = launch("mov.u32 %r1, %reserved_smem_offset_1;\n"
                  "ld.shared.u32 %r2, [%r1]; st.global.u32 [%d1], %r2;",
                  0);
  ASSERT_RAN(result);
  result = launch("mov.u32 %r1, %reserved_smem_offset_1;\n"
                  "ld.shared.u32 %r2, [s]; st.global.u32 [%d1], %r2;",
                  0);
  ASSERT_FALSE(bool(result));
  EXPECT_EQ(result.report().kind, ReportKind::UninitializedMemory);
  result = launch("mov.u32 %r1, %reserved_smem_offset_end;\n"
                  "st.shared.u32 [%r1], 0;",
                  0);
  ASSERT_FALSE(bool(result));
  EXPECT_EQ(result.report().kind, ReportKind::OutOfBounds);
  // Kernels that do not ask for it have none.
  result = launch("st.shared.u32 [s+32], 0;", 0);
  ASSERT_FALSE(bool(result));
  EXPECT_EQ(result.report().kind, ReportKind::OutOfBounds);
}

// Guards that clocks go on, so that a loop which waits for one ends.
TEST_F(ExtendedTest, ClocksGoOn) {
  check("mov.u64 %d4, %clock64; L: mov.u64 %d5, %clock64; sub.u64 %d6, %d5, "
        "%d4; setp.lt.u64 %p1, %d6, 1000; @%p1 bra L; setp.ge.u64 %p0, %d6, "
        "1000;",
        'p', {{0, 0, 0, 1}});
  check("mov.u32 %r4, %clock; mov.u32 %r5, %globaltimer_lo; setp.gt.u32 %p0, "
        "%r5, %r4; mov.u32 %r4, %clock_hi; mov.u64 %d4, %globaltimer;",
        'p', {{0, 0, 0, 1}});
}

// Guards the conversion of addresses to and from every window, and the tests
// of a generic address.
TEST_F(ExtendedTest, AddressSpaces) {
  for (const char *space : {"shared", "local", "const", "param", "shared::cta",
                            "shared::cluster", "param::entry"}) {
    std::string name = space;
    check("cvta." + name + ".u64 %d4, %d1; isspacep." + name +
              " %p1, %d4; isspacep.global %p2, %d4; cvta.to." + name +
              ".u64 %d0, %d4; @!%p1 mov.u64 %d0, 1; @%p2 mov.u64 %d0, 2;",
          'd', {{64, 0, 0, 64}, {0, 0, 0, 0}});
  }
  check("cvta.global.u64 %d4, %d31; isspacep.global %p0, %d4; isspacep.shared "
        "%p1, %d4; @%p1 trap; isspacep.const %p1, %d4; @%p1 trap;",
        'p', {{0, 0, 0, 1}});
  // An address of another block of the cluster is not this block's.
  check("cvta.shared::cluster.u64 %d4, %d1; isspacep.shared::cta %p1, %d4; "
        "isspacep.shared::cluster %p2, %d4; selp.u64 %d5, 1, 0, %p1; selp.u64 "
        "%d0, 10, 0, %p2; add.u64 %d0, %d0, %d5;",
        'd', {{64, 0, 0, 11}, {0x1000040, 0, 0, 11}, {0x3000040, 0, 0, 10}});
  EXPECT_EQ(errorOf("isspacep.texref %p1, %d1;"),
            "'isspacep.texref': expected a state space");
}

// Guards the f64 approximations: only the upper 32 bits count.
TEST_F(ExtendedTest, GrossApproximations) {
  std::vector<Row> rows;
  for (double x : {1.0, 3.0, 0.1, 1e300, 7e-200, -5.5}) {
    uint64_t upper = g(x) & ~uint64_t(0xffffffff);
    rows.push_back({g(x), 0, 0, upper});
  }
  auto got = results("rcp.approx.ftz.f64 %d0, %d1;", 'd', rows);
  for (size_t i = 0; i < rows.size(); ++i) {
    double want = 1 / std::bit_cast<double>(rows[i].expected);
    EXPECT_EQ(uint32_t(got[i]), 0u);
    EXPECT_NEAR(std::bit_cast<double>(got[i]), want, std::fabs(want) * 0x1p-20);
  }
  check("rcp.approx.ftz.f64 %d0, %d1;", 'd',
        {{g(0.0), 0, 0, g(INFINITY)},
         {g(-INFINITY), 0, 0, g(-0.0)},
         {g(0x1p-1030), 0, 0, g(INFINITY)},
         {g(NAN), 0, 0, g(NAN)}});
  check("rsqrt.approx.f64 %d0, %d1;", 'd',
        {{g(4), 0, 0, g(0.5)}, {g(-1), 0, 0, g(NAN)}, {0, 0, 0, g(INFINITY)}});
  EXPECT_EQ(errorOf("rcp.approx.f64 %d1, %d2;"),
            "'rcp.approx.f64': '.approx' on .f64 needs '.ftz'");
}

// Guards the instructions for debuggers and profilers.
TEST_F(ExtendedTest, BreakpointsAndEvents) {
  auto result = run(entryText("pmevent 3; pmevent.mask 255; brkpt;", 0), {1},
                    {32}, Arguments());
  ASSERT_FALSE(bool(result));
  EXPECT_EQ(result.report().kind, ReportKind::Trap);
  EXPECT_EQ(result.report().detail, "'brkpt' the kernel reached a breakpoint");
  EXPECT_EQ(errorOf("pmevent 16;"), "'pmevent': event outside of 0 to 15");
}

// Guards that events for a profiler change no register.
TEST_F(ExtendedTest, EventsChangeNothing) {
  check("add.u64 %d0, %d1, %d2;\npmevent 3;\npmevent.mask 255;", 'd',
        {{1, 2, 0, 3}, {~uint64_t(0), 1, 0, 0}, {7, 0, 0, 7}});
}

} // namespace
