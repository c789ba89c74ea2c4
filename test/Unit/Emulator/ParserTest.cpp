//===- ParserTest.cpp - Bad PTX is refused with its place -------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Errors at load time, and texts damaged at random.
//
//===----------------------------------------------------------------------===//

#include "Harness.h"
#include "KernelText.h"

using namespace ropewalk::emulator;

namespace {

std::string errorOf(const std::string &text) {
  Error error;
  auto module = Module::parse(text, error);
  return module ? "accepted" : error.str();
}

std::string errorOfBody(const std::string &body) {
  return errorOf(entryText(body, 1));
}

// Guards that every unknown word is an error that names it, with line and
// column. The body starts at line 8.
TEST(ParserTest, UnsupportedInstructionsAreNamed) {
  EXPECT_EQ(errorOfBody("ret;"), "accepted");
  EXPECT_EQ(errorOfBody("  frob.u32 %r1, %r2;"),
            "8:3: instruction 'frob.u32' is not supported");
  EXPECT_EQ(errorOfBody("add.foo.u32 %r1, %r2, %r3;"),
            "8:1: 'add.foo.u32': modifier '.foo' is not supported");
  EXPECT_EQ(errorOfBody("\nld.global.foo.u32 %r1, [%d1];"),
            "9:1: 'ld.global.foo.u32': modifier '.foo' is not supported");
  EXPECT_EQ(errorOfBody("fma.f32 %r1, %r2, %r3, %r4;"),
            "8:1: 'fma.f32': expected a rounding mode");
  EXPECT_EQ(errorOfBody("cvt.f16.f32 %h1, %r1;"),
            "8:1: 'cvt.f16.f32': narrowing conversion needs a rounding mode");
  EXPECT_EQ(errorOfBody("ld.mmio.relaxed.sys.global.u32 %r1, [%d2];"),
            "8:1: 'ld.mmio.relaxed.sys.global.u32': modifier '.mmio' is not "
            "supported");
}

// Guards operands of the wrong kind, number and size.
TEST(ParserTest, BadOperands) {
  EXPECT_EQ(errorOfBody("add.u32 %r1, %r2;"),
            "8:1: 'add.u32': expected 3 operands, found 2");
  EXPECT_EQ(errorOfBody("add.u32 %r1, %r2, %d1;"),
            "8:19: 'add.u32': register of 8 bytes for a .u32");
  EXPECT_EQ(errorOfBody("add.u32 %r1, %r2, %h1;"),
            "8:19: 'add.u32': register %h1 of type .b16 does not hold a .u32");
  EXPECT_EQ(errorOfBody("setp.eq.u32 %p1|%p2, %r1, %r2;"), "accepted");
  for (std::string pair : {"%p1|%p2", "%p1|_", "_|%p2"})
    EXPECT_EQ(errorOfBody("vote.sync.any.pred " + pair + ", %p3, -1;"),
              "8:20: 'vote.sync.any.pred': expected one predicate as "
              "destination, got two");
  EXPECT_EQ(errorOfBody("add.u32 %r1, %r2, %r99;"),
            "8:19: 'add.u32': special register or undeclared register '%r99' "
            "is not supported");
  EXPECT_EQ(errorOfBody("add.f32 %r1, %r2, 1;"),
            "8:19: 'add.f32': integer constant for a .f32");
  EXPECT_EQ(errorOfBody("bra NOWHERE;"), "8:5: 'bra': unknown label 'NOWHERE'");
  EXPECT_EQ(errorOfBody("@%r1 ret;"),
            "8:2: expected a predicate after '@', found '%r1'");
  EXPECT_EQ(errorOfBody("ld.global.v2.u32 {%r1}, [%d1];"),
            "8:18: 'ld.global.v2.u32': expected a vector of 2 registers");
  EXPECT_EQ(errorOfBody("ld.shared.u32 %r1, [p0];"),
            "8:21: 'ld.shared.u32': 'p0' lies in .param memory");
}

// Guards the grammar outside of instructions.
TEST(ParserTest, BadStructure) {
  EXPECT_EQ(errorOf(""), "1:1: expected '.version' at the start of the "
                         "module, found the end of the text");
  EXPECT_EQ(errorOf(".version 7.0\n"), "2:1: module has no '.target'");
  std::string head = ".version 7.0\n.target sm_80\n.address_size 64\n";
  EXPECT_EQ(errorOf(head + ".frob x;"), "4:1: unsupported directive '.frob'");
  EXPECT_EQ(errorOf(head + ".entry k() {"), "4:13: body of 'k' is not closed");
  EXPECT_EQ(errorOf(head + ".global .u32 x[2] = {1, 2, 3};"),
            "4:28: more initial values than 'x' has room for");
  EXPECT_EQ(errorOf(head + ".global .align 3 .u32 x;"),
            "4:16: alignment 3 is not a power of two");
  EXPECT_EQ(errorOf(".version 7.0\n.target sm_80\n.address_size 32\n"),
            "3:15: address size must be 64, found '32'");
  EXPECT_EQ(errorOfBody("L: ret;\nL: ret;"), "9:1: label 'L' is defined twice");
}

// Guards that a family takes the names of its registers and no other.
TEST(ParserTest, FamiliesOfRegisters) {
  for (const char *body :
       {".reg .b32 a; .reg .b16 a<2>; mov.b32 a, 1; mov.b16 a1, 1;",
        ".reg .b16 a<2>; .reg .b32 a; mov.b32 a, 1; mov.b16 a1, 1;",
        ".reg .b16 a<2>; .reg .b32 a2; mov.b32 a2, 1; mov.b16 a1, 1;"})
    EXPECT_EQ(errorOfBody(body), "accepted") << body;
  EXPECT_EQ(errorOfBody(".reg .b32 a1; .reg .b16 a<2>;"),
            "8:25: 'a1' is declared twice");
  EXPECT_EQ(errorOfBody(".reg .b16 a<2>; .reg .b32 a1;"),
            "8:27: 'a1' is declared twice");
  EXPECT_EQ(errorOfBody(".reg .b16 a<2>; .reg .b32 a01;"),
            "8:27: 'a01' is declared twice");
  EXPECT_EQ(errorOfBody(".reg .b16 a<2>; .reg .b32 a<1>;"),
            "8:27: 'a<' is declared twice");
  EXPECT_EQ(errorOfBody(".reg .b32 a; .reg .b16 a;"),
            "8:24: 'a' is declared twice");
  EXPECT_NE(errorOfBody(".reg .b16 a<2>; mov.b16 a, 1;"), "accepted");
  EXPECT_NE(errorOfBody(".reg .b16 a<2>; mov.b16 a2, 1;"), "accepted");
}

// Guards what a compiler writes beside code: debug lines and sections, pragmas,
// nested scopes of inline assembly.
TEST(ParserTest, AcceptsDecorations) {
  EXPECT_EQ(errorOf(".version 8.0\n.target sm_90a, debug\n.address_size 64\n"
                    ".file 1 \"a.c\"\n.extern .func (.param .b32 r) f (.param "
                    ".b64 a);\n.visible .entry k(.param .align 4 .b8 s[12], "
                    ".param .u64 .ptr .global .align 16 q)\n"
                    ".reqntid 64\n.minnctapersm 2\n{\n"
                    ".reg .b32 %r<3>;\n.loc 1 5 0\n"
                    ".pragma \"nounroll\";\n{ .reg .pred p; setp.eq.u32 p, 1, "
                    "2; @p bra L; L: }\n{ .reg .pred p; L: mov.pred p, 1; }\n"
                    "ld.param.u32 %r1, [s+8];\nret;\n}\n"
                    ".section .debug_abbrev {\n.b8 1\n.b8 0\n}\n"),
            "accepted");
}

// Guards every directive of modules and functions, in all of its forms.
TEST(ParserTest, AcceptsDirectives) {
  EXPECT_EQ(
      errorOf(".version 9.0\n.target sm_90a\n.address_size 64\n"
              ".pragma \"nounroll\";\n.file 1 \"a.c\", 123456, 77\n"
              ".visible .global .align 16 .b8 z[32];\n.weak .global .u32 y;\n"
              ".common .global .u32 x;\n.extern .global .u32 unused;\n"
              ".global .attribute(.managed) .s32 m;\n"
              ".extern .shared .align 1024 .b8 dynamic[];\n"
              ".shared .align 2048 .b8 s[4];\n"
              ".global .u32 a, b = 3, c[4];\n"
              ".func f() .noreturn { trap; }\n"
              ".visible .entry k(.param .u64 .ptr .const .align 8 q)\n"
              ".maxntid 128, 2\n.minnctapersm 2\n.maxnreg 64\n"
              ".reqnctapercluster 2, 1, 1\n.explicitcluster\n{\n"
              ".reg .v4 .u32 v; .reg .b32 r, t;\n.local .u32 l, n[2];\n"
              "P: .callprototype (.param .b32 _) _ (.param .b64 _);\n"
              ".loc 1 5 0\nmov.u32 r, 1;\n"
              ".loc 1 7 3, function_name $L__str + 4, inlined_at 1 5 0\n"
              "mov.u32 t, dynamic;\nret;\n}\n"
              ".section .debug_str {\n$L__str:\n.b8 1\n}\n"),
      "accepted");
  std::string head = ".version 9.0\n.target sm_90a\n.address_size 64\n";
  EXPECT_EQ(errorOf(head + ".entry k() .blocksareclusters { ret; }"),
            "4:12: unsupported directive '.blocksareclusters'");
  EXPECT_EQ(errorOf(head + ".global .texref t;"),
            "4:9: unsupported attribute '.texref' of a variable");
  EXPECT_EQ(errorOf(head + ".tex .u32 t;"),
            "4:1: unsupported directive '.tex'");
  EXPECT_EQ(errorOf(head + ".const[2] .u32 t;"),
            "4:7: banks of constant memory are not supported");
  EXPECT_EQ(errorOf(head + ".extern .global .u32 e;\n.entry k() {\n.reg .u32 "
                           "r;\nld.global.u32 r, [e];\n}"),
            "7:19: external variable 'e' has no definition here");
  EXPECT_EQ(errorOf(head + ".entry k() {\n.loc 1 2;\n}"),
            "5:9: expected three numbers after 'loc', found ';'");
  EXPECT_EQ(errorOf(head + ".alias f;"), "4:9: expected ',' in '.alias', "
                                         "found ';'");
}

// Guards what a launch has to know of a kernel's bounds.
TEST(ParserTest, KeepsBounds) {
  Error error;
  auto module = Module::parse(
      ".version 9.0\n.target sm_90a\n.address_size 64\n.entry k() .maxntid 64, "
      "2 .minnctapersm 3 .maxnreg 40 .reqnctapercluster 2, 4 .explicitcluster "
      "{ ret; }\n.entry n() .maxclusterrank 8 .reqntid 32 { ret; }",
      error);
  ASSERT_TRUE(module) << error.str();
  const KernelInfo &k = module->kernels()[0].info;
  EXPECT_EQ(k.maxThreads.count(), 128u);
  EXPECT_EQ(k.minBlocksPerMultiprocessor, 3u);
  EXPECT_EQ(k.maxRegisters, 40u);
  EXPECT_EQ(k.requiredCluster.x, 2u);
  EXPECT_EQ(k.requiredCluster.y, 4u);
  EXPECT_EQ(k.requiredCluster.z, 1u);
  EXPECT_TRUE(k.hasExplicitCluster);
  const KernelInfo &n = module->kernels()[1].info;
  EXPECT_EQ(n.maxClusterRank, 8u);
  EXPECT_EQ(n.requiredThreads.x, 32u);
  EXPECT_EQ(n.requiredCluster.count(), 0u);
}

struct ParserValueTest : Fixture {
  /// The value of a .u64 operand.
  uint64_t value(const std::string &operand, const std::string &before = "") {
    uint64_t out = device.allocate(8);
    auto result = run(entryText("ld.param.u64 %d1, [p0]; mov.u64 %d2, " +
                                    operand + ";\nst.global.u64 [%d1], %d2;",
                                1, before),
                      {1}, {1}, arguments(out));
    EXPECT_TRUE(bool(result)) << result.report().str();
    return download<uint64_t>(out, 1)[0];
  }
  /// The bytes of the global variable 'g'.
  std::vector<uint8_t> bytes(const std::string &declaration) {
    auto module = parse(entryText("ret;", 0, declaration));
    if (!module)
      return {};
    modules.push_back(module);
    EXPECT_TRUE(device.load(*module));
    auto place = device.findGlobal(*module, "g");
    EXPECT_TRUE(place);
    return download<uint8_t>(place->first, place->second);
  }
};

// Guards constants of all bases and the operators of constant expressions with
// their precedence and types.
TEST_F(ParserValueTest, ConstantExpressions) {
  EXPECT_EQ(value("0x1F"), 31u);
  EXPECT_EQ(value("0b101U"), 5u);
  EXPECT_EQ(value("017"), 15u);
  EXPECT_EQ(value("0xffffffffffffffff"), ~uint64_t(0));
  EXPECT_EQ(value("-1"), ~uint64_t(0));
  EXPECT_EQ(value("(1<<4)|3"), 19u);
  EXPECT_EQ(value("1 + 2 * 3 - 8 / 4 - 7 % 4"), 2u);
  EXPECT_EQ(value("1 | 2 ^ 3 & 6"), 1u);
  EXPECT_EQ(value("1 << 2 + 3"), 32u);
  EXPECT_EQ(value("~5 & 0xff"), 250u);
  EXPECT_EQ(value("!0 + !7"), 1u);
  EXPECT_EQ(value("3 < 4 ? 5 : 6"), 5u);
  EXPECT_EQ(value("0 ? 1 : 0 ? 2 : 3"), 3u);
  EXPECT_EQ(value("1 == 1 && 2 != 3 || 0"), 1u);
  EXPECT_EQ(value("-1 < 0"), 1u);
  EXPECT_EQ(value("(.u64)-1 < 0"), 0u);
  EXPECT_EQ(value("-16 >> 2"), ~uint64_t(3));
  EXPECT_EQ(value("(.u64)-16 >> 60"), 15u);
  EXPECT_EQ(value("-7 / 2"), ~uint64_t(2));
  EXPECT_EQ(value("-7 % 2"), ~uint64_t(0));
  EXPECT_EQ(value("(.s64)0x8000000000000000 / -1"), uint64_t(1) << 63);
  EXPECT_EQ(value("WARP_SZ * 2"), 64u);
  EXPECT_EQ(value("- -5"), 5u);
  EXPECT_EQ(errorOfBody("mov.u64 %d1, 1 / 0;"),
            "8:16: division by zero in a constant expression");
  EXPECT_EQ(errorOfBody("mov.u64 %d1, ~1.0;"),
            "8:14: operator '~' on a float constant");
  EXPECT_EQ(errorOfBody("mov.u64 %d1, (1;"),
            "8:16: expected ')' in a constant expression, found ';'");
  EXPECT_EQ(errorOfBody("mov.u64 %d1, " + std::string(500, '-') + "1;"),
            "8:214: expression is nested too deep");
  EXPECT_EQ(errorOfBody("mov.u64 %d1, 18446744073709551616;"),
            "8:14: bad integer constant");
}

// Guards floats in all notations and operands that are expressions of them.
TEST_F(ParserValueTest, FloatConstants) {
  auto single = [&](const std::string &text) {
    uint64_t out = device.allocate(4);
    auto result = run(entryText("ld.param.u64 %d1, [p0]; .reg .f32 %f; mov.f32 "
                                "%f, " +
                                    text + "; st.global.f32 [%d1], %f;",
                                1),
                      {1}, {1}, arguments(out));
    EXPECT_TRUE(bool(result));
    return download<float>(out, 1)[0];
  };
  EXPECT_EQ(single("0f3fc00000"), 1.5f);
  EXPECT_EQ(single("0d3ff8000000000000"), 1.5f);
  EXPECT_EQ(single("1.5"), 1.5f);
  EXPECT_EQ(single(".5"), 0.5f);
  EXPECT_EQ(single("2."), 2.0f);
  EXPECT_EQ(single("1e3"), 1000.0f);
  EXPECT_EQ(single("-1.5e-3"), -1.5e-3f);
  EXPECT_EQ(single("(1.0 + 2.0) * 3.0"), 9.0f);
  EXPECT_EQ(errorOfBody("mov.f32 %r1, 5;"),
            "8:14: 'mov.f32': integer constant for a .f32");
  EXPECT_EQ(errorOfBody("mov.f32 %r1, 1.5f;"), "8:14: number runs into a name");
  EXPECT_EQ(errorOfBody("mov.b32 %r1, 0f3f8;"),
            "8:14: expected 8 hexadecimal digits in a float constant");
}

// Guards initial values: lists of lists that are filled up with zeros, arrays
// without an extent, vectors, floats, and addresses whole and by the byte.
TEST_F(ParserValueTest, InitialValues) {
  using Bytes = std::vector<uint8_t>;
  EXPECT_EQ(bytes(".global .u8 g[2][3] = {{1}, {2, 3}};"),
            (Bytes{1, 0, 0, 2, 3, 0}));
  EXPECT_EQ(bytes(".global .u8 g[] = {1, -1, 3};"), (Bytes{1, 255, 3}));
  EXPECT_EQ(bytes(".global .u8 g[][2] = {{1, 2}, {3}};"), (Bytes{1, 2, 3, 0}));
  EXPECT_EQ(bytes(".global .u16 g[3] = {0x102};"), (Bytes{2, 1, 0, 0, 0, 0}));
  EXPECT_EQ(bytes(".global .u16 g = 1 << 9;"), (Bytes{0, 2}));
  EXPECT_EQ(bytes(".global .v2 .f32 g = {1.0, 0f40000000};"),
            (Bytes{0, 0, 0x80, 0x3f, 0, 0, 0, 0x40}));
  EXPECT_EQ(bytes(".global .f64 g = 1.5;"),
            (Bytes{0, 0, 0, 0, 0, 0, 0xf8, 0x3f}));
  EXPECT_EQ(bytes(".global .b8 g[3];"), (Bytes{0, 0, 0}));
  auto read = [](const Bytes &all, size_t at) {
    uint64_t result = 0;
    std::memcpy(&result, all.data() + at, 8);
    return result;
  };
  Bytes got = bytes(".global .u32 t[4]; .global .u64 g[3] = {t, t+4, "
                    "generic(t)+8};");
  EXPECT_EQ(read(got, 8) - read(got, 0), 4u);
  EXPECT_EQ(read(got, 16) - read(got, 0), 8u);
  EXPECT_EQ(read(got, 0), device.findGlobal(*modules.back(), "t")->first);
  got = bytes(".global .b8 t[512]; .global .u8 g[9] = {7, 0xFF(t), 0xFF00(t), "
              "0xFF0000(generic(t)), 0xFF000000(t), 0xFF00000000(t), "
              "0xFF0000000000(t), 0xFF(t+3)};");
  uint64_t place = device.findGlobal(*modules.back(), "t")->first;
  EXPECT_EQ(got[0], 7);
  EXPECT_EQ(read(got, 1) & 0xffffffffffff, place & 0xffffffffffff);
  EXPECT_EQ(got[7], uint8_t(place + 3));
  // Constant memory holds addresses too.
  EXPECT_EQ(value("%d3; ld.const.u64 %d2, [c+8]; ld.global.u32 %r1, [%d2]; "
                  "cvt.u64.u32 %d2, %r1",
                  ".global .u32 t[2] = {5, 6}; .const .u64 c[2] = {t, t+4};"),
            6u);
  std::string head = ".version 7.0\n.target sm_80\n.address_size 64\n";
  EXPECT_EQ(errorOf(head + ".global .u32 g[2][2] = {1, 2};"),
            "4:25: expected '{' before the initial value of an array, found "
            "'1'");
  EXPECT_EQ(errorOf(head + ".shared .u32 g = 1;"),
            "4:16: .shared variables have no initial value");
  EXPECT_EQ(errorOf(head + ".global .u8 g[2] = {0xf0f(g), 1};"),
            "4:21: mask of an address must select one byte of it for a type of "
            "one byte");
  EXPECT_EQ(errorOf(head + ".global .u64 g = nothing;"),
            "4:18: initial value names 'nothing', which is no global or "
            "constant variable");
  EXPECT_EQ(errorOf(head + ".global .u32 t; .global .u32 g = t;"),
            "4:34: address as initial value of a type of 4 bytes");
  EXPECT_EQ(errorOf(head + ".global .u32 g = 1.5e3; .global .u16 h = 1.5;"),
            "4:18: float constant for a .u32");
}

// Guards vector registers, elements of arrays and offsets.
TEST_F(ParserValueTest, VectorsAndElements) {
  EXPECT_EQ(value("%d3; .reg .v2 .b32 v; mov.u32 v.x, 5; mov.u32 v.g, 7; "
                  "mov.b64 %d2, v"),
            5 + (7ull << 32));
  EXPECT_EQ(value("%d3; .reg .v4 .u32 v; mov.v4.u32 v, %ntid; mov.b64 %d2, "
                  "{v.w, v.y}"),
            1ull << 32);
  EXPECT_EQ(value("%d3; ld.global.u32 %r1, t[2]; ld.global.u32 %r2, "
                  "[t+(2-1)*4]; ld.global.u32 %r3, [t+12+-4]; mov.b64 %d2, "
                  "{%r1, %r2}; cvt.u64.u32 %d4, %r3; add.u64 %d2, %d2, %d4",
                  ".global .u32 t[4] = {1, 20, 300};"),
            600 + (20ull << 32));
  EXPECT_EQ(errorOfBody(".reg .v2 .b32 v; mov.u32 v.z, 1;"),
            "8:27: vector of 2 registers has no component '.z'");
  EXPECT_EQ(errorOfBody("mov.u32 %r1.x, 1;"),
            "8:12: register '%r1' is no vector and has no component '.x'");
  EXPECT_EQ(errorOf(entryText("ld.global.u32 %r1, [t+%r2];", 1,
                              ".global .u32 t[4];")),
            "8:23: expected a constant, found '%r2'");
  EXPECT_EQ(
      errorOf(entryText("ld.global.u32 %r1, t[%r2];", 1, ".global .u32 t[4];")),
      "8:22: index '%r2' in a register: compute the address instead");
  EXPECT_EQ(errorOfBody("ld.global.u32 %r1, [%d1, {%r2, %r3}];"),
            "8:20: 'ld.global.u32': coordinates behind an address");
}

// Guards the parameters' layout.
TEST(ParserTest, DescribesEntries) {
  Error error;
  auto module = Module::parse(matmulPTX, error);
  ASSERT_TRUE(module);
  const KernelInfo &info = module->kernels()[0].info;
  EXPECT_EQ(info.name, "matmul");
  EXPECT_EQ(info.parameters.size(), 6u);
  EXPECT_TRUE(info.parameters[0].isPointer);
  EXPECT_EQ(info.parameters[5].offset, 32u);
  EXPECT_EQ(info.staticSharedBytes, 8192u);
  EXPECT_EQ(module->target(), "sm_80");
}

// Guards that no text crashes or hangs the parser or, where it is still
// accepted, the executor.
TEST(ParserTest, DamagedTextsNeverCrash) {
  std::mt19937 random(17);
  const char *const texts[] = {matmulPTX, attentionPTX, gatherPTX, softmaxPTX};
  int accepted = 0;
  for (int round = 0; round < 2000; ++round) {
    std::string text = texts[round % 4];
    switch (random() % 3) {
    case 0:
      text.resize(random() % text.size());
      break;
    case 1:
      for (unsigned flips = 1 + random() % 4; flips; --flips)
        text[random() % text.size()] ^= char(1 << random() % 8);
      break;
    default: {
      size_t from = random() % text.size(), length = random() % 40;
      text.insert(random() % text.size(), text.substr(from, length));
      break;
    }
    }
    Error error;
    auto module = Module::parse(text, error);
    if (!module) {
      EXPECT_FALSE(error.message.empty());
      continue;
    }
    ++accepted;
    Device device;
    for (const Kernel &kernel : module->kernels()) {
      std::vector<std::vector<std::byte>> zeros;
      for (const Parameter &parameter : kernel.info.parameters)
        zeros.emplace_back(std::min(parameter.size, 1u << 16));
      LaunchOptions options;
      options.instructionBudget = 20000;
      device.launch(
          kernel, {1}, {64}, 0,
          std::vector<std::span<const std::byte>>(zeros.begin(), zeros.end()),
          options);
    }
  }
  EXPECT_GT(accepted, 20);
}

} // namespace
