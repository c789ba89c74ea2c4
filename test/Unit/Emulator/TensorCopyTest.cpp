//===- TensorCopyTest.cpp - Tests of bulk copies of tensors -----*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Results of cp.async.bulk.tensor and cp.reduce.async.bulk.tensor, against the
// model in TensorHarness.h: every rank, type and swizzle at random places
// inside, across and outside of the tensor.
//
//===----------------------------------------------------------------------===//

#include "TensorHarness.h"

#include <bit>
#include <limits>

using namespace ropewalk::emulator;

namespace {

using Type = TensorMapType;
using Swizzle = TensorMapSwizzle;

constexpr Type types[] = {Type::U8,  Type::U16, Type::U32, Type::S32,
                          Type::U64, Type::S64, Type::F16, Type::F32,
                          Type::F64, Type::BF16};

/// Bytes of the tensors' buffer, and where element 0 is: not at its start.
constexpr size_t TensorRoom = 1 << 17, TensorStart = 256;

struct Cases {
  std::mt19937 engine{7};

  int64_t below(int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(engine);
  }

  /// A box of random shape in a tensor at `address`. `negative` places may
  /// start before the tensor.
  BoxCase draw(uint32_t rank, Type type, Swizzle swizzle, uint64_t address,
               bool negative) {
    BoxCase box;
    TensorMap &map = box.map;
    map.type = type;
    map.rank = rank;
    map.address = address;
    map.swizzle = swizzle;
    uint32_t size = sizeOf(type);
    uint32_t widest = swizzle != Swizzle::None ? 16u << unsigned(swizzle)
                      : rank < 3               ? 256 * size
                                               : 128;
    uint32_t chunks = uint32_t(below(1, std::min(widest, 256 * size) / 16));
    map.box[0] = chunks * 16 / size;
    map.dims[0] = uint64_t(below(1, 2 * map.box[0]));
    map.strides[0] = size;
    uint64_t stride = (map.dims[0] * size + 15) / 16 * 16;
    static const uint32_t most[] = {0, 6, 4, 3, 2};
    for (uint32_t i = 1; i < rank; ++i) {
      map.box[i] = uint32_t(below(1, most[i]));
      map.elementStrides[i] = uint32_t(below(1, 3));
      map.dims[i] = uint64_t(below(1, most[i] + 1));
      map.strides[i] = stride + 16 * uint64_t(below(0, 2));
      stride = map.strides[i] * map.dims[i];
    }
    EXPECT_LE(stride + 16, TensorRoom - TensorStart);
    for (uint32_t i = 0; i < rank; ++i)
      box.at[i] = int32_t(
          below(negative ? -int64_t(map.box[i]) : 0, int64_t(map.dims[i]) + 1));
    box.shared = uint32_t(below(0, 20)) * 128;
    return box;
  }
};

struct TensorCopyTest : TensorTest {
  LaunchResult launch(const std::string &text, const BoxCase &box, uint64_t in,
                      uint64_t out) {
    return runSeed(text, {1}, {64},
                   arguments(object(box.map), in, uploadPlace(box), out));
  }
};

std::string describe(const BoxCase &box) {
  std::string text = std::to_string(box.map.rank) + "d " + name(box.map.type) +
                     " swizzle " + std::to_string(unsigned(box.map.swizzle)) +
                     ", box";
  for (uint32_t i = 0; i < box.map.rank; ++i)
    text += " " + std::to_string(box.map.box[i]) + "/" +
            std::to_string(box.map.elementStrides[i]) + "@" +
            std::to_string(box.at[i]) + " of " +
            std::to_string(box.map.dims[i]);
  return text + ", shared offset " + std::to_string(box.shared);
}

TEST_F(TensorCopyTest, LoadsEveryRankTypeAndSwizzle) {
  Cases cases;
  auto tensor = randomBytes(TensorRoom, 1), before = randomBytes(BoxRoom, 2);
  uint64_t buffer = upload(tensor), in = upload(before);
  uint64_t out = upload(std::vector<uint8_t>(BoxRoom));
  bool seesInside = false, seesOutside = false, seesGaps = false;
  for (uint32_t rank = 1; rank <= 5; ++rank)
    for (Type type : types)
      for (Swizzle swizzle :
           {Swizzle::None, Swizzle::B32, Swizzle::B64, Swizzle::B128})
        for (bool fillsNan : {false, true}) {
          BoxCase box =
              cases.draw(rank, type, swizzle, buffer + TensorStart, true);
          if (fillsNan && !isFloat(type))
            continue;
          box.map.fill = fillsNan ? TensorMapFill::Nan : TensorMapFill::Zero;
          SCOPED_TRACE(describe(box));
          auto result = launch(loadText(rank), box, in, out);
          ASSERT_RAN(result);
          EXPECT_EQ(result.counters().bulkBytes, box.bytes());
          EXPECT_EQ(result.counters().bulkCopies, 1u);
          auto expected = before;
          uint32_t size = sizeOf(type), end = 0;
          box.forElements([&](int64_t global, uint32_t shared, bool isInside) {
            (isInside ? seesInside : seesOutside) = true;
            end = std::max(end, shared + size);
            for (uint32_t i = 0; i < size; ++i)
              expected[shared + i] =
                  isInside ? tensor[size_t(TensorStart + global) + i]
                  // 0x7ff7 in every 16 bits.
                  : fillsNan ? (i % 2 ? 0x7f : 0xf7)
                             : 0;
          });
          seesGaps |= end - box.shared > box.bytes();
          ASSERT_EQ(download<uint8_t>(out, BoxRoom), expected);
        }
  EXPECT_TRUE(seesInside && seesOutside && seesGaps);
}

TEST_F(TensorCopyTest, StoresEveryRankTypeAndSwizzle) {
  Cases cases;
  auto before = randomBytes(TensorRoom, 3), source = randomBytes(BoxRoom, 4);
  uint64_t buffer = upload(before), in = upload(source);
  bool seesInside = false, seesOutside = false;
  for (uint32_t rank = 1; rank <= 5; ++rank)
    for (Type type : types)
      for (Swizzle swizzle :
           {Swizzle::None, Swizzle::B32, Swizzle::B64, Swizzle::B128}) {
        BoxCase box =
            cases.draw(rank, type, swizzle, buffer + TensorStart, false);
        SCOPED_TRACE(describe(box));
        ASSERT_TRUE(device.copyIn(buffer, before.data(), before.size()));
        std::string opcode = "cp.async.bulk.tensor." + std::to_string(rank) +
                             "d.global.shared::cta";
        ASSERT_RAN(launch(storeText(rank, opcode), box, in, 0));
        auto expected = before;
        box.forElements([&](int64_t global, uint32_t shared, bool isInside) {
          (isInside ? seesInside : seesOutside) = true;
          for (uint32_t i = 0; isInside && i < sizeOf(type); ++i)
            expected[size_t(TensorStart + global) + i] = source[shared + i];
        });
        ASSERT_EQ(download<uint8_t>(buffer, TensorRoom), expected);
      }
  EXPECT_TRUE(seesInside && seesOutside);
}

/// All forms that the assembler takes: modifiers in any order, hints, the
/// address of a .global variable, constants.
TEST_F(TensorCopyTest, FormsOfTheInstructions) {
  auto tensor = randomBytes(8192, 5);
  uint64_t buffer = upload(tensor);
  uint64_t in = upload(std::vector<uint8_t>(BoxRoom));
  uint64_t out = upload(std::vector<uint8_t>(BoxRoom));
  BoxCase box = plane(buffer, 64, 64, 64, 32, Swizzle::B128);
  box.at[1] = 8;
  box.shared = 1024;
  auto check = [&] {
    auto got = download<uint8_t>(out, BoxRoom);
    box.forElements([&](int64_t global, uint32_t shared, bool) {
      ASSERT_EQ(got[shared], tensor[size_t(global)]);
      ASSERT_EQ(got[shared + 1], tensor[size_t(global) + 1]);
    });
  };
  std::string plain = loadText(2);
  std::string head = "cp.async.bulk.tensor.2d.";
  std::string usual = head + "shared::cluster.global.mbarrier::"
                             "complete_tx::bytes [%r31]";
  auto args = arguments(object(box.map), in, uploadPlace(box), out);
  for (const std::string &form :
       {usual,
        head + "shared::cluster.global.tile.mbarrier::complete_tx::bytes "
               "[%r31]",
        head + "shared::cluster.global.mbarrier::complete_tx::bytes.tile "
               "[%r31]",
        head + "tile.shared::cta.global.mbarrier::complete_tx::bytes [%r31]",
        head + "shared::cta.global.mbarrier::complete_tx::bytes [data+1024]"})
    expectClean(replaced(plain, usual, form), {1}, {64}, args, check);
  expectClean(loadText(2, "cluster", ".L2::cache_hint", ", %d5"), {1}, {64},
              args, check);
  expectClean(replaced(plain, "{%r20, %r21}", "{0, 8}"), {1}, {64}, args,
              check);
  // A map in a variable: the kernel copies the parameter there.
  std::string variable = replaced(plain, "[%d1, ", "[gmap, ");
  variable = replaced(variable, ".visible .entry",
                      ".global .align 64 .b8 gmap[128];\n.visible .entry");
  std::string copy = "mov.u32 %r40, 0;\n";
  for (int i = 0; i < 128; i += 8)
    copy += "ld.param.u64 %d10, [map+" + std::to_string(i) +
            "]; @%p1 st.global.u64 [gmap+" + std::to_string(i) + "], %d10;\n";
  variable = replaced(variable, "@!%p1 bra WAIT;\n",
                      copy + "@!%p1 bra WAIT;\n"
                             "fence.proxy.tensormap::generic.release.gpu;\n"
                             "mov.b64 %d12, gmap;\n"
                             "fence.proxy.tensormap::generic.acquire.gpu "
                             "[%d12], 128;\n");
  expectClean(variable, {1}, {64}, args, check);
  // Prefetches change nothing.
  for (const std::string &prefetch :
       {"cp.async.bulk.prefetch.tensor.2d.L2.global [%d1, {%r20, %r21}];",
        "cp.async.bulk.prefetch.tensor.2d.L2.global.tile.L2::cache_hint [%d1, "
        "{%r20, %r21}], %d5;",
        "prefetch.tensormap [%d1];", "prefetch.param.tensormap [map];",
        "mov.b64 %d11, map; prefetch.param.tensormap [%d11];"})
    expectClean(replaced(plain, "@!%p1 bra WAIT;\n",
                         "@!%p1 bra WAIT;\n" + prefetch + "\n"),
                {1}, {64}, args, check);
  // Both stores, with hints.
  for (const char *hints : {"", ".tile", ".L2::cache_hint"}) {
    bool hasPolicy = std::string(hints).find("hint") != std::string::npos;
    std::string text = storeText(2, head + "global.shared::cta", hints,
                                 hasPolicy ? ", %d5" : "");
    expectClean(text, {1}, {64}, args);
    text = storeText(2, "cp.reduce.async.bulk.tensor.2d.global.shared::cta.add",
                     hints, hasPolicy ? ", %d5" : "");
    expectClean(text, {1}, {64}, args);
  }
}

/// Lanes copy boxes of their own, each with its barrier.
TEST_F(TensorCopyTest, EveryLaneMakesACopyOfItsOwn) {
  auto tensor = randomBytes(8192, 6);
  uint64_t buffer = upload(tensor);
  uint64_t out = upload(std::vector<uint8_t>(BoxRoom));
  BoxCase box = plane(buffer, 64, 64, 64, 16);
  std::string text = mapText(
      "setp.lt.u32 %p3, %r10, 4;\n"
      "@!%p3 bra DONE;\n"
      "shl.b32 %r11, %r10, 3; add.u32 %r11, %r2, %r11;\n"
      "shl.b32 %r12, %r10, 11; add.u32 %r12, %r1, %r12;\n"
      "shl.b32 %r13, %r10, 4;\n"
      "mbarrier.init.shared::cta.b64 [%r11], 1;\n"
      "fence.proxy.async;\n"
      "mbarrier.arrive.expect_tx.shared::cta.b64 _, [%r11], 2048;\n"
      "cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::"
      "bytes [%r12], [%d1, {0, %r13}], [%r11];\n"
      "POLL: mbarrier.try_wait.parity.shared::cta.b64 %p2, [%r11], 0;\n"
      "@!%p2 bra POLL;\n"
      "mov.u32 %r14, 0;\n"
      "shl.b32 %r15, %r10, 11; cvt.u64.u32 %d5, %r15; add.s64 %d5, %d4, %d5;\n"
      "NEXT: ld.shared.u32 %r16, [%r12]; st.global.u32 [%d5], %r16;\n"
      "add.u32 %r12, %r12, 4; add.s64 %d5, %d5, 4; add.u32 %r14, %r14, 4;\n"
      "setp.lt.u32 %p4, %r14, 2048; @%p4 bra NEXT;\n"
      "DONE:\n");
  expectClean(text, {1}, {32},
              arguments(object(box.map), uint64_t(0), uint64_t(0), out), [&] {
                auto got = download<uint8_t>(out, BoxRoom);
                got.resize(tensor.size());
                ASSERT_EQ(got, tensor);
              });
}

template <class T> struct Operation {
  const char *name;
  T (*apply)(T old, T value);
};

struct TensorReductionTest : TensorTest {
  /// Reduces a 16-element row of `values` into one of `old`, with two elements
  /// outside of the tensor.
  template <class T>
  void check(Type type, const Operation<T> &operation,
             const std::vector<T> &olds, const std::vector<T> &values) {
    SCOPED_TRACE(std::string(operation.name) + " " + name(type));
    ASSERT_EQ(olds.size(), 16u);
    BoxCase box;
    box.map.type = type;
    box.map.dims[0] = 14;
    box.map.strides[0] = sizeof(T);
    box.map.box[0] = 16;
    box.map.address = upload(olds);
    std::vector<T> source(BoxRoom / sizeof(T));
    std::copy(values.begin(), values.end(), source.begin());
    std::string text =
        storeText(1, std::string("cp.reduce.async.bulk.tensor.1d.global."
                                 "shared::cta.") +
                         operation.name);
    auto expected = olds;
    for (int i = 0; i < 14; ++i)
      expected[i] = operation.apply(olds[i], values[i]);
    ASSERT_RAN(runSeed(text, {1}, {64},
                       arguments(object(box.map), upload(source),
                                 uploadPlace(box), uint64_t(0))));
    auto got = download<T>(box.map.address, 16);
    EXPECT_EQ(std::memcmp(got.data(), expected.data(), 16 * sizeof(T)), 0);
  }

  template <class T> static std::vector<T> numbers(unsigned seed) {
    std::mt19937_64 engine(seed);
    std::vector<T> values(16);
    for (T &value : values)
      value = T(engine() >> engine() % 40);
    values[3] = std::numeric_limits<T>::max();
    values[4] = std::numeric_limits<T>::min();
    values[5] = 0;
    return values;
  }

  template <class T> void integers(Type type, bool isSigned64) {
    auto olds = numbers<T>(11), values = numbers<T>(12);
    values[6] = olds[6];
    using U = std::make_unsigned_t<T>;
    if (!isSigned64)
      check<T>(type, {"add", [](T a, T b) { return T(U(a) + U(b)); }}, olds,
               values);
    check<T>(type, {"min", [](T a, T b) { return a < b ? a : b; }}, olds,
             values);
    check<T>(type, {"max", [](T a, T b) { return a > b ? a : b; }}, olds,
             values);
    check<T>(type, {"and", [](T a, T b) { return T(a & b); }}, olds, values);
    check<T>(type, {"or", [](T a, T b) { return T(a | b); }}, olds, values);
    check<T>(type, {"xor", [](T a, T b) { return T(a ^ b); }}, olds, values);
  }
};

TEST_F(TensorReductionTest, Integers) {
  integers<uint32_t>(Type::U32, false);
  integers<int32_t>(Type::S32, false);
  integers<uint64_t>(Type::U64, false);
  integers<int64_t>(Type::S64, true);
  auto olds = numbers<uint32_t>(13), values = numbers<uint32_t>(14);
  values[6] = olds[6];
  check<uint32_t>(
      Type::U32,
      {"inc", [](uint32_t a, uint32_t b) { return a >= b ? 0 : a + 1; }}, olds,
      values);
  check<uint32_t>(
      Type::U32,
      {"dec",
       [](uint32_t a, uint32_t b) { return a == 0 || a > b ? b : a - 1; }},
      olds, values);
}

/// bf16 to nearest even. Twice rounded sums are right: f32 has more than twice
/// the digits.
uint16_t brain(float value) {
  uint32_t bits = std::bit_cast<uint32_t>(value);
  return uint16_t((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}
float unbrain(uint16_t bits) { return std::bit_cast<float>(bits << 16); }

TEST_F(TensorReductionTest, Floats) {
  auto make = [](unsigned seed) {
    auto values = randomFloats(16, seed, -100, 100);
    values[2] = 1e-40f; // Subnormal.
    values[3] = 3e38f;
    values[4] = -0.0f;
    return values;
  };
  auto olds = make(1), values = make(2);
  check<float>(Type::F32, {"add", [](float a, float b) { return a + b; }}, olds,
               values);
  std::vector<_Float16> oldHalves(olds.begin(), olds.end()),
      halves(values.begin(), values.end());
  check<_Float16>(
      Type::F16,
      {"add", [](_Float16 a, _Float16 b) { return _Float16(float(a) + b); }},
      oldHalves, halves);
  check<_Float16>(Type::F16,
                  {"min", [](_Float16 a, _Float16 b) { return a < b ? a : b; }},
                  oldHalves, halves);
  check<_Float16>(Type::F16,
                  {"max", [](_Float16 a, _Float16 b) { return a > b ? a : b; }},
                  oldHalves, halves);
  std::vector<uint16_t> oldBrains, brains;
  for (int i = 0; i < 16; ++i) {
    oldBrains.push_back(brain(olds[i]));
    brains.push_back(brain(values[i]));
  }
  check<uint16_t>(
      Type::BF16,
      {"add",
       [](uint16_t a, uint16_t b) { return brain(unbrain(a) + unbrain(b)); }},
      oldBrains, brains);
  check<uint16_t>(
      Type::BF16,
      {"max",
       [](uint16_t a, uint16_t b) { return unbrain(a) > unbrain(b) ? a : b; }},
      oldBrains, brains);
  check<uint16_t>(
      Type::BF16,
      {"min",
       [](uint16_t a, uint16_t b) { return unbrain(a) < unbrain(b) ? a : b; }},
      oldBrains, brains);
}

} // namespace
