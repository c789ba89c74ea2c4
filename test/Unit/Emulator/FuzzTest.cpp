//===- FuzzTest.cpp - Random hostile PTX ------------------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Whatever the text, the outcome is an error of the parser, a report or
// counters; no crash, no hang, nothing that a sanitizer finds. Environment:
//   ROPEWALK_FUZZ_SECONDS  runs for that long instead of a fixed number of
//   cases ROPEWALK_FUZZ_SEED     of all cases (default 1) ROPEWALK_FUZZ_CASE
//   runs only the case of that number, and prints it ROPEWALK_FUZZ_CORPUS   a
//   further folder of *.ptx
//
//===----------------------------------------------------------------------===//

#include "Fuzzer.h"

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <gtest/gtest.h>
#include <map>
#include <unistd.h>

using namespace ropewalk::emulator;

// Findings of a sanitizer end in abort(), so that `tellCase` can name the case.
extern "C" const char *__asan_default_options() {
  return "abort_on_error=1:allocator_may_return_null=1:detect_leaks=1:"
         "detect_stack_use_after_return=0";
}
extern "C" const char *__ubsan_default_options() {
  return "abort_on_error=1:print_stacktrace=1";
}

namespace {

volatile uint64_t currentSeed, currentCase;

/// Async-signal-safe: says which case has crashed.
void tellCase(int signal) {
  char text[128];
  int size = std::snprintf(
      text, sizeof text,
      "\nfuzz: signal %d in ROPEWALK_FUZZ_SEED=%llu ROPEWALK_FUZZ_CASE=%llu\n",
      signal, (unsigned long long)currentSeed, (unsigned long long)currentCase);
  [[maybe_unused]] ssize_t written = write(2, text, size_t(size));
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

uint64_t environment(const char *name, uint64_t otherwise) {
  const char *text = std::getenv(name);
  return text ? std::strtoull(text, nullptr, 10) : otherwise;
}

fuzz::Random randomOf(uint64_t seed, uint64_t number) {
  fuzz::Random random{seed * 0x632be59bd9b4e019 + number};
  random.state = random.next();
  return random;
}

TEST(FuzzTest, HostileTextsEndInAnErrorAReportOrCounters) {
  std::vector<std::string> folders{ROPEWALK_SOURCE_DIR "/tools/ropewalk/bench"};
  if (const char *folder = std::getenv("ROPEWALK_FUZZ_CORPUS"))
    folders.push_back(folder);
  fuzz::Corpus corpus =
      fuzz::collect(folders, ROPEWALK_SOURCE_DIR "/test/Unit/Emulator");
  ASSERT_GE(corpus.texts.size(), 8u);
  ASSERT_GE(corpus.statements.size(), 1000u);

  uint64_t seed = environment("ROPEWALK_FUZZ_SEED", 1);
  currentSeed = seed;
  if (std::getenv("ROPEWALK_FUZZ_CASE")) {
    fuzz::Random random = randomOf(seed, environment("ROPEWALK_FUZZ_CASE", 0));
    std::string text = fuzz::makeCase(corpus, random);
    std::fwrite(text.data(), 1, text.size(), stdout);
    std::printf("\nfuzz: %s\n", fuzz::execute(text, random));
    return;
  }
  using Clock = std::chrono::steady_clock;
  auto begin = Clock::now();
  auto elapsed = [&] {
    return std::chrono::duration<double>(Clock::now() - begin).count();
  };
  uint64_t seconds = environment("ROPEWALK_FUZZ_SECONDS", 0);
  void (*previous)(int) = std::signal(SIGABRT, tellCase);
  std::map<std::string, uint64_t> outcomes;
  double slowest = 0;
  uint64_t slowestCase = 0, count = 0;
  for (; seconds ? elapsed() < double(seconds) : count < 4000; ++count) {
    currentCase = count;
    fuzz::Random random = randomOf(seed, count);
    double before = elapsed();
    ++outcomes[fuzz::execute(fuzz::makeCase(corpus, random), random)];
    if (double took = elapsed() - before; took > slowest) {
      slowest = took;
      slowestCase = count;
    }
  }
  std::signal(SIGABRT, previous);
  std::printf("%llu cases of %zu texts and %zu instructions in %.1f s: "
              "%llu refused, %llu reports, %llu ran; slowest is %llu, %.2f s\n",
              (unsigned long long)count, corpus.texts.size(),
              corpus.statements.size(), elapsed(),
              (unsigned long long)outcomes["refused"],
              (unsigned long long)outcomes["report"],
              (unsigned long long)outcomes["ran"],
              (unsigned long long)slowestCase, slowest);
  // A fuzzer whose texts are all refused tests the parser alone.
  EXPECT_GT(outcomes["refused"], count / 20);
  EXPECT_GT(outcomes["report"], count / 50);
  EXPECT_GT(outcomes["ran"], count / 100);
}

} // namespace
