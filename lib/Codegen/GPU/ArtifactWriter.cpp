//===- ArtifactWriter.cpp - A launch plan as manifest.json ------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Install.h"
#include "Ropewalk/Codegen/GPU/Artifact.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace ropewalk;
using namespace ropewalk::codegen;

namespace {

class ManifestWriter {
public:
  ManifestWriter(llvm::json::OStream &j, const LaunchPlan &plan)
      : j(j), plan(plan) {}

  void write(DictionaryAttr model);

private:
  void writeModel(DictionaryAttr model);
  void writeKernel(const KernelInfo &kernel);
  void writeConstant(const PlanConstant &constant);
  void writeTable(const PlanTable &table);
  void writeEntry(const PlanEntry &entry);
  void writeBuffer(const PlanEntry &entry, const PlanBuffer &buffer);
  void writeLaunch(const Launch &launch);
  void writeShape(llvm::ArrayRef<SizeExpr> shape);
  template <typename List, typename Function>
  void writeArray(StringRef name, const List &list, Function each) {
    j.attributeArray(name, [&] {
      for (const auto &element : list)
        each(element);
    });
  }
  void writeNumber(StringRef name, std::optional<int64_t> number) {
    if (number)
      j.attribute(name, *number);
    else
      j.attribute(name, nullptr);
  }

  llvm::json::OStream &j;
  const LaunchPlan &plan;
};

void ManifestWriter::writeModel(DictionaryAttr model) {
  j.attributeObject("model", [&] {
    if (!model)
      return;
    for (NamedAttribute attribute : model) {
      StringRef name = attribute.getName();
      if (auto text = dyn_cast<StringAttr>(attribute.getValue()))
        j.attribute(name, text.getValue());
      else if (auto flag = dyn_cast<BoolAttr>(attribute.getValue()))
        j.attribute(name, flag.getValue());
      else if (auto integer = dyn_cast<IntegerAttr>(attribute.getValue()))
        j.attribute(name, integer.getInt());
      else if (auto number = dyn_cast<FloatAttr>(attribute.getValue()))
        j.attribute(name, number.getValueAsDouble());
    }
  });
}

void ManifestWriter::writeKernel(const KernelInfo &kernel) {
  j.object([&] {
    j.attribute("name", kernel.name);
    j.attribute("module", 0);
    writeArray("block", std::array<unsigned, 3>{kernel.threads, 1, 1},
               [&](unsigned size) { j.value(size); });
    j.attribute("static_shared", kernel.sharedBytes);
    const auto &resources = kernel.resources;
    auto field = [&](int64_t KernelResources::*member) {
      return resources ? std::optional<int64_t>((*resources).*member)
                       : std::nullopt;
    };
    writeNumber("registers", field(&KernelResources::registers));
    writeNumber("spill_bytes", field(&KernelResources::spillBytes));
    writeNumber("stack_bytes", field(&KernelResources::stackBytes));
    writeArray("params", kernel.params, [&](const KernelParam &param) {
      j.object([&] {
        j.attribute("name", param.name);
        j.attribute("type", stringify(param.type));
      });
    });
  });
}

void ManifestWriter::writeConstant(const PlanConstant &constant) {
  j.object([&] {
    j.attribute("name", constant.name);
    j.attribute("type", constant.type);
    writeArray("shape", constant.shape, [&](int64_t size) { j.value(size); });
    if (constant.type == "f32")
      writeArray("data", constant.floats,
                 [&](double value) { j.value(value); });
    else
      writeArray("data", constant.integers,
                 [&](int64_t value) { j.value(value); });
  });
}

void ManifestWriter::writeTable(const PlanTable &table) {
  j.object([&] {
    j.attribute("name", table.name);
    writeArray("inverse_frequencies", table.inverseFrequencies,
               [&](double value) { j.value(value); });
    j.attribute("attention_factor", table.attentionFactor);
    j.attribute("unit", table.unit);
  });
}

void ManifestWriter::writeShape(ArrayRef<SizeExpr> shape) {
  writeArray("shape", shape, [&](const SizeExpr &size) {
    if (std::optional<int64_t> constant = size.asConstant())
      j.value(*constant);
    else
      j.value(size.str());
  });
}

void ManifestWriter::writeBuffer(const PlanEntry &entry,
                                 const PlanBuffer &buffer) {
  j.object([&] {
    switch (buffer.kind) {
    case PlanBuffer::Kind::Argument:
      j.attribute("argument", entry.arguments[buffer.index].name);
      return;
    case PlanBuffer::Kind::Constant:
      j.attribute("constant", plan.constants[buffer.index].name);
      return;
    case PlanBuffer::Kind::TableLow:
    case PlanBuffer::Kind::TableHigh:
      j.attribute("table", plan.tables[buffer.index].name);
      j.attribute("part",
                  buffer.kind == PlanBuffer::Kind::TableLow ? "low" : "high");
      return;
    case PlanBuffer::Kind::Workspace:
      j.attribute("bytes", buffer.bytes.str());
      j.attribute("first", buffer.first);
      j.attribute("last", buffer.last);
      return;
    }
  });
}

void ManifestWriter::writeLaunch(const Launch &launch) {
  const KernelInfo &kernel = plan.kernels[launch.kernel];
  j.object([&] {
    j.attribute("kernel", kernel.name);
    writeArray("grid", launch.grid, [&](const GridSize &grid) {
      if (grid.divisor == 1)
        return j.value(grid.size.str());
      if (std::optional<int64_t> size = grid.size.asConstant())
        return j.value(
            std::to_string((*size + grid.divisor - 1) / grid.divisor));
      j.value("ceildiv(" + grid.size.str() + "," +
              std::to_string(grid.divisor) + ")");
    });
    writeArray("block", std::array<unsigned, 3>{kernel.threads, 1, 1},
               [&](unsigned size) { j.value(size); });
    j.attribute("shared", "0");
    writeArray("args", launch.args, [&](const LaunchArg &arg) {
      j.object([&] {
        switch (arg.type) {
        case ParamType::Pointer:
          j.attribute("buffer", arg.buffer);
          j.attribute("offset", arg.value.str());
          return;
        case ParamType::I32:
        case ParamType::I64:
          j.attribute(stringify(arg.type),
                      arg.text.empty() ? arg.value.str() : arg.text);
          return;
        case ParamType::F32:
          j.attribute("f32", arg.number);
          return;
        }
      });
    });
    auto buffers = [&](StringRef name, std::vector<unsigned> list) {
      llvm::sort(list);
      list.erase(std::unique(list.begin(), list.end()), list.end());
      writeArray(name, list, [&](unsigned buffer) { j.value(buffer); });
    };
    buffers("reads", launch.reads);
    buffers("writes", launch.writes);
  });
}

void ManifestWriter::writeEntry(const PlanEntry &entry) {
  j.object([&] {
    j.attribute("name", entry.name);
    writeArray("sizes", entry.sizes,
               [&](const std::string &name) { j.value(name); });
    writeArray("arguments", entry.arguments, [&](const PlanArgument &argument) {
      j.object([&] {
        j.attribute("name", argument.name);
        j.attribute("kind", argument.kind);
        j.attribute("type", argument.type);
        writeShape(argument.shape);
        if (argument.updated)
          j.attribute("updated", true);
        if (argument.minimum)
          j.attribute("minimum", *argument.minimum);
      });
    });
    writeArray("results", entry.results, [&](const PlanResult &result) {
      j.object([&] {
        j.attribute("name", result.name);
        j.attribute("type", result.type);
        writeShape(result.shape);
        j.attribute("buffer", result.buffer);
      });
    });
    writeArray("buffers", entry.buffers,
               [&](const PlanBuffer &buffer) { writeBuffer(entry, buffer); });
    writeArray("launches", entry.launches,
               [&](const Launch &launch) { writeLaunch(launch); });
    writeArray("checks", entry.checks, [&](const PlanCheck &check) {
      j.object([&] {
        j.attribute("expression", check.expression);
        j.attribute("message", check.message);
      });
    });
  });
}

void ManifestWriter::write(DictionaryAttr model) {
  j.object([&] {
    j.attribute("format", "ropewalk.artifact");
    j.attribute("version", 1);
    j.attribute("producer", "ropewalk");
    j.attribute("target", plan.target);
    writeModel(model);
    j.attributeArray("modules", [&] {
      j.object([&] { j.attribute("file", "kernels.ptx"); });
    });
    writeArray("kernels", plan.kernels,
               [&](const KernelInfo &kernel) { writeKernel(kernel); });
    writeArray("constants", plan.constants,
               [&](const PlanConstant &constant) { writeConstant(constant); });
    writeArray("tables", plan.tables,
               [&](const PlanTable &table) { writeTable(table); });
    writeArray("entries", plan.entries,
               [&](const PlanEntry &entry) { writeEntry(entry); });
  });
}

LogicalResult writeFile(Location loc, const Twine &path, StringRef text) {
  std::error_code code;
  llvm::raw_fd_ostream os(path.str(), code);
  if (!code) {
    os << text;
    os.close();
    code = os.error();
    os.clear_error();
  }
  if (code)
    return emitError(loc) << path << ": " << code.message();
  return success();
}

/// Puts the host library beside the manifest. An artifact is complete without
/// it for whoever links the runtime, hence only a warning where it is missing.
LogicalResult copyHostLibrary(Location loc, StringRef directory) {
  constexpr llvm::StringLiteral name = "libropewalk-host.so";
  std::string source = findInstalledFolder("lib") + "/" + name.str();
  if (!llvm::sys::fs::exists(source)) {
    emitWarning(loc) << source
                     << " was not found: the artifact is without its "
                        "host library";
    return success();
  }
  std::string target = (directory + "/" + name).str();
  if (std::error_code code = llvm::sys::fs::copy_file(source, target))
    return emitError(loc) << target << ": " << code.message();
  return success();
}

} // namespace

std::string codegen::manifestText(const LaunchPlan &plan,
                                  DictionaryAttr model) {
  std::string text;
  llvm::raw_string_ostream os(text);
  llvm::json::OStream j(os, /*IndentSize=*/1);
  ManifestWriter(j, plan).write(model);
  text += '\n';
  return text;
}

LogicalResult codegen::writeArtifact(Location loc, StringRef directory,
                                     StringRef ptx, const LaunchPlan &plan,
                                     DictionaryAttr model) {
  if (std::error_code code = llvm::sys::fs::create_directories(directory))
    return emitError(loc) << directory << ": " << code.message();
  // The manifest comes last: a directory that has one is complete.
  if (failed(writeFile(loc, directory + "/kernels.ptx", ptx)) ||
      failed(copyHostLibrary(loc, directory)))
    return failure();
  return writeFile(loc, directory + "/manifest.json",
                   manifestText(plan, model));
}
