"""Where a GPU's time goes in GPSA and in AdamW: kernels, or waiting for the CPU to start them.

    python tools/benchmarks/gpu_launches.py --json docs/gpu/launches.json

GPSA of 9 heads and 432 dimensions in bf16, with both forms of the positional product (by axes, or
through the whole positional attention P), against plain attention; then AdamW with one parameter
group for each tensor, as the host builds it, with these joined in the step, as GroupedStepHook
does it, and with two groups. Takes half a minute. Columns:

    wall      ms of a call on the GPU, when calls follow one another
    enqueue   ms that the CPU takes to start them; if equal to wall, the GPU waits
    kernels   ms of the GPU's own work
    launches  kernels and copies of a call

The file also has the longest kernels of each case.
"""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--json', type=Path, metavar='FILE', help='a file for the numbers')
    parser.add_argument(
        '--toy', action='store_true', help='tiny sizes on a CPU, which show that the tool runs'
    )
    return parser.parse_args(argv)


if __name__ == '__main__':
    parse_args()  # help and wrong arguments end here, before imports that take seconds

import json
import sys
import time
from itertools import product
from typing import Any

import torch
from mmpretrain.registry import MODELS
from mmpretrain.utils import register_all_modules
from torch import nn

from vit_plugins.benchmarks.command import describe_machine
from vit_plugins.benchmarks.gpsa import PlainAttention
from vit_plugins.engine.grouped_step import join_groups_in_step
from vit_plugins.models.layers import positional_attention
from vit_plugins.studies.cell_runner import git_commit

SHAPES = ((14, 128), (14, 512), (24, 64))  # grid, batch
FORMS = {'by axes': 0, 'whole P': 10**6}  # the value of MAP_TOKENS
TENSORS = 160  # as many as a ViT of 12 layers has


def measure(call: Callable[[], object], device: str, repeats: int = 10) -> dict[str, Any]:
    """Return the columns of a call.

    Args:
        call: What is measured.
        device: 'cuda' or 'cpu', where only wall and enqueue are known.
        repeats: Calls behind one another.
    """
    synchronize = torch.cuda.synchronize if device == 'cuda' else lambda: None
    for _ in range(3):
        call()
    synchronize()
    start = time.perf_counter()
    for _ in range(repeats):
        call()
    enqueued = time.perf_counter() - start
    synchronize()
    wall = time.perf_counter() - start
    found = {'wall_ms': wall / repeats * 1e3, 'enqueue_ms': enqueued / repeats * 1e3}
    return found | (_kernels(call) if device == 'cuda' else {})


def _kernels(call: Callable[[], object], repeats: int = 3) -> dict[str, Any]:
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CUDA]) as profiler:
        for _ in range(repeats):
            call()
        torch.cuda.synchronize()
    events = profiler.key_averages()
    # older torch names it after CUDA
    newer, older = 'self_device_time_total', 'self_cuda_time_total'
    name = newer if hasattr(events[0], newer) else older
    microseconds = sum(getattr(event, name) for event in events)
    longest = sorted(events, key=lambda event: -getattr(event, name))[:5]
    return {
        'kernel_ms': microseconds / repeats / 1e3,
        'launches': sum(event.count for event in events) / repeats,
        'longest_kernels': [
            {
                'name': event.key[:70],
                'ms': getattr(event, name) / repeats / 1e3,
                'launches': event.count / repeats,
            }
            for event in longest
        ],
    }


def step(module: nn.Module, arguments: tuple, device: str, train: bool) -> Callable[[], object]:
    """Return a call of a module under autocast, with its backward pass if ``train``."""

    def forward():
        with torch.autocast(device, torch.bfloat16):
            return module(*arguments)

    if train:
        return lambda: forward().float().square().mean().backward()
    return torch.inference_mode()(forward)


def gpsa_cases(device: str, toy: bool) -> list[dict]:
    """Measure GPSA in both forms, and plain attention."""
    dims, heads = (16, 4) if toy else (432, 9)
    found = []
    for grid, batch in ((4, 2),) if toy else SHAPES:
        x = torch.randn(batch, grid**2, dims, device=device, requires_grad=True)
        gpsa = MODELS.build(dict(type='mmpretrain.GPSA', embed_dims=dims, num_heads=heads))
        plain = PlainAttention(dims, heads).to(device)
        for train in (False, True):
            name = f'{"training step" if train else "inference"}, N={grid**2}, batch {batch}'
            for form, tokens in FORMS.items():
                positional_attention.MAP_TOKENS = tokens
                call = step(gpsa.to(device), (x, (grid, grid)), device, train)
                found.append({'case': f'GPSA {form}, {name}', **measure(call, device)})
            call = step(plain, (x,), device, train)
            found.append({'case': f'plain attention, {name}', **measure(call, device)})
    return found


def adamw_cases(device: str) -> list[dict]:
    """Measure a step of AdamW with one group for each tensor, with these joined, and with two."""
    found = []
    ways = ((TENSORS, ''), (TENSORS, ' joined in the step'), (2, ''))
    for (groups, joined), fused in product(ways, (None, device == 'cuda')):
        tensors = [nn.Parameter(torch.randn(128, 128, device=device)) for _ in range(TENSORS)]
        for tensor in tensors:
            tensor.grad = torch.randn_like(tensor)
        size = TENSORS // groups
        parts = [{'params': tensors[i : i + size]} for i in range(0, TENSORS, size)]
        optimizer = torch.optim.AdamW(parts, fused=fused)
        if joined:
            join_groups_in_step(optimizer)
        name = f'AdamW, {TENSORS} tensors, {groups} groups{joined}{", fused" if fused else ""}'
        found.append({'case': name, **measure(optimizer.step, device)})
    return found


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, and print a table.

    Args:
        argv: Arguments; those of this process by default.
    """
    args = parse_args(argv)
    device = 'cpu' if args.toy else 'cuda'
    if not args.toy and not torch.cuda.is_available():
        sys.exit(f'torch {torch.__version__} finds no CUDA device: --toy runs on a CPU')
    register_all_modules()
    cases = [*gpsa_cases(device, args.toy), *adamw_cases(device)]
    for case in cases:
        numbers = (
            f'{key} {value:9.2f}' for key, value in case.items() if isinstance(value, int | float)
        )
        print(f'{case["case"]:56}', *numbers)
    if args.json:
        machine = {**describe_machine(), 'commit': git_commit()}
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps({'machine': machine, 'cases': cases}, indent=1) + '\n')


if __name__ == '__main__':
    main()
