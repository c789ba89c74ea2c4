//===- WgmmaFormTest.cpp - What wgmma refuses -------------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Guards that forms of wgmma which PTX does not have are errors that name what
// is wrong, and that wrong descriptors are reported.
//
//===----------------------------------------------------------------------===//

#include "WgmmaModel.h"

using namespace ropewalk::emulator;

namespace {

struct WgmmaFormTest : Fixture {
  std::string refusal(const std::string &line,
                      const std::string &target = "sm_90a") {
    Error error;
    std::string text =
        ".version 8.0\n.target " + target +
        "\n.address_size 64\n.entry k() {\n.reg .pred p; .reg .f32 f<200>; "
        ".reg .b32 r<20>; .reg .b64 d<4>;\n" +
        line + "\nret;\n}\n";
    EXPECT_FALSE(Module::parse(text, error)) << line;
    return error.message;
  }
};

const std::string Multiply = "wgmma.mma_async.sync.aligned.";
const std::string Four = "{f0, f1, f2, f3}";

TEST_F(WgmmaFormTest, RefusesWhatDoesNotExist) {
  struct Row {
    std::string line, message;
  };
  const Row rows[] = {
      {"wgmma.mma_async.sp.sync.aligned.m64n8k32.f32.f16.f16 " + Four +
           ", d0, d1, r0, 0, p, 1, 1, 0, 0;",
       "a sparse matrix A ('.sp') is not supported"},
      {Multiply + "m64n12k16.f32.f16.f16 " + Four + ", d0, d1, p, 1, 1, 0, 0;",
       "shape '.m64n12k16' does not exist for these types"},
      {Multiply + "m64n264k16.f32.f16.f16 " + Four + ", d0, d1, p, 1, 1, 0, 0;",
       "shape '.m64n264k16' does not exist for these types"},
      {Multiply + "m64n8k8.f32.f16.f16 " + Four + ", d0, d1, p, 1, 1, 0, 0;",
       "shape '.m64n8k8' does not exist for these types"},
      {Multiply + "m64n40k32.s32.s8.s8 " + Four + ", d0, d1, p;",
       "shape '.m64n40k32' does not exist for these types"},
      {Multiply + "m32n8k16.f32.f16.f16 " + Four + ", d0, d1, p, 1, 1, 0, 0;",
       "expected a shape like '.m64n128k16', found '.m32n8k16'"},
      {Multiply + "m64n8k16.f16.bf16.bf16 {r0, r1}, d0, d1, p, 1, 1, 0, 0;",
       "this combination of types is not supported"},
      {Multiply + "m64n8k16.f32.f16.bf16 " + Four + ", d0, d1, p, 1, 1, 0, 0;",
       "this combination of types is not supported"},
      {Multiply + "m64n8k32.f32.s8.s8 " + Four + ", d0, d1, p;",
       "this combination of types is not supported"},
      {Multiply + "m64n8k16.f32.f64.f64 " + Four + ", d0, d1, p, 1, 1, 0, 0;",
       "type '.f64' of A or B is not supported"},
      {Multiply + "m64n8k256.s32.b1.b1.xor.popc {r0, r1, r2, r3}, d0, d1, p;",
       "expected '.b1.b1.and.popc'"},
      {Multiply + "m64n8k16.f32.f16.f16 " + Four + ", d0, d1, p, 1, 2, 0, 0;",
       "expected -1 or 1, found 2"},
      {Multiply + "m64n8k16.f32.f16.f16 " + Four + ", d0, d1, p, 1, 1, 0, 3;",
       "expected 0 or 1, found 3"},
      {Multiply + "m64n8k16.f32.f16.f16 " + Four + ", d0, d1, 5, 1, 1, 0, 0;",
       "expected a predicate, 0 or 1 as scale-d"},
      {Multiply + "m64n8k16.f32.f16.f16 {f0, f1}, d0, d1, p, 1, 1, 0, 0;",
       "expected a vector of 4 registers"},
      {Multiply + "m64n8k16.f32.f16.f16 " + Four + ", r0, d1, p, 1, 1, 0, 0;",
       "does not hold a .b64"},
      {Multiply + "m64n8k16.f32.f16.f16 " + Four +
           ", {r0, r1, r2, r3}, d1, p, 1, 1, 0, 0;",
       "expected 7 operands, found 8"},
      {Multiply + "m64n8k8.f32.tf32.tf32 " + Four + ", d0, d1, p, 1, 1, 0, 0;",
       "expected 6 operands, found 8"},
      {Multiply + "m64n8k16.f32.f16.f16 {f0, f1, f0, f3}, d0, d1, p, 1, 1, 0, "
                  "0;",
       "a register occurs twice in D"},
      {Multiply + "m64n8k16.f32.f16.f16 {r0, r1, r2, r3}, {r4, r3, r5, r6}, "
                  "d1, p, 1, 1, 0;",
       "a register of D also holds A"},
      {"wgmma.fence.aligned;", "expected '.sync.aligned'"},
      {"wgmma.wait_group.sync.aligned -1;", "expected a number of groups"},
      {"wgmma.wait_group.sync.aligned r1;", "expected an integer constant"},
      {"wgmma.store.sync.aligned;", "modifier '.store' is not supported"},
  };
  for (const Row &row : rows)
    EXPECT_NE(refusal(row.line).find(row.message), std::string::npos)
        << row.line << "\n"
        << refusal(row.line);
  EXPECT_EQ(refusal("wgmma.fence.sync.aligned;", "sm_90"),
            "'wgmma.fence.sync.aligned': needs .target sm_90a, found sm_90");
}

TEST_F(WgmmaFormTest, RefusesDescriptorsWithOtherBits) {
  WgmmaText kernel;
  kernel.results = 4;
  kernel.memoryBytes = 16384;
  kernel.body = "mov.b64 %d4, " + hex(uint64_t(1) << 46) +
                ";\nwgmma.fence.sync.aligned;\n" + Multiply +
                "m64n8k16.f32.f16.f16 " + kernel.d() +
                ", %d4, %d4, 1, 1, 1, 0, 0;\n";
  std::vector<uint8_t> memory(16384, 0);
  uint64_t image = upload(memory), results = upload(memory);
  auto outcome =
      run(kernel.text(), {1}, {128}, arguments(image, results, results), 16384);
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.report().kind, ReportKind::Unsupported);
  EXPECT_NE(outcome.report().detail.find("bits set that mean nothing to wgmma"),
            std::string::npos)
      << outcome.report().str();
}

TEST_F(WgmmaFormTest, ChecksTheBoundsOfMatrices) {
  WgmmaText kernel;
  kernel.results = 4;
  kernel.memoryBytes = 8192;
  // A has 64 rows of 128 bytes from 1024 on.
  kernel.body =
      "mov.b64 %d4, " + hex(LayoutModel{true, 128, 1024}.descriptor()) +
      ";\nwgmma.fence.sync.aligned;\n" + Multiply + "m64n8k16.f32.f16.f16 " +
      kernel.d() + ", %d4, %d4, 1, 1, 1, 0, 0;\n";
  std::vector<uint8_t> memory(8192, 0);
  uint64_t image = upload(memory), results = upload(memory);
  auto outcome =
      run(kernel.text(), {1}, {128}, arguments(image, results, results), 8192);
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.report().kind, ReportKind::OutOfBounds);
  EXPECT_EQ(outcome.report().address, 8192u);
  EXPECT_EQ(outcome.report().warp, 3);
}

} // namespace
