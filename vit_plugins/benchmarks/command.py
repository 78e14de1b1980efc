"""Run ``vit-plugins bench``: a fresh process for each case, then a table and JSON."""

from __future__ import annotations

import argparse
import json
import logging
import os
import platform
import shlex
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from multiprocessing import (
    get_all_start_methods,
    get_context,
    parent_process,
    set_start_method,
)
from multiprocessing.connection import Connection, wait
from multiprocessing.context import BaseContext
from pathlib import Path
from threading import Thread
from traceback import format_exc
from typing import Any

import torch

from ..host.memory_reuse import keep_freed_memory
from .arguments import make_parser
from .measuring import measure
from .setting import Setting

PACKAGES = (
    'torch', 'numpy', 'mmengine', 'mmcv-lite', 'mmpretrain', 'timm', 'faiss-cpu',
    'pytorch-metric-learning', 'onnx', 'onnxruntime', 'torchvision', 'pillow', 'opencv-python',
    'kornia',
)  # fmt: skip
# Imported once, before the processes of the cases are forked; the import computes nothing.
PRELOADED = ['vit_plugins.benchmarks.command', 'vit_plugins', 'timm.models']


def read_setting(args: argparse.Namespace) -> Setting:
    """Return the setting from the arguments, with the defaults of the device.

    Args:
        args: Arguments of :func:`make_parser`.

    Raises:
        ValueError: If the device is absent, a number is below 1, our own side is left out, or
            turns are set for calls that have none.
    """
    if args.once and (args.rounds is not None or args.turn is not None):
        raise ValueError('--once is a single call of each side: leave out --rounds and --turn')
    on_gpu = torch.device(args.device).type == 'cuda'
    return Setting(
        device=args.device,
        dtype=args.dtype or ('bf16' if on_gpu else 'fp32'),
        size=args.size or ('gpu' if on_gpu else 'cpu'),
        rounds=5 if args.rounds is None else args.rounds,
        turn=2.0 if args.turn is None else args.turn,
        compiled=args.compile,
        threads=args.threads,
        without=tuple(args.without),
        once=args.once,
    )


def describe_machine() -> dict[str, Any]:
    """Return the versions of the numeric packages, and the names of processor and GPU."""
    versions = {'python': platform.python_version()}
    for name in PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = ''
    found = {'versions': versions, 'processor': _processor(), 'cores': os.cpu_count()}
    if torch.cuda.is_available():
        properties = torch.cuda.get_device_properties(0)
        found |= {
            'gpu': properties.name,
            'gpu_gib': round(properties.total_memory / 2**30, 1),
            'cuda': torch.version.cuda,
        }
    return found


def _processor() -> str:
    try:
        lines = Path('/proc/cpuinfo').read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.split(':', 1)[1].strip() for line in lines if line.startswith('model name')]
    return names[0] if names else platform.machine()


def find_cases(parts: Sequence[str], size: str, only: str = '') -> list[tuple[str, str]]:
    """Return part and name of each case.

    Args:
        parts: Names of ``PARTS``.
        size: A size of :class:`Setting`.
        only: A text that the names contain.

    Raises:
        ValueError: If no name contains the text.
    """
    names = [
        (part, case)
        for part in parts
        for case in import_module(f'.{part}', __package__).cases(size)
    ]
    found = [(part, case) for part, case in names if only in case]
    if not found:
        listed = '; '.join(case for _, case in names)
        raise ValueError(f'--only {only!r}: no case has this in its name; there are: {listed}')
    return found


def run_cases(cases: Sequence[tuple[str, str]], setting: Setting) -> Iterator[dict[str, Any]]:
    """Measure cases; the others go on if one fails.

    Args:
        cases: Part and name of each, as of :func:`find_cases`.
        setting: The setting of all cases.

    Yields:
        For each case ``part``, ``case`` and the result of :func:`measure`, or an ``error``.
    """
    # An import may check for a GPU; through NVML this does not break the forks.
    os.environ.setdefault('PYTORCH_NVML_BASED_CUDA_CHECK', '1')
    context = get_context('forkserver')
    context.set_forkserver_preload(PRELOADED)
    for part, case in cases:
        found = _in_fresh_process(context, part, case, setting)
        if found is None:  # slower, because each process imports everything
            context = get_context('spawn')
            found = _in_fresh_process(context, part, case, setting)
        yield {'part': part, 'case': case, **(found or {'error': 'no CUDA in the process'})}


def _in_fresh_process(
    context: BaseContext, part: str, case: str, setting: Setting
) -> dict[str, Any] | None:
    """Measure a case; return None if the process was forked after CUDA had started."""
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_measure_case, args=(theirs, part, case, setting))
    process.start()
    theirs.close()
    try:
        return ours.recv()
    except EOFError:
        process.join()
        return {'error': f'the process ended with exit code {process.exitcode}'}
    finally:
        process.join()


def _end_with_the_command() -> None:
    """End this process when the command has ended, even if that was killed."""
    if (command := parent_process()) is not None:
        wait([command.sentinel])
        os._exit(1)


def _measure_case(pipe: Connection, part: str, case: str, setting: Setting) -> None:
    if setting.is_cuda and torch.cuda._is_in_bad_fork():
        pipe.send(None)
        return
    Thread(target=_end_with_the_command, daemon=True).start()
    logging.disable(logging.INFO)  # hides the host's lines on initialisation
    if 'fork' in get_all_start_methods():  # for loaders, as in the processes of commands
        set_start_method('fork', force=True)
    try:
        torch.set_num_threads(setting.threads)
        torch.manual_seed(0)
        module = import_module(f'.{part}', __package__)
        comparison = module.build(setting, **module.cases(setting.size)[case])
        for name in setting.without:
            if comparison.sides.pop(name, None):
                comparison.missing[name] = 'not asked for'
        if comparison.keeps_freed_memory:
            keep_freed_memory(os.environ)
        pipe.send(measure(comparison, setting))
    except Exception:
        pipe.send({'error': format_exc()})
    finally:
        logging.disable(logging.NOTSET)


def describe_case(row: dict[str, Any]) -> str:
    """Return the lines of the table for a case.

    Args:
        row: A result of :func:`run_cases`.
    """
    if 'error' in row:
        return f'{row["case"]}: FAILED\n{row["error"].rstrip()}'
    lines = [row['case']]
    for name, side in row['sides'].items():
        peak, kept = (
            '-' if side.get(key) is None else f'{side[key]:.1f} MiB'
            for key in ('peak_mb', 'kept_mb')
        )
        lines.append(
            f'  {name:<25} {1e3 * side["seconds"]:>10.2f} ms  {side["ratio"]:>6.2f} x  '
            f'CPU {1e3 * side["cpu_seconds"]:>10.2f} ms  {side["cpu_ratio"]:>6.2f} x  '
            f'peak {peak:>12}  kept {kept:>12}'
        )
    largest = max(row['differences'].values(), default=None)
    if largest is not None:
        lines.append(f'  outputs differ by {largest:.1e} of their norm at most')
    lines += [f'  {name} is left out: {why}' for name, why in row['missing'].items()]
    return '\n'.join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print the table, and write the JSON after each case.

    Args:
        argv: The words after ``bench``; those of this process by default.

    Returns:
        The exit status: 1 if a case failed.
    """
    args = make_parser().parse_args(argv)
    try:
        setting = read_setting(args)
        cases = find_cases(args.parts, setting.size, args.only)
    except (ValueError, RuntimeError) as error:
        print(f'vit-plugins bench: {error}', file=sys.stderr)
        return 2
    report = {
        'command': f'vit-plugins bench {shlex.join(sys.argv[2:] if argv is None else argv)}',
        'setting': asdict(setting),
        'machine': describe_machine(),
        'cases': [],
    }
    print(f'{setting}\n{report["machine"]}', flush=True)
    for row in run_cases(cases, setting):
        report['cases'].append(row)
        print(describe_case(row), flush=True)
        if args.json is not None:
            args.json.parent.mkdir(parents=True, exist_ok=True)
            args.json.write_text(json.dumps(report, indent=1) + '\n')
    return int(any('error' in row for row in report['cases']))


if __name__ == '__main__':
    sys.exit(main())
