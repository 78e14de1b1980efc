r"""Compare the descriptors of several models on one dataset with classes.

python tools/analyze_embeddings.py untrained=configs/retrieval_digits.py \
    trained=work_dirs/retrieval_digits --pca 32 16 --out analysis

The results are table.md, statistics.json, energy.png (the share of the variance in the first k
principal components) and similarities.png (the cosines of positive and negative pairs).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from vit_plugins.command_line.data_arguments import add_skip_argument
from vit_plugins.command_line.late_import import run_command
from vit_plugins.command_line.model_arguments import add_device_argument
from vit_plugins.command_line.tool_parser import tool_parser


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line.

    Args:
        argv: The arguments. Default: those of the process.
    """
    parser = tool_parser(__doc__)
    parser.add_argument(
        'models',
        nargs='+',
        metavar='NAME=WHERE',
        help='a name, and a work dir, or CONFIG,CHECKPOINT, or only a config, for the weights '
        'that its training starts from: random, or pretrained if the config names some',
    )
    parser.add_argument('--out', type=Path, required=True, help='folder for table and plots')
    parser.add_argument(
        '--split',
        choices=['test', 'val', 'train'],
        default='test',
        help='split of the dataset; default: test',
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
        '--topk',
        nargs='+',
        type=int,
        default=[1, 2, 4, 8],
        metavar='K',
        help='values of K for Recall@K; default: 1 2 4 8',
    )
    parser.add_argument('--data-root', metavar='DIR', help='folder of the images, for all models')
    add_skip_argument(parser, '')
    add_device_argument(parser)
    args = parser.parse_args(argv)
    pairs = [model.partition('=')[::2] for model in args.models]
    if not all(name and where for name, where in pairs) or len(dict(pairs)) < len(pairs):
        parser.error(
            f'each model must be NAME=WHERE, with different names, got {" ".join(args.models)}'
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
