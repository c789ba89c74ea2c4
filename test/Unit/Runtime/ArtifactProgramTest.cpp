//===- ArtifactProgramTest.cpp - Tests of the plan executor -----*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Guards how a plan becomes launches: sizes bound and checked, grids and
// arguments evaluated, temporaries sharing one arena that is kept and grows,
// constants and tables uploaded once, and every failure of a device reported
// with the place where it happened. Kernels are callbacks of a fake device.
//
//===----------------------------------------------------------------------===//

#include "Ropewalk/Runtime/ArtifactProgram.h"

#include "FakeDevice.h"
#include "Ropewalk/Runtime/Rotary.h"
#include "Support.h"

#include <set>

using namespace ropewalk::runtime;
using namespace ropewalk::runtime::test;

namespace {

/// x [N] -> y [N] = (x + 1 + 1 + ... + 1) * group[1], through a chain of
/// temporaries of which at most two live at one time; the last launch also
/// gets both levels of the table.
std::string chainManifest(int length) {
  std::string buffers = R"({"argument":"x"},{"constant":"group"},)"
                        R"({"table":"rotary","part":"low"},)"
                        R"({"table":"rotary","part":"high"})";
  std::string launches;
  for (int i = 0; i < length; ++i) {
    buffers +=
        concat(R"(,{"bytes":"4*N","first":)", i, R"(,"last":)", i + 1, "}");
    int from = i ? i + 3 : 0;
    launches +=
        concat(R"json({"kernel":"add","grid":["ceildiv(N,64)",1,1],)json",
               R"("block":[64,1,1],"shared":"N*2","args":[{"buffer":)", from,
               R"(},{"buffer":)", i + 4,
               R"(},{"i32":"N"},{"i64":"N*N"},{"f32":1}],"reads":[)", from,
               R"(],"writes":[)", i + 4, "]},");
  }
  int last = length + 3, result = length + 4;
  buffers +=
      concat(R"(,{"bytes":"4*N","first":)", length, R"(,"last":)", length, "}");
  launches += concat(
      R"({"kernel":"scale","grid":[1,1,1],"block":[32,1,1],"args":[{"buffer":)",
      last, R"(},{"buffer":)", result,
      R"(},{"buffer":1,"offset":8},{"buffer":2},{"buffer":3},{"i32":"N"}],)",
      R"("reads":[1,2,3,)", last, R"(],"writes":[)", result, "]}");
  return R"({"format":"ropewalk.artifact","version":1,"target":"sm_80",
  "modules":[{"file":"k.ptx"}],
  "kernels":[
   {"name":"add","module":0,"block":[64,1,1],"static_shared":0,"params":[
    {"name":"in","type":"ptr"},{"name":"out","type":"ptr"},
    {"name":"n","type":"i32"},{"name":"square","type":"i64"},
    {"name":"amount","type":"f32"}]},
   {"name":"scale","module":0,"block":[32,1,1],"static_shared":0,"params":[
    {"name":"in","type":"ptr"},{"name":"out","type":"ptr"},
    {"name":"group","type":"ptr"},{"name":"low","type":"ptr"},
    {"name":"high","type":"ptr"},{"name":"n","type":"i32"}]}],
  "constants":[{"name":"group","type":"i64","shape":[2],"data":[5,3]}],
  "tables":[{"name":"rotary","inverse_frequencies":[0.5],
   "attention_factor":2,"unit":1}],
  "entries":[{"name":"main","sizes":["N"],
   "arguments":[{"name":"x","kind":"input","type":"f32","shape":["N"]}],
   "results":[{"name":"y","type":"f32","shape":["N"],"buffer":)" +
         std::to_string(result) + R"(}],"buffers":[)" + buffers +
         R"(],"launches":[)" + launches +
         R"(],"checks":[{"expression":"N%8==0",
    "message":"N must be a multiple of 8"}]}]})";
}

class ArtifactProgramTest : public testing::Test {
protected:
  void SetUp() override {
    fake.kernels["add"] = [this](const FakeLaunch &l) {
      auto n = l.scalar<int32_t>(2);
      EXPECT_EQ(l.scalar<int64_t>(3), int64_t(n) * n);
      EXPECT_EQ(l.grid, (std::vector<uint32_t>{
                            static_cast<uint32_t>((n + 63) / 64), 1, 1}));
      EXPECT_EQ(l.block, (std::vector<uint32_t>{64, 1, 1}));
      EXPECT_EQ(l.shared, static_cast<uint32_t>(2 * n));
      for (int i = 0; i < n; ++i)
        l.pointer<float>(1)[i] = l.pointer<float>(0)[i] + l.scalar<float>(4);
      outputs.insert(l.scalar<uint64_t>(1));
    };
    fake.kernels["scale"] = [this](const FakeLaunch &l) {
      for (int i = 0; i < l.scalar<int32_t>(5); ++i)
        l.pointer<float>(1)[i] =
            l.pointer<float>(0)[i] * static_cast<float>(*l.pointer<int64_t>(2));
      low.assign(l.pointer<float>(3), l.pointer<float>(3) + 8192);
      high.assign(l.pointer<float>(4), l.pointer<float>(4) + 8192);
    };
  }

  void load(const std::string &manifest, ArtifactOptions options = {}) {
    directory.write("manifest.json", manifest);
    directory.write("k.ptx", "text");
    auto loaded = ArtifactProgram::load(directory.path, makeFakeDevice(fake),
                                        std::move(options));
    if (loaded)
      program = std::move(*loaded);
    else
      error = loaded.error().message();
  }

  Result<std::vector<float>> run(int64_t n) {
    std::vector<float> x(static_cast<size_t>(n)), y(x);
    for (size_t i = 0; i < x.size(); ++i)
      x[i] = static_cast<float>(i);
    Result<uint64_t> address = program->allocate(4 * x.size());
    if (!address)
      return address.error();
    if (Status status = program->write(*address, x.data(), 4 * x.size());
        !status)
      return status.error();
    TensorView view = {*address, {n}};
    auto results = program->run(0, {&view, 1});
    Status released = program->release(*address);
    if (!results)
      return results.error();
    EXPECT_EQ((*results)[0].shape, std::vector<int64_t>{n});
    if (Status status =
            program->read(y.data(), (*results)[0].address, 4 * y.size());
        !status)
      return status.error();
    return y;
  }

  FakeState fake;
  TemporaryDirectory directory;
  std::unique_ptr<ArtifactProgram> program;
  std::string error;
  std::set<uint64_t> outputs;
  std::vector<float> low, high;
};

TEST_F(ArtifactProgramTest, RunsAPlan) {
  load(chainManifest(6));
  ASSERT_TRUE(program) << error;
  EXPECT_EQ(program->deviceName(), "fake");
  EXPECT_EQ(program->maximumCapacity(), 1 << 24);
  Result<std::vector<float>> y = run(72);
  ASSERT_TRUE(y) << messageOf(y);
  for (size_t i = 0; i < y->size(); ++i)
    EXPECT_EQ((*y)[i], (static_cast<float>(i) + 6) * 3);
  EXPECT_EQ(fake.launches.size(), 7u);
  // Six temporaries of 288 bytes at two places.
  EXPECT_EQ(outputs.size(), 2u);
  EXPECT_EQ(program->arenaBytes(), 2u * 512);
  ASSERT_NE(program->lastPlan(0), nullptr);
  EXPECT_EQ(program->lastPlan(0)->memory.total, 2 * 512);
  std::vector<double> frequencies = {0.5};
  EXPECT_EQ(low, makeRotaryTable(frequencies, 2, 1, false));
  EXPECT_EQ(high, makeRotaryTable(frequencies, 2, 1, true));
}

/// A result outlives its last use in the plan: later temporaries leave it
/// alone.
TEST_F(ArtifactProgramTest, ResultsLiveToTheEnd) {
  std::string text = chainManifest(3);
  std::string from = R"("buffer":7}],"buffers")";
  ASSERT_NE(text.find(from), text.npos);
  load(text.replace(text.find(from), from.size(), R"("buffer":4}],"buffers")"));
  ASSERT_TRUE(program) << error;
  Result<std::vector<float>> y = run(64);
  ASSERT_TRUE(y) << messageOf(y);
  for (size_t i = 0; i < y->size(); ++i)
    EXPECT_EQ((*y)[i], static_cast<float>(i) + 1);
}

TEST_F(ArtifactProgramTest, KeepsAndGrowsTheArena) {
  load(chainManifest(3));
  ASSERT_TRUE(program) << error;
  ASSERT_TRUE(run(64));
  size_t small = program->arenaBytes();
  size_t uploaded = fake.bytesIn;
  ASSERT_TRUE(run(1024));
  size_t large = program->arenaBytes();
  EXPECT_GT(large, small);
  Result<std::vector<float>> y = run(64);
  ASSERT_TRUE(y) << messageOf(y);
  EXPECT_EQ((*y)[63], (63.0f + 3) * 3);
  EXPECT_EQ(program->arenaBytes(), large);
  // Only the arguments go to the device after loading.
  EXPECT_EQ(fake.bytesIn - uploaded, 4u * (1024 + 64));
  EXPECT_GE(program->residentBytes(), large + 2 * 4096 * 8);
}

TEST_F(ArtifactProgramTest, FreesWhatItAllocated) {
  load(chainManifest(3));
  ASSERT_TRUE(program) << error;
  ASSERT_TRUE(run(64));
  program.reset();
  EXPECT_TRUE(fake.destroyed);
  EXPECT_TRUE(fake.allocations.empty());
  EXPECT_EQ(fake.loadedModules, 0);
}

TEST_F(ArtifactProgramTest, ReportsLaunches) {
  std::vector<std::string> seen;
  ArtifactOptions options;
  options.onLaunch = [&](std::string_view entry, size_t number,
                         std::string_view kernel) {
    seen.push_back(concat(entry, " ", number, " ", kernel));
  };
  load(chainManifest(1), options);
  ASSERT_TRUE(program) << error;
  ASSERT_TRUE(run(8));
  EXPECT_EQ(seen, (std::vector<std::string>{"main 0 add", "main 1 scale"}));
}

TEST_F(ArtifactProgramTest, ChecksSizes) {
  load(chainManifest(1));
  ASSERT_TRUE(program) << error;
  EXPECT_EQ(messageOf(run(9)), "entry 'main': N must be a multiple of 8 "
                               "('N%8==0' does not hold for N=9)");
  EXPECT_EQ(messageOf(program->run(0, {})),
            "entry 'main' takes 1 arguments, found 0");
  TensorView matrix = {0, {8, 8}};
  EXPECT_EQ(messageOf(program->run(0, {&matrix, 1})),
            "entry 'main', argument 'x': expected 1 dimensions, found 2");
  TensorView empty = {0, {0}};
  EXPECT_EQ(messageOf(program->run(0, {&empty, 1})),
            "entry 'main': launch 0 (add), grid 0: 'ceildiv(N,64)' is 0, "
            "expected 1 to 2147483647 (N=0)");
  TensorView huge = {0, {int64_t(1) << 31}};
  EXPECT_EQ(messageOf(program->run(0, {&huge, 1})),
            "entry 'main': launch 0 (add), shared memory: 'N*2' is 4294967296, "
            "expected 0 to 1048576 (N=2147483648)");
  EXPECT_EQ(messageOf(program->run(1, {})),
            "there is no entry 1, the program has 1");
  EXPECT_TRUE(fake.launches.empty());
}

TEST_F(ArtifactProgramTest, ChecksValuesOfLaunches) {
  auto refuse = [&](std::string from, const std::string &to) {
    std::string text = chainManifest(1);
    size_t at = text.find(from);
    EXPECT_NE(at, text.npos) << from;
    text.replace(at, from.size(), to);
    program.reset();
    error.clear();
    load(text);
    return program ? messageOf(run(64)) : error;
  };
  EXPECT_EQ(refuse(R"({"i32":"N"})", R"({"i32":"N*100000000"})"),
            "entry 'main': launch 0 (add), argument 2: 'N*100000000' is "
            "6400000000, expected -2147483648 to 2147483647 (N=64)");
  EXPECT_EQ(refuse(R"({"buffer":1,"offset":8})", R"({"buffer":1,"offset":24})"),
            "entry 'main': launch 1 (scale), argument 2: '24' is 24, expected "
            "0 to 16 (N=64)");
  EXPECT_EQ(
      refuse(R"("bytes":"4*N","first":1)", R"("bytes":"4*N-8","first":1)"),
      "entry 'main': result 'y': shape [64] of f32 does not fit into "
      "buffer 5 of 248 bytes");
  EXPECT_EQ(refuse(R"("bytes":"4*N","first":0)", R"("bytes":"4-N","first":0)"),
            "entry 'main': buffer 4: '4-N' is -60, expected 0 to "
            "9223372036854775807 (N=64)");
}

TEST_F(ArtifactProgramTest, ReportsFailuresOfTheDevice) {
  struct Case {
    const char *function, *message;
  };
  for (Case test : {Case{"load_module", "module 'k.ptx': it broke"},
                    Case{"alloc", "constant 'group': cannot allocate 16 bytes "
                                  "of device memory: it broke"},
                    Case{"copy_in", "constant 'group': cannot copy 16 bytes to "
                                    "the device: it broke"}}) {
    fake.failing = test.function;
    load(chainManifest(1));
    EXPECT_EQ(error, directory.path + ": " + test.message);
    EXPECT_TRUE(fake.allocations.empty());
    EXPECT_EQ(fake.loadedModules, 0);
  }
  fake.failing.clear();
  load(chainManifest(1));
  ASSERT_TRUE(program);
  fake.failing = "launch";
  EXPECT_EQ(messageOf(run(8)), "entry 'main', launch 0 (add): it broke");
  fake.failing = "synchronize";
  EXPECT_EQ(messageOf(run(8)), "entry 'main': it broke");
}

/// With the option, an error that only a wait reveals names its launch.
TEST_F(ArtifactProgramTest, SynchronizesLaunchesOnRequest) {
  ArtifactOptions options;
  options.synchronizeLaunches = true;
  load(chainManifest(1), options);
  ASSERT_TRUE(program) << error;
  fake.failing = "synchronize";
  EXPECT_EQ(messageOf(run(8)), "entry 'main', launch 0 (add): it broke");
}

TEST_F(ArtifactProgramTest, RefusesWhatDoesNotMatchTheDevice) {
  fake.kernels.erase("scale");
  load(chainManifest(1));
  EXPECT_EQ(error,
            directory.path + ": kernel 'scale' of module 'k.ptx': it broke");
  fake.chip = "sm_75";
  load(chainManifest(1));
  EXPECT_EQ(error, directory.path +
                       ": the artifact is for sm_80, the device 'fake' is "
                       "sm_75");
  std::filesystem::remove(directory.file("k.ptx"));
  auto loaded = ArtifactProgram::load(directory.path, makeFakeDevice(fake));
  EXPECT_EQ(messageOf(loaded), directory.file("k.ptx") +
                                   ": cannot open: No such file or directory");
  directory.write("k.ptx", "");
  EXPECT_EQ(messageOf(ArtifactProgram::load(directory.path, nullptr)),
            directory.path + ": there is no device to load the artifact onto");
}

/// A table of another layout is not even called to be freed.
TEST_F(ArtifactProgramTest, RefusesOtherTableVersions) {
  RopewalkDevice table = {};
  table.version = ROPEWALK_DEVICE_VERSION + 1;
  Result<Manifest> manifest = Manifest::parse(chainManifest(1));
  ASSERT_TRUE(manifest);
  EXPECT_EQ(messageOf(ArtifactProgram::create(*manifest, {"text"},
                                              DevicePtr(&table))),
            "the device has table version 2, expected 1");
}

TEST(ArtifactProgram, ChipsAndTargets) {
  EXPECT_TRUE(isCompatible("sm_80", "sm_80"));
  EXPECT_TRUE(isCompatible("sm_80", "sm_86"));
  EXPECT_TRUE(isCompatible("sm_80", "sm_90a"));
  EXPECT_TRUE(isCompatible("sm_80", "sm_120a"));
  EXPECT_TRUE(isCompatible("sm_90a", "sm_90a"));
  EXPECT_FALSE(isCompatible("sm_80", "sm_75"));
  EXPECT_FALSE(isCompatible("sm_90a", "sm_100a"));
  EXPECT_FALSE(isCompatible("sm_90a", "sm_80"));
  EXPECT_FALSE(isCompatible("sm_90a", "sm_90"));
  EXPECT_TRUE(isCompatible("sm_100f", "sm_103a"));
  EXPECT_FALSE(isCompatible("sm_100f", "sm_120a"));
  EXPECT_FALSE(isCompatible("sm_80", "gfx942"));
}

} // namespace
