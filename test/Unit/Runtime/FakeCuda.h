//===- FakeCuda.h - A stand-in for the CUDA driver --------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A library of the driver's name and functions that works on host memory and
// writes down what it is asked. It lets the device table over libcuda be tested
// where there is no GPU.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_TEST_UNIT_RUNTIME_FAKECUDA_H
#define ROPEWALK_TEST_UNIT_RUNTIME_FAKECUDA_H

#include <string>
#include <vector>

struct FakeCuda {
  int devices = 1;
  int major = 9, minor = 0;
  int maximumShared = 232448;
  int staticShared = 0;
  /// Name of the driver function that fails from now on; empty for none.
  std::string failing;
  /// What the JIT compiler says when a module cannot be loaded.
  std::string jitLog;

  /// Calls that matter, "cuFuncSetAttribute 8 65536" for example.
  std::vector<std::string> calls;
  /// Text of the last module.
  std::string ptx;
  int retained = 0;
};

/// The one instance inside of the library.
FakeCuda &fakeCuda();

#endif // ROPEWALK_TEST_UNIT_RUNTIME_FAKECUDA_H
