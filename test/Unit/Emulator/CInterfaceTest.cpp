//===- CInterfaceTest.cpp - The emulator for C ------------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What other languages rely on: codes, texts, JSON, and that no pointer or
// number of a caller is trusted.
//
//===----------------------------------------------------------------------===//

#include "Harness.h"
#include "Ropewalk/Emulator/CEmulator.h"
#include "Ropewalk/Emulator/TensorMap.h"

#include <chrono>
#include <thread>

using namespace ropewalk::emulator;

namespace {

const char increment[] = "ld.param.u64 %d1, [p0]; mov.u32 %r1, %tid.x;\n"
                         "mul.wide.u32 %d2, %r1, 4; add.s64 %d1, %d1, %d2;\n"
                         "ld.global.u32 %r2, [%d1]; add.u32 %r2, %r2, 1;\n"
                         "st.global.u32 [%d1], %r2;";

struct CInterfaceTest : testing::Test {
  void SetUp() override {
    device = ropewalk_ptx_device_create();
    ASSERT_TRUE(device);
  }
  void TearDown() override {
    ropewalk_ptx_unload(module);
    ropewalk_ptx_device_free(device);
  }
  int load(const std::string &text, const char *chip = nullptr) {
    ropewalk_ptx_unload(module);
    return ropewalk_ptx_load(text.data(), text.size(), chip, &module);
  }
  /// Launches entry 0.
  int launch(std::vector<uint64_t> values, const char *options = nullptr,
             unsigned flags = 0, uint32_t threads = 32, uint32_t blocks = 1) {
    std::vector<const void *> arguments;
    std::vector<size_t> sizes(values.size(), 8);
    for (uint64_t &value : values)
      arguments.push_back(&value);
    uint32_t grid[] = {blocks, 1, 1}, block[] = {threads, 1, 1};
    const char *out = "unset";
    int code = ropewalk_ptx_launch(device, module, 0, grid, block, nullptr, 0,
                                   arguments.data(), sizes.data(),
                                   values.size(), options, flags, &out);
    json = out ? out : "";
    return code;
  }
  bool has(const std::string &part) {
    return json.find(part) != std::string::npos;
  }
  std::string error() { return ropewalk_ptx_error(); }

  RopewalkPtxModule *module = nullptr;
  RopewalkPtxDevice *device = nullptr;
  std::string json;
};

// Guards the way from a text to results, counters and a profile.
TEST_F(CInterfaceTest, LoadsAndLaunches) {
  ASSERT_EQ(load(entryText(increment, 1), "sm_80"), 0) << error();
  EXPECT_EQ(std::string(ropewalk_ptx_describe(module)),
            R"({"target": "sm_80", "entries": [{"name": "k", )"
            R"("static_shared": 0, "local": 0, "dynamic_shared": false, )"
            R"("max_threads": null, "required_threads": null, )"
            R"("required_cluster": null, "parameters": [{"name": "p0", )"
            R"("type": "u64", "pointer": false, "size": 8, )"
            R"("alignment": 8}]}]})");
  std::vector<uint32_t> values(32, 41);
  uint64_t address = 0;
  ASSERT_EQ(ropewalk_ptx_alloc(device, 128, &address), 0);
  EXPECT_EQ(address % 256, 0u);
  ASSERT_EQ(ropewalk_ptx_copy_in(device, address, values.data(), 128), 0);
  ASSERT_EQ(launch({address}), 0) << error();
  EXPECT_TRUE(has(R"({"counters": {"blocks": 1, "warps": 1, )")) << json;
  EXPECT_TRUE(has(R"("text": "blocks )"));
  EXPECT_FALSE(has(R"("profile")"));
  ASSERT_EQ(launch({address}, R"({"threads": 2, "schedule_seed": 3})",
                   ROPEWALK_PTX_PROFILE),
            0)
      << error();
  EXPECT_TRUE(has(R"("profile": {"warp_instructions": 8, )")) << json;
  ASSERT_EQ(ropewalk_ptx_copy_out(device, values.data(), address, 128), 0);
  for (uint32_t value : values)
    EXPECT_EQ(value, 43u);
  EXPECT_EQ(ropewalk_ptx_release(device, address), 0);
  EXPECT_EQ(launch({address}), 1);
  EXPECT_TRUE(has(R"("kind": "use-after-free")")) << json;
}

// Guards the fields of a report, and that texts are escaped.
TEST_F(CInterfaceTest, Reports) {
  ASSERT_EQ(load(entryText(increment, 1)), 0) << error();
  uint64_t address = 0;
  ASSERT_EQ(ropewalk_ptx_alloc(device, 0, &address), 0);
  EXPECT_EQ(launch({address}), 1);
  EXPECT_TRUE(has(R"({"kind": "out-of-bounds", "kernel": "k", "detail": )"
                  R"("'ld.global.u32' load in .global memory: )"))
      << json;
  EXPECT_TRUE(has(
      R"("line": 10, "column": 1, "source": "", "inlined_at": [], "block": )"
      R"([0, 0, 0], "warp": 0, "lane": 0, "address": )" +
      std::to_string(address) + R"(, "other": null, "output": "", "text": )"))
      << json;
  EXPECT_EQ(error().substr(0, 28), "out-of-bounds: kernel 'k', l");
  // What does not apply is null.
  EXPECT_EQ(launch({address}, nullptr, 0, 2000), 1);
  EXPECT_TRUE(has(R"({"kind": "invalid-launch", )")) << json;
  EXPECT_TRUE(has(R"("block": null, "warp": null, "lane": null, )"
                  R"("address": null, "other": null)"))
      << json;
}

// Guards that what a kernel prints comes out, also before a fault, as JSON has
// it, and from a mutation test whose kernel is at fault.
TEST_F(CInterfaceTest, PassesOnOutput) {
  const char globals[] =
      ".extern .func (.param .b32 r) vprintf(.param .b64 a, .param .b64 b);\n"
      ".global .align 1 .b8 t[6] = {34, 104, 105, 34, 10, 0};\n";
  const char print[] =
      "mov.u64 %d1, t; cvta.global.u64 %d1, %d1; mov.u64 %d2, 0;\n"
      "{ .param .b64 a; st.param.b64 [a], %d1;\n"
      "  .param .b64 b; st.param.b64 [b], %d2; .param .b32 r;\n"
      "  call.uni (r), vprintf, (a, b); }\n";
  auto text = [&](const char *after) {
    std::string whole = entryText(std::string(print) + after, 0);
    return whole.insert(whole.find(".visible"), globals);
  };
  ASSERT_EQ(load(text("")), 0) << error();
  ASSERT_EQ(launch({}, nullptr, 0, 1), 0) << json;
  EXPECT_TRUE(has(R"(, "output": "\"hi\"\u000a"})")) << json;
  ASSERT_EQ(launch({}, nullptr, ROPEWALK_PTX_PROFILE, 1), 0) << json;
  EXPECT_TRUE(has(R"(, "output": "\"hi\"\u000a", "profile": {)")) << json;
  ASSERT_EQ(load(text("trap;")), 0) << error();
  ASSERT_EQ(launch({}, nullptr, 0, 1), 1) << json;
  EXPECT_TRUE(has(R"(, "output": "\"hi\"\u000a", "text": "trap: )")) << json;
  uint32_t one[] = {1, 1, 1};
  const char *out = nullptr;
  ASSERT_EQ(ropewalk_ptx_mutate(device, module, 0, one, one, nullptr, 0,
                                nullptr, nullptr, 0, nullptr, 1, 0, nullptr, 0,
                                &out),
            1);
  json = out;
  EXPECT_TRUE(has(R"(, "output": "\"hi\"\u000a", "text": "trap: )")) << json;
}

// Guards the other party of a race.
TEST_F(CInterfaceTest, ReportsTheOtherParty) {
  ASSERT_EQ(load(entryText("mov.u32 %r1, s; mov.u32 %r2, %tid.x;\n"
                           "st.shared.u32 [%r1], %r2;",
                           0, ".shared .align 4 .b8 s[4];")),
            0)
      << error();
  EXPECT_EQ(launch({}, nullptr, 0, 64), 1);
  EXPECT_TRUE(has(R"("kind": "shared-race")")) << json;
  EXPECT_TRUE(has(R"("other": {"block": 0, "warp": )")) << json;
  EXPECT_TRUE(has(R"("column": 1, "source": ""})")) << json;
  EXPECT_EQ(launch({}, R"({"check_races": false})", 0, 64), 0) << json;
}

// Guards the source line of both parties.
TEST_F(CInterfaceTest, ReportsTheSourceOfTheOtherParty) {
  ASSERT_EQ(load(entryText(".loc 1 7 3\nmov.u32 %r1, s; mov.u32 %r2, %tid.x;\n"
                           "setp.eq.u32 %p1, %r2, 0;\n"
                           "@!%p1 bra B;\n.loc 1 8 5\n"
                           "st.shared.u32 [%r1], %r2;\nB:\n"
                           "@%p1 bra E;\n.loc 1 9 6\n"
                           "ld.shared.u32 %r3, [%r1];\nE: ret;",
                           0,
                           ".file 1 \"a.cu\"\n"
                           ".shared .align 4 .b8 s[4];")),
            0)
      << error();
  EXPECT_EQ(launch({}, R"({"check_uninitialized_memory": false})", 0, 64), 1);
  EXPECT_TRUE(has(R"("kind": "shared-race")")) << json;
  EXPECT_TRUE(has(R"("source": "a.cu:9:6")")) << json;
  EXPECT_TRUE(has(R"("source": "a.cu:8:5"})")) << json;
  EXPECT_TRUE(has("(a.cu:8:5)")) << json;
}

// Guards it for other parties: another block, an initialization.
TEST_F(CInterfaceTest, ReportsTheSourceOfOtherParties) {
  uint64_t address = 0;
  ASSERT_EQ(ropewalk_ptx_alloc(device, 256, &address), 0);
  ASSERT_EQ(load(entryText("ld.param.u64 %d1, [p0]; mov.u32 %r1, %ctaid.x;\n"
                           ".loc 1 4 2\nst.global.u32 [%d1], %r1;",
                           1, ".file 1 \"a.cu\"")),
            0)
      << error();
  EXPECT_EQ(launch({address}, nullptr, 0, 1, 2), 1);
  EXPECT_TRUE(has(R"("kind": "global-race")")) << json;
  EXPECT_TRUE(has(R"("source": "a.cu:4:2"})")) << json;
  ASSERT_EQ(load(entryText("mov.u32 %r1, b; mov.u32 %r2, %tid.x;\n"
                           "setp.ne.u32 %p1, %r2, 0; @%p1 bra W;\n"
                           ".loc 1 6 1\nmbarrier.init.shared.b64 [%r1], 2;\n"
                           ".loc 1 7 1\nW: bar.warp.sync -1;\n"
                           ".loc 1 8 1\n"
                           "mbarrier.arrive.shared.b64 _, [%r1];",
                           0,
                           ".file 1 \"a.cu\"\n"
                           ".shared .align 8 .b64 b;")),
            0)
      << error();
  EXPECT_EQ(launch({}, nullptr, 0, 33), 1);
  EXPECT_TRUE(has(R"("source": "a.cu:8:1")")) << json;
  EXPECT_TRUE(has(R"("source": "a.cu:6:1"})")) << json;
}

// Guards each refusal of a text and of a chip.
TEST_F(CInterfaceTest, RefusesModules) {
  EXPECT_EQ(load(entryText("frobnicate.u32 %r1;", 0)), 1);
  EXPECT_EQ(error(), "8:1: instruction 'frobnicate.u32' is not supported");
  EXPECT_EQ(module, nullptr);
  EXPECT_EQ(load(entryText("", 0), "sm_70"), 1);
  EXPECT_EQ(error(), "cannot run 'sm_80' on 'sm_70': the code is for a later "
                     "chip");
  EXPECT_EQ(ropewalk_ptx_load(nullptr, 5, nullptr, &module), 1);
  EXPECT_EQ(error(), "argument 'text': expected a pointer, got null");
  EXPECT_EQ(ropewalk_ptx_load("", 0, nullptr, nullptr), 1);
  EXPECT_EQ(error(), "argument 'module': expected a pointer, got null");
  EXPECT_STREQ(ropewalk_ptx_describe(nullptr), "{}");
}

// Guards memory functions against bad ranges and null.
TEST_F(CInterfaceTest, RefusesBadMemory) {
  uint64_t address = 0;
  char byte[2] = {};
  EXPECT_EQ(ropewalk_ptx_alloc(device, size_t(1) << 60, &address), 1);
  EXPECT_EQ(error(), "cannot allocate 1152921504606846976 bytes");
  EXPECT_EQ(ropewalk_ptx_alloc(device, 1, nullptr), 1);
  EXPECT_EQ(ropewalk_ptx_alloc(nullptr, 1, &address), 1);
  ASSERT_EQ(ropewalk_ptx_alloc(device, 1, &address), 0);
  EXPECT_EQ(ropewalk_ptx_copy_in(device, address, byte, 2), 1);
  EXPECT_NE(error().find("2 bytes at 0x"), std::string::npos) << error();
  EXPECT_EQ(ropewalk_ptx_copy_out(device, byte, address + 1, 1), 1);
  EXPECT_EQ(ropewalk_ptx_copy_in(device, address, nullptr, 1), 1);
  EXPECT_EQ(error(), "argument 'source': expected a pointer, got null");
  EXPECT_EQ(ropewalk_ptx_copy_out(device, nullptr, address, 1), 1);
  EXPECT_EQ(ropewalk_ptx_copy_in(nullptr, address, byte, 1), 1);
  EXPECT_EQ(ropewalk_ptx_copy_out(nullptr, byte, address, 1), 1);
  EXPECT_EQ(ropewalk_ptx_copy_in(device, address, nullptr, 0), 0);
  EXPECT_EQ(ropewalk_ptx_release(device, address + 256), 1);
  EXPECT_EQ(ropewalk_ptx_release(nullptr, address), 1);
  ropewalk_ptx_device_free(nullptr);
  ropewalk_ptx_unload(nullptr);
  ropewalk_ptx_cancel(nullptr);
}

// Guards launches that are wrong in themselves: code 2 and no JSON.
TEST_F(CInterfaceTest, RefusesBadLaunches) {
  ASSERT_EQ(load(entryText(increment, 1)), 0);
  struct {
    const char *options, *error;
  } bad[] = {
      {"[]", "expected an object"},
      {R"({"threads": -1})", "key 'threads' is not a number from 0 on"},
      {R"({"threads": 1025})", "key 'threads' is 1025, more than 1024"},
      {R"({"registers_per_thread": 256})",
       "key 'registers_per_thread' is 256, more than 255"},
      {R"({"schedule_seed": "x"})",
       "key 'schedule_seed' is not a number from 0 on"},
      {R"({"check_races": 1})", "key 'check_races' is not true or false"},
      {R"({"speed": 1})", "unknown key 'speed'"},
      {R"({"threads": 1)", "expected ',' or '}'"},
      {R"({"threads" 1})", "expected ':' after key 'threads'"},
      {R"({} {})", "text after the object"},
      {R"({threads: 1})", "expected a key in quotes"},
  };
  for (auto &entry : bad) {
    EXPECT_EQ(launch({0}, entry.options), 2);
    EXPECT_EQ(error(), std::string("options of the launch: ") + entry.error);
    EXPECT_EQ(json, "");
  }
  uint32_t one[] = {1, 1, 1}, zero[] = {1, 0, 1};
  const char *out = nullptr;
  uint64_t value = 0;
  const void *arguments[] = {&value}, *nothing[] = {nullptr};
  size_t sizes[] = {8};
  auto call = [&](RopewalkPtxDevice *d, size_t entry, uint32_t *grid,
                  uint32_t *cluster, const void **values, size_t *bytes) {
    out = "unset";
    int code = ropewalk_ptx_launch(d, module, entry, grid, one, cluster, 0,
                                   values, bytes, 1, nullptr, 0, &out);
    EXPECT_EQ(out, nullptr);
    return code;
  };
  EXPECT_EQ(call(nullptr, 0, one, one, arguments, sizes), 2);
  EXPECT_EQ(error(), "argument 'device': expected a pointer, got null");
  EXPECT_EQ(call(device, 1, one, one, arguments, sizes), 2);
  EXPECT_EQ(error(), "entry 1 of 1 entries");
  EXPECT_EQ(call(device, 0, nullptr, one, arguments, sizes), 2);
  EXPECT_EQ(error(), "argument 'grid': expected a pointer, got null");
  EXPECT_EQ(call(device, 0, one, zero, arguments, sizes), 2);
  EXPECT_EQ(error(), "cluster: expected three extents of at least 1, or null");
  EXPECT_EQ(call(device, 0, one, nullptr, nullptr, sizes), 2);
  EXPECT_EQ(error(), "argument 'arguments': expected a pointer, got null");
  EXPECT_EQ(call(device, 0, one, nullptr, arguments, nullptr), 2);
  EXPECT_EQ(error(), "argument 'sizes': expected a pointer, got null");
  EXPECT_EQ(call(device, 0, one, nullptr, nothing, sizes), 2);
  EXPECT_EQ(error(), "argument 0: expected a pointer, got null");
  EXPECT_EQ(ropewalk_ptx_launch(device, module, 0, one, one, nullptr, 0,
                                arguments, sizes, 1, nullptr, 0, nullptr),
            2);
  EXPECT_EQ(launch({0}, nullptr, 99), 2);
  EXPECT_EQ(error(), "flags: expected 0 or 1, got 99");
  // A wrong number or size of arguments is a report: the kernel's side.
  EXPECT_EQ(launch({}), 1);
  EXPECT_TRUE(has("expected 1 arguments, found 0")) << json;
}

// Guards that a launch which would never end can be ended, on one thread and on
// several, and that this holds for the device's later launches.
TEST_F(CInterfaceTest, Cancels) {
  ASSERT_EQ(load(entryText("again: bra again;", 0)), 0) << error();
  std::thread other([this] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    ropewalk_ptx_cancel(device);
  });
  EXPECT_EQ(launch({}), 1);
  other.join();
  EXPECT_TRUE(has(R"("kind": "cancelled")")) << json;
  EXPECT_EQ(launch({}, R"({"threads": 2})"), 1);
  EXPECT_TRUE(has(R"("kind": "cancelled")")) << json;
  // Atomics on global memory interleave blocks, in another loop.
  ASSERT_EQ(load(entryText("ld.param.u64 %d1, [p0]; again:\n"
                           "atom.global.add.u32 %r1, [%d1], 1; bra again;",
                           1)),
            0)
      << error();
  uint64_t address = 0;
  ASSERT_EQ(ropewalk_ptx_alloc(device, 4, &address), 0);
  ASSERT_EQ(ropewalk_ptx_copy_in(device, address, "\0\0\0", 4), 0);
  EXPECT_EQ(launch({address}), 1);
  EXPECT_TRUE(has(R"("kind": "cancelled")")) << json;
}

// Guards that the enumerations are those of the CUDA driver, and that numbers
// out of them are refused instead of cut.
TEST_F(CInterfaceTest, MakesTensorMaps) {
  uint64_t dims[] = {64, 100}, strides[] = {128};
  uint32_t box[] = {64, 16}, steps[] = {1, 2};
  alignas(64) std::byte bytes[TensorMapBytes];
  // FLOAT16, SWIZZLE_128B, L2_128B, NAN_REQUEST_ZERO_FMA.
  ASSERT_EQ(ropewalk_ptx_tensor_map(6, 2, 4096, dims, strides, box, steps, 0, 3,
                                    2, 1, bytes),
            0)
      << error();
  TensorMap map;
  std::string reason;
  ASSERT_TRUE(decode(bytes, map, reason)) << reason;
  EXPECT_EQ(map.type, TensorMapType::F16);
  EXPECT_EQ(map.swizzle, TensorMapSwizzle::B128);
  EXPECT_EQ(map.promotion, 128u);
  EXPECT_EQ(map.fill, TensorMapFill::Nan);
  EXPECT_EQ(map.dims[1], 100u);
  EXPECT_EQ(map.strides[1], 128u);
  EXPECT_EQ(map.elementStrides[1], 2u);
  auto call = [&](int type, uint32_t rank, int interleave, int swizzle,
                  int promotion, int fill) {
    return ropewalk_ptx_tensor_map(type, rank, 4096, dims, strides, box,
                                   nullptr, interleave, swizzle, promotion,
                                   fill, bytes);
  };
  EXPECT_EQ(call(6, 2, 0, 0, 0, 0), 0);
  EXPECT_EQ(call(9, 2, 0, 0, 3, 0), 0);
  EXPECT_EQ(call(-1, 2, 0, 0, 0, 0), 1);
  EXPECT_EQ(error(), "tensor map: type is -1, expected 0 to 12");
  EXPECT_EQ(call(256 + 6, 2, 0, 0, 0, 0), 1);
  EXPECT_EQ(error(), "tensor map: type is 262, expected 0 to 12");
  EXPECT_EQ(call(6, 6, 0, 0, 0, 0), 1);
  EXPECT_EQ(error(), "tensor map: rank is 6, expected 1 to 5");
  EXPECT_EQ(call(6, 2, 256, 0, 0, 0), 1);
  EXPECT_EQ(call(6, 2, 0, 256 + 3, 0, 0), 1);
  EXPECT_EQ(call(6, 2, 0, -1, 0, 0), 1);
  EXPECT_EQ(call(6, 2, 0, 0, 4, 0), 1);
  EXPECT_EQ(call(6, 2, 0, 0, 128, 0), 1);
  EXPECT_EQ(error(), "tensor map: promotion is 128, expected 0 to 3");
  EXPECT_EQ(call(6, 2, 0, 0, 0, 256), 1);
  EXPECT_EQ(ropewalk_ptx_tensor_map(6, 2, 4096, nullptr, strides, box, steps, 0,
                                    0, 0, 0, bytes),
            1);
  EXPECT_EQ(ropewalk_ptx_tensor_map(6, 2, 4096, dims, nullptr, box, steps, 0, 0,
                                    0, 0, bytes),
            1);
  EXPECT_EQ(error(), "argument 'strides': expected a pointer, got null");
  EXPECT_EQ(ropewalk_ptx_tensor_map(6, 2, 4096, dims, strides, nullptr, steps,
                                    0, 0, 0, 0, bytes),
            1);
  EXPECT_EQ(ropewalk_ptx_tensor_map(6, 2, 4096, dims, strides, box, steps, 0, 0,
                                    0, 0, nullptr),
            1);
}

} // namespace
