"""Hybrid ViT: a vision transformer on the feature map of a ResNet."""

import math
from collections.abc import Sequence

import torch
from mmengine.model import BaseModule, ModuleList
from mmpretrain.models.backbones.vision_transformer import TransformerEncoderLayer
from mmpretrain.models.utils import build_norm_layer
from mmpretrain.registry import MODELS
from torch import Tensor, nn

from ...weights.names.hybrid import HYBRID_NAMES
from .._number_checks import check_rates, check_sizes
from ..layers.hybrid_patch_embed import HybridPatchEmbed
from ..layers.recomputed_gelu import recompute_gelus
from ._token_backbone import TokenBackbone
from ._vit_parts import arch_settings, drop_path_rates, vit_arch
from .resnet_stem import ResNetStem


class HybridViTLayer(TransformerEncoderLayer):
    """A host encoder layer that ``paper_init`` starts as Google's code does, not by init_cfg."""

    def __init__(self, paper_init: bool, **kwargs):
        super().__init__(**kwargs)
        self.paper_init = paper_init

    def init_weights(self) -> None:
        """Sample queries, keys and values as three matrices: one would get a smaller range."""
        if not self.paper_init:
            BaseModule.init_weights(self)
            return
        super().init_weights()
        for part in self.attn.qkv.weight.data.chunk(3):
            nn.init.xavier_uniform_(part)


@MODELS.register_module()
class HybridViT(TokenBackbone):
    """The hybrid of the `ViT paper <https://arxiv.org/abs/2010.11929>`_ for images of any size.

    A ResNet with GroupNorm and weight standardisation (BiT) makes a feature map whose cells are
    the patches of a ViT: R26+S/32 is ``arch='small', stem='r26-s32'``, R50+B/16 is
    ``arch='base', stem='r50-s16'``. timm's weights load as they are, Google's ``.npz`` files
    after ``tools/convert_checkpoint.py FILE.npz OUT.pth --arch hybrid-vit``. A size that the
    stride does not divide is padded as in TensorFlow, on all sides. The arithmetic is timm's. It
    differs from Google's code in the eps of the group norms (1e-6 there), in the eps of the weight
    standardisation, and in the exact GELU. Google's tanh form of GELU is
    ``layer_cfgs=dict(act_cfg=dict(type='GELU', approximate='tanh'))``.

    Args:
        arch: ``'small'``, ``'base'``, ``'large'`` or their first letters (S is 384 wide with 12
            layers and 6 heads, unlike the host's ``'small'``), or a dict with embed_dims,
            num_layers, num_heads and feedforward_channels.
        stem: ``'r26-s32'``, ``'r50-s32'``, ``'r50-s16'`` (no fourth stage, its blocks in the
            third), or the number of blocks in each stage; n stages have stride 2 ** (n + 1).
        img_size: Usual input size, an int or (H, W): it sets the grid of the position embedding,
            which is resized for other inputs.
        in_channels: Channels of the image.
        stem_channels: Channels of the ResNet's root, a multiple of 32.
        out_type: ``'cls_token'`` (B, D), ``'featmap'`` (B, D, H, W), ``'avg_featmap'`` (B, D), or
            ``'raw'``: all tokens (B, 1 + N, D).
        out_indices: Layers whose output is returned; negative ones count from the end. Layers
            after the last of them are neither run nor trained.
        interpolate_mode: How the position embedding is resized, ``'bicubic'`` or ``'bilinear'``.
        drop_rate: Dropout rate after the position embedding, of projections and of the FFN.
        drop_path_rate: Stochastic depth rate of the last layer; it grows linearly from 0.
        qkv_bias: Add a bias to queries, keys and values.
        norm_cfg: Normalisation of the transformer; None is LayerNorm with eps 1e-6.
        final_norm: Normalise the output of the last layer.
        frozen_stages: Freeze the ResNet and the embedding (0) and this many layers; -1 freezes
            nothing.
        with_cp: Save memory by recomputing each stage of the ResNet and each layer in the backward
            pass.
        layer_cfgs: Further arguments of the host's TransformerEncoderLayer.
        init_cfg: None starts as Google's code does: Xavier for queries, keys, values and the rest
            each, biases of the FFN of std 1e-6, each ResNet block as its shortcut, position
            embedding of std 0.02, class token 0.
    """

    arch_zoo = {
        name: vit_arch(dims, depth, heads)
        for names, dims, depth, heads in (
            (('s', 'small'), 384, 12, 6),
            (('b', 'base'), 768, 12, 12),
            (('l', 'large'), 1024, 24, 16),
        )
        for name in names
    }
    stem_zoo = {'r26-s32': (2, 2, 2, 2), 'r50-s32': (3, 4, 6, 3), 'r50-s16': (3, 4, 9)}
    names = HYBRID_NAMES

    def __init__(
        self,
        arch: str | dict = 'base',
        stem: str | Sequence[int] = 'r50-s16',
        img_size: int | tuple[int, int] = 224,
        in_channels: int = 3,
        stem_channels: int = 64,
        out_type: str = 'cls_token',
        out_indices: int | Sequence[int] = -1,
        interpolate_mode: str = 'bicubic',
        drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
        qkv_bias: bool = True,
        norm_cfg: dict | None = None,
        final_norm: bool = True,
        frozen_stages: int = -1,
        with_cp: bool = False,
        layer_cfgs: dict | None = None,
        init_cfg: dict | list[dict] | None = None,
    ):
        settings = arch_settings(arch, self.arch_zoo)
        check_sizes(img_size=img_size, in_channels=in_channels)
        check_rates(drop_rate=drop_rate, drop_path_rate=drop_path_rate)
        paper_init = init_cfg is None
        if paper_init:
            init_cfg = [
                dict(type='Kaiming', layer='Conv2d', mode='fan_in', nonlinearity='linear'),
                dict(type='Xavier', layer='Linear', distribution='uniform'),
            ]
        super().__init__(
            settings['num_layers'],
            out_type,
            out_indices,
            frozen_stages,
            interpolate_mode,
            with_cp,
            init_cfg,
        )
        self.embed_dims = settings['embed_dims']
        self.num_layers = settings['num_layers']
        norm_cfg = norm_cfg or dict(type='LN', eps=1e-6)

        resnet = ResNetStem(self._stem_blocks(stem), stem_channels, in_channels, with_cp)
        self.patch_embed = HybridPatchEmbed(
            resnet, embed_dims=self.embed_dims, kernel_size=resnet.stride, input_size=img_size
        )
        self.patch_resolution = self.patch_embed.init_out_size
        # Here and not in init_weights(): see normal_parameter().
        self.cls_token = nn.Parameter(torch.zeros(1, 1, self.embed_dims))
        shape = (1, 1 + math.prod(self.patch_resolution), self.embed_dims)
        self.pos_embed = nn.Parameter(torch.empty(shape).normal_(std=0.02))
        self.drop_after_pos = nn.Dropout(drop_rate)

        self.layers = ModuleList()
        for drop_path in drop_path_rates(drop_path_rate, self.num_layers):
            layer = HybridViTLayer(
                **{
                    'paper_init': paper_init,
                    'embed_dims': self.embed_dims,
                    'num_heads': settings['num_heads'],
                    'feedforward_channels': settings['feedforward_channels'],
                    'drop_rate': drop_rate,
                    'drop_path_rate': drop_path,
                    'qkv_bias': qkv_bias,
                    'norm_cfg': norm_cfg,
                    **(layer_cfgs or {}),
                }
            )
            self.layers.append(layer)
        self.ln1 = build_norm_layer(norm_cfg, self.embed_dims) if final_norm else nn.Identity()

        recompute_gelus(self)
        self.freeze()

    def _stem_blocks(self, stem: str | Sequence[int]) -> Sequence[int]:
        if isinstance(stem, str):
            if stem.lower() not in self.stem_zoo:
                raise ValueError(f'stem {stem!r} is none of {", ".join(self.stem_zoo)}.')
            return self.stem_zoo[stem.lower()]
        counts = list(stem) if isinstance(stem, Sequence) else []
        if not counts or not all(isinstance(count, int) and count > 0 for count in counts):
            raise ValueError(
                f'stem {stem} must be one of {", ".join(self.stem_zoo)}, or a list with the '
                f'number of blocks, at least one, of each stage.'
            )
        return stem

    def embed(self, x: Tensor) -> tuple[Tensor, tuple[int, int]]:
        """Return the tokens (B, 1 + N, D) with their positions, and the grid of the patches.

        Args:
            x: Images, shape (B, C, H, W).
        """
        x, grid = self.patch_embed(x)  # (B, N, D)
        return self.drop_after_pos(self.add_positions(self.prepend_cls_token(x), grid)), grid
