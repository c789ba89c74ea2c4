//===- CacheStore.h - The caches of a session -------------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Caches are allocated for a number of sequences and a capacity, zero where
// nothing has been written, so that masked reads of a tile never meet a NaN.
// Growing the capacity keeps their contents.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_LIB_RUNTIME_CACHESTORE_H
#define ROPEWALK_LIB_RUNTIME_CACHESTORE_H

#include "Ropewalk/Runtime/Program.h"

#include <string>
#include <string_view>
#include <vector>

namespace ropewalk::runtime {

class CacheStore {
public:
  explicit CacheStore(Program &program) : program(program) {}
  ~CacheStore();
  CacheStore(const CacheStore &) = delete;
  CacheStore &operator=(const CacheStore &) = delete;

  /// Takes the caches of an entry, whose shapes use `batchSymbol` and one more
  /// symbol, the capacity. A cache that several entries take must be the same
  /// in all of them.
  Status declare(const EntrySignature &entry, std::string_view batchSymbol);

  /// Makes room for `batch` sequences of `slots` slots. With `keep`, the batch
  /// size must not change and the contents stay; otherwise they are lost if
  /// anything has to be allocated.
  Status reserve(int64_t batch, int64_t slots, bool keep);

  bool empty() const { return caches.empty(); }
  int64_t capacity() const { return slots; }
  const TensorView &find(std::string_view name) const;
  size_t bytes() const;
  /// What one more slot costs for one sequence.
  size_t bytesPerSlot() const;

private:
  struct Cache {
    std::string name;
    ElementType type;
    /// Over the symbols "batch" and "capacity" of this store.
    std::vector<Expression> shape;
    std::string batchSymbol, capacitySymbol;
    TensorView view;
    bool allocated = false;
  };

  Result<std::vector<int64_t>> shapeOf(const Cache &cache, int64_t batch,
                                       int64_t slots) const;
  Status resize(Cache &cache, std::vector<int64_t> shape, bool keep);

  Program &program;
  std::vector<Cache> caches;
  int64_t batch = 0, slots = 0;
};

} // namespace ropewalk::runtime

#endif // ROPEWALK_LIB_RUNTIME_CACHESTORE_H
