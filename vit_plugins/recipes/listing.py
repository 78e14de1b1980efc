"""List models and recipes with their size, the datasets they take and the published numbers."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from textwrap import wrap
from typing import Any

from ..command_line.data_arguments import dataset_name
from ..resources import resource_root
from ..weights.index import index_models
from .finding import config_files, find_config, with_bases
from .published import results_of

# Read as text, so that a listing imports no torch.
IMG_SIZE = re.compile(r'(?:\bimg_size=|^size = )(\d+)', re.MULTILINE)
SCALE = re.compile(r'\bscale=\(?(\d+)')
# Recipes for people's own photos: what they do.
SHORT_NAMES = {
    'photos-frozen': 'name what is on a photo, in minutes on a CPU: features computed once',
    'photos': 'the same, all layers trained on from weights of ImageNet-1k',
    'photos-scratch': 'the same from random weights: smaller images, no download',
    'similar': 'find similar photos, of kinds that training never saw',
}


def list_entries(pattern: str = '') -> str:
    """Write the models and recipes whose name matches as text.

    Of a recipe its parameters and the published number are shown, and with a pattern also the
    datasets that ``--data`` puts in the place of its own.

    Args:
        pattern: With ``*`` and ``?`` as in a shell, else a part of the name; without one, all
            that there is.

    Raises:
        ValueError: Nothing matches; the message names the nearest.
    """
    glob = pattern if set('*?[') & set(pattern) else f'*{pattern}*'
    every = index_models()
    models = {name: m for name, m in every.items() if fnmatch.fnmatch(name, glob)}
    files = [
        file
        for file in config_files()
        if fnmatch.fnmatch(str(file), glob) or fnmatch.fnmatch(file.name, glob)
    ]
    if not models and not files:
        find_config(pattern)  # raises, with suggestions
    short = {name: what for name, what in SHORT_NAMES.items() if fnmatch.fnmatch(name, glob)}
    lines = ['for your own photos (vit-plugins train NAME --data-root DIR):'] if short else []
    lines += [f'  {name:15} {what}' for name, what in short.items()]
    lines += ['models (mmpretrain.get_model, --pretrained):'] if models else []
    for name, model in models.items():
        lines.append(f'  {name:45} {_millions(model)}  {"weights" if model.weights else "-"}')
    lines += [f'configs (in {resource_root() / "configs"}):'] if files else []
    sizes = {model.config: _millions(model) for model in every.values()}
    for file in files:
        results, base = results_of(file), _dataset_base(file)
        own = base and dataset_name(base.stem)
        own = own if own in results else next(iter(results), None)
        shown = f'{own} {results[own]}' if own else ''
        lines.append(f'  {file!s:62} {sizes.get(f"configs/{file}", ""):10}  {shown}'.rstrip())
        lines += _data_lines(file, base, results) if pattern and base else []
    if any(results_of(file) for file in files):
        lines.append('numbers: published top-1 or Recall@1 in percent, configs/published.yml')
    return '\n'.join(lines)


def _millions(model: Any) -> str:
    return f'{model.metadata.parameters / 1e6:6.1f} M'


def _dataset_base(file: Path) -> Path | None:
    """Return the base of the dataset that a recipe stands on, None of one that stands on none."""
    if file.suffix != '.py':
        return None
    files = with_bases(resource_root() / 'configs' / file)
    return next((base for base in files if base.parent.name == 'datasets'), None)


def data_of(file: Path, base: Path) -> list[str]:
    """List the names that ``--data`` takes for a recipe.

    Args:
        file: The recipe, relative to the folder ``configs/``.
        base: The base of its dataset.
    """
    files = list(with_bases(resource_root() / 'configs' / file))
    texts = [part.read_text() for part in files]
    size = next((match[1] for text in texts if (match := IMG_SIZE.search(text))), _size(base))
    tuples = None if 'train_dataloader = None' in texts[0] else _has_tuples(base)
    return sorted({
        dataset_name(other.stem) for other in base.parent.glob('*.py')
        if (_size(other), _is_retrieval(other)) == (size, _is_retrieval(base))
        and tuples in (None, _has_tuples(other))
    })  # fmt: skip


def _data_lines(file: Path, base: Path, results: Mapping[str, str]) -> Iterator[str]:
    """Write what ``--data`` and ``--fraction`` put into a recipe, with the published numbers."""
    names = data_of(file, base)
    if not names:
        return
    shown = [f'{name} {results[name]}' if name in results else name for name in names]
    yield from wrap(f'--data {", ".join(shown)}', 96, initial_indent=' ' * 6,
                    subsequent_indent=' ' * 13, break_on_hyphens=False)  # fmt: skip
    fractions = {key.partition('@')[2]: number for key, number in results.items() if '@' in key}
    if fractions:
        yield '      --fraction ' + ', '.join(f'{key} {n}' for key, n in fractions.items())


def _size(base: Path) -> str:
    """Return the image size of the base of a dataset, by its name or its transforms."""
    sizes = re.findall(r'_(\d+)(?=_|$)', base.stem) or SCALE.findall(base.read_text())
    return sizes[-1] if sizes else ''


def _is_retrieval(base: Path) -> bool:
    return any('RetrievalMetric' in file.read_text() for file in with_bases(base))


def _has_tuples(base: Path) -> bool:
    return any('TupleSampler' in file.read_text() for file in with_bases(base))
