"""The names of EfficientNet-lite0 in the first PyTorch port, against the order of its layers."""

import pytest
from mmengine.registry import DefaultScope
from mmpretrain.registry import MODELS

from vit_plugins.weights.names import BACKBONE_NAMES
from vit_plugins.weights.names.efficientnet import REPEATS

PARTS = ('weight', 'bias', 'running_mean', 'running_var', 'num_batches_tracked')


def port_names():
    """Return the names in the order of the port, which is that of the layers."""
    yield from ('_conv_stem.weight', *(f'_bn0.{part}' for part in PARTS))
    for block in range(sum(REPEATS)):
        for number, conv in enumerate(('_expand_conv', '_depthwise_conv', '_project_conv')):
            if block or number:
                yield f'_blocks.{block}.{conv}.weight'
                yield from (f'_blocks.{block}._bn{number}.{part}' for part in PARTS)
    yield from ('_conv_head.weight', *(f'_bn1.{part}' for part in PARTS))


def test_layers_of_the_port_are_those_of_timm_in_the_same_order():
    pytest.importorskip('timm')
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        backbone = MODELS.build(dict(type='TIMMBackbone', model_name='tf_efficientnet_lite0'))
    rename = BACKBONE_NAMES['TIMMBackbone'].rename
    renamed = [rename(name).removeprefix('backbone.') for name in port_names()]
    assert renamed == list(backbone.state_dict())


def test_names_of_timm_itself_stay():
    rename = BACKBONE_NAMES['TIMMBackbone'].rename
    assert rename('blocks.1.0.conv_pw.weight') == 'backbone.timm_model.blocks.1.0.conv_pw.weight'
