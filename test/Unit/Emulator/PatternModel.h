//===- PatternModel.h - Programs of recurring addresses ---------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A kernel of two warps that execute one load and one store again and again at
// places that a table holds, and a model of it that goes byte by byte and lane
// by lane: values, traffic, races.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_UNIT_EMULATOR_PATTERNMODEL_H
#define ROPEWALK_UNIT_EMULATOR_PATTERNMODEL_H

#include "Harness.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>

namespace ropewalk::emulator {

constexpr uint32_t MemoryBytes = 4096, Threads = 64;
/// Global memory under test is the end of a buffer and goes over a boundary of
/// the emulator's pages.
constexpr uint32_t Before = 6144;
constexpr uint32_t Idle = ~uint32_t(0), IsStore = 1 << 30;

/// The form of the load and the store.
struct Form {
  const char *type; ///< With the vector, as in ".v2.u32".
  uint32_t size, count;
  uint32_t bytes() const { return size * count; }
};
constexpr Form forms[] = {
    {".u8", 1, 1},     {".u16", 2, 1},    {".u32", 4, 1},
    {".v2.u16", 2, 2}, {".u64", 8, 1},    {".v2.u32", 4, 2},
    {".v4.u16", 2, 4}, {".v4.u32", 4, 4}, {".v2.u64", 8, 2}};

/// What a warp does in a round: a place or Idle by lane.
struct Step {
  bool isStore = false;
  std::array<uint32_t, 32> place{};
  bool isActive(unsigned lane) const { return place[lane] != Idle; }
};
/// Rounds 2 * i and 2 * i + 1 lie between two barriers.
using Round = std::array<Step, 2>;

/// Slots relative to the first one, or -1.
using Shape = std::array<int, 32>;

inline Shape randomShape(std::mt19937 &engine) {
  auto pick = [&](int low, int high) {
    return std::uniform_int_distribution<int>(low, high)(engine);
  };
  Shape shape;
  int kind = pick(0, 7), a = pick(1, 7), b = 1 << pick(0, 4);
  for (int lane = 0; lane < 32; ++lane)
    shape[lane] = kind == 0   ? lane
                  : kind == 1 ? lane / b * a // Groups of lanes.
                  : kind == 2 ? lane * a     // A stride.
                  : kind == 3 ? lane % b     // Repeated.
                  : kind == 4 ? lane % 8 * 8 + (lane / 8 ^ lane % 8)
                  : kind == 5 ? 31 - lane
                  : kind == 6 ? lane % b + lane / b * (b + a)
                              : pick(0, 40);
  if (pick(0, 2) == 0)
    for (int &slot : shape)
      slot = pick(0, 3) ? slot : -1;
  if (pick(0, 3) == 0)
    for (int lane = pick(1, 31); lane < 32; ++lane)
      shape[lane] = -1;
  return shape;
}

inline std::string kernelText(const Form &form, bool isShared) {
  std::string space = isShared ? ".shared" : ".global";
  std::string address = isShared ? "[%r11]" : "[%d11]";
  char letter = form.size == 8 ? 'd' : form.size == 4 ? 'r' : 'h';
  uint32_t width = std::max<uint32_t>(form.size, 2);
  std::string registers, values, clear, sum;
  for (uint32_t i = 0; i < form.count; ++i) {
    std::string name = std::string("%") + letter + std::to_string(30 + i);
    std::string from = "%r" + std::to_string(20 + i);
    registers += (i ? ", " : "") + name;
    values += "add.u32 " + from + ", %r12, " + std::to_string(i) + "; " +
              (width == 4 ? "mov.u32 " + name + ", " + from
                          : "cvt.u" + std::to_string(width * 8) + ".u32 " +
                                name + ", " + from) +
              ";\n";
    clear += "mov.b" + std::to_string(width * 8) + " " + name + ", 0;\n";
    sum += (width == 8
                ? "mov.u64 %d20, " + name
                : "cvt.u64.u" + std::to_string(width * 8) + " %d20, " + name) +
           "; mad.lo.u64 %d21, %d20, " + std::to_string(2 * i + 1) +
           ", %d21;\n";
  }
  if (form.count > 1)
    registers = "{" + registers + "}";
  std::string type = form.type;
  // p0: what to do, p1: results, p2: memory, p3: rounds, p4: a word that is not
  // initialized.
  return entryText(
      "mov.u32 %r1, %tid.x; mov.u32 %r2, s;\n"
      "ld.param.u64 %d1, [p0]; ld.param.u64 %d2, [p1];\n"
      "ld.param.u64 %d3, [p2]; ld.param.u64 %d4, [p3];\n"
      "ld.param.u64 %d5, [p4]; cvt.u32.u64 %r3, %d4; cvt.u32.u64 %r4, %d5;\n"
      "mov.u32 %r5, %r1;\n"
      "INIT:\n"
      "mul.lo.u32 %r6, %r5, 0x9e3779b1; shl.b32 %r7, %r5, 2;\n"
      "add.u32 %r8, %r7, %r2; cvt.u64.u32 %d7, %r7; add.u64 %d7, %d7, %d3;\n"
      "setp.ne.u32 %p1, %r5, %r4;\n" +
          std::string(isShared ? "@%p1 st.shared.u32 [%r8], %r6;\n"
                               : "@%p1 st.global.u32 [%d7], %r6;\n") +
          "add.u32 %r5, %r5, 64; setp.lt.u32 %p2, %r5, 1024;\n"
          "@%p2 bra INIT;\n"
          "bar.sync 0;\n"
          "mov.u32 %r5, %r1; shl.b32 %r3, %r3, 6;\n"
          "LOOP:\n"
          "mul.wide.u32 %d8, %r5, 4; add.u64 %d9, %d1, %d8;\n"
          "add.u64 %d10, %d2, %d8; add.u64 %d10, %d10, %d8;\n"
          "ld.global.u32 %r10, [%d9];\n"
          "setp.ne.u32 %p3, %r10, 0xffffffff; and.b32 %r9, %r10, 0x40000000;\n"
          "setp.ne.u32 %p4, %r9, 0; and.pred %p5, %p3, %p4;\n"
          "xor.b32 %r9, %r9, 0x40000000; setp.ne.u32 %p4, %r9, 0;\n"
          "and.pred %p4, %p3, %p4; and.b32 %r10, %r10, 0x3fffffff;\n"
          "add.u32 %r11, %r10, %r2; cvt.u64.u32 %d11, %r10;\n"
          "add.u64 %d11, %d11, %d3;\n"
          "shl.b32 %r12, %r5, 2;\n" +
          (form.size == 1 ? "and.b32 %r12, %r5, 127;\n" : "") + values +
          "@%p5 st" + space + type + " " + address + ", " + registers + ";\n" +
          clear + "@%p4 ld" + space + type + " " + registers + ", " + address +
          ";\n"
          "mov.u64 %d21, 0;\n" +
          sum +
          "st.global.u64 [%d10], %d21;\n"
          "and.b32 %r13, %r5, 64; setp.ne.u32 %p6, %r13, 0;\n"
          "@%p6 bar.sync 0;\n"
          "add.u32 %r5, %r5, 64; setp.lt.u32 %p2, %r5, %r3;\n"
          "@%p2 bra LOOP;\n"
          "ret;",
      5, ".shared .align 16 .b8 s[4096];\n");
}

/// Goes through rounds one after the other.
struct Model {
  const Form &form;
  std::vector<uint8_t> memory = std::vector<uint8_t>(MemoryBytes);
  std::vector<uint64_t> sums;
  uint64_t transactions[2] = {}, conflicts[2] = {}, sectors[2] = {},
           requests[2] = {}; ///< Of loads, of stores.

  explicit Model(const Form &form) : form(form) {
    for (uint32_t i = 0; i < MemoryBytes / 4; ++i) {
      uint32_t value = i * 0x9e3779b1;
      std::memcpy(&memory[i * 4], &value, 4);
    }
  }

  void count(const Step &step) {
    uint32_t bytes = form.bytes();
    unsigned phases = bytes <= 4 ? 1 : bytes / 4, width = 32 / phases;
    std::set<uint32_t> touched;
    bool isAny = false;
    for (unsigned phase = 0; phase < phases; ++phase) {
      std::map<uint32_t, std::set<uint32_t>> banks;
      for (unsigned lane = phase * width; lane < (phase + 1) * width; ++lane)
        for (uint32_t i = 0; step.isActive(lane) && i < bytes; ++i) {
          uint32_t word = (step.place[lane] + i) / 4;
          banks[word % 32].insert(word);
          touched.insert((step.place[lane] + i) / 32);
        }
      size_t most = 0;
      for (const auto &[bank, words] : banks)
        most = std::max(most, words.size());
      transactions[step.isStore] += most;
      conflicts[step.isStore] += most ? most - 1 : 0;
      isAny |= most != 0;
    }
    sectors[step.isStore] += touched.size();
    requests[step.isStore] += isAny;
  }

  void execute(uint32_t number, const Round &round) {
    for (const Step &step : round)
      count(step);
    for (uint32_t thread = 0; thread < Threads; ++thread) {
      const Step &step = round[thread / 32];
      uint32_t id = number * Threads + thread, place = step.place[thread % 32];
      sums.push_back(0);
      for (uint32_t i = 0; place != Idle && i < form.count; ++i) {
        uint64_t value = (form.size == 1 ? id & 127 : id * 4) + i;
        uint8_t *at = &memory[place + i * form.size];
        if (step.isStore) {
          std::memcpy(at, &value, form.size);
        } else {
          value = 0;
          std::memcpy(&value, at, form.size);
        }
        // The registers of a store are cleared afterwards.
        sums.back() += step.isStore ? 0 : value * (2 * i + 1);
      }
    }
  }
};

inline bool overlap(uint32_t a, uint32_t b, uint32_t bytes) {
  return a < b + bytes && b < a + bytes;
}

/// Whether two accesses between two barriers conflict. No two threads store the
/// same.
inline bool hasRace(const Round *rounds, uint32_t count, uint32_t bytes) {
  for (uint32_t a = 0; a < count * Threads; ++a)
    for (uint32_t b = 0; b < a; ++b) {
      const Step &one = rounds[a / Threads][a / 32 % 2];
      const Step &two = rounds[b / Threads][b / 32 % 2];
      if (a % Threads != b % Threads && (one.isStore || two.isStore) &&
          one.isActive(a % 32) && two.isActive(b % 32) &&
          overlap(one.place[a % 32], two.place[b % 32], bytes))
        return true;
    }
  return false;
}

} // namespace ropewalk::emulator

#endif // ROPEWALK_UNIT_EMULATOR_PATTERNMODEL_H
