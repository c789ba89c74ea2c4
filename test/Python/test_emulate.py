# Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Guards ropewalk.emulate: results against NumPy, buffers, profiles, and the compiler's own kernels."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from emulate_ptx import INCREMENT, SAXPY, SUM, line_of, module


@pytest.mark.parametrize("threads", [1, 3, 0])
def test_saxpy(rw: SimpleNamespace, threads: int) -> None:
    """Against NumPy, with a last block that is not full; counters do not depend on threads."""
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((2, 1000)).astype(np.float32)
    expected = np.float32(np.float64(1.5) * x + y.astype(np.float64))
    result = rw.emulate(SAXPY, "saxpy", 4, 256, [x, y, 1.5, 1000], threads=threads)
    assert np.array_equal(y, expected)
    counters = result.counters
    # 1000 floats are 31 full warps and one of 8 lanes.
    assert counters["blocks"] == 4 and counters["warps"] == 32
    assert counters["global_load_bytes"] == 2 * 4000 and counters["global_store_bytes"] == 4000
    assert counters["global_load_sectors"] == 2 * 125 and counters["divergent_branches"] == 1
    assert counters["classes"]["float32"] == {"warps": 32, "lanes": 1000}
    assert "warp_instructions" in result.text and str(result) == result.text and result.profile == []


def test_several_dimensions(rw: SimpleNamespace) -> None:
    """Blocks and threads of three dimensions, each by its place."""
    body = """
  mov.u32 %r1, %ctaid.z; mov.u32 %r2, %nctaid.y; mov.u32 %r3, %ctaid.y; mad.lo.u32 %r1, %r1, %r2, %r3;
  mov.u32 %r2, %nctaid.x; mov.u32 %r3, %ctaid.x; mad.lo.u32 %r1, %r1, %r2, %r3;
  mov.u32 %r2, %ntid.z; mov.u32 %r3, %tid.z; mad.lo.u32 %r1, %r1, %r2, %r3;
  mov.u32 %r2, %ntid.y; mov.u32 %r3, %tid.y; mad.lo.u32 %r1, %r1, %r2, %r3;
  mov.u32 %r2, %ntid.x; mov.u32 %r3, %tid.x; mad.lo.u32 %r1, %r1, %r2, %r3;
  ld.param.u64 %d1, [out]; mul.wide.u32 %d2, %r1, 4; add.s64 %d1, %d1, %d2;
  mov.u32 %r4, %ctaid.z; mov.u32 %r5, %tid.y; mad.lo.u32 %r4, %r4, 100, %r5;
  st.global.u32 [%d1], %r4;
"""
    out = rw.uninitialized((4, 3, 2, 2, 3, 5), np.uint32)
    rw.emulate(module(".param .u64 out", body), None, (2, 3, 4), (5, 3, 2), [out])
    z, y = np.arange(4), np.arange(3)
    expected = np.broadcast_to((100 * z)[:, None, None, None, None, None] + y[:, None], out.shape)
    assert np.array_equal(out, expected)


def test_clusters(rw: SimpleNamespace) -> None:
    """Given with the launch, or by the kernel: each block knows its rank and reads the memory of the next."""
    body = """
  .shared .align 4 .b8 value[4];
  mov.u32 %r1, %cluster_ctarank; mov.u32 %r2, %cluster_nctarank; mov.u32 %r3, %ctaid.x;
  mov.u32 %r4, value;
  st.shared.u32 [%r4], %r3;
  barrier.cluster.arrive; barrier.cluster.wait;
  add.u32 %r5, %r1, 1; rem.u32 %r5, %r5, %r2;
  mapa.shared::cluster.u32 %r6, %r4, %r5;
  ld.shared::cluster.u32 %r7, [%r6];
  mad.lo.u32 %r7, %r1, 100, %r7;
  ld.param.u64 %d1, [out]; mul.wide.u32 %d2, %r3, 4; add.s64 %d1, %d1, %d2;
  st.global.u32 [%d1], %r7;
  barrier.cluster.arrive; barrier.cluster.wait;
"""
    text = module(".param .u64 out", body, target="sm_90a")
    out = rw.uninitialized(8, np.uint32)
    rw.emulate(text, None, 8, 1, [out], cluster=4)
    assert out.tolist() == [1, 102, 203, 300, 5, 106, 207, 304]
    out = rw.uninitialized(8, np.uint32)
    rw.emulate(text.replace(")\n{", ") .reqnctapercluster 2, 1, 1\n{"), None, 8, 1, [out])
    assert out.tolist() == [1, 100, 3, 102, 5, 104, 7, 106]


@pytest.mark.parametrize("seed", [0, 1, 7])
def test_sum_in_shared_memory(rw: SimpleNamespace, seed: int) -> None:
    """Whatever order warps run in."""
    x = np.random.default_rng(2).integers(0, 1 << 20, 5 * 128, dtype=np.uint32)
    out = rw.uninitialized(5, np.uint32)
    result = rw.emulate(SUM, "k", 5, 128, [x, out], shared=512, schedule_seed=seed)
    assert np.array_equal(out, x.reshape(5, 128).sum(1, dtype=np.uint32))
    assert result.counters["barriers"] == 5 * 4 * 8


def test_registers_of_a_thread(rw: SimpleNamespace) -> None:
    """What a kernel starts with decides whether it can give registers back, in launches and in mutation tests."""
    text = (Path(__file__).resolve().parents[1] / "Emulator" / "registers.ptx").read_text()
    for count in (0, 40):
        rw.emulate(text, None, 1, 128, [], registers_per_thread=count)
        assert rw.mutate(text, None, 1, 128, [], registers_per_thread=count).mutants == []
    for call in (rw.emulate, rw.mutate):
        with pytest.raises(rw.EmulationError, match="the threads have 32") as raised:
            call(text, None, 1, 128, [], registers_per_thread=32)
        assert raised.value.kind == "register-budget"
        with pytest.raises(ValueError, match="registers_per_thread"):
            call(text, None, 1, 128, [], registers_per_thread=256)


def test_arrays_of_any_shape(rw: SimpleNamespace) -> None:
    """Axes do not matter, nor does an offset in memory; arrays of no element have an address."""
    x = np.arange(24, dtype=np.int32).reshape(2, 3, 4)
    y = np.zeros(40, np.int32)[8:32]
    rw.emulate(INCREMENT, "k", 1, 24, [x, y])
    assert np.array_equal(y, x.reshape(-1) + 1)
    with pytest.raises(rw.EmulationError, match="buffer of 0 bytes"):
        rw.emulate(INCREMENT, "k", 1, 1, [np.empty(0, np.int32), y])
    scalar = np.array(5, np.int32)
    rw.emulate(INCREMENT, "k", 1, 1, [scalar, scalar])
    assert scalar == 6


def test_tensors_of_torch(rw: SimpleNamespace) -> None:
    """On the CPU, in place; bfloat16 too."""
    torch = pytest.importorskip("torch")
    x, y = torch.arange(32, dtype=torch.int32), torch.zeros(32, dtype=torch.int32)
    rw.emulate(INCREMENT, "k", 1, 32, [x, y])
    assert torch.equal(y, x + 1)
    one, two = torch.ones(2, dtype=torch.bfloat16), torch.zeros(2, dtype=torch.bfloat16)
    rw.emulate(INCREMENT, "k", 1, 1, [one, two])
    assert two.view(torch.int16).tolist() == [0x3F81, 0x3F80]
    with pytest.raises(ValueError, match=r"args\[0\] \(x\): expected a contiguous tensor"):
        rw.emulate(INCREMENT, "k", 1, 8, [x.view(4, 8).T, y])


def test_one_array_twice_is_one_buffer(rw: SimpleNamespace) -> None:
    """The kernel sees its own writes, and the array is updated once."""
    x = np.arange(64, dtype=np.int32)
    rw.emulate(INCREMENT, "k", 1, 64, [x, x])
    assert np.array_equal(x, np.arange(64) + 1)


def test_views_that_overlap_share(rw: SimpleNamespace) -> None:
    """A shift by one element, in one thread so that the order is fixed: the first value spreads."""
    body = """
  ld.param.u64 %d1, [x]; ld.param.u64 %d2, [y];
  mov.u32 %r1, 0;
loop:
  ld.global.u32 %r2, [%d1]; st.global.u32 [%d2], %r2;
  add.s64 %d1, %d1, 4; add.s64 %d2, %d2, 4; add.u32 %r1, %r1, 1;
  setp.lt.u32 %p1, %r1, 9;
  @%p1 bra loop;
"""
    x = np.arange(10, dtype=np.int32)
    rw.emulate(module(".param .u64 x, .param .u64 y", body), None, 1, 1, [x[:9], x[1:]])
    assert (x == 0).all()
    # The other way round it is a copy to the left.
    x = np.arange(10, dtype=np.int32)
    rw.emulate(module(".param .u64 x, .param .u64 y", body), None, 1, 1, [x[1:], x[:9]])
    assert x.tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 9, 9]


def test_views_that_do_not_overlap_have_bounds_of_their_own(rw: SimpleNamespace) -> None:
    """What lies beside a view in its base array is out of bounds."""
    x = np.arange(64, dtype=np.int32)
    with pytest.raises(rw.EmulationError, match="past the end of the buffer of 128 bytes"):
        rw.emulate(INCREMENT, "k", 1, 33, [x[:32], x[32:]])
    assert np.array_equal(x, np.arange(64))


def test_read_only_arrays(rw: SimpleNamespace) -> None:
    """They are inputs; a kernel that changes one is told with the element."""
    x, y = np.arange(64, dtype=np.int32), np.zeros(64, np.int32)
    x.flags.writeable = False
    rw.emulate(INCREMENT, "k", 1, 64, [x, y])
    assert np.array_equal(y, x + 1)
    y[:] = np.arange(64) + 1
    y[5] = 100
    y.flags.writeable = False
    with pytest.raises(rw.EmulationError) as caught:
        rw.emulate(INCREMENT, "k", 1, 64, [x, y])
    assert caught.value.kind == "read-only-write" and caught.value.argument == "y"
    assert "element 5 of the read-only array 'y'" in str(caught.value)
    assert y[5] == 100
    # A read-only view of an array that the kernel may change is no promise.
    z = np.arange(64, dtype=np.int32)
    view = z[:]
    view.flags.writeable = False
    rw.emulate(INCREMENT, "k", 1, 64, [view, z])
    assert np.array_equal(z, np.arange(64) + 1)


def test_uninitialized_arrays(rw: SimpleNamespace) -> None:
    """Reads before writes are reported, in views too, unless that is switched off; a launch ends the state."""
    y = np.zeros(64, np.int32)
    for given in (rw.uninitialized(64, np.int32), rw.uninitialized((2, 64), np.int32)[1]):
        for _ in range(2):
            with pytest.raises(rw.EmulationError) as caught:
                rw.emulate(INCREMENT, "k", 1, 64, [given, y])
            assert caught.value.kind == "uninitialized-memory" and caught.value.argument == "x"
    x = rw.uninitialized(64, np.int32)
    rw.emulate(INCREMENT, "k", 1, 64, [x, y], check_uninitialized_memory=False)
    x = rw.uninitialized(64, np.int32)
    rw.emulate(INCREMENT, "k", 1, 32, [y, x])
    rw.emulate(INCREMENT, "k", 1, 64, [x, y])
    assert x[32:].tolist() == [0] * 32
    # np.empty is not tracked: NumPy has no such state.
    rw.emulate(INCREMENT, "k", 1, 64, [np.empty(64, np.int32), y])


def test_arrays_stay_as_they_were_on_a_fault(rw: SimpleNamespace) -> None:
    """Half a result is none."""
    x, y = np.arange(64, dtype=np.int32), np.zeros(40, np.int32)
    with pytest.raises(rw.EmulationError):
        rw.emulate(INCREMENT, "k", 2, 32, [x, y])
    assert (y == 0).all()


@pytest.mark.parametrize(("array", "message"), [
    (np.zeros((8, 8), np.int32).T, r"args\[1\] \(y\): expected a C-contiguous array, got strides \(4, 32\)"),
    (np.zeros(64, np.int32)[::2], "C-contiguous"),
    (np.zeros(64, object), r"args\[1\] \(y\): expected an array of numbers, got elements of object"),
    (np.zeros(4, "U3"), "expected an array of numbers"),
    (np.zeros(64, ">i4"), "byte order"),
    ([1, 2, 3], r"args\[1\] \(y\): expected an array, a TensorMap, Pointers, a Struct, a number, bytes or None, got list"),
])
def test_arrays_that_are_refused(rw: SimpleNamespace, array: object, message: str) -> None:
    """With the parameter's name and what to do."""
    with pytest.raises((TypeError, ValueError), match=message):
        rw.emulate(INCREMENT, "k", 1, 1, [np.zeros(64, np.int32), array])


def test_profile(rw: SimpleNamespace) -> None:
    """Rows are lines of the text; they add up to the counters."""
    # Lane i reads word 8 i: every lane a sector of its own.
    text = INCREMENT.replace("mul.wide.u32 %d8, %r1, 4;", "mul.wide.u32 %d8, %r1, 32;")
    text = text.replace("add.s64 %d2, %d2, %d8;", "mul.wide.u32 %d8, %r1, 4; add.s64 %d2, %d2, %d8;")
    x, y = np.arange(512, dtype=np.int32), np.zeros(64, np.int32)
    result = rw.emulate(text, None, 2, 32, [x, y], profile=True)
    assert np.array_equal(y, x[::8] + 1)
    rows = {row["line"]: row for row in result.profile}
    load, both = rows[line_of(text, "ld.global")], rows[line_of(text, "mul.wide.u32 %d8, %r1, 4;")]
    assert load["text"] == "ld.global.u32 %r2, [%d1];" and load["class"] == "global-load"
    assert (load["warps"], load["lanes"]) == (2, 64)
    assert (load["global_requests"], load["global_sectors"]) == (2, 64)
    # Two instructions of one line add up.
    assert (both["warps"], both["lanes"], both["class"]) == (4, 128, "integer")
    assert [row["line"] for row in result.profile] == sorted(rows)
    counters = result.counters
    assert sum(row["warps"] for row in result.profile) == counters["warp_instructions"]
    assert sum(row["lanes"] for row in result.profile) == counters["lane_instructions"]
    assert abs(sum(row["share"] for row in result.profile) - 1) < 1e-4
    assert "ld.global.u32 %r2, [%d1];" in result.text


def test_traffic_of_lines(rw: SimpleNamespace) -> None:
    """Whatever kind of access it is, the figures of all lines add up to those of the launch."""
    body = """
  .shared .align 128 .b8 tile[1024];
  mov.u32 %r1, %tid.x; shl.b32 %r2, %r1, 4;
  mov.u32 %r3, tile; add.u32 %r4, %r3, %r2;
  ld.param.u64 %d1, [x]; cvt.u64.u32 %d2, %r2; add.s64 %d2, %d1, %d2;
  cp.async.cg.shared.global [%r4], [%d2], 16;
  cp.async.wait_all;
  bar.sync 0;
  ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%r5, %r6, %r7, %r8}, [%r4];
  bar.sync 0;
  atom.shared.add.u32 %r9, [tile], %r5;
  red.global.add.u32 [%d1], 1;
  shl.b32 %r10, %r1, 3; add.u32 %r10, %r3, %r10;
  bar.sync 0;
  ld.shared.u32 %r11, [%r10];
  st.global.v4.u32 [%d2], {%r6, %r7, %r8, %r11};
"""
    text = module(".param .u64 x", body)
    result = rw.emulate(text, None, 1, 32, [np.zeros(128, np.uint32)], check_races=False, profile=True)
    counters = result.counters
    for total, parts in {
        "global_requests": ("global_load_requests", "global_store_requests"),
        "global_sectors": ("global_load_sectors", "global_store_sectors"),
        "shared_requests": ("shared_load_requests", "shared_store_requests"),
        "shared_transactions": ("shared_load_transactions", "shared_store_transactions"),
        "shared_conflicts": ("shared_load_conflicts", "shared_store_conflicts"),
    }.items():
        assert sum(row[total] for row in result.profile) == sum(counters[part] for part in parts) > 0, total
    rows = {row["line"]: row for row in result.profile}
    # 512 bytes are 16 sectors; a matrix of 128 bytes takes one transaction; every second word makes two.
    for part in ("cp.async.cg", "st.global.v4"):
        assert rows[line_of(text, part)]["global_sectors"] == 16
    assert rows[line_of(text, "ldmatrix")]["shared_transactions"] == 4
    load = rows[line_of(text, "ld.shared.u32")]
    assert (load["shared_transactions"], load["shared_conflicts"]) == (2, 1)


def test_sources(rw: SimpleNamespace) -> None:
    """What .loc says is in profiles and reports; instructions before the first .loc have no source."""
    text = INCREMENT.replace(".visible", '.file 1 "increment.cu"\n.file 2 "store.cuh"\n.visible')
    text = text.replace("  ld.global", "  .loc 1 12 7\n  ld.global").replace("  st.global", "  .loc 2 5 0\n  st.global")
    x, y = np.zeros(64, np.int32), np.zeros(64, np.int32)
    result = rw.emulate(text, None, 1, 64, [x, y], profile=True)
    sources = {row["line"]: row["source"] for row in result.profile}
    assert sources[line_of(text, "ld.global")] == sources[line_of(text, "add.u32")] == "increment.cu:12"
    assert sources[line_of(text, "st.global")] == "store.cuh:5" and sources[line_of(text, "ld.param")] == ""
    # The load and the addition of two warps.
    row = next(line for line in result.text.split("\n") if line.endswith("  increment.cu:12"))
    assert row.split()[1:3] == ["4", "128"]
    for arrays, source in (([x[:32], y], "increment.cu:12:7"), ([x, y[:32]], "store.cuh:5")):
        with pytest.raises(rw.EmulationError) as caught:
            rw.emulate(text, None, 1, 64, arrays)
        assert caught.value.source == source and f"({source})" in str(caught.value)


def test_profile_of_branches(rw: SimpleNamespace) -> None:
    """The divergent branch is the one of the last warp."""
    x = np.zeros(1000, np.float32)
    result = rw.emulate(SAXPY, None, 4, 256, [x, x.copy(), 1.0, 1000], profile=True)
    rows = {row["line"]: row for row in result.profile}
    assert rows[line_of(SAXPY, "@%p1 bra done")]["divergent_branches"] == 1
    assert sum(row["divergent_branches"] for row in result.profile) == result.counters["divergent_branches"] == 1


@pytest.mark.parametrize("target", ["emulate:sm_80", "emulate:sm_90a"])
def test_a_model_in_the_emulator(rw: SimpleNamespace, demo_model: Path, target: str) -> None:
    """The emitted PTX of the whole demo model, past its trained length, against the CPU target."""
    ids = np.random.default_rng(4).integers(0, 256, (2, 270), dtype=np.int32)
    position_map = rw.SelfExtend(group=8, window=64)
    expected = rw.load(demo_model, position_map).logits(ids)
    logits = rw.load(demo_model, position_map, target=target).logits(ids)
    # The CPU target is tested against references; logits are up to 20.
    assert np.abs(logits - expected).max() < 2e-4


@pytest.mark.parametrize("target", ["emulate:sm_80", "emulate:sm_90a", "emulate:sm_90", "emulate:sm_100"])
def test_attention_in_the_emulator(rw: SimpleNamespace, target: str) -> None:
    """Two rows by hand: where all scores are 0, attention is a mean. Other chips run the newest code that fits."""
    q = np.zeros((1, 1, 2, 8), np.float32)
    k, v = np.zeros_like(q), np.arange(16, dtype=np.float32).reshape(1, 1, 2, 8)
    out = rw.attention(q, k, v, position_map=rw.Identity(), rotary=rw.Rotary(1e4), target=target)
    # The first row sees one key, the second both.
    assert np.allclose(out[0, 0], [np.arange(8), np.arange(8) + 4], atol=1e-6)


@pytest.mark.parametrize(("target", "message"), [
    ("emulate:sm_75", "chip sm_75: code is made for sm_80"),
    ("emulate:hopper", "emulate:hopper: chip: expected a name like sm_80 or sm_90a, got 'hopper'"),
    ("emulate:", "expected cpu, cuda, cuda:N or emulate:CHIP .*, got 'emulate:'"),
    ("emulate", "got 'emulate'"),
])
def test_unknown_chips(rw: SimpleNamespace, demo_model: Path, target: str, message: str) -> None:
    """Models and attentions refuse them with what there is."""
    q = np.zeros((1, 1, 2, 4), np.float32)
    with pytest.raises(rw.RopewalkError, match=message):
        rw.load(demo_model, target=target)
    with pytest.raises(rw.RopewalkError, match=message):
        rw.attention(q, q, q, position_map=rw.Identity(), rotary=rw.Rotary(1e4), target=target)
