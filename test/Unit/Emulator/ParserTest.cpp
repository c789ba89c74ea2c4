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
  EXPECT_EQ(errorOfBody("add.cc.u32 %r1, %r2, %r3;"),
            "8:1: 'add.cc.u32': modifier '.cc' is not supported");
  EXPECT_EQ(errorOfBody("\nld.global.foo.u32 %r1, [%d1];"),
            "9:1: 'ld.global.foo.u32': modifier '.foo' is not supported");
  EXPECT_EQ(errorOfBody("fma.f32 %r1, %r2, %r3, %r4;"),
            "8:1: 'fma.f32': expected a rounding mode");
  EXPECT_EQ(errorOfBody("call foo;"),
            "8:1: instruction 'call' is not supported");
  EXPECT_EQ(errorOfBody("{ .param .b32 q; }"),
            "8:3: '.param' in a function: calls of device functions are not "
            "supported");
  EXPECT_EQ(errorOfBody("cvt.f16.f32 %h1, %r1;"),
            "8:1: 'cvt.f16.f32': narrowing conversion needs a rounding mode");
  EXPECT_EQ(errorOfBody("ld.shared::cluster.u32 %r1, [%r2];"),
            "8:1: 'ld.shared::cluster.u32': state space '.shared::cluster' is "
            "not supported");
}

// Guards operands of the wrong kind, number and size.
TEST(ParserTest, BadOperands) {
  EXPECT_EQ(errorOfBody("add.u32 %r1, %r2;"),
            "8:1: 'add.u32': expected 3 operands, found 2");
  EXPECT_EQ(errorOfBody("add.u32 %r1, %r2, %d1;"),
            "8:19: 'add.u32': register of 8 bytes for a .u32");
  EXPECT_EQ(errorOfBody("add.u32 %r1, %r2, %h1;"),
            "8:19: 'add.u32': register %h1 of type .b16 does not hold a .u32");
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

// Guards what a compiler writes beside code: debug lines and sections, pragmas,
// nested scopes of inline assembly.
TEST(ParserTest, AcceptsDecorations) {
  EXPECT_EQ(errorOf(".version 7.8\n.target sm_90a, debug\n.address_size 64\n"
                    ".file 1 \"a.c\"\n.extern .func (.param .b32 r) f (.param "
                    ".b64 a);\n.visible .entry k(.param .align 4 .b8 s[12], "
                    ".param .u64 .ptr .global .align 16 q)\n"
                    ".maxntid 128, 1, 1\n.reqntid 64\n.minnctapersm 2\n{\n"
                    ".reg .b32 %r<3>;\n.loc 1 5 0\n"
                    ".pragma \"nounroll\";\n{ .reg .pred p; setp.eq.u32 p, 1, "
                    "2; @p bra L; L: }\n{ .reg .pred p; L: mov.pred p, 1; }\n"
                    "ld.param.u32 %r1, [s+8];\nret;\n}\n"
                    ".section .debug_abbrev {\n.b8 1\n.b8 0\n}\n"),
            "accepted");
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
