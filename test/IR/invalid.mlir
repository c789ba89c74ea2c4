// One function for each numbered constraint of the operations, named after it.
//
// RUN: ropewalk-opt %s --split-input-file --verify-diagnostics

func.func @attention_c1_heads(%q: tensor<1x?x8x8xf32>, %k: tensor<1x2x8x8xf32>, %o: tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32> {
  // expected-error @+1 {{(C1) heads of query must be static and not 0, got ?}}
  %0 = rope.attention #rope.identity rotary <theta = 500.0, dim = 8> scale 1.0 causal query(%q : tensor<1x?x8x8xf32>) key(%k : tensor<1x2x8x8xf32>) value(%k : tensor<1x2x8x8xf32>) outs(%o : tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
  return %0 : tensor<1x4x8x8xf32>
}

// -----

func.func @attention_c1_value_dim(%q: tensor<1x4x8x8xf32>, %k: tensor<1x2x8x8xf32>, %v: tensor<1x2x8x?xf32>, %o: tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32> {
  // expected-error @+1 {{(C1) head dimension of value must be static and not 0, got ?}}
  %0 = rope.attention #rope.identity rotary <theta = 500.0, dim = 8> scale 1.0 causal query(%q : tensor<1x4x8x8xf32>) key(%k : tensor<1x2x8x8xf32>) value(%v : tensor<1x2x8x?xf32>) outs(%o : tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
  return %0 : tensor<1x4x8x8xf32>
}

// -----

func.func @attention_c2(%q: tensor<2x4x8x8xf32>, %k: tensor<1x2x8x8xf32>, %o: tensor<2x4x8x8xf32>) -> tensor<2x4x8x8xf32> {
  // expected-error @+1 {{(C2) key must have the batch size of query, 2, got 1}}
  %0 = rope.attention #rope.identity rotary <theta = 500.0, dim = 8> scale 1.0 causal query(%q : tensor<2x4x8x8xf32>) key(%k : tensor<1x2x8x8xf32>) value(%k : tensor<1x2x8x8xf32>) outs(%o : tensor<2x4x8x8xf32>) -> tensor<2x4x8x8xf32>
  return %0 : tensor<2x4x8x8xf32>
}

// -----

func.func @attention_c3_multiple(%q: tensor<1x5x8x8xf32>, %k: tensor<1x2x8x8xf32>, %o: tensor<1x5x8x8xf32>) -> tensor<1x5x8x8xf32> {
  // expected-error @+1 {{(C3) heads of query must be a multiple of 2, got 5}}
  %0 = rope.attention #rope.identity rotary <theta = 500.0, dim = 8> scale 1.0 causal query(%q : tensor<1x5x8x8xf32>) key(%k : tensor<1x2x8x8xf32>) value(%k : tensor<1x2x8x8xf32>) outs(%o : tensor<1x5x8x8xf32>) -> tensor<1x5x8x8xf32>
  return %0 : tensor<1x5x8x8xf32>
}

// -----

func.func @attention_c3_value(%q: tensor<1x4x8x8xf32>, %k: tensor<1x2x8x8xf32>, %v: tensor<1x4x8x8xf32>, %o: tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32> {
  // expected-error @+1 {{(C3) value must have the heads of key, 2, got 4}}
  %0 = rope.attention #rope.identity rotary <theta = 500.0, dim = 8> scale 1.0 causal query(%q : tensor<1x4x8x8xf32>) key(%k : tensor<1x2x8x8xf32>) value(%v : tensor<1x4x8x8xf32>) outs(%o : tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
  return %0 : tensor<1x4x8x8xf32>
}

// -----

func.func @attention_c4(%q: tensor<1x4x8x8xf32>, %k: tensor<1x2x8x8xf32>, %v: tensor<1x2x9x8xf32>, %o: tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32> {
  // expected-error @+1 {{(C4) value must have the slots of key, 8, got 9}}
  %0 = rope.attention #rope.identity rotary <theta = 500.0, dim = 8> scale 1.0 causal query(%q : tensor<1x4x8x8xf32>) key(%k : tensor<1x2x8x8xf32>) value(%v : tensor<1x2x9x8xf32>) outs(%o : tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
  return %0 : tensor<1x4x8x8xf32>
}

// -----

func.func @attention_c5_key(%q: tensor<1x4x8x8xf32>, %k: tensor<1x2x8x16xf32>, %v: tensor<1x2x8x8xf32>, %o: tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32> {
  // expected-error @+1 {{(C5) key must have the head dimension of query, 8, got 16}}
  %0 = rope.attention #rope.identity rotary <theta = 500.0, dim = 8> scale 1.0 causal query(%q : tensor<1x4x8x8xf32>) key(%k : tensor<1x2x8x16xf32>) value(%v : tensor<1x2x8x8xf32>) outs(%o : tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
  return %0 : tensor<1x4x8x8xf32>
}

// -----

func.func @attention_c5_rotary(%q: tensor<1x4x8x8xf32>, %k: tensor<1x2x8x8xf32>, %o: tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32> {
  // expected-error @+1 {{(C5) head dimension of query must be at least that of rotary, 10, got 8}}
  %0 = rope.attention #rope.identity rotary <theta = 500.0, dim = 10> scale 1.0 causal query(%q : tensor<1x4x8x8xf32>) key(%k : tensor<1x2x8x8xf32>) value(%k : tensor<1x2x8x8xf32>) outs(%o : tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
  return %0 : tensor<1x4x8x8xf32>
}

// -----

func.func @attention_c6_shape(%q: tensor<1x4x8x8xf32>, %k: tensor<1x2x8x8xf32>, %o: tensor<1x4x8x4xf32>) -> tensor<1x4x8x4xf32> {
  // expected-error @+1 {{(C6) output 0 must be [1, 4, 8, 8], got 'tensor<1x4x8x4xf32>'}}
  %0 = rope.attention #rope.identity rotary <theta = 500.0, dim = 8> scale 1.0 causal query(%q : tensor<1x4x8x8xf32>) key(%k : tensor<1x2x8x8xf32>) value(%k : tensor<1x2x8x8xf32>) outs(%o : tensor<1x4x8x4xf32>) -> tensor<1x4x8x4xf32>
  return %0 : tensor<1x4x8x4xf32>
}

// -----

func.func @attention_c6_lse_type(%q: tensor<1x4x8x8xf32>, %k: tensor<1x2x8x8xf32>, %o: tensor<1x4x8x8xf32>, %l: tensor<1x4x8xf16>) {
  // expected-error @+1 {{(C6) output 1, the log-sum-exp, must be f32, got 'f16'}}
  %0:2 = rope.attention #rope.identity rotary <theta = 500.0, dim = 8> scale 1.0 causal query(%q : tensor<1x4x8x8xf32>) key(%k : tensor<1x2x8x8xf32>) value(%k : tensor<1x2x8x8xf32>) outs(%o, %l : tensor<1x4x8x8xf32>, tensor<1x4x8xf16>) -> tensor<1x4x8x8xf32>, tensor<1x4x8xf16>
  return
}

// -----

func.func @attention_c6_result(%q: tensor<1x4x8x8xf32>, %k: tensor<1x2x8x8xf32>, %o: tensor<1x4x8x8xf32>) {
  // expected-error @+1 {{(C6) result 0 must have the type of its output, 'tensor<1x4x8x8xf32>', got 'tensor<1x4x?x8xf32>'}}
  %0 = rope.attention #rope.identity rotary <theta = 500.0, dim = 8> scale 1.0 causal query(%q : tensor<1x4x8x8xf32>) key(%k : tensor<1x2x8x8xf32>) value(%k : tensor<1x2x8x8xf32>) outs(%o : tensor<1x4x8x8xf32>) -> tensor<1x4x?x8xf32>
  return
}

// -----

func.func @attention_c7(%q: tensor<1x4x8x8xf32>, %k: tensor<1x2x8x8xf32>, %o: tensor<1x4x8x8xf32>, %b: tensor<1x3x8x8xf32>) -> tensor<1x4x8x8xf32> {
  // expected-error @+1 {{(C7) bias must be [1|1, 4|1, 8, 8], got [1, 3, 8, 8]}}
  %0 = rope.attention #rope.identity rotary <theta = 500.0, dim = 8> scale 1.0 causal query(%q : tensor<1x4x8x8xf32>) key(%k : tensor<1x2x8x8xf32>) value(%k : tensor<1x2x8x8xf32>) bias(%b : tensor<1x3x8x8xf32>) outs(%o : tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
  return %0 : tensor<1x4x8x8xf32>
}

// -----

func.func @attention_c8(%q: tensor<2x4x8x8xf32>, %k: tensor<2x2x8x8xf32>, %o: tensor<2x4x8x8xf32>, %p: tensor<3xi64>) -> tensor<2x4x8x8xf32> {
  // expected-error @+1 {{(C8) position_offset must be i64 or have the batch size 2, got 3}}
  %0 = rope.attention #rope.identity rotary <theta = 500.0, dim = 8> scale 1.0 causal query(%q : tensor<2x4x8x8xf32>) key(%k : tensor<2x2x8x8xf32>) value(%k : tensor<2x2x8x8xf32>) position_offset(%p : tensor<3xi64>) outs(%o : tensor<2x4x8x8xf32>) -> tensor<2x4x8x8xf32>
  return %0 : tensor<2x4x8x8xf32>
}

// -----

func.func @attention_c9(%q: tensor<1x4x8x8xf32>, %k: tensor<1x2x8x8xf32>, %o: tensor<1x4x8x8xf32>, %g: i64) -> tensor<1x4x8x8xf32> {
  // expected-error @+1 {{(C9) must have one operand for each of the 2 run-time parameters of #rope.self_extend<group = ?, window = ?>, got 1}}
  %0 = rope.attention #rope.self_extend<group = ?, window = ?> rotary <theta = 500.0, dim = 8> scale 1.0 causal query(%q : tensor<1x4x8x8xf32>) key(%k : tensor<1x2x8x8xf32>) value(%k : tensor<1x2x8x8xf32>) parameters(%g : i64) outs(%o : tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
  return %0 : tensor<1x4x8x8xf32>
}

// -----

func.func @attention_c10_heads(%q: tensor<1x4x8x8xf32>, %k: tensor<1x2x8x8xf32>, %o: tensor<1x4x8x8xf32>, %g: tensor<1x4xi64>) -> tensor<1x4x8x8xf32> {
  // expected-error @+1 {{(C10) parameter 'group' must be [1|1, 2|1, 4|1], got [1, 4]}}
  %0 = rope.attention #rope.self_extend<group = ?, window = 4> rotary <theta = 500.0, dim = 8> scale 1.0 causal query(%q : tensor<1x4x8x8xf32>) key(%k : tensor<1x2x8x8xf32>) value(%k : tensor<1x2x8x8xf32>) parameters(%g : tensor<1x4xi64>) outs(%o : tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
  return %0 : tensor<1x4x8x8xf32>
}

// -----

func.func @attention_c10_pairs(%q: tensor<1x4x8x8xf32>, %k: tensor<1x2x8x8xf32>, %o: tensor<1x4x8x8xf32>, %w: tensor<1x1x4xi64>) -> tensor<1x4x8x8xf32> {
  // expected-error @+1 {{(C10) parameter 'window' cuts segments and must have no axis of pairs, got [1, 1, 4]}}
  %0 = rope.attention #rope.self_extend<group = 2, window = ?> rotary <theta = 500.0, dim = 8> scale 1.0 causal query(%q : tensor<1x4x8x8xf32>) key(%k : tensor<1x2x8x8xf32>) value(%k : tensor<1x2x8x8xf32>) parameters(%w : tensor<1x1x4xi64>) outs(%o : tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
  return %0 : tensor<1x4x8x8xf32>
}

// -----

func.func @attention_c11(%q: tensor<1x4x8x8xf32>, %k: tensor<1x2x8x8xf32>, %o: tensor<1x4x8x8xf32>, %f: tensor<1x8xf32>) -> tensor<1x4x8x8xf32> {
  // expected-error @+1 {{(C11) inverse_frequencies must be [2|1, 4], got [1, 8]}}
  %0 = rope.attention #rope.identity rotary <theta = 500.0, dim = 8> scale 1.0 causal query(%q : tensor<1x4x8x8xf32>) key(%k : tensor<1x2x8x8xf32>) value(%k : tensor<1x2x8x8xf32>) inverse_frequencies(%f : tensor<1x8xf32>) outs(%o : tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
  return %0 : tensor<1x4x8x8xf32>
}

// -----

func.func @attention_c12(%q: tensor<1x4x8x8xf32>, %k: tensor<1x2x8x8xf32>, %o: tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32> {
  // expected-error @+1 {{(C12) a map that moves positions needs 'causal', got #rope.rerope<window = 4>}}
  %0 = rope.attention #rope.rerope<window = 4> rotary <theta = 500.0, dim = 8> scale 1.0 query(%q : tensor<1x4x8x8xf32>) key(%k : tensor<1x2x8x8xf32>) value(%k : tensor<1x2x8x8xf32>) outs(%o : tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
  return %0 : tensor<1x4x8x8xf32>
}

// -----

func.func @attention_c13_scale(%q: tensor<1x4x8x8xf32>, %k: tensor<1x2x8x8xf32>, %o: tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32> {
  // expected-error @+1 {{(C13) scale must be finite, got INF}}
  %0 = rope.attention #rope.identity rotary <theta = 500.0, dim = 8> scale 0x7FF0000000000000 causal query(%q : tensor<1x4x8x8xf32>) key(%k : tensor<1x2x8x8xf32>) value(%k : tensor<1x2x8x8xf32>) outs(%o : tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
  return %0 : tensor<1x4x8x8xf32>
}

// -----

func.func @attention_c13_softcap(%q: tensor<1x4x8x8xf32>, %k: tensor<1x2x8x8xf32>, %o: tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32> {
  // expected-error @+1 {{(C13) softcap must be finite and greater than 0, got 0}}
  %0 = rope.attention #rope.identity rotary <theta = 500.0, dim = 8> scale 1.0 causal softcap 0.0 query(%q : tensor<1x4x8x8xf32>) key(%k : tensor<1x2x8x8xf32>) value(%k : tensor<1x2x8x8xf32>) outs(%o : tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
  return %0 : tensor<1x4x8x8xf32>
}

// -----

func.func @attention_c14_one(%q: tensor<1x4x8x8xf32>, %k: tensor<1x2x8x8xf32>, %o: tensor<1x4x8x8xf32>, %p: tensor<1x8xi64>) -> tensor<1x4x8x8xf32> {
  // expected-error @+1 {{(C14) query_positions and key_positions must both be there or none, got only query_positions}}
  %0 = rope.attention #rope.identity rotary <theta = 500.0, dim = 8> scale 1.0 causal query(%q : tensor<1x4x8x8xf32>) key(%k : tensor<1x2x8x8xf32>) value(%k : tensor<1x2x8x8xf32>) query_positions(%p : tensor<1x8xi64>) outs(%o : tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
  return %0 : tensor<1x4x8x8xf32>
}

// -----

func.func @attention_c14_offset(%q: tensor<1x4x8x8xf32>, %k: tensor<1x2x8x8xf32>, %o: tensor<1x4x8x8xf32>, %p: tensor<1x8xi64>, %s: i64) -> tensor<1x4x8x8xf32> {
  // expected-error @+1 {{(C14) explicit positions exclude query_offset}}
  %0 = rope.attention #rope.identity rotary <theta = 500.0, dim = 8> scale 1.0 causal query(%q : tensor<1x4x8x8xf32>) key(%k : tensor<1x2x8x8xf32>) value(%k : tensor<1x2x8x8xf32>) query_offset(%s : i64) query_positions(%p : tensor<1x8xi64>) key_positions(%p : tensor<1x8xi64>) outs(%o : tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
  return %0 : tensor<1x4x8x8xf32>
}

// -----

func.func @rotate_c1(%x: tensor<1x2x8x4xf32>, %p: tensor<1x8xi64>) -> tensor<1x2x8x4xf32> {
  // expected-error @+1 {{(C1) head dimension of input must be static and at least 8, got 4}}
  %0 = rope.rotate <theta = 500.0, dim = 8> ins(%x : tensor<1x2x8x4xf32>) positions(%p : tensor<1x8xi64>) outs(%x : tensor<1x2x8x4xf32>) -> tensor<1x2x8x4xf32>
  return %0 : tensor<1x2x8x4xf32>
}

// -----

func.func @rotate_c2(%x: tensor<2x2x8x8xf32>, %p: tensor<3x8xi64>) -> tensor<2x2x8x8xf32> {
  // expected-error @+1 {{(C2) positions must be [2|1, 8], got [3, 8]}}
  %0 = rope.rotate <theta = 500.0, dim = 8> ins(%x : tensor<2x2x8x8xf32>) positions(%p : tensor<3x8xi64>) outs(%x : tensor<2x2x8x8xf32>) -> tensor<2x2x8x8xf32>
  return %0 : tensor<2x2x8x8xf32>
}

// -----

func.func @rotate_c3(%x: tensor<2x2x8x8xf32>, %p: tensor<2x8xi64>, %o: tensor<2x2x9x8xf32>) -> tensor<2x2x9x8xf32> {
  // expected-error @+1 {{(C3) output must be [2, 2, 8, 8], got [2, 2, 9, 8]}}
  %0 = rope.rotate <theta = 500.0, dim = 8> ins(%x : tensor<2x2x8x8xf32>) positions(%p : tensor<2x8xi64>) outs(%o : tensor<2x2x9x8xf32>) -> tensor<2x2x9x8xf32>
  return %0 : tensor<2x2x9x8xf32>
}

// -----

func.func @update_cache_c1_heads(%r: tensor<1x4x1x8xf32>, %c: tensor<1x2x8x8xf32>, %s: i64) -> tensor<1x2x8x8xf32> {
  // expected-error @+1 {{(C1) rows must have the heads of cache, 2, got 4}}
  %0 = rope.update_cache rows(%r : tensor<1x4x1x8xf32>) offset(%s : i64) outs(%c : tensor<1x2x8x8xf32>) -> tensor<1x2x8x8xf32>
  return %0 : tensor<1x2x8x8xf32>
}

// -----

func.func @update_cache_c1_type(%r: tensor<1x2x1x8xf16>, %c: tensor<1x2x8x8xf32>, %s: i64) -> tensor<1x2x8x8xf32> {
  // expected-error @+1 {{(C1) rows must have the element type of cache, 'f32', got 'f16'}}
  %0 = rope.update_cache rows(%r : tensor<1x2x1x8xf16>) offset(%s : i64) outs(%c : tensor<1x2x8x8xf32>) -> tensor<1x2x8x8xf32>
  return %0 : tensor<1x2x8x8xf32>
}

// -----

func.func @update_cache_c2(%r: tensor<1x2x1x8xf32>, %c: tensor<1x2x8x8xf32>, %s: tensor<2xi64>) -> tensor<1x2x8x8xf32> {
  // expected-error @+1 {{(C2) offset must be i64 or have the batch size 1, got 2}}
  %0 = rope.update_cache rows(%r : tensor<1x2x1x8xf32>) offset(%s : tensor<2xi64>) outs(%c : tensor<1x2x8x8xf32>) -> tensor<1x2x8x8xf32>
  return %0 : tensor<1x2x8x8xf32>
}

// -----

func.func @update_cache_c3(%r: tensor<1x2x1x8xf32>, %c: tensor<1x2x8x8xf32>, %s: i64) {
  // expected-error @+1 {{(C3) result must have the type of cache, 'tensor<1x2x8x8xf32>', got 'tensor<1x2x?x8xf32>'}}
  %0 = rope.update_cache rows(%r : tensor<1x2x1x8xf32>) offset(%s : i64) outs(%c : tensor<1x2x8x8xf32>) -> tensor<1x2x?x8xf32>
  return
}

// -----

// expected-error @+1 {{'rope.kind' of argument 0 expects "input", "weight", "cache" or "parameter", got "wieght"}}
func.func @argument_kind(%w: f32 {rope.kind = "wieght"}) {
  return
}

// -----

// expected-error @+1 {{'rope.name' expects a string that is not empty, got ""}}
func.func @argument_name(%w: f32 {rope.name = ""}) {
  return
}

// -----

// expected-error @+1 {{'rope.layer' is not an attribute of arguments in the dialect 'rope'}}
func.func @argument_unknown(%w: f32 {rope.layer = 1}) {
  return
}

// -----

// expected-error @+1 {{'rope.model' expects a dictionary, got 1}}
module attributes {rope.model = 1} {
}
