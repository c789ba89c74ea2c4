//===- Harness.h - Short forms for emulator tests ---------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Buffers of vectors, launches with typed arguments, modules from bodies.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_UNIT_EMULATOR_HARNESS_H
#define ROPEWALK_UNIT_EMULATOR_HARNESS_H

#include "Ropewalk/Emulator/Emulator.h"

#include <cstring>
#include <gtest/gtest.h>
#include <random>

namespace ropewalk::emulator {

/// A module around the body of one entry "k" with `pointers` .u64 parameters
/// p0, p1, ...; `before` stands at module scope.
inline std::string entryText(const std::string &body, unsigned pointers = 2,
                             const std::string &before = "") {
  std::string text = ".version 8.0\n.target sm_80\n.address_size 64\n" +
                     before + "\n.visible .entry k(";
  for (unsigned i = 0; i < pointers; ++i)
    text += (i ? ", " : "") + std::string(".param .u64 p") + std::to_string(i);
  return text +
         ")\n{\n.reg .pred %p<20>; .reg .b16 %h<40>; .reg .b32 %r<40>; "
         ".reg .b64 %d<40>;\n" +
         body + "\n}\n";
}

/// `text` for a chip and a version of PTX that have all instructions but those
/// of sm_90a alone.
inline std::string hopperText(std::string text) {
  const std::string head = ".version 8.0\n.target sm_80\n";
  if (text.substr(0, head.size()) == head)
    text.replace(0, head.size(), ".version 8.6\n.target sm_90\n");
  return text;
}

class Arguments {
public:
  template <class T> Arguments &add(T value) {
    std::vector<std::byte> bytes(sizeof value);
    std::memcpy(bytes.data(), &value, sizeof value);
    values.push_back(std::move(bytes));
    return *this;
  }
  std::vector<std::span<const std::byte>> spans() const {
    return {values.begin(), values.end()};
  }

private:
  std::vector<std::vector<std::byte>> values;
};

template <class... T> Arguments arguments(T... values) {
  Arguments result;
  (result.add(values), ...);
  return result;
}

/// Remembers which opcodes the launch has executed. InstructionSetTest.cpp
/// compares them with the list of opcodes when all tests have run.
void noteExecuted(const Kernel &kernel, const LaunchResult &result);

struct Fixture : testing::Test {
  std::shared_ptr<const Module> parse(const std::string &text) {
    Error error;
    auto module = Module::parse(text, error);
    EXPECT_TRUE(module) << error.str() << "\n" << text;
    return module;
  }

  template <class T> uint64_t upload(const std::vector<T> &values) {
    uint64_t address = device.allocate(values.size() * sizeof(T));
    EXPECT_TRUE(
        device.copyIn(address, values.data(), values.size() * sizeof(T)));
    return address;
  }
  template <class T> std::vector<T> download(uint64_t address, size_t count) {
    std::vector<T> values(count);
    EXPECT_TRUE(device.copyOut(values.data(), address, count * sizeof(T)));
    return values;
  }

  /// Launches the first entry of `text`.
  LaunchResult run(const std::string &text, Dim3 grid, Dim3 block,
                   const Arguments &args, size_t shared = 0,
                   const LaunchOptions &options = {}) {
    auto module = parse(text);
    if (!module)
      return Report();
    modules.push_back(module);
    LaunchResult result = device.launch(module->kernels()[0], grid, block,
                                        shared, args.spans(), options);
    noteExecuted(module->kernels()[0], result);
    return result;
  }

  Device device;
  std::vector<std::shared_ptr<const Module>> modules;
};

inline std::vector<float> randomFloats(size_t count, unsigned seed,
                                       float low = -1, float high = 1) {
  std::mt19937 engine(seed);
  std::uniform_real_distribution<float> distribution(low, high);
  std::vector<float> values(count);
  for (float &value : values)
    value = distribution(engine);
  return values;
}

#define ASSERT_RAN(result) ASSERT_TRUE(bool(result)) << (result).report().str()

} // namespace ropewalk::emulator

#endif // ROPEWALK_UNIT_EMULATOR_HARNESS_H
