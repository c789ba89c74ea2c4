// One module for each numbered constraint of the attributes.
//
// RUN: ropewalk-opt %s --split-input-file --verify-diagnostics --allow-unregistered-dialect

module @segments_m1_mod {
  // expected-error @+1 {{from of segment 0 must not decrease with i, but it takes i modulo something}}
  "test.op"() {map = #rope.segments<[w = 4], from (i mod w) query (i) key (j), from (0) masked>} : () -> ()
}

// -----

module @segments_m1_falls {
  // expected-error @+1 {{from of segment 1 must not decrease with i, but it falls when i grows}}
  "test.op"() {map = #rope.segments<from (i) query (i) key (j), from (10 - i) query (i) key (j), from (0) masked>} : () -> ()
}

// -----

module @segments_m1_mixed {
  // expected-error @+1 {{from of segment 0 must not decrease with i, but it adds a part that grows with i and a part that falls with i}}
  "test.op"() {map = #rope.segments<from (i floordiv 2 - i floordiv 3) query (i) key (j), from (0) masked>} : () -> ()
}

// -----

module @segments_m1_divisor {
  // A parameter of unknown sign may not divide in a cut.
  // expected-error @+1 {{from of segment 0 must not decrease with i, but it divides by something that may not be positive}}
  "test.op"() {map = #rope.segments<[w = ?], from (i floordiv (w - 3)) query (i) key (j), from (0) masked>} : () -> ()
}

// -----

module @segments_m2 {
  // expected-error @+1 {{from of the last segment, 0, must be 0}}
  "test.op"() {map = #rope.segments<from (i - 3) query (i) key (j)>} : () -> ()
}

// -----

module @segments_m3 {
  // expected-error @+1 {{parameter 'g' of segments must be at least 1, got 0}}
  "test.op"() {map = #rope.segments<[g = 0], from (0) query (i floordiv g) key (j floordiv g)>} : () -> ()
}

// -----

module @segments_m4 {
  // expected-error @+1 {{relative position of segment 0 must not be negative, got -1 at i = 0, j = 0}}
  "test.op"() {map = #rope.segments<from (0) query (i) key (j + 1)>} : () -> ()
}

// -----

module @segments_m4_second {
  // Without its shift the grouped segment of self-extend would be fine; with
  // the key's group smaller than the query's it is not.
  // expected-error @+1 {{relative position of segment 1 must not be negative}}
  "test.op"() {map = #rope.segments<from (i - 3) query (i) key (j), from (0) query (i floordiv 8) key (j floordiv 4)>} : () -> ()
}

// -----

module @segments_m5_name {
  // expected-error @+1 {{name 'i' of a parameter is taken already}}
  "test.op"() {map = #rope.segments<[i = 4], from (0) query (i) key (j)>} : () -> ()
}

// -----

module @segments_m5_twice {
  // expected-error @+1 {{name 'w' of a parameter is taken already}}
  "test.op"() {map = #rope.segments<[w = 4, w = 5], from (0) query (i) key (j)>} : () -> ()
}

// -----

module @segments_m5_unit {
  // expected-error @+1 {{unit of segments must be at least 1, got 0}}
  "test.op"() {map = #rope.segments<unit = 0, from (0) query (i) key (j)>} : () -> ()
}

// -----

module @segments_m5_key {
  // expected-error @+1 {{segment 0 must have one key position, got 2}}
  "test.op"() {map = #rope.segments<from (0) query (i) key (j, 0)>} : () -> ()
}

// -----

module @self_extend_m3_group {
  // expected-error @+1 {{parameter 'group' of self_extend must be at least 1, got 0}}
  "test.op"() {map = #rope.self_extend<group = 0, window = 4>} : () -> ()
}

// -----

module @self_extend_m3_window {
  // expected-error @+1 {{parameter 'window' of self_extend must be at least 0, got -1}}
  "test.op"() {map = #rope.self_extend<group = 2, window = -1>} : () -> ()
}

// -----

module @rerope_m3 {
  // expected-error @+1 {{parameter 'window' of rerope must be at least 0, got -4}}
  "test.op"() {map = #rope.rerope<window = -4>} : () -> ()
}

// -----

module @sliding_m3 {
  // expected-error @+1 {{parameter 'window' of sliding must be at least 0, got -4}}
  "test.op"() {map = #rope.sliding<window = -4>} : () -> ()
}

// -----

module @rotary_r1 {
  // expected-error @+1 {{theta of rotary must be finite and greater than 0, got -1}}
  "test.op"() {r = #rope.rotary<theta = -1.0, dim = 8>} : () -> ()
}

// -----

module @rotary_r2 {
  // expected-error @+1 {{dim of rotary must be even and at least 2, got 7}}
  "test.op"() {r = #rope.rotary<theta = 500.0, dim = 7>} : () -> ()
}

// -----

module @rotary_r3 {
  // expected-error @+1 {{scaling of rotary must be a rotary scaling attribute, got "ntk"}}
  "test.op"() {r = #rope.rotary<theta = 500.0, dim = 8, scaling = "ntk">} : () -> ()
}

// -----

module @rotary_layout {
  // expected-error @+1 {{layout of rotary expects half, got 'interleaved'}}
  "test.op"() {r = #rope.rotary<theta = 500.0, dim = 8, layout = interleaved>} : () -> ()
}

// -----

module @rotary_key {
  // expected-error @+1 {{unknown key 'factor' of rotary, expected layout or scaling}}
  "test.op"() {r = #rope.rotary<theta = 500.0, dim = 8, factor = 2>} : () -> ()
}

// -----

module @yarn_y1 {
  // expected-error @+1 {{factor of yarn must be finite and at least 1, got 5.000000e-01}}
  "test.op"() {r = #rope.yarn<factor = 0.5, original = 8>} : () -> ()
}

// -----

module @yarn_y2 {
  // expected-error @+1 {{original of yarn must be at least 1, got 0}}
  "test.op"() {r = #rope.yarn<factor = 2.0, original = 0>} : () -> ()
}

// -----

module @yarn_y3 {
  // expected-error @+1 {{beta_fast and beta_slow of yarn must be finite, greater than 0 and in falling order, got 1}}
  "test.op"() {r = #rope.yarn<factor = 2.0, original = 8, beta_fast = 1.0, beta_slow = 32.0>} : () -> ()
}

// -----

module @yarn_y4 {
  // expected-error @+1 {{attention_factor of yarn must be finite and greater than 0, got 0}}
  "test.op"() {r = #rope.yarn<factor = 2.0, original = 8, attention_factor = 0.0>} : () -> ()
}

// -----

module @yarn_missing {
  // expected-error @+1 {{yarn needs 'original'}}
  "test.op"() {r = #rope.yarn<factor = 2.0>} : () -> ()
}

// -----

module @yarn_twice {
  // expected-error @+1 {{key 'factor' given twice}}
  "test.op"() {r = #rope.yarn<factor = 2.0, factor = 3.0, original = 8>} : () -> ()
}

// -----

module @yarn_unknown {
  // expected-error @+1 {{unknown key 'mscale' of yarn}}
  "test.op"() {r = #rope.yarn<factor = 2.0, mscale = 3.0, original = 8>} : () -> ()
}
