"""Run ``tools/test.py`` after its arguments are read."""

from __future__ import annotations

import argparse
from copy import deepcopy
from pathlib import Path

import mmengine
from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.evaluator import DumpResults

from ...config_edits.crop_ratio import set_crop_ratio
from ...config_edits.evaluation_part import complete_test_part
from ...config_edits.seen_photos import leave_out_seen
from ...config_edits.training_reading import is_same, reading_of_training
from ...config_edits.walking import pipelines_of
from ...datasets.trained_photos import trained_photos_beside
from ...datasets.unfit_data import UnfitDataError
from ...engine.hooks.score_report_hook import ScoreReportHook
from ...engine.launch import build_runner, place_data, read_config, set_work_dir
from ...engine.ranks import end_ranks, leave_whole
from ...engine.run_defaults import add_own_hooks, default_hooks_of, set_loader_defaults
from ...fileio.printable_text import write_any_character
from ...fileio.result_table import write_rows
from ...weights.index import resolve_weights
from ...weights.loading import CheckpointMismatchError
from ...weights.newest_checkpoint import find_trained, trained_classes
from ..data_arguments import run_name
from .named_config import use_named_config
from .training_options import choose_device


def complete_config(args: argparse.Namespace) -> Config:
    """Return the complete config that follows from the arguments."""
    use_named_config(args)
    default_work_dir = f'work_dirs/{run_name(args)}/test'
    trained = Path(args.config).is_dir()
    if trained:
        default_work_dir = f'{args.config}/test'
        args.config, found = find_trained(args.config)
        args.checkpoint = args.checkpoint or found
    args.checkpoint = resolve_weights(args.checkpoint)
    cfg = read_config(args, trained=trained, splits=['test'])
    leave_whole(complete_test_part(cfg))
    # A separate folder: the runner writes its config there and must not replace the training's.
    cfg.work_dir = None
    set_work_dir(cfg, args, default_work_dir)
    classes = trained_classes(args.checkpoint) if args.data_root else None
    if trained and args.data_root:
        keep_reading(cfg, args)
    seen = trained_photos_beside(args.checkpoint)
    cfg = place_data(cfg, args, ['test'], classes, seen)
    if not args.data_root:
        leave_out_seen(cfg, seen)
    add_own_hooks(cfg)
    cfg.load_from, cfg.resume = args.checkpoint, False
    if args.amp:
        cfg.test_cfg.fp16 = True
    if args.show or args.show_dir is not None:
        plot_predictions(cfg, args)
    if args.crop_ratio is not None:
        crop_centrally(cfg, args.crop_ratio, views=args.tta)
    if args.tta:
        average_over_views(cfg)
    set_loader_defaults(cfg, ['test'], pin_memory=not args.no_pin_memory)
    if args.cfg_options is not None:  # applied last, too
        cfg.merge_from_dict(args.cfg_options)
    return cfg


def keep_reading(cfg: Config, args: argparse.Namespace) -> None:
    """Set the options with which the training read its folder, unless the user sets them.

    Args:
        cfg: The config of the training.
        args: The arguments of the tool, changed in place.
    """
    found = reading_of_training(cfg, args.data_root)
    if not found:
        return
    args.labels = args.labels or found['labels']
    if args.labels is None or is_same(found['labels'], args.labels):
        args.group_by = args.group_by or found['group_by']
    args.skip_unreadable |= found['skip_unreadable'] and not args.no_verify


def plot_predictions(cfg: Config, args: argparse.Namespace) -> None:
    """Switch on the pictures of the host's visualization hook.

    Args:
        cfg: The config, changed in place.
        args: The arguments of the tool.
    """
    hooks = default_hooks_of(cfg)
    hooks.visualization = hooks.get('visualization') or {}
    hooks.visualization.update(
        type='VisualizationHook',
        enable=True,
        show=args.show,
        wait_time=args.wait_time,
        out_dir=args.show_dir,
        interval=args.interval,
    )


def crop_centrally(cfg: Config, ratio: float, views: bool) -> None:
    """Set the share of the short side that the model sees, also in the config's own views.

    Args:
        cfg: The config, changed in place.
        ratio: Share of the short side.
        views: Whether the config has views of its own.
    """
    pipelines = pipelines_of(cfg.test_dataloader.dataset)
    if views and 'tta_pipeline' in cfg:
        pipelines.append(cfg.tta_pipeline)
    try:
        for pipeline in pipelines:
            set_crop_ratio(pipeline, ratio)
    except ValueError as error:  # a message instead of a traceback
        raise SystemExit(f'--crop-ratio: {error}') from None


def average_over_views(cfg: Config) -> None:
    """Set the config's test-time augmentation, or flipped images if it has none.

    Raises:
        SystemExit: If the model gives no class scores, because only these can be averaged.
    """
    if 'tta_model' not in cfg and 'Retriever' in cfg.model.type:
        raise SystemExit(
            f'--tta averages class scores, and {cfg.model.type} gives descriptors: leave it out, '
            'or name a tta_model in the config'
        )
    pipeline = cfg.test_dataloader.dataset.pipeline
    if 'tta_pipeline' not in cfg:
        flips = [dict(type='RandomFlip', prob=1.0), dict(type='RandomFlip', prob=0.0)]
        views = dict(type='TestTimeAug', transforms=[flips, [deepcopy(pipeline[-1])]])
        cfg.tta_pipeline = [*deepcopy(pipeline[:-1]), views]
    tta_model = cfg.get('tta_model') or dict(type='mmpretrain.AverageClsScoreTTA')
    cfg.model = dict(**tta_model, module=cfg.model)
    cfg.test_dataloader.dataset.pipeline = cfg.tta_pipeline


def write_results(
    args: argparse.Namespace, metrics: dict[str, float], rows: list[dict[str, object]]
) -> None:
    """Write the results to ``--out``; the host writes pickled predictions.

    Args:
        args: The arguments of the tool.
        metrics: The measured metrics.
        rows: File, true class, predicted class and score of each image.

    Raises:
        SystemExit: If the model does not give each image one class.
    """
    kind = Path(args.out).suffix.lower()
    if args.out_item == 'metrics':
        if kind == '.csv':
            write_rows(args.out, [dict(metric=k, value=v) for k, v in metrics.items()])
        else:
            mmengine.dump(metrics, args.out)
    elif kind != '.pkl':
        if not rows:
            raise SystemExit(
                f'--out {args.out}: this model does not give each image one class; write its '
                'predictions as .pkl, or its scores with --out-item metrics'
            )
        write_rows(args.out, rows)


def run(args: argparse.Namespace) -> dict[str, float]:
    """Test a model and return its metrics."""
    write_any_character()
    choose_device(args)
    runner = build_runner(complete_config(args), quiet=True)
    scores = ScoreReportHook()
    runner.register_hook(scores)
    pickled = args.out and Path(args.out).suffix.lower() == '.pkl'
    if pickled and args.out_item != 'metrics':
        runner.test_evaluator.metrics.append(DumpResults(out_file_path=args.out))
    try:
        metrics = runner.test()
    except CheckpointMismatchError as error:  # a message instead of a traceback
        raise SystemExit(
            f'{error}\nTest it with the config that it was trained with, as its work dir has it'
        ) from None
    except (UnfitDataError, FloatingPointError) as error:  # a message instead of a traceback
        raise SystemExit(f'{error}') from None
    if args.out and is_main_process():
        write_results(args, metrics, scores.rows)
    end_ranks()
    return metrics
