//===- OrderingTest.cpp - Random programs against exact clocks --*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Small random programs of accesses and synchronization are run by the emulator
// and, in the order of their generation, by a checker with one full vector
// clock for each thread and a list of all accesses for each byte. Programs
// synchronize so that what happened before what does not depend on the
// schedule: barriers meet in the order of the generation, and a flag has one
// writer, whose value its readers wait for.
//
//===----------------------------------------------------------------------===//

#include "Harness.h"

#include <map>
#include <set>

using namespace ropewalk::emulator;

namespace {

constexpr unsigned Warps = 3, Threads = Warps * 32, Lanes = 4, Bytes = 64;

/// The happens-before order of threads, by definition.
class Clocks {
public:
  Clocks() {
    for (unsigned t = 0; t < Threads; ++t) {
      clock[t].assign(Threads, 0);
      clock[t][t] = 1;
    }
  }
  using Clock = std::vector<unsigned>;

  void release(unsigned thread, Clock &into) {
    into.resize(Threads);
    for (unsigned i = 0; i < Threads; ++i)
      into[i] = std::max(into[i], clock[thread][i]);
    ++clock[thread][thread];
  }
  void acquire(unsigned thread, const Clock &from) {
    for (unsigned i = 0; i < from.size(); ++i)
      clock[thread][i] = std::max(clock[thread][i], from[i]);
  }
  bool knows(unsigned thread, unsigned other, unsigned time) const {
    return thread == other || clock[thread][other] >= time;
  }
  unsigned time(unsigned thread) const { return clock[thread][thread]; }

private:
  Clock clock[Threads];
};

struct Program {
  std::string warp[Warps]; ///< Code of each warp.
  /// Races: number of the access, thread of the other party.
  std::set<std::pair<unsigned, unsigned>> races;
  bool hasRace = false;
};

class Generator {
public:
  Generator(unsigned seed, bool hasFlags) : random(seed), hasFlags(hasFlags) {}

  Program run() {
    for (unsigned i = 0, count = 6 + below(14); i < count; ++i)
      addStep();
    return std::move(program);
  }

private:
  struct Access {
    unsigned number, thread, time;
    bool isWrite, isStrong;
  };
  unsigned below(unsigned bound) { return unsigned(random() % bound); }

  /// Lanes of a step: often one, sometimes several.
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
  template <class F> void forLanes(unsigned warp, uint32_t mask, F function) {
    for (unsigned lane = 0; lane < 32; ++lane)
      if (mask >> lane & 1)
        function(warp * 32 + lane, lane);
  }

  void touch(unsigned number, unsigned thread, unsigned byte, bool isWrite,
             bool isStrong) {
    for (const Access &old : log[byte]) {
      if ((!isWrite && !old.isWrite) || (isStrong && old.isStrong) ||
          clocks.knows(thread, old.thread, old.time))
        continue;
      program.hasRace = true;
      // Whichever comes second in the schedule is reported.
      program.races.insert({number, old.thread});
      program.races.insert({old.number, thread});
    }
    log[byte].push_back(
        {number, thread, clocks.time(thread), isWrite, isStrong});
  }

  void addStep() {
    unsigned kind = below(hasFlags ? 15 : 11);
    unsigned warp = below(Warps);
    if (kind < 8)
      addAccess(warp);
    else if (kind == 8 || kind == 9)
      addWarpSync(warp);
    else if (kind == 10)
      addBarrier();
    else if (kind == 11)
      addFence(warp);
    else if (kind == 12)
      addSignal(warp);
    else
      addWait(warp);
  }

  void addAccess(unsigned warp) {
    uint32_t mask = someLanes();
    bool isStore = below(2), isStrong = below(5) == 0;
    unsigned width = isStrong ? 4 : 1u << below(4);
    // Lanes side by side, apart, or all at one place.
    unsigned stride = below(3) * width;
    if (mask == ~0u)
      stride = 0;
    unsigned slots = (Bytes - stride * (Lanes - 1)) / width;
    unsigned offset = below(slots) * width;
    // All lanes of the warp at one place: only as readers.
    if (isStore && stride == 0)
      mask = 1u << below(Lanes);
    unsigned number = ++accesses;
    std::string type = width == 8   ? "b64 "
                       : width == 4 ? "b32 "
                       : width == 2 ? "b16 "
                                    : "b8 ";
    std::string data = width == 8 ? "%d5" : width == 4 ? "%r22" : "%h5";
    std::string address = "[%r21+" + std::to_string(offset) + "]";
    std::string code = guard(mask) + "mul.lo.u32 %r21, %r6, " +
                       std::to_string(stride) + "; add.u32 %r21, %r21, %r9;\n" +
                       // No two stores write the same.
                       "mad.lo.u32 %r22, %r6, 64, " + std::to_string(number) +
                       "; cvt.u64.u32 %d5, %r22; cvt.u16.u32 %h5, %r22;\n";
    std::string line = "@%p5 ";
    if (isStrong && isStore && below(2))
      line += "atom.shared.add.u32 %r23, " + address + ", %r22;";
    else if (isStrong)
      line += isStore ? "st.volatile.shared." + type + address + ", " + data
                      : "ld.relaxed.cta.shared." + type + data + ", " + address;
    else
      line += isStore ? "st.shared." + type + address + ", " + data
                      : "ld.shared." + type + data + ", " + address;
    if (line.back() != ';')
      line += ";";
    program.warp[warp] +=
        code + line + " // access " + std::to_string(number) + "\n";
    forLanes(warp, mask, [&](unsigned thread, unsigned lane) {
      for (unsigned i = 0; i < width; ++i)
        touch(number, thread, offset + lane * stride + i, isStore, isStrong);
    });
  }

  void synchronize(const std::vector<unsigned> &arrive,
                   const std::vector<unsigned> &wait) {
    Clocks::Clock past;
    for (unsigned thread : arrive)
      clocks.release(thread, past);
    for (unsigned thread : wait)
      clocks.release(thread, past);
    for (unsigned thread : wait)
      clocks.acquire(thread, past);
  }

  void addWarpSync(unsigned warp) {
    uint32_t mask = someLanes();
    program.warp[warp] +=
        guard(mask) + "@%p5 bar.warp.sync " + std::to_string(mask) + ";\n";
    std::vector<unsigned> threads;
    forLanes(warp, mask,
             [&](unsigned thread, unsigned) { threads.push_back(thread); });
    synchronize({}, threads);
  }

  void addBarrier() {
    unsigned roles[Warps], count = 0;
    for (unsigned &role : roles)
      count += (role = below(3)) != 0;
    // Each has an identifier of its own, so that no warp comes to a barrier
    // before an earlier use of it is over.
    if (count < 2 || barriers == 15)
      return;
    unsigned id = ++barriers;
    std::vector<unsigned> arrive, wait;
    // At least one waits.
    bool waits = false;
    for (unsigned role : roles)
      waits |= role == 1;
    for (unsigned warp = 0; warp < Warps; ++warp) {
      if (roles[warp] == 2 && !waits) {
        roles[warp] = 1;
        waits = true;
      }
      if (!roles[warp])
        continue;
      program.warp[warp] +=
          std::string(roles[warp] == 1 ? "bar.sync " : "bar.arrive ") +
          std::to_string(id) + ", " + std::to_string(count * 32) + ";\n";
      forLanes(warp, ~0u, [&](unsigned thread, unsigned) {
        (roles[warp] == 1 ? wait : arrive).push_back(thread);
      });
    }
    synchronize(arrive, wait);
  }

  void addFence(unsigned warp) {
    uint32_t mask = someLanes();
    static const char *const fences[] = {"fence.acq_rel.cta", "fence.sc.cta",
                                         "membar.cta", "fence.acq_rel.gpu"};
    program.warp[warp] += guard(mask) + "@%p5 " + fences[below(4)] + ";\n";
    forLanes(warp, mask, [&](unsigned thread, unsigned) {
      for (const Clocks::Clock &clock : pending[thread])
        clocks.acquire(thread, clock);
      pending[thread].clear();
      captured[thread].clear();
      clocks.release(thread, captured[thread]);
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
    if (flag == flags.size())
      flags.push_back({counts, 0, {}});
    std::string place = "[flags+" + std::to_string(flag * 4) + "]";
    std::string order = releases ? "release" : "relaxed";
    program.warp[warp] +=
        guard(1u << lane) + "@%p5 " +
        (counts                  ? "red." + order + ".cta.shared.add.u32 "
         : !releases && below(2) ? std::string("st.volatile.shared.u32 ")
                                 : "st." + order + ".cta.shared.u32 ") +
        place + ", 1;\n";
    ++flags[flag].value;
    Clocks::Clock past = captured[thread];
    if (releases) {
      past.clear();
      clocks.release(thread, past);
    }
    if (!past.empty())
      flags[flag].pasts.push_back(past);
  }

  void addWait(unsigned warp) {
    if (flags.empty())
      return addSignal(warp);
    unsigned number = below(unsigned(flags.size()));
    Flag &flag = flags[number];
    flag.isCount = false; // Closed: the value is the last one.
    uint32_t mask = someLanes();
    bool acquires = below(2);
    std::string label = "L" + std::to_string(++labels);
    std::string load = acquires   ? "ld.acquire.cta.shared.u32"
                       : below(2) ? "ld.relaxed.gpu.shared.u32"
                                  : "ld.volatile.shared.u32";
    program.warp[warp] +=
        guard(mask) + "mov.b32 %r25, 0;\n" + label + ":\n@%p5 " + load +
        " %r25, [flags+" + std::to_string(number * 4) +
        "];\nsetp.ne.and.u32 %p6, %r25, " + std::to_string(flag.value) +
        ", %p5;\n@%p6 bra " + label + ";\n";
    forLanes(warp, mask, [&](unsigned thread, unsigned) {
      for (const Clocks::Clock &past : flag.pasts)
        if (acquires)
          clocks.acquire(thread, past);
        else
          pending[thread].push_back(past);
    });
  }

  struct Flag {
    bool isCount;
    unsigned value;
    std::vector<Clocks::Clock> pasts;
  };
  std::mt19937 random;
  bool hasFlags;
  Program program;
  Clocks clocks;
  unsigned accesses = 0, barriers = 0, labels = 0;
  std::vector<Flag> flags;
  Clocks::Clock captured[Threads];
  std::vector<Clocks::Clock> pending[Threads];
  std::vector<Access> log[Bytes];
};

struct OrderingTest : Fixture {
  static std::string text(const Program &program) {
    std::string body = "mov.u32 %r1, %tid.x; shr.u32 %r5, %r1, 5;\n"
                       "and.b32 %r6, %r1, 31; mov.u32 %r9, s;\n"
                       "setp.eq.u32 %p1, %r5, 1; setp.eq.u32 %p2, %r5, 2;\n"
                       "@%p1 bra W1;\n@%p2 bra W2;\n" +
                       program.warp[0] + "ret;\nW1:\n" + program.warp[1] +
                       "ret;\nW2:\n" + program.warp[2];
    return entryText(body, 1,
                     ".shared .align 16 .b8 s[512];\n"
                     ".shared .align 16 .b8 flags[512];\n");
  }
  /// Number of the access in a line of the text.
  static unsigned accessAt(const std::string &text, uint32_t line) {
    size_t start = 0;
    for (uint32_t i = 1; i < line; ++i)
      start = text.find('\n', start) + 1;
    std::string row = text.substr(start, text.find('\n', start) - start);
    size_t mark = row.find("// access ");
    return mark == std::string::npos
               ? 0
               : unsigned(std::stoul(row.substr(mark + 10)));
  }

  void check(bool hasFlags, unsigned first, unsigned count) {
    unsigned racy = 0, clean = 0, missed = 0;
    for (unsigned seed = first; seed < first + count; ++seed) {
      Program program = Generator(seed, hasFlags).run();
      std::string code = text(program);
      (program.hasRace ? racy : clean) += 1;
      for (uint64_t schedule : {0, 1, 2}) {
        LaunchOptions options;
        options.scheduleSeed = schedule * 991 + (schedule ? seed : 0);
        options.checkUninitializedMemory = false;
        auto result =
            run(code, {1}, {Threads}, arguments(uint64_t(0)), 0, options);
        if (result) {
          missed += program.hasRace;
          continue;
        }
        const Report &report = result.report();
        ASSERT_EQ(report.kind, ReportKind::SharedRace)
            << "seed " << seed << ": " << report.str() << "\n"
            << code;
        unsigned access = accessAt(code, report.location.line);
        unsigned other = unsigned(report.other.warp * 32 + report.other.lane);
        ASSERT_TRUE(program.races.count({access, other}))
            << "false report, seed " << seed << " schedule " << schedule << ": "
            << report.str() << "\n"
            << code;
      }
    }
    // The exotic cases that SharedMemory.h names are rare.
    EXPECT_LE(missed * 100, racy * 3) << racy << " programs with races";
    EXPECT_GT(racy, count / 10);
    EXPECT_GT(clean, count / 10);
  }
};

// Guards that no report is false, and that hardly a race goes unseen.
TEST_F(OrderingTest, RandomBarriers) { check(false, 1, 600); }

// Guards flags in memory: release and acquire patterns with and without fences.
TEST_F(OrderingTest, RandomFlags) { check(true, 1, 600); }

} // namespace
