//===- FunctionEdgeTest.cpp - Special functions at their edges --*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Roots, reciprocals, exponentials and the like of zeros, subnormals, the ends
// of the range, infinities and NaN, with and without the flush. These values
// are exact, whatever the approximation is.
//
//===----------------------------------------------------------------------===//

#include "OpcodeHarness.h"

#include <cmath>

using namespace ropewalk::emulator;

namespace {

constexpr uint64_t Sign = 0x80000000, Inf = 0x7f800000, NaN = 0x7fffffff;

struct FunctionEdgeTest : OpcodeTest {
  using Pairs = std::vector<std::pair<uint64_t, uint64_t>>;

  void single(const std::string &opcode, const Pairs &pairs) {
    table(opcode + " %r0, %r1;", 'r', pairs);
  }
  void table(const std::string &code, char letter, const Pairs &pairs) {
    std::vector<Row> rows;
    for (auto [a, expected] : pairs)
      rows.push_back({a, 0, 0, expected});
    check(code, letter, rows);
  }
};

const std::vector<std::pair<uint64_t, uint64_t>> notANumber = {
    {0x7f800001, NaN}, {0xff800001, NaN}, {0x7fc00000, NaN}, {0xffffffff, NaN}};

// Guards reciprocals. 2^-127 has a reciprocal in range, 2^-128 has none.
TEST_F(FunctionEdgeTest, Reciprocals) {
  for (const char *kind : {"approx", "rn"})
    for (bool flushes : {false, true}) {
      std::string opcode =
          std::string("rcp.") + kind + (flushes ? ".ftz.f32" : ".f32");
      single(opcode, notANumber);
      single(opcode, {{0, Inf},
                      {Sign, Inf | Sign},
                      {Inf, 0},
                      {Inf | Sign, Sign},
                      {1, Inf},
                      {1 | Sign, Inf | Sign},
                      {0x00200000, Inf},
                      {0x00400000, flushes ? Inf : f(0x1p127f)},
                      {0x80400000, (flushes ? Inf : f(0x1p127f)) | Sign},
                      {0x00800000, f(0x1p126f)},
                      {f(0x1p126f), 0x00800000},
                      {f(0x1p127f), flushes ? 0 : 0x00400000},
                      {f(-0x1p127f), flushes ? Sign : 0x80400000}});
    }
  // Directed modes at the end of the range.
  single("rcp.rz.f32", {{1, Inf - 1}, {1 | Sign, (Inf - 1) | Sign}, {0, Inf}});
  single("rcp.rm.f32", {{1, Inf - 1}, {1 | Sign, Inf | Sign}});
  single("rcp.rp.f32", {{1, Inf}, {1 | Sign, (Inf - 1) | Sign}});
}

// Guards roots of negative numbers, of both zeros and of subnormals.
TEST_F(FunctionEdgeTest, Roots) {
  for (const char *kind : {"approx", "rn", "rz", "rm", "rp"})
    for (bool flushes : {false, true}) {
      std::string opcode =
          std::string("sqrt.") + kind + (flushes ? ".ftz.f32" : ".f32");
      single(opcode, notANumber);
      single(opcode, {{0, 0},
                      {Sign, Sign},
                      {Inf, Inf},
                      {Inf | Sign, NaN},
                      {f(-1), NaN},
                      {0x80800000, NaN},
                      {2, flushes ? 0 : f(0x1p-74f)},
                      {8, flushes ? 0 : f(0x1p-73f)},
                      {2 | Sign, flushes ? Sign : NaN},
                      {0x00800000, f(0x1p-63f)}});
    }
  for (bool flushes : {false, true}) {
    std::string opcode = flushes ? "rsqrt.approx.ftz.f32" : "rsqrt.approx.f32";
    single(opcode, notANumber);
    single(opcode, {{0, Inf},
                    {Sign, Inf | Sign},
                    {Inf, 0},
                    {Inf | Sign, NaN},
                    {f(-4), NaN},
                    {0x80800000, NaN},
                    {2, flushes ? Inf : f(0x1p74f)},
                    {2 | Sign, flushes ? Inf | Sign : NaN},
                    {0x00800000, f(0x1p63f)},
                    {f(0x1p126f), f(0x1p-63f)}});
  }
}

// Guards logarithms and powers at the ends of the range.
TEST_F(FunctionEdgeTest, LogarithmsAndPowers) {
  for (bool flushes : {false, true}) {
    std::string suffix = flushes ? ".ftz.f32" : ".f32";
    single("lg2.approx" + suffix, notANumber);
    single("lg2.approx" + suffix, {{0, Inf | Sign},
                                   {Sign, Inf | Sign},
                                   {Inf, Inf},
                                   {Inf | Sign, NaN},
                                   {f(-1), NaN},
                                   {f(1), 0},
                                   {1, flushes ? Inf | Sign : f(-149)},
                                   {0x00400000, flushes ? Inf | Sign : f(-127)},
                                   {1 | Sign, flushes ? Inf | Sign : NaN},
                                   {0x00800000, f(-126)},
                                   {f(0x1p127f), f(127)}});
    single("ex2.approx" + suffix, notANumber);
    single("ex2.approx" + suffix, {{0, f(1)},
                                   {Sign, f(1)},
                                   {1, f(1)},
                                   {1 | Sign, f(1)},
                                   {Inf, Inf},
                                   {Inf | Sign, 0},
                                   {f(127), f(0x1p127f)},
                                   {f(128), Inf},
                                   {Inf - 1, Inf},
                                   {(Inf - 1) | Sign, 0},
                                   {f(-126), 0x00800000},
                                   {f(-127), flushes ? 0 : 0x00400000},
                                   {f(-149), flushes ? 0 : 1},
                                   {f(-151), 0}});
  }
}

// Guards circular and hyperbolic functions where they are exact.
TEST_F(FunctionEdgeTest, CircularAndHyperbolic) {
  for (bool flushes : {false, true}) {
    std::string suffix = flushes ? ".approx.ftz.f32" : ".approx.f32";
    for (const char *opcode : {"sin", "cos"}) {
      single(opcode + suffix, notANumber);
      single(opcode + suffix, {{Inf, NaN}, {Inf | Sign, NaN}});
    }
    single("sin" + suffix, {{0, 0}, {Sign, Sign}});
    single("cos" + suffix,
           {{0, f(1)}, {Sign, f(1)}, {1, f(1)}, {1 | Sign, f(1)}});
  }
  single("sin.approx.ftz.f32", {{1, 0}, {1 | Sign, Sign}, {0x007fffff, 0}});
  single("tanh.approx.f32", notANumber);
  single("tanh.approx.f32", {{0, 0},
                             {Sign, Sign},
                             {1, 1},
                             {1 | Sign, 1 | Sign},
                             {Inf, f(1)},
                             {Inf | Sign, f(-1)},
                             {Inf - 1, f(1)},
                             {(Inf - 1) | Sign, f(-1)},
                             {f(20), f(1)}});
}

// Guards halves, alone and in both parts of a word.
TEST_F(FunctionEdgeTest, Halves) {
  auto both = [&](const std::string &opcode, const Pairs &pairs) {
    table(opcode + " %h0, %h1;", 'h', pairs);
    for (auto [a, expected] : pairs)
      for (auto [b, second] : pairs)
        table(opcode + "x2 %r0, %r1;", 'r',
              {{a | b << 16, expected | second << 16}});
  };
  both("ex2.approx.f16", {{0, 0x3c00},
                          {0x8000, 0x3c00},
                          {1, 0x3c00},
                          {0x7c00, 0x7c00},
                          {0xfc00, 0},
                          {0x7e00, 0x7fff},
                          {0xfc01, 0x7fff},
                          {0x4b80, 0x7800},   // 2^15
                          {0x4c00, 0x7c00},   // 2^16
                          {0xcb00, 0x0400},   // 2^-14
                          {0xce00, 0x0001},   // 2^-24
                          {0xcf00, 0x0000}}); // 2^-28
  both("ex2.approx.ftz.bf16", {{0, 0x3f80},
                               {0x8000, 0x3f80},
                               {1, 0x3f80},
                               {0x7f80, 0x7f80},
                               {0xff80, 0},
                               {0x7fc0, 0x7fff},
                               {0x42fe, 0x7f00},   // 2^127
                               {0x4300, 0x7f80},   // 2^128
                               {0xc2fc, 0x0080},   // 2^-126
                               {0xc300, 0x0000}}); // 2^-128
  both("tanh.approx.f16", {{0, 0},
                           {0x8000, 0x8000},
                           {1, 1},
                           {0x8001, 0x8001},
                           {0x7c00, 0x3c00},
                           {0xfc00, 0xbc00},
                           {0x7e00, 0x7fff},
                           {0x7bff, 0x3c00}});
  both("tanh.approx.bf16", {{0, 0},
                            {0x8000, 0x8000},
                            {1, 1},
                            {0x7f80, 0x3f80},
                            {0xff80, 0xbf80},
                            {0xffc0, 0x7fff},
                            {0xff7f, 0xbf80}});
}

// Guards f64: the directed modes at the ends, and the gross approximations.
TEST_F(FunctionEdgeTest, Doubles) {
  const uint64_t inf = g(INFINITY), sign = uint64_t(1) << 63, most = inf - 1;
  auto both = [&](const std::string &opcode, const Pairs &pairs) {
    table(opcode + " %d0, %d1;", 'd', pairs);
  };
  for (const char *mode : {"rn", "rz", "rm", "rp"}) {
    std::string suffix = std::string(".") + mode + ".f64";
    both("rcp" + suffix,
         {{0, inf}, {sign, inf | sign}, {inf, 0}, {inf | sign, sign}});
    both("sqrt" + suffix, {{0, 0}, {sign, sign}, {inf, inf}, {4, g(0x1p-536)}});
    for (const char *opcode : {"sqrt", "rcp"})
      table(opcode + suffix + " %d4, %d1; testp.notanumber.f64 %p0, %d4;", 'p',
            {{inf + 1, 1}, {g(NAN) | sign, 1}, {g(1), 0}});
    table("sqrt" + suffix + " %d4, %d1; testp.notanumber.f64 %p0, %d4;", 'p',
          {{inf | sign, 1}, {g(-1), 1}, {1 | sign, 1}, {sign, 0}});
  }
  both("rcp.rn.f64", {{1, inf}, {1 | sign, inf | sign}});
  both("rcp.rz.f64", {{1, most}, {1 | sign, most | sign}});
  both("rcp.rm.f64", {{1, most}, {1 | sign, inf | sign}});
  both("rcp.rp.f64", {{1, inf}, {1 | sign, most | sign}});
  both("rcp.approx.ftz.f64", {{0, inf},
                              {sign, inf | sign},
                              {1 | sign, inf | sign},
                              {inf, 0},
                              {inf | sign, sign},
                              {g(0x1p1023), 0},
                              {g(0x1p-1022), g(0x1p1022)}});
  for (const char *opcode : {"rsqrt.approx.f64", "rsqrt.approx.ftz.f64"}) {
    both(opcode,
         {{0, inf}, {sign, inf | sign}, {inf, 0}, {g(0x1p-1022), g(0x1p511)}});
    table(std::string(opcode) + " %d4, %d1; testp.notanumber.f64 %p0, %d4;",
          'p', {{inf | sign, 1}, {g(-4), 1}, {inf + 1, 1}, {inf, 0}, {0, 0}});
  }
  both("rsqrt.approx.ftz.f64", {{1, inf}, {1 | sign, inf | sign}});
}

} // namespace
