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
#include <bit>

using namespace ropewalk::emulator;

void AsyncQueue::reset(uint64_t seed) {
  pending.clear();
  now = 0;
  isSeeded = seed != 0;
  random.state = seed;
}

AsyncQueue::Ticket AsyncQueue::add(std::function<bool()> complete,
                                   std::function<void()> read) {
  uint64_t delay = isSeeded ? random.below(16) : 2;
  pending.push_back(
      {nextTicket, now + delay, std::move(complete), std::move(read)});
  return nextTicket++;
}

size_t AsyncQueue::find(Ticket ticket) const {
  auto found = std::lower_bound(
      pending.begin(), pending.end(), ticket,
      [](const Operation &op, Ticket value) { return op.ticket < value; });
  return found != pending.end() && found->ticket == ticket
             ? size_t(found - pending.begin())
             : pending.size();
}

bool AsyncQueue::isPending(Ticket ticket) const {
  return find(ticket) < pending.size();
}

void AsyncQueue::read(Ticket ticket) {
  size_t index = find(ticket);
  if (index < pending.size() && pending[index].read)
    pending[index].read();
}

bool AsyncQueue::run(size_t index) {
  // The operation may add others, and complete others before itself.
  std::function<bool()> complete = std::move(pending[index].complete);
  pending.erase(pending.begin() + std::ptrdiff_t(index));
  return complete();
}

bool AsyncQueue::complete(Ticket ticket) {
  size_t index = find(ticket);
  return index == pending.size() || run(index);
}

bool AsyncQueue::advance() {
  ++now;
  for (size_t i = 0; i < pending.size();) {
    if (pending[i].due > now)
      ++i;
    else if (!run(i))
      return false;
  }
  return true;
}

bool AsyncQueue::completeNext() {
  if (pending.empty())
    return true;
  return run(isSeeded ? size_t(random.below(pending.size())) : 0);
}

void AsyncGroups::add(AsyncQueue::Ticket ticket, uint32_t lanes) {
  open.push_back({ticket, lanes});
}

void AsyncGroups::commit(uint32_t lanes) {
  Group group{lanes, {}};
  for (Entry &entry : open) {
    if (!(entry.lanes & lanes))
      continue;
    group.tickets.push_back(entry.ticket);
    entry.lanes &= ~lanes;
  }
  std::erase_if(open, [](const Entry &entry) { return entry.lanes == 0; });
  closed.push_back(std::move(group));
}

bool AsyncGroups::await(AsyncQueue &queue, uint32_t lanes, uint32_t keep,
                        bool onlyReads) {
  // Lanes by the newer groups that they have, from the newest group on.
  uint32_t newer[32] = {};
  for (size_t i = closed.size(); i-- > 0;) {
    Group &group = closed[i];
    uint32_t due = 0;
    for (uint32_t rest = group.lanes & lanes; rest; rest &= rest - 1) {
      unsigned lane = unsigned(std::countr_zero(rest));
      if (newer[lane]++ >= keep)
        due |= uint32_t(1) << lane;
    }
    if (!due)
      continue;
    for (AsyncQueue::Ticket ticket : group.tickets) {
      if (onlyReads)
        queue.read(ticket);
      else if (!queue.complete(ticket))
        return false;
    }
    if (!onlyReads)
      group.lanes &= ~due;
  }
  std::erase_if(closed, [](const Group &group) { return group.lanes == 0; });
  // Old groups that have completed by themselves: only the newest count.
  while (!closed.empty() &&
         std::none_of(closed.front().tickets.begin(),
                      closed.front().tickets.end(),
                      [&](auto ticket) { return queue.isPending(ticket); }))
    closed.pop_front();
  return true;
}

void AsyncGroups::list(uint32_t lanes,
                       std::vector<AsyncQueue::Ticket> &tickets) const {
  for (const Group &group : closed)
    if (group.lanes & lanes)
      tickets.insert(tickets.end(), group.tickets.begin(), group.tickets.end());
  for (const Entry &entry : open)
    if (entry.lanes & lanes)
      tickets.push_back(entry.ticket);
}
