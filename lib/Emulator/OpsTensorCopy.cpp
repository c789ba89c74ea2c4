//===- OpsTensorCopy.cpp - Bulk copies of tensors ---------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// cp.async.bulk.tensor, cp.reduce.async.bulk.tensor and
// cp.async.bulk.prefetch.tensor in the mode .tile. Each lane makes a copy of
// its own: its box becomes a list of pieces (TensorCopy.cpp), which
// BulkCopy.cpp moves. Modifiers come in any order, as the assembler takes them.
//
//===----------------------------------------------------------------------===//

#include "BulkCopy.h"
#include "SharedOperand.h"
#include "TensorCopy.h"
#include "TensorMapAccess.h"

namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA {

namespace {

using S = ScalarType;
using Reduction = BulkCopy::Reduction;

/// Slots of the address operands.
enum Slot : unsigned { Shared, Map, Barrier };

enum TensorFlags : uint32_t {
  IsLoad = 1 << OperandFlagShift,
  IsMulticast = IsLoad << 1, ///< op[3] is the mask of blocks.
};

constexpr uint32_t SharedAlignment = 128;

ScalarType scalarTypeOf(TensorMapType type) {
  static const ScalarType types[] = {S::U8,  S::U16, S::U32, S::S32, S::U64,
                                     S::S64, S::F16, S::F32, S::F64, S::BF16};
  return size_t(type) < std::size(types) ? types[size_t(type)] : S::None;
}

/// Whether PTX has the reduction for tensors of this type.
bool isReduction(Reduction reduction, ScalarType type) {
  bool isWord = type == S::U32 || type == S::S32;
  bool isHalf = type == S::F16 || type == S::BF16;
  switch (reduction) {
  case Reduction::None:
    return true;
  case Reduction::Add:
    return isWord || isHalf || type == S::U64 || type == S::F32;
  case Reduction::Min:
  case Reduction::Max:
    return isWord || isHalf || type == S::U64 || type == S::S64;
  case Reduction::Inc:
  case Reduction::Dec:
    return type == S::U32;
  default: // .b32 and .b64
    return isWord || type == S::U64 || type == S::S64;
  }
}

const char *typesOf(Reduction reduction) {
  switch (reduction) {
  case Reduction::Add:
    return "u32, s32, u64, f32, f16 or bf16";
  case Reduction::Min:
  case Reduction::Max:
    return "u32, s32, u64, s64, f16 or bf16";
  case Reduction::Inc:
  case Reduction::Dec:
    return "u32";
  default:
    return "u32, s32, u64 or s64";
  }
}

struct Box {
  uint64_t mapAddress = 0;
  TensorMap map;
  int32_t coordinates[5] = {};
};

/// Reads the lane's tensor map and coordinates and checks the tensor.
bool readBox(const Actor &actor, Box &box) {
  Warp &warp = *actor.warp;
  const Inst &inst = *actor.inst;
  box.mapAddress = laneAddress(warp, inst, Map, actor.lane);
  uint32_t rank = inst.extraCount;
  if (!readTensorMap(actor, box.mapAddress, box.map) ||
      !checkTensor(actor, box.mapAddress, box.map, rank))
    return false;
  const Worker &worker = warp.block->worker;
  if (worker.shadow && !worker.tensorMapFences.check(actor, box.mapAddress))
    return false;
  const Ref *refs = warp.block->program.operands.data() + inst.extra;
  for (uint32_t i = 0; i < rank; ++i)
    box.coordinates[i] = lanes<int32_t>(warp, refs[i])[actor.lane];
  return true;
}

/// Adds the pieces of a copy to or from the shared memory of `block`.
void addPieces(BulkCopy &copy, const Box &box,
               const std::vector<TensorPiece> &pieces, Block *block,
               bool isLoad) {
  copy.pieces.reserve(copy.pieces.size() + pieces.size());
  for (const TensorPiece &piece : pieces) {
    BulkCopy::Place shared{block, piece.shared}, global{nullptr, piece.global};
    BulkCopy::Piece &added = copy.pieces.emplace_back();
    added.destination = isLoad ? shared : global;
    added.source = isLoad ? global : shared;
    added.bytes = piece.bytes;
    added.isFill = piece.isFill;
    if (piece.isFill && box.map.fill == TensorMapFill::Nan) {
      added.fill = OutOfBoundsNan;
      added.fillBytes = sizeof OutOfBoundsNan;
    }
  }
}

/// The barriers of a load and the blocks that it fills.
bool findTargets(Warp &warp, const Inst &inst, unsigned lane,
                 const SharedPlace &shared, uint32_t bytes, BulkCopy &copy,
                 std::vector<Block *> &blocks) {
  SharedPlace barrier;
  if (!sharedPlace(warp, inst, Barrier, lane, barrier))
    return false;
  bool isMulticast = inst.data & IsMulticast;
  if (!isMulticast)
    blocks.push_back(shared.block);
  else if (!findMulticast(warp, inst, lane,
                          lanes<uint16_t>(warp, inst.op[3])[lane], blocks))
    return false;
  if (!isMulticast && barrier.block != shared.block)
    return warp.block->failAt(
        warp, inst, ReportKind::ClusterMisuse, int(lane), barrier.offset,
        "copies to block " + std::to_string(shared.block->index) +
            " and signals a barrier of block " +
            std::to_string(barrier.block->index));
  copy.completion = BulkCopy::OnMbarrier;
  for (Block *block : blocks)
    copy.signals.push_back({{block, barrier.offset}, bytes});
  return true;
}

bool copyLane(Warp &warp, const Inst &inst, unsigned lane) {
  Block &block = *warp.block;
  Actor actor{&warp, &inst, lane};
  Box box;
  SharedPlace shared;
  if (!readBox(actor, box) || !sharedPlace(warp, inst, Shared, lane, shared))
    return false;
  bool isLoad = inst.data & IsLoad;
  if (shared.offset % SharedAlignment)
    return block.failAt(warp, inst, ReportKind::Misaligned, int(lane),
                        shared.offset,
                        std::string(isLoad ? "destination" : "source") +
                            " address is not a "
                            "multiple of 128, which every swizzle mode needs");
  BulkCopy copy;
  copy.warp = &warp;
  copy.inst = &inst;
  copy.lane = lane;
  copy.reduction = Reduction(inst.count);
  copy.type = scalarTypeOf(box.map.type);
  if (!isReduction(copy.reduction, copy.type))
    return block.failAt(
        warp, inst, ReportKind::TensorMapMisuse, int(lane), box.mapAddress,
        std::string("needs a tensor map of type ") + typesOf(copy.reduction) +
            ", found " + name(box.map.type));
  std::vector<Block *> blocks;
  if (isLoad) {
    if (!findTargets(warp, inst, lane, shared, boxBytes(box.map), copy, blocks))
      return false;
  } else {
    blocks.push_back(shared.block);
    for (uint32_t i = 0; i < box.map.rank; ++i)
      if (box.coordinates[i] < 0)
        return block.failAt(
            warp, inst, ReportKind::TensorMapMisuse, int(lane), box.mapAddress,
            "writes a box that starts at coordinate " +
                std::to_string(box.coordinates[i]) + " of dimension " +
                std::to_string(i) + ", expected one of at least 0");
  }
  std::vector<TensorPiece> pieces;
  appendPieces(box.map, {box.coordinates, box.map.rank},
               uint32_t(shared.offset), isLoad, pieces);
  for (Block *target : blocks)
    addPieces(copy, box, pieces, target, isLoad);
  return startBulkCopy(std::move(copy));
}

bool copy(Warp &warp, const Inst &inst, uint32_t mask) {
  for (; mask; mask &= mask - 1)
    if (!copyLane(warp, inst, unsigned(std::countr_zero(mask))))
      return false;
  return true;
}

bool prefetch(Warp &warp, const Inst &inst, uint32_t mask) {
  for (; mask; mask &= mask - 1) {
    Actor actor{&warp, &inst, unsigned(std::countr_zero(mask))};
    Box box;
    if (!readBox(actor, box))
      return false;
  }
  return true;
}

/// "[map, {coordinates}]".
bool mapOperand(InstDecoder &d, unsigned index, unsigned rank, Inst &inst) {
  const OperandSyntax &operand = d.operand(index);
  if (operand.kind != OperandSyntax::Memory || operand.parts.size() != 2 ||
      operand.parts[1].kind != OperandSyntax::Vector)
    return d.failAt(operand, "expected '[tensor map, {coordinates}]'");
  const OperandSyntax &base = operand.parts[0], &vector = operand.parts[1];
  if (operand.value)
    return d.failAt(operand, "displacement behind the address of a tensor map");
  if (base.kind == OperandSyntax::Address && base.space != Space::Global)
    return d.failAt(base, "the address of a tensor map is generic, and '" +
                              base.text + "' lies in ." + name(base.space) +
                              " memory");
  inst.list[Map] = d.constant(0, 8);
  if (!d.source(base, S::B64, inst.op[Map]))
    return false;
  if (vector.parts.size() != rank)
    return d.failAt(vector, "expected " + std::to_string(rank) +
                                " coordinates, found " +
                                std::to_string(vector.parts.size()));
  for (const OperandSyntax &part : vector.parts) {
    Ref ref;
    if (!d.source(part, S::S32, ref))
      return false;
    d.addExtra(inst, ref);
  }
  return true;
}

struct Modifiers {
  bool isToCluster = false, isToBlock = false;
  bool isFromBlock = false, isGlobal = false;
  bool onBarrier = false, onGroup = false;
  bool isTile = false, isMulticast = false, hasPolicy = false, isL2 = false;
  Reduction reduction = Reduction::None;
};

/// Modes and forms that exist and are not there.
bool isUnsupportedMode(InstDecoder &d) {
  static const char *const modes[] = {
      "im2col",        "im2col::w",      "im2col::w::128", "im2col_no_offs",
      "tile::gather4", "tile::scatter4", "cta_group::1",   "cta_group::2"};
  return std::find(std::begin(modes), std::end(modes), d.peek()) !=
         std::end(modes);
}

bool takeModifiers(InstDecoder &d, bool isReduction, Modifiers &m) {
  auto once = [&](bool &flag, const char *name) {
    return !flag && d.take(name) && (flag = true);
  };
  while (!d.peek().empty()) {
    if (once(m.isToCluster, "shared::cluster") || once(m.isGlobal, "global") ||
        once(m.onBarrier, "mbarrier::complete_tx::bytes") ||
        once(m.onGroup, "bulk_group") || once(m.isTile, "tile") ||
        once(m.isMulticast, "multicast::cluster") ||
        once(m.hasPolicy, "L2::cache_hint") || once(m.isL2, "L2"))
      continue;
    // The destination comes first.
    if (!m.isGlobal ? once(m.isToBlock, "shared::cta")
                    : once(m.isFromBlock, "shared::cta"))
      continue;
    int found = isReduction && m.reduction == Reduction::None
                    ? d.takeOneOf({"add", "min", "max", "inc", "dec", "and",
                                   "or", "xor"})
                    : -1;
    if (found < 0)
      return isUnsupportedMode(d)
                 ? d.unsupported("mode '." + d.peek() + "'")
                 : d.unsupported("modifier '." + d.peek() + "'");
    m.reduction = Reduction(found + 1);
  }
  return true;
}

bool decodeLoad(InstDecoder &d, const Modifiers &m, unsigned rank, Inst &inst) {
  if (m.isToCluster == m.isToBlock || m.isFromBlock || !m.isGlobal || m.isL2)
    return d.fail(
        "expected '.shared::cluster.global', '.shared::cta.global' or "
        "'.global.shared::cta'");
  if (!m.onBarrier || m.onGroup)
    return d.fail("expected '.mbarrier::complete_tx::bytes'");
  if (m.isMulticast && m.isToBlock)
    return d.fail("'.multicast::cluster' needs '.shared::cluster'");
  AddressKind kind =
      m.isToCluster ? AddressKind::SharedCluster : AddressKind::SharedBlock;
  unsigned next = 3;
  Ref policy;
  inst.cls = InstClass::GlobalLoad;
  inst.data |= IsLoad | (m.isMulticast ? IsMulticast : 0);
  return d.finish(3 + m.isMulticast + m.hasPolicy) &&
         addressOperand(d, 0, Shared, kind, inst) &&
         mapOperand(d, 1, rank, inst) &&
         addressOperand(d, 2, Barrier, kind, inst) &&
         (!m.isMulticast || d.source(next++, S::U16, inst.op[3])) &&
         (!m.hasPolicy || d.source(next, S::B64, policy));
}

bool decodeStore(InstDecoder &d, const Modifiers &m, unsigned rank,
                 Inst &inst) {
  if (m.isToCluster || m.isToBlock || !m.isFromBlock || m.isL2)
    return d.fail("expected '.global.shared::cta'");
  if (!m.onGroup || m.onBarrier)
    return d.fail("expected '.bulk_group'");
  if (m.isMulticast)
    return d.fail("'.multicast::cluster' needs '.shared::cluster'");
  Ref policy;
  inst.cls = InstClass::SharedLoad;
  d.program().egos |= 1u << unsigned(Ego::Bulk) | 1u << unsigned(Ego::BulkRead);
  if (m.reduction != Reduction::None)
    d.program().communicates = true;
  return d.finish(2 + m.hasPolicy) && mapOperand(d, 0, rank, inst) &&
         addressOperand(d, 1, Shared, AddressKind::SharedBlock, inst) &&
         (!m.hasPolicy || d.source(2, S::B64, policy));
}

bool decodePrefetch(InstDecoder &d, const Modifiers &m, unsigned rank,
                    Inst &inst) {
  if (!m.isL2 || !m.isGlobal || m.isToCluster || m.isToBlock || m.isFromBlock ||
      m.onBarrier || m.onGroup || m.isMulticast)
    return d.fail("expected '.L2.global'");
  Ref policy;
  inst.cls = InstClass::Control;
  inst.handler = &prefetch;
  return d.finish(1 + m.hasPolicy) && mapOperand(d, 0, rank, inst) &&
         (!m.hasPolicy || d.source(1, S::B64, policy));
}

} // namespace

bool decodeTensorCopy(InstDecoder &d, Inst &inst) {
  bool isReduction = d.take("reduce");
  d.take("async");
  d.take("bulk");
  bool isPrefetch = !isReduction && d.take("prefetch");
  d.take("tensor");
  int dimensions = d.takeOneOf({"1d", "2d", "3d", "4d", "5d"});
  if (dimensions < 0)
    return d.fail("expected '.1d' to '.5d'");
  unsigned rank = unsigned(dimensions) + 1;
  Modifiers m;
  if (!takeModifiers(d, isReduction, m))
    return false;
  if (isReduction && m.reduction == Reduction::None)
    return d.fail("expected a reduction, '.add' for example");
  inst.handler = &copy;
  inst.count = uint8_t(m.reduction);
  if (isPrefetch)
    return decodePrefetch(d, m, rank, inst);
  return isReduction || m.isFromBlock || m.onGroup
             ? decodeStore(d, m, rank, inst)
             : decodeLoad(d, m, rank, inst);
}

} // namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA

#include "LanesEnd.h"
