"""The model index: names for configs and published weights, known to MMPretrain as its own."""

import difflib
from pathlib import Path

from mmpretrain import ModelHub, list_models
from modelindex.load_model_index import load
from modelindex.models.Model import Model

from ..resources import resource_root
from .reading import PUBLISHED_SHA256


def index_models() -> dict[str, Model]:
    """Read our part of the model index: name to entry, paths relative to ``resource_root()``."""
    models = load(str(resource_root() / 'model-index.yml')).models
    return {model.name: model for model in sorted(models, key=lambda model: model.name)}


def register_models() -> None:
    """Enter our models into ``ModelHub``, for ``get_model``, ``list_models`` and inferencers.

    A second call changes nothing.
    """
    root = resource_root()
    models = index_models()
    if all(ModelHub.has(name) for name in models):
        return
    ModelHub.register_model_index(root / 'model-index.yml', config_prefix=root)
    for model in models.values():
        if model.weights:
            PUBLISHED_SHA256[model.weights] = model.metadata.data.get('Weights SHA256')


def resolve_weights(name_or_path: str | Path) -> str:
    """Turn what a user names as weights into what ``load_checkpoint`` reads.

    Nothing is fetched here. When it is, the file is compared with the SHA-256 of the model index,
    and a warning says so where the index has none.

    Args:
        name_or_path: A file, an address, or the name of a model with published weights.

    Returns:
        A path or an address.

    Raises:
        ValueError: There is no such file and no such model, or the model has no weights.
    """
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
