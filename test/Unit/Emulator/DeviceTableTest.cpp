//===- DeviceTableTest.cpp - The emulator behind the device table -*- C++
//-*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The plain C functions that compiled artifacts call.
//
//===----------------------------------------------------------------------===//

#include "Harness.h"
#include "Ropewalk/Emulator/Device.h"

using namespace ropewalk::emulator;

namespace {

struct DeviceTableTest : testing::Test {
  void SetUp() override {
    ASSERT_EQ(ropewalk_emulator_create("sm_80", R"({"threads": 2})", &table), 0)
        << ropewalk_emulator_error();
  }
  void TearDown() override { table->destroy(table); }
  int load(const std::string &text, void **module) {
    return table->load_module(table->self, text.data(), text.size(), module);
  }
  std::string error() { return table->last_error(table->self); }

  RopewalkDevice *table = nullptr;
};

const char add[] = "ld.param.u64 %d1, [p0]; mov.u32 %r1, %tid.x;\n"
                   "mul.wide.u32 %d2, %r1, 4; add.s64 %d1, %d1, %d2;\n"
                   "ld.global.u32 %r2, [%d1]; add.u32 %r2, %r2, 1;\n"
                   "st.global.u32 [%d1], %r2;";

// Guards the way from a text to a result.
TEST_F(DeviceTableTest, LoadsAndLaunches) {
  EXPECT_EQ(table->version, uint32_t(ROPEWALK_DEVICE_VERSION));
  EXPECT_STREQ(table->name(table->self), "emulator sm_80");
  EXPECT_STREQ(table->chip(table->self), "sm_80");
  uint64_t a = 0, b = 0;
  ASSERT_EQ(table->alloc(table->self, 128, &a), 0);
  ASSERT_EQ(table->alloc(table->self, 128, &b), 0);
  EXPECT_EQ(a % 256, 0u);
  std::vector<uint32_t> values(32, 41);
  ASSERT_EQ(table->copy_in(table->self, a, values.data(), 128), 0);
  ASSERT_EQ(table->fill(table->self, b, 0, 128), 0);
  ASSERT_EQ(table->copy(table->self, b, a, 128), 0);
  void *module = nullptr, *kernel = nullptr;
  ASSERT_EQ(load(entryText(add, 1), &module), 0) << error();
  ASSERT_EQ(table->get_kernel(table->self, module, "k", &kernel), 0);
  uint32_t grid[3] = {1, 1, 1}, block[3] = {32, 1, 1};
  void *arguments[] = {&b};
  ASSERT_EQ(table->launch(table->self, kernel, grid, block, 0, arguments), 0)
      << error();
  ASSERT_EQ(table->synchronize(table->self), 0);
  ASSERT_EQ(table->copy_out(table->self, values.data(), b, 128), 0);
  EXPECT_EQ(values, std::vector<uint32_t>(32, 42));
  std::string counters = ropewalk_emulator_counters(table, 1);
  EXPECT_NE(counters.find("\"global_load_bytes\": 128"), std::string::npos);
  counters = ropewalk_emulator_counters(table, 0);
  EXPECT_NE(counters.find("\"global_load_bytes\": 0"), std::string::npos);
  // A fault of a kernel is an error with its text.
  ASSERT_EQ(table->release(table->self, b), 0);
  EXPECT_NE(table->launch(table->self, kernel, grid, block, 0, arguments), 0);
  EXPECT_NE(error().find("use-after-free"), std::string::npos) << error();
  EXPECT_EQ(table->unload_module(table->self, module), 0);
  EXPECT_NE(table->launch(table->self, kernel, grid, block, 0, arguments), 0);
  EXPECT_EQ(error(), "launch of a kernel that is not loaded");
}

// Guards errors of every function.
TEST_F(DeviceTableTest, ReportsErrors) {
  uint64_t address = 0;
  EXPECT_NE(table->alloc(table->self, 0, &address), 0);
  EXPECT_NE(table->release(table->self, 12345), 0);
  char bytes[8];
  EXPECT_NE(table->copy_out(table->self, bytes, 12345, 8), 0);
  EXPECT_EQ(error(),
            "copy from the device: 8 bytes at 0x3039 are in no buffer");
  void *module = nullptr, *kernel = nullptr;
  EXPECT_NE(load("nonsense", &module), 0);
  EXPECT_EQ(module, nullptr);
  EXPECT_EQ(error(), "PTX module: 1:1: expected '.version' at the start of "
                     "the module, found 'nonsense'");
  ASSERT_EQ(load(entryText("ret;", 0), &module), 0);
  EXPECT_NE(table->get_kernel(table->self, module, "nobody", &kernel), 0);
  EXPECT_EQ(error(), "module has no entry 'nobody'");
}

// Guards the rule of which code runs where.
TEST_F(DeviceTableTest, TargetsMustFitTheChip) {
  struct {
    const char *target, *chip;
    bool runs;
  } cases[] = {{"sm_80", "sm_80", true},      {"sm_80", "sm_90a", true},
               {"sm_90", "sm_80", false},     {"sm_90a", "sm_80", false},
               {"sm_90a", "sm_90", false},    {"sm_90a", "sm_90a", true},
               {"sm_90a", "sm_100a", false},  {"sm_90", "sm_100a", true},
               {"sm_100f", "sm_103a", true},  {"sm_100f", "sm_100", false},
               {"compute_80", "sm_80", false}};
  for (auto &entry : cases) {
    std::string reason;
    EXPECT_EQ(targetRunsOn(entry.target, entry.chip, reason), entry.runs)
        << entry.target << " on " << entry.chip;
    EXPECT_EQ(reason.empty(), entry.runs);
  }
  std::string text = entryText("ret;", 0);
  text.replace(text.find("sm_80"), 5, "sm_90a");
  void *module = nullptr;
  EXPECT_NE(load(text, &module), 0);
  EXPECT_EQ(error(), "PTX module: cannot run 'sm_90a' on 'sm_80': "
                     "architecture-specific code runs only on its own chip");
}

// Guards the options' object.
TEST(DeviceTableOptionsTest, BadOptionsAreNamed) {
  RopewalkDevice *table = nullptr;
  struct {
    const char *options, *error;
  } cases[] = {
      {"[]", "expected an object"},
      {R"({"thread": 1})", "unknown key 'thread'"},
      {R"({"threads": "a"})", "key 'threads' is not a number from 0 on"},
      {R"({"check_races": 1})", "key 'check_races' is not true or false"},
      {R"({"threads": 1} x)", "text after the object"},
      {R"({"threads": 9999})", "key 'threads' is 9999, more than 1024"}};
  for (auto &entry : cases) {
    EXPECT_NE(ropewalk_emulator_create("sm_80", entry.options, &table), 0);
    EXPECT_EQ(table, nullptr);
    EXPECT_EQ(ropewalk_emulator_error(),
              std::string("options of the emulator: ") + entry.error);
  }
  EXPECT_NE(ropewalk_emulator_create("gfx90a", nullptr, &table), 0);
  EXPECT_NE(ropewalk_emulator_create(nullptr, nullptr, &table), 0);
  ASSERT_EQ(ropewalk_emulator_create(
                "sm_90a", R"({"check_races" : false, "threads":0})", &table),
            0);
  table->destroy(table);
}

} // namespace
