/*===- CEmulator.h - Running PTX, for C ---------------------------*- C -*-===*\
|*                                                                            *|
|* Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.      *|
|* See LICENSE for license information.                                       *|
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception                    *|
|*                                                                            *|
|*===----------------------------------------------------------------------===*|
|*                                                                            *|
|* Modules, device memory and launches of the emulator for C and for every    *|
|* language that can call C; in libropewalk-emulator.so. Nothing here throws  *|
|* or aborts on bad input.                                                    *|
|*                                                                            *|
|* Functions that return an int return 0 on success; otherwise                *|
|* ropewalk_ptx_error() says why. Handles are independent of each other, and  *|
|* each serves one call at a time; ropewalk_ptx_cancel may be called during   *|
|* a launch, from any thread.                                                 *|
|*                                                                            *|
\*===----------------------------------------------------------------------===*/

#ifndef ROPEWALK_EMULATOR_CEMULATOR_H
#define ROPEWALK_EMULATOR_CEMULATOR_H

#ifdef __cplusplus
#include <cstddef>
#include <cstdint>
extern "C" {
#else
#include <stddef.h>
#include <stdint.h>
#endif

/** Why the last call of this thread that failed did so: lower case, no full
    stop. Never null; valid until the thread's next failure. */
const char *ropewalk_ptx_error(void);

typedef struct RopewalkPtxModule RopewalkPtxModule;

/** Parses and decodes `size` bytes of PTX. Errors in the text begin with
    "line:column: ". `chip`, "sm_90a" for example, refuses a module that this
    chip cannot run; null takes the one that the module names. */
int ropewalk_ptx_load(const char *text, size_t size, const char *chip,
                      RopewalkPtxModule **module);

/** Releases a module. Null is allowed. */
void ropewalk_ptx_unload(RopewalkPtxModule *module);

/** A JSON object; valid as long as the module:
      "target":  "sm_90a"
      "entries": array of objects with
        "name", "static_shared" and "local" (bytes; local per thread),
        "dynamic_shared" (true or false), "max_threads", "required_threads" and
        "required_cluster" ([x, y, z] or null) and
        "parameters": array of {"name", "type" (PTX type without the dot),
                      "pointer" (true or false), "size", "alignment"} */
const char *ropewalk_ptx_describe(const RopewalkPtxModule *module);

typedef struct RopewalkPtxDevice RopewalkPtxDevice;

/** A device without buffers. Null if the host has no memory left. */
RopewalkPtxDevice *ropewalk_ptx_device_create(void);

/** Releases a device and its buffers. Null is allowed. */
void ropewalk_ptx_device_free(RopewalkPtxDevice *device);

/** Allocates memory that counts as not initialized, aligned to 256. 0 bytes
    make a buffer that cannot be accessed. */
int ropewalk_ptx_alloc(RopewalkPtxDevice *device, size_t bytes,
                       uint64_t *address);
int ropewalk_ptx_release(RopewalkPtxDevice *device, uint64_t address);
int ropewalk_ptx_copy_in(RopewalkPtxDevice *device, uint64_t destination,
                         const void *source, size_t bytes);
int ropewalk_ptx_copy_out(RopewalkPtxDevice *device, void *destination,
                          uint64_t source, size_t bytes);

enum { ROPEWALK_PTX_PROFILE = 1 };

/** Runs an entry to its end.
      `entry`      its index in the description
      `grid`, `block`  extents, x first; `cluster` too, or null: as the kernel
                   says
      `shared`     bytes of dynamic shared memory
      `arguments`  for each parameter, `sizes` bytes
      `options`    null or a JSON object with any of
        "threads": host threads for blocks, 0 for all cores (default 1),
        "instruction_budget": warp instructions that a block may execute,
        "schedule_seed": 0 (default) for a fixed order of warps; other numbers
                         choose another,
        "registers_per_thread": when the kernel starts, for setmaxnreg,
        "check_uninitialized_memory", "check_uninitialized_registers",
        "check_races": true (default) or false
      `flags`      0, or ROPEWALK_PTX_PROFILE
    Returns 0 and a JSON object with
        "counters": figures, and "classes": {NAME: {"warps", "lanes"}},
        "text":     the same as tables,
        "output":   what the kernel's printf wrote, by block in the order of
                    the grid, and with ROPEWALK_PTX_PROFILE
        "profile":  an object as `ropewalk-emulate --profile=json` prints it.
    Returns 1 if the kernel is at fault, and an object with
        "kind" ("out-of-bounds" for example), "kernel", "detail", "line" and
        "column" (of the PTX text, 0 if unknown), "source" (of the program that
        the PTX was made of, "" if unknown), "inlined_at" (a list of the places
        where that was inlined, innermost first), "block" ([x, y, z] or null),
        "warp", "lane" and "address" (a number or null), "other" (null, or an
        object with "block" (linear), "warp", "lane", "line", "column",
        "source"), "output" (what printf wrote before the fault) and "text", all
        of the report in words.
    Returns 2 if the call is wrong; *json is null then. *json is valid until the
    next launch on the device. */
int ropewalk_ptx_launch(RopewalkPtxDevice *device,
                        const RopewalkPtxModule *module, size_t entry,
                        const uint32_t grid[3], const uint32_t block[3],
                        const uint32_t *cluster, size_t shared,
                        const void *const *arguments, const size_t *sizes,
                        size_t count, const char *options, unsigned flags,
                        const char **json);

/** A buffer of floating-point numbers of type 0 (f16), 1 (bf16), 2 (f32) or 3
    (f64). */
typedef struct RopewalkPtxFloats {
  uint64_t address;
  uint64_t bytes;
  int type;
} RopewalkPtxFloats;

/** Runs an entry with one synchronization deleted or made weaker at a time. The
    device's memory is the same afterwards. Arguments are those of
    ropewalk_ptx_launch, except that the budget and the seed of the options
    are not looked at, and
      `seeds`      schedules of each run, at least 1
      `tolerance`  elements of the `float_count` buffers `floats` may differ
                   from the kernel's own result by
                   tolerance * max(1, |expected|); everything else has to be
                   the same
    Returns 0 and a JSON object with
        "mutants": array of objects with "line" and "column" of the instruction,
                   "text" (the instruction), "mutation" (what became of it),
                   "outcome" ("reported", "deadlock", "wrong result",
                   "unnoticed", "invalid" or "not executed"), "kind" (of the
                   report, or null), "seed" (the schedule that showed it, or
                   null) and "detail" (in words, or "")
        "summary": how many there are of each outcome
    Returns 1 and a report as ropewalk_ptx_launch does if the kernel itself is
    at fault, and 2 if the call is wrong or the kernel's own results depend on
    the schedule; *json is null then. */
int ropewalk_ptx_mutate(RopewalkPtxDevice *device,
                        const RopewalkPtxModule *module, size_t entry,
                        const uint32_t grid[3], const uint32_t block[3],
                        const uint32_t *cluster, size_t shared,
                        const void *const *arguments, const size_t *sizes,
                        size_t count, const char *options, unsigned seeds,
                        double tolerance, const RopewalkPtxFloats *floats,
                        size_t float_count, const char **json);

/** Ends the launch in progress, and every later one of the device, with a
    report of kind "cancelled". */
void ropewalk_ptx_cancel(RopewalkPtxDevice *device);

/** Writes a tensor map of 128 bytes, with the arguments of the CUDA driver's
    cuTensorMapEncodeTiled: the numbers of the enumerations are the same, and
    `strides` and `element_strides` have the same meaning. */
int ropewalk_ptx_tensor_map(int type, uint32_t rank, uint64_t address,
                            const uint64_t *dims, const uint64_t *strides,
                            const uint32_t *box,
                            const uint32_t *element_strides, int interleave,
                            int swizzle, int promotion, int fill, void *out);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* ROPEWALK_EMULATOR_CEMULATOR_H */
