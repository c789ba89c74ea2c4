//===- LaneWise.h - Handlers of lane-wise instructions ----------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Wrappers that turn a functor on vectors into a handler. A functor has a
// static `apply` and the type of its lanes as `Type`.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_LIB_EMULATOR_LANEWISE_H
#define ROPEWALK_LIB_EMULATOR_LANEWISE_H

#include "Lanes.h"

namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA {

template <class Op> bool unary(Warp &warp, const Inst &inst, uint32_t mask) {
  using T = typename Op::Type;
  put<T>(warp, inst.op[0], Op::apply(get<T>(warp, inst.op[1])), mask);
  return true;
}

template <class Op> bool binary(Warp &warp, const Inst &inst, uint32_t mask) {
  using T = typename Op::Type;
  put<T>(warp, inst.op[0],
         Op::apply(get<T>(warp, inst.op[1]), get<T>(warp, inst.op[2])), mask);
  return true;
}

template <class Op> bool ternary(Warp &warp, const Inst &inst, uint32_t mask) {
  using T = typename Op::Type;
  put<T>(warp, inst.op[0],
         Op::apply(get<T>(warp, inst.op[1]), get<T>(warp, inst.op[2]),
                   get<T>(warp, inst.op[3])),
         mask);
  return true;
}

/// A functor on single lanes, `Op::lane(const Inst &, a, b, ...)`, with the
/// types R of the result and A... of the sources. Lanes outside of the mask
/// are not touched.
template <class Op, class R, class A>
bool unaryLanes(Warp &warp, const Inst &inst, uint32_t mask) {
  R *d = lanes<R>(warp, inst.op[0]);
  const A *a = lanes<A>(warp, inst.op[1]);
  forLanes(mask, [&](unsigned i) { d[i] = Op::lane(inst, a[i]); });
  return true;
}
template <class Op, class R, class A, class B>
bool binaryLanes(Warp &warp, const Inst &inst, uint32_t mask) {
  R *d = lanes<R>(warp, inst.op[0]);
  const A *a = lanes<A>(warp, inst.op[1]);
  const B *b = lanes<B>(warp, inst.op[2]);
  forLanes(mask, [&](unsigned i) { d[i] = Op::lane(inst, a[i], b[i]); });
  return true;
}
template <class Op, class R, class A, class B, class C>
bool ternaryLanes(Warp &warp, const Inst &inst, uint32_t mask) {
  R *d = lanes<R>(warp, inst.op[0]);
  const A *a = lanes<A>(warp, inst.op[1]);
  const B *b = lanes<B>(warp, inst.op[2]);
  const C *c = lanes<C>(warp, inst.op[3]);
  forLanes(mask, [&](unsigned i) { d[i] = Op::lane(inst, a[i], b[i], c[i]); });
  return true;
}

} // namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA

#endif // ROPEWALK_LIB_EMULATOR_LANEWISE_H
