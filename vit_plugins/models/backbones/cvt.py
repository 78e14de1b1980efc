"""CvT: three stages with fewer and fewer tokens and convolutions before attention."""

from collections.abc import Sequence

import torch
from mmengine.model import ModuleList
from mmpretrain.models.utils import QuickGELU, build_norm_layer
from mmpretrain.registry import MODELS
from torch import Tensor, nn

from ...weights.names.cvt import CVT_NAMES
from .._number_checks import check_rates, check_ratios, check_sizes
from ._token_backbone import TokenBackbone, format_output
from ._vit_parts import check_arch_keys, drop_path_rates
from .cvt_stage import ConvEmbed, CvTBlock, CvTStage

STYLES = ('official', 'gap')


@MODELS.register_module()
class CvT(TokenBackbone):
    """`CvT <https://arxiv.org/abs/2103.15808>`_ for images of any height and width.

    Overlapping patches replace position embeddings. The class token joins in the last stage. The
    final norm applies only to it, so feature maps are the unchanged output of the last block.
    Weights have the official names: official files load as they are, and their classifier loads
    into a ``LinearClsHead``.

    ``style='gap'`` is the CvT of the `DRLoc <https://arxiv.org/abs/2106.03746>`_ paper: no class
    token and no final norm (the classifier reads the mean of the map), one convolution for keys
    and values, which have no bias, products scaled by the width of a head instead of that of all,
    exact GELU, and PyTorch's own initialisation.

    Args:
        arch: ``'13'``, ``'21'``, ``'w24'``, or a dict with embed_dims, num_heads and depths, each
            a list with one number per stage.
        style: ``'official'`` or ``'gap'``.
        in_channels: Channels of the image.
        patch_sizes: Sides of the patches that each stage embeds.
        strides: Steps between the patches of each stage. (4, 2, 2) makes one token of 16 x 16
            pixels at the end.
        paddings: Zeros around the map of each stage; None is (2, 1, 1), and (3, 1, 1) in
            ``style='gap'``, for the usual patch sizes.
        kv_stride: Stride of the convolution before keys and values.
        mlp_ratio: Width of the MLP, over that of the tokens.
        out_type: ``'cls_token'`` (B, D), ``'featmap'`` (B, D, H, W), ``'avg_featmap'`` (B, D), or
            ``'raw'``: all tokens (B, 1 + N, D), (B, N, D) where there is no class token. None is
            ``'cls_token'``, and ``'avg_featmap'`` in ``style='gap'``. Of the last stage, the class
            token is normalised; so is the map before its mean, but not the map itself.
        out_indices: Stages whose output is returned; negative ones count from the end. Stages
            after the last of them are neither run nor trained.
        drop_rate: Dropout rate after the embeddings, of projections and of the MLP.
        attn_drop_rate: Dropout rate of the attention.
        drop_path_rate: Stochastic depth rate of the last block. It grows linearly from 0 in the
            last stage; there is none before. Published: 0.1, W24 0.3.
        norm_cfg: Normalisation layer of tokens; None is LayerNorm with eps 1e-5.
        frozen_stages: Freeze the first embedding (0) and this many stages, whose batch norms then
            keep their statistics; -1 freezes nothing.
        with_cp: Save memory by recomputing attention and MLP in the backward pass.
        init_cfg: None is the official truncated normal of std 0.02.
    """

    arch_zoo = {
        name: {'embed_dims': dims, 'num_heads': heads, 'depths': depths}
        for name, dims, heads, depths in (
            ('13', (64, 192, 384), (1, 3, 6), (1, 2, 10)),
            ('21', (64, 192, 384), (1, 3, 6), (1, 4, 16)),
            ('w24', (192, 768, 1024), (3, 12, 16), (2, 2, 20)),
        )
    }
    names = CVT_NAMES
    layer_word = 'stages'

    def __init__(
        self,
        arch: str | dict = '13',
        style: str = 'official',
        in_channels: int = 3,
        patch_sizes: Sequence[int] = (7, 3, 3),
        strides: Sequence[int] = (4, 2, 2),
        paddings: Sequence[int] | None = None,
        kv_stride: int = 2,
        mlp_ratio: float = 4.0,
        out_type: str | None = None,
        out_indices: int | Sequence[int] = -1,
        drop_rate: float = 0.0,
        attn_drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
        norm_cfg: dict | None = None,
        frozen_stages: int = -1,
        with_cp: bool = False,
        init_cfg: dict | list[dict] | None = None,
    ):
        official = style == 'official'
        if init_cfg is None and official:
            init_cfg = [
                dict(type='TruncNormal', layer='Linear', std=0.02, bias=0.0),
                dict(type='Constant', layer=['LayerNorm', 'BatchNorm2d'], val=1.0, bias=0.0),
            ]
        dims, heads, depths = self._settings(arch, style)
        check_sizes(in_channels=in_channels)
        check_ratios(mlp_ratio=mlp_ratio)
        check_rates(
            drop_rate=drop_rate, attn_drop_rate=attn_drop_rate, drop_path_rate=drop_path_rate
        )
        super().__init__(
            len(dims),
            out_type or ('cls_token' if official else 'avg_featmap'),
            out_indices,
            frozen_stages,
            with_cp=with_cp,
            init_cfg=init_cfg,
        )
        self.style = style
        self.depths = depths
        self.num_stages = len(dims)
        self.embed_dims = dims[-1]
        self.num_extra_tokens = int(official)  # the class token
        paddings = paddings or (2 if official else 3, 1, 1)
        if not kv_stride >= 1:
            raise ValueError(f'kv_stride ({kv_stride}) must be at least 1.')
        self._check_settings(patch_sizes, strides, paddings)
        norm_cfg = norm_cfg or dict(type='LN', eps=1e-5)

        for i, (width, depth) in enumerate(zip(dims, depths, strict=True)):
            last = i == self.num_stages - 1
            embed = ConvEmbed(
                in_channels, width, patch_sizes[i], strides[i], paddings[i], norm_cfg
            )
            blocks = ModuleList(
                CvTBlock(
                    width,
                    mlp_ratio=mlp_ratio,
                    act=QuickGELU if official else nn.GELU,
                    drop_rate=drop_rate,
                    drop_path_rate=drop_path,
                    norm_cfg=norm_cfg,
                    with_cp=with_cp,
                    num_heads=heads[i],
                    kv_stride=kv_stride,
                    shared_kv=not official,
                    qkv_bias=official,
                    scale=(width if official else width // heads[i]) ** -0.5,
                    attn_drop=attn_drop_rate,
                )
                for drop_path in drop_path_rates(drop_path_rate if last else 0.0, depth)
            )
            self.add_module(f'stage{i}', CvTStage(embed, blocks, last and official, drop_rate))
            in_channels = width
        self.norm = build_norm_layer(norm_cfg, self.embed_dims) if official else nn.Identity()

        self.freeze()

    def _settings(self, arch: str | dict, style: str) -> list[Sequence[int]]:
        """Return widths, heads and depths."""
        if style not in STYLES:
            raise ValueError(f'style {style!r} is none of {", ".join(STYLES)}.')
        if not isinstance(arch, dict):
            name = str(arch).lower()  # --cfg-options turns 13 into a number
            if name not in self.arch_zoo:
                raise ValueError(f'arch {arch!r} is none of {", ".join(self.arch_zoo)}.')
            arch = self.arch_zoo[name]
        keys = ('embed_dims', 'num_heads', 'depths')
        check_arch_keys(arch, keys, keys)
        settings = [arch[key] for key in keys]
        if len({len(values) for values in settings}) != 1:
            raise ValueError(f'The lists of the arch dict are of different lengths: {arch}.')
        for width, heads in zip(*settings[:2], strict=True):
            if width % heads:
                raise ValueError(
                    f'embed_dims ({width}) must be a multiple of num_heads ({heads}).'
                )
        return settings

    def _check_settings(self, *embeddings: Sequence[int]) -> None:
        names = {'patch_sizes': 1, 'strides': 1, 'paddings': 0}  # with the smallest value of each
        for (name, least), values in zip(names.items(), embeddings, strict=True):
            if len(values) != self.num_stages:
                raise ValueError(
                    f'{name} {tuple(values)} must have one number for each of the '
                    f'{self.num_stages} stages.'
                )
            if min(values) < least:
                raise ValueError(f'{name} {tuple(values)} must be at least {least} each.')
        if self.out_type == 'cls_token':
            if self.style == 'gap':
                raise ValueError(
                    "out_type='cls_token' with style='gap': there is none to return. Set out_type "
                    "to 'avg_featmap', 'featmap' or 'raw'."
                )
            if min(self.out_indices) < self.num_stages - 1:
                raise ValueError(
                    f"out_type='cls_token' with out_indices={self.out_indices}: only the last "
                    f"stage has one. Set out_type to 'avg_featmap', 'featmap' or 'raw'."
                )

    @property
    def stem(self) -> list[nn.Module]:
        """The first embedding and the dropout after it."""
        return [self.stage0.patch_embed, self.stage0.drop]

    @property
    def stages(self) -> list[CvTStage]:
        """The stages, whose names are the official ones."""
        return [getattr(self, f'stage{i}') for i in range(self.num_stages)]

    @property
    def final_norm(self) -> nn.Module:
        """The norm of the input of a classifier."""
        return self.norm

    def freeze(self) -> None:
        """Freeze as in the base class, and the norm if a map is returned without it."""
        super().freeze()
        if self.out_type == 'featmap':
            self.norm.requires_grad_(False)

    def embed(self, x: Tensor) -> tuple[Tensor, tuple[int, int]]:
        """Return the images unchanged: each stage embeds its own input.

        Args:
            x: Images, shape (B, C, H, W).
        """
        return x, tuple(x.shape[2:])

    def run_layer(
        self, index: int, x: Tensor, grid: tuple[int, int]
    ) -> tuple[Tensor, tuple[int, int]]:
        """Return the tokens (B, N, D) after one stage and their grid.

        Args:
            index: Number of the stage.
            x: Images (B, C, H, W), or the tokens of the stage before.
            grid: Rows and columns of ``x``.
        """
        if index:
            x = format_output(x, grid, 'featmap')
        x, grid = self.stages[index](x)
        return self._normalise(x) if index == self.num_stages - 1 else x, grid

    def _normalise(self, tokens: Tensor) -> Tensor:
        """Apply the final norm to the outputs of the last stage that a classifier reads."""
        if self.style == 'gap' or self.out_type == 'featmap':
            return tokens
        if self.out_type == 'raw':
            return torch.cat((self.norm(tokens[:, :1]), tokens[:, 1:]), dim=1)
        return self.norm(tokens)

    def get_layer_depth(self, param_name: str, prefix: str = '') -> tuple[int, int]:
        """Return a parameter's depth and the number of depths, for layer-wise learning rates.

        Args:
            param_name: Name of the parameter.
            prefix: What stands before the backbone's own names, such as ``'backbone.'``.
        """
        num_depths = sum(self.depths) + 2
        name = param_name.removeprefix(prefix) if param_name.startswith(prefix) else ''
        if not name.startswith('stage'):
            return num_depths - 1, num_depths
        stage, part, number, *_ = [*name.split('.'), '']
        before = sum(self.depths[: int(stage.removeprefix('stage'))])
        # As in the host's Swin, the layer between two stages is as deep as the block before it.
        return before + (int(number) + 1 if part == 'blocks' else 0), num_depths
