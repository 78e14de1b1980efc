"""Base class of the backbones: freezing, the loop over layers, outputs, layer depth, loading."""

from collections.abc import Sequence
from typing import ClassVar

import torch
from mmpretrain.models.backbones.base_backbone import BaseBackbone
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ...weights.names.official import OfficialNames
from ...weights.official_files import record_grid, rename_for_backbone, rename_for_classifier
from ..layers.free_size import resize_positions

OUT_TYPES = ('cls_token', 'featmap', 'avg_featmap', 'raw')


class TokenBackbone(BaseBackbone):
    """A stack of layers on the tokens of an image, some of which are returned.

    This class is the frame of a plain vision transformer. A subclass sets ``patch_embed``,
    ``patch_resolution``, ``cls_token``, ``pos_embed`` (None where it has none),
    ``drop_after_pos``, ``layers`` and ``ln1`` in its constructor, calls :meth:`freeze` there
    last, and sets ``cls_token_joins_at``. A backbone with other parts overrides ``stem``,
    ``stages``, ``final_norm``, :meth:`embed`, :meth:`run_layer` and :meth:`get_layer_depth`.

    Args:
        depth: Number of layers.
        out_type: One of ``OUT_TYPES``, see :func:`format_output`.
        out_indices: Layers whose output is returned; negative ones count from the end.
        frozen_stages: Freeze the stem (0) and this many layers; -1 freezes nothing.
        interpolate_mode: How the position embedding is resized, ``'bicubic'`` or ``'bilinear'``.
        with_cp: Save memory by recomputing each layer in the backward pass.
        init_cfg: Initialisation.

    Raises:
        ValueError: If an argument has an unknown value.
    """

    OUT_TYPES = OUT_TYPES
    num_extra_tokens = 1  # the class token
    names: ClassVar[OfficialNames]  # in the official files of the model
    layer_word = 'layers'  # the name in messages for what out_indices counts
    layers_take_grid = False  # whether a layer takes the grid in addition to the tokens
    cls_token_joins_at: int | None = None  # layer before which it joins, if not in embed()
    patch_resolution: tuple[int, int] | None = None  # the grid of pos_embed, if any

    def __init__(
        self,
        depth: int,
        out_type: str,
        out_indices: int | Sequence[int],
        frozen_stages: int,
        interpolate_mode: str = 'bicubic',
        with_cp: bool = False,
        init_cfg: dict | list[dict] | None = None,
    ):
        super().__init__(init_cfg)
        if not -1 <= frozen_stages <= depth:
            raise ValueError(f'frozen_stages ({frozen_stages}) must be between -1 and {depth}.')
        if out_type not in OUT_TYPES:
            raise ValueError(f'out_type {out_type!r} is none of {", ".join(OUT_TYPES)}.')
        if interpolate_mode not in ('bicubic', 'bilinear'):
            raise ValueError(
                f'interpolate_mode {interpolate_mode!r} is none of bicubic, bilinear.'
            )
        self.out_type = out_type
        self.out_indices = output_layers(out_indices, depth, self.layer_word)
        self.frozen_stages = frozen_stages
        self.interpolate_mode = interpolate_mode
        self.with_cp = with_cp
        self.extra_positions = self.names.extra_tokens  # the compiler of torch 2.1 cannot read it
        self._register_state_dict_hook(record_grid)

    # --- frozen parts ---------------------------------------------------------------------------

    @property
    def stem(self) -> list[nn.Module | nn.Parameter | None]:
        """The modules before the layers."""
        return [self.patch_embed, self.drop_after_pos, self.cls_token, self.pos_embed]

    @property
    def stages(self) -> Sequence[nn.Module]:
        """The layers, which ``out_indices`` and ``frozen_stages`` count."""
        return self.layers

    @property
    def final_norm(self) -> nn.Module:
        """The norm after the last layer."""
        return self.ln1

    def frozen_parts(self) -> list[nn.Module | nn.Parameter]:
        """Return the modules and parameters that ``frozen_stages`` stands for."""
        number = self.frozen_stages
        if number < 0:
            return []
        last = [self.final_norm] if number == len(self.stages) else []
        parts = [*self.stem, *self.stages[:number], *last]
        return [part for part in parts if part is not None]

    def freeze(self) -> None:
        """Freeze what ``frozen_stages`` stands for, and everything that no output depends on."""
        for part in self.frozen_parts():
            part.requires_grad_(False)
        self._hold_frozen()
        freeze_unused(self.stages, self.final_norm, self.out_indices)

    def train(self, mode: bool = True) -> 'TokenBackbone':
        """Set the training mode; frozen stages stay in evaluation mode."""
        super().train(mode)
        self._hold_frozen()
        return self

    def _hold_frozen(self) -> None:
        for part in self.frozen_parts():
            if isinstance(part, nn.Module):
                part.eval()

    # --- from images to outputs -----------------------------------------------------------------

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return one tensor for each of ``out_indices``, in the shape of ``out_type``.

        Args:
            x: Images, shape (B, C, H, W).
        """
        x, grid = self.embed(x)
        outs = {}
        for i in range(max(self.out_indices) + 1):
            if i == self.cls_token_joins_at:
                x = self.prepend_cls_token(x)
            x, grid = self.run_layer(i, x, grid)
            if i in self.out_indices:
                outs[i] = format_output(x, grid, self.out_type)
        return tuple(outs[i] for i in self.out_indices)

    def embed(self, x: Tensor) -> tuple[Tensor, tuple[int, int]]:
        """Return the input of the first layer, tokens (B, N, D), and the grid of the patches.

        Here the tokens are the patches, with their positions if there are any.

        Args:
            x: Images, shape (B, C, H, W).
        """
        x, grid = self.patch_embed(x)  # (B, N, D)
        x = x.contiguous()  # or the convolution's layout stays, and each LayerNorm copies
        if self.pos_embed is not None:
            x = self.add_positions(x, grid)
        return self.drop_after_pos(x), grid

    def run_layer(
        self, index: int, x: Tensor, grid: tuple[int, int]
    ) -> tuple[Tensor, tuple[int, int]]:
        """Return the tokens after one layer, normalised after the last one, and their grid.

        Args:
            index: Number of the layer.
            x: Tokens (B, N, D).
            grid: Rows and columns of the patches.
        """
        layer, args = self.layers[index], (x, grid) if self.layers_take_grid else (x,)
        if self.with_cp and torch.is_grad_enabled():
            x = checkpoint(layer, *args, use_reentrant=False)
        else:
            x = layer(*args)
        if index == len(self.layers) - 1:
            x = self.ln1(x)
        return x, grid

    def add_positions(self, x: Tensor, grid: tuple[int, int]) -> Tensor:
        """Return tokens (B, N, D) with ``pos_embed``, resized to their grid.

        Positions before those of the patches are ``extra_positions``.

        Args:
            x: Tokens, with the same number of extra tokens before the patches.
            grid: Rows and columns of the patches.
        """
        return x + resize_positions(
            self.pos_embed,
            self.patch_resolution,
            grid,
            self.interpolate_mode,
            self.extra_positions,
        )

    def prepend_cls_token(self, x: Tensor) -> Tensor:
        """Return the class token followed by tokens (B, N, D), as (B, 1 + N, D).

        Args:
            x: Tokens.
        """
        return torch.cat((self.cls_token.expand(x.shape[0], -1, -1), x), dim=1)

    # --- training and loading -------------------------------------------------------------------

    def get_layer_depth(self, param_name: str, prefix: str = '') -> tuple[int, int]:
        """Return a parameter's depth and the number of depths, for layer-wise learning rates.

        Args:
            param_name: Name of the parameter.
            prefix: The prefix of the backbone's own names, such as ``'backbone.'``.
        """
        num_depths = len(self.layers) + 2
        name = param_name.removeprefix(prefix) if param_name.startswith(prefix) else ''
        if name.startswith(('cls_token', 'pos_embed', 'patch_embed')):
            return 0, num_depths
        if name.startswith('layers.'):
            return int(name.split('.')[1]) + 1, num_depths
        return num_depths - 1, num_depths

    def _checkpoint_filter(self, state_dict: dict, prefix: str, *args) -> None:
        rename_for_classifier(self, self.names, state_dict, prefix)

    def _load_from_state_dict(self, state_dict, prefix, local_metadata, *args):
        rename_for_backbone(self, self.names, state_dict, prefix, local_metadata)
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *args)


def output_layers(
    out_indices: int | Sequence[int], depth: int, kind: str = 'layers'
) -> tuple[int, ...]:
    """Return the numbers of the output layers, counted from 0.

    Args:
        out_indices: One or several; negative ones count from the end.
        depth: Number of layers.
        kind: Their name in messages.

    Raises:
        ValueError: If there is no such layer, or no layer is named.
    """
    given = [out_indices] if isinstance(out_indices, int) else list(out_indices)
    indices = tuple(i + depth if i < 0 else i for i in given)
    if not indices or not all(0 <= i < depth for i in indices):
        raise ValueError(f'out_indices {given} must name {kind} between {-depth} and {depth - 1}.')
    return indices


def freeze_unused(
    layers: Sequence[nn.Module], final_norm: nn.Module, out_indices: Sequence[int]
) -> None:
    """Freeze what no output depends on: DDP waits for the gradient of every trained parameter.

    Args:
        layers: All layers.
        final_norm: The norm after the last one.
        out_indices: Layers whose output is returned, counted from 0.
    """
    if unused := list(layers[max(out_indices) + 1 :]):
        for module in (*unused, final_norm):
            module.requires_grad_(False)


def format_output(x: Tensor, grid: tuple[int, int], out_type: str) -> Tensor:
    """Convert tokens to the shape of an output.

    Args:
        x: Tokens (B, N, D), with or without class token in front.
        grid: Rows H and columns W of the patches.
        out_type: ``'cls_token'`` (B, D), ``'featmap'`` (B, D, H, W), ``'avg_featmap'`` (B, D), or
            ``'raw'``: all tokens as they are.
    """
    if out_type == 'raw':
        return x
    if out_type == 'cls_token':
        return x[:, 0]
    patches = x[:, -grid[0] * grid[1] :]
    if out_type == 'avg_featmap':
        return patches.mean(dim=1)
    return patches.transpose(1, 2).unflatten(2, grid)  # (B, D, H, W)
