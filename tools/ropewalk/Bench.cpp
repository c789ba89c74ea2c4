//===- Bench.cpp - ropewalk bench -------------------------- -*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// `ropewalk bench emulator` times the PTX emulator on kernels that are part of
// this program. Each figure is the best of a few runs; each result is checked
// before its time is believed.
//
//===----------------------------------------------------------------------===//

#include "BenchKernels.h"
#include "Subcommands.h"

#include "Ropewalk/Emulator/Emulator.h"

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/raw_ostream.h"

#include <chrono>
#include <cmath>
#include <cstring>
#include <thread>

using namespace ropewalk::emulator;

namespace {

constexpr llvm::StringLiteral usage =
    "usage: ropewalk bench emulator [--threads N] [--runs N] [--no-checks]\n"
    "                               [--json]\n"
    "\n"
    "Times the PTX emulator on kernels of this program and checks their "
    "results.\n"
    "\n"
    "  --threads N    host threads (default: one, 0: one for each processor)\n"
    "  --runs N       runs of which the best counts (default: 3)\n"
    "  --no-checks    without the sanitizer, to see what it costs\n"
    "  --json         print JSON instead of a table\n";

struct Options {
  LaunchOptions launch;
  unsigned runs = 3;
  bool json = false;
};

/// A kernel with its buffers. `check` returns an empty text or what is wrong.
struct Case {
  std::string name;
  std::string_view ptx;
  std::string entry;
  Dim3 grid, block;
  size_t shared = 0;
  /// Buffers in the order of the parameters, then the scalars' bytes.
  std::vector<std::vector<char>> buffers;
  std::vector<std::vector<std::byte>> scalars;
  size_t output = 0; ///< Buffer that holds the result.
  std::function<std::string(const std::vector<char> &)> check;
};

Case makeCase(std::string name, std::string_view ptx, std::string entry,
              Dim3 grid, Dim3 block, size_t shared = 0) {
  Case c;
  c.name = std::move(name);
  c.ptx = ptx;
  c.entry = std::move(entry);
  c.grid = grid;
  c.block = block;
  c.shared = shared;
  return c;
}

template <class T> std::vector<std::byte> scalar(T value) {
  std::vector<std::byte> bytes(sizeof value);
  std::memcpy(bytes.data(), &value, sizeof value);
  return bytes;
}

/// Values in [-1, 1), the same on every machine.
struct Generator {
  uint64_t state = 1;
  float next() {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return float(int32_t(state >> 32)) * 0x1p-31f;
  }
};

template <class T> std::vector<char> randomValues(size_t count, Generator &g) {
  std::vector<char> bytes(count * sizeof(T));
  for (size_t i = 0; i < count; ++i) {
    T value = T(g.next());
    std::memcpy(bytes.data() + i * sizeof(T), &value, sizeof value);
  }
  return bytes;
}

template <class T> T at(const std::vector<char> &bytes, size_t index) {
  T value;
  std::memcpy(&value, bytes.data() + index * sizeof(T), sizeof value);
  return value;
}

std::string compare(double actual, double expected, double tolerance) {
  if (std::abs(actual - expected) <= tolerance)
    return "";
  return "expected " + std::to_string(expected) + ", found " +
         std::to_string(actual);
}

Case matmulCase() {
  constexpr int n = 256;
  Generator g;
  Case c = makeCase("matmul 256x256x256 f32", scalarPTX, "matmul",
                    {n / 64, n / 64}, {256});
  c.buffers = {randomValues<float>(n * n, g), randomValues<float>(n * n, g),
               std::vector<char>(n * n * 4)};
  c.scalars = {scalar(n)};
  c.output = 2;
  c.check = [a = c.buffers[0], b = c.buffers[1]](const std::vector<char> &out) {
    std::string bad;
    for (int row = 0; row < n && bad.empty(); row += 17)
      for (int column = 0; column < n && bad.empty(); column += 5) {
        double sum = 0;
        for (int k = 0; k < n; ++k)
          sum +=
              double(at<float>(a, row * n + k)) * at<float>(b, k * n + column);
        bad = compare(at<float>(out, row * n + column), sum, 1e-4);
      }
    return bad;
  };
  return c;
}

Case softmaxCase() {
  constexpr int rows = 256, n = 4096;
  Generator g;
  Case c =
      makeCase("softmax 256x4096 f32", scalarPTX, "softmax", {rows}, {256});
  c.buffers = {randomValues<float>(rows * n, g),
               std::vector<char>(rows * n * 4)};
  c.scalars = {scalar(n)};
  c.output = 1;
  c.check = [x = c.buffers[0]](const std::vector<char> &out) {
    std::string bad;
    for (int row = 0; row < rows && bad.empty(); row += 51) {
      double sum = 0;
      for (int i = 0; i < n; ++i)
        sum += std::exp(double(at<float>(x, row * n + i)));
      for (int i = 0; i < n && bad.empty(); ++i)
        bad = compare(at<float>(out, row * n + i),
                      std::exp(double(at<float>(x, row * n + i))) / sum, 1e-8);
    }
    return bad;
  };
  return c;
}

Case attentionCase(int heads, int length, bool causal) {
  constexpr int dim = 64;
  Generator g;
  Case c =
      makeCase("flash attention " + std::to_string(heads) + "x" +
                   std::to_string(length) + "x64" + (causal ? " causal" : ""),
               flashAttentionPTX, "flash_attention",
               {uint32_t(length / 64), uint32_t(heads)}, {128}, 40960);
  size_t count = size_t(heads) * length * dim;
  for (int i = 0; i < 3; ++i)
    c.buffers.push_back(randomValues<_Float16>(count, g));
  c.buffers.emplace_back(count * 2);
  const float scale = 0.125f;
  c.scalars = {scalar(length), scalar(int(causal)),
               scalar(scale * 1.44269504f)};
  c.output = 3;
  c.check = [=, q = c.buffers[0], k = c.buffers[1],
             v = c.buffers[2]](const std::vector<char> &out) {
    std::string bad;
    for (int head = 0; head < heads && bad.empty(); ++head)
      for (int row = length / 3; row < length && bad.empty();
           row += length / 3) {
        size_t start = size_t(head) * length * dim;
        int keys = causal ? row + 1 : length;
        double sum = 0, value[dim] = {};
        for (int key = 0; key < keys; ++key) {
          double score = 0;
          for (int d = 0; d < dim; ++d)
            score += double(at<_Float16>(q, start + row * dim + d)) *
                     double(at<_Float16>(k, start + key * dim + d));
          double weight = std::exp(score * scale);
          sum += weight;
          for (int d = 0; d < dim; ++d)
            value[d] += weight * double(at<_Float16>(v, start + key * dim + d));
        }
        for (int d = 0; d < dim && bad.empty(); ++d)
          bad = compare(double(at<_Float16>(out, start + row * dim + d)),
                        value[d] / sum, 2e-3);
      }
    return bad;
  };
  return c;
}

Case wgmmaCase() {
  constexpr int blocks = 8, rounds = 64, m = 64, n = 128, k = 64;
  Generator g;
  Case c = makeCase("wgmma m64n128k16 f16, 8 blocks, 256 each", wgmmaPTX,
                    "wgmma_rounds", {blocks}, {128});
  c.buffers = {randomValues<_Float16>(blocks * m * k, g),
               randomValues<_Float16>(n * k, g),
               std::vector<char>(blocks * m * n * 4)};
  c.scalars = {scalar(rounds)};
  c.output = 2;
  c.check = [a = c.buffers[0], b = c.buffers[1]](const std::vector<char> &out) {
    std::string bad;
    for (int row = 0; row < blocks * m && bad.empty(); row += 7)
      for (int column = 0; column < n && bad.empty(); column += 3) {
        double sum = 0;
        for (int i = 0; i < k; ++i)
          sum += double(at<_Float16>(a, row * k + i)) *
                 double(at<_Float16>(b, column * k + i));
        bad = compare(at<float>(out, size_t(row) * n + column), sum * rounds,
                      1e-2);
      }
    return bad;
  };
  return c;
}

struct Measurement {
  std::string name;
  double seconds = 0;
  uint64_t laneInstructions = 0, tensorFlops = 0;
};

/// Returns an empty text or why there is no time.
std::string measure(const Case &c, const Options &options, Measurement &m) {
  Error error;
  auto module = Module::parse(c.ptx, error);
  if (!module)
    return error.str();
  const Kernel *kernel = module->find(c.entry);
  Device device;
  std::vector<std::vector<std::byte>> values;
  std::vector<uint64_t> addresses;
  for (const std::vector<char> &buffer : c.buffers) {
    addresses.push_back(device.allocate(buffer.size()));
    if (!addresses.back())
      return device.error();
    values.push_back(scalar(addresses.back()));
  }
  values.insert(values.end(), c.scalars.begin(), c.scalars.end());
  std::vector<std::span<const std::byte>> arguments(values.begin(),
                                                    values.end());
  m.name = c.name;
  for (unsigned run = 0; run < options.runs; ++run) {
    for (size_t i = 0; i < addresses.size(); ++i)
      device.copyIn(addresses[i], c.buffers[i].data(), c.buffers[i].size());
    auto begin = std::chrono::steady_clock::now();
    LaunchResult result = device.launch(*kernel, c.grid, c.block, c.shared,
                                        arguments, options.launch);
    double seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begin)
            .count();
    if (!result)
      return result.report().str();
    m.seconds = run ? std::min(m.seconds, seconds) : seconds;
    m.laneInstructions = result.counters().laneInstructions;
    m.tensorFlops = result.counters().tensorFlops;
  }
  std::vector<char> out(c.buffers[c.output].size());
  device.copyOut(out.data(), addresses[c.output], out.size());
  return c.check(out);
}

void print(const std::vector<Measurement> &all, const Options &options,
           unsigned threads) {
  auto rate = [](uint64_t count, double seconds) {
    return seconds > 0 ? double(count) / seconds * 1e-9 : 0.0;
  };
  if (options.json) {
    llvm::json::Array rows;
    for (const Measurement &m : all)
      rows.push_back(llvm::json::Object{
          {"name", m.name},
          {"seconds", m.seconds},
          {"threads", threads},
          {"lane_instructions", m.laneInstructions},
          {"tensor_flops", m.tensorFlops},
          {"giga_lane_instructions_per_second",
           rate(m.laneInstructions, m.seconds)},
          {"tensor_gflops_per_second", rate(m.tensorFlops, m.seconds)}});
    llvm::outs() << llvm::formatv("{0:2}", llvm::json::Value(std::move(rows)))
                 << "\n";
    return;
  }
  llvm::outs() << "host threads: " << threads << ", checks "
               << (options.launch.checkRaces ? "on" : "off") << ", best of "
               << options.runs << "\n"
               << llvm::left_justify("kernel", 42)
               << "   seconds  G lane-inst/s  tensor GFLOP/s\n";
  for (const Measurement &m : all)
    llvm::outs() << llvm::left_justify(m.name, 42)
                 << llvm::format("%10.4f %14.2f %15.1f\n", m.seconds,
                                 rate(m.laneInstructions, m.seconds),
                                 rate(m.tensorFlops, m.seconds));
}

int fail(const std::string &message, int code) {
  llvm::errs() << "ropewalk bench: " << message << "\n";
  return code;
}

} // namespace

int benchMain(int argc, char **argv) {
  Options options;
  bool hasSubject = false;
  for (int i = 1; i < argc; ++i) {
    llvm::StringRef option = argv[i];
    if (option == "--help" || option == "-h") {
      llvm::outs() << usage;
      return 0;
    }
    if (option == "--json") {
      options.json = true;
    } else if (option == "--no-checks") {
      options.launch.checkRaces = false;
      options.launch.checkUninitializedMemory = false;
      options.launch.checkUninitializedRegisters = false;
    } else if (option == "--threads" || option == "--runs") {
      unsigned &value =
          option == "--runs" ? options.runs : options.launch.threads;
      if (i + 1 == argc)
        return fail("option '" + option.str() + "' needs a value", 2);
      if (llvm::StringRef(argv[++i]).getAsInteger(10, value) || value > 1024 ||
          (option == "--runs" && value == 0))
        return fail("bad value '" + std::string(argv[i]) + "' of option '" +
                        option.str() + "'",
                    2);
    } else if (option == "emulator" && !hasSubject) {
      hasSubject = true;
    } else {
      return fail("unexpected argument '" + option.str() + "' (see --help)", 2);
    }
  }
  if (!hasSubject)
    return fail("expected what to measure: 'emulator' (see --help)", 2);
  unsigned threads = options.launch.threads
                         ? options.launch.threads
                         : std::max(1u, std::thread::hardware_concurrency());
  std::vector<Measurement> all;
  int status = 0;
  for (const Case &c :
       {matmulCase(), softmaxCase(), attentionCase(2, 512, false),
        attentionCase(14, 2048, true), wgmmaCase()}) {
    Measurement m;
    if (std::string reason = measure(c, options, m); !reason.empty())
      status = fail(c.name + ": " + reason, 1);
    else
      all.push_back(m);
  }
  print(all, options, threads);
  return status;
}
