// rope-extend gives chosen layers another map, in the attribute or as run-time
// arguments of the function, and reports what it did.
//
// RUN: ropewalk-opt %s --split-input-file '--rope-extend=map=#rope.self_extend<group=8,window=32>' | FileCheck %s
// RUN: ropewalk-opt %s --split-input-file '--rope-extend=method=self_extend values="group = 8, window = 32"' | FileCheck %s
// RUN: ropewalk-opt %s --split-input-file '--rope-extend=map=#rope.rerope<window=16> layers=0,2' | FileCheck %s --check-prefix=LAYERS
// RUN: ropewalk-opt %s --split-input-file '--rope-extend=map=#rope.self_extend<group=8,window=32> layers=1-2 parameters=runtime name=far' | FileCheck %s --check-prefix=RUNTIME
// RUN: ropewalk-opt %s --split-input-file '--rope-extend=map=#rope.self_extend<group=8,window=?>' | FileCheck %s --check-prefix=OPEN
// RUN: ropewalk-opt %s --split-input-file -o /dev/null --remarks-filter=rope-extend --remark-format=emitRemark '--rope-extend=map=#rope.self_extend<group=8,window=32> report-length=300' 2>&1 | FileCheck %s --check-prefix=REMARK
// RUN: ropewalk-opt %s --split-input-file -o /dev/null '--rope-extend=map=#rope.self_extend<group=8,window=32>' 2>&1 | FileCheck %s --check-prefix=QUIET --allow-empty

// QUIET-NOT: {{.}}

module attributes {rope.model = {trained_length = 64 : i64}} {
  // CHECK-LABEL: func @three
  // CHECK-SAME: (%[[Q:[^:]+]]: tensor<2x4x?x8xf32>, %[[K:[^:]+]]: tensor<2x2x?x8xf32>, %[[O:[^:]+]]: tensor<2x4x?x8xf32>)
  // CHECK: %[[A:.+]] = rope.attention #rope.self_extend<group = 8, window = 32> rotary <theta = 10000.0, dim = 8> scale 5.000000e-01 causal query(%[[Q]]
  // CHECK-NOT: parameters
  // CHECK: %[[B:.+]] = rope.attention #rope.self_extend<group = 8, window = 32> {{.*}} query(%[[A]]
  // CHECK: rope.attention #rope.self_extend<group = 8, window = 32> {{.*}} query(%[[B]]

  // LAYERS-LABEL: func @three
  // LAYERS: rope.attention #rope.rerope<window = 16>
  // LAYERS: rope.attention #rope.identity
  // LAYERS: rope.attention #rope.rerope<window = 16>

  // All chosen layers share the arguments.
  // RUNTIME-LABEL: func @three
  // RUNTIME-SAME: %[[G:[^:]+]]: tensor<?x?xi64> {rope.kind = "parameter", rope.name = "far.group"}, %[[W:[^:]+]]: tensor<?x?xi64> {rope.kind = "parameter", rope.name = "far.window"})
  // RUNTIME: rope.attention #rope.identity
  // RUNTIME-NOT: parameters
  // RUNTIME: rope.attention #rope.self_extend<group = ?, window = ?> {{.*}} parameters(%[[G]], %[[W]] : tensor<?x?xi64>, tensor<?x?xi64>)
  // RUNTIME: rope.attention #rope.self_extend<group = ?, window = ?> {{.*}} parameters(%[[G]], %[[W]] : tensor<?x?xi64>, tensor<?x?xi64>)

  // Only what the attribute leaves open becomes an argument.
  // OPEN-LABEL: func @three
  // OPEN-SAME: %[[W:[^:]+]]: tensor<?x?xi64> {rope.kind = "parameter", rope.name = "map.window"})
  // OPEN: rope.attention #rope.self_extend<group = 8, window = ?> {{.*}} parameters(%[[W]] : tensor<?x?xi64>)

  // 299 floordiv 8 + 32 - 32 floordiv 8 = 65, against key 0.
  // REMARK: remark: {{.*}}Category:rope-extend{{.*}}layer 0: #rope.identity becomes #rope.self_extend<group = 8, window = 32>
  // REMARK: remark: layer 0: the largest relative position at length 300 is 65, trained 63
  // REMARK: remark: {{.*}}layer 1: #rope.identity becomes
  // REMARK: remark: layer 1: the largest
  // REMARK: remark: {{.*}}layer 2: #rope.identity becomes
  // REMARK: remark: layer 2: the largest
  func.func @three(%q: tensor<2x4x?x8xf32>, %k: tensor<2x2x?x8xf32>, %o: tensor<2x4x?x8xf32>) -> tensor<2x4x?x8xf32> {
    %0 = rope.attention #rope.identity rotary <theta = 1.0e4, dim = 8> scale 0.5 causal
        query(%q : tensor<2x4x?x8xf32>) key(%k : tensor<2x2x?x8xf32>) value(%k : tensor<2x2x?x8xf32>)
        outs(%o : tensor<2x4x?x8xf32>) -> tensor<2x4x?x8xf32>
    %1 = rope.attention #rope.identity rotary <theta = 1.0e4, dim = 8> scale 0.5 causal
        query(%0 : tensor<2x4x?x8xf32>) key(%k : tensor<2x2x?x8xf32>) value(%k : tensor<2x2x?x8xf32>)
        outs(%o : tensor<2x4x?x8xf32>) -> tensor<2x4x?x8xf32>
    %2 = rope.attention #rope.identity rotary <theta = 1.0e4, dim = 8> scale 0.5 causal
        query(%1 : tensor<2x4x?x8xf32>) key(%k : tensor<2x2x?x8xf32>) value(%k : tensor<2x2x?x8xf32>)
        outs(%o : tensor<2x4x?x8xf32>) -> tensor<2x4x?x8xf32>
    return %2 : tensor<2x4x?x8xf32>
  }
}

// -----

// A map that is written out as segments but is plain rotary attention can be
// extended too: what counts is the segments. No trained length is known, and
// the function is a graph of its own (offsets, no causal limit problem).
// CHECK-LABEL: func @open_form
// CHECK: rope.attention #rope.self_extend<group = 8, window = 32> {{.*}} query_offset(
func.func @open_form(%q: tensor<2x4x?x8xf32>, %k: tensor<2x2x?x8xf32>, %at: i64, %o: tensor<2x4x?x8xf32>) -> tensor<2x4x?x8xf32> {
  %0 = rope.attention #rope.segments<from (0) query (i) key (j)> rotary <theta = 1.0e4, dim = 8> scale 0.5 causal
      query(%q : tensor<2x4x?x8xf32>) key(%k : tensor<2x2x?x8xf32>) value(%k : tensor<2x2x?x8xf32>)
      query_offset(%at : i64) outs(%o : tensor<2x4x?x8xf32>) -> tensor<2x4x?x8xf32>
  %1 = rope.attention #rope.identity rotary <theta = 1.0e4, dim = 8> scale 0.5 causal
      query(%0 : tensor<2x4x?x8xf32>) key(%k : tensor<2x2x?x8xf32>) value(%k : tensor<2x2x?x8xf32>)
      query_offset(%at : i64) outs(%o : tensor<2x4x?x8xf32>) -> tensor<2x4x?x8xf32>
  %2 = rope.attention #rope.identity rotary <theta = 1.0e4, dim = 8> scale 0.5 causal
      query(%1 : tensor<2x4x?x8xf32>) key(%k : tensor<2x2x?x8xf32>) value(%k : tensor<2x2x?x8xf32>)
      query_offset(%at : i64) outs(%o : tensor<2x4x?x8xf32>) -> tensor<2x4x?x8xf32>
  return %2 : tensor<2x4x?x8xf32>
}
