//===- Support.h - Helpers of the runtime's tests ---------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Temporary directories and safetensors files written from a list of tensors,
// independently of the reader.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_TEST_UNIT_RUNTIME_SUPPORT_H
#define ROPEWALK_TEST_UNIT_RUNTIME_SUPPORT_H

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <string>
#include <string_view>
#include <vector>

namespace ropewalk::runtime::test {

/// A directory that is removed at the end of the test.
class TemporaryDirectory {
public:
  TemporaryDirectory() {
    std::string pattern =
        (std::filesystem::temp_directory_path() / "ropewalk-XXXXXX").string();
    if (const char *made = mkdtemp(pattern.data()))
      path = made;
    else
      ADD_FAILURE() << "cannot create " << pattern;
  }
  ~TemporaryDirectory() { std::filesystem::remove_all(path); }

  std::string file(std::string_view name) const {
    return path + "/" + std::string(name);
  }
  std::string write(std::string_view name, std::string_view contents) const {
    std::ofstream(file(name), std::ios::binary) << contents;
    return file(name);
  }

  std::string path;
};

/// The bytes of a safetensors file with this header and data.
inline std::string safeTensors(std::string_view header,
                               std::string_view data = {}) {
  std::string bytes;
  for (int i = 0; i < 8; ++i)
    bytes += static_cast<char>(uint64_t(header.size()) >> (8 * i));
  return bytes.append(header).append(data);
}

struct TestTensor {
  std::string name, type;
  std::vector<int64_t> shape;
  std::string data;
};

template <typename T> std::string bytesOf(const std::vector<T> &values) {
  return {reinterpret_cast<const char *>(values.data()),
          values.size() * sizeof(T)};
}

/// The bytes of a safetensors file that holds `tensors` in this order.
inline std::string safeTensors(const std::vector<TestTensor> &tensors) {
  std::string header = "{", data;
  for (const TestTensor &tensor : tensors) {
    std::string shape;
    for (int64_t dimension : tensor.shape)
      shape += (shape.empty() ? "" : ",") + std::to_string(dimension);
    header += (header.size() > 1 ? "," : "") + std::string("\"") + tensor.name +
              "\":{\"dtype\":\"" + tensor.type + "\",\"shape\":[" + shape +
              "],\"data_offsets\":[" + std::to_string(data.size()) + "," +
              std::to_string(data.size() + tensor.data.size()) + "]}";
    data += tensor.data;
  }
  header += "}";
  header.resize((header.size() + 7) / 8 * 8, ' ');
  return safeTensors(header, data);
}

/// The message of a result that has to be an error.
template <typename R> std::string messageOf(const R &result) {
  return result ? "(no error)" : result.error().message();
}

} // namespace ropewalk::runtime::test

#endif // ROPEWALK_TEST_UNIT_RUNTIME_SUPPORT_H
