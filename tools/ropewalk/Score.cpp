//===- Score.cpp - ropewalk score -------------------------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Negative log likelihood of a sequence, in buckets of positions: where a model
// stops to understand what it reads shows as a step.
//
//===----------------------------------------------------------------------===//

#include "ModelArguments.h"
#include "Subcommands.h"

#include "llvm/Support/Format.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/raw_ostream.h"

#include <cmath>

using namespace ropewalk;
using llvm::StringRef;
using runtime::Result;

static void printUsage(llvm::raw_ostream &os) {
  os << "usage: ropewalk score DIR (--ids FILE | --text FILE) [OPTION ...]\n"
        "\n"
        "Prints the negative log likelihood, in nats per token, that the model "
        "in\n"
        "DIR gives a sequence, each token given all before it.\n"
        "\n"
        "  --ids FILE        token ids; - is standard input\n"
        "  --text FILE       text, where the model's tokens are bytes\n"
        "  --buckets N       parts of the sequence that are averaged (default "
        "8)\n"
        "  --json            print JSON\n"
     << modelArgumentsUsage
     << "\nThe exit status is 0 (done), 1 (failed), 2 (wrong usage) or 130\n"
        "(interrupted).\n";
}

namespace {
/// The tokens at positions first to last.
struct Bucket {
  int64_t first, last;
  double mean;
};
} // namespace

static double meanOf(llvm::ArrayRef<double> values) {
  double sum = 0;
  for (double value : values)
    sum += value;
  return sum / static_cast<double>(values.size());
}

static std::vector<Bucket> makeBuckets(llvm::ArrayRef<double> scores,
                                       int64_t count) {
  std::vector<Bucket> buckets;
  int64_t size = scores.size();
  for (int64_t b = 0; b < count; ++b) {
    // scores[i] is that of the token at position i + 1.
    int64_t begin = size * b / count, end = size * (b + 1) / count;
    buckets.push_back(
        {begin + 1, end, meanOf(scores.slice(begin, end - begin))});
  }
  return buckets;
}

static void printTable(llvm::raw_ostream &os,
                       const std::vector<Bucket> &buckets, double mean) {
  os << "positions          tokens       nll\n";
  for (const Bucket &bucket : buckets)
    os << llvm::format(
        "%8lld-%-8lld %7lld %9.4f\n", static_cast<long long>(bucket.first),
        static_cast<long long>(bucket.last),
        static_cast<long long>(bucket.last - bucket.first + 1), bucket.mean);
  os << llvm::format("all               %7lld %9.4f\n",
                     static_cast<long long>(buckets.back().last), mean);
}

static void printJSON(llvm::raw_ostream &os, const std::vector<Bucket> &buckets,
                      double mean, const LoadedModel &model) {
  llvm::json::OStream json(os, 2);
  json.object([&] {
    json.attribute("tokens", buckets.back().last + 1);
    json.attribute("nll", mean);
    json.attribute("perplexity", std::exp(mean));
    json.attributeArray("buckets", [&] {
      for (const Bucket &bucket : buckets)
        json.object([&] {
          json.attribute("first", bucket.first);
          json.attribute("last", bucket.last);
          json.attribute("nll", bucket.mean);
        });
    });
    json.attributeArray("maps", [&] {
      for (const std::string &map : model.maps)
        json.value(map);
    });
    json.attribute("device", model.session->program().deviceName());
  });
  os << "\n";
}

int scoreMain(int argc, char **argv) {
  std::string ids, text, bucketCount;
  bool json = false;
  ModelArguments arguments;
  auto value = [&](StringRef name) -> std::string * {
    return name == "ids"       ? &ids
           : name == "text"    ? &text
           : name == "buckets" ? &bucketCount
                               : nullptr;
  };
  auto flag = [&](StringRef name) {
    json |= name == "json";
    return name == "json";
  };
  for (int i = 1; i < argc; ++i)
    if (StringRef(argv[i]) == "--help" || StringRef(argv[i]) == "-h") {
      printUsage(llvm::outs());
      return exitDone;
    }
  if (!arguments.parse(argc, argv, value, flag))
    return exitUsage;
  if (ids.empty() == text.empty())
    return reportError("expected either --ids FILE or --text FILE", exitUsage);
  Result<TextDescription> described = describeText(arguments.checkpoint());
  if (!described)
    return reportFailure(described.error());
  if (!text.empty() && !described->isBytes)
    return reportError(
        arguments.checkpoint() +
        ": the tokens of this model are not bytes, so --text needs its "
        "tokenizer: python -m ropewalk score, or give --ids FILE");
  const std::string &name = ids.empty() ? text : ids;
  Result<std::string> file = readInput(name);
  if (!file)
    return reportFailure(file.error());
  std::vector<int32_t> tokens = bytesToIds(*file);
  if (!ids.empty()) {
    auto parsed = parseIds(*file, ids == "-" ? "standard input" : ids);
    if (!parsed)
      return reportFailure(parsed.error());
    tokens = *std::move(parsed);
  }
  if (tokens.size() < 2)
    return reportError(name + ": expected at least two tokens, got " +
                       llvm::Twine(tokens.size()));
  int64_t scored = tokens.size() - 1;
  int64_t buckets = std::min<int64_t>(8, scored);
  if (!bucketCount.empty() &&
      (StringRef(bucketCount).getAsInteger(10, buckets) || buckets < 1 ||
       buckets > scored))
    return reportError("--buckets expects an integer from 1 to " +
                           llvm::Twine(scored) + ", got '" + bucketCount + "'",
                       exitUsage);

  Result<LoadedModel> model = arguments.load();
  if (!model)
    return reportFailure(model.error());
  Result<std::vector<double>> scores = model->session->score(tokens);
  if (!scores)
    return reportFailure(scores.error());
  clearProgress();
  std::vector<Bucket> result = makeBuckets(*scores, buckets);
  double mean = meanOf(*scores);
  if (json)
    printJSON(llvm::outs(), result, mean, *model);
  else
    printTable(llvm::outs(), result, mean);
  return exitDone;
}
