r"""Plot the inside of a model: pictures (PNG) and the arrays behind them (.npz).

python tools/look.py work_dirs/convit_drloc_digits
python tools/look.py work_dirs/convit_drloc_folder photo.jpg --what attention --query 3,5
python tools/look.py work_dirs/convit_drloc_folder photos --what attention rollout --query class
python tools/look.py work_dirs/photos photo.jpg --what cam --class cat
python tools/look.py convit-small_8xb128_in1k --what nonlocality --mode official
python tools/look.py work_dirs/photos "photos/**/*.jpg" --what embedding --number 300
python tools/look.py work_dirs/convit --what history --beside work_dirs/vit

gates        the share of position in each head of ConViT's GPSA layers
nonlocality  how far each head looks: Eq. 8 of ConViT, and pixels as ViT reports them
attention    what one token attends to, in each layer and head
rollout      of which patches the class token is made, through all layers
cam          GradCAM: where a classifier sees a class
offsets      offsets between patches as a DRLoc head predicts them, against the true ones
positions    how alike the position embeddings are
filters      principal components of the patch embedding's filters
embedding    photos at the points of their embeddings, by PCA and t-SNE
history      what GateHook, LocalityHook and OffsetErrorHook measured in the training
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from vit_plugins.command_line.late_import import run_command

WHAT = (
    *('gates', 'nonlocality', 'attention', 'rollout', 'cam'),
    *('offsets', 'positions', 'filters', 'embedding', 'history'),
)


def query(text: str) -> str | tuple[int, int]:
    """Read which token attends.

    Args:
        text: ``centre``, ``class``, or ROW,COLUMN.
    """
    if text in ('centre', 'class'):
        return text
    row, column = (int(number) for number in text.split(','))  # ValueError: argparse tells
    return row, column


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line.

    Args:
        argv: The arguments. Default: those of the process.
    """
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        'model',
        metavar='WORK_DIR|CHECKPOINT|NAME|CONFIG',
        help='the work dir of a training run, a checkpoint with its config beside it, a model of '
        'the index, or a config, for the weights that its training starts from',
    )
    parser.add_argument(
        'images',
        nargs='*',
        metavar='IMAGES',
        help='image files, folders, globs in quotes; default: images of the test set',
    )
    parser.add_argument(
        '--what',
        nargs='+',
        choices=WHAT,
        help='default: everything that the model has',
        metavar='WHAT',
    )
    parser.add_argument(
        '--out', type=Path, help='folder; default: WORK_DIR/look, or look/NAME where there is none'
    )
    parser.add_argument('--layer', type=int, metavar='N', help='from 1; default: all, of cam last')
    parser.add_argument('--head', type=int, metavar='N', help='from 1; default: all')
    parser.add_argument(
        '--query',
        type=query,
        default='centre',
        metavar='centre|class|ROW,COLUMN',
        help='which token attends: the patch in the centre (default), the class token, or a patch '
        'of the first grid, from 0,0',
    )
    parser.add_argument(
        '--mode',
        choices=['propagated', 'official'],
        default='propagated',
        help='of nonlocality: what the layers before leave (default), or the patch embedding for '
        "every layer, as in ConViT's released code",
    )
    parser.add_argument(
        '--class', dest='target', metavar='NAME', help='class of cam; default: the predicted one'
    )
    parser.add_argument(
        '--number',
        type=int,
        metavar='N',
        help='the most images; default: 4 of attention, rollout and cam, 16 of nonlocality '
        'and offsets, 150 of embedding',
    )
    parser.add_argument(
        '--beside',
        nargs='+',
        type=Path,
        default=[],
        metavar='WORK_DIR',
        help='of history: other trainings, whose non-locality is shown side by side',
    )
    parser.add_argument('--seed', type=int, default=0, help='seed of pairs and of t-SNE; 0')
    parser.add_argument('--config', type=Path, help='default: the one in the work dir')
    parser.add_argument('--checkpoint', type=Path, help='default: the best, else the newest')
    parser.add_argument('--device', help='cpu, cuda, cuda:1 ...; default: a GPU if there is one')
    args = parser.parse_args(argv)
    if args.number is not None and args.number < 1:
        parser.error(f'--number must be 1 or more, got {args.number}')
    return args


def main(argv: Sequence[str] | None = None) -> int:
    """Write pictures of the inside of a model; the exit code is 1 if there was none."""
    return run_command('look', parse_args(argv))


if __name__ == '__main__':
    sys.exit(main())
