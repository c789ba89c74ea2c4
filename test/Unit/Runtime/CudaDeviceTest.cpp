//===- CudaDeviceTest.cpp - Tests of the device table over libcuda *- C++
//-*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Guards which driver calls the table makes, with which values, and what it
// says when one fails. Runs against the stand-in of FakeCuda.cpp.
//
//===----------------------------------------------------------------------===//

#include "Ropewalk/Runtime/CudaDevice.h"

#include "FakeCuda.h"
#include "Ropewalk/Runtime/ArtifactProgram.h"

#include <algorithm>
#include <gtest/gtest.h>

using namespace ropewalk::runtime;

namespace {

class CudaDeviceTest : public testing::Test {
protected:
  void SetUp() override { fakeCuda() = FakeCuda(); }

  void open() {
    RopewalkDevice *created = nullptr;
    ASSERT_EQ(ropewalk_cuda_create(nullptr, &created), 0)
        << ropewalk_cuda_last_error();
    device.reset(created);
  }

  std::string error() { return device->last_error(device->self); }

  /// Calls of one driver function.
  std::vector<std::string> calls(const std::string &function) {
    std::vector<std::string> found;
    for (const std::string &call : fakeCuda().calls)
      if (call.starts_with(function))
        found.push_back(call);
    return found;
  }

  int launch(uint32_t shared) {
    uint32_t grid[] = {7, 6, 5}, block[] = {4, 3, 2};
    int value = 42;
    void *arguments[] = {&value};
    return device->launch(device->self, kernel, grid, block, shared, arguments);
  }

  void load() {
    open();
    void *module = nullptr;
    ASSERT_EQ(device->load_module(device->self, "ptx", 3, &module), 0);
    ASSERT_EQ(device->get_kernel(device->self, module, "k", &kernel), 0);
  }

  DevicePtr device;
  void *kernel = nullptr;
};

TEST_F(CudaDeviceTest, DescribesTheDevice) {
  open();
  EXPECT_EQ(device->version, uint32_t(ROPEWALK_DEVICE_VERSION));
  EXPECT_STREQ(device->name(device->self), "fake GPU");
  EXPECT_STREQ(device->chip(device->self), "sm_90a");
  EXPECT_EQ(fakeCuda().retained, 1);
  device.reset();
  EXPECT_EQ(fakeCuda().retained, 0);
  fakeCuda().major = 8;
  fakeCuda().minor = 6;
  open();
  EXPECT_STREQ(device->chip(device->self), "sm_86");
}

TEST_F(CudaDeviceTest, RefusesMissingDevices) {
  RopewalkDevice *created = nullptr;
  RopewalkCudaOptions options = {1};
  EXPECT_NE(ropewalk_cuda_create(&options, &created), 0);
  EXPECT_STREQ(ropewalk_cuda_last_error(),
               "there is no CUDA device 1, the driver finds 1");
  options.ordinal = -1;
  EXPECT_NE(ropewalk_cuda_create(&options, &created), 0);
  fakeCuda().failing = "cuInit";
  EXPECT_NE(ropewalk_cuda_create(nullptr, &created), 0);
  EXPECT_STREQ(ropewalk_cuda_last_error(),
               "cuInit: CUDA_ERROR_OUT_OF_MEMORY (out of memory)");
  EXPECT_EQ(created, nullptr);
  EXPECT_EQ(fakeCuda().retained, 0);
}

TEST_F(CudaDeviceTest, MovesMemory) {
  open();
  void *self = device->self;
  uint64_t a = 0, b = 0;
  ASSERT_EQ(device->alloc(self, 8, &a), 0);
  ASSERT_EQ(device->alloc(self, 8, &b), 0);
  EXPECT_EQ(calls("cuMemAlloc_v2").back(), "cuMemAlloc_v2 8");
  ASSERT_EQ(device->copy_in(self, a, "abcdefgh", 8), 0);
  ASSERT_EQ(device->fill(self, a + 2, 'x', 3), 0);
  ASSERT_EQ(device->copy(self, b, a, 8), 0);
  char text[9] = {};
  ASSERT_EQ(device->copy_out(self, text, b, 8), 0);
  EXPECT_STREQ(text, "abxxxfgh");
  ASSERT_EQ(device->release(self, a), 0);
  ASSERT_EQ(device->release(self, b), 0);
  fakeCuda().failing = "cuMemAlloc_v2";
  EXPECT_NE(device->alloc(self, 8, &a), 0);
  EXPECT_EQ(error(), "cuMemAlloc: CUDA_ERROR_OUT_OF_MEMORY (out of memory)");
  fakeCuda().failing = "cuCtxSynchronize";
  EXPECT_NE(device->synchronize(self), 0);
  EXPECT_EQ(error(),
            "cuCtxSynchronize: CUDA_ERROR_OUT_OF_MEMORY (out of memory)");
}

/// The text need not be terminated; the compiler's words reach the user.
TEST_F(CudaDeviceTest, LoadsModules) {
  open();
  const char text[] = {'p', 't', 'x', '!'};
  void *module = nullptr;
  ASSERT_EQ(device->load_module(device->self, text, 3, &module), 0);
  EXPECT_EQ(fakeCuda().ptx, "ptx");
  fakeCuda().failing = "cuModuleLoadDataEx";
  fakeCuda().jitLog = "ptxas fatal: line 3\n";
  EXPECT_NE(device->load_module(device->self, text, 3, &module), 0);
  EXPECT_EQ(error(), "cuModuleLoadDataEx: CUDA_ERROR_OUT_OF_MEMORY (out of "
                     "memory): ptxas fatal: line 3");
  fakeCuda().failing = "cuModuleGetFunction";
  EXPECT_NE(device->get_kernel(device->self, module, "k", &kernel), 0);
  EXPECT_EQ(error(), "cuModuleGetFunction 'k': CUDA_ERROR_OUT_OF_MEMORY (out "
                     "of memory)");
}

TEST_F(CudaDeviceTest, Launches) {
  load();
  ASSERT_EQ(launch(100), 0) << error();
  EXPECT_EQ(calls("cuLaunchKernel").back(),
            "cuLaunchKernel 7 6 5 4 3 2 100 42");
  fakeCuda().failing = "cuLaunchKernel";
  EXPECT_NE(launch(100), 0);
  EXPECT_EQ(error(),
            "cuLaunchKernel: CUDA_ERROR_OUT_OF_MEMORY (out of memory)");
}

/// Shared memory beyond 48 KiB is asked for once, static memory included, and
/// anew after a module has gone, whose kernels' handles may come back.
TEST_F(CudaDeviceTest, AsksForSharedMemory) {
  load();
  ASSERT_EQ(launch(48 * 1024), 0);
  EXPECT_TRUE(calls("cuFuncSetAttribute").empty());
  ASSERT_EQ(launch(64 * 1024), 0);
  ASSERT_EQ(launch(64 * 1024), 0);
  ASSERT_EQ(launch(50 * 1024), 0);
  EXPECT_EQ(calls("cuFuncSetAttribute"),
            std::vector<std::string>{"cuFuncSetAttribute 8 65536"});
  fakeCuda().staticShared = 1024;
  EXPECT_NE(launch(232448), 0);
  EXPECT_EQ(error(), "the kernel needs 233472 bytes of shared memory, a block "
                     "of fake GPU has at most 232448");

  device->unload_module(device->self, nullptr);
  fakeCuda().calls.clear();
  ASSERT_EQ(launch(48 * 1024), 0);
  EXPECT_EQ(calls("cuFuncSetAttribute"),
            std::vector<std::string>{"cuFuncSetAttribute 8 49152"});
}

} // namespace
