// RUN: ropewalk-opt %s -rope-decompose-update-cache | FileCheck %s
// RUN: ropewalk-opt %s -rope-decompose-update-cache -one-shot-bufferize=bufferize-function-boundaries | FileCheck %s --check-prefix=BUFFERS

// CHECK-LABEL: func.func @per_item
// CHECK-SAME: %[[ROWS:.*]]: tensor<?x2x?x4xf32>, %[[OFFSET:.*]]: tensor<?xi64>, %[[CACHE:.*]]: tensor<?x2x?x4xf32>
// BUFFERS-LABEL: func.func @per_item
func.func @per_item(%rows: tensor<?x2x?x4xf32>, %offset: tensor<?xi64>,
                    %cache: tensor<?x2x?x4xf32>) -> tensor<?x2x?x4xf32> {
  // CHECK: scf.for %[[ITEM:.*]] = {{.*}} iter_args(%[[NOW:.*]] = %[[CACHE]])
  // CHECK: %[[FIRST:.*]] = tensor.extract %[[OFFSET]][%[[ITEM]]]
  // An offset out of range never leaves the cache.
  // CHECK: %[[WANTED:.*]] = arith.index_cast %[[FIRST]]
  // CHECK: %[[BELOW:.*]] = arith.minsi %[[WANTED]], %{{.*}}
  // CHECK: %[[SLOT:.*]] = arith.maxsi %[[BELOW]], %{{.*}}
  // CHECK: tensor.insert_slice %{{.*}} into %[[NOW]][%[[ITEM]], 0, %[[SLOT]], 0]
  // In place: nothing is allocated.
  // BUFFERS-NOT: memref.alloc
  // BUFFERS: memref.copy
  %u = rope.update_cache rows(%rows : tensor<?x2x?x4xf32>)
    offset(%offset : tensor<?xi64>) outs(%cache : tensor<?x2x?x4xf32>)
    -> tensor<?x2x?x4xf32>
  return %u : tensor<?x2x?x4xf32>
}

// CHECK-LABEL: func.func @all_items
func.func @all_items(%rows: tensor<?x2x?x4xf32>, %offset: i64,
                     %cache: tensor<?x2x?x4xf32>) -> tensor<?x2x?x4xf32> {
  // CHECK-NOT: scf.for
  // CHECK: tensor.insert_slice
  %u = rope.update_cache rows(%rows : tensor<?x2x?x4xf32>) offset(%offset : i64)
    outs(%cache : tensor<?x2x?x4xf32>) -> tensor<?x2x?x4xf32>
  return %u : tensor<?x2x?x4xf32>
}
