//===- OpsAtomic.cpp - Atomic operations ------------------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// atom and red on global and shared memory. Lanes take their turn from the
// lowest; PTX leaves the order open.
//
//===----------------------------------------------------------------------===//

#include "MemoryAccess.h"

namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA {

namespace {

using S = ScalarType;

enum AtomicOperation {
  Add,
  Min,
  Max,
  Inc,
  Dec,
  And,
  Or,
  Xor,
  Exchange,
  CompareSwap
};

template <class T, int Operation> ROPEWALK_INLINE T combine(T old, T b, T c) {
  using U = UIntOf<T>;
  if constexpr (Operation == Add) {
    if constexpr (std::is_floating_point_v<T>) {
      T sum = old + b;
      if (sizeof(T) == 4 && sum != sum)
        return std::bit_cast<float>(0x7fffffff);
      return sum;
    } else {
      return T(U(old) + U(b));
    }
  } else if constexpr (Operation == Min) {
    return old < b ? old : b;
  } else if constexpr (Operation == Max) {
    return old > b ? old : b;
  } else if constexpr (Operation == Inc) {
    return old >= b ? 0 : old + 1;
  } else if constexpr (Operation == Dec) {
    return old == 0 || old > b ? b : old - 1;
  } else if constexpr (Operation == And) {
    return old & b;
  } else if constexpr (Operation == Or) {
    return old | b;
  } else if constexpr (Operation == Xor) {
    return old ^ b;
  } else if constexpr (Operation == Exchange) {
    return b;
  } else {
    return old == b ? c : old;
  }
}

template <class T, int Operation>
bool atomic(Warp &warp, const Inst &inst, uint32_t mask) {
  Access access;
  if (!resolve(warp, inst, mask, AccessKind::Atomic, sizeof(T), access))
    return false;
  const T *b = lanes<T>(warp, inst.op[2]);
  const T *c = Operation == CompareSwap ? lanes<T>(warp, inst.op[3]) : b;
  T *result = inst.op[1].offset == NoRow ? nullptr : lanes<T>(warp, inst.op[1]);
  forLanes(mask, [&](unsigned lane) {
    T *place = reinterpret_cast<T *>(access.host[lane]);
    T old = *place;
    T next = combine<T, Operation>(old, b[lane], c[lane]);
    // On f32, .add flushes subnormals in global memory.
    if constexpr (std::is_same_v<T, float>)
      if (inst.count == 2)
        next = flush(flush(old) + flush(b[lane]));
    *place = next;
    if (result)
      result[lane] = old;
  });
  return true;
}

Handler chooseAtomic(int operation, ScalarType type) {
  bool isWide = sizeOf(type) == 8;
  bool isSigned = type == S::S32 || type == S::S64;
  using U = uint32_t;
  using W = uint64_t;
#define ROPEWALK_ATOMIC(OP)                                                    \
  isWide ? Handler(&atomic<W, OP>) : Handler(&atomic<U, OP>)
  switch (operation) {
  case Add:
    if (type == S::F32)
      return &atomic<float, Add>;
    if (type == S::F64)
      return &atomic<double, Add>;
    return ROPEWALK_ATOMIC(Add);
  case Min:
    if (isSigned)
      return isWide ? Handler(&atomic<int64_t, Min>)
                    : Handler(&atomic<int32_t, Min>);
    return ROPEWALK_ATOMIC(Min);
  case Max:
    if (isSigned)
      return isWide ? Handler(&atomic<int64_t, Max>)
                    : Handler(&atomic<int32_t, Max>);
    return ROPEWALK_ATOMIC(Max);
  case Inc:
    return &atomic<U, Inc>;
  case Dec:
    return &atomic<U, Dec>;
  case And:
    return ROPEWALK_ATOMIC(And);
  case Or:
    return ROPEWALK_ATOMIC(Or);
  case Xor:
    return ROPEWALK_ATOMIC(Xor);
  case Exchange:
    return ROPEWALK_ATOMIC(Exchange);
  default:
    if (type == S::B16)
      return &atomic<uint16_t, CompareSwap>;
    return ROPEWALK_ATOMIC(CompareSwap);
  }
}

bool decodeAtomic(InstDecoder &d, Inst &inst) {
  bool returns = d.base() == "atom";
  if (!returns && d.take("async"))
    return decodeAsyncStore(d, inst);
  d.takeOneOf({"relaxed", "acquire", "release", "acq_rel"});
  d.takeOneOf({"cta", "cluster", "gpu", "sys"});
  Space space = Space::Generic;
  if (d.take("global"))
    space = Space::Global;
  else if (d.takeOneOf({"shared", "shared::cta"}) >= 0)
    space = Space::Shared;
  int operation = d.takeOneOf(
      {"add", "min", "max", "inc", "dec", "and", "or", "xor", "exch", "cas"});
  if (operation < 0)
    return d.unsupported("modifier '." + d.peek() + "'");
  if (!returns && operation >= Exchange)
    return d.unsupported("'exch' or 'cas' in 'red'");
  ScalarType type;
  bool ok = false;
  switch (operation) {
  case Add:
    ok = d.requireType(type, {S::U32, S::S32, S::U64, S::F32, S::F64});
    break;
  case Min:
  case Max:
    ok = d.requireType(type, {S::U32, S::S32, S::U64, S::S64});
    break;
  case Inc:
  case Dec:
    ok = d.requireType(type, {S::U32});
    break;
  case CompareSwap:
    ok = d.requireType(type, {S::B16, S::B32, S::B64});
    break;
  default:
    ok = d.requireType(type, {S::B32, S::B64});
    break;
  }
  unsigned first = returns ? 1 : 0;
  unsigned sources = operation == CompareSwap ? 2 : 1;
  uint32_t baseBytes = 0;
  if (!ok || !d.finish(first + 1 + sources) ||
      !d.address(first, space, inst.op[0], baseBytes, inst.offset))
    return false;
  inst.op[1] = {NoRow, 0};
  uint32_t bytes = 0;
  if (returns) {
    if (!d.wideDestination(d.operand(0), type, inst.op[1], bytes))
      return false;
    if (bytes != sizeOf(type))
      return d.failAt(d.operand(0),
                      std::string("expected a register of a .") + name(type));
  }
  for (unsigned i = 0; i < sources; ++i)
    if (!d.source(first + 1 + i, type, inst.op[2 + i]))
      return false;
  inst.cls = InstClass::Atomic;
  inst.data = uint32_t(space) << MemorySpaceShift | MemoryStrong |
              (baseBytes == 4 ? MemoryNarrowBase : 0);
  inst.count = type == S::F32 && space == Space::Global ? 2 : 1;
  if (space != Space::Shared)
    d.program().usesGlobalAtomics = true;
  inst.handler = chooseAtomic(operation, type);
  return true;
}

} // namespace

void addAtomicOpcodes(OpcodeTable &table) {
  table["atom"] = &decodeAtomic;
  table["red"] = &decodeAtomic;
}

} // namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA

#include "LanesEnd.h"
