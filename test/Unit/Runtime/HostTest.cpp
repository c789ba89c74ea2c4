//===- HostTest.cpp - Tests of the host library -----------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Guards the C interface that lies beside an artifact: its functions give what
// the model's definition gives, and bad arguments are errors that leave the
// outputs alone.
//
//===----------------------------------------------------------------------===//

#include "Ropewalk-c/Host.h"

#include "FakeModel.h"

#include <cmath>

using namespace ropewalk::runtime;
using namespace ropewalk::runtime::test;

namespace {

class HostTest : public testing::Test {
protected:
  void SetUp() override {
    defineModelKernels(fake);
    // The interface sets integer parameters, so the model's bias is a constant
    // zero here.
    std::string manifest = modelManifest();
    auto replace = [&](std::string_view from, std::string_view to) {
      size_t at = 0;
      int count = 0;
      while ((at = manifest.find(from, at)) != manifest.npos) {
        manifest.replace(at, from.size(), to);
        at += to.size();
        ++count;
      }
      EXPECT_GT(count, 0) << from;
    };
    replace(R"({"name":"bias","kind":"parameter","type":"f32","shape":[1]})",
            R"({"name":"group","kind":"parameter","type":"i64","shape":[1],)"
            R"("minimum":1})");
    replace(R"({"argument":"bias"})", R"({"constant":"bias"})");
    replace(R"("entries":)",
            R"("constants":[{"name":"bias","type":"f32","shape":[1],)"
            R"("data":[0]}],"entries":)");
    directory.write("manifest.json", manifest);
    directory.write("kernels.ptx", "text");
    directory.write("model.safetensors", modelCheckpoint());
  }

  void open() {
    const char *path = directory.path.c_str();
    ASSERT_EQ(ropewalk_host_open(path, path, makeFakeDevice(fake).release(), 0,
                                 0, 0, &host),
              0)
        << ropewalk_host_last_error();
    int64_t group = 8, shape = 1;
    ASSERT_EQ(ropewalk_host_parameter(host, "group", &group, &shape, 1), 0)
        << ropewalk_host_last_error();
  }

  void TearDown() override { ropewalk_host_close(host); }

  FakeState fake;
  TemporaryDirectory directory;
  RopewalkHost *host = nullptr;
};

TEST_F(HostTest, RunsTheModel) {
  open();
  EXPECT_STREQ(ropewalk_host_device(host), "fake");
  EXPECT_EQ(ropewalk_host_vocabulary(host), 7);
  std::vector<int32_t> ids = {3, 1, 4, 1, 5, 2};
  std::vector<double> expected = referenceLogits(ids, 0);

  std::vector<float> logits(6 * 7);
  ASSERT_EQ(ropewalk_host_logits(host, ids.data(), 1, 6, logits.data()), 0)
      << ropewalk_host_last_error();
  for (size_t i = 0; i < logits.size(); ++i)
    EXPECT_NEAR(logits[i], expected[i], 1e-4) << i;

  std::vector<double> nll(5);
  ASSERT_EQ(ropewalk_host_score(host, ids.data(), 6, nll.data()), 0)
      << ropewalk_host_last_error();
  for (size_t t = 0; t < 5; ++t) {
    double sum = 0;
    for (size_t v = 0; v < 7; ++v)
      sum += std::exp(expected[t * 7 + v]);
    EXPECT_NEAR(nll[t],
                std::log(sum) -
                    expected[t * 7 + static_cast<size_t>(ids[t + 1])],
                1e-4);
  }

  std::vector<int32_t> tokens(4, -1);
  ASSERT_EQ(ropewalk_host_generate(host, ids.data(), 6, 4, tokens.data()), 0)
      << ropewalk_host_last_error();
  for (int32_t token : tokens) {
    std::vector<double> all = referenceLogits(ids, 0);
    auto row = all.end() - 7;
    EXPECT_EQ(token, std::max_element(row, all.end()) - row);
    ids.push_back(token);
  }
}

TEST_F(HostTest, RefusesBadArguments) {
  open();
  auto error = [&](int code) {
    return code ? ropewalk_host_last_error() : "(no error)";
  };
  int32_t ids[] = {1, 7};
  float logits[14] = {5};
  double nll = 5;
  EXPECT_STREQ(error(ropewalk_host_logits(host, ids, 1, 2, logits)),
               "ids[0, 1] is 7, expected 0 to 6");
  EXPECT_EQ(logits[0], 5.0f);
  EXPECT_STREQ(error(ropewalk_host_score(host, ids, 2, &nll)),
               "ids[0, 1] is 7, expected 0 to 6");
  EXPECT_EQ(nll, 5.0);
  EXPECT_NE(ropewalk_host_logits(host, ids, -1, 2, logits), 0);
  EXPECT_NE(ropewalk_host_logits(host, nullptr, 1, 2, logits), 0);
  EXPECT_NE(ropewalk_host_logits(nullptr, ids, 1, 2, logits), 0);
  EXPECT_NE(ropewalk_host_score(host, ids, 0, &nll), 0);
  int64_t group = 0, shape = 1;
  EXPECT_STREQ(error(ropewalk_host_parameter(host, "group", &group, &shape, 1)),
               "parameter 'group': element 0 is 0, expected 1 to 16777215");
  EXPECT_STREQ(error(ropewalk_host_parameter(host, "g", &group, &shape, 1)),
               "the program has no parameter 'g'");
}

/// The device is taken over on failure too.
TEST_F(HostTest, FreesTheDeviceOnFailure) {
  std::string nowhere = directory.file("none");
  EXPECT_NE(ropewalk_host_open(nowhere.c_str(), nowhere.c_str(),
                               makeFakeDevice(fake).release(), 0, 0, 0, &host),
            0);
  EXPECT_EQ(std::string(ropewalk_host_last_error()),
            nowhere + "/manifest.json: cannot open: No such file or directory");
  EXPECT_TRUE(fake.destroyed);
  EXPECT_EQ(host, nullptr);
}

} // namespace
