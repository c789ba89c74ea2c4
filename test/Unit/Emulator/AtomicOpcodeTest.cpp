//===- AtomicOpcodeTest.cpp - Atomic operations -----------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Every operation on every type, alone and in vectors, against plain C++; what
// many lanes do to one place; locks; and the forms that PTX does not have.
//
//===----------------------------------------------------------------------===//

#include "OpcodeHarness.h"

#include <cmath>

using namespace ropewalk::emulator;

namespace {

struct AtomicTest : OpcodeTest {
  /// Runs `operation` with a as the old value at [%d31] and checks what it
  /// returns and what it leaves; `expected` of a row is the latter.
  void checkAtomic(const std::string &operation, char size,
                   const std::vector<Row> &rows) {
    std::string reg = std::string("%") + size;
    std::string type = size == 'd' ? "b64" : size == 'h' ? "b16" : "b32";
    std::vector<Row> old = rows;
    uint64_t mask = size == 'd'   ? ~uint64_t(0)
                    : size == 'h' ? 0xffff
                                  : 0xffffffff;
    for (Row &row : old)
      row.expected = row.a & mask;
    auto fill = [&](const std::string &place, const std::string &result) {
      std::string code = operation;
      for (size_t at; (at = code.find("$d")) != std::string::npos;)
        code.replace(at, 2, result);
      for (size_t at; (at = code.find("$a")) != std::string::npos;)
        code.replace(at, 2, place);
      for (char i : {'2', '3'})
        for (size_t at;
             (at = code.find(std::string("$") + i)) != std::string::npos;)
          code.replace(at, 2, reg + i);
      return code;
    };
    check(fill("[%d31]", reg + "0"), size, old);
    check(fill("[%d31]", reg + "9") + "\nld.global." + type + " " + reg +
              "0, [%d31];",
          size, rows);
  }
};

uint16_t bf16(float value) {
  uint32_t bits = std::bit_cast<uint32_t>(value);
  if (value != value)
    return 0x7fff;
  return uint16_t((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}
float fromBf16(uint16_t bits) { return std::bit_cast<float>(bits << 16); }
uint16_t f16(float value) {
  return value != value ? 0x7fff : std::bit_cast<uint16_t>(_Float16(value));
}
float fromF16(uint16_t bits) { return float(std::bit_cast<_Float16>(bits)); }

// Guards integer operations at the ends of their ranges.
TEST_F(AtomicTest, Integers) {
  checkAtomic("atom.global.add.u32 $d, $a, $2;", 'r',
              {{1, 2, 0, 3}, {0xffffffff, 2, 0, 1}, {7, 0, 0, 7}});
  checkAtomic("atom.global.add.s32 $d, $a, $2;", 'r',
              {{0x7fffffff, 1, 0, 0x80000000}});
  checkAtomic(
      "atom.global.add.u64 $d, $a, $2;", 'd',
      {{~uint64_t(0), 5, 0, 4}, {1, uint64_t(1) << 40, 0, (1ull << 40) + 1}});
  checkAtomic("atom.global.min.u32 $d, $a, $2;", 'r',
              {{5, 0xffffffff, 0, 5}, {0x80000000, 1, 0, 1}});
  checkAtomic("atom.global.min.s32 $d, $a, $2;", 'r',
              {{5, 0xffffffff, 0, 0xffffffff}, {0x80000000, 1, 0, 0x80000000}});
  checkAtomic("atom.global.max.u32 $d, $a, $2;", 'r',
              {{5, 0xffffffff, 0, 0xffffffff}, {0x80000000, 1, 0, 0x80000000}});
  checkAtomic("atom.global.max.s32 $d, $a, $2;", 'r',
              {{5, 0xffffffff, 0, 5}, {0x80000000, 1, 0, 1}});
  uint64_t low = uint64_t(1) << 63;
  checkAtomic("atom.global.min.u64 $d, $a, $2;", 'd', {{low, 1, 0, 1}});
  checkAtomic("atom.global.min.s64 $d, $a, $2;", 'd', {{low, 1, 0, low}});
  checkAtomic("atom.global.max.u64 $d, $a, $2;", 'd', {{low, 1, 0, low}});
  checkAtomic("atom.global.max.s64 $d, $a, $2;", 'd', {{low, 1, 0, 1}});
  checkAtomic("atom.global.and.b32 $d, $a, $2;", 'r',
              {{0xf0f0f0f0, 0xff00ff00, 0, 0xf000f000}});
  checkAtomic("atom.global.or.b32 $d, $a, $2;", 'r',
              {{0xf0f0f0f0, 0xff00ff00, 0, 0xfff0fff0}});
  checkAtomic("atom.global.xor.b64 $d, $a, $2;", 'd',
              {{low | 5, low | 3, 0, 6}});
  checkAtomic("atom.global.and.b64 $d, $a, $2;", 'd', {{low | 5, low, 0, low}});
  checkAtomic("atom.global.or.b64 $d, $a, $2;", 'd', {{5, low, 0, low | 5}});
  checkAtomic("atom.global.xor.b32 $d, $a, $2;", 'r', {{5, 1, 0, 4}});
  // inc wraps at b, dec goes to b from 0 and from above.
  checkAtomic("atom.global.inc.u32 $d, $a, $2;", 'r',
              {{3, 5, 0, 4}, {5, 5, 0, 0}, {9, 5, 0, 0}, {0, 0, 0, 0}});
  checkAtomic("atom.global.dec.u32 $d, $a, $2;", 'r',
              {{3, 5, 0, 2}, {0, 5, 0, 5}, {9, 5, 0, 5}, {5, 5, 0, 4}});
}

// Guards exchange and compare-and-swap of all sizes.
TEST_F(AtomicTest, Exchange) {
  checkAtomic("atom.global.exch.b32 $d, $a, $2;", 'r', {{3, 9, 0, 9}});
  checkAtomic("atom.global.exch.b64 $d, $a, $2;", 'd',
              {{3, uint64_t(9) << 40, 0, uint64_t(9) << 40}});
  checkAtomic("atom.global.cas.b16 $d, $a, $2, $3;", 'h',
              {{0x10003, 3, 9, 9}, {4, 3, 9, 4}});
  checkAtomic("atom.global.cas.b32 $d, $a, $2, $3;", 'r',
              {{3, 3, 9, 9}, {4, 3, 9, 4}});
  checkAtomic("atom.global.cas.b64 $d, $a, $2, $3;", 'd',
              {{3, 3, uint64_t(9) << 40, uint64_t(9) << 40},
               {uint64_t(3) << 40, 3, 9, uint64_t(3) << 40}});
  // 16 bytes at a and b of the row, against (b, c); the low half is read back.
  std::string pack = ".reg .b128 %q<4>;\n"
                     "mov.b128 %q1, {%d1, %d2}; mov.b128 %q2, {%d3, %d3};\n";
  check(pack + "atom.global.cas.b128 %q3, [%d31], %q1, %q2;\n"
               "ld.global.b64 %d0, [%d31];",
        'd', {{1, 2, 7, 7}});
  check(pack + "atom.global.cas.b128 %q3, [%d31], %q2, %q1;\n"
               "ld.global.b64 %d0, [%d31];",
        'd', {{1, 2, 7, 1}, {7, 2, 7, 7}});
  check(pack + "atom.global.exch.b128 %q3, [%d31], %q2;\n"
               "mov.b128 {%d4, %d0}, %q3;",
        'd', {{1, 2, 7, 2}});
}

// Guards floating-point sums: rounding, subnormals by space, NaN.
TEST_F(AtomicTest, Floats) {
  float tiny = 0x1p-140f, nan = NAN;
  std::vector<Row> rows = {{f(1.5f), f(0x1p-24f), 0, f(1.5f)},
                           {f(1), f(0x1p-23f), 0, f(1 + 0x1p-23f)},
                           {f(tiny), f(tiny), 0, f(0)},
                           {f(-tiny), f(-tiny), 0, f(-0.0f)},
                           {f(nan), f(1), 0, 0x7fffffff},
                           {f(INFINITY), f(-INFINITY), 0, 0x7fffffff}};
  checkAtomic("atom.global.add.f32 $d, $a, $2;", 'r', rows);
  checkAtomic("atom.add.f32 $d, $a, $2;", 'r', rows);
  // Shared memory keeps subnormals.
  std::string shared = ".shared .align 8 .b8 s[1024];\nmov.u32 %r9, s;\n"
                       "shl.b32 %r10, %r30, 3; add.u32 %r9, %r9, %r10;\n"
                       "st.shared.b64 [%r9], %d1;\n";
  check(shared + "atom.shared.add.f32 %r0, [%r9], %r2;\n"
                 "ld.shared.b32 %r0, [%r9];",
        'r', {{f(tiny), f(tiny), 0, f(2 * tiny)}});
  check(shared + "cvt.u64.u32 %d10, %r9; cvta.shared.u64 %d10, %d10;\n"
                 "atom.add.f32 %r0, [%d10], %r2;\nld.shared.b32 %r0, [%r9];",
        'r', {{f(tiny), f(tiny), 0, f(2 * tiny)}});
  checkAtomic("atom.global.add.f64 $d, $a, $2;", 'd',
              {{g(1.5), g(0x1p-52), 0, g(1.5 + 0x1p-52)},
               {g(0x1p-1070), g(0x1p-1070), 0, g(0x1p-1069)}});
}

// Guards f16 and bf16, alone and in pairs, against their own arithmetic.
TEST_F(AtomicTest, Halves) {
  std::mt19937 random(5);
  std::vector<Row> half, brain, halves, brains;
  for (int i = 0; i < 60; ++i) {
    uint16_t a[2], b[2];
    for (int j = 0; j < 2; ++j) {
      a[j] = uint16_t(random());
      b[j] = uint16_t(random());
      if (i % 3 == 0) // Near each other, so that sums round.
        b[j] = uint16_t(a[j] + random() % 4096);
    }
    auto sum = [&](int j) { return f16(fromF16(a[j]) + fromF16(b[j])); };
    auto brainSum = [&](int j) {
      return bf16(float(double(fromBf16(a[j])) + double(fromBf16(b[j]))));
    };
    uint64_t pairA = a[0] | uint64_t(a[1]) << 16, pairB = b[0] | uint64_t(b[1])
                                                                     << 16;
    half.push_back({a[0], b[0], 0, sum(0)});
    brain.push_back({a[0], b[0], 0, brainSum(0)});
    halves.push_back({pairA, pairB, 0, uint64_t(sum(1)) << 16 | sum(0)});
    brains.push_back(
        {pairA, pairB, 0, uint64_t(brainSum(1)) << 16 | brainSum(0)});
  }
  // At most 32 rows a launch keep the registers of one warp.
  checkAtomic("atom.global.add.noftz.f16 $d, $a, $2;", 'h', half);
  checkAtomic("atom.add.noftz.bf16 $d, $a, $2;", 'h', brain);
  checkAtomic("atom.global.add.noftz.f16x2 $d, $a, $2;", 'r', halves);
  checkAtomic("atom.global.add.bf16x2.noftz $d, $a, $2;", 'r', brains);
}

// Guards vectors: each element by itself, all of them returned.
TEST_F(AtomicTest, Vectors) {
  std::string head = "ld.param.u64 %d1, [p0]; ld.param.u64 %d2, [p1];\n";
  std::vector<float> values = {1, 2, 3, 4, 10, 20, 30, 40};
  std::string text = head +
                     "ld.global.v4.b32 {%r1, %r2, %r3, %r4}, [%d1+16];\n"
                     "atom.global.add.v4.f32 {%r5, %r6, %r7, %r8}, [%d1], "
                     "{%r1, %r2, %r3, %r4};\n"
                     "st.global.v4.b32 [%d2], {%r5, %r6, %r7, %r8};\n"
                     "red.global.v2.f32.add [%d1+8], {%r1, %r1};\n";
  uint64_t data = upload(values), out = device.allocate(16);
  ASSERT_RAN(run(entryText(text), {1}, {1}, arguments(data, out)));
  EXPECT_EQ(download<float>(data, 4), (std::vector<float>{11, 22, 43, 54}));
  EXPECT_EQ(download<float>(out, 4), (std::vector<float>{1, 2, 3, 4}));

  // v8 of f16, max: a NaN gives way to a number, -0 is less than +0.
  std::vector<uint16_t> halves, expected;
  float a[] = {1, -1, NAN, NAN, -0.0f, 0.0f, 65504, -INFINITY};
  float b[] = {2, -2, 3, NAN, 0.0f, -0.0f, INFINITY, 5};
  float most[] = {2, -1, 3, NAN, 0.0f, 0.0f, INFINITY, 5};
  for (float value : a)
    halves.push_back(f16(value));
  for (float value : b)
    halves.push_back(f16(value));
  for (float value : most)
    expected.push_back(f16(value));
  text = head;
  std::string sources, results;
  for (int i = 0; i < 8; ++i) {
    text += "ld.global.b16 %h" + std::to_string(i) + ", [%d1+" +
            std::to_string(16 + 2 * i) + "];\n";
    sources += (i ? ", %h" : "%h") + std::to_string(i);
    results += (i ? ", %h" : "%h") + std::to_string(i + 10);
  }
  text += "atom.global.v8.f16.max.noftz {" + results + "}, [%d1], {" + sources +
          "};\nst.global.b16 [%d2], %h17;\n";
  data = upload(halves);
  ASSERT_RAN(run(entryText(text), {1}, {1}, arguments(data, out)));
  EXPECT_EQ(download<uint16_t>(data, 8), expected);
  EXPECT_EQ(download<uint16_t>(out, 1)[0], f16(-INFINITY));

  // v4 of bf16x2, and v2 of bf16 with min.
  std::vector<uint16_t> brains;
  for (int i = 0; i < 16; ++i)
    brains.push_back(bf16(float(i)));
  text = head + "ld.global.v4.b32 {%r1, %r2, %r3, %r4}, [%d1+16];\n"
                "red.global.add.noftz.v4.bf16x2 [%d1], {%r1, %r2, %r3, %r4};\n"
                "mov.b32 {%h1, %h2}, %r1;\n"
                "red.min.noftz.v2.bf16 [%d1+8], {%h1, %h2};\n";
  data = upload(brains);
  ASSERT_RAN(run(entryText(text), {1}, {1}, arguments(data, out)));
  auto got = download<uint16_t>(data, 8);
  for (int i = 0; i < 8; ++i)
    EXPECT_EQ(fromBf16(got[size_t(i)]), i == 4   ? 8
                                        : i == 5 ? 9
                                                 : float(2 * i + 8))
        << i;
}

// Guards that lanes, warps and blocks add up at one place.
TEST_F(AtomicTest, Contention) {
  std::string body = "ld.param.u64 %d1, [p0];\nmov.u32 %r1, %tid.x;\n"
                     "atom.global.add.u32 %r2, [%d1], 1;\n"
                     "red.global.add.u32 [%d1+4], %r1;\n"
                     "red.relaxed.sys.global.max.u32 [%d1+8], %r1;\n"
                     "mul.wide.u32 %d2, %r2, 4; add.s64 %d2, %d1, %d2;\n"
                     "red.global.add.L2::cache_hint.u32 [%d2+16], 1, %d2;\n"
                     "atom.global.add.u32 _, [%d1+12], 2;\n";
  std::vector<uint32_t> zeros(4 + 300);
  uint64_t data = upload(zeros);
  for (uint64_t seed : {0, 4}) {
    device.fill(data, 0, zeros.size() * 4);
    LaunchOptions options;
    options.scheduleSeed = seed;
    options.threads = 2;
    ASSERT_RAN(
        run(entryText(body, 1), {3}, {100}, arguments(data), 0, options));
    auto got = download<uint32_t>(data, zeros.size());
    EXPECT_EQ(got[0], 300u);
    EXPECT_EQ(got[1], 3u * 99 * 100 / 2);
    EXPECT_EQ(got[2], 99u);
    EXPECT_EQ(got[3], 600u);
    for (size_t i = 4; i < got.size(); ++i)
      ASSERT_EQ(got[i], 1u) << "a ticket was given twice";
  }
}

/// How a lock is taken, what follows, and how it is given back.
struct Lock {
  std::string take, after, give;
};

/// One lane of each warp takes a lock and adds to s[0] without an atomic.
std::string lockText(const Lock &lock) {
  return "mov.u32 %r1, %tid.x; and.b32 %r2, %r1, 31;\n"
         "setp.ne.u32 %p1, %r2, 0;\n@%p1 bra END;\nmov.u32 %r9, 0;\nTAKE:\n" +
         lock.take +
         " %r3, [lock], 0, 1;\nsetp.ne.u32 %p2, %r3, 0;\n@%p2 bra TAKE;\n" +
         lock.after +
         "\nld.shared.u32 %r4, [s];\nadd.u32 %r4, %r4, 1;\n"
         "st.shared.u32 [s], %r4;\n" +
         lock.give +
         " [lock], 0;\nadd.u32 %r9, %r9, 1;\nsetp.lt.u32 %p3, %r9, 20;\n"
         "@%p3 bra TAKE;\nEND:\nbar.sync 0;\nld.param.u64 %d1, [p0];\n"
         "ld.shared.u32 %r5, [s];\nst.global.u32 [%d1], %r5;\n";
}

// Guards spinning try-locks: they end, and they order what they protect.
TEST_F(AtomicTest, Locks) {
  std::string before = ".shared .u32 lock; .shared .u32 s;\n";
  uint64_t out = device.allocate(4);
  auto launch = [&](const Lock &lock, uint64_t seed) {
    LaunchOptions options;
    options.scheduleSeed = seed;
    options.checkUninitializedMemory = false;
    return run(entryText(lockText(lock), 1, before), {1}, {256}, arguments(out),
               0, options);
  };
  std::string acquire = "atom.acquire.cta.shared.cas.b32",
              relaxed = "atom.shared.cas.b32", fence = "fence.acq_rel.cta;\n",
              release = "st.release.cta.shared.u32",
              plain = "st.volatile.shared.u32";
  const Lock right[] = {
      {acquire, "", release},
      {"atom.acq_rel.gpu.shared.cas.b32", "", "red.release.gpu.shared.and.b32"},
      {relaxed, fence, fence + plain},
      {relaxed, "membar.cta;", release},
      {acquire, "", "membar.gl;\nst.relaxed.cta.shared.u32"}};
  const Lock wrong[] = {
      {relaxed, "", release},
      {acquire, "", plain},
      {relaxed, "", fence + plain},
      {relaxed, fence, plain},
      {fence + relaxed, "",
       plain + " [lock], 0;\n" + fence + "st.volatile.shared.u32"}};
  for (uint64_t seed : {0, 1, 2, 3}) {
    for (const Lock &lock : right) {
      ASSERT_RAN(launch(lock, seed));
      EXPECT_EQ(download<uint32_t>(out, 1)[0], 160u);
    }
    for (const Lock &lock : wrong) {
      auto result = launch(lock, seed);
      ASSERT_FALSE(bool(result)) << lockText(lock);
      EXPECT_EQ(result.report().kind, ReportKind::SharedRace)
          << result.report().str();
    }
  }
}

// Guards what PTX does not have, by its name.
TEST(AtomicRefusals, AreNamed) {
  auto expect = [](const std::string &line, const std::string &part) {
    Error error;
    auto module = Module::parse(entryText(line, 1), error);
    std::string message = module ? "accepted" : error.message;
    EXPECT_NE(message.find(part), std::string::npos) << line << "\n" << message;
  };
  expect("atom.global.add.s64 %d1, [%d2], %d3;", "'add' on .s64");
  expect("atom.global.and.u32 %r1, [%d2], %r3;", "'and' on .u32");
  expect("atom.global.exch.f32 %r1, [%d2], %r3;", "'exch' on .f32");
  expect("atom.global.cas.u32 %r1, [%d2], %r3, %r4;", "'cas' on .u32");
  expect("atom.global.inc.s32 %r1, [%d2], %r3;", "'inc' on .s32");
  expect("atom.global.min.f32 %r1, [%d2], %r3;", "'min' on .f32");
  expect("atom.global.add.f16 %h1, [%d2], %h3;", "expected '.noftz'");
  expect("atom.global.add.noftz.f32 %r1, [%d2], %r3;", "unexpected '.noftz'");
  expect("atom.global.min.noftz.f16x2 %r1, [%d2], %r3;", "'min' on .f16x2");
  expect("atom.shared.add.v2.f32 {%r1, %r2}, [%r3], {%r4, %r5};",
         "a vector in shared memory");
  expect("atom.global.add.v8.f32 {%r1, %r2}, [%d3], {%r4, %r5};",
         "vectors of 8");
  expect("atom.global.add.v2.u32 {%r1, %r2}, [%d3], {%r4, %r5};",
         "vectors of 2");
  expect("atom.global.add.v2.f32 {%r1}, [%d3], {%r4, %r5};",
         "expected a vector of 2 registers");
  expect("red.global.exch.b32 [%d2], %r3;", "'exch' or 'cas' in 'red'");
  expect("red.acquire.gpu.global.add.u32 [%d2], %r3;", "'.acquire'");
  expect("atom.volatile.global.add.u32 %r1, [%d2], %r3;", "'.volatile'");
  expect("atom.local.add.u32 %r1, [%d2], %r3;", "'.local'");
  expect("atom.global.u32 %r1, [%d2], %r3;", "an operation is missing");
  expect("atom.global.add %r1, [%d2], %r3;", "a type is missing");
  expect("atom.global.add.u32 %r1, [%d2], %r3, %d4;", "expected 3 operands");
  expect("atom.global.add.L2::cache_hint.u32 %r1, [%d2], %r3;",
         "expected 4 operands");
  expect("atom.global.add.u32 %d1, [%d2], %r3;",
         "expected a register of a .u32");
}

// Guards generic addresses that point to no memory with atomics.
TEST_F(AtomicTest, LocalMemoryHasNone) {
  auto result = run(entryText(".local .align 8 .b8 l[16];\nmov.b64 %d1, l;\n"
                              "cvta.local.u64 %d1, %d1;\nst.u32 [%d1], 1;\n"
                              "atom.add.u32 %r1, [%d1], 1;\n",
                              1),
                    {1}, {32}, arguments(uint64_t(0)));
  ASSERT_FALSE(bool(result));
  EXPECT_NE(result.report().str().find("only global and shared memory"),
            std::string::npos)
      << result.report().str();
}

} // namespace
