"""Each batch transform gives on a GPU the pixels that it gives on the CPU."""

import copy

import numpy as np
import pytest
import torch
from mmpretrain.registry import BATCH_AUGMENTS, DATASETS, MODELS

from vit_plugins.datasets.seeds import image_seeds
from vit_plugins.datasets.stacked_collate import stacked_collate
from vit_plugins.datasets.transforms.batch import (
    _blurs,
    _resampling,
    _rounding,
    _warps,
    batch_simple_random_crop,
)

TRANSFORMS = {
    'BatchRandAugment': dict(
        policies='timm_increasing', num_policies=2, magnitude_level=9, magnitude_std=0.5
    ),
    'BatchRandomErasing': dict(erase_prob=1.0, mode='rand', fill_color=(120, 100, 80)),
    'BatchRandomFlip': {},
    'BatchRandomResizedCrop': dict(scale=24),
    'BatchSimpleRandomCrop': dict(crop_size=24),
    'BatchThreeAugment': {},
    'BatchTrivialAugment': {},
}
COMPOSED = dict(
    type='BatchCompose',
    transforms=[dict(type=name, **arguments) for name, arguments in TRANSFORMS.items()],
)
EVERY = {name: dict(type=name, **arguments) for name, arguments in TRANSFORMS.items()}
EVERY['BatchCompose'] = COMPOSED


def test_every_batch_transform_is_here():
    ours = {
        name
        for name, cls in BATCH_AUGMENTS.module_dict.items()
        if cls.__module__.startswith('vit_plugins')
    }
    assert ours == set(EVERY)


@pytest.fixture
def images():
    """Smooth images with noise, as photos are: (32, 3, 40, 36)."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:40, :36] / 40
    phase = rng.uniform(0, 6, (32, 3, 1, 1))
    waves = 120 + 90 * np.sin(6 * x + phase) * np.cos(5 * y - phase) + rng.normal(0, 8, (40, 36))
    return torch.from_numpy(waves.clip(0, 255).astype(np.uint8))


@pytest.fixture
def resized_by_products(monkeypatch):
    """Replace the faster resize of the CPU by that of a GPU."""

    def resized(images, shape):
        return images if images.shape[2:] == shape else resize(images, shape)

    resize = batch_simple_random_crop._resized_by_products
    monkeypatch.setattr(batch_simple_random_crop, '_resized', resized)


def with_margin(factor, call):
    """Call with the margins of all roundings multiplied by a factor."""

    def moved(numbers, margin=_rounding.MARGIN):
        return _rounding.round_(numbers, factor * margin)

    with pytest.MonkeyPatch.context() as patch:
        for module in (_blurs, _resampling, _warps):
            patch.setattr(module, 'round_', moved)
        return call()


@pytest.mark.gpu
@pytest.mark.usefixtures('resized_by_products')
@pytest.mark.parametrize('name', EVERY)
def test_pixels(name, images, device):
    """They are equal where half the margin of rounding, more or less, changes nothing on the CPU.

    That is 1e-4 of a level, some times the error of float32. Elsewhere a level lies that close to
    where rounding begins, and operations behind it may enlarge the difference.
    """
    transform = BATCH_AUGMENTS.build(copy.deepcopy(EVERY[name]))
    seeds = image_seeds(0, 0, np.arange(len(images)))
    expected = transform(images, seeds)
    lower, higher = (with_margin(f, lambda: transform(images, seeds)) for f in (0.5, 1.5))
    certain = (lower == expected) & (higher == expected)
    assert certain.float().mean() > 0.999
    found = transform(images.to(device), seeds)
    assert found.device.type == device.type
    assert found.dtype == torch.uint8
    assert torch.equal(found.cpu()[certain], expected[certain])


@pytest.mark.gpu
def test_pixels_that_the_cpu_resizes_in_its_own_way(images, device):
    crop = BATCH_AUGMENTS.build(copy.deepcopy(EVERY['BatchSimpleRandomCrop']))
    seeds = image_seeds(0, 0, np.arange(len(images)))
    apart = crop(images.to(device), seeds).cpu().int() - crop(images, seeds)
    assert apart.abs().max() <= 1


@pytest.mark.gpu
def test_images_kept_on_the_device_and_augmented_there(device):
    preprocessor = MODELS.build(
        dict(
            type='StackedDataPreprocessor',
            num_classes=10,
            mean=[125.0] * 3,
            std=[60.0] * 3,
            batch_transforms=[EVERY['BatchRandomFlip'], EVERY['BatchSimpleRandomCrop']],
        )
    )
    kept = {}
    for where in ('cpu', str(device)):
        data = dict(type='PlacedDigits', split='train', pipeline=[dict(type='PackInputs')])
        images = DATASETS.build(dict(type='CachedImages', dataset=data, device=where))
        np.random.seed(0)  # noqa: NPY002 (the images' seeds are drawn from it)
        batch = images.__getitems__(range(16))
        kept[where] = preprocessor.to(where)(stacked_collate(batch), training=True)
    expected, found = kept['cpu'], kept[str(device)]
    assert found['inputs'].device.type == device.type
    assert (found['inputs'].cpu() - expected['inputs']).abs().max() < 1.01 / 60
    labels = found['data_samples'].fields['gt_label']
    assert torch.equal(labels.cpu(), expected['data_samples'].fields['gt_label'].cpu())
