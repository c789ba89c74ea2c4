//===- KernelText.h - PTX of the test kernels -------------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Texts as the compiler writes them; each stands in a file of its kind.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_UNIT_EMULATOR_KERNELTEXT_H
#define ROPEWALK_UNIT_EMULATOR_KERNELTEXT_H

extern const char *const matmulPTX;
extern const char *const softmaxPTX;
extern const char *const attentionPTX;
extern const char *const gatherPTX;
extern const char *const collatzPTX;
extern const char *const roundtripPTX;

#endif // ROPEWALK_UNIT_EMULATOR_KERNELTEXT_H
