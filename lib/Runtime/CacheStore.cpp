//===- CacheStore.cpp - The caches of a session -----------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A larger capacity changes one dimension of a cache, [B, H, C, D] for
// example: each of the B*H old rows of C*D elements is copied to the beginning
// of its new row.
//
//===----------------------------------------------------------------------===//

#include "CacheStore.h"

#include <algorithm>

using namespace ropewalk::runtime;

CacheStore::~CacheStore() {
  for (Cache &cache : caches)
    if (cache.allocated)
      (void)program.release(cache.view.address);
}

Status CacheStore::declare(const EntrySignature &entry,
                           std::string_view batchSymbol) {
  for (const Argument &argument : entry.arguments) {
    if (argument.kind != ArgumentKind::Cache)
      continue;
    Cache cache{argument.name,
                argument.type,
                argument.shape,
                std::string(batchSymbol),
                {},
                {}};
    for (const Expression &dimension : argument.shape)
      for (const std::string &symbol : dimension.symbols()) {
        if (symbol == batchSymbol || symbol == cache.capacitySymbol)
          continue;
        if (!cache.capacitySymbol.empty())
          return Error("entry '", entry.name, "', cache '", argument.name,
                       "': its shape has the symbols '", cache.capacitySymbol,
                       "' and '", symbol, "', expected only the capacity");
        cache.capacitySymbol = symbol;
      }
    if (cache.capacitySymbol.empty())
      return Error("entry '", entry.name, "', cache '", argument.name,
                   "': its shape has no symbol for the capacity");

    auto same = std::find_if(caches.begin(), caches.end(), [&](Cache &other) {
      return other.name == cache.name;
    });
    if (same == caches.end()) {
      caches.push_back(std::move(cache));
      continue;
    }
    // Two primes tell shapes apart without comparing texts of expressions.
    Result<std::vector<int64_t>> a = shapeOf(*same, 2, 1009);
    Result<std::vector<int64_t>> b = shapeOf(cache, 2, 1009);
    if (!a || !b)
      return (a ? b : a).error().in(concat("cache '", cache.name, "'"));
    if (same->type != cache.type || *a != *b)
      return Error("entry '", entry.name, "', cache '", cache.name,
                   "': type and shape differ from those in another entry");
  }
  return success();
}

Result<std::vector<int64_t>>
CacheStore::shapeOf(const Cache &cache, int64_t batch, int64_t slots) const {
  Bindings sizes;
  if (!cache.batchSymbol.empty())
    sizes.set(cache.batchSymbol, batch);
  sizes.set(cache.capacitySymbol, slots);
  return evaluateShape(cache.shape, sizes);
}

Status CacheStore::reserve(int64_t newBatch, int64_t newSlots, bool keep) {
  if (newBatch == batch && newSlots <= slots)
    return success();
  for (Cache &cache : caches) {
    Result<std::vector<int64_t>> shape = shapeOf(cache, newBatch, newSlots);
    Status status =
        shape ? resize(cache, std::move(*shape), keep) : Status(shape.error());
    if (!status) {
      // Caches may differ in their capacity now: the next call starts anew.
      batch = slots = 0;
      return status.error().in(concat("cache '", cache.name, "'"));
    }
  }
  batch = newBatch;
  slots = newSlots;
  return success();
}

Status CacheStore::resize(Cache &cache, std::vector<int64_t> shape, bool keep) {
  if (cache.allocated && cache.view.shape == shape)
    return success();
  if (cache.allocated && !keep) {
    cache.allocated = false;
    if (Status status = program.release(cache.view.address); !status)
      return status;
  }
  std::optional<int64_t> bytes = byteSize(cache.type, shape);
  if (!bytes)
    return Error("shape ", toString(shape), " does not fit into 63 bits");
  Result<uint64_t> address = program.allocate(static_cast<size_t>(*bytes));
  if (!address)
    return address.error();
  Status status = program.fill(*address, 0, static_cast<size_t>(*bytes));
  if (status && cache.allocated) {
    const std::vector<int64_t> &old = cache.view.shape;
    size_t grown = 0;
    while (grown < shape.size() && old[grown] == shape[grown])
      ++grown;
    auto begin = shape.begin() + static_cast<ptrdiff_t>(grown);
    int64_t rows = 1;
    for (auto it = shape.begin(); it != begin; ++it)
      rows *= *it;
    int64_t inner = static_cast<int64_t>(byteSize(cache.type));
    for (auto it = begin + 1; it != shape.end(); ++it)
      inner *= *it;
    int64_t oldRow = old[grown] * inner, newRow = shape[grown] * inner;
    for (int64_t row = 0; row < rows && status; ++row)
      status =
          program.copy(*address + static_cast<uint64_t>(row * newRow),
                       cache.view.address + static_cast<uint64_t>(row * oldRow),
                       static_cast<size_t>(oldRow));
    if (status)
      status = program.release(cache.view.address);
  }
  if (!status) {
    (void)program.release(*address);
    return status;
  }
  cache.allocated = true;
  cache.view = {*address, std::move(shape)};
  return success();
}

const TensorView &CacheStore::find(std::string_view name) const {
  return std::find_if(caches.begin(), caches.end(),
                      [&](const Cache &cache) { return cache.name == name; })
      ->view;
}

size_t CacheStore::bytes() const {
  size_t total = 0;
  for (const Cache &cache : caches)
    if (cache.allocated)
      total += static_cast<size_t>(
          byteSize(cache.type, cache.view.shape).value_or(0));
  return total;
}

size_t CacheStore::bytesPerSlot() const {
  int64_t total = 0;
  for (const Cache &cache : caches) {
    Result<std::vector<int64_t>> one = shapeOf(cache, 1, 1);
    Result<std::vector<int64_t>> two = shapeOf(cache, 1, 2);
    if (one && two)
      total += byteSize(cache.type, *two).value_or(0) -
               byteSize(cache.type, *one).value_or(0);
  }
  return static_cast<size_t>(total);
}
