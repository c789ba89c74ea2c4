// RUN: ropewalk-opt %s -split-input-file -verify-diagnostics -pass-pipeline='builtin.module(rope-form-kernels)'

// What has no kernel is refused with its reason, at the operation.

func.func @f64(%q: tensor<1x1x4x8xf64> {rope.kind = "input"}, %init: tensor<1x1x4x8xf64> {rope.kind = "input"}) -> tensor<1x1x4x8xf64> {
  // expected-error @+1 {{has an operand with elements of type 'f64', expected f32 on GPUs}}
  %0 = rope.attention #rope.identity rotary <theta = 10000.0, dim = 8> scale 1.0 causal
    query(%q : tensor<1x1x4x8xf64>) key(%q : tensor<1x1x4x8xf64>) value(%q : tensor<1x1x4x8xf64>)
    outs(%init : tensor<1x1x4x8xf64>) -> tensor<1x1x4x8xf64>
  return %0 : tensor<1x1x4x8xf64>
}

// -----

func.func @head_dim(%q: tensor<1x1x4x12xf32> {rope.kind = "input"}, %init: tensor<1x1x4x12xf32> {rope.kind = "input"}) -> tensor<1x1x4x12xf32> {
  // expected-error @+1 {{has a head dimension of 12, expected a multiple of 8 up to 128}}
  %0 = rope.attention #rope.identity rotary <theta = 10000.0, dim = 12> scale 1.0 causal
    query(%q : tensor<1x1x4x12xf32>) key(%q : tensor<1x1x4x12xf32>) value(%q : tensor<1x1x4x12xf32>)
    outs(%init : tensor<1x1x4x12xf32>) -> tensor<1x1x4x12xf32>
  return %0 : tensor<1x1x4x12xf32>
}

// -----

// expected-error @+1 {{argument 0: dimension 1 is dynamic, expected a static size for an argument of kind 'weight'}}
func.func @dynamic_weight(%w: tensor<4x?xf32> {rope.kind = "weight"}) -> tensor<4x?xf32> {
  return %w : tensor<4x?xf32>
}

// -----

func.func @stale(
    %rows: tensor<?x1x?x8xf32> {rope.kind = "input"},
    %offset: tensor<?xi64> {rope.kind = "input"},
    // expected-error @+1 {{is read after it was updated in place; read the updated value}}
    %cache: tensor<?x1x?x8xf32> {rope.kind = "cache", rope.name = "cache"}) -> (tensor<?x1x?x8xf32>, tensor<?x1x?x8xf32>) {
  %0 = rope.update_cache rows(%rows : tensor<?x1x?x8xf32>) offset(%offset : tensor<?xi64>)
    outs(%cache : tensor<?x1x?x8xf32>) -> tensor<?x1x?x8xf32>
  %1 = rope.update_cache rows(%rows : tensor<?x1x?x8xf32>) offset(%offset : tensor<?xi64>)
    outs(%cache : tensor<?x1x?x8xf32>) -> tensor<?x1x?x8xf32>
  return %0, %1 : tensor<?x1x?x8xf32>, tensor<?x1x?x8xf32>
}

// -----

func.func @not_a_cache(
    %rows: tensor<?x1x?x8xf32> {rope.kind = "input"},
    %offset: tensor<?xi64> {rope.kind = "input"}) -> tensor<?x1x?x8xf32> {
  // expected-error @+1 {{updates a constant or an argument that is not of kind 'cache'}}
  %0 = rope.update_cache rows(%rows : tensor<?x1x?x8xf32>) offset(%offset : tensor<?xi64>)
    outs(%rows : tensor<?x1x?x8xf32>) -> tensor<?x1x?x8xf32>
  return %0 : tensor<?x1x?x8xf32>
}

// -----

func.func @other_op(%x: tensor<4x8xf32> {rope.kind = "input"}) -> tensor<2x8xf32> {
  // expected-error @+1 {{is not supported on GPUs}}
  %0 = tensor.extract_slice %x[0, 0] [2, 8] [1, 1] : tensor<4x8xf32> to tensor<2x8xf32>
  return %0 : tensor<2x8xf32>
}

// -----

func.func @uninitialized(%x: tensor<4xf32> {rope.kind = "input"}) -> tensor<4xf32> {
  // expected-error @+1 {{has no buffer: its result is read uninitialized or the operation is not supported on GPUs}}
  %0 = tensor.empty() : tensor<4xf32>
  return %0 : tensor<4xf32>
}
