//===- HostClones.h - Loops for several instruction sets --------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A function with this mark is compiled once for each instruction set of the
// host that matters to plain loops over arrays, and chosen when the program is
// loaded. For files that are not compiled several times as a whole (Lanes.h).
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_LIB_EMULATOR_HOSTCLONES_H
#define ROPEWALK_LIB_EMULATOR_HOSTCLONES_H

// Sanitizers are not set up yet when the loader chooses.
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||     \
    __has_feature(undefined_behavior_sanitizer)
#define ROPEWALK_NO_HOST_CLONES
#endif
#endif

#if defined(__x86_64__) && defined(__ELF__) && !defined(ROPEWALK_NO_HOST_CLONES)
#define ROPEWALK_HOST_CLONES                                                   \
  __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define ROPEWALK_HOST_CLONES
#endif

#endif // ROPEWALK_LIB_EMULATOR_HOSTCLONES_H
