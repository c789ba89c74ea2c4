//===- OpsAtomic.cpp - Atomic operations ------------------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// atom and red on global and shared memory. Lanes take their turn from the
// lowest; PTX leaves the order open. An operation that changes nothing is no
// progress, and one that is repeated with the same outcome is a poll: so a lock
// that is taken does not keep the warp that holds it from running.
//
//===----------------------------------------------------------------------===//

#include "Cluster.h"
#include "MemoryAccess.h"
#include "Rounding.h"

namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA {

namespace {

using S = ScalarType;
using U128 = unsigned __int128;

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

/// Elements of f16 and bf16, alone or in pairs.
template <class Bits, bool IsBFloat> struct HalfElement {
  Bits bits;
  static FloatFormat format() { return IsBFloat ? BFloat : Half; }
};

template <class T> struct IsHalfElement : std::false_type {};
template <class Bits, bool IsBFloat>
struct IsHalfElement<HalfElement<Bits, IsBFloat>> : std::true_type {};

uint16_t combineHalf(int operation, FloatFormat format, uint16_t old,
                     uint16_t value) {
  double a = decodeFloat(old, format), b = decodeFloat(value, format);
  // The sum is exact in double, so that it is rounded once.
  if (operation == Add)
    return uint16_t(encodeFloat(a + b, format, Rounding::NearestEven));
  if (a != a && b != b)
    return uint16_t(format.nan);
  if (a != a || b != b)
    return a != a ? value : old;
  // -0 is less than +0.
  bool isLess = a != b ? a < b : bool(old >> 15) && !(value >> 15);
  return isLess == (operation == Min) ? old : value;
}

template <class T, int Operation>
ROPEWALK_INLINE T combine(T old, T b, T c, bool flushes) {
  if constexpr (IsHalfElement<T>::value) {
    T result{};
    for (unsigned i = 0; i < sizeof(T) / 2; ++i)
      result.bits |= decltype(result.bits)(
          uint32_t(combineHalf(Operation, T::format(),
                               uint16_t(old.bits >> i * 16),
                               uint16_t(b.bits >> i * 16)))
          << i * 16);
    return result;
  } else if constexpr (Operation == Add) {
    if constexpr (std::is_same_v<T, float>) {
      // On f32, .add flushes subnormals in global memory.
      float sum = flushes ? flush(flush(old) + flush(b)) : old + b;
      return sum != sum ? std::bit_cast<float>(0x7fffffff) : sum;
    } else if constexpr (std::is_floating_point_v<T>) {
      return old + b;
    } else {
      using U = UIntOf<T>;
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

/// What lane `lane` has done to the causality order.
void synchronizeLane(Warp &warp, const Inst &inst, const Access &access,
                     unsigned lane, uint32_t bytes, bool writes) {
  Location location{access.rank[lane], access.place[lane], bytes};
  SyncLocations &sync = warp.block->cluster.sync;
  uint32_t bits = inst.data >> MemoryScopeShift & 3;
  Scope scope = bits ? Scope(bits) : Scope::Device;
  bool acquires = inst.data & MemoryAcquire;
  bool returns = inst.op[1].offset != NoRow || inst.extraCount > inst.count;
  if (writes)
    sync.modify(warp, lane, location, scope, acquires,
                inst.data & MemoryRelease, returns);
  else if (returns)
    sync.read(warp, uint32_t(1) << lane, location, scope, acquires);
}

/// After the lanes' operations.
void noteOutcome(Warp &warp, const Inst &inst, bool changed, bool returns,
                 uint64_t state) {
  Cluster &cluster = warp.block->cluster;
  if (changed)
    ++cluster.progress;
  else if (returns && cluster.sync.repeats(warp, inst, state))
    warp.yields = true;
}

template <class T> ROPEWALK_INLINE uint64_t hashOf(uint64_t state, T value) {
  uint64_t bits[2] = {0, 0};
  std::memcpy(bits, &value, sizeof value);
  return mixState(mixState(state ^ bits[0]) ^ bits[1]);
}

template <class T, int Operation>
bool atomic(Warp &warp, const Inst &inst, uint32_t mask) {
  Access access;
  if (!resolve(warp, inst, mask, AccessKind::Atomic, sizeof(T), access))
    return false;
  const T *b = lanes<T>(warp, inst.op[2]);
  const T *c = Operation == CompareSwap ? lanes<T>(warp, inst.op[3]) : b;
  T *result = inst.op[1].offset == NoRow ? nullptr : lanes<T>(warp, inst.op[1]);
  bool changed = false;
  uint64_t state = mask;
  forLanes(mask, [&](unsigned lane) {
    T *place = reinterpret_cast<T *>(access.host[lane]);
    T old = *place, operand = b[lane], other = c[lane];
    T next = combine<T, Operation>(old, operand, other,
                                   !(access.sharedLanes >> lane & 1));
    changed |= std::memcmp(&next, &old, sizeof(T)) != 0;
    *place = next;
    if (result)
      result[lane] = old;
    state = hashOf(hashOf(mixState(state ^ access.host[lane]), operand), old);
    if (access.hasPlaces) [[unlikely]]
      synchronizeLane(warp, inst, access, lane, sizeof(T),
                      Operation != CompareSwap ||
                          !std::memcmp(&old, &operand, sizeof(T)));
  });
  noteOutcome(warp, inst, changed, result, state);
  return true;
}

/// inst.count elements of a vector, each by itself. Program::operands holds the
/// sources and, behind them, the destinations of atom.
template <class T, int Operation>
bool atomicVector(Warp &warp, const Inst &inst, uint32_t mask) {
  Access access;
  uint32_t bytes = uint32_t(sizeof(T)) * inst.count;
  if (!resolve(warp, inst, mask, AccessKind::Atomic, bytes, access))
    return false;
  const Ref *refs = warp.block->program.operands.data() + inst.extra;
  bool returns = inst.extraCount > inst.count, changed = false;
  uint64_t state = mask;
  forLanes(mask, [&](unsigned lane) {
    T *place = reinterpret_cast<T *>(access.host[lane]);
    for (unsigned i = 0; i < inst.count; ++i) {
      T old = place[i], operand = lanes<T>(warp, refs[i])[lane];
      T next = combine<T, Operation>(old, operand, operand, true);
      changed |= std::memcmp(&next, &old, sizeof(T)) != 0;
      place[i] = next;
      if (returns && refs[inst.count + i].offset != NoRow)
        lanes<T>(warp, refs[inst.count + i])[lane] = old;
      state = hashOf(hashOf(mixState(state ^ access.host[lane]), operand), old);
    }
    if (access.hasPlaces)
      synchronizeLane(warp, inst, access, lane, bytes, true);
  });
  noteOutcome(warp, inst, changed, returns, state);
  return true;
}

template <class T> Handler chooseVector(int operation) {
  return operation == Add   ? &atomicVector<T, Add>
         : operation == Min ? &atomicVector<T, Min>
                            : &atomicVector<T, Max>;
}

Handler chooseVector(int operation, ScalarType type) {
  switch (type) {
  case S::F32:
    return &atomicVector<float, Add>;
  case S::F16:
    return chooseVector<HalfElement<uint16_t, false>>(operation);
  case S::BF16:
    return chooseVector<HalfElement<uint16_t, true>>(operation);
  case S::F16x2:
    return chooseVector<HalfElement<uint32_t, false>>(operation);
  default:
    return chooseVector<HalfElement<uint32_t, true>>(operation);
  }
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
    switch (type) {
    case S::F32:
      return &atomic<float, Add>;
    case S::F64:
      return &atomic<double, Add>;
    case S::F16:
      return &atomic<HalfElement<uint16_t, false>, Add>;
    case S::BF16:
      return &atomic<HalfElement<uint16_t, true>, Add>;
    case S::F16x2:
      return &atomic<HalfElement<uint32_t, false>, Add>;
    case S::BF16x2:
      return &atomic<HalfElement<uint32_t, true>, Add>;
    default:
      return ROPEWALK_ATOMIC(Add);
    }
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
    return type == S::B128 ? Handler(&atomic<U128, Exchange>)
                           : ROPEWALK_ATOMIC(Exchange);
  default:
    return type == S::B16    ? Handler(&atomic<uint16_t, CompareSwap>)
           : type == S::B128 ? Handler(&atomic<U128, CompareSwap>)
                             : ROPEWALK_ATOMIC(CompareSwap);
  }
#undef ROPEWALK_ATOMIC
}

/// The modifiers behind the state space. ptxas takes them in any order.
struct AtomicForm {
  int operation = -1;
  ScalarType type = S::None;
  unsigned count = 1;
  bool noFlush = false, hasPolicy = false;
  int order = -1;
  bool hasScope = false;
  Space space = Space::Generic;
};

bool takeSpace(InstDecoder &d, Space &space) {
  if (d.take("global"))
    space = Space::Global;
  else if (d.takeOneOf({"shared", "shared::cta"}) >= 0)
    space = Space::Shared;
  else if (d.take("shared::cluster"))
    space = Space::SharedCluster;
  return space != Space::Generic;
}

/// Modifiers in any order: CUDA's headers write "atom.add.release.gpu.u32" and
/// Triton "atom.global.gpu.acq_rel.add.f32".
bool takeForm(InstDecoder &d, Inst &inst, bool returns, AtomicForm &form) {
  while (!d.peek().empty()) {
    if (form.order < 0) {
      form.order =
          returns ? d.takeOneOf({"relaxed", "release", "acquire", "acq_rel"})
                  : d.takeOneOf({"relaxed", "release"});
      if (form.order >= 0)
        continue;
    }
    if (!form.hasScope && takeScope(d, inst)) {
      form.hasScope = true;
      continue;
    }
    if (form.space == Space::Generic && takeSpace(d, form.space))
      continue;
    int operation = form.operation < 0
                        ? d.takeOneOf({"add", "min", "max", "inc", "dec", "and",
                                       "or", "xor", "exch", "cas"})
                        : -1;
    if (operation >= 0) {
      form.operation = operation;
      continue;
    }
    int vector = form.count == 1 ? d.takeOneOf({"v2", "v4", "v8"}) : -1;
    if (vector >= 0) {
      form.count = 2u << vector;
      continue;
    }
    if (!form.noFlush && d.take("noftz")) {
      form.noFlush = true;
      continue;
    }
    if (!form.hasPolicy && d.take("L2::cache_hint")) {
      form.hasPolicy = true;
      continue;
    }
    if (form.type == S::None)
      form.type = d.takeType();
    else
      return d.unsupported("modifier '." + d.peek() + "'");
    if (form.type == S::None)
      return d.unsupported("modifier '." + d.peek() + "'");
  }
  if (form.operation < 0)
    return d.fail("an operation is missing");
  return form.type != S::None || d.fail("a type is missing");
}

bool isHalf(ScalarType type) {
  return type == S::F16 || type == S::BF16 || type == S::F16x2 ||
         type == S::BF16x2;
}

bool isAllowed(const AtomicForm &form) {
  auto isOneOf = [&](std::initializer_list<ScalarType> types) {
    return std::find(types.begin(), types.end(), form.type) != types.end();
  };
  if (isHalf(form.type))
    return form.operation == Add ||
           (form.count > 1 && (form.operation == Min || form.operation == Max));
  switch (form.operation) {
  case Add:
    return isOneOf({S::U32, S::S32, S::U64, S::F32, S::F64});
  case Min:
  case Max:
    return isOneOf({S::U32, S::S32, S::U64, S::S64});
  case Inc:
  case Dec:
    return isOneOf({S::U32});
  case Exchange:
    return isOneOf({S::B32, S::B64, S::B128});
  case CompareSwap:
    return isOneOf({S::B16, S::B32, S::B64, S::B128});
  default:
    return isOneOf({S::B32, S::B64});
  }
}

bool checkForm(InstDecoder &d, const AtomicForm &form, bool returns,
               Space space) {
  static const char *const names[] = {"add", "min", "max", "inc",  "dec",
                                      "and", "or",  "xor", "exch", "cas"};
  std::string what =
      std::string("'") + names[form.operation] + "' on ." + name(form.type);
  if (!returns && form.operation >= Exchange)
    return d.unsupported("'exch' or 'cas' in 'red'");
  if (!isAllowed(form))
    return d.unsupported(what);
  if (isHalf(form.type) != form.noFlush)
    return d.fail(form.noFlush ? "unexpected '.noftz'" : "expected '.noftz'");
  if (form.count == 1)
    return true;
  bool isVector = form.type == S::F32 || isHalf(form.type);
  if (!isVector || sizeOf(form.type) * form.count > 16)
    return d.unsupported(what + " in vectors of " + std::to_string(form.count));
  if (space == Space::Shared || space == Space::SharedCluster)
    return d.unsupported("a vector in shared memory");
  return true;
}

bool decodeOperands(InstDecoder &d, Inst &inst, const AtomicForm &form,
                    bool returns, Space space) {
  unsigned first = returns ? 1 : 0;
  unsigned sources = form.operation == CompareSwap ? 2 : 1;
  unsigned policy = first + 1 + sources;
  uint32_t baseBytes = 0, bytes = 0;
  if (!d.finish(policy + form.hasPolicy) ||
      !d.address(first, space, inst.op[0], baseBytes, inst.offset))
    return false;
  if (baseBytes == 4)
    inst.data |= MemoryNarrowBase;
  inst.op[1] = {NoRow, 0};
  if (form.count > 1) {
    inst.count = uint8_t(form.count);
    if (!d.vectorSource(first + 1, form.type, form.count, inst))
      return false;
    if (returns && !d.vectorDestination(0, form.type, form.count, inst))
      return false;
  } else {
    if (returns &&
        !d.wideDestination(d.operand(0), form.type, inst.op[1], bytes))
      return false;
    if (returns && bytes != sizeOf(form.type))
      return d.failAt(d.operand(0), std::string("expected a register of a .") +
                                        name(form.type));
    for (unsigned i = 0; i < sources; ++i)
      if (!d.source(first + 1 + i, form.type, inst.op[2 + i]))
        return false;
  }
  Ref unused;
  return !form.hasPolicy || d.source(policy, S::B64, unused);
}

bool decodeAtomic(InstDecoder &d, Inst &inst) {
  bool returns = d.base() == "atom";
  if (!returns && d.take("async"))
    return decodeAsyncStore(d, inst);
  inst.cls = InstClass::Atomic;
  inst.data = MemoryStrong;
  AtomicForm form;
  if (!takeForm(d, inst, returns, form))
    return false;
  if (form.order >= 2)
    inst.data |= MemoryAcquire;
  if (form.order == 1 || form.order == 3)
    inst.data |= MemoryRelease;
  Space space = form.space;
  if (!checkForm(d, form, returns, space) ||
      !decodeOperands(d, inst, form, returns, space))
    return false;
  inst.data |= uint32_t(space) << MemorySpaceShift;
  if (space == Space::Global || space == Space::Generic)
    d.program().communicates = true;
  if (inst.data & MemoryAcquire)
    d.program().synchronizes = true;
  inst.handler = form.count > 1 ? chooseVector(form.operation, form.type)
                                : chooseAtomic(form.operation, form.type);
  return true;
}

} // namespace

void addAtomicOpcodes(OpcodeTable &table) {
  table["atom"] = &decodeAtomic;
  table["red"] = &decodeAtomic;
}

} // namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA

#include "LanesEnd.h"
