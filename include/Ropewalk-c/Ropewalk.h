/*===- Ropewalk.h - The C interface ------------------------------*- C -*-===*\
|*                                                                            *|
|* Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.      *|
|* See LICENSE for license information.                                       *|
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception                    *|
|*                                                                            *|
|*===----------------------------------------------------------------------===*|
|*                                                                            *|
|* Compiling and running models and single attentions, for C and for every    *|
|* language that can call C. Nothing here throws or aborts on bad input.      *|
|*                                                                            *|
|* Functions return ROPEWALK_OK, ROPEWALK_ERROR or ROPEWALK_CANCELLED; after  *|
|* anything but ROPEWALK_OK the outputs are not written and                   *|
|* ropewalk_last_error() says why. Options are a JSON object, or null for     *|
|* the defaults; an unknown key is an error.                                  *|
|*                                                                            *|
|* Handles are independent of each other. One handle serves one call at a     *|
|* time (others wait); only ropewalk_model_cancel may be called during a      *|
|* call, from any thread or from a signal handler. A callback must not call   *|
|* functions of the handle that called it, except ropewalk_model_cancel.      *|
|*                                                                            *|
|* Targets: "cpu" compiles to this processor and runs in this process;        *|
|* "cuda" and "cuda:N" compile to PTX for that GPU; "emulate:sm_80" and       *|
|* "emulate:sm_90a" compile to PTX and execute it in the emulator.            *|
|*                                                                            *|
\*===----------------------------------------------------------------------===*/

#ifndef ROPEWALK_C_ROPEWALK_H
#define ROPEWALK_C_ROPEWALK_H

#ifdef __cplusplus
#include <cstddef>
#include <cstdint>
extern "C" {
#else
#include <stddef.h>
#include <stdint.h>
#endif

#if defined(__GNUC__)
#define ROPEWALK_API __attribute__((visibility("default")))
#else
#define ROPEWALK_API
#endif

enum { ROPEWALK_OK = 0, ROPEWALK_ERROR = 1, ROPEWALK_CANCELLED = 2 };

/** "0.1.0": the version of the library. */
ROPEWALK_API const char *ropewalk_version(void);

/** Why the last call of this thread that failed did so: lower case, no full
    stop, one line for each reason. "" before the first failure; never null.
    Valid until the thread's next call of a function of this header. */
ROPEWALK_API const char *ropewalk_last_error(void);

/** Releases a text that a function of this header allocated. Null is allowed.
 */
ROPEWALK_API void ropewalk_string_free(char *text);

/** Loads a dialect plugin of MLIR, for everything that this process compiles
    later: position maps of its own can then be named in options. */
ROPEWALK_API int ropewalk_load_plugin(const char *path);

/*===----------------------------------------------------------------------===*\
|* Models
\*===----------------------------------------------------------------------===*/

/** Imports the Hugging Face directory `directory` (config.json and
    *.safetensors, model types qwen2 and llama) as MLIR text, to be released
    with ropewalk_string_free. Reads only headers of weights. */
ROPEWALK_API int ropewalk_import(const char *directory, char **mlir);

/** Compiles a model directory into an artifact, the directory `output`.
   Options: "target": "sm_80" (default) or another chip "maps":   position maps,
   one text or an array with one for each layer; default: the model's own
   attention */
ROPEWALK_API int ropewalk_compile(const char *directory, const char *options,
                                  const char *output);

/** The text of a position map by the name of its method and its parameters, a
    JSON object of integers, in whatever order: "self_extend" and {"window": 64,
    "group": 8} make "#rope.self_extend<group = 8, window = 64>". To be released
    with ropewalk_string_free. */
ROPEWALK_API int ropewalk_map_compose(const char *method,
                                      const char *parameters, char **map);

typedef struct RopewalkModel RopewalkModel;

/** Called now and then during long calls: "weights" counts bytes, "prefill" and
    "generate" count tokens of one sequence. A result other than 0 cancels the
    call. */
typedef int (*RopewalkProgressFunction)(void *user, const char *stage,
                                        int64_t done, int64_t total);

/** Loads a model directory (import, position maps, compilation, weights) or an
    artifact of `ropewalk_compile`. Options:
      "target":   default "cpu"; of an artifact, where it runs: "cuda" or
                  "emulate:CHIP"
      "maps":     as for ropewalk_compile; not with an artifact
      "weights":  directory of the checkpoint; only with an artifact, whose own
                  directory is the default
      "threads":  threads on the CPU (default 0: one per processor)
      "capacity": slots of the cache at the beginning (default 512); it grows
      "chunk":    tokens of a sequence that run at once (default 512)
    `progress` may be null; it is also used by later calls of the model. */
ROPEWALK_API int ropewalk_model_load(const char *path, const char *options,
                                     RopewalkProgressFunction progress,
                                     void *user, RopewalkModel **model);

/** Releases a model. Null is allowed. */
ROPEWALK_API void ropewalk_model_free(RopewalkModel *model);

/** Sets the progress function of later calls; null takes it away. */
ROPEWALK_API int ropewalk_model_set_progress(RopewalkModel *model,
                                             RopewalkProgressFunction progress,
                                             void *user);

/** Makes the call in progress end with ROPEWALK_CANCELLED as soon as a run of
    the model is over. Has no effect on calls that start later. */
ROPEWALK_API void ropewalk_model_cancel(RopewalkModel *model);

/** A JSON object, to be released with ropewalk_string_free:
      "model":     what is known of the model (vocabulary_size, layers, ...)
      "maps":      the position map of each layer
      "target", "device", "vocabulary_size", "capacity", "length", "batch"
      "memory":    bytes: "weights", "mapped_weights", "caches",
                   "cache_per_token", "program"
      "warnings":  messages of the import */
ROPEWALK_API int ropewalk_model_info(RopewalkModel *model, char **json);

/** Logits of every token of new sequences: ids [batch, length], row-major, to
    logits f32 [batch, length, vocabulary_size]. `lengths`, if not null, has the
    number of tokens of each row; the logits of the rest are 0. */
ROPEWALK_API int ropewalk_model_logits(RopewalkModel *model, const int32_t *ids,
                                       int64_t batch, int64_t length,
                                       const int64_t *lengths, float *logits);

/** Negative log likelihoods, in nats, of ids[1] ... ids[count - 1], each given
    those before it: `nll` has count - 1 values. */
ROPEWALK_API int ropewalk_model_score(RopewalkModel *model, const int32_t *ids,
                                      int64_t count, double *nll);

/** Called for every new token as soon as it is known; a result other than 0
    ends the generation with what there is. */
typedef int (*RopewalkTokenFunction)(void *user, int64_t sequence,
                                     int32_t token);

/** Greedy continuation of new sequences (the smallest id wins a tie). A
   sequence ends after `max_new_tokens` or with one of the `stop_count` ids in
    `stop_ids`, which is part of the output. `tokens` [batch, max_new_tokens]
   and `counts` [batch] get the new tokens; `on_token` may be null. */
ROPEWALK_API int
ropewalk_model_generate(RopewalkModel *model, const int32_t *ids, int64_t batch,
                        int64_t length, const int64_t *lengths,
                        int64_t max_new_tokens, const int32_t *stop_ids,
                        int64_t stop_count, RopewalkTokenFunction on_token,
                        void *user, int32_t *tokens, int64_t *counts);

enum {
  ROPEWALK_ROWS_NONE = 0, /* only fill the cache */
  ROPEWALK_ROWS_LAST = 1, /* of each sequence's last token: [batch, V] */
  ROPEWALK_ROWS_ALL = 2   /* of every token: [batch, length, V] */
};

/** Step by step: appends tokens to the sequences in the cache and writes the
    logits that `rows` asks for. Only the first call after a reset sets the
   batch size and may have `lengths`. */
ROPEWALK_API int ropewalk_model_append(RopewalkModel *model, const int32_t *ids,
                                       int64_t batch, int64_t length,
                                       const int64_t *lengths, int rows,
                                       float *logits);

/** Goes back to the first `length` tokens of the cache; 0 forgets all. */
ROPEWALK_API int ropewalk_model_truncate(RopewalkModel *model, int64_t length);

/*===----------------------------------------------------------------------===*\
|* Attention
\*===----------------------------------------------------------------------===*/

enum {
  ROPEWALK_F16 = 1,
  ROPEWALK_BF16 = 2,
  ROPEWALK_F32 = 3,
  ROPEWALK_F64 = 4,
  ROPEWALK_I32 = 5,
  ROPEWALK_I64 = 6
};

typedef struct RopewalkTensor {
  /** What it is in the call, see ropewalk_attention_run. */
  const char *name;
  /** May be null if a size is 0. */
  void *data;
  /** ROPEWALK_F32, ... */
  int32_t type;
  int32_t rank;
  /** `rank` sizes. */
  const int64_t *shape;
  /** `rank` strides in bytes, or null: dense and row-major. */
  const int64_t *strides;
} RopewalkTensor;

typedef struct RopewalkAttention RopewalkAttention;

/** Compiles attention for one structure; sizes, operand values and parameters
    of the map that are `?` come with each run. What was compiled before, with
    an equal descriptor, is found in a cache. `descriptor` is a JSON object:
      "query_heads", "kv_heads", "head_dim": numbers
      "map":      "#rope.self_extend<group = ?, window = ?>", an attribute
      "rotary":   "#rope.rotary<theta = 10000.0, dim = 64>", an attribute
      "type":     of query, key, value and output: "f32" (default), "f64"
      "value_dim": default: head_dim
      "scale":    default: 1 / sqrt(head_dim)
      "causal":   default: true
      "softcap":  default: null, none
      "bias":     null (default), or [batch, heads] with 1 or 0: whether the
   bias has these axes or is broadcast along them "lse":      whether the
   log-sum-exp is an output (default false) "operands": array of any of
   "query_offset", "key_length", "position_offset" (default: []) "target",
   "threads": as for ropewalk_model_load */
ROPEWALK_API int ropewalk_attention_compile(const char *descriptor,
                                            RopewalkAttention **attention);

/** The names of the map's parameters that are `?`, in their order, and the
    smallest value of each: {"parameters": [["group", 1], ["window", 0]],
    "device": "cpu"}. To be released with ropewalk_string_free. */
ROPEWALK_API int ropewalk_attention_info(RopewalkAttention *attention,
                                         char **json);

/** Runs attention on tensors, each named:
      "query" [B, Hq, Sq, D], "key" [B, Hkv, Skv, D], "value" [B, Hkv, Skv, Dv]:
          un-rotated
      "bias" [B|1, Hq|1, Sq, Skv], of the same type
      "query_offset", "key_length", "position_offset": i64 [B], those of the
          descriptor
      "parameter.NAME": i64 [B|1, Hkv|1], one for each parameter that is `?`
      "output" [B, Hq, Sq, Dv], written
      "lse" f32 [B, Hq, Sq], written, if the descriptor asks for it
    A query's slot is query_offset[b] plus its row, a position is a slot plus
    position_offset[b]. Keys count up to key_length[b] and, if causal, up to the
    query's position. A row without keys gives 0 and a log-sum-exp of -inf. */
ROPEWALK_API int ropewalk_attention_run(RopewalkAttention *attention,
                                        const RopewalkTensor *tensors,
                                        size_t count);

/** Releases a handle; the compiled code stays in the cache. Null is allowed. */
ROPEWALK_API void ropewalk_attention_free(RopewalkAttention *attention);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* ROPEWALK_C_ROPEWALK_H */
