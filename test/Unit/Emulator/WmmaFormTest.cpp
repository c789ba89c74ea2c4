//===- WmmaFormTest.cpp - Misuse and refused forms of wmma ------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Reports of wmma.load and wmma.store, fragments with copies, and what is not
// accepted.
//
//===----------------------------------------------------------------------===//

#include "Harness.h"

using namespace ropewalk::emulator;

namespace {

struct WmmaFormTest : Fixture {
  std::string outcome(const std::string &body, uint64_t address) {
    auto result = run(entryText(".reg .f32 %f<9>;\n" + body, 1), {1}, {32},
                      arguments(address));
    return result ? "ran" : result.report().str();
  }
};

// Guards the registers that f16 fragments have beyond their elements: they hold
// copies, so that code that goes over all elements alike keeps its meaning.
TEST_F(WmmaFormTest, HalfFragmentsHoldCopies) {
  struct Case {
    const char *part;
    unsigned elements, copies;
  };
  for (Case c : {Case{"a.sync.aligned.row.m16n16k16", 256, 2},
                 Case{"b.sync.aligned.row.m16n16k16", 256, 2},
                 Case{"a.sync.aligned.col.m32n8k16", 512, 1},
                 Case{"b.sync.aligned.col.m32n8k16", 128, 4},
                 Case{"a.sync.aligned.row.m8n32k16", 128, 4},
                 Case{"b.sync.aligned.row.m8n32k16", 512, 1}}) {
    std::string body = "ld.param.u64 %d1, [p0]; mov.u32 %r30, %laneid;\n"
                       "mul.wide.u32 %d2, %r30, 32; add.s64 %d2, %d2, %d1;\n"
                       "wmma.load." +
                       std::string(c.part) + ".global.f16 " +
                       "{%r0, %r1, %r2, %r3, %r4, %r5, %r6, %r7}" +
                       ", [%d1];\n"
                       "st.global.v4.b32 [%d2+1024], {%r0, %r1, %r2, %r3};\n"
                       "st.global.v4.b32 [%d2+1040], {%r4, %r5, %r6, %r7};\n";
    // Each element has its number as its bits.
    std::vector<uint16_t> memory(1024);
    for (unsigned i = 0; i < c.elements; ++i)
      memory[i] = uint16_t(i);
    uint64_t address = upload(memory);
    ASSERT_RAN(run(entryText(body, 1), {1}, {32}, arguments(address)));
    memory = download<uint16_t>(address, 1024);
    std::vector<unsigned> found(c.elements);
    for (unsigned i = 512; i < 1024; ++i) {
      ASSERT_LT(memory[i], c.elements) << c.part;
      ++found[memory[i]];
    }
    for (unsigned i = 0; i < c.elements; ++i)
      ASSERT_EQ(found[i], c.copies) << c.part << " element " << i;
  }
}

// Guards what all lanes must agree on, alignment and bounds.
TEST_F(WmmaFormTest, Misuse) {
  std::vector<uint16_t> memory(16 * 24);
  uint64_t address = upload(memory);
  std::string head = "ld.param.u64 %d1, [p0]; mov.u32 %r30, %laneid;\n"
                     "mov.u32 %r31, 24; cvt.u64.u32 %d3, %r30;\n"
                     "setp.eq.u32 %p1, %r30, 9; setp.gt.u32 %p2, %r30, 20;\n";
  std::string load = "wmma.load.a.sync.aligned.row.m16n16k16.global.f16 {%r0, "
                     "%r1, %r2, %r3, %r4, %r5, %r6, %r7}, ";
  auto expect = [&](const std::string &body, const std::string &part) {
    std::string text = outcome(head + body, address);
    EXPECT_NE(text.find(part), std::string::npos) << body << "\n" << text;
  };
  expect(load + "[%d1], %r31;", "ran");
  expect("@%p1 add.s64 %d1, %d1, 16;\n" + load + "[%d1], %r31;",
         "lane 9: 'wmma.load.a.sync.aligned.row.m16n16k16.global.f16' has "
         "another address than lane 0");
  expect("@%p1 mov.u32 %r31, 16;\n" + load + "[%d1], %r31;",
         "has another stride than lane 0");
  expect(load + "[%d1+8], %r31;", "address is not a multiple of 16");
  expect(load + "[%d1], 20;", "address is not a multiple of 16");
  expect(load + "[%d1], 32;", "past the end of the buffer");
  expect("@%p2 " + load + "[%d1], %r31;", "needs all 32 lanes");
  std::string store = "mov.f32 %f0, 0f00000000;\n"
                      "wmma.store.d.sync.aligned.row.m16n16k16.global.f32 "
                      "[%d1], {%f0, %f0, %f0, %f0, %f0, %f0, %f0, %f0};";
  expect(store, "past the end of the buffer");
}

// Guards that what is not supported, or no PTX, is refused by its name.
TEST_F(WmmaFormTest, Refusals) {
  auto expect = [&](const std::string &instruction, const std::string &part) {
    Error error;
    auto module =
        Module::parse(entryText(".reg .f32 %f<9>;\n" + instruction, 1), error);
    std::string message = module ? "accepted" : error.message;
    EXPECT_NE(message.find(part), std::string::npos) << instruction << "\n"
                                                     << message;
  };
  const std::string r4 = "{%r0, %r1, %r2, %r3}", r2 = "{%r0, %r1}";
  const std::string r8 = "{%r0, %r1, %r2, %r3, %r4, %r5, %r6, %r7}";
  const std::string f8 = "{%f0, %f1, %f2, %f3, %f4, %f5, %f6, %f7}";
  const std::string operands = f8 + ", " + r8 + ", " + r8 + ", " + f8 + ";";
  const std::string integer = r8 + ", " + r2 + ", " + r2 + ", " + r8 + ";";
  expect("wmma.mma.sync.aligned.row.col.m16n16k16.f32.f32 " + operands,
         "accepted");
  expect("wmma.mma.sync.aligned.row.col.m16n16k16.s32.s8.s8.s32 " + integer,
         "accepted");
  expect("wmma.mma.sync.aligned.row.col.m16n16k32.f32.f32 " + operands,
         "shape '.m16n16k32' with these types is not supported");
  expect("wmma.mma.sync.aligned.row.col.m16n16k16.f32.f32.satfinite " +
             operands,
         "'.satfinite' with these types is not supported");
  expect("wmma.mma.sync.aligned.row.col.m16n16k16.f32.f16.f16.f32 " + operands,
         "the types of A and B do not go together");
  expect("wmma.mma.sync.aligned.row.col.m16n16k16.f32.tf32.bf16.f32 " +
             operands,
         "the types of A and B do not go together");
  expect("wmma.mma.sync.aligned.row.col.m16n16k16.f16.bf16.bf16.f32 " +
             operands,
         "the types of C and D do not go with those of A and B");
  expect("wmma.mma.sync.aligned.row.col.m16n16k16.s32.s8.s8.s32.rz " + integer,
         "a rounding goes with '.f64' only");
  expect("wmma.mma.sync.aligned.row.row.m8n8k32.s32.s4.s4.s32 " + r2 +
             ", {%r3}, {%r4}, " + r2 + ";",
         "expected the layouts '.row.col'");
  expect("wmma.mma.sync.aligned.row.col.m8n8k128.s32.b1.b1.s32 " + r2 +
             ", {%r3}, {%r4}, " + r2 + ";",
         "expected '.xor.popc' or '.and.popc'");
  expect("wmma.mma.xor.popc.sync.aligned.row.col.m16n16k16.s32.s8.s8.s32 " +
             integer,
         "'.popc' goes with single bits only");
  expect("wmma.mma.sync.aligned.row.col.m16n16k16.f32.f32 " + f8 + ", " + r4 +
             ", " + r8 + ", " + f8 + ";",
         "expected a vector of 8 registers");
  expect("wmma.load.a.sync.aligned.row.m16n16k16.const.f16 " + r8 + ", [%d1];",
         "type '.const' of a factor is not supported");
  expect("wmma.load.a.sync.aligned.row.m16n16k16.global.e4m3 " + r8 +
             ", [%d1];",
         "shape '.m16n16k16' with this type is not supported");
  expect("wmma.load.b.sync.aligned.row.m8n8k32.global.s4 {%r1}, [%d1];",
         "'.row' of B with this type is not supported");
  expect("wmma.load.c.sync.aligned.row.m16n16k8.global.f16 " + r4 + ", [%d1];",
         "shape '.m16n16k8' with this type is not supported");
  expect("wmma.load.d.sync.aligned.row.m16n16k16.global.f16 " + r4 + ", [%d1];",
         "expected '.a', '.b' or '.c'");
  expect("wmma.store.c.sync.aligned.row.m16n16k16.global.f16 [%d1], " + r4 +
             ";",
         "expected '.d'");
  expect("wmma.add.sync.aligned.row.m16n16k16.f16 [%d1], " + r4 + ";",
         "expected '.load', '.store' or '.mma'");
}

} // namespace
