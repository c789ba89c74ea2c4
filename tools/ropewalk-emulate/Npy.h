//===- Npy.h - Arrays in .npy files -----------------------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Reads the data of a numpy array. The header is kept as it stands, so that a
// result of the same shape and type can be written back.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_TOOLS_EMULATE_NPY_H
#define ROPEWALK_TOOLS_EMULATE_NPY_H

#include <string>
#include <vector>

/// Returns an empty text, or why \p file cannot be used. \p header gets all
/// bytes before the data.
std::string readNpy(const std::string &file, std::string &header,
                    std::vector<char> &data);

#endif // ROPEWALK_TOOLS_EMULATE_NPY_H
