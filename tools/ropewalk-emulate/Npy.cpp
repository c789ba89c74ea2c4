//===- Npy.cpp - Arrays in .npy files ---------------------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Format versions 1 to 3: magic, version, length of the header, header, data.
//
//===----------------------------------------------------------------------===//

#include "Npy.h"

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>

std::string readNpy(const std::string &file, std::string &header,
                    std::vector<char> &data) {
  // A directory opens and fails at the first read, by an exception.
  std::error_code code;
  if (std::filesystem::is_directory(file, code))
    return "'" + file + "' is a directory";
  std::ifstream stream(file, std::ios::binary);
  if (!stream)
    return "cannot read '" + file + "'";
  std::string all((std::istreambuf_iterator<char>(stream)),
                  std::istreambuf_iterator<char>());
  if (all.size() < 12 || all.substr(0, 6) != "\x93NUMPY")
    return "'" + file + "' is no .npy file";
  auto byte = [&](size_t i) { return size_t(uint8_t(all[i])); };
  size_t begin = byte(6) == 1 ? 10 + byte(8) + (byte(9) << 8)
                              : 12 + byte(8) + (byte(9) << 8) +
                                    (byte(10) << 16) + (byte(11) << 24);
  if (begin > all.size())
    return "'" + file + "' ends in its header";
  header = all.substr(0, begin);
  if (header.find("'fortran_order': False") == std::string::npos)
    return "'" + file + "' is not in C order";
  if (header.find("'descr': '>") != std::string::npos)
    return "'" + file + "' is big-endian";
  data.assign(all.begin() + std::ptrdiff_t(begin), all.end());
  return data.empty() ? "'" + file + "' has no data" : "";
}
