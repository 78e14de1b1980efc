"""Time and memory of our GPSA and ConViT against timm's, with equal weights.

    python tools/benchmarks/convit_speed.py

One thread, fp32 on CPU, process CPU time (which other programs disturb least), median of five
rounds that alternate between the two sides. Each pair has a process of its own: what an earlier
pair left in the allocator makes large temporaries cheaper, on timm's side above all. Takes about
five minutes; --quick one.
"""

import argparse
import sys
import time
from collections.abc import Callable
from multiprocessing import get_context
from statistics import median


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--quick', action='store_true', help='two short rounds instead of five')
    return parser.parse_args()


if __name__ == '__main__':
    parse_args()  # help and wrong arguments end here, before imports that take seconds

import timm
import torch
from mmpretrain.registry import MODELS
from timm.models.convit import GPSA as TimmGPSA
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

import vit_plugins  # noqa: F401  (registration)

MEMORY_GOAL = 2.5


class Pair:
    """Our module and timm's with the same weights, and a call of each on the same input."""

    def __init__(self, name: str, modules: tuple[nn.Module, nn.Module], x: Tensor, args: tuple):
        self.name = name
        self.modules = modules
        self.batch = len(x)
        ours, theirs = modules
        self.calls: tuple[Callable[[], Tensor], ...] = (
            lambda: ours(x, *args)[-1] if args == () else ours(x, *args),
            lambda: theirs(x),
        )

    @classmethod
    def of_layers(cls, dims: int, heads: int, grid: tuple[int, int], batch: int) -> 'Pair':
        """Pair the GPSA layers alone."""
        ours = MODELS.build(dict(type='GPSA', embed_dims=dims, num_heads=heads))
        theirs = TimmGPSA(dims, heads)
        theirs.load_state_dict(ours.state_dict())
        tokens = grid[0] * grid[1]
        x = torch.randn(batch, tokens, dims, requires_grad=True)
        return cls(f'GPSA h={heads} N={tokens}', (ours, theirs), x, (grid,))

    @classmethod
    def of_models(cls, arch: str, size: int, batch: int) -> 'Pair':
        """Pair the whole models, without the classifier."""
        theirs = timm.create_model(f'convit_{arch}', img_size=size, num_classes=0)
        ours = MODELS.build(dict(type='ConViT', arch=arch, img_size=size))
        ours.load_state_dict(theirs.state_dict())
        x = torch.randn(batch, 3, size, size)
        return cls(f'ConViT {arch} {size} px', (ours, theirs), x, ())

    def largest_difference(self) -> float:
        """Return how far the two outputs are apart."""
        with torch.no_grad():
            ours, theirs = (call() for call in self.calls)
        return (ours - theirs).abs().max().item()


def cpu_seconds(call: Callable[[], Tensor], backward: bool) -> float:
    """Return the process CPU time of one call."""
    start = time.process_time()
    with torch.set_grad_enabled(backward):
        out = call()
    if backward:
        out.sum().backward()
    return time.process_time() - start


def compare_time(pair: Pair, backward: bool, rounds: int, budget: float) -> tuple[float, float]:
    """Return the median seconds of a call of ours and of timm's.

    Args:
        pair: What to compare.
        backward: Time the backward pass too.
        rounds: Number of rounds, in each of which both sides take their turn.
        budget: Seconds that a turn lasts about, for up to 20 calls.
    """
    warm_up = max(cpu_seconds(call, backward) for call in pair.calls)
    calls = min(max(round(budget / warm_up), 1), 20)
    seconds: tuple[list, list] = [], []
    for _ in range(rounds):
        for side, call in enumerate(pair.calls):
            spent = sum(cpu_seconds(call, backward) for _ in range(calls))
            seconds[side].append(spent / calls)
    return median(seconds[0]), median(seconds[1])


def saved_bytes(call: Callable[[], Tensor], module: nn.Module) -> int:
    """Return the bytes that a forward pass keeps for the backward pass, parameters not counted."""
    known = {p.untyped_storage().data_ptr() for p in module.parameters()}
    kept: dict[int, Tensor] = {}  # the tensors stay alive, so that no address is used twice

    def pack(tensor: Tensor) -> Tensor:
        if tensor.untyped_storage().data_ptr() not in known:
            kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with saved_tensors_hooks(pack, lambda tensor: tensor):
        call()
    return sum(tensor.untyped_storage().nbytes() for tensor in kept.values())


def report(name: str, what: str, batch: int, ours: str, timms: str, ratio: float, goal) -> None:
    """Print one line of the table."""
    verdict = f'{goal:>5.2f}  {"reached" if ratio >= goal else "MISSED"}' if goal else '    -'
    print(f'{name:<23} {what:<20} {batch:>3} {ours:>11} {timms:>11} {ratio:>6.2f} {verdict}')


def run(pair: Pair, goals: tuple[float | None, float | None, float | None], quick: bool) -> None:
    """Measure one pair; the goals are those of forward, forward + backward, and saved memory."""
    for backward, goal in ((False, goals[0]), (True, goals[1])):
        ours, timms = compare_time(pair, backward, *((2, 1) if quick else (5, 4)))
        what = 'forward + backward' if backward else 'forward'
        shown = [f'{1e3 * seconds:.1f} ms' for seconds in (ours, timms)]
        report(pair.name, what, pair.batch, *shown, timms / ours, goal)
    ours, timms = (saved_bytes(*both) for both in zip(pair.calls, pair.modules, strict=True))
    shown = [f'{n / pair.batch / 2**20:.2f} MiB' for n in (ours, timms)]
    report(pair.name, 'saved, per image', pair.batch, *shown, timms / ours, goals[2])


PLAN = (
    (Pair.of_layers, (192, 4, (14, 14), 8), (2.2, None, MEMORY_GOAL)),
    (Pair.of_layers, (432, 9, (14, 14), 8), (None, None, MEMORY_GOAL)),
    (Pair.of_layers, (432, 9, (24, 24), 4), (4.0, None, MEMORY_GOAL)),
    (Pair.of_models, ('tiny', 224, 8), (1.35, 1.25, None)),
    (Pair.of_models, ('small', 384, 2), (1.7, None, None)),
)


def measure(number: int, quick: bool) -> None:
    """Build, compare and report one pair of the plan."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    build, args, goals = PLAN[number]
    pair = build(*args)
    difference = pair.largest_difference()
    run(pair, goals, quick)
    print(f'{pair.name:<23} largest difference of the outputs: {difference:.1e}', flush=True)


def main() -> None:
    """Print the table."""
    quick = parse_args().quick
    print(f'torch {torch.__version__}, timm {timm.__version__}, fp32, 1 thread, CPU time per call')
    print('measured                what               batch        ours        timm  ratio  goal')
    sys.stdout.flush()
    for number in range(len(PLAN)):
        process = get_context('spawn').Process(target=measure, args=(number, quick))
        process.start()
        process.join()
        if process.exitcode:
            raise SystemExit(process.exitcode)


if __name__ == '__main__':
    main()
