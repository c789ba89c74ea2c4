//===- OpsCall.cpp - Calls of the device runtime ----------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Calls with a body are inlined before decoding. What is left are the two
// functions of the device runtime that need the emulator: a failed assertion
// ends the launch with its text, and printf adds to the launch's output.
//
//===----------------------------------------------------------------------===//

#include "Lanes.h"
#include "Printf.h"

namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA {

namespace {

using S = ScalarType;

/// message, file, line, function, size of a character
bool assertFail(Warp &warp, const Inst &inst, uint32_t mask) {
  unsigned lane = unsigned(std::countr_zero(mask));
  auto text = [&](Ref ref) {
    std::string value;
    return peekText(warp, lane, lanes<uint64_t>(warp, ref)[lane], value)
               ? value
               : std::string("(unreadable)");
  };
  uint32_t line = lanes<uint32_t>(warp, inst.op[3])[lane];
  return warp.block->fail(warp, inst, ReportKind::Trap, int(lane),
                          "assertion '" + text(inst.op[1]) + "' failed in " +
                              text(inst.op[4]) + ", " + text(inst.op[2]) + ":" +
                              std::to_string(line));
}

/// CUDA keeps as much of a launch's output.
constexpr size_t MostOutput = size_t(1) << 20;

bool printFormatted(Warp &warp, const Inst &inst, uint32_t mask) {
  Block &block = *warp.block;
  const uint64_t *format = lanes<uint64_t>(warp, inst.op[1]);
  const uint64_t *arguments = lanes<uint64_t>(warp, inst.op[2]);
  uint32_t *result = lanes<uint32_t>(warp, inst.op[0]);
  for (uint32_t rest = mask; rest; rest &= rest - 1) {
    unsigned lane = unsigned(std::countr_zero(rest));
    std::string text, output;
    if (!peekText(warp, lane, format[lane], text))
      return block.failAt(warp, inst, ReportKind::OutOfBounds, int(lane),
                          format[lane], "cannot read its format string");
    int count = 0;
    if (!formatText(warp, lane, text, arguments[lane], output, count))
      return block.fail(warp, inst, ReportKind::Unsupported, int(lane), output);
    result[lane] = uint32_t(count);
    Worker &worker = block.worker;
    if (worker.printedBytes > MostOutput)
      continue;
    worker.printedBytes += output.size();
    if (worker.printedBytes > MostOutput)
      output = "(more than 1048576 bytes of output: the rest is lost)\n";
    worker.printed.push_back({block.index, std::move(output)});
  }
  return true;
}

bool decodeCall(InstDecoder &d, Inst &inst) {
  inst.cls = InstClass::Control;
  d.take("uni");
  const OperandSyntax &target = d.operand(0);
  if (target.text == "__assertfail") {
    inst.handler = &assertFail;
    // Some compilers declare the size of a character with 32 bits.
    ScalarType size = d.registerBytes(d.operand(5)) == 4 ? S::B32 : S::B64;
    return d.finish(6) && d.source(1, S::B64, inst.op[1]) &&
           d.source(2, S::B64, inst.op[2]) && d.source(3, S::B32, inst.op[3]) &&
           d.source(4, S::B64, inst.op[4]) && d.source(5, size, inst.op[0]);
  }
  if (target.text == "vprintf") {
    inst.handler = &printFormatted;
    return d.finish(4) && d.destination(1, S::B32, inst.op[0]) &&
           d.source(2, S::B64, inst.op[1]) && d.source(3, S::B64, inst.op[2]);
  }
  return d.fail("expected the name of a function");
}

} // namespace

void addCallOpcodes(OpcodeTable &table) { table["call"] = &decodeCall; }

} // namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA

#include "LanesEnd.h"
