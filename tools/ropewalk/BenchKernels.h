//===- BenchKernels.h - Kernels of ropewalk bench ---------- -*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// PTX texts of bench/, made part of the program by CMake.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_TOOLS_ROPEWALK_BENCHKERNELS_H
#define ROPEWALK_TOOLS_ROPEWALK_BENCHKERNELS_H

#include <string_view>

extern const std::string_view flashAttentionPTX;
extern const std::string_view scalarPTX;
extern const std::string_view wgmmaPTX;

#endif // ROPEWALK_TOOLS_ROPEWALK_BENCHKERNELS_H
