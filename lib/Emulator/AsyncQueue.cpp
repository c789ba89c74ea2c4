//===- AsyncQueue.cpp - Operations under way --------------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Without a seed an operation is due a few turns after its issue; with one,
// after a random number of turns.
//
//===----------------------------------------------------------------------===//

#include "AsyncQueue.h"

#include <algorithm>

using namespace ropewalk::emulator;

void AsyncQueue::reset(uint64_t seed) {
  pending.clear();
  now = 0;
  isSeeded = seed != 0;
  random.state = seed;
}

AsyncQueue::Ticket AsyncQueue::add(std::function<bool()> complete) {
  uint64_t delay = isSeeded ? random.below(16) : 2;
  pending.push_back({nextTicket, now + delay, std::move(complete)});
  return nextTicket++;
}

bool AsyncQueue::isPending(Ticket ticket) const {
  auto found = std::lower_bound(
      pending.begin(), pending.end(), ticket,
      [](const Operation &op, Ticket value) { return op.ticket < value; });
  return found != pending.end() && found->ticket == ticket;
}

bool AsyncQueue::run(std::deque<Operation>::iterator operation) {
  // The operation may add others.
  std::function<bool()> complete = std::move(operation->complete);
  pending.erase(operation);
  return complete();
}

bool AsyncQueue::complete(Ticket ticket) {
  auto found = std::lower_bound(
      pending.begin(), pending.end(), ticket,
      [](const Operation &op, Ticket value) { return op.ticket < value; });
  return found == pending.end() || found->ticket != ticket || run(found);
}

bool AsyncQueue::advance() {
  ++now;
  for (size_t i = 0; i < pending.size();) {
    if (pending[i].due > now) {
      ++i;
      continue;
    }
    if (!run(pending.begin() + std::ptrdiff_t(i)))
      return false;
  }
  return true;
}

bool AsyncQueue::completeNext() {
  if (pending.empty())
    return true;
  size_t index = isSeeded ? size_t(random.below(pending.size())) : 0;
  return run(pending.begin() + std::ptrdiff_t(index));
}
