//===- Lanes.h - Operations on 32 lanes at once -----------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Vectors of 32 lanes as clang vector types: one C++ operator is one
// instruction of the host or a few. Files that include this are compiled once
// for each instruction set, in a namespace of its own. The target is set by a
// pragma around this code and not by a compiler flag, so that no inline
// function of the standard library is ever compiled for an instruction set that
// the host may lack. Each such file ends with LanesEnd.h.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_LIB_EMULATOR_LANES_H
#define ROPEWALK_LIB_EMULATOR_LANES_H

#include "Decoder.h"
#include "Execution.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>

#ifndef ROPEWALK_EMULATOR_ISA
#define ROPEWALK_EMULATOR_ISA generic
#endif

#if defined(ROPEWALK_EMULATOR_V4)
#pragma clang attribute push(__attribute__((target("arch=x86-64-v4"))),        \
                             apply_to = function)
#elif defined(ROPEWALK_EMULATOR_V3)
#pragma clang attribute push(__attribute__((target("arch=x86-64-v3"))),        \
                             apply_to = function)
#endif
#pragma clang diagnostic ignored "-Wpsabi"

#define ROPEWALK_INLINE inline __attribute__((always_inline))
/// The same behind the parameters of a lambda.
#define ROPEWALK_INLINE_LAMBDA __attribute__((always_inline))

namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA {

template <class T> using Vec = T __attribute__((ext_vector_type(32)));
using LaneBits = Vec<bool>;

/// Signed integer of the size of T.
template <class T>
using IntOf = std::conditional_t<
    sizeof(T) == 1, int8_t,
    std::conditional_t<sizeof(T) == 2, int16_t,
                       std::conditional_t<sizeof(T) == 4, int32_t, int64_t>>>;
template <class T> using UIntOf = std::make_unsigned_t<IntOf<T>>;

ROPEWALK_INLINE LaneBits lanesOf(uint32_t mask) {
  return __builtin_bit_cast(LaneBits, mask);
}
/// Packs the result of a vector comparison into one bit a lane.
template <class M> ROPEWALK_INLINE uint32_t maskOf(M comparison) {
  return __builtin_bit_cast(uint32_t,
                            __builtin_convertvector(comparison, LaneBits));
}
template <class T>
ROPEWALK_INLINE Vec<T> select(uint32_t mask, Vec<T> a, Vec<T> b) {
  using I = IntOf<T>;
  return __builtin_convertvector(lanesOf(mask), Vec<I>) != 0 ? a : b;
}
template <class To, class From> ROPEWALK_INLINE To as(From value) {
  return __builtin_bit_cast(To, value);
}

template <class T> ROPEWALK_INLINE Vec<T> load(const void *row) {
  Vec<T> value;
  std::memcpy(&value, row, sizeof value);
  return value;
}
template <class T> ROPEWALK_INLINE Vec<T> get(const Warp &warp, Ref ref) {
  return load<T>(warp.bank[ref.bank] + ref.offset);
}
template <class T>
ROPEWALK_INLINE void put(Warp &warp, Ref ref, Vec<T> value, uint32_t mask) {
  std::byte *row = warp.bank[0] + ref.offset;
  if (mask != ~uint32_t(0)) [[unlikely]]
    value = select<T>(mask, value, load<T>(row));
  std::memcpy(row, &value, sizeof value);
}
ROPEWALK_INLINE void putPredicate(Warp &warp, Ref ref, uint32_t value,
                                  uint32_t mask) {
  if (ref.offset == NoRow)
    return;
  uint32_t &row = warp.predicate(ref.offset);
  row = (row & ~mask) | (value & mask);
}
/// The lanes of a row as an array.
template <class T> ROPEWALK_INLINE T *lanes(Warp &warp, Ref ref) {
  return reinterpret_cast<T *>(warp.bank[ref.bank] + ref.offset);
}

/// NVIDIA hardware returns this NaN from arithmetic on f32.
ROPEWALK_INLINE Vec<float> canonical(Vec<float> value) {
  return value == value ? value : as<Vec<float>>((Vec<int32_t>)(0x7fffffff));
}
ROPEWALK_INLINE Vec<double> canonical(Vec<double> value) { return value; }
/// Zero with the sign of the value where it is subnormal.
ROPEWALK_INLINE Vec<float> flush(Vec<float> value) {
  Vec<uint32_t> bits = as<Vec<uint32_t>>(value);
  return (bits & 0x7f800000u) == 0u ? as<Vec<float>>(bits & 0x80000000u)
                                    : value;
}
ROPEWALK_INLINE float flush(float value) {
  return std::fabs(value) < 0x1p-126f ? std::copysign(0.0f, value) : value;
}
/// [0, 1]; NaN becomes 0.
template <class T> ROPEWALK_INLINE Vec<T> saturate(Vec<T> value) {
  value = value > T(0) ? value : (Vec<T>)(T(0));
  return value < T(1) ? value : (Vec<T>)(T(1));
}

/// Runs `function` on the lanes of `mask`, lowest first.
template <class F> ROPEWALK_INLINE void forLanes(uint32_t mask, F function) {
  for (; mask; mask &= mask - 1)
    function(unsigned(std::countr_zero(mask)));
}

// The families of instructions.
void addIntegerOpcodes(OpcodeTable &table);
void addLogicOpcodes(OpcodeTable &table);
void addFloatOpcodes(OpcodeTable &table);
void addSpecialOpcodes(OpcodeTable &table);
void addHalfOpcodes(OpcodeTable &table);
void addCompareOpcodes(OpcodeTable &table);
void addMoveOpcodes(OpcodeTable &table);
void addConvertOpcodes(OpcodeTable &table);
void addMemoryOpcodes(OpcodeTable &table);
void addAtomicOpcodes(OpcodeTable &table);
void addWarpOpcodes(OpcodeTable &table);
void addControlOpcodes(OpcodeTable &table);
void addCallOpcodes(OpcodeTable &table);
void addFenceOpcodes(OpcodeTable &table);
void addCacheHintOpcodes(OpcodeTable &table);
void addExtendedOpcodes(OpcodeTable &table);
void addVideoOpcodes(OpcodeTable &table);
void addMatrixOpcodes(OpcodeTable &table);
void addMmaOpcodes(OpcodeTable &table);
void addWgmmaOpcodes(OpcodeTable &table);
void addRegisterOpcodes(OpcodeTable &table);
void addMbarrierOpcodes(OpcodeTable &table);
void addCopyOpcodes(OpcodeTable &table);
void addTensorMapOpcodes(OpcodeTable &table);
void addClusterOpcodes(OpcodeTable &table);

// Decoders of opcodes that integers and floats share; see OpsArithmetic.cpp.
bool decodeIntegerArithmetic(InstDecoder &d, Inst &inst);
bool decodeFloatArithmetic(InstDecoder &d, Inst &inst);
bool decodeHalfArithmetic(InstDecoder &d, Inst &inst);
/// Forms with ".cc"; `high` for the upper half of a product.
bool decodeCarry(InstDecoder &d, Inst &inst, bool high);
/// .u16x2, .s16x2 and ".relu" of integers.
bool decodePackedInteger(InstDecoder &d, Inst &inst);
/// cp.async.bulk.tensor and its reducing and prefetching forms, whole: no
/// modifier has been taken.
bool decodeTensorCopy(InstDecoder &d, Inst &inst);
bool decodeTensorMapPrefetch(InstDecoder &d, Inst &inst);
/// cp.async.bulk and cp.reduce.async.bulk, whole.
bool decodeBulkCopy(InstDecoder &d, Inst &inst);
/// st.async and red.async, behind "async".
bool decodeAsyncStore(InstDecoder &d, Inst &inst);
/// fence.proxy and fence.mbarrier_init, from "proxy" or "mbarrier_init" on.
bool decodeProxyFence(InstDecoder &d, Inst &inst);
/// Of a fence for tensor maps.
bool takeTensorMapScope(InstDecoder &d, Scope &scope);
/// barrier.cluster, behind "cluster".
bool decodeClusterBarrier(InstDecoder &d, Inst &inst);
const OpcodeTable *buildTable();

} // namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA

#endif // ROPEWALK_LIB_EMULATOR_LANES_H
