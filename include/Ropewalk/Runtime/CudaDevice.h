//===- CudaDevice.h - NVIDIA GPUs through libcuda ---------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The table of device functions over the CUDA driver. libcuda.so.1 is opened
// when a device is created, so nothing of CUDA is needed to build or to link.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_RUNTIME_CUDADEVICE_H
#define ROPEWALK_RUNTIME_CUDADEVICE_H

#include "Ropewalk/Runtime/Device.h"

#ifdef __cplusplus
extern "C" {
#endif

/// Options of a CUDA device; zeros are the defaults.
typedef struct RopewalkCudaOptions {
  /// Number of the device, from 0.
  int32_t ordinal;
} RopewalkCudaOptions;

/// Creates a device; `options` may be null. Returns 0 on success; otherwise
/// nonzero, and the reason is ropewalk_cuda_last_error(). Failures: there is no
/// libcuda.so.1, it lacks a function, it finds no device of that number.
int ropewalk_cuda_create(const RopewalkCudaOptions *options,
                         RopewalkDevice **device);

/// Why the last ropewalk_cuda_create of this thread failed; never null.
const char *ropewalk_cuda_last_error(void);

#ifdef __cplusplus
} // extern "C"
#endif

#endif // ROPEWALK_RUNTIME_CUDADEVICE_H
