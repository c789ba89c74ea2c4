//===- Launch.cpp - Device memory and launches ------------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A launch copies its parameters, spreads the blocks over host threads and sums
// the counters. Blocks are independent unless they use atomics on global
// memory: such a launch runs on one thread, in the order of the blocks, and a
// block that takes long makes room for the next ones, so that blocks may wait
// for each other.
//
//===----------------------------------------------------------------------===//

#include "Cluster.h"

#include <algorithm>
#include <atomic>
#include <deque>
#include <mutex>
#include <thread>

using namespace ropewalk::emulator;

Device::Device() : memory(std::make_unique<DeviceMemory>()) {}
Device::~Device() = default;

uint64_t Device::allocate(size_t bytes) {
  Buffer *buffer = memory->allocate(bytes);
  if (!buffer) {
    lastError = "cannot allocate " + std::to_string(bytes) + " bytes";
    return 0;
  }
  return buffer->base;
}

bool Device::free(uint64_t address) {
  Buffer *buffer = memory->find(address);
  if (!buffer || buffer->base != address || !buffer->data) {
    lastError = buffer && buffer->base == address
                    ? "buffer is freed a second time"
                    : "address is not the start of a buffer";
    return false;
  }
  memory->release(*buffer);
  return true;
}

bool Device::copyIn(uint64_t destination, const void *source, size_t bytes) {
  if (bytes == 0)
    return true;
  Buffer *buffer = memory->findRange(destination, bytes, lastError);
  if (!buffer)
    return false;
  std::memcpy(buffer->data + (destination - buffer->base), source, bytes);
  memory->markValid(*buffer, destination, bytes);
  return true;
}

bool Device::copyOut(void *destination, uint64_t source, size_t bytes) {
  if (bytes == 0)
    return true;
  Buffer *buffer = memory->findRange(source, bytes, lastError);
  if (!buffer)
    return false;
  std::memcpy(destination, buffer->data + (source - buffer->base), bytes);
  return true;
}

bool Device::copy(uint64_t destination, uint64_t source, size_t bytes) {
  if (bytes == 0)
    return true;
  Buffer *from = memory->findRange(source, bytes, lastError);
  Buffer *to =
      from ? memory->findRange(destination, bytes, lastError) : nullptr;
  if (!to)
    return false;
  uint64_t read = source - from->base, write = destination - to->base;
  std::memmove(to->data + write, from->data + read, bytes);
  if (!from->valid)
    memory->markValid(*to, destination, bytes);
  else if (to->valid)
    std::memmove(to->valid + write, from->valid + read, bytes);
  else if (std::memchr(from->valid + read, 0, bytes)) {
    // The copy brings uninitialized bytes into a buffer without marks.
    to->valid = static_cast<uint8_t *>(std::malloc(to->size));
    if (!to->valid) {
      lastError = "the host has no memory left";
      return false;
    }
    std::memset(to->valid, 1, to->size);
    std::memmove(to->valid + write, from->valid + read, bytes);
  }
  return true;
}

bool Device::fill(uint64_t destination, uint8_t value, size_t bytes) {
  if (bytes == 0)
    return true;
  Buffer *buffer = memory->findRange(destination, bytes, lastError);
  if (!buffer)
    return false;
  std::memset(buffer->data + (destination - buffer->base), value, bytes);
  memory->markValid(*buffer, destination, bytes);
  return true;
}

/// Those that have been allocated.
static void releaseGlobals(DeviceMemory &memory, const ModuleData &module) {
  for (const Variable &variable : module.globals)
    if (auto buffer = memory.buffers.find(module.globalBase + variable.offset);
        buffer != memory.buffers.end())
      memory.release(buffer->second);
}

bool Device::load(const Module &module) { return load(module.data()); }

bool Device::load(const ModuleData &module) {
  if (memory->modules.count(module.globalBase))
    return true;
  for (const Variable &variable : module.globals) {
    Buffer *buffer =
        memory->allocateAt(module.globalBase + variable.offset, variable.size);
    if (!buffer) {
      lastError = "cannot allocate " + std::to_string(variable.size) +
                  " bytes for the global variable '" + variable.name + "'";
      releaseGlobals(*memory, module);
      return false;
    }
    // Global variables start as zero, so all of their bytes are initialized.
    memory->markValid(*buffer, buffer->base, buffer->size);
    if (!variable.initial.empty())
      std::memcpy(buffer->data, variable.initial.data(),
                  variable.initial.size());
  }
  memory->modules.insert(module.globalBase);
  return true;
}

void Device::unload(const Module &module) {
  if (!memory->modules.erase(module.data().globalBase))
    return;
  releaseGlobals(*memory, module.data());
}

std::optional<std::pair<uint64_t, size_t>>
Device::findGlobal(const Module &module, std::string_view name) const {
  if (!memory->modules.count(module.data().globalBase))
    return std::nullopt;
  for (const Variable &variable : module.data().globals)
    if (variable.name == name)
      return std::pair<uint64_t, size_t>(
          module.data().globalBase + variable.offset, variable.size);
  return std::nullopt;
}

namespace {

std::string text(Dim3 d) {
  return std::to_string(d.x) + "x" + std::to_string(d.y) + "x" +
         std::to_string(d.z);
}

/// Of any chip up to sm_90.
constexpr size_t MaxSharedBytes = 227 << 10;

/// The dimensions and arguments that no kernel could run with.
std::string checkLaunch(const KernelInfo &info, Dim3 grid, Dim3 block,
                        size_t dynamicShared,
                        std::span<const std::span<const std::byte>> arguments) {
  if (grid.count() == 0 || block.count() == 0)
    return "grid " + text(grid) + " or block " + text(block) + " is empty";
  if (grid.x > 0x7fffffff || grid.y > 65535 || grid.z > 65535)
    return "grid " + text(grid) + " exceeds 2147483647x65535x65535";
  if (block.x > 1024 || block.y > 1024 || block.z > 64 || block.count() > 1024)
    return "block " + text(block) + " exceeds 1024x1024x64 or 1024 threads";
  if (info.maxThreads.count() && block.count() > info.maxThreads.count())
    return "block " + text(block) + " has more threads than .maxntid " +
           text(info.maxThreads);
  const Dim3 &required = info.requiredThreads;
  if (required.count() &&
      (required.x != block.x || required.y != block.y || required.z != block.z))
    return "block " + text(block) + " differs from .reqntid " + text(required);
  if (info.staticSharedBytes > MaxSharedBytes ||
      dynamicShared > MaxSharedBytes - info.staticSharedBytes)
    return "shared memory of " + std::to_string(dynamicShared) +
           " dynamic and " + std::to_string(info.staticSharedBytes) +
           " static bytes is more than the " + std::to_string(MaxSharedBytes) +
           " that a block may have";
  if (arguments.size() != info.parameters.size())
    return "expected " + std::to_string(info.parameters.size()) +
           " arguments, found " + std::to_string(arguments.size());
  for (size_t i = 0; i < arguments.size(); ++i)
    if (arguments[i].size() != info.parameters[i].size)
      return "argument " + std::to_string(i) + " ('" + info.parameters[i].name +
             "') has " + std::to_string(arguments[i].size()) +
             " bytes, expected " + std::to_string(info.parameters[i].size);
  return {};
}

/// Rounds of fruitless polling after which a launch counts as stuck. Polls that
/// give up after fewer rounds find something else to do.
constexpr uint64_t IdleLimit = uint64_t(1) << 17;

bool isCancelled(const Launch &launch) {
  return launch.options.cancel && launch.options.cancel->load();
}

Report cancelled(const Launch &launch) {
  Report report;
  report.kind = ReportKind::Cancelled;
  report.kernel = launch.kernel->info.name;
  report.detail = "the launch was cancelled";
  return report;
}

/// Runs clusters [0, count) on several threads. Returns the report of the
/// lowest cluster that failed. A cluster that conflicts with a lower one runs
/// to its end; see ClusterRaces.h.
std::optional<Report> runParallel(const Launch &launch, uint64_t count,
                                  std::deque<Worker> &workers) {
  std::atomic<uint64_t> next{0}, failedAt{count};
  std::mutex mutex;
  std::optional<Report> report;
  auto limit = [&] {
    return launch.races ? std::min(failedAt.load(), launch.races->limit())
                        : failedAt.load();
  };
  auto work = [&](Worker &worker) {
    Cluster cluster(launch, worker);
    for (uint64_t i; (i = next.fetch_add(1)) < limit();) {
      cluster.start(i);
      Cluster::Status status;
      uint64_t idle = 0;
      do {
        status = cluster.run(uint64_t(1) << 20);
        if (status == Cluster::Idle && ++idle > IdleLimit) {
          cluster.reportDeadlock();
          status = Cluster::Failed;
        } else if (status == Cluster::Yielded) {
          idle = 0;
        }
      } while ((status == Cluster::Yielded || status == Cluster::Idle) &&
               i < limit() && !isCancelled(launch));
      if (isCancelled(launch))
        return;
      if (status != Cluster::Failed)
        continue;
      std::lock_guard<std::mutex> lock(mutex);
      if (i < failedAt.load()) {
        failedAt = i;
        report = cluster.report();
      }
    }
  };
  std::vector<std::thread> threads;
  for (size_t i = 1; i < workers.size(); ++i)
    threads.emplace_back(work, std::ref(workers[i]));
  work(workers[0]);
  for (std::thread &thread : threads)
    thread.join();
  if (!report && isCancelled(launch))
    return cancelled(launch);
  if (!launch.races)
    return report;
  if (launch.races->failing() < failedAt.load())
    return launch.races->report();
  if (report)
    if (std::optional<Report> race =
            launch.races->reportOfRead(failedAt.load(), *report))
      return race;
  return report;
}

/// Runs clusters in order on this thread, up to `window` of them interleaved.
std::optional<Report> runInterleaved(const Launch &launch, uint64_t count,
                                     size_t window, Worker &worker) {
  const uint64_t quantum = uint64_t(1)
                           << (launch.options.scheduleSeed ? 8 : 16);
  std::deque<std::unique_ptr<Cluster>> resident;
  std::vector<std::unique_ptr<Cluster>> spare;
  uint64_t next = 0, idle = 0;
  while (next < count || !resident.empty()) {
    if (next < count && resident.size() < window) {
      if (spare.empty())
        spare.push_back(std::make_unique<Cluster>(launch, worker));
      spare.back()->start(next++);
      resident.push_front(std::move(spare.back()));
      spare.pop_back();
      idle = 0;
    }
    if (isCancelled(launch))
      return cancelled(launch);
    std::unique_ptr<Cluster> cluster = std::move(resident.front());
    resident.pop_front();
    uint64_t before = cluster->progress;
    Cluster::Status status = cluster->run(quantum);
    idle =
        status == Cluster::Idle && cluster->progress == before ? idle + 1 : 0;
    if (idle > IdleLimit * (resident.size() + 1)) {
      cluster->reportDeadlock();
      return cluster->report();
    }
    switch (status) {
    case Cluster::Failed:
      return cluster->report();
    case Cluster::Yielded:
    case Cluster::Idle:
      resident.push_back(std::move(cluster));
      break;
    case Cluster::Finished:
      spare.push_back(std::move(cluster));
      break;
    }
  }
  return std::nullopt;
}

/// Clusters that are on the chip at one time, at least one.
size_t residentClusters(const Launch &launch) {
  constexpr uint64_t threadsOfProcessor = 2048, sharedOfProcessor = 228 << 10,
                     blocksOfProcessor = 32;
  const std::string &target = launch.kernel->module->target;
  uint64_t processors = target.substr(0, 5) == "sm_90" ? 132 : 108;
  uint64_t threads = (launch.block.count() + 31) / 32 * 32;
  uint64_t blocks =
      std::min({threadsOfProcessor / threads,
                sharedOfProcessor / (launch.sharedBytes + ReservedSharedBytes),
                blocksOfProcessor});
  return std::max<uint64_t>(1, processors * std::max<uint64_t>(blocks, 1) /
                                   launch.cluster.count());
}

/// Zeroed memory in which the blocks of a grid can meet, as cooperative groups
/// expect it; null if the kernel does not look for it.
Buffer *makeWorkspace(const Program &program, DeviceMemory &memory) {
  constexpr uint64_t bytes = 256;
  for (auto [special, row] : program.specials) {
    if (special != SpecialRegister::WorkspaceHigh &&
        special != SpecialRegister::WorkspaceLow)
      continue;
    Buffer *buffer = memory.allocate(bytes);
    if (!buffer)
      return nullptr;
    std::memset(buffer->data, 0, bytes);
    memory.markValid(*buffer, buffer->base, bytes);
    return buffer;
  }
  return nullptr;
}

/// Whether the code asks for the shared memory reserved for system software.
bool asksForReserved(const Program &program) {
  for (auto [special, row] : program.specials)
    if (special >= SpecialRegister::ReservedBegin &&
        special <= SpecialRegister::ReservedSecond)
      return true;
  return false;
}

/// Host memory that the resident blocks of a launch may take.
constexpr uint64_t HostBytes = uint64_t(4) << 30;

/// Host memory of one cluster: registers, and local and shared memory with what
/// is known of each byte.
uint64_t clusterBytes(const Launch &launch) {
  const LaunchOptions &options = launch.options;
  uint64_t warps = (launch.block.count() + 31) / 32;
  uint64_t local = launch.localStride() * 32;
  uint64_t block =
      warps * (launch.program->registerBytes +
               local * (options.checkUninitializedMemory ? 2 : 1)) +
      uint64_t(launch.allocatedShared()) * (options.checkRaces ? 16 : 2);
  return block * launch.cluster.count();
}

/// The text of all blocks, in the order of the grid.
std::string joinOutput(const std::deque<Worker> &workers) {
  std::map<uint64_t, std::string> byBlock;
  for (const Worker &worker : workers)
    for (const auto &[block, part] : worker.printed)
      byBlock[block] += part;
  std::string text;
  for (const auto &[block, part] : byBlock)
    text += part;
  return text;
}

} // namespace

LaunchResult
Device::launch(const Kernel &kernel, Dim3 grid, Dim3 block,
               size_t dynamicShared,
               std::span<const std::span<const std::byte>> arguments,
               const LaunchOptions &options) {
  Report invalid;
  invalid.kernel = kernel.info.name;
  invalid.detail =
      checkLaunch(kernel.info, grid, block, dynamicShared, arguments);
  if (invalid.detail.empty() && !load(*kernel.module))
    invalid.detail = lastError;
  if (!invalid.detail.empty())
    return invalid;
  Launch launch;
  launch.kernel = &kernel;
  launch.program = kernel.program.get();
  launch.memory = memory.get();
  launch.options = options;
  launch.grid = grid;
  launch.block = block;
  launch.dynamicShared = uint32_t(dynamicShared);
  launch.sharedBytes = dynamicShared ? kernel.program->dynamicSharedOffset +
                                           uint32_t(dynamicShared)
                                     : kernel.info.staticSharedBytes;
  launch.reservedShared =
      asksForReserved(*kernel.program) ? ReservedSharedBytes : 0;
  launch.parameters.resize(kernel.info.parameterBytes);
  for (size_t i = 0; i < arguments.size(); ++i)
    if (!arguments[i].empty())
      std::memcpy(launch.parameters.data() + kernel.info.parameters[i].offset,
                  arguments[i].data(), arguments[i].size());
  launch.cluster = options.cluster.count() > 1 ? options.cluster
                   : kernel.info.requiredCluster.count()
                       ? kernel.info.requiredCluster
                       : Dim3{};
  const Dim3 &cluster = launch.cluster;
  if (grid.x % cluster.x || grid.y % cluster.y || grid.z % cluster.z ||
      cluster.count() > 16) {
    invalid.detail = "cluster " + text(cluster) + " does not divide grid " +
                     text(grid) + " or has more than 16 blocks";
    return invalid;
  }
  uint64_t count = grid.count() / cluster.count();
  uint64_t threads =
      options.threads ? options.threads : std::thread::hardware_concurrency();
  uint64_t bytes = clusterBytes(launch);
  if (bytes > HostBytes) {
    invalid.detail = "a cluster of " + std::to_string(cluster.count()) +
                     " blocks takes " + std::to_string(bytes) +
                     " bytes of the host for registers, local and shared "
                     "memory, more than " +
                     std::to_string(HostBytes);
    return invalid;
  }
  uint64_t most = HostBytes / std::max<uint64_t>(bytes, 1);
  threads = std::clamp<uint64_t>(
      threads, 1, std::min<uint64_t>({count, uint64_t(256), most}));
  Buffer *workspace = makeWorkspace(*kernel.program, *memory);
  launch.workspace = workspace ? workspace->base : 0;
  bool interleaves = kernel.program->communicates;
  std::unique_ptr<ClusterRaces> races;
  if (options.checkRaces && !interleaves && count > 1 &&
      count <= ClusterRaces::MaxClusters) {
    races = std::make_unique<ClusterRaces>(launch, threads > 1);
    launch.races = races.get();
    if (threads > 1)
      launch.validStamp = uint8_t(2 + memory->launches++ % 254);
  }
  std::deque<Worker> workers;
  for (uint64_t i = 0; i < (interleaves ? 1 : threads); ++i)
    workers.emplace_back(launch);
  std::optional<Report> report =
      interleaves
          ? runInterleaved(launch, count,
                           std::min<uint64_t>(residentClusters(launch), most),
                           workers[0])
          : runParallel(launch, count, workers);
  if (workspace)
    memory->release(*workspace);
  std::string output = joinOutput(workers);
  if (report) {
    LaunchResult result(*report);
    result.output = std::move(output);
    return result;
  }
  Counters total;
  total.blocks = grid.count();
  total.warps = grid.count() * ((block.count() + 31) / 32);
  for (const Inst &inst : kernel.program->code)
    total.lines.push_back({inst.location.line, 0, 0, inst.cls, {}});
  for (Worker &worker : workers) {
    for (size_t i = 0; i < total.lines.size(); ++i) {
      const Inst &inst = kernel.program->code[i];
      uint64_t warpCount = worker.warpCount[i], lanes = worker.laneCount[i];
      total.lines[i].warpInstructions += warpCount;
      total.lines[i].laneInstructions += lanes;
      total.lines[i].traffic += worker.lineTraffic[i];
      total.warpInstructions += warpCount;
      total.laneInstructions += lanes;
      total.warpByClass[size_t(inst.cls)] += warpCount;
      total.laneByClass[size_t(inst.cls)] += lanes;
    }
    total += worker.counters;
  }
  LaunchResult result(std::move(total));
  result.output = std::move(output);
  return result;
}
