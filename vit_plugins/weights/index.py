"""Add our model index, the names of configs and published weights, to that of MMPretrain.

MMPretrain is imported only where it is used: ``vit-plugins list`` works without it.
"""

from __future__ import annotations

import difflib
import functools
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from ..host.check import check_host
from ..resources import resource_root

PUBLISHED_INDEX = 'model-index.yml'  # in a folder that tools/publish.py wrote

if TYPE_CHECKING:
    from modelindex.models.Model import Model


def index_models() -> dict[str, Model]:
    """Load our part of the model index: name to entry, paths relative to ``resource_root()``.

    Raises:
        HostError: If MMPretrain, which provides the reader, is missing.
    """
    if find_spec('modelindex') is None:
        check_host()
    from modelindex.load_model_index import load

    models = load(str(resource_root() / 'model-index.yml')).models
    return {model.name: model for model in sorted(models, key=lambda model: model.name)}


@functools.cache
def published_digests() -> dict[str, str | None]:
    """Return the SHA-256 of published weights by their address; None if it is not known."""
    models = index_models().values()
    return {m.weights: m.metadata.data.get('Weights SHA256') for m in models if m.weights}


@functools.cache
def register_models() -> None:
    """Register our models for ``get_model``, ``list_models`` and inferencers of MMPretrain.

    MMPretrain reads its own index when a model is first asked for; ours is read right after it.
    A second call changes nothing.
    """
    from mmpretrain import ModelHub

    register_host_models = ModelHub._register_mmpretrain_models

    def register_all_models() -> None:
        register_host_models()
        _enter_models()

    ModelHub._register_mmpretrain_models = staticmethod(register_all_models)


@functools.cache
def _enter_models() -> None:
    from mmpretrain import ModelHub

    root = resource_root()
    ModelHub.register_model_index(root / 'model-index.yml', config_prefix=root)


def register_published(folder: str | Path) -> list[str]:
    """Register the models of a folder that ``vit-plugins publish`` wrote.

    Args:
        folder: The folder; it may have been moved.

    Returns:
        The names, for ``mmpretrain.get_model``.

    Raises:
        FileNotFoundError: If the folder has no model index.
        ValueError: If another model has that name.
    """
    from mmpretrain import ModelHub
    from modelindex.load_model_index import load

    index = Path(folder).absolute() / PUBLISHED_INDEX
    if not index.is_file():
        raise FileNotFoundError(
            f'{folder} holds no {PUBLISHED_INDEX}: give a folder that vit-plugins publish wrote'
        )
    names = [model.name.lower() for model in load(str(index)).models]
    ModelHub._register_mmpretrain_models()  # first, so that a name that is already used is refused
    ModelHub.register_model_index(index, config_prefix=index.parent)
    for name in names:
        model = ModelHub._models_dict[name]
        model.weights = str(index.parent / model.weights)
    return names


def resolve_weights(name_or_path: str | Path) -> str:
    """Return the path or address of the weights that a user names.

    Nothing is downloaded here. A later download is compared with the SHA-256 of the model index;
    if the index has none, there is a warning.

    Args:
        name_or_path: A file, an address, or the name of a model with published weights.

    Returns:
        A path or an address that ``load_checkpoint`` reads.

    Raises:
        ValueError: If there is no such file and no such model, or the model has no weights.
    """
    from mmpretrain import ModelHub, list_models

    text = str(name_or_path)
    path = Path(text).expanduser()
    if path.is_file():
        return str(path)
    if '://' in text:
        return text
    if text not in list_models():
        near = difflib.get_close_matches(text, list_models(), n=3, cutoff=0.5)
        hint = f' Did you mean {", ".join(near)}?' if near else ''
        raise ValueError(f'{text} is neither a file nor a model of the index.{hint}')
    url = ModelHub.get(text).weights
    if not url:
        raise ValueError(f'No weights of {text} have been published; name a file.')
    return url
