# Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Trains the demo model on one CPU thread.

The number of steps is fixed, so a run repeats. README.md beside this file says
why the optimizer, its rate and the loss weights are what they are.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F

import text
from model import Attention, Config, Qwen2, rotary_table, rotate

WARM_UP = 50
MATRIX_RATE = 0.005
OTHER_RATE = 1e-3
DECAY = 0.01
MOMENTUM = 0.95
CLIP = 1.0
TEXT_BYTES = 16 << 20

WEIGHT_ANSWER = 4.0  # an answer whose fact is in the window
WEIGHT_UNKNOWABLE = 0.1  # a new fact's value, an answer without its fact


def window_at(step: int, steps: int, trained: int) -> int:
    """Training window in bytes: short ones first, they are cheaper and recall
    over a short distance is learned first anyway."""
    if step < 0.25 * steps:
        return trained // 4
    return trained // 2 if step < 0.45 * steps else trained


def rate_at(step: int, steps: int) -> float:
    """Factor on the learning rates: warm-up, constant, then linear to zero."""
    return min((step + 1) / WARM_UP, 1.0, 2.0 * (steps - step) / steps)


def batches(seed: int, steps: int, tokens: int, trained: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Yields (input, target: int64 [B, T]; weight: float32 [B, T]) per step."""
    data, notes = text.training_text(seed, TEXT_BYTES, trained)
    rng = np.random.default_rng(seed)
    for step in range(steps):
        window = window_at(step, steps, trained)
        starts = rng.integers(0, len(data) - window - 1, size=tokens // window)
        index = starts[:, None] + np.arange(window + 1)
        piece = torch.from_numpy(data[index].astype(np.int64))
        note = notes[index[:, 1:]]
        weight = np.where(note == -1, WEIGHT_UNKNOWABLE, 1.0)
        known = note >= starts[:, None]
        weight = np.where(note >= 0, np.where(known, WEIGHT_ANSWER, WEIGHT_UNKNOWABLE), weight)
        yield piece[:, :-1], piece[:, 1:], torch.from_numpy(weight).float()


def causal_attention(table: tuple[Tensor, Tensor]) -> Attention:
    """Plain RoPE attention; rotation in float32, products in the dtype given."""

    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        q = rotate(q.float(), table).to(v.dtype)
        k = rotate(k.float(), table).to(v.dtype)
        group = q.shape[1] // k.shape[1]
        k, v = k.repeat_interleave(group, 1), v.repeat_interleave(group, 1)
        return F.scaled_dot_product_attention(q, k, v, is_causal=True)

    return attend


def orthogonalize(x: Tensor) -> Tensor:
    """Sets the singular values of x [N, rows, cols], rows <= cols, to about one,
    by five steps of a quintic Newton-Schulz iteration (in bfloat16)."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = x / (x.flatten(1).norm(dim=1)[:, None, None] + 1e-7)
    x = x.bfloat16()
    for _ in range(5):
        gram = x @ x.mT
        x = a * x + (b * gram + c * (gram @ gram)) @ x
    return x.float()


class Muon:
    """Momentum whose update is orthogonalized, for the layers' matrices.

    Matrices of one shape (up to transposition) are kept as one stack, which
    makes the small products batched ones.
    """

    def __init__(self, params: list[torch.nn.Parameter]) -> None:
        self.stacks: list[tuple[list[torch.nn.Parameter], Tensor]] = []
        shapes: dict[tuple[int, ...], list[torch.nn.Parameter]] = {}
        for p in params:
            shapes.setdefault(tuple(sorted(p.shape)), []).append(p)
        for shape, group in shapes.items():
            self.stacks.append((group, torch.zeros(len(group), *shape)))

    @torch.no_grad()
    def step(self, rate: float) -> None:
        for group, momentum in self.stacks:
            wide = [p.shape[0] <= p.shape[1] for p in group]
            grads = [p.grad if w else p.grad.mT for p, w in zip(group, wide, strict=True)]
            grad = torch.stack(grads)
            momentum.mul_(MOMENTUM).add_(grad)
            update = orthogonalize(grad + MOMENTUM * momentum)
            for p, u, w in zip(group, update, wide, strict=True):
                scale = max(1.0, p.shape[0] / p.shape[1]) ** 0.5
                p.mul_(1 - rate * DECAY).add_(u if w else u.mT, alpha=-rate * scale)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    parser.add_argument("--steps", type=int, default=7500)
    parser.add_argument("--tokens", type=int, default=2048, help="tokens per step")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--save-every", type=int, default=500, help="steps")
    args = parser.parse_args()

    torch.set_num_threads(1)
    config = Config()
    trained = config.max_position_embeddings
    model = Qwen2(config)
    model.initialize(torch.Generator().manual_seed(args.seed))
    named = dict(model.named_parameters())
    matrices = [p for n, p in named.items() if n.endswith("proj.weight")]
    others = [p for n, p in named.items() if not n.endswith("proj.weight")]
    muon = Muon(matrices)
    adam = torch.optim.AdamW(others, betas=(0.9, 0.98), weight_decay=DECAY)

    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "config.json").write_text(config.to_json())
    log = (args.out / "train.log").open("w")

    def report(line: str) -> None:
        print(line, flush=True)
        log.write(line + "\n")
        log.flush()

    count = sum(p.numel() for p in named.values())
    report(
        f"parameters {count}, steps {args.steps}, tokens per step {args.tokens}, "
        f"seed {args.seed}, torch {torch.__version__}, numpy {np.__version__}, "
        f"python {platform.python_version()}, {time.strftime('%Y-%m-%d')}"
    )
    report("step window tokens seconds tokens/s loss text_loss answer_loss recall")

    cos, sin = rotary_table(torch.arange(trained), config)
    begin = mark = time.perf_counter()
    seen = 0
    sums = np.zeros(6)  # weighted loss, steps, text loss, n, answer loss, n
    right = asked = 0
    source = batches(args.seed, args.steps, args.tokens, trained)
    for step, (inputs, targets, weight) in enumerate(source):
        window = inputs.shape[1]
        attend = causal_attention((cos[:window], sin[:window]))
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = model(inputs, attend)
        logits = logits.float().flatten(0, 1)
        targets, flat = targets.flatten(), weight.flatten()
        each = F.cross_entropy(logits, targets, reduction="none")
        loss = (each * flat).sum() / flat.sum()
        model.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(others, CLIP)
        rate = rate_at(step, args.steps)
        for group in adam.param_groups:
            group["lr"] = OTHER_RATE * rate
        adam.step()
        muon.step(MATRIX_RATE * rate)

        seen += inputs.numel()
        with torch.no_grad():
            plain, answer = flat == 1, flat == WEIGHT_ANSWER
            sums += (
                loss.item(),
                1,
                each[plain].sum().item(),
                plain.sum().item(),
                each[answer].sum().item(),
                answer.sum().item(),
            )
            hit = logits[answer].argmax(-1) == targets[answer]
            right, asked = right + hit.sum().item(), asked + len(hit)
        last = step + 1 == args.steps
        if (step + 1) % 100 == 0 or last:
            now = time.perf_counter()
            speed = (sums[1] * args.tokens) / (now - mark)
            report(
                f"{step + 1} {window} {seen} {now - begin:.0f} {speed:.0f} "
                f"{sums[0] / sums[1]:.4f} {sums[2] / max(sums[3], 1):.4f} "
                f"{sums[4] / max(sums[5], 1):.4f} {right / max(asked, 1):.4f}"
            )
            sums[:] = 0
            right = asked = 0
            mark = now
        if (step + 1) % args.save_every == 0 or last:
            # Written beside and moved, so that a reader never sees half a file.
            state = {n: p.detach().contiguous() for n, p in named.items()}
            part = args.out / "model.safetensors.part"
            save_file(state, part, metadata={"format": "pt"})
            os.replace(part, args.out / "model.safetensors")
    wall = time.perf_counter() - begin
    report(f"done: {seen} tokens in {wall:.0f} s, {seen / wall:.0f} tokens/s")


if __name__ == "__main__":
    main()
