"""Layer-wise decay where the model is a segmenter or a detector."""

import copy

import pytest
import torch
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DefaultScope
from mmpretrain.registry import MODELS
from torch import nn

from vit_plugins.engine.optim_wrappers.backbone_decay_optim_wrapper_constructor import (
    optimizer_default,
)

ARCH = dict(embed_dims=16, num_layers=3, num_heads=4, feedforward_channels=16)
VIT = dict(arch=ARCH, img_size=16, patch_size=8)
BACKBONES = [
    dict(type='ConViT', num_local_layers=2, **VIT),
    dict(type='DeiT3ViT', **VIT),
    dict(type='PosEmbedViT', **VIT),
    dict(type='VisionTransformer', **VIT),  # the host's
    dict(type='HybridViT', arch='small', stem=(1,), img_size=32),
    dict(type='CvT', arch='13'),
]
SETTINGS = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=1.0, weight_decay=0.1),
    constructor='mmpretrain.BackboneDecayOptimWrapperConstructor',
    paramwise_cfg=dict(layer_decay_rate=0.5, flat_decay_mult=0.0),
)


class Segmenter(nn.Module):
    """The common structure of MMSegmentation and MMDetection: a backbone and other parts."""

    def __init__(self, backbone):
        super().__init__()
        self.backbone = MODELS.build(copy.deepcopy(backbone))
        self.decode_head = nn.Linear(16, 2)
        self.auxiliary_head = nn.ModuleList([self.decode_head, nn.Linear(16, 2)])  # one shared


def rates(model, **changes):
    """Return learning rate and weight decay of each parameter, by name."""
    with DefaultScope.overwrite_default_scope('mmseg'):  # as in its configs
        wrapper = build_optim_wrapper(model, {**copy.deepcopy(SETTINGS), **changes})
    groups = {id(g['params'][0]): g for g in wrapper.optimizer.param_groups}
    assert len(groups) == len(list(wrapper.optimizer.param_groups))
    return {
        name: (groups[id(p)]['lr'], groups[id(p)]['weight_decay'])
        for name, p in model.named_parameters()
        if p.requires_grad
    }


def test_each_layer_has_its_rate():
    found = rates(Segmenter(BACKBONES[0]))
    assert found['decode_head.weight'] == (1.0, 0.1)
    assert found['auxiliary_head.1.bias'] == (1.0, 0.0)
    assert found['backbone.ln1.weight'] == (1.0, 0.0)
    assert found['backbone.layers.2.ffn.layers.1.weight'] == (0.5, 0.1)
    assert found['backbone.layers.0.ffn.layers.1.weight'] == (0.125, 0.1)
    assert found['backbone.patch_embed.projection.weight'] == (0.0625, 0.1)


@pytest.mark.parametrize('backbone', BACKBONES, ids=lambda cfg: cfg['type'])
def test_rates_are_those_that_the_host_gives_a_classifier(backbone):
    model = Segmenter(backbone)
    found = {k: v for k, v in rates(model).items() if k.startswith('backbone.')}
    classifier = MODELS.build(dict(type='ImageClassifier', backbone=copy.deepcopy(backbone)))
    host = rates(classifier, constructor='mmpretrain.LearningRateDecayOptimWrapperConstructor')
    assert found == host
    assert len(set(host.values())) > 3


def test_a_rate_of_its_own_multiplies_that_of_the_layer():
    """The host drops it without a word."""
    own = {'decode_head': dict(lr_mult=10), 'layers.0.ffn': dict(lr_mult=0.5, decay_mult=0.0)}
    found = rates(
        Segmenter(BACKBONES[0]), paramwise_cfg=dict(layer_decay_rate=0.5, custom_keys=own)
    )
    assert found['decode_head.weight'] == (10.0, 0.1)
    assert found['backbone.layers.0.ffn.layers.1.weight'] == (0.0625, 0.0)
    assert found['backbone.layers.1.ffn.layers.1.weight'] == (0.25, 0.1)


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        (dict(layer_decay_rate=0.5, bias_lr_mult=2), 'has bias_lr_mult, which layer-wise rates'),
        (dict(layer_decay_rate=1.7), 'layer_decay_rate must be above 0 and at most 1, got 1.7'),
        (dict(layer_decay_rate=0), 'layer_decay_rate must be above 0 and at most 1, got 0'),
    ],
)
def test_settings_without_effect_or_sense_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        rates(Segmenter(BACKBONES[0]), paramwise_cfg=settings)


def test_backbones_of_teacher_and_student():
    model = nn.ModuleDict({'teacher': Segmenter(BACKBONES[0]), 'student': Segmenter(BACKBONES[1])})
    found = rates(model)
    for name in ('teacher', 'student'):
        assert found[f'{name}.backbone.cls_token'][0] == 0.0625
        assert found[f'{name}.decode_head.weight'][0] == 1.0


def test_a_classifier_is_asked_itself():
    model = MODELS.build(dict(type='ImageClassifier', backbone=copy.deepcopy(BACKBONES[0])))
    assert rates(model)['backbone.layers.0.ln1.weight'] == (0.125, 0.0)


@pytest.mark.parametrize(
    ('model', 'found'),
    [
        (Segmenter(dict(type='ResNet', depth=18)), 'Segmenter has the backbone ResNet'),
        (Segmenter(dict(type='MobileNetV2')), 'Segmenter has the backbone MobileNetV2'),
        (nn.Linear(1, 1), 'Linear has no backbone'),
    ],
)
def test_a_model_without_depths(model, found):
    with pytest.raises(ValueError, match=f'{found}. Name one of them, or leave out constructor'):
        rates(model)


def test_frozen_parameters_are_left_out():
    model = Segmenter({**BACKBONES[1], 'frozen_stages': 1})
    assert not any(name.startswith('backbone.layers.0.') for name in rates(model))
    assert torch.is_tensor(model.backbone.cls_token)


def test_an_optimizer_without_a_default_is_told_what_to_set():
    class NoDecay(torch.optim.SGD):
        def __init__(self, params, lr):
            super().__init__(params, lr)

    assert optimizer_default(torch.optim.AdamW, 'weight_decay') == 0.01
    with pytest.raises(ValueError, match='NoDecay has no default of lr: set lr in optim_wrapper'):
        optimizer_default(NoDecay, 'lr')
    with pytest.raises(ValueError, match='has no default of weight_decay'):
        optimizer_default(NoDecay, 'weight_decay')
