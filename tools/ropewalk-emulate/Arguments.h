//===- Arguments.h - Arguments of a kernel ----------------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_TOOLS_EMULATE_ARGUMENTS_H
#define ROPEWALK_TOOLS_EMULATE_ARGUMENTS_H

#include "Ropewalk/Emulator/Emulator.h"

/// A value of --arg, on a device.
struct Argument {
  std::vector<std::byte> bytes; ///< What the parameter gets.
  bool isTensorMap = false;
  std::string text; ///< As it was given.
  // Of a buffer:
  uint64_t address = 0;
  size_t size = 0;
  std::string output, header;
};

/// Adds the argument that \p text describes; it may refer to those before it.
/// Returns an empty text, or why it is bad.
std::string addArgument(std::string_view text,
                        ropewalk::emulator::Device &device,
                        std::vector<Argument> &arguments);

/// Makes the values of the kernel's parameters, which point into \p arguments.
/// A parameter of 8 bytes takes the address of a tensor map. Returns an empty
/// text, or why that cannot be.
std::string bindArguments(const ropewalk::emulator::Kernel &kernel,
                          ropewalk::emulator::Device &device,
                          std::vector<Argument> &arguments,
                          std::vector<std::span<const std::byte>> &values);

/// Writes buffers to the files that their arguments name. Returns an empty
/// text, or what failed.
std::string writeOutputs(ropewalk::emulator::Device &device,
                         const std::vector<Argument> &arguments);

#endif // ROPEWALK_TOOLS_EMULATE_ARGUMENTS_H
