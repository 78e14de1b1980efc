"""The token grid of an image shape."""

import pytest
import torch
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from torch import nn

from vit_plugins.models.heads.token_grid import batch_shape, grid_from_image, ways_to_a_grid


def samples(*shapes):
    return [DataSample(metainfo=dict(img_shape=shape)).set_gt_label(0) for shape in shapes]


@pytest.mark.parametrize('shapes', [[(32, 64)], [(20, 64), (32, 40)], [(32, 7, 3), (8, 64, 3)]])
@pytest.mark.parametrize('divisor', [1, 24])
def test_batch_shape_is_that_of_the_stacked_batch(shapes, divisor):
    preprocessor = MODELS.build(dict(type='ClsDataPreprocessor', pad_size_divisor=divisor))
    images = [torch.zeros(3, *shape[:2]) for shape in shapes]
    batch = preprocessor(dict(inputs=images, data_samples=samples(*shapes)))
    assert batch_shape(batch['data_samples'], divisor) == tuple(batch['inputs'].shape[-2:])


def test_batch_shape_needs_the_metadata():
    with pytest.raises(ValueError, match=r"keep 'img_shape' in the meta_keys .* grid_size"):
        batch_shape([*samples((8, 8)), DataSample()])


@pytest.mark.parametrize(
    ('num_tokens', 'shape', 'patch', 'grid'),
    [
        (196, (112, 448), (16, 16), (7, 28)),
        (196, (112, 448), None, (7, 28)),
        (196, (448, 112), None, (28, 7)),
        (36, (100, 100), (16, 16), (6, 6)),  # the rest is dropped
        (49, (100, 100), (16, 16), (7, 7)),  # or padded
        (32, (64, 32), (8, 8), (8, 4)),
        (16, (64, 32), (16, 8), (4, 4)),
        (1, (5, 5), None, (1, 1)),
    ],
)
def test_grid_from_image(num_tokens, shape, patch, grid):
    assert grid_from_image(num_tokens, shape, patch) == grid


@pytest.mark.parametrize('num_tokens', [0, 60, 65, 197])
def test_no_square_patch(num_tokens):
    message = rf'no square patch cuts a 112x448 image into {num_tokens} tokens: set patch_size'
    with pytest.raises(ValueError, match=message):
        grid_from_image(num_tokens, (112, 448))


def test_patch_that_does_not_fit():
    message = 'a 112x448 image in patches of 16x16 gives 7x28 tokens, the backbone gave 197'
    with pytest.raises(ValueError, match=message):
        grid_from_image(197, (112, 448), (16, 16))


@pytest.mark.parametrize(
    ('children', 'expected'),
    [
        (dict(norm=nn.LayerNorm(2), layers=nn.ModuleList([nn.ReLU()])), 'norm'),
        (dict(layers=nn.ModuleList([nn.ReLU(), nn.ReLU()]), pool=nn.Identity()), 'layers.1'),
        (dict(layers=nn.Sequential(nn.ReLU()), empty=nn.ModuleList()), 'layers.0'),
        ({}, '<module>'),
    ],
)
def test_module_that_sees_all_tokens(children, expected):
    backbone = nn.Module()
    for name, child in children.items():
        backbone.add_module(name, child)
    assert ways_to_a_grid(backbone) == f"source='backbone.{expected}' in DRLocHead"
