"""Describe in words what was trained on which data, the result, and how to repeat it."""

from __future__ import annotations

from pathlib import Path

from mmengine.config import Config

from ..config_edits.recipe_weights import pretrained_parts
from ..config_edits.walking import image_size, leaf_datasets
from ..fileio.duration import duration
from ..fileio.printable_text import listed, printable
from ..inference.publish import describe_data
from .findings import Findings
from .scores import share

SPLIT_SETTINGS = (
    *('part', 'split', 'fold', 'val_fraction', 'fraction'),
    *('group_by', 'labels', 'seed'),
)


def model_words(found: Findings) -> str:
    """Return the backbone with the number of its parameters.

    Args:
        found: The findings about the training.
    """
    return f'{_backbone_words(found)}, {found.parameters / 1e6:.1f} M'


def _backbone_words(found: Findings) -> str:
    """Return the class of the backbone with its size, or the name of the wrapped model."""
    settings = found.run.cfg.model.get('backbone') or {}
    if name := settings.get('model_name'):
        return printable(str(name))
    arch = settings.get('arch')
    return printable(f'{found.backbone} {arch}') if isinstance(arch, str) else found.backbone


def headline(found: Findings) -> str:
    """Write the result in one sentence.

    Args:
        found: The findings about the training.
    """
    model = f'{model_words(found)} parameters'
    if found.predictions is not None:
        right, count = int(found.predictions.right.sum()), len(found.predictions.labels)
        kinds = f'{len(found.classes)} classes'
        score = share('', right, count)
        return (
            f'{model}: {100 * score.value:.1f} % of {count:,} validation images of {kinds} are '
            f'named rightly (95 % interval {100 * score.low:.1f} to {100 * score.high:.1f}).'
        )
    if found.neighbours is not None:
        first, count = found.neighbours.right[:, 0], len(found.neighbours.queries)
        return (
            f'{model}: for {100 * first.mean():.1f} % of {count:,} queries the most similar '
            'image is of the same class.'
        )
    return f'{model}.'


def facts(found: Findings) -> list[tuple[str, str]]:
    """Return the facts about the model and the data of a training.

    Args:
        found: The findings about the training.
    """
    cfg, run = found.run.cfg, found.run
    trained = 'unknown' if found.trained is None else f'{found.trained:,}'
    rows = [
        ('recipe', printable(Path(cfg.filename or '').stem)),
        ('data', printable(describe_data(cfg))),
        ('split', _split_words(cfg)),
        ('images', f'{trained} to train on, {len(found.images):,} to validate'),
        ('classes', _some_classes(found)),
        ('model', f'{found.kind}, {_backbone_words(found)}, {found.parameters:,} parameters'),
        ('image size', _size_words(cfg)),
        ('length', _length_words(cfg)),
        ('batch size', f'{cfg.train_dataloader.get("batch_size")}'),
        ('begins with', _beginning(cfg)),
        ('weights shown', run.checkpoint.name),
    ]
    if run.curves.seconds:
        rows.append(('time of the steps', duration(run.curves.seconds)))
    if run.record is not None and run.record.device:
        rows.append(('device', run.record.device))
    return [(key, value) for key, value in rows if value]


def repetition(found: Findings) -> list[tuple[str, str]]:
    """Return everything that is needed to repeat the training.

    Args:
        found: The findings about the training.
    """
    run = found.run
    seed = (run.cfg.get('randomness') or {}).get('seed')
    rows = [('command', printable(run.command)), ('work dir', printable(str(run.folder)))]
    rows.append(('seed', 'random' if seed is None else f'{seed}'))
    if run.record is not None and run.record.versions:
        told = ', '.join(f'{name} {version}' for name, version in run.record.versions.items())
        rows.append(('versions', told))
    return rows


def _split_words(cfg: Config) -> str:
    told = []
    held_out = cfg.get('val_dataloader') or cfg.get('test_dataloader')
    for word, loader in (('training', cfg.get('train_dataloader')), ('validation', held_out)):
        leaf = leaf_datasets(loader['dataset'])[0] if loader else {}
        settings = [f'{key} {leaf[key]}' for key in SPLIT_SETTINGS if leaf.get(key) is not None]
        if settings:
            told.append(f'{word}: {", ".join(settings)}')
    return printable('; '.join(told))


def _length_words(cfg: Config) -> str:
    settings = cfg.get('train_cfg') or {}
    if epochs := settings.get('max_epochs'):
        return f'{epochs} epochs'
    return f'{settings["max_iters"]} steps' if settings.get('max_iters') else ''


def _size_words(cfg: Config) -> str:
    try:
        size = image_size(cfg)
    except ValueError:
        return ''
    sides = size if isinstance(size, tuple) else (size, size)
    return f'{" × ".join(map(str, sides))} pixels'


def _some_classes(found: Findings, most: int = 12) -> str:
    names = [printable(name) for name in found.classes]
    return f'{len(names)}: {listed(names, most)}' if names else 'not named'


def _beginning(cfg: Config) -> str:
    if cfg.get('load_from'):
        return printable(Path(str(cfg.load_from)).name)
    for node in pretrained_parts(cfg.model):
        return printable(Path(str(node.get('checkpoint', 'pretrained weights'))).name)
    return 'random weights'
