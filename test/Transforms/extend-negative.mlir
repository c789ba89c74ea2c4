// What rope-extend refuses, with the reason at the layer; and that nothing
// changes when one layer of many is refused.
//
// RUN: ropewalk-opt %s --split-input-file --verify-diagnostics '--rope-extend=map=#rope.self_extend<group=4,window=16> parameters=runtime'
// RUN: not ropewalk-opt %s --split-input-file --mlir-print-ir-after-failure '--rope-extend=map=#rope.self_extend<group=4,window=16> parameters=runtime' -o /dev/null 2>&1 | FileCheck %s
//
// CHECK-LABEL: IR Dump After ExtendPass Failed
// CHECK: func.func @one_of_two
// CHECK-NOT: #rope.self_extend
// CHECK-NOT: rope.kind
// CHECK-LABEL: IR Dump After ExtendPass Failed

func.func @one_of_two(%q: tensor<1x4x?x8xf32>, %k: tensor<1x2x?x8xf32>, %o: tensor<1x4x?x8xf32>) -> tensor<1x4x?x8xf32> {
  %0 = rope.attention #rope.identity rotary <theta = 1.0e4, dim = 8> scale 0.5 causal
      query(%q : tensor<1x4x?x8xf32>) key(%k : tensor<1x2x?x8xf32>) value(%k : tensor<1x2x?x8xf32>)
      outs(%o : tensor<1x4x?x8xf32>) -> tensor<1x4x?x8xf32>
  // expected-error @+1 {{cannot be extended: expected plain rotary attention, got #rope.sliding<window = 8>, which leaves keys out}}
  %1 = rope.attention #rope.sliding<window = 8> rotary <theta = 1.0e4, dim = 8> scale 0.5 causal
      query(%0 : tensor<1x4x?x8xf32>) key(%k : tensor<1x2x?x8xf32>) value(%k : tensor<1x2x?x8xf32>)
      outs(%o : tensor<1x4x?x8xf32>) -> tensor<1x4x?x8xf32>
  return %1 : tensor<1x4x?x8xf32>
}

// -----

func.func @extended_before(%q: tensor<1x4x?x8xf32>, %k: tensor<1x2x?x8xf32>, %o: tensor<1x4x?x8xf32>) -> tensor<1x4x?x8xf32> {
  // expected-error @+1 {{cannot be extended: expected plain rotary attention, got #rope.rerope<window = 8>, which moves positions}}
  %0 = rope.attention #rope.rerope<window = 8> rotary <theta = 1.0e4, dim = 8> scale 0.5 causal
      query(%q : tensor<1x4x?x8xf32>) key(%k : tensor<1x2x?x8xf32>) value(%k : tensor<1x2x?x8xf32>)
      outs(%o : tensor<1x4x?x8xf32>) -> tensor<1x4x?x8xf32>
  return %0 : tensor<1x4x?x8xf32>
}

// -----

func.func @not_causal(%q: tensor<1x4x?x8xf32>, %k: tensor<1x2x?x8xf32>, %o: tensor<1x4x?x8xf32>) -> tensor<1x4x?x8xf32> {
  // expected-error @+1 {{cannot be extended: #rope.self_extend<group = 4, window = 16> moves positions, which is defined for causal attention only}}
  %0 = rope.attention #rope.identity rotary <theta = 1.0e4, dim = 8> scale 0.5
      query(%q : tensor<1x4x?x8xf32>) key(%k : tensor<1x2x?x8xf32>) value(%k : tensor<1x2x?x8xf32>)
      outs(%o : tensor<1x4x?x8xf32>) -> tensor<1x4x?x8xf32>
  return %0 : tensor<1x4x?x8xf32>
}

// -----

func.func @explicit_positions(%q: tensor<1x4x?x8xf32>, %k: tensor<1x2x?x8xf32>, %pq: tensor<1x?xi64>, %pk: tensor<1x?xi64>, %o: tensor<1x4x?x8xf32>) -> tensor<1x4x?x8xf32> {
  // expected-error @+1 {{cannot be extended: expected positions that follow the slots, got explicit query_positions and key_positions}}
  %0 = rope.attention #rope.identity rotary <theta = 1.0e4, dim = 8> scale 0.5 causal
      query(%q : tensor<1x4x?x8xf32>) key(%k : tensor<1x2x?x8xf32>) value(%k : tensor<1x2x?x8xf32>)
      query_positions(%pq : tensor<1x?xi64>) key_positions(%pk : tensor<1x?xi64>)
      outs(%o : tensor<1x4x?x8xf32>) -> tensor<1x4x?x8xf32>
  return %0 : tensor<1x4x?x8xf32>
}

// -----

module attributes {rope.model = {trained_length = 16 : i64}} {
  func.func @window_beyond_trained(%q: tensor<1x4x?x8xf32>, %k: tensor<1x2x?x8xf32>, %o: tensor<1x4x?x8xf32>) -> tensor<1x4x?x8xf32> {
    // expected-error @+1 {{cannot be extended: #rope.self_extend<group = 4, window = 16> is plain rotary attention up to a length of at least 17, beyond the trained length 16: relative positions leave the trained ones before it changes anything}}
    %0 = rope.attention #rope.identity rotary <theta = 1.0e4, dim = 8> scale 0.5 causal
        query(%q : tensor<1x4x?x8xf32>) key(%k : tensor<1x2x?x8xf32>) value(%k : tensor<1x2x?x8xf32>)
        outs(%o : tensor<1x4x?x8xf32>) -> tensor<1x4x?x8xf32>
    return %0 : tensor<1x4x?x8xf32>
  }
}

// -----

// expected-error @+1 {{cannot get an argument named 'map.window': argument 1 has that name (the option 'name' gives another)}}
func.func @name_is_taken(%q: tensor<1x4x?x8xf32>, %k: tensor<1x2x?x8xf32> {rope.name = "map.window"}, %o: tensor<1x4x?x8xf32>) -> tensor<1x4x?x8xf32> {
  %0 = rope.attention #rope.identity rotary <theta = 1.0e4, dim = 8> scale 0.5 causal
      query(%q : tensor<1x4x?x8xf32>) key(%k : tensor<1x2x?x8xf32>) value(%k : tensor<1x2x?x8xf32>)
      outs(%o : tensor<1x4x?x8xf32>) -> tensor<1x4x?x8xf32>
  return %0 : tensor<1x4x?x8xf32>
}

// -----

// expected-error @+1 {{cannot get arguments for run-time parameters: it is used by name}}
func.func private @called(%q: tensor<1x4x?x8xf32>, %k: tensor<1x2x?x8xf32>) -> tensor<1x4x?x8xf32> {
  %0 = rope.attention #rope.identity rotary <theta = 1.0e4, dim = 8> scale 0.5 causal
      query(%q : tensor<1x4x?x8xf32>) key(%k : tensor<1x2x?x8xf32>) value(%k : tensor<1x2x?x8xf32>)
      outs(%q : tensor<1x4x?x8xf32>) -> tensor<1x4x?x8xf32>
  return %0 : tensor<1x4x?x8xf32>
}
func.func @caller(%q: tensor<1x4x?x8xf32>, %k: tensor<1x2x?x8xf32>) -> tensor<1x4x?x8xf32> {
  // expected-note @+1 {{used here}}
  %0 = call @called(%q, %k) : (tensor<1x4x?x8xf32>, tensor<1x2x?x8xf32>) -> tensor<1x4x?x8xf32>
  return %0 : tensor<1x4x?x8xf32>
}

// -----

// expected-error @+1 {{expected rope.attention to extend, got none}}
module {
  func.func @nothing_to_extend() {
    return
  }
}
