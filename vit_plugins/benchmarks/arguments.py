"""Read the arguments of ``vit-plugins bench`` before torch is imported."""

import argparse
from pathlib import Path

from . import PARTS

DTYPES = {'fp32': 'float32', 'bf16': 'bfloat16', 'fp16': 'float16'}  # the names in torch
SIZES = ('toy', 'cpu', 'gpu', 'large', 'scaling')


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command."""
    parser = argparse.ArgumentParser(
        prog='vit-plugins bench',
        description='Measure time and memory against peers, after a check that the outputs are '
        'equal. Each case has a process of its own, in which the sides take turns.',
        epilog='parts: ' + '; '.join(f'{name}: {about}' for name, about in PARTS.items()),
    )
    parser.add_argument('parts', nargs='+', choices=[*PARTS], metavar='PART', help='see below')
    parser.add_argument(
        '--only', default='', metavar='TEXT', help='only the cases whose name contains this text'
    )
    parser.add_argument(
        '--without',
        action='append',
        default=[],
        metavar='SIDE',
        help='leave out this side, such as a slow peer; may be repeated',
    )
    parser.add_argument('--device', default='cpu', help='cpu (default) or cuda')
    parser.add_argument('--dtype', choices=[*DTYPES], help='default: bf16 on a GPU, fp32 on a CPU')
    parser.add_argument(
        '--size',
        choices=SIZES,
        help='toy takes seconds, scaling shows how cost grows; by default the one that suits '
        'the device',
    )
    parser.add_argument(
        '--rounds', type=int, metavar='N', help='number of turns of each side; default: 5'
    )
    parser.add_argument(
        '--turn', type=float, metavar='SECONDS', help='seconds that a turn takes; default: 2'
    )
    parser.add_argument(
        '--once',
        action='store_true',
        help='call each side a single time, without a check of the outputs: for calls of minutes',
    )
    parser.add_argument(
        '--threads', type=int, default=1, help='number of threads on the CPU; default: 1'
    )
    parser.add_argument('--compile', action='store_true', help='torch.compile the modules')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the numbers here')
    return parser
