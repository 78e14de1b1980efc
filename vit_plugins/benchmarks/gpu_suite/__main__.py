"""Run the command of ``tools/benchmarks/gpu_suite.sh``."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import groupby
from pathlib import Path

import torch

from ...resources import resource_root
from ...studies.cell_runner import git_commit
from ..command import describe_machine
from .process_tree import kill_descendants
from .running import end_group, has_result, python_path, run_stage
from .stage import Job, Stage
from .stages import STAGES
from .trainings import make_toy_images, write_training

KEPT = Path('docs') / 'gpu'
TOY_SECONDS = 120.0  # for each stage in a dry run
LEAST = 0.6  # a stage starts if this fraction of its time is left


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command."""
    stages = '\n'.join(f'  {s.number:3} {s.seconds:4.0f} s  {s.about}' for s in STAGES)
    parser = argparse.ArgumentParser(
        prog='gpu_suite.sh',
        description='Run the measurements that need a GPU, stage by stage. Each stage writes its '
        'JSON file as soon as it ends.',
        epilog=f'stages, by value:\n{stages}\n3 stands for 3a to 3c, 9 for 9a to 9e',
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('out', type=Path, metavar='OUT', help='folder for the results')
    parser.add_argument(
        'stages', nargs='*', metavar='STAGE', help='the stages, in their order; default: all'
    )
    parser.add_argument(
        '--dry-run',
        action='store_true',
        help='run all stages at toy size on the CPU, with synthetic images',
    )
    parser.add_argument(
        '--again', action='store_true', help=f'also run stages whose result is already in {KEPT}'
    )
    parser.add_argument(
        '--images',
        type=Path,
        default=Path('data/cifar10'),
        metavar='DIR',
        help='CIFAR-10 as class folders, with train/ and test/; default: data/cifar10',
    )
    parser.add_argument(
        '--time',
        type=float,
        default=540,
        metavar='SECONDS',
        help='time limit of the whole command; default: 540',
    )
    parser.add_argument(
        '--spent',
        type=float,
        default=0,
        metavar='SECONDS',
        help='how much of this time was used before; default: 0',
    )
    return parser


def choose_stages(numbers: Sequence[str]) -> list[Stage]:
    """Return the stages of these numbers, in their order of value.

    Args:
        numbers: For example '4', or '9' for all that begin with 9; none means all.

    Raises:
        ValueError: If there is no such stage.
    """
    for number in numbers:
        if not any(stage.number.startswith(number) for stage in STAGES):
            known = ', '.join(stage.number for stage in STAGES)
            raise ValueError(f'there is no stage {number}; there are {known}')
    return [s for s in STAGES if not numbers or any(s.number.startswith(n) for n in numbers)]


def check(args: argparse.Namespace, stages: Sequence[Stage]) -> None:
    """Check that the needs of all stages are met, before the first stage runs.

    Args:
        args: Arguments of :func:`make_parser`.
        stages: The stages that will run.

    Raises:
        ValueError: If something is missing; the message says what to do.
    """
    if args.time <= args.spent:
        raise ValueError(f'--time {args.time:.0f}: nothing is left after {args.spent:.0f} s')
    if args.dry_run:
        return
    if not torch.cuda.is_available():
        raise ValueError(
            f'torch {torch.__version__} finds no CUDA device: --dry-run does all at toy size'
        )
    needing = [stage.number for stage in stages if stage.needs_images]
    missing = [part for part in ('train', 'test') if not (args.images / part).is_dir()]
    if needing and missing:
        raise ValueError(
            f'stages {", ".join(needing)} need CIFAR-10 as class folders, and {args.images} has '
            f'no {" and no ".join(missing)}: name its folder by --images, or other stages'
        )


def side_by_side(stages: Sequence[Stage]) -> Iterator[list[Stage]]:
    """Group stages that may run at the same time: neighbours that measure no time.

    Args:
        stages: The stages in their order.

    Yields:
        Groups; a timed stage is alone.
    """
    for timed, neighbours in groupby(stages, key=lambda stage: stage.timed):
        group = list(neighbours)
        yield from [[stage] for stage in group] if timed else [group]


class Suite:
    """One call of the suite.

    Args:
        args: Arguments of :func:`make_parser`.
    """

    def __init__(self, args: argparse.Namespace) -> None:
        self.root = resource_root()
        self.out = args.out.resolve()
        self.dry_run = args.dry_run
        self.ends = time.time() + args.time - args.spent
        self.work = Path(tempfile.mkdtemp(prefix='gpu_suite_'))
        self.images = args.images.resolve()
        if self.dry_run:
            self.images = self.work / 'images'
            make_toy_images(self.images)
        self.machine = {**describe_machine(), 'commit': git_commit()}
        self._decoding: subprocess.Popen | None = None

    def run(self, stages: Sequence[Stage]) -> int:
        """Run stages while there is time for them; some run side by side.

        Args:
            stages: The stages.

        Returns:
            The number of stages that did not pass.
        """
        bad = 0
        if not self.dry_run and any(stage.needs_images for stage in stages):
            self._start_decoding()
        try:
            for group in side_by_side(stages):
                if self._decoding is not None and any(stage.needs_images for stage in group):
                    self._decoding.wait()
                with ThreadPoolExecutor(len(group)) as pool:
                    running: list[Future] = []
                    try:
                        running += (pool.submit(self._run, stage) for stage in group)
                        bad += sum(stage.result() for stage in running)
                    except BaseException:  # else the stages would run until their limits
                        while not all(stage.done() for stage in running):
                            kill_descendants()
                            time.sleep(0.1)
                        raise
        finally:
            if self._decoding is not None:
                end_group(self._decoding)
        return bad

    def _run(self, stage: Stage) -> bool:
        """Run one stage, and return True if it did not pass."""
        left = self.ends - time.time()
        if not self.dry_run and left < LEAST * stage.seconds:
            print(f'stage {stage.number}: left for another call, {left:.0f} s remain', flush=True)
            return False
        job = self._job(stage, left)
        print(f'stage {stage.number} ({job.seconds:.0f} s): {stage.about}', flush=True)
        result = run_stage(stage, job, self.machine, self.out / 'log.txt')
        print(f'  {stage.number} {result["status"]} after {result["seconds"]:.0f} s', flush=True)
        if missing := result.get('results', {}).get('missing'):
            print(f'  {stage.number} lacks {", ".join(missing)}', flush=True)
        if 'error' in result:
            print(result['error'], flush=True)
        return result['status'] != 'passed'

    def _job(self, stage: Stage, left: float) -> Job:
        seconds = left if stage.takes_rest else min(stage.seconds, left)
        return Job(
            root=self.root,
            out=self.out,
            work=self.work / stage.number,
            images=self.images,
            cache=self.work / 'cache',
            device='cpu' if self.dry_run else 'cuda',
            toy=self.dry_run,
            started=time.time(),
            seconds=TOY_SECONDS if self.dry_run else seconds,
        )

    def _start_decoding(self) -> None:
        """Start to decode all images in the background, for the stages that train on them."""
        work = self.work / 'decoding'
        work.mkdir()
        stage = next(stage for stage in STAGES if stage.needs_images)
        job = self._job(stage, stage.seconds)
        job = Job(**{**vars(job), 'work': work})
        config = write_training(job, 'small_data/resnet18_cifar10.py', 1)
        self._decoding = subprocess.Popen(
            [*job.module('benchmarks.gpu_suite.decoding'), str(config)],
            env={**os.environ, 'PYTHONPATH': python_path(self.root), 'CUDA_VISIBLE_DEVICES': ''},
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the stages.

    Args:
        argv: Arguments; those of this process by default.

    Returns:
        The exit status: 1 if a stage did not pass, 2 if the arguments do not fit.
    """
    args = make_parser().parse_intermixed_args(argv)  # OUT --dry-run 4
    try:
        stages = choose_stages(args.stages)
        if not (args.again or args.dry_run):
            kept = [s for s in stages if has_result(s, resource_root() / KEPT)]
            for stage in kept:
                print(f'stage {stage.number}: skipped, {KEPT / stage.file} has its result')
            stages = [stage for stage in stages if stage not in kept]
        check(args, stages)
    except ValueError as error:
        print(f'gpu_suite.sh: {error}', file=sys.stderr)
        return 2
    args.out.mkdir(parents=True, exist_ok=True)
    suite = Suite(args)
    try:
        return int(suite.run(stages) > 0)
    finally:
        shutil.rmtree(suite.work, ignore_errors=True)  # decoded images, checkpoints


if __name__ == '__main__':
    sys.exit(main())
