//===- AsyncQueue.h - Operations under way ----------------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Copies and other operations that go on while their thread does. What they
// do happens when they complete: when the program waits for them, when the
// schedule says so, or when nothing else can go on.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_LIB_EMULATOR_ASYNCQUEUE_H
#define ROPEWALK_LIB_EMULATOR_ASYNCQUEUE_H

#include "Random.h"

#include <cstdint>
#include <deque>
#include <functional>
#include <vector>

namespace ropewalk::emulator {

class AsyncQueue {
public:
  using Ticket = uint64_t;

  void reset(uint64_t seed);
  /// `complete` moves the data and signals; it returns false after a report.
  /// `read`, if there is one, only takes the data from its source.
  Ticket add(std::function<bool()> complete,
             std::function<void()> read = nullptr);
  bool isPending(Ticket ticket) const;
  /// Lets the operation read its source now, if it has not.
  void read(Ticket ticket);
  /// Completes the operation now, if it has not.
  bool complete(Ticket ticket);
  /// Time passes: one turn of all warps. Completes what is due.
  bool advance();
  /// Completes the next operation though it is not due.
  bool completeNext();
  bool isEmpty() const { return pending.empty(); }

private:
  struct Operation {
    Ticket ticket;
    uint64_t due;
    std::function<bool()> complete;
    std::function<void()> read;
  };
  /// The index of an operation under way, or the number of all.
  size_t find(Ticket ticket) const;
  bool run(size_t index);

  std::deque<Operation> pending; ///< By ticket.
  Ticket nextTicket = 1;
  uint64_t now = 0;
  bool isSeeded = false;
  Random random;
};

/// The groups of a warp's lanes (cp.async.commit_group and its bulk form),
/// which differ from lane to lane only if the lanes diverge.
class AsyncGroups {
public:
  void clear() {
    open.clear();
    closed.clear();
  }
  /// An operation for each of the lanes, in no group yet.
  void add(AsyncQueue::Ticket ticket, uint32_t lanes);
  /// Makes a group, perhaps an empty one, for each of the lanes.
  void commit(uint32_t lanes);
  /// Completes all groups of the lanes but the newest `keep` of each, or lets
  /// them read their sources. Returns false after a report.
  bool await(AsyncQueue &queue, uint32_t lanes, uint32_t keep, bool onlyReads);
  /// Appends everything that the lanes have started and not waited for.
  void list(uint32_t lanes, std::vector<AsyncQueue::Ticket> &tickets) const;

private:
  struct Entry {
    AsyncQueue::Ticket ticket;
    uint32_t lanes;
  };
  struct Group {
    uint32_t lanes;
    std::vector<AsyncQueue::Ticket> tickets;
  };
  std::vector<Entry> open;
  std::deque<Group> closed; ///< Oldest first.
};

} // namespace ropewalk::emulator

#endif // ROPEWALK_LIB_EMULATOR_ASYNCQUEUE_H
