"""Convert other projects' checkpoint files to ours, without running anything in them."""

import logging
import pickle
import re
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import torch
from mmengine.logging import print_log
from torch import Tensor

from .expanded_size import require_bounded
from .names.convit import CONVIT_NAMES
from .names.cvt import CVT_NAMES
from .names.deit import DEIT_NAMES
from .names.deit3 import DEIT3_NAMES
from .names.google import GOOGLE_NAMES, load_google
from .names.hybrid import HYBRID_NAMES
from .names.official import OfficialNames
from .names.t2t import T2T_NAMES
from .official_files import is_official, unwrap_training_state
from .plain_arrays import unwrap
from .safe_reading import DamagedCheckpointError, checked_protocol, load_checkpoint_file

__all__ = ['ARCHS', 'convert_checkpoint', 'load_inert']


class Inert:
    """Replaces an object of a foreign class: accepts what its pickle gives it and does nothing."""

    def __new__(cls, *args, **kwargs):
        return super().__new__(cls)

    def __init__(self, *args, **kwargs):
        pass

    def __setstate__(self, state):
        pass


def load_inert(path: str | Path) -> object:
    """Load a checkpoint with an inert object in the place of each foreign object.

    Args:
        path: A file written by ``torch.save``.

    Raises:
        RuntimeError: If torch is too old to read a file without running it, or the file is
            damaged.
        pickle.UnpicklingError: If the file uses a name that is never read, or one that an inert
            object cannot replace.
    """
    serialization = torch.serialization
    if not hasattr(serialization, 'get_unsafe_globals_in_checkpoint'):
        raise RuntimeError(
            f'{path} holds objects of other programs. Taking the tensors out of it safely needs '
            f'torch >= 2.6 (this is {torch.__version__}): convert it in an environment that has '
            f'it; the converted file loads here.'
        )
    path = Path(path)
    try:
        checked_protocol(path)
        names = serialization.get_unsafe_globals_in_checkpoint(path)
        stand_ins = [(type(name.rpartition('.')[2], (Inert,), {}), name) for name in names]
        with serialization.safe_globals(stand_ins):
            checkpoint = torch.load(path, map_location='cpu', weights_only=True)
        require_bounded(checkpoint, path.stat().st_size)
        checkpoint = unwrap(checkpoint)
    except DamagedCheckpointError:
        raise
    except Exception as error:  # a crafted file makes torch, numpy and pickle raise any error
        raise pickle.UnpicklingError(
            f'{path} holds more than weights and settings; it is not read: {error}'
        ) from error
    print_log(
        f'{path}: left out are objects of {", ".join(sorted(names))}.', level=logging.WARNING
    )
    return checkpoint


BLOCK = re.compile(r'(.*\bblocks)\.(\d+)\.(.+)')
GATED = ('attn.qk.', 'attn.v.', 'attn.pos_proj.', 'attn.gating_param')  # in place of attn.qkv
PLAIN = 'attn.qkv.'
SHORTCUT = 'downsample.'  # in the first block of each stage of a ResNet


def missing_keys(keys: Iterable[str], required: Iterable[str]) -> list[str]:
    """Return the keys that an official file lacks, as far as its other keys show.

    Each block must have the same modules as the others, blocks are numbered from 0 without a gap,
    and no module has only a bias. A ConViT has two types of blocks.

    Args:
        keys: The keys of the file.
        required: Keys that the file must have in any case.

    >>> missing_keys(['blocks.0.norm1.weight', 'blocks.1.norm1.bias'], [])
    ['blocks.0.norm1.bias', 'blocks.1.norm1.weight']
    """
    keys = set(keys)
    wanted = {key[: -len('bias')] + 'weight' for key in keys if key.endswith('.bias')}
    wanted.update(required)
    stacks: dict[str, dict[int, set[str]]] = defaultdict(lambda: defaultdict(set))
    for match in filter(None, map(BLOCK.fullmatch, keys)):
        stacks[match[1]][int(match[2])].add(match[3])
    kinds: dict[str, set[str]] = defaultdict(set)  # all stages have the same blocks
    for stack, blocks in stacks.items():
        kinds[re.sub(r'\d', '', stack)].update(*blocks.values())
    for stack, blocks in stacks.items():
        for number in range(max(blocks) + 1):
            for part in kinds[re.sub(r'\d', '', stack)]:
                if not _is_spared(part, number, blocks[number]):
                    wanted.add(f'{stack}.{number}.{part}')
    return sorted(wanted - keys)


def _is_spared(part: str, number: int, own: set[str]) -> bool:
    """Return whether a block may lack a module that others have."""
    if part.startswith(SHORTCUT):
        return number > 0
    if part.startswith(PLAIN):
        return any(other.startswith(GATED) for other in own)
    return part.startswith(GATED) and any(other.startswith(PLAIN) for other in own)


def convert_official(names: OfficialNames, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Rename the weights of official and timm files; the host's names stay as they are.

    Args:
        names: The official names of the model.
        weights: The weights of the file.

    Raises:
        ValueError: If there are keys that no such model has, or keys of the model are missing.
    """
    parts = ('backbone.', 'neck.', 'head.', 'data_preprocessor.')
    official = is_official(weights)
    converted = names.convert(weights) if official else weights
    unknown = [
        key for key in converted if not key.startswith(parts) or (official and key in weights)
    ]
    if unknown:
        raise ValueError(
            f'{len(unknown)} of {len(weights)} keys are not those of a {names.model}: '
            f'{", ".join(unknown)}. Use --arch keep to leave all names as they are.'
        )
    if official and (missing := missing_keys(weights, names.required)):
        raise ValueError(
            f'{len(missing)} keys are missing for a {names.model}: {", ".join(missing[:10])}. The '
            f'file is not whole, or of another --arch.'
        )
    state_dict = OrderedDict(converted)
    embed = state_dict.get('backbone.pos_embed')
    if embed is not None and official and names.records_grid:
        # As in our own checkpoints: it distinguishes 14 x 14 patches from 7 x 28.
        grid = list(names.square_grid(embed))
        state_dict._metadata = {'backbone': {'version': 1, 'grid': grid}}
    return state_dict


ARCHS: dict[str, Callable[[dict[str, Tensor]], dict[str, Tensor]]] = {
    'convit': partial(convert_official, CONVIT_NAMES),
    'cvt': partial(convert_official, CVT_NAMES),
    'deit': partial(convert_official, DEIT_NAMES),
    'deit3': partial(convert_official, DEIT3_NAMES),
    'hybrid-vit': partial(convert_official, HYBRID_NAMES),
    't2t': partial(convert_official, T2T_NAMES),
    'vit': partial(convert_official, GOOGLE_NAMES),
    'keep': OrderedDict,
}


def convert_checkpoint(src: str | Path, dst: str | Path, arch: str = 'convit') -> int:
    """Convert a checkpoint: write its weights under the names of an ImageClassifier.

    Args:
        src: A ``.pth`` or ``.safetensors`` file, possibly with objects of other programs inside,
            or an ``.npz`` file of google-research/vision_transformer. If a file has
            ``state_dict_ema`` (timm's trainer), these averaged weights are used.
        dst: The file to write: ``{'state_dict': ..., 'meta': ...}``.
        arch: Key of ``ARCHS``; for an ``.npz`` file 'vit', 'hybrid-vit' or 'keep'.

    Returns:
        The number of tensors written.

    Raises:
        ValueError: If the file has no weights, has keys that the arch does not know, lacks keys
            of the arch, has another arch, or is ``dst`` itself.
    """
    src, dst = Path(src), Path(dst)
    if src.resolve() == dst.resolve():
        raise ValueError(f'{src} would be overwritten; choose another file to write.')
    npz = src.suffix == '.npz'
    if npz and arch not in ('vit', 'hybrid-vit', 'keep'):
        raise ValueError(
            f'{src}: files of google-research/vision_transformer need --arch vit, or '
            f'--arch hybrid-vit for R+ViT (got {arch}).'
        )
    try:
        checkpoint = load_google(src) if npz else load_checkpoint_file(src, 'cpu')
    except pickle.UnpicklingError:
        checkpoint = load_inert(src)
    weights = checkpoint if isinstance(checkpoint, dict) else {}
    # The average over training, if timm's trainer kept one: published scores belong to it.
    key = 'state_dict_ema' if 'state_dict_ema' in weights else 'state_dict'
    weights = unwrap_training_state(weights.get(key, weights))
    weights = {key.removeprefix('module.'): value for key, value in weights.items()}
    if not weights or not all(isinstance(value, Tensor) for value in weights.values()):
        found = ', '.join(key for key, value in weights.items() if not isinstance(value, Tensor))
        raise ValueError(
            f'{src} has no state dict at its top, under "state_dict" or under "model"; found '
            f'{found or type(checkpoint).__name__}.'
        )
    state_dict = ARCHS[arch](weights)
    dst.parent.mkdir(parents=True, exist_ok=True)
    torch.save({'state_dict': state_dict, 'meta': {'converted_from': src.name}}, dst)
    return len(state_dict)
