//===- IntegerEdgeTest.cpp - Ends of fields, sums and counts ----*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What the other tables of integers leave out: positions and lengths of any
// size, saturation and packing at both ends, reductions of a warp with the
// least and greatest numbers, and atomics that wrap around. Expected values
// follow the pseudo code of the PTX documentation in wide integers.
//
//===----------------------------------------------------------------------===//

#include "OpcodeHarness.h"

#include <algorithm>

using namespace ropewalk::emulator;

namespace {

using U32 = uint32_t;

constexpr uint64_t M32 = 0xffffffff, Low = 0x80000000, M64 = ~uint64_t(0);

struct IntegerEdgeTest : OpcodeTest {
  const std::vector<uint64_t> words = {
      0,      1,          2,          0x7fff,     0x8000,
      0xffff, Low,        0x10000,    0x7fffffff, 0x80000001,
      M32,    0xfffffffe, 0x00ffffff, 0x00800000, 0x5a5a1234};
  const std::vector<uint64_t> counts = {0,   1,   15,  16,  31,     32,  33,
                                        63,  64,  65,  127, 128,    255, 256,
                                        257, 288, Low, M32, 0x1000, 47};

  /// Every triple of the three lists, in launches of a full block.
  template <class F>
  void triples(const std::string &code, char result,
               const std::vector<uint64_t> &as, const std::vector<uint64_t> &bs,
               const std::vector<uint64_t> &cs, F expected) {
    std::vector<Row> rows;
    auto flush = [&] {
      if (!rows.empty())
        check(code, result, rows);
      rows.clear();
    };
    for (uint64_t a : as)
      for (uint64_t b : bs)
        for (uint64_t c : cs) {
          rows.push_back({a, b, c, uint64_t(expected(a, b, c))});
          if (rows.size() == 1024)
            flush();
        }
    flush();
  }
};

// Guards fields whose position or length is beyond the word: both count by
// their lowest eight bits.
TEST_F(IntegerEdgeTest, BitFields) {
  for (int bits : {32, 64})
    for (bool isSigned : {false, true}) {
      std::string reg = bits == 32 ? "%r" : "%d";
      uint64_t mask = bits == 32 ? M32 : M64;
      std::string type = (isSigned ? "s" : "u") + std::to_string(bits);
      triples("bfe." + type + " " + reg + "0, " + reg + "1, %r2, %r3;", reg[1],
              {0xa5a5a5a5a5a5a5a5, 0x5a5a5a5a5a5a5a5a, M64, 0}, counts, counts,
              [&](uint64_t a, uint64_t b, uint64_t c) {
                int at = int(b & 255), length = int(c & 255), msb = bits - 1;
                uint64_t sign = isSigned && length
                                    ? a >> std::min(at + length - 1, msb) & 1
                                    : 0;
                uint64_t result = 0;
                for (int i = 0; i <= msb; ++i)
                  result |=
                      (i < length && at + i <= msb ? a >> (at + i) & 1 : sign)
                      << i;
                return result & mask;
              });
      if (isSigned)
        continue;
      for (uint64_t base : {uint64_t(0), M64})
        triples("mov.b64 %d4, " + std::to_string(int64_t(base)) +
                    "; mov.b32 %r4, " + std::to_string(int32_t(base)) +
                    "; bfi.b" + std::to_string(bits) + " " + reg + "0, " + reg +
                    "1, " + reg + "4, %r2, %r3;",
                reg[1], {0xa5a5a5a5a5a5a5a5, 0, M64}, counts, counts,
                [&](uint64_t a, uint64_t b, uint64_t c) {
                  uint64_t result = base;
                  int at = int(b & 255), length = int(c & 255);
                  for (int i = 0; i < length && at + i < bits; ++i)
                    result = (result & ~(uint64_t(1) << (at + i))) |
                             (a >> i & 1) << (at + i);
                  return result & mask;
                });
    }
}

// Guards masks and extensions at every position and width up to the end.
TEST_F(IntegerEdgeTest, MasksAndExtensions) {
  for (bool wraps : {false, true}) {
    std::string mode = wraps ? ".wrap" : ".clamp";
    triples("bmsk" + mode + ".b32 %r0, %r1, %r2;", 'r', counts, counts, {0},
            [&](uint64_t a, uint64_t b, uint64_t) {
              uint64_t at = wraps ? a & 31 : std::min<uint64_t>(a, 32);
              uint64_t width = wraps ? b & 31 : std::min<uint64_t>(b, 32);
              return (((uint64_t(1) << width) - 1) << at) & M32;
            });
    for (bool isSigned : {false, true})
      triples("szext" + mode + (isSigned ? ".s32" : ".u32") + " %r0, %r1, %r2;",
              'r', words, counts, {0}, [&](uint64_t a, uint64_t b, uint64_t) {
                uint64_t width = wraps ? b & 31 : std::min<uint64_t>(b, 32);
                uint64_t low = a & ((uint64_t(1) << width) - 1);
                bool sign = isSigned && width && a >> (width - 1) & 1;
                return (sign ? low - (uint64_t(1) << width) : low) & M32;
              });
  }
  // The n-th set bit, searched upwards or downwards from a position.
  std::vector<uint64_t> bases;
  for (uint64_t i = 0; i < 32; ++i)
    bases.push_back(i);
  triples("fns.b32 %r0, %r1, %r2, %r3;", 'r', {0, 1, Low, M32, 0xaaaaaaaa},
          bases, {0, 1, 2, 16, 32, 33, 0x7fffffff, M32, M32 - 1, M32 - 31, Low},
          [](uint64_t a, uint64_t b, uint64_t c) -> uint64_t {
            int64_t offset = int32_t(c), at = int64_t(b);
            if (offset == 0)
              return a >> at & 1 ? b : M32;
            int64_t left = std::abs(offset);
            for (; at >= 0 && at < 32; at += offset > 0 ? 1 : -1)
              if (a >> at & 1 && --left == 0)
                return uint64_t(at);
            return M32;
          });
}

// Guards products of 24 bits and saturated sums at the ends of the range.
TEST_F(IntegerEdgeTest, ProductsAndSums) {
  for (bool isSigned : {false, true}) {
    std::string type = isSigned ? ".s32" : ".u32";
    auto product = [&](uint64_t a, uint64_t b) {
      auto cut = [&](uint64_t v) {
        int64_t low = int64_t(v & 0xffffff);
        return isSigned && low >> 23 ? low - 0x1000000 : low;
      };
      return cut(a) * cut(b);
    };
    for (bool high : {false, true}) {
      std::string part = high ? ".hi" : ".lo";
      int shift = high ? 16 : 0;
      triples("mul24" + part + type + " %r0, %r1, %r2;", 'r', words, words, {0},
              [&](uint64_t a, uint64_t b, uint64_t) {
                return U32(product(a, b) >> shift);
              });
      triples("mad24" + part + type + " %r0, %r1, %r2, %r3;", 'r', words, words,
              words, [&](uint64_t a, uint64_t b, uint64_t c) {
                return U32((product(a, b) >> shift) + int64_t(c));
              });
    }
  }
  auto clamped = [](int64_t value) {
    return U32(std::clamp<int64_t>(value, INT32_MIN, INT32_MAX));
  };
  triples("add.sat.s32 %r0, %r1, %r2;", 'r', words, words, {0},
          [&](uint64_t a, uint64_t b, uint64_t) {
            return clamped(int64_t(int32_t(a)) + int32_t(b));
          });
  triples("sub.sat.s32 %r0, %r1, %r2;", 'r', words, words, {0},
          [&](uint64_t a, uint64_t b, uint64_t) {
            return clamped(int64_t(int32_t(a)) - int32_t(b));
          });
}

// Guards that integers which are packed are clamped at both ends.
TEST_F(IntegerEdgeTest, PackedConversions) {
  for (int bits : {16, 8, 4, 2})
    for (bool isSigned : {false, true}) {
      int64_t most = (int64_t(1) << (bits - isSigned)) - 1;
      int64_t least = isSigned ? -most - 1 : 0;
      std::vector<uint64_t> values = words;
      for (int64_t end : {least, most})
        for (int64_t delta : {-1, 0, 1})
          values.push_back(uint64_t(end + delta) & M32);
      auto field = [&](uint64_t v) {
        return uint64_t(std::clamp<int64_t>(int32_t(v), least, most)) &
               ((uint64_t(1) << bits) - 1);
      };
      std::string type = (isSigned ? "s" : "u") + std::to_string(bits);
      triples("cvt.pack.sat." + type +
                  (bits == 16 ? ".s32 %r0, %r1, %r2;"
                              : ".s32.b32 %r0, %r1, %r2, %r3;"),
              'r', values, values, {0, M32, 0x12345678},
              [&](uint64_t a, uint64_t b, uint64_t c) {
                uint64_t above = bits == 16 ? 0 : c << (2 * bits);
                return (above | field(a) << bits | field(b)) & M32;
              });
    }
}

// Guards reductions and votes of whole warps and of one lane.
TEST_F(IntegerEdgeTest, Warps) {
  std::vector<uint64_t> values;
  for (uint64_t i = 0; i < 32; ++i)
    values.push_back(words[i % words.size()]);
  auto lanes = [&](const std::string &code, auto expected) {
    std::vector<Row> rows;
    for (uint64_t value : values)
      rows.push_back({value, 0, 0, uint64_t(U32(expected(value)))});
    check(code, 'r', rows);
  };
  auto reduced = [&](auto apply) {
    U32 result = U32(values[0]);
    for (size_t i = 1; i < 32; ++i)
      result = U32(apply(result, U32(values[i])));
    return result;
  };
  auto reduction = [&](const std::string &name, auto apply) {
    std::string code = "redux.sync." + name + " %r0, %r1, ";
    lanes(code + "-1;", [&](uint64_t) { return reduced(apply); });
    // One member keeps its own number.
    lanes("mov.u32 %r0, 7; setp.eq.u32 %p1, %r30, 6; @%p1 " + code + "0x40;",
          [&](uint64_t value) { return value == Low ? Low : 7; });
  };
  values[21] = 5; // Low stands in lane 6 alone.
  reduction("add.u32", [](U32 a, U32 b) { return a + b; });
  reduction("add.s32", [](U32 a, U32 b) { return a + b; });
  reduction("min.u32", [](U32 a, U32 b) { return std::min(a, b); });
  reduction("max.u32", [](U32 a, U32 b) { return std::max(a, b); });
  reduction("min.s32",
            [](U32 a, U32 b) { return std::min(int32_t(a), int32_t(b)); });
  reduction("max.s32",
            [](U32 a, U32 b) { return std::max(int32_t(a), int32_t(b)); });
  reduction("and.b32", [](U32 a, U32 b) { return a & b; });
  reduction("or.b32", [](U32 a, U32 b) { return a | b; });
  reduction("xor.b32", [](U32 a, U32 b) { return a ^ b; });

  // Predicates that hold everywhere, nowhere, and in lane 6 alone.
  const struct {
    const char *condition;
    bool all, any, uni;
    U32 ballot;
  } votes[] = {{"setp.le.u32 %p1, %r30, 31; ", true, true, true, U32(M32)},
               {"setp.gt.u32 %p1, %r30, 31; ", false, false, true, 0},
               {"setp.eq.u32 %p1, %r30, 6; ", false, true, false, 64}};
  for (auto &vote : votes) {
    std::string head = vote.condition, tail = "; selp.u32 %r0, 1, 0, %p2;";
    auto same = [](bool holds) { return [holds](uint64_t) { return holds; }; };
    lanes(head + "vote.sync.all.pred %p2, %p1, -1" + tail, same(vote.all));
    lanes(head + "vote.sync.any.pred %p2, %p1, -1" + tail, same(vote.any));
    lanes(head + "vote.sync.uni.pred %p2, %p1, -1" + tail, same(vote.uni));
    lanes(head + "vote.sync.all.pred %p2, !%p1, -1" + tail, same(!vote.any));
    lanes(head + "vote.sync.ballot.b32 %r0, %p1, -1;",
          [&](uint64_t) { return vote.ballot; });
  }
  const std::string alone = "setp.eq.u32 %p3, %r30, 6; mov.u32 %r0, 7; ";
  auto inLaneSix = [](U32 expected) {
    return [expected](uint64_t value) { return value == Low ? expected : 7; };
  };
  lanes(alone + "setp.eq.u32 %p1, %r30, 9; @%p3 vote.sync.ballot.b32 %r0, "
                "%p1, 0x40;",
        inLaneSix(0));
  lanes(alone + "@%p3 vote.sync.ballot.b32 %r0, %p3, 0x40;", inLaneSix(64));
  lanes(alone + "@%p3 match.any.sync.b32 %r0, %r1, 0x40;", inLaneSix(64));
  lanes(alone + "@%p3 match.all.sync.b32 %r0|%p1, %r1, 0x40;", inLaneSix(64));
  // Labels that differ in one half alone are different.
  for (const char *label : {"{%r1, %r2}", "{%r2, %r1}"})
    lanes(std::string("mov.b64 %d4, ") + label +
              "; match.any.sync.b64 %r0, %d4, -1;",
          [&](uint64_t value) {
            U32 mask = 0;
            for (int i = 0; i < 32; ++i)
              mask |= U32(values[size_t(i)] == value) << i;
            return mask;
          });
  lanes("match.all.sync.b32 %r0|%p1, %r1, -1; @%p1 mov.u32 %r0, 9;",
        [](uint64_t) { return 0; });
  lanes("match.all.sync.b64 %r0|%p1, %d2, -1; @!%p1 mov.u32 %r0, 9;",
        [](uint64_t) { return M32; });
}

// Guards atomics that wrap around, and sums of floats without digits.
TEST_F(IntegerEdgeTest, Atomics) {
  auto atomic = [&](const std::string &name, char letter,
                    const std::vector<Row> &rows) {
    std::string reg = std::string("%") + letter;
    std::string load = "; ld.global.b" +
                       std::string(letter == 'd' ? "64 " : "32 ") + reg +
                       "0, [%d31];";
    check("red.global." + name + " [%d31], " + reg + "2" + load, letter, rows);
    check("atom.global." + name + " " + reg + "4, [%d31], " + reg + "2" + load,
          letter, rows);
  };
  atomic("inc.u32", 'r',
         {{M32, M32, 0, 0},
          {M32 - 1, M32, 0, M32},
          {0, M32, 0, 1},
          {1, 0, 0, 0},
          {M32, 0, 0, 0},
          {Low, Low, 0, 0},
          {Low - 1, Low, 0, Low}});
  atomic("dec.u32", 'r',
         {{0, 0, 0, 0},
          {0, M32, 0, M32},
          {M32, M32, 0, M32 - 1},
          {1, 0, 0, 0},
          {M32, 0, 0, 0},
          {Low, Low, 0, Low - 1},
          {Low, Low - 1, 0, Low - 1}});
  atomic("add.s32", 'r', {{Low, Low, 0, 0}, {Low, M32, 0, 0x7fffffff}});
  atomic("add.u64", 'd', {{M64, M64, 0, M64 - 1}, {M64, 1, 0, 0}});
  const uint64_t inf = f(INFINITY), sign = Low, most = inf - 1;
  atomic("add.f32", 'r',
         {{inf + 1, f(1), 0, 0x7fffffff},
          {f(1), inf + 1, 0, 0x7fffffff},
          {inf, f(1), 0, inf},
          {inf | sign, inf | sign, 0, inf | sign},
          {most, most, 0, inf},
          {sign, sign, 0, sign},
          {sign, 0, 0, 0},
          {f(1), f(-1), 0, 0},
          {0x00800000, 0x80800001, 0, sign}});
  const uint64_t wide = g(INFINITY), minus = uint64_t(1) << 63;
  atomic("add.f64", 'd',
         {{wide, g(1), 0, wide},
          {wide - 1, wide - 1, 0, wide},
          {minus, minus, 0, minus},
          {minus, 0, 0, 0},
          {g(0x1p-1022), 1 | minus, 0, g(0x1p-1022) - 1}});
  check("atom.global.add.f64 %d4, [%d31], %d2; ld.global.f64 %d5, [%d31]; "
        "testp.notanumber.f64 %p0, %d5;",
        'p',
        {{wide, wide | minus, 0, 1}, {wide + 1, 0, 0, 1}, {wide, wide, 0, 0}});
}

} // namespace
