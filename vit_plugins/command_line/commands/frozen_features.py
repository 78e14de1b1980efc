"""Run ``tools/frozen_features.py`` after its arguments are read."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import torch

from ...studies.frozen.encoders import check_vit, load_cnn, load_vit, save_vit
from ...studies.frozen.features import Features, cached, extract
from ...studies.frozen.plan import read_plan
from ...studies.frozen.study import FrozenStudy, colour_vectors


def feature_source(args: argparse.Namespace) -> Callable[[str, str, int], Features]:
    """Return the function that gives the features of an encoder, a dataset and a size."""
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
    """Return the path of an option that must be given.

    Args:
        value: The value of the option, None if it was not given.
        option: The name of the option.
    """
    if value is None:
        raise ValueError(f'{option} is needed: it is not in the cache.')
    return value


def run(args: argparse.Namespace) -> None:
    """Measure the parts of the study."""
    torch.set_num_threads(args.threads)
    records = args.records or args.cache / 'records.json'
    try:
        if args.check:
            print(f'largest difference of a token: {check_vit(needed(args.vit, "--vit")):.2g}')
            return
        if args.save_vit:
            print(f'wrote {save_vit(needed(args.vit, "--vit"), args.save_vit)}')
            return
        study = FrozenStudy(read_plan(args.plan), feature_source(args), records)
        for part in args.parts:
            study.run(part, lambda line: print(line, flush=True))
    except (ValueError, OSError, ImportError) as error:  # a message instead of a traceback
        sys.exit(str(error))
