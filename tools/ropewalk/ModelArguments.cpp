//===- ModelArguments.cpp - Arguments that load a model ---------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ModelArguments.h"

#include "Ropewalk/Import/Config.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"

#include <atomic>
#include <chrono>
#include <csignal>
#include <limits>
#include <unistd.h>

using namespace ropewalk;
using llvm::StringRef;
using runtime::Error;
using runtime::Result;

const llvm::StringLiteral modelArgumentsUsage =
    "  --map MAP         position map, an attribute such as\n"
    "                    '#rope.self_extend<group = 8, window = 64>'; given\n"
    "                    once, or once for each layer\n"
    "  --method NAME     position map by its name; every further option\n"
    "                    --PARAMETER NUMBER is a parameter of it, such as\n"
    "                    --method self_extend --group 8 --window 64\n"
    "  --target TARGET   cpu (default), cuda, cuda:N, emulate:sm_80 or\n"
    "                    emulate:sm_90a\n"
    "  --threads N       processor threads (default 0: one per processor)\n"
    "  --chunk N         tokens that run at once (default 512)\n"
    "  --capacity N      slots of the cache at the beginning (default 512)\n"
    "  --weights DIR     where the checkpoint of an artifact is\n";

//===----------------------------------------------------------------------===//
// Messages, progress, interruption
//===----------------------------------------------------------------------===//

namespace {

std::atomic<bool> interrupted = false;
bool progressShown = false;

void onInterrupt(int) {
  // The next one ends the process at once (SA_RESETHAND).
  interrupted = true;
}

void catchInterrupt() {
  struct sigaction action = {};
  action.sa_handler = onInterrupt;
  action.sa_flags = SA_RESETHAND;
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, nullptr);
}

/// Shows a stage at most ten times a second.
void showProgress(const runtime::Progress &now) {
  using Clock = std::chrono::steady_clock;
  static Clock::time_point last;
  static std::string stage;
  // Tokens appear by themselves.
  if (now.stage == "generate")
    return;
  Clock::time_point time = Clock::now();
  if (stage == now.stage && now.done < now.total &&
      time - last < std::chrono::milliseconds(100))
    return;
  last = time;
  stage = now.stage;
  llvm::errs() << "\r\033[K" << stage;
  if (now.total > 1)
    llvm::errs() << ' ' << now.done << '/' << now.total;
  progressShown = true;
  if (now.done == now.total)
    clearProgress();
}

} // namespace

void clearProgress() {
  if (progressShown)
    llvm::errs() << "\r\033[K";
  progressShown = false;
}

int reportError(const llvm::Twine &message, int status) {
  clearProgress();
  llvm::errs() << "error: " << message << "\n";
  return status;
}

int reportFailure(const Error &error) {
  if (error.message() != "cancelled")
    return reportError(error.message());
  clearProgress();
  llvm::errs() << "interrupted\n";
  return exitInterrupted;
}

//===----------------------------------------------------------------------===//
// Arguments
//===----------------------------------------------------------------------===//

static bool readNumber(StringRef name, StringRef value, int64_t minimum,
                       int64_t maximum, int64_t &number) {
  if (!value.getAsInteger(10, number) && number >= minimum && number <= maximum)
    return true;
  reportError("--" + name + " expects an integer from " + llvm::Twine(minimum) +
              " to " + llvm::Twine(maximum) + ", got '" + value + "'");
  return false;
}

bool ModelArguments::readOption(StringRef name, StringRef value) {
  constexpr int64_t slots = int64_t(1) << 24;
  int64_t number = 0;
  if (value.empty()) {
    // An unset variable of the shell must not turn an option off.
    reportError("--" + name + " expects a value, got an empty one");
    return false;
  }
  if (name == "map") {
    options.maps.push_back(value.str());
  } else if (name == "method") {
    method = value.str();
  } else if (name == "weights") {
    options.weights = value.str();
  } else if (name == "target") {
    Result<Target> target = Target::parse(value);
    if (!target) {
      reportError("--" + target.error().message());
      return false;
    }
    options.target = *target;
  } else if (name == "threads") {
    if (!readNumber(name, value, 0, 4096, number))
      return false;
    options.threads = number;
  } else if (name == "chunk") {
    return readNumber(name, value, 1, slots, options.session.chunk);
  } else if (name == "capacity") {
    return readNumber(name, value, 1, slots, options.session.capacity);
  }
  return true;
}

bool ModelArguments::readParameter(StringRef name, StringRef value) {
  int64_t number = 0;
  if (!readNumber(name, value, 0, std::numeric_limits<int64_t>::max(), number))
    return false;
  for (const auto &[other, before] : parameters)
    if (other == name) {
      reportError("--" + name + " is given twice");
      return false;
    }
  parameters.emplace_back(name.str(), number);
  return true;
}

bool ModelArguments::finishMap() {
  if (method.empty())
    return true;
  if (!options.maps.empty()) {
    reportError("expected --map or --method, got both");
    return false;
  }
  Result<std::string> map = composeMap(method, parameters);
  if (!map) {
    reportError("--method: " + map.error().message());
    return false;
  }
  options.maps = {*map};
  return true;
}

bool ModelArguments::parse(int argc, char **argv,
                           llvm::function_ref<std::string *(StringRef)> value,
                           llvm::function_ref<bool(StringRef)> flag) {
  constexpr StringRef known[] = {"map",   "method",  "target",  "threads",
                                 "chunk", "weights", "capacity"};
  bool methodGiven = false;
  for (int i = 1; i < argc; ++i)
    methodGiven |= StringRef(argv[i]) == "--method" ||
                   StringRef(argv[i]).starts_with("--method=");
  for (int i = 1; i < argc; ++i) {
    StringRef argument = argv[i];
    if (!argument.starts_with("-") || argument == "-") {
      if (!path.empty()) {
        reportError("unexpected argument '" + argument + "'");
        return false;
      }
      path = argument.str();
      continue;
    }
    auto [name, text] =
        argument.drop_while([](char c) { return c == '-'; }).split('=');
    bool hasText = argument.contains('=');
    if (!hasText && flag(name))
      continue;
    std::string *destination = value(name);
    bool isKnown = llvm::is_contained(known, name);
    if (!argument.starts_with("--") ||
        (!destination && !isKnown && !methodGiven)) {
      reportError("unknown option '" + argument + "'");
      return false;
    }
    if (!hasText) {
      if (i + 1 == argc) {
        reportError(argument + " expects a value");
        return false;
      }
      text = argv[++i];
    }
    if (destination)
      *destination = text.str();
    else if (!(isKnown ? readOption(name, text) : readParameter(name, text)))
      return false;
  }
  if (path.empty()) {
    reportError("expected the directory of a model");
    return false;
  }
  return finishMap();
}

Result<LoadedModel> ModelArguments::load() {
  catchInterrupt();
  options.session.cancel = &interrupted;
  if (isatty(STDERR_FILENO))
    options.session.progress = showProgress;
  Result<LoadedModel> model = loadModel(path, options);
  clearProgress();
  if (model)
    for (const std::string &warning : model->warnings)
      llvm::errs() << "warning: " << warning << "\n";
  return model;
}

//===----------------------------------------------------------------------===//
// Files
//===----------------------------------------------------------------------===//

/// Adds the ids of `value`, a number or a list of numbers, to `ids`.
static bool readIds(const llvm::json::Value &value, std::vector<int32_t> &ids) {
  if (const llvm::json::Array *list = value.getAsArray())
    return llvm::all_of(*list, [&](const llvm::json::Value &each) {
      return !each.getAsArray() && readIds(each, ids);
    });
  std::optional<int64_t> id = value.getAsInteger();
  if (!id || *id < 0 || *id > std::numeric_limits<int32_t>::max())
    return false;
  ids.push_back(static_cast<int32_t>(*id));
  return true;
}

Result<TextDescription> describeText(StringRef directory) {
  TextDescription description;
  for (StringRef name : {"config.json", "generation_config.json"}) {
    llvm::SmallString<128> path(directory);
    llvm::sys::path::append(path, name);
    // Only the first must be there; what is there must be readable.
    if (name != "config.json" && !llvm::sys::fs::exists(path))
      continue;
    llvm::Expected<llvm::json::Object> object = readJsonObject(path);
    if (!object)
      return Error(llvm::toString(object.takeError()));
    if (object->getString("ropewalk_vocabulary") == "bytes")
      description.isBytes = true;
    const llvm::json::Value *ids = object->get("eos_token_id");
    if (ids && !ids->getAsNull() && !readIds(*ids, description.stopIds))
      return Error(
          path.str().str(),
          ": eos_token_id: expected a token id or a list of them, got ",
          llvm::formatv("{0}", *ids).str());
  }
  return description;
}

Result<std::string> readInput(StringRef file) {
  auto buffer =
      llvm::MemoryBuffer::getFileOrSTDIN(file, /*IsText=*/false, false);
  if (!buffer)
    return Error(file == "-" ? "standard input" : file.str(), ": ",
                 buffer.getError().message());
  return (*buffer)->getBuffer().str();
}

Result<std::vector<int32_t>> parseIds(StringRef text, StringRef file) {
  std::vector<int32_t> ids;
  auto isSeparator = [](char c) { return llvm::isSpace(c) || c == ','; };
  for (text = text.drop_while(isSeparator); !text.empty();
       text = text.drop_while(isSeparator)) {
    StringRef word = text.take_until(isSeparator);
    text = text.drop_front(word.size());
    int32_t id = 0;
    if (word.getAsInteger(10, id))
      return Error(file.str(), ": token ", ids.size(),
                   ": expected an id, a number, got '",
                   word.take_front(40).str(), "'");
    ids.push_back(id);
  }
  if (ids.empty())
    return Error(file.str(), ": expected token ids, got none");
  return ids;
}

std::vector<int32_t> bytesToIds(StringRef text) {
  std::vector<int32_t> ids;
  for (char c : text)
    ids.push_back(static_cast<unsigned char>(c));
  return ids;
}
