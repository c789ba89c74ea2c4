//===- WgmmaModel.h - Matrices in shared memory for tests -------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// An independent model of what wgmma reads: a writer that places elements as a
// tensor copy with swizzle would, by row and column; element types by their
// exponents and fractions; and kernels around a list of wgmmas.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_UNIT_EMULATOR_WGMMAMODEL_H
#define ROPEWALK_UNIT_EMULATOR_WGMMAMODEL_H

#include "Harness.h"

#include <cmath>

namespace ropewalk::emulator {

/// An element type of A or B.
struct ElementModel {
  const char *name;
  unsigned bits, exponentBits, fractionBits;
  bool isInteger = false, isSigned = true;

  /// A float by its fields; no infinity or NaN.
  double decode(uint32_t value) const {
    if (isInteger) {
      int64_t wide = value;
      return double(isSigned && value >> (bits - 1) & 1
                        ? wide - (int64_t(1) << bits)
                        : wide);
    }
    int bias = (1 << (exponentBits - 1)) - 1;
    unsigned low = bits - 1 - exponentBits - fractionBits; // Unused.
    int exponent =
        int(value >> (low + fractionBits) & ((1u << exponentBits) - 1));
    double fraction = double(value >> low & ((1u << fractionBits) - 1)) /
                      double(1u << fractionBits);
    double magnitude = exponent ? std::ldexp(1 + fraction, exponent - bias)
                                : std::ldexp(fraction, 1 - bias);
    return value >> (bits - 1) & 1 ? -magnitude : magnitude;
  }
  /// Random bits of a number of moderate size.
  uint32_t random(std::mt19937 &engine) const {
    uint32_t value = uint32_t(engine());
    if (bits < 32)
      value &= (1u << bits) - 1;
    if (isInteger)
      return value;
    unsigned low = bits - 1 - exponentBits - fractionBits;
    int bias = (1 << (exponentBits - 1)) - 1;
    uint32_t field = ((1u << exponentBits) - 1) << (low + fractionBits);
    // Sometimes subnormal, mostly around 1.
    uint32_t exponent = engine() % 16 ? uint32_t(bias) - 3 + engine() % 6 : 0;
    return (value & ~field) | exponent << (low + fractionBits);
  }
};

inline constexpr ElementModel F16Model{"f16", 16, 5, 10};
inline constexpr ElementModel BF16Model{"bf16", 16, 8, 7};
inline constexpr ElementModel TF32Model{"tf32", 32, 8, 10};
inline constexpr ElementModel E4M3Model{"e4m3", 8, 4, 3};
inline constexpr ElementModel E5M2Model{"e5m2", 8, 5, 2};
inline constexpr ElementModel S8Model{"s8", 8, 0, 0, true, true};
inline constexpr ElementModel U8Model{"u8", 8, 0, 0, true, false};

/// `lines` rows of A or columns of B, `depth` elements of k each.
struct MatrixModel {
  MatrixModel(const ElementModel &type, unsigned lines, unsigned depth,
              unsigned seed)
      : type(type), lines(lines), depth(depth), bits(lines * depth) {
    std::mt19937 engine(seed);
    for (uint32_t &value : bits)
      value = type.random(engine);
  }
  uint32_t at(unsigned line, unsigned k) const {
    return bits[line * depth + k];
  }
  double value(unsigned line, unsigned k) const {
    return type.decode(at(line, k));
  }

  ElementModel type;
  unsigned lines, depth;
  std::vector<uint32_t> bits;
};

/// A matrix in shared memory: a layout in the terms of the tensor copy. `width`
/// is the swizzled width in bytes, 0 for none. Offsets are in bytes.
struct LayoutModel {
  bool isKMajor = true;
  unsigned width = 128;
  uint32_t start = 0, leading = 16, stride = 1024;
  uint32_t base = 0; ///< Where the pattern of the swizzle begins, >> 7.

  /// Place of the bytes of an element of `size` bytes.
  uint32_t place(unsigned line, unsigned k, unsigned size) const {
    // Of a core matrix: `along` bytes from the start of line `across`.
    unsigned along = (isKMajor ? k : line) * size;
    unsigned across = isKMajor ? line : k;
    if (width == 0) {
      // Core matrices of 8 lines of 16 bytes in one piece of 128 bytes; from
      // one to the next along k `leading`, along the other side `stride`.
      unsigned alongK = isKMajor ? along / 16 : across / 8;
      unsigned other = isKMajor ? across / 8 : along / 16;
      return start + alongK * leading + other * stride + across % 8 * 16 +
             along % 16;
    }
    // Boxes of `width` bytes and 8 lines. K-major: one box across k. MN-major:
    // boxes side by side at `leading`.
    uint32_t box = across / 8 * stride + along / width * leading;
    unsigned line8 = across % 8, chunk = along % width / 16;
    // Chunks of 16 bytes are permuted by the number of the 128-byte row.
    unsigned row = line8 * width / 128;
    chunk ^= row % (width / 16);
    return start + box + line8 * width + chunk * 16 + along % 16;
  }

  uint64_t descriptor(uint32_t offset = 0) const {
    uint64_t mode = width == 128 ? 1 : width == 64 ? 2 : width == 32 ? 3 : 0;
    return uint64_t((start + offset) >> 4) | uint64_t(leading >> 4) << 16 |
           uint64_t(stride >> 4) << 32 | uint64_t(base) << 49 | mode << 62;
  }

  void write(const MatrixModel &matrix, std::vector<uint8_t> &memory) const {
    unsigned size = matrix.type.bits / 8;
    for (unsigned line = 0; line < matrix.lines; ++line)
      for (unsigned k = 0; k < matrix.depth; ++k) {
        uint32_t value = matrix.at(line, k);
        uint32_t address = place(line, k, size);
        ASSERT_LE(address + size, memory.size());
        std::memcpy(memory.data() + address, &value, size);
      }
  }
};

/// Text of a kernel of one warpgroup.
struct WgmmaText {
  std::string declarations, body;
  unsigned memoryBytes = 0;
  unsigned results = 0; ///< Registers of D, %r0 and on.
  bool hasProxyFence = true;

  static std::string list(const char *prefix, unsigned count,
                          unsigned first = 0) {
    std::string text = "{";
    for (unsigned i = 0; i < count; ++i)
      text += (i ? ", " : "") + std::string(prefix) + std::to_string(first + i);
    return text + "}";
  }
  std::string d() const { return list("%r", results); }

  /// Copies p0 to shared memory, loads D from p1 and A from p2, runs the body
  /// and writes D to p1, a row of registers for each thread. p3 is the shared
  /// address of the memory.
  std::string text(const std::string &version = "8.4") const {
    std::string number = std::to_string(results);
    std::string text =
        ".version " + version + "\n.target sm_90a\n.address_size 64\n" +
        ".extern .shared .align 1024 .b8 memory[];\n" + declarations +
        ".visible .entry k(.param .u64 p0, .param .u64 p1, .param .u64 p2)\n{\n"
        ".reg .pred %p<8>; .reg .b32 %r<160>, %a<16>, %t<8>; "
        ".reg .b64 %d<16>;\n"
        "mov.u32 %t0, %tid.x; mov.u32 %t2, %ntid.x;\n"
        "shl.b32 %t1, %t0, 4; shl.b32 %t2, %t2, 4;\n"
        "ld.param.u64 %d0, [p0];\n"
        "COPY: setp.ge.u32 %p0, %t1, " +
        std::to_string(memoryBytes) +
        "; @%p0 bra COPIED;\n"
        "cvt.u64.u32 %d1, %t1; add.s64 %d1, %d1, %d0;\n"
        "ld.global.v4.b32 {%r0, %r1, %r2, %r3}, [%d1];\n"
        "mov.u32 %t3, memory; add.u32 %t3, %t3, %t1;\n"
        "st.shared.v4.b32 [%t3], {%r0, %r1, %r2, %r3};\n"
        "add.u32 %t1, %t1, %t2; bra COPY;\nCOPIED:\n" +
        (hasProxyFence ? "fence.proxy.async;\n" : "") +
        "bar.sync 0;\n"
        "ld.param.u64 %d2, [p1]; mad.wide.u32 %d2, %t0, " +
        std::to_string(results * 4) +
        ", %d2;\n"
        "ld.param.u64 %d3, [p2]; mad.wide.u32 %d3, %t0, 64, %d3;\n";
    for (unsigned i = 0; i < 16; i += 4)
      text += "ld.global.v4.b32 " + list("%a", 4, i) + ", [%d3+" +
              std::to_string(4 * i) + "];\n";
    for (unsigned i = 0; i < results; ++i)
      text += "ld.global.b32 %r" + std::to_string(i) + ", [%d2+" +
              std::to_string(4 * i) + "];\n";
    text += body;
    for (unsigned i = 0; i < results; ++i)
      text += "st.global.b32 [%d2+" + std::to_string(4 * i) + "], %r" +
              std::to_string(i) + ";\n";
    return text + "ret;\n}\n";
  }
};

inline std::string hex(uint64_t value) {
  char text[24];
  std::snprintf(text, sizeof text, "0x%llx", (unsigned long long)value);
  return text;
}

} // namespace ropewalk::emulator

#endif // ROPEWALK_UNIT_EMULATOR_WGMMAMODEL_H
