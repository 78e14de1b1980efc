"""A ViT with a position embedding per patch, per row and column, or with none."""

import torch
from mmengine.model.weight_init import trunc_normal_
from mmpretrain.models.backbones.vision_transformer import VisionTransformer
from mmpretrain.registry import MODELS
from torch import Tensor, nn

from ..layers.free_size import resize_positions
from ..layers.recomputed_gelu import recompute_gelus
from ._token_backbone import format_output
from ._vit_parts import build_patch_embed, free_size, use_plain_rates

POS_EMBEDS = ('1d', '2d', 'none')


@MODELS.register_module()
class PosEmbedViT(VisionTransformer):
    """The host's ViT with the position embeddings of the ViT paper's ablation.

    `Dosovitskiy et al. <https://arxiv.org/abs/2010.11929>`_, appendix D.4: a position for each
    patch in raster order (the host's own, which all published models have); one for each column
    and one for each row, of half the width and concatenated; or none. Published for B/16, 5-shot:
    64.21, 64.00, 61.38 %. The class token has a position of its own.

    Like the host's grid, columns and rows are resized to the grid of an image, and when weights
    are loaded. Weights of one type of position embedding do not load strictly into another.

    Args:
        pos_embed: ``'1d'``, ``'2d'`` or ``'none'``.
        patch_cfg: Further arguments of mmcv's PatchEmbed, or those of the registered embedding
            that its ``type`` names, such as `HybridPatchEmbed`.
        **kwargs: Further arguments of the host's VisionTransformer.

    Raises:
        ValueError: If ``pos_embed`` is unknown, if ``'2d'`` cannot halve the width, or if the
            embedding that ``patch_cfg`` names has another grid than ``img_size`` and
            ``patch_size``.
    """

    def __init__(self, pos_embed: str = '1d', patch_cfg: dict | None = None, **kwargs):
        if pos_embed not in POS_EMBEDS:
            raise ValueError(f'pos_embed {pos_embed!r} is none of {", ".join(POS_EMBEDS)}.')
        named = patch_cfg is not None and 'type' in patch_cfg  # the host builds only mmcv's
        super().__init__(patch_cfg={} if named else patch_cfg or {}, **kwargs)
        free_size(self.patch_embed)
        use_plain_rates(self)
        recompute_gelus(self)
        if named:
            self._replace_patch_embed(patch_cfg)
        self.pos_embed_cls = self.pos_embed_cols = self.pos_embed_rows = None
        if pos_embed != '1d':
            self.pos_embed = None
        if pos_embed == '2d':
            self._add_rows_and_columns()

    def _format_output(self, x: Tensor, hw: tuple[int, int]) -> Tensor:
        if self.out_type == 'featmap':  # the host's reshape refuses an empty batch
            return format_output(x, hw, 'featmap')
        return super()._format_output(x, hw)

    def _replace_patch_embed(self, patch_cfg: dict) -> None:
        """Replace the host's embedding by the named one, with the host's settings."""
        host = self.patch_embed
        conv = host.projection
        self.patch_embed = build_patch_embed(
            patch_cfg,
            in_channels=conv.in_channels,
            embed_dims=self.embed_dims,
            kernel_size=conv.kernel_size,
            stride=conv.stride,
            input_size=host.init_input_size,
        )
        if self.patch_embed.init_out_size != self.patch_resolution:
            raise ValueError(
                f'patch_cfg {patch_cfg} makes a grid of {self.patch_embed.init_out_size}, '
                f'img_size and patch_size one of {self.patch_resolution}: set these two instead '
                f'of kernel_size, stride, padding or input_size.'
            )
        if self.frozen_stages > 0:  # the module that the host has frozen is gone
            self._freeze_stages()

    def train(self, mode: bool = True) -> 'PosEmbedViT':
        """Set the training mode; frozen stages stay in evaluation mode."""
        super().train(mode)
        if self.frozen_stages > 0:
            self._freeze_stages()
        return self

    def _add_rows_and_columns(self) -> None:
        dims = self.embed_dims
        if dims % 2:
            raise ValueError(f"embed_dims ({dims}) must be even for pos_embed='2d'.")
        rows, cols = self.patch_resolution
        trained = self.frozen_stages <= 0  # as the host freezes its own embedding

        def positions(number: int, width: int) -> nn.Parameter:
            return nn.Parameter(torch.zeros(1, number, width), requires_grad=trained)

        self.pos_embed_cols = positions(cols, dims // 2)
        self.pos_embed_rows = positions(rows, dims // 2)
        if self.cls_token is not None:
            self.pos_embed_cls = positions(1, dims)

    def init_weights(self) -> None:
        """Initialise by ``init_cfg``; positions as the host's: normal, 0.02, truncated."""
        super().init_weights()
        if isinstance(self.init_cfg, dict) and self.init_cfg['type'] == 'Pretrained':
            return
        for embed in (self.pos_embed_cls, self.pos_embed_cols, self.pos_embed_rows):
            if embed is not None:
                trunc_normal_(embed, std=0.02)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return the outputs of the layers ``out_indices``.

        Args:
            x: Images (B, C, H, W).
        """
        x, grid = self.patch_embed(x)
        if self.pos_embed_rows is not None:
            x = x + self.grid_positions(*grid)
        if self.cls_token is not None:
            first = self.cls_token
            if self.pos_embed_cls is not None:
                first = first + self.pos_embed_cls
            x = torch.cat((first.expand(x.shape[0], -1, -1), x), dim=1)
        if self.pos_embed is not None:
            sizes = self.patch_resolution, grid, self.interpolate_mode, self.num_extra_tokens
            x = x + resize_positions(self.pos_embed, *sizes)
        x = self.pre_norm(self.drop_after_pos(x))
        outs = []
        for i, layer in enumerate(self.layers):
            x = layer(x)
            if i == len(self.layers) - 1 and self.final_norm:
                x = self.ln1(x)
            if i in self.out_indices:
                outs.append(self._format_output(x, grid))
        return tuple(outs)

    def grid_positions(self, rows: int, cols: int) -> Tensor:
        """Concatenate the embeddings of column and row for each patch, (1, rows * cols, D).

        Args:
            rows: Rows of the grid.
            cols: Columns of the grid.
        """
        x = self._resized(self.pos_embed_cols, cols)[:, None].expand(-1, rows, -1, -1)
        y = self._resized(self.pos_embed_rows, rows)[:, :, None].expand(-1, -1, cols, -1)
        return torch.cat((x, y), dim=3).flatten(1, 2)  # (1, H, W, D) -> (1, H * W, D)

    def _resized(self, embed: Tensor, number: int) -> Tensor:
        """Interpolate positions (1, N, D) along their one axis."""
        sizes = (embed.shape[1], 1), (number, 1)
        return resize_positions(embed, *sizes, self.interpolate_mode, num_extra_tokens=0)

    def _prepare_pos_embed(self, state_dict, prefix, *args, **kwargs) -> None:
        if self.pos_embed is not None:
            super()._prepare_pos_embed(state_dict, prefix, *args, **kwargs)
        if self.pos_embed_rows is not None:
            for name in ('pos_embed_cols', 'pos_embed_rows'):
                if (key := prefix + name) in state_dict:
                    number = getattr(self, name).shape[1]
                    state_dict[key] = self._resized(state_dict[key], number)

    def get_layer_depth(self, param_name: str, prefix: str = '') -> tuple[int, int]:
        """Return a parameter's depth and the number of depths, for layer-wise learning rates.

        Args:
            param_name: Name of the parameter.
            prefix: What stands before the backbone's own names, such as ``'backbone.'``.
        """
        if param_name.startswith(f'{prefix}pos_embed'):
            param_name = f'{prefix}pos_embed'
        return super().get_layer_depth(param_name, prefix)
