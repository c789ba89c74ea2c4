//===- JsonText.h - Writing and reading flat JSON ---------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The little JSON that the emulator's plain interfaces need: quoted texts, and
// the flat object of launch options.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_LIB_EMULATOR_JSONTEXT_H
#define ROPEWALK_LIB_EMULATOR_JSONTEXT_H

#include "Ropewalk/Emulator/Emulator.h"

namespace ropewalk::emulator {

/// `text` in quotes, with everything escaped that JSON wants escaped.
std::string quoted(std::string_view text);

/// Reads the object that Device.h describes into `options`. Returns an empty
/// text, or what is wrong.
std::string parseOptions(std::string_view text, LaunchOptions &options);

/// The report as CEmulator.h describes it; `output` is what the kernel wrote
/// before.
std::string reportJson(const Report &report, std::string_view output);

} // namespace ropewalk::emulator

#endif // ROPEWALK_LIB_EMULATOR_JSONTEXT_H
