//===- RequirementTest.cpp - What targets and versions have -----*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The least target and version of each row is what ptxas of CUDA 13.0 asks for
// when it assembles the instruction in a module of sm_50 and in one of
// version 6.0. Below them the emulator refuses it and says what is needed.
//
//===----------------------------------------------------------------------===//

#include "Harness.h"

using namespace ropewalk::emulator;

namespace {

std::string version(unsigned number) {
  return std::to_string(number / 10) + "." + std::to_string(number % 10);
}
std::string chip(unsigned number) {
  return "sm_" + std::to_string(number / 10) + (number % 10 ? "a" : "");
}

/// What is wrong with `body` in a module of the target and version; "" if
/// nothing.
std::string errorOf(const std::string &body, const std::string &target,
                    const std::string &isa) {
  std::string text = entryText(body, 1),
              head = text.substr(0, text.find(".ad"));
  text.replace(0, head.size(),
               ".version " + isa + "\n.target " + target + "\n");
  Error error;
  return Module::parse(text, error) ? "" : error.message;
}

struct Case {
  const char *line;
  unsigned chip, version; ///< As in Requirements.h; 0 where any will do.
};

/// Targets with the versions in which they appeared.
const struct {
  unsigned chip, version;
} targets[] = {{500, 40}, {530, 42}, {600, 50}, {610, 50},
               {700, 60}, {720, 61}, {750, 63}, {800, 70},
               {860, 71}, {890, 78}, {900, 78}, {901, 80}};

const Case cases[] = {
    {"atom.global.add.f32 %r0, [%d1], %r1;", 0, 0},
    {"atom.global.cas.b64 %d0, [%d1], %d2, %d3;", 0, 0},
    {"atom.global.exch.b64 %d0, [%d1], %d2;", 0, 0},
    {"atom.global.min.s64 %d0, [%d1], %d2;", 0, 0},
    {"atom.global.and.b64 %d0, [%d1], %d2;", 0, 0},
    {"ld.global.ca.u32 %r0, [%d1];", 0, 0},
    {"ld.global.cv.u32 %r0, [%d1];", 0, 0},
    {"ld.global.nc.u32 %r0, [%d1];", 0, 0},
    {"ldu.global.u32 %r0, [%d1];", 0, 0},
    {"st.global.wt.u32 [%d1], %r0;", 0, 0},
    {"ld.const.u32 %r0, [%d1];", 0, 0},
    {"membar.cta;", 0, 0},
    {"membar.gl;", 0, 0},
    {"membar.sys;", 0, 0},
    {"cvt.rn.f16.f32 %h0, %r1;", 0, 0},
    {"cvt.f32.f16 %r0, %h1;", 0, 0},
    {"cvt.rn.sat.f16.f32 %h0, %r1;", 0, 0},
    {"cvt.rn.f16.s32 %h0, %r1;", 0, 0},
    {"cvt.rzi.f16.f16 %h0, %h1;", 0, 0},
    {"abs.f32 %r0, %r1;", 0, 0},
    {"ex2.approx.f32 %r0, %r1;", 0, 0},
    {"rcp.approx.ftz.f64 %d0, %d1;", 0, 0},
    {"rsqrt.approx.ftz.f64 %d0, %d1;", 0, 0},
    {"rsqrt.approx.f64 %d0, %d1;", 0, 0},
    {"copysign.f32 %r0, %r1, %r2;", 0, 0},
    {"testp.finite.f32 %p0, %r1;", 0, 0},
    {"lop3.b32 %r0, %r1, %r2, %r3, 1;", 0, 0},
    {"shf.l.wrap.b32 %r0, %r1, %r2, %r3;", 0, 0},
    {"fns.b32 %r0, %r1, %r2, %r3;", 0, 0},
    {"vote.sync.ballot.b32 %r0, %p1, -1;", 0, 0},
    {"vote.sync.any.pred %p0, %p1, -1;", 0, 0},
    {"shfl.sync.up.b32 %r0, %r1, 1, 0, -1;", 0, 0},
    {"bar.warp.sync -1;", 0, 0},
    {"barrier.sync 0;", 0, 0},
    {"bar.red.and.pred %p0, 0, %p1;", 0, 0},
    {"pmevent.mask 255;", 0, 0},
    {"pmevent 1;", 0, 0},
    {"brkpt;", 0, 0},
    {"trap;", 0, 0},
    {"isspacep.const %p0, %d1;", 0, 0},
    {"isspacep.local %p0, %d1;", 0, 0},
    {"cvta.const.u64 %d0, %d1;", 0, 0},
    {"cvta.to.shared.u64 %d0, %d1;", 0, 0},
    {"mov.u32 %r0, %total_smem_size;", 0, 0},
    {"mov.u32 %r0, %dynamic_smem_size;", 0, 0},
    {"mov.u32 %r0, %lanemask_eq;", 0, 0},
    {"mov.u64 %d0, %globaltimer;", 0, 0},
    {"mov.u32 %r0, %envreg1;", 0, 0},
    {"mov.u32 %r0, %nsmid;", 0, 0},
    {"mov.b64 %d0, {%r0, %r1};", 0, 0},
    {"prefetch.global.L1 [%d1];", 0, 0},
    {"prefetch.L2 [%d1];", 0, 0},
    {"prefetchu.L1 [%d1];", 0, 0},
    {"vadd4.u32.u32.u32.add %r0, %r1, %r2, %r3;", 0, 0},
    {"vadd.u32.u32.u32 %r0, %r1, %r2;", 0, 0},
    {"vavrg2.u32.u32.u32 %r0, %r1, %r2, %r3;", 0, 0},
    {"addc.cc.u64 %d0, %d1, %d2;", 0, 0},
    {"mad.lo.cc.u64 %d0, %d1, %d2, %d3;", 0, 0},
    {"madc.hi.s32 %r0, %r1, %r2, %r3;", 0, 0},
    {"bfind.u64 %r0, %d1;", 0, 0},
    {"exit;", 0, 0},
    {"activemask.b32 %r0;", 0, 62},
    {"cvta.shared::cta.u64 %d0, %d1;", 0, 78},
    {"atom.shared::cta.add.u32 %r0, [%r2], %r1;", 0, 78},
    {"red.shared::cta.add.u32 [%r2], %r1;", 0, 78},
    {"ld.volatile.shared::cta.u32 %r0, [%r1];", 0, 78},
    {"barrier.cta.arrive 0, 32;", 0, 78},
    {"barrier.cta.red.popc.u32 %r0, 0, %p1;", 0, 78},
    {"bar.cta.sync 0;", 0, 78},
    {"mov.u64 %d0, %current_graph_exec;", 0, 80},
    {"ld.param::entry.u64 %d0, [p0];", 0, 83},
    {"setp.lt.f16 %p0, %h1, %h2;", 530, 0},
    {"fma.rn.sat.f16x2 %r0, %r1, %r2, %r3;", 530, 0},
    {"add.sat.f16 %h0, %h1, %h2;", 530, 0},
    {"add.rn.sat.f16x2 %r0, %r1, %r2;", 530, 0},
    {"neg.ftz.f16 %h0, %h1;", 530, 0},
    {"set.lt.f16.f16 %h0, %h1, %h2;", 530, 0},
    {"set.lt.f16.s32 %h0, %r1, %r2;", 530, 0},
    {"setp.lt.f16x2 %p0|%p1, %r1, %r2;", 530, 0},
    {"setp.lt.and.f16 %p0, %h1, %h2, %p1;", 530, 0},
    {"set.lt.u32.f16 %r0, %h1, %h2;", 530, 65},
    {"abs.ftz.f16 %h0, %h1;", 530, 65},
    {"abs.ftz.f16x2 %r0, %r1;", 530, 65},
    {"set.lt.s32.f16x2 %r0, %r1, %r2;", 530, 65},
    {"atom.cta.add.u32 %r0, [%d1], %r1;", 600, 0},
    {"atom.gpu.global.add.u32 %r0, [%d1], %r1;", 600, 0},
    {"atom.sys.global.add.u32 %r0, [%d1], %r1;", 600, 0},
    {"atom.global.add.f64 %d0, [%d1], %d2;", 600, 0},
    {"red.cta.global.add.u32 [%d1], %r1;", 600, 0},
    {"red.gpu.global.add.u32 [%d1], %r1;", 600, 0},
    {"red.global.add.noftz.f16x2 [%d1], %r1;", 600, 62},
    {"dp2a.lo.u32.s32 %r0, %r1, %r2, %r3;", 610, 0},
    {"dp4a.u32.s32 %r0, %r1, %r2, %r3;", 610, 0},
    {"ld.acquire.gpu.global.u32 %r0, [%d1];", 700, 0},
    {"st.release.gpu.global.u32 [%d1], %r0;", 700, 0},
    {"fence.acq_rel.gpu;", 700, 0},
    {"ld.relaxed.sys.u32 %r0, [%d1];", 700, 0},
    {"ld.weak.global.u32 %r0, [%d1];", 700, 0},
    {"fence.sc.cta;", 700, 0},
    {"fence.sc.gpu;", 700, 0},
    {"fence.acquire.cta;", 700, 0},
    {"fence.release.sys;", 700, 0},
    {"match.all.sync.b32 %r0|%p1, %r1, -1;", 700, 0},
    {"match.any.sync.b64 %r0, %d1, -1;", 700, 0},
    {"nanosleep.u32 100;", 700, 62},
    {"atom.global.cas.b16 %h0, [%d1], %h1, %h2;", 700, 63},
    {"wmma.load.a.sync.aligned.row.m16n16k16.global.f16 "
     "{%r0,%r1,%r2,%r3,%r4,%r5,%r6,%r7}, [%d1];",
     700, 63},
    {"red.global.add.noftz.f16 [%d1], %h1;", 700, 63},
    {"ld.global.L1::evict_unchanged.u32 %r0, [%d1];", 700, 74},
    {"st.global.L1::evict_first.u32 [%d1], %r0;", 700, 74},
    {"fence.proxy.alias;", 700, 75},
    {"bmsk.clamp.b32 %r0, %r1, %r2;", 700, 76},
    {"szext.wrap.s32 %r0, %r1, %r2;", 700, 76},
    {"cvta.param.u64 %d0, %d1;", 700, 77},
    {"lop3.or.b32 %r0|%p1, %r1, %r2, %r3, 1, %p2;", 700, 82},
    {"wmma.load.a.sync.aligned.row.m16n16k16.global.s8 {%r0,%r1}, [%d1];", 720,
     63},
    {"cvt.pack.sat.u8.s32.b32 %r0, %r1, %r2, %r3;", 720, 65},
    {"cvt.pack.sat.u16.s32 %r0, %r1, %r2;", 720, 65},
    {"wmma.load.a.sync.aligned.row.m8n8k32.global.s4 {%r0}, [%d1];", 750, 63},
    {"cvt.pack.sat.s4.s32.b32 %r0, %r1, %r2, %r3;", 750, 65},
    {"mma.sync.aligned.m8n8k16.row.col.s32.s8.s8.s32 {%r0,%r1}, {%r2}, {%r3}, "
     "{%r0,%r1};",
     750, 65},
    {"ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%r0,%r1,%r2,%r3}, [%r4];", 750,
     65},
    {"mma.sync.aligned.m16n8k8.row.col.f16.f16.f16.f16 {%r0,%r1}, {%r2,%r3}, "
     "{%r4}, {%r5,%r6};",
     750, 65},
    {"mma.sync.aligned.m8n8k128.row.col.s32.b1.b1.s32.xor.popc {%r0,%r1}, "
     "{%r2}, {%r3}, {%r0,%r1};",
     750, 70},
    {"ex2.approx.f16 %h0, %h1;", 750, 70},
    {"tanh.approx.f16 %h0, %h1;", 750, 70},
    {"tanh.approx.f32 %r0, %r1;", 750, 70},
    {"ld.global.L2::64B.u32 %r0, [%d1];", 750, 74},
    {"ld.L2::128B.u32 %r0, [%d1];", 750, 74},
    {"movmatrix.sync.aligned.m8n8.trans.b16 %r0, %r1;", 750, 78},
    {"mbarrier.init.shared.b64 [%r1], %r2;", 800, 70},
    {"mbarrier.arrive.shared.b64 %d0, [%r1];", 800, 70},
    {"mbarrier.arrive.noComplete.shared.b64 %d0, [%r1], %r2;", 800, 70},
    {"mbarrier.test_wait.shared.b64 %p1, [%r1], %d2;", 800, 70},
    {"cp.async.ca.shared.global [%r1], [%d1], 16;", 800, 70},
    {"cp.async.commit_group;", 800, 70},
    {"mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%r0,%r1,%r2,%r3}, "
     "{%r4,%r5,%r6,%r7}, {%r8,%r9}, {%r0,%r1,%r2,%r3};",
     800, 70},
    {"mma.sync.aligned.m8n8k4.row.col.f64.f64.f64.f64 {%d0,%d1}, {%d2}, {%d3}, "
     "{%d0,%d1};",
     800, 70},
    {"wmma.load.a.sync.aligned.row.m16n16k16.global.bf16 {%r0,%r1,%r2,%r3}, "
     "[%d1];",
     800, 70},
    {"wmma.load.a.sync.aligned.row.m8n8k4.global.f64 {%d0}, [%d1];", 800, 70},
    {"cvt.rn.relu.f16.f32 %h0, %r1;", 800, 70},
    {"fma.rn.bf16 %h0, %h1, %h2, %h3;", 800, 70},
    {"fma.rn.relu.f16 %h0, %h1, %h2, %h3;", 800, 70},
    {"min.f16 %h0, %h1, %h2;", 800, 70},
    {"max.bf16x2 %r0, %r1, %r2;", 800, 70},
    {"abs.bf16 %h0, %h1;", 800, 70},
    {"mbarrier.arrive_drop.shared.b64 %d0, [%r1];", 800, 70},
    {"mbarrier.arrive_drop.noComplete.shared.b64 %d0, [%r1], %r2;", 800, 70},
    {"mbarrier.pending_count.b64 %r0, %d1;", 800, 70},
    {"cp.async.mbarrier.arrive.b64 [%d1];", 800, 70},
    {"cp.async.mbarrier.arrive.noinc.b64 [%d1];", 800, 70},
    {"cp.async.mbarrier.arrive.shared.b64 [%r1];", 800, 70},
    {"cp.async.wait_group 0;", 800, 70},
    {"cp.async.cg.shared::cta.global [%r1], [%d1], 16;", 800, 70},
    {"cp.async.ca.shared.global [%r1], [%d1], 4, 2;", 800, 70},
    {"cvt.rna.tf32.f32 %r0, %r1;", 800, 70},
    {"cvt.rn.bf16x2.f32 %r0, %r1, %r2;", 800, 70},
    {"cvt.rz.bf16x2.f32 %r0, %r1, %r2;", 800, 70},
    {"cvt.rz.f16x2.f32 %r0, %r1, %r2;", 800, 70},
    {"cvt.rn.relu.f16x2.f32 %r0, %r1, %r2;", 800, 70},
    {"min.ftz.f16 %h0, %h1, %h2;", 800, 70},
    {"min.ftz.NaN.f32 %r0, %r1, %r2;", 800, 70},
    {"max.NaN.f16 %h0, %h1, %h2;", 800, 70},
    {"fma.rn.ftz.relu.f16 %h0, %h1, %h2, %h3;", 800, 70},
    {"redux.sync.and.b32 %r0, %r1, -1;", 800, 70},
    {"mma.sync.aligned.m16n8k32.row.col.s32.u8.u8.s32 {%r0,%r1,%r2,%r3}, "
     "{%r4,%r5,%r6,%r7}, {%r8,%r9}, {%r0,%r1,%r2,%r3};",
     800, 70},
    {"mbarrier.test_wait.parity.shared.b64 %p1, [%r1], %r2;", 800, 71},
    {"mma.sync.aligned.m8n8k128.row.col.s32.b1.b1.s32.and.popc {%r0,%r1}, "
     "{%r2}, {%r3}, {%r0,%r1};",
     800, 71},
    {"cvt.f32.bf16 %r0, %h1;", 800, 71},
    {"ld.global.L2::cache_hint.b64 %d0, [%d1], %d2;", 800, 74},
    {"prefetch.global.L2::evict_last [%d1];", 800, 74},
    {"atom.global.add.L2::cache_hint.u32 %r0, [%d1], %r1, %d3;", 800, 74},
    {"ld.global.L2::256B.u32 %r0, [%d1];", 800, 74},
    {"ld.global.nc.L2::256B.u32 %r0, [%d1];", 800, 74},
    {"cp.async.ca.shared.global.L2::cache_hint [%r1], [%d1], 8, %d2;", 800, 74},
    {"applypriority.global.L2::evict_normal [%d1], 128;", 800, 74},
    {"discard.global.L2 [%d1], 128;", 800, 74},
    {"createpolicy.fractional.L2::evict_last.b64 %d0, 1.0;", 800, 74},
    {"mov.u32 %r0, %reserved_smem_offset_begin;", 800, 76},
    {"cvt.rna.satfinite.tf32.f32 %r0, %r1;", 800, 81},
    {"cvt.rn.satfinite.f16x2.f32 %r0, %r1, %r2;", 800, 81},
    {"cvt.rn.satfinite.bf16x2.f32 %r0, %r1, %r2;", 800, 81},
    {"max.ftz.xorsign.abs.f32 %r0, %r1, %r2;", 860, 72},
    {"min.NaN.xorsign.abs.bf16 %h0, %h1, %h2;", 860, 72},
    {"cvt.rn.f16x2.e4m3x2 %r0, %h1;", 890, 78},
    {"cvt.rn.satfinite.e4m3x2.f32 %h0, %r1, %r2;", 890, 78},
    {"mma.sync.aligned.m16n8k32.row.col.f32.e4m3.e5m2.f32 {%r0,%r1,%r2,%r3}, "
     "{%r4,%r5,%r6,%r7}, {%r8,%r9}, {%r0,%r1,%r2,%r3};",
     890, 84},
    {"mma.sync.aligned.m16n8k16.row.col.f32.e4m3.e4m3.f32 {%r0,%r1,%r2,%r3}, "
     "{%r4,%r5}, {%r6}, {%r0,%r1,%r2,%r3};",
     890, 87},
    {"mbarrier.arrive.shared.b64 %d0, [%r1], %r2;", 900, 78},
    {"mbarrier.try_wait.parity.shared.b64 %p1, [%r1], %r2;", 900, 78},
    {"mma.sync.aligned.m16n8k4.row.col.f64.f64.f64.f64 {%d0,%d1,%d2,%d3}, "
     "{%d4,%d5}, {%d6}, {%d0,%d1,%d2,%d3};",
     900, 78},
    {"cvt.rn.bf16.s32 %h0, %r1;", 900, 78},
    {"cvt.rzi.s32.bf16 %r0, %h1;", 900, 78},
    {"cvt.rn.relu.tf32.f32 %r0, %r1;", 900, 78},
    {"cvta.shared::cluster.u64 %d0, %d1;", 900, 78},
    {"isspacep.shared::cluster %p0, %d1;", 900, 78},
    {"ld.shared::cluster.u32 %r0, [%r1];", 900, 78},
    {"st.shared::cluster.u32 [%r1], %r0;", 900, 78},
    {"ld.acquire.cluster.global.u32 %r0, [%d1];", 900, 78},
    {"fence.acq_rel.cluster;", 900, 78},
    {"getctarank.shared::cluster.u32 %r0, %r1;", 900, 78},
    {"ex2.approx.ftz.bf16 %h0, %h1;", 900, 78},
    {"tanh.approx.bf16 %h0, %h1;", 900, 78},
    {"add.rn.bf16 %h0, %h1, %h2;", 900, 78},
    {"setp.lt.bf16 %p0, %h1, %h2;", 900, 78},
    {"atom.cluster.global.add.u32 %r0, [%d1], %r1;", 900, 78},
    {"atom.global.add.noftz.bf16x2 %r0, [%d1], %r1;", 900, 78},
    {"red.cluster.global.add.u32 [%d1], %r1;", 900, 78},
    {"red.global.add.noftz.bf16 [%d1], %h1;", 900, 78},
    {"red.shared::cluster.add.u32 [%r2], %r1;", 900, 78},
    {"fence.sc.cluster;", 900, 78},
    {"cvt.rn.tf32.f32 %r0, %r1;", 900, 78},
    {"cvt.rn.bf16.f16 %h0, %h1;", 900, 78},
    {"set.lt.bf16.bf16 %h0, %h1, %h2;", 900, 78},
    {"set.lt.u16.bf16 %h0, %h1, %h2;", 900, 78},
    {"set.lt.bf16.f32 %h0, %r1, %r2;", 900, 78},
    {"setp.lt.bf16x2 %p0|%p1, %r1, %r2;", 900, 78},
    {"mov.u32 %r0, %clusterid.x;", 900, 78},
    {"mov.u32 %r0, %nclusterid.y;", 900, 78},
    {"mov.u32 %r0, %cluster_nctarank;", 900, 78},
    {"mov.pred %p0, %is_explicit_cluster;", 900, 78},
    {"add.u32 %r0, %r1, %cluster_ctarank;", 900, 78},
    {"mapa.shared::cluster.u32 %r0, %r1, %r2;", 900, 78},
    {"griddepcontrol.wait;", 900, 78},
    {"stmatrix.sync.aligned.m8n8.x1.shared.b16 [%r4], {%r0};", 900, 78},
    {"barrier.cluster.wait;", 900, 78},
    {"mbarrier.arrive.expect_tx.shared.b64 %d0, [%r1], %r2;", 900, 80},
    {"cp.async.bulk.commit_group;", 900, 80},
    {"cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%r1], "
     "[%d1], %r2, [%r3];",
     900, 80},
    {"cp.async.bulk.tensor.1d.shared::cluster.global.mbarrier::complete_tx::"
     "bytes [%r1], [%d1, {%r2}], [%r3];",
     900, 80},
    {"fence.proxy.async;", 900, 80},
    {"fence.mbarrier_init.release.cluster;", 900, 80},
    {"fence.proxy.async.shared::cta;", 900, 80},
    {"mbarrier.test_wait.parity.acquire.cluster.shared::cta.b64 %p1, [%r1], "
     "%r2;",
     900, 80},
    {"mbarrier.try_wait.acquire.cta.shared::cta.b64 %p1, [%r1], %d2;", 900, 80},
    {"mbarrier.arrive.release.cluster.shared::cta.b64 %d0, [%r1];", 900, 80},
    {"mbarrier.complete_tx.relaxed.cta.shared::cta.b64 [%r1], %r2;", 900, 80},
    {"cp.async.bulk.prefetch.L2.global [%d1], %r2;", 900, 80},
    {"max.relu.s32 %r0, %r1, %r2;", 900, 80},
    {"max.s16x2.relu %r0, %r1, %r2;", 900, 80},
    {"add.u16x2 %r0, %r1, %r2;", 900, 80},
    {"prefetch.const.tensormap [%d1];", 900, 80},
    {"elect.sync %r0|%p1, -1;", 900, 80},
    {"barrier.cluster.arrive.release.aligned;", 900, 80},
    {"atom.global.v2.f32.add {%r0, %r1}, [%d1], {%r2, %r3};", 900, 81},
    {"mov.u32 %r0, %aggr_smem_size;", 900, 81},
    {"st.async.weak.shared::cluster.mbarrier::complete_tx::bytes.b32 [%r1], "
     "%r2, [%r3];",
     900, 81},
    {"st.async.shared::cluster.mbarrier::complete_tx::bytes.b32 [%r1], %r2, "
     "[%r3];",
     900, 81},
    {"red.async.relaxed.cluster.shared::cluster.mbarrier::complete_tx::bytes."
     "inc.u32 [%r1], %r2, [%r3];",
     900, 81},
    {"fence.proxy.tensormap::generic.acquire.gpu [%d1], 128;", 900, 83},
    {"tensormap.cp_fenceproxy.global.shared::cta.tensormap::generic.release."
     "gpu.sync.aligned [%d1], [%r1], 128;",
     900, 83},
    {"cp.async.bulk.shared::cta.global.mbarrier::complete_tx::bytes [%r1], "
     "[%d1], %r2, [%r3];",
     900, 86},
    {"fence.proxy.async::generic.acquire.sync_restrict::shared::cluster."
     "cluster;",
     900, 86},
    {"fence.acquire.sync_restrict::shared::cluster.cluster;", 900, 86},
    {"fence.release.sync_restrict::shared::cta.cluster;", 900, 86},
    {"mbarrier.arrive.expect_tx.relaxed.cta.shared::cta.b64 %d0, [%r1], %r2;",
     900, 86},
    {"mbarrier.arrive_drop.relaxed.cta.shared.b64 %d0, [%r1];", 900, 86},
    {"mbarrier.arrive_drop.expect_tx.relaxed.cluster.shared::cluster.b64 _, "
     "[%r1], %r2;",
     900, 86},
    {"wgmma.fence.sync.aligned;", 901, 80},
    {"setmaxnreg.inc.sync.aligned.u32 96;", 901, 80},
    {"tensormap.replace.tile.rank.global.b1024.b32 [%d1], 3;", 901, 83},
};

// Guards that each instruction loads where ptxas assembles it, and that it is
// refused one target or version below with the name of the one it needs.
TEST(RequirementTest, InstructionsNeedWhatTheAssemblerAsksFor) {
  for (const Case &row : cases) {
    unsigned least = 60, below = 0;
    std::string target = chip(row.chip ? row.chip : 500);
    for (const auto &entry : targets)
      if (entry.chip < row.chip)
        below = entry.chip;
      else if (entry.chip == row.chip)
        least = std::max(least, entry.version);
    std::string line = row.line;
    std::string isa = version(std::max(least, row.version));
    EXPECT_EQ(errorOf(line, target, isa), "") << line << " " << target;
    std::string opcode = "'" + line.substr(0, line.find_first_of(" ;")) + "'";
    if (row.chip > 500)
      EXPECT_EQ(errorOf(line, chip(below), "9.0"),
                opcode + ": needs .target " + target +
                    (row.chip % 10 ? "" : " or higher") + ", found " +
                    chip(below));
    if (row.version > least) {
      std::string before = version(row.version - 1);
      EXPECT_EQ(errorOf(line, target, before),
                opcode + ": needs PTX ISA " + version(row.version) +
                    " or later, found .version " + before);
    }
    // Later chips have it, too.
    EXPECT_EQ(errorOf(line, "sm_90a", "9.0"), "") << line;
  }
}

// Guards that what only sm_90a has is refused on sm_90 and on later chips that
// are not architecture-specific.
TEST(RequirementTest, ArchitectureSpecific) {
  for (const char *target : {"sm_80", "sm_90", "sm_100"})
    EXPECT_EQ(
        errorOf("setmaxnreg.inc.sync.aligned.u32 96;", target, "9.0"),
        "'setmaxnreg.inc.sync.aligned.u32': needs .target sm_90a, found " +
            std::string(target));
  EXPECT_EQ(errorOf("setmaxnreg.inc.sync.aligned.u32 96;", "sm_100a", "9.0"),
            "");
  EXPECT_EQ(errorOf("wgmma.fence.sync.aligned;", "sm_100a", "9.0"),
            "'wgmma.fence.sync.aligned': needs .target sm_90a, found sm_100a");
}

// Guards directives and types.
TEST(RequirementTest, Directives) {
  auto kernel = [](const std::string &directive, const std::string &target,
                   const std::string &isa) {
    Error error;
    std::string text = ".version " + isa + "\n.target " + target +
                       "\n.address_size 64\n.visible .entry k()\n" + directive +
                       "\n{ ret; }\n";
    return Module::parse(text, error) ? "" : error.message;
  };
  for (std::string name :
       {".reqnctapercluster 2", ".explicitcluster\n.reqnctapercluster 1",
        ".maxclusterrank 8"}) {
    std::string word = name.substr(0, name.find_first_of(" \n"));
    EXPECT_EQ(kernel(name, "sm_90", "7.8"), "");
    EXPECT_EQ(kernel(name, "sm_80", "7.8"),
              "'" + word + "' needs .target sm_90 or higher, found sm_80");
  }
  EXPECT_EQ(errorOf(".reg .b128 %q;", "sm_80", "8.3"), "");
  EXPECT_EQ(errorOf(".reg .b128 %q;", "sm_80", "8.2"),
            "'.b128' needs PTX ISA 8.3 or later, found .version 8.2");
}

// Guards the heads of modules.
TEST(RequirementTest, TargetsAndVersions) {
  EXPECT_EQ(errorOf("", "sm_90a", "7.8"),
            "PTX ISA 7.8 has no target 'sm_90a', which needs 8.0 or later");
  EXPECT_EQ(errorOf("", "sm_80", "6.5"),
            "PTX ISA 6.5 has no target 'sm_80', which needs 7.0 or later");
  EXPECT_EQ(errorOf("", "sm_80", "7.0"), "");
  for (const char *target : {"compute_80", "sm_", "sm_8x", "sm_90b", "sm_9000",
                             "sm_99999999999", "hopper"})
    EXPECT_EQ(errorOf("", target, "9.0"),
              "unknown target '" + std::string(target) +
                  "': expected a name like sm_80 or sm_90a");
  for (const char *isa : {"8", "80", "8.10", "100.0"})
    EXPECT_EQ(errorOf("", "sm_80", isa),
              "'" + std::string(isa) +
                  "' is no version of the PTX ISA: expected one like 8.0");
}

} // namespace
