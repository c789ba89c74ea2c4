//===- FloatOpcodeTest.cpp - Float instructions on edge values --*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Expected values follow the PTX documentation; approximations are compared
// with double within the documented error.
//
//===----------------------------------------------------------------------===//

#include "OpcodeHarness.h"

#include <cmath>

using namespace ropewalk::emulator;

namespace {

constexpr uint64_t NaN = 0x7fffffff; // The canonical one.
constexpr uint64_t Inf = 0x7f800000;
constexpr uint64_t Sign = 0x80000000;
constexpr uint64_t Tiny = 1; // The smallest subnormal.

// Guards canonical NaN, signed zeros and the flush of subnormals.
TEST_F(OpcodeTest, FloatArithmetic) {
  check("add.f32 %r0, %r1, %r2;", 'r',
        {{f(1), f(2), 0, f(3)},
         {Inf, Inf | Sign, 0, NaN},
         {0x7f800123, f(1), 0, NaN},
         {Tiny, Tiny, 0, 2}});
  check("add.ftz.f32 %r0, %r1, %r2;", 'r',
        {{Tiny, Tiny, 0, 0}, {Tiny | Sign, Sign, 0, Sign}});
  check("add.rz.f32 %r0, %r1, %r2;", 'r', {{f(1), f(0x1.8p-24f), 0, f(1)}});
  check("add.rp.f32 %r0, %r1, %r2;", 'r',
        {{f(1), f(0x1p-30f), 0, f(1 + 0x1p-23f)}});
  check("add.rm.f32 %r0, %r1, %r2;", 'r',
        {{f(-1), f(-0x1p-30f), 0, f(-1 - 0x1p-23f)}});
  check("add.sat.f32 %r0, %r1, %r2;", 'r',
        {{f(1), f(2), 0, f(1)}, {f(-1), f(0), 0, 0}, {NaN, f(0), 0, 0}});
  check("mul.rn.f32 %r0, %r1, %r2;", 'r',
        {{Inf, 0, 0, NaN}, {f(-0.0f), f(3), 0, Sign}});
  check("fma.rn.f32 %r0, %r1, %r2, %r3;", 'r',
        {{f(1 + 0x1p-12f), f(1 + 0x1p-12f), f(-1), f(0x1p-11f + 0x1p-24f)}});
  check("fma.rz.f32 %r0, %r1, %r2, %r3;", 'r',
        {{f(1), f(1), f(-0x1p-40f), f(1 - 0x1p-24f)}});
  check("div.rn.f32 %r0, %r1, %r2;", 'r',
        {{f(1), f(3), 0, f(1.0f / 3)}, {f(1), 0, 0, Inf}, {0, 0, 0, NaN}});
  check("div.rn.ftz.f32 %r0, %r1, %r2;", 'r', {{f(1), Tiny, 0, Inf}});
  check("div.approx.f32 %r0, %r1, %r2;", 'r',
        {{f(6), f(3), 0, f(2)},
         {f(8), f(0x1.8p126f), 0, 0},
         {Inf, f(0x1.8p126f), 0, NaN}});
  check("div.full.f32 %r0, %r1, %r2;", 'r',
        {{f(0x1.8p126f), f(0x1.8p126f), 0, f(1)}});
  check("fma.rn.f64 %d0, %d1, %d2, %d3;", 'd',
        {{g(1 + 0x1p-30), g(1 + 0x1p-30), g(-1), g(0x1p-29 + 0x1p-60)}});
  check("div.rn.f64 %d0, %d1, %d2;", 'd', {{g(1), g(3), 0, g(1.0 / 3)}});
  check("add.rp.f64 %d0, %d1, %d2;", 'd',
        {{g(1), g(0x1p-80), 0, g(1 + 0x1p-52)}});
}

// Guards NaN, zeros and modifiers of min and max.
TEST_F(OpcodeTest, FloatMinMax) {
  check("min.f32 %r0, %r1, %r2;", 'r',
        {{NaN, f(1), 0, f(1)},
         {f(1), NaN, 0, f(1)},
         {NaN, NaN, 0, NaN},
         {0, Sign, 0, Sign},
         {Sign, 0, 0, Sign}});
  check("max.f32 %r0, %r1, %r2;", 'r', {{Sign, 0, 0, 0}, {0, Sign, 0, 0}});
  check("max.NaN.f32 %r0, %r1, %r2;", 'r',
        {{0x7fc00001, f(1), 0, NaN}, {f(2), f(1), 0, f(2)}});
  check("min.ftz.f32 %r0, %r1, %r2;", 'r', {{Tiny, f(1), 0, 0}});
  check("max.xorsign.abs.f32 %r0, %r1, %r2;", 'r',
        {{f(-3), f(2), 0, f(-3)}, {f(-2), f(-3), 0, f(3)}});
  check("min.f64 %d0, %d1, %d2;", 'd', {{g(NAN), g(2), 0, g(2)}});
  check("neg.f32 %r0, %r1;", 'r', {{0, 0, 0, Sign}});
  check("abs.ftz.f32 %r0, %r1;", 'r', {{Tiny | Sign, 0, 0, 0}});
  check("copysign.f32 %r0, %r1, %r2;", 'r', {{f(-1), f(5), 0, f(-5)}});
}

// Guards roots and reciprocals.
TEST_F(OpcodeTest, RootsAndReciprocals) {
  check("sqrt.rn.f32 %r0, %r1;", 'r',
        {{f(2), 0, 0, f(std::sqrt(2.0f))},
         {f(-1), 0, 0, NaN},
         {Sign, 0, 0, Sign}});
  check("rcp.rn.f32 %r0, %r1;", 'r', {{f(3), 0, 0, f(1.0f / 3)}});
  check("rcp.approx.ftz.f32 %r0, %r1;", 'r',
        {{Tiny, 0, 0, Inf}, {Sign, 0, 0, Inf | Sign}, {Inf, 0, 0, 0}});
  check("rsqrt.approx.f32 %r0, %r1;", 'r',
        {{f(4), 0, 0, f(0.5f)}, {0, 0, 0, Inf}, {f(-1), 0, 0, NaN}});
  check("sqrt.approx.ftz.f32 %r0, %r1;", 'r', {{f(9), 0, 0, f(3)}});
  check("sqrt.rn.f64 %d0, %d1;", 'd', {{g(2), 0, 0, g(std::sqrt(2.0))}});
  check("ex2.approx.ftz.f32 %r0, %r1;", 'r',
        {{f(-126.5f), 0, 0, 0},
         {f(128), 0, 0, Inf},
         {f(-INFINITY), 0, 0, 0},
         {NaN, 0, 0, NaN},
         {0, 0, 0, f(1)},
         {f(-3), 0, 0, f(0.125f)}});
  check("ex2.approx.f32 %r0, %r1;", 'r',
        {{f(-149), 0, 0, Tiny}, {f(-1e30f), 0, 0, 0}, {f(1e30f), 0, 0, Inf}});
  check("lg2.approx.f32 %r0, %r1;", 'r',
        {{f(8), 0, 0, f(3)}, {0, 0, 0, Inf | Sign}, {f(-1), 0, 0, NaN}});
}

// Guards the documented error of the approximate functions.
TEST_F(OpcodeTest, ApproximationsStayWithinTheirError) {
  struct Function {
    const char *code;
    double (*reference)(double);
    float low, high;
    double relative, absolute;
  };
  const Function functions[] = {
      {"ex2.approx.f32", [](double x) { return std::exp2(x); }, -120, 120,
       0x1p-22, 0},
      {"lg2.approx.f32", [](double x) { return std::log2(x); }, 0.01f, 100, 0,
       0x1p-20},
      {"sin.approx.f32", [](double x) { return std::sin(x); }, -3.14f, 3.14f, 0,
       0x1p-20},
      {"cos.approx.f32", [](double x) { return std::cos(x); }, -3.14f, 3.14f, 0,
       0x1p-20},
      {"tanh.approx.f32", [](double x) { return std::tanh(x); }, -5, 5, 0x1p-11,
       0},
      {"rsqrt.approx.f32", [](double x) { return 1 / std::sqrt(x); }, 0.001f,
       1000, 0x1p-22, 0},
  };
  for (const Function &function : functions) {
    std::vector<Row> rows;
    for (float x : randomFloats(500, 11, function.low, function.high))
      rows.push_back({f(x), 0, 0, 0});
    auto got = results(std::string(function.code) + " %r0, %r1;", 'r', rows);
    for (size_t i = 0; i < rows.size(); ++i) {
      double x = std::bit_cast<float>(uint32_t(rows[i].a));
      double want = function.reference(x);
      EXPECT_NEAR(std::bit_cast<float>(uint32_t(got[i])), want,
                  function.relative * std::fabs(want) + function.absolute)
          << function.code << " " << x;
    }
  }
}

// Guards ordered and unordered comparisons.
TEST_F(OpcodeTest, CompareFloats) {
  check("setp.lt.f32 %p0, %r1, %r2;", 'p',
        {{f(1), f(2), 0, 1}, {NaN, f(2), 0, 0}});
  check("setp.ne.f32 %p0, %r1, %r2;", 'p',
        {{NaN, NaN, 0, 0}, {f(1), f(2), 0, 1}});
  check("setp.neu.f32 %p0, %r1, %r2;", 'p', {{NaN, NaN, 0, 1}});
  check("setp.equ.f32 %p0, %r1, %r2;", 'p',
        {{NaN, f(1), 0, 1}, {f(1), f(2), 0, 0}, {0, Sign, 0, 1}});
  check("setp.geu.f32 %p0, %r1, %r2;", 'p', {{NaN, f(1), 0, 1}});
  check("setp.num.f32 %p0, %r1, %r2;", 'p', {{NaN, f(1), 0, 0}});
  check("setp.nan.f64 %p0, %d1, %d2;", 'p', {{g(NAN), g(1), 0, 1}});
  check("setp.eq.ftz.f32 %p0, %r1, %r2;", 'p', {{Tiny, 0, 0, 1}});
  check("setp.gt.f16 %p0, %h1, %h2;", 'p', {{0x4000, 0x3c00, 0, 1}});
  check("testp.subnormal.f32 %p0, %r1;", 'p',
        {{Tiny, 0, 0, 1}, {f(1), 0, 0, 0}});
  check("testp.notanumber.f32 %p0, %r1;", 'p', {{NaN, 0, 0, 1}});
  check("testp.finite.f64 %p0, %d1;", 'p', {{g(INFINITY), 0, 0, 0}});
}

// Guards saturation, NaN and all roundings to integers.
TEST_F(OpcodeTest, ConvertFloatToInteger) {
  check("cvt.rzi.s32.f32 %r0, %r1;", 'r',
        {{f(-1.9f), 0, 0, 0xffffffff},
         {f(3e9f), 0, 0, 0x7fffffff},
         {f(-3e9f), 0, 0, 0x80000000},
         {NaN, 0, 0, 0}});
  check("cvt.rni.s32.f32 %r0, %r1;", 'r',
        {{f(2.5f), 0, 0, 2}, {f(3.5f), 0, 0, 4}, {f(-0.5f), 0, 0, 0}});
  check("cvt.rmi.s32.f32 %r0, %r1;", 'r', {{f(-1.1f), 0, 0, 0xfffffffe}});
  check("cvt.rpi.s32.f32 %r0, %r1;", 'r', {{f(1.1f), 0, 0, 2}});
  check("cvt.rzi.u32.f32 %r0, %r1;", 'r',
        {{f(-5), 0, 0, 0},
         {f(5e9f), 0, 0, 0xffffffff},
         {f(3e9f), 0, 0, 3000000000u}});
  check("cvt.rzi.u64.f32 %d0, %r1;", 'd',
        {{NaN, 0, 0, 1ull << 63}, {f(0x1p63f), 0, 0, 1ull << 63}});
  check("cvt.rzi.s64.f64 %d0, %d1;", 'd',
        {{g(NAN), 0, 0, 1ull << 63}, {g(-1e300), 0, 0, 1ull << 63}});
  check("cvt.rzi.s32.f64 %r0, %d1;", 'r', {{g(NAN), 0, 0, 0x80000000}});
  check("cvt.rni.f32.f32 %r0, %r1;", 'r',
        {{f(2.5f), 0, 0, f(2)}, {f(-0.2f), 0, 0, Sign}});
}

// Guards single roundings from integers and among float formats.
TEST_F(OpcodeTest, ConvertToFloat) {
  check("cvt.rn.f32.s32 %r0, %r1;", 'r',
        {{0xffffffff, 0, 0, f(-1)}, {0x1000001, 0, 0, f(0x1p24f)}});
  check("cvt.rz.f32.u32 %r0, %r1;", 'r',
        {{0xffffffff, 0, 0, f(0x1.fffffep31f)}});
  check("cvt.rn.f32.u64 %r0, %d1;", 'r',
        {{0x8000008000000001, 0, 0, f(0x1.000002p63f)},
         {0x8000008000000000, 0, 0, f(0x1p63f)}});
  check("cvt.rn.f64.s64 %d0, %d1;", 'd', {{~0ull, 0, 0, g(-1)}});
  check("cvt.rp.f64.u64 %d0, %d1;", 'd',
        {{(1ull << 53) + 1, 0, 0, g(0x1p53 + 2)}});
  check("cvt.rn.f16.f32 %h0, %r1;", 'h',
        {{f(65519), 0, 0, 0x7bff},
         {f(65520), 0, 0, 0x7c00},
         {NaN, 0, 0, 0x7fff},
         {f(0x1p-25f), 0, 0, 0},
         {f(0x1.8p-25f), 0, 0, 1}});
  check("cvt.rz.f16.f32 %h0, %r1;", 'h', {{f(1e9f), 0, 0, 0x7bff}});
  check("cvt.f32.f16 %r0, %h1;", 'r',
        {{0x3c00, 0, 0, f(1)},
         {0x0001, 0, 0, f(0x1p-24f)},
         {0xfc00, 0, 0, Inf | Sign}});
  check("cvt.rn.bf16.f32 %h0, %r1;", 'h',
        {{f(1 + 0x1p-8f), 0, 0, 0x3f80},
         {f(1 + 0x1.8p-7f), 0, 0, 0x3f82},
         {f(3.4e38f), 0, 0, 0x7f80},
         {NaN, 0, 0, 0x7fff}});
  check("cvt.f32.bf16 %r0, %h1;", 'r', {{0x3f80, 0, 0, f(1)}});
  check("cvt.rn.bf16x2.f32 %r0, %r1, %r2;", 'r', {{f(1), f(2), 0, 0x3f804000}});
  check("cvt.rn.f16x2.f32 %r0, %r1, %r2;", 'r', {{f(1), f(2), 0, 0x3c004000}});
  check("cvt.rn.relu.bf16x2.f32 %r0, %r1, %r2;", 'r',
        {{f(-1), f(2), 0, 0x4000}});
  check("cvt.rna.tf32.f32 %r0, %r1;", 'r',
        {{f(1 + 0x1p-11f), 0, 0, f(1 + 0x1p-10f)}});
  check("cvt.rn.f32.f64 %r0, %d1;", 'r',
        {{g(1e300), 0, 0, Inf}, {g(0.1), 0, 0, f(0.1f)}});
  check("cvt.f64.f32 %d0, %r1;", 'd', {{f(0.1f), 0, 0, g(double(0.1f))}});
  check("cvt.sat.f32.f32 %r0, %r1;", 'r', {{f(7), 0, 0, f(1)}, {NaN, 0, 0, 0}});
  check("cvt.rn.f16.s32 %h0, %r1;", 'h', {{2049, 0, 0, 0x6800}});
}

// Guards half-precision arithmetic, single and packed.
TEST_F(OpcodeTest, HalfArithmetic) {
  check("add.f16 %h0, %h1, %h2;", 'h',
        {{0x3c00, 0x3c00, 0, 0x4000},
         {0x7bff, 0x7bff, 0, 0x7c00},
         {0x7c00, 0xfc00, 0, 0x7fff},
         {0x0001, 0x0001, 0, 0x0002}});
  check("add.ftz.f16 %h0, %h1, %h2;", 'h', {{0x0001, 0x0001, 0, 0}});
  check("mul.rn.f16x2 %r0, %r1, %r2;", 'r',
        {{0x40003c00, 0x42004000, 0, 0x46004000}});
  // 1 + 2^-11 + 2^-24 must round up: two roundings would give the even 1.
  check("fma.rn.f16 %h0, %h1, %h2, %h3;", 'h',
        {{0x3c00, 0x1000, 0x3c00, 0x3c00}, {0x0c01, 0x4000, 0x3c00, 0x3c01}});
  check("fma.rn.bf16 %h0, %h1, %h2, %h3;", 'h',
        {{0x3f80, 0x3f80, 0x3f80, 0x4000}});
  check("fma.rn.relu.bf16x2 %r0, %r1, %r2, %r3;", 'r',
        {{0xbf803f80, 0x3f803f80, 0, 0x00003f80}});
  check("neg.bf16 %h0, %h1;", 'h', {{0x3f80, 0, 0, 0xbf80}});
  check("max.f16 %h0, %h1, %h2;", 'h',
        {{0x7e00, 0x3c00, 0, 0x3c00}, {0x8000, 0, 0, 0}});
  check("max.NaN.bf16x2 %r0, %r1, %r2;", 'r',
        {{0x7fc03f80, 0x3f804000, 0, 0x7fff4000}});
  check("ex2.approx.f16 %h0, %h1;", 'h', {{0x4000, 0, 0, 0x4400}});
  check("tanh.approx.bf16 %h0, %h1;", 'h', {{0, 0, 0, 0}});
}

} // namespace
