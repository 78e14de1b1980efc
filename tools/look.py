r"""Plot the inside of a model, as pictures (PNG) with the arrays that they show (.npz).

python tools/look.py work_dirs/convit_drloc_digits
python tools/look.py work_dirs/convit_drloc_folder photo.jpg --what attention --query 3,5
python tools/look.py work_dirs/convit_drloc_folder photos --what attention rollout --query class
python tools/look.py work_dirs/photos photo.jpg --what cam --class cat
python tools/look.py convit-small_8xb128_in1k --what nonlocality --mode official
python tools/look.py work_dirs/photos "photos/**/*.jpg" --what embedding --number 300
python tools/look.py work_dirs/convit --what history --beside work_dirs/vit

gates        the share of positional attention in each head of ConViT's GPSA layers
nonlocality  how far each head attends: Eq. 8 of ConViT, and in pixels as in the ViT paper
attention    what one token attends to, in each layer and head
rollout      how much each patch contributes to the class token, through all layers
cam          GradCAM: the regions by which a classifier recognises a class
offsets      offsets between patches as a DRLoc head predicts them, and the true offsets
positions    how similar the position embeddings are to each other
filters      principal components of the filters of the patch embedding
embedding    photos at the points of their embeddings, by PCA and t-SNE
history      the values of GateHook, LocalityHook and OffsetErrorHook during the training
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from vit_plugins.command_line.late_import import run_command
from vit_plugins.command_line.model_arguments import add_device_argument, add_model_arguments
from vit_plugins.command_line.tool_parser import tool_parser

WHAT = (
    *('gates', 'nonlocality', 'attention', 'rollout', 'cam'),
    *('offsets', 'positions', 'filters', 'embedding', 'history'),
)


def query(text: str) -> str | tuple[int, int]:
    """Return the token whose attention is shown.

    Args:
        text: ``centre``, ``class``, or ROW,COLUMN.
    """
    if text in ('centre', 'class'):
        return text
    row, column = (int(number) for number in text.split(','))  # argparse reports a ValueError
    return row, column


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line.

    Args:
        argv: The arguments. Default: those of the process.
    """
    parser = tool_parser(__doc__)
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
        help='what to plot; default: everything that the model has',
        metavar='WHAT',
    )
    parser.add_argument(
        '--out',
        type=Path,
        help='folder for the results; default: WORK_DIR/look, or look/NAME without a work dir',
    )
    parser.add_argument(
        '--layer',
        type=int,
        metavar='N',
        help='a single layer, counted from 1; default: all layers, for cam the last one',
    )
    parser.add_argument(
        '--head', type=int, metavar='N', help='a single head, counted from 1; default: all heads'
    )
    parser.add_argument(
        '--query',
        type=query,
        default='centre',
        metavar='centre|class|ROW,COLUMN',
        help='the token whose attention is shown: the patch in the centre (default), the class '
        'token, or a patch of the first grid, counted from 0,0',
    )
    parser.add_argument(
        '--mode',
        choices=['propagated', 'official'],
        default='propagated',
        help='for nonlocality, the input of a layer: the output of the layer before (default), or '
        "the patch embedding for every layer, as in ConViT's released code",
    )
    parser.add_argument(
        '--class',
        dest='target',
        metavar='NAME',
        help='for cam, the class; default: the predicted class',
    )
    parser.add_argument(
        '--number',
        type=int,
        metavar='N',
        help='largest number of images; default: 4 for attention, rollout and cam, 16 for '
        'nonlocality and offsets, 150 for embedding',
    )
    parser.add_argument(
        '--beside',
        nargs='+',
        type=Path,
        default=[],
        metavar='WORK_DIR',
        help='for history, other trainings whose non-locality is shown side by side',
    )
    parser.add_argument(
        '--seed', type=int, default=0, help='seed of the pairs of offsets and of t-SNE; default: 0'
    )
    add_model_arguments(parser)
    add_device_argument(parser)
    args = parser.parse_args(argv)
    if args.number is not None and args.number < 1:
        parser.error(f'--number must be 1 or more, got {args.number}')
    return args


def main(argv: Sequence[str] | None = None) -> int:
    """Plot the inside of a model; the exit code is 1 if there was nothing to plot."""
    return run_command('look', parse_args(argv))


if __name__ == '__main__':
    sys.exit(main())
