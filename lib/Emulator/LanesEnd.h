//===- LanesEnd.h - End of code for one instruction set ---------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Closes what Lanes.h opens. Has no include guard on purpose.
//
//===----------------------------------------------------------------------===//

#if defined(ROPEWALK_EMULATOR_V4) || defined(ROPEWALK_EMULATOR_V3)
#pragma clang attribute pop
#endif
