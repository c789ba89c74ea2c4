//===- WmmaTest.cpp - wmma against products by element ----------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Matrices go from memory to memory, as the layout of fragments is open in PTX:
// all shapes, types, layouts and strides.
//
//===----------------------------------------------------------------------===//

#include "TensorReference.h"

using namespace ropewalk::emulator;

namespace {

struct Shape {
  std::string name;
  unsigned m, n, k;
};
const std::vector<Shape> shapes16 = {{"m16n16k16", 16, 16, 16},
                                     {"m32n8k16", 32, 8, 16},
                                     {"m8n32k16", 8, 32, 16}};

/// What one kernel does.
struct Job {
  Shape shape;
  std::string typeA, typeB, typeC, typeD;
  std::string layoutA = "row", layoutB = "col", layoutC = "row",
              layoutD = "row";
  std::string space = ".global"; ///< ".global", ".shared" or "".
  bool saturates = false;
  std::string operation = ""; ///< "xor" or "and".
  std::string rounding = "";
  bool isDense = false; ///< No stride operands, lines follow each other.
};

/// Bytes of a matrix in memory and between its lines.
struct Image {
  unsigned lines, length, stride;
  std::vector<uint8_t> bytes;
};

struct WmmaTest : Fixture {
  std::mt19937 engine{777};
  Counters last;

  /// Lines of a layout are padded by a multiple of 16 bytes.
  static Image imageOf(Matrix &matrix, const std::string &layout,
                       bool isDense) {
    bool isRow = layout == "row";
    Image image{isRow ? matrix.rows : matrix.columns,
                isRow ? matrix.columns : matrix.rows,
                0,
                {}};
    unsigned bits = bitsOf(matrix.type);
    image.stride = image.length + (isDense ? 0 : 2 * 128 / bits);
    image.bytes.resize(image.lines * image.stride * bits / 8);
    for (unsigned line = 0; line < image.lines; ++line)
      for (unsigned i = 0; i < image.length; ++i) {
        uint64_t value = isRow ? matrix.at(line, i) : matrix.at(i, line);
        size_t bit = size_t(line * image.stride + i) * bits;
        for (unsigned b = 0; b < bits; ++b)
          image.bytes[(bit + b) / 8] |=
              uint8_t((value >> b & 1) << ((bit + b) % 8));
      }
    return image;
  }

  static std::string list(const std::string &letter, unsigned first,
                          unsigned count) {
    std::string text = "{";
    for (unsigned i = 0; i < count; ++i)
      text += (i ? ", %" : "%") + letter + std::to_string(first + i);
    return text + "}";
  }
  static std::string letter(const std::string &type) {
    return type == "f32" ? "f" : type == "f64" ? "e" : "r";
  }
  static unsigned accumulatorRegisters(const Shape &shape,
                                       const std::string &type) {
    return shape.m * shape.n / (type == "f16" ? 64 : 32);
  }
  static unsigned factorRegisters(const std::string &type, unsigned elements) {
    if (type == "f16")
      return 8;
    return type == "f64" ? elements / 32 : elements * bitsOf(type) / 1024;
  }
  static std::string opcode(const Job &job) {
    std::string text = "wmma.mma." +
                       (job.operation.empty() ? "" : job.operation + ".popc.") +
                       "sync.aligned." + job.layoutA + "." + job.layoutB + "." +
                       job.shape.name + "." + job.typeD;
    if (job.typeA != "f16")
      text += "." + job.typeA + "." + job.typeB;
    return text + "." + job.typeC + (job.saturates ? ".satfinite" : "") +
           (job.rounding.empty() ? "" : "." + job.rounding);
  }

  /// Registers: A from %r0, B from %r8, C from 20, D from 30.
  static std::string kernel(const Job &job, const Image &a, const Image &b,
                            const Image &c, const Image &d) {
    const Shape &shape = job.shape;
    std::string text = ".version 8.0\n.target sm_90\n.address_size 64\n"
                       ".visible .entry k(.param .u64 p0, .param .u64 p1, "
                       ".param .u64 p2, .param .u64 p3)\n{\n"
                       ".reg .b32 %r<90>; .reg .f32 %f<60>; .reg .f64 %e<60>; "
                       ".reg .b64 %d<20>; .reg .pred %p<4>;\n"
                       ".shared .align 128 .b8 s[16384];\n";
    std::string base[4];
    for (unsigned i = 0; i < 4; ++i) {
      std::string n = std::to_string(i);
      text += "ld.param.u64 %d" + n + ", [p" + n + "];\n";
      base[i] = "[%d" + n + "]";
    }
    if (job.space == ".shared") {
      // The warp copies A, B and C, 4096 bytes each.
      text += "mov.u32 %r80, s; mov.u32 %r81, %laneid; shl.b32 %r81, %r81, 2;\n"
              "COPY:\nadd.u32 %r84, %r80, %r81; cvt.u64.u32 %d9, %r81;\n";
      for (unsigned i = 0; i < 3; ++i)
        text += "add.s64 %d8, %d" + std::to_string(i) +
                ", %d9; ld.global.b32 %r82, [%d8]; st.shared.b32 [%r84+" +
                std::to_string(i * 4096) + "], %r82;\n";
      text += "add.u32 %r81, %r81, 128; setp.lt.u32 %p1, %r81, 4096;\n"
              "@%p1 bra COPY;\nbar.warp.sync -1;\n";
      for (unsigned i = 0; i < 3; ++i)
        base[i] = "[%r80+" + std::to_string(i * 4096) + "]";
    }
    auto memory = [&](const std::string &part, const std::string &layout,
                      const std::string &type, bool isStore) {
      return "wmma." + part + ".sync.aligned." + layout + "." + shape.name +
             (isStore && job.space == ".shared" ? ".global" : job.space) + "." +
             type + " ";
    };
    auto stride = [&](const Image &image, bool isRegister) {
      if (job.isDense)
        return std::string(";\n");
      std::string number = std::to_string(image.stride);
      if (isRegister)
        text += "mov.u32 %r83, " + number + ";\n";
      return ", " + (isRegister ? "%r83" : number) + ";\n";
    };
    unsigned countA = factorRegisters(job.typeA, shape.m * shape.k);
    unsigned countB = factorRegisters(job.typeB, shape.n * shape.k);
    unsigned countC = accumulatorRegisters(shape, job.typeC);
    unsigned countD = accumulatorRegisters(shape, job.typeD);
    std::string factor = letter(job.typeA);
    std::string step = stride(a, true);
    text += memory("load.a", job.layoutA, job.typeA, false) +
            list(factor, 0, countA) + ", " + base[0] + step;
    step = stride(b, false);
    text += memory("load.b", job.layoutB, job.typeB, false) +
            list(factor, 8, countB) + ", " + base[1] + step;
    step = stride(c, true);
    text += memory("load.c", job.layoutC, job.typeC, false) +
            list(letter(job.typeC), 20, countC) + ", " + base[2] + step;
    text += opcode(job) + " " + list(letter(job.typeD), 30, countD) + ", " +
            list(factor, 0, countA) + ", " + list(factor, 8, countB) + ", " +
            list(letter(job.typeC), 20, countC) + ";\n";
    step = stride(d, false);
    text += memory("store.d", job.layoutD, job.typeD, true) + base[3] + ", " +
            list(letter(job.typeD), 30, countD) + step;
    return text + "ret;\n}\n";
  }

  void check(const Job &job, Values values) {
    SCOPED_TRACE(opcode(job) + " C " + job.layoutC + " D " + job.layoutD + " " +
                 job.space + (job.isDense ? " dense" : ""));
    const Shape &shape = job.shape;
    Matrix a(job.typeA, shape.m, shape.k), b(job.typeB, shape.k, shape.n),
        c(job.typeC, shape.m, shape.n), d(job.typeD, shape.m, shape.n);
    for (Matrix *matrix : {&a, &b, &c})
      matrix->fill(values, engine);
    Image images[4] = {imageOf(a, job.layoutA, job.isDense),
                       imageOf(b, job.layoutB, job.isDense),
                       imageOf(c, job.layoutC, job.isDense),
                       imageOf(d, job.layoutD, job.isDense)};
    uint64_t address[4];
    for (unsigned i = 0; i < 4; ++i) {
      std::vector<uint8_t> memory = images[i].bytes;
      if (job.space == ".shared")
        memory.resize(4096);
      address[i] = upload(memory);
    }
    auto result =
        run(kernel(job, images[0], images[1], images[2], images[3]), {1}, {32},
            arguments(address[0], address[1], address[2], address[3]));
    ASSERT_RAN(result);
    last = result.counters();
    EXPECT_EQ(last.tensorFlops, 2u * shape.m * shape.n * shape.k);
    EXPECT_EQ(last.usefulTensorFlops, usefulFlops(a, b));
    EXPECT_EQ(last.warpByClass[size_t(InstClass::Matrix)], 1u);
    for (unsigned m = 0; m < shape.m; ++m)
      for (unsigned n = 0; n < shape.n; ++n)
        d.at(m, n) = element(a, b, c, m, n, job);
    Image want = imageOf(d, job.layoutD, job.isDense);
    auto got = download<uint8_t>(address[3], want.bytes.size());
    for (size_t i = 0; i < got.size(); ++i)
      ASSERT_EQ(got[i], want.bytes[i]) << "byte " << i;
  }

  static uint64_t element(Matrix &a, Matrix &b, Matrix &c, unsigned m,
                          unsigned n, const Job &job) {
    if (job.typeC == job.typeD)
      return referenceElement(a, b, c, m, n, job.saturates, job.operation);
    // f16 to f32 or back: C as f32 with one element, then D's rounding.
    Matrix wide("f32", c.rows, c.columns);
    wide.at(m, n) = std::bit_cast<uint32_t>(float(c.value(m, n)));
    uint64_t bits = referenceElement(a, b, wide, m, n, false, "");
    if (job.typeD == "f32")
      return bits;
    float value = std::bit_cast<float>(uint32_t(bits));
    return std::isnan(value) ? 0x7fff
                             : std::bit_cast<uint16_t>(_Float16(value));
  }

  /// All layouts, with padding; the default stride; the other spaces.
  void checkAll(Job job, bool anyLayout = true) {
    for (const char *layoutA : {"row", "col"})
      for (const char *layoutB : {"row", "col"}) {
        if (!anyLayout &&
            (layoutA != std::string("row") || layoutB != std::string("col")))
          continue;
        job.layoutA = layoutA;
        job.layoutB = layoutB;
        job.layoutC = layoutA;
        job.layoutD = layoutB;
        for (bool isDense : {false, true}) {
          job.isDense = isDense;
          for (const char *space : {".global", ".shared", ""}) {
            job.space = space;
            check(job, Values::Random);
          }
        }
      }
    job.space = ".global";
    job.isDense = false;
    for (Values values : {Values::Small, Values::Sparse, Values::Edge})
      check(job, values);
  }
};

// Guards f16 with every pair of types of C and D.
TEST_F(WmmaTest, Half) {
  for (const Shape &shape : shapes16)
    for (const char *typeC : {"f32", "f16"})
      for (const char *typeD : {"f32", "f16"})
        checkAll({shape, "f16", "f16", typeC, typeD});
}

TEST_F(WmmaTest, OtherFloats) {
  for (const Shape &shape : shapes16)
    checkAll({shape, "bf16", "bf16", "f32", "f32"});
  checkAll({{"m16n16k8", 16, 16, 8}, "tf32", "tf32", "f32", "f32"});
}

TEST_F(WmmaTest, Double) {
  Job job{{"m8n8k4", 8, 8, 4}, "f64", "f64", "f64", "f64"};
  checkAll(job);
  job.rounding = "rn";
  check(job, Values::Random);
}

// Guards the directed roundings of f64: one product and one sum an element,
// inexact by a known sign.
TEST_F(WmmaTest, DoubleRoundings) {
  Job job{{"m8n8k4", 8, 8, 4}, "f64", "f64", "f64", "f64"};
  struct Case {
    const char *rounding;
    double positive, negative;
  };
  // 1 + 2^-80 and -1 - 2^-80.
  for (Case c : {Case{"rz", 1, -1}, Case{"rm", 1, -1 - 0x1p-52},
                 Case{"rp", 1 + 0x1p-52, -1}, Case{"rn", 1, -1}}) {
    job.rounding = c.rounding;
    Matrix a("f64", 8, 4), b("f64", 4, 8), sum("f64", 8, 8);
    for (unsigned i = 0; i < 8; ++i) {
      a.at(i, 1) = std::bit_cast<uint64_t>(i % 2 ? -0x1p-40 : 0x1p-40);
      b.at(1, i) = std::bit_cast<uint64_t>(0x1p-40);
      for (unsigned n = 0; n < 8; ++n)
        sum.at(i, n) = std::bit_cast<uint64_t>(i % 2 ? -1.0 : 1.0);
    }
    Image images[3] = {imageOf(a, "row", false), imageOf(b, "col", false),
                       imageOf(sum, "row", false)};
    uint64_t address[3];
    for (unsigned i = 0; i < 3; ++i)
      address[i] = upload(images[i].bytes);
    auto result =
        run(kernel(job, images[0], images[1], images[2], images[2]), {1}, {32},
            arguments(address[0], address[1], address[2], address[2]));
    ASSERT_RAN(result);
    EXPECT_EQ(result.counters().usefulTensorFlops, 128u);
    auto got = download<double>(address[2], 8 * images[2].stride);
    for (unsigned m = 0; m < 8; ++m)
      for (unsigned n = 0; n < 8; ++n)
        EXPECT_EQ(got[m * images[2].stride + n],
                  m % 2 ? c.negative : c.positive)
            << c.rounding;
  }
}

// Guards integers of all widths, wrapped and clamped.
TEST_F(WmmaTest, Integers) {
  for (bool saturates : {false, true}) {
    for (const Shape &shape : shapes16)
      for (const char *type : {"s8", "u8"}) {
        Job job{shape, type, type, "s32", "s32"};
        job.saturates = saturates;
        checkAll(job);
      }
    for (const char *type : {"s4", "u4"}) {
      Job job{{"m8n8k32", 8, 8, 32}, type, type, "s32", "s32"};
      job.saturates = saturates;
      checkAll(job, false);
    }
  }
  for (const char *operation : {"xor", "and"}) {
    Job job{{"m8n8k128", 8, 8, 128}, "b1", "b1", "s32", "s32"};
    job.operation = operation;
    checkAll(job, false);
  }
}

// Guards traffic: A of 16 rows of 32 bytes, B likewise, C and D with 64 bytes.
TEST_F(WmmaTest, Traffic) {
  Job job{shapes16[0], "f16", "f16", "f32", "f32"};
  job.isDense = true;
  check(job, Values::Random);
  EXPECT_EQ(last.globalLoadBytes, 512u + 512 + 1024);
  EXPECT_EQ(last.globalLoadSectors, 16u + 16 + 32);
  EXPECT_EQ(last.globalLoadRequests, 1u + 1 + 2);
  EXPECT_EQ(last.globalStoreBytes, 1024u);
  EXPECT_EQ(last.globalStoreSectors, 32u);
}

} // namespace
