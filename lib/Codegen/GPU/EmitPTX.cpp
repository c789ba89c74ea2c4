//===- EmitPTX.cpp - Lowered kernels to PTX text ----------------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// LLVM IR, the O3 pipeline and the NVPTX back end, all in this process. LLVM
// accepts any name of a chip and writes it into the PTX, so names are checked
// here, and a function that is declared and not defined is an error: it would
// be a call of a device library that nothing links.
//
//===----------------------------------------------------------------------===//

#include "Ropewalk/Codegen/GPU/Artifact.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/GPU/GPUToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/NVVM/NVVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/ModuleTranslation.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/SmallVectorMemoryBuffer.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"

using namespace mlir;
using namespace ropewalk;

extern "C" {
void LLVMInitializeNVPTXTarget();
void LLVMInitializeNVPTXTargetInfo();
void LLVMInitializeNVPTXTargetMC();
void LLVMInitializeNVPTXAsmPrinter();
}

namespace {

constexpr StringRef kTargets[] = {"sm_80", "sm_86", "sm_89", "sm_90a"};

/// The oldest version of PTX that has all targets.
constexpr StringRef kPTXVersion = "+ptx80";

std::unique_ptr<llvm::TargetMachine> createMachine(StringRef chip,
                                                   std::string &error) {
  LLVMInitializeNVPTXTargetInfo();
  LLVMInitializeNVPTXTarget();
  LLVMInitializeNVPTXTargetMC();
  LLVMInitializeNVPTXAsmPrinter();
  llvm::Triple triple("nvptx64-nvidia-cuda");
  const llvm::Target *target =
      llvm::TargetRegistry::lookupTarget(triple, error);
  if (!target)
    return nullptr;
  llvm::TargetOptions options;
  // x * y + z in one rounding, wherever it stands.
  options.AllowFPOpFusion = llvm::FPOpFusion::Fast;
  return std::unique_ptr<llvm::TargetMachine>(target->createTargetMachine(
      triple, chip, kPTXVersion, options, llvm::Reloc::PIC_, std::nullopt,
      llvm::CodeGenOptLevel::Aggressive));
}

void optimize(llvm::Module &module, llvm::TargetMachine &machine) {
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager calls;
  llvm::ModuleAnalysisManager modules;
  llvm::PassBuilder builder(&machine);
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(calls);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, calls, modules);
  builder.buildPerModuleDefaultPipeline(llvm::OptimizationLevel::O3)
      .run(module, modules);
}

} // namespace

ArrayRef<StringRef> codegen::supportedTargets() { return kTargets; }

LogicalResult codegen::checkTarget(Location loc, StringRef target) {
  if (llvm::is_contained(kTargets, target))
    return success();
  return emitError(loc) << "unknown target '" << target << "', expected one of "
                        << llvm::join(supportedTargets(), ", ");
}

FailureOr<std::string> codegen::emitPTX(ModuleOp module, StringRef target) {
  if (failed(checkTarget(module.getLoc(), target)))
    return failure();
  auto kernels = module.lookupSymbol<gpu::GPUModuleOp>("kernels");
  if (!kernels) {
    module.emitError() << "has no gpu.module 'kernels'";
    return failure();
  }
  registerBuiltinDialectTranslation(*module.getContext());
  registerGPUDialectTranslation(*module.getContext());
  registerLLVMDialectTranslation(*module.getContext());
  registerNVVMDialectTranslation(*module.getContext());
  llvm::LLVMContext context;
  std::unique_ptr<llvm::Module> translated =
      translateModuleToLLVMIR(kernels, context, "kernels");
  if (!translated)
    return failure();
  std::string error;
  std::unique_ptr<llvm::TargetMachine> machine = createMachine(target, error);
  if (!machine) {
    module.emitError() << "cannot make code for '" << target << "': " << error;
    return failure();
  }
  translated->setTargetTriple(machine->getTargetTriple());
  translated->setDataLayout(machine->createDataLayout());
  optimize(*translated, *machine);
  for (llvm::Function &function : *translated)
    if (function.isDeclaration() && !function.isIntrinsic()) {
      module.emitError() << "kernels call the external function '"
                         << function.getName() << "'";
      return failure();
    }

  llvm::SmallString<0> text;
  llvm::raw_svector_ostream os(text);
  llvm::legacy::PassManager passes;
  if (machine->addPassesToEmitFile(passes, os, nullptr,
                                   llvm::CodeGenFileType::AssemblyFile)) {
    module.emitError() << "the back end cannot write PTX";
    return failure();
  }
  passes.run(*translated);
  return text.str().str();
}
