//===- JITProgram.cpp - A program compiled in this process -----*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// An object is linked by ORC. It may name the functions in the list below and
// nothing else: a symbol that is found by chance in the process is not used.
//
// An entry takes an array of pointers: the address where its results go (one
// memref descriptor after another), then for each argument the address of its
// descriptor, or of the value of a scalar. Result buffers are made by the code
// with malloc; the program owns them until its next run.
//
//===----------------------------------------------------------------------===//

#include "Ropewalk/Codegen/CPU/JITProgram.h"

#include "Ropewalk/Codegen/CPU/Matmul.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ExecutionEngine/Orc/AbsoluteSymbols.h"
#include "llvm/ExecutionEngine/Orc/LLJIT.h"
#include "llvm/Support/TargetSelect.h"

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <unordered_set>

using namespace ropewalk;
using runtime::EntrySignature;
using runtime::Error;
using runtime::Result;
using runtime::TensorView;

// The parts of the OpenMP runtime that compiled loops call; the types do not
// matter here, only the addresses.
extern "C" {
void __kmpc_fork_call();
void __kmpc_fork_call_if();
void __kmpc_global_thread_num();
void __kmpc_barrier();
void __kmpc_push_num_threads();
void __kmpc_for_static_init_4u();
void __kmpc_for_static_init_8u();
void __kmpc_for_static_fini();
void __kmpc_dispatch_init_4u();
void __kmpc_dispatch_init_8u();
void __kmpc_dispatch_next_4u();
void __kmpc_dispatch_next_8u();
void __kmpc_dispatch_fini_4u();
void __kmpc_dispatch_fini_8u();
void __kmpc_dispatch_deinit();
void omp_set_num_threads(int count);
int omp_get_num_procs();
}

namespace {

struct ProvidedSymbol {
  const char *name;
  void *address;
};

template <typename Function> void *addressOf(Function *function) {
  return reinterpret_cast<void *>(function);
}

#define SYMBOL(NAME) {#NAME, addressOf(NAME)}
#define MATH(NAME, TYPE, ...)                                                  \
  {#NAME, addressOf(static_cast<TYPE (*)(__VA_ARGS__)>(NAME))}

std::vector<ProvidedSymbol> providedSymbols() {
  return {
      SYMBOL(malloc),
      SYMBOL(free),
      SYMBOL(abort),
      SYMBOL(memcpy),
      SYMBOL(memmove),
      SYMBOL(memset),
      MATH(sin, double, double),
      MATH(cos, double, double),
      {"sincos", addressOf(::sincos)},
      {"sinf", addressOf(::sinf)},
      {"cosf", addressOf(::cosf)},
      {"sincosf", addressOf(::sincosf)},
      MATH(exp, double, double),
      {"expf", addressOf(::expf)},
      MATH(log, double, double),
      {"logf", addressOf(::logf)},
      MATH(tanh, double, double),
      {"tanhf", addressOf(::tanhf)},
      MATH(erf, double, double),
      {"erff", addressOf(::erff)},
      MATH(pow, double, double, double),
      {"powf", addressOf(::powf)},
      MATH(fmod, double, double, double),
      {"fmodf", addressOf(::fmodf)},
      SYMBOL(ropewalk_matmul_f32),
      SYMBOL(ropewalk_matmul_f16),
      SYMBOL(ropewalk_matmul_bf16),
      SYMBOL(__kmpc_fork_call),
      SYMBOL(__kmpc_fork_call_if),
      SYMBOL(__kmpc_global_thread_num),
      SYMBOL(__kmpc_barrier),
      SYMBOL(__kmpc_push_num_threads),
      SYMBOL(__kmpc_for_static_init_4u),
      SYMBOL(__kmpc_for_static_init_8u),
      SYMBOL(__kmpc_for_static_fini),
      SYMBOL(__kmpc_dispatch_init_4u),
      SYMBOL(__kmpc_dispatch_init_8u),
      SYMBOL(__kmpc_dispatch_next_4u),
      SYMBOL(__kmpc_dispatch_next_8u),
      SYMBOL(__kmpc_dispatch_fini_4u),
      SYMBOL(__kmpc_dispatch_fini_8u),
      SYMBOL(__kmpc_dispatch_deinit),
  };
}

std::string text(llvm::Error error) { return llvm::toString(std::move(error)); }

/// A memref descriptor as words: allocated pointer, aligned pointer, offset,
/// sizes, strides.
std::vector<int64_t> describe(uint64_t address,
                              const std::vector<int64_t> &shape) {
  size_t rank = shape.size();
  std::vector<int64_t> words(3 + 2 * rank);
  words[0] = words[1] = static_cast<int64_t>(address);
  int64_t stride = 1;
  for (size_t axis = rank; axis-- > 0;) {
    words[3 + axis] = shape[axis];
    words[3 + rank + axis] = stride;
    stride *= shape[axis];
  }
  return words;
}

class JITProgram final : public runtime::HostProgram {
public:
  using Function = void (*)(void **);

  JITProgram(std::unique_ptr<llvm::orc::LLJIT> jit,
             std::vector<EntrySignature> signatures,
             std::vector<Function> functions, unsigned threads,
             std::string description)
      : jit(std::move(jit)), signatures(std::move(signatures)),
        functions(std::move(functions)), threads(threads),
        description(std::move(description)) {}
  ~JITProgram() override { freeResults(); }

  std::span<const EntrySignature> entries() const override {
    return signatures;
  }
  std::string deviceName() const override { return "cpu"; }
  std::string modelDescription() const override { return description; }
  size_t residentBytes() const override { return resultBytes; }

  Result<std::vector<TensorView>>
  run(size_t index, std::span<const TensorView> arguments) override;

private:
  void freeResults() {
    for (void *pointer : resultBuffers)
      free(pointer);
    resultBuffers.clear();
    resultBytes = 0;
  }

  std::unique_ptr<llvm::orc::LLJIT> jit;
  std::vector<EntrySignature> signatures;
  std::vector<Function> functions;
  unsigned threads;
  std::string description;
  std::unordered_set<void *> resultBuffers;
  size_t resultBytes = 0;
};

Result<std::vector<TensorView>>
JITProgram::run(size_t index, std::span<const TensorView> arguments) {
  if (index >= signatures.size())
    return Error("there is no entry ", index, ", the program has ",
                 signatures.size());
  const EntrySignature &entry = signatures[index];
  Result<runtime::Bindings> bindings = runtime::bindSizes(entry, arguments);
  if (!bindings)
    return bindings.error();
  for (size_t i = 0; i < arguments.size(); ++i) {
    int64_t count = 1;
    for (int64_t size : arguments[i].shape)
      count *= size;
    if (count > 0 && arguments[i].address == 0)
      return Error("argument '", entry.arguments[i].name, "' has no memory");
  }
  freeResults();

  std::vector<size_t> resultOffsets;
  size_t words = 0;
  for (const runtime::ResultSignature &result : entry.results) {
    resultOffsets.push_back(words);
    words += 3 + 2 * result.shape.size();
  }
  std::vector<int64_t> results(words);
  std::vector<std::vector<int64_t>> descriptors;
  std::vector<void *> pointers;
  if (words)
    pointers.push_back(results.data());
  descriptors.reserve(arguments.size());
  for (size_t i = 0; i < arguments.size(); ++i) {
    if (entry.arguments[i].shape.empty()) {
      pointers.push_back(reinterpret_cast<void *>(arguments[i].address));
      continue;
    }
    descriptors.push_back(describe(arguments[i].address, arguments[i].shape));
    pointers.push_back(descriptors.back().data());
  }
  omp_set_num_threads(static_cast<int>(
      threads ? threads : static_cast<unsigned>(omp_get_num_procs())));
  functions[index](pointers.data());

  std::vector<TensorView> views;
  for (size_t i = 0; i < entry.results.size(); ++i) {
    const int64_t *descriptor = results.data() + resultOffsets[i];
    size_t rank = entry.results[i].shape.size();
    TensorView view;
    size_t bytes = runtime::byteSize(entry.results[i].type);
    view.address = static_cast<uint64_t>(descriptor[1]) + bytes * descriptor[2];
    view.shape.assign(descriptor + 3, descriptor + 3 + rank);
    for (int64_t size : view.shape)
      bytes *= size;
    if (resultBuffers.insert(reinterpret_cast<void *>(descriptor[0])).second)
      resultBytes += bytes;
    views.push_back(std::move(view));
  }
  return views;
}

} // namespace

Result<std::unique_ptr<runtime::Program>>
ropewalk::createJITProgram(std::unique_ptr<llvm::MemoryBuffer> object,
                           std::vector<EntrySignature> signatures,
                           unsigned threads, std::string description) {
  llvm::InitializeNativeTarget();
  llvm::InitializeNativeTargetAsmPrinter();
  auto jit = llvm::orc::LLJITBuilder()
                 .setLinkProcessSymbolsByDefault(false)
                 .setPlatformSetUp(llvm::orc::setUpInactivePlatform)
                 .create();
  if (!jit)
    return Error("cannot set up the linker: ", text(jit.takeError()));
  // Which symbols are missing is reported to the session, not to the caller.
  std::string missing;
  (*jit)->getExecutionSession().setErrorReporter([&](llvm::Error error) {
    missing += (missing.empty() ? "" : "; ") + text(std::move(error));
  });
  llvm::orc::SymbolMap symbols;
  for (const ProvidedSymbol &symbol : providedSymbols())
    symbols[(*jit)->mangleAndIntern(symbol.name)] = {
        llvm::orc::ExecutorAddr::fromPtr(symbol.address),
        llvm::JITSymbolFlags::Exported | llvm::JITSymbolFlags::Callable};
  llvm::orc::JITDylib &library = (*jit)->getMainJITDylib();
  if (llvm::Error error =
          library.define(llvm::orc::absoluteSymbols(std::move(symbols))))
    return Error("cannot provide symbols: ", text(std::move(error)));
  if (llvm::Error error = (*jit)->addObjectFile(std::move(object)))
    return Error("cannot link the compiled code: ", text(std::move(error)));
  std::vector<JITProgram::Function> functions;
  for (const EntrySignature &signature : signatures) {
    auto address = (*jit)->lookup("ropewalk_entry_" + signature.name);
    if (!address) {
      std::string reason = text(address.takeError());
      return Error("cannot link the compiled code: ",
                   missing.empty() ? reason : missing);
    }
    functions.push_back(address->toPtr<JITProgram::Function>());
  }
  (*jit)->getExecutionSession().setErrorReporter(
      [](llvm::Error error) { llvm::consumeError(std::move(error)); });
  return std::unique_ptr<runtime::Program>(std::make_unique<JITProgram>(
      std::move(*jit), std::move(signatures), std::move(functions), threads,
      std::move(description)));
}
