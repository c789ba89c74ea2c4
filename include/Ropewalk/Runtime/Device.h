//===- Device.h - The table of device functions ----------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Everything that a compiled artifact asks of a device, as one plain C table.
// The host library calls nothing else, so the same artifact runs on every
// implementation of the table: a GPU through libcuda and the PTX emulator.
//
// Every function returns 0 on success. On failure it returns nonzero and
// `last_error` describes the reason until the next call on the same device.
// A device may be used from one thread at a time.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_RUNTIME_DEVICE_H
#define ROPEWALK_RUNTIME_DEVICE_H

#ifdef __cplusplus
#include <cstddef>
#include <cstdint>
extern "C" {
#else
#include <stddef.h>
#include <stdint.h>
#endif

/// Version of the layout below. A library refuses a table of another version.
#define ROPEWALK_DEVICE_VERSION 1

typedef struct RopewalkDevice RopewalkDevice;

/// A device: function pointers over an opaque `self`.
struct RopewalkDevice {
  uint32_t version;
  void *self;

  /// Text of the last failure; never null.
  const char *(*last_error)(void *self);
  /// Name of the device for reports, "emulator sm_80" for example.
  const char *(*name)(void *self);
  /// Chip that decides which PTX can be loaded, "sm_90a" for example.
  const char *(*chip)(void *self);

  /// Allocates `bytes` (> 0) of device memory, aligned to 256.
  int (*alloc)(void *self, size_t bytes, uint64_t *address);
  int (*release)(void *self, uint64_t address);
  int (*copy_in)(void *self, uint64_t destination, const void *source,
                 size_t bytes);
  int (*copy_out)(void *self, void *destination, uint64_t source, size_t bytes);
  /// Device to device; the ranges do not overlap.
  int (*copy)(void *self, uint64_t destination, uint64_t source, size_t bytes);
  int (*fill)(void *self, uint64_t destination, uint8_t value, size_t bytes);

  /// Loads PTX text (`size` bytes, not necessarily zero-terminated).
  int (*load_module)(void *self, const char *ptx, size_t size, void **module);
  int (*unload_module)(void *self, void *module);
  int (*get_kernel)(void *self, void *module, const char *name, void **kernel);
  /// Launches on the device's one stream. `arguments[i]` points to the value of
  /// the i-th parameter, as for cuLaunchKernel. `shared` is dynamic shared
  /// memory in bytes.
  int (*launch)(void *self, void *kernel, const uint32_t grid[3],
                const uint32_t block[3], uint32_t shared,
                void *const *arguments);
  /// Waits for everything launched. Errors of kernels surface here at latest.
  int (*synchronize)(void *self);

  /// Frees the device and the table itself.
  void (*destroy)(RopewalkDevice *device);
};

#ifdef __cplusplus
} // extern "C"
#endif

#endif // ROPEWALK_RUNTIME_DEVICE_H
