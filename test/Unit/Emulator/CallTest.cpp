//===- CallTest.cpp - Calls of device functions -----------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Every form of a parameter, divergence inside of callees, calls that are
// refused, and the functions of the device runtime.
//
//===----------------------------------------------------------------------===//

#include "Harness.h"

using namespace ropewalk::emulator;

namespace {

struct CallTest : Fixture {
  /// Runs `body` with the thread's number in %r1 and returns %r0 by thread.
  std::vector<uint32_t> results(const std::string &functions,
                                const std::string &body,
                                uint32_t threads = 32) {
    uint64_t out = device.allocate(threads * 4);
    std::string tail = "\nld.param.u64 %d30, [p0]; mov.u32 %r30, %tid.x;\n"
                       "mul.wide.u32 %d31, %r30, 4;\n"
                       "add.s64 %d30, %d30, %d31; st.global.u32 [%d30], %r0;";
    auto result =
        run(entryText("mov.u32 %r1, %tid.x;\n" + body + tail, 1, functions),
            {1}, {threads}, arguments(out));
    EXPECT_TRUE(bool(result)) << result.report().str();
    if (result)
      last = result.counters();
    return download<uint32_t>(out, threads);
  }
  Counters last;
};

std::string errorOf(const std::string &functions, const std::string &body) {
  Error error;
  auto module = Module::parse(entryText(body, 1, functions), error);
  return module ? "accepted" : error.message;
}

const char *const addFunction =
    ".func (.param .b32 sum) add2(.param .b32 a, .param .b32 b)\n{\n"
    ".reg .b32 %r<4>;\nld.param.b32 %r1, [a]; ld.param::func.b32 %r2, [b];\n"
    "add.u32 %r3, %r1, %r2; st.param.b32 [sum+0], %r3; ret;\n}\n";

// Guards variables as arguments and results, twice in one kernel, so that the
// copies of the callee do not share registers.
TEST_F(CallTest, PassesVariables) {
  auto got = results(addFunction,
                     "{ .param .b32 x; .param .b32 y; .param .b32 z;\n"
                     "st.param.b32 [x], %r1; st.param.b32 [y+0], 100;\n"
                     "call.uni (z), add2, (x, y);\nld.param.b32 %r2, [z+0]; }\n"
                     "{ .param .b32 x; .param .b32 y; .param .b32 z;\n"
                     "st.param.b32 [x], %r2; st.param.b32 [y+0], %r2;\n"
                     "call.uni (z), add2, (x, y);\nld.param.b32 %r0, [z]; }");
  for (uint32_t i = 0; i < 32; ++i)
    EXPECT_EQ(got[i], 2 * (i + 100));
}

// Guards registers and constants in the place of variables, and sinks.
TEST_F(CallTest, PassesRegistersAndConstants) {
  auto got = results(addFunction, "call (%r2), add2, (%r1, 7);\n"
                                  "call (_), add2, (%r2, %r2);\n"
                                  "call (%r0), add2, (0x10, %r2);");
  for (uint32_t i = 0; i < 32; ++i)
    EXPECT_EQ(got[i], i + 7 + 16);
  auto halves =
      results(".func (.param .b32 r) half(.param .b32 f)\n{ .reg .f32 %f<3>;\n"
              "ld.param.f32 %f1, [f]; mul.f32 %f2, %f1, 0f3f000000;\n"
              "st.param.f32 [r], %f2; }\n",
              "call (%r0), half, (0f40400000);");
  EXPECT_EQ(halves[3], 0x3fc00000u); // 1.5
}

// Guards parameters in registers, of all widths, and predicates.
TEST_F(CallTest, PassesParametersInRegisters) {
  auto got = results(".func (.reg .u32 r, .reg .pred q) f(.reg .u64 a, .reg "
                     ".u16 b, .reg .pred p)\n{ .reg .u32 t;\n"
                     "cvt.u32.u64 r, a; cvt.u32.u16 t, b; add.u32 r, r, t;\n"
                     "not.pred q, p; @p add.u32 r, r, 1000; }\n",
                     "setp.gt.u32 %p1, %r1, 20; cvt.u64.u32 %d1, %r1;\n"
                     "call (%r0, %p2), f, (%d1, 5, %p1);\n"
                     "@%p2 add.u32 %r0, %r0, 50000;");
  for (uint32_t i = 0; i < 32; ++i)
    EXPECT_EQ(got[i], i + 5 + (i > 20 ? 1000 : 50000));
}

// Guards arrays of bytes, vector accesses and the address of a parameter.
TEST_F(CallTest, PassesArrays) {
  const char *swap =
      ".func (.param .align 8 .b8 r[16]) swap(.param .align 8 .b8 a[16])\n{\n"
      ".reg .b32 %r<5>; .reg .b64 %d<3>;\n"
      "ld.param.v2.b32 {%r1, %r2}, [a+8];\nmov.b64 %d1, a;\n"
      "ld.local.b64 %d2, [%d1];\nst.param.v2.b32 [r], {%r1, %r2};\n"
      "st.param.b64 [r+8], %d2;\n}\n";
  auto got =
      results(swap, "{ .param .align 8 .b8 a[16]; .param .align 8 .b8 r[16];\n"
                    "st.param.b32 [a], %r1; st.param.b32 [a+4], 2;\n"
                    "st.param.v2.b32 [a+8], {3, 4}; call (r), swap, (a);\n"
                    "ld.param.b32 %r2, [r]; ld.param.b32 %r3, [r+4];\n"
                    "ld.param.v2.b32 {%r4, %r5}, [r+8]; }\n"
                    "mad.lo.u32 %r0, %r2, 10, %r3; mad.lo.u32 %r0, %r0, 10, "
                    "%r5; mad.lo.u32 %r0, %r0, 100, %r4;");
  for (uint32_t i = 0; i < 32; ++i)
    EXPECT_EQ(got[i], 34200 + i);
}

// Guards that lanes which return in different places meet after the call, as
// the shuffle sees all of them, and that a guard holds lanes back.
TEST_F(CallTest, ReturnsReconverge) {
  const char *steps =
      ".func (.reg .u32 r) steps(.reg .u32 n)\n{\n.reg .pred p; .reg .u32 c;\n"
      "mov.u32 r, 0;\nsetp.eq.u32 p, n, 3; @p ret;\nmov.u32 c, 0;\nL:\n"
      "setp.ge.u32 p, c, n; @p ret.uni;\nadd.u32 r, r, n; add.u32 c, c, 1;\n"
      "bra.uni L;\n}\n";
  auto got = results(steps, "mov.u32 %r2, 0; call (%r2), steps, (%r1);\n"
                            "shfl.sync.idx.b32 %r3, %r2, 31, 31, -1;\n"
                            "add.u32 %r0, %r2, %r3;");
  for (uint32_t i = 0; i < 32; ++i)
    EXPECT_EQ(got[i], (i == 3 ? 0 : i * i) + 31 * 31);
  EXPECT_EQ(last.warpByClass[size_t(InstClass::WarpExchange)], 1u);
  got = results(steps, "mov.u32 %r2, 77; setp.lt.u32 %p1, %r1, 8;\n"
                       "@!%p1 call (%r2), steps, (%r1);\n"
                       "shfl.sync.bfly.b32 %r0, %r2, 16, 31, -1;");
  for (uint32_t i = 0; i < 32; ++i)
    EXPECT_EQ(got[i], (i ^ 16) < 8 ? 77 : (i ^ 16) * (i ^ 16));
}

// Guards nested calls, labels and branch lists in copies, and exit in a callee.
TEST_F(CallTest, NestsCalls) {
  std::string functions =
      std::string(addFunction) +
      ".func (.reg .u32 r) pick(.reg .u32 n)\n{\n"
      "T: .branchtargets A, B;\nbrx.idx n, T;\n"
      "A: call (r), add2, (n, 10); ret;\nB: call (r), add2, (n, 20);\n}\n"
      ".visible .func (.reg .u32 r) twice(.reg .u32 n)\n{ .reg .u32 a, b; "
      ".reg .pred p;\nsetp.eq.u32 p, n, 7; @p exit;\n"
      "and.b32 a, n, 1; call (b), pick, (a); xor.b32 a, a, 1;\n"
      "call (r), pick, (a); mad.lo.u32 r, b, 100, r;\n}\n"
      ".visible .func (.reg .u32 r) other(.reg .u32 n);\n"
      ".alias other, twice;\n";
  uint64_t out = device.allocate(128);
  device.fill(out, 0, 128);
  auto result =
      run(entryText("mov.u32 %r1, %tid.x; call (%r0), other, (%r1);\n"
                    "ld.param.u64 %d30, [p0]; mul.wide.u32 %d31, %r1, 4;\n"
                    "add.s64 %d30, %d30, %d31; st.global.u32 [%d30], %r0;",
                    1, functions),
          {1}, {32}, arguments(out));
  ASSERT_RAN(result);
  auto got = download<uint32_t>(out, 32);
  for (uint32_t i = 0; i < 32; ++i)
    EXPECT_EQ(got[i], i == 7 ? 0 : i % 2 ? 2110u : 1021u) << i;
}

// Guards that local variables exist once for each call site and thread, and
// shared ones once for the block, also where several functions name them.
TEST_F(CallTest, VariablesOfCallees) {
  const char *functions =
      ".shared .align 4 .b8 common[128];\n"
      ".func put(.reg .u32 t)\n{ .reg .u32 a; .shared .align 8 .b64 own[32];\n"
      "mov.u32 a, common; mad.lo.u32 a, t, 4, a; st.shared.u32 [a], t; }\n"
      ".func (.reg .u32 r) get(.reg .u32 t)\n{ .reg .u32 a, b; .local .align 4 "
      ".b8 x[8];\nmov.u32 a, common; mad.lo.u32 a, t, 4, a;\n"
      "ld.shared.u32 b, [a]; st.local.u32 [x+4], b; add.u32 b, b, 1;\n"
      "ld.local.u32 r, [x+4]; }\n";
  auto got = results(functions, "call put, (%r1); bar.sync 0;\n"
                                "xor.b32 %r2, %r1, 1; call (%r3), get, (%r2);\n"
                                "call (%r4), get, (%r1);\n"
                                "mad.lo.u32 %r0, %r3, 100, %r4;");
  for (uint32_t i = 0; i < 32; ++i)
    EXPECT_EQ(got[i], (i ^ 1) * 100 + i);
  const KernelInfo &info = modules.back()->kernels()[0].info;
  EXPECT_EQ(info.localBytes, 16u);
  EXPECT_EQ(info.staticSharedBytes, 128u + 256u);
}

// Guards that a report inside of a callee names the callee's line and opcode,
// and that registers of a second copy count as not yet written.
TEST_F(CallTest, ReportsKeepThePlace) {
  std::string functions =
      ".file 3 \"from.cu\"\n"
      ".func f(.reg .u64 a)\n{\n.reg .u32 v;\n.reg .pred "
      "p;\n.loc 3 9 1\nsetp.ne.u64 p, a, 0;\n.loc 3 41 7, function_name "
      "$L__info, inlined_at 3 9 1\n"
      "@p mov.u32 v, 1;\nst.global.u32 [a+64], v;\n}\n";
  uint64_t out = device.allocate(64);
  auto result =
      run(entryText("ld.param.u64 %d1, [p0]; call f, (%d1);", 1, functions),
          {1}, {1}, arguments(out));
  ASSERT_FALSE(bool(result));
  EXPECT_EQ(result.report().kind, ReportKind::OutOfBounds);
  EXPECT_EQ(result.report().location.line, 13u);
  out = device.allocate(128);
  result = run(entryText("ld.param.u64 %d1, [p0]; call f, (%d1); call f, (0);",
                         1, functions),
               {1}, {1}, arguments(out));
  ASSERT_FALSE(bool(result));
  EXPECT_EQ(result.report().kind, ReportKind::UninitializedRegister);
  EXPECT_NE(result.report().detail.find("reads register v"), std::string::npos);
}

// Guards that a report tells where code was inlined, up to the kernel.
TEST_F(CallTest, ReportsTellWhereCodeWasInlined) {
  std::string body = "ld.param.u64 %d1, [p0];\n"
                     ".loc 1 50 2\nadd.s64 %d2, %d1, 0;\n"
                     ".loc 2 20 9, function_name $L__outer, inlined_at 1 50 2\n"
                     "add.s64 %d2, %d2, 64;\n"
                     ".loc 3 7 0, function_name $L__inner, inlined_at 2 20 9\n"
                     "st.global.u32 [%d2], 1;\n"
                     ".loc 1 51 0\nst.global.u32 [%d2], 1;\n";
  std::string files = ".file 1 \"kernel.cu\"\n.file 2 \"outer.h\"\n"
                      ".file 3 \"inner.h\"\n";
  uint64_t out = device.allocate(64);
  auto result = run(entryText(body, 1, files), {1}, {1}, arguments(out));
  ASSERT_FALSE(bool(result));
  EXPECT_EQ(result.report().source, "inner.h:7");
  EXPECT_EQ(result.report().inlinedAt,
            (std::vector<std::string>{"outer.h:20:9", "kernel.cu:50:2"}));
  EXPECT_NE(result.report().str().find("(inner.h:7, inlined at outer.h:20:9, "
                                       "inlined at kernel.cu:50:2)"),
            std::string::npos)
      << result.report().str();
  // The store of the kernel itself.
  body.erase(body.find("st.global.u32 [%d2], 1;"), 23);
  result = run(entryText(body, 1, files), {1}, {1}, arguments(out));
  ASSERT_FALSE(bool(result));
  EXPECT_EQ(result.report().source, "kernel.cu:51");
  EXPECT_TRUE(result.report().inlinedAt.empty());
  // A place that calls itself.
  std::string circle;
  for (int i = 0; i < 40; ++i)
    circle += ".loc 1 5 0, function_name $L__outer, inlined_at 1 5 0\n";
  result = run(entryText("ld.param.u64 %d2, [p0];\n" + circle +
                             "st.global.u32 [%d2+64], 1;\n",
                         1, files),
               {1}, {1}, arguments(out));
  ASSERT_FALSE(bool(result));
  EXPECT_EQ(result.report().inlinedAt.size(), 16u);
}

// Guards the calls that cannot be inlined: each is named.
TEST_F(CallTest, RefusedCalls) {
  EXPECT_EQ(errorOf(".func f(.reg .u32 n)\n{ .reg .pred p;\n"
                    "setp.eq.u32 p, n, 0; @!p call f, (n);\n}\n",
                    "call f, (3);"),
            "'call': recursive call of 'f' is not supported");
  EXPECT_EQ(errorOf(".func g();\n.func f() { call g; }\n.func g() { call f; }",
                    "call g;"),
            "'call': recursive call of 'g' is not supported");
  EXPECT_EQ(
      errorOf(".func f() { ret; }", "P: .callprototype _ ();\ncall %d1, P;"),
      "'call': indirect call through register '%d1' is not supported");
  EXPECT_EQ(errorOf(".func f() { ret; }", "mov.u64 %d1, f;"),
            "'mov.u64': address of function 'f' is not supported");
  EXPECT_EQ(errorOf(".extern .func (.param .b64 r) malloc(.param .b64 n);",
                    "call (%d1), malloc, (8);"),
            "'call': call of external function 'malloc' is not supported");
  EXPECT_EQ(errorOf("", "call.uni nowhere;"),
            "'call.uni': call of 'nowhere', which is not declared");
  EXPECT_EQ(errorOf(addFunction, "call (%r1), add2, (%r2);"),
            "'call': 'add2' has 2 arguments, the call has 1");
  EXPECT_EQ(errorOf(addFunction, "call add2, (%r2, %r3);"),
            "'call': 'add2' has 1 results, the call has 0");
  EXPECT_EQ(errorOf(addFunction, ".param .b64 x; .param .b32 y; .param .b32 z;"
                                 "\ncall (z), add2, (x, y);"),
            "'call': argument of 'add2' has 4 bytes, 'x' has 8");
  EXPECT_EQ(errorOf(addFunction, "call (%r0), add2, (%d1, %r3);"),
            "'call': argument of 'add2' has 4 bytes, '%d1' has 8");
  EXPECT_EQ(errorOf("", ".param .b32 x;\nld.local.b32 %r1, [x];"),
            "'ld.local.b32': 'x' lies in .param memory");
  EXPECT_EQ(errorOf("", ".param .b32 x;\nmov.u64 %d1, x;"),
            "'mov.u64': names a parameter of a call or function");
  // Calls multiply: 4^11 copies are too many.
  std::string many = ".func f0() { ret; }\n";
  for (int i = 1; i <= 11; ++i) {
    std::string callee = "call f" + std::to_string(i - 1) + ";";
    many += ".func f" + std::to_string(i) + "() { " + callee + callee + callee +
            callee + " }\n";
  }
  EXPECT_EQ(errorOf(many, "call f11;"),
            "'call': kernel 'k' has more than 1048576 instructions once its "
            "calls are inlined");
}

// Guards that functions which no entry reaches may hold anything that parses.
TEST_F(CallTest, UnreachedFunctionsOnlyParse) {
  EXPECT_EQ(errorOf(".extern .func unknown(.param .b64 a);\n"
                    ".func f() { .reg .b64 %d<2>; frob.u32 %d1; call unknown, "
                    "(%d1); call f; }\n"
                    ".global .u64 table[2] = {f, f};",
                    "ret;"),
            "accepted");
  EXPECT_EQ(errorOf(".func f() { frob.u32 %r1 }", "ret;"),
            "expected ',' between operands, found '}'");
}

const char *const runtime =
    ".extern .func (.param .b32 r) vprintf(.param .b64 f, .param .b64 a);\n"
    ".extern .func __assertfail(.param .b64 m, .param .b64 f, .param .b32 l, "
    ".param .b64 g, .param .b64 s);\n";

std::string textVariable(const char *name, const std::string &text) {
  std::string list;
  for (unsigned char c : text)
    list += std::to_string(c) + ",";
  return std::string(".global .b8 ") + name + "[" +
         std::to_string(text.size() + 1) + "] = {" + list + "0};\n";
}

// Guards the text of a failed assertion, and of one that cannot be read.
TEST_F(CallTest, AssertionsAreTraps) {
  std::string text = std::string(runtime) + textVariable("m", "x < 3") +
                     textVariable("file", "a.cu") + textVariable("fn", "k()");
  auto result = run(entryText("mov.u32 %r1, %tid.x; setp.eq.u32 %p1, %r1, 5;\n"
                              "mov.u64 %d1, m; mov.u64 %d2, file; mov.u64 %d3, "
                              "fn;\n@%p1 call __assertfail, (%d1, %d2, 12, "
                              "%d3, 1);",
                              1, text),
                    {1}, {32}, arguments(uint64_t(0)));
  ASSERT_FALSE(bool(result));
  EXPECT_EQ(result.report().kind, ReportKind::Trap);
  EXPECT_EQ(result.report().lane, 5);
  EXPECT_EQ(result.report().detail,
            "'call' assertion 'x < 3' failed in k(), a.cu:12");
  result = run(entryText("call __assertfail, (8, 8, 12, 8, 1);", 1, runtime),
               {1}, {1}, arguments(uint64_t(0)));
  ASSERT_FALSE(bool(result));
  EXPECT_EQ(result.report().detail, "'call' assertion '(unreadable)' failed in "
                                    "(unreadable), (unreadable):12");
}

// Guards printf's conversions, the layout of its arguments and the order of
// blocks, whichever host thread runs them.
TEST_F(CallTest, PrintsInTheOrderOfBlocks) {
  std::string text =
      std::string(runtime) + textVariable("s", "ok") +
      textVariable("f", "%d %u|%x %5.2f %s %c %lld %p %% %-4d|%*d\n");
  std::string body =
      ".local .align 8 .b8 a[72]; mov.u32 %r1, %tid.x; mov.u32 %r2, %ctaid.x;\n"
      "mad.lo.u32 %r1, %r2, -1000, %r1; st.local.u32 [a], %r1;\n"
      "st.local.u32 [a+4], %r1; st.local.u32 [a+8], 255;\n"
      "st.local.f64 [a+16], 0d3ff4000000000000;\nmov.u64 %d1, s; "
      "st.local.u64 [a+24], %d1; st.local.u32 [a+32], 90;\n"
      "st.local.u64 [a+40], -5; st.local.u64 [a+48], 16; st.local.u32 [a+56], "
      "7;\nst.local.u32 [a+60], 3; st.local.u32 [a+64], 8;\n"
      "mov.u64 %d2, f; mov.u64 %d3, a; cvta.local.u64 %d3, %d3;\n"
      "call (%r3), vprintf, (%d2, %d3); setp.ne.u32 %p1, %r3, 11; @%p1 trap;";
  LaunchOptions options;
  options.threads = 4;
  auto result = run(entryText(body, 1, text), {3}, {2}, arguments(uint64_t(0)),
                    0, options);
  ASSERT_RAN(result);
  std::string want;
  for (int block = 0; block < 3; ++block)
    for (int lane = 0; lane < 2; ++lane) {
      char line[100];
      int v = lane - 1000 * block;
      std::snprintf(line, sizeof line,
                    "%d %u|ff  1.25 ok Z -5 0x10 %% 7   |  8\n", v,
                    unsigned(v));
      want += line;
    }
  EXPECT_EQ(result.output, want);
  result = run(entryText("mov.u64 %d2, f; call (%r3), vprintf, (%d2, 0);", 1,
                         runtime + textVariable("f", "%n")),
               {1}, {1}, arguments(uint64_t(0)));
  ASSERT_FALSE(bool(result));
  EXPECT_EQ(result.report().detail, "'call' has the unsupported conversion "
                                    "'%n' in its format string");
  result = run(entryText("mov.u64 %d2, f; call (%r3), vprintf, (%d2, 0);", 1,
                         runtime + textVariable("f", "a%d")),
               {1}, {1}, arguments(uint64_t(0)));
  ASSERT_FALSE(bool(result));
  EXPECT_EQ(result.report().detail,
            "'call' cannot read argument 0 of its format string");
}

} // namespace
