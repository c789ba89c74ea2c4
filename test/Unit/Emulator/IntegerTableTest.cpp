//===- IntegerTableTest.cpp - Integer instructions of all types -*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A row for each instruction: what it does to numbers without bounds. Every
// type of the row runs on ends of ranges and random operands.
//
//===----------------------------------------------------------------------===//

#include "OpcodeHarness.h"

#include <functional>

using namespace ropewalk::emulator;

namespace {

using Wide = __int128;
using UWide = unsigned __int128;

struct Type {
  const char *name;
  int bits;
  bool isSigned;

  uint64_t mask() const { return bits == 64 ? ~0ull : (1ull << bits) - 1; }
  Wide read(uint64_t value) const {
    value &= mask();
    bool isNegative = isSigned && value >> (bits - 1);
    return Wide(value) - (isNegative ? Wide(1) << bits : 0);
  }
  char letter() const { return bits == 16 ? 'h' : bits == 32 ? 'r' : 'd'; }
};
const Type U16{"u16", 16, false}, S16{"s16", 16, true}, U32{"u32", 32, false},
    S32{"s32", 32, true}, U64{"u64", 64, false}, S64{"s64", 64, true},
    B16{"b16", 16, false}, B32{"b32", 32, false}, B64{"b64", 64, false};
const std::vector<Type> all = {U16, S16, U32, S32, U64, S64};

struct IntegerTableTest : OpcodeTest {
  std::mt19937_64 random{17};

  uint64_t operand(int bits) {
    uint64_t one = 1;
    switch (random() % 8) {
    case 0:
      return random() % 3;
    case 1:
      return ~(random() % 3);
    case 2:
      return one << (bits - 1); // The least signed number.
    case 3:
      return (one << (bits - 1)) - 1;
    case 4:
      return one << random() % bits;
    default:
      return random() >> random() % 64;
    }
  }

  /// Runs `code` with "$0" to "$3" as registers of `type` and "#1" to "#3" as
  /// 32-bit ones; the result has `resultBits`.
  template <class F>
  void table(std::string code, const Type &type, int resultBits, F expected) {
    Type result{"", resultBits, false};
    std::string text;
    for (size_t i = 0; i < code.size(); ++i) {
      char next = i + 1 < code.size() ? code[i + 1] : '\0';
      if (code[i] == '$')
        text +=
            std::string("%") + (next == '0' ? result.letter() : type.letter());
      else if (code[i] == '#')
        text += "%r";
      else
        text += code[i];
    }
    std::vector<Row> rows;
    for (int i = 0; i < 200; ++i) {
      uint64_t a = operand(type.bits), b = operand(type.bits),
               c = operand(type.bits);
      rows.push_back({a, b, c, uint64_t(expected(a, b, c)) & result.mask()});
    }
    check(text, result.letter(), rows);
  }
};

using Function = std::function<Wide(Wide, Wide, Wide, const Type &)>;

Wide high(Wide product, const Type &type) { return product >> type.bits; }
Wide difference(Wide a, Wide b) { return a > b ? a - b : b - a; }
/// PTX leaves division by zero open; the hardware gives all ones.
Wide quotient(Wide a, Wide b) { return b == 0 ? -1 : a / b; }

// Guards arithmetic on all six types.
TEST_F(IntegerTableTest, Arithmetic) {
  const struct {
    const char *opcode;
    int sources;
    Function apply;
  } rows[] = {
      {"add", 2, [](Wide a, Wide b, Wide, auto &) { return a + b; }},
      {"sub", 2, [](Wide a, Wide b, Wide, auto &) { return a - b; }},
      {"mul.lo", 2,
       [](Wide a, Wide b, Wide, auto &) { return Wide(UWide(a) * UWide(b)); }},
      {"mad.lo", 3,
       [](Wide a, Wide b, Wide c, auto &) {
         return Wide(UWide(a) * UWide(b) + UWide(c));
       }},
      {"div", 2, [](Wide a, Wide b, Wide, auto &) { return quotient(a, b); }},
      {"rem", 2,
       [](Wide a, Wide b, Wide, auto &) { return b == 0 ? a : a % b; }},
      {"min", 2, [](Wide a, Wide b, Wide, auto &) { return a < b ? a : b; }},
      {"max", 2, [](Wide a, Wide b, Wide, auto &) { return a > b ? a : b; }},
      {"sad", 3,
       [](Wide a, Wide b, Wide c, auto &) { return c + difference(a, b); }},
  };
  for (auto &row : rows)
    for (const Type &type : all)
      table(std::string(row.opcode) + "." + type.name + " $0, $1, $2" +
                (row.sources == 3 ? ", $3;" : ";"),
            type, type.bits, [&](uint64_t a, uint64_t b, uint64_t c) {
              return row.apply(type.read(a), type.read(b), type.read(c), type);
            });
  for (const Type &type : {S16, S32, S64}) {
    table(std::string("neg.") + type.name + " $0, $1;", type, type.bits,
          [&](uint64_t a, uint64_t, uint64_t) { return -type.read(a); });
    table(std::string("abs.") + type.name + " $0, $1;", type, type.bits,
          [&](uint64_t a, uint64_t, uint64_t) {
            return difference(type.read(a), 0);
          });
  }
}

// Guards the upper halves and full widths of products.
TEST_F(IntegerTableTest, Products) {
  for (const Type &type : all) {
    auto product = [&](uint64_t a, uint64_t b) {
      // 64 x 64 bits fill an unsigned number of 128.
      return type.isSigned ? type.read(a) * type.read(b)
                           : Wide(UWide(type.read(a)) * UWide(type.read(b)));
    };
    auto upper = [&](uint64_t a, uint64_t b) {
      return type.isSigned ? high(product(a, b), type)
                           : Wide(UWide(product(a, b)) >> type.bits);
    };
    std::string name = std::string(".") + type.name;
    table("mul.hi" + name + " $0, $1, $2;", type, type.bits,
          [&](uint64_t a, uint64_t b, uint64_t) { return upper(a, b); });
    table("mad.hi" + name + " $0, $1, $2, $3;", type, type.bits,
          [&](uint64_t a, uint64_t b, uint64_t c) {
            return upper(a, b) + type.read(c);
          });
    if (type.bits == 64)
      continue;
    table("mul.wide" + name + " $0, $1, $2;", type, 2 * type.bits,
          [&](uint64_t a, uint64_t b, uint64_t) { return product(a, b); });
    Type wide{"", 2 * type.bits, type.isSigned};
    std::string third = std::string("%") + wide.letter() + "3;";
    table("mad.wide" + name + " $0, $1, $2, " + third, type, 2 * type.bits,
          [&](uint64_t a, uint64_t b, uint64_t c) {
            return product(a, b) + wide.read(c);
          });
  }
}

// Guards logic and shifts by any count.
TEST_F(IntegerTableTest, LogicAndShifts) {
  for (const Type &type : {B16, B32, B64}) {
    std::string name = std::string(".") + type.name;
    table("and" + name + " $0, $1, $2;", type, type.bits,
          [](uint64_t a, uint64_t b, uint64_t) { return a & b; });
    table("or" + name + " $0, $1, $2;", type, type.bits,
          [](uint64_t a, uint64_t b, uint64_t) { return a | b; });
    table("xor" + name + " $0, $1, $2;", type, type.bits,
          [](uint64_t a, uint64_t b, uint64_t) { return a ^ b; });
    table("not" + name + " $0, $1;", type, type.bits,
          [](uint64_t a, uint64_t, uint64_t) { return ~a; });
    table("cnot" + name + " $0, $1;", type, type.bits,
          [&](uint64_t a, uint64_t, uint64_t) { return !(a & type.mask()); });
    table("shl" + name + " $0, $1, #2;", type, type.bits,
          [&](uint64_t a, uint64_t b, uint64_t) {
            uint32_t count = uint32_t(b);
            return count >= 64 ? 0 : (a & type.mask()) << count;
          });
  }
  for (const Type &type : all)
    table(std::string("shr.") + type.name + " $0, $1, #2;", type, type.bits,
          [&](uint64_t a, uint64_t b, uint64_t) {
            return type.read(a) >> std::min<uint32_t>(uint32_t(b), 100);
          });
  for (int mode = 0; mode < 4; ++mode) {
    bool isLeft = mode & 1, wraps = mode & 2;
    table(std::string("shf.") + (isLeft ? "l" : "r") +
              (wraps ? ".wrap" : ".clamp") + ".b32 $0, $1, $2, $3;",
          B32, 32, [&](uint64_t a, uint64_t b, uint64_t c) {
            UWide pair = UWide(uint32_t(b)) << 32 | uint32_t(a);
            uint32_t count =
                wraps ? uint32_t(c) & 31 : std::min<uint32_t>(uint32_t(c), 32);
            return uint32_t(isLeft ? (pair << count) >> 32 : pair >> count);
          });
  }
}

// Guards every truth table of three bits.
TEST_F(IntegerTableTest, TruthTables) {
  for (uint32_t table256 = 0; table256 < 256; table256 += 3)
    table("lop3.b32 $0, $1, $2, $3, " + std::to_string(table256) + ";", B32, 32,
          [&](uint64_t a, uint64_t b, uint64_t c) {
            uint32_t result = 0;
            for (int bit = 0; bit < 32; ++bit) {
              uint32_t index = uint32_t((a >> bit & 1) << 2 |
                                        (b >> bit & 1) << 1 | (c >> bit & 1));
              result |= (table256 >> index & 1) << bit;
            }
            return result;
          });
}

// Guards bit fields, also those that reach past the end, and counts of bits.
TEST_F(IntegerTableTest, BitFields) {
  for (const Type &type : {U32, S32, U64, S64}) {
    std::string name = std::string(".") + type.name;
    int msb = type.bits - 1;
    table("and.b32 %r2, %r2, 127; and.b32 %r3, %r3, 127; bfe" + name +
              " $0, $1, #2, #3;",
          type, type.bits, [&](uint64_t a, uint64_t b, uint64_t c) {
            int at = int(b & 127), length = int(c & 127);
            bool sign = type.isSigned && length &&
                        a >> std::min(at + length - 1, msb) & 1;
            uint64_t result = 0;
            for (int i = 0; i <= msb; ++i) {
              bool inside = i < length && at + i <= msb;
              result |= uint64_t(inside ? a >> (at + i) & 1 : sign) << i;
            }
            return result;
          });
    for (bool isAmount : {false, true})
      table(std::string("bfind") + (isAmount ? ".shiftamt" : "") + name +
                " $0, $1;",
            type, 32, [&](uint64_t a, uint64_t, uint64_t) {
              bool sign = type.isSigned && a >> msb & 1;
              for (int i = msb; i >= 0; --i)
                if ((a >> i & 1) != sign)
                  return uint32_t(isAmount ? msb - i : i);
              return ~uint32_t(0);
            });
  }
  for (const Type &type : {B32, B64}) {
    std::string name = std::string(".") + type.name;
    int bits = type.bits;
    table("mov.b32 %r4, %r3; shr.b32 %r4, %r4, 8; and.b32 %r4, %r4, 127; "
          "and.b32 %r3, %r3, 127; bfi" +
              name + " $0, $1, $2, #3, #4;",
          type, bits, [&](uint64_t a, uint64_t b, uint64_t c) {
            int at = int(c & 127), length = int(c >> 8 & 127);
            for (int i = 0; i < length && at + i < bits; ++i)
              b = (b & ~(1ull << (at + i))) | (a >> i & 1) << (at + i);
            return b;
          });
    table("popc" + name + " $0, $1;", type, 32,
          [&](uint64_t a, uint64_t, uint64_t) {
            int count = 0;
            for (int i = 0; i < bits; ++i)
              count += a >> i & 1;
            return count;
          });
    table("clz" + name + " $0, $1;", type, 32,
          [&](uint64_t a, uint64_t, uint64_t) {
            int count = 0;
            while (count < bits && !(a >> (bits - 1 - count) & 1))
              ++count;
            return count;
          });
    table("brev" + name + " $0, $1;", type, bits,
          [&](uint64_t a, uint64_t, uint64_t) {
            uint64_t result = 0;
            for (int i = 0; i < bits; ++i)
              result |= (a >> i & 1) << (bits - 1 - i);
            return result;
          });
  }
}

// Guards the choice of bytes in all modes.
TEST_F(IntegerTableTest, Permutations) {
  auto bytes = [](uint64_t a, uint64_t b, std::vector<int> from) {
    uint32_t result = 0;
    for (int i = 0; i < 4; ++i) {
      uint64_t word = from[i] & 4 ? b : a;
      uint32_t byte = uint32_t(word >> (from[i] & 3) * 8) & 255;
      if (from[i] & 8)
        byte = byte & 128 ? 255 : 0;
      result |= byte << (i * 8);
    }
    return result;
  };
  table("prmt.b32 $0, $1, $2, $3;", B32, 32,
        [&](uint64_t a, uint64_t b, uint64_t c) {
          return bytes(a, b,
                       {int(c & 15), int(c >> 4 & 15), int(c >> 8 & 15),
                        int(c >> 12 & 15)});
        });
  // The tables of the PTX documentation, from byte 0 up, by the low two bits.
  const struct {
    const char *name;
    int from[4][4];
  } modes[] = {
      {"f4e", {{0, 1, 2, 3}, {1, 2, 3, 4}, {2, 3, 4, 5}, {3, 4, 5, 6}}},
      {"b4e", {{0, 7, 6, 5}, {1, 0, 7, 6}, {2, 1, 0, 7}, {3, 2, 1, 0}}},
      {"rc8", {{0, 0, 0, 0}, {1, 1, 1, 1}, {2, 2, 2, 2}, {3, 3, 3, 3}}},
      {"ecl", {{0, 1, 2, 3}, {1, 1, 2, 3}, {2, 2, 2, 3}, {3, 3, 3, 3}}},
      {"ecr", {{0, 0, 0, 0}, {0, 1, 1, 1}, {0, 1, 2, 2}, {0, 1, 2, 3}}},
      {"rc16", {{0, 1, 0, 1}, {2, 3, 2, 3}, {0, 1, 0, 1}, {2, 3, 2, 3}}}};
  for (auto &mode : modes)
    table(std::string("prmt.b32.") + mode.name + " $0, $1, $2, $3;", B32, 32,
          [&](uint64_t a, uint64_t b, uint64_t c) {
            const int *from = mode.from[c & 3];
            return bytes(a, b, {from[0], from[1], from[2], from[3]});
          });
}

// Guards all comparisons of all types, as predicates and as words.
TEST_F(IntegerTableTest, Comparisons) {
  const struct {
    const char *name;
    bool (*apply)(Wide, Wide);
    bool onlyUnsigned;
  } rows[] = {{"eq", [](Wide a, Wide b) { return a == b; }, false},
              {"ne", [](Wide a, Wide b) { return a != b; }, false},
              {"lt", [](Wide a, Wide b) { return a < b; }, false},
              {"le", [](Wide a, Wide b) { return a <= b; }, false},
              {"gt", [](Wide a, Wide b) { return a > b; }, false},
              {"ge", [](Wide a, Wide b) { return a >= b; }, false},
              {"lo", [](Wide a, Wide b) { return a < b; }, true},
              {"ls", [](Wide a, Wide b) { return a <= b; }, true},
              {"hi", [](Wide a, Wide b) { return a > b; }, true},
              {"hs", [](Wide a, Wide b) { return a >= b; }, true}};
  for (auto &row : rows)
    for (const Type &type : all) {
      if (row.onlyUnsigned && type.isSigned)
        continue;
      std::string tail = std::string(".") + type.name;
      auto holds = [&](uint64_t a, uint64_t b) {
        return row.apply(type.read(a), type.read(b));
      };
      table("set." + std::string(row.name) + ".u32" + tail + " $0, $1, $2;",
            type, 32, [&](uint64_t a, uint64_t b, uint64_t) {
              return holds(a, b) ? ~uint32_t(0) : 0;
            });
      table("setp." + std::string(row.name) + ".xor" + tail +
                " %p1|%p2, $1, $2, !%p3; selp.u32 %r4, 1, 0, %p1; selp.u32 "
                "%r5, 2, 0, %p2; add.u32 %r0, %r4, %r5; mov.u32 $0, %r0;",
            type, 32, [&](uint64_t a, uint64_t b, uint64_t c) {
              bool third = c == 0;
              return (holds(a, b) != third) | (!holds(a, b) != third) << 1;
            });
    }
}

} // namespace
