//===- OpsTensorMap.cpp - Instructions on tensor maps -----------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// tensormap.replace, tensormap.cp_fenceproxy and prefetch.tensormap.
//
//===----------------------------------------------------------------------===//

#include "Cluster.h"
#include "SharedOperand.h"
#include "TensorMapAccess.h"

namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA {

namespace {

using S = ScalarType;
using Field = TensorMapField;

/// Slot of the address operand of every instruction here.
constexpr unsigned Map = 0, Source = 1;

enum MapFlags : uint32_t {
  InShared = 1 << OperandFlagShift,
  HasWideValue = InShared << 1,
};

bool replaceField(Warp &warp, const Inst &inst, uint32_t mask) {
  for (; mask; mask &= mask - 1) {
    unsigned lane = unsigned(std::countr_zero(mask));
    Actor actor{&warp, &inst, lane};
    uint64_t address = laneAddress(warp, inst, Map, lane);
    bool isShared = inst.data & InShared;
    if (inst.data & OperandGeneric << Map)
      isShared = address - SharedWindow < WindowBytes;
    if (isShared) {
      SharedPlace place;
      if (!sharedPlace(warp, inst, Map, lane, place))
        return false;
      address = place.offset;
    }
    uint64_t value = inst.data & HasWideValue
                         ? lanes<uint64_t>(warp, inst.op[1])[lane]
                         : lanes<uint32_t>(warp, inst.op[1])[lane];
    if (!replaceTensorMapField(actor, isShared, address, Field(inst.count),
                               uint32_t(inst.target), value))
      return false;
  }
  return true;
}

bool copyMap(Warp &warp, const Inst &inst, uint32_t mask) {
  unsigned first = unsigned(std::countr_zero(mask));
  uint64_t to = laneAddress(warp, inst, Map, first);
  uint64_t from = laneAddress(warp, inst, Source, first);
  for (uint32_t rest = mask; rest; rest &= rest - 1) {
    unsigned lane = unsigned(std::countr_zero(rest));
    if (laneAddress(warp, inst, Map, lane) != to ||
        laneAddress(warp, inst, Source, lane) != from)
      return warp.block->fail(warp, inst, ReportKind::TensorMapMisuse,
                              int(lane),
                              "needs the same addresses in all lanes, found "
                              "others than in lane " +
                                  std::to_string(first));
  }
  SharedPlace place;
  if (!sharedPlace(warp, inst, Source, first, place))
    return false;
  // The warp copies the map as a whole, so that each lane has to know of what
  // is written there.
  Actor actor{&warp, &inst, first};
  const std::byte *source = nullptr;
  for (uint32_t rest = mask; rest; rest &= rest - 1) {
    actor.lane = unsigned(std::countr_zero(rest));
    source = accessShared(actor, *place.block, place.offset, TensorMapUsedBytes,
                          false);
    if (!source)
      return false;
  }
  actor.lane = first;
  if (place.offset + TensorMapBytes > place.block->shared.size)
    return warp.block->failAt(warp, inst, ReportKind::OutOfBounds, int(first),
                              place.offset,
                              "copies 128 bytes that end beyond the block's " +
                                  std::to_string(place.block->shared.size) +
                                  " bytes of shared memory");
  std::byte *target = accessGlobal(actor, to, TensorMapBytes, true);
  if (!target)
    return false;
  std::memcpy(target, source, TensorMapBytes);
  ++warp.block->cluster.progress;
  if (warp.block->worker.shadow)
    warp.block->worker.tensorMapFences.release(warp, mask, Scope(inst.target));
  return true;
}

bool prefetch(Warp &warp, const Inst &inst, uint32_t mask) {
  for (; mask; mask &= mask - 1) {
    unsigned lane = unsigned(std::countr_zero(mask));
    Actor actor{&warp, &inst, lane};
    TensorMap map;
    uint64_t address =
        laneAddress(warp, inst, Map, lane) + windowOf(Space(inst.count));
    if (!readTensorMap(actor, address, map))
      return false;
  }
  return true;
}

struct FieldName {
  const char *name;
  Field field;
  uint32_t ordinals; ///< Values of the operand `ord`; 0 if there is none.
  int64_t constants; ///< Values that must be constants; 0 for a register.
};

const FieldName fields[] = {
    {"global_address", Field::GlobalAddress, 0, 0},
    {"rank", Field::Rank, 0, 0},
    {"box_dim", Field::BoxDim, 5, 0},
    {"global_dim", Field::GlobalDim, 5, 0},
    {"global_stride", Field::GlobalStride, 4, 0},
    {"element_stride", Field::ElementStride, 5, 0},
    {"elemtype", Field::ElementType, 0, 16},
    {"interleave_layout", Field::InterleaveLayout, 0, 3},
    {"swizzle_mode", Field::SwizzleMode, 0, 5},
    {"fill_mode", Field::FillMode, 0, 2},
};

/// Constants that PTX has and this emulator does not.
std::string refusal(Field field, int64_t value) {
  TensorMapType type = tensorMapTypeOfPtx(uint32_t(value));
  switch (field) {
  case Field::ElementType:
    if (type == TensorMapType::Count)
      return "element type " + std::to_string(value);
    if (type == TensorMapType::F32Ftz || type == TensorMapType::TF32 ||
        type == TensorMapType::TF32Ftz)
      return std::string("element type ") + name(type);
    return {};
  case Field::InterleaveLayout:
    return value ? "interleave layout " + std::to_string(value) : std::string();
  case Field::SwizzleMode:
    return value == 4 ? "swizzle mode 4" : std::string();
  default:
    return {};
  }
}

bool decodeReplace(InstDecoder &d, Inst &inst) {
  if (!d.take("tile"))
    return d.fail("expected '.tile'");
  const FieldName *field = nullptr;
  for (const FieldName &entry : fields)
    if (d.take(entry.name)) {
      field = &entry;
      break;
    }
  if (!field)
    return d.unsupported("field '." + d.peek() + "'");
  AddressKind kind = AddressKind::GenericGlobal;
  if (d.take("global"))
    kind = AddressKind::Global;
  else if (d.take("shared::cta"))
    kind = AddressKind::SharedBlock;
  if (kind == AddressKind::SharedBlock)
    inst.data |= InShared;
  if (!d.take("b1024"))
    return d.fail("expected '.b1024'");
  bool isWide = field->field == Field::GlobalAddress ||
                field->field == Field::GlobalStride;
  if (isWide)
    inst.data |= HasWideValue;
  if (!d.take(isWide ? "b64" : "b32"))
    return d.fail(std::string("expected '.") + (isWide ? "b64" : "b32") + "'");
  inst.cls = InstClass::Control;
  inst.handler = &replaceField;
  inst.count = uint8_t(field->field);
  inst.target = 0;
  unsigned next = 1;
  if (!d.finish(2 + (field->ordinals != 0)) ||
      !addressOperand(d, 0, Map, kind, inst))
    return false;
  if (field->ordinals) {
    int64_t ordinal = 0;
    if (!d.immediate(next, ordinal))
      return false;
    if (ordinal < 0 || ordinal >= int64_t(field->ordinals))
      return d.failAt(d.operand(next), "expected a dimension of 0 to " +
                                           std::to_string(field->ordinals - 1) +
                                           ", found " +
                                           std::to_string(ordinal));
    inst.target = int32_t(ordinal);
    ++next;
  }
  if (field->constants) {
    int64_t value = 0;
    if (!d.immediate(next, value))
      return false;
    if (value < 0 || value >= field->constants)
      return d.failAt(d.operand(next),
                      "expected 0 to " + std::to_string(field->constants - 1) +
                          ", found " + std::to_string(value));
    if (std::string what = refusal(field->field, value); !what.empty())
      return d.unsupported(what);
  }
  return d.source(next, isWide ? S::B64 : S::B32, inst.op[1]);
}

bool decodeCopy(InstDecoder &d, Inst &inst) {
  for (const char *modifier :
       {"global", "shared::cta", "tensormap::generic", "release"})
    if (!d.take(modifier))
      return d.fail(std::string("expected '.") + modifier + "'");
  Scope scope;
  if (!takeTensorMapScope(d, scope))
    return false;
  inst.target = int32_t(scope);
  if (!d.take("sync") || !d.take("aligned"))
    return d.fail("expected '.sync.aligned'");
  inst.cls = InstClass::SharedLoad;
  inst.kind = InstKind::Aligned;
  inst.handler = &copyMap;
  int64_t size = 0;
  if (!d.finish(3) || !addressOperand(d, 0, Map, AddressKind::Global, inst) ||
      !addressOperand(d, 1, Source, AddressKind::SharedBlock, inst) ||
      !d.immediate(2, size))
    return false;
  return size == int64_t(TensorMapBytes) ||
         d.failAt(d.operand(2),
                  "expected a size of 128, found " + std::to_string(size));
}

bool decodeTensorMap(InstDecoder &d, Inst &inst) {
  if (d.take("replace"))
    return decodeReplace(d, inst);
  if (d.take("cp_fenceproxy"))
    return decodeCopy(d, inst);
  return d.unsupported("modifier '." + d.peek() + "'");
}

} // namespace

bool decodeTensorMapPrefetch(InstDecoder &d, Inst &inst) {
  Space space = d.take("param")   ? Space::Param
                : d.take("const") ? Space::Const
                                  : Space::Generic;
  d.take("tensormap");
  inst.cls = InstClass::Control;
  inst.handler = &prefetch;
  inst.count = uint8_t(space);
  uint32_t bytes = 0;
  int64_t offset = 0;
  if (!d.finish(1) || !d.address(0, space, inst.op[Map], bytes, offset))
    return false;
  inst.list[Map] = d.constant(uint64_t(offset), 8);
  if (bytes == 4)
    inst.data |= OperandNarrow << Map;
  return true;
}

void addTensorMapOpcodes(OpcodeTable &table) {
  table["tensormap"] = &decodeTensorMap;
}

} // namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA

#include "LanesEnd.h"
