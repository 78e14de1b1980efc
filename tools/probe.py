r"""Measure frozen features of a backbone: k-NN, few-shot least squares and a linear layer.

python tools/probe.py work_dirs/convit-tiny_8xb128-300e_in1k \
    --data configs/_base_/datasets/flowers102_224.py

Training images go through the test transforms, without augmentation; scores are top-1 on the test
images, in percent. In memory are the features of all images (4 bytes x dimensions x images) and
some thousand rows more; --max-per-class takes fewer of large classes.
"""

from __future__ import annotations

import vit_plugins  # first: how threads wait is set before torch is loaded

# isort: split
import argparse
from collections.abc import Sequence
from pathlib import Path

from vit_plugins.command_line.arguments import ConfigOptions
from vit_plugins.command_line.data_arguments import add_data_arguments

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
        '--seeds', nargs='+', type=int, default=[0, 1, 2], help='of few-shot draws'
    )
    parser.add_argument('--ridge', type=float, default=1.0, help='penalty of least squares; 1')
    parser.add_argument(
        '--penalties',
        nargs='+',
        type=float,
        default=[1e-5, 1e-4, 1e-3, 1e-2],
        help='of the linear layer; several: chosen on a fifth of the training images',
    )
    parser.add_argument(
        '--max-per-class',
        type=int,
        metavar='N',
        help='the most training images to take of each class, drawn at random',
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


if __name__ == '__main__':
    parse_args()  # help and wrong arguments end here, before imports that take seconds

vit_plugins.register()

from mmengine.config import Config

from vit_plugins.config_edits.data import apply_data
from vit_plugins.config_edits.data_root import apply_data_root
from vit_plugins.config_edits.presence import require_data
from vit_plugins.config_edits.reading import read_config_file
from vit_plugins.config_edits.recipe_variables import apply_options
from vit_plugins.evaluation.functional.finite import json_text
from vit_plugins.fileio.printable_text import write_any_character
from vit_plugins.fileio.writable_folder import require_writable
from vit_plugins.inference.features import encode, read_split
from vit_plugins.inference.loading import load_trained
from vit_plugins.inference.probe import (
    as_table,
    probe_few_shot,
    probe_knn,
    probe_linear,
)
from vit_plugins.weights.choosing import find_trained
from vit_plugins.weights.index import resolve_weights


def read_config(args: argparse.Namespace) -> Config:
    """Turn the arguments into the config of the model with the images asked for."""
    if Path(args.config).is_dir():
        args.config, found = find_trained(args.config)
        args.checkpoint = args.checkpoint or found
    cfg = apply_options(read_config_file(args.config), args.cfg_options)
    if args.data is not None:
        cfg = apply_data(cfg, args.data, trained=True)
        cfg.merge_from_dict(args.cfg_options)
    if args.data_root is not None:
        cfg = apply_data_root(cfg, args.data_root, verify=False)
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


def main(argv: Sequence[str] | None = None) -> dict[str, float]:
    """Encode the images and print what the probes say."""
    write_any_character()
    args = parse_args(argv)
    try:
        if args.out:
            require_writable(args.out.absolute().parent)
        cfg = read_config(args)
        weights = args.checkpoint and resolve_weights(args.checkpoint)
        model, _ = load_trained(cfg, weights, args.device, may_differ=('head.',))
        train, test = (encode(model, read_split(cfg, s)).labelled for s in ('train', 'test'))
        results: dict[str, float] = {}
        if 'knn' in args.probes:
            results |= probe_knn(train, test, args.k)
        if 'few-shot' in args.probes:
            results |= probe_few_shot(train, test, args.shots, args.seeds, args.ridge)
        if 'linear' in args.probes:
            results |= probe_linear(train, test, args.penalties)
    except (ValueError, OSError) as error:  # in words: no traceback needed
        raise SystemExit(str(error)) from None
    print(f'{len(train[0])} images to train on, {len(test[0])} to test, {train[0].shape[1]} dims')
    print(as_table(results))
    if args.out:
        args.out.write_text(json_text(results, indent=1), encoding='utf-8')
    return results


if __name__ == '__main__':
    main()
