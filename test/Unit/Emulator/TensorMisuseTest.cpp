//===- TensorMisuseTest.cpp - Tensor maps in wrong hands --------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Copies of tensors within a cluster, maps that a kernel changes, everything
// that a copy can get wrong at run time, and every form that is refused.
//
//===----------------------------------------------------------------------===//

#include "TensorHarness.h"

using namespace ropewalk::emulator;

namespace {

using Type = TensorMapType;
using Swizzle = TensorMapSwizzle;

struct TensorMisuseTest : TensorTest {
  void SetUp() override {
    tensor = randomBytes(8192, 1);
    buffer = upload(tensor);
    in = upload(randomBytes(BoxRoom, 2));
    out = upload(std::vector<uint8_t>(BoxRoom));
    box = plane(buffer, 64, 64, 64, 16);
  }

  Arguments args() {
    return arguments(object(box.map), in, uploadPlace(box), out);
  }
  Arguments argsWith(const MapObject &map) {
    return arguments(map, in, uploadPlace(box), out);
  }
  void expectMisuse(const std::string &text, const std::string &part,
                    ReportKind kind = ReportKind::TensorMapMisuse) {
    expectReport(text, {1}, {64}, args(), kind, part);
  }
  /// The load has brought the box to `data`.
  void checkLoaded() {
    auto got = download<uint8_t>(out, BoxRoom);
    box.forElements([&](int64_t global, uint32_t shared, bool) {
      ASSERT_EQ(got[shared], tensor[size_t(global)]);
      ASSERT_EQ(got[shared + 1], tensor[size_t(global) + 1]);
    });
  }

  std::vector<uint8_t> tensor;
  uint64_t buffer = 0, in = 0, out = 0;
  BoxCase box;
};

/// What thread 0 does before and after `copy` in a cluster of two; then both
/// blocks wait for 2048 bytes at their barrier and write `data` to their half
/// of the output.
std::string clusterText(const std::string &copy) {
  return mapText(
      "mov.u32 %r11, %cluster_ctarank;\n"
      "setp.eq.u32 %p3, %r11, 0;\n"
      "@!%p1 bra READY;\n"
      "mbarrier.init.shared::cta.b64 [%r2+8], 1;\n"
      "fence.mbarrier_init.release.cluster;\n"
      "fence.proxy.async;\n"
      "mbarrier.arrive.expect_tx.shared::cta.b64 _, [%r2+8], 2048;\n"
      "READY:\n"
      "barrier.cluster.arrive.aligned; barrier.cluster.wait.aligned;\n"
      "add.u32 %r3, %r1, 4096; add.u32 %r4, %r2, 8;\n"
      "mapa.shared::cluster.u32 %r5, %r3, 1;\n"
      "mapa.shared::cluster.u32 %r6, %r4, 1;\n"
      "and.pred %p4, %p1, %p3;\n"
      "@!%p4 bra POLL;\n" +
          copy +
          "POLL: mbarrier.try_wait.parity.shared::cta.b64 %p2, [%r2+8], 0;\n"
          "@!%p2 bra POLL;\n"
          "shl.b32 %r12, %r10, 2; add.u32 %r13, %r3, %r12;\n"
          "shl.b32 %r14, %r11, 11; add.u32 %r14, %r14, %r12;\n"
          "cvt.u64.u32 %d5, %r14; add.s64 %d5, %d4, %d5;\n"
          "mov.u32 %r15, 0;\n"
          "NEXT: ld.shared.u32 %r16, [%r13]; st.global.u32 [%d5], %r16;\n"
          "add.u32 %r13, %r13, 256; add.s64 %d5, %d5, 256;\n"
          "add.u32 %r15, %r15, 1; setp.lt.u32 %p5, %r15, 8; @%p5 bra NEXT;\n"
          "barrier.cluster.arrive.aligned; barrier.cluster.wait.aligned;\n",
      ".reqnctapercluster 2, 1, 1");
}

const std::string clusterCopy =
    "cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::"
    "bytes";

TEST_F(TensorMisuseTest, CopiesToTheBlocksOfACluster) {
  auto args = this->args();
  auto check = [&](size_t first, size_t second) {
    auto got = download<uint8_t>(out, 4096);
    ASSERT_EQ(std::memcmp(got.data(), tensor.data() + first, 2048), 0);
    ASSERT_EQ(std::memcmp(got.data() + 2048, tensor.data() + second, 2048), 0);
  };
  // One box to both blocks.
  std::string multicast =
      clusterText("mov.u16 %h1, 3;\n" + clusterCopy +
                  ".multicast::cluster [%r3], [%d1, {0, 16}], [%r4], %h1;\n");
  expectClean(multicast, {2}, {64}, args, [&] { check(2048, 2048); });
  auto result = runSeed(multicast, {2}, {64}, args);
  ASSERT_RAN(result);
  EXPECT_EQ(result.counters().bulkCopies, 1u);
  EXPECT_EQ(result.counters().bulkBytes, 4096u);
  // One for each, of which the second goes to the other block's memory.
  std::string two =
      clusterText(clusterCopy + " [%r3], [%d1, {0, 0}], [%r4];\n" +
                  clusterCopy + " [%r5], [%d1, {0, 48}], [%r6];\n");
  expectClean(two, {2}, {64}, args, [&] { check(0, 6144); });
  // A barrier of another block than the destination's.
  expectReport(clusterText(clusterCopy + " [%r5], [%d1, {0, 0}], [%r4];\n"),
               {2}, {64}, args, ReportKind::ClusterMisuse,
               "copies to block 1 and signals a barrier of block 0");
  expectReport(
      clusterText(replaced(clusterCopy, "shared::cluster", "shared::cta") +
                  " [%r5], [%d1, {0, 0}], [%r4];\n"),
      {2}, {64}, args, ReportKind::ClusterMisuse,
      "needs an address in the block's own shared memory");
  for (const char *mask : {"0", "4", "7"})
    expectReport(replaced(multicast, "%h1, 3", std::string("%h1, ") + mask),
                 {2}, {64}, args, ReportKind::ClusterMisuse,
                 "has the block mask " + std::string(mask) +
                     " in a cluster of 2 blocks");
  // Only one block gets its bytes.
  expectReport(replaced(multicast, "%h1, 3", "%h1, 1"), {2}, {64}, args,
               ReportKind::Deadlock, "2048 bytes are outstanding");
}

TEST_F(TensorMisuseTest, FindsBadMaps) {
  std::string text = loadText(2);
  // 64 zeros and bytes of the parameters behind the map, garbage, damage.
  expectReport(text, {1}, {64}, argsWith({}), ReportKind::TensorMapMisuse,
               "finds no usable tensor map: these 128 bytes are no tensor map");
  MapObject damaged = object(box.map);
  damaged[20] ^= std::byte(4);
  expectReport(text, {1}, {64}, argsWith(damaged), ReportKind::TensorMapMisuse,
               "the tensor map was changed after it was made");
  expectMisuse(replaced(text, "fence.proxy.async; bar.sync 0;",
                        "add.s64 %d1, %d1, 16; bar.sync 0;"),
               "needs a tensor map at a multiple of 64, found address 0x7f03");
  expectMisuse(replaced(text, "fence.proxy.async; bar.sync 0;",
                        "cvt.u64.u32 %d1, %r1; cvta.shared.u64 %d1, %d1; "
                        "bar.sync 0;"),
               "found an address in .shared memory");
  expectMisuse(replaced(text, "fence.proxy.async; bar.sync 0;",
                        "add.s64 %d1, %d1, 64; bar.sync 0;"),
               "reads a tensor map of 128 bytes at offset 64 of the 152 bytes "
               "of .param memory",
               ReportKind::OutOfBounds);
  expectMisuse(replaced(text, "fence.proxy.async; bar.sync 0;",
                        "mov.u64 %d1, 4096; bar.sync 0;"),
               "128 bytes at 0x1000 are in no buffer", ReportKind::OutOfBounds);
  for (const char *other : {"1", "3"}) {
    std::string form =
        replaced(text, "tensor.2d.", "tensor." + std::string(other) + "d.");
    form = replaced(form, "{%r20, %r21}",
                    other[0] == '1' ? "{%r20}" : "{%r20, %r21, 0}");
    expectMisuse(form, std::string("needs a tensor map of ") + other +
                           " dimensions, found one of 2");
  }
  std::string prefetch =
      mapText("cp.async.bulk.prefetch.tensor.3d.L2.global [%d1, {0, 0, 0}];");
  expectMisuse(prefetch, "needs a tensor map of 3 dimensions, found one of 2");
  expectReport(mapText("prefetch.tensormap [%d1];"), {1}, {64}, argsWith({}),
               ReportKind::TensorMapMisuse, "no tensor map");
}

TEST_F(TensorMisuseTest, FindsTensorsThatLeaveTheirBuffer) {
  std::string text = loadText(2);
  box.map.dims[1] = 65;
  expectMisuse(text, "64x65 elements of type f16 at 0x1000000000 leaves its "
                     "buffer in dimension 1: 65 elements 128 bytes apart end "
                     "at byte 8320, the buffer has 8192 there");
  box.map.dims[1] = 1;
  box.map.dims[0] = 4097;
  expectMisuse(text, "leaves its buffer in dimension 0: 4097 elements 2 bytes "
                     "apart end at byte 8194");
  // A row that is shorter than the stride ends the tensor before the buffer.
  box.map.dims[0] = 64;
  box.map.dims[1] = 64;
  box.map.address = buffer + 16;
  expectMisuse(text, "end at byte 8192, the buffer has 8176 there");
  box.map.dims[0] = 56;
  auto shorter = runSeed(text, {1}, {64}, args());
  EXPECT_TRUE(bool(shorter)) << shorter.report().str();
  box.map.dims[1] = uint64_t(1) << 32;
  box.map.strides[1] = (uint64_t(1) << 40) - 16;
  expectMisuse(text, "end at byte 2^64");
  box = plane(16, 64, 64, 64, 16);
  expectMisuse(text, "at 0x10 is in no buffer");
  box = plane(upload(tensor), 64, 64, 64, 16);
  ASSERT_TRUE(device.free(box.map.address));
  expectMisuse(text, "lies in a buffer that has been freed",
               ReportKind::UseAfterFree);
}

TEST_F(TensorMisuseTest, FindsBadPlacesInSharedMemory) {
  box.shared = 64;
  expectMisuse(loadText(2), "destination address is not a multiple of 128",
               ReportKind::Misaligned);
  expectMisuse(storeText(2, "cp.async.bulk.tensor.2d.global.shared::cta"),
               "source address is not a multiple of 128",
               ReportKind::Misaligned);
  box.shared = BoxRoom - 1024;
  expectMisuse(loadText(2), "writes to an mbarrier object",
               ReportKind::MbarrierMisuse);
  box.shared = BoxRoom + 1024;
  expectMisuse(loadText(2), "beyond the block's", ReportKind::OutOfBounds);
  // Fewer bytes than the barrier expects.
  box.shared = 0;
  expectMisuse(replaced(loadText(2), "[%r2], %r30;", "[%r2], 2064;"),
               "16 bytes are outstanding", ReportKind::Deadlock);
}

TEST_F(TensorMisuseTest, FindsBadStores) {
  std::string store = "cp.async.bulk.tensor.2d.global.shared::cta";
  box.at[1] = -1;
  expectMisuse(storeText(2, store), "writes a box that starts at coordinate -1 "
                                    "of dimension 1, expected one of at least "
                                    "0");
  box.at[1] = 0;
  struct Bad {
    const char *operation;
    Type type;
    const char *expected;
  };
  const char *words = "u32, s32, u64 or s64";
  const char *ordered = "u32, s32, u64, s64, f16 or bf16";
  const char *added = "u32, s32, u64, f32, f16 or bf16";
  const Bad all[] = {
      {"add", Type::U8, added},    {"add", Type::F64, added},
      {"add", Type::S64, added},   {"min", Type::F32, ordered},
      {"max", Type::U16, ordered}, {"inc", Type::S32, "u32"},
      {"dec", Type::U64, "u32"},   {"and", Type::F32, words},
      {"or", Type::U8, words},     {"xor", Type::F16, words},
  };
  for (const Bad &bad : all) {
    box.map.type = bad.type;
    box.map.box[0] = 16;
    box.map.dims[0] = 16;
    expectMisuse(storeText(2, std::string("cp.reduce.async.bulk.tensor.2d."
                                          "global.shared::cta.") +
                                  bad.operation),
                 std::string("needs a tensor map of type ") + bad.expected +
                     ", found " + name(bad.type));
  }
}

/// Makes a map of zeros with replace in shared memory, publishes it and loads.
std::string replacingText() {
  std::string make =
      "setp.lt.u32 %p6, %r10, 32; @!%p6 bra MADE;\n"
      "shl.b32 %r40, %r10, 2; add.u32 %r41, %r1, %r40; add.u32 %r41, %r41, "
      "16384;\n"
      "mov.u32 %r42, 0; st.shared.u32 [%r41], %r42; bar.warp.sync 0xffffffff;\n"
      "@!%p1 bra PUBLISH;\n"
      "add.u32 %r43, %r1, 16384; mov.u32 %r44, 64; mov.u32 %r45, 16;\n"
      "mov.u32 %r46, 1; ld.param.u64 %d10, [map+16];\n";
  auto replace = [&](const std::string &field, const std::string &operands,
                     const std::string &type = "b32") {
    make += "tensormap.replace.tile." + field + ".shared::cta.b1024." + type +
            " [%r43], " + operands + ";\n";
  };
  replace("global_address", "%d10", "b64");
  replace("rank", "%r46");
  replace("box_dim", "0, %r44");
  replace("box_dim", "1, %r45");
  replace("global_dim", "0, %r44");
  replace("global_dim", "1, %r44");
  replace("global_stride", "0, 128", "b64");
  replace("element_stride", "0, 1");
  replace("element_stride", "1, %r46");
  replace("elemtype", "6");
  replace("interleave_layout", "0");
  replace("swizzle_mode", "3");
  replace("fill_mode", "1");
  make += "PUBLISH: bar.warp.sync 0xffffffff; add.u32 %r43, %r1, 16384;\n"
          "tensormap.cp_fenceproxy.global.shared::cta.tensormap::generic."
          "release.gpu.sync.aligned [%d4], [%r43], 128;\n"
          "MADE: bar.sync 0;\n"
          "fence.proxy.tensormap::generic.acquire.gpu [%d4], 128;\n";
  return replaced(replaced(loadText(2), "[%d1, {", "[%d4, {"),
                  "@!%p1 bra WAIT;", make + "@!%p1 bra WAIT;");
}

TEST_F(TensorMisuseTest, MapsThatAKernelMakes) {
  // The output is the place of the map and is then overwritten.
  box.map.swizzle = Swizzle::B128;
  expectClean(replacingText(), {1}, {64}, args(), [&] { checkLoaded(); });
  // A map that was never finished.
  expectMisuse(replaced(replacingText(),
                        "tensormap.replace.tile.box_dim.shared::cta.b1024.b32 "
                        "[%r43], 1, %r45;",
                        ""),
               "tensor map: box[1] is 0, expected 1 to 256");
  expectMisuse(
      replaced(replacingText(), "mov.u32 %r46, 1;", "mov.u32 %r46, 5;"),
      "tensor map: rank is 6, expected 1 to 5");
  expectMisuse(
      replaced(replacingText(), "mov.u32 %r45, 16;", "mov.u32 %r45, 70000;"),
      "tensor map: box[1] is 70000, expected at most 256");
  expectMisuse(replaced(replacingText(),
                        "element_stride.shared::cta.b1024.b32 "
                        "[%r43], 1, %r46",
                        "element_stride.shared::cta.b1024.b32 [%r43], 1, 300"),
               "tensor map: elementStrides[1] is 300, expected at most 8");
  expectMisuse(replaced(replacingText(),
                        "add.u32 %r43, %r1, 16384; mov.u32 "
                        "%r44",
                        "add.u32 %r43, %r1, 16400; mov.u32 %r44"),
               "needs a tensor map at a multiple of 64");
  expectMisuse(
      replaced(replacingText(), "mov.u32 %r42, 0;", "mov.u32 %r42, 7;"),
      "these 128 bytes are no tensor map");
}

TEST_F(TensorMisuseTest, ReplacesFieldsOfMapsInGlobalMemory) {
  std::vector<uint8_t> bytes(256);
  MapObject map = object(box.map);
  std::memcpy(bytes.data() + 64, map.data(), map.size());
  uint64_t place = upload(bytes) + 64;
  box.map.strides[1] = 256;
  box.map.dims[1] = 32;
  for (const char *space : {".global", ""}) {
    std::string fields =
        "mov.u64 %d1, " + std::to_string(place) + ";\n@!%p1 bra WAIT;\n";
    fields += std::string("tensormap.replace.tile.global_stride") + space +
              ".b1024.b64 [%d1], 0, 256;\n"
              "tensormap.replace.tile.global_dim" +
              space +
              ".b1024.b32 [%d1], 1, 32;\n"
              "fence.proxy.tensormap::generic.release.gpu;\n"
              "fence.proxy.tensormap::generic.acquire.gpu [%d1], 128;\n";
    std::string text = replaced(loadText(2), "@!%p1 bra WAIT;\n", fields);
    expectClean(text, {1}, {64}, argsWith({}), [&] { checkLoaded(); });
    // A store damages the map.
    expectReport(replaced(text, "fence.proxy.tensormap::generic.release.gpu;",
                          "st.global.u32 [%d1+24], %r10;"),
                 {1}, {64}, argsWith({}), ReportKind::TensorMapMisuse,
                 "the tensor map was changed after it was made");
    ASSERT_TRUE(device.copyIn(place, map.data(), map.size()));
  }
}

TEST_F(TensorMisuseTest, RefusesFormsByName) {
  auto refuse = [&](const std::string &line, const std::string &part) {
    SCOPED_TRACE(line.substr(0, 200));
    expectRefused(
        mapText("mov.u16 %h1, 1; mov.u64 %d5, 0; mov.u32 %r3, 0;\n" + line),
        part);
  };
  std::string load = "cp.async.bulk.tensor.3d.shared::cluster.global.";
  std::string rest = "mbarrier::complete_tx::bytes [%r1], [%d1, {%r3, %r3, "
                     "%r3}], [%r2]";
  refuse(load + "im2col." + rest + ", {%h1};",
         "mode '.im2col' is not supported");
  refuse(load + "im2col::w." + rest + ", {%h1, %h1};",
         "mode '.im2col::w' is not supported");
  refuse("cp.async.bulk.tensor.2d.shared::cluster.global.tile::gather4.mbarrier"
         "::complete_tx::bytes [%r1], [%d1, {%r3, %r3, %r3, %r3, %r3}], [%r2];",
         "mode '.tile::gather4' is not supported");
  refuse("cp.async.bulk.tensor.2d.global.shared::cta.tile::scatter4.bulk_group "
         "[%d1, {%r3, %r3, %r3, %r3, %r3}], [%r1];",
         "mode '.tile::scatter4' is not supported");
  refuse("cp.async.bulk.tensor.3d.global.shared::cta.im2col_no_offs.bulk_group "
         "[%d1, {%r3, %r3, %r3}], [%r1];",
         "mode '.im2col_no_offs' is not supported");
  refuse(load + rest.substr(0, 28) + ".cta_group::1" + rest.substr(28) + ";",
         "mode '.cta_group::1' is not supported");
  refuse("cp.async.bulk.tensor.6d.shared::cluster.global." + rest + ";",
         "expected '.1d' to '.5d'");
  refuse(load + "tile.tile." + rest + ";", "modifier '.tile' is not supported");
  refuse("cp.async.bulk.tensor.3d.shared::cluster." + rest + ";",
         "expected '.shared::cluster.global'");
  refuse(load + "bulk_group [%r1], [%d1, {%r3, %r3, %r3}], [%r2];",
         "expected '.global.shared::cta'");
  refuse(load.substr(0, load.size() - 1) +
             " [%r1], [%d1, {%r3, %r3, %r3}], [%r2];",
         "expected '.mbarrier::complete_tx::bytes'");
  refuse("cp.async.bulk.tensor.3d.shared::cta.global.multicast::cluster." +
             rest + ", %h1;",
         "'.multicast::cluster' needs '.shared::cluster'");
  refuse(load + "multicast::cluster." + rest + ";",
         "expected 4 operands, found 3");
  refuse(load + rest + ", %d5;", "expected 3 operands, found 4");
  refuse(load + "mbarrier::complete_tx::bytes [%r1], [%d1, {%r3, %r3}], [%r2];",
         "expected 3 coordinates, found 2");
  refuse(load + "mbarrier::complete_tx::bytes [%r1], [%d1], [%r2];",
         "expected '[tensor map, {coordinates}]'");
  refuse(load + "mbarrier::complete_tx::bytes [%r1], [%d1, %r3], [%r2];",
         "expected '[tensor map, {coordinates}]'");
  refuse(load +
             "mbarrier::complete_tx::bytes [%r1], [%d1+64, {%r3, %r3, %r3}], "
             "[%r2];",
         "displacement behind the address of a tensor map");
  refuse(load + "mbarrier::complete_tx::bytes [%r1], [map, {%r3, %r3, %r3}], "
                "[%r2];",
         "'map' lies in .param memory");
  refuse(load + "mbarrier::complete_tx::bytes [%r1], [%r2, {%r3, %r3, %r3}], "
                "[%r2];",
         "register %r2 of type .b32 does not hold a .b64");
  refuse(load + "mbarrier::complete_tx::bytes [%r1], [%d1, {%r3, %d1, %r3}], "
                "[%r2];",
         "register of 8 bytes for a .s32");
  refuse("ld.global.u32 %r3, [%d1, {%r3}];", "coordinates behind an address");
  refuse("cp.reduce.async.bulk.tensor.1d.global.shared::cta.bulk_group "
         "[%d1, {%r3}], [%r1];",
         "expected a reduction");
  refuse("cp.reduce.async.bulk.tensor.1d.global.shared::cta.cas.bulk_group "
         "[%d1, {%r3}], [%r1];",
         "modifier '.cas' is not supported");
  refuse("cp.async.bulk.tensor.1d.global.shared::cta.add.bulk_group "
         "[%d1, {%r3}], [%r1];",
         "modifier '.add' is not supported");
  refuse("cp.async.bulk.tensor.1d.global.shared::cta.mbarrier::complete_tx::"
         "bytes [%d1, {%r3}], [%r1];",
         "expected '.bulk_group'");
  refuse("cp.async.bulk.prefetch.tensor.1d.global [%d1, {%r3}];",
         "expected '.L2.global'");
  std::string deep;
  for (int i = 0; i < 100000; ++i)
    deep += "[%r3, ";
  refuse("mov.u32 %r3, " + deep + ";", "operand is nested too deep");
  // Fields of maps.
  std::string replace = "tensormap.replace.tile.";
  refuse(replace + "swizzle_atomicity.shared::cta.b1024.b32 [%r1], 0;",
         "field '.swizzle_atomicity' is not supported");
  refuse(replace + "elemtype.shared::cta.b1024.b32 [%r1], 11;",
         "element type tf32 is not supported");
  refuse(replace + "elemtype.shared::cta.b1024.b32 [%r1], 8;",
         "element type f32.ftz is not supported");
  refuse(replace + "elemtype.shared::cta.b1024.b32 [%r1], 13;",
         "element type 13 is not supported");
  refuse(replace + "elemtype.shared::cta.b1024.b32 [%r1], 16;",
         "expected 0 to 15, found 16");
  refuse(replace + "elemtype.shared::cta.b1024.b32 [%r1], %r3;",
         "expected an integer constant");
  refuse(replace + "interleave_layout.shared::cta.b1024.b32 [%r1], 1;",
         "interleave layout 1 is not supported");
  refuse(replace + "swizzle_mode.shared::cta.b1024.b32 [%r1], 4;",
         "swizzle mode 4 is not supported");
  refuse(replace + "fill_mode.shared::cta.b1024.b32 [%r1], 2;",
         "expected 0 to 1, found 2");
  refuse(replace + "box_dim.shared::cta.b1024.b32 [%r1], 5, %r3;",
         "expected a dimension of 0 to 4, found 5");
  refuse(replace + "global_stride.shared::cta.b1024.b64 [%r1], 4, %d1;",
         "expected a dimension of 0 to 3, found 4");
  refuse(replace + "global_address.shared::cta.b1024.b32 [%r1], %r3;",
         "expected '.b64'");
  refuse(replace + "rank.shared::cta.b512.b32 [%r1], %r3;",
         "expected '.b1024'");
  refuse("tensormap.replace.im2col.rank.shared::cta.b1024.b32 [%r1], %r3;",
         "expected '.tile'");
  refuse("tensormap.cp_fenceproxy.global.shared::cta.tensormap::generic."
         "acquire.gpu.sync.aligned [%d1], [%r1], 128;",
         "expected '.release'");
  refuse("tensormap.cp_fenceproxy.global.shared::cta.tensormap::generic."
         "release.gpu.sync.aligned [%d1], [%r1], 64;",
         "expected a size of 128, found 64");
  refuse("tensormap.drop [%d1];", "modifier '.drop' is not supported");
  refuse("prefetch.tensormap.L2 [%d1];", "modifier '.L2' is not supported");
}

} // namespace
