//===- Run.cpp - ropewalk run -----------------------------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Continues a prompt. A model whose tokens are bytes takes and gives text; for
// all others tokens are ids, in and out.
//
//===----------------------------------------------------------------------===//

#include "ModelArguments.h"
#include "Subcommands.h"

#include "llvm/Support/raw_ostream.h"

using namespace ropewalk;
using llvm::StringRef;
using runtime::Result;

static void printUsage(llvm::raw_ostream &os) {
  os << "usage: ropewalk run DIR (--prompt TEXT | --ids FILE) [OPTION ...]\n"
        "\n"
        "Continues a prompt with the model in DIR, always by the most likely\n"
        "token. DIR is a Hugging Face directory (model types qwen2 and llama) "
        "or\n"
        "an artifact.\n"
        "\n"
        "  --prompt TEXT     text, where the model's tokens are bytes\n"
        "                    (\"ropewalk_vocabulary\": \"bytes\" in "
        "config.json);\n"
        "                    a tokenizer.json needs python -m ropewalk run\n"
        "  --ids FILE        token ids; - is standard input. The output is "
        "ids\n"
        "                    too\n"
        "  --max-new-tokens N  (default 64)\n"
        "  --ignore-eos      do not stop at the ids that the model's files "
        "name\n"
     << modelArgumentsUsage
     << "\nThe exit status is 0 (done), 1 (failed), 2 (wrong usage) or 130\n"
        "(interrupted).\n";
}

int runMain(int argc, char **argv) {
  std::string prompt, ids, maxNewTokens = "64";
  bool promptGiven = false, ignoreEnd = false;
  ModelArguments arguments;
  auto value = [&](StringRef name) -> std::string * {
    promptGiven |= name == "prompt";
    return name == "prompt"           ? &prompt
           : name == "ids"            ? &ids
           : name == "max-new-tokens" ? &maxNewTokens
                                      : nullptr;
  };
  auto flag = [&](StringRef name) {
    ignoreEnd |= name == "ignore-eos";
    return name == "ignore-eos";
  };
  for (int i = 1; i < argc; ++i)
    if (StringRef(argv[i]) == "--help" || StringRef(argv[i]) == "-h") {
      printUsage(llvm::outs());
      return exitDone;
    }
  if (!arguments.parse(argc, argv, value, flag))
    return exitUsage;
  if (promptGiven != ids.empty())
    return reportError("expected either --prompt TEXT or --ids FILE",
                       exitUsage);
  runtime::GenerateOptions options;
  if (StringRef(maxNewTokens).getAsInteger(10, options.maxNewTokens) ||
      options.maxNewTokens < 0)
    return reportError("--max-new-tokens expects an integer of at least 0, "
                       "got '" +
                           maxNewTokens + "'",
                       exitUsage);

  const std::string &directory = arguments.checkpoint();
  Result<TextDescription> described = describeText(directory);
  if (!described)
    return reportFailure(described.error());
  const TextDescription &text = *described;
  if (promptGiven && !text.isBytes)
    return reportError(directory +
                       ": the tokens of this model are not bytes, so --prompt "
                       "needs its tokenizer: python -m ropewalk run, or give "
                       "--ids FILE");
  std::vector<int32_t> tokens;
  if (promptGiven) {
    tokens = bytesToIds(prompt);
    if (tokens.empty())
      return reportError("--prompt expects at least one byte", exitUsage);
  } else {
    Result<std::string> file = readInput(ids);
    if (!file)
      return reportFailure(file.error());
    auto parsed = parseIds(*file, ids == "-" ? "standard input" : ids);
    if (!parsed)
      return reportFailure(parsed.error());
    tokens = *std::move(parsed);
  }

  Result<LoadedModel> model = arguments.load();
  if (!model)
    return reportFailure(model.error());
  if (!ignoreEnd)
    options.stopIds = text.stopIds;
  bool first = true;
  options.onToken = [&](int64_t, int32_t token) {
    clearProgress();
    if (promptGiven)
      llvm::outs() << static_cast<char>(token);
    else
      llvm::outs() << (first ? "" : " ") << token;
    llvm::outs().flush();
    first = false;
    return true;
  };
  auto result =
      model->session->generate(runtime::TokenBatch::single(tokens), options);
  if (!first)
    llvm::outs() << "\n";
  if (!result)
    return reportFailure(result.error());
  return exitDone;
}
