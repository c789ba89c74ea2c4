//===- ConvertTest.cpp - Conversions of every pair of types -----*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Every pair of types in every rounding mode on edge values and random ones,
// against exact arithmetic; formats of 8 bits against a search through all of
// their values.
//
//===----------------------------------------------------------------------===//

#include "ExactFloat.h"
#include "OpcodeHarness.h"

#include <cmath>

using namespace ropewalk::emulator;
using namespace ropewalk::emulator::exact;

namespace {

struct IntegerType {
  const char *name;
  int bits;
  bool isSigned;

  Wide most() const { return (Wide(1) << (bits - isSigned)) - 1; }
  Wide least() const { return isSigned ? -most() - 1 : 0; }
  Wide read(uint64_t value) const {
    value = bits == 64 ? value : value & ((uint64_t(1) << bits) - 1);
    bool isNegative = isSigned && value >> (bits - 1);
    return Wide(value) - (isNegative ? Wide(1) << bits : 0);
  }
  /// Extended to the 16, 32 or 64 bits of the register that holds it.
  uint64_t write(Wide value) const {
    value = read(uint64_t(value));
    int width = std::max(bits, 16);
    return width == 64 ? uint64_t(value)
                       : uint64_t(value) & ((uint64_t(1) << width) - 1);
  }
};
const IntegerType integers[] = {{"u8", 8, false},   {"s8", 8, true},
                                {"u16", 16, false}, {"s16", 16, true},
                                {"u32", 32, false}, {"s32", 32, true},
                                {"u64", 64, false}, {"s64", 64, true}};

struct FloatType {
  const char *name;
  Format format;
  int bits;
  uint64_t nan;
};
const FloatType floats[] = {{"f16", F16, 16, 0x7fff},
                            {"bf16", BF16, 16, 0x7fff},
                            {"f32", F32, 32, 0x7fffffff},
                            {"f64", F64, 64, 0x7ff8000000000000}};

struct ModeName {
  const char *suffix;
  Mode mode;
};
const ModeName modes[] = {{"n", Mode::Nearest},
                          {"z", Mode::Zero},
                          {"m", Mode::Down},
                          {"p", Mode::Up}};

char letter(int bits) { return bits <= 16 ? 'h' : bits == 32 ? 'r' : 'd'; }

struct ConvertTest : OpcodeTest {
  std::mt19937_64 random{5};

  /// Edge values of an integer of any type, and random ones of all sizes.
  std::vector<uint64_t> integerValues() {
    std::vector<uint64_t> values = {0, 1, 2, ~0ull, ~1ull};
    for (int bit = 3; bit < 64; ++bit)
      for (int64_t delta : {-1, 0, 1})
        values.push_back((uint64_t(1) << bit) + uint64_t(delta));
    for (int i = 0; i < 300; ++i)
      values.push_back(random() >> random() % 64);
    return values;
  }
  std::vector<uint64_t> floatValues(const FloatType &type) {
    Format f = type.format;
    uint64_t one = uint64_t(f.bias()) << f.mantissaBits;
    std::vector<uint64_t> values = {0,
                                    1,
                                    f.infinity(),
                                    f.infinity() - 1,
                                    f.infinity() | 1,
                                    uint64_t(1) << f.mantissaBits,
                                    one,
                                    one + 1,
                                    one - 1};
    // Around the ends of all integer types, and halves.
    for (int bit = 0; bit <= 65; ++bit) {
      uint64_t power = one + (uint64_t(bit) << f.mantissaBits);
      if (power >= f.infinity())
        break;
      uint64_t half = uint64_t(1) << (f.mantissaBits - 1);
      for (uint64_t value : {power - 1, power, power + 1, power | half,
                             power + (half >> std::min(bit, 6))})
        values.push_back(value);
    }
    for (int i = 0; i < 200; ++i) {
      values.push_back(random() & (f.sign() - 1));
      uint64_t field = uint64_t(f.bias() - 3 + int(random() % 20));
      values.push_back(field << f.mantissaBits |
                       (random() & ((uint64_t(1) << f.mantissaBits) - 1)));
    }
    size_t count = values.size();
    for (size_t i = 0; i < count; ++i)
      values.push_back(values[i] | f.sign());
    values.resize(std::min<size_t>(values.size(), 1000));
    return values;
  }

  template <class F>
  void convert(const std::string &modifiers, int toBits, int fromBits,
               const std::vector<uint64_t> &values, F expected) {
    std::vector<Row> rows;
    for (uint64_t value : values)
      rows.push_back({value, 0, 0, expected(value)});
    check("cvt." + modifiers + " %" + letter(toBits) + "0, %" +
              letter(fromBits) + "1;",
          letter(toBits), rows);
  }
};

// Guards truncation, extension and saturation of all pairs of integers.
TEST_F(ConvertTest, Integers) {
  auto values = integerValues();
  for (const IntegerType &to : integers)
    for (const IntegerType &from : integers) {
      std::string types = std::string(to.name) + "." + from.name;
      convert(types, to.bits, from.bits, values,
              [&](uint64_t value) { return to.write(from.read(value)); });
      // PTX has the form where there is something to saturate.
      if (from.least() >= to.least() && from.most() <= to.most())
        continue;
      convert("sat." + types, to.bits, from.bits, values, [&](uint64_t value) {
        return to.write(std::clamp(from.read(value), to.least(), to.most()));
      });
    }
}

// Guards rounding, saturation and NaN of all pairs from a float to an integer.
TEST_F(ConvertTest, FloatsToIntegers) {
  for (const FloatType &from : floats) {
    auto values = floatValues(from);
    for (const IntegerType &to : integers)
      for (const ModeName &mode : modes) {
        auto expected = [&](uint64_t value) -> uint64_t {
          if (from.format.isNaN(value)) {
            bool isZero = from.bits < 64 && to.bits < 64;
            return to.write(isZero ? 0 : Wide(1) << (to.bits - 1));
          }
          bool isNegative = value & from.format.sign();
          Wide result = isNegative ? to.least() : to.most();
          Value exact = decode(value, from.format);
          if (!from.format.isInfinite(value) && exact.exponent < 64) {
            UWide size = UWide(isNegative ? -exact.digits : exact.digits);
            size = roundShift(size, -exact.exponent, isNegative, mode.mode);
            result = isNegative ? -Wide(size) : Wide(size);
            result = std::clamp(result, to.least(), to.most());
          }
          return to.write(result);
        };
        convert(std::string("r") + mode.suffix + "i." + to.name + "." +
                    from.name,
                to.bits, from.bits, values, expected);
      }
  }
}

// Guards the single rounding of integers to all floats.
TEST_F(ConvertTest, IntegersToFloats) {
  auto values = integerValues();
  for (const IntegerType &from : integers)
    for (const FloatType &to : floats)
      for (const ModeName &mode : modes)
        convert(std::string("r") + mode.suffix + "." + to.name + "." +
                    from.name,
                to.bits, from.bits, values, [&](uint64_t value) {
                  return encode({from.read(value), 0}, to.format, mode.mode);
                });
}

uint64_t expectFloat(uint64_t value, const FloatType &from, const FloatType &to,
                     Mode mode) {
  uint64_t sign = value & from.format.sign() ? to.format.sign() : 0;
  if (from.format.isNaN(value))
    return to.nan;
  if (from.format.isInfinite(value))
    return sign | to.format.infinity();
  return encode(decode(value, from.format), to.format, mode, sign);
}

// Guards all pairs of floats: exact ones, and roundings of the others.
TEST_F(ConvertTest, FloatsToFloats) {
  for (const FloatType &from : floats) {
    auto values = floatValues(from);
    // NaN in f64 keeps its digits, which PTX leaves open.
    std::erase_if(values, [&](uint64_t v) { return from.format.isNaN(v); });
    values.push_back(from.nan);
    for (const FloatType &to : floats) {
      if (&to == &from)
        continue;
      std::string types = std::string(".") + to.name + "." + from.name;
      bool isExact = to.bits > from.bits;
      for (const ModeName &mode : modes) {
        auto expected = [&](uint64_t value) {
          uint64_t want = expectFloat(value, from, to, mode.mode);
          return to.bits == 64 && from.format.isNaN(value) ? 0 : want;
        };
        std::string code =
            "cvt" + (isExact ? "" : std::string(".r") + mode.suffix) + types +
            " %" + letter(to.bits) + "0, %" + letter(from.bits) + "1;";
        std::vector<Row> rows;
        for (uint64_t value : values)
          if (to.bits < 64 || !from.format.isNaN(value))
            rows.push_back({value, 0, 0, expected(value)});
        check(code, letter(to.bits), rows);
        // Between the two of 16 bits the default is the nearest.
        if (to.bits == 16 && from.bits == 16 && mode.mode == Mode::Nearest)
          check("cvt" + types + " %h0, %h1;", 'h', rows);
      }
    }
  }
}

// Guards rounding to an integral value in the same type.
TEST_F(ConvertTest, FloatsToIntegralFloats) {
  for (const FloatType &type : floats) {
    auto values = floatValues(type);
    std::erase_if(values, [&](uint64_t v) { return type.format.isNaN(v); });
    for (const ModeName &mode : modes)
      convert(std::string("r") + mode.suffix + "i." + type.name + "." +
                  type.name,
              type.bits, type.bits, values, [&](uint64_t value) {
                uint64_t sign = value & type.format.sign();
                Value exact = decode(value, type.format);
                if (type.format.isInfinite(value) || exact.exponent >= 0)
                  return value;
                UWide size = UWide(sign ? -exact.digits : exact.digits);
                size = roundShift(size, -exact.exponent, sign, mode.mode);
                Wide rounded = sign ? -Wide(size) : Wide(size);
                return encode({rounded, 0}, type.format, Mode::Nearest, sign);
              });
  }
}

// Guards .sat, .ftz, .relu and .satfinite.
TEST_F(ConvertTest, Modifiers) {
  auto values = floatValues(floats[2]);
  const FloatType &single = floats[2];
  for (const FloatType *to : {&floats[0], &floats[1]})
    for (const ModeName *mode : {&modes[0], &modes[1]}) {
      std::string name = std::string(to->name) + ".f32";
      uint64_t sign = to->format.sign(), most = to->format.infinity() - 1;
      auto plain = [&](uint64_t v) {
        return expectFloat(v, single, *to, mode->mode);
      };
      auto relu = [&](uint64_t v) { return v & sign ? 0 : v; };
      auto finite = [&](uint64_t v) {
        return (v & ~sign) == most + 1 ? (v & sign) | most : v;
      };
      std::string rounding = std::string("r") + mode->suffix;
      convert(rounding + ".relu." + name, 16, 32, values,
              [&](uint64_t v) { return relu(plain(v)); });
      convert(rounding + ".satfinite." + name, 16, 32, values,
              [&](uint64_t v) { return finite(plain(v)); });
      convert(rounding + ".relu.satfinite." + name, 16, 32, values,
              [&](uint64_t v) { return relu(finite(plain(v))); });
      // Two at once: the first source is the upper half.
      std::vector<Row> rows;
      for (uint64_t v : values)
        rows.push_back({v, v ^ 0x80000000, 0,
                        relu(finite(plain(v))) << 16 |
                            relu(finite(plain(v ^ 0x80000000)))});
      check("cvt." + rounding + ".relu.satfinite." + to->name +
                "x2.f32 %r0, %r1, %r2;",
            'r', rows);
    }
  convert("sat.f32.f32", 32, 32, values, [&](uint64_t v) -> uint64_t {
    return single.format.isNaN(v) || v >> 31 ? 0
           : v > 0x3f800000                  ? 0x3f800000
                                             : v;
  });
  convert("ftz.f32.f32", 32, 32, {1, 0x807fffff, 0x00800000},
          [&](uint64_t v) -> uint64_t {
            return v & 0x7f800000 ? v : v & 0x80000000;
          });
  convert("rpi.ftz.s32.f32", 32, 32, {1, 0x00800000},
          [](uint64_t v) -> uint64_t { return v == 1 ? 0 : 1; });
  check("cvt.rn.ftz.f32.f64 %r0, %d1;", 'r', {{g(0x1p-130), 0, 0, 0}});
  check("cvt.sat.f16.f16 %h0, %h1;", 'h',
        {{0x4000, 0, 0, 0x3c00}, {0xc000, 0, 0, 0}, {0x7e00, 0, 0, 0}});
  check("cvt.rn.sat.f32.s32 %r0, %r1;", 'r',
        {{5, 0, 0, f(1)}, {~0ull, 0, 0, 0}});
}

// Guards tf32, whose lower 13 bits are zero.
TEST_F(ConvertTest, Tensor32) {
  const Format tensor{8, 10};
  auto values = floatValues(floats[2]);
  // Ties between even and odd neighbours, of both signs, and next to them.
  for (uint64_t sign : {0u, 0x80000000u})
    for (uint64_t tie : {0x3f801000u, 0x3f803000u, 0x00001000u, 0x00003000u})
      for (uint64_t near : {tie - 1, tie, tie + 1})
        values.push_back(sign | near);
  ASSERT_LE(values.size(), 1024u);
  const struct {
    const char *name;
    Mode mode;
    bool relu, finite;
  } forms[] = {{"rna", Mode::Away, false, false},
               {"rna.satfinite", Mode::Away, false, true},
               {"rn", Mode::Nearest, false, false},
               {"rz", Mode::Zero, false, false},
               {"rn.relu", Mode::Nearest, true, false},
               {"rz.relu", Mode::Zero, true, false}};
  for (auto &form : forms)
    convert(std::string(form.name) + ".tf32.f32", 32, 32, values,
            [&](uint64_t v) -> uint64_t {
              if (F32.isNaN(v))
                return 0x7fffffff;
              uint64_t sign = v >> 31;
              uint64_t bits = F32.isInfinite(v) ? tensor.infinity() | sign << 18
                                                : encode(decode(v, F32), tensor,
                                                         form.mode, sign << 18);
              if (form.finite && tensor.isInfinite(bits))
                --bits;
              return form.relu && sign ? 0 : bits << 13;
            });
}

/// Value of an 8-bit float; NaN for what is none.
double byteValue(int code, bool isE5) {
  int field = isE5 ? code >> 2 & 31 : code >> 3 & 15;
  int digits = isE5 ? code & 3 : code & 7;
  int bias = isE5 ? 15 : 7, mantissa = isE5 ? 2 : 3;
  if (isE5 ? field == 31 : (code & 127) == 127)
    return isE5 && digits == 0 ? (code & 128 ? -INFINITY : INFINITY) : NAN;
  double value =
      field ? std::ldexp((1 << mantissa) + digits, field - bias - mantissa)
            : std::ldexp(digits, 1 - bias - mantissa);
  return code & 128 ? -value : value;
}

/// The nearest code, of two the even one.
uint64_t nearestByte(double value, bool isE5, bool relu) {
  if (std::isnan(value))
    return 0x7f;
  if (relu && std::signbit(value))
    return 0;
  int best = 0;
  // Beyond all numbers it makes no difference by how much.
  double distance = INFINITY, size = std::min(std::fabs(value), 1e6);
  for (int code = 0; code < 128; ++code) {
    double candidate = byteValue(code, isE5);
    if (!std::isfinite(candidate))
      continue;
    double gap =
        std::isinf(size) ? 1e300 - candidate : std::fabs(candidate - size);
    if (gap < distance || (gap == distance && code % 2 == 0))
      best = code, distance = gap;
  }
  return uint64_t(best) | (std::signbit(value) ? 128 : 0);
}

// Guards floats of 8 bits in both directions.
TEST_F(ConvertTest, EightBitFloats) {
  for (bool isE5 : {false, true}) {
    std::string type = isE5 ? "e5m2x2" : "e4m3x2";
    std::vector<uint64_t> values;
    // All values, the ties between them, and their neighbours.
    for (int code = 0; code < 127; ++code) {
      float here = float(byteValue(code, isE5));
      float next = float(byteValue(code + 1, isE5));
      if (!std::isfinite(here) || !std::isfinite(next))
        continue;
      float middle = (here + next) / 2;
      for (float v : {here, middle, std::nextafterf(middle, 1e9f),
                      std::nextafterf(middle, -1)})
        values.push_back(f(v));
    }
    for (float v : {450.f, 464.f, 465.f, 57344.f, 61440.f, 61441.f, 1e30f,
                    1e-30f, float(INFINITY)})
      values.push_back(f(v));
    size_t count = std::min<size_t>(values.size(), 500);
    values.resize(count);
    for (size_t i = 0; i < count; ++i)
      values.push_back(values[i] | 0x80000000);
    values.push_back(0x7fc00000);
    for (bool relu : {false, true}) {
      std::vector<Row> rows, packed;
      for (size_t i = 0; i < values.size(); ++i) {
        uint64_t a = values[i], b = values[(i * 7 + 3) % values.size()];
        auto byte = [&](uint64_t v) {
          return nearestByte(std::bit_cast<float>(uint32_t(v)), isE5, relu);
        };
        rows.push_back({a, b, 0, byte(a) << 8 | byte(b)});
        // The same from pairs of f16, whose value is what rounds.
        uint64_t x = expectFloat(a, floats[2], floats[0], Mode::Zero);
        uint64_t y = expectFloat(b, floats[2], floats[0], Mode::Zero);
        auto half = [&](uint64_t h) {
          return nearestByte(
              F16.isNaN(h) ? NAN
              : F16.isInfinite(h)
                  ? (h >> 15 ? -INFINITY : INFINITY)
                  : std::ldexp(double(decode(h & 0x7fff, F16).digits),
                               decode(h, F16).exponent) *
                        (h >> 15 ? -1 : 1),
              isE5, relu);
        };
        packed.push_back({x << 16 | y, 0, 0, half(x) << 8 | half(y)});
      }
      std::string head =
          std::string("cvt.rn.satfinite") + (relu ? ".relu." : ".") + type;
      check(head + ".f32 %h0, %r1, %r2;", 'h', rows);
      check(head + ".f16x2 %h0, %r1;", 'h', packed);
      std::vector<Row> wide;
      for (uint64_t code = 0; code < 256; ++code) {
        double v = byteValue(int(code), isE5);
        uint64_t bits;
        if (std::isnan(v))
          bits = 0x7fff;
        else if (relu && code >= 128)
          bits = 0;
        else
          bits = expectFloat(f(float(v)), floats[2], floats[0], Mode::Nearest);
        wide.push_back(
            {code << 8 | 1, 0, 0, bits << 16 | (isE5 ? 0x0100u : 0x1800u)});
      }
      check(std::string("cvt.rn") + (relu ? ".relu" : "") + ".f16x2." + type +
                " %r0, %h1;",
            'r', wide);
    }
  }
}

// Guards the packing of saturated integers above what was there.
TEST_F(ConvertTest, PackedIntegers) {
  check("cvt.pack.sat.u16.s32 %r0, %r1, %r2;", 'r',
        {{70000, 0xffffffff, 0, 0xffff0000}, {3, 4, 0, 0x30004}});
  check("cvt.pack.sat.s16.s32 %r0, %r1, %r2;", 'r',
        {{70000, 0x80000000, 0, 0x7fff8000}});
  check("cvt.pack.sat.s8.s32.b32 %r0, %r1, %r2, %r3;", 'r',
        {{200, 0xffffff00, 0x12345678, 0x56787f80}});
  check("cvt.pack.sat.u8.s32.b32 %r0, %r1, %r2, %r3;", 'r',
        {{300, 0xffffff00, 0xabcd, 0xabcdff00}});
  check("cvt.pack.sat.u4.s32.b32 %r0, %r1, %r2, %r3;", 'r',
        {{9, 99, 0x12345678, 0x3456789f}});
  check("cvt.pack.sat.s4.s32.b32 %r0, %r1, %r2, %r3;", 'r',
        {{9, 0xffffff00, 0, 0x78}});
  check("cvt.pack.sat.s2.s32.b32 %r0, %r1, %r2, %r3;", 'r',
        {{9, 0xffffff00, 1, 0x16}});
  check("cvt.pack.sat.u2.s32.b32 %r0, %r1, %r2, %r3;", 'r', {{2, 1, 0, 9}});
}

// Guards registers that are wider than the type.
TEST_F(ConvertTest, WideRegisters) {
  check("cvt.u8.u32 %r0, %r1;", 'r', {{0x1234, 0, 0, 0x34}});
  check("cvt.s8.s32 %d0, %r1;", 'd', {{0x1280, 0, 0, ~0ull - 127}});
  check("cvt.u16.u8 %r0, %d1;", 'r', {{0xff12, 0, 0, 0x12}});
  check("cvt.s32.s8 %r0, %h1;", 'r', {{0x80, 0, 0, 0xffffff80}});
  check("cvt.rzi.s8.f32 %r0, %r1;", 'r', {{f(-200), 0, 0, 0xffffff80}});
  check("cvt.rn.f32.s8 %r0, %r1;", 'r', {{0x1ff, 0, 0, f(-1)}});
}

// Guards the forms that PTX does not have or that later chips do.
TEST_F(ConvertTest, RefusedForms) {
  auto errorOf = [](const std::string &body) {
    Error error;
    auto module = Module::parse(entryText(body, 1), error);
    return module ? "accepted" : error.message;
  };
  EXPECT_EQ(errorOf("cvt.rn.satfinite.e2m1x2.f32 %h1, %r1, %r2;"),
            "'cvt.rn.satfinite.e2m1x2.f32': modifier '.e2m1x2' is not "
            "supported");
  EXPECT_EQ(errorOf("cvt.rs.f16x2.f32 %r1, %r2, %r3, %r4;"),
            "'cvt.rs.f16x2.f32': modifier '.rs' is not supported");
  EXPECT_EQ(errorOf("cvt.rn.e4m3x2.f32 %h1, %r1, %r2;"),
            "'cvt.rn.e4m3x2.f32': conversion to 8-bit floats needs "
            "'.rn.satfinite'");
  EXPECT_EQ(errorOf("cvt.f64.rn.f32 %d1, %r1;"),
            "'cvt.f64.rn.f32': modifier '.rn' is not supported");
  EXPECT_EQ(errorOf("cvt.rn.f64.f32 %d1, %r1;"),
            "'cvt.rn.f64.f32': rounding mode of an exact conversion");
  EXPECT_EQ(errorOf("cvt.rp.relu.f16.f32 %h1, %r1;"),
            "'cvt.rp.relu.f16.f32': modifier '.relu' or '.satfinite' here is "
            "not supported");
  EXPECT_EQ(errorOf("cvt.rm.tf32.f32 %r1, %r2;"),
            "'cvt.rm.tf32.f32': conversion to .tf32 needs .rna, .rn or .rz");
  EXPECT_EQ(errorOf("cvt.rn.satfinite.tf32.f32 %r1, %r2;"),
            "'cvt.rn.satfinite.tf32.f32': '.satfinite' without '.rna' is not "
            "supported");
  EXPECT_EQ(errorOf("cvt.sat.s32.u16 %r1, %h2;"),
            "'cvt.sat.s32.u16': '.sat' between types that saturate nothing");
  EXPECT_EQ(errorOf("cvt.rp.f16x2.f32 %r1, %r2, %r3;"),
            "'cvt.rp.f16x2.f32': packed conversion needs '.rn' or '.rz'");
  EXPECT_EQ(errorOf("cvt.s32.f32 %r1, %r2;"),
            "'cvt.s32.f32': conversion to an integer needs .rni, .rzi, .rmi or "
            ".rpi");
  EXPECT_EQ(errorOf("cvt.rni.s32.u32 %r1, %r2;"),
            "'cvt.rni.s32.u32': rounding mode between integers");
  EXPECT_EQ(errorOf("cvt.pack.s8.s32.b32 %r1, %r2, %r3, %r4;"),
            "'cvt.pack.s8.s32.b32': expected '.sat'");
}

} // namespace
