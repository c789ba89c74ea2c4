//===- Npy.cpp - Arrays in .npy files ---------------------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Format versions 1 to 3: magic, version, length of the header, header, data.
// The header is a Python dictionary, of which NumPy writes only one form.
//
//===----------------------------------------------------------------------===//

#include "Npy.h"

#include <charconv>
#include <filesystem>
#include <fstream>
#include <iterator>

/// What stands between \p before and \p after; "" if that is not there.
static std::string between(const std::string &text, const std::string &before,
                           char after) {
  size_t begin = text.find(before);
  if (begin == std::string::npos)
    return {};
  begin += before.size();
  size_t end = text.find(after, begin);
  return end == std::string::npos ? "" : text.substr(begin, end - begin);
}

static bool parseShape(std::string_view text, std::vector<uint64_t> &shape) {
  while (!text.empty()) {
    size_t comma = text.find(',');
    std::string_view number = text.substr(0, comma);
    while (number.starts_with(' '))
      number.remove_prefix(1);
    if (!number.empty()) {
      uint64_t value = 0;
      auto [end, code] =
          std::from_chars(number.data(), number.data() + number.size(), value);
      if (code != std::errc() || end != number.data() + number.size())
        return false;
      shape.push_back(value);
    }
    if (comma == std::string_view::npos)
      break;
    text.remove_prefix(comma + 1);
  }
  return true;
}

std::string readNpy(const std::string &file, NpyArray &array) {
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
  array.header = all.substr(0, begin);
  if (array.header.find("'fortran_order': False") == std::string::npos)
    return "'" + file + "' is not in C order";
  array.type = between(array.header, "'descr': '", '\'');
  if (array.type.starts_with('>'))
    return "'" + file + "' is big-endian";
  array.shape.clear();
  if (!parseShape(between(array.header, "'shape': (", ')'), array.shape))
    return "'" + file + "' has no shape that can be read";
  array.data.assign(all.begin() + std::ptrdiff_t(begin), all.end());
  return array.data.empty() ? "'" + file + "' has no data" : "";
}
