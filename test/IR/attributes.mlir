// Round trip of the attributes. Expressions of the open form keep the names of
// their parameters.
//
// RUN: ropewalk-opt %s --allow-unregistered-dialect | FileCheck %s
// RUN: ropewalk-opt %s --allow-unregistered-dialect --emit-bytecode | ropewalk-opt --allow-unregistered-dialect | FileCheck %s

// CHECK-LABEL: module @maps
module @maps {
  // CHECK: "test.op"() {map = #rope.identity}
  "test.op"() {map = #rope.identity} : () -> ()
  // CHECK: #rope.self_extend<group = 8, window = 1024>
  "test.op"() {map = #rope.self_extend<group = 8, window = 1024>} : () -> ()
  // CHECK: #rope.self_extend<group = ?, window = 0>
  "test.op"() {map = #rope.self_extend<group = ?, window = 0>} : () -> ()
  // CHECK: #rope.rerope<window = 512>
  "test.op"() {map = #rope.rerope<window = 512>} : () -> ()
  // CHECK: #rope.sliding<window = ?>
  "test.op"() {map = #rope.sliding<window = ?>} : () -> ()

  // CHECK: #rope.segments<[group = 8, window = ?], from (i - window + 1) query (i) key (j), from (0) query (i floordiv group + window - (window floordiv group)) key (j floordiv group)>
  "test.op"() {map = #rope.segments<[group = 8, window = ?],
      from (i - window + 1) query (i) key (j),
      from (0) query (i floordiv group + window - window floordiv group) key (j floordiv group)>} : () -> ()

  // A masked run, a minimum of two positions, a unit and a modulus.
  // CHECK: #rope.segments<[c = 6], unit = 2, from ((i floordiv c) * c) query (i mod c) key (j mod c), from (i - 100, 12) masked, from (0) query (c * 2, i) key (0)>
  "test.op"() {map = #rope.segments<[c = 6], unit = 2,
      from (c * (i floordiv c)) query (i mod c) key (j mod c),
      from (i - 100, 12) masked,
      from (0) query (2 * c, i) key (0)>} : () -> ()

  // CHECK: #rope.segments<from (0) query (i) key (j)>
  "test.op"() {map = #rope.segments<from (0) query (i) key (j)>} : () -> ()
}

// CHECK-LABEL: module @rotary
module @rotary {
  // CHECK: #rope.rotary<theta = 10000.0, dim = 64>
  "test.op"() {r = #rope.rotary<theta = 10000, dim = 64>} : () -> ()
  // CHECK: #rope.rotary<theta = 500.5, dim = 8>
  "test.op"() {r = #rope.rotary<theta = 500.5, dim = 8, layout = half>} : () -> ()
  // CHECK: #rope.yarn<factor = 4.0, original = 32768, beta_fast = 64.0, beta_slow = 2.0, attention_factor = 1.25, truncate = false>
  "test.op"() {r = #rope.rotary<theta = 1.0e6, dim = 64, scaling = #rope.yarn<original = 32768, factor = 4, beta_fast = 64,
      beta_slow = 2.0, attention_factor = 1.25, truncate = false>>} : () -> ()
}
