//===- ModelArguments.h - Arguments that load a model -----------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What `run` and `score` share: the arguments that say which model runs where
// and under which map, token files, progress and interruption.
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_TOOLS_ROPEWALK_MODELARGUMENTS_H
#define ROPEWALK_TOOLS_ROPEWALK_MODELARGUMENTS_H

#include "Ropewalk/Pipelines/Load.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"

#include <functional>
#include <string>
#include <utility>
#include <vector>

/// Exit statuses.
inline constexpr int exitDone = 0, exitFailed = 1, exitUsage = 2,
                     exitInterrupted = 130;

/// The part of a usage text that describes the arguments read here.
extern const llvm::StringLiteral modelArgumentsUsage;

/// Prints "error: MESSAGE" and returns `status`.
int reportError(const llvm::Twine &message, int status = exitFailed);

/// Arguments of a subcommand that runs a model.
class ModelArguments {
public:
  /// Reads all arguments. `value(name)` is asked for every option that is not
  /// read here: it returns where its value goes, or null where there is no
  /// such option; `flag(name)` likewise for options without value, and returns
  /// whether there is one. False after an error, which is printed.
  bool parse(int argc, char **argv,
             llvm::function_ref<std::string *(llvm::StringRef)> value,
             llvm::function_ref<bool(llvm::StringRef)> flag);

  /// Loads the model, showing progress where standard error is a terminal.
  /// From here on an interrupt cancels what the model does.
  ropewalk::runtime::Result<ropewalk::LoadedModel> load();

  const std::string &directory() const { return path; }
  /// Where the files of the checkpoint are.
  const std::string &checkpoint() const {
    return options.weights.empty() ? path : options.weights;
  }

private:
  bool readOption(llvm::StringRef name, llvm::StringRef value);
  bool readParameter(llvm::StringRef name, llvm::StringRef value);
  bool finishMap();

  std::string path;
  ropewalk::LoadOptions options;
  std::string method;
  std::vector<std::pair<std::string, int64_t>> parameters;
};

/// Prints the error of a call of the model; the exit status.
int reportFailure(const ropewalk::runtime::Error &error);

/// Ends the line that shows progress.
void clearProgress();

/// What config.json and generation_config.json say of the text of a model.
struct TextDescription {
  /// Token ids are the bytes of a text.
  bool isBytes = false;
  /// Ids that end a text.
  std::vector<int32_t> stopIds;
};
ropewalk::runtime::Result<TextDescription>
describeText(llvm::StringRef directory);

/// The whole file, or standard input for "-".
ropewalk::runtime::Result<std::string> readInput(llvm::StringRef file);

/// Ids separated by white space or commas.
ropewalk::runtime::Result<std::vector<int32_t>> parseIds(llvm::StringRef text,
                                                         llvm::StringRef file);

/// The bytes of a text as ids.
std::vector<int32_t> bytesToIds(llvm::StringRef text);

#endif // ROPEWALK_TOOLS_ROPEWALK_MODELARGUMENTS_H
