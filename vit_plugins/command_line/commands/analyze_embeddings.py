"""Run ``tools/analyze_embeddings.py`` after its arguments are read."""

from __future__ import annotations

import argparse
import sys
from contextlib import redirect_stdout
from pathlib import Path

from mmengine.config import Config

from ...config_edits.data_root import apply_data_root
from ...config_edits.presence import require_data
from ...config_edits.reading import read_config_file
from ...config_edits.seen_photos import leave_out_seen
from ...datasets.trained_photos import trained_photos_beside
from ...evaluation.functional.finite import json_text
from ...fileio.printable_text import write_any_character
from ...inference.compare import EmbeddingReport, analyze, as_table, load_encoder
from ...inference.features import encode, read_split
from ...visualization.embeddings import plot_energy, plot_similarities
from ...weights.index import resolve_weights
from ...weights.newest_checkpoint import find_trained


def find_model(where: str) -> tuple[Config, str | None]:
    """Return the config and the checkpoint that the user named.

    Args:
        where: A work dir, CONFIG, or CONFIG,CHECKPOINT.
    """
    if Path(where).is_dir():
        config, checkpoint = find_trained(where)
        return read_config_file(config), str(checkpoint)
    config, _, checkpoint = where.partition(',')
    return read_config_file(config), resolve_weights(checkpoint) if checkpoint else None


def examine(where: str, args: argparse.Namespace) -> EmbeddingReport:
    """Encode the images with one model and analyze its descriptors.

    Args:
        where: A work dir, or NAME of a published model.
        args: The arguments of the tool.
    """
    cfg, checkpoint = find_model(where)
    if args.data_root:
        apply_data_root(cfg, args.data_root, verify=False)  # below, for this split alone
    else:
        require_data(cfg, {args.split, *(['train'] if args.pca else [])})
    leave_out_seen(cfg, trained_photos_beside(checkpoint))
    with redirect_stdout(sys.stderr):  # the host's log
        model = load_encoder(cfg, checkpoint, args.device)
    skip = args.skip_unreadable
    features = encode(model, read_split(cfg, args.split, skip_unreadable=skip))
    fitted_on = None
    if args.pca:
        fitted_on = encode(model, read_split(cfg, 'train', skip_unreadable=skip)).values
    return analyze(features, fitted_on, args.pca, args.topk)


def as_json(report: EmbeddingReport) -> dict:
    """Return the numbers of a report for a JSON file."""
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


def run(args: argparse.Namespace) -> dict[str, EmbeddingReport]:
    """Analyze all models, print the table and write the files."""
    write_any_character()
    args.out.mkdir(parents=True, exist_ok=True)  # fails before any work if impossible
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
