//===- FakeCuda.cpp - A stand-in for the CUDA driver ------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Only the functions that the runtime looks up, with the driver's documented
// signatures. An address is a pointer, a function handle is the address of a
// static. The error codes are two of the driver's own.
//
//===----------------------------------------------------------------------===//

#include "FakeCuda.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>

FakeCuda &fakeCuda() {
  static FakeCuda state;
  return state;
}

namespace {

bool current = false;
int context, module, function;

/// Records a call. Work without a current context is the error that the driver
/// gives, 201; a call that was told to fail gives 2.
int enter(const std::string &call, bool needsContext = true) {
  fakeCuda().calls.push_back(call);
  if (call.substr(0, call.find(' ')) == fakeCuda().failing)
    return 2;
  return needsContext && !current ? 201 : 0;
}

void *pointer(unsigned long long address) {
  return reinterpret_cast<void *>(static_cast<uintptr_t>(address));
}

std::string text(std::initializer_list<long long> numbers) {
  std::string result;
  for (long long number : numbers)
    result += " " + std::to_string(number);
  return result;
}

} // namespace

extern "C" {

int cuInit(unsigned flags) {
  return enter("cuInit" + text({flags}), /*needsContext=*/false);
}

int cuGetErrorName(int error, const char **name) {
  *name = error == 2 ? "CUDA_ERROR_OUT_OF_MEMORY" : "CUDA_ERROR_OTHER";
  return 0;
}

int cuGetErrorString(int error, const char **description) {
  *description = error == 2 ? "out of memory" : "other";
  return 0;
}

int cuDeviceGetCount(int *count) {
  *count = fakeCuda().devices;
  return 0;
}

int cuDeviceGet(int *device, int ordinal) {
  *device = ordinal + 100;
  return 0;
}

int cuDeviceGetName(char *name, int length, int) {
  std::strncpy(name, "fake GPU", static_cast<size_t>(length));
  return 0;
}

int cuDeviceGetAttribute(int *value, int attribute, int device) {
  if (device < 100)
    return 2;
  *value = attribute == 75   ? fakeCuda().major
           : attribute == 76 ? fakeCuda().minor
           : attribute == 97 ? fakeCuda().maximumShared
                             : -1;
  return 0;
}

int cuDevicePrimaryCtxRetain(void **result, int) {
  ++fakeCuda().retained;
  *result = &context;
  return 0;
}

int cuDevicePrimaryCtxRelease_v2(int) {
  --fakeCuda().retained;
  current = false;
  return 0;
}

int cuCtxSetCurrent(void *wanted) {
  current = wanted == &context;
  return 0;
}

int cuCtxSynchronize() { return enter("cuCtxSynchronize"); }

int cuMemAlloc_v2(unsigned long long *address, size_t bytes) {
  if (int error = enter("cuMemAlloc_v2" + text({(long long)bytes})))
    return error;
  *address = reinterpret_cast<uintptr_t>(std::malloc(bytes));
  return 0;
}

int cuMemFree_v2(unsigned long long address) {
  std::free(pointer(address));
  return enter("cuMemFree_v2");
}

int cuMemcpyHtoD_v2(unsigned long long to, const void *from, size_t bytes) {
  std::memcpy(pointer(to), from, bytes);
  return enter("cuMemcpyHtoD_v2");
}

int cuMemcpyDtoH_v2(void *to, unsigned long long from, size_t bytes) {
  std::memcpy(to, pointer(from), bytes);
  return enter("cuMemcpyDtoH_v2");
}

int cuMemcpyDtoD_v2(unsigned long long to, unsigned long long from,
                    size_t bytes) {
  std::memcpy(pointer(to), pointer(from), bytes);
  return enter("cuMemcpyDtoD_v2");
}

int cuMemsetD8_v2(unsigned long long to, unsigned char value, size_t bytes) {
  std::memset(pointer(to), value, bytes);
  return enter("cuMemsetD8_v2");
}

int cuModuleLoadDataEx(void **result, const void *image, unsigned count,
                       int *options, void **values) {
  int error = enter("cuModuleLoadDataEx");
  fakeCuda().ptx = static_cast<const char *>(image);
  char *log = nullptr;
  size_t size = 0;
  for (unsigned i = 0; i < count; ++i) {
    if (options[i] == 5)
      log = static_cast<char *>(values[i]);
    if (options[i] == 6)
      size = reinterpret_cast<size_t>(values[i]);
  }
  if (error && log && size > fakeCuda().jitLog.size())
    std::strcpy(log, fakeCuda().jitLog.c_str());
  *result = &module;
  return error;
}

int cuModuleUnload(void *) { return enter("cuModuleUnload"); }

int cuModuleGetFunction(void **result, void *, const char *name) {
  *result = &function;
  return enter(std::string("cuModuleGetFunction ") + name);
}

int cuFuncSetAttribute(void *, int attribute, int value) {
  return enter("cuFuncSetAttribute" + text({attribute, value}));
}

int cuFuncGetAttribute(int *value, int attribute, void *) {
  *value = attribute == 1 ? fakeCuda().staticShared : -1;
  return 0;
}

/// Writes down the extents and the first argument, an int.
int cuLaunchKernel(void *kernel, unsigned gx, unsigned gy, unsigned gz,
                   unsigned bx, unsigned by, unsigned bz, unsigned shared,
                   void *stream, void **arguments, void **extra) {
  if (kernel != &function || stream || extra)
    return 2;
  int argument;
  std::memcpy(&argument, arguments[0], sizeof(argument));
  return enter("cuLaunchKernel" +
               text({gx, gy, gz, bx, by, bz, shared, argument}));
}

} // extern "C"
