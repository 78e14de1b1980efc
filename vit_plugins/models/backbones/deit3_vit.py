"""DeiT III: the plain vision transformer with LayerScale, for images of any height and width."""

import math
from collections.abc import Sequence

import torch
from mmengine.model import BaseModule, ModuleList
from mmengine.model.weight_init import trunc_normal_
from mmengine.utils import to_2tuple
from mmpretrain.models.backbones.base_backbone import BaseBackbone
from mmpretrain.models.backbones.vision_transformer import TransformerEncoderLayer
from mmpretrain.models.utils import build_norm_layer, resize_pos_embed
from mmpretrain.registry import MODELS
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ...weights.names.deit3 import DEIT3_NAMES
from ...weights.names.official import (
    record_grid,
    rename_for_backbone,
    rename_for_classifier,
)
from .plain_vit import (
    OUT_TYPES,
    arch_settings,
    build_patch_embed,
    check_choices,
    format_output,
    freeze_stages,
    freeze_unused,
    frozen_modules,
    layer_depth,
    output_layers,
)


class DeiT3Layer(TransformerEncoderLayer):
    """A host encoder layer: its LayerScale is that of DeiT III, its FFN reads ``ln2``."""

    def init_weights(self) -> None:
        """Leave the weights to ``init_cfg``: the host layer's Xavier FFN is not the paper's."""
        BaseModule.init_weights(self)


@MODELS.register_module()
class DeiT3ViT(BaseBackbone):
    """The ViT of `DeiT III <https://arxiv.org/abs/2204.07118>`_ as its authors train it.

    Its weights have the names of the host's ``DeiT3``, so that OpenMMLab's released files load;
    official and timm files load as they are. Other than the host's, it normalises the FFN's input
    with ``ln2``, drops paths at one rate, starts LayerScale at 1e-4 and every Linear at a std of
    0.02, and counts tokens as the authors do: what is left beside whole patches is not seen (160
    px in patches of 14 are 11 x 11 tokens; ``patch_cfg=dict(padding='corner')`` pads to 12 x 12).

    Args:
        arch: ``'tiny'``, ``'small'``, ``'medium'``, ``'base'``, ``'large'``, ``'huge'`` or their
            first letters, ``'huge-52'`` (52 layers), or a dict with embed_dims, num_layers,
            num_heads, feedforward_channels and, if not 16, patch_size.
        img_size: Usual input size, an int or (H, W): it sets the grid of the position embedding,
            which is resized for other inputs.
        patch_size: Height and width of a patch; None is that of the arch, 14 if huge, else 16.
        in_channels: Channels of the image.
        out_type: ``'cls_token'`` (B, D), ``'featmap'`` (B, D, H, W), ``'avg_featmap'`` (B, D), or
            ``'raw'``: all tokens (B, 1 + N, D).
        out_indices: Layers whose output is returned; negative ones count from the end. Layers
            after the last of them are neither run nor trained.
        with_cls_token: Put a class token, which has no position, before the patches.
        interpolate_mode: How the position embedding is resized, ``'bicubic'`` or ``'bilinear'``.
        layer_scale_init_value: Start of both LayerScales of a layer; 0 is a model without them.
        drop_rate: Dropout rate after the position embedding, of projections and of the FFN.
        drop_path_rate: Stochastic depth rate, the same in every layer.
        qkv_bias: Add a bias to queries, keys and values.
        norm_cfg: Normalisation layer; None is LayerNorm with eps 1e-6.
        final_norm: Normalise the output of the last layer.
        frozen_stages: Freeze the embedding (0) and this many layers; -1 freezes nothing.
        with_cp: Trade time for memory by recomputing each layer in the backward pass.
        patch_cfg: Further arguments of mmcv's PatchEmbed, or those of the registered embedding
            that its ``type`` names, such as `HybridPatchEmbed`.
        layer_cfgs: Further arguments of the host's TransformerEncoderLayer, one dict for all
            layers or one for each.
        init_cfg: None is the official truncated normal of std 0.02.
    """

    arch_zoo = {
        name: {
            'embed_dims': dims,
            'num_layers': depth,
            'num_heads': heads,
            'feedforward_channels': 4 * dims,
            'patch_size': patch,
        }
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
    OUT_TYPES = OUT_TYPES
    num_extra_tokens = 1  # the class token

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
        super().__init__(
            init_cfg
            or [
                dict(type='TruncNormal', layer='Linear', std=0.02, bias=0.0),
                dict(type='Constant', layer='LayerNorm', val=1.0, bias=0.0),
            ]
        )
        settings = arch_settings(arch, self.arch_zoo)
        self.embed_dims = settings['embed_dims']
        self.num_layers = settings['num_layers']
        self.out_type = out_type
        self.interpolate_mode = interpolate_mode
        self.frozen_stages = frozen_stages
        self.with_cp = with_cp
        check_choices(self.num_layers, out_type, interpolate_mode, frozen_stages)
        self.out_indices = output_layers(out_indices, self.num_layers)
        if layer_scale_init_value < 0:
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
            dict(padding=0),  # the host's 'corner' pads where the authors' model does not
            in_channels=in_channels,
            embed_dims=self.embed_dims,
            kernel_size=patch_size,
            stride=patch_size,
            input_size=to_2tuple(img_size),
        )
        self.patch_resolution = self.patch_embed.init_out_size
        if min(self.patch_resolution) < 1:
            raise ValueError(f'img_size ({img_size}) is smaller than a patch ({patch_size}).')
        # Here and not in init_weights(): no init_cfg reaches bare parameters, a checkpoint may.
        self.cls_token = None
        if with_cls_token:
            token = torch.empty(1, 1, self.embed_dims)
            self.cls_token = nn.Parameter(trunc_normal_(token, std=0.02))
        else:
            self.num_extra_tokens = 0
        shape = (1, math.prod(self.patch_resolution), self.embed_dims)
        self.pos_embed = nn.Parameter(trunc_normal_(torch.empty(shape), std=0.02))
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

        self._register_state_dict_hook(record_grid)
        freeze_stages(self)
        freeze_unused(self)

    def _layer_cfgs(self, given: dict | Sequence[dict] | None) -> Sequence[dict]:
        if given is None or isinstance(given, dict):
            return [given or {}] * self.num_layers
        if len(given) != self.num_layers:
            raise ValueError(f'layer_cfgs has {len(given)} dicts for {self.num_layers} layers.')
        return given

    def train(self, mode: bool = True) -> 'DeiT3ViT':
        """Set the training mode; frozen stages stay in evaluation mode."""
        super().train(mode)
        for module in frozen_modules(self):
            module.eval()
        return self

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return one tensor for each of ``out_indices``, shaped as ``out_type`` says.

        Args:
            x: Images, shape (B, C, H, W).
        """
        x, grid = self.patch_embed(x)  # (B, N, D)
        x = x.contiguous()  # else the convolution's layout spreads, and each LayerNorm copies
        x = x + resize_pos_embed(
            self.pos_embed, self.patch_resolution, grid, self.interpolate_mode, 0
        )
        x = self.drop_after_pos(x)
        if self.cls_token is not None:
            x = torch.cat((self.cls_token.expand(x.shape[0], -1, -1), x), dim=1)  # (B, 1 + N, D)

        outs = {}
        for i, layer in enumerate(self.layers[: max(self.out_indices) + 1]):
            if self.with_cp and torch.is_grad_enabled():
                x = checkpoint(layer, x, use_reentrant=False)
            else:
                x = layer(x)
            if i == self.num_layers - 1:
                x = self.ln1(x)
            if i in self.out_indices:
                outs[i] = format_output(x, grid, self.out_type)
        return tuple(outs[i] for i in self.out_indices)

    def get_layer_depth(self, param_name: str, prefix: str = '') -> tuple[int, int]:
        """Return a parameter's depth and the number of depths, for layer-wise learning rates.

        Args:
            param_name: Name of the parameter.
            prefix: What stands before the backbone's own names, such as ``'backbone.'``.
        """
        return layer_depth(param_name, prefix, self.num_layers)

    def _checkpoint_filter(self, state_dict: dict, prefix: str, *args) -> None:
        rename_for_classifier(self, DEIT3_NAMES, state_dict, prefix)

    def _load_from_state_dict(self, state_dict, prefix, local_metadata, *args):
        rename_for_backbone(self, DEIT3_NAMES, state_dict, prefix, local_metadata)
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *args)
