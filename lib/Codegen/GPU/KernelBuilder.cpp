//===- KernelBuilder.cpp - Building one kernel as MLIR ----------*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "KernelBuilder.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace ropewalk::codegen;

namespace {

constexpr unsigned kGlobalSpace = 1;
constexpr unsigned kSharedSpace = 3;

bool isFloat(Type type) { return isa<FloatType>(type); }

} // namespace

//===----------------------------------------------------------------------===//
// Val
//===----------------------------------------------------------------------===//

#define ROPEWALK_BINARY(OP, INTEGER, FLOAT)                                    \
  Val Val::operator OP(Val other) const {                                      \
    if (isFloat(type()))                                                       \
      return builder->wrap(FLOAT::create(builder->b, value, other));           \
    return builder->wrap(INTEGER::create(builder->b, value, other));           \
  }                                                                            \
  Val Val::operator OP(int64_t other) const {                                  \
    return *this OP builder->constantLike(type(), other);                      \
  }

ROPEWALK_BINARY(+, arith::AddIOp, arith::AddFOp)
ROPEWALK_BINARY(-, arith::SubIOp, arith::SubFOp)
ROPEWALK_BINARY(*, arith::MulIOp, arith::MulFOp)
ROPEWALK_BINARY(/, arith::DivSIOp, arith::DivFOp)
ROPEWALK_BINARY(%, arith::RemSIOp, arith::RemFOp)
#undef ROPEWALK_BINARY

#define ROPEWALK_COMPARE(OP, PREDICATE)                                        \
  Val Val::operator OP(Val other) const {                                      \
    if (isFloat(type()))                                                       \
      return builder->wrap(arith::CmpFOp::create(                              \
          builder->b, arith::CmpFPredicate::O##PREDICATE, value, other));      \
    constexpr bool isEquality = std::string_view(#PREDICATE) == "EQ";          \
    auto predicate = isEquality ? arith::CmpIPredicate::eq                     \
                                : *arith::symbolizeCmpIPredicate(              \
                                      "s" + StringRef(#PREDICATE).lower());    \
    return builder->wrap(                                                      \
        arith::CmpIOp::create(builder->b, predicate, value, other));           \
  }

ROPEWALK_COMPARE(<, LT)
ROPEWALK_COMPARE(<=, LE)
ROPEWALK_COMPARE(>, GT)
ROPEWALK_COMPARE(>=, GE)
ROPEWALK_COMPARE(==, EQ)
#undef ROPEWALK_COMPARE

Val Val::operator<(int64_t other) const {
  return *this < builder->constantLike(type(), other);
}
Val Val::operator>=(int64_t other) const {
  return *this >= builder->constantLike(type(), other);
}
Val Val::operator==(int64_t other) const {
  return *this == builder->constantLike(type(), other);
}
Val Val::operator&(Val other) const {
  return builder->wrap(arith::AndIOp::create(builder->b, value, other));
}
Val Val::operator|(Val other) const {
  return builder->wrap(arith::OrIOp::create(builder->b, value, other));
}

//===----------------------------------------------------------------------===//
// Start, end, parameters
//===----------------------------------------------------------------------===//

KernelBuilder::KernelBuilder(gpu::GPUModuleOp module, StringRef name,
                             unsigned threads)
    : b(module.getLoc(), module.getContext()), module(module) {
  info.name = name.str();
  info.threads = threads;
  b.setInsertionPointToEnd(module.getBody());
  auto type =
      LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(b.getContext()), {});
  function = LLVM::LLVMFuncOp::create(b, name, type);
  function->setAttr(NVVM::NVVMDialect::getKernelFuncAttrName(),
                    b.getUnitAttr());
  function->setAttr(
      NVVM::NVVMDialect::getReqntidAttrName(),
      b.getDenseI32ArrayAttr({static_cast<int32_t>(threads), 1, 1}));
  entry = b.createBlock(&function.getBody());
}

void KernelBuilder::setMinimumBlocks(unsigned blocks) {
  function->setAttr(NVVM::NVVMDialect::getMinctasmAttrName(),
                    b.getI32IntegerAttr(static_cast<int32_t>(blocks)));
}

KernelInfo KernelBuilder::finish() {
  LLVM::ReturnOp::create(b, ValueRange());
  function.setFunctionType(
      LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(b.getContext()),
                                  llvm::to_vector(entry->getArgumentTypes())));
  SmallVector<Attribute> attributes;
  for (auto [param, isReadOnly] : llvm::zip(info.params, readOnly)) {
    NamedAttrList list;
    if (param.type == ParamType::Pointer) {
      list.set(LLVM::LLVMDialect::getNoAliasAttrName(), b.getUnitAttr());
      list.set(LLVM::LLVMDialect::getAlignAttrName(), b.getI64IntegerAttr(16));
      if (isReadOnly)
        list.set(LLVM::LLVMDialect::getReadonlyAttrName(), b.getUnitAttr());
    }
    attributes.push_back(list.getDictionary(b.getContext()));
  }
  function.setArgAttrsAttr(b.getArrayAttr(attributes));
  return info;
}

Val KernelBuilder::addParam(StringRef name, Type type, ParamType kind,
                            bool isReadOnly) {
  info.params.push_back({name.str(), kind});
  readOnly.push_back(isReadOnly);
  return wrap(entry->addArgument(type, b.getLoc()));
}

Val KernelBuilder::pointerParam(StringRef name, bool isReadOnly) {
  return addParam(name,
                  LLVM::LLVMPointerType::get(b.getContext(), kGlobalSpace),
                  ParamType::Pointer, isReadOnly);
}
Val KernelBuilder::i32Param(StringRef name) {
  return addParam(name, i32Type(), ParamType::I32, false);
}
Val KernelBuilder::i64Param(StringRef name) {
  return addParam(name, i64Type(), ParamType::I64, false);
}
Val KernelBuilder::f32Param(StringRef name) {
  return addParam(name, f32Type(), ParamType::F32, false);
}

//===----------------------------------------------------------------------===//
// Constants and arithmetic
//===----------------------------------------------------------------------===//

Val KernelBuilder::i32(int64_t value) { return constantLike(i32Type(), value); }
Val KernelBuilder::i64(int64_t value) { return constantLike(i64Type(), value); }
Val KernelBuilder::f32(double value) {
  return wrap(arith::ConstantOp::create(b, b.getF32FloatAttr(value)));
}

Val KernelBuilder::constantLike(Type type, int64_t value) {
  if (isFloat(type))
    return wrap(arith::ConstantOp::create(
        b, b.getFloatAttr(type, static_cast<double>(value))));
  return wrap(arith::ConstantOp::create(b, b.getIntegerAttr(type, value)));
}

Val KernelBuilder::fma(Val x, Val y, Val z) {
  return wrap(math::FmaOp::create(b, x, y, z));
}

Val KernelBuilder::min(Val x, Val y) {
  if (isFloat(x.type()))
    return wrap(arith::MinNumFOp::create(b, x, y));
  return wrap(arith::MinSIOp::create(b, x, y));
}

Val KernelBuilder::max(Val x, Val y) {
  if (isFloat(x.type()))
    return wrap(arith::MaxNumFOp::create(b, x, y));
  return wrap(arith::MaxSIOp::create(b, x, y));
}

Val KernelBuilder::select(Val condition, Val x, Val y) {
  return wrap(arith::SelectOp::create(b, condition, x, y));
}

Val KernelBuilder::toI64(Val x) {
  if (x.type().isInteger(64))
    return x;
  return wrap(arith::ExtSIOp::create(b, i64Type(), x));
}

Val KernelBuilder::toI32(Val x) {
  if (x.type().isInteger(32))
    return x;
  return wrap(arith::TruncIOp::create(b, i32Type(), x));
}

Val KernelBuilder::intrinsic(StringRef name, Val x) {
  return wrap(LLVM::CallIntrinsicOp::create(b, x.type(), b.getStringAttr(name),
                                            ValueRange{x})
                  .getResult(0));
}

Val KernelBuilder::exp2(Val x) {
  return intrinsic("llvm.nvvm.ex2.approx.ftz.f32", x);
}

Val KernelBuilder::log2(Val x) {
  return intrinsic("llvm.nvvm.lg2.approx.f", x);
}

Val KernelBuilder::reciprocal(Val x) { return f32(1.0) / x; }

Val KernelBuilder::extendToF32(Val x) {
  if (x.type().isF32())
    return x;
  if (x.type().isBF16()) {
    // The upper half of an f32: exact, and no conversion instruction, which
    // some targets lack.
    Value bits = arith::BitcastOp::create(b, b.getI16Type(), x);
    Value wide = arith::ExtUIOp::create(b, i32Type(), bits);
    Value shifted = arith::ShLIOp::create(b, wide, i32(16));
    return wrap(arith::BitcastOp::create(b, f32Type(), shifted));
  }
  return wrap(
      arith::ExtFOp::create(b, f32Type(), x, arith::FastMathFlagsAttr()));
}

Val KernelBuilder::floorDiv(Val x, Val y) {
  // x ^ sign is x where x >= 0 and -x - 1 where it is not; for those
  // floor(x / y) = -1 - floor((-x - 1) / y).
  unsigned width = x.type().getIntOrFloatBitWidth();
  Val sign =
      wrap(arith::ShRSIOp::create(b, x, constantLike(x.type(), width - 1)));
  Value flipped = arith::XOrIOp::create(b, x, sign);
  Value quotient = arith::DivUIOp::create(b, flipped, y);
  return wrap(arith::XOrIOp::create(b, quotient, sign));
}

Val KernelBuilder::floorMod(Val x, Val y) { return x - floorDiv(x, y) * y; }

Val KernelBuilder::expand(AffineExpr expr, Val dimension,
                          ArrayRef<Val> symbols) {
  if (auto constant = dyn_cast<AffineConstantExpr>(expr))
    return i64(constant.getValue());
  if (auto symbol = dyn_cast<AffineSymbolExpr>(expr))
    return symbols[symbol.getPosition()];
  if (isa<AffineDimExpr>(expr))
    return dimension;
  auto binary = cast<AffineBinaryOpExpr>(expr);
  Val left = expand(binary.getLHS(), dimension, symbols);
  Val right = expand(binary.getRHS(), dimension, symbols);
  switch (expr.getKind()) {
  case AffineExprKind::Add:
    return left + right;
  case AffineExprKind::Mul:
    return left * right;
  case AffineExprKind::Mod:
    return floorMod(left, right);
  case AffineExprKind::FloorDiv:
    return floorDiv(left, right);
  default: // CeilDiv
    return floorDiv(left + right - 1, right);
  }
}

Val KernelBuilder::expandMin(AffineMap map, Val dimension,
                             ArrayRef<Val> symbols) {
  Val result;
  for (AffineExpr expr : map.getResults()) {
    Val value = expand(expr, dimension, symbols);
    result = result ? min(result, value) : value;
  }
  return result;
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

Val KernelBuilder::address(Val pointer, Val index, Type element) {
  Value base = pointer;
  SmallVector<LLVM::GEPArg> indices = {Value(index)};
  return wrap(LLVM::GEPOp::create(b, pointer.type(), element, base, indices));
}

Val KernelBuilder::load(Val pointer, Val index, Type element, unsigned count) {
  Type type = count == 1 ? element : VectorType::get({count}, element);
  unsigned alignment = count * element.getIntOrFloatBitWidth() / 8;
  return wrap(LLVM::LoadOp::create(b, type, address(pointer, index, element),
                                   alignment));
}

void KernelBuilder::store(Val value, Val pointer, Val index) {
  Type element = getElementTypeOrSelf(value.type());
  unsigned count = 1;
  if (auto vector = dyn_cast<VectorType>(value.type()))
    count = vector.getNumElements();
  unsigned alignment = count * element.getIntOrFloatBitWidth() / 8;
  LLVM::StoreOp::create(b, value, address(pointer, index, element), alignment);
}

Val KernelBuilder::shared(int64_t bytes) {
  auto type = LLVM::LLVMArrayType::get(b.getI8Type(), bytes);
  std::string name = info.name + "_shared" + std::to_string(info.sharedBytes);
  LLVM::GlobalOp global;
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(module.getBody());
    global = LLVM::GlobalOp::create(b, type, /*isConstant=*/false,
                                    LLVM::Linkage::Internal, name, Attribute(),
                                    /*alignment=*/16, kSharedSpace);
  }
  info.sharedBytes += (bytes + 15) / 16 * 16;
  return wrap(LLVM::AddressOfOp::create(b, global));
}

Val KernelBuilder::extract(Val vector, unsigned index) {
  if (!isa<VectorType>(vector.type()))
    return vector;
  return wrap(LLVM::ExtractElementOp::create(b, vector, i32(index)));
}

Val KernelBuilder::pack(ArrayRef<Val> elements) {
  if (elements.size() == 1)
    return elements[0];
  auto type = VectorType::get({static_cast<int64_t>(elements.size())},
                              elements[0].type());
  Val vector = wrap(LLVM::PoisonOp::create(b, type));
  for (auto [index, element] : llvm::enumerate(elements))
    vector =
        wrap(LLVM::InsertElementOp::create(b, vector, element, i32(index)));
  return vector;
}

Vals KernelBuilder::unpack(Val value) {
  auto vector = dyn_cast<VectorType>(value.type());
  if (!vector)
    return {value};
  Vals elements;
  for (unsigned index = 0; index < vector.getNumElements(); ++index)
    elements.push_back(extract(value, index));
  return elements;
}

Val KernelBuilder::zeros(Type element, unsigned count) {
  if (count == 1)
    return constantLike(element, 0);
  auto type = VectorType::get({count}, element);
  return wrap(arith::ConstantOp::create(b, b.getZeroAttr(type)));
}

//===----------------------------------------------------------------------===//
// Threads
//===----------------------------------------------------------------------===//

Val KernelBuilder::threadId() {
  return wrap(NVVM::ThreadIdXOp::create(b, i32Type()));
}

Val KernelBuilder::blockId(unsigned axis) {
  switch (axis) {
  case 0:
    return wrap(NVVM::BlockIdXOp::create(b, i32Type()));
  case 1:
    return wrap(NVVM::BlockIdYOp::create(b, i32Type()));
  default:
    return wrap(NVVM::BlockIdZOp::create(b, i32Type()));
  }
}

Val KernelBuilder::gridSize(unsigned axis) {
  switch (axis) {
  case 0:
    return wrap(NVVM::GridDimXOp::create(b, i32Type()));
  case 1:
    return wrap(NVVM::GridDimYOp::create(b, i32Type()));
  default:
    return wrap(NVVM::GridDimZOp::create(b, i32Type()));
  }
}

void KernelBuilder::barrier() { NVVM::BarrierOp::create(b); }

Val KernelBuilder::shuffleXor(Val value, unsigned mask) {
  Type type = value.type();
  Val word = value;
  if (!type.isF32() && !type.isInteger(32)) {
    // Anything else goes through its 32-bit halves or an extension.
    if (type.getIntOrFloatBitWidth() == 64) {
      Val bits = isFloat(type)
                     ? wrap(arith::BitcastOp::create(b, i64Type(), value))
                     : value;
      Val low = shuffleXor(toI32(bits), mask);
      Val high = shuffleXor(
          toI32(wrap(arith::ShRUIOp::create(b, bits, i64(32)))), mask);
      Value joined = arith::OrIOp::create(
          b, arith::ExtUIOp::create(b, i64Type(), low),
          arith::ShLIOp::create(b, arith::ExtUIOp::create(b, i64Type(), high),
                                i64(32)));
      return isFloat(type) ? wrap(arith::BitcastOp::create(b, type, joined))
                           : wrap(joined);
    }
    Type narrow = b.getIntegerType(type.getIntOrFloatBitWidth());
    Val bits = isFloat(type) ? wrap(arith::BitcastOp::create(b, narrow, value))
                             : value;
    word = shuffleXor(wrap(arith::ExtUIOp::create(b, i32Type(), bits)), mask);
    Value back = arith::TruncIOp::create(b, narrow, word);
    return isFloat(type) ? wrap(arith::BitcastOp::create(b, type, back))
                         : wrap(back);
  }
  return wrap(NVVM::ShflOp::create(b, type, i32(-1), word, i32(mask), i32(31),
                                   NVVM::ShflKind::bfly, UnitAttr()));
}

//===----------------------------------------------------------------------===//
// Control flow
//===----------------------------------------------------------------------===//

static SmallVector<Value> values(ArrayRef<Val> vals) {
  return llvm::map_to_vector(vals, [](Val val) -> Value { return val; });
}

Vals KernelBuilder::loop(Val lower, Val upper, Val step, ArrayRef<Val> initial,
                         llvm::function_ref<Vals(Val, ArrayRef<Val>)> body) {
  auto forOp = scf::ForOp::create(
      b, lower, upper, step, values(initial),
      [&](OpBuilder &, Location, Value iv, ValueRange carried) {
        Vals wrapped = llvm::map_to_vector(
            carried, [&](Value value) { return wrap(value); });
        OpBuilder::InsertionGuard guard(b);
        b.setInsertionPointToEnd(iv.getParentBlock());
        Vals results = body(wrap(iv), wrapped);
        scf::YieldOp::create(b, values(results));
      });
  return llvm::map_to_vector(forOp.getResults(),
                             [&](Value value) { return wrap(value); });
}

void KernelBuilder::loop(Val lower, Val upper, Val step,
                         llvm::function_ref<void(Val)> body) {
  loop(lower, upper, step, {}, [&](Val iv, ArrayRef<Val>) {
    body(iv);
    return Vals();
  });
}

void KernelBuilder::ifThen(Val condition, llvm::function_ref<void()> body) {
  auto ifOp = scf::IfOp::create(b, condition, /*withElseRegion=*/false);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(&ifOp.getThenRegion().front());
  body();
}

Vals KernelBuilder::ifElse(Val condition, llvm::function_ref<Vals()> then,
                           llvm::function_ref<Vals()> otherwise) {
  // The result types are known only once a branch is built, so the branch is
  // built into a region of its own first.
  Region thenRegion, elseRegion;
  auto fill = [&](Region &region, llvm::function_ref<Vals()> body) {
    OpBuilder::InsertionGuard guard(b);
    b.createBlock(&region);
    Vals results = body();
    scf::YieldOp::create(b, values(results));
    return llvm::map_to_vector(results, [](Val val) { return val.type(); });
  };
  SmallVector<Type> types = fill(thenRegion, then);
  fill(elseRegion, otherwise);
  auto ifOp = scf::IfOp::create(b, types, condition, /*addThenBlock=*/false,
                                /*addElseBlock=*/false);
  ifOp.getThenRegion().takeBody(thenRegion);
  ifOp.getElseRegion().takeBody(elseRegion);
  return llvm::map_to_vector(ifOp.getResults(),
                             [&](Value value) { return wrap(value); });
}
