r"""Measure frozen features of a backbone: k-NN, few-shot least squares and a linear layer.

python tools/probe.py work_dirs/convit-tiny_8xb128-300e_in1k \
    --data configs/_base_/datasets/flowers102_224.py

Training images go through the test transforms, without augmentation; scores are top-1 on the test
images, in percent. In memory are the features of all images (4 bytes x dimensions x images) and
some thousand rows more; --max-per-class takes fewer of large classes.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from vit_plugins.command_line.arguments import ConfigOptions
from vit_plugins.command_line.data_arguments import add_data_arguments, add_skip_argument
from vit_plugins.command_line.late_import import run_command

PROBES = ('knn', 'few-shot', 'linear')


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='config of the model, or the work dir of a training')
    parser.add_argument(
        'checkpoint',
        nargs='?',
        help='weights: a file or a name of the model index; left out: those of the work dir, or '
        'those that a training would start from',
    )
    add_data_arguments(parser)
    add_skip_argument(parser, '')
    parser.add_argument('--probes', nargs='+', choices=PROBES, default=PROBES, help='all if none')
    parser.add_argument('--k', type=int, default=20, help='neighbors that vote; 20')
    parser.add_argument(
        '--shots',
        nargs='+',
        type=int,
        default=[1, 5, 10],
        metavar='N',
        help='training images of each class for least squares; 1 5 10',
    )
    parser.add_argument(
        '--seeds', nargs='+', type=int, default=[0, 1, 2], help='seeds of few-shot samples'
    )
    parser.add_argument('--ridge', type=float, default=1.0, help='penalty of least squares; 1')
    parser.add_argument(
        '--penalties',
        nargs='+',
        type=float,
        default=[1e-5, 1e-4, 1e-3, 1e-2],
        help='penalty of the linear layer; of several, one is chosen on a fifth of the images',
    )
    parser.add_argument(
        '--max-per-class',
        type=int,
        metavar='N',
        help='the most training images of each class, sampled at random',
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=ConfigOptions,
        default={},
        help='settings that replace those of the config, as for tools/train.py',
    )
    parser.add_argument('--device', help='cpu, cuda, cuda:1 ...; default: a GPU if there is one')
    parser.add_argument('--out', type=Path, help='JSON file for the scores')
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> object:
    """Encode the images and print what the probes say."""
    return run_command('probe', parse_args(argv))


if __name__ == '__main__':
    main()
