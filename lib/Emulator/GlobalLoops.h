//===- GlobalLoops.h - Checks of whole warps in global memory ---*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The shadow of global memory (GlobalShadow.h) for many lanes at a time. As in
// ShadowLoops.h: either nothing can conflict, and the access is recorded; or
// nothing has changed and GlobalShadow::access has to decide.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_LIB_EMULATOR_GLOBALLOOPS_H
#define ROPEWALK_LIB_EMULATOR_GLOBALLOOPS_H

#include "GlobalShadow.h"
#include "ShadowLoops.h"

namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA {

/// A weak access of a warp on its way through the shadow of global memory.
struct GlobalAccess {
  GlobalShadow &shadow;
  const View &view;
  uint32_t tag;
  uint32_t cluster; ///< Linear index + 1.
  bool isWrite;
};

/// The bits of the lanes by cell: from a table, or the same for all cells.
struct TableBits {
  const uint32_t *bits;
  ROPEWALK_INLINE uint32_t operator[](uint32_t i) const { return bits[i]; }
  template <unsigned N> ROPEWALK_INLINE CellVector<N> get(uint32_t i) const {
    return loadCells<N>(bits + i);
  }
};
struct EqualBits {
  uint32_t bits;
  ROPEWALK_INLINE uint32_t operator[](uint32_t) const { return bits; }
  template <unsigned N> ROPEWALK_INLINE CellVector<N> get(uint32_t) const {
    return bits;
  }
};

/// Whether a record is known to the lanes in `own`: `anyOf` its lanes, or all
/// of them.
template <bool HasClusters>
ROPEWALK_INLINE uint32_t isKnown(const GlobalAccess &a,
                                 const GlobalShadow::Layer &layer,
                                 uint32_t cell, uint32_t own, bool anyOf) {
  uint32_t plane = layer.tag[cell] >> TagPlaneShift;
  Time time = layer.time[cell];
  uint32_t others = anyOf ? own & ~layer.lanes[cell] : layer.lanes[cell] & ~own;
  uint32_t isOwn = uint32_t(plane == a.view.plane) &
                   (uint32_t(others == 0) | uint32_t(time < a.view.leastOwn));
  uint32_t known = uint32_t(time < a.view.least[plane]) | isOwn;
  if (HasClusters)
    return uint32_t(layer.cluster[cell] == 0) |
           (uint32_t(layer.cluster[cell] == a.cluster) & known);
  return known;
}

/// Whether all records of a layer are older than what anybody may not know.
ROPEWALK_INLINE bool areOld(const GlobalAccess &a,
                            const GlobalShadow::Layer &layer, uint32_t first,
                            uint32_t count) {
  const Time *time = layer.time.data() + first;
  return forParts(count, [&]<unsigned N>(uint32_t i) ROPEWALK_INLINE_LAMBDA {
    return !hasAny<N>(
        as<CellVector<N>>(loadCells<N>(time + i) >= a.view.floor));
  });
}

/// Whether all records of a layer are known.
template <bool HasClusters, class Bits>
ROPEWALK_INLINE bool areKnown(const GlobalAccess &a,
                              const GlobalShadow::Layer &layer, uint32_t first,
                              uint32_t count, Bits bits, bool anyOf) {
  if (!layer.isUsed())
    return true;
  if (!HasClusters && areOld(a, layer, first, count))
    return true;
  uint32_t bad = 0;
  for (uint32_t i = 0; i < count; ++i)
    bad |= isKnown<HasClusters>(a, layer, first + i, bits[i], anyOf) ^ 1;
  return !bad;
}

template <bool HasClusters, class Bits>
ROPEWALK_INLINE void put(const GlobalAccess &a, GlobalShadow::Layer &layer,
                         uint32_t first, uint32_t count, Bits bits,
                         bool joins) {
  Time *time = layer.time.data() + first;
  uint32_t *lanes = layer.lanes.data() + first;
  uint32_t *tag = layer.tag.data() + first;
  uint32_t *cluster = HasClusters ? layer.cluster.data() + first : nullptr;
  forParts(count, [&]<unsigned N>(uint32_t i) ROPEWALK_INLINE_LAMBDA {
    using V = CellVector<N>;
    V own = bits.template get<N>(i);
    if (joins) {
      V isSame = as<V>(loadCells<N>(time + i) == a.view.epoch) &
                 as<V>(loadCells<N>(tag + i) >> TagPlaneShift == a.view.plane);
      if (HasClusters)
        isSame &= as<V>(loadCells<N>(cluster + i) == a.cluster);
      own |= loadCells<N>(lanes + i) & isSame;
    }
    storeCells<N>(lanes + i, own);
    storeCells<N>(time + i, (V)(a.view.epoch));
    storeCells<N>(tag + i, (V)(a.tag));
    if (HasClusters)
      storeCells<N>(cluster + i, (V)(a.cluster));
    return true;
  });
}

/// Reads find a place in one of two layers: where they have been before or
/// where the record says nothing any more. With none the read is not kept.
template <bool HasClusters, class Bits>
ROPEWALK_INLINE bool putRead(const GlobalAccess &a, GlobalShadow::Page &page,
                             uint32_t first, uint32_t count, Bits bits) {
  for (GlobalShadow::LayerKind kind :
       {GlobalShadow::Read, GlobalShadow::OtherRead}) {
    GlobalShadow::Layer &layer = a.shadow.use(page, kind);
    bool isOld = !HasClusters && areOld(a, layer, first, count);
    uint32_t free = isOld ? count : 0;
    for (uint32_t i = 0; i < count && !isOld; ++i) {
      uint32_t cell = first + i;
      uint32_t mine = layer.tag[cell] >> TagPlaneShift == a.view.plane;
      if (HasClusters)
        mine &= uint32_t(layer.cluster[cell] == a.cluster);
      free += mine | uint32_t(layer.lanes[cell] == 0) |
              isKnown<HasClusters>(a, layer, cell, 0, false);
    }
    if (free == count) {
      put<HasClusters>(a, layer, first, count, bits, true);
      return true;
    }
    if (free)
      return false;
  }
  return true;
}

/// Records `count` cells. `bits` has all lanes of a cell, `known` those that
/// know what the lanes of the cell did before: the only one, or none, as lanes
/// that access together do not know of each other's earlier accesses.
template <bool HasClusters, class Bits>
ROPEWALK_INLINE bool recordGlobal(const GlobalAccess &a,
                                  GlobalShadow::Page &page, uint32_t first,
                                  uint32_t count, Bits bits, Bits known) {
  using S = GlobalShadow;
  const S::Layer *layers = page.layers;
  if (!a.isWrite)
    return areKnown<HasClusters>(a, layers[S::Write], first, count, bits,
                                 true) &&
           areKnown<HasClusters>(a, layers[S::StrongWrite], first, count, known,
                                 false) &&
           areKnown<HasClusters>(a, layers[S::OtherStrongWrite], first, count,
                                 known, false) &&
           putRead<HasClusters>(a, page, first, count, bits);
  for (unsigned kind = 0; kind < S::LayerKinds; ++kind)
    if (!areKnown<HasClusters>(a, layers[kind], first, count, known, false))
      return false;
  put<HasClusters>(a, a.shadow.use(page, S::Write), first, count, bits, false);
  return true;
}

} // namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA

#endif // ROPEWALK_LIB_EMULATOR_GLOBALLOOPS_H
