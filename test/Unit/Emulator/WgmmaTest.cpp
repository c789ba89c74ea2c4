//===- WgmmaTest.cpp - Matrix multiplication by a warpgroup -----*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Guards that wgmma finds its matrices in every layout, multiplies every type,
// and refuses what PTX does not have. Matrices are placed by the model of
// WgmmaModel.h, expected values are sums in double.
//
//===----------------------------------------------------------------------===//

#include "WgmmaModel.h"

using namespace ropewalk::emulator;

namespace {

struct Case {
  ElementModel a = F16Model, b = F16Model;
  const char *result = "f32";
  unsigned n = 64, steps = 2;
  LayoutModel layoutA, layoutB{true, 128, 16384};
  bool hasFragments = false;
  bool negatesA = false, negatesB = false;
  const char *scale = "1"; ///< "%p1" is true, "%p2" is false.
  bool accumulates = true;
  bool saturates = false;

  unsigned depth() const { return 256 / a.bits; }
  bool isInteger() const { return a.isInteger; }
  bool isHalf() const { return std::string(result) == "f16"; }
  std::string name() const {
    auto layout = [](const LayoutModel &l) {
      return std::string(l.isKMajor ? "K" : "MN") + std::to_string(l.width);
    };
    return std::string("n") + std::to_string(n) + "." + result + "." + a.name +
           "." + b.name + " A " +
           (hasFragments ? "registers" : layout(layoutA)) + " B " +
           layout(layoutB);
  }
};

/// From one instruction to the next along k, in bytes.
uint32_t stepOf(const LayoutModel &layout) {
  if (layout.width == 0)
    return 2 * layout.leading;
  return layout.isKMajor ? 32 : 2 * layout.stride;
}

std::string instruction(const Case &c, unsigned step, const std::string &d) {
  std::string text = "wgmma.mma_async.sync.aligned.m64n" + std::to_string(c.n) +
                     "k" + std::to_string(c.depth()) + "." + c.result + "." +
                     c.a.name + "." + c.b.name +
                     (c.saturates ? ".satfinite " : " ") + d + ", ";
  text += c.hasFragments ? WgmmaText::list("%a", 4, 4 * step) : "%d4";
  text += std::string(", %d5, ") + c.scale;
  if (!c.isInteger()) {
    text += c.negatesA ? ", -1" : ", 1";
    text += c.negatesB ? ", -1" : ", 1";
  }
  if (c.a.bits == 16) {
    if (!c.hasFragments)
      text += c.layoutA.isKMajor ? ", 0" : ", 1";
    text += c.layoutB.isKMajor ? ", 0" : ", 1";
  }
  std::string before = "mov.b64 %d5, " +
                       hex(c.layoutB.descriptor(step * stepOf(c.layoutB))) +
                       ";\n";
  if (!c.hasFragments)
    before += "mov.b64 %d4, " +
              hex(c.layoutA.descriptor(step * stepOf(c.layoutA))) + ";\n";
  return before + text + ";\n";
}

float halfValue(uint32_t bits) { return float(F16Model.decode(bits & 0xffff)); }

struct WgmmaTest : Fixture {
  /// Runs `c` and compares all of D.
  void check(const Case &c) {
    SCOPED_TRACE(c.name());
    MatrixModel a(c.a, 64, c.depth() * c.steps, 1), b(c.b, c.n, a.depth, 2);
    WgmmaText kernel;
    kernel.results = c.isHalf() ? c.n / 4 : c.n / 2;
    std::vector<uint8_t> memory(180000 / 16 * 16, 0);
    c.layoutB.write(b, memory);
    if (!c.hasFragments)
      c.layoutA.write(a, memory);
    if (HasFatalFailure())
      return;
    kernel.memoryBytes = unsigned(memory.size());
    kernel.body = "setp.eq.u32 %p1, 1, 1; setp.eq.u32 %p2, 1, 2;\n"
                  "wgmma.fence.sync.aligned;\n";
    for (unsigned step = 0; step < c.steps; ++step)
      kernel.body += instruction(c, step, kernel.d());
    kernel.body += "wgmma.commit_group.sync.aligned;\n"
                   "wgmma.wait_group.sync.aligned 0;\n";
    std::vector<uint32_t> d = initial(c, kernel.results);
    const std::vector<uint32_t> before = d;
    uint64_t image = upload(memory), results = upload(d),
             fragments = upload(fragmentsOf(a, c.steps));
    auto outcome = run(kernel.text(), {1}, {128},
                       arguments(image, results, fragments), memory.size());
    ASSERT_RAN(outcome);
    EXPECT_EQ(outcome.counters().tensorFlops,
              uint64_t(2) * 64 * c.n * c.depth() * c.steps);
    d = download<uint32_t>(results, d.size());
    uint64_t useful = 0;
    for (unsigned thread = 0; thread < 128; ++thread)
      for (unsigned i = 0; i < c.n / 2; ++i) {
        // Lane 4 * g + t of warp w: pairs of columns, rows 16 * w + g and + 8.
        unsigned lane = thread % 32;
        unsigned row = thread / 32 * 16 + lane / 4 + i / 2 % 2 * 8;
        unsigned column = i / 4 * 8 + lane % 4 * 2 + i % 2;
        compare(c, a, b, row, column, element(c, before, thread, i),
                element(c, d, thread, i), useful);
        if (HasFailure())
          return;
      }
    EXPECT_EQ(outcome.counters().usefulTensorFlops, 2 * useful);
  }

  /// The bits of one element of D.
  static uint32_t element(const Case &c, const std::vector<uint32_t> &d,
                          unsigned thread, unsigned i) {
    if (!c.isHalf())
      return d[thread * c.n / 2 + i];
    return d[thread * c.n / 4 + i / 2] >> 16 * (i % 2) & 0xffff;
  }

  static std::vector<uint32_t> initial(const Case &c, unsigned registers) {
    std::mt19937 engine(3);
    std::vector<uint32_t> d(128 * registers);
    for (uint32_t &value : d)
      if (c.isInteger())
        value = uint32_t(engine()) >> (c.saturates ? 1 : 0);
      else if (c.isHalf())
        value = F16Model.random(engine) | F16Model.random(engine) << 16;
      else
        value = std::bit_cast<uint32_t>(float(int(engine() % 1000)) / 64);
    return d;
  }

  /// 16 registers of each thread: for each step rows g and g + 8 of its first
  /// 16 bytes of k, then of the other 16.
  static std::vector<uint32_t> fragmentsOf(const MatrixModel &a,
                                           unsigned steps) {
    std::vector<uint32_t> registers(128 * 16, 0);
    unsigned perWord = 32 / a.type.bits;
    for (unsigned thread = 0; thread < 128; ++thread)
      for (unsigned step = 0; step < steps; ++step)
        for (unsigned i = 0; i < 4; ++i) {
          unsigned lane = thread % 32;
          unsigned row = thread / 32 * 16 + lane / 4 + i % 2 * 8;
          unsigned word = step * 8 + lane % 4 + i / 2 * 4;
          uint32_t &value = registers[thread * 16 + step * 4 + i];
          for (unsigned part = 0; part < perWord; ++part)
            value |= a.at(row, word * perWord + part) << part * a.type.bits;
        }
    return registers;
  }

  static void compare(const Case &c, const MatrixModel &a, const MatrixModel &b,
                      unsigned row, unsigned column, uint32_t before,
                      uint32_t after, uint64_t &useful) {
    double sum = 0, size = 0;
    double sign = c.negatesA != c.negatesB ? -1 : 1;
    double start = c.isInteger() ? double(int32_t(before))
                   : c.isHalf()  ? halfValue(before)
                                 : std::bit_cast<float>(before);
    start = c.accumulates ? start : 0;
    for (unsigned k = 0; k < a.depth; ++k) {
      double product = a.value(row, k) * b.value(column, k);
      // Only the last step counts where each one starts from zero.
      useful += product != 0;
      if (c.accumulates || k >= a.depth - c.depth()) {
        sum += sign * product;
        size += std::fabs(product);
      }
    }
    sum += start;
    size += std::fabs(start);
    if (c.isInteger()) {
      int64_t exact = int64_t(sum);
      int64_t clamped = std::clamp<int64_t>(exact, INT32_MIN, INT32_MAX);
      ASSERT_EQ(int32_t(after), int32_t(c.saturates ? clamped : exact))
          << "row " << row << " column " << column;
      return;
    }
    double got =
        c.isHalf() ? halfValue(after) : double(std::bit_cast<float>(after));
    double bound = size * (c.isHalf() ? 0.0005 * c.steps : 4e-6);
    ASSERT_NEAR(got, sum, bound) << "row " << row << " column " << column;
  }
};

//===----------------------------------------------------------------------===//
// Types
//===----------------------------------------------------------------------===//

TEST_F(WgmmaTest, MultipliesEveryTypeFromMemoryAndRegisters) {
  struct Types {
    ElementModel a, b;
    std::vector<const char *> results;
  };
  const Types all[] = {
      {F16Model, F16Model, {"f32", "f16"}},
      {BF16Model, BF16Model, {"f32"}},
      {TF32Model, TF32Model, {"f32"}},
      {E4M3Model, E4M3Model, {"f32", "f16"}},
      {E4M3Model, E5M2Model, {"f32", "f16"}},
      {E5M2Model, E4M3Model, {"f32"}},
      {E5M2Model, E5M2Model, {"f32", "f16"}},
      {S8Model, S8Model, {"s32"}},
      {U8Model, U8Model, {"s32"}},
      {S8Model, U8Model, {"s32"}},
      {U8Model, S8Model, {"s32"}},
  };
  for (const Types &types : all)
    for (const char *result : types.results)
      for (bool hasFragments : {false, true}) {
        Case c;
        c.a = types.a;
        c.b = types.b;
        c.result = result;
        c.hasFragments = hasFragments;
        check(c);
      }
}

TEST_F(WgmmaTest, MultipliesEveryWidth) {
  for (unsigned n = 8; n <= 256; n += 8) {
    Case c;
    c.n = n;
    c.steps = 1;
    check(c);
    c.result = "f16";
    check(c);
    if (n % 16 == 0 || n == 8 || n == 24) {
      c.a = c.b = S8Model;
      c.result = "s32";
      check(c);
    }
  }
}

TEST_F(WgmmaTest, NegatesProducts) {
  for (bool negatesA : {false, true})
    for (bool negatesB : {false, true}) {
      Case c;
      c.negatesA = negatesA;
      c.negatesB = negatesB;
      check(c);
      c.hasFragments = true;
      check(c);
      c.a = c.b = E5M2Model;
      check(c);
    }
}

TEST_F(WgmmaTest, StartsFromZeroWhereScaleDIsFalse) {
  struct Scale {
    const char *text;
    bool accumulates;
  };
  for (Scale scale : {Scale{"0", false},
                      {"1", true},
                      {"%p1", true},
                      {"!%p1", false},
                      {"%p2", false},
                      {"!%p2", true}}) {
    Case c;
    c.scale = scale.text;
    c.accumulates = scale.accumulates;
    check(c);
    c.result = "f16";
    check(c);
    c.a = c.b = S8Model;
    c.result = "s32";
    check(c);
  }
}

TEST_F(WgmmaTest, ClampsIntegersWithSatfinite) {
  Case c;
  c.a = c.b = U8Model;
  c.result = "s32";
  c.saturates = true;
  check(c);
  c.saturates = false;
  check(c);
}

TEST_F(WgmmaTest, CountsBitsThatBothHave) {
  std::mt19937 engine(5);
  constexpr unsigned n = 48, words = 8;
  std::vector<uint32_t> a(64 * words), b(n * words);
  for (auto *matrix : {&a, &b})
    for (uint32_t &value : *matrix)
      value = uint32_t(engine());
  // Core matrices of 8 rows of 128 bits without swizzle.
  std::vector<uint8_t> memory(8192, 0);
  auto write = [&](const std::vector<uint32_t> &matrix, uint32_t start) {
    for (uint32_t i = 0; i < matrix.size(); ++i) {
      uint32_t line = i / words, word = i % words;
      std::memcpy(memory.data() + start + line / 8 * 256 + word / 4 * 128 +
                      line % 8 * 16 + word % 4 * 4,
                  &matrix[i], 4);
    }
  };
  write(a, 0);
  write(b, 4096);
  LayoutModel layoutA{true, 0, 0, 128, 256}, layoutB{true, 0, 4096, 128, 256};
  WgmmaText kernel;
  kernel.results = n / 2;
  kernel.memoryBytes = unsigned(memory.size());
  kernel.body = "mov.b64 %d4, " + hex(layoutA.descriptor()) +
                "; mov.b64 %d5, " + hex(layoutB.descriptor()) +
                ";\nwgmma.fence.sync.aligned;\n"
                "wgmma.mma_async.sync.aligned.m64n48k256.s32.b1.b1.and.popc " +
                kernel.d() +
                ", %d4, %d5, 1;\n"
                "wgmma.commit_group.sync.aligned;\n"
                "wgmma.wait_group.sync.aligned 0;\n";
  std::vector<uint32_t> d(128 * kernel.results, 7), none(128 * 16, 0);
  uint64_t image = upload(memory), results = upload(d), unused = upload(none);
  auto outcome = run(kernel.text(), {1}, {128},
                     arguments(image, results, unused), memory.size());
  ASSERT_RAN(outcome);
  d = download<uint32_t>(results, d.size());
  uint64_t useful = 0;
  for (unsigned thread = 0; thread < 128; ++thread)
    for (unsigned i = 0; i < kernel.results; ++i) {
      unsigned lane = thread % 32;
      unsigned row = thread / 32 * 16 + lane / 4 + i / 2 % 2 * 8;
      unsigned column = i / 4 * 8 + lane % 4 * 2 + i % 2, sum = 0;
      for (unsigned word = 0; word < words; ++word)
        sum += unsigned(
            std::popcount(a[row * words + word] & b[column * words + word]));
      useful += sum;
      ASSERT_EQ(d[thread * kernel.results + i], 7 + sum)
          << "row " << row << " column " << column;
    }
  EXPECT_EQ(outcome.counters().tensorFlops, 2u * 64 * n * 256);
  EXPECT_EQ(outcome.counters().usefulTensorFlops, 2 * useful);
}

//===----------------------------------------------------------------------===//
// Layouts
//===----------------------------------------------------------------------===//

/// A tight layout of a matrix with `lines` rows or columns; a `gap` of whole
/// patterns is added between boxes.
LayoutModel layoutFor(bool isKMajor, unsigned width, unsigned lines,
                      uint32_t start, uint32_t gap) {
  LayoutModel layout{isKMajor, width, start};
  if (width == 0) {
    // Core matrices: first those along k, or first those along the other side.
    layout.leading = 128 + gap * 128;
    layout.stride = layout.leading * 4;
  } else if (isKMajor) {
    layout.stride = width * 8 * (1 + gap);
    layout.leading = 48; // Means nothing here.
  } else {
    layout.leading = width * 8 * (1 + gap);
    layout.stride = layout.leading * ((lines * 2 + width - 1) / width);
  }
  return layout;
}

TEST_F(WgmmaTest, ReadsEveryLayout) {
  for (bool isKMajorA : {true, false})
    for (bool isKMajorB : {true, false})
      for (unsigned widthA : {0, 32, 64, 128})
        for (unsigned widthB : {0, 32, 64, 128})
          for (unsigned n : {40u, 128u}) {
            Case c;
            c.n = n;
            // A K-major box has 32 bytes for each step.
            bool isNarrow =
                (isKMajorA && widthA == 32) || (isKMajorB && widthB == 32);
            c.steps = isNarrow ? 1 : 2;
            uint32_t gap = n == 40 ? 1 : 0;
            c.layoutA = layoutFor(isKMajorA, widthA, 64, 1024, gap);
            c.layoutB = layoutFor(isKMajorB, widthB, n, 65536, gap);
            check(c);
            if (HasFailure())
              return;
          }
}

TEST_F(WgmmaTest, StepsThroughTheSwizzleBy32Bytes) {
  Case c;
  c.steps = 4;
  c.n = 64;
  check(c);
  c.a = c.b = E4M3Model;
  check(c);
}

TEST_F(WgmmaTest, ReadsNarrowLayoutsOfOtherTypes) {
  for (const ElementModel &type : {TF32Model, E4M3Model, S8Model})
    for (unsigned width : {0, 32, 64}) {
      Case c;
      c.a = c.b = type;
      c.result = type.isInteger ? "s32" : "f32";
      c.steps = width == 32 ? 1 : 2;
      c.n = 80;
      c.layoutA = layoutFor(true, width, 64, 0, 0);
      c.layoutB = layoutFor(true, width, 80, 65536, 1);
      check(c);
    }
}

TEST_F(WgmmaTest, BeginsThePatternAtTheBaseOffset) {
  struct Start {
    unsigned width;
    uint32_t start;
  };
  for (bool isKMajor : {true, false})
    for (Start s : {Start{128, 384}, {128, 896}, {64, 128}, {32, 128}}) {
      Case c;
      c.steps = 1;
      c.layoutA = layoutFor(isKMajor, s.width, 64, s.start, 0);
      c.layoutA.base = s.start >> 7 & 7;
      c.layoutB = layoutFor(isKMajor, s.width, 64, 65536 + s.start, 0);
      c.layoutB.base = s.start >> 7 & 7;
      check(c);
    }
}

} // namespace
