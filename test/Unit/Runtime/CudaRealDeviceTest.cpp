//===- CudaRealDeviceTest.cpp - The device table on a real GPU --*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Guards that the declarations of the driver interface in CudaDevice.cpp are
// the driver's: memory, a kernel with more than 48 KiB of shared memory, and
// the compiler's message for a broken module. Skipped where there is no GPU.
//
//===----------------------------------------------------------------------===//

#include "Ropewalk/Runtime/ArtifactProgram.h"
#include "Ropewalk/Runtime/CudaDevice.h"

#include <gtest/gtest.h>
#include <string>
#include <vector>

using namespace ropewalk::runtime;

namespace {

/// data[i] += amount, by way of the end of 64 KiB of shared memory.
constexpr char kPtx[] = R"(
.version 7.0
.target sm_80
.address_size 64
.extern .shared .align 16 .b8 scratch[];
.visible .entry add(.param .u64 data, .param .u32 amount) {
  .reg .b32 %r<6>;
  .reg .b64 %rd<6>;
  ld.param.u64 %rd1, [data];
  ld.param.u32 %r1, [amount];
  cvta.to.global.u64 %rd2, %rd1;
  mov.u32 %r2, %tid.x;
  mul.wide.u32 %rd3, %r2, 4;
  add.u64 %rd4, %rd2, %rd3;
  ld.global.u32 %r3, [%rd4];
  add.u32 %r3, %r3, %r1;
  mov.u64 %rd5, scratch;
  add.u64 %rd5, %rd5, %rd3;
  st.shared.u32 [%rd5+65408], %r3;
  ld.shared.u32 %r4, [%rd5+65408];
  st.global.u32 [%rd4], %r4;
  ret;
}
)";

TEST(CudaRealDevice, RunsAKernel) {
  RopewalkDevice *created = nullptr;
  if (ropewalk_cuda_create(nullptr, &created))
    GTEST_SKIP() << "no GPU: " << ropewalk_cuda_last_error();
  DevicePtr device(created);
  void *self = device->self;
  auto error = [&] { return device->last_error(self); };

  void *module = nullptr, *kernel = nullptr;
  ASSERT_EQ(device->load_module(self, kPtx, sizeof(kPtx) - 1, &module), 0)
      << error();
  ASSERT_EQ(device->get_kernel(self, module, "add", &kernel), 0) << error();
  std::vector<uint32_t> values(32, 5);
  uint64_t address = 0;
  ASSERT_EQ(device->alloc(self, 128, &address), 0) << error();
  EXPECT_EQ(address % 256, 0u);
  ASSERT_EQ(device->copy_in(self, address, values.data(), 128), 0) << error();
  ASSERT_EQ(device->fill(self, address, 1, 4), 0) << error();
  uint32_t grid[] = {1, 1, 1}, block[] = {32, 1, 1}, amount = 3;
  void *arguments[] = {&address, &amount};
  ASSERT_EQ(device->launch(self, kernel, grid, block, 65536, arguments), 0)
      << error();
  ASSERT_EQ(device->synchronize(self), 0) << error();
  ASSERT_EQ(device->copy_out(self, values.data(), address, 128), 0) << error();
  EXPECT_EQ(values[0], 0x01010104u);
  EXPECT_EQ(values[31], 8u);
  EXPECT_EQ(device->release(self, address), 0) << error();
  EXPECT_EQ(device->unload_module(self, module), 0) << error();

  std::string broken = "this is no PTX";
  EXPECT_NE(device->load_module(self, broken.data(), broken.size(), &module),
            0);
  EXPECT_TRUE(std::string(error()).starts_with("cuModuleLoadDataEx: "))
      << error();
}

} // namespace
