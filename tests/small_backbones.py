"""A small model of each backbone, and weights for it under the names of the official files."""

import re
from functools import partial

import torch
from mmpretrain.registry import MODELS
from timm.layers import HybridEmbed, StdConv2dSame
from timm.models.convit import ConVit as TimmConViT
from timm.models.resnetv2 import ResNetV2
from timm.models.vision_transformer import VisionTransformer as TimmViT
from torch import nn

ARCH = dict(embed_dims=32, num_layers=4, num_heads=4, feedforward_channels=128)
HYBRID_ARCH = {**ARCH, 'num_layers': 3}
CVT_ARCH = dict(embed_dims=(8, 16, 24), num_heads=(1, 2, 3), depths=(1, 2, 2))
SETTINGS = {
    'ConViT': dict(arch=ARCH, img_size=32, patch_size=8, num_local_layers=2),  # a grid of 4 x 4
    'CvT': dict(arch=CVT_ARCH),
    'DeiT3ViT': dict(arch=ARCH, img_size=32, patch_size=8),
    'HybridViT': dict(arch=HYBRID_ARCH, stem=(1, 2), stem_channels=32, img_size=32),  # stride 8
    'PosEmbedViT': dict(arch=ARCH, img_size=32, patch_size=8, pos_embed='2d'),
    'T2TViTPerformer': dict(
        img_size=32,
        embed_dims=16,
        num_layers=2,
        token_dims=8,
        layer_cfgs=dict(num_heads=2, feedforward_channels=32),
    ),
}
WIDTHS = {'CvT': 24, 'T2TViTPerformer': 16}  # of the output tokens; others have 32


def small(name: str, **changes) -> nn.Module:
    """Build the small backbone of a name."""
    return MODELS.build(dict(type=name, **{**SETTINGS[name], **changes}))


def classifier(name: str, head: str | None = None, num_classes: int = 10, **changes) -> nn.Module:
    """Build a classifier on the small backbone, with the head that official files have."""
    changes = {**SETTINGS[name], **changes}
    head = head or ('LinearClsHead' if name == 'CvT' else 'VisionTransformerClsHead')
    dims = changes['arch']['embed_dims'] if 'arch' in changes else WIDTHS[name]
    dims = dims[-1] if isinstance(dims, tuple) else dims
    head = dict(type=head, num_classes=num_classes, in_channels=dims)
    return MODELS.build(
        dict(type='ImageClassifier', backbone=dict(type=name, **changes), head=head)
    )


def meta_classifier(name: str, dims: int, head: str = 'VisionTransformerClsHead', **settings):
    """Build a classifier of 1000 classes on the meta device, without memory for its weights."""
    head = dict(type=head, num_classes=1000, in_channels=dims)
    with torch.device('meta'):
        return MODELS.build(
            dict(type='ImageClassifier', backbone=dict(type=name, **settings), head=head)
        )


# --- timm's models of the same sizes, with norms, gates and gammas that are felt ----------------


def timm_convit(**kwargs) -> TimmConViT:
    settings = dict(img_size=32, patch_size=8, embed_dim=8, depth=4, num_heads=4, num_classes=10)
    model = TimmConViT(**{**settings, 'local_up_to_layer': 2, **kwargs}).eval()
    with torch.no_grad():
        for name, param in model.named_parameters():
            if 'gating_param' in name:
                param.normal_(std=2)
            elif 'pos_proj' in name:
                param.add_(0.1 * torch.randn_like(param))
            elif name.endswith('bias'):
                param.normal_(std=0.1)
    return model


def timm_deit3(**kwargs) -> TimmViT:
    settings = dict(img_size=32, patch_size=8, embed_dim=32, depth=4, num_heads=4, num_classes=10)
    model = TimmViT(**settings | dict(no_embed_class=True, init_values=1e-6) | kwargs).eval()
    with torch.no_grad():
        for name, param in model.named_parameters():
            if 'gamma' in name:
                param.normal_(std=0.5)
            elif param.ndim == 1:
                param.add_(0.3 * torch.randn_like(param))
    return model


def timm_hybrid(img_size: int | tuple[int, int] = 32, **kwargs) -> TimmViT:
    resnet = ResNetV2(
        layers=(1, 2),
        channels=(128, 256),
        stem_chs=32,
        num_classes=0,
        global_pool='',
        preact=False,
        stem_type='same',
        conv_layer=partial(StdConv2dSame, eps=1e-8),
    )
    model = TimmViT(
        img_size=img_size,
        patch_size=1,
        embed_dim=32,
        depth=3,
        num_heads=4,
        num_classes=10,
        embed_layer=partial(HybridEmbed, backbone=resnet),
        **kwargs,
    ).eval()
    with torch.no_grad():
        for param in model.parameters():
            if param.ndim == 1:
                param.add_(0.3 * torch.randn_like(param))
    return model


TIMM = {'ConViT': timm_convit, 'DeiT3ViT': timm_deit3, 'HybridViT': timm_hybrid}


def randomised(model: nn.Module) -> nn.Module:
    """Set each weight and each batch norm statistic to a value whose loss is visible."""
    for name, value in model.state_dict().items():
        if name.endswith('running_var'):
            value.uniform_(0.5, 2)
        elif name.endswith('num_batches_tracked'):
            value.fill_(7)
        elif value.ndim > 1:
            value.normal_(std=0.5)
        else:
            value.normal_(std=0.3).add_(1 if re.search(r'(norm\d?|bn)\.weight', name) else 0)
    return model.eval()


def official_weights(name: str, **kwargs) -> dict:
    """Return the weights of timm's model, or of CvT, whose official names are ours."""
    if name != 'CvT':
        return TIMM[name](**kwargs).state_dict()
    weights = randomised(classifier('CvT', **kwargs)).state_dict()
    return {
        key.replace('head.fc.', 'head.').removeprefix('backbone.'): value
        for key, value in weights.items()
        if not key.startswith('data_preprocessor')
    }
