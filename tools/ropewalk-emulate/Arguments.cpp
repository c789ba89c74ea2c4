//===- Arguments.cpp - Arguments of a kernel --------------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A text is a kind, a colon and what the kind takes. Tensor maps have a source
// for their buffer and settings with names; the map is made when all of them
// are known.
//
//===----------------------------------------------------------------------===//

#include "Arguments.h"
#include "Npy.h"
#include "Options.h"
#include "Ropewalk/Emulator/TensorMap.h"

#include <algorithm>
#include <cstring>
#include <fstream>
#include <limits>
#include <span>

using namespace ropewalk::emulator;

namespace {

std::string quote(std::string_view text) {
  return "'" + std::string(text) + "'";
}

template <class T> bool setScalar(std::string_view text, Argument &argument) {
  T value;
  if (!parseNumber(text, value))
    return false;
  argument.bytes.resize(sizeof value);
  std::memcpy(argument.bytes.data(), &value, sizeof value);
  return true;
}

bool setHex(std::string_view text, Argument &argument) {
  if (text.empty() || text.size() % 2)
    return false;
  for (size_t i = 0; i < text.size(); i += 2) {
    uint8_t value = 0;
    const char *first = text.data() + i;
    auto [end, code] = std::from_chars(first, first + 2, value, 16);
    if (code != std::errc() || end != first + 2)
      return false;
    argument.bytes.push_back(std::byte(value));
  }
  return true;
}

using ScalarSetter = bool (*)(std::string_view, Argument &);

ScalarSetter scalarSetter(std::string_view kind) {
  static const std::pair<std::string_view, ScalarSetter> kinds[] = {
      {"i32", setScalar<int32_t>}, {"u32", setScalar<uint32_t>},
      {"i64", setScalar<int64_t>}, {"u64", setScalar<uint64_t>},
      {"f32", setScalar<float>},   {"f64", setScalar<double>},
      {"bytes", setHex},
  };
  for (auto &[name, setter] : kinds)
    if (name == kind)
      return setter;
  return nullptr;
}

std::string allocate(Device &device, size_t bytes, Argument &argument) {
  argument.size = bytes;
  argument.address = device.allocate(bytes);
  return argument.address ? "" : device.error();
}

std::string upload(Device &device, const NpyArray &array, Argument &argument) {
  argument.header = array.header;
  std::string reason = allocate(device, array.data.size(), argument);
  if (reason.empty())
    device.copyIn(argument.address, array.data.data(), array.data.size());
  return reason;
}

/// The type of elements of a numpy type such as "<f4"; Count if there is none.
TensorMapType typeOfNpy(std::string_view descr) {
  if (descr.size() < 2)
    return TensorMapType::Count;
  static const std::pair<std::string_view, TensorMapType> types[] = {
      {"u1", TensorMapType::U8},  {"i1", TensorMapType::U8},
      {"b1", TensorMapType::U8},  {"u2", TensorMapType::U16},
      {"i2", TensorMapType::U16}, {"u4", TensorMapType::U32},
      {"i4", TensorMapType::S32}, {"u8", TensorMapType::U64},
      {"i8", TensorMapType::S64}, {"f2", TensorMapType::F16},
      {"f4", TensorMapType::F32}, {"f8", TensorMapType::F64},
  };
  for (auto &[name, type] : types)
    if (name == descr.substr(1))
      return type;
  return TensorMapType::Count;
}

/// Reads "64x16" into at most five numbers; returns how many, 0 on failure.
uint32_t parseList(std::string_view text, uint64_t (&numbers)[5]) {
  for (uint32_t count = 0; count < 5; ++count) {
    size_t cross = text.find('x');
    if (!parseNumber(text.substr(0, cross), numbers[count]))
      return 0;
    if (cross == std::string_view::npos)
      return count + 1;
    text.remove_prefix(cross + 1);
  }
  return 0;
}

/// A tensor map as its settings come in.
class TensorMapBuilder {
public:
  TensorMapBuilder(Device &device, const std::vector<Argument> &before,
                   Argument &argument)
      : device(device), before(before), argument(argument) {}

  std::string build(std::string_view text) {
    size_t comma = text.find(',');
    source = text.substr(0, comma);
    while (comma != std::string_view::npos) {
      text.remove_prefix(comma + 1);
      comma = text.find(',');
      std::string reason = set(text.substr(0, comma));
      if (!reason.empty())
        return reason;
    }
    bool isFile = source != "zeros" && source != "alloc" && source[0] != '@';
    if (isFile)
      if (std::string reason = takeFile(); !reason.empty())
        return reason;
    if (!shapeCount)
      return "needs shape=";
    if (map.type == TensorMapType::Count)
      return "needs type=";
    if (boxCount != shapeCount)
      return "needs a box= of " + std::to_string(shapeCount) + " sizes";
    if (strideCount && strideCount != shapeCount - 1)
      return "needs strides= of " + std::to_string(shapeCount - 1) + " sizes";
    if (stepCount && stepCount != shapeCount)
      return "needs steps= of " + std::to_string(shapeCount) + " numbers";
    map.rank = shapeCount;
    if (!strideCount)
      setStrides();
    if (std::string reason = takeBuffer(isFile); !reason.empty())
      return reason;
    map.address = argument.address;
    std::byte bytes[TensorMapBytes];
    if (std::string reason = encode(map, bytes); !reason.empty())
      return reason;
    argument.bytes.assign(std::begin(bytes), std::end(bytes));
    argument.isTensorMap = true;
    return {};
  }

private:
  template <class T>
  std::string setList(std::string_view key, std::string_view value,
                      std::span<T> target, uint32_t &count) {
    uint64_t numbers[5];
    count = parseList(value, numbers);
    if (count > target.size())
      count = 0;
    for (uint32_t i = 0; i < count; ++i) {
      if (numbers[i] > std::numeric_limits<T>::max())
        count = 0;
      else
        target[i] = T(numbers[i]);
    }
    return count ? "" : "has a bad " + std::string(key) + "= " + quote(value);
  }

  std::string set(std::string_view setting) {
    size_t equals = setting.find('=');
    if (equals == std::string_view::npos)
      return "has a setting without '=': " + quote(setting);
    std::string_view key = setting.substr(0, equals);
    std::string_view value = setting.substr(equals + 1);
    if (key == "box")
      return setList<uint32_t>(key, value, map.box, boxCount);
    if (key == "shape")
      return setList<uint64_t>(key, value, map.dims, shapeCount);
    if (key == "strides")
      return setList(key, value, std::span(map.strides).subspan(1),
                     strideCount);
    if (key == "steps")
      return setList<uint32_t>(key, value, map.elementStrides, stepCount);
    bool isGood = true;
    if (key == "type") {
      map.type = tensorMapType(value);
      isGood = map.type != TensorMapType::Count;
    } else if (key == "swizzle") {
      static const std::string_view names[] = {"none", "32B", "64B", "128B"};
      size_t index = std::find(std::begin(names), std::end(names), value) -
                     std::begin(names);
      map.swizzle = TensorMapSwizzle(index);
      isGood = index < 4;
    } else if (key == "fill") {
      map.fill = value == "nan" ? TensorMapFill::Nan : TensorMapFill::Zero;
      isGood = value == "nan" || value == "zero";
    } else if (key == "out") {
      argument.output = value;
    } else {
      return "has an unknown setting " + quote(key);
    }
    return isGood ? "" : "has a bad " + std::string(key) + "= " + quote(value);
  }

  /// Reads the file and takes from it what was not set.
  std::string takeFile() {
    std::string reason = readNpy(source, array);
    if (!reason.empty())
      return reason;
    if (map.type == TensorMapType::Count)
      map.type = typeOfNpy(array.type);
    if (!shapeCount) {
      if (array.shape.empty() || array.shape.size() > 5)
        return "needs a shape=: " + quote(source) + " has " +
               std::to_string(array.shape.size()) + " dimensions";
      shapeCount = uint32_t(array.shape.size());
      std::copy(array.shape.rbegin(), array.shape.rend(), map.dims);
    }
    return {};
  }

  void setStrides() {
    uint64_t stride = sizeOf(map.type);
    for (uint32_t i = 1; i < map.rank; ++i)
      map.strides[i] = stride *= map.dims[i - 1];
  }

  std::string takeBuffer(bool isFile) {
    if (isFile)
      return upload(device, array, argument);
    if (source[0] == '@') {
      size_t index = 0;
      if (!parseNumber(std::string_view(source).substr(1), index) ||
          index >= before.size() || !before[index].address)
        return quote(source) + " is no buffer of an argument before it";
      argument.address = before[index].address;
      argument.size = before[index].size;
      return {};
    }
    uint64_t last = map.rank - 1;
    uint64_t row = last ? map.strides[last] : sizeOf(map.type);
    size_t bytes = 0;
    if (__builtin_mul_overflow(row, map.dims[last], &bytes))
      return "is too large";
    std::string reason = allocate(device, bytes, argument);
    if (reason.empty() && source == "zeros")
      device.fill(argument.address, 0, bytes);
    return reason;
  }

  Device &device;
  const std::vector<Argument> &before;
  Argument &argument;
  std::string source;
  NpyArray array;
  TensorMap map{TensorMapType::Count};
  uint32_t boxCount = 0, shapeCount = 0, strideCount = 0, stepCount = 0;
};

std::string parseBuffer(std::string_view kind, std::string_view rest,
                        Device &device, Argument &argument,
                        const std::string &all) {
  if (size_t out = rest.rfind(":out="); out != std::string_view::npos) {
    argument.output = rest.substr(out + 5);
    rest = rest.substr(0, out);
  }
  std::string reason;
  if (kind == "buffer") {
    NpyArray array;
    reason = readNpy(std::string(rest), array);
    if (reason.empty())
      reason = upload(device, array, argument);
  } else {
    size_t bytes = 0;
    if (!parseNumber(rest, bytes) || bytes == 0)
      return all + " needs a number of bytes";
    reason = allocate(device, bytes, argument);
    if (reason.empty() && kind == "zeros")
      device.fill(argument.address, 0, argument.size);
  }
  if (!reason.empty())
    return reason;
  argument.bytes.resize(8);
  std::memcpy(argument.bytes.data(), &argument.address, 8);
  return {};
}

/// Returns an empty text, or that a number of one kind is given for a parameter
/// of the other: its bits would mean something else. Parameters of type .bN
/// take both.
std::string checkKind(const Argument &argument, const Parameter &parameter) {
  char given = argument.text[0], wanted = parameter.type[0];
  bool isNumber = argument.text.size() > 3 && argument.text[3] == ':' &&
                  (given == 'f' || given == 'i' || given == 'u');
  if (!isNumber || (wanted != 'f' && wanted != 's' && wanted != 'u') ||
      (given == 'f') == (wanted == 'f'))
    return {};
  return "argument " + quote(argument.text) + ": parameter " +
         quote(parameter.name) + " is of type " + parameter.type +
         "; bytes:HEX gives its bits";
}

} // namespace

std::string addArgument(std::string_view text, Device &device,
                        std::vector<Argument> &arguments) {
  std::string all = "argument " + quote(text);
  size_t colon = text.find(':');
  if (colon == std::string_view::npos)
    return all + " has no ':'";
  std::string_view kind = text.substr(0, colon), rest = text.substr(colon + 1);
  Argument argument;
  std::string reason;
  if (ScalarSetter set = scalarSetter(kind)) {
    if (!set(rest, argument))
      return all + (kind == "bytes" ? " is no even number of hexadecimal digits"
                                    : " is no number of its type");
  } else if (kind == "tensormap") {
    reason = TensorMapBuilder(device, arguments, argument).build(rest);
    if (!reason.empty())
      return all + " " + reason;
  } else if (kind == "buffer" || kind == "zeros" || kind == "alloc") {
    reason = parseBuffer(kind, rest, device, argument, all);
    if (!reason.empty())
      return reason;
  } else {
    return all + " has unknown kind " + quote(kind);
  }
  argument.text = text;
  arguments.push_back(std::move(argument));
  return {};
}

std::string writeOutputs(Device &device,
                         const std::vector<Argument> &arguments) {
  for (const Argument &argument : arguments) {
    if (argument.output.empty())
      continue;
    std::vector<char> data(argument.size);
    if (!device.copyOut(data.data(), argument.address, data.size()))
      return device.error();
    std::ofstream stream(argument.output, std::ios::binary);
    stream << argument.header;
    stream.write(data.data(), std::streamsize(data.size()));
    if (!stream.flush())
      return "cannot write " + quote(argument.output);
  }
  return {};
}

std::string bindArguments(const Kernel &kernel, Device &device,
                          std::vector<Argument> &arguments,
                          std::vector<std::span<const std::byte>> &values) {
  const std::vector<Parameter> &parameters = kernel.info.parameters;
  for (size_t i = 0; i < arguments.size(); ++i) {
    std::vector<std::byte> &bytes = arguments[i].bytes;
    if (i < parameters.size())
      if (std::string reason = checkKind(arguments[i], parameters[i]);
          !reason.empty())
        return reason;
    if (arguments[i].isTensorMap && i < parameters.size() &&
        parameters[i].size == 8) {
      uint64_t address = device.allocate(bytes.size());
      if (!address)
        return device.error();
      device.copyIn(address, bytes.data(), bytes.size());
      bytes.resize(8);
      std::memcpy(bytes.data(), &address, 8);
    }
    values.push_back(bytes);
  }
  return {};
}
