//===- RandomProgram.h - Random programs with exact clocks ------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Makes small random programs of accesses and synchronization and knows their
// races: in the order of the generation it keeps one full vector clock for each
// thread and a list of all accesses for each byte. Programs synchronize so that
// what happened before what does not depend on the schedule: barriers meet in
// the order of the generation, and the last value of a flag has one writer or a
// known number of them, which its readers wait for.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_UNIT_EMULATOR_RANDOMPROGRAM_H
#define ROPEWALK_UNIT_EMULATOR_RANDOMPROGRAM_H

#include <algorithm>
#include <random>
#include <set>
#include <string>
#include <vector>

namespace ropewalk::emulator {

/// What programs are made of.
struct ProgramShape {
  unsigned blocks = 1, warpsPerBlock = 3;
  bool isGlobal = false;  ///< Data and flags in global memory.
  bool hasStrong = true;  ///< Strong accesses.
  bool hasFlags = false;  ///< Flags, with fences or without.
  unsigned narrowest = 1; ///< Bytes of the narrowest access.

  unsigned warps() const { return blocks * warpsPerBlock; }
  unsigned threads() const { return warps() * 32; }
};

class RandomProgram {
public:
  RandomProgram(unsigned seed, const ProgramShape &shape)
      : shape(shape), random(seed), clock(shape.threads()),
        captured(shape.threads()), pending(shape.threads()),
        log(DataBytes + 4 * MaxFlags), code(shape.warps()) {
    for (unsigned t = 0; t < shape.threads(); ++t) {
      clock[t].assign(shape.threads(), 0);
      clock[t][t] = 1;
    }
    for (unsigned i = 0, count = 6 + below(14); i < count; ++i)
      addStep();
  }

  static constexpr unsigned DataBytes = 64, MaxFlags = 24;

  bool hasRace() const { return !races.empty(); }
  /// Whether the access of that number races with one of that thread.
  bool isRace(unsigned access, unsigned thread) const {
    return races.count({access, thread});
  }

  /// The body of an entry with the parameter p0; module-scope variables.
  std::string body() const {
    std::string text =
        "mov.u32 %r1, %tid.x; and.b32 %r6, %r1, 31; shr.u32 %r5, %r1, 5;\n"
        "mov.u32 %r7, %ctaid.x; mad.lo.u32 %r5, %r7, " +
        std::to_string(shape.warpsPerBlock) +
        ", %r5;\nmov.u32 %r9, s; ld.param.u64 %d9, [p0];\n";
    for (unsigned i = 1; i < shape.warps(); ++i)
      text += "setp.eq.u32 %p1, %r5, " + std::to_string(i) + ";\n@%p1 bra W" +
              std::to_string(i) + ";\n";
    for (unsigned i = 0; i < shape.warps(); ++i)
      text += "W" + std::to_string(i) + ":\n" + code[i] + "ret;\n";
    return text;
  }
  static std::string variables() { return ".shared .align 16 .b8 s[512];\n"; }
  /// Bytes behind p0 of a program on global memory.
  static constexpr unsigned bytes() { return DataBytes + 4 * MaxFlags; }

private:
  using Clock = std::vector<unsigned>;
  enum Scope { Weak, Block, Device };
  struct Access {
    unsigned number, thread, time;
    bool isWrite;
    Scope scope;
  };
  struct Release {
    Clock clock;
    Scope scope;
    unsigned block;
  };
  struct Flag {
    bool isCount;
    unsigned value;
    std::vector<Release> releases;
  };

  unsigned below(unsigned bound) { return unsigned(random() % bound); }
  unsigned blockOf(unsigned thread) const {
    return thread / 32 / shape.warpsPerBlock;
  }
  Scope someScope() { return below(2) ? Device : Block; }
  static const char *name(Scope scope) {
    return scope == Device ? "gpu" : "cta";
  }
  std::string space() const { return shape.isGlobal ? ".global" : ".shared"; }

  // Clocks.
  void release(unsigned thread, Clock &into) {
    into.resize(shape.threads());
    for (unsigned i = 0; i < into.size(); ++i)
      into[i] = std::max(into[i], clock[thread][i]);
    ++clock[thread][thread];
  }
  void acquire(unsigned thread, const Clock &from) {
    for (unsigned i = 0; i < from.size(); ++i)
      clock[thread][i] = std::max(clock[thread][i], from[i]);
  }
  bool acquire(unsigned thread, const Release &from, Scope scope) {
    bool reaches = blockOf(thread) == from.block ||
                   (scope == Device && from.scope == Device);
    if (reaches)
      acquire(thread, from.clock);
    return reaches;
  }
  void synchronize(const std::vector<unsigned> &arrive,
                   const std::vector<unsigned> &wait) {
    Clock past;
    for (unsigned thread : arrive)
      release(thread, past);
    for (unsigned thread : wait)
      release(thread, past);
    for (unsigned thread : wait)
      acquire(thread, past);
  }

  void touch(unsigned number, unsigned thread, unsigned byte, bool isWrite,
             Scope scope) {
    for (const Access &old : log[byte]) {
      bool isSynchronized = scope != Weak && old.scope != Weak &&
                            (blockOf(thread) == blockOf(old.thread) ||
                             (scope == Device && old.scope == Device));
      if ((!isWrite && !old.isWrite) || isSynchronized ||
          thread == old.thread || clock[thread][old.thread] >= old.time)
        continue;
      // Whichever comes second in the schedule is reported.
      races.insert({number, old.thread});
      races.insert({old.number, thread});
    }
    log[byte].push_back(
        {number, thread, clock[thread][thread], isWrite, scope});
  }

  // Code.
  /// Lanes of a step: often one, sometimes several, the first four or all.
  uint32_t someLanes() {
    switch (below(4)) {
    case 0:
      return 1u << below(Lanes);
    case 1:
      return 1 + below((1 << Lanes) - 1);
    case 2:
      return (1 << Lanes) - 1;
    default:
      return ~0u;
    }
  }
  static std::string guard(uint32_t mask) {
    return "mov.b32 %r20, " + std::to_string(mask) +
           "; shr.u32 %r20, %r20, %r6; and.b32 %r20, %r20, 1;\n"
           "setp.ne.u32 %p5, %r20, 0;\n";
  }
  static std::string numbered(unsigned number) {
    return " // access " + std::to_string(number) + "\n";
  }
  /// An address that is the same for all lanes.
  std::string at(unsigned offset) const {
    return (shape.isGlobal ? "[%d9+" : "[%r9+") + std::to_string(offset) + "]";
  }
  template <class F> void forLanes(unsigned warp, uint32_t mask, F function) {
    for (unsigned lane = 0; lane < 32; ++lane)
      if (mask >> lane & 1)
        function(warp * 32 + lane, lane);
  }

  void addStep() {
    unsigned kind = below(shape.hasFlags ? 16 : 11);
    unsigned warp = below(shape.warps());
    if (kind < 8)
      addAccess(warp);
    else if (kind == 8 || kind == 9)
      addWarpSync(warp);
    else if (kind == 10)
      addBarrier();
    else if (kind == 11)
      addFence(warp);
    else if (kind <= 13)
      addSignal(warp);
    else
      addWait(warp);
  }

  void addAccess(unsigned warp) {
    uint32_t mask = someLanes();
    bool isStore = below(2), isStrong = shape.hasStrong && below(5) == 0;
    unsigned width = isStrong ? 4 : 1u << below(4);
    width = std::max(width, shape.narrowest);
    // Lanes side by side, apart, or all at one place.
    unsigned stride = below(3) * width;
    if (mask == ~0u)
      stride = 0;
    unsigned slots = (DataBytes - stride * (Lanes - 1)) / width;
    unsigned offset = below(slots) * width;
    // All lanes of the warp at one place: only as readers.
    if (isStore && stride == 0)
      mask = 1u << below(Lanes);
    unsigned number = ++accesses;
    std::string type = width == 8   ? ".b64 "
                       : width == 4 ? ".b32 "
                       : width == 2 ? ".b16 "
                                    : ".b8 ";
    std::string data = width == 8 ? "%d5" : width == 4 ? "%r22" : "%h5";
    std::string offsetText = std::to_string(offset) + "]";
    std::string address = (shape.isGlobal ? "[%d6+" : "[%r21+") + offsetText;
    code[warp] += guard(mask) + "mul.lo.u32 %r21, %r6, " +
                  std::to_string(stride) +
                  "; cvt.u64.u32 %d6, %r21; add.s64 %d6, %d6, %d9;\n"
                  "add.u32 %r21, %r21, %r9;\n" +
                  // No two stores write the same.
                  "mad.lo.u32 %r22, %r6, 64, " + std::to_string(number) +
                  "; cvt.u64.u32 %d5, %r22; cvt.u16.u32 %h5, %r22;\n";
    Scope scope = Weak;
    std::string line = "@%p5 ";
    if (!isStrong) {
      line += (isStore ? "st" : "ld") + space() + type;
    } else if (below(2)) {
      scope = Device;
      line += (isStore ? "st.volatile" : "ld.volatile") + space() + type;
    } else {
      scope = someScope();
      line += (isStore ? "st.relaxed." : "ld.relaxed.") +
              std::string(name(scope)) + space() + type;
    }
    if (isStrong && isStore && below(2)) {
      scope = someScope();
      line = "@%p5 atom.relaxed." + std::string(name(scope)) + space() +
             ".add.u32 %r23, " + address + ", %r22;";
    } else {
      line +=
          isStore ? address + ", " + data + ";" : data + ", " + address + ";";
    }
    code[warp] += line + numbered(number);
    forLanes(warp, mask, [&](unsigned thread, unsigned lane) {
      for (unsigned i = 0; i < width; ++i)
        touch(number, thread, offset + lane * stride + i, isStore, scope);
    });
  }

  void addWarpSync(unsigned warp) {
    uint32_t mask = someLanes();
    code[warp] +=
        guard(mask) + "@%p5 bar.warp.sync " + std::to_string(mask) + ";\n";
    std::vector<unsigned> threads;
    forLanes(warp, mask,
             [&](unsigned thread, unsigned) { threads.push_back(thread); });
    synchronize({}, threads);
  }

  void addBarrier() {
    unsigned first = below(shape.blocks) * shape.warpsPerBlock, count = 0;
    std::vector<unsigned> roles(shape.warpsPerBlock);
    for (unsigned &role : roles)
      count += (role = below(3)) != 0;
    // Each has an identifier of its own, so that no warp comes to a barrier
    // before an earlier use of it is over.
    if (count == 0 || barriers == 15)
      return;
    unsigned id = ++barriers;
    std::vector<unsigned> arrive, wait;
    // At least one waits.
    bool waits = std::count(roles.begin(), roles.end(), 1u);
    for (unsigned i = 0; i < shape.warpsPerBlock; ++i) {
      if (roles[i] == 2 && !waits) {
        roles[i] = 1;
        waits = true;
      }
      if (!roles[i])
        continue;
      code[first + i] +=
          std::string(roles[i] == 1 ? "bar.sync " : "bar.arrive ") +
          std::to_string(id) + ", " + std::to_string(count * 32) + ";\n";
      forLanes(first + i, ~0u, [&](unsigned thread, unsigned) {
        (roles[i] == 1 ? wait : arrive).push_back(thread);
      });
    }
    synchronize(arrive, wait);
  }

  void addFence(unsigned warp) {
    uint32_t mask = someLanes();
    Scope scope = someScope();
    std::string fence = scope == Block && below(3) == 0 ? "membar.cta"
                        : below(3) == 0 && scope == Device
                            ? "membar.gl"
                            : (below(2) ? "fence.acq_rel." : "fence.sc.") +
                                  std::string(name(scope));
    code[warp] += guard(mask) + "@%p5 " + fence + ";\n";
    forLanes(warp, mask, [&](unsigned thread, unsigned) {
      for (const Release &release : pending[thread])
        acquire(thread, release, scope);
      // A wider fence may acquire more of it later.
      if (scope == Device)
        pending[thread].clear();
      std::erase_if(captured[thread],
                    [&](const Release &r) { return r.scope <= scope; });
      Release mine{{}, scope, blockOf(thread)};
      release(thread, mine.clock);
      captured[thread].push_back(mine);
    });
  }

  void addSignal(unsigned warp) {
    unsigned lane = below(Lanes), thread = warp * 32 + lane;
    bool releases = below(2);
    // A flag is stored once, or counted up by several.
    bool counts = below(2);
    unsigned flag = below(unsigned(flags.size()) + 1);
    while (flag < flags.size() && !(counts && flags[flag].isCount))
      ++flag;
    if (flag == MaxFlags)
      return;
    if (flag == flags.size())
      flags.push_back({counts, 0, {}});
    Scope scope = someScope();
    std::string order =
        (releases ? ".release." : ".relaxed.") + std::string(name(scope));
    std::string line = counts ? "red" + order + space() + ".add.u32 "
                              : "st" + order + space() + ".u32 ";
    if (!counts && !releases && below(2)) {
      scope = Device;
      line = "st.volatile" + space() + ".u32 ";
    }
    unsigned offset = DataBytes + flag * 4, number = ++accesses;
    code[warp] += guard(1u << lane) + "@%p5 " + line + at(offset) + ", 1;" +
                  numbered(number);
    ++flags[flag].value;
    for (unsigned i = 0; i < 4; ++i)
      touch(number, thread, offset + i, true, scope);
    for (const Release &release : captured[thread])
      if (!releases || release.scope > scope)
        flags[flag].releases.push_back(release);
    if (releases) {
      Release mine{{}, scope, blockOf(thread)};
      release(thread, mine.clock);
      flags[flag].releases.push_back(mine);
    }
  }

  void addWait(unsigned warp) {
    if (flags.empty())
      return addSignal(warp);
    unsigned flagNumber = below(unsigned(flags.size()));
    Flag &flag = flags[flagNumber];
    flag.isCount = false; // Closed: the value is the last one.
    uint32_t mask = someLanes();
    bool acquires = below(2);
    Scope scope = someScope();
    std::string label = "L" + std::to_string(++labels);
    std::string load = (acquires ? "ld.acquire." : "ld.relaxed.") +
                       std::string(name(scope)) + space() + ".u32 ";
    if (!acquires && below(2)) {
      scope = Device;
      load = "ld.volatile" + space() + ".u32 ";
    }
    unsigned offset = DataBytes + flagNumber * 4, number = ++accesses;
    code[warp] += guard(mask) + "mov.b32 %r25, 0;\n" + label + ":\n@%p5 " +
                  load + "%r25, " + at(offset) + ";" + numbered(number) +
                  "setp.ne.and.u32 %p6, %r25, " + std::to_string(flag.value) +
                  ", %p5;\n@%p6 bra " + label + ";\n";
    forLanes(warp, mask, [&](unsigned thread, unsigned) {
      for (unsigned i = 0; i < 4; ++i)
        touch(number, thread, offset + i, false, scope);
      for (const Release &release : flag.releases) {
        if (acquires)
          acquire(thread, release, scope);
        if (!acquires || scope != Device)
          pending[thread].push_back(release);
      }
    });
  }

  static constexpr unsigned Lanes = 4;
  ProgramShape shape;
  std::mt19937 random;
  std::vector<Clock> clock;
  std::vector<std::vector<Release>> captured, pending; ///< By thread.
  std::vector<std::vector<Access>> log;                ///< By byte.
  std::vector<std::string> code;                       ///< By warp.
  unsigned accesses = 0, barriers = 0, labels = 0;
  std::vector<Flag> flags;
  /// Number of the access, thread of the other party.
  std::set<std::pair<unsigned, unsigned>> races;
};

} // namespace ropewalk::emulator

#endif // ROPEWALK_UNIT_EMULATOR_RANDOMPROGRAM_H
