r"""Compare the descriptors of several models on one set of images with classes.

python tools/analyze_embeddings.py untrained=configs/retrieval_digits.py \
    trained=work_dirs/retrieval_digits --pca 32 16 --out analysis

Writes table.md, statistics.json, energy.png (share of the variance in the first k principal
components) and similarities.png (cosines of positive and negative pairs).
"""

from __future__ import annotations

import vit_plugins  # first: how threads wait is set before torch is loaded

# isort: split
import argparse
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path


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
        '--topk', nargs='+', type=int, default=[1, 2, 4, 8], metavar='K', help='of Recall@K'
    )
    parser.add_argument('--data-root', metavar='DIR', help='where the images lie, for all models')
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


if __name__ == '__main__':
    parse_args()  # help and wrong arguments end here, before imports that take seconds

vit_plugins.register()

from mmengine.config import Config

from vit_plugins.config_edits.data_root import apply_data_root
from vit_plugins.config_edits.presence import require_data
from vit_plugins.config_edits.reading import read_config_file
from vit_plugins.evaluation.functional.finite import json_text
from vit_plugins.fileio.printable_text import write_any_character
from vit_plugins.inference.compare import EmbeddingReport, analyze, as_table, load_encoder
from vit_plugins.inference.features import encode, read_split
from vit_plugins.visualization.embeddings import plot_energy, plot_similarities
from vit_plugins.weights.choosing import find_trained
from vit_plugins.weights.index import resolve_weights


def find_model(where: str) -> tuple[Config, str | None]:
    """Return the config and the checkpoint that are meant.

    Args:
        where: A work dir, CONFIG, or CONFIG,CHECKPOINT.
    """
    if Path(where).is_dir():
        config, checkpoint = find_trained(where)
        return read_config_file(config), str(checkpoint)
    config, _, checkpoint = where.partition(',')
    return read_config_file(config), resolve_weights(checkpoint) if checkpoint else None


def examine(where: str, args: argparse.Namespace) -> EmbeddingReport:
    """Encode the images with one model and analyze its descriptors."""
    cfg, checkpoint = find_model(where)
    if args.data_root:
        apply_data_root(cfg, args.data_root, verify=False)
    else:
        require_data(cfg, {args.split, *(['train'] if args.pca else [])})
    with redirect_stdout(sys.stderr):  # the host's log
        model = load_encoder(cfg, checkpoint, args.device)
    features = encode(model, read_split(cfg, args.split))
    fitted_on = encode(model, read_split(cfg, 'train')).values if args.pca else None
    return analyze(features, fitted_on, args.pca, args.topk)


def as_json(report: EmbeddingReport) -> dict:
    """Return the numbers of a report, for a file."""
    return {
        'effective_rank': report.effective_rank,
        'components_at_50_90_99_percent': report.components,
        'nearest_distance': report.nearest_distance,
        'scores': {str(dims or 'all'): scores for dims, scores in report.scores.items()},
        'energy': report.energy.tolist(),
        'similarities': {
            name: getattr(report.similarities, name).tolist()
            for name in ('edges', 'positives', 'negatives')
        },
    }


def main(argv: Sequence[str] | None = None) -> dict[str, EmbeddingReport]:
    """Analyze all models, print the table and write the files.

    Args:
        argv: The arguments. Default: those of the process.
    """
    write_any_character()
    args = parse_args(argv)
    args.out.mkdir(parents=True, exist_ok=True)  # impossible? before any work
    reports = {}
    for name, where in args.models.items():
        try:
            reports[name] = examine(where, args)
        except (ValueError, FileNotFoundError) as error:
            sys.exit(f'{name}: {error}')
    table = as_table(reports)
    print(table)
    (args.out / 'table.md').write_text(table + '\n', encoding='utf-8')
    content = {name: as_json(report) for name, report in reports.items()}
    (args.out / 'statistics.json').write_text(json_text(content, indent=2) + '\n')
    energies = {name: report.energy for name, report in reports.items()}
    plot_energy(energies).savefig(args.out / 'energy.png')
    histograms = {name: report.similarities for name, report in reports.items()}
    plot_similarities(histograms).savefig(args.out / 'similarities.png')
    return reports


if __name__ == '__main__':
    main()
