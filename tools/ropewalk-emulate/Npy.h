//===- Npy.h - Arrays in .npy files ---------------------------*- C++ -*-===//
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

#include <cstdint>
#include <string>
#include <vector>

struct NpyArray {
  std::string header; ///< All bytes before the data.
  std::vector<char> data;
  std::string type;            ///< "<f4" for example; "" for structures.
  std::vector<uint64_t> shape; ///< Outermost dimension first.
};

/// Returns an empty text, or why \p file cannot be used.
std::string readNpy(const std::string &file, NpyArray &array);

#endif // ROPEWALK_TOOLS_EMULATE_NPY_H
