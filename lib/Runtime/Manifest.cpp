//===- Manifest.cpp - The description of a compiled artifact ----*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The document is walked with cursors that know their path. The first error is
// kept in one place and turns everything after it into a no-op, which keeps the
// walk as straight as the format.
//
//===----------------------------------------------------------------------===//

#include "Ropewalk/Runtime/Manifest.h"

#include "Json.h"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <fstream>
#include <iterator>
#include <limits>
#include <unordered_map>

using namespace ropewalk::runtime;

namespace {

using ParameterType = Manifest::ParameterType;
using Names = std::unordered_map<std::string, size_t>;

/// The first error of a walk.
struct Walk {
  std::optional<Error> error;
};

/// A value and its path. Reading through a cursor after an error gives
/// defaults.
class Cursor {
public:
  Cursor(Walk &walk, const JsonValue &value, std::string path)
      : walk(walk), value(value), path(std::move(path)) {}

  bool ok() const { return !walk.error; }

  template <typename... Parts> void fail(const Parts &...parts) const {
    if (ok())
      walk.error = path.empty() ? Error(parts...) : Error(path, ": ", parts...);
  }

  /// Refuses anything but an object with exactly these keys.
  void keys(std::initializer_list<std::string_view> required,
            std::initializer_list<std::string_view> optional = {}) const {
    if (value.kind != JsonValue::Kind::Object)
      return fail("expected an object, found ", value.kindName());
    for (const auto &[key, member] : value.members)
      if (std::find(required.begin(), required.end(), key) == required.end() &&
          std::find(optional.begin(), optional.end(), key) == optional.end())
        return fail("unknown key '", key, "'");
    for (std::string_view key : required)
      if (!value.find(key))
        return fail("key '", key, "' is missing");
  }

  bool has(std::string_view key) const { return ok() && value.find(key); }

  Cursor operator[](std::string_view key) const {
    const JsonValue *member = ok() ? value.find(key) : nullptr;
    if (!member)
      fail("key '", key, "' is missing");
    return {walk, member ? *member : nothing(),
            path.empty() ? std::string(key) : concat(path, ".", key)};
  }

  /// Calls `visit(cursor, index)` for every element of an array, until an
  /// error.
  template <typename Visit> void each(Visit visit) const {
    if (value.kind != JsonValue::Kind::Array)
      return fail("expected an array, found ", value.kindName());
    for (size_t i = 0; i < value.elements.size() && ok(); ++i)
      visit(Cursor(walk, value.elements[i], concat(path, "[", i, "]")), i);
  }

  std::string string() const {
    if (value.kind != JsonValue::Kind::String)
      fail("expected a string, found ", value.kindName());
    return value.string;
  }

  bool boolean() const {
    if (value.kind != JsonValue::Kind::Boolean)
      fail("expected true or false, found ", value.kindName());
    return value.boolean;
  }

  int64_t integer(int64_t minimum = std::numeric_limits<int64_t>::min()) const {
    if (value.kind != JsonValue::Kind::Integer)
      fail("expected an integer, found ", value.kindName());
    else if (value.integer < minimum)
      fail("expected at least ", minimum, ", found ", value.integer);
    return value.integer;
  }

  std::optional<int64_t> integerOrNull() const {
    if (value.kind == JsonValue::Kind::Null)
      return std::nullopt;
    return integer(0);
  }

  double number() const {
    if (value.kind != JsonValue::Kind::Integer &&
        value.kind != JsonValue::Kind::Number)
      fail("expected a number, found ", value.kindName());
    return value.number;
  }

  /// A string, or an integer in its place.
  Expression expression() const {
    if (value.kind == JsonValue::Kind::Integer)
      return Expression::constant(value.integer);
    if (value.kind != JsonValue::Kind::String) {
      fail("expected an expression, found ", value.kindName());
      return {};
    }
    Result<Expression> parsed = Expression::parse(value.string);
    if (parsed)
      return std::move(*parsed);
    fail(parsed.error().message());
    return {};
  }

  std::vector<Expression> expressions() const {
    std::vector<Expression> result;
    each([&](Cursor c, size_t) { result.push_back(c.expression()); });
    return result;
  }

  std::vector<int64_t> integers(int64_t minimum) const {
    std::vector<int64_t> result;
    each([&](Cursor c, size_t) { result.push_back(c.integer(minimum)); });
    return result;
  }

  std::array<int64_t, 3> triple() const {
    std::array<int64_t, 3> result = {1, 1, 1};
    std::vector<int64_t> read = integers(1);
    if (read.size() == 3)
      std::copy(read.begin(), read.end(), result.begin());
    else
      fail("expected 3 integers, found ", read.size());
    return result;
  }

  ElementType elementType() const {
    std::string text = string();
    if (std::optional<ElementType> type = parseElementType(text))
      return *type;
    fail("unknown element type '", text, "'");
    return ElementType::F32;
  }

  /// Position of the name in `names`; `what` is what it names.
  size_t reference(const Names &names, std::string_view what) const {
    std::string text = string();
    auto it = names.find(text);
    if (it != names.end())
      return it->second;
    fail("there is no ", what, " '", text, "'");
    return 0;
  }

  /// Reads a name that must be new, and numbers it.
  std::string define(Names &names) const {
    std::string text = string();
    if (text.empty())
      fail("a name must not be empty");
    else if (!names.emplace(text, names.size()).second)
      fail("'", text, "' occurs twice");
    return text;
  }

  Walk &walk;
  const JsonValue &value;
  std::string path;

private:
  static const JsonValue &nothing() {
    static const JsonValue null;
    return null;
  }
};

/// "sm_" digits [a-z]
bool isChip(std::string_view text) {
  if (!text.starts_with("sm_"))
    return false;
  text.remove_prefix(3);
  if (!text.empty() && text.back() >= 'a' && text.back() <= 'z')
    text.remove_suffix(1);
  return text.size() >= 2 && text.size() <= 3 &&
         text.find_first_not_of("0123456789") == text.npos;
}

bool isPlainFileName(std::string_view text) {
  return !text.empty() && text[0] != '.' &&
         text.find_first_of(std::string_view("/\\\0", 3)) == text.npos;
}

ParameterType readParameterType(const Cursor &c) {
  std::string text = c.string();
  if (text == "ptr")
    return ParameterType::Pointer;
  if (text == "i32")
    return ParameterType::I32;
  if (text == "i64")
    return ParameterType::I64;
  if (text != "f32")
    c.fail("expected ptr, i32, i64 or f32, found '", text, "'");
  return ParameterType::F32;
}

Manifest::Kernel readKernel(const Cursor &c, Names &names, size_t modules) {
  Manifest::Kernel kernel;
  c.keys({"name", "module", "block", "static_shared", "params"},
         {"registers", "spill_bytes", "stack_bytes"});
  if (!c.ok())
    return kernel;
  kernel.name = c["name"].define(names);
  int64_t module = c["module"].integer(0);
  if (static_cast<uint64_t>(module) >= modules)
    c["module"].fail("there is no module ", module, ", the manifest has ",
                     modules);
  kernel.module = static_cast<size_t>(module);
  kernel.block = c["block"].triple();
  kernel.staticShared = c["static_shared"].integer(0);
  if (c.has("registers"))
    kernel.registers = c["registers"].integerOrNull();
  if (c.has("spill_bytes"))
    kernel.spillBytes = c["spill_bytes"].integerOrNull();
  if (c.has("stack_bytes"))
    kernel.stackBytes = c["stack_bytes"].integerOrNull();
  c["params"].each([&](Cursor p, size_t) {
    p.keys({"name", "type"});
    if (p.ok())
      kernel.parameters.push_back(
          {p["name"].string(), readParameterType(p["type"])});
  });
  return kernel;
}

template <typename T> void appendBytes(std::vector<std::byte> &data, T value) {
  const auto *bytes = reinterpret_cast<const std::byte *>(&value);
  data.insert(data.end(), bytes, bytes + sizeof(T));
}

Manifest::Constant readConstant(const Cursor &c, Names &names) {
  Manifest::Constant constant;
  c.keys({"name", "type", "shape", "data"});
  if (!c.ok())
    return constant;
  constant.name = c["name"].define(names);
  constant.type = c["type"].elementType();
  if (constant.type != ElementType::I64 && constant.type != ElementType::I32 &&
      constant.type != ElementType::F32)
    c["type"].fail("expected i64, i32 or f32, found '", name(constant.type),
                   "'");
  constant.shape = c["shape"].integers(0);
  c["data"].each([&](Cursor element, size_t) {
    if (constant.type == ElementType::F32) {
      float value = static_cast<float>(element.number());
      if (!std::isfinite(value))
        element.fail("the number does not fit into f32");
      return appendBytes(constant.data, value);
    }
    int64_t value = element.integer();
    if (constant.type == ElementType::I64)
      return appendBytes(constant.data, value);
    if (value != static_cast<int32_t>(value))
      element.fail(value, " does not fit into i32");
    appendBytes(constant.data, static_cast<int32_t>(value));
  });
  std::optional<int64_t> size = byteSize(constant.type, constant.shape);
  if (c.ok() && (!size || static_cast<size_t>(*size) != constant.data.size()))
    c["data"].fail("expected the elements of shape ", toString(constant.shape),
                   ", found ", constant.data.size() / byteSize(constant.type));
  return constant;
}

Manifest::Table readTable(const Cursor &c, Names &names) {
  Manifest::Table table;
  c.keys({"name", "inverse_frequencies", "attention_factor", "unit"});
  if (!c.ok())
    return table;
  table.name = c["name"].define(names);
  c["inverse_frequencies"].each([&](Cursor element, size_t) {
    table.inverseFrequencies.push_back(element.number());
  });
  if (table.inverseFrequencies.empty())
    c["inverse_frequencies"].fail("must not be empty");
  table.attentionFactor = c["attention_factor"].number();
  table.unit = c["unit"].integer(1);
  return table;
}

Argument readArgument(const Cursor &c, Names &names) {
  Argument argument;
  c.keys({"name", "kind", "type", "shape"}, {"updated", "minimum"});
  if (!c.ok())
    return argument;
  argument.name = c["name"].define(names);
  std::string kind = c["kind"].string();
  if (std::optional<ArgumentKind> parsed = parseArgumentKind(kind))
    argument.kind = *parsed;
  else
    c["kind"].fail("expected input, weight, cache or parameter, found '", kind,
                   "'");
  argument.type = c["type"].elementType();
  argument.shape = c["shape"].expressions();
  if (c.has("updated"))
    argument.updated = c["updated"].boolean();
  if (c.has("minimum"))
    argument.minimum = c["minimum"].integer();
  return argument;
}

struct GlobalNames {
  Names kernels, constants, tables;
};

Manifest::Buffer readBuffer(const Cursor &c, const GlobalNames &global,
                            const Names &arguments) {
  using Kind = Manifest::Buffer::Kind;
  Manifest::Buffer buffer;
  if (c.has("argument")) {
    c.keys({"argument"});
    buffer.kind = Kind::Argument;
    buffer.index = c["argument"].reference(arguments, "argument");
  } else if (c.has("constant")) {
    c.keys({"constant"});
    buffer.kind = Kind::Constant;
    buffer.index = c["constant"].reference(global.constants, "constant");
  } else if (c.has("table")) {
    c.keys({"table", "part"});
    buffer.kind = Kind::Table;
    buffer.index = c["table"].reference(global.tables, "table");
    std::string part = c["part"].string();
    buffer.high = part == "high";
    if (!buffer.high && part != "low")
      c["part"].fail("expected low or high, found '", part, "'");
  } else {
    c.keys({"bytes", "first", "last"});
    if (!c.ok())
      return buffer;
    buffer.bytes = c["bytes"].expression();
    buffer.first = c["first"].integer(0);
    buffer.last = c["last"].integer(0);
  }
  return buffer;
}

size_t readBufferNumber(const Cursor &c, size_t buffers) {
  int64_t number = c.integer(0);
  if (static_cast<uint64_t>(number) >= buffers)
    c.fail("there is no buffer ", number, ", the entry has ", buffers);
  return static_cast<size_t>(number);
}

Manifest::LaunchArgument readLaunchArgument(const Cursor &c, size_t buffers) {
  Manifest::LaunchArgument argument;
  if (c.has("i32") || c.has("i64")) {
    bool narrow = c.has("i32");
    std::string_view key = narrow ? "i32" : "i64";
    c.keys({key});
    argument.type = narrow ? ParameterType::I32 : ParameterType::I64;
    argument.value = c[key].expression();
  } else if (c.has("f32")) {
    c.keys({"f32"});
    argument.type = ParameterType::F32;
    argument.number = static_cast<float>(c["f32"].number());
    if (!std::isfinite(argument.number))
      c["f32"].fail("the number does not fit into f32");
  } else {
    c.keys({"buffer"}, {"offset"});
    if (!c.ok())
      return argument;
    argument.buffer = readBufferNumber(c["buffer"], buffers);
    if (c.has("offset"))
      argument.value = c["offset"].expression();
  }
  return argument;
}

Manifest::Launch readLaunch(const Cursor &c, const Names &kernels,
                            size_t buffers) {
  Manifest::Launch launch;
  c.keys({"kernel", "grid", "block", "args", "reads", "writes"}, {"shared"});
  if (!c.ok())
    return launch;
  launch.kernel = c["kernel"].reference(kernels, "kernel");
  std::vector<Expression> grid = c["grid"].expressions();
  if (grid.size() == 3)
    std::move(grid.begin(), grid.end(), launch.grid.begin());
  else
    c["grid"].fail("expected 3 expressions, found ", grid.size());
  launch.block = c["block"].triple();
  if (c.has("shared"))
    launch.shared = c["shared"].expression();
  c["args"].each([&](Cursor a, size_t) {
    launch.arguments.push_back(readLaunchArgument(a, buffers));
  });
  c["reads"].each([&](Cursor b, size_t) {
    launch.reads.push_back(readBufferNumber(b, buffers));
  });
  c["writes"].each([&](Cursor b, size_t) {
    launch.writes.push_back(readBufferNumber(b, buffers));
  });
  return launch;
}

void readEntry(const Cursor &c, const GlobalNames &global, Names &entryNames,
               Manifest &manifest) {
  c.keys({"name", "sizes", "arguments", "results", "buffers", "launches"},
         {"checks"});
  if (!c.ok())
    return;
  EntrySignature signature;
  Manifest::Entry entry;
  signature.name = c["name"].define(entryNames);
  Names sizes, arguments, results;
  c["sizes"].each(
      [&](Cursor s, size_t) { entry.sizes.push_back(s.define(sizes)); });
  c["arguments"].each([&](Cursor a, size_t) {
    signature.arguments.push_back(readArgument(a, arguments));
  });
  c["buffers"].each([&](Cursor b, size_t) {
    entry.buffers.push_back(readBuffer(b, global, arguments));
  });
  c["results"].each([&](Cursor r, size_t) {
    r.keys({"name", "type", "shape", "buffer"});
    if (!r.ok())
      return;
    signature.results.push_back({r["name"].define(results),
                                 r["type"].elementType(),
                                 r["shape"].expressions()});
    entry.resultBuffers.push_back(
        readBufferNumber(r["buffer"], entry.buffers.size()));
  });
  c["launches"].each([&](Cursor l, size_t) {
    entry.launches.push_back(
        readLaunch(l, global.kernels, entry.buffers.size()));
  });
  if (c.has("checks"))
    c["checks"].each([&](Cursor k, size_t) {
      k.keys({"expression", "message"});
      if (k.ok())
        entry.checks.push_back(
            {k["expression"].expression(), k["message"].string()});
    });
  manifest.signatures.push_back(std::move(signature));
  manifest.entries.push_back(std::move(entry));
}

} // namespace

Result<Manifest> Manifest::parse(std::string_view text) {
  Result<JsonValue> document = parseJson(text);
  if (!document)
    return document.error();
  Walk walk;
  Cursor c(walk, *document, "");
  Manifest manifest;
  if (document->kind != JsonValue::Kind::Object)
    return Error("expected an object, found ", document->kindName());
  // First of all: another version may have other keys.
  if (std::string format = c["format"].string(); format != kFormat)
    c["format"].fail("expected '", kFormat, "', found '", format, "'");
  if (int64_t version = c["version"].integer(); version != kVersion)
    c["version"].fail("expected ", kVersion, ", found ", version);
  if (c.ok())
    c.keys({"format", "version", "target", "modules", "kernels", "entries"},
           {"producer", "model", "constants", "tables"});
  if (!c.ok())
    return *walk.error;

  if (c.has("producer"))
    manifest.producer = c["producer"].string();
  manifest.target = c["target"].string();
  if (!isChip(manifest.target))
    c["target"].fail("expected a chip such as sm_80 or sm_90a, found '",
                     manifest.target, "'");
  if (c.has("model")) {
    Cursor model = c["model"];
    if (model.value.kind != JsonValue::Kind::Object)
      model.fail("expected an object, found ", model.value.kindName());
    manifest.model = toText(model.value);
  }
  GlobalNames names;
  c["modules"].each([&](Cursor m, size_t) {
    m.keys({"file"});
    if (!m.ok())
      return;
    manifest.modules.push_back(m["file"].string());
    if (!isPlainFileName(manifest.modules.back()))
      m["file"].fail("'", manifest.modules.back(),
                     "' is not the plain name of a file");
  });
  c["kernels"].each([&](Cursor k, size_t) {
    manifest.kernels.push_back(
        readKernel(k, names.kernels, manifest.modules.size()));
  });
  if (c.has("constants"))
    c["constants"].each([&](Cursor k, size_t) {
      manifest.constants.push_back(readConstant(k, names.constants));
    });
  if (c.has("tables"))
    c["tables"].each([&](Cursor t, size_t) {
      manifest.tables.push_back(readTable(t, names.tables));
    });
  Names entryNames;
  c["entries"].each(
      [&](Cursor e, size_t) { readEntry(e, names, entryNames, manifest); });
  if (!c.ok())
    return *walk.error;
  return manifest;
}

Result<Manifest> Manifest::load(const std::string &directory) {
  std::string path = directory + "/manifest.json";
  std::ifstream stream(path, std::ios::binary);
  if (!stream)
    return Error(path, ": cannot open: ", std::strerror(errno));
  std::string text((std::istreambuf_iterator<char>(stream)),
                   std::istreambuf_iterator<char>());
  if (stream.bad())
    return Error(path, ": cannot read");
  Result<Manifest> manifest = parse(text);
  if (!manifest)
    return manifest.error().in(path);
  if (Status status = manifest->validate(); !status)
    return status.error().in(path);
  return manifest;
}
