"""What the plain vision transformers here share: checks, frozen parts, outputs, layer depths.

A backbone in this module has ``patch_embed``, ``drop_after_pos``, ``layers``, ``ln1``,
``cls_token`` and ``pos_embed`` (None where it has none), ``frozen_stages`` and ``out_indices``.
"""

from collections.abc import Mapping, Sequence

from mmcv.cnn.bricks.transformer import PatchEmbed
from mmpretrain.registry import MODELS
from torch import Tensor, nn

OUT_TYPES = ('cls_token', 'featmap', 'avg_featmap', 'raw')
ARCH_KEYS = ('embed_dims', 'num_layers', 'num_heads', 'feedforward_channels')


def arch_settings(arch: str | dict, zoo: Mapping[str, dict]) -> dict:
    """Look up an architecture.

    Args:
        arch: A name, in any case, or the settings themselves.
        zoo: The settings of each name.

    Raises:
        ValueError: The name is unknown, or the settings lack something or contradict each other.
    """
    if isinstance(arch, str):
        if arch.lower() not in zoo:
            raise ValueError(f'arch {arch!r} is none of {", ".join(zoo)}.')
        arch = zoo[arch.lower()]
    if missing := set(ARCH_KEYS) - arch.keys():
        raise ValueError(f'The arch dict lacks {", ".join(sorted(missing))}.')
    dims, heads = arch['embed_dims'], arch['num_heads']
    if dims % heads:
        raise ValueError(f'embed_dims ({dims}) must be a multiple of num_heads ({heads}).')
    return arch


def build_patch_embed(patch_cfg: dict | None, plain: dict | None = None, **settings) -> nn.Module:
    """Build the patch embedding of a backbone: mmcv's, or the one that ``type`` names.

    Any embedding has ``init_out_size``, the rows and columns of its usual grid, and maps images
    (B, C, H, W) to tokens (B, N, D) and their grid.

    Args:
        patch_cfg: Its arguments, which come before the backbone's own settings.
        plain: Settings for mmcv's alone.
        **settings: What the backbone says to any: ``in_channels``, ``embed_dims``,
            ``kernel_size`` and ``stride`` (of a patch, in pixels), ``input_size``.
    """
    patch_cfg = patch_cfg or {}
    if 'type' not in patch_cfg:
        patch_cfg = {'type': PatchEmbed, **(plain or {}), **patch_cfg}
    return MODELS.build({**settings, **patch_cfg})


def check_choices(depth: int, out_type: str, interpolate_mode: str, frozen_stages: int) -> None:
    """Check what all backbones let choose.

    Args:
        depth: Number of layers.
        out_type: One of ``OUT_TYPES``.
        interpolate_mode: ``'bicubic'`` or ``'bilinear'``.
        frozen_stages: Between -1 and ``depth``.

    Raises:
        ValueError: One of them is something else.
    """
    if not -1 <= frozen_stages <= depth:
        raise ValueError(f'frozen_stages ({frozen_stages}) must be between -1 and {depth}.')
    if out_type not in OUT_TYPES:
        raise ValueError(f'out_type {out_type!r} is none of {", ".join(OUT_TYPES)}.')
    if interpolate_mode not in ('bicubic', 'bilinear'):
        raise ValueError(f'interpolate_mode {interpolate_mode!r} is none of bicubic, bilinear.')


def output_layers(
    out_indices: int | Sequence[int], depth: int, kind: str = 'layers'
) -> tuple[int, ...]:
    """Return the output layers counted from 0.

    Args:
        out_indices: One or several; negative ones count from the end.
        depth: Number of layers.
        kind: What messages call them.

    Raises:
        ValueError: There is no such layer, or none is named.
    """
    given = [out_indices] if isinstance(out_indices, int) else list(out_indices)
    indices = tuple(i + depth if i < 0 else i for i in given)
    if not indices or not all(0 <= i < depth for i in indices):
        raise ValueError(f'out_indices {given} must name {kind} between {-depth} and {depth - 1}.')
    return indices


def frozen_modules(backbone: nn.Module) -> list[nn.Module]:
    """List the embedding (stage 0), layers and final norm that ``frozen_stages`` stands for."""
    stages = backbone.frozen_stages
    if stages < 0:
        return []
    last = [backbone.ln1] if stages == len(backbone.layers) else []
    return [backbone.patch_embed, backbone.drop_after_pos, *backbone.layers[:stages], *last]


def freeze_stages(backbone: nn.Module) -> None:
    """Put the frozen modules into evaluation mode and train none of their parameters."""
    for module in frozen_modules(backbone):
        module.eval().requires_grad_(False)
    if backbone.frozen_stages >= 0:
        for param in (backbone.cls_token, backbone.pos_embed):
            if param is not None:
                param.requires_grad = False


def freeze_unused(backbone: nn.Module) -> None:
    """Freeze what no output depends on: DDP waits for the gradient of any other parameter."""
    last = max(backbone.out_indices)
    if last < len(backbone.layers) - 1:
        backbone.layers[last + 1 :].requires_grad_(False)
        backbone.ln1.requires_grad_(False)


def format_output(x: Tensor, grid: tuple[int, int], out_type: str) -> Tensor:
    """Bring tokens to the shape of an output.

    Args:
        x: Tokens (B, N, D), with or without class token in front.
        grid: Rows H and columns W of the patches.
        out_type: One of ``OUT_TYPES``.
    """
    if out_type == 'raw':
        return x
    if out_type == 'cls_token':
        return x[:, 0]
    patches = x[:, -grid[0] * grid[1] :]
    if out_type == 'avg_featmap':
        return patches.mean(dim=1)
    return patches.transpose(1, 2).unflatten(2, grid)  # (B, D, H, W)


def layer_depth(param_name: str, prefix: str, num_layers: int) -> tuple[int, int]:
    """Return a parameter's depth and the number of depths, for layer-wise learning rates.

    Args:
        param_name: Name of the parameter.
        prefix: What stands before the backbone's own names, such as ``'backbone.'``.
        num_layers: Number of layers.
    """
    num_depths = num_layers + 2
    name = param_name.removeprefix(prefix) if param_name.startswith(prefix) else ''
    if name.startswith(('cls_token', 'pos_embed', 'patch_embed')):
        return 0, num_depths
    if name.startswith('layers.'):
        return int(name.split('.')[1]) + 1, num_depths
    return num_depths - 1, num_depths
