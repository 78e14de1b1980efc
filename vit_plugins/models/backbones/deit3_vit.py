"""DeiT III: the plain vision transformer with LayerScale, for images of any height and width."""

import math
from collections.abc import Sequence

from mmengine.model import BaseModule, ModuleList
from mmengine.utils import to_2tuple
from mmpretrain.models.backbones.vision_transformer import TransformerEncoderLayer
from mmpretrain.models.utils import build_norm_layer
from mmpretrain.registry import MODELS
from torch import nn

from ...weights.names.deit3 import DEIT3_NAMES
from .._number_checks import check_rates, check_sizes
from ..layers.recomputed_gelu import recompute_gelus
from ._token_backbone import TokenBackbone
from ._vit_parts import (
    arch_settings,
    build_patch_embed,
    normal_parameter,
    truncated_normal_init,
    vit_arch,
)


class DeiT3Layer(TransformerEncoderLayer):
    """A host encoder layer with DeiT III's LayerScale, whose FFN reads the output of ``ln2``."""

    def init_weights(self) -> None:
        """Leave the weights to ``init_cfg``: the host's Xavier start is not the paper's."""
        BaseModule.init_weights(self)


@MODELS.register_module()
class DeiT3ViT(TokenBackbone):
    """The ViT of `DeiT III <https://arxiv.org/abs/2204.07118>`_ as its authors train it.

    Its weights have the names of the host's ``DeiT3``, so that OpenMMLab's released files load;
    official and timm files load as they are. Unlike the host's, it normalises the FFN's input with
    ``ln2``, drops paths at one rate, and starts LayerScale at 1e-4 and every Linear at a std of
    0.02. It counts tokens as the authors do: pixels beyond the last whole patch are ignored (160
    px in patches of 14 are 11 x 11 tokens; ``patch_cfg=dict(padding='corner')`` pads to 12 x 12).

    Args:
        arch: ``'tiny'``, ``'small'``, ``'medium'``, ``'base'``, ``'large'``, ``'huge'`` or their
            first letters, ``'huge-52'`` (52 layers), or a dict with embed_dims, num_layers,
            num_heads, feedforward_channels and, if not 16, patch_size.
        img_size: Usual input size, an int or (H, W): it sets the grid of the position embedding,
            which is resized for other inputs.
        patch_size: Height and width of a patch; None takes that of the arch, 14 if huge, else 16.
        in_channels: Channels of the image.
        out_type: ``'cls_token'`` (B, D), ``'featmap'`` (B, D, H, W), ``'avg_featmap'`` (B, D), or
            ``'raw'``: all tokens (B, 1 + N, D).
        out_indices: Layers whose output is returned; negative ones count from the end. Layers
            after the last of them are neither run nor trained.
        with_cls_token: Put a class token, which has no position, before the patches.
        interpolate_mode: How the position embedding is resized, ``'bicubic'`` or ``'bilinear'``.
        layer_scale_init_value: Start of both LayerScales of a layer; 0 builds a model without
            them.
        drop_rate: Dropout rate after the position embedding, of projections and of the FFN.
        drop_path_rate: Stochastic depth rate, the same in every layer.
        qkv_bias: Add a bias to queries, keys and values.
        norm_cfg: Normalisation layer; None is LayerNorm with eps 1e-6.
        final_norm: Normalise the output of the last layer.
        frozen_stages: Freeze the embedding (0) and this many layers; -1 freezes nothing.
        with_cp: Save memory by recomputing each layer in the backward pass.
        patch_cfg: Further arguments of mmcv's PatchEmbed, or those of the registered embedding
            that its ``type`` names, such as `HybridPatchEmbed`.
        layer_cfgs: Further arguments of the host's TransformerEncoderLayer, one dict for all
            layers or one for each.
        init_cfg: None is the official truncated normal of std 0.02.
    """

    arch_zoo = {
        name: vit_arch(dims, depth, heads, patch_size=patch)
        for names, dims, depth, heads, patch in (
            (('t', 'tiny'), 192, 12, 3, 16),
            (('s', 'small'), 384, 12, 6, 16),
            (('m', 'medium'), 512, 12, 8, 16),
            (('b', 'base'), 768, 12, 12, 16),
            (('l', 'large'), 1024, 24, 16, 16),
            (('h', 'huge'), 1280, 32, 16, 14),
            (('h-52', 'huge-52'), 1280, 52, 16, 14),
        )
        for name in names
    }
    names = DEIT3_NAMES

    def __init__(
        self,
        arch: str | dict = 'base',
        img_size: int | tuple[int, int] = 224,
        patch_size: int | tuple[int, int] | None = None,
        in_channels: int = 3,
        out_type: str = 'cls_token',
        out_indices: int | Sequence[int] = -1,
        with_cls_token: bool = True,
        interpolate_mode: str = 'bicubic',
        layer_scale_init_value: float = 1e-4,
        drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
        qkv_bias: bool = True,
        norm_cfg: dict | None = None,
        final_norm: bool = True,
        frozen_stages: int = -1,
        with_cp: bool = False,
        patch_cfg: dict | None = None,
        layer_cfgs: dict | Sequence[dict] | None = None,
        init_cfg: dict | list[dict] | None = None,
    ):
        settings = arch_settings(arch, self.arch_zoo)
        check_sizes(img_size=img_size, patch_size=patch_size, in_channels=in_channels)
        check_rates(drop_rate=drop_rate, drop_path_rate=drop_path_rate)
        super().__init__(
            settings['num_layers'],
            out_type,
            out_indices,
            frozen_stages,
            interpolate_mode,
            with_cp,
            truncated_normal_init() if init_cfg is None else init_cfg,
        )
        self.embed_dims = settings['embed_dims']
        self.num_layers = settings['num_layers']
        if not layer_scale_init_value >= 0:
            raise ValueError(f'layer_scale_init_value ({layer_scale_init_value}) must be >= 0.')
        if out_type == 'cls_token' and not with_cls_token:
            raise ValueError(
                "out_type='cls_token' with with_cls_token=False: there is none to return. Set "
                "out_type to 'avg_featmap', 'featmap' or 'raw'."
            )
        norm_cfg = norm_cfg or dict(type='LN', eps=1e-6)

        patch_size = patch_size or settings.get('patch_size', 16)
        self.patch_embed = build_patch_embed(
            patch_cfg,
            dict(padding=0),  # the host's 'corner' pads, but the authors' model does not
            in_channels=in_channels,
            embed_dims=self.embed_dims,
            kernel_size=patch_size,
            stride=patch_size,
            input_size=to_2tuple(img_size),
        )
        self.patch_resolution = self.patch_embed.init_out_size
        if min(self.patch_resolution) < 1:
            raise ValueError(f'img_size ({img_size}) is smaller than a patch ({patch_size}).')
        self.num_extra_tokens = int(with_cls_token)
        self.cls_token_joins_at = 0 if with_cls_token else None
        self.cls_token = normal_parameter(1, 1, self.embed_dims) if with_cls_token else None
        self.pos_embed = normal_parameter(1, math.prod(self.patch_resolution), self.embed_dims)
        self.drop_after_pos = nn.Dropout(drop_rate)

        self.layers = ModuleList()
        for layer_cfg in self._layer_cfgs(layer_cfgs):
            layer = DeiT3Layer(
                **{
                    'embed_dims': self.embed_dims,
                    'num_heads': settings['num_heads'],
                    'feedforward_channels': settings['feedforward_channels'],
                    'layer_scale_init_value': layer_scale_init_value,
                    'drop_rate': drop_rate,
                    'drop_path_rate': drop_path_rate,
                    'qkv_bias': qkv_bias,
                    'norm_cfg': norm_cfg,
                    **layer_cfg,
                }
            )
            self.layers.append(layer)
        self.ln1 = build_norm_layer(norm_cfg, self.embed_dims) if final_norm else nn.Identity()

        recompute_gelus(self)
        self.freeze()

    def _layer_cfgs(self, given: dict | Sequence[dict] | None) -> Sequence[dict]:
        if given is None or isinstance(given, dict):
            return [given or {}] * self.num_layers
        if len(given) != self.num_layers:
            raise ValueError(f'layer_cfgs has {len(given)} dicts for {self.num_layers} layers.')
        return given
