//===- Fuzzer.cpp - Hostile PTX texts ---------------------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Mutations work on words (names with their dots split off, numbers, single
// characters) and on lines; most keep a text close to what the parser accepts,
// so that decoder and handlers get their share.
//
//===----------------------------------------------------------------------===//

#include "Fuzzer.h"
#include "Ropewalk/Emulator/Emulator.h"
#include "Ropewalk/Emulator/TensorMap.h"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>
#include <span>
#include <sstream>

using namespace ropewalk::emulator;
using namespace ropewalk::emulator::fuzz;

namespace {

bool isWord(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         (c >= '0' && c <= '9') || c == '_' || c == '$' || c == '%';
}
bool isDigit(char c) { return c >= '0' && c <= '9'; }

std::string readFile(const std::filesystem::path &path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

std::vector<std::filesystem::path> listFiles(const std::string &folder,
                                             const char *extension) {
  std::vector<std::filesystem::path> paths;
  std::error_code error;
  for (auto &entry : std::filesystem::directory_iterator(folder, error))
    if (entry.path().extension() == extension)
      paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());
  return paths;
}

/// The contents of the string literals of C++ code; neighbours are joined.
std::vector<std::string> literals(const std::string &code) {
  std::vector<std::string> found;
  size_t lastEnd = std::string::npos;
  auto add = [&](std::string text, size_t begin, size_t end) {
    bool isNext = lastEnd != std::string::npos &&
                  code.find_first_not_of(" \t\n", lastEnd) == begin;
    if (isNext)
      found.back() += text;
    else
      found.push_back(std::move(text));
    lastEnd = end;
  };
  for (size_t i = 0; i < code.size(); ++i) {
    if (code.compare(i, 2, "//") == 0) {
      i = std::min(code.find('\n', i), code.size());
    } else if (code.compare(i, 2, "R\"") == 0) {
      size_t open = code.find('(', i);
      if (open == std::string::npos)
        break;
      std::string close = ")" + code.substr(i + 2, open - i - 2) + "\"";
      size_t end = code.find(close, open);
      if (end == std::string::npos)
        break;
      add(code.substr(open + 1, end - open - 1), i, end + close.size());
      i = end + close.size() - 1;
    } else if (code[i] == '\'') {
      i += code[i + 1 < code.size() ? i + 1 : i] == '\\' ? 3 : 2;
    } else if (code[i] == '"') {
      std::string text;
      size_t begin = i++;
      for (; i < code.size() && code[i] != '"' && code[i] != '\n'; ++i) {
        if (code[i] != '\\' || i + 1 == code.size()) {
          text += code[i];
          continue;
        }
        char next = code[++i];
        text += next == 'n' ? '\n' : next == 't' ? '\t' : next;
      }
      add(std::move(text), begin, i + 1);
    }
  }
  return found;
}

std::vector<std::string> splitWords(const std::string &text) {
  std::vector<std::string> words;
  for (size_t i = 0; i < text.size();) {
    size_t begin = i++;
    bool isName = isWord(text[begin]) ||
                  (text[begin] == '.' && i < text.size() && isWord(text[i]));
    while (isName && i < text.size() && isWord(text[i]))
      ++i;
    words.push_back(text.substr(begin, i - begin));
  }
  return words;
}

std::string join(const std::vector<std::string> &parts) {
  std::string text;
  for (const std::string &part : parts)
    text += part;
  return text;
}

bool isRegister(const std::string &word) {
  return word[0] == '%' && word.size() > 2 && isDigit(word.back());
}

/// Gives registers numbers that `bodyText` declares.
std::string foldRegisters(const std::string &statement) {
  std::vector<std::string> words = splitWords(statement);
  for (std::string &word : words)
    if (isRegister(word)) {
      size_t digits = word.find_first_of("0123456789");
      uint64_t number = std::strtoull(word.c_str() + digits, nullptr, 10);
      word = word.substr(0, digits) +
             std::to_string(number % (word[1] == 'p' ? 20 : 40));
    }
  return join(words);
}

/// The instructions in a piece of PTX.
void addStatements(const std::string &text, std::set<std::string> &statements) {
  std::string current;
  for (char c : text + "\n") {
    if (c == ';' || c == '\n') {
      size_t begin = current.find_first_not_of(" \t");
      if (c == ';' && begin != std::string::npos) {
        current = current.substr(begin);
        bool starts =
            current[0] == '@' || (current[0] >= 'a' && current[0] <= 'z');
        if (starts && current.size() < 600 &&
            current.find('.') != std::string::npos)
          statements.insert(foldRegisters(current) + ";");
      }
      current.clear();
    } else {
      current += c;
    }
  }
}

/// Finds out which statements are valid, by halves: most are.
void sortStatements(Corpus &corpus, std::span<const std::string> statements) {
  std::string body;
  for (const std::string &statement : statements)
    body += statement + "\n";
  Error error;
  bool isValid = bool(Module::parse(bodyText(body), error));
  if (isValid || statements.size() == 1) {
    auto &target = isValid ? corpus.statements : corpus.strange;
    target.insert(target.end(), statements.begin(), statements.end());
    return;
  }
  size_t half = statements.size() / 2;
  sortStatements(corpus, statements.first(half));
  sortStatements(corpus, statements.subspan(half));
}

std::vector<std::string> splitLines(const std::string &text) {
  std::vector<std::string> lines;
  for (size_t i = 0; i < text.size();) {
    size_t end = std::min(text.find('\n', i), text.size() - 1) + 1;
    lines.push_back(text.substr(i, end - i));
    i = end;
  }
  return lines;
}

/// Index of a random word that `accepts`; the size if no try finds one.
template <class F>
size_t findWord(const std::vector<std::string> &words, Random &random,
                F accepts) {
  for (int i = 0; i < 60 && !words.empty(); ++i)
    if (size_t index = random.below(words.size()); accepts(words[index]))
      return index;
  return words.size();
}

bool isBlank(const std::string &word) {
  return word == " " || word == "\n" || word == "\t";
}
bool isNumber(const std::string &word) { return isDigit(word[0]); }
bool isModifier(const std::string &word) {
  return word[0] == '.' && word.size() > 1;
}

void mutateWords(std::string &text, Random &random) {
  std::vector<std::string> words = splitWords(text);
  auto any = [](const std::string &word) { return !isBlank(word); };
  // What the parser refuses at once gets less of a share.
  size_t kind = random.oneIn(3) ? random.below(3) : 3 + random.below(5);
  auto accepts = kind <= 2   ? +any
                 : kind <= 4 ? +[](const std::string &w) { return isNumber(w); }
                 : kind == 5
                     ? +[](const std::string &w) { return isModifier(w); }
                     : +[](const std::string &w) { return isRegister(w); };
  size_t at = findWord(words, random, accepts);
  size_t other = findWord(words, random, accepts);
  if (at == words.size() || other == words.size())
    return;
  if (kind == 0)
    words[at].clear();
  else if (kind == 1)
    words[at] += (random.oneIn(2) ? " " : "") + words[at];
  else if (kind == 2 || kind == 5)
    std::swap(words[at], words[other]);
  else if (kind <= 4)
    words[at] = edgeNumber(random);
  else
    words[at] = words[other];
  text = join(words);
}

void mutateLines(const Corpus &corpus, std::string &text, Random &random) {
  std::vector<std::string> lines = splitLines(text);
  if (lines.size() < 2)
    return;
  size_t at = random.below(lines.size()), other = random.below(lines.size());
  switch (random.below(12)) {
  case 0:
    lines[at].clear();
    break;
  case 1:
    lines.insert(lines.begin() + at, lines[other]);
    break;
  case 2:
    std::swap(lines[at], lines[other]);
    break;
  case 3: { // Splice.
    std::vector<std::string> tail = splitLines(random.pick(corpus.texts));
    lines.resize(at);
    lines.insert(lines.end(), tail.begin() + random.below(tail.size()),
                 tail.end());
    break;
  }
  default:
    lines.insert(lines.begin() + at,
                 random.pick(random.oneIn(6) && !corpus.strange.empty()
                                 ? corpus.strange
                                 : corpus.statements) +
                     "\n");
  }
  text = join(lines);
}

void mutateBytes(std::string &text, Random &random) {
  if (text.empty())
    return;
  size_t at = random.below(text.size());
  switch (random.below(4)) {
  case 0:
    text.resize(at);
    break;
  case 1:
    text[at] = char(random.next());
    break;
  case 2:
    text[at] ^= char(1 << random.below(8));
    break;
  default: {
    static const char inserted[] = "{}()[]<>,;:=+-*/!@|&~^?%.\"\0 \n";
    text.insert(at, 1, inserted[random.below(sizeof inserted - 1)]);
  }
  }
}

/// Gives registers other numbers, some of which no declaration has.
std::string renumber(const std::string &statement, Random &random) {
  std::vector<std::string> words = splitWords(statement);
  for (std::string &word : words)
    if (isRegister(word) && random.oneIn(3)) {
      size_t digits = word.find_first_of("0123456789");
      word = word.substr(0, digits) + std::to_string(random.below(20));
    }
  return join(words);
}

std::string generate(const Corpus &corpus, Random &random) {
  std::string body;
  uint64_t count = 1 + random.below(24), labels = 1 + count / 4;
  for (uint64_t i = 0; i < count; ++i) {
    if (random.oneIn(4))
      body += "L" + std::to_string(labels - 1) + ":\n",
          labels -= labels > 1 ? 1 : 0;
    std::string statement = renumber(random.pick(corpus.statements), random);
    if (random.oneIn(5) && statement[0] != '@')
      statement = std::string(random.oneIn(2) ? "@%p" : "@!%p") +
                  std::to_string(random.below(8)) + " " + statement;
    body += statement + "\n";
    if (random.oneIn(8))
      body += (random.oneIn(3) ? "" : "@%p" + std::to_string(random.below(8))) +
              " bra L" + std::to_string(random.below(labels)) + ";\n";
  }
  // Every label exists once.
  std::string text;
  std::set<std::string> seen;
  for (const std::string &line : splitLines(body))
    if (line[0] != 'L' || seen.insert(line).second)
      text += line;
  for (uint64_t i = 0; i <= 1 + count / 4; ++i)
    if (std::string label = "L" + std::to_string(i) + ":\n"; !seen.count(label))
      text += label;
  return bodyText(text + "ret;\n");
}

} // namespace

std::string ropewalk::emulator::fuzz::edgeNumber(Random &random) {
  static const char *const numbers[] = {"0",
                                        "1",
                                        "-1",
                                        "2",
                                        "3",
                                        "4",
                                        "7",
                                        "8",
                                        "15",
                                        "16",
                                        "17",
                                        "31",
                                        "32",
                                        "33",
                                        "63",
                                        "64",
                                        "127",
                                        "128",
                                        "255",
                                        "256",
                                        "1000",
                                        "32768",
                                        "65535",
                                        "65536",
                                        "0x7fffffff",
                                        "2147483648",
                                        "4294967295",
                                        "4294967296",
                                        "0x7fffffffffffffff",
                                        "9223372036854775808",
                                        "18446744073709551615",
                                        "18446744073709551616",
                                        "1000000000000000000000000000000",
                                        "-2147483648",
                                        "-9223372036854775808",
                                        "0f7f800000",
                                        "0fffc00000",
                                        "0d7ff0000000000000",
                                        "1e400",
                                        "0.0"};
  return numbers[random.below(std::size(numbers))];
}

std::string ropewalk::emulator::fuzz::bodyText(const std::string &body) {
  // Registers that nobody has written end most programs at once.
  std::string rest;
  for (int i = 0; i < 40; ++i) {
    std::string n = std::to_string(i);
    rest += "mov.b32 %r" + std::to_string(i + 13) + ", " + n + "; mov.b32 %f" +
            std::to_string(i + 5) + ", 0f3F800000;\n";
    rest += "mov.b16 %h" + n + ", " + n + "; mov.b16 %rs" + n + ", " + n +
            "; mov.f64 %fd" + n + ", 0d3FF8000000000000;\n";
    if (i >= 12)
      rest +=
          "mov.b64 %d" + n + ", " + n + "; mov.b64 %rd" + n + ", " + n + ";\n";
    if (i >= 6 && i < 20)
      rest += "setp.lt.u32 %p" + n + ", %r10, " + n + ";\n";
  }
  return R"(.version 8.7
.target sm_90a
.address_size 64
.extern .shared .align 128 .b8 dynamic[];
.shared .align 1024 .b8 tile[8192];
.shared .align 16 .b64 bar[8];
.global .align 16 .b32 table[64];
.const .align 16 .b32 fixed[64];
.visible .entry k(.param .u64 p0, .param .u64 p1, .param .u64 p2,
  .param .u32 p3, .param .align 64 .b8 map[128])
{
.reg .pred %p<20>; .reg .b16 %h<40>; .reg .b16 %rs<40>; .reg .b32 %r<80>;
.reg .f32 %f<80>; .reg .b64 %d<40>; .reg .b64 %rd<40>; .reg .f64 %fd<40>;
.local .align 16 .b8 stack[64];
ld.param.u64 %d1, [p0]; ld.param.u64 %d2, [p1]; ld.param.u64 %d3, [p2];
mov.u32 %r10, %tid.x; mul.wide.u32 %d4, %r10, 16;
add.s64 %d5, %d1, %d4; add.s64 %d6, %d2, %d4; mov.u64 %d7, map;
cvta.param.u64 %d7, %d7; mov.u32 %r1, tile; mov.u32 %r2, bar;
mov.u64 %d8, bar; cvta.shared.u64 %d8, %d8; mov.u64 %d9, %d1;
mov.u64 %d10, tile; cvta.shared.u64 %d10, %d10; mov.u64 %d11, 1; mov.u64 %d0, 3;
ld.param.u32 %r3, [p3]; mad.lo.u32 %r4, %r10, 16, %r1; mov.u32 %r5, 0;
mov.u32 %r6, 1; mov.u32 %r7, 0xffffffff; mov.u32 %r8, 16; mov.u32 %r9, %laneid;
mov.u32 %r0, 32; mov.u32 %r11, dynamic; mov.u32 %r12, 0x3f800000;
mov.b32 %f1, 0f3F800000; mov.b32 %f2, 0fBF000000; mov.b32 %f3, 0f7F800000;
mov.b32 %f4, 0f7FC00000; mov.f64 %fd1, 0d3FF8000000000000;
mov.b64 %fd2, %d5; mov.b16 %h1, 5; mov.b16 %h2, 0x3c00; mov.b16 %h3, 0xffff;
mov.u64 %rd1, %d1; mov.u64 %rd2, %d2; mov.u64 %rd3, %d4; mov.u64 %rd4, %d5;
setp.eq.u32 %p1, %r10, 0; setp.lt.u32 %p2, %r10, 32; setp.eq.u32 %p3, %r9, 3;
setp.ne.u32 %p4, %r10, %r10; setp.eq.u32 %p5, %r10, %r10;
@%p1 mbarrier.init.shared.b64 [%r2], 1;
@%p1 mbarrier.init.shared.b64 [%r2+8], 2;
bar.sync 0;
)" + rest +
         body + "}\n";
}

Corpus
ropewalk::emulator::fuzz::collect(const std::vector<std::string> &folders,
                                  const std::string &testFolder) {
  Corpus corpus;
  for (const std::string &folder : folders)
    for (const auto &path : listFiles(folder, ".ptx"))
      corpus.texts.push_back(readFile(path));
  std::set<std::string> statements;
  for (const auto &path : listFiles(testFolder, ".cpp"))
    if (path.filename() != "Fuzzer.cpp" && path.filename() != "FuzzTest.cpp")
      for (const std::string &text : literals(readFile(path))) {
        if (Error error; text.find(".entry") != std::string::npos &&
                         Module::parse(text, error))
          corpus.texts.push_back(text);
        addStatements(text, statements);
      }
  for (const std::string &text : corpus.texts)
    addStatements(text, statements);
  std::vector<std::string> list(statements.begin(), statements.end());
  for (std::span<const std::string> rest = list; !rest.empty();) {
    size_t count = std::min<size_t>(rest.size(), 16);
    sortStatements(corpus, rest.first(count));
    rest = rest.subspan(count);
  }
  return corpus;
}

std::string ropewalk::emulator::fuzz::makeCase(const Corpus &corpus,
                                               Random &random) {
  bool isNew = corpus.texts.empty() || random.oneIn(2);
  std::string text =
      isNew ? generate(corpus, random) : random.pick(corpus.texts);
  uint64_t mutations = isNew ? random.below(3) : 1 + random.below(3);
  for (uint64_t i = 0; i < mutations; ++i) {
    uint64_t kind = random.below(10);
    if (kind < 6)
      mutateWords(text, random);
    else if (kind < 9 || !random.oneIn(3))
      mutateLines(corpus, text, random);
    else
      mutateBytes(text, random);
  }
  return text;
}

const char *ropewalk::emulator::fuzz::execute(const std::string &text,
                                              Random &random) {
  Error error;
  auto module = Module::parse(text, error);
  if (!module)
    return "refused";
  Device device;
  std::vector<uint64_t> buffers;
  for (size_t bytes : {65536, 16384, 4096, 1000}) {
    std::vector<uint32_t> content((bytes + 3) / 4);
    uint64_t style = random.below(4);
    for (uint32_t &word : content)
      word = style == 0   ? 0
             : style == 1 ? uint32_t(random.below(64))
             : style == 2 ? 0x3f000000 + uint32_t(random.below(1 << 24))
                          : uint32_t(random.next());
    buffers.push_back(device.allocate(bytes));
    if (!random.oneIn(8))
      device.copyIn(buffers.back(), content.data(), bytes);
  }
  bool anyReport = false;
  for (const Kernel &kernel : module->kernels()) {
    std::vector<std::vector<std::byte>> values;
    size_t next = 0;
    for (const Parameter &parameter : kernel.info.parameters) {
      std::vector<std::byte> &value = values.emplace_back(parameter.size);
      uint64_t number = random.oneIn(16) ? random.next() : random.below(66);
      if (parameter.size == 8 && !random.oneIn(8))
        number = buffers[next++ % buffers.size()];
      if (parameter.size == TensorMapBytes && !random.oneIn(4)) {
        TensorMap map;
        map.type = TensorMapType(random.below(uint64_t(TensorMapType::Count)));
        map.rank = 1 + uint32_t(random.below(5));
        map.address = buffers[0];
        uint64_t stride = sizeOf(map.type);
        for (uint32_t i = 0; i < map.rank; ++i) {
          map.dims[i] = i ? 1 + random.below(8) : 16 << random.below(3);
          map.strides[i] = stride;
          stride *= map.dims[i];
          map.box[i] = i ? 1 + uint32_t(random.below(8)) : 16;
          map.elementStrides[i] = 1 + uint32_t(random.oneIn(4));
        }
        map.swizzle = TensorMapSwizzle(random.below(4));
        std::byte object[TensorMapBytes] = {};
        encode(map, object);
        std::memcpy(value.data(), object, sizeof object);
      } else if (parameter.size <= 8) {
        std::copy_n(reinterpret_cast<const std::byte *>(&number),
                    parameter.size, value.begin());
      } else {
        for (std::byte &byte : value)
          byte = std::byte(random.oneIn(2) ? 0 : random.next());
      }
    }
    std::vector<std::span<const std::byte>> spans(values.begin(), values.end());
    Dim3 block{uint32_t(32 << random.below(3)) - uint32_t(random.oneIn(6)), 1,
               1};
    const Dim3 &required = kernel.info.requiredThreads;
    if (required.count() && required.count() <= 384)
      block = required;
    Dim3 grid{1 + uint32_t(random.below(2)), 1, 1};
    LaunchOptions options;
    options.threads = 1 + unsigned(random.below(2));
    options.instructionBudget = 20000;
    options.checkUninitializedMemory = random.oneIn(2);
    options.checkUninitializedRegisters = random.oneIn(2);
    options.checkRaces = !random.oneIn(3);
    options.scheduleSeed = random.oneIn(3) ? 0 : random.next();
    if (random.oneIn(4)) {
      options.cluster = {2, 1, 1};
      grid.x = 2;
    }
    static const size_t shared[] = {0, 0, 1024, 16384, 98304, 232448};
    LaunchResult result = device.launch(
        kernel, grid, block, shared[random.below(6)], spans, options);
    // Whoever gets a report prints it.
    anyReport |= !result;
    if (!result)
      (void)result.report().str();
    else
      (void)result.counters().json();
  }
  return anyReport ? "report" : "ran";
}
