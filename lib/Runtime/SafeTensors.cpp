//===- SafeTensors.cpp - Mapped checkpoints ---------------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A file is mapped read-only as a whole; only the pages of its header are
// touched. After every entry of the header has been checked by itself, the
// tensors are sorted by their offsets: each must begin where the one before
// ended and the last must end with the file, which excludes overlaps, holes and
// truncated files in one pass.
//
//===----------------------------------------------------------------------===//

#include "Ropewalk/Runtime/SafeTensors.h"

#include "Json.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace ropewalk::runtime;

namespace {

/// The limit of the reference implementation; a larger length is a damaged
/// file.
constexpr uint64_t kMaximumHeader = 100'000'000;

/// A whole file in memory.
class Mapping {
public:
  static Result<Mapping> open(const std::string &path) {
    int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (descriptor < 0)
      return Error(path, ": cannot open: ", std::strerror(errno));
    struct stat status;
    if (::fstat(descriptor, &status) != 0) {
      Error error(path, ": cannot read its size: ", std::strerror(errno));
      ::close(descriptor);
      return error;
    }
    if (!S_ISREG(status.st_mode)) {
      ::close(descriptor);
      return Error(path, ": not a regular file");
    }
    Mapping mapping;
    mapping.size = static_cast<size_t>(status.st_size);
    if (mapping.size) {
      mapping.data =
          ::mmap(nullptr, mapping.size, PROT_READ, MAP_PRIVATE, descriptor, 0);
      if (mapping.data == MAP_FAILED) {
        mapping.data = nullptr;
        Error error(path, ": cannot map ", mapping.size,
                    " bytes: ", std::strerror(errno));
        ::close(descriptor);
        return error;
      }
    }
    ::close(descriptor);
    return mapping;
  }

  Mapping() = default;
  Mapping(Mapping &&other)
      : data(std::exchange(other.data, nullptr)), size(other.size) {}
  Mapping &operator=(Mapping &&other) {
    std::swap(data, other.data);
    std::swap(size, other.size);
    return *this;
  }
  ~Mapping() {
    if (data)
      ::munmap(data, size);
  }

  const std::byte *bytes() const { return static_cast<std::byte *>(data); }
  std::string_view text(size_t offset, size_t length) const {
    return {static_cast<const char *>(data) + offset, length};
  }

  void *data = nullptr;
  size_t size = 0;
};

/// The non-negative integers of an array.
Result<std::vector<int64_t>> readSizes(const JsonValue &value) {
  if (value.kind != JsonValue::Kind::Array)
    return Error("expected an array of non-negative integers, found ",
                 value.kindName());
  std::vector<int64_t> sizes;
  for (const JsonValue &element : value.elements) {
    if (element.kind != JsonValue::Kind::Integer)
      return Error("expected non-negative integers, found ",
                   element.kindName());
    if (element.integer < 0)
      return Error("expected non-negative integers, found ", element.integer);
    sizes.push_back(element.integer);
  }
  return sizes;
}

/// Reads the entry of one tensor; `dataSize` is the size of the data section.
/// Leaves `data` null and `fileOffset` relative to the data section.
Result<StoredTensor> readEntry(const JsonValue &entry, int64_t dataSize) {
  if (entry.kind != JsonValue::Kind::Object)
    return Error("expected an object, found ", entry.kindName());
  for (const auto &[key, value] : entry.members)
    if (key != "dtype" && key != "shape" && key != "data_offsets")
      return Error("unknown key '", key,
                   "', expected dtype, shape and data_offsets");
  for (std::string_view key : {"dtype", "shape", "data_offsets"})
    if (!entry.find(key))
      return Error("key '", key, "' is missing");

  const JsonValue &dtype = *entry.find("dtype");
  if (dtype.kind != JsonValue::Kind::String)
    return Error("dtype: expected a string, found ", dtype.kindName());
  std::optional<ElementType> type = parseSafeTensorsType(dtype.string);
  if (!type)
    return Error("dtype: '", dtype.string,
                 "' is unknown, expected one of BOOL, U8, I8, F8_E5M2, "
                 "F8_E4M3, U16, I16, F16, BF16, U32, I32, F32, U64, I64, F64");

  Result<std::vector<int64_t>> shape = readSizes(*entry.find("shape"));
  if (!shape)
    return shape.error().in("shape");
  Result<std::vector<int64_t>> offsets = readSizes(*entry.find("data_offsets"));
  if (!offsets)
    return offsets.error().in("data_offsets");
  if (offsets->size() != 2)
    return Error("data_offsets: expected 2 integers, found ", offsets->size());
  int64_t begin = (*offsets)[0], end = (*offsets)[1];
  if (begin > end)
    return Error("data_offsets: begin ", begin, " is after end ", end);
  if (end > dataSize)
    return Error("data_offsets: end ", end, " is outside the data, which has ",
                 dataSize, " bytes");

  std::optional<int64_t> size = byteSize(*type, *shape);
  if (!size)
    return Error("shape: ", toString(*shape), " of ", dtype.string,
                 " does not fit into 63 bits");
  if (*size != end - begin)
    return Error("data_offsets: expected ", *size, " bytes for shape ",
                 toString(*shape), " of ", dtype.string, ", found ",
                 end - begin);
  return StoredTensor{*type, std::move(*shape), nullptr,
                      static_cast<size_t>(*size), static_cast<size_t>(begin)};
}

/// Checks that the tensors cover the data section exactly once.
Status checkCoverage(const StoredTensorMap &tensors, size_t dataSize) {
  std::vector<const StoredTensorMap::value_type *> order;
  for (const auto &entry : tensors)
    order.push_back(&entry);
  std::sort(order.begin(), order.end(), [](auto *a, auto *b) {
    return std::pair(a->second.fileOffset, a->second.size) <
           std::pair(b->second.fileOffset, b->second.size);
  });
  size_t covered = 0;
  const std::string *previous = nullptr;
  for (const auto *entry : order) {
    size_t begin = entry->second.fileOffset;
    if (begin < covered)
      return Error("tensor '", entry->first, "': its data begins at ", begin,
                   ", inside the data of tensor '", *previous,
                   "', which ends at ", covered);
    if (begin > covered)
      return Error("tensor '", entry->first, "': its data begins at ", begin,
                   ", expected ", covered,
                   " (no bytes may lie between tensors)");
    covered = begin + entry->second.size;
    previous = &entry->first;
  }
  if (covered != dataSize)
    return Error("the tensors cover ", covered, " bytes of data, the file has ",
                 dataSize);
  return success();
}

} // namespace

//===----------------------------------------------------------------------===//
// TensorFile
//===----------------------------------------------------------------------===//

struct TensorFile::State {
  std::string path;
  Mapping mapping;
  StoredTensorMap tensors;
  std::map<std::string, std::string, std::less<>> metadata;

  Status readHeader();
};

Status TensorFile::State::readHeader() {
  if (mapping.size < 8)
    return Error("expected at least 8 bytes for the length of the header, "
                 "found ",
                 mapping.size);
  uint64_t length = 0;
  for (int i = 7; i >= 0; --i)
    length = length << 8 | static_cast<uint64_t>(mapping.bytes()[i]);
  if (length > kMaximumHeader)
    return Error("header length ", length, " is above the limit of ",
                 kMaximumHeader);
  if (length > mapping.size - 8)
    return Error("header length ", length, " exceeds the ", mapping.size - 8,
                 " bytes that follow it");
  std::string_view text = mapping.text(8, length);
  if (!text.starts_with('{'))
    return Error("the header does not begin with '{'");
  Result<JsonValue> header = parseJson(text);
  if (!header)
    return header.error().in("header");

  size_t dataStart = 8 + length;
  size_t dataSize = mapping.size - dataStart;
  for (const auto &[name, entry] : header->members) {
    if (name == "__metadata__") {
      if (entry.kind != JsonValue::Kind::Object)
        return Error("__metadata__: expected an object, found ",
                     entry.kindName());
      for (const auto &[key, value] : entry.members) {
        if (value.kind != JsonValue::Kind::String)
          return Error("__metadata__: key '", key,
                       "': expected a string, found ", value.kindName());
        metadata.emplace(key, value.string);
      }
      continue;
    }
    Result<StoredTensor> tensor =
        readEntry(entry, static_cast<int64_t>(dataSize));
    if (!tensor)
      return tensor.error().in(concat("tensor '", name, "'"));
    tensors.emplace(name, std::move(*tensor));
  }
  if (Status status = checkCoverage(tensors, dataSize); !status)
    return status;
  for (auto &[name, tensor] : tensors) {
    tensor.fileOffset += dataStart;
    tensor.data = mapping.bytes() + tensor.fileOffset;
  }
  return success();
}

TensorFile::TensorFile(std::shared_ptr<const State> state)
    : state(std::move(state)) {}

Result<TensorFile> TensorFile::open(const std::string &path) {
  auto state = std::make_shared<State>();
  state->path = path;
  Result<Mapping> mapping = Mapping::open(path);
  if (!mapping)
    return mapping.error();
  state->mapping = std::move(*mapping);
  if (Status status = state->readHeader(); !status)
    return status.error().in(path);
  return TensorFile(std::move(state));
}

const std::string &TensorFile::path() const { return state->path; }

const StoredTensorMap &TensorFile::tensors() const { return state->tensors; }

const StoredTensor *TensorFile::find(std::string_view name) const {
  auto it = state->tensors.find(name);
  return it == state->tensors.end() ? nullptr : &it->second;
}

const std::map<std::string, std::string, std::less<>> &
TensorFile::metadata() const {
  return state->metadata;
}

//===----------------------------------------------------------------------===//
// Checkpoint
//===----------------------------------------------------------------------===//

struct Checkpoint::State {
  std::string directory;
  std::vector<TensorFile> files;
  StoredTensorMap tensors;
  size_t totalSize = 0;

  Status readIndex(const std::string &path);
};

Status Checkpoint::State::readIndex(const std::string &path) {
  Result<Mapping> mapping = Mapping::open(path);
  if (!mapping)
    return mapping.error();
  Result<JsonValue> index = parseJson(mapping->text(0, mapping->size));
  if (!index)
    return index.error().in(path);
  const JsonValue *weights = index->find("weight_map");
  if (!weights)
    return Error(path, ": key 'weight_map' is missing");
  if (weights->kind != JsonValue::Kind::Object)
    return Error(path, ": weight_map: expected an object, found ",
                 weights->kindName());

  std::map<std::string, size_t, std::less<>> shards;
  for (const auto &[name, shard] : weights->members) {
    if (shard.kind != JsonValue::Kind::String)
      return Error(path, ": weight_map: tensor '", name,
                   "': expected the name of a file, found ", shard.kindName());
    // An index must not lead out of its directory.
    if (shard.string.empty() || shard.string.starts_with('.') ||
        shard.string.find_first_of(std::string_view("/\\\0", 3)) !=
            std::string::npos)
      return Error(path, ": weight_map: tensor '", name, "': '", shard.string,
                   "' is not the plain name of a file");
    auto it = shards.find(shard.string);
    if (it == shards.end()) {
      Result<TensorFile> file =
          TensorFile::open(concat(directory, "/", shard.string));
      if (!file)
        return file.error();
      it = shards.emplace(shard.string, files.size()).first;
      files.push_back(std::move(*file));
    }
    const StoredTensor *tensor = files[it->second].find(name);
    if (!tensor)
      return Error(path, ": weight_map: tensor '", name, "' is not in shard '",
                   shard.string, "'");
    tensors.emplace(name, *tensor);
  }
  return success();
}

Checkpoint::Checkpoint(std::shared_ptr<const State> state)
    : state(std::move(state)) {}

Result<Checkpoint> Checkpoint::open(const std::string &directory) {
  auto state = std::make_shared<State>();
  state->directory = directory;
  struct stat status;
  if (::stat(directory.c_str(), &status) != 0)
    return Error(directory, ": cannot open: ", std::strerror(errno));
  if (!S_ISDIR(status.st_mode))
    return Error(directory, ": not a directory");

  std::string single = directory + "/model.safetensors";
  std::string index = directory + "/model.safetensors.index.json";
  if (::access(single.c_str(), F_OK) == 0) {
    Result<TensorFile> file = TensorFile::open(single);
    if (!file)
      return file.error();
    state->tensors = file->tensors();
    state->files.push_back(std::move(*file));
  } else if (::access(index.c_str(), F_OK) == 0) {
    if (Status read = state->readIndex(index); !read)
      return read.error();
  } else {
    return Error(directory, ": expected model.safetensors or "
                            "model.safetensors.index.json, found neither");
  }
  for (const auto &[name, tensor] : state->tensors)
    state->totalSize += tensor.size;
  return Checkpoint(std::move(state));
}

const std::string &Checkpoint::directory() const { return state->directory; }

const std::vector<TensorFile> &Checkpoint::files() const {
  return state->files;
}

const StoredTensorMap &Checkpoint::tensors() const { return state->tensors; }

const StoredTensor *Checkpoint::find(std::string_view name) const {
  auto it = state->tensors.find(name);
  return it == state->tensors.end() ? nullptr : &it->second;
}

Result<const StoredTensor *> Checkpoint::get(std::string_view name) const {
  if (const StoredTensor *tensor = find(name))
    return tensor;
  return Error(state->directory, ": the checkpoint has no tensor '", name, "'");
}

size_t Checkpoint::totalSize() const { return state->totalSize; }
