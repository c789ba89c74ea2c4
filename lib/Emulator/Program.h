//===- Program.h - Decoded code ---------------------------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The internal form of a kernel. A register is a row of 32 lanes; operands are
// byte offsets of rows in the warp's register file or in the kernel's pool of
// constants, so that handlers see no difference between a register, an
// immediate and a special register.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_LIB_EMULATOR_PROGRAM_H
#define ROPEWALK_LIB_EMULATOR_PROGRAM_H

#include "Ropewalk/Emulator/Counters.h"
#include "Syntax.h"

#include <cstddef>
#include <memory>

namespace ropewalk::emulator {

struct Warp;
struct Inst;
struct HeldRegisters;

/// Executes one instruction for the lanes in `mask` (never 0). Returns false
/// when the block's report says why execution stops.
using Handler = bool (*)(Warp &warp, const Inst &inst, uint32_t mask);

/// A row of 32 lanes: bank 0 is the warp's register file, 1 the constant pool.
/// A predicate is one 32-bit word, a bit a lane.
struct Ref {
  uint32_t offset = 0;
  uint32_t bank = 0;
};

constexpr uint32_t NoRow = ~uint32_t(0);

enum class InstKind : uint8_t {
  Plain,
  Branch,
  IndexedBranch,
  Exit,
  Barrier,
  WarpSync, ///< Waits for the lanes of the member mask in `member`.
  /// Waits for all lanes of the warp (".aligned"). The handler gets a full
  /// mask, or the block reports why it cannot.
  Aligned,
  /// Plain, but the handler may make the warp wait: it sets Warp::isBlocked
  /// and returns true, and the instruction is executed again in the warp's
  /// next turn.
  Waiting,
  /// As Waiting, for all live lanes of the warp. The handler gets them all, or
  /// those that come, when the others are elsewhere for good.
  Together,
};

struct Inst {
  Handler handler = nullptr;
  InstKind kind = InstKind::Plain;
  InstClass cls = InstClass::Integer;
  uint8_t count = 1;       ///< Elements of a vector access.
  bool copiesBits = false; ///< A move: uninitialized bits pass through.
  /// A wgmma, whose registers at `extra` are not the program's own for a while.
  bool holdsRegisters = false;
  bool movesRegisters = false; ///< setmaxnreg.
  uint32_t guard = NoRow;      ///< Offset of the guard predicate.
  uint32_t guardFlip = 0;      ///< All ones for "@!p".
  uint32_t data = 0;           ///< Meaning depends on the handler.
  int32_t target = -1;
  int32_t reconverge = -1; ///< Where diverged lanes meet; -1 is never.
  Ref op[5];               ///< Destination first.
  Ref list[4];             ///< Elements of a vector access.
  /// Range in Program::operands, for instructions with many registers.
  uint32_t extra = 0, extraCount = 0;
  Ref member;
  int64_t offset = 0; ///< Displacement of an address.
  uint32_t id = 0;    ///< Index in the code.
  /// Ranges in Program::tracked: registers whose initialization is only known
  /// at run time and that this instruction reads, writes.
  uint32_t trackBegin = 0;
  uint16_t trackReads = 0, trackWrites = 0;
  /// Of the registers that this instruction reads, the last ones count only
  /// where the predicate `optionalWhere`, flipped, holds: in all, and of those
  /// tracked.
  uint16_t optionalReads = 0, trackOptional = 0;
  uint32_t optionalFlip = 0;
  Ref optionalWhere;
  SourceLocation location;
  /// From .loc: `sourceFile` is a key of ModuleData::files; line 0 means
  /// unknown.
  uint32_t sourceFile = 0, sourceLine = 0, sourceColumn = 0;
  /// See SourcePlace::caller.
  uint32_t sourceCaller = 0;
  std::vector<uint32_t> targets; ///< Of an indexed branch.
};

enum class SpecialRegister : uint8_t {
  TidX,
  TidY,
  TidZ,
  NtidX,
  NtidY,
  NtidZ,
  CtaidX,
  CtaidY,
  CtaidZ,
  NctaidX,
  NctaidY,
  NctaidZ,
  LaneId,
  WarpId,
  NwarpId,
  LanemaskEq,
  LanemaskLe,
  LanemaskLt,
  LanemaskGe,
  LanemaskGt,
  DynamicSharedSize,
  TotalSharedSize,
  SmId,
  NsmId,
  ClusterIdX,
  ClusterIdY,
  ClusterIdZ,
  NclusterIdX,
  NclusterIdY,
  NclusterIdZ,
  ClusterCtaidX,
  ClusterCtaidY,
  ClusterCtaidZ,
  ClusterNctaidX,
  ClusterNctaidY,
  ClusterNctaidZ,
  ClusterCtaRank,
  ClusterNctaRank,
  IsExplicitCluster, ///< A predicate: all bits of the first lane.
  WorkspaceHigh,     ///< %envreg1, %envreg2: the address of the memory that
  WorkspaceLow,      ///< the blocks of a grid meet in.
  ReservedBegin,     ///< Of the block's shared memory, what is reserved for the
  ReservedEnd,       ///< system's software: where it begins and ends,
  ReservedFirst,     ///< and two places in it.
  ReservedSecond,
};

/// Bytes of a block's shared memory that system software keeps for itself, from
/// sm_80 on.
constexpr uint32_t ReservedSharedBytes = 1024;

struct Program {
  std::vector<Inst> code;
  uint32_t registerBytes = 0; ///< Of one warp.
  std::vector<std::byte> constants;
  /// Special registers that the code reads: (register, row offset).
  std::vector<std::pair<SpecialRegister, uint32_t>> specials;
  std::vector<uint32_t> tracked;
  uint32_t trackedCount = 0;
  /// Registers behind the tracked numbers, for reports.
  std::vector<std::string> trackedNames;
  std::vector<uint8_t> constantMemory;
  uint32_t dynamicSharedOffset = 0;
  /// Blocks may see each other at work: strong accesses to global memory.
  /// The extremes that setmaxnreg asks for: registers of a thread.
  uint32_t leastIncrease = 256, mostDecrease = 0;
  bool communicates = false;
  /// fence or membar; these or acquires, without which flags order nothing.
  bool usesFences = false, synchronizes = false;
  uint32_t egos = 1;                ///< Bits of Ego that the code makes use of.
  std::vector<std::string> opcodes; ///< By instruction, for reports.
  std::vector<Ref> operands;        ///< Behind Inst::extra.
  bool usesWarpgroups = false;      ///< wgmma or setmaxnreg.
  std::shared_ptr<const HeldRegisters> held; ///< Null without wgmma.
};

/// Where the instruction comes from by .loc, "file.cu:12:5"; "" if unknown.
/// Without the column for `withColumn` false.
std::string sourceOf(const ModuleData &module, const Inst &inst,
                     bool withColumn = true);
/// Where that code was inlined, the innermost place first.
std::vector<std::string> callersOf(const ModuleData &module, const Inst &inst);

} // namespace ropewalk::emulator

#endif // ROPEWALK_LIB_EMULATOR_PROGRAM_H
