//===- MmaTest.cpp - mma.sync against products by element -------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Every shape and type. Fragments are laid out by the formulas of the PTX ISA,
// written down here for each shape as they stand there: g is groupID, t is
// threadID_in_group, i the element of a fragment.
//
//===----------------------------------------------------------------------===//

#include "TensorReference.h"

#include <functional>

using namespace ropewalk::emulator;

namespace {

struct Place {
  unsigned row, column;
};
using Formula = std::function<Place(unsigned g, unsigned t, unsigned i)>;

struct Shape {
  std::string name;
  unsigned m, n, k;
  Formula a, b;
};

Place placeC(unsigned m, unsigned g, unsigned t, unsigned i) {
  if (m == 8)
    return {g, t * 2 + i};
  return {i < 2 ? g : g + 8, t * 2 + (i & 1)};
}

using U = unsigned;
const Shape half8{
    "m16n8k8",
    16,
    8,
    8,
    [](U g, U t, U i) { return Place{i < 2 ? g : g + 8, t * 2 + (i & 1)}; },
    [](U g, U t, U i) { return Place{t * 2 + i, g}; }};
const Shape half16{
    "m16n8k16",
    16,
    8,
    16,
    [](U g, U t, U i) {
      return Place{i < 2 || (4 <= i && i < 6) ? g : g + 8,
                   i < 4 ? t * 2 + (i & 1) : t * 2 + (i & 1) + 8};
    },
    [](U g, U t, U i) {
      return Place{i < 2 ? t * 2 + (i & 1) : t * 2 + (i & 1) + 8, g};
    }};
const Shape word4{"m16n8k4",
                  16,
                  8,
                  4,
                  [](U g, U t, U i) { return Place{i == 0 ? g : g + 8, t}; },
                  [](U g, U t, U) { return Place{t, g}; }};
const Shape word8{"m16n8k8",
                  16,
                  8,
                  8,
                  [](U g, U t, U i) {
                    return Place{i == 0 || i == 2 ? g : g + 8,
                                 i < 2 ? t : t + 4};
                  },
                  [](U g, U t, U i) { return Place{i == 0 ? t : t + 4, g}; }};
const Shape double4{"m8n8k4",
                    8,
                    8,
                    4,
                    [](U g, U t, U) { return Place{g, t}; },
                    [](U g, U t, U) { return Place{t, g}; }};
const Shape double16{"m16n8k16",
                     16,
                     8,
                     16,
                     [](U g, U t, U i) {
                       return Place{i % 2 == 0 ? g : g + 8,
                                    i * 2 - (i % 2) * 2 + t};
                     },
                     [](U g, U t, U i) { return Place{t + i * 4, g}; }};
const Shape byte8{"m8n8k16",
                  8,
                  8,
                  16,
                  [](U g, U t, U i) { return Place{g, t * 4 + i}; },
                  [](U g, U t, U i) { return Place{t * 4 + i, g}; }};
const Shape byte16{
    "m16n8k16",
    16,
    8,
    16,
    [](U g, U t, U i) { return Place{i < 4 ? g : g + 8, t * 4 + (i & 3)}; },
    [](U g, U t, U i) { return Place{t * 4 + i, g}; }};
const Shape byte32{
    "m16n8k32",
    16,
    8,
    32,
    [](U g, U t, U i) {
      return Place{i < 4 || (8 <= i && i < 12) ? g : g + 8,
                   i < 8 ? t * 4 + (i & 3) : t * 4 + (i & 3) + 16};
    },
    [](U g, U t, U i) {
      return Place{i < 4 ? t * 4 + (i & 3) : t * 4 + (i & 3) + 16, g};
    }};
const Shape nibble8{"m8n8k32",
                    8,
                    8,
                    32,
                    [](U g, U t, U i) { return Place{g, t * 8 + i}; },
                    [](U g, U t, U i) { return Place{t * 8 + i, g}; }};
const Shape nibble32{
    "m16n8k32",
    16,
    8,
    32,
    [](U g, U t, U i) { return Place{i < 8 ? g : g + 8, t * 8 + (i & 7)}; },
    [](U g, U t, U i) { return Place{t * 8 + i, g}; }};
const Shape nibble64{
    "m16n8k64",
    16,
    8,
    64,
    [](U g, U t, U i) {
      return Place{i < 8 || (16 <= i && i < 24) ? g : g + 8,
                   i < 16 ? t * 8 + (i & 7) : t * 8 + (i & 7) + 32};
    },
    [](U g, U t, U i) {
      return Place{i < 8 ? t * 8 + (i & 7) : t * 8 + (i & 7) + 32, g};
    }};
const Shape bit8{"m8n8k128",
                 8,
                 8,
                 128,
                 [](U g, U t, U i) { return Place{g, t * 32 + i}; },
                 [](U g, U t, U i) { return Place{t * 32 + i, g}; }};
const Shape bit128{
    "m16n8k128",
    16,
    8,
    128,
    [](U g, U t, U i) { return Place{i < 32 ? g : g + 8, t * 32 + (i & 31)}; },
    [](U g, U t, U i) { return Place{t * 32 + i, g}; }};
const Shape bit256{
    "m16n8k256",
    16,
    8,
    256,
    [](U g, U t, U i) {
      return Place{i < 32 || (64 <= i && i < 96) ? g : g + 8,
                   i < 64 ? t * 32 + (i & 31) : t * 32 + (i & 31) + 128};
    },
    [](U g, U t, U i) {
      return Place{i < 32 ? t * 32 + (i & 31) : t * 32 + (i & 31) + 128, g};
    }};

struct MmaTest : Fixture {
  std::mt19937 engine{20240};

  /// Writes the fragment of a matrix of lane-major elements as rows of
  /// registers: [register][lane].
  static std::vector<uint32_t>
  pack(Matrix &matrix, unsigned rows, unsigned columns,
       const std::function<Place(unsigned, unsigned, unsigned)> &place) {
    unsigned width = bitsOf(matrix.type), perLane = rows * columns / 32;
    unsigned words = perLane * width / 32;
    std::vector<uint32_t> memory(words * 32);
    for (unsigned lane = 0; lane < 32; ++lane)
      for (unsigned i = 0; i < perLane; ++i) {
        Place where = place(lane >> 2, lane % 4, i);
        uint64_t bits = matrix.at(where.row, where.column);
        if (width == 64) {
          memory[(i * 32 + lane) * 2] = uint32_t(bits);
          memory[(i * 32 + lane) * 2 + 1] = uint32_t(bits >> 32);
        } else {
          unsigned word = i * width / 32;
          memory[word * 32 + lane] |= uint32_t(bits) << (i * width % 32);
        }
      }
    return memory;
  }

  static std::string list(const std::string &letter, unsigned first,
                          unsigned count) {
    std::string text = "{";
    for (unsigned i = 0; i < count; ++i)
      text += (i ? ", %" : "%") + letter + std::to_string(first + i);
    return text + "}";
  }

  /// A kernel that loads the fragments, multiplies once and stores D.
  static std::string kernel(const std::string &opcode, unsigned countA,
                            unsigned countB, unsigned countC, bool isDouble,
                            const std::string &accumulator) {
    std::string letter = isDouble ? "e" : "r";
    std::string result = accumulator == "f32" ? "f" : letter;
    std::string type = isDouble ? "f64" : "b32";
    unsigned size = isDouble ? 8 : 4;
    std::string text =
        ".version 8.7\n.target sm_90a\n.address_size 64\n.visible .entry "
        "k(.param .u64 p)\n{\n.reg .b32 %r<40>; .reg .f32 %f<40>; .reg .f64 "
        "%e<40>; .reg .b64 %d<4>;\nld.param.u64 %d1, [p];\nmov.u32 %r39, "
        "%tid.x;\nmul.wide.u32 %d2, %r39, " +
        std::to_string(size) + ";\nadd.s64 %d1, %d1, %d2;\n";
    unsigned row = 0;
    auto move = [&](const std::string &operation, const std::string &name,
                    unsigned index) {
      std::string place = "[%d1+" + std::to_string(row++ * 32 * size) + "]";
      std::string reg = "%" + name + std::to_string(index);
      std::string bits = name == "f" ? "f32" : type;
      text += operation == "ld"
                  ? "ld.global." + bits + " " + reg + ", " + place + ";\n"
                  : "st.global." + bits + " " + place + ", " + reg + ";\n";
    };
    for (unsigned i = 0; i < countA + countB; ++i)
      move("ld", letter, i);
    for (unsigned i = 0; i < countC; ++i)
      move("ld", result, 20 + i);
    text += opcode + " " + list(result, 30, countC) + ", " +
            list(letter, 0, countA) + ", " + list(letter, countA, countB) +
            ", " + list(result, 20, countC) + ";\n";
    for (unsigned i = 0; i < countC; ++i)
      move("st", result, 30 + i);
    return text + "ret;\n}\n";
  }

  void check(const Shape &shape, const std::string &typeA,
             const std::string &typeB, const std::string &typeC, Values values,
             bool saturates = false, const std::string &operation = "") {
    std::string opcode = "mma.sync.aligned." + shape.name + ".row.col." +
                         (saturates ? "satfinite." : "") + typeC + "." + typeA +
                         "." + typeB + "." + typeC +
                         (operation.empty() ? "" : "." + operation + ".popc");
    SCOPED_TRACE(opcode);
    Matrix a(typeA, shape.m, shape.k), b(typeB, shape.k, shape.n),
        c(typeC, shape.m, shape.n);
    a.fill(values, engine);
    b.fill(values, engine);
    c.fill(values, engine);
    auto formulaC = [&](unsigned g, unsigned t, unsigned i) {
      return placeC(shape.m, g, t, i);
    };
    std::vector<uint32_t> memory, part;
    auto append = [&](std::vector<uint32_t> words) {
      memory.insert(memory.end(), words.begin(), words.end());
      return unsigned(words.size() / (typeC == "f64" ? 64 : 32));
    };
    unsigned countA = append(pack(a, shape.m, shape.k, shape.a));
    unsigned countB = append(pack(b, shape.k, shape.n, shape.b));
    unsigned countC = append(pack(c, shape.m, shape.n, formulaC));
    size_t before = memory.size();
    memory.resize(before + countC * (typeC == "f64" ? 64 : 32));
    uint64_t address = upload(memory);
    auto result =
        run(kernel(opcode, countA, countB, countC, typeC == "f64", typeC), {1},
            {32}, arguments(address));
    ASSERT_RAN(result);
    const Counters &counters = result.counters();
    EXPECT_EQ(counters.tensorFlops, 2u * shape.m * shape.n * shape.k);
    EXPECT_EQ(counters.usefulTensorFlops, usefulFlops(a, b));
    EXPECT_EQ(counters.warpByClass[size_t(InstClass::Matrix)], 1u);
    memory = download<uint32_t>(address, memory.size());
    std::vector<uint32_t> got(memory.begin() + before, memory.end());
    // D laid out by the formula, element by element.
    Matrix expected(typeC, shape.m, shape.n);
    for (unsigned m = 0; m < shape.m; ++m)
      for (unsigned n = 0; n < shape.n; ++n)
        expected.at(m, n) =
            referenceElement(a, b, c, m, n, saturates, operation);
    std::vector<uint32_t> want = pack(expected, shape.m, shape.n, formulaC);
    ASSERT_EQ(got.size(), want.size());
    for (size_t i = 0; i < want.size(); ++i)
      ASSERT_EQ(got[i], want[i]) << "word " << i << std::hex << " 0x" << got[i]
                                 << " instead of 0x" << want[i];
    if (values != Values::Random || typeC == "s32")
      return;
    for (unsigned m = 0; m < shape.m; ++m)
      for (unsigned n = 0; n < shape.n; ++n) {
        double exact = c.value(m, n);
        for (unsigned k = 0; k < shape.k; ++k)
          exact += a.value(m, k) * b.value(k, n);
        if (typeC == "f16" && std::fabs(exact) > 65400) // Near overflow.
          continue;
        ASSERT_NEAR(expected.value(m, n), exact, toleranceOf(a, b, c, m, n));
      }
  }
  void checkAll(const Shape &shape, const std::string &typeA,
                const std::string &typeB, const std::string &typeC) {
    for (Values values :
         {Values::Small, Values::Sparse, Values::Random, Values::Edge})
      check(shape, typeA, typeB, typeC, values);
  }

  std::string refusal(const std::string &instruction) {
    Error error;
    auto module = Module::parse(
        ".version 8.7\n.target sm_90a\n.address_size 64\n.visible .entry "
        "k()\n{\n.reg .b32 %r<40>; .reg .f32 %f<40>; .reg .f64 %e<40>;\n" +
            instruction + "\n}\n",
        error);
    return module ? "accepted" : error.message;
  }
};

// Guards fragments and arithmetic of f16 with both accumulators.
TEST_F(MmaTest, Half) {
  for (const char *typeC : {"f32", "f16"}) {
    checkAll(half8, "f16", "f16", typeC);
    checkAll(half16, "f16", "f16", typeC);
  }
}

// Guards bf16, whose subnormal numbers are those of f32.
TEST_F(MmaTest, BFloat) {
  checkAll(half8, "bf16", "bf16", "f32");
  checkAll(half16, "bf16", "bf16", "f32");
}

// Guards that only 19 bits of a tf32 count: random values have 32.
TEST_F(MmaTest, TensorFloat) {
  checkAll(word4, "tf32", "tf32", "f32");
  checkAll(word8, "tf32", "tf32", "f32");
}

TEST_F(MmaTest, Double) {
  for (const Shape *shape : {&double4, &word4, &word8, &double16})
    checkAll(*shape, "f64", "f64", "f64");
}

// Guards the four pairs of 8-bit floats and both accumulators.
TEST_F(MmaTest, Float8) {
  for (const char *typeA : {"e4m3", "e5m2"})
    for (const char *typeB : {"e4m3", "e5m2"})
      for (const char *typeC : {"f32", "f16"}) {
        checkAll(byte16, typeA, typeB, typeC);
        checkAll(byte32, typeA, typeB, typeC);
      }
}

// Guards signs, wrapping and clamping of integers; C is random over all 32
// bits, so that both happen.
TEST_F(MmaTest, Integers) {
  for (bool saturates : {false, true})
    for (Values values :
         {Values::Small, Values::Sparse, Values::Random, Values::Edge}) {
      for (const Shape *shape : {&byte8, &byte16, &byte32})
        for (const char *typeA : {"s8", "u8"})
          for (const char *typeB : {"s8", "u8"})
            check(*shape, typeA, typeB, "s32", values, saturates);
      for (const Shape *shape : {&nibble8, &nibble32, &nibble64})
        for (const char *typeA : {"s4", "u4"})
          for (const char *typeB : {"s4", "u4"})
            check(*shape, typeA, typeB, "s32", values, saturates);
    }
}

// Guards that sums of the greatest products are exact.
TEST_F(MmaTest, IntegerLimits) {
  std::vector<uint32_t> memory(32 * 14, 0xffffffff);
  // C is -1 everywhere.
  uint64_t address = upload(memory);
  auto result = run(kernel("mma.sync.aligned.m16n8k32.row.col.s32.u8.u8.s32", 4,
                           2, 4, false, "s32"),
                    {1}, {32}, arguments(address));
  ASSERT_RAN(result);
  memory = download<uint32_t>(address, memory.size());
  for (size_t i = 32 * 10; i < memory.size(); ++i)
    ASSERT_EQ(memory[i], 32u * 255 * 255 - 1);
}

TEST_F(MmaTest, SingleBits) {
  for (const char *operation : {"xor", "and"})
    for (Values values : {Values::Random, Values::Sparse})
      for (const Shape *shape : {&bit8, &bit128, &bit256})
        check(*shape, "b1", "b1", "s32", values, false, operation);
}

// Guards that a warp that is not whole is reported.
TEST_F(MmaTest, NeedsTheWholeWarp) {
  std::string mma = "mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%f0, "
                    "%f1, %f2, %f3}, {%r1, %r2}, {%r3}, {%f0, %f1, %f2, %f3};";
  std::string head = "mov.u32 %r1, 0; mov.u32 %r2, 0; mov.u32 %r3, 0;\n";
  for (unsigned i = 0; i < 4; ++i)
    head += "mov.f32 %f" + std::to_string(i) + ", 0f00000000;\n";
  std::string floats = ".reg .f32 %f<4>;\n";
  ASSERT_RAN(run(entryText(floats + head + mma, 0), {1}, {32}, Arguments()));
  auto result = run(entryText(floats + head + mma, 0), {1}, {16}, Arguments());
  ASSERT_FALSE(bool(result));
  EXPECT_EQ(result.report().kind, ReportKind::WarpSync);
  EXPECT_EQ(result.report().lane, 16);
  result = run(entryText(floats + head +
                             "mov.u32 %r4, %laneid; setp.lt.u32 %p1, %r4, 7;\n"
                             "@%p1 " +
                             mma,
                         0),
               {1}, {32}, Arguments());
  ASSERT_FALSE(bool(result));
  EXPECT_EQ(result.report().kind, ReportKind::WarpSync);
  EXPECT_NE(result.report().str().find("needs all 32 lanes"), std::string::npos)
      << result.report().str();
}

// Guards that a fragment that some lanes never wrote is found.
TEST_F(MmaTest, ReadsWrittenRegisters) {
  std::string body =
      ".reg .f32 %f<4>;\nmov.u32 %r1, 0; mov.u32 %r4, %laneid;\n"
      "setp.lt.u32 %p1, %r4, 5;\nmov.f32 %f0, 0f00000000; mov.f32 %f1, %f0;\n"
      "mov.f32 %f2, %f0; mov.f32 %f3, %f0;\n@%p1 mov.u32 %r2, 0;\n"
      "mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%f0, %f1, %f2, %f3}, "
      "{%r1, %r2}, {%r1}, {%f0, %f1, %f2, %f3};";
  auto result = run(entryText(body, 0), {1}, {32}, Arguments());
  ASSERT_FALSE(bool(result));
  EXPECT_EQ(result.report().kind, ReportKind::UninitializedRegister);
  EXPECT_EQ(result.report().lane, 5);
}

// Guards that what is not supported, or no PTX, is refused by its name.
TEST_F(MmaTest, Refusals) {
  const std::string four = "{%f0, %f1, %f2, %f3}";
  const std::string operands =
      four + ", {%r0, %r1, %r2, %r3}, {%r4, %r5}, " + four + ";";
  auto expect = [&](const std::string &text, const std::string &part) {
    EXPECT_NE(refusal(text).find(part), std::string::npos) << text << "\n"
                                                           << refusal(text);
  };
  auto full = [&](const std::string &modifiers) {
    return "mma.sync.aligned." + modifiers + " " + operands;
  };
  EXPECT_EQ(refusal(full("m16n8k16.row.col.f32.f16.f16.f32")), "accepted");
  expect("mma.sp.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 " + four +
             ", {%r0, %r1}, {%r4, %r5}, " + four + ", %r6, 0;",
         "sparse 'mma.sp' is not supported");
  expect("mma.sp::ordered_metadata.sync.aligned.m16n8k16.row.col.f32.f16.f16."
         "f32 " +
             four + ", {%r0, %r1}, {%r4, %r5}, " + four + ", %r6, 0;",
         "sparse 'mma.sp::ordered_metadata' is not supported");
  expect(full("m8n8k4.row.col.f32.f16.f16.f32"),
         "shape '.m8n8k4' with these types is not supported");
  expect(full("m16n8k16.row.col.f32.tf32.tf32.f32"),
         "shape '.m16n8k16' with these types is not supported");
  expect(full("m16n8k32.row.col.kind::f8f6f4.f32.e4m3.e4m3.f32"),
         "modifier '.kind::f8f6f4' is not supported");
  expect(full("m16n8k32.row.col.f32.e3m2.e4m3.f32"),
         "type '.e3m2' of a factor is not supported");
  expect(full("m16n8k16.row.row.f32.f16.f16.f32"), "'.row.col'");
  expect(full("m16n8k16.row.col.f32.f16.bf16.f32"),
         "the types of A and B do not go together");
  expect(full("m16n8k32.row.col.s32.s8.s4.s32"),
         "the types of A and B do not go together");
  expect(full("m16n8k16.row.col.f16.bf16.bf16.f16"),
         "the type of D does not go with those of A and B");
  expect(full("m16n8k16.row.col.f32.f16.f16.f16"),
         "expected the type of C to be that of D");
  expect(full("m16n8k16.row.col.satfinite.f32.f16.f16.f32"), "'.satfinite'");
  expect(full("m16n8k256.row.col.s32.b1.b1.s32"),
         "expected '.xor.popc' or '.and.popc'");
  expect(full("m16n8k16.row.col.f32.f16.f16.f32.xor"),
         "modifier '.xor' is not supported");
  expect("mma.aligned.m16n8k16.row.col.f32.f16.f16.f32 " + operands,
         "expected '.sync.aligned'");
  expect("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 " + four +
             ", {%r0, %r1}, {%r4, %r5}, " + four + ";",
         "expected a vector of 4 registers");
  expect("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 " + four +
             ", {%r0, %r1, %r2, %e3}, {%r4, %r5}, " + four + ";",
         "register of 8 bytes for a .b32");
}

} // namespace
