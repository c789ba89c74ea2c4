//===- BulkCopy.cpp - Bulk copies under way ---------------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A copy under way keeps the host addresses of its pieces. It reads its sources
// when it completes or, for wait_group.read, before; the bytes then wait in a
// buffer.
//
//===----------------------------------------------------------------------===//

#include "BulkCopy.h"
#include "Rounding.h"

#include <algorithm>
#include <bit>

using namespace ropewalk::emulator;

using Reduction = BulkCopy::Reduction;

namespace {

template <class T> T reduceInteger(Reduction reduction, T old, T value) {
  using U = std::make_unsigned_t<T>;
  switch (reduction) {
  case Reduction::Add:
    return T(U(old) + U(value));
  case Reduction::Min:
    return std::min(old, value);
  case Reduction::Max:
    return std::max(old, value);
  case Reduction::Inc:
    return old >= value ? T(0) : T(old + 1);
  case Reduction::Dec:
    return old == 0 || old > value ? value : T(old - 1);
  case Reduction::And:
    return T(old & value);
  case Reduction::Or:
    return T(old | value);
  case Reduction::Xor:
    return T(old ^ value);
  case Reduction::None:
    break;
  }
  return value;
}

template <class T> T reduceFloat(T old, T value) {
  T sum = old + value;
  if (sizeof(T) == 4 && sum != sum)
    return T(std::bit_cast<float>(uint32_t(0x7fffffff)));
  return sum;
}

uint16_t reduceHalf(Reduction reduction, FloatFormat format, uint16_t old,
                    uint16_t value) {
  double a = decodeFloat(old, format), b = decodeFloat(value, format);
  if (reduction == Reduction::Add)
    return uint16_t(encodeFloat(a + b, format, Rounding::NearestEven));
  if (a != a && b != b)
    return uint16_t(format.nan);
  if (a != a || b != b)
    return a != a ? value : old;
  // -0 is less than +0.
  bool isLess = a != b ? a < b : bool(old >> 15) && !(value >> 15);
  return isLess == (reduction == Reduction::Min) ? old : value;
}

template <class T, class F>
void forElements(std::byte *target, const std::byte *source, uint32_t bytes,
                 F function) {
  for (uint32_t at = 0; at < bytes; at += sizeof(T)) {
    T old, value;
    std::memcpy(&old, target + at, sizeof old);
    std::memcpy(&value, source + at, sizeof value);
    old = function(old, value);
    std::memcpy(target + at, &old, sizeof old);
  }
}

template <class T>
void reduceIntegers(Reduction reduction, std::byte *target,
                    const std::byte *source, uint32_t bytes) {
  forElements<T>(target, source, bytes, [&](T old, T value) {
    return reduceInteger(reduction, old, value);
  });
}

/// A copy that has been checked.
struct Flight {
  BulkCopy copy;
  Actor thread;
  int32_t operation = -1;
  std::vector<std::byte *> sources, destinations; ///< Host, by piece.
  std::vector<std::byte> bytes;                   ///< Of the sources, if read.
  bool isRead = false;

  void read();
  void write();
  /// Is no longer under way in shared memory, or only no longer reads it.
  void leave(bool onlyReads);
  bool complete();
};

void Flight::read() {
  if (isRead)
    return;
  isRead = true;
  leave(true);
  for (size_t i = 0; i < copy.pieces.size(); ++i)
    if (sources[i])
      bytes.insert(bytes.end(), sources[i], sources[i] + copy.pieces[i].bytes);
}

void Flight::leave(bool onlyReads) {
  for (const auto &block : copy.warp->block->cluster.blocks)
    std::erase_if(block->flights, [&](const Block::Flight &flight) {
      return flight.copy == this && (flight.reads || !onlyReads);
    });
}

void Flight::write() {
  const std::byte *next = bytes.data();
  std::vector<std::byte> fill;
  for (size_t i = 0; i < copy.pieces.size(); ++i) {
    const BulkCopy::Piece &piece = copy.pieces[i];
    const std::byte *source = isRead ? next : sources[i];
    if (piece.isFill) {
      fill.resize(piece.bytes);
      for (uint32_t at = 0; at < piece.bytes; ++at)
        fill[at] = std::byte(piece.fill >> at % piece.fillBytes * 8);
      source = fill.data();
    } else if (isRead) {
      next += piece.bytes;
    }
    if (copy.reduction == Reduction::None)
      std::memmove(destinations[i], source, piece.bytes);
    else
      reduceBytes(copy.reduction, copy.type, destinations[i], source,
                  piece.bytes);
  }
}

bool Flight::complete() {
  Cluster &cluster = copy.warp->block->cluster;
  write();
  ++cluster.progress;
  leave(false);
  if (copy.completion == BulkCopy::OnGroup)
    return true;
  Past past;
  cluster.ordering.endOperation(operation, past);
  for (const BulkCopy::Signal &signal : copy.signals)
    if (!completeTransaction(thread, *signal.barrier.block,
                             signal.barrier.address, signal.bytes, past))
      return false;
  return true;
}

/// The host address of a place, after its checks; null after a report.
std::byte *access(const Actor &actor, const BulkCopy::Place &place,
                  uint32_t bytes, bool isWrite) {
  if (!place.block)
    return accessGlobal(actor, place.address, bytes, isWrite);
  if (place.block->touchesMbarrier(place.address, bytes)) {
    actor.warp->block->failAt(
        *actor.warp, *actor.inst, ReportKind::MbarrierMisuse, int(actor.lane),
        place.address,
        std::string(isWrite ? "writes to" : "reads from") +
            " an mbarrier object");
    return nullptr;
  }
  return accessShared(actor, *place.block, place.address, bytes, isWrite);
}

void enter(const BulkCopy::Place &place, const Flight &flight, bool reads) {
  if (!place.block)
    return;
  for (const Block::Flight &known : place.block->flights)
    if (known.copy == &flight && known.reads == reads)
      return;
  place.block->hadFlights = true;
  place.block->flights.push_back(
      {&flight, flight.thread, reads, flight.operation < 0});
}

/// One side of a copy: finds the host addresses of the pieces, after checks of
/// the memory that they make up together. A box of a tensor has hundreds of
/// pieces, and far fewer ranges.
class Side {
public:
  Side(Flight &flight, const Actor &actor, bool isSource)
      : flight(flight), actor(actor), isSource(isSource),
        pieces(flight.copy.pieces),
        hosts(isSource ? flight.sources : flight.destinations) {}

  /// False after a report.
  bool check();

private:
  bool isThere(size_t i) const { return !isSource || !pieces[i].isFill; }
  const BulkCopy::Place &place(size_t i) const {
    return isSource ? pieces[i].source : pieces[i].destination;
  }
  /// Checks the pieces from `first` on that follow each other in global memory.
  bool checkGlobal(size_t first, size_t &next);
  /// Checks the pieces from `first` on in the shared memory of one block.
  bool checkShared(size_t first, size_t &next);
  bool checkChunks(Block &block, const std::vector<uint64_t> &chunks,
                   uint64_t base);

  Flight &flight;
  const Actor &actor;
  bool isSource;
  const std::vector<BulkCopy::Piece> &pieces;
  std::vector<std::byte *> &hosts;
};

bool Side::check() {
  hosts.assign(pieces.size(), nullptr);
  for (size_t i = 0; i < pieces.size();) {
    if (!isThere(i))
      ++i;
    else if (!(place(i).block ? checkShared(i, i) : checkGlobal(i, i)))
      return false;
  }
  return true;
}

bool Side::checkGlobal(size_t first, size_t &next) {
  uint64_t begin = place(first).address, bytes = pieces[first].bytes;
  size_t end = first + 1;
  // Fills take no place in a source.
  for (; end < pieces.size(); ++end) {
    if (!isThere(end))
      continue;
    if (place(end).block || place(end).address != begin + bytes ||
        bytes + pieces[end].bytes > UINT32_MAX)
      break;
    bytes += pieces[end].bytes;
  }
  std::byte *host = access(actor, place(first), uint32_t(bytes), !isSource);
  if (!host)
    return false;
  for (size_t i = first; i < end; ++i)
    if (isThere(i))
      hosts[i] = host + (place(i).address - begin);
  next = end;
  return true;
}

constexpr uint64_t Chunk = 16;

bool Side::checkShared(size_t first, size_t &next) {
  Block &block = *place(first).block;
  uint64_t low = ~uint64_t(0), high = 0;
  size_t end = first;
  for (; end < pieces.size(); ++end) {
    if (!isThere(end))
      continue;
    if (place(end).block != &block)
      break;
    low = std::min(low, place(end).address);
    high = std::max(high, place(end).address + pieces[end].bytes);
  }
  next = end;
  low -= low % Chunk;
  // One piece, or a wild address.
  bool isSimple = end == first + 1 || high - low > (uint64_t(1) << 20);
  std::vector<uint64_t> chunks(isSimple ? 0 : (high - low) / Chunk / 64 + 1);
  for (size_t i = first; i < end; ++i) {
    if (!isThere(i))
      continue;
    uint64_t begin = place(i).address, bytes = pieces[i].bytes;
    if (isSimple || begin % Chunk || bytes % Chunk) {
      if (!access(actor, place(i), uint32_t(bytes), !isSource))
        return false;
    } else {
      for (uint64_t bit = (begin - low) / Chunk, last = bit + bytes / Chunk;
           bit < last; ++bit)
        chunks[bit / 64] |= uint64_t(1) << bit % 64;
    }
    hosts[i] = block.shared.data.data() + begin;
  }
  enter(place(first), flight, isSource);
  return checkChunks(block, chunks, low);
}

bool Side::checkChunks(Block &block, const std::vector<uint64_t> &chunks,
                       uint64_t base) {
  uint64_t count = chunks.size() * 64;
  auto isSet = [&](uint64_t bit) { return chunks[bit / 64] >> bit % 64 & 1; };
  for (uint64_t bit = 0; bit < count;) {
    if (!isSet(bit)) {
      ++bit;
      continue;
    }
    uint64_t end = bit + 1;
    while (end < count && isSet(end))
      ++end;
    if (!access(actor, {&block, base + bit * Chunk},
                uint32_t((end - bit) * Chunk), !isSource))
      return false;
    bit = end;
  }
  return true;
}

} // namespace

void ropewalk::emulator::reduceBytes(Reduction reduction, ScalarType type,
                                     std::byte *target, const std::byte *source,
                                     uint32_t bytes) {
  switch (type) {
  case ScalarType::S32:
    return reduceIntegers<int32_t>(reduction, target, source, bytes);
  case ScalarType::S64:
    return reduceIntegers<int64_t>(reduction, target, source, bytes);
  case ScalarType::U64:
  case ScalarType::B64:
    return reduceIntegers<uint64_t>(reduction, target, source, bytes);
  case ScalarType::F32:
    return forElements<float>(target, source, bytes, reduceFloat<float>);
  case ScalarType::F64:
    return forElements<double>(target, source, bytes, reduceFloat<double>);
  case ScalarType::F16:
  case ScalarType::BF16: {
    FloatFormat format = type == ScalarType::F16 ? Half : BFloat;
    return forElements<uint16_t>(
        target, source, bytes, [&](uint16_t old, uint16_t value) {
          return reduceHalf(reduction, format, old, value);
        });
  }
  default:
    return reduceIntegers<uint32_t>(reduction, target, source, bytes);
  }
}

bool Block::checkExit(Warp &last) {
  // A block may end before its own stores in bulk groups have read their
  // sources, as kernels of NVIDIA's libraries do: the memory stays theirs.
  auto outlives = [&](const Flight &flight) {
    return flight.reads && flight.inGroup && flight.actor.warp->block == this;
  };
  while (std::any_of(flights.begin(), flights.end(), outlives))
    if (!cluster.async.completeNext())
      return false;
  for (Warp &warp : warps)
    cluster.ordering.awaitGroups(warp, warp.lanes, Ego::BulkRead, 0, true);
  if (!flights.empty()) {
    const Actor &actor = flights.front().actor;
    report.other = {int64_t(index), int(last.index), -1, {}, {}};
    return fail(*actor.warp, *actor.inst, ReportKind::AsyncHazard,
                int(actor.lane),
                "is still under way in the shared memory of block " +
                    std::to_string(index) + " when that block exits");
  }
  if (!launch.options.checkRaces ||
      !(hadFlights || cluster.blocks.size() > 1) || shared.size == 0)
    return true;
  // Whatever the schedule, all that went on in the memory has to be over for
  // those who exit: as if they wrote to all of it now. Of cp.async the block
  // itself takes care.
  Past past;
  addPast(past, ended);
  for (Warp &warp : warps) {
    cluster.ordering.awaitGroups(warp, warp.lanes, Ego::Copy, 0, true);
    cluster.ordering.release(warp, warp.lanes, past);
  }
  unsigned lane = unsigned(std::countr_zero(last.lanes));
  cluster.ordering.acquire(last, uint32_t(1) << lane, past);
  const Inst &end = program.code.back();
  for (const Mbarrier &barrier : mbarriers.objects)
    if (!knowsTouches({&last, &end, lane}, *this, barrier, report.other))
      return failAt(last, end, ReportKind::ClusterMisuse, int(lane),
                    barrier.offset,
                    "ends block " + std::to_string(index) +
                        ", which may be before another block's operation on "
                        "its mbarrier is over");
  if (accessShared({&last, &end, lane}, *this, 0, shared.size, true))
    return true;
  if (report.kind != ReportKind::AsyncHazard)
    report.kind = ReportKind::ClusterMisuse;
  report.detail = "'" + program.opcodes[end.id] + "' ends block " +
                  std::to_string(index) +
                  ", which may be before another access of its shared memory "
                  "is over: " +
                  report.detail;
  return false;
}

bool ropewalk::emulator::findMulticast(Warp &warp, const Inst &inst,
                                       unsigned lane, uint32_t mask,
                                       std::vector<Block *> &blocks) {
  const auto &all = warp.block->cluster.blocks;
  if (mask == 0 || mask >> all.size())
    return warp.block->fail(warp, inst, ReportKind::ClusterMisuse, int(lane),
                            "has the block mask " + std::to_string(mask) +
                                " in a cluster of " +
                                std::to_string(all.size()) + " blocks");
  for (; mask; mask &= mask - 1) {
    Block &block = *all[size_t(std::countr_zero(mask))];
    if (&block != warp.block && block.hasExited())
      return warp.block->fail(warp, inst, ReportKind::ClusterMisuse, int(lane),
                              "copies to block " + std::to_string(block.index) +
                                  ", which has exited");
    blocks.push_back(&block);
  }
  return true;
}

bool ropewalk::emulator::startBulkCopy(BulkCopy copy) {
  auto flight = std::make_shared<Flight>();
  flight->copy = std::move(copy);
  const BulkCopy &c = flight->copy;
  flight->thread = {c.warp, c.inst, c.lane};
  Cluster &cluster = c.warp->block->cluster;
  if (c.completion == BulkCopy::OnMbarrier)
    flight->operation = cluster.ordering.beginOperation(*c.warp, c.lane);
  for (const BulkCopy::Signal &signal : c.signals)
    if (!announceTransaction(flight->thread, *signal.barrier.block,
                             signal.barrier.address))
      return false;
  Actor reader = flight->thread, writer = flight->thread;
  reader.operation = writer.operation = flight->operation;
  reader.ego = Ego::BulkRead;
  writer.ego = Ego::Bulk;
  writer.isAtomic = c.reduction != Reduction::None;
  if (!Side(*flight, reader, true).check())
    return false;
  // Lanes that store the same, as in kernels where a whole warp issues the
  // copies that one of its threads should: the bytes are the same as long as
  // the first has not read them, so that it stands for all.
  auto last = std::static_pointer_cast<Flight>(cluster.lastStore);
  bool isStore =
      c.completion == BulkCopy::OnGroup && c.reduction == Reduction::None;
  if (isStore && last && !last->isRead && last->copy.warp == c.warp &&
      last->copy.inst == c.inst && last->copy.pieces == c.pieces) {
    flight->destinations = last->destinations;
  } else {
    if (!Side(*flight, writer, false).check())
      return false;
    if (isStore)
      cluster.lastStore = flight;
  }
  for (const BulkCopy::Piece &piece : c.pieces)
    c.warp->block->worker.counters.bulkBytes += piece.bytes;
  ++c.warp->block->worker.counters.bulkCopies;
  AsyncQueue::Ticket ticket = cluster.async.add(
      [flight] { return flight->complete(); }, [flight] { flight->read(); });
  if (c.completion == BulkCopy::OnGroup)
    c.warp->bulkGroups.add(ticket, uint32_t(1) << c.lane);
  return true;
}
