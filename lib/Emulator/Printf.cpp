//===- Printf.cpp - Text that kernels write ---------------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Each conversion is handed to the host's snprintf with its argument widened to
// 64 bits, so that flags, widths and precisions mean what they mean there.
//
//===----------------------------------------------------------------------===//

#include "Printf.h"

#include <algorithm>
#include <cstdio>

using namespace ropewalk::emulator;

bool ropewalk::emulator::peekGeneric(const Warp &warp, unsigned lane,
                                     uint64_t address, uint64_t bytes,
                                     void *target) {
  Block &block = *warp.block;
  const std::byte *data = nullptr;
  uint64_t size = 0, window = SharedWindow;
  uint64_t number = (address - SharedWindow) / WindowBytes;
  if (address < SharedWindow || number > 3) {
    std::string reason;
    Buffer *buffer = block.launch.memory->findRange(address, bytes, reason);
    if (!buffer)
      return false;
    std::memcpy(target, buffer->data + (address - buffer->base), bytes);
    return true;
  }
  switch (number) {
  case 0:
    data = block.shared.data.data();
    size = block.shared.size;
    break;
  case 1:
    window = LocalWindow;
    size = block.launch.kernel->info.localBytes;
    data = block.local.data() +
           (uint64_t(warp.index) * 32 + lane) * block.launch.localStride();
    break;
  case 2:
    window = ConstWindow;
    data = reinterpret_cast<const std::byte *>(
        block.program.constantMemory.data());
    size = block.program.constantMemory.size();
    break;
  default:
    window = ParamWindow;
    data = block.launch.parameters.data();
    size = block.launch.parameters.size();
    break;
  }
  uint64_t offset = address - window;
  if (offset > size || bytes > size - offset)
    return false;
  std::memcpy(target, data + offset, bytes);
  return true;
}

bool ropewalk::emulator::peekText(const Warp &warp, unsigned lane,
                                  uint64_t address, std::string &text) {
  text.clear();
  for (char c; text.size() < 4096; text += c) {
    if (!peekGeneric(warp, lane, address + text.size(), 1, &c))
      return false;
    if (c == '\0')
      return true;
  }
  return true;
}

namespace {

class Formatter {
public:
  Formatter(const Warp &warp, unsigned lane, const std::string &format,
            uint64_t arguments, std::string &output)
      : warp(warp), lane(lane), format(format), place(arguments),
        output(output) {}

  bool run() {
    std::string text;
    while (at < format.size()) {
      char c = format[at++];
      if (c != '%')
        text += c;
      else if (at < format.size() && format[at] == '%')
        text += format[at++];
      else if (!convert(text))
        return false;
    }
    output = std::move(text);
    return true;
  }

  int count = 0;

private:
  bool fail(const std::string &reason) {
    output = reason;
    return false;
  }
  bool accepts(const char *set) {
    if (at >= format.size() || !std::strchr(set, format[at]))
      return false;
    ++at;
    return true;
  }
  template <class T> bool fetch(T &value) {
    place = (place + sizeof(T) - 1) / sizeof(T) * sizeof(T);
    if (!peekGeneric(warp, lane, place, sizeof(T), &value))
      return fail("cannot read argument " + std::to_string(count) +
                  " of its format string");
    place += sizeof(T);
    ++count;
    return true;
  }
  /// A number or a '*'.
  bool extent(std::string &spec) {
    if (accepts("*")) {
      int32_t value;
      if (!fetch(value))
        return false;
      spec += std::to_string(std::clamp(value, -4096, 4096));
      return true;
    }
    size_t begin = at;
    while (accepts("0123456789"))
      ;
    if (at - begin > 4)
      return fail("has a field of more than 9999 characters in its format "
                  "string");
    spec += format.substr(begin, at - begin);
    return true;
  }
  template <class T>
  void print(const std::string &spec, T value, std::string &text) {
    char buffer[16384];
    int length = std::snprintf(buffer, sizeof buffer, spec.c_str(), value);
    if (length > 0)
      text.append(buffer, std::min<size_t>(size_t(length), sizeof buffer - 1));
  }

  bool convert(std::string &text) {
    size_t begin = at;
    std::string spec = "%";
    while (accepts("-+ #0"))
      spec += format[at - 1];
    if (!extent(spec))
      return false;
    if (accepts(".")) {
      spec += '.';
      if (!extent(spec))
        return false;
    }
    size_t lengthAt = at;
    while (accepts("hlzjt"))
      ;
    std::string length = format.substr(lengthAt, at - lengthAt);
    char kind = at < format.size() ? format[at++] : '\0';
    bool isWide = !length.empty() && length[0] != 'h';
    switch (kind) {
    case 'd':
    case 'i':
    case 'u':
    case 'x':
    case 'X':
    case 'o':
    case 'c': {
      bool isSigned = kind == 'd' || kind == 'i' || kind == 'c';
      uint64_t bits = 0;
      uint32_t narrow = 0;
      if (isWide ? !fetch(bits) : !fetch(narrow))
        return false;
      if (!isWide) {
        unsigned drop = length == "hh" ? 24 : length == "h" ? 16 : 0;
        bits = isSigned ? uint64_t(int64_t(int32_t(narrow << drop) >> drop))
                        : narrow << drop >> drop;
      }
      if (kind == 'c')
        print(spec + 'c', int(bits), text);
      else
        print(spec + "ll" + kind, static_cast<unsigned long long>(bits), text);
      return true;
    }
    case 'e':
    case 'E':
    case 'f':
    case 'F':
    case 'g':
    case 'G':
    case 'a':
    case 'A': {
      double value;
      if (!fetch(value))
        return false;
      print(spec + kind, value, text);
      return true;
    }
    case 'p': {
      uint64_t value;
      if (!fetch(value))
        return false;
      print(std::string("0x%llx"), static_cast<unsigned long long>(value),
            text);
      return true;
    }
    case 's': {
      uint64_t address;
      if (!fetch(address))
        return false;
      std::string value;
      if (!peekText(warp, lane, address, value))
        return fail("cannot read the text of argument " +
                    std::to_string(count - 1) + " of its format string");
      print(spec + 's', value.c_str(), text);
      return true;
    }
    default:
      return fail("has the unsupported conversion '%" +
                  format.substr(begin, at - begin) + "' in its format string");
    }
  }

  const Warp &warp;
  unsigned lane;
  const std::string &format;
  uint64_t place;
  std::string &output;
  size_t at = 0;
};

} // namespace

bool ropewalk::emulator::formatText(const Warp &warp, unsigned lane,
                                    const std::string &format,
                                    uint64_t arguments, std::string &output,
                                    int &count) {
  Formatter formatter(warp, lane, format, arguments, output);
  bool isGood = formatter.run();
  count = formatter.count;
  return isGood;
}
