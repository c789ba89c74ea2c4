//===- OpsWgmma.cpp - Matrix multiplication by a warpgroup ------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// wgmma: decoding, and what happens when one is issued. WgmmaTile.cpp has what
// happens when it completes.
//
//===----------------------------------------------------------------------===//

#include "Cluster.h"
#include "Warpgroup.h"
#include "WgmmaDescriptor.h"

#include "WgmmaForm.h"

namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA {

namespace {

using S = ScalarType;

//===----------------------------------------------------------------------===//
// Execution
//===----------------------------------------------------------------------===//

/// Operations of one shape may follow each other on one accumulator.
uint32_t shapeOf(const WgmmaForm &form) { return form.n << 16 | form.depth(); }

/// The value that all lanes have.
bool readUniform(Warp &warp, const Inst &inst, Ref ref, const char *what,
                 uint64_t &value) {
  Vec<uint64_t> row = get<uint64_t>(warp, ref);
  value = row[0];
  uint32_t others = maskOf(row != value);
  return others == 0 || warp.block->fail(warp, inst, ReportKind::WarpSync,
                                         std::countr_zero(others),
                                         std::string("has another ") + what +
                                             " than in lane 0");
}

bool checkMatrix(Warp &warp, const Inst &inst, uint64_t descriptor,
                 bool isMNMajor, unsigned first, unsigned count) {
  Block &block = *warp.block;
  if (descriptor & MatrixLayout::Reserved)
    return block.failAt(warp, inst, ReportKind::Unsupported, -1, descriptor,
                        "has a matrix descriptor with bits set that mean "
                        "nothing to wgmma");
  return readMatrix(warp, inst, MatrixLayout(descriptor, isMNMajor), first,
                    count);
}

bool issue(Warp &warp, const Inst &inst, uint32_t) {
  Block &block = *warp.block;
  WgmmaForm form = WgmmaForm::unpack(inst.data);
  WgmmaOperation operation;
  operation.inst = &inst;
  uint32_t adds = warp.predicate(inst.op[0]) ^ inst.optionalFlip;
  operation.accumulates = adds & 1;
  if (adds != 0 && adds != ~uint32_t(0))
    return block.fail(warp, inst, ReportKind::WarpSync,
                      std::countr_zero(adds & 1 ? ~adds : adds),
                      "has another scale-d than in lane 0");
  if (!form.hasFragments &&
      !readUniform(warp, inst, inst.op[1], "descriptor of A", operation.a))
    return false;
  if (!readUniform(warp, inst, inst.op[2], "descriptor of B", operation.b) ||
      !stepWarpgroup(warp, inst, operation) ||
      !issueOperation(warp, operation, form.registers(), shapeOf(form)))
    return false;
  if (!form.hasFragments && !checkMatrix(warp, inst, operation.a, form.isMMajor,
                                         warp.index % GroupWarps * 2, 2))
    return false;
  if (!checkMatrix(warp, inst, operation.b, form.isNMajor, 0, form.groups()))
    return false;
  block.worker.counters.tensorFlops +=
      uint64_t(2 * TileRows) * form.n * form.depth();
  return true;
}

bool fence(Warp &warp, const Inst &inst, uint32_t) {
  WgmmaState &state = warp.block->warpgroups->warps[warp.index];
  state.fence = ++state.now;
  state.hasWaited = false;
  return stepWarpgroup(warp, inst);
}

bool commit(Warp &warp, const Inst &inst, uint32_t mask) {
  WgmmaState &state = warp.block->warpgroups->warps[warp.index];
  state.groups.push_back(state.issued);
  state.commits.push_back(
      warp.block->cluster.ordering.commit(warp, mask, Ego::Matrix));
  ++warp.block->cluster.progress;
  return stepWarpgroup(warp, inst);
}

/// A group is one operation of four warps: it is complete when the part of each
/// is. Lets the warp wait for those that have not committed the group yet;
/// otherwise computes their parts and lets the warp know that they are over.
bool awaitOthers(Warp &warp, uint32_t mask, size_t groups) {
  Block &block = *warp.block;
  uint32_t base = warp.index / GroupWarps * GroupWarps;
  if (groups == 0 || base + GroupWarps > block.warps.size())
    return true;
  Past past;
  for (uint32_t i = base; i < base + GroupWarps; ++i) {
    WgmmaState &other = block.warpgroups->warps[i];
    if (other.commits.size() < groups)
      return false;
    if (i == warp.index)
      continue;
    size_t waited = other.commits.size() - other.groups.size();
    if (groups > waited)
      computeOperations(block.warps[i], other.groups[groups - waited - 1]);
    block.cluster.ordering.addCommit(block.warps[i], other.commits[groups - 1],
                                     past);
  }
  block.cluster.ordering.acquire(warp, mask, past);
  return true;
}

bool wait(Warp &warp, const Inst &inst, uint32_t mask) {
  if (mask != ~uint32_t(0))
    return warp.block->fail(warp, inst, ReportKind::WarpSync,
                            std::countr_zero(~mask),
                            "needs all 32 lanes of the warp, and this one does "
                            "not take part");
  WgmmaState &state = warp.block->warpgroups->warps[warp.index];
  size_t committed = state.commits.size(), pending = size_t(inst.offset);
  if (!awaitOthers(warp, mask, committed > pending ? committed - pending : 0)) {
    warp.isBlocked = true;
    return true;
  }
  uint64_t last = state.completed;
  while (state.groups.size() > size_t(inst.offset)) {
    last = state.groups.front();
    state.groups.pop_front();
  }
  state.hasWaited |= last > state.completed;
  completeOperations(warp, last);
  warp.block->cluster.ordering.awaitGroups(warp, mask, Ego::Matrix,
                                           uint32_t(inst.offset));
  return stepWarpgroup(warp, inst);
}

//===----------------------------------------------------------------------===//
// Decoding
//===----------------------------------------------------------------------===//

struct TypeName {
  const char *name;
  TensorType type;
  unsigned depth;
};
const TypeName typeNames[] = {
    {"f16", TensorType::F16, 16},   {"bf16", TensorType::BF16, 16},
    {"tf32", TensorType::TF32, 8},  {"e4m3", TensorType::E4M3, 32},
    {"e5m2", TensorType::E5M2, 32}, {"s8", TensorType::S8, 32},
    {"u8", TensorType::U8, 32},
};

const TypeName *takeType(InstDecoder &d) {
  for (const TypeName &entry : typeNames)
    if (d.take(entry.name))
      return &entry;
  return nullptr;
}

/// "m64n128k16".
bool parseShape(std::string_view text, unsigned &n, unsigned &k) {
  auto number = [&](char letter, unsigned &value) {
    if (text.empty() || text[0] != letter)
      return false;
    text.remove_prefix(1);
    size_t digits = 0;
    for (value = 0; digits < std::min<size_t>(text.size(), 3) &&
                    text[digits] >= (digits ? '0' : '1') && text[digits] <= '9';
         ++digits)
      value = value * 10 + unsigned(text[digits] - '0');
    text.remove_prefix(digits);
    return digits > 0;
  };
  unsigned m = 0;
  return number('m', m) && number('n', n) && number('k', k) && text.empty() &&
         m == 64;
}

bool decodeTypes(InstDecoder &d, WgmmaForm &form) {
  unsigned depth = 0, expected = 0;
  if (!parseShape(d.peek(), form.n, depth))
    return d.fail("expected a shape like '.m64n128k16', found '." + d.peek() +
                  "'");
  std::string shape = d.peek();
  d.take(shape.c_str());
  form.saturates = d.take("satfinite");
  int result = d.takeOneOf({"f32", "f16", "s32"});
  if (result < 0)
    return d.fail("expected '.f32', '.f16' or '.s32' as the type of D");
  form.accumulator = result == 0   ? Accumulator::Float
                     : result == 1 ? Accumulator::Half
                                   : Accumulator::Integer;
  form.saturates |= d.take("satfinite");
  bool isInteger = result == 2, isAllowed = false;
  if (d.take("b1")) {
    if (!d.take("b1") || !d.take("and") || !d.take("popc"))
      return d.fail("expected '.b1.b1.and.popc'");
    form.isBits = true;
    expected = 256;
    isAllowed = isInteger && !form.saturates;
  } else {
    const TypeName *a = takeType(d), *b = a ? takeType(d) : nullptr;
    if (!b)
      return d.unsupported("type '." + d.peek() + "' of A or B");
    form.a = a->type;
    form.b = b->type;
    expected = a->depth;
    form.saturates |= d.take("satfinite");
    auto isIn = [&](TensorType first, TensorType last) {
      return a->type >= first && a->type <= last && b->type >= first &&
             b->type <= last;
    };
    bool isEight = isIn(TensorType::E4M3, TensorType::E5M2);
    isAllowed = isInteger ? isIn(TensorType::S8, TensorType::U8)
                          : isEight || a->type == b->type;
    if (result == 1)
      isAllowed &= isEight || a->type == TensorType::F16;
    isAllowed &= isInteger || !form.saturates;
    isAllowed &= isInteger || a->type < TensorType::S8;
  }
  if (!isAllowed)
    return d.unsupported("this combination of types");
  unsigned n = form.n;
  bool isWidth = n % 8 == 0 && n >= 8 && n <= 256;
  if (isInteger)
    isWidth &= n % 16 == 0 || n == 8 || n == 24;
  if (!isWidth || depth != expected)
    return d.fail("shape '." + shape + "' does not exist for these types");
  return true;
}

/// An immediate that is one of two values.
bool decodeSwitch(InstDecoder &d, unsigned index, int64_t off, bool &isOff) {
  int64_t value = 0;
  if (!d.immediate(index, value))
    return false;
  if (value != 1 && value != off)
    return d.failAt(d.operand(index), "expected " + std::to_string(off) +
                                          " or 1, found " +
                                          std::to_string(value));
  isOff = value == off;
  return true;
}

bool decodeScales(InstDecoder &d, WgmmaForm &form) {
  if (form.accumulator == Accumulator::Integer)
    return true;
  bool negatesA = false, negatesB = false, isKA = true, isKB = true;
  if (!decodeSwitch(d, 4, -1, negatesA) || !decodeSwitch(d, 5, -1, negatesB))
    return false;
  form.negates = negatesA != negatesB;
  if (form.depth() != 16)
    return true;
  if (!form.hasFragments && !decodeSwitch(d, 6, 0, isKA))
    return false;
  if (!decodeSwitch(d, form.hasFragments ? 6 : 7, 0, isKB))
    return false;
  form.isMMajor = !isKA;
  form.isNMajor = !isKB;
  return true;
}

bool checkDistinct(InstDecoder &d, const Inst &inst, unsigned accumulators) {
  const Ref *operands = d.program().operands.data() + inst.extra;
  for (unsigned i = 0; i < accumulators; ++i)
    for (unsigned j = i + 1; j < inst.extraCount; ++j)
      if (operands[j].bank == 0 && operands[i].offset == operands[j].offset)
        return d.failAt(d.operand(j < accumulators ? 0 : 1),
                        j < accumulators ? "a register occurs twice in D"
                                         : "a register of D also holds A");
  return true;
}

bool decodeMultiply(InstDecoder &d, Inst &inst) {
  if (d.take("sp"))
    return d.unsupported("a sparse matrix A ('.sp')");
  if (!d.take("sync") || !d.take("aligned"))
    return d.fail("expected '.sync.aligned'");
  WgmmaForm form;
  if (!decodeTypes(d, form))
    return false;
  form.hasFragments = d.isVector(1);
  bool isFloat = form.accumulator != Accumulator::Integer;
  unsigned count = 4;
  if (isFloat)
    count += 2;
  if (isFloat && form.depth() == 16)
    count += form.hasFragments ? 1 : 2;
  if (!d.finish(count) || !decodeScales(d, form))
    return false;
  S type = form.accumulator == Accumulator::Float ? S::F32 : S::B32;
  if (!d.vectorDestination(0, type, form.registers(), inst))
    return false;
  if (form.hasFragments ? !d.vectorSource(1, S::B32, 4, inst)
                        : !d.source(1, S::B64, inst.op[1]))
    return false;
  if (!checkDistinct(d, inst, form.registers()) ||
      !d.source(2, S::B64, inst.op[2]))
    return false;
  bool isNegated = false;
  if (!d.predicateSource(3, inst.op[0], isNegated))
    return false;
  inst.optionalFlip = isNegated ? ~uint32_t(0) : 0;
  inst.optionalWhere = inst.op[0];
  const OperandSyntax &scale = d.operand(3);
  bool isConstant = scale.kind == OperandSyntax::Immediate;
  if (isConstant && scale.value != 0 && scale.value != 1)
    return d.failAt(scale, "expected a predicate, 0 or 1 as scale-d");
  if (!isConstant || scale.value) {
    for (const OperandSyntax &part : d.operand(0).parts)
      if (Ref ref; !d.source(part, type, ref))
        return false;
    inst.optionalReads = isConstant ? 0 : uint16_t(form.registers());
  }
  inst.data = form.pack();
  inst.cls = InstClass::Matrix;
  inst.holdsRegisters = true;
  inst.handler = &issue;
  return true;
}

bool decodeWgmma(InstDecoder &d, Inst &inst) {
  inst.kind = InstKind::Aligned;
  inst.cls = InstClass::Barrier;
  d.program().usesWarpgroups = true;
  d.program().egos |= 1 << unsigned(Ego::Matrix);
  if (d.module().target != "sm_90a")
    return d.fail("needs .target sm_90a, found " + d.module().target);
  int kind = d.takeOneOf({"mma_async", "fence", "commit_group", "wait_group"});
  if (kind < 0)
    return d.unsupported("modifier '." + d.peek() + "'");
  if (kind == 0)
    return decodeMultiply(d, inst);
  if (!d.take("sync") || !d.take("aligned"))
    return d.fail("expected '.sync.aligned'");
  if (kind < 3) {
    inst.handler = kind == 1 ? &fence : &commit;
    return d.finish(0);
  }
  inst.handler = &wait;
  inst.kind = InstKind::Waiting;
  if (!d.finish(1) || !d.immediate(0, inst.offset))
    return false;
  return (inst.offset >= 0 && inst.offset <= 0x7fffffff) ||
         d.fail("expected a number of groups, found " +
                std::to_string(inst.offset));
}

} // namespace

void addWgmmaOpcodes(OpcodeTable &table) {
  table["wgmma"] = &decodeWgmma;
  addRegisterOpcodes(table);
}

} // namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA

#include "LanesEnd.h"
