//===- FunctionDecoder.cpp - Decoding a whole function ----------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The pass over a function's instructions, and the rows of its registers.
//
//===----------------------------------------------------------------------===//

#include "ControlFlow.h"
#include "Decoder.h"
#include "InstructionSet.h"
#include "RegisterRows.h"
#include "Requirements.h"
#include "Wgmma.h"

#include <algorithm>

using namespace ropewalk::emulator;

namespace {

uint32_t rowBytes(const Register &reg) {
  return std::max<uint32_t>(sizeOf(reg.type) * 32, 64);
}

} // namespace

void FunctionDecoder::read(int32_t index) {
  reads.back().push_back(uint32_t(index));
}
void FunctionDecoder::write(int32_t index) {
  writes.back().push_back(uint32_t(index));
}

bool FunctionDecoder::layoutRegisters() {
  rows.clear();
  uint64_t offset = 0;
  for (const Register &reg : function.registers) {
    rows.push_back(uint32_t(offset));
    offset += rowBytes(reg);
  }
  // A block of 32 warps then takes at most 2 GiB of the host.
  if (offset > (1 << 26)) {
    error = {"kernel '" + function.info.name + "' declares " +
                 std::to_string(function.registers.size()) +
                 " registers, more than the emulator has room for",
             {1, 1}};
    return false;
  }
  program.registerBytes = uint32_t(offset);
  return true;
}

void FunctionDecoder::shareRows() {
  std::vector<RowRequest> requests;
  for (const Register &reg : function.registers)
    requests.push_back({rowBytes(reg), sizeOf(reg.type), false});
  // wgmma writes its registers when it completes, which may be long after the
  // program has lost interest in them.
  for (size_t id = 0; id < function.body.size(); ++id)
    if (function.body[id].base == "wgmma")
      for (const auto *list : {&reads[id], &writes[id]})
        for (uint32_t index : *list)
          requests[index].isPinned = true;
  uint32_t bytes = 0;
  rows = assignRows(program, reads, writes, requests, bytes);
  program = Program();
  program.registerBytes = bytes;
}

bool FunctionDecoder::decode(const InstructionSyntax &syntax, uint32_t id) {
  Inst &inst = program.code.emplace_back();
  inst.location = syntax.location;
  inst.sourceFile = syntax.source.file;
  inst.sourceLine = syntax.source.line;
  inst.sourceColumn = syntax.source.column;
  inst.sourceCaller = syntax.source.caller;
  inst.id = id;
  if (syntax.guard >= 0) {
    inst.guard = rows[syntax.guard];
    inst.guardFlip = syntax.guardNegated ? ~uint32_t(0) : 0;
    read(syntax.guard);
  }
  program.opcodes.push_back(syntax.opcode());
  auto entry = table.find(syntax.base);
  if (entry == table.end()) {
    const char *reason = refusalOf(syntax.base);
    error = {"instruction '" + syntax.opcode() + "' is not supported" +
                 (reason ? std::string(": ") + reason : ""),
             syntax.location};
    return false;
  }
  InstDecoder decoder(*this, syntax);
  if (!entry->second(decoder, inst))
    return false;
  std::string message;
  return meets(module, requirementOf(syntax), message) || decoder.fail(message);
}

bool FunctionDecoder::decodeAll() {
  constants.clear();
  specials.clear();
  reads.clear();
  writes.clear();
  targetCount = 0;
  uint32_t alignment = std::max<uint32_t>(function.dynamicSharedAlignment, 16);
  program.dynamicSharedOffset =
      (function.info.staticSharedBytes + alignment - 1) / alignment * alignment;
  program.constantMemory = module.constantBytes;
  for (const InstructionSyntax &syntax : function.body) {
    reads.emplace_back();
    writes.emplace_back();
    if (!decode(syntax, uint32_t(program.code.size())))
      return false;
  }
  // Falling off the end returns.
  InstructionSyntax last;
  last.base = "ret";
  if (!function.body.empty()) {
    last.location = function.body.back().location;
    last.source = function.body.back().source;
  }
  reads.emplace_back();
  writes.emplace_back();
  return decode(last, uint32_t(program.code.size()));
}

bool FunctionDecoder::run() {
  // Once to learn what reads and writes which register, once with the rows that
  // follow from it.
  if (!layoutRegisters() || !decodeAll())
    return false;
  shareRows();
  if (!decodeAll())
    return false;
  findReconvergence(program);
  std::vector<std::string> names;
  for (const Register &reg : function.registers)
    names.push_back(reg.name);
  findUninitialized(program, reads, writes, names);
  findHeldRegisters(program, reads, writes, rows, names);
  return true;
}
