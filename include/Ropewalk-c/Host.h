/*===- Host.h - Running an artifact from C -----------------------*- C -*-===*\
|*                                                                            *|
|* Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.      *|
|* See LICENSE for license information.                                       *|
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception                    *|
|*                                                                            *|
|*===----------------------------------------------------------------------===*|
|*                                                                            *|
|* The host library, libropewalk-host.so, which lies beside every artifact:   *|
|* it runs the artifact on a device and needs neither MLIR nor LLVM.          *|
|*                                                                            *|
|* Functions return 0 on success. On failure they return 1, write no output,  *|
|* and ropewalk_host_last_error() says why. A handle serves one call at a     *|
|* time.                                                                      *|
|*                                                                            *|
\*===----------------------------------------------------------------------===*/

#ifndef ROPEWALK_C_HOST_H
#define ROPEWALK_C_HOST_H

#include "Ropewalk/Runtime/Device.h"

#ifdef __cplusplus
extern "C" {
#endif

#define ROPEWALK_HOST_API __attribute__((visibility("default")))

typedef struct RopewalkHost RopewalkHost;

/** Why this thread's last call that failed did so; never null. */
ROPEWALK_HOST_API const char *ropewalk_host_last_error(void);

/** Opens the artifact directory `artifact` with the weights of the Hugging Face
    directory `weights`. `device` is taken over, also on failure; null opens the
    GPU number `ordinal` through libcuda. `capacity` is the number of cache
    slots at the beginning (they grow), `chunk` the longest piece of a sequence
    that runs at once; 0 means 512 for both. */
ROPEWALK_HOST_API int ropewalk_host_open(const char *artifact,
                                         const char *weights,
                                         RopewalkDevice *device, int ordinal,
                                         int64_t capacity, int64_t chunk,
                                         RopewalkHost **host);

/** Releases a handle and its device. Null is allowed. */
ROPEWALK_HOST_API void ropewalk_host_close(RopewalkHost *host);

/** Name of the device, valid until the handle is closed. */
ROPEWALK_HOST_API const char *ropewalk_host_device(RopewalkHost *host);

/** Ids are in [0, this). */
ROPEWALK_HOST_API int64_t ropewalk_host_vocabulary(RopewalkHost *host);

/** Sets a run-time parameter of the position map: i64, dense, of `rank` sizes.
 */
ROPEWALK_HOST_API int ropewalk_host_parameter(RopewalkHost *host,
                                              const char *name,
                                              const int64_t *values,
                                              const int64_t *shape, int rank);

/** Logits of every token of new sequences: ids [batch, length] to f32
    [batch, length, vocabulary]. */
ROPEWALK_HOST_API int ropewalk_host_logits(RopewalkHost *host,
                                           const int32_t *ids, int64_t batch,
                                           int64_t length, float *logits);

/** Negative log likelihoods in nats of ids[1] ... ids[count - 1]: `nll` has
    count - 1 values. */
ROPEWALK_HOST_API int ropewalk_host_score(RopewalkHost *host,
                                          const int32_t *ids, int64_t count,
                                          double *nll);

/** Greedy continuation of one sequence by `max_new_tokens` tokens. */
ROPEWALK_HOST_API int ropewalk_host_generate(RopewalkHost *host,
                                             const int32_t *ids, int64_t count,
                                             int64_t max_new_tokens,
                                             int32_t *tokens);

#ifdef __cplusplus
} // extern "C"
#endif

#endif /* ROPEWALK_C_HOST_H */
