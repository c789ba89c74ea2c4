//===- InstructionSet.cpp - The opcodes of PTX ------------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// One row an opcode, in the order of the PTX documentation. Forms that an
// opcode has on chips later than sm_90a are left out of the texts.
//
//===----------------------------------------------------------------------===//

#include "InstructionSet.h"
#include "Requirements.h"
#include "Ropewalk/Emulator/Module.h"

using namespace ropewalk::emulator;

namespace {

constexpr bool Yes = true, No = false;
const char *const Arithmetic = "integer and float arithmetic";
const char *const Integer = "integer arithmetic";
const char *const Float = "float arithmetic";
const char *const Special = "special functions";
const char *const Compare = "comparison";
const char *const Logic = "logic and shifts";
const char *const Bits = "bit fields";
const char *const Moving = "moves and conversions";
const char *const Memory = "loads and stores";
const char *const Hints = "caches";
const char *const Copying = "asynchronous copies";
const char *const Exchange = "exchange in a warp";
const char *const Barriers = "synchronization";
const char *const Matrix = "matrices";
const char *const Control = "control flow";
const char *const Videos = "parts of registers";
const char *const Texture = "textures and surfaces";
const char *const Other = "other";

const char *const NoTextures = "textures and surfaces are not emulated";
const char *const NoStack = "the stack is laid out at load time";
const char *const NoBlackwell = "of chips later than sm_90a";

const InstructionInfo instructions[] = {
    {"add", Arithmetic, Yes,
     "u16 to u64, s16 to s64, .sat.s32, .cc, u16x2, s16x2; f32 and f64 in all "
     "roundings, .ftz, .sat; f16, f16x2, bf16, bf16x2"},
    {"sub", Arithmetic, Yes,
     "as add, but for u16x2 and s16x2, which PTX does not have"},
    {"mul", Arithmetic, Yes, ".lo, .hi, .wide of integers; floats as add"},
    {"mad", Arithmetic, Yes,
     ".lo, .hi, .wide, .hi.sat.s32, .cc of integers; f32, f64 as fma"},
    {"div", Arithmetic, Yes,
     "integers; f32 .approx, .full and all roundings, .ftz; f64 all roundings"},
    {"abs", Arithmetic, Yes,
     "s16, s32, s64, f32, f64, f16, f16x2, bf16, bf16x2, .ftz"},
    {"neg", Arithmetic, Yes, "as abs"},
    {"min", Arithmetic, Yes,
     "two sources: integers, u16x2, s16x2, .relu; floats with .ftz, .NaN, "
     ".xorsign.abs"},
    {"max", Arithmetic, Yes, "as min"},
    {"rem", Integer, Yes, "u16 to u64, s16 to s64"},
    {"sad", Integer, Yes, "u16 to u64, s16 to s64"},
    {"mul24", Integer, Yes, ".lo, .hi"},
    {"mad24", Integer, Yes, ".lo, .hi, .hi.sat.s32"},
    {"addc", Integer, Yes, "u32, s32, u64, s64, .cc"},
    {"subc", Integer, Yes, "u32, s32, u64, s64, .cc"},
    {"madc", Integer, Yes, ".lo, .hi of u32, s32, u64, s64, .cc"},
    {"dp4a", Integer, Yes, "all signs"},
    {"dp2a", Integer, Yes, ".lo, .hi, all signs"},
    {"fma", Float, Yes,
     "f32 and f64 in all roundings, .ftz, .sat; f16, f16x2, bf16, bf16x2 with "
     ".ftz, .sat, .relu; not .oob"},
    {"copysign", Float, Yes, "f32, f64"},
    {"rcp", Special, Yes,
     ".approx and all roundings of f32, .ftz; f64 all roundings and "
     ".approx.ftz"},
    {"sqrt", Special, Yes,
     ".approx and all roundings of f32, .ftz; f64 all roundings"},
    {"rsqrt", Special, Yes, ".approx of f32 and f64, .ftz"},
    {"sin", Special, Yes, ".approx.f32, .ftz"},
    {"cos", Special, Yes, ".approx.f32, .ftz"},
    {"lg2", Special, Yes, ".approx.f32, .ftz"},
    {"ex2", Special, Yes, ".approx of f32, f16, f16x2, bf16, bf16x2"},
    {"tanh", Special, Yes, ".approx of f32, f16, f16x2, bf16, bf16x2"},
    {"set", Compare, Yes, "all comparisons and pairs of types"},
    {"setp", Compare, Yes, "all comparisons, types and pairs of predicates"},
    {"selp", Compare, Yes, "all types"},
    {"slct", Compare, Yes, "all types, by s32 and f32, .ftz"},
    {"testp", Compare, Yes, "all properties of f32 and f64"},
    {"and", Logic, Yes, "pred, b16, b32, b64"},
    {"or", Logic, Yes, "pred, b16, b32, b64"},
    {"xor", Logic, Yes, "pred, b16, b32, b64"},
    {"not", Logic, Yes, "pred, b16, b32, b64"},
    {"cnot", Logic, Yes, "b16, b32, b64"},
    {"lop3", Logic, Yes, "b32, with a predicate by .or and .and"},
    {"shl", Logic, Yes, "b16, b32, b64"},
    {"shr", Logic, Yes, "all integer types"},
    {"shf", Logic, Yes, ".l, .r, .clamp, .wrap"},
    {"bfe", Bits, Yes, "u32, s32, u64, s64"},
    {"bfi", Bits, Yes, "b32, b64"},
    {"bfind", Bits, Yes, "u32, s32, u64, s64, .shiftamt"},
    {"clz", Bits, Yes, "b32, b64"},
    {"popc", Bits, Yes, "b32, b64"},
    {"brev", Bits, Yes, "b32, b64"},
    {"bmsk", Bits, Yes, ".clamp, .wrap"},
    {"szext", Bits, Yes, ".clamp, .wrap of u32 and s32"},
    {"fns", Bits, Yes, "b32"},
    {"mov", Moving, Yes,
     "all types and special registers but %pm, packing and unpacking, vectors, "
     "addresses of variables; not of functions and labels"},
    {"cvt", Moving, Yes,
     "all pairs of integers and floats, roundings and saturations, f16x2, "
     "bf16x2, tf32, e4m3x2, e5m2x2, .pack; not floats of 4 and 6 bits, .rs"},
    {"cvta", Moving, Yes, "all state spaces, both ways"},
    {"prmt", Moving, Yes, "all modes"},
    {"isspacep", Moving, Yes, "all state spaces"},
    {"ld", Memory, Yes,
     "all state spaces, types, vectors, scopes and orders, .nc, hints"},
    {"ldu", Memory, Yes, "as ld of global memory"},
    {"st", Memory, Yes,
     "all state spaces, types, vectors, scopes and orders, hints, .async"},
    {"atom", Memory, Yes,
     "all operations and types, vectors, scopes and orders"},
    {"red", Memory, Yes,
     "all operations and types, vectors, scopes and orders, .async"},
    {"multimem", Memory, No, "a launch has one device"},
    {"mapa", Memory, Yes, "shared and generic addresses"},
    {"getctarank", Memory, Yes, "shared and generic addresses"},
    {"prefetch", Hints, Yes, "all forms; changes nothing"},
    {"prefetchu", Hints, Yes, "changes nothing"},
    {"applypriority", Hints, Yes, "changes nothing"},
    {"discard", Hints, Yes, "all forms"},
    {"createpolicy", Hints, Yes, "all forms; the value is opaque"},
    {"cp", Copying, Yes,
     "cp.async, cp.async.bulk, cp.reduce.async.bulk and their tensor forms, "
     "with multicast, mbarriers and groups"},
    {"tensormap", Copying, Yes, "replace, cp_fenceproxy"},
    {"mbarrier", Barriers, Yes, "all operations of sm_90"},
    {"bar", Barriers, Yes, ".sync, .arrive, .red, .warp.sync"},
    {"barrier", Barriers, Yes, ".sync, .arrive, .red, .cluster"},
    {"membar", Barriers, Yes, "all levels, .proxy"},
    {"fence", Barriers, Yes, "all orders and scopes, .proxy, .mbarrier_init"},
    {"griddepcontrol", Barriers, Yes, "launches follow each other"},
    {"shfl", Exchange, Yes, ".sync in all modes"},
    {"vote", Exchange, Yes, ".sync in all modes"},
    {"match", Exchange, Yes, ".any.sync, .all.sync"},
    {"redux", Exchange, Yes, ".sync of integers and b32"},
    {"activemask", Exchange, Yes, "b32"},
    {"elect", Exchange, Yes, ".sync"},
    {"ldmatrix", Matrix, Yes, "m8n8.x1, .x2, .x4, .trans, b16"},
    {"stmatrix", Matrix, Yes, "m8n8.x1, .x2, .x4, .trans, b16"},
    {"movmatrix", Matrix, Yes, "m8n8.trans.b16"},
    {"mma", Matrix, Yes, "all dense shapes and types up to sm_90a; not .sp"},
    {"wmma", Matrix, Yes, "load, store, mma of all shapes and types"},
    {"wgmma", Matrix, Yes,
     "mma_async of all dense shapes and types, fence, commit_group, "
     "wait_group; not .sp"},
    {"tcgen05", Matrix, No, NoBlackwell},
    {"clusterlaunchcontrol", Control, No, NoBlackwell},
    {"bra", Control, Yes, "all forms"},
    {"brx", Control, Yes, ".idx"},
    {"call", Control, Yes,
     "of functions with a body, which are inlined, and of __assertfail and "
     "vprintf; not recursive or through a register"},
    {"ret", Control, Yes, "all forms"},
    {"exit", Control, Yes, "all forms"},
    {"trap", Control, Yes, "ends the launch with a report"},
    {"brkpt", Control, Yes, "ends the launch with a report"},
    {"nanosleep", Control, Yes, "lets other warps run"},
    {"setmaxnreg", Control, Yes, ".inc, .dec"},
    {"pmevent", Other, Yes, "changes nothing"},
    {"alloca", Other, No, NoStack},
    {"stacksave", Other, No, NoStack},
    {"stackrestore", Other, No, NoStack},
    {"vadd", Videos, Yes, "all forms"},
    {"vsub", Videos, Yes, "all forms"},
    {"vabsdiff", Videos, Yes, "all forms"},
    {"vmin", Videos, Yes, "all forms"},
    {"vmax", Videos, Yes, "all forms"},
    {"vshl", Videos, Yes, "all forms"},
    {"vshr", Videos, Yes, "all forms"},
    {"vmad", Videos, Yes, "all forms"},
    {"vset", Videos, Yes, "all forms"},
    {"vadd2", Videos, Yes, "all forms"},
    {"vsub2", Videos, Yes, "all forms"},
    {"vavrg2", Videos, Yes, "all forms"},
    {"vabsdiff2", Videos, Yes, "all forms"},
    {"vmin2", Videos, Yes, "all forms"},
    {"vmax2", Videos, Yes, "all forms"},
    {"vset2", Videos, Yes, "all forms"},
    {"vadd4", Videos, Yes, "all forms"},
    {"vsub4", Videos, Yes, "all forms"},
    {"vavrg4", Videos, Yes, "all forms"},
    {"vabsdiff4", Videos, Yes, "all forms"},
    {"vmin4", Videos, Yes, "all forms"},
    {"vmax4", Videos, Yes, "all forms"},
    {"vset4", Videos, Yes, "all forms"},
    {"tex", Texture, No, NoTextures},
    {"tld4", Texture, No, NoTextures},
    {"txq", Texture, No, NoTextures},
    {"istypep", Texture, No, NoTextures},
    {"suld", Texture, No, NoTextures},
    {"sust", Texture, No, NoTextures},
    {"sured", Texture, No, NoTextures},
    {"suq", Texture, No, NoTextures},
};

} // namespace

std::span<const InstructionInfo> ropewalk::emulator::instructionSet() {
  return instructions;
}

const char *ropewalk::emulator::refusalOf(std::string_view opcode) {
  for (const InstructionInfo &info : instructions)
    if (info.opcode == opcode)
      return info.isCovered ? nullptr : info.text;
  return nullptr;
}

std::string ropewalk::emulator::describeInstructionSet() {
  std::string text = "| opcode | family | target | executed | forms |\n"
                     "|--------|--------|--------|----------|-------|\n";
  for (const InstructionInfo &info : instructions) {
    std::string target = "-";
    if (info.isCovered) {
      unsigned chip = requirementOf(info.opcode).chip;
      target = chip ? describeChip(chip) : "any";
    }
    text += std::string("| `") + info.opcode + "` | " + info.family + " | " +
            target + " | " + (info.isCovered ? "yes" : "no") + " | " +
            info.text + " |\n";
  }
  return text;
}
