//===- Attention.cpp - Attention in the C interface -------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Compiled attentions are kept in a cache by structure, so a caller may compile
// before every run.
//
//===----------------------------------------------------------------------===//

#include "AttentionHandle.h"
#include "Support.h"

#include "Ropewalk-c/Ropewalk.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/raw_ostream.h"

#include <cmath>
#include <list>
#include <mutex>

using namespace ropewalk;
using namespace ropewalk::capi;
using runtime::ElementType;
using runtime::Error;
using runtime::Result;
using runtime::Status;

namespace {

/// Structures whose code is kept.
constexpr size_t cacheSize = 128;

/// Least recently used first.
struct Cache {
  std::mutex mutex;
  std::list<std::pair<std::string, std::shared_ptr<Compiled>>> entries;
};

Cache &cache() {
  // Never destroyed: a caller may run attention while the process ends.
  static Cache *instance = new Cache;
  return *instance;
}

} // namespace

//===----------------------------------------------------------------------===//
// Compilation
//===----------------------------------------------------------------------===//

static AttentionStructure readStructure(OptionReader &reader) {
  constexpr int64_t largest = int64_t(1) << 20;
  AttentionStructure s;
  std::string type = reader.text("type", "f32");
  if (type == "f64")
    s.type = ElementType::F64;
  else if (type != "f32")
    reader.fail("'type' expects f32 or f64, got '" + type + "'");
  s.queryHeads = reader.integer("query_heads", 0, 1, largest);
  s.kvHeads = reader.integer("kv_heads", 0, 1, largest);
  s.headDim = reader.integer("head_dim", 0, 1, largest);
  for (auto [name, size] :
       {std::pair{"query_heads", s.queryHeads},
        std::pair{"kv_heads", s.kvHeads}, std::pair{"head_dim", s.headDim}})
    if (size == 0)
      reader.fail(llvm::Twine("expected the key '") + name + "'");
  s.valueDim = reader.integer("value_dim", s.headDim, 1, largest);
  s.map = reader.text("map", "");
  s.rotary = reader.text("rotary", "");
  if (s.map.empty())
    reader.fail("expected the key 'map'");
  if (s.rotary.empty())
    reader.fail("expected the key 'rotary'");
  s.scale = reader.number("scale").value_or(
      1.0 / std::sqrt(static_cast<double>(std::max<int64_t>(s.headDim, 1))));
  s.causal = reader.boolean("causal", true);
  s.softcap = reader.number("softcap");
  s.biasAxes = reader.flags("bias");
  s.lse = reader.boolean("lse", false);
  for (const std::string &operand : reader.texts("operands")) {
    if (operand == "query_offset")
      s.queryOffset = true;
    else if (operand == "key_length")
      s.keyLength = true;
    else if (operand == "position_offset")
      s.positionOffset = true;
    else
      reader.fail("'operands' expects query_offset, key_length and "
                  "position_offset, got '" +
                  operand + "'");
  }
  return s;
}

/// Equal for equal structures and only for those.
static std::string keyOf(const AttentionStructure &s, const Target &target,
                         unsigned threads) {
  auto bits = [](double value) { return llvm::bit_cast<uint64_t>(value); };
  std::string key;
  llvm::raw_string_ostream os(key);
  os << target.str() << '\n' << threads << '\n' << runtime::name(s.type).data();
  for (int64_t size : {s.queryHeads, s.kvHeads, s.headDim, s.valueDim})
    os << ' ' << size;
  os << ' ' << bits(s.scale) << ' ' << (s.softcap ? bits(*s.softcap) : 0) << ' '
     << s.softcap.has_value() << s.causal << s.lse << s.queryOffset
     << s.keyLength << s.positionOffset << s.biasAxes.has_value();
  if (s.biasAxes)
    os << (*s.biasAxes)[0] << (*s.biasAxes)[1];
  os << '\n' << s.rotary << '\n' << s.map;
  return key;
}

static Result<std::shared_ptr<Compiled>>
findOrCompile(const AttentionStructure &structure, const Target &target,
              unsigned threads) {
  std::string key = keyOf(structure, target, threads);
  Cache &kept = cache();
  std::lock_guard<std::mutex> lock(kept.mutex);
  for (auto entry = kept.entries.begin(); entry != kept.entries.end(); ++entry)
    if (entry->first == key) {
      kept.entries.splice(kept.entries.end(), kept.entries, entry);
      return entry->second;
    }
  auto attention = compileAttention(structure, target, threads);
  if (!attention)
    return attention.error();
  auto compiled = std::make_shared<Compiled>();
  compiled->structure = structure;
  compiled->attention = *std::move(attention);
  kept.entries.emplace_back(key, compiled);
  if (kept.entries.size() > cacheSize)
    kept.entries.pop_front();
  return compiled;
}

int ropewalk_attention_compile(const char *descriptor,
                               RopewalkAttention **attention) {
  if (!descriptor)
    return fail(Error("argument 'descriptor': expected a pointer, got null"));
  if (!attention)
    return fail(Error("argument 'attention': expected a pointer, got null"));
  OptionReader reader(descriptor, "attention");
  auto target = Target::parse(reader.text("target", "cpu"));
  if (!target)
    reader.fail(target.error().message());
  int64_t threads = reader.integer("threads", 0, 0, 4096);
  AttentionStructure structure = readStructure(reader);
  if (Status status = reader.finish(); !status)
    return fail(status.error());
  auto compiled = findOrCompile(structure, *target, threads);
  if (!compiled)
    return fail(compiled.error());
  *attention = new RopewalkAttention{*std::move(compiled)};
  return ROPEWALK_OK;
}

int ropewalk_attention_info(RopewalkAttention *attention, char **json) {
  if (!attention || !json)
    return fail(Error("arguments: expected pointers, got null"));
  llvm::json::Array parameters;
  AttentionProgram &program = attention->compiled->attention;
  for (const AttentionProgram::Parameter &parameter : program.parameters)
    parameters.push_back(llvm::json::Array{parameter.name, parameter.minimum});
  llvm::json::Object info;
  info["parameters"] = std::move(parameters);
  info["device"] = program.program->deviceName();
  *json =
      copyText(llvm::formatv("{0}", llvm::json::Value(std::move(info))).str());
  return *json ? ROPEWALK_OK : fail(Error("out of memory"));
}

void ropewalk_attention_free(RopewalkAttention *attention) { delete attention; }
