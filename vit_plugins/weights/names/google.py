"""The weight names of the ``.npz`` files of google-research/vision_transformer."""

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ...fileio.array_files import ArrayFileError, read_npz
from ...fileio.documented_errors import documented_errors
from .official import OfficialNames
from .vit import VIT_KEYS

# For the host's VisionTransformer. Files of ImageNet-21k have a hidden layer before the head.
GOOGLE_NAMES = OfficialNames(
    model='VisionTransformer',
    keys=(*VIT_KEYS, (r'pre_logits\.fc\.(weight|bias)', r'head.layers.pre_logits.\1')),
    example='attn.qkv.weight',
    records_grid=False,
    extra_tokens=1,
)

LAYER = r'Transformer/encoderblock_(\d+)/'
ATTENTION = rf'{LAYER}MultiHeadDotProductAttention_1/'
# Names in the files -> names in timm; the last part is translated separately.
GOOGLE_KEYS = (
    (r'cls', r'cls_token'),
    (r'Transformer/posembed_input/pos_embedding', r'pos_embed'),
    (r'embedding', r'patch_embed.proj'),
    (rf'{LAYER}LayerNorm_0', r'blocks.\1.norm1'),
    (rf'{LAYER}LayerNorm_2', r'blocks.\1.norm2'),
    (rf'{ATTENTION}(query|key|value)', r'blocks.\1.attn.\2'),
    (rf'{ATTENTION}out', r'blocks.\1.attn.proj'),
    (rf'{LAYER}MlpBlock_3/Dense_0', r'blocks.\1.mlp.fc1'),
    (rf'{LAYER}MlpBlock_3/Dense_1', r'blocks.\1.mlp.fc2'),
    (r'Transformer/encoder_norm', r'norm'),
    (r'pre_logits', r'pre_logits.fc'),
    (r'head', r'head'),
    (r'conv_root', r'patch_embed.backbone.stem.conv'),
    (r'gn_root', r'patch_embed.backbone.stem.norm'),
)
BLOCK = re.compile(r'block(\d+)/unit(\d+)/(?:(conv|gn)(\d)|(conv|gn)_proj)')
PARTS = {'kernel': 'weight', 'scale': 'weight', 'bias': 'bias'}


def timm_name(key: str) -> str | None:
    """Return timm's name for a key of Google's files, None for an unknown key.

    The three projections of an attention keep separate names, such as ``attn.query.weight``.

    >>> timm_name('block2/unit1/conv_proj/kernel')
    'patch_embed.backbone.stages.1.blocks.0.downsample.conv.weight'
    """
    module, _, part = key.rpartition('/')
    if part in PARTS:
        end = '.' + PARTS[part]
    else:
        module, end = key, ''
    if match := BLOCK.fullmatch(module):
        stage, unit, kind, number, shortcut = match.groups()
        layer = {'conv': 'conv', 'gn': 'norm'}[kind or shortcut]
        layer = f'{layer}{number}' if kind else f'downsample.{layer}'
        return f'patch_embed.backbone.stages.{int(stage) - 1}.blocks.{int(unit) - 1}.{layer}{end}'
    for pattern, name in GOOGLE_KEYS:
        if match := re.fullmatch(pattern, module):
            return match.expand(name) + end
    return None


def as_tensor(key: str, array: np.ndarray) -> Tensor:
    """Return an array of a JAX file with its axes in PyTorch's order.

    Args:
        key: The name of the array in the file.
        array: The array. Kernels are (H, W, I, O) or (I, O); attention splits I or O into (h, d).
    """
    tensor = torch.from_numpy(np.array(array, dtype=np.float32))
    if key.endswith(('/scale', '/bias')):
        return tensor.flatten()  # (h, d) of attention; (1, 1, 1, C) of older group norms
    if not key.endswith('/kernel'):
        return tensor
    if tensor.ndim == 4:
        return tensor.permute(3, 2, 0, 1).contiguous()  # (O, I, H, W)
    if key.endswith('/out/kernel'):
        tensor = tensor.flatten(0, 1)  # (h * d, O)
    return tensor.flatten(1).t().contiguous()  # (O, I)


def from_google(arrays: Mapping[str, np.ndarray]) -> dict[str, Tensor]:
    """Return the weights of a Google file with timm's names and shapes.

    Raises:
        ValueError: If there are names that neither ViT nor R+ViT has, or arrays of unknown type.
    """
    training = 'opt/target/'  # the optimizer's state is stored beside it
    if any(key.startswith(training) for key in arrays):
        keys = {k: k.removeprefix(training) for k in arrays if k.startswith(training)}
    else:
        keys = {key: key.removeprefix('params/') for key in arrays}
    if unknown := [key for key, short in keys.items() if timm_name(short) is None]:
        raise ValueError(
            f'{len(unknown)} of {len(keys)} arrays are not those of a ViT or R+ViT of '
            f'google-research/vision_transformer: {", ".join(unknown[:10])}.'
        )
    weights = {}
    for key, short in keys.items():
        if arrays[key].dtype.kind != 'f':
            raise ValueError(f'{key} is of type {arrays[key].dtype}, which is no float.')
        weights[timm_name(short)] = as_tensor(short, arrays[key])
    for name in [name for name in weights if '.attn.query.' in name]:
        parts = [name.replace('query', part) for part in ('query', 'key', 'value')]
        if missing := set(parts) - weights.keys():
            raise ValueError(f'{name} is there without {", ".join(sorted(missing))}.')
        joint = torch.cat([weights.pop(part) for part in parts])  # (3 * D, D) or (3 * D,)
        weights[name.replace('query', 'qkv')] = joint
    return weights


def load_google(path: str | Path) -> dict[str, Tensor]:
    """Load an ``.npz`` file of google-research/vision_transformer with timm's names.

    Raises:
        FileNotFoundError: If there is no such file.
        RuntimeError: If the file is truncated, is not an ``.npz`` archive, or holds objects.
        ValueError: If it holds something else than a ViT or R+ViT.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f'{path} can not be found.')
    try:
        arrays = read_npz(path)
    except ArrayFileError as error:
        raise RuntimeError(str(error)) from error
    try:
        with documented_errors(ValueError, otherwise=ValueError):
            return from_google(arrays)
    except ValueError as error:
        raise ValueError(f'{path}: {error}') from error
