//===- OpsMemory.cpp - Loads and stores -------------------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// ld and st in all state spaces. Cache and eviction hints change no result and
// are accepted; everything that would change one is an error.
//
//===----------------------------------------------------------------------===//

#include "MemoryAccess.h"

namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA {

namespace {

using S = ScalarType;

template <unsigned Count>
using Words = uint32_t __attribute__((ext_vector_type(Count)));

/// Transposes each of the four blocks of 4 x 4 words: word j of block i of
/// result k is word k of block i of row j.
ROPEWALK_INLINE void transposeBlocks(Words<16> row[4]) {
  auto low = [](Words<16> a, Words<16> b) {
    return __builtin_shufflevector(a, b, 0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9,
                                   25, 12, 28, 13, 29);
  };
  auto high = [](Words<16> a, Words<16> b) {
    return __builtin_shufflevector(a, b, 2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11,
                                   27, 14, 30, 15, 31);
  };
  // Words 0 and 2, 1 and 3 first, so that the same two steps finish.
  Words<16> a = low(row[0], row[2]), b = low(row[1], row[3]);
  Words<16> c = high(row[0], row[2]), d = high(row[1], row[3]);
  row[0] = low(a, b);
  row[1] = high(a, b);
  row[2] = low(c, d);
  row[3] = high(c, d);
}

/// Four words a lane, all lanes.
ROPEWALK_INLINE void loadFours(Warp &warp, const Inst &inst,
                               const Access &access) {
  for (unsigned half = 0; half < 32; half += 16) {
    Words<16> row[4];
    for (unsigned j = 0; j < 4; ++j) {
      Words<4> part[4];
      for (unsigned i = 0; i < 4; ++i)
        std::memcpy(
            &part[i],
            reinterpret_cast<const void *>(access.host[half + 4 * i + j]), 16);
      Words<8> first =
          __builtin_shufflevector(part[0], part[1], 0, 1, 2, 3, 4, 5, 6, 7);
      Words<8> second =
          __builtin_shufflevector(part[2], part[3], 0, 1, 2, 3, 4, 5, 6, 7);
      row[j] = __builtin_shufflevector(first, second, 0, 1, 2, 3, 4, 5, 6, 7, 8,
                                       9, 10, 11, 12, 13, 14, 15);
    }
    transposeBlocks(row);
    for (unsigned j = 0; j < 4; ++j)
      if (inst.list[j].offset != NoRow)
        std::memcpy(lanes<uint32_t>(warp, inst.list[j]) + half, &row[j], 64);
  }
}

ROPEWALK_INLINE void storeFours(Warp &warp, const Inst &inst,
                                const Access &access) {
  alignas(64) uint32_t words[4][16];
  for (unsigned half = 0; half < 32; half += 16) {
    Words<16> row[4];
    for (unsigned j = 0; j < 4; ++j)
      std::memcpy(&row[j], lanes<uint32_t>(warp, inst.list[j]) + half, 64);
    transposeBlocks(row);
    for (unsigned j = 0; j < 4; ++j)
      std::memcpy(words[j], &row[j], 64);
    // In the order of the lanes: the last one of several at a place stays.
    for (unsigned i = 0; i < 16; ++i)
      std::memcpy(reinterpret_cast<void *>(access.host[half + i]),
                  words[i % 4] + i / 4 * 4, 16);
  }
}

/// Elements of T into registers of exactly that size.
template <class T> bool loadRows(Warp &warp, const Inst &inst, uint32_t mask) {
  Access access;
  unsigned count = inst.count;
  if (!resolve(warp, inst, mask, AccessKind::Load, uint32_t(sizeof(T)) * count,
               access))
    return false;
  if (access.isUniform) {
    const T *source =
        reinterpret_cast<const T *>(access.host[std::countr_zero(mask)]);
    for (unsigned part = 0; part < count; ++part)
      if (inst.list[part].offset != NoRow)
        put<T>(warp, inst.list[part], (Vec<T>)(source[part]), mask);
    return true;
  }
  if (access.isContiguous && count == 1) {
    put<T>(warp, inst.list[0],
           load<T>(reinterpret_cast<const void *>(access.host[0])), mask);
    return true;
  }
  if (sizeof(T) == 4 && count == 4 && mask == ~uint32_t(0)) {
    loadFours(warp, inst, access);
    return true;
  }
  for (unsigned part = 0; part < count; ++part) {
    if (inst.list[part].offset == NoRow)
      continue;
    T *target = lanes<T>(warp, inst.list[part]);
    if (mask == ~uint32_t(0)) {
      for (unsigned i = 0; i < 32; ++i)
        target[i] = reinterpret_cast<const T *>(access.host[i])[part];
      continue;
    }
    forLanes(mask, [&](unsigned i) {
      target[i] = reinterpret_cast<const T *>(access.host[i])[part];
    });
  }
  return true;
}

/// Elements of `size` bytes into wider registers of `inst.op[1].offset` bytes.
bool loadWide(Warp &warp, const Inst &inst, uint32_t mask) {
  Access access;
  uint32_t size = inst.data >> MemoryBytesShift;
  uint32_t width = inst.op[1].offset;
  if (!resolve(warp, inst, mask, AccessKind::Load, size * inst.count, access))
    return false;
  for (unsigned part = 0; part < inst.count; ++part) {
    if (inst.list[part].offset == NoRow)
      continue;
    std::byte *target = lanes<std::byte>(warp, inst.list[part]);
    forLanes(mask, [&](unsigned i) {
      uint64_t bits = 0;
      std::memcpy(&bits,
                  reinterpret_cast<const std::byte *>(access.host[i]) +
                      part * size,
                  size);
      unsigned shift = 64 - size * 8;
      if (inst.data & MemorySigned)
        bits = uint64_t(int64_t(bits << shift) >> shift);
      std::memcpy(target + i * width, &bits, width);
    });
  }
  return true;
}

void storedValue(Warp &warp, const Inst &inst, unsigned lane, std::byte *out) {
  uint32_t size = inst.data >> MemoryBytesShift;
  for (unsigned part = 0; part < inst.count; ++part) {
    // A constant has a row of its own size.
    uint32_t width = inst.list[part].bank ? size : inst.op[1].offset;
    std::memcpy(out + part * size,
                lanes<std::byte>(warp, inst.list[part]) + lane * width, size);
  }
}

template <class T> bool storeRows(Warp &warp, const Inst &inst, uint32_t mask) {
  Access access;
  unsigned count = inst.count;
  const uint32_t *row = sizeof(T) == 4 && count == 1
                            ? lanes<uint32_t>(warp, inst.list[0])
                            : nullptr;
  if (!resolve(warp, inst, mask, AccessKind::Store, uint32_t(sizeof(T)) * count,
               access, {&storedValue, row}))
    return false;
  if (access.isContiguous && count == 1) {
    Vec<T> value = get<T>(warp, inst.list[0]);
    std::memcpy(reinterpret_cast<void *>(access.host[0]), &value, sizeof value);
    return true;
  }
  if (sizeof(T) == 4 && count == 4 && mask == ~uint32_t(0)) {
    storeFours(warp, inst, access);
    return true;
  }
  for (unsigned part = 0; part < count; ++part) {
    const T *source = lanes<T>(warp, inst.list[part]);
    forLanes(mask, [&](unsigned i) {
      reinterpret_cast<T *>(access.host[i])[part] = source[i];
    });
  }
  return true;
}

bool storeWide(Warp &warp, const Inst &inst, uint32_t mask) {
  Access access;
  uint32_t size = inst.data >> MemoryBytesShift;
  if (!resolve(warp, inst, mask, AccessKind::Store, size * inst.count, access,
               {&storedValue, nullptr}))
    return false;
  for (unsigned part = 0; part < inst.count; ++part) {
    // A constant has a row of its own size.
    uint32_t width = inst.list[part].bank ? size : inst.op[1].offset;
    const std::byte *source = lanes<std::byte>(warp, inst.list[part]);
    forLanes(mask, [&](unsigned i) {
      std::memcpy(reinterpret_cast<std::byte *>(access.host[i]) + part * size,
                  source + i * width, size);
    });
  }
  return true;
}

/// Elements of 16 bytes.
bool loadQuads(Warp &warp, const Inst &inst, uint32_t mask) {
  Access access;
  if (!resolve(warp, inst, mask, AccessKind::Load, 16, access))
    return false;
  if (inst.list[0].offset == NoRow)
    return true;
  std::byte *target = lanes<std::byte>(warp, inst.list[0]);
  forLanes(mask, [&](unsigned i) {
    std::memcpy(target + i * 16, reinterpret_cast<const void *>(access.host[i]),
                16);
  });
  return true;
}

bool storeQuads(Warp &warp, const Inst &inst, uint32_t mask) {
  Access access;
  if (!resolve(warp, inst, mask, AccessKind::Store, 16, access,
               {&storedValue, nullptr}))
    return false;
  const std::byte *source = lanes<std::byte>(warp, inst.list[0]);
  forLanes(mask, [&](unsigned i) {
    std::memcpy(reinterpret_cast<void *>(access.host[i]), source + i * 16, 16);
  });
  return true;
}

bool takeMemorySpace(InstDecoder &d, bool isLoad, Space &space) {
  space = Space::Generic;
  if (d.take("global"))
    space = Space::Global;
  else if (d.takeOneOf({"shared", "shared::cta"}) >= 0)
    space = Space::Shared;
  else if (d.take("shared::cluster"))
    space = Space::SharedCluster;
  else if (d.take("local"))
    space = Space::Local;
  else if (isLoad && d.take("const"))
    space = Space::Const;
  else if (isLoad && d.takeOneOf({"param", "param::entry"}) >= 0)
    space = Space::Param;
  else if (d.peek() == "param" || d.peek() == "param::func" ||
           d.peek() == "param::entry" || d.peek() == "const")
    return d.unsupported("state space '." + d.peek() + "'");
  return true;
}

/// Hints that tell only how likely data is used again. Those for the second
/// level are for accesses of 32 bytes, which these chips do not have. With
/// `hasPolicy` the instruction has a cache policy as its last operand.
void takeHints(InstDecoder &d, Inst &inst, bool isLoad, bool &hasPolicy) {
  hasPolicy = false;
  while (true) {
    if (isLoad && d.take("nc")) {
      inst.data |= MemoryReadOnly;
      continue;
    }
    if (isLoad ? d.takeOneOf({"ca", "cg", "cs", "lu", "cv"}) >= 0
               : d.takeOneOf({"wb", "cg", "cs", "wt"}) >= 0)
      continue;
    if (d.takeOneOf({"L1::evict_normal", "L1::evict_unchanged",
                     "L1::evict_first", "L1::evict_last", "L1::no_allocate"}) >=
        0)
      continue;
    if (isLoad && d.takeOneOf({"L2::64B", "L2::128B", "L2::256B"}) >= 0)
      continue;
    if (d.take("L2::cache_hint")) {
      hasPolicy = true;
      continue;
    }
    return;
  }
}

bool isSignedType(ScalarType type) { return type >= S::S8 && type <= S::S64; }

InstClass classOf(Space space, bool isLoad) {
  switch (space) {
  case Space::Shared:
  case Space::SharedCluster:
    return isLoad ? InstClass::SharedLoad : InstClass::SharedStore;
  case Space::Local:
    return InstClass::LocalAccess;
  case Space::Const:
  case Space::Param:
    return InstClass::ParameterLoad;
  default:
    return isLoad ? InstClass::GlobalLoad : InstClass::GlobalStore;
  }
}

bool decodeLoadStore(InstDecoder &d, Inst &inst) {
  bool isUniform = d.base() == "ldu", isLoad = isUniform || d.base() == "ld";
  if (!isLoad && d.take("async"))
    return decodeAsyncStore(d, inst);
  int order =
      isUniform ? -1 : d.takeOneOf({"relaxed", isLoad ? "acquire" : "release"});
  if (order >= 0) {
    inst.data |= MemoryStrong;
    if (order == 1)
      inst.data |= isLoad ? MemoryAcquire : MemoryRelease;
    if (!takeScope(d, inst))
      return d.fail("expected a scope");
  } else if (!isUniform && d.take("volatile")) {
    inst.data |= MemoryStrong; // Like .relaxed.sys.
  } else if (!isUniform) {
    d.take("weak");
  }
  Space space;
  if (!takeMemorySpace(d, isLoad, space))
    return false;
  bool isPrivate =
      space == Space::Local || space == Space::Const || space == Space::Param;
  if (isPrivate && inst.data & MemoryStrong)
    return d.unsupported(std::string("a strong access to .") + name(space) +
                         " memory");
  if (isUniform)
    inst.data |= MemoryReadOnly;
  if (isUniform && space != Space::Global && space != Space::Generic)
    return d.unsupported(std::string("'ldu' of .") + name(space) + " memory");
  bool hasPolicy = false;
  takeHints(d, inst, isLoad, hasPolicy);
  unsigned count = d.take("v2") ? 2 : d.take("v4") ? 4 : 1;
  ScalarType type;
  if (!d.requireType(type,
                     {S::B8, S::B16, S::B32, S::B64, S::U8, S::U16, S::U32,
                      S::U64, S::S8, S::S16, S::S32, S::S64, S::F16, S::BF16,
                      S::F16x2, S::BF16x2, S::F32, S::F64, S::B128}) ||
      !d.finish(hasPolicy ? 3 : 2))
    return false;
  // A policy is only a hint, but has to be there.
  Ref policy;
  if (hasPolicy && !d.source(2, S::B64, policy))
    return false;
  if (inst.data & MemoryStrong) {
    if (space == Space::Global || space == Space::Generic)
      d.program().communicates = true;
    if (inst.data & MemoryAcquire)
      d.program().synchronizes = true;
  }
  uint32_t size = sizeOf(type);
  if (size * count > 16)
    return d.unsupported("an access of more than 16 bytes");
  inst.cls = classOf(space, isLoad);
  inst.count = uint8_t(count);
  uint32_t baseBytes = 0;
  if (!d.address(isLoad ? 1 : 0, space, inst.op[0], baseBytes, inst.offset))
    return false;
  const OperandSyntax &value = d.operand(isLoad ? 0 : 1);
  bool isVector = value.kind == OperandSyntax::Vector;
  // A vector of one register, as Triton writes it, is that register.
  if (isVector ? value.parts.size() != count : count > 1)
    return d.failAt(
        value,
        "expected " +
            (count > 1 ? "a vector of " + std::to_string(count) + " registers"
                       : std::string("one register")));
  uint32_t width = 0;
  for (unsigned part = 0; part < count; ++part) {
    const OperandSyntax &element = isVector ? value.parts[part] : value;
    uint32_t bytes = 0;
    if (!(isLoad ? d.wideDestination(element, type, inst.list[part], bytes)
                 : d.wideSource(element, type, inst.list[part], bytes)))
      return false;
    bool decides = element.kind == OperandSyntax::RegisterName;
    if (decides && width && width != bytes)
      return d.failAt(element, "registers of different sizes");
    if (bytes > 8 && size <= 8)
      return d.failAt(element, "128-bit register in a load or store");
    if (decides)
      width = bytes;
  }
  width = width ? width : size;
  inst.op[1].offset = width;
  inst.data |= uint32_t(space) << MemorySpaceShift | size << MemoryBytesShift;
  if (baseBytes == 4)
    inst.data |= MemoryNarrowBase;
  if (isSignedType(type))
    inst.data |= MemorySigned;
  if (size == 16) {
    inst.handler = isLoad ? &loadQuads : &storeQuads;
    return true;
  }
  if (width != size || size == 1) {
    inst.handler = isLoad ? &loadWide : &storeWide;
    return true;
  }
  inst.handler =
      size == 2   ? (isLoad ? &loadRows<uint16_t> : &storeRows<uint16_t>)
      : size == 4 ? (isLoad ? &loadRows<uint32_t> : &storeRows<uint32_t>)
                  : (isLoad ? &loadRows<uint64_t> : &storeRows<uint64_t>);
  return true;
}

} // namespace

void addMemoryOpcodes(OpcodeTable &table) {
  table["ld"] = &decodeLoadStore;
  table["ldu"] = &decodeLoadStore;
  table["st"] = &decodeLoadStore;
}

} // namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA

#include "LanesEnd.h"
