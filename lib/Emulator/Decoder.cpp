//===- Decoder.cpp - From syntax to decoded code ----------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Modifiers and operands of one instruction.
//
//===----------------------------------------------------------------------===//

#include "Decoder.h"

#include <bit>
#include <cstring>

using namespace ropewalk::emulator;

bool InstDecoder::fail(const std::string &message) {
  parent.error = {"'" + syntax.opcode() + "': " + message, syntax.location};
  return false;
}

bool InstDecoder::failAt(const OperandSyntax &operand,
                         const std::string &message) {
  parent.error = {"'" + syntax.opcode() + "': " + message,
                  operand.location.line ? operand.location : syntax.location};
  return false;
}

bool InstDecoder::unsupported(const std::string &what) {
  return fail(what + " is not supported");
}

Program &InstDecoder::program() { return parent.program; }
const ModuleData &InstDecoder::module() const { return parent.module; }

const std::string &InstDecoder::peek(size_t ahead) const {
  static const std::string none;
  size_t index = cursor + ahead;
  return index < syntax.modifiers.size() ? syntax.modifiers[index] : none;
}

bool InstDecoder::take(const char *modifier) {
  if (cursor >= syntax.modifiers.size() || peek() != modifier)
    return false;
  ++cursor;
  return true;
}

int InstDecoder::takeOneOf(std::initializer_list<const char *> modifiers) {
  int index = 0;
  for (const char *modifier : modifiers) {
    if (take(modifier))
      return index;
    ++index;
  }
  return -1;
}

ScalarType InstDecoder::takeType() {
  ScalarType type = scalarType(peek());
  if (type != ScalarType::None)
    ++cursor;
  return type;
}

bool InstDecoder::requireType(ScalarType &type,
                              std::initializer_list<ScalarType> allowed) {
  type = scalarType(peek());
  for (ScalarType candidate : allowed)
    if (type == candidate) {
      ++cursor;
      return true;
    }
  if (peek().empty())
    return fail("a type is missing");
  return unsupported("modifier '." + peek() + "'");
}

ScalarType InstDecoder::lastType() const {
  for (size_t i = syntax.modifiers.size(); i-- > 0;)
    if (ScalarType type = scalarType(syntax.modifiers[i]);
        type != ScalarType::None)
      return type;
  return ScalarType::None;
}

bool InstDecoder::finish(unsigned least, unsigned most) {
  if (cursor < syntax.modifiers.size())
    return unsupported("modifier '." + peek() + "'");
  most = std::max(least, most);
  unsigned count = operandCount();
  if (count >= least && count <= most)
    return true;
  std::string expected = std::to_string(least);
  if (most != least)
    expected += " to " + std::to_string(most);
  return fail("expected " + expected + " operands, found " +
              std::to_string(count));
}

unsigned InstDecoder::operandCount() const {
  return unsigned(syntax.operands.size());
}

const OperandSyntax &InstDecoder::operand(unsigned index) const {
  static const OperandSyntax none;
  return index < syntax.operands.size() ? syntax.operands[index] : none;
}

bool InstDecoder::isRegister(unsigned index) const {
  return operand(index).kind == OperandSyntax::RegisterName;
}
bool InstDecoder::isSink(unsigned index) const {
  return operand(index).kind == OperandSyntax::Sink;
}
bool InstDecoder::isVector(unsigned index) const {
  return operand(index).kind == OperandSyntax::Vector;
}

uint32_t InstDecoder::registerBytes(const OperandSyntax &operand) const {
  if (operand.kind != OperandSyntax::RegisterName)
    return 0;
  return sizeOf(parent.function.registers[operand.index].type);
}

bool InstDecoder::isPredicate(const OperandSyntax &operand) const {
  return operand.kind == OperandSyntax::RegisterName &&
         parent.function.registers[operand.index].type == ScalarType::Pred;
}

Ref InstDecoder::constant(uint64_t bits, uint32_t bytes) {
  auto [entry, isNew] = parent.constants.insert({{bits, bytes}, 0});
  std::vector<std::byte> &pool = parent.program.constants;
  if (isNew) {
    entry->second = uint32_t(pool.size());
    // Rows of at least 64 bytes keep every row aligned to a vector.
    pool.resize(pool.size() + std::max<uint32_t>(bytes * 32, 64));
    for (unsigned lane = 0; lane < 32; ++lane)
      std::memcpy(pool.data() + entry->second + lane * bytes, &bits, bytes);
  }
  return {entry->second, 1};
}

void InstDecoder::addExtra(Inst &inst, Ref ref) {
  std::vector<Ref> &pool = parent.program.operands;
  if (inst.extraCount == 0)
    inst.extra = uint32_t(pool.size());
  pool.push_back(ref);
  ++inst.extraCount;
}

template <class Resolve>
bool InstDecoder::vectorOperand(unsigned index, unsigned count, Inst &inst,
                                Resolve resolve) {
  const OperandSyntax &vector = operand(index);
  bool isVector = vector.kind == OperandSyntax::Vector;
  if (isVector ? vector.parts.size() != count : count != 1)
    return failAt(vector, "expected a vector of " + std::to_string(count) +
                              " registers");
  for (unsigned i = 0; i < count; ++i) {
    Ref ref;
    if (!resolve(isVector ? vector.parts[i] : vector, ref))
      return false;
    addExtra(inst, ref);
  }
  return true;
}

bool InstDecoder::vectorSource(unsigned index, ScalarType type, unsigned count,
                               Inst &inst) {
  return vectorOperand(index, count, inst,
                       [&](const OperandSyntax &part, Ref &ref) {
                         return source(part, type, ref);
                       });
}

bool InstDecoder::vectorDestination(unsigned index, ScalarType type,
                                    unsigned count, Inst &inst) {
  return vectorOperand(index, count, inst,
                       [&](const OperandSyntax &part, Ref &ref) {
                         return destination(part, type, ref);
                       });
}

namespace {

bool isFloat(ScalarType type) {
  return type == ScalarType::F32 || type == ScalarType::F64 ||
         type == ScalarType::F16 || type == ScalarType::BF16 ||
         type == ScalarType::F16x2 || type == ScalarType::BF16x2;
}

struct SpecialName {
  const char *name;
  SpecialRegister value;
};

const SpecialName specialNames[] = {
    {"%tid.x", SpecialRegister::TidX},
    {"%tid.y", SpecialRegister::TidY},
    {"%tid.z", SpecialRegister::TidZ},
    {"%ntid.x", SpecialRegister::NtidX},
    {"%ntid.y", SpecialRegister::NtidY},
    {"%ntid.z", SpecialRegister::NtidZ},
    {"%ctaid.x", SpecialRegister::CtaidX},
    {"%ctaid.y", SpecialRegister::CtaidY},
    {"%ctaid.z", SpecialRegister::CtaidZ},
    {"%nctaid.x", SpecialRegister::NctaidX},
    {"%nctaid.y", SpecialRegister::NctaidY},
    {"%nctaid.z", SpecialRegister::NctaidZ},
    {"%laneid", SpecialRegister::LaneId},
    {"%warpid", SpecialRegister::WarpId},
    {"%nwarpid", SpecialRegister::NwarpId},
    {"%lanemask_eq", SpecialRegister::LanemaskEq},
    {"%lanemask_le", SpecialRegister::LanemaskLe},
    {"%lanemask_lt", SpecialRegister::LanemaskLt},
    {"%lanemask_ge", SpecialRegister::LanemaskGe},
    {"%lanemask_gt", SpecialRegister::LanemaskGt},
    {"%dynamic_smem_size", SpecialRegister::DynamicSharedSize},
    {"%total_smem_size", SpecialRegister::TotalSharedSize},
    {"%aggr_smem_size", SpecialRegister::TotalSharedSize},
    {"%smid", SpecialRegister::SmId},
    {"%nsmid", SpecialRegister::NsmId},
    {"%clusterid.x", SpecialRegister::ClusterIdX},
    {"%clusterid.y", SpecialRegister::ClusterIdY},
    {"%clusterid.z", SpecialRegister::ClusterIdZ},
    {"%nclusterid.x", SpecialRegister::NclusterIdX},
    {"%nclusterid.y", SpecialRegister::NclusterIdY},
    {"%nclusterid.z", SpecialRegister::NclusterIdZ},
    {"%cluster_ctaid.x", SpecialRegister::ClusterCtaidX},
    {"%cluster_ctaid.y", SpecialRegister::ClusterCtaidY},
    {"%cluster_ctaid.z", SpecialRegister::ClusterCtaidZ},
    {"%cluster_nctaid.x", SpecialRegister::ClusterNctaidX},
    {"%cluster_nctaid.y", SpecialRegister::ClusterNctaidY},
    {"%cluster_nctaid.z", SpecialRegister::ClusterNctaidZ},
    {"%cluster_ctarank", SpecialRegister::ClusterCtaRank},
    {"%cluster_nctarank", SpecialRegister::ClusterNctaRank},
    {"%envreg1", SpecialRegister::WorkspaceHigh},
    {"%envreg2", SpecialRegister::WorkspaceLow},
    {"%reserved_smem_offset_begin", SpecialRegister::ReservedBegin},
    {"%reserved_smem_offset_end", SpecialRegister::ReservedEnd},
    {"%reserved_smem_offset_0", SpecialRegister::ReservedFirst},
    {"%reserved_smem_offset_1", SpecialRegister::ReservedSecond},
};

/// Special registers that are the same everywhere.
struct SpecialConstant {
  const char *name;
  bool isWide; ///< May also be read with 64 bits.
  uint64_t value;
};
const SpecialConstant specialConstants[] = {
    {"%tid.w", false, 0},
    {"%ntid.w", false, 0},
    {"%ctaid.w", false, 0},
    {"%nctaid.w", false, 0},
    {"%clusterid.w", false, 0},
    {"%nclusterid.w", false, 0},
    {"%cluster_ctaid.w", false, 0},
    {"%cluster_nctaid.w", false, 0},
    {"%gridid", true, 1},
    {"%current_graph_exec", true, 0},
    {"%reserved_smem_offset_cap", false, ReservedSharedBytes},
};

/// %envreg0 to %envreg31, which a driver may set; here all but two are 0.
bool isEnvironment(std::string_view text) {
  unsigned number = 0;
  if (text.substr(0, 7) != "%envreg" || text.size() == 7 || text.size() > 9)
    return false;
  for (char c : text.substr(7)) {
    if (c < '0' || c > '9')
      return false;
    number = number * 10 + unsigned(c - '0');
  }
  return number < 32;
}

} // namespace

Ref InstDecoder::special(SpecialRegister value) {
  auto [row, isNew] = parent.specials.insert({value, 0});
  if (isNew) {
    row->second = parent.program.registerBytes;
    parent.program.registerBytes += 128;
    parent.program.specials.push_back({value, row->second});
  }
  return {row->second, 0};
}

bool InstDecoder::wideSource(const OperandSyntax &operand, ScalarType type,
                             Ref &ref, uint32_t &bytes) {
  bytes = sizeOf(type);
  switch (operand.kind) {
  case OperandSyntax::RegisterName: {
    if (operand.negated || operand.pairIndex != -1 || !operand.text.empty())
      return failAt(operand, "unexpected form of a register");
    const Register &reg = parent.function.registers[operand.index];
    uint32_t size = sizeOf(reg.type);
    if (size == 0 || size < bytes)
      return failAt(operand, "register " + reg.name + " of type ." +
                                 name(reg.type) + " does not hold a ." +
                                 name(type));
    bytes = size;
    ref = {parent.rows[operand.index], 0};
    parent.read(operand.index);
    return true;
  }
  case OperandSyntax::Immediate:
    if (type == ScalarType::F32 || type == ScalarType::F64)
      return failAt(operand,
                    std::string("integer constant for a .") + name(type));
    if (bytes > 8)
      return failAt(operand, "constant for a 128-bit type");
    ref = constant(bytes == 8 ? uint64_t(operand.value)
                              : uint64_t(operand.value) &
                                    ((uint64_t(1) << bytes * 8) - 1),
                   bytes);
    return true;
  case OperandSyntax::Float32Bits:
  case OperandSyntax::Float64Bits: {
    bool isSingle = operand.kind == OperandSyntax::Float32Bits;
    uint64_t bits = uint64_t(operand.value);
    if (bytes == 4 && !isSingle)
      bits = std::bit_cast<uint32_t>(float(std::bit_cast<double>(bits)));
    else if (bytes == 8 && isSingle && type == ScalarType::F64)
      bits =
          std::bit_cast<uint64_t>(double(std::bit_cast<float>(uint32_t(bits))));
    else if (bytes != (isSingle ? 4u : 8u) ||
             (!isFloat(type) && type != ScalarType::B32 &&
              type != ScalarType::B64))
      return failAt(operand,
                    std::string("float constant for a .") + name(type));
    ref = constant(bits, bytes);
    return true;
  }
  case OperandSyntax::Address: {
    if (bytes != 8 && !(bytes == 4 && operand.space != Space::Global))
      return failAt(operand, "address of '" + operand.text + "' in a type of " +
                                 std::to_string(bytes) + " bytes");
    uint64_t value = uint64_t(operand.value);
    if (operand.isDynamicShared)
      value += parent.program.dynamicSharedOffset;
    if (operand.space == Space::Global)
      value += parent.module.globalBase;
    ref = constant(bytes == 8 ? value : value & 0xffffffff, bytes);
    return true;
  }
  case OperandSyntax::Special: {
    for (const SpecialName &entry : specialNames) {
      if (operand.text != entry.name)
        continue;
      if (bytes != 4)
        return failAt(operand,
                      "special register " + operand.text + " has 32 bits");
      ref = special(entry.value);
      return true;
    }
    for (const SpecialConstant &entry : specialConstants) {
      if (operand.text != entry.name)
        continue;
      if (bytes != 4 && !(bytes == 8 && entry.isWide))
        return failAt(operand, "special register " + operand.text + " has " +
                                   (entry.isWide ? "64" : "32") + " bits");
      ref = constant(entry.value, bytes);
      return true;
    }
    if (isEnvironment(operand.text) && bytes == 4) {
      ref = constant(0, 4);
      return true;
    }
    if (operand.text.find("clock") == 1 ||
        operand.text.find("globaltimer") == 1)
      return failAt(operand, "special register " + operand.text +
                                 " is only read by a move of its size");
    return failAt(operand, "special register or undeclared register '" +
                               operand.text + "' is not supported");
  }
  case OperandSyntax::Symbol:
    if (parent.module.functionNames.count(operand.text))
      return failAt(operand, "address of function '" + operand.text +
                                 "' is not supported");
    return failAt(operand, "unknown name '" + operand.text + "'");
  case OperandSyntax::Label:
    return failAt(operand,
                  "address of label '" + operand.text + "' is not supported");
  case OperandSyntax::Sink:
    return failAt(operand, "'_' as a source");
  default:
    break;
  }
  return failAt(operand, "unexpected form of a source operand");
}

bool InstDecoder::source(const OperandSyntax &operand, ScalarType type,
                         Ref &ref) {
  uint32_t bytes = 0;
  if (!wideSource(operand, type, ref, bytes))
    return false;
  if (bytes != sizeOf(type))
    return failAt(operand, "register of " + std::to_string(bytes) +
                               " bytes for a ." + name(type));
  return true;
}

bool InstDecoder::source(unsigned index, ScalarType type, Ref &ref) {
  return source(operand(index), type, ref);
}

bool InstDecoder::wideDestination(const OperandSyntax &operand, ScalarType type,
                                  Ref &ref, uint32_t &bytes) {
  if (operand.kind == OperandSyntax::Sink) {
    ref = {NoRow, 0};
    bytes = sizeOf(type);
    return true;
  }
  if (operand.kind != OperandSyntax::RegisterName || operand.negated ||
      operand.pairIndex != -1 || !operand.text.empty())
    return failAt(operand, "expected a destination register");
  const Register &reg = parent.function.registers[operand.index];
  bytes = sizeOf(reg.type);
  if (bytes == 0 || bytes < sizeOf(type))
    return failAt(operand, "register " + reg.name + " of type ." +
                               name(reg.type) + " does not hold a ." +
                               name(type));
  ref = {parent.rows[operand.index], 0};
  parent.write(operand.index);
  return true;
}

bool InstDecoder::destination(const OperandSyntax &operand, ScalarType type,
                              Ref &ref) {
  uint32_t bytes = 0;
  if (!wideDestination(operand, type, ref, bytes))
    return false;
  if (ref.offset == NoRow)
    return failAt(operand, "'_' as a destination");
  if (bytes != sizeOf(type))
    return failAt(operand, "register of " + std::to_string(bytes) +
                               " bytes for a ." + name(type));
  return true;
}

bool InstDecoder::destination(unsigned index, ScalarType type, Ref &ref) {
  return destination(operand(index), type, ref);
}

bool InstDecoder::predicateSource(unsigned index, Ref &ref, bool &negated) {
  const OperandSyntax &syntaxOperand = operand(index);
  negated = syntaxOperand.negated;
  if (syntaxOperand.kind == OperandSyntax::Immediate) {
    ref = constant(syntaxOperand.value ? 0xffffffff : 0, 4);
    return true;
  }
  if (syntaxOperand.kind == OperandSyntax::Special &&
      syntaxOperand.text == "%is_explicit_cluster") {
    ref = special(SpecialRegister::IsExplicitCluster);
    return true;
  }
  if (!isPredicate(syntaxOperand) || syntaxOperand.pairIndex != -1 ||
      !syntaxOperand.text.empty())
    return failAt(syntaxOperand, "expected a predicate");
  ref = {parent.rows[syntaxOperand.index], 0};
  parent.read(syntaxOperand.index);
  return true;
}

bool InstDecoder::predicateDestination(const OperandSyntax &operand, Ref &ref) {
  if (operand.pairIndex != -1)
    return failAt(operand, "expected one predicate as destination, got two");
  if (operand.kind == OperandSyntax::Sink) {
    ref = {NoRow, 0};
    return true;
  }
  if (!isPredicate(operand) || operand.negated || !operand.text.empty())
    return failAt(operand, "expected a predicate as destination");
  ref = {parent.rows[operand.index], 0};
  parent.write(operand.index);
  return true;
}

bool InstDecoder::pairDestination(const OperandSyntax &operand, Ref &ref) {
  ref = {NoRow, 0};
  if (operand.pairIndex < 0)
    return true;
  if (parent.function.registers[operand.pairIndex].type != ScalarType::Pred)
    return failAt(operand, "expected a predicate after '|'");
  ref = {parent.rows[operand.pairIndex], 0};
  parent.write(operand.pairIndex);
  return true;
}

bool InstDecoder::label(unsigned index, int32_t &target) {
  const OperandSyntax &syntaxOperand = operand(index);
  if (syntaxOperand.kind != OperandSyntax::Label || syntaxOperand.index < 0)
    return failAt(syntaxOperand, "unknown label '" + syntaxOperand.text + "'");
  target = syntaxOperand.index;
  return true;
}

bool InstDecoder::targetList(unsigned index, std::vector<uint32_t> &targets) {
  const OperandSyntax &syntaxOperand = operand(index);
  if (syntaxOperand.kind != OperandSyntax::Label || syntaxOperand.index > -2)
    return failAt(syntaxOperand, "expected the name of a '.branchtargets'");
  targets = parent.function.branchTargets[-2 - syntaxOperand.index];
  // Each branch has a copy of its list.
  constexpr size_t most = size_t(1) << 22;
  parent.targetCount += targets.size();
  if (parent.targetCount > most)
    return fail("the indexed branches of kernel '" + parent.function.info.name +
                "' have more than " + std::to_string(most) + " targets");
  return true;
}

bool InstDecoder::immediate(unsigned index, int64_t &value) {
  if (operand(index).kind != OperandSyntax::Immediate)
    return failAt(operand(index), "expected an integer constant");
  value = operand(index).value;
  return true;
}

bool InstDecoder::address(unsigned index, Space space, Ref &ref,
                          uint32_t &bytes, int64_t &offset) {
  const OperandSyntax &syntaxOperand = operand(index);
  if (syntaxOperand.kind != OperandSyntax::Memory)
    return failAt(syntaxOperand, "expected an address in brackets");
  if (syntaxOperand.parts.size() != 1)
    return failAt(syntaxOperand, "coordinates behind an address");
  if (!syntaxOperand.text.empty() && base() != "ld")
    return failAt(syntaxOperand, "'." + syntaxOperand.text + "' is for 'ld'");
  const OperandSyntax &baseOperand = syntaxOperand.parts[0];
  offset = syntaxOperand.value;
  // The block's own variables are in the shared memory of the cluster too.
  Space declared = space == Space::SharedCluster ? Space::Shared : space;
  if (baseOperand.kind == OperandSyntax::Address &&
      baseOperand.space != declared)
    return failAt(baseOperand, "'" + baseOperand.text + "' lies in ." +
                                   name(baseOperand.space) + " memory");
  if (baseOperand.kind == OperandSyntax::RegisterName) {
    bytes = registerBytes(baseOperand);
    if (bytes != 4 && bytes != 8)
      return failAt(baseOperand, "address in a register of " +
                                     std::to_string(bytes) + " bytes");
    if (bytes == 4 && (space == Space::Generic || space == Space::Global))
      return failAt(baseOperand, std::string("32-bit address of .") +
                                     name(space) + " memory");
    return source(baseOperand, bytes == 8 ? ScalarType::B64 : ScalarType::B32,
                  ref);
  }
  bytes = 8;
  return source(baseOperand, ScalarType::B64, ref);
}
