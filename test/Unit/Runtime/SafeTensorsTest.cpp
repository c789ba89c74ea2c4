//===- SafeTensorsTest.cpp - Tests of the checkpoint reader -----*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Guards that well-formed files are read where they are, that every kind of
// damage is refused with a message that names file, key, expected and actual,
// and that opening does not read the data.
//
//===----------------------------------------------------------------------===//

#include "Ropewalk/Runtime/SafeTensors.h"

#include "Support.h"

#include <cstring>
#include <sys/stat.h>

using namespace ropewalk::runtime;
using namespace ropewalk::runtime::test;

namespace {

TEST(SafeTensors, ReadsTensorsInPlace) {
  TemporaryDirectory directory;
  std::string path = directory.write(
      "model.safetensors",
      safeTensors(
          R"({"__metadata__":{"format":"pt"},)"
          R"("b":{"dtype":"F32","shape":[2],"data_offsets":[3,11]},)"
          R"("a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]},)"
          R"("scalar":{"dtype":"I8","shape":[],"data_offsets":[11,12]},)"
          R"("none":{"dtype":"F16","shape":[4,0],)"
          R"("data_offsets":[3,3]}}   )",
          std::string("\1\2\3", 3) + bytesOf(std::vector<float>{1.5f, -2.0f}) +
              "\x7f"));
  Result<TensorFile> file = TensorFile::open(path);
  ASSERT_TRUE(file) << messageOf(file);
  EXPECT_EQ(file->path(), path);
  EXPECT_EQ(file->metadata().find("format")->second, "pt");
  ASSERT_EQ(file->tensors().size(), 4u);

  const StoredTensor *b = file->find("b");
  ASSERT_NE(b, nullptr);
  EXPECT_EQ(b->type, ElementType::F32);
  EXPECT_EQ(b->shape, std::vector<int64_t>{2});
  EXPECT_EQ(b->size, 8u);
  float values[2];
  std::memcpy(values, b->data, 8);
  EXPECT_EQ(values[0], 1.5f);
  EXPECT_EQ(values[1], -2.0f);
  EXPECT_EQ(static_cast<int>(*file->find("scalar")->data), 0x7f);
  EXPECT_EQ(file->find("none")->size, 0u);
  EXPECT_EQ(file->find("c"), nullptr);
}

/// The mapping lives as long as any copy of the handle.
TEST(SafeTensors, CopiesKeepTheMapping) {
  TemporaryDirectory directory;
  directory.write("model.safetensors",
                  safeTensors({{"w", "U8", {2}, std::string("\4\5")}}));
  std::vector<Checkpoint> kept;
  {
    Result<Checkpoint> checkpoint = Checkpoint::open(directory.path);
    ASSERT_TRUE(checkpoint) << messageOf(checkpoint);
    kept.push_back(*checkpoint);
  }
  EXPECT_EQ(static_cast<int>(kept[0].find("w")->data[1]), 5);
  EXPECT_EQ(kept[0].totalSize(), 2u);
  EXPECT_EQ(messageOf(kept[0].get("v")),
            directory.path + ": the checkpoint has no tensor 'v'");
}

struct Broken {
  const char *name;
  std::string bytes;
  std::string message; // after "PATH: "
};

std::string entry(std::string_view text, size_t dataSize) {
  return safeTensors(text, std::string(dataSize, 'x'));
}

class BrokenFile : public testing::TestWithParam<Broken> {};

TEST_P(BrokenFile, IsRefused) {
  TemporaryDirectory directory;
  std::string path = directory.write("m.safetensors", GetParam().bytes);
  EXPECT_EQ(messageOf(TensorFile::open(path)),
            path + ": " + GetParam().message);
}

const Broken kBroken[] = {
    {"empty", "",
     "expected at least 8 bytes for the length of the header, found 0"},
    {"seven_bytes", "1234567",
     "expected at least 8 bytes for the length of the header, found 7"},
    {"header_beyond_file", std::string("\x10\0\0\0\0\0\0\0{}", 10),
     "header length 16 exceeds the 2 bytes that follow it"},
    {"huge_header", std::string(8, '\xff') + "{}",
     "header length 18446744073709551615 is above the limit of 100000000"},
    {"no_object", safeTensors("[]"), "the header does not begin with '{'"},
    {"empty_header", safeTensors(""), "the header does not begin with '{'"},
    {"cut_json", safeTensors(R"({"a":)"),
     "header: parse error at line 1, column 6: syntax error while parsing "
     "value - unexpected end of input; expected '[', '{', or a literal"},
    {"nested_too_deep", safeTensors(R"({"a":)" + std::string(100000, '[')),
     "header: more than 64 levels of nested arrays and objects"},
    {"duplicate_tensor",
     entry(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
           R"("a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})",
           2),
     "header: key 'a' occurs twice in one object"},
    {"duplicate_key",
     entry(R"({"a":{"dtype":"U8","dtype":"I8","shape":[1],)"
           R"("data_offsets":[0,1]}})",
           1),
     "header: key 'dtype' occurs twice in one object"},
    {"not_an_object", safeTensors(R"({"a":3})"),
     "tensor 'a': expected an object, found an integer"},
    {"missing_dtype", entry(R"({"a":{"shape":[1],"data_offsets":[0,1]}})", 1),
     "tensor 'a': key 'dtype' is missing"},
    {"missing_shape", entry(R"({"a":{"dtype":"U8","data_offsets":[0,1]}})", 1),
     "tensor 'a': key 'shape' is missing"},
    {"missing_offsets", entry(R"({"a":{"dtype":"U8","shape":[1]}})", 1),
     "tensor 'a': key 'data_offsets' is missing"},
    {"unknown_key",
     entry(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"x":0}})", 1),
     "tensor 'a': unknown key 'x', expected dtype, shape and data_offsets"},
    {"dtype_number",
     entry(R"({"a":{"dtype":8,"shape":[1],"data_offsets":[0,1]}})", 1),
     "tensor 'a': dtype: expected a string, found an integer"},
    {"dtype_unknown",
     entry(R"({"a":{"dtype":"F4","shape":[1],"data_offsets":[0,1]}})", 1),
     "tensor 'a': dtype: 'F4' is unknown, expected one of BOOL, U8, I8, "
     "F8_E5M2, F8_E4M3, U16, I16, F16, BF16, U32, I32, F32, U64, I64, F64"},
    {"shape_string",
     entry(R"({"a":{"dtype":"U8","shape":"1","data_offsets":[0,1]}})", 1),
     "tensor 'a': shape: expected an array of non-negative integers, found a "
     "string"},
    {"shape_negative",
     entry(R"({"a":{"dtype":"U8","shape":[-1,-1],"data_offsets":[0,1]}})", 1),
     "tensor 'a': shape: expected non-negative integers, found -1"},
    {"shape_fraction",
     entry(R"({"a":{"dtype":"U8","shape":[1.5],"data_offsets":[0,1]}})", 1),
     "tensor 'a': shape: expected non-negative integers, found a number that "
     "is no 64-bit integer"},
    {"shape_overflow",
     entry(R"({"a":{"dtype":"U8","shape":[4294967296,4294967296],)"
           R"("data_offsets":[0,1]}})",
           1),
     "tensor 'a': shape: [4294967296, 4294967296] of U8 does not fit into 63 "
     "bits"},
    {"three_offsets",
     entry(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1,2]}})", 1),
     "tensor 'a': data_offsets: expected 2 integers, found 3"},
    {"offsets_reversed",
     entry(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[1,0]}})", 1),
     "tensor 'a': data_offsets: begin 1 is after end 0"},
    {"size_mismatch",
     entry(R"({"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,12]}})", 12),
     "tensor 'a': data_offsets: expected 24 bytes for shape [2, 3] of F32, "
     "found 12"},
    {"out_of_bounds",
     entry(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 7),
     "tensor 'a': data_offsets: end 8 is outside the data, which has 7 bytes"},
    {"overlap",
     entry(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},)"
           R"("b":{"dtype":"U8","shape":[3],"data_offsets":[3,6]}})",
           6),
     "tensor 'b': its data begins at 3, inside the data of tensor 'a', which "
     "ends at 4"},
    {"hole",
     entry(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
           R"("b":{"dtype":"U8","shape":[1],"data_offsets":[2,3]}})",
           3),
     "tensor 'b': its data begins at 2, expected 1 (no bytes may lie between "
     "tensors)"},
    {"trailing_bytes",
     entry(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})", 3),
     "the tensors cover 1 bytes of data, the file has 3"},
    {"metadata_number", safeTensors(R"({"__metadata__":{"a":1}})"),
     "__metadata__: key 'a': expected a string, found an integer"},
};

INSTANTIATE_TEST_SUITE_P(Table, BrokenFile, testing::ValuesIn(kBroken),
                         [](const auto &info) { return info.param.name; });

TEST(SafeTensors, RefusesWhatIsNoFile) {
  TemporaryDirectory directory;
  EXPECT_EQ(messageOf(TensorFile::open(directory.file("none"))),
            directory.file("none") +
                ": cannot open: No such file or directory");
  EXPECT_EQ(messageOf(TensorFile::open(directory.path)),
            directory.path + ": not a regular file");
}

//===----------------------------------------------------------------------===//
// Directories
//===----------------------------------------------------------------------===//

TEST(Checkpoint, ReadsShards) {
  TemporaryDirectory directory;
  directory.write("s1.safetensors",
                  safeTensors({{"a", "U8", {1}, "A"}, {"x", "U8", {1}, "X"}}));
  directory.write("s2.safetensors", safeTensors({{"b", "U8", {1}, "B"}}));
  directory.write("model.safetensors.index.json",
                  R"({"metadata":{"total_size":2},"weight_map":)"
                  R"({"a":"s1.safetensors","b":"s2.safetensors"}})");
  Result<Checkpoint> checkpoint = Checkpoint::open(directory.path);
  ASSERT_TRUE(checkpoint) << messageOf(checkpoint);
  EXPECT_EQ(checkpoint->files().size(), 2u);
  // The index decides what belongs to the model.
  EXPECT_EQ(checkpoint->tensors().size(), 2u);
  EXPECT_EQ(static_cast<char>(*checkpoint->find("b")->data), 'B');
}

TEST(Checkpoint, RefusesBrokenIndices) {
  TemporaryDirectory directory;
  directory.write("s.safetensors", safeTensors({{"a", "U8", {1}, "A"}}));
  std::string index = directory.file("model.safetensors.index.json");
  struct Case {
    std::string text, message;
  } cases[] = {
      {R"({"weight_map":{"a":"s.safetensors","b":"s.safetensors"}})",
       index + ": weight_map: tensor 'b' is not in shard 's.safetensors'"},
      {R"({"weight_map":{"a":"t.safetensors"}})",
       directory.file("t.safetensors") +
           ": cannot open: No such file or directory"},
      {R"({"weight_map":{"a":"../s.safetensors"}})",
       index + ": weight_map: tensor 'a': '../s.safetensors' is not the plain "
               "name of a file"},
      {R"({"weight_map":{"a":"x/../s.safetensors"}})",
       index + ": weight_map: tensor 'a': 'x/../s.safetensors' is not the "
               "plain name of a file"},
      {R"({"weight_map":{"a":"s.safetensors\u0000x"}})",
       index + ": weight_map: tensor 'a': '" +
           std::string("s.safetensors\0x", 15) +
           "' is not the plain name of a file"},
      {R"({"weight_map":{"a":1}})",
       index + ": weight_map: tensor 'a': expected the name of a file, found "
               "an integer"},
      {R"({"weight_map":[]})",
       index + ": weight_map: expected an object, found an array"},
      {R"({})", index + ": key 'weight_map' is missing"},
      {"", index + ": parse error at line 1, column 1: syntax error while "
                   "parsing value - unexpected end of input; expected '[', "
                   "'{', or a literal"},
  };
  for (const Case &test : cases) {
    directory.write("model.safetensors.index.json", test.text);
    EXPECT_EQ(messageOf(Checkpoint::open(directory.path)), test.message);
  }
}

TEST(Checkpoint, RefusesOtherDirectories) {
  TemporaryDirectory directory;
  EXPECT_EQ(messageOf(Checkpoint::open(directory.path)),
            directory.path + ": expected model.safetensors or "
                             "model.safetensors.index.json, found neither");
  EXPECT_EQ(messageOf(Checkpoint::open(directory.file("none"))),
            directory.file("none") +
                ": cannot open: No such file or directory");
  std::string file = directory.write("file", "");
  EXPECT_EQ(messageOf(Checkpoint::open(file)), file + ": not a directory");
}

/// The size of a 7B checkpoint: were data read, this would allocate 15 GB of
/// page cache and take minutes. Only resident pages are counted, not time.
TEST(Checkpoint, DoesNotReadData) {
  TemporaryDirectory directory;
  constexpr size_t kTensors = 339;
  constexpr size_t kSize = size_t(45) << 20;
  std::string header = "{";
  for (size_t i = 0; i < kTensors; ++i)
    header += (i ? ",\"model.layers." : "\"model.layers.") + std::to_string(i) +
              ".weight\":{\"dtype\":\"BF16\",\"shape\":[" +
              std::to_string(kSize / 2) + "],\"data_offsets\":[" +
              std::to_string(i * kSize) + "," +
              std::to_string((i + 1) * kSize) + "]}";
  std::string path =
      directory.write("model.safetensors", safeTensors(header + "}"));
  std::error_code error;
  std::filesystem::resize_file(
      path, std::filesystem::file_size(path) + kTensors * kSize, error);
  if (error)
    GTEST_SKIP() << "no sparse files of 15 GB here: " << error.message();
  auto residentPages = [] {
    int64_t total = 0, resident = 0;
    std::ifstream("/proc/self/statm") >> total >> resident;
    return resident;
  };
  int64_t before = residentPages();
  Result<Checkpoint> checkpoint = Checkpoint::open(directory.path);
  ASSERT_TRUE(checkpoint) << messageOf(checkpoint);
  EXPECT_EQ(checkpoint->tensors().size(), kTensors);
  EXPECT_EQ(checkpoint->totalSize(), kTensors * kSize);
  EXPECT_LT(residentPages() - before, (int64_t(64) << 20) / 4096);
}

} // namespace
