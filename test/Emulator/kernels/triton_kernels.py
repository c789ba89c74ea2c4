"""Kernels in Triton, as their users write them. Matrices are row-major, sizes in elements."""

import triton
import triton.language as tl


@triton.jit
def softmax(x, y, width, stride, BLOCK: tl.constexpr):
    """y = softmax of the rows of x; one program a row, at most BLOCK columns."""
    row = tl.program_id(0).to(tl.int64)
    columns = tl.arange(0, BLOCK)
    inside = columns < width
    values = tl.load(x + row * stride + columns, mask=inside, other=-float("inf")).to(tl.float32)
    powers = tl.exp(values - tl.max(values, 0))
    tl.store(y + row * stride + columns, powers / tl.sum(powers, 0), mask=inside)


@triton.jit
def layer_norm(x, y, weight, bias, mean_out, scale_out, width, stride, epsilon, BLOCK: tl.constexpr):
    """y = (x - mean) / sqrt(variance + epsilon) * weight + bias of rows, in pieces of BLOCK columns."""
    row = tl.program_id(0)
    x += row * stride
    y += row * stride
    total = tl.zeros([BLOCK], tl.float32)
    for first in range(0, width, BLOCK):
        columns = first + tl.arange(0, BLOCK)
        total += tl.load(x + columns, mask=columns < width, other=0.0).to(tl.float32)
    mean = tl.sum(total, 0) / width
    total = tl.zeros([BLOCK], tl.float32)
    for first in range(0, width, BLOCK):
        columns = first + tl.arange(0, BLOCK)
        values = tl.load(x + columns, mask=columns < width, other=0.0).to(tl.float32)
        centred = tl.where(columns < width, values - mean, 0.0)
        total += centred * centred
    scale = 1 / tl.sqrt(tl.sum(total, 0) / width + epsilon)
    tl.store(mean_out + row, mean)
    tl.store(scale_out + row, scale)
    for first in range(0, width, BLOCK):
        columns = first + tl.arange(0, BLOCK)
        inside = columns < width
        values = tl.load(x + columns, mask=inside, other=0.0).to(tl.float32)
        factor = tl.load(weight + columns, mask=inside).to(tl.float32)
        offset = tl.load(bias + columns, mask=inside).to(tl.float32)
        tl.store(y + columns, (values - mean) * scale * factor + offset, mask=inside)


@triton.jit
def _tile_of(tile, tiles_m, tiles_n, GROUP: tl.constexpr):
    """Row and column of a tile; GROUP rows of tiles are walked together, for the cache's sake."""
    group = tile // (GROUP * tiles_n)
    rows = min(tiles_m - group * GROUP, GROUP)
    inside = tile % (GROUP * tiles_n)
    return group * GROUP + inside % rows, inside // rows


@triton.jit
def matmul(a, b, c, m, n, k, stride_am, stride_ak, stride_bk, stride_bn, stride_cm,
           BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr, GROUP: tl.constexpr):
    """c = a @ b for a [m, k] and b [k, n] of any strides."""
    row, column = _tile_of(tl.program_id(0), tl.cdiv(m, BLOCK_M), tl.cdiv(n, BLOCK_N), GROUP)
    rows = (row * BLOCK_M + tl.arange(0, BLOCK_M)) % m
    columns = (column * BLOCK_N + tl.arange(0, BLOCK_N)) % n
    depth = tl.arange(0, BLOCK_K)
    from_a = a + rows[:, None] * stride_am + depth[None, :] * stride_ak
    from_b = b + depth[:, None] * stride_bk + columns[None, :] * stride_bn
    sums = tl.zeros((BLOCK_M, BLOCK_N), tl.float32)
    for first in range(0, k, BLOCK_K):
        left = tl.load(from_a, mask=depth[None, :] < k - first, other=0.0)
        right = tl.load(from_b, mask=depth[:, None] < k - first, other=0.0)
        sums = tl.dot(left, right, sums)
        from_a += BLOCK_K * stride_ak
        from_b += BLOCK_K * stride_bk
    rows = row * BLOCK_M + tl.arange(0, BLOCK_M)
    columns = column * BLOCK_N + tl.arange(0, BLOCK_N)
    inside = (rows[:, None] < m) & (columns[None, :] < n)
    tl.store(c + rows[:, None] * stride_cm + columns[None, :], sums.to(c.dtype.element_ty), mask=inside)


@triton.jit
def matmul_split(a, b, c, m, n, k, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr,
                 SPLITS: tl.constexpr):
    """c += a @ b for dense matrices; SPLITS programs share the products of a tile."""
    rows = tl.program_id(0) * BLOCK_M + tl.arange(0, BLOCK_M)
    columns = tl.program_id(1) * BLOCK_N + tl.arange(0, BLOCK_N)
    depth = tl.program_id(2) * BLOCK_K + tl.arange(0, BLOCK_K)
    from_a = a + rows[:, None] * k + depth[None, :]
    from_b = b + depth[:, None] * n + columns[None, :]
    sums = tl.zeros((BLOCK_M, BLOCK_N), tl.float32)
    for first in range(0, k, BLOCK_K * SPLITS):
        left = tl.load(from_a, mask=(rows[:, None] < m) & (depth[None, :] < k - first), other=0.0)
        right = tl.load(from_b, mask=(depth[:, None] < k - first) & (columns[None, :] < n), other=0.0)
        sums = tl.dot(left, right, sums)
        from_a += BLOCK_K * SPLITS
        from_b += BLOCK_K * SPLITS * n
    inside = (rows[:, None] < m) & (columns[None, :] < n)
    tl.atomic_add(c + rows[:, None] * n + columns[None, :], sums, mask=inside)


@triton.jit
def matmul_persistent(a, b, c, m, n, k, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr,
                      GROUP: tl.constexpr, FLATTEN: tl.constexpr):
    """c = a @ b for descriptors of a [m, k], b [n, k] transposed, and c; every program takes tile after tile."""
    tiles_m, tiles_n = tl.cdiv(m, BLOCK_M), tl.cdiv(n, BLOCK_N)
    for tile in tl.range(tl.program_id(0), tiles_m * tiles_n, tl.num_programs(0), flatten=FLATTEN):
        row, column = _tile_of(tile, tiles_m, tiles_n, GROUP)
        sums = tl.zeros((BLOCK_M, BLOCK_N), tl.float32)
        for step in range(tl.cdiv(k, BLOCK_K)):
            left = a.load([row * BLOCK_M, step * BLOCK_K])
            right = b.load([column * BLOCK_N, step * BLOCK_K])
            sums = tl.dot(left, right.T, sums)
        c.store([row * BLOCK_M, column * BLOCK_N], sums.to(c.dtype))


@triton.jit
def matmul_descriptor(a, b, c, k, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr):
    """c = a @ b for descriptors of a [m, k], b [k, n] and c [m, n]; one tile a program."""
    row, column = tl.program_id(0) * BLOCK_M, tl.program_id(1) * BLOCK_N
    sums = tl.zeros((BLOCK_M, BLOCK_N), tl.float32)
    for first in range(0, k, BLOCK_K):
        sums = tl.dot(a.load([row, first]), b.load([first, column]), sums)
    c.store([row, column], sums.to(c.dtype))


@triton.jit
def matmul_device_descriptor(a, b, c, m, n, k, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr):
    """Like matmul_descriptor, but the kernel makes the descriptors."""
    from_a = tl.make_tensor_descriptor(a, [m, k], [k, 1], [BLOCK_M, BLOCK_K])
    from_b = tl.make_tensor_descriptor(b, [k, n], [n, 1], [BLOCK_K, BLOCK_N])
    to_c = tl.make_tensor_descriptor(c, [m, n], [n, 1], [BLOCK_M, BLOCK_N])
    row, column = tl.program_id(0) * BLOCK_M, tl.program_id(1) * BLOCK_N
    sums = tl.zeros((BLOCK_M, BLOCK_N), tl.float32)
    for first in range(0, k, BLOCK_K):
        sums = tl.dot(from_a.load([row, first]), from_b.load([first, column]), sums)
    to_c.store([row, column], sums.to(c.dtype.element_ty))


@triton.jit
def attention(q, k, v, out, lse, queries, keys, scale, HEAD: tl.constexpr, BLOCK_M: tl.constexpr,
              BLOCK_N: tl.constexpr, CAUSAL: tl.constexpr):
    """out = softmax(scale q k^T) v, lse its logarithm's denominator; q, out [heads, queries, HEAD], k, v [heads,
    keys, HEAD], lse [heads, queries]. Causal: query i sees keys up to i + keys - queries."""
    head, first = tl.program_id(1).to(tl.int64), tl.program_id(0) * BLOCK_M
    rows, depth = first + tl.arange(0, BLOCK_M), tl.arange(0, HEAD)
    within = rows[:, None] < queries
    at = (head * queries + rows[:, None]) * HEAD + depth[None, :]
    query = tl.load(q + at, mask=within, other=0.0)
    most = tl.full([BLOCK_M], -float("inf"), tl.float32)
    total = tl.zeros([BLOCK_M], tl.float32)
    sums = tl.zeros([BLOCK_M, HEAD], tl.float32)
    # Powers of two: the hardware's exponential.
    to_base_two = scale * 1.44269504
    past = keys - queries
    end = min(keys, first + BLOCK_M + past) if CAUSAL else keys
    for start in range(0, end, BLOCK_N):
        columns = start + tl.arange(0, BLOCK_N)
        there = (head * keys + columns[:, None]) * HEAD + depth[None, :]
        key = tl.load(k + there, mask=columns[:, None] < keys, other=0.0)
        value = tl.load(v + there, mask=columns[:, None] < keys, other=0.0)
        visible = columns[None, :] < keys
        if CAUSAL:
            visible = visible & (columns[None, :] <= rows[:, None] + past)
        scores = tl.where(visible, tl.dot(query, key.T) * to_base_two, -1.0e30)
        more = tl.maximum(most, tl.max(scores, 1))
        powers = tl.exp2(scores - more[:, None])
        shrink = tl.exp2(most - more)
        total = total * shrink + tl.sum(powers, 1)
        sums = tl.dot(powers.to(v.dtype.element_ty), value, sums * shrink[:, None])
        most = more
    tl.store(out + at, (sums / total[:, None]).to(out.dtype.element_ty), mask=within)
    tl.store(lse + head * queries + rows, (most + tl.log2(total)) * 0.69314718, mask=rows < queries)
