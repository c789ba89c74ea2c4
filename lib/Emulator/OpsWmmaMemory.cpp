//===- OpsWmmaMemory.cpp - wmma.load and wmma.store -------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// PTX leaves the layout of fragments open; this is the one of mma.sync. A
// fragment is a list of core matrices (see TensorCore.h): of A by 16 rows, then
// along k, then rows 0 to 7 and 8 to 15; of B by 8 columns, then along k; of
// accumulators by 16 rows, by 8 columns, rows 0 to 7 and 8 to 15, and with 32
// and 64 bits even and odd columns. Fragments of f16 have 8 registers whatever
// they hold, the rest being copies.
//
// The matrix is read and written in pieces of 16 bytes, or of the size of a
// lane's fragment if that is smaller, which is the alignment that PTX asks for;
// piece i of consecutive ones belongs to lane i. PTX asks for 32 bytes where a
// fragment has as many, but the CUDA interface promises that 16 will do.
//
//===----------------------------------------------------------------------===//

#include "MatrixFlags.h"
#include "MemoryAccess.h"
#include "Wmma.h"

namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA {

namespace {

constexpr unsigned MaxTileBytes = 1024;
/// The base is a 32-bit register. Not MemoryNarrowBase, as resolve() gets the
/// addresses of the pieces, with 64 bits.
constexpr uint32_t TileNarrowBase = 1 << 16;

/// A matrix with the rows that the fragment has: rows of A and of accumulators,
/// columns of B. In Inst::op[4].
struct Tile {
  uint8_t rows;
  uint8_t rowBytes;
  uint8_t elementBits;
  uint8_t transposes; ///< Memory holds the columns of this matrix.
  uint8_t piece;      ///< Bytes that one lane accesses.
  uint8_t pairs;      ///< Rows go by 16 and not by 8.
  uint8_t splits;     ///< Even and odd columns in registers of their own.
  uint8_t copied;     ///< Registers before they repeat.

  unsigned lines() const {
    return transposes ? rowBytes * 8 / elementBits : rows;
  }
  unsigned lineBytes() const {
    return transposes ? rows * elementBits / 8 : rowBytes;
  }
};
static_assert(sizeof(Tile) == sizeof(Ref));

/// Visits the pieces of the matrix in memory, up to 32 at a time, with their
/// host addresses and their places in a packed array of lines.
template <class F>
bool forPieces(Warp &warp, const Inst &inst, const Tile &tile, AccessKind kind,
               F function) {
  auto differs = [&](uint32_t same, const char *what) {
    return warp.block->fail(warp, inst, ReportKind::WarpSync,
                            std::countr_zero(~same),
                            std::string("has another ") + what +
                                " than lane 0; all lanes need the same");
  };
  Vec<uint64_t> base = inst.data & TileNarrowBase
                           ? __builtin_convertvector(
                                 get<uint32_t>(warp, inst.op[1]), Vec<uint64_t>)
                           : get<uint64_t>(warp, inst.op[1]);
  Vec<uint32_t> stride = get<uint32_t>(warp, inst.op[2]);
  if (uint32_t same = maskOf(base == base[0]); ~same)
    return differs(same, "address");
  if (uint32_t same = maskOf(stride == stride[0]); ~same)
    return differs(same, "stride");
  const uint64_t first =
      base[0] + uint64_t(int64_t(int32_t(inst.op[3].offset)));
  const uint64_t lineStride = uint64_t(stride[0]) * tile.elementBits / 8;
  const unsigned perLine = tile.lineBytes() / tile.piece;
  const unsigned pieces = perLine * tile.lines();
  for (unsigned done = 0; done < pieces; done += 32) {
    unsigned count = std::min(pieces - done, 32u);
    uint64_t *address = lanes<uint64_t>(warp, inst.op[0]);
    for (unsigned i = 0; i < count; ++i) {
      unsigned line = (done + i) / perLine, place = (done + i) % perLine;
      address[i] = first + line * lineStride + place * tile.piece;
    }
    uint32_t mask = count == 32 ? ~uint32_t(0) : (uint32_t(1) << count) - 1;
    Access resolved;
    if (!resolve(warp, inst, mask, kind, tile.piece, resolved))
      return false;
    for (unsigned i = 0; i < count; ++i)
      function(reinterpret_cast<std::byte *>(resolved.host[i]),
               (done + i) * tile.piece);
  }
  return true;
}

template <class T>
void transposeElements(const std::byte *from, unsigned lines, unsigned length,
                       std::byte *to) {
  for (unsigned i = 0; i < lines; ++i)
    for (unsigned j = 0; j < length; ++j)
      std::memcpy(to + (j * lines + i) * sizeof(T),
                  from + (i * length + j) * sizeof(T), sizeof(T));
}

/// `from` has `lines` lines of `length` elements.
void transpose(const std::byte *from, unsigned lines, unsigned length,
               unsigned elementBits, std::byte *to) {
  switch (elementBits) {
  case 8:
    return transposeElements<uint8_t>(from, lines, length, to);
  case 16:
    return transposeElements<uint16_t>(from, lines, length, to);
  case 32:
    return transposeElements<uint32_t>(from, lines, length, to);
  default:
    return transposeElements<uint64_t>(from, lines, length, to);
  }
}

/// Visits the 8 rows of each core matrix in the order of the fragment's
/// registers: function(register, row in the register, bytes of the tile).
template <class F> void forCoreRows(const Tile &tile, F function) {
  unsigned step = tile.pairs && tile.rows > 8 ? 16 : 8;
  // 4 lanes, each with a register, or with two.
  unsigned coreBytes = tile.elementBits == 64 ? 32 : 16;
  if (tile.splits)
    coreBytes *= 2;
  unsigned index = 0;
  for (unsigned first = 0; first < tile.rows; first += step)
    for (unsigned place = 0; place < tile.rowBytes; place += coreBytes)
      for (unsigned half = 0; half < step; half += 8) {
        for (unsigned row = 0; row < 8; ++row)
          function(index, row, (first + half + row) * tile.rowBytes + place);
        index += tile.splits ? 2 : 1;
      }
}

template <class T>
void spread(const std::byte *from, std::byte *even, std::byte *odd) {
  for (unsigned t = 0; t < 4; ++t) {
    std::memcpy(even + t * sizeof(T), from + 2 * t * sizeof(T), sizeof(T));
    std::memcpy(odd + t * sizeof(T), from + (2 * t + 1) * sizeof(T), sizeof(T));
  }
}
template <class T>
void collect(const std::byte *even, const std::byte *odd, std::byte *to) {
  for (unsigned t = 0; t < 4; ++t) {
    std::memcpy(to + 2 * t * sizeof(T), even + t * sizeof(T), sizeof(T));
    std::memcpy(to + (2 * t + 1) * sizeof(T), odd + t * sizeof(T), sizeof(T));
  }
}

bool loadTile(Warp &warp, const Inst &inst, uint32_t) {
  const Tile tile = as<Tile>(inst.op[4]);
  const Ref *operands = operandsOf(warp, inst);
  alignas(64) std::byte memory[MaxTileBytes], turned[MaxTileBytes];
  if (!forPieces(warp, inst, tile, AccessKind::Load,
                 [&](const std::byte *host, unsigned place) {
                   std::memcpy(memory + place, host, tile.piece);
                 }))
    return false;
  const std::byte *rows = memory;
  if (tile.transposes) {
    transpose(memory, tile.lines(), tile.rows, tile.elementBits, turned);
    rows = turned;
  }
  const unsigned bytes = tile.elementBits == 64 ? 32 : 16;
  auto target = [&](unsigned index) {
    return lanes<std::byte>(warp, operands[index]);
  };
  forCoreRows(tile, [&](unsigned index, unsigned row, unsigned place) {
    if (!tile.splits)
      std::memcpy(target(index) + row * bytes, rows + place, bytes);
    else if (bytes == 16)
      spread<uint32_t>(rows + place, target(index) + row * bytes,
                       target(index + 1) + row * bytes);
    else
      spread<uint64_t>(rows + place, target(index) + row * bytes,
                       target(index + 1) + row * bytes);
  });
  for (unsigned i = tile.copied; i < inst.extraCount; ++i)
    std::memcpy(target(i), target(i % tile.copied), 8 * bytes);
  return true;
}

bool storeTile(Warp &warp, const Inst &inst, uint32_t) {
  const Tile tile = as<Tile>(inst.op[4]);
  const Ref *operands = operandsOf(warp, inst);
  alignas(64) std::byte rows[MaxTileBytes], turned[MaxTileBytes];
  const unsigned bytes = tile.elementBits == 64 ? 32 : 16;
  auto source = [&](unsigned index) {
    return lanes<std::byte>(warp, operands[index]);
  };
  forCoreRows(tile, [&](unsigned index, unsigned row, unsigned place) {
    if (!tile.splits)
      std::memcpy(rows + place, source(index) + row * bytes, bytes);
    else if (bytes == 16)
      collect<uint32_t>(source(index) + row * bytes,
                        source(index + 1) + row * bytes, rows + place);
    else
      collect<uint64_t>(source(index) + row * bytes,
                        source(index + 1) + row * bytes, rows + place);
  });
  const std::byte *lines = rows;
  if (tile.transposes) {
    transpose(rows, tile.rows, tile.lines(), tile.elementBits, turned);
    lines = turned;
  }
  return forPieces(warp, inst, tile, AccessKind::Store,
                   [&](std::byte *host, unsigned place) {
                     std::memcpy(host, lines + place, tile.piece);
                   });
}

/// A row of the register file for the addresses of the pieces; all accesses of
/// a kernel share it.
Ref addressRow(Program &program) {
  for (const Inst &inst : program.code)
    if (inst.handler == &loadTile || inst.handler == &storeTile)
      return inst.op[0];
  Ref row{program.registerBytes, 0};
  program.registerBytes += 32 * sizeof(uint64_t);
  return row;
}

} // namespace

bool decodeWmmaMemory(InstDecoder &d, Inst &inst, bool isLoad) {
  int letter = isLoad ? d.takeOneOf({"a", "b", "c"}) : d.take("d") ? 2 : -1;
  if (letter < 0)
    return d.fail(isLoad ? "expected '.a', '.b' or '.c'" : "expected '.d'");
  if (!d.take("sync") || !d.take("aligned"))
    return d.fail("expected '.sync.aligned'");
  int layout = d.takeOneOf({"row", "col"});
  if (layout < 0)
    return d.fail("expected '.row' or '.col'");
  const std::string shape = d.peek();
  if (shape.empty() || !d.take(shape.c_str()))
    return d.fail("a shape is missing");
  Space space = Space::Generic;
  if (d.take("global"))
    space = Space::Global;
  else if (d.takeOneOf({"shared", "shared::cta"}) >= 0)
    space = Space::Shared;
  WmmaForm form;
  unsigned bits = 0;
  ScalarType type = ScalarType::B32;
  if (letter < 2) {
    TensorType factor;
    std::string group;
    if (!takeFactorType(d, factor, group))
      return false;
    if (!findWmmaForm(shape, group, form))
      return d.unsupported("shape '." + shape + "' with this type");
    bits = form.bits;
    if (bits < 8 && layout != letter)
      return d.unsupported(layout ? "'.col' of A with this type"
                                  : "'.row' of B with this type");
    if (bits == 64)
      type = ScalarType::F64;
  } else {
    const std::string name = d.peek();
    if (name != "f16" && name != "f32" && name != "s32" && name != "f64")
      return d.unsupported("type '." + name + "' of an accumulator");
    d.take(name.c_str());
    if (!findWmmaAccumulator(shape, name, form))
      return d.unsupported("shape '." + shape + "' with this type");
    bits = name == "f16" ? 16 : name == "f64" ? 64 : 32;
    type = name == "f64"   ? ScalarType::F64
           : name == "f32" ? ScalarType::F32
                           : ScalarType::B32;
  }
  if (!d.finish(2, 3))
    return false;

  const bool isB = letter == 1;
  const unsigned length = letter == 2 ? form.n : form.k;
  Tile tile = {};
  tile.rows = uint8_t(isB ? form.n : form.m);
  tile.rowBytes = uint8_t(length * bits / 8);
  tile.elementBits = uint8_t(bits);
  tile.transposes = isB ? layout == 0 : layout == 1;
  tile.pairs = !isB;
  tile.splits = letter == 2 && bits >= 32;
  const unsigned registerBytes = bits == 64 ? 8 : 4;
  const unsigned used = tile.rows * tile.rowBytes / 32 / registerBytes;
  const unsigned count = letter == 2 || !form.isPadded ? used : 8;
  tile.copied = uint8_t(used);
  tile.piece = uint8_t(std::min(count * registerBytes, 16u));

  inst.kind = InstKind::Aligned;
  inst.cls = space == Space::Shared
                 ? (isLoad ? InstClass::SharedLoad : InstClass::SharedStore)
                 : (isLoad ? InstClass::GlobalLoad : InstClass::GlobalStore);
  inst.data = uint32_t(space) << MemorySpaceShift;
  uint32_t baseBytes = 0;
  if (!d.address(isLoad ? 1 : 0, space, inst.op[1], baseBytes, inst.offset))
    return false;
  if (baseBytes == 4)
    inst.data |= TileNarrowBase;
  // resolve() adds Inst::offset to the addresses that it is given.
  inst.op[3].offset = uint32_t(inst.offset);
  if (int64_t(int32_t(inst.op[3].offset)) != inst.offset)
    return d.failAt(d.operand(isLoad ? 1 : 0), "displacement beyond 32 bits");
  inst.offset = 0;
  // By default the lines follow each other.
  if (d.operandCount() < 3)
    inst.op[2] = d.constant(tile.lineBytes() * 8 / bits, 4);
  else if (!d.source(2, ScalarType::B32, inst.op[2]))
    return false;
  inst.op[0] = addressRow(d.program());
  inst.op[4] = as<Ref>(tile);
  inst.handler = isLoad ? &loadTile : &storeTile;
  return isLoad ? d.vectorDestination(0, type, count, inst)
                : d.vectorSource(1, type, count, inst);
}

} // namespace ropewalk::emulator::ROPEWALK_EMULATOR_ISA

#include "LanesEnd.h"
