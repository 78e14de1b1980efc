"""Run ``tools/probe.py`` after its arguments are read."""

from __future__ import annotations

import argparse
from pathlib import Path

from mmengine.config import Config

from ...config_edits.data_root import apply_data_root
from ...config_edits.dataset_by_name import apply_data
from ...config_edits.presence import require_data
from ...config_edits.reading import read_config_file
from ...config_edits.recipe_variables import apply_options
from ...config_edits.seen_photos import leave_out_seen
from ...datasets.trained_photos import trained_photos_beside
from ...evaluation.functional.finite import json_text
from ...fileio.printable_text import write_any_character
from ...fileio.writable_folder import require_writable
from ...inference.features import encode, read_split
from ...inference.loading import load_trained
from ...inference.probe import (
    as_table,
    probe_few_shot,
    probe_knn,
    probe_linear,
)
from ...weights.index import resolve_weights
from ...weights.newest_checkpoint import find_trained
from ..worker_message import message_of
from .named_config import use_named_config


def read_config(args: argparse.Namespace) -> Config:
    """Return the config of the model with the images that the arguments name."""
    use_named_config(args)
    if Path(args.config).is_dir():
        args.config, found = find_trained(args.config)
        args.checkpoint = args.checkpoint or found
    options = args.cfg_options or {}
    cfg = apply_options(read_config_file(args.config), options)
    if args.data is not None:
        cfg = apply_data(cfg, args.data, trained=True, splits=('train', 'test'))
        cfg.merge_from_dict(options)
    if args.data_root is not None:
        skip = {'skip_unreadable': True} if args.skip_unreadable else {}
        cfg = apply_data_root(cfg, args.data_root, verify=bool(skip), data=args.data, **skip)
    else:
        require_data(cfg, ['train', 'test'])
    if args.max_per_class is not None:
        cfg.train_dataloader.dataset = dict(
            type='ClassSubset',
            dataset=cfg.train_dataloader.dataset,
            num_per_class=args.max_per_class,
            mode='random',
            allow_fewer=True,
        )
    return cfg


def run(args: argparse.Namespace) -> dict[str, float]:
    """Encode the images and print the results of the probes."""
    write_any_character()
    try:
        if args.out:
            require_writable(args.out.absolute().parent)
        cfg = read_config(args)
        weights = args.checkpoint and resolve_weights(args.checkpoint)
        leave_out_seen(cfg, trained_photos_beside(weights))
        model, _ = load_trained(cfg, weights, args.device, may_differ=('head.',))
        loaders = [
            read_split(cfg, split, skip_unreadable=args.skip_unreadable)
            for split in ('train', 'test')
        ]
        train, test = (encode(model, loader).labelled for loader in loaders)
        results: dict[str, float] = {}
        if 'knn' in args.probes:
            results |= probe_knn(train, test, args.k)
        if 'few-shot' in args.probes:
            results |= probe_few_shot(train, test, args.shots, args.seeds, args.ridge)
        if 'linear' in args.probes:
            results |= probe_linear(train, test, args.penalties)
    except (ValueError, OSError) as error:  # a message instead of a traceback
        raise SystemExit(message_of(error)) from None
    print(f'{len(train[0])} images to train on, {len(test[0])} to test, {train[0].shape[1]} dims')
    print(as_table(results))
    if args.out:
        args.out.write_text(json_text(results, indent=1), encoding='utf-8')
    return results
