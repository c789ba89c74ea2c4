//===- TensorHarness.h - Tensors, boxes and their model ---------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Kernels that copy one box, and where each element of a box lies by the
// formulas of the PTX manual: element by element, with nothing merged.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_UNIT_EMULATOR_TENSORHARNESS_H
#define ROPEWALK_UNIT_EMULATOR_TENSORHARNESS_H

#include "AsyncHarness.h"
#include "Ropewalk/Emulator/TensorMap.h"

#include <array>

namespace ropewalk::emulator {

using MapObject = std::array<std::byte, TensorMapBytes>;

/// Shared memory of the kernels, in bytes.
constexpr uint32_t BoxRoom = 32768;

/// A module with the entry k(map, p1, p2, p3): `map` is a tensor map whose
/// generic address is %d1. %d2 to %d4 are the pointers, %r1 the address of
/// `data`, %r2 that of `bars`, %r10 the thread.
inline std::string mapText(const std::string &body,
                           const std::string &directives = "",
                           const std::string &before = "") {
  return ".version 8.6\n.target sm_90a\n.address_size 64\n"
         ".shared .align 1024 .b8 data[32768];\n"
         ".shared .align 8 .b64 bars[8];\n" +
         before +
         "\n.visible .entry k(.param .align 64 .b8 map[128], .param .u64 p1, "
         ".param .u64 p2, .param .u64 p3)\n" +
         directives +
         "\n{\n.reg .pred %p<20>; .reg .b16 %h<20>; .reg .b32 %r<60>; "
         ".reg .b64 %d<40>;\n"
         "mov.b64 %d1, map; cvta.param.u64 %d1, %d1;\n"
         "ld.param.u64 %d2, [p1]; ld.param.u64 %d3, [p2]; "
         "ld.param.u64 %d4, [p3];\n"
         "mov.u32 %r1, data; mov.u32 %r2, bars; mov.u32 %r10, %tid.x;\n"
         "setp.eq.u32 %p1, %r10, 0;\n" +
         body + "\nret;\n}\n";
}

/// Copies `data` from ("ld.global", "st.shared") or to the pointer in `global`,
/// with all threads; the label is `name`.
inline std::string moveShared(const std::string &name, const char *global,
                              bool isLoad) {
  std::string g = global;
  return "mov.u32 %r50, %ntid.x; shl.b32 %r50, %r50, 2; shl.b32 %r51, %r10, "
         "2;\n" +
         name +
         ":\n"
         "cvt.u64.u32 %d30, %r51; add.s64 %d31, " +
         g +
         ", %d30;\n"
         "add.u32 %r52, %r1, %r51;\n" +
         (isLoad
              ? "ld.global.u32 %r53, [%d31]; st.shared.u32 [%r52], %r53;\n"
              : "ld.shared.u32 %r53, [%r52]; st.global.u32 [%d31], %r53;\n") +
         "add.u32 %r51, %r51, %r50; setp.lt.u32 %p19, %r51, 32768;\n"
         "@%p19 bra " +
         name + ";\n";
}

/// A vector of registers with the coordinates, loaded from the 32-bit numbers
/// at %d3: "{%r20, %r21}".
inline std::string coordinates(unsigned rank, std::string &load) {
  std::string vector = "{";
  for (unsigned i = 0; i < rank; ++i) {
    std::string reg = "%r" + std::to_string(20 + i);
    load += "ld.global.u32 " + reg + ", [%d3+" + std::to_string(4 * i) + "];\n";
    vector += (i ? ", " : "") + reg;
  }
  return vector + "}";
}

/// Fills shared memory from %d2, loads the box at the coordinates, which brings
/// the bytes at [%d3+20], to the offset at [%d3+24], and writes shared memory
/// to %d4.
inline std::string loadText(unsigned rank, const std::string &space = "cluster",
                            const std::string &hints = "",
                            const std::string &policy = "") {
  std::string body = moveShared("FILL", "%d2", true);
  std::string vector = coordinates(rank, body);
  body += "ld.global.u32 %r30, [%d3+20]; ld.global.u32 %r31, [%d3+24]; "
          "add.u32 %r31, %r31, %r1; mov.u64 %d5, 0;\n"
          "fence.proxy.async; bar.sync 0;\n"
          "@!%p1 bra WAIT;\n"
          "mbarrier.init.shared::cta.b64 [%r2], 1;\n"
          "fence.proxy.async;\n"
          "mbarrier.arrive.expect_tx.shared::cta.b64 _, [%r2], %r30;\n"
          "cp.async.bulk.tensor." +
          std::to_string(rank) + "d.shared::" + space +
          ".global.mbarrier::complete_tx::bytes" + hints + " [%r31], [%d1, " +
          vector + "], [%r2]" + policy +
          ";\n"
          "WAIT: bar.sync 0;\n"
          "POLL: mbarrier.try_wait.parity.shared::cta.b64 %p2, [%r2], 0;\n"
          "@!%p2 bra POLL;\n" +
          moveShared("OUT", "%d4", false);
  return mapText(body);
}

/// Fills shared memory from %d2 and stores or reduces the box from the offset
/// at [%d3+24].
inline std::string storeText(unsigned rank, const std::string &opcode,
                             const std::string &hints = "",
                             const std::string &policy = "") {
  std::string body = moveShared("FILL", "%d2", true);
  std::string vector = coordinates(rank, body);
  body += "ld.global.u32 %r31, [%d3+24]; add.u32 %r31, %r31, %r1; "
          "mov.u64 %d5, 0;\n"
          "fence.proxy.async; bar.sync 0;\n"
          "@!%p1 bra DONE;\n" +
          opcode + ".bulk_group" + hints + " [%d1, " + vector + "], [%r31]" +
          policy +
          ";\n"
          "cp.async.bulk.commit_group; cp.async.bulk.wait_group 0;\n"
          "DONE:\n";
  return mapText(body);
}

/// A tensor in device memory and a box of it.
struct BoxCase {
  TensorMap map;
  int32_t at[5] = {};
  uint32_t shared = 0; ///< Offset of the box in `data`.

  uint32_t count(uint32_t i) const {
    if (i >= map.rank)
      return 1;
    return i ? (map.box[i] + map.elementStrides[i] - 1) / map.elementStrides[i]
             : map.box[0];
  }
  uint32_t bytes() const {
    uint32_t bytes = sizeOf(map.type);
    for (uint32_t i = 0; i < 5; ++i)
      bytes *= count(i);
    return bytes;
  }

  /// Calls `function(global, shared, isInside)` for each element: byte offset
  /// from element 0 of the tensor, byte offset in `data`.
  template <class F> void forElements(F function) const {
    uint32_t size = sizeOf(map.type), rowBytes = count(0) * size;
    uint32_t width = 16u << unsigned(map.swizzle);
    bool isSwizzled = map.swizzle != TensorMapSwizzle::None;
    uint32_t pitch = isSwizzled ? std::max(width, rowBytes) : rowBytes;
    uint32_t n[5], row = 0;
    for (uint32_t i = 0; i < 5; ++i)
      n[i] = count(i);
    for (uint32_t e = 0; e < n[4]; ++e)
      for (uint32_t d = 0; d < n[3]; ++d)
        for (uint32_t c = 0; c < n[2]; ++c)
          for (uint32_t b = 0; b < n[1]; ++b, ++row)
            for (uint32_t a = 0; a < n[0]; ++a) {
              const uint32_t index[5] = {a, b, c, d, e};
              bool isInside = true;
              int64_t global = 0;
              for (uint32_t i = 0; i < map.rank; ++i) {
                int64_t place =
                    at[i] + int64_t(index[i]) * (i ? map.elementStrides[i] : 1);
                isInside &= place >= 0 && place < int64_t(map.dims[i]);
                global += place * int64_t(i ? map.strides[i] : size);
              }
              uint32_t s = shared + row * pitch + a * size;
              // Chunk i of 16 bytes of a line goes to chunk i xor the line's
              // number, with as many bits as the pattern has.
              uint32_t line = s / 128, chunk = s / 16 % 8;
              if (map.swizzle == TensorMapSwizzle::B128)
                chunk ^= line % 8;
              if (map.swizzle == TensorMapSwizzle::B64)
                chunk ^= line % 4;
              if (map.swizzle == TensorMapSwizzle::B32)
                chunk ^= line % 2;
              function(global, line * 128 + chunk * 16 + s % 16, isInside);
            }
  }
};

struct TensorTest : AsyncTest {
  /// The object of `map`, which must obey the rules.
  static MapObject object(const TensorMap &map) {
    MapObject result;
    std::byte bytes[TensorMapBytes] = {};
    EXPECT_EQ(encode(map, bytes), "");
    std::memcpy(result.data(), bytes, sizeof bytes);
    return result;
  }
  static std::vector<uint8_t> randomBytes(size_t count, unsigned seed) {
    std::mt19937 engine(seed);
    std::vector<uint8_t> bytes(count);
    for (uint8_t &byte : bytes)
      byte = uint8_t(engine());
    return bytes;
  }
  /// A tensor of f16 with rows of `width` elements, and a box of it.
  static BoxCase plane(uint64_t address, uint64_t width, uint64_t height,
                       uint32_t boxWidth, uint32_t boxHeight,
                       TensorMapSwizzle swizzle = TensorMapSwizzle::None) {
    BoxCase box;
    box.map.type = TensorMapType::F16;
    box.map.rank = 2;
    box.map.address = address;
    box.map.dims[0] = width;
    box.map.dims[1] = height;
    box.map.strides[0] = 2;
    box.map.strides[1] = width * 2;
    box.map.box[0] = boxWidth;
    box.map.box[1] = boxHeight;
    box.map.swizzle = swizzle;
    return box;
  }
  /// What the kernels read at %d3.
  uint64_t uploadPlace(const BoxCase &box) {
    std::vector<uint32_t> words(8);
    for (int i = 0; i < 5; ++i)
      words[i] = uint32_t(box.at[i]);
    words[5] = box.bytes();
    words[6] = box.shared;
    return upload(words);
  }
};

} // namespace ropewalk::emulator

#endif // ROPEWALK_UNIT_EMULATOR_TENSORHARNESS_H
