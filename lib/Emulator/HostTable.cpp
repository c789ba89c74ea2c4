//===- HostTable.cpp - Choice of the host's instruction set -----*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The handlers exist once for AVX2 and once for AVX-512 on x86-64, and once
// without any target elsewhere.
//
//===----------------------------------------------------------------------===//

#include "Decoder.h"

namespace ropewalk::emulator {

#if defined(__x86_64__)
namespace v3 {
const OpcodeTable *buildTable();
}
namespace v4 {
const OpcodeTable *buildTable();
}
#else
namespace generic {
const OpcodeTable *buildTable();
}
#endif

const OpcodeTable *opcodeTable(std::string &reason) {
#if defined(__x86_64__)
#if defined(ROPEWALK_EMULATOR_HAS_V4)
  if (__builtin_cpu_supports("x86-64-v4"))
    return v4::buildTable();
#endif
#if defined(ROPEWALK_EMULATOR_HAS_V3)
  if (__builtin_cpu_supports("x86-64-v3"))
    return v3::buildTable();
#endif
  reason = "the emulator needs a host with AVX2 and FMA (x86-64-v3)";
  return nullptr;
#else
  return generic::buildTable();
#endif
}

} // namespace ropewalk::emulator
