//===- SessionFixture.h - What the tests of sessions share ------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Sessions over the tiny model of FakeModel.h, as an artifact on a fake device
// and as a host program, and the comparison with its definition.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_TEST_UNIT_RUNTIME_SESSIONFIXTURE_H
#define ROPEWALK_TEST_UNIT_RUNTIME_SESSIONFIXTURE_H

#include "FakeModel.h"
#include "Ropewalk/Runtime/Session.h"

#include <cmath>

namespace ropewalk::runtime::test {

inline constexpr float kBias = 0.03125f;

inline std::vector<int32_t> sequence(size_t length, int32_t seed = 3) {
  std::vector<int32_t> ids;
  for (size_t i = 0; i < length; ++i)
    ids.push_back(static_cast<int32_t>((seed + 5 * i + i * i / 3) % 7));
  return ids;
}

class SessionTest : public testing::Test {
protected:
  /// A session over the artifact with entries prefill and, unless told
  /// otherwise, decode.
  std::unique_ptr<Session> open(SessionOptions options = {},
                                bool withDecode = true, bool narrow = false) {
    defineModelKernels(fake);
    directory.write("manifest.json", modelManifest(withDecode));
    directory.write("kernels.ptx", "text");
    directory.write("model.safetensors", modelCheckpoint(narrow));
    auto program = ArtifactProgram::load(directory.path, makeFakeDevice(fake));
    EXPECT_TRUE(program) << messageOf(program);
    artifact = program ? program->get() : nullptr;
    return finish(program ? std::shared_ptr<Program>(std::move(*program))
                          : nullptr,
                  std::move(options));
  }

  std::unique_ptr<Session> openHost(SessionOptions options = {},
                                    bool narrow = false) {
    directory.write("model.safetensors", modelCheckpoint(narrow));
    auto program = std::make_shared<HostModel>();
    host = program.get();
    return finish(std::move(program), std::move(options));
  }

  std::unique_ptr<Session> finish(std::shared_ptr<Program> program,
                                  SessionOptions options) {
    Result<Checkpoint> opened = Checkpoint::open(directory.path);
    EXPECT_TRUE(opened) << messageOf(opened);
    checkpoint = *opened;
    auto session =
        Session::create(std::move(program), *opened, std::move(options));
    EXPECT_TRUE(session) << messageOf(session);
    if (!session)
      return nullptr;
    int64_t shape[] = {1};
    Status status =
        (*session)->setParameter("bias", ElementType::F32, shape, &kBias);
    EXPECT_TRUE(status) << messageOf(status);
    return std::move(*session);
  }

  FakeState fake;
  TemporaryDirectory directory;
  ArtifactProgram *artifact = nullptr;
  HostModel *host = nullptr;
  std::optional<Checkpoint> checkpoint;
};

/// The rows of `actual` beginning at `row` are the reference's rows
/// [first, first + count).
inline void expectRows(const std::vector<float> &actual, size_t row,
                       const std::vector<int32_t> &ids, size_t first,
                       size_t count) {
  std::vector<double> expected = referenceLogits(ids, kBias);
  ASSERT_LE((row + count) * 7, actual.size());
  for (size_t i = 0; i < count * 7; ++i)
    ASSERT_NEAR(actual[row * 7 + i], expected[first * 7 + i],
                1e-4 * (1 + std::abs(expected[first * 7 + i])))
        << "row " << i / 7 << " column " << i % 7;
}

} // namespace ropewalk::runtime::test

#endif // ROPEWALK_TEST_UNIT_RUNTIME_SESSIONFIXTURE_H
