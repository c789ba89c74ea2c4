//===- VideoTest.cpp - Integers in parts of registers -----------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Each operation with every combination of signs on random operands, against
// the PTX documentation's pseudo code in plain integers.
//
//===----------------------------------------------------------------------===//

#include "OpcodeHarness.h"

#include <functional>

using namespace ropewalk::emulator;

namespace {

using Wide = __int128;

Wide cut(uint64_t word, int at, int bits, bool isSigned) {
  Wide value = Wide(word >> at) & ((Wide(1) << bits) - 1);
  return isSigned && value >> (bits - 1) ? value - (Wide(1) << bits) : value;
}
Wide clampTo(Wide value, int bits, bool isSigned) {
  Wide most = (Wide(1) << (isSigned ? bits - 1 : bits)) - 1;
  Wide least = isSigned ? -most - 1 : 0;
  return value > most ? most : value < least ? least : value;
}
Wide average(Wide a, Wide b) {
  return a + b >= 0 ? (a + b + 1) >> 1 : (a + b) >> 1;
}

using Operation = std::function<Wide(Wide, Wide)>;
const struct {
  const char *name;
  Operation apply;
} operations[] = {
    {"vadd", [](Wide a, Wide b) { return a + b; }},
    {"vsub", [](Wide a, Wide b) { return a - b; }},
    {"vabsdiff", [](Wide a, Wide b) { return a > b ? a - b : b - a; }},
    {"vmin", [](Wide a, Wide b) { return a < b ? a : b; }},
    {"vmax", [](Wide a, Wide b) { return a > b ? a : b; }},
    {"vavrg", average}};
const struct {
  const char *name;
  bool (*apply)(Wide, Wide);
} comparisons[] = {{"eq", [](Wide a, Wide b) { return a == b; }},
                   {"ne", [](Wide a, Wide b) { return a != b; }},
                   {"lt", [](Wide a, Wide b) { return a < b; }},
                   {"le", [](Wide a, Wide b) { return a <= b; }},
                   {"gt", [](Wide a, Wide b) { return a > b; }},
                   {"ge", [](Wide a, Wide b) { return a >= b; }}};

const char *sign(bool isSigned) { return isSigned ? ".s32" : ".u32"; }

struct VideoTest : OpcodeTest {
  std::mt19937 random{11};

  template <class F> void compare(const std::string &code, F expected) {
    std::vector<Row> rows;
    for (int i = 0; i < 100; ++i) {
      uint32_t v[3];
      for (uint32_t &value : v) {
        value = uint32_t(random());
        if (random() % 4 == 0)
          value = random() % 2 ? value >> random() % 32 : 0x80ff7f00;
      }
      rows.push_back({v[0], v[1], v[2], uint32_t(expected(v[0], v[1], v[2]))});
    }
    check(code, 'r', rows);
  }
  /// The eight combinations of three signs.
  template <class F> void forSigns(F function) {
    for (int i = 0; i < 8; ++i)
      function(i & 4, i & 2, i & 1);
  }
};

// Guards parts of sources, saturation to the result's part, and merging.
TEST_F(VideoTest, ScalarParts) {
  for (auto &operation : operations) {
    if (operation.name == std::string("vavrg"))
      continue;
    forSigns([&](bool d, bool x, bool y) {
      std::string head =
          operation.name + std::string(sign(d)) + sign(x) + sign(y);
      compare(head + " %r0, %r1, %r2;", [&](uint32_t a, uint32_t b, uint32_t) {
        return operation.apply(cut(a, 0, 32, x), cut(b, 0, 32, y));
      });
      compare(head + ".sat %r0, %r1.h1, %r2.b2;", [&](uint32_t a, uint32_t b,
                                                      uint32_t) {
        return clampTo(operation.apply(cut(a, 16, 16, x), cut(b, 16, 8, y)), 32,
                       d);
      });
      compare("mov.b32 %r0, 0; " + head + ".sat %r0.b1, %r1, %r2.h0, %r3;",
              [&](uint32_t a, uint32_t b, uint32_t c) {
                Wide r = clampTo(
                    operation.apply(cut(a, 0, 32, x), cut(b, 0, 16, y)), 8, d);
                return (uint32_t(r) & 255) << 8 | (c & 0xffff00ff);
              });
      compare("mov.b32 %r0, 0; " + head + " %r0.h1, %r1.b3, %r2, %r3;",
              [&](uint32_t a, uint32_t b, uint32_t c) {
                Wide r = operation.apply(cut(a, 24, 8, x), cut(b, 0, 32, y));
                return uint32_t(r) << 16 | (c & 0xffff);
              });
    });
  }
}

// Guards the second operation, which takes the sign of the result.
TEST_F(VideoTest, SecondOperation) {
  for (bool d : {false, true}) {
    std::string head = std::string("vsub") + sign(d) + ".u32.s32";
    auto first = [](uint32_t a, uint32_t b) {
      return cut(a, 0, 32, false) - cut(b, 8, 8, true);
    };
    compare(head + ".sat.add %r0, %r1, %r2.b1, %r3;",
            [&](uint32_t a, uint32_t b, uint32_t c) {
              return clampTo(first(a, b), 32, d) + cut(c, 0, 32, d);
            });
    compare(head + ".min %r0, %r1, %r2.b1, %r3;",
            [&](uint32_t a, uint32_t b, uint32_t c) {
              return std::min(first(a, b), cut(c, 0, 32, d));
            });
    compare(head + ".max %r0, %r1, %r2.b1, %r3;",
            [&](uint32_t a, uint32_t b, uint32_t c) {
              return std::max(first(a, b), cut(c, 0, 32, d));
            });
  }
}

// Guards shift counts beyond the width, in both modes.
TEST_F(VideoTest, Shifts) {
  forSigns([&](bool d, bool x, bool wraps) {
    std::string mode = wraps ? ".wrap" : ".clamp";
    auto count = [&](uint32_t b) {
      return wraps ? int(b & 31) : int(std::min(b, 32u));
    };
    std::string types = std::string(sign(d)) + sign(x) + ".u32";
    compare("vshl" + types + mode + " %r0, %r1, %r2.b0;",
            [&](uint32_t a, uint32_t b, uint32_t) {
              return cut(a, 0, 32, x) * (Wide(1) << count(b & 255));
            });
    compare("vshl" + types + ".sat" + mode + " %r0, %r1.h0, %r2.b3;",
            [&](uint32_t a, uint32_t b, uint32_t) {
              return clampTo(cut(a, 0, 16, x) * (Wide(1) << count(b >> 24)), 32,
                             d);
            });
    compare("vshr" + types + mode + ".add %r0, %r1, %r2, %r3;",
            [&](uint32_t a, uint32_t b, uint32_t c) {
              return (cut(a, 0, 32, x) >> count(b)) + c;
            });
  });
}

// Guards comparisons and what is done with their 0 and 1.
TEST_F(VideoTest, Comparisons) {
  for (auto &entry : comparisons)
    forSigns([&](bool, bool x, bool y) {
      std::string head =
          std::string("vset") + sign(x) + sign(y) + "." + entry.name;
      auto first = [&](uint32_t a, uint32_t b) {
        return entry.apply(cut(a, 0, 16, x), cut(b, 16, 16, y));
      };
      compare(head + " %r0, %r1.h0, %r2.h1;",
              [&](uint32_t a, uint32_t b, uint32_t) { return first(a, b); });
      compare(
          head + ".add %r0, %r1.h0, %r2.h1, %r3;",
          [&](uint32_t a, uint32_t b, uint32_t c) { return first(a, b) + c; });
    });
}

// Guards products with signs, the plus one, scaling and saturation.
TEST_F(VideoTest, MultiplyAdd) {
  forSigns([&](bool, bool x, bool y) {
    std::string types = std::string(".s32") + sign(x) + sign(y);
    for (int scale : {0, 7, 15}) {
      std::string suffix = scale ? ".shr" + std::to_string(scale) : "";
      for (int form = 0; form < 4; ++form) {
        // Plain, product negated, sum negated, plus one.
        bool isSigned = x || y || form == 1 || form == 2;
        auto value = [&](uint32_t a, uint32_t b, uint32_t c) {
          Wide product = cut(a, 16, 16, x) * cut(b, 0, 32, y);
          Wide sum = cut(c, 0, 32, isSigned);
          return ((form == 1 ? -product : product) + (form == 2 ? -sum : sum) +
                  (form == 3)) >>
                 scale;
        };
        std::string registers = std::string(" %r0, ") + (form == 1 ? "-" : "") +
                                "%r1.h1, %r2, " + (form == 2 ? "-" : "") +
                                "%r3;";
        std::string po = form == 3 ? ".po" : "";
        compare("vmad" + types + po + suffix + registers, value);
        compare("vmad" + types + po + ".sat" + suffix + registers,
                [&](uint32_t a, uint32_t b, uint32_t c) {
                  return clampTo(value(a, b, c), 32, isSigned);
                });
      }
    }
  });
}

// Guards two halves and four bytes at once, their selection and mask.
TEST_F(VideoTest, Parallel) {
  for (int parts : {2, 4}) {
    int bits = 32 / parts;
    std::string selectFirst = parts == 2 ? ".h31" : ".b7250";
    std::string selectSecond = parts == 2 ? ".h02" : ".b0016";
    std::vector<int> first =
        parts == 2 ? std::vector{1, 3} : std::vector{0, 5, 2, 7};
    std::vector<int> second =
        parts == 2 ? std::vector{2, 0} : std::vector{6, 1, 0, 0};
    std::string mask = parts == 2 ? ".h1" : ".b31";
    int maskBits = parts == 2 ? 2 : 10;
    auto combine = [&](uint32_t a, uint32_t b, uint32_t c, bool isDefault,
                       bool adds, bool x, bool y, auto apply) {
      uint64_t pair = uint64_t(b) << 32 | a;
      uint32_t result = adds ? c : 0;
      for (int i = 0; i < parts; ++i) {
        int p = isDefault ? i : first[i], q = isDefault ? parts + i : second[i];
        Wide t =
            apply(cut(pair, p * bits, bits, x), cut(pair, q * bits, bits, y));
        uint32_t field = uint32_t(((uint64_t(1) << bits) - 1) << (i * bits));
        bool writes = isDefault || maskBits >> i & 1;
        if (adds)
          result += writes ? uint32_t(t) : 0;
        else
          result |= writes ? uint32_t(t) << (i * bits) & field : c & field;
      }
      return result;
    };
    std::string number = std::to_string(parts);
    std::string selected = " %r0" + mask + ", %r1" + selectFirst + ", %r2" +
                           selectSecond + ", %r3;";
    for (auto &operation : operations)
      forSigns([&](bool d, bool x, bool y) {
        std::string head =
            operation.name + number + sign(d) + sign(x) + sign(y);
        compare(head + " %r0, %r1, %r2, %r3;",
                [&](uint32_t a, uint32_t b, uint32_t c) {
                  return combine(a, b, c, true, false, x, y, operation.apply);
                });
        compare("mov.b32 %r0, 0; " + head + ".sat" + selected,
                [&](uint32_t a, uint32_t b, uint32_t c) {
                  return combine(
                      a, b, c, false, false, x, y, [&](Wide p, Wide q) {
                        return clampTo(operation.apply(p, q), bits, d);
                      });
                });
        compare("mov.b32 %r0, 0; " + head + ".add" + selected,
                [&](uint32_t a, uint32_t b, uint32_t c) {
                  return combine(a, b, c, false, true, x, y, operation.apply);
                });
      });
    for (auto &entry : comparisons)
      compare("mov.b32 %r0, 0; vset" + number + ".s32.u32." + entry.name +
                  selected,
              [&](uint32_t a, uint32_t b, uint32_t c) {
                return combine(
                    a, b, c, false, false, true, false,
                    [&](Wide p, Wide q) { return Wide(entry.apply(p, q)); });
              });
  }
}

// Guards the forms that do not exist, and that no other instruction takes a
// part of a register.
TEST_F(VideoTest, RefusedForms) {
  auto errorOf = [](const std::string &body) {
    Error error;
    auto module = Module::parse(entryText(body, 1), error);
    return module ? "accepted" : error.message;
  };
  EXPECT_EQ(errorOf("vadd.s32.u32.s32 %r1.b0, %r2, %r3;"),
            "'vadd.s32.u32.s32': expected 4 operands, found 3");
  EXPECT_EQ(errorOf("vadd.s32.u32.s32 %r1, %r2.h2, %r3;"),
            "'vadd.s32.u32.s32': part '.h2' of a register");
  EXPECT_EQ(errorOf("vadd.s32.u32.s32 %r1, -%r2, %r3;"),
            "'vadd.s32.u32.s32': sign before a register");
  EXPECT_EQ(errorOf("vadd.s32.u32.s32.add %r1.b0, %r2, %r3, %r4;"),
            "'vadd.s32.u32.s32.add': part of a register with a second "
            "operation");
  EXPECT_EQ(errorOf("vadd4.s32.u32.s32.sat.add %r1, %r2, %r3, %r4;"),
            "'vadd4.s32.u32.s32.sat.add': '.sat' and '.add' exclude each "
            "other");
  EXPECT_EQ(errorOf("vadd4.s32.u32.s32 %r1, %r2.b321, %r3, %r4;"),
            "'vadd4.s32.u32.s32': parts '.b321' of a register");
  EXPECT_EQ(errorOf("vmad.s32.u32.s32.po %r1, -%r2, %r3, %r4;"),
            "'vmad.s32.u32.s32.po': signs of the operands exclude each other");
  EXPECT_EQ(errorOf("add.u32 %r1, %r2.b0, %r3;"),
            "'add.u32': unexpected form of a register");
  EXPECT_EQ(errorOf("add.u32 %r1.b0, %r2, %r3;"),
            "'add.u32': expected a destination register");
  EXPECT_EQ(errorOf("add.u32 %r1, %r2, -%r3;"),
            "'add.u32': unexpected form of a register");
}

} // namespace
