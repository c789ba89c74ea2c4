//===- ManifestTest.cpp - Tests of the manifest reader ----------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Guards that a manifest is understood completely and that each way of
// breaking one is refused with the path of the fault. The broken manifests are
// one good one with one text replaced.
//
//===----------------------------------------------------------------------===//

#include "Ropewalk/Runtime/Manifest.h"

#include "Support.h"

#include <cstring>

using namespace ropewalk::runtime;
using namespace ropewalk::runtime::test;

namespace {

const char *const kManifest = R"json({
"format": "ropewalk.artifact", "version": 1, "producer": "test",
"target": "sm_90a", "model": {"layers": 2, "name": "x"},
"modules": [{"file": "a.ptx"}, {"file": "b.ptx"}],
"kernels": [
  {"name": "scale", "module": 1, "block": [16, 4, 2], "static_shared": 96,
   "registers": 31, "spill_bytes": 0, "stack_bytes": null,
   "params": [{"name": "in", "type": "ptr"}, {"name": "out", "type": "ptr"},
     {"name": "n", "type": "i32"}, {"name": "stride", "type": "i64"},
     {"name": "factor", "type": "f32"}]},
  {"name": "fill", "module": 0, "block": [1024, 1, 1], "static_shared": 0,
   "params": [{"name": "out", "type": "ptr"}]}],
"constants": [
  {"name": "group", "type": "i64", "shape": [2, 1], "data": [8, -9]},
  {"name": "small", "type": "i32", "shape": [1], "data": [7]},
  {"name": "real", "type": "f32", "shape": [3], "data": [1, 0.5, -2.5]}],
"tables": [{"name": "rotary", "inverse_frequencies": [1, 0.25],
  "attention_factor": 1.5, "unit": 2}],
"entries": [{"name": "main", "sizes": ["N", "C"],
  "arguments": [
    {"name": "x", "kind": "input", "type": "f32", "shape": ["N", "2*N"]},
    {"name": "state", "kind": "cache", "type": "f32", "shape": ["C"],
     "updated": true},
    {"name": "g", "kind": "parameter", "type": "i64", "shape": [],
     "minimum": 1}],
  "results": [{"name": "y", "type": "f32", "shape": ["N", 4], "buffer": 6}],
  "buffers": [{"argument": "x"}, {"argument": "state"}, {"constant": "group"},
    {"table": "rotary", "part": "high"}, {"table": "rotary", "part": "low"},
    {"bytes": "8*N", "first": 0, "last": 1},
    {"bytes": "16*N", "first": 1, "last": 1}],
  "launches": [
    {"kernel": "scale", "grid": ["ceildiv(N,64)", 2, "1"],
     "block": [16, 4, 2], "shared": "0",
     "args": [{"buffer": 0, "offset": "4*N"}, {"buffer": 5}, {"i32": "N"},
       {"i64": 5}, {"f32": 0.125}],
     "reads": [0], "writes": [5]},
    {"kernel": "scale", "grid": [1, 1, 1], "block": [16, 4, 2],
     "args": [{"buffer": 5}, {"buffer": 6}, {"i32": "N"}, {"i64": "N*C"},
       {"f32": 1}],
     "reads": [5], "writes": [6]},
    {"kernel": "fill", "grid": [1, 1, 1], "block": [1024, 1, 1],
     "args": [{"buffer": 1}], "reads": [], "writes": [1]}],
  "checks": [{"expression": "N>=1", "message": "N must be positive"}]}]})json";

Result<Manifest> parseAndValidate(const std::string &text) {
  Result<Manifest> manifest = Manifest::parse(text);
  if (manifest)
    if (Status status = manifest->validate(); !status)
      return status.error();
  return manifest;
}

TEST(Manifest, ReadsEverything) {
  Result<Manifest> parsed = parseAndValidate(kManifest);
  ASSERT_TRUE(parsed) << messageOf(parsed);
  const Manifest &m = *parsed;
  EXPECT_EQ(m.producer, "test");
  EXPECT_EQ(m.target, "sm_90a");
  EXPECT_EQ(m.model, R"({"layers":2,"name":"x"})");
  EXPECT_EQ(m.modules, (std::vector<std::string>{"a.ptx", "b.ptx"}));

  ASSERT_EQ(m.kernels.size(), 2u);
  const Manifest::Kernel &scale = m.kernels[0];
  EXPECT_EQ(scale.name, "scale");
  EXPECT_EQ(scale.module, 1u);
  EXPECT_EQ(scale.block, (std::array<int64_t, 3>{16, 4, 2}));
  EXPECT_EQ(scale.staticShared, 96);
  EXPECT_EQ(scale.registers, 31);
  EXPECT_EQ(scale.spillBytes, 0);
  EXPECT_EQ(scale.stackBytes, std::nullopt);
  ASSERT_EQ(scale.parameters.size(), 5u);
  EXPECT_EQ(scale.parameters[3].name, "stride");
  EXPECT_EQ(scale.parameters[3].type, Manifest::ParameterType::I64);

  ASSERT_EQ(m.constants.size(), 3u);
  int64_t group[2];
  ASSERT_EQ(m.constants[0].data.size(), sizeof(group));
  std::memcpy(group, m.constants[0].data.data(), sizeof(group));
  EXPECT_EQ(group[0], 8);
  EXPECT_EQ(group[1], -9);
  float real[3];
  ASSERT_EQ(m.constants[2].data.size(), sizeof(real));
  std::memcpy(real, m.constants[2].data.data(), sizeof(real));
  EXPECT_EQ(real[0], 1.0f);
  EXPECT_EQ(real[2], -2.5f);

  ASSERT_EQ(m.tables.size(), 1u);
  EXPECT_EQ(m.tables[0].inverseFrequencies, (std::vector<double>{1, 0.25}));
  EXPECT_EQ(m.tables[0].attentionFactor, 1.5);
  EXPECT_EQ(m.tables[0].unit, 2);

  ASSERT_EQ(m.entries.size(), 1u);
  const EntrySignature &signature = m.signatures[0];
  EXPECT_EQ(signature.name, "main");
  EXPECT_EQ(signature.arguments[0].shape[1].text(), "2*N");
  EXPECT_EQ(signature.arguments[1].kind, ArgumentKind::Cache);
  EXPECT_TRUE(signature.arguments[1].updated);
  EXPECT_FALSE(signature.arguments[0].updated);
  EXPECT_EQ(signature.arguments[2].minimum, 1);
  EXPECT_EQ(signature.results[0].shape[1].asConstant(), 4);
  const Manifest::Entry &entry = m.entries[0];
  EXPECT_EQ(entry.resultBuffers, std::vector<size_t>{6});
  EXPECT_EQ(entry.buffers[1].kind, Manifest::Buffer::Kind::Argument);
  EXPECT_EQ(entry.buffers[1].index, 1u);
  EXPECT_EQ(entry.buffers[2].kind, Manifest::Buffer::Kind::Constant);
  EXPECT_TRUE(entry.buffers[3].high);
  EXPECT_FALSE(entry.buffers[4].high);
  EXPECT_EQ(entry.buffers[5].bytes.text(), "8*N");
  EXPECT_EQ(entry.buffers[5].last, 1);
  const Manifest::Launch &launch = entry.launches[0];
  EXPECT_EQ(launch.grid[0].text(), "ceildiv(N,64)");
  EXPECT_EQ(launch.arguments[0].value.text(), "4*N");
  EXPECT_EQ(launch.arguments[1].value.asConstant(), 0);
  EXPECT_EQ(launch.arguments[3].value.asConstant(), 5);
  EXPECT_EQ(launch.arguments[4].number, 0.125f);
  EXPECT_EQ(launch.writes, std::vector<size_t>{5});
  EXPECT_EQ(entry.checks[0].message, "N must be positive");
}

struct Broken {
  const char *from, *to, *message;
};

class BrokenManifest : public testing::TestWithParam<Broken> {};

TEST_P(BrokenManifest, IsRefused) {
  std::string text = kManifest;
  size_t at = text.find(GetParam().from);
  ASSERT_NE(at, text.npos) << GetParam().from;
  text.replace(at, std::strlen(GetParam().from), GetParam().to);
  EXPECT_EQ(messageOf(parseAndValidate(text)), GetParam().message);
}

const Broken kSyntax[] = {
    {"\"ropewalk.artifact\"", "\"other\"",
     "format: expected 'ropewalk.artifact', found 'other'"},
    {"\"version\": 1", "\"version\": 2", "version: expected 1, found 2"},
    {"\"version\": 1", "\"version\": \"1\"",
     "version: expected an integer, found a string"},
    {"\"version\": 1,", "", "key 'version' is missing"},
    {"\"producer\"", "\"maker\"", "unknown key 'maker'"},
    {"\"version\": 1", "\"version\": 1, \"version\": 1",
     "key 'version' occurs twice in one object"},
    {"\"sm_90a\"", "\"gfx90a\"",
     "target: expected a chip such as sm_80 or sm_90a, found 'gfx90a'"},
    {"{\"layers\": 2, \"name\": \"x\"}", "3",
     "model: expected an object, found an integer"},
    {"a.ptx", "../a.ptx",
     "modules[0].file: '../a.ptx' is not the plain name of a file"},
    {"\"name\": \"fill\"", "\"name\": \"scale\"",
     "kernels[1].name: 'scale' occurs twice"},
    {"\"name\": \"fill\"", "\"name\": \"\"",
     "kernels[1].name: a name must not be empty"},
    {"\"module\": 1", "\"module\": 2",
     "kernels[0].module: there is no module 2, the manifest has 2"},
    {"\"module\": 1", "\"module\": -1",
     "kernels[0].module: expected at least 0, found -1"},
    {"[16, 4, 2], \"static", "[16, 4], \"static",
     "kernels[0].block: expected 3 integers, found 2"},
    {"[16, 4, 2], \"static", "[16, 0, 2], \"static",
     "kernels[0].block[1]: expected at least 1, found 0"},
    {"\"static_shared\": 96", "\"static_shared\": 9.5",
     "kernels[0].static_shared: expected an integer, found a number that is "
     "no 64-bit integer"},
    {"\"registers\": 31", "\"registers\": \"many\"",
     "kernels[0].registers: expected an integer, found a string"},
    {"\"name\": \"n\", \"type\": \"i32\"", "\"name\": \"n\", \"type\": \"i16\"",
     "kernels[0].params[2].type: expected ptr, i32, i64 or f32, found 'i16'"},
    {"\"type\": \"i64\", \"shape\": [2, 1]",
     "\"type\": \"f16\", \"shape\": [2, 1]",
     "constants[0].type: expected i64, i32 or f32, found 'f16'"},
    {"\"type\": \"i64\", \"shape\": [2, 1]",
     "\"type\": \"float\", \"shape\": [2, 1]",
     "constants[0].type: unknown element type 'float'"},
    {"[8, -9]", "[8]",
     "constants[0].data: expected the elements of shape [2, 1], found 1"},
    {"[8, -9]", "[8, 0.5]",
     "constants[0].data[1]: expected an integer, found a number that is no "
     "64-bit integer"},
    {"\"data\": [7]", "\"data\": [2147483648]",
     "constants[1].data[0]: 2147483648 does not fit into i32"},
    {"[1, 0.5, -2.5]", "[1, 1e40, 2]",
     "constants[2].data[1]: the number does not fit into f32"},
    {"[1, 0.25]", "[]", "tables[0].inverse_frequencies: must not be empty"},
    {"\"unit\": 2", "\"unit\": 0",
     "tables[0].unit: expected at least 1, found 0"},
    {"\"sizes\": [\"N\", \"C\"]", "\"sizes\": [\"N\", \"N\"]",
     "entries[0].sizes[1]: 'N' occurs twice"},
    {"\"kind\": \"cache\"", "\"kind\": \"memory\"",
     "entries[0].arguments[1].kind: expected input, weight, cache or "
     "parameter, found 'memory'"},
    {"\"2*N\"", "\"2*\"",
     "entries[0].arguments[0].shape[1]: expression '2*', column 3: expected a "
     "number, a symbol or '(', found the end"},
    {"\"2*N\"", "null",
     "entries[0].arguments[0].shape[1]: expected an expression, found null"},
    {"\"updated\": true", "\"updated\": 1",
     "entries[0].arguments[1].updated: expected true or false, found an "
     "integer"},
    {"\"buffer\": 6}]", "\"buffer\": 7}]",
     "entries[0].results[0].buffer: there is no buffer 7, the entry has 7"},
    {"{\"argument\": \"state\"}", "{\"argument\": \"stat\"}",
     "entries[0].buffers[1].argument: there is no argument 'stat'"},
    {"{\"constant\": \"group\"}", "{\"constant\": \"groups\"}",
     "entries[0].buffers[2].constant: there is no constant 'groups'"},
    {"\"part\": \"high\"", "\"part\": \"middle\"",
     "entries[0].buffers[3].part: expected low or high, found 'middle'"},
    {"{\"bytes\": \"8*N\", \"first\": 0, \"last\": 1}",
     "{\"bytes\": \"8*N\", \"first\": 0}",
     "entries[0].buffers[5]: key 'last' is missing"},
    {"{\"bytes\": \"8*N\", \"first\": 0, \"last\": 1}", "8",
     "entries[0].buffers[5]: expected an object, found an integer"},
    {"\"kernel\": \"fill\"", "\"kernel\": \"full\"",
     "entries[0].launches[2].kernel: there is no kernel 'full'"},
    {"[\"ceildiv(N,64)\", 2, \"1\"]", "[\"ceildiv(N,64)\"]",
     "entries[0].launches[0].grid: expected 3 expressions, found 1"},
    {"{\"i64\": 5}", "{\"u64\": 5}",
     "entries[0].launches[0].args[3]: unknown key 'u64'"},
    {"{\"i64\": 5}", "{\"i64\": 5, \"i32\": 5}",
     "entries[0].launches[0].args[3]: unknown key 'i64'"},
    {"{\"f32\": 0.125}", "{\"f32\": \"0.125\"}",
     "entries[0].launches[0].args[4].f32: expected a number, found a string"},
    {"\"reads\": [5]", "\"reads\": 5",
     "entries[0].launches[1].reads: expected an array, found an integer"},
    {"\"reads\": [5]", "\"reads\": [70]",
     "entries[0].launches[1].reads[0]: there is no buffer 70, the entry has 7"},
    {"\"expression\": \"N>=1\"", "\"expression\": \"N>=\"",
     "entries[0].checks[0].expression: expression 'N>=', column 4: expected a "
     "number, a symbol or '(', found the end"},
};
INSTANTIATE_TEST_SUITE_P(Syntax, BrokenManifest, testing::ValuesIn(kSyntax));

const Broken kPlan[] = {
    {"[1024, 1, 1], \"static", "[1025, 1, 1], \"static",
     "kernels[1].block: [1025, 1, 1] is above the limit of 1024 threads"},
    {"[1024, 1, 1], \"static", "[1024, 2, 1], \"static",
     "kernels[1].block: [1024, 2, 1] has 2048 threads, above the limit of "
     "1024"},
    {"[1024, 1, 1], \"static", "[1, 1, 65], \"static",
     "kernels[1].block: [1, 1, 65] is above the limit of 64 in its last "
     "extent"},
    {"\"block\": [1024, 1, 1],\n     \"args\"",
     "\"block\": [512, 1, 1],\n     \"args\"",
     "entries[0].launches[2].block: expected [1024, 1, 1], the block of kernel "
     "'fill', found [512, 1, 1]"},
    {"[\"ceildiv(N,64)\", 2, \"1\"]", "[\"ceildiv(N,64)\", 0, \"1\"]",
     "entries[0].launches[0].grid[1]: expected at least 1, found 0"},
    {"ceildiv(N,64)", "ceildiv(M,64)",
     "entries[0].launches[0].grid[0]: symbol 'M' is not among the sizes of the "
     "entry"},
    {"\"8*N\"", "\"8*M\"",
     "entries[0].buffers[5].bytes: symbol 'M' is not among the sizes of the "
     "entry"},
    {"\"N>=1\"", "\"M>=1\"",
     "entries[0].checks[0].expression: symbol 'M' is not among the sizes of "
     "the entry"},
    {"\"sizes\": [\"N\", \"C\"]", "\"sizes\": [\"N\", \"C\", \"D\"]",
     "entries[0].sizes[2]: no argument has 'D' as a dimension of its shape"},
    {"\"kind\": \"cache\"", "\"kind\": \"weight\"",
     "entries[0].arguments[1]: 'state' is updated, but only a cache may be, "
     "found kind weight"},
    {"{\"i64\": 5}, {\"f32\": 0.125}", "{\"i64\": 5}",
     "entries[0].launches[0].args: kernel 'scale' takes 5 arguments, found 4"},
    {"{\"i64\": 5}", "{\"i32\": 5}",
     "entries[0].launches[0].args[3]: kernel 'scale' takes i64 'stride', found "
     "i32"},
    {"{\"buffer\": 5}, {\"i32\": \"N\"}", "{\"i64\": 0}, {\"i32\": \"N\"}",
     "entries[0].launches[0].args[1]: kernel 'scale' takes ptr 'out', found "
     "i64"},
    {"\"reads\": [0], \"writes\": [5]", "\"reads\": [], \"writes\": [5]",
     "entries[0].launches[0].args[0]: buffer 0 is neither in reads nor in "
     "writes"},
    {"\"reads\": [0], \"writes\": [5]", "\"reads\": [0, 2], \"writes\": [5]",
     "entries[0].launches[0].reads[1]: buffer 2 is not among the arguments"},
    {"\"reads\": [0], \"writes\": [5]", "\"reads\": [0, 5], \"writes\": []",
     "entries[0].launches[0].reads[1]: buffer 5 is read before it is written"},
    {"\"reads\": [0], \"writes\": [5]", "\"reads\": [], \"writes\": [5, 0]",
     "entries[0].launches[0].writes[1]: buffer 0 is the argument 'x', which is "
     "not marked as updated"},
    {"{\"buffer\": 6}, {\"i32\": \"N\"}, {\"i64\": \"N*C\"},\n       {\"f32\": "
     "1}],\n     \"reads\": [5], \"writes\": [6]",
     "{\"buffer\": 2}, {\"i32\": \"N\"}, {\"i64\": \"N*C\"},\n       {\"f32\": "
     "1}],\n     \"reads\": [5], \"writes\": [2]",
     "entries[0].launches[1].writes[0]: buffer 2 is a constant and cannot be "
     "written"},
    {"{\"bytes\": \"8*N\", \"first\": 0, \"last\": 1}",
     "{\"bytes\": \"8*N\", \"first\": 0, \"last\": 0}",
     "entries[0].launches[1].reads[0]: buffer 5 is used by launch 1, outside "
     "its lifetime from 0 to 0"},
    {"{\"bytes\": \"8*N\", \"first\": 0, \"last\": 1}",
     "{\"bytes\": \"8*N\", \"first\": 1, \"last\": 2}",
     "entries[0].launches[0].writes[0]: buffer 5 is used by launch 0, outside "
     "its lifetime from 1 to 2"},
    {"{\"bytes\": \"8*N\", \"first\": 0, \"last\": 1}",
     "{\"bytes\": \"8*N\", \"first\": 1, \"last\": 0}",
     "entries[0].buffers[5]: its first launch 1 is after its last launch 0"},
    {"{\"bytes\": \"8*N\", \"first\": 0, \"last\": 1}",
     "{\"bytes\": \"8*N\", \"first\": 0, \"last\": 3}",
     "entries[0].buffers[5]: there is no launch 3, the entry has 3"},
    {"\"buffer\": 6}]", "\"buffer\": 1}]",
     "entries[0].results[0].buffer: buffer 1 is not a buffer of the plan's "
     "own"},
    {"{\"argument\": \"state\"}", "{\"argument\": \"x\"}",
     "entries[0].launches[2].writes[0]: buffer 1 is the argument 'x', which is "
     "not marked as updated"},
    {"\"minimum\": 1}]",
     "\"minimum\": 1}, {\"name\": \"z\", \"kind\": \"cache\", \"type\": "
     "\"f32\", \"shape\": [], \"updated\": true}]",
     "entries[0].arguments[3]: 'z' is marked as updated, but no launch writes "
     "it"},
};
INSTANTIATE_TEST_SUITE_P(Plan, BrokenManifest, testing::ValuesIn(kPlan));

TEST(Manifest, NamesTheFile) {
  TemporaryDirectory directory;
  std::string path = directory.file("manifest.json");
  EXPECT_EQ(messageOf(Manifest::load(directory.path)),
            path + ": cannot open: No such file or directory");
  directory.write("manifest.json", "{]");
  EXPECT_EQ(messageOf(Manifest::load(directory.path)),
            path + ": parse error at line 1, column 2: syntax error while "
                   "parsing object key - unexpected ']'; expected string "
                   "literal");
  directory.write("manifest.json", "[]");
  EXPECT_EQ(messageOf(Manifest::load(directory.path)),
            path + ": expected an object, found an array");
  directory.write("manifest.json", kManifest);
  EXPECT_EQ(messageOf(Manifest::load(directory.path)), "(no error)");
}

} // namespace
