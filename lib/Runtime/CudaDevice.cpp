//===- CudaDevice.cpp - NVIDIA GPUs through libcuda -------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The few driver functions and constants that are used are declared here, from
// the documented driver interface: handles are pointers, a device pointer is 64
// bits, results and enumerators are ints. All work goes to the default stream
// of the device's primary context, which is made current in every call, so that
// other users of CUDA in the process do not interfere.
//
//===----------------------------------------------------------------------===//

#include "Ropewalk/Runtime/CudaDevice.h"

#include "Ropewalk/Runtime/Result.h"

#include <cstring>
#include <dlfcn.h>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

using namespace ropewalk::runtime;

namespace {

//===----------------------------------------------------------------------===//
// The driver interface
//===----------------------------------------------------------------------===//

using CUresult = int;
using CUdevice = int;
using CUdeviceptr = unsigned long long;
using CUcontext = struct CUctx_st *;
using CUmodule = struct CUmod_st *;
using CUfunction = struct CUfunc_st *;
using CUstream = struct CUstream_st *;

constexpr CUresult kSuccess = 0;

enum DeviceAttribute : int {
  kComputeCapabilityMajor = 75,
  kComputeCapabilityMinor = 76,
  kMaximumSharedPerBlockOptin = 97,
};

enum FunctionAttribute : int {
  kStaticSharedBytes = 1,
  kMaximumDynamicSharedBytes = 8,
};

enum JitOption : int {
  kJitErrorLogBuffer = 5,
  kJitErrorLogBufferBytes = 6,
};

/// Dynamic shared memory that a kernel may use without having asked for it.
constexpr uint32_t kDefaultShared = 48 * 1024;

struct Driver {
  CUresult (*init)(unsigned);
  CUresult (*getErrorName)(CUresult, const char **);
  CUresult (*getErrorString)(CUresult, const char **);
  CUresult (*deviceGetCount)(int *);
  CUresult (*deviceGet)(CUdevice *, int);
  CUresult (*deviceGetName)(char *, int, CUdevice);
  CUresult (*deviceGetAttribute)(int *, int, CUdevice);
  CUresult (*primaryContextRetain)(CUcontext *, CUdevice);
  CUresult (*primaryContextRelease)(CUdevice);
  CUresult (*contextSetCurrent)(CUcontext);
  CUresult (*contextSynchronize)();
  CUresult (*memAlloc)(CUdeviceptr *, size_t);
  CUresult (*memFree)(CUdeviceptr);
  CUresult (*copyHostToDevice)(CUdeviceptr, const void *, size_t);
  CUresult (*copyDeviceToHost)(void *, CUdeviceptr, size_t);
  CUresult (*copyDeviceToDevice)(CUdeviceptr, CUdeviceptr, size_t);
  CUresult (*memsetBytes)(CUdeviceptr, unsigned char, size_t);
  CUresult (*moduleLoadDataEx)(CUmodule *, const void *, unsigned, int *,
                               void **);
  CUresult (*moduleUnload)(CUmodule);
  CUresult (*moduleGetFunction)(CUfunction *, CUmodule, const char *);
  CUresult (*functionSetAttribute)(CUfunction, int, int);
  CUresult (*functionGetAttribute)(int *, int, CUfunction);
  CUresult (*launchKernel)(CUfunction, unsigned, unsigned, unsigned, unsigned,
                           unsigned, unsigned, unsigned, CUstream, void **,
                           void **);
};

/// Opens libcuda once; it stays open for the life of the process, as the driver
/// does not support being unloaded.
Result<const Driver *> openDriver() {
  static Driver driver;
  static const std::string failure = []() -> std::string {
    void *library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!library)
      return concat("no CUDA driver: ", dlerror());
    std::string missing;
    auto bind = [&](auto &function, const char *name) {
      void *symbol = dlsym(library, name);
      if (!symbol && missing.empty())
        missing = concat("libcuda.so.1 has no function ", name);
      std::memcpy(&function, &symbol, sizeof(symbol));
    };
    bind(driver.init, "cuInit");
    bind(driver.getErrorName, "cuGetErrorName");
    bind(driver.getErrorString, "cuGetErrorString");
    bind(driver.deviceGetCount, "cuDeviceGetCount");
    bind(driver.deviceGet, "cuDeviceGet");
    bind(driver.deviceGetName, "cuDeviceGetName");
    bind(driver.deviceGetAttribute, "cuDeviceGetAttribute");
    bind(driver.primaryContextRetain, "cuDevicePrimaryCtxRetain");
    bind(driver.primaryContextRelease, "cuDevicePrimaryCtxRelease_v2");
    bind(driver.contextSetCurrent, "cuCtxSetCurrent");
    bind(driver.contextSynchronize, "cuCtxSynchronize");
    bind(driver.memAlloc, "cuMemAlloc_v2");
    bind(driver.memFree, "cuMemFree_v2");
    bind(driver.copyHostToDevice, "cuMemcpyHtoD_v2");
    bind(driver.copyDeviceToHost, "cuMemcpyDtoH_v2");
    bind(driver.copyDeviceToDevice, "cuMemcpyDtoD_v2");
    bind(driver.memsetBytes, "cuMemsetD8_v2");
    bind(driver.moduleLoadDataEx, "cuModuleLoadDataEx");
    bind(driver.moduleUnload, "cuModuleUnload");
    bind(driver.moduleGetFunction, "cuModuleGetFunction");
    bind(driver.functionSetAttribute, "cuFuncSetAttribute");
    bind(driver.functionGetAttribute, "cuFuncGetAttribute");
    bind(driver.launchKernel, "cuLaunchKernel");
    return missing;
  }();
  if (!failure.empty())
    return Error(failure);
  return &driver;
}

//===----------------------------------------------------------------------===//
// The device
//===----------------------------------------------------------------------===//

class CudaDevice {
public:
  explicit CudaDevice(const Driver &driver) : driver(driver) {}
  ~CudaDevice() {
    if (context)
      driver.primaryContextRelease(device);
  }

  Status open(int ordinal);

  /// Keeps the text of a failed call; 0 on success.
  int check(CUresult result, std::string_view call) {
    if (result == kSuccess)
      return 0;
    const char *name = nullptr, *text = nullptr;
    driver.getErrorName(result, &name);
    driver.getErrorString(result, &text);
    error = concat(call, ": ", name ? name : "unknown error", " (",
                   text ? text : "no description", ")");
    return 1;
  }

  int fail(std::string message) {
    error = std::move(message);
    return 1;
  }

  /// Makes the context current; to be called first in every function.
  int enter() {
    return check(driver.contextSetCurrent(context), "cuCtxSetCurrent");
  }

  int loadModule(const char *ptx, size_t size, void **module);
  int getKernel(void *module, const char *name, void **kernel);
  int launch(void *kernel, const uint32_t grid[3], const uint32_t block[3],
             uint32_t shared, void *const *arguments);

  const Driver &driver;
  CUdevice device = 0;
  CUcontext context = nullptr;
  int maximumShared = 0;
  std::string name, chip, error;
  /// Dynamic shared memory that each kernel has been allowed so far.
  std::unordered_map<void *, uint32_t> allowedShared;
};

Status CudaDevice::open(int ordinal) {
  int count = 0;
  if (check(driver.init(0), "cuInit") ||
      check(driver.deviceGetCount(&count), "cuDeviceGetCount"))
    return Error(error);
  if (ordinal < 0 || ordinal >= count)
    return Error("there is no CUDA device ", ordinal, ", the driver finds ",
                 count);
  char text[256] = {};
  int major = 0, minor = 0;
  if (check(driver.deviceGet(&device, ordinal), "cuDeviceGet") ||
      check(driver.deviceGetName(text, sizeof(text) - 1, device),
            "cuDeviceGetName") ||
      check(driver.deviceGetAttribute(&major, kComputeCapabilityMajor, device),
            "cuDeviceGetAttribute") ||
      check(driver.deviceGetAttribute(&minor, kComputeCapabilityMinor, device),
            "cuDeviceGetAttribute") ||
      check(driver.deviceGetAttribute(&maximumShared,
                                      kMaximumSharedPerBlockOptin, device),
            "cuDeviceGetAttribute") ||
      check(driver.primaryContextRetain(&context, device),
            "cuDevicePrimaryCtxRetain") ||
      enter())
    return Error(error);
  name = text;
  // A chip runs the architecture-specific code of its own number.
  chip = concat("sm_", major, minor, major >= 9 ? "a" : "");
  return success();
}

int CudaDevice::loadModule(const char *ptx, size_t size, void **module) {
  if (enter())
    return 1;
  // The driver wants a terminated text.
  std::string text(ptx, size);
  std::vector<char> log(16 * 1024);
  int options[] = {kJitErrorLogBuffer, kJitErrorLogBufferBytes};
  void *values[] = {log.data(), reinterpret_cast<void *>(log.size())};
  CUmodule loaded = nullptr;
  if (check(driver.moduleLoadDataEx(&loaded, text.c_str(), 2, options, values),
            "cuModuleLoadDataEx")) {
    std::string_view message(log.data(), strnlen(log.data(), log.size()));
    while (!message.empty() && message.back() == '\n')
      message.remove_suffix(1);
    if (!message.empty())
      error += concat(": ", message);
    return 1;
  }
  *module = loaded;
  return 0;
}

int CudaDevice::getKernel(void *module, const char *kernelName, void **kernel) {
  if (enter())
    return 1;
  CUfunction function = nullptr;
  if (check(driver.moduleGetFunction(&function, static_cast<CUmodule>(module),
                                     kernelName),
            concat("cuModuleGetFunction '", kernelName, "'")))
    return 1;
  *kernel = function;
  return 0;
}

int CudaDevice::launch(void *kernel, const uint32_t grid[3],
                       const uint32_t block[3], uint32_t shared,
                       void *const *arguments) {
  if (enter())
    return 1;
  auto function = static_cast<CUfunction>(kernel);
  uint32_t &allowed = allowedShared[kernel];
  if (shared > allowed) {
    // Static and dynamic shared memory together beyond 48 KiB must be asked
    // for.
    int fixed = 0;
    if (check(driver.functionGetAttribute(&fixed, kStaticSharedBytes, function),
              "cuFuncGetAttribute"))
      return 1;
    uint64_t total = uint64_t(shared) + static_cast<uint64_t>(fixed);
    if (total > static_cast<uint64_t>(maximumShared))
      return fail(concat("the kernel needs ", total,
                         " bytes of shared memory, a block of ", name,
                         " has at most ", maximumShared));
    if (total > kDefaultShared &&
        check(driver.functionSetAttribute(function, kMaximumDynamicSharedBytes,
                                          static_cast<int>(shared)),
              "cuFuncSetAttribute"))
      return 1;
    allowed = shared;
  }
  return check(driver.launchKernel(function, grid[0], grid[1], grid[2],
                                   block[0], block[1], block[2], shared,
                                   nullptr, const_cast<void **>(arguments),
                                   nullptr),
               "cuLaunchKernel");
}

//===----------------------------------------------------------------------===//
// The table
//===----------------------------------------------------------------------===//

CudaDevice &get(void *self) { return *static_cast<CudaDevice *>(self); }

RopewalkDevice makeTable(CudaDevice *device) {
  RopewalkDevice table = {};
  table.version = ROPEWALK_DEVICE_VERSION;
  table.self = device;
  table.last_error = [](void *self) { return get(self).error.c_str(); };
  table.name = [](void *self) { return get(self).name.c_str(); };
  table.chip = [](void *self) { return get(self).chip.c_str(); };
  table.alloc = [](void *self, size_t bytes, uint64_t *address) -> int {
    CudaDevice &device = get(self);
    CUdeviceptr pointer = 0;
    if (device.enter() ||
        device.check(device.driver.memAlloc(&pointer, bytes), "cuMemAlloc"))
      return 1;
    *address = pointer;
    return 0;
  };
  table.release = [](void *self, uint64_t address) -> int {
    CudaDevice &device = get(self);
    return device.enter() ||
           device.check(device.driver.memFree(address), "cuMemFree");
  };
  table.copy_in = [](void *self, uint64_t destination, const void *source,
                     size_t bytes) -> int {
    CudaDevice &device = get(self);
    return device.enter() || device.check(device.driver.copyHostToDevice(
                                              destination, source, bytes),
                                          "cuMemcpyHtoD");
  };
  table.copy_out = [](void *self, void *destination, uint64_t source,
                      size_t bytes) -> int {
    CudaDevice &device = get(self);
    return device.enter() || device.check(device.driver.copyDeviceToHost(
                                              destination, source, bytes),
                                          "cuMemcpyDtoH");
  };
  table.copy = [](void *self, uint64_t destination, uint64_t source,
                  size_t bytes) -> int {
    CudaDevice &device = get(self);
    return device.enter() || device.check(device.driver.copyDeviceToDevice(
                                              destination, source, bytes),
                                          "cuMemcpyDtoD");
  };
  table.fill = [](void *self, uint64_t destination, uint8_t value,
                  size_t bytes) -> int {
    CudaDevice &device = get(self);
    return device.enter() ||
           device.check(device.driver.memsetBytes(destination, value, bytes),
                        "cuMemsetD8");
  };
  table.load_module = [](void *self, const char *ptx, size_t size,
                         void **module) -> int {
    return get(self).loadModule(ptx, size, module);
  };
  table.unload_module = [](void *self, void *module) -> int {
    CudaDevice &device = get(self);
    // Handles of the module's kernels may come back for others.
    device.allowedShared.clear();
    return device.enter() || device.check(device.driver.moduleUnload(
                                              static_cast<CUmodule>(module)),
                                          "cuModuleUnload");
  };
  table.get_kernel = [](void *self, void *module, const char *name,
                        void **kernel) -> int {
    return get(self).getKernel(module, name, kernel);
  };
  table.launch = [](void *self, void *kernel, const uint32_t grid[3],
                    const uint32_t block[3], uint32_t shared,
                    void *const *arguments) -> int {
    return get(self).launch(kernel, grid, block, shared, arguments);
  };
  table.synchronize = [](void *self) -> int {
    CudaDevice &device = get(self);
    return device.enter() ||
           device.check(device.driver.contextSynchronize(), "cuCtxSynchronize");
  };
  table.destroy = [](RopewalkDevice *table) {
    delete static_cast<CudaDevice *>(table->self);
    delete table;
  };
  return table;
}

thread_local std::string lastError;

} // namespace

extern "C" int ropewalk_cuda_create(const RopewalkCudaOptions *options,
                                    RopewalkDevice **device) {
  Result<const Driver *> driver = openDriver();
  if (!driver) {
    lastError = driver.error().message();
    return 1;
  }
  auto made = std::make_unique<CudaDevice>(**driver);
  if (Status status = made->open(options ? options->ordinal : 0); !status) {
    lastError = status.error().message();
    return 1;
  }
  *device = new RopewalkDevice(makeTable(made.release()));
  return 0;
}

extern "C" const char *ropewalk_cuda_last_error(void) {
  return lastError.c_str();
}
