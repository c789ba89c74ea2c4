// Options of rope-extend that are wrong, each with its reason. Without a map the
// pass is an error: nothing is extended by default.
//
// RUN: not ropewalk-opt %s --rope-extend 2>&1 | FileCheck %s --check-prefix=NONE
// RUN: not ropewalk-opt %s '--rope-extend=map=#rope.identity method=identity' 2>&1 | FileCheck %s --check-prefix=NONE
// RUN: not ropewalk-opt %s '--rope-extend=map=#rope.identity values=window=3' 2>&1 | FileCheck %s --check-prefix=VALUES
// RUN: not ropewalk-opt %s '--rope-extend=map=17' 2>&1 | FileCheck %s --check-prefix=KIND
// RUN: not ropewalk-opt %s '--rope-extend=method=no_such_map' 2>&1 | FileCheck %s --check-prefix=UNKNOWN
// RUN: not ropewalk-opt %s '--rope-extend=map=#rope.self_extend<group=0,window=8>' 2>&1 | FileCheck %s --check-prefix=RANGE
// RUN: not ropewalk-opt %s '--rope-extend=map=#rope.rerope<window=8> layers=1-0' 2>&1 | FileCheck %s --check-prefix=LAYERS
// RUN: not ropewalk-opt %s '--rope-extend=map=#rope.rerope<window=8> layers=0,' 2>&1 | FileCheck %s --check-prefix=LAYERS
// RUN: not ropewalk-opt %s '--rope-extend=map=#rope.rerope<window=8> layers=99999999999' 2>&1 | FileCheck %s --check-prefix=LAYERS
// RUN: not ropewalk-opt %s '--rope-extend=map=#rope.rerope<window=8> layers=0-1' 2>&1 | FileCheck %s --check-prefix=COUNT
// RUN: not ropewalk-opt %s '--rope-extend=map=#rope.rerope<window=8> report-length=-1' 2>&1 | FileCheck %s --check-prefix=LENGTH
// RUN: not ropewalk-opt %s '--rope-extend=map=#rope.rerope<window=8> parameters=maybe' 2>&1 | FileCheck %s --check-prefix=BINDING

// NONE: error: rope-extend: expected one of the options 'map' and 'method'
// VALUES: error: rope-extend: the option 'values' needs the option 'method'
// KIND: error: rope-extend: '17' is not a position map
// UNKNOWN: error: rope-extend: '#rope.no_such_map' is not an attribute
// RANGE: parameter 'group' of self_extend must be at least 1, got 0
// RANGE: error: rope-extend: '#rope.self_extend<group=0,window=8>' is not an attribute
// LAYERS: error: rope-extend: the option 'layers' expects numbers and ranges such as 0-3,7, got '
// COUNT: error: expected layers below 1, the number of attention ops in 'one', got layer 1
// LENGTH: error: rope-extend: the option 'report-length' expects a length from 0 to 16777216, got -1
// BINDING: Cannot find option named 'maybe'
func.func @one(%q: tensor<1x4x?x8xf32>, %k: tensor<1x2x?x8xf32>) -> tensor<1x4x?x8xf32> {
  %0 = rope.attention #rope.identity rotary <theta = 1.0e4, dim = 8> scale 0.5 causal
      query(%q : tensor<1x4x?x8xf32>) key(%k : tensor<1x2x?x8xf32>) value(%k : tensor<1x2x?x8xf32>)
      outs(%q : tensor<1x4x?x8xf32>) -> tensor<1x4x?x8xf32>
  return %0 : tensor<1x4x?x8xf32>
}
