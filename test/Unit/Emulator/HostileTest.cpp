//===- HostileTest.cpp - Texts that ask for too much ------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Sizes, numbers and depths that would fill the memory of the host or take
// hours if they were taken at their word. A test that hangs or is killed for
// its memory has failed.
//
//===----------------------------------------------------------------------===//

#include "Harness.h"

using namespace ropewalk::emulator;

namespace {

struct HostileTest : Fixture {
  static std::string refusal(const std::string &text) {
    Error error;
    return Module::parse(text, error) ? "accepted" : error.message;
  }
  static std::string repeat(size_t count, const std::string &part) {
    std::string text;
    for (size_t i = 0; i < count; ++i)
      text += part;
    return text;
  }
  /// `make(i)` for i below `count`.
  template <class F> static std::string each(size_t count, F make) {
    std::string text;
    for (size_t i = 0; i < count; ++i)
      text += make(std::to_string(i));
    return text;
  }
  static std::string function(const std::string &name,
                              const std::string &body) {
    return ".func " + name + "()\n{\n" + body + "ret;\n}\n";
  }
};

#define EXPECT_REFUSED(text, part)                                             \
  EXPECT_NE(refusal(text).find(part), std::string::npos) << refusal(text)

TEST_F(HostileTest, VariablesOfAbsurdSizes) {
  for (const char *space : {".shared", ".local"}) {
    EXPECT_REFUSED(entryText(space + std::string(" .b8 a[1099511627776];")),
                   "take more than");
    EXPECT_REFUSED(
        entryText(space + std::string(" .b8 a[9223372036854775808];")),
        "expected an extent");
  }
  EXPECT_REFUSED(entryText("", 1, ".global .b8 a[9223372036854775808];"),
                 "expected an extent");
  EXPECT_REFUSED(entryText("", 1, ".global .b8 a[1099511627776][2];"),
                 "is too large");
  EXPECT_REFUSED(entryText("", 1,
                           ".global .b8 a[1099511627776];\n"
                           ".global .b8 b[1099511627776];"),
                 "more than a terabyte");
  EXPECT_REFUSED(entryText("", 1, ".const .b8 a[65537];"), "more than 65536");
  EXPECT_REFUSED(entryText("", 1, ".extern .func f(.param .b8 a[65537]);"),
                 "more than 65536");
  EXPECT_REFUSED(".version 8.0\n.target sm_80\n.entry k(.param .b8 a[40000]){}",
                 "more than 32764");
}

// Guards initial values, which take the room of what is written, not of the
// array, and whose gaps are bounded.
TEST_F(HostileTest, InitialValuesOfLargeArrays) {
  auto module =
      parse(entryText("ret;", 0, each(100, [](std::string i) {
                        return ".global .b32 a" + i + "[1000000000] = {7};\n";
                      })));
  ASSERT_TRUE(module);
  EXPECT_REFUSED(
      entryText("ret;", 0, ".global .b8 a[2][1099511627] = {{1}, {1}};"),
      "initial values take more than 1073741824 bytes");
  EXPECT_REFUSED(
      entryText("ret;", 0, ".global .b8 a[][4294967296] = {{1}, {1}};"),
      "initial values take more than 1073741824 bytes");
}

// What the text does not reach of an array is zero.
TEST_F(HostileTest, InitialValuesEndBeforeTheArray) {
  uint64_t out = upload(std::vector<uint32_t>(2, 9));
  ASSERT_RAN(run(entryText("ld.param.u64 %d1, [p0];\n"
                           "ld.global.u32 %r1, [a+4]; ld.global.u32 %r2, "
                           "[a+20];\nst.global.u32 [%d1], %r1;\n"
                           "st.global.u32 [%d1+4], %r2;\n",
                           1, ".global .u32 a[2][3] = {{1, 5}, {2}};"),
                 {1}, {1}, arguments(out)));
  EXPECT_EQ(download<uint32_t>(out, 2), (std::vector<uint32_t>{5, 0}));
}

TEST_F(HostileTest, RegistersThatNobodyNames) {
  EXPECT_REFUSED(entryText(".reg .b32 %x<1000000000>;"),
                 "expected a number of registers from 1 to 1048576");
  // Every entry declares a million registers and uses the last one.
  std::string text = ".version 8.0\n.target sm_80\n";
  text += each(3000, [](std::string i) {
    return ".entry k" + i +
           "(){.reg .b32 %r<1048576>;.reg .b64 %d<1048576>;"
           "mov.u32 %r1048575, 1;}\n";
  });
  auto module = parse(text);
  ASSERT_TRUE(module);
  EXPECT_EQ(module->kernels().size(), 3000u);
  EXPECT_REFUSED(entryText("mov.u32 %r40, 1;"),
                 "expected a destination register");
}

TEST_F(HostileTest, Nesting) {
  EXPECT_REFUSED(entryText(repeat(100000, "{") + repeat(100000, "}")),
                 "scopes nest deeper than 200");
  EXPECT_REFUSED(entryText("mov.u32 %r1, " + repeat(100000, "(") + "1" +
                           repeat(100000, ")") + ";"),
                 "nested too deep");
  EXPECT_REFUSED(entryText("mov.u32 %r1, " + repeat(100000, "-") + "1;"),
                 "nested too deep");
  EXPECT_REFUSED(entryText("mov.u32 %r1, " + repeat(100000, "1?1:") + "1;"),
                 "nested too deep");
  EXPECT_REFUSED(entryText("mov.b64 %d1, " + repeat(100000, "{") + "%r1;"),
                 "nested too deep");
  EXPECT_REFUSED(entryText("ld.global.u32 %r1, " + repeat(100000, "[") + ";"),
                 "expected a constant");
  EXPECT_REFUSED(entryText("", 0, ".global .b8 a" + repeat(1000, "[1]") + ";"),
                 "more than 16 dimensions");
  EXPECT_REFUSED(entryText("", 0, ".section .debug " + repeat(100000, "{")),
                 "is not closed");
}

TEST_F(HostileTest, LongWordsAndLists) {
  std::string name(1000000, 'a');
  EXPECT_EQ(refusal(entryText(name + ": bra " + name + ";")), "accepted");
  EXPECT_REFUSED(entryText("mov.u32 %r1, " + std::string(1000000, '9') + ";"),
                 "bad integer constant");
  EXPECT_REFUSED(
      entryText("mov.f64 %d1, 0." + std::string(1000000, '1') + "e99999;"),
      "bad float constant");
  EXPECT_REFUSED(entryText("mov.b32 %r1, {%h1" + repeat(200000, ",%h1") + "};"),
                 "vector of 200001 elements");
  EXPECT_REFUSED(entryText("add" + repeat(200000, ".u32") + " %r1, %r2, %r3;"),
                 "is not supported");
  EXPECT_EQ(refusal(entryText(
                each(300000, [](std::string i) { return "L" + i + ":"; }))),
            "accepted");
  // 50 MB.
  EXPECT_EQ(refusal(entryText("/*" + std::string(50000000, '*') + "*/")),
            "accepted");
  EXPECT_REFUSED(
      entryText("mov.u32 %r1, 1; " + std::string(50000000, ' ') + "?;"),
      "expected an instruction");
}

TEST_F(HostileTest, ListsOfBranchTargets) {
  EXPECT_REFUSED(entryText("t: .branchtargets ; brx.idx %r1, t;"),
                 "expected a label");
  EXPECT_REFUSED(entryText("mov.u32 %r1, 0; L:\nt: .branchtargets L" +
                           repeat(100000, ",L") + ";\n" +
                           repeat(1000, "brx.idx %r1, t;\n")),
                 "targets");
}

// Guards inlining against texts whose calls multiply: instructions, registers,
// variables and targets, in one kernel and over all kernels.
TEST_F(HostileTest, CallsThatMultiply) {
  const std::string head = ".version 8.0\n.target sm_80\n";
  std::string chain = head + function("f0", "");
  for (int i = 1; i <= 40; ++i)
    chain += function("f" + std::to_string(i),
                      repeat(2, "call f" + std::to_string(i - 1) + ";\n"));
  EXPECT_REFUSED(chain + ".entry k(){call f40;}",
                 "instructions once its calls are inlined");
  EXPECT_REFUSED(head + ".func f()\n{\ncall f;\n}\n.entry k(){call f;}",
                 "recursive call");
  EXPECT_REFUSED(head + ".func g();\n.func f()\n{\ncall g;\n}\n" +
                     function("g", "call f;\n") + ".entry k(){call f;}",
                 "recursive call");
  std::string variables = head + function("f", each(2000, [](std::string i) {
                                            return ".local .b8 a" + i + "[0];";
                                          }));
  EXPECT_REFUSED(variables + ".entry k(){" + repeat(1000, "call f;") + "}",
                 "local variables once its calls are inlined");
  std::string targets = head + function("f", "L: t: .branchtargets L" +
                                                 repeat(2000, ",L") + ";\n");
  EXPECT_REFUSED(targets + ".entry k(){" + repeat(1000, "call f;") + "}",
                 "targets of indexed branches once its calls are inlined");
  std::string deep = head + function("f0", "");
  for (int i = 1; i <= 1000; ++i)
    deep += function("f" + std::to_string(i),
                     "call f" + std::to_string(i - 1) + ";\n");
  EXPECT_REFUSED(deep + ".entry k(){call f1000;}", "calls nest deeper than");
}

TEST_F(HostileTest, ManyFunctionsAndEntries) {
  std::string text = ".version 8.0\n.target sm_80\n";
  text += each(20000, [](std::string i) { return ".func f" + i + "(){}\n"; });
  text += ".entry k(){" +
          each(20000, [](std::string i) { return "call f" + i + ";"; }) + "}\n";
  EXPECT_EQ(refusal(text), "accepted");
}

/// Two chains of blocks with a way from each block of the one to its neighbour
/// in the other, and a way back: what is quadratic in the depth of dominator
/// trees or in the rounds of a data flow shows here.
std::string ladder(unsigned count, unsigned registers) {
  std::string text;
  for (unsigned i = 0; i < count; ++i) {
    std::string n = std::to_string(i), r = std::to_string(i % registers);
    text += "A" + n + ": add.u32 %x" + r + ", %x" +
            std::to_string((i * 7 + 1) % registers) + ", 1; @%p1 bra B" + n +
            ";\n";
  }
  text += "ret;\n";
  for (unsigned i = 0; i < count; ++i) {
    std::string n = std::to_string(i);
    text += "B" + n + ": add.u32 %r1, %r1, 1; @%p1 bra A" +
            std::to_string(count - 1 - i) + ";\n";
  }
  return ".reg .b32 %x<" + std::to_string(registers) + ">;\n" + text;
}

TEST_F(HostileTest, FlowGraphsThatNoCompilerMakes) {
  EXPECT_EQ(refusal(entryText(ladder(10000, 10))), "accepted");
  EXPECT_EQ(refusal(entryText(ladder(8000, 8000))), "accepted");
}

// Guards the fallbacks of the analyses: the result of a kernel that is too
// large for them is right, and what it reads too early is found.
TEST_F(HostileTest, KernelsTooLargeForTheirAnalyses) {
  unsigned count = 40000;
  std::string body = "ld.param.u64 %d1, [p0]; mov.u32 %x0, 3;\n";
  for (unsigned i = 1; i < count; ++i)
    body += "add.u32 %x" + std::to_string(i) + ", %x" + std::to_string(i - 1) +
            ", 1; @%p1 bra E;\n";
  std::string before = ".reg .b32 %x<40001>; setp.ne.u32 %p1, 1, 1;\n";
  std::string after = "E: st.global.u32 [%d1], %x39999;\n";
  uint64_t out = upload(std::vector<uint32_t>(1, 0));
  ASSERT_RAN(
      run(entryText(before + body + after, 1), {1}, {32}, arguments(out)));
  EXPECT_EQ(download<uint32_t>(out, 1)[0], 40002u);
  auto result =
      run(entryText(before + body + "add.u32 %x1, %x1, %x40000;\n" + after, 1),
          {1}, {32}, arguments(out));
  ASSERT_FALSE(result);
  EXPECT_EQ(result.report().kind, ReportKind::UninitializedRegister);
  EXPECT_NE(result.report().detail.find("%x40000"), std::string::npos)
      << result.report().str();
}

TEST_F(HostileTest, LoopsEndWithTheBudget) {
  LaunchOptions options;
  options.instructionBudget = 1000;
  for (const char *body :
       {"L: bra L;", "L: nanosleep.u32 1; bra L;",
        "mov.u32 %r1, 0; t: .branchtargets L; L: brx.idx %r1, t;",
        "L: bar.sync 0; bra L;", "L: @%p1 bra L; bra L;"}) {
    auto result =
        run(entryText("setp.ne.u32 %p1, 1, 1;\n" + std::string(body), 0), {1},
            {64}, {}, 0, options);
    ASSERT_FALSE(result) << body;
    EXPECT_EQ(result.report().kind, ReportKind::InstructionBudget) << body;
  }
}

TEST_F(HostileTest, BarriersOutOfRange) {
  for (const char *body :
       {"mov.u32 %r1, 16; bar.sync %r1;", "mov.u32 %r1, -1; bar.sync %r1;",
        "mov.u32 %r1, -1; bar.sync 0, %r1;",
        "mov.u32 %r1, 0; bar.sync 0, %r1;"})
    EXPECT_FALSE(run(entryText(body, 0), {1}, {64}, {})) << body;
}

TEST_F(HostileTest, LaunchesOfAbsurdDimensions) {
  auto text = entryText("ret;", 0);
  const uint32_t most = ~uint32_t(0);
  for (Dim3 grid : {Dim3{0, 1, 1}, Dim3{most, most, most},
                    Dim3{1u << 31, 1u << 31, 4}, Dim3{1, 65536, 1}})
    EXPECT_FALSE(run(text, grid, {1}, {}));
  for (Dim3 block :
       {Dim3{0, 1, 1}, Dim3{most, most, most}, Dim3{1u << 31, 2, 1},
        Dim3{1025, 1, 1}, Dim3{1, 1, 65}, Dim3{1u << 16, 1u << 16, 1}})
    EXPECT_FALSE(run(text, {1}, block, {}));
  for (size_t shared :
       {~size_t(0), ~size_t(0) - 3, size_t(1) << 32, size_t(1) << 21})
    EXPECT_FALSE(run(entryText(".shared .b8 a[4]; mov.u32 %r1, a;", 0), {1},
                     {32}, {}, shared))
        << shared;
  LaunchOptions options;
  for (Dim3 cluster : {Dim3{most, 1, 1}, Dim3{most, most, most}, Dim3{17, 1, 1},
                       Dim3{2, 0, 1}}) {
    options.cluster = cluster;
    run(text, {16}, {32}, {}, 0, options); // Refused, or no cluster at all.
  }
}

// Guards the bound on what a launch takes of the host.
TEST_F(HostileTest, LocalMemoryOfManyThreads) {
  std::string text = entryText(".local .b8 a[524288]; mov.u64 %d1, a;", 0);
  LaunchOptions options;
  options.cluster = {16, 1, 1};
  auto result = run(text, {16}, {1024}, {}, 0, options);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.report().kind, ReportKind::InvalidLaunch);
  EXPECT_NE(result.report().detail.find("bytes of the host"), std::string::npos)
      << result.report().str();
  EXPECT_TRUE(bool(run(text, {64}, {32}, {})));
}

// Guards local memory of sizes that are no multiple of the widest access.
TEST_F(HostileTest, LocalMemoryOfOddSizes) {
  uint64_t out = upload(std::vector<uint64_t>(32, 0));
  ASSERT_RAN(run(entryText("ld.param.u64 %d1, [p0];\n"
                           ".local .align 8 .b8 a[12];\n"
                           "mov.u32 %r1, %tid.x; cvt.u64.u32 %d2, %r1;\n"
                           "st.local.u64 [a], %d2; st.local.u32 [a+8], %r1;\n"
                           "ld.local.u64 %d3, [a];\n"
                           "mul.wide.u32 %d4, %r1, 8; add.s64 %d4, %d1, %d4;\n"
                           "st.global.u64 [%d4], %d3;\n",
                           1),
                 {1}, {32}, arguments(out)));
  auto values = download<uint64_t>(out, 32);
  for (uint64_t i = 0; i < 32; ++i)
    EXPECT_EQ(values[i], i);
  auto result = run(entryText(".local .align 8 .b8 a[12];\n"
                              "mov.u32 %r1, 1; st.local.u32 [a+12], %r1;",
                              0),
                    {1}, {32}, {});
  ASSERT_FALSE(result);
  EXPECT_EQ(result.report().kind, ReportKind::OutOfBounds);
}

} // namespace
