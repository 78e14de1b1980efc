r"""Measure frozen features of a backbone: k-NN, few-shot least squares and a linear layer.

python tools/probe.py work_dirs/convit-tiny_8xb128-300e_in1k \
    --data configs/_base_/datasets/flowers102_224.py

Training images are loaded with the test transforms, without augmentation. Scores are the top-1
accuracy on the test images in percent. The memory holds the features of all images (4 bytes x
dimensions x images) and a few thousand rows more; --max-per-class takes fewer images of large
classes.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from vit_plugins.command_line.arguments import add_options_argument
from vit_plugins.command_line.data_arguments import add_data_arguments, add_skip_argument
from vit_plugins.command_line.late_import import run_command
from vit_plugins.command_line.model_arguments import add_device_argument
from vit_plugins.command_line.tool_parser import tool_parser

PROBES = ('knn', 'few-shot', 'linear')


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = tool_parser(__doc__)
    parser.add_argument(
        'config', help='recipe by name, config of the model, or the work dir of a training'
    )
    parser.add_argument(
        'checkpoint',
        nargs='?',
        help='weights: a file or a name of the model index; default: those of the work dir, or '
        'those that a training would start from',
    )
    add_data_arguments(parser)
    add_skip_argument(parser, '')
    parser.add_argument(
        '--probes', nargs='+', choices=PROBES, default=PROBES, help='default: all three'
    )
    parser.add_argument(
        '--k', type=int, default=20, help='number of neighbours that vote; default: 20'
    )
    parser.add_argument(
        '--shots',
        nargs='+',
        type=int,
        default=[1, 5, 10],
        metavar='N',
        help='number of training images of each class for least squares; default: 1 5 10',
    )
    parser.add_argument(
        '--seeds',
        nargs='+',
        type=int,
        default=[0, 1, 2],
        help='seeds of the few-shot samples; default: 0 1 2',
    )
    parser.add_argument(
        '--ridge', type=float, default=1.0, help='penalty of least squares; default: 1'
    )
    parser.add_argument(
        '--penalties',
        nargs='+',
        type=float,
        default=[1e-5, 1e-4, 1e-3, 1e-2],
        help='penalties of the linear layer; the best one on a fifth of the training images is '
        'used',
    )
    parser.add_argument(
        '--max-per-class',
        type=int,
        metavar='N',
        help='largest number of training images of each class, sampled at random',
    )
    add_options_argument(parser)
    add_device_argument(parser)
    parser.add_argument('--out', type=Path, help='JSON file for the scores')
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> object:
    """Compute the features of the images and print the scores of the probes."""
    return run_command('probe', parse_args(argv))


if __name__ == '__main__':
    main()
