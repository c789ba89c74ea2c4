//===- CPUPipeline.cpp - From a graph to code for this machine -*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// On tensors: rope operations become tiles (or their definition) and linalg,
// elementwise operations are fused. Bufferization works across the function's
// boundary: inputs and weights are read-only, caches are written in place. On
// buffers: products with weights become calls, all other linalg becomes loops
// with the outer ones parallel, and these become OpenMP regions.
//
//===----------------------------------------------------------------------===//

#include "Ropewalk/Pipelines/CPUPipeline.h"

#include "Ropewalk/Codegen/CPU/HostCode.h"
#include "Ropewalk/Codegen/CPU/JITProgram.h"
#include "Ropewalk/Codegen/CPU/Passes.h"
#include "Ropewalk/Codegen/CPU/Signature.h"
#include "Ropewalk/IR/Rope.h"
#include "Ropewalk/Transforms/Passes.h"

#include "mlir/Conversion/Passes.h"
#include "mlir/Dialect/Bufferization/Pipelines/Passes.h"
#include "mlir/Dialect/Bufferization/Transforms/Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Linalg/Passes.h"
#include "mlir/Dialect/MemRef/Transforms/Passes.h"
#include "mlir/Dialect/SCF/Transforms/Passes.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Transforms/Passes.h"
#include "llvm/Support/Format.h"

using namespace mlir;
using namespace ropewalk;
using runtime::Error;
using runtime::Result;

void ropewalk::buildCPUPipeline(OpPassManager &manager,
                                const CPUPipelineOptions &options) {
  auto simplify = [&] {
    manager.addPass(createCanonicalizerPass());
    manager.addPass(createCSEPass());
  };
  OpPassManager &graph = manager.nest<func::FuncOp>();
  graph.addPass(createDecomposeUpdateCachePass());
  graph.addPass(createDecomposeRotatePass());
  if (options.tileAttention) {
    TileAttentionPassOptions tiling;
    tiling.vectorBytes = options.vectorBytes;
    graph.addPass(createTileAttentionPass(tiling));
  }
  graph.addPass(createDecomposeAttentionPass());
  simplify();
  manager.addNestedPass<func::FuncOp>(createFuseParallelOpsPass());
  simplify();

  // Buffers.
  manager.addPass(createDeclareEntriesPass());
  manager.addNestedPass<func::FuncOp>(
      bufferization::createEmptyTensorEliminationPass());
  bufferization::OneShotBufferizePassOptions bufferize;
  bufferize.bufferizeFunctionBoundaries = true;
  bufferize.functionBoundaryTypeConversion =
      bufferization::LayoutMapOption::IdentityLayoutMap;
  manager.addPass(bufferization::createOneShotBufferizePass(bufferize));
  manager.addPass(createUpdateCachesInPlacePass());
  simplify();
  manager.addNestedPass<func::FuncOp>(createForallToParallelLoopPass());
  bufferization::BufferDeallocationPipelineOptions deallocation;
  bufferization::buildBufferDeallocationPipeline(manager, deallocation);
  manager.addPass(createConvertBufferizationToMemRefPass());

  // Loops.
  manager.addPass(createLowerMatmulToCallsPass());
  OpPassManager &loops = manager.nest<func::FuncOp>();
  loops.addPass(createLowerLinalgToParallelLoopsPass());
  manager.addPass(createLowerAffinePass());
  simplify();
  if (options.parallel) {
    manager.addPass(createConvertSCFToOpenMPPass());
    // Also removes the stack scopes around loop bodies that allocate nothing.
    simplify();
    manager.addNestedPass<func::FuncOp>(createTuneParallelLoopsPass());
  }

  // LLVM.
  manager.addPass(createConvertVectorToSCFPass());
  manager.addPass(createLowerExpandShapesPass());
  manager.addPass(memref::createExpandStridedMetadataPass());
  manager.addPass(createLowerAffinePass());
  manager.addPass(createSCFToControlFlowPass());
  manager.addNestedPass<func::FuncOp>(createApproximateMathPass());
  manager.addPass(createConvertMathToLLVMPass());
  manager.addPass(createConvertMathToLibmPass());
  ConvertVectorToLLVMPassOptions vectors;
  vectors.reassociateFPReductions = true;
  manager.addPass(createConvertVectorToLLVMPass(vectors));
  manager.addPass(createFinalizeMemRefToLLVMConversionPass());
  manager.addPass(createArithToLLVMConversionPass());
  manager.addPass(createConvertIndexToLLVMPass());
  manager.addPass(createConvertFuncToLLVMPass());
  manager.addPass(createConvertControlFlowToLLVMPass());
  manager.addPass(createConvertOpenMPToLLVMPass());
  manager.addPass(createReconcileUnrealizedCastsPass());
  manager.addPass(createCSEPass());
}

void ropewalk::registerCPUPipeline() {
  PassPipelineRegistration<CPUPipelineOptions>(
      "rope-cpu", "a graph to the LLVM dialect, for processors",
      buildCPUPipeline);
}

namespace {

/// Runs the pipeline; the error is the first diagnostic.
runtime::Status lower(ModuleOp module, const CPUProgramOptions &options) {
  CPUPipelineOptions pipeline;
  pipeline.vectorBytes =
      options.vectorBytes ? options.vectorBytes : hostVectorBytes();
  pipeline.tileAttention = options.tileAttention;
  PassManager manager(module.getContext(), ModuleOp::getOperationName());
  buildCPUPipeline(manager, pipeline);
  std::string first;
  ScopedDiagnosticHandler handler(
      module.getContext(), [&](Diagnostic &diagnostic) {
        if (diagnostic.getSeverity() == DiagnosticSeverity::Error &&
            first.empty())
          first = diagnostic.str();
        return failure();
      });
  if (failed(manager.run(module)))
    return Error("cannot compile for the cpu: ",
                 first.empty() ? "a pass failed" : first);
  return runtime::success();
}

std::vector<std::string>
namesOf(const std::vector<runtime::EntrySignature> &signatures) {
  std::vector<std::string> names;
  for (const runtime::EntrySignature &signature : signatures)
    names.push_back(signature.name);
  return names;
}

std::string describe(ModuleOp module) {
  auto dictionary = module->getAttrOfType<DictionaryAttr>(rope::kModelAttr);
  std::string json = "{";
  llvm::raw_string_ostream os(json);
  llvm::ListSeparator comma(", ");
  if (dictionary)
    for (NamedAttribute entry : dictionary) {
      Attribute value = entry.getValue();
      if (auto integer = dyn_cast<IntegerAttr>(value))
        os << comma << '"' << entry.getName().getValue()
           << "\": " << integer.getInt();
      else if (auto real = dyn_cast<FloatAttr>(value))
        os << comma << '"' << entry.getName().getValue()
           << "\": " << llvm::format("%.17g", real.getValueAsDouble());
      else if (auto text = dyn_cast<StringAttr>(value)) {
        os << comma << '"' << entry.getName().getValue() << "\": \"";
        llvm::printEscapedString(text.getValue(), os);
        os << '"';
      }
    }
  os << "}";
  return json;
}

Result<std::unique_ptr<llvm::MemoryBuffer>>
compile(ModuleOp module, const CPUProgramOptions &options,
        const std::vector<runtime::EntrySignature> &signatures) {
  if (runtime::Status status = lower(module, options); !status)
    return status.error();
  HostCodeOptions host;
  host.optimizationLevel = options.optimizationLevel;
  host.llvmIR = options.llvmIR;
  return compileToObject(module, namesOf(signatures), host);
}

} // namespace

Result<std::unique_ptr<llvm::MemoryBuffer>>
ropewalk::createCPUObject(OwningOpRef<ModuleOp> module,
                          const CPUProgramOptions &options) {
  auto signatures = readSignatures(*module);
  if (!signatures)
    return signatures.error();
  return compile(*module, options, *signatures);
}

Result<std::unique_ptr<runtime::Program>>
ropewalk::createCPUProgram(OwningOpRef<ModuleOp> module,
                           const CPUProgramOptions &options) {
  auto signatures = readSignatures(*module);
  if (!signatures)
    return signatures.error();
  std::string description = describe(*module);
  auto object = compile(*module, options, *signatures);
  if (!object)
    return object.error();
  return createJITProgram(std::move(*object), std::move(*signatures),
                          options.threads, std::move(description));
}
