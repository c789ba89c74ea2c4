//===- Mutate.h - The mutation test of a kernel -----------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_TOOLS_EMULATE_MUTATE_H
#define ROPEWALK_TOOLS_EMULATE_MUTATE_H

#include "Arguments.h"
#include "Options.h"

/// Prints a row for each mutant, as it comes, and how many there are of each
/// outcome. Returns an empty text, or why there is no table: the kernel itself
/// does not end well.
std::string runMutants(const Options &options,
                       const ropewalk::emulator::Kernel &kernel,
                       const std::string &ptx,
                       ropewalk::emulator::Device &device,
                       const std::vector<Argument> &arguments,
                       const std::vector<std::span<const std::byte>> &values);

#endif // ROPEWALK_TOOLS_EMULATE_MUTATE_H
