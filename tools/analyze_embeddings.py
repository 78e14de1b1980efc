r"""Compare the descriptors of several models on one set of images with classes.

python tools/analyze_embeddings.py untrained=configs/retrieval_digits.py \
    trained=work_dirs/retrieval_digits --pca 32 16 --out analysis

Writes table.md, statistics.json, energy.png (share of the variance in the first k principal
components) and similarities.png (cosines of positive and negative pairs).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from vit_plugins.command_line.data_arguments import add_skip_argument
from vit_plugins.command_line.late_import import run_command


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line.

    Args:
        argv: The arguments. Default: those of the process.
    """
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        'models',
        nargs='+',
        metavar='NAME=WHERE',
        help='a work dir; or CONFIG,CHECKPOINT; or a config alone, for the weights that its '
        'training starts from: random, or pretrained if it names some',
    )
    parser.add_argument('--out', type=Path, required=True, help='folder for table and pictures')
    parser.add_argument(
        '--split', choices=['test', 'val', 'train'], default='test', help='which images'
    )
    parser.add_argument(
        '--pca',
        nargs='+',
        type=int,
        default=[],
        metavar='K',
        help='also search with K principal components, fitted on the training images',
    )
    parser.add_argument(
        '--topk', nargs='+', type=int, default=[1, 2, 4, 8], metavar='K', help='K of Recall@K'
    )
    parser.add_argument('--data-root', metavar='DIR', help='folder of the images, for all models')
    add_skip_argument(parser, '')
    parser.add_argument('--device', help='cpu, cuda, cuda:1 ...; default: a GPU if there is one')
    args = parser.parse_args(argv)
    pairs = [model.partition('=')[::2] for model in args.models]
    if not all(name and where for name, where in pairs) or len(dict(pairs)) < len(pairs):
        parser.error(
            f'each model is NAME=WHERE, with different names, got {" ".join(args.models)}'
        )
    if min(args.topk + args.pca) < 1:
        parser.error('--topk and --pca must be 1 or more')
    args.models = dict(pairs)
    return args


def main(argv: Sequence[str] | None = None) -> object:
    """Analyze all models, print the table and write the files."""
    return run_command('analyze_embeddings', parse_args(argv))


if __name__ == '__main__':
    main()
