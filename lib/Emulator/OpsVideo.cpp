//===- OpsVideo.cpp - Integers in parts of registers ------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// PTX's video instructions: vadd, vsub, vabsdiff, vmin, vmax, vset, vshl, vshr
// and vmad on selected bytes or halves of their sources, and their forms on two
// halves or four bytes at once. All are computed lane by lane.
//
//===----------------------------------------------------------------------===//

#include "LaneWise.h"

namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA {

namespace {

using S = ScalarType;

enum VideoOperation : uint8_t {
  Add,
  Sub,
  AbsDiff,
  Min,
  Max,
  Average,
  ShiftLeft,
  ShiftRight,
  Set,
  MultiplyAdd
};
enum Secondary : uint8_t { None, SecondaryAdd, SecondaryMin, SecondaryMax };

/// What an instruction does, kept in Inst::list.
struct Video {
  uint8_t operation = 0;
  uint8_t secondary = None;
  uint8_t comparison = 0; ///< eq, ne, lt, le, gt, ge.
  uint8_t parts = 1;      ///< 1, 2 or 4.
  bool firstSigned = false, secondSigned = false, resultSigned = false;
  bool saturates = false;
  bool wraps = false;   ///< Shift counts.
  bool plusOne = false; ///< .po
  bool negatesProduct = false, negatesSum = false;
  uint8_t scale = 0; ///< Right shift of vmad.
  uint8_t mask = 0;  ///< Written parts.
  /// Bits and position of the part that a scalar result goes to; 32, 0 for
  /// the whole register.
  uint8_t resultBits = 32, resultAt = 0;
  /// Position of the sources' parts, in bits from the lowest of a then b.
  uint8_t firstAt[4] = {}, secondAt[4] = {};
  uint8_t firstBits = 32, secondBits = 32;
};
static_assert(sizeof(Video) <= sizeof(Inst::list));

int64_t extract(uint64_t pair, unsigned at, unsigned bits, bool isSigned) {
  uint64_t up = pair << (64 - at - bits);
  return isSigned ? int64_t(up) >> (64 - bits) : int64_t(up >> (64 - bits));
}

/// Holds 33 bits shifted by 32.
using Wide = __int128;

bool compare(unsigned kind, Wide a, Wide b) {
  switch (kind) {
  case 0:
    return a == b;
  case 1:
    return a != b;
  case 2:
    return a < b;
  case 3:
    return a <= b;
  case 4:
    return a > b;
  default:
    return a >= b;
  }
}

Wide operate(const Video &v, Wide a, Wide b) {
  switch (v.operation) {
  case Add:
    return a + b;
  case Sub:
    return a - b;
  case AbsDiff:
    return a < b ? b - a : a - b;
  case Min:
    return std::min(a, b);
  case Max:
    return std::max(a, b);
  case Average:
    return a + b >= 0 ? (a + b + 1) >> 1 : (a + b) >> 1;
  case Set:
    return compare(v.comparison, a, b);
  default: {
    uint64_t count = uint64_t(b);
    count = v.wraps ? count & 31 : std::min<uint64_t>(count, 32);
    return v.operation == ShiftLeft ? a * (Wide(1) << count) : a >> count;
  }
  }
}

Wide saturate(Wide value, unsigned bits, bool isSigned) {
  Wide most = (Wide(1) << (bits - isSigned)) - 1;
  return std::clamp<Wide>(value, isSigned ? -most - 1 : 0, most);
}

uint32_t scalar(const Video &v, uint32_t a, uint32_t b, uint32_t c) {
  int64_t x = extract(a, v.firstAt[0], v.firstBits, v.firstSigned);
  int64_t y = extract(b, v.secondAt[0], v.secondBits, v.secondSigned);
  Wide result = operate(v, x, y);
  if (v.saturates)
    result = saturate(result, v.resultBits, v.resultSigned);
  Wide other = v.resultSigned ? Wide(int32_t(c)) : Wide(c);
  if (v.secondary == SecondaryAdd)
    result += other;
  else if (v.secondary == SecondaryMin)
    result = std::min(result, other);
  else if (v.secondary == SecondaryMax)
    result = std::max(result, other);
  if (v.resultBits == 32)
    return uint32_t(result);
  uint32_t field = ((uint32_t(1) << v.resultBits) - 1) << v.resultAt;
  return (uint32_t(result) << v.resultAt & field) | (c & ~field);
}

uint32_t parallel(const Video &v, uint32_t a, uint32_t b, uint32_t c) {
  uint64_t pair = uint64_t(b) << 32 | a;
  unsigned bits = 32 / v.parts;
  uint32_t result = v.secondary == SecondaryAdd ? c : 0;
  for (unsigned i = 0; i < v.parts; ++i) {
    int64_t x = extract(pair, v.firstAt[i], bits, v.firstSigned);
    int64_t y = extract(pair, v.secondAt[i], bits, v.secondSigned);
    Wide part = operate(v, x, y);
    if (v.saturates)
      part = saturate(part, bits, v.resultSigned);
    bool isWritten = v.mask >> i & 1;
    uint32_t field = ((uint32_t(1) << bits) - 1) << (i * bits);
    if (v.secondary == SecondaryAdd)
      result += isWritten ? uint32_t(part) : 0;
    else
      result |= isWritten ? uint32_t(part) << (i * bits) & field : c & field;
  }
  return result;
}

uint32_t multiplyAdd(const Video &v, uint32_t a, uint32_t b, uint32_t c) {
  Wide x = extract(a, v.firstAt[0], v.firstBits, v.firstSigned);
  Wide y = extract(b, v.secondAt[0], v.secondBits, v.secondSigned);
  Wide sum = v.resultSigned ? Wide(int32_t(c)) : Wide(c);
  Wide result = (v.negatesProduct ? -(x * y) : x * y) +
                (v.negatesSum ? -sum : sum) + v.plusOne;
  result >>= v.scale;
  if (v.saturates)
    result = saturate(result, 32, v.resultSigned);
  return uint32_t(result);
}

template <uint32_t (*Function)(const Video &, uint32_t, uint32_t, uint32_t)>
bool video(Warp &warp, const Inst &inst, uint32_t mask) {
  Video v;
  std::memcpy(&v, inst.list, sizeof v);
  uint32_t *result = lanes<uint32_t>(warp, inst.op[0]);
  const uint32_t *a = lanes<uint32_t>(warp, inst.op[1]);
  const uint32_t *b = lanes<uint32_t>(warp, inst.op[2]);
  const uint32_t *c = lanes<uint32_t>(warp, inst.op[3]);
  forLanes(mask,
           [&](unsigned i) { result[i] = Function(v, a[i], b[i], c[i]); });
  return true;
}

/// Reads "b0" to "b3", "h0", "h1" or nothing.
bool takePart(InstDecoder &d, const OperandSyntax &operand, uint8_t &at,
              uint8_t &bits) {
  const std::string &text = operand.text;
  bits = 32;
  at = 0;
  if (operand.kind != OperandSyntax::RegisterName || text.empty())
    return true;
  bits = text[0] == 'b' ? 8 : 16;
  if (text.size() != 2 || (text[0] != 'b' && text[0] != 'h') || text[1] < '0' ||
      text[1] >= '0' + 32 / bits)
    return d.failAt(operand, "part '." + text + "' of a register");
  at = uint8_t((text[1] - '0') * bits);
  return true;
}

/// Reads "b7654" or "h32", the highest part first; `first` is the default.
bool takeParts(InstDecoder &d, const OperandSyntax &operand, unsigned parts,
               unsigned first, uint8_t *at) {
  unsigned bits = 32 / parts;
  for (unsigned i = 0; i < parts; ++i)
    at[i] = uint8_t((first + i) * bits);
  const std::string &text = operand.text;
  if (operand.kind != OperandSyntax::RegisterName || text.empty())
    return true;
  bool fits = text[0] == (parts == 4 ? 'b' : 'h') && text.size() == parts + 1;
  for (unsigned i = 0; fits && i < parts; ++i) {
    unsigned part = unsigned(text[parts - i] - '0');
    fits = part < 2 * parts;
    at[i] = uint8_t(part * bits);
  }
  return fits || d.failAt(operand, "parts '." + text + "' of a register");
}

bool takeMask(InstDecoder &d, const OperandSyntax &operand, unsigned parts,
              uint8_t &mask) {
  mask = uint8_t((1 << parts) - 1);
  const std::string &text = operand.text;
  if (text.empty())
    return true;
  mask = 0;
  bool fits = text[0] == (parts == 4 ? 'b' : 'h') && text.size() > 1;
  int last = 4;
  for (size_t i = 1; fits && i < text.size(); ++i) {
    int part = text[i] - '0';
    fits = part >= 0 && part < int(parts) && part < last;
    last = part;
    mask |= uint8_t(1 << part);
  }
  return fits || d.failAt(operand, "parts '." + text + "' of a result");
}

/// Operands without their parts and signs, which Video has.
bool takeRegisters(InstDecoder &d, Inst &inst, unsigned sources) {
  for (unsigned i = 0; i <= sources; ++i) {
    OperandSyntax plain = d.operand(i);
    if (plain.kind == OperandSyntax::RegisterName) {
      plain.text.clear();
      plain.negated = false;
    }
    if (!(i == 0 ? d.destination(plain, S::B32, inst.op[0])
                 : d.source(plain, S::B32, inst.op[i])))
      return false;
  }
  if (sources < 3)
    inst.op[3] = d.constant(0, 4);
  return true;
}

bool rejectSigns(InstDecoder &d) {
  for (unsigned i = 0; i < d.operandCount(); ++i)
    if (d.operand(i).negated)
      return d.failAt(d.operand(i), "sign before a register");
  return true;
}

bool takeSign(InstDecoder &d, bool &isSigned) {
  ScalarType type;
  if (!d.requireType(type, {S::U32, S::S32}))
    return false;
  isSigned = type == S::S32;
  return true;
}

bool decodeMultiplyAdd(InstDecoder &d, Inst &inst, Video &v) {
  v.plusOne = d.take("po");
  v.saturates = d.take("sat");
  int scale = d.takeOneOf({"shr7", "shr15"});
  v.scale = scale < 0 ? 0 : scale == 0 ? 7 : 15;
  if (!d.finish(4) || !takePart(d, d.operand(1), v.firstAt[0], v.firstBits) ||
      !takePart(d, d.operand(2), v.secondAt[0], v.secondBits) ||
      !takeRegisters(d, inst, 3))
    return false;
  auto isNegated = [&](unsigned index) {
    const OperandSyntax &operand = d.operand(index);
    return operand.kind == OperandSyntax::RegisterName && operand.negated;
  };
  bool first = isNegated(1), second = isNegated(2);
  v.negatesProduct = first != second;
  v.negatesSum = isNegated(3);
  if (isNegated(0) || (v.negatesProduct && v.negatesSum) ||
      (v.plusOne && (first || second || v.negatesSum)))
    return d.fail("signs of the operands exclude each other");
  if (!d.operand(3).text.empty() || !d.operand(0).text.empty())
    return d.fail("part of a register as result or third source");
  v.resultSigned =
      v.firstSigned || v.secondSigned || v.negatesProduct || v.negatesSum;
  std::memcpy(inst.list, &v, sizeof v);
  inst.handler = &video<multiplyAdd>;
  return true;
}

bool decodeScalar(InstDecoder &d, Inst &inst, Video &v) {
  bool isShift = v.operation == ShiftLeft || v.operation == ShiftRight;
  v.saturates = v.operation != Set && d.take("sat");
  if (isShift) {
    int mode = d.takeOneOf({"clamp", "wrap"});
    if (mode < 0)
      return d.fail("expected '.clamp' or '.wrap'");
    v.wraps = mode == 1;
  }
  v.secondary = uint8_t(d.takeOneOf({"add", "min", "max"}) + 1);
  const OperandSyntax &result = d.operand(0);
  bool merges =
      result.kind == OperandSyntax::RegisterName && !result.text.empty();
  unsigned sources = merges || v.secondary ? 3 : 2;
  if (merges && v.secondary)
    return d.failAt(result, "part of a register with a second operation");
  if (!d.finish(sources + 1) || !rejectSigns(d) ||
      !takePart(d, d.operand(0), v.resultAt, v.resultBits) ||
      !takePart(d, d.operand(1), v.firstAt[0], v.firstBits) ||
      !takePart(d, d.operand(2), v.secondAt[0], v.secondBits) ||
      !takeRegisters(d, inst, sources))
    return false;
  std::memcpy(inst.list, &v, sizeof v);
  inst.handler = &video<scalar>;
  return true;
}

bool decodeParallel(InstDecoder &d, Inst &inst, Video &v) {
  v.saturates = v.operation != Set && d.take("sat");
  if (d.take("add"))
    v.secondary = SecondaryAdd;
  if (v.saturates && v.secondary)
    return d.fail("'.sat' and '.add' exclude each other");
  if (!d.finish(4) || !rejectSigns(d) ||
      !takeMask(d, d.operand(0), v.parts, v.mask) ||
      !takeParts(d, d.operand(1), v.parts, 0, v.firstAt) ||
      !takeParts(d, d.operand(2), v.parts, v.parts, v.secondAt) ||
      !takeRegisters(d, inst, 3))
    return false;
  std::memcpy(inst.list, &v, sizeof v);
  inst.handler = &video<parallel>;
  return true;
}

const struct {
  const char *name;
  VideoOperation operation;
  bool isScalar, isParallel;
} operations[] = {
    {"vadd", Add, true, true},         {"vsub", Sub, true, true},
    {"vabsdiff", AbsDiff, true, true}, {"vmin", Min, true, true},
    {"vmax", Max, true, true},         {"vavrg", Average, false, true},
    {"vshl", ShiftLeft, true, false},  {"vshr", ShiftRight, true, false},
    {"vset", Set, true, true},         {"vmad", MultiplyAdd, true, false}};

bool decodeVideo(InstDecoder &d, Inst &inst) {
  Video v;
  std::string name = d.base();
  if (name.back() == '2' || name.back() == '4') {
    v.parts = uint8_t(name.back() - '0');
    name.pop_back();
  }
  for (auto &entry : operations)
    if (name == entry.name)
      v.operation = entry.operation;
  if (v.operation != Set && !takeSign(d, v.resultSigned))
    return false;
  if (!takeSign(d, v.firstSigned) || !takeSign(d, v.secondSigned))
    return false;
  if (v.operation == Set) {
    int kind = d.takeOneOf({"eq", "ne", "lt", "le", "gt", "ge"});
    if (kind < 0)
      return d.fail("expected a comparison");
    v.comparison = uint8_t(kind);
  }
  if ((v.operation == ShiftLeft || v.operation == ShiftRight) && v.secondSigned)
    return d.fail("shift count of type .s32");
  if (v.operation == MultiplyAdd)
    return decodeMultiplyAdd(d, inst, v);
  return v.parts == 1 ? decodeScalar(d, inst, v) : decodeParallel(d, inst, v);
}

} // namespace

void addVideoOpcodes(OpcodeTable &table) {
  for (auto &entry : operations) {
    if (entry.isScalar)
      table[entry.name] = &decodeVideo;
    if (entry.isParallel)
      for (const char *parts : {"2", "4"})
        table[std::string(entry.name) + parts] = &decodeVideo;
  }
}

} // namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA

#include "LanesEnd.h"
