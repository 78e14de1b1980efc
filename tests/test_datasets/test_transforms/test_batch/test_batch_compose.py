"""Every batch transform: the source of its random numbers, and no waiting for a device."""

import numpy as np
import pytest
import torch
from mmpretrain.registry import BATCH_AUGMENTS

from vit_plugins.datasets.seeds import image_seeds
from vit_plugins.datasets.transforms.batch import BatchCompose, BatchRandomFlip, batch_transform

EVERY = [
    {
        'type': 'BatchRandAugment',
        'policies': 'timm_increasing',
        'num_policies': 2,
        'magnitude_level': 9,
        'magnitude_std': 0.5,
    },
    {'type': 'BatchRandomFlip'},
    {'type': 'BatchRandomErasing'},
    {'type': 'BatchRandomErasing', 'mode': 'rand'},
    {'type': 'BatchRandomErasing', 'mode': 'rand', 'fill_std': 20},
    {'type': 'BatchRandomResizedCrop', 'scale': 32, 'flip_prob': 0.5},
    {'type': 'BatchSimpleRandomCrop', 'crop_size': 40, 'flip_prob': 0.5},
    {'type': 'BatchSimpleRandomCrop', 'crop_size': 32},
    {'type': 'BatchThreeAugment', 'flip_prob': 0.5},
    {'type': 'BatchTrivialAugment'},
    {'type': 'BatchTrivialAugment', 'interpolation': 'bicubic', 'pad_val': (1, 2, 3)},
]


def named(config):
    return ' '.join(str(value) for value in config.values())


@pytest.fixture
def picture(natural):
    """Return one type of image, because pixels do not matter here."""
    return natural


@pytest.fixture(params=EVERY, ids=named)
def transform(request):
    return BATCH_AUGMENTS.build(request.param)


def test_every_registered_batch_transform_is_tried():
    ours = {
        name
        for name, component in BATCH_AUGMENTS.module_dict.items()
        if component.__module__.startswith('vit_plugins.')
    }
    assert ours == {config['type'] for config in EVERY} | {'BatchCompose'}


def test_same_image_same_pixels_whatever_is_beside_it(transform, batch, seeds):
    images, keys = batch(7), seeds(7)
    together = transform(images, keys)
    order = torch.tensor([3, 6, 0])
    assert torch.equal(transform(images[order], keys[order.numpy()]), together[order])
    assert torch.equal(transform(images, keys), together)


def test_parts_for_the_cache_change_nothing(transform, batch, seeds, monkeypatch):
    images, keys = batch(7), seeds(7)
    whole = transform(images, keys)
    monkeypatch.setattr(batch_transform, 'CPU_BYTES', 3 * images[0].numel())
    calls = []
    apply = transform.apply

    def noted(part, params):
        calls.append(len(part))
        return apply(part, params)

    monkeypatch.setattr(transform, 'apply', noted)
    assert torch.equal(transform(images, keys), whole)
    assert calls == [3, 3, 1]
    monkeypatch.setattr(batch_transform, 'CPU_BYTES', 1)
    assert torch.equal(transform(images, keys), whole)


def test_epoch_index_seed_and_position_change_the_draws(transform, batch):
    images = batch(1).expand(16, -1, -1, -1)
    index = np.arange(16)
    runs = [
        transform(images, image_seeds(seed, epoch, first + index), position)
        for seed, epoch, first, position in (
            (0, 0, 0, 0),
            (1, 0, 0, 0),
            (0, 1, 0, 0),
            (0, 0, 50, 0),
            (0, 0, 0, 1),
        )
    ]
    assert not any(torch.equal(runs[0], other) for other in runs[1:])


def test_nothing_waits_for_the_device(transform, batch, seeds, no_waiting):
    images, keys = batch(1).expand(60, -1, -1, -1), seeds(60)  # each operation some time
    expected = transform(images[:1], keys[:1])
    with no_waiting():
        result = transform(images.to('meta'), keys)
    assert result.device.type == 'meta'
    assert (result.shape, result.dtype) == ((60, *expected.shape[1:]), torch.uint8)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason='no GPU')
def test_a_gpu_computes_the_same_and_is_never_waited_for(transform, batch, seeds):
    images, keys = batch(16), seeds(16)
    on_device = images.cuda()
    before = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode('error')
    try:
        result = transform(on_device, keys)
    finally:
        torch.cuda.set_sync_debug_mode(before)
    apart = (result.cpu().int() - transform(images, keys).int()).abs()
    assert apart.max() <= 2
    assert apart.float().mean() < 0.01


def test_watch_sees_what_waits(no_waiting):
    on_device = torch.empty(4, device='meta')
    with no_waiting():
        with pytest.raises(RuntimeError):
            on_device.sum().item()
        with pytest.raises(AssertionError, match='takes a CPU tensor'):
            on_device[torch.tensor([0, 1])]
        with pytest.raises((AssertionError, NotImplementedError)):
            on_device.cpu()


def test_empty_batch_stays_empty(transform, batch, seeds):
    assert len(transform(batch(1)[:0], seeds(0))) == 0


def test_place_in_the_list_is_the_position(batch, seeds):
    images = batch(32)
    twice = BatchCompose([BatchRandomFlip(), BatchRandomFlip()])
    flip = BatchRandomFlip()
    once = flip(images, seeds(32), 0)
    assert torch.equal(twice(images, seeds(32)), flip(once, seeds(32), 1))
    assert not torch.equal(twice(images, seeds(32)), images)


def test_configs_and_transforms_are_taken():
    composed = BatchCompose([{'type': 'BatchRandomFlip'}, BatchRandomFlip(0.1)])
    assert repr(composed) == (
        "BatchCompose([BatchRandomFlip(prob=0.5, direction='horizontal'), "
        "BatchRandomFlip(prob=0.1, direction='horizontal')])"
    )


def test_other_things_than_batch_transforms_are_refused():
    with pytest.raises(
        TypeError, match=r'takes batch transforms, got Mixup; .*train_cfg.augments'
    ):
        BatchCompose([{'type': 'Mixup', 'alpha': 0.8}])


@pytest.mark.parametrize(
    ('images', 'seeds', 'error', 'message'),
    [
        (torch.zeros(2, 3, 4, 4), np.arange(2), TypeError, 'tensors of torch.uint8, got torch.f'),
        ([1], np.arange(1), TypeError, 'tensors of torch.uint8, got list'),
        (torch.zeros(3, 4, 4).byte(), np.arange(3), ValueError, r'got \(3, 4, 4\)'),
        (torch.zeros(2, 4, 4, 3).byte(), np.arange(2), ValueError, r'got \(2, 4, 4, 3\)'),
        (torch.zeros(2, 3, 4, 4).byte(), np.ones(2), TypeError, 'integers, got float64'),
        (torch.zeros(2, 3, 4, 4).byte(), [1, 2], TypeError, 'integers, got list'),
        (torch.zeros(2, 3, 4, 4).byte(), np.arange(3), ValueError, 'one seed for each of 2'),
    ],
)
def test_what_does_not_fit_is_refused(images, seeds, error, message):
    for transform in (BatchRandomFlip(), BatchCompose([])):
        with pytest.raises(error, match=message):
            transform(images, seeds)
