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

namespace ropewalk::emulator {

class AsyncQueue {
public:
  using Ticket = uint64_t;

  void reset(uint64_t seed);
  /// `complete` moves the data and signals; it returns false after a report.
  Ticket add(std::function<bool()> complete);
  bool isPending(Ticket ticket) const;
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
  };
  bool run(std::deque<Operation>::iterator operation);

  std::deque<Operation> pending; ///< By ticket.
  Ticket nextTicket = 1;
  uint64_t now = 0;
  bool isSeeded = false;
  Random random;
};

} // namespace ropewalk::emulator

#endif // ROPEWALK_LIB_EMULATOR_ASYNCQUEUE_H
