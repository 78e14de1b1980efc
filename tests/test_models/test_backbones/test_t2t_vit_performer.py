import pytest
import torch
from mmpretrain.registry import MODELS

from vit_plugins.models.backbones.t2t_vit_performer import T2TViTPerformer
from vit_plugins.models.layers.token_performer import TokenPerformer

SMALL = dict(
    img_size=32,
    embed_dims=16,
    num_layers=2,
    token_dims=8,
    layer_cfgs=dict(num_heads=2, feedforward_channels=32),
)


def test_parameters_are_those_of_the_official_model():
    """21,545,550 with 79,744 that are not trained: 2 x 2,048 directions, 197 x 384 positions."""
    head = dict(type='VisionTransformerClsHead', num_classes=1000, in_channels=384)
    with torch.device('meta'):
        model = MODELS.build(
            dict(type='ImageClassifier', backbone=dict(type='T2TViTPerformer'), head=head)
        )
    assert sum(param.numel() for param in model.parameters()) == 21_545_550 - 79_744
    assert sum(buffer.numel() for buffer in model.buffers()) == 79_744


@pytest.mark.parametrize('with_cls_token', [True, False])
@pytest.mark.parametrize('size', [(32, 32), (48, 64)])
def test_runs_and_trains_with_and_without_class_token(with_cls_token, size):
    out_type = 'cls_token' if with_cls_token else 'featmap'
    model = T2TViTPerformer(**SMALL, with_cls_token=with_cls_token, out_type=out_type)
    model.init_weights()
    (out,) = model(torch.randn(2, 3, *size))
    assert out.shape == ((2, 16) if with_cls_token else (2, 16, size[0] // 16, size[1] // 16))
    out.square().sum().backward()
    assert all(param.grad is not None for param in model.parameters())


def test_tokens_are_made_by_performers():
    module = T2TViTPerformer(**SMALL).tokens_to_token
    assert isinstance(module.attention1, TokenPerformer)
    assert isinstance(module.attention2, TokenPerformer)


def test_refuses_the_hosts_settings():
    with pytest.raises(ValueError, match='t2t_cfg is not taken'):
        T2TViTPerformer(t2t_cfg=dict(use_performer=True))
