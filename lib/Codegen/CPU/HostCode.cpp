//===- HostCode.cpp - LLVM dialect to machine code -------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Translation to LLVM IR, LLVM's own pipeline for the host processor, and an
// object file in memory, which may be linked into this process or written out.
//
// Functions get "prefer-vector-width" of the widest registers: LLVM otherwise
// splits 64-byte vectors in two on processors that once lowered their clock for
// them, and the register tiles of attention are laid out for whole ones.
//
//===----------------------------------------------------------------------===//

#include "Ropewalk/Codegen/CPU/HostCode.h"

#include "mlir/Target/LLVMIR/Export.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Analysis/CGSCCPassManager.h"
#include "llvm/Analysis/LoopAnalysisManager.h"
#include "llvm/Analysis/TargetLibraryInfo.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/IR/Verifier.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/SmallVectorMemoryBuffer.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/TargetParser/Host.h"

#include <mutex>

using namespace ropewalk;
using runtime::Error;
using runtime::Result;

namespace {

void initializeTarget() {
  static std::once_flag once;
  std::call_once(once, [] {
    llvm::InitializeNativeTarget();
    llvm::InitializeNativeTargetAsmPrinter();
    llvm::InitializeNativeTargetAsmParser();
  });
}

Result<std::unique_ptr<llvm::TargetMachine>>
createTargetMachine(const HostCodeOptions &options) {
  initializeTarget();
  llvm::Triple triple(llvm::sys::getProcessTriple());
  std::string reason;
  const llvm::Target *target =
      llvm::TargetRegistry::lookupTarget(triple, reason);
  if (!target)
    return Error("no code generator for ", triple.str(), ": ", reason);
  std::string cpu = options.cpu, features;
  if (cpu.empty()) {
    cpu = llvm::sys::getHostCPUName().str();
    for (const auto &feature : llvm::sys::getHostCPUFeatures())
      features += std::string(features.empty() ? "" : ",") +
                  (feature.second ? "+" : "-") + feature.first().str();
  }
  std::unique_ptr<llvm::TargetMachine> machine(target->createTargetMachine(
      triple, cpu, features, llvm::TargetOptions(), llvm::Reloc::PIC_,
      std::nullopt, llvm::CodeGenOptLevel::Aggressive));
  if (!machine)
    return Error("no code generator for ", triple.str(), " ", cpu);
  return machine;
}

/// Adds `void ropewalk_entry_E(ptr arguments)`: pointers are passed on, scalars
/// are loaded.
bool addPackedEntry(llvm::Module &module, llvm::StringRef entry) {
  llvm::Function *callee = module.getFunction(("_mlir_ciface_" + entry).str());
  if (!callee)
    return false;
  llvm::LLVMContext &context = module.getContext();
  llvm::IRBuilder<> b(context);
  auto *type = llvm::FunctionType::get(b.getVoidTy(), {b.getPtrTy()}, false);
  auto *function =
      llvm::Function::Create(type, llvm::GlobalValue::ExternalLinkage,
                             "ropewalk_entry_" + entry, module);
  b.SetInsertPoint(llvm::BasicBlock::Create(context, "entry", function));
  llvm::SmallVector<llvm::Value *> values;
  for (auto [index, parameter] : llvm::enumerate(callee->args())) {
    llvm::Value *slot =
        b.CreateConstGEP1_64(b.getPtrTy(), function->getArg(0), index);
    llvm::Value *value = b.CreateLoad(b.getPtrTy(), slot);
    if (!parameter.getType()->isPointerTy())
      value = b.CreateLoad(parameter.getType(), value);
    values.push_back(value);
  }
  b.CreateCall(callee, values);
  b.CreateRetVoid();
  return true;
}

void optimize(llvm::Module &module, llvm::TargetMachine &machine,
              unsigned level) {
  llvm::PipelineTuningOptions tuning;
  tuning.LoopVectorization = level > 1;
  tuning.SLPVectorization = level > 1;
  tuning.LoopUnrolling = true;
  llvm::PassBuilder builder(&machine, tuning);
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager components;
  llvm::ModuleAnalysisManager modules;
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(components);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, components, modules);
  const llvm::OptimizationLevel levels[] = {
      llvm::OptimizationLevel::O0, llvm::OptimizationLevel::O1,
      llvm::OptimizationLevel::O2, llvm::OptimizationLevel::O3};
  llvm::ModulePassManager manager =
      level == 0
          ? builder.buildO0DefaultPipeline(levels[0])
          : builder.buildPerModuleDefaultPipeline(levels[std::min(level, 3u)]);
  manager.run(module, modules);
}

} // namespace

unsigned ropewalk::hostVectorBytes() {
  llvm::StringMap<bool> features = llvm::sys::getHostCPUFeatures();
  if (features.lookup("avx512f") && features.lookup("avx512vl"))
    return 64;
  if (features.lookup("avx2") && features.lookup("fma"))
    return 32;
  return 16;
}

Result<std::unique_ptr<llvm::MemoryBuffer>>
ropewalk::compileToObject(mlir::ModuleOp module,
                          llvm::ArrayRef<std::string> entries,
                          const HostCodeOptions &options) {
  auto machine = createTargetMachine(options);
  if (!machine)
    return machine.error();
  llvm::LLVMContext context;
  std::unique_ptr<llvm::Module> code =
      mlir::translateModuleToLLVMIR(module, context, "ropewalk");
  if (!code)
    return Error("the module has operations that LLVM IR cannot express");
  code->setDataLayout((*machine)->createDataLayout());
  code->setTargetTriple((*machine)->getTargetTriple());
  for (const std::string &entry : entries)
    if (!addPackedEntry(*code, entry))
      return Error("function '", entry, "' has no C interface");
  std::string width = std::to_string(8 * hostVectorBytes());
  for (llvm::Function &function : *code)
    if (!function.isDeclaration()) {
      function.addFnAttr("prefer-vector-width", width);
      function.addFnAttr(llvm::Attribute::NoUnwind);
      if (!function.getName().starts_with("ropewalk_entry_"))
        function.setLinkage(llvm::GlobalValue::InternalLinkage);
    }
  optimize(*code, **machine, options.optimizationLevel);
  if (options.llvmIR)
    llvm::raw_string_ostream(*options.llvmIR) << *code;
  std::string reason;
  llvm::raw_string_ostream stream(reason);
  if (llvm::verifyModule(*code, &stream))
    return Error("LLVM IR is not valid: ", reason);

  llvm::SmallVector<char, 0> bytes;
  llvm::raw_svector_ostream output(bytes);
  llvm::legacy::PassManager emission;
  if ((*machine)->addPassesToEmitFile(emission, output, nullptr,
                                      llvm::CodeGenFileType::ObjectFile))
    return Error("the code generator cannot write object files");
  emission.run(*code);
  return std::unique_ptr<llvm::MemoryBuffer>(
      std::make_unique<llvm::SmallVectorMemoryBuffer>(
          std::move(bytes), "ropewalk.o", /*RequiresNullTerminator=*/false));
}
