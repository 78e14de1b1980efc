"""Publish a trained model: slim weights with a model card and a model index."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
import yaml
from mmengine.config import Config
from mmengine.model import BaseModel
from torch import Tensor

from ..config_edits.walking import leaf_datasets
from ..resources import package_version
from ..weights.index import PUBLISHED_INDEX
from ..weights.safe_reading import load_checkpoint_file
from .deployable import task_of
from .export_formats import deployed_weights
from .loading import load_trained

TASKS = {'classify': 'Image Classification', 'embed': 'Image Retrieval'}
COMMANDS = {
    'classify': 'vit-plugins predict {folder} PHOTO...',
    'embed': 'vit-plugins retrieve index GALLERY PHOTOS --work-dir {folder}',
}
CARD = """# {name}

{what}.

| | |
|---|---|
| data | {data} |
| classes | {classes} |
| weights | `{weights}`, {parameters:,} parameters, {kind} |
| SHA-256 | `{digest}` |
| licence | {licence} |
| trained | {training} |
| made with | {versions} |

## Metrics

{metrics}

## Use

```shell
{command}
```

```python
import mmpretrain, vit_plugins
vit_plugins.register()
from vit_plugins.weights.index import register_published
register_published({folder!r})
model = mmpretrain.get_model({name!r}, pretrained=True)
```

Train on from it: `vit-plugins train CONFIG --pretrained {path}`.

## Config

`{config}`; it can be trained again as it is.

```python
{config_text}
```
"""


@dataclass(frozen=True)
class Published:
    """The files and facts that were written.

    Attributes:
        folder: The folder of all files.
        name: The name of the model.
        weights: The file of the weights.
        metrics: The metrics that the training logged for this checkpoint.
        command: The command that uses the model.
    """

    folder: Path
    name: str
    weights: Path
    metrics: dict[str, float]
    command: str


def publish_model(
    config: str | Path,
    checkpoint: str | Path,
    out_dir: str | Path,
    *,
    licence: str,
    name: str | None = None,
    raw: bool = False,
) -> Published:
    """Write slim weights, config, model card and model index of a training.

    Args:
        config: The config in its work dir.
        checkpoint: The checkpoint to publish, of the same work dir.
        out_dir: An empty folder, made if absent.
        licence: What the weights may be used for, such as ``'Apache-2.0'``.
        name: The name of the model. Default: the name of the config.
        raw: Whether to take the weights of the last step if the training averaged weights.

    Raises:
        CheckpointMismatchError: If the checkpoint does not fit the config.
        ValueError: If there are files in the folder, or the raw weights are asked for where
            nothing was averaged.
    """
    config, checkpoint, folder = Path(config), Path(checkpoint), Path(out_dir)
    if folder.is_dir() and any(folder.iterdir()):
        raise ValueError(f'{folder} is not empty: give a new folder')
    content = load_checkpoint_file(checkpoint, map_location='cpu')
    cfg, name = Config.fromfile(config), name or config.stem
    weights = chosen_weights(content, raw)
    model, _ = load_trained(cfg, checkpoint, 'cpu')
    model.load_state_dict(weights, strict=False)
    slim = deployed_weights(model.state_dict())
    meta = {key: content.get('meta', {}).get(key) for key in ('dataset_meta', 'epoch', 'iter')}
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / 'part.pth'
    torch.save({'state_dict': slim, 'meta': meta}, part)
    digest = hashlib.sha256(part.read_bytes()).hexdigest()
    path = part.replace(folder / f'{name}-{digest[:8]}.pth')
    _check_same(load_trained(cfg, path, 'cpu')[0].state_dict(), slim)
    for key in ('work_dir', 'load_from', 'resume'):
        cfg.pop(key, None)
    cfg.dump(str(folder / f'{name}.py'))
    metrics = logged_metrics(checkpoint.parent, meta)
    averaged = 'ema_state_dict' in content
    facts = {
        'name': name,
        'licence': licence,
        'digest': digest,
        'parameters': sum(p.numel() for n, p in model.named_parameters() if n in slim),
        'kind': 'averaged over the training (EMA)' if averaged and not raw else 'of the last step',
    }
    task = task_of(model)
    index = describe_index(cfg, facts, metrics, path.name, TASKS[task])
    (folder / PUBLISHED_INDEX).write_text(yaml.safe_dump(index, sort_keys=False), 'utf-8')
    card = write_card(cfg, facts, metrics, path, meta, model)
    (folder / 'README.md').write_text(card, encoding='utf-8')
    return Published(
        folder, name, path, metrics, COMMANDS[task].format(folder=shlex.quote(str(folder)))
    )


def chosen_weights(content: Mapping[str, Any], raw: bool = False) -> dict[str, Tensor]:
    """Return the weights of a checkpoint that testing would use, or those of the last step.

    ``EMAHook`` saves the average as ``state_dict`` and the last step as ``ema_state_dict``.

    Args:
        content: The content of the file.
        raw: Whether to take the weights of the last step.

    Raises:
        ValueError: If the training averaged nothing.
    """
    if not raw:
        return content.get('state_dict', content)
    if 'ema_state_dict' not in content:
        raise ValueError(
            '--raw would have no effect: this training averaged no weights. Leave it out'
        )
    prefix = 'module.'
    last = content['ema_state_dict']
    return {k.removeprefix(prefix): v for k, v in last.items() if k.startswith(prefix)}


def logged_metrics(work_dir: str | Path, meta: Mapping[str, Any]) -> dict[str, float]:
    """Return the validation metrics that a training logged when it saved a checkpoint.

    Args:
        work_dir: The work dir of the training.
        meta: The ``epoch`` and ``iter`` of the checkpoint.
    """
    logs = Path(work_dir).glob('*/vis_data/scalars.json')
    for log in sorted(logs, key=lambda path: path.stat().st_mtime_ns, reverse=True):
        for line in reversed(log.read_text(encoding='utf-8').splitlines()):
            row = json.loads(line)
            if 'lr' in row or row.get('step') not in (meta.get('epoch'), meta.get('iter')):
                continue
            times = ('step', 'time', 'data_time', 'epoch', 'iter')
            return {key: value for key, value in row.items() if key not in times}
    return {}


def _check_same(found: Mapping[str, Tensor], slim: Mapping[str, Tensor]) -> None:
    again = deployed_weights(dict(found))
    if not all(torch.equal(again[name], slim[name]) for name in slim):
        raise AssertionError('the published weights, loaded again, are others')


def describe_index(
    cfg: Config, facts: Mapping[str, Any], metrics: Mapping[str, float], weights: str, task: str
) -> dict[str, Any]:
    """Return the model index in the form that MMPretrain reads.

    Args:
        cfg: The config.
        facts: Name, licence, digest and number of parameters.
        metrics: The logged metrics.
        weights: File name of the weights.
        task: The task of the model.
    """
    name = facts['name']
    entry = {
        'Name': name,
        'Metadata': {
            'Parameters': facts['parameters'],
            'License': facts['licence'],
            'Weights SHA256': facts['digest'],
        },
        'In Collection': name,
        'Results': [{'Task': task, 'Dataset': describe_data(cfg), 'Metrics': dict(metrics)}],
        'Weights': weights,
        'Config': f'{name}.py',
    }
    return {'Collections': [{'Name': name}], 'Models': [entry]}


def describe_data(cfg: Config) -> str:
    """Return what a config trains on: the type of its dataset and the name of its folder.

    Args:
        cfg: The config.
    """
    leaf = leaf_datasets(cfg.train_dataloader.dataset)[0]
    root = Path(str(leaf.get('data_root') or '')).name
    kind = leaf['type'] if isinstance(leaf['type'], str) else leaf['type'].__name__
    return f'{kind} ({root})' if root else kind


def write_card(
    cfg: Config,
    facts: Mapping[str, Any],
    metrics: Mapping[str, float],
    weights: Path,
    meta: Mapping[str, Any],
    model: BaseModel,
) -> str:
    """Write the model card.

    Args:
        cfg: The config.
        facts: Name, licence, digest, number of parameters, type of weights.
        metrics: The logged metrics.
        weights: The file of the weights.
        meta: Epoch, iteration and dataset of the checkpoint.
        model: The model.
    """
    classes = (meta.get('dataset_meta') or {}).get('classes') or ()
    shown = ', '.join(map(str, classes[:20])) + (' ...' if len(classes) > 20 else '')
    backbone = cfg.model.get('backbone', {}).get('type', '')
    rows = [f'| {key} | {value:.6g} |' for key, value in metrics.items()]
    return CARD.format(
        **facts,
        what=f'{type(model).__name__} with the backbone {backbone}, by vit_plugins',
        data=describe_data(cfg),
        classes=f'{len(classes)}: {shown}' if classes else 'not named',
        weights=weights.name,
        training=f'{meta.get("epoch")} epochs, {meta.get("iter")} steps',
        versions=', '.join(
            [
                *(f'{name} {version(name)}' for name in ('torch', 'mmengine', 'mmpretrain')),
                f'vit-plugins {package_version()}',
            ]
        ),
        metrics='\n'.join(['| as logged | |', '|---|---|', *rows]) if rows else 'None was logged.',
        folder=weights.parent.name,
        path=shlex.quote(f'{weights.parent.name}/{weights.name}'),
        command=COMMANDS[task_of(model)].format(folder=shlex.quote(weights.parent.name)),
        config=f'{facts["name"]}.py',
        config_text=cfg.pretty_text.strip(),
    )
